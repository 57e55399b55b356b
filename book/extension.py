"""Small repairs to the built pages: launch buttons lead to the notebook in git, no script is loaded twice.

And what a page says of itself to search engines, to link previews, and at its foot. The address of the repository and
that of the published book are set in `_config.yml` alone: without the first there are no launch buttons, without the
second no sitemap and no preview picture.
"""

import base64
import html
import os
import re
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.transforms import SphinxTransform

from helpers.files import commit, sha256
from helpers.pages import grid, places

SHORTEST, LONGEST = 40, 200  # characters of a description
UNUSED = re.compile(  # what the theme loads on every page: icons a second time, and a search that only one page has
    r'<script[^>]* src="[^"]*/(?:fontawesome|searchtools|language_data|searchindex)\.js[^"]*"></script>\n?'
)
PREVIEW = "_static/preview.png"  # the figure of the front page
STILL = re.compile(r'<img class=\\?"(?:answer-)?still\\?" src=\\?"data:image/png;base64,([^"\\]+)')


def setup(app: Sphinx) -> dict[str, bool]:
    """Run after the theme has filled in its buttons."""
    app.connect("html-page-context", repair, priority=900)
    app.connect("env-get-outdated", changed_in_content)
    app.connect("env-updated", note_content)
    app.connect("env-updated", write_with_processes)
    app.connect("autodoc-process-docstring", plain)
    app.connect("config-inited", without_solutions)
    app.connect("build-finished", publish_extras)
    app.connect("build-finished", without_unused_scripts)
    app.add_transform(SearchWords)
    # The types in signatures are the same few, and each of thousands was looked for among all names of the code.
    PythonDomain.find_obj = cache(PythonDomain.find_obj)  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def changed_in_content(app: Sphinx, env: Any, *found: set[str]) -> list[str]:
    """The documents whose files have changed since they were parsed, whatever the clock said.

    Sphinx itself compares times: after the clock was set back, it would take a new page for the one that it knows.
    """
    known, now = getattr(env, "content_hashes", {}), content_hashes(env)
    return [name for name in known if name in now and known[name] != now[name]]


def note_content(app: Sphinx, env: Any) -> list[str]:
    """Keep the hashes with the parsed pages."""
    env.content_hashes = content_hashes(env)
    return []


def content_hashes(env: Any) -> dict[str, list[str]]:
    """For each document the hashes of its source and of the files that it includes; those that are there."""
    hash_of = cache(sha256)
    files = {name: [env.doc2path(name), *sorted(env.dependencies.get(name, ()))] for name in env.found_docs}
    places = {name: [Path(env.srcdir, path) for path in paths] for name, paths in files.items()}
    return {name: [hash_of(path) for path in paths if path.is_file()] for name, paths in places.items()}


def write_with_processes(app: Sphinx, _: Any) -> list[str]:
    """From here on, when all pages are parsed, two processes write them. Two extensions could not parse so."""
    app.parallel = 2
    return []  # no further page has to be written


class SearchWords(SphinxTransform):
    """The words that a page is about (`book/grid.yml`) as main entries of the index: a search finds the page first."""

    default_priority = 840  # Sphinx collects the index at 850

    def apply(self, **options: Any) -> None:
        """Add the entries under the title of the page."""
        words = {page.document: page.search for part in grid.read_grid() for page in part.pages}
        entries = [("single", word, "", "main", None) for word in words.get(self.env.docname, ())]
        section = next(iter(self.document.findall(nodes.section)), None)
        if entries and section is not None:
            section.insert(1, addnodes.index(entries=entries))


def repair(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Executed pages are not in git: their launch and source links go to the template that made them."""
    if template := templates().get(pagename):
        relink(context.get("header_buttons", []), pagename, template)
    if not context.get("theme_repository_url"):
        context["header_buttons"] = [b for b in context.get("header_buttons", []) if b.get("label") != "launch-buttons"]
    tags = metatags(context.get("title", ""), described(doctree), app.config.html_baseurl)
    context["metatags"] = context.get("metatags", "") + tags
    context["theme_extra_footer"] = f"<p>{html.escape(edition())}{releases(context.get('theme_repository_url'))}</p>"
    seen: set[str] = set()
    scripts = [script for script in context.get("script_files", []) if first(script, seen)]
    context["script_files"] = [script for script in scripts if needed(script, doctree)]


@cache
def templates() -> dict[str, str]:
    """The notebook of each computed page. The grid is read once, as reading it for every page would take long."""
    return {page.document: f"notebooks/{page.notebook}" for page in grid.computed_pages()}


def described(doctree: Any) -> str:
    """The first paragraph of a page that stands for itself, cut at a word; nothing if there is none."""
    for paragraph in doctree.findall(nodes.paragraph) if doctree is not None else ():
        text = " ".join(paragraph.astext().split())
        if not isinstance(paragraph.parent, nodes.Admonition) and len(text) >= SHORTEST:
            return text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " …"
    return ""


@cache
def edition() -> str:
    """Version, date and commit, as the foot of every page says them."""
    command = ["git", "log", "-1", "--format=%cs"]
    done = subprocess.run(
        command, cwd=places.ROOT, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    date = f", {done.stdout.strip()}" if done.stdout.strip() else ""
    return f"Version {version('samerep')}{date}, commit {commit()}"


def releases(repository: str | None) -> str:
    """A link to the releases, which hold earlier versions of the book; nothing where no repository is set."""
    return f' · <a href="{html.escape(repository, quote=True)}/releases">Other versions</a>' if repository else ""


def without_solutions(app: Sphinx, config: Any) -> None:
    """A site for a class: no solutions, and no notebooks to download, which hold them."""
    if os.environ.get(places.HIDE):
        config.hide_solutions, config.html_copy_source = True, False
        config.html_theme_options |= {"use_download_button": False}


def publish_extras(app: Sphinx, error: Exception | None) -> None:
    """A sitemap and the picture for link previews, where the address of the book is known."""
    if error or not app.config.html_baseurl:
        return
    base, out = app.config.html_baseurl.rstrip("/"), Path(app.outdir)
    pages = sorted(str(page.relative_to(out)) for page in out.rglob("*.html") if "_static" not in page.parts)
    urls = "".join(f"<url><loc>{html.escape(f'{base}/{page}')}</loc></url>\n" for page in pages)
    head = '<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
    (out / "sitemap.xml").write_text(f"{head}{urls}</urlset>\n", encoding="utf-8")
    if picture := still_of(places.PAGES / "landing.ipynb"):
        (out / PREVIEW).write_bytes(picture)


def still_of(notebook: Path) -> bytes | None:
    """The still picture of an executed page's first moving figure, as PNG; None if there is none."""
    found = STILL.search(notebook.read_text(encoding="utf-8")) if notebook.exists() else None
    return base64.b64decode(found[1]) if found else None


def metatags(title: str, description: str, base: str = "") -> str:
    """Title, description and picture as search engines and link previews read them."""
    words = html.escape(description, quote=True)
    name = html.escape(title, quote=True)
    tags = [f'<meta property="og:title" content="{name}">', '<meta property="og:type" content="article">']
    tags += [f'<meta name="description" content="{words}">', f'<meta property="og:description" content="{words}">']
    if base:
        address = html.escape(f"{base.rstrip('/')}/{PREVIEW}", quote=True)
        tags += [f'<meta property="og:image" content="{address}">']
        tags += ['<meta name="twitter:card" content="summary_large_image">']
    return "\n".join(tag for tag in tags if description or "description" not in tag)


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


def needed(script: Any, doctree: Any) -> bool:
    """Whether a page needs this script: MathJax where a formula is, every other one."""
    mathjax = "mathjax" in str(getattr(script, "filename", None) or "")
    return not mathjax or (doctree is not None and has_formulas(doctree))


def has_formulas(doctree: Any) -> bool:
    """Whether a page holds a formula, in its text or in the HTML that a cell has made."""
    if any(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
        return True
    return any("\\(" in raw.astext() or "$" in raw.astext() for raw in doctree.findall(nodes.raw))


def without_unused_scripts(app: Sphinx, error: Exception | None) -> None:
    """Take 2 MB of scripts out of every page that it does not run. The page of the search keeps its own."""
    for page in () if error else Path(app.outdir).rglob("*.html"):
        if page.name != "search.html":
            text = page.read_text(encoding="utf-8")
            page.write_text(UNUSED.sub("", text), encoding="utf-8")


def first(script: Any, seen: set[str]) -> bool:
    """Whether this script, by its file or its text, has not been named before."""
    key = str(getattr(script, "filename", script) or script.attributes.get("body"))
    if key in seen:
        return False
    seen.add(key)
    return True
