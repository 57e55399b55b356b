"""The conditions of the uniqueness theorem, measured: exact where it says so, bounds that hold where not."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from helpers.errors import BadInput
from helpers.matching import maximum_match, minimum_matches, uniqueness
from helpers.matching.definitions import Distances, subsets
from helpers.matching.uniqueness import Independence, angle, stability, strong_independence
from helpers.subspaces import Pair
from tests.instances import larger, layers

SEEDS = st.integers(0, 10**6)


def independent(seed, count=4):
    return np.random.default_rng(seed).normal(size=(count, 30))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_the_angle_between_spans_is_the_smallest_principal_angle(seed):
    z = independent(seed, 5)
    for a, b in (((0,), (1,)), ((0, 1), (2, 3, 4)), ((4,), (0, 1, 2))):
        expected = subspace_angles(z[list(a)].T, z[list(b)].T).min()
        assert angle(uniqueness.unit_gram(z @ z.T), a, b) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_for_few_neurons_theta_is_the_minimum_over_all_disjoint_sets(seed):
    z = independent(seed)
    sets = [s for size in (1, 2, 3) for s in combinations(range(4), size)]
    disjoint = [(a, b) for a in sets for b in sets if not set(a) & set(b)]
    expected = min(subspace_angles(z[list(a)].T, z[list(b)].T).min() for a, b in disjoint)
    theta = strong_independence(z @ z.T)
    assert theta.lower == theta.upper == pytest.approx(expected, abs=1e-5)


def test_for_many_neurons_theta_lies_between_two_bounds(monkeypatch):
    z = independent(0, 9)
    exact = strong_independence(z @ z.T)
    monkeypatch.setattr(uniqueness, "LARGEST_EXACT", 3)
    bounds = strong_independence(z @ z.T)
    assert 0 < bounds.lower <= exact.lower <= bounds.upper
    assert angle(uniqueness.unit_gram(z @ z.T), bounds.cut, sorted(set(range(9)) - set(bounds.cut))) == bounds.upper


def test_limiting_cases_of_independence():
    assert strong_independence(np.eye(1)) == Independence(np.pi / 2, np.pi / 2, ())
    assert strong_independence(np.eye(3)).lower == pytest.approx(np.pi / 2)
    z = independent(1)
    assert strong_independence(np.vstack([z, z[0]]) @ np.vstack([z, z[0]]).T).upper < 1e-5
    assert uniqueness.condition_angle(np.ones((2, 2))) == 0
    with pytest.raises(BadInput, match="neuron 1 is dead: expected non-zero activations"):
        strong_independence(np.diag([1.0, 0.0]))


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, epsilon=st.sampled_from([0.05, 0.2, 0.5]))
def test_stability_of_few_neurons_is_that_of_all_subsets(seed, epsilon):
    x, y = layers("shared", seed)
    r = Distances(x, y)
    names = [("x", i) for i in range(len(x))] + [("y", j) for j in range(len(y))]
    every = [r(v, s) for s in subsets(names) for v in names]
    stable = stability(Pair.from_arrays(x, y), epsilon)
    assert stable.exact
    assert stable.reach == pytest.approx(min(d for d in [*every, 1.0] if d > epsilon + 1e-6), abs=1e-5)


def test_for_many_neurons_chains_only_refute(monkeypatch):
    pair = Pair.from_arrays(*larger(6, 3, seed=2))
    exact = stability(pair, 0.4)
    monkeypatch.setattr(uniqueness, "LARGEST_STABLE", 3)
    few, many = (stability(pair, 0.4, chains=chains) for chains in (1, 50))
    assert not few.exact
    for estimate in (few, many):
        assert exact.reach - 1e-12 <= estimate.reach < 1  # a chain adds up in another order: rounding
    assert stability(pair, 0.4, chains=1, seed=0) == few


def test_where_both_conditions_hold_every_neuron_has_a_minimum_match():
    """Planted: three pairs of neurons, nearly orthogonal to each other, each pair .01 apart."""
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.normal(size=(60, 6)))[0].T
    x, y = basis[:3], basis[:3] + 0.01 * basis[3:]
    theta = min(strong_independence(z @ z.T).lower for z in (x, y))
    epsilon, pair = 0.02, Pair.from_arrays(x, y)
    assert stability(pair, epsilon).reach > uniqueness.paper_constant(theta) * epsilon
    assert len(maximum_match(pair, epsilon)) == 6
    assert [len(m) for m in minimum_matches(pair, epsilon).values()] == [2] * 6


def test_the_constants_at_a_right_angle():
    assert uniqueness.paper_constant(np.pi / 2) == 3
    assert uniqueness.sharp_constant(np.pi / 2) == pytest.approx(np.sqrt(2))
