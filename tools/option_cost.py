"""What each option costs in logic: Yosys for Xilinx 7-series and for iCE40, option by option.

Writes ``docs/option_cost.md``.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import track

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.sim.synthesis import SYNTHESES, cells_of, luts_and_flip_flops

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
DOCUMENT = Path(__file__).parents[1] / "docs" / "option_cost.md"


def _cost(geometry: Geometry, synthesis: str, injector: bool) -> tuple[int, int]:
    return luts_and_flip_flops(cells_of(geometry, synthesis, injector=injector), synthesis)


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
        counts = pool.map(lambda task: _cost(*task), tasks)
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
