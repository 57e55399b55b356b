"""Networks by name or file: this book's, torchvision's, and checkpoints as users have them.

A checkpoint may come from a training script, torch.compile, DataParallel or Lightning. If its weights do not fit, the
reason is found and named. Weights are never loaded in part.
"""

import importlib
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models

from ..errors import BadInput, first_words, unknown
from ..parameters import check_seed, literal
from . import architectures, training
from .datasets import STATISTICS

FILES = (".safetensors", ".pt", ".pth", ".tar", ".ckpt", ".bin")
UNTRAINED = "untrained:"  # followed by a seed: fresh weights instead of a file
HOLDERS = ("state_dict", "model_state_dict", "model", "net")  # where training scripts put the weights
COUNTER = "n_averaged"  # beside the weights of PyTorch's AveragedModel
WRAPPERS = ("module.", "_orig_mod.")  # what DataParallel and torch.compile write before each name


def architecture_names() -> list[str]:
    """The names of all architectures: first the book's own, then torchvision's classifiers.

    If both have a name, torchvision's is torchvision:NAME.
    """
    own, theirs = architectures.network_names(), models.list_models(module=models)
    return [*own, *(f"torchvision:{name}" if name in own else name for name in theirs)]


def open_network(weights: str | Path, architecture: str | None = None, **options: Any) -> nn.Module:
    """A network in evaluation mode.

    `weights` is a checkpoint file, "untrained:SEED", or the name of torchvision weights such as "IMAGENET1K_V1". This
    book's own checkpoints, which have a .json beside them, need no `architecture`. If `architecture` is an import path
    (`from_import_path`), "" takes the network as its function returns it. `options` go to the architecture, for example
    width=0.25 or num_classes=10. Raises BadInput for an unknown architecture and for weights that are not there or do
    not fit.
    """
    path, weights = Path(weights), str(weights)
    if _is_own(path):
        return training.load_checkpoint(path)[0]
    if architecture is None:
        raise BadInput(f"{weights} does not say what network it is: give its architecture, such as resnet18")
    if not weights and architecture.partition(":")[0] in (architecture, "torchvision", *ZOOS):
        raise BadInput(f"no weights for {architecture}: expected a checkpoint file, or untrained:SEED")
    if not weights:
        return _network_from(architecture, **options).eval()
    if weights.startswith(UNTRAINED):
        return fresh_network(architecture, check_seed(literal(weights.removeprefix(UNTRAINED))), **options).eval()
    if path.suffix in FILES:
        return _filled(path, architecture, **options).eval()
    return _downloaded(architecture, weights).eval()


def _is_own(path: Path) -> bool:
    """Whether it is a checkpoint of this book, whose sidecar names its architecture."""
    return path.suffix == ".safetensors" and path.with_suffix(".json").exists()


def is_untrained(weights: str) -> bool:
    """Whether the weights are untrained: "untrained:SEED", or epoch 0 of a checkpoint of this book."""
    path = Path(weights)
    return weights.startswith(UNTRAINED) or (_is_own(path) and training.read_sidecar(path)["epoch"] == 0)


def architecture_of(weights: str, architecture: str | None) -> str | None:
    """The architecture that `open_network` opens. For a checkpoint of this book it is the one in the sidecar."""
    path = Path(weights)
    return training.read_sidecar(path)["network"] if _is_own(path) else architecture


def statistics_of(*weights: str) -> str:
    """The name of the statistics by which images are normalised.

    For checkpoints of this book they are those of the training, for all others ImageNet's. Raises `BadInput` for
    checkpoints that were trained on different datasets, because the user must then choose.
    """
    known = [training.read_sidecar(Path(name)).get("dataset") for name in weights if _is_own(Path(name))]
    trained_on = {name for name in known if name in STATISTICS}
    if len(trained_on) > 1:
        raise BadInput(
            f"the checkpoints were trained on {' and '.join(sorted(trained_on))}: say which statistics to use"
        )
    return trained_on.pop() if trained_on else "imagenet"


def untrained(weights: str, architecture: str | None = None, seed: int = 0, **options: Any) -> nn.Module:
    """The network that `open_network` would open, before training, with new weights from its own initialisation.

    For a checkpoint of this book it is the initialisation of its training. For any other architecture it is the rule
    that comes with it, which need not be the one of your training.
    """
    path = Path(weights)
    if not _is_own(path):
        return open_network(f"{UNTRAINED}{seed}", architecture, **options)
    known = training.read_sidecar(path)
    shape = {key: known[key] for key in ("width", "classes", "channels", "image_size")}
    rule = known["recipe"]["initialisation"]
    return architectures.build(known["network"], **shape, seed=seed, initialisation=rule).eval()


def fresh_network(architecture: str, seed: int, **options: Any) -> nn.Module:
    """A freshly initialised network; `seed` fixes its initialisation.

    architecture: a name of this book or of torchvision, "timm:NAME", "transformers:FOLDER" (a folder with config.json),
    or an import path "module:function" of your own. Raises `BadInput` for an unknown name, and for options that the
    architecture does not take.
    """
    try:
        return _fresh(architecture, seed, **options)
    except TypeError as error:
        if not options:
            raise
        given = ", ".join(options)
        raise BadInput(f"{architecture} does not take all of its options ({given}): {error}") from error


def _fresh(architecture: str, seed: int, **options: Any) -> nn.Module:
    source = architecture.partition(":")[0]
    if architecture in architectures.network_names():
        return architectures.build(architecture, seed=seed, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if source in ZOOS:
            return ZOOS[source](architecture.partition(":")[2], **options)
        if ":" in architecture and source != "torchvision":
            return _network_from(architecture, **options)
        if architecture not in architecture_names():
            raise unknown("architecture", architecture, architecture_names())
        return models.get_model(architecture.removeprefix("torchvision:"), weights=None, **options)


def from_import_path(path: str, **options: Any) -> Any:
    """The result of a function of your own, named "package.module:function". Modules in the working folder are found.

    Raises `BadInput` for a module that cannot be imported, for a name that it does not have, and for an error in the
    function: it names the file and the line.
    """
    module, _, name = path.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        known = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module of one's own does
        raise BadInput(f"{path}: module {module} cannot be imported: {first_words(error)}") from error
    finally:
        sys.path.remove(os.getcwd())
    if not hasattr(known, name):
        raise unknown(f"function of {module}", name, [name for name in vars(known) if not name.startswith("_")])
    target = getattr(known, name)
    if not callable(target) or isinstance(target, nn.Module):
        return target
    try:
        return target(**options)
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        if options and isinstance(error, TypeError):
            raise  # it may not take them
        raise BadInput(f"{path} failed with {_where(error)}") from error


def _where(error: BaseException) -> str:
    """An error with the file and the line in which it was raised."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {first_words(error)} ({Path(place.filename).name}, line {place.lineno})"


def _network_from(path: str, **options: Any) -> nn.Module:
    """The network that a function of one's own returns. Raises `BadInput` if it returns anything else."""
    made = from_import_path(path, **options)
    if not isinstance(made, nn.Module):
        raise BadInput(f"{path} gives a {type(made).__name__}: expected a network, a torch.nn.Module")
    return made


def _installed(package: str) -> Any:
    """A package that this library itself does not need. Raises `BadInput` if it is not installed."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise BadInput(f"{package} is not installed: pip install 'samerep[models]' brings it") from None


def _of_timm(name: str, **options: Any) -> nn.Module:
    timm = _installed("timm")
    if not timm.is_model(name):
        raise unknown("timm model", name, timm.list_models())
    return timm.create_model(name, pretrained=False, **options)


def _of_transformers(folder: str, **options: Any) -> nn.Module:
    """A network from a folder with config.json, so that nothing is downloaded."""
    transformers = _installed("transformers")
    try:
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, **options)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise BadInput(f"transformers:{folder}: expected a folder with config.json: {reason}") from error
    return transformers.AutoModel.from_config(config)


ZOOS: dict[str, Callable[..., nn.Module]] = {"timm": _of_timm, "transformers": _of_transformers}


def _filled(path: Path, architecture: str, **options: Any) -> nn.Module:
    """An architecture with the weights of a file, and with as many classes as the file has."""
    network = fresh_network(architecture, 0, **options)
    state = fitting(read_weights(path), network, path)
    classes = _classes(state, network)
    if classes is not None:
        key = "classes" if architecture in architectures.network_names() else "num_classes"
        network = fresh_network(architecture, 0, **options | {key: classes})
    _check_fit(state, network, path, architecture)
    network.load_state_dict(state)
    return network


def _downloaded(architecture: str, weights: str) -> nn.Module:
    name = architecture.removeprefix("torchvision:")
    own = architecture in architectures.network_names()
    if own or name not in models.list_models(module=models):
        hint = f"; torchvision's own network is torchvision:{name}" if own else ""
        raise BadInput(f"weights '{weights}' of {architecture}: expected a checkpoint file or untrained:SEED{hint}")
    known = [entry.name for entry in models.get_model_weights(name)]
    if weights not in known:
        raise unknown("weights", weights, [*known, "untrained:0", "FILE.safetensors", "FILE.pt"])
    try:
        return models.get_model(name, weights=weights)
    except (URLError, OSError) as error:
        raise BadInput(f"{weights} of {name} could not be fetched ({error}): download it and give its file") from error


# ---------------------------------------------------------------- what is in a file


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights by name, as they are in a file. Pickled objects other than tensors are never created.

    Raises `BadInput` for a file that does not exist, is damaged, or holds something else.
    """
    if not path.is_file():
        raise BadInput(f"no checkpoint {path}: expected a file with weights")
    if not path.stat().st_size:
        raise BadInput(f"{path} cannot be read as weights: it is empty")
    try:
        saved = _saved(path)
    except pickle.UnpicklingError as error:
        raise BadInput(f"{path} holds more than weights, or is damaged: save its state_dict") from error
    except Exception as error:  # on a damaged file, torch raises whatever its bytes lead to
        reason = "it is TorchScript; save its state_dict" if "TorchScript" in str(error) else first_words(error)
        raise BadInput(f"{path} cannot be read as weights: {reason}") from error
    return _by_name(saved, path)


def _saved(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the kind of pickle, which is refused in one line
        return torch.load(path, "cpu", weights_only=True)


def _by_name(saved: Any, path: Path) -> dict[str, Tensor]:
    """The weights inside a training checkpoint."""
    for key in HOLDERS:
        saved = saved[key] if isinstance(saved, dict) and isinstance(saved.get(key), dict) else saved
    if not isinstance(saved, dict):
        raise BadInput(f"{path} holds a {type(saved).__name__}: expected the weights by name, as state_dict() has them")
    for name, value in saved.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadInput(f"{path} has a {type(value).__name__} under {name!r}: expected a tensor under each name")
    return saved


def fitting(state: dict[str, Tensor], network: nn.Module, path: Path) -> dict[str, Tensor]:
    """The weights under the network's own names, without the prefixes that wrappers add.

    If every name of the network is in the file with one prefix, such as "model." from Lightning, these are the
    weights, and the rest of the file is ignored. Raises `BadInput` if this is true for two prefixes.
    """
    wanted = set(network.state_dict())
    if wanted <= set(state):
        return state
    state = {_unwrapped(name): value for name, value in state.items() if name != COUNTER}
    first = min(wanted, key=len, default="")
    prefixes = sorted({name.removesuffix(first) for name in state if name.endswith(f".{first}")})
    whole = [prefix for prefix in prefixes if wanted <= _behind(prefix, state).keys()]
    if wanted <= set(state) or not whole:
        return state
    if len(whole) > 1:
        raise BadInput(f"{path} holds the weights twice, under '{whole[0]}' and '{whole[1]}': save one of them alone")
    return _behind(whole[0], state)


def _behind(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _unwrapped(name: str) -> str:
    """A parameter's name without "module." and "_orig_mod.", wherever a wrapped part put them."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
    return name


def _classes(state: dict[str, Tensor], network: nn.Module) -> int | None:
    """The number of classes of a file that differs from the network in nothing else; otherwise None."""
    own = network.state_dict()
    if set(own) != set(state):
        return None
    other = [(state[name].shape, own[name].shape) for name in own if state[name].shape != own[name].shape]
    counts = {theirs[0] for theirs, mine in other if theirs[1:] == mine[1:] and len(theirs)}
    same_rest = all(theirs[1:] == mine[1:] for theirs, mine in other)
    return counts.pop() if len(counts) == 1 and same_rest else None


def _check_fit(state: dict[str, Tensor], network: nn.Module, path: Path, architecture: str) -> None:
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
