"""The cocotb tests of a run: one for each job in its directory."""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from typing import Any

import cocotb

from spinbnn.golden.network import classify, forward
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.point_map import TABLE_POINTS
from spinbnn.sim import schedule
from spinbnn.sim.model import MachineModel, Step
from spinbnn.sim.spec import RunJob, StallProfile
from spinbnn.sim.stalls import stream_pauses
from spinbnn.sim.testbench.axi_lite import BusError
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory, ProgressFile
from spinbnn.sim.testbench.files import UnknownBitsError
from spinbnn.sim.testbench.machine import HangError, Machine
from spinbnn.sim.testbench.observation import ResultBeats
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
        model = MachineModel(job)
        self._placement = model.placement
        self._read_row_energy_aj = model.array.read_row_energy_aj
        self._first_random_state = model.array.rng_state
        self._pauses = stream_pauses(job.stalls, job.network, model.placement, len(job.images))
        self._expected = model.run(self._pauses)
        self.scoreboard = Scoreboard(job.network, model.placement)
        self._first_clock = self._machine.clock
        self._started = time.monotonic()
        self._measured: dict[str, Any] = {"bits_wrong": self._expected.bits_wrong.tolist()}

    async def execute(self) -> None:
        """Do everything; differences go to the scoreboard.

        Raises
        ------
        HangError, BusError, UnknownBitsError
            If the machine cannot go on.
        """
        machine, job, expected = self._machine, self._job, self._expected
        await machine.reset()
        await machine.array.load(expected.loaded)
        await machine.clear_counters()
        await machine.write("READ_ROW_ENERGY", self._read_row_energy_aj)
        await machine.load_network(job.network, self._placement)
        await machine.set_random_state(self._first_random_state)
        await machine.set_chip(job.chip)
        for point in job.points:
            await machine.set_point(self._index(point), point)
        if job.geometry.memory.activation_generators:
            await machine.set_activation_point(job.activation_point)
        for step in expected.steps:
            await self._do_step(step)
        self.scoreboard.cells(await machine.array.dump(), expected.cells)
        await self._run_images()
        await self._compare_counters()

    def _index(self, point: OperatingPoint) -> int:
        """Return the entry of the machine's table that holds a point; which one must not matter."""
        return (self._job.points.index(point) + self._job.seed) % TABLE_POINTS

    async def _do_step(self, step: Step) -> None:
        """Program, age or scrub the array."""
        machine, index = self._machine, self._index(step.point)
        if step.kind == "program":
            doing = machine.program(
                step.packets, index, lambda done: self._progress.write("program", done, step.rows)
            )
        else:
            doing = machine.go_over_rows(step.kind, step.first_row, step.last_row, index)
        await machine.within(self._patience(step.clocks), doing, f"{step.kind} of {step.rows} rows")
        self._progress.write("program", step.rows, step.rows)

    async def _run_images(self) -> None:
        """Stream the images; compare activations, results, and the clock of everything."""
        machine, job, expected, board = self._machine, self._job, self._expected, self.scoreboard
        images, per_image = len(job.images), job.network.outputs + 1
        await machine.monitor.take()
        hang = None
        try:
            await machine.run(
                job.images,
                self._pauses,
                self._patience(expected.run.total),
                lambda results: self._progress.write("images", results // per_image, images),
            )
        except HangError as error:
            hang = error
        self._progress.write("compare", 0, 1)
        seen = await machine.monitor.take()
        board.activations(seen.activations, expected.inference.hidden)
        if hang is not None:
            raise hang
        board.results(seen.results, expected.inference.logits)
        if len(seen.results.clocks):
            board.timing(seen, expected.run, int(seen.results.clocks[-1]) - expected.run.total)
        self._measure_results(seen.results)

    async def _compare_counters(self) -> None:
        machine, job, board, expected = self._machine, self._job, self.scoreboard, self._expected
        counters = await machine.counters()
        board.counters(counters, expected.counters)
        board.random_state(await machine.random_state(), expected.random_state)
        board.cells(await machine.array.dump(), expected.cells)
        measured = {
            name: await machine.read_clocks(name.upper())
            for name in ("program_clocks", "beat_clocks", "run_clocks")
        }
        board.clocks("PROGRAM_CLOCKS", measured["program_clocks"], expected.program_clocks)
        board.clocks("BEAT_CLOCKS", measured["beat_clocks"], expected.run.beats)
        board.clocks("RUN_CLOCKS", measured["run_clocks"], expected.run.total)
        self._progress.write("compare", 1, 1)
        geometry = job.geometry
        operations = schedule.binary_operations(job.network) * len(job.images)
        array = geometry.banks * geometry.word_bits * geometry.lanes
        self._measured |= measured | {
            "counters": {name: counts.tolist() for name, counts in counters.items()},
            "bits_programmed": (counters["bits_01"] + counters["bits_10"]).tolist(),
            "run_clocks_predicted": expected.run.total,
            "program_clocks_predicted": expected.program_clocks,
            "utilisation": operations / (measured["run_clocks"] * array),
        }

    def _measure_results(self, results: ResultBeats) -> None:
        """Note the accuracies and the pace of the images."""
        job = self._job
        ends = results.last == 1
        self._measured |= {
            "accuracy_ideal": self._accuracy(classify(forward(job.network, job.images)).tolist()),
            "accuracy_golden": self._accuracy(self._expected.inference.classes.tolist()),
            "accuracy_rtl": self._accuracy(results.data[ends].tolist()),
        }
        self._measured["steady_clocks_per_image"] = schedule.steady_clocks_per_image(
            results.clocks[ends], job.geometry.lanes
        )

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
