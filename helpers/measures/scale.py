"""The calibrated scale: 0 is chance, 1 is the ceiling (a network compared with itself a few epochs earlier)."""

import numpy as np
from jaxtyping import Float

NARROW = 1e-9  # chance and ceiling closer than this leave no scale between them


def on_scale(
    observed: Float[np.ndarray, "..."] | float, chance: float, ceiling: float
) -> Float[np.ndarray, "..."] | float:
    """(observed − chance) / (ceiling − chance) (def-calibrated); NaN where the ceiling is not above chance.

    A critical ε and its similarity 1 − ε give the same value on this scale. Chance and ceiling count as exact. For an
    interval of the observed value, pass the two bounds of the interval as `observed`.
    """
    if not ceiling - chance > NARROW:
        return np.full(np.shape(observed), np.nan)[()]
    return (np.asarray(observed, dtype=float) - chance)[()] / (ceiling - chance)
