"""Activations of a few thousand images, kept unchanged for permutations and for measures of single images.

One forward pass serves several kinds of study. A convolutional layer is kept twice: averaged over all positions, and
at up to 9 positions on an even grid. Layers with many positions are kept for fewer images.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
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
from ..files import atomic_folder, sha256, sweep
from ..measures.compared import Sampled
from ..networks import datasets, training
from ..networks.activations import captured
from ..networks.architectures import Layer
from ..networks.checkpoints import check_different, read_tensors, weights_digest
from ..networks.order import forward
from ..schemas import Written, read_json
from .parallel import each, train_all
from .records import cache_root
from .store import origin_of
from .study import Study, after, chosen_layers, network_at, test_images
from .tables import layer_columns

IMAGES = 2000
GRID = 3  # positions are taken on a grid of at most 3 × 3
FEWEST, ENOUGH = 1000, 8000  # a layer is kept for as many images as give ENOUGH samples, but at least FEWEST images
BATCH = 125
HASHES = "hashes.json"
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
    parts = {f"{layer}.npy": grids[layer] for layer in layers} | {f"{layer}.mean.npy": means[layer] for layer in layers}
    keep_arrays(place, {name: np.concatenate(arrays) for name, arrays in parts.items()})


def keep_arrays(place: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by the names of their files into a new folder, with the hashes of the files."""
    with atomic_folder(place) as scratch:
        for name, array in arrays.items():
            np.save(scratch / name, array, allow_pickle=False)
        hashes = {path.name: [sha256(path)] for path in sorted(scratch.glob("*.npy"))}
        (scratch / HASHES).write_text(json.dumps(hashes, indent=1), encoding="utf-8")


def read_activations(place: Path, name: str) -> np.ndarray:
    """One file that `keep_arrays` wrote. Raises `BadInput` if it is not what was written."""
    mend = f"delete {place} and run again"
    written = read_json(place / HASHES, Written, mend).root
    path = place / name
    if not path.exists() or sha256(path) not in written.get(name, []):
        raise BadInput(f"{path} is missing or damaged: {mend}")
    return np.load(path, allow_pickle=False)


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
        kept = read_activations(self.places[role], f"{layer}.npy")
        images, positions, neurons = kept.shape
        return Sampled.of(kept.reshape(images * positions, neurons).T), positions

    def over_images(self, layer: str, role: Role) -> Sampled:
        """One network's neurons averaged over all positions, with one sample per image."""
        return Sampled.of(read_activations(self.places[role], f"{layer}.mean.npy").T)

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
    sweep(cache_root() / "kept")
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
    if not (place / HASHES).exists():  # versions that kept no hashes are computed anew
        network = network or network_at(run, epoch, data, False)[0]
        with torch.inference_mode():
            write_activations(network, datasets.batches(data, BATCH), layers, place)
    return place, sidecar, weights_digest(read_tensors(path)[1])
