"""The two halves of a notebook: nothing that was written into one is lost; what a parameters cell can hold."""

import shutil
import tempfile
from types import SimpleNamespace

import nbformat
import pytest

from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages import pairs, running


@pytest.fixture
def pair(tmp_path, monkeypatch):
    """A pair of its own, outside of any repository."""
    monkeypatch.setenv("SAMEREP_CACHE", str(tmp_path / "cache"))
    for name in ("notebooks/worked_example.py", "notebooks/worked_example.ipynb", "jupytext.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path / "worked_example.py"


def add_note(path):
    notebook = nbformat.read(path, 4)
    notebook.cells[0].source += "\nAn hour of notes."
    nbformat.write(notebook, path)


def test_what_was_written_into_the_ipynb_half_is_kept(pair):
    half = pair.with_suffix(".ipynb")
    add_note(half)
    with pytest.raises(BadInput, match=r"worked_example.ipynb was changed and worked_example.py does not have"):
        pairs._pair(pair)
    assert "An hour of notes." in half.read_text()
    half.unlink()
    assert pairs._pair(pair) == [half]


def test_the_text_half_may_change_again_and_again(pair):
    half = pair.with_suffix(".ipynb")
    half.unlink()
    assert pairs._pair(pair) == [half]
    for number in range(3):
        pair.write_text(pair.read_text() + f"\n# %%\nprint({number})\n")
        assert half in pairs._pair(pair)
    assert pairs._pair(pair) == []
    add_note(half)
    with pytest.raises(BadInput, match="was changed"):
        pairs._pair(pair)


def test_every_form_of_a_parameter_is_known(tmp_path, monkeypatch):
    cell = "a, b = 1, 'two'\nc: int = 3\nd = [4, (5,)]\ne = f = None"
    source = tmp_path / "page.py"
    source.write_text(f'# %% tags=["parameters"]\n{cell}\n')
    parameters = running.parameters_of(SimpleNamespace(source=source, notebook="page"))
    assert parameters == {"a": 1, "b": "two", "c": 3, "d": [4, (5,)], "e": None, "f": None}


@pytest.mark.parametrize(("length", "place"), [(10, "/xxxxxxxxxx"), (95, "/tmp")])
def test_sockets_lie_where_their_path_is_short(monkeypatch, length, place):
    monkeypatch.setattr(tempfile, "tempdir", "/" + "x" * length)
    assert running._short_place() == place
