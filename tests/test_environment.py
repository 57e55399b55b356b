"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib

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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [Requirement(r) for r in PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]]


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
