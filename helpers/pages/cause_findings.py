"""Records of the causes of similarity on a page: tables by condition, their figures, and phrases."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import unknown
from ..matching.match import similarity_curve
from ..studies.causes import CONDITIONS, REMOVALS, SHUFFLES, area, at_equal_variance, linear_cka, shares_left
from ..studies.constructions import twin_gram
from ..studies.intervals import PAIR
from ..subspaces import Gram
from .alike import english_list
from .layer_figures import DASHES, MARKERS
from .layer_tables import axis_names

LAYER_WORDS = {"pool": "the pooled features", "fc": "the fully connected layers"}
NEAR_OUTPUT = tuple(LAYER_WORDS)  # kinds of layers
SPOKEN = {"centred": "mean map"}  # records say centred; elsewhere this means one mean per neuron, not a map
WORDS = {"whole": "as it is", "base": "centred", "floor": "any image"}  # areas to which others are compared


# ---------------------------------------------------------------- tables


def by_condition(similarity: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    """Mean similarity over pairs at ε: one row per condition in their order, one column per layer from the input on.

    Raises `BadInput` for an ε that is not recorded.
    """
    rows = similarity[np.isclose(similarity["epsilon"], epsilon)]
    if rows.empty:
        raise unknown("ε of the record", epsilon, sorted(similarity["epsilon"].unique()))
    wide = rows.pivot_table(index="condition", columns=["position", "layer"], values="similarity", observed=True)
    wide.columns = wide.columns.get_level_values("layer")
    return wide.reindex([condition for condition in CONDITIONS if condition in wide.index])


def by_area(critical: pd.DataFrame) -> pd.DataFrame:
    """Similarity averaged over all ε in [0, 1): the mean of 1 − critical ε, 0 for neurons that never match.

    This is the area under the curve s(ε), which needs no choice of ε. One row per condition, one column per layer.
    """
    place, value = ["position", "layer"], "critical_epsilon"
    wide = critical.pivot_table(index="condition", columns=place, values=value, aggfunc=area, observed=True)
    wide.columns = wide.columns.get_level_values("layer")
    return wide.reindex([condition for condition in CONDITIONS if condition in wide.index])


def comparisons_table(similarity: pd.DataFrame) -> pd.DataFrame:
    """What is matched in each comparison that a record has."""
    there = set(similarity["condition"])
    rows = [(SPOKEN.get(name, name), about) for name, about in CONDITIONS.items() if name in there]
    return pd.DataFrame(rows, columns=["comparison", "what is matched"])


def directions_near_output(directions: pd.DataFrame) -> pd.DataFrame:
    """Hidden layers near the output without directions of a third network, averaged over pairs.

    The columns are position, layer, taken, directions, variance_left, left (as a share of the area without mean map
    under s(ε)).
    """
    rows = shares_left(directions[directions["kind"].isin(NEAR_OUTPUT)])
    by = ["position", "layer", "taken", "directions"]
    return rows.groupby(by, observed=True)[["variance_left", "left"]].mean().reset_index()


def twin_curve(gram: Gram, epsilons: Sequence[float] = (0.3, 0.5), steps: int = 11) -> pd.DataFrame:
    """What the measures say of the same-output twins as their company grows: similarity at each ε, and linear CKA."""
    rows = []
    for share in np.linspace(0.02, 0.98, steps):
        twins = twin_gram(gram, float(share))
        row = dict(zip(epsilons, similarity_curve(twins.pair(0, 1), epsilons), strict=True))
        rows.append({"share": share, "cka": linear_cka(twins.centred().gram, twins.sizes[0])} | row)
    return pd.DataFrame(rows).melt(id_vars="share", var_name="measure", value_name="value")


# ---------------------------------------------------------------- figures


def plot_conditions(table: pd.DataFrame, title: str) -> Figure:
    """A table of `by_condition` or `by_area` as a map. Every cell shows its number in hundredths."""
    figure, ax = plt.subplots(figsize=(1.8 + 0.5 * table.shape[1], 1.4 + 0.36 * len(table)))
    _draw_map(ax, table, title)
    return figure


def _draw_map(ax: Axes, table: pd.DataFrame, title: str) -> None:
    ax.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(table.shape):
        value = table.to_numpy()[row, column]
        shade = "white" if value > 0.6 else "black"
        ax.text(column, row, in_hundredths(float(value)), ha="center", va="center", color=shade)
    ax.set_xticks(range(table.shape[1]), axis_names(table.columns), rotation=90)
    ax.set_yticks(range(len(table)), [SPOKEN.get(name, name) for name in table.index])
    ax.set_title(title)
    ax.grid(False)


def in_hundredths(value: float) -> str:
    """A cell of a map: a dot for exactly 0, a dash for what could not be computed."""
    return "–" if np.isnan(value) else "·" if value == 0 else f"{100 * value:.0f}"


def plot_directions(table: pd.DataFrame) -> Figure:
    """The area left against the variance left, as more and more directions are removed. One panel per layer."""
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
    """What the measures say of the twins, against the share of company in their neurons."""
    figure, ax = plt.subplots()
    for number, (measure, rows) in enumerate(table.groupby("measure", sort=False)):
        label = "linear CKA" if measure == "cka" else f"s(ε), ε = {measure:g}"
        ax.plot(rows["share"], rows["value"], DASHES[number % 4], marker=MARKERS[number], markersize=4, label=label)
    ax.set(xlabel="share of company", ylabel="similarity", ylim=(-0.03, 1.03))
    ax.legend(fontsize="small")
    return figure


# ---------------------------------------------------------------- in words


def causes_in_words(tables: dict[str, pd.DataFrame], epsilon: float) -> dict[str, str]:
    """How much of the similarity of hidden layers near the output each condition leaves, in per cent.

    - `condition`: the share of the similarity at ε;
    - `condition_area`: the share of the area under s(ε);
    - `distance`: the mean lower bound on a neuron's distance from neurons that see other images of its class;
    - `near_output`: the layers that count, in words;
    - `power`: the share of power that third logits leave;
    - `own_explained`: the share of the centred power that a network's own logits explain;
    - `strongest_left`, `beside_left`, `all_left`: the shares of `at_equal_variance`.

    Conditions that take features away also take the mean map away, so their area is a share of the centred area. The
    other conditions keep the mean map. Of these, the area above "any image" counts, where no image is shared.
    """
    rows = tables["similarity"][tables["similarity"]["kind"].isin(NEAR_OUTPUT)]
    means = rows[np.isclose(rows["epsilon"], epsilon)].groupby("condition", observed=True)["similarity"].mean()
    critical, summary = (tables[name][tables[name]["kind"].isin(NEAR_OUTPUT)] for name in ("critical", "summary"))
    areas = by_area(critical).mean(axis=1).reindex(list(CONDITIONS))
    power = summary.groupby("condition")["power_left"].mean().reindex(list(REMOVALS))
    whole, floor = areas["as it is"], areas["any image"]
    left = {name: areas[name] / (whole if name == "centred" else areas["centred"]) for name in REMOVALS}
    left |= {name: (areas[name] - floor) / (whole - floor) for name in (*SHUFFLES, "untrained")}
    words = {f"{name}_area": f"{areas[key]:.2f}" for name, key in WORDS.items()}
    words |= {"whole": _per_cent(means["as it is"]), "power": _per_cent(power["third logits"])}
    words["near_output"] = " and ".join(LAYER_WORDS[kind] for kind in NEAR_OUTPUT if kind in set(critical["kind"]))
    words["distance"] = f"{np.sqrt(power['class means']):.2f}"
    words["own_explained"] = _per_cent(1 - power["own logits"] / power["centred"])
    for condition, share in left.items():
        name, as_it_is = condition.replace(" ", "_"), means["as it is"]
        words[name] = _per_cent(means.get(condition, np.nan) / as_it_is if as_it_is else 0.0)
        words[f"{name}_area"] = _per_cent(share)
    return words | _directions_in_words(tables["directions"])


def _directions_in_words(directions: pd.DataFrame) -> dict[str, str]:
    """Shares of the centred area that hidden layers near the output keep without what `at_equal_variance` names."""
    rows = at_equal_variance(directions[directions["kind"].isin(NEAR_OUTPUT)])
    names = ("strongest", "beside", "all")
    left = {n: (rows[n] * rows["base"]).sum() / rows["base"].sum() if len(rows) else np.nan for n in names}
    return {f"{name}_left": _per_cent(share) for name, share in left.items()}


def shares_by_pair(tables: dict[str, pd.DataFrame], epsilon: float, names: Sequence[str]) -> dict[str, str]:
    """Phrases of `causes_in_words` for each pair of networks alone, from the smallest on: "54 %, 56 % and 57 %"."""
    pairs = tables["similarity"].loc[tables["similarity"]["condition"] == "as it is", PAIR].drop_duplicates()
    alone = [
        {name: table.merge(pairs[pairs.index == number], on=PAIR) for name, table in tables.items()}
        for number in pairs.index
    ]
    words = [causes_in_words(pair, epsilon) for pair in alone]
    return {name: english_list(sorted((each[name] for each in words), key=lambda w: (len(w), w))) for name in names}


def causes_summary(compared: dict[str, dict[str, pd.DataFrame]]) -> pd.DataFrame:
    """One row per study: the area of the pooled features as they are, without mean map, and what each removal leaves.

    Pooled features alone are in all records. The shares are those of the area without mean map.

    "logits" and "layer" are those of a third network. "as strong" takes away directions of that layer until as much
    variance is left as without the logits.
    """
    columns = {
        "as it is": "whole_area",
        "mean map": "base_area",
        "class means": "class_means_area",
        "logits": "third_logits_area",
        "as strong": "strongest_left",
        "layer": "all_left",
    }
    pooled = {name: {n: t[t["kind"] == "pool"] for n, t in tables.items()} for name, tables in compared.items()}
    words = {name: causes_in_words(tables, 0.5) for name, tables in pooled.items()}
    rows = [
        {"network": name} | {column: numbers[key] for column, key in columns.items()} for name, numbers in words.items()
    ]
    return pd.DataFrame(rows)


def _per_cent(share: float) -> str:
    return "not measured" if np.isnan(share) else f"{100 * share:.0f} %"
