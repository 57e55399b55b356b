"""The network families of the paper: VGG, CIFAR ResNets, and plain networks, which are ResNets without shortcuts.

Every ReLU is a module of its own and never works in place. So a layer's name says exactly which activations are meant.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..errors import BadInput
from ..parameters import check_choice, check_seed, check_whole, check_width

VGG_CONVOLUTIONS = {
    "vgg8": (1, 1, 1, 1, 1),
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
VGG_CHANNELS = (64, 128, 256, 512, 512)
WIDE_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # ResNet-18 and -34 with a 3 × 3 stem
WIDE_CHANNELS = (64, 128, 256, 512)
THIN_BLOCKS = {depth: ((depth - 2) // 6,) * 3 for depth in (20, 32, 44, 56)}  # He et al.'s CIFAR ResNets
THIN_CHANNELS = (16, 32, 64)
RESIDUAL_BLOCKS = WIDE_BLOCKS | THIN_BLOCKS
INITIALISATIONS = ("kaiming", "authors")
MOST_CLASSES = 100_000
SMALLEST_IMAGE, LARGEST_IMAGE = 32, 4096  # the networks halve an image five times

NAMES = (
    *(name + suffix for name in VGG_CONVOLUTIONS for suffix in ("", "_bn")),
    *(f"{family}{depth}" for family in ("resnet", "plain") for depth in RESIDUAL_BLOCKS),
)


@dataclass(frozen=True)
class Layer:
    """One layer whose neurons can be compared.

    `name` is the module whose output is the representation, after the ReLU if there is one. `before` is the module
    whose output is this layer before the ReLU, None without a ReLU. `kind` is "conv", "block" (a residual block's
    output), "pool", "fc" or "logits". `position` counts from the input; `depth` scales it to [0, 1].
    """

    name: str
    before: str | None
    kind: str
    position: int
    depth: float


class VGG(nn.Module):
    """Five convolutional stages, each with a 2 × 2 max pool at its end, then FC 512-512-classes, all times `width`."""

    def __init__(self, convolutions: tuple[int, ...], norm: bool, width: float, classes: int, channels: int) -> None:
        super().__init__()
        self.convolutional: list[str] = []
        for name, module in _vgg_stages(convolutions, norm, width, channels):
            self.add_module(name, module)  # directly, so that a layer is called relu1_1 and not features.relu1_1
            self.convolutional.append(name)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        last, hidden = _scaled(VGG_CHANNELS[-1], width), _scaled(512, width)
        self.fc1, self.relu_fc1 = nn.Linear(last, hidden), nn.ReLU()
        self.fc2, self.relu_fc2 = nn.Linear(hidden, hidden), nn.ReLU()
        self.logits = nn.Linear(hidden, classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The logits: one number per image and class."""
        x = images
        for name in self.convolutional:
            x = self.get_submodule(name)(x)
        return self.logits(self.relu_fc2(self.fc2(self.relu_fc1(self.fc1(self.pool(x))))))


def _vgg_stages(
    convolutions: tuple[int, ...], norm: bool, width: float, channels: int
) -> Iterator[tuple[str, nn.Module]]:
    for stage, (count, out) in enumerate(zip(convolutions, VGG_CHANNELS, strict=True), start=1):
        for index in range(1, count + 1):
            tag, wide = f"{stage}_{index}", _scaled(out, width)
            yield f"conv{tag}", nn.Conv2d(channels, wide, 3, padding=1, bias=not norm)
            if norm:
                yield f"norm{tag}", nn.BatchNorm2d(wide)
            yield f"relu{tag}", nn.ReLU()
            channels = wide
        yield f"pool{stage}", nn.MaxPool2d(2)


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


class PadShortcut(nn.Module):
    """He et al.'s parameter-free shortcut: take every second position, pad the new channels with zeros."""

    def __init__(self, extra: int, stride: int) -> None:
        super().__init__()
        self.extra, self.stride = extra, stride

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n out h2 w2"]:
        """The maps at every second position, with channels of zeros added."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))


class ResNet(nn.Module):
    """A 3 × 3 stem, stages of basic blocks, global average pooling and one linear layer.

    With `plain` there are no shortcuts. ResNet-20 to -56 have shortcuts without parameters, so a plain network has
    exactly as many parameters. ResNet-18 and -34 have a projection where the shape changes.
    """

    def __init__(self, depth: int, plain: bool, width: float, classes: int, channels: int) -> None:
        super().__init__()
        wide = [_scaled(c, width) for c in (WIDE_CHANNELS if depth in WIDE_BLOCKS else THIN_CHANNELS)]
        stem = [("conv", nn.Conv2d(channels, wide[0], 3, padding=1, bias=False)), ("norm", nn.BatchNorm2d(wide[0]))]
        self.stem = nn.Sequential(OrderedDict([*stem, ("relu", nn.ReLU())]))
        self.stages = len(wide)
        for stage, count in enumerate(RESIDUAL_BLOCKS[depth], start=1):
            ends = [wide[max(stage - 2, 0)]] + [wide[stage - 1]] * count
            self.add_module(f"stage{stage}", _stage(depth, plain, ends, 1 if stage == 1 else 2))
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.logits = nn.Linear(wide[-1], classes)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """The logits: one number per image and class."""
        x = self.stem(images)
        for stage in range(1, self.stages + 1):
            x = self.get_submodule(f"stage{stage}")(x)
        return self.logits(self.pool(x))


def _stage(depth: int, plain: bool, ends: list[int], stride: int) -> nn.Sequential:
    """Blocks from ends[0] channels to ends[1] and so on; the first one has the stride."""
    blocks: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (channels, out) in enumerate(pairwise(ends), start=1):
        shortcut = None if plain else _shortcut(depth, channels, out, stride)
        blocks[f"block{i}"] = Block(channels, out, stride, shortcut)
        stride = 1
    return nn.Sequential(blocks)


def _shortcut(depth: int, channels: int, out: int, stride: int) -> nn.Module:
    if channels == out and stride == 1:
        return nn.Identity()
    if depth in THIN_BLOCKS:
        return PadShortcut(out - channels, stride)
    return nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width))


def build(
    name: str,
    width: float = 1.0,
    classes: int = 10,
    channels: int = 3,
    image_size: int = 32,
    seed: int = 0,
    initialisation: str = "kaiming",
) -> nn.Module:
    """A freshly initialised network. `width` scales every number of channels and hidden neurons.

    `seed` fixes only the initialisation. "kaiming" draws all weights from He's normal distribution. "authors" draws
    those of fully connected layers from a normal distribution with standard deviation 0.01, as the authors' code does.
    Raises `BadInput` for an unknown name or initialisation, and for a number out of range, such as images below 32
    pixels.
    """
    check_choice("network", name, NAMES)
    check_choice("initialisation", initialisation, INITIALISATIONS)
    width, seed = check_width(width), check_seed(seed)
    classes, channels = check_whole("classes", classes, 1, MOST_CLASSES), check_whole("channels", channels, 1, 64)
    image_size = check_whole("image_size", image_size, SMALLEST_IMAGE, LARGEST_IMAGE)
    with torch.random.fork_rng(devices=[]):
        network = _construct(name, width, classes, channels)
    _initialise(network, initialisation, torch.Generator().manual_seed(seed))
    return network


def _construct(name: str, width: float, classes: int, channels: int) -> nn.Module:
    if name.startswith("vgg"):
        stem = name.removesuffix("_bn")
        return VGG(VGG_CONVOLUTIONS[stem], name.endswith("_bn"), width, classes, channels)
    depth = int(re.sub(r"\D", "", name))
    return ResNet(depth, name.startswith("plain"), width, classes, channels)


def _initialise(network: nn.Module, initialisation: str, generator: torch.Generator) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear) and initialisation == "authors":
            nn.init.normal_(module.weight, std=0.01, generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def layers(network: nn.Module) -> list[Layer]:
    """The layers of a VGG, ResNet or plain network that can be compared, from the input to the logits.

    Raises `BadInput` for any other module, whose layers must be named.
    """
    if not isinstance(network, VGG | ResNet):
        raise BadInput(f"{type(network).__name__} is not one of this book's networks: name its layers yourself")
    modules = dict(network.named_modules())
    names = [name for name in modules if _is_layer(name)]
    last = len(names) - 1
    return [Layer(n, _before(n, modules), _kind(n), i, i / last) for i, n in enumerate(names)]


def _is_layer(name: str) -> bool:
    leaf = name.rpartition(".")[2]
    return leaf.startswith("relu") or name in {"pool", "logits"}


def _kind(name: str) -> str:
    if name in {"pool", "logits"}:
        return name
    if name.startswith("relu_fc"):
        return "fc"
    return "block" if name.endswith(".relu2") else "conv"


def _before(name: str, modules: dict[str, nn.Module]) -> str | None:
    if name in {"pool", "logits"}:
        return None
    if name.startswith("relu_fc"):
        return name.removeprefix("relu_")
    if name.endswith(".relu2"):
        return name.replace(".relu2", ".sum")
    normed = re.sub(r"relu(?=\d|$)", "norm", name)
    return normed if normed in modules else normed.replace("norm", "conv")
