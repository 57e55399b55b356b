"""What strangers would get: one network sees the images in a random order, and everything is measured again."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from ..errors import BadInput, optional
from .compared import Compared
from .registry import Measure

if TYPE_CHECKING:
    import pandas as pd

PERMUTATIONS = 200


def image_orders(images: int, count: int = PERMUTATIONS, seed: int = 0) -> list[Int[np.ndarray, " images"]]:
    """Random orders of the images: the same in every call with the same numbers, so in all layers and measures."""
    if images < 2 or count < 1:
        raise BadInput(f"{count} orders of {images} images: expected at least one order of at least 2 images")
    rng = np.random.default_rng([seed, images])
    return [rng.permutation(images) for _ in range(count)]


def with_positions(order: Int[np.ndarray, " images"], positions: int) -> Int[np.ndarray, " samples"]:
    """An order of images as one of samples: images × positions, the positions of an image kept together."""
    return (np.asarray(order)[:, None] * positions + np.arange(positions)).ravel()


def permuted_values(
    pair: Compared, measures: Sequence[Measure], orders: Iterable[Int[np.ndarray, " samples"]]
) -> "pd.DataFrame":
    """Every measure with the samples of y in each order. One row per order, one column per measure.

    What no order changes is made once, and what several measures share once per order. Raises BadInput without pandas.
    """
    rows = []
    for order in orders:
        strange = pair.permuted(order)
        rows.append({entry.name: entry.function(strange) for entry in measures})
    return optional("pandas", "networks").DataFrame(rows)


def p_value(observed: float, chance: Float[np.ndarray, " permutations"]) -> float:
    """(1 + number of permutations that reach the observed value) / (1 + number of permutations)."""
    chance = np.asarray(chance, dtype=float)
    return float((1 + np.sum(chance >= observed)) / (1 + len(chance)))
