"""Checks of parameters, shared by the Python interface, the command line and notebooks.

Every check takes the name and the value of a parameter. It returns the value in the type that the code works with, or
raises `BadInput` with the value and what was expected. Text is a number only on the command line, where `literal`
reads it first. A boolean is never a number. A number that would have to be rounded is refused.
"""

import ast
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from .errors import BadInput, shown, unknown

LARGEST_SEED = 2**63 - 1  # the largest that PyTorch's generators take
NARROWEST, WIDEST = 1 / 64, 16  # a stage of 64 channels keeps at least one
MOST_EPOCHS = 10_000
LONGEST_NAME = 100  # bytes; file systems take 255, and other names are made from these

Found = TypeVar("Found")


def literal(text: str) -> Any:
    """A value as Python writes it, or the text itself: 0.25, [0, 1], resnet18.

    >>> literal("[0, 1]"), literal("resnet18")
    ([0, 1], 'resnet18')
    """
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):  # all that literal_eval is known to raise
        return text


# ---------------------------------------------------------------- one value


def is_integer(value: Any) -> bool:
    """Whether a value is a whole number: Python's or NumPy's int, not a boolean, not 2.0, not "2"."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_whole(name: str, value: Any, least: int = 0, most: int = LARGEST_SEED) -> int:
    """The value as an int. Raises `BadInput` unless it is a whole number from `least` to `most`."""
    if not is_integer(value) or not least <= value <= most:
        raise refused(name, value, f"a whole number from {_power(least)} to {_power(most)}")
    return int(value)


def _power(number: int) -> str:
    return "2^63 - 1" if number == LARGEST_SEED else f"{number}"


def check_number(name: str, value: Any, least: float, most: float, expected: str) -> float:
    """The value as a float. Raises `BadInput` unless it is a finite real number from `least` to `most`.

    `expected` says in words what is expected.
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not least <= value <= most:  # NaN is not between anything
        raise refused(name, value, expected)
    return float(value)


def check_epsilon(epsilon: Any, name: str = "epsilon") -> float:
    """ε as a float; raises `BadInput` outside [0, 1)."""
    return check_number(name, epsilon, 0.0, math.nextafter(1, 0), "a number in [0, 1)")


def check_share(name: str, value: Any) -> float:
    """The value as a float. Raises `BadInput` unless it lies strictly between 0 and 1."""
    return check_number(name, value, math.nextafter(0, 1), math.nextafter(1, 0), "a number between 0 and 1")


def check_width(width: Any, name: str = "width") -> float:
    """The factor on all numbers of channels, as a float. It has at most six digits.

    Folders are named after it, and with six digits no two widths share a folder. Raises `BadInput` for other values.
    """
    number = check_number(name, width, NARROWEST, WIDEST, f"a factor from 1/64 to {WIDEST}, such as 1 or 0.25")
    if float(f"{number:g}") != number:
        raise refused(name, width, f"at most six digits, such as {number:g}, because folders are named after it")
    return number


def check_epochs(epochs: Any, name: str = "epochs") -> int:
    """A number of epochs to train. Raises `BadInput` unless it is a whole number from 1."""
    if is_integer(epochs) and epochs == 0:
        raise refused(name, epochs, "at least 1 (epoch 0, the untrained network, is always kept)")
    return check_whole(name, epochs, 1, MOST_EPOCHS)


def check_seed(seed: Any, name: str = "seed") -> int:
    """A seed that every random generator accepts. Raises `BadInput` unless it is a whole number from 0 to 2^63 − 1."""
    return check_whole(name, seed)


def check_flag(name: str, value: Any) -> bool:
    """True or False. Raises `BadInput` for anything else, also for words such as "no"."""
    if not isinstance(value, bool | np.bool_):
        raise refused(name, value, "True or False")
    return bool(value)


def check_text(name: str, value: Any) -> str:
    """Text on one line. Raises `BadInput` for anything else and for empty text."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise refused(name, value, "text on one line")
    return value


def check_choice(name: str, value: Any, valid: Iterable[str]) -> str:
    """One of the valid names. Raises `BadInput` for any other, with the nearest valid one."""
    names = list(valid)
    if not isinstance(value, str) or value not in names:
        raise unknown(name, value, names)
    return value


def check_file_name(kind: str, name: Any) -> str:
    """The name of a file or folder. Raises `BadInput` for a path, for dots, and for a name that is too long."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        raise BadInput(f"{kind} name {shown(name)}: expected letters, digits, - and _ only")
    if len(name.encode()) > LONGEST_NAME:
        raise BadInput(f"{kind} name {shown(name)}: expected at most {LONGEST_NAME} bytes")
    return name


def refused(name: str, value: Any, expected: str) -> BadInput:
    """The error for a parameter, with its name, its value, and what was expected."""
    return BadInput(f"{name} is {shown(value)}: expected {expected}")


# ---------------------------------------------------------------- several values


def check_list(name: str, values: Any, check: Callable[[str, Any], Found], expected: str) -> tuple[Found, ...]:
    """The values of a list, tuple, range or array, each as `check` returns it.

    Raises `BadInput` for text, a set, an empty list, and equal values.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence | np.ndarray) or len(values) == 0:
        raise refused(name, values, expected)
    checked = tuple(check(f"{name}[{position}]", value) for position, value in enumerate(values))
    if len(set(checked)) < len(checked):
        raise BadInput(f"{name} {shown(list(checked))} repeat: give each once")
    return checked


def check_seeds(seeds: Any, least: int = 2, name: str = "seeds") -> tuple[int, ...]:
    """Different seeds, one per network. Raises `BadInput` for fewer than `least`."""
    words = "a list of different whole numbers from 0, such as [0, 1, 2]"
    checked = check_list(name, seeds, check_whole, words)
    if len(checked) < least:
        raise refused(name, list(checked), f"at least {_count(least)}, one per network to compare")
    return checked


def _count(number: int) -> str:
    return {2: "two", 3: "three"}.get(number, str(number))


def check_names(name: str, values: Any) -> tuple[str, ...]:
    """Different names of layers. Raises `BadInput` for anything else."""
    return check_list(name, values, check_text, 'a list of names, such as ["relu1_1", "logits"]')


def check_epsilons(values: Any, name: str = "epsilons") -> tuple[float, ...]:
    """Different ε, each in [0, 1). Raises `BadInput` for anything else."""
    return check_list(name, values, _epsilon, "a list of numbers in [0, 1), such as [0.3, 0.5]")


def _epsilon(name: str, value: Any) -> float:
    return check_epsilon(value, name)


def _part(name: str, value: Any) -> float:
    return check_number(name, value, 0.0, 1.0, "a number from 0 to 1")


# ---------------------------------------------------------------- the parameters of notebooks

Check = Callable[[str, Any], Any]


def whole(least: int, most: int) -> Check:
    """The check of a whole number in a range."""
    return lambda name, value: check_whole(name, value, least, most)


def either_number_or_path(name: str, value: Any) -> Any:
    """A number of images, or the folder in which they are. Raises `BadInput` for anything else."""
    return check_whole(name, value, 1) if is_integer(value) else check_text(name, value)


COUNT = whole(1, 1_000_000)
CHECKS: Mapping[str, Check] = {
    **dict.fromkeys(("width", "other_width"), lambda name, value: check_width(value, name)),
    **dict.fromkeys(("epochs", "other_epochs"), lambda name, value: check_epochs(value, name)),
    **dict.fromkeys(("seeds", "other_seeds"), lambda name, value: check_seeds(value, 2, name)),
    **dict.fromkeys(("epsilon", "look_at", "small_epsilon", "map_epsilon"), _epsilon),
    **dict.fromkeys(("layers", "looked_at"), check_names),
    **dict.fromkeys(("orders", "draws", "chains", "limit", "validation_images"), COUNT),
    **dict.fromkeys(
        ("fit", "again", "controls", "control_images", "halfway_images", "correlate", "permutations", "steps"), COUNT
    ),
    **dict.fromkeys(("image_epochs", "text_epochs", "pairs"), COUNT),
    **dict.fromkeys(("earlier", "untrained"), whole(0, MOST_EPOCHS)),
    "alphas": lambda name, value: check_list(name, value, _part, "a list of numbers from 0 to 1, such as [0, 0.5, 1]"),
    "aims": check_names,
    "epsilons": lambda name, value: check_epsilons(value, name),
    "seed": lambda name, value: check_seed(value, name),
    "share": check_share,
    "neurons": whole(1, 2048),
    "samples": COUNT,
    "size": whole(1, 4096),
    "sizes": lambda name, value: check_list(name, value, whole(1, 2048), "a list of whole numbers, such as [8, 16]"),
    "images": either_number_or_path,
}
LISTS = ("seeds", "other_seeds", "epsilons", "layers", "looked_at", "sizes", "alphas", "aims")  # checked as a whole
OPTIONAL = (
    "epochs",
    "other_epochs",
    "layers",
    "beside",
    "other_width",
    "aims",
    "images",
)  # None has a meaning, whatever the default is


def check_parameter(name: str, value: Any, default: Any) -> Any:
    """One parameter of a notebook: by the check for its name, else by the type of its default.

    None is allowed if the notebook's default is None or the name is in `OPTIONAL`; it stands for the default of the
    code. Raises `BadInput` with the parameter, its value, and what was expected.
    """
    if value is None and (default is None or name in OPTIONAL):
        return None
    if isinstance(default, list) and name not in LISTS:
        return _each(name, value, default)
    if name in CHECKS and not isinstance(default, str):
        return CHECKS[name](name, value)
    return _like(name, value, default)


def _each(name: str, values: Any, default: list[Any]) -> list[Any]:
    """A list, possibly empty, whose values have the kind of the default's first value."""
    if not isinstance(values, list | tuple):
        raise refused(name, values, f"a list such as {shown(default)}")
    if not default:
        return list(values)
    return [None if value is None else check_parameter(name, value, default[0]) for value in values]


def _like(name: str, value: Any, default: Any) -> Any:
    """A value of the default's kind."""
    if isinstance(default, bool):
        return check_flag(name, value)
    if default is None or isinstance(default, str):
        return check_text(name, value)
    if isinstance(default, int):
        return check_whole(name, value)
    if isinstance(default, float) and not isinstance(value, bool) and isinstance(value, int | float):
        return check_number(name, value, -1e300, 1e300, "a finite number")
    if type(value) is not type(default):
        raise refused(name, value, f"a value such as {shown(default)}")
    return value
