"""Verdicts follow from cells, cells from records; every failure is shown, every link leads to a page of the grid."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helpers import studies
from helpers.errors import BadInput
from helpers.pages import grid, layers, ledger, running
from helpers.pages.teaching import pages
from helpers.studies import records
from helpers.subspaces import Gram

LAYERS = [("relu1", 0, 0.0, "conv"), ("relu2", 1, 0.6, "conv"), ("relu3", 2, 0.8, "conv"), ("logits", 3, 1.0, "logits")]


@pytest.fixture(scope="module")
def found():
    return ledger.evaluate()


def planted(critical_epsilon: dict[str, float], accuracy: float = 0.9) -> ledger.Records:
    """A record of one pair in which all four neurons of a layer have the critical ε that is planted."""
    rows = [
        {
            "layer": name,
            "position": p,
            "depth": depth,
            "kind": kind,
            "seed_a": 0,
            "seed_b": 1,
            "side": side,
            "neuron": k,
        }
        | {"critical_epsilon": critical_epsilon[name], "dead": False, "samples": 100}
        for name, p, depth, kind in LAYERS
        for side in "xy"
        for k in range(2)
    ]
    tables = {"critical": pd.DataFrame(rows), "networks": pd.DataFrame({"accuracy": [accuracy] * 2})}
    tables["layers"] = pd.DataFrame(
        {"layer": [x[0] for x in LAYERS], "position": [x[1] for x in LAYERS], "depth": [x[2] for x in LAYERS]}
        | {"kind": [x[3] for x in LAYERS], "self_match": 1.0, "effective_rank_centred": 1.0}
    )
    study = studies.Study("cifar10", "vgg16_bn", 0.25, (0, 1), "short")
    return ledger.Records(trained={study.id: studies.Result(study, tables, {})})


PAPER = {"relu1": 0.1, "relu2": np.inf, "relu3": np.inf, "logits": 0.1}
OPPOSITE = {"relu1": np.inf, "relu2": 0.1, "relu3": 0.1, "logits": np.inf}


@pytest.mark.parametrize(("truth", "verdict"), [(PAPER, ledger.REPRODUCED), (OPPOSITE, ledger.NOT)])
def test_planted_records_get_the_verdict_they_deserve(truth, verdict):
    judged = ledger.judge(ledger.read_claims(), planted(truth)).checks.set_index("id")["verdict"]
    assert {judged[name] for name in ("C1.zero", "C2.high", "C2.rise", "C3.more")} == {verdict}


def test_checks_added_later_are_judged_but_do_not_count():
    truth = PAPER | {
        "relu1": 0.1,
        "relu2": 0.1,
    }  # the first layer and the middle alike: C3.first fails, C3.more may hold
    judged = ledger.judge(ledger.read_claims(), planted(truth))
    checks = judged.checks.set_index("id")
    assert checks.at["C3.first", "verdict"] == ledger.NOT
    assert checks.at["C3.first", "fixed"] == "later"
    listed = judged.claims.set_index("id").at["C3", "checks"].split(", ")
    assert listed == ["C3.more", "C3.untrained", "C3.dimension"]
    assert "C2.hidden" not in judged.questions.set_index("id").at["RQ1", "checks"]


def test_partners_are_counted_beyond_those_of_the_null():
    base = {"layer": "relu1", "position": 0, "depth": 0.0, "kind": "conv", "share": 0.5}
    tables = {
        name: pd.DataFrame([base | {"size": size} for size in sizes])
        for name, sizes in (("sizes", (2, 2, 2, 8)), ("null", (2, 8, 8, 8)))
    }
    book = ledger.read_claims()
    check = replace(next(c for c in book.checks if c.id == "C4.partners"), layers=("input",))
    cells = list(ledger.single_beyond_null(ledger.Records(simple_matches={"a": tables}), check, book.ranges))
    assert cells == [("a", None, "input, 50% matched", 0.5)]


def test_features_taken_away_are_held_against_the_centred_layer():
    base = {"layer": "pool", "position": 9, "depth": 0.9, "kind": "pool", "epsilon": 0.5}
    levels = {"as it is": 1.0, "centred": 0.5, "third logits": 0.1, "class means": 0.4, "other logits": 0.1}
    table = pd.DataFrame([base | {"condition": c, "similarity": s} for c, s in levels.items()])
    found, book = ledger.Records(causes={"a": {"similarity": table}}), ledger.read_claims()
    checks = {check.id: check for check in book.checks}
    lost = {
        name: next(ledger.QUANTITIES[checks[name].quantity](found, checks[name], book.ranges))[-1]
        for name in ("C2.third", "C2.means", "C2.logits")
    }
    assert lost == pytest.approx({"C2.third": 0.8, "C2.means": 0.2, "C2.logits": 0.9})


def test_strong_directions_are_judged_beside_the_logits():
    base = {"layer": "pool", "position": 9, "depth": 0.9, "kind": "pool", "seed_a": 0, "seed_b": 1}
    taken = [
        ("centred", 0, 1.0, 0.8),
        ("third logits", 2, 0.4, 0.2),
        ("strongest", 2, 0.4, 0.4),
        ("beside logits", 2, 0.9, 0.6),
    ]
    table = pd.DataFrame(taken, columns=["taken", "directions", "variance_left", "area"]).assign(**base)
    book = ledger.read_claims()
    found = ledger.Records(causes={"a": {"directions": table}, "b": {"directions": table[:0]}})
    checks = {check.id: check for check in book.checks}
    for name, value in (("C2.strength", 0.25), ("C2.beside", 0.25)):
        cells = list(ledger.QUANTITIES[checks[name].quantity](found, checks[name], book.ranges))
        assert cells == [("a", None, "hidden", pytest.approx(value))]


def test_two_networks_decide_nothing_about_a_third():
    base = {"layer": "pool", "position": 9, "depth": 0.9, "kind": "pool", "epsilon": 0.5, "similarity": 1.0}
    table = pd.DataFrame([base | {"condition": c} for c in ("as it is", "centred")])
    judged = ledger.judge(ledger.read_claims(), ledger.Records(causes={"a": {"similarity": table}}))
    assert judged.checks.set_index("id").at["C2.third", "verdict"] == ledger.UNATTEMPTED


def test_only_cifar10_on_the_whole_test_set_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    base = {"network": "vgg16_bn", "recipe": "short", "seeds": [0, 1], "layers": None, "sampled": False}
    counted = {"dataset": "cifar10"}
    for number, study in enumerate(
        (counted, {"dataset": "digits"}, counted | {"images": 9}, counted | {"before_relu": True})
    ):
        provenance = {"study": base | study, "kind": "causes"}
        records.write_tables({"similarity": pd.DataFrame({"a": [1]})}, provenance, tmp_path / f"causes-{number}")
    assert list(ledger.records().causes) == ["0"]


def test_cka_of_trained_less_untrained_pairs():
    gram = np.eye(4) + np.eye(4)[[2, 3, 0, 1]] * 0.5
    trained = planted(PAPER).trained
    (name, result), middle = next(iter(trained.items())), "relu2"
    after, before = (
        replace(result, held={middle: (0, 1)}, grams={middle: Gram(np.zeros(4), 100, (2, 2), g)})
        for g in (gram, np.eye(4))
    )
    book = ledger.read_claims()
    check = next(c for c in book.checks if c.id == "C6.learned")
    cells = list(ledger.cka_learned(ledger.Records({name: after}, {name: before}), check, book.ranges))
    assert cells == [(name, None, "middle", pytest.approx(0.25))]


def test_the_first_figures_of_a_page_show_the_study_that_links_expect():
    for page in grid.computed_pages():
        if page.name in ("causes", "simple_matches"):
            values = running.parameters_of(page) | page.values("published")
            study = {key: values[key] for key in ("dataset", "network", "width", "seeds", "recipe", "epochs")}
            assert studies.Study(**study).id == ledger.SHOWN


def test_accuracy_decides_whether_a_check_is_attempted():
    judged = ledger.judge(ledger.read_claims(), planted(PAPER, 0.85)).checks.set_index("id")["verdict"]
    assert judged["C5.authors"] == ledger.UNATTEMPTED


def test_without_records_nothing_is_attempted_but_the_construction():
    checks = ledger.judge(ledger.read_claims(), ledger.Records()).checks
    attempted = checks[checks["verdict"] != ledger.UNATTEMPTED]
    assert attempted["id"].tolist() == ["C6.construction"]


@given(st.integers(0, 9), st.integers(0, 9))
def test_verdict_of_cells(held, failed):
    verdict = ledger.verdict_of_cells(held, held + failed)
    assert (verdict == ledger.UNATTEMPTED) == (held + failed == 0)
    assert (verdict == ledger.REPRODUCED) == (held > 0 and failed == 0)
    assert (verdict == ledger.NOT) == (held == 0 and failed > 0)


@given(st.lists(st.sampled_from(ledger.VERDICTS), max_size=5))
def test_a_claim_is_never_judged_better_than_its_checks(verdicts):
    combined = ledger.combined(verdicts)
    attempted = set(verdicts) - {ledger.UNATTEMPTED}
    assert (combined == ledger.REPRODUCED) == (attempted == {ledger.REPRODUCED})
    assert (combined == ledger.NOT) == (attempted == {ledger.NOT})
    assert (combined == ledger.UNATTEMPTED) == (not attempted)


def test_every_cell_is_held_against_its_bound(found):
    bounds = {check.id: (check.above, check.below) for check in found.book.checks}
    low, high = np.array([bounds[name] for name in found.cells["check"]]).T
    value = found.cells["value"].to_numpy(dtype=float)
    assert (((low < value) & (value < high)) == found.cells["holds"]).all()


def test_deep_layers_recomputed_from_the_files_alone(found):
    """C1.zero again, by plain pandas on the recorded tables."""
    cells = found.cells[found.cells["check"] == "C1.zero"]
    assert len(cells)
    for row in cells.itertuples():
        table = pd.read_parquet(studies.results_root() / row.study / "critical.parquet")
        deep = table[table["kind"].isin(["conv", "block"]) & (table["depth"] >= 0.5)]
        matched = (deep["critical_epsilon"] <= row.epsilon + 1e-9).groupby(deep["layer"], observed=True).mean().mean()
        assert row.value == pytest.approx(matched, abs=1e-9)


def test_failures_are_all_shown_with_a_link(found):
    failures = found.cells[~found.cells["holds"]]
    shown = ledger.links(found, failures)
    assert len(shown) == len(failures)
    assert shown["evidence"].map(lambda cell: isinstance(cell, ledger.Markup)).all()


def test_evidence_lies_on_pages_of_the_grid(found):
    names = {page.name for page in grid.computed_pages()}
    checks = {check.id: check for check in found.book.checks}
    for row in found.cells.itertuples():
        page = ledger.evidence(checks[row.check], row.study).partition(".html")[0]
        assert page in names, f"{row.check}: no page {page} for {row.study} in book/grid.yml"


def test_figures_of_the_evidence_exist(found):
    labels = {path.stem: str([cell.metadata for cell in pages.code(pages.load(path))]) for path in pages.sources()}
    for check in found.book.checks:
        if check.figure:
            page = check.page or "network"
            label = check.figure.removesuffix("-" + check.page.replace("_", "-")) if check.page else check.figure
            assert label + "-{{page}}" in labels[page], f"{check.id}: no figure {check.figure} on {page}"


def test_summary_names_every_claim(found):
    assert ledger.summary()["claim"].tolist() == [claim["id"] for claim in found.book.claims]


def test_the_table_of_checks_counts_and_bounds_their_cells(found):
    row = ledger.check_table(found).set_index("id").loc["C1.zero"]
    cells = found.cells[found.cells["check"] == "C1.zero"]
    assert row["held"] == f"{cells['holds'].sum()} of {len(cells)}"
    assert row["values"] == f"{cells['value'].min():.2f} – {cells['value'].max():.2f}"


def test_in_range_takes_the_first_layers_by_position():
    table = pd.DataFrame(LAYERS, columns=["layer", "position", "depth", "kind"])
    rule = {"few": {"kinds": ["conv"], "first": 2}, "late": {"kinds": ["conv"], "from": 0.7}}
    assert ledger.in_range(table, "few", rule)["layer"].tolist() == ["relu1", "relu2"]
    assert ledger.in_range(table, "late", rule)["layer"].tolist() == ["relu3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quantity": "similarty"}, "did you mean 'similarity'"),
        ({"layers": "depp"}, "did you mean 'deep'"),
        ({"belov": 1}, "did you mean 'below'"),
        ({"id": "C1.low"}, "repeat"),
    ],
)
def test_a_wrong_entry_is_refused(change, message, tmp_path):
    raw = yaml.safe_load(ledger.CLAIMS.read_text())
    raw["claims"][0]["checks"][1] |= change
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(BadInput, match=message):
        ledger.read_claims(path)


def test_a_question_about_no_check_is_refused(tmp_path):
    raw = yaml.safe_load(ledger.CLAIMS.read_text())
    raw["questions"][0]["checks"] = ["C1.lo"]
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(BadInput, match=r"did you mean 'C1\.low'"):
        ledger.read_claims(path)


# ---------------------------------------------------------------- tables by layer


def test_curves_are_the_mean_over_pairs():
    result = next(iter(planted({"relu1": 0.2, "relu2": 0.4, "relu3": np.inf, "logits": 0.0}).trained.values()))
    curve = layers.curves(result.tables["critical"], np.array([0.0, 0.2, 0.5])).pivot(
        index="layer", columns="epsilon", values="similarity"
    )
    assert curve.loc["relu1"].tolist() == [0, 1, 1]
    assert curve.loc["relu3"].tolist() == [0, 0, 0]
    assert curve.loc["logits"].tolist() == [1, 1, 1]


def test_critical_summary_says_never_where_half_never_match():
    result = next(iter(planted({"relu1": 0.2, "relu2": np.inf, "relu3": 0.5, "logits": 0.1}).trained.values()))
    found = layers.critical_summary(result.tables["critical"]).set_index("layer")
    assert np.isinf(found.loc["relu2", "median"])
    assert found["never"].tolist() == [0, 1, 0, 0]


def test_untrained_twin_is_not_computed_for_a_record_without_one(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RESULTS", str(tmp_path))
    study = studies.Study("digits", "vgg8_bn", 0.125, (0, 1), "digits")
    monkeypatch.setattr(studies, "find_record", lambda kind, asked: None if asked.epoch == 0 else "a record")
    assert layers.untrained(replace(study, sampled=True)) is None
