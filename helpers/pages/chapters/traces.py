"""Figures of the algorithms at work: the trials of min_match, and which neurons fall when one is deleted."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ...matching.definitions import Neuron, Set
from .drawings import COLOURS, GREY, PALE, RED, label
from .pseudocode import Edges, Trial, reaching

NEEDED = "#1b7f4d"


def trial_grid(ax: Axes, trials: Sequence[Trial], v: Neuron) -> None:
    """One row per trial, one column per neuron: a cell is coloured while the neuron is in the match, then white."""
    columns = sorted(trials[0].before)
    for row, trial in enumerate(trials):
        for column, u in enumerate(columns):
            if u in trial.before:
                colour, mark = trial_cell(trial, u)
                ax.add_patch(Rectangle((column - 0.46, row - 0.46), 0.92, 0.92, color=colour, lw=0))
                ax.text(column, row, mark, ha="center", va="center", color="white", fontsize=11, weight="bold")
    at = columns.index(v)
    ax.add_patch(Rectangle((at - 0.5, -0.5), 1, len(trials), fill=False, edgecolor="black", lw=2))
    ax.set_xticks(range(len(columns)), [label(u) for u in columns], rotation=90, fontsize=9)
    ax.set_yticks(range(len(trials)), [label(t.tried) for t in trials], fontsize=9)
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylim=(len(trials) - 0.4, -0.6))
    ax.grid(False)


def trial_cell(trial: Trial, u: Neuron) -> tuple[str, str]:
    """Colour and mark of a neuron that is in the match before a trial."""
    if u == trial.tried:
        return (RED, "−") if trial.kept else (NEEDED, "✓")
    if trial.kept and u not in trial.left:
        return "#d9738f", "↓"
    return "#c9d9e8" if u[0] == "x" else "#f0d9bd", ""


def violation_graph(ax: Axes, edges: Edges, v: Neuron, needs: Set = frozenset()) -> None:
    """Both sides of a match, with an arrow from u to each neuron that falls when u alone is deleted.

    Filled discs reach v along arrows. Thick frames mark `needs`, the neurons essential to v, also those that no arrow
    shows.
    """
    reached = reaching(edges, [v])
    place = graph_positions(sorted(edges))
    for u, fallen in edges.items():
        for w in fallen:
            bold = u in reached and w in reached
            how = {"arrowstyle": "-|>", "shrinkA": 12, "shrinkB": 12, "color": RED if bold else "#b8b8b8"}
            ax.annotate("", place[w], place[u], arrowprops=how | {"lw": 1.8 if bold else 1.0}, zorder=2 if bold else 1)
    for u, (x, y) in place.items():
        full = u in reached
        face, ink = (COLOURS[u[0]], "white") if full else ("white", GREY)
        edge, width = ("black", 2.2) if u in needs else (PALE, 1.2)
        disc = {"boxstyle": "circle,pad=0.28", "facecolor": face, "edgecolor": edge, "lw": width}
        weight = "bold" if u == v else "normal"
        ax.text(x, y, label(u), ha="center", va="center", color=ink, bbox=disc, fontsize=10, weight=weight, zorder=3)
    ax.set(xlim=(-0.06, 1.06), ylim=(-0.25, 1.25))
    ax.axis("off")


def graph_positions(names: Sequence[Neuron]) -> dict[Neuron, tuple[float, float]]:
    """x in a row above, y in a row below, evenly spaced."""
    place: dict[Neuron, tuple[float, float]] = {}
    for side, height in (("x", 1.0), ("y", 0.0)):
        row = [u for u in names if u[0] == side]
        place |= {u: (float(at), height) for u, at in zip(row, np.linspace(0, 1, len(row)), strict=True)}
    return place
