"""The built book as one PDF: a browser prints every page in reading order, and the pages are bound together.

Chromium prints fonts, formulas and figures as the page shows them. Sphinx's own way, through LaTeX, would need a TeX
installation and leaves moving figures empty.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from tqdm import tqdm

from ..errors import BadInput
from ..files import atomic

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


def book_pdf(html: Path, documents: Iterable[str], target: Path) -> Path:
    """Print the built pages `documents` into one PDF at `target`.

    The names have no .html and are relative to the folder `html`. Raises `BadInput` if a page does not exist or cannot
    be printed, and if pypdf is not installed. An older PDF then stays.
    """
    if find_spec("pypdf") is None:
        raise BadInput("pypdf is not installed, which binds the pages into one PDF: pip install pypdf")
    from pypdf import PdfWriter

    pages, program = list(documents), browser()
    with tempfile.TemporaryDirectory() as scratch, atomic(target) as temporary, PdfWriter() as book:
        for number, document in enumerate(tqdm(pages, desc="printing pages", unit="page")):
            printed = _printed(program, html / f"{document}.html", Path(scratch) / f"{number}.pdf")
            book.append(printed, outline_item=document.rpartition("/")[2].replace("_", " "))
        book.compress_identical_objects()
        book.write(temporary)
    return target


def _printed(program: str, page: Path, target: Path) -> Path:
    if not page.exists():
        raise BadInput(f"{page} is not there: build the book first")
    command = [program, *FLAGS, f"--user-data-dir={target}.profile", f"--print-to-pdf={target}", page.as_uri()]
    try:
        subprocess.run(command, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise BadInput(f"{page.name} was not printed within {SECONDS} s") from None
    if not target.exists():
        raise BadInput(f"{page.name} could not be printed by {program}")
    return target
