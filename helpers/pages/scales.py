"""Tables, figures and phrases of calibrated similarity, made from the values under all conditions."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..measures import INVARIANCES, MEASURES
from ..networks.architectures import network_names
from ..studies import Kind, Study, find_or_compute
from ..studies.identification import confusion
from ..studies.rivals import agreement, dips
from .alike import layer_groups
from .claims import Plan, read_evidence
from .layer_tables import INNER, axis_names, spoken

SUBSPACE = [name for name in MEASURES if name.startswith("subspace")]
RIVALS = [name for name in MEASURES if name not in SUBSPACE and name not in ("cka_raw", "cka")]  # one CKA is enough
END_NAMES = {"ceiling": "an earlier self", "observed": "another seed", "untrained": "untrained", "chance": "chance"}
COLOURS = {"ceiling": "C2", "observed": "C0", "untrained": "C1", "chance": "0.5"}
MARKS = {"ceiling": "^", "observed": "o", "untrained": "s", "chance": "x"}


# ---------------------------------------------------------------- what the pages read


def values_by_network(
    kind: Kind,
    place: tuple[str, float, Sequence[int]],
    runs: Iterable[tuple[str, str, int, int]],
    recompute: bool = False,
    **settings: Any,
) -> dict[str, pd.DataFrame]:
    """The table "values" of one kind of study for several networks: read, or computed where it is not recorded.

    `place` is dataset, width and seeds; each run is a network, its recipe, its epochs, and the earlier epoch that is
    the ceiling. `settings` are the kind's own.
    """
    dataset, width, seeds = place
    tables = {}
    for network, recipe, epochs, earlier in runs:
        study = Study(dataset, network, width, tuple(seeds), recipe, epochs=epochs)
        tables[network] = find_or_compute(kind, study, settings | {"earlier": earlier}, recompute).tables["values"]
    return tables


# ---------------------------------------------------------------- groups of layers


@cache
def _plan() -> Plan:
    return read_evidence()


def groups_or_thirds(network: str, table: pd.DataFrame) -> dict[str, list[str]]:
    """Layers by group, from the input on: as in `Plan.group`, or by thirds for networks that are not this book's.

    Those have the first layer as one group. Their other convolutional layers are cut into thirds: early, middle, late.
    The remaining layers are grouped by kind. Raises `BadInput` for a layer of one of this book's networks that is in no
    group.
    """
    layers = table.drop_duplicates("layer").sort_values("position")
    names = list(layers["layer"])
    if network in network_names():
        return layer_groups(_plan(), network, names)
    inner = [name for name in layers.loc[layers["kind"].isin(INNER), "layer"] if name != names[0]]
    parts = zip(("early", "middle", "late"), np.array_split(np.array(inner, dtype=object), 3), strict=True)
    groups = {"first": names[:1]} | {group: list(part) for group, part in parts}
    for kind in ("pool", "fc", "logits"):
        groups[kind] = list(layers.loc[layers["kind"] == kind, "layer"])
    return {group: members for group, members in groups.items() if members}


def group_means(calibrated: Mapping[str, pd.DataFrame], measure: str, column: str = "calibrated") -> pd.DataFrame:
    """One row per network, one column per group: the mean of a column of the calibrated table over the group."""
    rows = []
    for network, table in calibrated.items():
        values = table[table["measure"] == measure].set_index("layer")[column]
        groups = groups_or_thirds(network, table).items()
        rows.append({"network": spoken(network)} | {group: float(values[layers].mean()) for group, layers in groups})
    return pd.DataFrame(rows)


def measure_means(network: str, calibrated: pd.DataFrame, samples: str = "images") -> pd.DataFrame:
    """One row per measure, one column per group: the mean calibrated similarity of one network."""
    table = calibrated[calibrated["samples"] == samples]
    rows = {}
    for name in (name for name in MEASURES if name in set(table["measure"])):
        values = table[table["measure"] == name].set_index("layer")["calibrated"]
        rows[name] = {group: values[layers].mean() for group, layers in groups_or_thirds(network, table).items()}
    return pd.DataFrame(rows).T


def dipping(means: pd.DataFrame) -> list[str]:
    """The rival measures that are lower in the middle group than in the first and in the late group."""
    rivals = means.loc[[name for name in RIVALS if name in means.index]]
    return list(rivals.index[dips(rivals)])


def averaged_in_words(calibrated: Mapping[str, pd.DataFrame]) -> str:
    """In a sentence: the layer whose subspace match differs most between averages over positions and single positions.

    "" if no table has both.
    """
    parts = []
    for network, table in calibrated.items():
        both = table[table["measure"] == "subspace"].pivot(index="layer", columns="samples", values="observed")
        if {"images", "positions"} <= set(both):
            parts.append(both.assign(network=spoken(network), more=both["images"] - both["positions"]))
    if not parts:
        return ""
    rows = pd.concat(parts)
    row = rows.iloc[int(rows["more"].argmax())]
    place = f"In {row.name} of {row['network']}"
    return f"{place} the area under s(ε) is {row['images']:.2f} instead of {row['positions']:.2f}."


def unlike_itself(tables: Mapping[str, pd.DataFrame], epsilon: float = 0.3) -> str:
    """In words: in how many layers most neurons do not even match an earlier checkpoint of their own network.

    "" if there is no such layer.

    `tables`: rows of the measure "subspace_median" by network. Its ceiling is 1 less the median critical ε there.
    """
    counts = {spoken(network): int((table["ceiling"] < 1 - epsilon).sum()) for network, table in tables.items()}
    parts = [f"{count} layers of {name}" for name, count in counts.items() if count]
    if not parts:
        return ""
    return (
        f"In {' and '.join(parts)} most neurons do not even match the same network some epochs earlier at "
        f"ε = {epsilon:g}. So 0 at this ε does not mean that two layers are unrelated."
    )


# ---------------------------------------------------------------- tables for reading


def measures_table() -> pd.DataFrame:
    """The changes of the neurons that a measure ignores: one row per measure, one column per change."""
    rows = []
    for entry in MEASURES.values():
        ignores = {how.replace("_", "-"): "✓" if how in entry.invariances else "" for how in INVARIANCES}
        rows.append({"measure": entry.title, **ignores})
    return pd.DataFrame(rows)


def with_titles(means: pd.DataFrame) -> pd.DataFrame:
    """The table by measure with the measures' titles in a column of their own."""
    return means.rename_axis("name").reset_index().assign(name=lambda t: [MEASURES[n].title for n in t["name"]])


# ---------------------------------------------------------------- figures


def plot_ends(calibrated: Mapping[str, pd.DataFrame], measure: str, label: str) -> Figure:
    """Observed, untrained, ceiling and chance by layer, one panel per network; the observed line has its interval."""
    figure, axes = plt.subplots(len(calibrated), 1, figsize=(7.6, 3.5 * len(calibrated)), squeeze=False)
    for ax, (network, table) in zip(axes[:, 0], calibrated.items(), strict=True):
        rows = table[table["measure"] == measure].sort_values("position")
        layers = axis_names(rows["layer"])
        for end, name in END_NAMES.items():
            ax.plot(layers, rows[end], color=COLOURS[end], marker=MARKS[end], markersize=4, label=name)
        ax.fill_between(layers, rows["low"], rows["high"], color=COLOURS["observed"], alpha=0.2, linewidth=0)
        ax.set(ylabel=label, ylim=(-0.03, 1.03), title=spoken(network))
        ax.tick_params(axis="x", rotation=90)
    axes[0, 0].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def plot_calibrated(calibrated: Mapping[str, pd.DataFrame], measure: str) -> Figure:
    """Calibrated similarity by layer with its interval, and that of untrained twins; one panel per network."""
    figure, axes = plt.subplots(len(calibrated), 1, figsize=(7.6, 3.3 * len(calibrated)), squeeze=False)
    for ax, (network, table) in zip(axes[:, 0], calibrated.items(), strict=True):
        rows = table[table["measure"] == measure].sort_values("position")
        layers = axis_names(rows["layer"])
        error = [rows["calibrated"] - rows["calibrated_low"], rows["calibrated_high"] - rows["calibrated"]]
        style: dict[str, Any] = {"fmt": "o-", "markersize": 4, "capsize": 2, "color": COLOURS["observed"]}
        ax.errorbar(layers, rows["calibrated"], np.maximum(error, 0), label=END_NAMES["observed"], **style)
        style = {"color": COLOURS["untrained"], "marker": MARKS["untrained"], "markersize": 4}
        ax.plot(layers, rows["calibrated_untrained"], label=END_NAMES["untrained"], **style)
        for level in (0, 1):
            ax.axhline(level, color="0.4", linewidth=1)
        ax.set(ylabel="calibrated similarity", ylim=(-0.15, 1.15), title=spoken(network))
        ax.tick_params(axis="x", rotation=90)
    axes[0, 0].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    return figure


def plot_heat(calibrated: Mapping[str, pd.DataFrame], samples: str = "images") -> Figure:
    """Calibrated similarity, measures × layers, one panel per network. Every cell shows its number in hundredths."""
    figure, axes = plt.subplots(len(calibrated), 1, figsize=(9.6, 5.6 * len(calibrated)), squeeze=False)
    for ax, (network, table) in zip(axes[:, 0], calibrated.items(), strict=True):
        rows = table[table["samples"] == samples]
        wide = rows.pivot(index="measure", columns=["position", "layer"], values="calibrated").sort_index(axis=1)
        wide = wide.reindex([name for name in MEASURES if name in wide.index])
        wide.columns = wide.columns.get_level_values("layer")
        _draw_cells(ax, wide.rename(index=lambda name: MEASURES[name].title), spoken(network))
    return figure


def _draw_cells(ax: Axes, table: pd.DataFrame, title: str) -> None:
    values = table.to_numpy(dtype=float)
    ax.imshow(np.clip(values, 0, 1), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for row, column in np.ndindex(values.shape):
        value = values[row, column]
        text = "–" if np.isnan(value) else f"{100 * value:.0f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if value > 0.6 else "black")
    ax.set_xticks(range(table.shape[1]), axis_names(table.columns), rotation=90)
    ax.set_yticks(range(len(table)), table.index)
    ax.set_title(title)
    ax.grid(False)


def plot_agreement(calibrated: Mapping[str, pd.DataFrame]) -> Figure:
    """Rank correlation between the measures over layers, one panel per network."""
    figure, axes = plt.subplots(len(calibrated), 1, figsize=(8.4, 6.4 * len(calibrated)), squeeze=False)
    for ax, (network, table) in zip(axes[:, 0], calibrated.items(), strict=True):
        correlations = agreement(table)
        names = [name for name in MEASURES if name in correlations]
        titles = {name: MEASURES[name].title for name in names}
        _draw_cells(ax, correlations.loc[names, names].rename(index=titles, columns=titles), spoken(network))
    return figure


def plot_accuracies(tables: Mapping[str, pd.DataFrame], chance: Mapping[str, float]) -> Figure:
    """Accuracy of identification of every measure with its interval. The dashed line is guessing."""
    figure, axes = plt.subplots(1, len(tables), figsize=(4.6 * len(tables), 4.6), squeeze=False, sharey=True)
    order = [name for name in MEASURES if name in set(next(iter(tables.values()))["measure"])][::-1]
    for ax, (network, table) in zip(axes[0], tables.items(), strict=True):
        rows = table.set_index("measure").loc[order]
        colours = ["C3" if name in SUBSPACE else "C0" for name in order]
        ax.barh([MEASURES[name].title for name in order], rows["accuracy"], color=colours, alpha=0.8)
        if rows["low"].notna().all():
            bars = np.abs([rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]])
            ax.errorbar(rows["accuracy"], range(len(order)), xerr=bars, fmt="none", color="0.2", capsize=2)
        ax.axvline(chance[network], color="0.4", linestyle="--")
        ax.set(xlim=(0, 1.02), xlabel="layers identified", title=spoken(network))
    return figure


def plot_confusion(values: Mapping[str, pd.DataFrame], measures: tuple[str, ...]) -> Figure:
    """Which layer is most similar to each layer: one panel per measure and network.

    A good measure has its colour on the diagonal.
    """
    size = (3.1 * len(measures), 3.4 * len(values))
    figure, axes = plt.subplots(len(values), len(measures), figsize=size, squeeze=False, sharey="row")
    for row, (network, table) in zip(axes, values.items(), strict=True):
        for ax, name in zip(row, measures, strict=True):
            shares = confusion(table, name)
            ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
            layers = axis_names(shares.columns)
            ax.set_xticks(range(len(shares)), layers, rotation=90, fontsize=8)
            ax.set_yticks(range(len(shares)), layers, fontsize=8)
            ax.set_title(MEASURES[name].title, fontsize=9)
            ax.grid(False)
        row[0].set_ylabel(spoken(network))
    return figure


# ---------------------------------------------------------------- in words


def listed(names: list[str]) -> str:
    """Names of measures as in a sentence: "SVCCA, PWCCA and RSA"; "none" for no name."""
    titles = [MEASURES[name].title for name in names]
    return " and ".join([", ".join(titles[:-1]), titles[-1]] if len(titles) > 1 else titles) or "none"


def yes_or_no(holds: bool) -> str:
    """Whether an expectation that was written down before looking came true: "yes" or "no"."""
    return "yes" if holds else "no"
