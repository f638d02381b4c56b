"""The report of a run: as text for a terminal, as JSON for machines and as one self-contained HTML page."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.text import Text

from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.operating_point import PROBABILITY_BITS
from spinbnn.sim import show
from spinbnn.sim.charts import accuracy_chart, column_chart, share_chart
from spinbnn.sim.job_report import JobReport, accuracy_text, bank_text
from spinbnn.sim.spec import RunResult
from spinbnn.sim.timeline import Timeline
from spinbnn.sim.timeline_chart import shown_batches, timeline_chart


@dataclass(frozen=True, kw_only=True)
class Report(JobReport):
    """A run of the hardware in a simulator and what came of it, ready to be shown.

    Parameters
    ----------
    result : RunResult
    """

    result: RunResult

    @property
    def verdict(self) -> str:
        """``MATCH``, or ``MISMATCH:`` with the first difference."""
        return "MATCH" if self.result.match else f"MISMATCH: {self.result.first_difference}"

    @property
    def measured(self) -> bool:
        """Whether the run came to its end; a run that broke off has only its verdict to show."""
        return bool(self.result.compared)

    @property
    def counters(self) -> dict[str, list[int]]:
        """Every counter of every bank or lane, read from the RTL."""
        return self.result.counters

    @property
    def bits_programmed(self) -> list[int]:
        """Bits that had to change and were pulsed, retries included, by bank."""
        return self.result.bits_programmed

    @property
    def bits_wrong(self) -> list[int]:
        """Bits that reading gives other than intended, by bank."""
        return self.result.bits_wrong

    @property
    def steady_clocks(self) -> float | None:
        """Clocks an image once the machine is busy; None with fewer than two full batches."""
        return self.result.steady_clocks_per_image

    @property
    def clocks_a_second(self) -> float:
        """Clocks simulated a second; 0 where none was."""
        seconds = self.result.simulation_seconds
        return self.result.simulated_clocks / seconds if seconds else 0.0

    @property
    def accuracies(self) -> list[tuple[str, float]]:
        """What is known of the accuracy: name and fraction. Nothing without labels."""
        result = self.result
        named = (
            ("golden, ideal", result.accuracy_ideal),
            ("golden, with these write errors", result.accuracy_golden),
            ("RTL", result.accuracy_rtl),
        )
        return [(name, fraction) for name, fraction in named if fraction is not None]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types; energies are exact, in attojoules."""
        return self.story() | {
            "verdict": self.verdict,
            "simulator": self.job.simulator,
            "totals": self.totals() | {"clocks_a_second": self.clocks_a_second},
            "result": self.result.to_dict(),
        }


def to_json(report: Report) -> str:
    """Return the report as JSON text."""
    return json.dumps(report.to_dict(), indent=2) + "\n"


def to_text(report: Report, saved: Sequence[Path] = ()) -> RenderableType:
    """Return the report for a terminal 80 columns wide; the verdict is its last line.

    Parameters
    ----------
    report : Report
    saved : sequence of Path
        The files that hold more, to be named.
    """
    style = "bold green" if report.result.match else "bold red"
    return Group(
        Text.assemble((report.network_title, "bold"), " on ", (report.machine_title, "bold")),
        Text(f"{report.write_errors}; seed {report.job.seed}; {report.result.simulator}", style="dim"),
        *([] if report.device is None else [Text(report.device.title, style="dim")]),
        *(Text(line, style="dim") for line in report.memory_story),
        Text(""),
        *(_measurements(report) if report.measured else [Text("The run broke off: nothing was measured.")]),
        *(Text(f"note: {note}") for note in report.result.notes),
        *(_unbroken(str(path), "dim") for path in saved),
        _unbroken(report.verdict, style),
    )


def _measurements(report: Report) -> list[RenderableType]:
    compared = [(name.replace("_", " "), show.count(count)) for name, count in report.result.compared.items()]
    return [
        *accuracy_text(report),
        *bank_text(report),
        *_clock_text(report),
        show.heading("Compared with golden"),
        show.pairs(compared),
        Text(""),
    ]


def _unbroken(text: str, style: str) -> Text:
    """Return a line that is not wrapped, so that a program finds it whole."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _clock_text(report: Report) -> list[RenderableType]:
    result = report.result
    predicted = "it broke off"
    if result.run_clocks_predicted is not None:
        predicted = f"predicted {result.run_clocks_predicted:,}"
    ratio = report.clocks_ratio
    steady = "-" if result.steady_clocks_per_image is None else show.count(result.steady_clocks_per_image)
    rows = [
        ("an image, steady", steady, f"loops {result.loop_clocks_per_image:,.1f}"),
        ("ratio to the loops", "-" if ratio is None else f"{ratio:.4f}", report.target),
        ("the run", show.count(result.run_clocks), predicted),
        ("programming", show.count(result.program_clocks), f"predicted {result.program_clocks_predicted:,}"),
        ("utilisation of the array", f"{result.utilisation:.1%}", ""),
        (
            "simulated a second",
            f"{report.clocks_a_second:,.0f}",
            f"{result.simulated_clocks:,} in {result.simulation_seconds:.1f} s",
        ),
        ("building the simulator", f"{result.build_seconds:.1f} s", ""),
    ]
    return [show.heading("Clocks"), show.pairs(rows), Text("")]


def to_html(report: Report) -> str:
    """Return the report as one HTML page that needs no other file."""
    environment = Environment(
        loader=PackageLoader("spinbnn.sim"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(count=show.count, energy=show.energy)
    result, clocks = report.result, [(layer.name, float(layer.clocks)) for layer in report.layers]
    stalled = max(0.0, (report.clocks_ratio or 1.0) - 1) * sum(value for _, value in clocks)
    charts = {
        "wrong": column_chart(result.bits_wrong, title="Wrong bits by bank", unit="bits", kind="wrong"),
        "write": _energy_chart(report.write_energy_aj, "Write energy by bank", "write"),
        "read": _energy_chart(report.read_energy_aj, "Read energy by bank", "read"),
        "clocks": share_chart([*clocks, ("stalls", stalled)], title="Clocks by layer", unit="clocks"),
        "stalled": stalled,
        "accuracy": [accuracy_chart(fraction, title=name) for name, fraction in report.accuracies],
    }
    timeline = None
    if result.part_images:
        part = replace(report.job, images=report.job.images[: result.part_images])
        timeline = Timeline.of_job(part)
    page = environment.get_template("report.html")
    return page.render(
        report=report,
        job=report.job,
        result=result,
        document=report.to_dict(),
        charts=charts,
        timeline=timeline,
        timeline_chart=None if timeline is None else timeline_chart(timeline),
        timeline_batches=() if timeline is None else shown_batches(timeline),
        timeline_run=_simulated_run(result),
        probability_unit=2**PROBABILITY_BITS,
    )


def _simulated_run(result: RunResult) -> str:
    """Return what the timeline is of: a run in parts is several, which begin alike."""
    if result.part_images == result.images:
        return "The whole run"
    return f"The first of the run's simulations, {result.part_images:,} images"


def _energy_chart(energies_aj: Sequence[int], title: str, kind: str) -> dict[str, str]:
    unit, exponent = show.energy_unit(max(energies_aj))
    values = [energy / 10**exponent for energy in energies_aj]
    return {"unit": unit, "svg": column_chart(values, title=title, unit=unit, kind=kind)}


def write_whole(path: Path, text: str) -> None:
    """Write a text file, whole or not at all; its folder is made.

    Raises
    ------
    SpinbnnError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise SpinbnnError(f"{path} cannot be written ({error.strerror}): name a writable folder") from error
    finally:
        part.unlink(missing_ok=True)
