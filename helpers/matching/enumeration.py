"""All v-minimal matches, one after another: a search tree without repetitions.

As neurons are deleted, the answer to "does the largest match inside still contain v?" changes from yes to no, and
never back. So the v-minimal matches can be listed like the minimal sets of any monotone family.

Let m be a v-minimal match that is known inside a state. Every other one inside this state lacks some neuron of m. Let
u be the first neuron of m that it lacks. Then it lies in the largest match without u, and it contains the neurons of m
before u. This gives one part of the search for each u. The parts are disjoint, together they contain every v-minimal
match but m, and each part is searched by these same steps.

The paper's algorithm is different: it deletes one neuron from each known match, in every combination.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from .minimal import Members, State, mask, smallest, try_without

RECENT = 200  # before a new match is computed for a part, one inside it is looked for among so many found last


@dataclass(order=True)
class Part:
    """The v-minimal matches inside `state` that lack `dropped` and contain all of `held` (one bit per joint index).

    rank orders the parts that wait: parts with fewer held neurons first (or no such order, if the search is depth
    first), then the part that was added last.
    """

    rank: tuple[int, int]
    state: State = field(compare=False)
    dropped: int | None = field(compare=False)
    held: int = field(compare=False)


def bits(members: Members) -> int:
    """A set of joint indices as one integer, with one bit per index."""
    return sum(1 << int(i) for i in members)


def indices(number: int) -> list[int]:
    """The joint indices in such an integer, ascending."""
    return [i for i in range(number.bit_length()) if number >> i & 1]


class Search(Iterator[Members]):
    """Yields every v-minimal match inside `state` once, until there are no more (alg-split).

    best_first: search next where the fewest neurons are known to be needed, so that `lower_bound` rises. Otherwise the
    search goes depth first.
    """

    def __init__(self, state: State, v: int, best_first: bool = False) -> None:
        self.v, self.best_first = v, best_first
        self.target = mask(len(state.pair.gram), v)
        self.matches: list[int] = []
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
        """Is there no further match? The search for the next one is run to find out."""
        return next(self, None) is None

    def lower_bound(self) -> float:
        """No v-minimal match that is still to come has fewer neurons than this; inf when none is to come."""
        return min((part.held.bit_count() for part in self.waiting), default=np.inf)

    def _wait(self, state: State, dropped: int | None, held: int) -> None:
        self.parts += 1
        rank = held.bit_count() if self.best_first else 0, -self.parts
        heapq.heappush(self.waiting, Part(rank, state, dropped, held))

    def _open(self, part: Part) -> Members | None:
        """Search one part: find a match inside it and split the part there. Returns the match if it is new."""
        state = part.state if part.dropped is None else try_without(part.state, part.dropped, self.target)
        inside = 0 if state is None else bits(state.members)
        if state is None or part.held & ~inside:
            return None  # v has fallen, or a neuron that must be held has
        match = next((m for m in reversed(self.matches[-RECENT:]) if m & ~inside == 0), 0)
        match = match or bits(self._minimal(state, part.held))
        self._split(state, match, part.held)
        if match in self.listed:
            return None
        self.listed.add(match)
        self.matches.append(match)
        return np.array(indices(match))

    def _minimal(self, state: State, held: int) -> Members:
        """A v-minimal match in the state. The held neurons are tried last, so the match keeps them where it can."""
        last = mask(len(self.target), indices(held))[state.members]
        return smallest(state, self.v, np.concatenate([state.members[~last], state.members[last]]))

    def _split(self, state: State, match: int, held: int) -> None:
        """Add one part for each neuron of the match that may be missing."""
        free = indices(match & ~held)
        if self.best_first:
            needed = [u for u in free if try_without(state, u, self.target) is None]
            held |= sum(1 << u for u in needed)
            free = [u for u in free if u not in needed]
        for u in free:
            self._wait(state, u, held)
            held |= 1 << u
