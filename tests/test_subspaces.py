"""Compressed layers: streaming, merging, both routes, scaling, distances; every error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.errors import BadInput
from helpers.matching.definitions import relative_distance
from helpers.streaming import GramAccumulator, QRAccumulator
from helpers.subspaces import (
    Gram,
    Pair,
    Root,
    Side,
    gram_ridge,
    triangle,
)
from tests.instances import larger, layers

SEEDS = st.integers(0, 10**6)
ROUTES = {"gram": GramAccumulator, "qr": QRAccumulator}


def product(compressed):
    """The joint raw Gram matrix of either kind of result."""
    return compressed.gram if isinstance(compressed, Gram) else compressed.gram().gram


def stream(kind, x, y, cuts):
    accumulator = ROUTES[kind]([len(x), len(y)])
    for a, b in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        accumulator.add([x[:, a:b], y[:, a:b]])
    return accumulator.result()


# ---------------------------------------------------------------- streaming


@pytest.mark.parametrize("route", ROUTES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, cuts=st.sets(st.integers(1, 11), max_size=4))
def test_batches_of_any_size_give_the_product_of_all(route, seed, cuts):
    x, y = layers("unequal", seed)
    z = np.vstack([x, y])
    streamed = stream(route, x, y, sorted(cuts))
    np.testing.assert_allclose(product(streamed), z @ z.T, atol=1e-12)
    np.testing.assert_allclose(streamed.sums, z.sum(axis=1), atol=1e-12)
    assert streamed.samples == 12
    assert streamed.sizes == (len(x), len(y))


@pytest.mark.parametrize("route", ROUTES)
def test_passes_over_different_samples_add_up(route):
    x, y = larger(4, 2, seed=0)
    parts = [stream(route, x[:, part], y[:, part], []) for part in (slice(0, 100), slice(100, 250), slice(250, 300))]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    whole = stream(route, x, y, [])
    np.testing.assert_allclose(product(merged), product(whole), rtol=1e-12)
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-12)
    assert merged.samples == 300
    assert merged.pair(0, 1).route == route


@pytest.mark.parametrize("route", ROUTES)
def test_a_result_is_a_snapshot_and_the_pass_goes_on(route):
    x, y = larger(3, 2, seed=1)
    accumulator = ROUTES[route]([3, 3]).add([x[:, :200], y[:, :200]])
    half = product(accumulator.result()).copy()
    accumulator.add([x[:, 200:], y[:, 200:]])
    np.testing.assert_allclose(half, product(stream(route, x[:, :200], y[:, :200], [])))
    np.testing.assert_allclose(product(accumulator.result()), product(stream(route, x, y, [])))


def test_a_refused_batch_leaves_the_pass_as_it_was():
    x, y = larger(3, 2, seed=1)
    accumulator = GramAccumulator([3, 3]).add([x, y])
    before = accumulator.result()
    with pytest.raises(BadInput):
        accumulator.add([x, np.full_like(y, np.nan)])
    assert accumulator.samples == before.samples
    np.testing.assert_array_equal(accumulator.result().gram, before.gram)


@pytest.mark.parametrize("route", ROUTES)
def test_float32_tensors_are_summed_in_float64(route):
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(0), requires_grad=True)
    streamed = ROUTES[route]([3]).add([x]).result()
    exact = x.detach().double().numpy()
    np.testing.assert_allclose(product(streamed), exact @ exact.T, rtol=1e-14)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.int32])
def test_tensors_of_every_precision_come_in(route, kind):
    x = torch.arange(6).reshape(2, 3).to(kind)
    streamed = ROUTES[route]([2]).add([x]).result()
    np.testing.assert_allclose(product(streamed), [[5, 14], [14, 50]], atol=1e-12)
    np.testing.assert_allclose(Pair.from_arrays(x, x, route).gram[0, 1], 14 / np.sqrt(5 * 50))


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_bad_value_in_a_tensor_that_is_being_trained_is_named(kind):
    bad = torch.tensor([[1.0, 2.0], [1.0, torch.nan]], dtype=kind, requires_grad=True)
    for call in (lambda: GramAccumulator([2]).add([bad]), lambda: Pair.from_arrays(bad, bad)):
        with pytest.raises(BadInput, match=r"neuron 1 of network [0x] has NaN"):
            call()


class OnAccelerator(torch.Tensor):
    """A tensor that says it lives on a GPU: the sums must be made where it is, in float64, and NumPy cannot read it."""

    is_cuda = property(lambda self: True)

    def __array__(self, *args, **options):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


@pytest.mark.parametrize("route", ROUTES)
def test_tensors_on_an_accelerator_stay_there_until_the_result(route):
    x, y = larger(3, 2, seed=2, samples=40)
    blocks = [torch.tensor(z, dtype=torch.float32).as_subclass(OnAccelerator) for z in (x, y)]
    accumulator = ROUTES[route]([3, 3]).add(blocks)
    if route == "gram":
        assert isinstance(accumulator.gram, torch.Tensor)
        assert accumulator.gram.dtype == torch.float64
    z = np.vstack([x, y]).astype(np.float32).astype(float)
    np.testing.assert_allclose(product(accumulator.result()), z @ z.T, rtol=1e-12)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((3, 2), torch.nan), "neuron 0 of network 1 has NaN"),
        (torch.full((3, 2), torch.nan, requires_grad=True), "neuron 0 of network 1 has NaN"),
        (torch.ones(3, 4), "networks have 2, 4 samples"),
        (torch.ones(3, 2, 1), r"network 1 have shape \(3, 2, 1\): expected \(neurons, samples\)"),
        (torch.ones(3, 2, dtype=torch.complex64), "found complex ones"),
    ],
)
def test_bad_input_on_an_accelerator_is_refused_in_the_same_words(bad, message):
    good = torch.ones(3, 2)
    for place in (torch.Tensor, OnAccelerator):
        accumulator = GramAccumulator([3, 3])
        with pytest.raises(BadInput, match=message):
            accumulator.add([good.as_subclass(place), bad.as_subclass(place)])
        assert accumulator.samples == 0


def test_one_network_on_an_accelerator_and_one_not():
    x, y = larger(3, 2, seed=2, samples=40)
    gram = GramAccumulator([3, 3]).add([torch.tensor(x).as_subclass(OnAccelerator), y]).result()
    np.testing.assert_allclose(gram.block(0, 1), x @ y.T, rtol=1e-12)


# ---------------------------------------------------------------- parts of a layer


def three_networks():
    rng = np.random.default_rng(3)
    blocks = [rng.normal(size=(size, 60)) + 1 for size in (2, 3, 4)]
    return blocks, GramAccumulator([2, 3, 4]).add(blocks).result()


def test_any_two_networks_of_a_layer_are_a_pair():
    blocks, gram = three_networks()
    for a, b in ((0, 1), (2, 0), (1, 1), (-1, 0)):
        pair, direct = gram.pair(a, b), Pair.from_arrays(blocks[a], blocks[b], route="gram")
        np.testing.assert_allclose(pair.gram, direct.gram, atol=1e-14)
        assert (pair.n_x, pair.n_y) == (len(blocks[a]), len(blocks[b]))


def test_networks_blocks_and_neurons_can_be_chosen():
    blocks, gram = three_networks()
    np.testing.assert_allclose(gram.block(0, 2), blocks[0] @ blocks[2].T)
    turned = gram.networks([2, 0])
    assert turned.sizes == (4, 2)
    np.testing.assert_allclose(turned.block(0, 1), blocks[2] @ blocks[0].T)
    some = gram.select([[1], slice(0, 2), np.array([True, False, False, True])])
    assert some.sizes == (1, 2, 2)
    np.testing.assert_allclose(some.block(0, 2), blocks[0][[1]] @ blocks[2][[0, 3]].T)
    np.testing.assert_allclose(some.sums, np.concatenate([blocks[0][[1]], blocks[1][:2], blocks[2][[0, 3]]]).sum(1))


def test_centring_removes_the_means_and_what_is_constant():
    blocks, _ = three_networks()
    blocks[1][2] = 7.0
    centred = GramAccumulator([2, 3, 4]).add(blocks).result().centred()
    z = np.vstack(blocks)
    z -= z.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(centred.gram, z @ z.T, atol=1e-10)
    assert (centred.gram[4] == 0).all()
    assert centred.pair(0, 1).alive_y.tolist() == [0, 1]


def test_a_saved_layer_comes_back_bit_for_bit(tmp_path):
    _, gram = three_networks()
    gram.save(tmp_path / "layer.npz")
    loaded = Gram.load(tmp_path / "layer.npz")
    np.testing.assert_array_equal(loaded.gram, np.triu(gram.gram) + np.triu(gram.gram, 1).T)
    np.testing.assert_array_equal(loaded.sums, gram.sums)
    assert (loaded.samples, loaded.sizes) == (gram.samples, gram.sizes)


@pytest.mark.parametrize("content", [b"", b"PK nothing", b"\x93NUMPY", None])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "layer.npz"
    if content is None:
        three_networks()[1].save(path)
        content = path.read_bytes()
        content = content[:200] + bytes(100) + content[300:]
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"layer\.npz is damaged, or no saved Gram matrix"):
        Gram.load(path)
    with pytest.raises(BadInput, match=r"missing\.npz is damaged, or no saved Gram matrix"):
        Gram.load(tmp_path / "missing.npz")


# ---------------------------------------------------------------- ridge distances


def squares(pair: Pair) -> np.ndarray:
    """r² of all neurons against the whole other side, x first."""
    return np.concatenate([pair.sides[1].squares, pair.sides[0].squares])


@pytest.mark.parametrize("route", ROUTES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(["random", "shared", "relu", "duplicated", "scaled", "unequal", "float32"]))
def test_distances_are_those_of_the_definition_with_the_ridge(route, seed, kind):
    x, y = layers(kind, seed)
    pair = Pair.from_arrays(x, y, route)
    expected = [relative_distance(z, y, pair.ridge) for z in x] + [relative_distance(z, x, pair.ridge) for z in y]
    expected = [r for r in expected if np.isfinite(r)]  # a ReLU can leave a neuron dead
    np.testing.assert_allclose(squares(pair), np.square(expected), atol=1e-9)


@pytest.mark.parametrize("route", ROUTES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(["shared", "dependent", "nearly dependent", "more neurons than samples"]))
def test_a_larger_basis_never_raises_a_distance(route, seed, kind):
    pair = Pair.from_arrays(*layers(kind, seed), route)
    cut, everything = len(pair.alive_x), np.arange(len(pair.gram))
    for dropped in range(cut, len(everything)):
        fewer = pair.keep(np.delete(everything, dropped))
        gained = fewer.sides[1].squares - pair.sides[1].squares
        assert (gained >= -1e-9).all()


@pytest.mark.parametrize("route", ROUTES)
def test_solutions_are_the_minimising_coefficients(route):
    x, y = larger(5, 3, seed=4)
    pair = Pair.from_arrays(x, y, route)
    unit_x, unit_y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
    coefficients = pair.sides[0].solutions()
    np.testing.assert_allclose(coefficients, np.linalg.lstsq(unit_x.T, unit_y.T, rcond=None)[0], rtol=1e-6)
    assert Side(np.zeros((0, 0)), np.zeros((0, 2)), np.ones(2)).solutions().shape == (0, 2)


def test_near_dependence_goes_to_qr_where_the_route_is_free(monkeypatch):
    monkeypatch.setattr("helpers.subspaces.SMALL", 0)
    x, y = larger(4, 2, seed=5)
    assert Pair.from_arrays(x, y).route == "gram"
    assert Pair.from_arrays(np.vstack([x, x[0] + 1e-4 * y[0]]), y).route == "qr"
    assert Pair.from_arrays(x, np.vstack([y, x[0]])).route == "qr"
    assert Pair.from_arrays(x, np.vstack([y, x[0]]), route="gram").route == "gram"
    assert Pair.from_arrays(np.zeros((0, 300)), y).route == "gram"


def test_a_gram_matrix_that_cholesky_refuses_is_not_repaired_in_silence():
    broken = np.eye(5)
    broken[:3, :3] = [[1, 0.9, 0.9], [0.9, 1, -0.9], [0.9, -0.9, 1]]
    pair = Pair.from_gram(broken, 3, 2, 100)
    assert not pair.well_separated
    with pytest.raises(BadInput, match="too ill-conditioned for float64: use the QR route"):
        _ = pair.sides


@pytest.mark.parametrize("scale", [1e-200, 1e-120, 1e150, 1e300])
def test_no_square_leaves_the_range_of_float64(scale):
    x, y = larger(3, 2, seed=6, samples=50)
    base = Pair.from_arrays(x, y)
    for route in ("gram", "qr"):
        np.testing.assert_allclose(Pair.from_arrays(scale * x, y, route).gram, base.gram, atol=1e-14)


def test_dead_neurons_are_left_out_and_remembered():
    x, y = larger(3, 2, seed=7)
    x[1], y[[0, 2]] = 0, 0
    for route in ("gram", "qr"):
        pair = Pair.from_arrays(x, y, route)
        assert pair.alive_x.tolist() == [0, 2]
        assert pair.alive_y.tolist() == [1]
        assert (pair.n_x, pair.n_y, len(pair.gram)) == (3, 3, 3)


def test_part_of_a_pair_keeps_names_route_and_ridge():
    x, y = larger(4, 2, seed=8)
    x[0] = 0
    for route in ("gram", "qr"):
        pair = Pair.from_arrays(x, y, route)
        part = pair.keep(np.array([1, 2, 4]))
        assert (part.alive_x.tolist(), part.alive_y.tolist()) == ([2, 3], [1])
        assert (part.route, part.ridge) == (route, pair.ridge)
        np.testing.assert_allclose(part.gram, pair.gram[np.ix_([1, 2, 4], [1, 2, 4])])


def test_the_ridge_grows_with_the_number_of_neurons():
    assert gram_ridge(8) == 1e-12
    assert gram_ridge(4096) == pytest.approx(20 * 2.0**-53 * 4096)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 5), (5, 2), (4, 4)])
def test_the_triangle_has_the_products_of_its_rows(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    upper = triangle(rows)
    assert upper.shape == (min(shape), shape[1])
    np.testing.assert_allclose(upper.T @ upper, rows.T @ rows, atol=1e-12)


def test_qr_sees_what_a_gram_matrix_has_squared_away():
    x, _ = larger(2, 2, seed=9)
    y = np.vstack([x[0] + 1e-7 * x[1]])
    errors = {}
    for route in ("gram", "qr"):
        r = np.sqrt(squares(Pair.from_arrays(x[:1], y, route))[0])
        errors[route] = abs(r - relative_distance(x[0], y))
    assert errors["qr"] < 1e-8 < errors["gram"]


# ---------------------------------------------------------------- bad input


def merge_of_two(kind, first, second):
    parts = [ROUTES[kind](sizes).add([np.ones((size, 2)) for size in sizes]).result() for sizes in (first, second)]
    return parts[0].merge(parts[1])


def one_neuron(value):
    return GramAccumulator([1]).add([np.full((1, 2), value)]).result()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GramAccumulator([1]).result(), "no samples: expected at least one input"),
        (lambda: QRAccumulator([1]).result(), "no samples"),
        (lambda: GramAccumulator([]).add([]), "no samples"),
        (lambda: GramAccumulator([1, 1]).add([np.ones((1, 2))]), "1 blocks of activations: expected 2"),
        (lambda: GramAccumulator([2]).add([np.ones((1, 2))]), r"blocks of \(1,\) neurons: expected \(2,\)"),
        (lambda: GramAccumulator([1, 1]).add([np.ones((1, 2)), np.ones((1, 3))]), "networks have 2, 3 samples"),
        (lambda: GramAccumulator([1]).add([np.ones((1, 2, 2))]), "expected \\(neurons, samples\\)"),
        (lambda: GramAccumulator([1]).add([["a"]]), "network 0 are not an array of real numbers"),
        (lambda: one_neuron(1j), "found complex ones"),
        (lambda: one_neuron(np.inf), "neuron 0 of network 0 has infinite values"),
        (lambda: one_neuron(1.5e308), "neuron 0 of network 0 has a sum that overflows"),
        (lambda: one_neuron(1e200), "neuron 0: squares leave float64's range"),
        (lambda: one_neuron(1e-200), "rescale its activations first"),
        (lambda: merge_of_two("gram", [1, 2], [2, 1]), r"cannot merge \(2, 1\) neurons into \(1, 2\)"),
        (lambda: merge_of_two("qr", [1], [2]), "expected the same layer"),
        (lambda: three_networks()[1].pair(0, 3), "unknown network '3'.*Valid: 0, 1, 2"),
        (lambda: three_networks()[1].networks([-4]), "unknown network '-4'"),
        (lambda: Pair.from_arrays(np.ones((1, 2)), np.ones((1, 2)), "lu"), "unknown route 'lu'"),
        (lambda: Pair.from_gram(np.eye(5), 2, 2, 9), r"a matrix of shape \(5, 5\): expected \(4, 4\)"),
        (lambda: Pair.from_gram(np.ones((4, 5)), 2, 2, 9), r"a matrix of shape \(4, 5\): expected \(4, 4\)"),
        (lambda: Pair.from_gram(np.diag([1, np.nan, 1, 1]), 2, 2, 9), "neuron 1 of the joint matrix has NaN"),
        (lambda: Pair.from_gram(np.diag([1, 1, np.inf, 1]), 2, 2, 9), "neuron 2 of the joint matrix has infinite"),
        (lambda: Pair.from_gram(np.diag([1.0, 1, 1, -1]), 2, 2, 9), "neuron 3 has the square -1: expected 0 or more"),
        (lambda: Pair.from_root(np.eye(3), 2, 2, 9), r"a matrix of shape \(3, 3\): expected \(3, 4\)"),
        (lambda: Pair.from_root(np.full((2, 4), np.nan), 2, 2, 9), "neuron 0 of the joint matrix has NaN"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(BadInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_root_and_gram_are_two_views_of_one_layer():
    x, y = larger(3, 2, seed=10)
    root = QRAccumulator([3, 3]).add([x, y]).result()
    assert isinstance(root, Root)
    np.testing.assert_allclose(root.gram().pair(0, 1).gram, root.pair(0, 1).gram, atol=1e-13)
