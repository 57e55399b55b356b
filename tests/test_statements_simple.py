"""The statements of chapters 4 and 5 by label: random instances against brute force, and what fails without."""

from functools import reduce
from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from helpers.errors import BadInput
from helpers.matching import (
    Match,
    decompose,
    essential_neurons,
    largest_match_inside,
    maximum_match,
    minimal_matches,
    minimum_matches,
    simple_matches,
    uniqueness,
    v_minimum_match,
)
from helpers.matching import is_simple as fast_is_simple
from helpers.matching.definitions import (
    Distances,
    all_matches,
    all_neurons,
    is_match_by_definition,
    minimal,
    relative_distance,
    simple,
    subsets,
)
from helpers.pages.chapters import families, lattice
from helpers.subspaces import Pair

few = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 10**6)
reaches = st.sampled_from([0.1, 0.3, 0.6])


def random_pair(seed):
    """Four and three neurons that share three directions up to noise; x4 is a copy of x1, so dependence occurs."""
    rng = np.random.default_rng(seed)
    shared, noise = rng.normal(size=(3, 12)), rng.choice([0.0, 0.05, 0.3])
    x = rng.normal(size=(4, 3)) * rng.integers(0, 2, (4, 3)) @ shared + noise * rng.normal(size=(4, 12))
    y = rng.normal(size=(3, 3)) * rng.integers(0, 2, (3, 3)) @ shared + noise * rng.normal(size=(3, 12))
    x[3] = x[0]
    return x, y


def planted_pair(seed, noise):
    """Three independent neurons y and up to three x, each a mixture of some of the y, up to noise."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(3, 9))
    mix = rng.normal(size=(3, 3)) * rng.integers(0, 2, (3, 3))
    x = mix[np.abs(mix).sum(axis=1) > 0] @ y
    scale = np.linalg.norm(x, axis=1, keepdims=True) / 3
    return x + noise * scale * rng.normal(size=x.shape), y


def full_rank(*layers):
    return all(len(z) and np.linalg.matrix_rank(z, tol=1e-6) == len(z) for z in layers)


def meet(sets):
    return reduce(frozenset.intersection, sets)


def as_set(match):
    return frozenset(match.neurons)


def closed(matches):
    return not lattice.broken_intersections(matches)


def theta(x, y):
    """Both sides are θ-strongly independent with this θ, exactly."""
    return min(uniqueness.strong_independence(z @ z.T).lower for z in (x, y))


def every_distance(x, y):
    """r(v, B) for every neuron v and every subset B of the other side, sorted."""
    r, names = Distances(x, y), all_neurons(x, y)
    distances = [r(v, s) for s in subsets(names) for v in names if all(u[0] != v[0] for u in s)]
    return np.unique(np.round(distances, 9))


# ---------------------------------------------------------------- chapter 4: simple matches


@pytest.mark.statement("def-simple")
@few
@given(seeds, reaches)
def test_simple_matches_are_found_word_for_word(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    assert {as_set(m) for m in simple_matches(x, y, epsilon)} == set(simple(matches))
    assert all(fast_is_simple(x, y, Match.of(m), epsilon) == (m in simple(matches)) for m in matches)


@pytest.mark.statement("def-minimal")
@few
@given(seeds, reaches)
def test_minimal_matches_are_found_word_for_word(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    for v in all_neurons(x, y):
        assert {as_set(m) for m in minimal_matches(x, y, v, epsilon)} == set(minimal(matches, v))


@pytest.mark.statement("def-minimum")
@few
@given(seeds, reaches)
def test_the_minimum_match_lies_inside_every_match_that_holds_v(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    for v in all_neurons(x, y):
        match = v_minimum_match(x, y, v, epsilon)
        least = [m for m in matches if v in m and all(m <= other for other in matches if v in other)]
        assert ([] if match is None else [as_set(match)]) == least
        assert bool(least) == (len(minimal(matches, v)) == 1)


@pytest.mark.statement("lem-minimal-exists")
@few
@given(seeds, reaches)
def test_every_match_that_holds_v_holds_a_minimal_one(seed, epsilon):
    matches = all_matches(*random_pair(seed), epsilon)
    assert all(any(s <= m for s in minimal(matches, v)) for m in matches for v in m)


@pytest.mark.statement("thm-simple-minimal")
@few
@given(seeds, reaches)
def test_simple_is_minimal_for_some_neuron(seed, epsilon):
    matches = all_matches(*random_pair(seed), epsilon)
    every_v = {v for m in matches for v in m}
    assert set(simple(matches)) == {s for v in every_v for s in minimal(matches, v)}


@pytest.mark.statement("thm-decomposition")
@few
@given(seeds, reaches)
def test_a_match_is_the_union_of_the_simple_ones_inside(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    for m in matches:
        inside = [s for s in simple(matches) if s <= m]
        assert frozenset().union(*inside) == m
        parts = [as_set(p) for p in decompose(x, y, Match.of(m), epsilon)]
        assert frozenset().union(*parts) == m
        assert set(parts) <= set(inside)


@pytest.mark.statement("cor-generators")
@few
@given(seeds, reaches)
def test_the_simple_matches_generate_and_none_can_be_spared(seed, epsilon):
    matches = all_matches(*random_pair(seed), epsilon)
    atoms = simple(matches)
    assert set(lattice.unions(atoms)) == set(matches)
    assert len(matches) <= 2 ** len(atoms)
    for spared in atoms:
        assert spared not in lattice.unions(m for m in matches if m != spared)


@pytest.mark.statement("prp-lattice")
@few
@given(seeds, reaches)
def test_join_is_the_union_and_meet_the_maximum_match_inside_the_intersection(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    for a, b in combinations(matches, 2):
        assert a | b in matches
        common = [m for m in matches if m <= a & b]
        below = as_set(largest_match_inside(x, y, Match.of(a & b), epsilon))
        assert below in common
        assert all(m <= below for m in common)


@pytest.mark.statement("prp-few")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_twins_have_one_simple_match_a_pair(n):
    matches = all_matches(*families.twins(n), 0.0)
    assert set(simple(matches)) == {frozenset([("x", i), ("y", i)]) for i in range(n)}
    assert len(matches) == 2**n
    x, y = families.switches(n, copies=1)
    assert all_matches(x, y, 0.0) == [frozenset(), all_neurons(x, y)]


@pytest.mark.statement("prp-many")
@pytest.mark.parametrize(("k", "copies"), [(1, 3), (2, 2), (3, 2), (2, 3)])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_switches_have_exponentially_many_simple_matches(k, copies, angle):
    x, y = families.switches(k, copies, angle)
    assert full_rank(x)
    assert full_rank(y) == (angle > 0 or copies == 1)
    for epsilon in (np.sin(angle), 0.999 / np.sqrt(k + 3)):
        matches = all_matches(x, y, epsilon)
        assert len(matches) == (2**copies - 1) ** k + 1
        assert len(simple(matches)) == len(minimal(matches, ("x", 0))) == copies**k
        assert {len(m) for m in simple(matches)} == {2 * k}
    assert k == 1 or len(all_matches(x, y, 0.9)) > len(matches)


@pytest.mark.statement("prp-many")
def test_the_engine_counts_what_the_proof_says():
    x, y = families.switches(7, angle=0.2)
    assert len(simple_matches(x, y, np.sin(0.2) + 1e-3, limit=None)) == 2**7


@pytest.mark.statement("prp-wide")
@pytest.mark.parametrize(("n", "k"), [(3, 1), (3, 2), (4, 2), (3, 3)])
def test_wide_layers_have_binomially_many_simple_matches(n, k):
    x, y = families.general_position(n, k)
    matches = all_matches(x, y, 0.0)
    assert len(simple(matches)) == comb(n, k) ** 2 == len(simple_matches(x, y, 0.0, limit=None, few_samples=True))
    assert len(minimal(matches, ("x", 0))) == comb(n - 1, k - 1) * comb(n, k)
    assert len(matches) == sum(comb(n, j) for j in range(k, n + 1)) ** 2 + 1


def test_families_refuse_impossible_sizes():
    with pytest.raises(BadInput, match="k is 0"):
        families.switches(0)
    with pytest.raises(BadInput, match="k is 4, n 3"):
        families.general_position(3, 4)


def test_a_lattice_is_drawn_by_its_covers_and_ranks():
    matches = all_matches(*families.twins(2), 0.0)
    empty, a, b, whole = matches
    assert set(lattice.covers(matches)) == {(empty, a), (empty, b), (a, whole), (b, whole)}
    assert [lattice.ranks(matches)[m] for m in matches] == [0, 1, 1, 2]
    assert len(set(lattice.positions(matches).values())) == 4


def test_the_moving_lattice_shows_each_state_and_marks_simple_matches_by_colour():
    x, y = families.switches(2, 2, 0.2)
    epsilons = [0.1, 0.3]
    figure = lattice.lattice_figure(x, y, epsilons)
    for frame, epsilon in zip(figure.frames, epsilons, strict=True):
        matches = all_matches(x, y, epsilon)
        lines, others, simples = frame.data
        assert len(others.x) + len(simples.x) == len(matches)
        assert len(simples.x) == len(simple(matches))
        assert len(lines.x) == 3 * len(lattice.covers(matches))
    assert figure.frames[1].layout.title.text == "10 matches, 4 of them simple"


# ---------------------------------------------------------------- chapter 5: uniqueness


@pytest.mark.statement("prp-unique")
@few
@given(seeds, reaches)
def test_closed_under_intersection_means_minimum_matches(seed, epsilon):
    matches = all_matches(*random_pair(seed), epsilon)
    largest = matches[-1]
    least = {v: meet([m for m in matches if v in m]) for v in largest}
    assert closed(matches) == all(m in matches for m in least.values())
    assert closed(matches) == all(len(minimal(matches, v)) == 1 for v in largest)
    if closed(matches):
        assert set(simple(matches)) == set(least.values())


@pytest.mark.statement("thm-intersection-exact")
@few
@given(seeds)
def test_exact_matches_of_independent_sides_are_closed(seed):
    x, y = planted_pair(seed, 0.0)
    assume(full_rank(x, y))
    assert closed(all_matches(x, y, 0.0))


@pytest.mark.statement("thm-intersection-exact")
def test_a_duplicate_breaks_closure():
    matches = all_matches(np.eye(1), np.ones((2, 1)), 0.0)
    assert len(lattice.broken_intersections(matches)) == 1


@pytest.mark.statement("prp-partners")
@few
@given(seeds)
def test_exact_matches_pair_their_neurons(seed):
    x, y = planted_pair(seed, 0.0)
    assume(full_rank(x, y))
    matches = all_matches(x, y, 0.0)
    halves = {(sum(v[0] == "x" for v in m), sum(v[0] == "y" for v in m)) for m in matches}
    assert all(a == b for a, b in halves)
    assert len(simple(matches)) <= len(matches[-1]) // 2
    for s in simple(matches):
        generators = [v for v in s if minimal(matches, v) == [s]]
        assert len([v for v in generators if v[0] == "x"]) == len([v for v in generators if v[0] == "y"])


@pytest.mark.statement("def-angle")
@few
@given(seeds, st.integers(1, 3), st.integers(1, 3))
def test_angle_is_the_smallest_principal_angle(seed, a, b):
    z = np.random.default_rng(seed).normal(size=(a + b, 8))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    angle = uniqueness.angle(z @ z.T, range(a), range(a, a + b))
    assert angle == pytest.approx(subspace_angles(z[:a].T, z[a:].T).min(), abs=1e-5)


@pytest.mark.statement("def-strong")
@few
@given(seeds)
def test_strong_independence_is_the_worst_angle_over_all_disjoint_sets(seed):
    z = np.random.default_rng(seed).normal(size=(4, 6))
    parts = [s for size in range(1, 4) for s in combinations(range(4), size)]
    pairs = [(a, b) for a in parts for b in parts if not set(a) & set(b)]
    worst = min(subspace_angles(z[list(a)].T, z[list(b)].T).min() for a, b in pairs)
    theta = uniqueness.strong_independence(z @ z.T)
    assert theta.lower == theta.upper == pytest.approx(worst, abs=1e-5)


@pytest.mark.statement("def-strong")
def test_dependent_or_dead_neurons_are_not_strongly_independent():
    z = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert uniqueness.strong_independence(z @ z.T).upper < 1e-4
    with pytest.raises(BadInput, match="neuron 1 is dead"):
        uniqueness.strong_independence(np.diag([1.0, 0.0]))


@pytest.mark.statement("lem-cut")
@few
@given(seeds)
def test_larger_sets_have_smaller_angles(seed):
    z = np.random.default_rng(seed).normal(size=(6, 8))
    gram = z @ z.T
    assert uniqueness.angle(gram, [0, 1, 2], [3, 4]) <= uniqueness.angle(gram, [0, 1], [3]) + 1e-6


@pytest.mark.statement("def-stable")
@few
@given(seeds, reaches)
def test_chains_of_all_orders_see_every_distance(seed, epsilon):
    x, y = planted_pair(seed, 0.2)
    exact = every_distance(x, y)
    seen = uniqueness.subset_distances(Pair.from_arrays(x, y), chains=60)
    reach = uniqueness.stability_reach(seen, epsilon)
    assert reach == pytest.approx(uniqueness.stability_reach(exact, epsilon), abs=1e-4)
    assert not ((exact > epsilon + 1e-6) & (exact < reach - 1e-4)).any()
    assert uniqueness.stability_reach(seen, epsilon) <= 1


@pytest.mark.statement("lem-two-spans")
@few
@given(seeds, st.sampled_from([0.3, 1.0, 3.0]))
def test_near_two_spans_is_near_their_common_span(seed, closeness):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(4, 5)) + closeness * rng.normal(size=5)
    z, angle = rng.normal(size=5), uniqueness.strong_independence(y @ y.T).lower
    for a, b in combinations(subsets(("y", j) for j in range(4)), 2):
        near = max(relative_distance(z, y[[j for _, j in sorted(s)]]) for s in (a, b))
        common = relative_distance(z, y[[j for _, j in sorted(a & b)]])
        assert common <= near / np.sin(angle / 2) * (1 + 1e-6) + 1e-9
        assert 1 / np.sin(angle / 2) <= 2 / np.sin(angle) + 1


def hypotheses_hold(x, y, constant):
    """Pairs of all ε (each distance in turn is taken for ε) at which the pair is (ε, constant(θ)·ε)-stable."""
    distances, factor = every_distance(x, y), constant(theta(x, y))
    return [a for a, b in pairwise(distances) if factor * (a + 1e-7) < b - 1e-7]


def closed_at_all(x, y, constant):
    """How many ε > 0 the theorem speaks about with a non-empty match; it must be right about each."""
    spoken = 0
    for epsilon in hypotheses_hold(x, y, constant):
        matches = all_matches(x, y, epsilon)
        assert closed(matches), (epsilon, theta(x, y))
        spoken += epsilon > 1e-6 and len(matches) > 1
    return spoken


@pytest.mark.statement("thm-intersection")
def test_strong_independence_and_stability_close_matches():
    pairs = [planted_pair(seed, 0.01) for seed in range(30)]
    assert sum(closed_at_all(x, y, uniqueness.paper_constant) for x, y in pairs if full_rank(x, y)) > 5


@pytest.mark.statement("thm-intersection")
def test_without_stability_orthonormal_neurons_are_not_enough():
    x, y = families.bisector(np.pi / 2)
    assert theta(x, y) == pytest.approx(np.pi / 2, abs=1e-5)
    assert not closed(all_matches(x, y, np.sin(np.pi / 4)))


@pytest.mark.statement("thm-intersection")
@pytest.mark.parametrize("factor", [5.0, 50.0])
def test_without_strong_independence_stability_is_not_enough(factor):
    angle = 2 * np.arcsin(0.99 / factor)
    x, y = families.bisector(angle)
    epsilon = np.sin(angle / 2)
    distances = every_distance(x, y)
    assert not ((distances > epsilon + 1e-6) & (distances <= factor * epsilon)).any()
    assert not closed(all_matches(x, y, epsilon))


@pytest.mark.statement("thm-sharp")
def test_the_smaller_constant_is_enough():
    pairs = [planted_pair(seed, noise) for seed in range(25) for noise in (0.01, 0.05)]
    assert sum(closed_at_all(x, y, uniqueness.sharp_constant) for x, y in pairs if full_rank(x, y)) > 10


@pytest.mark.statement("thm-sharp")
@given(st.floats(0.05, np.pi / 2))
@few
def test_no_smaller_constant_is_enough(angle):
    x, y = families.bisector(angle)
    epsilon = np.sin(angle / 2)
    assert theta(x, y) == pytest.approx(angle, abs=1e-5)
    assert not closed(all_matches(x, y, epsilon))
    assert uniqueness.stability_reach(every_distance(x, y), epsilon + 1e-6) == pytest.approx(1.0)
    assert uniqueness.sharp_constant(angle) * epsilon == pytest.approx(1.0)


@pytest.mark.statement("thm-sharp")
@pytest.mark.parametrize(("angle", "gamma"), [(0.4, 0.05), (1.0, 0.05), (1.5, 0.02)])
def test_nor_at_small_epsilon(angle, gamma):
    x, y = families.hinge(angle, gamma)
    distances = every_distance(x, y)
    epsilon = np.sin(gamma) * np.sin(angle / 2) / np.sqrt(1 - (np.sin(gamma) * np.cos(angle / 2)) ** 2)
    assert not closed(all_matches(x, y, epsilon))
    assert uniqueness.stability_reach(distances, epsilon + 1e-7) == pytest.approx(np.sin(gamma), abs=1e-6)
    assert np.sin(gamma) / epsilon == pytest.approx(uniqueness.sharp_constant(angle), rel=2 * gamma)
    assert theta(x, y) == pytest.approx(angle, abs=2 * gamma)


@pytest.mark.statement("prp-graph")
def test_unique_matches_are_the_closed_sets_of_a_graph():
    seen = 0
    for seed in range(40):
        x, y = planted_pair(seed, 0.02)
        if not full_rank(x, y):
            continue
        r, names = Distances(x, y), all_neurons(x, y)
        for epsilon in hypotheses_hold(x, y, uniqueness.sharp_constant):
            graph = lattice.needs(r, names, epsilon + 1e-7)
            for s in subsets(names):
                assert is_match_by_definition(r, s, epsilon) == all(v in graph and graph[v] <= s for v in s)
            seen += 1
    assert seen > 20


@pytest.mark.statement("prp-graph")
def test_without_the_hypotheses_needs_are_not_enough():
    x, y = families.bisector(1.0)
    graph = lattice.needs(Distances(x, y), all_neurons(x, y), np.sin(0.5) + 1e-7)
    assert graph[("x", 0)] == frozenset()
    assert lattice.closure({("x", 0): frozenset([("y", 0)])}, ("x", 0)) is None


@pytest.mark.statement("thm-uniqueness")
def test_consequences_of_uniqueness():
    seen = 0
    for seed in range(40):
        x, y = planted_pair(seed, 0.02)
        if not full_rank(x, y):
            continue
        for epsilon in hypotheses_hold(x, y, uniqueness.sharp_constant):
            matches = all_matches(x, y, epsilon)
            graph = lattice.needs(Distances(x, y), all_neurons(x, y), epsilon + 1e-7)
            closures = {v: lattice.closure(graph, v) for v in matches[-1]}
            assert all(minimal(matches, v) == [m] for v, m in closures.items())
            assert set(simple(matches)) == set(closures.values())
            assert len(simple(matches)) <= max(len(matches[-1]) - 1, 0)
            seen += len(matches) > 1
    assert seen > 20


@pytest.mark.statement("thm-uniqueness")
def test_more_simple_matches_than_neurons_without_uniqueness():
    x, y = families.switches(4, angle=0.2)
    assert len(simple_matches(x, y, np.sin(0.2) + 1e-3)) > len(x) + len(y)


@pytest.mark.statement("lem-wielandt")
@few
@given(seeds, st.integers(2, 6))
def test_the_condition_number_bounds_theta(seed, n):
    z = np.random.default_rng(seed).normal(size=(n, 8))
    unit = uniqueness.unit_gram(z @ z.T)
    bound, kappa = uniqueness.condition_angle(unit), np.linalg.cond(unit)
    assert bound <= uniqueness.strong_independence(unit).lower + 1e-6
    assert np.tan(bound / 2) == pytest.approx(1 / np.sqrt(kappa))
    assert uniqueness.sharp_constant(bound) == pytest.approx(np.sqrt(1 + kappa))


@pytest.mark.statement("lem-wielandt")
def test_the_bound_is_attained_by_two_neurons():
    y = families.bisector(0.7)[1]
    assert uniqueness.condition_angle(y @ y.T) == pytest.approx(0.7)


@pytest.mark.statement("lem-chain")
@few
@given(seeds)
def test_one_factorisation_gives_the_whole_chain(seed):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(7, 9))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    order = rng.permutation(5)
    chain = uniqueness.chain_distances(z @ z.T, order, np.array([5, 6]))
    slow = [[relative_distance(z[t], z[order[:k]]) for t in (5, 6)] for k in range(6)]
    np.testing.assert_allclose(chain, slow, atol=1e-5)
    assert (np.diff(chain, axis=0) <= 1e-9).all()
    assert (chain[0] == 1).all()


@pytest.mark.statement("prp-certificate")
@few
@given(seeds, reaches)
def test_essential_neurons_decide_about_the_minimum_match(seed, epsilon):
    x, y = random_pair(seed)
    matches = all_matches(x, y, epsilon)
    essential, minimum = essential_neurons(x, y, epsilon), minimum_matches(x, y, epsilon)
    assert set(essential) == set(matches[-1]) == set(maximum_match(x, y, epsilon).neurons)
    for v, needed in essential.items():
        assert needed == meet([m for m in matches if v in m])
        assert (minimum[v] is not None) == (needed in matches) == (len(minimal(matches, v)) == 1)
