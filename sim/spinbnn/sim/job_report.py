"""What reports of a job have in common, whoever did it: a simulator or the model."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS, LANE_COUNTERS
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import PROBABILITY_BITS, OperatingPoint
from spinbnn.golden.placement import Placement, place
from spinbnn.sim import show
from spinbnn.sim.device_point import DevicePoint
from spinbnn.sim.spec import RunJob

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


@dataclass(frozen=True, kw_only=True)
class JobReport(ABC):
    """A job, and what every report says of it.

    Parameters
    ----------
    job : RunJob
    command : str
        The command that does this again.
    network_source, image_source : str
        Where the network and the images came from.
    device : DevicePoint, optional
        The write pulse that the operating point was computed from.
    """

    job: RunJob
    command: str
    network_source: str
    image_source: str
    device: DevicePoint | None = None

    @property
    @abstractmethod
    def counters(self) -> dict[str, list[int]]:
        """Every counter of every bank or lane."""

    @property
    def bank_counters(self) -> dict[str, list[int]]:
        """The counters that each bank has."""
        return {name: counts for name, counts in self.counters.items() if name not in LANE_COUNTERS}

    @property
    @abstractmethod
    def bits_programmed(self) -> list[int]:
        """Bits that had to change and were pulsed, retries included, by bank."""

    @property
    @abstractmethod
    def bits_wrong(self) -> list[int]:
        """Bits that reading gives other than intended, by bank."""

    @property
    @abstractmethod
    def steady_clocks(self) -> float | None:
        """Clocks an image once the machine is busy; None with fewer than two full batches."""

    @property
    @abstractmethod
    def accuracies(self) -> list[tuple[str, float]]:
        """What is known of the accuracy: name and fraction. Nothing without labels."""

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
    def loop_clocks(self) -> float:
        """The sum of the loops, shared by the lanes."""
        return sum(layer.clocks for layer in self.layers) / self.job.geometry.lanes

    @property
    def clocks_ratio(self) -> float | None:
        """Steady clocks an image by the loops' sum; None with fewer than two full batches."""
        return None if self.steady_clocks is None else self.steady_clocks / self.loop_clocks

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
        programmed = sum(self.bits_programmed)
        return sum(self.bits_wrong) / programmed if programmed else None

    @property
    def write_energy_aj(self) -> list[int]:
        """Programming energy by bank, attojoules."""
        return self.counters["program_energy_aj"]

    @property
    def read_energy_aj(self) -> list[int]:
        """Read energy by bank, attojoules."""
        return self.counters["read_energy_aj"]

    @property
    def batch_read_energy_aj(self) -> int:
        """Energy of the row reads that one batch (one image a lane) takes in all banks, attojoules."""
        geometry = self.job.geometry
        cells = sum(layer.row_reads for layer in self.layers) * geometry.banks * geometry.row_cells
        return cells * self.job.read_bit_energy_aj

    def story(self) -> dict[str, Any]:
        """Return as plain JSON types all that makes the job again."""
        job = self.job
        return {
            "schema_version": SCHEMA_VERSION,
            "spinbnn_version": importlib.metadata.version("spinbnn"),
            "command": self.command,
            "network": {
                "name": job.network.name,
                "source": self.network_source,
                "layers": [dataclasses.asdict(layer) | {"clocks": layer.clocks} for layer in self.layers],
                "metadata": job.network.metadata,
            },
            "images": {"source": self.image_source, "count": len(job.images)},
            "geometry": job.geometry.to_dict(),
            "operating_point": dataclasses.asdict(job.point),
            "device": None if self.device is None else self.device.to_dict(),
            "ranges": [dataclasses.asdict(each) for each in job.ranges],
            "chip": dataclasses.asdict(job.chip),
            "passes": [dataclasses.asdict(each) for each in job.passes],
            "activation_point": dataclasses.asdict(job.activation_point),
            "seed": job.seed,
            "read_bit_energy_aj": job.read_bit_energy_aj,
            "loading": job.loading,
            "stalls": None if job.stalls is None else dataclasses.asdict(job.stalls),
        }

    def totals(self) -> dict[str, Any]:
        """Return sums over the banks as plain JSON types; energies are exact, in attojoules."""
        return {
            "bits_programmed": sum(self.bits_programmed),
            "bits_wrong": sum(self.bits_wrong),
            "write_energy_aj": sum(self.write_energy_aj),
            "read_energy_aj": sum(self.read_energy_aj),
            "batch_read_energy_aj": self.batch_read_energy_aj,
            "clocks_ratio": self.clocks_ratio,
            "clocks_ratio_target": CLOCKS_TARGET,
        }


def accuracy_text(report: JobReport) -> list[RenderableType]:
    """Return the accuracies for a terminal."""
    images = len(report.job.images)
    rows = [
        (name, f"{fraction:.2%}", f"{round(fraction * images)} of {images}")
        for name, fraction in report.accuracies
    ]
    if not rows:
        rows = [("images", show.count(images), "without labels")]
    return [show.heading(f"Accuracy on {images} images"), show.pairs(rows), Text("")]


def bank_text(report: JobReport) -> list[RenderableType]:
    """Return what the banks hold and counted for a terminal."""
    rows = []
    for name, values, shown in (
        ("bits programmed", report.bits_programmed, show.count),
        ("bits wrong", report.bits_wrong, show.count),
        ("write energy", report.write_energy_aj, show.energy),
        ("read energy", report.read_energy_aj, show.energy),
    ):
        rows.append(_spread(name, values, shown))
    shown_elsewhere = (*COUNTERS, *LANE_COUNTERS)
    of_options = [
        name
        for name in report.counters
        if name not in shown_elsewhere and not name.startswith("group_reads")  # those are in the JSON report
    ]
    rows += [_spread(name.replace("_", " "), report.counters[name], show.count) for name in of_options]
    run = show.sparkline_run(len(report.bits_wrong))
    per_mark = f", {run} banks a mark" if run > 1 else ""
    rate = "" if report.wrong_rate is None else f" ({report.wrong_rate:.3g} of those programmed)"
    return [
        show.heading(f"Banks (loaded {report.job.loading})"),
        show.columns(["by bank", "total", "least", "mean", "most"], rows),
        Text(f"  bits wrong, bank by bank{per_mark}{rate}:"),
        Text(f"  {show.sparkline(report.bits_wrong)}"),
        Text(f"  reading the array for {_batch(report)}: {show.energy(report.batch_read_energy_aj)}"),
        *_lane_text(report),
        Text(""),
    ]


def _spread(name: str, values: Sequence[int], shown: Callable[[float], str]) -> list[str]:
    """Return a row of a table of banks or lanes: total, least, mean and most."""
    mean = sum(values) / len(values)
    return [name, *(shown(value) for value in (sum(values), min(values), mean, max(values)))]


def _lane_text(report: JobReport) -> list[RenderableType]:
    """Return what the activation memories counted, where they are MRAM."""
    counters = report.counters
    rows = [
        _spread(name.replace("_", " ").removesuffix(" aj"), counters[name], shown)
        for name, shown in zip(LANE_COUNTERS, (show.count, show.count, show.energy), strict=True)
        if name in counters
    ]
    return [show.columns(["by lane", "total", "least", "mean", "most"], rows)] if rows else []


def _batch(report: JobReport) -> str:
    lanes = report.job.geometry.lanes
    return "an image" if lanes == 1 else f"{lanes} images in lockstep"
