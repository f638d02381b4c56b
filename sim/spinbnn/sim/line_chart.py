"""Curves over linear or logarithmic axes as SVG, for a page that brings the colours or for a file by itself.

As in `spinbnn.sim.charts`, marks take their colours from CSS classes, and carry a ``<title>``.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from spinbnn.sim.charts import ticks

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 34, 42
_LEGEND_LINE = 17
_LEGEND_TEXT = 6.3  # width of a character
_MOST_DECADE_TICKS, _LEAST_DECADE_TICKS = 9, 3
_ZERO_WIDTH = 56  # of the place for 0 left of a logarithm
_COLOURS = 7
_CAP = 3  # half the width of an error bar

STYLE = """
svg { --card: #fff; --text: #1b1f24; --soft: #57606a; --line: #d8dee4; --blue: #0072b2; --vermillion: #c2500a;
  --green: #007a5a; --purple: #8250a0; --grey: #8c959f; --sky: #3d8fc4; --amber: #b07d00; }
@media (prefers-color-scheme: dark) { svg { --card: #0d1117; --text: #e6edf3; --soft: #9aa5b1;
  --line: #30363d; --blue: #56b4e9; --vermillion: #f08a4b; --green: #2bc49a; --purple: #cc99e0;
  --grey: #768390; --sky: #93cbed; --amber: #e6b800; } }
.ground { fill: var(--card); }
.axis, .legend { font: 11px system-ui, sans-serif; fill: var(--soft); } .legend { fill: var(--text); }
.grid { stroke: var(--line); } .limit { stroke: var(--soft); stroke-dasharray: 4 4; }
.break { fill: none; stroke: var(--soft); }
.c0 { --mark: var(--blue); } .c1 { --mark: var(--vermillion); } .c2 { --mark: var(--green); }
.c3 { --mark: var(--purple); } .c4 { --mark: var(--grey); } .c5 { --mark: var(--sky); }
.c6 { --mark: var(--amber); }
.curve { fill: none; stroke: var(--mark); stroke-width: 2; } .dashed { stroke-dasharray: 6 4; }
.bar { fill: none; stroke: var(--mark); } .band { fill: var(--mark); opacity: .2; }
.dot { fill: var(--mark); stroke: var(--card); }
.cell { font: 11px system-ui, sans-serif; } .on-light { fill: #1b1f24; } .on-dark { fill: #fff; }
.blank { fill: none; stroke: var(--line); }
"""
"""For files by themselves; pages have the same classes. Colours after Okabe and Ito."""

Point = tuple[float, float]
Interval = tuple[float, float, float]  # x, low, high


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes
    ----------
    title : str
        What it shows, with its unit.
    low, high : float
        Ends; both above 0 where it is logarithmic.
    log : bool
        Whether it is logarithmic.
    zero : bool
        Whether a logarithmic x axis has a place for 0, apart, at its left.
    """

    title: str
    low: float
    high: float
    log: bool = False
    zero: bool = False

    def share(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one; -inf for 0 on a logarithm."""
        if not self.log:
            return (value - self.low) / (self.high - self.low)
        if value <= 0:
            return -math.inf
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        """Return the values with a grid line."""
        if not self.log:
            step = ticks(self.high - self.low, 6)[1]
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            return [round(index * step, 12) for index in range(first, last + 1)]
        first, last = (
            math.ceil(math.log10(self.low) - 1e-9),
            math.floor(math.log10(self.high) + 1e-9),
        )
        if last - first + 1 >= _LEAST_DECADE_TICKS:
            every = -(-(last - first + 1) // _MOST_DECADE_TICKS)
            return [10.0**exponent for exponent in range(first, last + 1, every)]
        steps = [factor * 10.0**exponent for exponent in range(first - 1, last + 1) for factor in (1, 2, 5)]
        return [step for step in steps if -1e-9 <= self.share(step) <= 1 + 1e-9]


@dataclass(frozen=True)
class Curve:
    """A curve, or with `dots` its points alone.

    Attributes
    ----------
    name : str
        Its name in the legend.
    points : sequence of (x, y)
        In the order of drawing; the parts outside the axes are not drawn.
    dashed, dots : bool
    colour : int or None
        Number of its colour, 0 to 6; without one it is the curve's place in the chart. From 7 on the colours
        begin anew, dashed.
    """

    name: str
    points: Sequence[Point]
    dashed: bool = False
    dots: bool = False
    colour: int | None = None


@dataclass(frozen=True)
class Limit:
    """A named value of x, drawn as an upright line."""

    name: str
    x: float


def line_chart(
    curves: Sequence[Curve],
    *,
    title: str,
    x: Axis,
    y: Axis,
    limits: Sequence[Limit] = (),
    bands: Mapping[int, Sequence[Interval]] | None = None,
    description: str = "",
    file: bool = False,
) -> Markup:
    """Return curves over common axes with a legend below.

    Parameters
    ----------
    curves : sequence of Curve
    title : str
        What is shown, for screen readers.
    x, y : Axis
    limits : sequence of Limit
        Values of x to be marked; those outside the axis are left out.
    bands : mapping of int to sequence of Interval
        Intervals by the index of their curve: a band along a curve, whose points are then marked, and error
        bars at points alone.
    description : str
        More, for screen readers.
    file : bool
        Whether the SVG is a file by itself, with its own style, and not part of a page.
    """
    bands = bands or {}
    rows = _legend_rows(curves)
    parts = [svg_start(_WIDTH, _HEIGHT + _LEGEND_LINE * len(rows), title, description, file=file)]
    parts += _grid(x, y)
    parts += [_limit(limit, x) for limit in limits if 0 <= x.share(limit.x) <= 1]
    for index, intervals in bands.items():
        parts += _intervals(curves[index], _class(curves[index], index), intervals, x, y)
    for index, curve in enumerate(curves):
        kind = _class(curve, index)
        parts += [] if curve.dots else _paths(curve, kind, x, y)
        parts += _dots(curve, kind, bands.get(index, ()), x, y)
    parts += _legend(rows)
    return Markup("".join([*parts, "</svg>" + ("\n" if file else "")]))


def svg_start(width: float, height: float, title: str, description: str = "", *, file: bool = False) -> str:
    """Return what a picture begins with; a file by itself brings its style and its ground."""
    space = ' xmlns="http://www.w3.org/2000/svg"' if file else ""
    start = f'<svg{space} viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
    if description:
        start += f"<desc>{escape(description)}</desc>"
    if file:
        start += f'<style>{STYLE}</style><rect class="ground" width="{width:g}" height="{height:g}"/>'
    return start


def _x(share: float, axis: Axis) -> float:
    left = _LEFT + (_ZERO_WIDTH if axis.zero else 0)
    return left + share * (_WIDTH - left - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _zero() -> float:
    return _LEFT + _ZERO_WIDTH / 3


def _place(value: float, axis: Axis) -> float | None:
    """Return where a value of x is drawn, None if nowhere."""
    if axis.zero and value == 0:
        return _zero()
    share = axis.share(value)
    return _x(share, axis) if 0 <= share <= 1 else None


def _class(curve: Curve, index: int) -> str:
    colour = index if curve.colour is None else curve.colour
    dashed = curve.dashed or colour >= _COLOURS
    return f"c{colour % _COLOURS}{' dashed' if dashed and not curve.dots else ''}"


def _label(value: float, log: bool) -> str:
    if log and not 1e-2 <= value < 1e3:
        factor, exponent = f"{value:.0e}".split("e")
        return f"{factor}e{int(exponent)}"
    return f"{value:g}"


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    left, right, top, bottom = _LEFT, _x(1, x), _y(1), _y(0)
    for value in [*([0.0] if x.zero else []), *x.ticks()]:
        at = f"{_zero() if x.zero and value == 0 else _x(x.share(value), x):.1f}"
        name = _label(value, x.log and value != 0)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{at}" y="{bottom + 15}" text-anchor="middle">{name}</text>')
    for value in y.ticks():
        at = f"{_y(y.share(value)):.1f}"
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="axis" x="{left - 6}" y="{_y(y.share(value)) + 4:.1f}" text-anchor="end">'
            f"{_label(value, y.log)}</text>"
        )
    if x.zero:  # the sign of a broken axis
        parts.append(
            f'<path class="break" d="M{left + 0.6 * _ZERO_WIDTH:.1f},{bottom + 5} l5,-10 m4,0 l-5,10"/>'
        )
    at = f"{_x(0.5, x):.0f}"
    parts.append(
        f'<text class="axis" x="{at}" y="{bottom + 32}" text-anchor="middle">{escape(x.title)}</text>'
    )
    parts.append(f'<text class="axis" x="4" y="11">{escape(y.title)}</text>')
    return parts


def _limit(limit: Limit, x: Axis) -> str:
    at, name = _x(x.share(limit.x), x), escape(limit.name)
    end = "end" if x.share(limit.x) > 0.85 else "middle"
    return (
        f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{_y(1)}" y2="{_y(0)}">'
        f"<title>{name}: {limit.x:.4g}</title></line>"
        f'<text class="axis" x="{at:.1f}" y="{_y(1) - 4}" text-anchor="{end}">{name}</text>'
    )


def _paths(curve: Curve, kind: str, x: Axis, y: Axis) -> list[str]:
    drawn = " ".join(
        "M" + " ".join(f"{_x(a, x):.1f},{_y(b):.1f}" for a, b in piece)
        for piece in _visible([(x.share(a), y.share(b)) for a, b in curve.points])
    )
    if not drawn:
        return []
    return [f'<path class="curve {kind}" d="{drawn}"><title>{escape(curve.name)}</title></path>']


def _dots(curve: Curve, kind: str, intervals: Sequence[Interval], x: Axis, y: Axis) -> list[str]:
    """Return the points: all where they stand alone or have intervals, and otherwise those at 0."""
    known = {at: (low, high) for at, low, high in intervals}
    parts = []
    for a, b in curve.points:
        at, up = _place(a, x), y.share(b)
        if at is None or not 0 <= up <= 1 or not (curve.dots or known or (x.zero and a == 0)):
            continue
        within = f" ({known[a][0]:.4g} to {known[a][1]:.4g})" if a in known else ""
        parts.append(
            f'<circle class="dot {kind}" cx="{at:.1f}" cy="{_y(up):.1f}" r="{4.5 if curve.dots else 3}">'
            f"<title>{escape(curve.name)}: {b:.4g}{within} at {a:.4g}</title></circle>"
        )
    return parts


def _intervals(curve: Curve, kind: str, intervals: Sequence[Interval], x: Axis, y: Axis) -> list[str]:
    """Return a band through the ends of intervals; what stands alone, or at 0, is an error bar."""
    parts = []
    for run in _runs(intervals, x, y):
        if len(run) > 1 and not curve.dots:
            ends = [*((at, high) for at, _, high in run), *((at, low) for at, low, _ in reversed(run))]
            outline = " ".join(f"{at:.1f},{up:.1f}" for at, up in ends)
            parts.append(f'<path class="band {kind}" d="M{outline} Z"/>')
        else:
            parts += [
                f'<path class="bar {kind}" d="M{at:.1f},{low:.1f} V{high:.1f} '
                f'M{at - _CAP:.1f},{low:.1f} h{2 * _CAP} M{at - _CAP:.1f},{high:.1f} h{2 * _CAP}"/>'
                for at, low, high in run
            ]
    return parts


def _runs(intervals: Sequence[Interval], x: Axis, y: Axis) -> Iterator[list[Interval]]:
    """Yield the intervals, where they are drawn, in runs: what cannot be drawn ends one, and 0 is one."""
    run: list[Interval] = []
    for value, low, high in intervals:
        at, ends = _place(value, x), (y.share(low), y.share(high))
        drawn = at is not None and ends[0] <= 1 and ends[1] >= 0  # nan is neither
        if run and (not drawn or (x.zero and value == 0)):
            yield run
            run = []
        if at is not None and drawn:
            run.append((at, _y(max(0.0, ends[0])), _y(min(1.0, ends[1]))))
            if x.zero and value == 0:
                yield run
                run = []
    if run:
        yield run


def _visible(points: Sequence[Point]) -> list[list[Point]]:
    """Return the pieces of a polyline inside the unit square."""
    pieces: list[list[Point]] = []
    for start, end in pairwise(points):
        clipped = _clip(start, end)
        if clipped is None:
            continue
        if pieces and pieces[-1][-1] == clipped[0]:
            pieces[-1].append(clipped[1])
        else:
            pieces.append(list(clipped))
    return pieces


def _clip(start: Point, end: Point) -> tuple[Point, Point] | None:
    """Return the part of a line inside the unit square, None if there is none (Liang and Barsky)."""
    if not all(map(math.isfinite, (*start, *end))):
        return None
    first, last = 0.0, 1.0
    for a, b in zip(start, end, strict=True):
        for edge, sign in ((0.0, 1), (1.0, -1)):
            before, after = sign * (a - edge), sign * (b - edge)
            if before < 0 and after < 0:
                return None
            if before < 0:
                first = max(first, before / (before - after))
            elif after < 0:
                last = min(last, before / (before - after))
    if first > last:
        return None
    dx, dy = end[0] - start[0], end[1] - start[1]
    low = start if first == 0 else (start[0] + first * dx, start[1] + first * dy)
    high = end if last == 1 else (start[0] + last * dx, start[1] + last * dy)
    return low, high


def _legend_rows(curves: Sequence[Curve]) -> list[list[tuple[float, Curve, str]]]:
    """Return the entries of the legend by row: place, curve and its class."""
    rows: list[list[tuple[float, Curve, str]]] = []
    at = math.inf
    for index, curve in enumerate(curves):
        width = 34 + _LEGEND_TEXT * len(curve.name)
        if at + width > _WIDTH:
            rows.append([])
            at = _LEFT
        rows[-1].append((at, curve, _class(curve, index)))
        at += width + 8
    return rows


def _legend(rows: Sequence[Sequence[tuple[float, Curve, str]]]) -> list[str]:
    parts = []
    for row, entries in enumerate(rows):
        y = _HEIGHT + 6 + _LEGEND_LINE * row
        for at, curve, kind in entries:
            parts.append(
                f'<circle class="dot {kind}" cx="{at + 11:.1f}" cy="{y - 4}" r="4.5"/>'
                if curve.dots
                else f'<path class="curve {kind}" d="M{at:.1f},{y - 4} h22"/>'
            )
            parts.append(f'<text class="legend" x="{at + 28:.1f}" y="{y}">{escape(curve.name)}</text>')
    return parts
