"""Activations streamed into small matrices: accumulators that take one batch of samples after another.

A batch is one (neurons, samples) block per network, with the same samples for all of them, or the joint (all neurons,
samples) matrix. Everything is summed in float64 where the blocks lie: NumPy arrays and CPU tensors on the CPU, by the
BLAS of SciPy, and GPU tensors on the GPU.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg.blas import dgemm, dsyrk

from .errors import BadInput
from .subspaces import (
    Compressed,
    Gram,
    Matrix,
    Pair,
    Root,
    as_array,
    as_block,
    check_finite,
    check_kind,
    check_samples,
    triangle,
)

ENOUGH = 256  # from so many samples on, a product costs more than reading and writing the matrix it is added to
STRIPE = 128  # columns of a matrix that are mirrored at a time
SMALLEST = float(np.finfo(np.float64).tiny)  # below it a product of two numbers loses digits

Joint = Any  # Float[np.ndarray | torch.Tensor, "neurons samples"]: the core does not import torch


def _on_gpu(block: Any) -> bool:
    return bool(getattr(block, "is_cuda", False))


def _rows(tensor: Any, network: str) -> Any:
    """What `as_block` returns, computed on the tensor's own device."""
    check_kind(tuple(tensor.shape), tensor.is_complex(), network)
    return tensor.detach().double()


class _Accumulator:
    """Checks and sums that all accumulators need. A batch that is refused changes nothing."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = tuple(int(size) for size in sizes)
        self.ends = np.cumsum([0, *self.sizes])
        self.sums = np.zeros(sum(self.sizes))
        self.alive = np.zeros(sum(self.sizes), dtype=bool)
        self.samples = 0
        self.names = [str(k) for k in range(len(self.sizes))]  # of the networks, for errors

    def _stacked(self, blocks: Sequence[Any]) -> Joint:
        """All blocks as one new float64 (neurons, samples) matrix; it lies on a GPU if all blocks do."""
        if len(blocks) != len(self.sizes):
            raise BadInput(f"{len(blocks)} blocks of activations: expected {len(self.sizes)}, one per network")
        stays = all(map(_on_gpu, blocks))
        parts: list[Any] = [(_rows if stays else as_block)(block, str(k)) for k, block in enumerate(blocks)]
        if (sizes := tuple(part.shape[0] for part in parts)) != self.sizes:
            raise BadInput(f"blocks of {sizes} neurons: expected {self.sizes}")
        check_samples([part.shape[1] for part in parts])
        if not stays:
            return np.concatenate(parts)
        import torch  # only where the caller already has tensors on a GPU

        return torch.cat(parts)

    def _count(self, joint: Joint) -> None:
        """Add a batch to the sums and to the number of samples. Raises `BadInput` if a value is not finite."""
        sums = as_array(joint.sum(1))
        for k, (start, end) in enumerate(zip(self.ends, self.ends[1:], strict=False)):
            check_finite(sums[start:end], joint[start:end], self.names[k])
        unclear = np.flatnonzero((sums == 0) & ~self.alive)
        self.alive |= sums != 0
        if len(unclear):  # rows of zeros, or of numbers that cancel
            self.alive[unclear] = as_array((joint[unclear] != 0).any(1))
        self.sums += sums
        self.samples += joint.shape[1]

    def _check_squares(self, squares: Float[np.ndarray, " neurons"]) -> None:
        """Raise `BadInput` for a sum of squares too near to the smallest or largest float64 number to be exact."""
        lost = np.flatnonzero(~np.isfinite(squares) | (self.alive & (squares < self.samples * SMALLEST)))
        if len(lost):
            raise BadInput(f"neuron {lost[0]}: squares leave float64's range; rescale its activations first")


class _Products(_Accumulator):
    """Sums of products of samples. Small batches wait until there are enough samples for one matrix product."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self.waiting: list[Joint] = []

    def add(self, blocks: Sequence[Any]) -> Self:
        """Add one batch: a (neurons, samples) array or tensor per network, with the same samples for all."""
        return self.add_joint(self._stacked(blocks))

    def add_joint(self, joint: Joint) -> Self:
        """Add one batch of all networks' neurons below each other, in float64.

        The caller may overwrite it afterwards.
        """
        joint = joint if _on_gpu(joint) else np.asarray(joint)
        self._count(joint)
        if _on_gpu(joint) or joint.shape[1] >= ENOUGH:
            self._multiply(joint)
            return self
        self.waiting.append(joint.copy())
        if sum(part.shape[1] for part in self.waiting) >= ENOUGH:
            self._flush()
        return self

    def _flush(self) -> None:
        if self.waiting:
            self._multiply(np.concatenate(self.waiting, axis=1))
            self.waiting = []

    def _multiply(self, joint: Joint) -> None:
        raise NotImplementedError


class GramAccumulator(_Products):
    """G += B Bᵀ over batches in float64. Memory holds N² numbers and one batch, whatever the number of samples.

    Only one triangle is computed, in place (BLAS syrk).
    """

    gram: Any = None
    given = False  # whether a result holds the matrix: then the next batch goes into a copy

    def _multiply(self, joint: Joint) -> None:
        if self.given:
            self.gram, self.given = self.gram.copy(order="F"), False
        self.gram = add_square(self.gram, joint)

    def result(self) -> Gram:
        """The Gram matrix of all batches so far. Raises `BadInput` if nothing was added."""
        check_samples([self.samples])
        self._flush()
        gram = whole_square(self.gram)
        self._check_squares(np.diag(gram))
        self.given = not _on_gpu(self.gram)
        return Gram(self.sums.copy(), self.samples, self.sizes, gram)


def add_square(gram: Any, joint: Joint) -> Any:
    """`gram` + joint @ joint.T, where None counts as 0. On the CPU in place, and only the upper triangle."""
    if _on_gpu(joint):
        return joint @ joint.T if gram is None else gram.addmm_(joint, joint.T)
    if not joint.size:
        return np.zeros((len(joint), len(joint)), order="F") if gram is None else gram
    beta = 0.0 if gram is None else 1.0  # with 0 the matrix is written without being read: half the memory traffic
    gram = np.empty((len(joint), len(joint)), order="F") if gram is None else gram
    return dsyrk(1.0, np.ascontiguousarray(joint).T, beta=beta, c=gram, trans=1, overwrite_c=1)


def whole_square(gram: Any) -> Matrix:
    """The matrix that `add_square` summed, with both triangles: the lower one is filled in place, except on a GPU."""
    if _on_gpu(gram):
        return np.array(gram.cpu().numpy())
    for start in range(0, len(gram), STRIPE):
        end = start + STRIPE
        corner = np.triu(gram[start:end, start:end])
        gram[start:end, start:end] = corner + np.triu(corner, 1).T
        gram[end:, start:end] = gram[start:end, end:].T
    return gram.T  # symmetric: the same matrix, row by row in memory


class DrawAccumulator:
    """One Gram matrix per random draw of samples. `chosen` holds the ascending sample numbers of each draw."""

    def __init__(self, sizes: Sequence[int], chosen: Sequence[Int[np.ndarray, " positions"]]) -> None:
        self.chosen, self.seen = list(chosen), 0
        self.draws = [GramAccumulator(sizes) for _ in self.chosen]

    def add_joint(self, joint: Joint) -> "DrawAccumulator":
        """Add the next samples of all networks' neurons. Each draw takes its own samples from them."""
        end = self.seen + joint.shape[1]
        joint = joint if _on_gpu(joint) else np.asarray(joint)
        for draw, chosen in zip(self.draws, self.chosen, strict=True):
            here = chosen[slice(*np.searchsorted(chosen, [self.seen, end]))] - self.seen
            if len(here):
                # take: a fancy index would lay the columns one after another, and the product would copy them again
                draw.add_joint(joint[:, here] if _on_gpu(joint) else np.take(joint, here, axis=1))
        self.seen = end
        return self

    def result(self) -> list[Gram]:
        """One Gram matrix per draw."""
        return [draw.result() for draw in self.draws]


# ---------------------------------------------------------------- some pairs of networks only


@dataclass(frozen=True, eq=False)
class GramBlocks(Compressed):
    """Blocks of a joint Gram matrix: blocks[a, b] holds the raw cross products of the neurons of networks a and b."""

    blocks: dict[tuple[int, int], Matrix]

    def block(self, a: int, b: int) -> Matrix:
        """The block of two networks, in either order. Raises `BadInput` for a pair that was not compared."""
        if (a, b) not in self.blocks and (b, a) not in self.blocks:
            known = ", ".join(map(str, self.blocks))
            raise BadInput(f"networks {a} and {b} were not compared: expected one of {known}")
        return self.blocks[a, b] if (a, b) in self.blocks else self.blocks[b, a].T

    def networks(self, chosen: Sequence[int]) -> Gram:
        """The joint Gram matrix of networks that were all compared with one another."""
        gram = np.block([[self.block(a, b) for b in chosen] for a in chosen])
        return Gram(self.sums[self._of(chosen)], self.samples, tuple(self.sizes[k] for k in chosen), gram)

    def pair(self, a: int, b: int) -> Pair:
        """Networks `a` (as x) and `b` (as y), ready to match."""
        return self.networks([a, b]).pair(0, 1)


class BlockAccumulator(_Products):
    """Gram matrices of chosen pairs of networks, for many networks whose joint matrix would be too large."""

    def __init__(
        self, sizes: Sequence[int], pairs: Sequence[tuple[int, int]], names: Sequence[str] | None = None
    ) -> None:
        super().__init__(sizes)
        self.names = list(names or self.names)
        wanted = [(int(a), int(b)) for a, b in pairs]
        for k in (k for pair in wanted for k in pair):
            if not 0 <= k < len(self.sizes):
                raise BadInput(f"network {k} is in pairs: expected 0 to {len(self.sizes) - 1}")
        alone = {k for pair in wanted for k in pair}
        self.blocks: dict[tuple[int, int], Any] = dict.fromkeys([*((k, k) for k in sorted(alone)), *wanted])

    def _multiply(self, joint: Joint) -> None:
        parts = [joint[start:end] for start, end in zip(self.ends, self.ends[1:], strict=False)]
        for (a, b), block in self.blocks.items():
            add = add_square(block, parts[a]) if a == b else add_product(block, parts[a], parts[b])
            self.blocks[a, b] = add

    def result(self) -> GramBlocks:
        """The blocks of all batches so far. Raises `BadInput` if nothing was added."""
        check_samples([self.samples])
        self._flush()
        blocks = {(a, b): _as_matrix(whole_square(block) if a == b else block) for (a, b), block in self.blocks.items()}
        squares = np.zeros(len(self.sums))
        compared = np.zeros(len(self.sums), dtype=bool)
        for k in (a for a, b in blocks if a == b):
            own = slice(self.ends[k], self.ends[k + 1])
            squares[own], compared[own] = np.diag(blocks[k, k]), True
        self.alive &= compared
        self._check_squares(squares)
        return GramBlocks(self.sums.copy(), self.samples, self.sizes, blocks)


def add_product(block: Any, x: Joint, y: Joint) -> Any:
    """`block` + x @ y.T, where None counts as 0. On the CPU in place."""
    if _on_gpu(x):
        return x @ y.T if block is None else block.addmm_(x, y.T)
    if block is None:
        block = np.zeros((len(x), len(y)), order="F")
    if not (x.size and y.size):
        return block
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    return dgemm(1.0, x.T, y.T, beta=1.0, c=block, trans_a=1, overwrite_c=1)


def _as_matrix(block: Any) -> Matrix:
    return np.array(block.cpu().numpy() if _on_gpu(block) else block, order="C")


# ---------------------------------------------------------------- nearly dependent neurons


class QRAccumulator(_Accumulator):
    """The factor R of a streamed QR (TSQR), for nearly dependent neurons.

    It costs 2 to 4 times as much as the Gram matrix, but it does not square the condition number.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        self.root = np.zeros((0, sum(self.sizes)))
        self.waiting: list[np.ndarray] = []

    def add(self, blocks: Sequence[Any]) -> "QRAccumulator":
        """Add one batch, as in `GramAccumulator`. Small batches wait until there are enough rows for one QR."""
        joint = self._stacked(blocks)
        self._count(joint)
        self.waiting.append(as_array(joint).T)
        if sum(map(len, self.waiting)) >= 4 * sum(self.sizes):
            self._reduce()
        return self

    def _reduce(self) -> None:
        self.root = triangle(np.vstack([self.root, *self.waiting]))
        self.waiting = []

    def result(self) -> Root:
        """The factor of all batches so far. Raises `BadInput` if nothing was added."""
        check_samples([self.samples])
        self._reduce()
        return Root(self.sums.copy(), self.samples, self.sizes, self.root.copy())
