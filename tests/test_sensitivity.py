"""Sensitivity: what is taken out is gone, measures with a declared invariance do not move, ranks by hand."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import BadInput
from helpers.measures import measure
from helpers.studies import sensitivity
from helpers.studies.sensitivity import Probed, changed_layers, component_counts, probe_agreement
from helpers.studies.study import Study

NAMES = ("subspace", "cka", "cca", "regression")


def planted(seed: int = 0, neurons: int = 12, images: int = 300) -> Probed:
    """Four classes on the two strongest of many directions; the others are noise of falling size."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (2, images))
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(neurons, neurons)))[0]
    power = np.r_[6, 5, np.geomspace(1, 0.05, neurons - 2)]
    sets = []
    for classes in labels:
        z = rng.normal(size=(neurons, images))
        corner = np.stack([classes % 2, classes // 2]) * 2 - 1
        z[:2] = corner + 0.1 * z[:2]
        sets.append(basis @ (power[:, None] * z) + 20)
    return Probed(sets[0], sets[1], labels[0], labels[1])


def test_components_taken_out_are_gone_and_means_stay():
    layer = planted()
    for strong in (False, True):
        left = layer.without_components(3, strong)
        centred = left.train - left.train.mean(1, keepdims=True)
        assert np.linalg.matrix_rank(centred, tol=1e-6) == 9
        assert np.allclose(left.train.mean(1), layer.train.mean(1))
    sizes = [layer.without_components(2, strong).train.var(axis=1).sum() for strong in (False, True)]
    whole = layer.train.var(axis=1).sum()
    values = np.linalg.eigvalsh(np.cov(layer.train, bias=True))
    assert sizes == pytest.approx([whole - values[:2].sum(), whole - values[-2:].sum()])


def test_both_sets_lose_the_same_directions():
    layer = planted()
    left = layer.without_components(4, strong=True)
    moved = np.linalg.svd(layer.test - left.test)[0][:, :4]
    assert np.allclose(moved.T @ (left.train - left.train.mean(1, keepdims=True)), 0, atol=1e-6)


def test_a_probe_notices_strong_directions_of_a_layer_whose_classes_lie_there():
    layer = planted()
    assert layer.accuracy() > 0.95
    assert layer.without_components(10, strong=False).accuracy() > 0.95
    assert layer.without_components(2, strong=True).accuracy() < 0.5


def test_component_counts_rise_to_all_but_one():
    assert component_counts(64, 8) == [1, 3, 10, 32, 54, 61, 63]
    assert all(1 <= count < 5 for count in component_counts(5, 8))


def test_one_neuron_enlarged_and_one_image_far_out():
    changes = {change: layer for change, _, layer in changed_layers(planted(), planted(1), steps=4)}
    assert set(changes) == set(sensitivity.CHANGES)
    ratio = changes["one neuron"].test / planted().test
    assert sorted(np.unique(ratio.round(6))) == [1, sensitivity.LARGE]
    assert (changes["one image"].test != planted().test).any(axis=0).tolist() == [True] + [False] * 299
    assert changes["one image"].accuracy() >= planted().accuracy() - 1 / 300


def test_measures_do_not_move_where_they_are_invariant():
    table = sensitivity.sensitivity_rows(planted(), planted(1), NAMES, steps=4)
    fallen = table.set_index(["change", "measure"])["fallen"]
    assert fallen["one neuron", "subspace"] == pytest.approx(0, abs=1e-6)
    assert fallen["one neuron", "cca"] == pytest.approx(0, abs=1e-6)
    assert fallen["one neuron", "cka"] > 0.01
    assert (fallen["other seed"] > 0.1).all()
    assert table["fallen"].min() > -0.2


def test_values_are_those_of_each_measure_alone_and_an_unknown_name_is_refused():
    layer, other = planted(), planted(1)
    table = sensitivity.sensitivity_rows(layer, other, sensitivity.SHOWN, steps=4)
    assert {"rsa", "neighbours"} < set(table["measure"])
    values = table[table["change"] == "other seed"].set_index("measure")["value"]
    alone = {name: measure(name, layer.test, other.test) for name in sensitivity.SHOWN}
    assert values.to_dict() == pytest.approx(alone, abs=1e-9)
    with pytest.raises(BadInput, match="unknown measure 'neighbors': did you mean 'neighbours'"):
        sensitivity.sensitivity_rows(layer, other, ["neighbors"], steps=4)


def test_rank_agreement_by_hand():
    rows = [("weak components", 0.1, 0.0), ("weak components", 0.2, 0.1), ("strong components", 0.9, 0.5),
            ("strong components", 0.8, 0.6), ("one image", 1.0, 0.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["change", "fallen", "lost"]).assign(measure="m", layer="l", position=0)
    (row,) = probe_agreement(table).to_dict("records")
    assert row["weak"] == pytest.approx(1)
    assert row["strong"] == pytest.approx(-1)
    assert row["both"] == pytest.approx(0.8)


def test_the_sensitivity_study_on_digits(tmp_path, monkeypatch):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))
    study = Study("digits", "vgg8_bn", 0.125, (0, 1), epochs=1)
    table = sensitivity.compute_sensitivity(study, images=300, steps=4, names=("subspace", "cka"), progress=False)
    table = table.tables["sensitivity"]
    assert list(table["layer"].unique()) == ["relu3_1", "relu5_1", "pool"]
    assert set(table["measure"]) == {"subspace", "cka"}
    with pytest.raises(BadInput, match="layer"):
        sensitivity.compute_sensitivity(Study("digits", "vgg8_bn", 0.125, (0, 1), epochs=1, layers=("nowhere",)))
