"""Figures by layer from the tables of `layer_tables`: maps and curves of s(ε), critical ε, lines over depth."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from .layer_tables import critical_summary

MARKERS, DASHES = "osD^vPX*hd", ("-", "--", ":", "-.")
_QUARTILES = ("lower_quartile", "median", "upper_quartile")


# ---------------------------------------------------------------- one study


def plot_map(table: pd.DataFrame, title: str = "") -> Figure:
    """s(ε) of every layer as a map: one row per layer, ε to the right, dark where all neurons match."""
    wide = table.pivot(index=["position", "layer"], columns="epsilon", values="similarity").sort_index()
    names = wide.index.get_level_values("layer")
    figure, ax = plt.subplots(figsize=(7.6, 1.3 + 0.25 * len(names)))
    picture = ax.imshow(
        wide.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, 1, len(names) - 0.5, -0.5)
    )
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="ε", title=title)
    ax.grid(False)
    figure.colorbar(picture, ax=ax, label="maximum matching similarity s(ε)")
    return figure


def plot_curves(table: pd.DataFrame, title: str = "") -> Figure:
    """s(ε) of every layer as lines, coloured from the input (dark) to the logits (light)."""
    figure, ax = plt.subplots()
    for (position, layer), rows in table.groupby(["position", "layer"]):
        ax.plot(rows["epsilon"], rows["similarity"], color=_shade(position, table), label=layer, linewidth=1.5)
    ax.set(xlabel="ε", ylabel="maximum matching similarity s(ε)", xlim=(0, 1), ylim=(-0.02, 1.02), title=title)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="x-small")
    return figure


def _shade(position: Any, table: pd.DataFrame) -> str:
    """Dark for the first layer, light for the last, but always dark enough to be seen."""
    return to_hex(plt.get_cmap("viridis")(0.9 * position / max(1, table["position"].max())))


def moving_curves(table: pd.DataFrame) -> Any:
    """The curves s(ε) as a plotly figure.

    Hover to see the numbers; click a layer in the legend to hide or isolate it.
    """
    from plotly import graph_objects as go

    figure = go.Figure()
    for (position, layer), rows in table.groupby(["position", "layer"]):
        steps = rows[rows["similarity"].diff().fillna(1) != 0]  # only where the curve moves
        last = rows.iloc[[-1]]
        steps = pd.concat([steps, last]).drop_duplicates("epsilon")
        figure.add_scatter(
            x=steps["epsilon"].tolist(),
            y=steps["similarity"].round(4).tolist(),
            name=str(layer),
            mode="lines",
            line={"shape": "hv", "color": _shade(position, table)},
        )
    figure.update_layout(xaxis_title="ε", yaxis_title="similarity s(ε)", xaxis_range=[0, 1], yaxis_range=[-0.02, 1.02])
    return figure


def plot_critical(critical: pd.DataFrame, title: str = "") -> Figure:
    """Per layer: smallest critical ε, its quartiles, and the share of neurons that never match."""
    found = critical_summary(critical)
    capped = found.assign(**{name: found[name].clip(upper=1.0) for name in ("smallest", *_QUARTILES)})
    figure, ax = plt.subplots(figsize=(7.2, 1.3 + 0.25 * len(found)))
    rows = np.arange(len(found))
    ax.hlines(rows, capped["smallest"], capped["upper_quartile"], color="0.7", linewidth=1.5)
    ax.hlines(rows, capped["lower_quartile"], capped["upper_quartile"], color="C0", linewidth=6)
    ax.plot(capped["median"], rows, "o", color="white", markeredgecolor="black", markersize=6, label="median")
    ax.plot(capped["smallest"], rows, "|", color="0.3", markersize=9, label="first neuron")
    for row, share in enumerate(found["never"]):
        ax.text(1.02, row, f"{share:.0%}", va="center", fontsize="small")
    ax.text(1.02, -1.1, "never", va="center", fontsize="small")
    ax.set_yticks(rows, found["layer"])
    ax.set(xlabel="critical ε (bar: middle half of the neurons)", xlim=(0, 1.1), title=title)
    ax.set_ylim(len(found) - 0.4, -1.6)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, fontsize="small")
    return figure


def plot_sampling(errors: pd.DataFrame) -> Figure:
    """The error of the paper's sampling in each layer, in hundredths of the neurons, with one marker per ε."""
    figure, ax = plt.subplots(figsize=(7.4, 3.8))
    layers = errors.sort_values("position")["layer"].drop_duplicates().tolist()
    for number, (epsilon, rows) in enumerate(errors.groupby("epsilon")):
        places = [layers.index(layer) + 0.1 * (number - 2) for layer in rows["layer"]]
        ax.plot(
            places, 100 * rows["difference"], MARKERS[number % 10], label=f"ε = {epsilon:g}", color=f"C{number % 10}"
        )
    ax.axhline(0, color="0.4", linewidth=1)
    ax.set_xticks(range(len(layers)), layers, rotation=90)
    ax.set(ylabel="sampled less full, in hundredths")
    ax.legend(fontsize="small", ncols=3)
    return figure


# ---------------------------------------------------------------- several studies


def plot_compared(tables: dict[str, pd.DataFrame], epsilons: Sequence[float]) -> Figure:
    """Similarity by layer: one panel per ε, one line per table of `layer_means`, with the interval shaded."""
    figure, axes = plt.subplots(len(epsilons), 1, figsize=(7.4, 2.2 * len(epsilons) + 0.9), sharex=True, squeeze=False)
    for ax, epsilon in zip(axes[:, 0], epsilons, strict=True):
        for number, (name, table) in enumerate(tables.items()):
            rows = table[np.isclose(table["epsilon"], epsilon)].sort_values("position")
            style: dict[str, Any] = {"color": f"C{number}", "linestyle": DASHES[number % 4]}
            ax.plot(rows["layer"], rows["mean"], marker="o", markersize=4, label=name, **style)
            ax.fill_between(rows["layer"], rows["low"], rows["high"], color=f"C{number}", alpha=0.2, linewidth=0)
        ax.set(ylabel=f"s(ε), ε = {epsilon:g}", ylim=(-0.03, 1.03))
    axes[-1, 0].tick_params(axis="x", rotation=90)
    axes[0, 0].legend(fontsize="small")
    return figure


def plot_depths(tables: dict[str, pd.DataFrame], epsilon: float) -> Figure:
    """Similarity at one ε against relative depth (0: first layer, 1: logits), one line per network."""
    figure, ax = plt.subplots(figsize=(7.6, 5.0))
    for number, (name, table) in enumerate(tables.items()):
        rows = table[np.isclose(table["epsilon"], epsilon)].sort_values("depth")
        style: dict[str, Any] = {"color": f"C{number % 10}", "linestyle": DASHES[number % 4]}
        ax.plot(rows["depth"], rows["mean"], marker=MARKERS[number % 10], markersize=4, label=name, **style)
    ax.set(xlabel="relative depth", ylabel=f"s(ε), ε = {epsilon:g}", ylim=(-0.03, 1.03))
    ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    return figure


def plot_critical_depths(table: pd.DataFrame) -> Figure:
    """Median critical ε against relative depth, one line per network."""
    figure, ax = plt.subplots(figsize=(7.6, 5.6))
    for number, (name, rows) in enumerate(table.groupby("study")):
        style: dict[str, Any] = {"color": f"C{number % 10}", "linestyle": DASHES[number % 4], "markersize": 4}
        ax.plot(rows["depth"], rows["median"].clip(upper=1), marker=MARKERS[number % 10], label=name, **style)
    ax.set(xlabel="relative depth", ylabel="median critical ε", ylim=(0, 1.02))
    ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    return figure
