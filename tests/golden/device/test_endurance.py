"""Endurance: the published rule in both forms, and Weibull's spread of lifetimes."""

from math import e, log10

import pytest

from spinbnn.golden.device.endurance import (
    broken_share,
    cycles_to_breakdown,
    cycles_to_breakdown_power_law,
    cycles_until,
    gamma_per_v,
    power_law_exponent,
)
from spinbnn.golden.errors import TechnologyError

WRITE_V, BREAKDOWN_V = 0.834, 1.20


def test_the_rule_in_numbers() -> None:
    assert gamma_per_v(WRITE_V) == pytest.approx(82.8, abs=0.05)
    assert power_law_exponent() == pytest.approx(61.9, abs=0.05)


def test_cycles_at_the_published_write_voltage_and_below() -> None:
    gamma = gamma_per_v(WRITE_V)
    cycles = cycles_to_breakdown(WRITE_V, BREAKDOWN_V, gamma)
    assert cycles == pytest.approx(1.4e13, rel=0.05)
    lower = cycles_to_breakdown(0.64 * WRITE_V, BREAKDOWN_V, gamma)
    assert log10(lower / cycles) == pytest.approx(10.8, abs=0.01)


@pytest.mark.parametrize("voltage_v", [0.5, 0.834, 1.0])
def test_the_power_law_gains_a_million_at_every_voltage(voltage_v: float) -> None:
    n = power_law_exponent()
    gain = cycles_to_breakdown_power_law(0.8 * voltage_v, BREAKDOWN_V, n) / cycles_to_breakdown_power_law(
        voltage_v, BREAKDOWN_V, n
    )
    assert gain == pytest.approx(1e6, rel=1e-9)


def test_the_e_model_gains_a_million_at_its_reference_only() -> None:
    gamma = gamma_per_v(WRITE_V)

    def gain(voltage_v: float) -> float:
        return cycles_to_breakdown(0.8 * voltage_v, 1.2, gamma) / cycles_to_breakdown(voltage_v, 1.2, gamma)

    assert gain(WRITE_V) == pytest.approx(1e6, rel=1e-9)
    assert gain(WRITE_V / 2) == pytest.approx(1e3, rel=1e-9)


def test_one_cycle_at_breakdown_and_a_bound_far_below() -> None:
    assert cycles_to_breakdown(1.2, 1.2, 82.8) == 1
    assert cycles_to_breakdown_power_law(1.2, 1.2, 61.9) == 1
    assert cycles_to_breakdown(1.3, 1.2, 82.8) < 1
    assert 1e260 < cycles_to_breakdown_power_law(1e-6, 1.2, 61.9) < 1e261
    assert cycles_to_breakdown(1.2, 1.2, 82.8, 100.0) == 100
    assert cycles_to_breakdown_power_law(1.2, 1.2, 61.9, 100.0) == 100


def test_weibull_spread() -> None:
    assert broken_share(1e12, 1e12) == pytest.approx(1 - 1 / e)
    # (1e-3)^1.2 = 2.512e-4
    assert broken_share(1e9, 1e12) == pytest.approx(2.512e-4, rel=1e-3)
    assert broken_share(0, 1e12) == 0
    assert cycles_until(broken_share(1e9, 1e12), 1e12) == pytest.approx(1e9)
    assert cycles_until(1e-6, 1e12) == pytest.approx(1e7, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: gamma_per_v(0), "reference_voltage_v must be above 0, not 0"),
        (lambda: gamma_per_v(1, drop=1), "drop must be above 0 and below 1, not 1"),
        (lambda: power_law_exponent(drop=0), "drop must be above 0 and below 1, not 0"),
        (lambda: power_law_exponent(gain=1), "gain must be above 1, not 1"),
        (lambda: cycles_to_breakdown(-1, 1.2, 80), "voltage_v must be at least 0, not -1"),
        (lambda: cycles_to_breakdown(1, 0, 80), "breakdown_voltage_v must be above 0, not 0"),
        (lambda: cycles_to_breakdown(1, 1.2, 0), "gamma_per_v must be above 0, not 0"),
        (lambda: cycles_to_breakdown(1, 1.2, 80, 0), "cycles_at_breakdown must be above 0, not 0"),
        (lambda: cycles_to_breakdown_power_law(1, 2, 6, 0), "cycles_at_breakdown must be above 0, not 0"),
        (lambda: cycles_to_breakdown_power_law(0, 1.2, 60), "voltage_v must be above 0, not 0"),
        (lambda: cycles_to_breakdown_power_law(1, 0, 60), "breakdown_voltage_v must be above 0, not 0"),
        (lambda: cycles_to_breakdown_power_law(1, 1.2, 0), "exponent must be above 0, not 0"),
        (lambda: broken_share(-1, 1e9), "cycles must be at least 0, not -1"),
        (lambda: broken_share(1, 0), "cycles_to_breakdown must be above 0, not 0"),
        (lambda: broken_share(1, 1e9, 0), "shape must be above 0, not 0"),
        (lambda: cycles_until(0, 1e9), "share must be above 0, not 0"),
        (lambda: cycles_until(1, 1e9), "share must be below 1, not 1"),
        (lambda: cycles_until(0.1, 0), "cycles_to_breakdown must be above 0, not 0"),
        (lambda: cycles_until(0.1, 1e9, 0), "shape must be above 0, not 0"),
    ],
)
def test_impossible_numbers_are_one_line(call, line: str) -> None:
    with pytest.raises(TechnologyError) as raised:
        call()
    assert str(raised.value) == line
