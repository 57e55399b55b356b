"""Permutations of hidden channels: which axes of which weights must be permuted together.

After Entezari et al. 2022 and Ainsworth et al. 2023 (Git Re-Basin). The order of hidden channels is arbitrary.
Channels that a residual stream adds up share one permutation, so that its sums still add corresponding channels.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..errors import BadInput
from .architectures import VGG, PadShortcut, ResNet

Order = Int[np.ndarray, " channels"]


@dataclass
class Channels:
    """Hidden channels that must be permuted together.

    `axes`: (name in the state dictionary, axis) of every tensor that has these channels along this axis. `layers`: the
    layers whose neurons these channels are; on a residual stream there are several. `count`: the number of channels.
    """

    count: int
    axes: list[tuple[str, int]] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)


class _Walk:
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
        """A batch norm: one value of each kind per channel."""
        kinds = ("weight", "bias", "running_mean", "running_var")
        self.groups[group].axes += [(f"{name}.{kind}", 0) for kind in kinds]

    def vgg(self, network: VGG) -> None:
        """Every convolution and hidden linear layer starts a group."""
        now: str | None = None
        for name, module in network.named_children():
            if isinstance(module, nn.Conv2d | nn.Linear):
                now = self.weight(name, now, None if name == "logits" else name)
            elif now is not None and isinstance(module, nn.BatchNorm2d):
                self.norm(name, now)
            elif now is not None and isinstance(module, nn.ReLU):
                self.groups[now].layers.append(name)

    def resnet(self, network: ResNet) -> None:
        """One group per residual stream (a stage, as far as shortcuts reach) and one inside every block."""
        self.weight("stem.conv", None, "stem")
        self.norm("stem.norm", "stem")
        self.groups["stem"].layers.append("stem.relu")
        stream = "stem"
        for stage in range(1, network.stages + 1):
            for block, _ in network.get_submodule(f"stage{stage}").named_children():
                stream = self.block(network, f"stage{stage}.{block}", stream)
        self.weight("logits", stream, None)

    def block(self, network: ResNet, name: str, stream: str) -> str:
        """One residual block; returns the group of its output."""
        inner, shortcut = f"{name}.inner", network.get_submodule(name).shortcut
        if isinstance(shortcut, PadShortcut):
            raise BadInput("ResNets of 20 to 56 layers pad their streams with zeros: their channels have a fixed order")
        out = stream if isinstance(shortcut, nn.Identity) else name
        self.weight(f"{name}.conv1", stream, inner)
        self.norm(f"{name}.norm1", inner)
        self.groups[inner].layers.append(f"{name}.relu1")
        self.weight(f"{name}.conv2", inner, out)
        self.norm(f"{name}.norm2", out)
        if isinstance(shortcut, nn.Sequential):
            self.weight(f"{name}.shortcut.0", stream, out)
            self.norm(f"{name}.shortcut.1", out)
        self.groups[out].layers.append(f"{name}.relu2")
        return str(out)


def permutable(network: nn.Module) -> dict[str, Channels]:
    """The groups of hidden channels of a VGG, a ResNet-18 or -34, or a plain network, from the input on.

    Raises `BadInput` for any other module, and for ResNets whose shortcuts pad with zeros.
    """
    walk = _Walk(network)
    if isinstance(network, VGG):
        walk.vgg(network)
    elif isinstance(network, ResNet):
        walk.resnet(network)
    else:
        raise BadInput(f"{type(network).__name__} is not one of this book's networks: its channels cannot be permuted")
    return walk.groups


def permuted(network: nn.Module, orders: Mapping[str, Order]) -> nn.Module:
    """A copy that computes the function of the network: new channel i of a group is old channel orders[group][i].

    Groups that are not named keep their order. Raises `BadInput` for an order that is not a permutation.
    """
    groups, copy = permutable(network), deepcopy(network)
    state = copy.state_dict()
    for name, order in orders.items():
        if sorted(order) != list(range(groups[name].count)):
            raise BadInput(f"the order of {name} is not a permutation of its {groups[name].count} channels")
        for tensor, axis in groups[name].axes:
            state[tensor] = state[tensor].index_select(axis, torch.from_numpy(np.asarray(order, dtype=np.int64)))
    copy.load_state_dict(state)
    return copy


def random_orders(network: nn.Module, seed: int = 0) -> dict[str, Order]:
    """One random permutation per group."""
    rng = np.random.default_rng(seed)
    return {name: rng.permutation(group.count) for name, group in permutable(network).items()}


def best_orders(groups: Mapping[str, Channels], likeness: Mapping[str, Float[np.ndarray, "a b"]]) -> dict[str, Order]:
    """For every channel of A its partner in B: the permutation with the largest sum of `likeness` over the layers.

    The optimum is exact. Permuting other layers only changes the order of a layer's correlations. So one assignment
    per group is enough; matching by weights would have to alternate between groups.
    """
    return {name: linear_sum_assignment(-sum(likeness[k] for k in group.layers))[1] for name, group in groups.items()}


def interpolated(a: nn.Module, b: nn.Module, alpha: float) -> nn.Module:
    """The network whose weights and batch-norm statistics are (1 − α) times those of `a` plus α times those of `b`."""
    copy, theirs = deepcopy(a), b.state_dict()
    copy.load_state_dict({name: _mixed(value, theirs[name], alpha) for name, value in a.state_dict().items()})
    return copy.eval()


def _mixed(a: Tensor, b: Tensor, alpha: float) -> Tensor:
    return torch.lerp(a, b, alpha) if a.is_floating_point() else a
