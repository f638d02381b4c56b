"""Streams whose beats the wrapper takes from files: Python wakes at their end, and to report progress."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cocotb.triggers import First, Timer
from numpy.typing import NDArray

from spinbnn.sim.testbench.files import Bytes, write_beats, write_pauses
from spinbnn.sim.testbench.wrapper import CLOCK_NS, beat_file

Done = Callable[[int], None]

_REPORT_CLOCKS = 50_000
# Of jobs: no two in a simulation are the same, or one that is done could be taken for the next.
_NUMBERS = itertools.count(1)


class _Stream:
    """A stream of the wrapper's.

    Attributes
    ----------
    beats
        The signal that counts accepted beats.
    """

    def __init__(self, dut: Any, prefix: str) -> None:
        self._job = getattr(dut, f"{prefix}_job")
        self._total = getattr(dut, f"{prefix}_total")
        self._file = Path(beat_file(prefix))
        self.beats = getattr(dut, f"{prefix}_beats")

    def _begin(self, total: int) -> int:
        """Let the wrapper begin with its file, of `total` records; return the number of the job."""
        job = next(_NUMBERS)
        self._total.value = total
        self._job.value = job
        return job


class Player(_Stream):
    """Sends beats on a stream.

    Parameters
    ----------
    dut
        The wrapper.
    prefix : str
        Of the stream's signals.
    """

    def __init__(self, dut: Any, prefix: str) -> None:
        super().__init__(dut, prefix)
        self._valid = getattr(dut, f"{prefix}valid")
        self._done = getattr(dut, f"{prefix}_done")

    def begin(self, data: Bytes, last: Bytes, pauses: NDArray[np.int64]) -> int:
        """Offer beats from now on; return the number of the job.

        Parameters
        ----------
        data : uint8 [n, bytes]
            Low byte first.
        last : uint8 [n]
        pauses : int64 [n]
            Clocks before each beat.
        """
        write_beats(self._file, data, last, pauses)
        return self._begin(len(data))

    async def send(
        self, data: Bytes, last: Bytes, pauses: NDArray[np.int64], done: Done | None = None
    ) -> None:
        """Send beats; returns when the last is accepted.

        Parameters
        ----------
        data, last, pauses
            As of `begin`.
        done : callable, optional
            Hears now and then how many beats were accepted.
        """
        before = int(self.beats.value)
        job = self.begin(data, last, pauses)
        while int(self._done.value) != job:
            await First(self._done.value_change, Timer(_REPORT_CLOCKS * CLOCK_NS, "ns"))
            if done is not None:
                done(int(self.beats.value) - before)

    def stop(self) -> None:
        """Offer no beat."""
        self._job.value = 0
        self._valid.value = 0


class Recorder(_Stream):
    """Takes every beat of a stream into the wrapper's log.

    Parameters
    ----------
    dut
        The wrapper.
    prefix : str
        Of the stream's signals.
    """

    def __init__(self, dut: Any, prefix: str) -> None:
        super().__init__(dut, prefix)
        self._ready = getattr(dut, f"{prefix}ready")

    def start(self, pauses: NDArray[np.int64] | None = None) -> None:
        """Take beats from now on, with a pause of so many clocks, int64 [n], behind each of the first n."""
        if pauses is None:
            pauses = np.zeros(0, dtype=np.int64)
        write_pauses(self._file, pauses)
        self._begin(len(pauses))

    def stop(self) -> None:
        """Take no beats."""
        self._job.value = 0
        self._ready.value = 0
