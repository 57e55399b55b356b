"""Linear CKA against kernels written out, and what centring and debiasing are for."""

import numpy as np
import pytest

from helpers.measures import measure

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(5, 40)) + 1, RNG.normal(size=(7, 40)) ** 2
Y[:3] += X[:3]


def hsic_1(k: np.ndarray, l: np.ndarray) -> float:  # noqa: E741
    """Song et al. 2012, equation 5, from the n × n kernels."""
    n, one = len(k), np.ones(len(k))
    k, l = k - np.diag(np.diag(k)), l - np.diag(np.diag(l))  # noqa: E741
    middle = (one @ k @ one) * (one @ l @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ l) + middle - 2 / (n - 2) * one @ k @ l @ one) / (n * (n - 3))


def test_centred_is_the_alignment_of_centred_kernels():
    h = np.eye(40) - 1 / 40
    k, l = h @ X.T @ X @ h, h @ Y.T @ Y @ h  # noqa: E741
    assert measure("cka", X, Y) == pytest.approx(np.sum(k * l) / np.linalg.norm(k) / np.linalg.norm(l))


def test_raw_is_the_alignment_of_raw_kernels_and_sees_a_common_mean():
    k, l = X.T @ X, Y.T @ Y  # noqa: E741
    assert measure("cka_raw", X, Y) == pytest.approx(np.sum(k * l) / np.linalg.norm(k) / np.linalg.norm(l))
    a, b = RNG.normal(size=(2, 5, 4000)) + 10
    assert measure("cka_raw", a, b) > 0.99
    assert measure("cka", a, b) < 0.01


def test_debiased_is_the_unbiased_estimator_of_raw_kernels():
    k, l = X.T @ X, Y.T @ Y  # noqa: E741
    expected = hsic_1(k, l) / np.sqrt(hsic_1(k, k) * hsic_1(l, l))
    assert measure("cka_debiased", X, Y) == pytest.approx(expected)


def test_with_few_samples_only_the_debiased_one_is_near_zero_for_strangers():
    pairs = [np.random.default_rng(seed).normal(size=(2, 30, 40)) for seed in range(40)]
    assert np.mean([measure("cka", *pair) for pair in pairs]) > 0.3
    assert abs(np.mean([measure("cka_debiased", *pair) for pair in pairs])) < 0.01


def test_a_rotation_leaves_one():
    rotation = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    for name in ("cka", "cka_raw", "cka_debiased"):
        assert measure(name, X, 3 * rotation @ X) == pytest.approx(1)
