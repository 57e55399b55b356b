"""Networks that differ in one thing, compared in pairs: similarity, chance, and calibrated similarity.

A member is one checkpoint of one training. A comparison is a condition and two members. All comparisons of a study
share one pass over the images. Chance is what a pair gets when its second network sees the images in another order.
Images are permuted within every batch, and the positions of an image stay together.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm

from ..errors import BadInput
from ..matching.match import critical_epsilons
from ..matching.peeling import TIE
from ..measures.chance import image_orders, with_positions
from ..measures.scale import on_scale
from ..networks import datasets, training
from ..networks.activations import captured, neurons
from ..networks.architectures import Layer
from ..networks.order import forward
from ..subspaces import Pair
from .parallel import train_all
from .study import chosen_layers, networks_at
from .tables import EPSILONS, layer_columns

CEILING = "ceiling"  # the condition whose mean is 1 on the calibrated scale
EPSILON = 0.3  # of the column "similarity"
BATCH = 100  # images; memory holds the activations of all networks on one batch


@dataclass(frozen=True)
class Member:
    """One checkpoint: a run's weights after `epoch` epochs.

    None is the last epoch. 0 is the untrained network, with batch-norm statistics measured on data.
    """

    run: training.Run
    epoch: int | None = None


@dataclass(frozen=True)
class MemberPair:
    """Two members, by name, compared under a condition."""

    condition: str
    a: str
    b: str


@dataclass
class _ProductsByOrder:
    """One layer's sums over batches: each network's Gram matrix, and each pair's cross products in every order."""

    own: dict[str, Tensor] = field(default_factory=dict)
    cross: dict[tuple[str, str], list[Tensor]] = field(default_factory=dict)
    samples: int = 0

    def add(self, blocks: Mapping[str, Tensor], pairs: Sequence[tuple[str, str]], orders: Sequence[np.ndarray]) -> None:
        """Add one batch: a (neurons, images × positions) block per network, and orders of the images.

        The first order is that in which the images came.
        """
        blocks = {name: block.double() for name, block in blocks.items()}
        samples = next(iter(blocks.values())).shape[1]
        self.samples += samples
        positions = samples // len(orders[0])
        for name, block in blocks.items():
            self.own[name] = self.own.get(name, 0) + block @ block.T
        for b in dict.fromkeys(b for _, b in pairs):
            partners = [a for a, other in pairs if other == b]
            for k, order in enumerate(orders):
                index = torch.from_numpy(with_positions(order, positions))
                strange = blocks[b][:, index] if k else blocks[b]
                for a in partners:
                    sums = self.cross.setdefault((a, b), [torch.zeros(())] * len(orders))
                    sums[k] = sums[k] + blocks[a] @ strange.T

    def pair(self, a: str, b: str, order: int) -> tuple[Pair, Float[np.ndarray, " neurons"]]:
        """Two networks' neurons with the images of b in an order (0: as they are), and the power of every neuron."""
        cross, *own = (sums.cpu().numpy() for sums in (self.cross[a, b][order], self.own[a], self.own[b]))
        joint = np.block([[own[0], cross], [cross.T, own[1]]])
        return Pair.from_gram(joint, len(own[0]), len(own[1]), self.samples), np.diag(joint)


def compare_members(
    members: Mapping[str, Member],
    comparisons: Sequence[MemberPair],
    data: datasets.Dataset,
    wanted: Sequence[str] | None = None,
    orders: int = 3,
    progress: bool = True,
) -> tuple[dict[str, pd.DataFrame], list[dict[str, Any]], list[nn.Module]]:
    """The tables of the comparisons, the sidecars of the members, and the members' networks.

    "pairs" has one row per comparison and layer (for the columns see `pair_values`), "similarity" one row per
    comparison, layer and ε of the paper, "networks" one row per member. Raises `BadInput` for a comparison with an
    unknown member.
    """
    for comparison in comparisons:
        for name in (comparison.a, comparison.b):
            if name not in members:
                raise BadInput(f"{comparison.condition} compares {name}: expected one of {', '.join(members)}")
    train_all([(member.run, member.epoch) for member in members.values()], progress)
    states = {name: (member.run, member.epoch) for name, member in members.items()}
    networks, sidecars = networks_at(states, data, progress)
    nets = dict(zip(members, networks, strict=True))
    layers = chosen_layers(next(iter(nets.values())), wanted)
    pairs = list(dict.fromkeys((comparison.a, comparison.b) for comparison in comparisons))
    products = _one_pass(nets, layers, pairs, data, orders, progress)
    rows, curves = [], []
    for layer in layers:
        values = {pair: _with_chance(products[layer.name], *pair) for pair in pairs}
        for comparison in comparisons:
            base = vars(comparison) | layer_columns(layer)
            numbers, curve = values[comparison.a, comparison.b]
            rows.append(base | numbers)
            curves += [base | {"epsilon": epsilon, "similarity": s} for epsilon, s in curve.items()]
    about = [member_row(name, sidecar) for name, sidecar in zip(members, sidecars, strict=True)]
    tables = {"pairs": rows, "similarity": curves, "networks": about}
    frames = {name: pd.DataFrame(table) for name, table in tables.items()}
    return frames, sidecars, networks


def _one_pass(
    nets: Mapping[str, nn.Module],
    layers: Sequence[Layer],
    pairs: Sequence[tuple[str, str]],
    data: datasets.Dataset,
    orders: int,
    progress: bool,
) -> dict[str, _ProductsByOrder]:
    products = {layer.name: _ProductsByOrder() for layer in layers}
    total = -(-len(data.images) // BATCH)
    batches: Iterable[Tensor] = datasets.batches(data, BATCH)
    for number, batch in enumerate(tqdm(batches, total=total, desc="one pass over the images", disable=not progress)):
        seen = [np.arange(len(batch)), *(image_orders(len(batch), orders, number) if orders else [])]
        outputs = {name: dict(_blocks(network, batch, list(products))) for name, network in nets.items()}
        for layer, sums in products.items():
            sums.add({name: outputs[name].pop(layer) for name in nets}, pairs, seen)
    return products


def _blocks(network: nn.Module, batch: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    with captured(network, layers) as outputs:
        forward(network, batch)
    for layer in layers:
        yield layer, neurons(outputs[layer])


def _with_chance(products: _ProductsByOrder, a: str, b: str) -> tuple[dict[str, float], dict[float, float]]:
    """The values of a pair with the means over the permutations (`chance_…`), and s(ε) at each ε of the paper."""
    observed = products.pair(a, b, 0)
    count = len(products.cross[a, b])
    strange = [pair_values(*products.pair(a, b, k)) for k in range(1, count)]
    values = pair_values(*observed)
    chance = {f"chance_{name}": float(np.mean([row[name] for row in strange])) for name in SCALED} if strange else {}
    critical = np.concatenate(critical_epsilons(observed[0]))
    curve = {epsilon: float(np.mean(critical <= epsilon + TIE)) for epsilon in EPSILONS}
    return values | chance, curve


SCALED = ("area", "median", "similarity")


def pair_values(pair: Pair, power: Float[np.ndarray, " neurons"]) -> dict[str, float]:
    """How similar two networks are in a layer, in numbers between 0 and 1.

    - area: the area under s(ε) over ε from 0 to 1, which is 1 less the mean critical ε;
    - median: 1 less the median critical ε;
    - similarity: s(0.3) over all neurons;
    - alive: s(0.3) over alive neurons;
    - by_power: the share of the squared activations that is matched, averaged over the two networks.

    A dead neuron counts as never matched.
    """
    critical = np.concatenate(critical_epsilons(pair))
    inside, alive = critical <= EPSILON + TIE, power > 0
    distance = np.minimum(critical, 1.0)
    sides = slice(None, pair.n_x), slice(pair.n_x, None)
    shares = [power[side][inside[side]].sum() / power[side].sum() for side in sides if power[side].sum() > 0]
    return {
        "area": float(1 - distance.mean()),
        "median": float(1 - np.median(distance)),
        "similarity": float(inside.mean()),
        "alive": float(inside[alive].mean()) if alive.any() else np.nan,
        "by_power": float(np.mean(shares)) if shares else np.nan,
        "neurons": len(critical),
        "dead": int((~alive).sum()),
    }


def member_row(name: str, sidecar: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a member in the table "networks". The accuracy is that on the member's own target."""
    row = {column: sidecar[column] for column in ("network", "dataset", "width", "epoch", "accuracy")}
    row |= {"initialisation": sidecar["seed"], "order": sidecar["order_seed"]}
    row |= {"target": sidecar.get("target", "labels"), "fork_after": sidecar.get("fork_after", 0)}  # older: neither
    return {"member": name} | row | {"recipe": sidecar["recipe"]["name"], "train_seconds": sidecar["train_seconds"]}


def calibrated_pairs(pairs: pd.DataFrame, value: str = "area") -> pd.DataFrame:
    """The table of pairs with the column "calibrated": (observed − chance) / (ceiling − chance) of a value.

    The ceiling of a layer is the mean over the comparisons of the condition "ceiling" (a network and itself one epoch
    earlier). Chance is the pair's own.
    """
    ceiling = pairs[pairs["condition"] == CEILING].groupby("layer")[value].mean()
    scaled = [
        on_scale(observed, chance, ceiling[layer])
        for observed, chance, layer in zip(pairs[value], pairs[f"chance_{value}"], pairs["layer"], strict=True)
    ]
    return pairs.assign(calibrated=np.asarray(scaled, dtype=float))
