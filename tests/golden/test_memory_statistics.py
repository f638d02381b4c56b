"""The mechanisms against their distributions: over a million cells, 99.9 % intervals, fixed seeds."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import MramArray
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import ProgramPacket
from tests.golden.test_write_errors import binomial_interval

CONFIDENCE = 0.999
ROWS = 64 * 512


def array_of(chip: Chip = TYPICAL, **options: Any) -> MramArray:
    return MramArray(Geometry(memory=MemoryOptions(**options)), seed=21, chip=chip)


def fill(array: MramArray, rows: np.ndarray, **point: Any) -> None:
    """Program all rows, uint64 [rows of all banks, L]."""
    array.program(ProgramPacket(0, 0, 0, 64, rows), operating_point(**point))


def random_rows(seed: int = 22) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (ROWS, 1), dtype=np.uint64)


def assert_binomial(count: int, of: int, p: float) -> None:
    assert of >= 10**6
    low, high = binomial_interval(of, p, CONFIDENCE)
    assert low <= count <= high


def total(array: MramArray, counter: str) -> int:
    return int(array.counters[counter].sum())


def test_classes_hold_their_fractions() -> None:
    fractions = (0.55, 0.3, 0.1, 0.05)
    array = array_of(variability=True)
    chip = Chip.from_fractions(23, fractions)
    banks, rows = np.repeat(np.arange(64), 512), np.tile(np.arange(512), 64)
    masks = chip.class_masks(array.geometry, banks, rows)
    shares = [share / 2**16 for share in chip.class_shares]
    exact = (
        (1 - shares[0]) * (1 - shares[1]) * (1 - shares[2]),
        shares[0],
        (1 - shares[0]) * shares[1],
        (1 - shares[0]) * (1 - shares[1]) * shares[2],
    )
    assert exact == pytest.approx(fractions, abs=2**-15)
    for mask, fraction in zip(masks, exact, strict=True):
        assert_binomial(int(np.bitwise_count(mask).sum()), ROWS * 64, fraction)


def test_cells_fail_as_their_class_does() -> None:
    chip = Chip.from_fractions(24, (0.25, 0.25, 0.25, 0.25))
    array = array_of(chip, variability=True)
    rates = (1e-3, 1e-2, 0.05, 0.3)
    weak = tuple(round(rate * 2**32) for rate in rates[1:])
    point = replace(operating_point(rates[0]), class_p_fail_01=weak)
    ones = np.full((ROWS, 1), 2**64 - 1, dtype=np.uint64)
    array.program(ProgramPacket(0, 0, 0, 64, ones), point)
    banks, rows = np.repeat(np.arange(64), 512), np.tile(np.arange(512), 64)
    failed = ~array.cells[banks, rows]
    for mask, rate in zip(chip.class_masks(array.geometry, banks, rows), rates, strict=True):
        cells = int(np.bitwise_count(mask).sum())
        low, high = binomial_interval(cells, rate, CONFIDENCE)
        assert cells > 500_000
        assert low <= np.bitwise_count(failed & mask).sum() <= high


def test_a_cell_keeps_its_class_through_retries() -> None:
    """A cell's variation is fixed: retries help the strong cells, and stuck ones stay wrong."""
    chip = Chip(25, (round(0.01 * 2**16), 0, 0), (False, True, False, False))
    array = array_of(chip, variability=True)
    point = replace(operating_point(0.01, max_retries=5))
    array.program(ProgramPacket(0, 0, 0, 64, np.full((ROWS, 1), 2**64 - 1, dtype=np.uint64)), point)
    assert_binomial(total(array, "failed_bits"), ROWS * 64, chip.class_shares[0] / 2**16)


@pytest.mark.parametrize("rates", [(1e-3, 1e-2), (0.2, 0.0)])
def test_ageing_flips_by_state(rates: tuple[float, float]) -> None:
    array = array_of(ageing=True)
    fill(array, random_rows())
    before = array.cells.copy()
    array.age(0, 511, operating_point(write_error_rate_01=rates[0], write_error_rate_10=rates[1]))
    flipped = before ^ array.cells
    for state, rate in ((~before, rates[0]), (before, rates[1])):
        cells, flips = int(np.bitwise_count(state).sum()), int(np.bitwise_count(flipped & state).sum())
        low, high = binomial_interval(cells, rate, CONFIDENCE) if rate else (0, 0)
        assert cells > 10**6
        assert low <= flips <= high
    assert total(array, "aged_bits") == np.bitwise_count(flipped).sum()


def test_failed_pulses_of_self_termination() -> None:
    array = array_of(self_terminated=True)
    fill(array, np.full((ROWS, 1), 2**64 - 1, dtype=np.uint64), write_error_rate=0.1, max_retries=2)
    assert_binomial(total(array, "failed_pulses_01"), total(array, "bits_01"), 0.1)
    assert_binomial(total(array, "failed_bits"), ROWS * 64, 0.1**3)


def test_a_pair_of_cells_fails_in_its_two_ways() -> None:
    """A pair is a tie in 2 p (1 - p), which half of the amplifiers mend, and wrong in p².

    All bits are written to 1 from pairs that hold (0, 1), the code of a 0.
    """
    p = 0.1
    array = array_of(differential=True)
    fill(array, np.zeros((ROWS, 1), dtype=np.uint64))
    fill(array, np.full((ROWS, 1), 2**64 - 1, dtype=np.uint64), write_error_rate=p)
    wrong = int(np.bitwise_count(~array.read_all()).sum())
    leaning = np.bitwise_count(array.chip.sense_mismatch(array.geometry)).sum() / (64 * 64)
    assert_binomial(wrong, ROWS * 64, p**2 + 2 * p * (1 - p) * (1 - leaning))


def test_amplifiers_lean_to_either_side_alike() -> None:
    geometry = Geometry(banks=256, word_bits=256, memory=MemoryOptions(differential=True))
    ones = sum(int(np.bitwise_count(Chip(seed).sense_mismatch(geometry)).sum()) for seed in range(16))
    assert_binomial(ones, 16 * 256 * 256, 0.5)


def test_secded_leaves_the_words_with_two_errors_or_more() -> None:
    """Of 72 cells written with failures: no error, one (corrected), or more, each in its binomial share."""
    p = 0.01
    array = array_of(secded=True, scrub=True)
    array.cells[:] = np.uint64(0)
    wrong_cells = np.random.default_rng(26).random((64, 512, 72)) < p  # of a word of zeros
    array.cells[:] = np.packbits(
        np.pad(wrong_cells, [(0, 0), (0, 0), (0, 56)]), axis=-1, bitorder="little"
    ).view("<u8")
    errors = wrong_cells.sum(axis=-1)
    array.scrub(0, 511, operating_point(0.0))
    assert total(array, "corrected_reads") >= np.count_nonzero(errors == 1)
    assert total(array, "uncorrectable_reads") >= np.count_nonzero(errors == 2)
    of_one = 72 * p * (1 - p) ** 71
    low, high = binomial_interval(ROWS, of_one, CONFIDENCE)
    assert low <= np.count_nonzero(errors == 1) <= high
    assert wrong_cells.size >= 10**6
    assert not array.read_all()[errors <= 1].any()
