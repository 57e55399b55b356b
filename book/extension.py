"""Small repairs to the built pages: launch buttons lead to the notebook in git, no script is loaded twice."""

from typing import Any

from sphinx.application import Sphinx

from helpers.pages import grid


def setup(app: Sphinx) -> dict[str, bool]:
    """Run after the theme has filled in its buttons."""
    app.connect("html-page-context", repair, priority=900)
    app.connect("autodoc-process-docstring", plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def repair(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Executed pages are not in git: their launch and source links go to the template that made them."""
    templates = {page.document: f"notebooks/{page.notebook}" for page in grid.computed_pages()}
    if pagename in templates:
        relink(context.get("header_buttons", []), pagename, templates[pagename])
    seen: set[str] = set()
    context["script_files"] = [script for script in context.get("script_files", []) if first(script, seen)]


def plain(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are plain text: |X| is a number of neurons, not a reference."""
    lines[:] = [line.replace("|", "\\|").replace("*", "\\*") for line in lines]


def relink(buttons: list[dict[str, Any]], old: str, new: str) -> None:
    """Replace the page's path by the template's in every link that leaves the book."""
    for button in buttons:
        relink(button.get("buttons", []), old, new)
        url = button.get("url")
        if isinstance(url, str) and url.startswith("http"):
            button["url"] = url.replace(old, new)


def first(script: Any, seen: set[str]) -> bool:
    """Whether this script, by its file or its text, has not been named before."""
    key = str(getattr(script, "filename", script) or script.attributes.get("body"))
    if key in seen:
        return False
    seen.add(key)
    return True
