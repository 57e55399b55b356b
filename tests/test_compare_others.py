"""Models and inputs as other people have them: the right value, a word in the result, or one clear line."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, IterableDataset

from helpers import BadInput, compare, critical_epsilons


def inputs(count=60):
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(0))


def pair(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval(), make().eval()


def plain():
    return nn.Sequential(nn.Linear(5, 4), nn.ReLU())


class Calling(nn.Module):
    """A linear layer, an activation, and a function of the two and the inputs as the forward pass."""

    def __init__(self, function, act=nn.ReLU):
        super().__init__()
        self.linear, self.act, self.function = nn.Linear(5, 4), act(), function

    def forward(self, x):
        return self.function(self.linear, self.act, x)


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


def check(a, b, right=None, data=None, **options):
    """That the comparison is the one of the networks' outputs, or of what `right` says that they are."""
    comparison = quiet(a, b, inputs() if data is None else data, **options)
    with torch.no_grad():
        sides = [(right(net) if right else net(inputs())).double().T for net in (a, b)]
    found = comparison.critical["critical_epsilon"]
    np.testing.assert_allclose(found, np.concatenate(critical_epsilons(*sides)), atol=1e-5)
    return comparison


# ---------------------------------------------------------------- models


def with_hooks(net):
    net[0].register_forward_hook(lambda module, given, output: output * torch.arange(1, 5))
    net[0].register_forward_pre_hook(lambda module, given: (given[0] ** 2,))
    return net


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: with_hooks(plain()),
        lambda: nn.Sequential(nn.utils.weight_norm(nn.Linear(5, 4)), nn.ReLU()),
        lambda: nn.Sequential(nn.utils.spectral_norm(nn.Linear(5, 4)), nn.ReLU()),
        lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(5, 4)), nn.ReLU()),
        lambda: nn.Sequential(torch.compile(nn.Linear(5, 4), backend="eager"), nn.ReLU()),
        lambda: nn.Sequential(nn.Linear(5, 1), nn.Sigmoid()),
        lambda: Calling(lambda linear, act, x: checkpoint(lambda y: act(linear(y)), x, use_reentrant=False)),
        lambda: Calling(lambda linear, act, x: act(linear(x.mul_(3).add_(1)))),
        lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 4), nn.ReLU(inplace=True)),
    ],
    ids=[
        "hooks",
        "weight norm",
        "spectral norm",
        "parametrized",
        "compiled",
        "a neuron",
        "checkpoint",
        "in place",
        "ReLU",
    ],
)
def test_models_of_others_have_their_right_value_and_leave_the_inputs_as_they_are(make):
    a, b = pair(make)
    data = inputs()
    layers = "act" if isinstance(a, Calling) else str(len(a) - 1)
    check(a, b, data=data, layers=layers)
    assert torch.equal(data, inputs())
    array = inputs().numpy()
    check(a, b, data=array, layers=layers)
    assert np.array_equal(array, inputs().numpy())


@dataclass
class Output:
    hidden: torch.Tensor
    other: torch.Tensor | None = None


class Giving(nn.Module):
    def __init__(self, give):
        super().__init__()
        self.linear, self.give = nn.Linear(5, 4), give

    def forward(self, x):
        return self.give(self.linear(x))


@pytest.mark.parametrize(
    ("give", "layer", "right"),
    [
        (lambda y: Output(y), "0", lambda y: y),
        (lambda y: Output(y, y**2), "0[other]", lambda y: y**2),
        (lambda y: {"hidden": y, "other": y**2}, "0[other]", lambda y: y**2),
    ],
)
def test_outputs_of_data_classes_are_named_by_their_parts(give, layer, right):
    class Taking(nn.Sequential):
        def forward(self, x):
            self[0](x)
            return x

    check(*pair(lambda: Taking(Giving(give))), right=lambda net: right(net[0].linear(inputs())), layers=layer)


@pytest.mark.parametrize("name", ["linear[0]", "relu#2", "before:x"])
def test_names_that_look_like_calls_and_items_are_names(name):
    def make():
        net = nn.Sequential()
        net.add_module(name, nn.Linear(5, 4))
        return net

    assert list(check(*pair(make), layers=name).tables["layers"].layer) == [name]


def test_what_makes_weights_is_no_layer():
    a, b = pair(lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 6)), nn.ReLU()))
    comparison = quiet(a, b, inputs(), layers="*")
    assert list(comparison.tables["layers"].layer) == ["0", "1"]
    assert not len(comparison.omitted)


class Snake(nn.Module):
    def forward(self, x):
        return x + x.sin() ** 2


class Half(nn.Module):
    """Activations with modules of PyTorch's, of another class, and without a module."""

    def __init__(self):
        super().__init__()
        self.first, self.snake, self.second = nn.Linear(5, 4), Snake(), nn.Linear(4, 4)
        self.act, self.last = nn.GELU(), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(self.act(functional.relu(self.second(torch.relu(self.snake(self.first(x)))))))


def test_what_the_default_leaves_out_is_said():
    comparison = quiet(*pair(Half), inputs())
    assert list(comparison.tables["layers"].layer) == ["act", "last"]
    assert dict(comparison.omitted.itertuples(index=False, name=None)) == {
        "nodes.*": "relu (2 times) without a module: name nodes.* for functions as layers",
        "snake": "Snake is not known as an activation: name such layers if it is one",
    }
    named = quiet(*pair(Half), inputs(), layers=["nodes.*", "snake", "act"])
    assert list(named.tables["layers"].layer) == ["nodes.relu", "nodes.relu_1", "snake", "act"]


def test_default_layers_are_in_the_order_of_the_pass():
    comparison = quiet(*pair(lambda: nn.Sequential(plain(), nn.Linear(4, 4), nn.ReLU())), inputs())
    assert list(comparison.tables["layers"].layer) == ["0.1", "1", "2"]
    assert comparison.critical.groupby("layer")["position"].first().tolist() == [0, 1, 2]


def remembering(linear, act, x):
    y = linear(x)
    linear.kept = getattr(linear, "kept", 0) + 1
    return act(y * linear.kept)


@pytest.mark.parametrize(
    ("make", "layers", "message"),
    [
        (lambda: Calling(remembering), "act", "layer act draws at random, or gives other outputs for the same inputs"),
        (lambda: nn.Linear(5, 4), None, r"Linear has no layers inside: expected .* such as nn.Sequential\(network\)"),
        (lambda: nn.Sequential(Giving(lambda y: y.to_sparse())), "0", "layer 0 returns a sparse or nested tensor"),
        (lambda: nn.Sequential(Giving(lambda y: torch.nested.nested_tensor([y]))), "0", "0 .* returns no tensor"),
        (lambda: Calling(lambda linear, act, x: act.forward(linear(x))), "act", "layer act took no part"),
    ],
)
def test_models_that_cannot_be_compared_get_one_line(make, layers, message):
    with pytest.raises(BadInput, match=message) as error:
        quiet(*pair(make), inputs(), layers=layers)
    assert "\n" not in str(error.value)


def test_an_exported_network_is_refused_in_one_line():
    net = torch.export.export(plain(), (inputs(),)).module()
    with pytest.raises(BadInput, match="GraphModule has no evaluation mode: expected the network from which it was"):
        quiet(net, net, inputs(), layers="0")


# ---------------------------------------------------------------- inputs


class Stream(IterableDataset):
    def __iter__(self):
        return iter(inputs())


class Shorter:
    """Batches, of which there are fewer each time."""

    times = 0

    def __iter__(self):
        self.times += 1
        return iter(inputs()[: 60 // self.times].split(7))


@pytest.mark.parametrize(
    "data",
    [
        lambda: DataLoader(Stream(), batch_size=7),
        lambda: DataLoader(inputs(), batch_size=7, shuffle=True),
        Shorter,
        lambda: inputs().double(),
        lambda: inputs().numpy().astype(np.float64),
        lambda: np.asfortranarray(inputs().numpy()),
    ],
)
def test_inputs_of_others_are_all_taken_once(data):
    assert check(*pair(plain), data=data(), layers="1").images == 60


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_inputs_get_the_type_of_the_weights(dtype):
    a, b = (net.to(dtype) for net in pair(plain))
    check(a, b, right=lambda net: net(inputs().to(dtype)), data=inputs().numpy(), layers="1")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: [(torch.arange(60), inputs())], r"inputs of shape \(3,\) do not fit"),
        (lambda: [(["a"] * 60, inputs())], "a batch is a tuple: expected"),
        (lambda: [torch.nested.nested_tensor([inputs(3), inputs(4)])], "a batch is a nested tensor"),
        (lambda: [(tokens(), tokens().clamp(0, 1), torch.zeros(60))], "part 1 of a batch looks like the mask"),
        (lambda: torch.utils.data.TensorDataset(inputs()), "the inputs are a TensorDataset: expected a DataLoader"),
        (lambda: [(x, 0) for x in inputs()], r"inputs of shape \(3,\) do not fit"),
        (lambda: torch.ones(60, 5), "1 images are too few"),
    ],
)
def test_inputs_that_are_something_else_get_one_line(data, message):
    with pytest.raises(BadInput, match=message) as error:
        quiet(*pair(plain), data(), layers="1")
    assert "\n" not in str(error.value)


def tokens():
    ids = torch.randint(2, 9, (60, 5), generator=torch.Generator().manual_seed(0))
    ids[:, 3:] = 0
    return ids
