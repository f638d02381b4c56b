"""The harness without cocotb: the same results as cocotb's, and it notices what is wrong."""

import contextlib
import dataclasses
import io
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.errors import DataError
from spinbnn.golden.geometry import Geometry
from spinbnn.hw.registers import REGISTERS
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import harness
from spinbnn.sim import job as cocotb_jobs
from spinbnn.sim.harness import build as harness_build
from spinbnn.sim.harness.script import Operation, Script, job_script
from spinbnn.sim.spec import RunJob, RunResult
from spinbnn.sim.testbench import accesses
from tests.cosim import test_jobs, test_memory, test_networks
from tests.cosim.test_jobs import RECIPES

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.verilator

# Times, paths, and the clocks of accesses to registers.
MAY_DIFFER = ("simulated_clocks", "simulation_seconds", "run_seconds", "build_seconds", "junit")

DENSE = (
    "no errors", "0.1", "unequal, redundant", "verify", "four layers", "one output", "backdoor", "stalls",
    "late results", "late images",
)  # fmt: skip
FEATURES = (
    "pooling by or, overlapping", "padding with 0", "planes of weights and of activations",
    "residual of several layers",
)  # fmt: skip


SMALL = (9, 7, 5, 3)  # a network for the smallest memory


def dense_jobs(machine: str, names: Iterable[str], build_dir: Path) -> list[RunJob]:
    return [test_jobs.job(machine, RECIPES[name], "verilator", build_dir) for name in names]


def convolutional_jobs(build_dir: Path) -> list[RunJob]:
    """Return jobs of which some are programmed through the stream, with write errors."""
    jobs = [test_networks.job_of_feature("integer", name, "verilator", build_dir) for name in FEATURES]
    return [dataclasses.replace(job, loading="front-door", seed=5) for job in jobs[:1]] + jobs[1:]


def memory_jobs(build_dir: Path) -> list[RunJob]:
    """Return jobs on a memory with all options, that age, scrub and program again."""
    seeds = (9000, 9001, 9010, 9017)
    jobs = [
        test_memory.random_job(test_memory.SMALLEST, seed, "verilator", build_dir, SMALL) for seed in seeds
    ]
    kinds = {each.kind for job in jobs for each in job.passes}
    assert kinds == {"age", "scrub", "program"}
    assert any(job.stalls for job in jobs)
    return jobs


LONG = ("convolutions", "memory", "two slices")  # building these takes half a minute each

JOBS: dict[str, Callable[[Path], list[RunJob]]] = {
    "5x24": lambda build_dir: dense_jobs("5x24", DENSE, build_dir),
    "lanes": lambda build_dir: dense_jobs("4x8x3", DENSE[:2], build_dir),
    "two slices": lambda build_dir: dense_jobs("3x100", DENSE[:2], build_dir),
    "convolutions": convolutional_jobs,
    "memory": memory_jobs,
}


def comparable(result: RunResult) -> dict[str, Any]:
    return {name: value for name, value in result.to_dict().items() if name not in MAY_DIFFER}


@pytest.mark.parametrize(
    "machine",
    [pytest.param(machine, marks=pytest.mark.long if machine in LONG else ()) for machine in JOBS],
)
def test_results_are_those_of_cocotb(machine: str, build_dir: Path) -> None:
    jobs = JOBS[machine](build_dir)
    plain = harness.run_jobs(jobs)
    for ours, theirs in zip(plain, cocotb_jobs.run_jobs(jobs), strict=True):
        assert ours.first_difference is None
        assert comparable(ours) == comparable(theirs)
        assert ours.run_seconds > 0
        assert ours.simulated_clocks > ours.run_clocks + ours.program_clocks


@pytest.fixture
def job(build_dir: Path) -> RunJob:
    """Return a job with write errors and stalls."""
    return test_jobs.job("5x24", RECIPES["stalls"], "verilator", build_dir)


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[Script, Path], None]) -> None:
    """Have scripts, and the files beside them, changed before they are done."""

    def spoilt(job: RunJob, judge: Any, directory: Path) -> Script:
        script = job_script(job, judge, directory)
        change(script, directory)
        return script

    monkeypatch.setattr("spinbnn.sim.harness.run.job_script", spoilt)


def longer_pause(script: Script, directory: Path) -> None:
    """Hold back an image beat for a clock more."""
    path = directory / "s_axis_image_t.beats"
    (beats,) = (record[1] for record in script.records if record[0] == Operation.FEED)
    records = np.frombuffer(path.read_bytes(), dtype=np.uint8).reshape(beats, -1).copy()
    records[5, 3] += 1  # the lowest byte of the pause
    records.tofile(path)


def other_counter(script: Script, directory: Path) -> None:
    """Read the counter beside the one that is meant."""
    write = accesses.write("COUNTER_SELECT", counter=2, bank=3)
    at = script.records.index((Operation.WRITE, *write, 0))
    script.records[at] = (Operation.WRITE, write[0], write[1] ^ 1, 0)


def other_seed(script: Script, directory: Path) -> None:
    """Start the random stream from another state."""
    at = next(n for n, record in enumerate(script.records) if record[1] == REGISTERS["RNG_STATE_0"].offset)
    operation, address, word, _ = script.records[at]
    script.records[at] = (operation, address, word ^ 1, 0)


def no_start(script: Script, directory: Path) -> None:
    """Forget to start the run."""
    script.records[script.places["started"] - 1] = (Operation.READ, REGISTERS["STATUS"].offset, 0, 0)


def no_register(script: Script, directory: Path) -> None:
    """Write where there is no register."""
    script.records[script.places["started"] - 1] = (Operation.WRITE, 0xFFC, 1, 0)


@pytest.mark.parametrize(
    ("change", "recipe", "text"),
    [
        (longer_pause, "stalls", "of the run, predicted "),
        (other_counter, "stalls", "counter bits_01 of bank "),
        (other_seed, "stalls", "layer '"),
        (no_start, "stalls", "image 0, lane 0, word 0: was never written"),
        (no_start, "one layer", "run of 3 images is not finished after "),
        (no_register, "stalls", "write of 0x00000001 to 0xffc answered "),
    ],
)
def test_what_is_wrong_is_noticed(
    change: Callable[[Script, Path], None],
    recipe: str,
    text: str,
    build_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spoil(monkeypatch, change)
    result = harness.run_job(test_jobs.job("5x24", RECIPES[recipe], "verilator", build_dir))
    assert not result.match
    assert result.first_difference is not None
    assert text in result.first_difference
    assert "\n" not in result.first_difference


def test_broken_hardware_is_noticed(job: RunJob, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(geometry: Geometry) -> str:
        return emit_verilog(geometry).replace("$countones(bits)", "$countones(bits >> 1)")

    monkeypatch.setattr(harness_build, "emit_verilog", broken)
    result = harness.run_job(job)
    assert not result.match
    assert result.first_difference is not None
    assert result.first_difference.startswith("layer '")


def test_progress_is_told(job: RunJob) -> None:
    told: list[tuple[str, int, int]] = []
    harness.run_job(job, progress=lambda *seen: told.append(seen))
    assert told[-1] == ("compare", 1, 1)
    assert ("build", 1, 1) in told


def test_the_document_prints_what_it_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    shown = re.search(r"```python\n(from dataclasses.*?)```\n\n```text\n(.*?)```", text, re.S)
    assert shown is not None
    monkeypatch.chdir(ROOT)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(shown[1], "architecture.md", "exec"), {})
    assert printed.getvalue() == shown[2]


def test_there_are_no_waveforms(job: RunJob, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="waves must be left out"):
        harness.run_job(dataclasses.replace(job, waves=tmp_path / "run"))
