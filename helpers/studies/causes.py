"""What makes two networks similar near the output? Layers are matched again, with one cause taken away at a time.

One pass over labelled images collects, for every layer, the products of its neurons: with one another, with *features*
of the images (class indicators, logits), and with the other network's neurons on other images. Every condition is then
computed from these small matrices. Taking a feature away is a Schur complement.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import BadInput
from ..matching.match import critical_epsilons
from ..measures.dimension import effective_rank
from ..networks import datasets
from ..networks.moments import SHUFFLES, Moments, collect_moments, without_gone
from ..subspaces import Matrix, Pair
from .ceiling import pair_columns
from .layer_tasks import by_layers, layer_names
from .parallel import train_all
from .store import Computed, Kind, origin_of
from .study import Study, after, chosen_layers, earlier_epochs, networks_at, test_images
from .tables import EPSILONS, described, layer_columns, pair_rows, similarity_table

RESIDUAL_RIDGE = 1e-9  # λ for what is left: rounding is 1e-13 of a neuron's power, and at least 1e-4 of it is left
APART = {1: "1 epoch apart", 2: "2 epochs apart"}  # by how many epochs

CONDITIONS = {
    "as it is": "the layer as the paper matches it",
    "centred": "each neuron less its mean map over the images",
    "class means": "each neuron less its mean map over the images of the class",
    "third logits": "less what the logits of a third network explain linearly, at every position",
    "other logits": "less what the logits of the network it is compared with explain",
    "own logits": "less what its own network's logits explain: partly empty by construction",
    "same class": "the second network sees other images of the same classes",
    "any image": "the second network sees other images of any class",
    "untrained": "both networks before training",
    "one untrained": "a trained network and another before training",
    "1 epoch apart": "one training, its last epoch and the one before; a short training still changes much in it",
    "2 epochs apart": "one training, two epochs apart; a short training still changes much in them",
    "late checkpoint": "one training, its last epoch and the latest one before it that was kept: the ceiling",
}
REMOVALS = ("centred", "class means", "third logits", "other logits", "own logits")
COUNTS = (1, 2, 3, 4, 6, 8, 10, 16, 32, 64, 128, 256)
FAINT = 1e-9  # a direction with less than this share of the largest power comes from rounding


# ---------------------------------------------------------------- the conditions


@dataclass(frozen=True)
class Cast:
    """The networks of the study as (seed, epoch). The first `trained` of them are at the last epoch."""

    members: tuple[tuple[int, int], ...]
    trained: int

    @staticmethod
    def of(study: Study) -> "Cast":
        """Every seed at the last epoch, at its earlier epochs (`earlier_epochs`), and at epoch 0."""
        runs = dict(zip(study.seeds, study.runs, strict=True))
        last = study.runs[0].recipe.epochs
        earlier = sorted(
            ((seed, epoch) for seed, run in runs.items() for epoch in earlier_epochs(run)),
            key=lambda member: (-member[1], study.seeds.index(member[0])),
        )
        ends = [[(seed, epoch) for seed in study.seeds] for epoch in (last, 0)]
        return Cast((*ends[0], *earlier, *ends[1]), len(study.seeds))

    def named(self, a: int, b: int) -> dict[str, Any]:
        """The columns that name the pair of a row."""
        return pair_columns(self.members[a], self.members[b])

    @property
    def pairs(self) -> dict[tuple[int, int], str]:
        """Every pair that is compared, with its condition.

        Pairs of trained networks ("as it is") have more conditions.
        """
        n, last = self.trained, self.members[0][1]
        conditions = dict.fromkeys(combinations(range(n), 2), "as it is")
        for k, (seed, epoch) in enumerate(self.members[n:-n], start=n):
            conditions[self.members.index((seed, last)), k] = APART.get(last - epoch, "late checkpoint")
        start = len(self.members) - n
        conditions |= dict.fromkeys(combinations(range(start, start + n), 2), "untrained")
        return conditions | {(k, start + (k + 1) % n): "one untrained" for k in range(n)}


def conditions(moments: Moments, cast: Cast) -> Iterator[tuple[str, int, int, Matrix]]:
    """(condition, a, b, Gram matrix) of every comparison."""
    for (a, b), condition in cast.pairs.items():
        yield condition, a, b, moments.gram(a, b)
        if condition == "as it is":
            for name, taken in taken_away(a, b, cast.trained).items():
                yield name, a, b, moments.residual_gram(taken)
            for how in SHUFFLES:
                yield how, a, b, moments.shuffled_gram(how, a, b)


def third_of(a: int, b: int, trained: int) -> int | None:
    """A trained network that is neither `a` nor `b`; None if there is none."""
    return next((k for k in range(trained) if k not in (a, b)), None)


def taken_away(a: int, b: int, trained: int) -> dict[str, dict[int, str]]:
    """The features taken from a and from b, for each condition in `REMOVALS`. "third logits" needs a third network."""
    taken = {name: {a: name, b: name} for name in ("centred", "class means")}
    third = third_of(a, b, trained)
    logits = {"third logits": (third, third), "other logits": (b, a), "own logits": (a, b)}
    return taken | {name: {a: f"logits {k}", b: f"logits {j}"} for name, (k, j) in logits.items() if k is not None}


def linear_cka(gram: Matrix, n_x: int) -> float:
    """Linear CKA of two networks from their joint Gram matrix. For the usual CKA the matrix must be centred before."""
    xx, xy, yy = gram[:n_x, :n_x], gram[:n_x, n_x:], gram[n_x:, n_x:]
    below = np.linalg.norm(xx) * np.linalg.norm(yy)
    return float((xy**2).sum() / below) if below else np.nan


def match_conditions(moments: Moments, cast: Cast) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two tables: critical ε of every neuron, per condition and pair; and what power and dimension are left.

    A removal can leave too little to be computed exactly from products. Then the pair has no critical ε, and the
    column "refused" of the second table says why. Raises `BadInput` if this happens where nothing is removed.
    """
    critical, summary = [], []
    for condition, a, b, gram in conditions(moments, cast):
        row = {"condition": condition} | cast.named(a, b)
        refused, pair = "", _pair_of(gram, moments, a, condition in REMOVALS)
        try:
            critical.append(pair_rows(pair).assign(**row))
        except BadInput as error:
            if condition not in REMOVALS:
                raise
            refused = _reason(error)
        left = power_left(gram, moments.gram(a, b))
        ranks = [effective_rank(part) for part in (gram[: pair.n_x, : pair.n_x], gram[pair.n_x :, pair.n_x :])]
        measured = {"power_left": left, "effective_rank": np.mean(ranks), "cka_raw": linear_cka(gram, pair.n_x)}
        summary.append(row | measured | {"refused": refused})
    return pd.concat(critical, ignore_index=True), pd.DataFrame(summary)


def _pair_of(gram: Matrix, moments: Moments, a: int, residual: bool) -> Pair:
    """The two networks' neurons, ready to match; a is the first."""
    n_x = len(moments.blocks[a, a])
    pair = Pair.from_gram(gram, n_x, len(gram) - n_x, moments.samples)
    return replace(pair, ridge=RESIDUAL_RIDGE) if residual else pair


def power_left(gram: Matrix, whole: Matrix) -> float:
    """The share of each neuron's power that is left, averaged over the neurons that were alive."""
    alive = np.diag(whole) > 0
    return float((np.diag(gram)[alive] / np.diag(whole)[alive]).mean())


def _reason(error: BadInput) -> str:
    """The error without its advice to use the QR route, which needs activations and not only products."""
    return str(error).partition(": use the QR route")[0]


# ---------------------------------------------------------------- are the outputs more than strong directions?


def strongest_out(joint: Matrix, cut: int) -> Iterator[tuple[int, Matrix]]:
    """(k, Gram matrix of the first `cut` neurons less the k strongest directions of the others), for growing k.

    The directions are the principal components of the others in the space of samples. Let E be the products of the
    neurons with the unit directions. What is left is then G − E Eᵀ (prp-residual, with the directions as features).
    """
    powers, vectors = np.linalg.eigh(joint[cut:, cut:])
    strong = np.flatnonzero(powers > FAINT * powers[-1])[::-1]
    products = joint[:cut, cut:] @ vectors[:, strong] / np.sqrt(powers[strong])
    for k in (count for count in COUNTS if count <= len(strong)):
        yield k, joint[:cut, :cut] - products[:, :k] @ products[:, :k].T


def removed_directions(moments: Moments, a: int, b: int, third: int) -> Iterator[tuple[str, int, Matrix]]:
    """(what, how many, Gram matrix of a and b without them) for a layer with a single position.

    - "centred": only the mean is taken away;
    - "third logits": the logits of the third network;
    - "strongest": the strongest directions of its layer;
    - "beside logits": directions of what remains of its layer without its logits.
    """
    logits, raw = f"logits {third}", moments.gram(a, b)
    span = moments.named[logits]
    yield "centred", 0, moments.residual_gram({a: "centred", b: "centred"})
    yield "third logits", span.stop - span.start, moments.residual_gram({a: logits, b: logits})
    for what, features in (("strongest", "centred"), ("beside logits", logits)):
        joint = moments.residual_gram({a: "centred", b: "centred", third: features})
        for count, left in strongest_out(joint, len(raw)):
            yield what, count, without_gone(left, np.diag(raw))


def compare_directions(moments: Moments, cast: Cast) -> pd.DataFrame:
    """What is left of a pair without directions of a third network: columns taken, directions, variance_left, area.

    variance_left is the mean share of the centred neurons' variance. area is the area under s(ε), the mean of 1 −
    critical ε. The table is empty for layers with several positions, where a direction is a map, and without a third
    network. It ends where so little is left that it cannot be computed exactly from products.
    """
    rows: list[dict[str, Any]] = []
    for a, b in combinations(range(cast.trained), 2):
        third = third_of(a, b, cast.trained)
        if third is None or moments.products[a].shape[2] > 1:
            continue
        removed = list(removed_directions(moments, a, b, third))
        for taken, directions, gram in removed:
            row = {"taken": taken, "directions": directions} | cast.named(a, b)
            row["variance_left"] = power_left(gram, removed[0][2])
            with suppress(BadInput):  # the last rows of a layer that a few directions explain
                row["area"] = area(np.concatenate(critical_epsilons(_pair_of(gram, moments, a, True))))
                rows.append(row)
    kinds = (
        {"taken": str, "directions": int}
        | dict.fromkeys(cast.named(0, 0), int)
        | {"variance_left": float, "area": float}
    )
    return pd.DataFrame(rows, columns=list(kinds)).astype(kinds)  # an empty table, too, says what its columns hold


def shares_left(directions: pd.DataFrame) -> pd.DataFrame:
    """The table with two more columns: `base`, the area of the centred pair, and `left`, the area as a share of it."""
    pair = ["layer", "seed_a", "seed_b"]
    base = directions[directions["taken"] == "centred"].set_index(pair)["area"].rename("base")
    table = directions.join(base, on=pair)
    return table.assign(left=table["area"] / table["base"])


def at_equal_variance(directions: pd.DataFrame) -> pd.DataFrame:
    """Per layer and pair: shares of the centred area left without third logits, and without strong directions.

    Each column says what is removed.

    - logits: the third network's logits;
    - strongest: its strongest directions, until as much variance is left as without the logits (interpolated);
    - beside: as many directions beside the logits as there are logits;
    - all: the third network's whole layer, or the largest number of its directions in `COUNTS`.

    `base` is the area that the shares refer to.
    """
    return pd.DataFrame(
        [
            dict(zip(("layer", "kind", "depth", "position"), key[:4], strict=True)) | _compared(rows)
            for key, rows in shares_left(directions).groupby(
                ["layer", "kind", "depth", "position", "seed_a", "seed_b"], observed=True
            )
        ]
    )


def _compared(rows: pd.DataFrame) -> dict[str, float]:
    taken = {name: part.sort_values("directions") for name, part in rows.groupby("taken", observed=True)}
    logits = taken["third logits"].iloc[0]
    strong, beside = (pd.concat([taken["centred"], taken.get(w, rows[:0])]) for w in ("strongest", "beside logits"))
    rising = strong[::-1]  # in variance, as interp wants it
    return {
        "logits": logits["left"],
        "strongest": float(np.interp(logits["variance_left"], rising["variance_left"], rising["left"])),
        "beside": beside.loc[beside["directions"] <= logits["directions"], "left"].iloc[-1],
        "all": strong["left"].iloc[-1],
        "base": logits["base"],
    }


def area(critical: Float[np.ndarray, " neurons"] | pd.Series) -> float:
    """The area under the curve s(ε), over all ε in [0, 1): the mean of 1 − critical ε, with 0 where it is inf."""
    return float(np.clip(1 - critical, 0, None).mean())


# ---------------------------------------------------------------- the study


def labelled_batches(data: datasets.Dataset, progress: bool, size: int = 100) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of (images, labels) in a fixed random order, so that every batch contains all classes."""
    order = np.random.default_rng(0).permutation(len(data.images))
    mixed = datasets.Dataset(**vars(data) | {"images": data.images[order], "labels": data.labels[order]})
    labels = torch.from_numpy(mixed.labels).split(size)
    images = datasets.batches(mixed, size)
    yield from tqdm(zip(images, labels, strict=True), total=len(labels), desc="one pass", disable=not progress)


def load_cast(study: Study, cast: Cast, data: datasets.Dataset) -> tuple[list[nn.Module], list[dict[str, Any]]]:
    """The networks with their sidecars. Untrained twins are calibrated.

    Raises `BadInput` if two of them have equal weights.
    """
    runs = dict(zip(study.seeds, study.runs, strict=True))
    return networks_at({after(seed, epoch): (runs[seed], epoch) for seed, epoch in cast.members}, data)


def check_plain(study: Study) -> None:
    """Raise `BadInput` for what this kind lacks: a single epoch, layers before the ReLU, sampling, kept layers."""
    plain = replace(study, epoch=None, before_relu=False, sampled=False, keep=())
    for option in ("epoch", "before_relu", "sampled", "keep"):
        if (value := getattr(study, option)) != getattr(plain, option):
            raise BadInput(f"{option} is {value}: causes compare whole trainings after the ReLU, on all positions")


def compute(study: Study, progress: bool = True) -> Computed:
    """Tables "critical", "similarity", "summary" and "directions" of all conditions and layers.

    With several workers groups of layers are tasks. Raises `BadInput` for a study that asks for one epoch, for layers
    before the ReLU, for sampling, or for kept layers. It is also raised for a layer whose numbers would not be exact
    enough.
    """
    check_plain(study)
    runs = dict(zip(study.seeds, study.runs, strict=True))
    train_all((runs[seed], epoch) for seed, epoch in Cast.of(study).members)
    computed = by_layers(PART, study, layer_names(study), {}, progress)
    return replace(computed, origin=computed.origin | {"conditions": CONDITIONS})


def causes_in_layers(study: Study, progress: bool = True) -> Computed:
    """The tables of the study's layers, from one pass over the images.

    Raises `BadInput`, with the layer's name, if its numbers would not be exact enough.
    """
    cast, data = Cast.of(study), test_images(study)
    nets, sidecars = load_cast(study, cast, data)
    layers = chosen_layers(nets[0], study.layers)
    batches = labelled_batches(data, progress)
    pairs, classes = list(cast.pairs), len(data.classes)
    moments = collect_moments(nets, batches, [layer.name for layer in layers], pairs, cast.trained, classes)
    parts: dict[str, list[pd.DataFrame]] = {"critical": [], "summary": [], "directions": []}
    for layer in tqdm(layers, desc="matching layers", disable=not progress):
        try:
            of_layer = *match_conditions(moments[layer.name], cast), compare_directions(moments[layer.name], cast)
        except BadInput as error:
            reason = _reason(error)
            advice = "train longer, or name the other layers (on the command line: --layers)"
            raise BadInput(f"layer {layer.name}: {reason}; {advice}") from None
        for name, table in zip(parts, of_layer, strict=True):
            parts[name].append(table.assign(**layer_columns(layer)))
    tables = {name: described(study, pd.concat(pieces, ignore_index=True)) for name, pieces in parts.items()}
    tables["similarity"] = similarity_table(tables["critical"], EPSILONS)
    return Computed(tables, origin_of(data, sidecars, nets))


KIND = Kind("causes", "the layers matched with one cause of similarity taken away at a time", compute, some_layers=True)
PART = Kind("causes-layers", "some layers of a study of causes", causes_in_layers)
