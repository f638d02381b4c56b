"""Builds simulators and runs cocotb in them; the one file that knows cocotb's runner.

A build is kept under a hash of everything it is made from, and published by renaming it: what an interrupted
build leaves behind is never used. All jobs, and all processes, share the builds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from xml.etree import ElementTree

import cocotb_tools.config
from cocotb_tools import runner as cocotb_runner

from spinbnn.sim import tools
from spinbnn.sim.tools import SimulatorError, Tool

Poll = Callable[[], None]
_POLL_SECONDS = 0.1

# The levels of optimisation: see "How the simulators are built" in docs/decisions.md. Memories and registers
# without an initial value start at random, so that nothing can depend on them.
VERILATOR_FLAGS = (
    "--timing",
    "--no-assert",
    "-O3",
    "--x-assign",
    "fast",
    "--x-initial",
    "unique",
    "-Wno-fatal",
    "-Wno-lint",
)
VERILATOR_MAKE = ("OPT_FAST=-O2", "OPT_SLOW=-O0", "OPT_GLOBAL=-O2")


# Rewriting the assertions of every module that is imported costs more time than importing them.
_COCOTB = {"COCOTB_ANSI_OUTPUT": "0", "COCOTB_REWRITE_ASSERTION_FILES": ""}


@dataclass(frozen=True)
class Build:
    """A simulator with a design in it, ready to run.

    Parameters
    ----------
    directory : Path
    tool : Tool
    top : str
        The top module.
    waves_suffix : str or None
        Suffix of the waveforms it can write; None if it was built without.
    seconds : float
        What the build took; 0 if it was there already.
    """

    directory: Path
    tool: Tool
    top: str
    waves_suffix: str | None
    seconds: float


@dataclass(frozen=True)
class TestOutcome:
    """One cocotb test's result: its name, and why it failed if it did."""

    __test__ = False  # pytest: this is no test

    name: str
    failure: str | None


@dataclass(frozen=True)
class Simulation:
    """What a run of a simulator gave: the outcome of every test, and where its files are."""

    outcomes: tuple[TestOutcome, ...]
    junit: Path
    log: Path
    waves: Path | None
    seconds: float


class _PolledRunner(cocotb_runner.Runner):
    """Runs commands without blocking, so that progress can be shown meanwhile and an interrupt ends them."""

    tool: Tool
    record_waves = False
    poll: Poll | None = None

    def _set_env_common(self) -> None:
        super()._set_env_common()
        self.env.update(self.tool.environment)
        self.waves = self.record_waves  # cocotb would let the variable WAVES decide

    def _execute_cmds(
        self, cmds: Sequence[list[str]], cwd: os.PathLike[str] | str, stdout: TextIO | None = None
    ) -> None:
        for command in cmds:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
            )
            try:
                while process.poll() is None:
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(_POLL_SECONDS)
                    if self.poll is not None:
                        self.poll()
            except BaseException:
                process.terminate()
                process.wait()
                raise
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, command)


class _Verilator(_PolledRunner, cocotb_runner.Verilator):
    runtime: Path  # where the objects of Verilator's runtime are kept, which are the same for all designs

    def _simulator_in_path_build_only(self) -> None:
        self.executable = str(self.tool.path)

    def _build_command(self) -> list[list[str]]:
        verilate, make = super()._build_command()
        # Our Verilog marks what Python may see. With everything public nothing could be optimised away.
        verilate.remove("--public-flat-rw")
        make += [*VERILATOR_MAKE, *self.tool.make_variables]
        kept = [str(file) for file in self.runtime.glob("*.o")]
        # Newer than their sources, they are not made again; they take longer than most designs.
        return [verilate, *([["cp", *kept, str(self.build_dir)]] if kept else []), make]

    def keep_runtime(self) -> None:
        """Keep the objects of the runtime for the next build."""
        if self.runtime.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self.runtime.parent, ignore_cleanup_errors=True) as scratch:
            published = Path(scratch) / "published"
            published.mkdir()
            for file in self.build_dir.glob("verilated*.o"):
                shutil.copy(file, published)
            with suppress(OSError):  # another process was first
                published.rename(self.runtime)


class _Icarus(_PolledRunner, cocotb_runner.Icarus):
    pass


def _runner(tool: Tool, waves: bool, poll: Poll | None) -> _PolledRunner:
    kind = {"verilator": _Verilator, "icarus": _Icarus}[tool.name]
    runner: _PolledRunner = kind()
    runner.tool = tool
    runner.record_waves = waves
    runner.poll = poll
    return runner


def waves_suffix(tool: Tool) -> str:
    """Return the suffix of waveforms that a simulator writes here: ".fst", or ".vcd" where FST cannot be."""
    return ".vcd" if tool.name == "verilator" and not tools.verilator_can_write_fst() else ".fst"


def build(
    tool: Tool,
    sources: Mapping[str, str],
    top: str,
    build_dir: Path,
    *,
    waves: bool = False,
    poll: Poll | None = None,
) -> Build:
    """Return the simulator `tool` with a design in it, from the cache or newly built.

    Parameters
    ----------
    tool : Tool
    sources : mapping of str to str
        Text of each Verilog file, by file name.
    top : str
        The top module.
    build_dir : Path
        Builds are kept in ``builds`` below it.
    waves : bool
        Whether it must be able to write waveforms.
    poll : callable, optional
        Called some times a second meanwhile.

    Raises
    ------
    SimulatorError
        If the simulator rejects the design.
    """
    suffix = waves_suffix(tool) if waves else None
    flags = _build_flags(tool, suffix)
    name = f"{tool.name}-{_digest(tool, sources, top, flags, suffix)}"
    builds = build_dir.resolve() / "builds"
    builds.mkdir(parents=True, exist_ok=True)
    directory = builds / name
    started = time.monotonic()
    with _lock(builds / f"{name}.lock"):
        if directory.is_dir():
            return Build(directory, tool, top, suffix, 0.0)
        with tempfile.TemporaryDirectory(
            dir=builds, prefix=f"{name}.", ignore_cleanup_errors=True
        ) as scratch:
            log = builds / f"{name}.log"
            _build_into(Path(scratch), tool, sources, top, flags, suffix, log, poll)
            published = Path(scratch) / "published"
            published.mkdir()
            for file in (*sources, top if tool.name == "verilator" else "sim.vvp"):
                (Path(scratch) / file).rename(published / file)
            published.rename(directory)
    return Build(directory, tool, top, suffix, time.monotonic() - started)


def _build_flags(tool: Tool, suffix: str | None) -> tuple[str, ...]:
    if tool.name == "icarus":
        return ()
    return (*VERILATOR_FLAGS, *(("--trace-fst",) if suffix == ".fst" else ()))


def _digest(
    tool: Tool, sources: Mapping[str, str], top: str, flags: Sequence[str], suffix: str | None
) -> str:
    key = hashlib.sha256()
    parts = [
        tool.version,
        top,
        *flags,
        str(suffix),
        *VERILATOR_MAKE,
        *tool.make_variables,
        str(cocotb_tools.config.libs_dir),
    ]
    for part in (*parts, *(text for item in sorted(sources.items()) for text in item)):
        key.update(part.encode() + b"\0")
    return key.hexdigest()[:20]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build_into(
    directory: Path,
    tool: Tool,
    sources: Mapping[str, str],
    top: str,
    flags: Sequence[str],
    suffix: str | None,
    log: Path,
    poll: Poll | None,
) -> None:
    for file, text in sources.items():
        (directory / file).write_text(text)
    runner = _runner(tool, suffix is not None, poll)
    if isinstance(runner, _Verilator):
        runner.runtime = directory.parent / f"runtime-{_digest(tool, {}, '', flags, suffix)}"
    try:
        runner.build(
            sources=[directory / file for file in sources],
            hdl_toplevel=top,
            build_dir=directory,
            build_args=list(flags),
            timescale=("1ns", "1ns"),
            log_file=log,
        )
    except subprocess.CalledProcessError:
        raise SimulatorError(
            f"{tool.version} could not build the design: {_first_error(log)} (see {log})"
        ) from None
    if isinstance(runner, _Verilator):
        runner.keep_runtime()


def _first_error(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    errors = [line.strip() for line in lines if "error" in line.lower()]
    return errors[0] if errors else (lines[-1].strip() if lines else "it said nothing")


def simulate(
    build: Build,
    module: str,
    directory: Path,
    environment: Mapping[str, str],
    *,
    waves: Path | None = None,
    seed: int = 1,
    poll: Poll | None = None,
) -> Simulation:
    """Run the cocotb tests of a module.

    Parameters
    ----------
    build : Build
    module : str
        The Python module; importable from this process's ``sys.path``.
    directory : Path
        Working directory of the simulation, where its files go.
    environment : mapping of str to str
        Further variables.
    waves : Path, optional
        Where to write the waveform.
    seed : int
        cocotb's seed, and that of what is not initialised.
    poll : callable, optional
        Called some times a second meanwhile.

    Raises
    ------
    SimulatorError
        If the simulation ends without results.
    """
    directory.mkdir(parents=True, exist_ok=True)
    junit, log = directory / "results.xml", directory / "simulation.log"
    test_args: list[str] = []
    plusargs: list[str] = []
    if build.tool.name == "verilator":
        plusargs += ["+verilator+rand+reset+2", f"+verilator+seed+{1 + seed % (2**31 - 2)}"]
        if waves is not None:
            test_args += ["--trace-file", str(waves)]
    elif waves is not None:
        plusargs.append(f"+dumpfile_path={waves}")
    runner = _runner(build.tool, waves is not None, poll)
    started = time.monotonic()
    # It ends by SystemExit when a test or the simulator fails; the results say which.
    with suppress(SystemExit):
        runner.test(
            test_module=module,
            hdl_toplevel=build.top,
            hdl_toplevel_lang="verilog",
            build_dir=build.directory,
            test_dir=directory,
            results_xml=str(junit),
            log_file=log,
            seed=seed,
            test_args=test_args,
            plusargs=plusargs,
            extra_env={**_COCOTB, **environment},
            waves=waves is not None,
        )
    outcomes = _outcomes(junit)
    if not outcomes:
        raise SimulatorError(f"{build.tool.version} ended without results: {_first_error(log)} (see {log})")
    return Simulation(outcomes, junit, log, waves, time.monotonic() - started)


def _outcomes(junit: Path) -> tuple[TestOutcome, ...]:
    """Return the outcomes in a JUnit file; none if it is missing or unfinished."""
    try:
        root = ElementTree.parse(junit).getroot()
    except (OSError, ElementTree.ParseError):
        return ()
    return tuple(_outcome(case) for case in root.iter("testcase"))


def _outcome(case: Any) -> TestOutcome:
    problems = [found for kind in ("failure", "error", "skipped") if (found := case.find(kind)) is not None]
    message = None
    if problems:
        message = (
            problems[0].get("message") or problems[0].get("error_msg") or problems[0].text or "it failed"
        )
    return TestOutcome(case.get("name"), message)
