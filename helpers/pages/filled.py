"""Text filled with computed values: parameters as {{name}}, numbers by the role {glue:text}`name:.2f`.

An executed page has them written into its Markdown. In a notebook that runs (a notebook's ipynb half, the course) no
role is known. There a mark «name:.2f» stands for the role, and a cell shows each text that has marks with the values of
the moment (`show_text`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import nbformat
from IPython.core.getipython import get_ipython
from IPython.display import Markdown, display
from nbformat import NotebookNode

from ..errors import BadInput, unknown

ROLE = re.compile(r"\{glue:text\}`(?P<key>[^`:]+)(?::(?P<form>[^`:]*))?`")
MARK = re.compile(r"«(?P<key>[^«»:]+)(?::(?P<form>[^«»]*))?»")  # a role, in a form that plain Markdown leaves alone
FIELD = re.compile(r"\{\{(\w+)\}\}")
TAG = re.compile(r"<(?=[A-Za-z/!?])")  # words may hold names of layers and classes; "<" before a number is less
HARMLESS = re.compile(r"(?!_)[\w .,:;/()+=@%~-]*(?<!_)")  # nothing in it means anything to Markdown or HTML
NEGATIVE = re.compile(
    r"(?<![\w.-])-(?=\.?\d)(?P<zero>[0.]+(?![\d.e]))?"
)  # the hyphen of a number, not of a name or a date
FENCE = "```"
HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form", "tags": ["text"]}  # Jupyter's and Colab's way
LATER = "…"  # in place of a number that is still to come

VALUES: dict[str, Any] = {}  # of the notebook that runs in this kernel
WAITING: list[Callable[[], bool]] = []  # texts that lack a value; each fills itself in, and says whether it is whole


# ---------------------------------------------------------------- parameters


def fill(text: str, words: Mapping[str, Any]) -> str:
    """Markdown with every {{name}} replaced by its value as plain text; a list is written as "0, 1, 2"."""
    for name, value in words.items():
        text = text.replace("{{" + name + "}}", as_words(value))
    return text


def as_words(value: Any) -> str:
    """A parameter in a text; lists as "0, 1, 2"."""
    return as_text(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def as_text(value: str) -> str:
    """A value that Markdown and HTML show as it is. Characters with a meaning to them become references."""
    if HARMLESS.fullmatch(value):
        return value
    return "".join(sign if sign.isalnum() or sign in " .,-" else f"&#{ord(sign)};" for sign in value)


def fill_nested(value: Any, words: Mapping[str, Any]) -> Any:
    """`fill` for all texts inside lists and dictionaries."""
    if isinstance(value, dict):
        return {key: fill_nested(entry, words) for key, entry in value.items()}
    if isinstance(value, list):
        return [fill_nested(entry, words) for entry in value]
    return fill(value, words) if isinstance(value, str) else value


# ---------------------------------------------------------------- numbers of an executed page


def glue(name: str, value: Any, display: bool = True) -> None:
    """Keep a number or a word for the text of the page, under a name that the role `{glue:text}` then names."""
    from myst_nb import glue as keep_in_page  # here, because the course has no tool of the book

    note(name, value)
    keep_in_page(name, value, display)


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


def value_in_words(key: str, form: str, values: Mapping[str, Any]) -> str:
    """A glued value in its format. BadInput for one that is not there, and for a format that does not fit."""
    if key not in values:
        raise unknown("glued value", key, values)
    try:
        number = form and not form.endswith("s")
        text = format(float(values[key]), form) if number else str(values[key])
        return TAG.sub("&lt;", with_minus(text))
    except ValueError:
        raise BadInput(f"glued value {key} is '{values[key]}': expected a number for the format {form}") from None


def with_minus(text: str) -> str:
    """Numbers with the sign for minus in place of the hyphen, and no sign before a zero."""
    return NEGATIVE.sub(lambda number: number["zero"] or "−", text)


# ---------------------------------------------------------------- text of a notebook that runs


def marked(text: str) -> str:
    """Markdown with a mark in place of each role of one of the page's own numbers."""
    return ROLE.sub(lambda role: f"«{role['key']}{':' + role['form'] if role['form'] else ''}»", text)


def text_cells(text: str, values: Mapping[str, Any] | None = None) -> Iterator[NotebookNode]:
    """Markdown cells, and a cell that shows its text for each group of paragraphs with marks or parameters.

    With `values` these cells also have an output, as if they had been run with these values.
    """
    groups: list[tuple[bool, list[str]]] = []
    for paragraph in _paragraphs(text):
        is_filled = bool(MARK.search(paragraph) or FIELD.search(paragraph))
        if groups and groups[-1][0] == is_filled:
            groups[-1][1].append(paragraph)
        else:
            groups.append((is_filled, [paragraph]))
    for is_filled, paragraphs in groups:
        joined = "\n\n".join(paragraphs)
        yield _showing_cell(joined, values or {}) if is_filled else nbformat.v4.new_markdown_cell(joined)


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a text. What is indented belongs to the one before, and so does the inside of a code block."""
    paragraphs: list[str] = []
    for paragraph in re.split(r"\n{2,}", text):
        if paragraphs and (paragraph[:1].isspace() or paragraphs[-1].count(FENCE) % 2):
            paragraphs[-1] += f"\n\n{paragraph}"
        else:
            paragraphs.append(paragraph)
    return paragraphs


def _showing_cell(text: str, values: Mapping[str, Any]) -> NotebookNode:
    quoted = repr(text) if '"""' in text or text.endswith("\\") else f'r"""\n{text}\n"""'
    cell = hidden_cell(f"show_text({quoted})")
    if values and not _lacks(text, values):
        data = {"text/markdown": _with_numbers(text, values), "text/plain": "<IPython.core.display.Markdown object>"}
        cell.outputs = [nbformat.v4.new_output("display_data", data)]
    return cell


def hidden_cell(source: str) -> NotebookNode:
    """A code cell whose source Jupyter and Colab fold away."""
    return nbformat.v4.new_code_cell(source, metadata=nbformat.from_dict(HIDDEN))


def note(name: str, value: Any) -> None:
    """Keep a number or a word for the texts of this notebook, and fill it in where it is waited for."""
    VALUES[name] = value
    WAITING[:] = [fill_in for fill_in in WAITING if not fill_in()]


def show_text(text: str) -> None:
    """Show Markdown with the parameters ({{name}}) and the noted numbers («name:format») as they are now.

    A number that comes later is filled in when it comes.
    """
    space = running_names() if FIELD.search(text) else {}
    text = fill(text, {name: space[name] for name in FIELD.findall(text)})
    shown = display(Markdown(_with_numbers(text, VALUES)), display_id=True)

    def is_whole() -> bool:
        shown.update(Markdown(_with_numbers(text, VALUES)))
        return not _lacks(text, VALUES)

    if shown and _lacks(text, VALUES):
        WAITING.append(is_whole)


def _lacks(text: str, values: Mapping[str, Any]) -> list[str]:
    return [mark["key"] for mark in MARK.finditer(text) if mark["key"] not in values]


def _with_numbers(text: str, values: Mapping[str, Any]) -> str:
    def shown(mark: re.Match[str]) -> str:
        return value_in_words(mark["key"], mark["form"] or "", values) if mark["key"] in values else LATER

    return MARK.sub(shown, text).strip()


def running_names() -> dict[str, Any]:
    """The names of the notebook that runs here. Raises `BadInput` where none runs."""
    shell = get_ipython()
    if shell is None:
        raise BadInput("no notebook runs here: expected to be called from one of its cells")
    return shell.user_ns
