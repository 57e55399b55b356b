"""Tables and phrases of one study by layer: similarity at each ε, critical ε, facts about layers, sampling."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
from jaxtyping import Float

from .. import studies
from ..errors import unknown
from ..networks.families import FAMILIES
from ..studies.enough import ENOUGH
from ..studies.intervals import interval

GRID = np.round(np.arange(0, 1, 0.005), 3)  # the ε of a curve
PLACE = ["position", "layer", "kind", "depth"]
INNER = ["conv", "block"]  # the kinds of convolutional layers
KINDS = {"conv": "convolutional", "block": "block output", "pool": "pooled features", "fc": "fully connected"}


def spoken(network: str) -> str:
    """The title of a network for readers. The name of a network that is not this book's stays as it is.

    >>> spoken("vgg16_bn"), spoken("resnet18")
    ('VGG-16-BN', 'ResNet-18')
    """
    return next((family.titles[network] for family in FAMILIES.values() if network in family.titles), network)


def axis_names(layers: Iterable[object]) -> list[str]:
    """The names of layers as they stand at an axis. Names that fit stay as they are.

    >>> axis_names(["stem.relu", "stage2.block1.relu1", "stage2.block1.relu2", "relu3_1"])
    ['stem', '2.1 inner', '2.1 out', 'relu3_1']
    """
    return [_axis_name(str(layer)) for layer in layers]


def _axis_name(layer: str) -> str:
    if matched := re.fullmatch(r"stage(\d+)\.block(\d+)\.relu([12])", layer):
        return f"{matched[1]}.{matched[2]} {'out' if matched[3] == '2' else 'inner'}"
    return "stem" if layer == "stem.relu" else layer


def before_training(study: studies.Study) -> studies.Result | None:
    """The study of these networks before training; None if `study` is recorded and its untrained networks are not."""
    before = replace(study, epoch=0, sampled=False)
    if studies.find_record(studies.SEEDS, study) and not studies.find_record(studies.SEEDS, before):
        return None
    return studies.run(before)


def study_page(study: str) -> str:
    """The name of a study's page. It has only letters, digits and hyphens, so that it can be a link and a label."""
    return study.replace("_", "-").replace(".", "-")


def few_samples(layers: str, samples: int, neurons: int) -> str:
    """In words: that layers have fewer samples per neuron than `compare` asks for; "" if they have enough.

    >>> few_samples("Pooled features", 5000, 128)
    ''
    """
    if samples >= ENOUGH * neurons:
        return ""
    return (
        f"{layers} have {samples / neurons:.1f} samples per neuron, fewer than the {ENOUGH} that this book asks for "
        "elsewhere. So a part of their raw values is chance. Taking chance away corrects this only in part."
    )


# ---------------------------------------------------------------- tables


def layer_means(result: studies.Result, epsilons: Sequence[float] = studies.EPSILONS) -> pd.DataFrame:
    """Mean similarity over pairs, per layer and ε, with its t interval over networks, from the input on."""
    means = interval(result.similarity(epsilons), by=(*PLACE, "epsilon"))
    return means.sort_values(["position", "epsilon"], ignore_index=True)


def layer_table(result: studies.Result, epsilons: Sequence[float] = studies.EPSILONS) -> pd.DataFrame:
    """`layer_means` for reading: one row per layer, one column per ε, each cell `mean [low, high]`."""
    means = layer_means(result, epsilons)
    means["text"] = [_mean_text(*row) for row in means[["mean", "low", "high"]].to_numpy()]
    wide = means.pivot(index=["position", "layer", "kind"], columns="epsilon", values="text")
    wide.columns = [f"ε = {epsilon:g}" for epsilon in wide.columns]
    wide = wide.reset_index().drop(columns="position")
    return wide.assign(kind=wide["kind"].replace(KINDS))


def _mean_text(mean: float, low: float, high: float) -> str:
    spread = not np.isnan(low) and high - low >= 0.0005
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if spread else f"{mean:.3f}"


def curves(critical: pd.DataFrame, grid: Float[np.ndarray, " epsilons"] = GRID) -> pd.DataFrame:
    """s(ε) of every layer on a grid of ε, averaged over pairs: the share of neurons with critical ε ≤ ε.

    The columns are position, layer, kind, depth, epsilon, similarity. All pairs of a layer have equally many neurons.
    So the mean over pairs is the share among all their neurons together.
    """
    parts = []
    for place, rows in critical.groupby(PLACE, sort=True, observed=True):
        values = np.sort(rows["critical_epsilon"].to_numpy())
        share = np.searchsorted(values, grid + 1e-9, side="right") / len(values)
        columns = dict(zip(PLACE, cast(tuple[Any, ...], place), strict=True))
        parts.append(pd.DataFrame({"epsilon": grid, "similarity": share}).assign(**columns))
    return pd.concat(parts, ignore_index=True)[[*PLACE, "epsilon", "similarity"]]


def critical_summary(critical: pd.DataFrame) -> pd.DataFrame:
    """Per layer, over all neurons and pairs: smallest critical ε, its quartiles, and the share that never matches.

    Quantiles are order statistics. So a quartile is inf ("never") where too few neurons match at any ε below 1.
    """
    groups = critical.groupby(PLACE, sort=True, observed=True)["critical_epsilon"]
    shares = {"smallest": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
    summary = pd.DataFrame({name: groups.quantile(q, interpolation="lower") for name, q in shares.items()})
    summary["never"] = groups.agg(lambda values: float(np.isinf(values).mean()))
    return summary.reset_index()


def layer_facts(result: studies.Result) -> pd.DataFrame:
    """Per layer, averaged over the networks: neurons, dead neurons, dimension, and the match with a permuted copy.

    `dimension` is the effective rank (participation ratio) of the neurons' centred activations.
    """
    sides = result.tables["critical"].groupby([*PLACE, "seed_a", "seed_b", "side"], observed=True)["dead"]
    facts = sides.agg(neurons="size", dead="sum").groupby(PLACE, sort=True, observed=True).mean().reset_index()
    facts = facts.assign(neurons=facts["neurons"].astype(int), share_alive=1 - facts["dead"] / facts["neurons"])
    controls = result.tables["layers"].groupby("layer", observed=True)[["effective_rank_centred", "self_match"]].mean()
    return facts.join(controls.rename(columns={"effective_rank_centred": "dimension"}), on="layer")


def sampling_error(result: studies.Result) -> pd.DataFrame:
    """The mean over pairs and draws in the paper's sampling, the mean over pairs on all images, and the difference.

    The columns are position, layer, kind, depth, epsilon, sampled, full, difference. Only layers with more samples
    than are drawn appear. Raises `BadInput` for a result without draws.
    """
    if "sampled" not in result.tables:
        raise unknown("table", "sampled", result.tables)
    by = [*PLACE, "epsilon"]
    sampled = result.tables["sampled"]
    table = sampled.groupby(by, observed=True)["similarity"].mean().rename("sampled").reset_index()
    full = result.similarity(sorted(sampled["epsilon"].unique())).groupby(by, observed=True)["similarity"].mean()
    table = table.merge(full.rename("full").reset_index(), on=by)
    return table.assign(difference=table["sampled"] - table["full"])


# ---------------------------------------------------------------- in words


def in_words(result: studies.Result, epsilon: float) -> dict[str, str]:
    """Phrases for a page from the numbers of a study: which layers match at ε, and where neurons start to match."""
    means = layer_means(result, [epsilon])
    top = means.sort_values("mean").to_dict("records")[-1]
    inner = means[means["kind"].isin(INNER)]
    summary = critical_summary(result.tables["critical"])
    last = summary[summary["kind"].isin(INNER)].sort_values("smallest").to_dict("records")[-1:]
    words = {
        "empty": f"{int((inner['mean'] == 0).sum())} of the {len(inner)} convolutional layers do not match at all",
        "top": f"{top['layer']}, with a similarity of {top['mean']:.2f}",
        "late": "",
    }
    for row in last:
        words["late"] = f"in {row['layer']} no neuron matches below ε = {min(float(row['smallest']), 1):.2f}"
    return words
