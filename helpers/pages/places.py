"""Where the book lies: its sources, the executed pages, and what is built from them."""

from ..files import ROOT

BOOK, NOTEBOOKS, PAGES, BUILD = (ROOT / name for name in ("book", "notebooks", "book/pages", "_build"))
LABEL = "samerep"  # our key in the metadata of notebooks and of outputs
