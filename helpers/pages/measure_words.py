"""What the pages on other measures and on finding a layer say in words: dips, values at one ε, verdicts by pair."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from torch import nn

from ..measures import MEASURES
from ..networks import architectures
from ..studies.identification import accuracy_table
from .alike import english_list
from .claims import Plan, read_bound
from .layer_tables import spoken
from .scales import RIVALS, SUBSPACE, dipping, group_means

SMALL = 0.02  # a dip below this is called small

Means = Mapping[str, pd.DataFrame]  # a table of `measure_means` by network


# ---------------------------------------------------------------- dips


def dip_depths(means: pd.DataFrame) -> pd.Series:
    """How far each measure is lower in the middle group than in the lower one of the first and the late group."""
    return means[["first", "late"]].min(axis=1) - means["middle"]


def dips_in_words(means: Means) -> str:
    """How many rivals dip, network by network: "6 of 9 (67 %) in VGG-16-BN and 5 of 9 (56 %) in ResNet-18"."""
    counts = {network: len(dipping(table)) for network, table in means.items()}
    parts = [f"{n} of {len(RIVALS)} ({100 * n / len(RIVALS):.0f} %) in {spoken(name)}" for name, n in counts.items()]
    return english_list(parts)


def small_dips_in_words(means: Means) -> str:
    """How many of the dips are small, network by network."""
    parts = []
    for network, table in means.items():
        depths = dip_depths(table)[dipping(table)]
        parts.append(f"{(depths < SMALL).sum()} of {len(depths)} in {spoken(network)}")
    return f"Smaller than {SMALL:g} are {english_list(parts)}"


def enough_dips(means: Means, share: float) -> bool:
    """Whether at least this share of the rivals dips in every network."""
    return all(len(dipping(table)) >= share * len(RIVALS) for table in means.values())


def is_it_the_measure(means: Means) -> str:
    """The answer in one sentence, by how many rivals dip where the subspace match does."""
    shares = [len(dipping(table)) / len(RIVALS) for table in means.values() if dip_depths(table)["subspace"] > 0]
    if not shares:
        return "Here the subspace match has no dip"
    if min(shares) > 0.5:
        return "Not of this one alone: more than half of the other measures dip in the middle, too"
    if max(shares) == 0:
        return "Perhaps: no other measure dips in the middle"
    return "In part: some of the other measures dip in the middle, and some do not"


def depths_in_words(means: Means) -> str:
    """How deep the subspace match and the median rival dip, network by network."""
    parts = []
    for network, table in means.items():
        depths = dip_depths(table)
        own, median = depths["subspace"], depths[[name for name in RIVALS if name in depths]].median()
        parts.append(f"{spoken(network)} {own:.2f} and {median:.2f}")
    return "; ".join(parts)


# ---------------------------------------------------------------- one ε


def fixed_in_words(calibrated: Mapping[str, pd.DataFrame], measure: str = "subspace_at_0.3") -> str:
    """The raw values of the middle group at one ε, averaged over positions: trained, and untrained."""
    tables = {name: table[table["samples"] == "images"] for name, table in calibrated.items()}
    trained, untrained = (group_means(tables, measure, end)["middle"] for end in ("observed", "untrained"))
    names = [spoken(name) for name in calibrated]
    reached = english_list(f"{value:.2f} in {name}" for value, name in zip(trained, names, strict=True))
    return f"{reached} (untrained: {english_list(f'{value:.2f}' for value in untrained)})"


def widest_layer(network: str, width: float) -> int:
    """The number of neurons in the widest layer of a network."""
    modules = architectures.build(network, width).modules()
    return max(len(module.weight) for module in modules if isinstance(module, nn.Conv2d | nn.Linear))


# ---------------------------------------------------------------- finding a layer


def best_in_words(accuracies: Mapping[str, pd.DataFrame]) -> str:
    """The best rival in each network, and what no rival counts but finds more layers."""
    parts = []
    for network, table in accuracies.items():
        rivals = table[table["measure"].isin(RIVALS)]
        best, rate = rivals["measure"].iloc[0], rivals["accuracy"].iloc[0]
        text = f"in {spoken(network)} {MEASURES[best].title} ({100 * rate:.0f} %"
        others = table[~table["measure"].isin([*RIVALS, *SUBSPACE]) & (table["accuracy"] > rate)]
        for name, more in zip(others["measure"], others["accuracy"], strict=True):
            text += f"; {MEASURES[name].title}, not counted as a rival, reaches {100 * more:.0f} %"
        parts.append(f"{text})")
    return english_list(parts)


def rates_by_pair(values: pd.DataFrame, measure: str = "subspace") -> pd.Series:
    """The share of layers that a measure identifies, for each pair of networks alone."""
    rows = values[values["measure"] == measure]
    pairs = {pair: accuracy_table(table) for pair, table in rows.groupby(["seed_a", "seed_b"])}
    return pd.Series({pair: float(table["accuracy"].iloc[0]) for pair, table in pairs.items()})


def layer_known(rate: float, plan: Plan) -> str:
    """What the bounds of the plan say of a share of identified layers."""
    asked = plan.expected["identification"]
    if read_bound(asked["knows_layers"], "identification, knows_layers").keeps(rate):
        return "knows layers"
    does_not = read_bound(asked["does_not"], "identification, does_not").keeps(rate)
    return "does not know layers" if does_not else "is in between"


def known_in_words(values: Mapping[str, pd.DataFrame], plan: Plan) -> str:
    """The verdict on the subspace match in each network. It is open where single pairs have another verdict."""
    parts = []
    for network, table in values.items():
        rates = rates_by_pair(table)
        word, others = layer_known(rates.mean(), plan), [layer_known(rate, plan) for rate in rates]
        unlike = sum(other != word for other in others)
        text = f"in {spoken(network)} it {word}"
        if unlike:
            text = f"in {spoken(network)} this is open: the mean of {_per_cent(rates.mean())} says that it {word}, "
            text += f"but {unlike} of {len(rates)} pairs do not"
        parts.append(text + (f" (pairs: {english_list(map(_per_cent, np.sort(rates)))})" if len(rates) > 1 else ""))
    return "; ".join(parts)


def _per_cent(share: float) -> str:
    return f"{100 * share:.1f} %"
