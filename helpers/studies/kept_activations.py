"""Activations of a few thousand images, kept unchanged for permutations and for measures of single images.

One forward pass serves several kinds of study. A convolutional layer is kept twice: averaged over all positions, and
at up to 9 positions on an even grid. Layers with many positions are kept for fewer images.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import BadInput
from ..measures.compared import Sampled
from ..networks import datasets, training
from ..networks.activations import captured
from ..networks.architectures import Layer
from ..networks.checkpoints import check_different, read_tensors, weights_digest
from ..networks.order import forward
from .parallel import each, train_all
from .records import cache_root
from .store import origin_of
from .study import Study, after, chosen_layers, network_at, test_images
from .tables import layer_columns

IMAGES = 2000
GRID = 3  # positions are taken on a grid of at most 3 × 3
FEWEST, ENOUGH = 1000, 8000  # a layer is kept for as many images as give ENOUGH samples, but at least FEWEST images
BATCH = 125
TRAINED, EARLIER, UNTRAINED = "trained", "earlier", "untrained"


@dataclass(frozen=True)
class Role:
    """One network of a study: its seed, and which of its states ("trained", "earlier" or "untrained")."""

    what: str
    seed: int


# ---------------------------------------------------------------- one forward pass


def on_grid(output: Tensor) -> Float[Tensor, "images positions neurons"]:
    """A layer's output at all positions of a grid of at most 3 × 3. An output (images, units) has one position."""
    if output.ndim == 2:
        return output[:, None]
    steps = [-(-side // GRID) for side in output.shape[2:]]
    return output[:, :, :: steps[0], :: steps[1]].flatten(2).transpose(1, 2)


def averaged(output: Tensor) -> Float[Tensor, "images neurons"]:
    """A layer's output averaged over all its positions."""
    return output if output.ndim == 2 else output.flatten(2).mean(2)


def images_taken(images: int, positions: int) -> int:
    """How many images a layer with this many kept positions uses: for 8000 samples, but at least 1000 images."""
    return min(images, max(FEWEST, ENOUGH // positions))


def write_activations(network: nn.Module, images: Iterable[Tensor], layers: Sequence[str], place: Path) -> None:
    """Run the network once, and write two files per layer.

    LAYER.npy holds (images, positions, neurons), LAYER.mean.npy holds (images, neurons).
    """
    grids: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    means: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    batches = list(images)
    total = sum(map(len, batches))
    done = 0
    with captured(network, layers) as outputs:
        for batch in batches:
            forward(network, batch)
            for layer in layers:
                means[layer].append(averaged(outputs[layer]).float().cpu().numpy())
                part = on_grid(outputs[layer]).float().contiguous().cpu().numpy()
                grids[layer].append(part[: max(0, images_taken(total, part.shape[1]) - done)])
            done += len(batch)
    scratch = place.with_name(f".{place.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for layer in layers:
        np.save(scratch / f"{layer}.npy", np.concatenate(grids[layer]), allow_pickle=False)
        np.save(scratch / f"{layer}.mean.npy", np.concatenate(means[layer]), allow_pickle=False)
    shutil.rmtree(place, ignore_errors=True)
    scratch.rename(place)


# ---------------------------------------------------------------- the networks of a study


@dataclass(frozen=True)
class KeptActivations:
    """The activations of a study's networks: their folders, their layers, and how they were made (`origin`)."""

    layers: tuple[Layer, ...]
    places: dict[Role, Path]
    origin: dict[str, Any]
    seeds: tuple[int, ...]

    @cached_property
    def pairs(self) -> dict[str, list[tuple[Role, Role]]]:
        """The pairs of networks under each condition. Chance permutes the images of the first observed pair."""
        trained = [Role(TRAINED, seed) for seed in self.seeds]
        untrained = [role for role in self.places if role.what == UNTRAINED]
        earlier = [(Role(TRAINED, role.seed), role) for role in self.places if role.what == EARLIER]
        return {
            "observed": list(combinations(trained, 2)),
            "untrained": list(combinations(untrained, 2)),
            "ceiling": earlier,
        }

    def at_positions(self, layer: str, role: Role) -> tuple[Sampled, int]:
        """One network's neurons at the kept positions, and their number.

        The positions of an image are consecutive samples.
        """
        kept = np.load(self.places[role] / f"{layer}.npy", allow_pickle=False)
        images, positions, neurons = kept.shape
        return Sampled.of(kept.reshape(images * positions, neurons).T), positions

    def over_images(self, layer: str, role: Role) -> Sampled:
        """One network's neurons averaged over all positions, with one sample per image."""
        return Sampled.of(np.load(self.places[role] / f"{layer}.mean.npy", allow_pickle=False).T)

    def columns(self, layer: str) -> dict[str, Any]:
        """The columns of a table that describe a layer."""
        return next(layer_columns(known) for known in self.layers if known.name == layer)

    @property
    def key(self) -> list[str]:
        """The names of the folders, which contain the hashes of the weights."""
        return [place.name for place in self.places.values()]


def keep_activations(
    study: Study, images: int, earlier: int | None, untrained: int | None, progress: bool = True
) -> KeptActivations:
    """The activations of all networks of a study on the first test images, computed if they are not kept yet.

    earlier: the epoch of the first seed that gives the ceiling (None: the last but one). untrained: how many untrained
    twins (None: one for each seed). Raises `BadInput` for an epoch that the training does not have.
    """
    last = study.runs[0].recipe.epochs
    earlier = last - 1 if earlier is None else earlier
    if not 0 < earlier < last:
        raise BadInput(f"earlier is {earlier}: expected an epoch from 1 to {last - 1}, before the last")
    data = test_images(replace(study, images=min(images, len(datasets.load_dataset(study.dataset, "test").images))))
    epochs = {Role(TRAINED, seed): last for seed in study.seeds}
    epochs |= {Role(EARLIER, study.seeds[0]): earlier}
    epochs |= {Role(UNTRAINED, seed): 0 for seed in study.seeds[:untrained]}
    runs = dict(zip(study.seeds, study.runs, strict=True))
    train_all([(runs[role.seed], epoch) for role, epoch in epochs.items()], progress)
    network, _ = network_at(runs[study.seeds[0]], last, data, False)
    layers = chosen_layers(network, study.layers)
    tasks = [(runs[role.seed], epoch, data, [layer.name for layer in layers]) for role, epoch in epochs.items()]
    stored = each(_kept_network, tasks, "keeping activations", progress)
    places = dict(zip(epochs, (place for place, _, _ in stored), strict=True))
    sidecars = [known for _, known, _ in stored]
    names = [after(role.seed, epoch) for role, epoch in epochs.items()]
    check_different(dict(zip(names, (weights for _, _, weights in stored), strict=True)))
    return KeptActivations(tuple(layers), places, origin_of(data, sidecars, [network]), study.seeds)


def _kept_network(
    run: training.Run, epoch: int, data: datasets.Dataset, layers: list[str]
) -> tuple[Path, dict[str, Any], str]:
    """Where the activations of one checkpoint lie, its sidecar, and the hash of its weights.

    The network is run only if the activations are not there.
    """
    names = hashlib.sha256(json.dumps(layers).encode()).hexdigest()[:8]
    path, network = run.checkpoint(epoch), None
    if not training.is_whole(path):
        network, _ = network_at(run, epoch, data, False)
    sidecar = training.read_sidecar(path)
    place = cache_root() / "kept" / f"{sidecar['sha256'][:16]}-{len(data.images)}-{names}"
    if not place.exists():
        network = network or network_at(run, epoch, data, False)[0]
        with torch.inference_mode():
            write_activations(network, datasets.batches(data, BATCH), layers, place)
    return place, sidecar, weights_digest(read_tensors(path)[1])
