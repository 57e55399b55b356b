"""Folders of pictures as users have them: class folders or none, hidden files, links, 16 bits, floats.

A picture is read as it looks, or refused with its name. No value is clipped to white or black, and no picture counts
twice.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from ..errors import BadInput
from ..files import check_regular

PIXELS = 50_000_000  # a picture with more pixels after resizing needs gigabytes: it is a strip, or no picture


class Pictures(ImageFolder):
    """torchvision's ImageFolder without hidden files, empty classes and links that lead in a circle.

    Pictures in the folder itself are one class, ".". Raises `BadInput` if there are no pictures, and if some are in
    class folders and some beside them.
    """

    @staticmethod
    def find_classes(directory: str | Path) -> tuple[list[str], dict[str, int]]:
        """Names of the class folders that hold pictures, in alphabetical order, and the number of each class.

        Raises `BadInput` if there are no pictures, and if some lie beside the class folders.
        """
        root = Path(directory)
        loose = [entry.name for entry in root.iterdir() if entry.is_file() and _is_picture(entry)]
        folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        classes = [entry.name for entry in folders if next(_pictures(entry), None)]
        if loose and classes:
            raise BadInput(f"{root} holds '{sorted(loose)[0]}' beside class folders: expected one or the other")
        if not loose and not classes:
            raise BadInput(f"{root} holds no class folder with images, and no images")
        return (classes, {name: k for k, name in enumerate(classes)}) if classes else (["."], {".": 0})

    @staticmethod
    def make_dataset(directory: str | Path, class_to_idx: dict[str, int], *_: Any, **__: Any) -> list[tuple[str, int]]:
        """Every picture with its class, in alphabetical order."""
        return [
            (str(path), number)
            for name, number in class_to_idx.items()
            for path in sorted(_pictures(Path(directory) / name))
        ]


def _is_picture(path: Path) -> bool:
    return not path.name.startswith(".") and path.suffix.lower() in IMG_EXTENSIONS


def _pictures(root: Path) -> Iterator[Path]:
    """Pictures at any depth. Each folder is visited once, even if a link leads back to it or above it."""
    above = {parent.resolve() for parent in (root, *root.parents)}
    seen: set[Path] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        seen.add(Path(place).resolve())
        inside = [Path(place) / name for name in folders if not name.startswith(".")]
        new = [path for path in inside if path.resolve() not in seen | above]
        folders[:] = sorted(path.name for path in new)
        yield from (path for path in (Path(place) / name for name in files) if _is_picture(path))


def open_picture(path: str, shorter: int = 0) -> Image.Image:
    """One picture with 8 bits per colour. Raises `BadInput` for a file that is no picture, or has no certain white.

    `shorter` is the length to which its shorter side will be resized. With it, strips that would fill the memory are
    refused.
    """
    check_regular(Path(path), "an image")
    try:
        with Image.open(path) as picture:
            _check_area(path, picture.size, shorter)
            picture.load()
            return _eight_bits(picture, path)
    except BadInput:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        kind = type(error).__name__
        raise BadInput(f"{path} cannot be read as an image ({kind}): repair it or take it out") from error


def _check_area(path: str, size: tuple[int, int], shorter: int) -> None:
    if shorter and shorter**2 * max(size) / min(size) > PIXELS:
        raise BadInput(f"{path} has {size[0]} × {size[1]} pixels: too long and thin to resize; take it out or cut it")


def _eight_bits(picture: Image.Image, path: str) -> Image.Image:
    """The picture with 8 bits per colour. 16-bit grey and floats from 0 to 1 are scaled; PIL would clip them."""
    deep = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")
    if not deep and picture.mode not in ("I", "F"):
        return picture.convert("RGB")
    values = np.asarray(picture, dtype=np.float64)
    white = 65535.0 if deep else 1.0
    if picture.mode == "I" and not deep:
        raise BadInput(f"{path} has whole numbers of 32 bits: white is not certain; save it with 8 or 16 bits")
    if not (values.min() >= 0 and values.max() <= white):  # also where there are NaN
        raise BadInput(f"{path} has values from {values.min():g} to {values.max():g}: expected 0 to {white:g}")
    return Image.fromarray(np.round(values * (255 / white)).astype(np.uint8)).convert("RGB")
