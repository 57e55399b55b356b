"""Trials: does v survive when u is deleted from a match? Minimal matches are made of nothing else.

A state is a match (the largest inside some set) whose distances are at hand. `state.without(u, targets)` deletes u and
whatever falls after it, and answers with the smaller state and which targets are left. Three kinds of state give the
same answer: `SweepState` (compiled; one matrix M that holds both sides' inverses), `DenseState` (the same in NumPy) and
`SafeState` (triangular factors, for nearly dependent neurons and for decisions too close for an inverse).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from ..compiling import compiled
from ..subspaces import Pair
from .peeling import chosen_backend, delete_neuron, givens_parts, joint_inverse

LARGEST = 1e6  # largest entry of an inverse that is trusted: beyond, neurons are too nearly dependent
PENDING = 32  # accepted deletions that wait before the inverse is brought up to date
STABLE, AMBIGUOUS, FELL, DONE = 0, 1, 2, 3

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


class Inverse(NamedTuple):
    """A match as its joint inverse: M and the squared distances of `members`, of which the first `cut` are x."""

    M: np.ndarray
    squares: np.ndarray
    cut: int
    members: np.ndarray


class Waiting(NamedTuple):
    """Deletions not yet in M: who, their pivot rows Q, and what they leave: distances s, and who is gone."""

    s: np.ndarray
    gone: np.ndarray
    who: np.ndarray
    Q: np.ndarray


@compiled
def row_of(state, wait, count, i, row):  # type: ignore[no-untyped-def]
    """Row i of M with the first `count` waiting deletions of its side applied."""
    for t in range(len(row)):
        row[t] = state.M[i, t]
    for e in range(count):
        if (wait.who[e] < state.cut) == (i < state.cut):
            f = wait.Q[e, i]
            for t in range(len(row)):
                row[t] -= f * wait.Q[e, t]


@compiled
def pivot(state, wait, count, d):  # type: ignore[no-untyped-def]
    """Delete d next: its row, over the root of its pivot, waits in Q[count]."""
    row = wait.Q[count]
    row_of(state, wait, count, d, row)
    root = np.sqrt(row[d])
    for t in range(len(row)):
        row[t] /= root
    wait.who[count] = d
    wait.gone[d] = True


@compiled
def copy_into(wait, other):  # type: ignore[no-untyped-def]
    """Distances and the gone of `other`; in a loop, since a slice assignment takes seconds to compile."""
    for t in range(len(wait.s)):
        wait.s[t], wait.gone[t] = other.s[t], other.gone[t]


@compiled
def targets_gone(target, wait, now):  # type: ignore[no-untyped-def]
    """How many targets are among the deletions of this trial."""
    count = 0
    for t in range(len(target)):
        count += target[t] and wait.gone[t] and not now.gone[t]
    return count


@compiled
def fallen_by(state, wait, count, target, needed, limit):  # type: ignore[no-untyped-def]
    """Let the last deletion's row² add to the other side; how many targets thereby fall: all if a needed one does."""
    row, fallen = wait.Q[count], 0
    low, high = (state.cut, len(row)) if wait.who[count] < state.cut else (0, state.cut)
    for t in range(low, high):
        before = wait.s[t]
        wait.s[t] = before + row[t] * row[t]
        if before <= limit < wait.s[t] and not wait.gone[t]:
            fallen += len(row) if needed[t] else target[t]
    return fallen


@compiled
def farthest(s, gone, limit):  # type: ignore[no-untyped-def]
    """The member with the largest squared distance above the limit; -1 if there is none."""
    d = -1
    for t in range(len(s)):
        if s[t] > limit and not gone[t] and (d < 0 or s[t] > s[d]):
            d = t
    return d


@compiled
def cascade(state, wait, count, u, target, needed, square, guard):  # type: ignore[no-untyped-def]
    """Delete u and all that falls after it, without touching M; `count` deletions are waiting already.

    Stops as soon as every target has fallen, or a neuron that every target needs. O(N) for each pair of deletions on
    one side. Returns (verdict, count).
    """
    left = 0
    for t in range(len(target)):
        left += target[t] and not wait.gone[t]
    d = u
    while True:
        left -= target[d] and wait.s[d] <= square + guard
        pivot(state, wait, count, d)
        left -= fallen_by(state, wait, count, target, needed, square + guard)
        count += 1
        if left <= 0:
            return FELL, count
        d = farthest(wait.s, wait.gone, square - guard)
        if d < 0:
            return STABLE, count
        if wait.s[d] <= square + guard:
            return AMBIGUOUS, count


@compiled
def commit(state, wait, count):  # type: ignore[no-untyped-def]
    """The state without the deleted: M less the waiting pivot rows, on the rows and columns that remain."""
    kept = np.flatnonzero(~wait.gone)
    M, row = np.empty((len(kept), len(kept))), np.empty(len(wait.s))
    for a in range(len(kept)):
        row_of(state, wait, count, kept[a], row)
        for b in range(len(kept)):
            M[a, b] = row[kept[b]]
    return Inverse(M, wait.s[kept], np.sum(kept < state.cut), state.members[kept])


@compiled
def spread(state, gone, needed, queue, count, limit):  # type: ignore[no-untyped-def]
    """Violation graph, backwards from queue[:count]: j is needed when deleting j alone makes a needed neuron fall.

    Distances only grow under further deletions, so whatever is needed once stays needed, even where M and the squares
    do not hold the last deletions yet (prp-essential).
    """
    while count > 0:
        count -= 1
        t = queue[count]
        room = limit - state.squares[t]
        low, high = (state.cut, len(gone)) if t < state.cut else (0, state.cut)
        for j in range(low, high):
            if not needed[j] and not gone[j] and state.M[j, t] ** 2 > room * state.M[j, j]:
                needed[j] = True
                queue[count] = j
                count += 1


@compiled
def trials(state, order, position, target, needed, now, wait, square, guard, most):  # type: ignore[no-untyped-def]
    """Trials until the targets part, or one is ambiguous, or more than `most` deletions wait, or the end.

    `order` holds indices of the state's members, -1 for others. `now` is left with the accepted deletions, `wait` with
    those of the trial that stopped the run, if one did. Returns (verdict, position, accepted, count).
    """
    queue = np.empty(len(target), np.int64)
    accepted = 0
    while position < len(order) and accepted <= most:
        u = order[position]
        if u < 0 or now.gone[u] or needed[u]:
            position += 1
            continue
        copy_into(wait, now)
        verdict, count = cascade(state, wait, accepted, u, target, needed, square, guard)
        if verdict == FELL:
            needed[u], queue[0] = True, u
            spread(state, now.gone, needed, queue, 1, square + guard)
        elif verdict == AMBIGUOUS or targets_gone(target, wait, now) > 0:
            return verdict, position, accepted, count
        else:
            copy_into(now, wait)
            accepted = count
        position += 1
    return DONE, position, accepted, accepted


@compiled
def advance(state, order, position, targets, needs, square, guard, most):  # type: ignore[no-untyped-def]
    """Go through the trials order[position:] for all targets at once until they part, or the end.

    `targets`, `needs` (what every target needs; grows) and `order` are joint indices; M is brought up to date when more
    than `most` deletions wait. Returns (verdict, position, state, smaller state): when a trial splits the targets, both
    states; position is the index in `order` of the trial that stopped the run.
    """
    while True:
        N, members, count = len(state.squares), state.members, 0
        where, queue = np.full(len(targets), -1), np.empty(2 * N, np.int64)
        target, needed, who, Q = targets[members], needs[members], np.empty(N, np.int64), np.empty((N, N))
        for t in range(N):
            where[members[t]] = t
            if needed[t]:
                queue[count] = t
                count += 1
        now = Waiting(state.squares.copy(), np.zeros(N, np.bool_), who, Q)
        wait = Waiting(state.squares.copy(), np.zeros(N, np.bool_), who, Q)
        spread(state, now.gone, needed, queue, count, square + guard)
        verdict, position, accepted, count = trials(
            state, where[order], position, target, needed, now, wait, square, guard, most
        )
        for t in range(N):
            needs[members[t]] = needed[t]
        smaller = commit(state, wait, count) if verdict == STABLE else state
        state = commit(state, now, accepted) if accepted > 0 else state
        if verdict != DONE or position == len(order):
            return verdict, position, state, smaller


@compiled
def place(at, count, d):  # type: ignore[no-untyped-def]
    """Where joint index d stands among the first `count` of a side; -1 if it is on the other."""
    for i in range(count):
        if at[i] == d:
            return i
    return -1


@compiled
def fall(Rx, Cx, sy, Ry, Cy, sx, at_x, at_y, u, target, needed, square):  # type: ignore[no-untyped-def]
    """Delete joint index u and all that falls after it from triangular factors (destroyed).

    Returns the sizes left; (0, 0) as soon as every target has fallen, or a neuron that every target needs. Joint
    indices are in at_x and at_y.
    """
    n, m = len(sx), len(sy)
    left = target[at_x].sum() + target[at_y].sum()
    d = u
    while d >= 0:
        left -= target[d]
        if left == 0 or (needed[d] and d != u):
            return 0, 0
        i = place(at_x, n, d)
        if i >= 0:
            delete_neuron(Rx, Cx, sy, sx, Cy, at_x, n, m, i)
            n -= 1
        else:
            delete_neuron(Ry, Cy, sx, sy, Cx, at_y, m, n, place(at_y, m, d))
            m -= 1
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
        n, m = fall(*parts, x, y, u, targets, needed, self.threshold.square)
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

    @property
    def inverse(self) -> Inverse:
        """What the kernels work on."""
        cut = int(np.searchsorted(self.members, len(self.pair.alive_x)))
        return Inverse(self.M, self.squares, cut, self.members)

    def _smaller(self, found: Inverse) -> "SweepState":
        return SweepState(self.pair, found.members, self.threshold, found.M, found.squares)

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """One cascade, and one commit if a target is left."""
        N, state = len(self.members), self.inverse
        wait = Waiting(self.squares.copy(), np.zeros(N, np.bool_), np.empty(N, np.int64), np.empty((N, N)))
        at, masks = int(np.searchsorted(self.members, u)), (targets[self.members], needed[self.members])
        verdict, count = cascade(state, wait, 0, at, *masks, self.threshold.square, self.threshold.guard)
        if verdict == AMBIGUOUS:
            raise Ambiguous
        return None if verdict == FELL else self._smaller(commit(state, wait, count))

    def advance(self, order: Members, start: int, targets: Mask, needed: Mask) -> tuple[int, State, State | None]:
        """All trials in one compiled run; where an inverse cannot tell, a `SafeState` goes on."""
        limits = self.threshold.square, self.threshold.guard, PENDING
        verdict, position, found, smaller = advance(self.inverse, order, start, targets, needed, *limits)
        state = self._smaller(found)
        if verdict == AMBIGUOUS:
            return safe(state).advance(order, position, targets, needed)
        return position, state, self._smaller(smaller) if verdict == STABLE else None


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
    """The same for every target in one ordered pass (alg-all-v): targets share their trials until one trial parts them.

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
