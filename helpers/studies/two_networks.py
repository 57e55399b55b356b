"""Any two networks on a folder of images: torchvision's for ImageNet, your own checkpoints, or untrained ones.

Images are read, resized and streamed in batches, so memory does not grow with their number. Every layer with enough
samples is compressed and matched as in a study. The other layers are named with the reason.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder

from ..errors import BadInput
from ..files import atomic, sha256
from ..networks import datasets, training
from ..networks.activations import calibrate
from ..networks.inputs import in_batches
from ..networks.weights import architecture_of, from_import_path, is_untrained, open_network, statistics_of
from ..parameters import check_whole
from ..processes import check_memory
from .comparison import compare
from .enough import ENOUGH
from .layer_choice import Wanted
from .results import Comparison
from .store import Computed, Kind, record_computed

__all__ = ["ENOUGH", "compare", "compare_weights", "example", "image_batches", "open_network"]
BYTES = 12  # of a pixel in three colours
NORMS = (nn.modules.batchnorm._BatchNorm,)


# ---------------------------------------------------------------- images


def image_batches(
    path: Path, size: int = 224, batch: int = 16, crop: float = 0.875, statistics: str = "imagenet"
) -> tuple["Batches", int]:
    """The images of a folder of class folders as normalised (batch, channels, size, size) tensors, and their number.

    `datasets.image_folder` says how they are cropped and normalised, and what is refused.
    """
    batch = check_whole("batch", batch, 1)
    folder = datasets.image_folder(path, size, crop, statistics)
    needed = 2 * BYTES * min(batch, len(folder)) * size**2  # single images, and all of them as one tensor
    check_memory(needed, "take a smaller size or smaller batches")
    return Batches(folder, batch), len(folder)


@dataclass(frozen=True)
class Batches:
    """A folder's images in order. They are read anew each time that they are iterated over."""

    folder: ImageFolder
    size: int

    def __iter__(self) -> Iterator[Tensor]:
        return (images for images, _ in DataLoader(self.folder, batch_size=self.size))

    def __len__(self) -> int:
        return -(-len(self.folder) // self.size)

    @property
    def sha256(self) -> str:
        """Hash of the names and contents of all images."""
        root = Path(self.folder.root)
        lines = [f"{Path(path).relative_to(root)} {sha256(Path(path))}" for path, _ in self.folder.samples]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def calibrated(network: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """An untrained network with batch-norm statistics from the images. Without batch norm it stays as it is."""
    if any(isinstance(module, NORMS) for module in network.modules()):
        return calibrate(network, batches)
    return network


# ---------------------------------------------------------------- recording


def compare_weights(
    architecture: str | None,
    a: str,
    b: str,
    path: Path,
    layers: Wanted = None,
    size: int = 224,
    batch: int = 16,
    statistics: str | None = None,
    **options: Any,
) -> Comparison:
    """Compare two weights, as in `open_network`, on a folder of images. Untrained networks are first calibrated on it.

    Images are normalised by `statistics`. By default these are the statistics with which this book's own checkpoints
    were trained, and ImageNet's for all other weights. `options` go to `compare`.
    """
    batches, images = image_batches(path, size, batch, statistics=statistics or statistics_of(a, b))
    nets = [open_network(weights, architecture) for weights in (a, b)]
    nets = [calibrated(net, batches) if is_untrained(w) else net for net, w in zip(nets, (a, b), strict=True)]
    return compare(nets[0], nets[1], batches, images, layers, **options)


def compare_named(
    images: Path | None = None,
    inputs: Path | None = None,
    loader: str | None = None,
    network: str | None = None,
    network_b: str | None = None,
    a: str = "",
    b: str = "",
    layers: Wanted = None,
    layers_b: Wanted = None,
    measures: Sequence[str] | None = None,
    statistics: str | None = None,
    size: int = 224,
    batch: int = 16,
    **options: Any,
) -> Comparison:
    """Compare two networks whose names and inputs are given as on the command line.

    Raises `BadInput` unless there is exactly one source of inputs: a folder of images, an .npz file, or a loader's
    import path.
    """
    if sum(source is not None for source in (images, inputs, loader)) != 1:
        raise BadInput("expected one source of inputs: --images FOLDER, --inputs FILE.npz or --loader MODULE:FUNCTION")
    data: Any = inputs if images is None else None
    if images is not None:
        data, _ = image_batches(images, size, batch, statistics=statistics or statistics_of(a, b))
    if loader is not None:
        data = from_import_path(loader)
    nets = [open_network(given, name) for given, name in ((a, network), (b, network_b or network))]
    fresh = [is_untrained(given) for given in (a, b)]
    nets = [calibrated(net, in_batches(data, batch)) if new else net for net, new in zip(nets, fresh, strict=True)]
    return compare(nets[0], nets[1], data, None, layers, layers_b, measures=measures or (), batch=batch, **options)


def spoken_result(comparison: Comparison) -> list[str]:
    """A comparison as lines of text: the table, other measures, what to distrust, what was left out, and its cost."""
    lines = [comparison.wide().to_string(index=False, float_format="%.3f")]
    for name in ("measures", "chance"):
        if name in comparison.tables and len(comparison.tables[name]):
            lines.append(comparison.tables[name].to_string(index=False, float_format="%.3f"))
    lines += [f"note: {flag}" for flag in comparison.flags]
    for row in comparison.left_out.itertuples(index=False):
        need = f"{row.neurons} neurons, {row.samples} samples; {row.images_needed} images needed"
        lines.append(f"left out: {row.layer} ({need})")
    lines += [
        f"left out: {layer} ({reason})" for layer, reason in comparison.omitted.itertuples(index=False, name=None)
    ]
    took = f"{comparison.images} images, {comparison.seconds:.0f} s, at most {comparison.peak_memory_gib:.1f} GiB"
    return [*lines, took]


def write_named(comparison: Comparison, name: str, images: Path | None, **given: Any) -> Path:
    """Record a comparison in `results/imagenet-NAME`, with the images' hash, the time and the memory that it took.

    `given` are architecture, a, b, size and batch, as on the command line. Raises `BadInput` for a comparison on other
    inputs than a folder of images, which have no hash.
    """
    if images is None:
        raise BadInput("a record needs --images: other inputs have no names and hashes to keep")
    weights = given["a"], given["b"]
    batches, _ = image_batches(images, given["size"], given["batch"])
    network = " and ".join(dict.fromkeys(str(architecture_of(each, given["architecture"])) for each in weights))
    about = {"dataset": "imagenet", "network": network}
    tables = {key: comparison.tables[key].assign(**about) for key in ("critical", "similarity")}
    known = {
        "study": about | {"weights": [Path(each).name for each in weights]},
        "trained": not any(map(is_untrained, weights)),
        "image_size": given["size"],
        "batch": given["batch"],
        "data_sha256": batches.sha256,
    }
    computed = Computed(tables | {"left_out": comparison.left_out}, known | _cost(comparison))
    return record_computed(KIND, computed, {"name": name}, comparison.seconds)


def _cost(comparison: Comparison) -> dict[str, Any]:
    return {
        "images": comparison.images,
        "peak_memory_gib": round(comparison.peak_memory_gib, 2),
        "threads": torch.get_num_threads(),
        "device": comparison.device,
    }


KIND = Kind(
    "two_networks",
    "two networks of one's own, on a folder of images",
    None,
    prefix="imagenet",
    defaults={"name": ""},
    label=lambda settings: str(settings["name"]),
    module="studies.two_networks",
)


# ---------------------------------------------------------------- an example to start from


def example(folder: Path, network: str = "vgg11_bn") -> tuple[Path, Path, Path]:
    """Two checkpoints of small networks trained on digits, and the test digits as PNG files in class folders."""
    data = datasets.load_dataset("digits", "test")
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        path = folder / data.classes[label] / f"{number:03d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as scratch:
                Image.fromarray(image[..., 0]).save(scratch, format="png")
    runs = [training.plan(network, "digits", 0.125, seed, "digits") for seed in (0, 1)]
    return training.train(runs[0]), training.train(runs[1]), folder
