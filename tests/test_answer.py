"""The front page draws what the tables say, and no name can break out of it. It asks a guess before it tells."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from helpers.pages import answer, evidence, layer_tables, places
from helpers.pages.claims import read_evidence
from helpers.studies.counts import counted_similarity

PLAN = read_evidence()


def critical(network, seed):
    rng = np.random.default_rng(seed)
    tables = []
    for position, (_, patterns) in enumerate(PLAN.groups[network].items()):
        rows = pd.DataFrame({"critical_epsilon": rng.uniform(0, 1, 20), "dead": False, "power": 0.1})
        rows["side"] = ["x", "y"] * 10
        layer = patterns[0].replace("*", "block1.relu2")
        tables.append(rows.assign(position=position, layer=layer, kind="conv", depth=0.0, seed_a=0, seed_b=1))
    return pd.concat(tables, ignore_index=True)


TABLES = {network: critical(network, k) for k, network in enumerate(PLAN.studies)}


def test_every_drawn_value_is_that_of_the_table():
    data = answer.answer_data(PLAN, TABLES)
    for network, entry in zip(PLAN.studies, data["networks"], strict=True):
        for epsilon in (0.0, 0.15, 0.3, 0.99):
            wanted = counted_similarity(TABLES[network], [epsilon]).sort_values("position")
            at = round(epsilon / data["step"])
            assert entry["neurons"][at] == pytest.approx(wanted["neurons"].tolist(), abs=1e-4)
            assert entry["power"][at] == pytest.approx(wanted["power"].tolist(), abs=1e-4)
        assert len(entry["neurons"]) == len(entry["power"]) == 100
        assert [entry["layers"][k] for k in entry["middle"]]


def test_calibrated_values_stay_in_the_picture_and_in_the_order_of_the_layers():
    layers = {n: t.drop_duplicates("layer")["layer"] for n, t in TABLES.items()}
    scaled = {n: pd.DataFrame({"layer": v[::-1], "mean": range(len(v))}) for n, v in layers.items()}
    scaled = {n: t.assign(low=-1.0, high=2.0, untrained=np.nan) for n, t in scaled.items()}
    entry = answer.answer_data(PLAN, TABLES, scaled)["networks"][0]["calibrated"]
    assert entry["mean"][-1] == 0
    assert set(entry["low"]) == {0.0}
    assert set(entry["high"]) == {1.0}
    assert set(entry["untrained"]) == {0.0}


def test_layer_names_fit_under_the_axis():
    layers = ["relu3_1", "stem.relu", "stage2.block1.relu2", "stage4.block2.relu1"]
    assert layer_tables.axis_names(layers) == ["relu3_1", "stem", "2.1 out", "4.2 inner"]


def test_the_figure_carries_its_data_and_escapes_what_is_text():
    data = answer.answer_data(PLAN, TABLES)
    data["networks"][0]["name"] = "</script><script>alert(1)</script>"
    text = answer.answer_figure(data, 'a "quoted" <b>', answer.plot_by_layer(PLAN, TABLES)).data
    payload = re.search(r'<script type="application/json">(.*?)</script>', text, re.S)[1]
    assert json.loads(payload) == data
    assert "<b>" not in text
    assert text.count("<script") == 2  # the data, and one line that hides the answer until the guess
    assert 'value="calibrated"' not in text  # no calibrated values, no switch


def test_group_numbers_are_means_over_the_layers_of_a_group():
    means = answer.group_numbers(PLAN, "vgg16_bn", TABLES["vgg16_bn"])
    share = (TABLES["vgg16_bn"].query("layer == 'pool'")["critical_epsilon"] <= 0.3).mean()
    assert means["pool"] == pytest.approx(share)


def test_what_the_scale_rests_on_is_counted_in_the_record_and_said():
    rows = [
        ("observed", 0, 1, 0),
        ("observed", 1, 4, 0),
        ("chance", 0, 1, 0),
        ("chance", 0, 1, 1),
        ("ceiling", 0, 0, 0),
    ]
    values = pd.DataFrame(rows, columns=["end", "seed_a", "seed_b", "order"])
    assert evidence.rests_on(values) == (3, 2)
    said = answer.scale_sentence(PLAN, {"vgg16_bn": (3, 20), "resnet18": (5, 200)})
    assert said.startswith("The scale rests on 3 networks, chance on one pair and 20 random orders of the images, ")
    assert "the ceiling on one network (VGG-16-BN) and on 5 networks, chance on one pair and 200 random" in said
    alike = answer.scale_sentence(PLAN, {"vgg16_bn": (3, 20), "resnet18": (3, 20)})
    assert alike == (
        "For each architecture the scale rests on 3 networks, chance on one pair and 20 random orders of the images, "
        "the ceiling on one network."
    )
    assert answer.scale_sentence(PLAN, {}) == ""


# ---------------------------------------------------------------- the guess, in a browser

FRONT = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8"><title>front</title>
<link rel="stylesheet" href="{css}"><article class="bd-article"><section id="front"><h1>Is it?</h1><p id="told">No.</p>
<div>{figure}</div><section id="takeaways"><h2>Three</h2></section><section id="where-to-go-on"><h2>On</h2></section>
</section></article><script src="{js}"></script>"""
PARTS = ("#told", "#takeaways", "svg", ".answer-still", ".answer-guess", "#where-to-go-on")


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    assets = {kind: (places.BOOK / "assets" / f"answer.{kind}").as_uri() for kind in ("css", "js")}
    figure = answer.answer_figure(answer.answer_data(PLAN, TABLES), "Lines.", answer.plot_by_layer(PLAN, TABLES)).data
    path = tmp_path_factory.mktemp("front") / "page.html"
    path.write_text(FRONT.format(figure=figure, **assets))
    return path.as_uri()


@pytest.fixture
def context(browser):
    context = browser.new_context()
    yield context
    context.close()


def seen(page):
    return [part for part in PARTS if page.locator(part).first.is_visible()]


def test_until_the_guess_nothing_tells_the_answer_and_then_everything_does(context, front):
    page = context.new_page()
    page.goto(front)
    assert seen(page) == [".answer-guess", "#where-to-go-on"]
    page.get_by_label("your guess in per cent").fill("70")
    page.get_by_role("button", name="Show the answer").press("Enter")
    assert seen(page) == ["#told", "#takeaways", "svg", "#where-to-go-on"]
    assert "You guessed 70 % for the middle." in page.inner_text(".answer-words")
    assert page.locator("line.guess").count() == 1
    page.reload()  # who comes back is not asked again
    assert seen(page) == ["#told", "#takeaways", "svg", "#where-to-go-on"]


def test_who_skips_the_guess_or_follows_a_link_to_a_section_sees_all(context, front):
    page = context.new_page()
    page.goto(front)
    page.evaluate("location.hash = 'takeaways'")
    page.wait_for_selector("#takeaways", state="visible")
    page.goto("about:blank")
    page.goto(front)
    page.get_by_role("button", name="Skip the guess").click()
    assert "#told" in seen(page)
    assert page.locator("line.guess").count() == 0
    other = context.browser.new_context().new_page()
    other.goto(f"{front}#takeaways")
    assert ".answer-guess" not in seen(other)


def test_in_print_and_without_scripts_the_answer_and_the_still_figure_are_there(browser, front):
    for options in ({"java_script_enabled": False}, {}):
        context = browser.new_context(**options)
        page = context.new_page()
        page.goto(front)
        page.emulate_media(media="print" if not options else "screen")
        assert seen(page) == ["#told", "#takeaways", ".answer-still", "#where-to-go-on"]
        context.close()
