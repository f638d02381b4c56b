"""Judges a job: what was seen of the machine against the model, and what is measured on the way.

It knows nothing of who drives the machine. Everything is given to it in the order of cause and effect.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words
from spinbnn.golden.mram import Counts
from spinbnn.golden.network import classify, forward
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.point_map import TABLE_POINTS
from spinbnn.sim import schedule
from spinbnn.sim.model import MachineModel
from spinbnn.sim.spec import RunJob, StallProfile
from spinbnn.sim.stalls import stream_pauses
from spinbnn.sim.testbench.observation import ResultBeats, RunObservation
from spinbnn.sim.testbench.scoreboard import Scoreboard

CLOCK_COUNTS = ("program_clocks", "beat_clocks", "run_clocks")
"""What the machine counts in registers of these names, in capitals, with _LO and _HI."""


class Judge:
    """Compares and measures one job.

    Parameters
    ----------
    job : RunJob

    Attributes
    ----------
    placement : Placement
    read_row_energy_aj : int
    first_random_state : tuple of int
        The random stream's four words before the job.
    pauses : StreamPauses
        How the outside must hold back the streams.
    expected : Outcome
        What the model says.
    scoreboard : Scoreboard
    """

    def __init__(self, job: RunJob) -> None:
        self._job = job
        model = MachineModel(job)
        self.placement = model.placement
        self.read_row_energy_aj = model.array.read_row_energy_aj
        self.first_random_state = model.array.rng_state
        self.pauses = stream_pauses(job.stalls, job.network, model.placement, len(job.images))
        self.expected = model.run(self.pauses)
        self.scoreboard = Scoreboard(job.network, model.placement)
        self._started = time.monotonic()
        self._measured: dict[str, Any] = {"bits_wrong": self.expected.bits_wrong.tolist()}

    def index(self, point: OperatingPoint) -> int:
        """Return the entry of the machine's table that holds a point; which one must not matter."""
        return (self._job.points.index(point) + self._job.seed) % TABLE_POINTS

    def patience(self, clocks: int) -> int:
        """Return after how many clocks something that should take `clocks` is given up."""
        stalls = self._job.stalls or StallProfile()
        going = 1 - max(stalls.image_idle, stalls.program_idle, stalls.result_pause, stalls.axi_idle)
        return 20_000 + int(3 * clocks / going)

    def cells(self, cells: Words) -> None:
        """Compare the array, uint64 [banks, rows, Lc], which no image changes."""
        self.scoreboard.cells(cells, self.expected.cells)

    def images(self, seen: RunObservation, *, finished: bool = True) -> None:
        """Compare activations, results, and the clock of everything; of a broken-off run activations only."""
        board, expected = self.scoreboard, self.expected
        board.activations(seen.activations, expected.inference.hidden)
        if not finished:
            return
        board.results(seen.results, expected.inference.logits)
        if len(seen.results.clocks):
            board.timing(seen, expected.run, int(seen.results.clocks[-1]) - expected.run.total)
        self._measure_results(seen.results)

    def _measure_results(self, results: ResultBeats) -> None:
        """Note the accuracies and the pace of the images."""
        job = self._job
        ends = results.last == 1
        if job.labels is not None:
            ideal = classify(forward(job.network, job.images))
            self._measured |= {
                "accuracy_ideal": _accuracy(ideal.tolist(), job.labels),
                "accuracy_golden": _accuracy(self.expected.inference.classes.tolist(), job.labels),
                "accuracy_rtl": _accuracy(results.data[ends].tolist(), job.labels),
            }
        self._measured["steady_clocks_per_image"] = schedule.steady_clocks_per_image(
            results.clocks[ends], job.geometry.lanes
        )

    def counters(self, counters: dict[str, Counts], random_state: Sequence[int]) -> None:
        """Compare all counters and the random stream's state."""
        self.scoreboard.counters(counters, self.expected.counters)
        self.scoreboard.random_state(random_state, self.expected.random_state)
        self._measured |= {
            "counters": {name: counts.tolist() for name, counts in counters.items()},
            "bits_programmed": (counters["bits_01"] + counters["bits_10"]).tolist(),
        }

    def clocks(self, measured: dict[str, int]) -> None:
        """Compare what the machine counted of clocks, by the names in `CLOCK_COUNTS`."""
        job, expected = self._job, self.expected
        predicted = (expected.program_clocks, expected.run.beats, expected.run.total)
        for name, clocks in zip(CLOCK_COUNTS, predicted, strict=True):
            self.scoreboard.clocks(name.upper(), measured[name], clocks)
        operations = schedule.binary_operations(job.network) * len(job.images)
        array = job.geometry.banks * job.geometry.word_bits * job.geometry.lanes
        self._measured |= measured | {
            "run_clocks_predicted": expected.run.total,
            "program_clocks_predicted": expected.program_clocks,
            "utilisation": operations / (measured["run_clocks"] * array),
        }

    def result(self, simulated_clocks: int, run_seconds: float) -> dict[str, Any]:
        """Return what there is of a `RunResult`, plain JSON types.

        Parameters
        ----------
        simulated_clocks : int
            Of all the job.
        run_seconds : float
            Of the processor, from the start of the images' run to its interrupt.
        """
        difference = self.scoreboard.first_difference
        return self._measured | {
            "match": difference is None,
            "first_difference": difference,
            "compared": self.scoreboard.compared,
            "simulated_clocks": simulated_clocks,
            "simulation_seconds": time.monotonic() - self._started,
            "run_seconds": run_seconds,
        }


def _accuracy(classes: list[int], labels: NDArray[np.uint8]) -> float:
    right = sum(int(is_ == should) for is_, should in zip(classes, labels.tolist(), strict=False))
    return float(right / len(labels))
