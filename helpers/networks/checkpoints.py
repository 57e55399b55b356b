"""Checkpoints: the weights of a network as a safetensors file, with a JSON sidecar that says what they are.

Both are written whole or not at all, and the weights are read only if their hash is the one that the sidecar states.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..errors import BadInput
from ..files import atomic, sha256
from . import architectures


def save(network: nn.Module, path: Path, sidecar: dict[str, Any]) -> None:
    """Write the weights and, after them, the JSON sidecar that holds their hash: without it they do not count."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic(path) as temporary:
        save_file(state, temporary)
    with atomic(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(sidecar | {"sha256": sha256(path)}, indent=1))


def read_sidecar(path: Path) -> dict[str, Any]:
    """What is known of a checkpoint. Raises BadInput if there is none or it cannot be read."""
    try:
        return json.loads(path.with_suffix(".json").read_text())
    except FileNotFoundError as error:
        raise BadInput(f"no checkpoint {path} with its .json sidecar: train it first") from error
    except ValueError as error:
        raise BadInput(f"{path.with_suffix('.json')} is damaged: delete it and train again") from error


def is_whole(path: Path) -> bool:
    """Whether a checkpoint is there and its weights have the hash its sidecar states."""
    try:
        return path.exists() and read_sidecar(path).get("sha256") == sha256(path)
    except BadInput:
        return False


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """A trained network in evaluation mode, with its sidecar.

    Raises BadInput for a missing or damaged checkpoint, or one of another architecture than its sidecar says.
    """
    sidecar = read_sidecar(path)
    if not is_whole(path):
        raise BadInput(
            f"{path} is missing or damaged (its hash is not the sidecar's): delete {path.parent}, train again"
        )
    shape = (sidecar["network"], sidecar["width"], sidecar["classes"], sidecar["channels"], sidecar["image_size"])
    network = architectures.build(*shape)
    try:
        network.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError) as error:
        raise BadInput(f"{path} does not hold a {sidecar['network']} of width {sidecar['width']:g}") from error
    return network.eval(), sidecar
