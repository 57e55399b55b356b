"""Modules of networks that several tests share."""

from collections.abc import Callable

from torch import Tensor, nn


class Doing(nn.Module):
    """A module without parameters; its forward pass does what it is told, and the layer `same` returns the result."""

    def __init__(self, act: Callable[[Tensor], Tensor] = lambda batch: batch) -> None:
        super().__init__()
        self.same, self.act = nn.Identity(), act

    def forward(self, batch: Tensor) -> Tensor:
        return self.same(self.act(batch))
