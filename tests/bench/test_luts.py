"""What the benchmark counts."""

import pytest

from bench.luts import cost, plain_popcount, with_popcount
from spinbnn.golden.geometry import Geometry
from spinbnn.hw.verilog import emit_verilog


@pytest.mark.long
def test_a_plain_population_count_takes_more_tables() -> None:
    text = emit_verilog(Geometry(1, 32, rows=64, threshold_rows=8, stream_bits=32))
    ours, plain = (cost(each, "spinbnn_bank") for each in (text, with_popcount(text, plain_popcount())))
    assert 0 < ours.packed < ours.luts < plain.luts
    assert ours.carries > plain.carries > 0
