"""The pictures of the algorithms show what happened: a cell for each neuron, an arrow for each violation."""

import matplotlib.pyplot as plt
import pytest

from helpers.pages.chapters.pseudocode import Plain, biased
from helpers.pages.chapters.traces import graph_positions, trial_cell, trial_grid, violation_graph

V = ("x", 0)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture
def plain():
    return Plain(*biased(), 0.0)


def test_the_grid_has_a_mark_for_each_trial_and_the_neurons_that_fell(ax, plain):
    plain.min_match(V, order=[("y", 0), ("y", 3), ("y", 1), ("x", 1), ("y", 2)])
    trial_grid(ax, plain.trials, V)
    marks = [text.get_text() for text in ax.texts]
    assert marks.count("−") == sum(t.kept for t in plain.trials) == 2
    assert marks.count("✓") == sum(not t.kept for t in plain.trials) == 3
    assert marks.count("↓") == sum(len(t.before - t.left) - 1 for t in plain.trials if t.kept)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["y1", "y4", "y2", "x2", "y3"]


def test_a_neuron_that_fell_is_marked_only_if_the_trial_was_kept(plain):
    plain.min_match(V, order=[("x", 1)])
    kept = plain.trials[0]
    assert kept.kept
    assert {u for u in kept.before if trial_cell(kept, u)[1] == "↓"} == kept.before - kept.left - {kept.tried}
    assert trial_cell(kept, V)[1] == ""


def test_the_graph_has_an_arrow_for_each_violation_and_a_disc_for_each_neuron(ax, plain):
    edges = plain.violations(plain.max_match())
    violation_graph(ax, edges, V)
    names = [text.get_text() for text in ax.texts if text.get_text()]
    assert sorted(names) == ["x1", "x2", "y1", "y2", "y3", "y4"]
    assert len(ax.texts) - len(names) == sum(map(len, edges.values())) > 0


def test_rows_are_even_and_sides_apart(plain):
    place = graph_positions(sorted(plain.everyone))
    assert [place["x", i] for i in (0, 1)] == [(0.0, 1.0), (1.0, 1.0)]
    assert place["y", 3] == (1.0, 0.0)
