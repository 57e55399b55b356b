"""The MyST of a page as plain Markdown, which Jupyter, Colab and the slides can show outside the book."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from nbformat import NotebookNode
from pybtex.database import parse_file

from ...files import ROOT
from ..filled import LATER, value_in_words
from . import pages
from .statements import KINDS

BIBLIOGRAPHY = ROOT / "book" / "references.bib"
ROLE = re.compile(r"\{(?P<role>[\w:-]+)\}`(?P<text>[^`]*)`")
TARGET = re.compile(r"^\([\w:-]+\)=\n", re.M)
LINK = re.compile(r"(?<!!)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s]+\.(?:md|ipynb)(?:#[^)]*)?)\)")
SHOWN = ("eq", "math", "code", "download", "sub", "sup", "glue:text")  # roles that need no other page
QUOTED = {"note", "tip", "hint", "warning", "important", "seealso", "admonition", "caution"}


@dataclass(frozen=True)
class Context:
    """What a page refers to: the names of labels, the values of numbers, and the pages in the same folder."""

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    beside: frozenset[str] = frozenset()


def names_of(notebooks: list[NotebookNode], numbers: Mapping[str, str] | None = None) -> dict[str, str]:
    """The words for each label: "Lemma (Union of matches)" for lem-union; "Exercise 1.2 (Double)" with `numbers`."""
    names = {}
    for notebook in notebooks:
        for block in pages.directives_named(notebook, [*KINDS, "exercise", "exercise-start"]):
            kind = block.name.removeprefix("prf:").removesuffix("-start").capitalize()
            number = (numbers or {}).get(block.label, "")
            names[block.label] = " ".join(part for part in (kind, number, f"({block.argument})") if part)
    return names


def plain(text: str, context: Context) -> str:
    """The text without directives and roles: blocks become quotations, exercises become headings, references names."""
    lines, out, at = text.splitlines(), [], 0
    for block in pages.directives(text):
        if block.start >= at:
            out += [*lines[at : block.start], _block(block, context)]
            at = block.stop
    prose = "\n".join(out + lines[at:])
    return roles(TARGET.sub("", prose), context).strip()


def _block(block: pages.Directive, context: Context) -> str:
    """One directive as plain Markdown."""
    body = plain(block.body, context)
    if block.name in KINDS:
        return quoted(f"**{block.name.removeprefix('prf:').capitalize()} ({block.argument}).**", body)
    if block.name == "prf:proof":
        return f"*Proof.* {body} ∎"
    if block.name.startswith("exercise"):
        return f"### {_headed(block, context)}\n\n{body}".strip()
    if block.name == "solution-end":
        return ""
    if block.name in ("solution", "solution-start"):
        return f"**Solution.** {body}".strip()
    if block.name in ("figure", "image"):
        return f"![{block.options.get('alt', '')}]({block.argument})"
    if block.name == "math":
        return f"$$\n{body}\n$$"
    if block.name in ("code", "code-block", "code-cell"):
        return f"```{block.argument}\n{block.body}\n```"
    if block.name in QUOTED:
        return quoted(f"**{block.argument or block.name.capitalize()}**", body)
    return f"**{block.argument}**\n\n{body}" if block.argument and block.name == "dropdown" else body


def _headed(exercise: pages.Directive, context: Context) -> str:
    """The heading of an exercise, with its number where it has one."""
    name = context.names.get(exercise.label, "")
    return name if re.match(r"Exercise \d", name) else f"Exercise: {exercise.argument}"


def quoted(head: str, body: str) -> str:
    """A block quotation with a heading."""
    return "\n".join(f"> {line}".rstrip() for line in [head, "", *body.splitlines()])


def roles(text: str, context: Context) -> str:
    """The text with every role replaced by words. A link to a page outside this folder becomes its words."""
    text = ROLE.sub(lambda role: _role(role["role"], role["text"], context), text)
    return LINK.sub(lambda link: link[0] if link["target"] in context.beside else link["words"], text)


def _role(role: str, text: str, context: Context) -> str:
    """The words of one role."""
    kinds: dict[str, Callable[[], str]] = {
        "glue:text": lambda: _value(text, context),
        "cite": lambda: ", ".join(author_year(key.strip()) for key in text.split(",")),
        "cite:t": lambda: ", ".join(author_year(key.strip()) for key in text.split(",")),
        "cite:p": lambda: "(" + ", ".join(author_year(key.strip()) for key in text.split(",")) + ")",
        "eq": lambda: "the equation above",
    }
    if role in kinds:
        return kinds[role]()
    titled = re.fullmatch(r"(.+?) *<[^>]*>", text)
    if titled:
        return titled[1]
    return context.names.get(text, "the figure" if text.startswith("fig-") else text)


def _value(text: str, context: Context) -> str:
    """A glued number in its format, written `key:.2f` or `path/page.ipynb::key:.2f`; "…" if the page was not run."""
    place, _, rest = text.rpartition("::")
    key, _, form = rest.partition(":")
    page = place.rpartition("/")[2].removesuffix(".ipynb")
    name = f"{page}::{key}" if page else key
    return value_in_words(name, form, context.values) if name in context.values else LATER


def author_year(key: str, bibliography: Path = BIBLIOGRAPHY) -> str:
    """The author and year of a key of the bibliography, such as "Wang et al. (2018)". An unknown key stays as it is."""
    entry = _entries(bibliography).get(key)
    if entry is None:
        return key
    people = [" ".join(person.last_names) for person in entry.persons.get("author", [])]
    names = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
    return f"{names} ({entry.fields.get('year', 'n.d.')})"


@cache
def _entries(bibliography: Path):  # type: ignore[no-untyped-def]
    """The entries of a bibliography by key; none if the file is absent."""
    return dict(parse_file(str(bibliography)).entries) if bibliography.exists() else {}


def words_for_outside(text: str, context: Context, own: Iterable[str]) -> str:
    """The text with references to labels that are not its `own`, citations, and links to other pages as words."""
    kept = set(own)

    def said(role: re.Match[str]) -> str:
        label = re.sub(r".*<([^>]*)>", r"\1", role["text"])
        return role[0] if label in kept or role["role"] in SHOWN else _role(role["role"], role["text"], context)

    text = ROLE.sub(said, text)
    return LINK.sub(lambda link: link["words"], text)
