"""The paper's measure as one number, against its curve and planted matches."""

import numpy as np
import pytest

from helpers.matching import critical_epsilons, similarity_curve
from helpers.measures import measure

RNG = np.random.default_rng(7)
X = RNG.normal(size=(6, 50)) + 0.5
Y = np.vstack([X[:3] + 0.2 * RNG.normal(size=(3, 50)), RNG.normal(size=(3, 50))])


def test_area_is_that_under_the_curve():
    grid = (np.arange(4000) + 0.5) / 4000
    assert measure("subspace", X, Y) == pytest.approx(similarity_curve(X, Y, grid).mean(), abs=1e-3)


def test_median_and_share_follow_from_the_critical_epsilons():
    critical = np.concatenate(critical_epsilons(X, Y))
    assert measure("subspace_median", X, Y) == pytest.approx(1 - np.median(np.minimum(critical, 1)))
    assert measure("subspace_at_0.3", X, Y) == similarity_curve(X, Y, [0.3])[0] == 0.5


def test_a_planted_match_of_half_the_neurons_and_dead_ones():
    orthogonal = np.linalg.qr(RNG.normal(size=(50, 9)))[0].T
    x, y = orthogonal[:6], np.vstack([orthogonal[:3], orthogonal[6:]])
    assert measure("subspace", x, y) == pytest.approx(0.5)
    x[5] = 0
    assert measure("subspace", x, y) == pytest.approx(0.5)
    assert measure("subspace_at_0.3", np.zeros((2, 9)), np.zeros((2, 9))) == 0
