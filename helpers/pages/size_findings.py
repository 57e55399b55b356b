"""Records of simple matches on a page: tables of the sizes of minimal matches, their figures, and phrases."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from .layer_figures import DASHES, MARKERS
from .layer_tables import axis_names

PAIR = ["layer", "seed_a", "seed_b"]


# ---------------------------------------------------------------- tables


def relative_sizes(tables: dict[str, pd.DataFrame], share: float = 0.5) -> pd.DataFrame:
    """Sizes of minimal matches, observed and under the null model, also as a share of their maximum match.

    The columns are layer, position, kind, what ("observed" or "null"), size, relative.
    """
    parts = []
    for what, name, run in (("observed", "sizes", "order"), ("null", "null", "draw")):
        rows = tables[name].query("share == @share")[["position", *PAIR, run, "kind", "size"]]
        matched = rows.groupby([*PAIR, run], observed=True)["size"].transform("size")  # each matched neuron has one
        parts.append(rows.drop(columns=run).assign(what=what, relative=rows["size"] / matched))
    return pd.concat(parts, ignore_index=True)


def size_summary(sizes: pd.DataFrame) -> pd.DataFrame:
    """Per layer: the median size, observed and under the null model, and the shares of sizes two and at most four."""
    groups = sizes.groupby(["position", "layer", "what"], observed=True)["size"]
    summary = groups.agg(median="median", two=lambda s: (s == 2).mean(), few=lambda s: (s <= 4).mean())
    relative = sizes.groupby(["position", "layer", "what"], observed=True)["relative"].median()
    summary = summary.assign(relative=relative).unstack("what")
    summary.columns = [f"{name}_{what}" for name, what in summary.columns]
    return summary.reset_index()


def order_spread(sizes: pd.DataFrame) -> pd.DataFrame:
    """Per neuron of one layer and level: smallest, median and largest size over the orders, sorted by the median."""
    groups = sizes.groupby(["side", "neuron"], observed=True)["size"]
    spread = groups.agg(["min", "median", "max"]).reset_index()
    return spread.sort_values(["median", "min", "max"], ignore_index=True)


def map_matrix(table: pd.DataFrame) -> tuple[Float[np.ndarray, "v u"], Float[np.ndarray, "v u"], list[int]]:
    """Frequencies, essential entries, and the joint indices of the neurons that take part, small matches first."""
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


# ---------------------------------------------------------------- figures


def plot_sizes(sizes: pd.DataFrame, layers: Sequence[str]) -> Figure:
    """For each layer the share of minimal matches up to each size, observed and under the null model."""
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


def plot_relative(summaries: Mapping[str, pd.DataFrame]) -> Figure:
    """By layer: median size of a minimal match as a share of the maximum match, observed and under the null model.

    One panel per network, under its title.
    """
    figure, axes = plt.subplots(len(summaries), 1, figsize=(7.6, 3.6 * len(summaries)), squeeze=False)
    for ax, (title, summary) in zip(axes.flat, summaries.items(), strict=True):
        layers = axis_names(summary["layer"])
        for number, what in enumerate(("observed", "null")):
            style: dict[str, Any] = {"color": f"C{number}", "linestyle": DASHES[number], "marker": MARKERS[number]}
            ax.plot(layers, summary[f"relative_{what}"], label=what, **style)
        ax.set(ylabel="median size / maximum match", ylim=(-0.03, 1.03), title=title)
        ax.tick_params(axis="x", rotation=90)
    axes[0, 0].legend(fontsize="small")
    return figure


def plot_spread(spread: pd.DataFrame, layer: str) -> Figure:
    """For every neuron of a layer: the sizes that its minimal matches have in different orders."""
    figure, ax = plt.subplots(figsize=(7.6, 3.4))
    rank = np.arange(len(spread))
    ax.vlines(rank, spread["min"], spread["max"], color="C0", linewidth=2, alpha=0.5)
    ax.plot(rank, spread["median"], ".", color="black", markersize=5)
    ax.set(xlabel="neurons of the maximum match, by median size", ylabel="neurons in the match", title=layer)
    ax.set_ylim(0, None)
    return figure


def plot_together(tables: Mapping[str, tuple[pd.DataFrame, int]]) -> Figure:
    """One map per layer: row v shows which neurons u its minimal matches contain.

    A cell is darker if u is in more of the orders, and orange if u is in every match of v. `tables` has for each layer
    its rows and the number of neurons of x.
    """
    lines = -(-len(tables) // 2)  # two maps side by side: still readable on a phone
    figure, axes = plt.subplots(lines, 2, figsize=(7.4, 3.7 * lines), squeeze=False)
    for ax in axes.flat[len(tables) :]:
        ax.remove()
    for ax, (layer, (table, n_x)) in zip(axes.flat, tables.items(), strict=False):
        picture = _draw_together(ax, table, n_x)
        ax.set(xlabel="u", ylabel="v", title=layer)
    figure.colorbar(
        picture, ax=list(axes.flat[: len(tables)]), label="share of v's minimal matches that hold u", shrink=0.6
    )
    return figure


def _draw_together(ax: Axes, table: pd.DataFrame, n_x: int) -> AxesImage:
    share, essential, order = map_matrix(table)
    picture = ax.imshow(share, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    ax.imshow(np.ma.masked_where(essential == 0, essential), cmap=ListedColormap(["C1"]), interpolation="nearest")
    ax.grid(False)
    if len(order) <= 24:
        names = [f"x{k}" if k < n_x else f"y{k - n_x}" for k in order]
        ax.set_xticks(range(len(order)), names, rotation=90, fontsize="x-small")
        ax.set_yticks(range(len(order)), names, fontsize="x-small")
    return picture


# ---------------------------------------------------------------- in words


def sizes_in_words(summary: pd.DataFrame, layers: Sequence[str]) -> dict[str, str]:
    """For the first, the middle and the last two layers: median sizes, and the share of size two ("–": none)."""
    chosen = layers[0], layers[(len(layers) - 1) // 2], layers[-2], layers[-1]
    words: dict[str, str] = {}
    for place, layer in zip(("input", "middle", "hidden", "output"), chosen, strict=True):
        row = summary.set_index("layer").reindex([layer]).iloc[0]
        words[place] = layer
        for what in ("observed", "null"):
            median, two = row[f"median_{what}"], row[f"two_{what}"]
            words[f"{place}_median_{what}"] = "–" if np.isnan(median) else f"{median:.0f}"
            words[f"{place}_two_{what}"] = "–" if np.isnan(two) else f"{100 * two:.0f} %"
    return words
