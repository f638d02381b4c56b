"""The command line with the tests' study; it can be told to kill itself at a point of its work.

``python -m tests.sweep.command POINT study even-draws ...``
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spinbnn.sim import cli
from spinbnn.sim.studies import registry
from spinbnn.sim.sweep import engine, results_file

COMMIT = "0123abc"
"""What the source is said to be, which may change while tests run."""

MODULES = {"even-draws": "tests.sweep.studies"}


def die(*args: Any) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_a_transaction() -> None:
    """Die with a setting's rows written but not committed, after three that are."""
    transaction, left = results_file._transaction, [4]

    @contextlib.contextmanager
    def patched(connection: Any) -> Iterator[None]:
        with transaction(connection):
            yield
            left[0] -= 1
            if not left[0]:
                die()

    results_file._transaction = patched


def die_before_the_end() -> None:
    """Die when all is measured and the file in its last order is written, but not yet in its place."""
    replace = Path.replace

    def patched(self: Path, target: Path) -> Path:
        return replace(self, target) if not target.exists() else die()

    Path.replace = patched  # type: ignore[method-assign, assignment]


POINTS = {"-": lambda: None, "in-a-transaction": die_in_a_transaction, "before-the-end": die_before_the_end}

if __name__ == "__main__":
    registry.STUDIES = MODULES
    engine.source_commit = lambda: COMMIT  # type: ignore[attr-defined]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background of some shells
    POINTS[sys.argv.pop(1)]()
    cli.main()
