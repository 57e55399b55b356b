"""Layers by name, one small study end to end, what a record keeps, controls, intervals, and what is refused."""

import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import studies
from helpers.errors import BadInput
from helpers.matching import critical_epsilons
from helpers.networks import architectures, datasets, training
from helpers.networks.accumulators import Sampling
from helpers.networks.activations import activations, captured, collect
from helpers.studies import records, seeds, store, tables
from helpers.subspaces import Gram

SMALL = {"network": "vgg8_bn", "epochs": 1, "images": 200}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One small study of four networks, trained, matched and recorded once for this file."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNS", "CACHE", "RESULTS"):
            patch.setenv(f"SAMEREP_{name}", str(tmp_path_factory.mktemp(name)))
        study = studies.Study(**SMALL, seeds=(0, 1, 2, 3), layers=("relu1_1", "logits"))
        yield store.record(seeds.KIND, study, progress=False)


def few(seeds: tuple[int, ...], **options) -> studies.Study:
    return studies.Study(**SMALL, seeds=seeds, **{"layers": ("relu1_1", "logits")} | options)


def random_gram(sizes: tuple[int, ...], samples: int = 60, seed: int = 0) -> Gram:
    z = np.maximum(np.random.default_rng(seed).normal(size=(sum(sizes), samples)), 0)
    return Gram(z.sum(axis=1), samples, sizes, z @ z.T)


# ---------------------------------------------------------------- streaming


def test_streamed_gram_is_that_of_all_activations():
    nets = [architectures.build("vgg8_bn", 0.125, channels=1, seed=seed).eval() for seed in (0, 1)]
    batches = list(datasets.batches(datasets.load_dataset("digits"), 200))
    layer = collect(nets, batches, ["relu1_1"], 500, Sampling(100, 2))["relu1_1"]
    z = np.vstack([activations(net, batches, "relu1_1") for net in nets])
    np.testing.assert_allclose(layer.gram.gram, z @ z.T, rtol=1e-9)
    assert [draw.samples for draw in layer.draws] == [100, 100]


def test_hooks_go_and_modes_return_when_something_raises():
    net = architectures.build("vgg8_bn", 0.125, channels=1).train()
    with pytest.raises(RuntimeError), captured(net, ["relu1_1"]):
        net(torch.zeros(1, 3, 32, 32))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())


def test_activations_that_are_not_finite_name_layer_and_neuron():
    net = architectures.build("vgg8_bn", 0.125, channels=1).eval()
    with torch.no_grad():
        net.norm1_1.bias[3] = float("nan")
    with pytest.raises(BadInput, match=r"layer relu1_1: neuron 3 of network 0 has NaN"):
        collect([net], datasets.batches(datasets.load_dataset("digits")), ["relu1_1"])


# ---------------------------------------------------------------- records


def test_a_record_answers_for_fewer_seeds_and_layers(recorded):
    whole, part = studies.run(few((0, 1, 2, 3))), studies.run(few((1, 3), layers=("logits",)))
    assert whole.folder == part.folder == recorded
    wanted = whole.tables["critical"].query("layer == 'logits' and seed_a == 1 and seed_b == 3")
    pd.testing.assert_frame_equal(part.tables["critical"], wanted.reset_index(drop=True))
    assert set(part.tables["networks"]["seed"]) == set(part.tables["layers"]["seed"]) == {1, 3}
    assert set(part.similarity([0.0, 0.99])["epsilon"]) == {0.0, 0.99}


def test_a_record_keeps_few_networks_and_says_which(recorded):
    result = studies.run(few((0, 1, 2, 3)))
    assert result.gram_layers == ["relu1_1", "logits"]
    assert result.gram_seeds("logits") == (0, 1, 2)
    assert result.gram("relu1_1").samples == 200 * 32 * 32
    with pytest.raises(BadInput, match=r"seed 3 of layer logits was not kept compressed: kept are seeds 0, 1, 2"):
        result.gram("logits", [0, 3])
    with pytest.raises(BadInput, match=r"unknown compressed layer 'relu1_2': did you mean 'relu1_1'"):
        result.gram("relu1_2")
    with pytest.raises(BadInput, match="one seed is given"):
        result.pair("logits", 0)
    assert studies.run(few((2, 3))).gram_layers == []


def test_a_wide_layer_is_kept_only_if_it_is_named(folders, monkeypatch):
    monkeypatch.setattr(seeds, "GRAM_CHANNELS", 8)
    layers = ("relu1_1", "relu_fc1", "logits")
    wanted = [few((0, 1), layers=layers, epoch=0, keep=keep) for keep in ((), ("relu_fc1",))]
    wide, named = (store.computed_now(seeds.KIND, study, progress=False) for study in wanted)
    assert "relu_fc1" not in wide.gram_layers
    assert named.gram_layers == [*(layer for layer in layers if layer in wide.gram_layers or layer == "relu_fc1")]
    with pytest.raises(BadInput, match="unknown layer 'relu_fc3': did you mean 'relu_fc"):
        seeds.compute(few((0, 1), epoch=0, keep=("relu_fc3",)), False)


def test_the_kept_gram_gives_the_recorded_critical_epsilons(recorded):
    result = studies.run(few((0, 1, 2, 3)))
    again = tables.critical_rows(result.gram("logits", [2, 1]), 1, 0)
    rows = result.tables["critical"].query("layer == 'logits' and seed_a == 1 and seed_b == 2")
    np.testing.assert_allclose(again["critical_epsilon"], rows["critical_epsilon"], atol=1e-9)
    x, y = critical_epsilons(result.pair("logits", 1, 2))
    np.testing.assert_allclose(np.concatenate([x, y]), rows["critical_epsilon"], atol=1e-9)


@pytest.mark.parametrize(("neurons", "epoch", "kept"), [(64, None, 3), (65, None, 2), (16, 0, 2)])
def test_how_many_networks_are_kept(neurons, epoch, kept):
    study = studies.Study(**SMALL, seeds=(0, 1, 2, 3), epoch=epoch)
    grams = {"a": random_gram((neurons,) * 4)}
    thinned = seeds.thin(studies.Result(study, {}, {}, {"a": study.seeds}, grams))
    assert thinned.gram_seeds("a") == tuple(range(kept))
    np.testing.assert_array_equal(thinned.gram("a").gram, grams["a"].networks(range(kept)).gram)


def test_of_wide_untrained_layers_nothing_is_kept():
    study = studies.Study(**SMALL, seeds=(0, 1), epoch=0)
    thinned = seeds.thin(studies.Result(study, {}, {}, {"a": study.seeds}, {"a": random_gram((65, 65))}))
    assert thinned.gram_layers == []


def test_untrained_networks_are_matched_without_training(folders, monkeypatch):
    monkeypatch.setattr(training.Training, "finish", lambda *_: pytest.fail("trained"))
    result = studies.run(few((0, 1), epoch=0), progress=False)
    assert set(result.tables["networks"]["epoch"]) == {0}


def test_a_record_is_computed_anew_and_never_replaced_by_a_smaller_one(recorded):
    before = (recorded / "provenance.json").read_bytes()
    with pytest.raises(BadInput, match=r"seeds are \[0, 1\]: .* is recorded with \[0, 1, 2, 3\]; give all of them"):
        store.record(seeds.KIND, few((0, 1)))
    with pytest.raises(BadInput, match=r"layers are logits: .* recorded with relu1_1, logits; give all of them"):
        store.record(seeds.KIND, few((0, 1, 2, 3), layers=("logits",)))
    failing = replace(seeds.KIND, compute=lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(pytest.fail.Exception, match="computed"):
        store.record(failing, few((0, 1, 2, 3)))
    assert (recorded / "provenance.json").read_bytes() == before


def test_layers_without_draws_are_found_in_a_record_that_has_draws_of_others(monkeypatch):
    monkeypatch.delenv("SAMEREP_RESULTS", raising=False)
    recorded = studies.Study("cifar10", "vgg16_bn", 0.25, (0, 1), "short")
    result = studies.find_record(seeds.KIND, replace(recorded, layers=("relu1_1", "logits"), sampled=True))
    assert set(result.tables["critical"]["layer"]) == {"relu1_1", "logits"}
    assert set(result.tables["sampled"]["layer"]) == {"relu1_1"}
    with pytest.raises(BadInput, match="unknown layer 'logit': did you mean 'logits'"):
        studies.find_record(seeds.KIND, replace(recorded, layers=("logit",)))


def test_a_record_answers_only_for_what_it_holds(recorded):
    four = (0, 1, 2, 3)
    assert studies.find_record(seeds.KIND, few(four)) is not None
    for wanted in ({"layers": None}, {"layers": ("relu1_2",)}, {"sampled": True}, {"keep": ("relu_fc1",)}):
        assert studies.find_record(seeds.KIND, few(four, **wanted)) is None, wanted


def test_a_record_without_the_hash_of_a_file_is_not_trusted(recorded):
    path = recorded / "provenance.json"
    content = path.read_text()
    known = json.loads(content)
    gram = next(name for name in known["files"] if name.startswith("grams/"))
    path.write_text(json.dumps(known | {"files": {k: v for k, v in known["files"].items() if k != gram}}))
    with pytest.raises(BadInput, match="missing or damaged: restore it from git"):
        studies.read_tables(recorded)
    path.write_text(content)


def test_writers_of_one_record_do_not_disturb_each_other(tmp_path, monkeypatch):
    place, save = tmp_path / "record", pd.DataFrame.to_parquet
    table = pd.DataFrame({"a": [1]})

    def other_writes_first(frame, path, **options):
        monkeypatch.setattr(pd.DataFrame, "to_parquet", save)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        records.write_tables({"t": table}, {"study": {}}, place)
        monkeypatch.undo()
        return save(frame, path, **options)

    monkeypatch.setattr(pd.DataFrame, "to_parquet", other_writes_first)
    records.write_tables({"t": table}, {"study": {}}, place)
    assert studies.read_tables(place)[0]["t"].equals(table)
    assert [path.name for path in tmp_path.iterdir()] == ["record"]


def test_a_damaged_record_is_named(recorded):
    file = recorded / "critical.parquet"
    content = file.read_bytes()
    file.write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"critical\.parquet is missing or damaged: restore it from git"):
        studies.run(few((0, 1)))
    file.write_bytes(content)
    assert studies.records_of("seeds") == [recorded]
    assert studies.records_of("causes") == []


# ---------------------------------------------------------------- controls


@pytest.mark.parametrize("path", studies.records_of("seeds"), ids=lambda path: path.name)
def test_every_recorded_network_matches_its_own_permuted_copy(path):
    controls = studies.read_tables(path)[0]["layers"]
    assert len(controls) > 0
    assert (controls["self_match"] == 1).all()
    assert (controls["effective_rank_centred"] <= controls["neurons"]).all()


def test_the_self_match_control_can_fail_and_skips_the_dead():
    gram = random_gram((5, 5))
    dead = np.diag([0.0] + [1.0] * 9) @ gram.gram @ np.diag([0.0] + [1.0] * 9)
    rows = tables.control_rows(Gram(gram.sums, 60, (5, 5), dead), (7, 8))
    assert rows[["seed", "dead", "self_match"]].to_numpy().tolist() == [[7, 1, 1.0], [8, 0, 1.0]]
    other = np.concatenate(critical_epsilons(gram.pair(0, 1)))
    assert (other > 0).all()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vgg9"}, "did you mean 'vgg"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"seeds": ()}, r"seeds is \(\): expected a list"),
        ({"seeds": (0,)}, "at least two"),
        ({"seeds": (1, 1)}, "repeat"),
        ({"seeds": (0, 1.5)}, "a whole number"),
        ({"seeds": (0, float("nan"))}, "a whole number"),
        ({"seeds": (-1, 0)}, "a whole number from 0"),
        ({"epoch": 99}, "expected a whole number from 0 to 8"),
        ({"images": 0}, "images is 0: expected a whole number from 1"),
        ({"images": 10.5}, "whole number"),
        ({"images": float("nan")}, "whole number"),
        ({"width": float("nan")}, "width is nan"),
        ({"width": "wide"}, "width is 'wide'"),
        ({"images": 500.0}, "images is 500.0"),
        ({"images": "all"}, "images is 'all'"),
        ({"epoch": 1.5}, "epoch is 1.5: expected a whole number"),
        ({"epochs": 1.5}, "epochs is 1.5: expected a whole number"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        studies.Study(**options)


def test_fewer_samples_than_neurons_are_refused(folders):
    study = studies.Study(network="vgg8_bn", epochs=1, epoch=0, images=30, layers=("relu_fc1",))
    with pytest.raises(
        BadInput, match=r"layer relu_fc1: 30 samples for \d\d neurons.*every distance to it is 0; use more images"
    ):
        studies.run(study, progress=False)


def test_command_line_refuses_repeated_seeds():
    result = CliRunner().invoke(command.cli, ["train", "--network", "vgg8", "--seeds", "1,1"])
    assert isinstance(result.exception, BadInput)


def test_power_is_each_neuron_s_share_of_its_network_s_squares():
    gram = random_gram((3, 2, 4))
    gram.gram[5:], gram.gram[:, 5:] = 0, 0
    table = tables.critical_rows(gram, 1, 0)
    squares = np.diag(gram.gram)
    np.testing.assert_allclose(table["power"], [*squares[3:5] / squares[3:5].sum(), *squares[:3] / squares[:3].sum()])
    assert not tables.critical_rows(gram, 0, 2).query("side == 'y'")["power"].any()
    assert "power" not in tables.similarity_table(table.assign(layer="l"), [0.3])
