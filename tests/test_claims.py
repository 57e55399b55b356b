"""The file of claims and bounds: read as it is committed, and every fault in one line."""

import pytest
import yaml

from helpers.errors import BadInput
from helpers.networks.architectures import build, layers
from helpers.pages.claims import EVIDENCE, Bound, read_bound, read_evidence

RAW = yaml.safe_load(EVIDENCE.read_text())


def written(tmp_path, change):
    raw = yaml.safe_load(EVIDENCE.read_text())
    change(raw)
    path = tmp_path / "evidence.yml"
    path.write_text(yaml.safe_dump(raw, allow_unicode=True))
    return path


def test_the_bounds_are_those_that_were_fixed_before_looking():
    plan = read_evidence()
    assert plan.epsilon == 0.3
    assert plan.epsilons == (0.15, 0.2, 0.25, 0.3, 0.5)
    fixed = {
        ("C1", "middle"): "at most 0.10",
        ("C1", "late"): "at most 0.10",
        ("C2a", "pool"): "at least 0.80",
        ("C2a", "logits"): "at least 0.80",
        ("C2b", "pool"): "at most 0.33",
        ("C2b", "early"): "at least 0.67",
        ("C3", "first_less_middle"): "at least 0.20",
        ("C4", "of_two"): "at most 0.05",
        ("C4", "of_five"): "at most 0.10",
        ("C5", "accuracy"): "at least 0.93",
        ("C5", "middle"): "at most 0.10",
        ("C6", "share_of_layers"): "at least 0.80",
        ("P", "worst_difference"): "at most 0.05",
    }
    assert {key: str(plan.claim(key[0]).bound(key[1])) for key in fixed} == fixed


@pytest.mark.parametrize("network", list(RAW["studies"]))
def test_every_layer_is_in_exactly_one_group(network):
    plan = read_evidence()
    names = [layer.name for layer in layers(build(network, 0.125))]
    groups = [plan.group(network, name) for name in names]
    assert groups[0] == "first"
    assert groups[-1] == "logits"
    assert list(dict.fromkeys(groups)) == list(plan.groups[network])


@pytest.mark.parametrize(("side", "kept"), [("at_most", True), ("at_least", True), ("below", False), ("above", False)])
def test_a_bound_keeps_its_own_side_and_never_nan(side, kept):
    bound = Bound(side, 0.5)
    assert bound.keeps(0.5) is kept
    assert bound.keeps(0.4) is (side in ("at_most", "below"))
    assert bound.keeps(0.6) is (side in ("at_least", "above"))
    assert not bound.keeps(float("nan"))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda raw: raw.update(epsilon=2), "2"),
        (lambda raw: raw.update(epsilons=[0.1, float("nan")]), "nan"),
        (lambda raw: raw.update(colour="red"), "colour"),
        (lambda raw: raw.pop("groups"), "has no groups"),
        (lambda raw: raw["claims"].append(raw["claims"][0]), "C1 is there twice"),
        (lambda raw: raw["claims"].append("C9"), "claims.8 is 'C9'"),
        (lambda raw: raw["claims"][0].pop("bounds"), "has no claims.0.bounds"),
        (lambda raw: raw["claims"][0].update(bounds={}), "claims.0.bounds is {}"),
        (lambda raw: raw["claims"][0].update(bounds={"middle": {}}), "expected one side and one number"),
        (lambda raw: raw["claims"][0].update(bounds={"middle": {"at_mots": 0.1}}), "at_mots"),
        (lambda raw: raw["claims"][0].update(bounds={"middle": {"at_most": "few"}}), "expected a finite number"),
        (lambda raw: raw["claims"][0].update(bounds={"middle": {"at_most": float("inf")}}), "expected a finite number"),
        (lambda raw: raw["claims"][0].update(why="x"), "why"),
        (lambda raw: raw["claims"][0].update(text=3), "claims.0.text is 3: expected a valid string"),
        (lambda raw: raw["claims"][0].update(bounds={"between": [0.1, 0.9]}), "could not fail"),
        (lambda raw: raw["claims"][4]["bounds"].update(between=[0.9, 0.1]), "the lower one first"),
        (lambda raw: raw["claims"][4]["bounds"].update(between=[0.9]), "two shares"),
        (lambda raw: raw["claims"][4]["bounds"].update(between="few"), "two shares"),
        (lambda raw: raw["claims"][3].update(beside={"x": {"at_least": "half"}}), "C3 in evidence.yml, x is 'half'"),
        (lambda raw: raw["studies"]["resnet18"].pop("seeds"), "has no studies.resnet18.seeds"),
        (lambda raw: raw["studies"]["resnet18"].update(seeds=[0]), "studies.resnet18.seeds"),
        (lambda raw: raw["studies"]["resnet18"].update(epochs="40"), "studies.resnet18.epochs is '40'"),
        (lambda raw: raw["studies"]["resnet18"].update(width=0), "studies.resnet18.width is 0"),
        (lambda raw: raw["studies"].update(other=raw["studies"].pop("resnet18")), "groups of the networks"),
        (lambda raw: raw["groups"]["resnet18"].update(first="stem.relu"), "groups.resnet18.first is 'stem.relu'"),
        (lambda raw: raw["groups"]["resnet18"].update(first=[]), "groups.resnet18.first"),
        (lambda raw: raw.update(epsilon="0.3"), "epsilon is '0.3'"),
        (lambda raw: raw.update(epsilons=[]), "epsilons is"),
        (lambda raw: raw.update(claims=[]), "claims is"),
        (lambda raw: raw.update(expected=[]), "expected is"),
    ],
)
def test_a_fault_in_the_file_is_one_line(tmp_path, change, says):
    with pytest.raises(BadInput, match=says):
        read_evidence(written(tmp_path, change))


def test_an_empty_file_and_unknown_names_are_one_line(tmp_path):
    (tmp_path / "empty.yml").write_text("")
    with pytest.raises(BadInput, match="is empty"):
        read_evidence(tmp_path / "empty.yml")
    plan = read_evidence()
    for wrong, says in (
        (lambda: plan.claim("C7"), "C7"),
        (lambda: plan.study("vgg19"), "vgg19"),
        (lambda: plan.group("resnet18", "relu9"), "relu9"),
        (lambda: plan.claim("C1").bound("midle"), "midle"),
        (lambda: read_bound(True, "x"), "True"),
    ):
        with pytest.raises(BadInput, match=says):
            wrong()
