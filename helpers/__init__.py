"""Code of the book "Do Different Networks Learn the Same Representation?".

Data take one way: images → network → activations → compressed layer → measure → table → record → figure → page. The
rooms import in one direction: `pages` → `studies` → `measures`, `matching`, `networks` → `subspaces` → `errors`,
`files`.

For two networks of your own, call `compare(a, b, data)`. It returns a `Comparison`. For two arrays of activations
(neurons, samples) there are `maximum_match`, `critical_epsilons`, `similarity_curve`, `minimal_match`,
`minimal_matches`, `simple_matches`, `measure` with a name from `MEASURES`, and `diagnose`, which says what to
distrust.
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
    from .matching.diagnostics import diagnose
    from .measures import MEASURES, measure
    from .studies.comparison import compare
    from .studies.results import Comparison
    from .subspaces import Gram, Pair

__all__ = [
    "MEASURES",
    "BadInput",
    "Comparison",
    "Gram",
    "Match",
    "Pair",
    "compare",
    "critical_epsilons",
    "diagnose",
    "maximum_match",
    "measure",
    "minimal_match",
    "minimal_matches",
    "similarity",
    "similarity_curve",
    "simple_matches",
]

_HOMES = dict.fromkeys(__all__, "matching") | {
    "BadInput": "errors",
    "Comparison": "studies.results",
    "Gram": "subspaces",
    "MEASURES": "measures",
    "Pair": "subspaces",
    "compare": "studies.comparison",
    "diagnose": "matching.diagnostics",
    "measure": "measures",
}


def __getattr__(name: str) -> Any:
    """One of the names in `__all__`, imported when it is first used. So reading a table does not wait for a compiler.

    Raises `BadInput` for a name that needs an extra which is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if _HOMES[name].startswith("studies"):  # these need networks and tables, which the core does not have
        optional = import_module(".errors", __name__).optional
        for needed in ("torch", "pandas"):
            optional(needed, "networks")
    globals()[name] = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    return globals()[name]
