"""The progress of training on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from spinbnn.sim.training.recipes import Recipe
from spinbnn.sim.training.run import Status


@contextmanager
def progress_bar(recipe: Recipe) -> Iterator[Callable[[Status], None]]:
    """Show loss, accuracy and time left on standard error; yields what `train` takes as `progress`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(recipe.name, total=recipe.epochs, state="")

        def show(status: Status) -> None:
            state = (
                f"epoch {min(status.epoch + 1, status.epochs)}/{status.epochs}  loss {status.loss:.4f}  "
                f"accuracy {status.accuracy:.2%}"
            )
            done = status.epoch + status.step / status.steps
            if not bar.tasks[0].completed:  # epochs that a resumed run has behind it say nothing of its speed
                bar.reset(task, completed=status.epoch)
            bar.update(task, completed=done, state=state)

        yield show
