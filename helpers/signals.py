"""How a signal ends the program: one line, and the exit code that shells expect.

Imports nothing outside the standard library, and little of that: the command line calls `leave_at_once` before it
imports the rest, which takes seconds.
"""

import os
import signal
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asked this process to end; not an `Exception`, so that nothing on the way takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.code = 128 + number


def leave_at_once() -> None:
    """A signal ends the process with one line. For the time of imports, before anything has begun."""
    for number in ENDING:
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{Stopped(number)}\n".encode())
    os._exit(128 + number)


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """A handler that lets what is open be put away; a second signal must not break that."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    raise Stopped(number)
