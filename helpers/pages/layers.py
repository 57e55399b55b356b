"""Layers side by side: a study's critical ε in, tables and figures with one row or line a layer out."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from .. import studies
from ..errors import unknown
from ..studies.intervals import interval
from .figures import Markup

GRID = np.round(np.arange(0, 1, 0.005), 3)  # the ε of a curve
PLACE = ["position", "layer", "kind", "depth"]
FAMILIES = {"vgg": "VGG", "resnet": "ResNet", "plain": "Plain"}
MARKERS, DASHES = "osD^vPX*hd", ("-", "--", ":", "-.")
INNER = ["conv", "block"]  # the kinds of convolutional layers
KINDS = {"conv": "convolutional", "block": "block output", "pool": "pooled features", "fc": "fully connected"}


def spoken(network: str) -> str:
    """A network's name as one writes it.

    >>> spoken("vgg16_bn"), spoken("resnet18")
    ('VGG-16 with batch norm', 'ResNet-18')
    """
    found = re.fullmatch(r"([a-z]+)(\d+)(_bn)?", network)
    if not found or found[1] not in FAMILIES:
        return network
    return f"{FAMILIES[found[1]]}-{found[2]}" + (" with batch norm" if found[3] else "")


def untrained(study: studies.Study) -> studies.Result | None:
    """The same study before training; None if `study` is a record to which no untrained one was recorded."""
    before = replace(study, epoch=0, sampled=False)
    if studies.find_record(studies.SEEDS, study) and not studies.find_record(studies.SEEDS, before):
        return None
    return studies.run(before)


def page_of(study: str) -> str:
    """The name of a study's page: letters, digits and hyphens only, so that it can be a link and a label."""
    return study.replace("_", "-").replace(".", "-")


# ---------------------------------------------------------------- tables


def layer_means(result: studies.Result, epsilons: Sequence[float] = studies.EPSILONS) -> pd.DataFrame:
    """Mean similarity over pairs per layer and ε with its interval (t, over networks), from the input on."""
    found = interval(result.similarity(epsilons), by=(*PLACE, "epsilon"))
    return found.sort_values(["position", "epsilon"], ignore_index=True)


def layer_table(result: studies.Result, epsilons: Sequence[float] = studies.EPSILONS) -> pd.DataFrame:
    """The same for reading: a row a layer, a column an ε, a cell `mean [low, high]`."""
    found = layer_means(result, epsilons)
    found["text"] = [_mean_text(*row) for row in found[["mean", "low", "high"]].to_numpy()]
    wide = found.pivot(index=["position", "layer", "kind"], columns="epsilon", values="text")
    wide.columns = [f"ε = {epsilon:g}" for epsilon in wide.columns]
    wide = wide.reset_index().drop(columns="position")
    return wide.assign(kind=wide["kind"].replace(KINDS))


def _mean_text(mean: float, low: float, high: float) -> str:
    spread = not np.isnan(low) and high - low >= 0.0005
    return f"{mean:.3f} [{low:.3f}, {high:.3f}]" if spread else f"{mean:.3f}"


def curves(critical: pd.DataFrame, grid: Float[np.ndarray, " epsilons"] = GRID) -> pd.DataFrame:
    """s(ε) of every layer on a grid of ε, averaged over pairs: the share of neurons whose critical ε is at most ε.

    Columns position, layer, kind, depth, epsilon, similarity. All pairs of a layer have equally many neurons, so the
    mean over pairs is the share among all their neurons together.
    """
    parts = []
    for place, rows in critical.groupby(PLACE, sort=True, observed=True):
        values = np.sort(rows["critical_epsilon"].to_numpy())
        share = np.searchsorted(values, grid + 1e-9, side="right") / len(values)
        columns = dict(zip(PLACE, cast(tuple[Any, ...], place), strict=True))
        parts.append(pd.DataFrame({"epsilon": grid, "similarity": share}).assign(**columns))
    return pd.concat(parts, ignore_index=True)[[*PLACE, "epsilon", "similarity"]]


def critical_summary(critical: pd.DataFrame) -> pd.DataFrame:
    """Per layer, over all neurons and pairs: smallest critical ε, quartiles, and the share that never matches.

    Quantiles are order statistics, so a quartile is inf ("never") where that many neurons match at no ε below 1.
    """
    groups = critical.groupby(PLACE, sort=True, observed=True)["critical_epsilon"]
    shares = {"smallest": 0.0, "lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
    found = pd.DataFrame({name: groups.quantile(q, interpolation="lower") for name, q in shares.items()})
    found["never"] = groups.agg(lambda values: float(np.isinf(values).mean()))
    return found.reset_index()


def layer_facts(result: studies.Result) -> pd.DataFrame:
    """Per layer, averaged over the networks: neurons, dead ones, dimension, and the match with its own permuted copy.

    `dimension` is the effective rank (participation ratio) of the neurons' centred activations.
    """
    sides = result.tables["critical"].groupby([*PLACE, "seed_a", "seed_b", "side"], observed=True)["dead"]
    found = sides.agg(neurons="size", dead="sum").groupby(PLACE, sort=True, observed=True).mean().reset_index()
    found = found.assign(neurons=found["neurons"].astype(int), share_alive=1 - found["dead"] / found["neurons"])
    controls = result.tables["layers"].groupby("layer", observed=True)[["effective_rank_centred", "self_match"]].mean()
    return found.join(controls.rename(columns={"effective_rank_centred": "dimension"}), on="layer")


def sampling_error(result: studies.Result) -> pd.DataFrame:
    """The paper's protocol beside the full test set: mean over pairs and draws, mean over pairs, and the difference.

    Columns position, layer, kind, depth, epsilon, sampled, full, difference; only layers with more samples than drawn.
    """
    if "sampled" not in result.tables:
        raise unknown("table", "sampled", result.tables)
    by = [*PLACE, "epsilon"]
    sampled = result.tables["sampled"]
    found = sampled.groupby(by, observed=True)["similarity"].mean().rename("sampled").reset_index()
    full = result.similarity(sorted(sampled["epsilon"].unique())).groupby(by, observed=True)["similarity"].mean()
    found = found.merge(full.rename("full").reset_index(), on=by)
    return found.assign(difference=found["sampled"] - found["full"])


def sampling_in_words(result: studies.Result) -> dict[str, str]:
    """Phrases for a page, in hundredths of the neurons: how far averaged draws are off, and how single ones scatter.

    `sampling_up` counts, of the layers and ε where the average of the draws is off at all, those where it is too high.
    `sampling_scatter` is the largest standard deviation over the draws of one pair, layer and ε.
    """
    off = 100 * sampling_error(result)["difference"]
    wrong = off[off.abs() > 1e-7]
    draws = result.tables["sampled"].groupby([*PLACE, "epsilon", "seed_a", "seed_b"], observed=True)["similarity"]
    return {
        "sampling_mean": f"{off.abs().mean():.2f}",
        "sampling_worst": f"{off.abs().max():.1f}",
        "sampling_up": f"{int((wrong > 0).sum())} of {len(wrong)}",
        "sampling_scatter": f"{100 * draws.std().max():.1f}",
    }


def accuracies(result: studies.Result) -> pd.DataFrame:
    """What stands behind the study: each network's seed, recipe, epochs and test accuracy."""
    wanted = ["network", "width", "seed", "recipe", "epochs", "epoch", "accuracy"]
    found = result.tables["networks"]
    return found[[column for column in wanted if column in found]]


def kept(result: studies.Result) -> pd.DataFrame:
    """The layers whose compressed representation is at hand, and of which seeds."""
    rows = [(layer, max(result.gram(layer).sizes), str(list(result.gram_seeds(layer)))) for layer in result.kept]
    return pd.DataFrame(rows, columns=["layer", "neurons", "seeds"])


# ---------------------------------------------------------------- across networks

CONTRASTS: dict[str, tuple[tuple[str, float], tuple[str, float]]] = {  # what differs: network and width, twice
    "shortcuts": (("plain20", 1), ("resnet20", 1)),
    "batch norm": (("vgg16", 0.25), ("vgg16_bn", 0.25)),
    "depth": (("vgg11_bn", 0.25), ("vgg16_bn", 0.25)),
    "width (VGG-16)": (("vgg16_bn", 0.25), ("vgg16_bn", 1)),
    "width (ResNet-18)": (("resnet18", 0.5), ("resnet18", 1)),  # as many epochs
    "family (much else too)": (("vgg16_bn", 0.25), ("resnet18", 0.25)),
}
DEPTHS = ("first layer", "0–0.2", "0.2–0.4", "0.4–0.6", "0.6–0.8", "0.8–1", "logits")


def recorded(dataset: str = "cifar10") -> dict[str, studies.Result]:
    """Every record of trained networks on a dataset, on the whole test set, by its name as one writes it."""
    found = {}
    for place in studies.records_of("seeds"):
        study = studies.recorded_study(place)
        last = study.epoch in (None, study.runs[0].recipe.epochs)
        if study.dataset == dataset and last and study.images is None and not study.before_relu:
            found[title(study)] = studies.read(study, place)
    return dict(sorted(found.items()))


def title(study: studies.Study) -> str:
    """A study by its network, width, recipe and epochs, as one writes it."""
    recipe = study.runs[0].recipe
    return f"{spoken(study.network)}, width {study.width:g} ({recipe.name}, {recipe.epochs} epochs)"


def index_table(found: dict[str, studies.Result], epsilon: float) -> pd.DataFrame:
    """A row a network, a column a stretch of relative depth: mean similarity at ε, each cell a link to the page."""
    rows = []
    for name, result in found.items():
        page = f"{page_of(result.study.id)}.html"
        means = layer_means(result, [epsilon])
        levels = means.groupby(means["depth"].map(_stretch))["mean"].mean()
        accuracy = float(result.tables["networks"]["accuracy"].mean())
        cells = {column: _link(page, f"{levels[column]:.2f}") if column in levels else "" for column in DEPTHS}
        rows.append({"network": _link(page, name), "accuracy": accuracy} | cells)
    return pd.DataFrame(rows, dtype=object)


def _link(page: str, text: str) -> Markup:
    return Markup(f'<a href="{page}">{text}</a>')


def _stretch(depth: float) -> str:
    if depth in (0, 1):
        return DEPTHS[0] if depth == 0 else DEPTHS[-1]
    return DEPTHS[1 + min(4, int(5 * depth))]


def together(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Tables by name as one, the name in the first column."""
    return pd.concat(tables, names=["study"]).reset_index("study").reset_index(drop=True)


def critical_depths(found: dict[str, studies.Result]) -> pd.DataFrame:
    """Smallest, quartiles and median of critical ε by layer, of every network."""
    return together({name: critical_summary(result.tables["critical"]) for name, result in found.items()})


def late_matches(tables: dict[str, pd.DataFrame], epsilon: float, share: float = 0.5) -> str:
    """In words: the networks whose deeper half of convolutional layers matches to more than `share` on average at ε."""
    names = []
    for name, table in tables.items():
        rows = table[table["kind"].isin(INNER) & (table["depth"] >= 0.5) & np.isclose(table["epsilon"], epsilon)]
        names += [name] if rows["mean"].mean() > share else []
    return f"{len(names)} of {len(tables)} networks" + (f": {'; '.join(names)}" if names else "")


def highest_between(tables: dict[str, pd.DataFrame], epsilon: float) -> str:
    """In words: the largest similarity at ε of a convolutional layer after the first one and before the last stage."""
    rows = together(tables)
    rows = rows[rows["kind"].isin(INNER) & np.isclose(rows["epsilon"], epsilon)]
    stage = rows["layer"].map(_stage)
    between = rows[(rows["position"] > 0) & (stage < stage.groupby(rows["study"]).transform("max"))]
    top = between.sort_values("mean").to_dict("records")[-1]
    return f"{top['mean']:.2f} ({top['layer']} of {top['study']})" if top["mean"] else f"{top['mean']:.2f}"


def _stage(layer: str) -> int:
    """The number of a convolutional layer's stage: 5 of relu5_1, 3 of stage3.block1.relu2; 0 of a stem."""
    found = re.match(r"(?:relu|stage)(\d+)", layer)
    return int(found[1]) if found else 0


def later_inside(critical: pd.DataFrame) -> tuple[int, int]:
    """In how many residual blocks, and of how many, the inner layer's median critical ε is above the block output's."""
    median = critical_summary(critical).set_index("layer")["median"]
    blocks = [name.removesuffix("2") for name in median.index if name.endswith(".relu2")]
    return sum(bool(median[f"{name}1"] > median[f"{name}2"]) for name in blocks), len(blocks)


def contrasts(found: dict[str, studies.Result]) -> pd.DataFrame:
    """Median critical ε of networks that differ in one thing above all: means over groups of layers.

    All convolutional layers; of these the block outputs (NaN where there are none); and the layers near the output. A
    median of inf (half of a layer's neurons never match) counts as 1. Only pairs that are recorded appear.
    """
    by_key = {(result.study.network, result.study.width): name for name, result in found.items()}
    rows = []
    for difference, pair in CONTRASTS.items():
        for name in (by_key[key] for key in pair if all(k in by_key for k in pair)):
            table = critical_summary(found[name].tables["critical"])
            inner, block = table["kind"].isin(INNER), table["kind"] == "block"
            median = table["median"].clip(upper=1)
            row = {"differs in": difference, "network": name, "convolutional layers": median[inner].mean()}
            rows.append(row | {"block outputs": median[block].mean(), "near the output": median[~inner].mean()})
    return pd.DataFrame(rows)


def plot_critical_depths(table: pd.DataFrame) -> Figure:
    """Median critical ε against relative depth, one line a network."""
    figure, ax = plt.subplots(figsize=(7.6, 5.6))
    for number, (name, rows) in enumerate(table.groupby("study")):
        style: dict[str, Any] = {"color": f"C{number % 10}", "linestyle": DASHES[number % 4], "markersize": 4}
        ax.plot(rows["depth"], rows["median"].clip(upper=1), marker=MARKERS[number % 10], label=name, **style)
    ax.set(xlabel="relative depth", ylabel="median critical ε", ylim=(0, 1.02))
    ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
    return figure


# ---------------------------------------------------------------- figures


def plot_map(table: pd.DataFrame, title: str = "") -> Figure:
    """s(ε) of every layer as a map: a row a layer, ε to the right, dark where all neurons match."""
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
    """Dark for the first layer, light (never too light to see) for the last."""
    return to_hex(plt.get_cmap("viridis")(0.9 * position / max(1, table["position"].max())))


def moving_curves(table: pd.DataFrame) -> Any:
    """The same lines as a plotly figure: hover for the numbers, click a layer in the legend to hide or isolate it."""
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
    """Where each layer's neurons start to match: smallest critical ε, quartiles, and the share that never does."""
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


_QUARTILES = ("lower_quartile", "median", "upper_quartile")


def plot_sampling(errors: pd.DataFrame) -> Figure:
    """How far the paper's sampling is off in each layer, in hundredths of the neurons, one marker an ε."""
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


def plot_compared(tables: dict[str, pd.DataFrame], epsilons: Sequence[float]) -> Figure:
    """Similarity by layer at a few ε, one line a table of `layer_means`, one panel an ε, the interval shaded."""
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
    """Similarity at one ε against relative depth (0: first layer, 1: logits), one line a network."""
    figure, ax = plt.subplots(figsize=(7.6, 5.0))
    for number, (name, table) in enumerate(tables.items()):
        rows = table[np.isclose(table["epsilon"], epsilon)].sort_values("depth")
        style: dict[str, Any] = {"color": f"C{number % 10}", "linestyle": DASHES[number % 4]}
        ax.plot(rows["depth"], rows["mean"], marker=MARKERS[number % 10], markersize=4, label=name, **style)
    ax.set(xlabel="relative depth", ylabel=f"s(ε), ε = {epsilon:g}", ylim=(-0.03, 1.03))
    ax.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
    return figure


# ---------------------------------------------------------------- in words


def in_words(result: studies.Result, epsilon: float) -> dict[str, str]:
    """Phrases for a page, from its numbers: which layers match at ε, and where neurons start to match."""
    means = layer_means(result, [epsilon])
    top = means.sort_values("mean").to_dict("records")[-1]
    inner = means[means["kind"].isin(INNER)]
    summary = critical_summary(result.tables["critical"])
    last = summary[summary["kind"].isin(INNER)].sort_values("smallest").to_dict("records")[-1:]
    words = {
        "empty": f"{int((inner['mean'] == 0).sum())} of the {len(inner)} convolutional layers do not match at all",
        "top": f"{top['layer']}, with a similarity of {top['mean']:.2f}",
        "late": "",
    }
    for row in last:
        words["late"] = f"in {row['layer']} no neuron matches below ε = {min(float(row['smallest']), 1):.2f}"
    return words
