"""The ceiling: how similar can two networks be at most? A network is compared with itself a few epochs earlier.

This is the kind "ceiling". It has the tables of the kind "seeds" with two more columns, epoch_a and epoch_b.
"critical" has one row per neuron with its critical ε, "similarity" one row per pair of checkpoints, layer and ε, and
"networks" one row per checkpoint.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import pandas as pd
from tqdm import tqdm

from ..errors import BadInput
from ..networks.accumulators import Grams
from ..networks.activations import stream
from ..streaming import GramBlocks
from .layer_tasks import by_layers, layer_names
from .parallel import train_all
from .seeds import check_sound, list_batches, network_row
from .store import Computed, Kind, origin_of
from .study import Study, after, chosen_layers, earlier_epochs, networks_at, test_images
from .tables import EPSILONS, critical_rows, described, layer_columns, similarity_table


def compute(study: Study, progress: bool = True) -> Computed:
    """Match the last epoch of every seed with its earlier epochs that were kept (`earlier_epochs`), layer by layer.

    With several workers groups of layers are tasks. Raises `BadInput` for a study of one epoch, and if no seed kept an
    earlier epoch.
    """
    if study.epoch is not None:
        raise BadInput(f"epoch is {study.epoch}: the ceiling compares the last epoch with earlier ones")
    runs = dict(zip(study.seeds, study.runs, strict=True))
    train_all([(runs[seed], epoch) for seed, epoch in checkpoints(study)[0]], progress)
    return by_layers(PART, study, layer_names(study), {}, progress)


def ceiling_of_layers(study: Study, progress: bool = True) -> Computed:
    """The tables of the study's layers, from one pass over the images."""
    members, pairs = checkpoints(study)
    data, runs = test_images(study), dict(zip(study.seeds, study.runs, strict=True))
    nets, sidecars = networks_at({after(*member): (runs[member[0]], member[1]) for member in members}, data, progress)
    layers = chosen_layers(nets[0], study.layers)
    names = {layer.name: layer.before or layer.name if study.before_relu else layer.name for layer in layers}
    collected = stream(nets, list_batches(data, progress), list(names.values()), {"gram": Grams.kind(pairs)})
    parts = [
        _rows(layer.name, collected[names[layer.name]]["gram"], pairs, members).assign(**layer_columns(layer))
        for layer in tqdm(layers, desc="matching layers", disable=not progress)
    ]
    tables = {"critical": described(study, pd.concat(parts, ignore_index=True))}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    tables["networks"] = pd.DataFrame([network_row(sidecar) for sidecar in sidecars])
    return Computed(tables, origin_of(data, sidecars, nets))


def checkpoints(study: Study) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(seed, epoch) of all checkpoints, and the pairs to compare: each training's end with its earlier epochs.

    A pair holds two positions in the list of checkpoints. Raises `BadInput` if no seed kept an earlier epoch.
    """
    last = study.runs[0].recipe.epochs
    groups = {seed: earlier_epochs(run) for seed, run in zip(study.seeds, study.runs, strict=True)}
    members = list(chain.from_iterable(_with_end(seed, last, epochs) for seed, epochs in groups.items()))
    if not members:
        raise BadInput(f"{study.id} kept no epoch before epoch {last}: expected one at least, of any seed")
    pairs = [(members.index((seed, last)), k) for k, (seed, epoch) in enumerate(members) if epoch != last]
    return members, pairs


def _with_end(seed: int, last: int, epochs: list[int]) -> Iterable[tuple[int, int]]:
    return [(seed, epoch) for epoch in (last, *epochs)] if epochs else []


def _rows(layer: str, gram: GramBlocks, pairs: list[tuple[int, int]], members: list[tuple[int, int]]) -> pd.DataFrame:
    parts = []
    for a, b in pairs:
        both = gram.networks([a, b])
        check_sound(layer, both.pair(0, 1))
        parts.append(critical_rows(both, 0, 1).assign(**pair_columns(members[a], members[b])))
    return pd.concat(parts, ignore_index=True)


def pair_columns(first: tuple[int, int], second: tuple[int, int]) -> dict[str, Any]:
    """The columns of a table that name two checkpoints, each given as (seed, epoch)."""
    return {"seed_a": first[0], "epoch_a": first[1], "seed_b": second[0], "epoch_b": second[1]}


KIND = Kind("ceiling", "one training at its end and a few epochs before, every layer matched", compute)
PART = Kind("ceiling-layers", "some layers of a study of the ceiling", ceiling_of_layers)
