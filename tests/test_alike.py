"""What makes two networks alike, as pages show it: order of conditions, groups, the verdict on other targets, words."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from helpers.pages import alike
from helpers.pages.claims import read_evidence

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu5_1", "pool", "relu_fc1", "logits"]
GROUPS = alike.layer_groups(read_evidence(), "vgg16_bn", LAYERS)


def planted(calibrated, conditions=("labels", "rotation")):
    """Pairs with these calibrated similarities by layer: chance 0.2, ceiling 1."""
    rows = [("ceiling", "a", "a", place, layer, 1.0) for place, layer in enumerate(LAYERS)]
    for condition in conditions:
        values = calibrated[condition]
        rows += [(condition, "a", "b", place, layer, 0.2 + 0.8 * values[layer]) for place, layer in enumerate(LAYERS)]
    frame = pd.DataFrame(rows, columns=["condition", "a", "b", "position", "layer", "area"])
    return frame.assign(chance_area=0.2, similarity=frame["area"])


def measured(shares):
    """Tables of a study in which rotation keeps these shares; the labels reach a half of the scale everywhere."""
    half = dict.fromkeys(LAYERS, 0.5)
    kept = {layer: 0.5 * share for group, share in shares.items() for layer in GROUPS[group]}
    pairs = planted({"labels": half, "rotation": half | kept})
    networks = pd.DataFrame({"target": ["labels", "rotation"], "epoch": 8, "accuracy": [0.9, 0.8]})
    networks["largest_class"] = [0.1, 0.25]
    return {"pairs": pairs, "networks": networks}


def test_groups_are_those_of_the_evidence_or_of_the_family():
    assert list(GROUPS) == list(alike.GROUPS)
    assert alike.layer_groups(read_evidence(), "vgg11_bn", ["relu4_2", "pool"]) == {
        "middle": ["relu4_2"],
        "pool": ["pool"],
    }
    assert alike.layer_groups(read_evidence(), "resnet18", ["stem.relu"]) == {"first": ["stem.relu"]}
    assert alike.layer_groups(read_evidence(), "plain20", ["stage3.block1.relu2"]) == {"late": ["stage3.block1.relu2"]}


def test_conditions_go_from_nothing_shared_to_the_ceiling():
    pairs = pd.DataFrame({"condition": ["past 10", "ceiling", "past 2", "nothing"]})
    names = list(alike.shared_names(pairs))
    assert names == ["untrained", "nothing", "order", "initialisation", "past 2", "past 10", "ceiling"]
    assert alike.shared_names(pairs)["past 10"] == "fork after epoch 10"


def test_means_are_calibrated_and_in_the_order_of_the_names():
    pairs = planted({"labels": dict.fromkeys(LAYERS, 0.5), "rotation": dict.fromkeys(LAYERS, 0.25)})
    pairs = pd.concat([pairs, pairs[pairs["condition"] == "rotation"].assign(area=0.2)])
    means = alike.condition_means(pairs, alike.AGAINST)
    assert means["condition"].unique().tolist() == ["labels (the same target)", "rotation"]
    assert means["layer"].tolist() == 2 * LAYERS
    rotation = means[means["condition"] == "rotation"]
    assert rotation["calibrated"].to_numpy() == pytest.approx(0.125)
    assert rotation["low"].to_numpy() == pytest.approx(0)
    assert rotation["high"].to_numpy() == pytest.approx(0.25)
    table = alike.in_layer_groups(means, GROUPS, "calibrated")
    assert table.loc[0, "pool"] == pytest.approx(0.5)
    assert table.loc[1, "all layers"] == pytest.approx(0.125)


@pytest.mark.parametrize(
    ("shares", "word"),
    [
        ({"early": 0.7, "late": 0.3, "pool": 0.3}, "holds"),
        ({"early": 0.7, "late": 0.4, "pool": 0.3}, "holds for the pooled features and the early layers of"),
        ({"early": 0.6, "late": 0.4, "pool": 0.4}, "fails"),
    ],
)
def test_the_verdict_on_other_targets_follows_from_the_shares(shares, word):
    verdict = alike.target_verdict(measured(shares), GROUPS)
    assert verdict.word.startswith(word)
    table = alike.target_table(measured(shares), GROUPS)
    assert table.loc[0, ["early", "late", "pool"]].to_dict() == pytest.approx(shares)
    assert table.loc[0, "keeps_all_bounds"] == (word == "holds")
    assert alike.kept_in_words(table, "pool") == f"rotation {100 * shares['pool']:.0f} %"


def test_a_target_that_was_not_learnt_leaves_the_claim_open():
    tables = measured({"early": 0.7, "late": 0.3, "pool": 0.3})
    tables["networks"].loc[1, "accuracy"] = 0.3
    assert alike.target_verdict(tables, GROUPS).word.startswith("open")
    assert not alike.target_table(tables, GROUPS).loc[0, "learnt"]


def test_what_the_start_and_the_order_add():
    reached = {"nothing": 0.3, "order": 0.25, "initialisation": 0.4, "past 1": 0.9}
    pairs = planted({name: dict.fromkeys(LAYERS, value) for name, value in reached.items()}, tuple(reached))
    words = alike.forks_in_words(pairs)
    assert words["start_adds"] == pytest.approx(0.1)
    assert words["order_adds"] == pytest.approx(-0.05)
    assert words["past_1"] == pytest.approx(0.9)
    plan = read_evidence()
    assert alike.expectation_kept(plan, "forks", "same_initialisation_adds", words["start_adds"]) == "missed"
    assert alike.expectation_kept(plan, "forks", "fork_after_epoch_5", words["past_1"]) == "kept"


def test_a_common_start_is_set_beside_the_spread_of_pairs_that_share_nothing():
    reached = {"nothing": 0.3, "initialisation": 0.32}
    pairs = planted({name: dict.fromkeys(LAYERS, value) for name, value in reached.items()}, tuple(reached))
    assert alike.start_beside_spread(pairs).startswith("Only one pair shares nothing")
    assert alike.pairs_in_words(pairs) == "each condition: 1"
    bare = pairs[pairs["condition"] != "initialisation"]
    assert alike.start_beside_spread(bare) == "No pair has a common start only"
    second = planted({"nothing": dict.fromkeys(LAYERS, 0.4)}, ("nothing",)).assign(b="c")
    pairs = pd.concat([pairs, second[second["condition"] != "ceiling"]])
    told = alike.start_beside_spread(pairs)
    assert told == "This is less than the spread of the 2 pairs that share nothing (0.30 to 0.40)"
    assert alike.pairs_in_words(pairs) == "two starts, two orders: 2; each other condition: 1"
    pairs.loc[pairs["condition"] == "initialisation", "area"] = 0.9
    assert alike.start_beside_spread(pairs).startswith("This is more than")


def test_area_and_median_may_order_the_conditions_in_two_ways():
    reached = {"nothing": 0.3, "initialisation": 0.4}
    pairs = planted({name: dict.fromkeys(LAYERS, value) for name, value in reached.items()}, tuple(reached))
    pairs = pairs.assign(median=pairs["area"], chance_median=0.2)
    assert "have the same order" in alike.order_by_median(pairs)
    pairs.loc[pairs["condition"] == "nothing", "median"] = 0.2 + 0.8 * 0.9
    told = alike.order_by_median(pairs)
    assert "have another order" in told
    assert told.endswith("“two starts, two orders”: from 0.30 to 0.90")


def test_bounds_are_said_of_each_learnt_target():
    table = pd.DataFrame({"target": ["rotation", "vehicles", "shuffled"], "accuracy": [0.6, 0.9, 0.1]})
    table = table.assign(learnt=[True, True, False], keeps_all_bounds=[True, False, True])
    told = alike.bounds_in_words(table)
    assert told == (
        "1 of 2 learnt targets keep all bounds by themselves: rotation (accuracy 60 %). "
        "Not all bounds are kept by vehicles (accuracy 90 %)"
    )
    assert alike.bounds_in_words(table[table["learnt"] & ~table["keeps_all_bounds"]]).startswith("0 of 1")
    assert alike.bounds_in_words(table[2:]) == "0 of 0 learnt targets keep all bounds by themselves"


def test_two_networks_for_one_other_target_may_be_unlike():
    reached = {"labels": 0.5, "rotation alone": 0.5, "shuffled alone": 0.02}
    pairs = planted({name: dict.fromkeys(LAYERS, value) for name, value in reached.items()}, tuple(reached))
    table = alike.alone_table(pairs, GROUPS)
    assert table["target"].tolist() == ["rotation", "shuffled"]
    assert table["late"].to_list() == pytest.approx([1, 0.04])
    told = alike.alone_in_words(table)
    assert "rotation 100 %, shuffled 4 %. So a common target is not enough: see shuffled." in told
    assert "not enough" not in alike.alone_in_words(table[:1])
    none = alike.alone_table(pairs[~pairs["condition"].str.endswith("alone")], GROUPS)
    assert alike.alone_in_words(none) == ""


def test_recipes_say_where_a_target_was_trained_in_another_way():
    rows = [
        ("labels", "quarter", 10),
        ("rotation", "quarter", 10),
        ("shuffled", "memorise", 50),
        ("labels", "quarter", 0),
    ]
    told = alike.recipes_in_words(pd.DataFrame(rows, columns=["target", "recipe", "epoch"]))
    assert told == (
        "For labels and rotation: 12 500 images, 10 epochs, shifts and flips. "
        "For shuffled: 2 500 images, 50 epochs, no shifts and no flips"
    )


def test_development_is_averaged_over_layers_of_a_group():
    pairs = planted({"between": dict.fromkeys(LAYERS, 0.5)}, ("between",))
    pairs["how"], pairs["epoch"] = pairs["condition"], 3.0
    means = alike.development_means(pairs, GROUPS)
    assert set(means["how"]) == {"between"}
    assert means.set_index("group")["calibrated"].to_dict() == pytest.approx(dict.fromkeys(GROUPS, 0.5))


def test_words_on_development_take_the_middle_of_the_training():
    reached = {"between, 5": 0.4, "between, 10": 0.5, "within, 1": 0.1, "within, 5": 0.6, "within, 9": 0.9}
    pairs = planted({name: dict.fromkeys(LAYERS, value) for name, value in reached.items()}, tuple(reached))
    pairs[["how", "epoch"]] = pairs["condition"].str.split(", ", expand=True)
    pairs["epoch"] = pairs["epoch"].astype(float)
    words = alike.development_in_words(pairs)
    assert words == {"early_epoch": "5", "between_early": "0.40", "between_end": "0.50", "within_early": "0.60"}


def test_figures_show_both_ends_of_the_scale_and_every_condition():
    pairs = planted({"labels": dict.fromkeys(LAYERS, 0.5), "rotation": dict.fromkeys(LAYERS, 1.4)})
    means = alike.condition_means(pairs, alike.AGAINST)
    for ordered in (True, False):
        ax = alike.plot_conditions_by_layer(means, ordered).axes[0]
        low, high = ax.get_ylim()
        assert low < 0
        assert high > 1.4
        assert [text.get_text() for text in ax.get_legend().get_texts()] == means["condition"].unique().tolist()
    rows = [(how, epoch, "pool", 0.5) for how in ("between", "within") for epoch in (0, 5)]
    course = pd.DataFrame(rows, columns=["how", "epoch", "group", "calibrated"])
    assert [len(ax.lines) for ax in alike.plot_development(course, ["pool"]).axes] == [3, 3]
    plt.close("all")


def test_words():
    assert alike.range_in_words(pd.Series([0.123, 0.336])) == "12–34 %"
    assert alike.range_in_words(pd.Series([0.5])) == "50 %"
    row = {"initialisation": 0, "order": 0, "target": "labels", "fork_after": 0, "recipe": "short"}
    networks = pd.DataFrame([row, row | {"order": 5}, row])
    assert len(alike.trainings({"networks": networks}, {"networks": networks[:1]})) == 2


def test_forks_are_said_in_the_order_of_their_epochs():
    words = {"past_5": 0.8, "past_1": 0.4, "nothing": 0.2, "past_2": 0.5}
    assert alike.forks_in_order(words) == "After 1, 2 and 5 common epochs they end at 0.40, 0.50 and 0.80"
    assert alike.forks_in_order({"past_1": 0.4}) == "After 1 common epoch they end at 0.40"
