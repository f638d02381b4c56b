"""A run's timeline as tables for a terminal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from spinbnn.sim import show
from spinbnn.sim.engine_schedule import STALLS
from spinbnn.sim.timeline import MEANINGS, LayerTime, Stall, Timeline


def timeline_text(timeline: Timeline) -> list[RenderableType]:
    """Return the loops of the layers, and the clocks of the first batch, of a busy one and of the run."""
    first, busy = 0, timeline.busy
    shown: list[RenderableType] = [show.heading("Loops"), _loops(timeline), Text("")]
    for number in sorted({first, busy}):
        batch = timeline.batch(number)
        engine = batch.engine
        which = "the first" if number == first else "a busy machine"
        shown += [
            show.heading(f"Batch {number}, {which}: clocks {engine.first:,} to {engine.last:,}"),
            _table(timeline, timeline.stalls[number], 1),
            Text(f"  images are taken in clocks {batch.images[0].first:,} to {batch.images[-1].last:,}, "
                 f"results in {batch.results.first:,} to {batch.results.last:,}"),
            *_places(timeline, batch.layers),
            Text(""),
        ]  # fmt: skip
    shown += [
        show.heading(f"The run: {timeline.run.total:,} clocks"),
        _table(timeline, timeline.stalls.sum(axis=0), timeline.batches, behind=timeline.tail),
    ]
    return [*shown, *_meanings(timeline), Text("")]


def _loops(timeline: Timeline) -> Table:
    table = Table.grid(padding=(0, 2))
    for index in range(3):
        table.add_column(justify="right" if index == 1 else "left")
    table.add_row("  layer", "beats", "loops", style="dim")
    for name, loops in zip(timeline.names, timeline.loops, strict=True):
        table.add_row(f"  {name}", show.count(loops.beats), str(loops))
    return table


def _causes(timeline: Timeline) -> list[str]:
    """Return the causes that ever hold anything back."""
    met = timeline.stalls.sum(axis=(0, 1))
    return [cause for cause, clocks in zip(STALLS, met, strict=True) if clocks]


def _table(
    timeline: Timeline, stalls: NDArray[np.int64], batches: int, behind: int | None = None
) -> RenderableType:
    """Return the clocks of layers, by what is done in them.

    Parameters
    ----------
    timeline : Timeline
    stalls : int64 [layers, STALLS]
        Summed over the batches.
    batches : int
        How many these are.
    behind : int, optional
        Clocks behind the last beat, where these belong to the table.
    """
    causes = _causes(timeline)
    columns = [STALLS.index(cause) for cause in causes]
    beats = [loops.beats * batches for loops in timeline.loops]
    clocks = [of_layer + int(waited) for of_layer, waited in zip(beats, stalls.sum(axis=1), strict=True)]
    total = sum(clocks) + (behind or 0)

    def row(name: str, of_all: int, of_beats: int, waited: NDArray[np.int64]) -> list[str]:
        cells = [show.count(int(waited[column])) for column in columns]
        return [name, show.count(of_all), f"{of_all / total:.1%}", show.count(of_beats), *cells]

    nothing = np.zeros(len(STALLS), dtype=np.int64)
    rows = [
        row(name, of_all, of_beats, waited)
        for name, of_all, of_beats, waited in zip(timeline.names, clocks, beats, stalls, strict=True)
    ]
    if behind is not None:
        rows.append(row("last results", behind, 0, nothing))
    rows.append(row("all", total, sum(beats), stalls.sum(axis=0)))
    return show.columns(["layer", "clocks", "share", "beats", *causes], rows)


def _places(timeline: Timeline, layers: tuple[LayerTime, ...]) -> list[RenderableType]:
    """Return where in its loops each layer waits."""
    rows = [
        (f"{timeline.names[layer.layer]}, {stall.cause}", _place(timeline, layer.layer, stall))
        for layer in layers
        for stall in layer.stalls
    ]
    return [show.named(rows)] if rows else []


def _place(timeline: Timeline, layer: int, stall: Stall) -> str:
    if stall.cause == "input":
        return "before its first beat"
    loops, inside = timeline.loops[layer], stall.cause == "operand"
    level = "step" if inside else "group"
    first, last = (loops.where(beat, level) for beat in (stall.first, stall.last))
    if not inside:
        first, last = (f"the end of {text}" if text else "its end" for text in (first, last))
    first = first or "its first beat"
    if stall.waits == 1:
        return f"at {first}"
    between = f"between {first} and {last}" if first != last else f"at {first}"
    return f"{stall.waits:,} times {between}"


def _meanings(timeline: Timeline) -> list[RenderableType]:
    return [Text(f"  {cause}: {MEANINGS[cause]}", style="dim") for cause in _causes(timeline)]
