"""Tables and phrases from records of causes and of simple matches, on small tables whose answers are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from helpers.errors import BadInput
from helpers.pages import cause_findings, size_findings
from helpers.studies.causes import at_equal_variance
from helpers.subspaces import Gram

PLACES = {"conv": ("relu1_1", 0), "fc": ("relu_fc2", 1)}


@pytest.fixture
def causes():
    """Two layers, three conditions: all neurons at one critical ε each."""
    levels = {"as it is": 0.2, "class means": 0.4, "untrained": np.inf}
    rows, similar = [], []
    for kind, (layer, position) in PLACES.items():
        for condition, value in levels.items():
            base = {"layer": layer, "position": position, "kind": kind, "condition": condition}
            rows += [base | {"neuron": k, "critical_epsilon": value + 0.05 * position} for k in range(4)]
            inside = [{"epsilon": e, "similarity": float(value + 0.05 * position <= e)} for e in (0.3, 0.5)]
            similar += [base | row for row in inside]
    return {"critical": pd.DataFrame(rows), "similarity": pd.DataFrame(similar)}


@pytest.fixture
def directions():
    """One hidden layer and one pair: area 0.8 when centred; half the variance is gone with one strong direction."""
    base = {"layer": "pool", "position": 1, "depth": 0.9, "kind": "pool", "seed_a": 0, "seed_b": 1}
    rows = [
        ("centred", 0, 1.0, 0.8),
        ("third logits", 2, 0.4, 0.2),
        ("strongest", 1, 0.5, 0.4),
        ("strongest", 2, 0.3, 0.2),
        ("beside logits", 1, 0.9, 0.72),
        ("beside logits", 2, 0.8, 0.64),
        ("beside logits", 3, 0.1, 0.0),
    ]
    return pd.DataFrame(rows, columns=["taken", "directions", "variance_left", "area"]).assign(**base)


@pytest.fixture
def simple():
    """One layer: partners where the null has one lump of eight."""
    base = {"layer": "a", "position": 0, "kind": "conv", "seed_a": 0, "seed_b": 1, "share": 0.5}
    sizes = [
        base | {"order": k, "side": side, "neuron": n, "size": 2 + 2 * (n == 3 and side == "x") * k}
        for k in (0, 1)
        for side in "xy"
        for n in range(4)
    ]
    null = [base | {"draw": 0, "side": side, "neuron": n, "size": 8} for side in "xy" for n in range(4)]
    return {"sizes": pd.DataFrame(sizes), "null": pd.DataFrame(null), "levels": pd.DataFrame([base | {"matched": 8}])}


def test_conditions_by_layer_in_their_order(causes):
    table = cause_findings.by_condition(causes["similarity"], 0.3)
    assert table.index.tolist() == ["as it is", "class means", "untrained"]
    assert table.columns.tolist() == ["relu1_1", "relu_fc2"]
    assert table.to_numpy().tolist() == [[1, 1], [0, 0], [0, 0]]
    assert len(cause_findings.plot_conditions(table, "similarity").axes[0].texts) == 6
    meanings = cause_findings.comparisons_table(pd.DataFrame({"condition": ["untrained", "centred"]}))
    assert meanings["comparison"].tolist() == ["mean map", "untrained"]
    assert [cause_findings.in_hundredths(value) for value in (0, 0.004, 1, np.nan)] == ["·", "0", "100", "–"]
    with pytest.raises(BadInput, match=r"unknown ε of the record '0.4'.*0.3, 0.5"):
        cause_findings.by_condition(causes["similarity"], 0.4)


def test_the_area_is_that_under_the_curve(causes):
    table = cause_findings.by_area(causes["critical"])
    grid = np.linspace(0, 1, 2001)[:-1]
    for (condition, layer), rows in causes["critical"].groupby(["condition", "layer"], observed=True):
        curve = [(rows["critical_epsilon"] <= epsilon).mean() for epsilon in grid]
        assert table.at[condition, layer] == pytest.approx(np.mean(curve), abs=1e-3)


def test_phrases_are_shares_of_what_is_there(causes):
    def renamed(condition: str, name: str) -> dict[str, pd.DataFrame]:
        return {key: t[t["condition"] == condition].assign(condition=name) for key, t in causes.items()}

    parts = [causes, renamed("untrained", "any image"), renamed("as it is", "centred")]
    tables = {name: pd.concat([part[name] for part in parts]) for name in causes}
    tables["summary"] = pd.DataFrame({"kind": ["fc"], "condition": ["class means"], "power_left": [0.25]})
    tables["directions"] = pd.DataFrame(
        columns=["layer", "kind", "depth", "position", "seed_a", "seed_b", "taken", "area"]
    )
    words = cause_findings.causes_in_words(tables, 0.5)
    assert (words["whole"], words["class_means"], words["untrained"]) == ("100 %", "100 %", "0 %")
    assert (words["whole_area"], words["base_area"], words["floor_area"]) == ("0.75", "0.75", "0.00")
    assert words["class_means_area"] == f"{100 * 0.55 / 0.75:.0f} %"
    assert words["third_logits"] == words["third_logits_area"] == "not measured"
    assert words["distance"] == "0.50"
    assert words["strongest_left"] == words["beside_left"] == words["all_left"] == "not measured"
    assert cause_findings.causes_in_words(tables, 0.3)["class_means"] == "0 %"


def test_directions_are_compared_where_as_much_variance_is_left(directions):
    rows = at_equal_variance(directions)
    assert rows[["layer", "kind", "depth", "position"]].iloc[0].tolist() == ["pool", "pool", 0.9, 1]
    assert rows[["logits", "strongest", "beside", "all"]].iloc[0].tolist() == pytest.approx([0.25, 0.375, 0.8, 0.25])
    worse = pd.concat([directions, directions.assign(seed_b=2, area=directions["area"] / 2)])  # the same shares
    both = at_equal_variance(worse)
    assert both["base"].tolist() == pytest.approx([0.8, 0.4])
    pd.testing.assert_frame_equal(both.drop(columns="base").drop_duplicates(), rows.drop(columns="base"))
    bare = directions[directions["taken"].isin(["centred", "third logits"])]  # a third network whose layer is dead
    assert at_equal_variance(bare)[["strongest", "beside", "all"]].iloc[0].tolist() == [1, 1, 1]
    table = cause_findings.directions_near_output(worse)
    assert table.loc[table["taken"] == "third logits", "left"].tolist() == pytest.approx([0.25])
    figure = cause_findings.plot_directions(table)
    points = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert points["third logits"] == [pytest.approx([0.4, 0.25])]
    assert points["strongest"] == [[1, 1], pytest.approx([0.5, 0.5]), pytest.approx([0.3, 0.25])]
    plt.close("all")


def test_areas_without_features_are_held_against_the_centred_ones(causes, directions):
    near = {"layer": "pool", "position": 0, "kind": "pool", "neuron": 0}
    areas = {"as it is": 0.8, "centred": 0.6, "class means": 0.3, "any image": 0.2, "same class": 0.5, "untrained": 0.2}
    critical = pd.DataFrame([near | {"condition": c, "critical_epsilon": 1 - area} for c, area in areas.items()])
    similarity = causes["similarity"].assign(kind="pool")
    left = {"class means": 0.25, "centred": 0.8, "own logits": 0.2}
    summary = pd.DataFrame({"kind": "pool", "condition": list(left), "power_left": list(left.values())})
    tables = {"critical": critical, "similarity": similarity, "summary": summary, "directions": directions}
    words = cause_findings.causes_in_words(tables, 0.5)
    assert words["own_explained"] == "75 %"
    assert [words[f"{name}_left"] for name in ("strongest", "beside", "all")] == ["38 %", "80 %", "25 %"]
    row = cause_findings.causes_summary({"one": tables}).iloc[0].tolist()
    assert row == ["one", "0.80", "0.60", "50 %", "not measured", "38 %", "25 %"]
    shares = [words[f"{name}_area"] for name in ("centred", "class_means", "same_class", "untrained")]
    assert shares == ["75 %", "50 %", "50 %", "0 %"]


def test_the_shares_of_single_pairs_are_those_of_their_rows(causes, directions):
    rows = [
        {"condition": condition, "seed_a": 0, "seed_b": b, "critical_epsilon": 1 - area}
        for b, areas in ((1, (0.8, 0.3)), (2, (0.6, 0.45)))
        for condition, area in (("as it is", 0.9), ("any image", 0), ("centred", areas[0]), ("class means", areas[1]))
    ]
    critical = pd.DataFrame(rows).assign(layer="pool", position=0, kind="pool", neuron=0)
    similarity = critical.assign(epsilon=0.5, similarity=1.0)
    summary = critical[["condition", "kind", "seed_a", "seed_b"]].assign(power_left=0.5)
    tables = {"critical": critical, "similarity": similarity, "summary": summary, "directions": directions}
    told = cause_findings.shares_by_pair(tables, 0.5, ["class_means_area"])
    assert told == {"class_means_area": "38 % and 75 %"}


def test_twin_curves_fall_as_the_company_grows():
    z = np.maximum(np.random.default_rng(0).normal(size=(9, 400)), 0)
    table = cause_findings.twin_curve(Gram(z.sum(1), 400, (3, 3, 3), z @ z.T), [0.5], steps=5)
    for _, rows in table.groupby("measure"):
        assert rows["value"].iloc[0] > 0.4
        assert rows["value"].iloc[-1] < 0.2
    figure = cause_findings.plot_twins(table)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["linear CKA", "s(ε), ε = 0.5"]


def test_sizes_beside_the_null(simple):
    sizes = size_findings.relative_sizes(simple)
    row = size_findings.size_summary(sizes).iloc[0]
    assert (row["median_observed"], row["median_null"]) == (2, 8)
    assert (row["two_observed"], row["two_null"]) == (15 / 16, 0)
    assert (row["relative_observed"], row["relative_null"]) == (0.25, 1)
    spread = size_findings.order_spread(simple["sizes"])
    assert spread["max"].tolist() == [2] * 7 + [4]
    words = size_findings.sizes_in_words(size_findings.size_summary(sizes), ["a"] * 4)
    assert (words["input_two_observed"], words["output_median_null"]) == ("94 %", "8")
    words = size_findings.sizes_in_words(size_findings.size_summary(sizes), ["a", "b", "b", "a"])
    assert (words["input_median_null"], words["middle_median_null"]) == ("8", "–")
    places = size_findings.sizes_in_words(size_findings.size_summary(sizes), ["near", "halfway", "last", "out"])
    assert [places[place] for place in ("input", "middle", "hidden", "output")] == ["near", "halfway", "last", "out"]


def test_the_map_keeps_groups_together():
    groups = [(0, 3), (1, 2)]
    rows = [{"v": v, "u": u, "frequency": 1.0, "essential": u != v} for group in groups for v in group for u in group]
    share, essential, order = size_findings.map_matrix(pd.DataFrame(rows))
    assert order in ([0, 3, 1, 2], [1, 2, 0, 3])
    np.testing.assert_array_equal(share, np.kron(np.eye(2), np.ones((2, 2))))
    np.testing.assert_array_equal(essential, np.kron(np.eye(2), 1 - np.eye(2)))
    figure = size_findings.plot_together({"a": (pd.DataFrame(rows), 2)})
    assert {text.get_text() for text in figure.axes[0].get_yticklabels()} == {"x0", "x1", "y0", "y1"}
    plt.close("all")
