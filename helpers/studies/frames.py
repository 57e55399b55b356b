"""Tables that are read back: their size is limited before they are unpacked, and their values must be possible."""

import zlib
from collections.abc import Hashable
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from pyarrow import ArrowException, parquet

from ..errors import BadInput, shown

WORDS = ("layer", "layer_b", "measure", "network", "dataset", "side")
SHARES = ("critical_epsilon", "similarity", "accuracy", "epsilon")  # from 0 to 1
NEVER = "critical_epsilon"  # infinite for a neuron that never matches
CRITICAL = ("side", "neuron", "critical_epsilon", "dead", "layer")  # what a table of critical ε has at least
MEASURED = ("critical_epsilon", "dead", "power", "neuron")  # what is not the same for all neurons of a layer


def read_frame(source: Path | IO[bytes], most: int) -> pd.DataFrame:
    """A parquet table, with categories as words. Raises `BadInput` if it would unpack to more than `most` bytes.

    It is raised for a file that is no table, too. Nobody but the caller knows the name of the file.
    """
    try:
        known = parquet.read_metadata(source)
        size = sum(known.row_group(group).total_byte_size for group in range(known.num_row_groups))
        size = max(size, 8 * known.num_rows * known.num_columns)
        if size > most:
            raise BadInput(f"would unfold to {size} bytes: expected at most {most}")
        return _plain(pd.read_parquet(source))
    except BadInput:
        raise
    except (ArrowException, OSError, ValueError, TypeError, KeyError, zlib.error):
        raise BadInput("cannot be read as a table") from None


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with categories as words again."""
    words = table.select_dtypes(include=["category"]).columns
    return table.astype(dict.fromkeys(words, str))


def check_frame(name: str, table: pd.DataFrame) -> None:
    """Raise `BadInput` for values that no study can give: a share above 1, NaN, a layer without a name.

    A table of critical ε has every neuron of a layer exactly once.
    """
    for column in CRITICAL if name == "critical" else ():
        if column not in table:
            raise BadInput(f"has no column {column}: expected one in a table of critical ε")
    for column in table.columns[[kind.kind == "O" for kind in table.dtypes]]:
        if not table[column].map(lambda value: isinstance(value, Hashable)).all():
            raise BadInput(f"has lists in column {column}: expected one value in each place")
    for column in table.columns.intersection([*WORDS]):
        if not table[column].map(lambda value: isinstance(value, str)).all():
            raise BadInput(f"has {_first(table[column], str)} in column {column}: expected names")
    for column in table.columns.intersection([*SHARES]):
        _check_shares(table[column], infinite=column == NEVER)
    if name == "critical":
        _check_neurons(table)


def _first(values: "pd.Series[str]", kind: type) -> str:
    return next(shown(value) for value in values if not isinstance(value, kind))


def _check_shares(values: "pd.Series[float]", infinite: bool) -> None:
    if values.dtype.kind != "f":
        raise BadInput(f"has values of type {values.dtype} in column {values.name}: expected numbers")
    possible = values.between(0, 1) | (np.isposinf(values) & infinite)
    if not possible.all():
        raise BadInput(f"has {values[~possible].iloc[0]:g} in column {values.name}: expected numbers from 0 to 1")


def _check_neurons(table: pd.DataFrame) -> None:
    """Raise `BadInput` unless there are layers, and the neurons of each are numbered from 0, each once."""
    if table.empty:
        raise BadInput("has no rows: expected one per neuron")
    if table["neuron"].dtype.kind not in "iu" or table["dead"].dtype.kind != "b":
        raise BadInput("has neurons without numbers, or dead ones in words: expected whole numbers, and True or False")
    by = [column for column in table.columns if column not in MEASURED]
    groups = table.groupby(by, sort=False, observed=True, dropna=False)["neuron"]
    counts = groups.agg(["size", "nunique", "min", "max"])
    whole = (counts["size"] == counts["nunique"]) & (counts["min"] == 0) & (counts["max"] == counts["size"] - 1)
    if not whole.all():
        raise BadInput("lacks some neurons of a layer, or has them twice: expected each once, from number 0")
