"""The report of a run: as text for a terminal, as JSON for machines and as one self-contained HTML page."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.text import Text

from spinbnn.golden.errors import SpinbnnError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS, LANE_COUNTERS
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import PROBABILITY_BITS, OperatingPoint
from spinbnn.golden.placement import Placement, place
from spinbnn.sim import show
from spinbnn.sim.charts import accuracy_chart, column_chart, share_chart
from spinbnn.sim.device_point import DevicePoint
from spinbnn.sim.job import RunJob, RunResult

SCHEMA_VERSION = 1
"""Version of the JSON report's layout."""

CLOCKS_TARGET = 1.02
"""Steady clocks an image may take, as a multiple of the loops' sum."""


@dataclass(frozen=True)
class LayerLoops:
    """The loops of one layer.

    Attributes
    ----------
    name : str
    inputs, outputs : int
    sums, groups, words, steps : int
        Trip counts: sums of a neuron (output pixels times sums of a pooling window), neuron groups, words of
        a sum, and steps of a word, in which planes of inputs meet planes of weights.
    rows : int
        MRAM rows the layer takes in every bank.
    row_reads : int
        Row reads of a batch of images in every bank: a row is read anew for each sum.
    """

    name: str
    inputs: int
    outputs: int
    sums: int
    groups: int
    words: int
    steps: int
    rows: int
    row_reads: int

    @property
    def clocks(self) -> int:
        """The product of the loops: clocks with one beat each."""
        return self.sums * self.groups * self.words * self.steps


def layer_loops(network: Network, placement: Placement) -> tuple[LayerLoops, ...]:
    """Return the loops of each layer of a placed network."""
    return tuple(
        LayerLoops(
            layer.name,
            layer.inputs,
            layer.outputs,
            placed.sums,
            placed.groups,
            placed.neuron_words,
            len(placed.steps),
            placed.rows,
            placed.sums * placed.groups * placed.neuron_words * sum(placed.reads_of_planes()),
        )
        for layer, placed in zip(network.layers, placement.layers, strict=True)
    )


def network_title(network: Network) -> str:
    """Return a network's name and its layer sizes."""
    sizes = "-".join(str(size) for size in (network.inputs, *(layer.outputs for layer in network.layers)))
    return f"{network.name} ({sizes})"


def machine_title(geometry: Geometry) -> str:
    """Return a geometry's leading sizes."""
    lanes = f"{geometry.lanes} lane{'s' if geometry.lanes > 1 else ''}"
    size = f"{geometry.banks} banks x {geometry.word_bits} bits, {geometry.rows} rows, {lanes}"
    return f"{size}, {', '.join(geometry.memory.built)}" if geometry.memory.built else size


def _both_ways(p_01: int, p_10: int) -> str:
    """Return fractions of 2**32 in words."""
    up, down = (p / 2**PROBABILITY_BITS for p in (p_01, p_10))
    return f"{up:.4g} both ways" if up == down else f"{up:.4g} from 0 to 1, {down:.4g} from 1 to 0"


def _rates(point: OperatingPoint) -> str:
    rates = _both_ways(point.p_fail_01, point.p_fail_10)
    return rates if point.class_p_fail_01 is None else f"{rates} (strongest class of cells)"


@dataclass(frozen=True)
class Report:
    """A run and what came of it, ready to be shown.

    Parameters
    ----------
    job : RunJob
    result : RunResult
    command : str
        The command that makes this run again.
    network_source, image_source : str
        Where the network and the images came from.
    device : DevicePoint, optional
        The write pulse that the operating point was computed from.
    """

    job: RunJob
    result: RunResult
    command: str
    network_source: str
    image_source: str
    device: DevicePoint | None = None

    @property
    def verdict(self) -> str:
        """``MATCH``, or ``MISMATCH:`` with the first difference."""
        return "MATCH" if self.result.match else f"MISMATCH: {self.result.first_difference}"

    @property
    def measured(self) -> bool:
        """Whether the run came to its end; a run that broke off has only its verdict to show."""
        return bool(self.result.compared)

    @property
    def network_title(self) -> str:
        """The network's name and its layer sizes."""
        return network_title(self.job.network)

    @property
    def machine_title(self) -> str:
        """The geometry's leading sizes."""
        return machine_title(self.job.geometry)

    @property
    def write_errors(self) -> str:
        """The operating point in words."""
        point = self.job.point
        retries = f", up to {point.max_retries} retries" if point.max_retries else ""
        pulses = ", redundant pulses" if point.pulse_redundant else ""
        return f"write error rate {_rates(point)}{retries}{pulses}{', blind' if point.blind else ''}"

    @property
    def memory_story(self) -> list[str]:
        """What else was done to the memory, a line each."""
        job = self.job
        lines = [
            f"rows {each.first_row} to {each.last_row}: write error rate {_rates(each.point)}"
            for each in job.ranges
        ]
        if any(job.chip.stuck):
            lines.append("stuck cells: those of a class that never switches")
        for each in job.passes:
            rates = f", each bit flips with {_rates(each.point)}" if each.kind == "age" else ""
            lines.append(f"then {each.kind}: rows {each.first_row} to {each.last_row}{rates}")
        if job.geometry.memory.activation_generators:
            point = job.activation_point
            wrong = _both_ways(point.p_01, point.p_10)
            lines.append(f"activations in MRAM: bit error rate {wrong} of stored bits")
        return lines

    @cached_property
    def layers(self) -> tuple[LayerLoops, ...]:
        """The loops of each layer."""
        return layer_loops(self.job.network, place(self.job.network, self.job.geometry))

    @property
    def clocks_ratio(self) -> float | None:
        """Steady clocks an image by the loops' sum; None with fewer than two full batches."""
        steady = self.result.steady_clocks_per_image
        return None if steady is None else steady / self.result.loop_clocks_per_image

    @property
    def target(self) -> str:
        """Whether the ratio is within its target, which is meant for runs without stalls."""
        if self.job.stalls is not None:
            return "with random stalls"
        if self.clocks_ratio is None:
            return "of two batches or more"
        return f"target {CLOCKS_TARGET}: {'met' if self.clocks_ratio <= CLOCKS_TARGET else 'missed'}"

    @property
    def wrong_rate(self) -> float | None:
        """Wrong bits a programmed bit; None where none was programmed."""
        programmed = sum(self.result.bits_programmed)
        return sum(self.result.bits_wrong) / programmed if programmed else None

    @property
    def write_energy_aj(self) -> list[int]:
        """Programming energy by bank, attojoules."""
        return self.result.counters["program_energy_aj"]

    @property
    def read_energy_aj(self) -> list[int]:
        """Read energy by bank, attojoules."""
        return self.result.counters["read_energy_aj"]

    @property
    def batch_read_energy_aj(self) -> int:
        """Energy of the row reads that one batch (one image a lane) takes in all banks, attojoules."""
        geometry = self.job.geometry
        cells = sum(layer.row_reads for layer in self.layers) * geometry.banks * geometry.row_cells
        return cells * self.job.read_bit_energy_aj

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
        job = self.job
        return {
            "schema_version": SCHEMA_VERSION,
            "spinbnn_version": importlib.metadata.version("spinbnn"),
            "verdict": self.verdict,
            "command": self.command,
            "network": {
                "name": job.network.name,
                "source": self.network_source,
                "layers": [dataclasses.asdict(layer) | {"clocks": layer.clocks} for layer in self.layers],
                "metadata": job.network.metadata,
            },
            "images": {"source": self.image_source, "count": self.result.images},
            "geometry": job.geometry.to_dict(),
            "operating_point": dataclasses.asdict(job.point),
            "device": None if self.device is None else self.device.to_dict(),
            "ranges": [dataclasses.asdict(each) for each in job.ranges],
            "chip": dataclasses.asdict(job.chip),
            "passes": [dataclasses.asdict(each) for each in job.passes],
            "activation_point": dataclasses.asdict(job.activation_point),
            "seed": job.seed,
            "read_bit_energy_aj": job.read_bit_energy_aj,
            "simulator": job.simulator,
            "loading": job.loading,
            "stalls": None if job.stalls is None else dataclasses.asdict(job.stalls),
            "totals": {
                "bits_programmed": sum(self.result.bits_programmed),
                "bits_wrong": sum(self.result.bits_wrong),
                "write_energy_aj": sum(self.write_energy_aj),
                "read_energy_aj": sum(self.read_energy_aj),
                "batch_read_energy_aj": self.batch_read_energy_aj,
                "clocks_ratio": self.clocks_ratio,
                "clocks_ratio_target": CLOCKS_TARGET,
                "clocks_a_second": self.clocks_a_second,
            },
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
        *_accuracy_text(report),
        *_bank_text(report),
        *_clock_text(report),
        show.heading("Compared with golden"),
        show.pairs(compared),
        Text(""),
    ]


def _unbroken(text: str, style: str) -> Text:
    """Return a line that is not wrapped, so that a program finds it whole."""
    return Text(text, style=style, no_wrap=True, overflow="ignore")


def _accuracy_text(report: Report) -> list[RenderableType]:
    images = report.result.images
    rows = [
        (name, f"{fraction:.2%}", f"{round(fraction * images)} of {images}")
        for name, fraction in report.accuracies
    ]
    if not rows:
        rows = [("images", show.count(images), "without labels")]
    return [show.heading(f"Accuracy on {images} images"), show.pairs(rows), Text("")]


def _bank_text(report: Report) -> list[RenderableType]:
    result = report.result
    rows = []
    for name, values, shown in (
        ("bits programmed", result.bits_programmed, show.count),
        ("bits wrong", result.bits_wrong, show.count),
        ("write energy", report.write_energy_aj, show.energy),
        ("read energy", report.read_energy_aj, show.energy),
    ):
        rows.append(_spread(name, values, shown))
    shown_elsewhere = (*COUNTERS, *LANE_COUNTERS)
    of_options = [
        name
        for name in result.counters
        if name not in shown_elsewhere and not name.startswith("group_reads")  # those are in the JSON report
    ]
    rows += [_spread(name.replace("_", " "), result.counters[name], show.count) for name in of_options]
    run = show.sparkline_run(len(result.bits_wrong))
    per_mark = f", {run} banks a mark" if run > 1 else ""
    rate = "" if report.wrong_rate is None else f" ({report.wrong_rate:.3g} of those programmed)"
    return [
        show.heading(f"Banks (loaded {report.job.loading})"),
        show.columns(["by bank", "total", "least", "mean", "most"], rows),
        Text(f"  bits wrong, bank by bank{per_mark}{rate}:"),
        Text(f"  {show.sparkline(result.bits_wrong)}"),
        Text(f"  reading the array for {_batch(report)}: {show.energy(report.batch_read_energy_aj)}"),
        *_lane_text(report),
        Text(""),
    ]


def _spread(name: str, values: Sequence[int], shown: Callable[[float], str]) -> list[str]:
    """Return a row of a table of banks or lanes: total, least, mean and most."""
    mean = sum(values) / len(values)
    return [name, *(shown(value) for value in (sum(values), min(values), mean, max(values)))]


def _lane_text(report: Report) -> list[RenderableType]:
    """Return what the activation memories counted, where they are MRAM."""
    counters = report.result.counters
    rows = [
        _spread(name.replace("_", " ").removesuffix(" aj"), counters[name], shown)
        for name, shown in zip(LANE_COUNTERS, (show.count, show.count, show.energy), strict=True)
        if name in counters
    ]
    return [show.columns(["by lane", "total", "least", "mean", "most"], rows)] if rows else []


def _batch(report: Report) -> str:
    lanes = report.job.geometry.lanes
    return "an image" if lanes == 1 else f"{lanes} images in lockstep"


def _clock_text(report: Report) -> list[RenderableType]:
    result = report.result
    predicted = "no prediction with stalls"
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
    page = environment.get_template("report.html")
    return page.render(
        report=report,
        job=report.job,
        result=result,
        document=report.to_dict(),
        charts=charts,
        probability_unit=2**PROBABILITY_BITS,
    )


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
