"""What a run says of how far it is where there is no terminal."""

import itertools
import re
import time

import numpy as np
import pytest
import rich.console

from spinbnn.sim import progress
from spinbnn.sim.testbench import accesses


def test_lines_say_the_rate_and_the_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line when a stage begins, then one every ten seconds; 100 images in each of these."""
    seconds = itertools.count(0, 5.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    with progress.run_progress() as show:
        show("build", 0, 1)
        show("build", 1, 1)
        for done in range(0, 1000, 100):
            show("images", done, 1000)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["spinbnn: build", "spinbnn: images"]
    assert len(lines) > 3
    for line in lines[2:]:
        assert line.startswith("spinbnn: images ")
        assert " of 1,000" in line
    assert " a second, " in lines[-1]
    assert lines[-1].endswith(" s left")


def test_slow_stages_have_a_rate_a_minute(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in 40 s, which a rate over the last 30 s would never see."""
    seconds = itertools.count(0, 10.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(rich.console, "monotonic", lambda: next(seconds))
    with progress.run_progress(rate_seconds=3600) as show:
        for done in range(5):
            show("settings", done, 12)
    last = capsys.readouterr().err.splitlines()[-1]
    assert re.fullmatch(r"spinbnn: settings 4 of 12, [0-9]+\.[0-9] a minute, [0-9]+ s left", last)


@pytest.mark.parametrize("slices", [1, 3])
def test_rows_are_counted_without_the_headers_of_their_packets(slices: int) -> None:
    kinds = [kind for rows in (4, 1, 2) for kind in ["header", *(["part"] * slices * rows)]]
    after = [*kinds[1:], "header"]
    last = np.array([kind == "header" for kind in after], dtype=np.uint8)
    for beats in range(len(kinds) + 1):
        assert accesses.rows_taken(last, beats, slices) == kinds[:beats].count("part") // slices
    assert accesses.rows_taken(last, len(kinds), slices) == 7
