"""Networks that differ in one thing: what each condition shares, values of a pair, the scale, what a target keeps."""

import numpy as np
import pandas as pd
import pytest
import torch

from helpers.errors import BadInput
from helpers.matching import critical_epsilons
from helpers.measures.chance import with_positions
from helpers.networks import training
from helpers.networks.targets import VEHICLES
from helpers.studies import development, forks, pairwise, targets
from helpers.studies.pairwise import Member, MemberPair, calibrated_pairs, compare_members, pair_values
from helpers.studies.study import Study
from helpers.studies.study import test_images as images_of
from helpers.subspaces import Pair
from tests.test_training import one_thread, tiny  # noqa: F401

TINY = Study("digits", "vgg8_bn", 0.06, (0, 1), "digits", epochs=2, images=80)


def blocks(images, positions, rng):
    return {name: torch.from_numpy(rng.random((4, images * positions))) for name in "ab"}


def test_products_of_batches_are_those_of_all_samples_in_every_order():
    rng = np.random.default_rng(0)
    batches = [blocks(6, 3, rng), blocks(5, 3, rng)]
    orders = [[np.arange(6), rng.permutation(6)], [np.arange(5), rng.permutation(5)]]
    sums = pairwise._ProductsByOrder()
    for batch, order in zip(batches, orders, strict=True):
        sums.add(batch, [("a", "b"), ("a", "a")], order)
    whole = {name: np.concatenate([batch[name].numpy() for batch in batches], axis=1) for name in "ab"}
    samples = np.concatenate([with_positions(orders[0][1], 3), 18 + with_positions(orders[1][1], 3)])
    for k, y in enumerate((whole["b"], whole["b"][:, samples])):
        pair, power = sums.pair("a", "b", k)
        assert np.allclose(pair.gram, Pair.from_arrays(whole["a"], y).gram)
        assert np.allclose(power, (np.concatenate([whole["a"], y]) ** 2).sum(axis=1))
        assert pair.samples == 33


def test_values_of_a_planted_pair():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, 50))
    y = np.vstack([x[0], 3 * x[1], np.zeros(50), rng.standard_normal(50)])
    pair = Pair.from_arrays(x, y)
    power = np.concatenate([(x**2).sum(axis=1), (y**2).sum(axis=1)])
    values = pair_values(pair, power)
    critical = np.minimum(np.concatenate(critical_epsilons(pair)), 1)
    assert values["neurons"] == 7
    assert values["dead"] == 1
    assert values["similarity"] == pytest.approx(4 / 7)
    assert values["alive"] == pytest.approx(4 / 6)
    assert values["by_power"] == pytest.approx(
        (power[:2].sum() / power[:3].sum() + power[3:5].sum() / power[3:].sum()) / 2
    )
    grid = np.linspace(0, 1, 20001)
    area = np.mean([(critical <= epsilon).mean() for epsilon in grid])
    assert values["area"] == pytest.approx(area, abs=1e-3)
    assert values["median"] == pytest.approx(1 - np.median(critical))


def test_a_layer_without_alive_neurons_is_not_similar():
    pair = Pair.from_arrays(np.zeros((2, 5)), np.zeros((2, 5)))
    values = pair_values(pair, np.zeros(4))
    assert (values["area"], values["median"], values["similarity"], values["dead"]) == (0, 0, 0, 4)
    assert np.isnan(values["alive"])
    assert np.isnan(values["by_power"])


def test_a_network_is_its_own_ceiling_and_chance_is_below():
    data = images_of(TINY)
    members, comparisons = {"one": Member(tiny(epochs=1), 0)}, [MemberPair("ceiling", "one", "one")]
    tables, sidecars, networks = compare_members(members, comparisons, data, orders=2, progress=False)
    alive = tables["pairs"]["dead"] == 0
    assert alive.any()
    assert (tables["pairs"].loc[alive, "area"] == 1).all()
    assert (tables["pairs"].loc[alive, "chance_area"] < 1).all()
    assert np.allclose(calibrated_pairs(tables["pairs"])["calibrated"], 1)
    assert len(sidecars) == len(networks) == len(tables["networks"]) == 1
    at_0_3 = tables["similarity"].query("epsilon == 0.3")["similarity"].to_numpy()
    assert np.array_equal(at_0_3, tables["pairs"]["similarity"])


def test_the_scale_has_chance_at_0_and_the_ceiling_at_1():
    rows = [("ceiling", "l", 0.8, 0.2), ("ceiling", "l", 1.0, 0.4), ("x", "l", 0.9, 0.3), ("x", "l", 0.3, 0.3)]
    pairs = pd.DataFrame(rows, columns=["condition", "layer", "area", "chance_area"])
    calibrated = calibrated_pairs(pairs)["calibrated"]
    assert calibrated.tolist()[2:] == pytest.approx([1, 0])
    assert calibrated.tolist()[:2] == pytest.approx([0.6 / 0.7, 0.6 / 0.5])


def test_a_comparison_of_unknown_networks_is_refused():
    with pytest.raises(BadInput, match="x compares b: expected one of a"):
        compare_members({"a": Member(tiny(epochs=1), 0)}, [MemberPair("x", "a", "b")], images_of(TINY))


def shared(members, comparison):
    """What the trainings of two members share: initialisation, order, augmentation, target, past."""
    a, b = members[comparison.a].run, members[comparison.b].run
    names = {"seed": "initialisation", "order_seed": "order", "augment_seed": "augmentation", "target": "target"}
    return {word for field, word in names.items() if getattr(a, field) == getattr(b, field)}


def test_conditions_of_forks_share_what_they_say():
    members, comparisons = forks.cast_forks(Study(seeds=(0, 1, 2)), (5, 6), (5, 6), (1, 2, 5, 8))
    expected = {
        "untrained": {"target"},
        "nothing": {"target"},
        "order": {"target", "order", "augmentation"},
        "initialisation": {"target", "initialisation"},
        "past 1": {"target", "initialisation"},
        "past 2": {"target", "initialisation"},
        "past 5": {"target", "initialisation"},
        "ceiling": {"target", "initialisation", "order", "augmentation"},
    }
    for comparison in comparisons:
        assert shared(members, comparison) == expected[comparison.condition], comparison
        past = comparison.condition.partition("past ")[2]
        assert members[comparison.b].run.fork_after == int(past or 0)
    counts = pd.Series([c.condition for c in comparisons]).value_counts()
    assert counts.pop("nothing") == 3 + 8 + 4  # seeds; seeds 1 and 2 with 4 relatives; other order with other start
    assert counts.to_dict() == {name: 1 if "past" in name else 3 for name in expected if name != "nothing"}


def test_networks_for_other_targets_share_nothing_but_the_images_with_those_for_labels():
    study = Study("digits", "vgg11_bn", 0.125, (0, 1), "digits")
    members, comparisons = targets.cast_targets(study, (3, 4))
    for comparison in comparisons:
        common = shared(members, comparison)
        if comparison.condition in ("rotation", "shuffled"):
            assert common == set()
        elif comparison.condition in ("labels", "rotation alone", "shuffled alone", "untrained"):
            assert common == {"target"}
    assert {c.condition for c in comparisons} == {
        *("labels", "rotation", "shuffled", "rotation alone", "shuffled alone", "untrained", "ceiling")
    }


def test_cifar10_has_vehicles_and_shuffled_labels_are_learnt_by_heart(monkeypatch):
    monkeypatch.setattr(targets, "load_dataset", lambda name: type("Data", (), {"classes": (*VEHICLES, "cat")}))
    members, comparisons = targets.cast_targets(Study("cifar10", "vgg16_bn", 0.25, (0, 1), "quarter"), (3, 4))
    recipes = {(m.run.target, m.run.recipe.name) for m in members.values()}
    assert recipes == {
        *(("labels", "quarter"), ("rotation", "quarter"), ("vehicles", "quarter"), ("shuffled", "memorise"))
    }
    assert pd.Series([c.condition for c in comparisons]).value_counts()["vehicles"] == 4
    _, fewer = targets.cast_targets(Study("cifar10", "vgg16_bn", 0.25, (0, 1), "quarter"), (3, 4), ["rotation"])
    assert {c.condition for c in fewer} == {"labels", "rotation", "rotation alone", "untrained", "ceiling"}


def test_a_target_that_was_not_learnt_does_not_decide(monkeypatch):
    pairs = pd.DataFrame({"condition": ["a"]})
    shares = pd.DataFrame({"condition": ["labels", "a", "b"], "group": "pool", "share_kept": [1, 0.2, 0.3]})
    known = pd.DataFrame({"target": ["labels", "a", "b"], "learnt": [True, True, False]})
    monkeypatch.setattr(targets, "shares_kept", lambda *_: shares)
    monkeypatch.setattr(targets, "learnt", lambda *_: known)
    deciding = targets.deciding_shares({"pairs": pairs, "networks": pairs}, {})
    assert deciding["condition"].tolist() == ["a"]


def test_a_target_is_learnt_if_it_is_told_better_than_by_naming_the_largest_class():
    rows = [("labels", 0, 0.99), ("labels", 8, 0.4), ("labels", 7, 0.2), ("rotation", 8, 0.3)]
    networks = pd.DataFrame(rows, columns=["target", "epoch", "accuracy"])
    by_target = targets.learnt(targets.with_largest_class(networks, "digits")).set_index("target")
    assert by_target.loc["labels", "accuracy"] == pytest.approx(0.3)
    assert by_target["learnt"].tolist() == [True, False]
    assert 0.1 < by_target.loc["labels", "largest_class"] < 0.15
    assert 0.25 < by_target.loc["rotation", "largest_class"] < 0.4


def test_what_a_target_keeps_is_a_share_of_what_the_labels_reach():
    rows = [
        (condition, layer, area, 0.2)
        for condition, areas in {"ceiling": (1.0, 1.0), "labels": (0.6, 0.6), "rotation": (0.5, 0.2)}.items()
        for layer, area in zip(("l1", "l2"), areas, strict=True)
    ]
    pairs = pd.DataFrame(rows, columns=["condition", "layer", "area", "chance_area"])
    shares = targets.shares_kept(pairs, {"early": ["l1"], "late": ["l2"]}).set_index(["condition", "group"])
    assert shares.loc[("rotation", "early"), "share_kept"] == pytest.approx(0.75)
    assert shares.loc[("rotation", "late"), "share_kept"] == pytest.approx(0)
    assert shares.loc[("labels", "early"), "calibrated"] == pytest.approx(0.5)
    chance = pairs.assign(area=pairs["area"].where(pairs["condition"] != "labels", 0.2))
    assert targets.shares_kept(chance, {"early": ["l1"]})["share_kept"].isna().all()


@pytest.mark.parametrize("kind", [forks, targets, development])
def test_every_kind_of_study_trains_what_is_missing_and_compares_all_its_pairs(kind):
    computed = kind.compute(TINY, permutations=1, progress=False)
    pairs = computed.tables["pairs"]
    assert pairs["chance_area"].between(0, 1).all()
    assert pairs["area"].between(0, 1).all()
    assert pairs.groupby("condition").size().min() >= pairs["layer"].nunique()
    networks = computed.tables["networks"]
    assert set(pairs["a"]) | set(pairs["b"]) == set(networks["member"])
    assert networks["accuracy"].between(0, 1).all()
    if kind is development:
        between = pairs[pairs["how"] == "between"]
        assert sorted(between["epoch"].unique()) == [0, 1, 2]
        assert sorted(pairs.loc[pairs["how"] == "within", "epoch"].unique()) == [0, 1]


def test_sidecars_older_than_targets_and_forks_are_described():
    old = {"network": "n", "dataset": "d", "width": 1.0, "seed": 0, "order_seed": 0, "epoch": 3, "accuracy": 0.5}
    row = pairwise.member_row("m", old | {"recipe": {"name": "short"}, "train_seconds": 1.0})
    assert (row["target"], row["fork_after"], row["recipe"]) == ("labels", 0, "short")
    assert "target" in training.read_sidecar(training.start(tiny(epochs=1)))
