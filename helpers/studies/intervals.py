"""Confidence intervals of means over pairs of networks. Pairs share networks, so networks count, not pairs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import t as student

from ..errors import BadInput

PAIR = ["seed_a", "seed_b"]


def interval(
    table: pd.DataFrame,
    by: Sequence[str] = ("layer", "epsilon"),
    value: str = "similarity",
    level: float = 0.95,
) -> pd.DataFrame:
    """Mean over pairs of networks, and the t interval of the additive two-way model.

    `table` has one row per pair (seed_a, seed_b) and group `by`. The model says value = mean + effect of a + effect of
    b + noise. The variance of the mean comes from the jackknife, which leaves out one network (all its pairs) at a
    time. It has K − 1 degrees of freedom for K networks. Columns mean, low, high, networks; low and high are
    NaN for two networks, whose one pair shows no spread. Raises BadInput for a level that is no probability.
    """
    if not 0 < level < 1:
        raise BadInput(f"level is {level}: expected a number between 0 and 1, such as 0.95")
    wide = table.pivot(index=list(by), columns=PAIR, values=value)
    ends = np.array(wide.columns.tolist())
    half = half_width(wide.to_numpy(dtype=float), ends, level)
    mean = wide.mean(axis=1)
    bounds = {"mean": mean, "low": mean - half, "high": mean + half, "networks": len(np.unique(ends))}
    return pd.DataFrame(bounds, index=wide.index).reset_index()


def half_width(
    values: Float[np.ndarray, "groups pairs"], ends: Float[np.ndarray, "pairs 2"], level: float = 0.95
) -> Float[np.ndarray, " groups"]:
    """Half the width of `interval` for each row of values. `ends` names the two networks of each column."""
    networks = np.unique(ends)
    count = len(networks)
    if count < 3:
        return np.full(len(values), np.nan)
    without = [np.mean(values[:, ~(ends == network).any(axis=1)], axis=1) for network in networks]
    variance = (count - 1) * np.var(without, axis=0)
    return student.ppf((1 + level) / 2, count - 1) * np.sqrt(variance)
