"""Two networks' neurons on the same samples, and what several measures share: factors of one side, cross products.

A measure is a function of a `Compared`. When the samples of one side are permuted (`helpers.measures.chance`), only
the cross products change. Gram matrices, whitening, ranks of distances and neighbours are computed once.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from ..errors import BadInput
from ..subspaces import CONSTANT, SMALL, Block, Gram, Matrix, Pair, as_block, check_finite, check_samples

RANK = 1e-10  # a direction with less than this share of the largest variance comes from rounding
NEIGHBOURS = 10  # k of the mutual nearest neighbours


@dataclass(frozen=True, eq=False)
class Centred:
    """The products of one network's neurons that do not depend on the order of the samples.

    gram: the raw Gram matrix Z Zᵀ;  sums: the sum of each neuron over the samples.
    """

    gram: Matrix
    sums: Float[np.ndarray, " neurons"]
    samples: int

    @cached_property
    def covariance(self) -> Matrix:
        """Products of the centred neurons, not divided by the number of samples; 0 for constant neurons."""
        return Gram(self.sums, self.samples, (len(self.sums),), self.gram).centred().gram

    @cached_property
    def norms(self) -> Float[np.ndarray, " neurons"]:
        """Length of each centred neuron; exactly 0 for a constant one."""
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def inverse_norms(self) -> Float[np.ndarray, " neurons"]:
        """1 / length of each centred neuron; 0 for a constant one."""
        return np.divide(1, self.norms, out=np.zeros_like(self.norms), where=self.norms > 0)

    @property
    def power(self) -> float:
        """Sum of the squared lengths of the centred neurons."""
        return float(np.trace(self.covariance))

    @cached_property
    def whitening(self) -> Float[np.ndarray, "neurons rank"]:
        """W such that the rows of Wᵀ Z_c are an orthonormal basis of the span of the centred neurons.

        It is computed from their correlation matrix.
        """
        values, vectors = np.linalg.eigh(self.covariance * self.inverse_norms[:, None] * self.inverse_norms)
        keep = values > RANK * max(values.max(initial=0), RANK)
        return self.inverse_norms[:, None] * vectors[:, keep] / np.sqrt(values[keep])

    @cached_property
    def coordinates(self) -> Float[np.ndarray, "rank neurons"]:
        """The centred neurons in the orthonormal basis of `whitening`."""
        return self.whitening.T @ self.covariance

    def leading(self, share: float) -> Float[np.ndarray, "neurons rank"]:
        """W such that the rows of Wᵀ Z_c are the first principal components, at unit length.

        There are as few of them as are needed to hold `share` of the power.
        """
        values, vectors = self.principal
        keep = np.searchsorted(np.cumsum(values), share * values.sum() * (1 - 1e-12)) + 1 if values.sum() else 0
        return vectors[:, :keep] / np.sqrt(values[:keep])

    @cached_property
    def principal(self) -> tuple[Float[np.ndarray, " neurons"], Matrix]:
        """Principal components, largest first: variances (not divided by the samples), and directions as columns."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.maximum(values[::-1], 0), vectors[:, ::-1]


@dataclass(frozen=True, eq=False)
class Sampled:
    """One network's neurons: products that do not depend on the order of the samples, and the activations if known.

    `base` and `order` are set on a copy with permuted samples: sample i of the copy is sample order[i] of the base.
    """

    centred: Centred
    values: Block | None = None
    base: "Sampled | None" = None
    order: Int[np.ndarray, " samples"] | None = None

    @staticmethod
    def of(values: Any, network: str = "x") -> "Sampled":
        """From a (neurons, samples) array or tensor. A `Sampled` is returned as it is.

        Raises `BadInput` unless it is real, finite and two-dimensional.
        """
        if isinstance(values, Sampled):
            return values
        block = as_block(values, network)
        with np.errstate(over="ignore", invalid="ignore"):
            check_finite(block.sum(axis=1), block, network)
        check_samples([block.shape[1]])
        block = np.ascontiguousarray(block.T).T  # samples lie one after the other in memory: fast to permute
        return Sampled(Centred(block @ block.T, block.sum(axis=1), block.shape[1]), block)

    @property
    def neurons(self) -> int:
        """The number of neurons, dead ones included."""
        return len(self.centred.sums)

    @property
    def activations(self) -> Block:
        """The activations. Raises `BadInput` if only a Gram matrix is known."""
        if self.values is None:
            raise BadInput("this measure compares single images: expected activations, found only a Gram matrix")
        return self.values

    def permuted(self, order: Int[np.ndarray, " samples"]) -> "Sampled":
        """These neurons with sample i replaced by sample order[i]."""
        return Sampled(self.centred, self.activations.T[order].T, self, order)

    @cached_property
    def squares(self) -> Float[np.ndarray, " samples"]:
        """Squared length of each sample, computed from the centred neurons."""
        if self.base is not None:
            return self.base.squares[self.order]
        centred = self.activations - (self.centred.sums / self.centred.samples)[:, None]
        return np.einsum("ij,ij->j", centred, centred)

    @cached_property
    def ranks(self) -> Float[np.ndarray, "samples samples"]:
        """Ranks of the correlation distances between samples, less their mean, at unit length; 0 on the diagonal.

        A sample on which all neurons have one value has no correlation with others. Its distances count as 1.
        """
        if self.base is not None:
            assert self.order is not None
            return self.base.ranks.take(self.order, axis=0).take(self.order, axis=1)  # twice as fast as one index
        profiles = self.activations - self.activations.mean(axis=0)
        lengths = np.linalg.norm(profiles, axis=0)
        flat = lengths <= CONSTANT * np.abs(self.activations).max(axis=0, initial=0)
        profiles = np.where(flat, 0, profiles / np.where(flat, 1, lengths))
        upper = np.triu_indices(profiles.shape[1], 1)
        ranks = rankdata(np.round(1 - (profiles.T @ profiles)[upper], 12))
        ranks -= ranks.mean()
        length = np.linalg.norm(ranks)
        return squareform(ranks / length if length else ranks).astype(np.float32)

    @cached_property
    def nearest(self) -> Int[np.ndarray, "samples k"]:
        """The k = 10 nearest other samples of each sample, by cosine; fewer if there are fewer samples."""
        if self.base is not None:
            assert self.order is not None
            return np.argsort(self.order)[self.base.nearest[self.order]]
        lengths = np.linalg.norm(self.activations, axis=0)
        unit = self.activations / np.where(lengths > 0, lengths, 1)
        cosines = unit.T @ unit
        np.fill_diagonal(cosines, -np.inf)
        count = min(NEIGHBOURS, len(cosines) - 1)
        return np.argpartition(-cosines, count - 1, axis=1)[:, :count]


@dataclass(frozen=True, eq=False)
class Compared:
    """Two networks' neurons on the same samples: x, y and their raw cross products.

    If the cross products are not given (`known`), they are computed from the activations.
    """

    x: Sampled
    y: Sampled
    known: Float[np.ndarray, "n_x n_y"] | None = None

    @staticmethod
    def of(x: Any, y: Any, few_samples: bool = False) -> "Compared":
        """From two (neurons, samples) arrays. A `Sampled` in place of an array keeps what was computed of it before.

        Raises `BadInput` for arrays that matching refuses too, and for more neurons than samples unless `few_samples`
        is set. With so many neurons every neuron lies in the span of the other side, and most measures are 1 for any
        two networks.
        """
        sides = Sampled.of(x, "x"), Sampled.of(y, "y")
        samples = check_samples([side.centred.samples for side in sides])
        neurons = max(side.neurons for side in sides)
        if neurons > samples and not few_samples:
            raise BadInput(
                f"{neurons} neurons and {samples} samples: expected (neurons, samples) with at least as many "
                "samples as neurons; transpose (samples, neurons) arrays, or pass few_samples=True"
            )
        return Compared(*sides)

    @staticmethod
    def of_gram(gram: Gram, a: int = 0, b: int = 1) -> "Compared":
        """From a joint Gram matrix. This is enough for every measure that needs no single images."""
        sides = [Sampled(Centred(gram.block(k, k), gram.sums[gram.columns(k)], gram.samples)) for k in (a, b)]
        return Compared(sides[0], sides[1], gram.block(a, b))

    def permuted(self, order: Int[np.ndarray, " samples"]) -> "Compared":
        """This pair with the samples of y in another order."""
        return Compared(self.x, self.y.permuted(order))

    @cached_property
    def products(self) -> Float[np.ndarray, "n_x n_y"]:
        """Raw cross products of the neurons, X Yᵀ."""
        return self.x.activations @ self.y.activations.T if self.known is None else self.known

    @cached_property
    def covariance(self) -> Float[np.ndarray, "n_x n_y"]:
        """Cross products of the centred neurons; 0 for constant neurons."""
        x, y = self.x.centred, self.y.centred
        covariance = self.products - np.outer(x.sums, y.sums) / x.samples
        covariance[x.norms == 0], covariance[:, y.norms == 0] = 0, 0
        return covariance

    @cached_property
    def correlations(self) -> Float[np.ndarray, "n_x n_y"]:
        """Correlation of each neuron of x with each neuron of y; 0 for constant neurons."""
        correlations = self.covariance * self.x.centred.inverse_norms[:, None] * self.y.centred.inverse_norms
        return np.clip(correlations, -1, 1)

    @cached_property
    def canonical(self) -> tuple[np.ndarray, Float[np.ndarray, " rank"], np.ndarray]:
        """Canonical directions of x (columns), correlations, and directions of y (rows), in whitened coordinates."""
        cross = self.x.centred.whitening.T @ self.covariance @ self.y.centred.whitening
        left, correlations, right = np.linalg.svd(cross, full_matrices=False)
        return left, np.clip(correlations, 0, 1), right

    @cached_property
    def pair(self) -> Pair:
        """The pair for matching: from the activations if they are few, else from the Gram matrices."""
        neurons, samples = self.x.neurons + self.y.neurons, self.x.centred.samples
        if self.x.values is not None and self.y.values is not None and neurons**2 * samples <= SMALL:
            return Pair.from_arrays(self.x.values, self.y.values)
        joint = np.block([[self.x.centred.gram, self.products], [self.products.T, self.y.centred.gram]])
        return Pair.from_gram(joint, self.x.neurons, self.y.neurons, samples)
