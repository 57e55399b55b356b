"""Three ways to count a maximum matching similarity: by neurons (the paper's), by alive neurons, and by power.

In a fully connected layer many neurons are zero on every image, or nearly so, and such neurons dominate a count of
neurons. So each match is also counted over the alive neurons, and by power: the share of a network's squared
activations that its matched neurons hold, averaged over the two networks.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..errors import BadInput
from ..matching.peeling import TIE
from ..parameters import check_epsilon

COUNTS = {
    "neurons": "share of all neurons",
    "alive": "share of alive neurons",
    "power": "share of the activations' power",
}
PAIR_OF_LAYER = ["position", "layer", "kind", "depth", "seed_a", "seed_b"]


def counted_similarity(critical: pd.DataFrame, epsilons: Sequence[float]) -> pd.DataFrame:
    """s(ε) per layer, pair and ε in three counts: columns `neurons`, `alive` and `power`, each in [0, 1].

    `neurons` is the paper's count (def-similarity). `critical` has one row per neuron, with the columns
    `critical_epsilon`, `dead` and optionally `power`, the neuron's share of its network's squared activations.
    Without it the result's `power` is NaN. `alive` is NaN for a layer without alive neurons. Raises `BadInput` if
    no ε is given, or one outside [0, 1).
    """
    by = [column for column in PAIR_OF_LAYER if column in critical]
    tables = [_counted(critical, epsilon, by).assign(epsilon=epsilon) for epsilon in map(check_epsilon, epsilons)]
    if not tables:
        raise BadInput("no ε is given: expected at least one number in [0, 1)")
    return pd.concat(tables, ignore_index=True)


def _counted(critical: pd.DataFrame, epsilon: float, by: list[str]) -> pd.DataFrame:
    matched = critical["critical_epsilon"] <= epsilon + TIE
    power = critical["power"] if "power" in critical else pd.Series(np.nan, index=critical.index)
    columns = critical[by].assign(
        matched=matched,
        alive=~critical["dead"],
        power=power.where(matched | power.isna(), 0.0),
    )
    sums = columns.groupby(by, sort=False, observed=True).agg(
        matched=("matched", "sum"),
        alive=("alive", "sum"),
        all_neurons=("matched", "size"),
        power=("power", lambda values: values.sum(skipna=False) / 2),
    )
    shares = pd.DataFrame(
        {
            "neurons": sums["matched"] / sums["all_neurons"],
            "alive": sums["matched"] / sums["alive"].where(sums["alive"] > 0),
            "power": sums["power"],
        }
    )
    return shares.reset_index()
