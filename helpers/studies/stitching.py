"""Can one network continue from another network's layer? Layer l of B is replaced by a linear map of A's layer l.

The map is the least-squares solution with an intercept, fitted on training images from the joint Gram matrix of the
two layers. It has one weight per pair of channels, equal at every position (a 1 × 1 convolution). It uses no labels
and no loss. Lenc and Vedaldi 2015 and Bansal et al. 2021 train their maps for the task instead.

The map's output is not cut at 0, although B's layer is the output of a ReLU. The question is whether A's *span* is
good enough, as in a match. Batch-norm statistics after the stitch are measured anew on training images; weights do not
change. Inside a residual block both the input of the block and the inner layer come from A. Otherwise B's own shortcut
would carry the image around the stitch.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import BadInput, unknown
from ..matching.match import critical_epsilons
from ..matching.peeling import TIE
from ..networks import datasets, training
from ..networks.activations import calibrate, captured, neurons
from ..networks.checkpoints import check_different, weights_digest
from ..networks.tails import LinearMap, Stitched, quick, recalibrate, tail
from ..subspaces import CONSTANT, Gram, Matrix
from .layer_tasks import by_layers, layer_names, ordered_by_layer
from .parallel import train_all
from .store import Computed, Kind, origin_of
from .study import Study, chosen_layers
from .tables import described, layer_columns

MAP_RIDGE = 1e-9  # share of a neuron's variance: float32 rounding then changes a stitched neuron by less than 1e-3
BATCH = 50
CALIBRATION_IMAGES = 500
LOGITS_LAYER = "logits"
SOURCES = {
    "trained": "the other network",
    "identity": "the network itself: what fitting and recalibration alone cost",
    "untrained": "the other network before training",
    "other images": "the other network, shown another image: what the intercept alone is worth",
}

Outputs = dict[str, Tensor]  # activations of one batch by layer


@dataclass(frozen=True)
class Case:
    """One way to stitch: the activations of `source`, seed `a`, go into the trained network of seed `b`."""

    source: str
    a: int
    b: int

    @property
    def stream(self) -> tuple[str, int]:
        """The activations that it takes: the kind of source, and the seed."""
        return ("trained" if self.source == "identity" else self.source), self.a

    @property
    def target(self) -> tuple[str, int]:
        """The activations that it replaces: those of the trained network of seed `b`."""
        return "trained", self.b


def stitching_cases(seeds: Sequence[int], sources: Sequence[str] = tuple(SOURCES)) -> list[Case]:
    """Each seed into the next one, and for the first pair also the other sources, which are controls.

    Raises `BadInput` for a source that is not in `SOURCES`.
    """
    for source in sources:
        if source not in SOURCES:
            raise unknown("source of activations", source, SOURCES)
    a, b = seeds[:2]
    beside = [Case(source, b if source == "identity" else a, b) for source in SOURCES if source in sources]
    return [Case("trained", *pair) for pair in pairwise(seeds)] + [case for case in beside if case.source != "trained"]


# ---------------------------------------------------------------- the map


def least_squares_map(gram: Gram) -> tuple[Float[np.ndarray, "out neurons"], Float[np.ndarray, " out"], float]:
    """Weights, intercept and share of explained variance of the map from the first network's neurons to the second's.

    It takes the minimum of Σ ‖y − W x − b‖² + λ Σ ‖W D‖² over W and b, where D holds the lengths of the centred
    neurons and λ = `MAP_RIDGE`. Constant neurons get the weight 0. The explained share refers to the summed variance
    of the second network's neurons.
    """
    x, y = gram.columns(0), gram.columns(1)
    centred = gram.gram - np.outer(gram.sums, gram.sums) / gram.samples
    scale = np.sqrt(np.maximum(np.diag(centred)[x], 0))
    varying = scale**2 > CONSTANT * np.diag(gram.gram)[x]
    unit = centred[x, x][np.ix_(varying, varying)] / np.outer(scale[varying], scale[varying])
    weight = np.zeros((gram.sizes[1], gram.sizes[0]))
    if varying.any():
        cross = centred[x, y][varying] / scale[varying, None]
        factor = cho_factor(unit + MAP_RIDGE * np.eye(len(unit)))
        weight[:, varying] = (cho_solve(factor, cross) / scale[varying, None]).T
    left = centred[y, y] - 2 * weight @ centred[x, y] + weight @ centred[x, x] @ weight.T
    whole = np.trace(centred[y, y])
    intercept = (gram.sums[y] - weight @ gram.sums[x]) / gram.samples
    return weight, intercept, float(1 - np.trace(left) / whole) if whole > 0 else np.nan


def linear_map(gram: Gram) -> LinearMap:
    """The map of `least_squares_map` as a module."""
    weight, intercept, _ = least_squares_map(gram)
    return LinearMap(torch.from_numpy(weight).float(), torch.from_numpy(intercept).float())


@dataclass
class StreamProducts:
    """One layer's raw cross products between streams, and the streams' sums, over all samples so far."""

    blocks: dict[tuple[Any, Any], Matrix] = field(default_factory=dict)
    sums: dict[Any, np.ndarray] = field(default_factory=dict)
    samples: int = 0

    def add(self, streams: dict[Any, Tensor], cases: Sequence[Case]) -> None:
        """Add one batch. Only the blocks that a case needs are computed."""
        rows = {key: neurons(output).double() for key, output in streams.items()}
        for a, b in {(key, key) for key in rows} | {(case.stream, case.target) for case in cases}:
            self.blocks[a, b] = self.blocks.get((a, b), 0) + (rows[a] @ rows[b].T).numpy()
        for key, row in rows.items():
            self.sums[key] = self.sums.get(key, 0) + row.sum(1).numpy()
        self.samples += next(iter(rows.values())).shape[1]

    def gram(self, case: Case) -> Gram:
        """The joint Gram matrix of a case's source and target."""
        a, b = case.stream, case.target
        cross = self.blocks[a, b]
        gram = np.block([[self.blocks[a, a], cross], [cross.T, self.blocks[b, b]]])
        sums = np.concatenate([self.sums[a], self.sums[b]])
        return Gram(sums, self.samples, (len(cross), cross.shape[1]), gram)


# ---------------------------------------------------------------- passes over images


def some_images(study: Study, split: str, count: int | None) -> datasets.Dataset:
    """`count` images of a split, drawn at random but equal in every call; all for None or if there are fewer."""
    data = datasets.load_dataset(study.dataset, split)
    if count is None or count >= len(data.images):
        return data
    chosen = np.sort(np.random.default_rng(0).choice(len(data.images), count, replace=False))
    return replace(data, images=data.images[chosen], labels=data.labels[chosen])


def stitching_streams(
    nets: dict[tuple[str, int], nn.Module], cases: Sequence[Case], layers: Sequence[str], images: Tensor
) -> dict[tuple[str, int], Outputs]:
    """Activations and logits of every stream that a case takes or replaces."""
    wanted = {key for case in cases for key in (case.stream, case.target)}
    streams: dict[tuple[str, int], Outputs] = {}
    for key in sorted(wanted & set(nets)):
        with captured(nets[key], [*layers, LOGITS_LAYER]) as outputs:
            nets[key](images)
        streams[key] = outputs
    for key in wanted - set(nets):  # the next image of the batch
        streams[key] = {layer: output.roll(1, 0) for layer, output in streams["trained", key[1]].items()}
    return streams


def stream_products(
    nets: dict[tuple[str, int], nn.Module], cases: Sequence[Case], layers: Sequence[str], batches: Iterable[Tensor]
) -> dict[str, StreamProducts]:
    """The products for the maps, from one pass over the images that they are fitted on.

    Raises `BadInput` without images.
    """
    by_layer = {layer: StreamProducts() for layer in layers}
    for images in batches:
        streams = stitching_streams(nets, cases, layers, images)
        for layer, products in by_layer.items():
            products.add({key: outputs[layer] for key, outputs in streams.items()}, cases)
    if not any(products.samples for products in by_layer.values()):
        raise BadInput("no images to fit on: expected at least one batch")
    return by_layer


def stitch_all(
    nets: dict[tuple[str, int], nn.Module], cases: Sequence[Case], products: dict[str, StreamProducts]
) -> dict[tuple[Case, str], Stitched]:
    """The stitched network of every case at every layer."""
    stitched = {}
    for case in cases:
        maps = {layer: linear_map(of_layer.gram(case)) for layer, of_layer in products.items()}
        for layer in products:
            after = tail(nets[case.target], layer)
            stitched[case, layer] = Stitched([maps[name] for name in after.inputs], after).eval()
    return stitched


def count_correct(
    stitched: dict[tuple[Case, str], Stitched],
    streams: dict[tuple[str, int], Outputs],
    labels: Tensor,
    counts: Counter[tuple[Any, ...]],
) -> None:
    """Add one batch to the counts: right answers of every stitched network and of its target, and equal answers."""
    for (case, layer), network in stitched.items():
        answers = network(streams[case.stream]).argmax(1)
        theirs = streams[case.target][LOGITS_LAYER].argmax(1)
        counts[case, layer, "right"] += int((answers == labels).sum())
        counts[case, layer, "agree"] += int((answers == theirs).sum())
        counts[case, layer, "own"] += int((theirs == labels).sum())
        counts[case, layer, "images"] += len(labels)


# ---------------------------------------------------------------- the study


def stitched_accuracy(
    nets: dict[tuple[str, int], nn.Module],
    cases: Sequence[Case],
    layers: Sequence[str],
    data: tuple[datasets.Dataset, datasets.Dataset, datasets.Dataset],
    controls: int,
    progress: bool = False,
) -> pd.DataFrame:
    """Fit, recalibrate, and count right answers. `data` holds the images for each of these steps.

    The controls are tested on the first `controls` images. The columns are:

    - layer, source, seed_a, seed_b;
    - explained: the share of variance that the map explains;
    - similarity (at ε = 0.3) and area (under s(ε)) of the two layers;
    - accuracy, and own: the accuracy of the unchanged target on these images;
    - lost: own − accuracy;
    - agreement: the share of answers that are those of the target;
    - images: their number.
    """
    fit, again, test = data
    with quick():
        products = stream_products(
            nets, cases, layers, tqdm(datasets.batches(fit, BATCH), desc="fitting", disable=not progress)
        )
        stitched = stitch_all(nets, cases, products)
        recalibrate(stitched, _by_stitch(nets, cases, layers, stitched, again))
        counts: Counter[tuple[Any, ...]] = Counter()
        labels = torch.from_numpy(test.labels).split(BATCH)
        for k, images in enumerate(tqdm(datasets.batches(test, BATCH), desc="testing", disable=not progress)):
            asked = [case for case in cases if case.source == "trained" or k * BATCH < controls]
            streams = stitching_streams(nets, asked, layers, images)
            count_correct({key: s for key, s in stitched.items() if key[0] in asked}, streams, labels[k], counts)
    return pd.DataFrame([_stitched_row(case, layer, products[layer], counts) for case, layer in stitched])


def _by_stitch(
    nets: dict[tuple[str, int], nn.Module],
    cases: Sequence[Case],
    layers: Sequence[str],
    stitched: dict[tuple[Case, str], Stitched],
    data: datasets.Dataset,
) -> Iterator[dict[tuple[Case, str], Outputs]]:
    for images in datasets.batches(data, BATCH):
        streams = stitching_streams(nets, cases, layers, images)
        yield {(case, layer): streams[case.stream] for case, layer in stitched}


def _stitched_row(case: Case, layer: str, products: StreamProducts, counts: Counter[tuple[Any, ...]]) -> dict[str, Any]:
    gram = products.gram(case)
    critical = np.concatenate(critical_epsilons(gram.pair(0, 1)))
    images = counts[case, layer, "images"]
    right, own, agree = (counts[case, layer, what] / images for what in ("right", "own", "agree"))
    return {
        "layer": layer,
        "source": case.source,
        "seed_a": case.a,
        "seed_b": case.b,
        "explained": least_squares_map(gram)[2],
        "similarity": float((critical <= 0.3 + TIE).mean()),
        "area": float(np.clip(1 - critical, 0, None).mean()),
        "accuracy": right,
        "own": own,
        "lost": own - right,
        "agreement": agree,
        "images": images,
    }


def trained_networks(study: Study, progress: bool = True) -> tuple[dict[tuple[str, int], nn.Module], list[Any]]:
    """The study's networks by ("trained", seed), and their sidecars. Networks that are not trained yet are trained.

    Raises `BadInput` if two of them have equal weights.
    """
    networks: dict[tuple[str, int], nn.Module] = {}
    sidecars = []
    train_all([(run, None) for run in study.runs], progress)
    for seed, run in zip(study.seeds, study.runs, strict=True):
        training.train(run, progress=progress)
        networks["trained", seed], sidecar = training.load_checkpoint(run.checkpoint(run.recipe.epochs))
        sidecars.append(sidecar)
    check_different({f"seed {seed}": weights_digest(network.state_dict()) for (_, seed), network in networks.items()})
    return networks, sidecars


def untrained_network(study: Study) -> nn.Module:
    """The untrained twin of the first seed, with batch-norm statistics measured on training images."""
    network, _ = training.load_checkpoint(training.start(study.runs[0]))
    return calibrate(network, datasets.batches(some_images(study, "train", CALIBRATION_IMAGES), BATCH))


def compute_stitching(
    study: Study,
    fit: int = 2000,
    again: int = 200,
    controls: int = 250,
    sources: Sequence[str] = tuple(SOURCES),
    progress: bool = True,
) -> Computed:
    """Table "stitching": one row per hidden layer, pair of networks and source.

    `fit` is the number of training images for the maps, `again` how many of them are used for the batch-norm
    statistics. The study's test `images` give the accuracy; the controls use the first `controls` of them. `sources`
    says which controls there are. With several workers groups of layers are tasks. Raises `BadInput` for an unknown
    source.
    """
    stitching_cases(study.seeds, sources)
    train_all([(run, None) for run in study.runs], progress)
    hidden = [name for name in layer_names(study) if name != LOGITS_LAYER]
    settings = {"fit": fit, "again": again, "controls": controls, "sources": list(sources)}
    return by_layers(PART, study, hidden, settings, progress)


def stitch_layers(
    study: Study, fit: int, again: int, controls: int, sources: Sequence[str], progress: bool = True
) -> Computed:
    """The rows of the study's layers, from one pass over each set of images."""
    nets, sidecars = trained_networks(study, progress)
    cases = stitching_cases(study.seeds, sources)
    if "untrained" in sources:
        nets["untrained", study.seeds[0]] = untrained_network(study)
    known = chosen_layers(nets["trained", study.seeds[0]], study.layers)
    hidden = {layer.name: layer for layer in known if layer.name != LOGITS_LAYER}
    learned = some_images(study, "train", fit)
    few = replace(learned, images=learned.images[:again], labels=learned.labels[:again])
    data = learned, few, some_images(study, "test", study.images)
    table = ordered_by_layer([stitched_accuracy(nets, cases, list(hidden), data, controls, progress)], list(hidden))
    columns = pd.DataFrame([layer_columns(hidden[name]) for name in table["layer"]])
    tables = {"stitching": described(study, columns.join(table.drop(columns="layer")))}
    return Computed(tables, origin_of(data[2], sidecars, list(nets.values())))


STITCHING = {"fit": 2000, "again": 200, "controls": 250, "sources": list(SOURCES)}
KIND = Kind(
    "stitching",
    "accuracy of a network that goes on from a linear map of another network's layer",
    compute_stitching,
    defaults=STITCHING,
)
PART = Kind("stitching-layers", "some layers of a study of stitching", stitch_layers, defaults=STITCHING)


def stitched_unmatched(table: pd.DataFrame, similar: float = 0.05, lost: float = 0.05) -> dict[str, float]:
    """Of the layers with s(0.3) ≤ `similar`: how many there are, and the share that loses less than `lost` of accuracy.

    Both use means over the pairs of trained networks. `share` is nan if no layer is that dissimilar. `worst` is the
    largest loss of accuracy among these layers.
    """
    means = table[table["source"] == "trained"].groupby("layer", observed=True)[["similarity", "lost"]].mean()
    unlike = means[means["similarity"] <= similar]
    stitchable = float((unlike["lost"] < lost).mean()) if len(unlike) else np.nan
    return {"layers": len(unlike), "share": stitchable, "worst": float(unlike["lost"].max())}
