"""The command ``spinbnn report``: results of studies as one page."""

# What computes is imported when the command runs, so that help is quick.
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Annotated

import typer

from spinbnn.sim.output import OUTPUT, check_writable, print_shown


def report(
    context: typer.Context,
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="Results files of finished studies.")
    ],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", help="The page to write.", rich_help_panel=OUTPUT),
    ] = Path("report.html"),
) -> int:
    """Write the results of studies as one HTML page that needs no other file.

    For each study: what it asks, the paper's claims beside what was measured, and
    whether they agree and why; charts, tables, and how it was measured. The numbers
    are computed anew from the rows of the results files.

    [bold]Examples[/]

      spinbnn report weight-errors.sqlite -o report.html

      spinbnn report results/*.sqlite -o studies.html
    """
    from spinbnn.sim import show
    from spinbnn.sim.report import write_whole
    from spinbnn.sim.study_report import load, to_html

    check_writable(output)
    reports = load(results)
    write_whole(output, to_html(reports, context.obj))
    rows = [(each.anchor, each.tally or "no claims") for each in reports]
    print_shown(show.named([*rows, ("written", str(output))]))
    return 0
