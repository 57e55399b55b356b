"""Read saved Gram matrices without trust: sizes are limited before anything is unpacked, and the numbers are checked.

A Gram matrix Z Zᵀ has squares on its diagonal, entries that satisfy the Cauchy-Schwarz inequality, and no negative
eigenvalue. The sums Z·1 satisfy that inequality, too. Rounding errors are far below `ROUNDING`.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.lib import format as npy
from scipy.linalg import LinAlgError, cholesky

from .errors import BadInput
from .files import sha256

MOST_NEURONS = 16_384  # of all networks together: a matrix of 2 GiB
ROUNDING = 1e-8  # of a matrix scaled to a unit diagonal
ARRAYS = ("upper", "sums", "samples", "sizes")

Upper = Float[np.ndarray, " entries"]
Sums = Float[np.ndarray, " neurons"]


def read_gram(path: Path, expected: str | None = None) -> tuple[Upper, Sums, int, tuple[int, ...]]:
    """Upper triangle, sums, number of samples, and neurons per network of a saved Gram matrix.

    `expected` is its SHA-256, if it is known. `BadInput`, which names the file, is raised for another hash and for a
    missing file. It is also raised for an archive that would unpack to more than fits together, and for numbers that
    no activations can have.
    """
    try:
        if expected is not None and sha256(path) != expected:
            raise BadInput(f"{path} has changed since it was written: restore it, or delete its folder and run again")
        check_sizes(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ARRAYS}
        return _checked(arrays)
    except BadInput as error:
        raise BadInput(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    except Exception as error:  # zipfile, zlib and numpy raise many kinds on a damaged archive
        raise BadInput(f"{path} is damaged, or no saved Gram matrix: {type(error).__name__}") from None


def check_sizes(path: Path) -> None:
    """Raise `BadInput` if the arrays' headers or the archive's list ask for more than a Gram matrix has."""
    with zipfile.ZipFile(path) as archive:
        sizes = {entry.filename.removesuffix(".npy"): entry.file_size for entry in archive.infolist()}
        if set(sizes) != set(ARRAYS):
            raise BadInput(f"arrays {', '.join(sorted(sizes))[:100]}: expected {', '.join(ARRAYS)}")
        headers = {name: _header(archive, f"{name}.npy") for name in ARRAYS}
    neurons = headers["sums"][0]
    wanted = {"sums": (neurons,), "upper": (neurons * (neurons + 1) // 2,), "samples": (), "sizes": headers["sizes"]}
    if neurons > MOST_NEURONS or len(headers["sizes"]) != 1 or headers["sizes"][0] > neurons or headers != wanted:
        raise BadInput(
            f"arrays of shapes {headers}: expected those of one Gram matrix of at most {MOST_NEURONS} neurons"
        )
    if any(size > 8 * (np.prod(headers[name], dtype=int) + 1) + 1024 for name, size in sizes.items()):
        raise BadInput("unfolds to more than its arrays need: expected a saved Gram matrix")


def _header(archive: zipfile.ZipFile, name: str) -> tuple[int, ...]:
    """The shape in an array's header. Only the header is unpacked."""
    with archive.open(name) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(file)
    if kind.kind not in "iuf" or kind.itemsize > 8:
        raise BadInput(f"{name} is of type {kind}: expected numbers")
    return shape or () if name == "samples.npy" else (shape or (0,))


def _checked(arrays: dict[str, Any]) -> tuple[Upper, Sums, int, tuple[int, ...]]:
    """The arrays. Raises `BadInput` if no activations can have given them."""
    upper, sums = (np.asarray(arrays[name], dtype=np.float64) for name in ("upper", "sums"))
    samples, sizes = arrays["samples"].item(), tuple(arrays["sizes"].tolist())
    if not isinstance(samples, int) or samples < 1:
        raise BadInput(f"{samples} samples: expected a whole number from 1")
    if any(not isinstance(size, int) or size < 1 for size in sizes) or sum(sizes) != len(sums):
        raise BadInput(f"networks of {sizes} neurons and {len(sums)} sums: expected sizes that add up")
    if not (np.isfinite(upper).all() and np.isfinite(sums).all()):
        raise BadInput("NaN or infinite values: expected finite ones")
    squares = upper[np.cumsum([0, *range(len(sums), 1, -1)])]
    if (squares < 0).any() or (sums**2 > samples * squares * (1 + ROUNDING)).any():
        raise BadInput("squares too small for their sums: expected those of real activations")
    check_semidefinite(full(upper, len(sums)))
    return upper, sums, samples, sizes


def full(upper: Upper, neurons: int) -> Float[np.ndarray, "neurons neurons"]:
    """The symmetric matrix of an upper triangle."""
    gram = np.zeros((neurons, neurons))
    gram[np.triu_indices(neurons)] = upper
    return gram + np.triu(gram, 1).T


def check_semidefinite(gram: Float[np.ndarray, "neurons neurons"]) -> None:
    """Raise `BadInput` if the matrix at unit diagonal has an eigenvalue that is negative by more than rounding."""
    norms = np.sqrt(np.diag(gram))
    alive = norms > 0
    if gram[~alive].any():
        raise BadInput("products of a dead neuron: expected zeros")
    unit = gram[np.ix_(alive, alive)] / norms[alive, None] / norms[alive]
    try:
        cholesky(unit + ROUNDING * max(1, len(unit) / 100) * np.eye(len(unit)), overwrite_a=True)
    except LinAlgError:
        raise BadInput("not positive semidefinite: expected the products of real activations") from None
