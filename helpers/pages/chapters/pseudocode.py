"""The algorithms line by line, as the book writes them, on sets of named neurons. They count their steps.

They are slow on purpose: each distance from `helpers.matching.definitions` is one least-squares problem.
`helpers.matching` gives equal answers fast.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from jaxtyping import Float

from ...matching.definitions import Array, Distances, Neuron, Set, all_neurons

Edges = dict[Neuron, Set]


@dataclass(frozen=True)
class Trial:
    """One step of min_match: `tried` is deleted from `before`, and `left` is the maximum match of the rest."""

    tried: Neuron
    before: Set
    left: Set
    kept: bool  # v is in `left`, so the search goes on there; otherwise `tried` is put back


class Plain:
    """Two layers and one ε. `rounds`, `deleted` and `trials` count the work done so far."""

    def __init__(self, x: Array, y: Array, epsilon: float, ridge: float = 0.0, slack: float = 1e-9) -> None:
        self.r = Distances(x, y, ridge)
        self.limit = epsilon + slack
        self.everyone = all_neurons(x, y)
        self.rounds = self.deleted = 0
        self.trials: list[Trial] = []

    def max_match(self, start: Set | None = None) -> Set:
        """Delete every neuron that is too far from the other side; repeat until none is (alg-max)."""
        match = self.everyone if start is None else start
        while True:
            self.rounds += 1
            far = frozenset(v for v in match if self.r(v, match) > self.limit)
            if not far:
                return match
            match, self.deleted = match - far, self.deleted + len(far)

    def min_match(self, v: Neuron, start: Set | None = None, order: Iterable[Neuron] | None = None) -> Set | None:
        """For each other neuron in turn, try to do without it (alg-min). None when v is not in the maximum match."""
        match = self.max_match(start)
        if v not in match:
            return None
        for u in sorted(match) if order is None else order:
            if u != v and u in match:
                left = self.max_match(match - {u})
                self.trials.append(Trial(u, match, left, v in left))
                match = left if v in left else match
        return match

    def random_min_match(self, v: Neuron, rng: np.random.Generator) -> Set | None:
        """min_match in a uniformly random order (alg-random-min)."""
        names = sorted(self.everyone)
        return self.min_match(v, order=[names[k] for k in rng.permutation(len(names))])

    def all_min_match(self, v: Neuron) -> list[Set]:
        """Leave out one neuron of each known match, in every way, until no way keeps v (alg-all-min)."""
        whole = self.max_match()
        matches = [m for m in [self.min_match(v, whole)] if m]
        tested: set[Set] = set()
        while new := next((d for d in hitting_sets(matches, v) if d not in tested), None):
            tested.add(new)
            another = self.min_match(v, whole - new)
            matches += [another] if another else []
        return matches

    def split(
        self, v: Neuron, start: Set | None = None, held: Set = frozenset(), known: list[Set] | None = None
    ) -> Iterator[Set]:
        """The v-minimal matches inside `start` that contain all of `held`, each once (alg-split).

        `known` are minimal matches found so far. If one of them lies inside the maximum match, no min_match is needed.
        """
        known = [] if known is None else known
        match = self.max_match(start)
        if not held | {v} <= match:
            return
        inside = next((m for m in known if m <= match), None) or self.min_match(v, match)
        assert inside is not None
        known += [] if inside in known else [inside]
        if held <= inside:
            yield inside
        for u in sorted(inside - held - {v}):
            yield from self.split(v, match - {u}, held, known)
            held = held | {u}

    def min_match_of_each(self, targets: Set, start: Set, order: Sequence[Neuron]) -> dict[Neuron, Set]:
        """min_match of all targets in one ordered pass. They share trials until one trial splits them (alg-all-v)."""
        for k, u in enumerate(order):
            if u not in start or targets == {u}:
                continue
            left = self.max_match(start - {u})
            self.trials.append(Trial(u, start, left, bool(targets & left)))
            if targets - left and targets & left:
                inside = self.min_match_of_each(targets & left, left, order[k + 1 :])
                return inside | self.min_match_of_each(targets - left, start, order[k + 1 :])
            start = left if targets & left else start
        return dict.fromkeys(targets, start)

    def violations(self, match: Set) -> Edges:
        """For each u: the neurons that fall at once when u alone is deleted from `match` (def-violation)."""
        return {u: frozenset(w for w in match - {u} if self.r(w, match - {u}) > self.limit) for u in match}


def hitting_sets(matches: Sequence[Set], v: Neuron) -> list[Set]:
    """The minimal hitting sets, in order: minimal sets with at least one neuron of every match, but without v."""
    sets: set[Set] = {frozenset()}
    for match in matches:
        grown = {h if h & match else h | {u} for h, u in product(sets, match - {v})}
        sets = {h for h in grown if not any(g < h for g in grown)}
    return sorted(sets, key=sorted)


def reaching(edges: Edges, goals: Iterable[Neuron]) -> Set:
    """Every neuron from which a path of `edges` leads to one of `goals`, with the goals themselves (prp-essential)."""
    reached = frozenset(goals)
    while more := frozenset(u for u, fallen in edges.items() if fallen & reached) - reached:
        reached |= more
    return reached


def dominoes(count: int) -> tuple[Float[np.ndarray, "half count"], Float[np.ndarray, "half count"]]:
    """A chain in which neurons fall one by one at ε = 3/4: the worst case of max_match (prp-rounds).

    Neuron k is e_k + e_{k+1}. The sides alternate, and each neuron needs both neighbours. The first neuron equals the
    second, so this end holds. The last neuron has only one neighbour, so it falls first.
    """
    chain = np.eye(count, count + 1) + np.eye(count, count + 1, 1)
    chain[0] = chain[1]
    return chain[::2], chain[1::2]


def biased() -> tuple[Array, Array]:
    """Two neurons x and four y in the plane: x1 has three minimal matches, found by 84, 18 and 18 of the 120 orders.

    It is the example of prp-random-reach. The matches are one pair, and x1, x2, y4 with one of the two copies y2 and
    y3. On two more samples all neurons are 0, so that no side has more neurons than samples.
    """
    return np.eye(2, 4), np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]])
