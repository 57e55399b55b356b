"""Numbers in the text of executed pages: every role becomes its value, and nothing else changes."""

import nbformat
import pytest

from helpers.errors import BadInput
from helpers.pages import filled
from helpers.pages.filled import fill_values, glued_values


def page(text, **values):
    outputs = [
        nbformat.v4.new_output(
            "display_data",
            data={"application/papermill.record/text/plain": repr(value)},
            metadata={"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}},
        )
        for name, value in values.items()
    ]
    code = nbformat.v4.new_code_cell("glue", outputs=outputs)
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), code])


@pytest.mark.parametrize(
    ("text", "values", "shown"),
    [
        ("s = {glue:text}`s:.2f`.", {"s": 0.1234}, "s = 0.12."),
        ("{glue:text}`n` networks", {"n": 5}, "5 networks"),
        ("{glue:text}`words`", {"words": "it's 'quoted'"}, "it's 'quoted'"),
        ("{glue:text}`words:s`", {"words": "VGG"}, "VGG"),
        ("{glue:text}`a:.0f` of {glue:text}`b`", {"a": 2.6, "b": "x"}, "3 of x"),
        ("{glue:text}`w`", {"w": "<script>x</script> p < 0.1"}, "&lt;script>x&lt;/script> p < 0.1"),
        ("{glue:text}`a:.2f` and {glue:text}`b`", {"a": -0.351, "b": "-1e-07"}, "−0.35 and −1e-07"),
        ("{glue:text}`a:.2f`; {glue:text}`b`", {"a": -0.001, "b": "-0.0 to -0.25"}, "0.00; 0.0 to −0.25"),
        (
            "{glue:text}`a`",
            {"a": "resnet18-1, 2026-11-28, --p -x, 3e-07, a --1"},
            "resnet18-1, 2026-11-28, --p -x, 3e-07, a --1",
        ),
        ("no role `code` stays", {}, "no role `code` stays"),
        ("{glue:text}`pages/other.ipynb::n:.1f`", {}, "{glue:text}`pages/other.ipynb::n:.1f`"),
    ],
)
def test_roles_become_values(text, values, shown):
    book = page(text, **values)
    fill_values(book)
    assert book.cells[0].source == shown


def test_values_are_those_that_cells_glued():
    assert glued_values(page("", a=1, b="two")) == {"a": "1", "b": "two"}


@pytest.mark.parametrize(
    ("text", "values", "says"),
    [("{glue:text}`middel`", {"middle": 1}, "middle"), ("{glue:text}`w:.2f`", {"w": "word"}, "expected a number")],
)
def test_a_missing_value_or_a_wrong_format_is_one_line(text, values, says):
    with pytest.raises(BadInput, match=says):
        fill_values(page(text, **values))


def test_only_paragraphs_with_numbers_become_code_and_show_what_the_book_said():
    text = filled.marked("# Title\n\nPlain.\n\nOf {glue:text}`all`.\n\n- {glue:text}`share:.1f` items\n\nEnd.")
    cells = list(filled.text_cells(text, {"all": "7", "share": "0.25"}))
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "markdown"]
    assert cells[1].source == 'show_text(r"""\nOf «all».\n\n- «share:.1f» items\n""")'
    assert cells[1].outputs[0]["data"]["text/markdown"] == "Of 7.\n\n- 0.2 items"
    assert next(filled.text_cells("Of «all».", {"share": "1"})).outputs == []


def test_what_is_indented_and_what_is_inside_a_code_block_stays_with_its_paragraph():
    text = "- a «n»\n\n  more\n\n```\none\n\ntwo {{x}}\n```\n\nEnd."
    assert [cell.cell_type for cell in filled.text_cells(text)] == ["code", "markdown"]
    assert next(filled.text_cells("```\none\n\ntwo {{x}}\n```")).cell_type == "code"
