"""Mean R² against scikit-learn, and its relation to the distances that matching uses."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from helpers.measures import measure
from helpers.subspaces import Pair

RNG = np.random.default_rng(3)
X = RNG.normal(size=(5, 70)) + 1
Y = RNG.normal(size=(4, 5)) @ X + RNG.normal(size=(4, 70))


def test_mean_of_both_directions_of_scikit_learn():
    of_y = r2_score(Y.T, LinearRegression().fit(X.T, Y.T).predict(X.T), multioutput="uniform_average")
    of_x = r2_score(X.T, LinearRegression().fit(Y.T, X.T).predict(Y.T), multioutput="uniform_average")
    assert measure("regression", X, Y) == pytest.approx((of_x + of_y) / 2)


def test_one_less_the_squared_distances_to_the_span_for_centred_neurons():
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (X, Y))
    squares = [side.squares.mean() for side in Pair.from_arrays(x, y).sides]
    assert measure("regression", x, y) == pytest.approx(1 - np.mean(squares), abs=1e-9)


def test_strangers_explain_what_their_number_gives():
    a, b = np.random.default_rng(0).normal(size=(2, 40, 400))
    assert measure("regression", a, b) == pytest.approx(40 / 399, abs=0.01)
