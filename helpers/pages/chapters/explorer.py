"""The ε explorer: a page that shows recorded critical ε at every ε, with no server and no internet connection.

`page()` is one HTML fragment with its data, script and styles inside. It is put together from `explorer.html`, `.js`
and `.css` in `book/assets/`. Each critical ε is stored as four digits, rounded up to the next 1/10000. So "critical ε
≤ ε" is exact for every ε that is a multiple of 1/10000.
"""

import html
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from ... import studies
from ...errors import BadInput, unknown
from ...files import ROOT
from ...matching.peeling import TIE
from ...studies import Result, Study
from .. import figures
from ..layer_tables import spoken

UNIT = 10_000
LARGEST = 900_000  # characters of data in one page: first one pair of each network, then more pairs while they fit
NEVER, DEAD = "----", "dead"
ASSETS = ROOT / "book" / "assets"
COLOURS = {"x": "#0173b2", "y": "#c96b00"}


# ---------------------------------------------------------------- from the record


def recorded_results() -> Iterator[Result]:
    """Every recorded study of seeds, with its files checked against their hashes."""
    for place in studies.records_of("seeds"):
        known = studies.read_provenance(place)["study"]
        yield studies.read(Study(**known), place)


def study_in_words(study: Study) -> str:
    """A study in words: network, width, training, data.

    >>> study_in_words(Study("cifar10", "vgg16_bn", 0.25, (0, 1), "short", 10))
    'VGG-16 with batch norm, width 1/4, 10 epochs on CIFAR-10'
    """
    planned = study.runs[0].recipe.epochs
    training = planned if study.epoch is None else study.epoch or planned
    length = f"{training} epoch{'s' if training != 1 else ''}"
    length = f"untrained (before {length})" if study.epoch == 0 else length
    parts = [network_name(study.network)]
    parts += [] if study.width == 1 else [f"width {fraction(study.width)}"]
    parts += ["before the ReLU"] if study.before_relu else []
    data = {"cifar10": "CIFAR-10"}.get(study.dataset, study.dataset)
    images = f", {study.images} images" if study.images else ""
    return f"{', '.join(parts)}, {length} on {data}{images}"


def network_name(network: str) -> str:
    """The name of a network for readers, such as "VGG-16 with batch norm". An unknown name stays as it is."""
    return spoken(network).replace("-BN", " with batch norm")


def fraction(width: float) -> str:
    """A width as a fraction if that is exact: 0.25 is 1/4."""
    return f"1/{round(1 / width)}" if width < 1 and (1 / width).is_integer() else f"{width:g}"


# ---------------------------------------------------------------- the data of the page


def digits(critical: Float[np.ndarray, " neurons"], dead: Iterable[bool]) -> str:
    """Four characters per neuron: critical ε in 1/10000, rounded up; "----" above 0.9999; "dead".

    The engine counts a neuron as matched up to a tie above ε. So a value that is above a multiple by no more than the
    tie is rounded down.
    """
    texts = []
    for value, is_dead in zip(critical, dead, strict=True):
        units = np.ceil((value - TIE) * UNIT)
        texts.append(DEAD if is_dead else NEVER if units >= UNIT else f"{int(max(units, 0)):04d}")
    return "".join(texts)


def seed_pairs(result: Result) -> list[tuple[int, int]]:
    """The pairs of seeds of a study, in order."""
    table = result.tables["critical"]
    return sorted({(int(a), int(b)) for a, b in zip(table["seed_a"], table["seed_b"], strict=True)})


def layer_sizes(result: Result) -> list[dict[str, Any]]:
    """Name and number of neurons of each layer, from the input on."""
    table = result.tables["critical"]
    first = table[(table["side"] == "x") & _of_pair(table, seed_pairs(result)[0])]
    counts = first.groupby(["position", "layer"], observed=True).size().reset_index(name="neurons")
    return [{"name": str(n), "neurons": int(k)} for n, k in zip(counts["layer"], counts["neurons"], strict=True)]


def _of_pair(table: pd.DataFrame, pair: tuple[int, int]) -> pd.Series:
    return (table["seed_a"] == pair[0]) & (table["seed_b"] == pair[1])


def pair_data(result: Result, pair: tuple[int, int]) -> dict[str, Any]:
    """One pair of networks: seeds, accuracies, and per layer the digits of A's neurons and then of B's."""
    table = result.tables["critical"]
    table = table[_of_pair(table, pair)].sort_values(["position", "side", "neuron"])
    accuracy = result.tables["networks"].set_index("seed")["accuracy"]
    texts = [digits(t["critical_epsilon"].to_numpy(), t["dead"]) for _, t in table.groupby("position")]
    return {"seeds": list(pair), "accuracy": [round(float(accuracy[s]), 4) for s in pair], "critical": texts}


def network_data(result: Result) -> dict[str, Any]:
    """The data of one study, without any pairs yet."""
    return {"id": result.study.id, "name": study_in_words(result.study), "layers": layer_sizes(result), "pairs": []}


def explorer_data(results: Iterable[Result], largest: int = LARGEST) -> dict[str, Any]:
    """The data of the page: the networks, and as many pairs of each as fit into `largest` characters, shared evenly.

    Raises `BadInput` if no study is recorded.
    """
    results = list(results)
    if not results:
        raise BadInput("no recorded study: expected at least one in results/ (python -m helpers record)")
    networks = [network_data(result) for result in results]
    size = len(json.dumps(networks))
    for k in range(max(len(seed_pairs(result)) for result in results)):
        for network, result in zip(networks, results, strict=True):
            if k < len(seed_pairs(result)):
                pair = pair_data(result, seed_pairs(result)[k])
                size += len(json.dumps(pair))
                if k == 0 or size <= largest:
                    network["pairs"].append(pair)
    return {"networks": networks}


def decoded(text: str) -> Float[np.ndarray, " neurons"]:
    """Critical ε from their digits; inf for "----" and "dead"."""
    fours = [text[i : i + 4] for i in range(0, len(text), 4)]
    return np.array([np.inf if four in (NEVER, DEAD) else int(four) / UNIT for four in fours])


def first_view(data: dict[str, Any], network: str, layer: str, epsilon: float) -> dict[str, int]:
    """What the page shows first, as positions in its data.

    Raises `BadInput` for an unknown network or layer, with the known ones, and for an ε outside the slider.
    """
    names = [n["id"] for n in data["networks"]]
    if network not in names:
        raise unknown("recorded study", network, names)
    position = names.index(network)
    known = [at["name"] for at in data["networks"][position]["layers"]]
    if layer not in known:
        raise unknown("layer", layer, known)
    if not 0 <= epsilon <= 0.999:
        raise BadInput(f"epsilon is {epsilon!r}: expected a number from 0 to 0.999, the ends of the slider")
    return {"network": position, "layer": known.index(layer), "epsilon": round(epsilon * UNIT)}


# ---------------------------------------------------------------- the page


def still(data: dict[str, Any], first: dict[str, int]) -> Figure:
    """Curve and critical ε of the first view, for readers without scripts."""
    network = data["networks"][first["network"]]
    cut = network["layers"][first["layer"]]["neurons"]
    values = decoded(network["pairs"][0]["critical"][first["layer"]])
    figure, (top, low) = plt.subplots(2, 1, figsize=(7, 4.6), sharex=True, height_ratios=[3, 2])
    at = np.linspace(0, 1, 1001)
    top.plot(at, [(values <= e).mean() for e in at], color="black", drawstyle="steps-post")
    bins = np.linspace(0, 1, 101)
    for side, part, sign in (("x", values[:cut], 1), ("y", values[cut:], -1)):
        counts = np.histogram(part[np.isfinite(part)], bins)[0]
        name = "network A" if side == "x" else "network B"
        low.bar(bins[:-1], sign * counts, 0.01, align="edge", color=COLOURS[side], label=name, lw=0)
    for ax in (top, low):
        ax.axvline(first["epsilon"] / UNIT, color="#b3003c")
    top.set(ylabel="similarity s(ε)", ylim=(-0.02, 1.02), xlim=(0, 1))
    low.set(xlabel="ε, and critical ε of the neurons", ylabel="neurons")
    low.legend()
    return figure


def alt_text(data: dict[str, Any], first: dict[str, int]) -> str:
    """The first view in one sentence, as alt text."""
    network = data["networks"][first["network"]]
    layer, epsilon = network["layers"][first["layer"]], first["epsilon"] / UNIT
    values = decoded(network["pairs"][0]["critical"][first["layer"]])
    return (
        f"Maximum matching similarity against ε for layer {layer['name']} of {network['name']}, and the critical ε of "
        f"both networks' neurons below it. At ε = {epsilon:.3f} the similarity is {(values <= epsilon).mean():.4f}."
    )


def page(data: dict[str, Any], network: str, layer: str, epsilon: float = 0.3, assets: Path = ASSETS) -> str:
    """The explorer as one HTML fragment that needs no other file. It opens at this network, layer and ε."""
    first = first_view(data, network, layer, epsilon)
    text = json.dumps(data | {"start": first}, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    figure = still(data, first)
    parts = {"still": figures.png(figure), "alt": html.escape(alt_text(data, first), quote=True), "data": text}
    plt.close(figure)
    parts |= {kind: (assets / f"explorer.{kind}").read_text(encoding="utf-8") for kind in ("css", "js")}
    return Template((assets / "explorer.html").read_text(encoding="utf-8")).substitute(parts)
