"""Figures and phrases of the page on interchangeable layers: stitching, and channels matched one to one."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..studies.rebasin import PATHS, barriers
from ..studies.stitching import SOURCES, stitched_unmatched
from .alike import english_list
from .claims import Plan, read_evidence
from .layer_tables import axis_names

Tables = Mapping[str, pd.DataFrame]  # one table per network, by the name that readers see

STITCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "trained": ("other network", {"color": "C0", "marker": "o"}),
    "identity": ("itself", {"color": "C2", "marker": "^"}),
    "untrained": ("untrained network", {"color": "C1", "marker": "s"}),
    "other images": ("other images", {"color": "C3", "marker": "x"}),
}
LINES: dict[str, dict[str, Any]] = {
    "before matching": {"color": "C7", "linestyle": "--", "marker": "x"},
    "before matching, recalibrated": {"color": "C7", "linestyle": "-", "marker": "o"},
    "matched": {"color": "C0", "linestyle": "--", "marker": "x"},
    "matched, recalibrated": {"color": "C0", "linestyle": "-", "marker": "o"},
}


def by_source(table: pd.DataFrame) -> pd.DataFrame:
    """Means over pairs, per layer and source: accuracy, own, lost, agreement, similarity, area, explained."""
    values = ["accuracy", "own", "lost", "agreement", "similarity", "area", "explained"]
    return table.groupby(["position", "layer", "source"], observed=True)[values].mean().reset_index()


def stitching_rows(tables: Tables) -> pd.DataFrame:
    """One row per network and layer: the accuracy lost with each source, and the similarity."""
    parts = []
    for name, table in tables.items():
        means = by_source(table)
        wide = means.pivot(index=["position", "layer"], columns="source", values="lost")
        wide = wide.reindex(columns=[source for source in SOURCES if source in wide]).add_prefix("lost, ")
        ours = means[means["source"] == "trained"].set_index(["position", "layer"])
        wide = ours[["similarity", "area", "explained"]].join(wide).reset_index().drop(columns="position")
        parts.append(wide.assign(network=name))
    rows = pd.concat(parts, ignore_index=True)
    return rows[["network", *rows.columns.drop("network")]]


def interchange_in_words(stitched: Tables, paths: Tables, partners: Tables) -> dict[str, str]:
    """The numbers in the page's prose, as text."""
    words: dict[str, str] = {}
    dissimilar = [stitched_unmatched(table) for table in stitched.values()]
    layers = sum(int(each["layers"]) for each in dissimilar)
    passing = sum(each["layers"] * each["share"] for each in dissimilar if each["layers"])
    words["unlike"], words["unlike-stitched"] = str(layers), f"{passing:.0f}"
    words["unlike-share"] = f"{100 * passing / layers:.0f} %" if layers else "none"
    words["verdict"] = "open" if not layers else "holds" if passing / layers >= 0.8 else "fails"
    means = pd.concat([by_source(table) for table in stitched.values()])
    words["opening"] = opening(means[means["source"] == "trained"])
    lost = means.groupby("source")["lost"]
    for source in SOURCES:
        if source in lost.groups:
            words[f"lost-{source.replace(' ', '-')}"] = f"{100 * lost.mean()[source]:.1f}"
            words[f"worst-{source.replace(' ', '-')}"] = f"{100 * lost.max()[source]:.1f}"
    rows = pd.concat([barriers(table) for table in paths.values()])
    for path in PATHS.values():
        some = rows[rows["path"] == path]
        if len(some):
            words[f"barrier-{path.replace(', ', '-').replace(' ', '-')}"] = from_to(100 * some["accuracy_barrier"], 0)
    ours = means[means["source"] == "trained"]
    words["least-explained"] = f"{100 * ours['explained'].min():.0f} %"
    words["lost-there"] = f"{100 * ours.loc[ours['explained'].eq(ours['explained'].min()), 'lost'].iloc[0]:.1f}"
    both = pd.concat(partners.values())
    for column in ("before", "matched", "chance", "partner_epsilon", "match_epsilon"):
        words[column.replace("_", "-")] = from_to(pd.Series([table[column].mean() for table in partners.values()]), 2)
    words["nearer"] = f"{100 * (both['match_epsilon'] < both['partner_epsilon']).mean():.0f} %"
    return words


def lost_in_the_middle(stitched: Tables, architectures: Mapping[str, str]) -> str:
    """What a stitch loses in the middle layers on average, as the front page says it.

    `architectures` has the architecture of each network in `stitched`.
    """
    plan, means = read_evidence(), []
    for name, table in stitched.items():
        ours = table[table["source"] == "trained"]
        inside = [plan.group(architectures[name], str(layer)) == "middle" for layer in ours["layer"]]
        means.append(ours.loc[inside, "lost"].mean())
    return f"{100 * np.mean(means):.1f}"


def opening(means: pd.DataFrame, lost: float = 0.05) -> str:
    """The answer in a few words, by the share of layers that lose less than `lost` of accuracy."""
    share = float((means["lost"] < lost).mean())
    return (
        "yes, nearly everywhere"
        if share >= 0.9
        else "mostly yes"
        if share >= 0.6
        else "partly"
        if share >= 0.3
        else "no"
    )


def from_to(values: pd.Series, digits: int) -> str:
    """One number, or the smallest and the largest of several: "0.31 to 0.45"."""
    low, high = (f"{value:.{digits}f}" for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def loss_and_similarity_in_words(rows: pd.DataFrame) -> dict[str, str]:
    """Rank correlation over layers of what a stitch loses with each similarity of `lost_by_layer`, by network."""
    words = {}
    for column in ("similarity", "calibrated"):
        parts = []
        for network, layers in rows.groupby("network", sort=False):
            known = layers.dropna(subset=[column])
            value = known["lost"].corr(known[column], method="spearman") if len(known) > 2 else np.nan
            parts.append(f"{'unknown' if np.isnan(value) else f'{value:.2f}'} ({network})")
        words[f"rank-{column}"] = english_list(parts)
    return words


def barriers_reduced(path: pd.DataFrame) -> pd.Series:
    """For each pair: the share of the loss barrier that matching and recalibration remove; NaN without a barrier."""
    wide = barriers(path).pivot_table(index=["seed_a", "seed_b"], columns="path", values="loss_barrier")
    before, after = wide["before matching"], wide.get("matched, recalibrated", wide["matched"])
    return 1 - after / before.where(before > 0)


def correlations_beside_plan(partners: Tables, plan: Plan) -> str:
    """Whether the mean correlations of partners are in the range of the plan, and how many single layers are not."""
    low, high = plan.expected["rebasin"]["matched_correlation"]
    inside = all(low <= table["matched"].mean() <= high for table in partners.values())
    parts = []
    for name, table in partners.items():
        layers = table.groupby("layer", observed=True)["matched"].mean()
        counts = f"in {name} {(layers < low).sum()} of {len(layers)} below and {(layers > high).sum()} above"
        parts.append(f"{counts} ({layers.min():.2f} to {layers.max():.2f})")
    return (
        f"We expected {low} to {high} before we looked. The means are {'' if inside else 'not all '}inside. "
        f"Single layers outside: {'; '.join(parts)}"
    )


# ---------------------------------------------------------------- figures


def stacked_panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """One panel per network, one below the other."""
    figure, axes = plt.subplots(count, 1, figsize=(7.2, height * count), squeeze=False)
    return figure, list(axes[:, 0])


def plot_stitching(tables: Tables) -> Figure:
    """Accuracy after a stitch at every layer, one line per source. Grey bars show the similarity of the two layers."""
    figure, axes = stacked_panels(len(tables), 3.8)
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        means = by_source(table)
        ours = means[means["source"] == "trained"]
        ax.bar(ours["position"], 100 * ours["similarity"], color="0.85", label="s(0.3) in %", zorder=1)
        for source, (label, style) in STITCHES.items():
            rows = means[means["source"] == source]
            if len(rows):
                ax.plot(rows["position"], 100 * rows["accuracy"], label=label, markersize=5, zorder=2, **style)
        ax.axhline(100 * ours["own"].mean(), color="black", linewidth=0.8, linestyle=":", label="without a stitch")
        ax.set_xticks(ours["position"], axis_names(ours["layer"]), rotation=90, fontsize="small")
        ax.set(title=name, ylabel="test accuracy in %", ylim=(0, 103))
    axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small", title="activations from")
    return figure


def lost_by_layer(tables: Tables, calibrated: Tables) -> pd.DataFrame:
    """One row per network and layer: accuracy lost by a stitch, s(0.3), and the calibrated similarity where recorded.

    calibrated: tables of `evidence.scale_of`, by the same names of networks as `tables`; a name may be missing.
    """
    parts = []
    for name, table in tables.items():
        rows = by_source(table).query("source == 'trained'").assign(network=name)
        known: Any = calibrated[name].astype({"layer": str}).set_index("layer")["mean"] if name in calibrated else {}
        parts.append(rows.assign(calibrated=rows["layer"].astype(str).map(known).astype(float)))
    columns = ["network", "layer", "lost", "similarity", "calibrated"]
    return pd.concat(parts, ignore_index=True)[columns]


def plot_lost(rows: pd.DataFrame, similar: float = 0.05, lost: float = 0.05) -> Figure:
    """Accuracy lost against similarity and against calibrated similarity, one point per row of `lost_by_layer`.

    The field of claim C6 is shaded. Without any calibrated similarity there is one panel.
    """
    labels = {"similarity": "similarity s(0.3)", "calibrated": "calibrated similarity"}
    shown = [column for column in labels if rows[column].notna().any()]
    figure, axes = plt.subplots(1, len(shown), figsize=(1.6 + 3.4 * len(shown), 3.8), sharey=True, squeeze=False)
    axes[0, 0].axvspan(-0.02, similar, color="0.9", zorder=0, label=f"s(0.3) at most {similar:g}")
    for ax, column in zip(axes[0], shown, strict=True):
        ax.axhline(100 * lost, color="black", linewidth=0.8, linestyle=":", label=f"{100 * lost:.0f} points")
        for number, (name, points) in enumerate(rows.groupby("network", sort=False)):
            marks = {"marker": "os"[number % 2], "color": f"C{number}", "alpha": 0.8, "linestyle": ""}
            ax.plot(points[column], 100 * points["lost"], label=name, **marks)
        ax.set(xlabel=labels[column], xlim=(-0.02, 1.02))
    axes[0, 0].set_ylabel("accuracy lost, in points")
    axes[0, 0].legend(fontsize="small")
    return figure


def plot_paths(paths: Tables) -> Figure:
    """Accuracy of the weights between two networks, before and after matching and recalibration."""
    figure, axes = plt.subplots(1, len(paths), figsize=(3.2 + 3.0 * len(paths), 3.6), sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes[0], paths.items(), strict=True):
        means = table.groupby(["path", "alpha"], observed=True)["accuracy"].mean().reset_index()
        for path, style in LINES.items():
            rows = means[means["path"] == path]
            ax.plot(rows["alpha"], 100 * rows["accuracy"], label=path, **style)
        ax.set(title=name, xlabel="α, from A to B", ylim=(0, 103))
    axes[0, 0].set_ylabel("test accuracy in %")
    axes[0, -1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def plot_partners(partners: Tables) -> Figure:
    """Per layer: mean correlation of every channel with its one partner, and the critical ε of partners and layers."""
    figure, axes = stacked_panels(len(partners), 3.4)
    lines: dict[str, tuple[str, dict[str, Any]]] = {
        "matched": ("correlation of partners", {"color": "C0", "marker": "o"}),
        "chance": ("by chance (other images)", {"color": "C3", "marker": "x"}),
        "partner_epsilon": ("critical ε, one partner", {"color": "C1", "marker": "s", "linestyle": "--"}),
        "match_epsilon": ("critical ε, whole layer", {"color": "C2", "marker": "^", "linestyle": "--"}),
    }
    for ax, (name, table) in zip(axes, partners.items(), strict=True):
        columns = ["layer", "position"]
        rows = (
            table.groupby(columns, observed=True, sort=False)[list(lines)].mean().reset_index().sort_values("position")
        )
        for column, (label, style) in lines.items():
            ax.plot(range(len(rows)), rows[column], label=label, markersize=5, **style)
        ax.set_xticks(range(len(rows)), axis_names(rows["layer"]), rotation=90, fontsize="small")
        ax.set(title=name, ylim=(-0.05, 1.05))
    axes[0].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure
