"""The rooms of the package: which may import which, how long a module may be, and that a public name stands once."""

import ast
import statistics
from collections import defaultdict
from graphlib import TopologicalSorter

import pytest

from helpers.files import ROOT
from helpers.studies import hashes

MODULES = sorted(
    ".".join(path.relative_to(hashes.PACKAGE).with_suffix("").parts) for path in hashes.PACKAGE.rglob("*.py")
)
FOUNDATION = {"errors", "files", "compiling", "parameters", "gram_files"}
CORE = FOUNDATION | {"subspaces", "streaming"}
READERS = {"schemas", "processes"}  # need further packages
MAY_IMPORT = {  # besides its own room
    "errors": set(),
    "files": {"errors"},
    "compiling": FOUNDATION,
    "subspaces": FOUNDATION,
    "streaming": CORE,
    "parameters": {"errors"},
    "gram_files": {"errors", "files"},
    "signals": set(),
    "processes": {"errors", "signals"},
    "schemas": {"errors", "parameters"},
    "matching": CORE,
    "measures": CORE,
    "networks": CORE | READERS,
    "studies": CORE | READERS | {"matching", "measures", "networks"},
}
LONGEST, MEDIAN, LONGEST_FUNCTION = 400, 12, 40
SHARED = {"KIND", "compute"}  # what every kind of study has


def tree_of(module: str) -> ast.Module:
    path = hashes.module_file(module.removesuffix(".__init__").removesuffix("__init__"))
    assert path is not None
    return hashes.syntax_tree(path)


def room(module: str) -> str:
    return module.partition(".")[0]


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) in MAY_IMPORT])
def test_imports_go_one_way(module):
    allowed = MAY_IMPORT[room(module)] | {room(module)}
    for other in hashes.direct_imports(module.removesuffix(".__init__")):
        subspace = module == "measures.subspace" and room(other) == "matching"
        assert room(other) in allowed or subspace, f"{module} imports {other}"


def test_every_room_has_its_arrows():
    rooms = {room(module) for module in MODULES}
    assert rooms - set(MAY_IMPORT) <= {"__init__", "__main__", "pages", "compare"}


def imports_at_start(module: str) -> set[str]:
    """What a module imports when it is imported itself, not later in a function."""
    file = hashes.module_file(module)
    assert file is not None
    top = [node for node in hashes.syntax_tree(file).body if isinstance(node, ast.Import | ast.ImportFrom)]
    inside = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return hashes.imported(ast.Module(top, []), inside) - {module}


def test_no_module_imports_itself_through_others():
    graph = {name: imports_at_start(name) for name in {m.removesuffix(".__init__") for m in MODULES} - {"__init__"}}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_imports_within_the_package_are_relative():
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            names = [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any((name or "").partition(".")[0] == "helpers" for name in names), module


@pytest.mark.parametrize("folder", ["helpers", "tests", "book", "benchmarks"])
def test_what_other_programs_say_is_not_read_in_the_machines_own_encoding(folder):
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / folder).rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    given = {word.arg for call in calls for word in call.keywords if ast.unparse(word.value) == "True"}
    assert not given & {"text", "universal_newlines"}, "expected encoding='utf-8', errors='replace'"


@pytest.mark.parametrize("library", ["matplotlib", "plotly"])
def test_only_pages_draw(library):
    for module in (m for m in MODULES if room(m) in MAY_IMPORT):
        for node in tree_of(module).body:
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert library not in {name.partition(".")[0] for name in named}, module


def test_no_module_is_long():
    paths = {
        module: hashes.module_file(module.removesuffix(".__init__").removesuffix("__init__")) for module in MODULES
    }
    lengths = {module: len(path.read_text().splitlines()) for module, path in paths.items() if path}
    assert not {module: length for module, length in lengths.items() if length > LONGEST}


def test_no_function_or_class_shares_its_name_with_another_module():
    modules_of = defaultdict(list)
    for module in (m for m in MODULES if m != "__main__"):
        for node in tree_of(module).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                modules_of[node.name].append(module)
    twice = {name: modules for name, modules in modules_of.items() if len(modules) > 1}
    assert not {name: modules for name, modules in twice.items() if name not in SHARED}


def test_functions_are_short():
    lengths = {}
    for module in MODULES:
        for node in ast.walk(tree_of(module)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lengths[module, node.name] = node.end_lineno - node.lineno + 1
    assert statistics.median(lengths.values()) <= MEDIAN
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}
