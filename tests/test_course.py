"""The course: solutions are cut out, both versions run, the folder is whole or absent, the slides need no network."""

import ast
import errno
import os
import re
import textwrap
from pathlib import Path

import jupytext
import nbformat
import pytest

from helpers.errors import BadInput
from helpers.pages import filled
from helpers.pages.teaching import course, pages, plain, slides
from helpers.pages.teaching.cutting import emptied, stub, student_version
from tests.notebooks import execute_notebook

PAGE = r'''
    # %% [markdown]
    # # A small page
    #
    # Time {{reading}} to read. See {prf:ref}`lem-double`, {cite}`nobody`, [next](other.ipynb) and {glue:text}`two:.1f`.
    #
    # :::{prf:lemma} Doubling
    # :label: lem-double
    # Twice $x$ is $2x$.
    # :::
    #
    # :::{prf:proof}
    # Add $x$ to itself.
    # :::

    # %% tags=["hide-input"]
    from helpers.pages.filled import glue

    from helpers.pages.teaching.exercises import CHECKS, check, expect_close

    # %% tags=["remove-cell"]
    CHECKS["ex-double"] = lambda double: expect_close(double(3), 6, "3 becomes 6")
    glue("two", 2.0, display=False)

    # %% mystnb={"image": {"alt": "A line through two points."}, "figure": {"name": "fig-line", "caption": "A line."}}
    import matplotlib.pyplot as plt

    plt.plot([1, 2]);

    # %% [markdown]
    # ## Exercises
    #
    # :::{exercise} Double
    # :label: ex-double
    # Write `double(x)`.
    # :::
    #
    # :::{solution-start} ex-double
    # :class: dropdown
    # Add it to itself, says the solution.
    # :::

    # %% tags=["solution"]
    import math

    secret = 2


    def double(x):
        """Twice x."""
        return secret * x + 0 * math.pi

    # %% [markdown]
    # Between the markers.

    # %%
    double(4)

    # %% [markdown]
    # :::{solution-end}
    # :::
    #
    # After the markers.

    # %% tags=["check"]
    check("ex-double", double)

    # %% [markdown]
    # :::{exercise} Halve
    # :label: ex-halve
    # Predict.
    # :::
    #
    # ::::{solution} ex-halve
    # :class: dropdown
    # :::{note}
    # The half of it.
    # :::
    # ::::
    #
    # The end.
'''


@pytest.fixture
def book():
    small = jupytext.reads(textwrap.dedent(PAGE).lstrip(), fmt="py:percent")
    small.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return small


@pytest.fixture
def executed(book, tmp_path):
    """The page, run and put where executed pages lie."""
    place = tmp_path / "pages" / "small.ipynb"
    place.parent.mkdir()
    execute_notebook(book, str(place), cwd=str(pages.ROOT))
    page = nbformat.read(place, as_version=4)
    page.metadata["samerep"] = {"reading": "1 minutes", "seconds": 2.0}
    nbformat.write(page, place)
    return place.parent


def text(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def test_student_version_keeps_everything_but_the_solutions(book):
    before = text(book)
    student = text(student_version(book))
    for gone in ("solution", "secret", "Between", "double(4)", "half of it"):
        assert gone not in student
    for kept in (
        "import math",
        "def double(x):",
        '"""Twice x."""',
        "After the markers.",
        "The end.",
        'check("ex-double"',
    ):
        assert kept in student
    assert student.count("**Your answer:**") == 1  # of the exercise without a check
    assert text(book) == before


@pytest.mark.parametrize(
    ("source", "stubbed"),
    [
        ("def f(x): return x", "def f(x):\n    ..."),
        (
            "@cache\ndef f(x: int, *, y=1) -> int:\n    '''Doc.'''\n    return x",
            '@cache\ndef f(x: int, *, y=1) -> int:\n    """Doc."""\n    ...',
        ),
        ("answer = 3\nother = 4", "answer = ..."),
        ("print(3)\nplt.plot(x)", ""),
        ("from math import pi\nanswer: float = pi", "from math import pi\n\n\nanswer = ..."),
    ],
)
def test_stub(source, stubbed):
    assert stub(source, {"answer"}) == stubbed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "printed"), [("student", "✗ ex-double: your function returns nothing yet"), ("solutions", "✓ ex-double")]
)
def test_both_versions_run(book, tmp_path, kind, printed):
    chapter = course.Chapter("small", book, None)
    made = course.notebook(chapter, plain.names_of([book]), kind, [chapter])
    made.cells[1].source = made.cells[1].source.splitlines()[-1]  # the code is found without the path
    done = execute_notebook(made, str(tmp_path / "out.ipynb"), cwd=str(pages.ROOT))
    said = [o.text for cell in pages.code(done, "check") for o in cell.outputs]
    assert said[0].startswith(printed)


@pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
def test_no_line_of_a_solution_is_in_a_students_notebook(chapter):
    student = course.notebook(chapter, {}, "student", [])
    given = {line.strip() for line in text(student).splitlines()}
    for cell in pages.code(chapter.source, "solution"):
        functions = [n for n in ast.parse(cell.source).body if isinstance(n, ast.FunctionDef)]
        hollow = "\n".join(ast.unparse(emptied(f)) for f in functions)
        for line in (line.strip() for line in cell.source.splitlines()):
            if len(line) > 20 and line not in hollow and not line.startswith(("import", "from", '"""', "def")):
                assert line not in given
    for block in pages.directives_named(chapter.source, ["solution", "solution-start"]):
        assert not {line for line in plain.plain(block.body, plain.Context()).splitlines() if len(line) > 30} & given


def test_a_course_needs_no_tool_of_the_book_and_all_that_its_code_imports():
    names = {line.split("==")[0] for line in course.requirements()}
    assert {"numpy", "torch", "pandas", "matplotlib", "plotly", "numba"} <= names
    assert not {"sphinx", "jupyter-book", "mypy", "pytest", "myst-nb", "ruff"} & names
    assert course.needs_of("no-such-package") == []


@pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
def test_no_word_of_the_books_machinery_is_in_the_course(chapter):
    for kind in ("student", "solutions"):
        assert "glue" not in text(course.notebook(chapter, {}, kind, []))


def test_a_cell_that_glues_notes(monkeypatch):
    source = (
        "from helpers.pages.filled import glue\n\n"
        'glue("a", f(x), display=False)\nglue(\n    "b",\n    2,\n    display=False,\n)'
    )
    noted = course.without_glue(source)
    assert "glue" not in noted
    assert "display" not in noted
    monkeypatch.setattr(filled, "VALUES", {})
    exec(noted, {"f": lambda x: x, "x": 3})
    assert filled.VALUES == {"a": 3, "b": 2}


def test_plain_markdown_has_no_directive_and_no_role(book):
    context = plain.Context(plain.names_of([book]), {"two": "2.0"}, frozenset())
    words = "\n".join(plain.plain(cell.source, context) for cell in book.cells if cell.cell_type == "markdown")
    assert not re.search(r":::|\{\w+\}`", words)
    assert "See Lemma (Doubling), nobody, next and 2.0." in words
    assert "> **Lemma (Doubling).**\n>\n> Twice $x$ is $2x$." in words
    assert "### Exercise: Double" in words
    numbered = plain.Context(plain.names_of([book], {"ex-double": "1.2"}))
    assert "### Exercise 1.2 (Double)" in "\n".join(plain.plain(cell.source, numbered) for cell in book.cells)
    assert "…" in plain.roles("{glue:text}`two`", plain.Context())


@pytest.mark.parametrize("chapter", course.chapters(), ids=lambda chapter: chapter.name)
def test_course_notebooks_show_no_directive(chapter):
    for kind in ("student", "solutions"):
        made = course.notebook(chapter, {}, kind, [])
        words = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
        assert not (left := re.search(r"^:::.*|\{[\w:]+\}`.*|\{\{\w+\}\}", words, re.M)), left and left[0]


def write(folder, **files):
    """A course of these files, as the real one is written; returns what was left as it is."""
    kept = []
    with course.renewed(folder, kept) as work:
        for name, text in files.items():
            path = work / name.replace("_", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    return [path.relative_to(folder).as_posix() for path in kept]


def content(folder):
    return {
        p.relative_to(folder).as_posix(): p.read_text()
        for p in folder.rglob("*")
        if p.is_file() and p.name != course.MARK
    }


def test_a_course_takes_the_place_of_a_course_and_of_nothing_else(tmp_path):
    folder = tmp_path / "course"
    assert write(folder, a="1", student_b="1", c="1") == []
    assert write(folder, a="2", student_b="2") == []
    assert content(folder) == {"a": "2", "student/b": "2"}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(BadInput, match="mine holds something else"):
        write(tmp_path / "mine", a="1")

    def fail():
        with course.renewed(tmp_path / "half", []) as work:
            (work / "a").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["course", "mine"]


def test_what_a_teacher_added_or_changed_stays_and_is_named(tmp_path):
    folder = tmp_path / "course"
    write(folder, a="1", student_b="1", c="1", d="1")
    (folder / "student" / "b").write_text("mine")
    (folder / "notes").write_text("mine")
    (folder / "c").unlink()
    (folder / "d").write_text("mine")
    for _ in range(2):
        assert write(folder, a="2", student_b="2", c="2") == ["student/b"]
        assert content(folder) == {"a": "2", "student/b": "mine", "notes": "mine", "c": "2", "d": "mine"}


def test_a_course_of_an_older_version_is_added_to_and_not_overwritten(tmp_path):
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / course.MARK).touch()
    (folder / "a").write_text("old")
    assert write(folder, a="new", b="new") == ["a"]
    assert content(folder) == {"a": "old", "b": "new"}


def test_killed_while_files_move_the_next_call_ends_it(tmp_path, monkeypatch):
    folder = tmp_path / "course"
    write(folder, a="1", b="1", c="1")
    moved = []

    def replace(source, target):
        if str(target).endswith(("/a", "/b", "/c")) and len(moved) == 2:
            raise KeyboardInterrupt
        moved.append(target)
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            write(folder, a="2", b="2", c="2")
    assert write(folder, a="2", b="2", c="2") == []
    assert content(folder) == {"a": "2", "b": "2", "c": "2"}


def test_a_link_in_the_folder_is_left(tmp_path):
    folder, precious = tmp_path / "course", tmp_path / "precious"
    precious.write_text("mine")
    write(folder, a="1")
    (folder / "a").unlink()
    (folder / "a").symlink_to(precious)
    (folder / "self").symlink_to(folder)
    assert write(folder, a="2") == ["a"]
    assert precious.read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("loop", "loop is a link that leads nowhere: expected a folder"),
        ("nowhere", "nowhere is a link that leads nowhere: expected a folder"),
        ("inside", "inside lies in .*results, which is part of the course: expected a folder elsewhere"),
        ("inside/new", "new lies in .*results, which is part of the course: expected a folder elsewhere"),
    ],
)
def test_a_course_is_never_copied_into_itself_and_a_link_leads_somewhere(tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(course, "chapters", lambda: pytest.fail("it had begun"))
    for link, goal in (("loop", "loop"), ("nowhere", "gone"), ("inside", course.ROOT / "results")):
        (tmp_path / link).symlink_to(goal)
    with pytest.raises(BadInput, match=message):
        course.write_course(tmp_path / name)


def test_a_course_can_be_written_to_another_disk(tmp_path, monkeypatch):
    real = os.replace

    def replace(source, target):
        if Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), str(source))
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert write(tmp_path / "course", a="1", b="2") == []
    assert write(tmp_path / "course", a="3") == []
    assert {path.name: path.read_text() for path in (tmp_path / "course").iterdir() if path.name[0] != "."} == {
        "a": "3"
    }


def test_write_course_is_complete(tmp_path):
    folder = tmp_path / "course"
    assert str(folder) in course.write_course(folder)[0]
    names = {chapter.name for chapter in course.chapters()}
    for kind in ("student", "solutions"):
        assert {path.stem for path in (folder / kind).glob("*.ipynb")} == names
        assert all(nbformat.validate(nbformat.read(p, 4)) is None for p in (folder / kind).glob("*.ipynb"))
    for name in (
        "README.md",
        "requirements.txt",
        "problems.md",
        "teaching.md",
        "slides/index.html",
        "helpers",
        "benchmarks",
        "results",
    ):
        assert (folder / name).exists()
    assert "Solution." in (folder / "solutions/problems.md").read_text()
    assert "Solution." not in (folder / "problems.md").read_text()


def given(book, executed):
    return slides.Sources({"small": book}, executed)


DECK = [
    {"title": "A lecture", "text": "Said with $x^2$ and {glue:text}`small::two:.2f`."},
    {"statement": "lem-double", "minutes": 3, "note": "Slowly."},
    {"proof": "lem-double"},
    {"figure": "fig-line", "title": "A line", "text": "See."},
    {"exercise": "ex-double"},
]


@pytest.mark.slow
def test_slides_are_one_file_from_the_same_sources(book, executed, tmp_path):
    assert slides.write_slides(tmp_path, DECK, given(book, executed)) == []
    page = (tmp_path / "index.html").read_text()
    own = page[: page.rindex("<script>")]
    for part in (
        "Lemma: Doubling",
        r"\(2x\)",
        "Proof: Doubling",
        "data:image/png;base64,",
        "Said with",
        "2.00",
    ):
        assert part in own
    assert 'alt="A line through two points."' in own
    assert "Add it to itself, says" not in own
    assert not re.search(r'(?:src|href)="(?!data:)', own)
    assert not re.search(r"https?://", own)


def test_a_figure_of_a_page_that_never_ran_is_reported(book, tmp_path):
    assert slides.write_slides(tmp_path, DECK, given(book, tmp_path)) == ["fig-line"]
    assert "make book" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("slide", "message"),
    [
        ({"statement": "lem-duoble"}, "did you mean 'lem-double'"),
        ({"figure": "fig-lime"}, "did you mean 'fig-line'"),
        ({"exercise": "ex-doubel"}, "did you mean 'ex-double'"),
    ],
)
def test_unknown_labels_on_slides_are_refused(book, tmp_path, slide, message):
    with pytest.raises(BadInput, match=message):
        slides.write_slides(tmp_path, [slide], given(book, tmp_path))


@pytest.mark.parametrize(
    ("text", "message"), [("- titel: x", "did you mean 'title'"), ("- title: x", "slide 1 is empty")]
)
def test_bad_decks_are_refused(tmp_path, text, message):
    (tmp_path / "deck.yml").write_text(text)
    with pytest.raises(BadInput, match=message):
        slides.deck(tmp_path / "deck.yml")


def test_the_lecture_fits_into_a_lecture_and_quotes_only_what_is_there(tmp_path):
    assert 40 <= slides.lecture_minutes(slides.deck()) <= 50
    slides.write_slides(tmp_path)
