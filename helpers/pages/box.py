"""The box at the end of a page: how its numbers were made, and which records it depends on."""

import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pandas as pd
import psutil

from ..files import commit
from ..studies import records
from . import figures
from .places import LABEL

MANY_STUDIES = 8  # more rows than these would make the box longer than the page


def show_box(notebook: str, parameters: dict[str, Any], code: str) -> None:
    """Show parameters, records read, data, code, libraries, machine, and the time so far.

    The names of the records that the page looked for are written into the output's metadata, where the runner reads
    them.
    """
    seconds = time.time() - psutil.Process().create_time()
    rows: list[tuple[str, str]] = [
        ("Notebook", notebook),
        ("Parameters", ", ".join(f"{k} = {v!r}" for k, v in parameters.items()) or "the notebook's own"),
        *_studies_used(),
        ("Code", f"{code} (hash of all that the notebook imports), commit {commit()}"),
        ("Libraries", ", ".join(f"{name} {version(name)}" for name in records.LIBRARIES)),
        ("Machine", f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors"),
        ("Wall time of this page", f"{seconds:.0f} s"),
    ]
    table = figures.table(pd.DataFrame(rows, columns=["what", "value"]), label="Provenance")
    figures.display(table, metadata={LABEL: {"records": sorted(records.ASKED)}})


def _studies_used() -> Iterator[tuple[str, str]]:
    """One row for each record that was opened; one row for all if there are more than `MANY_STUDIES`."""
    if len(records.OPENED) > MANY_STUDIES:
        where = 'The page "How the numbers were made" has data, code and accuracies of each'
        yield f"{len(records.OPENED)} studies", f"{', '.join(sorted(records.OPENED))}. {where}"
        return
    for name, known in records.OPENED.items():
        accuracies = ", ".join(f"{c['accuracy']:.2%}" for c in known.get("checkpoints", []))
        data = known.get("data_sha256", "")[:12]
        how = f"data {data}…, commit {known.get('commit', 'unknown')}, {known.get('seconds', 0):.0f} s"
        yield f"Study {name}", how + (f"; test accuracies {accuracies}" if accuracies else "")
