"""Folders as people have them: long, with spaces and signs of all languages, read-only, on a full disk."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from helpers import __main__ as command
from helpers.networks import training
from helpers.pages import places
from helpers.pages.teaching import course
from helpers.studies import records
from helpers.studies.results import Comparison

PLACES = {
    "spaces": "a folder  with spaces ",
    "umlauts": "Übung für Änne ß",
    "composed in two ways": "e\u0301 é",
    "other letters": "神経回路 нейрон شبكة",
    "signs": "100% [a] {b} $HOME 'q' \"r\" #1 & ~;",
    "long": "/".join(["long " * 20] * 3),  # more than 200 characters, more than a socket's path may have
}
SMALL = ("--network", "vgg8_bn", "--dataset", "digits", "--width", "0.0625", "--recipe", "digits", "--epochs", "1")
RECORD = ("record", *SMALL, "--images", "96", "--layers", "relu1_1")
BARS = ("one pass", "matching layers", "vgg8_bn")  # of progress, which are rewritten in place
FILLING = "filling"
NOTEBOOK = "# %% [markdown]\n# # Mine\n\n# %%\nfrom pathlib import Path\nprint('IN', Path.cwd().name)\n"


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, 6), nn.ReLU()).eval()


def first() -> nn.Module:
    return network(0)


def second() -> nn.Module:
    return network(1)


@pytest.fixture(params=PLACES.values(), ids=PLACES)
def place(request, tmp_path) -> Path:
    found = tmp_path / request.param
    found.mkdir(parents=True)
    return found


@pytest.fixture
def inputs(tmp_path) -> Path:
    path = tmp_path / "inputs.npz"
    np.savez(path, images=np.random.default_rng(0).normal(size=(96, 3, 4, 4)).astype(np.float32))
    return path


def called(*words: object) -> list[str]:
    """The lines that a command prints when it ends well."""
    done = CliRunner().invoke(command.cli, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def compared(*words: object) -> list[str]:
    names = [f"{__name__}:{function.__name__}" for function in (first, second)]
    return called("compare", "--network", names[0], "--network-b", names[1], *words)


def keep_in(folder: Path, monkeypatch, *names: str) -> None:
    for name in names:
        monkeypatch.setenv(f"SAMEREP_{name.upper()}", str(folder / name))


def test_training_and_recording_go_anywhere(few_digits, place, monkeypatch):
    keep_in(place, monkeypatch, "runs", "results", "cache")
    said = called(*RECORD)
    assert Path(said[-1]).parent == place / "results"
    tables, _ = records.read_tables(Path(said[-1]))
    assert tables["critical"]["layer"].unique().tolist() == ["relu1_1"]
    assert records.all_records() == [Path(said[-1])]
    assert training.is_trained(training.plan("vgg8_bn", "digits", 0.0625, 1, "digits", 1))


def test_a_comparison_is_read_from_and_written_to_anywhere(place, inputs):
    moved = inputs.rename(place / inputs.name)
    said = compared("--inputs", moved, "--html", place / "page.html", "--save", place / "kept.npz")
    assert [Path(line) for line in said[-2:]] == [place / "page.html", place / "kept.npz"]
    assert Comparison.load(place / "kept.npz").images == 96
    assert "</html>" in (place / "page.html").read_text()


def test_a_course_goes_anywhere(place, monkeypatch):
    monkeypatch.setattr(course, "COURSE", ("worked_example",))
    called("course", place / "course")
    assert nbformat.read(place / "course" / "student" / "worked_example.ipynb", as_version=4).cells
    assert not [path for path in place.rglob(".*") if path.name != course.MARK]


@pytest.mark.slow
def test_a_notebook_runs_anywhere_whatever_the_temporary_folder(place, monkeypatch):
    (place / "mine.py").write_text(NOTEBOOK)
    monkeypatch.setattr(places, "PAGES", place / "pages")
    monkeypatch.setattr(tempfile, "tempdir", None)
    (place / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(place / "temporary"))
    page = nbformat.read(called("run", place / "mine.py")[-1], as_version=4)
    printed = [output["text"] for cell in page.cells for output in cell.get("outputs", []) if "text" in output]
    assert printed[0] == f"IN {place.name}\n"
    assert list((place / "temporary").iterdir()) == []


# ---------------------------------------------------------------- where nothing can be written


def mounted(options: str, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("only root can make a small disk")


@pytest.fixture
def full(tmp_path):
    """A disk on which 4 KiB are free."""
    mounted("size=16k", tmp_path / "full")
    (tmp_path / "full" / FILLING).write_bytes(bytes(12 * 2**10))
    yield tmp_path / "full"
    subprocess.run(["umount", tmp_path / "full"], check=True)


@pytest.fixture
def read_only(tmp_path):
    mounted("ro,size=16k", tmp_path / "fixed")
    yield tmp_path / "fixed"
    subprocess.run(["umount", tmp_path / "fixed"], check=True)


def refused(capsys, monkeypatch, *words: object) -> str:
    """The one line with which a command ends that cannot write; the code is 1."""
    monkeypatch.setattr(sys, "argv", ["helpers", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    said = [line for line in capsys.readouterr().err.splitlines() if line and not line.startswith(BARS)]
    assert stopped.value.code == 1
    assert len(said) == 1, said
    return said[0]


def commands(folder: Path, inputs: Path) -> dict[str, tuple[object, ...]]:
    small = ("--network", f"{__name__}:first", "--network-b", f"{__name__}:second", "--inputs", inputs)
    return {
        "train": ("train", *SMALL, "--seeds", "0"),
        "record": RECORD,
        "compare --html": ("compare", *small, "--html", folder / "page.html"),
        "compare --save": ("compare", *small, "--save", folder / "kept.npz"),
        "course": ("course", folder / "course"),
        "run": ("run", inputs.with_name("mine.py")),
    }


@pytest.mark.parametrize("name", ["train", "record", "compare --html", "compare --save", "course"])
@pytest.mark.parametrize("why", ["full", "read_only"])
def test_what_cannot_be_written_is_one_line_and_nothing_is_left(
    few_digits, name, why, inputs, monkeypatch, capsys, request
):
    folder = request.getfixturevalue(why)
    keep_in(folder, monkeypatch, "cache", *(["runs"] if name == "train" else ["results"]))
    said = refused(capsys, monkeypatch, *commands(folder, inputs)[name])
    reason = {"full": "No space left on device", "read_only": "Read-only file system"}[why]
    assert said.startswith("error: ")
    assert reason in said or "os error" in said
    assert {path.name for path in folder.rglob("*") if path.is_file()} <= {FILLING}


def test_a_page_that_cannot_be_written_is_one_line(full, inputs, monkeypatch, capsys):
    inputs.with_name("mine.py").write_text(NOTEBOOK + "print('x' * 100_000)\n")
    monkeypatch.setattr(places, "PAGES", full)
    assert "No space left on device" in refused(capsys, monkeypatch, *commands(full, inputs)["run"])
    assert [path.name for path in full.iterdir()] == [FILLING]


def test_read_only_records_and_checkpoints_are_enough_to_read(few_digits, tmp_path, monkeypatch):
    keep_in(tmp_path, monkeypatch, "runs", "results", "cache")
    said = called(*RECORD)
    subprocess.run(["mount", "--bind", tmp_path, tmp_path], capture_output=True, check=False)
    subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path], capture_output=True, check=False)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("only root can make a folder read-only for root")
    try:
        assert records.all_records() == [Path(said[-1])]
        assert called("train", *SMALL, "--seeds", "0,1")[-1].endswith("epoch-001.safetensors")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
