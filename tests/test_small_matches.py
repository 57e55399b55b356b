"""Small minimal matches: against enumeration of all of them, and planted partners."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.matching import maximum_match, minimal_matches
from helpers.studies.small_matches import (
    has_partner,
    joined_layers,
    level_row,
    of_pair,
    orders_to_try,
    partly_matched,
    small_match_tables,
    smallest_sizes,
)
from helpers.subspaces import Pair


def mixture(seed, neurons=5, samples=60, noise=0.2):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((3, samples))
    return [
        rng.standard_normal((neurons, 3)) @ features + noise * rng.standard_normal((neurons, samples)) for _ in "xy"
    ]


@given(st.integers(0, 10_000), st.sampled_from([0.2, 0.3, 0.5]))
@settings(max_examples=25, deadline=None)
def test_sizes_and_bounds_hold_against_all_minimal_matches(seed, epsilon):
    pair = Pair.from_arrays(*mixture(seed))
    if not len(maximum_match(pair, epsilon)):
        return
    for row in smallest_sizes(pair, epsilon, orders=8).itertuples():
        every = [len(match) for match in minimal_matches(pair, (row.side, row.neuron), epsilon)]
        assert row.partner == (min(every) == 2)
        assert row.bound <= min(every) <= row.smallest
        assert row.smallest in every


def test_a_planted_pair_of_twins_is_found_and_the_rest_has_no_partner():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((6, 400)), rng.standard_normal((6, 400))
    y[2] = 3 * x[4]
    partners = has_partner(Pair.from_arrays(x, y), 0.1)
    assert partners == {("x", 4): True, ("y", 2): True}
    assert not has_partner(Pair.from_arrays(x, np.vstack([y[:2], y[3:]])), 0.1)


def test_rotating_a_layer_keeps_the_match_and_loses_the_partners():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6, 300))
    q, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    same, turned = Pair.from_arrays(x, x[::-1]), Pair.from_arrays(x, q @ x)
    assert all(has_partner(same, 0.1).values())
    assert len(maximum_match(turned, 0.1)) == 12
    assert not any(has_partner(turned, 0.1).values())


def test_only_epsilons_at_which_a_part_matches_are_taken():
    x, y = mixture(3, neurons=8, noise=0.3)
    pair = Pair.from_arrays(x, y)
    grid = np.linspace(0, 0.99, 60)
    chosen = partly_matched(pair, grid)
    shares = [len(maximum_match(pair, e)) / 16 for e in chosen]
    assert shares
    assert all(0.05 <= share <= 0.95 for share in shares)
    assert partly_matched(pair, [0.0]) == []


def test_tables_name_layer_and_seeds_and_say_what_c4_asks():
    x, y = mixture(3, neurons=8, noise=0.3)
    pair = Pair.from_arrays(x, y)
    epsilons = partly_matched(pair, np.linspace(0, 0.99, 60))[:2]
    tables = small_match_tables("relu", {(0, 1): pair}, epsilons)
    assert set(tables) == {"sizes", "levels", "simple"}
    assert (tables["levels"][["layer", "seed_a", "seed_b"]] == ["relu", 0, 1]).all().all()
    for row in tables["levels"].itertuples():
        rows = tables["sizes"][tables["sizes"]["epsilon"] == row.epsilon]
        assert row.of_two == pytest.approx((rows["smallest"] == 2).mean())
        assert row.of_two <= row.of_five <= row.of_five_possible
    assert of_pair(pair, [0.0]) == {}


def test_nothing_to_ask_is_one_line():
    x, y = np.random.default_rng(0).standard_normal((2, 5, 200))
    with pytest.raises(BadInput, match="no layer matches to between 5% and 95%"):
        joined_layers([small_match_tables("relu", {(0, 1): Pair.from_arrays(x, y)}, [0.1])])


def many_twins(neurons, samples=2500, seed=4):
    """Two layers whose neurons all match: one quarter have a twin, the others are mixtures of the rest."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((neurons, samples))
    y, part = x.copy(), neurons // 4
    y[part:] = rng.standard_normal((neurons - part, neurons - part)) @ x[part:]
    return Pair.from_arrays(x, y)


def test_no_order_is_tried_in_a_wide_match_where_many_have_a_partner():
    pair = many_twins(240)
    table = smallest_sizes(pair, 0.1)
    assert len(table) == 480
    assert (table["orders"] == 0).all()
    assert table["partner"].mean() == pytest.approx(0.25)
    assert (table.loc[table["partner"], ["smallest", "bound"]] == 2).all().all()
    rest = table[~table["partner"]]
    assert rest[["smallest", "median"]].isna().all().all()
    assert (rest["bound"] >= 2).all()
    levels = of_pair(pair, [0.1])
    assert levels == {}  # everything matches: nothing is asked


def test_where_no_order_is_tried_small_sizes_are_counted_too_low_rather_than_too_high():
    pair = many_twins(240)
    row = level_row(pair, smallest_sizes(pair, 0.1), 0.1)
    assert row["of_two"] == row["of_five"] == pytest.approx(0.25)
    assert row["of_five_possible"] == 1.0
    assert np.isnan(row["median_size"])


def test_a_wide_match_without_partners_is_searched():
    assert orders_to_try({("x", k): False for k in range(500)}) == 5
    assert orders_to_try({("x", k): True for k in range(400)}) == 30
    assert orders_to_try({("x", k): True for k in range(401)}) == 0
