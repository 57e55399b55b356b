"""One peel gives every ε: delete the neuron farthest from the other span, again and again.

Distances only grow as a span shrinks, so a neuron's critical ε (the smallest at which it is in the maximum match) is
the running minimum of the largest distances up to its deletion. Indices here are those of the alive neurons.
"""

import numpy as np
from jaxtyping import Float
from numba import njit

from helpers.subspaces import Pair

Vector = Float[np.ndarray, " neurons"]


@njit(cache=True)
def delete_column(R, C, squares, k, m, j):  # type: ignore[no-untyped-def]
    """Rotate basis neuron j out of the k × k factor R and its m target columns C (Givens column deletion).

    The last row of C is what the targets lose: squares += row². A sum of squares, so no cancellation, ever.
    """
    for i in range(j):
        for t in range(j, k - 1):
            R[i, t] = R[i, t + 1]
    for i in range(j, k - 1):
        a, b = R[i, i + 1], R[i + 1, i + 1]
        h = np.hypot(a, b)
        c, s = (a / h, b / h) if h > 0 else (1.0, 0.0)
        for t in range(i, k - 1):
            upper, lower = R[i, t + 1], R[i + 1, t + 1]
            R[i, t] = c * upper + s * lower
            R[i + 1, t + 1] = c * lower - s * upper
        for t in range(m):
            upper, lower = C[i, t], C[i + 1, t]
            C[i, t] = c * upper + s * lower
            C[i + 1, t] = c * lower - s * upper
    for t in range(m):
        squares[t] += C[k - 1, t] ** 2


@njit(cache=True)
def peel_givens(Rx, Cx, sy, Ry, Cy, sx):  # type: ignore[no-untyped-def]
    """Critical ε² of the x and of the y neurons; destroys its arguments. O(n³) in all."""
    n, m = len(sx), len(sy)
    critical_x, critical_y = np.empty(n), np.empty(m)
    at_x, at_y = np.arange(n), np.arange(m)
    lowest = np.inf
    while n + m > 0:
        i = np.argmax(sx[:n]) if n > 0 else -1
        j = np.argmax(sy[:m]) if m > 0 else -1
        if j < 0 or (i >= 0 and sx[i] >= sy[j]):
            lowest = min(lowest, sx[i])
            critical_x[at_x[i]] = lowest
            delete_column(Rx, Cx, sy, n, m, i)
            n -= 1
            for t in range(i, n):
                at_x[t], sx[t] = at_x[t + 1], sx[t + 1]
            for row in range(m):
                for t in range(i, n):
                    Cy[row, t] = Cy[row, t + 1]
        else:
            lowest = min(lowest, sy[j])
            critical_y[at_y[j]] = lowest
            delete_column(Ry, Cy, sx, m, n, j)
            m -= 1
            for t in range(j, m):
                at_y[t], sy[t] = at_y[t + 1], sy[t + 1]
            for row in range(n):
                for t in range(j, m):
                    Cx[row, t] = Cx[row, t + 1]
    return critical_x, critical_y


def peel(pair: Pair) -> tuple[Vector, Vector]:
    """Raw critical ε of the alive neurons of both sides, before any slack."""
    if "peel" not in pair.known:
        x, y = pair.sides
        parts = [np.array(a, order="C") for side in (x, y) for a in (side.factor, side.coordinates, side.squares)]
        pair.known["peel"] = tuple(np.sqrt(np.maximum(s, 0)) for s in peel_givens(*parts))
    return pair.known["peel"]
