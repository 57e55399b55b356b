"""The engine set by set against brute force over all subsets, on every degenerate kind; the theory; bad input."""

from inspect import signature

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import matching
from helpers.errors import BadInput
from helpers.matching import Match, peeling
from helpers.matching.diagnostics import Diagnosis, critical_errors, diagnose
from helpers.streaming import GramAccumulator
from helpers.subspaces import UNIT, Pair
from tests.instances import KINDS, BruteForce, as_set, larger, layers

EPSILONS = (0.0, 0.1, 0.3, 0.6)
SEEDS = st.integers(0, 10**6)


def examples(count):
    return settings(max_examples=count, deadline=None)


def compressed(x: np.ndarray, y: np.ndarray, route: str = "auto") -> Pair:
    return Pair.from_arrays(x, y, route)


def with_ties(pair: Pair) -> list[float]:
    """The fixed ε and two of the pair's own critical ε, where decisions hang on nothing."""
    critical = np.concatenate(matching.critical_epsilons(pair))
    own = critical[np.isfinite(critical) & (critical > 0) & (critical < 0.999)]
    return [*EPSILONS, *own[:2].tolist()]


def doubt(pair: Pair) -> float:
    """Margins below this prove nothing: some times the rounding error that `diagnose` states for the route."""
    if pair.route == "gram":
        return 3 * critical_errors(pair).max(initial=1e-9)
    return 10 * UNIT * len(pair.gram) * (1 + peeling.peel_once(pair).sizes.max(initial=0))


# ---------------------------------------------------------------- against brute force over all subsets


@pytest.mark.parametrize("route", ["qr", "gram"])
@pytest.mark.parametrize("kind", KINDS)
@examples(6)
@given(seed=SEEDS)
def test_every_set_is_that_of_brute_force(kind, route, seed):
    x, y = layers(kind, seed)
    pair = compressed(x, y, route)
    for brute in BruteForce.of(pair, x, y, with_ties(pair)):
        if brute.margin < doubt(pair):
            continue
        maximum = matching.maximum_match(pair, brute.epsilon)
        assert as_set(maximum) == brute.maximum
        simple = matching.simple_matches(pair, brute.epsilon)
        assert simple.complete
        assert len(simple) == len(set(simple))
        assert set(map(as_set, simple)) == brute.simple
        for v in brute.neurons:
            agree_on_minimal_matches(brute, v)


def agree_on_minimal_matches(brute, v):
    pair, epsilon, expected = brute.pair, brute.epsilon, brute.minimal(v)
    every = matching.minimal_matches(pair, v, epsilon)
    assert every.complete
    assert len(every) == len(set(every))
    assert set(map(as_set, every)) == expected
    one, least = matching.minimal_match(pair, v, epsilon), matching.v_minimum_match(pair, v, epsilon)
    smallest = matching.smallest_match(pair, v, epsilon, limit=None)
    assert (one is None) == (smallest is None) == (not expected)
    assert one is None or as_set(one) in expected
    assert {as_set(least)} == expected if least else len(expected) != 1
    assert smallest is None or (smallest.complete and len(smallest.match) == min(map(len, expected)))


@pytest.mark.parametrize("kind", KINDS)
@examples(6)
@given(seed=SEEDS, epsilon=st.sampled_from(EPSILONS))
def test_critical_epsilons_say_where_each_neuron_enters(kind, seed, epsilon):
    x, y = layers(kind, seed)
    critical = dict(zip("xy", matching.critical_epsilons(x, y, few_samples=True), strict=True))
    brute = BruteForce.of(compressed(x, y), x, y, [epsilon])[0]
    assert brute.maximum == {v for v in brute.neurons if critical[v[0]][v[1]] <= epsilon}
    just_before = [c - 1e-6 for c in np.concatenate([*critical.values()]) if np.isfinite(c) and c > 1e-3]
    for before in BruteForce.of(compressed(x, y), x, y, just_before):
        assert all(critical[side][i] <= before.epsilon for side, i in before.maximum)


@pytest.mark.parametrize("kind", KINDS)
@examples(5)
@given(seed=SEEDS, epsilon=st.sampled_from(EPSILONS))
def test_what_no_order_can_change(kind, seed, epsilon):
    x, y = layers(kind, seed)
    brute = BruteForce.of(compressed(x, y), x, y, [epsilon])[0]
    essential = matching.essential_neurons(brute.pair, epsilon)
    assert essential.keys() == brute.maximum
    for v, needs in essential.items():
        assert needs == frozenset.intersection(*[m for m in brute.matches if v in m])
        bound = matching.smallest_match(brute.pair, v, epsilon, limit=1).lower_bound
        assert len(needs) <= bound <= min(map(len, brute.minimal(v)))
    minimum = matching.minimum_matches(brute.pair, epsilon)
    for v, least in minimum.items():
        assert least == matching.v_minimum_match(brute.pair, v, epsilon)


@pytest.mark.parametrize("kind", KINDS)
@examples(5)
@given(seed=SEEDS, epsilon=st.sampled_from(EPSILONS))
def test_which_sets_are_matches_and_which_are_simple(kind, seed, epsilon):
    x, y = layers(kind, seed)
    brute = BruteForce.of(compressed(x, y), x, y, [epsilon])[0]
    everything = sorted(brute.neurons)
    chosen = np.random.default_rng(seed).random((5, len(everything))) < 0.6
    pairs = [frozenset(v for v, kept in zip(everything, row, strict=True) if kept) for row in chosen]
    for inside in (*pairs, *brute.matches[:5], *brute.matches[-5:]):
        match = Match.of(inside)
        assert matching.is_match(brute.pair, match, epsilon) == (inside in brute.matches)
        largest = matching.largest_match_inside(brute.pair, match, epsilon)
        assert as_set(largest) == frozenset().union(*(m for m in brute.matches if m <= inside))
    for known in (*brute.matches[:5], *brute.matches[-5:]):
        assert matching.is_simple(brute.pair, Match.of(known), epsilon) == (known in brute.simple)
        parts = matching.decompose(brute.pair, Match.of(known), epsilon)
        assert frozenset().union(*map(as_set, parts)) == known
        assert set(map(as_set, parts)) <= brute.simple


# ---------------------------------------------------------------- two ways, one answer


@pytest.mark.parametrize("kind", KINDS)
@examples(4)
@given(seed=SEEDS, route=st.sampled_from(["gram", "qr"]))
def test_numpy_alone_gives_the_same_sets(kind, seed, route):
    answers = []
    for backend in peeling.BACKENDS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SAMEREP_BACKEND", backend)
            answers.append(everything_about(compressed(*layers(kind, seed), route)))
    assert answers[0] == answers[1]


def everything_about(pair):
    matches = [(matching.maximum_match(pair, e), set(matching.simple_matches(pair, e))) for e in EPSILONS]
    return matches, [matching.minimal_match_of_each(pair, e) for e in EPSILONS]


@examples(20)
@given(seed=SEEDS, route=st.sampled_from(["gram", "qr"]))
def test_both_peels_agree_also_on_the_coefficients(seed, route):
    pair = compressed(*layers("shared", seed), route)
    numba, numpy = (peeling.peel_once(pair, backend) for backend in peeling.BACKENDS)
    np.testing.assert_allclose(numba.critical, numpy.critical, atol=1e-9)
    np.testing.assert_allclose(numba.sizes, numpy.sizes, rtol=1e-4)


def test_the_lazy_inverse_is_built_again_where_it_cancels():
    x, y = larger(40, 12, seed=2)
    pair = compressed(np.vstack([x, x[:6]]), np.vstack([y, y[:6] + 1e-7 * y[6:12]]), "gram")
    lazy, givens = (np.concatenate(peeling.peel(pair, backend)) for backend in ("numpy", "numba"))
    np.testing.assert_allclose(lazy, givens, atol=1e-6)


def test_the_lazy_inverse_applies_its_deletions_together():
    pair = compressed(*larger(80, 30, seed=3, samples=1000), "gram")
    lazy, givens = (np.concatenate(peeling.peel(pair, backend)) for backend in ("numpy", "numba"))
    np.testing.assert_allclose(lazy, givens, atol=1e-10)


def plain_maximum(x, y, inside, epsilon):
    """Algorithm max_match from plain least squares, no ridge: delete all that are too far, until nothing is."""
    x_in, y_in = inside
    while True:
        far_x, far_y = too_far(x[x_in], y[y_in], epsilon), too_far(y[y_in], x[x_in], epsilon)
        if not far_x.any() and not far_y.any():
            return x_in, y_in
        x_in, y_in = x_in[~far_x], y_in[~far_y]


def too_far(targets, basis, epsilon):
    rest = targets.T - basis.T @ np.linalg.lstsq(basis.T, targets.T, rcond=None)[0]
    return np.linalg.norm(rest, axis=0) > epsilon * np.linalg.norm(targets, axis=1)


@pytest.mark.parametrize("epsilon", [0.5, 0.6, 0.7])
def test_larger_layers_against_plain_least_squares(epsilon):
    x, y = larger(20, 8, seed=0)
    everything = np.arange(20), np.arange(20)
    current = plain_maximum(x, y, everything, epsilon)
    assert matching.maximum_match(x, y, epsilon) == Match(*current)
    v = ("x", int(current[0][0])) if len(current[0]) else None
    if v is None:
        assert not matching.simple_matches(x, y, epsilon)
        return
    for side, u in Match(*current).neurons:
        trial = [part[part != u] if name == side else part for name, part in zip("xy", current, strict=True)]
        smaller = plain_maximum(x, y, trial, epsilon)
        if (side, u) != v and v[1] in smaller[0]:
            current = smaller
    assert matching.minimal_match(x, y, v, epsilon) == Match(*current)


@pytest.mark.parametrize("epsilon", [0.55, 0.65, 0.75])
@pytest.mark.parametrize("seed", [None, 0])
def test_one_pass_for_all_neurons_gives_what_each_gets_alone(epsilon, seed):
    pair = compressed(*larger(24, 10, seed=1))
    order = [None if seed is None else np.random.default_rng(seed) for _ in range(50)]
    each = matching.minimal_match_of_each(pair, epsilon, rng=order.pop())
    assert each.keys() == set(matching.maximum_match(pair, epsilon).neurons)
    alone = {v: matching.minimal_match(pair, v, epsilon, rng=order.pop()) for v in each}
    assert each == alone


# ---------------------------------------------------------------- the theory


@examples(15)
@given(seed=SEEDS, first=st.floats(0, 0.99), second=st.floats(0, 0.99), kind=st.sampled_from(KINDS))
def test_the_maximum_match_grows_with_epsilon(seed, first, second, kind):
    pair = compressed(*layers(kind, seed))
    low, high = (matching.maximum_match(pair, e) for e in sorted([first, second]))
    assert low <= high
    assert matching.is_match(pair, low, max(first, second))


@examples(15)
@given(seed=SEEDS, epsilon=st.sampled_from(EPSILONS))
def test_matches_are_closed_under_union(seed, epsilon):
    pair = compressed(*layers("shared", seed))
    simple = matching.simple_matches(pair, epsilon)
    for a in simple:
        for b in simple:
            assert matching.is_match(pair, a | b, epsilon)


@examples(20)
@given(seed=SEEDS, kind=st.sampled_from(["random", "shared", "relu", "exact mix"]))
def test_order_scale_sign_and_rotation_of_the_samples_change_nothing(seed, kind):
    x, y = layers(kind, seed)
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))[0]
    order, factors = rng.permutation(len(x)), rng.choice([-1e6, -1, 1e-6, 3], size=(len(x), 1))
    moved = matching.critical_epsilons((factors * x)[order] @ rotation, -1e8 * y @ rotation)
    base = matching.critical_epsilons(x, y)
    np.testing.assert_allclose(moved[0], base[0][order], atol=1e-6)
    np.testing.assert_allclose(moved[1], base[1], atol=1e-6)


def test_mixing_the_neurons_changes_the_match_unless_the_spans_agree():
    x, y = larger(6, 4, seed=3)
    mix = np.random.default_rng(0).normal(size=(6, 6))
    base, mixed = matching.critical_epsilons(x, y), matching.critical_epsilons(mix @ x, y)
    assert np.abs(base[1] - mixed[1]).max() > 1e-2
    assert matching.maximum_match(mix @ x, x, 0.0).similarity(6, 6) == 1


def test_outputs_may_agree_where_no_neuron_matches():
    """Johnson's objection: a rotation into directions of its own, undone by the next layer."""
    rng = np.random.default_rng(4)
    z = np.linalg.qr(rng.normal(size=(50, 6)))[0].T
    x, y = z[:3], (z[:3] + 2 * z[3:]) / np.sqrt(5)
    assert len(matching.maximum_match(x, y, 0.85)) == 0
    assert matching.similarity_curve(x, y, [0.85, 0.9]).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["random", "relu", "duplicated", "scaled", "dependent", "float32"])
def test_a_self_match_is_one(kind):
    x, _ = layers(kind, 1)
    assert matching.maximum_match(x, x[::-1], 0.0).similarity(len(x), len(x)) == 1


def test_minimal_matches_need_not_be_unique_nor_their_intersection_a_match():
    """Three vectors in a plane against one of them: any other two span it, and share no match."""
    angles = np.pi / 3 * np.arange(3)
    plane = np.vstack([np.cos(angles), np.sin(angles)])
    x = plane.T @ np.eye(2, 5)
    matches = matching.minimal_matches(x[:1], x[1:], ("x", 0), 0.9)
    assert {m.key for m in matches} == {((0,), (0,)), ((0,), (1,))}
    assert not matching.is_match(x[:1], x[1:], matches[0] & matches[1], 0.9)
    assert matching.v_minimum_match(x[:1], x[1:], ("x", 0), 0.9) is None
    assert matching.minimum_matches(x[:1], x[1:], 0.9)["y", 0] == Match.of([("x", 0), ("y", 0)])


def test_no_epsilon_below_one_reaches_what_nothing_explains():
    x = np.eye(2, 4)
    assert len(matching.maximum_match(x[:1], x[1:], 1 - 1e-12)) == 0
    assert np.isinf(matching.critical_epsilons(x[:1], x[1:])).all()


def test_a_tie_is_a_match():
    x, y = np.array([[1.0, 0.0]]), np.array([[0.8, 0.6]])
    for route in ("gram", "qr"):
        pair = compressed(x, y, route)
        assert len(matching.maximum_match(pair, 0.6)) == 2
        assert len(matching.maximum_match(pair, 0.6 - 1e-8)) == 0


# ---------------------------------------------------------------- lists, limits, dead neurons


def test_lists_say_whether_they_are_complete():
    pair = compressed(*larger(8, 3, seed=5, noise=0.2))
    epsilon, v = 0.4, ("x", 0)
    everything = matching.minimal_matches(pair, v, epsilon, limit=None)
    assert everything.complete
    assert len(everything) > 3
    assert matching.minimal_matches(pair, v, epsilon, limit=len(everything)).complete
    first = matching.minimal_matches(pair, v, epsilon, limit=3)
    assert list(first) == everything[:3]
    assert repr(first) == "<the first 3 matches>"
    simple = matching.simple_matches(pair, epsilon, limit=None)
    assert set(everything) <= set(simple)
    assert repr(simple) == f"<all {len(simple)} matches>"
    assert not matching.simple_matches(pair, epsilon, limit=3).complete
    assert matching.simple_matches(pair, epsilon, limit=len(simple)).complete


def test_the_smallest_match_comes_with_a_bound_that_rises():
    pair = compressed(*larger(8, 3, seed=5, noise=0.2))
    v, epsilon = ("x", 0), 0.4
    truth = min(map(len, matching.minimal_matches(pair, v, epsilon, limit=None)))
    bounds = [matching.smallest_match(pair, v, epsilon, limit=k) for k in (1, 2, 5, 20, None)]
    assert [b.lower_bound for b in bounds] == sorted(b.lower_bound for b in bounds)
    assert all(b.lower_bound <= truth <= len(b.match) for b in bounds)
    assert [b.seen for b in bounds[:3]] == [1, 2, 5]
    assert all(matching.is_simple(pair, b.match, epsilon) for b in bounds)
    assert bounds[-1].complete
    assert len(bounds[-1].match) == truth
    assert matching.smallest_match(pair, v, 0.01) is None


def test_dead_neurons_count_unless_told_otherwise():
    x, _ = larger(4, 3, seed=6)
    dead = np.vstack([x, np.zeros((4, 300))])
    pair = compressed(dead, x)
    match = matching.maximum_match(pair, 0.0)
    assert match.similarity(8, 4) == matching.similarity(pair, match) == 8 / 12
    assert matching.similarity(pair, match, dead="ignore") == 1
    assert matching.similarity_curve(pair, [0.0], dead="ignore").tolist() == [1]
    assert np.isinf(matching.critical_epsilons(pair)[0][4:]).all()
    assert matching.minimal_match(pair, ("x", 7), 0.9) is None
    assert len(matching.minimal_matches(pair, ("x", 7), 0.9)) == 0
    assert matching.v_minimum_match(pair, ("x", 7), 0.9) is None
    assert Match([], []).similarity(0, 0) == 0


def test_a_match_is_a_pair_of_sets():
    a, b = Match([3, 1, 1], [0]), Match.of([("x", 1), ("y", 2)])
    assert a == Match([1, 3], [0])
    assert a != "a match"
    assert len({a, Match([1, 3], [0]), b}) == 2
    assert (a | b).key == ((1, 3), (0, 2))
    assert (a & b).key == ((1,), ())
    assert ("x", 3) in a
    assert ("y", 3) not in a
    assert a <= (a | b)
    assert not a <= b
    assert len(a) == 3


ASKED = Match([0, 3], [0, 2])  # at 0.83 the maximum match; of the sides the other way round no match at all
CALLS = [
    (matching.critical_epsilons, ()),
    (matching.maximum_match, (0.83,)),
    (matching.largest_match_inside, (Match([0, 1, 3], [0, 2]), 0.83)),
    (matching.similarity_curve, ([0.8, 0.83],)),
    (matching.is_match, (ASKED, 0.83)),
    (matching.minimal_match, (("x", 3), 0.83)),
    (matching.minimal_match_of_each, (0.83,)),
    (matching.minimal_matches, (("x", 3), 0.83)),
    (matching.simple_matches, (0.83,)),
    (matching.smallest_match, (("x", 3), 0.83)),
    (matching.essential_neurons, (0.83,)),
    (matching.v_minimum_match, (("x", 3), 0.83)),
    (matching.minimum_matches, (0.83,)),
    (matching.is_simple, (ASKED, 0.83)),
    (matching.decompose, (ASKED, 0.83)),
    (diagnose, ()),
]


def test_every_function_of_a_pair_is_called_below():
    wrapped = {name for name in dir(matching) if hasattr(getattr(matching, name), "__wrapped__")}
    assert {function.__name__ for function, _ in CALLS} == wrapped | {"diagnose"}


@pytest.mark.parametrize(("function", "rest"), CALLS, ids=lambda value: getattr(value, "__name__", ""))
def test_two_arrays_one_pair_and_a_stream_are_one_input(function, rest):
    x, y = larger(5, 3, seed=7)
    y = y[:4]
    stream = GramAccumulator([5, 4]).add([x[:, :100], y[:, :100]]).add([x[:, 100:], y[:, 100:]])
    pair = stream.result().pair(0, 1)
    names = dict(zip([*signature(function).parameters][1:], rest, strict=False))
    calls = [function(pair, *rest), function(pair=pair, **names)]
    calls += [function(x, y, *rest), function(x, y=y, **names), function(y=y, x=x, **names), function(x, y, **names)]
    first, *others = [told(answer) for answer in calls]
    assert len(others) == 5
    for other in others:
        assert other == first


def told(answer):
    """An answer of any kind as plain values, floats rounded to what the two routes share."""
    if isinstance(answer, Diagnosis):
        answer = answer.neurons["critical_epsilon"].to_numpy()
    if isinstance(answer, tuple):
        return [told(part) for part in answer]
    return np.round(answer, 6).tolist() if isinstance(answer, np.ndarray) else answer


# ---------------------------------------------------------------- bad input


ONES = np.ones((2, 3))
PAIR = Pair.from_arrays(ONES, ONES)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.array([[1.0, 2], [1, np.nan]]), np.ones((1, 2)), "neuron 1 of network x has NaN: expected finite"),
        (np.ones((1, 2)), np.array([[1.0, np.inf]]), "neuron 0 of network y has infinite values"),
        (ONES, np.ones((1, 4)), "networks have 3, 4 samples: expected the same inputs for all"),
        (np.ones(3), ONES, r"network x have shape \(3,\): expected \(neurons, samples\)"),
        (np.ones((1, 0)), np.ones((1, 0)), "no samples: expected at least one input"),
        (ONES, [["a", "b", "c"]], "network y are not an array of real numbers"),
    ],
)
def test_bad_activations_are_refused_in_one_line(x, y, message):
    with pytest.raises(BadInput, match=message) as error:
        matching.maximum_match(x, y, 0.1)
    assert "\n" not in str(error.value)


WIDE = np.random.default_rng(0).normal(size=(2, 40, 12))


@pytest.mark.parametrize("kind", [np.asarray, np.float16, np.ndarray.tolist, lambda z: tuple(map(tuple, z))])
def test_samples_as_rows_are_refused_unless_asked_for(kind):
    x, y = map(kind, WIDE)
    message = "x has 40 neurons and 12 samples: expected .neurons, samples.*transpose.*few_samples=True"
    for call in (matching.maximum_match, matching.is_match, matching.simple_matches):
        with pytest.raises(BadInput, match=message):
            call(x, y, Match([], []), 0.1) if call is matching.is_match else call(x, y, 0.1)
    with pytest.raises(BadInput, match="y has 40 neurons and 12 samples"):
        matching.maximum_match(x[:3], y, 0.1)
    assert matching.maximum_match(x, y, 0.1, few_samples=True).similarity(40, 40) == 1
    assert matching.maximum_match(Pair.from_arrays(x, y), 0.1).similarity(40, 40) == 1
    assert matching.maximum_match(np.transpose(x), np.transpose(y), 0.1).similarity(12, 12) == 0
    assert diagnose(x, y).refusals


def test_complex_activations_are_refused():
    with pytest.raises(BadInput, match="network y are not an array of real numbers: found complex ones"):
        matching.maximum_match(ONES, ONES + 1j, 0.1)


@pytest.mark.parametrize("condition", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("seed", range(4))
def test_the_maximum_match_at_a_critical_epsilon_is_a_match(condition, seed):
    """Also on the Gram route, where two ways to compute a distance differ by more than 1e-9 at condition 1e6."""
    rng = np.random.default_rng(seed)
    blocks = [np.linalg.svd(rng.normal(size=(6, 400)), full_matrices=False) for _ in "xy"]
    blocks = [(u * np.geomspace(1, 1 / condition, 6)) @ v for u, _, v in blocks]
    for pair in (GramAccumulator([6, 6]).add(blocks).result().pair(0, 1), Pair.from_arrays(*blocks, route="qr")):
        critical = np.concatenate(matching.critical_epsilons(pair))
        for epsilon in critical[(critical > 0) & (critical < 1)]:
            largest = matching.maximum_match(pair, float(epsilon))
            assert len(largest) >= np.sum(critical <= epsilon)
            assert matching.is_match(pair, largest, float(epsilon))


@pytest.mark.parametrize("epsilon", [1.0, -0.1, np.nan, "0.1", None])
def test_epsilon_outside_its_range_is_refused(epsilon):
    for call in (matching.maximum_match, matching.simple_matches, matching.essential_neurons):
        with pytest.raises(BadInput, match=r"epsilon is .*: expected a number in \[0, 1\)"):
            call(ONES, ONES, epsilon)


@pytest.mark.parametrize(
    ("neuron", "message"),
    [
        (("z", 0), "unknown side 'z'"),
        (("x", 2), "neuron 2 of side x: side x has neurons 0 to 1"),
        (("y", -1), "neuron -1 of side y: side y has neurons 0 to 1"),
        (("x", 0.5), r"neuron 0\.5 of side x"),
        ("x0", None),
        (3, "neuron is 3: expected a side and an index"),
    ],
)
def test_an_unknown_neuron_is_refused(neuron, message):
    for call in (matching.minimal_match, matching.minimal_matches, matching.v_minimum_match, matching.smallest_match):
        with pytest.raises(BadInput, match=message):
            call(ONES, ONES, neuron, 0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: matching.maximum_match(ONES), "expected two arrays"),
        (lambda: matching.maximum_match(ONES, x=ONES, epsilon=0.1), "maximum_match: multiple values for argument 'x'"),
        (lambda: matching.maximum_match(ONES, ONES), "missing a required argument: 'epsilon'"),
        (lambda: matching.maximum_match(ONES, ONES, 0.1, limit=3), "unexpected keyword argument 'limit'"),
        (lambda: matching.maximum_match(PAIR, eps=0.1), "missing a required argument: 'epsilon'"),
        (lambda: matching.maximum_match(ONES, PAIR, 0.1), "network y are not an array"),
        (lambda: matching.minimal_match(PAIR, ("x", 0), 0.1, rng=0), "rng is 0: expected a NumPy generator"),
        (lambda: matching.minimal_match_of_each(PAIR, 0.1, rng=0), "rng is 0: expected a NumPy generator"),
        (lambda: Match.of([("x", 0), ("z", 1)]), "unknown side 'z': Valid: x, y"),
        (lambda: matching.minimal_match(np.zeros((0, 3)), ONES, ("x", 0), 0.1), "side x has no neurons"),
        (lambda: matching.simple_matches(ONES, ONES, 0.1, limit=0), "limit is 0: expected a positive whole number"),
        (lambda: matching.minimal_matches(ONES, ONES, ("x", 0), 0.1, limit=1.5), r"limit is 1\.5"),
        (lambda: matching.similarity_curve(ONES, ONES, [0.1], dead="drop"), "unknown dead-neuron policy 'drop'"),
        (lambda: matching.is_match(ONES, ONES, Match([5], []), 0.1), "neuron 5 of side x"),
        (lambda: matching.is_simple(np.eye(2), np.eye(2), Match([0], []), 0.1), "is not a match at epsilon 0.1"),
        (lambda: matching.decompose(np.eye(2), np.eye(2), Match([0], [1]), 0.1), "is not a match at epsilon 0.1"),
        (lambda: peeling.chosen_backend("fortran"), "unknown backend 'fortran'"),
    ],
)
def test_other_bad_values_are_refused(call, message):
    with pytest.raises(BadInput, match=message):
        call()
