"""Do networks from several seeds learn the same representation? Every layer of every pair of them, matched.

This is the kind "seeds". Its tables are:

- "critical": one row per neuron with its critical ε;
- "similarity": one row per pair of networks, layer and ε;
- "layers": one row per network and layer with controls;
- "networks": one row per network;
- "sampled": the similarity by the paper's draws of samples, if the study asks for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from ..errors import BadInput
from ..matching.diagnostics import diagnose
from ..networks import architectures, datasets
from ..networks.accumulators import Grams, Sampling
from ..networks.activations import CompressedLayer, captured, collect, stream
from ..networks.architectures import Layer
from ..networks.order import forward
from ..subspaces import Pair
from . import parallel, store
from .store import Computed, Kind, Result
from .study import Study, chosen_layers, networks_at, test_images
from .tables import EPSILONS, control_rows, critical_rows, described, layer_columns, pieces_by_name, similarity_table

GRAM_CHANNELS = 128  # layers up to this many neurons per network are recorded compressed, for readers to match
WIDE_CHANNELS = 64  # of layers with more neurons two networks are kept, of others three: files grow with the square


def run(study: Study, recompute: bool = False, progress: bool = True) -> Result:
    """The record of these parameters if there is one, else the cached result, else a new result, which is cached.

    A record with more seeds or layers is enough for fewer. `recompute` ignores the record and the cache.
    """
    return store.find_or_compute(KIND, study, recompute=recompute, progress=progress)


def compute(study: Study, progress: bool = True) -> Computed:
    """Train what is not trained, collect all layers in one pass, and match every pair of networks.

    If all Gram matrices together would be too large, or if there are several workers (`parallel.workers`), the networks
    are taken in blocks. Each block and each pair of blocks is then a task of its own, which leaves its tables in the
    cache.
    """
    parallel.train_all([(run, study.epoch) for run in study.runs], progress)
    parts = parallel.blocks(study.seeds, neurons_of(study), 1 + Sampling().draws * study.sampled)
    if len(parts) == 1:
        return compute_block(study, progress=progress)
    tasks = [(replace(study, seeds=seeds), {"first": first}) for seeds, first in parallel.pairs_of_blocks(parts)]
    return joined(study, parallel.task_results(PART, tasks, "blocks of networks", progress))


def compute_block(study: Study, first: int = 0, progress: bool = True) -> Computed:
    """Collect and match every pair of the study's networks; with `first` = k only the first k with the others."""
    data = test_images(study)
    nets, sidecars = networks_at({f"seed {run.seed}": (run, study.epoch) for run in study.runs}, data, progress)
    layers, keep = chosen_layers(nets[0], study.layers), chosen_layers(nets[0], study.keep)
    names = names_at(study, layers)
    pairs = pairs_across(len(nets), first)
    compressed = collected(study, nets, data, names, pairs if first else None, progress)
    by_layer = {layer.name: compressed[name] for layer, name in zip(layers, names, strict=True)}
    tables = match_all(study, layers, by_layer, pairs, progress)
    if first:
        return Computed(tables, store.origin_of(data, sidecars, nets))
    tables["layers"] = controls(study, layers, by_layer)
    tables["networks"] = pd.DataFrame([network_row(sidecar) for sidecar in sidecars])
    grams = {
        layer.name: by_layer[layer.name].gram
        for layer in layers
        if layer in keep or max(by_layer[layer.name].gram.sizes) <= GRAM_CHANNELS
    }
    return Computed(tables, store.origin_of(data, sidecars, nets), dict.fromkeys(grams, study.seeds), grams)


def names_at(study: Study, layers: Sequence[Layer]) -> list[str]:
    """The modules whose outputs are the layers, after or before the ReLU as the study says."""
    return [layer.before or layer.name if study.before_relu else layer.name for layer in layers]


def neurons_of(study: Study) -> list[int]:
    """How many neurons each layer of one of the study's networks has."""
    data = test_images(study)
    size, channels = data.images.shape[1], data.images.shape[3]
    network = architectures.build(study.network, study.width, len(data.classes), channels, size)
    names = names_at(study, chosen_layers(network, study.layers))
    with captured(network, names) as outputs:
        forward(network, next(iter(datasets.batches(data, 2))))
    return [outputs[name].shape[1] for name in names]


def pairs_across(networks: int, first: int) -> list[tuple[int, int]]:
    """All pairs of networks; with `first` = k only pairs of one of the first k and one of the others."""
    return list(product(range(first), range(first, networks)) if first else combinations(range(networks), 2))


def collected(
    study: Study,
    nets: Sequence[nn.Module],
    data: datasets.Dataset,
    names: Sequence[str],
    pairs: Sequence[tuple[int, int]] | None,
    progress: bool,
) -> dict[str, CompressedLayer]:
    """The compressed layers, by name: each has the joint Gram matrix of all networks.

    With `pairs`, and without the paper's draws, each has only the products that these pairs need.
    """
    batches = list_batches(data, progress)
    if study.sampled or pairs is None:
        return collect(nets, batches, names, len(data.images), Sampling() if study.sampled else None)
    streamed = stream(nets, batches, names, {"gram": Grams.kind(pairs)})
    return {name: CompressedLayer(**each) for name, each in streamed.items()}


def list_batches(data: datasets.Dataset, progress: bool, size: int = 25) -> Iterable[torch.Tensor]:
    """The images in batches, with a progress bar."""
    total = -(-len(data.images) // size)
    return tqdm(datasets.batches(data, size), total=total, desc="one pass over the images", disable=not progress)


def match_all(
    study: Study,
    layers: Sequence[Layer],
    compressed: dict[str, CompressedLayer],
    pairs: Sequence[tuple[int, int]],
    progress: bool,
) -> dict[str, pd.DataFrame]:
    """The tables "critical" and "similarity" for every layer and pair of seeds, and "sampled" for the paper's draws."""
    critical, sampled = [], []
    for layer in tqdm(layers, desc="matching layers", disable=not progress):
        base = layer_columns(layer)
        for a, b in pairs:
            row = base | {"seed_a": study.seeds[a], "seed_b": study.seeds[b]}
            both = compressed[layer.name].gram.networks([a, b])
            check_sound(layer.name, both.pair(0, 1))
            critical.append(critical_rows(both, 0, 1).assign(**row))
            sampled += [
                similarity_table(critical_rows(gram, a, b).assign(**row), EPSILONS).assign(draw=draw)
                for draw, gram in enumerate(compressed[layer.name].draws)
            ]
    tables = {"critical": described(study, pd.concat(critical, ignore_index=True))}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    if sampled:
        tables["sampled"] = described(study, pd.concat(sampled, ignore_index=True))
    return tables


def controls(study: Study, layers: Sequence[Layer], compressed: dict[str, CompressedLayer]) -> pd.DataFrame:
    """One row per layer and network, with the columns of `control_rows`."""
    rows = [control_rows(compressed[layer.name].gram, study.seeds).assign(**layer_columns(layer)) for layer in layers]
    return described(study, pd.concat(rows, ignore_index=True))


def joined(study: Study, results: Sequence[Result]) -> Computed:
    """The tables of all blocks and pairs of blocks, ordered as one task would: layer by layer, pair by pair.

    The compressed layers are those of the first block.
    """
    parts = pieces_by_name(result.tables for result in results)
    layers = list(parts["critical"][0]["layer"].unique())
    tables = {name: by_layer_and_seed(pd.concat(pieces), study.seeds, layers) for name, pieces in parts.items()}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    alone = [result for result in results if "networks" in result.tables]
    known = store.origin_of_result(results[0])
    known["checkpoints"] = [each for result in alone for each in result.provenance["checkpoints"]]
    known["train_seconds"] = round(sum(result.provenance["train_seconds"] for result in alone), 1)
    first = alone[0]
    return Computed(tables, known, dict(first.held), {layer: first.gram(layer) for layer in first.gram_layers})


def by_layer_and_seed(table: pd.DataFrame, seeds: Sequence[int], layers: Sequence[str]) -> pd.DataFrame:
    """The rows ordered by layer and by seeds, as the study lists them. The rows of one pair keep their order."""
    ranks = [table["layer"].map(layers.index)] if "layer" in table else []
    ranks += [table[name].map(list(seeds).index) for name in ("seed_a", "seed_b", "seed") if name in table]
    return table.iloc[np.lexsort(ranks[::-1])].reset_index(drop=True)


def check_sound(layer: str, pair: Pair) -> None:
    """Raise `BadInput`, with the layer's name, for a pair that no table should be made of (`Diagnosis.refusals`)."""
    for reason in diagnose(pair).refusals[:1]:
        raise BadInput(f"layer {layer}: {reason}")


def network_row(sidecar: dict[str, Any]) -> dict[str, Any]:
    """The row of a checkpoint in the table "networks"."""
    wanted = ("network", "dataset", "width", "seed", "epoch", "accuracy", "train_seconds", "device", "precision")
    recipe = sidecar["recipe"]
    return {key: sidecar[key] for key in wanted} | {"recipe": recipe["name"], "epochs": recipe["epochs"]}


def gram_networks(study: Study, neurons: int) -> int:
    """How many networks' activations of a layer a record keeps: three, or two if the layer is wide or untrained.

    It keeps none if the layer is both.
    """
    wide, untrained = neurons > WIDE_CHANNELS, study.epoch == 0
    return 0 if wide and untrained else 2 if wide or untrained else 3


def thin(result: Result) -> Result:
    """The result with only as many networks per Gram matrix as a record keeps: the study's first seeds."""
    held, grams = {}, {}
    for layer in result.gram_layers:
        gram = result.gram(layer)
        if number := gram_networks(result.study, max(gram.sizes)):
            held[layer] = result.gram_seeds(layer)[:number]
            grams[layer] = gram.networks(range(len(held[layer])))
    return replace(result, held=held, grams=grams, folder=None)


KIND = Kind("seeds", "several seeds of one network, every layer of every pair matched", compute, prefix="", thin=thin)
PART = Kind("seeds-block", "a block of a study's networks, or two of them", compute_block, defaults={"first": 0})
