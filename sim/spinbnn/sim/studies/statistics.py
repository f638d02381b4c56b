"""Intervals: of a proportion, and of a mean over few repetitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z_95 = 1.959963984540054
"""A normal variable is within plus and minus this with a probability of 95 %."""

_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for 95 % with 1 to 10 degrees of freedom."""


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


def proportion(right: int, of: int) -> Interval:
    """Return a proportion with Wilson's interval (E. B. Wilson, JASA 22, 1927)."""
    share, square = right / of, Z_95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z_95 / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of**2))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def mean(values: Sequence[float]) -> Interval:
    """Return a mean with Student's interval; of one value, without any width."""
    count = len(values)
    middle = math.fsum(values) / count
    if count == 1:
        return Interval(middle, middle, middle)
    deviation = math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (count - 1))
    half = student_t(count - 1) * deviation / math.sqrt(count)
    return Interval(middle, middle - half, middle + half)


def student_t(freedom: int) -> float:
    """Return Student's t for 95 %: beyond the table to 3e-4, by the first terms of its expansion.

    R. A. Fisher and E. A. Cornish, Technometrics 2, 1960.
    """
    if freedom <= len(_T_95):
        return _T_95[freedom - 1]
    z = Z_95
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))
