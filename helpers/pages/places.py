"""The folders of the book: its sources, the executed pages, and what is built from them."""

from ..files import ROOT

BOOK, NOTEBOOKS, PAGES, BUILD = (ROOT / name for name in ("book", "notebooks", "book/pages", "_build"))
LABEL = "samerep"  # the key of this project in the metadata of notebooks and of outputs
