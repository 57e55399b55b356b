"""The maximum match against brute force over all subsets, and bad input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.definitions import all_matches
from helpers.errors import BadInput
from helpers.matching import critical_epsilons, maximum_match
from helpers.peeling import peel
from helpers.subspaces import Gram, GramAccumulator, Pair


def instance(seed: int, relu: bool) -> tuple[np.ndarray, np.ndarray]:
    """Two layers of three or four neurons that share directions, with a duplicate, some after a ReLU."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(3, 12))
    x = rng.normal(size=(4, 3)) @ shared + rng.choice([0.05, 0.3]) * rng.normal(size=(4, 12))
    y = rng.normal(size=(3, 3)) @ shared + rng.choice([0.05, 0.3]) * rng.normal(size=(3, 12))
    x[3] = x[0] * rng.choice([1.0, -2.0])
    return (np.maximum(x, 0), np.maximum(y, 0)) if relu else (x, y)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from([0.1, 0.3, 0.6]))
def test_maximum_match_is_the_union_of_all_matches(seed, relu, epsilon):
    x, y = instance(seed, relu)
    union = frozenset().union(*all_matches(x, y, epsilon))
    found = maximum_match(x, y, epsilon)
    assert union == {("x", i) for i in found.x.tolist()} | {("y", j) for j in found.y.tolist()}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
def test_both_peels_agree(seed, relu):
    pair = Pair.from_arrays(*instance(seed, relu))
    for a, b in zip(peel(pair, "numba"), peel(pair, "numpy"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_self_match_is_one_and_dead_neurons_never_match():
    x = np.random.default_rng(0).normal(size=(5, 40))
    assert maximum_match(x, x[::-1], 0.0).similarity(5, 5) == 1
    dead = np.vstack([x, np.zeros(40)])
    assert np.isinf(critical_epsilons(dead, x)[0][5])


def test_scale_sign_and_order_do_not_matter_but_mixing_does():
    x, y = instance(3, False)
    base = critical_epsilons(x, y)[0]
    moved = critical_epsilons(-1e6 * x[::-1], 1e-6 * y)[0]
    np.testing.assert_allclose(moved[::-1], base, atol=1e-6)
    mixed = np.random.default_rng(1).normal(size=(4, 4)) @ x
    assert np.abs(critical_epsilons(mixed, y)[0] - base).max() > 1e-3


def test_gram_in_parts_is_the_gram_matrix(tmp_path):
    x, y = instance(5, True)
    halves = [GramAccumulator([4, 3]).add([x[:, s], y[:, s]]).result() for s in (slice(0, 5), slice(5, None))]
    merged = halves[0].merge(halves[1])
    merged.save(tmp_path / "g.npz")
    z = np.vstack([x, y])
    np.testing.assert_allclose(Gram.load(tmp_path / "g.npz").gram, z @ z.T, atol=1e-12)
    (tmp_path / "g.npz").write_bytes(b"PK nothing")
    with pytest.raises(BadInput, match=r"g\.npz"):
        Gram.load(tmp_path / "g.npz")


@pytest.mark.parametrize(
    ("x", "y", "epsilon", "message"),
    [
        (np.array([[1.0, np.nan]]), np.ones((1, 2)), 0.1, "neuron 0 of network x has NaN"),
        (np.ones((1, 2)), np.ones((1, 3)), 0.1, "2, 3 samples"),
        (np.ones(2), np.ones((1, 2)), 0.1, "shape"),
        (np.ones((1, 0)), np.ones((1, 0)), 0.1, "no samples"),
        (np.ones((1, 2)), np.ones((1, 2)), 1.0, "epsilon is 1.0"),
    ],
)
def test_bad_input_is_refused(x, y, epsilon, message):
    with pytest.raises(BadInput, match=message):
        maximum_match(x, y, epsilon)
