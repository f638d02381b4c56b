"""Makes the result of a job, whatever became of its simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spinbnn.golden.mram import LANE_COUNTERS, counter_indices
from spinbnn.golden.placement import place
from spinbnn.sim import schedule
from spinbnn.sim.builds import Build
from spinbnn.sim.spec import RunJob, RunResult


def run_result(
    job: RunJob,
    measured: dict[str, Any] | None,
    failure: str | None,
    build: Build,
    *,
    seconds: float,
    log: Path,
    junit: Path | None = None,
    waves: Path | None = None,
    notes: list[str],
) -> RunResult:
    """Return the result of a job; what a run that broke off did not measure is 0.

    Parameters
    ----------
    job : RunJob
    measured : dict, optional
        What `Judge.result` gave, if the simulation got that far.
    failure : str, optional
        Why it did not match.
    build : Build
    seconds : float
        What the simulation took.
    log : Path
        Of the simulation.
    junit, waves : Path, optional
    notes : list of str
    """
    nothing = [0] * job.geometry.banks
    blank = {
        "accuracy_ideal": None,
        "accuracy_golden": None,
        "accuracy_rtl": None,
        "counters": {
            name: [0] * job.geometry.lanes if name in LANE_COUNTERS else nothing
            for name in counter_indices(job.geometry)
        },
        "bits_programmed": nothing,
        "bits_wrong": nothing,
        "compared": {},
        "run_clocks": 0,
        "run_clocks_predicted": None,
        "program_clocks": 0,
        "program_clocks_predicted": 0,
        "steady_clocks_per_image": None,
        "utilisation": 0.0,
        "beat_clocks": 0,
        "simulated_clocks": 0,
        "simulation_seconds": seconds,
        "first_difference": None,
    }
    loops = schedule.loop_clocks(place(job.network, job.geometry))
    found = blank | (measured or {})
    found["match"] = failure is None
    if failure is not None and found["first_difference"] is None:
        found["first_difference"] = f"the testbench failed: {failure.splitlines()[0]} (see {log})"
    return RunResult(
        **found,
        images=len(job.images),
        part_images=len(job.images),
        loop_clocks_per_image=loops / job.geometry.lanes,
        build_seconds=build.seconds,
        simulator=build.tool.version,
        junit="" if junit is None else str(junit),
        waves=None if waves is None else str(waves),
        notes=notes,
    )
