"""Random bits: Bernoulli bits by binary expansion, and SFC64 generators started from a seed and a key.

A keyed generator is an SFC64 whose state is (seed, key, a constant, 1), after 12 draws that are thrown away
(as NumPy does when it seeds one).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words

KEY_CONSTANT = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
WARM_UP_DRAWS = 12


def bernoulli(planes: Iterable[Words], p: int) -> Words:
    """Return bits that are 1 with probability p / 2**(number of planes).

    Parameters
    ----------
    planes : iterable of uint64 [...]
        Random words: plane 0 goes with the least significant bit of `p`.
    p : int

    Returns
    -------
    uint64 [...]
    """
    numbered = enumerate(planes)
    bits: Words = np.zeros_like(next(numbered)[1]) if p & 1 == 0 else next(numbered)[1].copy()
    for number, plane in numbered:
        combine = np.bitwise_or if p >> number & 1 else np.bitwise_and
        combine(bits, plane, out=bits)
    return bits


def keyed_words(seed: int, key: int, count: int) -> Words:
    """Return the first words, uint64 [count], of one keyed generator."""
    generator = np.random.SFC64(0)
    state = generator.state
    state["state"]["state"] = np.array([seed, key, KEY_CONSTANT, 1], dtype=np.uint64)
    generator.state = state
    words: Words = generator.random_raw(WARM_UP_DRAWS + count)[WARM_UP_DRAWS:]
    return words


class KeyedGenerators:
    """Keyed generators side by side: for a few words of each of many, where `keyed_words` is for many of one.

    Parameters
    ----------
    seed : int
        64 bits.
    keys : uint64 [n]
    """

    def __init__(self, seed: int, keys: NDArray[np.uint64]) -> None:
        self._a = np.full_like(keys, seed)
        self._b = keys.copy()
        self._c = np.full_like(keys, KEY_CONSTANT)
        self._counter = np.uint64(1)
        for _ in range(WARM_UP_DRAWS):
            self._draw()

    def draw(self, count: int) -> Words:
        """Return the next words of each, uint64 [count, n]."""
        return np.stack([self._draw() for _ in range(count)])

    def _draw(self) -> Words:
        words: Words = self._a + self._b + self._counter
        self._counter += np.uint64(1)
        self._a = self._b ^ (self._b >> np.uint64(11))
        self._b = self._c + (self._c << np.uint64(3))
        self._c = ((self._c << np.uint64(24)) | (self._c >> np.uint64(40))) + words
        return words
