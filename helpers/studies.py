"""Parameters → trained networks → representations → tidy tables: read from the record, else from the cache, else run.

A study is one network on one dataset, trained from several seeds; every layer of every pair of seeds is matched. What
is recorded lies in `results/STUDY/` (in the repository), what is computed in `cache/` under a key of everything that
could change it, the code included.
"""

import hashlib
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from helpers import datasets, networks, training
from helpers.errors import BadInput, unknown
from helpers.files import ROOT, folder, sha256
from helpers.matching import check_epsilon, critical_epsilons
from helpers.networks import Layer
from helpers.representations import Compressed, Sampling, calibrate, collect
from helpers.subspaces import Gram

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)  # the paper's
TABLES = ("networks", "critical", "similarity", "sampled")
GRAM_CHANNELS = 128  # layers up to this many neurons a network are recorded compressed, for readers to match
CODE = ("datasets", "networks", "training", "representations", "subspaces", "peeling", "matching", "studies")
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "numba", "pandas")


@dataclass(frozen=True)
class Study:
    """What to compare. `epoch` None is the recipe's last; 0 the untrained networks, calibrated on the test images.

    `images` None is the whole test set; `layers` None all of them. `before_relu` takes each layer before its ReLU.
    """

    dataset: str = "digits"
    network: str = "vgg11_bn"
    width: float = 0.125
    seeds: tuple[int, ...] = (0, 1)
    recipe: str = "digits"
    epochs: int | None = None
    epoch: int | None = None
    images: int | None = None
    layers: tuple[str, ...] | None = None
    before_relu: bool = False
    sampled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(self.layers))
        if self.images is not None and self.images < 1:
            raise BadInput(f"images is {self.images}: expected a positive number, or None for the whole test set")
        last = self.runs[0].recipe.epochs
        if self.epoch is not None and not 0 <= self.epoch <= last:
            raise BadInput(f"epoch is {self.epoch}: expected 0 (untrained) to {last}")

    @property
    def runs(self) -> list[training.Run]:
        """One training per seed."""
        return [
            training.plan(self.network, self.dataset, self.width, seed, self.recipe, self.epochs) for seed in self.seeds
        ]

    @property
    def id(self) -> str:
        """The name of the study's folder: everything but the seeds."""
        recipe = self.runs[0].recipe
        parts = [self.dataset, self.network, f"w{self.width:g}", f"{recipe.name}{recipe.epochs}"]
        parts += [f"epoch{self.epoch}"] if self.epoch is not None else []
        parts += [f"{self.images}images"] if self.images else []
        parts += ["before-relu"] if self.before_relu else []
        return "-".join(parts)

    @property
    def key(self) -> str:
        """Content address: the parameters, the code they pass through, and the libraries."""
        libraries = {name: version(name) for name in LIBRARIES}
        text = json.dumps([asdict(self), code_version(), libraries], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """At least two different whole numbers."""
    try:
        found = tuple(int(seed) for seed in seeds)
    except (TypeError, ValueError):
        raise BadInput(f"seeds are {seeds!r}: expected a list of whole numbers") from None
    if len(found) < 2:
        raise BadInput(f"seeds are {list(found)}: expected at least two, one per network to compare")
    if len(set(found)) < len(found):
        raise BadInput(f"seeds {list(found)} repeat: a network is not compared with itself; give each seed once")
    return found


@cache
def code_version() -> str:
    """Hash of the modules a study's numbers pass through."""
    hashes = [sha256(ROOT / "helpers" / f"{name}.py") for name in CODE]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


@dataclass
class Result:
    """The tables of a study, its provenance, and the compressed layers that were kept."""

    study: Study
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    grams: dict[str, Gram] = field(default_factory=dict)
    folder: Path | None = None

    def gram(self, layer: str) -> Gram:
        """One layer of all networks, compressed; BadInput names the layers that were kept."""
        if layer in self.grams:
            return self.grams[layer]
        kept = self.kept
        if layer not in kept or self.folder is None:
            raise unknown("compressed layer", layer, sorted(kept))
        self.grams[layer] = Gram.load(self.folder / "grams" / f"{layer}.npz")
        return self.grams[layer]

    @property
    def kept(self) -> list[str]:
        """Layers whose Gram matrix is at hand."""
        files = sorted((self.folder / "grams").glob("*.npz")) if self.folder else []
        return sorted({*self.grams, *(path.stem for path in files)})

    def similarity(self, epsilons: Sequence[float] = EPSILONS) -> pd.DataFrame:
        """Maximum matching similarity per layer, pair and ε, from the critical ε (any ε in [0, 1))."""
        return similarity_table(self.tables["critical"], epsilons)


# ---------------------------------------------------------------- where results come from


def results_root() -> Path:
    """The records in the repository: $SAMEREP_RESULTS, else `results/`."""
    return folder("SAMEREP_RESULTS", "results")


def cache_root() -> Path:
    """Computed and not recorded: $SAMEREP_CACHE, else `cache/` (git-ignored)."""
    return folder("SAMEREP_CACHE", "cache")


def run(study: Study, recompute: bool = False, progress: bool = True) -> Result:
    """The record if there is one for these parameters, else the cached result, else computed now and cached.

    A record with more seeds or layers answers for fewer. `recompute` ignores both and computes.
    """
    if not recompute:
        recorded = find_record(study)
        if recorded:
            return recorded
        cached = cache_root() / study.key
        if (cached / "provenance.json").exists():
            return read(study, cached)
    result = compute(study, progress)
    result.folder = write(result, cache_root() / study.key)
    return result


def find_record(study: Study) -> Result | None:
    """The record that holds this study, cut down to its seeds and layers; None if there is none."""
    place = results_root() / study.id
    if not (place / "provenance.json").exists():
        return None
    known = read_provenance(place)["study"]
    if not set(study.seeds) <= set(known["seeds"]) or known["epochs"] != study.runs[0].recipe.epochs:
        return None
    return _cut(read(study, place), known["seeds"])


def _cut(result: Result, recorded: list[int]) -> Result:
    study = result.study
    tables = dict(result.tables)
    for name, table in tables.items():
        seeds = [column for column in ("seed", "seed_a", "seed_b") if column in table]
        keep = table[seeds].isin(study.seeds).all(axis=1)
        if study.layers is not None and "layer" in table:
            names = table["layer"].unique()
            for layer in study.layers:
                if layer not in names:
                    raise unknown("layer", layer, names)
            keep &= table["layer"].isin(study.layers)
        tables[name] = table[keep].reset_index(drop=True)
    result = replace(result, tables=tables)
    if list(study.seeds) != recorded:
        chosen = [recorded.index(seed) for seed in study.seeds if seed in recorded]
        result.grams = {layer: result.gram(layer).networks(chosen) for layer in result.kept if len(chosen) > 1}
    return result


def record(study: Study, recompute: bool = False, progress: bool = True) -> Path:
    """Run a study and put it into `results/`; the folder appears whole or not at all."""
    return write(run(study, recompute, progress), results_root() / study.id)


def records() -> list[Path]:
    """Folders of all recorded studies."""
    return sorted(path.parent for path in results_root().glob("*/provenance.json"))


def write(result: Result, place: Path) -> Path:
    """Tables as parquet, compressed layers as npz, provenance with the hash of each file: moved into place as one."""
    if result.folder == place:
        return place
    scratch = place.with_name(f".{place.name}.part")
    shutil.rmtree(scratch, ignore_errors=True)
    (scratch / "grams").mkdir(parents=True)
    for name, table in result.tables.items():
        compact(table).to_parquet(scratch / f"{name}.parquet", compression="zstd")
    for layer in result.kept:
        result.gram(layer).save(scratch / "grams" / f"{layer}.npz")
    files = {str(path.relative_to(scratch)): sha256(path) for path in sorted(scratch.rglob("*.*"))}
    (scratch / "provenance.json").write_text(json.dumps(result.provenance | {"files": files}, indent=1) + "\n")
    shutil.rmtree(place, ignore_errors=True)
    scratch.rename(place)
    return place


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """Repeated words as categories, which parquet stores once."""
    words = table.select_dtypes(include=["object", "string"]).columns
    return table.astype(dict.fromkeys(words, "category"))


def read_provenance(place: Path) -> dict[str, Any]:
    """What is known of a record; BadInput if it cannot be read."""
    try:
        return json.loads((place / "provenance.json").read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"{place / 'provenance.json'} is missing or damaged: {mend(place)}") from error


def mend(place: Path) -> str:
    """How to get rid of a damaged record or cache entry."""
    inside = place.parent == results_root()
    return "restore it from git" if inside else f"delete {place} and run again"


def read(study: Study, place: Path) -> Result:
    """What `write` wrote, every file checked against its hash; BadInput names the damaged one."""
    provenance = read_provenance(place)
    for name, expected in provenance.get("files", {}).items():
        if not (place / name).exists() or sha256(place / name) != expected:
            raise BadInput(f"{place / name} is missing or damaged: {mend(place)}")
    paths = {name: place / f"{name}.parquet" for name in TABLES}
    tables = {name: pd.read_parquet(path) for name, path in paths.items() if path.exists()}
    for name, table in tables.items():
        words = table.select_dtypes(include=["category"]).columns
        tables[name] = table.astype(dict.fromkeys(words, str))
    return Result(study, tables, provenance, folder=place)


# ---------------------------------------------------------------- computing


def compute(study: Study, progress: bool = True) -> Result:
    """Train what is not trained, collect all layers in one pass, match every pair."""
    start = time.perf_counter()
    data = _images(study)
    loaded = [_network(study, run, data, progress) for run in study.runs]
    nets = [network for network, _ in loaded]
    layers = chosen_layers(nets[0], study.layers)
    names = [layer.before or layer.name if study.before_relu else layer.name for layer in layers]
    batches = list_batches(data, progress)
    sampling = Sampling() if study.sampled else None
    compressed = collect(nets, batches, names, len(data.images), sampling)
    found = {layer.name: compressed[name] for layer, name in zip(layers, names, strict=True)}
    tables = match_all(study, layers, found, progress)
    tables["networks"] = pd.DataFrame([_network_row(sidecar) for _, sidecar in loaded])
    small = {name: c.gram for name, c in found.items() if max(c.gram.sizes) <= GRAM_CHANNELS}
    return Result(study, tables, provenance_of(study, data, [s for _, s in loaded], time.perf_counter() - start), small)


def list_batches(data: datasets.Dataset, progress: bool, size: int = 250) -> Iterable[torch.Tensor]:
    """The images in batches, with a bar."""
    total = -(-len(data.images) // size)
    return tqdm(datasets.batches(data, size), total=total, desc="one pass over the images", disable=not progress)


def _images(study: Study) -> datasets.Dataset:
    data = datasets.load(study.dataset, "test")
    if study.images is None:
        return data
    if study.images > len(data.images):
        raise BadInput(f"images is {study.images}: {study.dataset} has {len(data.images)} test images")
    return replace(data, images=data.images[: study.images], labels=data.labels[: study.images])


def _network(
    study: Study, run: training.Run, data: datasets.Dataset, progress: bool
) -> tuple[nn.Module, dict[str, Any]]:
    epoch = run.recipe.epochs if study.epoch is None else study.epoch
    path = run.checkpoint(epoch)
    if not training.is_whole(path):
        training.train(run, progress=progress)
    network, sidecar = training.load(path)
    return (calibrate(network, datasets.batches(data)) if epoch == 0 else network), sidecar


def chosen_layers(network: nn.Module, wanted: Sequence[str] | None) -> list[Layer]:
    """All layers of the network, or those named; a wrong name gets the valid ones."""
    known = {layer.name: layer for layer in networks.layers(network)}
    for name in wanted or ():
        if name not in known:
            raise unknown("layer", name, known)
    return [layer for name, layer in known.items() if wanted is None or name in wanted]


def match_all(
    study: Study, layers: Sequence[Layer], found: dict[str, Compressed], progress: bool
) -> dict[str, pd.DataFrame]:
    """Critical ε of every neuron for every pair of seeds and layer; with the paper's draws beside it."""
    pairs = list(combinations(range(len(study.seeds)), 2))
    critical, sampled = [], []
    for layer in tqdm(layers, desc="matching layers", disable=not progress):
        base: dict[str, Any] = {
            "layer": layer.name,
            "position": layer.position,
            "depth": layer.depth,
            "kind": layer.kind,
        }
        for a, b in pairs:
            row = base | {"seed_a": study.seeds[a], "seed_b": study.seeds[b]}
            critical.append(critical_rows(found[layer.name].gram, a, b).assign(**row))
            sampled += [
                similarity_table(critical_rows(gram, a, b).assign(**row), EPSILONS).assign(draw=draw)
                for draw, gram in enumerate(found[layer.name].draws)
            ]
    tables = {"critical": _described(study, pd.concat(critical, ignore_index=True))}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    if sampled:
        tables["sampled"] = _described(study, pd.concat(sampled, ignore_index=True))
    return tables


def _described(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    for position, column in enumerate(("dataset", "network", "width")):
        table.insert(position, column, getattr(study, column))
    return table


def critical_rows(gram: Gram, a: int, b: int) -> pd.DataFrame:
    """One row per neuron of networks a (side x) and b (side y): its critical ε (inf: never matched), dead or not."""
    pair = gram.pair(a, b)
    values = dict(zip("xy", critical_epsilons(pair), strict=True))
    alive = {"x": pair.alive_x, "y": pair.alive_y}
    rows = [
        pd.DataFrame(
            {
                "side": side,
                "neuron": np.arange(len(found), dtype=np.int32),
                "critical_epsilon": found,
                "dead": ~np.isin(np.arange(len(found)), alive[side]),
            }
        )
        for side, found in values.items()
    ]
    return pd.concat(rows, ignore_index=True).assign(samples=gram.samples)


def similarity_table(critical: pd.DataFrame, epsilons: Sequence[float]) -> pd.DataFrame:
    """Maximum matching similarity s(ε) per layer and pair: matched over all neurons, dead ones too (paper)."""
    by = [c for c in critical.columns if c not in ("side", "neuron", "critical_epsilon", "dead")]
    tables = []
    for epsilon in map(check_epsilon, epsilons):
        inside = critical.assign(similarity=critical["critical_epsilon"] <= epsilon + 1e-9)
        groups = inside.groupby(by, sort=False, observed=True)
        counts = groups.agg(similarity=("similarity", "mean"), neurons=("neuron", "size"), dead=("dead", "sum"))
        tables.append(counts.reset_index().assign(epsilon=epsilon))
    return pd.concat(tables, ignore_index=True)


def _network_row(sidecar: dict[str, Any]) -> dict[str, Any]:
    wanted = ("network", "dataset", "width", "seed", "epoch", "accuracy", "train_seconds", "device", "precision")
    recipe = sidecar["recipe"]
    return {key: sidecar[key] for key in wanted} | {"recipe": recipe["name"], "epochs": recipe["epochs"]}


def provenance_of(
    study: Study, data: datasets.Dataset, sidecars: list[dict[str, Any]], seconds: float
) -> dict[str, Any]:
    """What stands behind the tables: parameters, data, weights, code, libraries, machine, time."""
    return {
        "study": asdict(study) | {"epochs": study.runs[0].recipe.epochs},
        "data_sha256": data.sha256,
        "images": len(data.images),
        "checkpoints": [{"seed": s["seed"], "sha256": s["sha256"], "accuracy": s["accuracy"]} for s in sidecars],
        "code": code_version(),
        "commit": commit(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "python": platform.python_version(),
        "device": "cpu",
        "seconds": round(seconds, 1),
        "train_seconds": round(sum(s["train_seconds"] for s in sidecars), 1),
    }


def commit() -> str:
    """The repository's commit, "+" when files differ from it; "unknown" outside a clone."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
