"""What rounding, truncation and few samples do to a distance: small experiments of the chapter on numerics."""

import numpy as np
from jaxtyping import Float

from ...errors import BadInput, unknown
from ...subspaces import Pair

Block = Float[np.ndarray, "neurons samples"]
Matrix = Float[np.ndarray, "neurons neurons"]
Vector = Float[np.ndarray, " samples"]

BITS = {"float64": 53, "float32": 24, "TF32": 11, "bfloat16": 8}  # significant bits, the implicit one counted


def unit_rows(values: Block) -> Block:
    """Every row scaled to norm 1. Rows of zeros are left out."""
    norms = np.linalg.norm(values, axis=1)
    return values[norms > 0] / norms[norms > 0, None]


def truncated_distance(z: Vector, basis: Block, cut: float) -> float:
    """Relative distance of z to the truncated span of `basis` (prp-truncation).

    It is the span of the right singular vectors of the unit rows with σ_k ≥ cut · σ_1. Least-squares solvers call the
    cut `rcond`.
    """
    _, values, vectors = np.linalg.svd(unit_rows(basis), full_matrices=False)
    kept = vectors[values >= cut * values.max(initial=0)]
    z = z / np.linalg.norm(z)
    return float(np.linalg.norm(z - kept.T @ (kept @ z)))


def ridge_distance(z: Vector, basis: Block, ridge: float) -> float:
    """r(z, B) of def-ridge, computed in the singular basis of B, where nothing cancels."""
    z = z / np.linalg.norm(z)
    _, values, vectors = np.linalg.svd(unit_rows(basis), full_matrices=False)
    along = vectors @ z
    outside = np.linalg.norm(z - vectors.T @ along)
    return float(np.sqrt(outside**2 + np.sum(along**2 * ridge / (values**2 + ridge))))


def rounded(values: np.ndarray, precision: str) -> np.ndarray:
    """The values rounded to the significant bits of a number format. The format's range is not simulated.

    Raises `BadInput` for an unknown format.
    """
    if precision not in BITS:
        raise unknown("precision", precision, BITS)
    if precision == "float64":
        return np.asarray(values, np.float64)
    mantissa, exponent = np.frexp(values)
    scale = 2.0 ** BITS[precision]
    return np.ldexp(np.round(mantissa * scale) / scale, exponent)


def gram_in(values: Block, precision: str, batch: int = 1000) -> Matrix:
    """Z Zᵀ of rounded entries: each batch is multiplied in float32, and the products are summed in float64.

    For "float64" the products are float64, too.
    """
    parts = []
    for start in range(0, values.shape[1], batch):
        block = rounded(values[:, start : start + batch], precision)
        if precision != "float64":
            block = block.astype(np.float32)
        parts.append((block @ block.T).astype(np.float64))
    return np.sum(parts, axis=0)


def activations_with(gram: Matrix, samples: int, rng: np.random.Generator) -> Block:
    """Some (neurons, samples) activations whose Gram matrix is `gram`: its root times random orthonormal rows.

    By prp-gram-suffices they have the matches of the activations from which the matrix came. Raises `BadInput` for
    fewer samples than neurons.
    """
    if samples < len(gram):
        raise BadInput(f"samples is {samples}: expected at least the {len(gram)} neurons of the Gram matrix")
    norms = np.sqrt(np.diag(gram))
    scale = np.where(norms > 0, norms, 1)
    values, vectors = np.linalg.eigh(gram / np.outer(scale, scale))
    turn, _ = np.linalg.qr(rng.standard_normal((samples, len(gram))))
    return norms[:, None] * ((vectors * np.sqrt(np.maximum(values, 0))) @ turn.T)


def planted(distance: float, neurons: int, samples: int, rng: np.random.Generator) -> tuple[Vector, Block]:
    """A unit vector at exactly this distance from the span of `neurons` random rows, and those rows.

    Raises `BadInput` for a distance outside [0, 1], and unless there are more samples than neurons.
    """
    if not 0 <= distance <= 1 or neurons >= samples:
        raise BadInput(f"distance {distance}, {neurons} neurons, {samples} samples: expected 0 to 1, fewer neurons")
    basis = unit_rows(rng.standard_normal((neurons, samples)))
    turn, _ = np.linalg.qr(np.vstack([basis, rng.standard_normal(samples)]).T)
    inside = turn[:, :neurons] @ rng.standard_normal(neurons)
    inside /= np.linalg.norm(inside)
    return np.sqrt(1 - distance**2) * inside + distance * turn[:, neurons], basis


def measured_distance(z: Vector, basis: Block, route: str) -> float:
    """The ridge distance that the engine computes on a route, "gram" or "qr"."""
    return float(np.sqrt(Pair.from_arrays(z[None], basis, route=route).sides[1].squares[0]))


def condition(gram: Matrix) -> float:
    """Condition number of the unit neurons: largest over smallest singular value; inf if they are dependent."""
    norms = np.sqrt(np.diag(gram))
    alive = norms > 0
    values = np.linalg.eigvalsh(gram[np.ix_(alive, alive)] / np.outer(norms[alive], norms[alive]))
    return float(np.sqrt(values[-1] / values[0])) if values[0] > 0 else np.inf
