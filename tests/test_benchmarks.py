"""The benchmark itself: it measures, checks equal sets, says what is an estimate, and writes whole files."""

import json
import os

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from benchmarks import comparing, compiling, growth, layers, machine, recording, run
from helpers.errors import BadInput
from helpers.matching import Match, critical_epsilons, maximum_match
from helpers.networks.accumulators import Sampling
from helpers.networks.activations import collect

TINY = run.Sizes(300, (4, 8), (4, 8, 16), (4, 8), 8, (4, 8), (8,), recorded=False)


@pytest.fixture(scope="module")
def tables():
    patch = pytest.MonkeyPatch()
    patch.setattr(compiling, "first_calls", lambda cache: [2.0, 0.1, 3.0, 0.2])
    patch.setattr(run, "streaming", lambda n: {"neurons": n})
    yield run.measure(TINY)
    patch.undo()


def test_every_table_is_measured(tables):
    assert tables["maximum match, ten ε"]["equal sets"].all()
    for name in ("maximum match, ten ε", "one minimal match", "all minimal matches"):
        frame = tables[name]
        assert (frame["engine"] > 0).all()
        np.testing.assert_allclose(frame["ratio"], frame["published"] / frame["engine"])
    assert tables["targets"].empty


def test_estimates_are_called_estimates(tables):
    one = tables["one minimal match"].set_index("n")
    assert one["published is"].to_dict() == {4: "measured", 8: "measured", 16: "estimate"}
    assert one["equal sets"].to_dict() == {4: True, 8: True, 16: None}
    every = tables["all minimal matches"].set_index("n")
    assert every["published is"].tolist() == ["measured", "measured", "estimate: one v × matched"]
    assert every.loc[16, "published"] == pytest.approx(one.loc[16, "published"] * every.loc[16, "matched"])


def test_power_laws_are_continued():
    frame = pd.DataFrame({"layer": "mixed", "n": [2, 4, 8, 16], "published": [1.0, 4.0, 32.0, np.nan]})
    assert run.extrapolated(frame, "published")["published"].iloc[-1] == pytest.approx(256)


def test_growth_takes_measured_sizes_only():
    frame = pd.DataFrame(
        {"layer": "mixed", "n": [2, 4, 8], "engine": [1.0, 4.0, 32.0], "published": [1.0, 16.0, 1e9]}
    ).assign(**{"published is": ["measured", "measured", "estimate"]})
    powers = run.growth({"t": frame}).set_index("what")["power of n"]
    assert powers.to_dict() == pytest.approx({"engine": 3.0, "published": 4.0})


def test_targets_are_met_or_not():
    frames = {name: pd.DataFrame({"n": [n], column: [goal * 1.1]}) for name, n, column, goal in run.TARGETS}
    assert run.goals(frames)["met"].tolist() == [True, True, True, False]


def test_different_sets_are_an_error():
    kept = np.array([0, 2]), np.array([1])
    run.check_equal(Match(np.array([0, 2]), np.array([1])), kept, "here")
    with pytest.raises(BadInput, match="here: the engine and the published algorithm found different sets"):
        run.check_equal(Match(np.array([0]), np.array([1])), kept, "here")
    with pytest.raises(BadInput, match="different sets"):
        run.check_equal(Match(np.array([0]), np.array([1])), None, "here")


def test_the_file_is_plain_json_without_names_of_machines(tables, tmp_path):
    run.write(tables, TINY, tmp_path / "b.json")
    text = (tmp_path / "b.json").read_text()
    record = json.loads(text)
    assert record["machine"]["threads"] == 1
    assert record["tables"]["one minimal match"][2]["published is"] == "estimate"
    assert str(tmp_path) not in text
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_layers_are_what_they_say():
    x, y = layers.fully_matched(48, 500)
    values = np.concatenate(critical_epsilons(x, y))
    assert np.mean(values == values.min()) > 0.5
    assert len(maximum_match(x, y, values.max())) == 96
    critical = np.concatenate(critical_epsilons(*layers.mixed(48, 1000)))
    assert len(np.unique(critical.round(3))) > 10
    assert 0 < np.mean(critical <= run.EPSILON) < 0.9
    with pytest.raises(BadInput, match=r"none\.npz is not there"):
        layers.recorded(300, path=layers.RECORDED.with_name("none.npz"))


def test_a_recorded_layer_keeps_its_critical_epsilons():
    gram = layers.Gram.load(layers.RECORDED).networks([0, 1])
    critical, expected = critical_epsilons(*layers.recorded(400)), critical_epsilons(gram.pair(0, 1))
    np.testing.assert_allclose(np.concatenate(critical), np.concatenate(expected), atol=1e-6)


def test_clock_and_memory():
    result, seconds = machine.clock(lambda: sum(range(200_000)), 2)
    assert result == sum(range(200_000))
    assert 0 < seconds < 1
    assert 8e6 <= run.peak_memory(lambda: np.zeros(10**6)) < 9e6


def test_numpy_only_puts_the_default_back(monkeypatch):
    monkeypatch.setenv("SAMEREP_BACKEND", "numba")
    with machine.numpy_only():
        assert run.peeling.chosen_backend() == "numpy"
    assert run.peeling.chosen_backend() == "numba"


def test_help_has_an_example():
    shown = CliRunner().invoke(run.main, ["--help"])
    assert shown.exit_code == 0
    assert "python -m benchmarks.run" in shown.output


# ---------------------------------------------------------------- recording


def test_recording_is_compared_with_its_floor():
    row = recording.measured("vgg8_bn", 0.125, 4, 2)
    assert row["floor"] == pytest.approx(row["forward"] + row["one syrk"])
    assert row["collector / floor"] == pytest.approx(row["collector"] / row["floor"])
    assert min(row[name] for name in ("before", "collector", "before, draws", "collector, draws")) > 0
    assert row["collector, draws / floor"] == pytest.approx(row["collector, draws"] / row["floor"])
    assert not [name for name in recording.measured("vgg8_bn", 0.125, 4, 2, before=False) if "before" in name]


def test_what_recording_was_before_gives_the_same_matrices():
    networks, batches = recording.networks_of("vgg8_bn", 0.125, 2), recording.images_of(6, 3)
    before = recording.plainly(networks, torch.cat(batches), ["relu1_1", "logits"], Sampling(50, 2))
    collected = collect(networks, batches, ["relu1_1", "logits"], 6, Sampling(50, 2))
    for layer, compressed in collected.items():
        matrices = [compressed.gram, *compressed.draws]
        for matrix, expected in zip(matrices, before[layer], strict=True):
            np.testing.assert_allclose(matrix.gram, expected, rtol=1e-5)  # the forward pass in batches is float32
    assert len(before["relu1_1"]) == 3


def test_growth_is_of_the_code_after_its_preparation_and_of_what_it_starts():
    seconds, most = growth.grown("bytes(10**8); start = os.times()\nsum(range(10**6))\n", 0)
    assert 0 < seconds < 5
    assert 0 < most < 1
    assert growth.memory(os.getpid()) > 2**20
    assert growth.memory(2**30) == 0
    with pytest.raises(BadInput, match="it failed: ValueError: no"):
        growth.grown("raise ValueError('no')\n", 0)


def test_the_table_of_growth_counts_pairs_and_keeps_the_other_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(growth, "grown", lambda code, number: (2.0 * number**2, 1.0))
    path = tmp_path / "growth.json"
    for words in (["--out", str(path)], ["--quick", "--what", "pages", "--out", str(path)]):
        assert CliRunner().invoke(growth.main, words, catch_exceptions=False).exit_code == 0
    record = json.loads(path.read_text())
    table = pd.DataFrame(record["rows"]).groupby("what")
    assert table["number"].apply(list).to_dict() == {"images": [200, 1000, 2000], "pages": [2, 4], "seeds": [2, 5, 10]}
    assert table["each"].apply(list)["seeds"] == pytest.approx([8, 5, 200 / 45])
    assert record["powers"] == pytest.approx({"pages": 2, "images": 2, "seeds": 2})


def test_the_recorded_growth_is_no_faster_than_what_is_done():
    """Pages and images at most in proportion, seeds at most as their pairs; the memory of images stays."""
    record = json.loads(growth.FILE.read_text())
    assert max(record["powers"]["pages"], record["powers"]["images"]) < 1.1
    assert record["powers"]["seeds"] < np.log(45 / 10) / np.log(2) + 0.1
    memory = [row["GiB"] for row in record["rows"] if row["what"] == "images"]
    assert max(memory) < 1.1 * min(memory)


# ---------------------------------------------------------------- comparing


def test_comparing_is_set_against_its_floor(tmp_path):
    words = ["--images", "8", "--network", "squeezenet1_1", "--pixels", "64", "--out", str(tmp_path / "c.json")]
    assert CliRunner().invoke(comparing.main, words, catch_exceptions=False).exit_code == 0
    (row,) = json.loads((tmp_path / "c.json").read_text())["rows"]
    assert row["floor"] == pytest.approx(row["two forward passes"] + row["one syrk per layer"])
    assert row["compare / floor"] == pytest.approx(row["compare"] / row["floor"])
    assert 0 < row["of it matching"] < row["compare"]
    assert row["layers"] + row["layers with too few images"] == 26
    assert 0 < row["GiB before"] <= row["GiB at most"]


def test_the_recorded_comparison_of_two_resnets_meets_its_goal():
    (row,) = json.loads(comparing.FILE.read_text())["rows"]
    assert row["compare / floor"] <= row["goal"]
    assert row["layers"] >= 14
