"""Figures of the theory: arrays, the plane, pairs of neurons with their distances, critical ε and the curve s(ε).

They are for small examples only. Neurons are named as in `helpers.matching.definitions`: ("x", 0) is drawn as x1.
"""

from collections.abc import Callable, Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Wedge
from plotly.basedatatypes import BaseTraceType as Trace

from ...matching.definitions import Distances, Neuron, Set
from ...subspaces import Pair

ROUNDING = 1e-13  # eigenvalues of a Gram matrix below this share of the largest come from rounding
COLOURS = {"x": "#0173b2", "y": "#c96b00"}  # blue and orange of the colour-blind-safe palette, dark enough for text
FEW = 12  # if there are no more neurons than this, each one has its number in the figure
GREY, PALE, RED = "#6e6e6e", "#e4e4e4", "#b3003c"
Array = Float[np.ndarray, "neurons samples"]
Critical = Float[np.ndarray, " neurons"]


def label(v: Neuron) -> str:
    """A neuron in print, counted from 1, such as x1."""
    return f"{v[0]}{v[1] + 1}"


def with_slider(
    states: Sequence[Sequence[Trace]],
    fixed: Sequence[Trace],
    titles: Sequence[str],
    stops: Sequence[str],
    prefix: str,
    start: int = 0,
) -> go.Figure:
    """A figure that shows `fixed` and one of the `states`, chosen by a slider."""
    moving = list(range(len(states[0])))
    frames = [
        go.Frame(data=list(state), traces=moving, name=stop, layout={"title": {"text": title}})
        for state, stop, title in zip(states, stops, titles, strict=True)
    ]
    figure = go.Figure(data=[*states[start], *fixed], frames=frames)
    how = {"mode": "immediate", "frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    steps = [{"label": s, "method": "animate", "args": [[s], how]} for s in stops]
    slider = {"active": start, "steps": steps, "currentvalue": {"prefix": prefix}, "pad": {"t": 25}}
    figure.update_layout(sliders=[slider], title={"text": titles[start], "font": {"size": 15}})
    return figure


# ---------------------------------------------------------------- arrays


def representatives(pair: Pair) -> tuple[Array, Array]:
    """Two small arrays with the joint Gram matrix of `pair`. They have equal distances, and as many samples as neurons.

    Distances depend only on the Gram matrix (prp-invariance). So these arrays can stand for millions of samples.
    """
    values, vectors = np.linalg.eigh(pair.gram)
    values[values < ROUNDING * values.max(initial=0)] = 0  # else least squares takes rounding for a direction
    rows = vectors * np.sqrt(values)
    cut = len(pair.alive_x)
    return rows[:cut], rows[cut:]


def feature_maps(image: np.ndarray, maps: Float[np.ndarray, "channels height width"]) -> Figure:
    """One image, and the output of each channel of a layer for it."""
    figure, axes = plt.subplots(1, len(maps) + 1, figsize=(9, 1.9))
    pictures = [("image", image), *((f"channel {k + 1}", m) for k, m in enumerate(maps))]
    for ax, (title, picture) in zip(axes, pictures, strict=True):
        ax.imshow(picture, cmap="gray" if title == "image" else "viridis")
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(9)
        ax.grid(False)
    return figure


def activation_tables(x: Array, y: Array) -> Figure:
    """Two small activation arrays as tables of numbers, with one row per neuron and one column per image."""
    heights = [len(x), len(y)]
    figure, axes = plt.subplots(2, 1, figsize=(5.2, 0.42 * sum(heights) + 1.3), height_ratios=heights)
    largest = max(np.abs(x).max(), np.abs(y).max())
    for ax, side, values in zip(axes, "xy", (x, y), strict=True):
        ax.imshow(values, cmap="Greys", vmin=0, vmax=1.6 * largest, aspect="auto")
        for (i, j), value in np.ndenumerate(values):
            ax.text(j, i, f"{value:g}", ha="center", va="center")
        ax.set(xticks=range(values.shape[1]), xticklabels=[f"image {j + 1}" for j in range(values.shape[1])])
        ax.set_yticks(range(len(values)), [label((side, i)) for i in range(len(values))], color=COLOURS[side])
        ax.set_title(f"network {'A' if side == 'x' else 'B'}", loc="left")
        ax.grid(False)
    return figure


# ---------------------------------------------------------------- the plane


def arrow(ax: Axes, z: Sequence[float], colour: str, text: str, beyond: float = 0.09, aside: float = 0.0) -> None:
    """A vector from the origin. Its name is placed `beyond` its tip and `aside` of it, to the right."""
    how = {"arrowstyle": "-|>", "color": colour, "lw": 2, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (z[0], z[1]), (0, 0), arrowprops=how)
    along = np.asarray(z) / np.linalg.norm(z)
    at = np.asarray(z) + beyond * along + aside * np.array([along[1], -along[0]])
    ax.text(at[0], at[1], text, ha="center", va="center", color=colour, fontsize=12)


def plane(limit: float = 1.25) -> tuple[Figure, Axes]:
    """An empty plane with equal axes: one coordinate per image."""
    figure, ax = plt.subplots(figsize=(4.6, 4.6))
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    ax.set(xlabel="activation on image 1", ylabel="activation on image 2")
    ax.axhline(0, color=GREY, lw=0.8)
    ax.axvline(0, color=GREY, lw=0.8)
    return figure, ax


def double_cone(ax: Axes, direction: Sequence[float], epsilon: float, shade: float = 0.25) -> None:
    """The vectors of the plane within ε of a line: half-angle arcsin ε on either side, in both directions."""
    middle = np.degrees(np.arctan2(direction[1], direction[0]))
    half = np.degrees(np.arcsin(epsilon))
    for turn in (0, 180):
        wedge = Wedge((0, 0), 3, middle - half + turn, middle + half + turn, color=COLOURS["y"], alpha=shade, lw=0)
        ax.add_patch(wedge)


def right_triangle(z: Sequence[float], direction: Sequence[float]) -> Figure:
    """A neuron, its projection on a line, and the rest. The distance over the norm is the sine of the angle."""
    figure, ax = plane()
    unit = np.asarray(direction, float) / np.linalg.norm(direction)
    foot = unit * (unit @ z)
    ax.axline((0, 0), foot, color=COLOURS["y"], lw=1.5)
    ax.text(1.12 * unit[0], 1.12 * unit[1] - 0.12, "span of y", color=COLOURS["y"], ha="center")
    ax.plot([z[0], foot[0]], [z[1], foot[1]], color=RED, ls="--", lw=2)
    ax.text((z[0] + foot[0]) / 2 + 0.05, (z[1] + foot[1]) / 2, "distance", color=RED)
    arrow(ax, foot, COLOURS["y"], "")
    arrow(ax, z, COLOURS["x"], "x")
    ax.set(xlim=(-0.25, 1.3), ylim=(-0.25, 1.3))
    return figure


# ---------------------------------------------------------------- pairs of neurons with their distances


def draw_pair(ax: Axes, r: Distances, pair: Set, epsilon: float, title: str = "") -> None:
    """The neurons of both networks in two rows. Those of `pair` have their distance to the other side of the pair.

    Filled boxes are within ε, dashed boxes are too far, grey boxes are not in the pair.
    """
    for height, side in ((1, "x"), (0, "y")):
        ax.text(-0.55, height, "A" if side == "x" else "B", color=COLOURS[side], va="center", ha="center")
        for i in range(len(r.sides[side])):
            v = (side, i)
            box(ax, i, height, label(v), r(v, pair) if v in pair else None, COLOURS[side], epsilon)
    width = max(len(values) for values in r.sides.values())
    ax.set(xlim=(-0.75, width - 0.4), ylim=(-0.5, 1.5), xticks=[], yticks=[])
    ax.set_title(title, fontsize=11)
    ax.axis("off")


def box(ax: Axes, at: float, height: float, name: str, distance: float | None, colour: str, epsilon: float) -> None:
    """One neuron of `draw_pair`."""
    member = distance is not None
    near = distance is not None and distance <= epsilon + 1e-9
    edge = colour if near else RED if member else PALE
    patch = FancyBboxPatch((at - 0.33, height - 0.24), 0.66, 0.48, boxstyle="round,pad=0.04")
    patch.set(facecolor=colour if near else "white", edgecolor=edge, linewidth=1.8)
    patch.set_linestyle("-" if near or not member else "--")
    ax.add_patch(patch)
    ink = "white" if near else RED if member else GREY
    ax.text(at, height, f"{name}\n{distance:.2f}" if member else name, ha="center", va="center", color=ink, fontsize=11)


def draw_pairs(r: Distances, pairs: Sequence[Set], epsilon: float, titles: Sequence[str]) -> Figure:
    """Several pairs side by side, up to three in a row."""
    width = max(len(values) for values in r.sides.values())
    columns = min(len(pairs), 3) if len(pairs) != 4 else 2
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(0.66 * width * columns, 1.75 * rows), squeeze=False)
    for ax in axes.flat[len(pairs) :]:
        ax.axis("off")
    for ax, pair, title in zip(axes.flat, pairs, titles, strict=False):
        draw_pair(ax, r, pair, epsilon, title)
    return figure


# ---------------------------------------------------------------- critical ε and the curve


def draw_similarity_curve(ax: Axes, critical: Iterable[Critical], name: str = "", **style: object) -> None:
    """s(ε) from the critical ε of both sides: their empirical distribution function (def-similarity)."""
    values = np.sort(np.concatenate(list(critical)))
    finite = values[np.isfinite(values)]
    ends = np.concatenate([[0], finite, [1]])
    shares = np.concatenate([[0], np.arange(1, len(finite) + 1), [len(finite)]]) / len(values)
    ax.step(ends, shares, where="post", label=name, **style)  # type: ignore[arg-type]
    ax.set(xlim=(0, 1), ylim=(-0.03, 1.03), xlabel="ε", ylabel="similarity s(ε)")


def critical_pins(ax: Axes, critical: tuple[Critical, Critical]) -> None:
    """One pin per neuron at its critical ε, smallest first; an open one at the top if the neuron never matches."""
    start = 0
    for side, values in zip("xy", critical, strict=True):
        heights = np.sort(np.minimum(values, 1.0))
        at = start + np.arange(len(values))
        ax.vlines(at, 0, heights, color=COLOURS[side], lw=1.2, alpha=0.6)
        ax.plot(at, heights, "o", ms=4 if len(at) > FEW else 7, color=COLOURS[side])
        never = np.sort(values) >= 1
        ax.plot(at[never], heights[never], "o", ms=4, color="white", mec=COLOURS[side])
        if len(at) <= FEW:
            for place, v in enumerate(np.argsort(values, kind="stable").tolist(), start):
                name = label((side, v))
                ax.text(place + 0.13, min(float(values[v]), 1), name, color=COLOURS[side], va="center", fontsize=10)
        ax.text(at.mean(), 1.06, f"network {'A' if side == 'x' else 'B'}", color=COLOURS[side], ha="center")
        start = int(at[-1]) + 2 + len(values) // 10
    ax.margins(x=0.08)
    ax.set(ylim=(-0.03, 1.14), ylabel="critical ε", xlabel="neurons, smallest critical ε first", xticks=[])


def critical_figure(critical: tuple[Critical, Critical], epsilon: float | None = None) -> Figure:
    """Critical ε of every neuron, and the curve that counts how many are at most ε."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=[3, 2])
    critical_pins(left, critical)
    draw_similarity_curve(right, critical, color="black", lw=2)
    if epsilon is not None:
        left.axhline(epsilon, color=RED, ls="--", lw=1.2)
        right.axvline(epsilon, color=RED, ls="--", lw=1.2, label=f"ε = {epsilon:g}")
        right.legend(loc="upper left")
    return figure


def sorted_distances(columns: dict[str, Critical], describe: Callable[[str], str] = str) -> Figure:
    """Several versions of one layer: the sorted distances of its neurons to the other network's span."""
    figure, ax = plt.subplots(figsize=(6.6, 3.6))
    for (name, values), mark in zip(columns.items(), "ox^s", strict=False):
        ax.plot(np.arange(1, len(values) + 1), np.sort(values), mark, ms=7, label=describe(name), fillstyle="none")
    ax.set(ylim=(0, 1.02), xlabel="neuron, nearest first", ylabel="relative distance to the other span")
    ax.legend()
    return figure
