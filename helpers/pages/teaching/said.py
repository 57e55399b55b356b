"""Sentences with numbers in a student's notebook: they are computed there, so they follow changed parameters.

The book writes `glue("share", 0.5)` and a role in its text. In the course this becomes `note("share", 0.5)`, and each
paragraph with such numbers a cell `say("… <<share:.2f>> …")`, which shows the paragraph with the numbers of the moment.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import nbformat
from IPython.display import Markdown, display
from nbformat import NotebookNode

from ...errors import unknown

ROLE = re.compile(r"\{glue:text\}`(?P<key>[^`:]+)(?::(?P<form>[^`:]*))?`")
MARK = re.compile(r"<<(?P<key>[^<>:]+)(?::(?P<form>[^<>]*))?>>")
NOTED = re.compile(r"\bnote\(\s*\"([^\"]+)\"")
IMPORT = "from helpers.pages.teaching.said import note, say"
HIDDEN = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
_noted: dict[str, Any] = {}


def note(key: str, value: Any) -> None:
    """Keep a number or a phrase for the sentences below it."""
    _noted[key] = value


def say(text: str) -> None:
    """Show a paragraph of Markdown with the numbers that were noted. Raises `BadInput` for a name that was not."""
    display(Markdown(spoken_text(text, _noted)))


def spoken_text(text: str, values: Mapping[str, Any]) -> str:
    """The text with each <<name:format>> replaced by its value. Raises `BadInput` for an unknown name."""

    def shown(mark: re.Match[str]) -> str:
        if mark["key"] not in values:
            raise unknown("number of a sentence (run the cells above first)", mark["key"], values)
        value, form = values[mark["key"]], mark["form"] or ""
        return format(float(value), form) if form and not form.endswith("s") else str(value)

    return MARK.sub(shown, text)


def without_glue(source: str) -> str:
    """A code cell whose numbers are noted instead of glued."""
    source = source.replace("from helpers.pages.filled import glue", IMPORT)
    return re.sub(r"\bglue\(", "note(", re.sub(r",\s*display=False\b", "", source))


def marked(text: str) -> str:
    """Markdown with marks in place of the roles of the page's own numbers."""
    return ROLE.sub(lambda r: f"<<{r['key']}:{r['form']}>>" if r["form"] else f"<<{r['key']}>>", text)


def cells_of(text: str, values: Mapping[str, str]) -> Iterator[NotebookNode]:
    """Markdown cells, and one `say` cell for each group of paragraphs with marks. Before a run it shows `values`."""
    runs: list[tuple[bool, list[str]]] = []
    for paragraph in re.split(r"\n{2,}", text):
        speaks = bool(MARK.search(paragraph))
        if runs and runs[-1][0] == speaks:
            runs[-1][1].append(paragraph)
        else:
            runs.append((speaks, [paragraph]))
    for speaks, paragraphs in runs:
        joined = "\n\n".join(paragraphs)
        yield _say_cell(joined, values) if speaks else nbformat.v4.new_markdown_cell(joined)


def after_their_numbers(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The cells, each `say` cell moved behind the last cell that notes one of its numbers, where that comes later.

    A number that is noted under a computed name moves nothing.
    """
    noted: dict[str, int] = {}
    for position, cell in enumerate(cells):
        for key in NOTED.findall(cell.source):
            noted.setdefault(key, position)

    def place(position: int) -> tuple[int, int]:
        keys = [m["key"] for m in MARK.finditer(cells[position].source)] if _speaks(cells[position]) else []
        last = max([position, *(noted.get(key, position) for key in keys)])
        return last, int(last > position)

    return [cells[k] for k in sorted(range(len(cells)), key=place)]


def _speaks(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and cell.source.startswith("say(")


def _say_cell(text: str, values: Mapping[str, str]) -> NotebookNode:
    """The cell that says a text, with what it said when the book was built as its output."""
    quotes = "'''" if '"""' in text or text.endswith('"') else '"""'
    cell = nbformat.v4.new_code_cell(f"say(r{quotes}{text}{quotes})", metadata=HIDDEN)
    if all(mark["key"] in values for mark in MARK.finditer(text)):
        shown = spoken_text(text, values)
        data = {"text/markdown": shown, "text/plain": "<IPython.core.display.Markdown object>"}
        cell.outputs = [nbformat.v4.new_output("display_data", data)]
    return cell
