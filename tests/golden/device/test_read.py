"""Read disturb and read errors against hand-computed values and against sampled currents."""

import numpy as np
import pytest

from spinbnn.golden.device.read import (
    accumulated_disturb,
    differential_read_error_rate,
    read_disturb_rate,
    read_error_rate,
    upper_tail,
)
from spinbnn.golden.device.retention import escape_rate_hz
from spinbnn.golden.errors import TechnologyError


@pytest.mark.parametrize(
    ("voltage_v", "delta", "rate"), [(0.10, 40, 2.0e-7), (0.05, 40, 1.2e-11), (0.10, 60, 3.4e-11)]
)
def test_disturb_of_a_10_ns_read(voltage_v: float, delta: float, rate: float) -> None:
    assert read_disturb_rate(voltage_v / 0.30, 10.0, delta, 2.0) == pytest.approx(rate, rel=0.04)


def test_disturb_without_current_is_thermal_escape() -> None:
    assert read_disturb_rate(0.0, 10.0, 30, 2.0) == pytest.approx(escape_rate_hz(30, 2.0) * 10e-9, rel=1e-9)


def test_disturb_by_a_stray_field_alone_is_thermal_escape_in_it() -> None:
    assert read_disturb_rate(-0.1, 10.0, 30, 2.0) == pytest.approx(
        escape_rate_hz(30, 2.0, 0.1) * 10e-9, rel=1e-9
    )


def test_disturb_grows_with_the_current_and_saturates() -> None:
    rates = [read_disturb_rate(i / 100, 10.0, 40, 2.0) for i in range(75)]
    assert rates == sorted(rates)
    assert read_disturb_rate(0.9, 1e6, 40, 2.0) == pytest.approx(1.0)


def test_a_million_reads_flip_a_fifth_of_the_vulnerable_cells() -> None:
    once = read_disturb_rate(0.10 / 0.30, 10.0, 40, 2.0)
    assert accumulated_disturb(once, 1e6) == pytest.approx(0.18, abs=0.005)


@pytest.mark.parametrize("rate", [0.0, 1e-3, 0.5])
def test_reads_add_up_as_independent_chances(rate: float) -> None:
    assert accumulated_disturb(rate, 3) == pytest.approx(1 - (1 - rate) ** 3)
    assert accumulated_disturb(rate, 0) == 0


@pytest.mark.parametrize(("x", "tail"), [(0.0, 0.5), (1.0, 0.158655), (4.753424, 1e-6)])
def test_upper_tail(x: float, tail: float) -> None:
    assert upper_tail(x) == pytest.approx(tail, rel=1e-5)


def test_read_error_by_hand() -> None:
    # Half of 10 - 4 µA against 10 % of the stored state's current and 0.5 µA of offset.
    assert read_error_rate(10.0, 4.0, 0.1, 0.5) == pytest.approx(upper_tail(3 / np.hypot(1.0, 0.5)))
    assert read_error_rate(4.0, 10.0, 0.1, 0.5) == pytest.approx(upper_tail(3 / np.hypot(0.4, 0.5)))
    assert differential_read_error_rate(10.0, 4.0, 0.1, 0.5) == pytest.approx(
        upper_tail(6 / np.sqrt(1.0 + 0.16 + 0.25))
    )


def test_read_errors_of_sampled_currents() -> None:
    rng, n = np.random.default_rng(5), 1_000_000
    stored, other = (mean * (1 + 0.2 * rng.standard_normal(n)) for mean in (10.0, 5.0))
    offset = 1.5 * rng.standard_normal(n)
    for sampled, rate in (
        (np.mean(stored + offset < 7.5), read_error_rate(10.0, 5.0, 0.2, 1.5)),
        (np.mean(stored - other + offset < 0), differential_read_error_rate(10.0, 5.0, 0.2, 1.5)),
    ):
        assert abs(sampled - rate) < 3.29 * np.sqrt(rate * (1 - rate) / n)  # 99.9 %


def test_equal_currents_are_a_coin_and_no_noise_is_no_error() -> None:
    assert read_error_rate(5.0, 5.0, 0.1) == 0.5
    assert read_error_rate(5.0, 5.0, 0.0) == 0.5
    assert read_error_rate(6.0, 5.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: read_disturb_rate(1.0, 10, 40, 2.0),
            "current_ratio must be above -1 and below 1, where a read does not write, not 1.0",
        ),
        (
            lambda: read_disturb_rate(-1.0, 10, 40, 2.0),
            "current_ratio must be above -1 and below 1, where a read does not write, not -1.0",
        ),
        (lambda: read_disturb_rate(0.3, -1, 40, 2.0), "duration_ns must be at least 0, not -1"),
        (lambda: read_disturb_rate(0.3, 10, 0, 2.0), "delta must be above 0, not 0"),
        (lambda: read_disturb_rate(0.3, 10, 40, 0), "tau_d_ns must be above 0, not 0"),
        (
            lambda: accumulated_disturb(1.0, 5),
            "rate_per_read must be a probability from 0 to below 1, not 1.0",
        ),
        (lambda: accumulated_disturb(0.1, -5), "reads must be at least 0, not -5"),
        (lambda: read_error_rate(0, 5, 0.1), "stored_ua must be above 0, not 0"),
        (lambda: read_error_rate(5, 0, 0.1), "other_ua must be above 0, not 0"),
        (lambda: differential_read_error_rate(5, 0, 0.1), "other_ua must be above 0, not 0"),
        (lambda: read_error_rate(5, 4, -0.1), "spread must be at least 0, not -0.1"),
        (lambda: read_error_rate(5, 4, 0.1, -1), "offset_ua must be at least 0, not -1"),
    ],
)
def test_impossible_numbers_are_one_line(call, line: str) -> None:
    with pytest.raises(TechnologyError) as raised:
        call()
    assert str(raised.value) == line
