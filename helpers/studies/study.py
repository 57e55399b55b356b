"""Parameters → trained networks → representations → tidy tables: read from the record, else from the cache, else run.

A study is one network on one dataset, trained from several seeds; every layer of every pair of seeds is matched. What
is recorded lies in `results/STUDY/` (in the repository), what is computed in `cache/` under a key of everything that
could change it, the code included.
"""

import hashlib
import json
import os
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

from ..errors import BadInput, unknown
from ..files import ROOT, folder, sha256
from ..matching.diagnostics import diagnose
from ..matching.match import check_epsilon, critical_epsilons
from ..matching.peeling import TIE
from ..measures.dimension import effective_rank
from ..networks import architectures as networks
from ..networks import datasets, training
from ..networks.accumulators import Sampling
from ..networks.activations import Compressed, calibrate, collect
from ..networks.architectures import Layer
from ..subspaces import Gram, Pair

EPSILONS = (0.15, 0.2, 0.25, 0.3, 0.5)  # the paper's
GRAM_CHANNELS = 128  # layers up to this many neurons a network are recorded compressed, for readers to match
WIDE_CHANNELS = 64  # of layers above it two networks are kept, of narrower ones three: files grow with the square
CODE = (
    "networks/datasets",
    "networks/architectures",
    "networks/targets",
    "networks/training",
    "networks/accumulators",
    "networks/activations",
    "streaming",
    "subspaces",
    "matching/peeling",
    "matching/match",
    "matching/diagnostics",
    "studies/study",
)
OPENED: dict[str, dict[str, Any]] = {}  # provenance of what this process has read, for the box at the end of a page
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "numba", "pandas")


@dataclass(frozen=True)
class Study:
    """What to compare. `epoch` None is the recipe's last; 0 the untrained networks, calibrated on the test images.

    `images` None is the whole test set; `layers` None all of them. `before_relu` takes each layer before its ReLU.
    `keep` names layers that stay at hand compressed although they have more than `GRAM_CHANNELS` neurons.
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
    keep: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", check_seeds(self.seeds))
        object.__setattr__(self, "keep", tuple(self.keep))
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(self.layers))
        if self.images is not None and not (_whole(self.images) and self.images >= 1):
            raise BadInput(f"images is {self.images}: expected a positive number, or None for the whole test set")
        if not isinstance(self.width, int | float) or not 0 < self.width <= 16:
            raise BadInput(f"width {self.width}: expected a factor above 0 and at most 16, such as 1 or 0.25")
        for name in ("epochs", "epoch"):
            if not (getattr(self, name) is None or _whole(getattr(self, name))):
                raise BadInput(
                    f"{name} is {getattr(self, name)}: expected a whole number, or None for the recipe's own"
                )
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


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """At least two different whole numbers from 0."""
    try:
        given = tuple(seeds)
        found = tuple(map(int, given))
    except (TypeError, ValueError, OverflowError):
        raise BadInput(f"seeds are {seeds!r}: expected a list of whole numbers") from None
    if any(seed != number or seed < 0 for seed, number in zip(found, given, strict=True)):
        raise BadInput(f"seeds are {list(given)}: expected whole numbers from 0")
    if len(found) < 2:
        raise BadInput(f"seeds are {list(found)}: expected at least two, one per network to compare")
    if len(set(found)) < len(found):
        raise BadInput(f"seeds {list(found)} repeat: a network is not compared with itself; give each seed once")
    return found


@cache
def code_version(*further: str) -> str:
    """Hash of the modules a study's numbers pass through, and of `further` ones."""
    hashes = [sha256(ROOT / "helpers" / f"{name}.py") for name in (*CODE, *further)]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]


@dataclass
class Result:
    """The tables of a study, its provenance, and the compressed layers that were kept.

    `held` names the seeds behind each kept Gram matrix, in its order: a record keeps fewer networks than it compared.
    """

    study: Study
    tables: dict[str, pd.DataFrame]
    provenance: dict[str, Any]
    held: dict[str, tuple[int, ...]] = field(default_factory=dict)
    grams: dict[str, Gram] = field(default_factory=dict)
    folder: Path | None = None

    @property
    def kept(self) -> list[str]:
        """Layers with the Gram matrix of at least two of the study's networks at hand, from the input on."""
        return [layer for layer in self.held if len(self.gram_seeds(layer)) > 1]

    def gram_seeds(self, layer: str) -> tuple[int, ...]:
        """The study's seeds whose activations of this layer were kept, in the order of `gram(layer)`."""
        return tuple(seed for seed in self.study.seeds if seed in self.held.get(layer, ()))

    def gram(self, layer: str, seeds: Sequence[int] | None = None) -> Gram:
        """One layer of the networks with these seeds, compressed; without `seeds` of all in `gram_seeds(layer)`.

        BadInput names the layers, or the seeds of the layer, that were kept.
        """
        if layer not in self.kept:
            raise unknown("compressed layer", layer, self.kept)
        wanted = self.gram_seeds(layer) if seeds is None else tuple(seeds)
        held = self.held[layer]
        for seed in wanted:
            if seed not in held:
                kept = ", ".join(map(str, held))
                raise BadInput(f"seed {seed} of layer {layer} was not kept compressed: kept are seeds {kept}")
        if layer not in self.grams:
            assert self.folder is not None
            self.grams[layer] = Gram.load(self.folder / "grams" / f"{layer}.npz")
        return self.grams[layer].networks([held.index(seed) for seed in wanted])

    def pair(self, layer: str, seed_a: int | None = None, seed_b: int | None = None) -> Pair:
        """Two networks' neurons of a layer, ready to match; without seeds the first two that were kept."""
        if (seed_a is None) != (seed_b is None):
            raise BadInput("one seed is given: expected two, or none for the first two that were kept")
        seeds = None if seed_a is None else [seed_a, seed_b]
        return self.gram(layer, seeds).pair(0, 1)  # type: ignore[arg-type]

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
    """The record that `holds` this study, cut down to its seeds and layers; None if there is none."""
    place = results_root() / study.id
    if not (place / "provenance.json").exists():
        return None
    return _cut(read(study, place)) if holds(read_provenance(place), study) else None


def holds(provenance: dict[str, Any], study: Study) -> bool:
    """Whether a record with this provenance has all that a study asks for."""
    known = provenance["study"]
    return (
        set(study.seeds) <= set(known["seeds"])
        and known["epochs"] == study.runs[0].recipe.epochs
        and (known["layers"] is None or set(study.layers or [None]) <= set(known["layers"]))
        and known["sampled"] >= study.sampled
        and set(study.keep) <= set(provenance.get("grams", ()))
    )


def _cut(result: Result) -> Result:
    """Only the rows of the study's seeds and layers."""
    study, tables = result.study, result.tables
    names = tables["critical"]["layer"].unique()
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


def record(study: Study, progress: bool = True) -> Path:
    """Compute a study and put it into `results/` in place of an older record, whole or not at all.

    Raises BadInput if the older record holds seeds, layers, draws or kept layers that this study lacks.
    """
    place = results_root() / study.id
    check_replaces(place, study)
    return write(thin(run(study, recompute=True, progress=progress)), place)


def check_replaces(place: Path, study: Study) -> None:
    """BadInput if a record lies there that holds more: recording less would lose it."""
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


def gram_networks(study: Study, neurons: int) -> int:
    """How many networks' activations of a layer a record keeps: a pair of wide or untrained ones, else three.

    None of layers that are both.
    """
    wide, untrained = neurons > WIDE_CHANNELS, study.epoch == 0
    return 0 if wide and untrained else 2 if wide or untrained else 3


def thin(result: Result) -> Result:
    """The result with as many networks per Gram matrix as a record keeps: the study's first seeds."""
    held, grams = {}, {}
    for layer in result.kept:
        gram = result.gram(layer)
        if number := gram_networks(result.study, max(gram.sizes)):
            held[layer] = result.gram_seeds(layer)[:number]
            grams[layer] = gram.networks(range(len(held[layer])))
    return replace(result, held=held, grams=grams, folder=None)


def records(kind: str = "study") -> list[Path]:
    """Folders of everything recorded of one kind by its provenance: "study", "causes", "granularity" or "imagenet"."""
    places = sorted(path.parent for path in results_root().glob("*/provenance.json"))
    return [place for place in places if read_provenance(place).get("kind", "study") == kind]


def write(result: Result, place: Path) -> Path:
    """Tables as parquet, compressed layers as npz, provenance with the hash of each file: moved into place as one."""
    if result.folder == place:
        return place
    grams = {layer: result.gram(layer) for layer in result.kept}
    held = {layer: list(result.gram_seeds(layer)) for layer in grams}
    return write_tables(result.tables, result.provenance | {"grams": held}, place, grams)


def write_tables(
    tables: dict[str, pd.DataFrame], provenance: dict[str, Any], place: Path, grams: dict[str, Gram] | None = None
) -> Path:
    """Write a record of any kind; the folder appears whole or not at all."""
    scratch, old = (place.with_name(f".{place.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name, table in tables.items():
        compact(table).to_parquet(scratch / f"{name}.parquet", compression="zstd")
    for layer, gram in (grams or {}).items():
        gram.save(scratch / "grams" / f"{layer}.npz")
    files = {str(path.relative_to(scratch)): sha256(path) for path in sorted(scratch.rglob("*.*"))}
    (scratch / "provenance.json").write_text(json.dumps(provenance | {"files": files}, indent=1) + "\n")
    if place.exists():
        place.rename(old)
    scratch.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return place


def compact(table: pd.DataFrame) -> pd.DataFrame:
    """Repeated words as categories, which parquet stores once."""
    words = table.select_dtypes(include=["object", "string"]).columns
    return table.astype(dict.fromkeys(words, "category"))


def read_provenance(place: Path) -> dict[str, Any]:
    """What is known of a record; BadInput if it cannot be read."""
    try:
        found = json.loads((place / "provenance.json").read_text())
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or "files" not in found:
        raise BadInput(f"{place / 'provenance.json'} is missing or damaged: {mend(place)}")
    return found


def mend(place: Path) -> str:
    """How to get rid of a damaged record or cache entry."""
    inside = place.parent == results_root()
    return "restore it from git" if inside else f"delete {place} and run again"


def read(study: Study, place: Path) -> Result:
    """What `write` wrote, every file checked against its hash; BadInput names the damaged one."""
    tables, provenance = read_tables(place)
    held = {layer: tuple(seeds) for layer, seeds in provenance.get("grams", {}).items()}
    return Result(study, tables, provenance, held, folder=place)


def read_tables(place: Path) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Tables and provenance of a record of any kind, every file checked; BadInput names the damaged one."""
    OPENED[place.name] = provenance = read_provenance(place)
    files = provenance["files"]
    for name in (f"grams/{layer}.npz" for layer in provenance.get("grams", ())):
        files.setdefault(name, "unknown")  # a file without a hash is not trusted
    for name, expected in files.items():
        if not (place / name).exists() or sha256(place / name) != expected:
            raise BadInput(f"{place / name} is missing or damaged: {mend(place)}")
    paths = [place / name for name in files if name.endswith(".parquet")]
    return {path.stem: _plain(pd.read_parquet(path)) for path in paths}, provenance


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Categories as words again."""
    words = table.select_dtypes(include=["category"]).columns
    return table.astype(dict.fromkeys(words, str))


# ---------------------------------------------------------------- computing


def compute(study: Study, progress: bool = True) -> Result:
    """Train what is not trained, collect all layers in one pass, match every pair."""
    start = time.perf_counter()
    data = test_images(study)
    loaded = [_network(study, run, data, progress) for run in study.runs]
    nets = [network for network, _ in loaded]
    layers, keep = chosen_layers(nets[0], study.layers), chosen_layers(nets[0], study.keep)
    names = [layer.before or layer.name if study.before_relu else layer.name for layer in layers]
    batches = list_batches(data, progress)
    sampling = Sampling() if study.sampled else None
    compressed = collect(nets, batches, names, len(data.images), sampling)
    found = {layer.name: compressed[name] for layer, name in zip(layers, names, strict=True)}
    tables = match_all(study, layers, found, progress)
    tables["networks"] = pd.DataFrame([_network_row(sidecar) for _, sidecar in loaded])
    grams = {
        layer.name: found[layer.name].gram
        for layer in layers
        if layer in keep or max(found[layer.name].gram.sizes) <= GRAM_CHANNELS
    }
    provenance = provenance_of(study, data, [s for _, s in loaded], time.perf_counter() - start)
    return Result(study, tables, provenance, dict.fromkeys(grams, study.seeds), grams)


def list_batches(data: datasets.Dataset, progress: bool, size: int = 25) -> Iterable[torch.Tensor]:
    """The images in batches, with a bar."""
    total = -(-len(data.images) // size)
    return tqdm(datasets.batches(data, size), total=total, desc="one pass over the images", disable=not progress)


def test_images(study: Study) -> datasets.Dataset:
    """The first images of the test set, as many as the study takes; all for None."""
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
        training.train(run, progress=progress) if epoch else training.start(run)
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
    critical, sampled, controls = [], [], []
    for layer in tqdm(layers, desc="matching layers", disable=not progress):
        base = layer_columns(layer)
        for a, b in pairs:
            row = base | {"seed_a": study.seeds[a], "seed_b": study.seeds[b]}
            pair = found[layer.name].gram.pair(a, b)
            check_sound(layer.name, pair)
            critical.append(pair_rows(pair).assign(**row))
            sampled += [
                similarity_table(critical_rows(gram, a, b).assign(**row), EPSILONS).assign(draw=draw)
                for draw, gram in enumerate(found[layer.name].draws)
            ]
        controls.append(control_rows(found[layer.name].gram, study.seeds).assign(**base))
    tables = {"critical": described(study, pd.concat(critical, ignore_index=True))}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    tables["layers"] = described(study, pd.concat(controls, ignore_index=True))
    if sampled:
        tables["sampled"] = described(study, pd.concat(sampled, ignore_index=True))
    return tables


def layer_columns(layer: Layer) -> dict[str, Any]:
    """What tables say of a layer."""
    return {"layer": layer.name, "position": layer.position, "depth": layer.depth, "kind": layer.kind}


def check_sound(layer: str, pair: Pair) -> None:
    """BadInput, with the layer's name, for a pair that no table should be made of: `Diagnosis.refusals`."""
    for reason in diagnose(pair).refusals[:1]:
        raise BadInput(f"layer {layer}: {reason}")


def self_pair(gram: Gram, network: int, seed: int = 0) -> Pair:
    """A network beside its own copy with the neurons in another order: what any measure must call the same."""
    order = np.random.default_rng(seed).permutation(gram.sizes[network])
    twice = gram.networks([network, network])
    return twice.select([slice(None), order]).pair(0, 1)


def control_rows(gram: Gram, seeds: Sequence[int]) -> pd.DataFrame:
    """One row per network: neurons, the dead among them, dimension, and the self-match (must be 1).

    `self_match` is the share of alive neurons whose critical ε is 0 between the network and its own permuted copy.
    """
    rows = []
    for k, seed in enumerate(seeds):
        pair = self_pair(gram, k)
        found = np.concatenate(critical_epsilons(pair))
        alive = len(pair.gram)
        rows.append(
            {
                "seed": seed,
                "neurons": gram.sizes[k],
                "dead": gram.sizes[k] - alive // 2,
                "self_match": float((found == 0).sum() / alive) if alive else np.nan,
                "effective_rank": effective_rank(gram.block(k, k)),
                "effective_rank_centred": effective_rank(gram.centred().block(k, k)),
                "samples": gram.samples,
            }
        )
    return pd.DataFrame(rows)


def described(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that say which study it is, first."""
    for position, column in enumerate(("dataset", "network", "width")):
        table.insert(position, column, getattr(study, column))
    return table


def critical_rows(gram: Gram, a: int, b: int) -> pd.DataFrame:
    """One row per neuron of networks a (side x) and b (side y): its critical ε (inf: never matched), dead or not."""
    return pair_rows(gram.pair(a, b))


def pair_rows(pair: Pair) -> pd.DataFrame:
    """The same for any pair."""
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
    return pd.concat(rows, ignore_index=True).assign(samples=pair.samples)


def similarity_table(critical: pd.DataFrame, epsilons: Sequence[float]) -> pd.DataFrame:
    """Maximum matching similarity s(ε) per layer and pair: matched over all neurons, dead ones too (paper)."""
    by = [c for c in critical.columns if c not in ("side", "neuron", "critical_epsilon", "dead")]
    tables = []
    for epsilon in map(check_epsilon, epsilons):
        inside = critical.assign(similarity=critical["critical_epsilon"] <= epsilon + TIE)
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
