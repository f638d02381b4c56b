"""A run's timeline as a picture: inline SVG, coloured by CSS classes as in `spinbnn.sim.charts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from spinbnn.sim.charts import ticks
from spinbnn.sim.engine_schedule import STALLS
from spinbnn.sim.timeline import MEANINGS, BatchTime, Span, Timeline

_WIDTH, _LEFT, _RIGHT, _TOP = 480, 76, 10, 4
_ROW, _BAR = 21, 15
_AXIS, _LEGEND_LINE = 38, 18
_LONGEST_NAME = 11
_LEAST_WIDTH = 0.8
_MOST_BATCHES = 3


def shown_batches(timeline: Timeline) -> range:
    """Return the batches of the picture, the first ones: how the machine fills, and then is busy."""
    return range(min(timeline.batches, _MOST_BATCHES))


def timeline_chart(timeline: Timeline) -> Markup:
    """Return the first batches over the clocks of the run: image stream, layers with their stalls, results.

    The coloured height of a layer's bar is the share of its clocks, there, without a beat.
    """
    batches = [timeline.batch(number) for number in shown_batches(timeline)]
    clocks = timeline.stalls[: len(batches)].sum(axis=(0, 1))
    causes = [cause for index, cause in enumerate(STALLS) if clocks[index]]
    names = ["images", *timeline.names, "results"]
    end = batches[-1].results.last
    bottom = _TOP + _ROW * len(names)
    height = bottom + _AXIS + _LEGEND_LINE * (1 + len(causes))
    drawing = _Drawing(end, timeline)
    parts = [f'<svg class="timeline" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Timeline">']
    parts += _axis(end, bottom)
    for row, name in enumerate(names):
        short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
        y = _TOP + _ROW * row + _BAR - 3
        parts.append(f'<text class="axis" x="0" y="{y}">{escape(short)}<title>{escape(name)}</title></text>')
    for batch in batches:
        parts += drawing.batch(batch)
    return Markup("".join([*parts, *_legend(causes, bottom + _AXIS), "</svg>"]))


def _axis(end: int, bottom: int) -> list[str]:
    parts = []
    for tick in ticks(end):
        if tick > end:
            break
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * tick / end
        anchor = "end" if x > _WIDTH - 3 * _RIGHT else "middle"
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        parts.append(
            f'<text class="axis" x="{x:.1f}" y="{bottom + 13}" text-anchor="{anchor}">{tick:,g}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text class="axis" x="{middle:.0f}" y="{bottom + 27}" text-anchor="middle">clock</text>')
    return parts


def _legend(causes: Sequence[str], top: int) -> list[str]:
    entries = [("stream", "streams"), ("beat", "a beat a clock")]
    entries += [(f"stall-{cause}", f"{cause}: {MEANINGS[cause]}") for cause in causes]
    places = [(0, 0), (_WIDTH // 3, 0), *((0, 1 + row) for row in range(len(causes)))]
    parts = []
    for (kind, text), (x, row) in zip(entries, places, strict=True):
        y = top + _LEGEND_LINE * row
        parts.append(f'<rect class="{kind}" x="{x}" y="{y}" width="11" height="11"/>')
        parts.append(f'<text class="legend" x="{x + 17}" y="{y + 10}">{escape(text)}</text>')
    return parts


class _Drawing:
    """Draws batches.

    Parameters
    ----------
    end : int
        Last clock of the axis.
    timeline : Timeline
    """

    def __init__(self, end: int, timeline: Timeline) -> None:
        self._scale = (_WIDTH - _LEFT - _RIGHT) / end
        self._timeline = timeline

    def batch(self, batch: BatchTime) -> list[str]:
        """Return the bars of a batch."""
        first = batch.number * self._timeline.placement.geometry.lanes
        parts = [
            self._bar("stream", 0, span, f"image {image} is taken")
            for image, span in enumerate(batch.images, first)
        ]
        for layer in batch.layers:
            name = self._timeline.names[layer.layer]
            stalls = "".join(f", {stall.clocks:,} stalled by {stall.cause}" for stall in layer.stalls)
            beats = f"batch {batch.number}, {name}: {layer.clocks:,} clocks{stalls}"
            parts.append(self._bar("beat", 1 + layer.layer, Span(layer.begin, layer.last), beats))
            parts += self._stalls(batch.number, layer.layer, Span(layer.begin, layer.last))
        rows = 1 + len(batch.layers)
        return [*parts, self._bar("stream", rows, batch.results, f"results of batch {batch.number}")]

    def _bar(self, kind: str, row: int, span: Span, title: str) -> str:
        x, width = self._x(span.first - 1), max(span.clocks * self._scale, _LEAST_WIDTH)
        return (
            f'<rect class="mark {kind}" x="{x:.2f}" y="{_TOP + _ROW * row}" width="{width:.2f}" '
            f'height="{_BAR}"><title>{escape(title)} (clocks {span.first:,} to {span.last:,})</title></rect>'
        )

    def _stalls(self, number: int, layer: int, span: Span) -> list[str]:
        """Return the coloured parts of a bar, from its top downwards."""
        edges = np.linspace(span.first - 1, span.last, 1 + max(1, round(span.clocks * self._scale)))
        waits = self._timeline.waits(number, layer)
        top = np.zeros(len(edges) - 1)
        parts = []
        for cause in STALLS:
            spans = [waited for by, waited, _ in waits if by == cause]
            if spans:
                heights = _shares(spans, edges) * _BAR
                parts += self._columns(f"stall-{cause}", edges, _TOP + _ROW * (1 + layer) + top, heights)
                top += heights
        return parts

    def _columns(
        self, kind: str, edges: NDArray[np.float64], tops: NDArray[np.float64], heights: NDArray[np.float64]
    ) -> list[str]:
        """Return rectangles, neighbours of one height as one."""
        shapes = [(f"{top:.1f}", f"{height:.1f}") for top, height in zip(tops, heights, strict=True)]
        parts, begin = [], 0
        for end in range(1, len(shapes) + 1):
            if end < len(shapes) and shapes[end] == shapes[begin]:
                continue
            top, height = shapes[begin]
            x, width = self._x(edges[begin]), max((edges[end] - edges[begin]) * self._scale, _LEAST_WIDTH)
            if float(height):
                parts.append(
                    f'<rect class="{kind}" x="{x:.2f}" y="{top}" width="{width:.2f}" height="{height}"/>'
                )
            begin = end
        return parts

    def _x(self, clock: float) -> float:
        return _LEFT + clock * self._scale


def _shares(spans: Sequence[Span], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of each interval between edges that lies in spans, which follow one another."""
    bounds = np.array([[span.first - 1, span.last] for span in spans], dtype=np.float64)
    lengths = bounds[:, 1] - bounds[:, 0]
    before = np.cumsum(lengths) - lengths
    # What of the spans lies before a clock goes up within them and stays between them.
    covered = np.interp(edges, bounds.reshape(-1), np.stack([before, before + lengths], axis=1).reshape(-1))
    shares: NDArray[np.float64] = np.diff(covered) / np.diff(edges)
    return shares
