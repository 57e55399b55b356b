"""The explorer in a real browser: driven by keyboard, it shows the maximum matching similarity of the record."""

import re

import pytest

from helpers.pages.chapters import explorer
from helpers.studies import similarity_table

PAGE = '<!doctype html><html lang="en"><meta charset="utf-8"><title>explorer</title><main>{}</main></html>'


@pytest.fixture(scope="module")
def study():
    """One trained VGG of the record, the layer next to the output."""
    return next(r for r in explorer.recorded_results() if r.study.network == "vgg16_bn" and r.study.epoch is None)


@pytest.fixture(scope="module")
def file(study, tmp_path_factory):
    data = explorer.explorer_data([study])
    path = tmp_path_factory.mktemp("explorer") / "page.html"
    path.write_text(PAGE.format(explorer.page(data, study.study.id, "relu_fc2", 0.3)))
    return path


@pytest.fixture
def page(browser, file):
    """A fresh page; a script error, a message in the console or a request beyond the file fails the test."""
    page = browser.new_page(viewport={"width": 390, "height": 800})
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:")) else None)
    page.goto(file.as_uri())
    page.wait_for_selector(".explorer[data-ready]")
    yield page
    assert not trouble
    page.close()


def expected(study, pair, layer, epsilon):
    table = study.tables["critical"]
    rows = table[(table["seed_a"] == pair[0]) & (table["seed_b"] == pair[1]) & (table["layer"] == layer)]
    return round(float(similarity_table(rows, [epsilon])["similarity"].iloc[0]), 4)


def reading(page):
    status = page.inner_text("[data-part=status]")
    return tuple(float(re.search(rf"{word} ([\d.]+\d)", status)[1]) for word in ("ε =", "similarity"))


def coloured(page):
    return sum(page.locator(f"[data-part=neurons-{side}] rect.{side}").count() for side in "ab")


def test_the_slider_moves_by_keyboard_and_shows_the_record(page, study):
    page.get_by_label("ε =", exact=False).first.focus()
    pair = explorer.seed_pairs(study)[0]
    neurons = 2 * next(n["neurons"] for n in explorer.layer_sizes(study) if n["name"] == "relu_fc2")
    for key, times in ((None, 0), ("ArrowLeft", 20), ("ArrowRight", 45), ("End", 1), ("Home", 1)):
        for _ in range(times):
            page.keyboard.press(key)
        epsilon, similarity = reading(page)
        assert similarity == expected(study, pair, "relu_fc2", epsilon)
        assert coloured(page) == round(similarity * neurons)
        assert page.get_attribute("[data-part=epsilon]", "aria-valuetext") == f"ε = {epsilon:.3f}"


def test_network_pair_and_layer_are_chosen_from_lists(page, study):
    pair = explorer.seed_pairs(study)[1]
    page.select_option("[data-part=pair]", index=1)
    page.select_option("[data-part=layer]", index=0)
    epsilon, similarity = reading(page)
    assert similarity == expected(study, pair, explorer.layer_sizes(study)[0]["name"], epsilon)
    page.get_by_role("button", name="logits").press("Enter")
    assert reading(page)[1] == expected(study, pair, "logits", epsilon)
    assert f"seed {pair[1]}" in page.inner_text("[data-part=title-b]")


def test_step_buttons_stop_where_the_curve_jumps(page, study):
    before = reading(page)
    page.get_by_role("button", name="next step").press("Enter")
    after = reading(page)
    assert after[0] > before[0]
    assert after[1] > before[1]
    assert page.locator("rect.new").count() == round((after[1] - before[1]) * 256)
    page.get_by_role("button", name="step before").press("Enter")
    assert reading(page)[1] == before[1]


def test_lists_in_words_name_the_coloured_neurons(page):
    page.locator("summary").press("Enter")
    words = page.inner_text("[data-part=words-a]")
    members = words.split("in the match: ")[1].split(".")[0].split(", ")
    assert len(members) == page.locator("[data-part=neurons-a] rect.a").count()
    first = page.locator("[data-part=neurons-a] rect.a title").first.text_content()
    assert first.startswith(f"neuron {members[0]}: critical ε 0.")


def test_it_fits_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_there_is_a_picture_with_its_text(browser, file):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    assert page.locator("img.explorer-still").is_visible()
    assert "maximum matching similarity" in page.get_attribute("img.explorer-still", "alt").lower()
    assert not page.locator(".explorer-live").is_visible()
    context.close()
