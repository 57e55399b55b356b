"""Files that are whole or absent: written under a temporary name, then moved; known by their hash."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

IN_CLONE = (__package__ or "") == "helpers"  # the installed library has another name
ROOT = Path(__file__).resolve().parent.parent if IN_CLONE else Path.cwd()  # never a folder of installed packages

FOLDERS = {  # environment variables, and what takes their place below ROOT
    "SAMEREP_DATA": "data",
    "SAMEREP_RUNS": "runs",
    "SAMEREP_CACHE": "cache",
    "SAMEREP_RESULTS": "results",
}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success move it there, on any error remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks so that its size does not matter."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder(variable: str, default: str) -> Path:
    """A working folder: the environment variable if set, else `default` under the clone's root.

    The installed library takes the folder where Python was started in place of the clone's root.
    """
    return Path(os.environ.get(variable) or ROOT / default)
