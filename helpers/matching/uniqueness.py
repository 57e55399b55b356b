"""When are minimal matches unique? The two conditions of the uniqueness theorem, measured.

Strong linear independence of one side is bounded from its Gram matrix. Stability of a pair is refuted by chains of
subsets. `helpers.matching.v_minimum_match` decides without these conditions whether a neuron has a minimum match.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.linalg import cholesky, eigh, solve_triangular

from ..errors import BadInput
from ..subspaces import Pair, gram_ridge

Matrix = Float[np.ndarray, "neurons neurons"]
LARGEST_EXACT = 14  # 2^13 - 1 ways to cut a side in two: about a second
LARGEST_STABLE = 12  # 2^12 subsets per side: about half a second


def unit_gram(gram: Matrix) -> Matrix:
    """The Gram matrix of the neurons scaled to unit norm. A dead neuron raises `BadInput`, which names it."""
    norms = np.sqrt(np.diag(gram))
    if (norms == 0).any():
        dead = int(np.flatnonzero(norms == 0)[0])
        raise BadInput(f"neuron {dead} is dead: expected non-zero activations (no zero vector is independent)")
    return gram / norms / norms[:, None]


def angle(gram: Matrix, a: Sequence[int], b: Sequence[int]) -> float:
    """Smallest angle in radians between the spans of two sets of neurons (def-angle); 0 if the neurons are dependent.

    Its sine is the length of what is left of a unit vector of one span after projection on the other. The angle is
    computed from the sine, so small angles keep their digits.
    """
    inner, outer = gram[np.ix_(a, a)], gram[np.ix_(b, b)]
    ridge = gram_ridge(len(gram)) * np.eye(len(gram))
    factor = cholesky(outer + ridge[: len(b), : len(b)], lower=True)
    half = solve_triangular(factor, gram[np.ix_(b, a)], lower=True)
    left = inner - half.T @ half
    smallest = eigh(left, inner + ridge[: len(a), : len(a)], eigvals_only=True, subset_by_index=[0, 0])[0]
    return float(np.arcsin(np.sqrt(np.clip(smallest, 0.0, 1.0))))


@dataclass(frozen=True)
class Independence:
    """The angle θ of strong linear independence lies in [lower, upper], in radians. `cut` is the worst set found."""

    lower: float
    upper: float
    cut: tuple[int, ...]


def all_cuts(neurons: int) -> Iterable[tuple[int, ...]]:
    """Every way to cut the neurons into two sets, given as the set without neuron 0."""
    rest = range(1, neurons)
    for size in range(1, neurons):
        yield from combinations(rest, size)


def likely_cuts(gram: Matrix) -> list[tuple[int, ...]]:
    """Cuts that are likely to be bad: each neuron against the rest, and the signs of the smallest eigenvectors."""
    singles = [(i,) for i in range(len(gram))]
    vectors = np.linalg.eigh(gram)[1][:, : min(8, len(gram))]
    signs = [tuple(np.flatnonzero(v > 0).tolist()) for v in vectors.T]
    return singles + [cut for cut in signs if 0 < len(cut) < len(gram)]


def condition_angle(gram: Matrix) -> float:
    """The lower bound on θ from the condition number κ: cos θ ≤ (κ − 1) / (κ + 1) (lem-wielandt)."""
    values = np.linalg.eigvalsh(gram)
    if values[0] <= gram_ridge(len(gram)):
        return 0.0
    kappa = values[-1] / values[0]
    return float(np.arcsin(2 * np.sqrt(kappa) / (kappa + 1)))


def strong_independence(gram: Matrix) -> Independence:
    """θ of strong linear independence (def-strong): exact for few neurons, bounded from both sides for many.

    A larger set has a smaller angle, so the worst pair of disjoint sets is a set and its complement (lem-cut).
    """
    unit = unit_gram(gram)
    if len(unit) < 2:
        return Independence(np.pi / 2, np.pi / 2, ())
    exact = len(unit) <= LARGEST_EXACT
    cuts = list(all_cuts(len(unit))) if exact else likely_cuts(unit)
    everything = set(range(len(unit)))
    angles = [angle(unit, cut, sorted(everything - set(cut))) for cut in cuts]
    worst = int(np.argmin(angles))
    return Independence(angles[worst] if exact else condition_angle(unit), angles[worst], cuts[worst])


# ---------------------------------------------------------------- stability


def chain_distances(
    gram: Matrix, order: Int[np.ndarray, " basis"], targets: Int[np.ndarray, " targets"]
) -> Float[np.ndarray, "prefixes targets"]:
    """Distance of each target to the span of the first 0, 1, 2, … neurons of `order` (lem-chain): one factorisation."""
    ridge = gram_ridge(len(gram)) * np.eye(len(order))
    factor = cholesky(gram[np.ix_(order, order)] + ridge)
    coordinates = solve_triangular(factor, gram[np.ix_(order, targets)], trans="T")
    lost = np.vstack([np.zeros(len(targets)), np.cumsum(coordinates**2, axis=0)])
    return np.sqrt(np.maximum(1 - lost, 0))


def subset_distances(pair: Pair, chains: int, seed: int = 0) -> Float[np.ndarray, " distances"]:
    """Sorted distances of every neuron to many subsets of the other side: all prefixes of `chains` random orders."""
    rng = np.random.default_rng(seed)
    cut = len(pair.alive_x)
    sides = np.arange(cut), np.arange(cut, len(pair.gram))
    distances = [
        chain_distances(pair.gram, rng.permutation(basis), targets).ravel()
        for basis, targets in (sides, sides[::-1])
        for _ in range(chains)
    ]
    return np.unique(np.concatenate(distances))


def stability_reach(distances: Float[np.ndarray, " distances"], epsilon: float) -> float:
    """The smallest of the distances above ε. From this λ on the pair is not (ε, λ)-stable (def-stable)."""
    above = distances[distances > epsilon + 1e-9]
    return float(above.min()) if len(above) else 1.0


@dataclass(frozen=True)
class Stability:
    """The pair is (ε, λ)-stable for no λ ≥ `reach`. If `exact` (all subsets were tried), it is for every λ below it."""

    reach: float
    exact: bool


def all_subset_distances(pair: Pair) -> Float[np.ndarray, " distances"]:
    """Sorted distances of every neuron to every subset of the other side; there are 2^n subsets."""
    cut, distances = len(pair.alive_x), [np.ones(1)]
    sides = np.arange(cut), np.arange(cut, len(pair.gram))
    for basis, targets in (sides, sides[::-1]):
        for size in range(1, len(basis) + 1):
            distances += [chain_distances(pair.gram, np.array(s), targets)[-1] for s in combinations(basis, size)]
    return np.unique(np.concatenate(distances))


def stability(pair: Pair, epsilon: float, chains: int = 100, seed: int = 0) -> Stability:
    """The smallest distance above ε to any subset (def-stable): exact for few neurons, an upper bound for many."""
    exact = max(len(pair.alive_x), len(pair.alive_y)) <= LARGEST_STABLE
    distances = all_subset_distances(pair) if exact else subset_distances(pair, chains, seed)
    return Stability(stability_reach(distances, epsilon), exact)


def paper_constant(theta: float) -> float:
    """λ/ε in the paper's uniqueness theorem: 2 / sin θ + 1 (thm-intersection)."""
    return 2 / np.sin(theta) + 1


def sharp_constant(theta: float) -> float:
    """The smallest λ/ε for which uniqueness holds: 1 / sin(θ/2) (thm-sharp, lem-two-spans)."""
    return 1 / np.sin(theta / 2)
