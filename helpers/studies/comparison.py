"""Compare any two networks: `compare` matches them layer by layer on shared inputs and says what to distrust.

This is what `from helpers import compare` gives. It is in the room `studies` because it needs networks, matching and
measures, and the pages need it. Matplotlib is used only when a result is asked for a figure.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from ..errors import BadInput, unknown
from ..matching.diagnostics import diagnose
from ..measures import MEASURES, Compared
from ..networks.activations import FEW, peeked
from ..networks.calls import found_as, heard, unwrapped
from ..networks.devices import as_device, buffers_kept, placed
from ..networks.inputs import BATCH, Counted, Inputs, expected_count, images_of, in_batches, some, tensors_of
from ..networks.layouts import LAYOUTS
from ..networks.needs import memory_of_pass
from ..networks.order import forward
from ..parameters import check_choice, check_flag, check_whole, refused
from ..processes import check_memory, peak_memory
from ..subspaces import Pair
from .enough import ALONE, LEFT_OUT, REMEDY, Pairs, gaps_said, still_enough, with_enough
from .layer_chance import MOST_ORDERS, KeptLayers, check_as_many
from .layer_choice import Choice, Wanted, check_wanted, choose, kind_of, listening, without_module
from .layer_products import LayerProducts, LayerSide, PairProducts
from .results import Comparison
from .tables import EPSILONS, pair_rows, power_shares, similarity_table

THOROUGH = 600  # up to this many neurons in a layer its rank is examined too, which takes three more peels
LARGE = 2**25  # bytes of a batch from which its pass could need gigabytes
FLAGGED = ["layer", "flag"]

Prepare = Callable[[Inputs], Inputs]


@dataclass(frozen=True)
class Options:
    """What `compare` can be told besides the networks, the inputs and the layers.

    - grid: compare every layer of a with every layer of b;
    - pool: average the larger of two maps down (a grid always does);
    - measures: names in `helpers.MEASURES` that need Gram matrices only;
    - chance: how often the inputs of b are put in another order, to find what chance gives (100 is a good number);
    - before_relu: take the input of a layer's activation function instead of its output;
    - tokens: "all", "class" (the first token alone) or "mean";
    - layouts: which axis of a layer holds its neurons ("nd", "ntd", "tnd", "nct", "nchw", "nhwc", "ncthw", "nthwc"), if
      not certain;
    - mixed: take layers, too, whose output for an input depends on its place in the batch;
    - prepare: a function that turns a batch into a network's input, one for both networks or two;
    - device: where the networks run ("cpu", "cuda", or "auto" for a GPU if there is one). By default they stay where
      they are. Afterwards they are moved back;
    - batch: how many inputs of one array are processed at a time;
    - progress: whether progress bars are shown.
    """

    grid: bool = False
    pool: bool = False
    measures: Sequence[str] = ()
    chance: int = 0
    before_relu: bool = False
    tokens: str = "all"
    layouts: Mapping[str, str] | None = None
    mixed: bool = False
    prepare: Prepare | Sequence[Prepare] | None = None
    device: str | None = None
    batch: int = BATCH
    progress: bool = True

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Options":
        """The options of these keywords.

        Raises `BadInput` for an unknown keyword, and for a measure that is not possible.
        """
        names = [field.name for field in fields(Options)]
        for name in given:
            if name not in names:
                raise unknown("option of compare", name, names)
        options = Options(**given)
        for name in ("grid", "pool", "before_relu", "mixed", "progress"):
            check_flag(name, getattr(options, name))
        check_whole("batch", options.batch, 1)
        check_whole("chance", options.chance, 0, MOST_ORDERS)
        if not isinstance(options.layouts, Mapping | None):
            raise refused("layouts", options.layouts, "a dictionary such as {'features.0': 'nchw'}")
        for layer, layout in (options.layouts or {}).items():
            check_choice(f"layout of layer {layer}", layout, LAYOUTS)
        if len(options.prepares) != 2 or not all(ready is None or callable(ready) for ready in options.prepares):
            raise refused("prepare", options.prepare, "a function of a batch, or two of them")
        measures = _measures(options.measures)
        return replace(options, measures=measures, device=str(as_device(options.device)) if options.device else None)

    @property
    def prepares(self) -> tuple[Prepare | None, ...]:
        """One `prepare` function per network."""
        given: Any = self.prepare
        return tuple(given) if isinstance(given, tuple | list) else (given, given)

    @property
    def pooled(self) -> bool:
        """Whether layers with different positions may be compared."""
        return self.pool or self.grid or self.tokens != "all"


def compare(
    a: nn.Module,
    b: nn.Module,
    data: Any,
    images: int | None = None,
    layers: Wanted = None,
    layers_b: Wanted = None,
    **options: Any,
) -> Comparison:
    """Match two networks layer by layer on the same inputs, in one pass. Other keywords are those of `Options`.

    - data: a DataLoader, other batches (dictionaries with input_ids, too), an array of all inputs, or an .npz file;
    - images: the number of inputs, which is checked if given;
    - layers: names, patterns with * and ?, or a function of name and module; otherwise the default layers;
    - layers_b: the layers of b to compare them with, by default those with equal names.

    Raises BadInput for wrong names, inputs that do not fit, unequal positions (unless pooled), and too few samples.
    """
    start, asked = time.perf_counter(), _asked(images, layers, layers_b, options)
    first, batches = peeked(in_batches(data, asked.batch))
    counted, expected = Counted(batches), images if images is not None else expected_count(data)
    nets = [listening(unwrapped(net), names) for net, names in ((a, layers), (b, layers_b or layers))]
    with placed(nets, asked.device), buffers_kept(nets):
        chosen = _chosen(nets, first, (layers, layers_b or layers), asked)
        pairs, omitted = _pairs(chosen, asked.grid, bool(layers_b))
        pairs, left_out = with_enough(pairs, expected, asked.pooled, asked.tokens, omitted)
        products, kept = _passed(nets, pairs, chosen, counted, expected, asked)
    pairs, more = still_enough(products, pairs, _checked(counted, images))
    tables, flags = _matched(products, kept, pairs, nets, asked.grid or bool(layers_b), asked)
    flags = [*gaps_said(pairs, left_out + more, omitted), *_said(counted, chosen), *flags]
    return Comparison(
        tables=tables,
        left_out=pd.DataFrame([*left_out, *more], columns=LEFT_OUT),
        omitted=pd.DataFrame([*omitted.items()], columns=["layer", "reason"]),
        flagged=pd.DataFrame(flags, columns=FLAGGED),
        images=counted.images,
        seconds=time.perf_counter() - start,
        peak_memory_gib=peak_memory(),
        device=asked.device or _device(a),
    )


def _asked(images: Any, layers: Any, layers_b: Any, options: Mapping[str, Any]) -> Options:
    """The options of `compare`. Raises `BadInput` for anything it is told that is not possible."""
    asked = Options.of(options)
    if images is not None:
        check_whole("images", images, 1)
    check_wanted("layers", layers)
    check_wanted("layers_b", layers_b)
    return asked


def _check_room(nets: Sequence[nn.Module], first: Any, asked: Options, count: int, beside: float = 0) -> None:
    """BadInput if passes of `count` inputs, with the bytes `beside` them, would fill the memory; found from a few."""
    inputs = images_of(first)
    if _bytes(inputs) < LARGE:
        return
    advice = "take smaller batches or smaller inputs"
    check_memory(FEW * _bytes(inputs) / len(tensors_of(inputs)[0]), advice)
    few = some(inputs, FEW)
    places = [asked.device or _device(net) for net in nets]
    passes = zip(nets, asked.prepares, places, strict=True)
    needed = [memory_of_pass(net, _prepared(few, ready)) for net, ready, place in passes if place == "cpu"]
    share = count / len(tensors_of(few)[0])
    check_memory(max(needed, default=0) * share + beside, advice)  # one network after the other


def _bytes(inputs: Inputs) -> int:
    return sum(part.numel() * part.element_size() for part in tensors_of(inputs))


def _device(network: nn.Module) -> str:
    return next((weights.device.type for weights in network.parameters()), "cpu")


def _passed(
    nets: Sequence[nn.Module],
    pairs: Pairs,
    chosen: Sequence[Choice],
    counted: Counted,
    expected: int | None,
    asked: Options,
) -> tuple[LayerProducts, KeptLayers | None]:
    """One pass over the inputs, if there is memory for the parts of the first batch."""
    kept = KeptLayers(pairs, asked.tokens, counted, expected, asked.chance) if asked.chance else None
    products = LayerProducts(nets, pairs, asked.tokens, _of_batches(chosen), kept)
    with tqdm(desc="one pass over the inputs", total=expected, disable=not asked.progress) as bar:
        for number, inputs in enumerate(counted):
            count = len(tensors_of(inputs)[0])
            if number == 0:
                _check_room(products.networks, inputs, asked, min(products.size, count), products.room)
            given = [_prepared(inputs, ready) for ready in asked.prepares]
            if kept is not None:
                check_as_many(count, given)
            products.add(given)
            bar.update(count)
    return products, kept


def _of_batches(chosen: Sequence[Choice]) -> bool:
    """Whether values depend on what else is in a batch."""
    return any(choice.of_batches for choice in chosen)


def _measures(given: Any) -> tuple[str, ...]:
    """The names of measures, each once. Raises `BadInput` for others."""
    names = [given] if isinstance(given, str) else [] if given is None else given
    if not isinstance(names, Sequence):
        raise refused("measures", given, "a list of names, such as ['cka']")
    able = [name for name, entry in MEASURES.items() if entry.needs == "gram"]
    for name in names:
        if name not in MEASURES:
            raise unknown("measure", name, able)
        if name not in able:
            raise BadInput(f"measure {name} compares single samples, which are not kept: expected {', '.join(able)}")
    return tuple(dict.fromkeys(names))


def _prepared(inputs: Inputs, ready: Prepare | None) -> Inputs:
    return inputs if ready is None else images_of(ready(inputs))


# ---------------------------------------------------------------- what is compared


def _chosen(nets: Sequence[nn.Module], first: Any, wanted: Sequence[Wanted], asked: Options) -> list[Choice]:
    """The layers of both networks, from one pass over a few inputs."""
    _check_room(nets, first, asked, FEW)
    choices, heard_of = [], []
    for k, (net, ready) in enumerate(zip(nets, asked.prepares, strict=True)):
        few = _prepared(some(images_of(first), FEW), ready)
        functions: Counter[str] = Counter()
        there = heard(net, tensors_of(few), partial(forward, net, few), functions)
        choice = choose(net, k, there, few, wanted[k], asked.before_relu, asked.layouts, asked.mixed)
        if wanted[k] is None:
            choice.omitted.update(without_module(net, choice, there, functions))
        choices.append(choice)
        heard_of.append(there)
    for layer in asked.layouts or {}:
        if not any(found_as(layer, there, net) for there, net in zip(heard_of, nets, strict=True)):
            raise unknown("layer of layouts", layer, heard_of[0])
    return choices


def _pairs(chosen: Sequence[Choice], grid: bool, by_order: bool) -> tuple[Pairs, dict[str, str]]:
    """Which layer of a is compared with which layer of b, and what is left out."""
    a, b = (list(choice.sides.values()) for choice in chosen)
    omitted = chosen[1].omitted | chosen[0].omitted
    if grid:
        return [(x, y) for x in a for y in b], omitted
    if by_order:
        if len(a) != len(b):
            raise BadInput(f"{len(a)} layers of one network and {len(b)} of the other: expected as many")
        return list(zip(a, b, strict=True)), omitted
    own, other = ({side.layer: side for side in sides} for sides in (a, b))
    pairs = [(side, other[name]) for name, side in own.items() if name in other]
    if not pairs:
        raise BadInput(f"the networks share no layer name ({a[0].layer} … and {b[0].layer} …): {REMEDY}")
    omitted |= dict.fromkeys(own.keys() ^ other.keys(), ALONE)
    return pairs, omitted


def _checked(counted: Counted, images: int | None) -> Counted:
    """The inputs that came. Raises `BadInput` if their number is not the announced one."""
    if images is not None and counted.images != images:
        raise BadInput(f"{counted.images} images came, not {images}: expected the number that there are, or none given")
    return counted


def _said(counted: Counted, chosen: Sequence[Choice]) -> list[tuple[str, str]]:
    """What to distrust of the inputs, and of the layers of each network."""
    repeated = f"{counted.images} inputs are {counted.different} different ones: repeated ones add no samples"
    return [*([("all", repeated)] if counted.different < counted.images else []), *_doubts(chosen)]


def _doubts(chosen: Sequence[Choice]) -> list[tuple[str, str]]:
    """What is said of both networks is said once."""
    networks: dict[tuple[str, str], str] = {}
    for k, choice in enumerate(chosen):
        for doubt in choice.doubts.items():
            networks[doubt] = networks.get(doubt, "") + "ab"[k]
    return [(layer, said if both == "ab" else f"{said} (network {both})") for (layer, said), both in networks.items()]


# ---------------------------------------------------------------- matching


def _matched(
    products: LayerProducts,
    kept: KeptLayers | None,
    pairs: Pairs,
    nets: Sequence[nn.Module],
    both_names: bool,
    asked: Options,
) -> tuple[dict[str, pd.DataFrame], list[tuple[str, str]]]:
    """The tables of all pairs (critical, layers, measures, similarity, chance), and what to distrust, by layer."""
    parts: dict[str, list[pd.DataFrame]] = {"critical": [], "layers": [], "measures": []}
    parts |= {"chance": []} if kept is not None else {}
    flags: list[tuple[str, str]] = []
    order = {side: k for k, side in enumerate(dict.fromkeys(a for a, _ in pairs))}
    for a, b in tqdm(pairs, "matching layers", disable=not asked.progress):
        names = {"layer": a.layer} | ({"layer_b": b.layer} if both_names else {})
        place: dict[str, Any] = {
            "position": order[a],
            "depth": order[a] / max(1, len(order) - 1),
            "kind": kind_of(a.layer, nets[0]),
        }
        of_pair, said = _one_pair(products.of(a, b), a, b, asked.measures, kept)
        flags += [(" and ".join(names.values()), flag) for flag in said]
        for key, table in of_pair.items():
            parts[key].append(pd.DataFrame(names, index=table.index).join(table))
        parts["critical"][-1] = parts["critical"][-1].assign(**place, seed_a=0, seed_b=1)
    tables = {key: pd.concat(pieces, ignore_index=True) for key, pieces in parts.items()}
    return tables | {"similarity": similarity_table(tables["critical"], EPSILONS)}, flags


def _one_pair(
    products: PairProducts, a: LayerSide, b: LayerSide, measures: Sequence[str], kept: KeptLayers | None
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The tables of one pair of layers, and what to distrust."""
    gram, shares = products.gram, products.peak_shares
    pair = gram.pair(0, 1)
    pair.known["peak_shares"] = shares[: a.neurons], shares[a.neurons :]
    flags = list(diagnose(pair, ridges=max(a.neurons, b.neurons) <= THOROUGH).flags)
    if a.places != b.places:
        flags.append(f"positions {a.places or (1,)} and {b.places or (1,)} are averaged to the same")
    power = np.concatenate([power_shares(gram, 0), power_shares(gram, 1)])
    compared = Compared.of_gram(gram)
    values = [(name, MEASURES[name].function(compared)) for name in measures]
    beside_chance, said = kept.levels(a, b, measures) if kept is not None else (None, [])
    flags += said
    tables = {
        "critical": pair_rows(pair).assign(power=power),
        "layers": pd.DataFrame([_facts(a, b, pair, len(flags))]),
        "measures": pd.DataFrame(values, columns=["measure", "value"]),
    }
    return tables if beside_chance is None else tables | {"chance": beside_chance}, flags


def _facts(a: LayerSide, b: LayerSide, pair: Pair, flags: int) -> dict[str, Any]:
    return {
        "neurons_a": a.neurons,
        "neurons_b": b.neurons,
        "dead_a": a.neurons - len(pair.alive_x),
        "dead_b": b.neurons - len(pair.alive_y),
        "samples": pair.samples,
        "samples_per_neuron": pair.samples / max(a.neurons, b.neurons),
        "layout_a": a.layout,
        "layout_b": b.layout,
        "flags": flags,
    }
