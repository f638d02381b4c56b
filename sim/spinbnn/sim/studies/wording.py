"""Numbers of findings as text, and what intervals say of a claim."""

from __future__ import annotations

from spinbnn.sim.studies.statistics import Interval


def points(interval: Interval) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    value, low, high = (100 * each for each in (interval.value, interval.low, interval.high))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"


def percent(interval: Interval) -> str:
    """Return a share in percent, with its interval."""
    value, low, high = (100 * each for each in (interval.value, interval.low, interval.high))
    return f"{value:.2f} % ({low:.2f} to {high:.2f})"


def at_most(interval: Interval, limit: float) -> bool | None:
    """Return whether a value is at most a limit: None where the limit lies within the interval."""
    if interval.high <= limit:
        return True
    return False if interval.low > limit else None


def at_least(interval: Interval, limit: float) -> bool | None:
    """Return whether a value is at least a limit: None where the limit lies within the interval."""
    if interval.low >= limit:
        return True
    return False if interval.high < limit else None


def above_zero(interval: Interval) -> bool | None:
    """Return whether a difference is above 0: None where 0 lies within the interval."""
    if interval.low > 0:
        return True
    return False if interval.high < 0 else None
