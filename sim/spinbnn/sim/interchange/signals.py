"""What flows along a graph's edges, and the layers that are made of it on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.layers import Head, Pool, Shape
from spinbnn.golden.weights import weight_planes
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.steps import Linear, Steps, add_linear

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Levels:
    """Constants as a quantiser made them: ``integers * scale``, both of the constants' shape."""

    integers: Integers
    scale: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Constant:
    """An array that does not depend on the images."""

    array: NDArray[Any]
    levels: Levels | None = None


@dataclass(frozen=True)
class Coding:
    """How a layer's inputs are coded: they are ``scale * integer + offset``.

    Parameters
    ----------
    bits : int
    kind : {"bipolar", "unsigned", "signed"}
    scale, offset : Fraction
    """

    bits: int
    kind: str
    scale: Fraction
    offset: Fraction

    @property
    def largest(self) -> int:
        """The largest absolute integer."""
        return 1 << (self.bits - 1) if self.kind == "signed" else (1 << self.bits) - 1


@dataclass(eq=False)
class ImageSource:
    """The images.

    Parameters
    ----------
    shape : tuple of int
        As the model has them, without their number.
    """

    shape: tuple[int, ...]
    order: Integers | None = field(default=None, init=False)
    """The model's number of each of the network's elements."""
    coding: Coding | None = field(default=None, init=False)
    metadata: dict[str, Any] = field(default_factory=dict, init=False)
    folded: tuple[str, ...] = field(default=(), init=False)
    reader: str | None = field(default=None, init=False)

    channels = 1
    version = 0

    @property
    def what(self) -> str:
        """A name for messages."""
        return "the input"

    def set_order(self, order: Integers) -> None:
        """Say in what order the network takes the elements."""
        self.order = order

    def dense_order(self) -> Integers:
        """Return the order that a fully connected first layer takes them in: maps channels last."""
        numbers = np.arange(int(np.prod(self.shape)))
        return numbers.reshape(self.shape).transpose(1, 2, 0).ravel() if len(self.shape) == 3 else numbers


@dataclass(frozen=True)
class Window:
    """Where a convolution's windows lie; as in `spinbnn.golden.layers.Conv`."""

    input_shape: Shape
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    pad_value: int

    @property
    def sum_shape(self) -> tuple[int, int]:
        """Height and width of the map of sums."""
        height, width, _ = self.input_shape
        top, left, bottom, right = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )


@dataclass(eq=False)
class Stage:
    """A layer while the graph behind it is read.

    `version` counts what changed the meaning of its integers; a signal of an older one is out of date.

    Parameters
    ----------
    name : str
    operation : str
    weights : int64 [N, K]
        In the network's order.
    inputs : Coding
    window : Window or None
        None for a fully connected layer.
    """

    name: str
    operation: str
    weights: Integers
    inputs: Coding
    window: Window | None
    factor: int = field(init=False)
    shifts: tuple[int, ...] = field(init=False)
    relu: bool = field(default=False, init=False)
    pool: Pool | None = field(default=None, init=False)
    residual: "Stage | None" = field(default=None, init=False)
    residual_version: int = field(default=0, init=False)
    version: int = field(default=0, init=False)
    head: Head | None = field(default=None, init=False)
    coding: Coding | None = field(default=None, init=False)
    folded: tuple[str, ...] = field(default=(), init=False)
    reader: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        planes = weight_planes(self.weights)
        self.factor, self.shifts = planes.factor, planes.shifts

    @property
    def what(self) -> str:
        """A name for messages."""
        return f"'{self.name}'"

    @property
    def channels(self) -> int:
        """N."""
        return len(self.weights)

    @property
    def reach(self) -> int:
        """The largest absolute integer that the head can meet, whatever weights are stored."""
        inputs: int = self.weights.shape[1]
        reach = inputs * sum(1 << shift for shift in self.shifts) * self.inputs.largest
        if self.pool is not None and self.pool.kind == "sum":
            reach *= self.pool.size[0] * self.pool.size[1]
        return reach + (self.residual.reach if self.residual is not None else 0)

    @property
    def low(self) -> int:
        """The smallest integer that the head can meet."""
        return 0 if self.relu and self.residual is None else -self.reach

    @property
    def parity(self) -> int | None:
        """0 or 1 where all sums are even or odd, else None."""
        padded = self.window is not None and any(self.window.padding) and self.window.pad_value == 0
        changed = (
            self.relu or self.residual is not None or (self.pool is not None and self.pool.kind == "sum")
        )
        if self.inputs.kind != "bipolar" or self.shifts != (0,) or padded or changed:
            return None
        inputs: int = self.weights.shape[1]
        return inputs % 2

    def negate(self, channels: NDArray[np.bool_]) -> None:
        """Turn round the sums of some channels."""
        self.weights = np.where(channels[:, np.newaxis], -self.weights, self.weights)


@dataclass(frozen=True)
class Padding:
    """What a Pad node puts round a tensor.

    Parameters
    ----------
    before, behind : tuple of int
        Elements at the ends of each axis, that of the images left out.
    value : Fraction
    """

    before: tuple[int, ...]
    behind: tuple[int, ...]
    value: Fraction

    def transposed(self, order: Sequence[int]) -> "Padding":
        """Return the padding with axes in another order."""
        return Padding(
            tuple(self.before[each] for each in order), tuple(self.behind[each] for each in order), self.value
        )


@dataclass(frozen=True, eq=False)
class Signal:
    """Numbers that depend on the images: functions of the integers of a layer or of the images.

    Parameters
    ----------
    source : Stage or ImageSource
    index : int64 of the tensor's shape without the number of images
        For each element its number in the source; in a map ``(y * width + x) * channels + c``.
    steps : Steps
        What was done to the integers.
    version : int
        That of the source when the signal was made.
    trail : tuple of str
        The operations so far, for the report.
    pool : Pool, optional
        The largest of a window, taken behind the first `pool_at` of the steps.
    padding : Padding, optional
    tail : str, optional
        An operation behind the logits that is left out.
    """

    source: Stage | ImageSource
    index: Integers
    steps: Steps = ()
    version: int = 0
    trail: tuple[str, ...] = ()
    pool: Pool | None = None
    pool_at: int = 0
    padding: Padding | None = None
    tail: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape without the number of images."""
        return self.index.shape

    def with_steps(self, steps: Steps, operation: str) -> "Signal":
        """Return the signal with other steps."""
        return replace(self, steps=steps, trail=(*self.trail, operation))

    def is_map(self) -> bool:
        """Whether the tensor is a map as the source has it, channels first."""
        if len(self.shape) != 3:
            return False
        channels, height, width = self.shape
        expected = np.arange(self.index.size).reshape(height, width, channels).transpose(2, 0, 1)
        return channels == self.source.channels and np.array_equal(self.index, expected)


def map_index(height: int, width: int, channels: int) -> Integers:
    """Return the numbers of the elements of a map, channels first."""
    return np.arange(height * width * channels).reshape(height, width, channels).transpose(2, 0, 1)


def check_fresh(signal: Signal) -> Stage:
    """Return the layer of a signal whose integers may still be changed.

    Raises
    ------
    Refused
        If they may not.
    """
    stage = signal.source
    if isinstance(stage, ImageSource):
        raise Refused("it works on the input itself", "it behind the first layer")
    check_current(signal)
    if stage.head is not None:
        raise Refused(
            f"the sums of {stage.what} are used both here and, as they are, by its quantiser",
            "one use of a layer's sums, or it behind the quantiser",
        )
    return stage


def check_current(signal: Signal) -> None:
    """See that a signal is not out of date.

    Raises
    ------
    Refused
        If it is.
    """
    if signal.version != signal.source.version:
        raise Refused(
            f"the sums of {signal.source.what} are used both before and behind pooling, ReLU or addition",
            "one of the two",
        )


def prefixed(signal: Signal, scale: list[Fraction]) -> Steps:
    """Return a signal's steps with a factor before them."""
    if all(each == 1 for each in scale):
        return signal.steps
    steps: Steps = (Linear(scale, [Fraction(0)]),)
    for step in signal.steps:
        steps = add_linear(steps, step.scale, step.bias) if isinstance(step, Linear) else (*steps, step)
    return steps
