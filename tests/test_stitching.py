"""Stitching: tails compute what the network does, planted linear mixes lose nothing, the map is least squares."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers.errors import BadInput
from helpers.networks import datasets
from helpers.networks.activations import calibrate, captured
from helpers.networks.architectures import build, layers
from helpers.networks.tails import LinearMap, Stitched, recalibrate, tail
from helpers.studies import stitching
from helpers.studies.stitching import Case, least_squares_map
from helpers.studies.study import Study
from helpers.subspaces import Gram

IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(12, 3, 32, 32))).float()


def small(name: str, seed: int = 0) -> nn.Module:
    return calibrate(build(name, 0.0625, seed=seed), [IMAGES]).eval()


def outputs_of(network: nn.Module, names: list[str], images: torch.Tensor = IMAGES) -> dict[str, torch.Tensor]:
    with captured(network, names) as outputs:
        network(images)
    return outputs


@pytest.mark.parametrize("name", ["vgg8_bn", "vgg8", "resnet18", "resnet20", "plain20"])
def test_a_tail_fed_with_its_own_layers_gives_the_networks_logits(name):
    network = small(name)
    names = [layer.name for layer in layers(network)]
    outputs = outputs_of(network, names)
    for layer in names:
        after = tail(network, layer)
        with torch.inference_mode():
            logits = after(*(outputs[entering] for entering in after.inputs))
        assert torch.allclose(logits, outputs["logits"], atol=1e-4), layer


def test_only_inside_a_residual_block_does_a_tail_need_what_enters_it():
    inner = "stage2.block1.relu1"
    assert tail(small("resnet18"), inner).inputs == (inner, "stage1.block2.relu2")
    assert tail(small("resnet18"), "stage1.block1.relu1").inputs == ("stage1.block1.relu1", "stem.relu")
    assert tail(small("plain20"), inner).inputs == (inner,)
    assert tail(small("resnet18"), "stage2.block1.relu2").inputs == ("stage2.block1.relu2",)


def test_recalibrating_a_tail_leaves_the_network_as_it_is():
    network = small("vgg8_bn")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    after = tail(network, "relu2_1")
    width = outputs_of(network, ["relu2_1"])["relu2_1"].shape[1]
    stitched = Stitched([LinearMap(3 * torch.eye(width), torch.ones(width))], after)
    recalibrate({0: stitched}, [{0: outputs_of(network, ["relu2_1"])}])
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not torch.equal(_first_mean(after), before["norm3_1.running_mean"])


def _first_mean(after: nn.Module) -> torch.Tensor:
    return next(m for m in after.modules() if isinstance(m, nn.BatchNorm2d)).running_mean


def test_tails_refuse_other_networks_and_unknown_layers():
    with pytest.raises(BadInput, match="not one of this book's networks"):
        tail(nn.Sequential(nn.Linear(2, 2)), "0")
    with pytest.raises(BadInput, match="relu2_1"):
        tail(small("vgg8_bn"), "relu2_2")


def gram_of(x: np.ndarray, y: np.ndarray) -> Gram:
    z = np.vstack([x, y])
    return Gram(z.sum(1), z.shape[1], (len(x), len(y)), z @ z.T)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=30)
def test_the_map_is_numpys_least_squares_solution_with_an_intercept(n, m, seed):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(n, 60)) + 3, rng.normal(size=(m, 60)) - 1
    weight, intercept, explained = least_squares_map(gram_of(x, y))
    expected = np.linalg.lstsq(np.vstack([x, np.ones(60)]).T, y.T, rcond=None)[0].T
    assert np.allclose(weight, expected[:, :-1], atol=1e-5)
    assert np.allclose(intercept, expected[:, -1], atol=1e-4)
    left = y - weight @ x - intercept[:, None]
    assert explained == pytest.approx(1 - (left**2).sum() / ((y - y.mean(1, keepdims=True)) ** 2).sum(), abs=1e-7)


def test_dead_constant_and_repeated_neurons_do_no_harm():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 80))
    y = 2 * x[:2] + 7
    x[2], x[3], x[4] = 0, 5, x[0]
    weight, intercept, explained = least_squares_map(gram_of(x, y))
    assert np.allclose(weight @ x + intercept[:, None], y, atol=1e-6)
    assert explained == pytest.approx(1)
    assert not weight[:, [2, 3]].any()
    assert np.isnan(least_squares_map(gram_of(x, np.ones((2, 80))))[2])  # nothing varies: no share of it


class Mixed(nn.Module):
    """What a layer gives, its channels mixed by an invertible matrix and shifted."""

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        rng = np.random.default_rng(5)
        mix = np.eye(channels) + 0.5 * rng.normal(size=(channels, channels)) / np.sqrt(channels)
        self.layer, self.mix = layer, torch.from_numpy(mix).float()

    def forward(self, x):
        return torch.einsum("ij,njhw->nihw", self.mix, self.layer(x)) + 0.3


def digits(count: int, split: str = "test") -> datasets.Dataset:
    return stitching.some_images(Study("digits"), split, count)


def test_a_layer_that_is_an_exact_linear_mix_of_the_other_loses_nothing(monkeypatch):
    monkeypatch.setattr("helpers.networks.tails.pays_bf16", lambda device: False)
    ours, theirs = (calibrate(build("vgg8_bn", 0.125, channels=1), datasets.batches(digits(50))).eval() for _ in "ab")
    theirs.relu3_1 = Mixed(theirs.relu3_1, 32)
    nets = {("trained", 0): theirs, ("trained", 1): ours}
    sets = digits(200, "train"), digits(50), digits(100)  # recalibrated on what it was calibrated on
    table = stitching.stitched_accuracy(nets, [Case("trained", 0, 1)], ["relu3_1"], sets, controls=0)
    row = table.iloc[0]
    assert row["explained"] > 0.999
    assert row["agreement"] == 1
    assert row["lost"] == 0


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Two small networks trained on digits, stitched at every layer."""
    patch = pytest.MonkeyPatch()
    patch.setenv("SAMEREP_RUNS", str(tmp_path_factory.mktemp("runs")))
    study = Study("digits", "vgg8_bn", 0.125, (0, 1), epochs=2)
    yield stitching.compute_stitching(study, fit=400, again=200, controls=200, progress=False).tables["stitching"]
    patch.undo()


def test_every_hidden_layer_is_stitched_from_every_source(smoke):
    assert set(smoke["source"]) == set(stitching.SOURCES)
    assert "logits" not in set(smoke["layer"])
    assert {"pool", "relu_fc2", "relu1_1"} <= set(smoke["layer"])
    assert not smoke.duplicated(["layer", "source", "seed_a", "seed_b"]).any()
    assert np.allclose(smoke["own"] - smoke["accuracy"], smoke["lost"])


def test_the_controls_stand_where_they_must(smoke):
    lost = smoke.groupby("source")["lost"].mean()
    accuracy = smoke.groupby("source")["accuracy"].mean()
    assert lost["identity"] < 0.05
    assert accuracy["other images"] < 0.35  # ten classes, and an intercept knows none of them
    assert lost["trained"] < lost["untrained"] < lost["other images"]


def test_the_same_numbers_come_out_twice():
    first, second = (digits(30, "train") for _ in "ab")
    assert (first.images == second.images).all()
    assert len(first.images) == 30
    assert len(digits(10_000).images) == 500


def test_nothing_to_fit_on():
    with pytest.raises(BadInput, match="no images to fit on"):
        stitching.stream_products({}, [], ["relu1_1"], iter([]))


def test_unmatched_layers_that_stitch_are_counted_by_layer():
    rows = [("a", 0.0, 0.01), ("a", 0.04, 0.03), ("b", 0.02, 0.10), ("b", 0.04, 0.02), ("c", 0.5, 0.9)]
    table = pd.DataFrame(rows, columns=["layer", "similarity", "lost"]).assign(source="trained")
    counted = stitching.stitched_unmatched(table)
    assert counted == {"layers": 2, "share": 0.5, "worst": pytest.approx(0.06)}
    assert np.isnan(stitching.stitched_unmatched(table[table["layer"] == "c"])["share"])


def test_sources_can_be_left_out_and_are_checked():
    few = stitching.stitching_cases((3, 5, 8), ["trained", "untrained"])
    assert few == [Case("trained", 3, 5), Case("trained", 5, 8), Case("untrained", 3, 5)]
    assert Case("identity", 5, 5) in stitching.stitching_cases((3, 5))
    with pytest.raises(BadInput, match="untrained"):
        stitching.stitching_cases((0, 1), ["untraind"])
