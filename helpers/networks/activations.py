"""Layers by name, streamed into a compressed representation: one pass over the images for all layers and networks.

A neuron is a channel of a convolutional layer (its samples: all images × positions) or a unit of a fully connected
one. What comes out is the joint Gram matrix of a layer's neurons in all networks; memory does not grow with the data.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadInput, unknown
from ..subspaces import Gram, GramAccumulator

Batch = Tensor | Sequence[Tensor]  # the same images for all networks, or one tensor of images per network
PAPER_POSITIONS, PAPER_DRAWS = 10_000, 16
NO_MEMORY = ("allocate memory", "enough memory", "out of memory", "ALLOC_FAILED")  # PyTorch says it in many ways


@dataclass(frozen=True)
class Sampling:
    """The paper's protocol: `positions` random samples of a convolutional layer, drawn `draws` times."""

    positions: int = PAPER_POSITIONS
    draws: int = PAPER_DRAWS


@contextmanager
def captured(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass leaves a copy of the named layers' outputs in the yielded dictionary.

    Copied before a later in-place operation can spoil them. On leaving, whatever happened, the hooks are removed and
    every module's train or evaluation mode is as it was. Raises BadInput for a name that is not a module of `network`.
    """
    modules = dict(network.named_modules())
    for name in layers:
        if name not in modules or not name:
            raise unknown("layer", name, [valid for valid in modules if valid])
    outputs: dict[str, Tensor] = {}
    modes = {module: module.training for module in network.modules()}
    hooks = [modules[name].register_forward_hook(_keep(outputs, name)) for name in layers]
    try:
        network.eval()
        with torch.inference_mode():
            yield outputs
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes.items():
            module.training = training


def _keep(outputs: dict[str, Tensor], name: str):  # type: ignore[no-untyped-def]
    def hook(module: nn.Module, inputs: object, output: object) -> None:
        if not isinstance(output, Tensor):
            raise BadInput(f"layer {name} returns {type(output).__name__}: expected one tensor; choose another layer")
        outputs[name] = output.detach().clone()

    return hook


def neurons(output: Tensor) -> Float[Tensor, "neurons samples"]:
    """A layer's output on a batch with one row per neuron.

    (images, units) has a sample per image; (images, channels, height, width) one per image and position, in that order;
    (images, tokens, features), as transformers give it, one per image and token.
    """
    if output.ndim == 2:
        return output.T
    if output.ndim == 3:
        return output.flatten(0, 1).T
    if output.ndim == 4:
        return output.transpose(0, 1).flatten(1)
    raise BadInput(f"a layer's output has shape {tuple(output.shape)}: expected 2, 3 or 4 dimensions, images first")


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
    """Compress every named layer of all networks in one pass over the images.

    `layers` are module names, the same for all networks, or one list of names per network (the k-th of each belong
    together, and the first network's name them). A batch is a tensor of images, or one tensor per network. `sampling`
    needs the number of `images`. Raises BadInput for a layer that is unknown or named twice, for wrong shapes, and for
    activations that are not finite.
    """
    if not networks or not layers:
        raise BadInput("nothing to compare: expected at least one network and one layer")
    if sampling and not images:
        raise BadInput("sampling positions needs the number of images in advance")
    named = _names(networks, layers)
    streams: dict[str, _Stream] = {}
    for batch in batches:
        parts = _parts(batch, len(networks))
        for layer, blocks in _outputs(networks, named, parts).items():
            if layer not in streams:
                streams[layer] = _Stream(layer, blocks, len(parts[0]), images, sampling)
            streams[layer].add(blocks)
    if not streams:
        raise BadInput("no images: expected at least one batch")
    return {layer: stream.result() for layer, stream in streams.items()}


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


def _outputs(networks: Sequence[nn.Module], named: list[list[str]], parts: Sequence[Tensor]) -> dict[str, list[Tensor]]:
    """For each layer one (neurons, samples) block per network."""
    blocks: dict[str, list[Tensor]] = {layer: [] for layer in named[0]}
    for network, names, part in zip(networks, named, parts, strict=True):
        with captured(network, names) as outputs:
            found = _forward(network, part, outputs)
        for layer, name in zip(named[0], names, strict=True):
            if name not in found:
                raise BadInput(f"layer {name} took no part in the forward pass: expected a module that is called")
            blocks[layer].append(found[name])
    return blocks


class _Stream:
    """One layer's accumulators: all samples, and the random draws' share of each batch."""

    def __init__(
        self, layer: str, blocks: Sequence[Tensor], batch: int, images: int | None, sampling: Sampling | None
    ) -> None:
        sizes = [len(block) for block in blocks]
        self.layer, self.seen = layer, 0
        self.full = GramAccumulator(sizes)
        self.chosen: list[np.ndarray] = []
        if sampling and images:
            total = images * (blocks[0].shape[1] // batch)
            self.chosen = draw_positions(total, sampling, layer)
        self.draws = [GramAccumulator(sizes) for _ in self.chosen]

    def add(self, blocks: Sequence[Tensor]) -> None:
        try:
            blocks = [block.double() for block in blocks]
            self.full.add(blocks)
        except BadInput as error:
            raise BadInput(f"layer {self.layer}: {error}") from error
        width = blocks[0].shape[1]
        for accumulator, chosen in zip(self.draws, self.chosen, strict=True):
            here = chosen[np.searchsorted(chosen, self.seen) : np.searchsorted(chosen, self.seen + width)] - self.seen
            if len(here):
                accumulator.add([block[:, torch.from_numpy(here).to(block.device)] for block in blocks])
        self.seen += width

    def result(self) -> Compressed:
        return Compressed(self.full.result(), [draw.result() for draw in self.draws])


def draw_positions(total: int, sampling: Sampling, layer: str) -> list[np.ndarray]:
    """Ascending sample numbers of each draw, without repetition; none where all samples would be taken anyway."""
    if total <= sampling.positions:
        return []
    rng = np.random.default_rng([0, *layer.encode()])  # the same samples in every run, others in every layer
    return [np.sort(rng.choice(total, sampling.positions, replace=False)) for _ in range(sampling.draws)]


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
    with _measuring(network), torch.no_grad():
        for batch in images:
            forward(network, batch)
    return network


@contextmanager
def _measuring(network: nn.Module) -> Iterator[None]:
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
