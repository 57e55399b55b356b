"""Weights in the files of other programs: what they are wrapped in, which of several sets, and whether they fit.

A checkpoint may come from a training script, torch.compile, DataParallel or Lightning. It may hold several sets of
weights that fit, such as those of the training and their moving average: then one must be named. If its weights do not
fit, the reason is found and named. Weights are never loaded in part.
"""

import argparse
import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ..errors import BadInput, first_words, unknown

HOLDERS = ("state_dict", "model_state_dict", "model", "net")  # where training scripts put the weights
COUNTER = "n_averaged"  # beside the weights of PyTorch's AveragedModel
WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile write before each name
DEEPEST = 3  # dictionaries of dictionaries in which weights are looked for
SCALAR = np.float64(0).__reduce__()[0]  # what makes a number of NumPy
HARMLESS: list[Any] = [  # what training scripts keep beside the weights: settings, and single numbers
    argparse.Namespace,
    SCALAR,
    (SCALAR, "numpy.core.multiarray.scalar"),  # its name in files of NumPy 1
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bhilqefd"),
]


def read_weights(path: Path) -> Any:
    """What a file of weights holds. Pickled objects other than tensors, settings and numbers are never created.

    Raises `BadInput` for a file that does not exist, is damaged, or holds something else.
    """
    if not path.is_file():
        raise BadInput(f"no checkpoint {path}: expected a file with weights")
    if not path.stat().st_size:
        raise BadInput(f"{path} cannot be read as weights: it is empty")
    try:
        return _saved(path)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+) was not", str(error))
        what = f"a {found[1]} beside the weights" if found else "more than weights"
        raise BadInput(f"{path} holds {what}, or is damaged: save its state_dict") from error
    except Exception as error:  # on a damaged file, torch raises whatever its bytes lead to
        reason = "it is TorchScript; save its state_dict" if "TorchScript" in str(error) else first_words(error)
        raise BadInput(f"{path} cannot be read as weights: {reason}") from error


def _saved(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings(), torch.serialization.safe_globals(HARMLESS):
        warnings.simplefilter("ignore", UserWarning)  # of the kind of pickle, which is refused in one line
        return torch.load(path, "cpu", weights_only=True)


def fitting(saved: Any, network: nn.Module, path: Path, key: str | None = None) -> dict[str, Tensor]:
    """The weights under the network's own names, without the prefixes that wrappers add.

    If every name of the network is in the file with one prefix, such as "model." from Lightning, these are the
    weights, and the rest of the file is ignored. `key` names the dictionary or the prefix. Raises `BadInput` if
    several sets of weights have all names and none is named, and for a key that is not there.
    """
    wanted = set(network.state_dict())
    found = {name: fit for held, state in _sets(saved).items() for name, fit in _fits(held, state, wanted).items()}
    if key is not None and key not in found:
        raise unknown(f"set of weights in {path}", key, found or _sets(saved))
    if key is None and len(found) > 1:
        names = ", ".join(found)
        raise BadInput(
            f"{path} holds several sets of weights that fit ({names}): name one, as {path}#{next(iter(found))}"
        )
    if found:
        return found[key if key is not None else next(iter(found))]
    return {_unwrapped(name): value for name, value in _by_name(saved, path).items() if name != COUNTER}


def _sets(saved: Any, name: str = "", depth: int = 0) -> dict[str, dict[str, Tensor]]:
    """Every dictionary of tensors in a file, by the keys that lead to it, with dots; "" for the file itself."""
    if not isinstance(saved, Mapping) or not all(isinstance(key, str) for key in saved) or depth > DEEPEST:
        return {}
    tensors = {key: value for key, value in saved.items() if isinstance(value, Tensor)}
    sets = {name: tensors} if tensors else {}
    for key, value in saved.items():
        sets |= _sets(value, f"{name}.{key}" if name else key, depth + 1)
    return sets


def _fits(held: str, state: Mapping[str, Tensor], wanted: set[str]) -> dict[str, dict[str, Tensor]]:
    """The sets of weights in one dictionary that have all wanted names, by its key and their prefix."""
    if wanted <= set(state):
        return {held: dict(state)}
    bare = {_unwrapped(name): value for name, value in state.items() if name != COUNTER}
    if wanted <= set(bare):
        return {held: bare}
    first = min(wanted, key=len, default="")
    prefixes = sorted({name.removesuffix(first) for name in bare if name.endswith(f".{first}")})
    parts = {prefix: _behind(prefix, bare) for prefix in prefixes}
    inside = f"{held}." if held else ""
    return {f"{inside}{prefix}".rstrip("."): part for prefix, part in parts.items() if wanted <= part.keys()}


def _by_name(saved: Any, path: Path) -> dict[str, Tensor]:
    """The weights inside a training checkpoint, where those of scripts usually stand, to say why they do not fit."""
    for key in HOLDERS:
        saved = saved[key] if isinstance(saved, dict) and isinstance(saved.get(key), dict) else saved
    if not isinstance(saved, dict):
        raise BadInput(f"{path} holds a {type(saved).__name__}: expected the weights by name, as state_dict() has them")
    for name, value in saved.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadInput(f"{path} has a {type(value).__name__} under {name!r}: expected a tensor under each name")
    return saved


def _behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _unwrapped(name: str) -> str:
    """A parameter's name without "module." and "_orig_mod.", wherever a wrapped part put them."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
    return name


def classes_of(state: dict[str, Tensor], network: nn.Module) -> int | None:
    """The number of classes of a file that differs from the network in nothing else; otherwise None."""
    own = network.state_dict()
    if set(own) != set(state):
        return None
    other = [(state[name].shape, own[name].shape) for name in own if state[name].shape != own[name].shape]
    counts = {theirs[0] for theirs, mine in other if theirs[1:] == mine[1:] and len(theirs)}
    same_rest = all(theirs[1:] == mine[1:] for theirs, mine in other)
    return counts.pop() if len(counts) == 1 and same_rest else None


def check_fit(state: dict[str, Tensor], network: nn.Module, path: Path, architecture: str) -> None:
    """Raise `BadInput` that names the first weight whose name or shape does not fit."""
    own = network.state_dict()
    for name in own:
        if name not in state:
            other = next((key for key in state if key not in own), None)
            has = f", but has '{other}'" if other else ""
            raise BadInput(f"{path} does not fit {architecture}: it lacks '{name}'{has}")
        shape, expected = tuple(state[name].shape), tuple(own[name].shape)
        if shape != expected:
            raise BadInput(f"{path} does not fit {architecture}: '{name}' has shape {shape}, expected {expected}")
    for name in state:
        if name not in own:
            raise BadInput(f"{path} does not fit {architecture}: it has '{name}', which {architecture} does not have")
