"""One executed page as HTML to open, without the rest of the book: what points out of it is said in words."""

import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from ..errors import BadInput
from ..processes import run_child
from . import places
from .publish import stage_vendor
from .running import own_temporary
from .teaching import pages, plain

NOT_ALONE = ("repository", "launch_buttons", "use_issues_button", "use_repository_button")  # they lead to the sources
NEEDED = ("assets", "extension.py", "references.bib")


def html_of(executed: Path) -> Path:
    """Build the page of an executed notebook; returns its index.html in a folder of its own. BadInput if that fails."""
    target = places.BUILD / "own" / executed.stem
    vendor = stage_vendor()
    with own_temporary() as place:
        work = Path(place)
        shutil.copytree(vendor, work / "_build" / "vendor")
        for name in NEEDED:
            source, copy = places.BOOK / name, work / "book" / name
            copy.parent.mkdir(exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy)
        config = yaml.safe_load((places.ROOT / "_config.yml").read_text(encoding="utf-8"))
        (work / "_config.yml").write_text(yaml.safe_dump(without(config)), encoding="utf-8")
        (work / "_toc.yml").write_text("format: jb-book\nroot: index\n", encoding="utf-8")
        nbformat.write(alone(nbformat.read(executed, as_version=4)), work / "index.ipynb")
        _build(work)
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(work / "_build" / "html", target)
    return target / "index.html"


def without(settings: dict[str, Any]) -> dict[str, Any]:
    """The book's settings without those that lead to its sources."""
    left = {key: value for key, value in settings.items() if key not in NOT_ALONE}
    return {key: without(value) if isinstance(value, dict) else value for key, value in left.items()}


def _build(work: Path) -> None:
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(work)]
    done = run_child(command, cwd=places.ROOT)
    if done.returncode or not (work / "_build" / "html" / "index.html").exists():
        last = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise BadInput(f"the page could not be built as HTML: {''.join(last)}")


def alone(notebook: NotebookNode) -> NotebookNode:
    """The notebook with every reference out of it, and every citation, in words."""
    own = set(plain.names_of([notebook])) | {name for cell in notebook.cells for name in _labels(cell)}
    names = plain.names_of([pages.load_notebook(path) for path in pages.sources()])
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain.words_for_outside(cell.source, plain.Context(names), own)
    return notebook


def _labels(cell: NotebookNode) -> list[str]:
    """What a cell's figure, or a target before a heading, is called."""
    figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
    return ([figure] if figure else []) + [target[1:-3] for target in plain.TARGET.findall(cell.source)]
