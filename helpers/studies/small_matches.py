"""How small are minimal matches at the paper's own ε? Sizes of v-minimal matches where a layer matches in part (C4).

At a fixed ε most layers match entirely or not at all, and then sizes say nothing. Where nothing is matched there are
no minimal matches. Where everything matches easily, every neuron has a small one. So sizes are taken where between 5
and 95 % of the neurons match.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from ..errors import BadInput
from ..matching.match import maximum_match, similarity_curve
from ..matching.peeling import reach
from ..subspaces import Pair
from . import seeds
from .parallel import task_results
from .simple_matches import minimal_sizes, neurons_needed, simple_sizes
from .store import Computed, Kind, origin_of_result
from .study import Study
from .tables import EPSILONS, stacked

BETWEEN = (0.05, 0.95)  # the similarities at which sizes are taken
MANY_ORDERS, FEW_ORDERS, WIDE = 30, 5, 400  # random orders per layer; few of a pair with more matched neurons than WIDE
SETTLED = 0.1  # with so many single partners, small matches are not rare: where orders are slow, none are tried
COUNTABLE = 128  # up to this many matched neurons, simple matches are listed (up to a limit)


def partly_matched(pair: Pair, epsilons: Iterable[float], between: tuple[float, float] = BETWEEN) -> list[float]:
    """Those ε at which the similarity of the pair lies in the closed range `between`."""
    values = [float(epsilon) for epsilon in epsilons]
    levels = similarity_curve(pair, values)
    return [epsilon for epsilon, level in zip(values, levels, strict=True) if between[0] <= level <= between[1]]


def has_partner(pair: Pair, epsilon: float) -> dict[tuple[str, int], bool]:
    """For every matched neuron: does it have a v-minimal match of two neurons, itself and one of the other network?

    The answer is exact: {x, y} is an ε-match if and only if the sine of the angle between the two is at most ε.
    """
    match = maximum_match(pair, epsilon)
    cut, square = len(pair.alive_x), reach(pair, epsilon) ** 2
    near = 1 - pair.gram[:cut, cut:] ** 2 <= square
    partners = {("x", int(k)): bool(row.any()) for k, row in zip(pair.alive_x, near, strict=True)}
    partners |= {("y", int(k)): bool(column.any()) for k, column in zip(pair.alive_y, near.T, strict=True)}
    matched = {("x", int(k)) for k in match.x} | {("y", int(k)) for k in match.y}
    return {neuron: partners[neuron] for neuron in sorted(matched)}


def orders_to_try(partners: dict[tuple[str, int], bool]) -> int:
    """How many orders to try: many for few matched neurons, few for many, none if many of these have a single partner.

    In the last case nearly all neurons can be deleted before one of them is needed, so every order takes minutes. There
    the partners alone answer the question whether small minimal matches are rare.
    """
    if len(partners) <= WIDE:
        return MANY_ORDERS
    return 0 if np.mean(list(partners.values())) > SETTLED else FEW_ORDERS


def smallest_sizes(pair: Pair, epsilon: float, orders: int | None = None) -> pd.DataFrame:
    """For every matched neuron: sizes of its minimal matches over several orders, and a lower bound on the size.

    - side, neuron;
    - first: the size in index order;
    - smallest, median, largest: over `orders` orders (NaN without orders);
    - partner: whether a minimal match of two neurons exists, exactly;
    - bound: no minimal match of the neuron is smaller.

    A neuron with a partner has smallest 2 even if no order found it.
    """
    partner, needed = has_partner(pair, epsilon), neurons_needed(pair, epsilon)
    orders = orders_to_try(partner) if orders is None else orders
    table = _sizes_over_orders(pair, epsilon, orders) if orders else _without_sizes(partner)
    neurons = list(zip(table["side"], table["neuron"], strict=True))
    least = {side: min((q for (s, _), q in needed.items() if s == side), default=1) for side in "xy"}
    table["partner"] = [partner[neuron] for neuron in neurons]
    bounds = np.array([needed[neuron] + least["y" if neuron[0] == "x" else "x"] for neuron in neurons])
    table["smallest"] = table["smallest"].where(~table["partner"], 2)
    return table.assign(bound=np.fmin(bounds, table["smallest"]), orders=orders, epsilon=epsilon)


def _sizes_over_orders(pair: Pair, epsilon: float, orders: int) -> pd.DataFrame:
    groups = minimal_sizes(pair, epsilon, orders).groupby(["side", "neuron"])["size"]
    return groups.agg(first="first", smallest="min", median="median", largest="max").reset_index()


def _without_sizes(neurons: Iterable[tuple[str, int]]) -> pd.DataFrame:
    unknown = dict.fromkeys(("first", "smallest", "median", "largest"), np.nan)
    return pd.DataFrame([{"side": side, "neuron": neuron} | unknown for side, neuron in neurons])


def of_pair(pair: Pair, epsilons: Sequence[float] = EPSILONS) -> dict[str, pd.DataFrame]:
    """Tables of a pair: "sizes" (one row per matched neuron and ε), "levels" (per ε) and, if few match, "simple"."""
    parts: dict[str, list[pd.DataFrame]] = {"sizes": [], "levels": [], "simple": []}
    for epsilon in partly_matched(pair, epsilons):
        table = smallest_sizes(pair, epsilon)
        parts["sizes"].append(table)
        parts["levels"].append(pd.DataFrame([level_row(pair, table, epsilon)]))
        if len(table) <= COUNTABLE:
            parts["simple"].append(simple_sizes(pair, epsilon).assign(epsilon=epsilon))
    return {name: pd.concat(pieces, ignore_index=True) for name, pieces in parts.items() if pieces}


def level_row(pair: Pair, table: pd.DataFrame, epsilon: float) -> dict[str, Any]:
    """For claim C4, one layer and one ε: the shares of matched neurons with minimal matches of 2, and of at most 5.

    Where no order was tried, "of_five" counts the single partners only, so it is too small rather than too large.
    """
    return {
        "epsilon": epsilon,
        "matched": len(table),
        "neurons": pair.n_x + pair.n_y,
        "of_two": float(table["partner"].mean()),
        "of_five": float((table["smallest"] <= 5).mean()),
        "of_five_possible": float((table["bound"] <= 5).mean()),
        "median_size": float(table["median"].median()),
    }


def small_match_tables(
    layer: str, pairs: Mapping[tuple[int, int], Pair], epsilons: Sequence[float] = EPSILONS
) -> dict[str, pd.DataFrame]:
    """The tables of `of_pair` for several pairs of seeds, with the columns layer, seed_a and seed_b."""
    return stacked(
        {name: table.assign(layer=layer, seed_a=a, seed_b=b) for name, table in of_pair(pair, epsilons).items()}
        for (a, b), pair in pairs.items()
    )


def joined_layers(layers: Iterable[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The tables of all layers. Raises `BadInput` if no layer matches in part at any ε."""
    tables = stacked(layers)
    if not tables:
        raise BadInput(f"no layer matches to between {BETWEEN[0]:.0%} and {BETWEEN[1]:.0%} at any ε that was asked for")
    return tables


def compute_small_matches(study: Study, pairs: int = 1, progress: bool = True) -> Computed:
    """The tables of every layer of a study that is kept compressed, for its first `pairs` pairs of seeds.

    Each layer is a task. Raises `BadInput` if no kept layer matches in part at any ε of the paper.
    """
    result = seeds.run(study, progress=progress)
    tasks = [(study, {"layer": layer, "pairs": pairs}) for layer in result.gram_layers]
    tables = joined_layers(part.tables for part in task_results(PART, tasks, "small matches", progress))
    about = result.tables["critical"].drop_duplicates("layer").set_index("layer")[["position", "depth", "kind"]]
    return Computed({name: table.join(about, on="layer") for name, table in tables.items()}, origin_of_result(result))


def small_matches_of_layer(study: Study, layer: str, pairs: int, progress: bool = True) -> Computed:
    """The tables of one layer; none if it does not match in part at any ε of the paper."""
    result = seeds.run(study, progress=progress)
    chosen = list(combinations(result.gram_seeds(layer), 2))[:pairs]
    return Computed(
        small_match_tables(layer, {(a, b): result.pair(layer, a, b) for a, b in chosen}), origin_of_result(result)
    )


KIND = Kind(
    "small_matches",
    "sizes of minimal matches at the paper's own ε, where a layer matches in part",
    compute_small_matches,
    defaults={"pairs": 1},
)
PART = Kind(
    "small_matches-layer",
    "one layer of a study of small matches",
    small_matches_of_layer,
    defaults={"layer": None, "pairs": 1},
)
