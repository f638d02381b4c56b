"""The slow reference: one bit after the other in plain Python integers, to check the fast path against.

It shares no code with the fast path. Of its dataclasses it reads only the fields.
"""

from collections.abc import Iterable, Sequence

from spinbnn.golden.mram import OperatingPoint
from spinbnn.golden.network import Network, Threshold

_MASK = 2**64 - 1


def forward(network: Network, image: Iterable[int]) -> list[int]:
    """Return the logits of one image, given as its elements."""
    values = [int(element) for element in image]
    if network.input_signed:
        values = [1 if value else -1 for value in values]
    for layer in network.layers:
        sums = []
        for neuron in range(layer.weights.shape[0]):
            total = 0
            for k, value in enumerate(values):
                word = int(layer.weights[neuron, k // 64])
                total += value if word >> (k % 64) & 1 else -value
            sums.append(total)
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


def bernoulli(rng: Sfc64, fractions: Sequence[int]) -> list[bool]:
    """Return, for each cell of a row, whether it fails with its probability, in units of 2**-32.

    Draws 32 words a slice of 64 cells.
    """
    slices = (len(fractions) + 63) // 64
    fail = [False] * len(fractions)
    for plane in range(32):
        words = [rng.next() for _ in range(slices)]
        for cell, fraction in enumerate(fractions):
            random_bit = bool(words[cell // 64] >> (cell % 64) & 1)
            if fraction >> plane & 1:
                fail[cell] = fail[cell] or random_bit
            else:
                fail[cell] = fail[cell] and random_bit
    return fail


def program_row(
    stored: Sequence[int],
    target: Sequence[int],
    point: OperatingPoint,
    rng: Sfc64,
    counters: dict[str, int],
    read_row_energy_aj: int,
) -> list[int]:
    """Program one row, given and returned as its bits, and add what it took to the counters of its bank."""
    cells = list(stored)
    width = len(cells)

    def read() -> None:
        counters["row_reads"] += 1
        counters["read_energy_aj"] += read_row_energy_aj

    def pulse(cell_is_pulsed: list[bool]) -> None:
        counters["pulses"] += 1
        fail = [False] * width
        if point.p_fail_01 or point.p_fail_10:
            fail = bernoulli(rng, [point.p_fail_10 if cell else point.p_fail_01 for cell in cells])
        for cell in range(width):
            if not cell_is_pulsed[cell]:
                continue
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

    def wrong() -> list[bool]:
        return [cell != bit for cell, bit in zip(cells, target, strict=True)]

    read()
    first = [True] * width if point.pulse_redundant else wrong()
    if any(first):
        pulse(first)
        for _ in range(point.max_retries):
            read()
            if not any(wrong()):
                break
            counters["retries"] += 1
            pulse(wrong())
    counters["failed_bits"] += sum(wrong())
    counters["row_programs"] += 1
    return cells
