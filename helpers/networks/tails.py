"""Tails: what a network computes after one of its layers, as a network of its own. A stitched layer feeds a tail.

A tail shares its weights with the network but has its own batch-norm statistics. So recalibrating them after a stitch
does not change the network. Running only the tail also saves the time of everything before it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadInput, unknown
from .activations import measuring
from .architectures import family_of, layers
from .devices import pays_bf16


class Tail(nn.Module):
    """Everything after a layer. `inputs` names the layers whose activations it takes, in this order.

    It takes one layer, except inside a residual block. There the shortcut goes around the inner layer, so the tail
    also takes what enters the block.
    """

    def __init__(self, inputs: tuple[str, ...], first: nn.Module | None, rest: Iterable[nn.Module]) -> None:
        super().__init__()
        self.inputs = inputs
        self.first, self.rest = first, nn.Sequential(*rest)

    def forward(self, *activations: Tensor) -> Float[Tensor, "n classes"]:
        """Logits from the activations of `inputs`."""
        (x,) = activations if self.first is None else (self.first(*activations),)
        return self.rest(x)


def tail(network: nn.Module, layer: str) -> Tail:
    """The tail of one of this book's networks after one of its `layers(network)`.

    Raises `BadInput` for another network, for one that cannot be cut, and for a name that is not one of its layers.
    """
    family = family_of(network)
    if family is None:
        raise BadInput(f"{type(network).__name__} is not one of this book's networks: only those can be cut")
    if family.in_order is None:
        raise BadInput(f"networks of the family {family.name} do not say how their parts follow: they cannot be cut")
    known = [each.name for each in layers(network)]
    if layer not in known:
        raise unknown("layer", layer, known)
    parts = family.in_order(network)
    place, name = [(k, name) for k, name in enumerate(parts) if _is_in(layer, name)][-1]
    first = family.inside(parts[name], layer.removeprefix(f"{name}."))
    inputs = [layer]
    if first is not None and first.takes_entering:
        inputs += [each for each in known if _is_in(each, list(parts)[place - 1])][-1:]
    return _own_statistics(Tail(tuple(inputs), first, list(parts.values())[place + 1 :]))


def _is_in(layer: str, part: str) -> bool:
    """Whether a layer is a part of the network or lies inside it."""
    return layer == part or layer.startswith(f"{part}.")


def _own_statistics(original: Tail) -> Tail:
    """A copy that shares every parameter and has its own buffers."""
    return deepcopy(original, {id(parameter): parameter for parameter in original.parameters()}).eval()


class LinearMap(nn.Module):
    """Every neuron is a linear mix of the source's neurons plus an intercept, at every position.

    For maps it is a 1 × 1 convolution.
    """

    weight: Tensor
    intercept: Tensor

    def __init__(self, weight: Float[Tensor, "out neurons"], intercept: Float[Tensor, " out"]) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("intercept", intercept)

    def forward(self, source: Tensor) -> Tensor:
        """The mapped activations, always in float32, because nearly dependent neurons have large weights."""
        with torch.autocast(source.device.type, enabled=False):
            if source.ndim == 4:
                return nn.functional.conv2d(source.float(), self.weight[:, :, None, None], self.intercept)
            return nn.functional.linear(source.float(), self.weight, self.intercept)


class Stitched(nn.Module):
    """A network's tail whose inputs are another network's activations, through one linear map per input."""

    def __init__(self, maps: Iterable[LinearMap], after: Tail) -> None:
        super().__init__()
        self.maps, self.after = nn.ModuleList(maps), after

    def forward(self, outputs: dict[str, Tensor]) -> Float[Tensor, "n classes"]:
        """Logits from the source's activations by layer."""
        return self.after(*(stitch(outputs[name]) for stitch, name in zip(self.maps, self.after.inputs, strict=True)))


def recalibrate(stitched: Mapping[Any, Stitched], streams: Iterable[Mapping[Any, dict[str, Tensor]]]) -> None:
    """Set the batch-norm statistics after each stitch, in place, from what its tail now sees.

    The weights do not change.

    Each element of `streams` gives, for one batch and every stitched network, the source's activations by layer.
    """
    with ExitStack() as stack:
        for network in stitched.values():
            stack.enter_context(measuring(network))
        for outputs in streams:
            for key, network in stitched.items():
                network(outputs[key])


@contextmanager
def quick(device: str = "cpu") -> Iterator[None]:
    """No gradients, and bfloat16 if it is faster on this machine."""
    with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=pays_bf16(torch.device(device))):
        yield
