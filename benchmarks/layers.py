"""Layers to benchmark on: a family with many critical ε, one where all neurons match, and recorded geometry."""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from helpers.errors import BadInput
from helpers.files import ROOT
from helpers.pages.chapters.numerics import activations_with
from helpers.subspaces import Gram

Block = Float[np.ndarray, "neurons samples"]
RECORDED = ROOT / "results" / "cifar10-vgg16_bn-w0.25-short10" / "grams" / "relu5_2.npz"  # 128 neurons a network


def mixed(neurons: int, samples: int) -> tuple[Block, Block]:
    """ReLU layers that mix a quarter as many shared features, each neuron with its own share of noise.

    Like a real layer it has cliffs, a wide range of critical ε and some neurons that match nothing.
    """
    rng = np.random.default_rng(0)
    features = np.maximum(rng.standard_normal((max(2, neurons // 4), samples)), 0)
    return _side(features, neurons, rng), _side(features, neurons, rng)


def _side(features: Block, neurons: int, rng: np.random.Generator) -> Block:
    weights = rng.standard_normal((neurons, len(features))) / np.sqrt(len(features))
    noise = 10 ** rng.uniform(-2, 0, (neurons, 1)) * rng.standard_normal((neurons, features.shape[1]))
    return np.maximum(weights @ features + noise + rng.uniform(-0.2, 1.5, (neurons, 1)), 0)


def fully_matched(neurons: int, samples: int) -> tuple[Block, Block]:
    """Mixtures of a third as many shared features, half of noise, no ReLU: one cliff takes most neurons.

    At their largest critical ε all are matched, and only just: the hard case for the minimal matches of all of them.
    """
    rng = np.random.default_rng(0)
    features = rng.standard_normal((max(2, neurons // 3), samples))
    weights = [rng.standard_normal((neurons, len(features))) / np.sqrt(len(features)) for _ in "xy"]
    x, y = (w @ features + 0.5 * rng.standard_normal((neurons, samples)) for w in weights)
    return x, y


def recorded(samples: int, path: Path = RECORDED) -> tuple[Block, Block]:
    """Activations with the geometry of a recorded layer of two trained networks."""
    if not path.exists():
        raise BadInput(f"{path.name} is not there: expected the recorded studies under results/")
    gram = Gram.load(path).networks([0, 1])
    z = activations_with(gram.gram, samples, np.random.default_rng(0))
    return z[: gram.sizes[0]], z[gram.sizes[0] :]
