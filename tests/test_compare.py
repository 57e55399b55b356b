"""`compare`: which axis, which call, which inputs; what is said and refused; the result as tables, file and page."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import helpers
from helpers import Comparison, compare
from helpers.errors import BadInput
from helpers.networks.activations import activations, collect, layouts_of
from helpers.networks.calls import heard, tapped
from tests.modules import Doing


def seeded(seed, make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()


def small(seed, *further):
    """A convolution of 4 channels, a ReLU, and what else is asked for."""
    return seeded(seed, lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), *further))


def images(count=20, seed=0):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def quiet(a, b, data, **options):
    return compare(a, b, data, progress=False, **options)


# ---------------------------------------------------------------- inputs


def loaders():
    x = images()
    labelled = TensorDataset(x, torch.zeros(len(x)))
    return {
        "tensor": x,
        "array": x.numpy(),
        "batches": list(x.split(6)),
        "arrays": [part.numpy() for part in x.split(6)],
        "labels": DataLoader(labelled, batch_size=6),
        "dictionaries": [{"image": part, "label": torch.zeros(len(part))} for part in x.split(6)],
        "dictionary": {"pixel_values": x},
        "generator": (part for part in x.split(6)),
    }


@pytest.mark.parametrize("kind", loaders())
def test_inputs_of_every_kind_give_the_same(kind):
    a, b = small(0), small(1)
    z = [activations(net, [images()], "1") for net in (a, b)]
    comparison = quiet(a, b, loaders()[kind], layers="1")
    assert comparison.images == 20
    np.testing.assert_allclose(
        comparison.critical["critical_epsilon"], np.concatenate(helpers.critical_epsilons(*z)), atol=1e-6
    )


def test_inputs_in_a_file(tmp_path):
    a, b = small(0), small(1)
    np.savez(tmp_path / "inputs.npz", images=images().numpy(), labels=np.zeros(20))
    assert quiet(a, b, tmp_path / "inputs.npz").images == 20
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"broken.npz cannot be read as arrays of inputs"):
        quiet(a, b, tmp_path / "broken.npz")
    np.savez(tmp_path / "pickled.npz", images=np.array([{}], dtype=object))
    with pytest.raises(BadInput, match=r"pickled.npz cannot be read"):
        quiet(a, b, tmp_path / "pickled.npz")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no images: expected at least one batch"),
        (3, "the inputs are a int: expected a DataLoader, an array"),
        (["photos"], "a batch is a str: expected a tensor or array of images"),
        ([{"other": images()}], "a dictionary with other: expected images under one of pixel_values"),
        ([torch.randn(5, 7)], r"inputs of shape \(3, 7\) do not fit"),
        ([images() * np.nan], "layer 1.*NaN: expected finite"),
    ],
)
def test_other_inputs_are_refused_in_one_line(data, message):
    with pytest.raises(BadInput, match=message) as error:
        quiet(small(0), small(1), data, layers="1")
    assert "\n" not in str(error.value)


def test_images_are_counted_and_not_believed():
    with pytest.raises(BadInput, match="20 images came, not 10000"):
        quiet(small(0), small(1), [images()], images=10_000, layers="1")


def test_repeated_images_add_no_samples():
    comparison = quiet(small(0), small(0), [images(4).repeat(5, 1, 1, 1)], layers="1")
    assert any("20 inputs are 4 different ones" in flag for flag in comparison.flags)
    wide = nn.Sequential(nn.Flatten(), nn.Linear(192, 30), nn.ReLU())
    with pytest.raises(BadInput, match="40 images are too few for every layer: expected at least 300"):
        quiet(wide, wide, [images(40).repeat(10, 1, 1, 1)], layers="2")


# ---------------------------------------------------------------- which axis holds the neurons


class Permuted(nn.Module):
    """What ConvNeXt and Swin do: neurons last in the middle of the network."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3), nn.LayerNorm(5)
        self.wide, self.act, self.back = nn.Linear(5, 7), nn.GELU(), nn.Identity()

    def forward(self, x):
        x = self.act(self.wide(self.norm(self.conv(x).permute(0, 2, 3, 1))))
        return self.back(x.permute(0, 3, 1, 2))


class Sequence(nn.Module):
    """Channels of time steps, then tokens, then a sequence-first layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv1d(3, 5, 3), nn.ReLU()
        self.attention, self.lstm = nn.MultiheadAttention(5, 1, batch_first=True), nn.LSTM(5, 6)

    def forward(self, x):
        x = self.act(self.conv(x.flatten(2)))
        tokens, _ = self.attention(*[x.transpose(1, 2)] * 3)
        return self.lstm(tokens.transpose(0, 1))[0]


def test_layouts_are_followed_through_permutations():
    layouts = layouts_of(seeded(0, Permuted), images(), ["conv", "norm", "wide", "act", "back"])
    assert layouts == {"conv": "nchw", "norm": "nhwc", "wide": "nhwc", "act": "nhwc", "back": "nchw"}
    assert collect([seeded(0, Permuted)], [images()], ["act"])["act"].gram.sizes == (7,)
    layouts = layouts_of(seeded(0, Sequence), images(), ["conv", "act", "attention[0]"])
    assert layouts == {"conv": "nct", "act": "nct", "attention[0]": "ntd"}


class Mixing(nn.Module):
    """Products of which no axis is known, and a layer without an opinion after them."""

    def __init__(self):
        super().__init__()
        self.same = nn.Identity()

    def forward(self, x):
        return self.same(torch.matmul(x, x.transpose(2, 3)))


def test_an_uncertain_axis_is_refused_until_it_is_said():
    message = r"layer same \(Identity\) has outputs of shape .*axis of its neurons is not certain: say layouts="
    with pytest.raises(BadInput, match=message):
        collect([Mixing()], [images()], ["same"])
    gram = collect([Mixing()], [images()], ["same"], layouts={"same": "nhwc"})["same"].gram
    assert (gram.sizes, gram.samples) == ((8,), 20 * 3 * 8)
    with pytest.raises(BadInput, match="unknown layout of layer same 'nhcw': did you mean 'nhwc'"):
        quiet(Mixing(), Mixing(), images(), layers="same", layouts={"same": "nhcw"})
    with pytest.raises(BadInput, match=r"expected a layout of .*'nchw', 'nhwc'.*, not 'nd'"):
        quiet(Mixing(), Mixing(), images(), layers="same", layouts={"same": "nd"})


# ---------------------------------------------------------------- which call, which item


def shared():
    act = nn.ReLU()
    return seeded(0, lambda: nn.Sequential(nn.Conv2d(3, 8, 3), act, nn.Conv2d(8, 16, 3), act))


def test_a_module_that_runs_twice_is_taken_by_call():
    with pytest.raises(BadInput, match="layer 1 runs more than once in a forward pass: name one, as 1#1 or 1#2"):
        quiet(shared(), shared(), images(), layers="1")
    comparison = quiet(shared(), shared(), images())
    assert comparison.tables["layers"][["layer", "neurons_a"]].values.tolist() == [["1#1", 8], ["1#2", 16]]
    with pytest.raises(BadInput, match=r"layer 1#3: 1 runs 2 times in a forward pass|unknown layer '1#3'"):
        quiet(shared(), shared(), images(), layers="1#3")


class Halves(nn.Module):
    """What micro-batches and data parallelism do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return torch.cat([self.layer(half) for half in x.chunk(2)])


def test_half_batches_are_refused_and_wrappers_are_seen_through():
    with pytest.raises(BadInput, match="runs more than once"):
        collect([Halves()], [torch.randn(10, 5)], ["layer"])
    plain = quiet(small(0), small(1), images())
    wrapped = quiet(nn.DataParallel(small(0)), nn.DataParallel(small(1)), images())
    assert wrapped.similarity(0.5)["similarity"].equals(plain.similarity(0.5)["similarity"])


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3)

    def forward(self, x):
        return torch.relu(self.two(functional.relu(self.one(x))))


def test_functions_become_layers():
    a, b = seeded(0, Functional), seeded(1, Functional)
    comparison = quiet(a, b, images())
    assert comparison.tables["layers"][["layer", "neurons_a"]].values.tolist() == [
        ["nodes.relu", 4],
        ["nodes.relu_1", 5],
    ]
    with torch.no_grad():
        direct = [functional.relu(net.one(images())).transpose(0, 1).flatten(1) for net in (a, b)]
    expected = np.concatenate(helpers.critical_epsilons(*direct))
    first = comparison.critical.query("layer == 'nodes.relu'")["critical_epsilon"]
    np.testing.assert_allclose(first, expected, atol=1e-6)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x.flatten(2), x.flatten(2), x.flatten(2))[0]


def test_several_tensors_are_named_by_item():
    net = seeded(0, Attending)
    with pytest.raises(BadInput, match=r"layer attention returns several tensors: name one, as attention\[0\]"):
        collect([net], [images()], ["attention"])
    assert collect([net], [images()], ["attention[0]"])["attention[0]"].gram.sizes == (64,)
    with pytest.raises(BadInput, match="axis of its neurons is not certain"):
        collect([net], [images()], ["attention[1]"])


@pytest.mark.parametrize("first", [True, False])
def test_recurrent_layers_have_their_neurons_on_the_last_axis(first):
    net = seeded(0, lambda: nn.LSTM(64, 6, batch_first=first))
    outputs = heard(nn.Sequential(net), [images()], lambda: net(images().flatten(2)))
    assert (outputs["0"].layout, outputs["0"].neurons) == ("ntd" if first else "tnd", 6)


def test_default_layers_of_a_network_without_activations_are_refused_with_names():
    with pytest.raises(BadInput, match="no activation modules: name layers, such as"):
        quiet(nn.Sequential(nn.Conv2d(3, 4, 3)), nn.Sequential(nn.Conv2d(3, 4, 3)), images())


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Sequential(Doing(torch.fft.fft)), "found complex ones"),
        (nn.Sequential(nn.Linear(5, 3)).to("meta"), "has no weights .they are on the meta device"),
        (torch.jit.script(nn.Sequential(nn.Linear(5, 3)).eval()), "a TorchScript network runs without its modules"),
    ],
)
def test_other_tensors_are_refused_in_one_line(net, message):
    with pytest.raises(BadInput, match=message):
        collect([net, net], [torch.randn(40, 5)], ["0"])


def test_quantised_and_half_outputs_are_numbers():
    net = nn.Sequential(Doing(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)))
    x = torch.randn(40, 5)
    assert collect([net], [x], ["0"])["0"].gram.sizes == (5,)
    half = small(0).to(torch.bfloat16)
    assert quiet(half, half, images().to(torch.bfloat16), layers="1").similarity(0.0)["similarity"].item() == 1


class Remembering(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.memory = nn.Linear(5, 3), None

    def forward(self, x):
        self.memory = torch.ones(3) if self.memory is None else self.memory
        return self.layer(x) * self.memory


def test_networks_can_be_trained_afterwards():
    net = Remembering().train()
    collect([net], [torch.randn(40, 5)], ["layer"])
    net(torch.randn(4, 5)).sum().backward()
    assert net.training
    assert net.layer.weight.grad is not None


def test_hooks_are_gone_whatever_happens():
    net = small(0)
    with pytest.raises(ZeroDivisionError), tapped(net, ["1"], lambda name, output: 1 / 0):
        net(images())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


# ---------------------------------------------------------------- what to distrust


def test_dead_neurons_near_copies_and_lone_samples_are_said():
    net = small(0)
    net[0].bias.data[0] = -1000
    assert any("in no match: x0, y0" in flag for flag in quiet(net, net, images(), layers="1").flags)
    w, u = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    pair = [nn.Sequential(nn.Linear(8, 2, bias=False), nn.Identity()) for _ in "ab"]
    pair[0][0].weight.data, pair[1][0].weight.data = torch.stack([w, w + 2e-6 * u]), torch.stack([w, u])
    assert quiet(*pair, torch.randn(4000, 8), layers="1").flags
    x = torch.randn(100, 8)
    x[0] = 1e4
    line = seeded(0, lambda: nn.Sequential(nn.Linear(8, 4), nn.Identity()))
    assert any("one sample in 100 holds 100% of the power" in flag for flag in quiet(line, line, x, layers="1").flags)
    rng = np.random.default_rng(0)
    y, z = rng.normal(size=(2, 20, 1000))
    assert not helpers.diagnose(y, z).flags
    y[:, 0] = z[:, 0] = 1e4
    assert len(helpers.diagnose(y, z).flags) == 2


# ---------------------------------------------------------------- the interface


def test_layers_by_name_pattern_and_function():
    nets = [small(k, nn.Conv2d(4, 5, 3), nn.ReLU()) for k in (0, 1)]
    for wanted in (["1", "3"], "?", lambda name, module: isinstance(module, nn.ReLU)):
        layers = list(quiet(*nets, images(), layers=wanted).tables["layers"]["layer"])
        assert layers == (["0", "1", "2", "3"] if wanted == "?" else ["1", "3"])
    with pytest.raises(BadInput, match="unknown layer '9': Valid: 0, 1, 2, 3"):
        quiet(*nets, images(), layers="9")


def test_before_relu_is_what_goes_in():
    nets = [small(k) for k in (0, 1)]
    nets[0][1] = nn.ReLU(inplace=True)
    comparison = quiet(*nets, images(), layers="1", before_relu=True)
    expected = quiet(*nets, images(), layers="0")
    assert list(comparison.tables["layers"]["layer"]) == ["before:1"]
    np.testing.assert_array_equal(comparison.critical["critical_epsilon"], expected.critical["critical_epsilon"])


def test_a_grid_has_every_pair_and_its_diagonal_is_the_plain_comparison():
    a = small(0, nn.Conv2d(4, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
    crossed, plain = quiet(a, a, images(60), grid=True), quiet(a, a, images(60))
    names = ["1", "3", "6"]
    table = crossed.similarity(0.3)
    assert table[["layer", "layer_b"]].values.tolist() == [[x, y] for x in names for y in names]
    diagonal = table[table["layer"] == table["layer_b"]]["similarity"].to_numpy()
    np.testing.assert_array_equal(diagonal, plain.similarity(0.3)["similarity"])
    assert any("averaged to the same" in flag for flag in crossed.flags)


def test_networks_of_other_architectures():
    a, b = small(0), seeded(1, lambda: nn.Sequential(nn.Conv2d(3, 6, 5), nn.Identity(), nn.ReLU()))
    with pytest.raises(
        BadInput, match=r"share no layer name .*name the layers of b .* as layers_b, or ask for grid=True"
    ):
        quiet(a, b, images())
    with pytest.raises(BadInput, match="1 has 36 positions and 2 16: expected the same samples, or pool=True"):
        quiet(a, b, images(), layers="1", layers_b="2")
    comparison = quiet(a, b, images(), layers="1", layers_b="2", pool=True)
    assert comparison.tables["layers"]["samples"].item() == 20 * 16


def test_other_measures_come_along():
    a = small(0)
    values = quiet(
        a, a, images(), layers="1", measures=["cka", "cka_raw"] if "cka_raw" in helpers.MEASURES else ["cka"]
    )
    np.testing.assert_allclose(values.tables["measures"]["value"], 1)
    with pytest.raises(BadInput, match="unknown measure 'ckaa'"):
        quiet(a, a, images(), measures=["ckaa"])


class Tokens(nn.Module):
    """A text encoder in small: embedding, one block, tokens out; padding is 0."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(6, 2, 12, batch_first=True) for _ in range(2)])

    def forward(self, input_ids, attention_mask=None):
        x = self.embedding(input_ids)
        for block in self.blocks:
            x = block(x)
        return x


def test_tokens_are_samples_without_padding():
    a, b = seeded(0, Tokens), seeded(1, Tokens)
    ids = torch.randint(1, 11, (100, 7), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[:, 5:] = 0
    data = [{"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(100)}]
    for tokens, samples in (("all", 500), ("class", 100), ("mean", 100)):
        comparison = quiet(a, b, data, layers="blocks.?", tokens=tokens, layouts={"blocks.0": "ntd", "blocks.1": "ntd"})
        assert set(comparison.tables["layers"]["samples"]) == {samples}
    with pytest.raises(BadInput, match="unknown way to take tokens 'first'"):
        quiet(a, b, data, tokens="first")


def test_a_result_is_saved_loaded_drawn_and_put_on_a_page(tmp_path):
    comparison = quiet(small(0), small(1), images())
    again = Comparison.load(comparison.save(tmp_path / "two.zip"))
    assert again.critical.equals(comparison.critical)
    assert (again.images, again.flags) == (comparison.images, comparison.flags)
    for kind in ("layers", "map"):
        assert comparison.plot(kind).axes
        assert comparison.plot(kind)._repr_png_().startswith(b"\x89PNG")  # what a notebook shows
    page = comparison.to_html(tmp_path / "page.html", "A < B").read_text()
    assert "A &lt; B" in page
    assert page.count("data:image/png") == 2
    assert "http" not in page
    with pytest.raises(BadInput, match="unknown kind of figure 'maps': did you mean 'map'"):
        comparison.plot("maps")
    (tmp_path / "other.zip").write_bytes(b"no")
    with pytest.raises(BadInput, match=r"other.zip is not a saved comparison"):
        Comparison.load(tmp_path / "other.zip")


class Hostile(nn.Module):
    """A network whose layers have names that mean something to HTML, Markdown and matplotlib."""

    def __init__(self, seed):
        super().__init__()
        torch.manual_seed(seed)
        for name in ("<script>alert(1)</script>", "$x^{$", "a|b`c", "_hidden", "&amp;", "%s{0}"):
            self.add_module(name, nn.Sequential(nn.Linear(4, 4), nn.ReLU()))

    def forward(self, inputs):
        for module in self.children():
            inputs = module(inputs)
        return inputs


@pytest.mark.parametrize("grid", [False, True])
def test_names_of_layers_are_text_whatever_they_hold(tmp_path, grid):
    comparison = compare(Hostile(0), Hostile(1), torch.randn(200, 4), grid=grid, progress=False)
    for kind in ("layers", "map", *["grid"] * grid):
        comparison.plot(kind).savefig(tmp_path / "figure.png")
    page = comparison.to_html(tmp_path / "page.html", "A <script>title</script>").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    if not grid:
        with pytest.raises(BadInput, match="expected one that was made with grid=True"):
            comparison.plot("grid")


def test_what_the_table_lacks_is_the_first_flag():
    def network(seed, width=4, last="fc"):
        torch.manual_seed(seed)
        parts = {"conv": nn.Conv2d(3, width, 3), "relu": nn.ReLU(), "pool": nn.AdaptiveAvgPool2d(1)}
        return nn.Sequential(OrderedDict(parts | {"flat": nn.Flatten(), last: nn.Linear(width, 10)}))

    images = torch.randn(60, 3, 8, 8)
    few = compare(network(0), network(1), images, layers=["relu", "fc"], progress=False)
    assert few.flags[0] == "left out: 1 of 2 layers have too few images (at most 100 are needed)"
    other = compare(network(0), network(1, last="head"), images, progress=False)
    assert any("layers have no layer of their name in the other network (name the" in flag for flag in other.flags)
    with pytest.raises(BadInput, match="too few for the layers with equal names, of which there are "):
        compare(network(0), network(1, last="head"), images[:1, :, :3, :3], progress=False)


@pytest.mark.parametrize("mixed_first", [True, False])
def test_a_sum_of_branches_with_neurons_on_different_axes_is_refused_until_it_is_said(mixed_first):
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.channels, self.tokens, self.end = nn.Linear(5, 6), nn.Linear(4, 4), nn.Identity()

        def forward(self, images):
            own = self.channels(images)
            mixed = self.tokens(own.transpose(1, 2)).transpose(1, 2)
            return self.end(mixed + own if mixed_first else own + mixed)

    torch.manual_seed(0)
    a, b, inputs = Mixer(), Mixer(), torch.randn(200, 4, 5)
    with pytest.raises(BadInput, match="axis of its neurons is not certain: say layouts="):
        compare(a, b, inputs, layers=["end"], progress=False)
    said = compare(a, b, inputs, layers=["end"], layouts={"end": "ntd"}, progress=False)
    assert said.tables["layers"]["neurons_a"].tolist() == [6]
    assert layouts_of(a, inputs[:3], ["channels"]) == {"channels": "ntd"}
