"""How time and memory grow: with the pages of a book, the images of a comparison, and the seeds of a study.

python -m benchmarks.growth          # some minutes; prints a table
python -m benchmarks.growth --quick  # small numbers
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

import click
import pandas as pd
import psutil

from helpers.errors import BadInput
from helpers.files import ROOT

SECONDS = 0.2  # between two looks at the memory
PAGES = """
from helpers.pages import places, running
from helpers.pages.grid import Page
(root / "notebooks").mkdir()
(root / "notebooks" / "tiny.py").write_text("# %%\\nimport helpers.studies\\n1 + 1\\n")
(root / "requirements.lock").touch()
places.NOTEBOOKS, places.PAGES, places.ROOT = root / "notebooks", root / "pages", root
start = os.times()
running.run_pages([Page(f"tiny-{k}", "tiny") for k in range(number)], "published", 2)
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
    "pages": (PAGES, (10, 20, 40), (2, 4, 8)),
    "images": (IMAGES, (500, 1000, 2000), (200, 800)),
    "seeds": (SEEDS, (2, 5, 10), (2, 4)),
}
HEAD = "import os, sys\nfrom pathlib import Path\nroot, number = Path(sys.argv[1]), int(sys.argv[2])\n"
TAIL = "print(sum(os.times()[:4]) - sum(start[:4]))\n"  # of this process, and of those that it waited for


def grown(code: str, number: int) -> tuple[float, float]:
    """CPU seconds of the code after its preparation, and the most memory (GiB) of its process and all it started."""
    with tempfile.TemporaryDirectory() as root:
        names = ("SAMEREP_RUNS", "SAMEREP_CACHE", "SAMEREP_RESULTS")
        environment = os.environ | dict.fromkeys(names, root) | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", HEAD + code + TAIL, root, str(number)]
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        most = 0.0
        while running.poll() is None:
            most = max(most, memory(running.pid))
            time.sleep(SECONDS)
        said, complaint = running.communicate()
    if running.returncode:
        raise BadInput(f"it failed: {complaint.strip().splitlines()[-1]}")
    return float(said), most / 2**30


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


def table(quick: bool = False) -> pd.DataFrame:
    """One row per kind and number: CPU seconds, those of each, and the most memory in GiB."""
    rows = []
    for kind, (code, numbers, few) in KINDS.items():
        for number in few if quick else numbers:
            seconds, most = grown(code, number)
            rows.append({"what": kind, "number": number, "seconds": seconds, "each": seconds / number, "GiB": most})
            click.echo(f"{kind} {number}: {seconds:.1f} CPU seconds, {most:.2f} GiB", err=True)
    return pd.DataFrame(rows)


@click.command()
@click.option("--quick", is_flag=True, help="Small numbers.")
def main(quick: bool) -> None:
    """Print the table."""
    click.echo(table(quick).to_string(index=False, float_format="%.2f"))


if __name__ == "__main__":
    main()
