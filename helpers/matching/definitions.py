"""The definitions, word for word. They are slow. They serve small examples and tests of the fast code.

A neuron is named by its side and index, such as ("x", 0). A pair (X, Y) of sets of neurons is one frozenset of such
names. The union of two pairs is then `|`, their intersection is `&`, and "lies inside" is `<=`.
"""

from collections.abc import Iterable
from itertools import chain, combinations

import numpy as np
from jaxtyping import Float

Neuron = tuple[str, int]
Set = frozenset[Neuron]
Array = Float[np.ndarray, "neurons samples"]


def relative_distance(z: Float[np.ndarray, " samples"], basis: Array, ridge: float = 0.0) -> float:
    """Distance of z to the span of the rows of `basis`, divided by the norm of z (def-distance); inf for a dead neuron.

    With `ridge` = λ > 0 it is the ridge distance of the unit vectors (def-ridge). With λ = 0 it is plain least
    squares.
    """
    z, basis = np.asarray(z, float), np.asarray(basis, float)
    norm = np.linalg.norm(z)
    if norm == 0:
        return np.inf
    live = basis[np.linalg.norm(basis, axis=1) > 0]
    if len(live) == 0:
        return 1.0
    rows = live / np.linalg.norm(live, axis=1, keepdims=True)
    target = np.concatenate([z / norm, np.zeros(len(rows))])
    design = np.vstack([rows.T, np.sqrt(ridge) * np.eye(len(rows))])
    coefficients = np.linalg.lstsq(design, target, rcond=1e-12)[0]
    return float(np.linalg.norm(target - design @ coefficients))


def all_neurons(x: Array, y: Array) -> Set:
    """The names of all neurons of both sides."""
    return frozenset([("x", i) for i in range(len(x))] + [("y", j) for j in range(len(y))])


def subsets(names: Iterable[Neuron]) -> list[Set]:
    """All 2^n subsets of the names, small ones first."""
    names = sorted(names)
    sizes = range(len(names) + 1)
    return [frozenset(s) for s in chain.from_iterable(combinations(names, k) for k in sizes)]


class Distances:
    """r(v, S): the relative distance of neuron v to the span of the neurons in S that lie on the other side.

    Every distance is computed once and remembered.
    """

    def __init__(self, x: Array, y: Array, ridge: float = 0.0) -> None:
        self.sides = {"x": np.asarray(x, float), "y": np.asarray(y, float)}
        self.ridge = ridge
        self.known: dict[tuple[Neuron, tuple[int, ...]], float] = {}

    def __call__(self, v: Neuron, pair: Set) -> float:
        """r(v, pair). The least-squares problem of each (v, neurons of the other side) is solved once."""
        other = "y" if v[0] == "x" else "x"
        key = (v, tuple(sorted(i for side, i in pair if side == other)))
        if key not in self.known:
            z, basis = self.sides[v[0]][v[1]], self.sides[other][list(key[1])]
            self.known[key] = relative_distance(z, basis, self.ridge)
        return self.known[key]

    def worst(self, pair: Set) -> float:
        """max r(v, S) over the neurons v of S: the smallest ε at which S is a match; 0 for the empty pair."""
        return max((self(v, pair) for v in pair), default=0.0)


def is_match_by_definition(r: Distances, pair: Set, epsilon: float, slack: float = 1e-7) -> bool:
    """Is every neuron of the pair within ε of the span of the pair's other side (def-match)?"""
    return r.worst(pair) <= epsilon + slack


def all_matches(x: Array, y: Array, epsilon: float, ridge: float = 0.0, slack: float = 1e-7) -> list[Set]:
    """Every ε-match (def-match) with the empty one, small ones first, by trying all 2^(n_x + n_y) pairs."""
    r = Distances(x, y, ridge)
    return [pair for pair in subsets(all_neurons(x, y)) if is_match_by_definition(r, pair, epsilon, slack)]


def simple(matches: list[Set]) -> list[Set]:
    """The non-empty matches that are not the union of the strictly smaller matches in the list (def-simple)."""
    return [m for m in matches if frozenset().union(*(s for s in matches if s < m)) != m]


def minimal(matches: list[Set], v: Neuron) -> list[Set]:
    """The v-minimal matches: they contain v, and no smaller match in the list that contains v lies inside them.

    This is def-minimal.
    """
    holding = [m for m in matches if v in m]
    return [m for m in holding if not any(s < m for s in holding)]


def name(pair: Iterable[Neuron]) -> str:
    """A pair in print, with neurons counted from 1: "x1 x2 | y1". The empty pair is "∅"."""
    sides = [" ".join(f"{s}{i + 1}" for s, i in sorted(pair) if s == side) for side in "xy"]
    return " | ".join(sides) if any(sides) else "∅"
