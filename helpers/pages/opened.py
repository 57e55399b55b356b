"""A notebook as Jupyter, VS Code, Colab and plain papermill open it: without roles, directives and placeholders.

Text that holds numbers becomes a cell that shows it with the numbers that were just computed (`filled.show_text`). The
cell after the parameters refuses a parameter that the notebook does not know, and a value that it cannot take
(`given`).
"""

import ast
from functools import cache
from typing import Any

import nbformat
from nbformat import NotebookNode

from ..parameters import check_choice, literal
from .filled import fill, fill_nested, hidden_cell, marked, running_names, text_cells
from .grid import Page
from .running import assigned, check_parameters, parameters_of
from .teaching import pages, plain

INJECTED = "# Parameters"  # how the cell begins that papermill puts after the parameters
UNTITLED = "Your own run"


def as_opened(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook in plain Markdown; the same code cells, and two more that read and check the parameters."""
    defaults = parameters_in(notebook)
    words = {"page": name, "title": UNTITLED, "reading": pages.in_minutes(pages.reading_minutes(notebook))}
    words["running"] = "about a minute"
    cells: list[NotebookNode] = []
    ready = not defaults  # names of parameters have values from here on
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata = nbformat.from_dict(fill_nested(cell.metadata, words | defaults))
            cells.append(cell)
        elif text := _plain(fill(cell.source, words if ready else words | defaults)):
            cells += text_cells(text)
        if "parameters" in pages.tags(cell):
            ready = True
            cells.append(hidden_cell(f"given({name!r})"))
    first = next((at for at, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    imports = "from helpers.pages.filled import show_text"
    imports += "\nfrom helpers.pages.opened import given" if defaults else ""
    notebook.cells = [*cells[:first], hidden_cell(imports), *cells[first:]]
    return notebook


def parameters_in(notebook: NotebookNode) -> dict[str, Any]:
    """Names and defaults in a notebook's parameters cell; none where there is no such cell."""
    cells = pages.code(notebook, "parameters")
    return dict(pair for cell in cells for line in ast.parse(cell.source).body for pair in assigned(line))


def _plain(text: str) -> str:
    """Without directives and roles; a mark is left for each role of a number."""
    beside = frozenset(f"{path.stem}.ipynb" for path in pages.sources())
    return plain.plain(marked(text), plain.Context(_names(), {}, beside))


@cache
def _names() -> dict[str, str]:
    return plain.names_of([pages.load_notebook(path) for path in pages.sources()])


# ---------------------------------------------------------------- inside the kernel


def given(notebook: str) -> None:
    """Check the parameters that this kernel was given, and read lists that came as text.

    Raises BadInput for a name that the notebook does not have and for a value that it cannot take.
    """
    space, page = running_names(), Page(notebook, notebook)
    known = parameters_of(page)
    for name in _set_by(space["In"], known):
        check_choice(f"parameter of {notebook}", name, known)
    for name, default in known.items():
        if isinstance(space[name], str) and not isinstance(default, str):
            space[name] = literal(space[name])
    check_parameters(page, {name: space[name] for name, default in known.items() if space[name] != default})


def _set_by(sources: list[str], known: dict[str, Any]) -> list[str]:
    """The names that papermill's cell sets, or a parameters cell that was edited by hand."""
    parameters: list[str] = []
    for source in sources:
        try:
            names = [name for line in ast.parse(source).body for name, _ in assigned(line)]
        except SyntaxError:  # a cell with a magic sets no parameters
            continue
        if source.startswith(INJECTED) or set(names) & set(known):
            parameters += names
    return parameters
