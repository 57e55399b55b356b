"""The statements of the chapter on algorithms: pseudo-code against brute force, the engine against the pseudo-code."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from helpers.matching import (
    critical_epsilons,
    essential_neurons,
    minimal_match,
    minimal_match_of_each,
    minimal_matches,
    smallest_match,
)
from helpers.matching.definitions import Distances, all_matches, minimal
from helpers.pages.chapters.families import general_position, switches
from helpers.pages.chapters.pseudocode import Plain, biased, dominoes, hitting_sets, reaching
from helpers.subspaces import Pair

few = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 10**6)
REACHES = st.sampled_from([0.2, 0.4, 0.6, 0.8])


def layers(seed, n_x=4, n_y=3):
    """Layers that share three directions, with a copy in some; independent, noisy and dependent ones occur."""
    rng = np.random.default_rng(seed)
    shared, noise = rng.normal(size=(3, 10)), rng.choice([0.05, 0.3, 0.6])
    x = rng.normal(size=(n_x, 3)) @ shared + noise * rng.normal(size=(n_x, 10))
    y = rng.normal(size=(n_y, 3)) @ shared + noise * rng.normal(size=(n_y, 10))
    if seed % 3 == 0:
        x[-1] = -2 * x[0]
    return x, y


def shuffled(names, seed):
    names = sorted(names)
    return [names[k] for k in np.random.default_rng(seed).permutation(len(names))]


def matched_instance(seed, epsilon):
    """Layers, all their matches, and the neurons of the maximum match; examples without any are passed over."""
    x, y = layers(seed)
    matches = all_matches(x, y, epsilon)
    assume(len(matches) > 1)
    return x, y, matches, sorted(matches[-1])


# ---------------------------------------------------------------- one minimal match


@pytest.mark.statement("alg-min", "thm-min-correct")
@few
@given(SEEDS, REACHES, SEEDS)
def test_min_match_is_minimal_in_any_order(seed, epsilon, order):
    x, y, matches, members = matched_instance(seed, epsilon)
    for v in members:
        match = Plain(x, y, epsilon).min_match(v, order=shuffled(members, order))
        assert match in minimal(matches, v)


@pytest.mark.statement("alg-min")
@few
@given(SEEDS, REACHES, SEEDS)
def test_engine_gives_what_the_pseudo_code_gives_in_the_same_order(seed, epsilon, order):
    x, y, _, members = matched_instance(seed, epsilon)
    order_of_engine = [members[k] for k in np.random.default_rng(order).permutation(len(members))]
    for v in members:
        match = minimal_match(x, y, v, epsilon, np.random.default_rng(order))
        assert frozenset(match.neurons) == Plain(x, y, epsilon).min_match(v, order=order_of_engine)
        assert frozenset(minimal_match(x, y, v, epsilon).neurons) == Plain(x, y, epsilon).min_match(v)


def test_min_match_of_an_unmatched_neuron_is_none():
    plain = Plain(*dominoes(6), 0.75)
    assert plain.min_match(("x", 2)) is None
    assert plain.min_match(("x", 0)) == frozenset({("x", 0), ("y", 0)})
    assert minimal_match(*dominoes(6), ("x", 2), 0.75) is None


@pytest.mark.statement("thm-min-correct")
@few
@given(SEEDS, REACHES, SEEDS)
def test_a_rejected_trial_stays_rejected(seed, epsilon, order):
    """The step of the proof that allows one pass: v falls without u, now and in every smaller match."""
    x, y, _, members = matched_instance(seed, epsilon)
    plain = Plain(x, y, epsilon)
    v = members[0]
    plain.min_match(v, order=shuffled(members, order))
    rejected = set()
    for trial in plain.trials:
        rejected |= set() if trial.kept else {trial.tried}
        for u in rejected & trial.left:
            assert v not in plain.max_match(trial.left - {u})


# ---------------------------------------------------------------- random orders


@pytest.mark.statement("alg-random-min", "prp-random-reach")
@few
@given(SEEDS, REACHES)
def test_every_minimal_match_is_reached_by_trying_its_own_neurons_last(seed, epsilon):
    x, y, matches, members = matched_instance(seed, epsilon)
    for v in members[:3]:
        for m in minimal(matches, v):
            order = [*sorted(set(members) - m), *sorted(m)]
            assert Plain(x, y, epsilon).min_match(v, order=order) == m


@pytest.mark.statement("alg-random-min", "prp-random-reach")
def test_random_orders_find_all_and_nothing_else():
    x, y = switches(3, 2, 0.2)
    epsilon = np.sin(0.2) + 1e-3
    plain, rng = Plain(x, y, epsilon), np.random.default_rng(0)
    drawn = {plain.random_min_match(("x", 0), rng) for _ in range(80)}
    assert drawn == {frozenset(m.neurons) for m in minimal_matches(x, y, ("x", 0), epsilon)}
    assert len(drawn) == 2**3


@pytest.mark.statement("prp-random-reach")
def test_orders_are_uniform_and_matches_are_not():
    """The example of the proposition, all 120 orders: 84 give the pair, 18 each of the two larger matches."""
    x, y = biased()
    others = [("x", 1), ("y", 0), ("y", 1), ("y", 2), ("y", 3)]
    counts = Counter(Plain(x, y, 0.0).min_match(("x", 0), order=order) for order in permutations(others))
    assert {tuple(sorted(m)): k for m, k in counts.items()} == {
        (("x", 0), ("y", 0)): 84,
        (("x", 0), ("x", 1), ("y", 1), ("y", 3)): 18,
        (("x", 0), ("x", 1), ("y", 2), ("y", 3)): 18,
    }


# ---------------------------------------------------------------- all minimal matches


@pytest.mark.statement("alg-all-min", "thm-all-min-correct")
@few
@given(SEEDS, REACHES)
def test_all_min_match_finds_exactly_the_minimal_matches(seed, epsilon):
    x, y, matches, members = matched_instance(seed, epsilon)
    for v in members:
        listed = Plain(x, y, epsilon).all_min_match(v)
        assert len(listed) == len(set(listed))
        assert set(listed) == set(minimal(matches, v))


@pytest.mark.statement("alg-split", "thm-split-correct")
@few
@given(SEEDS, REACHES)
def test_splitting_lists_each_minimal_match_once(seed, epsilon):
    x, y, matches, members = matched_instance(seed, epsilon)
    for v in members:
        listed = list(Plain(x, y, epsilon).split(v))
        assert len(listed) == len(set(listed))
        assert set(listed) == set(minimal(matches, v))
        assert {frozenset(m.neurons) for m in minimal_matches(x, y, v, epsilon)} == set(listed)


@pytest.mark.statement("thm-split-correct")
def test_splitting_a_wide_layer_lists_every_choice():
    x, y = general_position(4, 2)
    listed = list(Plain(x, y, 0.0, slack=1e-7).split(("x", 0)))
    assert len(listed) == len(set(listed)) == 3 * 6


@pytest.mark.statement("thm-all-min-correct")
@few
@given(st.lists(st.frozensets(st.integers(0, 5), min_size=1, max_size=4), min_size=1, max_size=4))
def test_hitting_sets_are_all_the_smallest_ones(sets):
    v = ("y", 0)
    matches = [frozenset(("x", i) for i in s) | {v} for s in sets]
    every = {frozenset(("x", i) for i in range(6) if mask >> i & 1) for mask in range(64)}
    hitting = {h for h in every if all(h & m for m in matches)}
    assert set(hitting_sets(matches, v)) == {h for h in hitting if not any(g < h for g in hitting)}


# ---------------------------------------------------------------- deletion, violations, essential neurons


@pytest.mark.statement("lem-deletion-update")
@few
@given(SEEDS, st.sampled_from([1e-8, 1e-3, 0.3]))
def test_deleting_one_basis_neuron_updates_the_squares_and_the_inverse(seed, ridge):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(6, 12))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    basis, gram = z[:5], z[:5] @ z[:5].T + ridge * np.eye(5)
    P, r = np.linalg.inv(gram), Distances(z[5:], basis, ridge)
    a = P @ basis @ z[5]
    everyone = frozenset(("y", j) for j in range(5))
    for j in range(5):
        rest = everyone - {("y", j)}
        assert r(("x", 0), rest) ** 2 == pytest.approx(r(("x", 0), everyone) ** 2 + a[j] ** 2 / P[j, j], abs=1e-9)
        keep = [k for k in range(5) if k != j]
        smaller = P - np.outer(P[:, j], P[j]) / P[j, j]
        np.testing.assert_allclose(smaller[np.ix_(keep, keep)], np.linalg.inv(gram[np.ix_(keep, keep)]), atol=1e-6)


@pytest.mark.statement("def-violation", "prp-essential")
@few
@given(SEEDS, REACHES)
def test_whatever_reaches_v_is_in_every_match_that_holds_v(seed, epsilon):
    x, y, matches, members = matched_instance(seed, epsilon)
    plain = Plain(x, y, epsilon)
    edges = plain.violations(frozenset(members))
    for v in members:
        essential = frozenset.intersection(*(m for m in matches if v in m))
        assert reaching(edges, [v]) <= essential
        for u in edges:
            assert (v in edges[u]) == (u[0] != v[0] and plain.r(v, frozenset(members) - {u}) > plain.limit)


@pytest.mark.statement("prp-essential")
def test_the_converse_fails():
    """The counter-example of the proof: x2 is essential to x1, to which no arrow leads."""
    x, y = np.eye(2), np.array([[1.0, 1], [1, 2], [0, 1]])
    plain, v = Plain(x, y, 0.0), ("x", 0)
    edges = plain.violations(plain.max_match())
    assert edges["x", 1] == frozenset({("y", 0), ("y", 1), ("y", 2)})
    assert reaching(edges, [v]) == frozenset({v})
    assert essential_neurons(x, y, 0.0, few_samples=True)[v] == frozenset({v, ("x", 1)})


@pytest.mark.statement("prp-essential")
@few
@given(SEEDS, REACHES, SEEDS)
def test_after_a_rejected_trial_all_that_reaches_it_is_rejected(seed, epsilon, order):
    x, y, _, members = matched_instance(seed, epsilon)
    plain, v = Plain(x, y, epsilon), members[-1]
    plain.min_match(v, order=shuffled(members, order))
    for trial in [t for t in plain.trials if not t.kept]:
        for u in reaching(plain.violations(trial.before), [v, trial.tried]) - {v}:
            assert v not in plain.max_match(trial.before - {u})


# ---------------------------------------------------------------- all v in one pass


@pytest.mark.statement("alg-all-v", "prp-all-v")
@few
@given(SEEDS, REACHES, SEEDS)
def test_one_ordered_pass_gives_what_separate_passes_give(seed, epsilon, order):
    x, y, _, members = matched_instance(seed, epsilon)
    plain, match = Plain(x, y, epsilon), frozenset(members)
    trials = shuffled(members, order)
    together = plain.min_match_of_each(match, match, trials)
    shared = len(plain.trials)
    assert together == {v: plain.min_match(v, order=trials) for v in members}
    assert shared <= len(plain.trials) - shared
    engine = minimal_match_of_each(x, y, epsilon, np.random.default_rng(order))
    in_engine_order = [members[k] for k in np.random.default_rng(order).permutation(len(members))]
    assert {v: frozenset(m.neurons) for v, m in engine.items()} == plain.min_match_of_each(
        match, match, in_engine_order
    )


# ---------------------------------------------------------------- cost


@pytest.mark.statement("prp-rounds")
@few
@given(SEEDS, REACHES, st.integers(2, 6), st.integers(2, 6))
def test_max_match_needs_at_most_one_round_more_than_it_deletes(seed, epsilon, n_x, n_y):
    plain = Plain(*layers(seed, n_x, n_y), epsilon)
    match = plain.max_match()
    assert plain.deleted == n_x + n_y - len(match)
    assert plain.rounds <= plain.deleted + 1


@pytest.mark.statement("prp-rounds")
@given(st.integers(3, 14))
@settings(deadline=None, max_examples=8)
def test_dominoes_fall_one_by_one(count):
    plain = Plain(*dominoes(count), 0.75)
    assert plain.max_match() == frozenset({("x", 0), ("y", 0)})
    assert (plain.rounds, plain.deleted) == (count - 1, count - 2)


@pytest.mark.statement("prp-cost")
@few
@given(SEEDS, REACHES)
def test_min_match_stays_within_its_trials_and_deletions(seed, epsilon):
    x, y, _, members = matched_instance(seed, epsilon)
    size = len(members)
    for v in members:
        plain = Plain(x, y, epsilon)
        plain.min_match(v, frozenset(members))
        accepted = [t for t in plain.trials if t.kept]
        assert len(plain.trials) <= size - 1
        assert plain.deleted + len(plain.trials) <= (size - 1) * size
        assert sum(len(t.before - t.left) for t in accepted) <= size - 1


@pytest.mark.statement("prp-cost")
def test_the_peel_answers_every_epsilon_at_once():
    x, y = layers(1, 6, 5)
    critical = dict(zip("xy", critical_epsilons(x, y), strict=True))
    for epsilon in np.linspace(0.05, 0.95, 19):
        match = Plain(x, y, epsilon).max_match()
        assert match == {(s, i) for s in "xy" for i in np.flatnonzero(critical[s] <= epsilon + 1e-9)}


def test_the_smallest_found_and_its_bound_hold_all_random_ones():
    x, y = switches(3, 2, 0.2)
    epsilon = np.sin(0.2) + 1e-3
    best = smallest_match(Pair.from_arrays(x, y), ("x", 0), epsilon)
    sizes = [len(minimal_match(x, y, ("x", 0), epsilon, np.random.default_rng(k))) for k in range(20)]
    assert best.lower_bound <= len(best.match) <= min(sizes)
