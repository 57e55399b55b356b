"""Every classifier of torchvision, with random weights: are the neurons that are found the module's channels?

python -m benchmarks.zoo              # all of them on this machine's processor, minutes; writes zoo.json
python -m benchmarks.zoo --only swin  # those with "swin" in their names; writes nothing

Two images of 64 × 64 pixels go through each network. Of every module output one knows, by the module's own account
(`out_channels`, `out_features`, `num_features`, the length of a LayerNorm), how many neurons it has; that number is
held against the axis that was taken for neurons.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pandas as pd
import torch
from torch import nn
from torchvision import models
from torchvision.models import regnet
from tqdm import tqdm

from benchmarks import machine
from helpers.errors import BadInput
from helpers.files import ROOT, atomic
from helpers.networks.activations import forward
from helpers.networks.calls import Heard, heard
from helpers.studies.layer_choice import choose, listening

FILE = ROOT / "results" / "benchmarks" / "zoo.json"
SIZES = (64, 96, 224)  # pixels; the first that a network takes
IMAGES = 3  # a number that no torchvision layer's other axes begin with by chance
NAMES = models.list_models(module=models)
OPTIONS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}  # else they warn


def channels(module: nn.Module) -> int | None:
    """How many neurons a module has by its own account; None if it does not say."""
    if isinstance(module, nn.LayerNorm):
        return module.normalized_shape[-1]
    names = ("out_channels", "out_features", "num_features")
    return next((count for name in names if isinstance(count := getattr(module, name, None), int)), None)


@contextmanager
def built_on(device: str) -> Iterator[None]:
    """Networks that are built inside lie on the device; "meta" has shapes without numbers, so that nothing is computed.

    RegNets compute their widths with tensors, which have no values there: they do so on the processor.
    """
    make = regnet.BlockParams.__dict__["from_init_params"]

    def on_the_processor(cls: Any, *args: Any, **options: Any) -> Any:
        with torch.device("cpu"):
            return make.__func__(cls, *args, **options)

    regnet.BlockParams.from_init_params = classmethod(on_the_processor)  # type: ignore[assignment, method-assign]
    try:
        with torch.device(device):
            yield
    finally:
        regnet.BlockParams.from_init_params = make


def row_of(name: str, device: str = "cpu") -> dict[str, Any]:
    """One row of the table. BadInput for a network that takes none of the `SIZES`."""
    with built_on(device), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = models.get_model(name, weights=None, **OPTIONS.get(name, {})).eval()
        family = type(network).__name__
        size, reason, outputs = listened(network := listening(network, None), device)
    tied = {layer: one for layer, one in outputs.items() if one.shape[0] % IMAGES == 0}  # not tables no image reaches
    known = {layer: count for layer, one in tied.items() if (count := channels(one.module))}
    right = [layer for layer, count in known.items() if outputs[layer].layout and outputs[layer].neurons == count]
    chosen = choose(network, 0, outputs, torch.empty(IMAGES, 3, size, size, device="meta"))
    return {
        "model": name,
        "family": family,
        "pixels": size,
        "why not fewer": reason,
        "outputs": len(outputs),
        "known channels": len(known),
        "neurons right": len(right),
        "layers by default": len(chosen.sides),
        "left out": len(chosen.omitted),
    }


def listened(network: nn.Module, device: str) -> tuple[int, str, dict[str, Heard]]:
    """The number of pixels that the network takes, why it takes no fewer, and all outputs of its modules."""
    reason = ""
    for size in SIZES:
        images = torch.randn(IMAGES, 3, size, size, device=device)
        try:
            return size, reason, heard(network, [images], run_of(network, images))
        except BadInput as error:
            reason = reason or str(error).partition(": ")[2]
    raise BadInput(f"{type(network).__name__} takes no images of {SIZES} pixels: {reason}")


def run_of(network: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """A forward pass, to be done later."""
    return lambda: forward(network, images)


def recorded() -> pd.DataFrame:
    """The table of the last full run."""
    return pd.DataFrame(json.loads(FILE.read_text(encoding="utf-8"))["rows"])


def by_family(table: pd.DataFrame) -> pd.DataFrame:
    """One row per family: its networks, the pixels they were given, and sums of what was sums."""
    sums = {name: (name, "sum") for name in ("known channels", "neurons right")}
    sums = table.groupby("family").agg(
        networks=("model", "count"), pixels=("pixels", "max"), layers=("layers by default", "sum"), **sums
    )
    return sums.reset_index()


@click.command()
@click.option("--only", default="", help="Models with this in their names.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where to write; a full run's default is {FILE.name}.")
def main(only: str, out: Path | None) -> None:
    """Try torchvision's classifiers and print the table. Example: python -m benchmarks.zoo --only resnet"""
    rows = [row_of(name) for name in tqdm(NAMES, "networks") if only in name]
    table = pd.DataFrame(rows)
    click.echo(table.to_string(index=False))
    if out or not only:
        record = {"machine": machine.describe(), "images": IMAGES, "rows": rows}
        with atomic(out or FILE) as temporary:
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
