"""What verdicts rest on less firmly is computed: planted records give each sentence."""

import numpy as np
import pandas as pd
import pytest

from helpers.pages import caveats
from helpers.pages.claims import read_evidence
from helpers.pages.evidence import Gathered, with_orders
from helpers.pages.verdicts import Verdict, tally

PLAN = read_evidence()
EPSILON = PLAN.epsilon


def neurons(levels, seed_b=1, dead=0, **place):
    """Critical ε of layers with 20 neurons: this many match at 0.1, and the last ones are dead."""
    tables = []
    for position, (layer, matched) in enumerate(levels.items()):
        values = np.where(np.arange(20) < matched, 0.1, np.inf)
        rows = pd.DataFrame({"critical_epsilon": values, "dead": np.arange(20) >= 20 - dead, "power": 0.05})
        rows["side"] = ["x", "y"] * 10
        tables.append(rows.assign(layer=layer, position=position, kind="conv", depth=0.0, **place))
    return pd.concat(tables, ignore_index=True).assign(seed_a=0, seed_b=seed_b)


def draws(similarities):
    """Two draws of the paper's sampling for each pair, at one ε."""
    rows = [("relu3_1", 0, b, EPSILON, s + off) for b, s in similarities.items() for off in (-0.01, 0.01)]
    return pd.DataFrame(rows, columns=["layer", "seed_a", "seed_b", "epsilon", "similarity"])


def test_errors_of_single_pairs_do_not_cancel():
    critical = pd.concat([neurons({"relu3_1": 10}, seed_b=b) for b in (1, 2)])
    measured = Gathered(critical={"vgg16_bn": critical}, sampled={"vgg16_bn": draws({1: 0.7, 2: 0.3})})
    errors = caveats.pair_errors(PLAN, measured)
    assert errors == {"vgg16_bn": pytest.approx(0.2)}
    assert caveats.by_network(PLAN, errors) == "0.20 (VGG-16-BN)"
    assert caveats.by_network(PLAN, {}) == "not recorded"


def test_layers_that_hardly_match_themselves_are_named_with_what_they_do_to_verdicts():
    critical = {"vgg16_bn": neurons({"relu3_1": 0, "relu3_2": 0})}
    own = {"vgg16_bn": neurons({"relu3_1": 20, "relu3_2": 1})}
    told = caveats.unlike_themselves(PLAN, Gathered(critical=critical, control=own))
    assert "(less than 0.1): relu3_2 of VGG-16-BN. Without these layers all verdicts stay as they are." in told
    alike = {"vgg16_bn": neurons({"relu3_1": 20, "relu3_2": 20})}
    assert caveats.unlike_themselves(PLAN, Gathered(critical=critical, control=alike)) == ""
    assert caveats.unlike_themselves(PLAN, Gathered(critical=critical)) == ""


def test_a_verdict_that_such_a_layer_decides_is_named():
    numbers = {"accuracy": {n: pd.Series([0.94]) for n in PLAN.studies}}
    layers = {"vgg16_bn": {"relu3_1": 20, "relu3_2": 0}, "resnet18": {"stage2.block1.relu1": 0}}
    critical = {network: neurons(levels) for network, levels in layers.items()}
    control = {"vgg16_bn": neurons({"relu3_1": 0, "relu3_2": 20})}
    told = caveats.unlike_themselves(PLAN, Gathered(critical=critical, control=control, **numbers))
    assert told.endswith("Without these layers the verdicts of C5 change.")


def small(**shares):
    """Rows that decide C4: a layer, its group, and the share of neurons with a partner."""
    rows = [(layer, group, 0.2, of_two, 0, 1, 3) for layer, (group, of_two) in shares.items()]
    return pd.DataFrame(rows, columns=["layer", "group", "epsilon", "of_two", "seed_a", "seed_b", "orders"])


def test_rows_in_which_all_alive_neurons_match_are_set_aside():
    table = small(relu1_1=("first", 0.9), relu1_2=("early", 0.4), relu_fc1=("fc", 0.3), logits=("logits", 1.0))
    critical = neurons({"relu1_1": 15, "relu1_2": 12, "relu_fc1": 7, "logits": 20}, dead=5)
    measured = Gathered(critical={"vgg16_bn": critical}, small={"vgg16_bn": table})
    told = caveats.largest_partners(PLAN, measured)
    assert told.startswith("In 1 of these rows at least 95 % of the alive neurons match.")
    assert told.endswith("at most 40 % near the input and 30 % in the fully connected layers have a single partner.")
    measured.small["vgg16_bn"] = table[table["layer"] != "relu1_1"]
    assert caveats.largest_partners(PLAN, measured) == ""


def test_what_small_matches_rest_on():
    two = pd.concat([small(pool=("pool", 0.0)), small(pool=("pool", 0.0)).assign(seed_b=2, orders=0)])
    every = small(**{group: (group, 0.0) for group in PLAN.groups["resnet18"]})
    told = caveats.small_rest_on(PLAN, Gathered(small={"vgg16_bn": two, "resnet18": every}))
    assert told.startswith("C4 rests on 2 pairs of networks for each architecture.")
    assert "It says nothing about the first layer" in told
    assert "of VGG-16-BN" in told
    assert "ResNet-18" not in told
    whole = caveats.small_rest_on(PLAN, Gathered(small={"resnet18": every}))
    assert whole == "C4 rests on 1 pair of networks for each architecture."
    assert caveats.fewest_orders(Gathered(small={"vgg16_bn": two}), ["pool"]) == 3
    assert caveats.fewest_orders(Gathered(small={"vgg16_bn": two}), ["late"]) == 0


def test_orders_are_counted_and_zero_where_none_was_tried():
    levels = small(relu1_1=("first", 0.1), pool=("pool", 0.0)).drop(columns="orders")
    keys = {"layer": "relu1_1", "seed_a": 0, "seed_b": 1, "epsilon": 0.2}
    sizes = pd.DataFrame([keys | {"orders": 30}, keys | {"orders": 5}])
    assert with_orders(levels, sizes)["orders"].tolist() == [5, 0]


def test_the_tally_counts_each_verdict():
    words = ["holds", "fails", "holds for the logits of VGG-16-BN only", "holds", "open: x is not recorded"]
    verdicts = {str(k): Verdict(PLAN.claims[0], word, "", ()) for k, word in enumerate(words)}
    assert tally(verdicts) == "2 hold, 1 holds for some networks or layers only, 1 fails, 1 is open"
    assert tally({}).startswith("none holds, none holds for some")
