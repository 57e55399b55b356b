"""Small pairs of layers of every degenerate kind, and brute force over all their subsets."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from helpers.matching import Match, definitions, peeling
from helpers.matching.definitions import Neuron, Set
from helpers.subspaces import Pair

KINDS = (
    "random",
    "shared",
    "relu",
    "dead",
    "duplicated",
    "flipped",
    "scaled",
    "dependent",
    "nearly dependent",
    "more neurons than samples",
    "unequal",
    "empty",
    "exact mix",
    "self",
    "float32",
)


def layers(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two (neurons, samples) arrays of up to four neurons a side, most of them near a common space."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    n, m = rng.integers(2, 5, size=2)
    common = rng.normal(size=(rng.integers(1, 4), 12))
    noise = rng.choice([0.02, 0.1, 0.3, 1.0])
    x, y = (rng.normal(size=(k, len(common))) @ common + noise * rng.normal(size=(k, 12)) for k in (n, m))
    change = CHANGES.get(kind, lambda x, y, rng: (x, y))
    return change(x, y, rng)


def _random(x, y, rng):
    return rng.normal(size=(len(x), 6)), rng.normal(size=(len(y), 6))


def _dead(x, y, rng):
    x[rng.integers(len(x))], y[rng.integers(len(y))] = 0, 0
    return x, y


def _repeated(factor):
    def change(x, y, rng):
        x[-1], y[-1] = factor * x[0], (x[0] if rng.random() < 0.5 else factor * y[0])
        return x, y

    return change


def _scaled(x, y, rng):
    return x * 10.0 ** rng.choice([-8, 0, 8], size=(len(x), 1)), y * 10.0 ** rng.choice([-8, 0, 8], size=(len(y), 1))


def _dependent(x, y, rng):
    x[-1], y[-1] = rng.normal(size=len(x) - 1) @ x[:-1], rng.normal(size=len(y) - 1) @ y[:-1]
    return x, y


def _nearly_dependent(x, y, rng):
    gap = 10.0 ** rng.integers(-12, -1)
    x[-1] = x[0] + gap * rng.normal(size=12)
    y[-1] = rng.normal(size=len(y) - 1) @ y[:-1] + gap * rng.normal(size=12)
    return x, y


def _exact_mix(x, y, rng):
    y = np.vstack([rng.normal(size=(2, len(x))) @ x, y[:2]])
    return (rng.normal(size=(len(x), 4)) @ y if rng.random() < 0.5 else x), y


CHANGES = {
    "random": _random,
    "relu": lambda x, y, rng: (np.maximum(x, 0), np.maximum(y, 0)),
    "dead": _dead,
    "duplicated": _repeated(1.0),
    "flipped": _repeated(-2.0),
    "scaled": _scaled,
    "dependent": _dependent,
    "nearly dependent": _nearly_dependent,
    "more neurons than samples": lambda x, y, rng: (x[:, :3], y[:, :3]),
    "unequal": lambda x, y, rng: (x[:1], np.vstack([y, x[1:2]])),
    "empty": lambda x, y, rng: (x[:0], y) if rng.random() < 0.5 else (x, y[:0]),
    "exact mix": _exact_mix,
    "self": lambda x, y, rng: (x, x[::-1].copy()),
    "float32": lambda x, y, rng: (x.astype(np.float32), y.astype(np.float32)),
}


def larger(n: int, shared: int, seed: int, samples: int = 300, noise: float = 0.4) -> tuple[np.ndarray, ...]:
    """Two ordinary layers of n neurons near a common space of `shared` dimensions; well conditioned."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(shared, samples)) / np.sqrt(shared)
    return tuple(rng.normal(size=(n, shared)) @ common + noise * rng.normal(size=(n, samples)) for _ in "xy")


def as_set(match: Match) -> Set:
    """An engine's match in the words of `helpers.matching.definitions`."""
    return frozenset(match.neurons)


@dataclass
class BruteForce:
    """All matches at one ε by trying all subsets, with the ridge and the reach that the engine states for `pair`."""

    r: definitions.Distances
    pair: Pair
    epsilon: float

    @staticmethod
    def of(pair: Pair, x: np.ndarray, y: np.ndarray, epsilons: list[float]) -> list["BruteForce"]:
        r = definitions.Distances(x, y, pair.ridge)
        return [BruteForce(r, pair, epsilon) for epsilon in epsilons]

    @cached_property
    def neurons(self) -> Set:
        return definitions.all_neurons(self.r.sides["x"], self.r.sides["y"])

    @cached_property
    def matches(self) -> list[Set]:
        slack = peeling.reach(self.pair, self.epsilon) - self.epsilon
        return [
            s
            for s in definitions.subsets(self.neurons)
            if definitions.is_match_by_definition(self.r, s, self.epsilon, slack)
        ]

    @property
    def margin(self) -> float:
        """How close any subset's distance comes to the reach: the smallest error that can change a decision."""
        distances = [r for r in self.r.known.values() if np.isfinite(r)] if self.matches else []
        return float(np.abs(np.array([*distances, 1.0]) - peeling.reach(self.pair, self.epsilon)).min())

    @cached_property
    def maximum(self) -> Set:
        return frozenset().union(*self.matches)

    @cached_property
    def simple(self) -> set[Set]:
        return set(definitions.simple(self.matches))

    def minimal(self, v: Neuron) -> set[Set]:
        return set(definitions.minimal(self.matches, v))
