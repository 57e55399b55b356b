"""Files and folders are whole or absent, whenever a writer is killed; what it left is swept."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers import files
from helpers.errors import BadInput
from helpers.processes import held

ROOT = files.ROOT
WRITER = """
import os, signal, sys
from pathlib import Path
from helpers.files import atomic_folder
place, point = Path(sys.argv[1]), int(sys.argv[2])
seen = 0
def audit(event, args):
    global seen
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "open") and str(place.parent) in str(args[0]) or (
        event in ("os.remove", "os.rmdir", "os.rename") and len(args) > 1):
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(audit)
with atomic_folder(place) as work:
    for name in "ab":
        (work / name).write_text("new")
print(seen)
"""


def write(place, point: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", "-c", WRITER, str(place), str(point)]
    paths = os.pathsep.join([str(ROOT), *sys.path])
    environment = os.environ | {"PYTHONPATH": paths}
    return subprocess.run(
        command, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
    )


def test_a_folder_is_old_or_new_wherever_its_writer_is_killed(tmp_path):
    place = tmp_path / "record"
    points, ends = 0, set()
    while True:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        for name in "abc":
            (place / name).write_text("old")
        points += 1
        done = write(place, points)
        files.sweep(tmp_path)
        content = {path.name: path.read_text() for path in place.iterdir()}
        assert content in ({"a": "old", "b": "old", "c": "old"}, {"a": "new", "b": "new"})
        assert list(tmp_path.iterdir()) == [place]
        ends.add(content["a"])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert points > 6
    assert ends == {"old", "new"}


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path):
    place = tmp_path / "record"
    place.mkdir()
    (place / "a").write_text("old")

    def fail():
        with files.atomic_folder(place) as work:
            (work / "a").write_text("new")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert (place / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [place]


def test_only_what_dead_processes_of_this_machine_left_is_swept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    mine = files.scratch_name(tmp_path / "mine", "new")
    gone = mine.with_name(mine.name.replace(f".{os.getpid()}-", f".{dead.pid}-"))
    again = mine.with_name(mine.name.replace(f"-{files._start(os.getpid())}-", "-1-"))  # the number came again
    elsewhere = gone.with_name(gone.name.replace(files._host(), "0" * 6))
    lock, held_lock, other = tmp_path / ".a.lock", tmp_path / ".b.lock", tmp_path / ".hidden"
    for path in (mine, gone, again, elsewhere, other):
        path.touch()
    lock.write_text(str(dead.pid))
    held_lock.write_text(str(os.getpid()))
    files.sweep(tmp_path, tmp_path / "nowhere")
    assert set(tmp_path.iterdir()) == {mine, elsewhere, held_lock, other}


SWEEPER = """
import sys
from pathlib import Path
from psutil import _pslinux
now = _pslinux.boot_time()
_pslinux.boot_time = lambda: now + 3600
from helpers.files import sweep
print(sweep(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the time of the boot is part of psutil's answer on Linux only")
def test_a_clock_that_is_set_makes_no_living_process_look_dead(tmp_path):
    mine = files.scratch_name(tmp_path / "mine", "new")
    mine.touch()
    command = [sys.executable, "-c", SWEEPER, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
    assert mine.exists()


def from_another_disk(monkeypatch, number):
    """Renames to another folder fail with this error, as where that is a mount point."""
    real = os.replace

    def replace(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(number, os.strerror(number), str(source), None, str(target))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_a_file_is_moved_to_another_disk_whole(tmp_path, monkeypatch):
    from_another_disk(monkeypatch, errno.EXDEV)
    source, target = tmp_path / "work" / "a", tmp_path / "disk" / "a"
    for path, text in ((source, "new"), (target, "old")):
        path.parent.mkdir()
        path.write_text(text)
    files.move(source, target)
    assert (target.read_text(), list(source.parent.iterdir()), len(list(target.parent.iterdir()))) == ("new", [], 1)
    from_another_disk(monkeypatch, errno.EACCES)
    source.touch()
    with pytest.raises(PermissionError):
        files.move(source, target)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV])
def test_a_folder_that_cannot_be_replaced_is_told_and_stays(tmp_path, monkeypatch, number):
    place = tmp_path / "html"
    place.mkdir()
    (place / "page").touch()
    real = Path.rename

    def rename(self, target):
        if self == place:
            raise OSError(number, os.strerror(number), str(self), None, str(target))
        return real(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with (
        pytest.raises(BadInput, match="html cannot be replaced, as it is a mount point") as told,
        files.atomic_folder(place),
    ):
        pass
    assert "\n" not in str(told.value)
    assert ([path.name for path in tmp_path.iterdir()], (place / "page").exists()) == (["html"], True)


def test_a_write_removes_what_a_killed_write_of_the_same_file_left(tmp_path):
    mine = files.scratch_name(tmp_path / "kept.npz", "new")
    dead = mine.with_name(mine.name.replace(f".{os.getpid()}-{files._start(os.getpid())}-", f".{os.getpid()}-1-"))
    other = dead.with_name(dead.name.replace("kept.npz", "other.npz"))
    for path in (mine, dead, other):
        path.write_text("half")
    with files.atomic(tmp_path / "kept.npz") as temporary:
        assert temporary == mine
        temporary.write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, "kept.npz"])
    assert (tmp_path / "kept.npz").read_text() == "whole"


def test_a_link_is_swept_and_not_what_it_leads_to(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "a").touch()
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    name = files.scratch_name(tmp_path / "x", "new").name.replace(f".{os.getpid()}-", f".{dead.pid}-")
    (tmp_path / name).symlink_to(precious)
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.rglob("*")] == ["precious", "a"]


HOLDER = """
import sys
from pathlib import Path
from helpers.processes import held
with held(Path(sys.argv[1]), "busy in"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["kill", "ends"])
def test_a_lock_names_its_owner_and_goes_with_it(tmp_path, end, capsys):
    place = tmp_path / "place"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    owner = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], **pipes)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(BadInput, match=rf"^process {owner.pid} is busy in {place}: expected it to end first$"):
        held(place, "busy in").__enter__()
    if end == "kill":
        owner.kill()
        owner.wait()
    else:
        assert owner.stdin is not None
        owner.stdin.close()
        owner.wait()
        assert not list(tmp_path.iterdir())
    with held(place, "busy in", wait=True):
        assert [path.name for path in tmp_path.iterdir()] == [".place.lock"]
    assert not list(tmp_path.iterdir())


def test_no_one_waits_for_a_lock_of_its_own(tmp_path):
    with held(tmp_path / "place", "busy in"), pytest.raises(BadInput, match=r"this process is busy in .*place already"):
        held(tmp_path / "place", "busy in", wait=True).__enter__()
    with held(tmp_path / "place", "busy in"):
        pass
