"""`compare` is sure of what it reads: which axis holds the images, which tensor of several, a model left as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from helpers import BadInput, compare, critical_epsilons
from helpers.networks.activations import activations
from tests.modules import Doing


class Calling(nn.Module):
    """A linear layer of 5 inputs and `width` outputs, and after it a function of the layer and the inputs."""

    def __init__(self, function, width=4):
        super().__init__()
        self.linear, self.end = nn.Linear(5, width), nn.Identity()
        self.function = function

    def forward(self, x):
        return self.function(self.linear, self.end, x)


def pair(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().eval(), make().eval()


def inputs(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


# ---------------------------------------------------------------- which axis holds the images


def transposed(linear, end, x):
    return end(linear(x).T)


def time_first(linear, end, x):
    return end(linear(torch.einsum("ntf->tnf", x)))


def time_first_and_flat(linear, end, x):
    return end(linear(x.transpose(0, 1).reshape(-1, 5)))


def two_views(linear, end, x):
    return end(linear(torch.cat([x, x.flip(1)])))


@pytest.mark.parametrize(
    ("function", "shape", "width", "message"),
    [
        (transposed, (66, 5), 6, r"outputs of shape \(6, 3\) have the images on axis 1, not 0"),
        (time_first, (60, 6, 5), 4, r"have the images on axis 1, not 0: say layouts={'end': 'tnd'}"),
        (time_first_and_flat, (60, 6, 5), 4, "its outputs do not change places as the inputs"),
        (two_views, (60, 6, 5), 4, "its outputs do not change places as the inputs"),
    ],
)
def test_images_on_another_axis_are_refused_and_not_taken_for_neurons(function, shape, width, message):
    a, b = pair(lambda: Calling(function, width))
    with pytest.raises(BadInput, match=message):
        quiet(a, b, inputs(*shape), layers="end", tokens="mean", batch=3)
    with pytest.raises(BadInput, match=message):
        activations(a, [inputs(*shape)], "end")


def test_a_layout_that_is_said_is_used():
    a, b = pair(lambda: Calling(time_first))
    x = inputs(60, 6, 5)
    comparison = quiet(a, b, x, layers="end", tokens="mean", layouts={"end": "tnd"})
    right = critical_epsilons(*(net.linear(x).mean(1).detach().T.numpy() for net in (a, b)))
    np.testing.assert_allclose(comparison.critical["critical_epsilon"], np.concatenate(right), atol=1e-5)


def test_single_images_are_no_batches():
    a, b = pair(lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()))
    with pytest.raises(BadInput, match=r"inputs of shape \(3, 8, 8\).*images on axis 0"):
        quiet(a, b, list(inputs(40, 3, 8, 8)))


def test_a_network_that_draws_at_random_is_refused():
    a, b = pair(lambda: Calling(lambda linear, end, x: end(nn.functional.dropout(linear(x)))))
    with pytest.raises(BadInput, match="nothing random"):
        quiet(a, b, inputs(60, 5), layers="end")


# ---------------------------------------------------------------- which axis holds the neurons


@pytest.mark.parametrize(
    ("module", "shape", "wrong", "message"),
    [
        (nn.Conv2d(3, 4, 3), (20, 3, 8, 8), "nhwc", r"layer 0 \(Conv2d\) has its neurons on axis 1, as in 'nchw', not"),
        (
            nn.Conv1d(3, 4, 3),
            (20, 3, 8),
            "ntd",
            r"layer 0 \(Conv1d\) has its neurons on axis 1, as in 'nct', not 'ntd'",
        ),
        (nn.Linear(8, 4), (20, 3, 8), "nct", r"layer 0 \(Linear\) has its neurons on axis 2, as in 'ntd', not 'nct'"),
        (nn.BatchNorm2d(3), (20, 3, 8, 8), "nhwc", r"layer 0 \(BatchNorm2d\) has its neurons on axis 1"),
        (nn.Conv3d(3, 4, 3), (20, 3, 4, 8, 8), "nthwc", r"layer 0 \(Conv3d\) has its neurons on axis 1, as in 'ncthw'"),
    ],
)
def test_a_layout_that_the_module_excludes_is_refused(module, shape, wrong, message):
    net = nn.Sequential(module, nn.ReLU())
    with pytest.raises(BadInput, match=message):
        quiet(net, net, inputs(*shape), layers="0", layouts={"0": wrong})
    flags = quiet(net, net, inputs(*shape), layers="1", layouts={"1": wrong}).flags
    assert f"1: layout '{wrong}' was said; by the operations before, its neurons are on axis" in flags[0]


def test_colours_on_the_last_axis_of_images_are_not_taken_for_positions():
    net = nn.Sequential(nn.Identity(), nn.Linear(3, 4))
    x = inputs(20, 8, 8, 3)
    with pytest.raises(BadInput, match=r"layer 0 \(Identity\) has outputs of shape .* is not certain"):
        quiet(net, net, x, layers="0")
    facts = quiet(net, net, x, layers="0", layouts={"0": "nhwc"}).tables["layers"]
    assert facts[["neurons_a", "samples"]].values.tolist() == [[3, 20 * 8 * 8]]
    assert list(quiet(net, net, x, layers="1").tables["layers"].neurons_a) == [4]
    assert list(
        quiet(*[nn.Sequential(nn.Identity())] * 2, inputs(20, 3, 8, 8), layers="0").tables["layers"].neurons_a
    ) == [3]


def test_a_layer_that_takes_the_batch_for_time_is_said():
    """What nn.TransformerEncoder does without batch_first, which nobody notices in training."""
    a, b = pair(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 2))
    flags = quiet(a, b, inputs(30, 6, 4)).flags
    assert "layers.0: its outputs depend on what else is in a batch" in flags[0]


def test_a_layout_is_used_under_every_name_of_its_layer():
    net = nn.Sequential(Doing(lambda x: torch.einsum("nab->nba", x)))
    for name in ("0", "0#1"):
        comparison = quiet(net, net, inputs(60, 3, 4), layers="0", layouts={name: "nct"})
        assert comparison.tables["layers"][["neurons_a", "samples"]].values.tolist() == [[4, 180]]


class OfVideo(nn.Module):
    """A convolution over time and space, then neurons on the last axis, as in video transformers."""

    def __init__(self):
        super().__init__()
        self.conv, self.act, self.linear = nn.Conv3d(3, 4, 3), nn.ReLU(), nn.Linear(4, 5)

    def forward(self, x):
        return self.linear(self.act(self.conv(x)).permute(0, 2, 3, 4, 1))


def test_layers_of_video_have_positions_in_time_and_space():
    a, b = pair(OfVideo)
    x = inputs(20, 3, 4, 8, 8)
    comparison = quiet(a, b, x, layers=["act", "linear"])
    facts = comparison.tables["layers"][["layer", "neurons_a", "samples", "layout_a"]].values.tolist()
    assert facts == [["act", 4, 20 * 2 * 6 * 6, "ncthw"], ["linear", 5, 20 * 2 * 6 * 6, "nthwc"]]
    with torch.no_grad():
        right = critical_epsilons(*(torch.relu(net.conv(x)).transpose(0, 1).flatten(1) for net in (a, b)))
    first = comparison.critical.query("layer == 'act'")["critical_epsilon"]
    np.testing.assert_allclose(first, np.concatenate(right), atol=1e-6)
    pooled = quiet(a, b, x[:, :, :3], layers="act", layers_b="linear", grid=True)
    assert set(pooled.tables["layers"]["samples"]) == {20 * 6 * 6}


# ---------------------------------------------------------------- which name


class Shared(nn.Module):
    """A layer with two names, which runs once, and an activation with two names, which runs twice."""

    def __init__(self):
        super().__init__()
        self.first, self.act1 = nn.Linear(5, 4), nn.ReLU()
        self.tied, self.act2 = self.first, self.act1
        self.last = nn.Linear(4, 4)

    def forward(self, x):
        return self.act2(self.last(self.act1(self.tied(x))))


def test_every_name_of_a_shared_module_is_understood():
    a, b = pair(Shared)
    first, tied = (quiet(a, b, inputs(60, 5), layers=name) for name in ("first", "tied"))
    np.testing.assert_array_equal(first.critical["critical_epsilon"], tied.critical["critical_epsilon"])
    assert list(quiet(a, b, inputs(60, 5), layers="tie*").tables["layers"].layer) == ["tied"]
    assert list(quiet(a, b, inputs(60, 5), layers="act2#2").tables["layers"].layer) == ["act2#2"]
    assert activations(a, [inputs(60, 5)], "tied").shape == (4, 60)
    with pytest.raises(
        BadInput, match=r"layer act2 \(the same module as act1\) runs more .* name one, as act1#1 or act1#2"
    ):
        quiet(a, b, inputs(60, 5), layers="act2")


# ---------------------------------------------------------------- which tensor


@pytest.mark.parametrize(
    ("output", "layer", "message"),
    [
        (lambda y: (y, None), "end[1]", r"layer end\[1\]: end returns one tensor: name end alone"),
        (lambda y: y, "end[7]", r"layer end\[7\]: end returns one tensor"),
        (lambda y: ((y, 2 * y), y.sum(1)), "end", r"name one, as end\[1\]"),
        (lambda y: {"nested": [y]}, "end", "layer end took no part in the forward pass, or returns no tensor"),
    ],
)
def test_an_item_that_is_not_there_is_refused(output, layer, message):
    class Giving(nn.Identity):
        def forward(self, x):
            return output(x)

    def make():
        network = Calling(lambda linear, end, x: end(linear(x)))
        network.end = Giving()
        return network

    with pytest.raises(BadInput, match=message):
        quiet(*pair(make), inputs(60, 5), layers=layer)


# ---------------------------------------------------------------- models of others


@pytest.mark.parametrize(
    "error", [KeyError("deep inside"), AttributeError("deep inside"), ArithmeticError("deep inside")]
)
def test_whatever_a_network_raises_is_one_line(error):
    def failing(linear, end, x):
        raise error

    with pytest.raises(BadInput, match=r"inputs of shape \(3, 5\) do not fit Calling: .*deep inside"):
        quiet(*pair(lambda: Calling(failing)), inputs(60, 5), layers="end")


def test_compiled_parts_are_heard():
    a, b = pair(lambda: nn.Sequential(nn.Linear(5, 4), nn.ReLU()))
    x = inputs(60, 5)
    right = quiet(a, b, x).critical
    a.compile(backend="eager")
    assert quiet(a, b, x).critical.equals(right)


class LowRank(nn.Linear):
    """A linear layer that adds its low-rank part to its weights when it stops training, as loralib does."""

    def __init__(self):
        super().__init__(5, 4)
        self.part, self.merged = nn.Parameter(torch.ones(4, 5)), False

    def train(self, mode=True):
        if self.merged == mode:
            self.weight.data += -self.part.data if mode else self.part.data
            self.merged = not mode
        return super().train(mode)


def test_what_eval_did_is_undone():
    networks = [nn.Sequential(LowRank(), nn.ReLU()).train() for _ in range(2)]
    quiet(*networks, inputs(60, 5), layers="1")
    assert [network[0].merged for network in networks] == [False, False]


@pytest.mark.parametrize("in_place", [True, False])
def test_what_a_pass_counts_is_not_counted(in_place):
    class Counting(nn.Identity):
        def __init__(self):
            super().__init__()
            self.register_buffer("passes", torch.zeros(()))

        def forward(self, x):
            if in_place:
                self.passes += 1
            else:
                self.passes = self.passes + 1
            return x

    networks = [nn.Sequential(nn.Linear(5, 4), Counting(), nn.ReLU()) for _ in range(2)]
    buffers = [network[1].passes for network in networks]
    quiet(*networks, inputs(60, 5), layers="1")
    assert [float(network[1].passes) for network in networks] == [0, 0]
    assert all(network[1].passes is buffer for network, buffer in zip(networks, buffers, strict=True))


def test_weights_that_a_first_pass_would_make_are_refused():
    lazy = nn.Sequential(nn.LazyLinear(4), nn.ReLU())
    with pytest.raises(BadInput, match=r"Sequential has no weights .they are lazy.: pass a batch through it first"):
        quiet(lazy, lazy, inputs(60, 5))


def test_scripted_parts_are_refused_by_name():
    a, b = (nn.Sequential(torch.jit.trace(nn.Linear(5, 4), inputs(3, 5)), nn.ReLU()) for _ in range(2))
    assert list(quiet(a, b, inputs(60, 5)).tables["layers"].layer) == ["1"]
    with pytest.raises(BadInput, match="layer 0 took no part in the forward pass, or returns no tensor"):
        quiet(a, b, inputs(60, 5), layers="0")
