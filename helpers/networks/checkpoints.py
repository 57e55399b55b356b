"""Checkpoints: the weights of a network, a sidecar that describes them, and a check that both belong together.

A checkpoint is a safetensors file with a JSON sidecar. Both are written whole or not at all. The sidecar holds the
hash of the weights. The weights hold the hash of their *identity* (the run and the epoch), and a file in the folder of
a run must belong to this run. So files that were copied, swapped or edited are refused by name. Checkpoints of older
versions hold no identity; their hash and folder are checked all the same.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..errors import BadInput
from ..files import atomic, check_regular, folder, sha256
from ..schemas import Sidecar, dumped, read_json
from . import architectures

IDENTITY = (  # what a network is, beside its weights
    *("network", "dataset", "width", "seed", "recipe", "order_seed", "augment_seed", "target", "fork_after", "epoch"),
    *("classes", "channels", "image_size", "data_sha256"),
)
ADDED_LATER = {"target": "labels", "fork_after": 0}  # sidecars of older versions do not say it
COUNTED = ("running_mean", "running_var", "num_batches_tracked")  # by batch norms, from images: no weights
MOMENTUM, MOMENTUM_BEFORE = "momentum.safetensors", "momentum-before.safetensors"


# ---------------------------------------------------------------- the identity of a checkpoint


def runs_root() -> Path:
    """The folder of trained networks: $SAMEREP_RUNS if set, else `runs/`."""
    return folder("SAMEREP_RUNS", "runs")


def run_folder(known: Mapping[str, Any]) -> Path:
    """The folder of the run that a sidecar describes, or a run as a dictionary."""
    seed, order, augment = known["seed"], known["order_seed"], known["augment_seed"]
    seeds = f"seed-{seed}"
    if (order, augment) != (seed, seed):
        seeds += f"-order-{order}-augment-{augment}"
    seeds += f"-after-{known['fork_after']}" if known["fork_after"] else ""
    recipe = f"{known['recipe']['name']}-{known['recipe']['epochs']}"
    recipe += f"-{known['target']}" if known["target"] != "labels" else ""
    return runs_root() / known["dataset"] / f"{known['network']}-w{known['width']:g}" / recipe / seeds


def checkpoint_of(sidecar: Mapping[str, Any]) -> Path:
    """The file of the checkpoint that a sidecar describes."""
    return run_folder(sidecar) / f"epoch-{sidecar['epoch']:03d}.safetensors"


def identity(sidecar: Mapping[str, Any]) -> str:
    """A hash of a network's identity: its run, its epoch, and the data on which it was trained."""
    known = json.loads(json.dumps({name: sidecar[name] for name in IDENTITY}))
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


def check_place(path: Path, sidecar: Mapping[str, Any]) -> None:
    """Raise `BadInput` if a checkpoint in the folder of a run belongs to another run or epoch."""
    place = path.resolve()
    if not place.is_relative_to(runs_root().resolve()):
        return  # a file of one's own may lie anywhere
    expected = checkpoint_of(sidecar)
    if place != expected.resolve():
        raise BadInput(f"{path} is a copy of {expected}: expected the network of its own folder; {_again(path)}")


def _again(path: Path) -> str:
    return f"delete {path.parent} and train again"


def digest(tensors: Mapping[str, Tensor]) -> str:
    """A hash of tensors: their names, types, shapes and every bit."""
    hasher = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        hasher.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        hasher.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return hasher.hexdigest()


def weights_digest(state: Mapping[str, Tensor]) -> str:
    """A hash of a network's weights, without the statistics of its batch norms."""
    return digest({name: tensor for name, tensor in state.items() if not name.endswith(COUNTED)})


def check_different(digests: Mapping[str, str]) -> None:
    """Raise `BadInput`, with both names, if two networks have equal weights: comparing them would say nothing."""
    seen: dict[str, str] = {}
    for name, weights in digests.items():
        if weights in seen:
            raise BadInput(f"{seen[weights]} and {name} have equal weights: expected two different networks")
        seen[weights] = name


# ---------------------------------------------------------------- writing and reading


def save(network: nn.Module, path: Path, sidecar: dict[str, Any]) -> None:
    """Write the weights and then the JSON sidecar with their hash. Weights without a sidecar do not count."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic(path) as temporary:
        save_file(state, temporary, {"identity": identity({**ADDED_LATER, **sidecar})})
    with atomic(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(sidecar | {"sha256": sha256(path)}, indent=1), encoding="utf-8")


def read_sidecar(path: Path) -> dict[str, Any]:
    """The sidecar of a checkpoint.

    Raises `BadInput` if there is none, if it cannot be read, and if it lies in the folder of another run.
    """
    side = path.with_suffix(".json")
    if not side.exists():
        raise BadInput(f"no checkpoint {path} with its .json sidecar: train it first")
    sidecar = dumped(read_json(side, Sidecar, f"delete {side} and train again"))
    check_place(path, sidecar)
    return sidecar


def is_whole(path: Path) -> bool:
    """Whether a checkpoint exists and its weights have the hash in its sidecar.

    Raises `BadInput` for a sidecar that no interruption can leave: one that cannot be read, or that of another run.
    """
    if not (path.exists() and path.with_suffix(".json").exists()):
        return False
    return read_sidecar(path)["sha256"] == sha256(path)


def load_checkpoint(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A trained network in evaluation mode, with its sidecar.

    Raises `BadInput` for a missing or damaged checkpoint, for weights of another architecture than the sidecar says,
    and for weights of another run or epoch.
    """
    sidecar = read_sidecar(path)
    if not is_whole(path):
        raise BadInput(f"{path} is missing or damaged (its hash is not the sidecar's): {_again(path)}")
    shape = (sidecar["network"], sidecar["width"], sidecar["classes"], sidecar["channels"], sidecar["image_size"])
    network = architectures.build(*shape)
    try:
        metadata, state = read_tensors(path)
        network.load_state_dict(state)
    except (RuntimeError, SafetensorError) as error:
        raise BadInput(f"{path} does not hold a {sidecar['network']} of width {sidecar['width']:g}") from error
    if metadata.get("identity", identity(sidecar)) != identity(sidecar):
        raise BadInput(f"{path} holds the weights of another run or epoch than its sidecar says: {_again(path)}")
    return network.eval(), sidecar


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a safetensors file. Raises `BadInput` for what is no file."""
    check_regular(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    return metadata, load_file(path)


# ---------------------------------------------------------------- momentum


def save_momentum(place: Path, momentum: Mapping[str, Tensor], sidecar: Mapping[str, Any]) -> None:
    """Write the momentum after an epoch. That of the epoch before is kept, in case this one is damaged."""
    newest = place / MOMENTUM
    if newest.exists():
        newest.replace(place / MOMENTUM_BEFORE)
    known = {
        "epoch": str(sidecar["epoch"]),
        "identity": identity({**ADDED_LATER, **sidecar}),
        "digest": digest(momentum),
    }
    with atomic(newest) as temporary:
        save_file(dict(momentum), temporary, known)


def resumable(place: Path, parameters: Sequence[str]) -> tuple[nn.Module, dict[str, Any], dict[str, Tensor]] | None:
    """Network, sidecar and momentum of the last epoch for which all three are whole and belong together; else None."""
    for name in (MOMENTUM, MOMENTUM_BEFORE):
        try:
            metadata, momentum = read_tensors(place / name)
            epoch = int(metadata["epoch"])
            network, sidecar = load_checkpoint(place / f"epoch-{epoch:03d}.safetensors")
            fits = (metadata["identity"], metadata["digest"]) == (identity(sidecar), digest(momentum))
        except (BadInput, SafetensorError, OSError, KeyError, ValueError):
            continue  # damaged, of an older version, or its epoch is: the one before may do
        if fits and set(momentum) <= set(parameters):
            return network, sidecar, momentum
    return None
