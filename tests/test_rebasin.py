"""Re-basin: permuted networks compute the same and match exactly; planted permutations are found; barriers by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers.errors import BadInput
from helpers.networks import datasets
from helpers.networks.activations import calibrate, collect
from helpers.networks.architectures import build
from helpers.networks.permutations import best_orders, interpolated, permutable, permuted, random_orders
from helpers.studies import rebasin
from helpers.studies.study import Study
from helpers.subspaces import Gram

IMAGES = torch.from_numpy(np.random.default_rng(0).normal(size=(24, 3, 32, 32))).float()
NAMES = ["vgg8_bn", "vgg8", "resnet18", "plain20"]


def small(name: str, seed: int = 0) -> nn.Module:
    return calibrate(build(name, 0.125, seed=seed), [IMAGES]).eval()


def layers_of(network: nn.Module) -> list[str]:
    return [layer for group in permutable(network).values() for layer in group.layers]


@pytest.mark.parametrize("name", NAMES)
def test_a_permuted_network_gives_equal_logits_and_matches_exactly(name):
    table = rebasin.permutation_control(small(name), IMAGES, layers_of(small(name)), seed=1)
    assert (table["logits_differ"] < 1e-4).all()
    assert (table["largest_critical"] < 1e-3).all()
    assert len(table) == len(layers_of(small(name)))


@pytest.mark.parametrize("name", NAMES)
def test_permuting_moves_neurons_and_nothing_else(name):
    network = small(name)
    orders = random_orders(network, 2)
    copy, groups = permuted(network, orders).eval(), permutable(network)
    collected = collect([network, copy], [IMAGES], layers_of(network))
    for group, order in orders.items():
        for layer in groups[group].layers:
            gram = collected[layer].gram
            ours, theirs = np.diag(gram.block(0, 0)), np.diag(gram.block(1, 1))
            assert np.allclose(theirs, ours[order], rtol=1e-3)


@pytest.mark.parametrize("name", ["vgg8_bn", "resnet18", "plain20"])  # without batch norm channels are nearly multiples
def test_a_planted_permutation_is_found_and_undone(name):
    network = small(name)
    orders = random_orders(network, 3)
    copy, groups = permuted(network, orders).eval(), permutable(network)
    collected = collect([network, copy], [IMAGES], layers_of(network))
    likeness = {layer: rebasin.channel_correlations(each.gram) for layer, each in collected.items()}
    best = best_orders(groups, likeness)
    for layer_group, order in best.items():
        layer = groups[layer_group].layers[0]
        mean = likeness[layer][np.arange(len(order)), order].mean()
        alive = (np.diag(collected[layer].gram.centred().block(0, 0)) > 0).mean()
        assert mean == pytest.approx(alive, abs=1e-3)  # a constant channel correlates with nothing
    back = permuted(copy, best)
    with torch.inference_mode():
        assert torch.allclose(interpolated(network, back, 0.5)(IMAGES), network(IMAGES), atol=1e-3)
        assert not torch.allclose(interpolated(network, copy, 0.5)(IMAGES), network(IMAGES), atol=1e-3)


def test_channels_of_a_residual_stream_share_one_permutation():
    groups = permutable(small("resnet18"))
    assert groups["stem"].layers == ["stem.relu", "stage1.block1.relu2", "stage1.block2.relu2"]
    assert groups["stage2.block1"].layers == ["stage2.block1.relu2", "stage2.block2.relu2"]
    assert ("stage2.block1.shortcut.0.weight", 0) in groups["stage2.block1"].axes
    assert all(len(group.layers) == 1 for group in permutable(small("plain20")).values())


def test_every_axis_of_every_weight_is_the_input_the_classes_or_in_a_group():
    for name in NAMES:
        network = small(name)
        known = {axis for group in permutable(network).values() for axis in group.axes}
        for key, value in network.state_dict().items():
            for axis in range(min(value.ndim, 2)):
                image, classes = (
                    (key.endswith(("conv.weight", "conv1_1.weight")) and axis == 1),
                    key.startswith("logits"),
                )
                assert ((key, axis) in known) != (image or (classes and axis == 0)), (key, axis)


def test_what_cannot_be_permuted_is_refused():
    with pytest.raises(BadInput, match="pad their streams"):
        permutable(small("resnet20"))
    with pytest.raises(BadInput, match="not one of this book's networks"):
        permutable(nn.Linear(2, 2))
    with pytest.raises(BadInput, match="not a permutation of its 8 channels"):
        permuted(small("vgg8_bn"), {"conv1_1": np.zeros(8, dtype=int)})


def test_interpolation_ends_at_the_networks():
    a, b = small("vgg8_bn"), small("vgg8_bn", 1)
    with torch.inference_mode():
        assert torch.equal(interpolated(a, b, 0)(IMAGES), a(IMAGES))
        assert torch.allclose(interpolated(a, b, 1)(IMAGES), b(IMAGES), atol=1e-6)
    assert torch.equal(a.conv1_1.weight, small("vgg8_bn").conv1_1.weight)  # the copy is its own


def test_partners_match_at_the_sine_of_their_angle():
    angle = np.array([0.1, 0.7, np.pi / 2])
    x = np.eye(6)[:3]
    y = np.cos(angle)[:, None] * np.eye(6)[:3] + np.sin(angle)[:, None] * np.eye(6)[3:]
    order = np.array([2, 0, 1])
    z = np.vstack([x, 4 * y[np.argsort(order)]])
    gram = Gram(z.sum(1), 6, (3, 3), z @ z.T)
    assert np.allclose(rebasin.partner_epsilons(gram, order), np.sin(angle))
    dead = Gram(
        z.sum(1), 6, (3, 3), np.where(np.arange(6) == 0, 0, 1) * (z @ z.T) * np.where(np.arange(6) == 0, 0, 1)[:, None]
    )
    assert np.isnan(rebasin.partner_epsilons(dead, order)[0])


def test_correlations_are_numpys():
    x = np.random.default_rng(0).normal(size=(5, 40)) + 2
    x[4] = 1
    gram = Gram(x.sum(1), 40, (2, 3), x @ x.T)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(np.corrcoef(x)[:2, 2:])
    assert np.allclose(rebasin.channel_correlations(gram), expected)


def test_barriers_against_the_straight_line():
    path = pd.DataFrame({"alpha": [0, 0.5, 1], "loss": [1.0, 3.0, 2.0], "accuracy": [0.9, 0.4, 0.7]})
    path = path.assign(seed_a=0, seed_b=1, path="matched")
    (row,) = rebasin.barriers(path).to_dict("records")
    assert row["loss_barrier"] == pytest.approx(1.5)
    assert row["accuracy_barrier"] == pytest.approx(0.4)
    flat = rebasin.barriers(path.assign(loss=[1, 1.2, 2], accuracy=[0.9, 0.9, 0.7])).iloc[0]
    assert flat["loss_barrier"] == 0
    assert flat["accuracy_barrier"] == 0


def test_the_study_on_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))
    study = Study("digits", "vgg8_bn", 0.125, (0, 1), epochs=2, images=200)
    tables = rebasin.compute_rebasin(study, correlate=300, again=100, progress=False).tables
    assert set(tables) == {"control", "partners", "path"}
    partners = tables["partners"]
    assert (partners["matched"] >= partners["before"]).all()
    assert partners["matched"].mean() > partners["chance"].mean()
    assert (partners["partner_epsilon"] >= partners["match_epsilon"] - 1e-6).mean() > 0.8
    assert tables["control"]["largest_critical"].max() < 1e-3
    ends = tables["path"].query("alpha in (0, 1)").groupby("alpha")["accuracy"].nunique()
    assert (ends == 1).all()
    assert set(tables["path"]["path"]) == set(rebasin.PATHS.values())


def test_networks_without_batch_norm_have_no_recalibrated_path():
    data = datasets.load_dataset("digits", "test")
    few = datasets.Dataset(**vars(data) | {"images": data.images[:20], "labels": data.labels[:20]})
    a, b = (build("vgg8", 0.0625, channels=1, seed=seed).eval() for seed in (0, 1))
    path = rebasin.interpolation_path(a, {"as trained": b, "matched": b}, few, few)
    assert set(path["path"]) == {"before matching", "matched"}
