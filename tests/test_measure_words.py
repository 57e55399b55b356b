"""What the pages on other measures and on finding a layer say: planted dips, values at one ε, pairs that disagree."""

import pandas as pd
import pytest

from helpers.pages import measure_words
from helpers.pages.claims import read_evidence
from helpers.pages.layer_tables import few_samples
from helpers.pages.scales import RIVALS


def means(middle: dict[str, float], otherwise: float = 0.9) -> pd.DataFrame:
    """First and late are 0.8; the middle is as given for some measures."""
    names = ["subspace", *RIVALS]
    values = [middle.get(name, otherwise) for name in names]
    return pd.DataFrame({"first": 0.8, "middle": values, "late": 0.8}, index=names)


def test_dips_are_counted_and_measured():
    some = means({"subspace": 0.5, RIVALS[0]: 0.79, RIVALS[1]: 0.6})
    both = {"vgg16_bn": some, "own": means({})}
    count = len(RIVALS)
    assert measure_words.dips_in_words(both) == f"2 of {count} (22 %) in VGG-16-BN and 0 of {count} (0 %) in own"
    assert measure_words.small_dips_in_words(both) == "Smaller than 0.02 are 1 of 2 in VGG-16-BN and 0 of 0 in own"
    assert measure_words.dip_depths(some)["subspace"] == pytest.approx(0.3)
    assert measure_words.depths_in_words({"own": some}) == "own 0.30 and -0.10"
    assert measure_words.enough_dips({"own": some}, 2 / count)
    assert not measure_words.enough_dips(both, 1 / count)


def test_the_answer_follows_from_the_rivals_where_the_match_dips():
    all_dip, none_dip = means({}, otherwise=0.5), means({"subspace": 0.5})
    assert measure_words.is_it_the_measure({"a": all_dip}).startswith("Not of this one alone")
    assert measure_words.is_it_the_measure({"a": none_dip}).startswith("Perhaps")
    assert measure_words.is_it_the_measure({"a": all_dip, "b": none_dip}).startswith("In part")
    assert measure_words.is_it_the_measure({"a": means({})}) == "Here the subspace match has no dip"


def test_values_at_one_epsilon_are_raw_and_those_of_the_middle():
    layers = [f"conv{i}" for i in range(7)]
    table = pd.DataFrame({"layer": layers, "position": range(7), "kind": "conv", "samples": "images"})
    table = table.assign(measure="subspace_at_0.3", observed=[0, 0, 0, 0.4, 0.6, 0, 0], untrained=1.0)
    both = pd.concat([table, table.assign(samples="positions", observed=0.1)])
    assert measure_words.fixed_in_words({"own": both}) == "0.50 in own (untrained: 1.00)"


def test_layers_with_few_samples_are_named():
    assert measure_words.widest_layer("vgg11_bn", 0.125) == 64
    assert few_samples("Layers", 640, 64) == ""
    assert few_samples("Layers", 320, 64).startswith("Layers have 5.0 samples per neuron, fewer than the 10")


def test_a_better_measure_that_is_no_rival_is_named():
    table = pd.DataFrame({"measure": ["cka_raw", "rsa", "subspace", "cka"], "accuracy": [0.95, 0.9, 0.4, 0.3]})
    assert measure_words.best_in_words({"own": table}) == (
        "in own RSA (90 %; linear CKA without centring, not counted as a rival, reaches 95 %)"
    )
    assert measure_words.best_in_words({"own": table[1:]}) == "in own RSA (90 %)"


def matrix(right: list[bool], a: int, b: int) -> pd.DataFrame:
    """Similarities of layers in which the marked layers are found, and all others are taken for a neighbour."""
    names = [f"l{i}" for i in range(len(right))]
    rows = []
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            distance = abs(i - j)
            value = (1.0 if right[i] and right[j] else 0.2) if distance == 0 else 0.5 if distance == 1 else 0.0
            rows.append(("subspace", one, other, value, a, b))
    return pd.DataFrame(rows, columns=["measure", "layer_a", "layer_b", "value", "seed_a", "seed_b"])


def test_a_verdict_is_open_where_pairs_disagree():
    plan = read_evidence()
    clear, half = matrix([True] * 6, 0, 1), matrix([True, True, True, False, False, False], 0, 2)
    assert measure_words.known_in_words({"own": clear}, plan) == "in own it knows layers"
    told = measure_words.known_in_words({"own": pd.concat([clear, half])}, plan)
    assert told.startswith("in own this is open: the mean of 75.0 % says that it knows layers, but 1 of 2 pairs do not")
    assert told.endswith("(pairs: 50.0 % and 100.0 %)")
    assert measure_words.layer_known(0.4, plan) == "does not know layers"
    assert measure_words.layer_known(0.41, plan) == "is in between"
