"""One store for every kind: what answers for what, keys, provenance, names of records. The kind here only counts."""

from dataclasses import replace

import pandas as pd
import pytest

from helpers import studies
from helpers.errors import BadInput
from helpers.studies import records, store
from helpers.studies.kinds import KINDS
from helpers.studies.store import Computed, Kind
from helpers.studies.study import Study

STUDY = Study(network="vgg8_bn", seeds=(0, 1, 2))


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """A kind whose table has one row per pair of seeds and says how often anything was computed."""
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))
    calls = []

    def compute(study, names=(), level=0.5, other=None, progress=True):
        calls.append(names)
        rows = [{"seed_a": a, "seed_b": b} for a in study.seeds for b in study.seeds if a < b]
        return Computed({"pairs": pd.DataFrame(rows).assign(level=level, call=len(calls))}, {"device": "abacus"})

    compute.__module__ = "helpers.studies.seeds"
    defaults = {"names": ["a"], "level": 0.5, "other": None}
    return Kind("counting", "how often it was called", compute, defaults=defaults)


def call(kind, study=STUDY, settings=None, **options):
    return (
        store.find_or_compute(kind, study, settings, progress=False, **options).tables["pairs"]["call"].unique().item()
    )


def test_a_result_is_computed_once_for_each_key(counting):
    assert [call(counting), call(counting), call(counting, settings={"level": 0.5})] == [1, 1, 1]
    assert call(counting, settings={"level": 0.4}) == 2
    assert call(counting, replace(STUDY, seeds=(0, 2))) == 3
    assert call(counting, settings={"other": STUDY}) == 4
    assert call(counting, recompute=True) == 5
    assert call(counting) == 5


def test_a_record_answers_for_fewer_seeds_and_fewer_names_but_for_no_other_value(counting):
    place = store.record(counting, STUDY, {"names": ["a", "b"]}, progress=False)
    assert place.name == f"counting-{STUDY.id}"
    assert call(counting) == call(counting, settings={"names": ["b"]}) == 1
    fewer = store.find_or_compute(counting, replace(STUDY, seeds=(2, 0)))
    assert fewer.tables["pairs"][["seed_a", "seed_b"]].to_numpy().tolist() == [[0, 2]]
    assert fewer.folder == place
    assert call(counting, settings={"names": ["c"]}) == 2
    assert call(counting, settings={"level": 0.1}) == 3
    assert call(counting, replace(STUDY, seeds=(0, 3))) == 4
    assert call(counting, replace(STUDY, images=100)) == 5


def test_a_setting_left_open_takes_what_is_recorded(counting):
    store.record(counting, STUDY, {"other": "x"}, progress=False)
    assert call(counting) == call(counting, settings={"other": "x"}) == 1
    assert call(counting, settings={"other": "y"}) == 2


def test_provenance_says_what_was_asked_and_where_it_ran(counting):
    place = store.record(counting, STUDY, {"other": Study(network="vgg16")}, progress=False)
    known = records.read_provenance(place)
    assert known["device"] == "abacus"
    assert known["settings"]["other"]["network"] == "vgg16"
    assert known["code"] == KINDS["seeds"].code_for("vgg8_bn") == counting.code_for("vgg8_bn")
    assert (known["kind"], known["study"]["epochs"]) == ("counting", 8)
    assert studies.records_of("counting") == [place]
    assert store.recorded_study(place).seeds == STUDY.seeds


def test_settings_can_name_a_record_of_their_own(counting):
    named = replace(counting, prefix="c", label=lambda settings: f"at{settings['level']:g}")
    places = [store.record(named, STUDY, {"level": level}, progress=False).name for level in (0.5, 0.25)]
    assert places == [f"c-{STUDY.id}-at0.5", f"c-{STUDY.id}-at0.25"]
    assert [call(named, settings={"level": level}) for level in (0.5, 0.25)] == [1, 2]


def test_an_unknown_setting_gets_the_nearest_name(counting):
    with pytest.raises(BadInput, match="unknown setting of counting 'levels': did you mean 'level'"):
        call(counting, settings={"levels": 1})


def test_what_was_looked_for_is_known(counting, monkeypatch):
    monkeypatch.setattr(store, "ASKED", asked := set())
    monkeypatch.setattr(records, "ASKED", asked)
    call(counting)
    assert asked == {f"counting-{STUDY.id}"}
    studies.records_of("causes")
    assert asked == {f"counting-{STUDY.id}", records.EVERYTHING}


def test_every_kind_names_its_records_apart():
    names = [kind.record_name(STUDY if kind.compute else None) for kind in KINDS.values()]
    assert len(set(names)) == len(names)
    assert KINDS["seeds"].record_name(STUDY) == STUDY.id


def test_every_record_is_of_a_known_kind():
    for place in records.all_records():
        assert records.kind_name(records.read_provenance(place)) in KINDS
