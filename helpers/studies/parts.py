"""Tables that are made of parts. Each part is a task of its own and is stored, so that a stopped study can continue."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from ..errors import BadInput
from ..files import atomic
from .frames import read_frame
from .parallel import each
from .records import LARGEST_TABLE, cache_root


def all_parts(
    key: Sequence[Any], makers: Mapping[str, Callable[[], pd.DataFrame]], label: str, progress: bool = True
) -> pd.DataFrame:
    """One table from the tables of all parts. Each part is a task of its own; `key` holds all that they depend on."""
    return pd.concat(
        each(part, [(key, name, make) for name, make in makers.items()], label, progress), ignore_index=True
    )


def part(key: Sequence[Any], name: str, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table that is computed once and then read, so that an interrupted study can continue.

    `key` holds everything that the table depends on.
    """
    place = cache_root() / "parts" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:20] / f"{name}.parquet"
    if place.exists():
        with suppress(BadInput):  # a damaged part is computed again
            return read_frame(place, LARGEST_TABLE)
    table = make()
    with atomic(place) as temporary:
        table.to_parquet(temporary)
    return table
