"""Mutual nearest neighbours against scikit-learn, and planted clusters."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from helpers.measures import measure

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 80))
Y = X + RNG.normal(size=(6, 80))


def neighbours(z: np.ndarray) -> list[set[int]]:
    nearest = NearestNeighbors(n_neighbors=11, metric="cosine").fit(z.T).kneighbors(z.T, return_distance=False)
    return [set(row) - {i} for i, row in enumerate(nearest.tolist())]


def test_mean_overlap_of_the_ten_nearest_by_cosine():
    overlap = [len(a & b) / 10 for a, b in zip(neighbours(X), neighbours(Y), strict=True)]
    assert measure("neighbours", X, Y) == pytest.approx(np.mean(overlap))


def test_clusters_of_eleven_are_found_in_any_other_layer_that_has_them():
    labels = np.repeat(np.arange(5), 11)
    layers = [np.eye(5)[:, labels] + 0.01 * RNG.normal(size=(5, 55)) for _ in range(2)]
    assert measure("neighbours", *layers) == 1


def test_strangers_share_what_their_number_gives():
    a, b = np.random.default_rng(0).normal(size=(2, 20, 500))
    assert measure("neighbours", a, b) == pytest.approx(10 / 499, abs=0.01)


def test_fewer_samples_than_neighbours():
    assert measure("neighbours", X[:2, :4], Y[:2, :4]) == 1
