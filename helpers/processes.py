"""Child processes that end with their parent, checks of memory, and locks that keep processes apart."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from .errors import BadInput
from .signals import handle, raise_stopped

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None  # opened here: a child before its program cannot
SET_PARENT_DEATH_SIGNAL = 1  # Linux: PR_SET_PDEATHSIG
OWN = threading.local()  # the locks that this thread holds
PATIENCE = 3  # seconds that a child has to end by itself


# ---------------------------------------------------------------- children


@contextmanager
def stopping_in_order() -> Iterator[None]:
    """While open, a signal raises `Stopped` in the main thread, so that unfinished files are removed.

    On leaving, for any reason, the processes that were started meanwhile are ended.
    """
    children = psutil.Process().children(recursive=True)
    before = handle(raise_stopped)
    try:
        yield
    finally:
        end_children(but=children)
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent(parent: int) -> None:
    """Called in a child of the process `parent`: the child ends when the parent does, for any reason.

    On Linux the kernel sends the signal. Elsewhere a thread waits for the parent.
    """
    if LIBC is not None:
        LIBC.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:  # it had ended before
            os._exit(1)
        return
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    with suppress(psutil.NoSuchProcess):
        psutil.Process(parent).wait()
    os._exit(1)


def ending_with_us() -> dict[str, Any]:
    """Options of `subprocess.Popen` for a child that ends with this process.

    They are empty where the child itself must call `end_with_parent`.
    """
    return {} if LIBC is None else {"preexec_fn": partial(end_with_parent, os.getpid())}


def run_child(command: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its output. It ends with this process."""
    output = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    return subprocess.run(command, check=False, **output, **ending_with_us(), **options)  # type: ignore[call-overload]


def end_children(but: Sequence[psutil.Process] = ()) -> None:
    """End every other process that this one started, and their children: first by a request, then by force."""
    children = [child for child in psutil.Process().children(recursive=True) if child not in but]
    for child in children:
        with suppress(psutil.Error):
            child.terminate()
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    for child in alive:
        with suppress(psutil.Error):
            child.kill()
    psutil.wait_procs(alive, timeout=PATIENCE)


# ---------------------------------------------------------------- memory


def check_memory(needed: float, advice: str) -> None:
    """Raise `BadInput` if the next step needs more bytes than this machine has free. `advice` says what helps."""
    free = psutil.virtual_memory().available
    if needed > free:
        what = f"about {needed / 2**30:.0f} GiB of memory are needed and {free / 2**30:.0f} GiB are free"
        raise BadInput(f"{what}: expected less; {advice}")


def peak_memory() -> float:
    """The most memory that this process has held so far, in GiB."""
    known = psutil.Process().memory_info()
    if hasattr(known, "peak_wset"):  # Windows, which has no module resource
        return known.peak_wset / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


# ---------------------------------------------------------------- locks


@contextmanager
def held(place: Path, doing: str, wait: bool = False) -> Iterator[None]:
    """While open, no other process works on `place`. The lock ends with this process, for any reason.

    A second process waits for its turn, or is refused; one line says which process holds the lock. `doing` completes
    the phrase "process 12 is …". Raises `BadInput` if the lock is refused, or if this process would wait for itself.
    Raises OSError if nothing can be written.
    """
    path = place.with_name(f".{place.name}.lock")
    if path in (own := vars(OWN).setdefault("locks", set())):
        raise BadInput(f"this process is {doing} {place} already: expected it to end first")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not path.exists():  # it could not be made, or its owner has just ended
            path.touch()
        line = f"{_owner(path)} is {doing} {place}"
        if not wait:
            raise BadInput(f"{line}: expected it to end first") from None
        if not os.environ.get("SAMEREP_PAGE"):  # on a page of the book it would stand among the results
            print(f"{line}: waiting for it", file=sys.stderr)
        lock.acquire()
    try:
        own.add(path)
        path.write_text(f"{os.getpid()}", encoding="utf-8")
        yield
    finally:
        own.discard(path)
        with suppress(OSError):  # while it is still held: who waits for it notices, and takes a new one
            path.unlink()
        lock.release()


def _owner(path: Path) -> str:
    """The process that holds a lock, if its file names one."""
    try:
        return f"process {int(path.read_text(encoding='utf-8'))}"
    except (OSError, ValueError):
        return "another process"
