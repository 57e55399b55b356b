"""Pages as one PDF: bound in order, or one line that says why not."""

import pytest

from helpers.errors import BadInput
from helpers.pages import pdf
from tests.browser import chromium


def pages(folder, *names):
    for name in names:
        (folder / f"{name}.html").write_text(f"<title>{name}</title><h1>Page {name}</h1>")
    return list(names)


@pytest.mark.slow
def test_pages_are_bound_in_reading_order(tmp_path):
    assert chromium(), "no Chromium here: python -m tests.browser installs it"
    from pypdf import PdfReader

    made = pdf.book_pdf(tmp_path, pages(tmp_path, "second", "one"), tmp_path / "book.pdf")
    book = PdfReader(made)
    assert [page.extract_text().strip() for page in book.pages] == ["Page second", "Page one"]
    assert [item.title for item in book.outline] == ["second", "one"]


def test_a_missing_page_keeps_the_old_pdf(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "browser", lambda: "/bin/true")
    target = tmp_path / "book.pdf"
    target.write_text("old")
    with pytest.raises(BadInput, match=r"nowhere\.html is not there: build the book first"):
        pdf.book_pdf(tmp_path, ["nowhere"], target)
    assert target.read_text() == "old"


def test_a_browser_that_prints_nothing_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "browser", lambda: "/bin/true")
    with pytest.raises(BadInput, match=r"page\.html could not be printed"):
        pdf.book_pdf(tmp_path, pages(tmp_path, "page"), tmp_path / "book.pdf")


def test_without_a_browser_it_says_what_was_looked_for(monkeypatch):
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(BadInput, match="expected one of chromium"):
        pdf.browser()


def test_without_pypdf_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"pypdf is not installed.*pip install pypdf"):
        pdf.book_pdf(tmp_path, [], tmp_path / "book.pdf")
