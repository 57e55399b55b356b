"""Read a notebook as a page: its cells, tags, directives, exercises. Nothing is written here."""

import ast
import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

import jupytext
from nbformat import NotebookNode

from ...errors import BadInput, unknown
from ...files import ROOT

NOTEBOOKS = ROOT / "notebooks"
CHAPTERS = ("neurons", "matches", "maximum", "simple", "uniqueness", "algorithms", "numerics")
OPENING = re.compile(r"^ *(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\} *(?P<argument>.*?) *$")
WORDS_A_MINUTE = 180  # reading speed for text with formulas
OPTION = re.compile(r"^ *:(?P<key>[\w-]+): *(?P<value>.*?) *$")


@dataclass(frozen=True)
class Directive:
    """A MyST directive in Markdown: ``:::{name} argument``, its options, its body, and its lines [start, stop)."""

    name: str
    argument: str
    options: dict[str, str]
    body: str
    start: int
    stop: int

    @property
    def label(self) -> str:
        """The `:label:` option, or the argument of a directive that only points at a label."""
        return self.options.get("label", self.argument)


def directives(text: str) -> list[Directive]:
    """Every directive of a Markdown text, in order, with nested ones."""
    lines = text.splitlines()
    return [_block(lines, i, opening) for i, line in enumerate(lines) if (opening := OPENING.match(line))]


def _block(lines: list[str], start: int, opening: re.Match[str]) -> Directive:
    """The directive that opens on line `start`. It ends at the first bare fence of at least its length.

    Raises `BadInput` if there is no such fence.
    """
    fence = opening["fence"]
    closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}} *$")
    stop = next((i for i in range(start + 1, len(lines)) if closing.match(lines[i])), None)
    if stop is None:
        raise BadInput(f"'{lines[start].strip()}' has no closing {fence}")
    body, options = lines[start + 1 : stop], {}
    while body and (option := OPTION.match(body[0])):
        options[option["key"]] = option["value"]
        body = body[1:]
    return Directive(opening["name"], opening["argument"], options, "\n".join(body).strip(), start, stop + 1)


def load_notebook(path: Path) -> NotebookNode:
    """A notebook of one's own, from either half of its pair. A text that was read before is not parsed again."""
    return deepcopy(_parsed(path.read_text(encoding="utf-8"), path.suffix))


@lru_cache(maxsize=100)
def _parsed(text: str, extension: str) -> NotebookNode:
    return cast(NotebookNode, jupytext.reads(text, fmt={"extension": extension}))


def sources(folder: Path = NOTEBOOKS) -> list[Path]:
    """The text halves of all notebooks, sorted."""
    return sorted(folder.glob("*.py"))


def tags(cell: NotebookNode) -> list[str]:
    """The cell's tags."""
    return list(cell.metadata.get("tags", []))


def markdown(notebook: NotebookNode) -> Iterator[str]:
    """The Markdown cells' texts."""
    return (cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code(notebook: NotebookNode, *wanted: str) -> list[NotebookNode]:
    """The code cells that have all the wanted tags."""
    return [c for c in notebook.cells if c.cell_type == "code" and set(wanted) <= set(tags(c))]


def directives_named(notebook: NotebookNode, names: Iterable[str]) -> list[Directive]:
    """All directives with one of these names, in the order of the page."""
    wanted = set(names)
    return [block for text in markdown(notebook) for block in directives(text) if block.name in wanted]


def title(notebook: NotebookNode) -> str:
    """The text of the first H1; "" if there is none."""
    return next((h[1] for text in markdown(notebook) if (h := re.search(r"^# +(.+?) *$", text, re.M))), "")


def reading_minutes(notebook: NotebookNode) -> int:
    """How long it takes to read a notebook's text and code, at least one minute. It need not have run."""
    return max(1, round(sum(len(cell.source.split()) for cell in notebook.cells) / WORDS_A_MINUTE))


def in_minutes(count: int) -> str:
    """A number of minutes in words: "1 minute", "7 minutes"."""
    return f"{count} minute{'s' * (count > 1)}"


def parameters(notebook: NotebookNode) -> dict[str, object]:
    """Names and values of the parameters cell; empty if there is no such cell."""
    assigned = [
        (target.id, ast.literal_eval(node.value))
        for cell in code(notebook, "parameters")
        for node in ast.parse(cell.source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return dict(assigned)


@dataclass
class Exercise:
    """An exercise of a page: its text, whether it has a solution, and the expressions that its checks take."""

    block: Directive
    has_solution: bool = False
    answers: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The kind of exercise: "code" if it is checked, "predict" if it asks for a prediction, else "paper"."""
        if self.answers:
            return "code"
        return "predict" if "predict" in self.block.body.lower() else "paper"


def exercises(notebook: NotebookNode) -> dict[str, Exercise]:
    """The exercises of a notebook by label, with their solutions and checks.

    Raises `BadInput` for a solution or a check of an unknown exercise.
    """
    by_label = {block.label: Exercise(block) for block in directives_named(notebook, ["exercise", "exercise-start"])}
    for block in directives_named(notebook, ["solution", "solution-start"]):
        if block.argument not in by_label:
            raise unknown("exercise of a solution", block.argument, by_label)
        by_label[block.argument].has_solution = True
    for label, answer in checked(notebook):
        if label not in by_label:
            raise unknown("exercise of a check", label, by_label)
        by_label[label].answers.append(answer)
    return by_label


def checked(notebook: NotebookNode) -> list[tuple[str, str]]:
    """Each `check("label", answer)` of the cells tagged `check`: the label and the answer's source."""
    calls = [
        node
        for cell in code(notebook, "check")
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "check"
    ]
    return [(ast.literal_eval(call.args[0]), ast.unparse(call.args[1])) for call in calls]
