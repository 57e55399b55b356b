"""The records of the two networks at the paper's size, collected for the claims, and how pages show them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..errors import BadInput, unknown
from ..studies import records, seeds, store
from ..studies.counts import COUNTS, counted_similarity
from ..studies.scale_conditions import calibrate_values
from ..studies.store import Result
from ..studies.study import Study
from ..studies.targets import deciding_shares
from ..subspaces import Pair
from .answer import SHADES
from .claims import Claim, Plan
from .layer_tables import axis_names, curves
from .verdicts import Measured, Verdict, by_group, by_layer, level

SCALE_MEASURE = "subspace_median"  # 1 less the median critical ε of a layer


@dataclass
class Gathered(Measured):
    """`Measured` with the results of its studies, for pages that match a layer anew.

    control: the critical ε of the first network against an earlier state of itself.
    """

    results: dict[str, Result] = field(default_factory=dict)
    calibrated: dict[str, pd.DataFrame] = field(default_factory=dict)
    control: dict[str, pd.DataFrame] = field(default_factory=dict)
    scale_rests_on: dict[str, tuple[int, int]] = field(default_factory=dict)

    def on_scale(self, plan: Plan, group: str, column: str = "mean") -> float:
        """The calibrated similarity of a group, averaged over its layers and over the networks; NaN if not recorded.

        With the column "untrained" it is that of networks before training.
        """
        means = [
            table.loc[[plan.group(network, str(layer)) == group for layer in table["layer"]], column].mean()
            for network, table in self.calibrated.items()
        ]
        return float(np.mean(means)) if means else np.nan

    def untrained_above(self, plan: Plan, group: str) -> tuple[int, int]:
        """In how many layers of a group untrained copies are at least as similar as trained ones, and of how many."""
        above: list[bool] = []
        for network, table in self.calibrated.items():
            inside = table[[plan.group(network, str(layer)) == group for layer in table["layer"]]]
            above += inside["untrained"].ge(inside["mean"]).tolist()
        return sum(above), len(above)

    def gram_layers(self, network: str) -> list[str]:
        """The layers of a network that are recorded in compressed form, from the input on."""
        return self._result(network).gram_layers

    def pair(self, network: str, layer: str) -> Pair:
        """A layer of the first two recorded networks, ready to match."""
        return self._result(network).pair(layer)

    def _result(self, network: str) -> Result:
        if network not in self.results:
            raise unknown("recorded network", network, self.results)
        return self.results[network]


def gather(plan: Plan) -> Gathered:
    """Everything recorded of the plan's networks. Missing records are left out, and claims that need them are open."""
    gathered = Gathered()
    for network in plan.studies:
        study = plan.study(network)
        if result := store.find_record(seeds.KIND, study):
            gathered.results[network] = result
            gathered.critical[network] = result.tables["critical"]
            gathered.sampled[network] = result.tables["sampled"]
            gathered.accuracy[network] = result.tables["networks"]["accuracy"]
        if twins := recorded_tables("seeds", study, epoch=0):
            gathered.untrained[network] = twins["critical"]
        if small := recorded_tables("small_matches", study):
            gathered.small[network] = with_orders(with_groups(plan, network, small["levels"]), small["sizes"])
        if own := recorded_tables("ceiling", study):
            gathered.control[network] = own["critical"]
        if stitched := recorded_tables("stitching", study):
            rows = next(iter(stitched.values())).query("source == 'trained'")
            gathered.stitched[network] = rows.rename(columns={"lost": "accuracy_lost"})
        if values := recorded_tables("calibration", study):
            gathered.calibrated[network] = scale_of(values["values"])
            gathered.scale_rests_on[network] = rests_on(values["values"])
    gathered.targets = recorded_targets(plan)
    return gathered


def recorded_targets(plan: Plan) -> dict[str, pd.DataFrame]:
    """What other targets keep (claim C2b), for each network of the plan, whatever its width and training.

    Columns of their own say the width, and the mean accuracy of the networks that were trained for the labels.
    """
    shares = {}
    for place in records.records_of("targets"):
        study = records.read_provenance(place)["study"]
        if study["network"] in plan.studies and study["dataset"] == "cifar10":
            tables = records.read_tables(place)[0]
            groups = plan.groups[study["network"]]
            networks = tables["networks"].query("target == 'labels'")
            at_end = networks[networks["epoch"] == networks["epoch"].max()]
            about = {"width": study["width"], "accuracy": at_end["accuracy"].mean()}
            shares[study["network"]] = deciding_shares(tables, groups).assign(**about)
    return shares


def rests_on(values: pd.DataFrame) -> tuple[int, int]:
    """How many networks and how many random orders of images the calibrated similarity of a record comes from."""
    networks = pd.unique(values.loc[values["end"] == "observed", ["seed_a", "seed_b"]].to_numpy().ravel())
    return len(networks), int(values.loc[values["end"] == "chance", "order"].nunique())


def scale_of(values: pd.DataFrame, measure: str = SCALE_MEASURE) -> pd.DataFrame:
    """The calibrated similarity of every layer: columns layer, position, mean, low, high, untrained."""
    table = calibrate_values(values)
    rows = table[table["measure"] == measure].sort_values("position")
    names = {
        "calibrated": "mean",
        "calibrated_low": "low",
        "calibrated_high": "high",
        "calibrated_untrained": "untrained",
    }
    return rows[["layer", "position", *names]].rename(columns=names)


def recorded_tables(kind: str, study: Study, epoch: int | None = None) -> dict[str, pd.DataFrame] | None:
    """The recorded tables of a kind for these networks at an epoch, with any images and seeds; else None."""
    wanted = {name: getattr(study, name) for name in ("dataset", "network", "width", "recipe")}
    wanted |= {"epochs": study.runs[0].recipe.epochs, "epoch": epoch}
    for place in records.records_of(kind):
        known = records.read_provenance(place)["study"]
        if all(known[name] == value for name, value in wanted.items()):
            return records.read_tables(place)[0]
    return None


def with_groups(plan: Plan, network: str, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the group of each row's layer."""
    return table.assign(group=[plan.group(network, str(layer)) for layer in table["layer"]])


def with_orders(levels: pd.DataFrame, sizes: pd.DataFrame) -> pd.DataFrame:
    """The table with the number of orders in which minimal matches were searched; 0 where no order was tried."""
    keys = ["layer", "seed_a", "seed_b", "epsilon"]
    tried = sizes.groupby(keys, observed=True)["orders"].min().reset_index()
    return levels.merge(tried, on=keys, how="left").fillna({"orders": 0}).astype({"orders": int})


# ---------------------------------------------------------------- tables


def counts_by_layer(plan: Plan, measured: Measured) -> pd.DataFrame:
    """Similarity of every layer of both networks at the paper's ε, in three counts: mean, lowest and highest pair."""
    tables = []
    for network, critical in measured.critical.items():
        table = counted_similarity(critical, plan.epsilons)
        groups = table.groupby(["position", "layer", "epsilon"], observed=True)
        means = pd.concat({f"{c} {how}": groups[c].agg(how) for c in COUNTS for how in ("mean", "min", "max")}, axis=1)
        tables.append(means.reset_index().assign(network=plan.name(network)))
    return pd.concat(tables, ignore_index=True)


def group_table(plan: Plan, measured: Measured) -> pd.DataFrame:
    """One row per network and group of layers, one column per ε: the mean similarity over layers and pairs."""
    tables = []
    for network, critical in measured.critical.items():
        wide = by_group(critical, network, plan).pivot(index="group", columns="epsilon", values="similarity")
        wide.columns = [f"ε = {epsilon:g}" for epsilon in wide.columns]
        tables.append(wide.reindex(list(plan.groups[network])).reset_index().assign(network=plan.name(network)))
    table = pd.concat(tables, ignore_index=True)
    return table[["network", *(column for column in table if column != "network")]]


def protocol_errors(plan: Plan, measured: Measured) -> pd.DataFrame:
    """The paper's sampling and the full test set, per network, layer and ε: the two means and their difference."""
    tables = []
    for network in measured.sampled:
        keys = ["layer", "epsilon"]
        draws = measured.sampled[network].groupby(keys, observed=True)["similarity"].mean().rename("sampled")
        full = by_layer(measured.critical[network], plan.epsilons).rename(columns={"similarity": "full"})
        both = full.merge(draws.reset_index(), on=keys)
        tables.append(both.assign(difference=both["sampled"] - both["full"], network=network))
    return pd.concat(tables, ignore_index=True)


def small_table(plan: Plan, measured: Measured) -> pd.DataFrame:
    """One row per network, layer and ε where the layer matches in part: shares of neurons with small minimal matches.

    "of at most five" counts the smallest match that was found in so many orders. "possible" is an upper bound for any
    search. Raises `BadInput` if nothing is recorded.
    """
    tables = [t.assign(network=plan.name(network)) for network, t in measured.small.items()]
    if not tables:
        raise BadInput(
            "no sizes of minimal matches are recorded: expected the kind small_matches of the plan's networks"
        )
    names = {
        "of_two": "of two",
        "of_five": "of at most five",
        "of_five_possible": "possible",
        "median_size": "median size",
    }
    columns = ["network", "group", "layer", "epsilon", "matched", "neurons", "orders", *names]
    return pd.concat(tables, ignore_index=True)[columns].rename(columns=names)


def expectations(plan: Plan, judged: dict[str, Verdict]) -> pd.DataFrame:
    """One row per claim: what was expected before looking, and the verdict."""
    rows = [(claim.id, claim.expected, judged[claim.id].word) for claim in plan.claims]
    return pd.DataFrame(rows, columns=["claim", "expected before looking", "verdict"])


def expectation_text(plan: Plan, claim: str) -> str:
    """What was expected of a claim, word for word as it was committed."""
    return plan.claim(claim).expected


def untrained_words(plan: Plan, measured: Measured) -> str:
    """In one sentence: how similar the first layers are before training, at the deciding ε."""
    parts = [
        f"{level(measured.untrained[network], network, 'first', plan):.2f} in {plan.name(network)}"
        for network in plan.studies
        if network in measured.untrained
    ]
    if not parts:
        return "Untrained networks of this size are not recorded."
    return f"Before training, the first layer matches to {' and '.join(parts)} at ε = {plan.epsilon:g}."


def with_bounds(claim: Claim, **bound: float) -> Claim:
    """The claim with one bound for all its quantities, to see how much a verdict depends on it.

    Raises `BadInput` unless exactly one bound is given.
    """
    if len(bound) != 1:
        raise BadInput(f"{len(bound)} bounds are given: expected one, such as at_most=0.1")
    return replace(claim, bounds={quantity: dict(bound) for quantity in claim.bounds})


# ---------------------------------------------------------------- figures


def plot_counts(plan: Plan, critical: dict[str, pd.DataFrame]) -> Figure:
    """Similarity by layer at the deciding ε in three counts, one panel per network."""

    def draw(ax: Any, network: str) -> None:
        for number, (count, words) in enumerate(COUNTS.items()):
            table = by_layer(critical[network], (plan.epsilon,), count).sort_values("position")
            names = axis_names(table["layer"])
            ax.plot(names, table["similarity"], marker="os^"[number], markersize=4, label=words)

    figure = panels(plan, list(critical), draw)
    figure.axes[0].set_ylabel(f"similarity at ε = {plan.epsilon:g}")
    figure.axes[0].legend(fontsize="small")
    return figure


def plot_protocol(plan: Plan, measured: Measured) -> Figure:
    """The error of the paper's sampling by layer, one marker per ε, one panel per network."""
    errors = protocol_errors(plan, measured)

    def draw(ax: Any, network: str) -> None:
        rows = errors[errors["network"] == network].sort_values("position")
        for shade, (epsilon, part) in zip(SHADES, rows.groupby("epsilon"), strict=False):
            names = axis_names(part["layer"])
            ax.plot(names, part["difference"], "o", markersize=5, color=shade, label=f"ε = {epsilon:g}")
        ax.axhline(0, color="0.4", linewidth=1)

    figure = panels(plan, list(measured.sampled), draw, limits=None)
    figure.axes[0].set_ylabel("sampled less full similarity")
    figure.axes[0].legend(fontsize="small")
    return figure


def plot_maps(plan: Plan, critical: dict[str, pd.DataFrame]) -> Figure:
    """s(ε) of every layer at every ε as a map, one row per layer, one panel per network."""
    figure, axes = plt.subplots(1, len(critical), figsize=(5.6 * len(critical), 5.4), squeeze=False)
    for ax, (network, table) in zip(axes[0], critical.items(), strict=True):
        wide = curves(table).pivot(index=["position", "layer"], columns="epsilon", values="similarity").sort_index()
        extent = (0, 1, len(wide) - 0.5, -0.5)
        style: dict[str, Any] = {"aspect": "auto", "cmap": "Blues", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
        picture = ax.imshow(wide.to_numpy(), extent=extent, **style)
        ax.set_yticks(range(len(wide)), axis_names(wide.index.get_level_values("layer")))
        ax.set(xlabel="ε", title=plan.name(network))
        ax.grid(False)
    figure.colorbar(picture, ax=axes[0, -1], label="similarity s(ε)")
    return figure


def panels(
    plan: Plan,
    networks: list[str],
    draw: Callable[[Any, str], None],
    limits: tuple[float, float] | None = (-0.03, 1.03),
) -> Figure:
    """One panel per network with layers along x, drawn by `draw`. The panels share the y-axis.

    Raises `BadInput` if no network is recorded.
    """
    if not networks:
        raise BadInput("no network is recorded: expected at least one of the plan's studies in results/")
    size = (5.6 * len(networks), 4.2)
    figure, axes = plt.subplots(1, len(networks), figsize=size, squeeze=False, sharey=True)
    for ax, network in zip(axes[0], networks, strict=True):
        draw(ax, network)
        ax.set(title=plan.name(network), **({"ylim": limits} if limits else {}))
        ax.tick_params(axis="x", rotation=90, labelsize="small")
    return figure
