"""Connects each statement of the book to its proof, its tests, its code and the places where it is shown.

The marks are those of CONTRIBUTING.md: a sphinx-proof block with a label in a notebook, `pytest.mark.statement` on a
test, the label in a docstring, the tag `shows-…` on a cell. If one of them is missing, the build stops.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from ...errors import BadInput
from ...files import ROOT
from . import pages

KINDS = {
    "prf:definition": "def",
    "prf:lemma": "lem",
    "prf:theorem": "thm",
    "prf:proposition": "prp",
    "prf:corollary": "cor",
    "prf:algorithm": "alg",
}
PROVED = ("lem", "thm", "prp", "cor")
LABEL = re.compile(r"\b(?:def|lem|thm|prp|cor|alg)-[a-z0-9]+(?:-[a-z0-9]+)*\b")
SHOWS = "shows-"


@dataclass(frozen=True)
class Place:
    """A function (or class, or module) in a file, with its source text."""

    file: str
    name: str
    source: str


@dataclass(frozen=True)
class Sight:
    """A cell that shows a statement: its page, and the label of its figure if it has one."""

    page: str
    figure: str | None


@dataclass
class Statement:
    """A numbered block of the book, with its proof, tests, code and figures."""

    label: str
    kind: str
    title: str
    body: str
    page: str
    proved: bool = False
    tests: list[Place] = field(default_factory=list)
    code: list[Place] = field(default_factory=list)
    seen: list[Sight] = field(default_factory=list)


@dataclass
class Ledger:
    """All statements by label, in the order of the book, the titles of the pages, and what is wrong or missing."""

    statements: dict[str, Statement]
    titles: dict[str, str]
    problems: list[str]


def collect_statements(root: Path = ROOT) -> Ledger:
    """All statements, from notebooks/, tests/ and helpers/ under `root`. Nothing is executed."""
    books = {path.stem: pages.load_notebook(path) for path in ordered(root / "notebooks")}
    ledger = Ledger({}, {name: pages.title(book) for name, book in books.items()}, [])
    for name, book in books.items():
        _read_statements(name, book, ledger)
    for name, book in books.items():
        _read_sights(name, book, ledger)
    _read_places(root / "tests", "test", _marks, ledger)
    _read_places(root / "helpers", "docstring", _mentions, ledger)
    ledger.problems += [line for s in ledger.statements.values() for line in gaps(s)]
    return ledger


def ordered(folder: Path) -> list[Path]:
    """The notebooks of a folder: chapters first, in their order, then the others by name."""
    rank = {name: i for i, name in enumerate(pages.CHAPTERS)}
    return sorted(pages.sources(folder), key=lambda path: (rank.get(path.stem, len(rank)), path.stem))


def _read_statements(name: str, book: NotebookNode, ledger: Ledger) -> None:
    """The statements of one page; a proof belongs to the statement before it."""
    last: Statement | None = None
    for block in pages.directives_named(book, [*KINDS, "prf:proof"]):
        if block.name == "prf:proof":
            if last is None:
                ledger.problems.append(f"{name}: a proof stands before any statement")
            else:
                last.proved = True
            continue
        label = block.options.get("label", "")
        last = Statement(label, block.name.removeprefix("prf:"), block.argument, block.body, name)
        if not LABEL.fullmatch(label) or not label.startswith(KINDS[block.name]):
            ledger.problems.append(f"{name}: '{block.argument}' has label '{label}', expected {KINDS[block.name]}-…")
        if label in ledger.statements:
            ledger.problems.append(f"{label} is stated twice, in {ledger.statements[label].page} and {name}")
        ledger.statements.setdefault(label, last)


def _read_sights(name: str, book: NotebookNode, ledger: Ledger) -> None:
    """Add the cells of one page that show statements."""
    for cell in pages.code(book):
        figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        for label in (tag.removeprefix(SHOWS) for tag in pages.tags(cell) if tag.startswith(SHOWS)):
            if label in ledger.statements:
                ledger.statements[label].seen.append(Sight(name, figure))
            else:
                ledger.problems.append(f"{name}: a cell shows {label}, which no page states")


def _read_places(folder: Path, kind: str, labels, ledger: Ledger) -> None:  # type: ignore[no-untyped-def]
    """Add every function of a folder's modules that names a label. `kind` is "test" or "docstring"."""
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        file = path.relative_to(folder.parent).as_posix()
        for name, node in _definitions(ast.parse(text)):
            for label in labels(node):
                if label not in ledger.statements:
                    ledger.problems.append(f"{file}: {name} names {label}, which no page states")
                    continue
                statement = ledger.statements[label]
                place = Place(file, name, _source(text, node))
                (statement.tests if kind == "test" else statement.code).append(place)


def _definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """The module, its classes, functions and methods, with their dotted names."""
    yield prefix.rstrip(".") or "the module", node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            yield from _definitions(child, f"{prefix}{child.name}.")


def _source(text: str, node: ast.AST) -> str:
    """The source of a definition with its decorators; empty for a whole module."""
    if isinstance(node, ast.Module):
        return ""
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _marks(node: ast.AST) -> list[str]:
    """The labels in a function's `@pytest.mark.statement("…")` decorators."""
    calls = [d for d in getattr(node, "decorator_list", []) if isinstance(d, ast.Call)]
    marks = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "statement"]
    return [str(ast.literal_eval(argument)) for mark in marks for argument in mark.args]


def _mentions(node: ast.AST) -> list[str]:
    """The labels in a docstring, each once."""
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    return list(dict.fromkeys(LABEL.findall(ast.get_docstring(node) or "")))


def gaps(statement: Statement) -> list[str]:
    """What a statement lacks, one line per gap."""
    label, kind = statement.label, statement.label[:3]
    lacks = {
        f'{label} has no test: mark one with @pytest.mark.statement("{label}")': not statement.tests,
        f"{label} has no proof: a prf:proof block follows the statement": kind in PROVED and not statement.proved,
        f"{label} is seen nowhere: tag a cell {SHOWS}{label}": not statement.seen,
        f"{label} has no code: name it in the docstring of what implements it": kind == "alg" and not statement.code,
        f"{label} has no title": not statement.title,
    }
    return [line for line, missing in lacks.items() if missing]


def verified_statements(root: Path = ROOT) -> Ledger:
    """All statements of a book without problems.

    Otherwise `BadInput` gives the first problem and how many more there are.
    """
    ledger = collect_statements(root)
    if ledger.problems:
        rest = f" (and {len(ledger.problems) - 1} more)" if len(ledger.problems) > 1 else ""
        raise BadInput(ledger.problems[0] + rest)
    return ledger


def statements_page(ledger: Ledger) -> str:
    """The table of all statements in MyST Markdown, with columns for proof, tests, code and where each is shown."""
    head = ["| Statement | Proof | Tests | Code | Seen |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_row(s, ledger) for s in ledger.statements.values())])


def statement_list() -> str:
    """The whole page of statements as text. When it changes, the page runs again."""
    ledger = collect_statements()
    return "\n".join([*ledger.problems, statements_page(ledger), checked_by_page(ledger)])


def _row(statement: Statement, ledger: Ledger) -> str:
    """One line of the table."""
    proof = "yes" if statement.proved else "–"
    tests = f"[{len(statement.tests)}](#tests-{statement.label})"
    code = ", ".join(dict.fromkeys(f"`{Path(p.file).stem}.{p.name}`" for p in statement.code)) or "–"
    seen = ", ".join(dict.fromkeys(_link(s, ledger) for s in statement.seen)) or "–"
    return f"| {{prf:ref}}`{statement.label}` {statement.title} | {proof} | {tests} | {code} | {seen} |"


def _link(sight: Sight, ledger: Ledger) -> str:
    """A link to the figure, or to the page if the cell draws none."""
    if sight.figure and "{{" not in sight.figure:
        return f"{{numref}}`{sight.figure}`"
    return f"[{ledger.titles[sight.page]}]({sight.page}.ipynb)"


def checked_by_page(ledger: Ledger) -> str:
    """The tests of every statement, word for word, in MyST Markdown, with one dropdown per statement."""
    return "\n\n".join(_tests(s) for s in ledger.statements.values())


def _tests(statement: Statement) -> str:
    """The dropdown with one statement's tests."""
    code = "\n\n".join(f"# {place.file}\n{place.source}" for place in statement.tests)
    head = f"::::{{dropdown}} {statement.title} ({len(statement.tests)})\n:name: tests-{statement.label}"
    return f"{head}\nThe tests of {{prf:ref}}`{statement.label}`.\n\n```python\n{code}\n```\n::::"
