"""The recorded comparisons of two networks on images, as tables and in words."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..studies.records import read_tables, records_of
from ..studies.tables import similarity_table


def recorded_comparisons() -> dict[str, tuple[dict[str, pd.DataFrame], dict[str, Any]]]:
    """Tables and provenance of every recorded ImageNet comparison, by the name under which it was recorded."""
    return {place.name.removeprefix("imagenet-"): read_tables(place) for place in records_of("two_networks")}


def critical_by_comparison() -> dict[str, pd.DataFrame]:
    """Critical ε of every recorded comparison, by its name."""
    return {name: tables["critical"] for name, (tables, _) in recorded_comparisons().items()}


def wide_similarity(tables: dict[str, pd.DataFrame], epsilons: Sequence[float]) -> pd.DataFrame:
    """Similarity: one row per network and layer, one column per ε."""
    parts = []
    for name, critical in tables.items():
        similarity = similarity_table(critical, epsilons)
        table = similarity.pivot(
            index=["position", "layer", "neurons"], columns="epsilon", values="similarity"
        ).reset_index()
        table = table.rename(columns={epsilon: f"ε = {epsilon:g}" for epsilon in epsilons})
        parts.append(table.drop(columns="position").assign(neurons=table["neurons"] // 2, network=name))
    whole = pd.concat(parts, ignore_index=True)
    return whole[["network", *(column for column in whole.columns if column != "network")]]


def beyond_first(tables: dict[str, pd.DataFrame], epsilon: float) -> str:
    """In words: for each comparison, the range of similarity at ε over all layers but the first."""
    parts = []
    for name, critical in tables.items():
        similarity = similarity_table(critical, [epsilon])
        deeper = similarity.loc[similarity["position"] > similarity["position"].min(), "similarity"]
        parts.append(f"{name.partition(':')[0]} {deeper.min():.2f} to {deeper.max():.2f}")
    return "; ".join(parts)


def fewest_samples(tables: dict[str, pd.DataFrame]) -> str:
    """In words: the smallest number of samples per neuron among the layers of each comparison, and the layer."""
    parts = []
    for name, critical in tables.items():
        counts = critical.groupby("layer").agg(samples=("samples", "first"), neurons=("neuron", "nunique"))
        ratio = counts["samples"] / counts["neurons"]
        parts.append(f"{name.partition(':')[0]} {ratio.min():.0f} ({ratio.idxmin()})")
    return "; ".join(parts)


def image_counts() -> str:
    """In words: how many images are behind the recorded comparisons, as "119" or "119 to 500"."""
    counts = [int(known["images"]) for _, known in recorded_comparisons().values()]
    return " to ".join(str(count) for count in sorted({min(counts), max(counts)}))


def recording_costs(images: int) -> pd.DataFrame:
    """Time and memory of each recorded comparison, and the hours that `images` images would take at that speed."""
    rows = [
        {
            "network": name,
            "weights": " and ".join(known["study"]["weights"]),
            "images": known["images"],
            "threads": known["threads"],
            "seconds": known["seconds"],
            "peak_memory_in_GiB": known["peak_memory_gib"],
            f"hours_for_{images}_images": known["seconds"] / known["images"] * images / 3600,
        }
        for name, (_, known) in recorded_comparisons().items()
    ]
    return pd.DataFrame(rows)


def left_out_layers() -> pd.DataFrame:
    """The layers for which the recorded comparisons had too few images."""
    parts = [tables["left_out"].assign(network=name) for name, (tables, _) in recorded_comparisons().items()]
    table = pd.concat(parts, ignore_index=True)
    return table[["network", *(column for column in table.columns if column != "network")]]
