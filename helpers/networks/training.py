"""Train a network by a recipe, epoch by epoch. A training can be resumed after every epoch.

All epochs are kept, from the untrained network (epoch 0) to the last, because the book compares them. `checkpoints`
says how they are written and read.
"""

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from ..errors import BadInput
from ..files import sweep
from ..parameters import check_choice, check_epochs, check_seed, check_whole, check_width
from ..processes import held
from . import architectures, datasets, targets
from .augmentation import crop, random_stream
from .checkpoints import is_whole, load_checkpoint, read_sidecar, resumable, run_folder, save, save_momentum
from .devices import THREADS, as_device, chosen_device, on_threads, pays_bf16

ORDER, AUGMENTATION, ROTATION = 1, 2, 3  # streams of random numbers, so that each can be fixed while the other varies


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. Rates are per step of SGD on the mean loss of a batch.

    With `milestones` (fractions of the training) the rate starts at `peak_rate` and is divided by 10 at each
    milestone. Without them it rises linearly over the first `warmup` fraction and then falls linearly to 0. Networks
    without batch norm train at half the rate. Images are padded by `pad` black pixels, cropped at random, and mirrored
    if `flip`. `images` None trains on the whole training split, a number on so many first images.
    """

    name: str
    epochs: int
    peak_rate: float = 0.1
    milestones: tuple[float, ...] = ()
    warmup: float = 0.25
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    batch: int = 128
    pad: int = 4
    flip: bool = True
    initialisation: str = "kaiming"
    images: int | None = None

    def rate(self, progress: float) -> float:
        """The learning rate when the fraction `progress` of all steps is done."""
        if self.milestones:
            return self.peak_rate * 0.1 ** sum(progress >= m for m in self.milestones)
        rising = progress / self.warmup if self.warmup else 1.0
        return self.peak_rate * min(rising, (1 - progress) / (1 - self.warmup))


RECIPES = {
    "paper": Recipe("paper", epochs=160, milestones=(80 / 160, 120 / 160), nesterov=False, initialisation="authors"),
    "short": Recipe("short", epochs=10),
    "digits": Recipe("digits", epochs=8, batch=64, pad=2, flip=False),
    # A quarter of "short", for many networks on few cores.
    "quarter": Recipe("quarter", epochs=10, images=12_500),
    # As many steps as "quarter", on a fifth of its images and without augmentation: labels can be learnt by heart.
    "memorise": Recipe("memorise", epochs=50, pad=0, flip=False, images=2500),
}


@dataclass(frozen=True)
class Run:
    """One training: what is trained on what, how, and from which seeds.

    `seed` fixes the initialisation; order and augmentation follow it unless they get seeds of their own.
    `target` is what the network learns to say about an image (see `targets`). With `fork_after` k > 0 the run is a
    fork. Its trunk is the run of this seed without an order of its own. The fork starts from the weights of the trunk
    after epoch k, and continues the schedule from there with its own order and augmentation. Its momentum starts at
    zero, because the momentum of the trunk is not kept; with momentum 0.9 this matters for about ten steps.
    """

    network: str
    dataset: str
    width: float
    seed: int
    recipe: Recipe
    order_seed: int
    augment_seed: int
    target: str = "labels"
    fork_after: int = 0

    @property
    def trunk(self) -> "Run":
        """The run from which a fork starts: this seed, in its own order, from the start."""
        return replace(self, order_seed=self.seed, augment_seed=self.seed, fork_after=0)

    @property
    def folder(self) -> Path:
        """The folder of its checkpoints, under $SAMEREP_RUNS or `runs/`."""
        return run_folder(asdict(self))

    def checkpoint(self, epoch: int) -> Path:
        """The file of the weights after `epoch` epochs. Before the fork it is the trunk's file."""
        place = self.folder if epoch >= self.fork_after else self.trunk.folder
        return place / f"epoch-{epoch:03d}.safetensors"


def plan(
    network: str,
    dataset: str,
    width: float = 1.0,
    seed: int = 0,
    recipe: str = "short",
    epochs: int | None = None,
    order_seed: int | None = None,
    augment_seed: int | None = None,
    target: str = "labels",
    fork_after: int = 0,
) -> Run:
    """The run that these parameters describe. Raises `BadInput` for unknown names and for numbers out of range."""
    architectures.family_named(network)
    check_choice("dataset", dataset, datasets.NAMES)
    check_choice("target", target, targets.TARGETS)
    chosen = RECIPES[check_choice("recipe", recipe, RECIPES)]
    if epochs is not None:
        chosen = replace(chosen, epochs=check_epochs(epochs))
    fork_after = check_whole("fork_after", fork_after, 0, chosen.epochs - 1)
    seed = check_seed(seed)
    order_seed = seed if order_seed is None else check_seed(order_seed, "order_seed")
    augment_seed = seed if augment_seed is None else check_seed(augment_seed, "augment_seed")
    return Run(network, dataset, check_width(width), seed, chosen, order_seed, augment_seed, target, fork_after)


def train(run: Run, device: str | None = None, progress: bool = True) -> Path:
    """Train to the last epoch, from the last whole checkpoint, and return the final checkpoint.

    A training that is interrupted at any moment and started again ends with the weights that it has without the
    interruption. Raises `BadInput` for an unknown device, if the loss is no longer finite, and if another recipe of
    this name was trained in the run's folder.

    It uses one thread, however many the process has. So the weights do not depend on how the training was started.
    """
    place = as_device(device) if device else chosen_device("auto")
    if is_trained(run):  # read-only checkpoints need no lock
        return run.checkpoint(run.recipe.epochs)
    with held(run.folder, "training in", wait=True):  # another process may be about to end the same training
        sweep(run.folder)
        if is_trained(run):
            return run.checkpoint(run.recipe.epochs)
        with on_threads():
            return Training(run, place).finish(progress)


def is_trained(run: Run) -> bool:
    """Whether the run's last checkpoint exists and is whole. Raises `BadInput` if it was trained in another way."""
    final = run.checkpoint(run.recipe.epochs)
    if not is_whole(final):
        return False
    check_made_by(run, read_sidecar(final))
    return True


def start(run: Run) -> Path:
    """The checkpoint of the untrained network, epoch 0.

    It is written if it is not there and whole; nothing is trained.
    """
    run = run.trunk if run.fork_after else run
    path, data = run.checkpoint(0), _training_set(run)
    if not is_whole(path):
        network = _fresh(run, data)
        with on_threads():
            measured = accuracy(network, _accuracy_set(run))
        record = {"epoch": 0, "accuracy": measured, "loss": None, "train_seconds": 0.0}
        save(network, path, record | describe(run, data, torch.device("cpu")))
    return path


def check_made_by(run: Run, sidecar: dict[str, Any]) -> None:
    """Raise `BadInput` if a checkpoint in the run's folder was trained in another way than the run says."""
    wanted = json.loads(json.dumps(asdict(run)))  # tuples as the lists they are in a file
    made, asked = sidecar["recipe"] | {"width": sidecar["width"]}, wanted["recipe"] | {"width": wanted["width"]}
    for name, value in asked.items():
        if made.get(name) != value:
            raise BadInput(
                f"{name} is {value}: {run.folder} was trained with {made.get(name)}; give the recipe a new name"
            )


def describe(run: Run, data: datasets.Dataset, device: torch.device, threads: int = THREADS) -> dict[str, Any]:
    """The content of a sidecar besides its epoch: the run, the data, and the device."""
    return asdict(run) | {
        "classes": len(data.classes),
        "channels": data.images.shape[3],
        "image_size": data.images.shape[1],
        "data_sha256": data.sha256,
        "device": device.type,
        "precision": "bf16" if pays_bf16(device) else "fp32",
        "threads": threads,
        "torch": torch.__version__,
    }


class Training:
    """The changing parts of a run: network, momentum, padded images, and the epoch that they have reached."""

    def __init__(self, run: Run, device: torch.device) -> None:
        self.run, self.device = run, device
        self.data, self.test = _training_set(run), _accuracy_set(run)
        pad = run.recipe.pad
        padded = np.pad(self.data.images, ((0, 0), (pad, pad), (pad, pad), (0, 0)))  # black: before normalisation
        self.images, self.labels = torch.from_numpy(padded).to(device), torch.from_numpy(self.data.labels).to(device)
        self.network = _fresh(run, self.data).to(device).to(memory_format=torch.channels_last)
        self.bf16 = pays_bf16(device)
        self.optimiser = _optimiser(self.network, run.recipe)
        self.seconds, self.threads = 0.0, THREADS
        self.epoch = self._resume() or self._start()

    def _start(self) -> int:
        """Keep the start of the training: the untrained network or, for a fork, its trunk's network at the fork."""
        epoch = self.run.fork_after
        if epoch:
            train(self.run.trunk, self.device.type, progress=False)
            self.network.load_state_dict(load_checkpoint(self.run.trunk.checkpoint(epoch))[0].state_dict())
        self.keep(epoch, loss=None)
        return epoch

    def _resume(self) -> int:
        """Load the last epoch whose momentum and weights are whole; 0 if there is none."""
        last = resumable(self.run.folder, [name for name, _ in self.network.named_parameters()])
        if last is None:
            return 0
        network, sidecar, momentum = last
        check_made_by(self.run, sidecar)
        self.threads = sidecar["threads"] or self.threads
        self.network.load_state_dict(network.state_dict())
        for name, parameter in self.network.named_parameters():
            if name in momentum:
                self.optimiser.state[parameter]["momentum_buffer"] = momentum[name].to(parameter)
        self.seconds = sidecar["train_seconds"]
        return sidecar["epoch"]

    def finish(self, progress: bool) -> Path:
        """Train the remaining epochs, on as many threads as the earlier ones, and return the last checkpoint."""
        with on_threads(self.threads):
            return self._finish(progress)

    def _finish(self, progress: bool) -> Path:
        recipe = self.run.recipe
        label = f"{self.run.network} w{self.run.width:g} seed {self.run.seed}"
        with tqdm(total=recipe.epochs, initial=self.epoch, desc=label, unit="epoch", disable=not progress) as bar:
            for epoch in range(self.epoch + 1, recipe.epochs + 1):
                start = time.perf_counter()
                loss = self.train_epoch(epoch)
                self.seconds += time.perf_counter() - start
                accuracy = self.keep(epoch, loss)
                bar.update()
                bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.2%}")
        return self.run.checkpoint(recipe.epochs)

    def train_epoch(self, epoch: int) -> float:
        """Train on every batch once, and return the mean loss. Raises `BadInput` if it is no longer finite."""
        losses = []
        self.network.train()
        order = torch.randperm(len(self.labels), generator=random_stream(self.run.order_seed, ORDER, epoch))
        augmentation = random_stream(self.run.augment_seed, AUGMENTATION, epoch)
        self.draw_rotations(epoch)
        for index, rate in zip(order.split(self.run.recipe.batch), self.rates(epoch), strict=False):
            losses.append(self._step(index, augmentation, rate))
        return self.checked(float(torch.stack(losses).mean()), epoch)

    @property
    def batch_sizes(self) -> list[int]:
        """The sizes of an epoch's batches. A last batch of one image is left out, because batch norm needs two."""
        whole, rest = divmod(len(self.labels), self.run.recipe.batch)
        return [self.run.recipe.batch] * whole + [rest] * (rest > 1)

    def rates(self, epoch: int) -> list[float]:
        """The learning rate of each step of an epoch."""
        steps = len(self.batch_sizes)
        return [self._rate((epoch - 1 + (step + 0.5) / steps) / self.run.recipe.epochs) for step in range(steps)]

    def checked(self, loss: float, epoch: int) -> float:
        """The mean loss of an epoch. Raises `BadInput` if it is no longer finite."""
        if not np.isfinite(loss):
            raise BadInput(f"{self.run.network}: the loss is {loss} in epoch {epoch}; train with a lower rate")
        return loss

    def draw_rotations(self, epoch: int) -> None:
        """For the target "rotation": draw new labels, which are the quarter turns of every image in this epoch."""
        if self.run.target == "rotation":
            generator = random_stream(self.run.augment_seed, ROTATION, epoch)
            self.labels = torch.randint(0, len(targets.TURNS), (len(self.labels),), generator=generator).to(self.device)

    def _rate(self, done: float) -> float:
        normed = any(isinstance(module, nn.BatchNorm2d) for module in self.network.modules())
        return self.run.recipe.rate(done) * (1.0 if normed else 0.5)

    def _step(self, index: Int64[Tensor, " batch"], augmentation: torch.Generator, rate: float) -> Tensor:
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        images = crop(self.images, index, self.image_size, self.run.recipe.flip, augmentation)
        images = self.turned(images, self.labels[index])
        loss = self.loss(images, self.labels[index])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    @property
    def image_size(self) -> int:
        """Height and width of the images that the network sees, in pixels."""
        return self.images.shape[1] - 2 * self.run.recipe.pad

    def turned(self, images: UInt8[Tensor, "batch tall wide c"], labels: Int64[Tensor, " batch"]) -> Tensor:
        """For the target "rotation" the images turned by their labels; else the images as they are."""
        return targets.rotate(images, labels) if self.run.target == "rotation" else images

    def loss(self, images: UInt8[Tensor, "batch tall wide c"], labels: Int64[Tensor, " batch"]) -> Tensor:
        """The mean cross-entropy of a batch, in the weights' precision.

        The forward pass is in bfloat16 if that is faster.
        """
        kind = next(self.network.parameters()).dtype
        inputs = datasets.normalise(images.permute(0, 3, 1, 2).to(kind).div_(255), self.run.dataset)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16, cache_enabled=False):
            outputs = self.network(inputs)
        return functional.cross_entropy(outputs.to(kind), labels)

    def keep(self, epoch: int, loss: float | None) -> float:
        """Write this epoch's weights, sidecar and momentum, in an order in which an interruption does no harm."""
        measured = accuracy(self.network, self.test)
        record = {"epoch": epoch, "accuracy": measured, "loss": loss, "train_seconds": self.seconds}
        path = self.run.checkpoint(epoch)
        sidecar = record | describe(self.run, self.data, self.device, self.threads)
        save(self.network, path, sidecar)
        momentum = {
            name: self.optimiser.state[parameter]["momentum_buffer"].contiguous()
            for name, parameter in self.network.named_parameters()
            if parameter in self.optimiser.state
        }
        save_momentum(self.run.folder, momentum, sidecar)
        return measured


def accuracy(network: nn.Module, data: datasets.Dataset) -> float:
    """The fraction of images whose largest logit is that of their label. The network is left in training mode."""
    device = next(network.parameters()).device
    network.eval()
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=pays_bf16(device)):
        predictions = [network(batch.to(device)).argmax(1).cpu() for batch in datasets.batches(data)]
    network.train()
    return float((torch.cat(predictions) == torch.from_numpy(data.labels)).double().mean())


def _training_set(run: Run) -> datasets.Dataset:
    return targets.training_set(run.dataset, run.target, run.recipe.images)


def _accuracy_set(run: Run) -> datasets.Dataset:
    return targets.accuracy_set(run.dataset, run.target, run.recipe.images)


def _fresh(run: Run, data: datasets.Dataset) -> nn.Module:
    size, channels = data.images.shape[1], data.images.shape[3]
    initialisation = run.recipe.initialisation
    return architectures.build(run.network, run.width, len(data.classes), channels, size, run.seed, initialisation)


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    return torch.optim.SGD(
        network.parameters(),
        lr=recipe.peak_rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
