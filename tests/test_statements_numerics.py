"""The statements of the numerics chapter, one property test or more each, and the experiments that show them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.matching import critical_epsilons, maximum_match
from helpers.matching.definitions import Distances, all_matches, all_neurons, relative_distance, subsets
from helpers.matching.peeling import peel
from helpers.pages.chapters import numerics
from helpers.streaming import GramAccumulator
from helpers.subspaces import Pair

SEEDS = st.integers(0, 10**6)
RIDGES = st.sampled_from([1e-12, 1e-6, 1e-2, 0.5])
quick = settings(max_examples=25, deadline=None)


def drawn(seed: int, count: int, samples: int = 12) -> np.ndarray:
    """Neurons of very different scales; odd seeds have a multiple among them, multiples of 3 a near-dependence."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((count, samples)) * 10.0 ** rng.integers(-3, 4, (count, 1))
    if seed % 2 and count > 1:
        z[-1] = -2.5 * z[0]
    if seed % 3 == 0 and count > 2:
        z[1] = z[0] + 1e-5 * np.linalg.norm(z[0]) * rng.standard_normal(samples)
    return z


def unit(z: np.ndarray) -> np.ndarray:
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


def coefficients(z: np.ndarray, basis: np.ndarray, ridge: float) -> np.ndarray:
    """The minimiser of def-ridge by the normal equations."""
    b = unit(basis)
    return np.linalg.solve(b @ b.T + ridge * np.eye(len(b)), b @ unit(z))


# ---------------------------------------------------------------- the Gram matrix


@pytest.mark.statement("prp-gram-suffices")
@quick
@given(SEEDS)
def test_matches_depend_on_the_gram_matrix_alone(seed):
    z = drawn(seed, 7, 9)
    other = numerics.activations_with(z @ z.T, 23, np.random.default_rng(seed))
    np.testing.assert_allclose(unit(other) @ unit(other).T, unit(z) @ unit(z).T, atol=1e-12)
    for a, b in zip(critical_epsilons(z[:4], z[4:]), critical_epsilons(other[:4], other[4:]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.statement("prp-gram-suffices")
@quick
@given(SEEDS, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_gram_matrices_of_parts_add_up(seed, widths):
    z = drawn(seed, 5, sum(widths))
    edges = np.cumsum([0, *widths])
    grams = [GramAccumulator([3, 2]).add([z[:3, a:b], z[3:, a:b]]).result() for a, b in pairwise(edges)]
    merged = grams[0]
    for gram in grams[1:]:
        merged = merged.merge(gram)
    assert merged.samples == sum(widths)
    np.testing.assert_allclose(merged.gram, z @ z.T, rtol=1e-10, atol=1e-12 * np.abs(z @ z.T).max())


# ---------------------------------------------------------------- truncation


@pytest.mark.statement("prp-truncation")
@quick
@given(st.floats(1e-6, 0.8))
def test_truncation_loses_a_direction_when_a_copy_is_added(cut):
    """The neurons of the proof: sin a a little above 2t/(1 + t²)."""
    sine = min(2.002 * cut / (1 + cut**2), 0.5 + cut / (1 + cut**2))
    y = np.array([[1, 0], [np.sqrt(1 - sine**2), sine], [1, 0]])
    e2 = np.array([0.0, 1.0])
    assert numerics.truncated_distance(e2, y[:2], cut) < 1e-8
    assert numerics.truncated_distance(e2, y, cut) > np.sqrt(0.5)
    assert numerics.truncated_distance(y[0], y[[0, 2]], cut) < 1e-12
    assert numerics.truncated_distance(y[0], y[:2], cut) < 1e-8
    assert numerics.ridge_distance(e2, y, 1e-15) <= numerics.ridge_distance(e2, y[:2], 1e-15) < 0.05


def test_truncation_at_no_cut_is_the_plain_distance():
    z = drawn(2, 5, 9)
    assert numerics.truncated_distance(z[0], z[1:], 0) == pytest.approx(relative_distance(z[0], z[1:]), abs=1e-12)


# ---------------------------------------------------------------- the ridge distance


@pytest.mark.statement("def-ridge")
@quick
@given(SEEDS, RIDGES)
def test_ridge_distance_is_the_minimum_and_has_its_closed_form(seed, ridge):
    z = drawn(seed, 5)
    r = relative_distance(z[0], z[1:], ridge)
    b, target = unit(z[1:]), unit(z[0])

    def value(c):
        return np.sum((target - c @ b) ** 2) + ridge * c @ c

    c = coefficients(z[0], z[1:], ridge)
    assert value(c) == pytest.approx(r**2, abs=1e-9)
    for step in np.random.default_rng(seed).standard_normal((5, len(c))):
        assert value(c + 0.1 * step) >= r**2 - 1e-9
    assert numerics.ridge_distance(z[0], z[1:], ridge) == pytest.approx(r, abs=1e-8)
    assert 1 - (b @ target) @ c == pytest.approx(r**2, abs=1e-8)
    assert relative_distance(z[0], z[:0], ridge) == 1


@pytest.mark.statement("def-ridge")
@quick
@given(SEEDS)
def test_the_engine_computes_the_ridge_distance(seed):
    z = drawn(seed, 6)
    for route in ("gram", "qr"):
        pair = Pair.from_arrays(z[:3], z[3:], route=route)
        expected = [relative_distance(x, z[3:], pair.ridge) for x in z[:3]]
        np.testing.assert_allclose(np.sqrt(pair.sides[1].squares), expected, atol=1e-6)


@pytest.mark.statement("prp-ridge-monotone")
@quick
@given(SEEDS, RIDGES)
def test_more_neurons_never_raise_the_ridge_distance(seed, ridge):
    z = drawn(seed, 7)
    r = [numerics.ridge_distance(z[0], z[1 : 1 + k], ridge) for k in range(1, 7)]
    assert all(after <= before + 1e-12 for before, after in pairwise(r))
    plain = relative_distance(z[0], z[1:])
    assert plain - 1e-9 <= r[-1] <= 1


@pytest.mark.statement("prp-ridge-monotone")
@quick
@given(SEEDS)
def test_ridge_distance_tends_to_the_plain_one_and_moves_little_when_a_neuron_does(seed):
    rng = np.random.default_rng(seed)
    z = unit(rng.standard_normal((5, 12)))
    plain = relative_distance(z[0], z[1:])
    gaps = [numerics.ridge_distance(z[0], z[1:], ridge) - plain for ridge in (1e-2, 1e-5, 1e-8)]
    assert gaps[0] >= gaps[1] >= gaps[2] >= -1e-12
    assert gaps[2] < 1e-4
    moved = z + 1e-9 * rng.standard_normal(z.shape)
    change = numerics.ridge_distance(moved[0], moved[1:], 1e-3) - numerics.ridge_distance(z[0], z[1:], 1e-3)
    assert abs(change) < 1e-6


@pytest.mark.statement("cor-ridge-union")
@quick
@given(SEEDS, st.sampled_from([0.2, 0.5, 0.8]))
def test_unions_of_ridge_matches_are_ridge_matches(seed, epsilon):
    """Against all subsets, with a ridge so large that it shows: the union of all is one, and the peel finds it."""
    z = drawn(seed, 6, 8)
    matches = all_matches(z[:3], z[3:], epsilon, ridge=0.05)
    known = set(matches)
    assert all(a | b in known for a in matches for b in matches)
    pair = replace(Pair.from_gram(z @ z.T, 3, 3, 8), ridge=0.05)
    x, y = peel(pair)
    largest = {("x", int(i)) for i in np.flatnonzero(x <= epsilon)} | {
        ("y", int(j)) for j in np.flatnonzero(y <= epsilon)
    }
    assert frozenset().union(*matches) == largest


@pytest.mark.statement("prp-ridge-floor")
@quick
@given(SEEDS, st.sampled_from([1e-10, 1e-6, 1e-2]), st.floats(0, 0.9))
def test_the_floor_of_the_ridge(seed, ridge, delta):
    rng = np.random.default_rng(seed)
    z, basis = numerics.planted(delta, 4, 15, rng)
    c = np.linalg.lstsq(basis.T, z, rcond=None)[0]
    sigma = np.linalg.svd(basis, compute_uv=False).min()
    extra = numerics.ridge_distance(z, basis, ridge) ** 2 - delta**2
    floor = ridge * c @ c
    assert floor * sigma**2 / (sigma**2 + ridge) - 1e-12 <= extra <= floor + 1e-12


def test_measured_distances_follow_the_planted_ones_down_to_the_floor_of_the_route():
    rng = np.random.default_rng(0)
    for route, tau in (("gram", 1e-6), ("qr", 1e-8)):
        for distance in (0.3, 1e-3, 1e-5, 1e-11):
            z, basis = numerics.planted(distance, 6, 60, rng)
            c = np.linalg.lstsq(basis.T, z, rcond=None)[0]
            expected = np.hypot(distance, tau * np.linalg.norm(c))
            assert numerics.measured_distance(z, basis, route) == pytest.approx(expected, rel=0.05)


# ---------------------------------------------------------------- rounding


@pytest.mark.statement("prp-gram-error")
@quick
@given(SEEDS, st.sampled_from([1e-9, 1e-5, 1e-3]), st.sampled_from([1e-6, 1e-2]))
def test_error_of_the_matrix_bounds_the_error_of_the_distance(seed, size, ridge):
    rng = np.random.default_rng(seed)
    z = unit(rng.standard_normal((6, 15)))
    gram = z @ z.T
    noise = size * rng.standard_normal(gram.shape)
    error = (noise + noise.T) / 2

    def solve(g):
        inner = g[1:, 1:] + ridge * np.eye(5)
        assert np.linalg.eigvalsh(inner)[0] > 0
        c = np.linalg.solve(inner, g[1:, 0])
        return g[0, 0] - g[1:, 0] @ c, c @ c

    (before, c), (after, moved) = solve(gram), solve(gram + error)
    bound = np.linalg.norm(error, 2) * (1 + max(c, moved))
    assert abs(after - before) <= bound + 1e-13
    if before > 0 and after > 0:
        assert abs(np.sqrt(after) - np.sqrt(before)) <= bound / (np.sqrt(before) + np.sqrt(after)) + 1e-12


@quick
@given(SEEDS, st.sampled_from(sorted(numerics.BITS)))
def test_rounding_keeps_so_many_bits(seed, precision):
    z = drawn(seed, 4)
    relative = np.abs(numerics.rounded(z, precision) / z - 1).max()
    assert relative <= 2.0 ** -numerics.BITS[precision]
    if precision == "float32":
        np.testing.assert_array_equal(numerics.rounded(z, precision), z.astype(np.float32).astype(float))
    if precision in ("TF32", "bfloat16"):
        assert relative > 2.0 ** -(numerics.BITS[precision] + 4)


def test_gram_matrix_in_a_precision():
    z = np.random.default_rng(0).standard_normal((4, 2500))
    exact = z @ z.T
    errors = [np.abs(numerics.gram_in(z, p) - exact).max() / exact.max() for p in ("float64", "float32", "bfloat16")]
    assert errors[0] < 1e-14 < 1e-8 < errors[1] < 1e-5 < errors[2] < 1e-2


# ---------------------------------------------------------------- duplicates


@pytest.mark.statement("prp-duplicates")
@quick
@given(SEEDS, RIDGES, st.integers(2, 5))
def test_copies_divide_the_penalty(seed, ridge, k):
    """λ c²/k is the penalty λ s² of a basis vector √k b̂ with s = c/√k."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((4, 12))
    copies = rng.choice([-1, 1], k) * 10.0 ** rng.uniform(-3, 3, k)
    b = np.vstack([copies[:, None] * z[1], z[2:]])
    scaled = unit(z[1:]) * np.sqrt([[k], [1], [1]])
    c = np.linalg.solve(scaled @ scaled.T + ridge * np.eye(3), scaled @ unit(z[0]))
    expected = np.sum((unit(z[0]) - c @ scaled) ** 2) + ridge * c @ c
    assert numerics.ridge_distance(z[0], b, ridge) ** 2 == pytest.approx(expected, abs=1e-10)
    assert relative_distance(z[0], b) == pytest.approx(relative_distance(z[0], z[1:]), abs=1e-9)


@pytest.mark.statement("prp-duplicates")
@quick
@given(SEEDS, st.sampled_from([-1e6, -1.0, 1e-6, 3.0]))
def test_multiples_have_the_same_critical_epsilon_and_the_dead_have_none(seed, factor):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((3, 30)), rng.standard_normal((3, 30))
    y = x + rng.uniform(0.1, 1, (3, 1)) * y
    critical = critical_epsilons(np.vstack([x, factor * x[0], np.zeros(30)]), y)[0]
    assert critical[3] == pytest.approx(critical[0], abs=1e-7)
    assert np.isinf(critical[4])


# ---------------------------------------------------------------- samples


@pytest.mark.statement("prp-finite-sample")
@settings(max_examples=8, deadline=None)
@given(SEEDS, st.sampled_from([(10, 20), (10, 100), (30, 60)]), st.booleans())
def test_a_fit_on_few_samples_is_too_close(seed, sizes, signs):
    """The mean over 400 draws of the noise, Gaussian or ±1, within five standard errors."""
    n, d = sizes
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((n, d)) + 1
    noise = rng.choice([-1.0, 1.0], (400, d)) if signs else rng.standard_normal((400, d))
    z = rng.standard_normal((400, n)) @ basis + 0.7 * noise
    fit = np.linalg.lstsq(basis.T, z.T, rcond=None)[0]
    squares = np.sum((z.T - basis.T @ fit) ** 2, axis=0)
    error = 5 * squares.std() / np.sqrt(400)
    assert squares.mean() == pytest.approx(0.49 * (d - n), abs=error)
    assert squares.mean() / (0.49 * d) < 1 - 0.5 * n / d


@pytest.mark.statement("prp-finite-sample")
@quick
@given(SEEDS)
def test_with_as_many_neurons_as_samples_everything_matches(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((6, 6)), rng.standard_normal((7, 6))
    assert maximum_match(x, y, 0.05, few_samples=True).similarity(6, 7) == 1


# ---------------------------------------------------------------- margins


def brute_critical(r: Distances, x: np.ndarray, y: np.ndarray) -> dict:
    """The smallest max r(u, S) over all pairs of sets S that hold v, for every v."""
    everyone = all_neurons(x, y)
    worst = {pair: r.worst(pair) for pair in subsets(everyone)}
    return {v: min(value for pair, value in worst.items() if v in pair) for v in everyone}


@pytest.mark.statement("prp-margin")
@settings(max_examples=12, deadline=None)
@given(SEEDS, st.sampled_from([1e-4, 1e-2]))
def test_critical_epsilons_move_no_more_than_the_distances(seed, size):
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((3, 8)), rng.standard_normal((3, 8))
    before = Distances(x, y, 1e-6)
    moved = x + size * rng.standard_normal(x.shape), y + size * rng.standard_normal(y.shape)
    after = Distances(*moved, 1e-6)
    old, new = brute_critical(before, x, y), brute_critical(after, *moved)
    eta = max(abs(after.known[key] - before.known[key]) for key in before.known)
    assert all(abs(old[v] - new[v]) <= eta + 1e-12 for v in old)
    for epsilon in (0.3, 0.6, 0.9):
        if min(abs(value - epsilon) for value in old.values()) > eta:
            assert {v for v in old if old[v] <= epsilon} == {v for v in new if new[v] <= epsilon}


def test_bad_input_of_the_experiments():
    with pytest.raises(BadInput, match="unknown precision 'float16': did you mean"):
        numerics.rounded(np.ones(2), "float16")
    with pytest.raises(BadInput, match="samples is 1: expected at least the 2 neurons"):
        numerics.activations_with(np.eye(2), 1, np.random.default_rng(0))
    with pytest.raises(BadInput, match=r"distance 1.5, 2 neurons"):
        numerics.planted(1.5, 2, 5, np.random.default_rng(0))
