"""The paper's measure of every layer, between chance and the ceiling (an earlier epoch of one network).

Table "values": one row per layer, measure (area under s(ε), 1 − median critical ε), pair of networks, condition
(observed, untrained, ceiling, chance) and permutation. `helpers.studies.scale_conditions.calibrate_values` makes the
calibrated similarity from it.
"""

from functools import partial

from ..measures import MEASURES
from ..measures.chance import PERMUTATIONS
from .kept_activations import IMAGES, keep_activations
from .parts import all_parts
from .scale_conditions import values_under_conditions
from .store import Computed, Kind
from .study import Study
from .tables import described

NAMES = ("subspace", "subspace_median")


def compute(
    study: Study,
    progress: bool = True,
    images: int = IMAGES,
    permutations: int = PERMUTATIONS,
    earlier: int | None = None,
    untrained: int | None = None,
) -> Computed:
    """All layers at up to 9 positions of each image. Chance permutes the images, in every layer alike.

    images: how many of the test set, from the first on. earlier: the epoch of the first seed that gives the ceiling;
    None takes the last but one. untrained: how many untrained twins, possibly 0; None takes one for each seed.
    """
    kept = keep_activations(study, images, earlier, untrained, progress)
    key = [KIND.name, KIND.code_for(study.network), kept.key, permutations]
    measures = [MEASURES[name] for name in NAMES]
    makers = {
        layer.name: partial(values_under_conditions, kept, layer.name, measures, permutations, "positions")
        for layer in kept.layers
    }
    values = described(study, all_parts(key, makers, "calibrating layers", progress))
    return Computed({"values": values}, kept.origin)


KIND = Kind(
    "calibration",
    "the paper's measure between chance and an earlier self",
    compute,
    defaults={"images": IMAGES, "permutations": PERMUTATIONS, "earlier": None, "untrained": None},
)
