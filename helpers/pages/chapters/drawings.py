"""Pictures of the theory: spans and ε-cones in space, pairs of neurons with their distances, the peel step by step.

Small examples only. Neurons are named as in `helpers.matching.definitions`: ("x", 0) is drawn as x1.
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

from ...matching.definitions import Distances, Neuron, Set, relative_distance
from ...subspaces import Pair

ROUNDING = 1e-13  # eigenvalues of a Gram matrix below this share of the largest are rounding
COLOURS = {"x": "#0173b2", "y": "#c96b00"}  # blue and orange of the colour-blind-safe palette, dark enough for text
FEW = 12  # up to so many neurons each gets its number in the picture
GREY, PALE, RED = "#6e6e6e", "#e4e4e4", "#b3003c"
Array = Float[np.ndarray, "neurons samples"]
Step = tuple[Neuron, float, float]  # who leaves, its distance, its critical ε


def label(v: Neuron) -> str:
    """A neuron in print, counted from 1: x1."""
    return f"{v[0]}{v[1] + 1}"


# ---------------------------------------------------------------- arrays


def representatives(pair: Pair) -> tuple[Array, Array]:
    """Two small arrays with the joint Gram matrix of `pair`: the same distances from as few samples as neurons.

    Distances depend on nothing but the Gram matrix (prp-invariance), so they stand for the millions behind it.
    """
    values, vectors = np.linalg.eigh(pair.gram)
    values[values < ROUNDING * values.max(initial=0)] = 0  # else least squares takes rounding for a direction
    rows = vectors * np.sqrt(values)
    cut = len(pair.alive_x)
    return rows[:cut], rows[cut:]


def feature_maps(image: np.ndarray, maps: Float[np.ndarray, "channels height width"]) -> Figure:
    """One image and what each channel of a layer makes of it."""
    figure, axes = plt.subplots(1, len(maps) + 1, figsize=(9, 1.9))
    pictures = [("image", image), *((f"channel {k + 1}", m) for k, m in enumerate(maps))]
    for ax, (title, picture) in zip(axes, pictures, strict=True):
        ax.imshow(picture, cmap="gray" if title == "image" else "viridis")
        ax.set(title=title, xticks=[], yticks=[])
        ax.title.set_fontsize(9)
        ax.grid(False)
    return figure


def activation_tables(x: Array, y: Array) -> Figure:
    """Two small activation arrays as tables of numbers, a row per neuron and a column per image."""
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
    """A vector from the origin, named `beyond` its tip and `aside` of it, to the right."""
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
    """A neuron, its projection on a line and what is left over: distance over norm is the sine of the angle."""
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


# ---------------------------------------------------------------- space


def boundary(basis: Float[np.ndarray, "rows 3"], epsilon: float) -> list[Float[np.ndarray, "phi t"]]:
    """The cone that bounds the vectors within ε of a line or plane of space: x, y and z of its points.

    Around a line it stands at arcsin ε from the line; around a plane, at arcsin ε from the plane.
    """
    _, values, turned = np.linalg.svd(basis)
    rank = int((values > 1e-9).sum())
    axis, across = (turned[0], turned[1:]) if rank == 1 else (turned[2], turned[:2])
    angle = np.arcsin(epsilon) if rank == 1 else np.pi / 2 - np.arcsin(epsilon)
    phi, t = np.meshgrid(np.linspace(0, 2 * np.pi, 49), np.array([-1.15, 0.0, 1.15]), indexing="ij")
    ring = np.cos(phi)[..., None] * across[0] + np.sin(phi)[..., None] * across[1]
    points = t[..., None] * (np.cos(angle) * axis + np.sin(angle) * ring)
    return [points[..., k] for k in range(3)]


def span_trace(basis: Float[np.ndarray, "rows 3"], name: str) -> Trace:
    """The line or plane itself."""
    colour = COLOURS["y"]
    if np.linalg.matrix_rank(basis) == 1:
        unit = basis[0] / np.linalg.norm(basis[0])
        ends = np.array([-1.2 * unit, 1.2 * unit])
        return go.Scatter3d(x=ends[:, 0], y=ends[:, 1], z=ends[:, 2], mode="lines", line={"color": colour}, name=name)
    x, y, z = boundary(basis, 0.0)
    scale = [[0, colour], [1, colour]]
    return go.Surface(x=x, y=y, z=z, colorscale=scale, showscale=False, opacity=0.2, hoverinfo="skip", name=name)


def cone_trace(basis: Float[np.ndarray, "rows 3"], epsilon: float) -> go.Surface:
    """The boundary of the vectors within ε of the span, as a pale surface."""
    x, y, z = boundary(basis, epsilon)
    scale = [[0, GREY], [1, GREY]]
    return go.Surface(x=x, y=y, z=z, colorscale=scale, showscale=False, opacity=0.25, hoverinfo="skip", name="ε cone")


def vector_trace(z: Float[np.ndarray, " 3"], text: str, colour: str, inside: bool = True) -> go.Scatter3d:
    """A unit vector, its tip a full disc inside the cone; red with a cross outside."""
    unit = z / np.linalg.norm(z)
    return go.Scatter3d(
        x=[0, unit[0]],
        y=[0, unit[1]],
        z=[0, unit[2]],
        mode="lines+markers+text",
        text=["", text],
        textposition="top center",
        textfont={"color": colour, "size": 15},
        line={"color": colour if inside else RED, "width": 8},
        marker={"color": colour if inside else RED, "size": [0, 7], "symbol": ["circle", "circle" if inside else "x"]},
        name=text,
        hovertemplate=f"{text}<extra></extra>",
    )


def cone_traces(basis: Array, vectors: Array, names: Sequence[str], epsilon: float) -> list[Trace]:
    """Everything that changes with ε: the cone, and which vectors are inside."""
    inside = [relative_distance(z, basis) <= epsilon + 1e-9 for z in vectors]
    marks = [vector_trace(z, n, COLOURS["x"], i) for z, n, i in zip(vectors, names, inside, strict=True)]
    return [cone_trace(basis, epsilon), *marks]


def cone_title(basis: Array, vectors: Array, names: Sequence[str], epsilon: float) -> str:
    """Who is within ε of the span."""
    inside = [n for z, n in zip(vectors, names, strict=True) if relative_distance(z, basis) <= epsilon + 1e-9]
    return f"within ε = {epsilon:.2f} of the span: {', '.join(inside) or 'none'}"


def cone_in_space(basis: Array, vectors: Array, names: Sequence[str], epsilons: Sequence[float]) -> go.Figure:
    """Vectors of space against the ε-cone around the span of `basis`, with a slider for ε."""
    states = [cone_traces(basis, vectors, names, epsilon) for epsilon in epsilons]
    fixed = [span_trace(basis, "span"), *(vector_trace(b, f"y{k + 1}", COLOURS["y"]) for k, b in enumerate(basis))]
    titles = [cone_title(basis, vectors, names, epsilon) for epsilon in epsilons]
    figure = with_slider(states, fixed, titles, [f"{e:.2f}" for e in epsilons], "ε = ", start=len(states) // 3)
    axis = {"range": [-1.2, 1.2], "showticklabels": False}
    scene = {f"{a}axis": axis | {"title": f"image {k + 1}"} for k, a in enumerate("xyz")}
    figure.update_layout(scene=scene | {"aspectmode": "cube"}, showlegend=False, height=520)
    figure.update_layout(scene_camera={"eye": {"x": 1.45, "y": -1.45, "z": 0.75}})
    return figure


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


def cone_still(basis: Array, vectors: Array, names: Sequence[str], epsilon: float) -> Figure:
    """The same picture at one ε, for paper."""
    figure = plt.figure(figsize=(6, 5))
    ax = figure.add_subplot(projection="3d")
    if np.linalg.matrix_rank(basis) == 2:
        ax.plot_surface(*boundary(basis, 0.0), color=COLOURS["y"], alpha=0.25, linewidth=0)
    ax.plot_surface(*boundary(basis, epsilon), color=GREY, alpha=0.25, linewidth=0)
    drawn = [(b, f"y{k + 1}", "y", True) for k, b in enumerate(basis)]
    drawn += [(v, n, "x", relative_distance(v, basis) <= epsilon) for v, n in zip(vectors, names, strict=True)]
    for z, text, side, inside in drawn:
        tip = z / np.linalg.norm(z)
        ax.plot(*zip((0, 0, 0), tip, strict=True), color=COLOURS[side], lw=3, ls="-" if inside else ":")
        ax.text(*(1.1 * tip), text, color=COLOURS[side], fontsize=13)
    ax.set(xlabel="image 1", ylabel="image 2", zlabel="image 3", xticks=[], yticks=[], zticks=[])
    ax.view_init(22, -45)
    return figure


# ---------------------------------------------------------------- pairs of neurons with their distances


def pair_row(ax: Axes, r: Distances, pair: Set, epsilon: float, title: str = "") -> None:
    """The neurons of both networks in two rows, those of `pair` with their distance to the rest of it.

    Full boxes are within ε, dashed ones too far, grey ones not in the pair.
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
    """One neuron of `pair_row`."""
    member = distance is not None
    near = distance is not None and distance <= epsilon + 1e-9
    edge = colour if near else RED if member else PALE
    patch = FancyBboxPatch((at - 0.33, height - 0.24), 0.66, 0.48, boxstyle="round,pad=0.04")
    patch.set(facecolor=colour if near else "white", edgecolor=edge, linewidth=1.8)
    patch.set_linestyle("-" if near or not member else "--")
    ax.add_patch(patch)
    ink = "white" if near else RED if member else GREY
    ax.text(at, height, f"{name}\n{distance:.2f}" if member else name, ha="center", va="center", color=ink, fontsize=11)


def pair_rows(r: Distances, pairs: Sequence[Set], epsilon: float, titles: Sequence[str]) -> Figure:
    """Several pairs side by side, up to three in a row."""
    width = max(len(values) for values in r.sides.values())
    columns = min(len(pairs), 3) if len(pairs) != 4 else 2
    rows = -(-len(pairs) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(0.66 * width * columns, 1.75 * rows), squeeze=False)
    for ax in axes.flat[len(pairs) :]:
        ax.axis("off")
    for ax, pair, title in zip(axes.flat, pairs, titles, strict=False):
        pair_row(ax, r, pair, epsilon, title)
    return figure


# ---------------------------------------------------------------- the peel


def peel_figure(r: Distances, steps: Sequence[Step]) -> go.Figure:
    """The peel with a slider: bars are the distances at this step, diamonds the critical ε of those who left."""
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
    """Who leaves next, at what distance."""
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
    """The distances of some neurons to what is left of the other side, with their numbers."""
    heights = [r(v, left) for v in here]
    text = [f"{h:.3f}" for h in heights]
    bar = go.Bar(x=[label(v) for v in here], y=heights, text=text, marker={"color": colour}, name=name)
    return bar.update(textposition="outside", cliponaxis=False)


def peel_still(r: Distances, steps: Sequence[Step], stops: Sequence[int]) -> Figure:
    """Some steps of the peel side by side, for paper."""
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
        ax.set(title=f"step {k}", ylim=(0, 1.05))
        ax.set_xticks(range(len(everyone)), [label(v) for v in everyone], fontsize=7)
    axes[0].set_ylabel("relative distance")
    return figure


# ---------------------------------------------------------------- critical ε and the curve

Critical = Float[np.ndarray, " neurons"]


def similarity_curve(ax: Axes, critical: Iterable[Critical], name: str = "", **style: object) -> None:
    """s(ε) from the critical ε of both sides: their empirical distribution function (def-similarity)."""
    values = np.sort(np.concatenate(list(critical)))
    finite = values[np.isfinite(values)]
    ends = np.concatenate([[0], finite, [1]])
    shares = np.concatenate([[0], np.arange(1, len(finite) + 1), [len(finite)]]) / len(values)
    ax.step(ends, shares, where="post", label=name, **style)  # type: ignore[arg-type]
    ax.set(xlim=(0, 1), ylim=(-0.03, 1.03), xlabel="ε", ylabel="similarity s(ε)")


def critical_pins(ax: Axes, critical: tuple[Critical, Critical]) -> None:
    """A pin for every neuron at its critical ε, smallest first; an open one at the top if it never matches."""
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
    """Critical ε of every neuron, and the curve that counts how many lie at or below each ε."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=[3, 2])
    critical_pins(left, critical)
    similarity_curve(right, critical, color="black", lw=2)
    if epsilon is not None:
        left.axhline(epsilon, color=RED, ls="--", lw=1.2)
        right.axvline(epsilon, color=RED, ls="--", lw=1.2, label=f"ε = {epsilon:g}")
        right.legend(loc="upper left")
    return figure


def sorted_distances(columns: dict[str, Critical], describe: Callable[[str], str] = str) -> Figure:
    """Several versions of one layer: the distances of its neurons to the other network's span, smallest first."""
    figure, ax = plt.subplots(figsize=(6.6, 3.6))
    for (name, values), mark in zip(columns.items(), "ox^s", strict=False):
        ax.plot(np.arange(1, len(values) + 1), np.sort(values), mark, ms=7, label=describe(name), fillstyle="none")
    ax.set(ylim=(0, 1.02), xlabel="neuron, nearest first", ylabel="relative distance to the other span")
    ax.legend()
    return figure
