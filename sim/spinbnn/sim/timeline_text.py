"""A run's timeline as tables for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from spinbnn.sim import show
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
            _table(timeline, number),
            Text(f"  images are taken in clocks {batch.images[0].first:,} to {batch.images[-1].last:,}, "
                 f"results in {batch.results.first:,} to {batch.results.last:,}"),
            *_places(timeline, batch.layers),
            Text(""),
        ]  # fmt: skip
    shown += [
        show.heading(f"The run: {timeline.run.total:,} clocks"),
        _table(timeline),
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


def _table(timeline: Timeline, number: int | None = None) -> RenderableType:
    """Return the clocks of layers by what is done in them, of a batch or of the run."""
    sums, behind = timeline.sums(number), timeline.tail if number is None else 0
    total = sum(of.clocks for of in sums) + behind
    stalls = {cause: sum(of.stalls[cause] for of in sums) for cause in timeline.causes}

    def row(name: str, clocks: int, beats: int, stalled: dict[str, int]) -> list[str]:
        cells = [show.count(stalled.get(cause, 0)) for cause in timeline.causes]
        return [name, show.count(clocks), f"{clocks / total:.1%}", show.count(beats), *cells]

    rows = [row(of.name, of.clocks, of.beats, of.stalls) for of in sums]
    if number is None:
        rows.append(row("last results", behind, 0, {}))
    rows.append(row("all", total, sum(of.beats for of in sums), stalls))
    return show.columns(["layer", "clocks", "share", "beats", *timeline.causes], rows)


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
    loops, beats = timeline.loops[layer], (stall.first, stall.last)
    if stall.cause == "operand":
        first, last = (loops.where(beat) or "its beat" for beat in beats)
        place = f"at {first}" if first == last else f"from {first} to {last}"
    else:  # waits for the last beat of a group
        first, last = (loops.where(beat, "group") for beat in beats)
        one = f"at the end of {first}" if first else "at its end"
        place = one if first == last else f"at the ends of {first} to {last}"
    return place if stall.waits == 1 else f"{stall.waits:,} times {place}"


def _meanings(timeline: Timeline) -> list[RenderableType]:
    return [Text(f"  {cause}: {MEANINGS[cause]}", style="dim") for cause in timeline.causes]
