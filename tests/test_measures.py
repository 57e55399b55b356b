"""The registry as a whole: declared invariances both ways, what is refused, identity, chance, no torch."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import ortho_group

from helpers.errors import BadInput
from helpers.measures import INVARIANCES, MEASURES, Compared, measure
from helpers.measures.chance import image_orders, p_value, permuted_values, with_positions
from helpers.measures.compared import Sampled
from helpers.measures.scale import on_scale
from helpers.subspaces import GramAccumulator

NAMES = list(MEASURES)
GRAM = [name for name, entry in MEASURES.items() if entry.needs == "gram"]


def layer_pair(seed: int = 0, neurons: int = 6, samples: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Two layers that share some directions, four neurons of each nearly in them."""
    rng = np.random.default_rng(seed)
    shared, noise = rng.normal(size=(3, samples)), np.where(np.arange(neurons) < 4, 0.05, 1.2)[:, None]
    sides = [rng.normal(size=(neurons, 3)) @ shared + noise * rng.normal(size=(neurons, samples)) for _ in range(2)]
    return sides[0], sides[1]


def changed(y: np.ndarray, how: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    neurons = len(y)
    if how == "permutation":
        return y[rng.permutation(neurons)]
    if how == "isotropic":
        return y * 7.3
    if how == "shift":
        return y + rng.uniform(-3, 3, (neurons, 1))
    if how == "per_neuron":
        return y * rng.uniform(0.2, 5, (neurons, 1))
    if how == "orthogonal":
        return ortho_group.rvs(neurons, random_state=seed) @ y
    return rng.normal(size=(neurons, neurons)) @ y  # "linear"


@pytest.mark.parametrize("how", INVARIANCES)
@pytest.mark.parametrize("name", NAMES)
def test_invariant_where_it_says_so_and_varying_where_not(name, how):
    differences = []
    for seed in range(4):
        x, y = layer_pair(seed)
        before = measure(name, x, y), measure(name, y, x)
        after = measure(name, x, changed(y, how, seed)), measure(name, changed(y, how, seed), x)
        differences += np.abs(np.subtract(before, after)).tolist()
    if how in MEASURES[name].invariances:
        assert max(differences) < 1e-6
    else:
        assert max(differences) > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_equal_layers_give_one_and_the_order_of_the_two_does_not_matter(name):
    x, y = layer_pair(3)
    assert measure(name, x, x) == pytest.approx(1, abs=1e-6)
    assert measure(name, x, y) == pytest.approx(measure(name, y, x), abs=1e-9)
    assert -1e-9 <= measure(name, x, y) < 1


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_layer_has_nothing_to_share_and_dead_neurons_are_taken(name):
    x, y = layer_pair(1)
    if "shift" in MEASURES[name].invariances:
        assert measure(name, x, np.full_like(y, 3.7)) == 0
    assert measure(name, x, np.zeros_like(y)) == pytest.approx(0, abs=1e-9)
    dead = y.copy()
    dead[[1, 4]] = 0
    assert np.isfinite(measure(name, x, dead))
    if name not in ("rsa", "soft_match") and not name.startswith("subspace"):  # these count dead neurons
        assert measure(name, x, dead) == pytest.approx(measure(name, x, y[[0, 2, 3, 5]]), abs=1e-9)


@pytest.mark.parametrize("name", GRAM)
def test_the_gram_matrix_is_enough_where_the_registry_says_so(name):
    x, y = layer_pair(2)
    gram = GramAccumulator((6, 6)).add([x[:, :30], y[:, :30]]).add([x[:, 30:], y[:, 30:]]).result()
    assert MEASURES[name].function(Compared.of_gram(gram)) == pytest.approx(measure(name, x, y), abs=1e-6)


def test_measures_of_single_images_refuse_a_gram_matrix():
    gram = GramAccumulator((6, 6)).add(list(layer_pair())).result()
    for name in set(MEASURES) - set(GRAM):
        with pytest.raises(BadInput, match="compares single images"):
            MEASURES[name].function(Compared.of_gram(gram))


def test_bad_input_gets_one_clear_line():
    x, y = layer_pair()
    broken = x.copy()
    broken[2, 5] = np.nan
    cases = [
        (("ckaa", x, y), r"unknown measure 'ckaa': did you mean 'cka'\?"),
        (("cka", broken, y), r"neuron 2 of network x has NaN"),
        (("cka", x, y * np.inf), r"neuron 0 of network y has NaN|infinite"),
        (("cka", x * 1j, y), r"network x are not an array of real numbers: found complex"),
        (("cka", x, y[:, :-1]), r"networks have 80, 79 samples"),
        (("cka", x[0], y), r"network x have shape \(80,\): expected \(neurons, samples\)"),
        (("cka", x[:, :0], y[:, :0]), r"no samples"),
        (("cka", x.T, y.T), r"80 neurons and 6 samples: expected \(neurons, samples\)"),
    ]
    for arguments, message in cases:
        with pytest.raises(BadInput, match=message):
            measure(*arguments)
    assert measure("cca", x.T, y.T, few_samples=True) == pytest.approx(1)


def test_a_side_that_is_known_is_taken_as_it_is_and_gives_the_same_values():
    x, y = layer_pair(6)
    known = Sampled.of(x)
    pair = Compared.of(known, y)
    assert pair.x is known
    values = {name: entry.function(pair) for name, entry in MEASURES.items()}
    assert values == pytest.approx({name: measure(name, x, y) for name in NAMES}, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_permuting_shares_factors_and_gives_what_permuted_arrays_give(name):
    x, y = layer_pair(5)
    orders = image_orders(80, 3)
    shared = permuted_values(Compared.of(x, y), [MEASURES[name]], orders)[name]
    anew = [measure(name, x, y[:, order]) for order in orders]
    assert shared.to_numpy() == pytest.approx(anew, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "subspace_at_0.3"])
def test_what_is_shared_is_above_chance_and_independent_layers_are_not(name):
    x, y = layer_pair(6, samples=200)
    stranger = np.random.default_rng(9).normal(size=(6, 200)) + 0.5
    orders = image_orders(200, 99)
    chance = permuted_values(Compared.of(x, y), [MEASURES[name]], orders)[name].to_numpy()
    assert p_value(measure(name, x, y), chance) == 0.01
    alone = permuted_values(Compared.of(x, stranger), [MEASURES[name]], orders)[name].to_numpy()
    assert p_value(measure(name, x, stranger), alone) > 0.02


def test_orders_are_the_same_for_all_and_keep_positions_together():
    first, again = image_orders(50, 4), image_orders(50, 4)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert len({tuple(order) for order in first}) == 4
    assert with_positions(np.array([2, 0, 1]), 2).tolist() == [4, 5, 0, 1, 2, 3]
    with pytest.raises(BadInput, match="0 orders of 50 images"):
        image_orders(50, 0)


def test_p_counts_ties_and_is_never_zero():
    assert p_value(1.0, np.zeros(200)) == 1 / 201
    assert p_value(0.5, np.array([0.5, 0.4, 0.6])) == 3 / 4


@pytest.mark.statement("def-calibrated")
def test_the_scale_has_its_ends_and_ignores_the_direction():
    assert on_scale(0.2, 0.2, 0.8) == 0
    assert on_scale(0.8, 0.2, 0.8) == pytest.approx(1)
    assert on_scale(np.array([0.5, 0.2]), 0.2, 0.8) == pytest.approx([0.5, 0])
    assert on_scale(1 - 0.7, 1 - 0.9, 1 - 0.1) == pytest.approx((0.7 - 0.9) / (0.1 - 0.9))
    assert np.isnan(on_scale(0.5, 0.8, 0.8))


def test_a_permuted_copy_of_a_copy_is_the_second_order_of_the_first():
    x, _ = layer_pair()
    one, two = image_orders(80, 2)
    twice = Sampled.of(x).permuted(one).permuted(two)
    assert (twice.nearest == Sampled.of(x[:, one][:, two]).nearest).all()
    assert twice.squares == pytest.approx(Sampled.of(x[:, one[two]]).squares)


def test_the_core_imports_without_torch():
    code = "import sys, helpers.measures, helpers.measures.chance; print('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", errors="replace", check=True
        ).stdout
        == "False\n"
    )
