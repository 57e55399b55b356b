"""Devices by name: refused in one line where they do not work, handed to studies, workers and provenance."""

import os

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import compare, studies
from helpers.errors import BadInput
from helpers.networks import devices, training
from helpers.networks.devices import as_device, chosen_device, on_device
from helpers.studies import parallel, study


def test_auto_is_a_gpu_where_there_is_one(monkeypatch):
    assert as_device("cpu").type == "cpu"
    for there, name in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert devices.best_device() == name
    monkeypatch.setattr(devices, "best_device", lambda: "cpu")
    assert as_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "meta", "cuda:77", ""])
def test_a_device_that_does_not_work_is_refused_in_one_line(name):
    with pytest.raises(BadInput, match=f"^device is '{name}': expected one that works here, such as cpu"):
        as_device(name)
    with pytest.raises(BadInput, match=f"^device is '{name}'"), on_device(name):
        pass


def test_a_task_takes_one_thread_wherever_it_runs(two_threads):
    assert parallel.each(torch.get_num_threads, [()], "threads", progress=False) == [1]
    with parallel.workers(2):
        assert parallel.each(torch.get_num_threads, [(), ()], "threads", progress=False) == [1, 1]
    assert torch.get_num_threads() == 2


def test_the_command_that_records_takes_one_thread(two_threads, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "record_study", lambda *_: seen.append(torch.get_num_threads()))
    done = CliRunner().invoke(command.cli, ["record", "--network", "vgg8_bn", "--dataset", "digits"])
    assert (done.exit_code, seen) == (0, [1])


def test_the_chosen_device_lasts_as_long_as_its_context(monkeypatch):
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    assert chosen_device() == torch.device("cpu")
    with on_device("auto"):
        assert os.environ[devices.VARIABLE] == "auto"
        assert parallel.each(os.getenv, [(devices.VARIABLE,)], "variables", progress=False) == ["auto"]
        with on_device(None):
            assert os.environ[devices.VARIABLE] == "auto"
    assert devices.VARIABLE not in os.environ
    assert chosen_device("auto").type == devices.best_device()


def test_a_studys_networks_lie_on_the_chosen_device(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))
    wanted = studies.Study(network="vgg8_bn", width=0.06, epochs=1, images=20)
    data = study.test_images(wanted)
    training.train(wanted.runs[0], progress=False)
    monkeypatch.setattr(study, "chosen_device", lambda: torch.device("meta"))  # a device without numbers is at hand
    network, sidecar = study.network_at(wanted.runs[0], None, data, progress=False)
    assert studies.store.origin_of(data, [sidecar], [network])["device"] == "meta"


def test_a_comparison_says_the_device_that_auto_is():
    nets = [torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU()).eval() for _ in range(2)]
    options = {"layers": "1", "progress": False}
    assert compare(*nets, torch.randn(50, 3), device="auto", **options).device == devices.best_device()
    assert {weights.device.type for net in nets for weights in net.parameters()} == {"cpu"}
    with pytest.raises(BadInput, match=r"^device is 'gpu': expected one that works here, such as cpu"):
        compare(*nets, torch.randn(50, 3), device="gpu", **options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU: critical ε of both devices are not compared")
def test_cpu_and_gpu_give_the_same_critical_epsilons(monkeypatch, tmp_path):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))
    wanted = studies.Study(network="vgg8_bn", width=0.25, epochs=1, images=500)
    critical = {}
    for name in ("cpu", "cuda"):
        with on_device(name):
            computed = studies.seeds.compute(wanted, progress=False)
        critical[name] = computed.tables["critical"]["critical_epsilon"]
        assert computed.origin["device"] == name
    np.testing.assert_allclose(critical["cuda"], critical["cpu"], atol=1e-6)
