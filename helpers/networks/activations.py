"""The outputs of layers by name, and one pass over the images for all layers and networks.

A neuron is a channel of a convolutional layer (its samples are all images × positions) or a unit of a fully connected
layer. The collector (`stream`, `collect`) gives every batch to accumulators. Memory does not grow with the data.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadInput
from ..subspaces import Gram, as_block
from .accumulators import Accumulator, Draws, Grams, Kind, LayerBatch, Sampling, Slots
from .calls import found_as, heard, tapped, uncertain
from .inputs import Inputs, images_of, in_chunks, read_in_turn, some, tensors_of
from .layouts import about_layer, arranged, check_layout
from .order import forward, order_of

Batch = Tensor | Sequence[Tensor]  # the same images for all networks, or one tensor of images per network
FEW = 3  # so many images are enough to find out which layers there are
CHUNK = 64  # images over which a batch norm averages at a time


@contextmanager
def captured(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass leaves a copy of the named layers' outputs in the yielded dictionary.

    The outputs are copied at once, before an in-place operation can change them. On leaving, for any reason, the hooks
    are removed and every module is in its former mode (training or evaluation). Raises `BadInput` for a name that is
    not a module of `network`.
    """
    outputs: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        outputs[name] = output.clone()

    with tapped(network, layers, keep):
        yield outputs


def layouts_of(
    network: nn.Module, images: Inputs, layers: Sequence[str], given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The layout of each named layer's outputs, from one pass over a few images. Layouts that are `given` are used.

    Raises `BadInput` for a layer whose axis of neurons is not certain. A layer that did not run is left out; `tapped`
    reports it.
    """
    given = dict(given or {})
    few = some(images, FEW)
    outputs = heard(network, tensors_of(few), lambda: forward(network, few))
    known: dict[str, str] = {}
    for layer in layers:
        one = found_as(layer, outputs, network)
        layout = given.get(layer) or (one.layout if one else None)
        if one and layout is None:
            raise BadInput(uncertain(layer, one))
        if one and layout:
            known[layer] = check_layout(layout, one.shape, layer)
    order = order_of(network, few, known)
    for reason in (*order.wrong.values(), *order.placed.values()):
        raise BadInput(reason)
    return known


def maps(output: Tensor, layout: str | None = None, images: int = 0) -> Float[Tensor, "neurons images places"]:
    """A layer's output on a batch, as a view with one row per neuron.

    Without a `layout`, (images, units) has one place, (images, channels, height, width) has the pixels as places, and
    (images, tokens, features) the tokens. This is right for the networks of this book. For others use `layouts_of`.
    Raises `BadInput` for other numbers of axes.
    """
    layout = layout or {2: "nd", 3: "ntd", 4: "nchw"}.get(output.ndim)
    if layout is None:
        shape = tuple(output.shape)
        raise BadInput(f"a layer's output has shape {shape}: expected 2, 3 or 4 dimensions, images first")
    return arranged(output, layout, images)[0]


def neurons(output: Tensor, layout: str | None = None) -> Float[Tensor, "neurons samples"]:
    """A layer's output on a batch with one row per neuron. Its samples are all images × places, in this order."""
    return maps(output, layout).flatten(1)


def activations(
    network: nn.Module, batches: Iterable[Any], layer: str, layout: str | None = None
) -> Float[np.ndarray, "neurons samples"]:
    """All activations of one layer in memory, to look at small cases. For large ones use `collect`.

    `batches` are as in `images_of`. Raises `BadInput` for a layer that is unknown, not real, or of an uncertain
    layout.
    """
    blocks: list[np.ndarray] = []
    with captured(network, [layer]) as outputs:
        for batch in map(images_of, batches):
            if layout is None:
                layout = layouts_of(network, batch, [layer]).get(layer)
            outputs.clear()
            forward(network, batch)
            blocks.append(as_block(neurons(outputs[layer], layout), layer))
    if not blocks:
        raise BadInput("no images: expected at least one batch")
    return np.concatenate(blocks, axis=1)


# ---------------------------------------------------------------- the collector


@dataclass(frozen=True)
class Tagged:
    """A batch of images with data for the accumulators, such as labels."""

    images: Batch
    tag: Any


@dataclass
class CompressedLayer:
    """One layer of all networks: the Gram matrix over all samples, and one per random draw if asked for."""

    gram: Gram
    draws: list[Gram] = field(default_factory=list)


def collect(
    networks: Sequence[nn.Module],
    batches: Iterable[Batch],
    layers: Sequence[str] | Sequence[Sequence[str]],
    images: int | None = None,
    sampling: Sampling | None = None,
    layouts: Mapping[str, str] | None = None,
) -> dict[str, CompressedLayer]:
    """Compress every named layer of all networks in one pass over the images, by `stream` with joint Gram matrices.

    `sampling` adds random draws; it needs the number of `images`. Raises `BadInput` without it, and where `stream`
    does.
    """
    kinds = {"gram": Grams.kind()}
    if sampling:
        if not images:
            raise BadInput("sampling positions needs the number of images in advance")
        kinds["draws"] = Draws.kind(sampling, images)
    return {
        layer: CompressedLayer(**parts) for layer, parts in stream(networks, batches, layers, kinds, layouts).items()
    }


def stream(
    networks: Sequence[nn.Module],
    batches: Iterable[Batch | Tagged],
    layers: Sequence[str] | Sequence[Sequence[str]],
    kinds: Mapping[str, Kind],
    layouts: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """One pass over the images: for every layer the result of each kind of accumulator, under the name of the kind.

    `layers` is one list of module names for all networks, or one list per network. In the second case the k-th names
    belong together, and those of the first network name the result. A batch is a tensor of images, or one tensor per
    network. Outputs go into a float64 buffer on the first network's device; the BLAS of the CPU or the GPU multiplies
    them. `layouts` says by layer which axis holds the neurons, if the first batch cannot tell (`layouts_of`). Raises
    `BadInput` for a layer that is unknown, named twice or called twice, for wrong shapes, and for values that are not
    finite.
    """
    if not networks or not layers:
        raise BadInput("nothing to compare: expected at least one network and one layer")
    named = _names(networks, layers)
    slots = [Slots(layer) for layer in named[0]]
    running: dict[str, dict[str, Accumulator]] = {}
    known: list[dict[str, str]] = []
    first = 0
    for batch in batches:
        tagged = batch if isinstance(batch, Tagged) else Tagged(batch, None)
        parts = _parts(tagged.images, len(networks))
        if not known:
            heard_from = zip(networks, parts, named, strict=True)
            known = [layouts_of(network, part, names, layouts) for network, part, names in heard_from]
        for k, network in enumerate(networks):
            _fill(network, k, named[k], parts[k], slots, known[k])
        _hand_over(slots, first, tagged.tag, kinds, running)
        first += len(parts[0])
    if not running:
        raise BadInput("no images: expected at least one batch")
    return {layer: _results(layer, running.pop(layer)) for layer in list(running)}  # one after another: memory


def _fill(
    network: nn.Module,
    k: int,
    names: Sequence[str],
    images: Tensor,
    slots: Sequence[Slots],
    layouts: Mapping[str, str],
) -> None:
    """One network's forward pass. Each layer's output goes into the slots of its name."""

    def take(name: str, output: Tensor) -> None:
        with about_layer(name):
            rows, places = arranged(output, layouts[name], len(images))
        for slot, wanted in zip(slots, names, strict=True):
            if wanted == name:
                with about_layer(slot.layer):
                    slot.put(k, output, rows, places)

    with tapped(network, names, take):
        forward(network, images)


def _hand_over(
    slots: Sequence[Slots], first: int, tag: Any, kinds: Mapping[str, Kind], running: dict[str, dict[str, Accumulator]]
) -> None:
    """Give one batch to all accumulators. The first batch starts them."""
    whole: dict[str, LayerBatch] = {}
    for slot in slots:
        with about_layer(slot.layer):
            whole[slot.layer] = slot.batch(first, tag)
        whole[slot.layer].layers = whole
    for layer, batch in whole.items():
        if layer not in running:
            running[layer] = {name: kind(batch) for name, kind in kinds.items()}
        with about_layer(layer):
            for accumulator in running[layer].values():
                accumulator.add(batch)


def _results(layer: str, accumulators: Mapping[str, Accumulator]) -> dict[str, Any]:
    with about_layer(layer):
        return {name: accumulator.result() for name, accumulator in accumulators.items()}


def _names(networks: Sequence[nn.Module], layers: Sequence[str] | Sequence[Sequence[str]]) -> list[list[str]]:
    """The layers of each network. Those of the first network name the results, so each may appear there only once."""
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


def peeked(batches: Iterable[Any]) -> tuple[Any, Iterable[Any]]:
    """The first batch, and all batches including the first, because a generator gives each only once.

    Raises `BadInput` if there is no batch.
    """
    rest = read_in_turn(batches)
    first = next(rest, None)
    if first is None:
        raise BadInput("no images: expected at least one batch")
    return first, chain([first], rest)


def calibrate(network: nn.Module, batches: Iterable[Any]) -> nn.Module:
    """Set the batch-norm statistics of an untrained network from data, in place. Its weights do not change.

    Without this the statistics are 0 and 1 for any data, and untrained networks look similar for a wrong reason. The
    images are put into new batches, so that the size of the given batches changes nothing. Raises `BadInput` if there
    are no images or they do not fit. The statistics are then unchanged.
    """
    _, images = peeked(batches)
    with measuring(network) as norms, torch.no_grad():
        seen = 0
        for batch in in_chunks(map(images_of, images), CHUNK):
            count = len(tensors_of(batch)[0])
            seen += count
            for norm in norms:
                norm.momentum = count / seen  # the average over all images so far, also where the last batch is smaller
            forward(network, batch)
    return network


@contextmanager
def measuring(network: nn.Module) -> Iterator[list[Any]]:
    """While open, batch norms start anew and average over all batches.

    Yields them; afterwards all modes are restored.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    modes = {module: module.training for module in network.modules()}
    momenta = {norm: norm.momentum for norm in norms}
    try:
        network.eval()
        for norm in norms:
            norm.reset_running_stats()
            norm.train()
            norm.momentum = None  # a plain average over the batches
        yield norms
    finally:
        for norm, momentum in momenta.items():
            norm.momentum = momentum
        for module, training in modes.items():
            module.training = training
