"""Any two networks on a folder of images: torchvision's for ImageNet, your own checkpoints, or untrained ones.

Images are read, resized and streamed in batches, so memory does not grow with their number. Every layer with enough
samples is compressed and matched as in a study; the others are named with the reason.
"""

import hashlib
import re
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pandas as pd
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import models
from torchvision.datasets import ImageFolder
from tqdm import tqdm

from ..errors import BadInput, unknown
from ..files import atomic, sha256
from ..networks import architectures as networks
from ..networks import datasets, devices, training
from ..networks.activations import calibrate, captured, collect, forward, neurons, peeked
from ..networks.architectures import Layer
from .records import read_tables, records_of
from .store import Computed, Kind, record_computed
from .tables import EPSILONS, critical_rows, layer_columns, similarity_table

FILES = (".safetensors", ".pt", ".pth", ".tar")
ENOUGH = 10  # samples a neuron; even then an unrelated neuron is at √(1 − 1/10) ≈ 0.95 from a span, not at 1
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.ELU)
NORMS = (nn.modules.batchnorm._BatchNorm,)
UNTRAINED = "untrained:"  # and a seed: fresh weights instead of a file


# ---------------------------------------------------------------- networks


def names() -> list[str]:
    """Architectures by name: the book's own, then torchvision's classifiers (torchvision:NAME where both have one)."""
    theirs = models.list_models(module=models)
    return [*networks.NAMES, *(f"torchvision:{name}" if name in networks.NAMES else name for name in theirs)]


def open_network(weights: str, architecture: str | None = None, **options: Any) -> nn.Module:
    """A network in evaluation mode.

    `weights` is a checkpoint file (this book's own, with its .json beside it, need no `architecture`), "untrained:SEED"
    or the name of torchvision weights such as "IMAGENET1K_V1". `options` go to the architecture, as width=0.25 or
    num_classes=10. Raises BadInput for an unknown architecture and for weights that are not there or do not fit.
    """
    path = Path(weights)
    if _is_own(path):
        return training.load(path)[0]
    if architecture is None:
        raise BadInput(f"{weights} does not say what network it is: give its architecture, such as resnet18")
    if weights.startswith(UNTRAINED):
        return build(architecture, check_seed(weights.removeprefix(UNTRAINED)), **options).eval()
    if path.suffix in FILES:
        return _filled(build(architecture, 0, **options), path, architecture).eval()
    return _downloaded(architecture, weights).eval()


def _is_own(path: Path) -> bool:
    """Whether it is a checkpoint of this book, which says what it is."""
    return path.suffix == ".safetensors" and path.with_suffix(".json").exists()


def is_untrained(weights: str) -> bool:
    """Whether nothing was learned yet: "untrained:SEED", or epoch 0 of a checkpoint of this book."""
    path = Path(weights)
    return weights.startswith(UNTRAINED) or (_is_own(path) and training.read_sidecar(path)["epoch"] == 0)


def architecture_of(weights: str, architecture: str | None) -> str | None:
    """The architecture that `open_network` opens: a checkpoint of this book says so itself."""
    path = Path(weights)
    return training.read_sidecar(path)["network"] if _is_own(path) else architecture


def untrained(weights: str, architecture: str | None = None, seed: int = 0, **options: Any) -> nn.Module:
    """The network that `open_network` would open, before training: weights drawn anew by its own initialisation.

    That is the one a checkpoint of this book started from; for any other, the rule that comes with the architecture,
    which need not be the one your training used.
    """
    path = Path(weights)
    if not _is_own(path):
        return open_network(f"{UNTRAINED}{seed}", architecture, **options)
    known = training.read_sidecar(path)
    shape = {key: known[key] for key in ("width", "classes", "channels", "image_size")}
    return networks.build(known["network"], **shape, seed=seed, initialisation=known["recipe"]["initialisation"]).eval()


def check_seed(text: str) -> int:
    """A seed as PyTorch's generators take it: a whole number from 0 to 2⁶³ − 1."""
    if not re.fullmatch("[0-9]{1,19}", text) or int(text) >= 2**63:
        raise BadInput(f"seed '{text}': expected a whole number from 0 to 2^63 - 1")
    return int(text)


def build(architecture: str, seed: int, **options: Any) -> nn.Module:
    """A freshly initialised network of this book or of torchvision; `seed` fixes its initialisation."""
    if architecture not in names():
        raise unknown("architecture", architecture, names())
    if architecture in networks.NAMES:
        return networks.build(architecture, seed=seed, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.get_model(architecture.removeprefix("torchvision:"), weights=None, **options)


def _filled(network: nn.Module, path: Path, architecture: str) -> nn.Module:
    if not path.exists():
        raise BadInput(f"no checkpoint {path}: expected a file with the weights of a {architecture}")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, RuntimeError, OSError, ValueError, KeyError) as error:
        raise BadInput(f"{path} cannot be read as weights: {str(error).splitlines()[0]}") from error
    except Exception as error:  # an unpickling error has no class of its own to catch
        raise BadInput(f"{path} holds more than weights, or is damaged: save its state_dict") from error
    try:
        network.load_state_dict(_state(state, path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise BadInput(f"{path} does not fit a {architecture}: {reason}") from error
    return network


def _state(saved: Any, path: Path) -> dict[str, Tensor]:
    """The weights inside a training checkpoint, without the prefix that parallel training leaves."""
    for key in ("state_dict", "model"):
        saved = saved[key] if isinstance(saved, dict) and isinstance(saved.get(key), dict) else saved
    if not isinstance(saved, dict):
        raise BadInput(f"{path} holds a {type(saved).__name__}: expected the weights by name, as state_dict() has them")
    for name, value in saved.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadInput(f"{path} has a {type(value).__name__} under {name!r}: expected a tensor under each name")
    return {name.removeprefix("module."): value for name, value in saved.items()}


def _downloaded(architecture: str, weights: str) -> nn.Module:
    name = architecture.removeprefix("torchvision:")
    if architecture in networks.NAMES or name not in models.list_models(module=models):
        hint = f"; torchvision's own network is torchvision:{name}" if architecture in networks.NAMES else ""
        raise BadInput(f"weights '{weights}' of {architecture}: expected a checkpoint file or untrained:SEED{hint}")
    known = [entry.name for entry in models.get_model_weights(name)]
    if weights not in known:
        raise unknown("weights", weights, [*known, "untrained:0", "FILE.safetensors", "FILE.pt"])
    try:
        return models.get_model(name, weights=weights)
    except (URLError, OSError) as error:
        raise BadInput(f"{weights} of {name} could not be fetched ({error}): download it and give its file") from error


# ---------------------------------------------------------------- layers


def layers_of(network: nn.Module) -> list[Layer]:
    """The layers that are compared by default, from the input on.

    This book's networks: all of `networks.layers`. torchvision's ResNets: stem, block outputs, pooled features, logits;
    its VGGs: every ReLU, and the logits. Any other: the outputs of its activation modules. BadInput if there are none.
    """
    if isinstance(network, networks.VGG | networks.ResNet):
        return networks.layers(network)
    modules = dict(network.named_modules())
    if isinstance(network, models.ResNet):
        found = [name for name in modules if name in {"relu", "avgpool", "fc"} or _is_block(name)]
    else:
        found = [name for name, module in modules.items() if isinstance(module, ACTIVATIONS)]
        linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
        found += linear[-1:]
    if not found:
        raise BadInput(f"{type(network).__name__} has no activation modules: name layers, such as {list(modules)[1:4]}")
    return as_layers(network, found)


def _is_block(name: str) -> bool:
    return re.fullmatch(r"layer\d+\.\d+", name) is not None


def as_layers(network: nn.Module, chosen: Sequence[str]) -> list[Layer]:
    """Modules by name as layers; BadInput for a wrong name, with the valid ones."""
    modules = dict(network.named_modules())
    for name in chosen:
        if name not in modules or not name:
            raise unknown("layer", name, [valid for valid in modules if valid])
    last = max(1, len(chosen) - 1)
    return [Layer(name, None, _kind(modules[name], name), i, i / last) for i, name in enumerate(chosen)]


def _kind(module: nn.Module, name: str) -> str:
    if isinstance(module, nn.Linear):
        return "logits"
    if "pool" in name:
        return "pool"
    return "fc" if name.startswith("classifier") else "block" if len(list(module.children())) else "conv"


# ---------------------------------------------------------------- images


def image_batches(
    path: Path, size: int = 224, batch: int = 16, crop: float = 0.875, statistics: str = "imagenet"
) -> tuple["Batches", int]:
    """The images of a folder of class folders in normalised (batch, channels, size, size) tensors, and their number.

    How they are cut and normalised, and what is refused: `datasets.image_folder`.
    """
    if not isinstance(batch, int) or batch < 1:
        raise BadInput(f"batch is {batch}: expected a whole number of images, at least 1")
    folder = datasets.image_folder(path, size, crop, statistics)
    return Batches(folder, batch), len(folder)


@dataclass(frozen=True)
class Batches:
    """A folder's images in order, read anew each time it is gone through."""

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


# ---------------------------------------------------------------- comparing


@dataclass
class Comparison:
    """Two networks layer by layer: tables as in a study, layers left out with the reason, and what it took."""

    tables: dict[str, pd.DataFrame]
    left_out: pd.DataFrame
    images: int
    seconds: float
    peak_memory_gib: float
    device: str

    def similarity(self, epsilons: Sequence[float] = EPSILONS) -> pd.DataFrame:
        """Maximum matching similarity per layer and ε."""
        return similarity_table(self.tables["critical"], epsilons)


def compare(
    a: nn.Module,
    b: nn.Module,
    batches: Iterable[Tensor],
    images: int,
    layers: Sequence[str] | None = None,
    layers_b: Sequence[str] | None = None,
    progress: bool = True,
) -> Comparison:
    """Match every layer of two networks on the same images, in one pass over them.

    `layers` default to `layers_of(a)`; `layers_b` are the layers of `b` to set beside them, by default those of the
    same names. `batches` are gone through once. Raises BadInput for a wrong layer, no images or ones that do not fit,
    and when no layer has enough samples.
    """
    start = time.perf_counter()
    chosen = as_layers(a, layers) if layers else layers_of(a)
    theirs = as_layers(b, layers_b or [layer.name for layer in chosen])
    if len(theirs) != len(chosen):
        raise BadInput(f"{len(chosen)} layers of one network and {len(theirs)} of the other: expected as many")
    first, everything = peeked(batches)
    kept, left_out = with_enough(a, b, list(zip(chosen, theirs, strict=True)), first, images)
    named = [[layer.name for layer, _ in kept], [layer.name for _, layer in kept]]
    total = -(-images // len(first))
    with tqdm(everything, desc="one pass over the images", total=total, disable=not progress) as bar:
        found = collect([a, b], bar, named)
    parts = [
        critical_rows(found[layer.name].gram, 0, 1).assign(**layer_columns(layer), seed_a=0, seed_b=1)
        for layer, _ in tqdm(kept, desc="matching layers", disable=not progress)
    ]
    tables = {"critical": pd.concat(parts, ignore_index=True)}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    device = next((weights.device.type for weights in a.parameters()), "cpu")
    return Comparison(tables, left_out, images, time.perf_counter() - start, peak_memory(), device)


def with_enough(
    a: nn.Module, b: nn.Module, pairs: Sequence[tuple[Layer, Layer]], batch: Tensor, images: int
) -> tuple[list[tuple[Layer, Layer]], pd.DataFrame]:
    """The pairs of layers with at least `ENOUGH` samples a neuron, and a table of the others with both numbers."""
    first = batch[:1]
    sizes = [_shapes(net, [pair[k].name for pair in pairs], first) for k, net in enumerate((a, b))]
    kept, rows = [], []
    for (layer, other), mine, its in zip(pairs, *sizes, strict=True):
        if mine[1] != its[1]:
            raise BadInput(f"{layer.name} has {mine[1]} positions and {other.name} {its[1]}: expected the same samples")
        count, samples = max(mine[0], its[0]), mine[1] * images
        if samples >= ENOUGH * count:
            kept.append((layer, other))
        else:
            rows.append((layer.name, count, samples, -(-ENOUGH * count // mine[1])))
    if not kept:
        raise BadInput(f"{images} images are too few for every layer: expected at least {min(row[3] for row in rows)}")
    return kept, pd.DataFrame(rows, columns=["layer", "neurons", "samples", "images_needed"])


def _shapes(network: nn.Module, layers: Sequence[str], image: Tensor) -> list[tuple[int, int]]:
    """Neurons and samples an image of each layer."""
    with captured(network, layers) as outputs:
        forward(network, image)
        missing = [name for name in layers if name not in outputs]
        if missing:
            raise BadInput(f"layer {missing[0]} took no part in the forward pass: expected a module that is called")
        return [tuple(neurons(outputs[name]).shape) for name in layers]  # type: ignore[misc]


def calibrated(network: nn.Module, batches: Iterable[Tensor]) -> nn.Module:
    """An untrained network with batch-norm statistics from the images; unchanged if it has no batch norm."""
    if any(isinstance(module, NORMS) for module in network.modules()):
        return calibrate(network, batches)
    return network


def peak_memory() -> float:
    """The most memory this process has held so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


# ---------------------------------------------------------------- recording


def compare_weights(
    architecture: str | None,
    a: str,
    b: str,
    path: Path,
    layers: Sequence[str] | None = None,
    size: int = 224,
    batch: int = 16,
) -> Comparison:
    """Two weights, as in `open_network`, on a folder of images; untrained networks are calibrated on it first."""
    batches, images = image_batches(path, size, batch)
    nets = [open_network(weights, architecture).to(devices.chosen_device()) for weights in (a, b)]
    nets = [calibrated(net, batches) if is_untrained(w) else net for net, w in zip(nets, (a, b), strict=True)]
    return compare(nets[0], nets[1], batches, images, layers)


def write(
    found: Comparison, architecture: str | None, a: str, b: str, path: Path, name: str, size: int = 224, batch: int = 16
) -> Path:
    """A comparison into `results/imagenet-NAME`, with the images' hash and what it took."""
    batches, _ = image_batches(path, size, batch)
    network = " and ".join(dict.fromkeys(str(architecture_of(weights, architecture)) for weights in (a, b)))
    known = {
        "study": {"dataset": "imagenet", "network": network, "weights": [Path(w).name for w in (a, b)]},
        "trained": not (is_untrained(a) or is_untrained(b)),
        "image_size": size,
        "batch": batch,
        "images": found.images,
        "data_sha256": batches.sha256,
        "peak_memory_gib": round(found.peak_memory_gib, 2),
        "threads": torch.get_num_threads(),
        "device": found.device,
    }
    tables = {key: table.assign(dataset="imagenet", network=network) for key, table in found.tables.items()}
    computed = Computed(tables | {"left_out": found.left_out}, known)
    return record_computed(KIND, computed, {"name": name}, found.seconds)


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
    data = datasets.load("digits", "test")
    for number, (image, label) in enumerate(zip(data.images, data.labels, strict=True)):
        path = folder / data.classes[label] / f"{number:03d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as scratch:
                Image.fromarray(image[..., 0]).save(scratch, format="png")
    runs = [training.plan(network, "digits", 0.125, seed, "digits") for seed in (0, 1)]
    return training.train(runs[0]), training.train(runs[1]), folder


# ---------------------------------------------------------------- what is recorded


def records() -> dict[str, tuple[dict[str, pd.DataFrame], dict[str, Any]]]:
    """Tables and provenance of every recorded ImageNet comparison, by the name it was recorded under."""
    return {place.name.removeprefix("imagenet-"): read_tables(place) for place in records_of("two_networks")}


def recorded() -> dict[str, pd.DataFrame]:
    """Critical ε of every recorded comparison."""
    return {name: tables["critical"] for name, (tables, _) in records().items()}


def wide(tables: dict[str, pd.DataFrame], epsilons: Sequence[float]) -> pd.DataFrame:
    """Similarity, a row a network and layer, a column an ε."""
    parts = []
    for name, critical in tables.items():
        found = similarity_table(critical, epsilons)
        table = found.pivot(
            index=["position", "layer", "neurons"], columns="epsilon", values="similarity"
        ).reset_index()
        table = table.rename(columns={epsilon: f"ε = {epsilon:g}" for epsilon in epsilons})
        parts.append(table.drop(columns="position").assign(neurons=table["neurons"] // 2, network=name))
    found = pd.concat(parts, ignore_index=True)
    return found[["network", *(column for column in found.columns if column != "network")]]


def beyond_first(tables: dict[str, pd.DataFrame], epsilon: float) -> str:
    """In words: the range of similarity at ε over all layers but the first, of each comparison."""
    parts = []
    for name, critical in tables.items():
        found = similarity_table(critical, [epsilon])
        deeper = found.loc[found["position"] > found["position"].min(), "similarity"]
        parts.append(f"{name.partition(':')[0]} {deeper.min():.2f} to {deeper.max():.2f}")
    return "; ".join(parts)


def fewest_samples(tables: dict[str, pd.DataFrame]) -> str:
    """In words: the smallest number of samples a neuron among the layers of each comparison, and where."""
    parts = []
    for name, critical in tables.items():
        found = critical.groupby("layer").agg(samples=("samples", "first"), neurons=("neuron", "nunique"))
        ratio = found["samples"] / found["neurons"]
        parts.append(f"{name.partition(':')[0]} {ratio.min():.0f} ({ratio.idxmin()})")
    return "; ".join(parts)


def image_counts() -> str:
    """In words: how many images are behind the recorded comparisons, as "119" or "119 to 500"."""
    counts = [int(known["images"]) for _, known in records().values()]
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))


def costs(images: int) -> pd.DataFrame:
    """What each recorded comparison took, and the hours that `images` images would take at that rate."""
    rows = [
        {
            "network": name,
            "weights": " and ".join(known["study"]["weights"]),
            "images": known["images"],
            "threads": known["threads"],
            "seconds": known["seconds"],
            "peak_memory_in_GiB": known["peak_memory_gib"],
            f"hours_for_{images}_images": known["seconds"] / known["images"] * images / 3600,
        }
        for name, (_, known) in records().items()
    ]
    return pd.DataFrame(rows)


def left_out() -> pd.DataFrame:
    """The layers that the recorded comparisons had too few images for."""
    parts = [tables["left_out"].assign(network=name) for name, (tables, _) in records().items()]
    found = pd.concat(parts, ignore_index=True)
    return found[["network", *(column for column in found.columns if column != "network")]]
