"""Notebook pairs: the text half, which people edit, and the ipynb half without outputs, which is made from it."""

import json
import logging
from io import StringIO
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from ..errors import BadInput, first_words
from ..files import atomic, check_regular
from . import places
from .api import room_files
from .grid import table_of_contents
from .halves import check_replaceable, remember_written

MOST_CHARACTERS, MOST_LINES = 16 * 2**20, 20_000  # without outputs; the book's longest: some hundreds of lines
LARGEST_NOTEBOOK = 64 * 2**20  # bytes, of one with all its pictures


def write_pairs() -> list[Path]:
    """Update every pair, the pages of the code and the table of contents from their sources.

    Returns the changed files.
    """
    changed = [path for source in sorted(places.NOTEBOOKS.glob("*.py")) for path in _pair(source)]
    changed += [path for page, text in room_files(places.BOOK).items() for path in write_if_new(page, text)]
    return changed + write_if_new(places.ROOT / "_toc.yml", table_of_contents())


def _pair(source: Path) -> list[Path]:
    """Write the ipynb half without outputs, then the text half as jupytext writes it. Returns the changed files.

    Raises `BadInput` if the ipynb half holds changes that the text half does not have.
    """
    notebook, half = pair_notebook(source), half_of(source)
    ipynb = source.with_suffix(".ipynb")
    check_replaceable(ipynb, half, notebook)
    changed = write_if_new(ipynb, nbformat.writes(half).rstrip() + "\n")
    if changed:
        remember_written(ipynb)
    return changed + write_if_new(source, jupytext.writes(notebook, fmt="py:percent"))


def half_of(source: Path) -> NotebookNode:
    """The ipynb half that follows from a text half: plain Markdown that Jupyter, Colab and papermill can show."""
    from .opened import as_opened  # it stands on the runner, which stands on this module

    half = as_opened(pair_notebook(source), source.stem)
    plain_ids(half)
    return half


def pair_notebook(source: Path) -> NotebookNode:
    """The notebook that a text half describes, with the project's jupytext settings and without outputs.

    An ipynb file as it stands, without its outputs. Raises `BadInput` for a file that is neither.
    """
    check_regular(source, "a notebook")
    if source.exists() and source.stat().st_size > LARGEST_NOTEBOOK:
        raise BadInput(f"{source.name} has {source.stat().st_size} bytes: expected at most {LARGEST_NOTEBOOK}")
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)  # nbformat writes there, too, what it raises
    try:
        return _read(source)
    except BadInput:
        raise
    except Exception as error:  # on a damaged notebook, jupytext raises whatever its content leads to
        raise BadInput(f"{source.name} cannot be read as a notebook: {first_words(error)}") from error


def _content(source: Path) -> str:
    """The text of a notebook; of an ipynb file without its outputs, and with a line for each line of a cell.

    Raises `BadInput` if it is so long that it would be read for minutes.
    """
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".ipynb":
        notebook = json.loads(text)
        has_ids = notebook.setdefault("nbformat_minor", 0) >= 5  # of the cells; nbformat warns of those without
        for position, cell in enumerate(notebook.get("cells", [])):
            cell |= ({"outputs": []} if "outputs" in cell else {}) | ({"id": f"cell-{position:03d}"} if has_ids else {})
            if isinstance(cell["source"], str | list):
                cell["source"] = "".join(cell["source"]).splitlines(keepends=True)
        text = json.dumps(notebook, separators=(",\n", ": "))
    for what, size, most in (("lines", text.count("\n"), MOST_LINES), ("characters", len(text), MOST_CHARACTERS)):
        if size > most:
            raise BadInput(f"{source.name} has {size} {what} without outputs: expected at most {most}")
    return text


def _read(source: Path) -> NotebookNode:
    config = jupytext.config.load_jupytext_config(str(source))
    notebook = jupytext.read(StringIO(_content(source)), fmt={"extension": source.suffix}, config=config)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    checked = nbformat.from_dict(notebook | {"nbformat_minor": 5})  # a copy, with ids as this format wants them
    plain_ids(checked)
    nbformat.validate(checked, relax_add_props=True)
    return notebook


def plain_ids(notebook: NotebookNode) -> None:
    """Set cell ids by position, because random ones would change in every run."""
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:03d}"


def write_if_new(path: Path, text: str) -> list[Path]:
    """Write the text unless the file already holds it. Returns the files that were written."""
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return []
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [path]
