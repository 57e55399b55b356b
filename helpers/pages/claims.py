"""The paper's claims and the bounds that decide them: `book/evidence.yml`, read and checked.

The bounds in this file were committed before any representation of the networks was looked at.
"""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadInput, unknown
from ..files import ROOT
from ..networks.architectures import family_named
from ..parameters import check_list, check_share
from ..schemas import Evidence, dumped, read_yaml
from ..studies.study import Study

EVIDENCE = ROOT / "book" / "evidence.yml"
SIDES = {"at_most": "at most", "at_least": "at least", "below": "below", "above": "above"}
SHARES = {"at_most_share": "at_most", "at_least_share": "at_least"}


@dataclass(frozen=True)
class Bound:
    """A bound on a number: "at_most" 0.1, "at_least" 0.8, "below" or "above"."""

    side: str
    value: float

    def keeps(self, measured: float) -> bool:
        """Whether a measured value keeps the bound. NaN never does."""
        tests = {"at_most": np.less_equal, "at_least": np.greater_equal, "below": np.less, "above": np.greater}
        return bool(tests[self.side](measured, self.value))

    def __str__(self) -> str:
        return f"{SIDES[self.side]} {self.value:.2f}"


@dataclass(frozen=True)
class Claim:
    """A claim of the paper: its text, when it holds, the bounds by quantity, and what was expected."""

    id: str
    text: str
    holds: str
    bounds: dict[str, Any]
    expected: str
    beside: dict[str, Any]

    def bound(self, quantity: str) -> Bound:
        """The bound of one quantity, such as "middle". Raises `BadInput` with the quantities that have one."""
        if quantity not in self.bounds:
            raise unknown(f"bound of {self.id}", quantity, self.bounds)
        return read_bound(self.bounds[quantity], f"{self.id}, {quantity}")


@dataclass(frozen=True)
class Plan:
    """The content of `evidence.yml`: the deciding ε, the other ε, the two studies, groups of layers, and the claims."""

    epsilon: float
    epsilons: tuple[float, ...]
    studies: dict[str, dict[str, Any]]
    groups: dict[str, dict[str, list[str]]]
    claims: tuple[Claim, ...]
    expected: dict[str, Any]

    def claim(self, name: str) -> Claim:
        """The claim with this id. Raises `BadInput` for an unknown one."""
        known = {claim.id: claim for claim in self.claims}
        if name not in known:
            raise unknown("claim", name, known)
        return known[name]

    def study(self, network: str, epoch: int | None = None) -> Study:
        """The study of one of the two networks. With `epoch` 0 it is the study of the untrained twins.

        Raises `BadInput` for another network.
        """
        if network not in self.studies:
            raise unknown("network", network, self.studies)
        entry = self.studies[network]
        sampled = epoch is None
        seeds = tuple(entry["seeds"])
        return Study(
            "cifar10", network, entry["width"], seeds, entry["recipe"], entry["epochs"], epoch, sampled=sampled
        )

    def name(self, network: str) -> str:
        """The name of the network for readers."""
        return str(self.studies[network]["name"])

    def group(self, network: str, layer: str) -> str:
        """The group of a layer: "first", "early", "middle", "late", "pool", "fc" or "logits".

        For the two networks that decide, it is that of `evidence.yml`; for the others, the one that their family
        declares. Raises `BadInput` for an unknown network, and for a layer that is in no group.
        """
        decides = network in self.groups
        groups = self.groups[network] if decides else family_named(network).groups
        for group, patterns in groups.items():
            if any(fnmatch(layer, pattern) for pattern in patterns):
                return group
        where = EVIDENCE.name if decides else "its family"
        raise BadInput(f"layer {layer} of {network} is in no group of {where}: add it to one")


def read_bound(entry: Any, where: str) -> Bound:
    """A bound from {side: number}. Raises `BadInput` unless it is one known side with one finite number."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise BadInput(f"bound of {where} is {entry!r}: expected one side and one number, such as at_most: 0.1")
    side, value = next(iter(entry.items()))
    side = SHARES.get(side, side)
    if side not in SIDES:
        raise unknown(f"side of the bound of {where}", side, [*SIDES, *SHARES])
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise BadInput(f"bound of {where} is {value!r}: expected a finite number")
    return Bound(side, float(value))


def read_evidence(path: Path = EVIDENCE) -> Plan:
    """The plan in `path`. Raises `BadInput` for what `schemas.Evidence` refuses, and for a bad bound."""
    raw = dumped(read_yaml(path, Evidence))
    claims = tuple(_claim(entry, path.name) for entry in raw["claims"])
    names = [claim.id for claim in claims]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path.name}: claim {name} is there twice; give each claim its own id")
    return Plan(raw["epsilon"], tuple(raw["epsilons"]), raw["studies"], raw["groups"], claims, raw["expected"])


def _claim(entry: dict[str, Any], where: str) -> Claim:
    claim = Claim(**entry)
    for quantity, bound in [*claim.bounds.items(), *claim.beside.items()]:
        name = f"{claim.id} in {where}, {quantity}"
        if quantity == "between":  # the range of similarity in which C4 is asked: no bound
            _check_range(bound, name)
        else:
            read_bound(bound, name)
    if set(claim.bounds) <= {"between"}:
        raise BadInput(f"claim {claim.id} in {where} has no bounds: a claim without a bound could not fail")
    return claim


def _check_range(value: Any, where: str) -> None:
    shares = check_list(where, value, check_share, "two shares, such as [0.05, 0.95]")
    if len(shares) != 2 or shares[0] > shares[1]:
        raise BadInput(f"{where} is {value}: expected two shares, the lower one first")
