"""Families of examples whose matches are known by proof. The fast algorithms are tested on them."""

import numpy as np
from jaxtyping import Float

from ...errors import BadInput

Layer = Float[np.ndarray, "neurons samples"]


def twins(n: int) -> tuple[Layer, Layer]:
    """n orthonormal neurons, and n equal ones: n simple matches, the pairs {x_i, y_i} (prp-few)."""
    return np.eye(n), np.eye(n)


def switches(k: int, copies: int = 2, angle: float = 0.0) -> tuple[Layer, Layer]:
    """k neurons x_i = 1 + e_i, and as y `copies` of every e_i, each turned by `angle` into a direction of its own.

    While sin² angle ≤ ε² < 1 / (k + 3), a non-empty match contains every x and at least one copy of each e_i. So there
    are copies^k simple matches, all of size 2k (prp-many). Raises `BadInput` for k or copies below 1.
    """
    if k < 1 or copies < 1:
        raise BadInput(f"k is {k}, copies {copies}: expected at least one of each")
    own = k * copies
    x = np.hstack([np.ones((k, k)) + np.eye(k), np.zeros((k, own))])
    y = np.hstack([np.cos(angle) * np.repeat(np.eye(k), copies, axis=0), np.sin(angle) * np.eye(own)])
    return x, y


def general_position(n: int, k: int) -> tuple[Layer, Layer]:
    """n neurons on each side in k dimensions, any k of all 2n independent: points of the trigonometric moment curve.

    A combination of the k coordinates is a polynomial of degree k − 1 in e^it, up to a phase, and has at most k − 1
    zeros. The exact matches are the pairs with at least k neurons on each side: C(n, k)² simple matches (prp-wide).
    Raises `BadInput` unless 1 ≤ k ≤ n.
    """
    if not 1 <= k <= n:
        raise BadInput(f"k is {k}, n {n}: expected 1 ≤ k ≤ n")
    frequencies = np.arange((k - 1) % 2 / 2, (k + 1) / 2)
    waves = 2 * np.pi * np.arange(2 * n)[:, None] / (2 * n) * frequencies
    curve = np.hstack([np.cos(waves), np.sin(waves[:, frequencies > 0])])
    return curve[::2], curve[1::2]


def bisector(theta: float) -> tuple[Layer, Layer]:
    """One neuron x half-way between y_1 and y_2 at angle θ: r(x, y_1) = r(x, y_2) = sin(θ/2) (thm-sharp)."""
    y = np.array([[np.cos(theta / 2), np.sin(theta / 2)], [np.cos(theta / 2), -np.sin(theta / 2)]])
    return np.array([[1.0, 0.0]]), y


def hinge(theta: float, gamma: float) -> tuple[Layer, Layer]:
    """The bisector, tilted: X = {x, y_1, y_2} and Y = {c, y_1, y_2}, where c is orthogonal to both y.

    x lies in the plane of c and the bisector. γ is the angle between x and c. So r(x, c) = sin γ, and r(x, {c, y_i}) =
    sin γ sin(θ/2), which becomes as small as one likes.
    """
    legs = np.hstack([np.zeros((2, 1)), bisector(theta)[1]])
    c, x = np.array([[1.0, 0.0, 0.0]]), np.array([[np.cos(gamma), np.sin(gamma), 0.0]])
    return np.vstack([x, legs]), np.vstack([c, legs])
