"""Linear regression of one layer's neurons on the other layer: the share of variance that it explains."""

import numpy as np

from .compared import Compared, Sampled
from .registry import Measure


def mean_r_squared(pair: Compared) -> float:
    """Mean R² over the neurons that vary, each explained by all neurons of the other side.

    It is averaged over both directions. R² of a neuron is 1 − r², where r is its relative distance to the span of the
    other side. All neurons are centred.
    """
    if not pair.x.centred.power or not pair.y.centred.power:
        return 0.0
    of_y = _explained(pair.x, pair.covariance, pair.y)
    return (of_y + _explained(pair.y, pair.covariance.T, pair.x)) / 2


def _explained(basis: Sampled, covariance: np.ndarray, targets: Sampled) -> float:
    coordinates = basis.centred.whitening.T @ covariance * targets.centred.inverse_norms
    r_squared = np.minimum(np.einsum("ij,ij->j", coordinates, coordinates), 1)
    return float(r_squared[targets.centred.norms > 0].mean())


REGRESSION = Measure(
    "regression",
    "mean R² of linear regression",
    mean_r_squared,
    "gram",
    frozenset({"permutation", "isotropic", "shift", "per_neuron"}),
    "Yamins et al. 2014, Performance-optimized hierarchical models predict neural responses",
)
