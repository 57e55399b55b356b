"""Trials: does v stay in a match when u is deleted from it? All searches for minimal matches consist of such trials.

A state is a match (the largest inside some set of neurons) whose distances are computed. `state.without(u, targets)`
deletes u and all that falls after it, and returns the smaller state, or None if no target is left. Three kinds of
state give equal answers:

- `SweepState`: compiled; one matrix M holds both sides' inverses;
- `DenseState`: that method in NumPy;
- `SafeState`: triangular factors, for nearly dependent neurons and for decisions that are too close for an inverse.
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

LARGEST = 1e6  # largest entry of an inverse that is trusted: above it, neurons are too nearly dependent

Members = Int[np.ndarray, " members"]
Mask = Bool[np.ndarray, " joint"]


class Ambiguous(Exception):
    """A squared distance is too close to ε² for this state's rounding. A `SafeState` must decide."""


@dataclass(frozen=True)
class Threshold:
    """A neuron falls when its squared distance exceeds `square`. Within `guard` of it an inverse cannot decide."""

    square: float
    guard: float = 0.0


# ---------------------------------------------------------------- states


def settle(pair: Pair, members: Members, square: float) -> Members:
    """Algorithm max_match (alg-max): compute the distances, delete every neuron that is too far, until none is."""
    fallen = np.ones(1, bool)
    while fallen.any():
        sides = pair.keep(members).sides
        fallen = np.concatenate([sides[1].squares, sides[0].squares]) > square
        members = members[~fallen]
    return members


class State:
    """A match and its distances. `members` are the joint indices of its alive neurons, ascending, so x comes first."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold) -> None:
        self.pair, self.members, self.threshold = pair, members, threshold

    def without(self, u: int, targets: Mask, needed: Mask) -> "State | None":
        """The largest match left when u is deleted; None when every target has fallen.

        `needed` marks the neurons that are known to be essential to every target. If one of them falls, all targets
        fall.
        """
        raise Ambiguous

    def advance(self, order: Members, start: int, targets: Mask, needed: Mask) -> "tuple[int, State, State | None]":
        """Run the trials order[start:] until one splits the targets, or all are done. Marks more neurons in `needed`.

        Returns (position, state, smaller state): the trial that splits the targets, the state before it and the state
        after it. If all are done, the smaller state is None.
        """
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
    """Triangular factors and Givens deletion: nothing cancels, so this state decides every case.

    Each trial copies the factors, which costs O(n²).
    """

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, backend: str) -> None:
        super().__init__(pair, members, threshold)
        self.backend = backend
        self.parts = givens_parts(pair.keep(members).sides) if backend == "numba" else []
        self.x = members[members < len(pair.alive_x)]
        self.y = members[members >= len(pair.alive_x)]

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """With Numba, Givens deletions on a copy. With NumPy, new distances of what is left, until nothing changes."""
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
    """The joint inverse in NumPy. Each trial works on a copy and updates it one deletion at a time."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, M: np.ndarray, squares: np.ndarray) -> None:
        super().__init__(pair, members, threshold)
        self.M, self.squares = M, squares
        self.is_x = members < len(pair.alive_x)

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """Rank-one updates, one per deletion."""
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
    """The joint inverse, compiled. Trials need no copies, and the violation graph shows which neurons are needed."""

    def __init__(self, pair: Pair, members: Members, threshold: Threshold, M: np.ndarray, squares: np.ndarray) -> None:
        super().__init__(pair, members, threshold)
        self.M, self.squares = M, squares

    @property
    def inverse(self) -> Inverse:
        """The arrays on which the compiled functions work."""
        cut = int(np.searchsorted(self.members, len(self.pair.alive_x)))
        return Inverse(self.M, self.squares, cut, self.members)

    def _smaller(self, inverse: Inverse) -> "SweepState":
        return SweepState(self.pair, inverse.members, self.threshold, inverse.M, inverse.squares)

    def without(self, u: int, targets: Mask, needed: Mask) -> State | None:
        """Run one cascade of deletions. If a target is left, make the smaller state."""
        N, state = len(self.members), self.inverse
        wait = Waiting(self.squares.copy(), np.zeros(N, np.bool_), np.empty(N, np.int64), np.empty((N, N)))
        at, masks = int(np.searchsorted(self.members, u)), (targets[self.members], needed[self.members])
        verdict, count = cascade(state, wait, 0, at, *masks, self.threshold.square, self.threshold.guard)
        if verdict == AMBIGUOUS:
            raise Ambiguous
        return None if verdict == FELL else self._smaller(bring_up_to_date(state, wait, count))

    def advance(self, order: Members, start: int, targets: Mask, needed: Mask) -> tuple[int, State, State | None]:
        """All trials in one compiled run. Where an inverse cannot decide, a `SafeState` goes on."""
        limits = self.threshold.square, self.threshold.guard, PENDING
        verdict, position, inverse, smaller = advance(self.inverse, order, start, targets, needed, *limits)
        state = self._smaller(inverse)
        if verdict == AMBIGUOUS:
            return safe(state).advance(order, position, targets, needed)
        return position, state, self._smaller(smaller) if verdict == STABLE else None


def try_without(state: State, u: int, targets: Mask, needed: Mask | None = None) -> State | None:
    """The answer of `state.without`, by triangular factors where the state cannot decide."""
    needed = np.zeros_like(targets) if needed is None else needed
    try:
        return state.without(u, targets, needed)
    except Ambiguous:
        return safe(state).without(u, targets, needed)


def safe(state: State, backend: str | None = None) -> SafeState:
    """This state's match as a `SafeState`, with triangular factors."""
    return SafeState(state.pair, state.members, state.threshold, chosen_backend(backend))


def make_state(pair: Pair, members: Members, square: float, backend: str | None = None) -> State:
    """The fastest state that can be trusted with these neurons: a `SafeState` if they are too nearly dependent."""
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
    """Algorithm min_match (alg-min): the v-minimal match that is left after the neurons were tried in this order."""
    alone = mask(len(state.pair.gram), v)
    return state.advance(order, 0, alone, alone.copy())[1].members


def smallest_of_each(state: State, targets: Members, order: Members) -> dict[int, Members]:
    """A v-minimal match of every target in one ordered pass (alg-all-v).

    Targets share their trials until one trial splits them. The result is exactly what `smallest` gives for each
    target, since a trial's answer for v does not depend on the other targets. What a set of targets is known to need,
    every subset of it needs too.
    """
    size = len(state.pair.gram)
    matches: dict[int, Members] = {}
    waiting = [(state, 0, mask(size, targets), np.zeros(size, bool))]
    while waiting:
        state, start, wanted, needed = waiting.pop()
        needed = needed | wanted if wanted.sum() == 1 else needed
        position, state, smaller = state.advance(order, start, wanted, needed)
        if smaller is None:
            matches |= {int(v): state.members for v in np.flatnonzero(wanted)}
            continue
        inside = wanted & mask(size, smaller.members)
        stay = state, position + 1, wanted & ~inside, needed | mask(size, order[position])
        leave = smaller, position + 1, inside, needed.copy()
        # the part with fewer targets comes next, so that at most log₂(targets) states wait
        waiting += sorted([stay, leave], key=lambda part: -part[2].sum())
    return matches


def essentials(state: State) -> dict[int, list[int]]:
    """For each member v: the members u, v included, without which v falls. There is one trial for each u."""
    needs: dict[int, list[int]] = {v: [] for v in state.members.tolist()}
    targets = mask(len(state.pair.gram), state.members)
    for u in needs:
        smaller = try_without(state, u, targets)
        left = set() if smaller is None else set(smaller.members.tolist())
        for v in needs.keys() - left:
            needs[v].append(u)
    return needs


def nested(state: State, targets: Members, order: Members, backend: str | None = None) -> dict[int, Members]:
    """A v-minimal match of every target, each searched inside the smallest match found so far that contains it.

    Any match that contains v contains a v-minimal one, so a search may start from any of them. The matches found in
    this way are a little smaller than those of `smallest_of_each`, but each search builds its own state.
    """
    matches: dict[int, Members] = {}
    inside: dict[int, Members] = {}
    for v in map(int, targets):
        start = make_state(state.pair, inside[v], state.threshold.square, backend) if v in inside else state
        matches[v] = smallest(start, v, order)
        for w in map(int, matches[v]):
            if w not in inside or len(matches[v]) < len(inside[w]):
                inside[w] = matches[v]
    return matches
