"""Files of weights as other programs write them, and networks of functions of one's own: opened, or one line."""

from argparse import Namespace
from pathlib import PurePosixPath

import numpy as np
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


def doubled(net):
    return {name: 2 * part if part.is_floating_point() else part for name, part in net.state_dict().items()}


SEVERAL = {  # the file, and the keys of the weights and of those that are twice as large
    "timm": (lambda a, b: {"epoch": 1, "state_dict": a, "state_dict_ema": b}, "state_dict", "state_dict_ema"),
    "DeiT": (lambda a, b: {"model": a, "model_ema": b, "args": Namespace(lr=0.1)}, "model", "model_ema"),
    "inside": (lambda a, b: {"model": a, "ema": {"module": b, "decay": 0.9}}, "model", "ema.module"),
    "DINO": (
        lambda a, b: {"student": behind("module.backbone.", a), "teacher": behind("backbone.", b)},
        "student.backbone",
        "teacher.backbone",
    ),
    "MoCo": (
        lambda a, b: {"state_dict": behind("module.encoder_q.", a) | behind("module.encoder_k.", b)},
        "state_dict.encoder_q",
        "state_dict.encoder_k",
    ),
    "Lightning": (
        lambda a, b: {"state_dict": behind("model.", b), "current_model_state": behind("model.", a), "loops": {}},
        "current_model_state.model",
        "state_dict.model",
    ),
}


def behind(prefix, state):
    return {f"{prefix}{name}": part for name, part in state.items()}


@pytest.mark.parametrize("form", SEVERAL)
def test_of_several_sets_of_weights_one_must_be_named(form, weights, tmp_path):
    make, *keys = SEVERAL[form]
    path = tmp_path / "several.pt"
    torch.save(make(weights.state_dict(), doubled(weights)), path)
    with pytest.raises(BadInput, match=r"several sets of weights that fit \(.*\): name one, as .*several.pt#") as error:
        open_network(path, "squeezenet1_1")
    assert all(key in str(error.value) for key in keys)
    for key, right in zip(keys, (weights.state_dict(), doubled(weights)), strict=True):
        found = open_network(f"{path}#{key}", "squeezenet1_1").state_dict()
        assert all(torch.equal(found[name], part) for name, part in right.items())
    with pytest.raises(BadInput, match=rf"unknown set of weights in .* '{keys[0]}x': did you mean '{keys[0]}'"):
        open_network(f"{path}#{keys[0]}x", "squeezenet1_1")


def test_other_networks_in_the_file_are_no_choice(weights, tmp_path):
    """The only set that fits is taken, wherever it stands; a file may have a # in its name."""
    path = tmp_path / "two#1.pt"
    torch.save({"discriminator": nn.Linear(2, 2).state_dict(), "generator": {"net": doubled(weights)}}, path)
    found = open_network(path, "squeezenet1_1").state_dict()
    assert torch.equal(found["classifier.1.bias"], 2 * weights.state_dict()["classifier.1.bias"])


@pytest.mark.parametrize("beside", [Namespace(lr=0.1), np.float64(0.5), np.int64(3), np.float32(1)])
def test_settings_and_single_numbers_beside_the_weights_do_no_harm(beside, weights, tmp_path):
    torch.save({"model": weights.state_dict(), "beside": beside}, tmp_path / "beside.pt")
    open_network(tmp_path / "beside.pt", "squeezenet1_1")


def test_an_object_beside_the_weights_is_named(weights, tmp_path):
    torch.save({"model": weights.state_dict(), "path": PurePosixPath("a")}, tmp_path / "object.pt")
    with pytest.raises(BadInput, match=r"object.pt holds a pathlib.PurePosixPath beside the weights, or is damaged"):
        open_network(tmp_path / "object.pt", "squeezenet1_1")


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
