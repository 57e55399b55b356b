"""Do other measures agree? Every measure of the registry on the same activations, each with its own chance and ceiling.

Table "values" has the columns that `helpers.studies.calibration` describes. It holds all measures over images
(averaged over positions). For the paper's measure and CKA it also holds values at positions, with half as many
permutations.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from ..measures import MEASURES
from .kept_activations import IMAGES, KeptActivations, keep_activations
from .parts import all_parts
from .scale_conditions import values_under_conditions
from .store import Computed, Kind
from .study import Study
from .tables import described

ORDERS = 200  # permutations, as in `calibration`: p can be as small as 0.005; a full-size network needs ten minutes
POSITIONS = ("subspace", "subspace_median", "cka", "cka_raw")  # also measured at positions


def compute(
    study: Study,
    progress: bool = True,
    images: int = IMAGES,
    permutations: int = ORDERS,
    earlier: int | None = None,
    untrained: int | None = None,
) -> Computed:
    """All measures of all layers. The settings are those of `helpers.studies.calibration.compute`."""
    kept = keep_activations(study, images, earlier, untrained, progress)
    key = [KIND.name, KIND.code_for(study.network), kept.key, permutations]
    makers = {layer.name: partial(_layer, kept, layer.name, permutations) for layer in kept.layers}
    values = described(study, all_parts(key, makers, "measuring layers", progress))
    return Computed({"values": values}, kept.origin)


def _layer(kept: KeptActivations, layer: str, permutations: int) -> pd.DataFrame:
    chosen = [MEASURES[name] for name in POSITIONS]
    return pd.concat(
        [
            values_under_conditions(kept, layer, list(MEASURES.values()), permutations, "images"),
            values_under_conditions(kept, layer, chosen, permutations // 2, "positions"),
        ],
        ignore_index=True,
    )


KIND = Kind(
    "rivals",
    "every measure on the same activations, between its own chance and ceiling",
    compute,
    defaults={"images": IMAGES, "permutations": ORDERS, "earlier": None, "untrained": None},
)


# ---------------------------------------------------------------- what a page reads off


def dips(groups: pd.DataFrame, middle: str = "middle", sides: Sequence[str] = ("first", "late")) -> pd.Series:
    """Whether a measure is lower in the middle group than in both groups beside it. One entry per row of `groups`."""
    return groups[list(sides)].gt(groups[middle], axis=0).all(axis=1)


def agreement(calibrated: pd.DataFrame, samples: str = "images") -> pd.DataFrame:
    """Spearman correlation, over layers, of the measures' calibrated similarities. One row and column per measure."""
    wide = calibrated[calibrated["samples"] == samples].pivot(index="layer", columns="measure", values="calibrated")
    return wide.replace([np.inf, -np.inf], np.nan).corr("spearman")
