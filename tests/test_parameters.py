"""Parameters mean what they say: every bad value, from Python, from the command line or for a notebook, is one line."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers import __main__ as command
from helpers import parameters
from helpers.errors import BadInput, shown, unknown
from helpers.networks import architectures, datasets, training
from helpers.pages import grid, own, places, publish, running
from helpers.studies import two_networks
from helpers.studies.study import Study

NAN, INF = float("nan"), float("inf")
NUMBERS = (
    "1",
    "",
    None,
    True,
    NAN,
    INF,
    -INF,
    10**22,
    10**6000,
    -1,
    1j,
    ...,
    {0.3},
    [],
    {},
    b"1",
    Fraction(1, 2),
    np.ones(2),
)

BAD = {
    parameters.check_width: (*NUMBERS[:2], *NUMBERS[3:], None, 0, 0.0, 1e-9, 0.1250001, 1 / 3, 1 / 65, 17),
    parameters.check_epochs: (*NUMBERS, 0, 2.5, 2.0, 10_001, np.float64(3)),
    parameters.check_seed: (*NUMBERS, 0.5, 0.0, 2**63, False, np.True_),
    parameters.check_epsilon: (*NUMBERS, 1, 1.0, 2, -1e-300, np.float32(1.5)),
    parameters.check_seeds: (
        *(number for number in NUMBERS if number is not NUMBERS[-1]),
        *(
            "01",
            (0,),
            (0, 0),
            (0, 1.0),
            (True, False),
            (0, -1),
            (0, 2**63),
            {0, 1},
            {0: 1},
            3,
            "[0, 1]",
            (0, NAN),
            np.ones(2),
        ),
    ),
    parameters.check_epsilons: (*NUMBERS, 0.3, (0.3, 0.3), (0.3, NAN), (0.3, 1), "0.3", ("0.3",), (0.3, True)),
    Study: (
        *({"width": value} for value in ("1", True, None, 0.1250001, 1e-9, 99)),
        *({"seeds": value} for value in ("01", (True, False), (0, 0), (0,), 3, None, (0.5, 1))),
        *({"layers": value} for value in ("relu1_1", 3, (), ("a", "a"), ("a\nb",), (1,), ("",))),
        *({"keep": value} for value in ("logits", 3, ("a", "a"), True)),
        *({name: value} for name in ("before_relu", "sampled") for value in ("no", 1, None, 0)),
        *({"epochs": value} for value in (2.5, "2", True, 0, 10**22)),
        *({"epoch": value} for value in (1.5, -1, "last", True, 99)),
        *({"images": value} for value in (0, 1.5, "all", True, NAN)),
        *({name: value} for name in ("network", "dataset", "recipe") for value in ("nope", None, ["digits"], 3)),
    ),
    training.plan: (
        *({"seed": value} for value in (0.5, "0", True, -1, 2**63, None)),
        *({"order_seed": value} for value in (0.5, "0", True, -1)),
        *({"augment_seed": value} for value in (0.5, "0", True, -1)),
        *({"epochs": value} for value in (2.5, "2", 0, True, 10**22)),
        *({"width": value} for value in ("x", None, True, 1e-9)),
        *({"recipe": value} for value in (None, ["short"], "")),
    ),
    architectures.build: (
        *({"channels": value} for value in (0, -1, 1.0, "3", True)),
        *({"classes": value} for value in (0, -1, 10.0, True, 10**9)),
        *({"seed": value} for value in (2**64, 0.5, "0", True)),
        *({"width": value} for value in ("1", 0, NAN, 1e9)),
        *({"image_size": value} for value in (31, 32.0, 10**9)),
        *({"name": value} for value in (["vgg16"], None, "")),
        {"initialisation": ["authors"]},
    ),
}
FULL = {
    training.plan: {"network": "vgg11_bn", "dataset": "digits"},
    architectures.build: {"name": "vgg11_bn", "width": 0.125},
}
VALUES = [(check, value) for check, values in BAD.items() for value in values]


def one_line(error: BadInput) -> bool:
    """The message stands on one line that says what was expected or which names are valid."""
    text = str(error)
    return text.isprintable() and len(text) < 3000 and any(word in text for word in ("expected", "Valid:", "give each"))


@pytest.mark.parametrize(("check", "value"), VALUES, ids=[f"{c.__name__}-{shown(v)[:40]}" for c, v in VALUES])
def test_a_bad_value_from_python_is_one_line(check, value):
    with pytest.raises(BadInput) as caught:
        check(**FULL.get(check, {}) | value) if isinstance(value, dict) and value and check not in CHECKS else check(
            value
        )
    assert one_line(caught.value)


CHECKS = {check for check in BAD if check.__module__ == parameters.__name__}


@pytest.mark.parametrize(
    "call",
    [
        lambda: training.train(training.plan("vgg11_bn", "digits", 0.125, 3, "digits", 1), device="tpu"),
        lambda: training.train(training.plan("vgg11_bn", "digits", 0.125, 3, "digits", 1), device="cuda:99"),
        lambda: training.train(training.plan("vgg11_bn", "digits", 0.125, 3, "digits", 1), device="meta"),
        lambda: datasets.load_dataset(["digits"]),
        lambda: datasets.load_dataset("digits", None),
        lambda: list(datasets.batches(datasets.load_dataset("digits"), 0)),
        lambda: list(datasets.batches(datasets.load_dataset("digits"), -1)),
        lambda: list(datasets.batches(datasets.load_dataset("digits"), 2.0)),
        lambda: datasets.image_folder("nowhere"),
        lambda: datasets.image_folder(Path(), size=10**6),
        lambda: datasets.image_folder(Path(), size=True),
        lambda: datasets.image_folder(Path(), crop="all"),
        lambda: two_networks.open_network("untrained:0.5", "resnet18"),
        lambda: two_networks.open_network("untrained:-1", "resnet18"),
        lambda: publish.build_book(None),
        lambda: running.run_page(grid.Page("x", "nope")),
        lambda: own.own_page("matches", {}, "landing"),
        lambda: own.own_page("matches", {}, "Landing"),
        lambda: own.own_page("matches", {}, "how-to-use"),
        lambda: own.own_page("matches", {}, "x" * 300),
        lambda: own.own_page("matches", {}, "é" * 60),
        lambda: own.own_page("matches", {}, "a\nb"),
        lambda: own.own_page("/tmp/matches.py", {}),
        lambda: own.own_page("../matches.py", {}),
        lambda: own.own_page("nope\nnope", {}),
    ],
)
def test_a_bad_call_is_one_line(call):
    with pytest.raises(BadInput) as caught:
        call()
    assert one_line(caught.value)


NOTEBOOK = [
    *(
        ("matches", "epsilon", value)
        for value in ('a"b', "{0.3}", "1j", "...", "1e999", "-1", "2", "True", "big", "[0.3]", "None")
    ),
    *(("network", "layers", value) for value in ("relu1_1", "[]", "3", '["a", "a"]', '["a\\nb"]')),
    *(("network", "epsilons", value) for value in ("[]", "0.3", "abc", "[0.3, 2]", "[0.3, 0.3]", "['0.3']")),
    *(
        ("network", "seeds", value)
        for value in ("[0]", "01", "3", "[0, 0]", "[0, 0.5]", "[True, False]", "{0, 1}", "None")
    ),
    *(("network", "width", value) for value in ("1e-9", "0.1250001", "wide", "True", "None")),
    *(("network", "epochs", value) for value in ("2.5", "0", "two", "1e3", "10000000000000000000000")),
    *(("network", "recompute", value) for value in ("maybe", "no", "1", "None")),
    *(("network", name, value) for name in ("network", "dataset", "recipe") for value in ("nope", "3", "None")),
    *(("network", "look_at", value) for value in ("-0.1", "1", "nan", "half")),
    *(("speed", name, value) for name in ("neurons", "samples") for value in ("-1", "0", "2.5", "many", "10**9")),
    ("architectures", "epsilons", "abc"),
    ("explorer", "study", "cifar10-vgg"),
    *(("simple_matches", "share", value) for value in ("0", "1", "2", "half")),
    ("causes", "others", "resnet18"),
    ("own_networks", "size", "0"),
    ("numerics", "seed", "0.5"),
    ("algorithms", "sizes", "[8, -1]"),
    *(("interchangeable", name, value) for name in ("fit", "control_images") for value in ("2.5", "0", "-5", "many")),
    *(("interchangeable", "alphas", value) for value in ("[]", "0.5", "[0, 2]", "[0, 0]", "['0']")),
    *(("measure", "permutations", value) for value in ("0", "0.5", "1e3")),
    *(("layer_identification", "compared", value) for value in ("2.5", "-3", "all")),
    *(("alike", name, value) for name in ("starts", "after") for value in ("5", "[0.5]", "[-1]")),
    ("scale", "earlier", "[125.5, 36]"),
    ("tokens", "image_epochs", "0"),
]


@pytest.mark.parametrize(("notebook", "name", "value"), NOTEBOOK)
def test_a_bad_parameter_of_a_notebook_is_refused_before_a_cell_runs(notebook, name, value):
    page = own.own_page(notebook, command.given_parameters([(name, value)]))
    with pytest.raises(BadInput) as caught:
        running.check_parameters(page, page.parameters)
    assert one_line(caught.value)
    assert name in str(caught.value)


VGG = ("--network", "vgg16")
LINES = [
    *(
        ("train", *VGG, "--width", value)
        for value in ("wide", "0", "-1", "nan", "1e-9", "0.1250001", "True", "[1]", "1e400")
    ),
    *(("train", *VGG, "--epochs", value) for value in ("0", "2.5", "two", "10000000000000000000000", "-1", "True")),
    *(
        ("train", *VGG, "--seeds", value)
        for value in ("", ",", "0,0", "0.5", "a", "-1", "0,,1", "²", "True", str(2**63), "9" * 5000)
    ),
    *(("train", *VGG, name, "nope") for name in ("--dataset", "--recipe", "--nope")),
    ("train", "--network", "vgg16\nresnet18"),
    ("train", "--network", "x" * 5000),
    ("train", "--width", "1"),
    ("train", *VGG, *VGG),
    ("train", *VGG, "--width", "1", "--width", "0.5"),
    ("train", *VGG, "--epochs"),
    ("train", *VGG, "extra"),
    *(("record", *VGG, "--layers", value) for value in ("", "a,a", "a,,b", "a\nb", ",")),
    *(("record", *VGG, "--epoch", value) for value in ("-1", "99", "1.5", "last")),
    *(("record", *VGG, "--seeds", value) for value in ("0", "0,0")),
    ("record", *VGG, "--what", "cause"),
    *(("record", *VGG, "--what", "stitching", "--setting", "fit", value) for value in ("0", "2.5", "all", "[1]")),
    ("record", *VGG, "--what", "stitching", "--setting", "fitt", "1"),
    ("record", *VGG, "--what", "stitching", "--setting", "fit", "1", "--setting", "fit", "2"),
    ("record", *VGG, "--what", "calibration", "--setting", "earlier", "last"),
    ("record", *VGG, "--what", "forks", "--setting", "after", "2"),
    ("record", *VGG, "--setting", "images", "5"),
    ("record", *VGG, "--sampled", "--sampled"),
    ("record", *VGG, "--keep", "a,a"),
    *(("run", *words) for words in (("nope",), ("matches", "-p", "epsilon"), ("matches", "-p", "epsilons", "0.3"))),
    ("run", "matches", "-p", "epsilon", "0.3", "-p", "epsilon", "0.4"),
    *(
        ("run", "matches", "--page", name)
        for name in ("landing", "../x", "x" * 300, "", "a b", "a\nb", ".", "network.ipynb")
    ),
    ("run", "matches", "--page", "a", "--page", "b"),
    ("run", "/tmp/matches.py"),
    *(
        ("book", *words)
        for words in (("--tier", "small"), ("--jobs", "0"), ("--jobs", "two"), ("--jobs", "1000"), ("--tier",))
    ),
    *(("data", *words) for words in (("fetch", "nope"), ("verify", "a\nb"), ("eat", "digits"), ("fetch",))),
    *(
        ("compare", "--images", ".", "--a", "untrained:0", "--b", "untrained:1", "--network", "resnet50", *words)
        for words in (("--size", "0"), ("--size", "100000"), ("--size", "1.5"), ("--batch", "0"), ("--batch", "-1"))
    ),
    ("compare", "--images", ".", "--a", "untrained:0", "--b", "untrained:1", "--record", "../../evil"),
    ("compare", "--images", ".", "--a", "untrained:0", "--b", "untrained:1", "--record", "x" * 300),
    ("compare", "--images", "/nowhere", "--a", "untrained:0", "--b", "untrained:1", "--network", "resnet50"),
    ("trian",),
]


@pytest.mark.parametrize("words", LINES, ids=[" ".join(words)[:60].replace("\n", "⏎") for words in LINES])
def test_a_bad_command_line_is_one_line_and_starts_nothing(monkeypatch, capsys, words):
    monkeypatch.setattr(training, "train", lambda run: pytest.fail(f"{run} was started"))
    monkeypatch.setattr(running, "_execute", lambda *given: pytest.fail("a notebook was started"))
    monkeypatch.setattr(sys, "argv", ["helpers", *words])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    shown_lines = capsys.readouterr().err.splitlines()
    assert stopped.value.code == 2
    assert len(shown_lines) == 1
    assert shown_lines[0].startswith("error: ")
    assert shown_lines[0].isprintable()


def test_good_values_come_back_in_the_type_that_the_code_works_with():
    assert parameters.check_width(np.float64(0.25)) == 0.25
    assert type(parameters.check_width(1)) is float
    assert parameters.check_seeds(range(3)) == (0, 1, 2)
    assert parameters.check_seeds(np.array([2, 0])) == (2, 0)
    assert type(parameters.check_seeds(np.array([2, 0]))[0]) is int
    assert parameters.check_epsilons([0, 0.5]) == (0.0, 0.5)
    assert parameters.check_names("layers", ["a", "b"]) == ("a", "b")
    assert Study(width=1).id == Study(width=1.0).id
    assert Study(width=1) == Study(width=1.0, seeds=[0, 1])


def test_two_widths_never_share_a_folder():
    """Of any two widths that are taken, different ones give different names."""
    rng = np.random.default_rng(0)
    widths = [float(f"{w:.{digits}f}") for w in rng.uniform(1 / 64, 16, 300) for digits in range(1, 9)]
    taken = {}
    for width in widths:
        try:
            checked = parameters.check_width(width)
        except BadInput:
            continue
        assert taken.setdefault(f"{checked:g}", checked) == checked
    assert 300 < len(taken) < len(set(widths))


def test_none_stands_for_the_default_only_where_it_means_something():
    assert parameters.check_parameter("epochs", None, 10) is None
    assert parameters.check_parameter("layers", None, None) is None
    assert parameters.check_parameter("checkpoint_a", None, None) is None
    with pytest.raises(BadInput, match=r"epsilon is None: expected a number in \[0, 1\)"):
        parameters.check_parameter("epsilon", None, 0.3)


def test_parameters_are_read_as_python_or_as_they_stand():
    texts = ("0.25", "[0, 1]", "None", "resnet18", "{[]: 1}", "{", "(" * 2000)
    assert [parameters.literal(text) for text in texts] == [0.25, [0, 1], None, "resnet18", "{[]: 1}", "{", "(" * 2000]


def test_a_message_is_one_line_whatever_the_value_says():
    for value in ("a\nb", "a\r\x1b[31mb", "\u2028", ["a\nb"], torch.ones(3, 3), "x" * 10_000, 10**6000):
        assert one_line(unknown("network", value, ["vgg16"])), value
        assert one_line(parameters.refused("width", value, "expected a number")), value


def test_every_check_of_a_notebooks_parameter_takes_the_notebooks_own_default():
    for source in places.NOTEBOOKS.glob("*.py"):
        page = own.own_page(source.stem, {})
        running.check_parameters(page, running.parameters_of(page))
