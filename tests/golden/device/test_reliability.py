"""Reliability of a technology: the plain formulas get its numbers, each in its place."""

import numpy as np
import pytest

from spinbnn.golden.device import endurance, read, retention
from spinbnn.golden.device.macrospin import fokker_planck_wer
from spinbnn.golden.device.mtj import State
from spinbnn.golden.device.reliability import (
    array_retention_ber,
    current_spread,
    highest_read_voltage_v,
    highest_write_voltage_v,
    lifetime_cycles,
    read_currents_ua,
    read_disturb,
    read_errors,
    retention_ber,
)
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.errors import TechnologyError

YEAR = retention.SECONDS_PER_YEAR


@pytest.fixture
def junction() -> MtjTechnology:
    technology = load_technology("tzoufras2019")
    assert isinstance(technology, MtjTechnology)
    return technology


def test_retention_at_the_temperature_of_operation_or_another(junction: MtjTechnology) -> None:
    assert retention_ber(junction, State.P, YEAR) == retention.retention_error_rate(YEAR, 40, 2.0)
    hot = retention.retention_error_rate(YEAR, 40 * 300 / 358, 2.0)
    assert retention_ber(junction, State.AP, YEAR, 358) == pytest.approx(hot)
    warm = junction.with_values(temperature_k=358)
    assert retention_ber(warm, State.AP, YEAR) == pytest.approx(hot)


def test_array_retention_without_spread_is_that_of_the_cell(junction: MtjTechnology) -> None:
    alike = junction.with_values(sigma_delta=0.0, sigma_diameter=0.0, stray_field_ratio=0.02)
    for state in State:
        assert array_retention_ber(alike, state, YEAR, 358) == pytest.approx(
            retention_ber(alike, state, YEAR, 358), rel=1e-12
        )


@pytest.mark.parametrize(
    ("sigma", "rest"), [("sigma_delta", "sigma_diameter"), ("sigma_diameter", "sigma_delta")]
)
def test_array_retention_is_that_of_the_weak_cells(junction: MtjTechnology, sigma: str, rest: str) -> None:
    # For small rates the mean of sqrt(Δ) e^-Δ over Δ = 60 ± 3 is that at 60, times e^(9/2) sqrt(51 / 60).
    spread = 0.05 if sigma == "sigma_delta" else 0.025
    array = junction.with_values(**{"delta": 60.0, sigma: spread, rest: 0.0})
    ratio = array_retention_ber(array, State.P, 1.0) / retention_ber(array, State.P, 1.0)
    assert ratio == pytest.approx(
        np.exp(4.5) * np.sqrt(51 / 60), rel=0.02 if sigma == "sigma_delta" else 0.35
    )


def test_array_retention_agrees_with_sampled_cells(junction: MtjTechnology) -> None:
    rng, n = np.random.default_rng(7), 20_000
    z = rng.standard_normal((2, n))
    delta = 40 * (1 + 0.02 * z[0]) ** 2 * (1 + 0.05 * z[1])
    rates = [retention.retention_error_rate(YEAR / 100, float(d), 2.0) for d in delta]
    error = 3.29 * np.std(rates) / np.sqrt(n)  # 99.9 %
    assert abs(np.mean(rates) - array_retention_ber(junction, State.P, YEAR / 100)) < error


def test_a_positive_stray_field_holds_the_parallel_state(junction: MtjTechnology) -> None:
    offset = junction.with_values(stray_field_ratio=0.03)
    p, ap = (retention_ber(offset, state, 1e3) for state in State)
    assert p == retention.retention_error_rate(1e3, 40, 2.0, 0.03)
    assert ap == retention.retention_error_rate(1e3, 40, 2.0, -0.03)
    assert p < ap


@pytest.mark.parametrize(("disturbs", "vc0", "h"), [("P", 0.4, 0.02), ("AP", 0.25, -0.02)])
def test_read_disturb_takes_the_direction_it_may_flip(
    junction: MtjTechnology, disturbs: str, vc0: float, h: float
) -> None:
    skewed = junction.with_values(
        vc0_p_to_ap_v=0.4, vc0_ap_to_p_v=0.25, stray_field_ratio=0.02, read_disturbs=disturbs
    )
    assert read_disturb(skewed) == read.read_disturb_rate(0.10 / vc0 - h, 10, 40, 2.0)
    assert read_disturb(skewed, 0.05) == read.read_disturb_rate(0.05 / vc0 - h, 10, 40, 2.0)


@pytest.mark.parametrize("ratio", [0.2, 0.3, 0.4, 0.5])
def test_read_disturb_agrees_with_fokker_planck(ratio: float) -> None:
    kept = fokker_planck_wer(ratio, [1000.0, 2000.0], 40)
    rate = -np.log1p(-read.read_disturb_rate(ratio, 2000.0, 40, 2.0))  # of 1000 τD
    assert rate == pytest.approx(np.log(kept[0] / kept[1]), rel=0.11)


@pytest.mark.parametrize("rate", [1e-12, 1e-9, 1e-7])
def test_highest_read_voltage_gives_that_rate(junction: MtjTechnology, rate: float) -> None:
    assert read_disturb(junction, highest_read_voltage_v(junction, rate)) == pytest.approx(rate, rel=1e-3)


def test_highest_read_voltage_has_ends(junction: MtjTechnology) -> None:
    assert highest_read_voltage_v(junction, 1e-20) == 0
    assert highest_read_voltage_v(junction, 0.9) == 0.15


def test_read_currents_and_errors(junction: MtjTechnology) -> None:
    p, ap = read_currents_ua(junction)
    # 0.1 V over 8.94 kΩ; TMR of 1.5 / (1 + 0.2²) is left.
    assert p == pytest.approx(11.186, rel=1e-4)
    assert p / ap == pytest.approx(1 + 1.5 / 1.04)
    assert current_spread(junction) == pytest.approx(np.hypot(0.05, 0.04))
    errors = read_errors(junction)
    noise = (current_spread(junction), 0.5)
    assert errors.single_p == read.read_error_rate(p, ap, *noise)
    assert errors.single_ap == read.read_error_rate(ap, p, *noise)
    assert errors.differential == read.differential_read_error_rate(p, ap, *noise)
    assert errors.differential < errors.single_ap < errors.single_p


def test_lifetime_is_the_rule_and_the_spread(junction: MtjTechnology) -> None:
    cycles = endurance.cycles_to_breakdown(0.834, 1.2, 82.8)
    assert lifetime_cycles(junction, 0.834, 1e-6) == pytest.approx(endurance.cycles_until(1e-6, cycles, 1.2))
    tougher = junction.with_values(endurance_cycles_at_breakdown=100.0)
    assert lifetime_cycles(tougher, 0.834, 1e-6) == pytest.approx(
        100 * lifetime_cycles(junction, 0.834, 1e-6)
    )


@pytest.mark.parametrize("cycles", [1e6, 1e15])
def test_highest_write_voltage_lasts_so_long(junction: MtjTechnology, cycles: float) -> None:
    voltage = highest_write_voltage_v(junction, cycles, 1e-6)
    assert lifetime_cycles(junction, voltage, 1e-6) == pytest.approx(cycles)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda j: retention_ber(j, State.P, -1), "time_s must be at least 0, not -1"),
        (lambda j: retention_ber(j, State.P, 1, 0), "temperature_k must be above 0, not 0"),
        (
            lambda j: read_disturb(j, 0.3),
            "current_ratio must be above -1 and below 1, where a read does not write, not 1.0",
        ),
        (lambda j: highest_read_voltage_v(j, 0), "rate must be above 0, not 0"),
        (lambda j: highest_read_voltage_v(j, 1), "rate must be below 1, not 1"),
        (lambda j: highest_write_voltage_v(j, 0, 0.1), "cycles must be above 0, not 0"),
        (lambda j: lifetime_cycles(j, 1, 0), "share must be above 0, not 0"),
    ],
)
def test_impossible_numbers_are_one_line(junction: MtjTechnology, call, line: str) -> None:
    with pytest.raises(TechnologyError) as raised:
        call(junction)
    assert str(raised.value) == line
