"""The interactive figure of the front page: similarity by layer, one line per ε, from the two networks' records."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.figure import Figure

from ..studies.counts import counted_similarity
from . import figures
from .claims import Plan
from .layer_tables import axis_names
from .verdicts import Measured, by_layer

STEP = 0.01  # the step of ε on the slider
SHOWN = {"neurons": "share of neurons", "power": "share of power"}
ASK_FIRST = (  # at once, before an answer is painted; not for who came back, nor for who follows a link to a section
    'try { if (location.hash || localStorage.getItem("answer-seen")) throw 0; '
    'document.documentElement.classList.add("guessing"); } catch (seen) {}'
)
MARKERS = "osD^v"
SHADES = ("#b7cfe8", "#8db3da", "#5f94c8", "#3473ad", "#164a7c")  # light to dark, as ε grows


def answer_data(
    plan: Plan, critical: dict[str, pd.DataFrame], calibrated: dict[str, pd.DataFrame] | None = None
) -> dict[str, Any]:
    """The data of the figure: for each network the mean over pairs of s(ε) by layer, on a grid of ε, in two counts.

    `calibrated` has for each network one row per layer with mean, low, high and untrained. Without it only raw values
    are shown.
    """
    grid = np.round(np.arange(0, 1, STEP), 4)
    networks = [_network(plan, name, critical[name], grid, calibrated) for name in plan.studies]
    return {"step": STEP, "epsilons": list(plan.epsilons), "networks": networks}


def _network(
    plan: Plan, name: str, critical: pd.DataFrame, grid: np.ndarray, calibrated: dict[str, pd.DataFrame] | None
) -> dict[str, Any]:
    table = counted_similarity(critical, grid.tolist())
    means = table.groupby(["position", "layer", "epsilon"], observed=True)[list(SHOWN)].mean()
    layers = means.reset_index().drop_duplicates("layer")["layer"].astype(str).tolist()
    entry: dict[str, Any] = {"name": plan.name(name), "layers": axis_names(layers)}
    for count in SHOWN:
        wide = means[count].unstack("epsilon").fillna(0)
        entry[count] = [[round(float(v), 4) for v in wide[epsilon]] for epsilon in wide.columns]
    entry["middle"] = [k for k, layer in enumerate(layers) if plan.group(name, layer) == "middle"]
    if calibrated:
        rows = calibrated[name].set_index("layer").reindex(layers)
        entry["calibrated"] = {c: _drawable(rows[c]) for c in ("mean", "low", "high", "untrained")}
    return entry


def _drawable(values: pd.Series) -> list[float]:
    """The numbers, rounded and limited to [0, 1]."""
    return [round(float(v), 3) for v in values.fillna(0).clip(0, 1)]


def answer_figure(data: dict[str, Any], alt: str, still: Figure) -> HTML:
    """The interactive figure. A script first asks for a guess, and until then it hides the answer (answer.css).

    `still` replaces the figure in print and where scripts do not run.
    """
    plt.close(still)
    words = html.escape(alt, quote=True)
    payload = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    scales = _radios("scale", "Scale", {"raw": "raw", "calibrated": "calibrated"})
    controls = [
        _radios("network", "Network", {str(k): n["name"] for k, n in enumerate(data["networks"])}),
        _radios("count", "Count", SHOWN),
        scales if all("calibrated" in network for network in data["networks"]) else "",
    ]
    at = round(0.3 / data["step"])
    last = len(data["networks"][0]["neurons"]) - 1
    return HTML(
        f'<figure class="answer" aria-label="{words}"><script>{ASK_FIRST}</script>'
        f'<script type="application/json">{payload}</script>'
        f'<img class="answer-still" src="{figures.png(still)}" alt="{words}">{_guess()}'
        f'<div class="answer-live" hidden><div class="answer-controls">{"".join(controls)}</div>'
        f'<div class="answer-plot"><svg role="img" aria-label="{words}"></svg></div>'
        f'<label class="answer-epsilon"><span>ε of the orange line</span>'
        f'<input type="range" min="0" max="{last}" step="1" value="{at}"><output></output></label>'
        f'{_legend(data["epsilons"])}<p class="answer-words" aria-live="polite"></p></div></figure>'
    )


def _guess() -> str:
    return (
        '<div class="answer-guess" hidden><p><strong>Guess first.</strong> Train a network twice, from two random '
        "starts. Both copies classify equally well. Take a layer in the middle. How many neurons are weighted "
        "sums of matched neurons of the other copy, in both directions, up to an error of 30 %?</p>"
        '<label><span>your guess</span><input type="range" min="0" max="100" value="50" aria-label="your guess in per '
        'cent"><output>50 %</output></label>'
        '<button type="button" class="show">Show the answer</button>'
        '<button type="button" class="skip">Skip the guess</button></div>'
    )


def _radios(name: str, title: str, options: dict[str, str]) -> str:
    inputs = "".join(
        f'<label><input type="radio" name="answer-{name}" value="{value}"{" checked" if number == 0 else ""}>'
        f"{html.escape(text)}</label>"
        for number, (value, text) in enumerate(options.items())
    )
    return f"<fieldset><legend>{title}</legend>{inputs}</fieldset>"


def _legend(epsilons: Sequence[float]) -> str:
    items = "".join(
        f'<li><span style="border-color: var(--e{number})"></span>ε = {epsilon:g}</li>'
        for number, epsilon in enumerate(epsilons)
    )
    return f'<ul class="answer-legend">{items}<li><span style="border-color: var(--chosen)"></span>your ε</li></ul>'


def plot_by_layer(
    plan: Plan, critical: dict[str, pd.DataFrame], untrained: dict[str, pd.DataFrame] | None = None
) -> Figure:
    """The paper's figure: similarity against layer, one line per ε, one panel per network.

    A line is the mean over pairs, its band the range over pairs. With `untrained` a second row shows the untrained
    twins.
    """
    rows = [critical] + ([untrained] if untrained else [])
    size = (5.6 * len(plan.studies), 3.4 * len(rows) + 0.6)
    figure, axes = plt.subplots(len(rows), len(plan.studies), figsize=size, squeeze=False, sharey=True)
    for row, tables in enumerate(rows):
        for ax, network in zip(axes[row], plan.studies, strict=True):
            if network in tables:
                draw_by_layer(ax, tables[network], plan.epsilons)
            ax.set(title=f"{plan.name(network)}, {'trained' if row == 0 else 'untrained'}", ylim=(-0.03, 1.03))
        axes[row, 0].set_ylabel("similarity s(ε)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(labels))
    return figure


def draw_by_layer(ax: Any, critical: pd.DataFrame, epsilons: Sequence[float]) -> None:
    """Draw one panel: one line per ε, darker for larger ε, with the range over pairs shaded."""
    table = counted_similarity(critical, epsilons).sort_values("position")
    for shade, marker, (epsilon, rows) in zip(SHADES, MARKERS, table.groupby("epsilon"), strict=False):
        ranges = rows.groupby(["position", "layer"], observed=True)["neurons"].agg(["mean", "min", "max"]).reset_index()
        names = axis_names(ranges["layer"])
        ax.plot(names, ranges["mean"], marker=marker, markersize=4, color=shade, label=f"ε = {epsilon:g}")
        ax.fill_between(names, ranges["min"], ranges["max"], color=shade, alpha=0.25, linewidth=0)
    ax.tick_params(axis="x", rotation=90, labelsize="small")


def group_numbers(plan: Plan, network: str, critical: pd.DataFrame, count: str = "neurons") -> dict[str, float]:
    """The similarity of every group of layers at the deciding ε."""
    table = by_layer(critical, (plan.epsilon,), count)
    table["group"] = [plan.group(network, layer) for layer in table["layer"]]
    return {str(group): float(rows["similarity"].mean()) for group, rows in table.groupby("group")}


def answer_sentence(plan: Plan, measured: Measured) -> str:
    """The answer to the title, in a few sentences, from the similarity in the middle and the cost of stitching there.

    Without a record of stitching that part is left out; without the two studies it says that nothing is recorded.
    """
    middle = {network: group_numbers(plan, network, table)["middle"] for network, table in measured.critical.items()}
    if not middle:
        return "Nothing is recorded that answers it."
    shares = " and ".join(f"{100 * value:.0f}\u00a0% ({plan.name(network)})" for network, value in middle.items())
    error = f"{100 * plan.epsilon:.0f}\u00a0% (ε = {plan.epsilon:g})"
    word = "No" if max(middle.values()) <= 0.1 else "Only in part"
    head = f"{word}, if each neuron must be a weighted sum of matched neurons of the other copy."
    told = f"In the middle layers of two equally good copies, {shares} of the neurons match, up to an error of {error}."
    lost = stitching_loss(plan, measured, "middle")
    if np.isnan(lost):
        return f"{head} {told}"
    works = "Largely yes" if lost < 0.05 else "Not freely either"
    cost = f"A linear map puts such a layer into the other copy, for {100 * lost:.1f} percentage points of accuracy."
    reason = " What the map misses hardly matters to the later layers." if lost < 0.05 else ""
    return f"{head} {told} {works}, if the layer must only do the same work. {cost}{reason}"


def scale_sentence(plan: Plan, rests_on: Mapping[str, tuple[int, int]]) -> str:
    """What the calibrated similarities of the front page rest on; "" where none is recorded."""
    told = {_scale_rests_on(*given) for given in rests_on.values()}
    if len(told) == 1:
        return f"For each architecture the scale rests on {told.pop()}."
    parts = [f"{_scale_rests_on(*given)} ({plan.name(network)})" for network, given in rests_on.items()]
    return f"The scale rests on {' and on '.join(parts)}." if parts else ""


def _scale_rests_on(networks: int, orders: int) -> str:
    chance = f"chance on one pair and {orders} random orders of the images"
    return f"{networks} networks, {chance}, the ceiling on one network"


def stitching_loss(plan: Plan, measured: Measured, group: str) -> float:
    """Mean accuracy in [0, 1] lost by stitching a group's layers, over the networks; NaN if nothing is recorded."""
    means = []
    for network, table in measured.stitched.items():
        inside = [plan.group(network, str(layer)) == group for layer in table["layer"]]
        means.append(float(table.loc[inside, "accuracy_lost"].mean()))
    return float(np.mean(means)) if means else np.nan
