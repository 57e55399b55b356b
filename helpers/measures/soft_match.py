"""Soft matching: neurons are assigned to neurons, in parts where their numbers differ, by their correlations."""

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from .compared import Compared
from .registry import Measure


def soft_match(pair: Compared) -> float:
    """max Σ T_ij corr(x_i, y_j) over transport plans T with equal weight for every neuron of either side.

    Equal numbers of neurons make it an assignment. Constant neurons keep their weight and correlate 0 with all.
    """
    if not pair.x.neurons or not pair.y.neurons:
        return 0.0
    if pair.x.neurons == pair.y.neurons:
        return float(pair.correlations[linear_sum_assignment(pair.correlations, maximize=True)].mean())
    return float(np.sum(_plan(pair.correlations) * pair.correlations))


def _plan(gain: Float[np.ndarray, "n_x n_y"]) -> Float[np.ndarray, "n_x n_y"]:
    """The optimal transport plan between uniform weights."""
    import ot  # here, because POT loads PyTorch where it finds it, and only layers of different widths need it

    return ot.emd([], [], 1 - gain, numItermax=10_000_000)


SOFT_MATCH = Measure(
    "soft_match",
    "soft matching",
    soft_match,
    "gram",
    frozenset({"permutation", "isotropic", "shift", "per_neuron"}),
    "Khosla and Williams 2024, Soft matching distance",
)
