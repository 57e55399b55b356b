"""Soft matching against all permutations and against a linear programme."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linprog

from helpers.measures import measure

RNG = np.random.default_rng(6)
X = RNG.normal(size=(5, 50)) + 1
Y = X[[2, 0, 1, 4, 3]] + RNG.normal(size=(5, 50))


def correlations(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.corrcoef(x, y)[: len(x), len(x) :]


def test_equal_sizes_give_the_best_of_all_assignments():
    corr = correlations(X, Y)
    best = max(np.mean([corr[i, p[i]] for i in range(5)]) for p in permutations(range(5)))
    assert measure("soft_match", X, Y) == pytest.approx(best)


def test_different_sizes_give_the_optimum_of_the_transport_programme():
    corr = correlations(X, Y[:3])
    rows = np.kron(np.eye(5), np.ones(3))
    columns = np.kron(np.ones(5), np.eye(3))
    equal = np.concatenate([np.full(5, 1 / 5), np.full(3, 1 / 3)])
    best = -linprog(-corr.ravel(), A_eq=np.vstack([rows, columns]), b_eq=equal).fun
    assert measure("soft_match", X, Y[:3]) == pytest.approx(best)
    assert measure("soft_match", Y[:3], X) == pytest.approx(best)


def test_every_neuron_twice_is_matched_in_halves():
    assert measure("soft_match", X, np.vstack([X, X])) == pytest.approx(1)


def test_a_dead_neuron_keeps_its_weight():
    dead = X.copy()
    dead[0] = 0
    assert measure("soft_match", dead, dead) == pytest.approx(4 / 5)


def test_a_neuron_and_its_negative_do_not_match():
    assert measure("soft_match", X[:1], -X[:1]) == pytest.approx(-1)
