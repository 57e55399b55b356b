"""Diagnostics: each finds what was planted, keeps quiet without it, and says it in one line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import matching
from helpers.errors import BadInput
from helpers.matching import Match, peeling
from helpers.matching.diagnostics import FLAGGED, GREY_RIDGES, critical_errors, diagnose, ridge_moves, rounding
from helpers.subspaces import Pair
from tests.instances import KINDS, larger, layers

SEEDS = st.integers(0, 10**6)


def test_an_ordinary_layer_has_nothing_to_report():
    diagnosis = diagnose(*larger(6, 4, seed=0))
    assert diagnosis.flags == diagnosis.refusals == []
    assert diagnosis.check() is diagnosis
    assert diagnosis.neurons.error.max() < 1e-9
    assert diagnosis.samples_per_neuron == 50
    assert (diagnosis.route, diagnosis.ridge) == ("qr", 1e-16)


def test_dead_and_doubled_neurons_are_named():
    x, y = larger(6, 4, seed=1)
    x[2], x[4], y[5], y[3] = 0, -3 * x[1], 1e-7 * y[0], 2 * y[0]
    for route in ("gram", "qr"):
        diagnosis = diagnose(Pair.from_arrays(x, y, route))
        assert diagnosis.dead == Match.of([("x", 2)])
        assert set(diagnosis.duplicates) == {(("x", 1), ("x", 4)), (("y", 0), ("y", 3), ("y", 5))}
        assert "dead neurons (x: first side, y: second side), so in no match: x2" in diagnosis.flags
        assert "equal up to scale and sign: x1, x4; y0, y3, y5" in diagnosis.flags
        assert not diagnosis.refusals


def test_a_neuron_and_its_copy_on_the_other_side_are_no_duplicates():
    x, _ = larger(4, 2, seed=2)
    assert diagnose(x, x[::-1]).duplicates == ()
    assert diagnose(np.vstack([x, x[0] + 1e-5 * x[1]]), x).duplicates == ()


def test_too_few_samples_are_flagged_and_as_few_as_neurons_refused():
    x, y = larger(6, 4, seed=3, samples=30)
    flags = diagnose(x, y).flags
    assert flags == ["5.0 samples per neuron: distances up to 11% too small"]
    diagnosis = diagnose(x[:, :6], y[:, :6])
    line = (
        "6 samples for 6 neurons: a side with as many neurons as samples spans everything, so every distance to it is 0"
    )
    assert diagnosis.refusals[0].startswith(line)
    with pytest.raises(BadInput, match="6 samples for 6 neurons"):
        diagnosis.check()
    assert np.array_equal(matching.critical_epsilons(x[:, :6], y[:, :6])[0], np.zeros(6))


def test_random_layers_lie_as_much_too_close_as_the_flag_says():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(100, 500)), rng.normal(size=(100, 500))
    shrunk = np.sqrt(Pair.from_arrays(x, y).sides[1].squares).mean()
    assert shrunk == pytest.approx(np.sqrt(1 - 100 / 500), abs=0.01)
    assert "5.0 samples per neuron: distances up to 11% too small" in diagnose(x, y).flags


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, kind=st.sampled_from(KINDS))
def test_the_stated_error_covers_the_difference_to_the_qr_route(seed, kind):
    """The Gram route against the same ridge on the QR route, which does not square: what is left is rounding."""
    x, y = layers(kind, seed)
    pair = Pair.from_arrays(x, y, "gram")
    exact = peeling.peel_once(peeling.at_ridge(Pair.from_arrays(x, y, "qr"), pair.ridge)).critical
    off = np.abs(peeling.peel_once(pair).critical - exact)
    assert (off <= critical_errors(pair) + 1e-12).all()


def test_an_inexact_critical_epsilon_is_flagged_or_refused_on_the_gram_route_and_exact_by_qr():
    x, y = larger(5, 3, seed=5)
    grades = []
    for gap in (1e-2, 2e-5, 1e-6):
        near = np.vstack([x, x[0] + gap * y[0]])
        gram, qr = (diagnose(Pair.from_arrays(near, y, route)) for route in ("gram", "qr"))
        grades.append(("may be wrong" in " ".join(gram.flags), bool(gram.refusals)))
        assert qr.neurons.error.max() < FLAGGED
        assert not qr.refusals
    assert grades == [(False, False), (True, False), (True, True)]
    assert "use the QR route" in gram.refusals[0]
    with pytest.raises(BadInput, match="may be wrong by"):
        gram.check()


def test_the_rank_grey_zone_is_where_critical_epsilons_move_with_the_ridge():
    x, y = larger(5, 3, seed=6)
    clear, grey = (diagnose(np.vstack([x, x[0] + gap * y[0]]), y) for gap in (1e-1, 3e-7))
    assert clear.grey == []
    assert ("y", 0) in grey.grey
    assert "depends on where the rank of a side is cut" in " ".join(grey.flags)
    pair = Pair.from_arrays(np.vstack([x, x[0] + 3e-7 * y[0]]), y)
    peels = [peeling.peel_once(peeling.at_ridge(pair, ridge)).critical for ridge in GREY_RIDGES]
    np.testing.assert_allclose(ridge_moves(pair), np.max(peels, axis=0) - np.min(peels, axis=0))


def test_the_root_of_a_gram_matrix_gives_the_same_peel():
    pair = Pair.from_arrays(*larger(6, 4, seed=7), route="gram")
    rooted = peeling.at_ridge(pair, pair.ridge)
    assert rooted.route == "qr"
    np.testing.assert_allclose(peeling.peel_once(rooted).critical, peeling.peel_once(pair).critical, atol=1e-11)


def test_the_margin_is_what_a_decision_hangs_on():
    pair = Pair.from_arrays(*larger(6, 4, seed=8))
    diagnosis, critical = diagnose(pair), np.concatenate(matching.critical_epsilons(pair))
    epsilon = float(critical.min())
    assert diagnosis.margin(epsilon + 0.01) == pytest.approx(np.abs(critical - epsilon - 0.01).min())
    table = diagnosis.margins([epsilon, epsilon + 0.003])
    assert table.columns.tolist() == ["epsilon", "margin", "safe"]
    assert table.safe.tolist() == [False, True]
    with pytest.raises(BadInput, match="epsilon is 1"):
        diagnosis.margin(1)


def test_at_an_exact_match_the_margin_is_the_room_below_the_slack():
    x, _ = larger(4, 2, seed=9)
    diagnosis = diagnose(x, 2 * x[::-1])
    assert diagnosis.slack / 2 < diagnosis.margin(0) < diagnosis.slack
    assert diagnosis.margins([0.0]).safe.all()
    assert diagnose(np.eye(2, 50)[:1], np.eye(2, 50)[1:]).margin(0.5) == np.inf


def test_long_lists_are_cut():
    x, y = larger(12, 4, seed=10)
    x[:8] = 0
    assert (
        "dead neurons (x: first side, y: second side), so in no match: x0, x1, x2, x3, x4 and 3 more"
        in diagnose(x, y).flags
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_diagnosed(kind):
    for seed in range(3):
        x, y = layers(kind, seed)
        diagnosis = diagnose(x, y)
        assert len(diagnosis.neurons) == len(x) + len(y)
        assert all("\n" not in flag for flag in diagnosis.flags)
        alive = diagnosis.neurons[~diagnosis.neurons.dead]
        assert np.isfinite(alive[["raw", "error", "moves"]].to_numpy(float)).all()


def test_no_neurons_at_all():
    diagnosis = diagnose(np.zeros((0, 5)), np.zeros((0, 5)))
    assert diagnosis.samples_per_neuron == np.inf
    assert diagnosis.flags == []
    assert diagnosis.margin(0.5) == np.inf
    assert diagnosis.margins([0.5]).safe.all()


def test_rounding_grows_with_the_root_of_the_samples():
    x, y = larger(3, 2, seed=11, samples=400)
    assert rounding(Pair.from_arrays(x, y)) == pytest.approx(2 * rounding(Pair.from_arrays(x[:, :100], y[:, :100])))
