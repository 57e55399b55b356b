"""Permutations of hidden channels: which axes of which weights must be permuted together.

After Entezari et al. 2022 and Ainsworth et al. 2023 (Git Re-Basin). Each family of networks says which channels belong
together (`channels`).
"""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from ..errors import BadInput
from .architectures import family_of
from .channels import Channels, Walk

Order = Int[np.ndarray, " channels"]


def permutable(network: nn.Module) -> dict[str, Channels]:
    """The groups of hidden channels of one of this book's networks, from the input on.

    Raises `BadInput` for any other module, and for networks whose channels have a fixed order.
    """
    family = family_of(network)
    if family is None:
        raise BadInput(f"{type(network).__name__} is not one of this book's networks: its channels cannot be permuted")
    if family.walk is None:
        raise BadInput(f"networks of the family {family.name} do not say which channels must be permuted together")
    walk = Walk(network)
    family.walk(network, walk)
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
