"""Causes: each condition against brute force on all activations, planted causes found, the twins of the critique."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from helpers import studies
from helpers.errors import BadInput
from helpers.matching import critical_epsilons
from helpers.networks import datasets, training
from helpers.networks.activations import activations
from helpers.networks.moments import SHUFFLES, Moments, collect_moments, other_images
from helpers.studies import causes, store
from helpers.studies.causes import Cast, linear_cka
from helpers.studies.constructions import same_output_twins
from helpers.studies.study import Study
from helpers.subspaces import Gram, Pair
from tests.test_subspaces import OnAccelerator

CLASSES = 3


class Tiny(nn.Module):
    """A convolution and logits; images of 2 × 2 positions."""

    def __init__(self, seed: int, channels: int = 4) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv, self.relu = nn.Conv2d(channels, 3, 1), nn.ReLU()
            self.logits = nn.Linear(12, CLASSES)
            self.eval()

    def forward(self, images):
        return self.logits(self.relu(self.conv(images)).flatten(1))


def labelled(images: int = 24, channels: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = torch.from_numpy(np.arange(images) % CLASSES)
    return torch.from_numpy(rng.normal(size=(images, channels, 2, 2))).float(), labels


def in_batches(images, labels, size: int = 12):
    return zip(images.split(size), labels.split(size), strict=True)


@pytest.fixture(scope="module")
def tiny():
    """Three tiny networks with the moments of their ReLU layer, and their activations (neurons, images, positions)."""
    nets, (images, labels) = [Tiny(k) for k in range(3)], labelled()
    pairs = list(combinations(range(3), 2))
    moments = collect_moments(nets, in_batches(images, labels), ["relu"], pairs, 3, CLASSES)["relu"]
    z = [activations(net, [images], "relu").reshape(3, len(images), 4) for net in nets]
    logits = [activations(net, [images], "logits") for net in nets]
    return moments, z, logits, labels.numpy()


# ---------------------------------------------------------------- against brute force


def test_blocks_are_those_of_all_activations(tiny):
    moments, z, _, _ = tiny
    both = np.vstack([z[0].reshape(3, -1), z[2].reshape(3, -1)])
    np.testing.assert_allclose(moments.gram(0, 2), both @ both.T, rtol=1e-6)
    np.testing.assert_allclose(moments.gram(2, 0)[:3, 3:], (both @ both.T)[3:, :3], rtol=1e-6)
    assert moments.samples == 24 * 4


@pytest.mark.statement("prp-residual")
@pytest.mark.parametrize(
    ("from_a", "from_b"),
    [("centred", "centred"), ("class means", "class means"), ("logits 2", "logits 2"), ("logits 1", "logits 0")],
)
def test_what_is_left_is_the_residual_of_least_squares(tiny, from_a, from_b):
    moments, z, logits, labels = tiny
    constant = np.ones((1, 24))
    spans = {"centred": constant, "class means": np.eye(CLASSES)[labels].T}
    spans |= {f"logits {k}": np.vstack([constant, logits[k]]) for k in range(3)}
    parts = []
    for neurons, name in ((z[0], from_a), (z[1], from_b)):
        basis = np.linalg.qr(spans[name].T)[0].T
        parts.append((neurons - np.einsum("nip,fi,fj->njp", neurons, basis, basis)).reshape(3, -1))
    left = np.vstack(parts)
    expected = left @ left.T
    np.testing.assert_allclose(moments.residual_gram({0: from_a, 1: from_b}), expected, atol=1e-5 * expected.max())


def test_what_two_networks_explain_does_not_read_the_features_of_others(tiny):
    """Otherwise the time would grow with the fourth power of the networks."""
    moments, *_ = tiny
    products = {k: values.copy() for k, values in moments.products.items()}
    for values in products.values():
        values[:, moments.named["logits 2"]] = np.nan
    taken = {0: "logits 1", 1: "logits 0"}
    left = replace(moments, products=products).residual_gram(taken)
    np.testing.assert_array_equal(left, moments.residual_gram(taken))


def test_a_layer_less_its_own_logits_where_it_is_the_logits_is_nothing():
    nets, (images, labels) = [Tiny(k) for k in range(2)], labelled()
    moments = collect_moments(nets, in_batches(images, labels), ["logits"], [(0, 1)], 2, CLASSES)["logits"]
    assert not moments.residual_gram({0: "logits 0", 1: "logits 1"}).any()
    assert (np.diag(moments.residual_gram({0: "logits 1", 1: "logits 0"})) > 0).all()


def test_shuffled_products_are_those_of_the_exchanged_images(tiny):
    moments, z, _, labels = tiny
    rng, expected = np.random.default_rng(0), dict.fromkeys(SHUFFLES, 0)
    for start in (0, 12):
        part = torch.from_numpy(labels[start : start + 12])
        for how in SHUFFLES:
            order = other_images(part, how == "same class", rng).numpy() + start
            a, b = z[0][:, start : start + 12].reshape(3, -1), z[1][:, order].reshape(3, -1)
            expected[how] = expected[how] + a @ b.T
    for how in SHUFFLES:
        np.testing.assert_allclose(moments.shuffled_gram(how, 0, 1)[:3, 3:], expected[how], rtol=1e-5)
        assert not np.allclose(expected[how], moments.gram(0, 1)[:3, 3:])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.booleans(), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_other_images_are_other_images_of_the_class_each_once(labels, within, seed):
    given_labels = np.array(labels)
    order = other_images(torch.tensor(labels), within, np.random.default_rng(seed)).numpy()
    assert sorted(order) == list(range(len(labels)))
    stays = order == np.arange(len(labels))
    if within:
        assert (given_labels[order] == given_labels).all()
        assert (stays == (np.bincount(given_labels, minlength=4)[given_labels] == 1)).all()
    else:
        assert stays.any() == (len(labels) == 1)


def test_a_removal_that_leaves_too_little_is_left_out_and_says_why(tiny, monkeypatch):
    moments, cast, rows = tiny[0], Cast(((0, 1), (1, 1), (2, 1)), 3), causes.pair_rows
    grams = {"as it is": moments.gram(0, 1), "own logits": moments.residual_gram({0: "logits 0", 1: "logits 1"})}
    monkeypatch.setattr(causes, "conditions", lambda *_: [(name, 0, 1, gram) for name, gram in grams.items()])

    def weak(pair, ridge=causes.RESIDUAL_RIDGE):
        if pair.ridge == ridge:
            raise BadInput("the Gram matrix is too ill-conditioned for float64: use the QR route (QRAccumulator)")
        return rows(pair)

    monkeypatch.setattr(causes, "pair_rows", weak)
    critical, summary = causes.match_conditions(moments, cast)
    assert set(critical["condition"]) == {"as it is"}
    assert summary["condition"].tolist() == ["as it is", "own logits"]
    assert summary["refused"].tolist() == ["", "the Gram matrix is too ill-conditioned for float64"]
    monkeypatch.setattr(causes, "pair_rows", lambda pair: weak(pair, pair.ridge))
    with pytest.raises(BadInput, match="too ill-conditioned"):
        causes.match_conditions(moments, cast)


# ---------------------------------------------------------------- planted causes


def planted(shared: np.ndarray, seed: int) -> np.ndarray:
    """Six neurons that are random mixes of what is shared, with a little noise of their own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(6, shared.shape[1]))
    return rng.normal(size=(6, len(shared))) @ shared + 0.01 * noise


def moments_of(z: list[np.ndarray], labels: np.ndarray) -> Moments:
    """Moments of activations (neurons, images) at one position."""
    indicators = np.eye(CLASSES)[labels].T
    moments = Moments(samples=len(labels), features=indicators @ indicators.T, named={"class means": slice(0, CLASSES)})
    order = other_images(torch.from_numpy(labels), True, np.random.default_rng(0)).numpy()
    for a in range(len(z)):
        moments.products[a] = (z[a] @ indicators.T)[:, :, None]
        for b in range(a, len(z)):
            moments.blocks[a, b] = z[a] @ z[b].T
            moments.shuffled["same class", a, b] = z[a] @ z[b][:, order].T
    return moments


def matched(gram: np.ndarray, epsilon: float = 0.3) -> float:
    return float((np.concatenate(critical_epsilons(Pair.from_gram(gram, 6, 6, 300))) <= epsilon).mean())


@pytest.mark.parametrize("cause", ["class", "image"])
def test_the_planted_cause_is_the_one_that_is_found(cause):
    labels = np.arange(300) % CLASSES
    rng = np.random.default_rng(5)
    shared = np.eye(CLASSES)[labels].T if cause == "class" else rng.normal(size=(3, 300))
    moments = moments_of([planted(shared, 1), planted(shared, 2)], labels)
    assert matched(moments.gram(0, 1)) == 1
    assert matched(moments.residual_gram({0: "class means", 1: "class means"})) == (cause == "image")
    assert matched(moments.shuffled_gram("same class", 0, 1)) == (cause == "class")


@given(st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_directions_taken_out_are_the_principal_components_of_the_others(seed):
    rng = np.random.default_rng(seed)
    z, others = rng.normal(size=(4, 60)), rng.normal(size=(5, 3)) @ rng.normal(size=(3, 60))
    both = np.vstack([z, others])
    basis = np.linalg.svd(others)[2]
    by_count = dict(causes.strongest_out(both @ both.T, 4))
    assert list(by_count) == [1, 2, 3]  # the others span no more
    for k, left in by_count.items():
        rest = z - z @ basis[:k].T @ basis[:k]
        np.testing.assert_allclose(left, rest @ rest.T, atol=1e-8 * len(z) * 60)


@pytest.mark.parametrize("shared_is_strong", [True, False])
def test_directions_tell_what_the_third_network_shares_from_what_is_its_own(shared_is_strong):
    """Three networks share three signals; the third has a strong one of its own, too, or it has not."""
    rng = np.random.default_rng(3)
    shared, alone = rng.normal(size=(3, 300)), rng.normal(size=(3, 300)) * (0.01 if shared_is_strong else 10)
    z = [planted(shared, 1), planted(shared, 2), planted(np.vstack([shared, alone]), 3)]
    left = dict(causes.strongest_out(np.vstack(z) @ np.vstack(z).T, 12))
    assert matched(left[3]) == (0 if shared_is_strong else 1)
    assert matched(left[6]) == 0


def test_strong_signals_that_a_third_network_shares_with_each_alone_carry_no_match():
    """The star of the exercise far below the line: only what is weak is shared by all three, and it is the outputs."""

    def area(gram: np.ndarray) -> float:
        return causes.area(np.concatenate(critical_epsilons(Pair.from_gram(gram, 6, 6, 300))))

    signals = np.sqrt(300) * np.linalg.qr(np.random.default_rng(4).normal(size=(300, 9)))[0].T
    with_x, with_y, outputs = signals.reshape(3, 3, 300)
    pair = np.vstack([planted(np.vstack([2 * with_x, outputs]), 1), planted(np.vstack([2 * with_y, outputs]), 2)])
    both = np.vstack([pair, planted(np.vstack([4 * with_x, 4 * with_y, outputs]), 3)])
    left = dict(causes.strongest_out(both @ both.T, 12))
    without = pair - pair @ outputs.T @ outputs / 300
    assert area(without @ without.T) < 0.2 * area(pair @ pair.T)
    assert area(left[6]) > area(pair @ pair.T)
    assert np.trace(left[6]) < 0.4 * np.trace(without @ without.T)


def test_a_table_of_directions_against_all_activations():
    nets, (images, labels) = [Tiny(k) for k in range(3)], labelled(60)
    pairs = list(combinations(range(3), 2))
    moments = collect_moments(nets, in_batches(images, labels), ["relu", "logits"], pairs, 3, CLASSES)
    cast = Cast(((5, 1), (6, 1), (7, 1)), 3)
    table, none = (causes.compare_directions(moments[layer], cast) for layer in ("logits", "relu"))
    assert none.empty
    assert pd.concat([none, table]).dtypes.equals(table.dtypes)
    assert table.columns.tolist()[:2] == ["taken", "directions"]
    counts = table[table["seed_a"] == 6].groupby("taken")["directions"].apply(list).to_dict()
    assert counts == {"centred": [0], "third logits": [3], "strongest": [1, 2, 3]}  # less its own logits, none is left
    z = [activations(net, [images], "logits").astype(float) for net in nets]
    z = [values - values.mean(axis=1, keepdims=True) for values in z]
    for row in table[(table["seed_a"] == 5) & (table["seed_b"] == 7)].itertuples():
        basis = np.linalg.svd(z[1])[2][: row.directions]
        x, y = (values - values @ basis.T @ basis for values in (z[0], z[2]))
        left = [(part**2).sum(1) / (whole**2).sum(1) for part, whole in ((x, z[0]), (y, z[2]))]
        assert row.variance_left == pytest.approx(np.mean(left), rel=1e-5)
        assert row.area == pytest.approx(causes.area(np.concatenate(critical_epsilons(x, y))), abs=1e-4)
    two = causes.compare_directions(moments["logits"], Cast(((5, 1), (6, 1)), 2))
    assert two.empty


def test_the_area_counts_what_never_matches_as_nothing():
    assert causes.area(np.array([0.0, 0.5, 1.0, np.inf])) == pytest.approx(1.5 / 4)


def test_linear_cka_is_one_for_rotations_and_small_for_strangers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 400))
    turned = np.linalg.qr(rng.normal(size=(5, 5)))[0] @ x
    for y, low, high in ((turned, 1 - 1e-9, 1 + 1e-9), (rng.normal(size=(5, 400)), 0, 0.1)):
        both = np.vstack([x, y])
        assert low <= linear_cka(both @ both.T, 5) <= high


# ---------------------------------------------------------------- the critique


@pytest.mark.statement("prp-twins")
@given(st.integers(1, 4), st.floats(0.1, 0.9), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_orthogonal_twins_do_not_match_below_the_bound(n, share, seed):
    rng = np.random.default_rng(seed)
    z = np.kron(np.eye(3), np.ones((1, 20))).repeat(n, axis=0) * rng.uniform(0.1, 1, (3 * n, 60))
    c = share / (1 - share)
    twins = same_output_twins(Gram(z.sum(1), 60, (n, n, n), z @ z.T), share)
    assert np.concatenate(critical_epsilons(twins)).min() >= c / np.sqrt(1 + c**2) - 1e-6
    hidden = [np.vstack([z[:n] + c * z[k * n : (k + 1) * n], c * z[k * n : (k + 1) * n]]) for k in (1, 2)]
    assert [np.linalg.matrix_rank(h) for h in hidden] == [2 * n, 2 * n]


@given(st.integers(1, 5), st.floats(0.4, 0.9), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_twins_are_two_real_layers_with_the_same_outputs(n, share, seed):
    rng = np.random.default_rng(seed)
    z = np.maximum(rng.normal(size=(3 * n, 2000)), 0)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    signal, company, c = z[:n], (z[n : 2 * n], z[2 * n :]), share / (1 - share)
    hidden = [np.vstack([signal + c * other, c * other]) for other in company]
    weights = rng.normal(size=(2, n))
    outputs = [weights @ h[:n] - weights @ h[n:] for h in hidden]
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-12)
    assert min(h.min() for h in hidden) >= 0
    critical = np.concatenate(critical_epsilons(same_output_twins(Gram(z.sum(1), 2000, (n, n, n), z @ z.T), share)))
    expected = np.concatenate(critical_epsilons(*hidden))
    np.testing.assert_allclose(critical, expected, atol=1e-6)


def test_twins_without_company_are_the_same():
    z = np.random.default_rng(0).uniform(size=(6, 50))
    gram = Gram(z.sum(1), 50, (2, 2, 2), z @ z.T)
    x, y = critical_epsilons(same_output_twins(gram, 0))
    assert x.tolist() == y.tolist() == [0, 0, np.inf, np.inf]
    with pytest.raises(BadInput, match="three networks"):
        same_output_twins(gram.networks([0, 1]), 0.5)
    with pytest.raises(BadInput, match=r"share is 1"):
        same_output_twins(gram, 1)


# ---------------------------------------------------------------- the study


def test_the_cast_pairs_what_belongs_together():
    cast = Cast.of(Study(network="vgg8_bn", seeds=(0, 1, 2), epochs=2))
    named = {(cast.members[a], cast.members[b]): condition for (a, b), condition in cast.pairs.items()}
    assert named[(0, 2), (1, 2)] == "as it is"
    assert named[(1, 2), (1, 1)] == "1 epoch apart"
    assert named[(0, 0), (2, 0)] == "untrained"
    assert named[(2, 2), (0, 0)] == "one untrained"
    assert len(named) == 3 + 3 + 3 + 3
    assert Cast.of(Study(network="vgg8_bn", epochs=1)).trained == 2
    assert causes.taken_away(0, 2, 3)["third logits"] == {0: "logits 1", 2: "logits 1"}
    assert "third logits" not in causes.taken_away(0, 1, 2)
    with pytest.raises(BadInput, match=r"unknown feature 'logits 7'"):
        Moments(features=np.eye(3), named={"class means": slice(0, 3)}).inverse("logits 7")


def kept(study: Study, *epochs: tuple[int, int]) -> None:
    """Checkpoints of (seed, epoch), made without training."""
    for seed, epoch in epochs:
        run = study.runs[study.seeds.index(seed)]
        network, known = training.load_checkpoint(training.start(run))
        training.save(network, run.checkpoint(epoch), known | {"epoch": epoch})


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        ([(0, 9), (1, 9)], []),
        ([(0, 9), (0, 6), (0, 3), (1, 9)], [((0, 9), (0, 6), "late checkpoint")]),
        (
            [(0, 9), (0, 8), (0, 6), (1, 9), (1, 7)],
            [((0, 9), (0, 8), "1 epoch apart"), ((1, 9), (1, 7), "2 epochs apart")],
        ),
    ],
)
def test_the_positive_control_takes_the_epochs_that_were_kept(tmp_path, monkeypatch, epochs, expected):
    monkeypatch.setenv("SAMEREP_RUNS", str(tmp_path))
    study = Study(network="vgg8_bn", seeds=(0, 1), epochs=9)
    kept(study, *epochs)
    cast = Cast.of(study)
    named = [(cast.members[a], cast.members[b], condition) for (a, b), condition in cast.pairs.items()]
    controls = [row for row in named if row[0][0] == row[1][0] and row[1][1]]
    assert controls == expected
    assert [row[2] for row in named].count("one untrained") == 2


def test_moments_are_made_where_the_networks_lie(tiny):
    nets, (images, labels) = [Tiny(k) for k in range(3)], labelled()
    placed = ((part.as_subclass(OnAccelerator), label) for part, label in in_batches(images, labels))
    moments = collect_moments(nets, placed, ["relu"], list(combinations(range(3), 2)), 3, CLASSES)["relu"]
    for name in ("blocks", "products", "shuffled"):
        for key, expected in getattr(tiny[0], name).items():
            np.testing.assert_allclose(getattr(moments, name)[key], expected, rtol=1e-12)
    np.testing.assert_allclose(moments.features, tiny[0].features, rtol=1e-12)


def test_a_study_of_causes_end_to_end(tmp_path, monkeypatch):
    for name in ("RUNS", "CACHE", "RESULTS"):
        monkeypatch.setenv(f"SAMEREP_{name}", str(tmp_path / name))
    study = Study(network="vgg8_bn", epochs=1, seeds=(0, 1, 2), images=300, layers=("relu1_1", "relu_fc2", "logits"))
    place = store.record(causes.KIND, study, progress=False)
    result = studies.find_or_compute(causes.KIND, study)
    tables, provenance = result.tables, result.provenance
    cached = studies.cache_root() / store.study_key(causes.KIND, study)
    cached.parent.mkdir(exist_ok=True)
    place.rename(cached)
    pd.testing.assert_frame_equal(studies.find_or_compute(causes.KIND, study).tables["critical"], tables["critical"])
    cached.rename(place)
    fewer = studies.find_or_compute(causes.KIND, replace(study, seeds=(0, 2))).tables["critical"]
    assert set(fewer["seed_a"]) | set(fewer["seed_b"]) == {0, 2}
    assert set(
        studies.find_or_compute(causes.KIND, replace(study, layers=("logits",))).tables["critical"]["layer"]
    ) == {"logits"}
    for option in ({"epoch": 0}, {"before_relu": True}, {"sampled": True}, {"keep": ("logits",)}):
        with pytest.raises(BadInput, match=f"{next(iter(option))} is .*: causes compare whole trainings"):
            causes.compute(replace(study, **option))
    assert place in studies.records_of("causes")
    assert provenance["kind"] == "causes"
    counts = tables["summary"].groupby("condition").size()
    missing = {
        "1 epoch apart",
        "2 epochs apart",
        "late checkpoint",
    }  # there is no epoch between the first and the untrained
    assert set(counts.index) == set(causes.CONDITIONS) - missing
    assert (counts == 9).all()
    plain = studies.run(study, progress=False).tables["critical"]
    ours = tables["critical"].query("condition == 'as it is'")
    # the networks compute in float32, and other batches round otherwise
    np.testing.assert_allclose(ours["critical_epsilon"], plain["critical_epsilon"], atol=1e-4)
    shares = tables["summary"].query("layer == 'logits'").groupby("condition")["power_left"].mean()
    assert shares["as it is"] == shares["same class"] == 1
    assert 0 == shares["own logits"] < shares["other logits"] < shares["centred"] < 1
    directions = tables["directions"]
    assert set(directions["layer"]) == {"relu_fc2", "logits"}
    assert (directions["seed_a"] < directions["seed_b"]).all()
    alone = directions.query("taken == 'third logits'").set_index(["layer", "seed_a", "seed_b"])["area"]
    ours = tables["critical"].query("condition == 'third logits' and layer in ['relu_fc2', 'logits']")
    areas = ours.groupby(["layer", "seed_a", "seed_b"], observed=True)["critical_epsilon"].apply(causes.area)
    np.testing.assert_allclose(areas, alone.sort_index(), atol=1e-12)
    with pytest.raises(BadInput, match="no images"):
        collect_moments([Tiny(0)], [], ["relu"], [(0, 0)], 1, CLASSES)


def test_batches_carry_every_image_with_its_own_label():
    data = datasets.load_dataset("digits")
    batches = list(causes.labelled_batches(data, progress=False))
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == sorted(data.labels.tolist())
    plain = next(iter(datasets.batches(data, len(data.images))))
    order = np.random.default_rng(0).permutation(len(data.images))
    torch.testing.assert_close(batches[0][0][3], plain[order[3]])
    assert batches[0][1][3] == data.labels[order[3]]
