"""Any measures under four conditions: observed pairs, untrained twins, the ceiling (an earlier epoch), and chance.

These values give the calibrated similarity.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..measures import Compared, Measure, Sampled
from ..measures.chance import image_orders, p_value, permuted_values, with_positions
from ..measures.scale import on_scale
from .intervals import interval
from .kept_activations import KeptActivations, Role

PLACE = ["layer", "position", "depth", "kind"]
VALUES = [*PLACE, "samples", "measure", "end", "seed_a", "seed_b", "order", "value"]
SCALE_CONDITIONS = ("observed", "untrained", "ceiling", "chance")  # the column "end"


def values_under_conditions(
    kept: KeptActivations, layer: str, measures: Sequence[Measure], permutations: int, samples: str
) -> pd.DataFrame:
    """All measures of one layer for all pairs of networks. One row per measure, pair, condition and order.

    samples: "images" (averaged over positions) or "positions" (those of one image stay together when images are
    permuted). The column `end` is the condition. `order` numbers the permutations of chance; it is -1 for the other
    conditions.
    """
    positions = 1

    def load(role: Role) -> Sampled:
        nonlocal positions
        if samples == "images":
            return kept.over_images(layer, role)
        values, positions = kept.at_positions(layer, role)
        return values

    networks = {role: load(role) for role in kept.places}
    tables = [_one_condition(kept, name, networks, measures) for name, pairs in kept.pairs.items() if pairs]
    first, second = kept.pairs["observed"][0]
    pair = Compared(networks[first], networks[second])
    orders = image_orders(pair.x.centred.samples // positions, permutations)
    chance = permuted_values(pair, measures, (with_positions(order, positions) for order in orders))
    chance = chance.rename_axis("order").reset_index().melt("order", var_name="measure")
    tables.append(chance.assign(end="chance", seed_a=first.seed, seed_b=second.seed))
    table = pd.concat(tables, ignore_index=True).assign(samples=samples, **kept.columns(layer))
    return table.astype({"order": np.int16})[VALUES]


def _one_condition(
    kept: KeptActivations, condition: str, networks: dict[Role, Sampled], measures: Sequence[Measure]
) -> pd.DataFrame:
    rows = []
    for a, b in kept.pairs[condition]:
        pair = Compared(networks[a], networks[b])
        base = {"end": condition, "seed_a": a.seed, "seed_b": b.seed, "order": -1}
        rows += [base | {"measure": entry.name, "value": entry.function(pair)} for entry in measures]
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- from values to a scale


def calibrate_values(values: pd.DataFrame) -> pd.DataFrame:
    """One row per layer, samples and measure: the four conditions, and the calibrated similarity of the observed pairs.

    - observed, low, high: the mean over pairs, and its t interval over networks;
    - chance: the mean over the permutations;
    - untrained: NaN without untrained twins;
    - ceiling;
    - calibrated, calibrated_low, calibrated_high, calibrated_untrained;
    - p: the p value of the one pair whose images were permuted.
    """
    by = [*PLACE, "samples", "measure"]
    means = values.groupby([*by, "end"], observed=True)["value"].mean().unstack("end")
    means = means.reindex(columns=list(SCALE_CONDITIONS))
    observed = values[values["end"] == "observed"]
    table = (
        interval(observed, by, "value")
        .rename(columns={"mean": "observed"})
        .merge(means[["chance", "untrained", "ceiling"]].reset_index(), on=by)
    )
    for name, column in (("", "observed"), ("_low", "low"), ("_high", "high"), ("_untrained", "untrained")):
        rows = zip(table[column], table["chance"], table["ceiling"], strict=True)
        table[f"calibrated{name}"] = np.array([on_scale(*row) for row in rows])
    p = values.groupby(by, observed=True).apply(_p_value)
    table = table.merge(p.rename("p").reset_index(), on=by)
    return table.sort_values(["samples", "measure", "position"], ignore_index=True)


def _p_value(rows: pd.DataFrame) -> float:
    chance = rows[rows["end"] == "chance"]
    seeds = chance[["seed_a", "seed_b"]].iloc[0]
    same = (rows["end"] == "observed") & (rows[["seed_a", "seed_b"]] == seeds).all(axis=1)
    return p_value(float(rows.loc[same, "value"].iloc[0]), chance["value"].to_numpy())
