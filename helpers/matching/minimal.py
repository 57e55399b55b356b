"""Trials: does v survive when u is deleted from a match? Minimal matches are made of nothing else.

A state is a match (the largest inside some set) whose distances are at hand. `state.without(u, targets)` deletes u and
whatever falls after it, and answers with the smaller state and which targets are left. Three kinds of state give the
same answer: `SweepState` (compiled; one matrix M that holds both sides' inverses), `DenseState` (the same in NumPy) and
`SafeState` (triangular factors, for nearly dependent neurons and for decisions too close for an inverse).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from ..subspaces import Pair
from .kernels import (
    AMBIGUOUS,
    FELL,
    PENDING,
    STABLE,
    Inverse,
    Waiting,
    advance,
    bring_up_to_date,
    cascade,
    fall,
)
from .peeling import chosen_backend, givens_parts, joint_inverse

LARGEST = 1e6  # largest entry of an inverse that is trusted: beyond, neurons are too nearly dependent

Members = Int[np.ndarray, " members"]
Mask = Bool[np.ndarray, " joint"]


class Ambiguous(Exception):
    """A squared distance is too close to ε² for this state's rounding: ask a `SafeState`."""


@dataclass(frozen=True)
class Threshold:
    """A neuron falls when its squared distance exceeds `square`; within `guard` of it an inverse cannot tell."""

    square: float
    guard: float = 0.0


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
        return None if verdict == FELL else self._smaller(bring_up_to_date(state, wait, count))

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
