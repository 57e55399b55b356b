"""Code of the book "Do Different Networks Learn the Same Representation?".

One way through: images → network → activations → compressed layer → measure → table → record → figure → page. The rooms
import one way: `pages` → `studies` → `measures`, `matching`, `networks` → `subspaces` → `errors`, `files`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import BadInput
    from .matching import (
        Match,
        critical_epsilons,
        maximum_match,
        minimal_match,
        minimal_matches,
        similarity,
        similarity_curve,
        simple_matches,
    )
    from .subspaces import Gram, Pair

__all__ = [
    "BadInput",
    "Gram",
    "Match",
    "Pair",
    "critical_epsilons",
    "maximum_match",
    "minimal_match",
    "minimal_matches",
    "similarity",
    "similarity_curve",
    "simple_matches",
]

_HOMES = dict.fromkeys(__all__, "matching") | {"BadInput": "errors", "Gram": "subspaces", "Pair": "subspaces"}


def __getattr__(name: str) -> Any:
    """One of the names above, imported when it is first asked for: who only reads a table waits for no compiler."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return globals()[name]
