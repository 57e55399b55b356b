"""Notebooks as Jupyter, Colab and plain papermill open them: filled text, and wrong parameters refused."""

import subprocess
import sys
from types import SimpleNamespace

import jupytext
import myst_nb
import nbformat
import pytest

from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import filled, opened
from helpers.pages.pairs import half_of
from helpers.pages.teaching import pages

SOURCE = """\
# %% [markdown]
# # {{title}}
#
# :::{admonition} Before you start
# **Time** {{reading}} to read, {{running}} to run. There are {glue:text}`late:.1f` of them.
# :::

# %% tags=["parameters"]
seeds = [0, 1]
name = "one"

# %% mystnb={"figure": {"name": "fig-{{page}}"}}
glue("share", 0.256)

# %% [markdown]
# Of {{name}}, {glue:text}`share:.2f` and {glue:text}`share`. See {prf:ref}`lem-union`, and `{code}`.

# %%
glue("late", 2.0)
"""


@pytest.fixture
def kernel(monkeypatch):
    """A notebook's kernel in small: its names, the sources of its cells, and what it shows."""
    seen = []

    class Shown:
        def __init__(self, content):
            self.at = len(seen)
            seen.append(content.data)

        def update(self, content):
            seen[self.at] = content.data

    shell = SimpleNamespace(user_ns={"In": []}, seen=seen)
    monkeypatch.setattr(filled, "get_ipython", lambda: shell)
    monkeypatch.setattr(filled, "display", lambda content, display_id: Shown(content))
    monkeypatch.setattr(myst_nb, "glue", lambda *given: None)
    monkeypatch.setattr(filled, "VALUES", {})
    return shell


def made():
    return opened.as_opened(jupytext.reads(SOURCE, fmt="py:percent"), "page")


def test_text_is_plain_and_code_is_as_it_was():
    book = made()
    assert [cell.cell_type for cell in book.cells] == ["markdown", *["code"] * 7]
    assert [cell.source for cell in pages.code(book) if "text" not in pages.tags(cell)] == [
        cell.source for cell in pages.code(jupytext.reads(SOURCE, fmt="py:percent"))
    ]
    assert pages.code(book)[0].source.splitlines() == [
        "from helpers.pages.filled import show_text",
        "from helpers.pages.opened import given",
    ]
    assert book.cells[4].source == "given('page')"
    text = "\n".join(cell.source for cell in book.cells)
    assert "# Your own run" in text
    assert "**Before you start**" in text
    assert "Lemma (" in text
    assert not any(raw in text for raw in ("{glue", ":::", "{{title", "{{reading", "{{running", "{prf:ref"))
    assert book.cells[5].metadata["mystnb"]["figure"]["name"] == "fig-page"


def test_cells_say_the_numbers_of_this_run(kernel):
    spaces = kernel.user_ns
    exec(SOURCE[SOURCE.index("seeds") : SOURCE.index("# %% mystnb")], spaces)
    spaces |= {"glue": filled.glue, "show_text": filled.show_text, "name": "two", "given": lambda page: None}
    for cell in pages.code(made())[1:]:
        if "parameters" not in pages.tags(cell):
            exec(cell.source, spaces)
        if "share" in cell.source and "show_text" not in cell.source:
            assert "There are … of them" in kernel.seen[0]
    assert "There are 2.0 of them" in kernel.seen[0]
    assert kernel.seen[1].startswith("Of two, 0.26 and 0.256. See")
    assert not any(raw in text for text in kernel.seen for raw in ("{{", "{glue", "«", "…"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"sed": [0, 1]}, "unknown parameter of network 'sed': did you mean 'seeds'"),
        ({"look_at": 3}, "look_at is 3: expected a number in"),
        ({"seeds": "0,x"}, "seeds is '0,x': expected a list of different whole numbers"),
        ({"network": "vgg99"}, "unknown network 'vgg99': did you mean 'vgg1"),
        ({"width": "wide"}, "width is 'wide': expected a factor"),
        ({"recompute": "maybe"}, "recompute is 'maybe': expected True or False"),
    ],
)
def test_wrong_parameters_are_refused_in_the_kernel(kernel, values, message):
    cells = pages.code(pages.load_notebook(ROOT / "notebooks" / "network.py"), "parameters")
    kernel.user_ns["In"] = ["import antigravity", "%matplotlib inline", cells[0].source]
    injected = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in values.items())])
    for source in (cells[0].source, injected):
        exec(source, kernel.user_ns)
    kernel.user_ns["In"].append(injected)
    with pytest.raises(BadInput, match=message):
        opened.given("network")


def test_lists_that_come_as_text_are_read(kernel):
    cells = pages.code(pages.load_notebook(ROOT / "notebooks" / "network.py"), "parameters")
    injected = '# Parameters\nseeds = "[3, 4]"\nlayers = "[\'pool\']"\nwidth = 0.25\nepochs = "2"'
    for source in (cells[0].source, injected):
        kernel.user_ns["In"].append(source)
        exec(source, kernel.user_ns)
    opened.given("network")
    assert [kernel.user_ns[name] for name in ("seeds", "layers", "width", "epochs")] == [[3, 4], ["pool"], 0.25, 2]


def test_a_parameters_cell_that_was_edited_by_hand_is_checked_and_other_cells_are_not(kernel):
    cells = pages.code(pages.load_notebook(ROOT / "notebooks" / "network.py"), "parameters")
    exec(cells[0].source, kernel.user_ns)
    kernel.user_ns["In"] = ["mine = 3", cells[0].source]
    opened.given("network")
    kernel.user_ns["In"].append(cells[0].source + "\nwidht = 0.5")
    with pytest.raises(BadInput, match="unknown parameter of network 'widht': did you mean 'width'"):
        opened.given("network")


def test_outside_of_a_notebook_nothing_is_said():
    with pytest.raises(BadInput, match="no notebook runs here"):
        filled.show_text("{{name}}")


@pytest.mark.parametrize("path", pages.sources(), ids=lambda path: path.stem)
def test_no_half_shows_what_only_the_book_understands(path):
    for cell in half_of(path).cells:
        if cell.cell_type == "markdown" or cell.source.startswith("show_text("):
            assert "{glue" not in cell.source
            assert ":::" not in cell.source
        if cell.cell_type == "markdown":
            assert "{{" not in cell.source


def papermill(*words, cwd):
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", *words]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command,
        cwd=cwd,
        env=__import__("os").environ | environment,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@pytest.mark.slow
def test_plain_papermill_runs_a_notebook_and_refuses_a_wrong_parameter(tmp_path):
    source = str(ROOT / "notebooks" / "network.ipynb")
    given = ["-p", "seeds", "[0, 1]", "-p", "network", "vgg8_bn", "-p", "epochs", "1"]
    done = papermill(source, "out.ipynb", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    book = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    shown = [output.get("data", {}).get("text/markdown", "") for cell in pages.code(book) for output in cell.outputs]
    text = "\n".join([*shown, *pages.markdown(book)])
    assert "2 networks, trained from different random weights" in text
    assert "run notebooks/network.py -p network vgg8_bn" in text
    assert not any(raw in text for raw in ("{{", "{glue", "…", ":::"))
    done = papermill(source, "out.ipynb", "-p", "netwrok", "vgg8_bn", cwd=tmp_path)
    assert done.returncode == 1
    assert "unknown parameter of network 'netwrok': did you mean 'network'?" in done.stderr
