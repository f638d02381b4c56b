"""How far a run is, on standard error: bars on a terminal, and now and then a line elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from spinbnn.sim.spec import Progress as Report

_LINE_SECONDS = 10.0


class _RateColumn(ProgressColumn):
    """What is done in a second."""

    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed, "/s", "/min") if task.speed else "")


def _rate(speed: float, a_second: str, a_minute: str) -> str:
    """Return a rate in the unit that leaves at least 1 before it, where a minute is enough for that."""
    return f"{speed:,.0f}{a_second}" if speed >= 1 else f"{60 * speed:,.1f}{a_minute}"


@contextmanager
def run_progress(rate_seconds: float = 30.0) -> Iterator[Report]:
    """Show the stages of a run; yield what the run calls.

    Parameters
    ----------
    rate_seconds : float
        The last seconds that the rate and the time left are estimated from.
    """
    console = Console(stderr=True, highlight=False)
    columns = (
        TextColumn("{task.description:>8}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    next_line = time.monotonic() + _LINE_SECONDS
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=rate_seconds,
    ) as bars:

        def show(stage: str, done: int, total: int) -> None:
            nonlocal next_line
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None, completed=done)
                if not console.is_terminal:
                    console.print(f"spinbnn: {stage}")
            # Of a stage in one piece only the time that has passed is known.
            bars.update(tasks[stage], completed=done, total=total if done or total > 1 else None)
            if not console.is_terminal and time.monotonic() >= next_line and 0 < done < total:
                next_line = time.monotonic() + _LINE_SECONDS
                console.print(progress_line(bars.tasks[tasks[stage]]))

        yield show


def progress_line(task: Task) -> str:
    """Return a line that says how far a stage is."""
    line = f"spinbnn: {task.description} {task.completed:,.0f} of {task.total:,.0f}"
    if task.speed:
        line += ", " + _rate(task.speed, " a second", " a minute")
    if task.time_remaining is not None:
        line += f", {task.time_remaining:,.0f} s left"
    return line
