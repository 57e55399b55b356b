"""The command line: help with examples, one line and a non-zero exit for every bad value, nothing left behind."""

import os
import signal
import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from safetensors import SafetensorError

from helpers import __main__ as command
from helpers.networks import datasets, training
from helpers.pages import places

COMMANDS = sorted(command.cli.commands)
COMPARE = ("compare", "--images", ".", "--network", "torchvision:resnet18", "--a", "untrained:0", "--b", "untrained:1")


def call(monkeypatch, capsys, *words: str) -> tuple[int, str]:
    """Exit code and standard error of `python -m helpers …`."""
    monkeypatch.setattr(sys, "argv", ["helpers", *words])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    return int(stopped.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = CliRunner().invoke(command.cli, [name, "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output or not command.cli.commands[name].params


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "verify", "cifar"), "unknown dataset 'cifar': did you mean 'cifar10'?"),
        (("train", "--network", "vgg161"), "unknown network 'vgg161': did you mean 'vgg16'?"),
        (("train", "--network", "vgg16", "--seeds", "0,0"), "seeds [0, 0] repeat"),
        (("train", "--network", "vgg16", "--seeds", ""), "seeds is '': expected a list"),
        (("train", "--network", "vgg16", "--recipe", "shorter"), "unknown recipe 'shorter': did you mean 'short'?"),
        (("train", "--network", "vgg16", "--epochs", "0"), "epochs is 0: expected at least 1"),
        (("record", "--network", "vgg16", "--seeds", "1"), "expected at least two"),
        (("record", "--network", "vgg16", "--width", "-1"), "width is -1"),
        (("record", "--network", "vgg16", "--what", "cause"), "unknown kind of record 'cause': did you mean 'causes'?"),
        (("run", "netwrk"), "unknown notebook 'netwrk': did you mean 'network'?"),
        (("run", "network", "-p", "sed", "[0, 1]"), "unknown parameter of network 'sed': did you mean 'seeds'?"),
        (("run", "network", "--page", "../escape"), "page name '../escape'"),
        (("train", "--network", "vgg16", "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("record", "--network", "vgg16", "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("record", "--network", "vgg16", "--jobs", "0"), "jobs is 0: expected a whole number from 1 to 256"),
        (("record", "--network", "vgg16", "--block", "1"), "block is 1: expected a whole number from 2 to 10000"),
        (
            ("record", "--network", "vgg16", "--scheduler", "nowhere"),
            "no Dask scheduler at nowhere: expected one as at",
        ),
        ((*COMPARE, "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("book", "--tier", "small"), "unknown tier 'small'"),
        (("book", "--jobs", "0"), "jobs is 0: expected a whole number from 1 to 256"),
        (
            ("train", "--network", "vgg16", "--seeds", str(2**63)),
            f"seeds[0] is {2**63}: expected a whole number from 0",
        ),
        (("train", "--network", "vgg16", "--seeds", "0,-1"), "seeds[1] is -1: expected a whole number from 0"),
        (("train", "--network", "vgg16", "--width", "wide"), "width is 'wide': expected a factor"),
        (("train", "--netwrk", "vgg16"), "No such option '--netwrk'. Did you mean '--network'?"),
        (("train",), "Missing option '--network'"),
        (("trian",), "No such command 'trian'"),
        ((*COMPARE, "--record", "../../evil"), "record name '../../evil': expected letters, digits, - and _ only"),
        ((*COMPARE, "--size", "0"), "size is 0: expected a whole number from 1"),
        ((*COMPARE, "--batch", "0"), "batch is 0: expected a whole number from 1"),
        ((*COMPARE, "--batch", "-1"), "batch is -1"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_two(monkeypatch, capsys, words, message):
    monkeypatch.setattr(training, "train", lambda run: pytest.fail(f"{run} was started"))
    before = sorted(places.PAGES.glob("*"))
    code, shown = call(monkeypatch, capsys, *words)
    assert code == 2
    assert shown.startswith("error: ")
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert sorted(places.PAGES.glob("*")) == before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MemoryError("cannot allocate 9 bytes"),
            "error: not enough memory: cannot allocate 9 bytes; take fewer images",
        ),
        (MemoryError(), "error: not enough memory; take fewer images"),
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried 9 bytes"),
            "error: not enough memory: CUDA out of memory.;",
        ),
        (OSError(28, "No space left on device", "/x/y"), "error: No space left on device: /x/y"),
        (PermissionError(13, "Permission denied", "/x"), "error: Permission denied: /x"),
        (OSError(), "error: OSError"),
        (SafetensorError("Error while serializing: I/O error"), "error: Error while serializing: I/O error"),
    ],
)
def test_what_stops_a_command_from_outside_is_one_line(monkeypatch, capsys, error, message):
    def fail(name):
        raise error

    monkeypatch.setattr(datasets, "verify", fail)
    code, shown = call(monkeypatch, capsys, "data", "verify", "digits")
    assert code == 1
    assert len(shown.splitlines()) == 1
    assert shown.startswith(message)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_one_line_and_its_own_exit_code(monkeypatch, capsys, number, code):
    monkeypatch.setattr(datasets, "verify", lambda name: os.kill(os.getpid(), number))
    before = signal.getsignal(number)
    assert call(monkeypatch, capsys, "data", "verify", "digits") == (code, f"stopped by {number.name}\n")
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["psutil", "numpy", "torch"])
def test_a_signal_during_the_imports_is_one_line(number, module):
    command = [sys.executable, "-X", "importtime", "-m", "helpers", "data", "verify", "digits"]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    assert started.stderr is not None
    for line in started.stderr:
        if line.split("|")[-1].strip() == module:
            break
    started.send_signal(number)
    rest = started.stderr.read()
    assert started.wait() == 128 + number
    assert "Traceback" not in rest
    assert [line for line in rest.splitlines() if not line.startswith("import time")] == [f"stopped by {number.name}"]


LATE = """
import os, signal
from helpers.signals import leave_at_once
leave_at_once()
class Late:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGTERM):
        kill(me, number)
late = Late()
"""


def test_a_signal_after_the_work_is_done_changes_no_exit_code():
    assert subprocess.run([sys.executable, "-c", LATE], cwd=places.ROOT, check=False).returncode == 0


def test_a_command_that_ends_well_says_so(monkeypatch, capsys):
    assert call(monkeypatch, capsys, "data", "verify", "digits") == (0, "")
    assert call(monkeypatch, capsys, "data", "--help") == (0, "")


@pytest.mark.parametrize(
    ("what", "given", "settings"),
    [
        ("stitching", ("fit", "400", "controls", "50"), {"fit": 400, "controls": 50}),
        ("calibration", ("earlier", "36", "untrained", "None"), {"earlier": 36, "untrained": None}),
        ("forks", ("after", "[1, 2]"), {"after": [1, 2]}),
        ("rebasin", ("alphas", "[0, 0.5, 1]"), {"alphas": [0, 0.5, 1]}),
        ("targets", ("aims", "['rotation']"), {"aims": ["rotation"]}),
        ("seeds", (), {}),
    ],
)
def test_settings_of_a_kind_of_study_are_given_by_name(what, given, settings, monkeypatch):
    seen = []
    monkeypatch.setattr(command, "record_study", lambda kind, study, chosen: seen.append((kind.name, chosen)))
    words = [word for at in range(0, len(given), 2) for word in ("--setting", *given[at : at + 2])]
    done = CliRunner().invoke(command.cli, ["record", "--network", "vgg16", "--what", what, *words])
    assert (done.exit_code, seen) == (0, [(what, settings)]), done.output
