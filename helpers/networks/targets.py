"""What a network is trained to predict from the images: the dataset's labels, or another target.

Networks for other targets see equal images in an equal format. So what they share with networks for the labels comes
from the images and the architecture, not from a common target.
"""

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ..errors import BadInput, unknown
from . import datasets

TARGETS = ("labels", "rotation", "vehicles", "shuffled")
TURNS = ("0", "90", "180", "270")  # degrees, counterclockwise
VEHICLES = ("airplane", "automobile", "ship", "truck")
FIXED_SEED = 20  # of the shuffled labels and of the rotations of test images, equal for every network
MEASURED_ON = 2000  # images on which accuracy is measured if a training takes only some images


def retarget(data: datasets.Dataset, target: str) -> datasets.Dataset:
    """The images of `data` with the labels of another target.

    `vehicles` tells CIFAR-10's 4 vehicles (1) from its 6 animals (0). `shuffled` permutes the labels of the split once
    and for all: every class keeps its size, and no label has to do with its image. `rotation` turns every image by a
    fixed multiple of 90 degrees, which is its label; a training draws new rotations every epoch.
    Raises BadInput for an unknown target, and for vehicles in a dataset that has none.
    """
    if target not in TARGETS:
        raise unknown("target", target, TARGETS)
    if target == "labels":
        return data
    if target == "vehicles":
        return _vehicles(data)
    generator = np.random.default_rng([FIXED_SEED, datasets.SPLITS.index(data.split)])
    if target == "shuffled":
        return replace(data, labels=generator.permutation(data.labels))
    turns = generator.integers(0, len(TURNS), len(data.labels))
    images = rotate(torch.from_numpy(data.images), torch.from_numpy(turns)).numpy()
    return replace(data, images=images, labels=turns, classes=TURNS)


def _vehicles(data: datasets.Dataset) -> datasets.Dataset:
    if not set(VEHICLES) <= set(data.classes):
        raise BadInput(f"target vehicles: {data.name} has no classes {', '.join(VEHICLES)}; take cifar10")
    is_vehicle = np.isin(data.classes, VEHICLES)
    return replace(data, labels=is_vehicle[data.labels].astype(np.int64), classes=("animal", "vehicle"))


def training_set(dataset: str, target: str, images: int | None = None) -> datasets.Dataset:
    """The training split with the labels of a target, cut to its first `images` images."""
    data = datasets.load_dataset(dataset, "train")
    data = replace(data, images=data.images[:images], labels=data.labels[:images])
    # The rotations of training images are drawn every epoch: turning the images here would turn them twice.
    return replace(data, classes=TURNS) if target == "rotation" else retarget(data, target)


def accuracy_set(dataset: str, target: str, images: int | None = None) -> datasets.Dataset:
    """The images on which the accuracy of a network trained for a target is measured.

    They are the test split with the target's labels; only its first 2000 images if the training takes only its first
    `images`. For `shuffled`, an image that was not trained on has no right answer. So these are the first 2000
    training images with their shuffled labels, and accuracy is what was learnt by heart.
    """
    if target == "shuffled":
        return _first(training_set(dataset, target, images), MEASURED_ON)
    data = retarget(datasets.load_dataset(dataset, "test"), target)
    return data if images is None else _first(data, MEASURED_ON)


def _first(data: datasets.Dataset, count: int) -> datasets.Dataset:
    return replace(data, images=data.images[:count], labels=data.labels[:count])


def rotate(images: Tensor, turns: Int64[Tensor, " images"]) -> Tensor:
    """Images (images, height, width, channels), each turned counterclockwise by its number of quarter turns."""
    turned = images
    for quarter in (1, 2, 3):
        turned = torch.where((turns == quarter)[:, None, None, None], images.rot90(quarter, (1, 2)), turned)
    return turned
