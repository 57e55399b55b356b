"""How time and memory grow: with the pages of a book, the images of a comparison, and the seeds of a study.

python -m benchmarks.growth              # up to an hour of one core; writes growth.json
python -m benchmarks.growth --quick      # small numbers, minutes
python -m benchmarks.growth --what seeds # one part of the table, which takes the place of that part in growth.json
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import psutil

from benchmarks import machine
from helpers.errors import BadInput
from helpers.files import ROOT, atomic

FILE = ROOT / "results" / "benchmarks" / "growth.json"
SECONDS = 0.2  # between two looks at the memory
NOTEBOOK = """# %% [markdown]
# # {{title}}
#
# One page of many: digits of one kind beside digits of another, matched.

# %% tags=["parameters"]
kind = 0

# %%
from helpers import matching
from helpers.networks.datasets import load_dataset
from helpers.pages import figures

digits = load_dataset("digits", "test")
rows = digits.images.reshape(len(digits.images), -1).T[300:700].astype(float)
alive = rows[rows.std(1) > 20][:: 4]
x, y = alive[:20], alive[20 + kind % 5 : 40 + kind % 5]

# %%
import pandas as pd

critical = pd.DataFrame({"critical": matching.critical_epsilons(x, y)[0]})
figures.table(critical.describe())
"""
PAGES = """
import shutil, yaml
for name in ("helpers", "book", "_config.yml", "pyproject.toml", "requirements.lock"):
    source = Path(name)
    (shutil.copytree if source.is_dir() else shutil.copy)(source, root / name)
shutil.rmtree(root / "book" / "pages", ignore_errors=True)
names = [f"tiny-{k}" for k in range(number)]
pages = [{"notebook": "tiny", "page": name, "title": name, "parameters": {"kind": k}} for k, name in enumerate(names)]
(root / "book" / "grid.yml").write_text(yaml.safe_dump([{"caption": "All", "pages": pages}]))
(root / "notebooks").mkdir()
(root / "notebooks" / "tiny.py").write_text(NOTEBOOK)
sys.path.insert(0, str(root))
from helpers.pages import publish
start = os.times()
publish.build_book("published", 2)
"""
IMAGES = """
import torch
from torchvision import models
from helpers import compare
networks = [models.resnet18(weights=None, num_classes=classes).eval() for classes in (10, 11)]
generator = torch.Generator().manual_seed(0)
batches = (torch.randn(25, 3, 64, 64, generator=generator) for _ in range(number // 25))
start = os.times()
compare(*networks, batches, number, ["relu", "layer1.0", "layer1.1"], progress=False)
"""
SEEDS = """
from helpers.networks import training
from helpers.studies import causes, store
from helpers.studies.study import Study
study = Study(network="vgg8_bn", epochs=2, seeds=tuple(range(number)), layers=("relu1_1", "pool", "logits"))
for run in study.runs:
    training.train(run, progress=False)
start = os.times()
store.computed_now(causes.KIND, study, progress=False)
"""
KINDS = {  # what grows, the numbers, and the numbers that are quick
    "pages": (PAGES, (10, 30, 100), (2, 4)),
    "images": (IMAGES, (200, 1000, 2000), (200, 400)),
    "seeds": (SEEDS, (2, 5, 10), (2, 4)),
}
HEAD = f"import os, sys\nfrom pathlib import Path\nroot, number = Path(sys.argv[1]), int(sys.argv[2])\n{NOTEBOOK=}\n"
TAIL = "print(sum(os.times()[:4]) - sum(start[:4]))\n"  # of this process, and of those that it waited for


def grown(code: str, number: int) -> tuple[float, float]:
    """CPU seconds of the code after its preparation, and the most memory (GiB) of its process and all it started."""
    with tempfile.TemporaryDirectory() as root, tempfile.TemporaryFile("w+") as said:  # a pipe could fill up
        names = ("SAMEREP_RUNS", "SAMEREP_CACHE", "SAMEREP_RESULTS")
        environment = os.environ | dict.fromkeys(names, root) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", HEAD + code + TAIL, root, str(number)]
        running = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=said, stderr=subprocess.STDOUT)
        most = 0.0
        while running.poll() is None:
            most = max(most, memory(running.pid))
            time.sleep(SECONDS)
        said.seek(0)
        last = said.read().strip().splitlines()[-1]
    if running.returncode:
        raise BadInput(f"it failed: {last}")
    return float(last), most / 2**30


def memory(pid: int) -> float:
    """The bytes that a process and its descendants hold now."""
    with suppress(psutil.Error):
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        return sum(_held(member) for member in family)
    return 0.0


def _held(member: psutil.Process) -> float:
    with suppress(psutil.Error):
        return member.memory_info().rss
    return 0.0


def rows_of(what: str, quick: bool = False) -> list[dict[str, Any]]:
    """One row per number: CPU seconds, those of each, and the most memory in GiB."""
    code, numbers, few = KINDS[what]
    rows = []
    for number in few if quick else numbers:
        seconds, most = grown(code, number)
        count = number * (number - 1) // 2 if what == "seeds" else number
        rows.append({"what": what, "number": number, "seconds": seconds, "each": seconds / count, "GiB": most})
        click.echo(f"{what} {number}: {seconds:.1f} CPU seconds, {most:.2f} GiB", err=True)
    return rows


def powers(table: pd.DataFrame) -> dict[str, float]:
    """The power of the number with which the seconds grow from the second largest number to the largest one."""
    found = {}
    for what, part in table.groupby("what", sort=False):
        number, seconds = (np.log(part.sort_values("number")[name].to_numpy()[-2:]) for name in ("number", "seconds"))
        found[str(what)] = float(np.diff(seconds)[0] / np.diff(number)[0])
    return found


def kept(path: Path, new: pd.DataFrame) -> pd.DataFrame:
    """The table in a file with some parts replaced by new ones."""
    if not path.exists():
        return new
    old = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["rows"])
    return pd.concat([old[~old["what"].isin(new["what"])], new], ignore_index=True)


@click.command()
@click.option("--quick", is_flag=True, help="Small numbers.")
@click.option("--what", type=click.Choice(list(KINDS)), help="One part alone; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where to write; the full run's default is {FILE.name}.")
def main(quick: bool, what: str | None, out: Path | None) -> None:
    """Print the table. `each` is the time of a page, of an image, or of a pair of seeds."""
    table = pd.DataFrame([row for name in ([what] if what else KINDS) for row in rows_of(name, quick)])
    click.echo(table.to_string(index=False, float_format="%.2f"))
    if out or not quick:
        table = kept(out or FILE, table)
        record = {"machine": machine.describe(), "rows": table.to_dict("records"), "powers": powers(table)}
        with atomic(out or FILE) as temporary:
            temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
