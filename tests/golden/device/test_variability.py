"""What cell-to-cell spread does to error rates: against figures computed before, sampling, and sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.chip import Chip
from spinbnn.golden.device.macrospin import fokker_planck_wer
from spinbnn.golden.device.mtj import Direction, Pulse, write_error_rate, write_voltage_v
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.device.variability import (
    array_write_error_rate,
    mean_conductance_ratio,
    variability_classes,
    write_error_rate_quantiles,
)
from spinbnn.golden.errors import PulseError


def mtj(name: str = "tzoufras2019", **values: object) -> MtjTechnology:
    technology = load_technology(name)
    assert isinstance(technology, MtjTechnology)
    return technology.with_values(**values)


def only_vc0(sigma: float, **values: object) -> MtjTechnology:
    return mtj(sigma_diameter=0.0, sigma_delta=0.0, sigma_vc0=sigma, **values)


PAPER = mtj()
TO_AP = Direction.P_TO_AP


@pytest.mark.parametrize(
    ("wer", "sigma", "mean", "before"),
    [
        # Computed before with the closed form, which is up to 13 % higher than Fokker-Planck.
        (1e-6, 0.05, 2.03e-6, 2.1e-6),
        (1e-6, 0.10, 9.02e-6, 9.4e-6),
        (1e-3, 0.05, 1.37e-3, 1.5e-3),
        (1e-3, 0.10, 2.79e-3, 3.1e-3),
    ],
)
def test_spread_of_the_critical_voltage(wer: float, sigma: float, mean: float, before: float) -> None:
    pulse = Pulse(write_voltage_v(PAPER, wer, 10, TO_AP), 10)
    found = array_write_error_rate(only_vc0(sigma), pulse, TO_AP)
    assert found == pytest.approx(mean, rel=5e-3)
    assert found == pytest.approx(before, rel=0.13)


@pytest.mark.parametrize(("sigma", "mean"), [(0.05, 2.1e-6), (0.10, 9.4e-6)])
def test_closed_form_gives_what_was_computed_with_it(sigma: float, mean: float) -> None:
    pulse = Pulse(write_voltage_v(PAPER, 1e-6, 10, TO_AP), 10)
    assert array_write_error_rate(only_vc0(sigma), pulse, TO_AP, "closed-form") == pytest.approx(
        mean, rel=0.01
    )


def test_without_spread_all_cells_are_the_mean_cell() -> None:
    pulse = Pulse(0.6, 10)
    alone = write_error_rate(PAPER, pulse, TO_AP)
    assert array_write_error_rate(only_vc0(0.0), pulse, TO_AP) == pytest.approx(alone, rel=1e-9)
    classes = variability_classes(only_vc0(0.0), [pulse])
    assert classes.rates[0].wer_01 == pytest.approx([alone] * 4, rel=1e-9)


@pytest.mark.parametrize(
    ("voltage_v", "values"),
    [
        (0.6, {"sigma_diameter": 0.05, "sigma_delta": 0.1, "sigma_vc0": 0.0}),
        (
            0.45,
            {"sigma_diameter": 0.03, "sigma_delta": 0.05, "sigma_vc0": 0.05, "stray_field_ratio": 0.05},
        ),
    ],
)
def test_mean_of_sampled_cells(voltage_v: float, values: dict[str, float]) -> None:
    technology = mtj(**values)
    rng = np.random.default_rng(3)
    z1, z2, z3 = rng.standard_normal((3, 400))
    deltas = 40 * (1 + technology.sigma_diameter * z1) ** 2 * (1 + technology.sigma_delta * z2)
    currents = voltage_v / 0.30 / (1 + technology.sigma_vc0 * z3)
    h = technology.stray_field_ratio
    cells = [float(fokker_planck_wer(i, 5, delta, h)) for i, delta in zip(currents, deltas, strict=True)]
    error = np.std(cells) / np.sqrt(len(cells))
    mean = array_write_error_rate(technology, Pulse(voltage_v, 10), TO_AP)
    assert abs(np.mean(cells) - mean) < 3.3 * error  # 99.9 %
    assert error < 0.1 * mean
    shares = np.array([0.1, 0.5, 0.9])
    quantiles = write_error_rate_quantiles(technology, Pulse(voltage_v, 10), TO_AP, shares)
    below = (np.array(cells)[:, np.newaxis] < quantiles).mean(axis=0)
    assert np.all(np.abs(below - shares) < 3.3 * np.sqrt(shares * (1 - shares) / len(cells)))


def test_quantiles_rise_and_the_median_cell_is_the_mean_cell() -> None:
    pulse = Pulse(0.6, 10)
    shares = np.linspace(0, 1, 21)
    quantiles = write_error_rate_quantiles(PAPER, pulse, TO_AP, shares)
    assert np.all(np.diff(quantiles) > 0)
    assert quantiles[10] == pytest.approx(write_error_rate(PAPER, pulse, TO_AP), rel=0.03)


def test_pulses_so_strong_or_weak_that_the_model_ends() -> None:
    assert 0 <= array_write_error_rate(mtj(sigma_vc0=0.15), Pulse(1.19, 20), TO_AP) < 1e-6
    assert array_write_error_rate(mtj(sigma_vc0=0.15), Pulse(0.01, 1), TO_AP) == pytest.approx(1.0)
    # Longer than any rate of interest takes, and than floating point can tell from 0.
    assert array_write_error_rate(PAPER, Pulse(1.0, 300), TO_AP) < 1e-12
    assert array_write_error_rate(PAPER, Pulse(1.0, 3000), TO_AP) < 1e-12


@settings(max_examples=8, deadline=None, derandomize=True)
@given(voltage_v=st.floats(0.55, 0.9), sigma=st.floats(0.0, 0.1), more=st.floats(0.01, 0.05))
def test_more_spread_means_more_errors_of_strong_pulses(voltage_v: float, sigma: float, more: float) -> None:
    pulse = Pulse(voltage_v, 10)
    narrow, wide = (array_write_error_rate(only_vc0(s), pulse, TO_AP) for s in (sigma, sigma + more))
    assert narrow < wide


# Classes ---------------------------------------------------------------------------------------------------

PULSES = [Pulse(0.835, 10), Pulse(0.5, 10), Pulse(0.6, 6)]


def test_classes_keep_the_mean_of_the_array() -> None:
    technology = mtj(vc0_ap_to_p_v=0.28, stray_field_ratio=0.03)
    classes = variability_classes(technology, PULSES)
    assert classes.fractions == pytest.approx([0.5, 0.34134, 0.13591, 0.02275], abs=1e-5)
    assert sum(classes.fractions) == pytest.approx(1, abs=1e-12)
    assert classes.stuck == (False,) * 4
    for pulse, rates in zip(PULSES, classes.rates, strict=True):
        for rate, direction in ((rates.wer_01, Direction.AP_TO_P), (rates.wer_10, Direction.P_TO_AP)):
            mean = sum(f * r for f, r in zip(classes.fractions, rate, strict=True))
            assert mean == pytest.approx(array_write_error_rate(technology, pulse, direction), rel=1e-5)
            assert list(rate) == sorted(rate)
    alone = variability_classes(technology, PULSES, classes=1)
    assert alone.fractions == pytest.approx((1.0,), abs=1e-12)
    assert alone.rates[0].wer_10[0] == pytest.approx(
        array_write_error_rate(technology, PULSES[0], TO_AP), rel=1e-5
    )


def test_a_class_is_the_mean_of_its_part_of_the_cells() -> None:
    technology = only_vc0(0.05)
    rates = variability_classes(technology, [Pulse(0.6, 10)]).rates[0].wer_10
    z = np.arange(-6, 6, 0.025) + 0.0125
    wer = np.array([float(fokker_planck_wer(2.0 / (1 + 0.05 * value), 5, 40)) for value in z])
    for number, (low, high) in enumerate(((-9, 0), (0, 1), (1, 2), (2, 9))):
        part = (z > low) & (z <= high)
        assert rates[number] == pytest.approx(
            np.average(wer[part], weights=np.exp(-(z[part] ** 2) / 2)), rel=2e-3
        )


def test_stuck_cells_are_the_last_class() -> None:
    spread = variability_classes(PAPER, PULSES, classes=3)
    classes = variability_classes(PAPER, PULSES, stuck_fraction=1e-3)
    assert classes.stuck == (False, False, False, True)
    assert classes.fractions[3] == 1e-3
    assert classes.fractions[:3] == pytest.approx([f * 0.999 for f in spread.fractions])
    assert sum(classes.fractions) == pytest.approx(1, abs=1e-12)
    for rates, without in zip(classes.rates, spread.rates, strict=True):
        assert rates.wer_01 == (*without.wer_01, 1.0)
        assert rates.wer_10 == (*without.wer_10, 1.0)


def test_a_chip_takes_the_classes() -> None:
    classes = variability_classes(PAPER, PULSES, stuck_fraction=0.01)
    chip = Chip.from_fractions(5, classes.fractions, classes.stuck)
    assert chip.class_shares[2] > 0
    assert chip.stuck == (False, False, False, True)


def test_spread_of_the_conductance() -> None:
    technology = mtj(sigma_diameter=0.03, sigma_resistance=0.06)
    rng = np.random.default_rng(5)
    conductance = (1 + 0.03 * rng.standard_normal(10**6)) ** 2 / (1 + 0.06 * rng.standard_normal(10**6))
    assert mean_conductance_ratio(technology) == pytest.approx(conductance.mean(), abs=5e-4)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pulses": []}, "pulses must be at least one, not none"),
        ({"classes": 0}, "classes must be an integer from 1 to 4, not 0"),
        ({"classes": 5}, "classes must be an integer from 1 to 4, not 5"),
        ({"classes": True}, "classes must be an integer from 1 to 4, not True"),
        ({"classes": 1, "stuck_fraction": 0.1}, "classes must be an integer from 2 to 4, not 1"),
        ({"stuck_fraction": 1.0}, "stuck_fraction must be from 0 to below 1, not 1"),
        ({"stuck_fraction": -0.1}, "stuck_fraction must be from 0 to below 1, not -0.1"),
        ({"method": "butler"}, "method must be one of fokker-planck, closed-form, not 'butler'"),
        ({"pulses": [Pulse(1.3, 10)]}, "pulse voltage must be below the breakdown voltage, 1.2 V, not 1.3 V"),
        (
            {"pulses": [Pulse(0.4, 10)], "method": "closed-form"},
            "V / Vc0 less the stray field must be at least 1.2 for the closed form, not 1.03",
        ),
    ],
)
def test_impossible_classes(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(PulseError) as error:
        variability_classes(PAPER, **{"pulses": PULSES, **arguments})
    assert str(error.value) == text


def test_impossible_share() -> None:
    with pytest.raises(PulseError) as error:
        write_error_rate_quantiles(PAPER, PULSES[0], TO_AP, [0.5, 1.5])
    assert str(error.value) == "share of the cells must be from 0 to 1, not 1.5"
