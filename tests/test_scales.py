"""Pages about scales: groups, means, words, and figures that show what the table holds."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.measures import INVARIANCES, MEASURES
from helpers.pages import scales
from helpers.studies.identification import accuracy_table

NAMES = ["subspace", "cka_debiased", "rsa"]


def scale_table(network_layers: list[tuple[str, str]], level=lambda position, measure: 0.5) -> pd.DataFrame:
    rows = []
    for position, (layer, kind) in enumerate(network_layers):
        for name in NAMES:
            value = level(position, name)
            base = {"layer": layer, "position": position, "kind": kind, "samples": "images", "measure": name}
            ends = {"observed": value, "low": value - 0.1, "high": value + 0.1, "chance": 0, "ceiling": 1}
            ends["untrained"] = 0.1
            scale = {f"calibrated{end}": value for end in ("", "_low", "_high", "_untrained")}
            rows.append(base | ends | scale)
    return pd.DataFrame(rows)


LAYERS = [(f"conv{i}", "conv") for i in range(7)] + [("pool", "pool"), ("fc", "fc"), ("logits", "logits")]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_values_of_several_networks_are_asked_for_one_by_one(monkeypatch):
    asked = []

    def find_or_compute(kind, study, settings, recompute):
        asked.append((study.network, study.width, tuple(study.seeds), study.runs[0].recipe.epochs, settings, recompute))
        return SimpleNamespace(tables={"values": f"{kind} of {study.network}"})

    monkeypatch.setattr(scales, "find_or_compute", find_or_compute)
    runs = [("vgg11_bn", "digits", 4, 3), ("resnet18", "digits", 8, 7)]
    tables = scales.values_by_network("scale", ("digits", 0.125, [0, 1]), runs, True, permutations=5)
    assert tables == {"vgg11_bn": "scale of vgg11_bn", "resnet18": "scale of resnet18"}
    assert asked[0] == ("vgg11_bn", 0.125, (0, 1), 4, {"permutations": 5, "earlier": 3}, True)
    assert asked[1][3:5] == (8, {"permutations": 5, "earlier": 7})


def test_groups_are_those_of_the_family_and_thirds_elsewhere():
    inner = [f"stage{stage}.block1.relu1" for stage in (1, 2, 3, 4)]
    names = ["stem.relu", *inner, "pool"]
    table = pd.DataFrame({"layer": names, "position": range(6), "kind": "conv"})
    groups = scales.groups_or_thirds("resnet18", table)
    assert groups["middle"] == inner[1:3]
    assert groups["late"] == inner[3:]
    other = scales.groups_or_thirds("own", scale_table(LAYERS))
    assert list(other) == ["first", "early", "middle", "late", "pool", "fc", "logits"]
    assert other["first"] == ["conv0"]
    assert other["middle"] == ["conv3", "conv4"]


def test_means_and_dips_of_groups():
    table = scale_table(LAYERS, lambda position, name: 0.1 if name == "rsa" and position in (3, 4) else 0.5)
    means = scales.measure_means("own", table)
    assert means.loc["rsa", "middle"] == pytest.approx(0.1)
    assert [name for name in means.index if name in scales.dipping(means.reindex(scales.RIVALS))] == ["rsa"]
    row = scales.group_means({"own": table}, "rsa").iloc[0]
    assert row["network"] == "own"
    assert row[["early", "middle"]].tolist() == pytest.approx([0.5, 0.1])


def test_the_table_of_measures_says_what_the_registry_says():
    table = scales.measures_table().set_index("measure")
    assert len(table) == len(MEASURES)
    for entry in MEASURES.values():
        ticks = {how for how in INVARIANCES if table.loc[entry.title, how.replace("_", "-")]}
        assert ticks == entry.invariances


def test_figures_show_the_table():
    both = {"vgg16_bn": scale_table(LAYERS), "own": scale_table(LAYERS, lambda position, name: np.nan)}
    heat = scales.plot_heat(both)
    assert [text.get_text() for text in heat.axes[0].texts] == ["50"] * 30
    assert {text.get_text() for text in heat.axes[1].texts} == {"–"}
    ends = scales.plot_ends(both, "rsa", "similarity")
    assert ends.axes[0].lines[1].get_ydata().tolist() == [0.5] * 10
    assert len(scales.plot_calibrated(both, "rsa").axes) == 2
    assert len(scales.plot_agreement({"own": both["vgg16_bn"]}).axes) == 1


def test_identification_figures():
    rows = [(m, a, b, m != "rsa" and a == b) for m in NAMES for a in "xy" for b in "xy"]
    values = pd.DataFrame(rows, columns=["measure", "layer_a", "layer_b", "value"]).assign(seed_a=0, seed_b=1)
    values["value"] = values["value"].astype(float)
    bars = scales.plot_accuracies({"own": accuracy_table(values)}, {"own": 0.5}).axes[0].patches
    assert sorted(bar.get_width() for bar in bars) == [0.5, 1, 1]
    picture = scales.plot_confusion({"own": values}, ("subspace",)).axes[0].images[0]
    assert np.asarray(picture.get_array()).tolist() == [[1, 0], [0, 1]]


def test_words():
    assert scales.listed([]) == "none"
    assert scales.listed(["rsa"]) == "RSA"
    assert scales.listed(["cca", "svcca", "rsa"]) == "mean CCA, SVCCA and RSA"
    assert scales.yes_or_no(True) == "yes"
    assert scales.yes_or_no(False) == "no"


def test_layers_that_do_not_match_their_own_earlier_self_are_counted():
    own = pd.DataFrame({"ceiling": [0.9, 0.69, 0.2]})
    told = scales.unlike_itself({"vgg16_bn": own, "resnet18": own.head(1)})
    assert told.startswith("In 2 layers of VGG-16-BN most neurons do not even match the same network")
    assert "ResNet" not in told
    assert scales.unlike_itself({"resnet18": own.head(1)}) == ""


def test_averages_over_positions_are_set_beside_single_positions():
    rows = [("a", "images", 0.5), ("a", "positions", 0.4), ("b", "images", 0.9), ("b", "positions", 0.2)]
    table = pd.DataFrame(rows, columns=["layer", "samples", "observed"]).assign(measure="subspace")
    told = scales.averaged_in_words({"vgg16_bn": table})
    assert told == "In b of VGG-16-BN the area under s(ε) is 0.90 instead of 0.20."
    assert scales.averaged_in_words({"vgg16_bn": table[table["samples"] == "images"]}) == ""
