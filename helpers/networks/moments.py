"""Sums of products from which the causes of similarity follow: with features of images, and with other images.

One pass over labelled images collects products of the neurons for every layer:

- with one another;
- with *features* of the images: class indicators, and the networks' logits;
- with another network's neurons on other images.

From these sums, what a feature explains linearly can be taken away from every layer without a second pass. This is a
Schur complement.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from ..errors import unknown
from ..streaming import BlockAccumulator
from ..subspaces import Matrix
from .accumulators import LayerBatch
from .activations import Tagged, stream

LOGITS = "logits"
SHUFFLES = ("same class", "any image")
EXPLAINED = 1e-4  # a neuron that has less than this share of its power left (1 % of its length) counts as dead


@dataclass
class Moments:
    """Sums over all images and positions of one layer. Keys are numbers of networks in the order of the pass.

    - blocks[a, b]: raw cross-products of the neurons of a and b;
    - products[a]: neurons × features × positions, the sum over images of activation × feature;
    - features: the Gram matrix of the features;
    - shuffled[how, a, b]: cross-products of a with b on other images.
    """

    samples: int = 0
    blocks: dict[tuple[int, int], Matrix] = field(default_factory=dict)
    products: dict[int, Float[np.ndarray, "neurons features positions"]] = field(default_factory=dict)
    features: Any = 0.0
    named: dict[str, slice] = field(default_factory=dict)
    shuffled: dict[tuple[str, int, int], Matrix] = field(default_factory=dict)

    def gram(self, *networks: int) -> Matrix:
        """The raw joint Gram matrix of networks that were compared with one another."""
        return np.block([[self._block(a, b) for b in networks] for a in networks])

    def _block(self, a: int, b: int) -> Matrix:
        return self.blocks[a, b] if (a, b) in self.blocks else self.blocks[b, a].T

    def shuffled_gram(self, how: str, a: int, b: int) -> Matrix:
        """The joint Gram matrix with network b on other images; its own block does not depend on their order."""
        cross = self.shuffled[how, a, b]
        return np.block([[self.blocks[a, a], cross], [cross.T, self.blocks[b, b]]])

    def residual_gram(self, taken: dict[int, str]) -> Matrix:
        """The joint Gram matrix of networks, each less what the features named beside it explain.

        Let C_u be the products of u at a position, and K the Gram matrix of the features. Let T be the span that is
        removed from u, and A_u = Tᵀ(T K Tᵀ)⁺T. Then R_uv = G_uv − Σ_positions C_u (A_u + A_v − A_u K A_v) C_vᵀ
        (prp-residual).
        """
        gram, sides = self.gram(*taken), [(a, self.inverse(name)) for a, name in taken.items()]
        explained = np.block([[self._explained(u, v) for v in sides] for u in sides])
        return without_gone(gram - explained, np.diag(gram))

    def _explained(self, u: tuple[int, Matrix], v: tuple[int, Matrix]) -> Matrix:
        (a, inverse_a), (b, inverse_b) = u, v
        middle = inverse_a + inverse_b - inverse_a @ self.features @ inverse_b
        mine, theirs = np.flatnonzero(middle.any(1)), np.flatnonzero(middle.any(0))  # few: not those of all networks
        left = middle[np.ix_(mine, theirs)].T @ self.products[a][:, mine]
        right = self.products[b][:, theirs]
        return left.reshape(len(left), -1) @ right.reshape(len(right), -1).T

    def inverse(self, name: str) -> Matrix:
        """A = Tᵀ(T K Tᵀ)⁺T for "centred" (the constant), "class means", or "logits k" (with the constant).

        Raises `BadInput` for an unknown name.
        """
        size = len(self.features)
        constant = np.zeros((1, size))
        constant[:, self.named["class means"]] = 1
        if name != "centred" and name not in self.named:
            raise unknown("feature", name, ["centred", *self.named])
        span = constant if name == "centred" else np.vstack([constant, np.eye(size)[self.named[name]]])
        span = span[1:] if name == "class means" else span
        return span.T @ np.linalg.pinv(span @ self.features @ span.T, rcond=1e-12, hermitian=True) @ span


def without_gone(left: Matrix, power: Float[np.ndarray, " neurons"]) -> Matrix:
    """The Gram matrix `left`, where a neuron is set to 0 (dead) if too little of its `power` is left.

    What is left of such a neuron cannot be distinguished from rounding.
    """
    gone = np.diag(left) <= EXPLAINED * power
    left[gone], left[:, gone] = 0, 0
    return left


def other_images(labels: Int[Tensor, " images"], within: bool, rng: np.random.Generator) -> Int[Tensor, " images"]:
    """For each image of a batch another image, each used once: of its own class (`within`), or of any class.

    The order consists of random cycles. Only an image that is alone in its class stays where it is.
    """
    order = rng.permutation(len(labels))
    others = np.empty(len(labels), dtype=np.int64)
    groups = [order[labels.numpy()[order] == c] for c in labels.unique().tolist()] if within else [order]
    for group in groups:
        others[group] = np.roll(group, 1)
    return torch.from_numpy(others)


# ---------------------------------------------------------------- one pass


@dataclass(frozen=True)
class Labelled:
    """The class indicators of a batch, and the orders of its other images by kind: the input of `MomentSums`."""

    indicators: Float[Tensor, "classes images"]
    orders: dict[str, Int[Tensor, " images"]]


def collect_moments(
    nets: Sequence[nn.Module],
    batches: Iterable[tuple[Tensor, Tensor]],
    layers: Sequence[str],
    pairs: Sequence[tuple[int, int]],
    sources: int,
    classes: int,
    seed: int = 0,
) -> dict[str, Moments]:
    """The `Moments` of every layer, from one pass over batches of (images, labels). `pairs` of networks are compared.

    The first `sources` networks give their logits as features. They also have features taken away and images exchanged
    (inside each batch, so a batch should hold several images of every class). Sums are made on the networks' device.
    Raises `BadInput` where `stream` does.
    """
    wanted = list(dict.fromkeys([*layers, LOGITS]))
    kinds = {"moments": lambda batch: MomentSums(batch.sizes, pairs, sources, classes)}
    collected = stream(nets, labelled(batches, classes, seed), wanted, kinds)
    return {layer: collected[layer]["moments"] for layer in layers}


def labelled(batches: Iterable[tuple[Tensor, Tensor]], classes: int, seed: int) -> Iterator[Tagged]:
    """The batches with class indicators and with the orders of other images."""
    rng = np.random.default_rng(seed)
    for images, labels in batches:
        orders = {how: other_images(labels, how == "same class", rng) for how in SHUFFLES}
        yield Tagged(images, Labelled(one_hot(labels.long(), classes).T.double(), orders))


class MomentSums:
    """Adds up the `Moments` of one layer on the networks' device."""

    def __init__(self, sizes: Sequence[int], pairs: Sequence[tuple[int, int]], sources: int, classes: int) -> None:
        self.blocks = BlockAccumulator(sizes, pairs)
        self.pairs, self.sources, self.classes = [pair for pair in pairs if max(pair) < sources], sources, classes
        self.sums: dict[Any, Tensor] = {}

    def add(self, batch: LayerBatch) -> None:
        """Add the next images."""
        self.blocks.add_joint(batch.joint)
        home = batch.joint.device
        logits = [batch.layers[LOGITS].rows(k).to(home) for k in range(self.sources)]
        features = torch.cat([batch.tag.indicators.to(home), *logits])
        self._sum("features", features @ features.T)
        for a in range(self.sources):
            self._sum(a, torch.matmul(features, batch.maps(a)))
        for how, order in batch.tag.orders.items():
            moved = {b: batch.maps(b)[:, order.to(home)].flatten(1) for b in {b for _, b in self.pairs}}
            for a, b in self.pairs:
                self._sum((how, a, b), batch.rows(a) @ moved[b].T)

    def _sum(self, name: Any, value: Tensor) -> None:
        self.sums[name] = self.sums[name].add_(value) if name in self.sums else value

    def result(self) -> Moments:
        """The sums so far. Raises `BadInput` if nothing was added."""
        blocks = self.blocks.result()
        sums = {name: value.cpu().numpy() for name, value in self.sums.items()}
        logits = {f"logits {k}": slice(self.classes * (k + 1), self.classes * (k + 2)) for k in range(self.sources)}
        return Moments(
            blocks.samples,
            blocks.blocks,
            {a: sums[a] for a in range(self.sources)},
            sums["features"],
            {"class means": slice(0, self.classes)} | logits,
            {(how, a, b): sums[how, a, b] for how in SHUFFLES for a, b in self.pairs},
        )
