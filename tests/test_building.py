"""A build that parses only what changed gives the book that a build from nothing gives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from book import extension
from helpers.files import ROOT
from helpers.pages import places, publish
from helpers.processes import run_child

BUILD = "import sys; from pathlib import Path; from tests.test_kills import book; book(Path(sys.argv[1]))"
AGAIN = "import sys; from tests.test_building import build_again; build_again(sys.argv[1])"


def build_again(root: str) -> None:
    """Build the small book from the pages that have run, in a process whose places are set for it."""
    places.ROOT, places.BUILD = Path(root), Path(root) / "_build"
    places.BOOK, places.PAGES = places.ROOT / "book", places.ROOT / "book" / "pages"
    publish.build_html(places.BUILD / "html", "stamp")


def build(code: str, root: Path) -> dict[str, bytes]:
    """The files of the book after a build in its own process."""
    done = run_child([sys.executable, "-c", code, str(root)], cwd=ROOT, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    html = root / "_build" / "html"
    return {str(path.relative_to(html)): path.read_bytes() for path in html.rglob("*") if path.is_file()}


def parsed_at(root: Path) -> dict[str, int]:
    """When each page was parsed, by its name."""
    return {path.stem: path.stat().st_mtime_ns for path in (root / "_build" / "parsed").rglob("*.doctree")}


@pytest.mark.slow
def test_a_page_that_changed_is_parsed_again_and_the_book_is_as_from_nothing(tmp_path):
    first = build(BUILD, tmp_path)
    before = parsed_at(tmp_path)
    page = tmp_path / "book" / "pages" / "second.ipynb"
    page.write_text(page.read_text().replace("# second", "# A changed title"))
    os.utime(page, (page.stat().st_mtime - 3600,) * 2)  # as if the clock had been set back
    changed = build(AGAIN, tmp_path)
    assert {name for name, time in parsed_at(tmp_path).items() if time != before[name]} == {"second"}
    assert b"A changed title" in changed["book/pages/second.html"]
    assert changed["book/pages/first.html"] != first["book/pages/first.html"]  # its list of pages has the new title
    shutil.rmtree(tmp_path / "_build" / "parsed")
    afresh = build(AGAIN, tmp_path)
    assert len(set(parsed_at(tmp_path).values()) & set(before.values())) == 0
    assert changed == afresh


def parse(source: Path, out: Path) -> set[str]:
    """The documents that Sphinx reads for a build with the hashes of this book."""
    with docutils_namespace():
        app = Sphinx(source, None, out, out / "parsed", "dummy", {"extensions": []}, status=None)
        app.connect("env-get-outdated", extension.changed_in_content)
        app.connect("env-updated", extension.note_content)
        read = set[str]()
        app.connect("source-read", lambda app, name, text: read.add(name))
        app.build()
    return read


def test_a_document_that_changed_is_parsed_again_though_the_clock_was_set_back(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    names = ("index", "included", "alone")
    for name in names:
        (source / f"{name}.rst").write_text(f":orphan:\n\n{name}\n=======\n")
    (source / "part.txt").write_text("before")
    (source / "included.rst").write_text(":orphan:\n\n.. include:: part.txt\n")
    assert parse(source, tmp_path / "out") == set(names)
    assert parse(source, tmp_path / "out") == set()
    for file, name in (("part.txt", "included"), ("alone.rst", "alone")):
        path = source / file
        before = path.stat().st_mtime
        path.write_text(path.read_text() + "\nafter\n")
        os.utime(path, (before - 3600,) * 2)
        assert parse(source, tmp_path / "out") == {name}
        assert parse(source, tmp_path / "out") == set()


def test_pages_are_parsed_again_when_what_they_share_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setattr(places, "BOOK", tmp_path / "book")
    (tmp_path / "book").mkdir()
    shared = ["book/extension.py", "book/references.bib", "book/grid.yml", "_config.yml", "_toc.yml"]
    for name in (*shared, "requirements.lock"):
        (tmp_path / name).write_text("before")
    known = {publish.parsing_hash()}
    for name in (*shared, "requirements.lock"):
        (tmp_path / name).write_text("after")
        known.add(publish.parsing_hash())
    monkeypatch.setenv(places.HIDE, "1")
    known.add(publish.parsing_hash())
    assert len(known) == len(shared) + 3
