"""Bounds of numbers that describe a device; what lies outside is one line."""

from math import isfinite

from spinbnn.golden.errors import TechnologyError


def check_above(name: str, value: float, bound: float) -> None:
    """Refuse a number that is not finite and above a bound."""
    if not (isfinite(value) and value > bound):
        raise TechnologyError(f"{name} must be above {bound:g}, not {value}")


def check_below(name: str, value: float, bound: float) -> None:
    """Refuse a number that is not finite and below a bound."""
    if not (isfinite(value) and value < bound):
        raise TechnologyError(f"{name} must be below {bound:g}, not {value}")


def check_from(name: str, value: float, bound: float) -> None:
    """Refuse a number that is not finite and at least a bound."""
    if not (isfinite(value) and value >= bound):
        raise TechnologyError(f"{name} must be at least {bound:g}, not {value}")


def check_probability(name: str, value: float) -> None:
    """Refuse what is not a probability."""
    if not 0 <= value <= 1:
        raise TechnologyError(f"{name} must be a probability from 0 to 1, not {value}")
