"""The harness in C++, against cocotb on the same machine and against the model.

Times are the processor's, of all threads, not the clock's on the wall: simulators are single processes that
wait for nothing, and runs of minutes are seldom alone on a computer.
"""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench.measurement import Measurement
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network_file import load_network
from spinbnn.golden.operating_point import POINTS
from spinbnn.sim import harness
from spinbnn.sim import job as cocotb_jobs
from spinbnn.sim.assets import MNIST_NETWORK
from spinbnn.sim.datasets import bundled_images
from spinbnn.sim.harness.build import build_harness
from spinbnn.sim.harness.run import Driven, compare, drive
from spinbnn.sim.harness.script import job_script
from spinbnn.sim.model import MachineModel
from spinbnn.sim.spec import RunJob, RunResult
from spinbnn.sim.testbench.judge import Judge

SHORT, LONG = 1_000, 10_000
REPEATS = 3
BUILD_DIR = Path("build/sim")


def mnist_job(images: int) -> RunJob:
    """Return the main job, of so many images: those that are shipped, again and again."""
    test = bundled_images()
    order = np.resize(np.arange(len(test.pixels)), images)
    return RunJob(
        network=load_network(MNIST_NETWORK),
        images=test.pixels[order],
        labels=test.labels[order],
        geometry=Geometry(),
        point=POINTS["1e-3"],
        build_dir=BUILD_DIR,
        read_bit_energy_aj=25_000,
    )


def speed(result: RunResult) -> str:
    return f"{result.run_clocks / result.run_seconds:,.0f}"


def costing(run: Callable[[RunJob], RunResult], job: RunJob) -> tuple[RunResult, float]:
    """Return a result, and what all of it took of the processor, children included."""
    before = sum(os.times()[:4])
    result = run(job)
    assert result.match, result.first_difference
    return result, sum(os.times()[:4]) - before


def cocotb_overhead() -> Measurement:
    """Time the images' run, by turns, the best of each: other work only ever adds."""
    job = mnist_job(SHORT)
    for run in (cocotb_jobs.run_job, harness.run_job):
        run(mnist_job(1))  # builds
    cocotb, plain = [], []
    for _ in range(REPEATS):
        cocotb.append(costing(cocotb_jobs.run_job, job))
        plain.append(costing(harness.run_job, job))
    ours, theirs = (
        min((result for result, _ in each), key=lambda result: result.run_seconds) for each in (cocotb, plain)
    )
    all_of_ours, all_of_theirs = (min(seconds for _, seconds in each) for each in (cocotb, plain))
    return Measurement(
        f"{ours.run_clocks:,} clocks of {SHORT:,} images, {job.network.name}, Verilator",
        f"cocotb ({speed(ours)} clocks a second)",
        ours.run_seconds,
        f"the harness in C++ ({speed(theirs)} clocks a second)",
        theirs.run_seconds,
        target=0.7,
        note=f"{all_of_theirs / all_of_ours:.2f} of whole calls: {all_of_ours:.1f} s, {all_of_theirs:.1f} s",
    )


def simulated(job: RunJob) -> tuple[Driven, int]:
    """Return what the driver gave of a job, and how many things were compared, all equal."""
    build = build_harness(job.geometry, job.build_dir)
    judge = Judge(job)
    with tempfile.TemporaryDirectory() as folder:
        script = job_script(job, judge, Path(folder))
        driven = drive(build, script, Path(folder), seed=job.seed)
        compare(job, judge, script, driven, Path(folder))
    assert judge.scoreboard.first_difference is None, judge.scoreboard.first_difference
    return driven, sum(judge.scoreboard.compared.values())


def model_seconds(job: RunJob) -> float:
    begin = time.process_time()
    MachineModel(job).run()
    return time.process_time() - begin


def model_against_harness() -> Measurement:
    """Time the model, and the process of the harness alone: no build, no comparison."""
    job = mnist_job(LONG)
    driven, compared = simulated(job)
    return Measurement(
        f"{job.network.name}, programmed with write error rate 1e-3, {LONG:,} images",
        "the model",
        min(model_seconds(job) for _ in range(REPEATS)),
        f"the harness: {driven.clocks:,} clocks in Verilator, no cocotb",
        driven.seconds,
        target=100,
        note=f"{compared:,} things equal",
    )


BENCHMARKS = (cocotb_overhead, model_against_harness)
