"""The families: shapes, names, parameters, seeds."""

import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.networks import architectures


@pytest.mark.parametrize("name", architectures.network_names())
def test_every_network_runs_and_names_existing_layers(name):
    network = architectures.build(name, width=0.125, classes=7, channels=1).eval()
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
    modules = dict(network.named_modules())
    layers = architectures.layers(network)
    assert [layer.position for layer in layers] == list(range(len(layers)))
    assert (layers[0].depth, layers[-1].depth, layers[-1].name) == (0.0, 1.0, "logits")
    for layer in layers:
        assert layer.name in modules
        assert (layer.before is None) == (layer.kind in {"pool", "logits"})
        assert layer.before is None or layer.before in modules


@pytest.mark.parametrize("name", architectures.network_names())
def test_every_relu_is_a_layer_and_runs_once_not_in_place(name):
    network = architectures.build(name, width=0.125).eval()
    calls = {}
    for key, module in network.named_modules():
        if isinstance(module, nn.ReLU):
            assert not module.inplace
            module.register_forward_hook(lambda *_, key=key: calls.update({key: calls.get(key, 0) + 1}))
    network(torch.zeros(1, 3, 32, 32))
    relus = {layer.name for layer in architectures.layers(network)} - {"pool", "logits"}
    assert calls == dict.fromkeys(relus, 1)


@pytest.mark.parametrize("name", ["vgg16", "vgg11_bn", "resnet20", "resnet18", "plain20"])
def test_after_the_relu_is_the_relu_of_before(name):
    network = architectures.build(name, width=0.125).eval()
    seen = {}
    for key, module in network.named_modules():
        module.register_forward_hook(lambda _, __, out, key=key: seen.update({key: out.clone()}))
    network(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    for layer in architectures.layers(network):
        if layer.before:
            torch.testing.assert_close(seen[layer.name], seen[layer.before].relu(), rtol=0, atol=0)


def count(name, **options):
    return sum(p.numel() for p in architectures.build(name, **options).parameters())


def test_parameter_counts_are_the_published_ones():
    assert round(count("resnet20") / 1e6, 2) == 0.27  # He et al. 2016, table 6
    assert round(count("resnet56") / 1e6, 2) == 0.85
    assert round(count("resnet18") / 1e6, 1) == 11.2  # with a 3 × 3 stem and 10 classes
    assert count("resnet20") == count("plain20")


def test_depth_is_the_number_of_weighted_layers():
    for name in ("vgg8", "vgg16_bn", "vgg19", "resnet20", "plain56", "resnet18", "resnet34"):
        weighted = [
            key
            for key, module in architectures.build(name, width=0.125).named_modules()
            if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in key
        ]
        assert len(weighted) == int("".join(c for c in name if c.isdigit()))


@pytest.mark.parametrize("name", ["vgg8", "resnet20"])
def test_the_seed_fixes_the_initialisation_and_nothing_else(name):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, same, other = (architectures.build(name, width=0.125, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected), "building a network moved the global random state"
    key = next(key for key in one if key.endswith("weight"))
    assert all(torch.equal(one[k], same[k]) for k in one)
    assert not torch.equal(one[key], other[key])


def test_the_authors_initialisation_has_small_fully_connected_weights():
    network = architectures.build("vgg8", initialisation="authors")
    assert float(network.fc1.weight.detach().std()) == pytest.approx(0.01, rel=0.05)


def test_larger_images_and_other_channels_run():
    assert architectures.build("vgg11", width=0.125, channels=4, image_size=64)(torch.zeros(1, 4, 64, 64)).shape == (
        1,
        10,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet19"}, "unknown network 'resnet19': did you mean 'resnet18'"),
        ({"name": "vgg16", "width": 0}, "width is 0: expected a factor from 1/64 to 16"),
        ({"name": "vgg16", "width": float("nan")}, "width is nan"),
        ({"name": "vgg16", "image_size": 28}, "image_size is 28: expected a whole number from 32"),
        ({"name": "vgg16", "initialisation": "he"}, "unknown initialisation 'he'"),
    ],
)
def test_bad_input_gets_one_clear_line(options, message):
    with pytest.raises(BadInput, match=message):
        architectures.build(**options)


def test_layers_of_a_foreign_module_are_not_guessed():
    with pytest.raises(BadInput, match="Linear is not one of this book's networks"):
        architectures.layers(nn.Linear(2, 2))
