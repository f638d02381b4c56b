"""Runs jobs in the harness: each in a process of its own, several beside each other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spinbnn.golden.errors import DataError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import Counts
from spinbnn.sim.builds import Build, Poll, first_error, new_run, random_reset, run_command
from spinbnn.sim.harness.build import build_harness
from spinbnn.sim.harness.script import Operation, Script, job_script
from spinbnn.sim.job_checks import check_job
from spinbnn.sim.results import run_result
from spinbnn.sim.spec import Progress, RunJob, RunResult
from spinbnn.sim.testbench.accesses import blank_counters, counter_selections
from spinbnn.sim.testbench.case import ProgressFile
from spinbnn.sim.testbench.files import UnknownBitsError, read_cells
from spinbnn.sim.testbench.judge import CLOCK_COUNTS, Judge
from spinbnn.sim.testbench.observation import Logs
from spinbnn.sim.tools import SimulatorError

_LOG = "simulation.log"


@dataclass(frozen=True)
class Driven:
    """What the driver gave.

    Parameters
    ----------
    done : int
        Records of the script that were done.
    clocks : int
        All that were simulated.
    run_seconds : float
        Of the processor, from the start of the images' run to its interrupt.
    seconds : float
        Of the processor, all of the process.
    failure : str or None
        Why it could not do the rest of the script.
    answers : list of int
        The words of registers that were read.
    """

    done: int
    clocks: int
    run_seconds: float
    seconds: float
    failure: str | None
    answers: list[int]


def run_job(job: RunJob, *, progress: Progress | None = None) -> RunResult:
    """Run a job in the harness and compare it with golden, as `spinbnn.sim.job.run_job` does in cocotb.

    The result is the same but for times and paths, `simulated_clocks` (an access to registers takes other
    clocks here), and `junit`, which is empty. Stalls of AXI4-Lite are left out, the job's simulator does
    not matter, and there are no waveforms.

    Parameters
    ----------
    job : RunJob
    progress : callable, optional

    Raises
    ------
    SpinbnnError
        If the job is impossible, or Verilator is missing or fails.
    """
    _check(job)
    report = progress or _silent
    report("build", 0, 1)
    build = build_harness(job.geometry, job.build_dir, poll=lambda: report("build", 0, 1))
    report("build", 1, 1)
    return _run(build, job, report)


def run_jobs(jobs: Sequence[RunJob], *, workers: int | None = None) -> list[RunResult]:
    """Run jobs, of any machines, several at a time; results come in the order of the jobs.

    Parameters
    ----------
    jobs : sequence of RunJob
    workers : int, optional
        How many at a time; by default as many as there are processors.

    Raises
    ------
    SpinbnnError
        If a job is impossible, or Verilator is missing or fails.
    """
    for job in jobs:
        _check(job)
    # Threads are enough: nearly all the time goes into the drivers, which are processes.
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        machines = list(dict.fromkeys((job.geometry, job.build_dir) for job in jobs))
        builds = dict(zip(machines, pool.map(lambda machine: build_harness(*machine), machines), strict=True))
        return list(pool.map(_run, [builds[job.geometry, job.build_dir] for job in jobs], jobs))


def drive(
    build: Build, script: Script, directory: Path, *, seed: int = 1, poll: Poll | None = None
) -> Driven:
    """Have the driver do a script, whose files are in its directory.

    Parameters
    ----------
    build : Build
    script : Script
    directory : Path
    seed : int
        Of what is not initialised.
    poll : callable, optional
        Called some times a second meanwhile.

    Raises
    ------
    SimulatorError
        If the driver does not end by itself.
    """
    script.save(directory)
    log = directory / _LOG
    command = [str(build.directory / build.top), *random_reset(seed)]
    with log.open("w") as file:
        code = run_command(command, directory, os.environ, file, poll)
    if code:
        raise SimulatorError(f"the harness ended with exit code {code}: {first_error(log)} (see {log})")
    summary = (directory / "summary").read_text().split()
    answers = np.fromfile(directory / "answers", dtype="<u4").tolist()
    done = int(summary[0])
    failure = None if summary[4] == "none" else _failure(script, done, summary[4:], int(summary[1]))
    return Driven(done, int(summary[1]), float(summary[2]), float(summary[3]), failure, answers)


def _failure(script: Script, record: int, why: list[str], clock: int) -> str:
    """Return in words why a record could not be done."""
    operation, address, word, _ = script.records[record]
    access = f"write of 0x{word:08x} to" if operation == Operation.WRITE else "read of"
    if why[0] == "refused":
        return f"{access} 0x{address:03x} answered {why[1]}, not OKAY (0)"
    what, clocks = script.waits.get(record, (f"{access} 0x{address:03x}", None))
    return f"{what} is not finished{'' if clocks is None else f' after {clocks} clocks'}, clock {clock}"


def _check(job: RunJob) -> None:
    if job.waves is not None:
        raise DataError("waves must be left out: the harness writes no waveform")
    check_job(job)


def _silent(stage: str, done: int, total: int) -> None:
    pass


def _run(build: Build, job: RunJob, report: Progress = _silent) -> RunResult:
    directory = new_run(job.build_dir, "harness-")
    judge = Judge(job)
    script = job_script(job, judge, directory)
    progress_file = ProgressFile(directory)

    def poll() -> None:
        seen = progress_file.read()
        if seen is not None:
            report(*seen)

    driven = drive(build, script, directory, seed=job.seed, poll=poll)
    report("compare", 0, 1)
    try:
        compare(job, judge, script, driven, directory)
    except UnknownBitsError as error:
        judge.scoreboard.note(str(error))
    report("compare", 1, 1)
    result = run_result(
        job,
        judge.result(driven.clocks, driven.run_seconds),
        judge.scoreboard.first_difference,
        build,
        seconds=driven.seconds,
        log=directory / _LOG,
        notes=[],
    )
    if result.match:
        shutil.rmtree(directory)
    return result


def compare(job: RunJob, judge: Judge, script: Script, driven: Driven, directory: Path) -> None:
    """Have judged what the driver got done.

    Parameters
    ----------
    job : RunJob
    judge : Judge
        Of the job.
    script : Script
        Of the job.
    driven : Driven
    directory : Path
        Where the driver ran.

    Raises
    ------
    UnknownBitsError
        If a bit is neither 0 nor 1.
    """
    answers = iter(driven.answers)
    places = script.places
    if driven.done >= places["programmed"]:
        judge.cells(read_cells(directory / "dump0", job.geometry))
    if driven.done >= places["started"]:
        judge.images(Logs(directory, job.geometry).take(), finished=driven.done >= places["ran"])
    if driven.done >= places["counted"]:
        judge.counters(_counters(job.geometry, answers), _random_state(answers))
    if driven.failure is not None:
        judge.scoreboard.note(driven.failure)
        return
    judge.cells(read_cells(directory / "dump1", job.geometry))
    judge.clocks({name: _double(answers) for name in CLOCK_COUNTS})


def _counters(geometry: Geometry, answers: Iterator[int]) -> dict[str, Counts]:
    counts = blank_counters(geometry)
    for name, place, _ in counter_selections(geometry):
        counts[name][place] = _double(answers)
    return counts


def _random_state(answers: Iterator[int]) -> tuple[int, ...]:
    return tuple(_double(answers) for _ in range(4))


def _double(answers: Iterator[int]) -> int:
    """Return a number of which the low word was read first."""
    return next(answers) | next(answers) << 32
