"""The built book as one PDF: a browser prints every page in reading order, and the pages are bound together.

Chromium prints fonts, formulas and figures as the page shows them. Sphinx's own way, through LaTeX, would need a TeX
installation and leaves moving figures empty.
"""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tqdm import tqdm

from ..errors import BadInput
from ..files import atomic
from ..processes import run_child
from .running import own_temporary

if TYPE_CHECKING:
    from pypdf import PdfWriter

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-pdf-header-footer",
    "--run-all-compositor-stages-before-draw",
    "--virtual-time-budget=20000",
)
SECONDS = 120  # for one page on a busy machine


def browser() -> str:
    """The path of Chromium or Chrome. Raises `BadInput` with the names that were looked for if there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    raise BadInput(f"no browser to print with: expected one of {', '.join(BROWSERS)} on the PATH")


def book_pdf(html: Path, documents: Iterable[str], target: Path, base: str = "") -> Path:
    """Print the built pages `documents` into one PDF at `target`.

    The names have no .html and are relative to the folder `html`. Links between these pages lead to their place in the
    PDF. A link to another file of the folder leads to the published book at the address `base`; without one it is
    removed. Raises `BadInput` if a page does not exist or cannot be printed, and if pypdf is not installed. An older
    PDF then stays.
    """
    if find_spec("pypdf") is None:
        raise BadInput("pypdf is not installed, which binds the pages into one PDF: pip install pypdf")
    from pypdf import PdfWriter

    pages, program, places = [html / f"{document}.html" for document in documents], browser(), Places()
    for page in pages:
        if not page.exists():
            raise BadInput(f"{page} is not there: build the book first")
    with own_temporary() as scratch, atomic(target) as temporary, PdfWriter() as book:
        for number, page in enumerate(tqdm(pages, desc="printing pages", unit="page")):
            _append(book, _printed(program, page, Path(scratch) / f"{number}.pdf"), page.as_uri(), places)
        _link(book, places, html.as_uri(), base)
        book.compress_identical_objects()
        book.write(temporary)
    return target


@dataclass
class Places:
    """Where the pages of the book are in the PDF."""

    address: list[str] = field(default_factory=list)  # of the HTML page, for each page of the PDF
    of: dict[str, tuple[int, float | None]] = field(default_factory=dict)  # address: page of the PDF, height on it

    def find(self, address: str) -> tuple[int, float | None] | None:
        """The place of an address; if its anchor is not known, the beginning of its page."""
        return self.of.get(address) or self.of.get(address.partition("#")[0])


def _append(book: "PdfWriter", printed: Path, address: str, places: Places) -> None:
    """Add the pages of one printed HTML page, with its title in the outline."""
    from pypdf import PdfReader

    reader, first = PdfReader(printed), len(book.pages)
    for page in reader.pages:  # one by one: anchors of the same name in two HTML pages must stay apart
        book.add_page(page)
        places.address.append(address)
    title = str((reader.metadata and reader.metadata.title) or address.rpartition("/")[2])
    book.add_outline_item(title=title.partition(" — ")[0], page_number=first)
    places.of[address] = first, None
    for name, there in reader.named_destinations.items():
        number = reader.get_destination_page_number(there)
        if number is not None:
            places.of[f"{address}#{name.removeprefix('/')}"] = first + number, float(there.top or 0)


def _link(book: "PdfWriter", places: Places, folder: str, base: str) -> None:
    """Give every link a goal that exists wherever the PDF is read."""
    from pypdf.generic import ArrayObject, FloatObject, NameObject, NullObject, TextStringObject

    for number, page in enumerate(book.pages):
        kept = ArrayObject()
        for reference in page.get("/Annots", ArrayObject()):
            link = reference.get_object()
            action = link.get("/A", {}).get_object() if "/A" in link else {}
            address = action.get("/URI") or f"{places.address[number]}#{str(link.get('/Dest', '')).removeprefix('/')}"
            if (place := places.find(unquote(address))) is not None:
                top = NullObject() if place[1] is None else FloatObject(place[1])
                goal = [book.pages[place[0]].indirect_reference, NameObject("/XYZ"), NullObject(), top, NullObject()]
                link.pop("/A", None)
                link[NameObject("/Dest")] = ArrayObject(goal)
            elif address.startswith(folder) and base:
                action[NameObject("/URI")] = TextStringObject(base.rstrip("/") + address.removeprefix(folder))
            elif not address.startswith(("http:", "https:", "mailto:")):
                continue  # a file of this machine, or data in the link itself
            kept.append(reference)
        if "/Annots" in page:
            page[NameObject("/Annots")] = kept


def _printed(program: str, page: Path, target: Path) -> Path:
    command = [program, *FLAGS, f"--user-data-dir={target}.profile", f"--print-to-pdf={target}", page.as_uri()]
    try:
        run_child(command, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{page.name} was not printed within {SECONDS} s") from None
    if not target.exists():
        raise BadInput(f"{page.name} could not be printed by {program}")
    return target
