"""All v-minimal matches, one after another: a search tree without repetitions.

Whether the largest match inside a set of neurons holds v only changes from yes to no as neurons are deleted. So the
v-minimal matches can be listed like the minimal sets of any monotone family. Once one of them, m, is known inside a
state, every other one there misses some neuron of m. Let u be the first it misses: it lies in the largest match
without u, and it holds the neurons of m before u. These parts are disjoint and together miss nothing but m, and each is
searched in the same way. The published algorithm deletes one neuron from each known match in every combination instead.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .minimal import Members, State, mask, smallest, try_without

RECENT = 200  # matches found last among which one inside a part is looked for, before a new search


@dataclass(order=True)
class Part:
    """The v-minimal matches inside `state` without `dropped` that hold all of `held` (a bit for each joint index).

    rank orders the waiting parts: fewest held neurons first, or all alike; then last come first.
    """

    rank: tuple[int, int]
    state: State = field(compare=False)
    dropped: int | None = field(compare=False)
    held: int = field(compare=False)


def bits(members: Members) -> int:
    """A set of joint indices as one integer."""
    return sum(1 << int(i) for i in members)


def indices(number: int) -> list[int]:
    """The joint indices in a set, ascending."""
    return [i for i in range(number.bit_length()) if number >> i & 1]


class Search(Iterator[Members]):
    """Yields every v-minimal match inside `state` once, until there are no more (alg-split).

    best_first: go on where the fewest neurons are known to be needed, which makes `lower_bound` rise; else depth first.
    """

    def __init__(self, state: State, v: int, best_first: bool = False) -> None:
        self.v, self.best_first = v, best_first
        self.target = mask(len(state.pair.gram), v)
        self.found: list[int] = []
        self.listed: set[int] = set()
        self.parts = 0
        self.waiting: list[Part] = []
        self._wait(state, None, 1 << v)

    def __next__(self) -> Members:
        while self.waiting:
            new = self._open(heapq.heappop(self.waiting))
            if new is not None:
                return new
        raise StopIteration

    def exhausted(self) -> bool:
        """Is there no further one? Searches for the next to know."""
        return next(self, None) is None

    def lower_bound(self) -> float:
        """No v-minimal match that is still to come has fewer neurons; inf when none is."""
        return min((part.held.bit_count() for part in self.waiting), default=np.inf)

    def _wait(self, state: State, dropped: int | None, held: int) -> None:
        self.parts += 1
        rank = held.bit_count() if self.best_first else 0, -self.parts
        heapq.heappush(self.waiting, Part(rank, state, dropped, held))

    def _open(self, part: Part) -> Members | None:
        """Split a part at a match inside it; that match if it is a new one."""
        state = part.state if part.dropped is None else try_without(part.state, part.dropped, self.target)
        inside = 0 if state is None else bits(state.members)
        if state is None or part.held & ~inside:
            return None  # v fell, or a neuron that is to be held
        match = next((m for m in reversed(self.found[-RECENT:]) if m & ~inside == 0), 0)
        match = match or bits(self._minimal(state, part.held))
        self._split(state, match, part.held)
        if match in self.listed:
            return None
        self.listed.add(match)
        self.found.append(match)
        return np.array(indices(match))

    def _minimal(self, state: State, held: int) -> Members:
        """A v-minimal match in the state, by preference one with the held neurons: they are tried last."""
        last = mask(len(self.target), indices(held))[state.members]
        return smallest(state, self.v, np.concatenate([state.members[~last], state.members[last]]))

    def _split(self, state: State, match: int, held: int) -> None:
        """One part for each neuron of the match that may be missed."""
        free = indices(match & ~held)
        if self.best_first:
            needed = [u for u in free if try_without(state, u, self.target) is None]
            held |= sum(1 << u for u in needed)
            free = [u for u in free if u not in needed]
        for u in free:
            self._wait(state, u, held)
            held |= 1 << u
