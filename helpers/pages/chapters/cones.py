"""Spans in space with the cone around them that bounds the vectors within ε: figures with a slider, and still ones."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from matplotlib.figure import Figure
from plotly.basedatatypes import BaseTraceType as Trace

from ...matching.definitions import relative_distance
from .drawings import COLOURS, GREY, RED, Array, with_slider


def boundary(basis: Float[np.ndarray, "rows 3"], epsilon: float) -> list[Float[np.ndarray, "phi t"]]:
    """The cone that bounds the vectors within ε of a line or plane in space: x, y and z of its points.

    Its angle with the line or the plane is arcsin ε.
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
    """A unit vector. Its tip is a disc inside the cone, and a red cross outside."""
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
    """The names of the vectors within ε of the span."""
    inside = [n for z, n in zip(vectors, names, strict=True) if relative_distance(z, basis) <= epsilon + 1e-9]
    return f"within ε = {epsilon:.2f} of the span: {', '.join(inside) or 'none'}"


def cone_in_space(basis: Array, vectors: Array, names: Sequence[str], epsilons: Sequence[float]) -> go.Figure:
    """Vectors in space and the ε-cone around the span of `basis`, with a slider for ε."""
    states = [cone_traces(basis, vectors, names, epsilon) for epsilon in epsilons]
    fixed = [span_trace(basis, "span"), *(vector_trace(b, f"y{k + 1}", COLOURS["y"]) for k, b in enumerate(basis))]
    titles = [cone_title(basis, vectors, names, epsilon) for epsilon in epsilons]
    figure = with_slider(states, fixed, titles, [f"{e:.2f}" for e in epsilons], "ε = ", start=len(states) // 3)
    axis = {"range": [-1.2, 1.2], "showticklabels": False}
    scene = {f"{a}axis": axis | {"title": f"image {k + 1}"} for k, a in enumerate("xyz")}
    figure.update_layout(scene=scene | {"aspectmode": "cube"}, showlegend=False, height=520)
    figure.update_layout(scene_camera={"eye": {"x": 1.45, "y": -1.45, "z": 0.75}})
    return figure


def cone_still(basis: Array, vectors: Array, names: Sequence[str], epsilon: float) -> Figure:
    """The picture of the cone at one ε, for paper."""
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
