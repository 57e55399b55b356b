"""`run` on a notebook of the reader's own: this very file runs, with its parameters, and comes out as a page."""

import json

import jupytext
import nbformat
import pytest
from click.testing import CliRunner

from helpers import __main__ as command
from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import own, places, running, single
from helpers.pages.pairs import pair_notebook

MINE = """\
# %% [markdown]
# # Mine <b>
#
# It is {{name}}, see {prf:ref}`lem-union` and [the book](maximum.ipynb).

# %% tags=["parameters"]
import math
values = [1]
name = "a"
limit = math.pi

# %%
from pathlib import Path
print("MINE RAN", values, name, Path.cwd().name, Path("beside.txt").read_text())
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A notebook with the name of one of the book's, in a folder of its own."""
    monkeypatch.setattr(places, "PAGES", tmp_path / "pages")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "matches.py").write_text(MINE)
    (folder / "beside.txt").write_text("beside")
    return folder / "matches.py"


def printed(page):
    book = nbformat.read(page, as_version=4)
    return "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", []))


def test_names_mean_the_books_and_paths_the_file(mine, monkeypatch):
    assert own.own_page("matches", {}).file is None
    assert own.own_page("matches.ipynb", {}).file is None
    assert own.own_page(str(ROOT / "notebooks" / "matches.py"), {}).file is None
    assert own.own_page(str(ROOT / "notebooks" / "matches.ipynb"), {}).file is None
    assert own.own_page(str(mine), {}).file == mine
    monkeypatch.chdir(mine.parent)
    assert own.own_page("matches.py", {}).file == mine
    page = own.own_page("../work/matches.py", {})
    assert (page.file, page.name, page.label) == (mine, "matches-own", "matches.py")


def test_a_half_that_was_changed_is_what_runs(mine, monkeypatch):
    monkeypatch.setattr(places, "NOTEBOOKS", mine.parent)
    monkeypatch.setattr(own, "read_grid", list)
    other = mine.with_suffix(".ipynb")
    notebook = pair_notebook(mine)
    nbformat.write(notebook, other)
    assert own.own_page(str(other), {}).file is None
    notebook.cells[0].source += " Changed."
    nbformat.write(notebook, other)
    assert own.own_page(str(other), {}).file == other


def cell(source, **more):
    return {
        "cell_type": "code",
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
        "id": "a",
    } | more


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("long.py", "# %%\n" * 700_000, "long.py has 700000 lines without outputs: expected at most 20000"),
        ("wide.py", f"x = {'1' * 2**24}", "wide.py has 16777220 characters without outputs: expected at most 16777216"),
        ("one.ipynb", [cell(["x = 1\n"] * 50_000)], "one.ipynb has 500"),
        ("many.ipynb", [cell("x = 1\nx\n")] * 10_000, "many.ipynb has 7000"),
    ],
)
def test_a_notebook_that_would_be_read_for_minutes_is_refused_at_once(tmp_path, monkeypatch, name, text, message):
    monkeypatch.setattr(jupytext, "read", lambda *given, **options: pytest.fail("it was parsed"))
    file = tmp_path / name
    file.write_text(text if isinstance(text, str) else json.dumps({"cells": text, "metadata": {}, "nbformat": 4}))
    with pytest.raises(BadInput, match=message):
        pair_notebook(file)


def test_outputs_do_not_count_as_lines_of_a_notebook(tmp_path):
    file, output = tmp_path / "loud.ipynb", {"output_type": "stream", "name": "stdout", "text": "a\n" * 50_000}
    cells = [cell(["x = 1\n", "x"], outputs=[output] * 3)]
    file.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    assert [(read.source, read.outputs) for read in pair_notebook(file).cells] == [("x = 1\nx", [])]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/nowhere/matches.py", "no notebook '/nowhere/matches.py': expected a file, or a name"),
        ("matchs", "unknown notebook 'matchs': did you mean 'matches'"),
        ("beside.txt", r"notebook 'beside.txt' is no .py and no .ipynb file"),
    ],
)
def test_what_is_no_notebook_is_refused(mine, monkeypatch, name, message):
    monkeypatch.chdir(mine.parent)
    with pytest.raises(BadInput, match=message):
        own.own_page(name, {})


def test_a_damaged_notebook_is_named(mine):
    (mine.parent / "broken.ipynb").write_text("{")
    with pytest.raises(BadInput, match=r"broken\.ipynb cannot be read as a notebook"):
        running.run_page(own.own_page(str(mine.parent / "broken.ipynb"), {}))


def test_a_parameter_that_the_file_does_not_have_is_refused(mine):
    with pytest.raises(BadInput, match="unknown parameter of matches 'vlues': did you mean 'values'"):
        running.run_page(own.own_page(str(mine), {"vlues": 1}))
    page = own.own_page(str(mine), {"limit": "any", "values": (1,)})
    running.check_parameters(page, page.parameters)  # the reader's notebook knows what they can be


def test_tuples_reach_papermill_as_lists():
    assert running.as_lists({"a": (1, (2, 3)), "b": {"c": ("x",)}, "d": "(1, 2)"}) == {
        "a": [1, [2, 3]],
        "b": {"c": ["x"]},
        "d": "(1, 2)",
    }


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_the_file_itself_runs_in_its_folder_with_its_parameters(mine, suffix):
    notebook = mine.with_suffix(suffix)
    if suffix == ".ipynb":
        nbformat.write(pair_notebook(mine), notebook)
    words = ["run", str(notebook), "-p", "values", "(1, [2, 'x'])", "-p", "name", """it's "so" """]
    done = CliRunner().invoke(command.cli, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert """MINE RAN [1, [2, 'x']] it's "so"  work beside""" in printed(done.output.strip())
    assert "matches-own.ipynb" in done.output
    book = nbformat.read(done.output.strip(), as_version=4)
    box = "".join(out["data"].get("text/html", "") for c in book.cells for out in c.get("outputs", []) if "data" in out)
    assert f"matches{suffix}" in box
    assert str(mine.parent) not in box


@pytest.mark.slow
def test_a_cell_that_fails_is_named_with_its_file(mine):
    mine.write_text('# %%\nraise SystemError("mine ran")\n')
    with pytest.raises(BadInput, match=r"^matches\.py \(page probe\) failed in cell 0 .*SystemError: mine ran"):
        running.run_page(own.own_page(str(mine), {}, "probe"))


@pytest.mark.slow
def test_html_is_a_page_to_open(mine, monkeypatch, tmp_path):
    monkeypatch.setattr(places, "BUILD", tmp_path / "build")
    done = CliRunner().invoke(command.cli, ["run", str(mine), "--html", "--page", "probe"], catch_exceptions=False)
    assert done.output.strip() == str(tmp_path / "build" / "own" / "probe" / "index.html")
    text = (tmp_path / "build" / "own" / "probe" / "index.html").read_text(encoding="utf-8")
    assert "MINE RAN" in text
    assert "Lemma (" in text
    assert "lem-union" not in text.partition("<main")[2]
    assert (tmp_path / "build" / "own" / "probe" / "_static" / "book.css").exists()


def test_references_out_of_the_page_become_words():
    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(
                ":::{prf:lemma} Here\n:label: lem-here\nx\n:::\n\n{prf:ref}`lem-here`, {prf:ref}`lem-union`, "
                "{cite}`wang2018towards`, [words](other.ipynb), [out](https://example.org), {eq}`eq-one`"
            )
        ]
    )
    text = single.alone(book).cells[0].source
    assert "{prf:ref}`lem-here`, Lemma (" in text
    assert "Wang et al. (2018), words, [out](https://example.org), {eq}`eq-one`" in text
