"""What a pass over the images can collect of a layer: Gram matrices, random draws, activations of some images.

The collector (`activations.stream`) gives every accumulator one `LayerBatch` after another. A kind of accumulator is a
function that takes the first batch, for its sizes, and returns an object with `add(batch)` and `result()`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from ..errors import BadInput
from ..streaming import BlockAccumulator, DrawAccumulator, GramAccumulator, GramBlocks
from ..subspaces import Gram, check_kind, check_samples

PAPER_POSITIONS, PAPER_DRAWS = 10_000, 16


@dataclass(frozen=True)
class Sampling:
    """The paper's protocol: `positions` random samples of a convolutional layer, drawn `draws` times."""

    positions: int = PAPER_POSITIONS
    draws: int = PAPER_DRAWS


@dataclass(eq=False)
class LayerBatch:
    """One layer of all networks on one batch of images, in float64 on the first network's device.

    `joint` is valid until the next batch. `shapes` are the networks' positions, () if there are none. `tag` is what
    came with the images, such as labels. `layers` are all layers of the batch.
    """

    layer: str
    joint: Float[Tensor, "neurons samples"]
    sizes: tuple[int, ...]
    shapes: tuple[tuple[int, ...], ...]
    images: int
    first_image: int
    tag: Any = None
    layers: Mapping[str, "LayerBatch"] = field(default_factory=dict, repr=False)

    def rows(self, network: int) -> Float[Tensor, "neurons samples"]:
        """One network's neurons."""
        start = sum(self.sizes[:network])
        return self.joint[start : start + self.sizes[network]]

    def maps(self, network: int) -> Float[Tensor, "neurons images places"]:
        """One network's neurons, with images and positions on separate axes."""
        return self.rows(network).unflatten(1, (self.images, -1))


class Accumulator(Protocol):
    """Takes batches of one layer, one after another, and keeps only a small result."""

    def add(self, batch: LayerBatch) -> Any:
        """Add the next images. Raises `BadInput` for values that are not finite."""

    def result(self) -> Any:
        """The result of all batches so far."""


Kind = Callable[[LayerBatch], Accumulator]  # starts an accumulator for a layer, from its first batch


@dataclass
class Grams:
    """The joint Gram matrix of all networks.

    The result is a `Gram`; with `pairs` a `GramBlocks` of only these pairs.
    """

    inner: GramAccumulator | BlockAccumulator

    @staticmethod
    def kind(pairs: Sequence[tuple[int, int]] | None = None) -> Kind:
        """The function that starts such an accumulator for a layer."""
        if pairs is None:
            return lambda batch: Grams(GramAccumulator(batch.sizes))
        return lambda batch: Grams(BlockAccumulator(batch.sizes, pairs))

    def add(self, batch: LayerBatch) -> None:
        """Add the next images."""
        self.inner.add_joint(batch.joint)

    def result(self) -> Gram | GramBlocks:
        """The sums so far."""
        return self.inner.result()


@dataclass
class Draws:
    """One joint Gram matrix per random draw of samples. The result is a list of `Gram`, empty for small layers."""

    inner: DrawAccumulator

    @staticmethod
    def kind(sampling: Sampling, images: int) -> Kind:
        """The function that starts such an accumulator for a layer; `images` is the number of all images."""

        def start(batch: LayerBatch) -> Draws:
            total = images * (batch.joint.shape[1] // batch.images)
            return Draws(DrawAccumulator(batch.sizes, draw_positions(total, sampling, batch.layer)))

        return start

    def add(self, batch: LayerBatch) -> None:
        """Add the next images."""
        self.inner.add_joint(batch.joint)

    def result(self) -> list[Gram]:
        """The sums of each draw so far."""
        return self.inner.result()


def draw_positions(total: int, sampling: Sampling, layer: str) -> list[np.ndarray]:
    """Ascending sample numbers of each draw, without repetition; empty if a layer has no more samples than that."""
    if total <= sampling.positions:
        return []
    rng = np.random.default_rng([0, *layer.encode()])  # every run draws these samples; each layer has its own
    return [np.sort(rng.choice(total, sampling.positions, replace=False)) for _ in range(sampling.draws)]


class KeptSamples:
    """Raw activations of some images: the result is one (neurons, images, positions) array per network.

    `chosen` are numbers of images; the result has them in ascending order. `size` averages the positions of
    convolutional layers to size × size by adaptive pooling (1: the mean over all positions). None keeps all positions.
    """

    def __init__(self, chosen: Sequence[int], size: int | None, dtype: Any, networks: int) -> None:
        self.chosen, self.size, self.dtype = np.unique(np.asarray(chosen)), size, np.dtype(dtype)
        self.parts: list[list[np.ndarray]] = [[] for _ in range(networks)]

    @staticmethod
    def kind(chosen: Sequence[int], size: int | None = None, dtype: Any = np.float32) -> Kind:
        """The function that starts such an accumulator for a layer.

        Raises `BadInput` for no images and a size below 1.
        """
        if not len(chosen):
            raise BadInput("no images to keep: expected at least one number of an image")
        if size is not None and size < 1:
            raise BadInput(f"size is {size}: expected 1 or more positions per side, or None for all positions")
        return lambda batch: KeptSamples(chosen, size, dtype, len(batch.sizes))

    def add(self, batch: LayerBatch) -> None:
        """Add the next images."""
        end = batch.first_image + batch.images
        here = self.chosen[(self.chosen >= batch.first_image) & (self.chosen < end)] - batch.first_image
        if not len(here):
            return
        for k, parts in enumerate(self.parts):
            kept = batch.maps(k)[:, torch.from_numpy(here).to(batch.joint.device)]
            if self.size and len(batch.shapes[k]) == 2:
                kept = adaptive_avg_pool2d(kept.unflatten(2, batch.shapes[k]), self.size).flatten(2)
            parts.append(kept.cpu().numpy().astype(self.dtype))

    def result(self) -> list[Float[np.ndarray, "neurons images positions"]]:
        """The kept images so far. Raises `BadInput` if there are none."""
        if not self.parts[0]:
            raise BadInput(f"image {self.chosen[0]} is to be kept: expected one of those in the batches")
        return [np.concatenate(parts, axis=1) for parts in self.parts]


class Slots:
    """One layer's buffer: each network's output is copied once, directly into its rows of the joint matrix.

    The first batch tells how many rows each network needs. The buffer is used again for all further batches.
    """

    def __init__(self, layer: str) -> None:
        self.layer = layer
        self.sizes: tuple[int, ...] = ()
        self.buffer: Tensor | None = None
        self.joint: Tensor | None = None
        self.parts: list[Tensor] = []
        self.shapes: list[tuple[int, ...]] = []

    def put(
        self, network: int, output: Tensor, rows: Float[Tensor, "neurons images places"], places: tuple[int, ...]
    ) -> None:
        """Copy the next network's output on the batch.

        `rows` is a view of it, `places` the lengths of its positions.
        """
        check_kind((rows.shape[0], rows.shape[1] * rows.shape[2]), output.is_complex(), str(network))
        if network == 0:
            self._open(rows)
        target = self._target(network, rows)
        target.copy_(rows)
        self.parts.append(target)
        self.shapes.append(places if len(places) == 2 else ())

    def _open(self, rows: Tensor) -> None:
        """Place the joint matrix of this batch in the buffer, which grows if it is too small."""
        if self.buffer is None:
            return
        width, neurons = rows.shape[1] * rows.shape[2], sum(self.sizes)
        if self.buffer.numel() < neurons * width:
            self.buffer = self.buffer.new_empty(neurons * width)
        self.joint = self.buffer[: neurons * width].view(neurons, width)

    def _target(self, network: int, rows: Tensor) -> Tensor:
        """The network's rows of the joint matrix, or a new block if its output does not fit there."""
        if self.joint is not None and self.sizes[network] == len(rows):
            start = sum(self.sizes[:network])
            place = self.joint[start : start + len(rows)]
            if place.numel() == rows.numel():
                return place.view(rows.shape)
        if rows.is_cuda:
            return rows.new_empty(rows.shape, dtype=torch.float64)
        return torch.empty(rows.shape, dtype=torch.float64)  # other accelerators have no float64

    def batch(self, first_image: int, tag: Any) -> LayerBatch:
        """All networks' outputs as one matrix. Raises `BadInput` if their samples or neurons differ."""
        sizes = tuple(map(len, self.parts))
        if self.sizes and sizes != self.sizes:
            raise BadInput(f"blocks of {sizes} neurons: expected {self.sizes}")
        check_samples([part[0].numel() if len(part) else 0 for part in self.parts])
        if self.joint is None:
            self.joint = torch.cat([part.flatten(1) for part in self.parts])
            self.buffer, self.sizes = self.joint.flatten(), sizes
        batch = LayerBatch(self.layer, self.joint, sizes, tuple(self.shapes), self.parts[0].shape[1], first_image, tag)
        self.joint, self.parts, self.shapes = None, [], []
        return batch
