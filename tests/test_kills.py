"""Killed at random moments, again and again: every command ends as without the kills, and leaves nothing behind.

`SAMEREP_KILLS` says how many kills each command gets.
"""

import hashlib
import json
import os
import random
import re
import shutil
import signal
import threading
from contextlib import suppress
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest
import torch
from torch import nn
from tqdm import tqdm

from helpers import compare, studies
from helpers.files import LEFT, ROOT, sha256
from helpers.networks import training
from helpers.pages import grid, places, publish, running
from helpers.studies import records, store
from helpers.studies.results import Comparison
from helpers.studies.study import Study

KILLS = int(os.environ.get("SAMEREP_KILLS", "3"))
LONGEST = {"train": 1.5, "record": 3.0, "compared": 1.0, "page": 6.0, "book": 30.0}  # seconds until a kill
SHARE = {"book": 5}  # of the kills: a build takes long
TAG = "SAMEREP_KILLED"  # in the environment of all that this test starts
STUDY = Study(network="vgg8_bn", width=0.0625, epochs=2)
PAGES = [{"notebook": "tiny", "page": name, "title": name} for name in ("first", "second")]
LEAVE_OUT = shutil.ignore_patterns("__pycache__")
NETWORKS = [nn.Sequential(nn.Flatten(), nn.Linear(48, 60), nn.ReLU()).eval() for _ in range(2)]
INPUTS = torch.randn(4000, 3, 4, 4, generator=torch.Generator().manual_seed(0))
NOTEBOOK = "# %%\nimport os\ntotal = sum(range(10))\ntotal, os.getpid()\n"


def train(root: Path) -> str:
    return sha256(training.train(training.plan("vgg8_bn", "digits", 0.0625, 0, "digits", 3), progress=False))


def record(root: Path) -> str:
    tables, _ = records.read_tables(store.record(studies.SEEDS, STUDY, progress=False))
    values = [tables["critical"]["critical_epsilon"].to_numpy(), tables["layers"]["effective_rank"].to_numpy()]
    return hashlib.sha256(np.concatenate(values).tobytes()).hexdigest()


def page(root: Path) -> str:
    (root / "notebooks").mkdir(exist_ok=True)
    (root / "notebooks" / "tiny.py").write_text(NOTEBOOK)
    (root / "requirements.lock").touch()
    places.NOTEBOOKS, places.PAGES, places.ROOT = root / "notebooks", root / "pages", root
    path = running.run_page(grid.Page("tiny", "tiny", "Tiny"))
    return nbformat.read(path, as_version=4).cells[0].outputs[0]["data"]["text/plain"].partition(",")[0]


def compared(root: Path) -> str:
    comparison = compare(*NETWORKS, INPUTS, progress=False)
    comparison.to_html(root / "page.html")
    comparison.save(root / "kept.npz")
    kept = Comparison.load(root / "kept.npz").tables["critical"]["critical_epsilon"]
    return hashlib.sha256(kept.to_numpy().tobytes()).hexdigest()


def book(root: Path) -> str:
    for name in ("helpers", "book", "_config.yml", "pyproject.toml", "requirements.lock"):
        copied(ROOT / name, root / name)
    (root / "book" / "grid.yml").write_text(json.dumps([{"caption": "All", "pages": PAGES}]))
    (root / "notebooks").mkdir(exist_ok=True)
    (root / "notebooks" / "tiny.py").write_text("# %% [markdown]\n# # {{title}}\n\n" + NOTEBOOK)
    for name in ("book", "notebooks"):
        setattr(places, name.upper(), root / name)
    places.ROOT, places.BUILD, places.PAGES = root, root / "_build", root / "book" / "pages"
    grid.read_grid.__defaults__ = (root / "book" / "grid.yml",)
    running.KERNEL["PYTHONPATH"] = str(root)
    publish.build_book("published", 2)
    text = (root / "_build" / "html" / "book" / "pages" / "second.html").read_text()
    return re.sub(r"\(45, \d+\)|<td>\d+ s</td>", "", text.replace(str(root), ""))  # without process and seconds


def copied(source: Path, target: Path) -> None:
    if not target.exists():
        part = target.with_name(f"{target.name}-in-part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(source, part, ignore=LEAVE_OUT) if source.is_dir() else shutil.copy(source, part)
        part.rename(target)


STARTED: set[int] = set()  # processes of this test: others may run on this machine at the same time


def started(command, root: Path) -> int:
    """The command in a process of its own that has everything imported; the result lies in `result`."""
    pid = os.fork()
    if pid:
        STARTED.add(pid)
        return pid
    code = 1
    try:
        torch.set_num_threads(1)
        tqdm.set_lock(threading.RLock())  # its own: else a kill while it is held would stop all bars of this test
        os.environ[TAG] = str(os.getppid())
        os.environ.update({f"SAMEREP_{name.upper()}": str(root / name) for name in ("runs", "results", "cache")})
        result = command(root)
        (root / "result").write_text(result)
        code = 0
    finally:
        os._exit(code)


def ended(pid: int, seconds: float | None) -> int:
    """The exit status of a process, which is killed when the time is over."""
    timer = threading.Timer(seconds, os.kill, (pid, signal.SIGKILL)) if seconds is not None else None
    if timer:
        timer.start()
    status = os.waitpid(pid, 0)[1]
    if timer:
        timer.cancel()
    return status


def ours() -> list[psutil.Process]:
    """The processes that still run of all that this test started, and that these started."""

    def tag(process: psutil.Process) -> str | None:
        with suppress(psutil.Error):
            return process.environ().get(TAG)
        return None

    return [process for process in psutil.process_iter() if tag(process) == str(os.getpid())]


def left_over(root: Path) -> list[Path]:
    """Temporary files and locks of the processes of this test."""
    names = [(path, LEFT.fullmatch(path.name)) for path in (*root.rglob(".*"), *Path("/tmp").iterdir())]
    temporary = [path for path, match in names if match and int(match["pid"]) in STARTED]
    return temporary + list(root.rglob(".*.lock"))


def dies_with_the_lock_of_all_bars(root: Path) -> str:
    tqdm.get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)
    return "not reached"


@pytest.mark.slow
def test_a_kill_in_the_moment_when_a_bar_is_drawn_stops_no_other_bar(tmp_path):
    assert list(tqdm([1], disable=True)) == [1]  # the lock is there before the fork, and processes share it
    assert ended(started(dies_with_the_lock_of_all_bars, tmp_path), None) == signal.SIGKILL
    bar = threading.Thread(target=list, args=(map(tqdm, [range(2)]),), daemon=True)
    bar.start()
    bar.join(30)
    assert not bar.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("command", [train, record, compared, page, book], ids=lambda command: command.__name__)
def test_a_command_killed_at_random_ends_as_without_the_kills(command, tmp_path):
    gold, root = tmp_path / "gold", tmp_path / "killed"
    for folder in (gold, root):
        folder.mkdir()
    assert ended(started(command, gold), None) == 0
    draw, killed = random.Random(0), 0
    while killed < max(1, KILLS // SHARE.get(command.__name__, 1)):
        if ended(started(command, root), draw.uniform(0.02, LONGEST[command.__name__])) != 0:
            killed += 1
            continue
        assert (root / "result").read_text() == (gold / "result").read_text()
        assert not left_over(root)
        shutil.rmtree(root)  # it was done before its time was over: from the start again
        root.mkdir()
    assert ended(started(command, root), None) == 0
    assert (root / "result").read_text() == (gold / "result").read_text()
    orphans = ours()
    psutil.wait_procs(orphans, timeout=10)
    assert not [process for process in orphans if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert not left_over(root)
    print(f"{command.__name__}: killed {killed} times, no orphan, nothing left")
