"""The cocotb tests of a run: one for each job in its directory."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import cocotb

from spinbnn.sim.model import Step
from spinbnn.sim.spec import RunJob, StallProfile
from spinbnn.sim.testbench.axi_lite import BusError
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory, ProgressFile
from spinbnn.sim.testbench.files import UnknownBitsError
from spinbnn.sim.testbench.judge import CLOCK_COUNTS, Judge
from spinbnn.sim.testbench.machine import HangError, Machine

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
        self._judge = Judge(job)
        self.scoreboard = self._judge.scoreboard
        self._first_clock = self._machine.clock

    async def execute(self) -> None:
        """Do everything; differences go to the scoreboard.

        Raises
        ------
        HangError, BusError, UnknownBitsError
            If the machine cannot go on.
        """
        machine, job, judge = self._machine, self._job, self._judge
        await machine.reset()
        await machine.array.load(judge.expected.loaded)
        await machine.clear_counters()
        await machine.write("READ_ROW_ENERGY", judge.read_row_energy_aj)
        await machine.load_network(job.network, judge.placement)
        await machine.set_random_state(judge.first_random_state)
        await machine.set_chip(job.chip)
        for point in job.points:
            await machine.set_point(judge.index(point), point)
        if job.geometry.memory.activation_generators:
            await machine.set_activation_point(job.activation_point)
        for step in judge.expected.steps:
            await self._do_step(step)
        judge.cells(await machine.array.dump())
        await self._run_images()
        await self._compare_counters()

    async def _do_step(self, step: Step) -> None:
        """Program, age or scrub the array."""
        machine, index = self._machine, self._judge.index(step.point)
        if step.kind == "program":
            doing = machine.program(
                step.packets, index, lambda done: self._progress.write("program", done, step.rows)
            )
        else:
            doing = machine.go_over_rows(step.kind, step.first_row, step.last_row, index)
        await machine.within(self._judge.patience(step.clocks), doing, step.name)
        self._progress.write("program", step.rows, step.rows)

    async def _run_images(self) -> None:
        """Stream the images, and have judged what was seen."""
        machine, job, judge = self._machine, self._job, self._judge
        images, per_image = len(job.images), job.network.outputs + 1
        await machine.monitor.take()
        hang = None
        try:
            await machine.run(
                job.images,
                judge.pauses,
                judge.patience(judge.expected.run.total),
                lambda results: self._progress.write("images", results // per_image, images),
            )
        except HangError as error:
            hang = error
        self._progress.write("compare", 0, 1)
        judge.images(await machine.monitor.take(), finished=hang is None)
        if hang is not None:
            raise hang

    async def _compare_counters(self) -> None:
        machine, judge = self._machine, self._judge
        judge.counters(await machine.counters(), await machine.random_state())
        judge.cells(await machine.array.dump())
        judge.clocks({name: await machine.read_clocks(name.upper()) for name in CLOCK_COUNTS})
        self._progress.write("compare", 1, 1)

    def result(self) -> dict[str, Any]:
        """Return what there is of a `RunResult`, plain JSON types."""
        machine = self._machine
        return self._judge.result(machine.clock - self._first_clock, machine.run_seconds)
