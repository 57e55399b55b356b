"""How far can a match be trusted? Dead and duplicate neurons, rounding, rank, too few samples, close decisions.

`diagnose` measures. `flags` say in words what to look at. `refusals` say which numbers must not be used in any table.
Nothing is repaired silently: the route and the ridge λ are part of the answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ..errors import BadInput, optional
from ..parameters import check_epsilon
from ..subspaces import UNIT, Pair
from .match import critical_epsilons, named
from .objects import Match, Neuron, on_pairs
from .peeling import at_ridge, peel_once, rounding, slack

if TYPE_CHECKING:
    import pandas as pd

FLAGGED, REFUSED = 1e-4, 1e-3  # estimated error of a critical ε
GREY_RIDGES = (1e-14, 1e-12, 1e-10)
GREY_FROM, GREY_MOVE = 0.05, 1e-5  # grey: a critical ε above the first number, which λ moves by more than the second
LONE, LONE_FROM = 0.5, 20  # lone: a sample with more than this share of a neuron's power, where samples ≥ LONE_FROM
FEW = 10  # samples per neuron below which the distances are more than 5 % too small


@dataclass(frozen=True)
class Diagnosis:
    """The measurements of `diagnose`.

    - slack: a distance up to this counts as zero;
    - neurons: a table with one row per neuron. Its columns are side, neuron, dead, critical_epsilon, raw (the critical
      ε before the slack of an exact match), error (estimated) and moves (how much it changes with λ);
    - duplicates: groups of neurons of one side that are equal up to scale and sign;
    - lone: one line per side on which a single sample holds most of the power.
    """

    route: str
    ridge: float
    slack: float
    samples: int
    neurons: "pd.DataFrame"
    duplicates: tuple[tuple[Neuron, ...], ...]
    lone: tuple[str, ...] = ()

    @property
    def dead(self) -> Match:
        """The neurons that are zero on every sample."""
        return Match.of(_names(self.neurons[self.neurons.dead]))

    @property
    def samples_per_neuron(self) -> float:
        """The number of samples, divided by the number of alive neurons on the larger side."""
        alive = self.neurons[~self.neurons.dead].groupby("side").size()
        return self.samples / max(alive.max(), 1) if len(alive) else np.inf

    @property
    def grey(self) -> list[Neuron]:
        """Neurons whose critical ε depends on the tolerance that decides the rank of a side."""
        high = self.neurons.critical_epsilon.replace(np.inf, 1.0) > GREY_FROM
        return _names(self.neurons[high & (self.neurons.moves > GREY_MOVE)])

    def margin(self, epsilon: float) -> float:
        """The smallest |critical ε − ε| over the neurons: how much noise the maximum match at ε can bear.

        At ε = 0 it is the smallest distance of a raw critical ε from the slack. It is inf when no neuron can be
        matched.
        """
        raw = self.neurons.raw[np.isfinite(self.neurons.critical_epsilon)]
        return float(np.abs(raw - max(check_epsilon(epsilon), self.slack)).min()) if len(raw) else np.inf

    def margins(self, epsilons: Iterable[float]) -> "pd.DataFrame":
        """One row per ε: the margin, and whether the largest estimated error is smaller than it."""
        worst = self.neurons.error.max(skipna=True)
        rows = [(e, self.margin(e)) for e in epsilons]
        table = optional("pandas", "networks").DataFrame(rows, columns=["epsilon", "margin"])
        return table.assign(safe=table.margin > (0.0 if np.isnan(worst) else worst))

    @cached_property
    def refusals(self) -> list[str]:
        """Reasons not to use the numbers; empty when there are none."""
        reasons = []
        if self.samples_per_neuron <= 1:
            neurons = round(self.samples / self.samples_per_neuron)
            reasons.append(
                f"{self.samples} samples for {neurons} neurons: a side with as many neurons as samples spans "
                "everything, so every distance to it is 0; use more images"
            )
        return reasons + self._inexact(REFUSED, np.inf)

    @cached_property
    def flags(self) -> list[str]:
        """What a reader of the numbers should know, with the refusals first; empty when all is well."""
        flags = list(self.refusals)
        if 1 < self.samples_per_neuron < FEW:
            low = 1 - np.sqrt(1 - 1 / self.samples_per_neuron)
            flags.append(f"{self.samples_per_neuron:.1f} samples per neuron: distances up to {low:.0%} too small")
        if len(self.dead):
            flags.append(f"dead neurons (x: first side, y: second side), so in no match: {_listed(self.dead.neurons)}")
        if self.duplicates:
            flags.append(f"equal up to scale and sign: {_joined('; ', [_listed(group) for group in self.duplicates])}")
        flags += self.lone
        if self.grey:
            flags.append(f"critical ε of {_listed(self.grey)} depends on where the rank of a side is cut")
        return flags + self._inexact(FLAGGED, REFUSED)

    def _inexact(self, low: float, high: float) -> list[str]:
        """One line on the neurons whose estimated error lies in (low, high]."""
        bad = self.neurons[(self.neurons.error > low) & (self.neurons.error <= high)]
        advice = ": use the QR route" if self.route == "gram" else ""
        worst = f"{bad.error.max():.0e}"
        return [f"critical ε of {_listed(_names(bad))} may be wrong by {worst}{advice}"] if len(bad) else []

    def check(self) -> "Diagnosis":
        """This diagnosis; raises `BadInput` with the first refusal if there is one."""
        if self.refusals:
            raise BadInput(self.refusals[0])
        return self


def _names(rows: "pd.DataFrame") -> list[Neuron]:
    return [(str(side), int(i)) for side, i in zip(rows.side, rows.neuron, strict=True)]


def _joined(separator: str, parts: Sequence[str]) -> str:
    """The first five parts, and in words how many more there are."""
    return separator.join(parts[:5]) + (f" and {len(parts) - 5} more" if len(parts) > 5 else "")


def _listed(neurons: Sequence[Neuron]) -> str:
    return _joined(", ", [f"{side}{index}" for side, index in neurons])


# ---------------------------------------------------------------- measurements


def critical_errors(pair: Pair) -> Float[np.ndarray, " alive"]:
    """Estimated error of each alive neuron's critical ε.

    On the Gram route it is (1 + ‖c‖²)(λ + max |δG|) / 2r, where r is the critical ε and c are the coefficients of its
    fit. On the QR route nothing is squared: it is (1 + ‖c‖) u N from rounding plus ‖c‖² λ / 2r from the ridge. Where r
    is very small, the square root of the error of r² is smaller than the quotient and replaces it.
    """
    peeled = peel_once(pair)
    squares, sizes = peeled.sizes**2, peeled.sizes
    spoilt = (1 + squares) * (pair.ridge + rounding(pair)) if pair.route == "gram" else squares * pair.ridge
    direct = 0.0 if pair.route == "gram" else (1 + sizes) * UNIT * len(pair.gram)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.where(peeled.critical > 0, spoilt / (2 * peeled.critical), np.inf)
    return np.minimum(quotient, np.sqrt(spoilt)) + direct


def ridge_moves(pair: Pair) -> Float[np.ndarray, " alive"]:
    """How far each critical ε moves as λ takes the values 1e-14, 1e-12, 1e-10. A large move means an unclear rank."""
    peels = np.array([peel_once(at_ridge(pair, ridge)).critical for ridge in GREY_RIDGES])
    return np.ptp(peels, axis=0)


def same_direction(pair: Pair) -> Bool[np.ndarray, "alive alive"]:
    """True for two neurons of one side whose unit vectors are equal up to sign and rounding."""
    is_x = np.arange(len(pair.gram)) < len(pair.alive_x)
    return (np.abs(pair.gram) >= 1 - rounding(pair)) & (is_x == is_x[:, None])


def duplicate_groups(pair: Pair) -> tuple[tuple[Neuron, ...], ...]:
    """Groups of two or more neurons of one side that are equal up to scale and sign."""
    groups, labels = connected_components(csr_matrix(same_direction(pair)), directed=False)
    members = [np.flatnonzero(labels == group) for group in range(groups)]
    return tuple(tuple(named(pair, group).neurons) for group in members if len(group) > 1)


def lone_samples(pair: Pair) -> tuple[str, ...]:
    """In words: the sides on which one sample holds most of the power of at least half of the alive neurons.

    A match of such a side says only that both networks react to this sample. The powers are known only where the
    activations were seen: for arrays, and in `compare`.
    """
    lines = []
    for side, shares in zip("xy", pair.known.get("peak_shares", ((), ())), strict=True):
        shares = np.asarray(shares)
        alive, many = shares[shares > 0], shares[shares > LONE]
        if pair.samples >= LONE_FROM and len(alive) and 2 * len(many) >= len(alive):
            what = f"one sample in {pair.samples} holds {np.median(many):.0%} of the power"
            lines.append(f"{what} of {len(many)} of {len(alive)} neurons of {side}")
    return tuple(lines)


@partial(on_pairs, few_samples=True)
def diagnose(pair: Pair, ridges: bool = True) -> Diagnosis:
    """Measure what could be wrong with the critical ε of a pair, neuron by neuron.

    With `ridges` the pair is peeled under three other λ as well, which `Diagnosis.grey` needs. Without it the column
    `moves` is 0 and `grey` is empty.
    """
    tabular = optional("pandas", "networks")
    alive = {"x": pair.alive_x, "y": pair.alive_y}
    cut = len(pair.alive_x)
    moves = ridge_moves(pair) if ridges else np.zeros(len(pair.gram))
    measured = np.column_stack([peel_once(pair).critical, critical_errors(pair), moves])
    tables = []
    for side, values, part in zip("xy", critical_epsilons(pair), (slice(0, cut), slice(cut, None)), strict=True):
        table = tabular.DataFrame(
            {"side": side, "neuron": np.arange(len(values)), "dead": True, "critical_epsilon": values}
        )
        table[["raw", "error", "moves"]] = np.nan
        table.loc[alive[side], "dead"] = False
        table.loc[alive[side], ["raw", "error", "moves"]] = measured[part]
        tables.append(table)
    neurons = tabular.concat(tables, ignore_index=True)
    return Diagnosis(
        pair.route, pair.ridge, slack(pair), pair.samples, neurons, duplicate_groups(pair), lone_samples(pair)
    )
