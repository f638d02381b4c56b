"""Convolutions and matrix products: closing the layer before, opening the next."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from spinbnn.golden.layers import Pool
from spinbnn.sim.interchange.heads import activation_head
from spinbnn.sim.interchange.inputs import InputForm, code_images
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.reshaping import pooled_integers
from spinbnn.sim.interchange.signals import (
    Coding,
    ImageSource,
    Integers,
    Padding,
    Signal,
    Stage,
    Window,
    check_current,
    map_index,
)
from spinbnn.sim.interchange.steps import Linear, Staircase, direction

_ZERO = Fraction(0)


def close(signal: Signal, reader: str, form: InputForm) -> Coding:
    """Return how a layer named `reader` reads a signal; with it the signal's own layer has its head.

    Raises
    ------
    Refused
        If it cannot be read, or is read already.
    """
    source = signal.source
    if source.reader is not None:
        raise Refused(
            f"{source.what} is read by '{source.reader}' already",
            "layers in a row, where each reads what the one before gives; a shortcut may add sums",
        )
    check_current(signal)
    if isinstance(source, ImageSource):
        if signal.pool is not None:
            raise Refused("the input is pooled", "pooling behind the first layer")
        source.coding = code_images(source, signal.steps, form)
        source.folded = signal.trail
    else:
        _close_stage(signal, source)
    source.reader = reader
    assert source.coding is not None
    return source.coding


def _close_stage(signal: Signal, stage: Stage) -> None:
    if signal.pool is not None:
        behind = signal.steps[signal.pool_at :]
        if any(direction(behind, channel) < 0 for channel in range(stage.channels)) or not any(
            isinstance(step, Staircase) for step in signal.steps
        ):
            signal = pooled_integers(signal)
    stage.head, stage.coding = activation_head(stage, signal.steps)
    if signal.pool is not None:
        # The largest activation is that of the largest number, whatever the direction of what lies before it.
        stage.pool = Pool("or", signal.pool.size, signal.pool.stride)
    stage.folded = signal.trail


def product(
    signal: Signal, name: str, operation: str, weights: Integers, scale: list[Fraction], form: InputForm
) -> Signal:
    """Return the sums of a fully connected layer.

    Parameters
    ----------
    signal : Signal
        Of shape (K,).
    name, operation : str
    weights : int64 [N, K]
    scale : list of Fraction
        Of each neuron.
    form : InputForm
        What the model is given for an image.

    Raises
    ------
    Refused
        If the signal cannot be read.
    """
    _check_unpadded(signal)
    numbers = signal.index.ravel()
    source = signal.source
    if isinstance(source, ImageSource):
        order = source.dense_order()
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        source.set_order(order)
        numbers = places[numbers]
    if not np.array_equal(np.sort(numbers), np.arange(weights.shape[1])):
        raise Refused(f"it reads a part of {source.what}", "all elements, each once")
    ordered = np.empty_like(weights)
    ordered[:, numbers] = weights
    coding = close(signal, name, form)
    stage = Stage(name, operation, ordered, coding, None)
    return _opened(stage, coding, scale, np.arange(stage.channels))


def convolution(
    signal: Signal,
    name: str,
    weights: Integers,
    scale: list[Fraction],
    windows: tuple[tuple[int, int], tuple[int, int], tuple[int, int, int, int]],
    form: InputForm,
) -> Signal:
    """Return the sums of a convolution.

    Parameters
    ----------
    signal : Signal
        Of shape (C, H, W).
    name : str
    weights : int64 [N, C, kh, kw]
    scale : list of Fraction
        Of each neuron.
    windows : tuple
        Kernel, stride and padding.
    form : InputForm
        What the model is given for an image.

    Raises
    ------
    Refused
        If the signal cannot be read.
    """
    kernel, stride, sides = windows
    channels, height, width = signal.shape
    source = signal.source
    if isinstance(source, ImageSource):
        source.set_order(signal.index.transpose(1, 2, 0).ravel())
    elif not signal.is_map():
        raise Refused(
            f"it reads the elements of {source.what} rearranged to {channels} x {height} x {width}",
            "the map as the layer before gives it",
        )
    coding = close(replace(signal, padding=None), name, form)
    padding, value = signal.padding, 0
    if padding is not None:
        if any(sides):
            raise Refused("both a Pad node and the convolution pad the map", "one of the two")
        (_, top, left), (_, bottom, right) = padding.before, padding.behind
        sides, value = (top, left, bottom, right), _pad_integer(padding, coding)
    elif any(sides) and coding.offset:
        raise Refused(
            f"zero padding of inputs that are {_shown(coding)} has no integer",
            "no padding, or inputs that are a multiple of their integers (a quantiser without offset)",
        )
    ordered = weights.transpose(0, 2, 3, 1).reshape(len(weights), -1)
    window = Window((height, width, channels), kernel, stride, sides, value)
    stage = Stage(name, "Conv", ordered, coding, window)
    return _opened(stage, coding, scale, map_index(*window.sum_shape, stage.channels))


def _pad_integer(padding: Padding, coding: Coding) -> int:
    """Return the integer that a Pad node's value stands for: 0 for a zero that adds nothing."""
    if not padding.value and not coding.offset:
        return 0
    integer = (padding.value - coding.offset) / coding.scale
    if coding.kind == "bipolar" and abs(integer) == 1:
        return int(integer)
    raise Refused(
        f"padding with {float(padding.value):g} of inputs that are {_shown(coding)} has no integer",
        "padding with 0, or with one of the two values of a bipolar input",
    )


def _shown(coding: Coding) -> str:
    scale, offset = float(coding.scale), float(coding.offset)
    return f"{scale:g} * integer {'+' if offset >= 0 else '-'} {abs(offset):g}"


def _check_unpadded(signal: Signal) -> None:
    if signal.padding is not None:
        raise Refused("a Pad node lies before it", "Pad directly before a convolution")


def _opened(stage: Stage, coding: Coding, scale: list[Fraction], index: Integers) -> Signal:
    """Return a layer's sums: of its integers, and of what the offset of its inputs adds to each neuron."""
    totals = stage.weights.sum(axis=1).tolist()
    factors = [coding.scale * each / stage.factor for each in scale]
    biases = [coding.offset * each * total for each, total in zip(scale, totals, strict=True)]
    return Signal(stage, index, (Linear(factors, biases),))
