"""The cocotb tests of a run: one for each job in its directory."""

from __future__ import annotations

import gc
import os
import time
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import ActivationMemory
from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import Words
from spinbnn.golden.layers import Affine
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import LayerTrace, Network, classify, forward, trace
from spinbnn.golden.operating_point import POINTS, OperatingPoint
from spinbnn.golden.placement import place, program_rows, split_map, stored_network
from spinbnn.golden.point_map import TABLE_POINTS, assign_points
from spinbnn.sim import schedule
from spinbnn.sim.spec import Pass, RunJob, StallProfile
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
        self._assigned = assign_points(self._packets, job.point, job.ranges)
        read_row_energy_aj = job.geometry.row_cells * job.read_bit_energy_aj
        self._golden = MramArray(job.geometry, job.seed, read_row_energy_aj, job.chip)
        self._program_clocks = 0  # what the controller should take
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
        await machine.set_chip(job.chip)
        for point in job.points:
            await machine.set_point(self._index(point), point)
        if job.geometry.memory.activation_generators:
            await machine.set_activation_point(job.activation_point)
        await self._load_weights()
        for each in job.passes:
            await self._do_pass(each)
        self.scoreboard.cells(await machine.array.dump(), self._golden.cells)
        self._measure_bits()
        run_clocks = await self._run_images()
        await self._compare_counters(run_clocks)

    def _index(self, point: OperatingPoint) -> int:
        """Return the entry of the machine's table that holds a point; which one must not matter."""
        return (self._job.points.index(point) + self._job.seed) % TABLE_POINTS

    async def _load_weights(self) -> None:
        """Bring the network into the array."""
        if self._job.loading == "front-door":
            await self._program()
            return
        for packet, point in self._assigned:
            self._golden.program(packet, point)
        self._golden.rng_state = self._random_state  # the machine draws nothing
        await self._machine.array.load(self._golden.cells)
        for counts in self._golden.counters.values():
            counts[:] = 0

    async def _program(self) -> None:
        """Program the network through the stream."""
        machine, job = self._machine, self._job
        rows, before = sum(len(packet.rows) for packet in self._packets), 0
        for point, parts in groupby(self._assigned, key=itemgetter(1)):
            packets = [packet for packet, _ in parts]
            logs = [self._golden.program(packet, point) for packet in packets]
            clocks = sum(schedule.predict_program_clocks(log, point, job.geometry, job.chip) for log in logs)
            self._program_clocks += clocks
            report = partial(self._report_rows, before, rows)
            programming = machine.program(packets, self._index(point), report)
            await machine.within(self._patience(clocks), programming, "programming")
            before += sum(len(packet.rows) for packet in packets)
        self._report_rows(0, rows, rows)

    def _report_rows(self, before: int, rows: int, done: int) -> None:
        self._progress.write("program", before + done, rows)

    async def _do_pass(self, each: Pass) -> None:
        """Age, scrub or program the array again."""
        if each.kind == "program":
            await self._program()
            return
        machine, job, golden = self._machine, self._job, self._golden
        rows = each.last_row - each.first_row + 1
        if each.kind == "age":
            golden.age(each.first_row, each.last_row, each.point)
            clocks = schedule.predict_age_clocks(rows, each.point, job.geometry, job.chip)
        else:
            log = golden.scrub(each.first_row, each.last_row, each.point)
            clocks = schedule.predict_scrub_clocks(log, each.point, job.geometry, job.chip)
        self._program_clocks += clocks
        going = machine.go_over_rows(each.kind, each.first_row, each.last_row, self._index(each.point))
        await machine.within(self._patience(clocks), going, f"{each.kind} of {rows} rows")

    async def _run_images(self) -> schedule.RunClocks:
        """Stream the images, compare activations and results; return the run's schedule."""
        machine, job = self._machine, self._job
        images = len(job.images)
        predicted = schedule.predict_run_clocks(
            job.network, self._placement, images, job.activation_point.pulse_clocks
        )
        hidden, logits = self._infer()
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
        self.scoreboard.activations(await machine.activations.take(), hidden)
        if hang is not None:
            raise hang
        self.scoreboard.results(results.beats, results.clocks, logits)
        self._measure_results(results, logits)
        return predicted

    def _infer(self) -> tuple[list[Words], NDArray[np.int32]]:
        """Return golden's activations as stored, uint64 [images, words, L] a layer, and its logits."""
        job = self._job
        stored = stored_network(job.network, self._placement, self._golden.read_all())
        if job.geometry.memory.activation_generators:
            memory = ActivationMemory(self._placement, job.activation_point, len(job.images))
            logits = _logits(job.network, trace(stored, job.images, memory.store))
            self._golden.counters |= memory.counters
            return [memory.words[layer] for layer in sorted(memory.words)], logits
        traces = trace(stored, job.images)
        hidden = [
            split_map(traced.bits, layer, job.geometry.word_bits)
            for layer, traced in zip(job.network.layers, traces, strict=True)
            if traced.bits is not None
        ]
        return hidden, _logits(job.network, traces)

    async def _compare_counters(self, run_clocks: schedule.RunClocks) -> None:
        machine, job, scoreboard = self._machine, self._job, self.scoreboard
        self._golden.count_inference(self._placement, -(-len(job.images) // job.geometry.lanes))
        counters = await machine.counters()
        scoreboard.counters(counters, self._golden.counters)
        scoreboard.random_state(await machine.random_state(), self._golden.rng_state)
        scoreboard.cells(await machine.array.dump(), self._golden.cells)
        measured = {
            name: await machine.read_clocks(name.upper())
            for name in ("program_clocks", "beat_clocks", "run_clocks")
        }
        scoreboard.clocks("PROGRAM_CLOCKS", measured["program_clocks"], self._program_clocks)
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
            "program_clocks_predicted": self._program_clocks,
            "utilisation": operations / (measured["run_clocks"] * array),
        }

    def _measure_bits(self) -> None:
        """Note how many bits a read of the array gives other than intended."""
        ideal = MramArray(self._job.geometry, 0, chip=Chip(self._job.chip.seed))
        for packet in self._packets:
            ideal.program(packet, POINTS["ideal"])
        wrong = np.bitwise_count(self._golden.read_all() ^ ideal.read_all()).sum(axis=(1, 2), dtype=np.int64)
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
