"""The folders of the book: its sources, the executed pages, and what is built from them."""

from ..files import ROOT

BOOK, NOTEBOOKS, PAGES, BUILD = (ROOT / name for name in ("book", "notebooks", "book/pages", "_build"))
HIDE = "SAMEREP_HIDE_SOLUTIONS"  # in the environment of a build: the site shows no solutions (book/extension.py)
LABEL = "samerep"  # the key of this project in the metadata of notebooks and of outputs
