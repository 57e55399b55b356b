"""Figures by layer from the tables of `layer_tables`: maps of s(ε), errors of sampling, lines over layers and depth."""

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from .layer_tables import axis_names

MARKERS, DASHES = "osD^vPX*hd", ("-", "--", ":", "-.")


# ---------------------------------------------------------------- one study


def plot_map(table: pd.DataFrame, title: str = "") -> Figure:
    """s(ε) of every layer as a map: one row per layer, ε to the right, dark where all neurons match."""
    wide = table.pivot(index=["position", "layer"], columns="epsilon", values="similarity").sort_index()
    names = wide.index.get_level_values("layer")
    figure, ax = plt.subplots(figsize=(7.6, 1.3 + 0.25 * len(names)))
    picture = ax.imshow(
        wide.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1, extent=(0, 1, len(names) - 0.5, -0.5)
    )
    ax.set_yticks(range(len(names)), axis_names(names))
    ax.set(xlabel="ε", title=title)
    ax.grid(False)
    figure.colorbar(picture, ax=ax, label="maximum matching similarity s(ε)")
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
    ax.set_xticks(range(len(layers)), axis_names(layers), rotation=90)
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
            layers = axis_names(rows["layer"])
            ax.plot(layers, rows["mean"], marker="o", markersize=4, label=name, **style)
            ax.fill_between(layers, rows["low"], rows["high"], color=f"C{number}", alpha=0.2, linewidth=0)
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
