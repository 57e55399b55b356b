"""The built book: strict, whole, offline, and right in a browser. Slow: it runs what is stale and builds the HTML."""

import http.server
import re
import threading
from collections.abc import Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from joblib import Parallel, delayed

from helpers.pages import grid, places, running
from helpers.pages.teaching import course
from tests.built import built_book

pytestmark = pytest.mark.slow

PAGES = grid.computed_pages()
DOCUMENTS = [page.document for part in grid.read_grid() for page in part.pages]
SETTINGS = yaml.safe_load((places.ROOT / "_config.yml").read_text())
REPOSITORY, BASE = SETTINGS["repository"]["url"], SETTINGS["html"]["baseurl"]
MATHEMATICS = "[...document.querySelectorAll('.math')].filter(n => !n.querySelector('mjx-container')).length"
WIDTHS = (390, 800, 1300)
BROKEN_MATHEMATICS = "document.querySelectorAll('mjx-merror, [data-mjx-error]').length"


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the built book. `make test` builds it first, so that parallel workers find it fresh."""
    return built_book().parent


@pytest.fixture(scope="session")
def site(html: Path) -> Iterator[str]:
    """The book behind a server on this machine, as readers get it."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(html)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


class Links(HTMLParser):
    """Every address a page names, and every id it defines."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[tuple[str, str]] = []
        self.ids: set[str] = set()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.addresses.append((tag, value))
            if name in ("id", "name") and value:
                self.ids.add(value)


@pytest.fixture(scope="session")
def links(html: Path) -> dict[str, Links]:
    return {document: Links(html / f"{document}.html") for document in DOCUMENTS}


# ---------------------------------------------------------------- the executed notebooks


def test_smoke_tier_runs_every_notebook(tmp_path):
    """Once for each notebook whose smoke parameters differ from those of its published pages."""
    small = {page.notebook: page for page in PAGES if page.smoke}
    runs = (delayed(running.run_page)(page, "smoke", tmp_path / f"{page.name}.ipynb") for page in small.values())
    for path in Parallel(n_jobs=2)(runs):
        assert running.unfinished(nbformat.read(path, as_version=4)) is None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_has_run_to_its_end_and_is_fresh(html, page):
    notebook = nbformat.read(places.PAGES / f"{page.name}.ipynb", as_version=4)
    assert running.unfinished(notebook) is None
    assert running.is_fresh(page)
    assert "{{" not in "".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def test_a_second_build_does_nothing(html):
    before = (html / "index.html").stat().st_mtime_ns
    assert running.run_pages(PAGES, "published") == []
    built_book()
    assert (html / "index.html").stat().st_mtime_ns == before


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_inside_the_book_resolve(html, links, document):
    for tag, address in links[document].addresses:
        if re.match(r"(https?|data|mailto|javascript):|#$|//", address):
            continue
        path, fragment = urldefrag(urljoin(f"/{document}.html", address))
        path = path.partition("?")[0]
        target = html / path.lstrip("/")
        assert target.exists(), f"{document}: <{tag}> leads to {address}"
        name = path.removeprefix("/").removesuffix(".html")
        if fragment and name in links:
            assert fragment in links[name].ids, f"{document}: no id {fragment} in {name}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_nothing_is_loaded_from_elsewhere(links, document):
    loaded = [a for tag, a in links[document].addresses if tag in ("script", "img", "link", "iframe", "source")]
    named = (REPOSITORY, BASE)  # a page names the repository and its own address, and loads nothing from there
    outside = [a for a in loaded if re.match(r"(https?:)?//", a) and not a.startswith(named)]
    assert outside == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_launch_and_source_links_are_files_of_the_repository(links, page):
    outward = [a for _, a in links[page.document].addresses if a.startswith("http")]
    launch = [a for a in outward if "colab." in a or "mybinder" in a]
    assert len(launch) == 2
    for address in launch:
        notebook = re.search(r"notebooks(/|%2F)([\w-]+)\.ipynb", address)
        assert notebook, address
        assert (places.NOTEBOOKS / f"{notebook[2]}.ipynb").exists()
    assert not [a for a in outward if "book/pages" in a and not a.startswith(BASE)]  # what git does not hold


def test_exercises_have_the_numbers_of_the_course(html):
    exercise, shown = re.compile(r'<div class="exercise admonition" id="([\w-]+)">.*?Exercise ([\d.]+)', re.S), {}
    for page in PAGES:
        shown |= dict(exercise.findall((html / f"{page.document}.html").read_text()))
    assert shown == course.exercise_numbers()


# ---------------------------------------------------------------- in the browser


@pytest.fixture
def visit(browser, site):
    """Open a page of the book; a console error or a request that leaves this machine fails the test."""
    trouble: list[str] = []
    contexts = []

    def note(request) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            trouble.append(f"request to {request.url}")

    def open_page(document: str, mode: str = "light"):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.add_init_script(f"localStorage.mode = localStorage.theme = '{mode}'")
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: trouble.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", note)
        page.on("response", lambda r: trouble.append(f"{r.status} for {r.url}") if r.status >= 400 else None)
        page.goto(f"{site}/{document}.html", wait_until="load")
        page.wait_for_function(f"{MATHEMATICS} === 0", timeout=30_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [
        t
        for t in trouble
        if not re.search("GPU stall|WebGL|Canvas2D|Failed to load resource|Anchored content block", t)
    ] == []


def check_accessible(page, **options) -> None:
    """axe finds nothing. It is asked for violations only: to list all that is right takes twice as long."""
    report = Axe().run(page, options={"preload": False, "resultTypes": ["violations"], **options})
    assert report.violations_count == 0, report.generate_report()


CUT_OFF = """() => [...document.querySelectorAll('article table, article pre, article img')].filter(node => {
  const edge = Math.min(innerWidth, node.closest('article').getBoundingClientRect().right) + 1;
  const beyond = box => box.getBoundingClientRect().right > edge;
  if (node.offsetParent === null || !beyond(node)) return false;
  for (let box = node.parentElement; box.tagName !== 'ARTICLE'; box = box.parentElement)
    if (/auto|scroll/.test(getComputedStyle(box).overflowX) && !beyond(box)) return false;
  return true;
}).map(node => node.tagName + ': ' + node.textContent.slice(0, 60))"""


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_page_in_the_browser(visit, document):
    """Mathematics typeset, pictures loaded, console empty, no request outside, accessible, nothing cut off.

    What is wider than the column scrolls in a box of its own, on a telephone, a tablet and a desk.
    """
    page = visit(document)
    assert page.evaluate(BROKEN_MATHEMATICS) == 0
    assert page.evaluate("[...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.src)") == []
    assert page.evaluate("[...document.images].filter(i => !i.alt && !i.closest('a')).map(i => i.src)") == []
    check_accessible(page)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(CUT_OFF) == [], f"cut off at {width} px"
    page.set_viewport_size({"width": min(WIDTHS), "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= min(WIDTHS), f"{document} is {wide} px wide on a screen of {min(WIDTHS)}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_dark_mode_is_readable_too(visit, document):
    """Only the colours differ from the light page, so only the contrast is looked at again."""
    page = visit(document, "dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    check_accessible(page, runOnly=["color-contrast"])


SEARCHES = [
    ("CKA", "measure"),
    ("transformer", "tokens"),
    ("my own network", "own_networks"),
    ("answer", "landing"),
    ("stitching", "interchangeable"),
]


@pytest.mark.parametrize(("words", "page"), SEARCHES)
def test_what_readers_search_leads_to_the_right_page_first(visit, words, page):
    found = visit("search")
    found.goto(f"{found.url}?q={words}")
    found.wait_for_selector("#search-results .search-summary:has-text('finished')", timeout=30_000)
    found.wait_for_load_state("networkidle")  # each result fetches its page, to quote it
    first = [link.get_attribute("href") or "" for link in found.locator("#search-results li > a").all()[:3]]
    assert first[0].partition("#")[0].endswith(f"/{page}.html"), first


def test_search_finds_a_word(visit):
    page = visit("search")
    page.goto(page.url + "?q=union")
    page.wait_for_selector("#search-results li", timeout=20_000)
    assert page.locator("#search-results li a").count() > 0
