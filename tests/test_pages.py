"""Every computed page keeps the rules of CONTRIBUTING.md; and a page that breaks one is caught."""

import ast
import re
import statistics
import textwrap
from pathlib import Path

import jupytext
import pytest

from helpers.errors import BadInput
from helpers.pages.pairs import half_of
from helpers.pages.teaching import pages

SOURCES = pages.sources()
OPENING = re.compile(
    r"\A# [^\n]+\n\n"
    r":::\{admonition\} Before you start\n:class: tip\n"
    r"\*\*You will learn\*\* [^\n]+(\n[^\n*][^\n]*)*\n\n"
    r"\*\*You need first\*\* [^\n]+(\n[^\n*][^\n]*)*\n\n"
    r"\*\*Time\*\* \{\{reading\}\} to read, \{\{running\}\} to run\.\n:::"
)
PLOTS = re.compile(r"\bplt\.(figure|subplots|show)\b|\bsns\.\w*(plot|map|grid)\w*\(|\.plot\(")


def functions(returning):
    """The public functions of helpers/ whose return type matches a pattern, as `module.function`."""
    for path in (pages.ROOT / "helpers").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            returns = ast.unparse(node.returns) if isinstance(node, ast.FunctionDef) and node.returns else ""
            if re.search(returning, returns) and not node.name.startswith("_"):
                yield f"{path.stem}.{node.name}"


DRAWS = sorted(functions(r"\b(?<!go\.)(Figure|Axes)\b"))
SILENT = {name.split(".")[1] for name in functions("^None$")} | {"show", "display", "grid", "set_axis_off", "margins"}


def lines(cell):
    """The lines of a code cell that hold something."""
    return [line for line in cell.source.splitlines() if line.strip()]


def draws(cell):
    """Whether the cell shows a still figure: it calls what draws, outside of a function it only defines."""
    figure = cell.metadata.get("mystnb", {}).get("figure")
    try:
        shown = [n for n in ast.parse(cell.source).body if not isinstance(n, ast.FunctionDef | ast.ClassDef)]
    except SyntaxError:  # a cell with a magic
        shown = []
    text = "\n".join(map(ast.unparse, shown))
    return bool(figure or PLOTS.search(text) or any(f"{name}(" in text for name in DRAWS))


def faults(book, front=False):
    """What is wrong with a page, one line each. The front page opens with the answer, not with what one needs first."""
    first, code = book.cells[0], pages.code(book)
    headings = [h for text in pages.markdown(book) for h in re.findall(r"^# .+", text, re.M)]
    wrong = [] if front or OPENING.match(first.source) else ["the first cell is not the title and 'Before you start'"]
    wrong += [f"{len(headings)} H1 headings, expected 1"] if len(headings) != 1 else []
    sizes = [len(lines(cell)) for cell in code]
    if sizes and statistics.median(sizes) > 8:
        wrong.append(f"the median code cell has {statistics.median(sizes):.1f} lines, expected at most 8")
    wrong += [f"a code cell has {n} lines, expected at most 30" for n in sizes if n > 30]
    wrong += [f"a figure has no alt text: {cell.source[:60]!r}" for cell in code if draws(cell) and not alt(cell)]
    wrong += [f"a figure's cell also shows its last value: {c.source[-60:]!r}" for c in code if speaks(c)]
    return wrong + parameter_faults(pages.code(book, "parameters"))


def speaks(cell):
    """Whether a labelled figure's cell ends in a value: Sphinx would give the label to both outputs."""
    if not cell.metadata.get("mystnb", {}).get("figure"):
        return False
    last = ast.parse(cell.source).body[-1]
    if not isinstance(last, ast.Expr) or cell.source.rstrip().endswith(";"):
        return False
    return not isinstance(last.value, ast.Call) or ast.unparse(last.value.func).split(".")[-1] not in SILENT


def alt(cell):
    """The alt text of a cell's figure; a moving one has it in its call."""
    text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
    return len(text) > 15 or "interactive(" in cell.source or "answer_figure(" in cell.source


def parameter_faults(cells):
    """At most one parameters cell, and plain values in it."""
    wrong = [f"{len(cells)} parameters cells, expected at most 1"] if len(cells) > 1 else []
    for node in (node for cell in cells for node in ast.parse(cell.source).body):
        try:
            assert isinstance(node, ast.Assign)
            ast.literal_eval(node.value)
        except (AssertionError, ValueError):
            wrong.append(f"a parameter is not a plain value: {ast.unparse(node)}")
    return wrong


def content(book):
    """What both halves of a pair must agree on."""
    keep = ("tags", "mystnb")
    return [(c.cell_type, c.source, {k: c.metadata[k] for k in keep if c.metadata.get(k)}) for c in book.cells]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_page_keeps_the_rules(path):
    assert not (wrong := faults(pages.load_notebook(path), path.stem == "landing")), "\n".join(wrong)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_both_halves_say_the_same_and_hold_no_output(path):
    other = path.with_suffix(".ipynb")
    assert other.exists(), f"{path.name} has no .ipynb half: run make pairs"
    book = jupytext.read(other)
    assert content(book) == content(half_of(path)), f"{other.name} differs from {path.name}: run make pairs"
    code = [cell.source for cell in pages.code(pages.load_notebook(path))]
    assert [cell.source for cell in pages.code(book) if "text" not in pages.tags(cell)] == code
    assert not any(cell.outputs or cell.execution_count for cell in pages.code(book)), f"{other.name} holds outputs"


def test_no_half_is_alone():
    assert {p.stem for p in pages.NOTEBOOKS.glob("*.ipynb")} == {p.stem for p in SOURCES}


GOOD = """
    # %% [markdown]
    # # A page
    #
    # :::{admonition} Before you start
    # :class: tip
    # **You will learn** what a page is,
    # and why.
    #
    # **You need first** nothing.
    #
    # **Time** {{reading}} to read, {{running}} to run.
    # :::

    # %% tags=["parameters"]
    width = 0.25

    # %% mystnb={"image": {"alt": "A line that rises from left to right."}, "figure": {"name": "fig-line"}}
    plt.plot([0, width])
    plt.show()
"""


def broken(old, new):
    assert old in textwrap.dedent(GOOD).lstrip()
    return jupytext.reads(textwrap.dedent(GOOD).lstrip().replace(old, new), fmt="py:percent")


def test_a_good_page_has_no_fault():
    assert not faults(broken("A page", "A page"))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("**You need first** nothing.", "Nothing is needed.", "Before you start"),
        ("{{reading}}", "5 minutes", "Before you start"),
        ("# :::\n\n# %% tags", "# :::\n#\n# # Another\n\n# %% tags", "2 H1 headings"),
        ("width = 0.25", "width = 0.25\n" * 31, "a code cell has 31 lines"),
        ("width = 0.25", "width = 0.25\n" * 20, "the median code cell has 11.0 lines"),
        ('"image": {"alt": "A line that rises from left to right."}, ', "", "no alt text"),
        ("plt.show()", "", "also shows its last value"),
        ("0.25", "np.pi", "not a plain value: width = np.pi"),
        ("# %% mystnb", '# %% tags=["parameters"]\ndepth = 3\n\n# %% mystnb', "2 parameters cells"),
    ],
)
def test_a_broken_rule_is_caught(old, new, fault):
    assert any(fault in line for line in faults(broken(old, new)))


def test_directives_are_read_nested_with_options_and_must_close():
    text = "a\n::::{tab-set}\n:::{prf:lemma} Union\n:label: lem-union\nSpans.\n:::\n::::\n"
    outer, inner = pages.directives(text)
    assert (outer.name, outer.start, outer.stop) == ("tab-set", 1, 7)
    assert (inner.label, inner.argument, inner.body) == ("lem-union", "Union", "Spans.")
    with pytest.raises(BadInput, match="has no closing"):
        pages.directives(":::{exercise} Lost\nnever closed")


def test_missing_notebook_is_one_line():
    with pytest.raises((BadInput, FileNotFoundError), match=r"notebooks/nowhere\.py") as error:
        pages.load_notebook(Path("notebooks/nowhere.py"))
    assert len(str(error.value).splitlines()) == 1
