"""Groups of hidden channels that must be permuted together, collected on a walk through a network.

The order of hidden channels is arbitrary. Channels that a residual stream adds up share one permutation, so that its
sums still add corresponding channels.
"""

from dataclasses import dataclass, field

from torch import nn


@dataclass
class Channels:
    """Hidden channels that must be permuted together.

    `axes`: (name in the state dictionary, axis) of every tensor that has these channels along this axis. `layers`: the
    layers whose neurons these channels are; on a residual stream there are several. `count`: the number of channels.
    """

    count: int
    axes: list[tuple[str, int]] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)


class Walk:
    """Collects the groups on a walk through a network. A group is named by where it starts; None is the input."""

    def __init__(self, network: nn.Module) -> None:
        self.state = network.state_dict()
        self.groups: dict[str, Channels] = {}

    def weight(self, name: str, before: str | None, after: str | None) -> str | None:
        """Note a convolution or a linear layer from group `before` to group `after`, which is made if it is new."""
        if before is not None:
            self.groups[before].axes.append((f"{name}.weight", 1))
        if after is not None:
            self.groups.setdefault(after, Channels(len(self.state[f"{name}.weight"])))
            self.groups[after].axes += [(f"{name}.{p}", 0) for p in ("weight", "bias") if f"{name}.{p}" in self.state]
        return after

    def norm(self, name: str, group: str) -> None:
        """Note a batch norm: one value of each kind per channel."""
        kinds = ("weight", "bias", "running_mean", "running_var")
        self.groups[group].axes += [(f"{name}.{kind}", 0) for kind in kinds]

    def layer(self, name: str, group: str) -> None:
        """Note that the neurons of a layer are the channels of a group."""
        self.groups[group].layers.append(name)
