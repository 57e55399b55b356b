"""How much memory a pass through a network will need, found without one.

On PyTorch's meta device tensors have shapes and no numbers, so a pass there costs nothing, whatever the size of the
inputs.
"""

import torch
from torch import Tensor, nn

from .calls import evaluating
from .inputs import Inputs, tensors_of

KEPT = 1 / 3  # of all outputs, the most that a pass holds at a time: less than 0.3 in ResNet-18, VGG-16, DenseNet-121


def memory_of_pass(network: nn.Module, inputs: Inputs) -> float:
    """About how many bytes a comparison needs to pass these inputs through the network, beside the weights.

    A share of the outputs of all modules without parts of their own; 0 where the network cannot be passed without
    numbers, because what it does depends on them or it makes tensors of its own.
    """
    sizes = [part.numel() * part.element_size() for part in tensors_of(inputs)]
    leaves = [module for module in network.modules() if not any(True for _ in module.children())]

    def keep(module: nn.Module, given: object, output: object) -> None:
        if isinstance(output, Tensor):
            sizes.append(output.numel() * output.element_size())

    hooks = [module.register_forward_hook(keep) for module in leaves]
    try:
        with evaluating(network), torch.no_grad():
            _pass_without_numbers(network, inputs)
    except Exception:  # what foreign code raises on tensors without numbers is anybody's guess
        return 0.0
    finally:
        for hook in hooks:
            hook.remove()
    return KEPT * sum(sizes)


def _pass_without_numbers(network: nn.Module, inputs: Inputs) -> None:
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    shapes = {name: tensor.to("meta") for name, tensor in state.items()}
    args: tuple[Tensor, ...] = (inputs.to("meta"),) if isinstance(inputs, Tensor) else ()
    named = {} if isinstance(inputs, Tensor) else {name: part.to("meta") for name, part in inputs.items()}
    torch.func.functional_call(network, shapes, args, named)
