"""From the executed pages to the Jupyter Book.

The build fails, and says where, unless every page is fresh and whole.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import yaml

from ..errors import BadInput
from ..files import atomic_folder, sha256, sweep
from ..parameters import check_choice
from ..processes import held, run_child
from . import places
from .grid import Page, computed_pages, read_grid, table_of_contents
from .pairs import write_if_new
from .running import check_pages, run_pages

TIERS = ("published", "smoke")
WARNINGS_SHOWN = 25
PARSED = (".doctrees", "jupyter_execute")  # where Sphinx and MyST-NB keep parsed pages and the pictures of their cells
MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2")


def stage_vendor() -> Path:
    """Copy scripts and fonts of other projects from the installed packages; the repository holds only its own."""
    vendor = places.BUILD / "vendor"
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    with held(vendor, "filling", wait=True), atomic_folder(vendor) as work:
        (work / "mathjax").mkdir()
        shutil.copy(Path(spec.origin).parent / "package_data" / "plotly.min.js", work)
        for name in MATHJAX:
            source, target = mathjax_root() / name, work / "mathjax" / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return vendor


def mathjax_root() -> Path:
    """The folder in which the package sphinx-mathjax-offline keeps MathJax."""
    files = distribution("sphinx-mathjax-offline").files or []
    script = next(file for file in files if file.name == "tex-mml-chtml.js")
    return Path(str(script.locate())).parent


def build_book(tier: str = "published", jobs: int = 2) -> Path:
    """Run the pages that are stale, build the HTML strictly, and move it into place. Returns its front page.

    If nothing has changed, it returns at once. Raises `BadInput` if a notebook fails, if Sphinx warns, and for an
    unknown tier.
    """
    check_choice("tier", tier, TIERS)
    parts = read_grid()
    pages = computed_pages(parts)
    html = places.BUILD / "html"
    with held(html, "building"):
        sweep(places.BUILD, places.PAGES)
        write_if_new(places.ROOT / "_toc.yml", table_of_contents(parts))
        run_pages(pages, tier, jobs)
        check_pages(pages, tier)
        stamp = book_hash(pages)
        if not ((html / ".stamp").exists() and (html / ".stamp").read_text(encoding="utf-8") == stamp):
            build_html(html, stamp)
    return html / "index.html"


def published_at() -> str:
    """The address of the published book, from `_config.yml`; "" if none is set."""
    settings = yaml.safe_load((places.ROOT / "_config.yml").read_text(encoding="utf-8"))
    return str(settings["html"].get("baseurl") or "")


def book_hash(pages: Iterable[Page]) -> str:
    """Hash of everything from which the HTML is made."""
    own = [path for pattern in ("*.md", "*.bib", "*.yml", "assets/*", "*.py") for path in places.BOOK.glob(pattern)]
    executed = [places.PAGES / f"{page.name}.ipynb" for page in pages]
    paths = sorted([*own, *executed, *(places.ROOT / name for name in ("_config.yml", "_toc.yml"))])
    parts = [sha256(path) for path in paths] + [os.environ.get(places.HIDE, "")]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def build_html(html: Path, stamp: str) -> None:
    """Build the Jupyter Book, with every warning as an error. The old book stays until the new one is whole.

    Every page is written anew. Pages that have not changed since the last build are not parsed again.
    """
    stage_vendor()
    work, parsed = places.BUILD / "work", places.BUILD / "parsed"
    shutil.rmtree(work, ignore_errors=True)
    try:
        key = parsing_hash()
        if (parsed / "key").exists() and (parsed / "key").read_text(encoding="utf-8") == key:
            shutil.copytree(parsed, work / "_build")
        built = _built(work)
        _keep_parsed(work / "_build", parsed, key)
        (built / ".stamp").write_text(stamp, encoding="utf-8")
        with atomic_folder(html) as new:
            new.rmdir()
            built.rename(new)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def parsing_hash() -> str:
    """Hash of what decides how a page is parsed, other than its own text and what Sphinx knows that it depends on."""
    shared = [*places.BOOK.glob("*.py"), *places.BOOK.glob("*.bib"), *places.BOOK.glob("*.yml")]
    known = sorted([*shared, *(places.ROOT / name for name in ("_config.yml", "_toc.yml", "requirements.lock"))])
    own = [str(places.ROOT), os.environ.get(places.HIDE, ""), *map(sha256, known)]
    return hashlib.sha256("".join(own).encode()).hexdigest()


def _keep_parsed(build: Path, parsed: Path, key: str) -> None:
    """Keep the parsed pages and their pictures for the next build. Only a build without warnings comes here."""
    with atomic_folder(parsed) as new:
        for name in PARSED:
            if (build / name).exists():
                (build / name).rename(new / name)
        (new / "key").write_text(key, encoding="utf-8")


def _built(work: Path) -> Path:
    """Run Jupyter Book. Returns the folder with the HTML, inside `work`."""
    options = ["-W", "-n", "--keep-going", "--path-output", str(work)]
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(places.ROOT),
        *options,
    ]
    environment = os.environ | {"PYTHONPATH": str(places.ROOT)}
    done = run_child(command, cwd=places.ROOT, env=environment)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
        last = (lines or (done.stdout + done.stderr).splitlines())[-WARNINGS_SHOWN:]
        raise BadInput(f"the book did not build ({len(lines)} warnings):", last)
    return work / "_build" / "html"
