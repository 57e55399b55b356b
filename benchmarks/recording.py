"""How far is recording from its floor? One forward pass and one symmetric float64 product against the collector.

python -m benchmarks.recording             # five full-width networks, up to 5000 images, an hour; writes recording.json
python -m benchmarks.recording --images 250 # one number of images; its rows take the place of those in recording.json
python -m benchmarks.recording --quick     # an eighth of the width: seconds

The floor is what cannot be left out: every network's forward pass in float32, and per layer one BLAS syrk of the joint
float64 matrix of all networks. The collector also copies, adds up means, checks, and collects the paper's draws. The
memory of seventeen matrices per layer is laid out once, whatever the number of images. So more images are measured,
too, without the way it was done before. A recording of all 10 000 images is nearer to the floor than these.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
import torch
from scipy.linalg.blas import dsyrk
from threadpoolctl import threadpool_limits
from torch import nn

from benchmarks import machine
from helpers.files import ROOT, atomic
from helpers.networks import architectures
from helpers.networks.accumulators import Sampling, draw_positions
from helpers.networks.activations import captured, collect, neurons
from helpers.studies.pairwise import BATCH

FILE = ROOT / "results" / "benchmarks" / "recording.json"
ALL_IMAGES = 10_000  # of which the draws take 10 000 positions: 250 images hold a fortieth of them
GOAL = 1.6
IMAGES = (250, 1000, 5000)  # the way it was done before is measured with the first number only


def networks_of(name: str, width: float, count: int = 5) -> list[nn.Module]:
    """Untrained networks that differ in their seeds."""
    return [architectures.build(name, width, seed=seed).eval() for seed in range(count)]


def images_of(count: int, size: int) -> list[torch.Tensor]:
    """Batches of random images."""
    return list(torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)).split(size))


def seconds(action: Callable[[], Any]) -> float:
    """CPU seconds of all threads."""
    start = time.process_time()
    action()
    return time.process_time() - start


def forward_pass(networks: Sequence[nn.Module], batches: Sequence[torch.Tensor]) -> None:
    """Every network on every batch, nothing kept."""
    with torch.inference_mode():
        for network in networks:
            for batch in batches:
                network(batch)


def shapes_of(networks: Sequence[nn.Module], layers: Sequence[str], image: torch.Tensor) -> list[tuple[int, int]]:
    """Per layer the neurons of all networks and the samples of one image."""
    with captured(networks[0], layers) as outputs:
        networks[0](image[:1])
        shapes = [tuple(neurons(outputs[layer]).shape) for layer in layers]
    return [(len(networks) * rows, places) for rows, places in shapes]


def product_seconds(rows: int, samples: int, chunk: int = 4096) -> float:
    """CPU seconds of one symmetric product of a joint matrix, from one chunk of it."""
    gram = np.zeros((rows, rows), order="F")
    part = np.random.default_rng(0).standard_normal((rows, min(chunk, samples)))
    return seconds(lambda: dsyrk(1.0, part.T, beta=1.0, c=gram, trans=1, overwrite_c=1)) * samples / part.shape[1]


def plainly(
    networks: Sequence[nn.Module], batch: torch.Tensor, layers: Sequence[str], sampling: Sampling | None = None
) -> dict[str, Any]:
    """The Gram matrices (and draws) as one writes them down, and as they were collected before: "before" in the table.

    All images in one batch; keep a copy of the outputs, convert, stack, multiply, and the same for each draw.
    """
    blocks: dict[str, list[torch.Tensor]] = {layer: [] for layer in layers}
    for network in networks:
        with captured(network, layers) as outputs:
            network(batch)
        for layer, output in outputs.items():
            blocks[layer].append(neurons(output).double())
    return {layer: _plain_products(layer, parts, sampling) for layer, parts in blocks.items()}


def _plain_products(layer: str, parts: Sequence[torch.Tensor], sampling: Sampling | None) -> list[np.ndarray]:
    stack = np.concatenate([part.numpy() for part in parts])
    chosen = draw_positions(stack.shape[1], sampling, layer) if sampling else []
    drawn = (np.concatenate([part[:, torch.from_numpy(here)].numpy() for part in parts]) for here in chosen)
    return [0.0 + stack @ stack.T, *(0.0 + part @ part.T for part in drawn)]


def measured(name: str, width: float, images: int, size: int, before: bool = True) -> dict[str, Any]:
    """One row: the two parts of the floor, and the collector with and without draws, in CPU seconds.

    `before` adds the lines of `plainly`, which holds all activations in memory.
    """
    networks, batches = networks_of(name, width), images_of(images, size)
    layers = [layer.name for layer in architectures.layers(networks[0])]
    forward_pass(networks, batches[:1])
    forward = seconds(lambda: forward_pass(networks, batches))
    syrk = sum(product_seconds(rows, places * images) for rows, places in shapes_of(networks, layers, batches[0]))
    share = Sampling(round(Sampling().positions * images / ALL_IMAGES))
    times = {
        "collector": seconds(lambda: collect(networks, batches, layers)),
        "collector, draws": seconds(lambda: collect(networks, batches, layers, images, share)),
    }
    if before:
        everything = torch.cat(batches)
        times["before"] = seconds(lambda: plainly(networks, everything, layers))
        times["before, draws"] = seconds(lambda: plainly(networks, everything, layers, share))
    again = seconds(lambda: forward_pass(networks, batches))
    floor = min(forward, again) + syrk
    return {
        "networks": f"5 × {name}, width {width:g}",
        "images": images,
        "forward": min(forward, again),
        "one syrk": syrk,
        "floor": floor,
        **times,
        **{f"{what} / floor": value / floor for what, value in times.items()},
        "goal": GOAL,
    }


def rows_of(file: Path) -> list[dict[str, Any]]:
    """The rows of the last run; none if there is no file."""
    return json.loads(file.read_text(encoding="utf-8"))["rows"] if file.exists() else []


@click.command()
@click.option("--images", default=IMAGES, multiple=True, type=click.IntRange(1), help="How many; several times.")
@click.option("--quick", is_flag=True, help="An eighth of the width and 50 images.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where to write; the full run's default is {FILE.name}.")
def main(images: Sequence[int], quick: bool, out: Path | None) -> None:
    """Compare the collector with its floor and print the table, in CPU seconds of one thread."""
    width, counts = (0.125, [50]) if quick else (1.0, sorted(images))
    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = []
        for count, name in product(counts, ("vgg16_bn", "resnet18")):
            rows.append(measured(name, width, count, BATCH, before=count <= IMAGES[0]))
            click.echo(rows[-1])  # minutes before the next
    table = pd.DataFrame(rows)
    click.echo(table.T.to_string(header=False, float_format=lambda value: f"{value:.3g}"))
    if out or not quick:
        known = rows_of(out or FILE)
        fresh = json.loads(table.to_json(orient="records"))
        kept = [row for row in known if row["images"] not in counts]
        with atomic(out or FILE) as temporary:
            record = {"machine": machine.describe(), "rows": sorted(kept + fresh, key=lambda row: row["images"])}
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
