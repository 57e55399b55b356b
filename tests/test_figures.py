"""Tables say what they hold, escape what they are given, and carry their data along."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from helpers.pages import figures

FRAME = pd.DataFrame(
    {
        "layer": ["a<b", "c"],
        "critical_epsilon": [0.25, np.inf],
        "seed": [1, 2],
        "dead": [True, False],
        "gap": [np.nan, 0.12345],
    }
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (np.inf, "never"),
        (np.nan, "–"),
        (True, "yes"),
        (np.bool_(False), "no"),
        (3, "3"),
        ("x", "x"),
    ],
)
def test_cells_in_words(value, text):
    assert figures.readable(value) == text


def test_a_table_has_column_names_for_people_no_index_and_no_markup_of_its_data():
    shown = figures.table(FRAME, label='Layers "A"').data
    assert re.findall(r'<th scope="col">([^<]*)</th>', shown) == ["layer", "critical ε", "seed", "dead", "gap"]
    assert "a&lt;b" in shown
    assert 'aria-label="Layers &quot;A&quot;"' in shown
    assert re.findall(r'<td class="number">([^<]*)</td>', shown) == ["0.250", "1", "–", "never", "2", "0.123"]


def test_a_link_stays_a_link_and_names_and_sentences_get_room():
    link, long = (figures.Markup(f'<a href="{"x" * 40}">{words}</a>') for words in ("x", "a name of some length"))
    frame = pd.DataFrame({"page": [link], "name": [long], "says": ["word " * 20]}, dtype=object)
    shown = figures.table(frame).data
    assert f"<td>{link}</td>" in shown
    assert f'<td class="name">{long}</td>' in shown
    assert shown.count('class="sentence"') == 1


def test_the_download_is_the_table():
    shown = figures.download(FRAME, "layers").data
    data = re.search(r"base64,([^\"]+)", shown)
    assert data is not None
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(base64.b64decode(data[1]))), FRAME)
    assert 'download="layers.csv"' in shown


def test_a_moving_figure_in_a_page_needs_no_network_and_says_what_it_shows(monkeypatch):
    monkeypatch.setenv("SAMEREP_PAGE", "page")
    shown = []
    monkeypatch.setattr(figures, "display", lambda item: shown.append(item.data))
    still, ax = plt.subplots()
    ax.plot([0, 1])
    figures.interactive(go.Figure(go.Scatter(y=[1, 2])), "fig-x", "a rising line", still)
    (page,) = shown
    assert re.findall(r'<script[^>]* src="([^"]+)"', page) == [figures.PLOTLY_SCRIPT]
    assert page.count('"a rising line"') == 2
    assert 'id="fig-x"' in page


def test_a_long_table_shows_its_first_rows_and_gives_all_for_download():
    frame = pd.DataFrame({"number": range(50)})
    shown = figures.table(frame, label="Fifty <numbers>").data
    assert shown.count("<tr>") == 1 + figures.ROWS
    assert "Fifty &lt;numbers&gt;: first 20 of 50 rows" in shown
    data = base64.b64decode(re.search(r"base64,([^\"]+)", shown)[1]).decode()
    assert len(data.splitlines()) == 51
    assert 'download="fifty-numbers.csv"' in shown
    assert "first" not in figures.table(frame.head(20)).data


def test_a_negative_number_has_a_minus_and_zero_has_none():
    assert [figures.readable(x) for x in (-1.5, -0.0001, -0.0, -2)] == ["−1.500", "0.000", "0.000", "−2"]
    assert figures.readable("relu-1") == "relu-1"
