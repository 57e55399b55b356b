"""Pages on interchangeable layers and on what the match sees: figures and words of planted tables, by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.pages import interchange, sensed
from helpers.pages.claims import read_evidence
from helpers.studies.rebasin import PATHS


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def stitched(lost: dict[str, float], similarity: float = 0.0) -> pd.DataFrame:
    rows = [
        {"layer": f"l{k}", "position": k, "source": source, "lost": value, "accuracy": 0.9 - value, "own": 0.9}
        for source, value in lost.items()
        for k in range(3)
    ]
    return pd.DataFrame(rows).assign(similarity=similarity, area=0.4, explained=0.6, agreement=0.9, seed_a=0, seed_b=1)


def path(middle: dict[str, float]) -> pd.DataFrame:
    rows = [
        {"path": name, "alpha": alpha, "loss": loss, "accuracy": 0.9 - loss / 10}
        for name in PATHS.values()
        for alpha, loss in ((0, 1.0), (0.5, 1.0 + middle.get(name, 0)), (1, 1.0))
    ]
    return pd.DataFrame(rows).assign(seed_a=0, seed_b=1)


def partners() -> pd.DataFrame:
    table = pd.DataFrame({"layer": ["a", "b"], "position": [0, 1], "matched": [0.5, 0.3], "before": [0.0, 0.1]})
    return table.assign(chance=0.1, partner_epsilon=[0.9, 0.8], match_epsilon=[0.5, 0.9])


def test_words_count_the_layers_that_stitch_although_they_do_not_match():
    tables = {
        "one": stitched({"trained": 0.01}),
        "two": stitched({"trained": 0.2}),
        "three": stitched({"trained": 0}, 0.5),
    }
    both = dict.fromkeys(("one", "two"), path({}))
    words = interchange.interchange_in_words(tables, both, {"one": partners()})
    assert (words["unlike"], words["unlike-stitched"], words["unlike-share"]) == ("6", "3", "50 %")
    assert words["verdict"] == "fails"
    assert words["worst-trained"] == "20.0"
    assert words["nearer"] == "50 %"
    assert words["opening"] == "mostly yes"
    assert words["matched"] == "0.40"


def test_without_a_dissimilar_layer_the_claim_stays_open():
    words = interchange.interchange_in_words({"n": stitched({"trained": 0}, 0.9)}, {"n": path({})}, {"n": partners()})
    assert words["verdict"] == "open"
    assert words["unlike-share"] == "none"


def test_the_share_of_a_barrier_that_is_gone():
    losses = path({"before matching": 2.0, "matched": 1.5, "matched, recalibrated": 0.5})
    half = path({"before matching": 2.0, "matched, recalibrated": 1.0}).assign(seed_a=1, seed_b=2)
    assert interchange.barriers_reduced(pd.concat([losses, half])).to_list() == pytest.approx([0.75, 0.5])
    assert interchange.barriers_reduced(path({})).isna().all()
    assert interchange.from_to(pd.Series([0.311, 0.449]), 2) == "0.31 to 0.45"
    assert interchange.from_to(pd.Series([0.5]), 1) == "0.5"


def test_one_row_per_network_and_layer():
    rows = interchange.stitching_rows({"n": stitched({"trained": 0.01, "untrained": 0.3})})
    assert list(rows["network"]) == ["n"] * 3
    assert list(rows["lost, untrained"]) == [0.3] * 3
    assert "lost, identity" not in rows


def test_figures_have_a_panel_per_network_and_a_line_per_source():
    tables = {name: stitched({"trained": 0.01, "untrained": 0.3}) for name in ("one", "two")}
    figure = interchange.plot_stitching(tables)
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    assert [line.get_label() for line in figure.axes[0].lines][:2] == ["other network", "untrained network"]
    assert len(interchange.plot_paths({"n": path({})}).axes[0].lines) == len(PATHS)
    assert len(interchange.plot_partners({"n": partners()}).axes[0].lines) == 4


def test_what_a_stitch_loses_stands_beside_both_similarities():
    table = stitched({"trained": 0.01, "untrained": 0.3})
    layers = list(table.loc[table["source"] == "trained", "layer"].astype(str).unique())
    scale = pd.DataFrame({"layer": layers, "mean": [0.2, 0.4, 0.6]})
    rows = interchange.lost_by_layer({"one": table, "two": table}, {"two": scale})
    assert list(rows["lost"]) == [0.01] * 6
    assert rows.loc[rows["network"] == "one", "calibrated"].isna().all()
    assert list(rows.loc[rows["network"] == "two", "calibrated"]) == [0.2, 0.4, 0.6]
    left, right = interchange.plot_lost(rows).axes
    assert np.allclose(left.lines[1].get_xydata(), [[0, 1]] * 3)
    assert np.allclose(right.lines[2].get_xydata(), [[0.2, 1], [0.4, 1], [0.6, 1]])
    assert len(interchange.plot_lost(rows[rows["network"] == "one"]).axes) == 1


def test_the_rank_correlation_of_loss_and_similarity():
    rows = pd.DataFrame({"lost": [0.3, 0.2, 0.1], "similarity": [0.0, 0.5, 1.0], "calibrated": [np.nan] * 3})
    both = pd.concat([rows.assign(network="one"), rows.assign(network="two", similarity=[1.0, 0.5, 0.0])])
    words = interchange.loss_and_similarity_in_words(both)
    assert words == {
        "rank-similarity": "-1.00 (one) and 1.00 (two)",
        "rank-calibrated": "unknown (one) and unknown (two)",
    }


def test_correlations_of_partners_stand_beside_what_was_expected():
    told = interchange.correlations_beside_plan({"n": partners()}, read_evidence())
    assert told.startswith("We expected 0.3 to 0.6 before we looked. The means are inside.")
    wide = partners().assign(matched=[0.9, 0.2])
    told = interchange.correlations_beside_plan(
        {"n": partners(), "m": wide.assign(matched=[0.9, 0.7])}, read_evidence()
    )
    assert "The means are not all inside" in told
    assert told.endswith("in n 0 of 2 below and 0 above (0.30 to 0.50); in m 0 of 2 below and 2 above (0.70 to 0.90)")
    assert "1 of 2 below and 1 above" in interchange.correlations_beside_plan({"n": wide}, read_evidence())


def changed() -> pd.DataFrame:
    rows = []
    for change, losses in (("weak components", (0.0, 0.01, 0.3)), ("strong components", (0.1, 0.4, 0.6))):
        for amount, lost in zip((0.05, 0.5, 0.95), losses, strict=True):
            for measure, fallen in (("subspace", 1 - lost), ("cka", lost)):
                row = {"change": change, "amount": amount, "accuracy": 0.9 - lost, "lost": lost, "measure": measure}
                rows.append(row | {"value": 1 - fallen, "fallen": fallen})
    for change in ("other seed", "one image", "one neuron"):
        for measure in ("subspace", "cka"):
            row = {"change": change, "amount": 1.0, "accuracy": 0.9, "lost": 0.0, "measure": measure}
            rows.append(row | {"value": 0.75, "fallen": 0.25})
    return pd.DataFrame(rows).assign(layer="l", position=0, network="n")


def test_the_measure_that_falls_with_the_probe_comes_first():
    rows = sensed.agreement_rows(changed())
    assert list(rows["measure"]) == ["cka", "subspace"]
    assert list(rows["both"]) == pytest.approx([1, -1])


def test_what_the_prose_says_of_a_planted_table():
    words = sensed.sensitivity_in_words(changed())
    assert (words["both-cka"], words["rank"], words["measures"], words["below-cka"]) == (
        "1.00",
        "second in n",
        "2",
        "below",
    )
    assert (words["leaders"], words["layers"]) == ("First on average is linear CKA (1.000)", "1")
    assert (words["half-cka"], words["half-lost"], words["one-subspace"]) == ("0.99", "1.0", "0.10")
    assert words["one-neuron-cka"] == "0.25"
    assert words["other-seed-linear-probe"] == "0.00"


def test_whether_weak_directions_are_seen_is_said_of_the_layer_where_the_match_falls_most():
    told = sensed.weak_directions(changed())
    assert told == (
        "It sees weak directions, too: in l of n it falls by 0.99 without the weaker half, CKA falls by 0.01, "
        "and the probe loses 1.0 points"
    )
    blind = changed().assign(fallen=0.0)
    assert sensed.weak_directions(blind).startswith("It hardly sees weak directions")
    assert sensed.weak_directions(blind[:0]).startswith("No layer")


def test_two_networks_have_a_place_and_panels_each():
    other = changed().assign(
        network="resnet18", fallen=lambda t: 1 - t["fallen"]
    )  # there the match falls with the probe
    both = pd.concat([changed(), other], ignore_index=True)
    words = sensed.sensitivity_in_words(both)
    assert (words["rank"], words["layers"], words["both-subspace"]) == (
        "second in n and first in ResNet-18",
        "2",
        "0.00",
    )
    assert words["leaders"].startswith("On average 2 measures are practically equal (they differ by at most 0.01)")
    titles = [ax.get_title() for ax in sensed.plot_components(both, ["subspace"]).axes]
    assert titles[::2] == ["n, l\nweak components", "ResNet-18, l\nweak components"]


def test_figures_of_changed_layers_and_of_layers_made_by_hand():
    assert len(sensed.plot_components(changed(), ["subspace", "cka"]).axes) == 2
    labels = [
        tick.get_text()
        for tick in sensed.plot_probe_agreement(sensed.agreement_rows(changed())).axes[0].get_yticklabels()
    ]
    assert labels == ["linear CKA", "subspace match, area under s(ε)"]
    moving = sensed.move_rotation(5, steps=7)
    curve = moving.frames[3].data[0]
    angle = float(moving.frames[3].name)
    step = curve.x[np.argmax(np.asarray(curve.y) > 0)]
    assert step == pytest.approx(np.sin(np.deg2rad(42.75)), abs=0.006)
    assert angle == pytest.approx(43)
    assert len(sensed.plot_rotation(5).axes[0].lines) == 3


def test_what_a_stitch_loses_in_the_middle_is_a_mean_over_networks():
    tables = {"one": stitched({"trained": 0.01, "untrained": 0.5}), "two": stitched({"trained": 0.03})}
    tables = {
        name: table.assign(layer=["relu1_1", "relu3_1", "relu5_1"] * (len(table) // 3))
        for name, table in tables.items()
    }
    tables["one"].loc[tables["one"]["layer"] != "relu3_1", "lost"] = 0.9
    assert interchange.lost_in_the_middle(tables, dict.fromkeys(tables, "vgg16_bn")) == "2.0"
