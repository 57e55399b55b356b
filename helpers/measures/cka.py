"""Linear centred kernel alignment, three named apart: centred, raw (not centred: no CKA proper), and debiased."""

import numpy as np

from .compared import Compared
from .registry import Measure

KEEPS = frozenset({"permutation", "isotropic", "orthogonal"})


def _ratio(both: float, x: float, y: float) -> float:
    return float(both / np.sqrt(x * y)) if x > 0 and y > 0 else 0.0


def centred_cka(pair: Compared) -> float:
    """‖X_c Y_cᵀ‖² / (‖X_c X_cᵀ‖ ‖Y_c Y_cᵀ‖), Frobenius norms, each neuron less its mean over the samples."""
    x, y = pair.x.centred.covariance, pair.y.centred.covariance
    return _ratio(np.sum(pair.covariance**2), np.sum(x**2), np.sum(y**2))


def raw_cka(pair: Compared) -> float:
    """The ratio of `centred_cka` without taking the means away: what neurons share by being positive counts, too."""
    return _ratio(np.sum(pair.products**2), np.sum(pair.x.centred.gram**2), np.sum(pair.y.centred.gram**2))


def debiased_cka(pair: Compared) -> float:
    """CKA with the unbiased estimator HSIC₁ (Song et al. 2012): 0 on average for independent networks.

    0 for fewer than 4 samples, where the estimator is not defined.
    """
    return _ratio(_hsic(pair), _hsic(Compared(pair.x, pair.x)), _hsic(Compared(pair.y, pair.y)))


def _hsic(pair: Compared) -> float:
    """n (n − 3) HSIC₁ of the kernels of x and y, without any n × n kernel.

    For neurons less their means the rows of the kernel sum to 0, so those of the kernel without its diagonal k sum
    to −k: tr(K̃L̃) = ‖X_c Y_cᵀ‖² − Σ k l,  1ᵀK̃1 = −Σ k,  1ᵀK̃L̃1 = Σ k l.
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
    "linear CKA, debiased",
    debiased_cka,
    "samples",
    KEEPS | {"shift"},
    "Nguyen et al. 2021, Do wide and deep networks learn the same things?; Song et al. 2012",
)
