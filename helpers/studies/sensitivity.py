"""What does a measure notice, and does a linear read-out notice it too? Changes made to a layer on purpose.

After Ding et al. 2021 and Davari et al. 2023. Principal components are taken out one after the other, from the weak
end and from the strong end. A measure compares the layer with what is left, and a linear probe is trained anew on what
is left. A measure is *sensitive* if it falls where the probe falls. It is *specific* if it does not fall elsewhere.
Three more changes are tried: the layer of another seed, one image moved far out, and one neuron made much larger.
Convolutional layers are averaged over positions, for the measures and for the probe.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import spearmanr
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from tqdm import tqdm

from ..errors import unknown
from ..measures import MEASURES, Compared, Sampled
from ..networks import datasets
from ..networks.activations import captured
from ..networks.architectures import Layer
from ..networks.tails import quick
from .layer_tasks import by_layers, study_layers
from .parallel import train_all
from .stitching import BATCH, some_images, trained_networks
from .store import Computed, Kind, origin_of
from .study import Study, chosen_layers
from .tables import described, layer_columns

CHANGES = {
    "weak components": "principal components taken out, the weakest first",
    "strong components": "principal components taken out, the strongest first",
    "other seed": "the same layer of a network trained from another seed",
    "one image": "one image moved far out, the same in all neurons",
    "one neuron": "one neuron a hundred times larger",
}
FAR, LARGE = 100.0, 100.0  # the factor by which the image's activations grow; the factor by which the neuron grows
STEPS = 8
SHOWN = (
    "subspace",
    "cka",
    "cca",
    "svcca",
    "pwcca",
    "procrustes",
    "regression",
    "rsa",
    "neighbours",
    "soft_match",
)
PROBE_RIDGE = 1.0

Samples = Float[np.ndarray, "neurons images"]


@dataclass(frozen=True)
class Probed:
    """One layer on training images and on test images, and the labels that a probe learns from them."""

    train: Samples
    test: Samples
    train_labels: Int[np.ndarray, " images"]
    test_labels: Int[np.ndarray, " images"]

    def accuracy(self) -> float:
        """Share of test images that a linear probe (ridge, scaled neurons) gets right. It is fitted on `train`."""
        probe = make_pipeline(StandardScaler(), RidgeClassifier(alpha=PROBE_RIDGE))
        probe.fit(self.train.T, self.train_labels)
        return float(probe.score(self.test.T, self.test_labels))

    def apply(self, change: Callable[[Samples], Samples]) -> "Probed":
        """Apply one map of neurons to both sets of images."""
        return replace(self, train=change(self.train), test=change(self.test))

    def without_components(self, count: int, strong: bool) -> "Probed":
        """The layer less its `count` weakest or strongest principal components. The means of the neurons stay.

        The components are those of the training images.
        """
        mean = self.train.mean(axis=1, keepdims=True)
        _, vectors = np.linalg.eigh((self.train - mean) @ (self.train - mean).T)  # ascending
        gone = vectors[:, len(vectors) - count :] if strong else vectors[:, :count]
        return self.apply(lambda x: x - gone @ (gone.T @ (x - mean)))


def component_counts(neurons: int, steps: int = STEPS) -> list[int]:
    """How many components to take out: from 1 to all but one, in smaller steps near both ends."""
    rising = np.geomspace(1, neurons / 2, steps // 2)
    counts = np.concatenate([rising, neurons - rising])
    return sorted({round(count) for count in counts if 1 <= round(count) < neurons})


def changed_layers(layer: Probed, other: Probed, steps: int = STEPS) -> Iterator[tuple[str, float, Probed]]:
    """(change, amount, the changed layer).

    The amount is the share of components taken out, or the size of the change.
    """
    neurons = len(layer.train)
    for strong, change in ((False, "weak components"), (True, "strong components")):
        for count in component_counts(neurons, steps):
            yield change, count / neurons, layer.without_components(count, strong)
    yield "other seed", 1.0, other
    far = layer.test.copy()
    far[:, 0] *= FAR
    yield "one image", FAR, replace(layer, test=far)
    scale = np.ones((neurons, 1))
    scale[layer.train.var(axis=1).argmax()] = LARGE
    yield "one neuron", LARGE, layer.apply(lambda x: x * scale)


def sensitivity_rows(
    layer: Probed, other: Probed, names: Sequence[str], steps: int = STEPS, progress: bool = False
) -> pd.DataFrame:
    """One row per change and measure: change, amount, accuracy (of the probe), lost, measure, value, fallen.

    `value` compares the changed layer with the original one on the test images. `fallen` is how far it lies below the
    value of the original layer with itself. `lost` is the accuracy that the probe has lost.
    """
    whole = layer.accuracy()
    original = Sampled.of(layer.test)  # its factors, ranks and neighbours are computed once for all changes
    itself = values_by_measure(Compared.of(original, original), names)
    rows: list[dict[str, Any]] = []
    for change, amount, changed in tqdm(list(changed_layers(layer, other, steps)), disable=not progress):
        accuracy = changed.accuracy()
        for name, value in values_by_measure(Compared.of(original, changed.test), names).items():
            row = {"change": change, "amount": amount, "accuracy": accuracy, "lost": whole - accuracy}
            rows.append(row | {"measure": name, "value": value, "fallen": itself[name] - value})
    return pd.DataFrame(rows)


def values_by_measure(pair: Compared, names: Sequence[str]) -> dict[str, float]:
    """The value of each measure for one pair of layers. What several measures share is computed once.

    Raises `BadInput` for an unknown name.
    """
    for name in names:
        if name not in MEASURES:
            raise unknown("measure", name, MEASURES)
    return {name: MEASURES[name].function(pair) for name in names}


def probe_agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Spearman's rank correlation of a measure's fall and the probe's loss, per network, layer and measure.

    It is computed over all numbers of components taken out. The columns `weak` and `strong` use one end alone, `both`
    uses all.
    """
    taken = table[table["change"].isin(["weak components", "strong components"])]
    by = [column for column in ("network", "layer", "position") if column in table]
    rows = []
    for key, part in taken.groupby([*by, "measure"], sort=False, observed=True):
        row = dict(zip([*by, "measure"], key, strict=True))
        ends = {"both": part} | {end: part[part["change"] == f"{end} components"] for end in ("weak", "strong")}
        rows.append(row | {end: float(spearmanr(rows["fallen"], rows["lost"])[0]) for end, rows in ends.items()})
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- the study


def image_averages(network: nn.Module, data: datasets.Dataset, layers: Sequence[str]) -> dict[str, Samples]:
    """Each layer's neurons on every image, averaged over positions: (neurons, images) arrays by layer."""
    parts: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for images in datasets.batches(data, BATCH):
        with quick(), captured(network, layers) as outputs:
            network(images)
        for layer in layers:
            values = outputs[layer].double()
            parts[layer].append((values.flatten(2).mean(2) if values.ndim == 4 else values).numpy())
    return {layer: np.concatenate(pieces).T for layer, pieces in parts.items()}


def compute_sensitivity(
    study: Study, images: int = 2000, steps: int = STEPS, names: Sequence[str] = SHOWN, progress: bool = True
) -> Computed:
    """Table "sensitivity" of the study's layers (None: the middle one, the last convolutional one, the pool).

    The network is that of the first seed; the second seed gives the change "other seed". `images` is the number of
    training images, and of test images. `names` are the measures. With several workers layers are tasks.
    """
    train_all([(run, None) for run in study.runs[:2]], progress)
    known = {layer.name: layer for layer in study_layers(study)}
    layers = list(study.layers or three_layers(known))
    settings = {"images": images, "steps": steps, "names": list(names)}
    return by_layers(PART, replace(study, layers=tuple(layers)), layers, settings, progress)


def sense_layers(study: Study, images: int, steps: int, names: Sequence[str], progress: bool = True) -> Computed:
    """The rows of the study's layers."""
    nets, sidecars = trained_networks(study, progress)
    layers = {layer.name: layer for layer in chosen_layers(nets["trained", study.seeds[0]], study.layers)}
    sets = some_images(study, "train", images), some_images(study, "test", images)
    parts = [[image_averages(nets["trained", seed], data, list(layers)) for data in sets] for seed in study.seeds[:2]]
    labels = sets[0].labels, sets[1].labels
    tables = []
    for name, known in layers.items():
        layer, other = (Probed(train[name], test[name], *labels) for train, test in parts)
        rows = sensitivity_rows(layer, other, names, steps, progress)
        tables.append(rows.assign(**layer_columns(known)))
    table = described(study, pd.concat(tables, ignore_index=True))
    return Computed({"sensitivity": table}, origin_of(sets[1], sidecars, list(nets.values())))


def three_layers(known: Mapping[str, Layer]) -> list[str]:
    """The names of the middle convolutional layer, of the last one, and of the pool."""
    convolutional = [name for name, layer in known.items() if layer.kind in ("conv", "block")]
    return [convolutional[len(convolutional) // 2], convolutional[-1], "pool"]


SETTINGS = {"images": 2000, "steps": STEPS, "names": list(SHOWN)}
KIND = Kind(
    "sensitivity",
    "what a measure and a linear probe notice when components are taken out of a layer",
    compute_sensitivity,
    defaults=SETTINGS,
    some_layers=True,
)
PART = Kind("sensitivity-layers", "some layers of a study of sensitivity", sense_layers, defaults=SETTINGS)
