"""The explorer's data equal the recorded critical ε, at every ε of its slider; its HTML is whole and labelled."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import studies
from helpers.errors import BadInput
from helpers.pages.chapters import explorer
from helpers.studies import Study, similarity_table

VOID = {"img", "input", "meta", "br", "hr", "path"}
SLIDER = np.arange(1000) / 1000


@pytest.fixture(scope="module")
def results():
    return list(explorer.recorded_results())


@pytest.fixture(scope="module")
def data(results):
    return explorer.explorer_data(results)


@pytest.fixture(scope="module")
def fragment(data):
    network = data["networks"][0]
    return explorer.page(data, network["id"], network["layers"][0]["name"])


class Outline(HTMLParser):
    """Elements with their attributes, in order; complains of tags that do not nest."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_recorded_study_and_layer_is_there(results, data):
    assert [n["id"] for n in data["networks"]] == [place.name for place in studies.records_of("seeds")]
    for result, network in zip(results, data["networks"], strict=True):
        names = result.tables["critical"].sort_values("position")["layer"].unique()
        assert [layer["name"] for layer in network["layers"]] == list(names)
        assert network["pairs"]
    assert len({n["name"] for n in data["networks"]}) == len(data["networks"])


def test_similarity_is_the_records_at_every_step_of_the_slider(results, data):
    epsilons = SLIDER[::37]
    for result, network in zip(results, data["networks"], strict=True):
        pair = network["pairs"][-1]
        table = result.tables["critical"]
        table = table[(table["seed_a"] == pair["seeds"][0]) & (table["seed_b"] == pair["seeds"][1])]
        expected = similarity_table(table, epsilons).pivot(index="position", columns="epsilon", values="similarity")
        shown = [[(explorer.decoded(text) <= e).mean() for e in epsilons] for text in pair["critical"]]
        np.testing.assert_allclose(shown, expected.to_numpy(), atol=1e-12)


def test_each_neuron_of_the_first_layer_is_the_records_neuron(results, data):
    for result, network in zip(results, data["networks"], strict=True):
        pair, layer = network["pairs"][0], network["layers"][0]
        rows = result.tables["critical"].set_index(["layer", "seed_a", "seed_b", "side"]).sort_index()
        values = [rows.loc[(layer["name"], *pair["seeds"], side)].sort_values("neuron") for side in "xy"]
        assert len(values[0]) == layer["neurons"]
        text, critical = pair["critical"][0], np.concatenate([v["critical_epsilon"] for v in values])
        near = critical <= 0.9999
        np.testing.assert_allclose(explorer.decoded(text)[near], critical[near], atol=1.01e-4)
        assert np.isinf(explorer.decoded(text)[~near]).all()
        dead = np.concatenate([v["dead"] for v in values])
        assert [text[4 * i : 4 * i + 4] == explorer.DEAD for i in range(len(dead))] == dead.tolist()


@given(st.floats(0, 1), st.integers(0, 9999))
def test_rounding_up_keeps_every_comparison(critical, units):
    text = explorer.digits(np.array([critical]), [False])
    matched = critical - explorer.TIE <= units / explorer.UNIT
    if abs(critical - explorer.TIE - units / explorer.UNIT) > 1e-12:
        assert (explorer.decoded(text)[0] <= units / explorer.UNIT) == matched


@given(st.integers(0, 9999))
def test_a_value_of_four_digits_is_itself_and_a_tie_counts(units):
    for wobble in (-5e-13, 0, 5e-13, 5e-10):
        assert explorer.digits(np.array([units / explorer.UNIT + wobble]), [False]) == f"{units:04d}"


def test_never_and_dead_are_told_apart():
    assert explorer.digits(np.array([0.0, 0.25, np.inf, np.inf]), [False, False, False, True]) == "00002500----dead"


def test_data_stay_small_and_every_study_keeps_a_pair(results):
    small = explorer.explorer_data(results, largest=1)
    assert [len(n["pairs"]) for n in small["networks"]] == [1] * len(results)
    largest = len(json.dumps(small)) + 50_000
    some = explorer.explorer_data(results, largest)
    assert len(json.dumps(small)) < len(json.dumps(some)) <= largest


def test_page_is_whole_labelled_and_loads_nothing(fragment):
    assert len(fragment.encode()) < 1_000_000 + 100_000
    outline = Outline(fragment)
    labels = {a["for"] for a in outline.all("label")}
    for tag in ("select", "input"):
        assert {a["id"] for a in outline.all(tag)} <= labels
    assert all(a["alt"] for a in outline.all("img"))
    assert all(a.get("aria-label") or a["data-part"].startswith("neurons") for a in outline.all("svg"))
    assert any(a.get("aria-live") == "polite" for a in outline.all("p"))
    addresses = [a[key] for _, a in outline.tags for key in ("src", "href") if key in a]
    assert all(address.startswith("data:") for address in addresses)


def test_json_in_the_page_is_the_data(fragment, data):
    text = fragment.split('<script type="application/json">')[1].split("</script>")[0]
    assert json.loads(text) == data | {"start": {"network": 0, "layer": 0, "epsilon": 3000}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": "cifar10-vgg61"}, "unknown recorded study 'cifar10-vgg61': did you mean"),
        ({"layer": "relu_1"}, "unknown layer 'relu_1'"),
        ({"epsilon": 1.0}, "epsilon is 1.0: expected a number from 0 to 0.999"),
    ],
)
def test_a_start_that_is_not_there_is_refused(data, change, message):
    network = next(n for n in data["networks"] if "vgg" in n["id"])
    choice = {"network": network["id"], "layer": network["layers"][0]["name"], "epsilon": 0.3} | change
    with pytest.raises(BadInput, match=message):
        explorer.first_view(data, **choice)


def test_no_record_at_all_is_said():
    with pytest.raises(BadInput, match="no recorded study"):
        explorer.explorer_data([])


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (Study("cifar10", "resnet18", 0.25, (0, 1), "short", 10), "ResNet-18, width 1/4, 10 epochs on CIFAR-10"),
        (
            Study("cifar10", "vgg16", 1, (0, 1), "short", 10, epoch=0),
            "VGG-16, untrained (before 10 epochs) on CIFAR-10",
        ),
        (
            Study("digits", "vgg11_bn", 0.3, (0, 1), "digits", 2, epoch=1, images=50, before_relu=True),
            "VGG-11 with batch norm, width 0.3, before the ReLU, 1 epoch on digits, 50 images",
        ),
    ],
)
def test_titles(study, words):
    assert explorer.study_in_words(study) == words
