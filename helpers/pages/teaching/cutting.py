"""The student's version of a notebook, made from the source that contains the solutions."""

import ast
import copy
import re

from nbformat import NotebookNode

from . import pages

SOLUTION = "solution"
ANSWER = "**Your answer:**"


def student_version(notebook: NotebookNode) -> NotebookNode:
    """The notebook without solutions: their functions become stubs, and their text becomes a place for the answer."""
    student, inside = copy.deepcopy(notebook), False
    unchecked = set(pages.exercises(notebook)) - {label for label, _ in pages.checked(notebook)}
    needed = {name for _, answer in pages.checked(notebook) for name in names_in(answer)}
    kept = []
    for cell in student.cells:
        if cell.cell_type == "markdown":
            cell.source, inside = without_solutions(cell.source, inside, unchecked)
        elif SOLUTION in pages.tags(cell):
            cell.source, cell.outputs, cell.execution_count = stub(cell.source, needed), [], None
        elif inside and "check" not in pages.tags(cell):
            continue
        if cell.source.strip():
            kept.append(cell)
    student.cells = kept
    return student


def without_solutions(text: str, inside: bool, answered: set[str]) -> tuple[str, bool]:
    """Markdown without `{solution}` blocks and without what is between the start and end markers of a solution.

    `inside` says whether the text begins between the markers. The second value says whether it ends there. The
    exercises in `answered` get a line for the answer.
    """
    kept = [line for line, is_solution in _parts(text, inside, answered) if not is_solution]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip(), _ends_inside(text, inside)


def _markers(text: str) -> list[pages.Directive]:
    return [b for b in pages.directives(text) if b.name in ("solution-start", "solution-end")]


def _ends_inside(text: str, inside: bool) -> bool:
    """Whether the text ends between the markers."""
    marks = _markers(text)
    return marks[-1].name == "solution-start" if marks else inside


def _parts(text: str, inside: bool, answered: set[str]) -> list[tuple[str, bool]]:
    """Each line of the text, and whether it belongs to a solution."""
    lines = text.splitlines()
    hidden = [inside] * len(lines)
    for block in pages.directives(text):
        if block.name == SOLUTION:
            hidden[block.start : block.stop] = [True] * (block.stop - block.start)
        elif block.name == "solution-start":
            hidden[block.start :] = [True] * (len(lines) - block.start)
        elif block.name == "solution-end":
            hidden[block.stop :] = [False] * (len(lines) - block.stop)
        if block.name in (SOLUTION, "solution-start") and block.argument in answered:
            lines[block.start], hidden[block.start] = ANSWER, False
    return list(zip(lines, hidden, strict=True))


def stub(source: str, needed: set[str]) -> str:
    """The code to fill in.

    Imports stay. Functions keep their signature and docstring, with `...` as body. Names that a check takes become
    `name = ...`. Everything else is removed.
    """
    kept = [_stub(node, needed) for node in ast.parse(source).body]
    return "\n\n\n".join(part for part in kept if part)


def _stub(node: ast.stmt, needed: set[str]) -> str:
    """One statement of a solution, emptied."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return ast.unparse(node)
    if isinstance(node, ast.FunctionDef):
        return ast.unparse(emptied(node))
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return "\n".join(f"{name} = ..." for name in names_set(node) if name in needed)
    return ""


def emptied(function: ast.FunctionDef) -> ast.FunctionDef:
    """The function with its docstring and `...` in place of its body."""
    documented = function.body[:1] if ast.get_docstring(function) is not None else []
    hollow = copy.deepcopy(function)
    hollow.body = [*documented, ast.Expr(ast.Constant(...))]
    return hollow


def names_in(source: str) -> set[str]:
    """The variables that an expression or a program reads."""
    nodes = ast.walk(ast.parse(source))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def names_set(node: ast.AST) -> list[str]:
    """The variables that a statement assigns, and the functions it defines."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
