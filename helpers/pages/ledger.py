"""The ledger: what the paper claims (`book/claims.yml`) against what is recorded (`results/`), judged by code.

A check has a quantity, a bound, and cells: the quantity's value in each recorded study and at each ε. A cell holds when
its value keeps the bound; the verdict of a check, a claim or a question follows from its cells alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from .. import studies
from ..errors import BadInput, unknown
from ..files import ROOT
from ..matching.match import similarity_curve
from ..studies import Result, causes, constructions
from ..subspaces import Gram
from . import layers
from .figures import Markup

CLAIMS = ROOT / "book" / "claims.yml"
REPRODUCED, PARTLY, NOT, UNATTEMPTED = "reproduced", "partly", "not reproduced", "not attempted"
VERDICTS = (REPRODUCED, PARTLY, NOT, UNATTEMPTED)
ENOUGH = 0.2  # a share of what is left is taken only of similarities this high
EMPTY = 0.05  # below it a layer counts as not matching
SHOWN = "cifar10-vgg16_bn-w0.25-short10"  # the study in the first figures of the pages on causes and simple matches
LEAST_LAYERS = 5  # for a correlation over layers

Cell = tuple[str, float | None, str, float]  # study, ε, layers, value


@dataclass(frozen=True)
class Check:
    """One line of the ledger: `quantity` over `layers` must lie `below` or `above` a bound fixed in advance; `why`."""

    id: str
    claim: str
    says: str
    quantity: str
    why: str
    layers: tuple[str, ...] = ("",)
    than: str = ""
    epsilons: tuple[float, ...] = ()
    accuracy: float = 0.0
    below: float = np.inf
    above: float = -np.inf
    page: str = ""
    figure: str = ""
    later: bool = False  # added after the records were read: judged, but not counted for the claim

    @property
    def bound(self) -> str:
        """The bound in words."""
        return f"below {self.below:g}" if np.isfinite(self.below) else f"above {self.above:g}"

    def holds(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        return bool(self.above < value < self.below)


@dataclass(frozen=True)
class Book:
    """`claims.yml`, read: ranges of layers, claims and questions as they are, checks as objects."""

    ranges: dict[str, dict[str, Any]]
    claims: list[dict[str, Any]]
    questions: list[dict[str, Any]]
    checks: list[Check]


def read_claims(path: Path = CLAIMS) -> Book:
    """The claims file; BadInput for an unknown key, quantity, range of layers or check."""
    raw = yaml.safe_load(path.read_text())
    checks = [_check(entry, claim["id"], raw) for claim in raw["claims"] for entry in claim["checks"]]
    known = [check.id for check in checks]
    if len(set(known)) < len(known):
        raise BadInput(f"{path.name}: checks {known} repeat; give each its own id")
    for question in raw["questions"]:
        for name in question["checks"]:
            if name not in known:
                raise unknown(f"check of {question['id']}", name, known)
    return Book(raw["ranges"], raw["claims"], raw["questions"], checks)


def _check(entry: dict[str, Any], claim: str, raw: dict[str, Any]) -> Check:
    known = [f.name for f in fields(Check)]
    for key in entry:
        if key not in known:
            raise unknown(f"key of check {entry.get('id')}", key, known)
    if entry["quantity"] not in QUANTITIES:
        raise unknown(f"quantity of check {entry['id']}", entry["quantity"], QUANTITIES)
    named = entry.get("layers", [""])
    named = (named,) if isinstance(named, str) else tuple(named)
    for name in [*named, entry.get("than", "")]:
        if name and name not in raw["ranges"]:
            raise unknown(f"layers of check {entry['id']}", name, raw["ranges"])
    epsilons = raw["epsilons"] if entry.get("epsilons") == "paper" else entry.get("epsilons", [])
    return Check(**entry | {"claim": claim, "layers": named, "epsilons": tuple(epsilons)})


# ---------------------------------------------------------------- what is recorded


@dataclass
class Records:
    """Everything in results/ that a check can read: trained studies, their untrained twins, causes, minimal matches."""

    trained: dict[str, Result] = field(default_factory=dict)
    untrained: dict[str, Result] = field(default_factory=dict)
    causes: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)
    simple_matches: dict[str, dict[str, pd.DataFrame]] = field(default_factory=dict)

    @cached_property
    def means(self) -> dict[str, pd.DataFrame]:
        """Mean similarity over pairs by layer and ε, of each trained study."""
        return {name: mean_similarity(result) for name, result in self.trained.items()}


def mean_similarity(result: Result) -> pd.DataFrame:
    """The mean over pairs of the similarity at the paper's ε, by layer."""
    by = [*layers.PLACE, "epsilon"]
    return result.similarity().groupby(by, observed=True)["similarity"].mean().reset_index()


def records() -> Records:
    """All CIFAR-10 records on the whole test set, after the ReLU."""
    found = Records()
    for place in studies.records_of("seeds"):
        study = studies.recorded_study(place)
        if _counts(study):
            if study.epoch in (None, study.runs[0].recipe.epochs):
                found.trained[study.id] = studies.read(study, place)
            elif study.epoch == 0:
                found.untrained[replace(study, epoch=None).id] = studies.read(study, place)
    for kind in ("causes", "simple_matches"):
        for place in studies.records_of(kind):
            if _counts(studies.recorded_study(place)):
                getattr(found, kind)[place.name.removeprefix(f"{kind}-")] = studies.read_tables(place)[0]
    return found


def _counts(study: studies.Study) -> bool:
    return study.dataset == "cifar10" and study.images is None and not study.before_relu


def in_range(table: pd.DataFrame, name: str, ranges: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """The rows of the layers a range names: by kind, by depth, or the first few."""
    rule = ranges[name]
    rows = table[table["kind"].isin(rule["kinds"])]
    rows = rows[rows["depth"].between(rule.get("from", 0), rule.get("to", 1))]
    if "first" in rule:
        rows = rows[rows["position"].isin(sorted(rows["position"].unique())[: rule["first"]])]
    return rows


# ---------------------------------------------------------------- quantities

Ranges = dict[str, dict[str, Any]]
Quantity = Callable[[Records, Check, Ranges], Iterator[Cell]]


def _level(table: pd.DataFrame, name: str, epsilon: float, ranges: Ranges) -> float:
    """Mean similarity over the layers of a range at one ε; NaN if there are none."""
    rows = in_range(table[np.isclose(table["epsilon"], epsilon)], name, ranges)
    return float(rows["similarity"].mean()) if len(rows) else np.nan


def similarity(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Mean similarity over pairs and layers."""
    for study, means in found.means.items():
        for epsilon in check.epsilons:
            yield study, epsilon, check.layers[0], _level(means, check.layers[0], epsilon, ranges)


def similarity_of_accurate(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The same, of studies whose networks all reach an accuracy."""
    good = {name for name, r in found.trained.items() if r.tables["networks"]["accuracy"].min() >= check.accuracy}
    yield from (cell for cell in similarity(found, check, ranges) if cell[0] in good)


def highest(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The largest mean over pairs, among the layers and the paper's ε; the cell names where."""
    for study, means in found.means.items():
        for row in in_range(means, check.layers[0], ranges).sort_values("similarity").tail(1).to_dict("records"):
            yield study, float(row["epsilon"]), str(row["layer"]), float(row["similarity"])


def difference(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Similarity of one range less that of another."""
    for study, means in found.means.items():
        for epsilon in check.epsilons:
            here, there = (_level(means, name, epsilon, ranges) for name in (check.layers[0], check.than))
            yield study, epsilon, check.layers[0], here - there


def trained_less_untrained(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Similarity of trained less that of untrained networks, where both are recorded."""
    for study in sorted(found.trained.keys() & found.untrained.keys()):
        tables = found.means[study], mean_similarity(found.untrained[study])
        for epsilon in check.epsilons:
            after, before = (_level(table, check.layers[0], epsilon, ranges) for table in tables)
            yield study, epsilon, check.layers[0], after - before


def dimension_correlation(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Spearman's correlation of effective rank (centred activations) and median critical ε over the layers."""
    for study, result in found.trained.items():
        rows = in_range(result.tables["layers"], check.layers[0], ranges)
        rank = rows.groupby("layer")["effective_rank_centred"].mean()
        middle = layers.critical_summary(result.tables["critical"]).set_index("layer")["median"]
        if len(rank) >= LEAST_LAYERS:
            yield study, None, check.layers[0], float(spearmanr(rank, middle[rank.index]).statistic)


def _of_base(found: Records, check: Check, ranges: Ranges, condition: str, base: str = "as it is") -> Iterator[Cell]:
    """Similarity under a condition as a share of that under another, over layers where that is high enough."""
    for study, tables in found.causes.items():
        wide = tables["similarity"].pivot_table(
            index=[*layers.PLACE, "epsilon"], columns="condition", values="similarity", observed=True
        )
        if not {condition, base} <= set(wide):
            continue  # without a third network there are no third logits
        wide = in_range(wide.reset_index(), check.layers[0], ranges)
        wide = wide[wide[base] >= ENOUGH]
        for epsilon, rows in wide.groupby("epsilon"):
            yield study, _number(epsilon), check.layers[0], float(rows[condition].sum() / rows[base].sum())


def _number(key: Any) -> float:
    """The key of a group, which pandas types as anything."""
    return float(key)


def kept_within_classes(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of similarity left when the second network sees other images of the same classes."""
    return _of_base(found, check, ranges, "same class")


def lost_without_logits(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of similarity lost when the other network's logits are projected out of each."""
    for study, epsilon, where, kept in _of_base(found, check, ranges, "other logits"):
        yield study, epsilon, where, 1 - kept


def lost_without_third_logits(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Of the similarity of centred layers, the share lost without the logits of a third network.

    Neither of the two contains them by construction; and projecting them out centres, so centred layers are the base.
    """
    for study, epsilon, where, kept in _of_base(found, check, ranges, "third logits", "centred"):
        yield study, epsilon, where, 1 - kept


def lost_without_class_means(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Of the similarity of centred layers, the share lost without the class means."""
    for study, epsilon, where, kept in _of_base(found, check, ranges, "class means", "centred"):
        yield study, epsilon, where, 1 - kept


def outputs_beyond_strength(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """How much more of the centred area equally strong directions leave than a third network's logits do."""
    for study, rows in _equal_variance(found, check, ranges):
        yield study, None, check.layers[0], float((rows["strongest"] - rows["logits"]).mean())


def lost_beside_logits(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of the centred area lost without a third network's strongest directions beside its logits."""
    for study, rows in _equal_variance(found, check, ranges):
        yield study, None, check.layers[0], float(1 - rows["beside"].mean())


def _equal_variance(found: Records, check: Check, ranges: Ranges) -> Iterator[tuple[str, pd.DataFrame]]:
    for study, tables in found.causes.items():
        if "directions" in tables and len(tables["directions"]):
            rows = in_range(causes.at_equal_variance(tables["directions"]), check.layers[0], ranges)
            if len(rows):
                yield study, rows


def same_training(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Similarity of two late checkpoints of one training, two epochs apart."""
    for study, tables in found.causes.items():
        rows = tables["similarity"][tables["similarity"]["condition"] == "2 epochs apart"]
        for epsilon in check.epsilons if len(rows) else ():
            yield study, epsilon, check.layers[0], _level(rows, check.layers[0], epsilon, ranges)


def cka_where_unmatched(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Mean linear CKA over the compressed layers of a range that hardly match at ε = 0.3."""
    for study, result in found.trained.items():
        rows = in_range(found.means[study], check.layers[0], ranges)
        rows = rows[np.isclose(rows["epsilon"], 0.3) & (rows["similarity"] < EMPTY) & rows["layer"].isin(result.kept)]
        values = [_cka(result.gram(layer)) for layer in rows["layer"]]
        if values:
            yield study, 0.3, check.layers[0], float(np.mean(values))


def cka_learned(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Mean linear CKA of trained less untrained pairs, over the layers of a range kept of both."""
    for study in sorted(found.trained.keys() & found.untrained.keys()):
        after, before = found.trained[study], found.untrained[study]
        names = in_range(found.means[study], check.layers[0], ranges)["layer"].unique()
        both = [layer for layer in names if layer in after.kept and layer in before.kept]
        if both:
            gains = [_cka(after.gram(layer)) - _cka(before.gram(layer)) for layer in both]
            yield study, None, check.layers[0], float(np.mean(gains))


def _cka(gram: Gram) -> float:
    """Linear CKA of the first two networks of a compressed layer."""
    return causes.linear_cka(gram.networks([0, 1]).centred().gram, gram.sizes[0])


def johnson_similarity(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Similarity of two layers built to give the same outputs from signals hidden in different company."""
    independent = Gram(np.zeros(24), 1000, (8, 8, 8), np.eye(24))
    twins = constructions.same_output_twins(independent, 0.9)
    for epsilon in check.epsilons:
        yield "construction", epsilon, "", float(similarity_curve(twins, [epsilon])[0])


def self_match(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The smallest self-match of any layer and network, dead neurons aside."""
    for study, result in found.trained.items():
        row = result.tables["layers"].sort_values("self_match").iloc[0]
        yield study, None, str(row["layer"]), float(row["self_match"])


def _sampled(found: Records) -> Iterator[tuple[str, pd.DataFrame]]:
    for study, result in found.trained.items():
        if "sampled" in result.tables:
            yield study, layers.sampling_error(result)


def sampling_error(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Mean absolute difference over the layers between the paper's sampling and the full test set."""
    for study, errors in _sampled(found):
        for epsilon, rows in in_range(errors, check.layers[0], ranges).groupby("epsilon"):
            yield study, _number(epsilon), check.layers[0], float(rows["difference"].abs().mean())


def worst_sampling_error(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The largest such difference of any layer."""
    for study, errors in _sampled(found):
        for epsilon, rows in in_range(errors, check.layers[0], ranges).groupby("epsilon"):
            worst = rows.assign(off=rows["difference"].abs()).sort_values("off").iloc[-1]
            yield study, _number(epsilon), str(worst["layer"]), float(worst["off"])


def _smallest_sizes(found: Records, check: Check, ranges: Ranges) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Per study and level of matching, the sizes of each neuron's minimal matches, and how many neurons there are."""
    for study, tables in found.simple_matches.items():
        neuron = ["share", "layer", "seed_a", "seed_b", "side", "neuron"]
        sizes = in_range(tables["sizes"], check.layers[0], ranges).groupby(neuron, observed=True)["size"]
        smallest = sizes.agg(smallest="min", median="median").reset_index()
        smallest = smallest.merge(tables["levels"][["share", "layer", "seed_a", "seed_b", "neurons"]])
        for share, rows in smallest.groupby("share"):
            yield study, f"{check.layers[0]}, {share:.0%} matched", rows


def _share_up_to(rows: pd.DataFrame, size: int) -> float:
    """Mean over layers and pairs of the share of all neurons with a minimal match of at most `size` neurons."""
    rows = rows.assign(few=rows["smallest"] <= size)
    groups = rows.groupby(["layer", "seed_a", "seed_b"])
    return float((groups["few"].sum() / groups["neurons"].first()).mean())


def share_single(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of all neurons with a minimal match of one neuron a side."""
    for study, where, rows in _smallest_sizes(found, check, ranges):
        yield study, None, where, _share_up_to(rows, 2)


def share_small(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of all neurons with a minimal match of at most four neurons."""
    for study, where, rows in _smallest_sizes(found, check, ranges):
        yield study, None, where, _share_up_to(rows, 4)


def single_beyond_null(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The share of minimal matches of one neuron a side, less the same for reassigned neurons: mean over layers."""
    for study, tables in found.simple_matches.items():
        shares = [
            in_range(tables[name], check.layers[0], ranges).assign(two=lambda rows: rows["size"] == 2)
            for name in ("sizes", "null")
        ]
        observed, null = (rows.groupby(["share", "layer"], observed=True)["two"].mean() for rows in shares)
        for share, values in (observed - null).dropna().groupby("share"):
            yield study, None, f"{check.layers[0]}, {share:.0%} matched", float(values.mean())


def median_size(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """The median size of minimal matches over the matched neurons of all layers and pairs."""
    for study, where, rows in _smallest_sizes(found, check, ranges):
        yield study, None, where, float(rows["median"].median())


def imagenet_trained(found: Records, check: Check, ranges: Ranges) -> Iterator[Cell]:
    """Similarity of trained ImageNet networks: none are recorded, since no weights of two seeds are to be had."""
    yield from ()


QUANTITIES: dict[str, Quantity] = {
    function.__name__: function
    for function in (
        similarity,
        similarity_of_accurate,
        highest,
        difference,
        trained_less_untrained,
        dimension_correlation,
        kept_within_classes,
        lost_without_logits,
        lost_without_third_logits,
        lost_without_class_means,
        outputs_beyond_strength,
        lost_beside_logits,
        same_training,
        cka_where_unmatched,
        cka_learned,
        johnson_similarity,
        share_single,
        share_small,
        single_beyond_null,
        median_size,
        self_match,
        sampling_error,
        worst_sampling_error,
        imagenet_trained,
    )
}


# ---------------------------------------------------------------- verdicts


@dataclass
class Ledger:
    """All cells, and the verdicts that follow from them.

    cells: check, study, network, width, epsilon, layers, value, holds. checks: id, claim, says, bound, why, fixed
    (before the records were read, or later), verdict, held, cells, lowest, highest. claims and questions: id, text,
    verdict, and how many of the checks that were fixed before came out how.
    """

    book: Book
    cells: pd.DataFrame
    checks: pd.DataFrame
    claims: pd.DataFrame
    questions: pd.DataFrame


@cache
def evaluate() -> Ledger:
    """Judge every check by what lies in results/ now."""
    return judge(read_claims(), records())


def judge(book: Book, found: Records) -> Ledger:
    """The same for any claims and records."""
    rows = [row for check in book.checks for row in _cells(check, found, book.ranges)]
    columns = ["check", "study", "network", "width", "epsilon", "layers", "value", "holds"]
    cells = pd.DataFrame(rows, columns=columns)
    checks = pd.DataFrame([_check_row(check, cells[cells["check"] == check.id]) for check in book.checks])
    verdicts = dict(zip(checks["id"], checks["verdict"], strict=True))
    counted = {check.id for check in book.checks if not check.later}
    claims = [(claim, [check["id"] for check in claim["checks"] if check["id"] in counted]) for claim in book.claims]
    questions = [(question, [name for name in question["checks"] if name in counted]) for question in book.questions]
    return Ledger(book, cells, checks, _judged(claims, verdicts), _judged(questions, verdicts))


def _cells(check: Check, found: Records, ranges: Ranges) -> Iterator[dict[str, Any]]:
    for name in check.layers:
        for study, epsilon, where, value in QUANTITIES[check.quantity](found, replace(check, layers=(name,)), ranges):
            if np.isfinite(value):  # a network without such layers has no cell
                row = {"check": check.id, "study": study, "epsilon": epsilon, "layers": where, "value": value}
                yield row | _network_of(found, study) | {"holds": check.holds(value)}


def _network_of(found: Records, study: str) -> dict[str, Any]:
    if study not in found.trained:
        return {"network": "", "width": np.nan}
    known = found.trained[study].study
    return {"network": known.network, "width": known.width}


def _check_row(check: Check, cells: pd.DataFrame) -> dict[str, Any]:
    row: dict[str, Any] = {
        "id": check.id,
        "claim": check.claim,
        "says": check.says,
        "bound": check.bound,
        "why": check.why,
        "fixed": "later" if check.later else "before",
    }
    held, values = int(cells["holds"].sum()), cells["value"].astype(float)
    row |= {"verdict": verdict_of_cells(held, len(cells)), "held": held, "cells": len(cells)}
    return row | {"lowest": values.min(), "highest": values.max()}


def verdict_of_cells(held: int, cells: int) -> str:
    """Of a check: all of its cells hold, some, none, or there are none."""
    if not cells:
        return UNATTEMPTED
    return REPRODUCED if held == cells else PARTLY if held else NOT


def combined(verdicts: Sequence[str]) -> str:
    """Of a claim or question: what its attempted checks agree on, else "partly"."""
    attempted = {verdict for verdict in verdicts if verdict != UNATTEMPTED}
    if not attempted:
        return UNATTEMPTED
    return attempted.pop() if len(attempted) == 1 else PARTLY


def _judged(entries: Sequence[tuple[dict[str, Any], list[str]]], verdicts: dict[str, str]) -> pd.DataFrame:
    rows = []
    for entry, names in entries:
        found = [verdicts[name] for name in names]
        counts = {verdict: found.count(verdict) for verdict in VERDICTS}
        text = {key: entry[key] for key in ("id", "text", "answer") if key in entry}
        rows.append(text | {"verdict": combined(found), "checks": ", ".join(names)} | counts)
    return pd.DataFrame(rows)


def summary() -> pd.DataFrame:
    """For the front page: each claim, its verdict, and how many cells of the checks fixed before held."""
    found = evaluate()
    per_claim = found.checks[found.checks["fixed"] == "before"].groupby("claim", sort=False)
    cells = per_claim["held"].sum().astype(str) + " of " + per_claim["cells"].sum().astype(str)
    table = found.claims[["id", "text", "verdict"]].assign(held=found.claims["id"].map(cells).to_numpy())
    return table.rename(columns={"id": "claim", "text": "what the paper says", "held": "measurements that agree"})


# ---------------------------------------------------------------- evidence


def evidence(check: Check, study: str) -> str:
    """A cell's evidence seen from the ledger's page: page and figure, or the page if its figure shows another study."""
    if check.page:
        shown = check.figure and study in (SHOWN, "construction")
        return f"{check.page}.html" + (f"#{check.figure}" if shown else "")
    page = layers.page_of(study)
    return f"{page}.html#{check.figure or 'fig-map'}-{page}"


def links(ledger: Ledger, cells: pd.DataFrame) -> pd.DataFrame:
    """Cells for reading: what was measured where, against which bound, and a link to page and figure."""
    checks = {check.id: check for check in ledger.book.checks}
    rows = cells.to_dict("records")
    words = [str(ledger.book.ranges.get(row["layers"], {}).get("words", row["layers"])) for row in rows]
    where = [Markup(f'<a href="{evidence(checks[row["check"]], row["study"])}">{row["study"]}</a>') for row in rows]
    found = cells[["check", "epsilon", "value"]].assign(layers=words, bound=[checks[r["check"]].bound for r in rows])
    # as objects: a text column would make plain text of the links
    found["evidence"] = pd.Series(where, index=found.index, dtype=object)
    return found[["check", "evidence", "layers", "epsilon", "value", "bound"]]


def check_table(ledger: Ledger) -> pd.DataFrame:
    """The checks for reading: what was asked, which bound, how many cells hold, and the range of their values."""
    found = ledger.checks
    held = found["held"].astype(str) + " of " + found["cells"].astype(str)
    values = [f"{row.lowest:.2f} – {row.highest:.2f}" if row.cells else "" for row in found.itertuples()]
    return found[["id", "says", "bound", "fixed", "verdict"]].assign(held=held, values=values)


def plot(ledger: Ledger) -> Figure:
    """A row a check, a column a study: how many of the cells hold, as numbers and as a colour (violet: all)."""
    cells = ledger.cells[ledger.cells["study"].isin(records_of(ledger))]
    held = cells.pivot_table(index="check", columns="study", values="holds", aggfunc="mean", observed=True)
    order = [name for name in ledger.checks["id"] if name in held.index]
    held = held.loc[order]
    counts = cells.groupby(["check", "study"])["holds"].agg(["sum", "size"])
    figure, ax = plt.subplots(figsize=(7.6, 2.2 + 0.3 * len(order)))
    ax.imshow(held.to_numpy(dtype=float), cmap="PuOr", vmin=-0.8, vmax=1.8, aspect="auto")
    for (check, study), (kept, size) in zip(counts.index, counts.to_numpy(), strict=True):
        place = list(held.columns).index(study), order.index(check)
        ax.text(*place, f"{kept}/{size}", ha="center", va="center")
    names = [name.removeprefix("cifar10-") for name in held.columns]
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right")
    ax.set_yticks(range(len(order)), order)
    ax.grid(False)
    return figure


def records_of(ledger: Ledger) -> list[str]:
    """The studies that have cells, constructions aside."""
    return sorted(ledger.cells.loc[ledger.cells["network"] != "", "study"].unique())
