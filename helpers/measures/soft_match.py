"""Soft matching: neurons are assigned to neurons by their correlations, in fractions where the numbers differ."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from .compared import Compared
from .registry import Measure


def soft_match(pair: Compared) -> float:
    """max Σ T_ij corr(x_i, y_j) over transport plans T that give every neuron of a side equal weight.

    With equal numbers of neurons T is an assignment, one to one. Constant neurons keep their weight, and their
    correlation with every neuron is 0.
    """
    if not pair.x.neurons or not pair.y.neurons:
        return 0.0
    if pair.x.neurons == pair.y.neurons:
        return float(pair.correlations[linear_sum_assignment(pair.correlations, maximize=True)].mean())
    return float(np.sum(_plan(pair.correlations) * pair.correlations))


def _plan(gain: Float[np.ndarray, "n_x n_y"]) -> Float[np.ndarray, "n_x n_y"]:
    """The optimal transport plan, where all neurons of a side have equal weight."""
    import ot  # imported here: POT loads PyTorch if it is installed, and only layers of different widths need POT

    return ot.emd([], [], 1 - gain, numItermax=10_000_000)


SOFT_MATCH = Measure(
    "soft_match",
    "soft matching",
    soft_match,
    "gram",
    frozenset({"permutation", "isotropic", "shift", "per_neuron"}),
    "Khosla and Williams 2024, Soft matching distance",
)
