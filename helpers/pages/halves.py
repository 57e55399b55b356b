"""Protect the ipynb half of a notebook pair: it is overwritten only if its content exists elsewhere.

Its content exists elsewhere if git keeps it, if this module wrote it last, or if the text half has equal cells.
"""

import hashlib
import json
import subprocess
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..errors import BadInput
from ..files import atomic, folder


def check_replaceable(half: Path, *forms: NotebookNode) -> None:
    """Raise `BadInput` if the ipynb half holds changes that exist nowhere else. `forms`: what may be in it."""
    if not half.exists() or any(same_cells(half, form) for form in forms) or _is_written(half) or _git_keeps(half):
        return
    text = half.with_suffix(".py").name
    raise BadInput(
        f"{half} was changed and {text} does not have the change: copy it into {text}, or delete {half.name}"
    )


def remember_written(half: Path) -> None:
    """Note that the content of this ipynb half was made from its text half."""
    known = _known()
    known[str(half.resolve())] = _digest(half)
    with atomic(_notes()) as scratch:
        scratch.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")


def _notes() -> Path:
    return folder("SAMEREP_CACHE", "cache") / "pairs.json"


def _known() -> dict[str, str]:
    try:
        known = json.loads(_notes().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _digest(half: Path) -> str:
    return hashlib.sha256(half.read_bytes()).hexdigest()


def _is_written(half: Path) -> bool:
    return _known().get(str(half.resolve())) == _digest(half)


def same_cells(half: Path, new: NotebookNode) -> bool:
    """Whether the ipynb half has the cells of another form of it. Outputs and ids are ignored."""
    try:
        old = nbformat.read(half, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, ValueError):
        return False
    return [(c.cell_type, c.source) for c in old.cells] == [(c.cell_type, c.source) for c in new.cells]


def _git_keeps(half: Path) -> bool:
    """Whether exactly this content is in git's store."""
    script = 'git cat-file -e "$(git hash-object "$1")"'
    command = ["sh", "-c", script, "sh", half.name]
    return subprocess.run(command, cwd=half.parent, capture_output=True, check=False).returncode == 0
