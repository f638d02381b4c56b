"""Runs in parts: the same as in one piece, several at a time, and resumed where they were interrupted."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place
from spinbnn.sim import parts as parts_module
from spinbnn.sim import schedule
from spinbnn.sim.job import run_job, run_on
from spinbnn.sim.parts import parts_of, run_in_parts
from spinbnn.sim.spec import Pass, RunJob, RunResult

GEOMETRY = Geometry.from_preset("4x8x3")
NETWORK = random_network((50, 37, 10), 3, seed=5)
LOOPS = schedule.loop_clocks(place(NETWORK, GEOMETRY))
DIFFER = {
    "build_seconds", "compared", "junit", "notes", "part_images", "run_clocks", "run_clocks_predicted",
    "run_seconds", "simulated_clocks", "simulation_seconds", "steady_clocks_per_image", "utilisation",
}  # fmt: skip


def job_of(build_dir: Path, images: int = 20) -> RunJob:
    rng = np.random.default_rng(1)
    return RunJob(
        network=NETWORK,
        images=rng.integers(0, 8, (images, 50), dtype=np.uint8),
        labels=rng.integers(0, 10, images, dtype=np.uint8),
        geometry=GEOMETRY,
        point=operating_point(0.05, max_retries=1),
        build_dir=build_dir,
        read_bit_energy_aj=1001,
    )


def test_parts_are_of_whole_batches_and_about_the_same_size(tmp_path: Path) -> None:
    """20 images on 3 lanes are 7 batches: in parts of at least two, 4 parts."""
    job = job_of(tmp_path)
    parts = parts_of(job, 2 * LOOPS)
    assert [part.first for part in parts] == [0, 3, 9, 15]
    assert [len(part.job.images) for part in parts] == [3, 6, 6, 5]
    assert np.array_equal(np.concatenate([part.job.images for part in parts]), job.images)
    assert [part.job.loading for part in parts] == ["front-door", *["backdoor"] * 3]


def test_runs_that_draw_later_stay_in_one_part(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    ageing = replace(GEOMETRY, memory=MemoryOptions(ageing=True))
    errors = replace(GEOMETRY, memory=MemoryOptions(activation_generators=4))
    assert len(parts_of(replace(job, geometry=ageing), LOOPS)) == 7
    for whole in (
        replace(job, geometry=ageing, passes=(Pass("age", operating_point(0.01), 0, 9),)),
        replace(job, geometry=errors),
        replace(job, waves=tmp_path / "run.fst"),
    ):
        assert len(parts_of(whole, LOOPS)) == 1
    assert len(parts_of(job)) == 1


@pytest.mark.verilator
@pytest.mark.parametrize("processes", [1, 3])
def test_a_run_in_parts_gives_what_one_piece_gives(processes: int, build_dir: Path) -> None:
    job = job_of(build_dir)
    whole = run_job(job)
    result = run_in_parts(job, processes=processes, part_clocks=2 * LOOPS)
    assert whole.match
    assert result.match, result.first_difference
    one, other = whole.to_dict(), result.to_dict()
    assert {name for name in one if one[name] != other[name]} <= DIFFER
    assert result.compared["hidden activation words"] == whole.compared["hidden activation words"]
    assert result.run_clocks == result.run_clocks_predicted
    assert result.beat_clocks == whole.beat_clocks
    assert result.notes == [f"in 4 simulations, {processes} at a time"]
    cases = list(ElementTree.parse(result.junit).getroot().iter("testcase"))
    assert len(cases) == 4


@pytest.mark.verilator
def test_an_interrupted_run_is_resumed(build_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second part is interrupted: the first is not done again, and the result is the same."""
    job = replace(job_of(build_dir), seed=77)
    undisturbed = run_in_parts(job, part_clocks=2 * LOOPS)
    done: list[int] = []

    def interrupted(build: Any, jobs: list[RunJob], **more: Any) -> list[RunResult]:
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(len(jobs[0].images))
        return run_on(build, jobs, **more)

    monkeypatch.setattr(parts_module, "run_on", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_in_parts(job, part_clocks=2 * LOOPS)
    assert done == [3]

    def counting(build: Any, jobs: list[RunJob], **more: Any) -> list[RunResult]:
        done.append(len(jobs[0].images))
        return run_on(build, jobs, **more)

    monkeypatch.setattr(parts_module, "run_on", counting)
    resumed = run_in_parts(job, part_clocks=2 * LOOPS)
    assert done == [3, 6, 6, 5]
    assert resumed.notes[1] == "1 of them were there from an interrupted run"
    one, other = undisturbed.to_dict(), resumed.to_dict()
    differ = {name for name in one if one[name] != other[name]}
    assert differ <= {"notes", "junit", "run_seconds", "simulation_seconds"}
    # What is finished is forgotten.
    run_in_parts(job, part_clocks=2 * LOOPS)
    assert done[4:] == [3, 6, 6, 5]


KILLED = """
import signal, sys
from pathlib import Path
from spinbnn.sim.parts import run_in_parts
from tests.cosim.test_parts import LOOPS, many_images

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells have children in the background ignore it
run_in_parts(many_images(Path(sys.argv[1])), processes=2, part_clocks=60 * LOOPS)
"""


def many_images(build_dir: Path) -> RunJob:
    return replace(job_of(build_dir, 1200), seed=79)


@pytest.mark.verilator
def test_a_killed_run_is_resumed(build_dir: Path, tmp_path: Path) -> None:
    """The process gets SIGINT once some parts are kept; another takes those, and does the others."""
    run_in_parts(job_of(build_dir))  # builds the simulator, which is shared
    (tmp_path / "builds").symlink_to(build_dir / "builds")
    job = many_images(tmp_path)
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], cwd=Path(__file__).parents[2])
    while len(list((tmp_path / "parts").glob("*/*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    resumed = run_in_parts(job, processes=2, part_clocks=60 * LOOPS)
    assert resumed.match
    assert resumed.compared["classes"] == 1200
    kept = int(resumed.notes[1].split()[0])
    assert 2 <= kept < len(parts_of(job, 60 * LOOPS))
    assert run_job(job).counters == resumed.counters


@pytest.mark.verilator
def test_a_difference_names_its_images(build_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(job_of(build_dir), seed=78)

    def spoilt(build: Any, jobs: list[RunJob], **more: Any) -> list[RunResult]:
        results = run_on(build, jobs, **more)
        wrong = jobs[0].loading == "backdoor" and len(jobs[0].images) == 6
        return [replace(results[0], match=False, first_difference="a logit")] if wrong else results

    monkeypatch.setattr(parts_module, "run_on", spoilt)
    result = run_in_parts(job, part_clocks=2 * LOOPS)
    assert not result.match
    assert result.first_difference == "in images 3 to 8, counted from 0: a logit"
    # Only parts that matched are kept; here nothing is, as the run came to its end.
    monkeypatch.setattr(parts_module, "run_on", run_on)
    assert run_in_parts(job, part_clocks=2 * LOOPS).match
