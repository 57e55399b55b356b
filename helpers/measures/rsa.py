"""Representational similarity analysis: are the images that differ in one layer those that differ in the other?"""

import numpy as np

from .compared import Compared
from .registry import Measure


def representational_similarity(pair: Compared) -> float:
    """Spearman correlation between the two layers' correlation distances, over all pairs of samples."""
    # each matrix holds every distance twice, hence / 2; the ranks are float32, so they are summed in float64
    return float(np.einsum("ij,ij->", pair.x.ranks, pair.y.ranks, dtype=np.float64) / 2)


RSA = Measure(
    "rsa",
    "RSA",
    representational_similarity,
    "samples",
    frozenset({"permutation", "isotropic"}),
    "Kriegeskorte et al. 2008, Representational similarity analysis",
)
