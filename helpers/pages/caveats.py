"""What the verdicts rest on less firmly, in computed sentences: few pairs, errors that cancel."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from ..studies.counts import counted_similarity
from ..studies.intervals import PAIR
from .claims import Plan
from .evidence import Gathered
from .verdicts import PLACES, by_layer, judged

BARELY = 0.1  # a layer that matches its own earlier self to less than this is compared without meaning
NEARLY = 0.95  # of the alive neurons: if they all match, everything splits


def pair_errors(plan: Plan, measured: Gathered) -> dict[str, float]:
    """The largest error of the paper's sampling in a single pair of networks, its draws averaged, by network.

    The claim P takes the mean over pairs, in which errors of different pairs can cancel.
    """
    worst = {}
    for network, table in measured.sampled.items():
        keys = ["layer", *PAIR, "epsilon"]
        draws = table.groupby(keys, observed=True)["similarity"].mean()
        full = counted_similarity(measured.critical[network], plan.epsilons).set_index(keys)["neurons"]
        worst[network] = float((draws - full.reindex(draws.index)).abs().max())
    return worst


def by_network(plan: Plan, values: Mapping[str, float]) -> str:
    """Numbers by network in words: "0.07 (VGG-16-BN) and 0.23 (ResNet-18)"; "not recorded" if there is none."""
    return " and ".join(f"{value:.2f} ({plan.name(network)})" for network, value in values.items()) or "not recorded"


def unlike_themselves(plan: Plan, measured: Gathered) -> str:
    """Layers that hardly match an earlier state of the same network at the deciding ε, and what they do to verdicts."""
    names, kept = [], {}
    for network, critical in measured.critical.items():
        own = by_layer(measured.control[network], (plan.epsilon,)) if network in measured.control else pd.DataFrame()
        barely = own.loc[own["similarity"] < BARELY, "layer"].astype(str).tolist() if len(own) else []
        names += [f"{layer} of {plan.name(network)}" for layer in barely]
        kept[network] = critical[~critical["layer"].isin(barely)]
    if not names:
        return ""
    before, after = judged(plan, measured), judged(plan, replace(measured, critical=kept))
    changed = [name for name in before if before[name].word != after[name].word]
    told = f"Some layers hardly match even an earlier state of their own network at ε = {plan.epsilon:g}"
    then = f"the verdicts of {' and '.join(changed)} change" if changed else "all verdicts stay as they are"
    return f"{told} (less than {BARELY:g}): {', '.join(names)}. Without these layers {then}."


def with_alive(plan: Plan, measured: Gathered) -> pd.DataFrame:
    """The rows that decide C4, of both networks, with the share of the alive neurons that match."""
    tables = []
    for network, small in measured.small.items():
        counted = counted_similarity(measured.critical[network], sorted(small["epsilon"].unique()))
        keys = ["layer", *PAIR, "epsilon"]
        tables.append(small.assign(network=network).merge(counted[[*keys, "alive"]], on=keys, how="left"))
    return pd.concat(tables, ignore_index=True)


def largest_partners(plan: Plan, measured: Gathered) -> str:
    """Shares of neurons with a single partner, without the rows in which nearly all alive neurons match."""
    rows = with_alive(plan, measured)
    hidden = rows[rows["group"] != "logits"]
    partly = hidden[hidden["alive"] < NEARLY]
    parts = [
        f"{100 * partly.loc[partly['group'].isin(groups), 'of_two'].max():.0f} % {where}"
        for groups, where in ((["first", "early"], "near the input"), (["fc"], "in the fully connected layers"))
        if partly["group"].isin(groups).any()
    ]
    left = len(hidden) - len(partly)
    if not left or not parts:
        return ""
    return (
        f"In {left} of these rows at least {100 * NEARLY:.0f} % of the alive neurons match. If everything matches, "
        f"everything splits. Without these rows at most {' and '.join(parts)} have a single partner."
    )


def small_rest_on(plan: Plan, measured: Gathered) -> str:
    """How many pairs of networks decide C4, and groups of layers that it says nothing about."""
    pairs = max((len(table[PAIR].drop_duplicates()) for table in measured.small.values()), default=0)
    absent = {
        plan.name(network): [PLACES[group] for group in plan.groups[network] if group not in set(table["group"])]
        for network, table in measured.small.items()
    }
    silent = " and ".join(f"{' and '.join(groups)} of {network}" for network, groups in absent.items() if groups)
    rests = f"C4 rests on {pairs} pair{'s' * (pairs != 1)} of networks for each architecture."
    low, high = plan.claim("C4").bounds["between"]
    where = f"where no ε of the paper matches {100 * low:.0f} to {100 * high:.0f} % of the neurons"
    return f"{rests} It says nothing about {silent}, {where}." if silent else rests


def fewest_orders(measured: Gathered, groups: list[str]) -> int:
    """The smallest number of orders that were tried where any was, in these groups of layers; 0 if none was."""
    inside = [table[table["group"].isin(groups)]["orders"] for table in measured.small.values()]
    return min((int(orders) for table in inside for orders in table if orders), default=0)
