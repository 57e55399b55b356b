"""The command line: help with examples, one line and a non-zero exit for every bad value, nothing left behind."""

import sys

import pytest
from click.testing import CliRunner

from helpers import __main__ as command
from helpers import publish

COMMANDS = sorted(command.cli.commands)


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
        (("book", "--tier", "small"), "unknown tier 'small'"),
    ],
)
def test_a_bad_value_is_one_line_and_exit_code_two(monkeypatch, capsys, words, message):
    before = sorted(publish.PAGES.glob("*"))
    code, shown = call(monkeypatch, capsys, *words)
    assert code == 2
    assert shown.startswith("error: ")
    assert message in shown
    assert len(shown.strip().splitlines()) == 1
    assert sorted(publish.PAGES.glob("*")) == before


def test_parameters_are_read_as_python_or_as_they_stand():
    assert [command.literal(text) for text in ("0.25", "[0, 1]", "resnet18", "None")] == [
        0.25,
        [0, 1],
        "resnet18",
        None,
    ]
