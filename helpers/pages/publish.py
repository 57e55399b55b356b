"""The grid → papermill → Jupyter Book: every computed page executed, fresh, whole, or the build fails and says where.

`book/grid.yml` says which notebook runs with which parameters to make which page. Runs, the table of contents and the
tests follow from it. An executed page carries a hash of all that it depends on; a page is run again when that changes.
"""

import ast
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import distribution, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import pandas as pd
import papermill
import psutil
import yaml
from joblib import Parallel, delayed
from jupyter_client import AsyncKernelManager
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from .. import studies
from ..errors import BadInput, unknown
from ..files import ROOT, atomic, sha256
from . import figures

BOOK, NOTEBOOKS, PAGES, BUILD = (ROOT / name for name in ("book", "notebooks", "book/pages", "_build"))
TIERS = ("published", "smoke")
START_SECONDS = 600  # a kernel that imports torch on a busy machine takes its time
WARNINGS_SHOWN = 25
WORDS_A_MINUTE = 180  # for text with formulas
MANY_STUDIES = 8  # more make the box at the end of a page longer than the page
WATCHED = (
    "helpers/**/*.py",
    "benchmarks/*.py",
    "book/assets/*",
    "book/claims.yml",
    "results/*/provenance.json",
    "results/benchmarks/*",
)
KERNEL = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
MATHJAX = ("tex-mml-chtml.js", "output/chtml/fonts/woff-v2")


class LocalKernel(AsyncKernelManager):
    """A kernel spoken to through files, not ports: nobody else can listen, and no port is taken twice."""

    def __init__(self, **options: Any) -> None:
        self.sockets = tempfile.TemporaryDirectory()  # its own: two kernels in one folder would share their files
        super().__init__(**options | {"transport": "ipc", "ip": f"{self.sockets.name}/kernel"})

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options: Any) -> None:
        """Without the kernel's log: a cell's error comes as a message; the log only says that it was told to stop."""
        await super()._async_launch_kernel(kernel_cmd, **options | {"stderr": subprocess.DEVNULL})


@dataclass(frozen=True)
class Page:
    """One line of the grid: a computed page, or (without a notebook) a page of prose."""

    name: str
    notebook: str | None = None
    title: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    smoke: dict[str, Any] = field(default_factory=dict)
    depends: tuple[str, ...] = ()

    def values(self, tier: str) -> dict[str, Any]:
        """The parameters of a tier: smoke ones replace published ones."""
        return self.parameters | (self.smoke if tier == "smoke" else {})

    @property
    def source(self) -> Path:
        """The text half of the notebook."""
        return NOTEBOOKS / f"{self.notebook}.py"

    @property
    def document(self) -> str:
        """What the table of contents calls it."""
        return f"book/{'pages/' if self.notebook else ''}{self.name}"


@dataclass(frozen=True)
class Part:
    """Some pages under one caption."""

    caption: str
    pages: tuple[Page, ...]
    numbered: bool = False


# ---------------------------------------------------------------- the grid


def grid(path: Path = BOOK / "grid.yml") -> list[Part]:
    """The parts of the book in reading order; the first page of the first part is its front page.

    Raises BadInput for an unknown key, a page named twice, or a notebook or prose page that is not there.
    """
    parts = [
        Part(part["caption"], tuple(_page(entry, path) for entry in part["pages"]), part.get("numbered", False))
        for part in yaml.safe_load(path.read_text())
    ]
    names = [page.name for part in parts for page in part.pages]
    for name in names:
        if names.count(name) > 1:
            raise BadInput(f"{path.name}: page '{name}' is there twice; give each page its own name")
    return parts


def _page(entry: dict[str, Any], path: Path) -> Page:
    known = ("page", "prose", "notebook", "title", "parameters", "smoke", "depends")
    for key in entry:
        if key not in known:
            raise unknown(f"key in {path.name}", key, known)
    name = str(entry.get("page") or entry.get("prose") or entry.get("notebook"))
    rest = {key: entry[key] for key in ("notebook", "title", "parameters", "smoke") if key in entry}
    page = Page(name, **rest, depends=tuple(entry.get("depends", ())))
    source = page.source if page.notebook else BOOK / f"{name}.md"
    if not source.exists():
        raise BadInput(f"{path.name}: page '{name}' needs {source.relative_to(ROOT)}, which is not there")
    return page


def computed_pages(parts: Iterable[Part] | None = None) -> list[Page]:
    """The pages that notebooks make, in reading order."""
    return [page for part in (grid() if parts is None else parts) for page in part.pages if page.notebook]


def table_of_contents(parts: list[Part] | None = None) -> str:
    """The text of `_toc.yml`."""
    parts = grid() if parts is None else parts
    front = parts[0].pages[0]
    chapters = [(part, [page for page in part.pages if page is not front]) for part in parts]
    content = [
        {"caption": part.caption}
        | ({"numbered": True} if part.numbered else {})
        | {"chapters": [{"file": page.document} for page in pages]}
        for part, pages in chapters
    ]
    toc = {"format": "jb-book", "root": front.document, "parts": content}
    return "# Made from book/grid.yml by `make pairs`.\n" + yaml.safe_dump(toc, sort_keys=False, allow_unicode=True)


def write_pairs() -> list[Path]:
    """Bring every pair in notebooks/ and the table of contents in line with their sources; returns what changed."""
    changed = [path for source in sorted(NOTEBOOKS.glob("*.py")) for path in _pair(source)]
    return changed + _write_if_new(ROOT / "_toc.yml", table_of_contents())


def _pair(source: Path) -> list[Path]:
    """The ipynb half without outputs, then the text half as jupytext writes it."""
    notebook = pair_notebook(source)
    _plain_ids(notebook)
    halves = {source.with_suffix(".ipynb"): nbformat.writes(notebook).rstrip() + "\n"}
    halves[source] = jupytext.writes(notebook, fmt="py:percent")
    return [path for half, text in halves.items() for path in _write_if_new(half, text)]


def pair_notebook(source: Path) -> NotebookNode:
    """The notebook a text half describes, with the project's jupytext settings and without outputs."""
    config = jupytext.config.load_jupytext_config(str(source))
    notebook = jupytext.read(source, config=config)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return notebook


def _plain_ids(notebook: NotebookNode) -> None:
    """Cell ids by position: random ones would change at every run."""
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:03d}"


def _write_if_new(path: Path, text: str) -> list[Path]:
    if path.exists() and path.read_text() == text:
        return []
    with atomic(path) as temporary:
        temporary.write_text(text)
    return [path]


# ---------------------------------------------------------------- one page


def run_page(page: Page, tier: str = "published", place: Path | None = None) -> Path:
    """Execute a page's notebook with its parameters; the executed page appears only when every cell has run.

    Raises BadInput for an unknown parameter, and for a cell that fails: it names notebook, cell and error.
    """
    target = place or PAGES / f"{page.name}.ipynb"
    values = page.values(tier)
    check_parameters(page, values)
    notebook = prepared(page, values)
    depends = dependency_hash(page, tier)  # before it runs: what is edited meanwhile makes the page stale
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
    options = {"kernel_name": "python3", "cwd": str(ROOT), "kernel_manager_class": LocalKernel}
    quiet_and_patient = {"progress_bar": False, "start_timeout": START_SECONDS}
    try:
        return papermill.execute_notebook(notebook, str(scratch), parameters=values, **options, **quiet_and_patient)
    except PapermillExecutionError as error:
        line = error.source.strip().splitlines()[0]
        raise BadInput(
            f"{page.source.relative_to(ROOT)} (page {page.name}) failed in cell {error.cell_index} "
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
            return {
                target.id: ast.literal_eval(statement.value)
                for statement in statements
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name)
            }
    return {}


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
    call = f"from helpers.pages.publish import provenance\n\nprovenance({page.notebook!r}, {values!r})"
    code = nbformat.v4.new_code_cell(call, metadata={"tags": ["remove-input"]})
    return [nbformat.v4.new_markdown_cell("## Provenance"), code]


def finish(notebook: NotebookNode, page: Page, depends: str, seconds: float) -> None:
    """Measured times into the text; nothing random left in the file; the hash of all it depended on when it started."""
    words = sum(len(cell.source.split()) for cell in notebook.cells)
    times = {"reading": minutes(words / WORDS_A_MINUTE), "running": f"{max(1, round(seconds))} s"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = fill(cell.source, times)
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["injected-parameters", "hide-input"]
    _plain_ids(notebook)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["samerep"] = {
        "page": page.name,
        "notebook": page.notebook,
        "depends": depends,
        "seconds": round(seconds, 1),
        "reading": times["reading"],
    }


def minutes(number: float) -> str:
    """ "1 minute", "7 minutes"; never less than one."""
    whole = max(1, round(number))
    return f"{whole} minute{'s' * (whole > 1)}"


@cache
def _watched_hash(patterns: tuple[str, ...]) -> str:
    paths = sorted({path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()})
    text = "".join(f"{path.relative_to(ROOT)} {sha256(path)}\n" for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


def dependency_hash(page: Page, tier: str = "published") -> str:
    """Hash of what an executed page depends on: notebook, parameters, title, code, records, versions."""
    watched = _watched_hash((*WATCHED, "requirements.lock", *page.depends))
    text = json.dumps([page.source.read_text(), page.title, page.name, page.values(tier), tier, watched], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def is_fresh(page: Page, tier: str = "published") -> bool:
    """Whether the executed page is there, whole, and made from what is here now."""
    path = PAGES / f"{page.name}.ipynb"
    try:
        known = json.loads(path.read_text())["metadata"]["samerep"]["depends"]
    except (OSError, ValueError, KeyError):
        return False
    return known == dependency_hash(page, tier)


def provenance(notebook: str, parameters: dict[str, Any]) -> None:
    """The box at the end of a page: parameters, records read, data, code, libraries, device, time so far."""
    seconds = time.time() - psutil.Process().create_time()
    rows: list[tuple[str, str]] = [
        ("Notebook", f"notebooks/{notebook}.py"),
        ("Parameters", ", ".join(f"{k} = {v!r}" for k, v in parameters.items()) or "the notebook's own"),
        *_studies_used(),
        ("Code", f"{studies.SEEDS.code} (hash of the modules a study passes through), commit {studies.commit()}"),
        ("Libraries", ", ".join(f"{name} {version(name)}" for name in studies.LIBRARIES)),
        ("Machine", f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors"),
        ("Wall time of this page", f"{seconds:.0f} s"),
    ]
    figures.display(figures.table(pd.DataFrame(rows, columns=["what", "value"]), label="Provenance"))


def _studies_used() -> Iterator[tuple[str, str]]:
    """A row for each record that was opened; on pages that open very many, one row for all."""
    if len(studies.OPENED) > MANY_STUDIES:
        where = 'The page "How the numbers were made" has data, code and accuracies of each'
        yield f"{len(studies.OPENED)} studies", f"{', '.join(sorted(studies.OPENED))}. {where}"
        return
    for name, known in studies.OPENED.items():
        accuracies = ", ".join(f"{c['accuracy']:.2%}" for c in known.get("checkpoints", []))
        data = known.get("data_sha256", "")[:12]
        how = f"data {data}…, commit {known.get('commit', 'unknown')}, {known.get('seconds', 0):.0f} s"
        yield f"Study {name}", how + (f"; test accuracies {accuracies}" if accuracies else "")


# ---------------------------------------------------------------- the book


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
        path = PAGES / f"{page.name}.ipynb"
        problem = unfinished(nbformat.read(path, as_version=4)) if path.exists() else "it was never run"
        if problem or not is_fresh(page, tier):
            raise BadInput(f"page {page.name} cannot be published: {problem or 'it is older than its sources'}")


def stage_vendor() -> Path:
    """Scripts and fonts of others, copied out of the installed packages: the repository holds only our own."""
    vendor = BUILD / "vendor"
    shutil.rmtree(vendor, ignore_errors=True)
    (vendor / "mathjax").mkdir(parents=True)
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    shutil.copy(Path(spec.origin).parent / "package_data" / "plotly.min.js", vendor)
    for name in MATHJAX:
        source, target = mathjax_root() / name, vendor / "mathjax" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return vendor


def mathjax_root() -> Path:
    """Where the package sphinx-mathjax-offline keeps MathJax."""
    files = distribution("sphinx-mathjax-offline").files or []
    found = next(file for file in files if file.name == "tex-mml-chtml.js")
    return Path(str(found.locate())).parent


def build_book(tier: str = "published", jobs: int = 2) -> Path:
    """Run what is stale, build the HTML strictly, and move it into place; returns its front page.

    A second call with nothing changed returns at once. Raises BadInput when a notebook fails or Sphinx warns.
    """
    if tier not in TIERS:
        raise unknown("tier", tier, TIERS)
    parts = grid()
    pages = computed_pages(parts)
    _write_if_new(ROOT / "_toc.yml", table_of_contents(parts))
    run_pages(pages, tier, jobs)
    check_pages(pages, tier)
    stamp, html = book_hash(pages), BUILD / "html"
    if not ((html / ".stamp").exists() and (html / ".stamp").read_text() == stamp):
        build_html(html, stamp)
    return html / "index.html"


def book_hash(pages: Iterable[Page]) -> str:
    """Hash of everything the HTML is made from."""
    own = [path for pattern in ("*.md", "*.bib", "assets/*", "*.py") for path in BOOK.glob(pattern)]
    executed = [PAGES / f"{page.name}.ipynb" for page in pages]
    paths = sorted([*own, *executed, *(ROOT / name for name in ("_config.yml", "_toc.yml"))])
    return hashlib.sha256("".join(sha256(path) for path in paths).encode()).hexdigest()


def build_html(html: Path, stamp: str) -> None:
    """Jupyter Book from scratch, every warning an error; the old book stays until the new one is whole."""
    stage_vendor()
    work = BUILD / "work"
    shutil.rmtree(work, ignore_errors=True)
    options = ["-W", "-n", "--keep-going", "--all", "--path-output", str(work)]
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(ROOT), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if "WARNING" in line or "ERROR" in line]
        shown = (lines or (done.stdout + done.stderr).splitlines())[-WARNINGS_SHOWN:]
        raise BadInput(f"the book did not build ({len(lines)} warnings):\n" + "\n".join(shown))
    built = work / "_build" / "html"
    (built / ".stamp").write_text(stamp)
    shutil.rmtree(html, ignore_errors=True)
    built.rename(html)
    shutil.rmtree(work)
