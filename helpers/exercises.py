"""Checks of the code exercises: a right answer prints a tick, a wrong one a hint, never a traceback."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from helpers.errors import BadInput, unknown

Check = Callable[[Any], None]
CHECKS: dict[str, Check] = {}


class Hint(Exception):
    """What is wrong with an answer and where to look: one clear sentence, shown to the reader."""


def checks(label: str) -> Callable[[Check], Check]:
    """Register a check for the exercise `label`: it takes the answer and raises `Hint` if that is wrong."""
    if label in CHECKS:
        raise BadInput(f"exercise '{label}' has two checks: expected one")

    def register(function: Check) -> Check:
        CHECKS[label] = function
        return function

    return register


def check(label: str, answer: object) -> bool:
    """Print "✓" and the label, or a hint; True if the answer is right. An unknown label is `BadInput`."""
    hint = hint_for(label, answer)
    print(f"✓ {label}: right" if hint is None else f"✗ {label}: {hint}")
    return hint is None


def hint_for(label: str, answer: object) -> str | None:
    """The hint for a wrong answer, None for a right one; an error inside the reader's code is a hint too."""
    if label not in CHECKS:
        raise unknown("exercise", label, sorted(CHECKS))
    if answer is ...:
        return "replace the ... by your answer"
    returned: list[object] = []
    try:
        CHECKS[label](_watched(answer, returned) if callable(answer) else answer)
    except Exception as error:
        if returned and all(value is None for value in returned):
            return "your function returns nothing yet: replace the ... by your code"
        return str(error) if isinstance(error, Hint) else f"your code stops with {type(error).__name__}: {error}"
    return None


def _watched(function: Callable[..., Any], returned: list[object]) -> Callable[..., Any]:
    """The same function, with all that it returns noted: a stub returns None and nothing else."""

    @wraps(function)
    def watched(*args: Any, **options: Any) -> Any:
        value = function(*args, **options)
        returned.append(value)
        return value

    return watched


def expect(condition: object, hint: str) -> None:
    """Raise the hint unless the condition holds."""
    if not condition:
        raise Hint(hint)


def expect_close(found: Any, right: Any, hint: str, tolerance: float = 1e-6) -> None:
    """Raise the hint unless the two arrays of numbers have one shape and agree within an absolute tolerance."""
    found, right = np.asarray(found, dtype=float), np.asarray(right, dtype=float)
    if found.shape != right.shape:
        raise Hint(f"your answer has shape {found.shape}, expected {right.shape}")
    expect(np.allclose(found, right, rtol=0, atol=tolerance), hint)
