"""The peel step by step: the distances of the neurons that are left, and the critical ε of those that have left."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import plotly.graph_objects as go
from matplotlib.figure import Figure
from plotly.basedatatypes import BaseTraceType as Trace

from ...matching.definitions import Distances, Neuron, Set
from .drawings import COLOURS, FEW, GREY, RED, label, with_slider

Step = tuple[Neuron, float, float]  # the neuron that leaves, its distance, its critical ε


def peel_figure(r: Distances, steps: Sequence[Step]) -> go.Figure:
    """The peel with a slider: bars are the distances at this step, diamonds the critical ε of deleted neurons."""
    everyone = sorted(v for v, _, _ in steps)
    states, titles = [], []
    for k in range(len(steps) + 1):
        states.append(peel_state(r, steps, k, everyone))
        titles.append(peel_title(steps, k))
    figure = with_slider(states, [], titles, [str(k) for k in range(len(states))], "step ")
    order = {"categoryorder": "array", "categoryarray": [label(v) for v in everyone]}
    scale = {"range": [-0.04, 1.12], "title": "relative distance", "domain": [0, 0.86]}
    figure.update_layout(yaxis=scale, xaxis=order, height=460, barmode="overlay")
    figure.update_layout(legend={"orientation": "h", "y": 0.88, "yanchor": "bottom", "x": 0})
    return figure


def peel_title(steps: Sequence[Step], k: int) -> str:
    """Which neuron leaves next, and at what distance."""
    if k == len(steps):
        return "done: every neuron has its critical ε"
    v, distance, critical = steps[k]
    return f"{label(v)} is farthest, {distance:.3f}: it leaves with critical ε {critical:.3f}"


def peel_state(r: Distances, steps: Sequence[Step], k: int, everyone: Sequence[Neuron]) -> list[Trace]:
    """Bars of the neurons that are left at step k, diamonds of the others, and the running minimum as a line."""
    left = frozenset(v for v, _, _ in steps[k:])
    leaving = {v for v, _, _ in steps[k : k + 1]}
    bars = [
        peel_bars(r, left, [v for v in everyone if v in left - leaving and v[0] == side], COLOURS[side], name)
        for side, name in (("x", "network A"), ("y", "network B"))
    ]
    bars.append(peel_bars(r, left, sorted(leaving), RED, "leaves next"))
    if len(everyone) > FEW:
        bars = [bar.update(text=None) for bar in bars]
    gone = {label(v): critical for v, _, critical in steps[:k]}
    diamonds = {"symbol": "diamond", "size": 9, "color": "black"}
    lowest = min((distance for _, distance, _ in steps[:k]), default=1.0)
    names = [label(v) for v in everyone]
    line = {"color": GREY, "dash": "dot"}
    return [
        *bars,
        go.Scatter(x=list(gone), y=list(gone.values()), mode="markers", marker=diamonds, name="critical ε"),
        go.Scatter(x=names, y=[lowest] * len(names), mode="lines", line=line, name="lowest so far"),
    ]


def peel_bars(r: Distances, left: Set, here: Sequence[Neuron], colour: str, name: str) -> go.Bar:
    """The distances, with their numbers, of some neurons to what is left of the other side."""
    heights = [r(v, left) for v in here]
    text = [f"{h:.3f}" for h in heights]
    bar = go.Bar(x=[label(v) for v in here], y=heights, text=text, marker={"color": colour}, name=name)
    return bar.update(textposition="outside", cliponaxis=False)


def peel_still(r: Distances, steps: Sequence[Step], stops: Sequence[int]) -> Figure:
    """Some steps of the peel side by side, for print."""
    everyone = sorted(v for v, _, _ in steps)
    figure, axes = plt.subplots(1, len(stops), figsize=(3.1 * len(stops), 2.8), sharey=True)
    for ax, k in zip(axes, stops, strict=True):
        left = frozenset(v for v, _, _ in steps[k:])
        heights = [r(v, left) if v in left else 0 for v in everyone]
        colours = [RED if v in {w for w, _, _ in steps[k : k + 1]} else COLOURS[v[0]] for v in everyone]
        bars = ax.bar(range(len(everyone)), heights, color=colours)
        if len(everyone) <= FEW:
            ax.bar_label(bars, [f"{r(v, left):.2f}" if v in left else "" for v in everyone], fontsize=7)
        gone = {everyone.index(v): critical for v, _, critical in steps[:k]}
        ax.plot(list(gone), list(gone.values()), "D", color="black", ms=5)
        ax.axhline(min((distance for _, distance, _ in steps[:k]), default=1.0), color=GREY, linestyle=":")
        ax.set(title=f"step {k}", ylim=(0, 1.05))
        ax.set_xticks(range(len(everyone)), [label(v) for v in everyone], fontsize=7)
    axes[0].set_ylabel("relative distance")
    return figure
