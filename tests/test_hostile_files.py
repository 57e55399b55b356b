"""Files that a user hands over, and that damage or malice can reach: one line that names the file, and nothing lost."""

import io
import json
import os
import pickle
import zipfile

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch

from helpers import __main__ as command
from helpers import compare
from helpers.errors import BadInput
from helpers.files import sha256
from helpers.networks import weights
from helpers.networks.inputs import images_of, in_batches, read_inputs
from helpers.pages import claims, grid, pairs
from helpers.pages.grid import Page
from helpers.pages.running import parameters_of
from helpers.pages.teaching import course, slides
from helpers.studies import frames
from helpers.studies.results import Comparison

NUMBERS = np.random.default_rng(0).random((100, 8), dtype=np.float32)


def refused(call, *names: str) -> str:
    """The one line with which a call is refused; it says all of `names`."""
    with pytest.raises(BadInput) as caught:
        call()
    text = str(caught.value)
    assert text.isprintable()
    assert len(text) < 1000
    assert all(name in text for name in names)
    return text


# ---------------------------------------------------------------- arrays of inputs


def archive(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def flags(path, first, listed, value):
    """Change one byte in both headers of an archive's first file."""
    content = bytearray(path.read_bytes())
    content[first] = content[content.find(b"PK\x01\x02") + listed] = value
    path.write_bytes(content)


def flipped(path):
    content = bytearray(archive(path, x=NUMBERS).read_bytes())
    content[200] ^= 255
    path.write_bytes(content)


def of_text(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.txt", "hello")


ARRAYS = {
    "objects": lambda path: archive(path, x=np.array([None] * 5)),
    "text": lambda path: archive(path, x=np.array(["a"] * 5)),
    "dates": lambda path: archive(path, x=np.zeros(5, "M8[s]")),
    "records": lambda path: archive(path, x=np.zeros(5, [("a", "f4")])),
    "one number": lambda path: archive(path, x=np.float32(3)),
    "no arrays": archive,
    "text files": of_text,
    "nothing": lambda path: path.write_bytes(b""),
    "a pickle": lambda path: path.write_bytes(pickle.dumps([1, 2])),
    "cut": lambda path: path.write_bytes(archive(path, x=NUMBERS).read_bytes()[:-40]),
    "flipped": flipped,
    "encrypted": lambda path: flags(archive(path, x=NUMBERS), 6, 8, 1),
    "of another compression": lambda path: flags(archive(path, x=NUMBERS), 8, 10, 99),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("write", ARRAYS.values(), ids=ARRAYS)
def test_inputs_that_are_no_arrays_of_numbers_are_refused(tmp_path, write):
    write(tmp_path / "in.npz")
    refused(lambda: read_inputs(tmp_path / "in.npz"), "in.npz")


def test_more_inputs_than_fit_into_memory_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    path = archive(tmp_path / "in.npz", x=np.zeros(10**6))
    monkeypatch.setattr("helpers.processes.psutil.virtual_memory", lambda: type("Memory", (), {"available": 10**6}))
    monkeypatch.setattr(np, "load", lambda *given, **options: pytest.fail("it was unpacked"))
    assert "expected less" in refused(lambda: read_inputs(path))


@pytest.mark.parametrize("kind", [">f4", "g", "f8", "f4"])
def test_numbers_of_other_kinds_are_the_numbers_that_they_are(tmp_path, kind):
    (batch,) = in_batches(archive(tmp_path / "in.npz", x=NUMBERS.astype(kind)), 100)
    torch.testing.assert_close(images_of(batch), torch.from_numpy(NUMBERS))


# ---------------------------------------------------------------- weights and functions of one's own


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


WEIGHTS = {
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "a pickle": lambda path: path.write_bytes(pickle.dumps(Evil())),
    "brackets": lambda path: path.write_bytes(b"(" * 100_000 + b"."),
    "a list": lambda path: torch.save([1], path),
    "numbers as names": lambda path: torch.save({1: torch.ones(1)}, path),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
}


@pytest.mark.parametrize("write", WEIGHTS.values(), ids=WEIGHTS)
@pytest.mark.filterwarnings("error::UserWarning")
def test_weights_that_are_none_are_refused_and_run_nothing(tmp_path, monkeypatch, write):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.pt")
    refused(lambda: weights.open_network(tmp_path / "a.pt", "squeezenet1_1"), "a.pt")
    assert not (tmp_path / "evil").exists()


MINE = """
def fails(): raise RuntimeError("a\\nb")
def leaves(): raise SystemExit(0)
def nothing(): return None
def wants(a): return a
number = 3
"""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine_hostile:fails", "failed with RuntimeError: a (mine_hostile.py, line 2)"),
        ("mine_hostile:leaves", "failed with SystemExit: 0"),
        ("mine_hostile:nothing", "gives a NoneType: expected a network"),
        ("mine_hostile:wants", "failed with TypeError"),
        ("mine_hostile:number", "gives a int"),
        ("mine_hostile:nohting", "did you mean 'nothing'?"),
        ("broken_hostile:f", "cannot be imported"),
        ("leaving_hostile:f", "cannot be imported"),
        ("..x:y", "cannot be imported"),
        (":", "cannot be imported"),
        ("timm:", "no weights for timm:"),
    ],
)
def test_what_a_function_of_ones_own_does_is_one_line(tmp_path, monkeypatch, name, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_hostile.py").write_text(MINE)
    (tmp_path / "broken_hostile.py").write_text("def (:")
    (tmp_path / "leaving_hostile.py").write_text("import sys; sys.exit(0)")
    refused(lambda: weights.open_network("", name), says)


# ---------------------------------------------------------------- saved comparisons


@pytest.fixture(scope="module")
def comparison():
    torch.manual_seed(0)
    a, b = (torch.nn.Sequential(torch.nn.Linear(8, 5), torch.nn.ReLU()) for _ in "ab")
    return compare(a, b, torch.from_numpy(NUMBERS), progress=False)


def numbers(**changes):
    return lambda parts, made: parts.update(
        {"comparison.json": json.dumps(json.loads(parts["comparison.json"]) | changes).encode()}
    )


def table(name, change):
    def edit(parts, made):
        buffer = io.BytesIO()
        change(made.critical).to_parquet(buffer)
        parts[f"{name}.parquet"] = buffer.getvalue()

    return edit


SAVED = {
    "images in words": numbers(images="many"),
    "images below 0": numbers(images=-1),
    "seconds that are none": numbers(seconds=float("nan")),
    "a list of devices": numbers(device=[1]),
    "a list": lambda parts, made: parts.update({"comparison.json": b"[]"}),
    "deep": lambda parts, made: parts.update({"comparison.json": b"[" * 100_000}),
    "another file": lambda parts, made: parts.update({"../x": b"a"}),
    "no critical": lambda parts, made: parts.pop("critical.parquet"),
    "no layers": lambda parts, made: parts.pop("layers.parquet"),
    "other columns": table("critical", lambda rows: rows[["neuron"]]),
    "NaN": table("critical", lambda rows: rows.assign(critical_epsilon=np.nan)),
    "words": table("critical", lambda rows: rows.assign(critical_epsilon="a")),
    "one name for all": table("critical", lambda rows: rows.assign(layer="a")),
    "no rows": table("critical", lambda rows: rows.iloc[:0]),
    "a flag of many columns": table("_flagged", lambda rows: rows.assign(flag="a")),
}


@pytest.mark.parametrize("edit", SAVED.values(), ids=SAVED)
def test_a_saved_comparison_that_is_none_is_refused(tmp_path, comparison, edit):
    with zipfile.ZipFile(comparison.save(tmp_path / "kept.npz")) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    edit(parts, comparison)
    with zipfile.ZipFile(tmp_path / "kept.npz", "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    refused(lambda: Comparison.load(tmp_path / "kept.npz"), "kept.npz is not a saved comparison")


def test_only_an_older_page_or_result_is_replaced(tmp_path, comparison):
    own = archive(tmp_path / "own.npz", x=NUMBERS)
    (tmp_path / "folder").mkdir()
    before = own.read_bytes()
    for write in (comparison.save, comparison.to_html):
        refused(lambda write=write: write(own), "own.npz holds something else", "so that nothing is lost")
        refused(lambda write=write: write(tmp_path / "folder"), "expected one for")
        refused(lambda write=write: write(""), "expected one for")
        assert write(write(tmp_path / "new")).stat().st_size
        (tmp_path / "new").unlink()
    assert own.read_bytes() == before


@pytest.mark.parametrize("name", ["../precious", "a/../../precious", "/precious", "..\\precious", ""])
def test_a_course_never_removes_a_file_outside_its_folder(tmp_path, name):
    (tmp_path / "course").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / "precious").write_text("mine")
    known = {name: [sha256(tmp_path / "precious")]}
    (tmp_path / "course" / course.MARK).write_text(json.dumps(known))
    refused(lambda: course.put(tmp_path / "new", tmp_path / "course"), "expected paths below the folder")
    assert (tmp_path / "precious").read_text() == "mine"


# ---------------------------------------------------------------- tables of records

TABLES = {
    "NaN": lambda rows: rows.assign(critical_epsilon=np.nan),
    "below 0": lambda rows: rows.assign(critical_epsilon=-1.0),
    "above 1": lambda rows: rows.assign(critical_epsilon=2.0),
    "minus infinity": lambda rows: rows.assign(critical_epsilon=-np.inf),
    "words": lambda rows: rows.assign(critical_epsilon="a"),
    "booleans": lambda rows: rows.assign(critical_epsilon=True),
    "no layer": lambda rows: rows.drop(columns="layer"),
    "rows twice": lambda rows: pd.concat([rows, rows]),
    "rows missing": lambda rows: rows.iloc[::2],
    "no rows": lambda rows: rows.iloc[:0],
    "a number as layer": lambda rows: rows.assign(layer=1),
    "a layer without a name": lambda rows: rows.assign(layer=None),
    "neurons in words": lambda rows: rows.assign(neuron="1"),
    "dead in words": lambda rows: rows.assign(dead="no"),
    "lists in a new column": lambda rows: rows.assign(more=[[1]] * len(rows)),
}


@pytest.mark.parametrize("change", TABLES.values(), ids=TABLES)
def test_a_table_that_no_study_gives_is_refused(comparison, change):
    frames.check_frame("critical", comparison.critical)
    refused(lambda: frames.check_frame("critical", change(comparison.critical)), "expected")


# ---------------------------------------------------------------- YAML and notebooks

BOMB = "- &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"- &a{'b' * k} [{','.join(['*a' + 'b' * (k - 1)] * 10)}]\n" for k in range(1, 10)
)
YAML = {
    "unfolding": BOMB,
    "a circle": "&a [*a]",
    "a key twice": "- title: a\n  title: b\n  text: x\n",
    "a tag": "!!python/object/apply:os.mkdir ['evil']",
    "deep": "[" * 5000,
    "text": "hello",
    "a number as key": "- 3: 1",
    "two documents": "- a\n---\n- b",
    "a date": "- title: 2020-01-01\n  text: x",
    "minutes in words": "- title: a\n  text: x\n  minutes: two",
    "a list as title": "- title: [a]\n  text: x",
    "nothing": "",
}


@pytest.mark.parametrize("text", YAML.values(), ids=YAML)
@pytest.mark.parametrize("read", [grid.read_grid, claims.read_evidence, slides.deck])
def test_a_list_of_pages_claims_or_slides_that_is_none_is_refused(tmp_path, text, read):
    path = tmp_path / "list.yml"
    path.write_text(text)
    refused(lambda: read(path), "list.yml")
    path.unlink()
    os.mkfifo(path)
    refused(lambda: read(path), "list.yml is no file")


SOUND = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
CELL = {"cell_type": "code", "source": "1", "metadata": {}, "outputs": [], "execution_count": None, "id": "a"}
NOTEBOOKS = {
    "no JSON": "{",
    "a list": [],
    "null": None,
    "deep": "[" * 100_000,
    "no cells": {"metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    "cells that are text": SOUND | {"cells": "abc"},
    "cells that are a table": SOUND | {"cells": {}},
    "a cell that is a number": SOUND | {"cells": [1]},
    **{f"a cell without {key}": SOUND | {"cells": [{k: v for k, v in CELL.items() if k != key}]} for key in CELL}
    | {"a cell without id": SOUND | {"cells": 3}},
    "a source that is a number": SOUND | {"cells": [CELL | {"source": 3}]},
    "an unknown kind of cell": SOUND | {"cells": [CELL | {"cell_type": "magic"}]},
    "tags that are text": SOUND | {"cells": [CELL | {"metadata": {"tags": "parameters"}}]},
    "metadata that is a list": SOUND | {"metadata": []},
    "jupytext that is a number": SOUND | {"metadata": {"jupytext": 3}},
    "a source that is a table": SOUND | {"cells": [CELL | {"source": {"a": 1}}]},
    "a format to come": SOUND | {"nbformat": 99},
}
del NOTEBOOKS["a cell without outputs"], NOTEBOOKS["a cell without execution_count"]  # they are not needed


@pytest.mark.parametrize("content", NOTEBOOKS.values(), ids=NOTEBOOKS)
def test_a_notebook_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "mine.ipynb"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    refused(lambda: pairs.pair_notebook(path), "mine.ipynb cannot be read as a notebook")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("lacking", ["id", "nbformat_minor"])
def test_a_notebook_that_lacks_what_can_be_added_is_read(tmp_path, lacking):
    path, cell = tmp_path / "mine.ipynb", {key: value for key, value in CELL.items() if key != "id"}
    path.write_text(json.dumps({key: value for key, value in (SOUND | {"cells": [cell]}).items() if key != lacking}))
    assert len(pairs.pair_notebook(path).cells) == 1
    assert parameters_of(Page("mine", "mine", "Mine", file=path)) == {}


def test_a_notebook_of_an_older_format_without_ids_is_read(tmp_path):
    path = tmp_path / "mine.ipynb"
    older = {key: value for key, value in CELL.items() if key != "id"}
    path.write_text(json.dumps(SOUND | {"cells": [older, older], "nbformat_minor": 2}))
    assert [cell.source for cell in pairs.pair_notebook(path).cells] == ["1", "1"]
    assert nbformat.read(path, as_version=4).nbformat_minor == 2


@pytest.mark.parametrize("source", ["a = (", "a, b = 1, 2, 3", "a, b = 3", "a = " + "(" * 3000 + "1" + ")" * 3000])
def test_parameters_that_cannot_be_read_are_refused(tmp_path, source):
    path = tmp_path / "mine.py"
    path.write_text(f'# %% tags=["parameters"]\n{source}\n')
    refused(lambda: parameters_of(Page("x", "mine", file=path)), "mine.py: its parameters cannot be read")


def test_one_file_for_two_results_is_refused_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    words = ("compare", "--inputs", "nowhere.npz", "--network", "x:y", "--html", "out", "--save", "./out")
    monkeypatch.setattr("sys.argv", ["helpers", *words])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: --html and --save are both out: expected two files\n"
