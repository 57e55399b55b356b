"""The judge itself: each definition against its own words, on examples that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.matching import definitions
from helpers.matching.definitions import (
    Distances,
    all_matches,
    all_neurons,
    is_match_by_definition,
    minimal,
    name,
    relative_distance,
    simple,
)
from tests.instances import layers

SEEDS = st.integers(0, 10**6)
X0, Y0, Y1 = ("x", 0), ("y", 0), ("y", 1)


def angled(*degrees):
    """Unit vectors in the plane."""
    angles = np.radians(degrees)
    return np.column_stack([np.cos(angles), np.sin(angles)])


def test_the_relative_distance_of_a_vector_at_an_angle_is_its_sine():
    for degrees in (0, 10, 45, 90):
        distance = relative_distance(7 * angled(degrees)[0], 3 * angled(0))
        assert distance == pytest.approx(np.sin(np.radians(degrees)))
    assert relative_distance(angled(30)[0], angled(0, 90)) == pytest.approx(0, abs=1e-12)


def test_limiting_cases_of_the_distance():
    z, basis = np.ones(3), np.eye(3)
    assert relative_distance(np.zeros(3), basis) == np.inf
    assert relative_distance(z, basis[:0]) == 1
    assert relative_distance(z, np.zeros((2, 3))) == 1
    assert relative_distance(z, np.vstack([np.zeros(3), z])) == pytest.approx(0, abs=1e-12)
    assert relative_distance(z.astype(np.float32), basis[:1].astype(np.float32)) == pytest.approx(np.sqrt(2 / 3))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, ridge=st.sampled_from([1e-8, 1e-4, 1e-2]))
def test_the_ridge_distance_is_what_its_formula_says(seed, ridge):
    x, y = layers("shared", seed)
    unit = y / np.linalg.norm(y, axis=1, keepdims=True)
    for z in x:
        g = unit @ z / np.linalg.norm(z)
        square = 1 - g @ np.linalg.solve(unit @ unit.T + ridge * np.eye(len(y)), g)
        assert relative_distance(z, y, ridge) ** 2 == pytest.approx(square, abs=1e-9)
        assert relative_distance(z, y, ridge) >= relative_distance(z, y) - 1e-9


def test_subsets_come_small_ones_first_and_all_of_them():
    names = all_neurons(np.ones((1, 2)), np.ones((2, 2)))
    assert names == {X0, Y0, Y1}
    sets = definitions.subsets(names)
    assert len(set(sets)) == 8
    assert [len(s) for s in sets] == [0, 1, 1, 1, 2, 2, 2, 3]


def test_three_vectors_in_a_plane_by_hand():
    """x at 0°, y at 40° and −40°: together the y span the plane; alone each is sin 40° = .64 away from x."""
    x, y = angled(0), angled(40, -40)
    at_half = all_matches(x, y, 0.5)
    assert at_half == [frozenset()]
    at_high = all_matches(x, y, 0.65)
    assert set(at_high) == {frozenset(), frozenset({X0, Y0}), frozenset({X0, Y1}), frozenset({X0, Y0, Y1})}
    assert simple(at_high) == [{X0, Y0}, {X0, Y1}]
    assert minimal(at_high, X0) == [{X0, Y0}, {X0, Y1}]
    assert minimal(at_high, Y1) == [{X0, Y1}]


def test_a_match_may_need_both_sides_whole():
    x, y = angled(0, 90), angled(45, 135)
    assert all_matches(x, y, 0.0) == [frozenset(), all_neurons(x, y)]
    assert simple(all_matches(x, y, 0.0)) == [all_neurons(x, y)]


def test_distances_are_remembered_and_the_worst_decides():
    r = Distances(angled(0), angled(40, -40))
    whole = frozenset({X0, Y0, Y1})
    assert r(X0, whole) == pytest.approx(0, abs=1e-12)
    assert r.worst(whole) == pytest.approx(np.sin(np.radians(40)))
    assert r.worst(frozenset()) == 0
    assert (X0, (0, 1)) in r.known
    assert is_match_by_definition(r, whole, 0.65)
    assert not is_match_by_definition(r, whole, 0.64)
    assert is_match_by_definition(r, whole, 0.64, slack=0.01)


def test_names_count_from_one():
    assert name({Y1, X0, Y0}) == "x1 | y1 y2"
    assert name([]) == "∅"
