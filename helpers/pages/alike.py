"""What makes two networks alike: figures and phrases from the tables of forks, targets and development."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..networks.training import RECIPES
from ..studies.pairwise import CEILING, calibrated_pairs
from ..studies.seeds import Result
from ..studies.targets import deciding_shares, learnt, shares_kept
from .claims import Plan, read_bound, read_evidence
from .layer_tables import axis_names, spoken
from .verdicts import Measured, Verdict, kept_by_other_targets, verdict

SHARED = {  # conditions of forks, from nothing shared on, with words for a legend
    "untrained": "untrained, two starts",
    "nothing": "two starts, two orders",
    "order": "two starts, same order",
    "initialisation": "same start, two orders",
}
AGAINST = {  # conditions of targets, with words for a legend
    "labels": "labels (the same target)",
    "rotation": "rotation",
    "vehicles": "vehicles or animals",
    "shuffled": "shuffled labels",
    "untrained": "no training",
}
GROUPS = ("first", "early", "middle", "late", "pool", "fc", "logits")


def layer_groups(plan: Plan, network: str, layers: Sequence[str]) -> dict[str, list[str]]:
    """The layers of each group, from the input on: "first", "early" and so on, as in `Plan.group`.

    Raises `BadInput` for an unknown network, and for a layer that is in no group.
    """
    group_of = {layer: plan.group(network, layer) for layer in layers}
    groups = {group: [layer for layer in layers if group_of[layer] == group] for group in GROUPS}
    return {group: names for group, names in groups.items() if names}


def shared_names(pairs: pd.DataFrame) -> dict[str, str]:
    """The conditions of a study of forks, from nothing shared to the ceiling, with words for a legend."""
    known = pairs["condition"].unique()
    past = sorted((name for name in known if name.startswith("past ")), key=lambda name: int(name.split()[1]))
    forks = {name: f"fork after epoch {name.split()[1]}" for name in past}
    return {**SHARED, **forks, CEILING: "itself, one epoch earlier"}


def condition_means(pairs: pd.DataFrame, names: Mapping[str, str], value: str = "area") -> pd.DataFrame:
    """Per condition and layer: means over pairs of s(0.3), of a value and of the calibrated value, and its range.

    The columns are condition (in words), position, layer, similarity, observed, calibrated, low, high, pairs.
    """
    scaled = calibrated_pairs(pairs, value).assign(observed=pairs[value])
    scaled = scaled[scaled["condition"].isin(list(names))]
    by = ["condition", "position", "layer"]
    means = scaled.groupby(by, sort=False, as_index=False).agg(
        similarity=("similarity", "mean"),
        observed=("observed", "mean"),
        calibrated=("calibrated", "mean"),
        low=("calibrated", "min"),
        high=("calibrated", "max"),
        pairs=("calibrated", "size"),
    )
    order = {name: place for place, name in enumerate(names)}
    means = means.sort_values(["condition", "position"], key=lambda c: c.map(order) if c.name == "condition" else c)
    return means.assign(condition=means["condition"].map(dict(names))).reset_index(drop=True)


def in_layer_groups(means: pd.DataFrame, groups: Mapping[str, Sequence[str]], column: str) -> pd.DataFrame:
    """One row per condition, one column per group of layers and one for the mean over all layers."""
    group_of = {layer: group for group, layers in groups.items() for layer in layers}
    table = means.assign(group=means["layer"].map(group_of))
    wide = table.pivot_table(index="condition", columns="group", values=column, sort=False)[list(groups)]
    wide["all layers"] = table.groupby("condition", sort=False)[column].mean()
    return wide.reset_index().rename_axis(columns=None)


def plot_conditions_by_layer(means: pd.DataFrame, ordered: bool) -> Figure:
    """Calibrated similarity by layer, one line per condition. Ordered conditions get ordered colours.

    The band is the range over pairs of networks.
    """
    names = list(means["condition"].unique())
    colours = sns.color_palette("viridis_r", len(names)) if ordered else sns.color_palette("colorblind", len(names))
    figure, ax = plt.subplots(figsize=(7.6, 4.8))
    for name, colour, marker in zip(names, colours, "osD^vPX*h" * 2, strict=False):
        rows = means[means["condition"] == name].sort_values("position")
        ax.plot(rows["position"], rows["calibrated"], marker=marker, markersize=4, color=colour, label=name)
        ax.fill_between(rows["position"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
    places = means.drop_duplicates("layer").sort_values("position")
    ax.set_xticks(places["position"], axis_names(places["layer"]), rotation=90)
    for end in (0, 1):
        ax.axhline(end, color="0.5", linewidth=0.8, linestyle=":")
    ax.set(ylabel="calibrated similarity\n(0 chance, 1 itself one epoch earlier)", ylim=_limits(means["calibrated"]))
    ax.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2)
    return figure


def _limits(values: pd.Series) -> tuple[float, float]:
    """Limits of an axis that show 0, 1 and all means, but at most the range from −1 to 2."""
    return max(-1.0, min(-0.05, values.min() - 0.05)), min(2.0, max(1.1, values.max() + 0.05))


# ---------------------------------------------------------------- forks


def forks_in_words(pairs: pd.DataFrame, layers: Sequence[str] | None = None) -> dict[str, float]:
    """Mean calibrated similarity over layers, by condition, and how much a shared start or order adds to it."""
    scaled = calibrated_pairs(pairs)
    inside = scaled if layers is None else scaled[scaled["layer"].isin(layers)]
    per_layer = inside.groupby(["condition", "layer"])["calibrated"].mean()
    means = {str(name).replace(" ", "_"): float(value) for name, value in per_layer.groupby("condition").mean().items()}
    nothing = means["nothing"]
    adds = {"start_adds": "initialisation", "order_adds": "order"}
    return means | {key: means.get(condition, np.nan) - nothing for key, condition in adds.items()}


def forks_in_order(words: Mapping[str, float]) -> str:
    """What `forks_in_words` says of the forks, as text: "After 1, 2 and 5 common epochs they end at 0.50, 0.60, …"."""
    epochs = sorted(int(key.removeprefix("past_")) for key in words if key.startswith("past_"))
    levels = [f"{words[f'past_{epoch}']:.2f}" for epoch in epochs]
    plural = "" if epochs == [1] else "s"
    return f"After {english_list(map(str, epochs))} common epoch{plural} they end at {english_list(levels)}"


def pairs_in_words(pairs: pd.DataFrame) -> str:
    """How many pairs of networks the conditions have: "two starts, two orders: 4; each other condition: 1"."""
    counted = pairs[pairs["condition"] != CEILING].drop_duplicates(["condition", "a", "b"]).groupby("condition").size()
    several = [f"{shared_names(pairs)[str(name)]}: {count}" for name, count in counted.items() if count > 1]
    ones = f"each{' other' if several else ''} condition: 1"
    return "; ".join([*several, *([ones] if counted.eq(1).any() else [])])


def start_beside_spread(pairs: pd.DataFrame) -> str:
    """In words: whether a common start matters more than what differs among the pairs that share nothing."""
    levels = calibrated_pairs(pairs).groupby(["condition", "a", "b"])["calibrated"].mean()
    nothing = levels["nothing"]
    if "initialisation" not in levels:
        return "No pair has a common start only"
    if len(nothing) < 2:
        return "Only one pair shares nothing, so we do not know how much such pairs differ"
    adds, spread = abs(levels["initialisation"].mean() - nothing.mean()), nothing.max() - nothing.min()
    which = "less" if adds < spread else "more"
    return (
        f"This is {which} than the spread of the {len(nothing)} pairs that share nothing "
        f"({nothing.min():.2f} to {nothing.max():.2f})"
    )


def order_by_median(pairs: pd.DataFrame) -> str:
    """In words: whether area and median put the conditions in one order, by their mean over all layers."""
    names = shared_names(pairs)
    area, median = (
        condition_means(pairs, names, value).groupby("condition")["calibrated"].mean() for value in ("area", "median")
    )
    same = list(area.sort_values().index) == list(median.sort_values().index)
    most = str((median - area).abs().idxmax())
    return (
        f"by their means over all layers the conditions have {'the same' if same else 'another'} order. The mean "
        f"changes most for “{most}”: from {area[most]:.2f} to {median[most]:.2f}"
    )


def english_list(words: Iterable[str]) -> str:
    """Words as an English list: "1, 2 and 5"."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def expectation_kept(plan: Plan, study: str, name: str, measured: float) -> str:
    """The word "kept" or "missed" for an expectation of `book/evidence.yml` that does not decide a claim."""
    return "kept" if read_bound(plan.expected[study][name], f"{study}, {name}").keeps(measured) else "missed"


# ---------------------------------------------------------------- targets (claim C2b)


def target_table(tables: Mapping[str, pd.DataFrame], groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """One row per other target: its accuracy, whether it was learnt, and the share it keeps in each group.

    `keeps_all_bounds` says whether this target alone keeps the bounds of claim C2b.
    """
    claim = read_evidence().claim("C2b")
    shares = shares_kept(tables["pairs"], groups).pivot(index="condition", columns="group", values="share_kept")
    known = learnt(tables["networks"]).query("target != 'labels'").set_index("target")
    table = known.join(shares[[group for group in groups if group in shares]]).reset_index()
    bounded = [group for group in claim.bounds if group in table]
    return table.assign(
        keeps_all_bounds=[all(claim.bound(g).keeps(row[g]) for g in bounded) for _, row in table.iterrows()]
    )


def kept_in_words(table: pd.DataFrame, group: str) -> str:
    """What each learnt other target keeps in a group, in whole per cent: "rotation 29 %, vehicles 61 %"."""
    voting = table[table["learnt"]]
    parts = [f"{target} {100 * share:.0f} %" for target, share in zip(voting["target"], voting[group], strict=True)]
    return ", ".join(parts) or "no target was learnt"


def bounds_in_words(table: pd.DataFrame) -> str:
    """Which learnt targets keep all bounds of the claim by themselves, each with its accuracy."""
    voting = table[table["learnt"]].to_dict("records")
    named = [(row["keeps_all_bounds"], f"{row['target']} (accuracy {100 * row['accuracy']:.0f} %)") for row in voting]
    kept, broken = ([text for keeps, text in named if keeps == side] for side in (True, False))
    parts = [f"{len(kept)} of {len(voting)} learnt targets keep all bounds by themselves"]
    parts[0] += f": {english_list(kept)}" if kept else ""
    return ". ".join([*parts, *([f"Not all bounds are kept by {english_list(broken)}"] if broken else [])])


def recipes_in_words(networks: pd.DataFrame) -> str:
    """How the networks for each target were trained, one sentence per recipe."""
    sentences = []
    for name, rows in networks[networks["epoch"] > 0].groupby("recipe", sort=False):
        recipe, images = RECIPES[str(name)], "all"
        if recipe.images:
            images = f"{recipe.images:,}".replace(",", " ")
        parts = (("shifts", recipe.pad), ("flips", recipe.flip))
        changed = " and ".join(what if there else f"no {what}" for what, there in parts)
        aims = english_list(map(str, rows["target"].unique()))
        sentences.append(f"For {aims}: {images} images, {rows['epoch'].max()} epochs, {changed}")
    return ". ".join(sentences)


def alone_table(pairs: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """One row per other target: how similar two networks for this same target are, as a share of two for the labels."""
    shares = shares_kept(pairs, groups)
    shares = shares[shares["condition"].str.endswith(" alone")]
    wide = shares.pivot(index="condition", columns="group", values="share_kept")
    wide = wide.reindex(shares["condition"].unique())[[group for group in groups if group in wide]]
    return wide.rename(index=lambda name: name.removesuffix(" alone")).rename_axis("target").reset_index()


def alone_in_words(table: pd.DataFrame) -> str:
    """What `alone_table` says of late layers, and whether a common target is enough; "" without such pairs."""
    if table.empty:
        return ""
    bound, shares = read_evidence().claim("C2b").bound("late"), table.set_index("target")["late"]
    told = ", ".join(f"{target} {100 * share:.0f} %" for target, share in shares.items())
    unlike = [str(target) for target, share in shares.items() if bound.keeps(share)]
    told = f"In late layers two networks for the same other target reach this share of the labels' similarity: {told}."
    return f"{told} So a common target is not enough: see {english_list(unlike)}." if unlike else told


def target_verdict(tables: Mapping[str, pd.DataFrame], groups: Mapping[str, Sequence[str]]) -> Verdict:
    """The verdict of claim C2b for the first network of `book/evidence.yml`, at the width and training of these tables.

    Near the output the other target that keeps most decides; in early layers the one that keeps least.
    """
    plan = read_evidence()
    claim, network = plan.claim("C2b"), next(iter(plan.studies))
    measured = Measured(targets={network: deciding_shares(tables, groups)})
    return verdict(claim, plan, tuple(kept_by_other_targets(claim, plan, measured)))


# ---------------------------------------------------------------- development


def development_means(pairs: pd.DataFrame, groups: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """Means of similarity, area and calibrated similarity, over pairs and layers.

    There is one row per how ("between", "within"), epoch and group.
    """
    group_of = {layer: group for group, layers in groups.items() for layer in layers}
    scaled = calibrated_pairs(pairs).assign(group=pairs["layer"].map(group_of))
    scaled = scaled[scaled["how"].isin(["between", "within"])]
    return scaled.groupby(["how", "epoch", "group"], as_index=False)[["similarity", "area", "calibrated"]].mean()


def development_in_words(pairs: pd.DataFrame) -> dict[str, str]:
    """Means over all layers after the epoch nearest to the middle of the training, and at its end."""
    scaled = calibrated_pairs(pairs)
    mean = scaled.groupby(["how", "epoch"])["calibrated"].mean()
    last = scaled["epoch"].max()
    middle = min(mean["within"].index, key=lambda epoch: abs(epoch - last / 2))
    levels = {"between_early": mean["between", middle], "between_end": mean["between", last]}
    levels["within_early"] = mean["within", middle]
    return {"early_epoch": f"{middle:.0f}"} | {key: f"{value:.2f}" for key, value in levels.items()}


def plot_development(means: pd.DataFrame, groups: Sequence[str]) -> Figure:
    """Two panels, one line per group of layers: two trainings after equally many epochs; one training and its end."""
    panels = {"between": "two trainings after the same epoch", "within": "one training and its own end"}
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.8), sharey=True)
    colours = sns.color_palette("viridis_r", len(groups))
    for ax, (how, title) in zip(axes, panels.items(), strict=True):
        for group, colour, marker in zip(groups, colours, "osD^vPX", strict=False):
            rows = means[(means["how"] == how) & (means["group"] == group)].sort_values("epoch")
            ax.plot(rows["epoch"], rows["calibrated"], color=colour, marker=marker, markersize=4, label=group)
        ax.set(title=title, xlabel="epoch", ylim=_limits(means["calibrated"]))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        for end in (0, 1):
            ax.axhline(end, color="0.5", linewidth=0.8, linestyle=":")
    axes[0].set_ylabel("calibrated similarity")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(groups), fontsize="small")
    return figure


# ---------------------------------------------------------------- width, depth, length of the training


def accuracy_and_area(results: Mapping[str, Result]) -> pd.DataFrame:
    """One row per recorded study and part of the network: accuracy, and the mean area under s(ε) over layers and pairs.

    `part` is "middle" (the convolutional layers between relative depths 1/4 and 3/4) or "pool". The area is 1 less the
    mean critical ε, where a neuron that never matches counts as 1.
    """
    rows: list[dict[str, Any]] = []
    for name, result in results.items():
        critical = result.tables["critical"]
        inside = critical["kind"].isin(["conv", "block"]) & critical["depth"].between(0.25, 0.75)
        study = result.study
        base = {"study": name, "network": study.network, "width": study.width, "epochs": study.runs[0].recipe.epochs}
        base["accuracy"] = result.tables["networks"]["accuracy"].mean()
        for part, chosen in {"middle": inside, "pool": critical["kind"] == "pool"}.items():
            distance = critical.loc[chosen, "critical_epsilon"].clip(upper=1)
            layers = distance.groupby(critical.loc[chosen, "layer"]).mean()
            rows.append(base | {"part": part, "area": float(1 - layers.mean())})
    return pd.DataFrame(rows)


def plot_against_accuracy(table: pd.DataFrame) -> Figure:
    """Area under s(ε) against accuracy, one mark per study. A line joins the widths of one architecture."""
    titles = {"middle": "middle half of the convolutional layers", "pool": "pooled features"}
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 4.2), sharey=True)
    networks = sorted(table["network"].unique())
    colours = dict(zip(networks, sns.color_palette("colorblind", len(networks)), strict=True))
    for ax, (part, title) in zip(axes, titles.items(), strict=True):
        for network, rows in table[table["part"] == part].groupby("network"):
            rows = rows.sort_values(["width", "epochs"])
            ax.plot(rows["accuracy"], rows["area"], color=colours[network], linewidth=0.8)
            sizes_ = 30 + 120 * rows["width"].clip(upper=1)
            ax.scatter(rows["accuracy"], rows["area"], s=sizes_, color=colours[network], label=spoken(str(network)))
            for row in rows.itertuples():
                text = f"{row.width:g}, {row.epochs}"
                ax.annotate(text, (row.accuracy, row.area), fontsize=7, xytext=(4, 4), textcoords="offset points")
        ax.set(title=title, xlabel="mean test accuracy", ylim=(0, 1))
    axes[0].set_ylabel("area under s(ε)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize="small")
    return figure


def range_in_words(values: pd.Series) -> str:
    """Smallest and largest share in whole per cent: "12–34 %", or one number if they are equal."""
    low, high = (f"{100 * value:.0f}" for value in (values.min(), values.max()))
    return f"{low} %" if low == high else f"{low}–{high} %"


def trainings(*studies: Mapping[str, pd.DataFrame]) -> set[tuple[Any, ...]]:
    """The different trainings among the members of several studies. Other epochs of a training do not count."""
    which = ["initialisation", "order", "target", "fork_after", "recipe"]
    return {row for tables in studies for row in tables["networks"][which].itertuples(index=False, name=None)}
