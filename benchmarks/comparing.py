"""How far is `compare` from its floor? Two ResNet-50 on images of 224 × 224 pixels, all default layers.

python -m benchmarks.comparing              # 1000 images, half an hour of one core; writes comparing.json
python -m benchmarks.comparing --images 64  # without the widest layers: some minutes; writes nothing

The floor is what cannot be left out: both networks' forward pass in float32, and for every layer one BLAS syrk of the
joint float64 matrix of both. `compare` also copies, counts and hashes the images, adds up means, looks for single
samples that hold all the power, matches every layer and diagnoses it. The time without matching is given apart: it does
not grow with the images.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torchvision import models

from benchmarks import machine
from benchmarks.recording import forward_pass, product_seconds, seconds
from helpers import Comparison, compare
from helpers.files import ROOT, atomic
from helpers.studies import comparison

FILE = ROOT / "results" / "benchmarks" / "comparing.json"
BATCH = 16
IMAGES = 1000  # the widest maps, of 2048 neurons and 49 positions, need 418; those of 1024 and 196 need 53
GOAL = 1.6


def two_networks(name: str = "resnet50") -> list[nn.Module]:
    """Untrained networks that differ in their seeds."""
    nets = []
    for seed in (0, 1):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            nets.append(models.get_model(name, weights=None).eval())
    return nets


def batches_of(images: int, size: int, pixels: int) -> list[torch.Tensor]:
    """Batches of random images."""
    generator = torch.Generator().manual_seed(0)
    return list(torch.randn(images, 3, pixels, pixels, generator=generator).split(size))


def product_floor(comparison: Comparison) -> float:
    """CPU seconds of one symmetric product of both networks' neurons per layer."""
    layers = comparison.tables["layers"]
    sizes = zip(layers["neurons_a"] + layers["neurons_b"], layers["samples"], strict=True)
    return sum(product_seconds(int(neurons), int(samples)) for neurons, samples in sizes)


@contextmanager
def timed(module: Any, name: str) -> Iterator[list[float]]:
    """While open, the CPU seconds of each call of a function of a module are added to the list."""
    function, spent = getattr(module, name), []

    def timing(*args: Any, **options: Any) -> Any:
        start = time.process_time()
        try:
            return function(*args, **options)
        finally:
            spent.append(time.process_time() - start)

    setattr(module, name, timing)
    try:
        yield spent
    finally:
        setattr(module, name, function)


def measured(networks: Sequence[nn.Module], batches: Sequence[torch.Tensor]) -> dict[str, Any]:
    """The floor and `compare`, in CPU seconds, and what the process held in memory before and at most."""
    forward_pass(networks, batches[:1])
    forward, before = seconds(lambda: forward_pass(networks, batches)), comparison.peak_memory()
    with timed(comparison, "_matched") as matching:
        start = time.process_time()
        result = compare(*networks, batches, progress=False)
        whole = time.process_time() - start
    syrk = product_floor(result)
    one_pass = whole - sum(matching)
    return {
        "images": result.images,
        "pixels": batches[0].shape[-1],
        "layers": len(result.tables["layers"]),
        "layers with too few images": len(result.left_out),
        "two forward passes": forward,
        "one syrk per layer": syrk,
        "floor": forward + syrk,
        "compare": whole,
        "of it matching": whole - one_pass,
        "compare / floor": whole / (forward + syrk),
        "without matching / floor": one_pass / (forward + syrk),
        "goal": GOAL,
        "GiB before": before,
        "GiB at most": result.peak_memory_gib,
    }


def recorded() -> dict[str, Any]:
    """The row of the last full run."""
    return json.loads(FILE.read_text(encoding="utf-8"))["rows"][0]


@click.command()
@click.option("--images", default=IMAGES, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--network", default="resnet50", show_default=True, help="A classifier of torchvision.")
@click.option("--pixels", default=224, show_default=True, type=click.IntRange(32), help="Of a side of an image.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where to write; the full run's default is {FILE.name}.")
def main(images: int, network: str, pixels: int, out: Path | None) -> None:
    """Time `compare` against its floor, in CPU seconds of one thread.

    Example: python -m benchmarks.comparing --images 40
    """
    torch.set_num_threads(1)
    with threadpool_limits(1):
        row = measured(two_networks(network), batches_of(images, BATCH, pixels))
    table = {"networks": f"two {network}"} | row
    click.echo(pd.Series(table).to_string(float_format=lambda value: f"{value:.3g}"))
    if out or (images, network, pixels) == (IMAGES, "resnet50", 224):
        with atomic(out or FILE) as temporary:
            record = {"machine": machine.describe(), "rows": [table]}
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
