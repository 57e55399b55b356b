"""Accumulators: in-place products against the plain formula, draws, chosen pairs of networks, squares out of range."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import streaming, subspaces
from helpers.errors import BadInput
from helpers.matching import critical_epsilons
from helpers.streaming import BlockAccumulator, DrawAccumulator, GramAccumulator, QRAccumulator
from tests.test_subspaces import OnAccelerator

SIZES = (3, 5, 4)
ENDS = (0, 3, 8, 12)


def activations_of(samples: int, seed: int = 0) -> np.ndarray:
    z = np.random.default_rng(seed).normal(size=(sum(SIZES), samples))
    z[4] = 0
    return np.maximum(z, 0)


def blocks_of(z: np.ndarray) -> list[np.ndarray]:
    return [z[a:b] for a, b in pairwise(ENDS)]


def test_a_result_stays_as_it_was_when_more_is_added():
    z = np.random.default_rng(0).standard_normal((300, 700))
    accumulator = GramAccumulator([100, 200]).add([z[:100, :400], z[100:, :400]])
    first = accumulator.result()
    kept = first.gram.copy()
    accumulator.add([z[:100, 400:], z[100:, 400:]])
    np.testing.assert_array_equal(first.gram, kept)
    np.testing.assert_array_equal(first.gram, first.gram.T)
    np.testing.assert_allclose(accumulator.result().gram, z @ z.T, rtol=1e-9, atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(cuts=st.sets(st.integers(1, 899), max_size=6), order=st.sampled_from("CF"))
def test_batches_above_and_below_the_size_worth_a_product(cuts, order):
    z = activations_of(900)
    accumulator = GramAccumulator(SIZES)
    for a, b in pairwise([0, *sorted(cuts), 900]):
        accumulator.add_joint(np.array(z[:, a:b], order=order))
    gram = accumulator.result()
    np.testing.assert_allclose(gram.gram, z @ z.T, rtol=1e-13)
    np.testing.assert_array_equal(gram.gram, gram.gram.T)
    np.testing.assert_allclose(gram.sums, z.sum(axis=1), rtol=1e-13)


@pytest.mark.parametrize("samples", [10, streaming.ENOUGH])
def test_the_caller_may_overwrite_a_joint_batch(samples):
    z = activations_of(samples)
    buffer, expected = z.copy(), z @ z.T
    accumulator = GramAccumulator(SIZES).add_joint(buffer)
    buffer[:] = 7
    np.testing.assert_allclose(accumulator.result().gram, expected, rtol=1e-13)


def test_every_draw_has_the_samples_that_were_chosen():
    z, rng = activations_of(700), np.random.default_rng(1)
    chosen = [np.sort(rng.choice(700, 90, replace=False)) for _ in range(3)]
    accumulator = DrawAccumulator(SIZES, chosen)
    for a, b in pairwise([0, 1, 300, 301, 699, 700]):
        accumulator.add_joint(z[:, a:b])
    for gram, positions in zip(accumulator.result(), chosen, strict=True):
        np.testing.assert_allclose(gram.gram, z[:, positions] @ z[:, positions].T, rtol=1e-13)
        assert gram.samples == 90


# ---------------------------------------------------------------- chosen pairs


@pytest.mark.parametrize("place", [np.asarray, lambda z: torch.tensor(z).as_subclass(OnAccelerator)])
def test_blocks_are_those_of_the_joint_matrix_and_no_more(place):
    z = activations_of(400)
    accumulator = BlockAccumulator(SIZES, [(0, 2), (1, 2)])
    for part in np.split(z, [100, 390], axis=1):
        accumulator.add([place(block) for block in blocks_of(part)])
    parts, joint = accumulator.result(), GramAccumulator(SIZES).add(blocks_of(z)).result()
    assert set(parts.blocks) == {(0, 0), (1, 1), (2, 2), (0, 2), (1, 2)}
    for a, b in ((0, 2), (2, 1)):
        expected = joint.networks([a, b])
        np.testing.assert_allclose(parts.networks([a, b]).gram, expected.gram, rtol=1e-12)
        np.testing.assert_allclose(parts.networks([a, b]).sums, expected.sums, rtol=1e-12)
        np.testing.assert_allclose(parts.pair(a, b).gram, joint.pair(a, b).gram, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: BlockAccumulator([1, 1], [(0, 2)]), r"network 2 is in pairs: expected 0 to 1"),
        (lambda: BlockAccumulator([1, 1], [(0, 1)]).result(), "no samples"),
        (
            lambda: BlockAccumulator([1, 1, 1], [(0, 1)]).add([np.ones((1, 2))] * 3).result().pair(0, 2),
            r"networks 0 and 2 were not compared: expected one of \(0, 0\), \(1, 1\), \(0, 1\)",
        ),
        (lambda: subspaces.NoSuchThing, "has no attribute NoSuchThing"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises((BadInput, AttributeError), match=message):
        call()


def test_accumulators_are_found_under_their_old_address():
    assert subspaces.GramAccumulator is GramAccumulator
    assert subspaces.QRAccumulator is QRAccumulator


# ---------------------------------------------------------------- squares out of range


@pytest.mark.parametrize("kind", [GramAccumulator, lambda sizes: BlockAccumulator(sizes, [(0, 1)])])
@pytest.mark.parametrize("exponent", [-140, -150, -152, -155, -160, -161, -162, -200, -320])
def test_tiny_neurons_are_matched_as_arrays_are_or_refused(kind, exponent):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 60))
    y = rng.normal(size=(4, 4)) @ x + 0.5 * rng.normal(size=(4, 60))
    tiny = x * np.array([10.0**exponent, 1, 1, 1])[:, None]
    accumulator = kind([4, 4]).add([tiny, y])
    if exponent <= -155:
        with pytest.raises(BadInput, match="neuron 0: squares leave float64's range"):
            accumulator.result()
    else:
        critical = critical_epsilons(accumulator.result().pair(0, 1))
        np.testing.assert_allclose(np.concatenate(critical), np.concatenate(critical_epsilons(x, y)), atol=1e-9)


def test_a_tiny_neuron_whose_sum_is_zero_is_not_dead():
    tiny = np.vstack([np.tile([1e-200, -1e-200], 30), np.zeros(60)])
    with pytest.raises(BadInput, match="neuron 0: squares leave float64's range"):
        GramAccumulator([2]).add([tiny]).result()
    assert GramAccumulator([2]).add([tiny * 1e200]).result().gram[1, 1] == 0
