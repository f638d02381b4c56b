"""What networks are made of: layers on integers, their pooling, and the heads behind their sums.

Maps are channels last: element (y, x, c) of H x W pixels of C channels is number ``(y * W + x) * C + c``.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Bits, Words, words_for
from spinbnn.golden.errors import NetworkError

Ints = NDArray[np.int32]
Shape = tuple[int, int, int]
"""Height, width and channels of a map."""

MAX_WEIGHT_PLANES = 9
MAX_WEIGHT_SHIFT = 7
MAX_ACTIVATION_BITS = 4


def _integers(what: str, values: NDArray[Any], low: int, high: int) -> Ints:
    """Return a read-only int32 copy of a vector, checked."""
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise NetworkError(f"{what} must be a vector of integers, not {array.dtype} of shape {array.shape}")
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        raise NetworkError(f"{what} must be {low} to {high}, not {array.min()}..{array.max()}")
    copy = array.astype(np.int32)
    copy.setflags(write=False)
    return copy


def _flips(values: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Return a read-only copy of a vector of truth values, checked."""
    flip = np.asarray(values)
    if flip.dtype != np.bool_ or flip.shape != (count,):
        raise NetworkError(
            f"threshold flip must be bool of shape ({count},), not {flip.dtype} of shape {flip.shape}"
        )
    flip = flip.copy()
    flip.setflags(write=False)
    return flip


def check_integer(what: str, value: Any, low: int, high: int) -> None:
    """See that a value is an integer in a range.

    Raises
    ------
    NetworkError
        If it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise NetworkError(f"{what} must be an integer from {low} to {high}, not {value!r}")


@dataclass(frozen=True, eq=False)
class Threshold:
    """Batch normalisation and sign, folded: ``bit = (sum >= value) ^ flip``.

    Parameters
    ----------
    values : int32 [N]
    flip : bool [N]

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong.
    """

    values: Ints
    flip: NDArray[np.bool_]

    def __post_init__(self) -> None:
        values = _integers("threshold values", self.values, -(2**31), 2**31 - 1)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "flip", _flips(self.flip, len(values)))

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Threshold)
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.flip, other.flip)
        )

    __hash__ = None  # type: ignore[assignment]

    def bits(self, sums: Ints) -> Bits:
        """Return the activations, uint8 [..., N], of the sums, int32 [..., N]."""
        return ((sums >= self.values) ^ self.flip).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class MultiThreshold:
    """An activation of several bits: ``low`` plus the number of thresholds that a sum reaches.

    Where `flip` is set it is `low` plus the number that the sum does not reach.

    Parameters
    ----------
    values : int32 [T, N]
        Ascending along the first axis; T from 1 to ``2**bits - 1``.
    flip : bool [N]
    bits : int
        Bits of an activation: 1 to 4, or 2 to 4 with a negative `low`.
    low : int
        The smallest activation: 0 for unsigned ones; negative ones are two's complement.

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong.
    """

    values: Ints
    flip: NDArray[np.bool_]
    bits: int
    low: int

    def __post_init__(self) -> None:
        check_integer("bits of an activation", self.bits, 1, MAX_ACTIVATION_BITS)
        check_integer("the smallest activation", self.low, -(2 ** (self.bits - 1)) if self.bits > 1 else 0, 0)
        values = np.asarray(self.values)
        if values.ndim != 2 or values.dtype.kind not in "iu" or not values.size:
            raise NetworkError(
                f"thresholds must be integers of shape (T, N), not {values.dtype} of shape {values.shape}"
            )
        flat = _integers("threshold values", values.ravel(), -(2**31), 2**31 - 1).reshape(values.shape)
        if np.any(np.diff(flat.astype(np.int64), axis=0) < 0):
            raise NetworkError("thresholds of a neuron must ascend, not descend")
        largest = 2 ** (self.bits - 1) - 1 if self.low < 0 else 2**self.bits - 1
        if self.low + len(flat) > largest:
            raise NetworkError(
                f"activations must be at most {largest} in {self.bits} bits, not {self.low + len(flat)}: "
                f"give at most {largest - self.low} thresholds"
            )
        object.__setattr__(self, "values", flat)
        object.__setattr__(self, "flip", _flips(self.flip, values.shape[1]))

    def __len__(self) -> int:
        return int(self.values.shape[1])

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, MultiThreshold)
            and (self.bits, self.low) == (other.bits, other.low)
            and np.array_equal(self.values, other.values)
            and np.array_equal(self.flip, other.flip)
        )

    __hash__ = None  # type: ignore[assignment]

    def activations(self, sums: Ints) -> Ints:
        """Return the activations, int32 [..., N], of the sums, int32 [..., N]."""
        count: Ints = np.zeros(sums.shape, dtype=np.int32)
        for values in self.values:
            count += sums >= values
        return np.int32(self.low) + np.where(self.flip, np.int32(len(self.values)) - count, count)

    def codes(self, sums: Ints) -> Bits:
        """Return the activations modulo ``2**bits``, uint8 [..., N]."""
        codes: Bits = (self.activations(sums) & (2**self.bits - 1)).astype(np.uint8)
        return codes


@dataclass(frozen=True, eq=False)
class Affine:
    """The head of the last layer: ``logit = scale * sum + bias``.

    Parameters
    ----------
    scale : int32 [N]
        In the range of int16.
    bias : int32 [N]

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong.
    """

    scale: Ints
    bias: Ints

    def __post_init__(self) -> None:
        scale = _integers("logit scale", self.scale, -(2**15), 2**15 - 1)
        bias = _integers("logit bias", self.bias, -(2**31), 2**31 - 1)
        if bias.shape != scale.shape:
            raise NetworkError(f"logit bias must have {len(scale)} elements as scale has, not {len(bias)}")
        object.__setattr__(self, "scale", scale)
        object.__setattr__(self, "bias", bias)

    def __len__(self) -> int:
        return len(self.scale)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Affine)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.bias, other.bias)
        )

    __hash__ = None  # type: ignore[assignment]

    def logits(self, sums: Ints) -> Ints:
        """Return the logits, int32 [..., N], of the sums, int32 [..., N]."""
        return self.scale * sums + self.bias


Head = Threshold | MultiThreshold | Affine


@dataclass(frozen=True)
class Pool:
    """Pooling over whole windows of a map.

    Parameters
    ----------
    kind : {"max", "sum", "or"}
        The largest or the sum of the integers, before the head; or the largest of the activations, behind it
        (which is the logical or of activations of one bit).
    size, stride : (int, int)
        Height and width of a window, and how far apart windows are; they may overlap.

    Raises
    ------
    NetworkError
        If a value is wrong.
    """

    kind: str
    size: tuple[int, int]
    stride: tuple[int, int]

    def __post_init__(self) -> None:
        if self.kind not in ("max", "sum", "or"):
            raise NetworkError(f"pooling must be max, sum or or, not {self.kind!r}")
        for name in ("size", "stride"):
            _check_numbers(f"{name} of pooling", getattr(self, name), 2, 1, 65535)


def _check_numbers(what: str, values: Any, count: int, low: int, high: int) -> None:
    if not isinstance(values, tuple) or len(values) != count:
        raise NetworkError(f"{what} must be {count} integers, not {values!r}")
    for value in values:
        check_integer(what, value, low, high)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or not name.isprintable():
        raise NetworkError(f"a layer's name must be printable text, not {name!r}")


def _checked_weights(where: str, layer: "Dense | Conv") -> Words:
    """Return a read-only copy of a layer's weights, having checked all that goes with them."""
    shifts = layer.weight_shifts
    if not isinstance(shifts, tuple) or not 1 <= len(shifts) <= MAX_WEIGHT_PLANES:
        raise NetworkError(f"{where} weight_shifts must be 1 to {MAX_WEIGHT_PLANES} integers, not {shifts!r}")
    for shift in shifts:
        check_integer(f"{where} a weight shift", shift, 0, MAX_WEIGHT_SHIFT)
    if list(shifts) != sorted(shifts):
        raise NetworkError(f"{where} weight_shifts must ascend, not be {shifts!r}")
    if not isinstance(layer.head, Head):
        raise NetworkError(
            f"{where} head must be a Threshold, a MultiThreshold or an Affine, "
            f"not {type(layer.head).__name__}"
        )
    weights = np.asarray(layer.weights)
    width = words_for(layer.sum_length, SLICE_BITS)
    planes = () if len(shifts) == 1 else (len(shifts),)
    fits = weights.ndim == len(planes) + 2 and weights.shape[: len(planes)] == planes
    if weights.dtype != np.uint64 or not fits or weights.shape[-1] != width or not weights.size:
        expected = ", ".join([*map(str, planes), "N", str(width)])
        raise NetworkError(
            f"{where} weights must be uint64 of shape ({expected}) for {layer.sum_length} inputs, "
            f"not {weights.dtype} of shape {weights.shape}"
        )
    used = layer.sum_length - (width - 1) * SLICE_BITS
    if used < SLICE_BITS and np.any(weights[..., -1] >> np.uint64(used)):
        raise NetworkError(f"{where} weights must be 0 beyond input {layer.sum_length - 1}, not 1")
    if len(layer.head) != weights.shape[-2]:
        raise NetworkError(f"{where} head must have {weights.shape[-2]} elements, not {len(layer.head)}")
    if not isinstance(layer.relu, bool):
        raise NetworkError(f"{where} relu must be true or false, not {layer.relu!r}")
    if layer.residual is not None and not isinstance(layer.residual, str):
        raise NetworkError(f"{where} residual must be the name of a layer or None, not {layer.residual!r}")
    weights = weights.copy()
    weights.setflags(write=False)
    return weights


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer.

    Parameters
    ----------
    name : str
    weights : uint64 [N, ceil(inputs/64)], or [Q, N, ceil(inputs/64)] of Q > 1 planes
        +1 and -1, packed as `encoding.pack` does; unused bits 0.
    inputs : int
        K.
    head : Threshold, MultiThreshold or Affine
        Of N elements.
    weight_shifts : tuple of int
        Place values of the planes: a weight is the sum of ``2**shift`` times +1 or -1.
    relu : bool
        Negative sums become 0.
    residual : str, optional
        Name of an earlier layer whose integers are added before the head.

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong, or an unused bit is set.
    """

    name: str
    weights: Words
    inputs: int
    head: Head
    weight_shifts: tuple[int, ...] = (0,)
    relu: bool = False
    residual: str | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        where = f"layer '{self.name}':"
        if not isinstance(self.inputs, int) or isinstance(self.inputs, bool) or self.inputs < 1:
            raise NetworkError(f"{where} inputs must be a positive integer, not {self.inputs!r}")
        object.__setattr__(self, "weights", _checked_weights(where, self))

    @property
    def neurons(self) -> int:
        """N."""
        return int(self.weights.shape[-2])

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return self.neurons

    @property
    def output_shape(self) -> Shape:
        """The output as a map of one pixel."""
        return 1, 1, self.neurons

    @property
    def sum_length(self) -> int:
        """K, inputs that a sum is formed of."""
        return self.inputs

    @property
    def pool(self) -> None:
        """A fully connected layer has no map to pool."""
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dense) and _equal_fields(self, other, ("inputs",))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class Conv:
    """A convolution.

    Parameters
    ----------
    name : str
    weights : uint64 [N, ceil(K/64)], or [Q, N, ceil(K/64)] of Q > 1 planes
        +1 and -1, packed as `encoding.pack` does; unused bits 0. ``K = kh * kw * C``; input (ky, kx, c) of a
        window is number ``(ky * kw + kx) * C + c``.
    input_shape : (int, int, int)
        Height, width and channels of the input map.
    kernel : (int, int)
        Height and width of the kernel.
    head : Threshold, MultiThreshold or Affine
        Of N elements.
    stride : (int, int)
        Down and across.
    padding : (int, int, int, int)
        Pixels at the top, left, bottom and right.
    pad_value : {0, 1, -1}
        What those pixels hold; 0 adds nothing to a sum.
    pool : Pool, optional
    weight_shifts, relu, residual
        As in `Dense`.
    odd_plane_weights : uint64, shape of `weights`, optional
        What the odd bit-planes of the inputs meet, where a machine stores weights twice and not the same.

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong, or an unused bit is set.
    """

    name: str
    weights: Words
    input_shape: Shape
    kernel: tuple[int, int]
    head: Head
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pad_value: int = 0
    pool: Pool | None = None
    weight_shifts: tuple[int, ...] = (0,)
    relu: bool = False
    residual: str | None = None
    odd_plane_weights: Words | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        where = f"layer '{self.name}':"
        _check_numbers(f"{where} input_shape", self.input_shape, 3, 1, 65535)
        _check_numbers(f"{where} kernel", self.kernel, 2, 1, 255)
        _check_numbers(f"{where} stride", self.stride, 2, 1, 255)
        _check_numbers(f"{where} padding", self.padding, 4, 0, 255)
        check_integer(f"{where} pad_value", self.pad_value, -1, 1)
        if self.pool is not None and not isinstance(self.pool, Pool):
            raise NetworkError(f"{where} pool must be a Pool or None, not {type(self.pool).__name__}")
        height, width, _ = self.input_shape
        top, left, bottom, right = self.padding
        if height + top + bottom < self.kernel[0] or width + left + right < self.kernel[1]:
            raise NetworkError(
                f"{where} kernel must fit in the padded map of {height + top + bottom} x "
                f"{width + left + right}, not be {self.kernel[0]} x {self.kernel[1]}"
            )
        if self.pool is not None and min(self.output_shape) < 1:
            raise NetworkError(
                f"{where} pooling must fit in the map of {self.sum_shape[0]} x {self.sum_shape[1]}, "
                f"not be {self.pool.size[0]} x {self.pool.size[1]}"
            )
        object.__setattr__(self, "weights", _checked_weights(where, self))
        odd = self.odd_plane_weights
        if odd is not None and (odd.dtype != np.uint64 or odd.shape != self.weights.shape):
            raise NetworkError(
                f"{where} odd_plane_weights must be uint64 of shape {self.weights.shape}, "
                f"not {odd.dtype} of shape {odd.shape}"
            )

    @property
    def neurons(self) -> int:
        """N, channels of the output."""
        return int(self.weights.shape[-2])

    @property
    def inputs(self) -> int:
        """Elements of the input map."""
        height, width, channels = self.input_shape
        return height * width * channels

    @property
    def sum_length(self) -> int:
        """K, inputs that a sum is formed of."""
        return self.kernel[0] * self.kernel[1] * self.input_shape[2]

    @property
    def sum_shape(self) -> tuple[int, int]:
        """Height and width of the map of sums, before pooling."""
        height, width, _ = self.input_shape
        top, left, bottom, right = self.padding
        return (
            (height + top + bottom - self.kernel[0]) // self.stride[0] + 1,
            (width + left + right - self.kernel[1]) // self.stride[1] + 1,
        )

    @property
    def output_shape(self) -> Shape:
        """Height, width and channels of the output map."""
        height, width = self.sum_shape
        if self.pool is not None:
            height = (height - self.pool.size[0]) // self.pool.stride[0] + 1
            width = (width - self.pool.size[1]) // self.pool.stride[1] + 1
        return height, width, self.neurons

    @property
    def outputs(self) -> int:
        """Elements of the output map."""
        height, width, channels = self.output_shape
        return height * width * channels

    def __eq__(self, other: object) -> bool:
        geometry = ("input_shape", "kernel", "stride", "padding", "pad_value", "pool")
        return (
            isinstance(other, Conv)
            and _equal_fields(self, other, geometry)
            and np.array_equal(np.asarray(self.odd_plane_weights), np.asarray(other.odd_plane_weights))
        )

    __hash__ = None  # type: ignore[assignment]


Layer = Dense | Conv


def _equal_fields(one: Layer, other: Layer, names: tuple[str, ...]) -> bool:
    """Return whether two layers are equal in the fields that all have, and in those named."""
    names += ("name", "head", "weight_shifts", "relu", "residual")
    same = all(getattr(one, name) == getattr(other, name) for name in names)
    return same and np.array_equal(one.weights, other.weights)


def largest_sum(layer: Layer, largest_input: int) -> int:
    """Return the largest absolute integer that a layer's head can meet, its residual apart.

    Parameters
    ----------
    layer : Dense or Conv
    largest_input : int
        The largest absolute value of an input.
    """
    weight = sum(1 << shift for shift in layer.weight_shifts)
    window = 1
    if layer.pool is not None and layer.pool.kind == "sum":
        window = layer.pool.size[0] * layer.pool.size[1]
    return layer.sum_length * weight * largest_input * window


def integer_shape(layer: Layer) -> Shape:
    """Return the shape of the map of integers that a layer's head meets."""
    if isinstance(layer, Conv) and layer.pool is not None and layer.pool.kind == "or":
        return *layer.sum_shape, layer.neurons
    return layer.output_shape


def operations(layer: Layer, input_bits: int) -> int:
    """Return the binary multiply-accumulates of a layer for an image, of inputs of so many bits."""
    positions = layer.sum_shape[0] * layer.sum_shape[1] if isinstance(layer, Conv) else 1
    return positions * layer.neurons * layer.sum_length * input_bits * len(layer.weight_shifts)
