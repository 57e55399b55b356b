"""Write files and folders whole or not at all, hash them, and find the working folders.

A new file has a temporary name until it is complete. The name says which process made it. If that process was killed,
the next start removes the file (`sweep`). All temporary names begin with a dot, and nothing else reads such files.
"""

import errno
import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from .errors import BadInput, shown

IN_CLONE = (__package__ or "") == "helpers"  # the installed library is called samerep
ROOT = Path(__file__).resolve().parent.parent if IN_CLONE else Path.cwd()  # never a folder of installed packages
LOCK = re.compile(r"\..+\.lock")
LEFT = re.compile(r"\.(?P<pid>\d+)-(?P<start>[0-9a-f]+)-(?P<host>[0-9a-f]{6})\.(?P<kind>new|old)\.(?P<name>.+)")

FOLDERS = {  # environment variables, and the folder below ROOT that is used if one is not set
    "SAMEREP_DATA": "data",
    "SAMEREP_RUNS": "runs",
    "SAMEREP_CACHE": "cache",
    "SAMEREP_RESULTS": "results",
}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`. On success it is moved to `path`; after an error it is removed.

    A link stays, and the file that it leads to is replaced. What killed processes left of earlier writes is removed.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep_beside(path)
    temporary = scratch_name(path, "new")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(place: Path) -> Iterator[Path]:
    """Yield a new folder beside `place`. On success it replaces `place`; after an error it is removed.

    If the process is killed at any moment, the next `sweep` leaves either the old folder or the new one, whole.
    """
    place = Path(os.path.realpath(place))  # a link stays, and the folder that it leads to is replaced
    old = scratch_name(place, "old")
    with scratch_folder(place) as work:
        try:
            yield work
            if place.exists():
                _rename(place, old)
            work.rename(place)
        finally:
            if old.exists() and not place.exists():
                old.rename(place)
            shutil.rmtree(old, ignore_errors=True)


def _rename(place: Path, old: Path) -> None:
    """Move a folder aside. Raises `BadInput` for a mount point, and for a folder of a container's image."""
    try:
        place.rename(old)
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EXDEV):
            raise
        what = f"{place} cannot be replaced, as it is a mount point or part of an image ({error.strerror})"
        raise BadInput(f"{what}: expected a plain folder; mount the folder above it, or delete it") from None


def move(source: Path, target: Path) -> None:
    """Replace a file by another one, also by one on another disk."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with atomic(target) as temporary:
            shutil.copy(source, temporary)
        source.unlink()


@contextmanager
def scratch_folder(place: Path) -> Iterator[Path]:
    """Yield a new folder beside `place`, which is removed at the end."""
    place.parent.mkdir(parents=True, exist_ok=True)
    work = scratch_name(place, "new")
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_target(path: Path, what: str, is_one: Callable[[bytes], bool]) -> None:
    """Raise `BadInput` unless a file can be written to this path without the loss of another kind of file.

    An existing file is replaced only if it is empty or `is_one` takes its first bytes: `what` is written there. Raises
    OSError if the folder of a new file cannot be written.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise BadInput(f"{shown(str(path))} is no name of a file: expected one for {what}")
    if path.is_symlink() and not path.exists():
        raise BadInput(f"{shown(str(path))} is a link that leads nowhere: expected the name of a file for {what}")
    if not path.exists():
        _check_folder(path.absolute().parent, what)
        return
    with path.open("rb") as file:
        start = file.read(100)
    if start and not is_one(start):
        raise BadInput(f"{path} holds something else than {what}: expected another name, so that nothing is lost")


def _check_folder(folder: Path, what: str) -> None:
    """Make a file in this folder, or in the nearest one that is there, and remove it.

    Raises `BadInput` if that is no folder, and OSError if nothing can be written.
    """
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise BadInput(f"{shown(str(there))} is no folder: expected one for {what}")
    trial = scratch_name(there / "trial", "new")
    try:
        trial.touch()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(there)) from error  # of the folder, not of a hidden file in it
    trial.unlink()


def scratch_name(path: Path, kind: str) -> Path:
    """A hidden name beside `path` that says which process on which machine made it."""
    pid = os.getpid()
    return path.with_name(f".{pid}-{_start(pid)}-{_host()}.{kind}.{path.name}")


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _start(pid: int) -> str | None:
    """When a process began, in hundredths of a second, hexadecimal; None if it has ended.

    It is needed because numbers of processes are used again. It is "0" if psutil is not installed, as with the core of
    the library alone. Then nothing is swept.
    """
    try:
        import psutil
    except ModuleNotFoundError:
        return "0"
    try:
        began = psutil.Process(pid).create_time()
    except psutil.Error:
        return None
    if psutil.LINUX:  # psutil adds the time of the boot, which moves when the clock is set
        began -= psutil.boot_time()
    return f"{round(began * 100):x}"


def sweep(*folders: Path) -> list[Path]:
    """Remove from these folders what dead processes of this machine left there. Returns what was found.

    A folder that was moved aside is moved back if the folder that should replace it does not exist.
    """
    left = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if _is_left(path)]
    for path in sorted(left, key=lambda path: path.name):  # remove new ones first, then move old ones back
        with suppress(OSError):  # another process may sweep as well, and some folders can only be read
            _put_away(path)
    return left


def _sweep_beside(path: Path) -> None:
    for left in path.parent.iterdir():
        match = LEFT.fullmatch(left.name)
        if match and match["name"] == path.name and _is_left(left):
            with suppress(OSError):  # a folder that can only be read is told by the write that follows
                _put_away(left)


def _is_stale(lock: Path) -> bool:
    """Whether the process that a lock names has ended. Its lock ended with it, and only the file is left."""
    pid = lock.read_text(errors="replace", encoding="utf-8").strip()
    return pid.isascii() and pid.isdigit() and _start(int(pid)) is None


def _put_away(path: Path) -> None:
    match = LEFT.fullmatch(path.name)
    if match and match["kind"] == "old" and not path.with_name(match["name"]).exists():
        path.rename(path.with_name(match["name"]))
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_left(path: Path) -> bool:
    """Whether a file or folder is temporary and its process has ended."""
    match = LEFT.fullmatch(path.name)
    if LOCK.fullmatch(path.name):
        return _is_stale(path)
    if not match or match["host"] != _host():
        return False
    return _start(int(match["pid"])) not in (match["start"], "0")


def check_regular(path: Path, what: str = "a file") -> None:
    """Raise `BadInput` for what is there and no file. A pipe or a device would be read for ever."""
    if path.exists() and not path.is_file():
        raise BadInput(f"{path} is no file: expected {what}")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks so that its size does not matter."""
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder(variable: str, default: str) -> Path:
    """A working folder: the environment variable if it is set, else `default` under the clone's root.

    The installed library uses the folder where Python was started instead of the clone's root. `~` is the home folder,
    also where no shell has replaced it. Raises `BadInput` if the variable names a file.
    """
    place = Path(os.path.expanduser(os.environ.get(variable) or ROOT / default))
    if place.exists() and not place.is_dir():
        raise BadInput(f"{variable} is {shown(str(place))}: expected a folder")
    return place


def commit() -> str:
    """The commit of the repository, with "+" if files differ from it; "unknown" outside a clone."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
        options: dict[str, Any] = {"cwd": ROOT, "capture_output": True, "encoding": "utf-8", "errors": "replace"}
        return str(subprocess.run(command, check=True, **options).stdout).strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
