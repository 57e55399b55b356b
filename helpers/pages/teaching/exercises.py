"""Checks of the code exercises: a right answer prints a tick, a wrong one a hint, and never a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from ...errors import BadInput, unknown
from ...measures import measure
from ..chapters.pseudocode import Plain, biased, dominoes, hitting_sets

Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


class Hint(Exception):
    """What is wrong with an answer, and where to look: one clear sentence for the reader."""


def checks(label: str) -> Callable[[Check], Check]:
    """Register a check for the exercise `label`. The check takes the answer and raises `Hint` if it is wrong.

    Raises `BadInput` for a second check of one exercise.
    """
    if label in CHECKS:
        raise BadInput(f"exercise '{label}' has two checks: expected one")

    def register(function: Check) -> Check:
        CHECKS[label] = function
        return function

    return register


def check(label: str, answer: object) -> None:
    """Print "✓" and the label, or "✗" and a hint. Raises `BadInput` for an unknown label."""
    hint = hint_for(label, answer)
    print(f"✓ {label}: right" if hint is None else f"✗ {label}: {hint}")


def hint_for(label: str, answer: object) -> str | None:
    """The hint for a wrong answer; None for a right one. An error inside the reader's code gives a hint, too.

    Raises `BadInput` for an unknown exercise.
    """
    if label not in CHECKS:
        raise unknown("exercise", label, sorted(CHECKS))
    if answer is ...:
        return "replace the ... by your answer"
    returned: list[object] = []
    try:
        CHECKS[label](_watched(answer, returned) if callable(answer) else answer)
    except Exception as error:
        if returned and all(value is None for value in returned):
            return "your function returns nothing yet: replace the ... by your code"
        return str(error) if isinstance(error, Hint) else f"your code stops with {type(error).__name__}: {error}"
    return None


def _watched(function: Callable[..., Any], returned: list[object]) -> Callable[..., Any]:
    """The function, with everything that it returns noted. A stub returns only None."""

    @wraps(function)
    def watched(*args: Any, **options: Any) -> Any:
        value = function(*args, **options)
        returned.append(value)
        return value

    return watched


def expect(condition: object, hint: str) -> None:
    """Raise the hint unless the condition holds."""
    if not condition:
        raise Hint(hint)


def expect_close(given: Any, right: Any, hint: str, tolerance: float = 1e-6) -> None:
    """Raise the hint unless the two arrays agree within an absolute tolerance. Other shapes get a hint of their own."""
    given, right = np.asarray(given, dtype=float), np.asarray(right, dtype=float)
    if given.shape != right.shape:
        raise Hint(f"your answer has shape {given.shape}, expected {right.shape}")
    expect(np.allclose(given, right, rtol=0, atol=tolerance), hint)


# ---------------------------------------------------------------- chapters 1 to 3, and the worked example


@checks("ex-conv-rows")
def _channels_as_rows(answer: Callable[[np.ndarray], np.ndarray]) -> None:
    output = np.arange(2 * 3 * 2 * 2, dtype=float).reshape(2, 3, 2, 2)
    given = np.asarray(answer(output))
    expect(given.shape == (3, 8), f"for (2, 3, 2, 2) your answer has shape {given.shape}, expected (3, 8)")
    mine = [set(output[:, c].ravel()) for c in range(3)]
    mixed = "a row mixes several channels: bring the channel axis to the front before you reshape"
    expect([set(row) for row in given] == mine, mixed)
    expect_close(given[1], output[:, 1].ravel(), "each row has the right numbers in another order: image after image")


@checks("ex-relative-distance")
def _relative_distance(answer: Callable[[np.ndarray, np.ndarray], float]) -> None:
    basis = np.array([[3.0, 2, 0], [3, 4, 1]])
    given = answer(np.array([0.0, 0, 2]), basis)
    expect(not np.isclose(given, 12 / 7), "divide by the length of z: a neuron twice as large is no farther away")
    expect(not np.isclose(given, 36 / 49), "that is the square: take the root")
    expect_close(given, 6 / 7, "for z = (0, 0, 2) and the plane of (3, 2, 0) and (3, 4, 1) expect 6/7")
    expect_close(answer(basis[0] - basis[1], basis), 0, "a vector in the span is at distance 0")


@checks("ex-is-match")
def _is_match(answer: Callable[..., bool]) -> None:
    x, y = np.eye(3), np.array([[3.0, 2, 0], [3, 4, 1]])
    expect(answer(x, y, [0, 1], [0, 1], 0.43), "(x1 x2 | y1 y2) is a match at ε = 0.43")
    expect(not answer(x, y, [0, 1], [0, 1], 0.42), "(x1 x2 | y1 y2) is no match at ε = 0.42: x2 is too far")
    expect(not answer(x, y, [0], [0, 1], 0.6), "(x1 | y1 y2) is no match at ε = 0.6: look at the neurons of Y, too")
    group = "(x1 | y1) is no match at ε = 0.3: the distance is to the span of the group, not of the whole layer"
    expect(not answer(x, y, [0], [0], 0.3), group)
    expect(answer(x, 5 * x, [2], [2], 0.0), "a neuron and 5 times itself are an exact match")


@checks("ex-max-match")
def _maximum_match(answer: Callable[..., tuple[list[int], list[int]]]) -> None:
    x = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]])
    y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])
    once = "one pass is not enough: who was near may be far once others have left"
    for epsilon, right, hint in (
        (0.5, ([0, 1, 3], [0, 1, 2]), "at ε = 0.5 the worked example keeps x1 x2 x4 | y1 y2 y3"),
        (0.4, ([3], [2]), once),
        (0.0, ([3], [2]), "x4 | y3 is an exact match: allow 1e-9 for rounding"),
    ):
        X, Y = (sorted(int(i) for i in group) for group in answer(x, y, epsilon))
        expect(right == (X, Y), hint)


@checks("ex-first-epsilon")
def _first_epsilon(answer: Callable[..., float]) -> None:
    x, y = np.eye(3), np.array([[3.0, 2, 0], [3, 4, 1]])
    given = answer(x, y)
    whole = "that is a distance to the whole other layer; in a match every neuron is near the other group"
    expect(not np.isclose(given, 0) and not np.isclose(given, 2 / 7), whole)
    expect_close(given, 3 / 7, "for the axes and (3, 2, 0), (3, 4, 1) expect 3/7")
    expect_close(answer(x, x[:2]), 0, "a layer and a part of itself match exactly")


# ---------------------------------------------------------------- chapter 7, numerics


@checks("ex-distance-from-gram")
def _distance_from_gram(answer: Callable[..., float]) -> None:
    z = np.random.default_rng(7).standard_normal((5, 30)) * np.array([[1.0], [9.0], [0.2], [1.0], [4.0]])
    basis = [1, 2, 4]
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    for ridge in (1e-12, 0.3):
        c = np.linalg.solve(unit[basis] @ unit[basis].T + ridge * np.eye(3), unit[basis] @ unit[0])
        right = np.sqrt(np.sum((unit[0] - c @ unit[basis]) ** 2) + ridge * c @ c)
        given = answer(z @ z.T, 0, basis, ridge)
        expect(not np.isclose(given, right**2), "that is r²: take the square root")
        expect_close(given, right, "scale the Gram matrix by the neurons' norms, and add λ to the diagonal of G_BB")


@checks("ex-enough-samples")
def _enough_samples(answer: Callable[[int, float], int]) -> None:
    for n, bias in ((64, 0.01), (512, 0.05), (10, 0.5), (19, 0.1)):
        d = answer(n, bias)
        expect(isinstance(d, int | np.integer), f"{d!r} is not a whole number of samples")
        expect(d > n, f"{d} samples for {n} neurons: up to there every distance is 0")
        expect(
            np.sqrt(1 - n / d) >= 1 - bias - 1e-12, f"with {d} samples, distances to {n} neurons are off by over {bias}"
        )
        fewer = f"fewer than {d} samples are enough for {n} neurons and {bias}: is that rounding? allow 1e-9"
        expect(np.sqrt(1 - n / (d - 1)) < 1 - bias - 1e-12, fewer)


# ---------------------------------------------------------------- chapters 4 and 5, simple matches and uniqueness


@checks("ex-generators")
def _generators(answer: Callable[..., Any]) -> None:
    x1, x2, y1, y2, y3 = ("x", 0), ("x", 1), ("y", 0), ("y", 1), ("y", 2)
    first, second, mixed = frozenset([x1, y1]), frozenset([x2, y2]), frozenset([x1, x2, y1, y3])
    matches = [frozenset(), first, second, first | second, mixed, mixed | second]
    for match, right in ((first, {x1, y1}), (mixed, {x2, y3}), (first | second, set()), (mixed | second, set())):
        given = answer(match, matches)
        expect(
            isinstance(given, set | frozenset), f"your answer is a {type(given).__name__}, expected a set of neurons"
        )
        expect(given <= match, "some of your neurons are not in the match")
        expect(given >= right, "some neurons are missing: only matches inside `match` count, not all others")
        expect(given == right, "too many neurons: leave out each one that a strictly smaller match inside contains")


@checks("ex-follow-needs")
def _follow_needs(answer: Callable[..., Any]) -> None:
    a, b, c, d = ("x", 0), ("y", 0), ("x", 1), ("y", 1)
    needs = {a: frozenset([b]), b: frozenset([a]), c: frozenset([d]), d: frozenset([a, c])}
    for v, right in ((a, {a, b}), (b, {a, b}), (c, {a, b, c, d}), (d, {a, b, c, d})):
        given = set(answer(needs, v))
        expect(v in given, "a match of v contains v itself")
        expect(given >= right, "what v needs has needs of its own: go on until nothing new is found")
        expect(given == right, "some of your neurons cannot be reached from v")


# ---------------------------------------------------------------- chapter 6, the algorithms, and the ε explorer


@checks("ex-stitch-map")
def _stitch_map(answer: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    x, true, shift = rng.normal(size=(3, 40)) + 2, rng.normal(size=(2, 3)), np.array([5.0, -1.0])
    weights, intercept = (np.asarray(part, dtype=float) for part in answer(x, true @ x + shift[:, None]))
    expect(weights.shape == (2, 3), "the weights have one row per neuron of y and one column per neuron of x")
    expect(np.shape(intercept) == (2,), "the intercept is one number per neuron of y")
    expect(
        np.allclose(intercept, shift, atol=1e-6), "subtract both means before you solve, or add a neuron of ones to x"
    )
    expect(np.allclose(weights, true, atol=1e-6), "y is an exact linear mix of x here: its weights must come out")


@checks("ex-blind-angle")
def _blind_angle(answer: Callable[..., float]) -> None:
    given = answer(0.5)
    expect(not np.isclose(given, np.pi / 6), "give degrees: this is the angle in radians")
    expect(not np.isclose(given, 60), "the distance is the sine of the angle, not its cosine")
    expect_close(given, 30, "every neuron has distance sin θ from the other span: expect 30 degrees at ε = 0.5")
    expect_close(answer(0.0), 0, "at ε = 0 any angle is too large: expect 0 degrees")


@checks("ex-min-match")
def _min_match(answer: Callable[..., Any]) -> None:
    expect(answer(*dominoes(6), ("x", 2), 0.75, []) is None, "when v is in no match at all, return None")
    x, y = biased()
    v, others = ("x", 0), [("x", 1), *[("y", j) for j in range(4)]]
    for order in (others, others[::-1], [others[k] for k in (1, 3, 0, 2, 4)]):
        given = frozenset(answer(x, y, v, 0.0, order).neurons)
        plain = Plain(x, y, 0.0)
        expect(v in given, "v must stay: a trial without which v falls is taken back")
        expect(plain.max_match(given) == given, "this is no match: every neuron must be near, not only v")
        smaller = any(v in plain.max_match(given - {u}) for u in given - {v})
        expect(not smaller, "this is not minimal: try to do without each other neuron, and go on with what is left")
        right = plain.min_match(v, order=order)
        expect(given == right, "minimal, but not what this order gives: try the neurons in the order of `order`")


@checks("ex-smallest-sets")
def _smallest_sets(answer: Callable[..., Any]) -> None:
    v, a, b, c, d = ("y", 0), ("x", 0), ("x", 1), ("y", 1), ("y", 2)
    for matches in ([{v, a, b}], [{v, a, c}, {v, b, d}], [{v, a, b}, {v, b, c}, {v, c, a}], [{v, a, b}, {v, b, c, d}]):
        known = [frozenset(m) for m in matches]
        given = [frozenset(s) for s in answer(known, v)]
        expect(not any(v in s for s in given), "leave v out: without v there is nothing to test")
        expect(all(s & m for s in given for m in known), "a set of yours misses no neuron of one of the matches")
        parts = any(s < t for s in given for t in given)
        expect(not parts, "one of your sets lies inside another: keep the smallest only")
        right = set(hitting_sets(known, v))
        expect(set(given) == right and len(given) == len(right), f"of {matches} there are {len(right)} such sets")


@checks("ex-steepest-cliff")
def _steepest_cliff(answer: Callable[..., float]) -> None:
    values = np.array([0.105, 0.108, 0.111, 0.3, 0.5, np.inf, np.inf, np.inf])
    given = answer(values, 0.01)
    expect(not np.isclose(given, 3 / 5), "divide by all neurons: those that never match count in s(ε), too")
    edges = "a cliff may straddle a multiple of the step: start the window at each critical ε"
    expect(not np.isclose(given, 2 / 8), edges)
    expect_close(given, 3 / 8, "three of eight neurons join between 0.105 and 0.111: expect 3/8")
    expect_close(answer(np.full(4, np.inf), 0.01), 0, "where no neuron ever matches there is no cliff: expect 0")


# ---------------------------------------------------------------- measures, scales, identification


@checks("ex-measure-cka")
def _linear_cka(answer: Callable[..., float]) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 40)) + 2, rng.normal(size=(3, 40)) ** 2
    y[0] += x[0]
    given, right = answer(x, y), measure("cka", x, y)
    expect(not np.isclose(given, measure("cka_raw", x, y)), "take the mean of each neuron away first")
    expect(not np.isclose(given, np.sqrt(right)), "square the norm of X Yᵀ")
    expect_close(given, right, "divide ‖X Yᵀ‖² by the product of ‖X Xᵀ‖ and ‖Y Yᵀ‖, all Frobenius norms")
    expect_close(answer(2 * x, y), right, "the value must not depend on the scale: divide by both norms")


@checks("ex-scale-p")
def _never_zero(answer: Callable[..., float]) -> None:
    expect_close(answer(1.0, [0.1, 0.2, 0.3]), 1 / 4, "no permutation reaches it, but it counts itself: 1/4")
    expect_close(answer(0.2, [0.1, 0.2, 0.3]), 3 / 4, "a permutation with the same value reaches it, too: expect 3/4")


@checks("ex-identify-accuracy")
def _hits(answer: Callable[..., float]) -> None:
    clear = np.array([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.1, 0.2, 0.4]])
    expect_close(answer(clear), 2 / 3, "of these rows two have their largest entry on the diagonal: look along rows")
    tied = np.array([[0.5, 0.5], [0.1, 0.9]])
    expect_close(answer(tied), 3 / 4, "a row tied between two entries counts as one half")


# ---------------------------------------------------------------- what makes two networks alike


@checks("ex-alike-share")
def _alike_share(answer: Callable[[float, float, float, float], float]) -> None:
    given = answer(0.5, 0.6, 0.2, 1.0)
    expect(not np.isclose(given, 5 / 6), "these are raw areas: take chance away from both")
    expect(not np.isclose(given, 0.375), "that is a calibrated similarity: divide it by that of the labels")
    expect_close(given, 0.75, "for areas 0.5 and 0.6 with chance 0.2 and ceiling 1 expect 0.75")
    expect_close(answer(0.3, 0.5, 0.3, 0.9), 0, "a network at chance keeps nothing")
