"""Layers streamed into a compressed representation: which blocks are set beside which, and what is refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.networks.accumulators import Draws, Grams, KeptSamples, Sampling, draw_positions
from helpers.networks.activations import Tagged, activations, calibrate, collect, stream
from tests.modules import Doing
from tests.test_subspaces import OnAccelerator


def network(seed: int, *further: nn.Module) -> nn.Sequential:
    """A convolution, a ReLU, and what else is asked for, as modules "0", "1" and so on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *further).eval()


def images(count: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def failing(error: Exception) -> Doing:
    def act(batch):
        raise error

    return Doing(act)


@pytest.mark.parametrize("layers", [["1", "1"], [["1", "1"], ["0", "1"]]])
def test_a_layer_named_twice_is_refused(layers):
    with pytest.raises(BadInput, match="layer '1' is named twice"):
        collect([network(0), network(1)], [images()], layers)


def test_each_block_is_that_of_its_network_and_layer():
    nets, batches = [network(0), network(1)], [images(3), images(2, seed=1)]
    collected = collect(nets, batches, [["1", "0"], ["0", "0"]])
    assert list(collected) == ["1", "0"]
    assert (collected["1"].gram.sizes, collected["1"].gram.samples) == ((4, 4), 5 * 36)
    for k, names in enumerate([["1", "0"], ["0", "0"]]):
        for layer, name in zip(collected, names, strict=True):
            alone = collect([nets[k]], batches, [name])[name]
            np.testing.assert_allclose(collected[layer].gram.block(k, k), alone.gram.gram)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_is_one_tensor_or_one_for_each_network(count):
    with pytest.raises(BadInput, match=f"a batch of {count} tensors: expected one tensor, or one for each of 2"):
        collect([network(0), network(1)], [[images()] * count], ["1"])


def test_a_network_needs_no_parameters():
    assert collect([Doing()], [images()], ["same"])["same"].gram.sizes == (3,)


@pytest.mark.parametrize("sizes", [[5, 5, 2], [2, 5, 1]])
def test_batches_of_other_sizes_go_through_the_same_buffer(sizes):
    nets, batches = [network(0), network(1)], [images(size, seed) for seed, size in enumerate(sizes)]
    z = np.vstack([activations(net, batches, "1") for net in nets])
    layer = collect(nets, batches, ["1"], sum(sizes), Sampling(50, 3))["1"]
    np.testing.assert_allclose(layer.gram.gram, z @ z.T, rtol=1e-10)
    chosen = draw_positions(z.shape[1], Sampling(50, 3), "1")
    for gram, positions in zip(layer.draws, chosen, strict=True):
        np.testing.assert_allclose(gram.gram, z[:, positions] @ z[:, positions].T, rtol=1e-10)


def test_the_paper_s_positions_are_the_same_in_every_release():
    first, last = draw_positions(1000, Sampling(4, 2), "relu1_1")
    assert (first.tolist(), last.tolist()) == ([64, 789, 810, 898], [436, 705, 911, 963])


def test_what_a_later_layer_does_in_place_does_not_spoil_a_layer():
    plain, spoiled = network(0), network(0)
    spoiled[1] = nn.ReLU(inplace=True)
    expected, gram = (collect([net], [images()], ["0"])["0"].gram.gram for net in (plain, spoiled))
    np.testing.assert_array_equal(gram, expected)


def test_a_module_that_is_called_twice_is_refused():
    net = network(0, nn.ReLU())
    net[2] = net[1]
    with pytest.raises(BadInput, match="layer 1 runs more than once in a forward pass: name one, as 1#1 or 1#2"):
        collect([network(0), net], [images()], ["1"])


def test_layers_with_other_numbers_of_samples_are_refused():
    with pytest.raises(BadInput, match="layer 1: networks have 180, 80 samples"):
        collect([network(0), network(0, nn.Conv2d(4, 4, 3))], [images()], [["1"], ["2"]])


def test_a_gpu_keeps_outputs_and_products(monkeypatch):
    nets = [Doing(lambda batch: batch.as_subclass(OnAccelerator)) for _ in range(2)]
    seen = []
    add = Grams.add
    monkeypatch.setattr(Grams, "add", lambda self, batch: (seen.append(batch.joint), add(self, batch)))
    kinds = {"gram": Grams.kind(), "draws": Draws.kind(Sampling(9, 2), 7)}
    streamed = stream(nets, [images(4), images(3, 1)], ["same"], kinds, {"same": "nchw"})
    assert all(isinstance(joint, OnAccelerator) and joint.dtype == torch.float64 for joint in seen)
    z = torch.cat([images(4), images(3, 1)]).double().transpose(0, 1).flatten(1).numpy()
    np.testing.assert_allclose(streamed["same"]["gram"].block(0, 1), z @ z.T, rtol=1e-12)
    assert [draw.samples for draw in streamed["same"]["draws"]] == [9, 9]


# ---------------------------------------------------------------- other accumulators


def test_only_the_pairs_that_are_asked_for():
    nets, batches = [network(k) for k in range(3)], [images(3), images(2, seed=1)]
    streamed = stream(nets, batches, ["1", "0"], {"pairs": Grams.kind([(0, 2)])})
    whole = collect(nets, batches, ["1", "0"])
    for layer, results in streamed.items():
        assert set(results["pairs"].blocks) == {(0, 0), (2, 2), (0, 2)}
        np.testing.assert_allclose(results["pairs"].networks([0, 2]).gram, whole[layer].gram.networks([0, 2]).gram)


@pytest.mark.parametrize("size", [None, 1, 2])
def test_kept_images_are_those_of_the_layer(size):
    nets, batches = [network(0, nn.Flatten(), nn.Linear(144, 2)), network(1, nn.Flatten(), nn.Linear(144, 2))], []
    batches = [images(3), images(3, seed=1), images(3, seed=2)]
    streamed = stream(nets, batches, ["1", "3"], {"kept": KeptSamples.kind([7, 1, 2], size, np.float64)})
    for k, net in enumerate(nets):
        z = activations(net, batches, "1").reshape(4, 9, 6, 6)[:, [1, 2, 7]]
        pooled = {None: z, 1: z.mean((2, 3), keepdims=True), 2: z.reshape(4, 3, 2, 3, 2, 3).mean((3, 5))}[size]
        np.testing.assert_allclose(streamed["1"]["kept"][k], pooled.reshape(4, 3, -1), rtol=1e-12)
        assert streamed["3"]["kept"][k].shape == (2, 3, 1)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (lambda: KeptSamples.kind([]), "no images to keep"),
        (lambda: KeptSamples.kind([0], 0), "size is 0: expected 1 or more"),
        (lambda: KeptSamples.kind([5]), "layer 1: image 5 is to be kept: expected one of those in the batches"),
    ],
)
def test_images_that_cannot_be_kept(kind, message):
    with pytest.raises(BadInput, match=message):
        stream([network(0)], [images()], ["1"], {"kept": kind()})


def test_accumulators_see_what_comes_with_the_images_and_all_layers():
    class Seen:
        def __init__(self):
            self.tags = []

        def add(self, batch):
            self.tags.append((batch.tag, batch.first_image, list(batch.layers), batch.layers["1"].maps(0).shape))

        def result(self):
            return self.tags

    batches = [Tagged(images(3), "a"), Tagged(images(2), "b")]
    streamed = stream([network(0)], batches, ["0", "1"], {"seen": lambda batch: Seen()})
    assert streamed["0"]["seen"] == [("a", 0, ["0", "1"], (4, 3, 36)), ("b", 3, ["0", "1"], (4, 2, 36))]


# ---------------------------------------------------------------- images that do not fit


@pytest.mark.parametrize(
    "error", [RuntimeError("sizes\n differ"), AssertionError("sizes differ"), ValueError("sizes differ")]
)
def test_what_a_network_cannot_take_is_one_line(error):
    with pytest.raises(BadInput, match=r"^inputs of shape \(3, 3, 8, 8\) do not fit Doing: sizes differ$"):
        collect([failing(error)], [images()], ["same"])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."), MemoryError),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), MemoryError),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 bytes."), torch.OutOfMemoryError),
        (MemoryError("Unable to allocate 9 bytes"), MemoryError),
    ],
)
def test_a_lack_of_memory_is_not_called_a_misfit(error, kind):
    with pytest.raises(kind, match="allocate 9 bytes"):
        collect([failing(error)], [images()], ["same"])


# ---------------------------------------------------------------- calibration


def test_calibration_is_the_mean_over_batches_and_leaves_modes():
    net = network(0, nn.BatchNorm2d(4), nn.Dropout(0.5))
    net[2].train()
    calibrate(net, (batch for batch in [images(3), images(3, seed=1)]))
    with torch.no_grad():
        before = net[:2](torch.cat([images(3), images(3, seed=1)]))
    torch.testing.assert_close(net[2].running_mean, before.mean((0, 2, 3)))
    assert (net[2].momentum, net[2].training, net[3].training) == (0.1, True, False)


def test_calibration_does_not_depend_on_the_batch_size():
    one = network(0, nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5))
    nets = [copy.deepcopy(one) for _ in range(3)]
    whole = images(150)
    for net, size in zip(nets, (1, 40, 150), strict=True):
        calibrate(net, [(batch, torch.zeros(len(batch))) for batch in whole.split(size)])
    for name, value in nets[0].state_dict().items():
        assert all(torch.allclose(value.double(), net.state_dict()[name].double(), rtol=1e-5) for net in nets), name


def test_dropout_does_not_disturb_calibration():
    net = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(3)).train()
    calibrate(net, [images()])
    torch.testing.assert_close(net[1].running_mean, images().mean((0, 2, 3)))
    assert net[0].training


def test_calibration_without_images_is_refused_and_changes_nothing():
    net = calibrate(network(0, nn.BatchNorm2d(4)), [images()])
    before = net[2].running_mean.clone()
    with pytest.raises(BadInput, match="no images"):
        calibrate(net, [])
    assert torch.equal(net[2].running_mean, before)


def test_calibration_names_images_that_do_not_fit():
    net = network(0, nn.Flatten(), nn.BatchNorm1d(4 * 36)).train()
    with pytest.raises(BadInput, match="do not fit Sequential: Expected more than 1 value per channel"):
        calibrate(net, [images(1)])
    assert net.training
