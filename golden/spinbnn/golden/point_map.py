"""Which rows are programmed at which operating point."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement, ProgramPacket

TABLE_POINTS = 4
"""Operating points that a machine holds at once."""


@dataclass(frozen=True)
class PointRange:
    """Rows of all banks that are programmed at a point of their own.

    Parameters
    ----------
    point : OperatingPoint
    first_row, last_row : int
    """

    point: OperatingPoint
    first_row: int
    last_row: int


def layer_range(placement: Placement, layer: int, point: OperatingPoint) -> PointRange:
    """Return the range of a layer's rows.

    Raises
    ------
    OperatingPointError
        If there is no such layer.
    """
    if not 0 <= layer < len(placement.layers):
        raise OperatingPointError(
            f"a layer with its own operating point must be 0 to {len(placement.layers) - 1}, not {layer}"
        )
    placed = placement.layers[layer]
    return PointRange(point, placed.row_base, placed.row_base + placed.rows - 1)


def assign_points(
    packets: Sequence[ProgramPacket], point: OperatingPoint, ranges: Sequence[PointRange]
) -> list[tuple[ProgramPacket, OperatingPoint]]:
    """Split packets where the operating point changes.

    Parameters
    ----------
    packets : sequence of ProgramPacket
    point : OperatingPoint
        Of the rows in no range.
    ranges : sequence of PointRange
        The last that holds a row decides.
    """
    parts = []
    for packet in packets:
        count = len(packet.rows) // packet.bank_count
        owner = np.full(count, -1)
        for index, each in enumerate(ranges):
            first, stop = each.first_row - packet.row, each.last_row + 1 - packet.row
            owner[max(0, first) : max(0, stop)] = index
        starts = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), count]
        for start, stop in pairwise(starts):
            rows = packet.rows[start * packet.bank_count : stop * packet.bank_count]
            part = ProgramPacket(packet.layer, packet.row + start, packet.bank, packet.bank_count, rows)
            parts.append((part, point if owner[start] < 0 else ranges[owner[start]].point))
    return parts
