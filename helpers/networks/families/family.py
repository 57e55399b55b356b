"""What a family of networks declares about itself.

To add a family, write a module with its networks and its `Family`, a line in `FAMILIES`, and a test.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..channels import Walk


@dataclass(frozen=True)
class LayerRule:
    """Which modules of a network are layers of one kind: those whose whole name fits a regular expression.

    `kind` is "conv", "block" (the output of a block), "fc", "pool" or "logits". `before` names the module whose output
    is the layer before its ReLU; "\\1" stands for the first group of the expression. Of several names the first that
    exists counts. Without a ReLU there is none.
    """

    modules: str
    kind: str
    before: tuple[str, ...] = ()


POOL_AND_LOGITS = (LayerRule("pool", "pool"), LayerRule("logits", "logits"))  # every network has these two layers


class PartEnd(nn.Module):
    """What a part of a network computes after a layer inside it.

    Its forward pass takes the output of that layer and, if `takes_entering`, what enters the part.
    """

    takes_entering = False


@dataclass(frozen=True)
class Family:
    """A family of networks for images of 32 × 32 pixels and more.

    - titles: the names of its networks, each with its title for readers;
    - network: the class of its networks, of no other family;
    - construct(name, width, classes, channels): a network, whose weights are drawn later;
    - layers: the rules for its layers, with `POOL_AND_LOGITS`. The first number in a layer's name is its stage;
    - groups: the names of the layers, with * and ?, in each of the groups "first", "early", "middle", "late", "pool",
      "fc" and "logits", from the input on. A layer belongs to the first group that has a fitting name;
    - in_order(network): its parts by name, in the order in which a forward pass calls them one after the other.
      Without it stitching refuses its networks;
    - inside(part, layer): for a layer inside a part and not at its end, what the part computes after it; else None;
    - walk(network, walk): notes which channels must be permuted together. Without it re-basin refuses its networks.
    """

    name: str
    titles: Mapping[str, str]
    network: type[nn.Module]
    construct: Callable[[str, float, int, int], nn.Module]
    layers: tuple[LayerRule, ...]
    groups: Mapping[str, tuple[str, ...]]
    in_order: Callable[[Any], dict[str, nn.Module]] | None = None
    inside: Callable[[nn.Module, str], PartEnd | None] = lambda part, layer: None
    walk: Callable[[Any, Walk], None] | None = None


def scaled_channels(channels: int, width: float) -> int:
    """A number of channels times the width, at least 1."""
    return max(1, round(channels * width))
