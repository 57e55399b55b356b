"""Sentences of the course follow the numbers of the moment, and nothing of the book's roles is left."""

import nbformat
import pytest

from helpers.errors import BadInput
from helpers.pages.teaching import said


def test_numbers_in_a_sentence_follow_what_was_noted():
    text = said.marked("Of {glue:text}`all` neurons {glue:text}`share:.2f` match in {glue:text}`layer:s`.")
    assert text == "Of <<all>> neurons <<share:.2f>> match in <<layer:s>>."
    assert said.spoken_text(text, {"all": 7, "share": 0.5, "layer": "pool"}) == "Of 7 neurons 0.50 match in pool."
    with pytest.raises(BadInput, match=r"'shar'.*did you mean 'share'"):
        said.spoken_text("<<shar>>", {"share": 0.5})


def test_a_cell_that_glues_notes():
    source = (
        "from helpers.pages.filled import glue\n\n"
        'glue("a", f(x), display=False)\nglue(\n    "b",\n    2,\n    display=False,\n)'
    )
    noted = said.without_glue(source)
    assert "glue" not in noted
    assert "display" not in noted
    scope = {"f": lambda x: x, "x": 3}
    exec(noted, scope)
    said._noted.pop("a")
    assert said._noted.pop("b") == 2


def test_only_paragraphs_with_numbers_become_code_and_show_what_the_book_said():
    cells = list(said.cells_of("# Title\n\nPlain.\n\nOf <<all>>.\n\n- <<all>> items\n\nEnd.", {"all": "7"}))
    assert [cell.cell_type for cell in cells] == ["markdown", "code", "markdown"]
    assert cells[1].source == 'say(r"""Of <<all>>.\n\n- <<all>> items""")'
    assert cells[1].outputs[0]["data"]["text/markdown"] == "Of 7.\n\n- 7 items"
    assert next(said.cells_of("Of <<all>>.", {})).outputs == []


def test_a_sentence_waits_for_its_last_number():
    code, text = nbformat.v4.new_code_cell, nbformat.v4.new_markdown_cell
    cells = [
        text("# T"),
        code('say(r"""<<a>> and <<b>>""")'),
        code('note("a", 1)'),
        code('say(r"""<<a>>""")'),
        code('note(\n    "b",\n    2)'),
        code('say(r"""<<loop>>""")'),
    ]
    ordered = [cell.source for cell in said.after_their_numbers(cells)]
    assert ordered == [cells[k].source for k in (0, 2, 3, 4, 1, 5)]
