"""The MRAM array: cells, write errors, retries, counters and energy of every bank.

Programming a row reads it, pulses the bits that must change (and the others, if the operating point says so)
and, with retries, reads back and pulses again what failed. A failed bit keeps its value. Failures are drawn
from one SFC64 stream: 32 words a pulse and slice, combined from the least significant bit of a 32-bit
probability on as ``fail = fail | r`` where that bit is 1 and ``fail & r`` where it is 0, which makes each
cell fail with exactly that probability.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words, pack
from spinbnn.golden.errors import CapacityError, DataError, OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.placement import Placement, ProgramPacket
from spinbnn.golden.technology import PULSE_CLOCKS, READ_BIT_ENERGY_AJ, write_bit_energy_aj

Counts = NDArray[np.uint64]

COUNTERS = (
    "row_programs",
    "pulses",
    "bits_01",
    "bits_10",
    "redundant_pulses",
    "failed_bits",
    "retries",
    "row_reads",
    "program_energy_aj",
    "read_energy_aj",
)
"""The counters of a bank, in the order of the hardware's index."""

PROBABILITY_BITS = 32
# Pulses whose random words are held at a time: 1 MiB for rows of one slice.
_BLOCK_PULSES = 4096

_UINT32_MAX = 2**32 - 1
_BOUNDS = MappingProxyType(
    {
        "p_fail_01": (0, _UINT32_MAX),
        "p_fail_10": (0, _UINT32_MAX),
        "energy_01_aj": (0, _UINT32_MAX),
        "energy_10_aj": (0, _UINT32_MAX),
        "energy_redundant_aj": (0, _UINT32_MAX),
        "pulse_clocks": (1, 65535),
        "max_retries": (0, 15),
    }
)


def _check_integer(name: str, value: int, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise OperatingPointError(f"{name} must be an integer from {low} to {high}, not {value!r}")


@dataclass(frozen=True)
class OperatingPoint:
    """How rows are programmed, as the hardware's registers hold it; `operating_point` takes probabilities.

    Parameters
    ----------
    p_fail_01, p_fail_10 : int
        Probability that a pulse from 0 to 1, or from 1 to 0, fails, in units of 2**-32 (0 to 2**32 - 1).
    energy_01_aj, energy_10_aj, energy_redundant_aj : int
        Energy of a pulse on one bit that goes from 0 to 1, from 1 to 0, or holds its target already, in
        attojoules (0 to 2**32 - 1).
    pulse_clocks : int
        Length of a pulse in clocks (1 to 65535).
    max_retries : int
        How often failed bits are pulsed again (0 to 15); 0 does not read back.
    pulse_redundant : bool
        Pulse bits that hold their target already, too.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """

    p_fail_01: int
    p_fail_10: int
    energy_01_aj: int
    energy_10_aj: int
    energy_redundant_aj: int
    pulse_clocks: int
    max_retries: int
    pulse_redundant: bool

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "pulse_redundant":
                if not isinstance(value, bool):
                    raise OperatingPointError(f"pulse_redundant must be true or false, not {value!r}")
                continue
            _check_integer(field.name, value, *_BOUNDS[field.name])

    @property
    def can_fail(self) -> bool:
        """Whether a pulse can fail; if not, it draws nothing from the random stream."""
        return self.p_fail_01 > 0 or self.p_fail_10 > 0


def _probability_fraction(name: str, probability: float) -> int:
    """Return a probability in units of 2**-32; the largest is 2**32 - 1."""
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
    if not is_number or not 0 <= probability <= 1:
        raise OperatingPointError(f"{name} must be a probability from 0 to 1, not {probability!r}")
    return min(round(probability * (1 << PROBABILITY_BITS)), _UINT32_MAX)


def operating_point(
    write_error_rate: float = 0.0,
    *,
    write_error_rate_01: float | None = None,
    write_error_rate_10: float | None = None,
    energy_01_aj: int | None = None,
    energy_10_aj: int | None = None,
    energy_redundant_aj: int | None = None,
    pulse_clocks: int = PULSE_CLOCKS,
    max_retries: int = 0,
    pulse_redundant: bool = False,
) -> OperatingPoint:
    """Return the operating point of a write error rate.

    Parameters
    ----------
    write_error_rate : float
        Probability that a bit that must change does not, rounded to a multiple of 2**-32.
    write_error_rate_01, write_error_rate_10 : float, optional
        The same of one direction, where it differs.
    energy_01_aj, energy_10_aj : int, optional
        Energy of a one-bit pulse in attojoules; by default that of the direction's rate (`technology`).
    energy_redundant_aj : int, optional
        By default the larger of the two (assumed).
    pulse_clocks, max_retries, pulse_redundant
        As in `OperatingPoint`.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """
    rate_01 = write_error_rate if write_error_rate_01 is None else write_error_rate_01
    rate_10 = write_error_rate if write_error_rate_10 is None else write_error_rate_10
    _probability_fraction("write_error_rate", write_error_rate)
    p_fail_01 = _probability_fraction("write_error_rate_01", rate_01)
    p_fail_10 = _probability_fraction("write_error_rate_10", rate_10)
    if energy_01_aj is None:
        energy_01_aj = write_bit_energy_aj(rate_01)
    if energy_10_aj is None:
        energy_10_aj = write_bit_energy_aj(rate_10)
    if energy_redundant_aj is None:
        energy_redundant_aj = max(energy_01_aj, energy_10_aj)
    return OperatingPoint(
        p_fail_01=p_fail_01,
        p_fail_10=p_fail_10,
        energy_01_aj=energy_01_aj,
        energy_10_aj=energy_10_aj,
        energy_redundant_aj=energy_redundant_aj,
        pulse_clocks=pulse_clocks,
        max_retries=max_retries,
        pulse_redundant=pulse_redundant,
    )


POINTS = MappingProxyType(
    {
        "ideal": operating_point(0.0),
        "1e-6": operating_point(1e-6),
        "1e-4": operating_point(1e-4),
        "1e-3": operating_point(1e-3),
        "1e-2": operating_point(1e-2),
        "1e-1": operating_point(1e-1),
    }
)
"""Operating points by their write error rate, both ways; "ideal" never fails and costs as much as 1e-6."""


@dataclass(frozen=True)
class ProgramLog:
    """What programming each row of a packet took, for a model of its time.

    Parameters
    ----------
    pulses : int64 [n]
        Pulses, the first and the retries.
    verify_reads : int64 [n]
        Reads after a pulse.
    """

    pulses: NDArray[np.int64]
    verify_reads: NDArray[np.int64]


class MramArray:
    """Banks of MRAM rows.

    Parameters
    ----------
    geometry : Geometry
    seed : int
        Seed of the random stream, as in ``numpy.random.SFC64(seed)``.
    read_row_energy_aj : int, optional
        Energy of reading a row of a bank, in attojoules, at most 2**32 - 1; by default 0.7 pJ a bit
        (`technology`).

    Attributes
    ----------
    cells : uint64 [banks, rows, L]
        The stored bits, 0 at first; may be written to.
    counters : dict of str to uint64 [banks]
        By the names in `COUNTERS`.

    Raises
    ------
    OperatingPointError
        If the energy is impossible.
    DataError
        If the seed is.
    """

    def __init__(self, geometry: Geometry, seed: int, read_row_energy_aj: int | None = None) -> None:
        if read_row_energy_aj is None:
            read_row_energy_aj = geometry.word_bits * READ_BIT_ENERGY_AJ
        _check_integer("read_row_energy_aj", read_row_energy_aj, 0, _UINT32_MAX)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise DataError(f"seed must be an integer from 0 on, not {seed!r}")
        self.geometry = geometry
        self.read_row_energy_aj = read_row_energy_aj
        self.cells: Words = np.zeros((geometry.banks, geometry.rows, geometry.slices), dtype=np.uint64)
        self.counters: dict[str, Counts] = {
            name: np.zeros(geometry.banks, dtype=np.uint64) for name in COUNTERS
        }
        self._rng = np.random.SFC64(seed)
        self._valid_bits = pack(np.ones(geometry.word_bits, dtype=np.uint8))

    @property
    def rng_state(self) -> tuple[int, ...]:
        """The random stream's state, four 64-bit words; may be set."""
        return tuple(int(word) for word in self._rng.state["state"]["state"])

    @rng_state.setter
    def rng_state(self, words: Sequence[int]) -> None:
        if len(words) != 4 or not all(0 <= word < 2**64 for word in words):
            raise DataError(f"rng_state must be four 64-bit words, not {tuple(words)!r}")
        state = self._rng.state
        state["state"]["state"] = np.array(words, dtype=np.uint64)
        self._rng.state = state

    def program(self, packet: ProgramPacket, point: OperatingPoint) -> ProgramLog:
        """Program a packet's rows, one after the other.

        Raises
        ------
        CapacityError
            If a row lies outside the array or is too wide; then nothing was programmed.
        """
        banks, rows = self._addresses(packet)
        old, target = self.cells[banks, rows], packet.rows
        change = old ^ target
        bits_01, bits_10 = _popcount(change & ~old), _popcount(change & old)
        redundant = np.zeros_like(bits_01)
        if point.pulse_redundant:
            redundant += np.uint64(self.geometry.word_bits) - bits_01 - bits_10

        pulses = (bits_01 + bits_10 + redundant > 0).astype(np.int64)
        pulsed = np.flatnonzero(pulses)
        wrong = np.zeros_like(change)  # what the last pulse left wrong
        if point.can_fail and point.max_retries:
            wrong[pulsed], retries, again_01, again_10 = self._pulse_again(point, old[pulsed], change[pulsed])
            pulses[pulsed] += retries
            bits_01[pulsed] += again_01
            bits_10[pulsed] += again_10
        elif point.can_fail:
            failures = self._failures(point, len(pulsed))
            wrong[pulsed] = _stays_wrong(change[pulsed], old[pulsed], *failures)
        self.cells[banks, rows] = target ^ wrong

        # Read back after every pulse but the one after which no retry is left.
        log = ProgramLog(pulses, np.minimum(pulses, point.max_retries))
        energy = bits_01 * point.energy_01_aj + bits_10 * point.energy_10_aj
        energy += redundant * point.energy_redundant_aj
        self._count("row_programs", banks, np.ones_like(pulses))
        self._count("pulses", banks, pulses)
        self._count("bits_01", banks, bits_01)
        self._count("bits_10", banks, bits_10)
        self._count("redundant_pulses", banks, redundant)
        self._count("failed_bits", banks, _popcount(wrong))
        self._count("retries", banks, pulses - (pulses > 0))
        self._count("program_energy_aj", banks, energy)
        self._count_reads(banks, 1 + log.verify_reads)
        return log

    def read_row(self, bank: int, row: int) -> Words:
        """Return the stored word, uint64 [L], and count the read.

        Raises
        ------
        CapacityError
            If the row lies outside the array.
        """
        self._check_inside("read", bank, row)
        self._count_reads(np.array([bank]), np.array([1]))
        word: Words = self.cells[bank, row].copy()
        return word

    def count_inference(self, placement: Placement, batches: int) -> None:
        """Count the reads of an inference: every group's words in every bank, for all planes and lanes once.

        Parameters
        ----------
        placement : Placement
        batches : int
            ``ceil(images / lanes)``.

        Raises
        ------
        CapacityError
            If the placement was made for another geometry.
        """
        if placement.geometry != self.geometry:
            raise CapacityError("the placement must be made for the geometry of the array, not for another")
        banks = np.arange(self.geometry.banks)
        reads = batches * sum(layer.rows for layer in placement.layers)
        self._count_reads(banks, np.full_like(banks, reads))

    def _addresses(self, packet: ProgramPacket) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return bank and row of each of a packet's rows, having seen that they lie inside the array."""
        rows = packet.rows
        if rows.shape[1] != self.geometry.slices or np.any(rows & ~self._valid_bits):
            raise CapacityError(
                f"program packet must hold rows of {self.geometry.word_bits} bits, not of another width"
            )
        bank, row = packet.addresses()
        self._check_inside("program packet", int(bank.max()), int(row.max()))
        return bank, row

    def _check_inside(self, what: str, bank: int, row: int) -> None:
        if not 0 <= bank < self.geometry.banks:
            last = self.geometry.banks - 1
            raise CapacityError(f"{what} must stay within banks 0 to {last}, not reach bank {bank}")
        if not 0 <= row < self.geometry.rows:
            last = self.geometry.rows - 1
            raise CapacityError(f"{what} must stay within rows 0 to {last}, not reach row {row}")

    def _failures(self, point: OperatingPoint, pulses: int) -> tuple[Words, Words]:
        """Draw which bits fail in each of the next pulses if they go from 0 to 1, and if they go from 1 to 0.

        Returns
        -------
        fail_01, fail_10 : uint64 [pulses, L]
        """
        fail_01 = np.zeros((pulses, self.geometry.slices), dtype=np.uint64)
        fail_10 = np.zeros_like(fail_01)
        for first in range(0, pulses, _BLOCK_PULSES):
            block = slice(first, min(first + _BLOCK_PULSES, pulses))
            shape = (block.stop - first, PROBABILITY_BITS, self.geometry.slices)
            words = self._rng.random_raw(shape[0] * shape[1] * shape[2]).reshape(shape)
            for fail, p in ((fail_01[block], point.p_fail_01), (fail_10[block], point.p_fail_10)):
                for plane in range(PROBABILITY_BITS):
                    combine = np.bitwise_or if p >> plane & 1 else np.bitwise_and
                    combine(fail, words[:, plane], out=fail)
        return fail_01, fail_10

    def _pulse_again(
        self, point: OperatingPoint, old: Words, change: Words
    ) -> tuple[Words, NDArray[np.int64], Counts, Counts]:
        """Pulse row after row, each until it is right or its retries are used up.

        Parameters
        ----------
        point : OperatingPoint
        old, change : uint64 [n, L]
            The stored words, and which of their bits must change.

        Returns
        -------
        wrong : uint64 [n, L]
            The bits that stay wrong.
        retries : int64 [n]
            Pulses after the first.
        again_01, again_10 : uint64 [n]
            Bits pulsed in them, by direction.
        """
        wrong = change.copy()
        retries = np.zeros(len(old), dtype=np.int64)
        again_01, again_10 = np.zeros((2, len(old)), dtype=np.uint64)
        failures: deque[tuple[Words, Words]] = deque()
        for row in range(len(old)):
            for attempt in range(1 + point.max_retries):
                if attempt:
                    retries[row] += 1
                    again_01[row] += _popcount(wrong[row] & ~old[row])
                    again_10[row] += _popcount(wrong[row] & old[row])
                if not failures:
                    # Each row that is left takes at least one pulse: nothing is drawn that is not used.
                    failures.extend(zip(*self._failures(point, len(old) - row), strict=True))
                wrong[row] = _stays_wrong(wrong[row], old[row], *failures.popleft())
                if not wrong[row].any():
                    break
        return wrong, retries, again_01, again_10

    def _count(self, name: str, banks: NDArray[np.intp], amounts: NDArray[Any]) -> None:
        np.add.at(self.counters[name], banks, amounts.astype(np.uint64))

    def _count_reads(self, banks: NDArray[np.intp], reads: NDArray[np.int64]) -> None:
        self._count("row_reads", banks, reads)
        self._count("read_energy_aj", banks, reads.astype(np.uint64) * np.uint64(self.read_row_energy_aj))


def _popcount(rows: Words) -> Counts:
    """Return the number of ones of each row, uint64 [...], of uint64 [..., L]."""
    ones: Counts = np.bitwise_count(rows).sum(axis=-1, dtype=np.uint64)
    return ones


def _stays_wrong(pulsed: Words, old: Words, fail_01: Words, fail_10: Words) -> Words:
    """Return which of the pulsed bits, all of which hold `old`, fail; all are uint64 [..., L]."""
    return pulsed & ((old & fail_10) | (~old & fail_01))
