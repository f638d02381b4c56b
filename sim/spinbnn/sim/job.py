"""Runs the machine in a simulator: generate, build, simulate, collect."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path

from spinbnn.golden.errors import DataError
from spinbnn.golden.geometry import Geometry
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import runner, tools
from spinbnn.sim.builds import new_run
from spinbnn.sim.job_checks import check_job
from spinbnn.sim.results import run_result
from spinbnn.sim.spec import Progress, RunJob, RunResult, StallProfile
from spinbnn.sim.testbench import wrapper
from spinbnn.sim.testbench.case import DIRECTORY_VARIABLE, CaseDirectory, ProgressFile
from spinbnn.sim.tools import Tool

__all__ = ["Progress", "RunJob", "RunResult", "StallProfile", "build_machine", "run_job", "run_jobs"]

# A failing run is repeated with a waveform up to this many clocks; longer waveforms are gigabytes.
_WAVES_CLOCKS = 2_000_000


def run_job(job: RunJob, *, progress: Progress | None = None) -> RunResult:
    """Generate the hardware of a job, build it for its simulator, run it and compare it with golden.

    Parameters
    ----------
    job : RunJob
    progress : callable, optional

    Raises
    ------
    SpinbnnError
        If the job is impossible, or the simulator is missing or fails.
    """
    return run_jobs([job], progress=progress)[0]


def run_jobs(jobs: Sequence[RunJob], *, progress: Progress | None = None) -> list[RunResult]:
    """Run jobs on the same machine one after the other, in one process of the simulator.

    Parameters
    ----------
    jobs : sequence of RunJob
        Of one geometry, simulator and build directory; only the first may ask for waves, which show all.
    progress : callable, optional

    Raises
    ------
    SpinbnnError
        If a job is impossible, or the simulator is missing or fails.
    """
    first = jobs[0]
    for job in jobs:
        if (job.geometry, job.simulator, job.build_dir) != (first.geometry, first.simulator, first.build_dir):
            raise DataError(
                "jobs that run together must have the same geometry, simulator and build directory"
            )
        check_job(job)
    tool = tools.find(first.simulator)
    build = build_machine(
        first.geometry, tool, first.build_dir, waves=first.waves is not None, progress=progress
    )
    return run_on(build, jobs, progress=progress)


def run_on(
    build: runner.Build, jobs: Sequence[RunJob], *, progress: Progress | None = None
) -> list[RunResult]:
    """Run checked jobs one after the other, in one process of a simulator that is built for their machine.

    Parameters
    ----------
    build : Build
        As `build_machine` gives it; with waves if the first job asks for them.
    jobs : sequence of RunJob
    progress : callable, optional

    Raises
    ------
    SpinbnnError
        If the simulator fails.
    """
    report = progress or (lambda stage, done, total: None)
    waves, notes = _waves_path(jobs[0].waves, build.tool)
    directory = new_run(jobs[0].build_dir, "run-")
    results = _simulate(build, jobs, directory, waves, notes, report)
    if all(result.match for result in results):
        _remove_inputs(directory)
    elif waves is None:
        results = _again_with_waves(jobs, results, build.tool, directory, report)
    return results


def build_machine(
    geometry: Geometry, tool: Tool, build_dir: Path, *, waves: bool = False, progress: Progress | None = None
) -> runner.Build:
    """Return a simulator of the machine in its testbench, built unless it was before.

    Parameters
    ----------
    geometry : Geometry
    tool : Tool
    build_dir : Path
    waves : bool
        Whether it can write waveforms.
    progress : callable, optional
    """
    report = progress or (lambda stage, done, total: None)
    report("generate", 0, 1)
    sources = {"spinbnn.sv": emit_verilog(geometry), "spinbnn_bench.sv": wrapper.wrapper(geometry)}
    report("generate", 1, 1)
    report("build", 0, 1)
    build = runner.build(
        tool, sources, wrapper.TOP, build_dir, waves=waves, poll=lambda: report("build", 0, 1)
    )
    report("build", 1, 1)
    return build


def _waves_path(asked: Path | None, tool: Tool) -> tuple[Path | None, list[str]]:
    """Return where the waveform goes, in a format that can be written, and what to say of it."""
    if asked is None:
        return None, []
    suffix = runner.waves_suffix(tool)
    path = asked.resolve().with_suffix(suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".vcd":
        return path, [
            "waveform is VCD: for FST install the headers of liblz4 and zlib (liblz4-dev, zlib1g-dev)"
        ]
    return path, []


def _simulate(
    build: runner.Build,
    jobs: Sequence[RunJob],
    directory: Path,
    waves: Path | None,
    notes: list[str],
    progress: Progress,
) -> list[RunResult]:
    cases = [CaseDirectory(directory / f"case{index:03}") for index in range(len(jobs))]
    for case, job in zip(cases, jobs, strict=True):
        case.write_job(job)
    progress_file = ProgressFile(directory)

    def poll() -> None:
        progress(*(progress_file.read() or ("program", 0, 1)))

    simulation = runner.simulate(
        build,
        "spinbnn.sim.testbench.jobs",
        directory,
        {DIRECTORY_VARIABLE: str(directory)},
        waves=waves,
        seed=jobs[0].seed,
        poll=poll,
    )
    poll()
    outcomes = {outcome.name: outcome.failure for outcome in simulation.outcomes}
    results = []
    for case, job in zip(cases, jobs, strict=True):
        failure = next(
            (failure for name, failure in outcomes.items() if case.path.name in name), "it did not run"
        )
        results.append(
            run_result(
                job,
                case.read_result(),
                failure,
                build,
                seconds=simulation.seconds,
                log=simulation.log,
                junit=simulation.junit,
                waves=simulation.waves,
                notes=notes,
            )
        )
    return results


def _again_with_waves(
    jobs: Sequence[RunJob], results: list[RunResult], tool: Tool, directory: Path, progress: Progress
) -> list[RunResult]:
    """Run again to have a waveform of the failure, which comes again: everything has its seed."""
    first = jobs[0]
    waves, notes = _waves_path(directory / "failure", tool)
    clocks = sum(result.simulated_clocks for result in results)
    if clocks > _WAVES_CLOCKS:
        notes = [f"no waveform was recorded of {clocks:,} clocks: repeat with fewer images and with waves"]
        return [dataclasses.replace(result, notes=[*result.notes, *notes]) for result in results]
    build = build_machine(first.geometry, tool, first.build_dir, waves=True, progress=progress)
    again = _simulate(build, jobs, directory, waves, notes, progress)
    return [
        dataclasses.replace(result, waves=new.waves, notes=[*result.notes, *notes])
        for result, new in zip(results, again, strict=True)
    ]


def _remove_inputs(directory: Path) -> None:
    """Leave of a run that matched only its report and log."""
    for case in directory.glob("case*"):
        shutil.rmtree(case)
