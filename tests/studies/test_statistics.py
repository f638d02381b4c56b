"""Intervals of studies, against tables and cases worked by hand."""

import math

import pytest

from spinbnn.sim.studies.statistics import Interval, mean, proportion, student_t


# Abramowitz and Stegun, Handbook of Mathematical Functions, table 26.10 (two-sided 95 %).
@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.706), (2, 4.303), (9, 2.262), (11, 2.201), (19, 2.093), (29, 2.045), (120, 1.980)],
)
def test_student(freedom: int, t: float) -> None:
    assert student_t(freedom) == pytest.approx(t, abs=6e-4)


def test_a_mean_of_three() -> None:
    assert mean([1.0, 2.0, 3.0]) == Interval(2.0, 2 - 4.303 / math.sqrt(3), 2 + 4.303 / math.sqrt(3))


def test_one_value_has_no_width() -> None:
    assert mean([0.7]) == Interval(0.7, 0.7, 0.7)


def test_a_proportion() -> None:
    # Wilson's score interval of 8 of 10: its ends solve (p - 0.8)^2 = z^2 p (1 - p) / 10.
    found = proportion(8, 10)
    assert found.value == 0.8
    for end in (found.low, found.high):
        assert (end - 0.8) ** 2 == pytest.approx(1.959963984540054**2 * end * (1 - end) / 10)
    assert found.low < 0.8 < found.high


@pytest.mark.parametrize(("right", "low", "high"), [(0, 0.0, 0.278), (10, 0.722, 1.0)])
def test_a_proportion_at_its_ends(right: int, low: float, high: float) -> None:
    found = proportion(right, 10)
    assert found.low == pytest.approx(low, abs=1e-3)
    assert found.high == pytest.approx(high, abs=1e-3)
