"""Intervals of means over pairs: closed forms, and coverage by simulation."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

from helpers.errors import BadInput
from helpers.studies.intervals import half_width, interval


def pair_table(values: np.ndarray) -> pd.DataFrame:
    pairs = list(combinations(range(len(values)), 2))
    rows = [{"layer": "l", "epsilon": 0.3, "seed_a": a, "seed_b": b, "similarity": values[a, b]} for a, b in pairs]
    return pd.DataFrame(rows)


def additive(networks: int, noise: float, trials: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Trials × pairs of effect of a + effect of b + noise, mean 0, and the pairs."""
    rng = np.random.default_rng(seed)
    ends = np.array(list(combinations(range(networks), 2)))
    effects = rng.normal(size=(trials, networks))
    return effects[:, ends].sum(axis=2) + noise * rng.normal(size=(trials, len(ends))), ends


@pytest.mark.parametrize("networks", [3, 4, 7])
def test_purely_additive_values_give_the_t_interval_of_the_effects(networks):
    effects = np.random.default_rng(networks).normal(size=networks)
    row = interval(pair_table(effects[:, None] + effects)).iloc[0]
    half = student.ppf(0.975, networks - 1) * 2 * effects.std(ddof=1) / np.sqrt(networks)
    assert row["mean"] == pytest.approx(2 * effects.mean())
    assert [row["low"], row["high"]] == pytest.approx([row["mean"] - half, row["mean"] + half])


@pytest.mark.parametrize("noise", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("networks", [3, 5])
def test_coverage_of_a_nominal_95_percent_is_at_least_90(networks, noise):
    values, ends = additive(networks, noise, trials=4000, seed=networks)
    covered = np.mean(np.abs(values.mean(axis=1)) <= half_width(values, ends))
    assert covered >= 0.90
    if noise == 0:  # the model's own case is exact
        assert covered == pytest.approx(0.95, abs=0.015)


def test_a_wrong_count_of_pairs_as_independent_would_not_cover():
    """What the interval is for: ten pairs of five networks are not ten independent values."""
    values, _ = additive(5, 0.5, trials=4000, seed=0)
    half = student.ppf(0.975, 9) * values.std(axis=1, ddof=1) / np.sqrt(10)
    assert np.mean(np.abs(values.mean(axis=1)) <= half) < 0.8


def test_one_odd_network_widens_the_interval_more_than_odd_pairs():
    odd, pairs = np.zeros((8, 8)), np.zeros((8, 8))
    odd[0, 1:] = 1  # all seven pairs of one network
    pairs[range(7), range(1, 8)] = 1  # seven pairs spread over the networks
    widths = [np.diff(interval(pair_table(v))[["low", "high"]].iloc[0])[0] for v in (odd, pairs)]
    assert widths[0] > widths[1] > 0


def test_groups_are_apart_and_two_networks_show_no_spread():
    one, two = np.full((3, 3), 0.25), np.full((3, 3), 0.75)
    two[0, 1] = 0
    table = pd.concat([pair_table(one).assign(layer="a"), pair_table(two).assign(layer="b")])
    intervals = interval(table).set_index("layer")
    assert intervals.loc["a", ["mean", "low", "high", "networks"]].tolist() == [0.25, 0.25, 0.25, 3]
    assert intervals.loc["b", "low"] < 0.5 < intervals.loc["b", "high"]
    lone = interval(pair_table(np.full((2, 2), 0.5))).iloc[0]
    assert lone["mean"] == 0.5
    assert np.isnan(lone["low"])
    assert np.isnan(lone["high"])


def test_level_is_a_probability():
    with pytest.raises(BadInput, match=r"level is 95: expected a number between 0 and 1"):
        interval(pair_table(np.zeros((3, 3))), level=95)
