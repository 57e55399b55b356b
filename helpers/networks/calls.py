"""Which output of a layer? Modules that run several times in a pass, layers that return several tensors, functions.

A layer is named by its module and, where that is not enough, by the call and the item. "relu#2" is the second call of
`relu` in a forward pass, "attn[0]" the first of the tensors that `attn` returns, "lstm[0]#1" both. If such a part is
needed and not given, the layer is refused, and the message lists the names. Functions without a module of their
own (`torch.relu(x)`) become layers by `nodes.with_nodes`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import ParametrizationList

from ..errors import BadInput, unknown
from ..parameters import refused
from .layouts import IMAGES, LAYOUTS, NEURONS, PLACE, Following, layout_of

ADDRESS = re.compile(r"(?P<before>before:)?(?P<module>.+?)(\[(?P<item>\w+)\])?(#(?P<call>[1-9]\d*))?")
BEFORE = "before:"


@dataclass(frozen=True)
class Address:
    """The parts of a layer's name."""

    name: str
    module: str
    item: str | None
    call: int | None
    before: bool

    @staticmethod
    def of(name: str, modules: Mapping[str, nn.Module]) -> "Address":
        """The parts of a name.

        Raises `BadInput` for a module that does not exist, with the nearest name of one that does.
        """
        if name and name in modules:  # its own name may look like a call or an item
            return Address(name, name, None, None, False)
        parts = ADDRESS.fullmatch(name)
        if not parts or parts["module"] not in modules:
            raise unknown("layer", name, [valid for valid in modules if valid])
        call = int(parts["call"]) if parts["call"] else None
        return Address(name, parts["module"], parts["item"], call, bool(parts["before"]))


def unwrapped(network: nn.Module) -> nn.Module:
    """The network inside DataParallel, DistributedDataParallel or torch.compile, whose modules can have hooks.

    Raises `BadInput` for TorchScript, which runs without its modules, and for what is no module.
    """
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif isinstance(getattr(network, "_orig_mod", None), nn.Module):
            network = network._orig_mod  # type: ignore[assignment]
        else:
            break
    if not isinstance(network, nn.Module):
        raise refused("a network", network, "an nn.Module")
    if isinstance(network, torch.jit.ScriptModule):
        raise BadInput("a TorchScript network runs without its modules: expected the nn.Module that it was made from")
    return network


# ---------------------------------------------------------------- listening


@contextmanager
def tapped(network: nn.Module, layers: Sequence[str], take: Callable[[str, Tensor], None]) -> Iterator[None]:
    """While open, every forward pass gives the named layers' outputs to `take`, which copies what it wants to keep.

    There are no gradients, and fused operations that skip modules are off. On leaving, for any reason, the hooks are
    removed and every module is in its former mode (training or evaluation). Raises `BadInput` for a name that is no
    layer. In a forward pass it is raised for a layer that does not run, that runs more often than its name says, or
    that returns several tensors.
    """
    network = unwrapped(network)
    _check_weights(network)
    if any(weight.is_meta for weight in network.parameters()):
        raise BadInput(f"{type(network).__name__} has no weights (they are on the meta device): load them first")
    modules = all_names(network)
    ears: dict[str, _Ear] = {}
    for address in (Address.of(name, modules) for name in dict.fromkeys(layers)):
        ears.setdefault(address.module, _Ear(take)).addresses.append(address)
    hooks = [modules[name].register_forward_hook(ear) for name, ear in ears.items()]
    hooks += [modules[name].register_forward_pre_hook(ear.before) for name, ear in ears.items()]

    def start(*_: object) -> None:
        for ear in ears.values():
            ear.calls = 0

    def end(*_: object) -> None:
        for ear in ears.values():
            ear.close()

    hooks += [network.register_forward_pre_hook(start), network.register_forward_hook(end)]
    try:
        with _quiet(network):
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _check_weights(network: nn.Module) -> None:
    """Raise `BadInput` for a network without weights, to which a first pass would give some."""
    if any(is_lazy(weight) for weight in network.parameters()):
        raise BadInput(f"{type(network).__name__} has no weights (they are lazy): pass a batch through it first")


@contextmanager
def _quiet(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, no fused transformer operations. Afterwards all is as before.

    It uses `no_grad` and not inference mode: a network that keeps a tensor of the pass could not be trained
    afterwards.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with evaluating(network), _uncompiled(network), torch.no_grad():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """While open, the network is in evaluation mode. Afterwards every module is in its former mode.

    A module's own `train` runs too, because it may undo what its `eval` did, such as adding low-rank weights (LoRA).
    """
    modes = {module: module.training for module in network.modules()}
    try:
        try:
            network.eval()
        except NotImplementedError as error:  # of a network that torch.export made
            kind = type(network).__name__
            raise BadInput(f"{kind} has no evaluation mode: expected the network from which it was exported") from error
        yield
    finally:
        for module, training in modes.items():
            if module.training != training:
                module.train(training)
        for module, training in modes.items():
            module.training = training


def _uncompiled(network: nn.Module) -> AbstractContextManager[Any]:
    """While open, compiled parts of the network run as they were written, because compiled code skips hooks."""
    inside = network.modules()
    if any(hasattr(module, "_orig_mod") or module._compiled_call_impl is not None for module in inside):
        return torch.compiler.set_stance("force_eager")
    return nullcontext()


class _Ear:
    """The hook of one module: it counts its calls in a forward pass and passes on the outputs that are asked for."""

    def __init__(self, take: Callable[[str, Tensor], None]) -> None:
        self.take, self.calls = take, 0
        self.addresses: list[Address] = []

    def before(self, module: nn.Module, inputs: object) -> None:
        """Take the input, before an in-place operation can change it."""
        self._hear(inputs, self.calls + 1, True)

    def __call__(self, module: nn.Module, inputs: object, output: object) -> None:
        self.calls += 1
        self._hear(output, self.calls, False)

    def _hear(self, output: object, call: int, before: bool) -> None:
        for address in (address for address in self.addresses if address.before == before):
            if address.call is None and call > 1:
                name = address.name
                raise BadInput(f"layer {name} runs more than once in a forward pass: name one call, as {name}#1")
            if address.call in (None, call):
                self.take(address.name, one_tensor(output, address))

    def close(self) -> None:
        for address in self.addresses:
            if not self.calls:
                raise BadInput(
                    f"layer {address.name} took no part in the forward pass: expected a module that is called"
                )
            if address.call and address.call > self.calls:
                raise BadInput(f"layer {address.name}: {address.module} runs {self.calls} times in a forward pass")


def items(output: object) -> dict[str, Tensor]:
    """The tensors of an output by name: "" for a single one, else their position or key.

    A tensor that stands first and is the only one is single, too. So an LSTM's output, beside its states, is single.
    """
    if isinstance(output, Tensor):
        return {"": output}
    entries = {key: value for key, value in _entries(output).items() if value is not None}
    tensors = {key: value for key, value in entries.items() if isinstance(value, Tensor)}
    first = next(iter(entries), None)
    return {"": tensors[first]} if len(tensors) == 1 and first in tensors else tensors


def _entries(output: object) -> dict[str, Any]:
    """What a dictionary, a data class, a tuple or a list holds, by key or position; of anything else nothing."""
    if isinstance(output, Mapping):
        return {str(key): value for key, value in output.items()}
    if is_dataclass(output):
        return {part.name: getattr(output, part.name, None) for part in fields(output)}
    return {str(k): value for k, value in enumerate(output)} if isinstance(output, tuple | list) else {}


def one_tensor(output: object, address: Address) -> Tensor:
    """The tensor that an address names. Raises `BadInput`, with those that there are, if it is none of them."""
    tensors = items(output)
    if not tensors:
        kind = type(output).__name__
        raise BadInput(f"layer {address.name} returns {kind}: expected a tensor; choose another layer")
    if "" in tensors:
        if address.item is not None and _entries(output).get(address.item) is not tensors[""]:
            raise BadInput(f"layer {address.name}: {address.module} returns one tensor: name {address.module} alone")
        return as_numbers(tensors[""], address.name)
    if address.item not in tensors:
        names = ", ".join(f"{address.module}[{key}]" for key in tensors)
        raise BadInput(f"layer {address.name} returns {len(tensors)} tensors: name one of {names}")
    return as_numbers(tensors[address.item], address.name)


def as_numbers(output: Tensor, layer: str) -> Tensor:
    """The tensor without its gradient, and as ordinary numbers if it is quantised.

    Raises `BadInput` for a layer whose output does not hold all of its numbers.
    """
    if output.is_nested or output.layout != torch.strided:
        raise BadInput(f"layer {layer} returns a sparse or nested tensor: expected a dense one; choose another layer")
    return output.detach().dequantize() if output.is_quantized else output.detach()


# ---------------------------------------------------------------- what there is


@dataclass(frozen=True)
class Heard:
    """One output of one call of a module in a forward pass: its layer name, and its properties.

    Outputs with equal `tensor` are one object. A block often returns what its last activation returned.
    """

    layer: str
    module: nn.Module
    shape: tuple[int, ...]
    layout: str | None
    tensor: int

    @property
    def neurons(self) -> int:
        """The number of neurons. The layout must be known."""
        assert self.layout is not None
        return self.shape[self.layout.replace("d", "c").index("c")]


def all_names(network: nn.Module) -> dict[str, nn.Module]:
    """Every module by name. A module that is an attribute of several others has several names."""
    return dict(network.named_modules(remove_duplicate=False))


def known_as(layer: str, network: nn.Module) -> str:
    """The layer under the first of its module's names, by which it is heard."""
    parts, modules = ADDRESS.fullmatch(layer), all_names(network)
    own = layer if layer in modules else parts["module"] if parts else ""
    if own not in modules:
        return layer
    first = next(name for name, module in modules.items() if module is modules[own])
    return first if own == layer or not parts else layer[: parts.start("module")] + first + layer[parts.end("module") :]


def uncertain(layer: str, one: Heard) -> str:
    """The message for a layer whose axis of neurons is not certain."""
    fit = [layout for layout in LAYOUTS if len(layout) == len(one.shape)]
    what = f"layer {layer} ({type(one.module).__name__}) has outputs of shape {one.shape}"
    if not fit:
        return f"{what}: expected 2 to 5 axes"
    return f"{what}; the axis of its neurons is not certain: say layouts={{'{layer}': '{fit[-1]}'}} or another of {fit}"


def found_as(layer: str, there: Mapping[str, Heard], network: nn.Module) -> Heard | None:
    """A layer of the network among those that were heard; None if it did not run.

    Raises `BadInput`, with the names that there are, for a layer that ran several times or returned several tensors.
    """
    asked = layer if layer in all_names(network) else layer.removeprefix(BEFORE)
    bare = known_as(asked, network)
    for name in (bare, bare.removesuffix("#1"), re.sub(r"\[\w+\]", "", bare)):
        if name in there:
            return there[name]
    inside = [name for name in there if re.fullmatch(re.escape(bare) + r"(\[\w+\])?(#\d+)?", name)]
    if inside:
        several = "returns several tensors" if "[" in inside[0] else "runs more than once in a forward pass"
        same = "" if bare == asked else f" (the same module as {bare})"
        raise BadInput(f"layer {layer}{same} {several}: name one, as {' or '.join(inside[:4])}")
    return None


def heard(
    network: nn.Module, images: Sequence[Tensor], run: Callable[[], Any], functions: Counter[str] | None = None
) -> dict[str, Heard]:
    """Every output of every module in one forward pass, by layer name, in the order of the pass.

    `run` runs the network on `images`. A module that runs once and returns one tensor is called by its own name. The
    functions that are called outside of the modules without parts are counted in `functions`.
    """
    network = unwrapped(network)
    _check_weights(network)
    noted: list[tuple[str, str, int, Heard]] = []
    calls: Counter[str] = Counter()
    kept: list[Tensor] = []
    mode, count = Following(images), len(images[0])

    def listen(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            mode.inside.pop()
            calls[name] += 1
            for key, tensor in items(output).items():
                if tensor.is_nested:
                    continue
                if isinstance(module, nn.RNNBase) and tensor.ndim == 3:
                    first, second = (IMAGES, PLACE) if module.batch_first else (PLACE, IMAGES)
                    mode.note(tensor, (first, second, NEURONS))
                layout = layout_of(mode.axes(tensor), tensor.shape, count)
                place = f"{name}[{key}]" if key else name
                kept.append(tensor)  # so that no two have the same id
                noted.append((name, place, calls[name], Heard(place, module, tuple(tensor.shape), layout, id(tensor))))

        return hook

    with _hooked(network, listen, mode), _quiet(network), mode:
        run()
    if functions is not None:
        functions.update(mode.functions)
    named = [(place if calls[name] == 1 else f"{place}#{call}", one) for name, place, call, one in noted]
    return {layer: replace(one, layer=layer) for layer, one in named}


@contextmanager
def _hooked(network: nn.Module, listen: Callable[[str], Callable[..., None]], mode: Following) -> Iterator[None]:
    """While open, modules have the hook `listen(name)`, and `mode` knows which run; not those that make weights."""
    made = {
        part for module in network.modules() if isinstance(module, ParametrizationList) for part in module.modules()
    }
    hooks = []
    for name, module in network.named_modules():
        if name and module not in made and not isinstance(module, torch.jit.ScriptModule):
            hooks.append(module.register_forward_pre_hook(lambda inside, _: mode.inside.append(inside)))
            hooks.append(module.register_forward_hook(listen(name)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
