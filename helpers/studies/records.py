"""Folders of records: written whole or not at all, every file checked against its hash when it is read.

A *record* lies in `results/` (in the repository), a result that is not recorded in `cache/`. Both are folders with one
parquet file per table, compressed layers, and `provenance.json`, which holds the hash of each file.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import BadInput
from ..files import ROOT, folder, sha256
from ..subspaces import Gram

LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "numba", "pandas")
OPENED: dict[str, dict[str, Any]] = {}  # provenance of each record that this process has read
ASKED: set[str] = set()  # names of the records that this process looked for, found or not; "*": it listed all
EVERYTHING = "*"


def results_root() -> Path:
    """The records in the repository: $SAMEREP_RESULTS, else `results/`."""
    return folder("SAMEREP_RESULTS", "results")


def cache_root() -> Path:
    """Computed and not recorded: $SAMEREP_CACHE, else `cache/` (git-ignored)."""
    return folder("SAMEREP_CACHE", "cache")


def all_records() -> list[Path]:
    """The folders of all records, of whatever kind."""
    ASKED.add(EVERYTHING)
    return sorted(path.parent for path in results_root().glob("*/provenance.json"))


def records_of(kind: str = "seeds") -> list[Path]:
    """Folders of everything recorded of one kind by its provenance: "seeds", "causes", …"""
    return [place for place in all_records() if kind_name(read_provenance(place)) == kind]


def kind_name(provenance: Mapping[str, Any]) -> str:
    """The kind of a record; the first records, which do not say it, are of several seeds."""
    return provenance.get("kind", "seeds")


def write_tables(
    tables: dict[str, pd.DataFrame], provenance: dict[str, Any], place: Path, grams: dict[str, Gram] | None = None
) -> Path:
    """Write a record of any kind; the folder appears whole or not at all."""
    scratch, old = (place.with_name(f".{place.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name, table in tables.items():
        compact(table).to_parquet(scratch / f"{name}.parquet", compression="zstd")
    for layer, gram in (grams or {}).items():
        gram.save(scratch / "grams" / f"{layer}.npz")
    files = {str(path.relative_to(scratch)): sha256(path) for path in sorted(scratch.rglob("*.*"))}
    (scratch / "provenance.json").write_text(json.dumps(provenance | {"files": files}, indent=1) + "\n")
    if place.exists():
        place.rename(old)
    scratch.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return place


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """Repeated words as categories, which parquet stores once."""
    words = table.select_dtypes(include=["object", "string"]).columns
    return table.astype(dict.fromkeys(words, "category"))


def read_provenance(place: Path) -> dict[str, Any]:
    """What is known of a record; BadInput if it cannot be read."""
    try:
        found = json.loads((place / "provenance.json").read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "files" not in found:
        raise BadInput(f"{place / 'provenance.json'} is missing or damaged: {mend(place)}")
    return found


def mend(place: Path) -> str:
    """How to get rid of a damaged record or cache entry."""
    inside = place.parent == results_root()
    return "restore it from git" if inside else f"delete {place} and run again"


def read_tables(place: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Tables and provenance of a record of any kind, every file checked; BadInput names the damaged one."""
    OPENED[place.name] = provenance = read_provenance(place)
    files = provenance["files"]
    for name in (f"grams/{layer}.npz" for layer in provenance.get("grams", ())):
        files.setdefault(name, "unknown")  # a file without a hash is not trusted
    for name, expected in files.items():
        if not (place / name).exists() or sha256(place / name) != expected:
            raise BadInput(f"{place / name} is missing or damaged: {mend(place)}")
    paths = [place / name for name in files if name.endswith(".parquet")]
    return {path.stem: _plain(pd.read_parquet(path)) for path in paths}, provenance


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Categories as words again."""
    words = table.select_dtypes(include=["category"]).columns
    return table.astype(dict.fromkeys(words, str))


def commit() -> str:
    """The repository's commit, "+" when files differ from it; "unknown" outside a clone."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
