"""The slow reference: one bit after the other in plain Python, to check the fast path against.

It shares no code with the fast path. Of its dataclasses it reads only the fields.
"""

from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np
from bitarray import bitarray
from numpy.typing import NDArray

from spinbnn.golden.layers import Threshold
from spinbnn.golden.network import Network

_MASK = 2**64 - 1


def row_bits(words: NDArray[np.uint64], count: int) -> bitarray:
    """Return the first `count` bits of a row of 64-bit words, uint64 [L]."""
    bits = bitarray(endian="little")
    for word in words:
        bits.frombytes(int(word).to_bytes(8, "little"))
    return bits[:count]


def forward(network: Network, image: Iterable[int]) -> list[int]:
    """Return the logits of one image, given as its elements."""
    values = [int(element) for element in image]
    if network.input_signed:
        values = [1 if value else -1 for value in values]
    for layer in network.layers:
        sums = []
        for weights in layer.weights:
            row = row_bits(weights, layer.inputs)
            sums.append(sum(compress(values, row)) - sum(compress(values, ~row)))  # weights +1, weights -1
        if isinstance(layer.head, Threshold):
            values = []
            for neuron, total in enumerate(sums):
                above = total >= int(layer.head.values[neuron])
                values.append(1 if above != bool(layer.head.flip[neuron]) else -1)
        else:
            scale, bias = layer.head.scale, layer.head.bias
            return [int(scale[neuron]) * total + int(bias[neuron]) for neuron, total in enumerate(sums)]
    raise AssertionError("a network ends in logits")


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
