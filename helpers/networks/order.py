"""Is an input's output where it should be, and is it the same whatever else is in the batch? Found from a few passes.

If the inputs change places, the outputs must change places in the same way. Where they do not, the axis of the images
is wrong, or the network draws at random, or what it gives for an input depends on its place in the batch. An input is
also passed beside a copy of itself: then batch norm without statistics, attention across the batch and values that are
quantised by the batch's range give it another output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import torch
from torch import Tensor, nn

from ..errors import BadInput
from .calls import tapped, unwrapped
from .inputs import Inputs, each_part, tensors_of
from .layouts import LAYOUTS, arranged

NO_MEMORY = ("allocate memory", "enough memory", "out of memory", "ALLOC_FAILED")  # PyTorch has several messages
ROUNDING = 1e-5  # of a layer's largest value: what passes of other batches may differ by in float32
COARSE = 0.01  # the same for numbers with 8 bits, and of each neuron's own largest value
MIXING = 1e-3  # of a neuron's largest value: from here on an output depends on what else is in the batch


def forward(network: nn.Module, images: Inputs) -> None:
    """Run a network on a copy of the images, on its device. Hooks and batch norms keep what they need.

    Nothing is returned. Whatever the network does to its inputs, the images stay as they are. Images of real numbers
    get the type of the network's weights, if all have one. Raises `BadInput` for images that the network cannot take,
    and MemoryError or torch.OutOfMemoryError if memory is short.
    """
    network = unwrapped(network)
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), None)
    types = {weights.dtype for weights in network.parameters() if weights.is_floating_point()}

    def own(part: Tensor) -> Tensor:
        dtype = next(iter(types)) if len(types) == 1 and part.is_floating_point() else part.dtype
        return part.to(device or part.device, dtype, copy=True)

    try:
        given = each_part(images, own)
        network(given) if isinstance(given, Tensor) else network(**given)
    except (BadInput, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # networks of others can fail in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        if any(words in reason for words in NO_MEMORY):
            raise MemoryError(reason) from error
        shape = tuple(tensors_of(images)[0].shape)
        raise BadInput(f"inputs of shape {shape} do not fit {type(network).__name__}: {reason}") from error


@dataclass(frozen=True)
class Order:
    """What a few passes say of the layers of a network.

    - wrong: layers that give no certain output for an input, with the reason;
    - placed: layers whose output for an input depends on its place in the batch, with what was seen;
    - outputs: what all layers gave.
    """

    wrong: dict[str, str] = field(default_factory=dict)
    placed: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, "Output"] = field(default_factory=dict)


def order_of(network: nn.Module, few: Inputs, layouts: Mapping[str, str]) -> Order:
    """What passes of a few inputs say of these layers. On the meta device, without numbers, nothing is found."""
    if any(tensor.is_meta for tensor in (*network.parameters(), *tensors_of(few))):
        return Order()
    before = _random_states()
    first = _outputs(network, few, layouts)
    order = Order(outputs=first)
    moved = _outputs(network, each_part(few, lambda part: part.roll(1, 0)), layouts)
    unmoved = [layer for layer, one in first.items() if not one.follows(moved[layer])]
    again = _outputs(network, few, {layer: layouts[layer] for layer in unmoved}) if unmoved else {}
    shape = tuple(tensors_of(few)[0].shape)
    drawn = any(not torch.equal(*states) for states in zip(before, _random_states(), strict=True))
    for layer in unmoved:
        if drawn or not first[layer].equals(again[layer]):
            order.wrong[layer] = (
                f"layer {layer} draws at random, or gives other outputs for the same inputs: expected nothing random"
            )
        elif reason := first[layer].misplaced(moved[layer], layer, shape):
            order.wrong[layer] = reason
        else:
            order.placed[layer] = (
                f"layer {layer}: its outputs do not change places as the inputs of shape {shape} do: expected images "
                "on axis 0 of both, and that an input's output does not depend on its place in the batch"
            )
    return order


def _random_states() -> list[Tensor]:
    """The states of PyTorch's generators of random numbers, which change when a number is drawn."""
    return [torch.random.get_rng_state(), *(torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [])]


def mixing_of(network: nn.Module, few: Inputs, first: Mapping[str, "Output"]) -> dict[str, float]:
    """The layers that give an input another output beside a copy of itself, with the largest difference as a share.

    `first` is what they gave for all of the few inputs. Nothing is found of a network that does not take two inputs.
    """
    shares: dict[str, float] = {}
    layouts = {layer: one.layout for layer, one in first.items()}
    try:
        for k in range(2):  # quantisation by the largest value leaves the input that holds it as it is
            beside = _outputs(network, each_part(few, partial(_twice, k)), layouts)
            for layer, one in first.items():
                share = one.differs(beside[layer], k)
                if share > (COARSE if one.coarse else MIXING):
                    shares[layer] = max(share, shares.get(layer, 0.0))
    except BadInput:
        return {}
    return shares


def _twice(k: int, part: Tensor) -> Tensor:
    return part[k : k + 1].repeat_interleave(2, 0)


def _outputs(network: nn.Module, images: Inputs, layouts: Mapping[str, str]) -> dict[str, "Output"]:
    """The outputs of one pass, without complex ones, which are refused elsewhere."""
    outputs: dict[str, Output] = {}

    def take(layer: str, output: Tensor) -> None:
        if not output.is_complex():
            coarse = output.dtype not in (torch.float32, torch.float64) or output.device.type != "cpu"
            values = output.float().nan_to_num().clone()
            outputs[layer] = Output(values, layouts[layer], len(tensors_of(images)[0]), coarse)

    with tapped(network, list(layouts), take):
        forward(network, images)
    return outputs


@dataclass(frozen=True)
class Output:
    """What a layer gave for some inputs. Values are `coarse` if they have few bits, or a GPU computed them."""

    values: Tensor
    layout: str
    images: int
    coarse: bool

    @property
    def axis(self) -> int:
        """The axis of the images."""
        return self.layout.index("n")

    @property
    def fits(self) -> bool:
        """Whether there are as many outputs as inputs, or a multiple of them."""
        return self._fits(self.axis)

    def _fits(self, axis: int) -> bool:
        return self.values.shape[axis] > 0 and self.values.shape[axis] % self.images == 0

    @property
    def rows(self) -> Tensor:
        """(neurons, images, places)."""
        return arranged(self.values, self.layout, self.images)[0]

    def equals(self, other: "Output") -> bool:
        """Whether both are the same up to rounding."""
        return self._same(self.values, other.values, self.layout.replace("d", "c").index("c"))

    def follows(self, moved: "Output") -> bool:
        """Whether `moved` has the outputs in the new places of the inputs."""
        return self.fits and moved.fits and self._same(self.rows.roll(1, 1), moved.rows, 0)

    def _same(self, first: Tensor, second: Tensor, neurons: int) -> bool:
        """Whether they are equal up to rounding. One neuron of large values does not hide the others."""
        if first.shape != second.shape or not first.numel():
            return first.shape == second.shape
        largest = float(first.abs().amax())
        others = [axis for axis in range(first.ndim) if axis != neurons]
        own = first.abs().amax(others, keepdim=True) if not self.coarse else largest
        return bool(((first - second).abs() <= COARSE * own + ROUNDING * largest).all())

    def misplaced(self, moved: "Output", layer: str, shape: tuple[int, ...]) -> str | None:
        """Where the images are instead, in words; None if they are nowhere else."""
        own = tuple(self.values.shape)
        if not self.fits:
            return (
                f"layer {layer}: outputs of shape {own} for inputs of shape {shape}: expected one for each input along "
                f"axis {self.axis}, and images on axis 0 of the inputs"
            )
        for axis in range(self.values.ndim):
            turned = self._fits(axis) and self.values.roll(self.values.shape[axis] // self.images, axis)
            if axis != self.axis and turned is not False and self._same(turned, moved.values, self.axis):
                fit = [name for name in LAYOUTS if len(name) == len(own) and name.index("n") == axis]
                say = f"say layouts={{'{layer}': '{fit[0]}'}}" if fit else "choose another layer"
                return f"layer {layer}: outputs of shape {own} have the images on axis {axis}, not {self.axis}: {say}"
        return None

    def differs(self, beside: "Output", k: int) -> float:
        """The largest difference of input k here from the first one of `beside`, as a share of a neuron's values."""
        if not beside.fits:
            return 0.0
        here, there = self.rows, beside.rows
        if here.shape[::2] != there.shape[::2] or not here.numel():
            return 0.0
        gap = (here[:, k] - there[:, 0]).abs().amax(1)
        size = torch.maximum(here.abs().amax((1, 2)), there.abs().amax((1, 2)))
        sure = gap > ROUNDING * size.max()
        return float((gap[sure] / size[sure]).max()) if bool(sure.any()) else 0.0
