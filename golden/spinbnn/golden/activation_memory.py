"""The activation memory, if it is MRAM: binary activations that are stored with errors.

Rates are per stored bit (a bit error rate), whatever the cell held before. Each lane and slice has generators
of its own, with keys; they share the 32 draws that a word takes, so a word takes 32 / generators clocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Bits, Words, join_rows, pack, split_rows
from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.mram import LANE_COUNTERS, Counts
from spinbnn.golden.operating_point import PROBABILITY_BITS, UINT32_MAX, check_integer
from spinbnn.golden.placement import Placement
from spinbnn.golden.random_bits import bernoulli, keyed_words


@dataclass(frozen=True)
class ActivationPoint:
    """How activations are stored.

    Parameters
    ----------
    p_01, p_10 : int
        Probability that a bit meant to be 0 is stored as 1, and one meant to be 1 as 0, in units of 2**-32.
    word_energy_aj : int
        Energy of storing a word, in attojoules.
    pulse_clocks : int
        Length of a pulse in clocks (1 to 65535).
    seed : int
        Seed of the generators, 64 bits.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """

    p_01: int = 0
    p_10: int = 0
    word_energy_aj: int = 0
    pulse_clocks: int = 1
    seed: int = 1

    def __post_init__(self) -> None:
        for name in ("p_01", "p_10", "word_energy_aj"):
            check_integer(f"activation {name}", getattr(self, name), 0, UINT32_MAX)
        check_integer("activation pulse_clocks", self.pulse_clocks, 1, 65535)
        check_integer("activation seed", self.seed, 0, 2**64 - 1)


WITHOUT_ERRORS = ActivationPoint()
"""Stores what is meant."""


class ActivationMemory:
    """The activation memory of a machine during a run.

    Parameters
    ----------
    placement : Placement
        Its geometry's memory has activation generators.
    point : ActivationPoint
    images : int
        Images of the run.

    Attributes
    ----------
    words : dict of int to uint64 [images, words, L]
        What was stored of each layer's activations.
    counters : dict of str to uint64 [lanes]
        By the names in `spinbnn.golden.mram.LANE_COUNTERS`.

    Raises
    ------
    OperatingPointError
        If the geometry keeps activations in another memory.
    """

    def __init__(self, placement: Placement, point: ActivationPoint, images: int) -> None:
        geometry = placement.geometry
        if not geometry.memory.activation_generators:
            raise OperatingPointError(
                "an activation point must go with a memory that has activation_generators"
            )
        self._geometry = geometry
        self._pixels = [writer.pixels for writer in placement.layers[:-1]]
        self._words_of_layer = [
            pixels * reader.words for pixels, reader in zip(self._pixels, placement.layers[1:], strict=True)
        ]
        self.words: dict[int, Words] = {}
        self.counters: dict[str, Counts] = {
            name: np.zeros(geometry.lanes, dtype=np.uint64) for name in LANE_COUNTERS
        }
        self._point = point
        self._flips = self._draw(-(-images // geometry.lanes) * sum(self._words_of_layer))

    def store(self, layer: int, bits: Bits) -> Bits:
        """Store a layer's activations, uint8 [images, outputs], and return what reading them gives."""
        geometry = self._geometry
        images, pixels = len(bits), self._pixels[layer]
        of_pixels = split_rows(bits.reshape(images, pixels, -1), geometry.word_bits)
        meant = of_pixels.reshape(images, -1, geometry.slices)
        words = meant.shape[1]
        batch, lane = np.divmod(np.arange(images), geometry.lanes)
        first = sum(self._words_of_layer[:layer])
        number = batch[:, None] * sum(self._words_of_layer) + first + np.arange(words)
        from_0, from_1 = self._flips[:, lane[:, None], number]
        flips = (meant & from_1) | (~meant & from_0)
        self.words[layer] = meant ^ flips
        self._count(lane, flips)
        stored = self.words[layer].reshape(of_pixels.shape)
        return join_rows(stored, geometry.word_bits, bits.shape[1] // pixels).reshape(images, -1)

    def _count(self, lane: NDArray[np.intp], flips: Words) -> None:
        words = np.full(len(lane), flips.shape[1], dtype=np.uint64)
        flipped = np.bitwise_count(flips).sum(axis=(1, 2), dtype=np.uint64)
        np.add.at(self.counters["activation_words"], lane, words)
        np.add.at(self.counters["activation_flips"], lane, flipped)
        np.add.at(self.counters["activation_energy_aj"], lane, words * np.uint64(self._point.word_energy_aj))

    def _draw(self, words: int) -> Words:
        """Return the flips of a bit meant to be 0, and of one meant to be 1, uint64 [2, lanes, words, L]."""
        geometry, point = self._geometry, self._point
        generators = geometry.memory.activation_generators
        valid = pack(np.ones(geometry.word_bits, dtype=np.uint8))
        flips = np.zeros((2, geometry.lanes, words, geometry.slices), dtype=np.uint64)
        for lane in range(geometry.lanes):
            for part in range(geometry.slices):
                first = (lane * geometry.slices + part) * generators
                drawn = [
                    keyed_words(point.seed, first + number, words * PROBABILITY_BITS // generators)
                    for number in range(generators)
                ]
                planes = np.stack(drawn, axis=-1).reshape(words, PROBABILITY_BITS).T
                for direction, p in enumerate((point.p_01, point.p_10)):
                    flips[direction, lane, :, part] = bernoulli(planes, p)
        return flips & valid
