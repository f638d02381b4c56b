"""Which rows get which operating point."""

import re

import numpy as np
import pytest

from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows
from spinbnn.golden.point_map import PointRange, assign_points, layer_range

NETWORK = random_network([50, 37, 10], seed=1)
PLACEMENT = place(NETWORK, Geometry(5, 24, rows=64))
PACKETS = program_rows(NETWORK, PLACEMENT, PLACEMENT.geometry)
STRONG, WEAK, WEAKEST = operating_point(0.0), operating_point(0.1), operating_point(0.4)


def by_row(ranges: list[PointRange]) -> dict[int, set[float]]:
    """Return the failure probabilities with which each row is programmed."""
    found: dict[int, set[float]] = {}
    for packet, point in assign_points(PACKETS, STRONG, ranges):
        _, rows = packet.addresses()
        for row in rows.tolist():
            found.setdefault(row, set()).add(round(point.p_fail_01 / 2**32, 3))
    return found


def test_without_ranges_packets_stay_whole() -> None:
    assigned = assign_points(PACKETS, STRONG, [])
    assert [point for _, point in assigned] == [STRONG] * len(PACKETS)
    assert all(np.array_equal(a.rows, b.rows) for (a, _), b in zip(assigned, PACKETS, strict=True))


def test_a_layer_and_the_last_range_decide() -> None:
    first = PLACEMENT.layers[0].rows
    ranges = [layer_range(PLACEMENT, 0, WEAK), PointRange(WEAKEST, first - 2, first + 1)]
    rows = by_row(ranges)
    assert rows == {
        row: {0.4 if first - 2 <= row <= first + 1 else 0.1 if row < first else 0.0} for row in rows
    }
    assert sorted(rows) == list(range(first + PLACEMENT.layers[1].rows))


def test_the_parts_program_what_the_whole_does() -> None:
    whole, parts = (MramArray(PLACEMENT.geometry, seed=1) for _ in range(2))
    for packet in PACKETS:
        whole.program(packet, STRONG)
    for packet, point in assign_points(PACKETS, STRONG, [PointRange(operating_point(1e-9), 3, 7)]):
        parts.program(packet, point)
    assert np.array_equal(whole.cells, parts.cells)


def test_no_such_layer() -> None:
    text = "a layer with its own operating point must be 0 to 1, not 2"
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        layer_range(PLACEMENT, 2, WEAK)
