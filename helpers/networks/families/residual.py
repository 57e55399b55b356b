"""Residual networks for small images, and plain networks, which are the same without shortcuts.

Every ReLU is a module of its own and never works in place. So a layer's name says exactly which activations are meant.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from itertools import pairwise
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ...errors import BadInput
from ..channels import Walk
from .family import POOL_AND_LOGITS, Family, LayerRule, PartEnd, scaled_channels

# ---------------------------------------------------------------- blocks


class Block(nn.Module):
    """Two 3 × 3 convolutions and, unless plain, a shortcut around them. `relu2` is the block's output."""

    def __init__(self, channels: int, out: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, padding=1, bias=False)
        self.norm1, self.relu1 = nn.BatchNorm2d(out), nn.ReLU()
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(out), nn.ReLU()
        self.shortcut = shortcut
        self.sum = nn.Identity()  # names the block's output before its ReLU

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n out h2 w2"]:
        """The maps after the block. With a stride of 2 they have half the height and width."""
        inner = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(x)))))
        return self.relu2(self.sum(inner if self.shortcut is None else inner + self.shortcut(x)))


class BlockEnd(PartEnd):
    """The second half of a residual block. It takes the inner layer and, unless plain, what enters the block."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.conv2, self.norm2, self.relu2, self.shortcut = block.conv2, block.norm2, block.relu2, block.shortcut
        self.takes_entering = block.shortcut is not None

    def forward(self, inner: Float[Tensor, "n c h w"], entering: Tensor | None = None) -> Float[Tensor, "n c h w"]:
        """The block's output."""
        out = self.norm2(self.conv2(inner))
        return self.relu2(out if self.shortcut is None else out + self.shortcut(entering))


class PadShortcut(nn.Module):
    """He et al.'s parameter-free shortcut: take every second position, pad the new channels with zeros."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n out h2 w2"]:
        """The maps at every second position, with channels of zeros added."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


# ---------------------------------------------------------------- networks


class ResNet(nn.Module):
    """A 3 × 3 stem, stages of basic blocks, global average pooling and one linear layer.

    With `plain` there are no shortcuts. Its two subclasses differ in their stages and in their shortcuts.
    """

    blocks: ClassVar[Mapping[int, tuple[int, ...]]]  # of every stage, by depth
    channels: ClassVar[tuple[int, ...]]  # of every stage

    def __init__(self, depth: int, plain: bool, width: float, classes: int, channels: int) -> None:
        super().__init__()
        wide = [scaled_channels(c, width) for c in self.channels]
        stem = [("conv", nn.Conv2d(channels, wide[0], 3, padding=1, bias=False)), ("norm", nn.BatchNorm2d(wide[0]))]
        self.stem = nn.Sequential(OrderedDict([*stem, ("relu", nn.ReLU())]))
        self.stages = len(wide)
        for stage, count in enumerate(self.blocks[depth], start=1):
            ends = [wide[max(stage - 2, 0)]] + [wide[stage - 1]] * count
            self.add_module(f"stage{stage}", self._stage(plain, ends, 1 if stage == 1 else 2))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits = nn.Linear(wide[-1], classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The logits: one number per image and class."""
        x = self.stem(images)
        for stage in range(1, self.stages + 1):
            x = self.get_submodule(f"stage{stage}")(x)
        return self.logits(self.pool(x))

    def _stage(self, plain: bool, ends: list[int], stride: int) -> nn.Sequential:
        """Blocks from ends[0] channels to ends[1] and so on; the first one has the stride."""
        blocks: OrderedDict[str, nn.Module] = OrderedDict()
        for i, (channels, out) in enumerate(pairwise(ends), start=1):
            shortcut = None if plain else self._shortcut(channels, out, stride)
            blocks[f"block{i}"] = Block(channels, out, stride, shortcut)
            stride = 1
        return nn.Sequential(blocks)

    def _shortcut(self, channels: int, out: int, stride: int) -> nn.Module:
        return nn.Identity() if channels == out and stride == 1 else self.reshaping(channels, out, stride)

    @staticmethod
    def reshaping(channels: int, out: int, stride: int) -> nn.Module:
        """The shortcut where the shape changes."""
        raise NotImplementedError


class FourStageResNet(ResNet):
    """ResNet-18 and -34 with a 3 × 3 stem. They have a projection where the shape changes."""

    blocks: ClassVar = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
    channels: ClassVar = (64, 128, 256, 512)

    @staticmethod
    def reshaping(channels: int, out: int, stride: int) -> nn.Module:
        """A 1 × 1 convolution with batch norm."""
        return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


class ThreeStageResNet(ResNet):
    """He et al.'s networks for CIFAR. Without parameters in shortcuts, a plain one has exactly as many parameters."""

    blocks: ClassVar = {depth: ((depth - 2) // 6,) * 3 for depth in (20, 32, 44, 56)}
    channels: ClassVar = (16, 32, 64)

    @staticmethod
    def reshaping(channels: int, out: int, stride: int) -> nn.Module:
        """Zeros in the new channels."""
        return PadShortcut(out - channels, stride)


# ---------------------------------------------------------------- what the families declare


def _parts(network: ResNet) -> dict[str, nn.Module]:
    parts: dict[str, nn.Module] = {}
    for name, module in network.named_children():
        staged = name.startswith("stage")
        parts |= {f"{name}.{k}": block for k, block in module.named_children()} if staged else {name: module}
    return parts


def _inside(part: nn.Module, layer: str) -> PartEnd | None:
    return BlockEnd(part) if isinstance(part, Block) and layer == "relu1" else None


def _walk(network: ResNet, walk: Walk) -> None:
    """One group per residual stream (a stage, as far as shortcuts reach) and one inside every block."""
    walk.weight("stem.conv", None, "stem")
    walk.norm("stem.norm", "stem")
    walk.layer("stem.relu", "stem")
    stream = "stem"
    for stage in range(1, network.stages + 1):
        for block, _ in network.get_submodule(f"stage{stage}").named_children():
            stream = _walk_block(network, walk, f"stage{stage}.{block}", stream)
    walk.weight("logits", stream, None)


def _walk_block(network: ResNet, walk: Walk, name: str, stream: str) -> str:
    """One residual block; returns the group of its output."""
    inner, shortcut = f"{name}.inner", network.get_submodule(name).shortcut
    if isinstance(shortcut, PadShortcut):
        raise BadInput("ResNets of 20 to 56 layers pad their streams with zeros: their channels have a fixed order")
    out = stream if isinstance(shortcut, nn.Identity) else name
    walk.weight(f"{name}.conv1", stream, inner)
    walk.norm(f"{name}.norm1", inner)
    walk.layer(f"{name}.relu1", inner)
    walk.weight(f"{name}.conv2", inner, out)
    walk.norm(f"{name}.norm2", out)
    if isinstance(shortcut, nn.Sequential):
        walk.weight(f"{name}.shortcut.0", stream, out)
        walk.norm(f"{name}.shortcut.1", out)
    walk.layer(f"{name}.relu2", out)
    return out


def _family(name: str, network: type[ResNet], groups: Mapping[str, tuple[str, ...]]) -> Family:
    def construct(name: str, width: float, classes: int, channels: int) -> ResNet:
        depth = int(re.sub(r"\D", "", name))
        return network(depth, name.startswith("plain"), width, classes, channels)

    return Family(
        name,
        titles={
            f"{kind.lower()}{depth}": f"{kind}-{depth}" for kind in ("ResNet", "Plain") for depth in network.blocks
        },
        network=network,
        construct=construct,
        layers=(
            LayerRule(r"stem\.relu", "conv", ("stem.norm",)),
            LayerRule(r"(.+)\.relu1", "conv", (r"\1.norm1",)),
            LayerRule(r"(.+)\.relu2", "block", (r"\1.sum",)),
            *POOL_AND_LOGITS,
        ),
        groups={"first": ("stem.relu",), **groups, "pool": ("pool",), "logits": ("logits",)},
        in_order=_parts,
        inside=_inside,
        walk=_walk,
    )


FOUR_STAGES = _family(
    "four-stage ResNet",
    FourStageResNet,
    {"early": ("stage1.*",), "middle": ("stage2.*", "stage3.*"), "late": ("stage4.*",)},
)
THREE_STAGES = _family(
    "three-stage ResNet",
    ThreeStageResNet,
    {"early": ("stage1.*",), "middle": ("stage2.*",), "late": ("stage3.*",)},
)
