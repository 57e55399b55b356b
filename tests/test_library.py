"""The wheel: `samerep` with its four dependencies alone, in an empty folder, leaving installed packages untouched."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import helpers
from helpers.errors import BadInput, optional
from helpers.files import ROOT

CORE = ("numpy", "scipy", "numba", "jaxtyping")
HEAVY = ("torch", "pandas", "matplotlib", "sklearn", "joblib", "tqdm", "click")
PRELUDE = """
import sys
import numpy as np
import samerep
rng = np.random.default_rng(0)
x = rng.standard_normal((5, 200))
y = np.vstack([rng.standard_normal((5, 5)) @ x, rng.standard_normal((3, 200))])  # five in the span of x, three not
"""
MATCH = f"""{PRELUDE}
match = samerep.maximum_match(x, y, 0.1)
assert match.x.tolist() == [0, 1, 2, 3, 4] and match.y.tolist() == [0, 1, 2, 3, 4], match
assert not {{name for name in {HEAVY} if name in sys.modules}}
"""
EVERY_CORE_MODULE = """
import importlib, pkgutil, samerep
for room in ("errors", "files", "compiling", "subspaces", "streaming", "matching", "measures"):
    if importlib.util.find_spec(f"samerep.{room}") is None:
        continue
    module = importlib.import_module(f"samerep.{room}")
    for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
        importlib.import_module(f"samerep.{room}.{found.name}")
assert all(hasattr(samerep, name) for name in set(samerep.__all__) - {"compare", "Comparison"})
"""


def needed(names: tuple[str, ...]) -> set[str]:
    """These distributions and all that they need on this machine."""
    names_needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in names_needed:
            names_needed.add(name)
            wanted = map(Requirement, distribution(name).requires or ())
            waiting += [r.name for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return names_needed


def link_core(packages: Path) -> None:
    """The core's packages as links to those of this environment: nothing is fetched, and nothing else is there."""
    for name in needed(CORE):
        held = distribution(name)
        for top in {file.parts[0] for file in held.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (packages / top).symlink_to(Path(str(held.locate_file(top))))


@pytest.fixture(scope="module")
def python(tmp_path_factory) -> Path:
    """The Python of an empty environment with the built wheel and the core's packages."""
    place = tmp_path_factory.mktemp("library")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", "."]
    subprocess.run([*build, str(ROOT)], cwd=place, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place / "venv")], check=True)
    interpreter = place / "venv" / "bin" / "python"
    (wheel,) = place.glob("samerep-*.whl")
    install = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    link_core(packages_of(interpreter))
    return interpreter


def packages_of(python: Path) -> Path:
    (folder,) = (python.parent.parent / "lib").glob("python*/site-packages")
    return folder


def call(python: Path, folder: Path, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the empty environment's Python in a folder, without this process's settings."""
    ours = ("SAMEREP_", "NUMBA_", "PYTHON")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [python, *words],
        cwd=folder,
        env=clean | variables,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def files(folder: Path) -> Iterator[Path]:
    """Everything below a folder, but not behind links."""
    return (Path(top) / name for top, _, names in os.walk(folder) for name in names)


@pytest.mark.slow
def test_it_matches_two_arrays_with_the_core_alone_and_leaves_installed_packages_alone(python, tmp_path):
    before = set(files(packages_of(python)))
    assert before
    result = call(python, tmp_path, "-c", f"{MATCH}\nassert samerep.minimal_match(x, y, ('x', 0), 0.1) is not None")
    assert (result.returncode, result.stderr) == (0, "")
    assert set(files(packages_of(python))) == before
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert any((tmp_path / "cache" / "numba").rglob("*.nbi"))


@pytest.mark.slow
def test_compiled_code_goes_where_the_variable_says_or_nowhere(python, tmp_path):
    work, kept = tmp_path / "work", tmp_path / "kept"
    work.mkdir()
    assert call(python, work, "-c", MATCH, SAMEREP_CACHE=str(kept)).returncode == 0
    assert any((kept / "numba").rglob("*.nbi"))
    blocked = call(python, work, "-c", "import samerep; samerep.maximum_match", SAMEREP_CACHE="/dev/null/no")
    assert (blocked.returncode, blocked.stderr) == (0, "")
    assert not list(work.iterdir())


@pytest.mark.slow
def test_every_core_module_is_imported_without_the_extras(python, tmp_path):
    result = call(python, tmp_path, "-c", EVERY_CORE_MODULE)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.slow
def test_what_needs_an_extra_says_which_in_one_line(python, tmp_path):
    program = f"{PRELUDE}\nfrom samerep.matching.diagnostics import diagnose\ndiagnose(x, y)"
    line = call(python, tmp_path, "-c", program).stderr.splitlines()[-1]
    assert line.endswith("BadInput: pandas is not installed: pip install 'samerep[networks]' brings it")
    for name in ("compare", "Comparison"):
        line = call(python, tmp_path, "-c", f"import samerep\nsamerep.{name}").stderr.splitlines()[-1]
        assert line.endswith("BadInput: torch is not installed: pip install 'samerep[networks]' brings it")
    command = call(python, tmp_path, "-m", "samerep", "--help")
    assert (command.returncode, command.stderr) == (
        1,
        "error: click is not installed: pip install 'samerep[networks]' brings it\n",
    )


@pytest.mark.slow
def test_with_all_packages_it_trains_in_the_folder_where_it_is_started(python, tmp_path):
    options = "network=vgg8_bn dataset=digits width=0.06 recipe=digits epochs=1 seeds=0"
    words = ["train", *(f"--{option}" for option in options.split())]
    program = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module('samerep', run_name='__main__')"
    library = (sys.executable, "-c", program, str(packages_of(python)))
    done = call(Path(library[0]), tmp_path, *library[1:], *words)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob("runs/digits/*/*/seed-0/epoch-001.safetensors"))
    page = call(Path(library[0]), tmp_path, *library[1:], "book")
    assert page.returncode == 1
    assert page.stderr.splitlines()[-1].endswith("the pages are made in the book's clone, after `make book`")


def test_exported_names_are_there_and_documented():
    for name in helpers.__all__:
        assert getattr(helpers, name).__doc__, name
    with pytest.raises(AttributeError, match="module 'helpers' has no attribute 'maximal_match'"):
        _ = helpers.maximal_match
    assert 10 <= len(helpers.__all__) <= 16


def test_an_optional_package_that_is_there_is_imported():
    assert optional("json", "networks").loads("[1]") == [1]
    with pytest.raises(BadInput, match=r"^nowhere is not installed: pip install 'samerep\[measures\]' brings it$"):
        optional("nowhere", "measures")
