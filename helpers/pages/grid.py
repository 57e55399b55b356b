"""The grid (`book/grid.yml`): which notebook makes which page with which parameters, and the table of contents."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..errors import BadInput
from ..schemas import Entry, Grid, read_yaml
from . import places


@dataclass(frozen=True)
class Page:
    """One entry of the grid: a computed page, or (without a notebook) a page of prose."""

    name: str
    notebook: str | None = None
    title: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    smoke: dict[str, Any] = field(default_factory=dict)
    depends: tuple[str, ...] = ()
    lists: str | None = None  # what of other pages it shows: see `dependencies.listing`
    search: tuple[str, ...] = ()  # the page about these words: a search for one of them finds it first
    file: Path | None = None  # a notebook that is not the book's

    def values(self, tier: str) -> dict[str, Any]:
        """The parameters of a tier. In the tier "smoke" some published parameters are replaced."""
        return self.parameters | (self.smoke if tier == "smoke" else {})

    @property
    def source(self) -> Path:
        """The text half of the notebook, or the reader's own file."""
        return self.file or places.NOTEBOOKS / f"{self.notebook}.py"

    @property
    def label(self) -> str:
        """What its notebook is called, without folders of this machine."""
        return self.file.name if self.file else f"notebooks/{self.notebook}.py"

    @property
    def home(self) -> Path:
        """The folder that it runs in."""
        return self.file.parent if self.file else places.ROOT

    @property
    def document(self) -> str:
        """The name of the page in the table of contents."""
        return f"book/{'pages/' if self.notebook else ''}{self.name}"


@dataclass(frozen=True)
class BookPart:
    """Some pages under one caption."""

    caption: str
    pages: tuple[Page, ...]
    numbered: bool = False


def read_grid(path: Path = places.BOOK / "grid.yml") -> list[BookPart]:
    """The parts of the book in reading order. The first page of the first part is the front page of the book.

    Raises `BadInput` for a file that does not fit its schema, for a page that is listed twice, and for a notebook or a
    prose page that does not exist.
    """
    read = read_yaml(path, Grid).root
    parts = [BookPart(part.caption, tuple(_page(entry, path) for entry in part.pages), part.numbered) for part in read]
    names = [page.name for part in parts for page in part.pages]
    same = [name.casefold() for name in names]  # on some disks they would be one file
    for name in names:
        if same.count(name.casefold()) > 1:
            raise BadInput(f"{path.name}: page '{name}' is there twice; give each page its own name")
    return parts


def _page(entry: Entry, path: Path) -> Page:
    name = entry.name
    page = Page(
        name,
        entry.notebook,
        entry.title,
        entry.parameters,
        entry.smoke,
        tuple(entry.depends),
        entry.lists,
        tuple(entry.search),
    )
    source = page.source if page.notebook else places.BOOK / f"{name}.md"
    if not source.exists():
        raise BadInput(f"{path.name}: page '{name}' needs {source.relative_to(places.ROOT)}, which is not there")
    return page


def computed_pages(parts: Iterable[BookPart] | None = None) -> list[Page]:
    """The pages that notebooks make, in reading order."""
    return [page for part in (read_grid() if parts is None else parts) for page in part.pages if page.notebook]


def notebook_names() -> list[str]:
    """The names of the book's notebooks."""
    return sorted(source.stem for source in places.NOTEBOOKS.glob("*.py"))


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
