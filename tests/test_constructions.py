"""Layers made by hand: every number of the rotated layers against what the definitions say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.matching import critical_epsilons, maximum_match
from helpers.studies.causes import linear_cka
from helpers.studies.constructions import RotatedLayers, rotation_curve

ANGLES = st.floats(0.01, np.pi / 2 - 0.01)


def canonical_correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Singular values of the product of orthonormal bases of the row spaces."""
    bases = []
    for z in (x, y):
        _, sizes, rows = np.linalg.svd(z, full_matrices=False)
        bases.append(rows[sizes > 1e-9 * sizes[0]])
    return np.linalg.svd(bases[0] @ bases[1].T, compute_uv=False)


@pytest.mark.statement("prp-rotated")
@given(st.integers(2, 12), ANGLES)
@settings(max_examples=40)
def test_one_read_out_all_canonical_correlations_but_one_and_an_empty_match(n, theta):
    layers = RotatedLayers(n, theta)
    x, y = layers.x, layers.y
    assert np.allclose(np.linalg.norm(x, axis=1), 1)
    assert np.allclose(x.mean(1), 0)
    assert np.allclose(layers.read_out @ x, layers.signal)
    assert np.allclose(layers.read_out @ y, layers.signal)
    assert np.allclose(np.sort(canonical_correlations(x, y)), [0, *np.ones(n - 1)], atol=1e-6)
    assert canonical_correlations(x, y).mean() == pytest.approx(layers.mean_cca)
    assert np.allclose(np.concatenate(critical_epsilons(x, y)), np.sin(theta), atol=1e-6)
    below, above = max(np.sin(theta) - 1e-3, 0), min(np.sin(theta) + 1e-5, 1 - 1e-9)
    assert len(maximum_match(x, y, below)) == 0
    assert len(maximum_match(x, y, above)) == 2 * n


@given(st.integers(2, 12), st.floats(0, np.pi / 2))
@settings(max_examples=30)
def test_cka_in_closed_form(n, theta):
    layers = RotatedLayers(n, theta)
    z = np.vstack([layers.x, layers.y])
    z -= z.mean(1, keepdims=True)
    assert linear_cka(z @ z.T, n) == pytest.approx(layers.cka, abs=1e-9)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_both_ends(n):
    same, lost = RotatedLayers(n, 0), RotatedLayers(n, np.pi / 2)
    assert np.array_equal(same.x, same.y)
    assert same.cka == same.mean_cca == 1
    assert same.critical == 0
    assert np.allclose(np.concatenate(critical_epsilons(same.x, same.y)), 0, atol=1e-6)
    assert np.allclose(lost.x, lost.x[0])
    assert lost.mean_cca == 0
    assert lost.cka == pytest.approx(0)
    assert not np.isfinite(np.concatenate(critical_epsilons(lost.x, lost.y))).any()
    with pytest.raises(BadInput, match="90 degrees"):
        lost.read_out  # noqa: B018


def test_rotated_layers_refuse_what_they_are_not():
    with pytest.raises(BadInput, match="1 neurons"):
        RotatedLayers(1, 0.5)
    with pytest.raises(BadInput, match="theta is 2"):
        RotatedLayers(3, 2.0)


def test_the_curve_steps_down_at_the_angle_whose_sine_is_epsilon():
    curve = rotation_curve(8, [5, 17, 18, 60], epsilon=0.3)
    assert list(curve["similarity"]) == [1, 1, 0, 0]  # arcsin 0.3 is 17.5°
    assert (curve["mean_cca"] == 7 / 8).all()
    assert curve["cka"].is_monotonic_decreasing
