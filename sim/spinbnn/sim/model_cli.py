"""The command ``spinbnn model``: a job by the cycle-accurate model, without a simulator."""

# What computes is imported when the command runs, so that help is quick.
# ruff: noqa: PLC0415

import json
from pathlib import Path
from typing import Annotated

import typer

from spinbnn.sim.job_options import JobOptions
from spinbnn.sim.machine_options import Machine
from spinbnn.sim.output import OUTPUT, Json, check_writable, print_shown

_DEFAULT_BATCHES = 4


def model(
    context: typer.Context,
    *,
    machine: Machine,
    asked: JobOptions,
    timeline_path: Annotated[
        Path | None,
        typer.Option(
            "--timeline",
            metavar="FILE",
            help="Write the timeline as JSON: which layer, in which loop, stalled on what.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    trace_path: Annotated[
        Path | None,
        typer.Option(
            "--trace",
            metavar="FILE",
            help="Write the timeline as a trace for Perfetto (ui.perfetto.dev) or chrome://tracing; "
            "a clock is a microsecond there.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    batches: Annotated[
        str | None,
        typer.Option(
            metavar="N-M,...",
            help="The batches that JSON and trace tell one by one, from 0. "
            f"Without it: the first {_DEFAULT_BATCHES}.",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the report as one page.", rich_help_panel=OUTPUT),
    ] = None,
    as_json: Json = False,
) -> int:
    """Do a job as the hardware would, without generating or simulating it.

    The model is to give what the Verilog gives, bit for bit and clock for clock,
    but in bulk: accuracy, every counter and energy of every bank, and the clock of
    every beat. It also says why: for each layer the clocks with a beat, and those
    in which it waits, by cause.

    [bold]Examples[/]

      spinbnn model

      spinbnn model lenet4 --images 500 --html model.html

      spinbnn model digits --stalls 1 --timeline timeline.json

      spinbnn model mnist_1024 --trace trace.json --batches 0-1,198-199
    """
    from spinbnn.sim.job_checks import check_job

    plan = asked.plan(machine)
    check_job(plan.job)
    saved = [path for path in (timeline_path, trace_path, html) if path is not None]
    for path in saved:
        check_writable(path)

    from spinbnn.sim.model_report import ModelReport, do_job, to_html, to_json, to_text
    from spinbnn.sim.report import write_whole
    from spinbnn.sim.timeline import parse_batches
    from spinbnn.sim.timeline_trace import chrome_trace

    count = -(-len(plan.job.images) // plan.job.geometry.lanes)
    told = list(range(min(count, _DEFAULT_BATCHES)))
    if batches is not None:
        told = parse_batches(batches, "--batches", count)
    outcome, timeline = do_job(plan.job)
    report = ModelReport(
        job=plan.job,
        command=context.obj,
        network_source=plan.network_source,
        image_source=plan.image_source,
        device=plan.device,
        outcome=outcome,
        timeline=timeline,
    )
    if timeline_path is not None:
        write_whole(timeline_path, json.dumps(timeline.to_dict(told), indent=2) + "\n")
    if trace_path is not None:
        write_whole(trace_path, json.dumps(chrome_trace(timeline, told)) + "\n")
    if html is not None:
        write_whole(html, to_html(report))
    if as_json:
        typer.echo(to_json(report, told), nl=False)
    else:
        print_shown(to_text(report, saved))
    return 0
