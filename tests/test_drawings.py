"""The pictures of the theory show what they claim: cones at ε, slider stops with their states, curves that count."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.files import ROOT
from helpers.matching import critical_epsilons, similarity_curve
from helpers.matching.definitions import Distances, all_neurons, relative_distance
from helpers.pages.chapters import cones, drawings, peels

X = np.diag([1.0, 1, 1, 2])
Y = np.array([[3.0, 2, 0, 0], [3, 4, 1, 0], [0, 0, 0, 1]])
STEPS = [(("x", 2), 6 / 7, 6 / 7), (("x", 1), 3 / 7, 3 / 7), (("y", 1), 0.809, 3 / 7), (("x", 0), 0.555, 3 / 7)]
STEPS += [(("y", 0), 1.0, 3 / 7), (("x", 3), 0.0, 0.0), (("y", 2), 1.0, 0.0)]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2]), st.floats(0.05, 0.95))
def test_the_cone_is_where_the_distance_is_epsilon(seed, rank, epsilon):
    basis = np.random.default_rng(seed).normal(size=(rank, 3))
    points = np.stack([axis.ravel() for axis in cones.boundary(basis, epsilon)], axis=1)
    away = points[np.linalg.norm(points, axis=1) > 0.1]
    assert len(away)
    assert [relative_distance(z, basis) for z in away] == pytest.approx([epsilon] * len(away), abs=1e-6)


def test_a_cone_says_who_is_inside_at_each_stop():
    figure = cones.cone_in_space(Y[:2, :3], X[:3, :3], ["x1", "x2", "x3"], [0.1, 0.3, 0.5, 0.9])
    inside = [frame.layout.title.text.split(": ")[1] for frame in figure.frames]
    assert inside == ["none", "x1", "x1, x2", "x1, x2, x3"]
    slider = figure.layout.sliders[0]
    assert [step.label for step in slider.steps] == [frame.name for frame in figure.frames]
    assert figure.layout.title.text == figure.frames[slider.active].layout.title.text


def test_the_peel_shows_the_distances_of_those_who_are_left():
    r = Distances(X, Y)
    figure = peels.peel_figure(r, STEPS)
    assert len(figure.frames) == len(STEPS) + 1
    for k, frame in enumerate(figure.frames):
        left = frozenset(v for v, _, _ in STEPS[k:])
        shown = {name: y for bar in frame.data[:3] for name, y in zip(bar.x, bar.y, strict=True)}
        assert shown == pytest.approx({drawings.label(v): r(v, left) for v in left})
        assert len(frame.data[3].x) == k
        assert list(frame.data[2].x) == [drawings.label(v) for v, _, _ in STEPS[k : k + 1]]


def test_the_curve_counts_critical_epsilons():
    figure = drawings.critical_figure(critical_epsilons(X, Y), 0.5)
    x, y = figure.axes[1].lines[0].get_data()
    for epsilon in (0.1, 0.43, 0.5, 0.86, 0.99):
        assert y[np.searchsorted(x, epsilon, side="right") - 1] == pytest.approx(similarity_curve(X, Y, [epsilon])[0])
    plt.close(figure)


def test_boxes_are_full_within_epsilon_dashed_beyond_and_grey_outside():
    r, pair = Distances(X, Y), all_neurons(X, Y) - {("y", 1)}
    figure = drawings.draw_pairs(r, [pair], 0.6, ["without y2"])
    lines = {text.get_text().split("\n")[0]: text for text in figure.axes[0].texts}
    assert [box.get_linestyle() for box in figure.axes[0].patches] == ["-", "--", "--", "-", "-", "-", "-"]
    assert lines["x1"].get_text() == "x1\n0.55"
    assert lines["x1"].get_color() == "white"
    assert lines["x2"].get_color() == drawings.RED
    assert lines["y2"].get_text() == "y2"
    plt.close(figure)


@pytest.mark.slow
def test_sliders_and_cameras_move_by_keyboard(browser, tmp_path):
    figure = cones.cone_in_space(Y[:2, :3], X[:3, :3], ["x1", "x2", "x3"], [0.1, 0.3, 0.5, 0.9])
    body = figure.to_html(full_html=False, include_plotlyjs=True, auto_play=False, div_id="cone")
    script = (ROOT / "book/assets/figures.js").read_text()
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><figure class="interactive"><div class="moving">{body}</div></figure>'
        f"<script>{script}</script>"
    )
    tab = browser.new_page()
    tab.goto(page.as_uri())
    slider, turn = tab.locator("#cone-slider"), tab.locator("#cone-turn")
    slider.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("document.getElementById('cone-slider').getAttribute('aria-valuetext').includes('x2')")
    assert slider.get_attribute("aria-valuetext") == "0.50: within ε = 0.50 of the span: x1, x2"
    before = tab.evaluate("document.getElementById('cone').layout.scene.camera.eye")
    turn.focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function(f"document.getElementById('cone').layout.scene.camera.eye.x !== {before['x']}")
    assert tab.evaluate("document.getElementById('cone').layout.scene.camera.eye.z") == before["z"]
    tab.close()
