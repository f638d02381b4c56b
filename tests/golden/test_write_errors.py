"""Observed write errors against the binomial distribution, at fixed seeds."""

from math import comb, exp, lgamma, log, sqrt

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import MramArray
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import ProgramPacket

GEOMETRY = Geometry()
ROWS = GEOMETRY.banks * GEOMETRY.rows
CELLS = ROWS * GEOMETRY.word_bits


def binomial_interval(n: int, p: float, confidence: float) -> tuple[int, int]:
    """Return the smallest and largest count not in the two tails of (1 - confidence) / 2 each."""

    def probability(k: int) -> float:
        return exp(lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) + k * log(p) + (n - k) * log(1 - p))

    tail = (1 - confidence) / 2
    far = round(20 * sqrt(n * p * (1 - p)) + 20)  # beyond 20 standard deviations there is nothing to sum up
    low = max(0, round(n * p) - far)
    below = probability(low)
    while below <= tail:
        low += 1
        below += probability(low)
    high = min(n, round(n * p) + far)
    above = probability(high)
    while above <= tail:
        high -= 1
        above += probability(high)
    return low, high


def test_interval_of_a_small_binomial() -> None:
    def between(low: int, high: int) -> float:
        return sum(comb(40, k) * 0.3**k * 0.7 ** (40 - k) for k in range(low, high + 1))

    low, high = binomial_interval(40, 0.3, 0.999)
    assert between(0, low - 1) <= 0.0005 < between(0, low)
    assert between(high + 1, 40) <= 0.0005 < between(high, 40)


@pytest.mark.parametrize(
    ("rate_01", "rate_10"), [(1e-4, 1e-4), (1e-3, 1e-3), (1e-2, 3e-2), (0.1, 0.05), (0.5, 0.0)]
)
def test_failures_are_binomial_in_each_direction(rate_01: float, rate_10: float) -> None:
    rng = np.random.default_rng(11)
    rows = rng.integers(0, 2**64, (2, ROWS, 1), dtype=np.uint64)
    array = MramArray(GEOMETRY, seed=12)
    array.program(ProgramPacket(0, 0, 0, GEOMETRY.banks, rows[0]), operating_point(0.0))
    old = array.cells.copy()
    assert np.array_equal(old.swapaxes(0, 1).reshape(-1, 1), rows[0])
    point = operating_point(write_error_rate_01=rate_01, write_error_rate_10=rate_10)
    array.program(ProgramPacket(0, 0, 0, GEOMETRY.banks, rows[1]), point)
    target = rows[1].reshape(GEOMETRY.rows, GEOMETRY.banks, 1).swapaxes(0, 1)
    for rate, changes in ((rate_01, ~old & target), (rate_10, old & ~target)):
        writes = int(np.bitwise_count(changes).sum())
        failures = int(np.bitwise_count(changes & (array.cells ^ target)).sum())
        assert writes > 500_000
        low, high = binomial_interval(writes, rate, 0.999) if rate else (0, 0)
        assert low <= failures <= high
    assert not np.any((array.cells ^ target) & ~(old ^ target)), "a bit that holds its target cannot fail"


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 1e-2, 0.1])
def test_failures_of_two_million_writes_are_binomial_and_spread_evenly(rate: float) -> None:
    array = MramArray(GEOMETRY, seed=13)
    ones = np.full((ROWS, 1), 2**64 - 1, dtype=np.uint64)
    array.program(ProgramPacket(0, 0, 0, GEOMETRY.banks, ones), operating_point(rate))
    failed = np.unpackbits((~array.cells).view(np.uint8), bitorder="little").reshape(GEOMETRY.banks, -1, 64)
    low, high = binomial_interval(CELLS, rate, 0.999)
    assert low <= failed.sum() <= high
    assert array.counters["failed_bits"].sum() == failed.sum()
    # 64 banks and 64 bit positions: each within what one of a million would miss
    low, high = binomial_interval(CELLS // 64, rate, 1 - 1e-6)
    for counts in (failed.sum(axis=(1, 2)), failed.sum(axis=(0, 1))):
        assert low <= counts.min()
        assert counts.max() <= high
