"""Layers by name: what they return on images, and one pass over the images for all layers and networks.

A neuron is a channel of a convolutional layer (its samples: all images × positions) or a unit of a fully connected
one. The collector (`stream`, `collect`) hands every batch to accumulators; memory does not grow with the data.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadInput, unknown
from ..subspaces import Gram
from .accumulators import Accumulator, Draws, Grams, Kind, LayerBatch, Sampling, Slots

Batch = Tensor | Sequence[Tensor]  # the same images for all networks, or one tensor of images per network

NO_MEMORY = ("allocate memory", "enough memory", "out of memory", "ALLOC_FAILED")  # PyTorch says it in many ways


@contextmanager
def captured(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass leaves a copy of the named layers' outputs in the yielded dictionary.

    Copied before a later in-place operation can spoil them. On leaving, whatever happened, the hooks are removed and
    every module's train or evaluation mode is as it was. Raises BadInput for a name that is not a module of `network`.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output.clone()

    with tapped(network, layers, keep):
        yield outputs


@contextmanager
def tapped(network: nn.Module, layers: Sequence[str], take: Callable[[str, Tensor], None]) -> Iterator[None]:
    """While open, every forward pass hands the named layers' outputs to `take`, which copies what it wants to keep.

    No gradients; hooks and modes as for `captured`, and the same errors.
    """
    modules = dict(network.named_modules())
    for name in layers:
        if name not in modules or not name:
            raise unknown("layer", name, [valid for valid in modules if valid])
    modes = {module: module.training for module in network.modules()}
    hooks = [modules[name].register_forward_hook(_hook(name, take)) for name in dict.fromkeys(layers)]
    try:
        network.eval()
        with torch.inference_mode():
            yield
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training


def _hook(name: str, take: Callable[[str, Tensor], None]):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            raise BadInput(f"layer {name} returns {type(output).__name__}: expected one tensor; choose another layer")
        take(name, output.detach())

    return hook


def maps(output: Tensor) -> Float[Tensor, "neurons images places"]:
    """A layer's output on a batch with one row per neuron, as a view.

    (images, units) has one place; (images, channels, height, width) the positions; (images, tokens, features), as
    transformers give it, the tokens.
    """
    if output.ndim == 2:
        return output.T.unsqueeze(2)
    if output.ndim == 3:
        return output.permute(2, 0, 1)
    if output.ndim == 4:
        return output.transpose(0, 1).flatten(2)
    raise BadInput(f"a layer's output has shape {tuple(output.shape)}: expected 2, 3 or 4 dimensions, images first")


def neurons(output: Tensor) -> Float[Tensor, "neurons samples"]:
    """A layer's output on a batch with one row per neuron; its samples are all images × places, in that order."""
    return maps(output).flatten(1)


def activations(network: nn.Module, batches: Iterable[Tensor], layer: str) -> Float[np.ndarray, "neurons samples"]:
    """All activations of one layer in memory, for looking at small cases; `collect` is the way for large ones."""
    with captured(network, [layer]) as outputs:
        found = [_forward(network, batch, outputs)[layer].cpu() for batch in batches]
    if not found:
        raise BadInput("no images: expected at least one batch")
    return torch.cat(found, dim=1).double().numpy()


def forward(network: nn.Module, images: Tensor) -> None:
    """Run a network on images, where it lies, for what hooks and batch norms keep of it.

    Raises BadInput for images that it cannot take, MemoryError or torch.OutOfMemoryError where memory is short.
    """
    weights = chain(network.parameters(), network.buffers())
    try:
        network(images.to(next((tensor.device for tensor in weights), images.device)))
    except (BadInput, torch.OutOfMemoryError):
        raise
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())
        if any(words in reason for words in NO_MEMORY):
            raise MemoryError(reason) from error
        shape = tuple(images.shape)
        raise BadInput(f"images of shape {shape} do not fit {type(network).__name__}: {reason}") from error


def _forward(network: nn.Module, batch: Tensor, outputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """One batch through one network: rows of neurons per layer."""
    outputs.clear()
    forward(network, batch)
    return {name: neurons(output) for name, output in outputs.items()}


# ---------------------------------------------------------------- the collector


@dataclass(frozen=True)
class Tagged:
    """A batch of images with what accumulators need to know about them, such as labels."""

    images: Batch
    tag: Any


@dataclass
class Compressed:
    """One layer of all networks: the Gram matrix over every sample, and one per random draw if asked for."""

    gram: Gram
    draws: list[Gram] = field(default_factory=list)


def collect(
    networks: Sequence[nn.Module],
    batches: Iterable[Batch],
    layers: Sequence[str] | Sequence[Sequence[str]],
    images: int | None = None,
    sampling: Sampling | None = None,
) -> dict[str, Compressed]:
    """Compress every named layer of all networks in one pass over the images: `stream` for joint Gram matrices.

    `sampling` adds random draws and needs the number of `images`.
    """
    kinds = {"gram": Grams.kind()}
    if sampling:
        if not images:
            raise BadInput("sampling positions needs the number of images in advance")
        kinds["draws"] = Draws.kind(sampling, images)
    return {layer: Compressed(**found) for layer, found in stream(networks, batches, layers, kinds).items()}


def stream(
    networks: Sequence[nn.Module],
    batches: Iterable[Batch | Tagged],
    layers: Sequence[str] | Sequence[Sequence[str]],
    kinds: Mapping[str, Kind],
) -> dict[str, dict[str, Any]]:
    """One pass over the images: for every layer the result of each of the `kinds` of accumulators, under its name.

    `layers` are module names, the same for all networks, or one list of names per network (the k-th of each belong
    together, and the first network's name them). A batch is a tensor of images, or one tensor per network. Outputs go
    into a float64 buffer where the first network lies, the BLAS of the CPU or the GPU does the rest. Raises BadInput
    for a layer that is unknown, named twice or called twice, for wrong shapes, and for values that are not finite.
    """
    if not networks or not layers:
        raise BadInput("nothing to compare: expected at least one network and one layer")
    named = _names(networks, layers)
    slots = [Slots(layer) for layer in named[0]]
    running: dict[str, dict[str, Accumulator]] = {}
    first = 0
    for batch in batches:
        tagged = batch if isinstance(batch, Tagged) else Tagged(batch, None)
        parts = _parts(tagged.images, len(networks))
        for k, network in enumerate(networks):
            _fill(network, k, named[k], parts[k], slots)
        _hand_over(slots, first, tagged.tag, kinds, running)
        first += len(parts[0])
    if not running:
        raise BadInput("no images: expected at least one batch")
    return {layer: _results(layer, running.pop(layer)) for layer in list(running)}  # one after another: memory


def _fill(network: nn.Module, k: int, names: Sequence[str], images: Tensor, slots: Sequence[Slots]) -> None:
    """One network's forward pass: each layer's output goes into the slots that are named after it."""

    def take(name: str, output: Tensor) -> None:
        rows = maps(output)
        for slot, wanted in zip(slots, names, strict=True):
            if wanted == name:
                with _about(slot.layer):
                    slot.put(k, output, rows)

    with tapped(network, names, take):
        forward(network, images)
    for slot, name in zip(slots, names, strict=True):
        if len(slot.parts) <= k:
            raise BadInput(f"layer {name} took no part in the forward pass: expected a module that is called")


def _hand_over(
    slots: Sequence[Slots], first: int, tag: Any, kinds: Mapping[str, Kind], running: dict[str, dict[str, Accumulator]]
) -> None:
    """One batch to all accumulators, which the first batch starts."""
    whole: dict[str, LayerBatch] = {}
    for slot in slots:
        with _about(slot.layer):
            whole[slot.layer] = slot.batch(first, tag)
        whole[slot.layer].layers = whole
    for layer, batch in whole.items():
        if layer not in running:
            running[layer] = {name: kind(batch) for name, kind in kinds.items()}
        with _about(layer):
            for accumulator in running[layer].values():
                accumulator.add(batch)


def _results(layer: str, accumulators: Mapping[str, Accumulator]) -> dict[str, Any]:
    with _about(layer):
        return {name: accumulator.result() for name, accumulator in accumulators.items()}


@contextmanager
def _about(layer: str) -> Iterator[None]:
    """BadInput that is raised inside says which layer it is about."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"layer {layer}: {error}") from error


def _names(networks: Sequence[nn.Module], layers: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    """The layers of each network. Those of the first name the results, so each can stand there once."""
    same = all(isinstance(layer, str) for layer in layers)
    lists = [list(map(str, layers))] * len(networks) if same else [list(layer) for layer in layers]
    if len(lists) != len(networks) or len(set(map(len, lists))) > 1:
        lengths = [len(layer) for layer in lists]
        raise BadInput(f"{len(lists)} lists of {lengths} layers: expected one list per network, equally long")
    for k, name in enumerate(lists[0]):
        if name in lists[0][:k]:
            raise BadInput(f"layer '{name}' is named twice: expected each layer of the first network once")
    return lists


def _parts(batch: Batch, networks: int) -> list[Tensor]:
    """The images for each network."""
    parts = [batch] * networks if isinstance(batch, Tensor) else list(batch)
    if len(parts) != networks:
        raise BadInput(f"a batch of {len(parts)} tensors: expected one tensor, or one for each of {networks} networks")
    return parts


def peeked(batches: Iterable[Tensor]) -> tuple[Tensor, Iterable[Tensor]]:
    """The first batch, and all of them with the first: a generator gives each only once."""
    rest = iter(batches)
    first = next(rest, None)
    if first is None:
        raise BadInput("no images: expected at least one batch")
    return first, chain([first], rest)


def calibrate(network: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """Set the batch-norm statistics of an untrained network from data, in place; its weights stay.

    Without it the statistics are 0 and 1 whatever the data, and untrained networks look similar for a wrong reason.
    Raises BadInput for images that do not fit, and where there are none: the statistics are then as they were.
    """
    _, images = peeked(batches)
    with measuring(network), torch.no_grad():
        for batch in images:
            forward(network, batch)
    return network


@contextmanager
def measuring(network: nn.Module) -> Iterator[None]:
    """While open, batch norms start anew and average over all batches; dropout stays off. Modes are put back."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    modes = {module: module.training for module in network.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    try:
        network.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # a plain average over the batches
        yield
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training
