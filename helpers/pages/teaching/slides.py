"""The lecture: one HTML file that needs no network. Its statements, exercises and figures come from the chapters.

`book/slides/deck.yml` lists the slides. A slide has at least one of these keys:

- `statement`, `proof`, `exercise`: what it quotes, by label;
- `figure`: what it shows, by label;
- `text`: Markdown, with `{glue:text}` for numbers.

More keys are `title`, `minutes`, and `note` for the speaker.
"""

import base64
import html
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from nbformat import NotebookNode

from ... import schemas
from ...errors import BadInput, unknown
from ...files import ROOT, atomic
from ...schemas import dumped, read_yaml
from ..filled import glued_values
from ..grid import computed_pages
from ..places import PAGES
from ..publish import build_book, mathjax_root
from ..running import fill, prepared
from . import pages, plain
from .statements import KINDS

FOLDER = ROOT / "book" / "slides"
QUOTED = ("statement", "proof", "exercise")
CONTENT = (*QUOTED, "figure", "text")
KEYS = (*CONTENT, "title", "minutes", "note")
STILL = re.compile(r'<img class="still" src="(data:image/png;base64,[^"]+)"')

Deck = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """The notebooks that slides quote, and the folder of their executed pages."""

    books: dict[str, NotebookNode]
    executed: Path = PAGES
    missing: list[str] = field(default_factory=list)

    @cached_property
    def names(self) -> dict[str, str]:
        """The words for each label."""
        return plain.names_of(list(self.books.values()))

    def block(self, label: str, kinds: Sequence[str]) -> tuple[str, pages.Directive]:
        """The page and the directive with this label. Raises `BadInput` if there is none."""
        blocks = {b.label: (name, b) for name, book in self.books.items() for b in pages.directives_named(book, kinds)}
        if label not in blocks:
            raise unknown("label on a slide", label, blocks)
        return blocks[label]

    def proof(self, label: str) -> tuple[str, pages.Directive]:
        """The page and the proof that follows the statement with this label. Raises `BadInput` if there is none."""
        name, _ = self.block(label, tuple(KINDS))
        blocks = pages.directives_named(self.books[name], [*KINDS, "prf:proof"])
        after = next(i for i, b in enumerate(blocks) if b.label == label) + 1
        if after == len(blocks) or blocks[after].name != "prf:proof":
            raise BadInput(f"a slide asks for the proof of {label}, which has none")
        return name, blocks[after]

    def cell(self, figure: str) -> tuple[str, int]:
        """The page and the position of the cell that draws a figure. Raises `BadInput` if there is none."""
        places = {
            figure_of(cell): (name, position)
            for name, book in self.books.items()
            for position, cell in enumerate(pages.code(book))
        }
        places.pop(None, None)
        if figure not in places:
            raise unknown("figure on a slide", figure, places)
        return places[figure]

    def context(self, name: str) -> plain.Context:
        """The context that makes the words of a page plain, with its numbers if the page was executed."""
        page = self.page(name)
        return plain.Context(self.names, {} if page is None else glued_values(page))

    @cached_property
    def everything(self) -> plain.Context:
        """The context with the numbers of all executed pages, as `page::key`."""
        pages_run = {name: page for name in self.books if (page := self.page(name)) is not None}
        values = {f"{name}::{k}": v for name, page in pages_run.items() for k, v in glued_values(page).items()}
        return plain.Context(self.names, values)

    def page(self, name: str) -> NotebookNode | None:
        """The executed page of a notebook, or None if it does not exist."""
        path = self.executed / f"{name}.ipynb"
        return nbformat.read(path, as_version=4) if path.exists() else None


def figure_of(cell: NotebookNode) -> str | None:
    """The label of the figure that a cell draws: from its metadata, or the name of an interactive figure."""
    matched = re.search(r'figures\.interactive\(.+?,\s*"([\w-]+)"', cell.source)
    return cell.metadata.get("mystnb", {}).get("figure", {}).get("name") or (matched[1] if matched else None)


def lecture_sources(folder: Path = pages.NOTEBOOKS) -> Sources:
    """All pages by name. A notebook that makes several pages is included once per page."""
    books = {path.stem: pages.load_notebook(path) for path in pages.sources(folder)}
    books = {name: book for name, book in books.items() if "{{" not in pages.title(book)}
    several = [page for page in computed_pages() if page.name not in books]
    return Sources(books | {page.name: prepared(page, page.values("published")) for page in several})


def deck(path: Path = FOLDER / "deck.yml") -> Deck:
    """The list of slides. Raises `BadInput` for what `schemas.Slides` refuses, and for an empty slide."""
    read = read_yaml(path, schemas.Slides).root
    slides = [{key: value for key, value in dumped(slide).items() if value is not None} for slide in read]
    for number, slide in enumerate(slides, 1):
        for key in slide:
            if key not in KEYS:
                raise unknown(f"key on slide {number} of {path.name}", key, KEYS)
        if not set(slide) & set(CONTENT):
            raise BadInput(f"slide {number} is empty: expected one of {', '.join(CONTENT)}")
    return slides


def lecture_minutes(slides: Deck) -> int:
    """The minutes of the lecture: the sum over slides, with 2 for a slide that gives none."""
    return sum(slide.get("minutes", 2) for slide in slides)


def write_slides(
    folder: Path, slides: Sequence[dict[str, Any]] | None = None, given: Sources | None = None
) -> list[str]:
    """Write index.html into `folder`. Returns the figures that are missing because their pages were not executed."""
    slides, given = (deck() if slides is None else slides), given or lecture_sources()
    sections = [section(number, slide, given) for number, slide in enumerate(slides, 1)]
    text = (FOLDER / "slides.html").read_text(encoding="utf-8")
    parts = {
        "title": html.escape(str(slides[0].get("title", "Slides"))),
        "css": (FOLDER / "slides.css").read_text(encoding="utf-8"),
        "js": (FOLDER / "slides.js").read_text(encoding="utf-8"),
        "mathjax": (mathjax_root() / "tex-svg.js").read_text(encoding="utf-8"),
        "slides": "\n".join(sections),
    }
    for key, value in parts.items():
        text = text.replace(f"<!-- {key} -->", value)
    with atomic(folder / "index.html") as scratch:
        scratch.write_text(text, encoding="utf-8")
    return given.missing


def build_site(tier: str = "published", jobs: int = 2) -> Path:
    """Build the book and the lecture's slides inside it. The slides take figures from its pages.

    Returns the front page.
    """
    front = build_book(tier, jobs)
    write_slides(front.parent / "slides")
    return front


def section(number: int, slide: dict[str, Any], given: Sources) -> str:
    """One slide as HTML."""
    title = slide.get("title") or heading_of(slide, given)
    heading, kind = ("h1", "cover") if number == 1 else ("h2", "plain")
    note = f'<aside class="note">{rendered(slide["note"])}</aside>' if "note" in slide else ""
    return (
        f'<section class="slide {kind}" id="s{number}" aria-label="Slide {number}">'
        f'<{heading}>{inline(title)}</{heading}><div class="body">{content(slide, given)}</div>{note}</section>'
    )


def content(slide: dict[str, Any], given: Sources) -> str:
    """The HTML of a slide's body. The figure is below the words, or beside them if the slide quotes something."""
    words = rendered(plain.roles(slide.get("text", ""), given.everything))
    quotes = "".join(quotation(key, slide[key], given) for key in QUOTED if key in slide)
    if "figure" not in slide:
        return f'<div class="only">{quotes}{words}</div>' if quotes else words
    drawn, wide = picture(slide["figure"], given)
    if not quotes:
        return drawn + words
    return f'<div class="{"stack" if wide else "pair"}"><div>{quotes}{words}</div>{drawn}</div>'


def quotation(key: str, label: str, given: Sources) -> str:
    """A statement, a proof or an exercise of a page, in its frame."""
    kinds = ("exercise", "exercise-start") if key == "exercise" else tuple(KINDS)
    page, block = given.proof(label) if key == "proof" else given.block(label, kinds)
    text = fill(block.body, pages.parameters(given.books[page]))
    return f'<div class="{key}">{rendered(plain.plain(text, given.context(page)))}</div>'


def heading_of(slide: dict[str, Any], given: Sources) -> str:
    """The heading of a slide that quotes, such as "Lemma: Union of matches"; empty for other slides."""
    key = next((key for key in QUOTED if key in slide), None)
    if key is None or slide[key] not in given.names:
        return ""
    kind, _, title = given.names[slide[key]].partition(" (")
    return f"{'Proof' if key == 'proof' else kind}: {title.removesuffix(')')}"


def picture(name: str, given: Sources) -> tuple[str, bool]:
    """A figure of an executed page with its alt text, and whether it is wide. If the page was not executed, a note."""
    page, position = given.cell(name)
    cell = pages.code(given.books[page])[position]
    executed = given.page(page)
    source = None if executed is None else image_of(executed, name)
    alt = html.escape(fill(alt_of(cell), pages.parameters(given.books[page])), quote=True)
    if source is None:
        given.missing.append(name)
        return f'<p class="absent">The figure “{name}” appears after <code>make book</code>. {alt}</p>', True
    return f'<figure style="--ratio: {ratio(source):.4f}"><img src="{source}" alt="{alt}"></figure>', ratio(
        source
    ) > 1.5


def ratio(source: str) -> float:
    """Width over height of a PNG in a data URL, read from its header."""
    width, height = struct.unpack(">II", base64.b64decode(source.partition(",")[2][:64])[16:24])
    return float(width / height)


def alt_of(cell: NotebookNode) -> str:
    """The alt text of a figure: from the cell's metadata, or from the call that makes a moving figure."""
    text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    matched = re.search(r'alt = \(?\s*f?"([^"]+)"', cell.source)
    return text or (matched[1] if matched else "")


def image_of(executed: NotebookNode, name: str) -> str | None:
    """The picture of a figure in the executed page: a PNG, or the still of an interactive figure."""
    for output in (o for cell in pages.code(executed) if figure_of(cell) == name for o in cell.outputs):
        data = output.get("data", {})
        if "image/png" in data:
            return "data:image/png;base64," + data["image/png"].replace("\n", "")
        if still := STILL.search(data.get("text/html", "")):
            return still[1]
    return None


def _markdown() -> MarkdownIt:
    """CommonMark with tables and dollar math, which MathJax reads as \\( \\) and \\[ \\]."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")

    def math(text: str, options: dict[str, Any]) -> str:
        return html.escape(rf"\[{text}\]" if options["display_mode"] else rf"\({text}\)")

    return parser.use(dollarmath_plugin, renderer=math, double_inline=True)


def rendered(text: str) -> str:
    """Markdown as HTML."""
    return str(_markdown().render(text))


def inline(text: str) -> str:
    """A line of Markdown as HTML, without a paragraph around it."""
    return str(_markdown().renderInline(text))
