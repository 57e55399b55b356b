"""Networks by name or file: this book's, torchvision's, and checkpoints as users have them.

How a checkpoint of any program is read says `weight_files`.
"""

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn
from torchvision import models

from ..errors import BadInput, first_words, unknown
from ..parameters import check_seed, literal
from . import architectures, training
from .datasets import STATISTICS
from .weight_files import check_fit, classes_of, fitting, read_weights

FILES = (".safetensors", ".pt", ".pth", ".tar", ".ckpt", ".bin")
UNTRAINED = "untrained:"  # followed by a seed: fresh weights instead of a file


def architecture_names() -> list[str]:
    """The names of all architectures: first the book's own, then torchvision's classifiers.

    If both have a name, torchvision's is torchvision:NAME.
    """
    own, theirs = architectures.network_names(), models.list_models(module=models)
    return [*own, *(f"torchvision:{name}" if name in own else name for name in theirs)]


def open_network(weights: str | Path, architecture: str | None = None, **options: Any) -> nn.Module:
    """A network in evaluation mode.

    `weights` is a checkpoint file, "untrained:SEED", or the name of torchvision weights such as "IMAGENET1K_V1". If a
    file holds several sets of weights, one is named after a #, as in "net.pt#model_ema". This book's own checkpoints,
    which have a .json beside them, need no `architecture`. If `architecture` is an import path (`from_import_path`), ""
    takes the network as its function returns it. `options` go to the architecture, for example width=0.25 or
    num_classes=10. Raises BadInput for an unknown architecture and for weights that are not there or do not fit.
    """
    weights = str(weights)
    path, key = split_key(weights)
    if key is None and _is_own(path):
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
        return _filled(path, key, architecture, **options).eval()
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


def _filled(path: Path, key: str | None, architecture: str, **options: Any) -> nn.Module:
    """An architecture with the weights of a file, and with as many classes as the file has."""
    network = fresh_network(architecture, 0, **options)
    state = fitting(read_weights(path), network, path, key)
    classes = classes_of(state, network)
    if classes is not None:
        option = "classes" if architecture in architectures.network_names() else "num_classes"
        network = fresh_network(architecture, 0, **options | {option: classes})
    check_fit(state, network, path, architecture)
    network.load_state_dict(state)
    return network


def split_key(weights: str) -> tuple[Path, str | None]:
    """The file, and the key of one of its sets of weights, if it is given as "net.pt#model_ema"."""
    name, mark, key = weights.rpartition("#")
    if not mark or Path(weights).exists():
        return Path(weights), None
    return Path(name), key


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
