"""What a run does when: which layer, in which of its loops, waiting for what.

Numbers of images, batches, layers and of what loops count are from 0. A layer's clocks begin behind the last
beat of the layer before it, so that those of all layers add up to the clock of a run's last beat.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import DataError
from spinbnn.golden.network import Network
from spinbnn.golden.placement import LayerPlacement, Placement, place
from spinbnn.sim.engine_schedule import STALLS, LayerClocks
from spinbnn.sim.model import Step
from spinbnn.sim.schedule import RunClocks, predict_run_clocks
from spinbnn.sim.spec import RunJob
from spinbnn.sim.stalls import stream_pauses

MEANINGS = {
    "input": "the images are not loaded yet",
    "operand": "words of the layer before are not written yet",
    "drain": "the neuron group before is still being drained",
    "result": "results of the batch before are not all taken",
    "descriptor": "a layer takes two clocks at least",
}
"""What each of `STALLS` waits for."""


LEVELS = {"layer": 0, "pixel": 2, "group": 3, "sum": 5, "tap": 7, "word": 8}
"""Levels of a layer's loops, and how many counts of `Loops` are outside each."""


@dataclass(frozen=True)
class Span:
    """Clocks from the first to the last."""

    first: int
    last: int

    @property
    def clocks(self) -> int:
        """How many these are."""
        return self.last - self.first + 1


@dataclass(frozen=True)
class Place:
    """Where in the loops of a layer a beat is.

    Attributes
    ----------
    row, column : int
        Of the output pixel.
    group : int
        Of neurons.
    window, tap : (int, int)
        Sum in the pooling window and tap in the kernel: row and column.
    word, step : int
        Word of the tap and step of the word.
    """

    row: int
    column: int
    group: int
    window: tuple[int, int]
    tap: tuple[int, int]
    word: int
    step: int


@dataclass(frozen=True)
class Loops:
    """The loops of a layer, from the outermost to the innermost.

    Attributes
    ----------
    rows, columns : int
        Of output pixels.
    groups : int
        Groups of neurons.
    window, kernel : (int, int)
        Sums of a pooling window, and taps of the kernel: rows and columns.
    words, steps : int
        Words of a tap and steps of a word.
    """

    rows: int
    columns: int
    groups: int
    window: tuple[int, int]
    kernel: tuple[int, int]
    words: int
    steps: int

    @classmethod
    def of(cls, placed: LayerPlacement) -> Loops:
        """Return the loops of a placed layer."""
        return cls(
            *placed.positions, placed.groups, placed.window, placed.kernel, placed.words, len(placed.steps)
        )

    @property
    def _counts(self) -> tuple[int, ...]:
        return self.rows, self.columns, self.groups, *self.window, *self.kernel, self.words, self.steps

    @property
    def beats(self) -> int:
        """The product of the loops."""
        return int(np.prod(self._counts))

    def inside(self, level: str) -> int:
        """Return the beats of one of the `LEVELS`."""
        return int(np.prod(self._counts[LEVELS[level] :]))

    def turns(self, level: str) -> int:
        """Return how often one of the `LEVELS` is done."""
        return self.beats // self.inside(level)

    def place(self, beat: int) -> Place:
        """Return where a beat is, by its number in the layer."""
        row, column, group, *four, word, step = (int(at) for at in np.unravel_index(beat, self._counts))
        return Place(row, column, group, (four[0], four[1]), (four[2], four[3]), word, step)

    def __str__(self) -> str:
        named = [
            _by("pixels", self.rows, self.columns),
            _by("groups", self.groups),
            _by("sums", *self.window),
            _by("taps", *self.kernel),
            _by("words", self.words),
            _by("steps", self.steps),
        ]
        return " x ".join(text for text in named if text) or "1 beat"

    def where(self, beat: int, level: str = "step") -> str:
        """Return in words where a beat is.

        Parameters
        ----------
        beat : int
            Its number in the layer.
        level : str
            The innermost of the `LEVELS` that is named, or ``step``; loops that are done once never are.
        """
        at = self.place(beat)
        named = {
            "pixel": (self.rows * self.columns, f"pixel {at.row},{at.column}"),
            "group": (self.groups, f"group {at.group}"),
            "sum": (self.window[0] * self.window[1], f"sum {at.window[0]},{at.window[1]}"),
            "tap": (self.kernel[0] * self.kernel[1], f"tap {at.tap[0]},{at.tap[1]}"),
            "word": (self.words, f"word {at.word}"),
            "step": (self.steps, f"step {at.step}"),
        }
        wanted = list(named)[: list(named).index(level) + 1]
        return " ".join(text for count, text in map(named.__getitem__, wanted) if count > 1)


def _by(name: str, *counts: int) -> str:
    """Return a loop and its counts, nothing where it is done once."""
    return f"{'x'.join(map(str, counts))} {name}" if max(counts) > 1 else ""


@dataclass(frozen=True)
class Stall:
    """How a layer waits in a batch for one of the `STALLS`.

    Attributes
    ----------
    cause : str
    clocks : int
        Clocks waited in all.
    waits : int
        Beats that are waited for.
    first, last : int
        The first and the last of these beats, by their numbers in the layer.
    """

    cause: str
    clocks: int
    waits: int
    first: int
    last: int


@dataclass(frozen=True)
class LayerTime:
    """When a layer of a batch is done.

    Attributes
    ----------
    layer : int
    begin : int
        The clock behind the last beat of the layer before.
    first, last : int
        Clocks of its first and last beat.
    stalls : tuple of Stall
        In the order of `STALLS`; causes that hold nothing back are left out.
    """

    layer: int
    begin: int
    first: int
    last: int
    stalls: tuple[Stall, ...]

    @property
    def clocks(self) -> int:
        """Clocks from the end of the layer before to the last beat."""
        return self.last - self.begin + 1

    def stalled(self, cause: str) -> int:
        """Return the clocks it waits for a cause."""
        return sum(stall.clocks for stall in self.stalls if stall.cause == cause)


@dataclass(frozen=True)
class BatchTime:
    """When a batch of images is done.

    Attributes
    ----------
    number : int
    images : tuple of Span
        The first and the last beat of each of its images.
    layers : tuple of LayerTime
    results : Span
        The first and the last of its results.
    """

    number: int
    images: tuple[Span, ...]
    layers: tuple[LayerTime, ...]
    results: Span

    @property
    def engine(self) -> Span:
        """The clocks of all layers."""
        return Span(self.layers[0].begin, self.layers[-1].last)


@dataclass(frozen=True)
class LayerSum:
    """The clocks of a layer, of one batch or summed over batches.

    Attributes
    ----------
    name : str
    loops : Loops
    beats : int
    stalls : dict of str to int
        Clocks without a beat, by cause.
    """

    name: str
    loops: Loops
    beats: int
    stalls: dict[str, int]

    @property
    def clocks(self) -> int:
        """Clocks with a beat and without."""
        return self.beats + sum(self.stalls.values())


@dataclass(frozen=True)
class Timeline:
    """When a job does what.

    Parameters
    ----------
    network : Network
    placement : Placement
        Of the network.
    run : RunClocks
    steps : tuple of Step, optional
        What the programming controller does before the run.
    """

    network: Network
    placement: Placement
    run: RunClocks
    steps: tuple[Step, ...] = ()

    @classmethod
    def of_job(cls, job: RunJob) -> Timeline:
        """Return the timeline of a job's run, without what is done before it; only clocks are computed."""
        placement, images = place(job.network, job.geometry), len(job.images)
        pauses = stream_pauses(job.stalls, job.network, placement, images)
        pulse_clocks = job.activation_point.pulse_clocks
        run = predict_run_clocks(job.network, placement, images, pulse_clocks, pauses)
        return cls(job.network, placement, run)

    @property
    def batches(self) -> int:
        """How many batches there are."""
        return len(self.run.batches)

    @property
    def names(self) -> list[str]:
        """The names of the layers."""
        return [layer.name for layer in self.network.layers]

    @cached_property
    def loops(self) -> tuple[Loops, ...]:
        """The loops of each layer."""
        return tuple(Loops.of(placed) for placed in self.placement.layers)

    @cached_property
    def stalls(self) -> NDArray[np.int64]:
        """The clocks waited, int64 [batches, layers, STALLS]."""
        return self.run.stalls()

    @property
    def causes(self) -> list[str]:
        """The causes that ever hold a beat back."""
        clocks = self.stalls.sum(axis=(0, 1))
        return [cause for index, cause in enumerate(STALLS) if clocks[index]]

    def sums(self, number: int | None = None) -> list[LayerSum]:
        """Return the clocks of each layer in a batch, or in all."""
        batches = 1 if number is not None else self.batches
        stalls = self.stalls[number] if number is not None else self.stalls.sum(axis=0)
        return [
            LayerSum(name, loops, loops.beats * batches, dict(zip(STALLS, of_layer, strict=True)))
            for name, loops, of_layer in zip(self.names, self.loops, stalls.tolist(), strict=True)
        ]

    @property
    def busy(self) -> int:
        """The last batch with an image in every lane, if there is one: the machine is as busy as it gets."""
        return max(0, len(self.run.images) // self.placement.geometry.lanes - 1)

    @property
    def tail(self) -> int:
        """Clocks of the run behind the last beat, in which the last results are given out."""
        return self.run.total - int(self.stalls.sum()) - self.run.beats

    def batch(self, number: int) -> BatchTime:
        """Return when a batch is done."""
        lanes = self.placement.geometry.lanes
        images = self.run.images[number * lanes : (number + 1) * lanes]
        results = self.run.results[number * lanes : (number + 1) * lanes]
        start, layers = int(self.run.starts[number]), self.run.batches[number].layers
        begins = [self._ended(number) + 1, *(start + layer.last + 1 for layer in layers[:-1])]
        return BatchTime(
            number,
            tuple(Span(int(beats[0]), int(beats[-1])) for beats in images),
            tuple(
                LayerTime(
                    index, begins[index], start + of.first, start + of.last, self._stalls_of(number, index)
                )
                for index, of in enumerate(layers)
            ),
            Span(int(results[0, 0]), int(results[-1, -1])),
        )

    def waits(self, number: int, layer: int) -> list[tuple[str, Span, int]]:
        """Return the waits of a layer in a batch as they pass: cause, clocks, and the beat waited for."""
        clocks, start = self.run.batches[number].layers[layer], int(self.run.starts[number])
        ended = self._ended(number)
        shown = [("input", Span(ended + 1, start), 0)] if not layer and start > ended else []
        return shown + [
            (wait.cause, Span(start + first, start + first + wait.clocks - 1), wait.beat)
            for first, wait in zip(clocks.waiting().tolist(), clocks.waits, strict=True)
        ]

    def issued(self, number: int, layer: int, beats: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clocks in which beats of a layer are issued, by their numbers in the layer."""
        return self.clocks(number, layer).issued(beats) + int(self.run.starts[number])

    def clocks(self, number: int, layer: int) -> LayerClocks:
        """Return the clocks of a layer in a batch, relative to the batch's start."""
        return self.run.batches[number].layers[layer]

    def to_dict(self, batches: Sequence[int]) -> dict[str, Any]:
        """Return the timeline as plain JSON types.

        Parameters
        ----------
        batches : sequence of int
            The batches that are told one by one; the totals are of all.
        """
        return {
            "causes": MEANINGS,
            "programming": [
                {"kind": step.kind, "rows": step.rows, "clocks": step.clocks} for step in self.steps
            ],
            "layers": [
                {"name": name, "beats": loops.beats, "loops": asdict(loops)}
                for name, loops in zip(self.names, self.loops, strict=True)
            ],
            "totals": {
                "clocks": self.run.total,
                "beats": self.run.beats,
                "batches": self.batches,
                "layers": [
                    {"name": of.name, "beats": of.beats, "clocks": of.clocks, "stalls": of.stalls}
                    for of in self.sums()
                ],
                "results_behind_last_beat": self.tail,
            },
            "batches": [self._batch_dict(self.batch(number)) for number in batches],
        }

    def _batch_dict(self, batch: BatchTime) -> dict[str, Any]:
        document = asdict(batch)
        for layer in document["layers"]:
            for stall in layer["stalls"]:
                for end in ("first", "last"):
                    stall[end] = asdict(self.loops[layer["layer"]].place(stall[end]))
        return document

    def _stalls_of(self, number: int, layer: int) -> tuple[Stall, ...]:
        waits = self.waits(number, layer)
        stalls = []
        for cause in STALLS:
            of_cause = [(span, beat) for by, span, beat in waits if by == cause]
            if of_cause:
                clocks = sum(span.clocks for span, _ in of_cause)
                stalls.append(Stall(cause, clocks, len(of_cause), of_cause[0][1], of_cause[-1][1]))
        return tuple(stalls)

    def _ended(self, number: int) -> int:
        """Return the clock of the last beat before a batch."""
        return int(self.run.starts[number - 1]) + self.run.batches[number - 1].end if number else 0


def parse_batches(text: str, option: str, batches: int) -> list[int]:
    """Return the numbers of batches that a text like ``0-3,100`` names, in order.

    Parameters
    ----------
    text : str
    option : str
        What the text was given for.
    batches : int
        How many there are.

    Raises
    ------
    DataError
        If the text is not of that form, or there is no such batch.
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", text):
        raise DataError(f"{option} must be numbers of batches like 0-3,100, not {text!r}")
    named: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if int(last or first) >= batches:
            raise DataError(f"{option} must name batches of the run, 0 to {batches - 1}, not {part}")
        named.update(range(int(first), int(last or first) + 1))
    if not named:
        raise DataError(f"{option} must name a batch, but {text} is empty")
    return sorted(named)
