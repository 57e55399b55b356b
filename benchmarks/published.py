"""The published algorithms, written plainly: least squares at every step, one run for each ε.

This is the yardstick of the benchmarks. Nothing is compressed, shared between steps or remembered between runs, and
`numpy.linalg.lstsq` does the work. Neurons are rows; a neuron is named by its side and index, ("x", 3).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Neuron = tuple[str, int]
Block = Float[np.ndarray, "neurons samples"]
Indices = Int[np.ndarray, " kept"]
Kept = tuple[Indices, Indices]


def relative_distances(z: Block, basis: Block) -> Float[np.ndarray, " neurons"]:
    """dist(z_i, span of the rows of `basis`) / ‖z_i‖ for every row i of z; inf for a row of zeros."""
    if not len(z):
        return np.zeros(0)
    norms = np.linalg.norm(z, axis=1)
    residuals = z
    if len(basis):
        residuals = z - np.linalg.lstsq(basis.T, z.T, rcond=None)[0].T @ basis
    distances = np.full(len(z), np.inf)
    np.divide(np.linalg.norm(residuals, axis=1), norms, out=distances, where=norms > 0)
    return distances


def maximum_match(x: Block, y: Block, epsilon: float, start: Kept | None = None) -> Kept:
    """Algorithm max_match: delete every neuron farther than ε from the other side's span; repeat until none is.

    `start` restricts it to some neurons of either side. Returns the indices that are left, x and y.
    """
    kept_x, kept_y = start or (np.arange(len(x)), np.arange(len(y)))
    while True:
        near_x = relative_distances(x[kept_x], y[kept_y]) <= epsilon
        near_y = relative_distances(y[kept_y], x[kept_x]) <= epsilon
        if near_x.all() and near_y.all():
            return kept_x, kept_y
        kept_x, kept_y = kept_x[near_x], kept_y[near_y]


def holds(kept: Kept, neuron: Neuron) -> bool:
    """Is the neuron among those kept?"""
    side, index = neuron
    return bool((kept[0 if side == "x" else 1] == index).any())


def less(kept: Kept, neuron: Neuron) -> Kept:
    """Those kept, less one neuron."""
    side, index = neuron
    return (kept[0][kept[0] != index], kept[1]) if side == "x" else (kept[0], kept[1][kept[1] != index])


def names(kept: Kept) -> list[Neuron]:
    """All neurons kept, x first, each side by index."""
    return [(side, int(i)) for side, indices in zip("xy", kept, strict=True) for i in indices]


def minimal_match(
    x: Block, y: Block, neuron: Neuron, epsilon: float, order: Sequence[Neuron] | None = None
) -> Kept | None:
    """Algorithm min_match: try to do without each other neuron once, in the given order (default: x first, by index).

    Each trial is a maximum match of what is left. None when the neuron is not in the maximum match.
    """
    kept = maximum_match(x, y, epsilon)
    if not holds(kept, neuron):
        return None
    for u in order or names(kept):
        if u != neuron and holds(kept, u):
            smaller = maximum_match(x, y, epsilon, less(kept, u))
            kept = smaller if holds(smaller, neuron) else kept
    return kept


def minimal_match_of_each(x: Block, y: Block, epsilon: float) -> dict[Neuron, Kept]:
    """A minimal match of every neuron of the maximum match, one separate run for each."""
    everyone = names(maximum_match(x, y, epsilon))
    return {v: match for v in everyone if (match := minimal_match(x, y, v, epsilon)) is not None}
