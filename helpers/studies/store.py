"""One store for every kind of study: the record if there is one, else the cached result, else a new result.

A kind of study is described by a `Kind`. This module alone defines the key of a cached result, the rule whether a
record answers for a study, the provenance, and the type of a result.
"""

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from ..errors import BadInput, unknown
from ..files import commit, sweep
from ..networks.architectures import family_module
from ..networks.datasets import Dataset
from ..processes import held
from ..subspaces import Gram, Pair
from .hashes import code_version
from .records import (
    ASKED,
    LIBRARIES,
    cache_root,
    kind_name,
    read_provenance,
    read_tables,
    results_root,
    study_of,
    write_tables,
)
from .study import Study
from .tables import EPSILONS, similarity_table

# ---------------------------------------------------------------- what a kind of study gives

CHECKPOINT_FIELDS = (
    "seed",
    "epoch",
    "sha256",
    "accuracy",
    "device",
    "gpu",
    "precision",
    "threads",
    "weights",
    "torch",
)  # of a checkpoint


@dataclass(frozen=True)
class Computed:
    """What a kind computes: its tables, how they were made (`origin`), and the compressed layers to keep.

    `held` names the seeds of each Gram matrix, in its order. `settings` holds the values of settings that were left
    open.
    """

    tables: dict[str, pd.DataFrame]
    origin: dict[str, Any] = field(default_factory=dict)
    held: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grams: dict[str, Gram] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def origin_of(data: Dataset, sidecars: Sequence[dict[str, Any]], networks: Sequence[nn.Module]) -> dict[str, Any]:
    """How tables were made: images, checkpoints (from their sidecars), and the device that the networks ran on."""
    devices = {parameter.device.type for network in networks for parameter in network.parameters()}
    return {
        "data_sha256": data.sha256,
        "images": len(data.images),
        "checkpoints": [{name: sidecar[name] for name in CHECKPOINT_FIELDS if name in sidecar} for sidecar in sidecars],
        "train_seconds": round(sum(s["train_seconds"] or 0 for s in sidecars), 1),  # None: an epoch on the way
        "device": " and ".join(sorted(devices)),
    }


def origin_of_result(result: "Result") -> dict[str, Any]:
    """How tables were made that are computed from another study's result: the networks and images of that study."""
    wanted = ("data_sha256", "images", "checkpoints", "train_seconds", "device")
    return {name: result.provenance[name] for name in wanted if name in result.provenance}


@dataclass(frozen=True)
class Kind:
    """A kind of study: its name, what it shows in a few words, and `compute(study, progress=…, **settings)`.

    `defaults` names the settings that it takes besides the study. Its records are called PREFIX-STUDY, where the
    prefix is by default the name. `label(settings)` is appended for settings that need a record of their own.
    `some_layers`: a record of some layers answers for a study that names no layers. `thin` drops what a record does
    not need. A kind that is not computed from a `Study` has no `compute` but a command of its own, and names its
    `module`.
    """

    name: str
    about: str
    compute: Callable[..., Computed] | None
    prefix: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    label: Callable[[Mapping[str, Any]], str] = lambda settings: ""
    some_layers: bool = False
    thin: Callable[["Result"], "Result"] = lambda result: result
    module: str = ""

    @property
    def code_module(self) -> str:
        """The module that computes this kind, below the package: "studies.seeds"."""
        return self.compute.__module__.partition(".")[2] if self.compute else self.module

    def code_for(self, network: str | None) -> str:
        """The hash of the code that computes this kind now for one of this book's networks; None stands for any."""
        return code_version(self.code_module, family=family_module(network) if network else None)

    def settled(self, settings: Mapping[str, Any] | None) -> dict[str, Any]:
        """All settings, with the defaults where none is given. Raises `BadInput` for an unknown one."""
        for name in settings or ():
            if name not in self.defaults:
                raise unknown(f"setting of {self.name}", name, self.defaults)
        return {**self.defaults, **(settings or {})}

    def record_name(self, study: Study | None, settings: Mapping[str, Any] | None = None) -> str:
        """The name of the record's folder."""
        prefix = self.name if self.prefix is None else self.prefix
        parts = (prefix, study.id if study else "", self.label(self.settled(settings)))
        return "-".join(part for part in parts if part)


@dataclass
class Result:
    """The tables of a study of any kind, its provenance, and the compressed layers that were kept.

    `held` names the seeds of each kept Gram matrix, in its order: a record keeps fewer networks than it compared.
    """

    study: Study
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    held: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grams: dict[str, Gram] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its kind with which it was computed."""
        return self.provenance.get("settings", {})

    @property
    def gram_layers(self) -> list[str]:
        """Layers whose Gram matrix of at least two of the study's networks was kept, from the input on."""
        return [layer for layer in self.held if len(self.gram_seeds(layer)) > 1]

    def gram_seeds(self, layer: str) -> tuple[int, ...]:
        """The study's seeds whose activations of this layer were kept, in the order of `gram(layer)`."""
        held = self.held.get(layer, ())
        return tuple(seed for seed in self.study.seeds if seed in held)

    def gram(self, layer: str, seeds: Sequence[int] | None = None) -> Gram:
        """The Gram matrix of one layer for the networks with these seeds; by default for all in `gram_seeds(layer)`.

        Raises `BadInput` for a layer or a seed that was not kept, and names those that were.
        """
        if layer not in self.gram_layers:
            raise unknown("compressed layer", layer, self.gram_layers)
        wanted = self.gram_seeds(layer) if seeds is None else tuple(seeds)
        held = self.held[layer]
        for seed in wanted:
            if seed not in held:
                kept = ", ".join(map(str, held))
                raise BadInput(f"seed {seed} of layer {layer} was not kept compressed: kept are seeds {kept}")
        if layer not in self.grams:
            assert self.folder is not None
            name = f"grams/{layer}.npz"
            self.grams[layer] = Gram.load(self.folder / name, self.provenance.get("files", {}).get(name))
        return self.grams[layer].networks([held.index(seed) for seed in wanted])

    def pair(self, layer: str, seed_a: int | None = None, seed_b: int | None = None) -> Pair:
        """Two networks' neurons of a layer, ready to match. By default these are the first two that were kept.

        Raises `BadInput` for a single seed, and for a layer or a seed that was not kept.
        """
        if (seed_a is None) != (seed_b is None):
            raise BadInput("one seed is given: expected two, or none for the first two that were kept")
        seeds = None if seed_a is None else [seed_a, seed_b]
        return self.gram(layer, seeds).pair(0, 1)  # type: ignore[arg-type]

    def similarity(self, epsilons: Sequence[float] = EPSILONS) -> pd.DataFrame:
        """Maximum matching similarity per layer, pair and ε. Any ε in [0, 1) is possible."""
        return similarity_table(self.tables["critical"], epsilons)


# ---------------------------------------------------------------- record, else cache, else compute


def find_or_compute(
    kind: Kind,
    study: Study,
    settings: Mapping[str, Any] | None = None,
    recompute: bool = False,
    progress: bool = True,
) -> Result:
    """The record of these parameters if there is one, else the cached result, else a new result, which is cached.

    A record with more seeds or layers is enough for fewer. `recompute` ignores the record and the cache.
    """
    if not recompute:
        recorded = find_record(kind, study, settings)
        if recorded:
            return recorded
    cached = cache_root() / study_key(kind, study, settings)
    with held(cached, "computing", wait=True):  # another process may be about to end the same study
        sweep(cache_root())
        if not recompute and (cached / "provenance.json").exists():
            return read(study, cached)
        result = computed_now(kind, study, settings, progress)
        result.folder = write(result, cached)
    return result


def computed_now(kind: Kind, study: Study, settings: Mapping[str, Any] | None = None, progress: bool = True) -> Result:
    """The kind's result with its provenance, computed anew. Raises `BadInput` for a kind without a study."""
    if kind.compute is None:
        raise BadInput(f"{kind.name} are not computed from a study: {kind.about}")
    start = time.perf_counter()
    chosen = kind.settled(settings)
    computed = kind.compute(study, progress=progress, **chosen)
    known = provenance_of(kind, study, computed, chosen, time.perf_counter() - start)
    return Result(study, computed.tables, known, dict(computed.held), dict(computed.grams))


def provenance_of(
    kind: Kind, study: Study | None, computed: Computed, settings: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """How a record was made: parameters, data, weights, code, libraries, machine, time."""
    return {
        "kind": kind.name,
        "study": asdict(study) | {"epochs": study.runs[0].recipe.epochs} if study else {},
        "settings": as_json({**settings, **computed.settings}),
        **computed.origin,
        "code": kind.code_for(study.network if study else None),
        "commit": commit(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "seconds": round(seconds, 1),
    }


def as_json(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in the form that a JSON file holds. A setting may be another study."""
    plain = {name: asdict(value) if isinstance(value, Study) else value for name, value in settings.items()}
    return json.loads(json.dumps(plain))


def study_key(kind: Kind, study: Study, settings: Mapping[str, Any] | None = None) -> str:
    """The name of a cached result: a hash of the parameters, the code that uses them, and the libraries."""
    libraries, code = {name: version(name) for name in LIBRARIES}, kind.code_for(study.network)
    text = json.dumps([kind.name, asdict(study), as_json(kind.settled(settings)), code, libraries], sort_keys=True)
    return f"{kind.name}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def find_record(kind: Kind, study: Study, settings: Mapping[str, Any] | None = None) -> Result | None:
    """The record that `answers` for this study, reduced to its seeds and layers; None if there is none."""
    place = results_root() / kind.record_name(study, settings)
    ASKED.add(place.name)
    if not (place / "provenance.json").exists():
        return None
    known = read_provenance(place)
    check_name(kind, known, place)
    return _cut(read(study, place)) if answers(kind, known, study, settings) else None


def check_name(kind: Kind, known: Mapping[str, Any], place: Path) -> None:
    """Raise `BadInput` if a record is of another kind or study than the name of its folder says."""
    settings = {name: value for name, value in known.get("settings", {}).items() if name in kind.defaults}
    name = kind.record_name(study_of(known, str(place / "provenance.json")), settings)
    if kind_name(known) != kind.name or name != place.name:
        raise BadInput(f"{place} holds the {kind_name(known)} record {name}: expected the record of its own name")


def answers(kind: Kind, known: dict[str, Any], study: Study, settings: Mapping[str, Any] | None = None) -> bool:
    """Whether a record with the provenance `known` has everything that a study of this kind asks for."""
    recorded, made = known["study"], known.get("settings", {})
    layers = study.layers or (() if kind.some_layers else (None,))
    return (
        set(study.seeds) <= set(recorded["seeds"])
        and recorded["epochs"]
        in (study.runs[0].recipe.epochs, study.epochs)  # None, in older records: the recipe's own
        and (recorded["layers"] is None or set(layers) <= set(recorded["layers"]))
        and recorded["sampled"] >= study.sampled
        and set(study.keep) <= set(known.get("grams", ()))
        and all(_has(made.get(name), wanted) for name, wanted in as_json(kind.settled(settings)).items())
    )


def _has(made: Any, wanted: Any) -> bool:
    """Whether a recorded setting is enough for a wanted one: a list may hold more, and None accepts any value."""
    if isinstance(wanted, list) and isinstance(made, list):
        return all(value in made for value in wanted)
    return wanted is None or made == wanted


def _cut(result: Result) -> Result:
    """The result with only the rows of the study's seeds and layers. Raises `BadInput` for a layer that it lacks."""
    study, tables = result.study, result.tables
    names = tables["critical"]["layer"].unique() if "critical" in tables else study.layers or ()
    for layer in study.layers or ():
        if layer not in names:
            raise unknown("layer", layer, names)
    tables = {name: rows_of(study, table) for name, table in tables.items()}
    wanted = {layer: seeds for layer, seeds in result.held.items() if study.layers is None or layer in study.layers}
    return replace(result, tables=tables, held=wanted)


def rows_of(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table that are about the study's seeds and layers."""
    seeds = [column for column in ("seed", "seed_a", "seed_b") if column in table]
    keep = table[seeds].isin(study.seeds).all(axis=1)
    if study.layers is not None and "layer" in table:
        keep &= table["layer"].isin(study.layers)
    return table[keep].reset_index(drop=True)


# ---------------------------------------------------------------- records


def record(kind: Kind, study: Study, settings: Mapping[str, Any] | None = None, progress: bool = True) -> Path:
    """Compute a study and write it to `results/` in place of an older record, whole or not at all.

    Raises `BadInput` if the older record holds seeds, layers, draws or kept layers that this study lacks.
    """
    place = results_root() / kind.record_name(study, settings)
    with held(place, "recording"):
        sweep(results_root())
        check_replaces(place, study)
        return write(kind.thin(computed_now(kind, study, settings, progress)), place)


def record_computed(kind: Kind, computed: Computed, settings: Mapping[str, Any], seconds: float) -> Path:
    """Write to `results/` what was computed without a `Study`, in place of an older record with its name."""
    known = provenance_of(kind, None, computed, settings, seconds)
    return write_tables(computed.tables, known, results_root() / kind.record_name(None, settings))


def check_replaces(place: Path, study: Study) -> None:
    """Raise `BadInput` if a record lies there that holds more, because the new record would lose it."""
    if not (place / "provenance.json").exists():
        return
    known = read_provenance(place)["study"]
    if not set(known["seeds"]) <= set(study.seeds):
        raise BadInput(
            f"seeds are {list(study.seeds)}: {place.name} is recorded with {known['seeds']}; give all of them"
        )
    if study.layers is not None and not set(known["layers"] or ("all",)) <= set(study.layers):
        held = ", ".join(known["layers"] or ["all layers"])
        raise BadInput(f"layers are {', '.join(study.layers)}: {place.name} is recorded with {held}; give all of them")
    if known["sampled"] and not study.sampled:
        raise BadInput(
            f"sampled is False: {place.name} is recorded with the paper's sampling; record it with --sampled"
        )
    if lost := set(known.get("keep", ())) - set(study.keep):
        raise BadInput(
            f"keep is {list(study.keep)}: {place.name} also keeps {', '.join(sorted(lost))}; give all of them"
        )


def recorded_study(place: Path) -> Study:
    """The parameters of a record, as a `Study`. Raises `BadInput` if they are missing or another record's."""
    study = study_of(read_provenance(place), str(place / "provenance.json"))
    if study.id not in place.name:
        raise BadInput(f"{place} holds a record of {study.id}: expected the record of its own name")
    return study


def write(result: Result, place: Path) -> Path:
    """Write tables as parquet, layers as npz, and the provenance with each file's hash, whole or not at all."""
    if result.folder == place:
        return place
    grams = {layer: result.gram(layer) for layer in result.gram_layers}
    held = {layer: list(result.gram_seeds(layer)) for layer in grams}
    return write_tables(result.tables, result.provenance | {"grams": held}, place, grams)


def read(study: Study, place: Path) -> Result:
    """The result that `write` wrote. Every file is checked against its hash; `BadInput` names a damaged one."""
    tables, provenance = read_tables(place)
    held = {layer: tuple(seeds) for layer, seeds in provenance.get("grams", {}).items()}
    return Result(study, tables, provenance, held, folder=place)
