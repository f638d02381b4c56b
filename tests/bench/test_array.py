"""The arrays that the benchmark compares do the same, and the benchmark would notice if they did not."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import array
from spinbnn.golden.geometry import PRESETS

SMALL = replace(PRESETS["4x8x3"], banks=3, word_bits=40, rows=8, lanes=1, threshold_rows=4)
CLOCKS = 1000

pytestmark = [pytest.mark.verilator, pytest.mark.long]


def outputs(text: str, folder: Path) -> array.Run:
    return array.run(array.build(text, SMALL, folder), CLOCKS, dump=True)


def test_emitted_banks_equal_those_written_by_hand(tmp_path: Path) -> None:
    emitted, by_hand = array.emitted(SMALL), array.by_hand()
    ours = outputs(emitted, tmp_path / "emitted")
    baseline = outputs(by_hand, tmp_path / "by_hand")
    assert len(set(baseline.dump)) > CLOCKS // 4
    assert ours.dump == baseline.dump
    assert ours.outputs == baseline.outputs
    right, wrong = "pooled[b] & ~pool_first", "pooled[b]"
    assert by_hand.count(right) == 1
    broken = outputs(by_hand.replace(right, wrong), tmp_path / "broken")
    assert broken.outputs != ours.outputs
