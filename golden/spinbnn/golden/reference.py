"""The slow reference: one element after the other in plain Python, to check the fast path against.

It shares no code with the fast path. Of its dataclasses it reads only the fields.
"""

from collections.abc import Iterable, Sequence
from operator import mul
from typing import NamedTuple

import numpy as np
from bitarray import bitarray
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network

_MASK = 2**64 - 1

Map = list[list[list[int]]]
"""Integers by row, column and channel."""


class LayerIntegers(NamedTuple):
    """What one layer computed of one image; maps are flattened, channels fastest, then columns, then rows."""

    sums: list[int]
    """What its head met: behind ReLU, pooling of integers and the residual."""
    codes: list[int] | None
    """Its activations: 1 and 0 for +1 and -1, two's complement of negative ones; None in the last layer."""


def row_bits(words: NDArray[np.uint64], count: int) -> bitarray:
    """Return the first `count` bits of a row of 64-bit words, uint64 [L]."""
    bits = bitarray(endian="little")
    for word in words:
        bits.frombytes(int(word).to_bytes(8, "little"))
    return bits[:count]


def forward(network: Network, image: Iterable[int]) -> list[int]:
    """Return the logits of one image, given as its elements."""
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    sums = trace(network, image)[-1].sums
    return [int(head.scale[n]) * total + int(head.bias[n]) for n, total in enumerate(sums)]


def trace(network: Network, image: Iterable[int]) -> list[LayerIntegers]:
    """Return what every layer computed of one image, given as its elements."""
    values = [int(element) for element in image]
    if network.input_signed:
        values = [1 if value else -1 for value in values]
    traced = []
    integers: dict[str, Map] = {}
    for layer in network.layers:
        sums = _convolution(layer, values) if isinstance(layer, Conv) else [[_products(layer, values)]]
        pool = layer.pool if isinstance(layer, Conv) else None
        if layer.relu:
            sums = [[[max(0, total) for total in pixel] for pixel in row] for row in sums]
        if pool is not None and pool.kind in ("max", "sum"):
            sums = _pooled(pool, sums)
        if layer.residual is not None:
            sums = _added(sums, integers[layer.residual])
        integers[layer.name] = sums
        if isinstance(layer.head, Affine):
            traced.append(LayerIntegers(_flat(sums), None))
            break
        activations = [[_activations(layer.head, pixel) for pixel in row] for row in sums]
        if pool is not None and pool.kind == "or":
            activations = _pooled(pool, activations)
        values = _flat(activations)
        traced.append(LayerIntegers(_flat(sums), [_code(layer.head, value) for value in values]))
    return traced


def _weights(layer: Dense | Conv, stored: Words, length: int) -> list[list[int]]:
    """Return the weights of every neuron as integers."""
    planes = stored if stored.ndim == 3 else [stored]
    neurons = [[0] * length for _ in range(len(planes[0]))]
    for shift, plane in zip(layer.weight_shifts, planes, strict=True):
        for weights, words in zip(neurons, plane, strict=True):
            for k, bit in enumerate(row_bits(words, length)):
                weights[k] += 2**shift if bit else -(2**shift)
    return neurons


def _products(layer: Dense, values: list[int]) -> list[int]:
    return [sum(map(mul, weights, values)) for weights in _weights(layer, layer.weights, layer.inputs)]


def _convolution(layer: Conv, values: list[int]) -> Map:
    height, width, channels = layer.input_shape
    kernel_height, kernel_width = layer.kernel
    top, left, bottom, right = layer.padding
    length = kernel_height * kernel_width * channels
    neurons = _weights(layer, layer.weights, length)
    odd_neurons = neurons
    if layer.odd_plane_weights is not None:
        odd_neurons = _weights(layer, layer.odd_plane_weights, length)

    def element(y: int, x: int, channel: int) -> int:
        if 0 <= y < height and 0 <= x < width:
            return values[(y * width + x) * channels + channel]
        return layer.pad_value

    sums: Map = []
    for first_y in range(-top, height + bottom - kernel_height + 1, layer.stride[0]):
        sums.append([])
        for first_x in range(-left, width + right - kernel_width + 1, layer.stride[1]):
            window = [
                element(first_y + ky, first_x + kx, channel)
                for ky in range(kernel_height)
                for kx in range(kernel_width)
                for channel in range(channels)
            ]
            if odd_neurons is neurons:
                sums[-1].append([sum(map(mul, weights, window)) for weights in neurons])
                continue
            even, odd = [each & 0b01010101 for each in window], [each & 0b10101010 for each in window]
            sums[-1].append(
                [
                    sum(map(mul, weights, even)) + sum(map(mul, odd_weights, odd))
                    for weights, odd_weights in zip(neurons, odd_neurons, strict=True)
                ]
            )
    return sums


def _pooled(pool: Pool, pixels: Map) -> Map:
    combine = sum if pool.kind == "sum" else max
    pooled: Map = []
    for first_y in range(0, len(pixels) - pool.size[0] + 1, pool.stride[0]):
        pooled.append([])
        for first_x in range(0, len(pixels[0]) - pool.size[1] + 1, pool.stride[1]):
            window = [
                pixels[first_y + y][first_x + x] for y in range(pool.size[0]) for x in range(pool.size[1])
            ]
            pooled[-1].append([combine(channel) for channel in zip(*window, strict=True)])
    return pooled


def _added(one: Map, other: Map) -> Map:
    return [
        [[a + b for a, b in zip(*pixels, strict=True)] for pixels in zip(*rows, strict=True)]
        for rows in zip(one, other, strict=True)
    ]


def _activations(head: Threshold | MultiThreshold, sums: list[int]) -> list[int]:
    """Return the activations of the neurons of one pixel."""
    activations = []
    for neuron, total in enumerate(sums):
        flip = bool(head.flip[neuron])
        if isinstance(head, Threshold):
            above = total >= int(head.values[neuron])
            activations.append(1 if above != flip else -1)
        else:
            reached = [total >= int(value) for value in head.values[:, neuron]]
            activations.append(head.low + sum(above != flip for above in reached))
    return activations


def _code(head: Threshold | MultiThreshold, activation: int) -> int:
    if isinstance(head, Threshold):
        return 1 if activation == 1 else 0
    return activation % (1 << head.bits)


def _flat(pixels: Map) -> list[int]:
    return [value for row in pixels for pixel in row for value in pixel]


class Sfc64:
    """Chris Doty-Humphrey's SFC64 generator, as in PractRand and `numpy.random.SFC64`.

    Parameters
    ----------
    state : four int
        a, b, c and the counter, 64 bits each.
    """

    def __init__(self, state: Sequence[int]) -> None:
        self.a, self.b, self.c, self.counter = (int(word) for word in state)

    @property
    def state(self) -> tuple[int, int, int, int]:
        """The four words."""
        return self.a, self.b, self.c, self.counter

    def next(self) -> int:
        """Return the next 64-bit word."""
        word = (self.a + self.b + self.counter) & _MASK
        self.counter = (self.counter + 1) & _MASK
        self.a = self.b ^ (self.b >> 11)
        self.b = (self.c + (self.c << 3)) & _MASK
        self.c = (((self.c << 24) | (self.c >> 40)) + word) & _MASK
        return word
