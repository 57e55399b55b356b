"""Write numbers into the text of an executed page: the role that names a glued value is replaced by the value.

Jupyter, VS Code and Colab know no roles. So an executed notebook reads there as it does in the built book.
"""

import re
from collections.abc import Callable
from typing import Any

import myst_nb
from nbformat import NotebookNode

from ..errors import BadInput, unknown

TAG = re.compile(
    r"<(?=[A-Za-z/!?])"
)  # words may come from names of layers and classes, and "<" before a number is less
ROLE = re.compile(r"\{glue:text\}`(?P<key>[^`:]+)(?::(?P<form>[^`:]*))?`")

VALUES: dict[str, str] = {}  # of the notebook that runs in this kernel
WAITING: list[Callable[[], bool]] = []  # texts that lack a value; each fills itself in, and says whether it is whole


def glue(name: str, value: Any, display: bool = True) -> None:
    """Keep a number or a word for the text of the page, under a name that the role `{glue:text}` then names."""
    VALUES[name] = unquoted(repr(value))
    WAITING[:] = [fill for fill in WAITING if not fill()]
    myst_nb.glue(name, value, display)


def glued_values(notebook: NotebookNode) -> dict[str, str]:
    """The numbers and words that the cells of an executed notebook glued, as text, by name."""
    values: dict[str, str] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            if name:
                text = next((v for kind, v in output["data"].items() if kind.endswith("text/plain")), "")
                values[name] = unquoted(text)
    return values


def unquoted(text: str) -> str:
    """A glued string without the quotation marks of its `repr`. A number stays as it is."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def fill_values(notebook: NotebookNode) -> None:
    """Replace in the Markdown cells, in place, every role `{glue:text}` that names a value of this notebook.

    Values of other pages (`page.ipynb::name`) stay roles. Raises `BadInput` for a name that no cell glued, and for a
    format that does not fit the value.
    """
    values = glued_values(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = ROLE.sub(lambda role: value_in_words(role["key"], role["form"] or "", values), cell.source)


def value_in_words(key: str, form: str, values: dict[str, str]) -> str:
    """A glued value in its format. BadInput for one that is not there, and for a format that does not fit."""
    if key not in values:
        raise unknown("glued value", key, values)
    try:
        number = form and not form.endswith("s")
        return format(float(values[key]), form) if number else TAG.sub("&lt;", values[key])
    except ValueError:
        raise BadInput(f"glued value {key} is '{values[key]}': expected a number for the format {form}") from None
