"""How a signal ends the program: with one line, and with the exit code that shells expect.

This module imports little, and only from the standard library. The command line calls `open_streams` and
`leave_at_once` before it imports the rest, which takes seconds.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last two: when a terminal closes, on Unix and on Windows
ENDING = tuple(signal.Signals[name] for name in NAMES if name in signal.Signals.__members__)


class Stopped(BaseException):
    """A signal asked this process to end. It is no `Exception`, so that no code takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


def open_streams() -> None:
    """Open the null device in place of standard streams that are closed, as `2>&-` and some daemons leave them.

    Otherwise a file that is opened later gets their number, and what is printed is written into that file.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # it gets the lowest free number: this one
        if getattr(sys, name) is None:
            stream = os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)


def leave_at_once() -> None:
    """Let a signal end the process with one line. It is for the time of imports, before anything has begun.

    When Python has begun to clear up, the work is done: a signal then changes no exit code.
    """
    handle(_leave)
    atexit.register(_ignore)  # the first to be registered is called last


def handle(handler: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Let this handler answer the signals that end a program. Returns the handlers that they had.

    SIGHUP stays ignored if it is: `nohup` asks for that, so that a program outlives its terminal.
    """
    before: dict[int, Any] = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        if number.name != "SIGHUP" or before[number] != signal.SIG_IGN:
            signal.signal(number, handler)
    return before


def _leave(number: int, frame: FrameType | None) -> None:
    with suppress(OSError):  # a terminal that has closed
        os.write(2, f"{Stopped(number)}\n".encode())
    os._exit(128 + number)


def _ignore() -> None:
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """A handler that raises `Stopped`, so that open files are removed. A second signal is ignored."""
    _ignore()
    raise Stopped(number)
