"""What an executed page depends on: its notebook, the modules that it imports, the records that it read, other files.

Code is compared by its syntax trees, so a changed docstring reruns no page. A page that listed all records depends on
all of them. A page that lists what other pages hold, such as their exercises, depends on that list and not on their
other text.
"""

import ast
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jupytext

from ..files import sha256
from ..studies import hashes
from ..studies.records import EVERYTHING, results_root
from . import places
from .grid import Page
from .pairs import pair_notebook

ALWAYS = ("requirements.lock",)
BENCHMARKS = hashes.PACKAGE.parent / "benchmarks"


@dataclass(frozen=True)
class Depends:
    """The hash of everything but records that a page is made from, and the hash of each record at that moment."""

    hash: str
    records: dict[str, str]

    def hash_with(self, asked: Iterable[str]) -> str:
        """The hash that includes the records of these names, also missing ones; `EVERYTHING` stands for all records."""
        names = set(asked)
        read = self.records if EVERYTHING in names else {name: self.records.get(name) for name in names}
        return hashlib.sha256(json.dumps([self.hash, read], sort_keys=True).encode()).hexdigest()


def depends_on(page: Page, tier: str = "published") -> Depends:
    """What the page depends on now: notebook, parameters, title, code, files, versions, and all records."""
    files = {name: sha256(places.ROOT / name) for name in _files((*ALWAYS, *page.depends))}
    lists = listing(page.lists) if page.lists else ""
    own = [
        page.source.read_text(encoding="utf-8"),
        page.title,
        page.name,
        page.values(tier),
        tier,
        code_of(page.source),
        files,
        lists,
    ]
    text = json.dumps(own, default=str, sort_keys=True)
    return Depends(hashlib.sha256(text.encode()).hexdigest(), record_hashes())


def listing(name: str) -> str:
    """What a page shows of other pages: their "statements", or their exercises and reading times ("course")."""
    from .teaching import course, statements  # they run pages, and so they import this module

    return statements.statement_list() if name == "statements" else course.course_list()


def _files(patterns: Iterable[str]) -> list[str]:
    paths = {path for pattern in patterns for path in places.ROOT.glob(pattern) if path.is_file()}
    return sorted(str(path.relative_to(places.ROOT)) for path in paths)


def record_hashes() -> dict[str, str]:
    """The hash of each record's provenance, which holds the hashes of its other files."""
    return {path.parent.name: sha256(path) for path in sorted(results_root().glob("[!.]*/provenance.json"))}


def tree_of(source: Path) -> ast.Module:
    """The syntax tree of a notebook's code; an empty one where it has none, as with a reader's own mistake."""
    if source.suffix == ".py" and source.parent == places.NOTEBOOKS:
        return hashes.syntax_tree(source)
    try:
        return ast.parse(jupytext.writes(pair_notebook(source), fmt="py:percent"))  # magics become comments
    except SyntaxError:
        return ast.Module([], [])


def code_of(source: Path) -> str:
    """Hash of the modules of the package and of the benchmarks that a script imports, directly or through others."""
    package, tree = hashes.PACKAGE, tree_of(source)
    benchmarks = hashes.all_imports(hashes.imported(tree, package=BENCHMARKS), BENCHMARKS)
    modules = hashes.imported(tree, package=package)
    for name in benchmarks:
        file = hashes.module_file(name, BENCHMARKS)
        modules |= hashes.imported(hashes.syntax_tree(file), package=package) if file else set()
    text = hashes.syntax_hash(hashes.all_imports(modules, package), package) + hashes.syntax_hash(
        benchmarks, BENCHMARKS
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
