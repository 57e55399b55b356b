"""Linear centred kernel alignment (CKA) in three variants: centred, raw (not centred), and debiased.

Without centring it is strictly no CKA, so it has a name of its own.
"""

import numpy as np

from .compared import Compared
from .registry import Measure

KEEPS = frozenset({"permutation", "isotropic", "orthogonal"})


def _ratio(both: float, x: float, y: float) -> float:
    return float(both / np.sqrt(x * y)) if x > 0 and y > 0 else 0.0


def centred_cka(pair: Compared) -> float:
    """‖X_c Y_cᵀ‖² / (‖X_c X_cᵀ‖ ‖Y_c Y_cᵀ‖) with Frobenius norms; X_c and Y_c are the neurons less their means."""
    x, y = pair.x.centred.covariance, pair.y.centred.covariance
    return _ratio(np.sum(pair.covariance**2), np.sum(x**2), np.sum(y**2))


def raw_cka(pair: Compared) -> float:
    """The ratio of `centred_cka` for neurons whose means are kept. What they share by being positive counts, too."""
    return _ratio(np.sum(pair.products**2), np.sum(pair.x.centred.gram**2), np.sum(pair.y.centred.gram**2))


def debiased_cka(pair: Compared) -> float:
    """CKA with the unbiased estimator HSIC₁ (Song et al. 2012). Independent networks have 0 on average.

    It is 0 for fewer than 4 samples, for which the estimator is not defined.
    """
    with_itself = (_hsic(Compared(side, side, side.centred.gram)) for side in (pair.x, pair.y))
    return _ratio(_hsic(pair), *with_itself)


def _hsic(pair: Compared) -> float:
    """n (n − 3) HSIC₁ of the kernels of x and y, computed without any n × n kernel.

    The neurons are centred, so each row of a kernel sums to 0. Without the diagonal k, each row sums to −k. This gives
    tr(K̃L̃) = ‖X_c Y_cᵀ‖² − Σ k l,  1ᵀK̃1 = −Σ k,  1ᵀK̃L̃1 = Σ k l.
    """
    n = pair.x.centred.samples
    if n < 4:
        return 0.0
    k, l = pair.x.squares, pair.y.squares  # noqa: E741
    crossed = float(k @ l)
    trace = float(np.sum(pair.covariance**2)) - crossed
    return trace + float(k.sum() * l.sum()) / ((n - 1) * (n - 2)) - 2 * crossed / (n - 2)


KORNBLITH = "Kornblith et al. 2019, Similarity of neural network representations revisited"
CENTRED_CKA = Measure("cka", "linear CKA", centred_cka, "gram", KEEPS | {"shift"}, KORNBLITH)
RAW_CKA = Measure("cka_raw", "linear CKA without centring", raw_cka, "gram", KEEPS, KORNBLITH)
DEBIASED_CKA = Measure(
    "cka_debiased",
    "debiased linear CKA",
    debiased_cka,
    "samples",
    KEEPS | {"shift"},
    "Nguyen et al. 2021, Do wide and deep networks learn the same things?; Song et al. 2012",
)
