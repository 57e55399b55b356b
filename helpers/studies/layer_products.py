"""PairProducts of neurons of any layer of one network with any layer of another, in one pass over the inputs.

Layers of different sizes are set beside each other at the resolution that both have: two maps at the smaller height and
width (adaptive average pooling), anything else at one sample per input (the mean over positions). Of token models all
tokens that are no padding are samples, or the class token alone, or the mean over tokens.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from ..errors import BadInput, unknown
from ..networks.activations import forward
from ..networks.calls import tapped
from ..networks.inputs import Inputs, mask_of, tensors_of
from ..networks.layouts import arranged
from ..streaming import BlockAccumulator, GramBlocks
from ..subspaces import Gram

TOKENS = ("all", "class", "mean")
Places = tuple[int, ...]  # (height, width) of a map, (tokens,) of a sequence, () where an input is one sample
Maps = Float[Tensor, "neurons images places"]


@dataclass(frozen=True)
class LayerSide:
    """One layer of one network: 0 for a, 1 for b; the axis of its neurons, their number, its positions."""

    network: int
    layer: str
    layout: str
    neurons: int
    places: Places


def shared_places(a: Places, b: Places, tokens: str = "all") -> Places:
    """The resolution at which two layers are set beside each other."""
    if len(a) == len(b) == 2:
        return min(a[0], b[0]), min(a[1], b[1])
    return a if a == b and tokens == "all" else ()


def at_places(maps: Maps, places: Places, wanted: Places, tokens: str, mask: Tensor | None) -> Maps:
    """A layer's output on a batch at another resolution."""
    if places == wanted:
        return maps
    if len(wanted) == 2:
        return adaptive_avg_pool2d(maps.unflatten(2, places), wanted).flatten(2)
    if len(places) == 1 and tokens == "class":
        return maps[:, :, :1]
    if mask is not None and tuple(mask.shape) == (maps.shape[1], maps.shape[2]):
        weights = mask.to(maps) / mask.sum(1, keepdim=True).to(maps).clamp_min(1)
        return (maps * weights).sum(2, keepdim=True)
    return maps.mean(2, keepdim=True)


@dataclass
class _Group:
    """All layers at one resolution: their joint matrix on a batch, and the products of the pairs among them."""

    places: Places
    members: list[LayerSide] = field(default_factory=list)
    pairs: list[tuple[int, int]] = field(default_factory=list)
    sums: BlockAccumulator | None = None
    largest: np.ndarray | None = None

    def place_of(self, side: LayerSide) -> int:
        if side not in self.members:
            self.members.append(side)
        return self.members.index(side)

    def add(self, outputs: Mapping[tuple[int, str], Maps], tokens: str, mask: Tensor | None) -> None:
        parts = [
            at_places(outputs[side.network, side.layer], side.places, self.places, tokens, mask)
            for side in self.members
        ]
        keep = mask if mask is not None and self.places == tuple(mask.shape[1:]) else None
        home = parts[0].device if parts[0].is_cuda else "cpu"  # other accelerators have no float64
        rows = [part.flatten(1) if keep is None else part[:, keep.bool()] for part in parts]
        joint = torch.empty((sum(map(len, rows)), rows[0].shape[1]), dtype=torch.float64, device=home)
        torch.cat([row.to(home, torch.float64) for row in rows], out=joint)
        if self.sums is None or self.largest is None:
            self.sums = BlockAccumulator([len(row) for row in rows], self.pairs)
            self.largest = np.zeros(len(joint))
        self.sums.add_joint(joint)
        low, high = torch.aminmax(joint, dim=1)
        self.largest = np.maximum(self.largest, torch.maximum(-low, high).cpu().numpy())


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


class LayerProducts:
    """Accumulates the products of pairs of layers. `add` takes the next inputs, `of` gives a pair's result."""

    def __init__(
        self, networks: Sequence[nn.Module], pairs: Iterable[tuple[LayerSide, LayerSide]], tokens: str = "all"
    ) -> None:
        if tokens not in TOKENS:
            raise unknown("way to take tokens", tokens, TOKENS)
        self.networks, self.tokens = networks, tokens
        self.groups: dict[Places, _Group] = {}
        self.where: dict[tuple[LayerSide, LayerSide], tuple[Places, int, int]] = {}
        self.results: dict[Places, GramBlocks] = {}
        for a, b in pairs:
            places = shared_places(a.places, b.places, tokens)
            group = self.groups.setdefault(places, _Group(places))
            self.where[a, b] = places, group.place_of(a), group.place_of(b)
            group.pairs.append(self.where[a, b][1:])

    def add(self, inputs: Sequence[Inputs]) -> None:
        """The next batch, as each network takes it. BadInput names the layer whose values are not finite."""
        outputs: dict[tuple[int, str], Maps] = {}
        for k, network in enumerate(self.networks):
            outputs |= self._heard(k, network, inputs[k])
        for group in self.groups.values():
            try:
                group.add(outputs, self.tokens, mask_of(inputs[0]))
            except BadInput as error:
                names = ", ".join(dict.fromkeys(side.layer for side in group.members))
                raise BadInput(f"layer {names}: {error}") from error

    def _heard(self, k: int, network: nn.Module, inputs: Inputs) -> dict[tuple[int, str], Maps]:
        sides = {side.layer: side for group in self.groups.values() for side in group.members if side.network == k}
        found: dict[tuple[int, str], Maps] = {}
        images = len(tensors_of(inputs)[0])

        def take(layer: str, output: Tensor) -> None:
            if output.is_complex():
                raise BadInput(f"activations of layer {layer} are not an array of real numbers: found complex ones")
            found[k, layer] = arranged(output, sides[layer].layout, images)[0].clone()

        with tapped(network, list(sides), take):
            forward(network, inputs)
        return found

    def of(self, a: LayerSide, b: LayerSide) -> PairProducts:
        """The products of two layers over all inputs so far."""
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
