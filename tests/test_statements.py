"""Every statement of the book is proved, tested, seen; and a book with a gap is refused by the statement's name."""

import re
import textwrap

import pytest

from helpers.errors import BadInput
from helpers.pages.teaching.statements import checked_by_page, collect_statements, statements_page, verified_statements

HEAD = "# ---\n# jupyter:\n#   jupytext:\n#     formats: ipynb,py:percent\n# ---\n\n"
PAGE = """
    # %% [markdown]
    # # Matches
    #
    # :::{prf:definition} Match
    # :label: def-match
    # A pair of sets.
    # :::

    # %% tags=["shows-def-match"]
    1 + 1

    # %% [markdown]
    # :::{prf:lemma} Union of matches
    # :label: lem-union
    # The union is a match.
    # :::
    #
    # :::{prf:proof}
    # Spans grow.
    # :::

    # %% tags=["shows-lem-union"] mystnb={"figure": {"name": "fig-union"}}
    2 + 2
"""
TESTS = """
    import pytest


    @pytest.mark.statement("def-match")
    def test_match():
        assert True


    @pytest.mark.statement("lem-union")
    @pytest.mark.statement("def-match")
    def test_union():
        assert True
"""
CODE = '''
    def is_match():
        """Whether a pair is a match (def-match)."""
'''


@pytest.fixture
def write(tmp_path):
    """Write a book of one page, one test file and one module, with replacements."""

    def book(old="", new=""):
        for folder, name, text in [("notebooks", "matches", PAGE), ("tests", "test_m", TESTS), ("helpers", "m", CODE)]:
            (tmp_path / folder).mkdir(exist_ok=True)
            text = textwrap.dedent(text).replace(old, new) if old else textwrap.dedent(text)
            (tmp_path / folder / f"{name}.py").write_text((HEAD if folder == "notebooks" else "") + text)
        return tmp_path

    return book


def test_the_book_has_no_gap():
    assert not (problems := collect_statements().problems), "\n".join(problems)


def test_a_whole_book_passes(write):
    ledger = verified_statements(write())
    union = ledger.statements["lem-union"]
    assert (union.kind, union.title, union.page, union.proved) == ("lemma", "Union of matches", "matches", True)
    assert [p.name for p in ledger.statements["def-match"].tests] == ["test_match", "test_union"]
    assert [p.name for p in ledger.statements["def-match"].code] == ["is_match"]
    assert union.seen[0].figure == "fig-union"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('@pytest.mark.statement("lem-union")\n', "", "lem-union has no test"),
        ('statement("lem-union")', 'statement("lem-onion")', "test_union names lem-onion, which no page states"),
        ("# :::{prf:proof}\n# Spans grow.\n# :::\n", "", "lem-union has no proof"),
        ('"shows-def-match"', "", "def-match is seen nowhere"),
        ('"shows-def-match"', '"shows-def-match", "shows-def-mach"', "a cell shows def-mach, which no page states"),
        ("(def-match)", "(def-math)", "is_match names def-math, which no page states"),
        ("label: lem-union", "label: thm-union", "'Union of matches' has label 'thm-union', expected lem-…"),
        ("prf:lemma} Union of matches\n# :label: lem-union", "prf:definition} M\n# :label: def-match", "stated twice"),
        ("prf:lemma} Union of matches", "prf:lemma}", "lem-union has no title"),
        ("lem-union", "alg-union", "alg-union has no code"),
        ("# # Matches\n", "# # Matches\n#\n# :::{prf:proof}\n# Early.\n# :::\n", "a proof stands before any statement"),
    ],
)
def test_a_gap_is_named(write, old, new, problem):
    root = write(old, new)
    problems = collect_statements(root).problems
    assert any(re.search(re.escape(problem), line) for line in problems), problems
    with pytest.raises(BadInput, match=r"def|lem|thm|proof"):
        verified_statements(root)


def test_the_pages_lead_to_all_that_belongs_to_a_statement(write):
    ledger = collect_statements(write())
    table, tests = statements_page(ledger), checked_by_page(ledger)
    row = next(line for line in table.splitlines() if "lem-union" in line)
    cells = ["{prf:ref}`lem-union` Union of matches", "yes", "[1](#tests-lem-union)", "–", "{numref}`fig-union`"]
    assert row == f"| {' | '.join(cells)} |"
    assert "`m.is_match` | [Matches](matches.ipynb) |" in table
    assert ":name: tests-lem-union" in tests
    assert "def test_union():\n    assert True" in tests
