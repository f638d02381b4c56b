"""Curves with their intervals, of what findings drew together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spinbnn.sim.line_chart import Curve
from spinbnn.sim.studies.statistics import Interval
from spinbnn.sim.studies.study import Band

Along = Sequence[tuple[float, Interval]]
"""Values with their intervals over x."""


def interval_curves(along: Mapping[str, Along], scale: float = 100.0) -> tuple[list[Curve], list[Band]]:
    """Return a curve for each name, and the band of its intervals.

    Parameters
    ----------
    along : mapping of str to sequence of (x, Interval)
    scale : float
        Of the values; by default shares become percent.
    """
    curves = [Curve(name, [(x, scale * each.value) for x, each in values]) for name, values in along.items()]
    bands = [
        Band(index, [(x, scale * each.low, scale * each.high) for x, each in values])
        for index, values in enumerate(along.values())
    ]
    return curves, bands
