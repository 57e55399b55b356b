"""Which pairs of layers have enough samples to be compared, and in words what the tables lack."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import BadInput
from ..networks.inputs import Counted
from .layer_products import LayerProducts, LayerSide, samples_of, shared_places

ENOUGH = 10  # samples per neuron; even then an unrelated neuron is at √(1 − 1/10) ≈ 0.95 from a span, not at 1
LEFT_OUT = ["layer", "neurons", "samples", "images_needed"]
ALONE = "the other network has no layer of this name"
REMEDY = "name the layers of b to set beside those of a as layers_b, or ask for grid=True"

Pairs = list[tuple[LayerSide, LayerSide]]


def with_enough(
    pairs: Pairs, images: int | None, pooled: bool, tokens: str, omitted: Mapping[str, str]
) -> tuple[Pairs, list[tuple]]:
    """The pairs with at least `ENOUGH` samples per neuron, and rows for the others with the numbers they need.

    `pooled` allows different positions. Raises `BadInput` for them otherwise, and if no pair is left.
    """
    kept, rows = [], []
    for a, b in pairs:
        if a.places != b.places and not pooled:
            here, there = (int(np.prod(side.places, initial=1)) for side in (a, b))
            raise BadInput(
                f"{a.layer} has {here} positions and {b.layer} {there}: expected the same samples, or pool=True to "
                "average the larger one down"
            )
        count = max(a.neurons, b.neurons)
        each = samples_of(shared_places(a.places, b.places, tokens), 1)
        if images is None or each * images >= ENOUGH * count:
            kept.append((a, b))
        else:
            rows.append((a.layer, count, each * images, -(-ENOUGH * count // each)))
    if not kept:
        alone = ALONE in omitted.values()
        which = f"the layers with equal names, of which there are {len(rows)} ({REMEDY})" if alone else "every layer"
        raise BadInput(f"{images} images are too few for {which}: expected at least {min(row[3] for row in rows)}")
    return kept, rows


def still_enough(products: LayerProducts, pairs: Pairs, counted: Counted) -> tuple[Pairs, list[tuple]]:
    """The rule of `with_enough`, now with the samples that came: only different inputs, without padding.

    Raises `BadInput` if no pair is left.
    """
    kept, rows = [], []
    for a, b in pairs:
        count, samples = max(a.neurons, b.neurons), products.of(a, b).gram.samples * counted.different // counted.images
        if samples >= ENOUGH * count:
            kept.append((a, b))
        else:
            rows.append((a.layer, count, samples, -(-ENOUGH * count * counted.different // max(samples, 1))))
    if not kept:
        fewest, count = min(row[3] for row in rows), counted.different
        raise BadInput(f"{count} images are too few for every layer: expected at least {fewest}")
    return kept, rows


def gaps_said(pairs: Pairs, left_out: Sequence[tuple], omitted: Mapping[str, str]) -> list[tuple[str, str]]:
    """What is not in the tables, in words: layers with too few samples, and layers without a partner."""
    gaps, alone = [], [name for name, reason in omitted.items() if reason == ALONE]
    if left_out:
        most = f"at most {max(row[3] for row in left_out)} are needed"
        gaps.append(
            ("left out", f"{len(left_out)} of {len(pairs) + len(left_out)} layers have too few images ({most})")
        )
    if alone:
        gaps.append(("left out", f"{len(alone)} layers have no layer of their name in the other network ({REMEDY})"))
    return gaps
