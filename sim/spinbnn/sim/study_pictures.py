"""The pictures of a study as SVG, with what is said beside them."""

import math
from dataclasses import replace

from markupsafe import Markup

from spinbnn.sim.heat_map import heat_map
from spinbnn.sim.line_chart import line_chart
from spinbnn.sim.studies.study import Chart, HeatMap


def draw(picture: Chart | HeatMap, *, file: bool = False) -> Markup:
    """Return a picture, for a page or as a file by itself.

    A logarithmic x axis gets a place for 0 where a curve has a point there, such as a network without errors.
    """
    if isinstance(picture, HeatMap):
        return heat_map(
            picture.values,
            rows=picture.rows,
            columns=picture.columns,
            title=picture.title,
            unit=picture.unit,
            description=describe(picture),
            file=file,
        )
    at_zero = any(x == 0 for curve in picture.curves for x, _ in curve.points)
    return line_chart(
        picture.curves,
        title=picture.title,
        x=replace(picture.x, zero=picture.x.log and at_zero),
        y=picture.y,
        limits=picture.limits,
        bands={band.curve: band.points for band in picture.bands},
        description=describe(picture),
        file=file,
    )


def describe(picture: Chart | HeatMap) -> str:
    """Return in words what a picture shows, for those who do not see it."""
    if isinstance(picture, Chart):
        names = "; ".join(curve.name for curve in picture.curves)
        return f"{picture.y.title} against {picture.x.title}. Curves: {names}."
    finite = [
        (value, f"{name}, {column}")
        for name, line in zip(picture.rows, picture.values, strict=True)
        for column, value in zip(picture.columns, line, strict=True)
        if math.isfinite(value)
    ]
    size = f"{len(picture.rows)} by {len(picture.columns)} cells, in {picture.unit}."
    if not finite:
        return f"{size} None has a value."
    low, high = min(finite), max(finite)
    return f"{size} Least: {low[0]:.4g} ({low[1]}). Most: {high[0]:.4g} ({high[1]})."


def caption(picture: Chart | HeatMap) -> str:
    """Return what must be known to read a picture, beside its title."""
    if isinstance(picture, HeatMap):
        return describe(picture)
    bars = {picture.curves[band.curve].dots for band in picture.bands}
    kinds = {(): "", (False,): "Bands are", (True,): "Bars are", (False, True): "Bands and bars are"}
    return f"{kinds[tuple(sorted(bars))]} 95 % intervals." if bars else ""
