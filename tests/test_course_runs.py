"""The course as students get it: every notebook runs from top to bottom in the course folder. Slow."""

import jupytext
import pytest

from helpers.pages import places, running
from helpers.pages.teaching import course, pages
from tests.built import built_book
from tests.notebooks import execute_notebook

pytestmark = pytest.mark.slow
CHAPTERS = [name for name in course.COURSE if pages.exercises(pages.load_notebook(places.NOTEBOOKS / f"{name}.py"))]


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    built_book()
    place = tmp_path_factory.mktemp("teaching") / "course"
    course.write_course(place)
    return place


def printed(path, scratch, monkeypatch) -> str:
    """Run a notebook in its course folder, with the course's own code, and return what its cells print."""
    for key, value in (running.KERNEL | {"PYTHONPATH": str(path.parents[1])}).items():
        monkeypatch.setenv(key, value)
    options = {"kernel_name": "python3", "cwd": str(path.parents[1])}
    done = execute_notebook(
        jupytext.read(path), str(scratch / path.name), kernel_manager_class=running.LocalKernel, **options
    )
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("name", CHAPTERS)
def test_solutions_pass_their_checks_and_stubs_get_hints(folder, name, tmp_path, monkeypatch):
    solved = printed(folder / "solutions" / f"{name}.ipynb", tmp_path, monkeypatch)
    assert "✗" not in solved
    open_ones = printed(folder / "student" / f"{name}.ipynb", tmp_path, monkeypatch)
    assert "✓" not in open_ones
    assert open_ones.count("✗") == solved.count("✓")
