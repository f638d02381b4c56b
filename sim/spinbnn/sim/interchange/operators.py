"""What each operation makes of what flows into it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.weights import spread_groups
from spinbnn.sim.interchange.exact import fractions
from spinbnn.sim.interchange.graph import Graph, Node
from spinbnn.sim.interchange.inputs import InputForm
from spinbnn.sim.interchange.layers import convolution, product
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.quantisers import (
    QuantParameters,
    bipolar_staircase,
    multi_threshold_staircase,
    quant_staircase,
    quantised_constant,
)
from spinbnn.sim.interchange.reshaping import added, largest_of_windows, summed_windows
from spinbnn.sim.interchange.signals import Constant, ImageSource, Levels, Padding, Signal, Stage
from spinbnn.sim.interchange.spatial import check_windows, window_of
from spinbnn.sim.interchange.steps import Clip, Normalise, Staircase, Step, add_linear, has_root
from spinbnn.sim.interchange.weights import integer_weights

_ONE, _ZERO = Fraction(1), Fraction(0)


class Poisoned(Exception):  # noqa: N818 -- no error: what is wrong is said of another node
    """An input comes from a node that is not supported."""


class Unknown:
    """The output of a node that is not supported."""


Value = Constant | Signal | Unknown
Inputs = Sequence[Value | None]


@dataclass
class Context:
    """What operations need besides their inputs.

    Parameters
    ----------
    graph : Graph
    form : InputForm
    sign_of_zero_is_plus : bool
        Take ONNX's Sign of 0, which is 0, as +1.
    """

    graph: Graph
    form: InputForm
    sign_of_zero_is_plus: bool
    stages: list[Stage] = field(default_factory=list)

    @property
    def batch(self) -> int:
        """The number of images that shapes of the graph are computed with."""
        return self.graph.input_shape[0]

    def layer_name(self, node: Node) -> str:
        """Return a name for a layer that no other has."""
        stem = "".join(each if each.isprintable() else "_" for each in node.name).strip() or node.operation
        taken = {stage.name for stage in self.stages}
        name, number = stem, 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        return name

    def opened(self, signal: Signal) -> Signal:
        """Keep the layer that a signal opens."""
        assert isinstance(signal.source, Stage)
        self.stages.append(signal.source)
        return signal


Operation = Callable[[Context, Node, Inputs], list[Value]]


def _get(inputs: Inputs, number: int) -> Value | None:
    value = inputs[number] if number < len(inputs) else None
    if isinstance(value, Unknown):
        raise Poisoned
    return value


def _signal(inputs: Inputs, number: int = 0) -> Signal:
    value = _get(inputs, number)
    if not isinstance(value, Signal):
        raise Refused(f"input {number} is constant", "one that depends on the images")
    if value.tail is not None:
        raise Refused(f"it follows {value.tail}", f"{value.tail} as the last operation")
    return value


def _free(inputs: Inputs, number: int = 0) -> Signal:
    """Return a signal without padding around it."""
    signal = _signal(inputs, number)
    if signal.padding is not None:
        raise Refused("a Pad node lies before it", "Pad directly before a convolution")
    return signal


def _constant(inputs: Inputs, number: int, what: str) -> Constant:
    value = _get(inputs, number)
    if isinstance(value, Signal):
        raise Refused(f"its {what} depends on the images", f"a constant {what}")
    if not isinstance(value, Constant):
        raise Refused(f"its {what} is missing", f"a constant {what}")
    return value


def _array(inputs: Inputs, number: int, what: str) -> NDArray[Any]:
    return _constant(inputs, number, what).array


def _optional_array(inputs: Inputs, number: int, what: str) -> NDArray[Any] | None:
    return None if _get(inputs, number) is None else _array(inputs, number, what)


def _per_channel(signal: Signal, values: NDArray[Any], what: str) -> list[Fraction]:
    """Return constants that are broadcast over a signal, one for each channel of its layer or one for all.

    Raises
    ------
    Refused
        If they differ within a channel, or change the signal's shape.
    """
    if not np.isfinite(values).all():
        raise Refused(f"its {what} is not finite", f"a finite {what}")
    if values.size == 1 and values.ndim <= len(signal.shape) + 1:
        return fractions(values)
    try:
        spread = np.broadcast_to(values, (1, *signal.shape))[0].ravel()
    except ValueError:
        shapes = f"{' x '.join(map(str, values.shape))} for {' x '.join(map(str, signal.shape))}"
        raise Refused(f"its {what} changes the tensor's shape ({shapes})", f"one {what} a channel") from None
    channels = signal.source.channels
    numbers = signal.index.ravel() % channels
    chosen = np.zeros(channels, spread.dtype)
    chosen[numbers] = spread
    if not np.array_equal(chosen[numbers], spread):
        raise Refused(
            f"its {what} differs within a channel of {signal.source.what}",
            f"one {what} a channel",
        )
    return fractions(chosen)


def _step(node: Node, signal: Signal, step: Step) -> list[Value]:
    return [signal.with_steps((*signal.steps, step), node.operation)]


def _linear(node: Node, signal: Signal, scale: list[Fraction], bias: list[Fraction]) -> list[Value]:
    # Numbers before a pooling and behind it stay apart.
    if signal.pool is not None and signal.pool_at == len(signal.steps):
        joined = (*signal.steps, *add_linear((), scale, bias))
    else:
        joined = add_linear(signal.steps, scale, bias)
    return [signal.with_steps(joined, node.operation)]


# Arithmetic


def _add(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    one, other = _get(inputs, 0), _get(inputs, 1)
    if isinstance(one, Signal) and isinstance(other, Signal):
        return [_residual(context, _free(inputs, 0), _free(inputs, 1))]
    number = 0 if isinstance(one, Signal) else 1
    signal = _free(inputs, number)
    return _linear(node, signal, [_ONE], _per_channel(signal, _array(inputs, 1 - number, "addend"), "addend"))


def _residual(context: Context, one: Signal, other: Signal) -> Signal:
    for signal in (one, other):
        if isinstance(signal.source, ImageSource):
            raise Refused("it adds the input to a layer's sums", "the sums of two layers")
    order = {id(stage): number for number, stage in enumerate(context.stages)}
    earlier, later = sorted((one, other), key=lambda each: order[id(each.source)])
    if earlier.source is later.source:
        raise Refused(f"it adds {later.source.what} to itself", "the sums of two layers")
    assert isinstance(later.source, Stage)
    return added(earlier, later, later.source)


def _sub(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    one, other = _get(inputs, 0), _get(inputs, 1)
    if isinstance(one, Signal) and isinstance(other, Signal):
        negative = _free(inputs, 1)
        minus = replace(negative, steps=add_linear(negative.steps, [-_ONE], [_ZERO]))
        return [_residual(context, _free(inputs, 0), minus)]
    if isinstance(one, Signal):
        signal = _free(inputs, 0)
        bias = _per_channel(signal, _array(inputs, 1, "subtrahend"), "subtrahend")
        return _linear(node, signal, [_ONE], [-each for each in bias])
    signal = _free(inputs, 1)
    return _linear(node, signal, [-_ONE], _per_channel(signal, _array(inputs, 0, "minuend"), "minuend"))


def _mul(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    number = 0 if isinstance(_get(inputs, 0), Signal) else 1
    signal = _free(inputs, number)
    return _linear(
        node, signal, _per_channel(signal, _array(inputs, 1 - number, "factor"), "factor"), [_ZERO]
    )


def _div(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs, 0)
    divisor = _per_channel(signal, _array(inputs, 1, "divisor"), "divisor")
    if not all(divisor):
        raise Refused("it divides by 0", "a divisor that is not 0")
    return _linear(node, signal, [1 / each for each in divisor], [_ZERO])


def _neg(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    return _linear(node, _free(inputs), [-_ONE], [_ZERO])


def _batch_norm(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if node.attributes.get("training_mode", 0):
        raise Refused("it is in training mode", "a model exported for inference")
    signal = _free(inputs)
    if has_root(signal.steps):
        raise Refused(
            "it follows another batch normalisation", "one before each quantiser: multiply them out"
        )
    shape = (1, signal.shape[0], *(1 for _ in signal.shape[1:]))
    names = ("scale", "bias", "mean", "variance")
    arrays = [_array(inputs, number, name) for number, name in enumerate(names, 1)]
    for name, array in zip(names, arrays, strict=True):
        if array.shape != (signal.shape[0],):
            raise Refused(f"its {name} has {array.size} numbers", f"{signal.shape[0]}, one a channel")
    gamma, beta, mean, variance = (
        _per_channel(signal, array.reshape(shape), name) for name, array in zip(names, arrays, strict=True)
    )
    epsilon = Fraction(float(np.float32(node.attributes.get("epsilon", 1e-5))))
    square = [each + epsilon for each in variance]
    if min(square) <= 0:
        raise Refused("variance + epsilon is not above 0", "a variance of 0 or more")
    return _step(node, signal, Normalise(gamma, beta, mean, square))


def _relu(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    return _step(node, _free(inputs), Clip(_ZERO, None))


def _clip(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    limits: list[Fraction | None] = []
    for number, name in enumerate(("min", "max"), 1):
        limit = node.attributes.get(name)
        array = _optional_array(inputs, number, name) if limit is None else np.array(limit)
        # A limit of a float's largest number is none.
        absent = array is None or not np.isfinite(array).all() or float(np.abs(array).max()) > 1e38
        limits.append(None if absent or array is None else fractions(array)[0])
    low, high = limits
    if low is not None and high is not None and low > high:
        raise Refused("its lower limit is above the upper one", "limits in order")
    return _step(node, signal, Clip(low, high))


def _comparison(inclusive: bool, levels: tuple[int, int]) -> Operation:
    def operation(context: Context, node: Node, inputs: Inputs) -> list[Value]:
        if isinstance(_get(inputs, 1), Signal):
            raise Refused("it compares with what depends on the images", "a constant as the second input")
        signal = _free(inputs)
        thresholds = _per_channel(signal, _array(inputs, 1, "threshold"), "threshold")
        stairs = [[each] for each in thresholds]
        return _step(
            node, signal, Staircase(node.name, stairs, [inclusive], [[Fraction(each) for each in levels]])
        )

    return operation


def _where(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    if not signal.steps or not isinstance(signal.steps[-1], Staircase):
        raise Refused("its condition is no comparison", "Where of a comparison and two constants")
    yes = _per_channel(signal, _array(inputs, 1, "first choice"), "first choice")
    no = _per_channel(signal, _array(inputs, 2, "second choice"), "second choice")
    width = max(len(yes), len(no))
    pairs = [(yes[n % len(yes)], no[n % len(no)]) for n in range(width)]
    return _linear(node, signal, [a - b for a, b in pairs], [b for _, b in pairs])


# Quantisers


def _sign(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    if context.sign_of_zero_is_plus:
        return _step(node, signal, bipolar_staircase(node.name, [_ONE]))
    levels = [-_ONE, _ZERO, _ONE]
    return _step(node, signal, Staircase(node.name, [[_ZERO, _ZERO]], [True, False], [levels], True))


def _bipolar_quant(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if isinstance(_get(inputs, 0), Constant):
        constants = [_constant(inputs, number, "scale") for number in (0, 1)]
        return [quantised_constant(constants, None)]
    signal = _free(inputs)
    return _step(node, signal, bipolar_staircase(node.name, _scale(signal, inputs)))


def _quant(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    parameters = QuantParameters(node.attributes, _array(inputs, 3, "bit width"))
    if isinstance(_get(inputs, 0), Constant):
        constants = [_constant(inputs, number, "scale or zero point") for number in (0, 1, 2)]
        return [quantised_constant(constants, parameters)]
    signal = _free(inputs)
    zero = _per_channel(signal, _array(inputs, 2, "zero point"), "zero point")
    return _step(node, signal, quant_staircase(node.name, _scale(signal, inputs), zero, parameters))


def _scale(signal: Signal, inputs: Inputs) -> list[Fraction]:
    scale = _per_channel(signal, _array(inputs, 1, "scale"), "scale")
    if min(scale) <= 0:
        raise Refused(f"its scale is {float(min(scale)):g}", "a scale above 0")
    return scale


def _multi_threshold(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    thresholds = _array(inputs, 1, "thresholds")
    layout = node.attributes.get("data_layout", "") or {1: "NC", 2: "NWC", 3: "NCHW"}.get(
        len(signal.shape), ""
    )
    axis = layout.index("C") if "C" in layout else 1
    if thresholds.ndim != 2 or len(thresholds) not in (1, signal.shape[axis - 1]):
        shape = " x ".join(map(str, thresholds.shape))
        raise Refused(
            f"its thresholds have shape {shape}", f"1 or {signal.shape[axis - 1]} rows, one a channel"
        )
    if len(thresholds) > 1:
        spread = tuple(-1 if number == axis else 1 for number in range(len(signal.shape) + 1))
        rows = [
            _per_channel(signal, column.reshape(spread), "thresholds") for column in thresholds.T
        ]  # by threshold, then channel of the layer
        thresholds = np.array([[float(each) for each in row] for row in rows]).T
    scale, bias = node.attributes.get("out_scale", 1.0), node.attributes.get("out_bias", 0.0)
    if not scale:
        raise Refused("its out_scale is 0", "an out_scale that is not 0")
    return _step(node, signal, multi_threshold_staircase(node.name, thresholds, scale, bias))


# Layers


def _matmul(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if isinstance(_get(inputs, 0), Constant):
        raise Refused("its first input is constant", "the images' side first, the weights second")
    return _product(context, node, inputs, neuron_axis=1)


def _gemm(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    attributes = node.attributes
    if attributes.get("transA", 0):
        raise Refused("transA is 1", "transA 0")
    alpha, beta = (Fraction(float(attributes.get(name, 1.0))) for name in ("alpha", "beta"))
    (value,) = _product(context, node, inputs, neuron_axis=0 if attributes.get("transB", 0) else 1)
    assert isinstance(value, Signal)
    bias = _optional_array(inputs, 2, "bias")
    addend = [_ZERO] if bias is None else [beta * each for each in _per_channel(value, bias, "bias")]
    return [replace(value, steps=add_linear(value.steps, [alpha], addend))]


def _product(context: Context, node: Node, inputs: Inputs, neuron_axis: int) -> list[Value]:
    weights = _constant(inputs, 1, "weights")
    if weights.array.ndim != 2:
        raise Refused(f"its weights have {weights.array.ndim} dimensions", "2 dimensions")
    integers, scale = integer_weights(weights, neuron_axis)
    signal = _free(inputs)
    if signal.shape != (integers.shape[1],):
        shape = " x ".join(map(str, signal.shape))
        raise Refused(
            f"it works on a tensor of {shape} an image",
            f"{integers.shape[1]} numbers an image: flatten before it",
        )
    name = context.layer_name(node)
    return [context.opened(product(signal, name, node.operation, integers, scale, context.form))]


def _conv(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    check_windows(node)
    weights = _constant(inputs, 1, "weights")
    if weights.array.ndim != 4:
        raise Refused(
            f"its weights have {weights.array.ndim} dimensions",
            "4 dimensions, of a 2-dimensional convolution",
        )
    integers, scale = integer_weights(weights, 0)
    groups: int = node.attributes.get("group", 1)
    if groups > 1:
        if len(integers) % groups:
            raise Refused(f"its {len(integers)} neurons are in {groups} groups", "groups of equal size")
        integers = spread_groups(integers, groups)
    signal = _signal(inputs)
    padding = signal.padding
    if padding is not None and (padding.before[0] or padding.behind[0]):
        raise Refused("a Pad node adds channels to its map", "padding of height and width")
    if len(signal.shape) != 3 or signal.shape[0] != integers.shape[1]:
        shape = " x ".join(map(str, signal.shape))
        raise Refused(
            f"it works on a tensor of {shape} an image", f"{integers.shape[1]} channels, height and width"
        )
    _, _, height, width = integers.shape
    windows = window_of(node, _padded_size(signal), (height, width))
    name = context.layer_name(node)
    result = context.opened(convolution(signal, name, integers, scale, windows, context.form))
    bias = _optional_array(inputs, 2, "bias")
    if bias is not None:
        addend = _per_channel(result, bias.reshape(-1, 1, 1), "bias")
        result = replace(result, steps=add_linear(result.steps, [_ONE], addend))
    return [result]


def _padded_size(signal: Signal) -> tuple[int, int]:
    _, height, width = signal.shape
    if signal.padding is None:
        return height, width
    first, last = signal.padding.before, signal.padding.behind
    return first[1] + height + last[1], first[2] + width + last[2]


def _pad(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if node.attributes.get("mode", "constant") != "constant":
        raise Refused(f"its mode is {node.attributes['mode']}", "mode constant")
    attribute = node.attributes.get("pads")
    pads = [int(each) for each in (_array(inputs, 1, "pads") if attribute is None else attribute)]
    value = _optional_array(inputs, 2, "value")
    fill = Fraction(float(node.attributes.get("value", 0.0))) if value is None else fractions(value)[0]
    signal = _free(inputs)
    rank = len(signal.shape) + 1
    axes = _optional_array(inputs, 3, "axes")
    every = [0] * (2 * rank)
    for number, axis in enumerate(range(rank) if axes is None else (int(each) % rank for each in axes)):
        every[axis], every[rank + axis] = pads[number], pads[len(pads) // 2 + number]
    if not any(every):
        return [signal]
    if every[0] or every[rank] or min(every) < 0:
        raise Refused("it adds images or takes elements away", "padding of a map's height and width")
    return [replace(signal, padding=Padding(tuple(every[1:rank]), tuple(every[rank + 1 :]), fill))]


# Pooling


def _map(inputs: Inputs) -> Signal:
    signal = _free(inputs)
    if not signal.is_map():
        raise Refused(
            f"it does not work on a map of {signal.source.what}", "a convolution's map, channels first"
        )
    return signal


def _max_pool(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    check_windows(node)
    signal = _map(inputs)
    return _largest(node, signal, *window_of(node, (signal.shape[1], signal.shape[2]))[:2])


def _global_max_pool(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _map(inputs)
    return _largest(node, signal, (signal.shape[1], signal.shape[2]), (1, 1))


def _largest(node: Node, signal: Signal, size: tuple[int, int], stride: tuple[int, int]) -> list[Value]:
    if size == stride == (1, 1):
        return [signal]
    pooled = largest_of_windows(signal, size, stride)
    return [replace(pooled, trail=(*pooled.trail, node.operation))]


def _average_pool(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    check_windows(node)
    signal = _map(inputs)
    return _average(node, signal, *window_of(node, (signal.shape[1], signal.shape[2]))[:2])


def _global_average_pool(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _map(inputs)
    return _average(node, signal, (signal.shape[1], signal.shape[2]), (1, 1))


def _average(node: Node, signal: Signal, size: tuple[int, int], stride: tuple[int, int]) -> list[Value]:
    if size == (1, 1) and stride == (1, 1):
        return [signal]
    pooled = summed_windows(signal, size, stride)
    return [replace(pooled, trail=(*pooled.trail, node.operation))]


def _reduce_mean(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    axes = node.attributes.get("axes")
    if axes is None:
        axes = _array(inputs, 1, "axes").tolist()
    signal = _map(inputs)
    if sorted(axis % 4 for axis in axes) != [2, 3]:
        raise Refused(f"its axes are {axes}", "axes 2 and 3, height and width")
    (pooled,) = _average(node, signal, (signal.shape[1], signal.shape[2]), (1, 1))
    assert isinstance(pooled, Signal)
    return [pooled if node.attributes.get("keepdims", 1) else replace(pooled, index=pooled.index.ravel())]


# Layout


def _rearranged(context: Context, signal: Signal, shape: Sequence[int]) -> list[Value]:
    if not shape or shape[0] != context.batch:
        shown = " x ".join(map(str, shape))
        raise Refused(
            f"it joins the images or moves their number ({shown})", "the number of images left in front"
        )
    return [replace(signal, index=signal.index.reshape(tuple(shape[1:])))]


def _flatten(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    axis = node.attributes.get("axis", 1) % (len(signal.shape) + 1)
    whole = (context.batch, *signal.shape)
    return _rearranged(context, signal, (math.prod(whole[:axis]), math.prod(whole[axis:])))


def _reshape(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    target = [int(each) for each in _array(inputs, 1, "shape").ravel()]
    signal = _free(inputs)
    whole = (context.batch, *signal.shape)
    if not node.attributes.get("allowzero", 0):
        target = [
            whole[number] if each == 0 and number < len(whole) else each for number, each in enumerate(target)
        ]
    known = math.prod(each for each in target if each != -1)
    if target.count(-1) == 1 and known and math.prod(whole) % known == 0:
        target[target.index(-1)] = math.prod(whole) // known
    if math.prod(target) != math.prod(whole) or min(target, default=0) < 1:
        raise Refused(
            f"its shape {target} does not fit {' x '.join(map(str, whole))}", "a shape of as many elements"
        )
    return _rearranged(context, signal, target)


def _squeeze(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    whole = [context.batch, *signal.shape]
    axes = _axes(node, inputs, len(whole))
    if axes is None:
        axes = [number for number, length in enumerate(whole) if length == 1 and number]
    if any(whole[axis] != 1 for axis in axes):
        raise Refused(f"its axes {axes} are longer than 1", "axes of length 1")
    return _rearranged(context, signal, [length for axis, length in enumerate(whole) if axis not in axes])


def _unsqueeze(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _free(inputs)
    axes = _axes(node, inputs, None) or []
    whole: list[int] = [context.batch, *signal.shape]
    for axis in sorted(each % (len(whole) + len(axes)) for each in axes):
        whole.insert(axis, 1)
    return _rearranged(context, signal, whole)


def _axes(node: Node, inputs: Inputs, rank: int | None) -> list[int] | None:
    attribute = node.attributes.get("axes")
    array = _optional_array(inputs, 1, "axes") if attribute is None else np.array(attribute)
    if array is None:
        return None
    return [int(each) if rank is None else int(each) % rank for each in array.ravel()]


def _transpose(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    signal = _signal(inputs)
    order = node.attributes.get("perm", list(range(len(signal.shape) + 1))[::-1])
    if order[0] != 0:
        raise Refused(f"its perm {list(order)} moves the number of images", "a perm that begins with 0")
    axes = [each - 1 for each in order[1:]]
    padding = None if signal.padding is None else signal.padding.transposed(axes)
    return [replace(signal, index=signal.index.transpose(axes), padding=padding)]


def _same(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    return [_signal(inputs)]


def _cast(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if node.attributes.get("to") not in (1, 11):  # float, double
        raise Refused("it casts to another type than float or double", "a cast to float or double")
    return [_signal(inputs)]


def _shape(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    whole = [context.batch, *_signal(inputs).shape]
    begin, end = node.attributes.get("start", 0), node.attributes.get("end", len(whole))
    return [Constant(np.array(whole[begin:end], np.int64))]


def _tail(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    if node.outputs[0] != context.graph.output_name:
        raise Refused("it is not the last operation", f"{node.operation} of the logits, at the end")
    return [replace(_free(inputs), tail=node.operation)]


STANDARD: dict[str, Operation] = {
    "Add": _add,
    "ArgMax": _tail,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _div,
    "Dropout": _same,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "GlobalMaxPool": _global_max_pool,
    "Greater": _comparison(False, (0, 1)),
    "GreaterOrEqual": _comparison(True, (0, 1)),
    "Identity": _same,
    "Less": _comparison(True, (1, 0)),
    "LessOrEqual": _comparison(False, (1, 0)),
    "LogSoftmax": _tail,
    "MatMul": _matmul,
    "MaxPool": _max_pool,
    "Mul": _mul,
    "Neg": _neg,
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": _relu,
    "Reshape": _reshape,
    "Shape": _shape,
    "Sign": _sign,
    "Softmax": _tail,
    "Squeeze": _squeeze,
    "Sub": _sub,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
"""ONNX's own operations on what depends on the images; on constants all are computed."""

QUANTISERS: dict[str, Operation] = {
    "BipolarQuant": _bipolar_quant,
    "IntQuant": _quant,
    "MultiThreshold": _multi_threshold,
    "Quant": _quant,
}
"""The operations of the domains of QONNX."""


def compute_constants(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    """Return what a standard operation makes of constants; what only moves them keeps their integers."""
    constants = [value if isinstance(value, Constant) else None for value in inputs]
    arrays = context.graph.compute(node, [None if each is None else each.array for each in constants])
    first = constants[0] if constants else None
    levels = None if first is None else first.levels
    if levels is not None and node.operation in (
        "Transpose",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Identity",
    ):
        rest = [None if each is None else each.array for each in constants[1:]]
        integers = context.graph.compute(node, [levels.integers, *rest])[0]
        scale = context.graph.compute(node, [levels.scale, *rest])[0]
        return [Constant(arrays[0], Levels(integers, scale))]
    return [Constant(array) for array in arrays]
