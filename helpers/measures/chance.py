"""Chance: one network sees the images in a random order, and every measure is computed again."""

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
    """Random orders of the images. Equal arguments give equal orders, so all layers and measures share them.

    Raises `BadInput` for fewer than 2 images and for fewer than one order.
    """
    if images < 2 or count < 1:
        raise BadInput(f"{count} orders of {images} images: expected at least one order of at least 2 images")
    rng = np.random.default_rng([seed, images])
    return [rng.permutation(images) for _ in range(count)]


def with_positions(order: Int[np.ndarray, " images"], positions: int) -> Int[np.ndarray, " samples"]:
    """An order of images as an order of samples (images × positions); the positions of an image stay together."""
    return (np.asarray(order)[:, None] * positions + np.arange(positions)).ravel()


def permuted_values(
    pair: Compared, measures: Sequence[Measure], orders: Iterable[Int[np.ndarray, " samples"]]
) -> "pd.DataFrame":
    """Every measure with the samples of y in each order: one row per order, one column per measure.

    What does not depend on the order is computed once. What several measures share is computed once per order. Raises
    `BadInput` if pandas is not installed.
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
