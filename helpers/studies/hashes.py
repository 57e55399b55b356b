"""Which modules a module imports, and a hash of their code that no comment and no docstring changes.

Imports are read from the syntax tree, wherever they are in the file. Nothing is executed. Modules are named by their
path below the package, such as "studies.seeds", so that the hash does not depend on where the package is installed.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import BadInput

PACKAGE = Path(__file__).resolve().parent.parent
SCIENTIFIC = ("subspaces", "streaming", "matching", "measures", "networks", "studies")  # rooms that compute numbers
PLUMBING = (
    "studies",
    "studies.store",
    "studies.hashes",
    "studies.kinds",
    "studies.parallel",
    "studies.layer_tasks",
    "studies.parts",
    "studies.intervals",
    "networks.families",
)  # modules that only pass numbers on
FAMILIES = "networks.families"  # lists the families of networks; a study computes with the family of its network


def module_file(module: str, package: Path = PACKAGE) -> Path | None:
    """The file of a module of the package, such as "studies.seeds"; None if there is none of this name."""
    path = package / module.replace(".", "/") if module else package
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.exists()), None)


@cache
def _tree(path: Path, _changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def syntax_tree(path: Path) -> ast.Module:
    """The file's syntax tree. It is parsed once for each version of the file."""
    return _tree(path, path.stat().st_mtime_ns)


@cache
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(json.dumps(_plain(syntax_tree(path))).encode()).hexdigest()


def direct_imports(module: str, package: Path = PACKAGE) -> set[str]:
    """The modules of the package that a module names in its import statements.

    Raises `BadInput` for an unknown module.
    """
    file = module_file(module, package)
    if file is None:
        raise BadInput(f"no module {package.name}.{module}: expected a file below {package.name}/")
    inside = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return set(_imported_by(file, file.stat().st_mtime_ns, inside, package))


@cache
def _imported_by(file: Path, _changed: int, inside: str, package: Path) -> frozenset[str]:
    return frozenset(imported(syntax_tree(file), inside, package))


def imported(tree: ast.Module, inside: str | None = None, package: Path = PACKAGE) -> set[str]:
    """The modules of the package that a syntax tree imports. Relative imports start at the subpackage `inside`."""
    modules = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[2] for alias in node.names if _is_below(alias.name, package)}
        elif isinstance(node, ast.ImportFrom) and (start := _start(node, inside, package)) is not None:
            names = {".".join(filter(None, (start, alias.name))) for alias in node.names}
            modules |= {name if module_file(name, package) else start for name in names}
    return modules


def _is_below(name: str | None, package: Path) -> bool:
    return name is not None and name.partition(".")[0] == package.name


def _start(node: ast.ImportFrom, inside: str | None, package: Path) -> str | None:
    """The module below the package that a `from … import` names; None if it lies outside."""
    if not node.level:
        return (node.module or "").partition(".")[2] if _is_below(node.module, package) else None
    if inside is None:
        return None
    parts = inside.split(".") if inside else []
    return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def all_imports(modules: Iterable[str], package: Path = PACKAGE, lists: Iterable[str] = ()) -> list[str]:
    """The given modules and all that they import, directly or through others, sorted by name.

    What the modules in `lists` import is not followed.
    """
    reached: set[str] = set()
    waiting, ends = list(modules), set(lists)
    while waiting:
        if (module := waiting.pop()) not in reached:
            reached.add(module)
            waiting += direct_imports(module, package) if module not in ends else ()
    return sorted(reached)


def syntax_hash(modules: Iterable[str], package: Path = PACKAGE) -> str:
    """Hash of the modules' syntax trees without docstrings. Syntax trees contain no comments and no line breaks."""
    files = {module: module_file(module, package) for module in sorted(modules)}
    digests = {module: _digest(file, file.stat().st_mtime_ns) for module, file in files.items() if file}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """A syntax tree as lists and text.

    Every version of Python that parses it to an equal tree gives an equal result.
    """
    if isinstance(value, ast.AST):
        fields = {name: _plain(child) for name, child in _fields(value) if child is not None and child != []}
        return [type(value).__name__, fields]
    return [_plain(child) for child in value] if isinstance(value, list) else repr(value)


def _fields(node: ast.AST) -> Iterator[tuple[str, Any]]:
    documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    for name, child in ast.iter_fields(node):
        yield name, child[1:] if documented and name == "body" and _is_text(child) else child


def _is_text(body: list[ast.stmt]) -> bool:
    first = body[0] if body else None
    return isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)


def code_version(module: str, package: Path = PACKAGE, family: str | None = None) -> str:
    """Hash of the code that a module's numbers depend on: the module and the scientific modules that it imports.

    Of the families of networks only the module `family` counts; by default all of them do.
    """
    reached = all_imports([module, family], package, [FAMILIES]) if family else all_imports([module], package)
    rooms = (name for name in reached if name.partition(".")[0] in SCIENTIFIC)
    return syntax_hash((name for name in rooms if name not in PLUMBING), package)
