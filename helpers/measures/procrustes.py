"""Orthogonal Procrustes: how close the best rotation brings one layer to the other."""

import numpy as np

from .compared import Compared
from .registry import Measure


def procrustes_similarity(pair: Compared) -> float:
    """‖X_c Y_cᵀ‖_* / (‖X_c‖ ‖Y_c‖), with the nuclear norm above and Frobenius norms below.

    With both layers at unit length it is 1 − d²/2, where d is their distance after the best rotation.
    """
    x, y = pair.x.centred.power, pair.y.centred.power
    if not x or not y:
        return 0.0
    nuclear = np.linalg.svd(pair.covariance, compute_uv=False).sum()
    return float(nuclear / np.sqrt(x * y))


PROCRUSTES = Measure(
    "procrustes",
    "orthogonal Procrustes",
    procrustes_similarity,
    "gram",
    frozenset({"permutation", "isotropic", "shift", "orthogonal"}),
    "Schönemann 1966; Williams et al. 2021, Generalized shape metrics on neural representations",
)
