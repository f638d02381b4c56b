"""Retention against hand-computed values and against the published figure it does not give."""

from math import exp

import pytest

from spinbnn.golden.device.retention import (
    SECONDS_PER_YEAR,
    escape_rate_hz,
    retention_error_rate,
    single_escape_probability,
    thermal_stability_at,
    thermal_stability_for,
)
from spinbnn.golden.errors import TechnologyError


def test_escape_rate_has_browns_prefactor() -> None:
    # sqrt(40/π) = 3.5682 attempts a τD of 2 ns, times e^-40 = 4.2484e-18.
    assert escape_rate_hz(40, 2.0) == pytest.approx(3.5682 / 2e-9 * 4.2484e-18, rel=1e-4)


def test_a_stray_field_holds_one_state_and_frees_the_other() -> None:
    held, free = escape_rate_hz(40, 2.0, 0.05), escape_rate_hz(40, 2.0, -0.05)
    assert held / escape_rate_hz(40, 2.0) == pytest.approx(1.05 * 0.9975 * exp(-4.1), rel=1e-9)
    assert free / escape_rate_hz(40, 2.0) == pytest.approx(0.95 * 0.9975 * exp(3.9), rel=1e-9)


def test_one_year_at_both_stabilities() -> None:
    assert retention_error_rate(SECONDS_PER_YEAR, 40, 2.0) == pytest.approx(0.1902, abs=2e-4)
    assert retention_error_rate(SECONDS_PER_YEAR, 50, 2.0) == pytest.approx(1.214e-5, rel=2e-3)


def test_the_published_year_is_that_of_delta_50() -> None:
    assert single_escape_probability(SECONDS_PER_YEAR, 50) == pytest.approx(6.09e-6, rel=2e-3)
    assert single_escape_probability(SECONDS_PER_YEAR, 40) == pytest.approx(0.1255, abs=2e-4)


def test_short_times_escape_at_the_rate_and_long_times_end_even() -> None:
    rate = escape_rate_hz(40, 2.0)
    assert retention_error_rate(1.0, 40, 2.0) == pytest.approx(rate, rel=1e-6)
    assert retention_error_rate(1e12, 40, 2.0) == pytest.approx(0.5, abs=1e-9)
    assert retention_error_rate(0.0, 40, 2.0) == 0


def test_with_a_stray_field_the_states_settle_by_their_barriers() -> None:
    h = 0.02
    held = retention_error_rate(1e13, 40, 2.0, h)
    assert held == pytest.approx(1 - retention_error_rate(1e13, 40, 2.0, -h), rel=1e-9)
    # Detailed balance: the barriers differ by 4 Δ h, and so do the rates, but for their prefactors.
    assert held / (1 - held) == pytest.approx(1.02 / 0.98 * exp(-4 * 40 * h), rel=1e-9)


def test_a_barrier_too_high_to_count_never_flips() -> None:
    assert retention_error_rate(SECONDS_PER_YEAR, 1000, 2.0) == 0


def test_thermal_stability_falls_as_one_over_temperature() -> None:
    assert thermal_stability_at(300, 60) == 60
    assert thermal_stability_at(400, 60) == pytest.approx(45)


@pytest.mark.parametrize(("rate", "years"), [(1e-4, 10), (1e-9, 1), (0.1, 0.01)])
def test_thermal_stability_for_a_rate_gives_that_rate(rate: float, years: float) -> None:
    delta = thermal_stability_for(rate, years * SECONDS_PER_YEAR, 2.0)
    assert retention_error_rate(years * SECONDS_PER_YEAR, delta, 2.0) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: escape_rate_hz(0, 2.0), "delta must be above 0, not 0"),
        (lambda: escape_rate_hz(40, float("nan")), "tau_d_ns must be above 0, not nan"),
        (lambda: escape_rate_hz(40, 2.0, -1.0), "h must be above -1 and below 1, not -1.0"),
        (lambda: escape_rate_hz(40, 2.0, 1.0), "h must be above -1 and below 1, not 1.0"),
        (lambda: retention_error_rate(-1, 40, 2.0), "time_s must be at least 0, not -1"),
        (lambda: thermal_stability_at(0, 40), "temperature_k must be above 0, not 0"),
        (lambda: thermal_stability_at(300, -1), "delta_300k must be above 0, not -1"),
        (lambda: single_escape_probability(-1, 40), "time_s must be at least 0, not -1"),
        (lambda: single_escape_probability(1, 0), "delta must be above 0, not 0"),
        (lambda: single_escape_probability(1, 40, 0), "attempt_time_ns must be above 0, not 0"),
        (lambda: thermal_stability_for(0, 1, 2.0), "error_rate must be above 0, not 0"),
        (lambda: thermal_stability_for(0.5, 1, 2.0), "error_rate must be below 0.5, not 0.5"),
        (
            lambda: thermal_stability_for(1e-100, 1, 2.0),
            "error_rate must be one that a thermal stability from 5 to 200 gives after 1 s, not 1e-100",
        ),
        (
            lambda: thermal_stability_for(0.4, 1e-12, 2.0),
            "error_rate must be one that a thermal stability from 5 to 200 gives after 1e-12 s, not 0.4",
        ),
    ],
)
def test_impossible_numbers_are_one_line(call, line: str) -> None:
    with pytest.raises(TechnologyError) as raised:
        call()
    assert str(raised.value) == line
