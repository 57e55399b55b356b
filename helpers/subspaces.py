"""Linear algebra only: small matrices from which every relative distance between neurons and subspaces follows.

Neurons are rows. One pass (`helpers.streaming`) compresses a layer of several networks to its joint Gram matrix
(`Gram`) or, for nearly dependent neurons, to the triangular factor of a streamed QR (`Root`). `Pair` is the part of
two networks at unit norm. All of `helpers.matching` takes a `Pair` in place of two arrays.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.lapack import dgeqrf

from .errors import BadInput, unknown
from .files import atomic
from .gram_files import full, read_gram
from .parameters import check_whole

UNIT = float(np.finfo(np.float64).eps) / 2  # u, the unit roundoff
QR_RIDGE = 1e-16  # λ = τ², τ = 1e-8: a QR sees a singular value down to about u
ROUTES = ("auto", "gram", "qr")
SMALL = 2e8  # up to this N² d, the QR of two arrays takes a fraction of a second
NO_COSINE = 1e-6  # by how much rounding may lift a cosine above 1
CONSTANT = 1e-12  # a centred neuron with less than this share of its raw power is constant up to rounding

Matrix = Float[np.ndarray, "neurons neurons"]
Block = Float[np.ndarray, "neurons samples"]


def gram_ridge(neurons: int) -> float:
    """λ = max(1e-12, 20·u·n). With a smaller λ the Cholesky factorisation of a rank-deficient Gram matrix can fail."""
    return max(1e-12, 20 * UNIT * neurons)


# ---------------------------------------------------------------- checking what comes in


def as_block(values: Any, network: str) -> Block:
    """`values` as a float64 (neurons, samples) array. Raises `BadInput` if that is not possible."""
    try:
        block = as_array(values)
        block = block if np.iscomplexobj(block) else block.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise BadInput(f"activations of network {network} are not an array of real numbers: {error}") from None
    check_kind(block.shape, np.iscomplexobj(block), network)
    return block


def as_array(values: Any) -> np.ndarray:
    """An array, also from a tensor (real ones become float64). Raises `BadInput` for masked entries, text and dates."""
    if not hasattr(values, "detach"):
        array = np.asarray(values)
        if array.dtype.kind in "mMSU" or np.ma.is_masked(values):  # NumPy would make numbers of them without a word
            raise BadInput(f"found masked entries, or type {array.dtype}")
        return array
    if values.is_meta:
        raise BadInput("a tensor on the meta device has a shape and no numbers")
    values = values.detach().cpu()
    return (values if values.is_complex() else values.double()).numpy()


def check_kind(shape: tuple[int, ...], is_complex: bool, network: str) -> None:
    """Raise `BadInput` for complex numbers, and for a shape that has not two axes."""
    if is_complex:  # a cast would drop the imaginary parts
        raise BadInput(f"activations of network {network} are not an array of real numbers: found complex ones")
    if len(shape) != 2:
        raise BadInput(f"activations of network {network} have shape {shape}: expected (neurons, samples)")


def check_finite(sums: Float[np.ndarray, " neurons"], block: Any, network: str) -> None:
    """Raise `BadInput` that names the first neuron whose sum, and so some value, is not finite."""
    bad = np.flatnonzero(~np.isfinite(sums))
    if len(bad):
        row = as_array(block[bad[0]])
        what = "NaN" if np.isnan(row).any() else "infinite values" if np.isinf(row).any() else "a sum that overflows"
        raise BadInput(f"neuron {bad[0]} of network {network} has {what}: expected finite activations")


def check_samples(counts: Sequence[int]) -> int:
    """The number of samples, which all networks share. Raises `BadInput` if the numbers differ or there are none."""
    if len(set(counts)) > 1:
        raise BadInput(f"networks have {', '.join(map(str, counts))} samples: expected the same inputs for all")
    if not counts or counts[0] == 0:
        raise BadInput("no samples: expected at least one input")
    return counts[0]


# ---------------------------------------------------------------- one layer of many networks


@dataclass(frozen=True, eq=False)
class Compressed:
    """The attributes of both `Gram` and `Root`: the neurons' sums, the number of samples, the neurons per network."""

    sums: Float[np.ndarray, " neurons"]
    samples: int
    sizes: tuple[int, ...]

    def columns(self, network: int) -> slice:
        """The slice of the joint matrix with one network's neurons. Raises `BadInput` for an unknown network."""
        if not -len(self.sizes) <= network < len(self.sizes):
            raise unknown("network", network, range(len(self.sizes)))
        network %= len(self.sizes)
        start = sum(self.sizes[:network])
        return slice(start, start + self.sizes[network])

    def _of(self, networks: Sequence[int]) -> np.ndarray:
        """Joint indices of all neurons of the named networks."""
        everything = np.arange(sum(self.sizes))
        return np.concatenate([everything[self.columns(k)] for k in networks])

    def _same_layer(self, other: "Compressed") -> None:
        if self.sizes != other.sizes:
            raise BadInput(f"cannot merge {other.sizes} neurons into {self.sizes}: expected the same layer")


@dataclass(frozen=True, eq=False)
class Gram(Compressed):
    """The raw joint Gram matrix Z Zᵀ of one layer's neurons in several networks, over all samples, in float64."""

    gram: Matrix

    def pair(self, a: int, b: int) -> "Pair":
        """Networks `a` (as x) and `b` (as y), ready to match."""
        keep = self._of([a, b])
        sizes = self.sizes[a], self.sizes[b]
        return Pair.from_gram(self.gram[np.ix_(keep, keep)], sizes[0], sizes[1], self.samples)

    def merge(self, other: "Gram") -> "Gram":
        """One Gram matrix from two passes over different samples: all sums are added."""
        self._same_layer(other)
        return Gram(self.sums + other.sums, self.samples + other.samples, self.sizes, self.gram + other.gram)

    def centred(self) -> "Gram":
        """The Gram matrix of the centred neurons. A neuron that is constant up to rounding becomes dead."""
        gram = self.gram - np.outer(self.sums, self.sums) / self.samples
        constant = np.diag(gram) <= CONSTANT * np.diag(self.gram)
        gram[constant], gram[:, constant] = 0, 0
        return Gram(np.zeros_like(self.sums), self.samples, self.sizes, gram)

    def select(self, neurons: Sequence[Any]) -> "Gram":
        """The Gram matrix of some neurons of each network: one index array, mask or slice per network."""
        parts = [np.arange(sum(self.sizes))[self.columns(k)][chosen] for k, chosen in enumerate(neurons)]
        keep = np.concatenate(parts)
        return Gram(self.sums[keep], self.samples, tuple(map(len, parts)), self.gram[np.ix_(keep, keep)])

    def networks(self, chosen: Sequence[int]) -> "Gram":
        """The Gram matrix of some networks with all their neurons, in the given order."""
        keep = self._of(chosen)
        sizes = tuple(self.sizes[k] for k in chosen)
        return Gram(self.sums[keep], self.samples, sizes, self.gram[np.ix_(keep, keep)])

    def block(self, a: int, b: int) -> Float[np.ndarray, "neurons_a neurons_b"]:
        """The raw cross products of the neurons of two networks."""
        return self.gram[self.columns(a), self.columns(b)]

    def save(self, path: Path) -> None:
        """Write the upper triangle, the sums and the counts to one compressed file, in float64 without any loss."""
        upper = self.gram[np.triu_indices(len(self.gram))]
        with atomic(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, upper=upper, sums=self.sums, samples=self.samples, sizes=self.sizes)

    @staticmethod
    def load(path: Path, expected: str | None = None) -> "Gram":
        """The Gram matrix that `save` wrote (with the SHA-256 `expected`). Raises `BadInput` for any other file."""
        upper, sums, samples, sizes = read_gram(Path(path), expected)
        return Gram(sums, samples, sizes, full(upper, len(sums)))


@dataclass(frozen=True, eq=False)
class Root(Compressed):
    """The triangular factor R of Zᵀ = QR, for nearly dependent neurons: Z Zᵀ = RᵀR, without any squaring."""

    root: Float[np.ndarray, "rows neurons"]

    def pair(self, a: int, b: int) -> "Pair":
        """Networks `a` (as x) and `b` (as y), ready to match on the QR route."""
        return Pair.from_root(self.root[:, self._of([a, b])], self.sizes[a], self.sizes[b], self.samples)

    def merge(self, other: "Root") -> "Root":
        """One factor from two passes over different samples: the QR of both factors, one below the other."""
        self._same_layer(other)
        root = triangle(np.vstack([self.root, other.root]))
        return Root(self.sums + other.sums, self.samples + other.samples, self.sizes, root)

    def gram(self) -> Gram:
        """The Gram matrix RᵀR, for measures that need one."""
        return Gram(self.sums, self.samples, self.sizes, self.root.T @ self.root)


def triangle(rows: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rank columns"]:
    """R of a Householder QR. It has at most as many rows as columns."""
    count, columns = rows.shape
    if not count or not columns:
        return np.zeros((min(count, columns), columns))
    # with LAPACK's default workspace each block has one column, which is two to three times slower
    packed, _, _, _ = dgeqrf(np.asfortranarray(rows), lwork=64 * columns, overwrite_a=0)
    return np.triu(packed[: min(count, columns)])


# ---------------------------------------------------------------- two networks, unit neurons


@dataclass(frozen=True)
class Side:
    """One side as basis B, the other side as targets T: what every deletion updates.

    factor: R, upper triangular, with RᵀR = G_BB + λI;  coordinates: C = R⁻ᵀ G_BT;  squares: r(t, B)² of each target t.
    """

    factor: Float[np.ndarray, "basis basis"]
    coordinates: Float[np.ndarray, "basis targets"]
    squares: Float[np.ndarray, " targets"]

    def solutions(self) -> Float[np.ndarray, "basis targets"]:
        """The coefficients c that minimise each target's ridge distance: R⁻¹C."""
        if not len(self.factor):
            return self.coordinates
        return solve_triangular(self.factor, self.coordinates)


@dataclass(frozen=True, eq=False)
class Pair:
    """Two networks' neurons of one layer, scaled to unit norm, and the ridge λ = τ² of the route.

    r(z, B)² = min_c ‖z − Bᵀc‖² + λ‖c‖² = G_zz − gᵀ (G_BB + λI)⁻¹ g. It is continuous, and never falls when B shrinks.
    Dead neurons (norm exactly 0) are not in `gram`: `alive_x` and `alive_y` say which neurons its rows are.
    """

    gram: Matrix
    alive_x: np.ndarray
    alive_y: np.ndarray
    n_x: int
    n_y: int
    samples: int
    ridge: float
    root: Float[np.ndarray, "rows neurons"] | None = None
    known: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def route(self) -> str:
        """The route of the computation: "qr" if the pair has a triangular factor, else "gram"."""
        return "gram" if self.root is None else "qr"

    @staticmethod
    def from_gram(gram: Matrix, n_x: int, n_y: int, samples: int) -> "Pair":
        """From the raw joint Gram matrix, x first. Raises `BadInput` for a wrong shape, and if it is no Gram matrix."""
        _check_joint(gram, n_x + n_y, n_x + n_y)
        samples = check_whole("samples", samples, 1)
        if (lowest := np.diag(gram).min(initial=0)) < 0:
            bad = np.diag(gram).argmin()
            raise BadInput(f"neuron {bad} has the square {lowest:g}: expected 0 or more on a Gram matrix's diagonal")
        norms = np.sqrt(np.diag(gram))
        alive = norms > 0
        unit = gram[np.ix_(alive, alive)] / norms[alive, None] / norms[alive]
        if (largest := np.abs(unit).max(initial=0)) > 1 + NO_COSINE:
            raise BadInput(f"two neurons have the cosine {largest:.3g}: expected a Gram matrix, with none above 1")
        np.fill_diagonal(unit, 1.0)
        return Pair(unit, *_alive(alive, n_x), n_x, n_y, samples, gram_ridge(max(n_x, n_y)))

    @staticmethod
    def from_root(root: Float[np.ndarray, "rows neurons"], n_x: int, n_y: int, samples: int) -> "Pair":
        """From the raw triangular factor, x first. Raises `BadInput` for a wrong shape, NaN and infinite values."""
        _check_joint(root, len(root), n_x + n_y)
        largest = np.abs(root).max(axis=0, initial=0)
        alive = largest > 0
        unit = root[:, alive] / largest[alive]  # first the largest entry, so that no square can overflow
        unit = triangle(unit / np.linalg.norm(unit, axis=0))
        gram = unit.T @ unit
        np.fill_diagonal(gram, 1.0)
        return Pair(gram, *_alive(alive, n_x), n_x, n_y, samples, QR_RIDGE, unit)

    @staticmethod
    def from_arrays(x: Any, y: Any, route: str = "auto") -> "Pair":
        """From two (neurons, samples) arrays, also with fewer samples than neurons (which `matching` refuses).

        route: "gram", "qr" or "auto". "auto" takes QR for small arrays. For large ones it takes the Gram matrix,
        unless neurons are so nearly dependent, or so nearly in the other span, that its larger ridge would show. Raises
        `BadInput` for another route, and for arrays that `as_block` refuses or whose samples differ in number.
        """
        if route not in ROUTES:
            raise unknown("route", route, ROUTES)
        blocks = as_block(x, "x"), as_block(y, "y")
        samples = check_samples([blocks[0].shape[1], blocks[1].shape[1]])
        x, y = (_moderate(block, name) for block, name in zip(blocks, "xy", strict=True))
        pair = Pair._of_blocks(x, y, samples, route)
        pair.known["peak_shares"] = tuple(map(_peak_shares, (x, y)))
        return pair

    @staticmethod
    def _of_blocks(x: Block, y: Block, samples: int, route: str) -> "Pair":
        """The pair by the named route, or for "auto" by the faster route that is exact enough."""
        neurons = len(x) + len(y)
        if route == "gram" or (route == "auto" and neurons**2 * samples > SMALL):
            pair = Pair._from_products(x, y)
            if route == "gram" or pair.well_separated:
                return pair
        return Pair.from_root(triangle(np.vstack([x, y]).T), len(x), len(y), samples)

    @staticmethod
    def _from_products(x: Block, y: Block) -> "Pair":
        cross = x @ y.T
        gram = np.block([[x @ x.T, cross], [cross.T, y @ y.T]])
        return Pair.from_gram(gram, len(x), len(y), x.shape[1])

    def keep(self, members: Int[np.ndarray, " members"]) -> "Pair":
        """A pair of only the alive neurons with these joint indices, x first. Ridge, route and names stay."""
        cut = len(self.alive_x)
        x, y = members[members < cut], members[members >= cut] - cut
        root = None if self.root is None else self.root[:, members]
        gram = self.gram[np.ix_(members, members)]
        return replace(self, gram=gram, root=root, alive_x=self.alive_x[x], alive_y=self.alive_y[y], known={})

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        """(x as basis, y as targets) and (y as basis, x as targets)."""
        cut = len(self.alive_x)
        x, y = slice(0, cut), slice(cut, None)
        make = self._side_of_gram if self.root is None else self._side_of_root
        return make(x, y), make(y, x)

    def _side_of_gram(self, basis: slice, targets: slice) -> Side:
        """One side by Cholesky. If it fails at the stated λ, `BadInput` asks for the QR route; λ is never enlarged."""
        inner = self.gram[basis, basis] + self.ridge * np.eye(len(self.gram[basis, basis]))
        cross = self.gram[basis, targets]
        if not inner.size:
            return Side(inner, cross.copy(), np.ones(cross.shape[1]))
        try:
            factor = cholesky(inner)
        except LinAlgError:
            way_out = "use the QR route (QRAccumulator, or Pair.from_arrays(x, y, route='qr'))"
            raise BadInput(f"the Gram matrix is too ill-conditioned for float64: {way_out}") from None
        coordinates = solve_triangular(factor, cross, trans="T")
        squares = 1 - np.einsum("ij,ij->j", coordinates, coordinates)
        return Side(factor, coordinates, np.maximum(squares, 0))

    def _side_of_root(self, basis: slice, targets: slice) -> Side:
        """One side by a QR of [B T; τI 0]. The squares are sums of squares, so nothing cancels."""
        assert self.root is not None
        both = np.hstack([self.root[:, basis], self.root[:, targets]])
        n = self.root[:, basis].shape[1]
        ridge = np.sqrt(self.ridge) * np.eye(n, both.shape[1])
        upper = triangle(np.vstack([both, ridge]))
        rest = upper[n:, n:]
        return Side(upper[:n, :n], upper[:n, n:].copy(), np.einsum("ij,ij->j", rest, rest))

    @property
    def well_separated(self) -> bool:
        """Gram and QR agree: no neuron within 1e-2 of those before it on its side, or within 1e-3 of the other span."""
        try:
            sides = self.sides
        except BadInput:
            return False
        pivots = [np.diag(side.factor).min(initial=1) for side in sides]
        return min(pivots) > 1e-2 and min(side.squares.min(initial=1) for side in sides) > 1e-6


def _check_joint(matrix: Float[np.ndarray, "rows neurons"], rows: int, neurons: int) -> None:
    """Raise `BadInput` for a wrong shape, and for NaN and infinite values: a NaN norm would pass for a dead neuron."""
    if matrix.shape != (rows, neurons):
        raise BadInput(f"a matrix of shape {matrix.shape}: expected ({rows}, {neurons}), x first")
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=0))
    if len(bad):
        what = "NaN" if np.isnan(matrix[:, bad[0]]).any() else "infinite values"
        raise BadInput(f"neuron {bad[0]} of the joint matrix has {what}: expected finite ones")


def _alive(alive: Bool[np.ndarray, " neurons"], n_x: int) -> tuple[np.ndarray, np.ndarray]:
    return np.flatnonzero(alive[:n_x]), np.flatnonzero(alive[n_x:])


def _peak_shares(block: Block) -> Float[np.ndarray, " neurons"]:
    """The share of each neuron's power that its largest sample holds; 0 for dead neurons."""
    squares = np.einsum("ij,ij->i", block, block)
    largest = np.abs(block).max(axis=1, initial=0) ** 2
    return np.divide(largest, squares, out=np.zeros(len(block)), where=squares > 0)


def _moderate(block: Block, network: str) -> Block:
    """The rows, scaled where a square could leave float64's range. Raises `BadInput` for values that are not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        check_finite(block.sum(axis=1) if block.size == 0 else np.abs(block).max(axis=1), block, network)
    largest = np.abs(block).max(axis=1, initial=0)
    extreme = (largest > 0) & ((largest > 1e100) | (largest < 1e-100))
    if not extreme.any():
        return block
    return block / np.where(extreme, largest, 1.0)[:, None]


def __getattr__(name: str) -> Any:
    """The accumulators, which once were in this module. They are imported late, so that imports form no circle."""
    if name not in ("GramAccumulator", "QRAccumulator"):
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(".streaming", __package__), name)
