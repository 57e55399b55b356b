"""Representational similarity analysis: do the two layers find the same images different from one another?"""

import numpy as np

from .compared import Compared
from .registry import Measure


def representational_similarity(pair: Compared) -> float:
    """Spearman correlation of the correlation distances between all pairs of samples."""
    # each matrix holds every distance twice; float32 ranks, so the sum is made in float64
    return float(np.einsum("ij,ij->", pair.x.ranks, pair.y.ranks, dtype=np.float64) / 2)


RSA = Measure(
    "rsa",
    "RSA",
    representational_similarity,
    "samples",
    frozenset({"permutation", "isotropic"}),
    "Kriegeskorte et al. 2008, Representational similarity analysis",
)
