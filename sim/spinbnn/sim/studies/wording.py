"""Numbers of findings as text, and what intervals say of a claim."""

from __future__ import annotations

from spinbnn.sim.studies.statistics import Interval


def points(interval: Interval) -> str:
    """Return a difference of shares in percentage points, with its interval."""
    return f"{_hundredths(interval.value)} ({_hundredths(interval.low)} to {_hundredths(interval.high)})"


def percent(interval: Interval) -> str:
    """Return a share in percent, with its interval."""
    low, high = _hundredths(interval.low), _hundredths(interval.high)
    return f"{_hundredths(interval.value)} % ({low} to {high})"


def _hundredths(share: float) -> str:
    """Return a share in percent with two digits behind the point; what rounds to 0 has no sign."""
    return f"{round(100 * share, 2) + 0.0:.2f}"


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


def all_hold(*told: bool | None) -> bool | None:
    """Return whether all claims hold: False if one does not, None if one cannot be told."""
    if False in told:
        return False
    return None if None in told else True
