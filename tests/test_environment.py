"""pyproject.toml, requirements.lock and environment.yml say the same, and what the code imports."""

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

LOCK = [
    Requirement(line)
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line and not line.startswith("#")
]
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
WANTED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]
OURS = ("helpers", "benchmarks", "book", "notebooks", "tests")


def imported(folder: str) -> set[str]:
    """The packages of others that the code in a folder imports, by their names in Python."""
    found: set[str] = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(str(node.module))
    return {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) - set(OURS)


def test_the_lock_holds_exact_versions_and_no_addresses():
    assert all(re.fullmatch(r"==[^*,]+", str(r.specifier)) and r.url is None for r in LOCK)
    assert not re.search(r"https?://|file:|--", (ROOT / "requirements.lock").read_text())


@pytest.mark.parametrize("wanted", WANTED, ids=str)
def test_each_dependency_is_locked_at_a_version_it_allows(wanted):
    locked = [r for r in LOCK if canonicalize_name(r.name) == canonicalize_name(wanted.name)]
    assert locked, f"{wanted.name} is not in requirements.lock: run `make lock`"
    for each in locked:
        assert wanted.specifier.contains(next(iter(each.specifier)).version)


def test_conda_takes_everything_from_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": ["-r requirements.lock", "-e ."]}
    assert {re.split("[=<>]", name)[0] for name in conda} == {"python", "pip"}
    lowest = re.fullmatch(r">=(\d+\.\d+)", PROJECT["requires-python"])
    assert lowest is not None
    assert f"python={lowest[1]}" in conda


@pytest.mark.parametrize("folder", OURS)
def test_what_is_imported_is_declared(folder):
    declared = {canonicalize_name(r.name) for r in WANTED}
    known = packages_distributions()
    missing = {name for name in imported(folder) if not declared & {canonicalize_name(d) for d in known.get(name, ())}}
    assert imported(folder)
    assert not missing


def test_every_package_of_ours_is_installed():
    places = {path.parent for name in ("helpers", "benchmarks") for path in (ROOT / name).rglob("__init__.py")}
    assert set(SETTINGS["tool"]["setuptools"]["packages"]) == {".".join(p.relative_to(ROOT).parts) for p in places}
