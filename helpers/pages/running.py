"""One page: its notebook executed with its parameters, whole or not at all; and whether it is still fresh."""

import ast
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nbformat
import papermill
from joblib import Parallel, delayed
from jupyter_client import AsyncKernelManager
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from ..errors import BadInput, unknown
from ..files import atomic
from . import places
from .dependencies import Depends, code_of, depends_on
from .filled import fill_values
from .grid import Page
from .pairs import pair_notebook, plain_ids
from .places import LABEL

START_SECONDS = 600  # a kernel that imports torch on a busy machine takes its time
SOCKET_PATH = 60  # characters of a temporary folder that leave room for the names of folder and socket
WORDS_A_MINUTE = 180  # for text with formulas
KERNEL = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(places.ROOT), "PYTHONHASHSEED": "0"}


class LocalKernel(AsyncKernelManager):
    """A kernel spoken to through files, not ports: nobody else can listen, and no port is taken twice."""

    def __init__(self, **options: Any) -> None:
        self.sockets = tempfile.TemporaryDirectory(dir=_short_place())  # its own: kernels in one folder share files
        super().__init__(**options | {"transport": "ipc", "ip": f"{self.sockets.name}/kernel"})

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """Without the kernel's log: a cell's error comes as a message; the log only says that it was told to stop."""
        await super()._async_launch_kernel(kernel_cmd, **options | {"stderr": subprocess.DEVNULL})


def _short_place() -> str | None:
    """Where sockets lie: a socket's path has at most 107 characters, and a cluster's TMPDIR can be longer."""
    return "/tmp" if len(tempfile.gettempdir()) > SOCKET_PATH else None


def run_page(page: Page, tier: str = "published", place: Path | None = None) -> Path:
    """Execute a page's notebook with its parameters; the executed page appears only when every cell has run.

    Raises BadInput for an unknown parameter, and for a cell that fails: it names notebook, cell and error.
    """
    target = place or places.PAGES / f"{page.name}.ipynb"
    values = page.values(tier)
    check_parameters(page, values)
    notebook = prepared(page, values)
    depends = depends_on(page, tier)  # before it runs: what is edited meanwhile makes the page stale
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:  # papermill writes while it runs: not where Sphinx looks
        executed = _execute(notebook, Path(scratch) / "page.ipynb", page, values)
    finish(executed, page, depends, time.perf_counter() - start)
    with atomic(target) as temporary:
        nbformat.write(executed, temporary)
    return target


def _execute(notebook: NotebookNode, scratch: Path, page: Page, values: dict[str, Any]) -> NotebookNode:
    environment = dict(os.environ)
    os.environ.update(KERNEL, SAMEREP_PAGE=page.name)
    options = {"kernel_name": "python3", "cwd": str(places.ROOT), "kernel_manager_class": LocalKernel}
    quiet_and_patient = {"progress_bar": False, "start_timeout": START_SECONDS}
    try:
        return papermill.execute_notebook(notebook, str(scratch), parameters=values, **options, **quiet_and_patient)
    except PapermillExecutionError as error:
        line = error.source.strip().splitlines()[0]
        raise BadInput(
            f"{page.source.relative_to(places.ROOT)} (page {page.name}) failed in cell {error.cell_index} "
            f"(`{line}`) with {error.ename}: {error.evalue}"
        ) from None
    finally:
        os.environ.clear()
        os.environ.update(environment)


def parameters_of(page: Page) -> dict[str, Any]:
    """Names and default values in the notebook's parameters cell; none where there is no such cell."""
    for cell in pair_notebook(page.source).cells:
        if "parameters" in cell.metadata.get("tags", []):
            statements = ast.parse(cell.source).body
            return dict(found for statement in statements for found in _assigned(statement))
    return {}


def _assigned(statement: ast.stmt) -> list[tuple[str, Any]]:
    """Names and values of `a = 1`, `a: int = 1` and `a, b = 1, 2`."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    value, found = ast.literal_eval(statement.value), []
    for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
        if isinstance(target, ast.Name):
            found.append((target.id, value))
        elif isinstance(target, ast.Tuple | ast.List):
            parts = zip(target.elts, value, strict=True)
            found += [(name.id, part) for name, part in parts if isinstance(name, ast.Name)]
    return found


def check_parameters(page: Page, values: dict[str, Any]) -> None:
    """papermill only logs a parameter it does not know; here it is refused, with the nearest valid name."""
    known = parameters_of(page)
    for name in values:
        if name not in known:
            raise unknown(f"parameter of {page.notebook}", name, known)


def prepared(page: Page, values: dict[str, Any]) -> NotebookNode:
    """The notebook of a page before it runs: placeholders filled in, provenance appended."""
    notebook = pair_notebook(page.source)
    words = {"page": page.name, "title": page.title or ""} | parameters_of(page) | values
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = fill(cell.source, words)
        else:
            cell.metadata = nbformat.from_dict(json.loads(fill(json.dumps(cell.metadata), words)))
        if "parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell" if values else "hide-input"]
    notebook.cells += _provenance_cells(page, values)
    return notebook


def fill(text: str, words: dict[str, Any]) -> str:
    """`text` with {{name}} replaced by the value; lists as "0, 1, 2"."""
    for name, value in words.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        text = text.replace("{{" + name + "}}", shown)
    return text


def _provenance_cells(page: Page, values: dict[str, Any]) -> list[NotebookNode]:
    call = (
        f"from helpers.pages.box import show_box\n\nshow_box({page.notebook!r}, {values!r}, {code_of(page.source)!r})"
    )
    code = nbformat.v4.new_code_cell(call, metadata={"tags": ["remove-input"]})
    return [nbformat.v4.new_markdown_cell("## Provenance"), code]


def finish(notebook: NotebookNode, page: Page, depends: Depends, seconds: float) -> None:
    """Measured times into the text; nothing random left in the file; the hash of all it depended on when it started."""
    asked = _asked_records(notebook)
    words = sum(len(cell.source.split()) for cell in notebook.cells)
    times = {"reading": minutes(words / WORDS_A_MINUTE), "running": f"{max(1, round(seconds))} s"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = fill(cell.source, times)
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["injected-parameters", "hide-input"]
    fill_values(notebook)
    plain_ids(notebook)
    notebook.metadata.pop("papermill", None)
    notebook.metadata[LABEL] = {
        "page": page.name,
        "notebook": page.notebook,
        "depends": depends.hash_with(asked),
        "records": asked,
        "seconds": round(seconds, 1),
        "reading": times["reading"],
    }


def minutes(number: float) -> str:
    """ "1 minute", "7 minutes"; never less than one."""
    whole = max(1, round(number))
    return f"{whole} minute{'s' * (whole > 1)}"


def _asked_records(notebook: NotebookNode) -> list[str]:
    """The names of the records that the page looked for, which its box left in the metadata of its output."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    labels = [output.get("metadata", {}).get(LABEL, {}) for output in outputs]
    return sorted({name for label in labels for name in label.get("records", [])})


def is_fresh(page: Page, tier: str = "published") -> bool:
    """Whether the executed page is there, whole, and made from what is here now."""
    path = places.PAGES / f"{page.name}.ipynb"
    try:
        known = json.loads(path.read_text())["metadata"][LABEL]
        depends, asked = known["depends"], known["records"]
    except (OSError, ValueError, KeyError):
        return False
    return depends == depends_on(page, tier).hash_with(asked)


def run_pages(pages: Iterable[Page], tier: str, jobs: int = 2) -> list[Page]:
    """Run every page that is not fresh, some at a time, with a bar; returns those that ran."""
    stale = [page for page in pages if not is_fresh(page, tier)]
    work = (delayed(run_page)(page, tier) for page in stale)
    runs = Parallel(n_jobs=jobs, return_as="generator_unordered")(work)
    for _ in tqdm(runs, total=len(stale), desc="running notebooks", unit="page", disable=not stale):
        pass
    return stale


def unfinished(notebook: NotebookNode) -> str | None:
    """The first code cell that never ran or ended in an error, in words; None if all is well."""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            return f"cell {position} never ran"
        if any(output.output_type == "error" for output in cell.outputs):
            return f"cell {position} ended in an error"
    return None


def check_pages(pages: Iterable[Page], tier: str) -> None:
    """No page without outputs, no error output, no stale page: what Sphinx does not see."""
    for page in pages:
        path = places.PAGES / f"{page.name}.ipynb"
        problem = unfinished(nbformat.read(path, as_version=4)) if path.exists() else "it was never run"
        if problem or not is_fresh(page, tier):
            raise BadInput(f"page {page.name} cannot be published: {problem or 'it is older than its sources'}")
