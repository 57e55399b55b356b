"""Does a measure find the corresponding layer? All layers of one network against all layers of another, every measure.

Table "values": one row per measure, pair of networks, layer of a and layer of b. Layers are averaged over positions,
so that layers with maps of different sizes can be compared.
"""

from functools import partial
from itertools import combinations, product

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..measures import MEASURES, Compared, Sampled
from .intervals import interval
from .kept_activations import IMAGES, TRAINED, KeptActivations, Role, keep_activations
from .parts import all_parts
from .store import Computed, Kind
from .study import Study
from .tables import described

NETWORKS = 4  # seeds that are compared with one another
CLOSE = 1e-6  # similarities closer than this are tied; ResNet's pooled features are its averaged last block


def compute(
    study: Study, progress: bool = True, images: int = IMAGES, networks: int = NETWORKS, earlier: int | None = None
) -> Computed:
    """All layers × all layers for pairs of the first `networks` seeds, by every measure, averaged over positions."""
    kept = keep_activations(study, images, earlier, 0, progress)
    key = [KIND.name, KIND.code_for(study.network), kept.key]
    pairs = list(combinations(study.seeds[:networks], 2))
    makers = {f"{a}-{b}": partial(_pair, kept, a, b) for a, b in pairs}
    values = described(study, all_parts(key, makers, "layers × layers", progress))
    return Computed({"values": values}, kept.origin)


def _pair(kept: KeptActivations, a: int, b: int) -> pd.DataFrame:
    names = [layer.name for layer in kept.layers]
    x, y = ({name: kept.over_images(name, Role(TRAINED, seed)) for name in names} for seed in (a, b))
    return similarities(x, y).assign(seed_a=a, seed_b=b)


def similarities(x: dict[str, Sampled], y: dict[str, Sampled]) -> pd.DataFrame:
    """Every measure for every layer of x and every layer of y."""
    rows = []
    for (layer_a, one), (layer_b, other) in product(x.items(), y.items()):
        pair = Compared(one, other)
        base = {"layer_a": layer_a, "layer_b": layer_b}
        rows += [base | {"measure": entry.name, "value": entry.function(pair)} for entry in MEASURES.values()]
    return pd.DataFrame(rows)


KIND = Kind(
    "identification",
    "all layers of one network against all layers of another",
    compute,
    defaults={"images": IMAGES, "networks": NETWORKS, "earlier": None},
)


# ---------------------------------------------------------------- what a page reads off


def choices(values: pd.DataFrame) -> pd.DataFrame:
    """For each layer of one network: which layer of the other is most similar to it, in both directions.

    One row per measure, pair, `layer` and `chosen` layer, with its `share`. The share is 1, or less where several
    layers are tied.
    """
    rows = []
    order = list(dict.fromkeys(values["layer_a"]))
    for (measure, a, b), table in values.groupby(["measure", "seed_a", "seed_b"], sort=False, observed=True):
        wide = table.pivot(index="layer_a", columns="layer_b", values="value").loc[order, order].to_numpy()
        for matrix in (wide, wide.T):
            shares = nearest_shares(matrix)
            at = np.argwhere(shares > 0)
            rows += [(measure, a, b, order[i], order[j], shares[i, j]) for i, j in at]
    return pd.DataFrame(rows, columns=["measure", "seed_a", "seed_b", "layer", "chosen", "share"])


def nearest_shares(similarity: Float[np.ndarray, "layers layers"]) -> Float[np.ndarray, "layers layers"]:
    """In each row 1 at the largest similarity; layers that are tied with it share this 1 equally."""
    best = similarity >= similarity.max(axis=1, keepdims=True) - CLOSE
    return best / best.sum(axis=1, keepdims=True)


def accuracy_table(values: pd.DataFrame) -> pd.DataFrame:
    """How often the most similar layer is the corresponding layer: the mean over layers, directions and pairs.

    One row per measure, best first. The columns are measure, accuracy, low and high (its interval), and near (how
    often it is the corresponding layer or one beside it).
    """
    chosen = choices(values)
    order = {layer: i for i, layer in enumerate(dict.fromkeys(values["layer_a"]))}
    distance = (chosen["layer"].map(order) - chosen["chosen"].map(order)).abs()
    count = 2 * len(order)  # both directions
    chosen = chosen.assign(
        right=chosen["share"] * (distance == 0) / count, near=chosen["share"] * (distance <= 1) / count
    )
    by = ["measure", "seed_a", "seed_b"]
    pairs = chosen.groupby(by, sort=False, observed=True)[["right", "near"]].sum().reset_index()
    table = interval(pairs, ["measure"], "right").rename(columns={"mean": "accuracy"})
    table = table.merge(pairs.groupby("measure", observed=True)["near"].mean().reset_index(), on="measure")
    return table.sort_values("accuracy", ascending=False, ignore_index=True)


def confusion(values: pd.DataFrame, measure: str) -> pd.DataFrame:
    """How often each layer (row) was taken for each layer (column) by one measure. Each row sums to 1."""
    order = list(dict.fromkeys(values["layer_a"]))
    chosen = choices(values[values["measure"] == measure])
    wide = chosen.pivot_table(index="layer", columns="chosen", values="share", aggfunc="sum", fill_value=0)
    wide = wide.reindex(index=order, columns=order, fill_value=0)
    return wide.div(wide.sum(axis=1), axis=0)
