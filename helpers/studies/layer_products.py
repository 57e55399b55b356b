"""Products of neurons of any layer of one network with any layer of another, in one pass over the inputs.

Layers of different sizes are compared at one common resolution. Two maps are brought to the smaller height and width
(adaptive average pooling). Anything else gets one sample per input, the mean over positions. For token models
the samples are all tokens that are no padding, or only the class token, or the mean over tokens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ..errors import BadInput, unknown
from ..networks.calls import tapped
from ..networks.inputs import Inputs, mask_of, part_of, tensors_of
from ..networks.layouts import about_layer, arranged
from ..networks.order import forward
from ..streaming import BlockAccumulator, GramBlocks
from ..subspaces import Gram

ROOM = 2**26  # numbers of all layers that are held at once: half a GiB
TOKENS = ("all", "class", "mean")
Places = tuple[int, ...]  # (height, width) of a map, (tokens,) of a sequence, () where an input is one sample
Maps = Float[Tensor, "neurons images places"]


@dataclass(frozen=True)
class LayerSide:
    """One layer of one network (0 for a, 1 for b): its layout, the number of its neurons, and its positions."""

    network: int
    layer: str
    layout: str
    neurons: int
    places: Places


def shared_places(a: Places, b: Places, tokens: str = "all") -> Places:
    """The resolution at which two layers are compared: the smaller one of two maps, else one sample per input."""
    if len(a) == len(b) == 2:
        return min(a[0], b[0]), min(a[1], b[1])
    return a if a == b and tokens == "all" else ()


def at_places(maps: Maps, places: Places, wanted: Places, tokens: str, mask: Tensor | None) -> Maps:
    """A layer's output on a batch, brought to the resolution `wanted`."""
    if places == wanted:
        return maps
    if len(wanted) == 2:
        return adaptive_avg_pool2d(maps.unflatten(2, places), wanted).flatten(2)
    if mask is not None and tuple(mask.shape) != (maps.shape[1], maps.shape[2]):
        mask = None  # the mask belongs to other tokens than those of this layer
    if len(places) == 1 and tokens == "class":
        return first_token(maps, mask)
    if mask is None:
        return maps.mean(2, keepdim=True)
    weights = mask.to(maps) / mask.sum(1, keepdim=True).to(maps).clamp_min(1)
    return (maps * weights).sum(2, keepdim=True)


def without_padding(maps: Maps, mask: Tensor | None) -> Tensor:
    """The tokens that are no padding, as samples, if the mask belongs to these tokens; else the maps as they are."""
    if mask is None or tuple(mask.shape) != tuple(maps.shape[1:]):
        return maps
    return maps[:, mask.to(maps.device).bool()]


def first_token(maps: Maps, mask: Tensor | None) -> Maps:
    """The first token of each input that is no padding: the class token of most models. Padding may stand before it."""
    if mask is None:
        return maps[:, :, :1]
    first = mask.to(maps.device).long().argmax(1)
    return maps[:, torch.arange(len(first), device=maps.device), first].unsqueeze(2)


@dataclass
class _Group:
    """All layers at one resolution: their joint matrix on some inputs, and the products of the pairs among them."""

    places: Places
    members: list[LayerSide] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    buffer: Tensor | None = None  # memory of the joint matrix, used again for all inputs
    joint: Float[Tensor, "neurons samples"] | None = None
    sums: BlockAccumulator | None = None
    largest: np.ndarray | None = None

    def place_of(self, side: LayerSide) -> int:
        if side not in self.members:
            self.members.append(side)
        return self.members.index(side)

    @property
    def ends(self) -> list[int]:
        """The first row of each member in the joint matrix, and the end of the last member's rows."""
        return [0, *accumulate(side.neurons for side in self.members)]

    def put(self, side: LayerSide, part: Tensor) -> None:
        """Copy a layer's output, (neurons, samples) or (neurons, images, places), to its rows of the joint matrix.

        Raises `BadInput` if its numbers of neurons or samples do not fit.
        """
        samples = part[0].numel()
        if self.joint is None:
            self.joint = self._laid_out(samples, part)
        if (len(part), samples) != (side.neurons, self.joint.shape[1]):
            raise BadInput(
                f"layer {side.layer} has {len(part)} neurons and {samples} samples: expected {side.neurons} and "
                f"{self.joint.shape[1]}, as layers that are set beside each other have the same samples"
            )
        start = self.ends[self.members.index(side)]
        self.joint[start : start + len(part)].view(part.shape).copy_(part)

    def _laid_out(self, samples: int, like: Tensor) -> Tensor:
        count = self.ends[-1] * samples
        if self.buffer is None or self.buffer.numel() < count:
            home = like.device if like.is_cuda else "cpu"  # other accelerators have no float64
            self.buffer = torch.empty(count, dtype=torch.float64, device=home)
        return self.buffer[:count].view(self.ends[-1], samples)

    def add(self) -> None:
        """Add the joint matrix to the sums."""
        assert self.joint is not None
        if self.sums is None or self.largest is None:
            names = [f"{'ab'[side.network]} (layer {side.layer})" for side in self.members]
            self.sums = BlockAccumulator([side.neurons for side in self.members], self.pairs, names)
            self.largest = np.zeros(self.ends[-1])
        self.sums.add_joint(self.joint)
        if self.joint.shape[1]:
            low, high = self.joint.amin(1), self.joint.amax(1)
            self.largest = np.maximum(self.largest, torch.maximum(-low, high).cpu().numpy())
        self.joint = None


@dataclass(frozen=True)
class PairProducts:
    """Two layers' joint Gram matrix, and the largest absolute value of each neuron, which shows a lone sample."""

    gram: Gram
    largest: Float[np.ndarray, " neurons"]

    @property
    def peak_shares(self) -> Float[np.ndarray, " neurons"]:
        """The share of each neuron's power that its largest sample holds; 0 for dead neurons."""
        squares = np.diag(self.gram.gram)
        return np.divide(self.largest**2, squares, out=np.zeros(len(squares)), where=squares > 0)


class SampleKeeper(Protocol):
    """Keeps some samples of layers while the products of all samples are summed."""

    @property
    def room(self) -> int:
        """The bytes that it needs."""

    def put(self, key: tuple[Places, LayerSide], maps: Maps, first_input: int, whole: bool) -> None:
        """Take a layer's output at a resolution. `whole` says that each input has all its positions."""


class LayerProducts:
    """Accumulates the products of pairs of layers: `add` takes the next inputs, `of` gives the result of one pair.

    Batches are passed in parts for which there is memory, or `whole` if outputs depend on what else is in a batch.
    Raises `BadInput` for a value of `tokens` that is not in `TOKENS`.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        pairs: Iterable[tuple[LayerSide, LayerSide]],
        tokens: str = "all",
        whole: bool = False,
        kept: "SampleKeeper | None" = None,
    ) -> None:
        if tokens not in TOKENS:
            raise unknown("way to take tokens", tokens, TOKENS)
        self.networks, self.tokens, self.whole, self.kept = networks, tokens, whole, kept
        self.inputs = 0  # whose products are in the sums
        self.groups: dict[Places, _Group] = {}
        self.where: dict[tuple[LayerSide, LayerSide], tuple[Places, int, int]] = {}
        self.results: dict[Places, GramBlocks] = {}
        for a, b in pairs:
            places = shared_places(a.places, b.places, tokens)
            group = self.groups.setdefault(places, _Group(places))
            self.where[a, b] = places, group.place_of(a), group.place_of(b)
            group.pairs.append(self.where[a, b][1:])

    def add(self, inputs: Sequence[Inputs]) -> None:
        """Add the next batch, as each network takes it, in parts for which there is memory.

        Raises `BadInput` that names a layer whose values are not finite, or whose samples are not those of the layer
        beside it. It is also raised for two networks with different padding, unless tokens is "mean".
        """
        masks = [mask_of(given) for given in inputs]
        both = [mask.cpu() for mask in masks if mask is not None]
        if self.tokens == "all" and len(both) == 2 and both[0].shape == both[1].shape and not torch.equal(*both):
            raise BadInput("the two networks have padding at different tokens: expected the same, or tokens='mean'")
        count = len(tensors_of(inputs[0])[0])
        size = count if self.whole else self.size
        for start in range(0, count, size):
            for k, network in enumerate(self.networks):
                given = part_of(inputs[k], start, start + size) if size < count else inputs[k]
                self._hear(k, network, given)
            for group in self.groups.values():
                group.add()
            self.inputs += min(size, count - start)

    @property
    def size(self) -> int:
        """How many inputs are processed at once, so that all joint matrices fit into `ROOM`."""
        return max(1, ROOM // max(1, self._numbers))

    @property
    def room(self) -> int:
        """The bytes of all joint matrices of a part of a batch, and of the samples that are kept."""
        return 8 * self._numbers * self.size + (self.kept.room if self.kept is not None else 0)

    @property
    def _numbers(self) -> int:
        return sum(group.ends[-1] * samples_of(group.places, 1) for group in self.groups.values())

    def _hear(self, k: int, network: nn.Module, inputs: Inputs) -> None:
        sides = {side.layer: side for group in self.groups.values() for side in group.members if side.network == k}
        images, mask = len(tensors_of(inputs)[0]), mask_of(inputs)

        def take(layer: str, output: Tensor) -> None:
            if output.is_complex():
                raise BadInput(f"activations of layer {layer} are not an array of real numbers: found complex ones")
            with about_layer(layer):
                maps, places = arranged(output, sides[layer].layout, images)
            for group in self.groups.values():
                if (side := sides[layer]) in group.members:
                    wanted = places if side.places == group.places else group.places  # lengths of texts may vary
                    at_wanted = at_places(maps, places, wanted, self.tokens, mask)
                    part = without_padding(at_wanted, mask)
                    group.put(side, part)
                    if self.kept is not None:
                        whole = wanted == group.places and part.numel() == at_wanted.numel()
                        self.kept.put((group.places, side), at_wanted, self.inputs, whole)

        with tapped(network, list(sides), take):
            forward(network, inputs)

    def of(self, a: LayerSide, b: LayerSide) -> PairProducts:
        """The products of two layers over all inputs so far.

        Raises `BadInput` if there were no inputs, and, with the layer's name, for values that are not finite.
        """
        places, i, j = self.where[a, b]
        group = self.groups[places]
        if group.sums is None or group.largest is None:
            raise BadInput("no images: expected at least one batch")
        if places not in self.results:
            try:
                self.results[places] = group.sums.result()
            except BadInput as error:
                raise BadInput(f"layer {a.layer} or another of its size: {error}") from error
        ends = group.sums.ends
        largest = np.concatenate([group.largest[ends[k] : ends[k + 1]] for k in (i, j)])
        return PairProducts(self.results[places].networks([i, j]), largest)


def samples_of(places: Places, images: int) -> int:
    """How many samples `images` inputs give at a resolution."""
    return images * int(np.prod(places, initial=1))
