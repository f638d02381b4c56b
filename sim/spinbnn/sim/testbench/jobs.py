"""The cocotb tests of a run: one for each job in its directory."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Affine, LayerTrace, Network, classify, forward, trace
from spinbnn.golden.operating_point import POINTS
from spinbnn.golden.placement import place, program_rows, stored_network
from spinbnn.sim import schedule
from spinbnn.sim.spec import RunJob, StallProfile
from spinbnn.sim.testbench.axi_lite import BusError
from spinbnn.sim.testbench.backdoor import UnknownBitsError
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory, ProgressFile
from spinbnn.sim.testbench.machine import HangError, Machine, ResultBeats
from spinbnn.sim.testbench.scoreboard import Scoreboard

RUN_DIRECTORY = Path(os.environ[DIRECTORY_VARIABLE])
gc.freeze()  # what was imported need not be searched for garbage again and again
CASES = sorted(path.name for path in RUN_DIRECTORY.glob("case*"))


@cocotb.test()
@cocotb.parametrize(case=CASES)
async def job(dut: Any, case: str) -> None:
    """Program a network, run images, compare everything with golden."""
    directory = CaseDirectory(RUN_DIRECTORY / case)
    run = JobRun(dut, directory.read_job(), ProgressFile(RUN_DIRECTORY))
    try:
        await run.execute()
    except (HangError, BusError, UnknownBitsError) as error:
        run.scoreboard.note(str(error))
    directory.write_result(run.result())
    assert run.scoreboard.first_difference is None, run.scoreboard.first_difference


class JobRun:
    """Executes one job.

    Parameters
    ----------
    dut
        The wrapper.
    job : RunJob
    progress : ProgressFile
    """

    def __init__(self, dut: Any, job: RunJob, progress: ProgressFile) -> None:
        self._job = job
        self._progress = progress
        self._machine = Machine(dut, job.geometry, job.stalls or StallProfile())
        self._placement = place(job.network, job.geometry)
        self._packets = program_rows(job.network, self._placement, job.geometry)
        self._golden = MramArray(job.geometry, job.seed, job.geometry.word_bits * job.read_bit_energy_aj)
        self._random_state = self._golden.rng_state
        self.scoreboard = Scoreboard(job.network, self._placement)
        self._first_clock = self._machine.clock
        self._started = time.monotonic()
        self._measured: dict[str, Any] = {}

    async def execute(self) -> None:
        """Do everything; differences go to the scoreboard.

        Raises
        ------
        HangError, BusError, UnknownBitsError
            If the machine cannot go on.
        """
        machine, job = self._machine, self._job
        await machine.reset()
        await machine.array.load(np.zeros_like(self._golden.cells))
        await machine.clear_counters()
        await machine.write("READ_ROW_ENERGY", self._golden.read_row_energy_aj)
        await machine.load_network(job.network, self._placement)
        await machine.set_random_state(self._random_state)
        program_clocks = await self._load_weights()
        stored = await machine.array.dump()
        self.scoreboard.cells(stored, self._golden.cells)
        self._measure_cells(stored)
        run_clocks = await self._run_images()
        await self._compare_counters(program_clocks, run_clocks)

    async def _load_weights(self) -> int:
        """Bring the network into the array; return how many clocks the controller should take."""
        machine, job = self._machine, self._job
        logs = [self._golden.program(packet, job.point) for packet in self._packets]
        if job.loading == "backdoor":
            await machine.array.load(self._golden.cells)
            for counts in self._golden.counters.values():
                counts[:] = 0
            return 0
        self._random_state = self._golden.rng_state
        clocks = sum(schedule.predict_program_clocks(log, job.point, job.geometry) for log in logs)
        rows = sum(len(packet.rows) for packet in self._packets)
        index = job.seed % 4  # which entry of the table is used must not matter
        await machine.set_point(index, job.point)
        programming = machine.program(
            self._packets, index, lambda done: self._progress.write("program", done, rows)
        )
        await machine.within(self._patience(clocks), programming, "programming")
        self._progress.write("program", rows, rows)
        return clocks

    async def _run_images(self) -> schedule.RunClocks:
        """Stream the images, compare activations and results; return the run's schedule."""
        machine, job = self._machine, self._job
        images = len(job.images)
        predicted = schedule.predict_run_clocks(job.network, self._placement, images)
        traces = trace(stored_network(job.network, self._placement, self._golden.cells), job.images)
        logits = _logits(job.network, traces)
        await machine.activations.take()
        try:
            hang = None
            results = await machine.run(
                job.network,
                job.images,
                self._patience(predicted.total),
                lambda done: self._progress.write("images", done, images),
            )
        except HangError as error:
            hang, results = error, ResultBeats()
        self._progress.write("compare", 0, 1)
        self.scoreboard.activations(await machine.activations.take(), traces)
        if hang is not None:
            raise hang
        self.scoreboard.results(results.beats, results.clocks, logits)
        self._measure_results(results, logits)
        return predicted

    async def _compare_counters(self, program_clocks: int, run_clocks: schedule.RunClocks) -> None:
        machine, job, scoreboard = self._machine, self._job, self.scoreboard
        self._golden.count_inference(self._placement, -(-len(job.images) // job.geometry.lanes))
        counters = await machine.counters()
        scoreboard.counters(counters, self._golden.counters)
        scoreboard.random_state(await machine.random_state(), self._random_state)
        scoreboard.cells(await machine.array.dump(), self._golden.cells)
        measured = {
            name: await machine.read_clocks(name.upper())
            for name in ("program_clocks", "beat_clocks", "run_clocks")
        }
        scoreboard.clocks("PROGRAM_CLOCKS", measured["program_clocks"], program_clocks)
        scoreboard.clocks("BEAT_CLOCKS", measured["beat_clocks"], run_clocks.beats)
        if job.stalls is None:
            scoreboard.clocks("RUN_CLOCKS", measured["run_clocks"], run_clocks.total)
        self._progress.write("compare", 1, 1)
        geometry = job.geometry
        operations = schedule.binary_operations(job.network) * len(job.images)
        array = geometry.banks * geometry.word_bits * geometry.lanes
        self._measured |= measured | {
            "counters": {name: counts.tolist() for name, counts in counters.items()},
            "bits_programmed": (counters["bits_01"] + counters["bits_10"]).tolist(),
            "run_clocks_predicted": run_clocks.total if job.stalls is None else None,
            "program_clocks_predicted": program_clocks,
            "utilisation": operations / (measured["run_clocks"] * array),
        }

    def _measure_cells(self, stored: Words) -> None:
        """Note how many stored bits are not the intended ones."""
        ideal = MramArray(self._job.geometry, 0)
        for packet in self._packets:
            ideal.program(packet, POINTS["ideal"])
        wrong = np.bitwise_count(stored ^ ideal.cells).sum(axis=(1, 2), dtype=np.int64)
        self._measured["bits_wrong"] = wrong.tolist()

    def _measure_results(self, results: ResultBeats, logits: NDArray[np.int32]) -> None:
        """Note the accuracies and the pace of the images."""
        job = self._job
        done = [clock for clock, (_, last) in zip(results.clocks, results.beats, strict=True) if last]
        classes = [data for data, last in results.beats if last]
        self._measured |= {
            "accuracy_ideal": self._accuracy(classify(forward(job.network, job.images)).tolist()),
            "accuracy_golden": self._accuracy(classify(logits).tolist()),
            "accuracy_rtl": self._accuracy(classes),
        }
        self._measured["steady_clocks_per_image"] = schedule.steady_clocks_per_image(done, job.geometry.lanes)

    def _accuracy(self, classes: list[int]) -> float | None:
        labels = self._job.labels
        if labels is None:
            return None
        right = sum(int(is_ == should) for is_, should in zip(classes, labels.tolist(), strict=False))
        return float(right / len(labels))

    def _patience(self, clocks: int) -> int:
        """Return after how many clocks something that should take `clocks` is given up."""
        stalls = self._job.stalls or StallProfile()
        going = 1 - max(stalls.image_idle, stalls.program_idle, stalls.result_pause, stalls.axi_idle)
        return 20_000 + int(3 * clocks / going)

    def result(self) -> dict[str, Any]:
        """Return what there is of a `RunResult`, plain JSON types."""
        difference = self.scoreboard.first_difference
        return self._measured | {
            "match": difference is None,
            "first_difference": difference,
            "compared": self.scoreboard.compared,
            "simulated_clocks": self._machine.clock - self._first_clock,
            "simulation_seconds": time.monotonic() - self._started,
        }


def _logits(network: Network, traces: list[LayerTrace]) -> NDArray[np.int32]:
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    return head.logits(traces[-1].sums)
