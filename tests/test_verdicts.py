"""Verdicts follow from the numbers: planted records give each word, and changing one record flips each claim."""

import numpy as np
import pandas as pd
import pytest

from helpers.pages.claims import read_evidence
from helpers.pages.verdicts import OPEN_SMALL, RULES, Measured, by_group, judged, row_table, verdict_table

PLAN = read_evidence()
LEVELS = {"first": 0.9, "early": 0.3, "middle": 0.0, "late": 0.0, "pool": 1.0, "fc": 0.5, "logits": 1.0}


NEAR_OUTPUT = "holds for the pooled features and the late layers of VGG-16-BN only"


def layer_of(network, group):
    return PLAN.groups[network][group][0].replace("*", "block1.relu1")


def critical(network, levels):
    """One layer per group: of 100 neurons the stated share matches at ε = 0.1, the rest never."""
    tables = []
    for position, group in enumerate(PLAN.groups[network]):
        values = np.where(np.arange(100) < 100 * levels[group], 0.1, np.inf)
        rows = pd.DataFrame({"critical_epsilon": values, "dead": False, "power": 0.02})
        rows["side"] = ["x", "y"] * 50
        tables.append(rows.assign(position=position, layer=layer_of(network, group), kind="conv", depth=0.0))
    return pd.concat(tables, ignore_index=True).assign(seed_a=0, seed_b=1)


def sampled(network, levels, off=0.0):
    groups = PLAN.groups[network]
    rows = [(layer_of(network, g), e, levels[g] + off) for g in groups for e in PLAN.epsilons]
    return pd.DataFrame(rows, columns=["layer", "epsilon", "similarity"])


def complete(**changed):
    """Records in which every claim holds; `changed` replaces the level of a group in both networks."""
    levels = LEVELS | changed
    records = Measured()
    for network in PLAN.studies:
        records.critical[network] = critical(network, levels)
        records.untrained[network] = critical(network, levels | {"first": 0.6})
        records.sampled[network] = sampled(network, levels)
        records.accuracy[network] = pd.Series([0.94, 0.935])
        records.small[network] = pd.DataFrame(
            {"group": ["early", "logits"], "of_two": [0.0, 0.5], "of_five": [0.05, 0.9]}
        )
        late = [layer_of(network, group) for group in ("middle", "late")]
        records.stitched[network] = pd.DataFrame({"layer": late, "accuracy_lost": [0.01, 0.04]})
    kept = {"pool": 0.2, "late": 0.3, "early": 0.8}
    records.targets = {"vgg16_bn": pd.DataFrame({"group": kept.keys(), "share_kept": kept.values()})}
    return records


def test_every_claim_of_the_file_has_a_rule_and_the_other_way_round():
    assert set(RULES) == {claim.id for claim in PLAN.claims}


def test_where_every_number_keeps_its_bound_every_claim_holds():
    verdicts = judged(PLAN, complete())
    assert {name: verdict.word for name, verdict in verdicts.items()} == dict.fromkeys(RULES, "holds")
    for verdict in verdicts.values():
        assert all(f"{row.value:.2f}" in verdict.sentence for row in verdict.rows if row.votes)


def spoiled(name):
    """The records with that part changed that decides one claim, in both networks."""
    records = complete()
    if name in ("C1", "C5"):
        return complete(middle=0.5, late=0.5) if name == "C1" else _inaccurate(complete(middle=0.5))
    if name == "C2a":
        return complete(pool=0.1, logits=0.1)
    if name == "C3":
        return complete(first=0.1)
    if name == "C2b":
        records.targets = {
            "vgg16_bn": pd.DataFrame({"group": ["pool", "late", "early"], "share_kept": [0.9, 0.9, 0.1]})
        }
    for network in PLAN.studies:
        if name == "C4":
            records.small[network] = records.small[network].assign(of_two=0.2, of_five=0.4)
        if name == "C6":
            records.stitched[network] = records.stitched[network].assign(accuracy_lost=0.5)
        if name == "P":
            records.sampled[network] = sampled(network, LEVELS, off=0.06)
    return records


def _inaccurate(records):
    records.accuracy = {network: pd.Series([0.94, 0.8]) for network in PLAN.studies}
    return records


@pytest.mark.parametrize("name", list(RULES))
def test_changing_the_record_that_decides_a_claim_flips_its_verdict(name):
    assert judged(PLAN, spoiled(name))[name].word == "fails"


@pytest.mark.parametrize("name", list(RULES))
def test_without_records_a_claim_is_open_and_says_what_is_missing(name):
    word = judged(PLAN, Measured())[name].word
    assert word.startswith("open: ")
    assert word.endswith("is not recorded")


def test_a_claim_that_holds_in_part_names_networks_and_groups():
    records = complete()
    records.critical["vgg16_bn"] = critical("vgg16_bn", LEVELS | {"late": 0.9})
    word = judged(PLAN, records)["C1"].word
    assert word == "holds for the middle layers of VGG-16-BN and ResNet-18 only (not for the late layers of VGG-16-BN)"


def test_numbers_shown_beside_do_not_vote():
    records = complete()
    records.untrained = {network: critical(network, LEVELS | {"first": 0.0}) for network in PLAN.studies}
    verdict = judged(PLAN, records)["C3"]
    assert verdict.word == "holds"
    assert [row.keeps for row in verdict.rows if not row.votes] == [False, False]


def test_groups_average_layers_and_pairs():
    two = critical("vgg16_bn", LEVELS)
    other = two.assign(seed_b=2, critical_epsilon=np.inf)
    similarity = by_group(pd.concat([two, other]), "vgg16_bn", PLAN).set_index(["group", "epsilon"])["similarity"]
    assert similarity["pool", 0.3] == pytest.approx(0.5)
    assert similarity["middle", 0.3] == 0


def test_tables_have_one_row_per_claim_and_one_per_number():
    verdicts = judged(PLAN, complete())
    assert list(verdict_table(verdicts)["id"]) == list(RULES)
    assert len(row_table(PLAN, verdicts)) == sum(len(v.rows) for v in verdicts.values())


@pytest.mark.parametrize(
    ("kept", "start", "later"),
    [
        ((0.2, 0.3, 0.8), "holds", ""),
        ((0.9, 0.9, 0.1), "fails", ""),
        ((0.9, 0.9, 0.9), "holds for the early layers of VGG-16-BN only", "fails near the output"),
        ((0.2, 0.3, 0.1), NEAR_OUTPUT, "holds near the output"),
    ],
)
def test_other_targets_decide_by_the_rule_that_was_fixed_and_the_later_reading_stands_beside_it(kept, start, later):
    records = complete()
    groups = ["pool", "late", "early"]
    records.targets = {"vgg16_bn": pd.DataFrame({"group": groups, "share_kept": kept, "width": 0.25})}
    verdict = judged(PLAN, records)["C2b"]
    assert verdict.word.split(" (not")[0] == start
    assert verdict.later == later
    assert verdict.answer == (f"{verdict.word}. Added later: {later}" if later else verdict.word)
    assert all(row.what.endswith("(networks of width 0.25)") for row in verdict.rows)


@pytest.mark.parametrize(("found", "possible", "said"), [(0.05, 0.08, False), (0.05, 1.0, True), (0.2, 1.0, False)])
def test_a_share_that_the_search_has_not_decided_says_so(found, possible, said):
    records = complete()
    for network in PLAN.studies:
        records.small[network] = pd.DataFrame(
            {"group": ["early"], "of_two": [0.0], "of_five": [found], "of_five_possible": [possible]}
        )
    verdict = judged(PLAN, records)["C4"]
    assert verdict.later == (OPEN_SMALL if said else "")
    rows = verdict.rows
    assert [row.what.endswith("(found; up to 1.00 are possible)") for row in rows] == [False, said] * 2
