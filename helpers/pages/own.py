"""The page of a notebook that a reader names: one of the book's with other parameters, or any file of theirs."""

import re
from pathlib import Path
from typing import Any

from ..errors import BadInput, shown
from ..parameters import check_choice, check_file_name
from . import places
from .grid import Page, notebook_names, read_grid
from .halves import same_cells
from .pairs import half_of, pair_notebook

SUFFIXES = (".py", ".ipynb")


def own_page(notebook: str, values: dict[str, Any], name: str | None = None) -> Page:
    """The page that a reader makes with other parameters.

    It is stored beside the book's pages and replaces none of them.

    `notebook` is the name of one of the book's notebooks, or a path: then this very file runs, in its own folder.
    Raises BadInput for a name or a path that does not exist, and for the name of one of the book's own pages.
    """
    file = _file(notebook)
    stem = file.stem if file else check_choice("notebook", Path(notebook).stem, notebook_names())
    taken = {page.name.casefold() for part in read_grid() for page in part.pages}
    if name is not None and check_file_name("page", name).casefold() in taken:
        raise BadInput(f"page name '{name}' is a page of the book: expected another name")
    plain = re.sub(r"[^\w-]+", "-", stem)
    return Page(name or f"{plain}-own", stem, name or "Your own run", values, file=file)


def _file(notebook: str) -> Path | None:
    """The file that a path means; None for one of the book's notebooks as it stands in its text half."""
    path = Path(notebook)
    if not path.is_file():
        if path.name != notebook:
            raise BadInput(f"no notebook {shown(notebook)}: expected a file, or a name as in `run network`")
        return None
    if path.suffix not in SUFFIXES:
        raise BadInput(f"notebook {shown(notebook)} is no .py and no .ipynb file: expected a notebook")
    return None if _is_the_books(path.resolve()) else path.resolve()


def _is_the_books(file: Path) -> bool:
    """Whether this is a half of one of the book's pairs that says what the text half says."""
    text = file.with_suffix(".py")
    if file.parent != places.NOTEBOOKS.resolve() or not text.exists():
        return False
    return file == text or any(same_cells(file, form) for form in (pair_notebook(text), half_of(text)))
