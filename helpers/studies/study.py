"""The parameters of a study, and what they stand for: its trained networks, its images, its layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from ..errors import BadInput, unknown
from ..networks import architectures, datasets, training
from ..networks.activations import calibrate
from ..networks.architectures import Layer
from ..networks.checkpoints import check_different, weights_digest
from ..networks.devices import chosen_device
from ..parameters import check_flag, check_names, check_seeds, check_whole

EARLIER = (1, 2)  # so many epochs before the end of a training


@dataclass(frozen=True)
class Study:
    """What to compare.

    `epoch`: None is the recipe's last; 0 gives untrained networks, with batch-norm statistics from the test images.
    `images`: None is the whole test set. `layers`: None is all of them. `before_relu` takes each layer before its
    ReLU. `keep` names layers that are kept compressed although they have more neurons than is usual. Raises `BadInput`
    for values that are not possible.
    """

    dataset: str = "digits"
    network: str = "vgg11_bn"
    width: float = 0.125
    seeds: tuple[int, ...] = (0, 1)
    recipe: str = "digits"
    epochs: int | None = None
    epoch: int | None = None
    images: int | None = None
    layers: tuple[str, ...] | None = None
    before_relu: bool = False
    sampled: bool = False
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked: dict[str, Any] = {
            "seeds": check_seeds(self.seeds),
            "keep": check_names("keep", self.keep) if self.keep else (),
        }
        checked["layers"] = None if self.layers is None else check_names("layers", self.layers)
        checked["images"] = None if self.images is None else check_whole("images", self.images, 1)
        checked |= {name: check_flag(name, getattr(self, name)) for name in ("before_relu", "sampled")}
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        first = self.runs[0]  # checks the rest
        object.__setattr__(self, "width", first.width)
        if self.epoch is not None:
            check_whole("epoch", self.epoch, 0, first.recipe.epochs)

    @property
    def runs(self) -> list[training.Run]:
        """One training per seed."""
        return [
            training.plan(self.network, self.dataset, self.width, seed, self.recipe, self.epochs) for seed in self.seeds
        ]

    @property
    def id(self) -> str:
        """The name of the study's folder: everything but the seeds."""
        recipe = self.runs[0].recipe
        parts = [self.dataset, self.network, f"w{self.width:g}", f"{recipe.name}{recipe.epochs}"]
        parts += [f"epoch{self.epoch}"] if self.epoch is not None else []
        parts += [f"{self.images}images"] if self.images else []
        parts += ["before-relu"] if self.before_relu else []
        return "-".join(parts)


def test_images(study: Study) -> datasets.Dataset:
    """The first images of the test set, as many as the study asks for; all if it asks for None.

    Raises `BadInput` if it asks for more than there are.
    """
    data = datasets.load_dataset(study.dataset, "test")
    if study.images is None:
        return data
    if study.images > len(data.images):
        raise BadInput(f"images is {study.images}: {study.dataset} has {len(data.images)} test images")
    return replace(data, images=data.images[: study.images], labels=data.labels[: study.images])


def network_at(
    run: training.Run, epoch: int | None, data: datasets.Dataset, progress: bool = True
) -> tuple[nn.Module, dict[str, Any]]:
    """A run's network after an epoch (None: the last), with its sidecar. It is trained now if it was not yet.

    It lies on the device that $SAMEREP_DEVICE names, by default the CPU. At epoch 0 nothing is trained, and the
    batch-norm statistics are measured on the images of `data`.
    """
    epoch = run.recipe.epochs if epoch is None else epoch
    path = run.checkpoint(epoch)
    if not training.is_whole(path):
        training.train(run, progress=progress) if epoch else training.start(run)
    network, sidecar = training.load_checkpoint(path)
    network = network.to(chosen_device())
    return (calibrate(network, datasets.batches(data)) if epoch == 0 else network), sidecar


def after(seed: int, epoch: int) -> str:
    """The name of a network in a message: its seed and its epoch."""
    return f"seed {seed} after epoch {epoch}"


def networks_at(
    members: Mapping[str, tuple[training.Run, int | None]], data: datasets.Dataset, progress: bool = True
) -> tuple[list[nn.Module], list[dict[str, Any]]]:
    """The networks of a study, each a run after an epoch as in `network_at`, and their sidecars.

    Raises `BadInput`, with both names, if two of them have equal weights.
    """
    loaded = [network_at(run, epoch, data, progress) for run, epoch in members.values()]
    networks = [network for network, _ in loaded]
    check_different({name: weights_digest(net.state_dict()) for name, net in zip(members, networks, strict=True)})
    return networks, [sidecar for _, sidecar in loaded]


def chosen_layers(network: nn.Module, wanted: Sequence[str] | None) -> list[Layer]:
    """All layers of the network, or the named ones. Raises `BadInput` for a wrong name, with the valid ones."""
    known = {layer.name: layer for layer in architectures.layers(network)}
    for name in wanted or ():
        if name not in known:
            raise unknown("layer", name, known)
    return [layer for name, layer in known.items() if wanted is None or name in wanted]


def earlier_epochs(run: training.Run) -> list[int]:
    """Epochs with which to compare the end of a training: those of `EARLIER` that are kept or will be trained.

    If a training kept none of them, the latest epoch that it did keep; none if it kept only its end.
    """
    last = run.recipe.epochs
    wanted = [last - gap for gap in EARLIER if last - gap > 0]
    if not training.is_whole(run.checkpoint(last)):
        return wanted
    kept = [epoch for epoch in range(last - 1, 0, -1) if run.checkpoint(epoch).exists()]
    return [epoch for epoch in wanted if epoch in kept] or kept[:1]
