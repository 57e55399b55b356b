"""What a match is, and the checks of what its functions are given."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Any

import numpy as np
from jaxtyping import Int

from ..errors import BadInput, unknown
from ..subspaces import Pair

Neuron = tuple[str, int]
LIMIT = 10_000  # matches listed unless more are asked for: one neuron can have exponentially many minimal matches
DEAD = ("count", "ignore")


# ---------------------------------------------------------------- what a match is


@dataclass(frozen=True, eq=False)
class Match:
    """(X, Y): sorted indices of the matched neurons of either side (def-match)."""

    x: Int[np.ndarray, " matched_x"]
    y: Int[np.ndarray, " matched_y"]

    def __post_init__(self) -> None:
        for side in ("x", "y"):
            object.__setattr__(self, side, np.unique(np.asarray(getattr(self, side), dtype=np.int64)))

    @staticmethod
    def of(neurons: Iterable[Neuron]) -> "Match":
        """From names: Match.of([("x", 0), ("y", 2)]). Raises BadInput for a side that is neither x nor y."""
        indices: dict[str, list[int]] = {"x": [], "y": []}
        for side, index in neurons:
            if side not in indices:
                raise unknown("side", side, indices)
            indices[side].append(index)
        return Match(np.array(indices["x"], np.int64), np.array(indices["y"], np.int64))

    @property
    def neurons(self) -> list[Neuron]:
        """All neurons by name, x first."""
        return [("x", int(i)) for i in self.x] + [("y", int(j)) for j in self.y]

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

    def __or__(self, other: "Match") -> "Match":
        """The union; of two ε-matches again an ε-match (lem-union)."""
        return Match(np.union1d(self.x, other.x), np.union1d(self.y, other.y))

    def __and__(self, other: "Match") -> "Match":
        """The intersection; a match only where the uniqueness theorem holds (thm-uniqueness)."""
        return Match(np.intersect1d(self.x, other.x), np.intersect1d(self.y, other.y))

    def __le__(self, other: "Match") -> bool:
        """Does it lie inside `other`?"""
        return set(self.neurons) <= set(other.neurons)

    def similarity(self, n_x: int, n_y: int) -> float:
        """(|X| + |Y|) / (n_x + n_y), the paper's denominator: dead neurons counted. 0 when there are no neurons."""
        return len(self) / (n_x + n_y) if n_x + n_y else 0.0


class Matches(list[Match]):
    """A list of matches that knows whether it holds all of them (`complete`) or the first ones up to a limit."""

    def __init__(self, matches: Iterable[Match] = (), complete: bool = True) -> None:
        super().__init__(matches)
        self.complete = complete

    def __repr__(self) -> str:
        return f"<{'all' if self.complete else 'the first'} {len(self)} matches>"


@dataclass(frozen=True)
class Smallest:
    """What an enumeration knows about the smallest v-minimal match when it stops.

    match: the smallest found;  lower_bound: no v-minimal match has fewer neurons;  seen: how many were found;
    complete: the search ended, so `match` is as small as any.
    """

    match: Match
    lower_bound: int
    seen: int
    complete: bool


# ---------------------------------------------------------------- checks


def on_pairs(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function of a `Pair` take two arrays in its place, by position or as x and y."""
    whole = signature(function)
    pair, *rest = whole.parameters.values()
    halves = whole.replace(parameters=[pair.replace(name="x"), pair.replace(name="y"), *rest])

    @wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        compressed = isinstance(args[0] if args else options.get("pair"), Pair)
        try:
            given = (whole if compressed else halves).bind(*args, **options).arguments
        except TypeError as error:
            names = ", ".join(["two arrays (neurons, samples) or one Pair", *(part.name for part in rest)])
            raise BadInput(f"{function.__name__}: {error}; expected {names}") from None
        if not compressed:
            given["pair"] = Pair.from_arrays(given.pop("x"), given.pop("y"))
        return function(**given)

    return wrapper


def check_neuron(pair: Pair, neuron: Neuron) -> Neuron:
    """A neuron is ("x", i) or ("y", j)."""
    if not isinstance(neuron, tuple | list) or len(neuron) != 2:
        raise BadInput(f'neuron is {neuron!r}: expected a side and an index, such as ("x", 0)')
    side, index = neuron
    if side not in ("x", "y"):
        raise unknown("side", side, ("x", "y"))
    count = pair.n_x if side == "x" else pair.n_y
    if not isinstance(index, int | np.integer) or not 0 <= index < count:
        has = f"neurons 0 to {count - 1}" if count else "no neurons"
        raise BadInput(f"neuron {index!r} of side {side}: side {side} has {has}")
    return str(side), int(index)


def check_match(pair: Pair, match: Match) -> Match:
    """All neurons of the match exist."""
    for neuron in match.neurons:
        check_neuron(pair, neuron)
    return match


def check_limit(limit: int | None) -> int | None:
    """A positive number of matches, or None for all."""
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise BadInput(f"limit is {limit!r}: expected a positive whole number, or None for all")
    return limit


def check_rng(rng: np.random.Generator | None) -> np.random.Generator | None:
    """A source of random orders, or None for index order."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise BadInput(f"rng is {rng!r}: expected a NumPy generator, such as np.random.default_rng(0), or None")
    return rng
