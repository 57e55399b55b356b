"""The teaching kit: one folder with student notebooks, solutions, problem sheets, slides, and what they need to run."""

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from itertools import count
from pathlib import Path

import nbformat
import pandas as pd
from nbformat import NotebookNode

from ...errors import BadInput
from ...files import ROOT, atomic, move, scratch_folder, sha256, sweep
from ...processes import held
from ...schemas import Written, read_json
from ..filled import fill, glued_values, marked, text_cells
from ..grid import read_grid
from ..places import PAGES
from . import pages, plain, slides
from .cutting import student_version

EXPERIMENTS = (
    *("paper_experiment", "scale", "simple_matches", "causes", "measure", "sensitivity", "layer_identification"),
    *("interchangeable", "alike"),
)
COURSE = ("worked_example", *pages.CHAPTERS, *EXPERIMENTS)  # experiments that need no network: they read the records
PACKAGES = (  # what the notebooks and the code that they read import
    *("numpy", "scipy", "numba", "jaxtyping", "pandas", "pyarrow", "tabulate", "pyyaml", "pydantic", "filelock"),
    *(
        "torch",
        "torchvision",
        "safetensors",
        "pillow",
        "scikit-learn",
        "POT",
        "joblib",
        "threadpoolctl",
        "psutil",
        "tqdm",
    ),
    *("matplotlib", "seaborn", "plotly", "ipython", "ipykernel", "nbformat", "jupytext", "click", "markdown-it-py"),
    *("mdit-py-plugins", "pybtex", "papermill", "jupyter-client"),
)
LOCKS = ("requirements.lock", "requirements-cuda.lock")
COPIED = ("helpers", "benchmarks", "results")  # what the notebooks import and read
MARK = ".course"
SETUP = """import sys

sys.path.insert(0, "..")  # the code of the book lies in the folder above
from helpers.pages.filled import show_text  # sentences with the numbers of this run"""
README = """\
# Do different networks learn the same representation? The course

Made from the book's sources by `make course`. Python 3.11 or newer; from this folder:

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/jupyter lab student

On Linux this installs PyTorch with the CUDA libraries. Nothing here needs them: a PyTorch for the CPU, installed first,
is smaller. Sentences with numbers are computed by the notebooks, so they follow when you change a parameter.

| Folder | Who gets it | What it holds |
|---|---|---|
| `student/` | students | the chapters with exercises to fill in; checks answer with a tick or a hint |
| `helpers/`, `benchmarks/`, `results/`, `book/` | students | code and records that the notebooks read; no GPU |
| `solutions/` | you | the same notebooks with every exercise solved |
| `slides/` | you | `index.html`, the lecture; runs offline, arrow keys, `p` to print |
| `problems.md`, `solutions/problems.md` | both, you | all exercises as one sheet, without and with answers |
| `teaching.md` | you | routes, minutes, what to prepare, what goes wrong, how to grade |

Hand out everything but `solutions/`, `slides/` and `teaching.md`.

| Notebook | Chapter | Reading | Exercises |
|---|---|---|---|
"""


@dataclass(frozen=True)
class Chapter:
    """A notebook of the course: its name, source, and the executed page if the book was built."""

    name: str
    source: NotebookNode
    page: NotebookNode | None

    @property
    def reading(self) -> int:
        """Minutes to read, as the book states them."""
        return pages.reading_minutes(self.source)

    @property
    def running(self) -> str:
        """The measured time to run; a rough phrase if the page was not executed."""
        return "about a minute" if self.page is None else f"{max(1, round(self.page.metadata['samerep']['seconds']))} s"


def chapters(folder: Path = pages.NOTEBOOKS, executed: Path = PAGES) -> list[Chapter]:
    """The notebooks of the course, in the order in which they are taught."""
    return [Chapter(name, pages.load_notebook(folder / f"{name}.py"), page_of(name, executed)) for name in COURSE]


def numbers() -> dict[str, int]:
    """The numbers on the teacher's page: minutes to read each chapter, number of slides, minutes of the lecture."""
    deck = slides.deck()
    reading = {f"read-{chapter.name}": chapter.reading for chapter in chapters()}
    counts = {"experiments": len(EXPERIMENTS), "slides": len(deck)}
    return reading | counts | {"lecture": slides.lecture_minutes(deck)}


def overview() -> pd.DataFrame:
    """One row per chapter: its title, minutes to read, and how many exercises of each kind it has."""
    rows = []
    for chapter in chapters():
        kinds = Counter(exercise.kind for exercise in pages.exercises(chapter.source).values())
        rows.append((pages.title(chapter.source), chapter.reading, kinds["paper"], kinds["code"], kinds["predict"]))
    return pd.DataFrame(rows, columns=["chapter", "minutes to read", "on paper", "in code", "predict and run"])


def course_list() -> str:
    """All that the page for teachers computes from the other pages, as text. When it changes, that page runs again."""
    return json.dumps(numbers()) + str(overview().to_csv())


def exercise_numbers() -> dict[str, str]:
    """The number of each exercise by label, as the site shows it.

    In a numbered part it is the chapter and the place in it. All other pages share one count.
    """
    numbers, chapter, shared = dict[str, str](), 0, count(1)
    for part in read_grid():
        for page in part.pages:
            chapter += part.numbered
            labels = pages.exercises(pages.load_notebook(page.source)) if page.notebook else {}
            own = (f"{chapter}.{place}" for place in count(1)) if part.numbered else map(str, shared)
            numbers |= dict(zip(labels, own, strict=False))
    return numbers


def page_of(name: str, executed: Path = PAGES) -> NotebookNode | None:
    """The executed page of a notebook, if it is there."""
    path = executed / f"{name}.ipynb"
    return nbformat.read(path, as_version=4) if path.exists() else None


def write_course(folder: Path) -> list[str]:
    """Write the course, or update an older one. What a teacher added or changed there stays.

    Returns the lines to show to the teacher. Raises `BadInput` if `folder` holds something else.
    """
    kept: list[Path] = []
    folder = goal_of(folder)
    with renewed(folder, kept) as work:
        every_chapter = chapters()
        names = plain.names_of([chapter.source for chapter in every_chapter], exercise_numbers())
        for kind in ("student", "solutions"):
            (work / kind).mkdir()
            for chapter in every_chapter:
                nbformat.write(notebook(chapter, names, kind, every_chapter), work / kind / f"{chapter.name}.ipynb")
        (work / "problems.md").write_text(problems(every_chapter, names, "student"), encoding="utf-8")
        (work / "solutions" / "problems.md").write_text(problems(every_chapter, names, "solutions"), encoding="utf-8")
        (work / "teaching.md").write_text(teachers_page(names), encoding="utf-8")
        (work / "README.md").write_text(
            README + "\n".join(row(chapter) for chapter in every_chapter) + "\n", encoding="utf-8"
        )
        missing = slides.write_slides(work / "slides")
        _copy_what_it_needs(work)
    absent = f"The slides lack {len(missing)} figures: run make book first, then make course again." if missing else ""
    left = [f"Left as it is, because it was changed: {path}" for path in kept]
    return [line for line in (f"The course: {folder}/README.md", absent, *left) if line]


def goal_of(folder: Path) -> Path:
    """Where the files go: if `folder` is a link, where it leads, as new files are made beside it on its own disk.

    Raises `BadInput` for a link that leads nowhere, and for a place inside of what the course copies.
    """
    if folder.is_symlink() and not folder.exists():
        raise BadInput(f"{folder} is a link that leads nowhere: expected a folder")
    place = Path(os.path.realpath(folder))
    for source in (ROOT / name for name in COPIED):
        if place.is_relative_to(source):  # it would be copied into itself without end
            raise BadInput(f"{folder} lies in {source}, which is part of the course: expected a folder elsewhere")
    return place if folder.is_symlink() else folder


@contextmanager
def renewed(folder: Path, kept: list[Path]) -> Iterator[Path]:
    """A new folder whose files replace those in `folder` on success. After an error nothing has changed.

    A file stays as it is if the course did not write it, or if it was changed since. `kept` collects those of which
    there is a new version. Raises `BadInput` if `folder` holds something else.
    """
    if folder.exists() and not (folder.is_dir() and ((folder / MARK).exists() or not any(folder.iterdir()))):
        raise BadInput(f"{folder} holds something else: expected a new folder, or a course made before")
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)
    with held(folder, "writing"), scratch_folder(folder) as work:
        yield work
        kept += put(work, folder)


def put(work: Path, folder: Path) -> list[Path]:
    """Move the files of `work` into `folder`. Returns those that stay because they were changed there.

    The course's mark holds the hashes of the files that it wrote: old and new ones until all is done. So if the
    process is killed, the next call can continue.
    """
    old = written(folder)
    new = {path.relative_to(work).as_posix(): sha256(path) for path in sorted(work.rglob("*")) if path.is_file()}
    mark(folder, {name: [*old.get(name, []), *([new[name]] if name in new else [])] for name in {*old, *new}})
    kept = []
    for name in new:
        target = folder / name
        if target.is_symlink() or (target.exists() and sha256(target) not in [*old.get(name, []), new[name]]):
            kept.append(target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        move(work / name, target)  # the folder may be a mount point
    for name in old.keys() - new.keys():  # what is no longer part of the course
        target = folder / name
        if target.is_file() and not target.is_symlink() and sha256(target) in old[name]:
            target.unlink()
    mark(folder, {name: [new[name]] for name in new})
    return kept


def written(folder: Path) -> dict[str, list[str]]:
    """The hashes of the files that the course has written into a folder; empty for a course of an older version."""
    path = folder / MARK
    if not path.exists() or not path.stat().st_size:
        return {}
    return read_json(path, Written, f"move {folder} away and make the course anew").root


def mark(folder: Path, hashes: dict[str, list[str]]) -> None:
    """Write these hashes into the folder."""
    with atomic(folder / MARK) as temporary:
        temporary.write_text(json.dumps(dict(sorted(hashes.items())), indent=1), encoding="utf-8")


def notebook(chapter: Chapter, names: dict[str, str], kind: str, beside: list[Chapter]) -> NotebookNode:
    """A chapter for plain Jupyter, with or without solutions. Its Markdown has no directives."""
    values = {} if chapter.page is None else glued_values(chapter.page)
    context = plain.Context(names, values, frozenset(f"{other.name}.ipynb" for other in beside))
    book = student_version(chapter.source) if kind == "student" else chapter.source
    times = {"reading": f"{chapter.reading} minutes", "running": chapter.running}
    words = {"page": chapter.name} | pages.parameters(chapter.source) | times
    cells = [nbformat.v4.new_code_cell(SETUP, metadata={"tags": ["hide-input"]})]
    for cell in book.cells:
        if cell.cell_type == "code":
            source = without_glue(cell.source)
            cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": pages.tags(cell)}))
        elif text := plain.plain(marked(fill(cell.source, words)), context):
            cells += text_cells(text, values)
    cells[:2] = reversed(cells[:2])
    for position, cell in enumerate(cells):
        cell["id"] = f"cell-{position:03d}"
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=kernel)


def without_glue(source: str) -> str:
    """A code cell whose numbers are noted for this notebook, instead of glued into a page of the book."""
    source = source.replace("from helpers.pages.filled import glue", "from helpers.pages.filled import note")
    return re.sub(r"\bglue\(", "note(", re.sub(r",\s*display=False\b", "", source))


def problems(every_chapter: list[Chapter], names: dict[str, str], kind: str) -> str:
    """All exercises of the course on one sheet. With `kind` "solutions" each is followed by its answer."""
    sheet = [f"# Problems{' and solutions' if kind == 'solutions' else ''}"]
    for chapter in every_chapter:
        values = {} if chapter.page is None else glued_values(chapter.page)
        context = plain.Context(names, values)
        sheet.append(f"## {pages.title(chapter.source)}")
        words = pages.parameters(chapter.source)
        sheet += [plain.plain(fill(text, words), context) for text in _exercise_texts(chapter.source, kind)]
    return "\n\n".join(text for text in sheet if text) + "\n"


def _exercise_texts(book: NotebookNode, kind: str) -> Iterator[str]:
    """The exercise blocks of a page; with `kind` "solutions" also their solutions and the code in them."""
    wanted = ("exercise", "exercise-start") + (("solution", "solution-start") if kind == "solutions" else ())
    for cell in book.cells:
        if cell.cell_type == "markdown":
            lines = cell.source.splitlines()
            yield from ("\n".join(lines[b.start : b.stop]) for b in pages.directives(cell.source) if b.name in wanted)
        elif kind == "solutions" and "solution" in pages.tags(cell):
            yield f"```python\n{cell.source}\n```"


def teachers_page(names: dict[str, str]) -> str:
    """The book's page for teachers as plain Markdown, its table included."""
    book = pages.load_notebook(pages.NOTEBOOKS / "teaching.py")
    context = plain.Context(names, {key: str(value) for key, value in numbers().items()})
    times = {"reading": "ten minutes", "running": "a second"}
    parts = []
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(plain.plain(fill(cell.source, times), context).replace("../../slides/", "slides/"))
        elif "overview" in cell.source:
            parts.append(overview().to_markdown(index=False))
    return "\n\n".join(parts) + "\n"


def row(chapter: Chapter) -> str:
    """The line of a chapter in the README."""
    count = len(pages.exercises(chapter.source))
    return f"| `{chapter.name}.ipynb` | {pages.title(chapter.source)} | {chapter.reading} minutes | {count} |"


def locked(lock: Path) -> list[str]:
    """The exact versions in a lock file, each with its marker, without the hashes of its files."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [line.removesuffix("\\").strip() for line in lines if line[:1].strip() not in ("", "#")]


def requirements(roots: Iterable[str] = PACKAGES) -> list[str]:
    """The lines of the locks for these packages and all that they need: no Sphinx, no tools."""
    lines = {_plain_name(line): line for lock in LOCKS for line in locked(ROOT / lock)}
    wanted, needed = [*roots], set[str]()
    while wanted:
        name = _plain_name(wanted.pop())
        if name not in needed and name in lines:
            needed.add(name)
            wanted += [need for need in needs_of(name) if "extra ==" not in need]
    return [line for name, line in sorted(lines.items()) if name in needed]


def needs_of(package: str) -> list[str]:
    """What a package requires, with its extras. Nothing for one of another system, which is not installed here."""
    try:
        return distribution(package).requires or []
    except PackageNotFoundError:
        return []


def _plain_name(requirement: str) -> str:
    """The name of a package as indexes compare it: "Foo_bar>=1; …" is foo-bar."""
    matched = re.match(r"[\w.-]+", requirement)
    return re.sub(r"[-_.]+", "-", matched[0]).lower() if matched else ""


def _copy_what_it_needs(work: Path) -> None:
    """Code, records, requirements and licence."""
    skip = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        shutil.copytree(ROOT / name, work / name, ignore=skip)
    (work / "book").mkdir()
    shutil.copy(ROOT / "book" / "evidence.yml", work / "book")
    lines = [*requirements(), "# to open the notebooks; nothing in them depends on its version", "jupyterlab<5"]
    (work / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    shutil.copy(ROOT / "LICENSE", work)
