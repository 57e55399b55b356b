"""Layers streamed into a compressed representation: which blocks are set beside which, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.networks.activations import calibrate, collect


def network(seed: int, *further: nn.Module) -> nn.Sequential:
    """A convolution, a ReLU, and what else is asked for, as modules "0", "1" and so on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *further).eval()


def images(count: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


class Doing(nn.Module):
    """A module without parameters; its forward pass does what it is told."""

    def __init__(self, act=lambda batch: batch) -> None:
        super().__init__()
        self.same, self.act = nn.Identity(), act

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.same(self.act(batch))


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
    found = collect(nets, batches, [["1", "0"], ["0", "0"]])
    assert list(found) == ["1", "0"]
    assert (found["1"].gram.sizes, found["1"].gram.samples) == ((4, 4), 5 * 36)
    for k, names in enumerate([["1", "0"], ["0", "0"]]):
        for layer, name in zip(found, names, strict=True):
            alone = collect([nets[k]], batches, [name])[name]
            np.testing.assert_allclose(found[layer].gram.block(k, k), alone.gram.gram)


@pytest.mark.parametrize("count", [1, 3])
def test_a_batch_is_one_tensor_or_one_for_each_network(count):
    with pytest.raises(BadInput, match=f"a batch of {count} tensors: expected one tensor, or one for each of 2"):
        collect([network(0), network(1)], [[images()] * count], ["1"])


def test_a_network_needs_no_parameters():
    assert collect([Doing()], [images()], ["same"])["same"].gram.sizes == (3,)


# ---------------------------------------------------------------- images that do not fit


@pytest.mark.parametrize(
    "error", [RuntimeError("sizes\n differ"), AssertionError("sizes differ"), ValueError("sizes differ")]
)
def test_what_a_network_cannot_take_is_one_line(error):
    with pytest.raises(BadInput, match=r"^images of shape \(5, 3, 8, 8\) do not fit Doing: sizes differ$"):
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
        calibrate(net, [images(3), images(1)])
    assert net.training
