"""Memory is estimated before a pass, and a pass that would fill it is refused."""

import pytest
import torch
from torch import nn
from torchvision import models

from helpers import compare
from helpers.errors import BadInput
from helpers.networks.needs import memory_of_pass
from helpers.studies import two_networks


def test_the_outputs_of_a_network_are_counted_without_numbers():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 2))
    images = torch.empty(5, 3, 8, 8)
    assert memory_of_pass(network, images) == 4 * 5 * (3 * 64 + 3 * 4 * 64 + 2) / 2
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
    inputs = torch.empty(1, 3, 1, 1).expand(4000, 3, 4096, 4096)  # of one number: nothing of it is held
    with pytest.raises(BadInput, match=r"about \d+ GiB of memory are needed and \d+ GiB are free: .*smaller batches"):
        compare(network, network, [inputs], progress=False)


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
