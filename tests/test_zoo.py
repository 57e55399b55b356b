"""torchvision's classifiers: in every layer the neurons that are found are the module's channels.

The networks are on the meta device, where a pass costs nothing: which axis holds the neurons depends on shapes alone.
`python -m benchmarks.zoo` does the same with numbers, and its table is recorded.
"""

import json

import pytest
from click.testing import CliRunner

from benchmarks import zoo
from helpers.errors import BadInput

FEW = ["alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "mnasnet0_5", "mobilenet_v3_small"]
FEW += ["regnet_y_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t", "vgg11", "vit_b_32"]
LARGER = {"maxvit_t": 224, "inception_v3": 96, **dict.fromkeys((n for n in zoo.NAMES if n.startswith("vit_")), 224)}


def check(name):
    row = zoo.row_of(name, "meta")
    assert row["neurons right"] == row["known channels"] > 0
    assert row["layers by default"] > row["left out"] == 0
    assert row["pixels"] == LARGER.get(name, 64)


@pytest.mark.parametrize("name", FEW)
def test_the_neurons_are_the_channels(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in zoo.NAMES if name not in FEW])
def test_the_neurons_of_all_others_are_the_channels(name):
    check(name)


def test_the_recorded_table_has_every_network_and_every_neuron_right():
    rows = {row["model"]: row for row in json.loads(zoo.FILE.read_text())["rows"]}
    assert sorted(rows) == sorted(zoo.NAMES)
    for name, row in rows.items():
        assert row["neurons right"] == row["known channels"]
        assert row["layers by default"] > row["left out"] == 0
        assert row["pixels"] == LARGER.get(name, 64)
        assert (row["why not fewer"] == "") == (row["pixels"] == 64)


def test_the_recorded_row_is_what_is_found_now():
    rows = {row["model"]: row for row in json.loads(zoo.FILE.read_text())["rows"]}
    assert zoo.row_of("squeezenet1_1") == rows["squeezenet1_1"]


def test_a_wrong_axis_would_be_seen(monkeypatch):
    monkeypatch.setattr(zoo, "channels", lambda module: 7)
    row = zoo.row_of("squeezenet1_1", "meta")
    assert row["known channels"] > row["neurons right"] == 0


def test_a_network_that_takes_none_of_the_sizes_is_refused(monkeypatch):
    monkeypatch.setattr(zoo, "SIZES", (8,))
    with pytest.raises(BadInput, match=r"takes no images of \(8,\) pixels"):
        zoo.row_of("alexnet", "meta")


def test_the_command_prints_a_table_and_writes_only_when_told(tmp_path):
    done = CliRunner().invoke(zoo.main, ["--only", "squeezenet1_1", "--out", str(tmp_path / "zoo.json")])
    assert done.exit_code == 0
    assert "squeezenet1_1" in done.output
    assert json.loads((tmp_path / "zoo.json").read_text())["images"] == zoo.IMAGES


def test_families_add_up():
    table = zoo.recorded()
    families = zoo.by_family(table)
    assert families["networks"].sum() == len(table) == len(zoo.NAMES)
    for name in ("known channels", "neurons right"):
        assert families[name].sum() == table[name].sum()
