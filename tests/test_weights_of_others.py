"""Files of weights as other programs write them, and networks of functions of one's own: opened, or one line."""

import pytest
import torch
from torch import nn
from torchvision import models

from helpers import BadInput
from helpers.networks.inputs import read_inputs
from helpers.networks.weights import open_network


@pytest.fixture(scope="module")
def weights():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return models.squeezenet1_1(weights=None)


@pytest.mark.parametrize(
    "form",
    [
        lambda net: {"net": net.state_dict(), "acc": 0.9, "epoch": 3},
        lambda net: torch.optim.swa_utils.AveragedModel(net).state_dict(),
        lambda net: {f"module._orig_mod.{name}": part for name, part in net.state_dict().items()},
        lambda net: {"state_dict": {"loss.weight": torch.ones(2), **nn.ModuleDict({"net": net}).state_dict()}},
    ],
    ids=["under net", "averaged", "compiled and parallel", "with a loss"],
)
def test_forms_that_are_opened(form, weights, tmp_path):
    torch.save(form(weights), tmp_path / "form.pt")
    found = open_network(tmp_path / "form.pt", "squeezenet1_1").state_dict()
    assert all(torch.equal(found[name], part) for name, part in weights.state_dict().items())


def test_empty_files_are_refused(tmp_path):
    (tmp_path / "empty.pt").write_bytes(b"")
    with pytest.raises(BadInput, match=r"empty.pt cannot be read as weights: it is empty"):
        open_network(tmp_path / "empty.pt", "squeezenet1_1")
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(BadInput, match=r"empty.npz cannot be read as arrays"):
        read_inputs(tmp_path / "empty.npz")


def test_torchscript_is_not_opened_with_less_care(tmp_path):
    torch.jit.trace(nn.Linear(5, 4), torch.ones(3, 5)).save(tmp_path / "script.pt")
    with pytest.raises(BadInput, match=r"script.pt cannot be read as weights: it is TorchScript; save its state_dict"):
        open_network(tmp_path / "script.pt", "squeezenet1_1")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("make = [1]", "mine_0:make gives a list: expected a network"),
        ("def make(:", "module mine_1 cannot be imported: invalid syntax"),
        ("1 / 0", "module mine_2 cannot be imported: division by zero"),
        ("def make():\n    return {}['weights']", "mine_3:make failed with KeyError: 'weights'"),
        ("def mkae():\n    pass", "unknown function of mine_4 'make': did you mean 'mkae'"),
    ],
)
def test_functions_that_give_no_network_are_refused_in_one_line(source, message, tmp_path, monkeypatch):
    name = message[message.index("mine_") :][:6]
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=message):
        open_network("", f"{name}:make")
