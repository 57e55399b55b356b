"""A scale with two ends: 0 is what strangers get, 1 what a network gets with a slightly earlier self."""

import numpy as np
from jaxtyping import Float

NARROW = 1e-9  # ends closer than this leave no scale between them


def on_scale(
    observed: Float[np.ndarray, "..."] | float, chance: float, ceiling: float
) -> Float[np.ndarray, "..."] | float:
    """(observed − chance) / (ceiling − chance) (def-calibrated); NaN where the ceiling is not above chance.

    A distance (a critical ε) and its similarity (1 less it) give the same value. The ends count as known: for an
    interval of the observed value pass its bounds.
    """
    if not ceiling - chance > NARROW:
        return np.full(np.shape(observed), np.nan)[()]
    return (np.asarray(observed, dtype=float) - chance)[()] / (ceiling - chance)
