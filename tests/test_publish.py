"""The grid, its pages and their hashes; what is refused. No notebook of the book runs here."""

import ast
import html
import json
import os
import re
import tomllib
from types import SimpleNamespace

import nbformat
import psutil
import pytest
import yaml
from docutils import nodes
from markdown_it import MarkdownIt

from book import extension
from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import box, dependencies, filled, grid, places, publish, running
from helpers.pages.grid import Page
from helpers.pages.teaching import pages
from helpers.studies import hashes, records

TINY = """# %% [markdown]
# # {{{{title}}}}
# Page {{{{page}}}}, seeds {{{{seeds}}}}, {{{{reading}}}} to read.

# %% tags=["parameters"]
seeds = [0, 1]
fail = False

# %% mystnb={{"figure": {{"name": "fig-{{{{page}}}}"}}}}
if fail:
    raise ValueError("no luck")
total = sum(seeds)
total

# %%
from helpers import studies

studies.find_record(studies.SEEDS, studies.Study(images=100)) is None
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A book of one notebook in a folder of its own."""
    for name in ("NOTEBOOKS", "PAGES"):
        monkeypatch.setattr(places, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    (tmp_path / "notebooks" / "tiny.py").write_text(TINY.format())
    monkeypatch.setattr(places, "ROOT", tmp_path)
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path / "results"))
    (tmp_path / "requirements.lock").write_text("")
    return tmp_path


def test_an_executed_page_has_its_words_filled_in_and_its_outputs(tiny):
    page = Page("my-page", "tiny", "My title", {"seeds": [3, 4]})
    path = running.run_page(page)
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0].source
    assert first.startswith("# My title\nPage my-page, seeds 3, 4, ")
    assert "{{" not in first
    figure = next(cell for cell in notebook.cells if "mystnb" in cell.metadata)
    assert figure.metadata["mystnb"]["figure"]["name"] == "fig-my-page"
    assert figure.outputs[0]["data"]["text/plain"] == "7"
    assert running.unfinished(notebook) is None
    assert running.is_fresh(page)


def test_a_page_goes_stale_when_its_notebook_parameters_or_title_change(tiny):
    page = Page("my-page", "tiny", "My title")
    running.run_page(page)
    assert running.is_fresh(page)
    assert not running.is_fresh(Page("my-page", "tiny", "Another title"))
    assert not running.is_fresh(Page("my-page", "tiny", "My title", {"seeds": [5]}))
    (tiny / "notebooks" / "tiny.py").write_text(TINY.format() + "\n# more\n")
    assert not running.is_fresh(page)
    with pytest.raises(BadInput, match="my-page cannot be published: it is older than its sources"):
        running.check_pages([page], "published")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"7"', '"8"'),  # a number in an output
        ("My title", "My tidle"),
        ('"sha256"', '"md5"'),  # as a page of an earlier version, which had no hash
    ],
)
def test_a_page_that_was_damaged_or_edited_is_run_again(tiny, old, new):
    page = Page("my-page", "tiny", "My title", {"seeds": [3, 4]})
    path = running.run_page(page)
    whole = path.read_text()
    assert old in whole
    path.write_text(whole.replace(old, new))
    assert not running.is_fresh(page)
    assert running.run_pages([page], "published") == [page]
    assert old in path.read_text()
    assert running.is_fresh(page)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"metadata": []}', "[" * 200_000, "\udcff"])
def test_what_is_no_page_is_not_fresh(tiny, text):
    (tiny / "pages" / "my-page.ipynb").write_text(text, errors="surrogateescape")
    assert not running.is_fresh(Page("my-page", "tiny", "My title"))


def record(root, name: str, content: str) -> None:
    (root / "results" / name).mkdir(parents=True, exist_ok=True)
    (root / "results" / name / "provenance.json").write_text(content)


def test_a_page_depends_on_the_records_it_looked_for_and_on_no_others(tiny):
    page, name = Page("my-page", "tiny"), "digits-vgg11_bn-w0.125-digits8-100images"
    notebook = nbformat.read(running.run_page(page), as_version=4)
    assert notebook.metadata["samerep"]["records"] == [name]
    record(tiny, "another", "{}")
    assert running.is_fresh(page)
    record(tiny, name, "{}")
    assert not running.is_fresh(page)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("## In short", "## In brief", ()),  # plain text
        ("prf:lemma} Union of matches", "prf:lemma} Unions of matches", ("statements",)),
        ("*On paper.* Find two", "Predict, then find two", ("course",)),  # another kind of exercise
        ("# The maximum match", "# The largest match", ("statements", "course")),  # the title of the page
    ],
)
def test_a_page_that_lists_what_others_hold_depends_on_that_list_alone(old, new, changed, monkeypatch):
    before = {name: dependencies.listing(name) for name in ("statements", "course")}
    read, edits = pages.load_notebook, []

    def edited(path):
        book = read(path)
        for cell in book.cells if path.stem == "maximum" else ():
            edits.append(old in cell.source)
            cell.source = cell.source.replace(old, new)
        return book

    monkeypatch.setattr(pages, "load_notebook", edited)
    after = {name: dependencies.listing(name) for name in before}
    assert any(edits), "nothing was edited"
    assert tuple(name for name in before if before[name] != after[name]) == changed


def test_a_page_that_listed_all_records_depends_on_all():
    before, after = dependencies.Depends("x", {"a": "1"}), dependencies.Depends("x", {"a": "1", "b": "2"})
    assert before.hash_with(["a"]) == after.hash_with(["a"])
    assert before.hash_with([records.EVERYTHING]) != after.hash_with([records.EVERYTHING])
    assert before.hash_with(["b"]) != after.hash_with(["b"])


@pytest.mark.parametrize(
    ("module", "text", "same"),
    [
        ("used", '"""Another docstring."""\nNUMBER = 1  # a comment\n', True),
        ("other", "NUMBER = 5\n", True),
        ("used", "NUMBER = 2\n", False),
        ("deep", "NUMBER = 2\n", False),
    ],
)
def test_a_page_depends_on_the_code_it_imports_but_on_no_docstring(module, text, same, tmp_path, monkeypatch):
    package = tmp_path / "helpers"
    package.mkdir()
    for name, content in {"used": "NUMBER = 1\n", "other": "", "deep": "", "__init__": ""}.items():
        (package / f"{name}.py").write_text(content)
    (package / "room.py").write_text("from .deep import NUMBER\n")
    (tmp_path / "notebook.py").write_text("# %%\nfrom helpers import room, used\n")
    monkeypatch.setattr(hashes, "PACKAGE", package)
    before = dependencies.code_of(tmp_path / "notebook.py")
    (package / f"{module}.py").write_text(text)
    assert (dependencies.code_of(tmp_path / "notebook.py") == before) == same


def test_a_failing_cell_names_notebook_cell_and_error_and_leaves_nothing(tiny):
    page = Page("my-page", "tiny", parameters={"fail": True})
    with pytest.raises(BadInput, match=r"notebooks/tiny.py \(page my-page\) failed in cell 3 .*ValueError: no luck"):
        running.run_page(page)
    assert list((tiny / "pages").iterdir()) == []
    with pytest.raises(BadInput, match="it was never run"):
        running.check_pages([page], "published")


def test_an_unknown_parameter_is_refused_with_the_nearest_name(tiny):
    with pytest.raises(BadInput, match="unknown parameter of tiny 'seed': did you mean 'seeds'"):
        running.run_page(Page("my-page", "tiny", parameters={"seed": [1]}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[{caption: A, pages: [{notebook: tiny, pages: x}]}]", "unknown key in grid.yml 'pages'"),
        ("[{caption: A, pages: [{notebook: tiny}, {notebook: tiny}]}]", "page 'tiny' is there twice"),
        ("[{caption: A, pages: [{notebook: tiny}, {notebook: tiny, page: TINY}]}]", "page 'tiny' is there twice"),
        (
            "[{caption: A, pages: [{notebook: tiny, parameters: {seeds: .inf}}]}]",
            "grid.yml: 0.pages.0.parameters.seeds is inf: expected a finite number",
        ),
        ("[{caption: A, pages: [{notebook: tinny}]}]", "needs notebooks/tinny.py, which is not there"),
    ],
)
def test_a_wrong_grid_is_refused(tiny, text, message):
    path = tiny / "grid.yml"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        grid.read_grid(path)


@pytest.mark.parametrize("opened", [1, box.MANY_STUDIES, box.MANY_STUDIES + 1])
def test_the_box_names_every_study_and_stays_short(opened, monkeypatch):
    known = {"data_sha256": "ab" * 32, "commit": "c0ffee", "checkpoints": [{"accuracy": 0.8421}]}
    monkeypatch.setattr(records, "OPENED", {f"study-{k}": known for k in range(opened)})
    rows = list(box._studies_used())
    assert len(rows) == (opened if opened <= box.MANY_STUDIES else 1)
    assert all(f"study-{k}" in str(rows) for k in range(opened))
    assert ("84.21%" in str(rows)) == (opened <= box.MANY_STUDIES)


def test_an_unknown_tier_is_refused():
    with pytest.raises(BadInput, match="did you mean 'smoke'"):
        publish.build_book("smok")


def test_the_table_of_contents_in_git_is_that_of_the_grid():
    assert (places.ROOT / "_toc.yml").read_text() == grid.table_of_contents()


def test_every_parameter_of_the_grid_is_known_to_its_notebook():
    for page in grid.computed_pages():
        running.check_parameters(page, page.parameters | page.smoke)


def test_every_notebook_is_in_the_grid():
    used = {page.notebook for page in grid.computed_pages()}
    assert {path.stem for path in places.NOTEBOOKS.glob("*.py")} == used


def test_launch_links_lead_to_the_template():
    from book import extension

    buttons = [
        {"buttons": [{"url": "https://x/blob/main/book/pages/a.ipynb"}, {"url": "../_sources/book/pages/a.ipynb"}]}
    ]
    extension.relink(buttons, "book/pages/a", "notebooks/tiny")
    assert [b["url"] for b in buttons[0]["buttons"]] == [
        "https://x/blob/main/notebooks/tiny.ipynb",
        "../_sources/book/pages/a.ipynb",
    ]


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    'a" onmouseover="alert(1)',
    "[link](javascript:alert(1))",
    "**bold** _em_ `code` $x$",
    "{ref}`label`",
    "a\n# heading",
    "```{raw} html\n<script>alert(1)</script>\n```",
    "&lt;script&gt;",
    "{{page}}",
    "</title><script>",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_text_whatever_signs_it_holds(tiny, value):
    """Rendered, a hostile title or parameter is the value's own text, and no element, link or formula comes of it."""
    page = Page("my-page", "tiny", value, {"seeds": [value]})
    cells = running.prepared(page, page.parameters).cells
    rendered = MarkdownIt("commonmark", {"html": True}).render(cells[0].source)
    plain = re.sub("<[^>]*>", "", rendered)
    assert html.unescape(plain).startswith(value + "\n")
    assert set(re.findall("<(/?[a-z0-9]+)", rendered)) == {"h1", "/h1", "p", "/p"}
    figure = next(cell for cell in cells if "mystnb" in cell.metadata)
    assert figure.metadata["mystnb"]["figure"]["name"] == "fig-my-page"


def test_ordinary_values_stay_as_they_are():
    for value in (
        "VGG-16 with batch norm on CIFAR-10, width 1/4",
        "vgg16_bn",
        "torchvision:resnet18",
        "0, 1, 2",
        "~/x.pt",
    ):
        assert filled.as_text(value) == value


def test_a_kernel_has_an_environment_of_its_own_and_ends_with_its_page(tiny, monkeypatch):
    monkeypatch.delenv("SAMEREP_PAGE", raising=False)
    (tiny / "notebooks" / "tiny.py").write_text(
        "# %%\nimport os\nos.environ['SAMEREP_PAGE'], os.getcwd(), os.getpid()\n"
    )
    path = running.run_page(Page("my-page", "tiny", "My title"))
    name, folder, pid = ast.literal_eval(nbformat.read(path, as_version=4).cells[0].outputs[0]["data"]["text/plain"])
    assert (name, folder) == ("my-page", str(tiny))
    assert "SAMEREP_PAGE" not in os.environ
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert not list((tiny / "pages").glob(".*"))


def test_two_pages_run_at_a_time_and_the_first_failure_ends_the_others(tiny):
    (tiny / "notebooks" / "slow.py").write_text("# %%\nimport threading\nthreading.Event().wait(600)\n")
    pages = [Page("slow", "slow"), Page("bad", "tiny", parameters={"fail": True})]
    with pytest.raises(BadInput, match="no luck"):
        running.run_pages(pages, "published", jobs=2)
    assert not list((tiny / "pages").iterdir())


# ---------------------------------------------------------------- what a page says of itself


def test_previews_name_the_picture_only_where_the_books_address_is_known():
    tags = extension.metatags("A <title>", "What it says.", "https://example.org/book/")
    assert '<meta property="og:image" content="https://example.org/book/_static/preview.png">' in tags
    assert "A &lt;title&gt;" in tags
    assert "og:image" not in extension.metatags("A title", "What it says.")
    assert "description" not in extension.metatags("A title", "")


def test_the_foot_of_a_page_leads_to_other_versions_where_there_is_a_repository():
    assert extension.releases("https://example.org/a&b").count('href="https://example.org/a&amp;b/releases"') == 1
    assert extension.releases("") == extension.releases(None) == ""


@pytest.mark.parametrize(
    ("text", "formulas"),
    [(nodes.paragraph("", "plain"), False), (nodes.math("", "x"), True), (nodes.raw("", "$x$"), True)],
)
def test_a_page_loads_mathjax_where_it_has_formulas(text, formulas):
    page = nodes.document(None, None, "", text)
    assert extension.needed(SimpleNamespace(filename="_static/mathjax/tex-mml-chtml.js"), page) is formulas
    assert extension.needed(SimpleNamespace(filename="_static/book.js"), page)


def test_scripts_that_a_page_does_not_run_are_taken_out_of_it(tmp_path):
    unused = '<script src="../_static/searchtools.js?v=1"></script><script defer src="../_a/fontawesome.js"></script>'
    for name in ("page", "search"):
        (tmp_path / f"{name}.html").write_text(f'{unused}<script src="../_static/book.js"></script>')
    extension.without_unused_scripts(SimpleNamespace(outdir=tmp_path), None)
    assert (tmp_path / "page.html").read_text() == '<script src="../_static/book.js"></script>'
    assert unused in (tmp_path / "search.html").read_text()


def test_the_picture_is_the_still_of_the_front_page(tmp_path):
    page = tmp_path / "landing.ipynb"
    assert extension.still_of(page) is None
    output = {"data": {"text/html": '<img class="answer-still" src="data:image/png;base64,aGVsbG8=" alt="x">'}}
    page.write_text(json.dumps({"cells": [{"outputs": [output]}]}))
    assert extension.still_of(page) == b"hello"


def test_a_sitemap_lists_every_page(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "PAGES", tmp_path)
    (tmp_path / "book").mkdir()
    (tmp_path / "_static").mkdir()
    for name in ("index.html", "book/page.html", "_static/part.html"):
        (tmp_path / name).touch()
    config = SimpleNamespace(html_baseurl="https://example.org/book/")
    extension.publish_extras(SimpleNamespace(config=config, outdir=tmp_path), None)
    listed = re.findall("<loc>(.*?)</loc>", (tmp_path / "sitemap.xml").read_text())
    assert listed == ["https://example.org/book/book/page.html", "https://example.org/book/index.html"]


def test_a_site_for_a_class_shows_no_solution_and_offers_no_notebook(monkeypatch):
    config = SimpleNamespace(hide_solutions=False, html_copy_source=True, html_theme_options={"a": 1})
    monkeypatch.setenv(places.HIDE, "")
    extension.without_solutions(None, config)
    assert not config.hide_solutions
    before = publish.book_hash([])
    monkeypatch.setenv(places.HIDE, "1")
    extension.without_solutions(None, config)
    assert config.hide_solutions
    assert not config.html_copy_source
    assert config.html_theme_options["use_download_button"] is False
    assert publish.book_hash([]) != before


def test_version_and_addresses_are_the_same_everywhere():
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    page = (ROOT / "book" / "bibliography.md").read_text()
    assert f"title = {{{citation['title']}}}" in page
    assert f"version = {{{citation['version']}}}" in page
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["repository-code"] == settings["repository"]["url"]
    assert citation["version"] == project["version"]
    assert f"## {project['version']}" in (ROOT / "CHANGELOG.md").read_text()
    for page in ("README.md", "book/how-to-use.md", "CONTRIBUTING.md"):
        named = re.findall(r"https://github\.com/[\w.-]+/[\w.-]+", (ROOT / page).read_text())
        assert set(named) <= {settings["repository"]["url"]}
