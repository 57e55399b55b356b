"""The result of a comparison of two networks: tables, flags, figures, a web page, and a file to save it."""

import html
import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow.lib import ArrowException

from ..errors import BadInput, shown
from ..files import atomic
from .comparison_figures import FIGURES, as_png, drawn
from .tables import EPSILONS, as_epsilons, similarity_table

FRAMES = ("left_out", "omitted", "flagged")
NUMBERS: dict[str, Any] = {"images": int, "seconds": float, "peak_memory_gib": float | int, "device": str}
COLUMNS = {
    "critical": ("layer", "side", "neuron", "critical_epsilon", "dead", "samples"),
    "layers": ("layer", "samples", "flags"),
    "measures": ("layer", "measure", "value"),
    "similarity": ("layer", "epsilon", "similarity"),
    "flagged": ("layer", "flag"),
    "omitted": ("layer", "reason"),
    "left_out": ("layer", "neurons", "samples", "images_needed"),
}
DAMAGES = (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, NotImplementedError, zlib.error)


@dataclass
class Comparison:
    """Two networks, layer by layer.

    - tables: "critical" (one row per neuron with its critical ε, inf if it never matches), "layers" (one row per pair
      of layers with neurons, dead neurons, samples), "similarity" (at the paper's ε), "measures" (others, if wanted);
    - left_out: layers with too few samples, and how many images they need;
    - omitted: layers that were not taken, with the reason;
    - flagged: what a reader of the numbers should know, by layer;
    - images: the number of inputs.
    """

    tables: dict[str, pd.DataFrame]
    left_out: pd.DataFrame
    omitted: pd.DataFrame
    flagged: pd.DataFrame
    images: int
    seconds: float
    peak_memory_gib: float
    device: str

    @property
    def critical(self) -> pd.DataFrame:
        """One row per neuron of either network, with its critical ε."""
        return self.tables["critical"]

    @property
    def flags(self) -> tuple[str, ...]:
        """What to distrust, one sentence per finding, with its layer in front; empty when all is well."""
        return tuple(f"{layer}: {flag}" for layer, flag in self.flagged.itertuples(index=False, name=None))

    @property
    def is_grid(self) -> bool:
        """Whether one layer is compared with several."""
        table = self.tables["layers"]
        return "layer_b" in table and bool(table["layer"].duplicated().any())

    def similarity(self, epsilons: float | Sequence[float] = EPSILONS) -> pd.DataFrame:
        """Maximum matching similarity: one row per pair of layers and ε."""
        return similarity_table(self.critical, as_epsilons(epsilons))

    def plot(self, kind: str | None = None, epsilons: Sequence[float] = EPSILONS) -> Any:
        """A matplotlib figure: "layers" (similarity by layer, one line per ε), "map" (every ε), "grid" (a heat map).

        The default is "grid" for a grid and "layers" otherwise. Raises `BadInput` for another kind.
        """
        return drawn(self, kind, epsilons)

    def to_html(self, path: str | Path, title: str = "Two networks, layer by layer") -> Path:
        """Write one HTML page with figures, tables and warnings. It needs no other file and no network."""
        place = Path(path)
        with atomic(place) as scratch:
            scratch.write_text(self._page(title), encoding="utf-8")
        return place

    def _page(self, title: str) -> str:
        kinds = ["grid"] if self.is_grid else ["layers", "map"]
        pictures = [f'<img alt="{FIGURES[kind]}" src="{as_png(self.plot(kind))}">' for kind in kinds]
        said = (
            "".join(f"<li>{html.escape(text)}</li>" for text in self.flags) or "<li>Nothing to distrust was found.</li>"
        )
        tables = [("Similarity", self.wide()), ("Layers", self.tables["layers"])]
        tables += [("Other measures", self.tables["measures"])] * bool(len(self.tables["measures"]))
        tables += [("Layers with too few images", self.left_out)] * bool(len(self.left_out))
        tables += [("Layers not taken", self.omitted)] * bool(len(self.omitted))
        shown = "".join(
            f"<h2>{name}</h2>{table.to_html(index=False, float_format='{:.3f}'.format)}" for name, table in tables
        )
        style = "body{font:16px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}img{max-width:100%}"
        style += "td,th{padding:.2em .8em;text-align:left}table{border-collapse:collapse}"
        return (
            f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
            f"<style>{style}</style></head><body><h1>{html.escape(title)}</h1><p>{self.images} inputs, "
            f"{self.seconds:.0f} s on {html.escape(self.device)}.</p><h2>What to know first</h2><ul>{said}</ul>"
            f"{''.join(pictures)}{shown}</body></html>"
        )

    def wide(self, epsilons: Sequence[float] = EPSILONS) -> pd.DataFrame:
        """Similarity for reading: one row per pair of layers, one column per ε."""
        table = self.similarity(epsilons)
        names = [name for name in ("layer", "layer_b") if name in table]
        table["epsilon"] = [f"ε = {epsilon:g}" for epsilon in table["epsilon"]]
        order = table[names].drop_duplicates()
        wide = table.pivot(index=names, columns="epsilon", values="similarity").reset_index()
        return order.merge(wide, on=names).rename_axis(columns=None)

    def save(self, path: str | Path) -> Path:
        """Write all tables and numbers to one file, which `load` reads."""
        place = Path(path)
        known = {name: getattr(self, name) for name in NUMBERS}
        frames = self.tables | {f"_{name}": getattr(self, name) for name in FRAMES}
        with atomic(place) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("comparison.json", json.dumps(known))
            for name, frame in frames.items():
                buffer = io.BytesIO()
                frame.to_parquet(buffer)
                archive.writestr(f"{name}.parquet", buffer.getvalue())
        return place

    @staticmethod
    def load(path: str | Path) -> "Comparison":
        """The comparison that `save` wrote. Raises `BadInput` for any other file. Nothing in the file is executed."""
        try:
            with zipfile.ZipFile(path) as archive:
                known = json.loads(archive.read("comparison.json"))
                names = [name.removesuffix(".parquet") for name in archive.namelist() if name.endswith(".parquet")]
                frames = {name: pd.read_parquet(io.BytesIO(archive.read(f"{name}.parquet"))) for name in names}
            rest = {name: frames.pop(f"_{name}") for name in FRAMES}
            fields: dict[str, Any] = {"tables": frames, **rest, **{name: known[name] for name in NUMBERS}}
            return Comparison(**fields)._checked()
        except (*DAMAGES, zipfile.BadZipFile, ArrowException) as error:
            raise BadInput(f"{path} is not a saved comparison: {' '.join(str(error).split())[:150]}") from error

    def _checked(self) -> "Comparison":
        """The comparison itself. Raises ValueError if a table, a column or a number is not what `compare` makes."""
        frames = self.tables | {name: getattr(self, name) for name in FRAMES}
        for table, columns in COLUMNS.items():
            for column in columns:
                if table not in frames or column not in frames[table]:
                    raise ValueError(f"table {table} has no column {column}")
        for name, kind in NUMBERS.items():
            if not isinstance(getattr(self, name), kind):
                raise ValueError(f"{name} is {shown(getattr(self, name))}")
        critical = self.critical["critical_epsilon"]
        if not (critical.dtype.kind == "f" and (critical >= 0).all()):  # NaN is not above anything
            raise ValueError("a critical epsilon is no number from 0 to infinity")
        return self
