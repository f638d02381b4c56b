"""The MRAM array: cells, write errors, retries, counters and energy of every bank.

Programming a row reads it, pulses the cells that must change (and the others, if the operating point says so)
and, with retries, reads back and pulses again what failed. A failed cell keeps its value. Failures are drawn
from one SFC64 stream: 32 words a pulse and slice, combined from the least significant bit of a 32-bit
probability on as ``fail = fail | r`` where that bit is 1 and ``fail & r`` where it is 0, which makes each
cell fail with exactly that probability.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.cell_code import CellCode, Reading
from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.encoding import Words, pack
from spinbnn.golden.errors import CapacityError, DataError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.operating_point import PROBABILITY_BITS, UINT32_MAX, OperatingPoint, check_integer
from spinbnn.golden.placement import Placement, ProgramPacket
from spinbnn.golden.random_bits import bernoulli
from spinbnn.golden.technology import READ_BIT_ENERGY_AJ

Counts = NDArray[np.uint64]
Indices = NDArray[np.intp]

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
"""The counters of a bank of any machine, in the order of the hardware's index."""

LANE_COUNTERS = ("activation_words", "activation_flips", "activation_energy_aj")
"""The counters of a lane of a machine that stores activations in MRAM."""

_GROUP_READS_INDEX = 32
_LANE_INDEX = 48

# Pulses whose random words are held at a time: 256 KiB for rows of one slice stay in a second-level cache.
_BLOCK_PULSES = 1024
# Rows that are first tried at once when pulses are repeated.
_FIRST_RUN = 64


def bank_counters(geometry: Geometry) -> dict[str, int]:
    """Return the hardware's index of each counter of a bank, by name."""
    memory = geometry.memory
    of_options = {
        "failed_pulses_01": (10, memory.self_terminated),
        "failed_pulses_10": (11, memory.self_terminated),
        "aged_bits": (12, memory.ageing),
        "scrubbed_rows": (13, memory.scrub),
        "corrected_reads": (14, memory.secded),
        "uncorrectable_reads": (15, memory.secded),
        "tied_reads": (16, memory.differential),
    }
    indices = {name: index for index, name in enumerate(COUNTERS)}
    indices |= {name: index for name, (index, built) in of_options.items() if built}
    return indices | {
        f"group_reads_{group}": _GROUP_READS_INDEX + group for group in range(memory.read_groups)
    }


def counter_indices(geometry: Geometry) -> dict[str, int]:
    """Return the hardware's index of each counter, by name; those in `LANE_COUNTERS` are a lane's."""
    lane = {name: _LANE_INDEX + index for index, name in enumerate(LANE_COUNTERS)}
    return bank_counters(geometry) | (lane if geometry.memory.activation_generators else {})


def read_group_shift(geometry: Geometry) -> int:
    """Return by how many bits a row's number is shifted to give its read group."""
    return max(0, (geometry.rows - 1).bit_length() - (geometry.memory.read_groups.bit_length() - 1))


def check_rows(geometry: Geometry, what: str, first_row: int, last_row: int) -> None:
    """See that a range of rows is one of an array's.

    Raises
    ------
    CapacityError
        If it is not; `what` goes over them.
    """
    last = geometry.rows - 1
    if not 0 <= first_row <= last_row <= last:
        raise CapacityError(f"{what} must go over rows within 0 to {last}, not {first_row} to {last_row}")


@dataclass(frozen=True)
class ProgramLog:
    """What programming (or scrubbing) each row took, for a model of its time.

    Parameters
    ----------
    pulses : int64 [n]
        Pulses, the first and the retries.
    verify_reads : int64 [n]
        Reads after a pulse.
    """

    pulses: NDArray[np.int64]
    verify_reads: NDArray[np.int64]


@dataclass
class _Pulsed:
    """What the pulses on n rows did: bits pulsed and failed by direction, and the cells that stay wrong."""

    pulses: NDArray[np.int64]
    bits_01: Counts
    bits_10: Counts
    failed_01: Counts
    failed_10: Counts
    wrong: Words


class MramArray:
    """Banks of MRAM rows.

    Parameters
    ----------
    geometry : Geometry
    seed : int
        Seed of the random stream, as in ``numpy.random.SFC64(seed)``.
    read_row_energy_aj : int, optional
        Energy of reading a row of a bank, in attojoules, at most 2**32 - 1; by default 0.7 pJ a cell
        (`technology`).
    chip : Chip, optional
        Classes of its cells (in a memory with variability) and mismatch of its sense amplifiers (with
        differential cells).

    Attributes
    ----------
    cells : uint64 [banks, rows, Lc]
        What the cells hold, 0 at first; may be written to.
    counters : dict of str to uint64 [banks]
        By the names of `bank_counters`.

    Raises
    ------
    OperatingPointError
        If the energy is impossible.
    DataError
        If the seed is.
    """

    def __init__(
        self, geometry: Geometry, seed: int, read_row_energy_aj: int | None = None, chip: Chip = TYPICAL
    ) -> None:
        if read_row_energy_aj is None:
            read_row_energy_aj = geometry.row_cells * READ_BIT_ENERGY_AJ
        check_integer("read_row_energy_aj", read_row_energy_aj, 0, UINT32_MAX)
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise DataError(f"seed must be an integer from 0 on, not {seed!r}")
        self.geometry = geometry
        self.read_row_energy_aj = read_row_energy_aj
        self.chip = chip
        self.cells: Words = np.zeros((geometry.banks, geometry.rows, geometry.cell_slices), dtype=np.uint64)
        self.counters: dict[str, Counts] = {
            name: np.zeros(geometry.banks, dtype=np.uint64) for name in bank_counters(geometry)
        }
        self._rng = np.random.SFC64(seed)
        self._code = CellCode(geometry)
        self._mismatch = self.chip.sense_mismatch(geometry)
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
        OperatingPointError
            If the point makes use of an option that the memory has not.
        """
        point.check_fits(self.geometry.memory)
        banks, rows = self._addresses(packet)
        self._count("row_programs", banks, np.ones_like(banks))
        if not point.blind:
            self._count_reads(banks, rows, np.ones_like(banks))
        every_cell = point.pulse_redundant or point.blind
        return self._write(banks, rows, self._code.encode(packet.rows), point, every_cell=every_cell)

    def scrub(self, first_row: int, last_row: int, point: OperatingPoint) -> ProgramLog:
        """Program what each row of a range reads, bank after bank; leave rows that are uncorrectable.

        Raises
        ------
        CapacityError
            If the range is not one of the array's.
        OperatingPointError
            If the point makes use of an option that the memory has not.
        """
        point.check_fits(self.geometry.memory)
        banks, rows = self._range("scrub", first_row, last_row)
        self._count_reads(banks, rows, np.ones_like(banks))
        reading = self._read(banks, rows)
        self._count_reading(banks, reading, 1)
        target = self._code.encode(reading.data)
        beyond = reading.uncorrectable
        target[beyond] = self.cells[banks[beyond], rows[beyond]]
        log = self._write(banks, rows, target, point, every_cell=False)
        self._count("scrubbed_rows", banks, log.pulses > 0)
        return log

    def age(self, first_row: int, last_row: int, point: OperatingPoint) -> None:
        """Flip cells of a range of rows: those that hold 0 with the point's `p_fail_01`, 1 with `p_fail_10`.

        Raises
        ------
        CapacityError
            If the range is not one of the array's.
        OperatingPointError
            If the point makes use of an option that the memory has not.
        """
        point.check_fits(self.geometry.memory)
        banks, rows = self._range("age", first_row, last_row)
        if not self.draws(point):
            return
        old = self.cells[banks, rows]
        flips = np.zeros_like(old)
        classes, switching = self._class_masks(banks, rows)
        for block, drawn in self._draw(point, len(banks)):
            flips[block] = _of_direction(old[block], *_of_class(drawn, classes[:, block])) & switching[block]
        self.cells[banks, rows] = old ^ flips
        self._count("aged_bits", banks, _popcount(flips))

    def read_row(self, bank: int, row: int) -> Words:
        """Return what a read of a row gives, uint64 [L], and count it.

        Raises
        ------
        CapacityError
            If the row lies outside the array.
        """
        self._check_inside("read", bank, row)
        banks, rows = np.array([bank]), np.array([row])
        self._count_reads(banks, rows, np.array([1]))
        reading = self._read(banks, rows)
        self._count_reading(banks, reading, 1)
        word: Words = reading.data[0]
        return word

    def read_all(self) -> Words:
        """Return what reading each row gives, uint64 [banks, rows, L], without counting."""
        return self._code.read(self.cells, self._mismatch[:, None]).data

    def count_inference(self, placement: Placement, batches: int) -> None:
        """Count the reads of an inference: every group's words in every bank, once a sum.

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
        for layer in placement.layers:
            banks, rows = self._range("inference", layer.row_base, layer.row_base + layer.rows - 1)
            for plane, reads in enumerate(layer.reads_of_planes()):
                of_plane = (rows - layer.row_base) % layer.weight_planes == plane
                times = batches * layer.sums * reads
                self._count_reads(banks[of_plane], rows[of_plane], np.full_like(banks[of_plane], times))
                self._count_reading(banks[of_plane], self._read(banks[of_plane], rows[of_plane]), times)

    def draws(self, point: OperatingPoint) -> bool:
        """Return whether a pulse at a point draws from the random stream."""
        return point.draws(self.geometry.memory, self.chip)

    def _addresses(self, packet: ProgramPacket) -> tuple[Indices, Indices]:
        """Return bank and row of each of a packet's rows, having seen that they lie inside the array."""
        rows = packet.rows
        if rows.shape[1] != self.geometry.slices or np.any(rows & ~self._valid_bits):
            raise CapacityError(
                f"program packet must hold rows of {self.geometry.word_bits} bits, not of another width"
            )
        bank, row = packet.addresses()
        self._check_inside("program packet", int(bank.max()), int(row.max()))
        return bank, row

    def _range(self, what: str, first_row: int, last_row: int) -> tuple[Indices, Indices]:
        """Return bank and row of each row of a range, rows ascending, banks fastest."""
        check_rows(self.geometry, what, first_row, last_row)
        banks = self.geometry.banks
        rows = np.repeat(np.arange(first_row, last_row + 1), banks)
        return np.tile(np.arange(banks), last_row + 1 - first_row), rows

    def _check_inside(self, what: str, bank: int, row: int) -> None:
        if not 0 <= bank < self.geometry.banks:
            last = self.geometry.banks - 1
            raise CapacityError(f"{what} must stay within banks 0 to {last}, not reach bank {bank}")
        if not 0 <= row < self.geometry.rows:
            last = self.geometry.rows - 1
            raise CapacityError(f"{what} must stay within rows 0 to {last}, not reach row {row}")

    def _read(self, banks: Indices, rows: Indices) -> Reading:
        return self._code.read(self.cells[banks, rows], self._mismatch[banks])

    def _write(
        self, banks: Indices, rows: Indices, target: Words, point: OperatingPoint, *, every_cell: bool
    ) -> ProgramLog:
        """Pulse rows, each another, until they hold `target`, uint64 [n, Lc], or the retries are used up."""
        old = self.cells[banks, rows]
        change = old ^ target
        pulsed = np.arange(len(banks)) if every_cell else np.flatnonzero(change.any(axis=1))
        done = self._pulse(banks[pulsed], rows[pulsed], old[pulsed], change[pulsed], point)
        self.cells[banks[pulsed], rows[pulsed]] = target[pulsed] ^ done.wrong

        redundant = np.zeros_like(done.bits_01)
        if every_cell:
            redundant += np.uint64(self.geometry.row_cells) - _popcount(change)
        log = ProgramLog(np.zeros(len(banks), dtype=np.int64), np.zeros(len(banks), dtype=np.int64))
        log.pulses[pulsed] = done.pulses
        # Read back after every pulse but the one after which no retry is left.
        log.verify_reads[pulsed] = np.minimum(done.pulses, point.max_retries)
        self._count_pulses(banks[pulsed], done, redundant, point)
        self._count_reads(banks, rows, log.verify_reads)
        return log

    def _pulse(
        self, banks: Indices, rows: Indices, old: Words, change: Words, point: OperatingPoint
    ) -> _Pulsed:
        """Pulse changing cells of rows, uint64 [n, Lc], and again those that fail while retries are left."""
        done = _Pulsed(
            pulses=np.ones(len(old), dtype=np.int64),
            bits_01=_popcount(change & ~old),
            bits_10=_popcount(change & old),
            failed_01=np.zeros(len(old), dtype=np.uint64),
            failed_10=np.zeros(len(old), dtype=np.uint64),
            wrong=np.zeros_like(change),
        )
        if not self.draws(point):
            return done
        classes, switching = self._class_masks(banks, rows)
        if point.max_retries:
            self._pulse_again(done, old, change, point, classes, switching)
            return done
        for block, drawn in self._draw(point, len(old)):
            fail = _of_direction(old[block], *_of_class(drawn, classes[:, block])) | ~switching[block]
            done.wrong[block] = change[block] & fail
        done.failed_01 += _popcount(done.wrong & ~old)
        done.failed_10 += _popcount(done.wrong & old)
        return done

    def _pulse_again(
        self,
        done: _Pulsed,
        old: Words,
        change: Words,
        point: OperatingPoint,
        classes: Words,
        switching: Words,
    ) -> None:
        """Pulse row after row, each until it is right or its retries are used up; add to `done`.

        Which draws are a row's depends on the retries of the rows before. Runs of rows that are right after
        one pulse are done at once; a row that is not is done alone.
        """
        drawn = np.zeros((0, classes.shape[0], 2, old.shape[1]), dtype=np.uint64)

        def draw(pulses: int) -> Words:
            """Return the draws of the next pulses; each row that is left takes at least one."""
            nonlocal drawn
            if len(drawn) < pulses:
                more = [block for _, block in self._draw(point, len(old) - row - len(drawn))]
                drawn = np.concatenate([drawn, *more])
            return drawn[:pulses]

        def fails(rows: slice, pulsed: Words) -> Words:
            """Pulse rows once; return which of the cells that were pulsed fail."""
            both = _of_class(draw(len(pulsed)), classes[:, rows])
            return pulsed & (_of_direction(old[rows], *both) | ~switching[rows])

        row, run = 0, _FIRST_RUN
        while row < len(old):
            rows = slice(row, min(row + run, len(old)))
            wrong = fails(rows, change[rows])
            bad = np.flatnonzero(wrong.any(axis=1))
            right = int(bad[0]) if len(bad) else rows.stop - rows.start
            drawn = drawn[right:]
            row += right
            run *= 2
            if not len(bad):
                continue
            run = max(1, run // 4)
            one = slice(row, row + 1)
            pulsed = change[one]
            for attempt in range(1 + point.max_retries):
                if attempt:
                    done.pulses[row] += 1
                    done.bits_01[one] += _popcount(pulsed & ~old[one])
                    done.bits_10[one] += _popcount(pulsed & old[one])
                pulsed = fails(one, pulsed)
                drawn = drawn[1:]
                done.failed_01[one] += _popcount(pulsed & ~old[one])
                done.failed_10[one] += _popcount(pulsed & old[one])
                if not pulsed.any():
                    break
            done.wrong[one] = pulsed
            row += 1

    def _draw(self, point: OperatingPoint, pulses: int) -> Iterator[tuple[slice, Words]]:
        """Yield which cells fail in each of the next pulses, if of a class and going in a direction.

        Yields
        ------
        slice
            A block of the pulses.
        uint64 [block, classes, 2, Lc]
            Direction 0 is from 0 to 1.
        """
        slices = self.geometry.cell_slices
        by_class = point.by_class if self.geometry.memory.variability else point.by_class[:1]
        for first in range(0, pulses, _BLOCK_PULSES):
            count = min(_BLOCK_PULSES, pulses - first)
            words = self._rng.random_raw(count * PROBABILITY_BITS * slices)
            planes = np.ascontiguousarray(words.reshape(count, PROBABILITY_BITS, slices).swapaxes(0, 1))
            fail = np.zeros((count, len(by_class), 2, slices), dtype=np.uint64)
            drawn = {p: bernoulli(planes, p) for p in {p for both in by_class for p in both}}
            for number, both in enumerate(by_class):
                for direction, p in enumerate(both):
                    fail[:, number, direction] = drawn[p]
            yield slice(first, first + count), fail

    def _class_masks(self, banks: Indices, rows: Indices) -> tuple[Words, Words]:
        """Return the cells of each class, uint64 [classes, n, Lc], and those not stuck, uint64 [n, Lc]."""
        row = pack(np.ones(self.geometry.row_cells, dtype=np.uint8))
        cells = np.broadcast_to(row, (len(banks), len(row)))
        if not self.geometry.memory.variability:
            return cells[None], cells
        masks = self.chip.class_masks(self.geometry, banks, rows)
        switching = cells.copy()
        for mask, stuck in zip(masks, self.chip.stuck, strict=True):
            if stuck:
                switching &= ~mask
        return masks, switching

    def _count_pulses(self, banks: Indices, done: _Pulsed, redundant: Counts, point: OperatingPoint) -> None:
        energy = redundant * np.uint64(point.energy_redundant_aj)
        energy += done.bits_01 * np.uint64(point.energy_01_aj) + done.bits_10 * np.uint64(point.energy_10_aj)
        if self.geometry.memory.self_terminated:
            failed_01_aj, failed_10_aj = point.failed_energies_aj
            # Unsigned on purpose: a difference may wrap, the sum does not.
            energy += done.failed_01 * np.uint64((failed_01_aj - point.energy_01_aj) % 2**64)
            energy += done.failed_10 * np.uint64((failed_10_aj - point.energy_10_aj) % 2**64)
            self._count("failed_pulses_01", banks, done.failed_01)
            self._count("failed_pulses_10", banks, done.failed_10)
        self._count("pulses", banks, done.pulses)
        self._count("bits_01", banks, done.bits_01)
        self._count("bits_10", banks, done.bits_10)
        self._count("redundant_pulses", banks, redundant)
        self._count("failed_bits", banks, _popcount(done.wrong))
        self._count("retries", banks, done.pulses - 1)
        self._count("program_energy_aj", banks, energy)

    def _count(self, name: str, banks: Indices, amounts: NDArray[Any]) -> None:
        np.add.at(self.counters[name], banks, amounts.astype(np.uint64))

    def _count_reads(self, banks: Indices, rows: Indices, reads: NDArray[Any]) -> None:
        self._count("row_reads", banks, reads)
        self._count("read_energy_aj", banks, reads.astype(np.uint64) * np.uint64(self.read_row_energy_aj))
        groups = rows >> read_group_shift(self.geometry)
        for group in range(self.geometry.memory.read_groups):
            self._count(f"group_reads_{group}", banks, reads * (groups == group))

    def _count_reading(self, banks: Indices, reading: Reading, times: int) -> None:
        if self.geometry.memory.secded:
            self._count("corrected_reads", banks, reading.corrected * times)
            self._count("uncorrectable_reads", banks, reading.uncorrectable * times)
        if self.geometry.memory.differential:
            self._count("tied_reads", banks, reading.tied * times)


def _popcount(rows: Words) -> Counts:
    """Return the number of ones of each row, uint64 [...], of uint64 [..., Lc]."""
    ones: Counts = np.bitwise_count(rows).sum(axis=-1, dtype=np.uint64)
    return ones


def _of_class(drawn: Words, classes: Words) -> tuple[Words, Words]:
    """Return which cells fail going from 0 to 1 and from 1 to 0, uint64 [n, Lc], each by its class.

    Parameters
    ----------
    drawn : uint64 [n, classes, 2, Lc]
    classes : uint64 [classes, n, Lc]
    """
    if len(classes) == 1:  # of all cells
        return drawn[:, 0, 0], drawn[:, 0, 1]
    of_class = drawn & classes.swapaxes(0, 1)[:, :, None]
    fail: Words = np.bitwise_or.reduce(of_class, axis=1)
    return fail[:, 0], fail[:, 1]


def _of_direction(old: Words, from_0: Words, from_1: Words) -> Words:
    """Return bits of `from_1` where a cell holds 1, else of `from_0`."""
    return (old & from_1) | (~old & from_0)
