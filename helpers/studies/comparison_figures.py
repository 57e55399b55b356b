"""Figures of a comparison: similarity by layer, a map over every ε, a heat map of layers × layers."""

import base64
import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..errors import BadInput, unknown
from ..matching.peeling import TIE
from .tables import as_epsilons

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .results import Comparison

FIGURES = {
    "layers": "Similarity by layer, one line for each ε",
    "map": "A map with one row for each layer and ε to the right; the shade gives the similarity",
    "grid": "A heat map with the layers of one network below each other and those of the other to the right",
}
GRID = np.round(np.arange(0, 1, 0.01), 2)  # the ε of a map
DASHES = ("-", "--", "-.", ":")
MARKERS = "osD^v"


def drawn(comparison: "Comparison", kind: str | None, epsilons: Sequence[float]) -> "Figure":
    """The figure of one kind; by default the kind that fits the comparison.

    Raises `BadInput` for an unknown kind, and for "grid" if the comparison is none.
    """
    kind = kind or ("grid" if comparison.is_grid else "layers")
    if kind not in FIGURES:
        raise unknown("kind of figure", kind, FIGURES)
    if kind == "grid" and not comparison.is_grid:
        raise BadInput("figure 'grid' of a comparison layer by layer: expected one that was made with grid=True")
    return {"layers": _by_layer, "map": _map, "grid": _heat}[kind](comparison, as_epsilons(epsilons))


def _figure(width: float, height: float) -> tuple["Figure", Any]:
    figure = _shown()(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


@cache
def _shown() -> "type[Figure]":
    """A class of figures that a notebook shows even if pyplot is not loaded."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return _png(self)

    return ShownFigure


def _names(table: pd.DataFrame) -> list[str]:
    """The name of each row: its layer, and the other network's layer if it has another name."""
    if "layer_b" not in table:
        return unformatted(table["layer"])
    return unformatted(a if a == b else f"{a} · {b}" for a, b in zip(table["layer"], table["layer_b"], strict=True))


def unformatted(names: Iterable[str]) -> list[str]:
    """Names of layers as matplotlib shows them: between two dollar signs it would read a formula."""
    return [name.replace("$", r"\$") for name in names]


def _by_layer(comparison: "Comparison", epsilons: list[float]) -> "Figure":
    table = comparison.similarity(epsilons)
    names = list(dict.fromkeys(_names(table)))
    figure, ax = _figure(max(6.0, 0.4 * len(names) + 3), 4.2)
    for k, epsilon in enumerate(epsilons):
        rows = table[table["epsilon"] == epsilon]
        ax.plot(_names(rows), rows["similarity"], DASHES[k % 4] + MARKERS[k % 5], label=f"ε = {epsilon:g}")
    ax.set(xlabel="layer, from the input on", ylabel="maximum matching similarity", ylim=(-0.03, 1.03))
    ax.tick_params(axis="x", rotation=90 if len(names) > 5 else 0)
    ax.grid(axis="y", alpha=0.4)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def shares(critical: pd.DataFrame, grid: Float[np.ndarray, " epsilons"] = GRID) -> pd.DataFrame:
    """The similarity at every ε of a grid: one row per pair of layers, one column per ε."""
    names = [name for name in ("layer", "layer_b") if name in critical]
    rows = {}
    for key, part in critical.groupby(names, sort=False):
        values = np.sort(part["critical_epsilon"].to_numpy())
        rows[tuple(key)] = np.searchsorted(values, grid + TIE, side="right") / len(values)
    table = pd.DataFrame.from_dict(rows, orient="index", columns=grid)
    table.index = pd.MultiIndex.from_tuples(table.index, names=names)
    return table


def _map(comparison: "Comparison", epsilons: list[float]) -> "Figure":
    table = shares(comparison.critical)
    names = _names(table.index.to_frame(index=False))
    figure, ax = _figure(7.2, 0.32 * len(names) + 1.4)
    image = ax.imshow(
        table.to_numpy(),
        cmap="Blues",
        vmin=0,
        vmax=1,
        aspect="auto",
        interpolation="nearest",
        extent=(0, 1, len(names), 0),
    )
    for line in range(1, len(names)):
        ax.axhline(line, color="white", linewidth=1.5)
    ax.set_yticks(np.arange(len(names)) + 0.5, names)
    ax.set(xlabel="ε")
    ax.grid(False)
    ax.tick_params(axis="y", length=0)
    figure.colorbar(image, ax=ax, label="similarity")
    return figure


def _heat(comparison: "Comparison", epsilons: list[float]) -> "Figure":
    epsilon = epsilons[-1]
    table = comparison.similarity([epsilon])
    rows, columns = list(dict.fromkeys(table["layer"])), list(dict.fromkeys(table["layer_b"]))
    values = table.pivot(index="layer", columns="layer_b", values="similarity").reindex(index=rows, columns=columns)
    figure, ax = _figure(0.38 * len(columns) + 3.4, 0.34 * len(rows) + 2.2)
    image = ax.imshow(values.to_numpy(float), cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    ax.set_xticks(range(len(columns)), unformatted(columns), rotation=90)
    ax.set_yticks(range(len(rows)), unformatted(rows))
    ax.set(xlabel="layers of b", ylabel="layers of a", title=f"similarity at ε = {epsilon:g}")
    ax.grid(False)
    figure.colorbar(image, ax=ax)
    return figure


def _png(figure: "Figure") -> bytes:
    """The figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def as_png(figure: "Figure") -> str:
    """The figure as a data URL that an <img> can show."""
    return "data:image/png;base64," + base64.b64encode(_png(figure)).decode()
