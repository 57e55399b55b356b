"""The command line: help with examples, one line and a non-zero exit for every bad value, nothing left behind."""

import sys

import pytest
import torch
from click.testing import CliRunner

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
    found = CliRunner().invoke(command.cli, [name, "--help"])
    assert found.exit_code == 0
    assert "Example" in found.output or not command.cli.commands[name].params


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "verify", "cifar"), "unknown dataset 'cifar': did you mean 'cifar10'?"),
        (("train", "--network", "vgg161"), "unknown network 'vgg161': did you mean 'vgg16'?"),
        (("train", "--network", "vgg16", "--seeds", "0,0"), "seeds 0,0 repeat"),
        (("train", "--network", "vgg16", "--seeds", ""), "seeds are '': expected whole numbers"),
        (("train", "--network", "vgg16", "--recipe", "shorter"), "unknown recipe 'shorter': did you mean 'short'?"),
        (("train", "--network", "vgg16", "--epochs", "0"), "0 epochs: expected at least 1"),
        (("record", "--network", "vgg16", "--seeds", "1"), "expected at least two"),
        (("record", "--network", "vgg16", "--width", "-1"), "width -1"),
        (("record", "--network", "vgg16", "--what", "cause"), "unknown kind of record 'cause': did you mean 'causes'?"),
        (("run", "netwrk"), "unknown notebook 'netwrk': did you mean 'network'?"),
        (("run", "network", "-p", "sed", "[0, 1]"), "unknown parameter of network 'sed': did you mean 'seeds'?"),
        (("run", "network", "--page", "../escape"), "page name '../escape'"),
        (("train", "--network", "vgg16", "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("record", "--network", "vgg16", "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("record", "--network", "vgg16", "--jobs", "0"), "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (("record", "--network", "vgg16", "--block", "1"), "Invalid value for '--block': 1 is not in the range x>=2"),
        (
            ("record", "--network", "vgg16", "--scheduler", "nowhere"),
            "no Dask scheduler at nowhere: expected one as at",
        ),
        ((*COMPARE, "--device", "gpu"), "device is 'gpu': expected one that works here, such as"),
        (("book", "--tier", "small"), "unknown tier 'small'"),
        (("book", "--jobs", "0"), "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (("train", "--network", "vgg16", "--seeds", str(2**63)), f"seeds are '{2**63}': expected whole numbers from 0"),
        (("train", "--network", "vgg16", "--seeds", "0,-1"), "seeds are '0,-1': expected whole numbers from 0"),
        (("train", "--network", "vgg16", "--width", "wide"), "'wide' is not a valid float"),
        (("train", "--netwrk", "vgg16"), "No such option '--netwrk'. Did you mean '--network'?"),
        (("train",), "Missing option '--network'"),
        (("trian",), "No such command 'trian'"),
        ((*COMPARE, "--record", "../../evil"), "record name '../../evil': expected letters, digits, - and _ only"),
        ((*COMPARE, "--size", "0"), "size is 0: expected a whole number of pixels, at least 1"),
        ((*COMPARE, "--batch", "0"), "batch is 0: expected a whole number of images, at least 1"),
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
        (MemoryError("cannot allocate 9 bytes"), "error: not enough memory: cannot allocate 9 bytes"),
        (torch.OutOfMemoryError("CUDA out of memory.\nTried 9 bytes"), "error: not enough memory: CUDA out of memory."),
        (KeyboardInterrupt(), "aborted"),
    ],
)
def test_what_stops_a_command_from_outside_is_one_line(monkeypatch, capsys, error, message):
    def fail(name):
        raise error

    monkeypatch.setattr(datasets, "verify", fail)
    code, shown = call(monkeypatch, capsys, "data", "verify", "digits")
    assert code == 1
    assert shown.strip().splitlines()[-1] == message


def test_a_command_that_ends_well_says_so(monkeypatch, capsys):
    assert call(monkeypatch, capsys, "data", "verify", "digits") == (0, "")
    assert call(monkeypatch, capsys, "data", "--help") == (0, "")


def test_parameters_are_read_as_python_or_as_they_stand():
    texts = ("0.25", "[0, 1]", "None", "resnet18", "{[]: 1}", "{", "(" * 2000)
    assert [command.literal(text) for text in texts] == [0.25, [0, 1], None, "resnet18", "{[]: 1}", "{", "(" * 2000]
