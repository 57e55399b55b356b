"""Which axis of a layer's output holds the neurons? The layout is known, or the layer is refused; it is never guessed.

A layout names the axes of an output in order: n for the images, d or c for the neurons. Any other letter is a
position: a pixel, a token, or a time step. Convolutions give "nchw", Swin and ConvNeXt have "nhwc" inside, Conv1d
gives "nct", transformers "ntd", and sequence-first ones "tnd". Conv3d gives "ncthw"; video transformers have "nthwc".

During one pass over a few images, `Following` follows the axes from operation to operation. A convolution puts the
neurons on axis 1, a linear layer or an embedding on the last axis, a permutation moves them, a ReLU leaves them in
place. After an operation that it does not know, no axis is known until the next convolution, norm or linear layer.
"""

import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..errors import BadInput, unknown

LAYOUTS = ("nd", "ntd", "tnd", "nct", "nchw", "nhwc", "ncthw", "nthwc")
IMAGES, NEURONS, PLACE = "n", "c", "."
COLOURS = (1, 3, 4)  # channels of images: if the last axis alone has so many, they may be on it
Axes = tuple[str, ...]  # per axis of a tensor: IMAGES, NEURONS, or PLACE, which also stands for "not known"


def check_layout(layout: str, shape: Sequence[int], layer: str) -> str:
    """The layout, if it is one of `LAYOUTS` with as many axes as a layer's outputs.

    Else `BadInput` says which would fit.
    """
    if layout not in LAYOUTS:
        raise unknown(f"layout of layer {layer}", layout, LAYOUTS)
    if len(layout) != len(shape):
        fit = [name for name in LAYOUTS if len(name) == len(shape)]
        raise BadInput(f"layer {layer} has outputs of shape {tuple(shape)}: expected a layout of {fit}, not '{layout}'")
    return layout


@contextmanager
def about_layer(layer: str) -> Iterator[None]:
    """A `BadInput` that is raised inside gets the name of the layer."""
    try:
        yield
    except BadInput as error:
        raise BadInput(f"layer {layer}: {error}") from error


def arranged(
    output: Tensor, layout: str, images: int
) -> tuple[Float[Tensor, "neurons images places"], tuple[int, ...]]:
    """A view of a layer's output with one row per neuron, and the lengths of the axes that are positions.

    If windows lie on the axis of the images (as in Swin), the windows of an image become positions. Raises `BadInput`
    if there are no outputs, or not as many as `images` or a multiple of them. The number 0 stands for not known.
    """
    names = layout.replace("d", NEURONS)
    length = output.shape[names.index(IMAGES)]
    if images and (not output.numel() or length % images):
        where = f"on axis {names.index(IMAGES)}"
        raise BadInput(f"outputs of shape {tuple(output.shape)} for {images} inputs: expected as many {where}")
    rest = [axis for axis, name in enumerate(names) if name not in (IMAGES, NEURONS)]
    moved = output.permute(names.index(NEURONS), names.index(IMAGES), *rest)
    places = tuple(moved.shape[2:])
    if images and moved.shape[1] != images:
        moved, places = moved.unflatten(1, (images, -1)), (moved.shape[1] // images, *places)
    return moved.flatten(2) if len(places) else moved.unsqueeze(2), places


def layout_of(axes: Axes | None, shape: Sequence[int], images: int) -> str | None:
    """The layout of an output from what is known of its axes; None if the neurons' axis is not certain.

    An output of two axes, images first, needs no following: the other axis holds the neurons.
    """
    axes = axes or (PLACE,) * len(shape)
    if IMAGES not in axes and shape and shape[0] % images == 0 and axes[0] == PLACE:
        axes = (IMAGES, *axes[1:])
    if len(shape) == 2 and axes[0] == IMAGES:
        axes = (IMAGES, NEURONS)
    for layout in LAYOUTS:
        wanted = tuple(name if name in (IMAGES, NEURONS) else PLACE for name in layout.replace("d", NEURONS))
        if wanted == axes:
            return layout
    return None


# ---------------------------------------------------------------- following axes through operations


class Following(TorchFunctionMode):
    """While open, knows for every tensor which axis holds the images and which the neurons, if that is certain."""

    def __init__(self, images: Sequence[Tensor]) -> None:
        super().__init__()
        self.inside: list[nn.Module] = []  # the modules that run at the moment, the innermost last
        self.functions: Counter[str] = Counter()  # calls of functions that are not the work of a module of their own
        self.known: dict[int, Axes] = {}
        for tensor in images:
            nchw = tensor.ndim == 4 and (tensor.shape[3] not in COLOURS or tensor.shape[1] in COLOURS)
            rest = (NEURONS, PLACE, PLACE) if nchw else (PLACE,) * (tensor.ndim - 1)
            self.note(tensor, (IMAGES, *rest))

    def note(self, tensor: Tensor, axes: Axes) -> None:
        """Remember a tensor's axes."""
        self.known[id(tensor)] = axes
        weakref.finalize(tensor, self.known.pop, id(tensor), None)  # a later tensor may get the same id

    def axes(self, tensor: Tensor) -> Axes | None:
        """What is known of a tensor's axes; None if nothing is."""
        axes = self.known.get(id(tensor))
        return axes if axes is not None and len(axes) == tensor.ndim else None

    def __torch_function__(self, func: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and note the axes of its outputs."""
        given = _tensors([*args, *(kwargs or {}).values()])
        before = [(tensor, self.axes(tensor), tuple(tensor.shape)) for tensor in given]
        result = func(*args, **(kwargs or {}))
        outputs = [result] if isinstance(result, Tensor) else list(result) if isinstance(result, tuple | list) else []
        name = getattr(func, "__name__", "").strip("_")
        if not self.inside or any(True for _ in self.inside[-1].children()):
            self.functions[name] += 1
        for k, output in enumerate(outputs):
            if not isinstance(output, Tensor) or output.is_nested:
                continue
            weights = k > 0 and name == "multi_head_attention_forward"  # of attention: no neurons
            axes = None if weights else _after(name, output, before, args, kwargs or {})
            self.known.pop(id(output), None)
            if axes is not None:
                self.note(output, axes)
        return result


Before = list[tuple[Tensor, Axes | None, tuple[int, ...]]]


def _tensors(values: Any) -> list[Tensor]:
    """All tensors among the arguments that have a shape, with those inside lists and tuples."""
    parts = [part for value in values for part in (value if isinstance(value, list | tuple) else [value])]
    return [part for part in parts if isinstance(part, Tensor) and not part.is_nested]


def _after(name: str, output: Tensor, before: Before, args: Any, options: dict[str, Any]) -> Axes | None:
    """The axes of an operation's output; None if nothing is known of them."""
    if not before:
        return None
    _, axes, shape = before[0]
    if name in ON_AXIS_1 and output.ndim > 1:
        return _with_neurons(output, axes, 1)
    if name in ON_LAST or (name in NORMS_OF_LAST and _one_axis(args, options)):
        return _with_neurons(output, axes, output.ndim - 1)
    if name in LEFT_ALONE or name in ("cat", "concat", "concatenate"):
        return _kept(output, before)
    if axes is not None and name in MOVES:
        return MOVES[name](axes, shape, tuple(output.shape), args[1:], options)
    return None


def _with_neurons(output: Tensor, axes: Axes | None, axis: int) -> Axes:
    """Axes with the neurons on `axis` alone, and the images where they were."""
    images = axes.index(IMAGES) if axes and IMAGES in axes and axes.index(IMAGES) < output.ndim else None
    names = [IMAGES if k == images else PLACE for k in range(output.ndim)]
    names[axis] = NEURONS
    return tuple(names)


def _one_axis(args: Any, options: dict[str, Any]) -> bool:
    """Whether a norm runs over one axis, the last one."""
    shape = options.get("normalized_shape", args[1] if len(args) > 1 else ())
    return isinstance(shape, int) or (isinstance(shape, list | tuple) and len(shape) == 1)


def _kept(output: Tensor, before: Before) -> Axes | None:
    """The axes of the inputs with known neurons, among those with as many axes as the output.

    If these inputs have their neurons on different axes, as where tokens are mixed beside channels, none is known.
    """
    candidates = [axes for _, axes, shape in before if axes is not None and _alike(shape, output)]
    sure = [axes for axes in candidates if NEURONS in axes]
    if len({axes.index(NEURONS) for axes in sure}) > 1:
        return tuple(PLACE if name == NEURONS else name for name in sure[0])
    return next(iter(sure or candidates), None)


def _alike(shape: tuple[int, ...], output: Tensor) -> bool:
    return len(shape) == output.ndim


# ---------------------------------------------------------------- operations that move axes


def _permuted(axes: Axes, shape: Any, after: Any, args: Any, options: dict[str, Any]) -> Axes | None:
    order = options.get("dims", args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else args)
    return tuple(axes[k] for k in order) if len(order) == len(axes) else None


def _swapped(axes: Axes, shape: Any, after: Any, args: Any, options: dict[str, Any]) -> Axes | None:
    first, second = args if len(args) == 2 else list(options.values())[:2]
    names = list(axes)
    names[first], names[second] = names[second], names[first]
    return tuple(names)


def _reshaped(
    axes: Axes, shape: tuple[int, ...], after: tuple[int, ...], args: Any, options: dict[str, Any]
) -> Axes | None:
    """An axis keeps its name if it stays whole, alone or with axes of length 1; images also before positions."""
    names, start, done = [PLACE] * len(after), 0, 0
    while start < len(shape) and done < len(after):
        end, stop = start + 1, done + 1
        while (old := prod(shape[start:end])) != (new := prod(after[done:stop])):
            end, stop = (end + 1, stop) if old < new else (end, stop + 1)
            if end > len(shape) or stop > len(after):
                return None
        inside = [k for k in range(start, end) if axes[k] != PLACE]
        longer = [k for k in range(done, stop) if after[k] != 1] or [done]
        for k in inside:
            if shape[k] == after[longer[0]] and (len(longer) == 1 or axes[k] == IMAGES):
                names[longer[0]] = axes[k]
            if len(after) == 2 and stop == 2 and done == 1:
                names[1] = NEURONS  # (images, everything else): units
        start, done = end, stop
    return tuple(names)


def _reduced(
    axes: Axes, shape: tuple[int, ...], after: tuple[int, ...], args: Any, options: dict[str, Any]
) -> Axes | None:
    """The axes that are left after a mean or a maximum over some of them."""
    over = options.get("dim", args[0] if args else None)
    if over is None or len(after) == len(axes):
        return axes if len(after) == len(axes) else None
    gone = {k % len(axes) for k in (over if isinstance(over, list | tuple) else [over])}
    return tuple(name for k, name in enumerate(axes) if k not in gone)


def _joined(axes: Axes, shape: Any, after: tuple[int, ...], args: Any, options: dict[str, Any]) -> Axes | None:
    return axes if len(after) == len(axes) else None


def _indexed(
    axes: Axes, shape: tuple[int, ...], after: tuple[int, ...], args: Any, options: dict[str, Any]
) -> Axes | None:
    """Basic indexing only: a whole number removes an axis, a slice keeps it, None adds one."""
    key = args[0] if isinstance(args[0], tuple) else (args[0],)
    if not all(part is None or part is Ellipsis or isinstance(part, int | slice) for part in key):
        return None
    left, names = list(axes), []
    explicit = sum(part is not None and part is not Ellipsis for part in key)
    for part in key:
        if part is None:
            names.append(PLACE)
        elif part is Ellipsis:
            names += [left.pop(0) for _ in range(len(axes) - explicit)]
        else:
            name = left.pop(0)
            names += [name] if isinstance(part, slice) else []
    remaining = (*names, *left)
    return remaining if len(remaining) == len(after) else None


def _selected(axes: Axes, shape: Any, after: tuple[int, ...], args: Any, options: dict[str, Any]) -> Axes | None:
    axis = options.get("dim", args[0] if args else 0) % len(axes)
    remaining = tuple(name for k, name in enumerate(axes) if k != axis)
    return remaining if len(remaining) == len(after) else None


ON_AXIS_1 = {
    *(f"conv{k}d" for k in (1, 2, 3)),
    *(f"conv_transpose{k}d" for k in (1, 2, 3)),
    *("batch_norm", "instance_norm", "group_norm", "local_response_norm", "pixel_shuffle", "pixel_unshuffle"),
}
ON_LAST = {"linear", "embedding", "multi_head_attention_forward", "bilinear"}
NORMS_OF_LAST = {"layer_norm", "rms_norm"}
ELEMENTWISE = """relu relu6 hardtanh gelu silu mish elu selu celu leaky_relu prelu rrelu softplus softsign sigmoid
logsigmoid tanh tanhshrink hardswish hardsigmoid hardshrink softshrink threshold dropout dropout1d dropout2d dropout3d
feature_dropout alpha_dropout add radd iadd sub rsub isub mul rmul imul div rdiv idiv truediv rtruediv itruediv neg abs
pow rpow sqrt rsqrt square exp log log1p clamp clip maximum minimum where softmax log_softmax contiguous clone detach to
float half double bfloat16 type type_as cuda cpu roll flip pad normalize sin cos erf sign nan_to_num masked_fill lerp
addcmul addcdiv fill requires_grad as_subclass alias quantize_per_tensor dequantize layer_norm rms_norm"""
POOLS = [f"{way}{kind}_pool{k}d" for way in ("", "adaptive_") for kind in ("max", "avg") for k in (1, 2, 3)]
LEFT_ALONE = {*ELEMENTWISE.split(), *POOLS, "lp_pool2d", "interpolate", "upsample"}
MOVES: dict[str, Callable[..., Axes | None]] = {
    "permute": _permuted,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), _swapped),
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze"), _reshaped),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "logsumexp"), _reduced),
    **dict.fromkeys(("chunk", "split", "expand", "repeat", "narrow"), _joined),
    "getitem": _indexed,
    **dict.fromkeys(("select", "unbind"), _selected),
}
