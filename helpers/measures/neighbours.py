"""Mutual nearest neighbours: are an image's nearest images in one layer also its nearest in the other?"""

import numpy as np

from .compared import Compared
from .registry import Measure


def mutual_neighbours(pair: Compared) -> float:
    """Share of an image's k = 10 nearest images (by cosine) in one layer that are also nearest in the other.

    It is averaged over the images.
    """
    x, y = pair.x.nearest, pair.y.nearest
    if not pair.x.centred.power or not pair.y.centred.power:
        return 0.0
    near = np.zeros((len(x), len(x)), dtype=bool)
    np.put_along_axis(near, x, True, axis=1)
    return float(np.take_along_axis(near, y, axis=1).mean())


MUTUAL_NEIGHBOURS = Measure(
    "neighbours",
    "mutual 10 nearest neighbours",
    mutual_neighbours,
    "samples",
    frozenset({"permutation", "isotropic", "orthogonal"}),
    "Huh et al. 2024, The platonic representation hypothesis",
)
