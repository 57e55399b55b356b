"""The clock and the machine: CPU seconds of one thread, and what is needed to read them."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

LIBRARIES = ("numpy", "scipy", "numba")


def clock(function: Callable[[], Any], repeats: int = 1) -> tuple[Any, float]:
    """What the function returns, and the least CPU seconds it took: other work on the machine only ever adds."""
    best, result = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return result, best


@contextmanager
def numpy_only() -> Iterator[None]:
    """Inside, the engine takes its pure NumPy path."""
    before = os.environ.get("SAMEREP_BACKEND")
    os.environ["SAMEREP_BACKEND"] = "numpy"
    try:
        yield
    finally:
        os.environ.pop("SAMEREP_BACKEND")
        if before is not None:
            os.environ["SAMEREP_BACKEND"] = before


def processor() -> str:
    """The processor's name, where the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if "model name" in line
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def kernels() -> list[str]:
    """The matrix libraries loaded, each with the processor family whose kernel it runs."""
    lines = {f"{p['internal_api']} {p['version']}, {p.get('architecture')} kernel" for p in threadpool_info()}
    return sorted(lines)


def describe() -> dict[str, Any]:
    """What the seconds depend on; no names of machines or folders."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": 1,
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "blas": kernels(),
        "blas_overridden": sorted(k for k in os.environ if k.startswith("OPENBLAS_") and "NUM_THREADS" not in k),
    }
