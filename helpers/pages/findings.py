"""Causes and simple matches, shown: recorded tables in; tidy tables, phrases and figures out."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..errors import unknown
from ..matching.match import similarity_curve
from ..studies.causes import CONDITIONS, REMOVALS, SHUFFLES, area, at_equal_variance, linear_cka, shares_left
from ..studies.constructions import twin_gram
from ..subspaces import Gram
from .layers import DASHES, MARKERS

NEAR_OUTPUT = ("pool", "fc")
PAIR = ["layer", "seed_a", "seed_b"]
WORDS = {"whole": "as it is", "base": "centred", "floor": "any image"}  # what areas are held against


# ---------------------------------------------------------------- causes: tables


def by_condition(similarity: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """Mean similarity over pairs at ε: a row a condition in their order, a column a layer from the input on."""
    rows = similarity[np.isclose(similarity["epsilon"], epsilon)]
    if rows.empty:
        raise unknown("ε of the record", epsilon, sorted(similarity["epsilon"].unique()))
    wide = rows.pivot_table(index="condition", columns=["position", "layer"], values="similarity", observed=True)
    wide.columns = wide.columns.get_level_values("layer")
    return wide.reindex([condition for condition in CONDITIONS if condition in wide.index])


def by_area(critical: pd.DataFrame) -> pd.DataFrame:
    """Similarity averaged over all ε in [0, 1): the mean of 1 − critical ε, 0 for neurons that never match.

    One number that needs no choice of ε, the area under the curve s(ε): a row a condition, a column a layer.
    """
    place, value = ["position", "layer"], "critical_epsilon"
    wide = critical.pivot_table(index="condition", columns=place, values=value, aggfunc=area, observed=True)
    wide.columns = wide.columns.get_level_values("layer")
    return wide.reindex([condition for condition in CONDITIONS if condition in wide.index])


def directions_near_output(directions: pd.DataFrame) -> pd.DataFrame:
    """Hidden layers near the output without directions of a third network, mean over pairs.

    Columns position, layer, taken, directions, variance_left, left (of the centred pair's area under s(ε)).
    """
    rows = shares_left(directions[directions["kind"].isin(NEAR_OUTPUT)])
    by = ["position", "layer", "taken", "directions"]
    return rows.groupby(by, observed=True)[["variance_left", "left"]].mean().reset_index()


def twin_curve(gram: Gram, epsilons: Sequence[float] = (0.3, 0.5), steps: int = 11) -> pd.DataFrame:
    """What is seen of the same-output twins as their company grows: similarity at each ε, and linear CKA."""
    rows = []
    for share in np.linspace(0.02, 0.98, steps):
        twins = twin_gram(gram, float(share))
        row = dict(zip(epsilons, similarity_curve(twins.pair(0, 1), epsilons), strict=True))
        rows.append({"share": share, "cka": linear_cka(twins.centred().gram, twins.sizes[0])} | row)
    return pd.DataFrame(rows).melt(id_vars="share", var_name="measure", value_name="value")


# ---------------------------------------------------------------- causes: figures


def plot_conditions(table: pd.DataFrame, title: str) -> Figure:
    """A table of `by_condition` or `by_area` as a map, every cell with its number in hundredths."""
    figure, ax = plt.subplots(figsize=(1.8 + 0.5 * table.shape[1], 1.4 + 0.36 * len(table)))
    _draw_map(ax, table, title)
    return figure


def _draw_map(ax: Axes, table: pd.DataFrame, title: str) -> None:
    ax.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(table.shape):
        value = table.to_numpy()[row, column]
        shade = "white" if value > 0.6 else "black"
        ax.text(column, row, "·" if value == 0 else f"{100 * value:.0f}", ha="center", va="center", color=shade)
    ax.set_xticks(range(table.shape[1]), table.columns, rotation=90)
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title(title)
    ax.grid(False)


def plot_directions(table: pd.DataFrame) -> Figure:
    """A panel a layer: the area left against the variance left, as more and more directions are taken away."""
    names = list(table["layer"].unique())
    figure, axes = plt.subplots(len(names), 1, figsize=(7.6, 2.8 * len(names) + 0.6), sharex=True, squeeze=False)
    for ax, layer in zip(axes[:, 0], names, strict=True):
        rows = table[table["layer"] == layer]
        for number, what in enumerate(("strongest", "beside logits")):
            line = rows[rows["taken"].isin(["centred", what])].sort_values("directions")
            ax.plot(
                line["variance_left"], line["left"], DASHES[number], marker=MARKERS[number], markersize=4, label=what
            )
        point = rows[rows["taken"] == "third logits"]
        ax.plot(point["variance_left"], point["left"], "*", color="C3", markersize=14, label="third logits")
        ax.set(ylabel="share of area left", title=layer, xlim=(1.03, -0.03), ylim=(-0.03, 1.1))
    axes[-1, 0].set_xlabel("share of variance left")
    axes[0, 0].legend(fontsize="small")
    return figure


def plot_twins(table: pd.DataFrame) -> Figure:
    """What the measures see of the twins, against the share of company in their neurons."""
    figure, ax = plt.subplots()
    for number, (measure, rows) in enumerate(table.groupby("measure", sort=False)):
        label = "linear CKA" if measure == "cka" else f"s(ε), ε = {measure:g}"
        ax.plot(rows["share"], rows["value"], DASHES[number % 4], marker=MARKERS[number], markersize=4, label=label)
    ax.set(xlabel="share of company", ylabel="similarity", ylim=(-0.03, 1.03))
    ax.legend(fontsize="small")
    return figure


# ---------------------------------------------------------------- causes: in words


def causes_in_words(tables: dict[str, pd.DataFrame], epsilon: float) -> dict[str, str]:
    """Shares, in per cent, of the similarity of hidden layers near the output that each condition leaves.

    Under `condition` those of the similarity at ε as it is; under `condition_area` those of the area under the curve.
    What takes features away takes the mean map away first, so its area is a share of the area when centred; the others
    keep it, so theirs is a share of what is above "any image", where no image is shared. `distance`: how far a neuron
    is at least, on average, from neurons that see other images of the same class; `power`: what third logits leave;
    `own_explained`: the share of the centred power that a network's own logits explain.
    `strongest_left`, `beside_left`, `all_left`: the shares of `at_equal_variance`.
    """
    rows = tables["similarity"][tables["similarity"]["kind"].isin(NEAR_OUTPUT)]
    means = rows[np.isclose(rows["epsilon"], epsilon)].groupby("condition", observed=True)["similarity"].mean()
    critical, summary = (tables[name][tables[name]["kind"].isin(NEAR_OUTPUT)] for name in ("critical", "summary"))
    areas = by_area(critical).mean(axis=1).reindex(list(CONDITIONS))
    power = summary.groupby("condition")["power_left"].mean().reindex(list(REMOVALS))
    whole, floor = areas["as it is"], areas["any image"]
    left = {name: areas[name] / (whole if name == "centred" else areas["centred"]) for name in REMOVALS}
    left |= {name: (areas[name] - floor) / (whole - floor) for name in (*SHUFFLES, "untrained")}
    found = {f"{name}_area": f"{areas[key]:.2f}" for name, key in WORDS.items()}
    found |= {"whole": _per_cent(means["as it is"]), "power": _per_cent(power["third logits"])}
    found["distance"] = f"{np.sqrt(power['class means']):.2f}"
    found["own_explained"] = _per_cent(1 - power["own logits"] / power["centred"])
    for condition, share in left.items():
        name, as_it_is = condition.replace(" ", "_"), means["as it is"]
        found[name] = _per_cent(means.get(condition, np.nan) / as_it_is if as_it_is else 0.0)
        found[f"{name}_area"] = _per_cent(share)
    return found | _directions_in_words(tables["directions"])


def _directions_in_words(directions: pd.DataFrame) -> dict[str, str]:
    """Shares of the centred area of all hidden layers near the output, without what `at_equal_variance` names."""
    rows = at_equal_variance(directions[directions["kind"].isin(NEAR_OUTPUT)])
    names = ("strongest", "beside", "all")
    left = {n: (rows[n] * rows["base"]).sum() / rows["base"].sum() if len(rows) else np.nan for n in names}
    return {f"{name}_left": _per_cent(share) for name, share in left.items()}


def causes_summary(compared: dict[str, dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """A row for each study: areas as they are and centred; what each removal leaves of the centred.

    "logits" and "layer" are a third network's; "as strong": directions of that layer that leave as much variance as the
    logits do.
    """
    columns = {
        "as it is": "whole_area",
        "centred": "base_area",
        "class means": "class_means_area",
        "logits": "third_logits_area",
        "as strong": "strongest_left",
        "layer": "all_left",
    }
    words = {name: causes_in_words(tables, 0.5) for name, tables in compared.items()}
    rows = [
        {"network": name} | {column: found[key] for column, key in columns.items()} for name, found in words.items()
    ]
    return pd.DataFrame(rows)


def _per_cent(share: float) -> str:
    return "not measured" if np.isnan(share) else f"{100 * share:.0f} %"


# ---------------------------------------------------------------- simple matches: tables


def relative_sizes(tables: dict[str, pd.DataFrame], share: float = 0.5) -> pd.DataFrame:
    """Sizes of minimal matches, observed and by the null, also as a share of the maximum match they were found in.

    Columns layer, position, kind, what ("observed" or "null"), size, relative.
    """
    parts = []
    for what, name, run in (("observed", "sizes", "order"), ("null", "null", "draw")):
        rows = tables[name].query("share == @share")[["position", *PAIR, run, "kind", "size"]]
        matched = rows.groupby([*PAIR, run], observed=True)["size"].transform("size")  # each matched neuron has one
        parts.append(rows.drop(columns=run).assign(what=what, relative=rows["size"] / matched))
    return pd.concat(parts, ignore_index=True)


def size_summary(sizes: pd.DataFrame) -> pd.DataFrame:
    """Per layer: median size, observed and null, and the share of minimal matches of two and of at most four."""
    groups = sizes.groupby(["position", "layer", "what"], observed=True)["size"]
    found = groups.agg(median="median", two=lambda s: (s == 2).mean(), few=lambda s: (s <= 4).mean())
    relative = sizes.groupby(["position", "layer", "what"], observed=True)["relative"].median()
    found = found.assign(relative=relative).unstack("what")
    found.columns = [f"{name}_{what}" for name, what in found.columns]
    return found.reset_index()


def order_spread(sizes: pd.DataFrame) -> pd.DataFrame:
    """Per neuron of one layer and level: smallest, median and largest size over the orders, ascending by median."""
    groups = sizes.groupby(["side", "neuron"], observed=True)["size"]
    found = groups.agg(["min", "median", "max"]).reset_index()
    return found.sort_values(["median", "min", "max"], ignore_index=True)


def map_matrix(table: pd.DataFrame) -> tuple[Float[np.ndarray, "v u"], Float[np.ndarray, "v u"], list[int]]:
    """Frequencies, essential entries, and joint numbers of the neurons that take part, small matches first."""
    sizes = table.groupby("v")["frequency"].sum().sort_values(kind="stable")
    order: list[int] = []
    for v in sizes.index:
        rows = table[(table["v"] == v)].sort_values("frequency", ascending=False)
        order += [int(u) for u in rows["u"] if u not in order and u in sizes.index]
    at = {neuron: k for k, neuron in enumerate(order)}
    frequency, essential = np.zeros((len(order),) * 2), np.zeros((len(order),) * 2)
    rows, columns = table["v"].map(at).to_numpy(), table["u"].map(at).to_numpy()
    frequency[rows, columns], essential[rows, columns] = table["frequency"], table["essential"]
    return frequency, essential, order


# ---------------------------------------------------------------- simple matches: figures


def plot_sizes(sizes: pd.DataFrame, layers: Sequence[str]) -> Figure:
    """For each layer the distribution of sizes: the share of minimal matches up to a size, observed and by the null."""
    lines = -(-len(layers) // 2)  # two panels side by side: still readable on a phone
    figure, axes = plt.subplots(lines, 2, figsize=(7.2, 2.7 * lines), sharey=True, squeeze=False)
    for ax in axes.flat[len(layers) :]:
        ax.remove()
    for ax, layer in zip(axes.flat, layers, strict=False):
        for number, what in enumerate(("observed", "null")):
            values = np.sort(sizes.query("layer == @layer and what == @what")["size"].to_numpy())
            heights = np.arange(1, len(values) + 1) / max(1, len(values))
            ax.step(values, heights, where="post", color=f"C{number}", linestyle=DASHES[number], label=what)
        ax.set(title=layer, xlabel="neurons", xlim=(0, None), ylim=(0, 1.03))
    figure.supylabel("share of minimal matches up to this size")
    axes[0, 0].legend(fontsize="small")
    return figure


def plot_relative(summary: pd.DataFrame) -> Figure:
    """By layer the median size of a minimal match as a share of the maximum match, observed and by the null."""
    figure, ax = plt.subplots(figsize=(7.6, 3.8))
    for number, what in enumerate(("observed", "null")):
        style: dict[str, Any] = {"color": f"C{number}", "linestyle": DASHES[number], "marker": MARKERS[number]}
        ax.plot(summary["layer"], summary[f"relative_{what}"], label=what, **style)
    ax.set(ylabel="median size / maximum match", ylim=(-0.03, 1.03))
    ax.tick_params(axis="x", rotation=90)
    ax.legend(fontsize="small")
    return figure


def plot_spread(spread: pd.DataFrame, layer: str) -> Figure:
    """For every neuron of a layer the sizes its minimal matches had in different orders."""
    figure, ax = plt.subplots(figsize=(7.6, 3.4))
    rank = np.arange(len(spread))
    ax.vlines(rank, spread["min"], spread["max"], color="C0", linewidth=2, alpha=0.5)
    ax.plot(rank, spread["median"], ".", color="black", markersize=5)
    ax.set(xlabel="neurons of the maximum match, by median size", ylabel="neurons in the match", title=layer)
    ax.set_ylim(0, None)
    return figure


def plot_together(table: pd.DataFrame, n_x: int, layer: str) -> Figure:
    """Row v: which neurons u its minimal matches hold. Darker: in more of the orders; orange: in every match of v."""
    share, essential, order = map_matrix(table)
    figure, ax = plt.subplots(figsize=(6.2, 5.6))
    picture = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ax.imshow(np.ma.masked_where(essential == 0, essential), cmap=ListedColormap(["C1"]), interpolation="nearest")
    ax.grid(False)
    if len(order) <= 24:
        names = [f"x{k}" if k < n_x else f"y{k - n_x}" for k in order]
        ax.set_xticks(range(len(order)), names, rotation=90, fontsize="small")
        ax.set_yticks(range(len(order)), names, fontsize="small")
    ax.set(xlabel="u", ylabel="v", title=layer)
    figure.colorbar(picture, ax=ax, label="share of v's minimal matches that hold u", shrink=0.8)
    return figure


# ---------------------------------------------------------------- simple matches: in words


def sizes_in_words(summary: pd.DataFrame, layers: Sequence[str]) -> dict[str, str]:
    """For the first, the middle and the last two of the layers: median sizes, and the share of size two ("–": none)."""
    chosen = layers[0], layers[(len(layers) - 1) // 2], layers[-2], layers[-1]
    found: dict[str, str] = {}
    for place, layer in zip(("input", "middle", "hidden", "output"), chosen, strict=True):
        row = summary.set_index("layer").reindex([layer]).iloc[0]
        found[place] = layer
        for what in ("observed", "null"):
            median, two = row[f"median_{what}"], row[f"two_{what}"]
            found[f"{place}_median_{what}"] = "–" if np.isnan(median) else f"{median:.0f}"
            found[f"{place}_two_{what}"] = "–" if np.isnan(two) else f"{100 * two:.0f} %"
    return found
