"""A network family that this file registers is trained, recorded, compared and shown, and no other file knows it."""

from collections import OrderedDict
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from helpers import __main__ as command
from helpers import studies
from helpers.errors import BadInput
from helpers.networks import architectures, weights
from helpers.networks.families import FAMILIES, Family
from helpers.networks.families.family import POOL_AND_LOGITS, LayerRule, scaled_channels
from helpers.networks.permutations import permutable
from helpers.networks.tails import tail
from helpers.pages import across_networks, alike, claims
from helpers.pages.chapters import explorer
from helpers.studies import two_networks
from helpers.studies.layer_choice import default_names

LAYERS = ["stem.relu", "separable1.relu", "separable2.relu", "separable3.relu", "pool", "logits"]
GROUPS = ["first", "early", "middle", "late", "pool", "logits"]
STUDY = {"dataset": "digits", "network": "mobile3", "width": 0.25, "seeds": (0, 1), "recipe": "digits", "epochs": 1}


class SmallMobile(nn.Module):
    """A stem and depthwise separable convolutions, each of which halves the image."""

    def __init__(self, count: int, width: float, classes: int, channels: int) -> None:
        super().__init__()
        wide = [scaled_channels(out, width) for out in (32, 64, 128, 256)[: count + 1]]
        self.stem = normed(conv=nn.Conv2d(channels, wide[0], 3, 2, padding=1, bias=False))
        for stage, (before, after) in enumerate(pairwise(wide), start=1):
            depthwise = nn.Conv2d(before, before, 3, 2, padding=1, groups=before, bias=False)
            pointwise = nn.Conv2d(before, after, 1, bias=False)
            self.add_module(f"separable{stage}", normed(depthwise=depthwise, pointwise=pointwise))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits = nn.Linear(wide[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        for part in self.children():
            images = part(images)
        return images


def normed(**convolutions: nn.Conv2d) -> nn.Sequential:
    last = list(convolutions.values())[-1]
    return nn.Sequential(OrderedDict(**convolutions, norm=nn.BatchNorm2d(last.out_channels), relu=nn.ReLU()))


MOBILE = Family(
    "mobile",
    titles={"mobile3": "Mobile-3"},
    network=SmallMobile,
    construct=lambda name, width, classes, channels: SmallMobile(int(name[-1]), width, classes, channels),
    layers=(LayerRule(r"(stem|separable\d)\.relu", "conv", (r"\1.norm",)), *POOL_AND_LOGITS),
    groups=dict(zip(GROUPS, [(layer,) for layer in LAYERS], strict=True)),
    in_order=lambda network: dict(network.named_children()),
)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(FAMILIES, MOBILE.name, MOBILE)


@pytest.fixture
def folders(tmp_path, monkeypatch, few_digits):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name.lower()))
    return tmp_path


def invoked(*words: str) -> str:
    done = CliRunner().invoke(command.cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_new_family_is_trained_recorded_and_compared(folders):
    words = [f"--{name}={value}" for name, value in (STUDY | {"seeds": "0,1"}).items()]
    checkpoints = invoked("train", *words).split()[-2:]
    invoked("record", *words)
    result = studies.find_record(studies.SEEDS, studies.Study(**STUDY))
    assert result is not None
    table = result.tables["critical"].drop_duplicates("layer").sort_values("position")
    assert table["layer"].tolist() == LAYERS
    assert table["kind"].tolist() == ["conv"] * 4 + ["pool", "logits"]
    a, b = (weights.open_network(path) for path in checkpoints)
    compared = two_networks.compare(a, b, [torch.randn(700, 1, 32, 32)], 700, progress=False)
    assert compared.tables["critical"]["layer"].unique().tolist() == default_names(a) == LAYERS, compared.left_out


def test_pages_have_its_title_and_its_groups(folders):
    study = studies.Study(**STUDY)
    assert explorer.study_in_words(study) == "Mobile-3, width 1/4, 1 epoch on digits"
    assert across_networks.study_title(study) == "Mobile-3, width 0.25 (digits, 1 epochs)"
    groups = alike.layer_groups(claims.read_evidence(), "mobile3", LAYERS)
    assert groups == {group: [layer] for group, layer in zip(GROUPS, LAYERS, strict=True)}
    with pytest.raises(BadInput, match="layer relu9 of mobile3 is in no group of its family"):
        claims.read_evidence().group("mobile3", "relu9")


def test_errors_name_it_and_what_it_does_not_declare_is_refused():
    assert "mobile3" in weights.architecture_names()
    with pytest.raises(BadInput, match="unknown network 'mobile4': did you mean 'mobile3'"):
        studies.Study(network="mobile4")
    network = architectures.build("mobile3", 0.25)
    assert tail(network, "separable2.relu").inputs == ("separable2.relu",)
    with pytest.raises(BadInput, match="the family mobile do not say which channels must be permuted together"):
        permutable(network)


# ---------------------------------------------------------------- what every family in the registry promises

NAMES = [next(iter(family.titles)) for family in FAMILIES.values()]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_every_family_is_in_one_group(name):
    layers = [layer.name for layer in architectures.layers(architectures.build(name, 0.125))]
    groups = alike.layer_groups(claims.read_evidence(), name, layers)
    assert [layer for members in groups.values() for layer in members] == layers
    assert list(groups) == [group for group in alike.GROUPS if group in architectures.family_named(name).groups]


@pytest.mark.parametrize("name", list(claims.read_evidence().studies))
def test_groups_of_the_two_networks_that_decide_are_those_fixed_before_looking(name):
    plan = claims.read_evidence()
    layers = [layer.name for layer in architectures.layers(architectures.build(name, 0.125))]
    of_the_family = replace(plan, groups={})
    assert [of_the_family.group(name, layer) for layer in layers] == [plan.group(name, layer) for layer in layers]


@pytest.mark.parametrize("name", NAMES)
def test_the_parts_of_every_family_follow_each_other(name):
    network, images = architectures.build(name, 0.125).eval(), torch.randn(2, 3, 32, 32)
    family = architectures.family_named(name)
    if family.in_order is not None:
        parts = nn.Sequential(*family.in_order(network).values())
        torch.testing.assert_close(parts(images), network(images))
