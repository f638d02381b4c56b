"""What a run says of how far it is where there is no terminal."""

import itertools
import time

import pytest

from spinbnn.sim import progress


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
