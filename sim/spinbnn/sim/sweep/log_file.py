"""The log of a sweep: what depends on time and machine, a line of JSON each, beside the results file."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from spinbnn.golden.errors import SweepError


@dataclass(frozen=True)
class Times:
    """What a sweep took.

    Attributes
    ----------
    settings : int
        How many settings it tells of.
    seconds : float
        All settings together, each in its process; of one that was measured again, the last time.
    wall_seconds : float
        From the first line to the last of every sitting, all sittings together.
    """

    settings: int
    seconds: float
    wall_seconds: float


def path_of(results: Path) -> Path:
    """Return the path of the log that belongs to a results file."""
    return results.with_name(f"{results.stem}.log.jsonl")


def read(path: Path) -> Times | None:
    """Return the times in a log; None where there is none. A line that a crash cut short is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    settings: dict[int, float] = {}
    wall, began, last = 0.0, None, 0.0
    for entry in filter(None, map(_parsed, lines)):
        if entry["event"] == "begin":
            wall += 0.0 if began is None else last - began
            began = entry["time"]
        elif entry["event"] == "setting":
            settings[entry["number"]] = entry["seconds"]
        last = entry["time"]
    wall += 0.0 if began is None else last - began
    return Times(len(settings), sum(settings.values()), wall)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and {"event", "time"} <= entry.keys() else None


class Log:
    """A log that is being written.

    Parameters
    ----------
    file : BinaryIO
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def restart(self) -> None:
        """Forget what is there, as the sweep begins anew."""
        self._file.truncate(0)

    def write(self, event: str, **entries: Any) -> None:
        """Add a line, at once.

        Raises
        ------
        SweepError
            If it cannot be written, as on a full disk.
        """
        line = {"event": event, "time": round(time.time(), 3), **entries}
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise SweepError(f"the log of the sweep cannot be written ({error.strerror})") from error


@contextmanager
def opened(path: Path) -> Iterator[Log]:
    """Open a log to be added to, and keep other sweeps from the same results meanwhile.

    Raises
    ------
    SweepError
        If another sweep holds it, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab+")
    except OSError as error:
        raise SweepError(f"{path} cannot be written ({error.strerror}): name a writable folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SweepError(
                f"{path} is held by another sweep of the same results: wait for it, or name other results"
            ) from error
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # what a crash cut short must not spoil the next line
                file.write(b"\n")
        yield Log(file)


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()
