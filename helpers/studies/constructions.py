"""Constructed layers: a linear read-out gets the same signal from both, but nothing matches.

After Johnson, "Subspace Match Probably Does Not Accurately Assess the Similarity of Learned Representations" (2019).
None of these layers was trained. They show what a low similarity does not rule out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.linalg import helmert

from ..errors import BadInput
from ..matching.match import similarity_curve
from ..subspaces import Gram, Pair


@dataclass(frozen=True)
class RotatedLayers:
    """Two layers of n unit neurons at angle `theta` from a signal that both hold completely (prp-rotated).

    s_1 … s_n are the corners of a regular simplex: unit vectors of n − 1 dimensions that add up to 0. p and q are unit
    vectors orthogonal to them, to one another and to the constant. The layers are x_i = cos θ · s_i + sin θ · p and
    y_i = cos θ · s_i + sin θ · q. At θ = 0 they are the same layer; at θ = 90° each is one direction, n times.

    Let 0 < θ < 90°. One matrix, `read_out`, gives s from either layer. Of the n canonical correlations n − 1 are 1 and
    one is 0. Every neuron has distance sin θ from the span of the other layer. So nothing matches below ε = sin θ, and
    everything matches from there on.
    """

    n: int
    theta: float

    def __post_init__(self) -> None:
        if self.n < 2:
            raise BadInput(f"{self.n} neurons: expected at least 2")
        if not 0 <= self.theta <= np.pi / 2:
            raise BadInput(f"theta is {self.theta:g}: expected an angle from 0 to π/2 in radians")

    @property
    def signal(self) -> Float[np.ndarray, "n samples"]:
        """The corners of the simplex, on n + 2 samples. Their mean is 0, so that centring changes nothing."""
        corners = helmert(self.n) * np.sqrt(self.n / (self.n - 1))
        return corners.T @ helmert(self.n + 2)[: self.n - 1]

    @property
    def private(self) -> Float[np.ndarray, "2 samples"]:
        """p and q, the directions that only one layer has."""
        return helmert(self.n + 2)[self.n - 1 :]

    @property
    def x(self) -> Float[np.ndarray, "n samples"]:
        """The first layer."""
        return np.cos(self.theta) * self.signal + np.sin(self.theta) * self.private[0]

    @property
    def y(self) -> Float[np.ndarray, "n samples"]:
        """The second layer."""
        return np.cos(self.theta) * self.signal + np.sin(self.theta) * self.private[1]

    @property
    def read_out(self) -> Float[np.ndarray, "n n"]:
        """W with Wx = Wy = s: every neuron less the mean of all neurons, divided by cos θ.

        Raises `BadInput` at θ = 90°, where s is lost.
        """
        if np.cos(self.theta) < 1e-12:
            raise BadInput("theta is 90 degrees: nothing of the signal is left to read out")
        return (np.eye(self.n) - 1 / self.n) / np.cos(self.theta)

    @property
    def critical(self) -> float:
        """The critical ε of every neuron: sin θ."""
        return float(np.sin(self.theta))

    @property
    def cka(self) -> float:
        """Linear CKA: cos⁴θ / (cos⁴θ + (n − 1) sin⁴θ)."""
        shared, private = np.cos(self.theta) ** 4, (self.n - 1) * np.sin(self.theta) ** 4
        return float(shared / (shared + private))

    @property
    def mean_cca(self) -> float:
        """The mean of the canonical correlations: (n − 1) / n for 0 < θ < 90°, 1 at 0° and 0 at 90°."""
        return 1.0 if self.theta == 0 else 0.0 if np.cos(self.theta) < 1e-12 else (self.n - 1) / self.n


def rotation_curve(n: int, degrees: Sequence[float], epsilon: float = 0.3) -> pd.DataFrame:
    """What the measures say of the rotated layers: columns degrees, similarity (at ε), critical, cka, mean_cca."""
    rows = []
    for angle in degrees:
        layers = RotatedLayers(n, float(np.deg2rad(angle)))
        similarity = float(similarity_curve(layers.x, layers.y, [epsilon])[0])
        row = {"degrees": angle, "similarity": similarity, "critical": layers.critical}
        rows.append(row | {"cka": layers.cka, "mean_cca": layers.mean_cca})
    return pd.DataFrame(rows)


def twin_gram(gram: Gram, share: float) -> Gram:
    """Two hidden layers from which one linear map reads the same signal, mixed with different others (prp-twins).

    S, N₁, N₂ are the unit neurons of one layer in three networks, equally many in each. Twin k has the neurons S +
    cN_k and cN_k, which are non-negative if S and N_k are. The output of both twins is W(S + cN_k) − W(cN_k) = WS for
    any W. `share` in [0, 1) sets c = share / (1 − share): with it the part of N_k grows from nothing to almost
    everything. Raises `BadInput` for other sizes, and for a share outside [0, 1).
    """
    if len(gram.sizes) != 3 or len(set(gram.sizes)) > 1:
        raise BadInput(f"the layers have {gram.sizes} neurons: expected three networks with equally many")
    if not 0 <= share < 1:
        raise BadInput(f"share is {share}: expected a number in [0, 1)")
    n, c = gram.sizes[0], share / (1 - share)
    one, none = np.eye(n), np.zeros((n, n))
    mix = np.block([[one, c * one, none], [none, c * one, none], [one, none, c * one], [none, none, c * one]])
    norms = np.sqrt(np.diag(gram.gram))
    scaled = mix * np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)
    return Gram(scaled @ gram.sums, gram.samples, (2 * n, 2 * n), scaled @ gram.gram @ scaled.T)


def same_output_twins(gram: Gram, share: float) -> Pair:
    """The twins of `twin_gram`, ready to match."""
    return twin_gram(gram, share).pair(0, 1)
