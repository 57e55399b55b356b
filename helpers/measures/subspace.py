"""The paper's measure as one number: the area under s(ε), 1 − the median critical ε, or s(ε) at one ε."""

import numpy as np
from jaxtyping import Float

from ..matching import critical_epsilons
from ..matching.peeling import TIE
from .compared import Compared
from .registry import Measure

EPSILON = 0.3  # the ε at which the claims of the paper are decided
PAPER = "Wang et al. 2018, Towards understanding learning representations"
KEEPS = frozenset({"permutation", "isotropic", "per_neuron"})


def clipped_epsilons(pair: Compared) -> Float[np.ndarray, " neurons"]:
    """Critical ε of all neurons of both networks, x first. It is 1 for neurons that never match, such as dead ones."""
    if "critical" not in pair.pair.known:
        pair.pair.known["critical"] = np.minimum(np.concatenate(critical_epsilons(pair.pair)), 1.0)
    return pair.pair.known["critical"]


def area_under_similarity(pair: Compared) -> float:
    """∫ s(ε) dε over [0, 1]. It equals 1 less the mean critical ε, as a neuron is matched from its critical ε on."""
    return float(1 - clipped_epsilons(pair).mean()) if pair.x.neurons + pair.y.neurons else 0.0


def median_similarity(pair: Compared) -> float:
    """1 less the median critical ε of all neurons; a dead neuron counts as 1."""
    return float(1 - np.median(clipped_epsilons(pair))) if pair.x.neurons + pair.y.neurons else 0.0


def share_matched(pair: Compared) -> float:
    """The maximum matching similarity s(ε) at ε = 0.3."""
    return float((clipped_epsilons(pair) <= EPSILON + TIE).mean()) if pair.x.neurons + pair.y.neurons else 0.0


AREA = Measure("subspace", "subspace match, area under s(ε)", area_under_similarity, "gram", KEEPS, PAPER)
MEDIAN = Measure("subspace_median", "subspace match, 1 − median critical ε", median_similarity, "gram", KEEPS, PAPER)
SHARE = Measure("subspace_at_0.3", "subspace match, s(0.3)", share_matched, "gram", KEEPS, PAPER)
