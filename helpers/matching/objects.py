"""What a match is, and the checks of the arguments of all functions in `match`."""

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
LIMIT = 10_000  # the default number of matches listed: one neuron can have exponentially many minimal matches
DEAD = ("count", "ignore")


# ---------------------------------------------------------------- what a match is


@dataclass(frozen=True, eq=False)
class Match:
    """(X, Y): the sorted indices of the matched neurons of x and of y (def-match)."""

    x: Int[np.ndarray, " matched_x"]
    y: Int[np.ndarray, " matched_y"]

    def __post_init__(self) -> None:
        for side in ("x", "y"):
            object.__setattr__(self, side, np.unique(np.asarray(getattr(self, side), dtype=np.int64)))

    @staticmethod
    def of(neurons: Iterable[Neuron]) -> "Match":
        """The match of named neurons: Match.of([("x", 0), ("y", 2)]).

        Raises `BadInput` for another side than x and y.
        """
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
        """The union. The union of two ε-matches is an ε-match (lem-union)."""
        return Match(np.union1d(self.x, other.x), np.union1d(self.y, other.y))

    def __and__(self, other: "Match") -> "Match":
        """The intersection. It is a match only where the uniqueness theorem holds (thm-uniqueness)."""
        return Match(np.intersect1d(self.x, other.x), np.intersect1d(self.y, other.y))

    def __le__(self, other: "Match") -> bool:
        """Does this match lie inside `other`?"""
        return set(self.neurons) <= set(other.neurons)

    def similarity(self, n_x: int, n_y: int) -> float:
        """(|X| + |Y|) / (n_x + n_y), with the dead neurons in the denominator as in the paper. 0 without neurons."""
        return len(self) / (n_x + n_y) if n_x + n_y else 0.0


class Matches(list[Match]):
    """A list of matches. `complete` says whether these are all of them, or only the first ones up to a limit."""

    def __init__(self, matches: Iterable[Match] = (), complete: bool = True) -> None:
        super().__init__(matches)
        self.complete = complete

    def __repr__(self) -> str:
        return f"<{'all' if self.complete else 'the first'} {len(self)} matches>"


@dataclass(frozen=True)
class Smallest:
    """What a search knows about the smallest v-minimal match when it stops.

    - match: the smallest one found;
    - lower_bound: every v-minimal match has at least so many neurons;
    - seen: how many were found;
    - complete: the search has ended, so no v-minimal match is smaller than `match`.
    """

    match: Match
    lower_bound: int
    seen: int
    complete: bool


# ---------------------------------------------------------------- checks


def on_pairs(function: Callable[..., Any], few_samples: bool = False) -> Callable[..., Any]:
    """Let a function of a `Pair` also take two arrays, by position or as x and y.

    Arrays with more neurons than samples are refused (`check_enough` says why), unless the call has
    `few_samples=True`. The argument `few_samples` here is the default of that option. A `Pair` is never refused.
    Wrong numbers or names of arguments raise `BadInput`, too.
    """
    whole = signature(function)
    pair, *rest = whole.parameters.values()
    halves = whole.replace(parameters=[pair.replace(name="x"), pair.replace(name="y"), *rest])

    @wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        compressed = isinstance(args[0] if args else options.get("pair"), Pair)
        few = True if compressed else options.pop("few_samples", few_samples)
        try:
            given = (whole if compressed else halves).bind(*args, **options).arguments
        except TypeError as error:
            names = ", ".join(["two arrays (neurons, samples) or one Pair", *(part.name for part in rest)])
            raise BadInput(f"{function.__name__}: {error}; expected {names}") from None
        if not compressed:
            given["pair"] = Pair.from_arrays(given.pop("x"), given.pop("y"))
        if not few:
            check_enough(given["pair"])
        return function(**given)

    return wrapper


def check_enough(pair: Pair) -> Pair:
    """The pair; raises `BadInput` if a side has more neurons than samples.

    So many neurons span everything, and all distances are 0. Often such arrays are (samples, neurons), as in
    scikit-learn.
    """
    for network, count in (("x", pair.n_x), ("y", pair.n_y)):
        if count > pair.samples:
            what = f"{network} has {count} neurons and {pair.samples} samples"
            advice = "transpose arrays that have samples as rows, or allow it with few_samples=True"
            raise BadInput(f"{what}: expected (neurons, samples), with at least as many samples as neurons; {advice}")
    return pair


def check_neuron(pair: Pair, neuron: Neuron) -> Neuron:
    """The neuron as a tuple ("x", i) or ("y", j); raises `BadInput` if the pair does not have it."""
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
    """The match; raises `BadInput` if the pair lacks one of its neurons."""
    for neuron in match.neurons:
        check_neuron(pair, neuron)
    return match


def check_limit(limit: int | None) -> int | None:
    """The limit: a positive number of matches, or None for all. Raises `BadInput` for anything else."""
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise BadInput(f"limit is {limit!r}: expected a positive whole number, or None for all")
    return limit


def check_rng(rng: np.random.Generator | None) -> np.random.Generator | None:
    """The source of random orders, or None for index order. Raises `BadInput` for anything else."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise BadInput(f"rng is {rng!r}: expected a NumPy generator, such as np.random.default_rng(0), or None")
    return rng
