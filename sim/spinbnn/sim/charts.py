"""Charts of the report as inline SVG.

Marks take their colours from CSS classes of the page, so that one drawing serves light and dark. Every mark
carries a ``<title>``, which browsers show as a tooltip and screen readers read out.
"""

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 640, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 8, 10, 34


def ticks(maximum: float, wanted: int = 4) -> list[float]:
    """Return axis values from 0 to `maximum` or more, about `wanted` steps of 1, 2 or 5 powers of ten."""
    if maximum <= 0:
        return [0.0, 1.0]
    raw = maximum / wanted
    decade = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * decade for factor in (1, 2, 5, 10) if factor * decade >= raw * (1 - 1e-9))
    return [index * step for index in range(math.ceil(maximum / step - 1e-9) + 1)]


def column_chart(values: Sequence[float], *, title: str, unit: str, kind: str) -> Markup:
    """Return columns, one a bank, with their mean as a dashed line.

    Parameters
    ----------
    values
        One value a bank, not negative.
    title
        What is shown, for screen readers.
    unit
        Unit of `values`, at the top of the axis and in the tooltips.
    kind
        CSS class that colours the columns.
    """
    axis = ticks(max(values))
    plot_width, plot_height = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return _TOP + plot_height * (1 - value / axis[-1])

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">']
    for tick in axis:
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        )
        parts.append(
            f'<text class="axis" x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        )
    pitch = plot_width / len(values)
    gap = min(2.0, pitch / 4)
    for bank, value in enumerate(values):
        parts.append(
            f'<rect class="mark {kind}" x="{_LEFT + bank * pitch + gap / 2:.2f}" y="{y(value):.2f}" '
            f'width="{pitch - gap:.2f}" height="{y(0) - y(value):.2f}">'
            f"<title>bank {bank}: {value:,.6g} {escape(unit)}</title></rect>"
        )
    mean = sum(values) / len(values)
    parts.append(
        f'<line class="mean" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(mean):.1f}" y2="{y(mean):.1f}">'
        f"<title>mean {mean:,.6g} {escape(unit)}</title></line>"
    )
    for bank in sorted({0, len(values) // 4, len(values) // 2, 3 * len(values) // 4, len(values) - 1}):
        x = _LEFT + (bank + 0.5) * pitch
        parts.append(f'<text class="axis" x="{x:.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{bank}</text>')
    parts.append(
        f'<text class="axis" x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 3}" text-anchor="middle">bank</text></svg>'
    )
    return Markup("".join(parts))


def share_chart(shares: Sequence[tuple[str, float]], *, title: str, unit: str) -> Markup:
    """Return one horizontal bar divided into named parts, in the order given; parts of 0 are left out."""
    total = sum(value for _, value in shares)
    height = 34
    parts = [f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    x = 0.0
    for index, (name, value) in enumerate(shares):
        if value <= 0:
            continue
        width = _WIDTH * value / total
        parts.append(
            f'<rect class="mark part{index % 6}" x="{x:.2f}" y="0" '
            f'width="{max(width - 1.5, 0.5):.2f}" height="{height}">'
            f"<title>{escape(name)}: {value:,.6g} {escape(unit)} ({value / total:.2%})</title></rect>"
        )
        x += width
    parts.append("</svg>")
    return Markup("".join(parts))


def accuracy_chart(fraction: float, *, title: str) -> Markup:
    """Return a bar from 0 to 100 % filled to `fraction`."""
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} 10" role="img" aria-label="{escape(title)}: {fraction:.2%}">'
        f'<rect class="track" width="{_WIDTH}" height="10" rx="2"/>'
        f'<rect class="mark accuracy" width="{_WIDTH * fraction:.2f}" height="10" rx="2"/></svg>'
    )
