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


def goals(book, page):
    """Where the links of a page lead: a number of a page, or an address."""
    links = [link.get_object() for link in book.pages[page].get("/Annots", [])]
    return [
        book.get_page_number(link["/Dest"][0].get_object()) if "/Dest" in link else link["/A"]["/URI"] for link in links
    ]


@pytest.mark.slow
def test_links_lead_into_the_pdf_or_to_the_published_book_and_never_to_this_machine(tmp_path):
    from pypdf import PdfReader

    addresses = ("#part", "two.html", "two.html#nowhere", "file.html", "data:text/csv,1", "https://example.org/")
    links = "".join(f'<p><a href="{address}">to {address}</a>' for address in addresses)
    for name in ("one", "two"):  # both have an anchor of the same name, on a second page of the PDF
        text = f'<title>{name} — Book</title>{links}<p id="part" style="break-before: page">Part of {name}'
        (tmp_path / f"{name}.html").write_text(text)
    book = PdfReader(pdf.book_pdf(tmp_path, ["one", "two"], tmp_path / "a.pdf", "https://book.org/"))
    assert [item.title for item in book.outline] == ["one", "two"]
    assert goals(book, 0) == [1, 2, 2, "https://book.org/file.html", "https://example.org/"]
    assert goals(book, 2)[0] == 3
    book = PdfReader(pdf.book_pdf(tmp_path, ["one"], tmp_path / "b.pdf"))
    assert goals(book, 0) == [1, "https://example.org/"]


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
