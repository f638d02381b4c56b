"""The command ``spinbnn study``: an experiment of the literature, repeated."""

# A parameter is an option of the command line; what computes is imported when the command runs.
# ruff: noqa: PLC0415

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spinbnn.golden.errors import DataError, SweepError
from spinbnn.sim.output import OUTPUT, Json, check_writable, print_json, print_shown

if TYPE_CHECKING:
    from spinbnn.sim.sweep.worker import Pool

_FOLDER = Path("build/studies")
_STUDY, _WORKERS = "Study", "Workers"


def study(
    *,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which study; --list has them.", show_default=False),
    ] = None,
    list_studies: Annotated[
        bool, typer.Option("--list", help="List the studies.", rich_help_panel=_STUDY)
    ] = False,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="Minutes instead of hours: fewer points, seeds and epochs.",
            rich_help_panel=_STUDY,
        ),
    ] = False,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Where the images of mnist, fashion-mnist, cifar10 or digits are; as often as needed. "
            "What is not given, a study does with what is shipped, or leaves out and says so.",
            show_default=False,
            rich_help_panel=_STUDY,
        ),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Measure so many settings at a time on this machine. Without it: one a core.",
            show_default=False,
            rich_help_panel=_WORKERS,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Measure on the workers of a Dask scheduler instead, such as tcp://10.0.0.1:8786.",
            show_default=False,
            rich_help_panel=_WORKERS,
        ),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Threads of each worker.", rich_help_panel=_WORKERS),
    ] = 1,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            help="Go on with the results that are there, or measure all anew.",
            rich_help_panel=OUTPUT,
        ),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help=f"The results file, an SQLite database. Without it: {_FOLDER}/NAME.sqlite, or "
            "NAME-quick.sqlite.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Repeat an experiment of the literature with this machine, and say what of its claims holds.

    A study measures at many settings and keeps each in the results file as soon
    as it is finished. An interrupted one goes on where it was when the same
    command is given again, and ends with the same file, byte for byte. Networks
    that it trains are kept in build/studies/networks.

    [bold]Examples[/]

      spinbnn study --list

      spinbnn study weight-errors --quick

      spinbnn study weight-errors --data mnist=images/mnist

      spinbnn study weight-errors --scheduler tcp://10.0.0.1:8786
    """
    from spinbnn.sim.studies.registry import load_study

    if list_studies:
        _print_list(as_json)
        return 0
    if name is None:
        raise SweepError("NAME must be a study; --list has them")
    chosen = load_study(name)
    pool = _pool(processes, scheduler)
    output = output or _FOLDER / f"{name}{'-quick' if quick else ''}.sqlite"
    check_writable(output)

    from spinbnn.sim.progress import run_progress
    from spinbnn.sim.studies import findings_text
    from spinbnn.sim.studies.study import StudyOptions
    from spinbnn.sim.sweep.engine import sweep

    options = StudyOptions(quick, _directories(data or ()), (_FOLDER / "networks").resolve())
    with run_progress(rate_seconds=3600) as progress:
        results, measured = sweep(
            chosen, options, output, pool, threads=threads, resume=resume, progress=progress
        )
    if not measured:
        typer.echo(f"spinbnn: {output} was finished already; --no-resume measures all anew", err=True)
    findings = chosen.findings(results.rows)
    if as_json:
        print_json(findings_text.to_dict(chosen, results, findings))
    else:
        print_shown(findings_text.to_text(chosen, results, findings))
    return 0


def _print_list(as_json: bool) -> None:
    from spinbnn.sim.studies.registry import load_study, study_names

    studies = [load_study(name) for name in study_names()]
    if as_json:
        keys = ("name", "title", "question", "paper", "needs_torch")
        print_json({"studies": [{key: getattr(each, key) for key in keys} for each in studies]})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("name", no_wrap=True)
    for heading in ("title", "question", "PyTorch"):
        table.add_column(heading)
    for each in studies:
        needs = "needed" if each.needs_torch else ""
        table.add_row(each.name, *(Text(text) for text in (each.title, each.question, needs)))
    print_shown(table)


def _pool(processes: int | None, scheduler: str | None) -> "Pool":
    from spinbnn.sim.sweep.dask_pool import DaskPool
    from spinbnn.sim.sweep.local_pool import LocalPool

    if scheduler is None:
        return LocalPool(processes or os.cpu_count() or 1)
    if processes is not None:
        raise SweepError(f"--processes must be left out with --scheduler, not be {processes}")
    return DaskPool(scheduler)


def _directories(data: Sequence[str]) -> dict[str, Path]:
    """Return the directory of each data set that is given."""
    from spinbnn.sim.sweep.identity import DATA_SETS

    directories: dict[str, Path] = {}
    for given in data:
        name, found, directory = given.partition("=")
        if not found or not directory or name not in DATA_SETS:
            raise DataError(f"--data must be NAME=DIR with NAME one of {', '.join(DATA_SETS)}, not '{given}'")
        if name in directories:
            raise DataError(f"--data must name {name} once, not twice")
        directories[name] = Path(directory).resolve()
    return directories
