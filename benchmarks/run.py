"""The engine against the published algorithms: one run, one thread, CPU seconds, equal sets checked.

python -m benchmarks.run             # the full table, several minutes; writes results/benchmarks/benchmarks.json
python -m benchmarks.run --quick     # small sizes, seconds
"""

import hashlib
import json
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks import compiling, layers, machine, published
from benchmarks.machine import clock, numpy_only
from helpers import matching
from helpers.errors import BadInput
from helpers.files import ROOT, atomic, sha256
from helpers.matching import minimal, peeling
from helpers.streaming import GramAccumulator
from helpers.subspaces import Pair, triangle

FILE = ROOT / "results" / "benchmarks" / "benchmarks.json"
EPSILONS = tuple(np.round(np.arange(0.1, 0.6, 0.05), 2).tolist())  # ten
EPSILON = 0.3  # of the minimal matches
Row = dict[str, Any]
CODE = [
    ROOT / "helpers" / f"{name}.py" for name in ("subspaces", "matching/peeling", "matching/minimal", "matching/match")
]
VERSION = hashlib.sha256("".join(map(sha256, CODE)).encode()).hexdigest()[:16]  # of the engine that was loaded


@dataclass(frozen=True)
class Sizes:
    """How large the comparison is. Beyond the largest `published_minimal` the published minimal match is estimated."""

    samples: int = 10_000
    maximum: tuple[int, ...] = (64, 128, 256, 512)
    minimal: tuple[int, ...] = (32, 64, 128, 256, 512)
    published_minimal: tuple[int, ...] = (32, 64, 128, 256)
    published_all: int = 32  # up to here the published algorithm runs for every v; beyond, for one, times their number
    growth: tuple[int, ...] = (32, 64, 128, 256, 512)
    streaming: tuple[int, ...] = (128, 512)
    recorded: bool = True


QUICK = Sizes(1000, (16, 32), (8, 16, 32), (8, 16), 8, (8, 16), (16,), recorded=False)


def check_equal(ours: matching.Match, theirs: published.Kept | None, what: str) -> None:
    """The comparison means nothing unless both found the same set."""
    kept = theirs or (np.zeros(0), np.zeros(0))
    if ours.key != (tuple(kept[0].tolist()), tuple(kept[1].tolist())):
        raise BadInput(f"{what}: the engine and the published algorithm found different sets")


def fresh(pair: Pair) -> Pair:
    """The same pair with nothing remembered, so that every repeat does all the work."""
    return replace(pair, known={})


# ---------------------------------------------------------------- maximum match


def every_epsilon(x: np.ndarray, y: np.ndarray) -> list[matching.Match]:
    """The engine from arrays to ten maximum matches: one compression, one peel."""
    pair = Pair.from_arrays(x, y)
    return [matching.maximum_match(pair, epsilon) for epsilon in EPSILONS]


def maximum(name: str, x: np.ndarray, y: np.ndarray) -> Row:
    """Ten ε: the engine's one peel against ten published runs."""
    ours, seconds = clock(lambda: every_epsilon(x, y), 3)
    with numpy_only():
        plain, numpy_seconds = clock(lambda: every_epsilon(x, y), 2)
    theirs, published_seconds = clock(lambda: [published.maximum_match(x, y, e + peeling.TIE) for e in EPSILONS])
    for epsilon, a, b, c in zip(EPSILONS, ours, theirs, plain, strict=True):
        check_equal(a, b, f"maximum match, {name}, ε = {epsilon}")
        check_equal(c, b, f"maximum match in NumPy, {name}, ε = {epsilon}")
    return {
        "layer": name,
        "n": len(x),
        "engine": seconds,
        "NumPy only": numpy_seconds,
        "published": published_seconds,
        "ratio": published_seconds / seconds,
        "equal sets": True,
    }


# ---------------------------------------------------------------- minimal matches


def targets(match: matching.Match, count: int) -> list[matching.Neuron]:
    """`count` neurons spread evenly over the match."""
    return [match.neurons[k] for k in np.linspace(0, len(match) - 1, count + 2).astype(int)[1:-1]]


def one_minimal(name: str, x: np.ndarray, y: np.ndarray, epsilon: float, with_published: bool) -> Row:
    """One v-minimal match, mean over a few v: the engine from a compressed pair, the published one from arrays."""
    pair, compress = clock(lambda: Pair.from_arrays(x, y))
    chosen = targets(matching.maximum_match(pair, epsilon), 3 if name == "mixed" and len(x) <= 128 else 1)
    ours, seconds = _searches(pair, chosen, epsilon, 3)
    with numpy_only():
        plain, numpy_seconds = _searches(pair, chosen, epsilon, 1)
    row = {"layer": name, "n": len(x), "compression": compress, "engine": seconds, "NumPy only": numpy_seconds}
    if [m.key for m in ours] != [m.key for m in plain]:
        raise BadInput(f"minimal match, {name}: the engine's two paths found different sets")
    if not with_published:
        return row | {"equal sets": None}
    reach = peeling.reach(pair, epsilon)
    theirs, total = clock(lambda: [published.minimal_match(x, y, v, reach) for v in chosen])
    root = triangle(np.vstack([x, y]).T).T
    short, short_total = clock(
        lambda: [published.minimal_match(root[: len(x)], root[len(x) :], v, reach) for v in chosen]
    )
    for v, a, b, c in zip(chosen, ours, theirs, short, strict=True):
        check_equal(a, b, f"minimal match, {name}, {v}")
        check_equal(a, c, f"minimal match, compressed first, {name}, {v}")
    spent = {"published": total / len(chosen), "published, compressed first": short_total / len(chosen)}
    return row | spent | {"equal sets": True}


def _searches(pair: Pair, chosen: Sequence[matching.Neuron], epsilon: float, repeats: int) -> tuple[list[Any], float]:
    """A minimal match of each chosen neuron, each search from scratch; the mean CPU seconds of one."""
    timed = [clock(partial(_search, pair, v, epsilon), repeats) for v in chosen]
    return [match for match, _ in timed], float(np.mean([seconds for _, seconds in timed]))


def _search(pair: Pair, v: matching.Neuron, epsilon: float) -> Any:
    return matching.minimal_match(fresh(pair), v, epsilon)


def each_minimal(name: str, x: np.ndarray, y: np.ndarray, epsilon: float, with_published: bool) -> Row:
    """A minimal match of every v in one pass, checked against separate searches: published, or ours for a few v."""
    pair = Pair.from_arrays(x, y)
    matches, seconds = clock(lambda: matching.minimal_match_of_each(fresh(pair), epsilon), 3 if len(x) <= 128 else 1)
    row = {"layer": name, "n": len(x), "matched": len(matches), "engine": seconds}
    for v in targets(matching.maximum_match(pair, epsilon), 5):
        if matches[v] != matching.minimal_match(pair, v, epsilon):
            raise BadInput(f"all v, {name}, {v}: the one pass and a search on its own found different sets")
    if not with_published:
        return row | {"published": np.nan}
    theirs, spent = clock(lambda: published.minimal_match_of_each(x, y, peeling.reach(pair, epsilon)))
    for v, match in matches.items():
        check_equal(match, theirs[v], f"all v, {name}, {v}")
    return row | {"published": spent}


def extrapolated(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Missing values of a column by the power law through its two largest measured sizes, marked as estimates."""
    known = table[table["layer"].eq("mixed") & table[column].notna()].sort_values("n").tail(2)
    slope, start = np.polyfit(np.log(known["n"]), np.log(known[column]), 1)
    missing = table[column].isna()
    guess = np.exp(start + slope * np.log(table["n"]))
    filled = table.copy()
    filled[column] = table[column].fillna(guess)
    filled["published is"] = np.where(missing, "estimate", "measured")
    return filled


def minimal_tables(sizes: Sizes, say: Callable[[str], None]) -> dict[str, pd.DataFrame]:
    """One v, and all v; beyond the smallest layers the published all v is estimated as one v times their number."""
    ones, every_v = [], []
    for name, n, x, y, epsilon in _minimal_layers(sizes):
        say(f"minimal matches, {name}, n = {n}")
        ones.append(one_minimal(name, x, y, epsilon, n in sizes.published_minimal))
        every_v.append(each_minimal(name, x, y, epsilon, n <= sizes.published_all))
    one = extrapolated(pd.DataFrame(ones), "published")
    one["ratio"] = one["published"] / one["engine"]
    one["ratio with compression"] = one["published"] / (one["engine"] + one["compression"])
    every = pd.DataFrame(every_v)
    every["published is"] = np.where(every["published"].isna(), "estimate: one v × matched", "measured")
    every["published"] = every["published"].fillna(one["published"] * every["matched"])
    every["ratio"] = every["published"] / every["engine"]
    return {"one minimal match": one, "all minimal matches": every}


def _minimal_layers(sizes: Sizes) -> Any:
    for n in sizes.minimal:
        yield "mixed", n, *layers.mixed(n, sizes.samples), EPSILON
    if sizes.recorded:
        x, y = layers.recorded(sizes.samples)
        yield "recorded", len(x), x, y, 0.35  # all but a few of its critical ε lie between 0.3 and 0.35


# ---------------------------------------------------------------- where the time goes, and how it grows


def parts(n: int, samples: int) -> Row:
    """Gram matrix, QR and peel apart. `beyond`: scaling, factors and peel, over the Gram product."""
    x, y = layers.mixed(n, samples)
    z = np.vstack([x, y])
    _, product = clock(lambda: (x @ x.T, x @ y.T, y @ y.T), 5)
    gram, _ = clock(lambda: z @ z.T)
    _, rest = clock(lambda: peeling.peel(Pair.from_gram(gram, n, n, samples)), 5)
    with numpy_only():
        _, plain = clock(lambda: peeling.peel(Pair.from_gram(gram, n, n, samples)), 3)
    _, qr = clock(lambda: triangle(z.T))
    names = ("n", "Gram product", "scaling, factors and peel", "the same in NumPy", "QR")
    row = dict(zip(names, (n, product, rest, plain, qr), strict=True))
    return row | {"beyond": rest / product, "QR over Gram": qr / product}


def all_v_growth(n: int, samples: int) -> Row:
    """The hard case, every neuron only just matched: one shared pass against searches nested in the matches found."""
    pair = Pair.from_arrays(*layers.fully_matched(n, samples), route="gram")
    epsilon = float(np.concatenate(matching.critical_epsilons(pair)).max()) + 1e-6
    _, shared = clock(lambda: matching.minimal_match_of_each(fresh(pair), epsilon), 2)
    state = matching.state_of(pair, matching.maximum_match(pair, epsilon), epsilon)
    _, nested = clock(lambda: minimal.nested(state, state.members, state.members))
    spent = {"one shared pass": shared, "nested searches": nested}
    return {"n": n, "ε": epsilon, "matched": len(state.members), **spent}


def streaming(n: int) -> Row:
    """The accumulator against the bare matrix products of the same batches; memory over twice the samples."""
    rng, batch, count = np.random.default_rng(0), 2000, 50
    blocks = [rng.standard_normal((n // 2, batch)) for _ in "xy"]
    stack, samples = np.vstack(blocks), batch * count
    _, bare = clock(lambda: [stack @ stack.T for _ in range(count)], 2)
    _, ours = clock(lambda: accumulate(n, blocks, count), 2)
    peaks = [peak_memory(partial(accumulate, n, blocks, k * count)) for k in (1, 2)]
    return {
        "neurons": n,
        "samples": samples,
        "samples per s": samples / ours,
        "over the bare product": ours / bare,
        "peak memory in MB": peaks[0] / 1e6,
        "at twice the samples": peaks[1] / 1e6,
        "activations in MB": 8e-6 * n * samples,
    }


def accumulate(n: int, blocks: Sequence[np.ndarray], count: int) -> Any:
    """The same batch `count` times."""
    accumulator = GramAccumulator([n // 2, n // 2])
    for _ in range(count):
        accumulator.add(blocks)
    return accumulator.result()


def peak_memory(function: Callable[[], Any]) -> int:
    """The most bytes Python and NumPy held at once beyond what was there before."""
    tracemalloc.start()
    function()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


TIMES = ("engine", "published", "scaling, factors and peel", "Gram product", "one shared pass")


def growth(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The power of n with which the CPU seconds grow, between the two largest sizes measured."""
    rows = []
    for name, column in ((name, column) for name in tables for column in TIMES if column in tables[name]):
        last = measured(tables[name], column).sort_values(by="n").tail(2)
        if len(last) == 2:
            power = np.diff(np.log(last[column]))[0] / np.diff(np.log(last["n"]))[0]
            rows.append({"table": name, "what": column, "from n": last["n"].iloc[0], "power of n": power})
    return pd.DataFrame(rows)


def measured(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of one family in which this column is no estimate."""
    if "layer" in frame:
        frame = frame[frame["layer"] == "mixed"]
    if column == "published" and "published is" in frame:
        frame = frame[frame["published is"] == "measured"]
    return frame


TARGETS = (
    ("maximum match, ten ε", 512, "ratio", 40),
    ("one minimal match", 128, "ratio", 1000),
    ("all minimal matches", 128, "ratio", 5000),
    ("parts of a maximum match", 512, "beyond", 0.6),
)


def goals(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The ratios set beforehand against those found on the mixed layers; sizes that were not run are left out."""
    rows = []
    for name, n, column, goal in TARGETS:
        frame = tables[name]
        values = frame.loc[(frame["n"] == n) & (frame.get("layer", "mixed") == "mixed"), column]
        for value in values:
            met = value <= goal if column == "beyond" else value >= goal
            rows.append({"table": name, "n": n, "what": column, "target": goal, "found": value, "met": bool(met)})
    return pd.DataFrame(rows, columns=["table", "n", "what", "target", "found", "met"])


# ---------------------------------------------------------------- all of it


def measure(sizes: Sizes, say: Callable[[str], None] = lambda line: None) -> dict[str, pd.DataFrame]:
    """Every table, in one process with one thread."""
    every_epsilon(*layers.mixed(8, 100))  # load compiled code before the clock starts
    matching.minimal_match_of_each(*layers.mixed(8, 100), 0.5)
    maxima = []
    for n in sizes.maximum:
        say(f"maximum match, n = {n}")
        maxima.append(maximum("mixed", *layers.mixed(n, sizes.samples)))
    if sizes.recorded:
        maxima.append(maximum("recorded", *layers.recorded(sizes.samples)))
    tables = {"maximum match, ten ε": pd.DataFrame(maxima), **minimal_tables(sizes, say)}
    say("parts, growth, streaming, compilation")
    tables["parts of a maximum match"] = pd.DataFrame([parts(n, sizes.samples) for n in sizes.maximum])
    tables["all v, every neuron matched"] = pd.DataFrame([all_v_growth(n, 2000) for n in sizes.growth])
    tables["growth"] = growth(tables)
    tables["streaming"] = pd.DataFrame([streaming(n) for n in sizes.streaming])
    tables["compilation"] = compiling.table()
    tables["targets"] = goals(tables)
    return tables


def write(tables: dict[str, pd.DataFrame], sizes: Sizes, path: Path) -> None:
    """Tables, sizes and machine as one JSON file, whole or not at all."""
    record = {
        "machine": machine.describe(),
        "engine": VERSION,
        "samples": sizes.samples,
        "epsilons": EPSILONS,
        "epsilon": EPSILON,
        "tables": {name: json.loads(frame.to_json(orient="records")) for name, frame in tables.items()},
    }
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@click.command()
@click.option("--quick", is_flag=True, help="Small sizes: seconds instead of minutes.")
@click.option("--out", type=click.Path(path_type=Path), help=f"Where to write; the full run's default is {FILE.name}.")
def main(quick: bool, out: Path | None) -> None:
    """Compare the engine with the published algorithms and print the tables.

    Seconds are CPU seconds of one thread. A quick run writes a file only with --out. Example: python -m benchmarks.run
    --quick
    """
    sizes = QUICK if quick else Sizes()
    try:
        with threadpool_limits(1):
            tables = measure(sizes, lambda line: click.echo(line, err=True))
    except BadInput as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    for name, frame in tables.items():
        click.echo(f"\n{name}\n{frame.to_string(index=False, float_format=lambda value: f'{value:.4g}')}")
    if out or not quick:
        write(tables, sizes, out or FILE)


if __name__ == "__main__":
    main()
