"""The slow reference: one bit after the other in plain Python, to check the fast path against.

It shares no code with the fast path. Of its dataclasses it reads only the fields.
"""

from collections.abc import Iterable, Sequence
from itertools import compress

import numpy as np
from bitarray import bitarray
from bitarray.util import ones, zeros
from numpy.typing import NDArray

from spinbnn.golden.network import Network, Threshold
from spinbnn.golden.operating_point import OperatingPoint

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


def bernoulli(rng: Sfc64, fractions: Sequence[int]) -> bitarray:
    """Return, for each cell of a row, whether it fails, its probability given in units of 2**-32.

    Draws 32 words for each 64 cells or part of them.
    """
    slices = (len(fractions) + 63) // 64
    fail = zeros(len(fractions))
    for plane in range(32):
        words = [rng.next() for _ in range(slices)]
        for cell, fraction in enumerate(fractions):
            random_bit = words[cell // 64] >> (cell % 64) & 1
            if fraction >> plane & 1:
                fail[cell] |= random_bit
            else:
                fail[cell] &= random_bit
    return fail


def program_row(
    stored: bitarray,
    target: bitarray,
    point: OperatingPoint,
    rng: Sfc64,
    counters: dict[str, int],
    read_row_energy_aj: int,
) -> bitarray:
    """Program one row and return what it then stores.

    Parameters
    ----------
    stored, target : bitarray
        W bits.
    point : OperatingPoint
    rng : Sfc64
        Goes on.
    counters : dict of str to int
        Those of the row's bank, added to.
    read_row_energy_aj : int
        Energy of reading a row, in attojoules.
    """
    cells = stored.copy()

    def read() -> None:
        counters["row_reads"] += 1
        counters["read_energy_aj"] += read_row_energy_aj

    def pulse(pulsed: bitarray) -> None:
        counters["pulses"] += 1
        fail = zeros(len(cells))
        if point.p_fail_01 or point.p_fail_10:
            fail = bernoulli(rng, [point.p_fail_10 if cell else point.p_fail_01 for cell in cells])
        for cell in pulsed.search(1):
            if cells[cell] == target[cell]:
                counters["redundant_pulses"] += 1
                counters["program_energy_aj"] += point.energy_redundant_aj
                continue
            if target[cell]:
                counters["bits_01"] += 1
                counters["program_energy_aj"] += point.energy_01_aj
            else:
                counters["bits_10"] += 1
                counters["program_energy_aj"] += point.energy_10_aj
            if not fail[cell]:
                cells[cell] = target[cell]

    read()
    first = ones(len(cells)) if point.pulse_redundant else cells ^ target
    if first.any():
        pulse(first)
        for _ in range(point.max_retries):
            read()
            wrong = cells ^ target
            if not wrong.any():
                break
            counters["retries"] += 1
            pulse(wrong)
    counters["failed_bits"] += (cells ^ target).count()
    counters["row_programs"] += 1
    return cells
