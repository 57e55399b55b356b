"""How a signal ends the program: with one line, and with the exit code that shells expect.

This module imports little, and only from the standard library. The command line calls `leave_at_once` before it
imports the rest, which takes seconds.
"""

import os
import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked this process to end. It is no `Exception`, so that no code takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


def leave_at_once() -> None:
    """Let a signal end the process with one line. It is for the time of imports, before anything has begun."""
    for number in ENDING:
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{Stopped(number)}\n".encode())
    os._exit(128 + number)


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """A handler that raises `Stopped`, so that open files are removed. A second signal is ignored."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Stopped(number)
