"""All kinds of study by name.

The command `record --what KIND` and the page of provenance know the kinds in this list.
"""

from . import (
    calibration,
    causes,
    ceiling,
    development,
    forks,
    identification,
    rebasin,
    rivals,
    seeds,
    sensitivity,
    simple_matches,
    small_matches,
    stitching,
    targets,
    two_networks,
)
from .store import Kind

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        seeds.KIND,
        causes.KIND,
        ceiling.KIND,
        calibration.KIND,
        rivals.KIND,
        identification.KIND,
        simple_matches.KIND,
        small_matches.KIND,
        two_networks.KIND,
        stitching.KIND,
        rebasin.KIND,
        sensitivity.KIND,
        forks.KIND,
        targets.KIND,
        development.KIND,
    )
}
