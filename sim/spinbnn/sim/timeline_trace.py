"""A run's timeline as a trace that Perfetto and chrome://tracing open.

The format is Chrome's Trace Event Format, of which only complete events and names of tracks are used. A clock
is a microsecond, the format's unit of time: clock 1 of the run begins where programming ends, or at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spinbnn.sim.timeline import LEVELS, MEANINGS, BatchTime, Span, Timeline

MOST_SLICES = 2000
"""The most slices of a batch on one track, but for those that stand for whole layers."""

_PROGRAMMING, _RUN = 1, 2
_TRACKS = ("image stream", "engine", "stalls", "drain", "words written", "result stream")

# Of the colours that chrome://tracing knows; Perfetto colours by name.
_COLOURS = {
    "input": "terrible",
    "operand": "bad",
    "drain": "yellow",
    "result": "olive",
    "descriptor": "grey",
}

Event = dict[str, Any]


def chrome_trace(timeline: Timeline, batches: Sequence[int]) -> dict[str, Any]:
    """Return a trace of the programming and of some batches, as plain JSON types.

    Parameters
    ----------
    timeline : Timeline
    batches : sequence of int
        Numbers of the batches.
    """
    trace = _Trace(timeline)
    trace.programming()
    for number in batches:
        trace.batch(timeline.batch(number))
    return {
        "displayTimeUnit": "ms",
        "otherData": {
            "note": "1 clock is 1 µs",
            "network": timeline.network.name,
            "run_clocks": timeline.run.total,
            "run_begins": trace.run_begins,
            "batches": f"{len(batches)} of {timeline.batches}",
            **{f"stall {cause}": meaning for cause, meaning in MEANINGS.items()},
        },
        "traceEvents": trace.events,
    }


class _Trace:
    """Collects the events of a trace.

    Attributes
    ----------
    events : list of dict
    run_begins : int
        Time at which clock 1 of the run begins.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.run_begins = sum(step.clocks for step in timeline.steps)
        self.events: list[Event] = []
        if timeline.steps:
            self._name("process_name", _PROGRAMMING, 0, "programming")
            self._name("thread_name", _PROGRAMMING, 1, "programming controller")
        self._name("process_name", _RUN, 0, "run")
        for number, track in enumerate(_TRACKS, 1):
            self._name("thread_name", _RUN, number, track)

    def programming(self) -> None:
        """Add what the programming controller does, and in it the packets that it programs."""
        time, names = 0, self._timeline.names
        for step in self._timeline.steps:
            self._slice(_PROGRAMMING, 1, step.kind, time, step.clocks, {"rows": step.rows})
            for packet, clocks in zip(step.packets, step.packet_clocks, strict=True):
                rows = {"rows": len(packet.rows), "row": packet.row, "banks": packet.bank_count}
                self._slice(_PROGRAMMING, 1, names[packet.layer], time, clocks, rows)
                time += clocks
            if not step.packets:
                time += step.clocks

    def batch(self, batch: BatchTime) -> None:
        """Add a batch."""
        first = batch.number * self._timeline.placement.geometry.lanes
        for image, span in enumerate(batch.images, first):
            self._span("image stream", f"image {image}", span, {"image": image})
        for image, clocks in enumerate(self._timeline.run.results[first : first + len(batch.images)], first):
            span = Span(int(clocks[0]), int(clocks[-1]))
            self._span("result stream", f"results {image}", span, {"image": image})
        self._engine(batch)
        self._stalls(batch)
        self._drains(batch)
        self._words(batch)

    def _engine(self, batch: BatchTime) -> None:
        """Add the batch, in it the layers, and in them as many of their loops as there is room for."""
        engine = batch.engine
        self._span("engine", f"batch {batch.number}", engine, {"batch": batch.number})
        levels = _levels([{level: of.turns(level) for level in LEVELS} for of in self._timeline.loops])
        for layer in batch.layers:
            span = Span(layer.begin, layer.last)
            stalls = {f"stalled, {stall.cause}": stall.clocks for stall in layer.stalls}
            loops = self._timeline.loops[layer.layer]
            beats = {"beats": loops.beats, "loops": str(loops)}
            self._span("engine", self._timeline.names[layer.layer], span, beats | stalls)
            for level in levels[layer.layer]:
                self._loop(batch, layer.layer, level)

    def _loop(self, batch: BatchTime, layer: int, level: str) -> None:
        """Add a slice for each turn of a loop; clocks in which a turn waits are its own."""
        loops = self._timeline.loops[layer]
        inside = loops.inside(level)
        ends = np.arange(inside - 1, loops.beats, inside)
        begin = batch.layers[layer].begin
        for turn, end in enumerate(self._timeline.issued(batch.number, layer, ends).tolist()):
            name = loops.where(turn * inside, level)
            self._span("engine", name, Span(begin, end), {"beats": inside})
            begin = end + 1

    def _stalls(self, batch: BatchTime) -> None:
        room = MOST_SLICES
        for layer in range(len(batch.layers)):
            name, loops = self._timeline.names[layer], self._timeline.loops[layer]
            waits = self._timeline.waits(batch.number, layer)
            room -= len(waits)
            if room >= 0:
                for cause, span, beat in waits:
                    where = {"layer": name, "before": loops.where(beat) or "its beat"}
                    self._span("stalls", cause, span, where, _COLOURS[cause])
            else:
                room += len(waits)
                span = Span(waits[0][1].first, waits[-1][1].last)
                clocks = {"layer": name} | {
                    f"stalled, {stall.cause}": stall.clocks for stall in batch.layers[layer].stalls
                }
                self._span("stalls", f"{len(waits)} stalls", span, clocks, "yellow")

    def _drains(self, batch: BatchTime) -> None:
        """Add for each group how long it keeps the drain."""
        room = MOST_SLICES
        for layer, loops in enumerate(self._timeline.loops):
            inside, drains = loops.inside("group"), self._timeline.clocks(batch.number, layer).drains
            ends = self._timeline.issued(
                batch.number, layer, np.arange(inside - 1, loops.beats, inside)
            ).tolist()
            name = self._timeline.names[layer]
            room -= len(ends)
            if room >= 0:
                for group, end in enumerate(ends):
                    where = {"of": loops.where(group * inside, "group")}
                    self._span("drain", name, Span(end + 1, end + drains[group % len(drains)]), where)
            else:
                room += len(ends)
                self._span("drain", f"{name}, {len(ends)} groups", Span(ends[0] + 1, ends[-1] + drains[-1]))

    def _words(self, batch: BatchTime) -> None:
        room = MOST_SLICES
        for layer in range(len(batch.layers) - 1):
            name = self._timeline.names[layer]
            start = int(self._timeline.run.starts[batch.number])
            written = [start + clock for clock in self._timeline.clocks(batch.number, layer).written]
            room -= len(written)
            if room >= 0:
                for word, clock in enumerate(written):
                    self._span("words written", name, Span(clock, clock), {"word": word})
            else:
                room += len(written)
                self._span("words written", f"{name}, {len(written)} words", Span(written[0], written[-1]))

    def _span(
        self, track: str, name: str, span: Span, args: Event | None = None, colour: str | None = None
    ) -> None:
        """Add a slice of the run."""
        args = {"first_clock": span.first, "last_clock": span.last} | (args or {})
        begin = self.run_begins + span.first - 1
        self._slice(_RUN, 1 + _TRACKS.index(track), name, begin, span.clocks, args, colour)

    def _slice(
        self,
        process: int,
        track: int,
        name: str,
        begin: int,
        length: int,
        args: Event,
        colour: str | None = None,
    ) -> None:
        event = {"name": name, "ph": "X", "ts": begin, "dur": length, "pid": process, "tid": track}
        self.events.append(event | ({"cname": colour} if colour else {}) | {"args": args})

    def _name(self, kind: str, process: int, track: int, name: str) -> None:
        event = {"name": kind, "ph": "M", "ts": 0, "pid": process, "tid": track, "args": {"name": name}}
        self.events.append(event)


def _levels(counts: Sequence[dict[str, int]]) -> list[list[str]]:
    """Return the loops of each layer that are shown: from the outermost inwards, while there is room.

    Parameters
    ----------
    counts : sequence of dict
        How often each layer does each of its loops.
    """
    shown: list[list[str]] = [[] for _ in counts]
    before = [1] * len(counts)
    room, full = MOST_SLICES, [False] * len(counts)
    for level in list(LEVELS)[1:]:
        for layer, of_layer in enumerate(counts):
            count = of_layer[level]
            if full[layer] or count == before[layer]:  # a loop that is done once is the one around it
                continue
            full[layer] = count > room
            if not full[layer]:
                shown[layer].append(level)
                before[layer], room = count, room - count
    return shown
