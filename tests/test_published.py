"""The yardstick is right: the plain published algorithms against brute force, and against the engine."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import published
from helpers import matching
from helpers.matching import peeling
from helpers.matching.definitions import all_matches, minimal
from helpers.subspaces import Pair

EPSILONS = [0.15, 0.3, 0.5]
SLACK = 1e-7  # of helpers.matching.definitions.is_match: the same threshold for both


def instance(seed: int, n: int, m: int, samples: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two layers over shared features, each neuron with its own share of noise; some after a ReLU, one dead."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(max(2, n // 2), samples))
    sides = [
        rng.normal(size=(k, len(shared))) @ shared + 10 ** rng.uniform(-2, 0.5, (k, 1)) * rng.normal(size=(k, samples))
        for k in (n, m)
    ]
    if seed % 2:
        sides = [np.maximum(side, 0) for side in sides]
    if seed % 3 == 0:
        sides[0][0] = 0
    return sides[0], sides[1]


def as_set(kept: published.Kept) -> frozenset:
    return frozenset(published.names(kept))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(EPSILONS))
def test_against_brute_force(seed, epsilon):
    x, y = instance(seed, 4, 4)
    matches = all_matches(x, y, epsilon)
    reach = epsilon + SLACK
    everything = published.maximum_match(x, y, reach)
    assert as_set(everything) == frozenset().union(*matches)
    for v in published.names(everything):
        assert as_set(published.minimal_match(x, y, v, reach)) in minimal(matches, v)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(EPSILONS))
def test_against_the_engine(seed, epsilon):
    x, y = instance(seed, 10, 8, samples=200)
    largest = matching.maximum_match(x, y, epsilon)
    reach = peeling.reach(Pair.from_arrays(x, y), epsilon)
    assert as_set(published.maximum_match(x, y, reach)) == {("x", i) for i in largest.x} | {("y", j) for j in largest.y}
    for v, kept in published.minimal_match_of_each(x, y, reach).items():
        smallest = matching.minimal_match(x, y, v, epsilon)
        assert (kept[0].tolist(), kept[1].tolist()) == (smallest.x.tolist(), smallest.y.tolist())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_order_of_trials_decides_which_minimal_match_is_found(seed):
    x, y = instance(seed, 5, 4)
    everything = published.names(published.maximum_match(x, y, 0.4 + SLACK))
    order = [everything[k] for k in np.random.default_rng(seed).permutation(len(everything))]
    matches = all_matches(x, y, 0.4)
    for v in everything[:3]:
        assert as_set(published.minimal_match(x, y, v, 0.4 + SLACK, order)) in minimal(matches, v)


def test_distances_at_the_edges():
    z = np.array([[3.0, 4.0], [0.0, 0.0]])
    np.testing.assert_allclose(published.relative_distances(z, np.array([[2.0, 0.0]])), [0.8, np.inf])
    np.testing.assert_allclose(published.relative_distances(z[:1], np.zeros((0, 2))), [1.0])
    assert published.relative_distances(np.zeros((0, 2)), z).shape == (0,)


def test_no_minimal_match_outside_the_maximum_match():
    x, y = np.eye(3)[:2], np.eye(3)[1:2]
    assert published.minimal_match(x, y, ("x", 0), 0.1) is None
    kept = published.minimal_match(x, y, ("x", 1), 0.1)
    assert kept is not None
    assert as_set(kept) == {("x", 1), ("y", 0)}


@pytest.mark.parametrize("neuron", [("x", 1), ("y", 0)])
def test_naming_neurons(neuron):
    kept = np.array([1]), np.array([0, 2])
    assert published.holds(kept, neuron)
    assert not published.holds(published.less(kept, neuron), neuron)
