"""Does similarity come from the images or from the target? Networks trained for other targets on the same images.

Networks that are trained for the labels are compared with each other ("labels"), with networks of other seeds that are
trained for another target ("rotation", "vehicles", "shuffled"), and with untrained ones. The similarity that remains
between networks with different targets does not come from a common target.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from ..networks import training
from ..networks.datasets import load_dataset
from ..networks.targets import TARGETS, VEHICLES, retarget
from . import store
from .pairwise import CEILING, Member, MemberPair, calibrated_pairs, compare_members
from .store import Computed, Kind
from .study import Study, test_images

BY_HEART = {"quarter": "memorise"}  # the recipe that learns shuffled labels in as many steps
LEARNT = 0.15  # a target is learnt if accuracy is this far above the share of its largest class


def other_targets(dataset: str) -> tuple[str, ...]:
    """The targets, other than its labels, that networks can be trained for on a dataset."""
    has_vehicles = set(VEHICLES) <= set(load_dataset(dataset).classes)
    return tuple(target for target in TARGETS[1:] if target != "vehicles" or has_vehicles)


def cast_targets(
    study: Study, others: Sequence[int], aims: Sequence[str] | None = None
) -> tuple[dict[str, Member], list[MemberPair]]:
    """The study's networks, trained for the labels, and one network of each seed in `others` for each other target.

    `aims` are the other targets; None takes all that the dataset has. Networks for shuffled labels are trained with a
    recipe of their own that learns them by heart, if there is one with as many steps.
    """
    last = study.runs[0].recipe.epochs

    def run(seed: int, target: str) -> Member:
        recipe = BY_HEART.get(study.recipe, study.recipe) if target == "shuffled" else study.recipe
        epochs = study.epochs if recipe == study.recipe else None
        return Member(training.plan(study.network, study.dataset, study.width, seed, recipe, epochs, target=target))

    seeds = [f"seed {seed}" for seed in study.seeds]
    groups = {
        t: [f"{t}, seed {seed}" for seed in others] for t in (other_targets(study.dataset) if aims is None else aims)
    }
    members = dict(zip(seeds, map(Member, study.runs), strict=True))
    members |= {f"{t}, seed {seed}": run(seed, t) for t in groups for seed in others}
    members |= {f"seed {r.seed}, untrained": Member(r, 0) for r in study.runs}
    members |= {f"seed {r.seed}, epoch {last - 1}": Member(r, last - 1) for r in study.runs}
    comparisons = [MemberPair("labels", a, b) for a, b in combinations(seeds, 2)]
    comparisons += [MemberPair(t, a, b) for t, names in groups.items() for a, b in product(seeds, names)]
    comparisons += [MemberPair(f"{t} alone", a, b) for t, names in groups.items() for a, b in combinations(names, 2)]
    comparisons += [MemberPair("untrained", a, f"{b}, untrained") for a, b in product(seeds, seeds) if a != b]
    comparisons += [MemberPair(CEILING, name, f"{name}, epoch {last - 1}") for name in seeds]
    return members, comparisons


def compute(
    study: Study,
    others: Sequence[int] = (3,),
    aims: Sequence[str] | None = None,
    permutations: int = 3,
    progress: bool = True,
) -> Computed:
    """Train what is not trained, and compare. The tables are those of `compare_members`."""
    data = test_images(study)
    members, comparisons = cast_targets(study, others, aims)
    tables, sidecars, networks = compare_members(members, comparisons, data, study.layers, permutations, progress)
    tables["networks"] = with_largest_class(tables["networks"], study.dataset)
    return Computed(tables, store.origin_of(data, sidecars, networks))


def with_largest_class(networks: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The table of networks with the column `largest_class`: the accuracy that guessing gets on each one's target.

    It is the share of images in the target's largest class. It is recorded, so that a page can read it without the
    images.
    """
    shares = {}
    for target in networks["target"].unique():
        labels = retarget(load_dataset(dataset), str(target)).labels
        shares[target] = float(np.bincount(labels).max() / len(labels))
    return networks.assign(largest_class=networks["target"].map(shares))


def learnt(networks: pd.DataFrame) -> pd.DataFrame:
    """One row per target: mean accuracy, the share of its largest class, and whether the target was learnt.

    The accuracy is on the target's own task (see `helpers.networks.targets.accuracy_set`).
    """
    trained = networks[networks["epoch"] > 0].groupby("target", sort=False)
    table = trained[["accuracy", "largest_class"]].mean().reset_index()
    return table.assign(learnt=table["accuracy"] >= table["largest_class"] + LEARNT)


def shares_kept(pairs: pd.DataFrame, groups: Mapping[str, Sequence[str]], value: str = "area") -> pd.DataFrame:
    """How much of the calibrated similarity of networks trained for the labels each other condition keeps, by group.

    `groups` names the layers of each group. The columns are:

    - condition, group;
    - calibrated: the mean over the group's layers and the condition's pairs;
    - share_kept: this mean, divided by that of the condition "labels". It is NaN if that condition is at chance.
    """
    scaled = calibrated_pairs(pairs, value)
    group_of = {layer: group for group, layers in groups.items() for layer in layers}
    scaled = scaled.assign(group=scaled["layer"].map(group_of)).dropna(subset=["group"])
    means = scaled.groupby(["condition", "group"], sort=False, as_index=False)["calibrated"].mean()
    labels = means[means["condition"] == "labels"].set_index("group")["calibrated"]
    base = means["group"].map(labels.where(labels > 0))
    return means.assign(share_kept=means["calibrated"] / base)


def deciding_shares(tables: Mapping[str, pd.DataFrame], groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What decides claim C2b: `shares_kept` of those other targets that were learnt. One row per target and group."""
    known = learnt(tables["networks"])
    voting = [target for target in known.loc[known["learnt"], "target"] if target != "labels"]
    shares = shares_kept(tables["pairs"], groups)
    return shares[shares["condition"].isin(voting)].reset_index(drop=True)


KIND = Kind(
    "targets",
    "networks trained for other targets on the same images",
    compute,
    defaults={"others": (3,), "aims": None, "permutations": 3},
)
