"""Curves over linear or logarithmic axes as SVG, for a page that brings the colours or for a file by itself.

As in `spinbnn.sim.charts`, marks take their colours from CSS classes, and carry a ``<title>``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from spinbnn.sim.charts import ticks

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 34, 42
_LEGEND_LINE = 17
_LEGEND_TEXT = 6.3  # width of a character
_MOST_DECADE_TICKS = 9

# For files by themselves; pages have the same classes. Colours of Okabe and Ito.
_STYLE = """
svg { --ground: #fff; --text: #1b1f24; --soft: #57606a; --line: #d8dee4;
  --c0: #0072b2; --c1: #c2500a; --c2: #007a5a; --c3: #8250a0; --c4: #8c959f; }
@media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --text: #e6edf3; --soft: #9aa5b1;
  --line: #30363d; --c0: #56b4e9; --c1: #f08a4b; --c2: #2bc49a; --c3: #cc99e0; --c4: #768390; } }
.ground { fill: var(--ground); }
.axis, .legend { font: 11px system-ui, sans-serif; fill: var(--soft); } .legend { fill: var(--text); }
.grid { stroke: var(--line); } .limit { stroke: var(--soft); stroke-dasharray: 4 4; }
.curve { fill: none; stroke-width: 2; } .dashed { stroke-dasharray: 6 4; }
.curve.c0 { stroke: var(--c0); } .curve.c1 { stroke: var(--c1); } .curve.c2 { stroke: var(--c2); }
.curve.c3 { stroke: var(--c3); } .curve.c4 { stroke: var(--c4); }
.dot { stroke: var(--ground); } .dot.c0 { fill: var(--c0); } .dot.c1 { fill: var(--c1); }
.dot.c2 { fill: var(--c2); } .dot.c3 { fill: var(--c3); } .dot.c4 { fill: var(--c4); }
"""

Point = tuple[float, float]


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
    """

    title: str
    low: float
    high: float
    log: bool = False

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
        every = -(-(last - first + 1) // _MOST_DECADE_TICKS)
        return [10.0**exponent for exponent in range(first, last + 1, every)]


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
        Number of its colour, 0 to 4; without one it is the curve's place in the chart.
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
    curves: Sequence[Curve], *, title: str, x: Axis, y: Axis, limits: Sequence[Limit] = (), file: bool = False
) -> Markup:
    """Return curves over common axes with a legend below.

    Parameters
    ----------
    curves : sequence of Curve
        At most five colours.
    title : str
        What is shown, for screen readers.
    x, y : Axis
    limits : sequence of Limit
        Values of x to be marked; those outside the axis are left out.
    file : bool
        Whether the SVG is a file by itself, with its own style, and not part of a page.
    """
    rows = _legend_rows(curves)
    height = _HEIGHT + _LEGEND_LINE * len(rows)
    space = ' xmlns="http://www.w3.org/2000/svg"' if file else ""
    parts = [f'<svg{space} viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    if file:
        parts.append(f"<style>{_STYLE}</style>")
        parts.append(f'<rect class="ground" width="{_WIDTH}" height="{height}"/>')
    parts += _grid(x, y)
    parts += [_limit(limit, x) for limit in limits if 0 <= x.share(limit.x) <= 1]
    for index, curve in enumerate(curves):
        colour = index if curve.colour is None else curve.colour
        parts += _dots(curve, colour, x, y) if curve.dots else _paths(curve, colour, x, y)
    parts += _legend(rows)
    return Markup("".join([*parts, "</svg>" + ("\n" if file else "")]))


def _x(share: float) -> float:
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _label(value: float, log: bool) -> str:
    if log and not 1e-2 <= value <= 1e2:
        return f"1e{round(math.log10(value))}"
    return f"{value:g}"


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    left, right, top, bottom = _x(0), _x(1), _y(1), _y(0)
    for value in x.ticks():
        at, name = f"{_x(x.share(value)):.1f}", _label(value, x.log)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="{top}" y2="{bottom}"/>')
        parts.append(f'<text class="axis" x="{at}" y="{bottom + 15}" text-anchor="middle">{name}</text>')
    for value in y.ticks():
        at = f"{_y(y.share(value)):.1f}"
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(
            f'<text class="axis" x="{left - 6}" y="{_y(y.share(value)) + 4:.1f}" text-anchor="end">'
            f"{_label(value, y.log)}</text>"
        )
    at = f"{_x(0.5):.0f}"
    parts.append(
        f'<text class="axis" x="{at}" y="{bottom + 32}" text-anchor="middle">{escape(x.title)}</text>'
    )
    parts.append(f'<text class="axis" x="4" y="11">{escape(y.title)}</text>')
    return parts


def _limit(limit: Limit, x: Axis) -> str:
    at, name = _x(x.share(limit.x)), escape(limit.name)
    end = "end" if x.share(limit.x) > 0.85 else "middle"
    return (
        f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{_y(1)}" y2="{_y(0)}">'
        f"<title>{name}: {limit.x:.4g}</title></line>"
        f'<text class="axis" x="{at:.1f}" y="{_y(1) - 4}" text-anchor="{end}">{name}</text>'
    )


def _paths(curve: Curve, colour: int, x: Axis, y: Axis) -> list[str]:
    drawn = " ".join(
        "M" + " ".join(f"{_x(a):.1f},{_y(b):.1f}" for a, b in piece)
        for piece in _visible([(x.share(a), y.share(b)) for a, b in curve.points])
    )
    dashed = " dashed" if curve.dashed else ""
    if not drawn:
        return []
    return [f'<path class="curve c{colour}{dashed}" d="{drawn}"><title>{escape(curve.name)}</title></path>']


def _dots(curve: Curve, colour: int, x: Axis, y: Axis) -> list[str]:
    inside = [
        (a, b, x.share(a), y.share(b))
        for a, b in curve.points
        if 0 <= x.share(a) <= 1 and 0 <= y.share(b) <= 1
    ]
    return [
        f'<circle class="dot c{colour}" cx="{_x(at):.1f}" cy="{_y(up):.1f}" r="4.5">'
        f"<title>{escape(curve.name)}: {b:.4g} at {a:.4g}</title></circle>"
        for a, b, at, up in inside
    ]


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


def _legend_rows(curves: Sequence[Curve]) -> list[list[tuple[float, Curve, int]]]:
    """Return the entries of the legend by row: place, curve and colour."""
    rows: list[list[tuple[float, Curve, int]]] = []
    at = math.inf
    for index, curve in enumerate(curves):
        width = 34 + _LEGEND_TEXT * len(curve.name)
        if at + width > _WIDTH:
            rows.append([])
            at = _LEFT
        rows[-1].append((at, curve, index if curve.colour is None else curve.colour))
        at += width + 8
    return rows


def _legend(rows: Sequence[Sequence[tuple[float, Curve, int]]]) -> list[str]:
    parts = []
    for row, entries in enumerate(rows):
        y = _HEIGHT + 6 + _LEGEND_LINE * row
        for at, curve, colour in entries:
            dashed = " dashed" if curve.dashed else ""
            parts.append(
                f'<circle class="dot c{colour}" cx="{at + 11:.1f}" cy="{y - 4}" r="4.5"/>'
                if curve.dots
                else f'<path class="curve c{colour}{dashed}" d="M{at:.1f},{y - 4} h22"/>'
            )
            parts.append(f'<text class="legend" x="{at + 28:.1f}" y="{y}">{escape(curve.name)}</text>')
    return parts
