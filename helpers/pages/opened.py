"""A notebook as Jupyter, VS Code, Colab and plain papermill open it: without roles, directives and placeholders.

Text that holds numbers becomes a cell that shows it with the numbers that were just computed (`show_text`). The cell
after the parameters refuses one that the notebook does not know or cannot take (`given`).
"""

import ast
import re
from functools import cache
from typing import Any

import nbformat
from IPython.core.getipython import get_ipython
from IPython.display import Markdown, display
from nbformat import NotebookNode

from ..errors import BadInput
from ..parameters import check_choice, literal
from .filled import ROLE, VALUES, WAITING, value_in_words
from .grid import Page
from .running import WORDS_A_MINUTE, as_words, assigned, check_parameters, fill, filled, minutes, parameters_of
from .teaching import pages, plain

GLUED = re.compile(r"«(?P<key>[^«»:]+)(?::(?P<form>[^«»]*))?»")  # a role, in a form that plain Markdown leaves alone
FIELD = re.compile(r"\{\{(\w+)\}\}")
HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form", "tags": ["text"]}  # Jupyter's and Colab's way
INJECTED = "# Parameters"  # how the cell begins that papermill puts after the parameters
UNTITLED = "Your own run"
LATER = "…"  # in place of a number that is still to come


def as_opened(notebook: NotebookNode, name: str) -> NotebookNode:
    """The notebook in plain Markdown; the same code cells, and two more that read and check the parameters."""
    defaults = parameters_in(notebook)
    words = {"page": name, "title": UNTITLED, "reading": reading_time(notebook), "running": "about a minute"}
    cells: list[NotebookNode] = []
    ready = not defaults  # names of parameters have values from here on
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata = nbformat.from_dict(filled(cell.metadata, words | defaults))
            cells.append(cell)
        elif text := _plain(fill(cell.source, words if ready else words | defaults)):
            cells.append(_text_cell(text))
        if "parameters" in pages.tags(cell):
            ready = True
            cells.append(_hidden(f"given({name!r})"))
    first = next((at for at, cell in enumerate(cells) if cell.cell_type == "code"), len(cells))
    names = "given, show_text" if defaults else "show_text"
    notebook.cells = [*cells[:first], _hidden(f"from helpers.pages.opened import {names}"), *cells[first:]]
    return notebook


def parameters_in(notebook: NotebookNode) -> dict[str, Any]:
    """Names and defaults in a notebook's parameters cell; none where there is no such cell."""
    cells = pages.code(notebook, "parameters")
    return dict(pair for cell in cells for line in ast.parse(cell.source).body for pair in assigned(line))


def reading_time(notebook: NotebookNode) -> str:
    """As a page states it, from the words of the text alone."""
    return minutes(sum(len(text.split()) for text in pages.markdown(notebook)) / WORDS_A_MINUTE)


def _plain(text: str) -> str:
    """Without directives and roles; what a role of a number stands for is kept as «key:form»."""
    kept = ROLE.sub(lambda role: f"«{role['key']}{':' + role['form'] if role['form'] else ''}»", text)
    beside = frozenset(f"{path.stem}.ipynb" for path in pages.sources())
    return plain.plain(kept, plain.Context(_names(), {}, beside))


@cache
def _names() -> dict[str, str]:
    return plain.names_of([pages.load_notebook(path) for path in pages.sources()])


def _text_cell(text: str) -> NotebookNode:
    if not (GLUED.search(text) or FIELD.search(text)):
        return nbformat.v4.new_markdown_cell(text)
    quoted = repr(text) if '"""' in text or text.endswith("\\") else f'r"""\n{text}\n"""'
    return _hidden(f"show_text({quoted})")


def _hidden(source: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source, metadata=nbformat.from_dict(HIDDEN))


# ---------------------------------------------------------------- inside the kernel


def show_text(text: str) -> None:
    """Show Markdown with the parameters ({{name}}) and the glued numbers («key:form») as they are now.

    A number that comes later is filled in when it comes.
    """
    space = _space()
    for name in FIELD.findall(text):
        text = text.replace("{{" + name + "}}", as_words(space[name]))
    shown = display(Markdown(_with_numbers(text)), display_id=True)

    def is_whole() -> bool:
        shown.update(Markdown(_with_numbers(text)))
        return _lacks(text) == []

    if _lacks(text):
        WAITING.append(is_whole)


def _lacks(text: str) -> list[str]:
    return [glued["key"] for glued in GLUED.finditer(text) if glued["key"] not in VALUES]


def _with_numbers(text: str) -> str:
    def said(glued: re.Match[str]) -> str:
        return value_in_words(glued["key"], glued["form"] or "", VALUES) if glued["key"] in VALUES else LATER

    return GLUED.sub(said, text).strip()


def _space() -> dict[str, Any]:
    """The names of the notebook that runs here."""
    shell = get_ipython()
    if shell is None:
        raise BadInput("no notebook runs here: expected to be called from one of its cells")
    return shell.user_ns


def given(notebook: str) -> None:
    """Check the parameters that this kernel was given, and read lists that came as text.

    Raises BadInput for a name that the notebook does not have and for a value that it cannot take.
    """
    space, page = _space(), Page(notebook, notebook)
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
