"""A study for tests: it draws numbers, takes its time, and dies where a file tells it to."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spinbnn.golden.errors import DataError
from spinbnn.sim.studies.study import Findings, Row, Setting, Study, StudyOptions, Table, Verdict

SETTINGS = 12

THREADS = os.environ.get("OMP_NUM_THREADS")
"""What NumPy read when it was imported."""


def settings(options: StudyOptions) -> list[Setting]:
    """Return settings with the rates of two errors, and half of them when it is quick."""
    count = SETTINGS // 2 if options.quick else SETTINGS
    return [{"rate": number / 8, "kind": f"kind {number % 2}", "seed": number} for number in range(count)]


def measure(setting: Setting, options: StudyOptions) -> Sequence[Row]:
    """Draw some rows; whatever a test put into the folder under the setting's seed is done before."""
    seed = int(setting["seed"] or 0)
    (options.folder / "measured").mkdir(exist_ok=True, parents=True)
    with (options.folder / "measured" / str(seed)).open("a") as file:
        file.write(f"{os.getpid()} {THREADS} {os.environ.get('SPINBNN_THREADS')}\n")
    slow = options.folder / "seconds"
    time.sleep(float(slow.read_text()) if slow.exists() else 0.0)
    die = options.folder / f"die-{seed}"
    if die.exists():
        if die.read_text() == "once":
            die.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if (options.folder / f"refuse-{seed}").exists():
        raise DataError("these images are no good")
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    names = {"rate": setting["rate"], "kind": setting["kind"], "seed": seed}
    return [{**names, "draw": draw, "value": float(rng.random())} for draw in range(1 + seed % 2)]


def findings(rows: Sequence[Row]) -> Findings:
    """Return the mean of all draws, which should be a half."""
    mean = float(np.mean([float(row["value"] or 0) for row in rows]))
    verdict = Verdict("Draws are even.", "0.5", f"{mean:.3f}", abs(mean - 0.5) < 0.25, "It is a mean.")
    table = Table("Draws", ("what", "number"), [("rows", str(len(rows))), ("mean", f"{mean:.3f}")])
    return Findings(
        f"{len(rows)} draws have a mean of {mean:.3f}.", [verdict], [table], notes=["No [paper]."]
    )


STUDY = Study("even-draws", "Even draws", "Are draws even?", "", settings, measure, findings)


def options_in(folder: Path, *, quick: bool = False) -> StudyOptions:
    return StudyOptions(quick, {}, folder)
