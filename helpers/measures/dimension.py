"""How many directions a layer uses."""

import numpy as np
from jaxtyping import Float


def effective_rank(gram: Float[np.ndarray, "neurons neurons"]) -> float:
    """Participation ratio (Σμ)² / Σμ² of the eigenvalues μ of the alive neurons' Gram matrix, each scaled to unit norm.

    Between 1 (all neurons on one line) and the number of alive neurons (all orthogonal); 0 without any. From the raw
    Gram matrix the common mean counts as a direction; from the centred one (`Gram.centred`) this is the usual dimension
    of the correlation matrix. Unit norms because matching, too, sees every neuron at the same length.
    """
    norms = np.sqrt(np.diag(gram))
    alive = norms > 0
    unit = gram[np.ix_(alive, alive)] / norms[alive, None] / norms[alive]
    return float(alive.sum() ** 2 / (unit**2).sum()) if alive.any() else 0.0
