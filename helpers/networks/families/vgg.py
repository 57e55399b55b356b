"""VGG for small images: stages of 3 × 3 convolutions, then three fully connected layers.

Every ReLU is a module of its own and never works in place. So a layer's name says exactly which activations are meant.
"""

from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from ..channels import Walk
from .family import POOL_AND_LOGITS, Family, LayerRule, scaled_channels

CONVOLUTIONS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
CHANNELS = (64, 128, 256, 512, 512)
NORMED = "_bn"  # ends the name of a network with batch norm


class VGG(nn.Module):
    """Five convolutional stages, each with a 2 × 2 max pool at its end, then FC 512-512-classes, all times `width`."""

    def __init__(self, convolutions: tuple[int, ...], norm: bool, width: float, classes: int, channels: int) -> None:
        super().__init__()
        self.convolutional: list[str] = []
        for name, module in _stages(convolutions, norm, width, channels):
            self.add_module(name, module)  # directly, so that a layer is called relu1_1 and not features.relu1_1
            self.convolutional.append(name)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        last, hidden = scaled_channels(CHANNELS[-1], width), scaled_channels(512, width)
        self.fc1, self.relu_fc1 = nn.Linear(last, hidden), nn.ReLU()
        self.fc2, self.relu_fc2 = nn.Linear(hidden, hidden), nn.ReLU()
        self.logits = nn.Linear(hidden, classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The logits: one number per image and class."""
        x = images
        for name in self.convolutional:
            x = self.get_submodule(name)(x)
        return self.logits(self.relu_fc2(self.fc2(self.relu_fc1(self.fc1(self.pool(x))))))


def _stages(convolutions: tuple[int, ...], norm: bool, width: float, channels: int) -> Iterator[tuple[str, nn.Module]]:
    for stage, (count, out) in enumerate(zip(convolutions, CHANNELS, strict=True), start=1):
        for index in range(1, count + 1):
            tag, wide = f"{stage}_{index}", scaled_channels(out, width)
            yield f"conv{tag}", nn.Conv2d(channels, wide, 3, padding=1, bias=not norm)
            if norm:
                yield f"norm{tag}", nn.BatchNorm2d(wide)
            yield f"relu{tag}", nn.ReLU()
            channels = wide
        yield f"pool{stage}", nn.MaxPool2d(2)


def _construct(name: str, width: float, classes: int, channels: int) -> VGG:
    return VGG(CONVOLUTIONS[name.removesuffix(NORMED)], name.endswith(NORMED), width, classes, channels)


def _parts(network: VGG) -> dict[str, nn.Module]:
    return dict(network.named_children())


def _walk(network: VGG, walk: Walk) -> None:
    """Every convolution and hidden linear layer starts a group."""
    now: str | None = None
    for name, module in network.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            now = walk.weight(name, now, None if name == "logits" else name)
        elif now is not None and isinstance(module, nn.BatchNorm2d):
            walk.norm(name, now)
        elif now is not None and isinstance(module, nn.ReLU):
            walk.layer(name, now)


FAMILY = Family(
    "vgg",
    titles={
        f"vgg{depth}{norm}": f"VGG-{depth}{title}"
        for depth in (8, 11, 13, 16, 19)
        for norm, title in (("", ""), (NORMED, "-BN"))
    },
    network=VGG,
    construct=_construct,
    layers=(
        LayerRule(r"relu(\d_\d)", "conv", (r"norm\1", r"conv\1")),
        LayerRule(r"relu_(fc\d)", "fc", (r"\1",)),
        *POOL_AND_LOGITS,
    ),
    groups={
        "first": ("relu1_1",),
        "early": ("relu1_?", "relu2_?"),
        "middle": ("relu3_?", "relu4_?"),
        "late": ("relu5_?",),
        "pool": ("pool",),
        "fc": ("relu_fc?",),
        "logits": ("logits",),
    },
    in_order=_parts,
    walk=_walk,
)
