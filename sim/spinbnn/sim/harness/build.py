"""Builds the harness: the testbench without its own clock, Verilated, with the driver in C++."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import tools
from spinbnn.sim.builds import (
    VERILATOR_FLAGS,
    VERILATOR_MAKE,
    Build,
    Poll,
    Runtime,
    cached,
    cannot_build,
    digest,
    run_command,
)
from spinbnn.sim.testbench import wrapper
from spinbnn.sim.tools import Tool

DRIVER = "driver.cpp"
_FLAGS = ("--no-timing", *VERILATOR_FLAGS)


def build_harness(geometry: Geometry, build_dir: Path, *, poll: Poll | None = None) -> Build:
    """Return the harness of a machine, from the cache or newly built.

    Parameters
    ----------
    geometry : Geometry
    build_dir : Path
        Builds are kept in ``builds`` below it.
    poll : callable, optional
        Called some times a second meanwhile.

    Raises
    ------
    SimulatorError
        If there is no Verilator, or it rejects the design.
    """
    tool = tools.verilator()
    sources = {
        "spinbnn.sv": emit_verilog(geometry),
        "spinbnn_bench.sv": wrapper.wrapper(geometry, own_clock=False),
        DRIVER: files("spinbnn.sim.harness").joinpath(DRIVER).read_text("utf-8"),
    }
    builds = build_dir.resolve() / "builds"
    parts = (tool.version, wrapper.TOP, *_FLAGS, *VERILATOR_MAKE, *tool.make_variables)
    runtime = Runtime(builds / f"runtime-{digest(parts, {})}")

    def make(directory: Path, log: Path) -> list[str]:
        for file, text in sources.items():
            (directory / file).write_text(text, "utf-8")
        _compile(tool, directory, list(sources), runtime, log, poll)
        return [*sources, wrapper.TOP]

    directory, seconds = cached(builds, f"harness-{digest(parts, sources)}", make)
    return Build(directory, tool, wrapper.TOP, None, seconds)


def _compile(
    tool: Tool, directory: Path, sources: list[str], runtime: Runtime, log: Path, poll: Poll | None
) -> None:
    verilate = [str(tool.path), "--cc", "--exe", "-Mdir", str(directory), "--prefix", "Vtop"]
    verilate += ["--top-module", wrapper.TOP, "-o", wrapper.TOP, "--timescale", "1ns/1ns", *_FLAGS]
    jobs = str(len(os.sched_getaffinity(0)))
    make = ["make", "-j", jobs, "-C", str(directory), "-f", "Vtop.mk", *VERILATOR_MAKE, *tool.make_variables]
    commands = [[*verilate, *sources], *runtime.copy_command(directory), make]
    environment = os.environ | tool.environment
    with log.open("w") as file:
        for command in commands:
            if run_command(command, directory, environment, file, poll):
                file.flush()
                raise cannot_build(tool, log)
    runtime.keep(directory)
