"""Where networks run: the CPU or a GPU, by name, and what $SAMEREP_DEVICE says."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ..errors import BadInput, shown

VARIABLE = "SAMEREP_DEVICE"


def best_device() -> str:
    """The accelerator if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def as_device(name: str) -> torch.device:
    """The device of this name, "auto" for the best; BadInput if PyTorch does not know it or cannot use it here."""
    name = best_device() if name == "auto" else name
    try:
        torch.empty(1, device=name).cpu()  # "cuda" is a name also where there is none; "meta" keeps no numbers
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        usable = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise BadInput(f"device is {shown(name)}: expected one that works here, such as {usable}") from error


def chosen_device(default: str = "cpu") -> torch.device:
    """The device that $SAMEREP_DEVICE names, else the default."""
    return as_device(os.environ.get(VARIABLE) or default)


def pays_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here: GPUs, and CPUs with bfloat16 matrix instructions."""
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return device.type == "cuda"


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """While open, $SAMEREP_DEVICE is this name (None: as it is), here and for the workers that are given tasks."""
    before = os.environ.get(VARIABLE)
    if name is not None:
        as_device(name)
        os.environ[VARIABLE] = name
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None) if before is None else os.environ.update({VARIABLE: before})
