"""The emitted Verilog as text: the same every time, each module once, and fit for people to read."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import EVERYTHING
from spinbnn.hw.verilog import emit_verilog
from tests.hw.conftest import Emitted

SMALL = Geometry.from_preset("4x8x3")
DEFAULT = Geometry()
WITH_OPTIONS = replace(
    SMALL,
    memory=replace(EVERYTHING, read_groups=8, activation_generators=0),
)
MODULES = {
    "spinbnn",
    "spinbnn_register_block",
    "spinbnn_programmer",
    "spinbnn_bank_counters",
    "spinbnn_error_injector",
    "spinbnn_sfc64",
    "spinbnn_image_loader",
    "spinbnn_engine",
    "spinbnn_loop_nest",
    "spinbnn_drain",
    "spinbnn_result_unit",
    "spinbnn_lane",
    "spinbnn_bank",
    "spinbnn_xnor_popcount",
    "spinbnn_popcount",
    "spinbnn_ram",
    "spinbnn_mram_array",
}
MACHINES = [
    pytest.param((DEFAULT, True), id="64x64"),
    pytest.param((SMALL, True), id="4x8x3"),
    pytest.param((SMALL, False), id="4x8x3 without injector"),
    pytest.param((WITH_OPTIONS, True), id="4x8x3 with options"),
]


@pytest.fixture(params=MACHINES)
def text(request: pytest.FixtureRequest, emitted: Emitted) -> str:
    geometry, injector = request.param
    return emitted(geometry, injector=injector)


def test_the_text_is_the_same_in_every_process(emitted: Emitted, tmp_path: Path) -> None:
    """Byte for byte, whatever the order of Python's sets and wherever it runs."""
    program = (
        "import sys\n"
        "from spinbnn.golden.geometry import Geometry\n"
        "from spinbnn.hw.verilog import emit_verilog\n"
        "sys.stdout.write(emit_verilog(Geometry.from_preset('4x8x3')))\n"
    )
    for seed in ("1", "4711"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert done.stdout == emitted(SMALL).encode()


def test_the_text_is_the_same_the_second_time(emitted: Emitted) -> None:
    assert emit_verilog(SMALL) == emitted(SMALL)


def test_each_module_is_there_once(text: str) -> None:
    modules = re.findall(r"^module (\w+)", text, re.M)
    left_out = {"spinbnn_error_injector", "spinbnn_sfc64"} if "without error injector" in text else set()
    added = {"spinbnn_cell_classes", "spinbnn_seeded_sfc64"} if "Memory options" in text else set()
    assert sorted(modules) == sorted((MODULES - left_out) | added)
    assert modules[0] == "spinbnn"
    assert text.count("\nendmodule\n") == len(modules)
    instantiated = set(re.findall(r"^  (spinbnn_\w+) (?:#\(|\w+ \()", text, re.M))
    assert instantiated == set(modules) - {"spinbnn"}


def test_banks_and_lanes_have_stable_names(emitted: Emitted) -> None:
    text = emitted(SMALL)
    top = re.search(r"^module spinbnn\(.*?^endmodule", text, re.S | re.M)
    assert top is not None
    for kind, count in (("bank", SMALL.banks), ("lane", SMALL.lanes)):
        names = re.findall(rf"^  spinbnn_{kind} (\w+) \($", top[0], re.M)
        assert names == [f"{kind}_{index}" for index in range(count)]
    bank = re.search(r"^module spinbnn_bank\(.*?^endmodule", text, re.S | re.M)
    assert bank is not None
    assert re.search(r"^  spinbnn_mram_array #\(.*?\) array \($", bank[0], re.S | re.M)
    assert re.search(r"reg \[WORD_BITS-1:0\] cells \[0:ROWS-1\];", text)
    lane = re.search(r"^module spinbnn_lane\(.*?^endmodule", text, re.S | re.M)
    assert lane is not None
    for signal in ("enable", "address", "data"):
        assert re.search(rf"^  output (\[\d+:0\] )?activation_write_{signal};$", lane[0], re.M)


def test_names_are_plain(text: str) -> None:
    assert "\\" not in text
    assert "$" not in re.sub(r"\$(clog2|countones|signed)\b", "", text)


def test_nothing_tells_where_it_was_made(text: str) -> None:
    assert ".py" not in text
    for place in (Path.cwd(), Path.home(), tempfile.gettempdir(), sys.prefix, os.sep + "usr"):
        assert str(place) not in text


def test_there_are_no_attributes(text: str) -> None:
    assert "(*" not in text.replace("@(*)", "")


def test_memories_are_not_initialised_line_by_line(text: str) -> None:
    """Only the two memory cells have an ``initial`` block each, with a loop."""
    blocks = re.findall(r"^ *initial begin\n(.*?)^ *end$", text, re.S | re.M)
    assert len(blocks) == len(re.findall(r"\binitial begin\b", text)) == 2
    assert all("for (i = 0;" in block for block in blocks)
    assert not re.search(r"^\s*\w+\[\d+\]\s*<?=", text, re.M)


def test_the_default_machine_is_short(emitted: Emitted) -> None:
    assert len(emitted(DEFAULT).encode()) <= 300_000


def test_lines_are_short(text: str) -> None:
    """All but comments and numbers too long for a line."""
    long = [line for line in text.splitlines() if len(line) > 110 and "//" not in line]
    assert [line for line in long if not re.fullmatch(r" *\d+'(h[0-9a-fx]+;|b[01?]+:)", line)] == []


def test_the_head_says_what_it_is(emitted: Emitted) -> None:
    head = emitted(SMALL, injector=False).splitlines()[:3]
    assert re.fullmatch(
        r"// spinbnn \d+\.\d+\.\d+: binarized-neural-network accelerator with weights in banked MRAM\.",
        head[0],
    )
    assert head[1] == (
        "// banks 4, word_bits 8, rows 256, lanes 3, accumulator_bits 20, threshold_rows 64, "
        "input_words 128, activation_words 64, layers 8, outputs 64, stream_bits 16, "
        "steps 16, weight_planes 1, activation_bits 1, without error injector."
    )
    assert emitted(SMALL).splitlines()[1] == head[1].replace("without", "with")


def test_without_injector_nothing_draws(emitted: Emitted) -> None:
    text = emitted(SMALL, injector=False).split("\n", 2)[2]
    assert not re.search(r"sfc64|injector|draw|generator|rng_(load|state)\b", text)
    programmer = re.search(r"^module spinbnn_programmer\(.*?^endmodule", text, re.S | re.M)
    assert programmer is not None
    assert "fail" not in programmer[0].replace("failed", "")
    assert re.search(r"\bdraw\b", emitted(SMALL))


def test_memory_options_are_named_in_the_head(emitted: Emitted) -> None:
    plain, head = emitted(SMALL).splitlines(), emitted(WITH_OPTIONS).splitlines()
    assert head[:2] == plain[:2]
    assert head[2] == (
        "// Memory options: variability, self_terminated, secded, differential, ageing, scrub, read_groups 8."
    )
    assert head[3] == plain[2]


def test_without_options_there_is_nothing_of_them(emitted: Emitted) -> None:
    """Names that every machine with the options has are in none without."""
    for name in (
        *("chosen_3_slice_0", "class_stuck", "P_FAIL_01_CLASS", "ENERGY_01_FAILED", "popcount_failed_01"),
        *("PASS_COMMAND", "pass_asked", "ageing", "scrubbing", "popcount_aged", "read_syndrome", "read_ties"),
        *("mismatch", "corrected_reads", "tied_reads", "engine_group", "reads_of_group_7"),
    ):
        assert name in emitted(WITH_OPTIONS), name
        assert name not in emitted(SMALL), name
