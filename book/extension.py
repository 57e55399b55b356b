"""Small repairs to the built pages: launch buttons lead to the notebook in git, no script is loaded twice.

And what a page says of itself to search engines, to link previews, and at its foot.
"""

import html
from importlib.metadata import version
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from helpers.pages import grid
from helpers.studies.records import commit

SHORTEST, LONGEST = 40, 200  # characters of a description


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
    context["metatags"] = context.get("metatags", "") + metatags(context.get("title", ""), described(doctree))
    context["theme_extra_footer"] = f"<p>Version {version('samerep')}, commit {html.escape(commit())}</p>"
    seen: set[str] = set()
    context["script_files"] = [script for script in context.get("script_files", []) if first(script, seen)]


def described(doctree: Any) -> str:
    """The first paragraph of a page that stands for itself, cut at a word; nothing if there is none."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.Admonition) and len(text) >= SHORTEST:
            return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
    return ""


def metatags(title: str, description: str) -> str:
    """Title and description as search engines and link previews read them."""
    words = html.escape(description, quote=True)
    name = html.escape(title, quote=True)
    tags = [f'<meta property="og:title" content="{name}">', '<meta property="og:type" content="article">']
    tags += [f'<meta name="description" content="{words}">', f'<meta property="og:description" content="{words}">']
    return "\n".join(tags) if description else "\n".join(tags[:2])


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
