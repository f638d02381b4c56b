"""The sums of layers, packed and exact: populations counted 64 bits at a time."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words, bit_planes, pack
from spinbnn.golden.layers import Conv, Dense, Ints

# Words of one intermediate array of `dense_sums`: 256 KiB stay in a second-level cache.
_BLOCK_WORDS = 2**15


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


def layer_sums(layer: Dense | Conv, x: NDArray[np.uint8], bits: int, kind: str) -> Ints:
    """Return the sums of a layer, before ReLU and pooling.

    Parameters
    ----------
    layer : Dense or Conv
    x : uint8 [n, inputs]
        Codes of the inputs: of +1 and -1, of unsigned numbers, or two's complement.
    bits : int
        Bits of a code.
    kind : {"bipolar", "unsigned", "signed"}

    Returns
    -------
    int32 [n, sum positions, N]
    """
    if isinstance(layer, Dense):
        return matrix_sums(layer, x, bits, kind)[:, np.newaxis]
    windows = unfold(layer, x.reshape(-1, *layer.input_shape), 1 if layer.pad_value == 1 else 0)
    windows = windows.reshape(-1, layer.sum_length)
    if layer.odd_plane_weights is None:
        sums = matrix_sums(layer, windows, bits, kind)
    else:
        even = np.uint8(0b01010101)
        odd_layer = replace(layer, weights=layer.odd_plane_weights, odd_plane_weights=None)
        sums = matrix_sums(layer, windows & even, bits, kind)
        sums += matrix_sums(odd_layer, windows & ~even, bits, kind)
    height, width = layer.sum_shape
    sums = sums.reshape(len(x), height * width, layer.neurons)
    if kind == "bipolar" and layer.pad_value == 0 and any(layer.padding):
        # A padding pixel was taken as -1: add the weights that it met.
        outside = unfold(layer, np.zeros((1, *layer.input_shape), dtype=np.uint8), 1)
        sums += matrix_sums(layer, outside.reshape(-1, layer.sum_length), 1, "unsigned")
    return sums


def unfold(layer: Conv, maps: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    """Return the windows of a convolution.

    Parameters
    ----------
    layer : Conv
    maps : uint8 [n, H, W, C]
    fill : int
        What padding pixels hold.

    Returns
    -------
    uint8 [n, sum positions, K]
    """
    top, left, bottom, right = layer.padding
    padded = np.pad(maps, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    windows = sliding_window_view(padded, layer.kernel, axis=(1, 2))  # n, y, x, C, ky, kx
    windows = windows[:, :: layer.stride[0], :: layer.stride[1]].transpose(0, 1, 2, 4, 5, 3)
    height, width = layer.sum_shape
    return windows.reshape(len(maps), height * width, layer.sum_length)


def matrix_sums(layer: Dense | Conv, x: NDArray[np.uint8], bits: int, kind: str) -> Ints:
    """Return the products, int32 [n, N], of a layer's weights and vectors of codes, uint8 [n, K].

    `bits` and `kind` as in `layer_sums`.
    """
    planes = layer.weights.reshape(-1, *layer.weights.shape[-2:])
    sums = np.zeros((len(x), layer.neurons), dtype=np.int32)
    for shift, weights in zip(layer.weight_shifts, planes, strict=True):
        sums += _coded_sums(weights, x, bits, kind) << np.int32(shift)
    return sums


def _coded_sums(weights: Words, x: NDArray[np.uint8], bits: int, kind: str) -> Ints:
    sums = dense_sums(weights, x, bits, kind == "bipolar")
    if kind == "signed":  # the highest bit of two's complement counts negative: take it off twice
        sign = x >> np.uint8(bits - 1)
        sums -= dense_sums(weights, sign, 1, input_signed=False) << np.int32(bits)
    return sums
