"""Simple matches of a layer: bounds against brute force, planted local and distributed similarity, null, a study."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import studies
from helpers.errors import BadInput
from helpers.matching import maximum_match, minimal_matches
from helpers.matching.definitions import relative_distance
from helpers.studies import seeds, simple_matches, store
from helpers.studies.simple_matches import (
    map_of,
    matched_vectors,
    minimal_sizes,
    neurons_needed,
    null_sizes,
    reassigned,
    simple_sizes,
    sizes_and_map,
    smallest_matches,
    telling_epsilons,
)
from helpers.studies.study import Study
from helpers.subspaces import Pair


def random_pair(seed: int, n: int = 4, m: int = 4, shared: int = 3) -> tuple[Pair, np.ndarray, np.ndarray]:
    """Two layers that share some directions, with noise."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(shared, 40))
    x, y = (rng.normal(size=(k, shared)) @ common + 0.4 * rng.normal(size=(k, 40)) for k in (n, m))
    return Pair.from_arrays(x, y), x, y


def local_pair(n: int = 12, noise: float = 0.1) -> Pair:
    """Every neuron of x has one partner in y."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 300))
    return Pair.from_arrays(x, x + noise * rng.normal(size=x.shape))


def distributed_pair(n: int = 12, noise: float = 0.1) -> Pair:
    """The same subspace on both sides, but in unrelated bases: no neuron has a partner."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 300))
    turn = np.linalg.qr(rng.normal(size=(n, n)))[0]
    return Pair.from_arrays(x, turn @ x + noise * rng.normal(size=x.shape))


# ---------------------------------------------------------------- ε and sizes


@given(st.integers(0, 200))
@settings(max_examples=25, deadline=None)
def test_telling_epsilons_are_the_smallest_that_match_the_share(seed):
    pair, _, _ = random_pair(seed)
    for share, epsilon in telling_epsilons(pair).items():
        assert share * 8 <= len(maximum_match(pair, epsilon)) < 8
        assert len(maximum_match(pair, max(epsilon - simple_matches.SLACK - 1e-6, 0))) < share * 8
    with pytest.raises(BadInput, match="share is 1"):
        telling_epsilons(pair, [1])


def test_a_cliff_gives_no_telling_epsilon():
    x = np.random.default_rng(0).normal(size=(4, 50))
    assert telling_epsilons(Pair.from_arrays(x, x)) == {}
    assert telling_epsilons(Pair.from_arrays(x, np.zeros((2, 50)))) == {}


@given(st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_every_order_gives_a_minimal_match_of_every_matched_neuron(seed):
    pair, _, _ = random_pair(seed)
    for epsilon in telling_epsilons(pair, [0.5]).values():
        table, share = sizes_and_map(pair, epsilon, orders=4)
        for neuron in maximum_match(pair, epsilon).neurons:
            possible = minimal_matches(pair, neuron, epsilon, None)
            seen = table.query("side == @neuron[0] and neuron == @neuron[1]")["size"]
            assert len(seen) == 4
            assert set(seen) <= {len(match) for match in possible}
            row = share[simple_matches.joint_index(pair, neuron)]
            assert row.sum() == pytest.approx(seen.mean())


@given(st.integers(0, 200))
@settings(max_examples=20, deadline=None)
def test_the_map_has_the_essential_neurons_in_every_order(seed):
    pair, _, _ = random_pair(seed)
    for epsilon in telling_epsilons(pair, [0.5]).values():
        table = map_of(pair, epsilon, orders=5)
        assert (table.query("essential")["frequency"] > 1 - 1e-9).all()
        assert (table.query("v == u")["essential"]).all()
        for v, rows in table.groupby("v"):
            neuron = ("x", v) if v < 4 else ("y", v - 4)
            everywhere = set.intersection(
                *({*simple_matches.members(pair, m)} for m in minimal_matches(pair, neuron, epsilon, None))
            )
            assert set(rows.query("essential")["u"]) == everywhere


# ---------------------------------------------------------------- the smallest


@given(st.integers(0, 500))
@settings(max_examples=30, deadline=None)
def test_neurons_needed_against_all_subsets(seed):
    pair, x, y = random_pair(seed)
    for epsilon in telling_epsilons(pair, [0.5, 0.75]).values():
        match = maximum_match(pair, epsilon)
        for (side, k), needed in neurons_needed(pair, epsilon).items():
            z, others = (x[k], y[match.y]) if side == "x" else (y[k], x[match.x])
            within = [
                q
                for q in (1, 2)
                for chosen in combinations(range(len(others)), q)
                if relative_distance(z, others[list(chosen)]) <= epsilon + 1e-9
            ]
            assert needed == min(within, default=3)


@given(st.integers(0, 500))
@settings(max_examples=20, deadline=None)
def test_no_minimal_match_beats_the_bound(seed):
    pair, _, _ = random_pair(seed)
    for epsilon in telling_epsilons(pair, [0.5]).values():
        for row in smallest_matches(pair, epsilon, limit=1).itertuples():
            true = min(map(len, minimal_matches(pair, (row.side, row.neuron), epsilon, None)))
            assert row.lower_bound <= true <= row.smallest
            assert not row.exact or row.smallest == true


def test_simple_sizes_say_when_they_are_not_all():
    pair = local_pair(4)
    whole, part = simple_sizes(pair, 0.3), simple_sizes(pair, 0.3, 2)
    assert whole["size"].tolist() == [2] * 4
    assert whole["complete"].all()
    assert len(part) == 2
    assert not part["complete"].any()


# ---------------------------------------------------------------- the null


@pytest.mark.statement("def-reassigned")
@given(st.integers(0, 200), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_the_null_shuffles_the_loadings_on_every_direction(seed, draw):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(4, 9)), rng.normal(size=(5, 9))
    new_x, new_y = simple_matches.reassigned_vectors(x, y, np.random.default_rng(draw))
    left, _, right = np.linalg.svd(np.linalg.qr(x.T)[0].T @ np.linalg.qr(y.T)[0])
    for old, new, directions in ((x, new_x, np.linalg.qr(x.T)[0] @ left), (y, new_y, np.linalg.qr(y.T)[0] @ right.T)):
        np.testing.assert_allclose(np.sort(old @ directions, axis=0), np.sort(new @ directions, axis=0), atol=1e-9)


@pytest.mark.statement("prp-reassigned")
@given(st.integers(0, 200), st.integers(0, 9))
@settings(max_examples=25, deadline=None)
def test_the_null_keeps_the_subspaces_and_the_total_distance(seed, draw):
    pair, _, _ = random_pair(seed, 4, 5)
    match = maximum_match(pair, 0.999)
    null = reassigned(pair, match, np.random.default_rng(draw))
    assert (null.n_x, null.n_y) == (len(match.x), len(match.y))
    cosines = []
    for side in (matched_vectors(pair, match), matched_vectors(null, maximum_match(null, 0.9999999))):
        bases = [np.linalg.qr(z.T)[0] for z in side if len(z)]
        cosines.append(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False) if len(bases) > 1 else [])
    assert len(cosines[0]) == len(cosines[1])
    np.testing.assert_allclose(cosines[0], cosines[1], atol=1e-6)
    before = matched_vectors(pair, match)
    after = simple_matches.reassigned_vectors(*before, np.random.default_rng(draw))
    for this, other in ((0, 1), (1, 0)):
        basis = np.linalg.qr(before[other].T)[0]
        squared = [((z[this] - z[this] @ basis @ basis.T) ** 2).sum() for z in (before, after)]
        assert squared[0] == pytest.approx(squared[1], abs=1e-9)


def test_the_null_tells_local_from_distributed():
    local, distributed = local_pair(), distributed_pair()
    assert set(minimal_sizes(local, 0.2)["size"]) == {2}
    assert null_sizes(local, 0.2)["size"].median() >= 12
    real = minimal_sizes(distributed, 0.2)["size"].median()
    assert null_sizes(distributed, 0.2)["size"].median() == pytest.approx(real, rel=0.3)


# ---------------------------------------------------------------- the study


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))
    study = Study(network="vgg8_bn", epochs=1, images=200, seeds=(0, 1, 2), layers=("relu1_1", "relu2_1", "logits"))
    store.record(seeds.KIND, study, progress=False)
    return study


def test_a_study_of_simple_matches_end_to_end(recorded):
    place = store.record(simple_matches.KIND, recorded, {"layers": ["relu1_1"]}, progress=False)
    assert studies.records_of("simple_matches") == [place]
    result = studies.find_or_compute(simple_matches.KIND, recorded, {"layers": ["relu1_1"]})
    tables = result.tables
    assert result.folder == place
    assert result.provenance["kind"] == "simple_matches"
    assert result.provenance["checkpoints"] == studies.run(recorded).provenance["checkpoints"]
    assert result.settings["layers"] == ["relu1_1"]
    levels = tables["levels"].query("layer == 'relu1_1' and seed_a == 0 and seed_b == 1 and share == 0.5")
    pair = studies.run(recorded).pair("relu1_1", 0, 1)
    assert levels["matched"].item() == len(maximum_match(pair, levels["epsilon"].item()))
    again = minimal_sizes(pair, levels["epsilon"].item(), simple_matches.ORDERS)
    kept = tables["sizes"].query("layer == 'relu1_1' and seed_a == 0 and seed_b == 1 and share == 0.5")
    pd.testing.assert_series_equal(again["size"], kept["size"].reset_index(drop=True), check_dtype=False)
    assert set(tables["map"]["layer"]) == set(tables["smallest"]["layer"]) == {"relu1_1"}
    assert len(tables["levels"].groupby(["seed_a", "seed_b"])) == 3
    assert tables["map"]["frequency"].nunique() > 1
    fewer = studies.find_or_compute(simple_matches.KIND, replace(recorded, seeds=(0, 2))).tables
    assert {(a, b) for a, b in zip(fewer["sizes"]["seed_a"], fewer["sizes"]["seed_b"], strict=True)} == {(0, 2)}
    with pytest.raises(BadInput, match=r"unknown compressed layer 'relu1'.*relu1_1"):
        studies.find_or_compute(simple_matches.KIND, recorded, {"layers": ["relu1"]})


def test_seeds_of_which_nothing_is_kept_are_refused(recorded, monkeypatch):
    monkeypatch.setattr(seeds, "GRAM_CHANNELS", 0)
    with pytest.raises(BadInput, match=r"no layer of seeds \[1, 2\] is kept compressed"):
        simple_matches.compute(replace(recorded, seeds=(1, 2), images=100), progress=False)


def test_layers_without_neurons_or_match_give_empty_tables():
    assert telling_epsilons(Pair.from_arrays(np.zeros((2, 9)), np.zeros((3, 9)))) == {}
    apart = Pair.from_arrays(np.eye(9)[:2], np.eye(9)[4:6])
    assert smallest_matches(apart, 0.3).empty
