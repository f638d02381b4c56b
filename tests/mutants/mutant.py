"""A mutant: a copy of the hardware with a fault in it, and what the kill suite says of it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import spinbnn.hw
from tests.mutants.faults import Fault

ROOT = Path(__file__).parents[2]
SOURCE = Path(spinbnn.hw.__file__).parent

# The clock limit of the jobs ends what hangs in simulated time; this ends what hangs in real time only.
MOST_SECONDS = 900


class StaleFaultError(Exception):
    """The source has changed, and a fault of the table no longer fits."""


@dataclass(frozen=True)
class Verdict:
    """What came of a mutant.

    Parameters
    ----------
    difference : str or None
        The first difference from golden; None if the mutant survives, or could not be tried.
    problem : str or None
        Why it could not be tried.
    seconds : float
    """

    difference: str | None
    problem: str | None
    seconds: float


def apply(fault: Fault, package: Path) -> None:
    """Write a fault into the copy `package` of ``spinbnn.hw``.

    Raises
    ------
    StaleFaultError
        If the old text does not occur exactly once.
    """
    path = package / fault.file
    text = path.read_text(encoding="utf-8")
    if text.count(fault.old) != 1:
        raise StaleFaultError(
            f"{fault.name}: {fault.old!r} must occur once in {fault.file}, not {text.count(fault.old)} times"
        )
    path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")


def examine(fault: Fault | None, simulator: str) -> Verdict:
    """Run the kill suite on a copy of the hardware, with a fault or as it is."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="spinbnn-mutant-", ignore_cleanup_errors=True) as scratch:
        package = Path(scratch) / "spinbnn" / "hw"
        shutil.copytree(SOURCE, package, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            if fault is not None:
                apply(fault, package)
            difference, problem = _run_suite(scratch, simulator, fault.seen if fault else "scenarios"), None
        except (StaleFaultError, _SuiteError) as error:
            difference, problem = None, str(error)
    return Verdict(difference, problem, time.monotonic() - started)


class _SuiteError(Exception):
    """The suite ended without a verdict."""


def _run_suite(directory: str, simulator: str, first: str) -> str | None:
    """Return the first difference that the suite finds in the hardware in a directory, or None."""
    # First on the path, so that Python, here and in the simulator, finds the mutant and not its original.
    path = os.pathsep.join(filter(None, [directory, os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mutants.suite", directory, simulator, first],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(timeout=MOST_SECONDS)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise _SuiteError(f"the suite did not end in {MOST_SECONDS} s") from None
        raise
    if process.returncode:
        raise _SuiteError(errors.strip().splitlines()[-1])
    difference: str | None = json.loads(output)
    return difference
