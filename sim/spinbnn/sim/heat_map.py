"""A number for each cell of a grid as SVG, in colours that light and dark pages share.

The colours are points of cividis (J. R. Nuñez, C. R. Anderton, R. S. Renslow, PLOS ONE 13, 2018), which rises
evenly in lightness, and is the same to people who see red and green alike.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from spinbnn.sim.line_chart import svg_start

_WIDTH, _RIGHT, _TOP = 640, 14, 6
_CHARACTER = 6.3
_MOST_NAME = 24  # characters of a row's name that are shown
_TALL, _FLAT, _MANY_ROWS = 22, 12, 24
_LEAST_FOR_NUMBERS = 40  # width of a cell with its number in it
_LIGHT = 0.47  # share of the scale from which dark text is the more readable
_SCALE_WIDTH, _SCALE_HEIGHT, _SCALE_STEPS = 240, 10, 48

_CIVIDIS = (
    (0, 34, 78),
    (26, 56, 111),
    (65, 77, 107),
    (93, 99, 110),
    (124, 123, 120),
    (155, 148, 119),
    (188, 175, 111),
    (224, 204, 91),
    (254, 232, 56),
)


def heat_map(
    values: Sequence[Sequence[float]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    unit: str,
    description: str = "",
    file: bool = False,
) -> Markup:
    """Return a coloured cell for each value, with the scale below.

    Parameters
    ----------
    values : sequence of sequence of float
        By row, then column; what is not finite is left blank.
    rows, columns : sequence of str
        Their names; of the columns' those are shown that have room.
    title : str
        What is shown, for screen readers.
    unit : str
        Of the values.
    description : str
        More, for screen readers.
    file : bool
        Whether the SVG is a file by itself, with its own style, and not part of a page.
    """
    finite = [value for line in values for value in line if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    left = 14 + _CHARACTER * min(_MOST_NAME, max(map(len, rows), default=0))
    width = (_WIDTH - left - _RIGHT) / max(1, len(columns))
    height = _TALL if len(rows) <= _MANY_ROWS else _FLAT
    bottom = _TOP + height * len(rows)
    parts = [svg_start(_WIDTH, bottom + 58, title, description, file=file)]
    for row, (name, line) in enumerate(zip(rows, values, strict=True)):
        y = _TOP + height * row
        parts.append(_row_name(name, left - 6, y + height / 2 + 4))
        for column, value in enumerate(line):
            x = left + width * column
            cell = f"{escape(name)}, {escape(columns[column])}"
            parts.append(_cell(value, cell, unit, (low, high), (x, y, width, height)))
    parts += _column_names(columns, left, width, bottom + 15)
    parts += _scale(low, high, unit, left, bottom + 28)
    return Markup("".join([*parts, "</svg>" + ("\n" if file else "")]))


def colour(share: float) -> tuple[int, int, int]:
    """Return red, green and blue of a share of the scale, 0 to 1."""
    at = share * (len(_CIVIDIS) - 1)
    below = min(int(at), len(_CIVIDIS) - 2)
    red, green, blue = (
        round(first + (at - below) * (second - first))
        for first, second in zip(_CIVIDIS[below], _CIVIDIS[below + 1], strict=True)
    )
    return red, green, blue


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _hex(share: float) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour(share))


def _cell(
    value: float,
    name: str,
    unit: str,
    ends: tuple[float, float],
    box: tuple[float, float, float, float],
) -> str:
    x, y, width, height = box
    gap = min(1.0, width / 8)
    place = f'x="{x:.2f}" y="{y:.2f}" width="{width - gap:.2f}" height="{height - 1:.2f}"'
    if not math.isfinite(value):
        return f'<rect class="blank" {place}><title>{name}: no value</title></rect>'
    share = _share(value, *ends)
    cell = f'<rect fill="{_hex(share)}" {place}><title>{name}: {value:.4g} {escape(unit)}</title></rect>'
    if width < _LEAST_FOR_NUMBERS or height < _TALL:
        return cell
    kind = "on-light" if share > _LIGHT else "on-dark"
    return cell + (
        f'<text class="cell {kind}" x="{x + width / 2:.1f}" y="{y + height / 2 + 4:.1f}" '
        f'text-anchor="middle">{value:.3g}</text>'
    )


def _row_name(name: str, x: float, y: float) -> str:
    short = name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1]}…"
    return (
        f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="end">{escape(short)}'
        f"<title>{escape(name)}</title></text>"
    )


def _column_names(columns: Sequence[str], left: float, width: float, y: float) -> list[str]:
    """Return every n-th name, so that none meets the next."""
    room = 10 + _CHARACTER * max(map(len, columns), default=0)
    every = math.ceil(room / width)
    return [
        f'<text class="axis" x="{left + width * (column + 0.5):.1f}" y="{y}" text-anchor="middle">'
        f"{escape(columns[column])}</text>"
        for column in range(0, len(columns), every)
    ]


def _scale(low: float, high: float, unit: str, left: float, top: float) -> list[str]:
    step = _SCALE_WIDTH / _SCALE_STEPS
    parts = [
        f'<rect fill="{_hex(index / (_SCALE_STEPS - 1))}" x="{left + step * index:.1f}" y="{top}" '
        f'width="{step + 0.5:.1f}" height="{_SCALE_HEIGHT}"/>'
        for index in range(_SCALE_STEPS)
    ]
    if high <= low:  # one value, one colour
        parts = [f'<rect fill="{_hex(0.5)}" x="{left:.1f}" y="{top}" width="20" height="{_SCALE_HEIGHT}"/>']
    ends = [(0.0, low), (0.5, (low + high) / 2), (1.0, high)] if high > low else [(0.0, low)]
    parts += [
        f'<text class="axis" x="{left + _SCALE_WIDTH * share:.1f}" y="{top + _SCALE_HEIGHT + 14}" '
        f'text-anchor="{"start" if share == 0 else "end" if share == 1 else "middle"}">{value:.3g}</text>'
        for share, value in ends
    ]
    parts.append(
        f'<text class="legend" x="{left + _SCALE_WIDTH + 14:.1f}" y="{top + _SCALE_HEIGHT}">'
        f"{escape(unit)}</text>"
    )
    return parts
