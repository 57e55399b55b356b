"""Bad input, said in one line: the value, what was expected, the nearest valid name."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType


class BadInput(ValueError):
    """The user asked for something that cannot be; the message is one line that says how to mend it."""


def unknown(kind: str, value: object, valid: Iterable[object]) -> BadInput:
    """The error for a name that is not one of `valid`, with the nearest of them as a suggestion.

    >>> str(unknown("network", "resnet8", ["resnet18", "vgg16"]))
    "unknown network 'resnet8': did you mean 'resnet18'? Valid: resnet18, vgg16"
    """
    names = [str(name) for name in valid]
    near = get_close_matches(str(value), names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return BadInput(f"unknown {kind} '{value}': {hint}Valid: {', '.join(names)}")


def optional(module: str, extra: str) -> ModuleType:
    """A module of a package that only some functions need; BadInput says which extra of the library brings it."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise BadInput(f"{module} is not installed: pip install 'samerep[{extra}]' brings it") from None
