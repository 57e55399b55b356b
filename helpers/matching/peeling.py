"""One peel gives the critical ε of every neuron: delete the one farthest from the other side, again and again.

The critical ε of a neuron is the smallest ε at which it is in the maximum match. Distances only grow as a span
shrinks. So a neuron's critical ε is the lowest of the largest distances up to its deletion. Two ways to follow the
distances agree in every test: Givens column deletion (compiled), and an inverse that is updated late (NumPy only).
Indices here are joint indices: positions among the alive neurons, x first.
"""

import os
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from ..compiling import compiled
from ..errors import unknown
from ..subspaces import UNIT, Pair, Side

Vector = Float[np.ndarray, " neurons"]
BACKENDS = ("numba", "numpy")
PENDING = 32  # deletions applied together, by one matrix product
CANCELLED = 1e-6  # a pivot that has shrunk by this factor has lost too many digits: M is built anew
ORTHOGONAL = 1 - 1e-13  # a distance of 1 up to rounding: orthogonal to the other span
TIE = 1e-9  # a distance up to this above ε is a tie: far above rounding, far below any margin that matters
WIDEST_TIE = 1e-4  # no tie is wider, even where rounding moves a distance of an ill-conditioned Gram matrix by more
ROUNDING_SHARE = 0.2  # share of the bound on rounding errors: ill-conditioned random layers reach less than 0.05


def chosen_backend(backend: str | None = None) -> str:
    """The name of the backend: "numba" (default) or "numpy". Raises `BadInput` for another one.

    The environment variable SAMEREP_BACKEND sets the default.
    """
    name = backend or os.environ.get("SAMEREP_BACKEND", "numba")
    if name not in BACKENDS:
        raise unknown("backend", name, BACKENDS)
    return name


# ---------------------------------------------------------------- compiled: Givens column deletion


@compiled
def delete_column(R, C, squares, k, m, j):  # type: ignore[no-untyped-def]
    """Rotate basis neuron j out of the k × k factor R and its m target columns C (Givens column deletion).

    The last row of C is what the targets lose: squares += row². Only squares are added, so nothing cancels.
    """
    for i in range(j):
        for t in range(j, k - 1):
            R[i, t] = R[i, t + 1]
    for i in range(j, k - 1):
        a, b = R[i, i + 1], R[i + 1, i + 1]
        h = np.hypot(a, b)
        c, s = (a / h, b / h) if h > 0 else (1.0, 0.0)
        for t in range(i, k - 1):
            upper, lower = R[i, t + 1], R[i + 1, t + 1]
            R[i, t] = c * upper + s * lower
            R[i + 1, t + 1] = c * lower - s * upper
        for t in range(m):
            upper, lower = C[i, t], C[i + 1, t]
            C[i, t] = c * upper + s * lower
            C[i + 1, t] = c * lower - s * upper
    for t in range(m):
        squares[t] += C[k - 1, t] ** 2


@compiled
def delete_neuron(R, C, lost, kept, coordinates, at, n, m, i):  # type: ignore[no-untyped-def]
    """Delete neuron i of the n neurons of one side, as a basis neuron and as a target.

    As a basis neuron it leaves R and C, and the other side's squares `lost` grow. As a target it leaves `kept`,
    `coordinates` (its column) and `at` (its index).
    """
    delete_column(R, C, lost, n, m, i)
    for t in range(i, n - 1):
        at[t], kept[t] = at[t + 1], kept[t + 1]
    for row in range(m):
        for t in range(i, n - 1):
            coordinates[row, t] = coordinates[row, t + 1]


@compiled
def solution_square(R, C, k, t):  # type: ignore[no-untyped-def]
    """‖c‖² of the coefficients c of target t on the k basis neurons: back substitution in R c = C_t."""
    c = C[:k, t].copy()
    for i in range(k - 1, -1, -1):
        c[i] = (c[i] - np.dot(R[i, i + 1 : k], c[i + 1 :])) / R[i, i]
    return np.sum(c**2)


@compiled
def peel_givens(Rx, Cx, sy, Ry, Cy, sx):  # type: ignore[no-untyped-def]
    """Critical ε² of the x and of the y neurons, and ‖c‖² of the fit behind each. The arguments are overwritten.

    The cost is O(n³). Each critical ε is the distance of one neuron: the coefficients c of its fit tell how exact it
    is.
    """
    n, m = len(sx), len(sy)
    critical_x, critical_y, size_x, size_y = np.empty(n), np.empty(m), np.empty(n), np.empty(m)
    at_x, at_y = np.arange(n), np.arange(m)
    lowest, size = np.inf, 0.0
    while n + m > 0:
        i = np.argmax(sx[:n]) if n > 0 else -1
        j = np.argmax(sy[:m]) if m > 0 else -1
        if j < 0 or (i >= 0 and sx[i] >= sy[j]):
            if sx[i] < lowest:
                lowest, size = sx[i], solution_square(Ry, Cy, m, i)
            critical_x[at_x[i]], size_x[at_x[i]] = lowest, size
            delete_neuron(Rx, Cx, sy, sx, Cy, at_x, n, m, i)
            n -= 1
        else:
            if sy[j] < lowest:
                lowest, size = sy[j], solution_square(Rx, Cx, n, j)
            critical_y[at_y[j]], size_y[at_y[j]] = lowest, size
            delete_neuron(Ry, Cy, sx, sy, Cx, at_y, m, n, j)
            m -= 1
    return critical_x, critical_y, size_x, size_y


def nearest_first(pair: Pair) -> Int[np.ndarray, " alive"]:
    """Joint indices of the alive neurons, x first, each side ordered by the distance to the whole other side.

    Far neurons are usually deleted early. A deletion near the end of a triangular factor leaves few rows to rotate.
    """
    of_y, of_x = (side.squares for side in pair.sides)
    return np.concatenate([np.argsort(of_x, kind="stable"), len(of_x) + np.argsort(of_y, kind="stable")])


def peel_compiled(pair: Pair) -> tuple[Vector, Vector]:
    """Critical ε² and ‖c‖² of all alive neurons, x first, by compiled Givens deletions.

    The order of the neurons changes only the speed.
    """
    order = nearest_first(pair)
    parts = peel_givens(*givens_parts(pair.keep(order).sides))
    squares, sizes = np.empty((2, len(order)))
    squares[order], sizes[order] = np.concatenate(parts[:2]), np.concatenate(parts[2:])
    return squares, sizes


def givens_parts(sides: tuple[Side, Side]) -> list[np.ndarray]:
    """Copies of R, C and squares of both sides, with contiguous rows. `peel_givens` and `fall` overwrite them."""
    return [np.array(a, order="C") for side in sides for a in (side.factor, side.coordinates, side.squares)]


# ---------------------------------------------------------------- NumPy: lazy inverse, or QR of the rest


def joint_inverse(sides: tuple[Side, Side]) -> tuple[Float[np.ndarray, "n n"], Vector]:
    """M and r², where M = [[P_x, A_x], [A_y, P_y]], with P = (G_BB + λI)⁻¹ of each side and A = P G_BT.

    In this one matrix the deletion of neuron j has one form on both sides:

    - r²_t += M_jt² / M_jj for each t of the other side;
    - M_i −= (M_ij / M_jj) M_j for the rows i of j's side.
    """
    rows = []
    for side in sides:
        inverse = Side(side.factor, np.eye(len(side.factor)), side.squares).solutions()
        rows.append((inverse @ inverse.T, side.solutions()))
    (p_x, a_x), (p_y, a_y) = rows
    return np.block([[p_x, a_x], [a_y, p_y]]), np.concatenate([sides[1].squares, sides[0].squares])


class LazyInverse:
    """M and r² of a pair that shrinks. Deletions wait as pivot rows and are applied together (NumPy only)."""

    def __init__(self, pair: Pair, members: Int[np.ndarray, " members"]) -> None:
        self.pair, self.members = pair, members
        part = pair.keep(members)
        self.M, self.squares = joint_inverse(part.sides)
        self.is_x = np.arange(len(members)) < len(part.alive_x)
        self.alive = np.ones(len(members), bool)
        self.built = np.diag(self.M).copy()
        self.rows: dict[bool, list[np.ndarray]] = {True: [], False: []}

    def row(self, j: int) -> Vector:
        """Row j of M with the waiting deletions of j's side applied."""
        waiting = self.rows[bool(self.is_x[j])]
        if not waiting:
            return self.M[j].copy()
        Q = np.array(waiting)
        return self.M[j] - Q[:, j] @ Q

    def delete(self, j: int) -> "LazyInverse":
        """The pair without member j: this object, updated, or a new one when the pivot has lost too many digits."""
        row, same = self.row(j), bool(self.is_x[j])
        if row[j] < CANCELLED * self.built[j]:
            fresh = LazyInverse(self.pair, self.members[self.alive])
            return fresh.delete(int(self.alive[:j].sum()))
        scaled = row / np.sqrt(row[j])
        self.squares = self.squares + np.where(self.is_x != same, scaled**2, 0)
        self.alive[j] = False
        self.rows[same].append(scaled)
        if len(self.rows[same]) == PENDING:
            self.apply(same)
        return self

    def apply(self, same: bool) -> None:
        """Subtract the waiting deletions of one side by a matrix product."""
        Q, side = np.array(self.rows[same]), self.is_x == same
        self.M[side] -= Q[:, side].T @ Q
        self.rows[same] = []

    def farthest(self) -> int:
        """The alive member with the largest distance."""
        return int(np.argmax(np.where(self.alive, self.squares, -1)))

    def solution_square(self, j: int) -> float:
        """‖c‖² of the coefficients c of member j on the other side, which is its basis."""
        other = self.is_x != self.is_x[j]
        c, waiting = self.M[other, j], self.rows[not self.is_x[j]]
        if waiting:
            Q = np.array(waiting)
            c = c - Q[:, other].T @ Q[:, j]
        return float(np.sum(c[self.alive[other]] ** 2))


def peel_lazily(pair: Pair) -> tuple[Vector, Vector]:
    """Critical ε² and ‖c‖² of all alive neurons, x first, by the lazy inverse."""
    state = LazyInverse(pair, np.arange(len(pair.gram)))
    critical, sizes = np.empty((2, len(pair.gram)))
    lowest, size = np.inf, 0.0
    for _ in range(len(pair.gram)):
        j = state.farthest()
        if state.squares[j] < lowest:
            lowest, size = state.squares[j], state.solution_square(j)
        critical[state.members[j]], sizes[state.members[j]] = lowest, size
        state = state.delete(j)
    return critical, sizes


def drop_column(R: np.ndarray, C: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R and C without basis neuron j, and what each target's r² gains: a QR of the rows from j on (NumPy only)."""
    Q, rest = np.linalg.qr(R[j:, j + 1 :], mode="complete")
    turned = Q.T @ C[j:]
    R = np.vstack([np.delete(R[:j], j, axis=1), np.hstack([np.zeros((len(rest) - 1, j)), rest[:-1]])])
    return R, np.vstack([C[:j], turned[:-1]]), turned[-1] ** 2


def peel_triangles(pair: Pair) -> tuple[Vector, Vector]:
    """Critical ε² and ‖c‖² of all alive neurons, by column deletion with NumPy's QR.

    The QR route needs it: its λ is too small for an inverse.
    """
    sides = list(pair.sides)
    at = [list(range(len(pair.alive_x))), list(range(len(pair.alive_x), len(pair.gram)))]
    critical, sizes = np.empty((2, len(pair.gram)))
    lowest, size = np.inf, 0.0
    for _ in range(len(pair.gram)):
        tops = [sides[1 - k].squares.max(initial=-1) for k in (0, 1)]
        k = 0 if tops[0] >= tops[1] else 1
        own, other = sides[k], sides[1 - k]
        j = int(np.argmax(other.squares))
        if tops[k] < lowest:
            lowest, size = tops[k], float(np.sum(other.solutions()[:, j] ** 2))
        v = at[k].pop(j)
        critical[v], sizes[v] = lowest, size
        R, C, gain = drop_column(own.factor, own.coordinates, j)
        sides[k] = Side(R, C, own.squares + gain)
        sides[1 - k] = Side(other.factor, np.delete(other.coordinates, j, axis=1), np.delete(other.squares, j))
    return critical, sizes


# ---------------------------------------------------------------- critical ε


@dataclass(frozen=True)
class Peeled:
    """One entry per alive neuron, x first: the raw critical ε, and ‖c‖ of the fit whose distance it is."""

    critical: Vector
    sizes: Vector


def peel_once(pair: Pair, backend: str | None = None) -> Peeled:
    """The peel of all alive neurons (alg-peel). The pair remembers it."""
    backend = chosen_backend(backend)
    if ("peel", backend) not in pair.known:
        if backend == "numba":
            squares, sizes = peel_compiled(pair)
        else:
            squares, sizes = (peel_lazily if pair.route == "gram" else peel_triangles)(pair)
        pair.known["peel", backend] = Peeled(np.sqrt(np.maximum(squares, 0)), np.sqrt(sizes))
    return pair.known["peel", backend]


def peel(pair: Pair, backend: str | None = None) -> tuple[Vector, Vector]:
    """Raw critical ε of the alive neurons of x and of y, before the slack of an exact match is applied."""
    raw, cut = peel_once(pair, backend).critical, len(pair.alive_x)
    return raw[:cut], raw[cut:]


def slack(pair: Pair) -> float:
    """A distance up to this counts as zero.

    The ridge λ = τ² leaves a zero distance at τ‖c‖. The slack is ten times the largest τ‖c‖ of the neurons that lie at
    this floor against the whole other side. It is at least 300 τ, because a small basis needs larger coefficients than
    the whole side. It is at most 1000 τ, so that one fit with huge coefficients does not make other distances count as
    zero.
    """
    if "slack" not in pair.known:
        tau = np.sqrt(pair.ridge)
        floors = [tau * np.linalg.norm(side.solutions(), axis=0) for side in pair.sides]
        exact = [f[np.sqrt(side.squares) <= 2 * f] for f, side in zip(floors, pair.sides, strict=True)]
        worst = float(np.concatenate(exact).max(initial=0))
        pair.known["slack"] = float(np.clip(10 * worst, 300 * tau, 1000 * tau))
    return pair.known["slack"]


def rounding(pair: Pair) -> float:
    """max |δG| of the products of unit neurons: the rounding errors of a sum of d products grow like √d."""
    return 4 * UNIT * np.sqrt(pair.samples)


def tie(pair: Pair) -> float:
    """How far above ε a distance may lie and still count as ε.

    On the QR route it is 1e-9, far above rounding. A Gram matrix holds squares, so rounding costs it more. Distances
    computed by deletions differ from newly computed ones by up to (1 + ‖c‖²) max |δG| / 2r, where c are the
    coefficients of the fit. This can be more than 1e-9.
    """
    if pair.route != "gram":
        return TIE
    if "tie" not in pair.known:
        peeled = peel_once(pair)
        counts = (peeled.critical > slack(pair)) & (peeled.critical < ORTHOGONAL)
        errors = (1 + peeled.sizes[counts] ** 2) * rounding(pair) / (2 * peeled.critical[counts])
        pair.known["tie"] = float(np.clip(ROUNDING_SHARE * errors.max(initial=0), TIE, WIDEST_TIE))
    return pair.known["tie"]


def reach(pair: Pair, epsilon: float) -> float:
    """A distance counts as at most ε when it is at most this value. The engine has no other rule.

    It is ε plus the tie, at least the slack of an exact match, and always below 1, the distance of an orthogonal
    neuron.
    """
    return float(min(max(epsilon + tie(pair), slack(pair)), np.nextafter(ORTHOGONAL, 0)))


def critical(pair: Pair, backend: str | None = None) -> tuple[Vector, Vector]:
    """Critical ε of all neurons of x and of y.

    It is 0 within the slack of an exact match, and inf for dead neurons and for those not matched at any ε below 1.
    """
    sides = []
    for n, alive, raw in zip((pair.n_x, pair.n_y), (pair.alive_x, pair.alive_y), peel(pair, backend), strict=True):
        values = np.full(n, np.inf)
        values[alive] = np.where(raw <= slack(pair), 0.0, np.where(raw >= ORTHOGONAL, np.inf, raw))
        sides.append(values)
    return sides[0], sides[1]


def at_ridge(pair: Pair, ridge: float) -> Pair:
    """A pair with these neurons under another λ, on the QR route. A Gram matrix gives its root by its eigenvalues."""
    root = pair.root
    if root is None:
        values, vectors = np.linalg.eigh(pair.gram)
        root = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T
    return replace(pair, ridge=ridge, root=root, known={})
