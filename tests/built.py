"""The built book, for several test files in several workers of pytest."""

from pathlib import Path

from helpers.pages import places
from helpers.pages.teaching import slides
from helpers.processes import held


def built_book() -> Path:
    """The front page of the book, built now if it is not. Workers wait here: a second build at once is refused."""
    with held(places.BUILD / "tests", "looking for the book in", wait=True):
        return slides.build_site()
