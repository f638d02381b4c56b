"""The array of banks in Verilator: as it is emitted, against the same written by hand."""

import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.measurement import Measurement
from spinbnn.golden.geometry import PRESETS, Geometry
from spinbnn.hw.verilog import emit_verilog
from spinbnn.hw.xnor_popcount import largest_count
from spinbnn.sim import tools
from spinbnn.sim.builds import VERILATOR_FLAGS, VERILATOR_MAKE

FOLDER = Path(__file__).parent
TOP = "bench_array"
CLOCKS = 20_000
REPEATS = 8
TARGET = 0.9


@dataclass(frozen=True)
class Run:
    """What a simulation gave: a hash of every output in every clock, clocks a second, and what it printed."""

    outputs: str
    clocks_a_second: float
    dump: tuple[str, ...]


def sizes(geometry: Geometry) -> dict[str, int]:
    """Return the parameters of both arrays."""
    return {
        "BANKS": geometry.banks,
        "WORD_BITS": geometry.word_bits,
        "ROWS": geometry.rows,
        "ROW_BITS": (geometry.rows - 1).bit_length(),
        "COUNT_BITS": largest_count(geometry).bit_length(),
        "ACCUMULATOR_BITS": geometry.accumulator_bits,
        "THRESHOLD_ROWS": geometry.threshold_rows,
        "THRESHOLD_BITS": (geometry.threshold_rows - 1).bit_length(),
    }


def _own(*names: str) -> str:
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def by_hand() -> str:
    return _own("top.sv", "array.sv")


def emitted(geometry: Geometry) -> str:
    return emit_verilog(geometry) + _own("top.sv", "banks.sv")


def build(text: str, geometry: Geometry, folder: Path) -> Path:
    """Build an array with Verilator, with the options of all our simulators; return the program."""
    tool = tools.verilator()
    folder.mkdir()
    (folder / "source.sv").write_text(text, encoding="utf-8")
    definitions = " ".join(f"-D{name}={value}" for name, value in sizes(geometry).items())
    parameters = [f"-G{name}={value}" for name, value in sizes(geometry).items()]
    environment = {**os.environ, **tool.environment}
    verilate = [
        *(str(tool.path), "--cc", "--exe", "--quiet", "--top-module", TOP, "--Mdir", str(folder), "-o", TOP),
        *VERILATOR_FLAGS,
        *("-CFLAGS", definitions, *parameters, "source.sv", str(FOLDER / "array.cpp")),
    ]
    make = ["make", "-s", "-C", str(folder), "-f", f"V{TOP}.mk", *VERILATOR_MAKE, *tool.make_variables]
    for command in (verilate, make):
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise tools.SimulatorError(f"the array could not be built: {done.stderr[-2000:]}")
    return folder / TOP


def run(program: Path, clocks: int, repeats: int = 1, *, dump: bool = False) -> Run:
    command = [str(program), str(clocks), str(repeats), *(["dump"] if dump else [])]
    *printed, last = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    outputs, clocks_a_second = last.split()
    return Run(outputs, float(clocks_a_second), tuple(printed))


def array() -> Measurement:
    geometry = PRESETS["64x64"]
    with tempfile.TemporaryDirectory() as folder:
        ours = build(emitted(geometry), geometry, Path(folder, "emitted"))
        baseline = build(by_hand(), geometry, Path(folder, "by_hand"))
        # One after the other, several times: what else the machine does should slow both.
        pairs = [(run(ours, CLOCKS, 4), run(baseline, CLOCKS, 4)) for _ in range(REPEATS)]
    assert len({each.outputs for pair in pairs for each in pair}) == 1, "the two arrays differ"
    fastest, fastest_baseline = (
        max(each.clocks_a_second for each in runs) for runs in zip(*pairs, strict=True)
    )
    return Measurement(
        f"{geometry.banks} banks × {geometry.word_bits} bits in Verilator, {CLOCKS:,} clocks",
        f"emitted banks, {fastest:,.0f} clocks/s",
        CLOCKS / fastest,
        f"arrays and $countones by hand, {fastest_baseline:,.0f} clocks/s",
        CLOCKS / fastest_baseline,
        TARGET,
        "same outputs in every clock",
    )


BENCHMARKS = (array,)
