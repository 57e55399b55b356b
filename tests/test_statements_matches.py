"""The statements of chapters 1 to 3 by label: random instances against brute force, and what fails without."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles

from helpers.matching import critical_epsilons, maximum_match, similarity_curve
from helpers.matching.definitions import (
    Distances,
    all_matches,
    all_neurons,
    is_match_by_definition,
    relative_distance,
    subsets,
)
from helpers.networks import activations
from helpers.pages.chapters import drawings
from helpers.pages.teaching import pages
from helpers.subspaces import Pair
from tests.sources import imports_and_functions

few = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 10**6)
kinds = st.sampled_from(["shared", "relu", "copies", "dead", "few samples"])
epsilons = st.sampled_from([0.1, 0.3, 0.5, 0.8])


def layers(seed, kind):
    """Four and three neurons that share three directions up to noise."""
    rng = np.random.default_rng(seed)
    shared, noise = rng.normal(size=(3, 10)), rng.choice([0.05, 0.3, 1.0])
    x = rng.normal(size=(4, 3)) @ shared + noise * rng.normal(size=(4, 10))
    y = rng.normal(size=(3, 3)) @ shared + noise * rng.normal(size=(3, 10))
    if kind == "relu":
        return np.maximum(x, 0), np.maximum(y, 0)
    if kind == "copies":
        x[3], y[2] = -2 * x[0], x[1]
    if kind == "dead":
        x[0], y[1] = 0, 0
    return (x[:, :3], y[:, :3]) if kind == "few samples" else (x, y)


def clear(r, epsilon):
    """No distance of this small example is so near ε that rounding could decide."""
    known = [r(v, s) for s in subsets(all_neurons(r.sides["x"], r.sides["y"])) for v in s]
    return all(abs(d - epsilon) > 1e-5 for d in known if np.isfinite(d))


def from_page(page, label, **names):
    """The functions of the cell in which a page shows a statement: what readers see is what is tested."""
    (cell,) = pages.code(pages.load_notebook(pages.NOTEBOOKS / f"{page}.py"), f"shows-{label}")
    space = {"np": np, **names}
    exec(compile(imports_and_functions(cell.source), page, "exec"), space)
    return space


def as_set(match):
    return frozenset([("x", i) for i in match.x.tolist()] + [("y", j) for j in match.y.tolist()])


class MeanDirection(Distances):
    """A distance that is not monotone: to the mean direction of the other side instead of its span."""

    def __call__(self, v, pair):
        side = "y" if v[0] == "x" else "x"
        group = self.sides[side][[i for s, i in sorted(pair) if s == side]]
        return relative_distance(self.sides[v[0]][v[1]], group.sum(axis=0, keepdims=True))


AXES = np.eye(2)
AVERAGED = MeanDirection(AXES, AXES)
ONE, TWO = frozenset({("x", 0), ("y", 0)}), frozenset({("x", 1), ("y", 1)})


# ---------------------------------------------------------------- chapter 1: neurons


@pytest.mark.statement("def-activation")
def test_a_channel_is_one_neuron_and_its_maps_its_samples():
    output = torch.arange(2.0 * 3 * 2 * 2).reshape(2, 3, 2, 2)
    rows = activations.neurons(output).numpy()
    for channel in range(3):
        np.testing.assert_array_equal(rows[channel], np.concatenate([output[k, channel].ravel() for k in range(2)]))
    np.testing.assert_array_equal(activations.neurons(output[:, :, 0, 0]).numpy(), output[:, :, 0, 0].T)


@pytest.mark.statement("def-activation", "def-match")
def test_a_dead_neuron_is_near_nothing():
    assert relative_distance(np.zeros(3), np.eye(3)) == np.inf
    r = Distances(np.zeros((1, 3)), np.eye(3))
    assert not any(("x", 0) in match for match in all_matches(*r.sides.values(), 0.9))


@few
@given(seeds)
@pytest.mark.statement("prp-readout")
def test_equal_spans_offer_equal_readouts_and_unequal_ones_do_not(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(3, 12))
    y = rng.normal(size=(4, 3)) @ x
    assume(np.linalg.cond(y @ np.linalg.pinv(x)) < 1e3)
    for a, b in ((x, y), (y, x)):
        readout = rng.normal(size=len(a)) @ a
        assert relative_distance(readout, b) < 1e-6
    assert relative_distance(rng.normal(size=3) @ x, y[:2]) > 1e-6


@few
@given(seeds, kinds)
@pytest.mark.statement("def-distance", "prp-sine")
def test_distance_is_the_sine_of_the_angle_and_no_point_of_the_span_is_nearer(seed, kind):
    x, y = layers(seed, kind)
    z, rng = x[1], np.random.default_rng(seed)
    assume(np.linalg.norm(z) > 0)
    r = relative_distance(z, y)
    live = y[np.linalg.norm(y, axis=1) > 0]
    assert r == pytest.approx(np.sin(subspace_angles(z[:, None], live.T)[-1]), abs=1e-6)
    points = rng.normal(size=(200, len(y))) @ y
    assert (np.linalg.norm(points - z, axis=1) >= r * np.linalg.norm(z) - 1e-9).all()
    assert relative_distance(z, y[:0]) == 1
    assert from_page("neurons", "def-distance")["distance"](z, y) == pytest.approx(r, abs=1e-6)


def all_distances(x, y):
    """Every neuron against every subset of the other side."""
    r = Distances(x, y)
    return {(v, s): r(v, s) for s in subsets(all_neurons(x, y)) for v in all_neurons(x, y)}


def close(a, b):
    return all(a[key] == pytest.approx(b[key], abs=1e-6) for key in a)


@few
@given(seeds, kinds)
@pytest.mark.statement("prp-invariance")
def test_order_scale_sign_and_a_common_rotation_change_no_distance(seed, kind):
    x, y = layers(seed, kind)
    rng, samples = np.random.default_rng(seed), x.shape[1]
    before = all_distances(x, y)
    scale = rng.choice([-1, 1], (len(x), 1)) * rng.uniform(0.01, 100, (len(x), 1))
    assert close(before, all_distances(scale * x, 3 * y))
    rotation = np.linalg.qr(rng.normal(size=(samples, samples)))[0]
    order = rng.permutation(samples)
    for change in (rotation, np.eye(samples)[order], np.tile(np.eye(samples), 3)):
        assert close(before, all_distances(x @ change, y @ change))
    order = rng.permutation(len(x))
    renamed = {v: ("x", int(order[v[1]])) if v[0] == "x" else v for v in all_neurons(x, y)}
    moved = all_distances(x[order], y)
    assert close({(v, s): before[renamed[v], frozenset(renamed[u] for u in s)] for v, s in moved}, moved)


@few
@given(seeds, kinds)
@pytest.mark.statement("prp-invariance")
def test_distances_depend_on_the_gram_matrix_only(seed, kind):
    x, y = layers(seed, kind)
    x, y = (z[np.linalg.norm(z, axis=1) > 0] for z in (x, y))
    assume(len(x) and len(y))
    assert close(all_distances(x, y), all_distances(*drawings.representatives(Pair.from_arrays(x, y))))


@pytest.mark.statement("prp-invariance")
def test_mixing_a_shift_and_different_rotations_are_no_invariances():
    x, y = np.eye(3)[:2], np.eye(3)[[0, 2]]
    mixed = np.array([[1, 1], [1, -1]]) @ x
    whole = all_neurons(x, y)
    assert Distances(x, y)(("x", 0), whole) == pytest.approx(0)
    assert Distances(mixed, y).worst(whole) == pytest.approx(1)
    assert [Distances(mixed, y)(("x", i), whole) for i in (0, 1)] == pytest.approx([np.sqrt(0.5)] * 2)
    assert Distances(x @ np.eye(3)[[1, 2, 0]], y)(("x", 0), whole) == pytest.approx(1)
    assert Distances(x + 1, y + 1)(("x", 1), whole) < 0.9 < Distances(x, y)(("x", 1), whole)
    same = np.array([[1, 1, 0], [1, -1, 0]])
    assert [Distances(m @ x, same).worst(whole) for m in (np.eye(2), [[1, 1], [1, -1]])] == pytest.approx([0, 0])


# ---------------------------------------------------------------- chapter 2: matches


@few
@given(seeds, kinds)
@pytest.mark.statement("lem-monotone-distance")
def test_distance_grows_as_the_span_shrinks(seed, kind):
    x, y = layers(seed, kind)
    r, everyone = Distances(x, y), all_neurons(x, y)
    order = [sorted(everyone)[k] for k in np.random.default_rng(seed).permutation(len(everyone))]
    chain = [frozenset(order[:k]) for k in range(len(order) + 1)]
    for v in everyone:
        values = [r(v, s) for s in chain]
        assert all(b <= a + 1e-9 for a, b in pairwise(values))


@pytest.mark.statement("lem-monotone-distance")
def test_without_spans_the_distance_is_not_monotone():
    """To the mean direction of a group, or by least squares that drop small directions, a larger group is farther."""
    assert AVERAGED(("x", 0), ONE) == pytest.approx(0)
    assert AVERAGED(("x", 0), ONE | TWO) == pytest.approx(np.sqrt(0.5))
    z, near = np.array([1.0, 0]), np.array([[1.0, 0], [1.0, 0.3]])

    def truncated(basis):
        return np.linalg.norm(z - np.linalg.lstsq(basis.T, z, rcond=0.5)[0] @ basis)

    assert truncated(near[:1]) < 1e-9 < 0.1 < truncated(near)


@few
@given(seeds, kinds, epsilons)
@pytest.mark.statement("def-match")
def test_a_match_is_what_the_two_inequalities_say(seed, kind, epsilon):
    x, y = layers(seed, kind)
    r = Distances(x, y)
    assume(clear(r, epsilon))
    rng = np.random.default_rng(seed)
    for pair in rng.permutation(np.array(subsets(all_neurons(x, y)), dtype=object))[:20]:
        X, Y = (sorted(i for s, i in pair if s == side) for side in "xy")
        parts = [(x[i], y[Y]) for i in X] + [(y[j], x[X]) for j in Y]
        assert is_match_by_definition(r, pair, epsilon) == all(
            np.linalg.norm(z) > 0
            and np.linalg.norm(z - np.linalg.pinv(b.T) @ z @ b if len(b) else z) <= epsilon * np.linalg.norm(z)
            for z, b in parts
        )


@pytest.mark.statement("def-match")
def test_the_empty_pair_is_a_match_and_no_other_has_an_empty_side():
    for epsilon in (0.0, 0.5, 0.99):
        matches = all_matches(np.eye(2), np.eye(2), epsilon)
        assert frozenset() in matches
        assert all({s for s, _ in m} == {"x", "y"} for m in matches if m)


@few
@given(seeds)
@pytest.mark.statement("prp-exact")
def test_exact_matches_are_the_pairs_with_equal_spans(seed):
    rng = np.random.default_rng(seed)
    basis = rng.normal(size=(3, 8))
    x, y = (rng.integers(-1, 2, (n, 3)) @ basis for n in (4, 3))
    r = Distances(x, y)
    for pair in subsets(all_neurons(x, y)):
        X, Y = (r.sides[side][[i for s, i in sorted(pair) if s == side]] for side in "xy")
        if (np.vstack([X, Y]) == 0).all(axis=1).any():
            continue
        ranks = [np.linalg.matrix_rank(z) if len(z) else 0 for z in (X, Y, np.vstack([X, Y]))]
        assert is_match_by_definition(r, pair, 0.0) == (len(set(ranks)) == 1)


@pytest.mark.statement("prp-exact")
def test_one_inclusion_or_a_small_epsilon_is_not_enough_for_equal_spans():
    r = Distances(np.eye(2), np.eye(2)[:1])
    inside = frozenset({("x", 0), ("x", 1), ("y", 0)})
    assert r(("y", 0), inside) == pytest.approx(0)
    assert not is_match_by_definition(r, inside, 0.9)
    turned = np.radians([0, 20, 10])
    u = np.column_stack([np.cos(turned), np.sin(turned)])
    assert is_match_by_definition(Distances(u[:2], u[2:]), inside, 0.2)


# ---------------------------------------------------------------- chapter 3: the maximum match


@few
@given(seeds, kinds, epsilons)
@pytest.mark.statement("lem-union")
def test_the_union_of_two_matches_is_a_match(seed, kind, epsilon):
    x, y = layers(seed, kind)
    r = Distances(x, y)
    matches = all_matches(x, y, epsilon)
    assert all(is_match_by_definition(r, a | b, epsilon, slack=2e-7) for a in matches for b in matches)


@pytest.mark.statement("lem-union")
def test_without_a_monotone_distance_the_union_can_fail():
    assert is_match_by_definition(AVERAGED, ONE, 0.0)
    assert is_match_by_definition(AVERAGED, TWO, 0.0)
    assert not is_match_by_definition(AVERAGED, ONE | TWO, 0.7)


@pytest.mark.statement("lem-union")
def test_matches_are_not_closed_under_intersection():
    r = Distances(np.array([[1.0]]), np.array([[1.0], [2.0]]))
    a, b = (frozenset({("x", 0), ("y", j)}) for j in (0, 1))
    assert is_match_by_definition(r, a, 0.0)
    assert is_match_by_definition(r, b, 0.0)
    assert not is_match_by_definition(r, a & b, 0.0)


@few
@given(seeds, kinds, epsilons)
@pytest.mark.statement("thm-maximum", "def-maximum")
def test_the_union_of_all_matches_is_the_largest_and_the_engine_finds_it(seed, kind, epsilon):
    x, y = layers(seed, kind)
    r = Distances(x, y)
    assume(clear(r, epsilon))
    matches = all_matches(x, y, epsilon)
    largest = frozenset().union(*matches)
    assert largest in matches
    assert as_set(maximum_match(x, y, epsilon, few_samples=True)) == largest


@few
@given(seeds, kinds)
@pytest.mark.statement("def-similarity")
def test_similarity_is_the_share_of_matched_neurons(seed, kind):
    x, y = layers(seed, kind)
    levels = [0.0, 0.2, 0.4, 0.6, 0.8]
    curve = similarity_curve(x, y, levels, few_samples=True)
    critical = np.concatenate(critical_epsilons(x, y, few_samples=True))
    assume(min(abs(c - e) for c in critical for e in levels[1:]) > 1e-5)
    np.testing.assert_allclose(curve, [np.mean(critical <= e + 1e-9) for e in levels])
    assert all(0 <= s <= 1 for s in curve)


@pytest.mark.statement("def-similarity")
def test_self_is_one_orthogonal_is_zero_and_dead_neurons_count_below():
    x = np.random.default_rng(0).normal(size=(4, 20))
    for epsilon in (0.0, 0.5):
        assert maximum_match(x, -2 * x[::-1], epsilon).similarity(4, 4) == 1
        assert maximum_match(np.eye(6)[:3], np.eye(6)[3:], epsilon).similarity(3, 3) == 0
        dead = np.vstack([x, np.zeros(20)])
        assert maximum_match(dead, dead, epsilon).similarity(5, 5) == 0.8


@few
@given(seeds, kinds)
@pytest.mark.statement("lem-monotone")
def test_the_maximum_match_grows_with_epsilon(seed, kind):
    x, y = layers(seed, kind)
    unions = [frozenset().union(*all_matches(x, y, e)) for e in (0.0, 0.1, 0.3, 0.6, 0.9)]
    assert all(a <= b for a, b in pairwise(unions))


def delete_one_by_one(r, pair, epsilon, rng):
    """The deletion algorithm with one neuron, any one that is too far, a round."""
    while far := sorted(v for v in pair if r(v, pair) > epsilon + 1e-9):
        pair = pair - {far[rng.integers(len(far))]}
    return pair


@few
@given(seeds, kinds, epsilons)
@pytest.mark.statement("alg-max", "thm-max-correct")
def test_deletion_finds_the_maximum_match_in_any_order(seed, kind, epsilon):
    x, y = layers(seed, kind)
    r, everyone = Distances(x, y), all_neurons(x, y)
    assume(clear(r, epsilon))
    largest = frozenset().union(*all_matches(x, y, epsilon))
    rounds = from_page("maximum", "alg-max")["deletion_rounds"](r, everyone, epsilon)
    assert rounds[-1] == largest
    assert len(rounds) <= len(everyone) + 1
    assert all(largest <= pair for pair in rounds)
    rng = np.random.default_rng(seed)
    assert {delete_one_by_one(r, everyone, epsilon, rng) for _ in range(5)} == {largest}


@pytest.mark.statement("thm-max-correct")
def test_without_a_monotone_distance_the_answer_depends_on_the_order():
    rng = np.random.default_rng(0)
    everyone = ONE | TWO
    results = {delete_one_by_one(AVERAGED, everyone, 0.5, rng) for _ in range(40)}
    assert {ONE, TWO} <= results
    assert from_page("maximum", "alg-max")["deletion_rounds"](AVERAGED, everyone, 0.5)[-1] == frozenset()


@pytest.mark.statement("alg-max")
def test_one_round_of_deletion_is_not_enough():
    x = np.eye(4) * [[1], [1], [1], [2]]
    y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])
    rounds = from_page("maximum", "alg-max")["deletion_rounds"](Distances(x, y), all_neurons(x, y), 0.4)
    assert [len(pair) for pair in rounds] == [7, 5, 3, 2]


@few
@given(seeds, kinds)
@pytest.mark.statement("alg-peel", "thm-peel", "def-critical")
def test_the_peel_gives_the_maximum_match_at_every_epsilon(seed, kind):
    x, y = layers(seed, kind)
    r, everyone = Distances(x, y), all_neurons(x, y)
    steps = from_page("maximum", "alg-peel")["peel"](r, everyone)
    critical = {v: c for v, _, c in steps}
    for epsilon in (0.1, 0.3, 0.5, 0.8):
        if all(abs(c - epsilon) > 1e-5 for c in critical.values()):
            largest = frozenset().union(*all_matches(x, y, epsilon))
            assert {v for v, c in critical.items() if c <= epsilon} == largest
    engine = dict(zip("xy", critical_epsilons(x, y, few_samples=True), strict=True))
    for (side, i), c in critical.items():
        assert engine[side][i] == pytest.approx(c if c < 1 - 1e-9 else np.inf, abs=1e-5)


@pytest.mark.statement("thm-peel")
def test_without_the_running_minimum_the_peel_is_wrong():
    x = np.eye(3)
    y = np.array([[3.0, 2, 0], [3, 4, 1]])
    steps = from_page("maximum", "alg-peel")["peel"](Distances(x, y), all_neurons(x, y))
    largest = frozenset().union(*all_matches(x, y, 0.5))
    assert {v for v, _, c in steps if c <= 0.5} == largest
    assert {v for v, distance, _ in steps if distance <= 0.5} < largest


@pytest.mark.statement("thm-peel")
def test_without_a_monotone_distance_the_peel_misses_matches():
    critical = {v: c for v, _, c in from_page("maximum", "alg-peel")["peel"](AVERAGED, ONE | TWO)}
    assert is_match_by_definition(AVERAGED, ONE, 0.0)
    assert is_match_by_definition(AVERAGED, TWO, 0.0)
    assert max(critical[v] for v in ONE | TWO) > 0.5


@few
@given(seeds, kinds)
@pytest.mark.statement("prp-bottleneck", "def-critical")
def test_critical_epsilon_is_the_best_price_of_a_company(seed, kind):
    x, y = layers(seed, kind)
    r = Distances(x, y)
    price = {pair: r.worst(pair) for pair in subsets(all_neurons(x, y)) if pair}
    engine = dict(zip("xy", critical_epsilons(x, y, few_samples=True), strict=True))
    for v in all_neurons(x, y):
        best = min(worst for pair, worst in price.items() if v in pair)
        assert engine[v[0]][v[1]] == pytest.approx(best if best < 1 - 1e-9 else np.inf, abs=1e-5)


@pytest.mark.statement("def-critical")
def test_critical_epsilon_by_hand():
    x = np.eye(4) * [[1], [1], [1], [2]]
    y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])
    critical = critical_epsilons(x, y)
    np.testing.assert_allclose(critical[0], [3 / 7, 3 / 7, 6 / 7, 0], atol=1e-9)
    np.testing.assert_allclose(critical[1], [3 / 7, 3 / 7, 0], atol=1e-9)
