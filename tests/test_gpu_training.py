"""Training side by side: the steps that a GPU runs as graphs, here without graphs, against the plain loop."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.networks import gpu_training, training
from helpers.networks.gpu_training import SideBySide, descend, train_epoch, train_together


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))


def tiny(seed: int = 0, epochs: int = 2, recipe: str = "digits", **options) -> training.Run:
    run = training.plan("vgg8_bn", "digits", 0.06, seed, recipe, epochs, **options)
    return replace(run, recipe=replace(run.recipe, flip=True, images=300))  # 4 batches of 64 and one of 44


def in_float64(run: training.Run, device: str = "cpu") -> training.Training:
    made = training.Training(run, torch.device(device))
    made.network.double()
    made.bf16 = False
    return made


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("target", ["labels", "rotation"])
def test_in_float64_an_epoch_is_the_plain_epoch(monkeypatch, nesterov, target):
    run = tiny(target=target)
    run = replace(run, recipe=replace(run.recipe, nesterov=nesterov))
    plain, side = in_float64(run), SideBySide(in_float64(run))
    monkeypatch.setattr(training.Training, "keep", lambda self, epoch, loss: kept.append(loss))
    kept: list[float] = []
    for epoch in (1, 2):
        train_epoch([side], epoch)
        assert kept[-1] == pytest.approx(plain.train_epoch(epoch), rel=1e-10)
    wanted = plain.network.state_dict()
    for name, tensor in side.training.network.state_dict().items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-8, atol=1e-10)
    for parameter, other in zip(plain.network.parameters(), side.parameters, strict=True):
        tensor = side.training.optimiser.state[other]["momentum_buffer"]
        torch.testing.assert_close(tensor, plain.optimiser.state[parameter]["momentum_buffer"], rtol=1e-7, atol=1e-9)


def test_another_order_ends_elsewhere():
    first, second = (SideBySide(in_float64(tiny(order_seed=seed))) for seed in (0, 1))
    for each in (first, second):
        each.open(1)
        each.launch(0)
    pairs = zip(first.parameters, second.parameters, strict=True)
    assert not all(torch.allclose(a, b) for a, b in pairs)


@pytest.mark.parametrize("nesterov", [True, False])
def test_a_step_is_that_of_sgd(nesterov):
    generator = torch.Generator().manual_seed(0)
    recipe = replace(training.RECIPES["digits"], nesterov=nesterov)
    ours = [torch.randn(3, 2, generator=generator, dtype=torch.float64) for _ in range(2)]
    theirs = [tensor.clone().requires_grad_() for tensor in ours]
    momenta = [torch.zeros_like(tensor) for tensor in ours]
    optimiser = torch.optim.SGD(theirs, 0.1, recipe.momentum, 0, recipe.weight_decay, nesterov)
    for rate in (0.1, 0.03, 0.2):
        for parameter in theirs:
            parameter.grad = torch.randn(3, 2, generator=generator, dtype=torch.float64)
        optimiser.param_groups[0]["lr"] = rate
        descend(
            ours, [parameter.grad for parameter in theirs], momenta, torch.tensor(rate, dtype=torch.float64), recipe
        )
        optimiser.step()
        for mine, wanted in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, wanted.detach(), rtol=1e-13, atol=1e-13)


class Named(TorchDispatchMode):
    """Notes the names of all operations."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("target", ["labels", "rotation"])
def test_a_step_asks_nothing_of_the_cpu_so_that_a_graph_can_hold_it(target):
    side = SideBySide(in_float64(tiny(target=target)))
    side.open(1)
    side.step(8)  # constants are laid on the device once
    with Named() as seen:
        side.step(8)
    assert "convolution_backward" in seen.names
    assert not seen.names & {"lift_fresh", "_local_scalar_dense", "nonzero", "is_nonzero", "equal"}


needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU: the capture of graphs is not tested")


@needs_gpu
def test_on_a_gpu_graphs_give_the_plain_steps():
    runs = [tiny(seed) for seed in (0, 1)]
    plain = [in_float64(run, "cuda") for run in runs]
    sides = [SideBySide(in_float64(run, "cuda")) for run in runs]
    for epoch in (1, 2):
        train_epoch(sides, epoch)
        for one, side in zip(plain, sides, strict=True):
            one.train_epoch(epoch)
            wanted = one.network.state_dict()
            for name, tensor in side.training.network.state_dict().items():
                torch.testing.assert_close(tensor, wanted[name], rtol=1e-7, atol=1e-9)


def trained(place: Path, monkeypatch, *runs: training.Run) -> list[dict[str, torch.Tensor]]:
    """The last weights of runs that are trained together in a folder of their own."""
    monkeypatch.setenv("SAMEREP_RUNS", str(place))
    return [load_file(path) for path in train_together(runs, "cpu", progress=False)]


def same(given: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(given[name], tensor) for name, tensor in wanted.items())


def test_a_seed_trained_beside_another_is_the_one_trained_alone(monkeypatch, tmp_path):
    first, second = trained(tmp_path / "together", monkeypatch, tiny(0), tiny(1))
    (alone,) = trained(tmp_path / "alone", monkeypatch, tiny(1))
    assert same(second, alone)
    assert not same(first, second)


def test_interrupted_seeds_go_on_from_where_each_was(monkeypatch, tmp_path):
    runs = tiny(0, 3), tiny(1, 3)
    wanted = trained(tmp_path / "whole", monkeypatch, *runs)
    keep = training.Training.keep

    def die(self, epoch, loss):
        if (self.run.seed, epoch) == (1, 2):
            raise KeyboardInterrupt
        return keep(self, epoch, loss)

    with monkeypatch.context() as patch:
        patch.setattr(training.Training, "keep", die)
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "broken", monkeypatch, *runs)
    assert runs[0].checkpoint(2).exists()
    assert not runs[1].checkpoint(2).exists()
    resumed = trained(tmp_path / "broken", monkeypatch, *runs)
    assert all(map(same, resumed, wanted))


def test_what_is_trained_is_not_trained_again(monkeypatch):
    paths = train_together([tiny(0, 1)], "cpu", progress=False)
    monkeypatch.setattr(gpu_training, "SideBySide", None)
    assert train_together([tiny(0, 1)], "cpu", progress=False) == paths
