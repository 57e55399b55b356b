"""Three networks that train in seconds on data that scikit-learn contains: a CNN, a ViT and a text encoder.

The digits are those of `datasets`. The texts are pieces of scikit-learn's descriptions of its datasets; the first
letter of a piece is hidden, and the task is to say which letter it is.
"""

import string
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int64
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from torch import Tensor, nn

from ..errors import BadInput
from . import datasets

LETTERS = string.ascii_lowercase + string.digits + " .,:-()"
PIECE = 12  # letters
TEXTS = (load_iris, load_digits, load_wine, load_breast_cancer, load_diabetes)


class SmallCNN(nn.Module):
    """Three convolutions with batch norm, ReLU and pooling, then a linear layer.

    Images are 32 × 32 with one channel.
    """

    def __init__(self, width: int = 16, classes: int = 10) -> None:
        super().__init__()
        channels = (1, width, 2 * width, 2 * width)
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
            for a, b in pairwise(channels)
        )
        self.head = nn.Linear(channels[-1], classes)

    def forward(self, images: Float[Tensor, "images 1 32 32"]) -> Float[Tensor, "images classes"]:
        """Scores of the classes."""
        x = images
        for stage in self.stages:
            x = stage(x)
        return self.head(x.mean((2, 3)))


class SmallViT(nn.Module):
    """A vision transformer: 16 patches of 8 × 8 pixels, a class token, and `depth` blocks. The head reads the token."""

    def __init__(self, width: int = 32, depth: int = 3, classes: int = 10) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(0.02 * torch.randn(1, 17, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, images: Float[Tensor, "images 1 32 32"]) -> Float[Tensor, "images classes"]:
        """Scores of the classes."""
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class SmallTextEncoder(nn.Module):
    """A text encoder: letters become vectors, which pass `depth` transformer blocks.

    The head reads the first token, whose letter is hidden.
    """

    def __init__(self, width: int = 32, depth: int = 2, length: int = PIECE, classes: int = len(LETTERS)) -> None:
        super().__init__()
        self.letters = nn.Embedding(len(LETTERS) + 1, width)
        self.places = nn.Parameter(0.02 * torch.randn(1, length, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.head = nn.Linear(width, classes)

    def forward(self, input_ids: Int64[Tensor, "texts letters"]) -> Float[Tensor, "texts classes"]:
        """Scores of the letters that may be hidden."""
        x = self.letters(input_ids) + self.places
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


def digit_images(split: str) -> tuple[Float[Tensor, "images 1 32 32"], Int64[Tensor, " images"]]:
    """scikit-learn's digits, normalised, with their labels."""
    data = datasets.load_dataset("digits", split)
    images = datasets.normalise(datasets.to_tensor(data.images), "digits")
    return images, torch.from_numpy(data.labels)


def text_pieces(split: str, length: int = PIECE) -> tuple[Int64[Tensor, "texts letters"], Int64[Tensor, " texts"]]:
    """Pieces of scikit-learn's descriptions as numbers of letters, the first one hidden (0), and which letter it was.

    The last fifth of every description is for "test". Raises `BadInput` for an unknown split.
    """
    if split not in datasets.SPLITS:
        raise BadInput(f"split is '{split}': expected one of {', '.join(datasets.SPLITS)}")
    pieces = []
    for load in TEXTS:
        text = " ".join(load().DESCR.lower().split())
        codes = np.array([LETTERS.index(letter) + 1 for letter in text if letter in LETTERS])
        cut = 4 * len(codes) // 5
        part = codes[:cut] if split == "train" else codes[cut:]
        pieces += [part[start : start + length] for start in range(len(part) - length + 1)]
    letters = torch.from_numpy(np.array(pieces))
    hidden = letters[:, 0] - 1
    letters[:, 0] = 0
    return letters, hidden


def fitted(
    network: nn.Module, inputs: Tensor, labels: Int64[Tensor, " inputs"], epochs: int, seed: int, rate: float = 3e-3
) -> nn.Module:
    """The network, trained in place by AdamW on batches of 64 that `seed` shuffles, in evaluation mode."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs), generator=generator).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(network(inputs[chosen]), labels[chosen]).backward()
            optimiser.step()
    return network.eval()


def seeded_model(make: type[nn.Module], seed: int, **options: int) -> nn.Module:
    """A network whose initial weights are fixed by the seed. PyTorch's own generator does not change."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(**options)


def right_share(network: nn.Module, inputs: Tensor, labels: Int64[Tensor, " inputs"]) -> float:
    """The share of inputs that the network classifies right."""
    with torch.no_grad():
        return float((network(inputs).argmax(1) == labels).double().mean())
