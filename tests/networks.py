"""Random networks with convolutions: from a seed, or from Hypothesis, which shrinks them.

A `Recipe` is a network without its arrays, all of it small integers, so that a failure prints what
``build(recipe)`` takes. `Limits` say what networks may have.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from spinbnn.golden.encoding import pack
from spinbnn.golden.layers import (
    MAX_WEIGHT_SHIFT,
    Affine,
    Conv,
    Dense,
    Head,
    Ints,
    Layer,
    MultiThreshold,
    Pool,
    Shape,
    Threshold,
)
from spinbnn.golden.network import Network, trace

T = TypeVar("T")
Pair = tuple[int, int]
Integer = Callable[[int, int], int]
"""Draws an integer from the first to the second, both included; smaller is simpler."""

PROBE_IMAGES = 8


@dataclass(frozen=True)
class Limits:
    """What random networks may have; by default everything, and little of it.

    Parameters
    ----------
    layers, size, channels, kernel, stride : int
        The most layers; height and width of an image; channels or neurons; height and width of a kernel;
        strides of kernels.
    pads : tuple of int
        Values of padding; none without padding. +1 and -1 are drawn where inputs are +1 and -1.
    pools, integer_pools : bool
        Any pooling; max and sum, before the head.
    relu, residuals, dense : bool
        The last is about hidden layers: a network may end fully connected all the same.
    activation_bits : int
        Most bits of an activation; 1 leaves only `Threshold`.
    weight_planes, input_bits : int
        The most of each.
    accumulator_bits : int
        Sums fit in that many, with their sign.
    """

    layers: int = 4
    size: int = 9
    channels: int = 9
    kernel: int = 4
    stride: int = 3
    pads: tuple[int, ...] = (0, 1, -1)
    pools: bool = True
    integer_pools: bool = True
    relu: bool = True
    residuals: bool = True
    dense: bool = True
    activation_bits: int = 4
    weight_planes: int = 9
    input_bits: int = 8
    accumulator_bits: int = 31


EVERYTHING = Limits()


@dataclass(frozen=True)
class LayerRecipe:
    """A layer without its arrays; the fields are those of `Conv`, without a kernel those of `Dense`.

    ``bits`` 0 is a `Threshold`, else `bits`, `low` and the number of `thresholds` are those of a
    `MultiThreshold`; in the last layer they mean nothing.
    """

    neurons: int
    kernel: Pair | None = None
    stride: Pair = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: int = 0
    pool: Pool | None = None
    relu: bool = False
    residual: int | None = None
    weight_shifts: tuple[int, ...] = (0,)
    bits: int = 0
    low: int = 0
    thresholds: int = 1

    def sum_shape(self, shape: Shape) -> Shape:
        """Return the shape of the sums of a map, before pooling."""
        if self.kernel is None:
            return 1, 1, self.neurons
        top, left, bottom, right = self.padding
        height = (shape[0] + top + bottom - self.kernel[0]) // self.stride[0] + 1
        width = (shape[1] + left + right - self.kernel[1]) // self.stride[1] + 1
        return height, width, self.neurons

    def integer_shape(self, shape: Shape) -> Shape:
        """Return the shape of the integers that the head meets."""
        sums = self.sum_shape(shape)
        return sums if self.pool is None or self.pool.kind == "or" else pooled(self.pool, sums)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the activations."""
        sums = self.sum_shape(shape)
        return sums if self.pool is None else pooled(self.pool, sums)

    @property
    def largest_activation(self) -> int:
        """The largest absolute value that its format has."""
        return 2 ** (self.bits - 1) if self.low < 0 else 2 ** max(self.bits, 1) - 1

    def largest_sum(self, shape: Shape, largest_input: int) -> int:
        """Return the largest absolute sum, the residual apart."""
        length = prod(shape) if self.kernel is None else prod(self.kernel) * shape[2]
        window = prod(self.pool.size) if self.pool is not None and self.pool.kind == "sum" else 1
        return length * sum(2**shift for shift in self.weight_shifts) * window * largest_input


def pooled(pool: Pool, shape: Shape) -> Shape:
    """Return the shape of a map, pooled."""
    height, width = ((shape[axis] - pool.size[axis]) // pool.stride[axis] + 1 for axis in (0, 1))
    return height, width, shape[2]


@dataclass(frozen=True)
class Recipe:
    """A network without its arrays, and the seed that they come from."""

    seed: int
    input_shape: Shape
    input_bits: int
    input_signed: bool
    layers: tuple[LayerRecipe, ...]


class _Draw:
    """Draws the layers of a recipe one after the other."""

    def __init__(self, integer: Integer, limits: Limits) -> None:
        self.integer = integer
        self.limits = limits
        self.largest_sum = 2 ** (limits.accumulator_bits - 1) - 1
        self.bipolar = self.once_in(2)
        self.input_bits = 1 if self.bipolar else integer(1, limits.input_bits)
        self.largest = 2**self.input_bits - 1
        sizes = (limits.size, limits.size, limits.channels)
        self.shape: Shape = (integer(1, sizes[0]), integer(1, sizes[1]), integer(1, sizes[2]))
        self.integer_shapes: list[Shape] = []
        self.sums: list[int] = []

    def recipe(self, seed: int) -> Recipe:
        shape, bits, signed = self.shape, self.input_bits, self.bipolar
        hidden = self.integer(0, self.limits.layers - 1)
        layers = [self.hidden() for _ in range(hidden)]
        return Recipe(seed, shape, bits, signed, (*layers, self.last()))

    def once_in(self, times: int) -> bool:
        """Return true once in so many times; false is simpler."""
        return self.integer(1, times) == times

    def one_of(self, values: Sequence[T]) -> T:
        """Return one of some values; the first is simplest."""
        return values[self.integer(0, len(values) - 1)]

    def hidden(self) -> LayerRecipe:
        sources = self.sources(lambda shape: shape[:2] == self.shape[:2])
        if self.limits.dense and self.once_in(2 if self.shape[:2] == (1, 1) else 6):
            layer = LayerRecipe(self.neurons())
        elif sources and self.once_in(2):
            layer = self.shape_keeping(self.one_of(sources))
        else:
            layer = self.convolution()
        if layer.kernel is not None and self.limits.pools and self.once_in(3):
            layer = replace(layer, pool=self.pool(layer))
        bits, low, thresholds = self.activation()
        layer = self.finished(replace(layer, bits=bits, low=low, thresholds=thresholds))
        self.shape = layer.output_shape(self.shape)
        self.bipolar = bits == 0
        self.largest = layer.largest_activation
        return layer

    def last(self) -> LayerRecipe:
        """Return a layer of one output pixel: dense, over the whole map, or pooled over the whole map."""
        style = self.integer(0, 2)
        if style == 0:
            return self.finished(LayerRecipe(self.neurons()))
        if style == 1 or not (self.limits.pools and self.limits.integer_pools):
            return self.finished(LayerRecipe(self.neurons(), self.shape[:2]))
        layer = self.convolution()
        height, width, _ = layer.sum_shape(self.shape)
        pool = Pool(self.one_of(("max", "sum")), (height, width), (1, 1))
        return self.finished(replace(layer, pool=pool))

    def sources(self, suits: Callable[[Shape], bool]) -> list[int]:
        """Return earlier layers whose integers have a shape that suits."""
        shapes = self.integer_shapes if self.limits.residuals else []
        return [index for index, shape in enumerate(shapes) if suits(shape)]

    def neurons(self) -> int:
        return self.integer(1, self.limits.channels)

    def pad_value(self) -> int | None:
        values = [value for value in self.limits.pads if self.bipolar or value == 0]
        return self.one_of(values) if values and self.once_in(2) else None

    def kernel(self, height: int, width: int) -> Pair:
        most = self.limits.kernel
        return self.integer(1, min(most, height)), self.integer(1, min(most, width))

    def convolution(self) -> LayerRecipe:
        height, width, _ = self.shape
        pad_value, padding = self.pad_value(), (0, 0, 0, 0)
        if pad_value is None:
            kernel = self.kernel(height, width)
        else:
            kernel = self.kernel(255, 255)
            (top, bottom), (left, right) = self.ends(height, kernel[0]), self.ends(width, kernel[1])
            padding = (top, left, bottom, right)
        most = self.limits.stride if self.once_in(2) else 1
        stride = (self.integer(1, most), self.integer(1, most))
        return LayerRecipe(self.neurons(), kernel, stride, padding, pad_value or 0)

    def ends(self, size: int, kernel: int) -> Pair:
        """Return padding before and behind: a kernel fits, and no window lies in it wholly."""
        before = self.integer(0, kernel - 1)
        return before, self.integer(max(0, kernel - size - before), kernel - 1)

    def shape_keeping(self, source: int) -> LayerRecipe:
        """Return a convolution whose sums have the shape of an earlier layer's integers, which it adds."""
        pad_value = self.pad_value()
        kernel = (1, 1) if pad_value is None else self.kernel(255, 255)
        top, left = self.integer(0, kernel[0] - 1), self.integer(0, kernel[1] - 1)
        padding = (top, left, kernel[0] - 1 - top, kernel[1] - 1 - left)
        neurons = self.integer_shapes[source][2]
        return LayerRecipe(neurons, kernel, (1, 1), padding, pad_value or 0, residual=source)

    def pool(self, layer: LayerRecipe) -> Pool:
        """Return pooling for a layer; of activations where it must keep the shape of its integers."""
        height, width, _ = layer.sum_shape(self.shape)
        integers = self.limits.integer_pools and layer.residual is None
        size = (self.integer(1, min(3, height)), self.integer(1, min(3, width)))
        kind = self.one_of(("or", "max", "sum") if integers else ("or",))
        return Pool(kind, size, (self.integer(1, 3), self.integer(1, 3)))

    def activation(self) -> tuple[int, int, int]:
        """Return bits, low and the number of thresholds."""
        most = self.limits.activation_bits
        bits = self.integer(1, most) if most > 1 and self.once_in(2) else 0
        if bits == 0:
            return 0, 0, 1
        low = -self.integer(1, 2 ** (bits - 1)) if bits > 1 and self.once_in(2) else 0
        largest = 2 ** (bits - 1) - 1 if low < 0 else 2**bits - 1
        return bits, low, self.integer(1, largest - low)

    def weight_shifts(self) -> tuple[int, ...]:
        planes = self.integer(1, self.limits.weight_planes) if self.once_in(3) else 1
        style = self.integer(0, 2) if planes > 1 else 0
        if style == 1 or planes > MAX_WEIGHT_SHIFT + 1:
            return 0, *range(planes - 1)  # any integers
        if style == 0:
            return tuple(range(planes))  # odd integers
        shifts = [0]
        for _ in range(planes - 1):
            shifts.append(min(shifts[-1] + self.integer(0, 2), MAX_WEIGHT_SHIFT))
        return tuple(shifts)

    def finished(self, layer: LayerRecipe) -> LayerRecipe:
        """Return a layer with what all have, and integers that keep within the limits."""
        shape = layer.integer_shape(self.shape)
        sources = self.sources(lambda earlier: earlier == shape)
        if layer.residual is None and sources and self.once_in(2):
            layer = replace(layer, residual=self.one_of(sources))
        relu = self.limits.relu and self.once_in(4)
        layer = replace(layer, relu=relu, weight_shifts=self.weight_shifts())
        while self.largest_integer(layer) > self.largest_sum:
            layer = _smaller(layer)
        self.integer_shapes.append(shape)
        self.sums.append(self.largest_integer(layer))
        return layer

    def largest_integer(self, layer: LayerRecipe) -> int:
        added = 0 if layer.residual is None else self.sums[layer.residual]
        return layer.largest_sum(self.shape, self.largest) + added


def _smaller(layer: LayerRecipe) -> LayerRecipe:
    """Return a layer of the same shape with smaller sums."""
    if len(layer.weight_shifts) > 1:
        return replace(layer, weight_shifts=layer.weight_shifts[:-1])
    if layer.residual is not None:
        return replace(layer, residual=None)
    if layer.pool is not None and layer.pool.kind == "sum":
        return replace(layer, pool=replace(layer.pool, kind="max"))
    raise ValueError(f"accumulators must have more bits for {layer}")


@st.composite
def recipes(draw: st.DrawFn, limits: Limits = EVERYTHING) -> Recipe:
    """Return a strategy that draws recipes and shrinks them to few and small layers with nothing special."""
    seed = draw(st.integers(0, 2**16))
    return _Draw(lambda low, high: draw(st.integers(low, high)), limits).recipe(seed)


def random_recipe(seed: int, limits: Limits = EVERYTHING) -> Recipe:
    """Return the recipe of a seed."""
    random = np.random.default_rng(seed)
    return _Draw(lambda low, high: int(random.integers(low, high, endpoint=True)), limits).recipe(seed)


def random_convolutional(seed: int, limits: Limits = EVERYTHING) -> Network:
    """Return the network of a seed."""
    return build(random_recipe(seed, limits))


def build(recipe: Recipe) -> Network:
    """Return the network of a recipe: random weights, and thresholds where its sums fall."""
    random = np.random.default_rng(recipe.seed)
    layers: list[Layer] = []
    shape = recipe.input_shape
    for planned in recipe.layers[:-1]:
        silent = Threshold(np.zeros(planned.neurons, np.int32), np.zeros(planned.neurons, np.bool_))
        layer = _layer(planned, len(layers), shape, silent, random)
        sums = _probed_sums(recipe, (*layers, layer), random)
        layers.append(replace(layer, head=_head(planned, sums, random)))
        shape = planned.output_shape(shape)
    last = recipe.layers[-1]
    scale = min(100, (2**31 - 1 - 1000) // _largest_integer(recipe))
    head = Affine(
        random.integers(-scale, scale, last.neurons, dtype=np.int32, endpoint=True),
        random.integers(-1000, 1000, last.neurons, dtype=np.int32, endpoint=True),
    )
    return _network(recipe, (*layers, _layer(last, len(layers), shape, head, random)))


def _network(recipe: Recipe, layers: tuple[Layer, ...]) -> Network:
    name, metadata = f"random-convolutional-{recipe.seed}", {"seed": recipe.seed}
    return Network(name, layers, recipe.input_bits, recipe.input_signed, metadata)


def _layer(planned: LayerRecipe, index: int, shape: Shape, head: Head, random: np.random.Generator) -> Layer:
    length = prod(shape) if planned.kernel is None else prod(planned.kernel) * shape[2]
    planes = len(planned.weight_shifts)
    sizes = (planned.neurons, length) if planes == 1 else (planes, planned.neurons, length)
    weights = pack(random.integers(0, 2, sizes, dtype=np.uint8))
    residual = None if planned.residual is None else f"layer{planned.residual}"
    shared: dict[str, Any] = {
        "weight_shifts": planned.weight_shifts,
        "relu": planned.relu,
        "residual": residual,
    }
    if planned.kernel is None:
        return Dense(f"layer{index}", weights, length, head, **shared)
    return Conv(
        f"layer{index}", weights, shape, planned.kernel, head, planned.stride, planned.padding,
        planned.pad_value, planned.pool, **shared,
    )  # fmt: skip


def _largest_integer(recipe: Recipe) -> int:
    """Return the largest absolute integer that the head of the last layer can meet."""
    sums: list[int] = []
    shape, largest = recipe.input_shape, 2**recipe.input_bits - 1
    for layer in recipe.layers:
        sums.append(
            layer.largest_sum(shape, largest) + (0 if layer.residual is None else sums[layer.residual])
        )
        shape, largest = layer.output_shape(shape), layer.largest_activation
    return sums[-1]


def _probed_sums(recipe: Recipe, layers: tuple[Layer, ...], random: np.random.Generator) -> Ints:
    """Return integers that the head of the last of some layers meets, [n, N]."""
    outputs = layers[-1].outputs
    head = Affine(np.zeros(1, np.int32), np.zeros(1, np.int32))
    end = Dense("probe", pack(np.zeros((1, outputs), np.uint8)), outputs, head)
    network = _network(recipe, (*layers, end))
    sums = trace(network, random_images(network, PROBE_IMAGES, random))[-2].sums
    return sums.reshape(-1, layers[-1].neurons)


def _head(planned: LayerRecipe, sums: Ints, random: np.random.Generator) -> Threshold | MultiThreshold:
    """Return a head whose thresholds are among the sums, or one above."""
    flip = random.integers(0, 2, planned.neurons) == 1
    values = random.permuted(sums, axis=0)
    values = values[np.arange(planned.thresholds) % len(values)]
    values = np.sort(values + random.integers(0, 2, values.shape, dtype=np.int32), axis=0)
    if planned.bits == 0:
        return Threshold(values[0], flip)
    return MultiThreshold(values, flip, planned.bits, planned.low)


def random_images(network: Network, count: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return random images, uint8 [count, K]."""
    return random.integers(0, 2**network.input_bits, (count, network.inputs), dtype=np.uint8)
