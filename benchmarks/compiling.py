"""What the compiled path costs once: the first call in a process without, and with, Numba's cache on disk."""

import os
import subprocess
import sys
import tempfile

import pandas as pd

from helpers.files import ROOT

PROGRAM = """
import time
from benchmarks import layers
from helpers.matching import maximum_match, minimal_match_of_each
x, y = layers.mixed(8, 100)
for call in (lambda: maximum_match(x, y, 0.5), lambda: minimal_match_of_each(x, y, 0.5)):
    for _ in range(2):
        start = time.process_time()
        call()
        print(time.process_time() - start)
"""


def first_calls(cache: str) -> list[float]:
    """CPU seconds of two maximum matches, then of two passes over all v, in a new process."""
    environment = os.environ | {"NUMBA_CACHE_DIR": cache, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
        cwd=ROOT,
        env=environment,
    )
    return [float(line) for line in done.stdout.split()]


def table() -> pd.DataFrame:
    """First and later calls, compiled anew and loaded from the cache."""
    with tempfile.TemporaryDirectory() as cache:
        runs = {"compiled now": first_calls(cache), "from Numba's cache": first_calls(cache)}
    columns = ["maximum match, first call", "second call", "all v, first call", "second call of all v"]
    return pd.DataFrame([[name, *seconds] for name, seconds in runs.items()], columns=["code", *columns])
