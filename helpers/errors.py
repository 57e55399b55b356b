"""Errors for bad input, in one line: the value, what was expected, and the nearest valid name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

LONGEST = 80  # characters of a value that a message shows


class BadInput(ValueError):
    """The user asked for something that is not possible. The message is one line that says how to correct it.

    Line breaks and other unprintable characters in names and values are shown as Python writes them. `lines` are shown
    below the message; they hold the output of another program.
    """

    def __init__(self, message: str, lines: Sequence[str] = ()) -> None:
        super().__init__("".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in message))
        self.lines = tuple(lines)

    def __str__(self) -> str:
        return "\n".join([*self.args, *self.lines])


def shown(value: object) -> str:
    """A value as Python writes it, cut to a length that fits into a message.

    >>> shown("a" * 200) == "'" + "a" * 78 + "…"
    True
    """
    try:
        text = repr(value)
    except Exception as error:  # what objects of others raise; and ValueError for numbers of too many digits
        text = f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def first_words(error: BaseException) -> str:
    """The first line of an error's text, cut to a length that fits into a message; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def unknown(kind: str, value: object, valid: Iterable[object]) -> BadInput:
    """The error for a name that is not one of `valid`, with the nearest of them as a suggestion.

    >>> str(unknown("network", "resnet8", ["resnet18", "vgg16"]))
    "unknown network 'resnet8': did you mean 'resnet18'? Valid: resnet18, vgg16"
    """
    names = [str(name) for name in valid]
    given = value if isinstance(value, str) else shown(value)
    given = given if len(given) <= LONGEST else f"{given[:LONGEST]}…"
    near = get_close_matches(given, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return BadInput(f"unknown {kind} '{given}': {hint}Valid: {', '.join(names)}")


def optional(module: str, extra: str) -> ModuleType:
    """A module of a package that only some functions need. Raises `BadInput` that names the extra to install."""
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise BadInput(f"{module} is not installed: pip install 'samerep[{extra}]' brings it") from None
