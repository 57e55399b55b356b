"""CCA, SVCCA and PWCCA against an independent implementation by QR, and planted correlations."""

import numpy as np
import pytest

from helpers.measures import measure

RNG = np.random.default_rng(1)
X = RNG.normal(size=(6, 90)) + 2
Y = np.vstack([X[:2] + 0.5 * RNG.normal(size=(2, 90)), RNG.normal(size=(3, 90))])


def canonical(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Canonical variables of x and of y (rows, unit length) and correlations, by QR of the centred activations."""
    q_x, q_y = (np.linalg.qr((z - z.mean(1, keepdims=True)).T)[0] for z in (x, y))
    u, s, v = np.linalg.svd(q_x.T @ q_y, full_matrices=False)
    return (q_x @ u).T, s, (q_y @ v.T).T


def test_mean_of_the_canonical_correlations():
    assert measure("cca", X, Y) == pytest.approx(canonical(X, Y)[1].mean())


def test_planted_correlations_come_back():
    basis = np.linalg.qr(np.column_stack([np.ones(50), RNG.normal(size=(50, 6))]))[0].T[1:]  # orthonormal, mean 0
    rho = np.array([0.9, 0.5, 0.2])
    mixed = rho[:, None] * basis[:3] + np.sqrt(1 - rho**2)[:, None] * basis[3:]
    turn = RNG.normal(size=(2, 3, 3))
    assert measure("cca", turn[0] @ basis[:3], turn[1] @ mixed) == pytest.approx(rho.mean())


def test_dependent_neurons_count_once():
    assert measure("cca", np.vstack([X, X[:3] - 2 * X[3:]]), Y) == pytest.approx(measure("cca", X, Y))


def test_svcca_is_the_mean_after_a_singular_value_decomposition():
    scaled = X * np.array([[10], [8], [5], [1], [0.1], [0.01]])

    def strong(z: np.ndarray) -> np.ndarray:
        _, s, v = np.linalg.svd(z - z.mean(1, keepdims=True), full_matrices=False)
        return v[: np.searchsorted(np.cumsum(s**2) / np.sum(s**2), 0.99) + 1]

    assert len(strong(scaled)) < 6
    assert measure("svcca", scaled, Y) == pytest.approx(canonical(strong(scaled), strong(Y))[1].mean())
    assert measure("svcca", scaled, Y) != pytest.approx(measure("cca", scaled, Y), abs=1e-3)


def test_pwcca_weights_by_what_directions_take_of_the_neurons():
    h_x, s, h_y = canonical(X, Y)
    means = []
    for h, z in ((h_x, X), (h_y, Y)):
        weights = np.abs(h @ (z - z.mean(1, keepdims=True)).T).sum(axis=1)
        means.append(weights @ s / weights.sum())
    assert measure("pwcca", X, Y) == pytest.approx(np.mean(means))


def test_noise_directions_lower_the_mean_and_hardly_the_weighted_mean():
    rng = np.random.default_rng(2)
    strong = rng.normal(size=(4, 4000)) * 10
    a, b = (np.vstack([strong, 0.1 * rng.normal(size=(12, 4000))]) for _ in range(2))
    assert measure("cca", a, b) < 0.4
    assert measure("pwcca", a, b) > 0.75
    assert measure("svcca", a, b) == pytest.approx(1)
