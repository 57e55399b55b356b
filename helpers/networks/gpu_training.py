"""Train several seeds side by side on one GPU: a training step is one CUDA graph, on a stream of its own.

The plain loop of `training` launches one kernel after another, and one small network leaves most of a GPU idle. Here
an epoch's random numbers are drawn before the epoch, from the streams of the plain loop. So a seed sees equal images
in equal windows. The numbers lie on the GPU as tables, and each step reads its rows at a counter that it advances
itself. So a step is one launch that needs nothing from the CPU, and the seeds overlap. On a CPU these steps run
without graphs.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..files import sweep
from ..processes import held
from .augmentation import draw_windows, random_stream, windows
from .devices import as_device
from .training import AUGMENTATION, ORDER, Recipe, Run, Training, is_trained

Tensors = list[Tensor] | tuple[Tensor, ...]  # what PyTorch's foreach functions take
WARM_UP = 3  # steps before a capture, in which libraries choose their kernels and allocate memory


def train_together(runs: Sequence[Run], device: str = "cuda", progress: bool = True) -> list[Path]:
    """Train all runs to their last epoch, each from its last whole one, and return the final checkpoints.

    Checkpoints, sidecars and random numbers are those of `training.train`; the weights agree up to rounding.
    `train_seconds` in a sidecar is the run's share of the time. Raises `BadInput` where `training.train` does.
    """
    place = as_device(device)
    with ExitStack() as locks:
        for where in sorted(run.folder for run in runs if not is_trained(run)):
            locks.enter_context(held(where, "training in", wait=True))
            sweep(where)
        _train_together([run for run in runs if not is_trained(run)], place, progress)
    return [run.checkpoint(run.recipe.epochs) for run in runs]


def _train_together(runs: Sequence[Run], place: torch.device, progress: bool) -> None:
    waiting = [SideBySide(Training(run, place)) for run in runs]
    last = max((run.recipe.epochs for run in runs), default=0)
    first = min((each.training.epoch for each in waiting), default=last)
    for epoch in tqdm(range(first + 1, last + 1), desc=f"{len(waiting)} networks", unit="epoch", disable=not progress):
        now = [each for each in waiting if each.training.epoch < epoch <= each.recipe.epochs]
        train_epoch(now, epoch)


def train_epoch(networks: Sequence["SideBySide"], epoch: int) -> None:
    """Train one epoch of each network, step by step in turn, and write their checkpoints."""
    start = time.perf_counter()
    for each in networks:
        each.open(epoch)
    for step in range(max((len(each.sizes) for each in networks), default=0)):
        for each in networks:
            each.launch(step)
    losses = [each.mean_loss(epoch) for each in networks]  # waits for the card
    for each, loss in zip(networks, losses, strict=True):
        each.training.seconds += (time.perf_counter() - start) / len(networks)
        each.training.keep(epoch, loss)


class SideBySide:
    """One network's training as steps whose changing inputs are all read from tensors at fixed addresses."""

    def __init__(self, training: Training) -> None:
        self.training, self.recipe, self.device = training, training.run.recipe, training.device
        self.parameters: list[Tensor] = [each for each in training.network.parameters() if each.requires_grad]
        self.momenta = [_momentum(training.optimiser, each) for each in self.parameters]
        self.sizes = training.batch_sizes
        count, kind = sum(self.sizes), self.parameters[0].dtype
        self.index, self.top, self.left = (torch.zeros(count, dtype=torch.int64, device=self.device) for _ in range(3))
        self.mirrored = torch.zeros(count, dtype=torch.bool, device=self.device)
        self.labels = training.labels.clone()
        self.rates, self.losses = (torch.zeros(len(self.sizes), dtype=kind, device=self.device) for _ in range(2))
        self.row, self.done = (torch.zeros((), dtype=torch.int64, device=self.device) for _ in range(2))
        self.graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self.stream = torch.cuda.Stream() if self.device.type == "cuda" else None

    def open(self, epoch: int) -> None:
        """Draw an epoch's random numbers as the plain loop does, and copy them to the device."""
        training, run = self.training, self.training.run
        order = torch.randperm(len(training.labels), generator=random_stream(run.order_seed, ORDER, epoch))
        generator = random_stream(run.augment_seed, AUGMENTATION, epoch)
        training.draw_rotations(epoch)
        drawn = [draw_windows(2 * self.recipe.pad + 1, size, self.recipe.flip, generator) for size in self.sizes]
        for table, parts in zip((self.top, self.left, self.mirrored), zip(*drawn, strict=True), strict=True):
            table.copy_(torch.cat(parts)[:, 0])
        self.index.copy_(order[: len(self.index)])
        self.labels.copy_(training.labels)
        self.rates.copy_(torch.tensor(training.rates(epoch), dtype=torch.float64))
        self.row.zero_()
        self.done.zero_()
        training.network.train()
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream())

    def step(self, size: int) -> None:
        """Train on the next `size` images of the tables."""
        rows = self.row + torch.arange(size, device=self.device)
        index, side = self.index[rows], self.training.image_size
        drawn = (table[rows, None] for table in (self.top, self.left, self.mirrored))
        images = self.training.turned(windows(self.training.images, index, side, *drawn), self.labels[index])
        loss = self.training.loss(images, self.labels[index])
        gradients = torch.autograd.grad(loss, self.parameters)
        rate = self.rates.index_select(0, self.done[None])[0]  # indexing with a scalar would wait for it
        descend(self.parameters, gradients, self.momenta, rate, self.recipe)
        self.losses.index_copy_(0, self.done[None], loss.detach()[None])
        self.row += size
        self.done += 1

    def launch(self, step: int) -> None:
        """Start a step of the epoch. On a GPU it is a graph on this network's stream, and nothing waits for it."""
        size = self.sizes[step]
        if self.stream is None:
            return self.step(size)
        if size not in self.graphs:
            self.graphs[size] = self._capture(size)
        with torch.cuda.stream(self.stream):
            self.graphs[size].replay()
        return None

    def _capture(self, size: int) -> "torch.cuda.CUDAGraph":
        """The step as a graph. The warm-up steps are undone, so that capturing does not train the network."""
        assert self.stream is not None
        torch.cuda.synchronize()
        state = [*self.training.network.state_dict().values(), *self.momenta, self.row, self.done, self.losses]
        before = [tensor.clone() for tensor in state]
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UP):
                self.step(size)
                self.row.copy_(before[-3])
                self.done.copy_(before[-2])
            for tensor, old in zip(state, before, strict=True):
                tensor.copy_(old)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.step(size)
        return graph

    def mean_loss(self, epoch: int) -> float:
        """The mean of the epoch's losses, once they are computed. Raises `BadInput` if it is not finite."""
        if self.stream is not None:
            self.stream.synchronize()
        return self.training.checked(float(self.losses.mean()), epoch)


def _momentum(optimiser: torch.optim.SGD, parameter: Tensor) -> Tensor:
    """The parameter's momentum, zero at first: the tensor in the optimiser's state, which checkpoints keep."""
    state = optimiser.state[parameter]
    if state.get("momentum_buffer") is None:
        state["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)
    return state["momentum_buffer"]


@torch.no_grad()
def descend(parameters: Tensors, gradients: Tensors, momenta: Tensors, rate: Tensor, recipe: Recipe) -> None:
    """A step of `torch.optim.SGD` for all tensors at once.

    The rate is a tensor, so that a graph reads its new value.
    """
    steps = torch._foreach_add(gradients, parameters, alpha=recipe.weight_decay)
    torch._foreach_mul_(momenta, recipe.momentum)
    torch._foreach_add_(momenta, steps)
    ahead = torch._foreach_add(steps, momenta, alpha=recipe.momentum) if recipe.nesterov else momenta
    torch._foreach_sub_(parameters, torch._foreach_mul(ahead, rate))
