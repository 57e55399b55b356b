"""Every kind of study by its name: the command `record --what KIND` and the page of provenance know those in here."""

from . import causes, ceiling, seeds, simple_matches, two_networks
from .store import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind for kind in (seeds.KIND, ceiling.KIND, causes.KIND, simple_matches.KIND, two_networks.KIND)
}
