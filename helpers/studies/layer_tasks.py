"""Studies whose layers do not depend on one another: where there are several workers, groups of layers are tasks.

Each task makes its own pass over the images and matches its own layers. The tables are then put together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from ..networks import architectures
from ..networks.architectures import Layer
from . import parallel
from .store import Computed, Kind, Result, origin_of_result
from .study import Study, chosen_layers, test_images
from .tables import EPSILONS, pieces_by_name, similarity_table


def layer_names(study: Study) -> list[str]:
    """The names of the study's layers from the input on. Raises `BadInput` for a layer that the network lacks."""
    return [layer.name for layer in study_layers(study)]


def study_layers(study: Study) -> list[Layer]:
    """The study's layers from the input on, read off a fresh network. Raises `BadInput` for one that it lacks."""
    data = test_images(study)
    size, channels = data.images.shape[1], data.images.shape[3]
    network = architectures.build(study.network, study.width, len(data.classes), channels, size)
    return chosen_layers(network, study.layers)


def by_layers(kind: Kind, study: Study, layers: Sequence[str], settings: Mapping[str, Any], progress: bool) -> Computed:
    """The tables of a study, from a task for each group of its layers. With one worker it is computed here.

    A task leaves its tables in the cache. Layers near the output have more neurons and take longer, so that neighbours
    go into different groups.
    """
    number = min(parallel.wanted_tasks(), len(layers))
    if number == 1:
        assert kind.compute is not None
        return kind.compute(study, progress=progress, **settings)
    tasks = [(replace(study, layers=tuple(layers[k::number])), settings) for k in range(number)]
    return joined_by_layer(parallel.task_results(kind, tasks, "groups of layers", progress), layers)


def joined_by_layer(results: Sequence[Result], layers: Sequence[str]) -> Computed:
    """The results as one, with the rows of each table ordered by layer. A table without layers is equal in all."""
    parts = pieces_by_name(result.tables for result in results)
    tables = {name: ordered_by_layer(pieces, layers) for name, pieces in parts.items()}
    if {"critical", "similarity"} <= set(tables):
        tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    return Computed(tables, origin_of_result(results[0]))


def ordered_by_layer(parts: Sequence[pd.DataFrame], layers: Sequence[str]) -> pd.DataFrame:
    """The rows of all parts, ordered by layer; rows of one layer keep their order."""
    if "layer" not in parts[0]:
        return parts[0]
    whole = pd.concat(parts, ignore_index=True)
    rank = whole["layer"].map({name: k for k, name in enumerate(layers)}).astype(int)
    return whole.iloc[rank.argsort(kind="stable")].reset_index(drop=True)
