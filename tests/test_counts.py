"""Three ways to count: against counting by hand, and what each of them must and must not notice."""

import numpy as np
import pandas as pd
import pytest

from helpers.errors import BadInput
from helpers.studies.counts import counted_similarity


def table(critical, power, dead):
    """One layer of one pair: the first half of the neurons is network x's."""
    half = len(critical) // 2
    rows = pd.DataFrame({"critical_epsilon": critical, "power": power, "dead": dead})
    rows["side"] = ["x"] * half + ["y"] * half
    return rows.assign(position=0, layer="relu", kind="fc", depth=0.0, seed_a=0, seed_b=1)


def planted():
    critical = [0.1, 0.4, np.inf, 0.2, 0.4, 0.6]
    return table(critical, [0.7, 0.3, 0.0, 0.5, 0.2, 0.3], [False, False, True, False, False, False])


def test_the_three_counts_are_counted_by_hand():
    counts = counted_similarity(planted(), [0.3, 0.5]).set_index("epsilon")
    assert counts.loc[0.3, "neurons"] == pytest.approx(2 / 6)
    assert counts.loc[0.3, "alive"] == pytest.approx(2 / 5)
    assert counts.loc[0.3, "power"] == pytest.approx((0.7 + 0.5) / 2)
    assert counts.loc[0.5, "power"] == pytest.approx((1.0 + 0.7) / 2)


def test_dead_neurons_change_the_paper_s_count_and_no_other():
    more = planted()
    dead = more.iloc[[2, 2]].assign(side=["x", "y"])
    before, after = (counted_similarity(t, [0.3]).iloc[0] for t in (more, pd.concat([more, dead])))
    assert after["neurons"] < before["neurons"]
    assert after[["alive", "power"]].tolist() == pytest.approx(before[["alive", "power"]].tolist())


def test_a_matched_neuron_of_tiny_power_moves_the_count_and_not_the_power():
    weak = planted()
    weak.loc[1, ["critical_epsilon", "power"]] = 0.1, 1e-9
    weak.loc[0, "power"] = 1 - 1e-9
    strong = weak.assign(critical_epsilon=weak["critical_epsilon"].where(weak.index != 1, 0.9))
    with_weak, without = (counted_similarity(t, [0.3]).iloc[0] for t in (weak, strong))
    assert with_weak["neurons"] > without["neurons"]
    assert with_weak["power"] == pytest.approx(without["power"], abs=1e-8)


def test_all_three_grow_with_epsilon_and_end_at_the_share_of_matched_neurons():
    rng = np.random.default_rng(0)
    critical = rng.uniform(0, 1, 40)
    power = np.concatenate([rng.dirichlet(np.ones(20)) for _ in "xy"])
    counts = counted_similarity(table(critical, power, np.zeros(40, bool)), np.linspace(0, 0.999, 30))
    for count in ("neurons", "alive", "power"):
        assert (counts[count].diff().dropna() >= -1e-12).all()
        assert counts[count].iloc[-1] == pytest.approx(1, abs=0.1)


def test_a_table_without_power_says_so_and_a_dead_layer_has_no_alive_share():
    plain = planted().drop(columns="power")
    assert np.isnan(counted_similarity(plain, [0.3])["power"].iloc[0])
    dead = table([np.inf] * 4, [0.0] * 4, [True] * 4)
    counts = counted_similarity(dead, [0.3]).iloc[0]
    assert counts["neurons"] == 0
    assert np.isnan(counts["alive"])


@pytest.mark.parametrize(("epsilons", "says"), [([], "no ε is given"), ([1.5], "1.5"), ([np.nan], "nan")])
def test_bad_epsilons_are_one_line(epsilons, says):
    with pytest.raises(BadInput, match=says):
        counted_similarity(planted(), epsilons)
