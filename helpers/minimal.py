"""Trials: does v survive when u is deleted from a match? Minimal matches are made of nothing else.

A state is a match (the largest inside some set) whose distances are at hand. `state.without(u, targets)` deletes u and
whatever falls after it, and answers with the smaller state and which targets are left. Three kinds of state give the
same answer: `SweepState` (compiled; one matrix M that holds both sides' inverses), `DenseState` (the same in NumPy) and
`SafeState` (triangular factors, for nearly dependent neurons and for decisions too close for an inverse).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from numba import njit

from helpers.peeling import chosen_backend, delete_neuron, givens_parts, joint_inverse
from helpers.subspaces import Pair

LARGEST = 1e6  # largest entry of an inverse that is trusted: beyond, neurons are too nearly dependent
PENDING = 32  # accepted deletions that wait before the inverse is brought up to date
STABLE, AMBIGUOUS, FELL = 0, 1, 2
DONE, SPLIT = 3, 4

Members = Int[np.ndarray, " members"]
Mask = Bool[np.ndarray, " joint"]


class Ambiguous(Exception):
    """A squared distance is too close to ε² for this state's rounding: ask a `SafeState`."""


@dataclass(frozen=True)
class Threshold:
    """A neuron falls when its squared distance exceeds `square`; within `guard` of it an inverse cannot tell."""

    square: float
    guard: float = 0.0


# ---------------------------------------------------------------- compiled kernels on the one matrix M


@njit(cache=True)
def cascade(M, squares, is_x, u, target, needed, square, guard, s, gone, Q, who, count):  # type: ignore[no-untyped-def]
    """Delete u and all that falls after it, without touching M: pivot rows wait in Q, scaled by their pivots' roots.

    The first `count` rows of Q are deletions that `squares` and `gone` already hold. Stops as soon as every target has
    fallen, or a neuron that every target needs. O(N) for each pair of deletions on one side. Returns (verdict, count).
    """
    N = len(squares)
    s[:N] = squares
    left = 0
    for t in range(N):
        left += target[t] and not gone[t]
    d = u
    while True:
        row = Q[count]
        row[:N] = M[d]
        for e in range(count):
            if is_x[who[e]] == is_x[d]:
                f = Q[e, d]
                for t in range(N):
                    row[t] -= f * Q[e, t]
        root = np.sqrt(row[d])
        gone[d] = True
        left -= target[d] and s[d] <= square + guard
        for t in range(N):
            row[t] /= root
        for t in range(N):
            if is_x[t] != is_x[d] and not gone[t]:
                before = s[t]
                s[t] = before + row[t] * row[t]
                if before <= square + guard < s[t]:
                    left -= target[t]
                    if needed[t]:
                        left = 0
        who[count] = d
        count += 1
        if left <= 0:
            return FELL, count
        d = -1
        for t in range(N):
            if not gone[t] and s[t] > square - guard and (d < 0 or s[t] > s[d]):
                d = t
        if d < 0:
            return STABLE, count
        if s[d] <= square + guard:
            return AMBIGUOUS, count


@njit(cache=True)
def commit(M, s, is_x, ids, gone, Q, who, count):  # type: ignore[no-untyped-def]
    """The state without the deleted: M less the waiting pivot rows, on the rows and columns that remain."""
    N = len(ids)
    kept = np.empty(N, np.int64)
    K = 0
    for t in range(N):
        if not gone[t]:
            kept[K] = t
            K += 1
    out, work = np.empty((K, K)), np.empty(N)
    squares, sides, names = np.empty(K), np.empty(K, np.bool_), np.empty(K, np.int64)
    for a in range(K):
        i = kept[a]
        work[:] = M[i]
        for e in range(count):
            if is_x[who[e]] == is_x[i]:
                f = Q[e, i]
                for t in range(N):
                    work[t] -= f * Q[e, t]
        for b in range(K):
            out[a, b] = work[kept[b]]
        squares[a], sides[a], names[a] = s[i], is_x[i], ids[i]
    return out, squares, sides, names


@njit(cache=True)
def spread(M, squares, is_x, gone, needed, queue, count, square, guard):  # type: ignore[no-untyped-def]
    """Violation graph, backwards from queue[:count]: j is needed when deleting j alone makes a needed neuron fall.

    Distances only grow under further deletions, so whatever is needed once stays needed, even where M and `squares` do
    not hold the last deletions yet.
    """
    while count > 0:
        count -= 1
        t = queue[count]
        room = square + guard - squares[t]
        for j in range(len(squares)):
            if not needed[j] and not gone[j] and is_x[j] != is_x[t] and M[j, t] ** 2 > room * M[j, j]:
                needed[j] = True
                queue[count] = j
                count += 1


@njit(cache=True)
def advance(M, squares, is_x, ids, order, start, targets, needs, square, guard, most):  # type: ignore[no-untyped-def]
    """Go through the trials order[start:] for all targets at once until they part, or the end.

    `targets`, `needs` (what every target needs; grows) and `order` are joint indices; up to `most` deletions wait
    before M is brought up to date. Returns (verdict, position, state, smaller state): when a trial splits the targets,
    both states; position is the index in `order` of the trial that stopped the run.
    """
    where = np.full(len(targets), -1)
    position = start
    while True:
        N = len(squares)
        where[:] = -1
        where[ids] = np.arange(N)
        target, needed = targets[ids], needs[ids]
        s, who, Q = np.empty(N), np.empty(N, np.int64), np.empty((N, N))
        gone, fallen, queue, waiting = np.zeros(N, np.bool_), np.zeros(N, np.bool_), np.flatnonzero(needed), 0
        now = squares.copy()
        queue = np.concatenate((queue, np.empty(N, np.int64)))
        spread(M, squares, is_x, gone, needed, queue, needed.sum(), square, guard)
        verdict = DONE
        while position < len(order) and waiting <= most:
            u = where[order[position]]
            if u < 0 or gone[u] or needed[u]:
                position += 1
                continue
            fallen[:] = gone
            verdict, count = cascade(M, now, is_x, u, target, needed, square, guard, s, fallen, Q, who, waiting)
            if verdict == FELL:
                needed[u] = True
                queue[0] = u
                spread(M, squares, is_x, gone, needed, queue, 1, square, guard)
            elif verdict == AMBIGUOUS or (target & fallen & ~gone).any():
                break
            else:
                gone[:], now[:], waiting = fallen, s, count
            verdict = DONE
            position += 1
        needs[ids] = needed
        smaller = M, now, is_x, ids
        if verdict == STABLE:
            smaller = commit(M, s, is_x, ids, fallen, Q, who, count)
        if waiting > 0:
            M, squares, is_x, ids = commit(M, now, is_x, ids, gone, Q, who, waiting)
        if verdict == STABLE:
            return SPLIT, position, M, squares, is_x, ids, *smaller
        if verdict == AMBIGUOUS or position == len(order):
            return verdict, position, M, squares, is_x, ids, M, squares, is_x, ids


@njit(cache=True)
def fall(Rx, Cx, sy, Ry, Cy, sx, at_x, at_y, u, target, needed, square):  # type: ignore[no-untyped-def]
    """Delete joint index u and all that falls after it from triangular factors (destroyed).

    Returns the sizes left; (0, 0) as soon as every target has fallen, or a neuron that every target needs. Joint
    indices are in at_x and at_y.
    """
    n, m = len(sx), len(sy)
    left = 0
    for t in range(n):
        left += target[at_x[t]]
    for t in range(m):
        left += target[at_y[t]]
    d = u
    while d >= 0:
        left -= target[d]
        if left == 0 or (needed[d] and d != u):
            return 0, 0
        found = False
        for i in range(n):
            if at_x[i] == d:
                delete_neuron(Rx, Cx, sy, sx, Cy, at_x, n, m, i)
                n -= 1
                found = True
                break
        if not found:
            for j in range(m):
                if at_y[j] == d:
                    delete_neuron(Ry, Cy, sx, sy, Cx, at_y, m, n, j)
                    m -= 1
                    break
        i = np.argmax(sx[:n]) if n > 0 else -1
        j = np.argmax(sy[:m]) if m > 0 else -1
        d = -1
        if i >= 0 and sx[i] > square:
            d = at_x[i]
        if j >= 0 and sy[j] > square and (d < 0 or sy[j] > sx[i]):
            d = at_y[j]
    return n, m


# ---------------------------------------------------------------- states


def settle(pair: Pair, members: Members, square: float) -> Members:
    """Algorithm max_match (alg-max): delete whatever is too far, from distances computed afresh, until nothing is."""
    fallen = np.ones(1, bool)
    while fallen.any():
        sides = pair.keep(members).sides
        fallen = np.concatenate([sides[1].squares, sides[0].squares]) > square
        members = members[~fallen]
    return members


class State:
    """A match and its distances. `members` are ascending joint indices of alive neurons, x first."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold) -> None:
        self.pair, self.members, self.threshold = pair, members, threshold

    def without(self, u: int, targets: Mask, needed: Mask) -> "State | None":
        """The largest match left when u is deleted; None when every target has fallen.

        `needed` holds what is known to be essential to every target: if one of these falls, so do they.
        """
        raise Ambiguous

    def advance(self, order: Members, start: int, targets: Mask, needed: Mask) -> "tuple[int, State, State | None]":
        """Trials order[start:] until one splits the targets (then its position, this state, the smaller one) or all
        are done (then the last state and None). Adds to `needed`."""
        state = self
        for position in range(start, len(order)):
            u = order[position]
            if not _holds(state.members, u) or needed[u]:
                continue
            smaller = try_without(state, int(u), targets, needed)
            if smaller is None:
                needed[u] = True
                continue
            if targets[state.members].sum() > targets[smaller.members].sum():
                return position, state, smaller
            state = smaller
        return len(order), state, None


def _holds(members: Members, u: int) -> bool:
    at = np.searchsorted(members, u)
    return bool(at < len(members) and members[at] == u)


class SafeState(State):
    """Triangular factors and Givens deletion: nothing cancels, so it decides every case; O(n²) to copy per trial."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, backend: str) -> None:
        super().__init__(pair, members, threshold)
        self.backend = backend
        self.parts = givens_parts(pair.keep(members).sides) if backend == "numba" else []
        self.x = members[members < len(pair.alive_x)]
        self.y = members[members >= len(pair.alive_x)]

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """Givens deletions on a copy, or in NumPy the distances of what is left, afresh, until nothing changes."""
        left = self._givens(u, targets, needed) if self.backend == "numba" else self._afresh(u)
        if not targets[left].any():
            return None
        return SafeState(self.pair, left, self.threshold, self.backend)

    def _givens(self, u: int, targets: Mask, needed: Mask) -> Members:
        x, y = self.x.copy(), self.y.copy()
        parts = [part.copy() for part in self.parts]
        n, m = fall(*parts, x, y, u, targets, needed, self.threshold.square)  # type: ignore[call-arg]
        return np.concatenate([x[:n], y[:m]])

    def _afresh(self, u: int) -> Members:
        return settle(self.pair, self.members[self.members != u], self.threshold.square)


class DenseState(State):
    """The joint inverse in NumPy, updated one deletion at a time on a copy."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, M: np.ndarray, squares: np.ndarray) -> None:
        super().__init__(pair, members, threshold)
        self.M, self.squares = M, squares
        self.is_x = members < len(pair.alive_x)

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """Rank-one updates; the violation graph first: whoever falls by one deletion needs no update."""
        M, squares, alive = self.M.copy(), self.squares.copy(), np.ones(len(self.M), bool)
        d, high = int(np.searchsorted(self.members, u)), self.threshold.square + self.threshold.guard
        target, stop = targets[self.members], needed[self.members]
        while d >= 0:
            row = M[d] / np.sqrt(M[d, d])
            same = self.is_x == self.is_x[d]
            squares[~same] += row[~same] ** 2
            M[same] -= np.outer(row[same], row)
            alive[d] = False
            if not (target & alive & (squares <= high)).any() or (stop & alive & (squares > high)).any():
                return None
            farthest = np.where(alive, squares, -1)
            d = int(np.argmax(farthest))
            d = d if farthest[d] > self.threshold.square - self.threshold.guard else -1
            if d >= 0 and farthest[d] <= high:
                raise Ambiguous
        left = np.ix_(alive, alive)
        return DenseState(self.pair, self.members[alive], self.threshold, M[left], squares[alive])


class SweepState(State):
    """The joint inverse, compiled: trials without copies, and what is needed is read off the violation graph."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, M: np.ndarray, squares: np.ndarray) -> None:
        super().__init__(pair, members, threshold)
        self.M, self.squares = M, squares
        self.is_x = members < len(pair.alive_x)

    def _smaller(self, found: Sequence[Any]) -> "SweepState":
        M, squares, _, members = found
        return SweepState(self.pair, members, self.threshold, M, squares)

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """One cascade, and one commit if a target is left."""
        N, t = len(self.members), self.threshold
        s, gone, who, Q = np.empty(N), np.zeros(N, np.bool_), np.empty(N, np.int64), np.empty((N, N))
        at, target, stop = int(np.searchsorted(self.members, u)), targets[self.members], needed[self.members]
        parts = self.M, self.squares, self.is_x
        verdict, count = cascade(*parts, at, target, stop, t.square, t.guard, s, gone, Q, who, 0)
        if verdict == AMBIGUOUS:
            raise Ambiguous
        if verdict == FELL:
            return None
        return self._smaller(commit(self.M, s, self.is_x, self.members, gone, Q, who, count))

    def advance(self, order: Members, start: int, targets: Mask, needed: Mask) -> tuple[int, State, State | None]:
        """All trials in one compiled run; where an inverse cannot tell, a `SafeState` goes on."""
        limits = self.threshold.square, self.threshold.guard, PENDING
        found = advance(self.M, self.squares, self.is_x, self.members, order, start, targets, needed, *limits)
        verdict, position, state = found[0], found[1], self._smaller(found[2:6])
        if verdict == AMBIGUOUS:
            return safe(state).advance(order, position, targets, needed)
        return position, state, self._smaller(found[6:10]) if verdict == SPLIT else None


def try_without(state: State, u: int, targets: Mask, needed: Mask | None = None) -> State | None:
    """`state.without`, decided by triangular factors where the state cannot tell."""
    needed = np.zeros_like(targets) if needed is None else needed
    try:
        return state.without(u, targets, needed)
    except Ambiguous:
        return safe(state).without(u, targets, needed)


def safe(state: State, backend: str | None = None) -> SafeState:
    """The same match with triangular factors."""
    return SafeState(state.pair, state.members, state.threshold, chosen_backend(backend))


def make_state(pair: Pair, members: Members, square: float, backend: str | None = None) -> State:
    """The fastest state that can be trusted with these neurons."""
    backend = chosen_backend(backend)
    M, squares = joint_inverse(pair.keep(members).sides)
    largest = float(np.abs(M).max(initial=1))
    if largest > LARGEST:
        return SafeState(pair, members, Threshold(square), backend)
    kind = SweepState if backend == "numba" else DenseState
    return kind(pair, members, Threshold(square, 1e-13 * largest), M, squares)


# ---------------------------------------------------------------- searches


def mask(size: int, members: Any) -> Mask:
    """True at the given joint indices."""
    out = np.zeros(size, bool)
    out[members] = True
    return out


def smallest(state: State, v: int, order: Members) -> Members:
    """Algorithm min_match: the v-minimal match that trying the neurons in this order leaves."""
    alone = mask(len(state.pair.gram), v)
    return state.advance(order, 0, alone, alone.copy())[1].members


def smallest_of_each(state: State, targets: Members, order: Members) -> dict[int, Members]:
    """The same for every target in one ordered pass: targets share their trials until one trial parts them.

    Gives exactly what separate passes give, since a trial's answer for v does not depend on the other targets. What a
    set of targets is known to need, each part of it needs too.
    """
    size = len(state.pair.gram)
    found: dict[int, Members] = {}
    waiting = [(state, 0, mask(size, targets), np.zeros(size, bool))]
    while waiting:
        state, start, wanted, needed = waiting.pop()
        needed = needed | wanted if wanted.sum() == 1 else needed
        position, state, smaller = state.advance(order, start, wanted, needed)
        if smaller is None:
            found |= {int(v): state.members for v in np.flatnonzero(wanted)}
            continue
        inside = wanted & mask(size, smaller.members)
        stay = state, position + 1, wanted & ~inside, needed | mask(size, order[position])
        leave = smaller, position + 1, inside, needed.copy()
        # the part with fewer targets next: no more than log₂(targets) states ever wait
        waiting += sorted([stay, leave], key=lambda part: -part[2].sum())
    return found


def essentials(state: State) -> dict[int, list[int]]:
    """For each member v the members u, v included, without which v falls: one trial for each u."""
    needs: dict[int, list[int]] = {v: [] for v in state.members.tolist()}
    targets = mask(len(state.pair.gram), state.members)
    for u in needs:
        smaller = try_without(state, u, targets)
        left = set() if smaller is None else set(smaller.members.tolist())
        for v in needs.keys() - left:
            needs[v].append(u)
    return needs


def nested(state: State, targets: Members, order: Members, backend: str | None = None) -> dict[int, Members]:
    """A v-minimal match of every target, each searched inside the smallest match found so far that holds it.

    Any match that holds v holds a v-minimal one, so the start may be any of them. Another choice among the v-minimal
    matches than `smallest_of_each`: they nest, and are a little smaller; but each search builds a state of its own.
    """
    found: dict[int, Members] = {}
    inside: dict[int, Members] = {}
    for v in map(int, targets):
        start = make_state(state.pair, inside[v], state.threshold.square, backend) if v in inside else state
        found[v] = smallest(start, v, order)
        for w in map(int, found[v]):
            if w not in inside or len(found[v]) < len(inside[w]):
                inside[w] = found[v]
    return found
