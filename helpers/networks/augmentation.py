"""Images moved and mirrored at random: windows of padded images, drawn from a given stream of random numbers."""

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor


def random_stream(seed: int, stream: int, epoch: int) -> torch.Generator:
    """The random numbers of one purpose in one epoch. They do not depend on what is drawn for other purposes."""
    state = np.random.SeedSequence([seed, stream, epoch]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


def crop(
    padded: UInt8[Tensor, "images tall wide c"],
    index: Int64[Tensor, " batch"],
    size: int,
    flip: bool,
    generator: torch.Generator,
) -> UInt8[Tensor, "batch size size c"]:
    """A random size × size window of each chosen image, half of them mirrored if `flip`."""
    return windows(padded, index, size, *draw_windows(padded.shape[1] - size + 1, len(index), flip, generator))


def draw_windows(room: int, count: int, flip: bool, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """For `count` images: top and left of a window among `room` places, and whether it is mirrored; as columns."""
    top, left = torch.randint(0, room, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < (0.5 if flip else 0.0)
    return top, left, mirrored


def windows(
    padded: UInt8[Tensor, "images tall wide c"],
    index: Int64[Tensor, " batch"],
    size: int,
    top: Int64[Tensor, "batch 1"],
    left: Int64[Tensor, "batch 1"],
    mirrored: Bool[Tensor, "batch 1"],
) -> UInt8[Tensor, "batch size size c"]:
    """These size × size windows of the chosen images, by one gather for the batch, on the device of the images."""
    line = torch.arange(size, device=top.device)
    rows, columns = top + line, left + torch.where(mirrored, line.flip(0), line)
    return padded[index[:, None, None], rows[:, :, None], columns[:, None, :]]
