"""Closed streams, terminals that have gone, pipes and links in place of files, kernels that end, other encodings."""

import ast
import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn

from helpers import __main__ as command
from helpers import files
from helpers.errors import BadInput
from helpers.networks import devices
from helpers.networks.checkpoints import read_tensors
from helpers.networks.inputs import read_inputs
from helpers.networks.pictures import open_picture
from helpers.pages import pairs, running
from helpers.pages.grid import Page
from helpers.processes import held, stopping_in_order
from helpers.studies.kept_activations import HASHES, read_activations, write_activations
from helpers.studies.results import Comparison, check_page

STREAMS = """
import os, sys
from helpers.signals import open_streams
open_streams()
with open(sys.argv[1], "w") as file:
    print("to nobody"), print("to nobody", file=sys.stderr), sys.stdin.read()
    os.write(1, b"to nobody"), os.write(2, b"to nobody")
    file.write(f"number {file.fileno() > 2}")
"""


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3), nn.ReLU()).eval()


# ---------------------------------------------------------------- streams and signals


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", "<&- >&- 2>&-"])
def test_what_is_printed_to_a_closed_stream_goes_into_no_file(closed, tmp_path):
    words = [sys.executable, "-c", STREAMS, str(tmp_path / "kept")]
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *words], cwd=files.ROOT, input=b"", check=False)
    assert done.returncode == 0
    assert (tmp_path / "kept").read_text() == "number True"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no terminal sends it")
def test_a_closed_terminal_ends_a_program_unless_it_runs_under_nohup():
    before = signal.getsignal(signal.SIGHUP)
    try:
        for handler, is_kept in ((signal.SIG_IGN, True), (signal.SIG_DFL, False)):
            signal.signal(signal.SIGHUP, handler)
            with stopping_in_order():
                assert (signal.getsignal(signal.SIGHUP) == handler) == is_kept
            assert signal.getsignal(signal.SIGHUP) == handler
    finally:
        signal.signal(signal.SIGHUP, before)


def nobody_listens(*_: object, **__: object) -> None:
    raise BrokenPipeError(32, "Broken pipe")


def test_a_line_that_cannot_be_said_changes_no_exit_code(monkeypatch):
    monkeypatch.setattr(command.click, "echo", nobody_listens)
    with pytest.raises(SystemExit) as stopped:
        command.stop("error", 2)
    assert stopped.value.code == 2


def test_a_comparison_is_written_before_it_is_said(tmp_path, monkeypatch):
    np.savez(tmp_path / "in.npz", images=np.random.default_rng(0).normal(size=(96, 3, 2, 2)).astype(np.float32))
    monkeypatch.setattr(command.click, "echo", nobody_listens)
    names = ("--network", f"{__name__}:small", "--network-b", f"{__name__}:small", "--inputs", tmp_path / "in.npz")
    words = ("compare", *names, "--html", tmp_path / "page.html", "--save", tmp_path / "kept.npz")
    monkeypatch.setattr(sys, "argv", ["helpers", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 1
    assert (tmp_path / "page.html").exists()
    assert Comparison.load(tmp_path / "kept.npz").images == 96


def test_of_many_files_that_were_not_copied_the_first_is_named():
    many = shutil.Error([("a", "b/a", "No space left on device"), ("c", "b/c", "No space left on device")])
    assert command.refusal(many) == "No space left on device: b/a"


# ---------------------------------------------------------------- variables


@pytest.mark.parametrize("name", ["gpuu", "cpu:7", "cuda:99", "meta", "cpu:-2", " "])
def test_a_device_that_is_not_there_is_refused_by_name_and_by_variable(name, monkeypatch, capsys):
    monkeypatch.setenv(devices.VARIABLE, name)
    with pytest.raises(BadInput, match="expected one that works here"):
        devices.chosen_device()
    monkeypatch.setattr(sys, "argv", ["helpers", "train", "--network", "vgg8_bn", "--dataset", "digits"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(f"error: device is {name!r}: expected one that works here")


def test_a_variable_names_a_folder_and_knows_the_home(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for variable, default in files.FOLDERS.items():
        monkeypatch.setenv(variable, str(tmp_path / "file"))
        with pytest.raises(BadInput, match=rf"^{variable} is .*file': expected a folder$"):
            files.folder(variable, default)
        monkeypatch.setenv(variable, "~/new")
        assert files.folder(variable, default) == tmp_path / "new"


# ---------------------------------------------------------------- pipes, links and damage


READERS = {
    "hash": files.sha256,
    "picture": lambda path: open_picture(str(path)),
    "comparison": Comparison.load,
    "tensors": read_tensors,
    "inputs": read_inputs,
    "notebook": pairs.pair_notebook,
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_pipe_in_place_of_a_file_is_refused_and_not_waited_for(read, tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    with pytest.raises(BadInput, match=r"pipe\.py is no file: expected"):
        read(tmp_path / "pipe.py")


def linked(link: Path, target: Path) -> Path:
    try:
        link.symlink_to(target)
    except OSError:
        pytest.skip("no rights to make links")
    return link


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "old").touch()
    (tmp_path / "page.html").write_text("old")
    with files.atomic(linked(tmp_path / "link.html", tmp_path / "page.html")) as work:
        work.write_text("new")
    with files.atomic_folder(linked(tmp_path / "link", tmp_path / "real")) as work:
        (work / "new").touch()
    assert (tmp_path / "page.html").read_text() == "new"
    assert [path.name for path in (tmp_path / "real").iterdir()] == ["new"]
    assert {path.name for path in tmp_path.iterdir() if path.is_symlink()} == {"link", "link.html"}
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("target", ["nothing.html", "link.html"])
def test_a_link_that_leads_nowhere_is_no_target(target, tmp_path):
    with pytest.raises(BadInput, match="is a link that leads nowhere"):
        check_page(linked(tmp_path / "link.html", tmp_path / target))


def test_a_folder_that_cannot_be_written_is_noticed_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"file' is no folder: expected one for a page$"):
        check_page(tmp_path / "file" / "more" / "page.html")
    check_page(tmp_path / "new" / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    monkeypatch.setattr(Path, "touch", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
    with pytest.raises(OSError, match=rf"Read-only file system: '{tmp_path}'$"):
        check_page(tmp_path / "new" / "page.html")


@pytest.mark.skipif(sys.platform != "linux", reason="a folder that nobody can write in")
def test_a_lock_that_cannot_be_made_is_not_another_process():
    with pytest.raises(OSError, match="/proc"), held(Path("/proc/course"), "writing"):
        pass


def test_kept_activations_are_those_that_were_written(tmp_path):
    place = tmp_path / "net"
    write_activations(small(), [torch.randn(6, 3, 2, 2)], ["1"], place)
    assert read_activations(place, "1.npy").shape == (6, 1, 3)
    assert sorted(path.name for path in place.iterdir()) == ["1.mean.npy", "1.npy", HASHES]
    content = bytearray((place / "1.npy").read_bytes())
    content[-1] ^= 1
    (place / "1.npy").write_bytes(content)
    with pytest.raises(BadInput, match=r"1\.npy is missing or damaged: delete .*net and run again"):
        read_activations(place, "1.npy")
    (place / HASHES).unlink()
    with pytest.raises(BadInput, match=f"{HASHES} is missing"):
        read_activations(place, "1.mean.npy")


# ---------------------------------------------------------------- notebooks


def test_a_notebook_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(pairs, "LARGEST_NOTEBOOK", 10)
    (tmp_path / "large.py").write_text("# %%\n1 + 1\n")
    with pytest.raises(BadInput, match=r"large\.py has 11 bytes: expected at most 10"):
        pairs.pair_notebook(tmp_path / "large.py")


@pytest.mark.parametrize("error", [RuntimeError("Kernel died"), RuntimeError("")])
def test_a_kernel_that_ends_by_itself_is_one_line(error, tmp_path, monkeypatch):
    def ends(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "mine.py").write_text("# %%\n1\n")
    monkeypatch.setattr(running.papermill, "execute_notebook", ends)
    page = Page("mine-own", "mine", file=tmp_path / "mine.py")
    with pytest.raises(BadInput, match=r"^mine\.py \(page mine-own\) failed: its Python process ended \(\w[^\n]*\);"):
        running.run_page(page, place=tmp_path / "page.ipynb")


# ---------------------------------------------------------------- encodings


def without_encoding(path: Path) -> list[str]:
    """Places where text is read or written in the encoding of whatever machine it is."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            taken = len(node.args) - (node.func.attr == "write_text")
            if node.func.attr in ("read_text", "write_text") and taken < 1 and not keyword(node, "encoding"):
                found.append(f"{path.name}:{node.lineno}")
    return found


def keyword(call: ast.Call, name: str) -> bool:
    return any(given.arg == name for given in call.keywords)


def test_text_has_the_same_encoding_on_every_machine():
    paths = [path for folder in ("helpers", "benchmarks", "book") for path in (files.ROOT / folder).rglob("*.py")]
    assert len(paths) > 100
    assert [place for path in paths for place in without_encoding(path)] == []
