"""What the model says of a job: as text for a terminal, as JSON for machines and as one HTML page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text

from spinbnn.golden.network import classify, forward
from spinbnn.sim import schedule, show
from spinbnn.sim.charts import column_chart, share_chart
from spinbnn.sim.job_report import JobReport, accuracy_text, bank_text
from spinbnn.sim.model import MachineModel, Outcome
from spinbnn.sim.spec import RunJob
from spinbnn.sim.timeline import Timeline
from spinbnn.sim.timeline_chart import shown_batches, timeline_chart
from spinbnn.sim.timeline_text import timeline_text

_STEPS = {"program": "programming", "age": "ageing", "scrub": "scrubbing"}


@dataclass(frozen=True, kw_only=True)
class ModelReport(JobReport):
    """A job that the model did, ready to be shown.

    Parameters
    ----------
    outcome : Outcome
    timeline : Timeline
    """

    outcome: Outcome
    timeline: Timeline

    @cached_property
    def counters(self) -> dict[str, list[int]]:
        """Every counter of every bank or lane."""
        return {name: counts.tolist() for name, counts in self.outcome.counters.items()}

    @property
    def bits_programmed(self) -> list[int]:
        """Bits that had to change and were pulsed, retries included, by bank."""
        return [
            up + down for up, down in zip(self.counters["bits_01"], self.counters["bits_10"], strict=True)
        ]

    @property
    def bits_wrong(self) -> list[int]:
        """Bits that reading gives other than intended, by bank."""
        return [int(bits) for bits in self.outcome.bits_wrong]

    @property
    def steady_clocks(self) -> float | None:
        """Clocks an image once the machine is busy; None with fewer than two full batches."""
        return schedule.steady_clocks_per_image(self.outcome.run.image_done, self.job.geometry.lanes)

    @cached_property
    def accuracies(self) -> list[tuple[str, float]]:
        """What is known of the accuracy: name and fraction. Nothing without labels."""
        labels = self.job.labels
        if labels is None:
            return []
        ideal = classify(forward(self.job.network, self.job.images))
        return [
            ("golden, ideal", _right(ideal, labels)),
            ("golden, with these write errors", _right(self.outcome.inference.classes, labels)),
        ]

    @property
    def utilisation(self) -> float:
        """Binary multiply-accumulates of the network a clock, as a fraction of the array's."""
        geometry = self.job.geometry
        operations = schedule.binary_operations(self.job.network) * len(self.job.images)
        array = geometry.banks * geometry.word_bits * geometry.lanes
        return operations / (self.outcome.run.total * array)

    def to_dict(self, batches: Sequence[int]) -> dict[str, Any]:
        """Return the report as plain JSON types; energies are exact, in attojoules.

        Parameters
        ----------
        batches : sequence of int
            The batches whose timeline is told.
        """
        outcome = self.outcome
        return self.story() | {
            "totals": self.totals(),
            "result": {
                "accuracies": dict(self.accuracies),
                "classes": outcome.inference.classes.tolist(),
                "counters": self.counters,
                "bits_programmed": self.bits_programmed,
                "bits_wrong": self.bits_wrong,
                "random_state": list(outcome.random_state),
                "run_clocks": outcome.run.total,
                "beat_clocks": outcome.run.beats,
                "program_clocks": outcome.program_clocks,
                "steady_clocks_per_image": self.steady_clocks,
                "loop_clocks_per_image": self.loop_clocks,
                "utilisation": self.utilisation,
            },
            "timeline": self.timeline.to_dict(batches),
        }


def do_job(job: RunJob) -> tuple[Outcome, Timeline]:
    """Return what the model gives for a job, and when it does what."""
    machine = MachineModel(job)
    outcome = machine.run()
    return outcome, Timeline(job.network, machine.placement, outcome.run, outcome.steps)


def to_json(report: ModelReport, batches: Sequence[int]) -> str:
    """Return the report as JSON text."""
    return json.dumps(report.to_dict(batches), indent=2) + "\n"


def to_text(report: ModelReport, saved: Sequence[Path] = ()) -> RenderableType:
    """Return the report for a terminal 80 columns wide.

    Parameters
    ----------
    report : ModelReport
    saved : sequence of Path
        The files that were written, to be named.
    """
    return Group(
        Text.assemble((report.network_title, "bold"), " on ", (report.machine_title, "bold")),
        Text(f"{report.write_errors}; seed {report.job.seed}; {_streams(report)}", style="dim"),
        *([] if report.device is None else [Text(report.device.title, style="dim")]),
        *(Text(line, style="dim") for line in report.memory_story),
        Text(""),
        *accuracy_text(report),
        *bank_text(report),
        *_clock_text(report),
        *timeline_text(report.timeline),
        *(Text(str(path), style="dim", no_wrap=True, overflow="ignore") for path in saved),
    )


def to_html(report: ModelReport) -> str:
    """Return the report as one HTML page that needs no other file."""
    environment = Environment(
        loader=PackageLoader("spinbnn.sim"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(count=show.count, energy=show.energy)
    timeline = report.timeline
    parts = [(_STEPS[step.kind], float(step.clocks)) for step in timeline.steps]
    return environment.get_template("model.html").render(
        report=report,
        job=report.job,
        streams=_streams(report),
        outcome=report.outcome,
        timeline=timeline,
        step_names=_STEPS,
        timeline_chart=timeline_chart(timeline),
        timeline_batches=shown_batches(timeline),
        timeline_run="The whole run",
        parts=share_chart([*parts, ("run", float(timeline.run.total))], title="Clocks", unit="clocks"),
        wrong=column_chart(report.bits_wrong, title="Wrong bits by bank", unit="bits", kind="wrong"),
        version=report.story()["spinbnn_version"],
    )


def _right(classes: NDArray[np.int64], labels: NDArray[np.uint8]) -> float:
    return float((classes == labels).mean())


def _streams(report: ModelReport) -> str:
    stalls = report.job.stalls
    return "streams never wait" if stalls is None else f"streams wait at random, seed {stalls.seed}"


def _clock_text(report: ModelReport) -> list[RenderableType]:
    ratio, steady, outcome = report.clocks_ratio, report.steady_clocks, report.outcome
    shown = "-" if steady is None else show.count(steady)
    rows = [
        ("an image, steady", shown, f"loops {report.loop_clocks:,.1f}"),
        ("ratio to the loops", "-" if ratio is None else f"{ratio:.4f}", report.target),
        ("the run", show.count(outcome.run.total)),
        ("utilisation of the array", f"{report.utilisation:.1%}"),
        *((_STEPS[step.kind], show.count(step.clocks), f"{step.rows:,} rows") for step in outcome.steps),
    ]
    return [show.heading("Clocks"), show.pairs(rows), Text("")]
