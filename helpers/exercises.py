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


def check(label: str, answer: object) -> None:
    """Print "✓" and the label, or a hint. An unknown label is `BadInput`."""
    hint = hint_for(label, answer)
    print(f"✓ {label}: right" if hint is None else f"✗ {label}: {hint}")


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


# ---------------------------------------------------------------- chapter 7, numerics


@checks("ex-distance-from-gram")
def _distance_from_gram(answer: Callable[..., float]) -> None:
    z = np.random.default_rng(7).standard_normal((5, 30)) * np.array([[1.0], [9.0], [0.2], [1.0], [4.0]])
    basis = [1, 2, 4]
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    for ridge in (1e-12, 0.3):
        c = np.linalg.solve(unit[basis] @ unit[basis].T + ridge * np.eye(3), unit[basis] @ unit[0])
        right = np.sqrt(np.sum((unit[0] - c @ unit[basis]) ** 2) + ridge * c @ c)
        found = answer(z @ z.T, 0, basis, ridge)
        expect(not np.isclose(found, right**2), "that is r²: take the square root")
        expect_close(found, right, "scale the Gram matrix by the neurons' norms, and add λ to the diagonal of G_BB")


@checks("ex-enough-samples")
def _enough_samples(answer: Callable[[int, float], int]) -> None:
    for n, bias in ((64, 0.01), (512, 0.05), (10, 0.5)):
        d = answer(n, bias)
        expect(isinstance(d, int | np.integer), f"{d!r} is not a whole number of samples")
        expect(d > n, f"{d} samples for {n} neurons: up to there every distance is 0")
        expect(np.sqrt(1 - n / d) >= 1 - bias, f"with {d} samples, distances to {n} neurons are off by over {bias}")
        expect(np.sqrt(1 - n / (d - 1)) < 1 - bias, f"fewer than {d} samples are enough for {n} neurons")
