"""Canonical correlations of two layers: their mean, that over strong directions (SVCCA), a weighted one (PWCCA)."""

import numpy as np

from .compared import Compared, Sampled
from .registry import INVARIANCES, Measure

SHARE = 0.99  # share of the power that SVCCA keeps


def mean_cca(pair: Compared) -> float:
    """Mean of the canonical correlations. Their number is the smaller rank of the two layers."""
    return float(pair.canonical[1].mean()) if len(pair.canonical[1]) else 0.0


def singular_vector_cca(pair: Compared) -> float:
    """SVCCA: mean canonical correlation of the principal components that hold 99 % of each side's power."""
    left, right = (side.centred.leading(SHARE) for side in (pair.x, pair.y))
    correlations = np.linalg.svd(left.T @ pair.covariance @ right, compute_uv=False)
    return float(np.clip(correlations, 0, 1).mean()) if len(correlations) else 0.0


def projection_weighted_cca(pair: Compared) -> float:
    """PWCCA: canonical correlations weighted by Σ_j |⟨h_i, z_j⟩|, how much the neurons z_j use direction h_i.

    The definition takes the weights from one side. This is the mean over both sides, so that the order of the two
    networks does not matter.
    """
    left, correlations, right = pair.canonical
    if not len(correlations):
        return 0.0
    return float(np.mean([_weighted(pair.x, left.T, correlations), _weighted(pair.y, right, correlations)]))


def _weighted(side: Sampled, directions: np.ndarray, correlations: np.ndarray) -> float:
    weights = np.abs(directions @ side.centred.coordinates).sum(axis=1)
    return float(weights @ correlations / weights.sum())


MEAN_CCA = Measure(
    "cca",
    "mean CCA",
    mean_cca,
    "gram",
    frozenset(INVARIANCES),
    "Hotelling 1936, Relations between two sets of variates",
)
SVCCA = Measure(
    "svcca",
    "SVCCA",
    singular_vector_cca,
    "gram",
    frozenset({"permutation", "isotropic", "shift", "orthogonal"}),
    "Raghu et al. 2017, SVCCA",
)
PWCCA = Measure(
    "pwcca",
    "PWCCA",
    projection_weighted_cca,
    "gram",
    frozenset({"permutation", "isotropic", "shift"}),
    "Morcos et al. 2018, Insights on representational similarity with canonical correlation",
)
