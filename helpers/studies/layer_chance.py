"""What chance gives for two networks of one's own: each pair of layers with the inputs of one in another order.

While the inputs are passed, samples of some of them are kept: at least 1000 inputs if there are as many, drawn at
random, at up to 9 positions of each. Inputs are permuted, and the positions of an input stay together. This is what
`helpers.studies.calibration` does for the studies of the book.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int

from ..errors import BadInput
from ..measures import MEASURES, Compared, Measure, Sampled
from ..measures.chance import image_orders, p_value, permuted_values, with_positions
from ..networks.accumulators import KeptSamples, LayerBatch
from ..networks.inputs import Counted, Inputs, tensors_of
from ..networks.layouts import about_layer
from ..processes import check_memory
from .enough import ENOUGH, Pairs
from .kept_activations import GRID, images_taken, on_grid
from .layer_products import LayerSide, Maps, Places, samples_of, shared_places

NUMBERS_OF_CHANCE = {"samples": int, "orders": int, **dict.fromkeys(("observed", "chance", "chance_95", "p"), float)}
COLUMNS_OF_CHANCE = ("measure", *NUMBERS_OF_CHANCE)
MOST_ORDERS = 10_000
HIGH = 95  # the percentile of chance that an observed value must exceed
UNKNOWN = 2**40  # inputs, where their number is not known: more than can come
COPIES = 4  # of a pair's samples in float64, while it is permuted
Key = tuple[Places, LayerSide]


def check_as_many(count: int, given: Sequence[Inputs]) -> None:
    """Raise `BadInput` if `prepare` made another number of inputs: it would not be clear what is to be permuted."""
    for inputs in given:
        if (found := len(tensors_of(inputs)[0])) != count:
            raise BadInput(f"prepare makes {found} inputs of {count}: expected as many, or chance=0")


def some_positions(maps: Maps, places: Places) -> Maps:
    """A layer's output at no more than 9 positions: on the grid of `on_grid`, or at even steps of a sequence."""
    if len(places) == 2:
        return on_grid(maps.unflatten(2, places).transpose(0, 1)).permute(2, 0, 1)
    return maps[:, :, :: -(-maps.shape[2] // GRID**2)]


@cache
def positions_kept(places: Places) -> int:
    """How many positions `some_positions` takes."""
    return some_positions(torch.empty(1, 1, samples_of(places, 1), device="meta"), places).shape[2]


class KeptLayers:
    """Keeps samples of the layers of all pairs, and finds for each pair what its values are with permuted inputs.

    Only layers that can have `ENOUGH` samples per neuron are kept. `expected` is the number of inputs, if it is known.
    Raises `BadInput` if there is no memory for the samples.
    """

    def __init__(self, pairs: Pairs, tokens: str, counted: Counted, expected: int | None, orders: int) -> None:
        self.tokens, self.counted, self.orders = tokens, counted, orders
        self.expected = UNKNOWN if expected is None else expected
        self.chosen: dict[Places, Int[np.ndarray, " images"]] = {}
        self.parts: dict[Key, KeptSamples] = {}
        self.largest = 0
        for a, b in pairs:
            places = shared_places(a.places, b.places, tokens)
            chosen = self.chosen.setdefault(places, self._choice(positions_kept(places)))
            if len(chosen) * positions_kept(places) < _needed(a, b):
                continue
            self.largest = max(self.largest, len(chosen) * positions_kept(places) * (a.neurons + b.neurons))
            for side in (a, b):
                self.parts.setdefault((places, side), KeptSamples(chosen.tolist(), None, np.float32, 1))
        check_memory(self.room, "name fewer layers, or leave chance at 0")

    def _choice(self, positions: int) -> Int[np.ndarray, " images"]:
        """The numbers of the inputs to keep: the same random ones in each run, or the first ones of unknown many."""
        count = images_taken(self.expected, positions)
        if self.expected == UNKNOWN:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).choice(self.expected, count, replace=False))

    @property
    def room(self) -> int:
        """The bytes of all samples that are kept, of one pair while it is permuted, and of the orders."""
        numbers = sum(len(part.chosen) * positions_kept(key[0]) * key[1].neurons for key, part in self.parts.items())
        most = max(map(len, self.chosen.values()), default=0)
        return 4 * numbers + 8 * (COPIES * self.largest + self.orders * most)

    def put(self, key: Key, maps: Maps, first_input: int, whole: bool) -> None:
        """Take a layer's output on the next inputs. Raises `BadInput` unless they have all their positions."""
        if not whole:
            raise BadInput(
                f"the inputs of layer {key[1].layer} have different numbers of positions, so they cannot be put in "
                "another order: expected inputs of one size without padding, tokens='mean', tokens='class' or chance=0"
            )
        if key not in self.parts:
            return
        kept = some_positions(maps, key[0]).float()
        batch = LayerBatch(key[1].layer, kept.flatten(1), (len(kept),), ((),), kept.shape[1], first_input)
        self.parts[key].add(batch)

    def levels(self, a: LayerSide, b: LayerSide, names: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
        """The observed values of a pair beside chance, one row per measure, and what to distrust.

        Without enough samples there is no row.
        """
        places = shared_places(a.places, b.places, self.tokens)
        new = self._new(places)
        images, samples = int(new.sum()), int(new.sum()) * positions_kept(places)
        if images < 2 or samples < _needed(a, b):
            few = f"{samples} samples are kept and {_needed(a, b)} are needed ({ENOUGH} per neuron)"
            return _table([]), [f"no chance level: {few if images > 1 else 'fewer than two inputs are kept'}"]
        pair = Compared(self._sampled((places, a), new), self._sampled((places, b), new))
        measures = [MEASURES[name] for name in dict.fromkeys(("subspace", *names))]
        orders = (with_positions(order, samples // images) for order in image_orders(images, self.orders))
        table = _beside(pair, measures, permuted_values(pair, measures, orders))
        return table, [_said(row) for row in table.to_dict("records") if row["observed"] <= row["chance_95"]]

    def _new(self, places: Places) -> np.ndarray:
        """Which of the chosen inputs came, and were not there before: a repeated one would be its own partner."""
        chosen = self.chosen[places]
        return np.frombuffer(bytes(self.counted.fresh), dtype=bool)[chosen[chosen < self.counted.images]]

    def _sampled(self, key: Key, new: np.ndarray) -> Sampled:
        (kept,) = self.parts[key].result()
        with about_layer(key[1].layer):
            return Sampled.of(kept[:, new].reshape(len(kept), -1))


def _needed(a: LayerSide, b: LayerSide) -> int:
    return ENOUGH * max(a.neurons, b.neurons)


def _beside(pair: Compared, measures: Sequence[Measure], values: pd.DataFrame) -> pd.DataFrame:
    """One row per measure: its value, the mean and a high percentile of its values by chance, and p."""
    rows = []
    for entry in measures:
        observed, chance = entry.function(pair), values[entry.name].to_numpy()
        known = entry.name, pair.x.centred.samples, len(chance), observed
        rows.append((*known, chance.mean(), np.percentile(chance, HIGH), p_value(observed, chance)))
    return _table(rows)


def _table(rows: Sequence[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*COLUMNS_OF_CHANCE]).astype(NUMBERS_OF_CHANCE)


def _said(row: Mapping[Any, Any]) -> str:
    name = "" if row["measure"] == "subspace" else f"{row['measure']} "
    limit = f"{row['chance_95']:.3f} of inputs in another order ({HIGH}th percentile)"
    return f"{name}not above chance: {row['observed']:.3f} against {limit}, p = {row['p']:.2f}"
