"""What a measure of similarity is. To add one, write a module with its `Measure`, a line in `MEASURES`, and a test."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import unknown
from .compared import Compared

INVARIANCES = ("permutation", "isotropic", "shift", "per_neuron", "orthogonal", "linear")


@dataclass(frozen=True)
class Measure:
    """One way to say how similar two layers are: 1 for equal ones, about 0 for nothing in common.

    - needs: "gram" (products of neurons are enough) or "samples" (single images are compared);
    - invariances: changes of the neurons of one side that do not change the value. They are "permutation" of the
      neurons, "isotropic" scaling (one factor for all), "shift" (a constant is added to each neuron), "per_neuron"
      scaling (a positive factor for each), "orthogonal" maps, and invertible "linear" maps.
    """

    name: str
    title: str
    function: Callable[[Compared], float]
    needs: str
    invariances: frozenset[str]
    reference: str


def measure(name: str, x: Any, y: Any, few_samples: bool = False) -> float:
    """The similarity of two layers by the measure of this name. `MEASURES` has all names.

    x, y: arrays or tensors of activations, (neurons, samples), on the same samples. The value is 0.0 where no neuron
    of one side varies. Raises `BadInput` for an unknown name, for activations that are not real and finite, for
    unequal numbers of samples, and for more neurons than samples unless `few_samples` is set.
    """
    from . import MEASURES  # imported here: the package imports the measures, and they import this module

    if name not in MEASURES:
        raise unknown("measure", name, MEASURES)
    return MEASURES[name].function(Compared.of(x, y, few_samples))
