"""From Amaranth blocks to one SystemVerilog text."""

import re
import textwrap
from importlib.metadata import version

from amaranth._toolchain.yosys import find_yosys

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.accelerator import Accelerator
from spinbnn.hw.cells import CELL_FILES, cell_source
from spinbnn.hw.library import TOP, Library

# `proc` leaves assignments and clocked blocks only: combinational always-blocks hold X in Icarus until an
# input changes. `-norom`: a case of constants stays a case, instead of a memory with an initial value a word.
_PASSES = (
    "proc -norom",
    "opt_expr",
    "opt_merge",
    "opt_clean",
    "opt_dff",  # enables and resets, as one would write them
    "opt_clean -purge",
    "write_verilog -noattr -norename",
)
_ESCAPED = re.compile(r"\\(\S+) ")
_LINE_LENGTH = 110


def _run_yosys(rtlil_text: str) -> str:
    yosys = find_yosys(lambda version: version >= (0, 40))
    script = "\n".join([f"read_rtlil <<rtlil\n{rtlil_text}\nrtlil", *_PASSES])
    return str(yosys.run(["-q", "-"], script, ignore_warnings=True))


def _plain_names(module: str) -> str:
    r"""Turn escaped identifiers (``\\group.last``, ``\\$12``) into plain ones (``group_last``, ``n12``)."""
    taken = set(re.findall(r"\b[A-Za-z_]\w*", _ESCAPED.sub(" ", module)))
    names: dict[str, str] = {}
    for name in dict.fromkeys(_ESCAPED.findall(module)):
        assert not re.fullmatch(r"\w+", name), (
            f"{name} is a Verilog keyword: choose another name in the source"
        )
        plain = f"n{len(names)}" if name.startswith("$") else re.sub(r"\W", "_", name)
        while plain in taken:
            plain += "_"
        taken.add(plain)
        names[name] = plain
    return _ESCAPED.sub(lambda match: names[match[1]], module)


def _wrapped(module: str) -> str:
    """Break long lines where there are blanks: port lists and concatenations."""
    lines = module.replace("\n, ", ", ").splitlines()
    return "\n".join(_wrapped_line(line) for line in lines) + "\n"


def _wrapped_line(line: str) -> str:
    if len(line) <= _LINE_LENGTH or "//" in line:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    parts = textwrap.wrap(
        line, _LINE_LENGTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return "\n".join(parts)


def _header(geometry: Geometry, injector: bool) -> str:
    sizes = geometry.to_dict()
    built = sizes.pop("memory")
    fields, options = (
        ", ".join(name if value is True else f"{name} {value}" for name, value in each.items() if value)
        for each in (sizes, built)
    )
    return (
        f"// {TOP} {version(TOP)}: binarized-neural-network accelerator with weights in banked MRAM.\n"
        f"// {fields}, {'with' if injector else 'without'} error injector.\n"
        + (f"// Memory options: {options}.\n" if options else "")
        + "// Generated from Amaranth; do not edit.\n\n"
    )


def emit_verilog(geometry: Geometry, *, injector: bool = True) -> str:
    """Verilog of the accelerator.

    Parameters
    ----------
    geometry : Geometry
        Machine size.
    injector : bool
        Whether write errors are injected; an ASIC with real MRAM does without.

    Raises
    ------
    GeometryError
        If an option of the memory needs the injector and there is none.

    Returns
    -------
    str
        Plain SystemVerilog, top module ``spinbnn`` first, each distinct module once; the same text for the
        same parameters, byte for byte.
    """
    blocks = Library().convert(Accelerator(geometry, injector=injector))
    text = _run_yosys("\n".join(blocks.values()))
    modules = {
        match[1]: match[0] for match in re.finditer(r"^module (\w+).*?^endmodule\n", text, re.S | re.M)
    }
    cells = [cell_source(name) for name in CELL_FILES]
    own = [_wrapped(_plain_names(modules[name])) for name in blocks]
    return _header(geometry, injector) + "\n".join(own + cells)
