"""Numbers of other kinds (quantised, half, complex, meta, TorchScript, no float64), and what is left behind.

Networks can be trained afterwards, and batch-norm statistics do not depend on the batches.
"""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from helpers import compare, critical_epsilons
from helpers.errors import BadInput
from helpers.networks.activations import activations, calibrate, captured, collect
from helpers.networks.nodes import with_nodes
from tests.modules import Doing


def seeded(seed, make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def inputs(count=200, seed=0):
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


class Through(nn.Module):
    """A linear layer, and then what a function makes of it."""

    def __init__(self, act):
        super().__init__()
        self.linear, self.act = nn.Linear(8, 5), Doing(act)

    def forward(self, x):
        return self.act(self.linear(x))


def epsilons(comparison, layer):
    return comparison.critical.query("layer == @layer")["critical_epsilon"].to_numpy()


# ---------------------------------------------------------------- right values


@pytest.mark.filterwarnings("ignore:.*quantize:UserWarning")
def test_quantised_outputs_count_as_the_numbers_they_stand_for():
    a, b = (
        seeded(k, lambda: Through(lambda x: torch.quantize_per_tensor(x, 0.1, 3, torch.quint8).clone())) for k in (0, 1)
    )
    with torch.no_grad():
        values = [0.1 * (torch.round(net.linear(inputs()) / 0.1 + 3).clamp(0, 255) - 3) for net in (a, b)]
    expected = np.concatenate(critical_epsilons(*(value.T.double().numpy() for value in values)))
    np.testing.assert_allclose(epsilons(quiet(a, b, inputs(), layers="act"), "act"), expected, atol=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_summed_in_float64(kind):
    a, b = (seeded(k, lambda: nn.Sequential(nn.Linear(8, 5), nn.ReLU())).to(kind) for k in (0, 1))
    data = inputs().to(kind)
    with torch.no_grad():
        values = [net(data).T.double().numpy() for net in (a, b)]  # rounded to the kind, then exact
    expected = np.concatenate(critical_epsilons(*values))
    np.testing.assert_allclose(epsilons(quiet(a, b, data, batch=200, layers="1"), "1"), expected, atol=1e-12)


class WithoutDoubles(torch.Tensor):
    """A tensor on an accelerator without float64, simulated."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        asked = [*args[1:], *(kwargs or {}).values()]
        stays = not any(isinstance(value, str | torch.device) for value in asked)
        doubles = any(value is torch.float64 for value in asked)
        if func is torch.Tensor.double or (func is torch.Tensor.to and doubles and stays):
            raise TypeError(
                "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64."
            )
        result = super().__torch_function__(func, types, args, kwargs or {})
        return result.as_subclass(torch.Tensor) if func in (torch.Tensor.cpu, torch.Tensor.to) else result


def test_a_device_without_float64_gives_the_same():
    nets = [seeded(k, lambda: Through(torch.relu)) for k in (0, 1)]
    away = [seeded(k, lambda: Through(lambda x: torch.relu(x).as_subclass(WithoutDoubles))) for k in (0, 1)]
    gram = collect(away, [inputs()], ["act"])["act"].gram
    np.testing.assert_array_equal(gram.gram, collect(nets, [inputs()], ["act"])["act"].gram.gram)
    both = [epsilons(quiet(*two, inputs(), layers="act"), "act") for two in (away, nets)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Through(lambda x: torch.complex(x, x)), "found complex ones"),
        (lambda: Through(torch.relu).to("meta"), "has no weights .they are on the meta device.: load them first"),
        (lambda: torch.jit.script(nn.Sequential(nn.Linear(8, 5)).eval()), "a TorchScript network runs without its mod"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_has_no_real_numbers_is_refused_in_one_line(make, message):
    net = make()
    layer = "act" if isinstance(net, Through) else "0"
    for refused in (
        lambda: quiet(net, net, inputs(), layers=layer),
        lambda: collect([net, net], [inputs()], [layer]),
        lambda: activations(net, [inputs()], layer),
    ):
        with pytest.raises(BadInput, match=message) as error:
            refused()
        assert "\n" not in str(error.value)


# ---------------------------------------------------------------- what is left in a network


class Remembering(nn.Module):
    """Keeps a tensor of its first pass, as networks with cached masks or positions do."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.act, self.kept = nn.Linear(8, 5), nn.BatchNorm1d(5), nn.ReLU(), None

    def forward(self, x):
        if self.kept is None:
            self.kept = torch.arange(1.0, 6.0) * torch.ones_like(x[:1, :5]).exp()
        return self.act(self.norm(self.layer(x) * self.kept[:1]))


def passes():
    return {
        "compare": lambda net: quiet(net, net, inputs()),
        "grid": lambda net: quiet(net, net, inputs(), grid=True),
        "collect": lambda net: collect([net], [inputs()], ["layer"]),
        "activations": lambda net: activations(net, [inputs()], "layer"),
        "captured": lambda net: listened(net),
        "calibrate": lambda net: calibrate(net, [inputs()]),
    }


def listened(net):
    with captured(net, ["layer"]):
        net(inputs())


@pytest.mark.parametrize("what", passes())
@pytest.mark.parametrize("training", [True, False])
def test_a_network_can_be_trained_afterwards_and_is_as_it_was(what, training):
    net = seeded(0, Remembering).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    passes()[what](net)
    assert [module.training for module in net.modules()] == [training] * 4
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    if what != "calibrate":
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in before.items())
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    net.train()(inputs(10)).sum().backward()
    optimiser.step()
    assert not torch.equal(net.layer.weight, before["layer.weight"])


def test_functions_that_became_layers_leave_the_network_as_it_was():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 5)

        def forward(self, x):
            return torch.relu(self.layer(x))

    net = seeded(0, Functional).train()
    quiet(net, net, inputs())
    assert net.training
    assert [name for name, _ in net.named_modules()] == ["", "layer"]
    traced = with_nodes(net)
    assert traced.layer is net.layer
    net(inputs(10)).sum().backward()
    assert net.layer.weight.grad is not None


# ---------------------------------------------------------------- calibration


def normed():
    return seeded(0, lambda: nn.Sequential(nn.Linear(8, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.BatchNorm1d(5)))


@pytest.mark.parametrize("size", [1, 7, 64, 100, 200])
def test_calibration_does_not_depend_on_the_size_of_the_batches(size):
    expected = calibrate(normed(), [inputs()]).state_dict()
    state = calibrate(normed(), DataLoader(TensorDataset(inputs()), batch_size=size)).state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-6, atol=1e-6)


def test_calibrated_statistics_are_those_of_the_data():
    net = calibrate(normed(), [inputs(64)])  # one batch: plain statistics
    with torch.no_grad():
        values = net[0](inputs(64))
    torch.testing.assert_close(net[1].running_mean, values.mean(0))
    torch.testing.assert_close(net[1].running_var, values.var(0))
    many = calibrate(normed(), [inputs(200)])
    with torch.no_grad():
        torch.testing.assert_close(many[1].running_mean, many[0](inputs(200)).mean(0))
