"""The grid, its pages and their hashes; what is refused. No notebook of the book runs here."""

import nbformat
import pytest

from helpers.errors import BadInput
from helpers.pages import publish
from helpers.pages.publish import Page

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
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A book of one notebook in a folder of its own."""
    for name in ("NOTEBOOKS", "PAGES"):
        monkeypatch.setattr(publish, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    (tmp_path / "notebooks" / "tiny.py").write_text(TINY.format())
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish, "KERNEL", publish.KERNEL | {"PYTHONPATH": str(publish.Path(__file__).parents[1])})
    (tmp_path / "requirements.lock").write_text("")
    publish._watched_hash.cache_clear()
    yield tmp_path
    publish._watched_hash.cache_clear()


def test_an_executed_page_has_its_words_filled_in_and_its_outputs(tiny):
    page = Page("my-page", "tiny", "My title", {"seeds": [3, 4]})
    path = publish.run_page(page)
    notebook = nbformat.read(path, as_version=4)
    first = notebook.cells[0].source
    assert first.startswith("# My title\nPage my-page, seeds 3, 4, ")
    assert "{{" not in first
    figure = next(cell for cell in notebook.cells if "mystnb" in cell.metadata)
    assert figure.metadata["mystnb"]["figure"]["name"] == "fig-my-page"
    assert figure.outputs[0]["data"]["text/plain"] == "7"
    assert publish.unfinished(notebook) is None
    assert publish.is_fresh(page)


def test_a_page_goes_stale_when_its_notebook_parameters_or_title_change(tiny):
    page = Page("my-page", "tiny", "My title")
    publish.run_page(page)
    assert publish.is_fresh(page)
    assert not publish.is_fresh(Page("my-page", "tiny", "Another title"))
    assert not publish.is_fresh(Page("my-page", "tiny", "My title", {"seeds": [5]}))
    (tiny / "notebooks" / "tiny.py").write_text(TINY.format() + "\n# more\n")
    assert not publish.is_fresh(page)
    with pytest.raises(BadInput, match="my-page cannot be published: it is older than its sources"):
        publish.check_pages([page], "published")


def test_a_failing_cell_names_notebook_cell_and_error_and_leaves_nothing(tiny):
    page = Page("my-page", "tiny", parameters={"fail": True})
    with pytest.raises(BadInput, match=r"notebooks/tiny.py \(page my-page\) failed in cell 3 .*ValueError: no luck"):
        publish.run_page(page)
    assert list((tiny / "pages").iterdir()) == []
    with pytest.raises(BadInput, match="it was never run"):
        publish.check_pages([page], "published")


def test_an_unknown_parameter_is_refused_with_the_nearest_name(tiny):
    with pytest.raises(BadInput, match="unknown parameter of tiny 'seed': did you mean 'seeds'"):
        publish.run_page(Page("my-page", "tiny", parameters={"seed": [1]}))


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("[{caption: A, pages: [{notebook: tiny, pages: x}]}]", "unknown key in grid.yml 'pages'"),
        ("[{caption: A, pages: [{notebook: tiny}, {notebook: tiny}]}]", "page 'tiny' is there twice"),
        ("[{caption: A, pages: [{notebook: tinny}]}]", "needs notebooks/tinny.py, which is not there"),
    ],
)
def test_a_wrong_grid_is_refused(tiny, grid, message):
    path = tiny / "grid.yml"
    path.write_text(grid)
    with pytest.raises(BadInput, match=message):
        publish.grid(path)


@pytest.mark.parametrize("opened", [1, publish.MANY_STUDIES, publish.MANY_STUDIES + 1])
def test_the_box_names_every_study_and_stays_short(opened, monkeypatch):
    known = {"data_sha256": "ab" * 32, "commit": "c0ffee", "checkpoints": [{"accuracy": 0.8421}]}
    monkeypatch.setattr(publish.studies, "OPENED", {f"study-{k}": known for k in range(opened)})
    rows = list(publish._studies_used())
    assert len(rows) == (opened if opened <= publish.MANY_STUDIES else 1)
    assert all(f"study-{k}" in str(rows) for k in range(opened))
    assert ("84.21%" in str(rows)) == (opened <= publish.MANY_STUDIES)


def test_an_unknown_tier_is_refused():
    with pytest.raises(BadInput, match="did you mean 'smoke'"):
        publish.build_book("smok")


def test_the_table_of_contents_in_git_is_that_of_the_grid():
    assert (publish.ROOT / "_toc.yml").read_text() == publish.table_of_contents()


def test_every_parameter_of_the_grid_is_known_to_its_notebook():
    for page in publish.computed_pages():
        publish.check_parameters(page, page.parameters | page.smoke)


def test_every_notebook_is_in_the_grid():
    used = {page.notebook for page in publish.computed_pages()}
    assert {path.stem for path in publish.NOTEBOOKS.glob("*.py")} == used


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
