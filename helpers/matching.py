"""The paper's objects: matches, critical ε, minimal and simple matches.

Every function takes two (neurons, samples) arrays, or in place of both one `helpers.subspaces.Pair`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from helpers.errors import BadInput, unknown
from helpers.peeling import peel
from helpers.subspaces import Pair

Neuron = tuple[str, int]


@dataclass(frozen=True, eq=False)
class Match:
    """(X, Y): sorted indices of the matched neurons of either side."""

    x: Int[np.ndarray, " matched_x"]
    y: Int[np.ndarray, " matched_y"]

    def __post_init__(self) -> None:
        for side in ("x", "y"):
            object.__setattr__(self, side, np.unique(np.asarray(getattr(self, side), dtype=np.int64)))

    @property
    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Plain tuples that identify the match."""
        return tuple(self.x.tolist()), tuple(self.y.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Match) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __len__(self) -> int:
        return len(self.x) + len(self.y)

    def __contains__(self, neuron: Neuron) -> bool:
        return bool(neuron[1] in (self.x if neuron[0] == "x" else self.y))

    def similarity(self, n_x: int, n_y: int) -> float:
        """(|X| + |Y|) / (n_x + n_y), the paper's denominator: dead neurons counted. 0 when there are no neurons."""
        return len(self) / (n_x + n_y) if n_x + n_y else 0.0


def on_pairs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of a `Pair` take two arrays in its place."""

    @wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        given = [options.pop(name) for name in ("x", "y") if name in options] + list(args)
        if given and isinstance(given[0], Pair):
            return function(*given, **options)
        if len(given) < 2:
            raise BadInput("expected two arrays (neurons, samples) or one Pair")
        return function(Pair.from_arrays(given[0], given[1]), *given[2:], **options)

    return wrapper


def check_epsilon(epsilon: float) -> float:
    """ε as a float in [0, 1)."""
    if not isinstance(epsilon, int | float | np.floating | np.integer) or not 0 <= epsilon < 1:
        raise BadInput(f"epsilon is {epsilon!r}: expected a number in [0, 1)")
    return float(epsilon)


def slack(pair: Pair) -> float:
    """How far above ε still counts: ten times the floor τ‖c‖ of an exact match."""
    return 1e-4 if pair.route == "gram" else 1e-6


@on_pairs
def critical_epsilons(pair: Pair) -> tuple[Float[np.ndarray, " n_x"], Float[np.ndarray, " n_y"]]:
    """The smallest ε at which each neuron is in the maximum match; inf if never in [0, 1) (dead neurons always)."""
    found = []
    for n, alive, raw in zip((pair.n_x, pair.n_y), (pair.alive_x, pair.alive_y), peel(pair), strict=True):
        values = np.full(n, np.inf)
        values[alive] = np.where(raw <= slack(pair), 0.0, np.where(raw >= 1 - 1e-9, np.inf, raw))
        found.append(values)
    return found[0], found[1]


@on_pairs
def maximum_match(pair: Pair, epsilon: float) -> Match:
    """The match that contains every other ε-match (union-close lemma): all neurons with critical ε ≤ ε."""
    epsilon = check_epsilon(epsilon)
    x, y = critical_epsilons(pair)
    reach = epsilon + slack(pair)
    return Match(np.flatnonzero(x <= reach), np.flatnonzero(y <= reach))


@on_pairs
def similarity_curve(pair: Pair, epsilons: Iterable[float]) -> Float[np.ndarray, " epsilons"]:
    """Maximum matching similarity at each ε, from one peel."""
    return np.array([maximum_match(pair, e).similarity(pair.n_x, pair.n_y) for e in epsilons])


def restrict(pair: Pair, match: Match) -> Pair:
    """The pair of the neurons of `match` only, with the same ridge and route."""
    x, y = np.isin(pair.alive_x, match.x), np.isin(pair.alive_y, match.y)
    keep = np.concatenate([x, y])
    root = None if pair.root is None else pair.root[:, keep]
    gram = pair.gram[np.ix_(keep, keep)]
    return Pair(gram, pair.alive_x[x], pair.alive_y[y], pair.n_x, pair.n_y, pair.samples, pair.ridge, root)


def check_neuron(pair: Pair, neuron: Neuron) -> Neuron:
    """A neuron is ("x", i) or ("y", j)."""
    side, index = neuron
    if side not in ("x", "y"):
        raise unknown("side", side, ("x", "y"))
    count = pair.n_x if side == "x" else pair.n_y
    if not 0 <= index < count:
        raise BadInput(f"neuron {neuron}: side {side} has neurons 0 to {count - 1}")
    return side, int(index)


def without(match: Match, neuron: Neuron) -> Match:
    """The match less one neuron."""
    side, index = neuron
    return Match(match.x[match.x != index], match.y) if side == "x" else Match(match.x, match.y[match.y != index])


def neurons_of(match: Match) -> list[Neuron]:
    """All neurons, x first."""
    return [("x", int(i)) for i in match.x] + [("y", int(j)) for j in match.y]


@on_pairs
def minimal_match(pair: Pair, neuron: Neuron, epsilon: float, rng: np.random.Generator | None = None) -> Match | None:
    """A v-minimal match (algorithm min_match): try to do without each other neuron once, in index or random order.

    None when `neuron` is not in the maximum match.
    """
    neuron = check_neuron(pair, neuron)
    current = maximum_match(pair, epsilon)
    if neuron not in current:
        return None
    order = neurons_of(current)
    if rng is not None:
        order = [order[k] for k in rng.permutation(len(order))]
    for u in order:
        if u != neuron and u in current:
            smaller = maximum_match(restrict(pair, without(current, u)), epsilon)
            current = smaller if neuron in smaller else current
    return current
