"""The result of a comparison of two networks: tables, flags, figures, a web page, and a file to save it."""

import hashlib
import html
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BadInput, first_words
from ..files import atomic, check_regular, check_target
from ..schemas import Saved, dumped, parsed
from .comparison_figures import FIGURES, as_png, drawn
from .frames import CRITICAL, check_frame, read_frame
from .layer_chance import COLUMNS_OF_CHANCE, NUMBERS_OF_CHANCE
from .tables import EPSILONS, as_epsilons, similarity_table

FRAMES = ("left_out", "omitted", "flagged")
NUMBERS = ("images", "seconds", "peak_memory_gib", "device")
NOTES = "comparison.json"
SEAL = "sha256"  # the hash of the other files in the archive
MEND = "compare again"
LARGEST_PART = 2**28  # bytes that a table may have in memory; one of a million neurons has less
ONCE_PER_LAYER = ("position", "depth", "kind", "samples")  # what a layer has once
COLUMNS = {
    "critical": (*CRITICAL, *ONCE_PER_LAYER),
    "layers": ("layer",),
    "similarity": ("layer", "similarity", "epsilon"),
    "measures": (),
    "_left_out": ("layer", "neurons", "samples", "images_needed"),
    "_omitted": ("layer", "reason"),
    "_flagged": ("layer", "flag"),
}
OPTIONAL_COLUMNS = {"chance": ("layer", *COLUMNS_OF_CHANCE)}  # of a table that not every comparison has


def check_page(path: Path) -> None:
    """Raise `BadInput` unless a page can be written to this path, where at most an older page is lost."""
    check_target(path, "a page", lambda start: start.startswith(b"<!DOCTYPE html>"))


def check_saved(path: Path) -> None:
    """Raise `BadInput` unless a comparison can be saved there, where at most an older one is lost."""
    check_target(path, "a saved comparison", lambda start: start[:2] == b"PK" and start[30:].startswith(NOTES.encode()))


@dataclass
class Comparison:
    """Two networks, layer by layer.

    - tables: "critical" (one row per neuron with its critical ε, inf if it never matches), "layers" (one row per pair
      of layers with neurons, dead neurons, samples), "similarity" (at the paper's ε), "measures" (others, if wanted).
      With chance there is "chance", too: each value beside those with the inputs of b in another order;
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
        """Write one HTML page with figures, tables and warnings. It needs no other file and no network.

        Raises `BadInput` for a path that holds something else.
        """
        place = Path(path)
        check_page(place)
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
        tables += [("Beside chance", self.tables[name]) for name in ("chance",) if len(self.tables.get(name, ()))]
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
        """Write all tables and numbers to one file, which `load` reads.

        Raises `BadInput` for a path that holds something else.
        """
        place = Path(path)
        check_saved(place)
        known = {name: getattr(self, name) for name in NUMBERS}
        frames = self.tables | {f"_{name}": getattr(self, name) for name in FRAMES}
        parts = {NOTES: json.dumps(known).encode()}
        parts |= {f"{name}.parquet": frame.to_parquet() for name, frame in frames.items()}
        with atomic(place) as scratch, zipfile.ZipFile(scratch, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in {**parts, SEAL: _digest(parts)}.items():
                archive.writestr(name, part)
        return place

    @staticmethod
    def load(path: str | Path) -> "Comparison":
        """The comparison that `save` wrote. Raises `BadInput` for any other file. Nothing in the file is executed.

        Files of earlier versions hold no hash of their content. They are read as they are.
        """
        check_regular(Path(path), "a saved comparison")
        try:
            with zipfile.ZipFile(path) as archive:
                parts = {name: _part(archive, name) for name in [NOTES, *archive.namelist()]}
            digest = parts.pop(SEAL, None)
            altered = digest not in (None, _digest(parts))
            known = parsed(parts.pop(NOTES).decode(), Saved, NOTES, MEND)
            frames = {name.removesuffix(".parquet"): _frame(name, part) for name, part in parts.items()}
            check_frames(frames)
            if altered:
                raise BadInput(f"it has changed since it was saved: {MEND}")
            rest: dict[str, Any] = {name: frames.pop(f"_{name}") for name in FRAMES}
            return Comparison(frames, **rest, **dumped(known))
        except Exception as error:  # zipfile and zlib raise many kinds on a damaged archive
            raise BadInput(f"{path} is not a saved comparison: {first_words(error)}") from error


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of an archive. Raises `BadInput` if it is larger than any that `save` writes."""
    if (size := archive.getinfo(name).file_size) > LARGEST_PART:
        raise BadInput(f"{name} would unfold to {size} bytes: expected at most {LARGEST_PART}")
    return archive.read(name)


def _digest(parts: Mapping[str, bytes]) -> bytes:
    """The hash of the numbers and tables of a comparison, with their names."""
    hashes = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest().encode()


def _frame(file: str, content: bytes) -> pd.DataFrame:
    """One table of an archive. Raises `BadInput` with its name for what `frames` refuses."""
    name = file.removesuffix(".parquet")
    try:
        frame = read_frame(io.BytesIO(content), LARGEST_PART)
        check_frame(name, frame)
    except BadInput as error:
        raise BadInput(f"{name} {error}") from None
    return frame


def check_frames(frames: Mapping[str, pd.DataFrame]) -> None:
    """Raise `BadInput` if a table of a comparison is missing, or lacks one of its columns."""
    wanted = COLUMNS | {name: columns for name, columns in OPTIONAL_COLUMNS.items() if name in frames}
    for name, columns in wanted.items():
        if name not in frames:
            raise BadInput(f"has no {name}: expected {', '.join(COLUMNS)}")
        lacking = [column for column in columns if column not in frames[name]]
        if lacking or (name == "_flagged" and len(frames[name].columns) != len(columns)):
            raise BadInput(f"{name} has columns {', '.join(map(str, frames[name]))}: expected {', '.join(columns)}")
    if "chance" in frames:
        _check_chance(frames["chance"])
    critical = frames["critical"]
    names = [name for name in ("layer", "layer_b") if name in critical]
    if critical.groupby(names).ngroups != critical.groupby([*names, *ONCE_PER_LAYER]).ngroups:
        raise BadInput("critical has two layers of one name: expected each once")


def _check_chance(table: pd.DataFrame) -> None:
    """Raise `BadInput` for values that no permutation gives: numbers that are not finite, a p of 0 or above 1."""
    for column in NUMBERS_OF_CHANCE:
        values = table[column]
        if len(table) and (values.dtype.kind not in "iuf" or not np.isfinite(values).all()):
            raise BadInput(f"chance has values in column {column} that are no finite numbers: expected one per row")
    if not (table["p"].between(0, 1, "right")).all():
        raise BadInput("chance has a p that is not possible: expected numbers above 0, and at most 1")
