"""Where networks run: on the CPU or a GPU, by name or by $SAMEREP_DEVICE, and on how many threads.

A network that ran is afterwards where it was, with the buffers that it had.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits
from torch import nn
from torch.nn.parameter import is_lazy

from ..errors import BadInput, shown

VARIABLE = "SAMEREP_DEVICE"
THREADS = 1  # of what is kept, as in the kernels of the pages: with more, the terms of sums have another order


def best_device() -> str:
    """The name of the best device: "cuda" if there is a GPU that PyTorch can use, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def as_device(name: str) -> torch.device:
    """The device of this name; "auto" is the best one. Raises `BadInput` for a device that does not work here."""
    name = best_device() if name == "auto" else name
    try:
        torch.empty(1, device=name).cpu()  # fails for "cuda" without a GPU, and for "meta", which keeps no numbers
        device = torch.device(name)
        if (device.index or 0) >= torch.get_device_module(device).device_count():
            raise RuntimeError("too few of them")  # PyTorch takes any number for the CPU
        return device
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        usable = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise BadInput(f"device is {shown(name)}: expected one that works here, such as {usable}") from error


def chosen_device(default: str = "cpu") -> torch.device:
    """The device that $SAMEREP_DEVICE names; without it the default."""
    return as_device(os.environ.get(VARIABLE) or default)


def pays_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here: on GPUs, and on CPUs with bfloat16 matrix instructions."""
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        return bool(able.get("amx_bf16") or able.get("avx512_bf16"))
    return device.type == "cuda"


@contextmanager
def on_device(name: str | None) -> Iterator[None]:
    """While open, $SAMEREP_DEVICE has this name, here and for workers. None changes nothing.

    Raises `BadInput` for a device that does not work here.
    """
    before = os.environ.get(VARIABLE)
    if name is not None:
        as_device(name)
        os.environ[VARIABLE] = name
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None) if before is None else os.environ.update({VARIABLE: before})


@contextmanager
def on_threads(number: int = THREADS) -> Iterator[None]:
    """While open, PyTorch and the libraries of linear algebra use this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def placed(networks: Sequence[nn.Module], device: str | None) -> Iterator[None]:
    """While open, the networks are on the device. Afterwards they are on their own devices again."""
    if device is None:
        yield
        return
    homes = [next((weights.device for weights in net.parameters()), torch.device("cpu")) for net in networks]
    try:
        for net in networks:
            net.to(device)
        yield
    finally:
        for net, home in zip(networks, homes, strict=True):
            net.to(home)


@contextmanager
def buffers_kept(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Afterwards the buffers have their former values, also where a forward pass counts or keeps an average."""
    modules = [module for net in networks for module in net.modules()]
    buffers = [(module, name, part) for module in modules for name, part in module.named_buffers(recurse=False)]
    filled = [(module, name, part) for module, name, part in buffers if not (part.is_meta or is_lazy(part))]
    kept = [(module, name, part, part.detach().clone()) for module, name, part in filled]
    try:
        yield
    finally:
        with torch.no_grad():
            for module, name, part, former in kept:
                if getattr(module, name) is not part:
                    setattr(module, name, part)
                if not torch.equal(part, former):
                    part.copy_(former)
