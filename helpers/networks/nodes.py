"""Activation functions without a module of their own, such as `torch.relu(x)`, as layers of a network."""

from torch import fx, nn

from ..errors import BadInput
from .calls import evaluating, unwrapped

NODES = "nodes"  # functions that became layers are named nodes.relu, nodes.relu_1, …
FUNCTIONS = ("relu", "relu6", "gelu", "silu", "hardswish", "leaky_relu", "elu", "selu", "mish", "sigmoid", "tanh")


def with_nodes(network: nn.Module) -> nn.Module:
    """The network with a layer after each activation function that it calls (`torch.relu(x)`, `x.tanh()`).

    torch.fx traces it; weights and modules are those of the network itself. The layers are named nodes.relu,
    nodes.relu_1 and so on, in the order of the pass. Functions inside modules without parts become layers only if there
    are no others. Raises `BadInput` if the network cannot be traced.
    """
    network = unwrapped(network)
    try:
        with evaluating(network):
            traced = _traced(network, _ByParts())
            if not any(map(_is_activation, traced.graph.nodes)):
                traced = _traced(network, fx.Tracer())
    except Exception as error:  # a tracer can fail in any way that the traced code can
        reason = " ".join(str(error).split())[:120]
        kind = type(network).__name__
        raise BadInput(f"the functions of {kind} cannot be traced ({reason}): name modules as layers") from error
    for node in list(traced.graph.nodes):
        if _is_activation(node):
            name = f"{NODES}.{node.name}"
            traced.add_submodule(name, nn.Identity())
            with traced.graph.inserting_after(node):
                after = traced.graph.call_module(name, (node,))
            node.replace_all_uses_with(after, lambda user, after=after: user is not after)
    traced.recompile()
    return traced


class _ByParts(fx.Tracer):
    """A tracer that keeps modules without parts whole, so that they can still be named as layers."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is kept whole."""
        return super().is_leaf_module(m, module_qualified_name) or not any(True for _ in m.children())


def _traced(network: nn.Module, tracer: fx.Tracer) -> fx.GraphModule:
    return fx.GraphModule(network, tracer.trace(network), type(network).__name__)


def _is_activation(node: fx.Node) -> bool:
    if node.op not in ("call_function", "call_method"):
        return False
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    return name.strip("_") in FUNCTIONS
