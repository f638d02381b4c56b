"""The array's cells and the wrapper's logs, past the machine's interfaces: through files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cocotb.triggers import Timer

from spinbnn.golden.encoding import Words
from spinbnn.golden.geometry import Geometry
from spinbnn.sim.testbench.files import read_cells, remove_cells, write_cells
from spinbnn.sim.testbench.observation import Logs, RunObservation


async def _pulse(signal: Any) -> None:
    signal.value = 1
    await Timer(1, "ns")
    signal.value = 0
    await Timer(1, "ns")


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
        write_cells(Path(), self._geometry, cells)
        await _pulse(self._dut.load_array)
        remove_cells(Path(), self._geometry)

    async def dump(self) -> Words:
        """Return all cells, uint64 [banks, rows, Lc].

        Raises
        ------
        UnknownBitsError
            If a bit is neither 0 nor 1.
        """
        await _pulse(self._dut.dump_array)
        cells = read_cells(Path(), self._geometry)
        remove_cells(Path(), self._geometry)
        return cells


class RunMonitor:
    """Reads the logs that the wrapper keeps.

    Parameters
    ----------
    dut
        The wrapper.
    geometry : Geometry
    """

    def __init__(self, dut: Any, geometry: Geometry) -> None:
        self._dut = dut
        self._logs = Logs(Path(), geometry)

    async def take(self) -> RunObservation:
        """Return what was seen since the last call.

        Raises
        ------
        UnknownBitsError
            If a bit is neither 0 nor 1.
        """
        await _pulse(self._dut.flush_logs)
        return self._logs.take()
