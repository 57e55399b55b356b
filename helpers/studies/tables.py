"""Tables of matches: one row per neuron or per layer, with columns that name the study and the layer of the row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from ..matching.match import critical_epsilons
from ..matching.peeling import TIE
from ..measures.dimension import effective_rank
from ..networks.architectures import Layer
from ..parameters import check_epsilon, refused
from ..subspaces import Gram, Pair
from .study import Study

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)  # the paper's


def pieces_by_name(parts: Iterable[Mapping[str, pd.DataFrame]]) -> dict[str, list[pd.DataFrame]]:
    """The tables of several parts of a study, by name. A part may lack a table."""
    pieces: dict[str, list[pd.DataFrame]] = {}
    for tables in parts:
        for name, table in tables.items():
            pieces.setdefault(name, []).append(table)
    return pieces


def stacked(parts: Iterable[Mapping[str, pd.DataFrame]]) -> dict[str, pd.DataFrame]:
    """The rows of all parts, table by table."""
    return {name: pd.concat(pieces, ignore_index=True) for name, pieces in pieces_by_name(parts).items()}


def layer_columns(layer: Layer) -> dict[str, Any]:
    """The columns of a table that describe a layer."""
    return {"layer": layer.name, "position": layer.position, "depth": layer.depth, "kind": layer.kind}


def described(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that name the study in front. The table is changed in place."""
    for position, column in enumerate(("dataset", "network", "width")):
        table.insert(position, column, getattr(study, column))
    return table


def critical_rows(gram: Gram, a: int, b: int) -> pd.DataFrame:
    """One row per neuron of networks a (side x) and b (side y): `pair_rows` with the column `power`.

    power: the neuron's share of its network's squared activations, summed over the layer's neurons and all samples.
    """
    power = np.concatenate([power_shares(gram, a), power_shares(gram, b)])
    return pair_rows(gram.pair(a, b)).assign(power=power)


def power_shares(gram: Gram, network: int) -> Float[np.ndarray, " neurons"]:
    """Each neuron's share of its network's squared activations; 0 for all if every neuron is dead."""
    squares = np.diag(gram.gram)[gram.columns(network)]
    return squares / total if (total := squares.sum()) else np.zeros(len(squares))


def pair_rows(pair: Pair) -> pd.DataFrame:
    """One row per neuron of x (side "x") and y (side "y"): its critical ε (inf: never matched), dead or not."""
    values = dict(zip("xy", critical_epsilons(pair), strict=True))
    alive = {"x": pair.alive_x, "y": pair.alive_y}
    rows = [
        pd.DataFrame(
            {
                "side": side,
                "neuron": np.arange(len(critical), dtype=np.int32),
                "critical_epsilon": critical,
                "dead": ~np.isin(np.arange(len(critical)), alive[side]),
            }
        )
        for side, critical in values.items()
    ]
    return pd.concat(rows, ignore_index=True).assign(samples=pair.samples)


def similarity_table(critical: pd.DataFrame, epsilons: Sequence[float]) -> pd.DataFrame:
    """Maximum matching similarity s(ε) per layer and pair. As in the paper, dead neurons count in the denominator.

    Raises `BadInput` for an ε outside [0, 1).
    """
    by = [c for c in critical.columns if c not in ("side", "neuron", "critical_epsilon", "dead", "power")]
    tables = []
    for epsilon in dict.fromkeys(map(check_epsilon, epsilons)):
        inside = critical.assign(similarity=critical["critical_epsilon"] <= epsilon + TIE)
        groups = inside.groupby(by, sort=False, observed=True)
        counts = groups.agg(similarity=("similarity", "mean"), neurons=("neuron", "size"), dead=("dead", "sum"))
        tables.append(counts.reset_index().assign(epsilon=epsilon))
    return pd.concat(tables, ignore_index=True)


def as_epsilons(given: Any) -> list[Any]:
    """One ε or several, as a list. Raises `BadInput` for none; `similarity_table` checks each."""
    values = [given] if np.ndim(given) == 0 else list(given)
    if not values:
        raise refused("epsilons", values, "numbers in [0, 1), such as [0.3, 0.5]")
    return values


def self_pair(gram: Gram, network: int, seed: int = 0) -> Pair:
    """A network beside its own copy with the neurons in another order. Any sound measure must find them equal."""
    order = np.random.default_rng(seed).permutation(gram.sizes[network])
    twice = gram.networks([network, network])
    return twice.select([slice(None), order]).pair(0, 1)


def control_rows(gram: Gram, seeds: Sequence[int]) -> pd.DataFrame:
    """One row per network: neurons, dead neurons, dimension, and the self-match (it must be 1).

    `self_match` is the share of alive neurons whose critical ε is 0 between the network and its own permuted copy.
    """
    rows = []
    for k, seed in enumerate(seeds):
        pair = self_pair(gram, k)
        critical = np.concatenate(critical_epsilons(pair))
        alive = len(pair.gram)
        rows.append(
            {
                "seed": seed,
                "neurons": gram.sizes[k],
                "dead": gram.sizes[k] - alive // 2,
                "self_match": float((critical == 0).sum() / alive) if alive else np.nan,
                "effective_rank": effective_rank(gram.block(k, k)),
                "effective_rank_centred": effective_rank(gram.centred().block(k, k)),
                "samples": gram.samples,
            }
        )
    return pd.DataFrame(rows)
