"""Do networks from several seeds learn the same? Every layer of every pair of them, matched: the kind "seeds".

Tables: "critical", one row per neuron with the smallest ε at which it matches; "similarity", one row per pair of
networks, layer and ε; "layers", one row per network and layer with controls; "networks", one row per network; and
"sampled", the similarity by the paper's draws of samples, where the study asks for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from ..errors import BadInput
from ..matching.diagnostics import diagnose
from ..networks import datasets
from ..networks.accumulators import Sampling
from ..networks.activations import Compressed, collect
from ..networks.architectures import Layer
from ..networks.checkpoints import check_different
from ..subspaces import Pair
from . import store
from .store import Computed, Kind, Result
from .study import Study, chosen_layers, network_at, test_images
from .tables import EPSILONS, control_rows, critical_rows, described, layer_columns, similarity_table

GRAM_CHANNELS = 128  # layers up to this many neurons a network are recorded compressed, for readers to match
WIDE_CHANNELS = 64  # of layers above it two networks are kept, of narrower ones three: files grow with the square


def run(study: Study, recompute: bool = False, progress: bool = True) -> Result:
    """The record if there is one for these parameters, else the cached result, else computed now and cached.

    A record with more seeds or layers answers for fewer. `recompute` ignores both and computes.
    """
    return store.answer(KIND, study, recompute=recompute, progress=progress)


def compute(study: Study, progress: bool = True) -> Computed:
    """Train what is not trained, collect all layers in one pass, match every pair."""
    data = test_images(study)
    loaded = [network_at(run, study.epoch, data, progress) for run in study.runs]
    nets, sidecars = [network for network, _ in loaded], [sidecar for _, sidecar in loaded]
    check_different({f"seed {sidecar['seed']}": network for network, sidecar in loaded})
    layers, keep = chosen_layers(nets[0], study.layers), chosen_layers(nets[0], study.keep)
    names = [layer.before or layer.name if study.before_relu else layer.name for layer in layers]
    sampling = Sampling() if study.sampled else None
    compressed = collect(nets, list_batches(data, progress), names, len(data.images), sampling)
    found = {layer.name: compressed[name] for layer, name in zip(layers, names, strict=True)}
    tables = match_all(study, layers, found, progress)
    tables["networks"] = pd.DataFrame([network_row(sidecar) for sidecar in sidecars])
    grams = {
        layer.name: found[layer.name].gram
        for layer in layers
        if layer in keep or max(found[layer.name].gram.sizes) <= GRAM_CHANNELS
    }
    return Computed(tables, store.behind(data, sidecars, nets), dict.fromkeys(grams, study.seeds), grams)


def list_batches(data: datasets.Dataset, progress: bool, size: int = 25) -> Iterable[torch.Tensor]:
    """The images in batches, with a bar."""
    total = -(-len(data.images) // size)
    return tqdm(datasets.batches(data, size), total=total, desc="one pass over the images", disable=not progress)


def match_all(
    study: Study, layers: Sequence[Layer], found: dict[str, Compressed], progress: bool
) -> dict[str, pd.DataFrame]:
    """Critical ε of every neuron for every pair of seeds and layer; with the paper's draws beside it."""
    pairs = list(combinations(range(len(study.seeds)), 2))
    critical, sampled, controls = [], [], []
    for layer in tqdm(layers, desc="matching layers", disable=not progress):
        base = layer_columns(layer)
        for a, b in pairs:
            row = base | {"seed_a": study.seeds[a], "seed_b": study.seeds[b]}
            pair = found[layer.name].gram.pair(a, b)
            check_sound(layer.name, pair)
            critical.append(critical_rows(found[layer.name].gram, a, b).assign(**row))
            sampled += [
                similarity_table(critical_rows(gram, a, b).assign(**row), EPSILONS).assign(draw=draw)
                for draw, gram in enumerate(found[layer.name].draws)
            ]
        controls.append(control_rows(found[layer.name].gram, study.seeds).assign(**base))
    tables = {"critical": described(study, pd.concat(critical, ignore_index=True))}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    tables["layers"] = described(study, pd.concat(controls, ignore_index=True))
    if sampled:
        tables["sampled"] = described(study, pd.concat(sampled, ignore_index=True))
    return tables


def check_sound(layer: str, pair: Pair) -> None:
    """BadInput, with the layer's name, for a pair that no table should be made of: `Diagnosis.refusals`."""
    for reason in diagnose(pair).refusals[:1]:
        raise BadInput(f"layer {layer}: {reason}")


def network_row(sidecar: dict[str, Any]) -> dict[str, Any]:
    """What the table "networks" says of a checkpoint."""
    wanted = ("network", "dataset", "width", "seed", "epoch", "accuracy", "train_seconds", "device", "precision")
    recipe = sidecar["recipe"]
    return {key: sidecar[key] for key in wanted} | {"recipe": recipe["name"], "epochs": recipe["epochs"]}


def gram_networks(study: Study, neurons: int) -> int:
    """How many networks' activations of a layer a record keeps: a pair of wide or untrained ones, else three.

    None of layers that are both.
    """
    wide, untrained = neurons > WIDE_CHANNELS, study.epoch == 0
    return 0 if wide and untrained else 2 if wide or untrained else 3


def thin(result: Result) -> Result:
    """The result with as many networks per Gram matrix as a record keeps: the study's first seeds."""
    held, grams = {}, {}
    for layer in result.kept:
        gram = result.gram(layer)
        if number := gram_networks(result.study, max(gram.sizes)):
            held[layer] = result.gram_seeds(layer)[:number]
            grams[layer] = gram.networks(range(len(held[layer])))
    return replace(result, held=held, grams=grams, folder=None)


KIND = Kind("seeds", "several seeds of one network, every layer of every pair matched", compute, prefix="", thin=thin)
