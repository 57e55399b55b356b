"""Is similarity local or distributed? The sizes of simple matches, and the sizes that the subspaces alone would give.

A minimal match of a neuron depends on the order of the trials. So there is one fixed order, many random ones, and what
does not depend on the order (essential neurons, the smallest possible match). The null model keeps the two matched
subspaces and the loadings of every direction, but shuffles which neuron has which loading.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from ..errors import BadInput, unknown
from ..matching.match import (
    critical_epsilons,
    essential_neurons,
    maximum_match,
    minimal_match_of_each,
    simple_matches,
    smallest_match,
)
from ..matching.objects import Match
from ..matching.peeling import reach
from ..subspaces import Matrix, Pair
from . import seeds
from .parallel import task_results
from .store import Computed, Kind, Result, origin_of_result
from .study import Study
from .tables import described, stacked

SHARES = (0.25, 0.5, 0.75)  # an ε is chosen for each share of the alive neurons in the maximum match
ORDERS, DRAWS, LIMIT = 30, 10, 200
SLACK = 0.01  # ε is taken so far above the edge: where a match just appears, its tightest neuron needs all others
MOST = 0.9  # the null's minimal matches are taken above the ε at which this share of its neurons matches


def telling_epsilons(pair: Pair, shares: Iterable[float] = SHARES) -> dict[float, float]:
    """For each share the smallest ε at which the maximum match holds that share of the alive neurons, plus `SLACK`.

    An ε at which everything is matched is left out. If several shares have one ε, the share nearest to a half keeps
    it. Raises `BadInput` for a share outside (0, 1).
    """
    values = np.sort(np.concatenate(critical_epsilons(pair)))[: len(pair.gram)]
    last = min(1, values.max(initial=0))
    epsilons: dict[float, float] = {}
    for share in sorted(shares, key=lambda share: abs(share - 0.5)):
        if not 0 < share < 1:
            raise BadInput(f"share is {share}: expected a number between 0 and 1")
        epsilon = SLACK + (values[int(np.ceil(share * len(values))) - 1] if len(values) else np.inf)
        if epsilon < last and epsilon not in epsilons.values():
            epsilons[share] = float(epsilon)
    return dict(sorted(epsilons.items()))


# ---------------------------------------------------------------- sizes, and which neurons go together


def minimal_sizes(pair: Pair, epsilon: float, orders: int = ORDERS, seed: int = 0) -> pd.DataFrame:
    """Size of a minimal match of every matched neuron: order 0 is by index, the others are random (alg-min)."""
    return sizes_and_map(pair, epsilon, orders, seed)[0]


def sizes_and_map(pair: Pair, epsilon: float, orders: int = ORDERS, seed: int = 0) -> tuple[pd.DataFrame, Matrix]:
    """`minimal_sizes`, and how often u is in the minimal match of v: a (v, u) matrix over x first, then y."""
    rng = np.random.default_rng(seed)
    share = np.zeros((pair.n_x + pair.n_y,) * 2)
    rows = []
    for order in range(orders):
        each = minimal_match_of_each(pair, epsilon, rng if order else None)
        rows += [(order, side, index, len(match)) for (side, index), match in each.items()]
        for neuron, match in each.items():
            share[joint_index(pair, neuron), members(pair, match)] += 1 / orders
    return pd.DataFrame(rows, columns=["order", "side", "neuron", "size"]), share


def joint_index(pair: Pair, neuron: tuple[str, int]) -> int:
    """The index of a neuron when y's neurons follow x's, with dead ones counted."""
    return neuron[1] + (pair.n_x if neuron[0] == "y" else 0)


def members(pair: Pair, match: Match) -> Int[np.ndarray, " members"]:
    """The indices of all neurons of a match, those of y counted after all of x."""
    return np.concatenate([match.x, match.y + pair.n_x])


def map_of(pair: Pair, epsilon: float, orders: int = ORDERS, seed: int = 0) -> pd.DataFrame:
    """Which neurons go together: one row per (v, u) where u is in a minimal match of v in any order.

    `frequency` is the share of the orders in which it is. u is `essential` to v when every match that contains v
    contains u, in any order.
    """
    share = sizes_and_map(pair, epsilon, orders, seed)[1]
    needed = np.zeros(share.shape, bool)
    for neuron, others in essential_neurons(pair, epsilon).items():
        needed[joint_index(pair, neuron), [joint_index(pair, u) for u in others]] = True
    v, u = np.nonzero(share)
    return pd.DataFrame({"v": v, "u": u, "frequency": share[v, u], "essential": needed[v, u]})


# ---------------------------------------------------------------- the smallest


def neurons_needed(pair: Pair, epsilon: float) -> dict[tuple[str, int], int]:
    """How many neurons of the maximum match's other side each neuron needs at least: 1, 2 or 3 (for 3 and more)."""
    match = maximum_match(pair, epsilon)
    if not len(match):
        return {}
    cut, square = len(pair.alive_x), reach(pair, epsilon) ** 2
    of_x = np.flatnonzero(np.isin(pair.alive_x, match.x))
    of_y = cut + np.flatnonzero(np.isin(pair.alive_y, match.y))
    needed: dict[tuple[str, int], int] = {}
    for side, targets, basis in (("x", of_x, of_y), ("y", of_y, of_x)):
        cross, inner = pair.gram[np.ix_(targets, basis)], pair.gram[np.ix_(basis, basis)]
        one = (1 - cross**2).min(axis=1) <= square
        two = np.array([_nearest_plane(row, inner, pair.ridge) for row in cross]) <= square
        names = pair.alive_x[targets] if side == "x" else pair.alive_y[targets - cut]
        needed |= {(side, int(k)): 1 if a else 2 if b else 3 for k, a, b in zip(names, one, two, strict=True)}
    return needed


def _nearest_plane(row: Float[np.ndarray, " basis"], inner: Matrix, ridge: float) -> float:
    """Smallest squared distance of a unit neuron to the plane of two others, from its products with them."""
    first, second = np.triu_indices(len(row), 1)
    if not len(first):
        return np.inf
    a, b, c = row[first], row[second], inner[first, second]
    explained = (a**2 - 2 * a * b * c + b**2) / np.maximum(1 - c**2, ridge)
    return float((1 - explained).min())


def smallest_matches(pair: Pair, epsilon: float, limit: int = 20) -> pd.DataFrame:
    """For every matched v the smallest v-minimal match among `limit` found, and a lower bound on the size of any.

    The bound is the larger of two: that of the enumeration, and a count of neurons. The count is q, the number of
    neurons that v needs on the other side, plus what the least demanding neuron of the other side needs on v's side.
    """
    needed = neurons_needed(pair, epsilon)
    least = {side: min((q for (s, _), q in needed.items() if s == side), default=1) for side in "xy"}
    rows = []
    for (side, index), q in needed.items():
        smallest = smallest_match(pair, (side, index), epsilon, limit)
        assert smallest is not None
        bound = max(smallest.lower_bound, q + least["y" if side == "x" else "x"])
        rows.append((side, index, len(smallest.match), min(bound, len(smallest.match)), smallest.seen))
    table = pd.DataFrame(rows, columns=["side", "neuron", "smallest", "lower_bound", "seen"])
    return table.assign(exact=table["smallest"] == table["lower_bound"])


def simple_sizes(pair: Pair, epsilon: float, limit: int = LIMIT) -> pd.DataFrame:
    """The size of every simple match, or of the first `limit` matches (`complete` is then False)."""
    matches = simple_matches(pair, epsilon, limit)
    rows = [(len(match), len(match.x), len(match.y)) for match in matches]
    return pd.DataFrame(rows, columns=["size", "x", "y"]).assign(complete=matches.complete)


# ---------------------------------------------------------------- if only the subspaces were shared


def matched_vectors(pair: Pair, match: Match) -> tuple[Matrix, Matrix]:
    """Unit vectors whose Gram matrix is that of the matched neurons: one array for x, one for y."""
    keep = np.concatenate([np.isin(pair.alive_x, match.x), np.isin(pair.alive_y, match.y)])
    values, vectors = np.linalg.eigh(pair.gram[np.ix_(keep, keep)])
    z = vectors * np.sqrt(np.maximum(values, 0))
    return z[: len(match.x)], z[len(match.x) :]


def reassigned(pair: Pair, match: Match, rng: np.random.Generator) -> Pair:
    """The null model: the matched subspaces stay, their neurons are drawn anew (def-reassigned)."""
    x, y = reassigned_vectors(*matched_vectors(pair, match), rng)
    z = np.vstack([x, y])
    return Pair.from_gram(z @ z.T, len(x), len(y), pair.samples)


def reassigned_vectors(x: Matrix, y: Matrix, rng: np.random.Generator) -> tuple[Matrix, Matrix]:
    """Every principal direction of the two spans keeps its loadings, but the neurons that have them are shuffled.

    Each direction of each side is shuffled on its own. The spans, the principal angles, and how strongly each
    direction is used stay. So the neurons still match about as well (prp-reassigned), but a neuron has a partner only
    by chance.
    """
    (basis_x, _), (basis_y, _) = np.linalg.qr(x.T), np.linalg.qr(y.T)
    left, _, right = np.linalg.svd(basis_x.T @ basis_y)
    parts = []
    for z, directions in ((x, basis_x @ left), (y, basis_y @ right.T)):
        loadings = np.column_stack([rng.permutation(column) for column in (z @ directions).T])
        parts.append(loadings @ directions.T)
    return parts[0], parts[1]


def null_sizes(pair: Pair, epsilon: float, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Sizes of minimal matches under the null model, at `epsilon_null`.

    It lies `SLACK` above the ε at which 90 % of the neurons match. The original ε is not used, because shuffling
    moves the threshold a little. Draws that never match as much are left out.
    """
    match, rng, tables = maximum_match(pair, epsilon), np.random.default_rng(seed), []
    for draw in range(draws):
        null = reassigned(pair, match, rng)
        values = np.sort(np.concatenate(critical_epsilons(null)))
        level = values[int(np.ceil(MOST * len(values))) - 1] + SLACK
        if level < 1:
            drawn = minimal_sizes(null, float(level), 1).drop(columns="order")
            tables.append(drawn.assign(draw=draw, epsilon_null=float(level)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


# ---------------------------------------------------------------- the study


def mapped_layers(result: Result, layers: Sequence[str] | None) -> list[str]:
    """The layers that the map is drawn for: the named ones, or kept layers near the input, the middle and the output.

    Raises `BadInput` for a layer that is not kept.
    """
    kept = result.gram_layers
    if layers is None:
        return list(dict.fromkeys([kept[0], kept[len(kept) // 2], kept[-2], kept[-1]])) if len(kept) > 1 else kept
    for layer in layers:
        if layer not in kept:
            raise unknown("compressed layer", layer, kept)
    return list(layers)


def of_layer(pair: Pair, orders: int, draws: int, limit: int, mapped: bool) -> dict[str, pd.DataFrame]:
    """All tables of one layer of one pair; `mapped` adds the map, the smallest and the simple matches at share 0.5."""
    parts = []
    for share, epsilon in telling_epsilons(pair).items():
        row: dict[str, Any] = {"share": share, "epsilon": epsilon}
        tables = {"sizes": minimal_sizes(pair, epsilon, orders), "null": null_sizes(pair, epsilon, draws)}
        level = row | {"matched": len(maximum_match(pair, epsilon)), "alive": len(pair.gram)}
        tables["levels"] = pd.DataFrame([level | {"neurons": pair.n_x + pair.n_y}])
        if mapped and share == 0.5:
            tables["map"] = map_of(pair, epsilon, orders)
            tables["smallest"] = smallest_matches(pair, epsilon)
            tables["simple"] = simple_sizes(pair, epsilon, limit)
        parts.append({name: table.assign(**row) for name, table in tables.items()})
    return stacked(parts)


def compute(
    study: Study,
    layers: Sequence[str] | None = None,
    orders: int = ORDERS,
    draws: int = DRAWS,
    limit: int = LIMIT,
    progress: bool = True,
) -> Computed:
    """Tables of every kept layer and pair of a study, with map, smallest and simple matches for the chosen `layers`.

    Each layer is a task. Raises `BadInput` if no layer of two of its networks was kept.
    """
    result = seeds.run(study, progress=progress)
    if not result.gram_layers:
        raise BadInput(f"no layer of seeds {list(study.seeds)} is kept compressed: take the study's first seeds")
    mapped = mapped_layers(result, layers)
    settings = {"orders": orders, "draws": draws, "limit": limit}
    tasks = [(study, {"layer": layer, "mapped": layer in mapped} | settings) for layer in result.gram_layers]
    results = task_results(PART, tasks, "simple matches", progress)
    tables = {name: described(study, table) for name, table in stacked(part.tables for part in results).items()}
    return Computed(tables, origin_of_result(result), settings={"layers": mapped})


def simple_matches_of_layer(
    study: Study, layer: str, mapped: bool, orders: int, draws: int, limit: int, progress: bool = True
) -> Computed:
    """The tables of one layer, for all pairs that are kept; `mapped`: with the map of its first pair."""
    result, parts = seeds.run(study, progress=progress), []
    about = result.tables["critical"].drop_duplicates("layer").set_index("layer")[["position", "depth", "kind"]]
    pairs = list(combinations(result.gram_seeds(layer), 2))
    for a, b in pairs:
        row = {"layer": layer, "seed_a": a, "seed_b": b, **about.loc[layer]}
        of_pair = of_layer(result.pair(layer, a, b), orders, draws, limit, mapped and (a, b) == pairs[0])
        parts.append({name: table.assign(**row) for name, table in of_pair.items()})
    return Computed(stacked(parts), origin_of_result(result))


KIND = Kind(
    "simple_matches",
    "sizes of simple matches, which neurons go together, and what sizes the subspaces alone would give",
    compute,
    defaults={"layers": None, "orders": ORDERS, "draws": DRAWS, "limit": LIMIT},
)
PART = Kind(
    "simple_matches-layer",
    "one layer of a study of simple matches",
    simple_matches_of_layer,
    defaults={"layer": None, "mapped": False, "orders": ORDERS, "draws": DRAWS, "limit": LIMIT},
)
