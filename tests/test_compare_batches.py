"""What a network gives for an input may depend on the rest of its batch: that is said, refused or allowed by name."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import BadInput, compare, critical_epsilons
from helpers.networks.inputs import some
from tests.modules import Doing


def network(seed, *further):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 4), *further).eval()


def inputs(count=60):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(0))


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


def attending(x):
    return torch.softmax(x @ x.T, 1) @ x


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda: nn.BatchNorm1d(4, track_running_stats=False), "batch norm 1 takes the statistics of each batch"),
        (lambda: Doing(attending), "by up to"),
        (lambda: Doing(lambda x: x - x.mean(0)), "by up to"),
        (lambda: Doing(lambda x: x / x.abs().max()), "by up to"),
        (lambda: Doing(lambda x: (x / x.abs().max() * 127).round() / 127 * x.abs().max()), "by up to"),
    ],
)
def test_outputs_that_depend_on_the_inputs_beside_them_are_said(change, said):
    flag = quiet(network(0), network(1, change()), inputs(), layers="0", layers_b="1").flags[0]
    assert "1: its outputs depend on what else is in a batch" in flag
    assert said in flag
    assert flag.endswith("other batches give other values (network b)")


def test_a_layer_before_the_mixing_is_not_doubted():
    net = network(0, nn.BatchNorm1d(4, track_running_stats=False), nn.ReLU())
    assert quiet(net, net, inputs(), layers="0").flags == ()
    assert "and so do those of 1 later layers" in quiet(net, net, inputs(), layers=["1", "2"]).flags[0]


def test_dynamic_quantisation_depends_on_the_batch():
    with pytest.warns(DeprecationWarning, match="quantization"):
        quantised = torch.ao.quantization.quantize_dynamic(network(0, nn.ReLU()), {nn.Linear})
    assert any("depend on what else is in a batch" in flag for flag in quiet(quantised, quantised, inputs()).flags)


def less_the_first(x):
    return x - x[:1]


def test_outputs_that_depend_on_the_place_in_the_batch_are_refused_or_allowed():
    a, b = (network(seed, Doing(less_the_first)) for seed in (0, 1))
    with pytest.raises(BadInput, match=r"layer 1: its outputs do not change places .* or say mixed=True"):
        quiet(a, b, inputs(), layers="1")
    comparison = quiet(a, b, inputs(), layers="1", mixed=True, batch=20)
    assert "1: its output for an input depends on its place in the batch, which was allowed" in comparison.flags[0]
    with torch.no_grad():
        right = critical_epsilons(*(torch.cat([net(part) for part in inputs().split(20)]).T for net in (a, b)))
    np.testing.assert_allclose(comparison.critical["critical_epsilon"], np.concatenate(right), atol=1e-6)


@pytest.mark.parametrize("mixed", [False, True])
def test_what_is_random_is_refused_even_beside_larger_values(mixed):
    """One neuron of large values does not hide that the others are drawn anew."""

    def drawn(x):
        return torch.cat([1e4 * x[:, :1], nn.functional.dropout(x[:, 1:])], 1)

    a = network(0, Doing(drawn))
    with pytest.raises(BadInput, match=r"layer 1 draws at random, or gives other outputs .* expected nothing random"):
        quiet(a, a, inputs(), layers="1", mixed=mixed)


def test_batches_are_passed_whole_where_values_depend_on_them(monkeypatch):
    a, b = (network(seed, Doing(lambda x: x - x.mean(0))) for seed in (0, 1))
    whole = quiet(a, b, [inputs()], layers="1").critical
    monkeypatch.setattr("helpers.studies.layer_products.ROOM", 8)
    np.testing.assert_array_equal(quiet(a, b, [inputs()], layers="1").critical, whole)


def test_equal_inputs_at_the_start_and_batches_of_one_hide_nothing():
    """Of equal inputs the outputs change places on any axis."""
    a = network(0, Doing(lambda x: x.flip(0)))
    with pytest.raises(BadInput, match="its outputs do not change places"):
        quiet(a, a, [torch.cat([inputs(1).repeat(4, 1), inputs(4)])], layers="1")
    time_first = nn.Sequential(Doing(lambda x: torch.einsum("ntf->tnf", x)), nn.Linear(5, 4))
    with pytest.raises(BadInput, match=r"have the images on axis 1, not 0: say layouts={'1': 'tnd'}"):
        quiet(time_first, time_first, inputs(360).reshape(60, 6, 5), batch=1, layers="1")
    text = {"input_ids": torch.tensor([[1, 2, 3]]), "attention_mask": torch.tensor([[0, 1, 1]])}
    assert some(text, 3)["input_ids"].tolist() == [[1, 2, 3], [3, 2, 1]]


# ---------------------------------------------------------------- outputs of another number


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (nn.Linear(4, 0), r"layer 1 has outputs of shape \(3, 0\): expected at least one neuron and one sample"),
        (Doing(lambda x: x[:0]), r"layer 1 has outputs of shape \(0, 4\): expected at least one neuron"),
        (Doing(lambda x: x[: 4 if len(x) > 3 else 3]), r"layer 1: outputs of shape \(4, 4\) for 20 inputs"),
        (Doing(lambda x: x[x.sum(1) > 9] if len(x) > 3 else x), r"layer 1: outputs of shape \(0, 4\) for 20 inputs"),
        (
            Doing(lambda x: x[:2]),
            r"layer 1: outputs of shape \(2, 4\) for inputs of shape \(3, 5\): expected one for each",
        ),
    ],
)
def test_layers_without_neurons_or_outputs_are_refused(change, message):
    net = network(0, change)
    with pytest.raises(BadInput, match=message) as error:
        quiet(net, net, inputs(), layers="1", batch=20)
    assert "\n" not in str(error.value)
