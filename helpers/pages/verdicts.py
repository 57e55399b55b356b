"""Every claim of the paper compared with the measurements: rows of evidence, and a verdict.

A row is one number with its bound: "similarity in the middle layers of ResNet-18 is 0.00, at most 0.10 was asked". The
verdict of a claim follows from its rows alone:

- **holds**: all keep their bounds;
- **fails**: none does;
- **holds for … only**: some do, and these are named;
- **open**: a number is missing, and it is named.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..studies.counts import counted_similarity
from .claims import Bound, Claim, Plan

HOLDS, FAILS, OPEN = "holds", "fails", "open"
PLACES = {
    "first": "the first layer",
    "early": "the early layers",
    "middle": "the middle layers",
    "late": "the late layers",
    "pool": "the pooled features",
    "fc": "the hidden fully connected layers",
    "logits": "the logits",
}
UNDECIDED = "found; up to"
OPEN_SMALL = "where it holds, it is open whether matches of at most 5 neurons are rare, too"
PARTS = "for some networks or layers only"
HIDDEN = ("first", "early", "middle", "late", "pool", "fc")


@dataclass
class Measured:
    """What is recorded of the two networks, by network: tables as the studies write them.

    Missing ones are not recorded.

    critical, untrained, sampled, accuracy: from the kind "seeds". small: the table "levels" of small matches.
    stitched: one row per layer and pair with accuracy_lost. targets: one row per group and other target with the share
    of calibrated similarity that it keeps.
    """

    critical: dict[str, pd.DataFrame] = field(default_factory=dict)
    untrained: dict[str, pd.DataFrame] = field(default_factory=dict)
    sampled: dict[str, pd.DataFrame] = field(default_factory=dict)
    accuracy: dict[str, pd.Series] = field(default_factory=dict)
    small: dict[str, pd.DataFrame] = field(default_factory=dict)
    stitched: dict[str, pd.DataFrame] = field(default_factory=dict)
    targets: dict[str, pd.DataFrame] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One number with its bound. `value` is NaN if it was not measured.

    Without `votes` it is shown but does not count.
    """

    network: str
    what: str
    value: float
    bound: Bound
    place: str = ""
    votes: bool = True

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return not np.isnan(self.value)

    @property
    def keeps(self) -> bool:
        """Whether the number keeps its bound."""
        return self.bound.keeps(self.value)


@dataclass(frozen=True)
class Verdict:
    """The answer to a claim: the word, one sentence with the deciding numbers, and the rows from which it follows.

    `later` is a reading that was added after looking. It stands beside the word and replaces nothing.
    """

    claim: Claim
    word: str
    sentence: str
    rows: tuple[Row, ...]
    later: str = ""

    @property
    def answer(self) -> str:
        """The word, and the later reading if there is one."""
        return f"{self.word}. Added later: {self.later}" if self.later else self.word


# ---------------------------------------------------------------- numbers


def by_layer(critical: pd.DataFrame, epsilons: tuple[float, ...], count: str = "neurons") -> pd.DataFrame:
    """Mean over pairs of the similarity of every layer at every ε, in one of the three counts; column similarity."""
    table = counted_similarity(critical, epsilons)
    means = table.groupby(["position", "layer", "epsilon"], observed=True)[count].mean()
    return means.rename("similarity").reset_index()


def by_group(critical: pd.DataFrame, network: str, plan: Plan, count: str = "neurons") -> pd.DataFrame:
    """Mean over the layers of each group and over pairs, at the plan's ε: columns group, epsilon, similarity."""
    table = by_layer(critical, plan.epsilons, count)
    table["group"] = [plan.group(network, layer) for layer in table["layer"]]
    return table.groupby(["group", "epsilon"], observed=True)["similarity"].mean().reset_index()


def level(critical: pd.DataFrame | None, network: str, group: str, plan: Plan) -> float:
    """The similarity of a group at the deciding ε; NaN if nothing is recorded."""
    if critical is None:
        return np.nan
    table = by_group(critical, network, plan)
    rows = table[(table["group"] == group) & np.isclose(table["epsilon"], plan.epsilon)]
    return float(rows["similarity"].iloc[0]) if len(rows) else np.nan


# ---------------------------------------------------------------- rows of each claim


def low_inside(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C1: the similarity in middle and late convolutional layers."""
    yield from similarity_rows(claim, plan, measured, ("middle", "late"))


def similar_near_output(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C2a: the similarity of pooled features and logits."""
    yield from similarity_rows(claim, plan, measured, ("pool", "logits"))


def similarity_rows(claim: Claim, plan: Plan, measured: Measured, groups: tuple[str, ...]) -> Iterator[Row]:
    """One row per network and group: the similarity at the deciding ε."""
    for network in plan.studies:
        for group in groups:
            value = level(measured.critical.get(network), network, group, plan)
            yield Row(network, f"similarity in {PLACES[group]}", value, claim.bound(group), PLACES[group])


def kept_by_other_targets(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C2b: the share of calibrated similarity that networks with other targets keep, the largest over the targets.

    For the group "early" it is the smallest, because every target must keep its share there.
    """
    for network, table in measured.targets.items() or {next(iter(plan.studies)): pd.DataFrame()}.items():
        where = f" (networks of width {table['width'].iloc[0]:g})" if "width" in table else ""
        for group in ("pool", "late", "early"):
            kept = table.loc[table["group"] == group, "share_kept"] if len(table) else pd.Series(dtype=float)
            value = float(kept.min() if group == "early" else kept.max()) if len(kept) else np.nan
            what = f"share of the calibrated similarity kept in {PLACES[group]}{where}"
            yield Row(network, what, value, claim.bound(group), PLACES[group])


def near_output_alone(plan: Plan, rows: Sequence[Row]) -> str:
    """C2b without its control, the early layers: "fails near the output"; "" if that says no more than the verdict.

    This reading was added after looking. With the control the claim can hold "for the early layers only", although it
    is about layers near the output.
    """
    claimed = [row for row in rows if row.place != PLACES["early"]]
    alone = word(plan, claimed)
    return "" if alone.startswith(OPEN) or alone == word(plan, list(rows)) else f"{alone} near the output"


def undecided_search(plan: Plan, rows: Sequence[Row]) -> str:
    """C4 where the search for matches of at most 5 neurons could have missed some: what is open; "" if nothing is."""
    return OPEN_SMALL if any(UNDECIDED in row.what for row in rows) else ""


def more_near_input(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C3: the similarity of the first layer less that of the middle ones.

    The untrained twins' share of the first layer is also shown, without a vote.
    """
    for network in plan.studies:
        first, middle = (level(measured.critical.get(network), network, group, plan) for group in ("first", "middle"))
        what = "similarity in the first layer less that in the middle layers"
        yield Row(network, what, first - middle, claim.bound("first_less_middle"), "the first layer")
        before = level(measured.untrained.get(network), network, "first", plan)
        share = before / first if first else np.nan
        beside = Bound("at_least", claim.beside["untrained_share_of_first"]["at_least"])
        what = "the untrained twins' similarity in the first layer as a share of the trained one"
        yield Row(network, what, share, beside, "the first layer", votes=False)


def small_are_rare(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C4, by group: the largest shares of matched neurons with a minimal match of 2 and of at most 5 neurons.

    They are the largest over layers and ε. Logits are shown without a vote. Shares of 2 are exact. Shares of at most 5
    count the matches that were found, and how many more are possible is said beside them.
    """
    for network in plan.studies:
        table = measured.small.get(network, pd.DataFrame({"group": [], "of_two": [], "of_five": []}))
        there = [group for group in (*HIDDEN, "logits") if group in set(table["group"])] or ["first"]
        for group in there:
            rows = table[table["group"] == group]
            for quantity, size in (("of_two", "2"), ("of_five", "at most 5")):
                what = f"largest share of matched neurons with a minimal match of {size} neurons in {PLACES[group]}"
                value = float(rows[quantity].max()) if len(rows) else np.nan
                what += _possible(rows, quantity, claim.bound(quantity))
                yield Row(network, what, value, claim.bound(quantity), PLACES[group], votes=group != "logits")


def _possible(rows: pd.DataFrame, quantity: str, bound: Bound) -> str:
    """What the search may have missed, if it could change whether the bound is kept."""
    column = f"{quantity}_possible"
    if column not in rows or not bound.keeps(float(rows[quantity].max())) or bound.keeps(float(rows[column].max())):
        return ""
    return f" ({UNDECIDED} {rows[column].max():.2f} are possible)"


def accurate_and_different(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C5: the lowest test accuracy of the networks, and the similarity in the middle layers."""
    for network in plan.studies:
        accuracy = measured.accuracy.get(network)
        lowest = float(accuracy.min()) if accuracy is not None else np.nan
        yield Row(network, "lowest test accuracy", lowest, claim.bound("accuracy"), "the accuracy")
        value = level(measured.critical.get(network), network, "middle", plan)
        yield Row(network, "similarity in the middle layers", value, claim.bound("middle"), PLACES["middle"])


def stitched_where_unmatched(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """C6: of the layers that hardly match, the share that a linear map stitches into the other network without loss."""
    for network in plan.studies:
        value, table, critical = np.nan, measured.stitched.get(network), measured.critical.get(network)
        if table is not None and critical is not None:
            means = by_layer(critical, (plan.epsilon,))
            unmatched = means.loc[[claim.bound("unmatched").keeps(v) for v in means["similarity"]], "layer"]
            lost = table[table["layer"].isin(unmatched)].groupby("layer", observed=True)["accuracy_lost"].mean()
            value = float(np.mean([claim.bound("accuracy_lost").keeps(v) for v in lost])) if len(lost) else np.nan
        what = "share of the unmatched layers that can be stitched in with a small loss"
        yield Row(network, what, value, claim.bound("share_of_layers"), "unmatched layers")


def sampled_like_full(claim: Claim, plan: Plan, measured: Measured) -> Iterator[Row]:
    """P: the largest difference, over layers and ε, between the mean of the paper's draws and the full test set."""
    for network in plan.studies:
        value = np.nan
        if network in measured.sampled and network in measured.critical:
            draws = measured.sampled[network].groupby(["layer", "epsilon"], observed=True)["similarity"].mean()
            full = by_layer(measured.critical[network], plan.epsilons).set_index(["layer", "epsilon"])["similarity"]
            value = float((draws - full.reindex(draws.index)).abs().max())
        what = "largest difference between the sampled and the full similarity"
        yield Row(network, what, value, claim.bound("worst_difference"), "the worst layer")


RULES: dict[str, Callable[[Claim, Plan, Measured], Iterator[Row]]] = {
    "C1": low_inside,
    "C2a": similar_near_output,
    "C2b": kept_by_other_targets,
    "C3": more_near_input,
    "C4": small_are_rare,
    "C5": accurate_and_different,
    "C6": stitched_where_unmatched,
    "P": sampled_like_full,
}

LATER: dict[str, Callable[[Plan, Sequence[Row]], str]] = {"C2b": near_output_alone, "C4": undecided_search}


# ---------------------------------------------------------------- the answer


def judged(plan: Plan, measured: Measured) -> dict[str, Verdict]:
    """The verdict of every claim, by its id."""
    return {claim.id: verdict(claim, plan, tuple(RULES[claim.id](claim, plan, measured))) for claim in plan.claims}


def verdict(claim: Claim, plan: Plan, rows: tuple[Row, ...]) -> Verdict:
    """The word and the sentence that follow from a claim's rows."""
    votes = [row for row in rows if row.votes]
    later = LATER[claim.id](plan, votes) if claim.id in LATER else ""
    return Verdict(claim, word(plan, votes), sentence(plan, votes), rows, later)


def word(plan: Plan, votes: list[Row]) -> str:
    """The verdict in words: "holds", "fails", "open: … is not recorded", or "holds for … only (not for …)".

    Where it does not hold is left out if there are many such places.
    """
    missing = [row for row in votes if not row.measured]
    if missing or not votes:
        which = f"{missing[0].what} of {plan.name(missing[0].network)}" if missing else "nothing"
        return f"{OPEN}: {which} is not recorded"
    kept = [row.keeps for row in votes]
    if all(kept) or not any(kept):
        return HOLDS if all(kept) else FAILS
    good, bad = _places(votes, keeping=True), _places(votes, keeping=False)
    beside = f" (not for {_listed(plan, votes, bad)})" if len(bad) <= len(good) + 1 else ""
    return f"holds for {_listed(plan, votes, good) or 'single numbers'} only{beside}"


def _places(votes: list[Row], keeping: bool) -> list[tuple[str, str]]:
    """Network and place where all rows keep their bounds, or where one does not."""
    kept: dict[tuple[str, str], bool] = {}
    for row in votes:
        kept[row.network, row.place] = kept.get((row.network, row.place), True) and row.keeps
    return [where for where, keeps in kept.items() if keeps is keeping]


def _listed(plan: Plan, votes: list[Row], some: list[tuple[str, str]]) -> str:
    """Places by network, in words; of a network that is there with all its places only the name."""
    words = []
    for network in dict.fromkeys(network for network, _ in some):
        places = [place for name, place in some if name == network]
        whole = {row.place for row in votes if row.network == network} == set(places)
        words.append(plan.name(network) if whole else f"{' and '.join(places)} of {plan.name(network)}")
    return " and ".join(words)


def sentence(plan: Plan, votes: list[Row]) -> str:
    """Every deciding number with its bound, by network, in one sentence."""
    parts = []
    for network in dict.fromkeys(row.network for row in votes):
        rows = [row for row in votes if row.network == network and row.measured]
        numbers = ", ".join(f"{row.what} {row.value:.2f} ({row.bound} asked)" for row in rows)
        parts += [f"{plan.name(network)}: {numbers}"] if rows else []
    return "; ".join(parts) + "." if parts else "Nothing is recorded that decides it."


def tally(judged_claims: Mapping[str, Verdict]) -> str:
    """How many claims have each verdict, in words: "3 hold, 4 hold for some networks or layers only, none fails …"."""
    words = [verdict.word for verdict in judged_claims.values()]
    counts = (
        (sum(word == HOLDS for word in words), "holds", "hold"),
        (sum(" only" in word for word in words), f"holds {PARTS}", f"hold {PARTS}"),
        (sum(word == FAILS for word in words), "fails", "fail"),
        (sum(word.startswith(OPEN) for word in words), "is open", "are open"),
    )
    return ", ".join(f"{count or 'none'} {one if count <= 1 else many}" for count, one, many in counts)


def verdict_table(verdicts: dict[str, Verdict]) -> pd.DataFrame:
    """One row per claim: id, claim, verdict, the deciding numbers."""
    rows = [(name, v.claim.text, v.answer, v.sentence) for name, v in verdicts.items()]
    return pd.DataFrame(rows, columns=["id", "claim", "verdict", "deciding numbers"])


def row_table(plan: Plan, verdicts: dict[str, Verdict]) -> pd.DataFrame:
    """One row per measured number: its bound, whether it keeps the bound, and whether it counts."""
    rows = [
        (name, plan.name(row.network), row.what, row.value, str(row.bound), row.keeps, row.votes)
        for name, v in verdicts.items()
        for row in v.rows
    ]
    return pd.DataFrame(rows, columns=["claim", "network", "quantity", "value", "asked", "keeps", "counts"])
