"""Products of layers: the same by parts as at once, whatever the lengths of texts and the sizes of images."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import compare, critical_epsilons
from helpers.errors import BadInput
from helpers.studies import layer_products


def seeded(seed, make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


class Encoder(nn.Module):
    """Letters to vectors, then a layer that sees one letter at a time."""

    def __init__(self):
        super().__init__()
        self.letters, self.layer = nn.Embedding(11, 6), nn.Linear(6, 5)

    def forward(self, input_ids, attention_mask=None):
        return self.layer(self.letters(input_ids)).tanh()


def conv():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def texts(count, length, longest, seed=0):
    ids = torch.randint(1, 11, (count, length), generator=torch.Generator().manual_seed(seed))
    mask = torch.ones_like(ids)
    padding = torch.zeros(count, longest - length, dtype=ids.dtype)
    return {"input_ids": torch.cat([ids, padding], 1), "attention_mask": torch.cat([mask, padding], 1)}


def epsilons(comparison):
    return comparison.critical["critical_epsilon"].to_numpy()


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


@pytest.mark.parametrize("tokens", ["all", "class", "mean"])
def test_each_batch_may_be_padded_to_its_own_longest_text(tokens):
    nets = [seeded(k, Encoder) for k in (0, 1)]
    own = [texts(60, 4, 5), texts(60, 6, 8, seed=1)]
    same = [texts(60, 4, 8), texts(60, 6, 8, seed=1)]
    comparisons = [quiet(*nets, data, layers="layer", tokens=tokens) for data in (own, same)]
    np.testing.assert_allclose(*map(epsilons, comparisons), atol=1e-12)
    samples = {"all": 60 * 4 + 60 * 6}.get(tokens, 120)
    assert set(comparisons[0].tables["layers"]["samples"]) == {samples}


def test_images_of_several_sizes_give_all_their_positions():
    nets = [seeded(k, conv) for k in (0, 1)]
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(5, 3, size, size, generator=generator) for size in (8, 12, 8)]
    with torch.no_grad():
        values = [torch.cat([net(x).transpose(0, 1).flatten(1) for x in batches], 1).double().numpy() for net in nets]
    expected = np.concatenate(critical_epsilons(*values))
    np.testing.assert_allclose(epsilons(quiet(*nets, batches, layers="1")), expected, atol=1e-6)


@pytest.mark.parametrize("room", [1, 700, 2**26])
@pytest.mark.parametrize("options", [{}, {"grid": True}])
def test_by_parts_or_at_once_the_products_are_the_same(monkeypatch, room, options):
    nets = [seeded(k, lambda: nn.Sequential(conv(), nn.Conv2d(4, 5, 3), nn.ReLU())) for k in (0, 1)]
    images = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = epsilons(quiet(*nets, [images], **options))
    monkeypatch.setattr(layer_products, "ROOM", room)
    np.testing.assert_allclose(epsilons(quiet(*nets, [images], **options)), expected, atol=1e-6)


def test_all_that_is_held_at_once_fits_into_the_room(monkeypatch):
    nets, seen = [seeded(k, conv) for k in (0, 1)], []
    monkeypatch.setattr(layer_products, "ROOM", 2 * 4 * 36 * 3)  # two networks, 4 neurons, 36 positions, 3 images
    add = layer_products.BlockAccumulator.add_joint
    monkeypatch.setattr(
        layer_products.BlockAccumulator, "add_joint", lambda self, z: (seen.append(tuple(z.shape)), add(self, z))[1]
    )
    quiet(*nets, [torch.randn(20, 3, 8, 8)], layers="1")
    assert set(seen) == {(8, 3 * 36), (8, 2 * 36)}


def test_values_that_are_not_finite_are_said_of_their_layer_and_network():
    a, b = seeded(0, conv), seeded(1, conv)
    b[0].bias.data[2] = float("nan")
    with pytest.raises(BadInput, match=r"neuron 2 of network b \(layer 1\) has NaN: expected finite"):
        quiet(a, b, torch.randn(20, 3, 8, 8), layers=["0", "1"][1:])


def test_texts_that_are_cut_otherwise_are_refused():
    nets, other = [seeded(k, Encoder) for k in (0, 1)], texts(60, 5, 8)
    cut = {"prepare": (lambda given: texts(len(given), 4, 8), lambda given: texts(len(given), 5, 8))}
    with pytest.raises(BadInput, match="padding at different tokens: expected the same, or tokens='mean'"):
        quiet(*nets, other["input_ids"], layers="layer", batch=60, **cut)
    assert quiet(*nets, other["input_ids"], layers="layer", tokens="mean", batch=60, **cut).images == 60
    longer = {"prepare": (lambda given: given[:, :6], lambda given: given[:, :4])}
    with pytest.raises(BadInput, match="6 positions and layer 4: expected the same samples"):
        quiet(*nets, other["input_ids"], layers="layer", **longer)


def test_a_layer_that_later_has_other_samples_than_the_one_beside_it_is_named():
    nets, calls = [seeded(k, conv) for k in (0, 1)], []

    def smaller_later(images):
        calls.append(images)
        return images if len(calls) < 3 else images[..., :6]

    with pytest.raises(BadInput, match="layer 1 has 4 neurons and 96 samples: expected 4 and 144, as layers that are"):
        quiet(*nets, [torch.randn(4, 3, 8, 8)] * 3, layers="1", prepare=(lambda images: images, smaller_later))
