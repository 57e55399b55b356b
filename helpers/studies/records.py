"""Folders of records: each is written whole or not at all, and every file is checked against its hash when it is read.

A *record* lies in `results/`, in the repository. A result that is not recorded lies in `cache/`. In both places a
result is a folder with one parquet file per table, compressed layers, and `provenance.json`, which holds the hash of
each file.
"""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import BadInput, unknown
from ..files import atomic_folder, folder, sha256, sweep
from ..schemas import Provenance, read_json
from ..subspaces import Gram
from .frames import check_frame, read_frame
from .study import Study

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "numba", "pandas")
OPENED: dict[str, dict[str, Any]] = {}  # provenance of each record that this process has read
ASKED: set[str] = set()  # names of the records that this process looked for, found or not; "*" if it listed all
EVERYTHING = "*"
LARGEST_TABLE = 2 * 2**30  # bytes that a table may have in memory
NAMED = ("dataset", "network", "width", "seeds", "recipe")  # what every study of a record says
WITHOUT_STUDY = ("two_networks",)  # kinds that are computed from files of the reader's own


def results_root() -> Path:
    """The folder of the records: $SAMEREP_RESULTS if set, else `results/`."""
    return folder("SAMEREP_RESULTS", "results")


def cache_root() -> Path:
    """The folder of results that are not recorded: $SAMEREP_CACHE if set, else `cache/` (ignored by git)."""
    return folder("SAMEREP_CACHE", "cache")


def all_records() -> list[Path]:
    """The folders of all records, of whatever kind."""
    ASKED.add(EVERYTHING)
    sweep(results_root())
    return sorted(path.parent for path in results_root().glob("[!.]*/provenance.json"))


def records_of(kind: str = "seeds") -> list[Path]:
    """The folders of all records of one kind, as their provenance says: "seeds", "causes", …"""
    return [place for place in all_records() if kind_name(read_provenance(place)) == kind]


def kind_name(provenance: Mapping[str, Any]) -> str:
    """The kind of a record. The oldest records do not name it: they are of the kind "seeds"."""
    return provenance.get("kind", "seeds")


def write_tables(
    tables: dict[str, pd.DataFrame], provenance: dict[str, Any], place: Path, grams: dict[str, Gram] | None = None
) -> Path:
    """Write a record of any kind. Its folder appears whole or not at all."""
    with atomic_folder(place) as scratch:
        for name, table in tables.items():
            compact(table).to_parquet(scratch / f"{name}.parquet", compression="zstd")
        for layer, gram in (grams or {}).items():
            gram.save(scratch / "grams" / f"{layer}.npz")
        files = {path.relative_to(scratch).as_posix(): sha256(path) for path in _files_in(scratch)}
        (scratch / "provenance.json").write_text(
            json.dumps(provenance | {"files": files}, indent=1) + "\n", encoding="utf-8"
        )
    return place


def _files_in(place: Path) -> list[Path]:
    """The files of a record, without temporary ones."""
    paths = [path for pattern in ("*", "grams/*") for path in place.glob(pattern) if path.is_file()]
    return sorted(path for path in paths if path.name != "provenance.json" and not path.name.startswith("."))


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """The table with words as categories, because parquet stores each category once."""
    words = table.select_dtypes(include=["object", "string"]).columns
    return table.astype(dict.fromkeys(words, "category"))


def read_provenance(place: Path) -> dict[str, Any]:
    """The provenance of a record. Raises `BadInput` if it cannot be read or does not fit its schema."""
    path = place / "provenance.json"
    read_json(path, Provenance, mend(place))
    known = json.loads(path.read_text("utf-8"))
    if known["study"] and kind_name(known) not in WITHOUT_STUDY:
        study_of(known, str(path))
    return known


def study_of(known: Mapping[str, Any], source: str) -> Study:
    """The study that a provenance names. Raises `BadInput` for a parameter that is missing, unknown or not possible."""
    given, names = known["study"], [field.name for field in fields(Study)]
    for name in given:
        if name not in names:
            raise BadInput(f"{source}: {unknown('parameter of a study', name, names)}")
    for name in NAMED:
        if name not in given:
            raise BadInput(f"{source} names no {name} of its study: {mend(Path(source).parent)}")
    try:
        return Study(**given)
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from None


def mend(place: Path) -> str:
    """In words: how to get rid of a damaged record or cache entry."""
    inside = place.parent == results_root()
    return "restore it from git" if inside else f"delete {place} and run again"


def read_tables(place: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Tables and provenance of a record of any kind. Every file is checked; `BadInput` names a damaged one."""
    OPENED[place.name] = provenance = read_provenance(place)
    files = provenance["files"]
    wanted = {f"grams/{layer}.npz" for layer in provenance.get("grams", ())}
    there = {path.relative_to(place).as_posix() for path in _files_in(place)}
    for name in sorted(wanted | there | set(files)):  # a file without a hash is not trusted
        if name not in there or name not in files or sha256(place / name) != files[name]:
            raise BadInput(f"{place / name} is missing or damaged: {mend(place)}")
    return {Path(name).stem: _table(place / name) for name in files if name.endswith(".parquet")}, provenance


def _table(path: Path) -> pd.DataFrame:
    """A table. Raises `BadInput` with its name for what `frames` refuses."""
    try:
        table = read_frame(path, LARGEST_TABLE)
        check_frame(path.stem, table)
    except BadInput as error:
        raise BadInput(f"{path} {error}; {mend(path.parent)}") from None
    return table
