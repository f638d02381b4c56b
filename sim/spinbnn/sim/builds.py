"""Keeps what was built under a hash of everything it is made from.

A build is published by renaming it: what an interrupted one leaves behind is never used. All jobs, and all
processes, share the builds.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from spinbnn.sim.tools import SimulatorError, Tool

Poll = Callable[[], None]
"""Called some times a second while something else runs."""

_POLL_SECONDS = 0.1

# The levels of optimisation: see "How the simulators are built" in docs/decisions.md. Memories and registers
# without an initial value start at random, so that nothing can depend on them.
VERILATOR_FLAGS = (
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


def random_reset(seed: int) -> list[str]:
    """Return the arguments by which a Verilated simulator starts what has no initial value at random."""
    return ["+verilator+rand+reset+2", f"+verilator+seed+{1 + seed % (2**31 - 2)}"]


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


def digest(parts: Iterable[str], sources: Mapping[str, str]) -> str:
    """Return the hash of a build: of its parts in this order, and of its sources by name."""
    key = hashlib.sha256()
    for part in (*parts, *(text for item in sorted(sources.items()) for text in item)):
        key.update(part.encode() + b"\0")
    return key.hexdigest()[:20]


def cached(builds: Path, name: str, make: Callable[[Path, Path], Sequence[str]]) -> tuple[Path, float]:
    """Return the directory of a build, and the seconds it took; 0 if it was there already.

    Parameters
    ----------
    builds : Path
        Where builds are kept.
    name : str
        Of this one, with its hash.
    make : callable
        Is given a new directory to build in, and the path of a log, which stays; returns the names of the
        files that are kept.
    """
    builds.mkdir(parents=True, exist_ok=True)
    directory = builds / name
    started = time.monotonic()
    with _lock(builds / f"{name}.lock"):
        if directory.is_dir():
            return directory, 0.0
        with tempfile.TemporaryDirectory(
            dir=builds, prefix=f"{name}.", ignore_cleanup_errors=True
        ) as scratch:
            kept = make(Path(scratch), builds / f"{name}.log")
            published = Path(scratch) / "published"
            published.mkdir()
            for file in kept:
                (Path(scratch) / file).rename(published / file)
            published.rename(directory)
    return directory, time.monotonic() - started


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Runtime:
    """The objects of Verilator's runtime: the same for all designs, and longer to make than most.

    Parameters
    ----------
    directory : Path
        Where they are kept.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def copy_command(self, build_dir: Path) -> list[list[str]]:
        """Return the command that puts them into a build, if there are any.

        They must come behind their sources: only what is newer is not made again.
        """
        kept = [str(file) for file in self._directory.glob("*.o")]
        return [["cp", *kept, str(build_dir)]] if kept else []

    def keep(self, build_dir: Path) -> None:
        """Keep the objects of a build for the next one."""
        if self._directory.is_dir():
            return
        with tempfile.TemporaryDirectory(dir=self._directory.parent, ignore_cleanup_errors=True) as scratch:
            published = Path(scratch) / "published"
            published.mkdir()
            for file in build_dir.glob("verilated*.o"):
                shutil.copy(file, published)
            with suppress(OSError):  # another process was first
                published.rename(self._directory)


def new_run(build_dir: Path, prefix: str) -> Path:
    """Return a new directory for the files of a run, which stay where something differs."""
    runs = build_dir.resolve() / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=runs))


def run_command(
    command: Sequence[str],
    cwd: os.PathLike[str] | str,
    environment: Mapping[str, str],
    stdout: TextIO | None = None,
    poll: Poll | None = None,
) -> int:
    """Run a command without blocking, so that progress can be shown meanwhile and an interrupt ends it.

    Returns
    -------
    int
        Its exit code.
    """
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.STDOUT,
    )
    try:
        while process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_SECONDS)
            if poll is not None:
                poll()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    return process.returncode


def first_error(log: Path) -> str:
    """Return the first line of a log that speaks of an error, or its last line."""
    lines = log.read_text(errors="replace").splitlines()
    errors = [line.strip() for line in lines if "error" in line.lower()]
    return errors[0] if errors else (lines[-1].strip() if lines else "it said nothing")


def cannot_build(tool: Tool, log: Path) -> SimulatorError:
    """Return the error of a build that failed."""
    return SimulatorError(f"{tool.version} could not build the design: {first_error(log)} (see {log})")
