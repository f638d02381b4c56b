"""The register map for those who write software: a C header and a Markdown table."""

import tempfile
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter

from spinbnn.hw.counters import Counter
from spinbnn.hw.library import TOP
from spinbnn.hw.registers import REGISTERS, Field, compile_rdl


def c_header() -> str:
    """C header with the registers as a packed structure, and the masks and positions of their fields."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "registers.h")
        CHeaderExporter().export(compile_rdl(), str(path), generate_bitfields=False, reuse_typedefs=False)
        return path.read_text(encoding="utf-8")


def register_document() -> str:
    """Markdown document of all registers, their fields, and the counters."""
    lines = [
        f"# Registers of the {TOP} accelerator",
        "",
        "All are 32 bits wide, at byte offsets. Software reads (r) and writes (w) fields; w alone reads 0.",
        "Fields without a reset value are not stored by the register block.",
        "",
        "| offset | register | bits | field | access | reset | |",
        "|---|---|---|---|---|---|---|",
    ]
    for register in REGISTERS:
        lines.append(f"| 0x{register.offset:03X} | **{register.name}** | | | | | {register.description} |")
        lines += [_row(field) for field in register.fields]
    lines += ["", "Counters of a bank, by their number in `COUNTER_SELECT`:", ""]
    lines += [f"- {counter.value}: `{counter.name.lower()}`" for counter in Counter]
    return "\n".join(lines) + "\n"


def _row(field: Field) -> str:
    bits = f"{field.low + field.width - 1}:{field.low}" if field.width > 1 else f"{field.low}"
    reset = f"{field.reset:#x}" if field.stored else ""
    return f"| | | {bits} | {field.name} | {field.access} | {reset} | {field.description} |"
