"""The book reads well: each word is spelt, no sentence is long, and every page can be read at first reading."""

import re
import subprocess
import sys
from functools import cache
from importlib.resources import files

import pytest
from spellchecker import SpellChecker

from helpers.files import ROOT
from helpers.pages.teaching import pages
from tests import prose

# An educated reader who is not a native speaker should understand every sentence at first reading. Guides to plain
# English ask for a grade of at most 8 (a reading age of 13), and for sentences of 15 to 20 words, none above 25 to 30.
HARDEST = 8.0
LONGEST = 30  # words, a formula counts as one
SHORTEST_PAGE = 100  # words; the grade of a few sentences says little
LONGEST_IN_DOCSTRINGS = 45
WORDS = set((ROOT / "tests" / "words.txt").read_text().split())  # right here, and not in the dictionary
BRITISH_TOO = {"biased", "license", "math", "practice", "program", "story"}
PAGES = [*prose.NOTEBOOKS, *(path for path in prose.PROSE if not prose.GENERATED.fullmatch(path.name))]
MODULES = sorted((ROOT / "helpers").rglob("*.py"))
EACH = r"(?:row|line|column|panel|page|samples|neurons|exercises|trial|inverse|cell|one|bar|mark)"
OF = r"(?:layer|network|page|measure|group|seed|side|neuron|pair|file|chapter|condition|study|kind|name|step|batch)"
RIDDLES = {  # what a non-native reader has to solve
    rf"\b{EACH} an? {OF}\b(?! needs| has| is)": "per: 'one row per layer', and not 'a row a layer'",
    r"(?:\A|\n\n|[.] )The same (?!(?:\w+ )?(?:as|way)\b)": "the same as what?",
}


@cache
def spelling() -> SpellChecker:
    """A word list of English that comes with a package: it works offline, and is the same on every machine."""
    return SpellChecker()


@cache
def american() -> dict[str, str]:
    """American spellings and the British ones, which this book uses; from codespell's list."""
    lines = (files("codespell_lib") / "data" / "dictionary_en-GB_to_en-US.txt").read_text().splitlines()
    pairs = [line.split("->") for line in lines if "," not in line.rstrip(",")]
    return {us.strip().rstrip(","): gb for gb, us in pairs if us not in BRITISH_TOO}


def words(text: str) -> set[str]:
    """The words of a text in lower case, without the s of possession."""
    raw = {word for line in prose.paragraphs(text) for word in prose.words_of(line)}
    return {word.lower().replace("’", "'").removesuffix("'s") for word in raw}


def misspelt(text: str) -> list[str]:
    """Words that are in neither list, and American spellings with what to write."""
    found = words(text)
    foreign = [f"{word} (here: {american()[word]})" for word in sorted(found & american().keys() - BRITISH_TOO)]
    return sorted(spelling().unknown(found) - WORDS) + foreign


def riddles(text: str) -> list[str]:
    """Turns of phrase that this book does not use, with what to write."""
    return [f"{found[0]!r}: {why}" for pattern, why in RIDDLES.items() for found in re.finditer(pattern, text)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_words_of_a_page_are_spelt(path):
    assert misspelt(prose.text_of(path)) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_can_be_read_at_first_reading(path):
    page = prose.read_page(path)
    assert [s for s in page.sentences if len(s.split()) > LONGEST] == []
    assert page.grade <= HARDEST or page.words < SHORTEST_PAGE
    assert riddles(prose.text_of(path)) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT / "helpers")))
def test_docstrings_are_spelt_and_short(path):
    for name, text in prose.docstrings(path):
        assert misspelt(text) == [], name
        assert [s for s in prose.sentences(text) if len(s.split()) > LONGEST_IN_DOCSTRINGS] == [], name
        assert riddles(text) == [], name


def test_comments_messages_and_settings_hold_no_known_misspelling():
    done = subprocess.run(
        [sys.executable, "-m", "codespell_lib"], cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace"
    )
    assert done.stdout + done.stderr == ""


def test_a_word_that_is_allowed_is_used_somewhere():
    texts = [*map(prose.text_of, PAGES), *(text for path in MODULES for _, text in prose.docstrings(path))]
    assert sorted(WORDS.difference(*map(words, texts))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("This sentense is wrong.", ["sentense"]),
        ("The color of a line.", ["color (here: colour)"]),
        ("The colour of a neuron's line.", []),
        ("Code: `sentense`, {glue:text}`sentense` and $sentense$.", []),
        ("```python\nsentense = 1\n```\n", []),
        (":::{prf:lemma} A sentense\n:label: lem-sentense\nTrue.\n:::", ["sentense"]),
    ],
)
def test_misspelt_words_are_found_and_code_is_not_read(text, found):
    assert misspelt(text) == found


def test_sentences_come_without_markup():
    text = "# A title\n\nOne *long* thought, with $a. B$ and `c. D`. Two: see [it](page.md).\n\n- An item\n  goes on."
    assert list(prose.sentences(text)) == ["One long thought, with x and x.", "Two: see it.", "An item goes on."]


def test_a_short_sentence_is_easier_than_a_long_one():
    easy = prose.Reading(("The cat sat on the mat.",))
    hard = prose.Reading(("Representational similarity presupposes a considerable methodological sophistication.",))
    assert easy.grade < 2
    assert hard.grade > 15
    assert (easy.words, easy.longest) == (6, 6)


@pytest.mark.parametrize(
    "text", ["It draws a line a network.", "Ten neurons a side match.", "A table.\n\nThe same for layers."]
)
def test_a_riddle_is_found(text):
    assert len(riddles(text)) == 1


def test_plain_phrases_are_no_riddles():
    assert riddles("One row per layer. The same as before. How many samples a layer needs.") == []


GLOSSARY = ROOT / "book" / "glossary.md"
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")


def entries():
    """The terms that the glossary explains, in lower case."""
    return [line.lower() for line in re.findall(r"^(?![`#{])(\S[^\n]*)\n  \S", GLOSSARY.read_text(), re.M)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_linked_term_is_in_the_glossary_and_linked_once(path):
    linked = [term.lower() for term in TERM.findall(prose.text_of(path))]
    assert set(linked) <= set(entries())
    assert len(linked) == len(set(linked))


def test_the_glossary_is_in_alphabetical_order():
    assert entries() == sorted(entries())
    assert "gram matrix" in entries()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_line_of_text_is_taken_for_a_comment(path):
    """MyST leaves out a line that begins with %, such as one that goes on with "95 / % of the neurons"."""
    texts = pages.markdown(pages.load_notebook(path)) if path.suffix == ".py" else [path.read_text(encoding="utf-8")]
    assert [line for text in texts for line in text.splitlines() if re.match(" {0,3}%", line)] == []
