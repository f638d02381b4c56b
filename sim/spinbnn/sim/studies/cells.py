"""Cells of settings and rows, as the numbers they must be."""

from __future__ import annotations

from spinbnn.sim.studies.statistics import Interval
from spinbnn.sim.studies.study import Row


def number(row: Row, name: str) -> float:
    """Return a number.

    Raises
    ------
    TypeError
        If the cell holds none.
    """
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return value


def whole(row: Row, name: str) -> int:
    """Return an integer.

    Raises
    ------
    TypeError
        If the cell holds none.
    """
    value = row[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    return value


def interval(row: Row, name: str) -> Interval:
    """Return a number with the interval in the columns behind it, named ``name_low`` and ``name_high``."""
    return Interval(number(row, name), number(row, f"{name}_low"), number(row, f"{name}_high"))


def writing_aj(row: Row) -> float:
    """Return the energy of writing: of pulses ("energy_aj") and of reads that verify ("verify_energy_aj")."""
    return number(row, "energy_aj") + number(row, "verify_energy_aj")
