"""The dimension of a layer: how many directions its activations use."""

import numpy as np
from jaxtyping import Float


def effective_rank(gram: Float[np.ndarray, "neurons neurons"]) -> float:
    """The effective rank (Σμ)² / Σμ², with the eigenvalues μ of the Gram matrix of the alive neurons at unit norm.

    This participation ratio lies between 1 (all neurons on one line) and the number of alive neurons (all orthogonal).
    It is 0 without alive neurons. In the raw Gram matrix the common mean counts as a direction. For the centred one
    (`Gram.centred`) it is the usual dimension of the correlation matrix. Neurons have unit norm because matching, too,
    gives every neuron the same length.
    """
    norms = np.sqrt(np.diag(gram))
    alive = norms > 0
    unit = gram[np.ix_(alive, alive)] / norms[alive, None] / norms[alive]
    return float(alive.sum() ** 2 / (unit**2).sum()) if alive.any() else 0.0
