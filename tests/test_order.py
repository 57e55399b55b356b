"""The book as a story: no page needs one that comes later, and a page of an experiment keeps its shape."""

import re

import pytest

from helpers.pages.grid import read_grid
from helpers.pages.teaching import pages

ORDER = [page.name for part in read_grid() for page in part.pages]
COMPUTED = [page for part in read_grid() for page in part.pages if page.notebook]
EXPERIMENTS = [
    page for part in read_grid() for page in part.pages if part.caption == "The experiments" and page.notebook
]
HEADINGS = ["## Question", "## How we know", "## What would change our mind", "## Try it"]
THEORY = [
    page
    for part in read_grid()
    for page in part.pages
    if part.caption in ("The idea", "Theory in full") and page.notebook and page.name != "statements"
]
LONGEST = 1400  # words of an experiment's page that are not folded
LONGEST_THEORY = 3000
MOST_FIGURES = 4
FREE = {"imagenet"}  # says what is not possible here: no experiment was done


def needed(book):
    """The pages that "You need first" links to."""
    text = re.search(r"\*\*You need first\*\*(.*?)\n\n", book.cells[0].source + "\n\n", re.S)
    return re.findall(r"\]\(([\w-]+)\.ipynb\)", text[1]) if text else []


def visible_words(book):
    """Words of the text that are shown without a click."""
    text = "\n".join(pages.markdown(book))
    folded = r"^(:::+)\{(?:prf:proof|solution|solution-start|dropdown)[^\n]*\n.*?^\1\s*$"
    return len(re.sub(folded, "", text, flags=re.S | re.M).split())


def shown_figures(book):
    """The names of the figures that cells make."""
    shown = [cell.metadata.get("mystnb", {}).get("figure", {}) for cell in pages.code(book)]
    return [figure["name"] for figure in shown if figure]


@pytest.mark.parametrize("page", COMPUTED, ids=lambda page: page.name)
def test_no_page_needs_one_that_comes_later(page):
    for name in needed(pages.load_notebook(page.source)):
        assert ORDER.index(name) < ORDER.index(page.name), f"{page.name} needs {name}, which comes later"


@pytest.mark.parametrize("page", EXPERIMENTS, ids=lambda page: page.name)
def test_an_experiment_asks_answers_and_says_how_it_knows(page):
    if page.name in FREE:
        return
    book = pages.load_notebook(page.source)
    text = "\n".join(pages.markdown(book))
    places = [text.find(heading) for heading in HEADINGS]
    assert -1 not in places, f"missing: {[h for h, p in zip(HEADINGS, places, strict=True) if p < 0]}"
    assert places == sorted(places)
    assert ":::{admonition} Answer" in text
    assert text.count("{exercise") >= 3
    assert visible_words(book) <= LONGEST
    assert len(shown_figures(book)) <= MOST_FIGURES


@pytest.mark.parametrize("page", THEORY, ids=lambda page: page.name)
def test_a_page_of_the_theory_is_short_and_ends_with_a_summary(page):
    book = pages.load_notebook(page.source)
    assert visible_words(book) <= LONGEST_THEORY
    if page.name == "explorer":  # it is one figure, and what to look for in it
        return
    summary = re.search(r"^## In short\n\n(.*?)\n\n## Exercises$", "\n".join(pages.markdown(book)), re.S | re.M)
    assert summary
    assert len(re.findall(r"^- ", summary[1], re.M)) == 5


def test_a_page_in_the_wrong_order_would_be_caught():
    book = pages.load_notebook(COMPUTED[0].source)
    book.cells[0].source = "# T\n\n**You need first** [a](ledger.ipynb) and [b](maximum.ipynb).\n\nx"
    assert needed(book) == ["ledger", "maximum"]
