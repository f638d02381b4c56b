"""The array's cells and the lanes' activations, past the machine's interfaces: through files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.triggers import Timer
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Words
from spinbnn.golden.geometry import Geometry
from spinbnn.sim.testbench.wrapper import ACTIVATION_LOG, bank_file


class UnknownBitsError(Exception):
    """A memory or signal holds bits that are neither 0 nor 1."""


def words_to_hex(words: Words) -> list[str]:
    """Return words, uint64 [n, L], as hexadecimal numbers, most significant digit first."""
    big_endian = words[:, ::-1].astype(">u8")
    return [row.tobytes().hex() for row in big_endian]


def hex_to_words(numbers: list[str], slices: int) -> Words:
    """Return hexadecimal numbers as words, uint64 [n, L].

    Raises
    ------
    UnknownBitsError
        If a digit is x or z.
    """
    digits = slices * SLICE_BITS // 4
    try:
        raw = bytes.fromhex("".join(number.zfill(digits) for number in numbers))
    except ValueError:
        index, number = next((i, n) for i, n in enumerate(numbers) if set(n.lower()) & set("xz"))
        raise UnknownBitsError(f"word {index} is {number}") from None
    words = np.frombuffer(raw, dtype=">u8").reshape(-1, slices)[:, ::-1]
    return words.astype(np.uint64)


class ArrayBackdoor:
    """Reads and writes all cells of all banks at once, in no simulated time worth mentioning.

    Parameters
    ----------
    dut
        The wrapper.
    geometry : Geometry
    """

    def __init__(self, dut: Any, geometry: Geometry) -> None:
        self._dut = dut
        self._geometry = geometry

    async def load(self, cells: Words) -> None:
        """Write all cells, uint64 [banks, rows, Lc]."""
        digits = (self._geometry.row_cells + 3) // 4
        for bank, rows in enumerate(cells):
            numbers = [number[-digits:] for number in words_to_hex(rows)]
            Path(bank_file(bank)).write_text("\n".join(numbers) + "\n")
        await self._pulse(self._dut.load_array)
        self._remove_files()

    async def dump(self) -> Words:
        """Return all cells, uint64 [banks, rows, Lc].

        Raises
        ------
        UnknownBitsError
            If a bit is neither 0 nor 1.
        """
        await self._pulse(self._dut.dump_array)
        geometry = self._geometry
        cells = np.empty((geometry.banks, geometry.rows, geometry.cell_slices), dtype=np.uint64)
        for bank in range(geometry.banks):
            lines = Path(bank_file(bank)).read_text().split("\n")
            numbers = [line for line in lines if line and not line.startswith("//")]
            try:
                cells[bank] = hex_to_words(numbers, geometry.cell_slices)
            except UnknownBitsError as error:
                raise UnknownBitsError(f"bank {bank}: {error}") from None
        self._remove_files()
        return cells

    async def _pulse(self, signal: Any) -> None:
        signal.value = 1
        await Timer(1, "ns")
        signal.value = 0
        await Timer(1, "ns")

    def _remove_files(self) -> None:
        for bank in range(self._geometry.banks):
            Path(bank_file(bank)).unlink()


@dataclass(frozen=True)
class ActivationWrites:
    """Words written into a lane's activation memory, in order.

    Parameters
    ----------
    clocks : int64 [n]
        Number of the clock in which each was written.
    addresses : int64 [n]
    words : uint64 [n, L]
    """

    clocks: NDArray[np.int64]
    addresses: NDArray[np.int64]
    words: Words


class ActivationMonitor:
    """Reads the log that the wrapper keeps of the lanes' activation write ports.

    Parameters
    ----------
    dut
        The wrapper.
    geometry : Geometry
    """

    def __init__(self, dut: Any, geometry: Geometry) -> None:
        self._dut = dut
        self._geometry = geometry
        self._position = 0

    async def take(self) -> list[ActivationWrites]:
        """Return what each lane wrote since the last call.

        Raises
        ------
        UnknownBitsError
            If a word has a bit that is neither 0 nor 1.
        """
        self._dut.flush_log.value = 1
        await Timer(1, "ns")
        self._dut.flush_log.value = 0
        await Timer(1, "ns")
        with Path(ACTIVATION_LOG).open() as log:
            log.seek(self._position)
            lines = [line.split() for line in log.read().splitlines()]
            self._position = log.tell()
        return [
            self._of_lane([line for line in lines if int(line[0]) == n]) for n in range(self._geometry.lanes)
        ]

    def _of_lane(self, lines: list[list[str]]) -> ActivationWrites:
        numbers = [[int(line[1]), int(line[2], 10)] for line in lines]
        clocks, addresses = np.array(numbers, dtype=np.int64).reshape(-1, 2).T
        return ActivationWrites(
            clocks, addresses, hex_to_words([line[3] for line in lines], self._geometry.slices)
        )
