"""Execute the notebook of one page with its parameters, whole or not at all; and say whether a page is fresh."""

import ast
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait
from itertools import repeat
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client import AsyncKernelManager
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from ..errors import BadInput, first_words
from ..files import atomic, scratch_name, sweep
from ..networks import datasets, training, weights
from ..parameters import check_choice, check_parameter
from ..processes import end_children, ending_with_us, held
from ..studies.records import results_root
from . import places
from .dependencies import Depends, code_of, depends_on
from .filled import fill, fill_nested, fill_values
from .grid import Page, notebook_names
from .pairs import pair_notebook, plain_ids
from .places import LABEL
from .teaching.pages import in_minutes, reading_minutes

COMPUTED: Any = object()  # in place of a default that is not written out
START_SECONDS = 600  # a kernel that imports torch on a busy machine starts slowly
SOCKET_PATH = 40  # characters of a temporary folder that leave room for the names of folder and socket
LOGS = ("papermill", "asyncio")  # of a kernel: what matters in them comes as an error, too
KERNEL = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(places.ROOT), "PYTHONHASHSEED": "0"}


class LocalKernel(AsyncKernelManager):
    """A kernel that communicates through files, not ports. Nobody else can listen, and no two kernels share a port.

    On Windows, which has no such files, it uses ports. The kernel ends with this process.
    """

    page, home = "", str(places.ROOT)

    def __init__(self, **options: Any) -> None:
        self.sockets = own_temporary()  # its own: two kernels in one folder would share their files
        if sys.platform != "win32":
            options |= {"transport": "ipc", "ip": f"{self.sockets.name}/kernel"}
        super().__init__(**options)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """In the notebook's folder, with an environment of its own: kernels of several pages start from one process.

        Without the kernel's log: a cell's error comes as a message; the log only says that it was told to stop.
        """
        environment = os.environ | options.get("env", {}) | KERNEL | {"SAMEREP_PAGE": self.page}
        own = {"stderr": subprocess.DEVNULL, "cwd": self.home, "env": environment}
        await super()._async_launch_kernel(kernel_cmd, **options | own | ending_with_us())

    async def _async_cleanup_resources(self, restart: bool = False) -> None:
        """The sockets go with the kernel, not when this object happens to be collected."""
        await super()._async_cleanup_resources(restart=restart)
        if not restart:
            self.sockets.cleanup()


def own_temporary() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder whose name says which process made it. If the process is killed, the folder can be swept."""
    return tempfile.TemporaryDirectory(prefix=scratch_name(Path("page"), "new").name, dir=_short_place())


def _short_place() -> str:
    """The folder of sockets. A socket's path has at most 107 characters, and a cluster's TMPDIR can be longer."""
    place = tempfile.gettempdir()
    return "/tmp" if sys.platform != "win32" and len(place) > SOCKET_PATH else place


def run_page(page: Page, tier: str = "published", place: Path | None = None) -> Path:
    """Execute a page's notebook with its parameters. The executed page is written only when every cell has run.

    Raises `BadInput` for an unknown parameter, and for a cell that fails, with the notebook, the cell and the error.
    """
    target = place or places.PAGES / f"{page.name}.ipynb"
    values = page.values(tier)
    if page.file is None:
        check_choice("notebook", page.notebook, notebook_names())
    check_parameters(page, values)
    with held(target, "running the page"):
        sweep(target.parent, Path(_short_place()))
        return _run_page(page, tier, values, target)


def _run_page(page: Page, tier: str, values: dict[str, Any], target: Path) -> Path:
    notebook = prepared(page, values)
    depends = depends_on(page, tier)  # before it runs: an edit during the run makes the page stale
    start = time.perf_counter()
    with own_temporary() as scratch:  # papermill writes while it runs: not where Sphinx looks
        executed = _execute(notebook, Path(scratch) / "page.ipynb", page, values)
    finish(executed, page, depends, time.perf_counter() - start)
    with atomic(target) as temporary:
        temporary.write_text(sealed(executed), encoding="utf-8")
    return target


def _execute(notebook: NotebookNode, scratch: Path, page: Page, values: dict[str, Any]) -> NotebookNode:
    kernel = type("PageKernel", (LocalKernel,), {"page": page.name, "home": str(page.home)})
    options = {"kernel_name": "python3", "kernel_manager_class": kernel}
    quiet_and_patient = {"progress_bar": False, "start_timeout": START_SECONDS}
    for name in LOGS:  # until this process ends: tasks that a signal has cut off are told when they are collected
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        return papermill.execute_notebook(
            notebook, str(scratch), parameters=as_lists(values), **options, **quiet_and_patient
        )
    except PapermillExecutionError as error:
        line = error.source.strip().splitlines()[0]
        raise BadInput(
            f"{page.label} (page {page.name}) failed in cell {error.cell_index} "
            f"(`{line}`) with {error.ename}: {error.evalue}"
        ) from None
    except RuntimeError as error:  # nbclient's DeadKernelError, and jupyter_client's for one that did not start
        what = f"{page.label} (page {page.name}) failed: its Python process ended"
        raise BadInput(f"{what} ({first_words(error)}); expected enough memory, and no exit in a cell") from error


def as_lists(value: Any) -> Any:
    """Tuples as lists, at any depth: papermill would hand a tuple over as text."""
    if isinstance(value, dict):
        return {key: as_lists(entry) for key, entry in value.items()}
    return [as_lists(entry) for entry in value] if isinstance(value, list | tuple) else value


def parameters_of(page: Page) -> dict[str, Any]:
    """Names and default values in the notebook's parameters cell; empty if there is no such cell.

    Raises `BadInput` if that cell is no Python, or assigns what cannot be assigned.
    """
    for cell in pair_notebook(page.source).cells:
        if "parameters" in cell.metadata.get("tags", []):
            try:
                statements = ast.parse(cell.source).body
                return dict(pair for statement in statements for pair in assigned(statement))
            except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
                raise BadInput(f"{page.label}: its parameters cannot be read: {first_words(error)}") from error
    return {}


def assigned(statement: ast.stmt) -> list[tuple[str, Any]]:
    """Names and values of `a = 1`, `a: int = 1` and `a, b = 1, 2`; a value that has to be computed is `COMPUTED`."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        return []
    pairs: list[tuple[str, Any]] = []
    try:
        value = ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        value = COMPUTED
    for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
        if isinstance(target, ast.Name):
            pairs.append((target.id, value))
        elif isinstance(target, ast.Tuple | ast.List):
            parts = zip(target.elts, repeat(value) if value is COMPUTED else value, strict=value is not COMPUTED)
            pairs += [(name.id, part) for name, part in parts if isinstance(name, ast.Name)]
    return pairs


def check_parameters(page: Page, values: dict[str, Any]) -> None:
    """Raise `BadInput`, before any cell runs, for a parameter that the notebook lacks or a value that does not fit."""
    known = parameters_of(page)
    for name, value in values.items():
        check_choice(f"parameter of {page.notebook}", name, known)
        if page.file is not None:
            continue  # a reader's own notebook knows what its parameters can be
        check_parameter(name, value, known[name])
        if name in (valid := valid_names()) and value is not None:
            check_choice(name, value, valid[name])


def valid_names() -> dict[str, list[str]]:
    """The names that a notebook's parameter of this name can take."""
    models = weights.architecture_names()
    return {
        **dict.fromkeys(("network", "beside", "architecture"), models),
        "dataset": list(datasets.NAMES),
        "recipe": list(training.RECIPES),
        "statistics": list(datasets.STATISTICS),
        "study": [path.parent.name for path in results_root().glob("[!.]*/provenance.json")],
    }


def prepared(page: Page, values: dict[str, Any]) -> NotebookNode:
    """The notebook of a page before it runs, with placeholders filled in and the provenance appended."""
    notebook = pair_notebook(page.source)
    words = {"page": page.name, "title": page.title or ""} | parameters_of(page) | values
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = fill(cell.source, words)
        else:
            cell.metadata = nbformat.from_dict(fill_nested(cell.metadata, words))
        if "parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell" if values else "hide-input"]
    notebook.cells += _provenance_cells(page, values)
    return notebook


def _provenance_cells(page: Page, values: dict[str, Any]) -> list[NotebookNode]:
    call = f"from helpers.pages.box import show_box\n\nshow_box({page.label!r}, {values!r}, {code_of(page.source)!r})"
    code = nbformat.v4.new_code_cell(call, metadata={"tags": ["remove-input"]})
    return [nbformat.v4.new_markdown_cell("## Provenance"), code]


def finish(notebook: NotebookNode, page: Page, depends: Depends, seconds: float) -> None:
    """Write measured times into the text, remove everything random, and store the hash of what the page depended on."""
    asked = _asked_records(notebook)
    reading = in_minutes(reading_minutes(pair_notebook(page.source)))
    times = {"reading": reading, "running": f"{max(1, round(seconds))} s"}
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
        "reading": reading,
    }


def sealed(notebook: NotebookNode) -> str:
    """The text of an executed page, with the hash of its content in its metadata."""
    notebook.metadata[LABEL]["sha256"] = content_hash(json.loads(nbformat.writes(notebook)))
    return nbformat.writes(notebook) + "\n"


def content_hash(page: dict[str, Any]) -> str:
    """The hash of all that an executed page holds, but for the entry with this hash."""
    label = {name: value for name, value in page["metadata"][LABEL].items() if name != "sha256"}
    content = page | {"metadata": page["metadata"] | {LABEL: label}}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _asked_records(notebook: NotebookNode) -> list[str]:
    """The names of the records that the page looked for. Its box left them in the metadata of its output."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    labels = [output.get("metadata", {}).get(LABEL, {}) for output in outputs]
    return sorted({name for label in labels for name in label.get("records", [])})


def is_fresh(page: Page, tier: str = "published") -> bool:
    """Whether the executed page exists, is as it was written, and was made from the present sources."""
    path = places.PAGES / f"{page.name}.ipynb"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known = content["metadata"][LABEL]
        whole = known["sha256"] == content_hash(content)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False  # missing, damaged, of an older version, or something else
    return whole and known["depends"] == depends_on(page, tier).hash_with(known["records"])


def run_pages(pages: Iterable[Page], tier: str, jobs: int = 2) -> list[Page]:
    """Run every page that is not fresh, some at a time, with a progress bar. Returns the pages that ran."""
    stale = [page for page in pages if not is_fresh(page, tier)]
    pool = ThreadPoolExecutor(jobs)  # the work is done in kernels; these threads wait for them
    runs = [pool.submit(run_page, page, tier) for page in stale]
    try:
        bar = tqdm(as_completed(runs), total=len(stale), desc="running notebooks", unit="page", disable=not stale)
        for run in bar:
            run.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        while any(run.running() for run in runs):  # a thread may just have started another kernel
            end_children()
            wait(runs, timeout=1, return_when=FIRST_COMPLETED)
        raise
    pool.shutdown()
    return stale


def unfinished(notebook: NotebookNode) -> str | None:
    """In words: the first code cell that never ran or ended in an error; None if there is none."""
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        if cell.execution_count is None:
            return f"cell {position} never ran"
        if any(output.output_type == "error" for output in cell.outputs):
            return f"cell {position} ended in an error"
    return None


def check_pages(pages: Iterable[Page], tier: str) -> None:
    """Raise `BadInput` for a page without outputs, with an error, or older than its sources.

    Sphinx does not notice these.
    """
    for page in pages:
        path = places.PAGES / f"{page.name}.ipynb"
        problem = unfinished(nbformat.read(path, as_version=4)) if path.exists() else "it was never run"
        if problem or not is_fresh(page, tier):
            reason = problem or "it is older than its sources, or was changed"
            raise BadInput(f"page {page.name} cannot be published: {reason}")
