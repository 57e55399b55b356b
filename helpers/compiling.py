"""Compile a function with Numba and keep the machine code on disk, but never among installed packages."""

from collections.abc import Callable
from typing import Any

import numba

from .files import IN_CLONE, folder

settings: Any = numba.config


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's `njit` of a function, with a cache on disk.

    In a clone the cache lies beside the source, which is Numba's default. The installed library keeps it under
    $SAMEREP_CACHE, or under `cache/` in the working folder. If nothing can be written there, the function is compiled
    anew in each process. If $NUMBA_CACHE_DIR is set, it decides in both cases.
    """
    if IN_CLONE or settings.CACHE_DIR:
        return numba.njit(cache=True)(function)
    place, before = folder("SAMEREP_CACHE", "cache") / "numba", settings.CACHE_DIR
    try:
        place.mkdir(parents=True, exist_ok=True)
        settings.CACHE_DIR = str(place.resolve())  # Numba asks for it once, when it wraps the function
        return numba.njit(cache=True)(function)
    except OSError:
        return numba.njit(function)
    finally:
        settings.CACHE_DIR = before
