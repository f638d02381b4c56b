"""How builds are shared, and what a run leaves behind: results, waveforms, JUnit."""

import dataclasses
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from spinbnn.golden.activation_memory import ActivationPoint
from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import CapacityError, DataError, OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.point_map import PointRange
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import job as jobs
from spinbnn.sim import runner, tools
from spinbnn.sim.job import RunJob, run_job, run_jobs
from spinbnn.sim.spec import Pass
from spinbnn.sim.tools import SimulatorError

SIMULATORS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("verilator", "icarus")]

COUNTER = """module counter;
  reg clk = 1'b0;
  always #5 clk = ~clk;
endmodule
"""
BROKEN = "module counter; this is no Verilog endmodule\n"


@pytest.fixture
def job(build_dir: Path) -> RunJob:
    """Return a small job."""
    return RunJob(
        network=random_network((50, 37, 10), 3, seed=2),
        images=np.random.default_rng(1).integers(0, 8, (3, 50), dtype=np.uint8),
        geometry=Geometry.from_preset("5x24"),
        point=operating_point(0.1, pulse_clocks=1),
        build_dir=build_dir,
    )


def share_runtime(build_dir: Path, folder: Path) -> None:
    """Give a folder the compiled runtime of Verilator, which takes longer than all else."""
    (folder / "builds").mkdir()
    for runtime in build_dir.glob("builds/runtime-*"):
        shutil.copytree(runtime, folder / "builds" / runtime.name)


def only_builds(folder: Path) -> list[Path]:
    return [path for path in (folder / "builds").glob("*-*") if path.is_dir() and "runtime" not in path.name]


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_build_is_made_once(simulator: str, build_dir: Path, tmp_path: Path) -> None:
    share_runtime(build_dir, tmp_path)
    tool = tools.find(simulator)
    first = runner.build(tool, {"counter.sv": COUNTER}, "counter", tmp_path)
    again = runner.build(tool, {"counter.sv": COUNTER}, "counter", tmp_path)
    other = runner.build(tool, {"counter.sv": COUNTER + "// other\n"}, "counter", tmp_path)
    assert first.seconds > 0
    assert again == dataclasses.replace(first, seconds=0.0)
    assert other.directory != first.directory
    assert sorted(only_builds(tmp_path)) == sorted([first.directory, other.directory])


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_design_that_cannot_be_built(simulator: str, tmp_path: Path) -> None:
    tool = tools.find(simulator)
    with pytest.raises(SimulatorError) as error:
        runner.build(tool, {"counter.sv": BROKEN}, "counter", tmp_path)
    assert str(error.value).startswith(f"{tool.version} could not build the design: ")
    assert "counter.sv" in str(error.value)
    assert "\n" not in str(error.value)
    assert only_builds(tmp_path) == []


BUILD_SLOWLY = """
import signal, sys, time
from pathlib import Path
from spinbnn.sim import runner, tools
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of some shells
source, build_dir = {"counter.sv": sys.argv[1]}, Path(sys.argv[2])
runner.build(tools.verilator(), source, "counter", build_dir, poll=lambda: time.sleep(60))
"""


@pytest.mark.verilator
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_is_never_used(how: signal.Signals, build_dir: Path, tmp_path: Path) -> None:
    share_runtime(build_dir, tmp_path)
    command = [sys.executable, "-c", BUILD_SLOWLY, COUNTER, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    until = time.monotonic() + 120
    while not list(tmp_path.glob("builds/*/Vtop.mk")) and time.monotonic() < until:
        time.sleep(0.05)
    assert process.poll() is None
    assert list(tmp_path.glob("builds/*/Vtop.mk"))
    os.kill(process.pid, how)
    process.wait()
    if how == signal.SIGINT:
        assert only_builds(tmp_path) == []
    build = runner.build(tools.verilator(), {"counter.sv": COUNTER}, "counter", tmp_path)
    assert build.seconds > 0
    assert (build.directory / "counter").is_file()


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_waves_on_demand(simulator: str, job: RunJob, tmp_path: Path) -> None:
    result = run_job(dataclasses.replace(job, simulator=simulator, waves=tmp_path / "new" / "run"))
    assert result.match
    assert result.waves == str(tmp_path / "new" / f"run{runner.waves_suffix(tools.find(simulator))}")
    assert Path(result.waves).stat().st_size > 10_000


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_a_failing_run_keeps_a_waveform_and_fails_in_junit(
    simulator: str, job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(geometry: Geometry) -> str:
        text = emit_verilog(geometry)
        assert text.count("$countones(bits)") == 1
        return text.replace("$countones(bits)", "$countones(bits >> 1)")

    monkeypatch.setattr(jobs, "emit_verilog", broken)
    results = run_jobs([dataclasses.replace(job, simulator=simulator)] * 2)
    for index, result in enumerate(results):
        assert not result.match
        assert result.first_difference is not None
        assert "\n" not in result.first_difference
        case = ElementTree.parse(result.junit).findall(".//testcase")[index]
        failure = case.find("failure")
        assert failure is not None
        assert result.waves is not None
        assert Path(result.waves).parent == Path(result.junit).parent
        assert Path(result.waves).stat().st_size > 10_000


@pytest.mark.parametrize("stray", ["WAVES", "GUI"])
@pytest.mark.verilator
def test_cocotbs_variables_do_not_interfere(stray: str, job: RunJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(stray, "0" if stray == "GUI" else "1")
    result = run_job(job)
    assert result.match
    assert result.waves is None


def test_impossible_jobs(job: RunJob) -> None:
    with pytest.raises(DataError, match="at least one image, not none"):
        run_job(dataclasses.replace(job, images=job.images[:0]))
    with pytest.raises(DataError, match="labels must be as many as images, 3, not 2"):
        run_job(dataclasses.replace(job, labels=np.zeros(2, dtype=np.uint8)))
    with pytest.raises(CapacityError, match="needs rows up to"):
        run_job(dataclasses.replace(job, geometry=Geometry(5, 24, rows=8)))
    with pytest.raises(DataError, match="must have the same geometry"):
        run_jobs([job, dataclasses.replace(job, simulator="icarus")])
    with pytest.raises(DataError, match="pixels must be at most 7"):
        run_job(dataclasses.replace(job, images=job.images + np.uint8(8)))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"passes": (Pass("age", operating_point(), 0, 3),)},
            "to age rows, the memory must be built with the option ageing",
        ),
        (
            {"passes": (Pass("scrub", operating_point(), 0, 3),)},
            "to scrub rows, the memory must be built with the option scrub",
        ),
        (
            {"ranges": tuple(PointRange(operating_point(0.1 * n), n, n) for n in range(1, 5))},
            "a run must have at most 4 operating points, not 5",
        ),
        (
            {"chip": Chip(3)},
            "a chip matters only to a memory built with the option variability or differential: leave it out",
        ),
        (
            {"activation_point": ActivationPoint(5)},
            "an activation point must go with a memory that has activation_generators, not with this one",
        ),
        (
            {"point": dataclasses.replace(operating_point(), class_p_fail_01=(1, 2, 3))},
            "class_p_fail_01 must be left out for a memory without the option variability",
        ),
    ],
)
def test_jobs_ask_only_what_the_memory_has(change: dict[str, Any], text: str, job: RunJob) -> None:
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        run_job(dataclasses.replace(job, **change))


def test_passes_stay_inside_the_array(job: RunJob) -> None:
    geometry = dataclasses.replace(job.geometry, memory=MemoryOptions(ageing=True))
    last = geometry.rows - 1
    text = f"age must go over rows within 0 to {last}, not 0 to {last + 1}"
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        run_job(
            dataclasses.replace(job, geometry=geometry, passes=(Pass("age", operating_point(), 0, last + 1),))
        )
