"""The register map for those who write software: a C header and a Markdown table."""

import tempfile
from pathlib import Path

from peakrdl_cheader.exporter import CHeaderExporter
from systemrdl.node import RegNode

from spinbnn.hw.counters import COUNTER_OPTIONS, Counter
from spinbnn.hw.library import TOP
from spinbnn.hw.registers import REGISTERS, Field, Register, compile_rdl, options_of


def c_header() -> str:
    """C header with the registers as a packed structure, and the masks and positions of their fields.

    Registers that not every machine has say so in their comment.
    """
    tree = compile_rdl()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "registers.h")
        CHeaderExporter().export(tree, str(path), generate_bitfields=False, reuse_typedefs=False)
        text = path.read_text(encoding="utf-8")
    for node in tree.top.descendants():
        if isinstance(node, RegNode) and options_of(node):
            comment = f"// reg - {node.get_path(empty_array_suffix='[]')}"
            text = text.replace(f"{comment}\n", f"{comment}, only with {' or '.join(options_of(node))}\n")
    return text


def register_document() -> str:
    """Markdown document of all registers, their fields, and the counters."""
    lines = [
        f"# Registers of the {TOP} accelerator",
        "",
        "All are 32 bits wide, at byte offsets. Software reads (r) and writes (w) fields; w alone reads 0.",
        "Fields without a reset value are not stored by the register block. Some are there only in machines",
        "with the error injector, with an option of the memory, or that unfold images (`image_elements`);",
        "others have nothing at that address.",
        "",
        "| offset | register | bits | field | access | reset | only with | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for register in REGISTERS:
        lines.append(
            f"| 0x{register.offset:03X} | **{register.name}** | | | | | {_only_with(register)} "
            f"| {register.description} |"
        )
        lines += [_row(field) for field in register.fields]
    lines += ["", "Counters of a bank, by their number in `COUNTER_SELECT`:", ""]
    lines += [_counter(counter) for counter in Counter]
    return "\n".join(lines) + "\n"


def _row(field: Field) -> str:
    bits = f"{field.low + field.width - 1}:{field.low}" if field.width > 1 else f"{field.low}"
    reset = f"{field.reset:#x}" if field.stored else ""
    cells = (bits, field.name, field.access, reset, _only_with(field), field.description)
    return f"| | | {' | '.join(cells)} |"


def _only_with(item: Register | Field) -> str:
    return " or ".join(item.options)


def _counter(counter: Counter) -> str:
    group = counter is Counter.GROUP_READS
    line = f"- {counter.value}{' + g' * group}: `{counter.name.lower()}{'_g' * group}`"
    return line + (f" (only with {COUNTER_OPTIONS[counter]})" if counter in COUNTER_OPTIONS else "")
