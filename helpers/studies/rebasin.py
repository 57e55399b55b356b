"""Are two networks equal up to the order of their channels? Channels matched one to one, weights interpolated.

Control: a network and its copy with permuted hidden channels have equal outputs. So every critical ε must be 0. This
tests all steps from weights to match.

Two seeds: every channel of A gets one partner in B, by the assignment with the largest sum of correlations (Entezari
et al. 2022, Ainsworth et al. 2023). Then the weights between A and the permuted B are tested, also with batch-norm
statistics that are measured again. For networks with batch norm this is the method REPAIR (Jordan et al. 2023).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from ..matching.match import critical_epsilons
from ..networks import datasets
from ..networks.activations import calibrate, collect
from ..networks.architectures import Layer
from ..networks.permutations import Channels, Order, best_orders, interpolated, permutable, permuted, random_orders
from ..networks.tails import quick
from ..subspaces import Gram
from .parallel import task_results
from .stitching import BATCH, Case, some_images, stream_products, trained_networks
from .store import Computed, Kind, origin_of
from .study import Study, chosen_layers, test_images
from .tables import described, layer_columns

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
CONTROL_IMAGES = 200
CONTROL_EPSILON = 1e-3  # what float32 rounding of a forward pass may leave of an exact match
PATHS = {
    ("as trained", False): "before matching",
    ("as trained", True): "before matching, recalibrated",
    ("matched", False): "matched",
    ("matched", True): "matched, recalibrated",
}


# ---------------------------------------------------------------- the control of the whole pipeline


def permutation_control(network: nn.Module, images: Tensor, layers: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """A network matched with its copy with permuted hidden channels, by the steps that match any two networks.

    The columns are layer, neurons, largest_critical (over alive neurons), similarity (at ε = `CONTROL_EPSILON`) and
    logits_differ, the largest difference of any logit relative to the largest logit.
    """
    copy = permuted(network, random_orders(network, seed)).eval()
    network.eval()
    with torch.inference_mode():
        ours, theirs = network(images), copy(images)
    differ = float((ours - theirs).abs().max() / ours.abs().max())
    rows = []
    for layer, compressed in collect([network, copy], [images], layers).items():
        pair = compressed.gram.pair(0, 1)
        x, y = critical_epsilons(pair)
        alive = np.concatenate([x[pair.alive_x], y[pair.alive_y]])
        row = {"layer": layer, "neurons": pair.n_x, "largest_critical": alive.max(initial=0)}
        rows.append(row | {"similarity": float((np.concatenate([x, y]) <= CONTROL_EPSILON).mean())})
    return pd.DataFrame(rows).assign(logits_differ=differ)


# ---------------------------------------------------------------- one partner each


def channel_correlations(gram: Gram) -> Float[np.ndarray, "a b"]:
    """Pearson correlations of the first network's neurons with the second's; 0 for constant ones."""
    centred = gram.centred()
    x, y = (np.sqrt(np.diag(centred.block(k, k))) for k in (0, 1))
    below = np.outer(x, y)
    return np.divide(centred.block(0, 1), below, out=np.zeros_like(below), where=below > 0)


def partner_epsilons(gram: Gram, order: Order) -> Float[np.ndarray, " channels"]:
    """Critical ε of each channel of A with its one partner in B: the sine of the angle between the two.

    It is the smallest ε at which ({a}, {order[a]}) is a match; nan for pairs with a dead channel.
    """
    x, y = (np.sqrt(np.diag(gram.block(k, k))) for k in (0, 1))
    product = gram.block(0, 1)[np.arange(len(order)), order]
    below = x * y[order]
    cosine = np.divide(product, below, out=np.full_like(product, np.nan), where=below > 0)
    return np.sqrt(np.clip(1 - cosine**2, 0, 1))


def _matching_rows(
    groups: dict[str, Channels], orders: dict[str, Order], grams: dict[str, Gram], chance: dict[str, np.ndarray]
) -> list[dict[str, object]]:
    """One row per layer: mean correlation of partners before matching, after matching, by chance; and critical ε."""
    floor = best_orders(groups, chance)
    rows: list[dict[str, object]] = []
    for name, group in groups.items():
        order, every = orders[name], np.arange(group.count)
        for layer in group.layers:
            correlations = channel_correlations(grams[layer])
            free = np.concatenate(critical_epsilons(grams[layer].pair(0, 1)))
            rows.append(
                {
                    "layer": layer,
                    "tied": len(group.layers),
                    "before": float(np.diag(correlations).mean()),
                    "matched": float(correlations[every, order].mean()),
                    "chance": float(chance[layer][every, floor[name]].mean()),
                    "partner_epsilon": float(np.nanmedian(partner_epsilons(grams[layer], order))),
                    "match_epsilon": float(np.median(free)),
                }
            )
    return rows


# ---------------------------------------------------------------- on the way from one to the other


def loss_and_accuracy(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Mean cross-entropy and share of right answers over batches of (images, labels)."""
    loss, right, images = 0.0, 0, 0
    with quick():
        for batch, labels in batches:
            logits = network(batch).float()
            loss += float(cross_entropy(logits, labels, reduction="sum"))
            right += int((logits.argmax(1) == labels).sum())
            images += len(labels)
    return loss / images, right / images


def labelled_in_order(data: datasets.Dataset) -> Iterable[tuple[Tensor, Tensor]]:
    """Batches of (images, labels) in the data's own order."""
    return zip(datasets.batches(data, BATCH), torch.from_numpy(data.labels).split(BATCH), strict=True)


def interpolation_path(
    a: nn.Module,
    others: dict[str, nn.Module],
    again: datasets.Dataset,
    test: datasets.Dataset,
    alphas: Sequence[float] = ALPHAS,
    progress: bool = False,
) -> pd.DataFrame:
    """Loss and accuracy between `a` and each of the others, at `alphas`: columns path, alpha, loss, accuracy.

    The two ends of a path are the networks as they were trained, also on the recalibrated paths. Networks without
    batch norm have no recalibrated path.
    """
    b = next(iter(others.values()))
    ends = {0.0: loss_and_accuracy(a, labelled_in_order(test)), 1.0: loss_and_accuracy(b, labelled_in_order(test))}
    normed = any(isinstance(module, nn.BatchNorm2d) for module in a.modules())
    rows = []
    for (how, renew), path in tqdm(PATHS.items(), desc="interpolating", disable=not progress):
        for alpha in alphas if normed or not renew else ():
            if alpha not in ends:
                between = interpolated(a, others[how], alpha)
                if renew:
                    with quick():
                        calibrate(between, datasets.batches(again, BATCH))
                measured = loss_and_accuracy(between, labelled_in_order(test))
            loss, accuracy = ends.get(alpha) or measured
            rows.append({"path": path, "alpha": alpha, "loss": loss, "accuracy": accuracy})
    return pd.DataFrame(rows)


def barriers(path: pd.DataFrame) -> pd.DataFrame:
    """The barrier per path and pair: how far loss lies above, and accuracy below, the straight line between the ends.

    It is the largest such difference on the path; 0 if there is none (Frankle et al. 2020).
    """
    by = [column for column in ("network", "seed_a", "seed_b", "path") if column in path]
    rows = []
    for key, part in path.groupby(by, sort=False, observed=True):
        part = part.sort_values("alpha")
        ends = part.iloc[[0, -1]]
        line = {name: np.interp(part["alpha"], ends["alpha"], ends[name]) for name in ("loss", "accuracy")}
        row = dict(zip(by, key, strict=True))
        above = max(float((part["loss"] - line["loss"]).max()), 0.0)
        below = max(float((line["accuracy"] - part["accuracy"]).max()), 0.0)
        rows.append(row | {"loss_barrier": above, "accuracy_barrier": below})
    return pd.DataFrame(rows)


# ---------------------------------------------------------------- the study


def compute_rebasin(
    study: Study, correlate: int = 1000, again: int = 200, alphas: Sequence[float] = ALPHAS, progress: bool = True
) -> Computed:
    """Tables "control" (the first network and its permuted copy), "partners" (per layer) and "path" (per α).

    Consecutive seeds are compared, and each pair of them is a task. `correlate` is the number of training images for
    the correlations, `again` how many of them give the batch-norm statistics. The study's test `images` give loss and
    accuracy.
    """
    nets, sidecars = trained_networks(study, progress)
    settings = {"correlate": correlate, "again": again, "alphas": list(alphas)}
    tasks = [(replace(study, seeds=pair), settings) for pair in pairwise(study.seeds)]
    if len(tasks) == 1:
        return compare_pair(study, correlate, again, alphas, progress)
    results = task_results(PART, tasks, "pairs of networks", progress)
    tables = {name: pd.concat([result.tables[name] for result in results]) for name in ("partners", "path")}
    tables = {name: table.reset_index(drop=True) for name, table in tables.items()}
    tables["partners"] = tables["partners"].sort_values("position", kind="stable", ignore_index=True)
    known = origin_of(some_images(study, "test", study.images), sidecars, list(nets.values()))
    return Computed({"control": results[0].tables["control"], **tables}, known)


def compare_pair(study: Study, correlate: int, again: int, alphas: Sequence[float], progress: bool = True) -> Computed:
    """The tables of a study of two seeds."""
    nets, sidecars = trained_networks(study, progress)
    a, b = study.seeds
    ours, theirs = nets["trained", a], nets["trained", b]
    groups = permutable(ours)
    known = {layer.name: layer for layer in chosen_layers(ours, None)}
    layers = [name for name in known if any(name in group.layers for group in groups.values())]
    control = permutation_control(ours, next(iter(datasets.batches(test_images(study), CONTROL_IMAGES))), layers)
    orders, partners = partners_of(nets, (a, b), groups, layers, some_images(study, "train", correlate), progress)
    others = {"as trained": theirs, "matched": permuted(theirs, orders).eval()}
    few, test = some_images(study, "train", again), some_images(study, "test", study.images)
    path = interpolation_path(ours, others, few, test, alphas, progress).assign(seed_a=a, seed_b=b)
    tables = {"control": _with_layers(control, known), "partners": _with_layers(partners, known), "path": path}
    tables = {name: described(study, table.reset_index(drop=True)) for name, table in tables.items()}
    return Computed(tables, origin_of(test, sidecars, list(nets.values())))


def partners_of(
    nets: dict[tuple[str, int], nn.Module],
    pair: tuple[int, int],
    groups: dict[str, Channels],
    layers: Sequence[str],
    learned: datasets.Dataset,
    progress: bool,
) -> tuple[dict[str, Order], pd.DataFrame]:
    """The best order of the second network's channels, per group, and the table "partners" of two seeds."""
    cases = [Case("trained", *pair), Case("other images", *pair)]
    with quick():
        batches = tqdm(datasets.batches(learned, BATCH), desc="correlating", disable=not progress)
        products = stream_products(nets, cases, layers, batches)
    grams, shuffled = ({name: sums.gram(case) for name, sums in products.items()} for case in cases)
    orders = best_orders(groups, {name: channel_correlations(gram) for name, gram in grams.items()})
    chance = {name: channel_correlations(gram) for name, gram in shuffled.items()}
    rows = pd.DataFrame(_matching_rows(groups, orders, grams, chance))
    return orders, rows.assign(seed_a=pair[0], seed_b=pair[1])


REBASIN = {"correlate": 1000, "again": 200, "alphas": list(ALPHAS)}
KIND = Kind(
    "rebasin",
    "channels of two networks matched one to one, and their weights interpolated",
    compute_rebasin,
    defaults=REBASIN,
)
PART = Kind("rebasin-pair", "two networks of a study of re-basin", compare_pair, defaults=REBASIN)


def _with_layers(table: pd.DataFrame, known: dict[str, Layer]) -> pd.DataFrame:
    """The table with the columns that describe a layer, in the order of the layers."""
    columns = pd.DataFrame([layer_columns(known[name]) for name in table["layer"]])
    return columns.join(table.drop(columns="layer")).sort_values("position", kind="stable", ignore_index=True)
