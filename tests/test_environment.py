"""pyproject.toml, the locks and environment.yml say the same, and what the code imports."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.files import ROOT
from helpers.pages.teaching.course import locked

LOCKS = {name: locked(ROOT / f"requirements{name}.lock") for name in ("", "-cuda", "-dev")}
LOCK = [Requirement(line) for lines in LOCKS.values() for line in lines]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
EXTRAS = PROJECT["optional-dependencies"]
WANTED = [
    wanted
    for text in (*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra))
    if (wanted := Requirement(text)).name != PROJECT["name"]
]
OURS = ("helpers", "benchmarks", "book", "notebooks", "tests")


def imported(folder: str) -> set[str]:
    """The packages of others that the code in a folder imports, by their names in Python."""
    names: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module))
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - set(OURS)


def test_the_lock_holds_exact_versions_and_no_addresses():
    assert all(re.fullmatch(r"==[^*,]+", str(r.specifier)) and r.url is None for r in LOCK)
    for name, lines in LOCKS.items():
        text = (ROOT / f"requirements{name}.lock").read_text()
        assert not re.search(r"https?://|file:|/|--(?!hash=sha256:[0-9a-f]{64}\b)", text)
        assert all("--hash" in entry for entry in re.split(r"\n(?=\S)", text))
        assert lines


def test_the_locks_share_no_line_and_the_book_needs_neither_cuda_nor_tools():
    everything = [line for lines in LOCKS.values() for line in lines]
    assert len(everything) == len(set(everything))
    names = {canonicalize_name(Requirement(line).name) for line in LOCKS[""]}
    assert not {"pytest", "mypy", "playwright", "ruff", "uv", "distributed"} & names
    assert not {name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))}


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_each_dependency_is_locked_at_a_version_it_allows(wanted):
    locked = [r for r in LOCK if canonicalize_name(r.name) == canonicalize_name(wanted.name)]
    assert locked, f"{wanted.name} is not in requirements.lock: run `make lock`"
    for each in locked:
        assert wanted.specifier.contains(next(iter(each.specifier)).version)


def test_conda_takes_everything_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-r requirements-cuda.lock"]}
    assert {re.split("[=<>]", name)[0] for name in conda} == {"python", "pip"}
    lowest = re.fullmatch(r">=(\d+\.\d+),<\d+\.\d+", PROJECT["requires-python"])
    assert lowest is not None
    assert f"python={lowest[1]}" in conda


@pytest.mark.parametrize("folder", OURS)
def test_what_is_imported_is_declared(folder):
    declared = {canonicalize_name(r.name) for r in WANTED}
    known = packages_distributions()
    missing = {name for name in imported(folder) if not declared & {canonicalize_name(d) for d in known.get(name, ())}}
    assert imported(folder)
    assert not missing


def test_the_clone_is_on_the_path_and_the_wheel_takes_every_room_but_the_pages():
    build = SETTINGS["tool"]["hatch"]["build"]
    assert build["dev-mode-dirs"] == ["."]
    assert build["targets"]["wheel"]["sources"] == {"helpers": "samerep"}
    assert build["targets"]["wheel"]["exclude"] == ["helpers/pages"]
    inits = {path.parent for path in (ROOT / "helpers").rglob("__init__.py")}
    assert {path.parent for path in (ROOT / "helpers").rglob("*.py")} == inits


def test_the_core_is_four_packages():
    assert [Requirement(text).name for text in PROJECT["dependencies"]] == ["numpy", "scipy", "numba", "jaxtyping"]


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def harmless(step):
    """Whether a step runs nothing of the repository or of packages: an action, or GitHub's own program."""
    return "run" not in step or re.fullmatch(r"gh release create [^;|&]+", step["run"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_pin_what_they_use_and_can_read_and_no_more(path):
    text, workflow = path.read_text(), yaml.safe_load(path.read_text())
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert all(re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", name) for name in used)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        writes = "write" in job.get("permissions", {}).values()
        foreign = [step for step in job["steps"] if "checkout" in step.get("uses", "") or not harmless(step)]
        assert not (writes and foreign)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_stops_what_a_newer_run_replaces_and_every_job_ends(path):
    found = yaml.safe_load(path.read_text())
    assert found["concurrency"]["group"]
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 90


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_installs_the_tools_that_it_runs(path):
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        commands = "\n".join(step.get("run", "") for step in job["steps"])
        if "-m pytest" in commands:
            assert "--requirement requirements-dev.lock" in commands
        for name in re.findall(r"tests/test_\w+\.py", commands):
            assert (ROOT / name).exists()
