"""Orthogonal Procrustes against SciPy, and a planted rotation."""

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes

from helpers.measures import measure

RNG = np.random.default_rng(2)
X, Y = RNG.normal(size=(2, 5, 60)) + 1
Y = Y + 0.8 * X


def centred(z: np.ndarray) -> np.ndarray:
    z = z - z.mean(axis=1, keepdims=True)
    return z / np.linalg.norm(z)


def test_one_less_half_the_squared_distance_after_the_best_rotation():
    x, y = centred(X), centred(Y)
    rotation, _ = orthogonal_procrustes(x.T, y.T)
    distance = np.linalg.norm(x.T @ rotation - y.T)
    assert measure("procrustes", X, Y) == pytest.approx(1 - distance**2 / 2)


def test_a_rotation_is_found_and_a_stretched_layer_is_not_one():
    rotation = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    assert measure("procrustes", X, rotation @ X + 3) == pytest.approx(1)
    assert measure("procrustes", X, np.diag([9, 1, 1, 1, 1]) @ X) < 0.95


def test_layers_of_different_widths_are_padded_with_zeros():
    wide = np.vstack([Y, np.zeros((3, 60))])
    assert measure("procrustes", X, wide) == pytest.approx(measure("procrustes", X, Y))
