"""RSA against SciPy's distances and rank correlation."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from helpers.measures import measure

RNG = np.random.default_rng(4)
X = RNG.normal(size=(8, 60))
Y = X[:5] + RNG.normal(size=(5, 60))


def test_spearman_correlation_of_correlation_distances():
    expected = spearmanr(pdist(X.T, "correlation"), pdist(Y.T, "correlation")).statistic
    assert measure("rsa", X, Y) == pytest.approx(expected, abs=1e-6)


def test_a_monotone_change_of_the_distances_keeps_one():
    """Two groups of images: in both layers the same pairs are near, at different distances."""
    groups = np.repeat([0, 1], 5)
    x, y = np.zeros((4, 10)), np.zeros((4, 10))
    x[0], x[1] = groups, 1 - groups
    y[2], y[3] = 5 * groups + 1, 1 - groups
    assert measure("rsa", x, y) == pytest.approx(1)


def test_an_image_without_a_profile_has_distance_one():
    flat = X.copy()
    flat[:, 3] = 2.0
    reference = np.corrcoef(flat[:, [0, 1, 2, *range(4, 60)]].T)
    full = np.zeros((60, 60))
    keep = [i for i in range(60) if i != 3]
    full[np.ix_(keep, keep)] = reference
    upper = np.triu_indices(60, 1)
    expected = spearmanr((1 - full)[upper], pdist(Y.T, "correlation")).statistic
    assert measure("rsa", flat, Y) == pytest.approx(expected, abs=1e-6)
