"""Which layers of a network are compared: the default ones, or those that a name, a pattern or a function picks.

Every choice also returns the layers that are left out, with the reason, so that none disappears silently.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from typing import Any

from torch import nn
from torchvision import models

from ..errors import BadInput, unknown
from ..networks import architectures
from ..networks.calls import Heard, all_names, found_as, uncertain
from ..networks.inputs import Inputs, tensors_of
from ..networks.layouts import check_layout
from ..networks.nodes import FUNCTIONS, NODES, with_nodes
from ..networks.order import mixing_of, order_of
from ..parameters import refused
from .layer_products import LayerSide

PLACED = "its output for an input depends on its place in the batch, which was allowed: other batches give other values"
Wanted = None | str | Sequence[str] | Callable[[str, nn.Module], bool]
ACTIVATIONS = (
    nn.ReLU,
    nn.ReLU6,
    nn.GELU,
    nn.SiLU,
    nn.Hardswish,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.Mish,
    nn.PReLU,
)
GATES = ("sigmoid",)  # a function of attention and of recurrent cells more often than an activation
LIKE_ACTIVATIONS = re.compile(r"(GELU|ReLU|SiLU|Swish|Mish)(Activation|Tanh|Me)?$")  # classes of other packages


BY_WEIGHTS = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.Linear, nn.Embedding, nn.RNNBase)


@dataclass(frozen=True)
class Choice:
    """The layers of one network that are compared, in the order of the pass, and those left out with the reason.

    `doubts` are layers that are compared with what to distrust; `of_batches` says whether their values depend on what
    else is in a batch.
    """

    sides: dict[str, LayerSide]
    omitted: dict[str, str]
    doubts: dict[str, str] = field(default_factory=dict)
    of_batches: bool = False


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation function: one of PyTorch's, or of a class that is named like one."""
    return isinstance(module, ACTIVATIONS) or bool(LIKE_ACTIVATIONS.search(type(module).__name__))


def default_names(network: nn.Module) -> list[str]:
    """The modules that are compared by default, from the input on; empty if there are no activations.

    For this book's networks these are all of `architectures.layers`. For torchvision's ResNets: the stem, the outputs
    of the blocks, the pooled features and the logits. For transformers: the output of every block, and the last linear
    layer after the blocks. For any other network: the outputs of its activation modules, and of its last linear layer.
    """
    if architectures.family_of(network):
        return [layer.name for layer in architectures.layers(network)]
    modules = dict(network.named_modules())
    if isinstance(network, models.ResNet):
        return [name for name in modules if name in {"relu", "avgpool", "fc"} or re.fullmatch(r"layer\d+\.\d+", name)]
    blocks = attention_blocks(network)
    names = blocks or [name for name, module in modules.items() if is_activation(module)]
    linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    last = [name for name in linear[-1:] if name not in names and not name.startswith(tuple(f"{b}." for b in blocks))]
    return [*names, *last] if names else []


def attention_blocks(network: nn.Module) -> list[str]:
    """Modules that repeat within a list or sequence and contain attention, but no such list of their own."""
    blocks = []
    for name, module in network.named_modules():
        for key, child in _repeated(module).items():
            if not any(_repeated(part) for part in child.modules()):
                blocks.append(f"{name}.{key}" if name else key)
    return blocks


def _repeated(module: nn.Module) -> dict[str, nn.Module]:
    """The parts of a list or sequence of several modules of one class, all with attention inside; else nothing."""
    inside = dict(module.named_children()) if isinstance(module, nn.ModuleList | nn.Sequential) else {}
    alike = len(inside) > 1 and len({type(child) for child in inside.values()}) == 1
    return inside if alike and all(map(_attends, inside.values())) else {}


def _attends(module: nn.Module) -> bool:
    return any("Attention" in type(part).__name__ for part in module.modules())


def check_wanted(name: str, wanted: Any) -> None:
    """Raise `BadInput` for layers that are neither names nor a function."""
    names = [wanted] if isinstance(wanted, str) else wanted
    if wanted is None or callable(wanted):
        return
    if not isinstance(names, Sequence) or not len(names) or not all(isinstance(layer, str) for layer in names):
        raise refused(name, wanted, "names of layers, patterns with * or ?, or a function of name and module")


def listening(network: nn.Module, wanted: Wanted) -> nn.Module:
    """The network itself, or a copy in which the functions that it calls are layers, if these are asked for.

    The copy is also made if the network has no default layers.
    """
    names = [wanted] if isinstance(wanted, str) else wanted
    asked = not callable(names) and any(str(name).startswith(f"{NODES}.") for name in names or ())
    return with_nodes(network) if asked or (wanted is None and not default_names(network)) else network


def choose(
    network: nn.Module,
    k: int,
    there: Mapping[str, Heard],
    inputs: Inputs,
    wanted: Wanted = None,
    before_relu: bool = False,
    layouts: Mapping[str, str] | None = None,
    mixed: bool = False,
) -> Choice:
    """The layers of network `k` that are compared, among those that were heard (`there`) on `inputs`.

    - wanted: a name, a pattern with * or ?, a list of them, or a function of name and module; None for the default;
    - before_relu: take the input of the activation that ends a layer;
    - layouts: the layout of a layer, by its name;
    - mixed: take layers, too, whose output for an input depends on its place in the batch.

    Raises `BadInput` for a name that does not exist or did not run, with the nearest one. It is also raised for a
    layer given by its exact name whose axis of neurons is not certain, and for a layout that cannot be.
    """
    named, exact = _names(network, there, wanted)
    said = _said(network, there, layouts or {})
    choice = Choice({}, {})
    for name in named:
        one = found_as(name, there, network)
        layer = _before(name, one, there) if before_relu and one else name
        if one is None:
            choice.omitted[name] = "took no part in the forward pass"
        elif layer is None:
            choice.omitted[name] = "does not end with an activation"
        elif reason := _unusable(name, one, said.get(one.layer, one.layout)):
            choice.omitted[name] = _or_refused(reason, exact)
        else:
            layout = said.get(one.layer, one.layout) or ""
            choice.sides[layer] = side_of(k, layer, one, layout, len(tensors_of(inputs)[0]))
            choice.doubts.update(_doubted(name, one, layout))
    choice = _in_order(network, inputs, choice, exact, mixed)
    if not choice.sides:
        raise BadInput(_nothing(network, there, choice.omitted, callable(wanted)))
    return choice


def _said(network: nn.Module, there: Mapping[str, Heard], layouts: Mapping[str, str]) -> dict[str, str]:
    """The layouts that were said, by the names under which the layers were heard."""
    found = {layer: found_as(layer, there, network) for layer in layouts}
    return {one.layer: layouts[layer] for layer, one in found.items() if one}


def _unusable(name: str, one: Heard, layout: str | None) -> str | None:
    """Why a layer cannot be compared: its axis of neurons is not certain, or there are none; else None."""
    if layout is None:
        return uncertain(name, one)
    if not all(one.shape):
        return f"layer {name} has outputs of shape {one.shape}: expected at least one neuron and one sample"
    return None


def without_module(
    network: nn.Module, choice: Choice, there: Mapping[str, Heard], functions: Mapping[str, int]
) -> dict[str, str]:
    """What the default layers leave out though it may be an activation, if these are the outputs of activations.

    These are functions without a module of their own, and modules without weights of classes that are not PyTorch's.
    """
    modules = {layer: there[layer].module for layer in choice.sides if layer in there}
    if architectures.family_of(network) or not any(map(is_activation, modules.values())):
        return {}
    left = {}
    called = [f"{name} ({count} times)" for name, count in functions.items() if name in FUNCTIONS and name not in GATES]
    if called:
        left[f"{NODES}.*"] = f"{', '.join(called)} without a module: name nodes.* for functions as layers"
    seen: set[int] = set()
    for layer, one in there.items():
        kind = type(one.module)
        own = not kind.__module__.startswith("torch.") and not any(True for _ in one.module.children())
        if own and not one.module.state_dict() and one.tensor not in seen and not is_activation(one.module):
            left.setdefault(layer, f"{kind.__name__} is not known as an activation: name such layers if it is one")
        seen.add(one.tensor)
    return left


def _or_refused(reason: str, exact: bool) -> str:
    """The reason why a layer is left out; an error if it was named exactly."""
    if exact:
        raise BadInput(reason)
    return reason


def _doubted(name: str, one: Heard, layout: str) -> dict[str, str]:
    """What to distrust of a layout that was said. Raises `BadInput` if the module's weights make another certain."""
    if one.layout is None or _neurons(check_layout(layout, one.shape, name)) == _neurons(one.layout):
        return {}
    axis, kind = _neurons(one.layout), type(one.module).__name__
    if isinstance(one.module, BY_WEIGHTS):
        raise BadInput(f"layer {name} ({kind}) has its neurons on axis {axis}, as in '{one.layout}', not '{layout}'")
    return {name: f"layout '{layout}' was said; by the operations before, its neurons are on axis {axis}"}


def _neurons(layout: str) -> int:
    return layout.replace("d", "c").index("c")


def _in_order(network: nn.Module, inputs: Inputs, choice: Choice, exact: bool, mixed: bool) -> Choice:
    """The choice without layers whose outputs are not those of single inputs, and with what else these depend on."""
    layouts = {layer: side.layout for layer, side in choice.sides.items()}
    order = order_of(network, inputs, layouts)
    out = order.wrong | ({} if mixed else {layer: f"{said}; or say mixed=True" for layer, said in order.placed.items()})
    omitted = choice.omitted | {layer: _or_refused(reason, exact) for layer, reason in out.items()}
    sides = {layer: side for layer, side in choice.sides.items() if layer not in out}
    doubts = choice.doubts | {layer: PLACED for layer in order.placed if layer in sides}
    single = {layer: one for layer, one in order.outputs.items() if layer in sides and layer not in order.placed}
    shares = mixing_of(network, inputs, single)
    doubts |= _mixing(network, shares)
    return Choice(sides, omitted, doubts, bool(shares or (doubts.keys() & order.placed.keys())))


def _mixing(network: nn.Module, shares: Mapping[str, float]) -> dict[str, str]:
    """In words, at the first layer: outputs depend on what else is in a batch."""
    norms = [name for name, module in network.named_modules() if _without_statistics(module)]
    cause = f" (batch norm {norms[0]} takes the statistics of each batch)" if norms else ""
    later = f", and so do those of {len(shares) - 1} later layers" if len(shares) > 1 else ""
    size = f"by up to {max(shares.values(), default=0):.2g} of their size"
    said = f"its outputs depend on what else is in a batch{cause}, {size}{later}: other batches give other values"
    return {layer: said for layer in [*shares][:1]}


def _without_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None


def _names(network: nn.Module, there: Mapping[str, Heard], wanted: Wanted) -> tuple[list[str], bool]:
    """Names of layers, and whether they were given exactly."""
    if wanted is None:
        names = default_names(network) or [name for name in there if name.startswith(f"{NODES}.")]
        order = {place: k for k, place in enumerate(there)}
        of_names = [place for name in names for place in _all_of(name, there)]
        return sorted(of_names, key=lambda place: order.get(place, len(order))), False
    if callable(wanted):
        return [name for name, one in there.items() if wanted(name, one.module)], False
    given = [wanted] if isinstance(wanted, str) else list(wanted)
    for k, name in enumerate(given):
        if name in given[:k]:
            raise BadInput(f"layer '{name}' is named twice: expected each layer once")
    places = dict.fromkeys(place for name in given for place in _matching(network, there, name))
    return list(places), not any("*" in name or "?" in name for name in given)


def _all_of(name: str, there: Mapping[str, Heard]) -> list[str]:
    """The names of the layer itself, or of all its calls and items."""
    pattern = re.compile(re.escape(name) + r"(\[\w+\])?(#\d+)?")
    return [place for place in there if pattern.fullmatch(place)] or [name]


def _matching(network: nn.Module, there: Mapping[str, Heard], name: str) -> list[str]:
    """The layers that a name or pattern stands for. Raises `BadInput` if there are none."""
    if "*" in name or "?" in name:
        pattern = re.compile(translate(name.replace("[", "[[]")))  # of many stars, too, it takes no time
        others = (place for place in all_names(network) if place and pattern.fullmatch(place))  # of shared modules
        places = [place for place in there if pattern.fullmatch(place)] or list(others)
        if not places:
            raise unknown("layer", name, there)
        return places
    if found_as(name, there, network) is None:
        if name in all_names(network) and name:
            raise BadInput(
                f"layer {name} took no part in the forward pass, or returns no tensor: expected a module that is "
                "called and returns tensors"
            )
        raise unknown("layer", name, there)
    return [name]


def _before(name: str, one: Heard, there: Mapping[str, Heard]) -> str | None:
    """The layer that stands for the input of the activation with which a layer ends."""
    last = [place for place, other in there.items() if other.tensor == one.tensor and is_activation(other.module)]
    return f"before:{last[-1]}" if last else None


def _nothing(network: nn.Module, there: Mapping[str, Heard], omitted: Mapping[str, str], asked: bool) -> str:
    kind, some = type(network).__name__, list(there)[:3]
    if omitted:
        name, reason = next(iter(omitted.items()))
        return f"no layer of {kind} can be compared: {name}: {reason}"
    if asked and some:
        return f"the function of layers picks none of {kind}: expected some, such as {some}"
    if not some:
        return f"{kind} has no layers inside: expected a network with some, such as nn.Sequential(network)"
    return f"{kind} has no activation modules: name layers, such as {some}"


def side_of(k: int, layer: str, one: Heard, layout: str, images: int) -> LayerSide:
    """A layer that was heard, ready to be compared. Raises `BadInput` for a layout that does not fit its outputs."""
    names = check_layout(layout, one.shape, layer).replace("d", "c")
    places = [length for length, name in zip(one.shape, names, strict=True) if name not in "nc"]
    windows = one.shape[names.index("n")] // images
    return LayerSide(k, layer, layout, one.shape[names.index("c")], tuple([windows] * (windows > 1) + places))


def kind_of(layer: str, network: nn.Module) -> str:
    """The kind of a layer, as tables name it: conv, block, pool, fc or logits."""
    name = re.sub(r"(\[\w+\])?(#\d+)?$", "", layer.removeprefix("before:"))
    module: Any = all_names(network).get(name)
    if isinstance(module, nn.Linear):
        return "logits"
    if "pool" in name:
        return "pool"
    if name.startswith("classifier"):
        return "fc"
    return "block" if module is not None and len(list(module.children())) else "conv"
