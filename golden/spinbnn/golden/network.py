"""The network on integers: packed weights, exact sums, thresholds, logits. Nothing here is floating point."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Bits, Words, bit_planes, pack, words_for
from spinbnn.golden.errors import DataError, NetworkError

Ints = NDArray[np.int32]

# 2 * popcount is formed before the subtraction, so a sum may take half of int32.
LARGEST_SUM = 2**30 - 1
# Words of one intermediate array of `dense_sums`: 256 KiB stay in a second-level cache.
_BLOCK_WORDS = 2**15
# Images whose sums `forward` holds at a time.
_BLOCK_IMAGES = 1024


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
        flip = np.asarray(self.flip)
        if flip.dtype != np.bool_ or flip.shape != values.shape:
            raise NetworkError(
                f"threshold flip must be bool of shape {values.shape}, not {flip.dtype} of shape {flip.shape}"
            )
        flip = flip.copy()
        flip.setflags(write=False)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "flip", flip)

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
        """Return the activations, uint8 [n, N], of the sums, int32 [n, N]."""
        return ((sums >= self.values) ^ self.flip).astype(np.uint8)


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
        """Return the logits, int32 [n, N], of the sums, int32 [n, N]."""
        return self.scale * sums + self.bias


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer with weights of +1 and -1.

    Parameters
    ----------
    name : str
    weights : uint64 [N, ceil(inputs/64)]
        Packed as `encoding.pack` does; unused bits 0.
    inputs : int
        K.
    head : Threshold or Affine
        Of N elements.

    Raises
    ------
    NetworkError
        If a type, shape or range is wrong, or an unused bit is set.
    """

    name: str
    weights: Words
    inputs: int
    head: Threshold | Affine

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise NetworkError(f"a layer's name must be printable text, not {self.name!r}")
        where = f"layer '{self.name}':"
        if not isinstance(self.inputs, int) or isinstance(self.inputs, bool) or self.inputs < 1:
            raise NetworkError(f"{where} inputs must be a positive integer, not {self.inputs!r}")
        if not isinstance(self.head, Threshold | Affine):
            head = type(self.head).__name__
            raise NetworkError(f"{where} head must be a Threshold or an Affine, not {head}")
        weights = np.asarray(self.weights)
        width = words_for(self.inputs, SLICE_BITS)
        if weights.dtype != np.uint64 or weights.ndim != 2 or weights.shape[1] != width or not len(weights):
            raise NetworkError(
                f"{where} weights must be uint64 of shape (N, {width}) for {self.inputs} inputs, "
                f"not {weights.dtype} of shape {weights.shape}"
            )
        used = self.inputs - (width - 1) * SLICE_BITS
        if used < SLICE_BITS and np.any(weights[:, -1] >> np.uint64(used)):
            raise NetworkError(f"{where} weights must be 0 beyond input {self.inputs - 1}, not 1")
        if len(self.head) != len(weights):
            raise NetworkError(f"{where} head must have {len(weights)} elements, not {len(self.head)}")
        weights = weights.copy()
        weights.setflags(write=False)
        object.__setattr__(self, "weights", weights)

    @property
    def outputs(self) -> int:
        """N, the neurons of the layer."""
        return len(self.weights)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Dense)
            and (self.name, self.inputs, self.head) == (other.name, other.inputs, other.head)
            and np.array_equal(self.weights, other.weights)
        )

    __hash__ = None  # type: ignore[assignment]

    def largest_sum(self, input_bits: int) -> int:
        """Return the largest absolute sum reachable with any weights.

        Parameters
        ----------
        input_bits : int
            Bits of an unsigned input; 1 for inputs of +1 and -1 also.
        """
        return self.inputs * ((1 << input_bits) - 1)


@dataclass(frozen=True)
class Network:
    """Layers in a row, every one but the last with a threshold, the last with an affine head.

    Parameters
    ----------
    name : str
    layers : tuple of Dense
    input_bits : int
        Bits of an input element, 1 to 8.
    input_signed : bool
        Inputs are +1 and -1, given as 1 and 0; `input_bits` must then be 1. Otherwise inputs are unsigned.
    metadata : dict
        Anything that JSON holds: where the network comes from, what it was trained on.

    Raises
    ------
    NetworkError
        If layers do not fit each other, a value is out of range, or a sum or logit could overflow.
    """

    name: str
    layers: tuple[Dense, ...]
    input_bits: int
    input_signed: bool
    metadata: dict[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise NetworkError(f"a network's name must be printable text, not {self.name!r}")
        if not isinstance(self.input_signed, bool):
            raise NetworkError(f"input_signed must be true or false, not {self.input_signed!r}")
        if not isinstance(self.input_bits, int) or isinstance(self.input_bits, bool):
            raise NetworkError(f"input_bits must be an integer, not {self.input_bits!r}")
        if not 1 <= self.input_bits <= 8:
            raise NetworkError(f"input_bits must be 1 to 8, not {self.input_bits}")
        if self.input_signed and self.input_bits != 1:
            raise NetworkError(f"input_bits must be 1 for signed inputs, not {self.input_bits}")
        object.__setattr__(self, "metadata", _json_copy(self.metadata))
        self._check_layers()

    def _check_layers(self) -> None:
        if not isinstance(self.layers, tuple) or not all(isinstance(layer, Dense) for layer in self.layers):
            raise NetworkError(f"layers must be a tuple of Dense, not {type(self.layers).__name__}")
        if not self.layers:
            raise NetworkError("a network must have at least one layer, not none")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise NetworkError(f"layer names must differ, not {', '.join(names)}")
        for before, layer in pairwise(self.layers):
            if layer.inputs != before.outputs:
                raise NetworkError(
                    f"layer '{layer.name}': inputs must be the {before.outputs} outputs of "
                    f"'{before.name}', not {layer.inputs}"
                )
        for index, layer in enumerate(self.layers):
            head = Affine if index == len(self.layers) - 1 else Threshold
            if not isinstance(layer.head, head):
                raise NetworkError(
                    f"layer '{layer.name}': head must be {head.__name__} in layer {index} of "
                    f"{len(self.layers)}, not {type(layer.head).__name__}"
                )
            largest = layer.largest_sum(self.bits_into(index))
            if largest > LARGEST_SUM:
                raise NetworkError(
                    f"layer '{layer.name}': sums must stay within {LARGEST_SUM}, not reach {largest}"
                )
        self._check_logits()

    def _check_logits(self) -> None:
        """See that no logit can overflow int32."""
        layer = self.layers[-1]
        head = layer.head
        assert isinstance(head, Affine)
        largest = layer.largest_sum(self.bits_into(len(self.layers) - 1))
        scale, bias = np.abs(head.scale.astype(np.int64)), np.abs(head.bias.astype(np.int64))
        reach = int((scale * largest + bias).max())
        if reach > 2**31 - 1:
            raise NetworkError(
                f"layer '{layer.name}': scale * sum + bias must stay within {2**31 - 1}, not reach {reach}"
            )

    @property
    def inputs(self) -> int:
        """Elements of an image."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Logits of an image."""
        return self.layers[-1].outputs

    def bits_into(self, layer: int) -> int:
        """Return the bits of an input element of layer number `layer`, which are its bit-planes."""
        return self.input_bits if layer == 0 else 1

    def signed_into(self, layer: int) -> bool:
        """Return whether the inputs of layer number `layer` are +1 and -1."""
        return self.input_signed or layer > 0


def _json_copy(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of metadata, having seen that JSON keeps every bit of it."""
    try:
        copy = json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        copy = None
    if not isinstance(copy, dict) or copy != metadata:
        raise NetworkError(
            "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types"
        )
    return copy


Store = Callable[[int, Bits], Bits]


@dataclass(frozen=True)
class LayerTrace:
    """What one layer computed.

    Parameters
    ----------
    sums : int32 [n, N]
    bits : uint8 [n, N] or None
        The activations as the next layer reads them; None in the last layer.
    """

    sums: Ints
    bits: Bits | None


def dense_sums(weights: Words, x: NDArray[np.uint8], input_bits: int = 1, input_signed: bool = True) -> Ints:
    """Return the sums of a layer, exact for the weights as given.

    Parameters
    ----------
    weights : uint64 [N, ceil(K/64)]
    x : uint8 [n, K]
        Below ``2**input_bits``.
    input_bits : int
        Bits of an element, 1 to 8.
    input_signed : bool
        Elements are +1 and -1, given as 1 and 0.

    Returns
    -------
    int32 [n, N]

    Notes
    -----
    +1 and -1: ``K - 2 * popcount(x ^ w)``. Unsigned, plane p: ``2**p * (2 * popcount(x & w) - popcount(x))``,
    where the second terms of all planes add up to the sum of x.
    """
    planes = pack(bit_planes(x, input_bits))
    if input_signed:
        differing = _weighted_popcounts(np.bitwise_xor, planes, weights)
        return np.int32(x.shape[-1]) - np.int32(2) * differing
    totals: Ints = x.sum(axis=-1, dtype=np.int32)
    return np.int32(2) * _weighted_popcounts(np.bitwise_and, planes, weights) - totals[:, np.newaxis]


def _weighted_popcounts(operation: np.ufunc, planes: Words, weights: Words) -> Ints:
    """Return, int32 [n, N], the sum over planes p of ``2**p * popcount(operation(planes[:, p], weights))``.

    planes is uint64 [n, P, S], weights uint64 [N, S]. Works on blocks of images, so that the intermediate
    arrays stay in cache whatever the sizes.
    """
    images, plane_count, slices = planes.shape
    neurons = len(weights)
    columns = np.ascontiguousarray(weights.T)
    block = max(1, _BLOCK_WORDS // neurons)
    counts = np.zeros((images, neurons), dtype=np.int32)
    combined = np.empty((block, neurons), dtype=np.uint64)
    popcounts = np.empty((block, neurons), dtype=np.uint8)
    for first in range(0, images, block):
        target = counts[first : first + block]
        words, ones = combined[: len(target)], popcounts[: len(target)]
        for plane in reversed(range(plane_count)):
            target <<= 1
            for k in range(slices):
                operation(planes[first : first + block, plane, k, np.newaxis], columns[k], out=words)
                np.bitwise_count(words, out=ones)
                target += ones
    return counts


def check_images(network: Network, x: NDArray[np.uint8]) -> None:
    """See that images suit a network.

    Raises
    ------
    DataError
        If the type, shape or range of `x`, uint8 [n, K], is wrong.
    """
    if x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != network.inputs:
        raise DataError(
            f"images must be uint8 of shape (n, {network.inputs}) for network '{network.name}', "
            f"not {x.dtype} of shape {x.shape}"
        )
    largest = 2**network.input_bits - 1
    if x.size and int(x.max()) > largest:
        raise DataError(f"pixels must be at most {largest} for network '{network.name}', not {x.max()}")


def _layer_traces(network: Network, x: NDArray[np.uint8], store: Store | None = None) -> Iterator[LayerTrace]:
    for index, layer in enumerate(network.layers):
        sums = dense_sums(layer.weights, x, network.bits_into(index), network.signed_into(index))
        bits = layer.head.bits(sums) if isinstance(layer.head, Threshold) else None
        if bits is not None and store is not None:
            bits = store(index, bits)
        yield LayerTrace(sums, bits)
        if bits is not None:
            x = bits


def trace(network: Network, x: NDArray[np.uint8], store: Store | None = None) -> list[LayerTrace]:
    """Return what every layer computed.

    Parameters
    ----------
    network : Network
    x : uint8 [n, K]
    store : callable, optional
        Given a layer's index and its activations, uint8 [n, N], returns what the next layer reads of them; by
        default they themselves.

    Returns
    -------
    list of LayerTrace
        One a layer.

    Raises
    ------
    DataError
        If the type, shape or range of `x` does not suit the network.
    """
    check_images(network, x)
    return list(_layer_traces(network, x, store))


def forward(network: Network, x: NDArray[np.uint8]) -> Ints:
    """Return the logits.

    Parameters
    ----------
    network : Network
    x : uint8 [n, K]

    Returns
    -------
    int32 [n, classes]

    Raises
    ------
    DataError
        If the type, shape or range of `x` does not suit the network.
    """
    check_images(network, x)
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    logits = np.empty((len(x), network.outputs), dtype=np.int32)
    for first in range(0, len(x), _BLOCK_IMAGES):
        block = slice(first, first + _BLOCK_IMAGES)
        for layer in _layer_traces(network, x[block]):
            if layer.bits is None:
                logits[block] = head.logits(layer.sums)
    return logits


def classify(logits: Ints) -> NDArray[np.int64]:
    """Return the class, int64 [n], of logits, int32 [n, classes]: the first of the largest."""
    classes: NDArray[np.int64] = np.argmax(logits, axis=-1).astype(np.int64, copy=False)
    return classes


def random_network(
    sizes: Sequence[int], input_bits: int = 8, input_signed: bool = False, seed: int = 0
) -> Network:
    """Return a network of random weights, the same for the same arguments.

    Thresholds lie where sums of random inputs fall, so that activations are neither all 0 nor all 1.

    Parameters
    ----------
    sizes : sequence of int
        Elements of an image, then neurons of each layer.
    input_bits, input_signed
        As in `Network`.
    seed : int
    """
    rng = np.random.default_rng(seed)
    layers = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights = pack(rng.integers(0, 2, (outputs, inputs), dtype=np.uint8))
        head: Threshold | Affine
        if index < len(sizes) - 2:
            spread = isqrt(inputs) * (2**input_bits - 1 if index == 0 else 1)
            values = rng.integers(-spread, spread, outputs, dtype=np.int32, endpoint=True)
            head = Threshold(values, rng.integers(0, 2, outputs) == 1)
        else:
            scale = rng.integers(-100, 100, outputs, dtype=np.int32, endpoint=True)
            head = Affine(scale, rng.integers(-1000, 1000, outputs, dtype=np.int32, endpoint=True))
        layers.append(Dense(f"layer{index}", weights, inputs, head))
    name = "random-" + "-".join(str(size) for size in sizes)
    return Network(name, tuple(layers), input_bits, input_signed, {"seed": seed})
