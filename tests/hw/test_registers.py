"""The register map: sound in itself, and the same for Python, C and people."""

import dataclasses
import json
import re
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import counter_indices
from spinbnn.hw.register_documents import c_header, register_document
from spinbnn.hw.registers import REGISTERS, Field, Register

DOCUMENT = Path(__file__).parents[2] / "docs" / "registers.md"


def all_fields() -> Iterator[tuple[Register, Field]]:
    return ((register, field) for register in REGISTERS for field in register.fields)


def test_registers_are_aligned_and_apart() -> None:
    offsets = [register.offset for register in REGISTERS]
    assert all(offset % 4 == 0 and 0 <= offset < 2**12 for offset in offsets)
    assert all(low < high for low, high in pairwise(offsets))


def test_fields_are_apart_and_within_their_register() -> None:
    for register in REGISTERS:
        fields = sorted(register.fields, key=lambda f: f.low)
        assert fields[-1].low + fields[-1].width <= 32
        assert all(a.low + a.width <= b.low for a, b in pairwise(fields))
        assert all(f.width > 0 and 0 <= f.reset < 1 << f.width for f in fields)


def test_names_are_unique_and_everything_is_described() -> None:
    names = [register.name for register in REGISTERS]
    assert len(set(names)) == len(names)
    for register in REGISTERS:
        assert register.description.endswith(".")
        field_names = [f.name for f in register.fields]
        assert len(set(field_names)) == len(field_names)
        assert all(f.description or f.name == "value" for f in register.fields)


def test_every_register_of_the_source_is_known() -> None:
    """Read the RDL a second way: its named instances, arrays unrolled."""
    source = files("spinbnn.hw").joinpath("registers.rdl").read_text(encoding="utf-8")
    point, top = re.split(r"^addrmap ", re.sub(r"//.*", "", source), flags=re.M)
    instance = re.compile(r"\} ([A-Z][A-Z0-9_]*)(?:\[(\d+)\])? @ (0x[0-9A-F]+);")
    expected = {}
    for name, count, offset in instance.findall(top):
        for index in range(int(count or 1)):
            expected[f"{name}_{index}" if count else name] = int(offset, 16) + 4 * index
    array = re.search(r"operating_point_t POINT\[(\d+)\] @ (0x[0-9A-F]+) \+= (0x[0-9A-F]+);", top)
    assert array is not None
    count, base, stride = (int(text, 0) for text in array.groups())
    for index in range(count):
        for name, length, offset in instance.findall(point):
            for member in range(int(length or 1)):
                full = f"POINT_{index}_{name}" + (f"_{member}" if length else "")
                expected[full] = base + stride * index + int(offset, 16) + 4 * member
    assert {register.name: register.offset for register in REGISTERS} == expected


@pytest.mark.parametrize(
    ("name", "offset"),
    [("ID", 0), ("CONTROL", 0x10), ("ROW_DATA_7", 0x7C), ("RNG_STATE_1", 0xA4), ("POINT_3_PULSE", 0x1D4)],
)
def test_registers_are_found_by_name(name: str, offset: int) -> None:
    assert getattr(REGISTERS, name).offset == offset
    assert REGISTERS[name].name == name


def test_a_name_that_is_no_register() -> None:
    with pytest.raises(AttributeError, match=r"^no register ROW_DATA_8$"):
        _ = REGISTERS.ROW_DATA_8
    with pytest.raises(KeyError):
        _ = REGISTERS["ROW_DATA"]


def test_fields_place_and_extract_values() -> None:
    pulse = REGISTERS.POINT_0_PULSE
    word = pulse["clocks"].place(10) | pulse["max_retries"].place(15) | pulse["redundant"].place(1)
    assert word == 0x1F_000A
    assert [pulse[name].extract(word) for name in ("clocks", "max_retries", "redundant")] == [10, 15, 1]
    with pytest.raises(ValueError, match=r"^max_retries must be in 0\.\.15, not 16$"):
        pulse["max_retries"].place(16)
    with pytest.raises(ValueError, match=r"^clocks must be in 0\.\.65535, not -1$"):
        pulse["clocks"].place(-1)


def test_access() -> None:
    assert REGISTERS.ID["value"].access == "r"
    assert REGISTERS.IMAGES["value"].access == "rw"
    assert REGISTERS.CONTROL["start"].access == "w"
    assert not REGISTERS.STATUS.writable
    assert not REGISTERS.TABLE_DATA.readable
    assert REGISTERS.TABLE_DATA.strobe
    assert not REGISTERS.IMAGES.strobe


def test_the_document_in_docs_is_up_to_date() -> None:
    cure = "docs/registers.md is stale: make verilog && cp build/verilog/registers.md docs/"
    assert DOCUMENT.read_text(encoding="utf-8") == register_document(), cure


def test_the_document_lists_every_register_field_and_counter() -> None:
    rows = [line.split("|")[1:-1] for line in register_document().splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in row] for row in rows]
    registers = [(int(row[0], 16), row[1].strip("*"), *row[6:]) for row in rows if row[0].startswith("0x")]
    assert registers == [(r.offset, r.name, " or ".join(r.options), r.description) for r in REGISTERS]
    listed = [(*row[2:6], row[6]) for row in rows if row[2] and row[2] != "bits"]
    assert listed == [
        (
            f"{f.low + f.width - 1}:{f.low}" if f.width > 1 else str(f.low),
            f.name,
            f.access,
            f"{f.reset:#x}" if f.stored else "",
            " or ".join(f.options),
        )
        for _, f in all_fields()
    ]
    lines = register_document().splitlines()
    for name, index in counter_indices(Geometry()).items():
        assert f"- {index}: `{name}`" in lines
    assert "- 12: `aged_bits` (only with ageing)" in lines
    assert "- 32 + g: `group_reads_g` (only with read_groups)" in lines


OPTIONS = {field.name for field in dataclasses.fields(MemoryOptions)}


def test_options_are_known_by_name() -> None:
    named = {option for register in REGISTERS for option in register.options}
    named |= {option for _, field in all_fields() for option in field.options}
    assert named <= OPTIONS | {"injector", "image_elements"}
    assert {"variability", "self_terminated", "ageing", "scrub", "injector", "image_elements"} <= named


def test_a_plain_machine_has_the_registers_of_no_option() -> None:
    names = {register.name for register in REGISTERS.built(Geometry())}
    assert names == {r.name for r in REGISTERS if r.options in ((), ("injector",))}
    without = {register.name for register in REGISTERS.built(Geometry(), injector=False)}
    assert names - without == {f"RNG_STATE_{index}" for index in range(8)}
    assert without < names


@pytest.mark.parametrize(
    ("option", "some"),
    [
        ("variability", {"CHIP_SEED_LO", "CLASS_SHARE_2", "CLASS_STUCK", "POINT_3_P_FAIL_10_CLASS_2"}),
        ("self_terminated", {"POINT_0_ENERGY_01_FAILED", "POINT_3_ENERGY_10_FAILED"}),
        ("ageing", {"PASS_LAST_ROW", "PASS_COMMAND"}),
        ("scrub", {"PASS_LAST_ROW", "PASS_COMMAND"}),
    ],
)
def test_an_option_adds_its_registers_and_fields(option: str, some: set[str]) -> None:
    built = REGISTERS.built(Geometry(memory=MemoryOptions.from_dict({option: True})))
    added = {r.name for r in built} - {r.name for r in REGISTERS.built(Geometry())}
    assert some <= added == {r.name for r in REGISTERS if option in r.options}
    command = [f.name for r in built for f in r.fields if r.name == "PASS_COMMAND"]
    assert command == {"ageing": ["age", "point"], "scrub": ["scrub", "point"]}.get(option, [])


def test_a_machine_that_unfolds_windows_has_their_registers() -> None:
    added = {r.name for r in REGISTERS.built(Geometry(image_elements=1))}
    added -= {r.name for r in REGISTERS.built(Geometry())}
    assert added == {r.name for r in REGISTERS if r.name.startswith("WINDOW_")}
    assert len(added) == 11


def test_an_image_s_elements_are_counted_in_as_many_bits_as_geometries_allow() -> None:
    assert REGISTERS.IMAGE_ELEMENTS["value"].width == 24
    for name in ("WINDOW_ROW", "WINDOW_SEGMENT", "WINDOW_STEP_X", "WINDOW_STEP_ROW"):
        assert REGISTERS[name]["value"].width == 24
    assert REGISTERS.WINDOW_START["value"].width == REGISTERS.WINDOW_START_X["value"].width == 25


def test_the_c_header_says_what_not_every_machine_has() -> None:
    lines = c_header().splitlines()
    for line in (
        "// reg - spinbnn.IMAGES",
        "// reg - spinbnn.RNG_STATE[], only with injector",
        "// reg - spinbnn.PASS_COMMAND, only with ageing or scrub",
        "// reg - spinbnn.POINT[].PULSE",
        "// reg - spinbnn.WINDOW_ROWS, only with image_elements",
        "// reg - spinbnn.POINT[].P_FAIL_01_CLASS[], only with variability",
    ):
        assert line in lines


def c_path(register: Register) -> str:
    """Return how C reaches a register: arrays with their index."""
    point = re.fullmatch(r"POINT_(\d)_(\w+)", register.name)
    prefix, name = (f"POINT[{point[1]}].", point[2]) if point else ("", register.name)
    array = re.fullmatch(r"(ROW_DATA|RNG_STATE|CLASS_SHARE|P_FAIL_\d\d_CLASS)_(\d)", name)
    return prefix + (f"{array[1]}[{array[2]}]" if array else name)


def c_macro(register: Register, field: Field) -> str:
    path = re.sub(r"\[\d\]", "X", c_path(register)).replace(".", "__")
    return f"SPINBNN__{path}__{field.name.upper()}"


@pytest.mark.parametrize("compiler", ["gcc", "g++"])
def test_the_c_header_agrees(compiler: str, tmp_path: Path) -> None:
    """Compiled as C and as C++: offsets, masks, positions and reset values."""
    (tmp_path / "registers.h").write_text(c_header(), encoding="utf-8")
    lines = [
        f'    printf("[\\"{register.name}\\", %zu]\\n", offsetof(spinbnn_t, {c_path(register)}));'
        for register in REGISTERS
    ]
    for register, field in all_fields():
        macro = c_macro(register, field)
        values = f"(unsigned){macro}_bm, {macro}_bp, {macro}_bw"
        lines.append(f'    printf("[\\"{register.name}.{field.name}\\", %u, %d, %d]\\n", {values});')
    program = '#include <stddef.h>\n#include <stdio.h>\n#include "registers.h"\n\nint main(void)\n{\n'
    source = tmp_path / ("main.c" if compiler == "gcc" else "main.cc")
    source.write_text(program + "\n".join(lines) + "\n    return 0;\n}\n", encoding="utf-8")
    subprocess.run(
        [compiler, "-Wall", "-Wextra", "-Werror", source.name, "-o", "main"], cwd=tmp_path, check=True
    )
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    expected: list[list[object]] = [[register.name, register.offset] for register in REGISTERS]
    for register, field in all_fields():
        mask = field.place((1 << field.width) - 1)
        expected.append([f"{register.name}.{field.name}", mask, field.low, field.width])
    assert [json.loads(line) for line in printed.splitlines()] == expected
