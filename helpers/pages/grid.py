"""The grid: which notebook runs with which parameters to make which page (`book/grid.yml`), and the contents."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import BadInput, unknown
from . import places


@dataclass(frozen=True)
class Page:
    """One line of the grid: a computed page, or (without a notebook) a page of prose."""

    name: str
    notebook: str | None = None
    title: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    smoke: dict[str, Any] = field(default_factory=dict)
    depends: tuple[str, ...] = ()

    def values(self, tier: str) -> dict[str, Any]:
        """The parameters of a tier: smoke ones replace published ones."""
        return self.parameters | (self.smoke if tier == "smoke" else {})

    @property
    def source(self) -> Path:
        """The text half of the notebook."""
        return places.NOTEBOOKS / f"{self.notebook}.py"

    @property
    def document(self) -> str:
        """What the table of contents calls it."""
        return f"book/{'pages/' if self.notebook else ''}{self.name}"


@dataclass(frozen=True)
class BookPart:
    """Some pages under one caption."""

    caption: str
    pages: tuple[Page, ...]
    numbered: bool = False


def read_grid(path: Path = places.BOOK / "grid.yml") -> list[BookPart]:
    """The parts of the book in reading order; the first page of the first part is its front page.

    Raises BadInput for an unknown key, a page named twice, or a notebook or prose page that is not there.
    """
    parts = [
        BookPart(part["caption"], tuple(_page(entry, path) for entry in part["pages"]), part.get("numbered", False))
        for part in yaml.safe_load(path.read_text())
    ]
    names = [page.name for part in parts for page in part.pages]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path.name}: page '{name}' is there twice; give each page its own name")
    return parts


def _page(entry: dict[str, Any], path: Path) -> Page:
    known = ("page", "prose", "notebook", "title", "parameters", "smoke", "depends")
    for key in entry:
        if key not in known:
            raise unknown(f"key in {path.name}", key, known)
    name = str(entry.get("page") or entry.get("prose") or entry.get("notebook"))
    rest = {key: entry[key] for key in ("notebook", "title", "parameters", "smoke") if key in entry}
    page = Page(name, **rest, depends=tuple(entry.get("depends", ())))
    source = page.source if page.notebook else places.BOOK / f"{name}.md"
    if not source.exists():
        raise BadInput(f"{path.name}: page '{name}' needs {source.relative_to(places.ROOT)}, which is not there")
    return page


def computed_pages(parts: Iterable[BookPart] | None = None) -> list[Page]:
    """The pages that notebooks make, in reading order."""
    return [page for part in (read_grid() if parts is None else parts) for page in part.pages if page.notebook]


def table_of_contents(parts: list[BookPart] | None = None) -> str:
    """The text of `_toc.yml`."""
    parts = read_grid() if parts is None else parts
    front = parts[0].pages[0]
    chapters = [(part, [page for page in part.pages if page is not front]) for part in parts]
    content = [
        {"caption": part.caption}
        | ({"numbered": True} if part.numbered else {})
        | {"chapters": [{"file": page.document} for page in pages]}
        for part, pages in chapters
    ]
    toc = {"format": "jb-book", "root": front.document, "parts": content}
    return "# Made from book/grid.yml by `make pairs`.\n" + yaml.safe_dump(toc, sort_keys=False, allow_unicode=True)
