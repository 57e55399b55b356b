"""Networks by name: build one, list its layers, find its family. `families` has the networks themselves."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import BadInput
from ..parameters import check_choice, check_seed, check_whole, check_width
from .families import FAMILIES
from .families.family import Family, LayerRule

INITIALISATIONS = ("kaiming", "authors")
MOST_CLASSES = 100_000
SMALLEST_IMAGE, LARGEST_IMAGE = 32, 4096  # the networks halve an image five times


@dataclass(frozen=True)
class Layer:
    """One layer whose neurons can be compared.

    `name` is the module whose output is the representation, after the ReLU if there is one. `before` is the module
    whose output is this layer before the ReLU, None without a ReLU. `kind` is "conv", "block" (a residual block's
    output), "pool", "fc" or "logits". `position` counts from the input; `depth` scales it to [0, 1].
    """

    name: str
    before: str | None
    kind: str
    position: int
    depth: float


def network_names() -> list[str]:
    """The names of all networks of this book, family by family."""
    return [name for family in FAMILIES.values() for name in family.titles]


def family_named(name: str) -> Family:
    """The family of the network with this name. Raises `BadInput` for an unknown name, with the nearest valid one."""
    check_choice("network", name, network_names())
    return next(family for family in FAMILIES.values() if name in family.titles)


def family_module(name: str) -> str | None:
    """The module below the package that defines the network with this name, such as "networks.families.vgg".

    It is None for a network that is not defined in the package.
    """
    package = f"{__name__.partition('.')[0]}."
    modules = (family.network.__module__ for family in FAMILIES.values() if name in family.titles)
    return next((module.removeprefix(package) for module in modules if module.startswith(package)), None)


def family_of(network: nn.Module) -> Family | None:
    """The family that a network belongs to; None if it is not one of this book's networks."""
    return next((family for family in FAMILIES.values() if isinstance(network, family.network)), None)


def build(
    name: str,
    width: float = 1.0,
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    seed: int = 0,
    initialisation: str = "kaiming",
) -> nn.Module:
    """A freshly initialised network. `width` scales every number of channels and hidden neurons.

    `seed` fixes only the initialisation. "kaiming" draws all weights from He's normal distribution. "authors" draws
    those of fully connected layers from a normal distribution with standard deviation 0.01, as the authors' code does.
    Raises `BadInput` for an unknown name or initialisation, and for a number out of range, such as images below 32
    pixels.
    """
    family = family_named(name)
    check_choice("initialisation", initialisation, INITIALISATIONS)
    width, seed = check_width(width), check_seed(seed)
    classes, channels = check_whole("classes", classes, 1, MOST_CLASSES), check_whole("channels", channels, 1, 64)
    image_size = check_whole("image_size", image_size, SMALLEST_IMAGE, LARGEST_IMAGE)
    with torch.random.fork_rng(devices=[]):
        network = family.construct(name, width, classes, channels)
    _initialise(network, initialisation, torch.Generator().manual_seed(seed))
    return network


def _initialise(network: nn.Module, initialisation: str, generator: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear) and initialisation == "authors":
            nn.init.normal_(module.weight, std=0.01, generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def layers(network: nn.Module) -> list[Layer]:
    """The layers of one of this book's networks that can be compared, from the input to the logits.

    Raises `BadInput` for any other module, whose layers must be named.
    """
    family = family_of(network)
    if family is None:
        raise BadInput(f"{type(network).__name__} is not one of this book's networks: name its layers yourself")
    modules = [name for name, _ in network.named_modules()]
    fits = [(rule, fit) for name in modules for rule, fit in _fitting(family, name)]
    last = len(fits) - 1
    return [Layer(fit[0], _before(rule, fit, modules), rule.kind, i, i / last) for i, (rule, fit) in enumerate(fits)]


def _fitting(family: Family, name: str) -> list[tuple[LayerRule, re.Match[str]]]:
    """The first rule of a family that fits a module, with its match; nothing if the module is no layer."""
    fits = ((rule, re.fullmatch(rule.modules, name)) for rule in family.layers)
    return [(rule, fit) for rule, fit in fits if fit][:1]


def _before(rule: LayerRule, fit: re.Match[str], modules: Iterable[str]) -> str | None:
    return next((name for name in map(fit.expand, rule.before) if name in modules), None)
