"""Layers by name, one small study end to end, and what is refused."""

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import datasets, networks, studies
from helpers.errors import BadInput
from helpers.representations import Sampling, activations, captured, collect

SMALL = {"network": "vgg8_bn", "epochs": 1, "images": 200}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))


def test_streamed_gram_is_that_of_all_activations():
    nets = [networks.build("vgg8_bn", 0.125, channels=1, seed=seed).eval() for seed in (0, 1)]
    batches = list(datasets.batches(datasets.load("digits"), 200))
    found = collect(nets, batches, ["relu1_1"], 500, Sampling(100, 2))["relu1_1"]
    z = np.vstack([activations(net, batches, "relu1_1") for net in nets])
    np.testing.assert_allclose(found.gram.gram, z @ z.T, rtol=1e-9)
    assert [draw.samples for draw in found.draws] == [100, 100]


def test_hooks_go_and_modes_return_when_something_raises():
    net = networks.build("vgg8_bn", 0.125, channels=1).train()
    with pytest.raises(RuntimeError), captured(net, ["relu1_1"]):
        net(torch.zeros(1, 3, 32, 32))
    assert net.training
    assert not any(module._forward_hooks for module in net.modules())


def test_a_study_is_recorded_read_and_its_damage_named(tmp_path):
    study = studies.Study(**SMALL)
    place = studies.record(study, progress=False)
    again = studies.run(study)
    assert again.folder == place
    assert again.gram("relu1_1").samples == 200 * 32 * 32
    assert set(again.similarity([0.0, 0.99])["epsilon"]) == {0.0, 0.99}
    (place / "critical.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"critical\.parquet is missing or damaged"):
        studies.run(study)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"network": "vgg9"}, "did you mean 'vgg"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"seeds": ()}, "at least two"),
        ({"seeds": (1, 1)}, "repeat"),
        ({"epoch": 99}, "expected 0"),
        ({"images": 0}, "positive"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        studies.Study(**options)


def test_command_line_refuses_repeated_seeds():
    found = CliRunner().invoke(command.cli, ["train", "--network", "vgg8", "--seeds", "1,1"])
    assert isinstance(found.exception, BadInput)
