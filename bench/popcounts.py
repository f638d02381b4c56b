"""Candidates for the population count, each in the emitted banks: a table in Markdown.

``python -m bench.popcounts`` takes some 20 minutes; `docs/decisions.md` has what it gave.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from bench import array
from bench.luts import SYNTHESIS, plain_popcount, statistics, total_luts, with_popcount
from spinbnn.golden.geometry import PRESETS
from spinbnn.hw.cells import cell_source
from spinbnn.sim import tools

GEOMETRY = PRESETS["64x64"]
ICARUS_CLOCKS = 2_000


def candidates() -> dict[str, str]:
    """Return the Verilog of each candidate, all under the name of the cell."""
    cell = cell_source("popcount.sv")
    others = (array.FOLDER / "popcounts.sv").read_text(encoding="utf-8")
    return {
        "`$countones`": plain_popcount(),
        "a loop over bits": others.replace("bench_loop", "spinbnn_popcount"),
        "tree of adders": others.replace("bench_adder_tree", "spinbnn_popcount"),
        "6:3 compressors": others.replace("bench_compressors", "spinbnn_popcount"),
        "emitted, for synthesis": "`define FULL_ADDERS\n"
        + cell.replace("ifdef SYNTHESIS", "ifdef FULL_ADDERS"),
        "emitted, for Verilator": "`define WORD\n"
        + cell.replace("ifdef SYNTHESIS", "ifdef NEVER").replace("elsif VERILATOR", "elsif WORD"),
    }


def icarus_speed(text: str, folder: Path) -> float:
    """Return clocks a second."""
    source = text + (array.FOLDER / "icarus.sv").read_text(encoding="utf-8")
    (folder / "icarus.sv").write_text(source, encoding="utf-8")
    command = [str(tools.icarus().path), "-g2012", "-s", "bench_icarus", "-o", "sim.vvp"]
    seconds = []
    for clocks in (1, ICARUS_CLOCKS):
        subprocess.run([*command, f"-Pbench_icarus.CLOCKS={clocks}", "icarus.sv"], cwd=folder, check=True)
        begin = time.perf_counter()
        subprocess.run(["vvp", "-n", "sim.vvp"], cwd=folder, check=True, capture_output=True)
        seconds.append(time.perf_counter() - begin)
    return ICARUS_CLOCKS / (seconds[1] - seconds[0])


def row(name: str, popcount: str) -> str:
    """Measure a candidate; return its line of the table."""
    text = with_popcount(array.emitted(GEOMETRY), popcount)
    xilinx, ice40 = (statistics(text, "spinbnn_bank", synthesis) for synthesis in (SYNTHESIS, "synth_ice40"))
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        program = array.build(text, GEOMETRY, Path(folder, "verilator"))
        built = time.perf_counter() - begin
        verilator = max(array.run(program, array.CLOCKS, 4).clocks_a_second for _ in range(array.REPEATS))
        icarus = icarus_speed(text, Path(folder))
    return (
        f"| {name} | {total_luts(xilinx)} | {xilinx['lcs']} | {xilinx.get('CARRY4', 0)} "
        f"| {ice40.get('SB_LUT4', 0)} | {verilator:,.0f} | {built:.0f} s | {icarus:,.0f} |"
    )


def main() -> None:
    print("| population count | LUTs of a bank | packed | CARRY4 | iCE40 LUTs of a bank |", end="")
    print(" Verilator, clocks/s | built in | Icarus, clocks/s |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, popcount in candidates().items():
        print(row(name, popcount), flush=True)


if __name__ == "__main__":
    main()
