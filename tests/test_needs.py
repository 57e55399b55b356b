"""Memory is estimated before a pass, and a pass that would fill it is refused."""

import psutil
import pytest
import torch
from torch import nn
from torchvision import models

from helpers import compare
from helpers.errors import BadInput
from helpers.networks.needs import memory_of_pass
from helpers.studies import comparison, layer_products, two_networks


def test_the_outputs_of_a_network_are_counted_without_numbers():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2))
    images = torch.empty(5, 3, 8, 8)
    assert memory_of_pass(network, images) == pytest.approx(4 * 5 * (3 * 64 + 3 * 4 * 64 + 2) / 3)
    assert memory_of_pass(network, torch.empty(10**9, 3, 8, 8, device="meta")) > 1e12
    assert not network[0].weight.is_meta
    assert network.training


def test_a_network_that_needs_numbers_is_not_estimated():
    class Deciding(nn.Module):
        def forward(self, images):
            return images if images.sum() > 0 else -images

    assert memory_of_pass(Deciding(), torch.ones(2, 3)) == 0


def test_inputs_too_large_are_refused_before_the_pass(monkeypatch):
    network = models.resnet18(weights=None)
    monkeypatch.setattr(network, "forward", lambda images: pytest.fail("it ran") if not images.is_meta else images)
    for number, side in ((1, 400_000), (3, 100_000)):
        inputs = torch.empty(1, 3, 1, 1).expand(number, 3, side, side)  # of one number: nothing of it is held
        with pytest.raises(
            BadInput, match=r"about \d+ GiB of memory are needed and \d+ GiB are free: .*smaller inputs"
        ):
            compare(network, network, [inputs], progress=False)


@pytest.mark.parametrize(("free", "enough"), [(24, True), (3, False)])
def test_the_memory_is_that_of_the_parts_in_which_a_batch_is_passed(free, enough, monkeypatch):
    """All 512 inputs at once would need 85 MiB; four at a time need 5 MiB with their joint matrix."""
    memory = psutil.virtual_memory()._replace(available=free * 2**20)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(comparison, "LARGE", 0)
    monkeypatch.setattr(layer_products, "ROOM", 4 * 2 * 64 * 32**2)
    networks = [nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.ReLU()) for _ in range(2)]
    inputs = torch.randn(512, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if enough:
        assert compare(*networks, [inputs], progress=False).images == 512
    else:
        with pytest.raises(BadInput, match="memory are needed"):
            compare(*networks, [inputs], progress=False)


def test_images_too_large_are_refused_before_they_are_read(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(BadInput, match="size is 100000: expected a whole number from 1 to 4096"):
        two_networks.image_batches(tmp_path, 100_000)
    batches, images = two_networks.image_batches(tmp_path, 4096, 60_000)
    assert (images, len(batches)) == (3, 1)
    for number in range(3, 2000):
        (tmp_path / f"{number}.png").touch()
    with pytest.raises(BadInput, match=r"about \d+ GiB of memory are needed .*: expected less; take a smaller size"):
        two_networks.image_batches(tmp_path, 4096, 60_000)
