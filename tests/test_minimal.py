"""Trials: three kinds of state, any number of waiting deletions, with and without shared needs: one answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.matching import enumeration, joint, maximum_match, minimal, peeling
from helpers.subspaces import Pair
from tests.instances import KINDS, larger, layers

SEEDS = st.integers(0, 10**6)


def states(pair: Pair, epsilon: float) -> list[minimal.State]:
    """The maximum match as every kind of state."""
    members, square = joint(pair, maximum_match(pair, epsilon)), peeling.reach(pair, epsilon) ** 2
    fast = [minimal.make_state(pair, members, square, backend) for backend in peeling.BACKENDS]
    return fast + [minimal.safe(fast[0], backend) for backend in peeling.BACKENDS]


def as_tuple(members):
    return tuple(members.tolist())


def fast_pair(seed=0, n=16, shared=6):
    """No near-dependence, so that the inverse is trusted, and an ε at which almost all are matched."""
    pair = Pair.from_arrays(*larger(n, shared, seed=seed))
    return pair, min(float(np.quantile(np.concatenate(peeling.critical(pair)), 0.95)) * 1.05, 0.99)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS, epsilon=st.sampled_from([0.0, 0.1, 0.3, 0.6, 0.9]))
def test_all_states_leave_the_same_minimal_matches(kind, seed, epsilon):
    pair = Pair.from_arrays(*layers(kind, seed))
    order = np.random.default_rng(seed).permutation(len(pair.gram))
    matches = [
        {int(v): as_tuple(minimal.smallest(state, v, order)) for v in state.members} for state in states(pair, epsilon)
    ]
    assert matches[0] == matches[1] == matches[2] == matches[3]


@pytest.mark.parametrize("seed", range(3))
def test_the_inverse_is_trusted_on_ordinary_layers_and_agrees_with_factors(seed):
    pair, epsilon = fast_pair(seed)
    sweep, dense, safe, _ = states(pair, epsilon)
    assert [type(s) for s in (sweep, dense, safe)] == [minimal.SweepState, minimal.DenseState, minimal.SafeState]
    order = np.random.default_rng(seed).permutation(sweep.members)
    matches = [minimal.smallest_of_each(state, sweep.members, order) for state in (sweep, dense, safe)]
    for v in matches[0]:
        assert as_tuple(matches[0][v]) == as_tuple(matches[1][v]) == as_tuple(matches[2][v])
    assert len({as_tuple(members) for members in matches[0].values()}) > 1


@pytest.mark.parametrize("pending", [0, 1, 5, 1000])
def test_how_many_deletions_wait_does_not_matter(monkeypatch, pending):
    pair, epsilon = fast_pair(1)
    state = states(pair, epsilon)[0]
    expected = minimal.smallest_of_each(state, state.members, state.members)
    monkeypatch.setattr(minimal, "PENDING", pending)
    matches = minimal.smallest_of_each(state, state.members, state.members)
    assert {v: as_tuple(m) for v, m in matches.items()} == {v: as_tuple(m) for v, m in expected.items()}


def test_where_rounding_could_decide_factors_do():
    """A guard wider than the distances makes every trial ambiguous: the same answers, by triangular factors."""
    pair, epsilon = fast_pair(2, n=8, shared=4)
    for state in states(pair, epsilon)[:2]:
        expected = {v: as_tuple(minimal.smallest(state, v, state.members)) for v in state.members.tolist()}
        unsure = type(state)(
            pair, state.members, minimal.Threshold(state.threshold.square, 0.9), state.M, state.squares
        )
        targets = minimal.mask(len(pair.gram), state.members)
        with pytest.raises(minimal.Ambiguous):
            unsure.without(int(state.members[0]), targets, np.zeros_like(targets))
        matches = {v: as_tuple(minimal.smallest(unsure, v, state.members)) for v in expected}
        assert matches == expected
        assert minimal.essentials(unsure) == minimal.essentials(state)


def test_nearly_dependent_neurons_are_left_to_factors():
    x, y = larger(6, 3, seed=3)
    pair = Pair.from_arrays(np.vstack([x, x[0] + 1e-7 * x[1]]), y)
    assert all(isinstance(state, minimal.SafeState) for state in states(pair, 0.9))


def test_a_shrinking_match_frees_the_fast_states():
    """State after state is right against a state built afresh from the same members."""
    pair, epsilon = fast_pair(4)
    state = states(pair, epsilon)[0]
    targets = minimal.mask(len(pair.gram), state.members)
    rng = np.random.default_rng(0)
    for _ in range(10):
        u = int(rng.choice(state.members))
        smaller = minimal.try_without(state, u, targets)
        fresh = minimal.settle(pair, state.members[state.members != u], state.threshold.square)
        if smaller is None:
            assert len(fresh) == 0
            continue
        assert as_tuple(smaller.members) == as_tuple(fresh)
        rebuilt = minimal.make_state(pair, fresh, state.threshold.square)
        np.testing.assert_allclose(smaller.M, rebuilt.M, atol=1e-10)
        np.testing.assert_allclose(smaller.squares, rebuilt.squares, atol=1e-12)
        state = smaller


@pytest.mark.parametrize("backend", peeling.BACKENDS)
def test_nested_searches_find_minimal_matches(backend):
    pair, epsilon = fast_pair(5, n=8, shared=3)
    state = minimal.make_state(pair, states(pair, epsilon)[0].members, peeling.reach(pair, epsilon) ** 2, backend)
    for v, members in minimal.nested(state, state.members, state.members, backend).items():
        every = {as_tuple(np.sort(m)) for m in enumeration.Search(state, v)}
        assert as_tuple(members) in every


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_both_ways_through_the_tree_list_the_same_matches(seed):
    pair, epsilon = fast_pair(seed, n=6, shared=3)
    state = states(pair, epsilon)[0]
    v = int(state.members[seed % len(state.members)])
    listed = [list(map(as_tuple, enumeration.Search(state, v, best_first=way))) for way in (False, True)]
    assert sorted(listed[0]) == sorted(listed[1])
    assert len(set(listed[0])) == len(listed[0])


def test_a_short_memory_for_known_matches_changes_no_list(monkeypatch):
    pair, epsilon = fast_pair(6, n=8, shared=3)
    state = states(pair, epsilon)[0]
    everything = {as_tuple(m) for m in enumeration.Search(state, int(state.members[0]))}
    assert len(everything) > 5
    monkeypatch.setattr(enumeration, "RECENT", 1)
    again = [as_tuple(m) for m in enumeration.Search(state, int(state.members[0]))]
    assert len(again) == len(everything)
    assert set(again) == everything


def test_the_bound_on_what_is_to_come_rises():
    pair, epsilon = fast_pair(6, n=8, shared=3)
    state = states(pair, epsilon)[0]
    search = enumeration.Search(state, int(state.members[0]), best_first=True)
    bounds, sizes = [], []
    for members in search:
        bounds.append(search.lower_bound())
        sizes.append(len(members))
    assert bounds == sorted(bounds)
    assert search.lower_bound() == np.inf
    assert all(bound <= min(sizes[k + 1 :]) for k, bound in enumerate(bounds[:-1]))
