"""Inputs as users have them: loaders of images, of (images, labels), of dictionaries; arrays; .npz files.

A batch becomes a tensor, or a dictionary of tensors that the network takes by name (as the models of transformers do).
Inputs are counted, and repeated ones are noticed, because they add no samples.
"""

import hashlib
import itertools
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ..errors import BadInput, first_words
from ..files import check_regular
from ..processes import check_memory

Inputs = Tensor | dict[str, Tensor]  # one tensor, or tensors that a network takes by name
ALONE = ("pixel_values", "image", "images", "img", "x", "inputs", "input", "data")  # possible keys of the inputs
NOT_GIVEN = ("labels", "label", "target", "targets", "y", "idx", "index")  # keys that a network is not given
BATCH = 32


def images_of(batch: Any) -> Inputs:
    """The inputs in an element of a loader: a tensor or array, (images, labels), or a dictionary.

    From a dictionary with input_ids the network gets all tensors by name, except labels. From any other dictionary it
    gets the images. Raises `BadInput` for anything else.
    """
    if isinstance(batch, Mapping):
        return _of_mapping(batch)
    if isinstance(batch, tuple | list) and len(batch) and isinstance(batch[0], Tensor | np.ndarray | Mapping):
        _check_no_mask(batch)
        return images_of(batch[0])
    if isinstance(batch, np.ndarray) and batch.dtype.kind in "biufc":
        _check_dense(batch)
        batch = torch.from_numpy(np.ascontiguousarray(_native(batch)))
        batch = batch.float() if batch.dtype == torch.float64 else batch
    if not isinstance(batch, Tensor):
        kind = type(batch).__name__
        raise BadInput(f"a batch is a {kind}: expected a tensor or array of images, (images, labels), or a dictionary")
    _check_dense(batch)
    if not len(batch):
        raise BadInput(f"a batch has shape {tuple(batch.shape)}: expected images along the first axis")
    return batch


def _check_no_mask(batch: Sequence[Any]) -> None:
    """Raise `BadInput` if a batch of tokens comes with what says which of them are padding: they would be samples."""
    tokens, *others = batch
    if not isinstance(tokens, Tensor) or tokens.is_floating_point() or tokens.ndim != 2:
        return
    for place, part in enumerate(others, 1):
        if isinstance(part, Tensor) and part.shape == tokens.shape and _is_mask(part) and not _is_mask(tokens):
            raise BadInput(
                f"part {place} of a batch looks like the mask of the tokens in part 0: expected a dictionary with "
                "input_ids and attention_mask"
            )


def _is_mask(part: Tensor) -> bool:
    return bool(((part == 0) | (part == 1)).all() and (part == 0).any())


def _check_dense(batch: Tensor | np.ndarray) -> None:
    """Raise `BadInput` for arrays without a first axis, and for those in which some numbers are not there."""
    if isinstance(batch, Tensor) and batch.is_nested:
        raise BadInput("a batch is a nested tensor, of inputs of different sizes: expected a dense array")
    if batch.ndim == 0:
        raise BadInput("a batch has shape (): expected images along the first axis")
    if isinstance(batch, np.ma.MaskedArray) or (isinstance(batch, Tensor) and batch.layout != torch.strided):
        kind = "masked" if isinstance(batch, np.ndarray) else "sparse"
        raise BadInput(f"a batch is a {kind} array of shape {tuple(batch.shape)}: expected a dense array")


def _native(array: np.ndarray) -> np.ndarray:
    """The array in this machine's byte order, and in a type that PyTorch has."""
    kind = array.dtype.newbyteorder("=")
    return array.astype({np.dtype("g"): np.float64, np.dtype("G"): np.complex128}.get(kind, kind), copy=False)


def _of_mapping(batch: Mapping[Any, Any]) -> Inputs:
    tensors = {str(key): value for key, value in batch.items() if isinstance(value, Tensor | np.ndarray)}
    if "input_ids" in tensors:
        given = {key: images_of(value) for key, value in tensors.items() if key not in NOT_GIVEN}
        lengths = {key: len(tensors_of(value)[0]) for key, value in given.items()}
        for key, length in lengths.items():
            if length != lengths["input_ids"]:
                raise BadInput(f"a batch has {lengths['input_ids']} input_ids and {length} {key}: expected as many")
        return given  # type: ignore[return-value]
    alone = [key for key in ALONE if key in tensors]
    if not alone:
        keys = ", ".join(map(str, batch)) or "nothing"
        raise BadInput(f"a batch is a dictionary with {keys}: expected images under one of {', '.join(ALONE)}")
    return images_of(tensors[alone[0]])


def tensors_of(inputs: Inputs) -> list[Tensor]:
    """All tensors of a batch. The first one tells the number of inputs."""
    return [inputs] if isinstance(inputs, Tensor) else list(inputs.values())


def some(inputs: Inputs, count: int) -> Inputs:
    """The first different inputs of a batch, at most `count`: equal ones would not show where their outputs are.

    Of a single one the second is its mirror image.
    """
    parts = [tensor.detach().cpu().contiguous() for tensor in tensors_of(inputs)]
    seen: dict[bytes, int] = {}
    for place, one in enumerate(zip(*parts, strict=True)):
        seen.setdefault(_digest(one), place)
        if len(seen) == count:
            break
    chosen = list(seen.values())
    if len(chosen) > 1:
        return each_part(inputs, lambda part: part[chosen])
    return each_part(inputs, lambda part: torch.cat([part[:1], part[:1].flip(-1)]))


def each_part(inputs: Inputs, change: Callable[[Tensor], Tensor]) -> Inputs:
    """The inputs with each of their tensors changed."""
    return change(inputs) if isinstance(inputs, Tensor) else {name: change(part) for name, part in inputs.items()}


def in_chunks(batches: Iterable[Inputs], size: int) -> Iterator[Inputs]:
    """These inputs in batches of `size`; the last batch may be smaller."""
    waiting: Inputs | None = None
    for batch in batches:
        waiting = batch if waiting is None else _joined(waiting, batch)
        while (count := len(tensors_of(waiting)[0])) > size:
            yield part_of(waiting, 0, size)
            waiting = part_of(waiting, size, count)
    if waiting is not None:
        yield waiting


def _joined(first: Inputs, second: Inputs) -> Inputs:
    if isinstance(first, dict) and isinstance(second, dict):
        return {name: torch.cat([part, second[name]]) for name, part in first.items()}
    return torch.cat([*tensors_of(first), *tensors_of(second)])


def part_of(inputs: Inputs, start: int, end: int) -> Inputs:
    """The inputs from number `start` up to, but not including, `end`."""
    return each_part(inputs, lambda part: part[start:end])


def mask_of(inputs: Inputs) -> Tensor | None:
    """Which tokens are no padding, (inputs, tokens), if a tokenizer says so; else None."""
    return None if isinstance(inputs, Tensor) else inputs.get("attention_mask")


def in_batches(data: Any, batch: int = BATCH) -> Iterable[Any]:
    """The inputs in batches: a loader as it is, an array or tensor of all inputs cut, an .npz file read and cut.

    A list of arrays or tensors is a list of batches. Raises `BadInput` for anything else.
    """
    if isinstance(data, str | Path):
        data = read_inputs(Path(data))
    if isinstance(data, Tensor | np.ndarray):
        _check_dense(data)
        return [data[start : start + batch] for start in range(0, len(data), batch)]
    if isinstance(data, Mapping):
        length = expected_count(data) or 0
        parts = [(start, start + batch) for start in range(0, length, batch)]
        whole = {key: value for key, value in data.items() if isinstance(value, Tensor | np.ndarray)}
        each = {key: value for key, value in whole.items() if value.ndim and len(value) == length}
        return [{key: value[start:end] for key, value in each.items()} for start, end in parts]
    if not isinstance(data, Iterable):
        kind = type(data).__name__
        raise BadInput(
            f"the inputs are a {kind}: expected a DataLoader, an array or tensor of inputs, or batches of them"
        )
    return data


def read_inputs(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """The arrays of an .npz or .npy file: a single array alone, several by name. Nothing in it is unpickled.

    Raises `BadInput` for a file that cannot be read, for arrays of anything but numbers, and for more of them than fit
    into memory, before they are unpacked.
    """
    check_regular(path, "arrays of inputs (.npz)")
    try:
        check_memory(_unpacked(path), "give fewer inputs, or a loader")
        loaded = np.load(path, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except BadInput:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise many kinds on a damaged archive
        raise BadInput(f"{path} cannot be read as arrays of inputs (.npz): {first_words(error)}") from error
    alone = [name for name in arrays if name in ("", *ALONE)]
    if alone and "input_ids" not in arrays:
        arrays = {alone[0]: arrays[alone[0]]}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc" or not array.ndim:
            kind = getattr(array, "dtype", type(array).__name__)
            what = f"{name or 'an array'} of shape {np.shape(array)} and type {kind}"
            raise BadInput(f"{path} has {what}: expected numbers, with the inputs along the first axis")
    if not arrays:
        raise BadInput(f"{path} has no arrays: expected inputs under one of {', '.join(ALONE)}")
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def _unpacked(path: Path) -> int:
    """The bytes of a file's arrays in memory, as an archive lists them."""
    if not zipfile.is_zipfile(path):
        return path.stat().st_size
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def expected_count(data: Any) -> int | None:
    """How many inputs there will be, if the data tell; else None."""
    if isinstance(data, str | Path):
        return None
    if isinstance(data, Tensor | np.ndarray):
        return len(data)
    if isinstance(data, Mapping):
        return len(tensors_of(images_of(data))[0]) if data else 0
    if isinstance(data, Sequence):
        return sum(len(tensors_of(images_of(batch))[0]) for batch in data)
    if isinstance(data, DataLoader):
        return _sampled(data)
    dataset: Any = getattr(data, "dataset", getattr(data, "folder", None))
    return len(dataset) if hasattr(dataset, "__len__") else None


def _sampled(loader: DataLoader) -> int | None:
    """How many inputs a loader's sampler takes; None if its dataset or batch sampler makes the batches."""
    counts: Any = loader.sampler if hasattr(loader.sampler, "__len__") else loader.dataset
    return len(counts) if loader.batch_size is not None and hasattr(counts, "__len__") else None


def read_in_turn(batches: Iterable[Any]) -> Iterator[Any]:
    """The batches one by one. Raises `BadInput` with the number of a batch that cannot be read, and the reason."""
    rest = iter(batches)
    for number in itertools.count(1):
        try:
            batch = next(rest)
        except StopIteration:
            return
        except OSError as error:
            raise BadInput(f"batch {number} (the first is 1) cannot be read: {_reason(error)}") from error
        yield batch


def _reason(error: OSError) -> str:
    """What the system said. A worker of a loader puts its own lines before it."""
    lines = str(error).strip().splitlines()
    return lines[-1][:200] if lines and lines[0].startswith("Caught ") else first_words(error)


class Counted:
    """Batches as inputs, to be iterated over once. It counts all inputs, and the different ones among them."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.images, self.seen, self.fresh = 0, set[bytes](), bytearray()  # fresh: 1 for an input that had not come yet

    def __iter__(self) -> Iterator[Inputs]:
        for batch in self.batches:
            inputs = images_of(batch)
            parts = [tensor.detach().cpu().contiguous() for tensor in tensors_of(inputs)]
            self.images += len(parts[0])
            for digest in map(_digest, zip(*parts, strict=True)):
                self.fresh.append(digest not in self.seen)
                self.seen.add(digest)
            yield inputs

    @property
    def different(self) -> int:
        """The number of inputs without repetitions."""
        return len(self.seen)


def _digest(parts: Sequence[Tensor]) -> bytes:
    hasher = hashlib.blake2b(digest_size=12)
    for part in parts:
        hasher.update(part.reshape(-1).view(torch.uint8).numpy().data if part.numel() else b"")
    return hasher.digest()
