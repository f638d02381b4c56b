"""Write error rates of the macrospin model against published figures, two witnesses, and each other.

These are comparisons of physics, with the tolerances they state; nothing here is equality of hardware.
"""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.device.macrospin import (
    METHODS,
    _exponential,
    closed_form_wer,
    duration_for_wer,
    fokker_planck_wer,
    voltage_for_wer,
)
from spinbnn.golden.errors import PulseError
from tests.golden.device.finite_volumes import finite_volume_wer
from tests.golden.device.llg import unswitched
from tests.golden.test_write_errors import binomial_interval

PAPER_TABLE_1 = (2.78, -36, -46, -32, -50)
"""Tzoufras 2019, Table I: voltage over Vc0 for 1e-6 in 5 tau_d; per cent of it for 1e-2 and 0.1; then at 0.8
of that voltage per cent of 5 tau_d for 1e-2 and 0.1."""


def table_1(delta: float, method: str = "fokker-planck") -> tuple[float, ...]:
    voltage = voltage_for_wer(1e-6, 5, delta, method=method)
    voltages = [voltage_for_wer(wer, 5, delta, method=method) for wer in (1e-2, 0.1)]
    times = [duration_for_wer(wer, 0.8 * voltage, delta, method=method) for wer in (1e-2, 0.1)]
    return (voltage, *(100 * (v / voltage - 1) for v in voltages), *(100 * (t / 5 - 1) for t in times))


def test_table_of_the_paper() -> None:
    voltage, *drops = table_1(40)
    assert voltage == pytest.approx(PAPER_TABLE_1[0], rel=0.01)
    assert drops == pytest.approx(PAPER_TABLE_1[1:], abs=2)


@pytest.mark.parametrize(
    ("delta", "method", "expected"),
    [
        (40, "fokker-planck", (2.783, -36.7, -47.6, -32.7, -51.7)),
        (50, "fokker-planck", (2.807, -36.2, -46.8, -31.8, -50.5)),
        (40, "closed-form", (2.784, -36.3, -47.2, -32.5, -51.7)),
    ],
)
def test_table_to_its_last_digit(delta: float, method: str, expected: tuple[float, ...]) -> None:
    voltage, *drops = table_1(delta, method)
    assert voltage == pytest.approx(expected[0], abs=0.0006)
    assert drops == pytest.approx(expected[1:], abs=0.06)


@pytest.mark.parametrize(
    ("i", "t", "wer"), [(1.5, 5, 0.0754), (1.78, 5, 0.00866), (2.2, 3, 0.0278), (1.2, 5, 0.437)]
)
def test_rates_computed_before(i: float, t: float, wer: float) -> None:
    assert float(fokker_planck_wer(i, t, 40)) == pytest.approx(wer, rel=2e-3)


def test_stray_field_helps_one_way_and_hinders_the_other() -> None:
    i = voltage_for_wer(1e-3, 5, 40)
    assert float(fokker_planck_wer(i, 5, 40, h=0.05)) == pytest.approx(1.6e-3, rel=0.05)
    assert float(fokker_planck_wer(i, 5, 40, h=-0.05)) == pytest.approx(6.5e-4, rel=0.05)


def butler_wer(i: float, t: float, delta: float) -> float:
    """The closed form with the angle pi / 2 for the equator, after Butler et al. 2012."""
    return float(-np.expm1(-(np.pi**2) / 4 * delta * (i - 1) / (i * np.exp(2 * (i - 1) * t) - 1)))


def test_what_the_usual_closed_form_is_off() -> None:
    def current(wer: float) -> float:
        low, high = 1.001, 5.0
        while high - low > 1e-6:
            low, high = (low, m) if butler_wer(m := (low + high) / 2, 5, 40) < wer else (m, high)
        return low

    voltage = current(1e-6)
    assert voltage == pytest.approx(2.783, rel=0.01)
    drops = [100 * (current(wer) / voltage - 1) for wer in (1e-2, 0.1)]
    assert drops == pytest.approx([-34.2, -43.3], abs=0.06)  # against -36.7 and -47.6
    assert butler_wer(1.35, 5, 40) > 2.5 * float(fokker_planck_wer(1.35, 5, 40))


# Against finite volumes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("i", "t", "delta", "h"),
    [
        (0.9, 20, 40, 0.0),
        (1.5, 5, 20, 0.1),
        (2.783, 5, 40, 0.0),
        (3.5, 5, 40, 0.0),
        (6.0, 2, 60, 0.0),
        (2.0, 8, 60, -0.05),
        (2.0, 3, 100, 0.2),
    ],
)
def test_against_finite_volumes(i: float, t: float, delta: float, h: float) -> None:
    # Second order in the width of a cell, so that two widths give the limit; what is left of it is 0.3 %.
    coarse, fine = (finite_volume_wer(i, t, delta, h, cells) for cells in (150, 300))
    assert float(fokker_planck_wer(i, t, delta, h)) == pytest.approx((4 * fine - coarse) / 3, rel=4e-3)


def test_series_of_a_step_is_exact_to_rounding() -> None:
    diagonals = np.zeros((5, 3))
    diagonals[2] = [-4.0, -1.0, 2.0]
    series = _exponential(diagonals, np.ones((3, 2)), np.array([0.0, 0.25]))
    expected = np.exp(np.outer([-4.0, -1.0, 2.0], [0.0, 0.25]))
    np.testing.assert_allclose(series, expected, rtol=1e-15)


def test_many_times_at_once_give_what_each_gives() -> None:
    times = np.array([[0.0, 0.013, 0.5], [1.0, 3.7, 40.0]])
    together = fokker_planck_wer(1.6, times, 40)
    assert together.shape == times.shape
    alone = [float(fokker_planck_wer(1.6, t, 40)) for t in times.flat]
    assert together.reshape(-1) == pytest.approx(alone, rel=1e-9, abs=1e-13)
    assert together[0, 0] == pytest.approx(1.0, abs=1e-12)


def test_without_a_pulse_the_state_stays_as_long_as_kramers_law_says() -> None:
    assert float(fokker_planck_wer(0.0, 1e4, 40)) == pytest.approx(1.0, abs=1e-9)
    rate = np.sqrt(12 / np.pi) * np.exp(-12)
    stays = (1 + np.exp(-2 * rate * 1e4)) / 2
    assert float(fokker_planck_wer(0.0, 1e4, 12)) == pytest.approx(stays, abs=0.03)


# Closed form against Fokker-Planck -------------------------------------------------------------------------

GRID_DELTAS = (40, 60, 100)
GRID_CURRENTS = (1.2, 1.35, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
GRID_TIMES = (0.3, 1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)


def worst_decades(deltas: tuple[float, ...], currents: tuple[float, ...], times: tuple[float, ...]) -> float:
    """Return by how many decades the closed form is off at worst, of rates from 1e-9 on, and print where."""
    worst, where = 0.0, ""
    for delta, i in product(deltas, currents):
        exact, closed = fokker_planck_wer(i, times, delta), closed_form_wer(i, times, delta)
        for t, one, other in zip(times, exact, closed, strict=True):
            if one >= 1e-9 and abs(np.log10(other / one)) > worst:
                worst, where = abs(float(np.log10(other / one))), f"delta {delta}, i {i}, t {t}"
    print(
        f"closed form against Fokker-Planck, {len(deltas) * len(currents) * len(times)} points: "
        f"worst {worst:.3f} decades at {where}"
    )
    return worst


def test_closed_form_in_its_region() -> None:
    assert 0.1 < worst_decades(GRID_DELTAS, GRID_CURRENTS, GRID_TIMES) <= 0.22
    assert worst_decades(GRID_DELTAS, (2.0, 2.5, 3.0, 4.0, 6.0), (0.3, 1.0, 1.5, 2.0, 3.0, 5.0)) <= 0.05


def test_closed_form_outside_of_it() -> None:
    assert 0.4 < worst_decades((40,), (1.2, 1.35), (15.0,)) <= 0.47
    assert 0.3 < worst_decades((20,), GRID_CURRENTS, GRID_TIMES) <= 0.4


@pytest.mark.parametrize("h", [-0.1, 0.1])
def test_closed_form_with_a_stray_field(h: float) -> None:
    for i, t in product((1.5, 2.5), (2.0, 5.0)):
        off = np.log10(closed_form_wer(i, t, 40, h) / fokker_planck_wer(i, t, 40, h))
        assert abs(float(off)) < 0.06


def test_closed_form_broadcasts() -> None:
    wer = closed_form_wer(np.array([[1.5], [2.0]]), np.array([1.0, 2.0, 3.0]), 40)
    assert wer.shape == (2, 3)
    assert wer[1, 2] == closed_form_wer(2.0, 3.0, 40)
    assert closed_form_wer(20.0, 1e4, 40) == 0.0


# Inverses and monotonicity ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("wer", "t", "delta", "h"), [(1e-9, 5, 40, 0.0), (1e-3, 20, 60, 0.1), (0.5, 1, 30, -0.1)]
)
def test_inverses(method: str, wer: float, t: float, delta: float, h: float) -> None:
    i = voltage_for_wer(wer, t, delta, h, method)
    assert float(METHODS[method](i, t, delta, h)) == pytest.approx(wer, rel=1e-4)
    assert duration_for_wer(wer, i, delta, h, method) == pytest.approx(t, rel=1e-4)


def test_inverse_below_the_critical_voltage_and_above_what_pulses_reach() -> None:
    assert voltage_for_wer(1e-3, 100, 40) < 0.9
    assert voltage_for_wer(0.9, 100, 60) < 0.9
    assert duration_for_wer(0.9, 15.0, 40) < 0.2


@settings(max_examples=30, deadline=None, derandomize=True)
@given(i=st.floats(0.9, 4.0), more=st.floats(0.02, 0.5), delta=st.floats(20, 100), h=st.floats(-0.2, 0.2))
def test_stronger_and_longer_pulses_fail_less(i: float, more: float, delta: float, h: float) -> None:
    times = np.linspace(0.1, 12, 40)
    wer = fokker_planck_wer(i, times, delta, h)
    assert np.all(np.diff(wer) <= 2e-11)
    assert np.all(fokker_planck_wer(i + more, times, delta, h) <= wer + 2e-11)


# Bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((-0.1, 5, 40), "V / Vc0 must be from 0 to 20, not -0.1"),
        ((20.5, 5, 40), "V / Vc0 must be from 0 to 20, not 20.5"),
        ((float("nan"), 5, 40), "V / Vc0 must be from 0 to 20, not nan"),
        ((2, -1, 40), "pulse length / tau_d must be from 0 to 10000, not -1"),
        ((2, [5, 1e5], 40), "pulse length / tau_d must be from 0 to 10000, not 100000"),
        ((2, 5, 9), "delta must be from 10 to 150, not 9"),
        ((2, 5, 151), "delta must be from 10 to 150, not 151"),
        ((2, 5, 40, 0.6), "stray_field_ratio must be from -0.5 to 0.5, not 0.6"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_impossible_arguments(method: str, arguments: tuple[float, ...], text: str) -> None:
    with pytest.raises(PulseError) as error:
        METHODS[method](*arguments)
    assert str(error.value) == text


def test_closed_form_refuses_weak_pulses() -> None:
    text = "V / Vc0 less the stray field must be at least 1.2 for the closed form, not 1.1"
    with pytest.raises(PulseError) as error:
        closed_form_wer([1.5, 1.2], 5, 40, h=0.1)
    assert str(error.value) == text


def test_impossible_inverses() -> None:
    for wer in (0.95, 1e-11, float("nan")):
        with pytest.raises(PulseError) as error:
            voltage_for_wer(wer, 5, 40)
        assert str(error.value) == f"write error rate must be from 1e-10 to 0.9, not {wer:g}"
        with pytest.raises(PulseError) as error:
            duration_for_wer(wer, 2, 40)
        assert str(error.value) == f"write error rate must be from 1e-10 to 0.9, not {wer:g}"
    with pytest.raises(PulseError) as error:
        voltage_for_wer(1e-6, 0.1, 40)
    assert (
        str(error.value) == "write error rate must be reached by a V / Vc0 from 0 to 20 in t = 0.1, not 1e-06"
    )
    with pytest.raises(PulseError) as error:
        voltage_for_wer(1e-3, 100, 40, method="closed-form")
    assert str(error.value) == (
        "write error rate must be reached by a V / Vc0 from 1.2 to 20 in t = 100, not 0.001"
    )
    with pytest.raises(PulseError) as error:
        duration_for_wer(1e-3, 0.1, 60)
    assert str(error.value) == "write error rate must be reached in a t to 10000 at V / Vc0 = 0.1, not 0.001"
    with pytest.raises(PulseError) as error:
        voltage_for_wer(1e-3, 5, 40, method="butler")
    assert str(error.value) == "method must be one of fokker-planck, closed-form, not 'butler'"


# Against the stochastic Landau-Lifshitz-Gilbert equation ---------------------------------------------------


def off_llg(points: list[tuple[float, float, float, float]], spins: int) -> list[str]:
    """Return the points (delta, i, t, h) outside LLG's 99.9 % intervals; print the largest difference."""
    wrong, worst, where = [], 0.0, ""
    for number, (delta, i, t, h) in enumerate(points):
        block = np.ones(2000)  # small enough for a processor's cache
        seeds = range(100 * number, 100 * number + spins // len(block))
        failures = sum(int(unswitched(i * block, t * block, delta, seed=seed, h=h).sum()) for seed in seeds)
        wer = float(fokker_planck_wer(i, t, delta, h))
        low, high = binomial_interval(spins, wer, 0.999)
        line = f"delta {delta}, i {i}, t {t}, h {h}: LLG {failures / spins:.5f}, Fokker-Planck {wer:.5f}"
        if not low <= failures <= high:
            wrong.append(line)
        deviation = abs(failures - spins * wer) / np.sqrt(spins * wer * (1 - wer))
        if deviation > worst:
            worst, where = float(deviation), line
    print(f"{len(points)} points of {spins} spins: worst {worst:.1f} standard errors at {where}")
    return wrong


def test_against_llg() -> None:
    points = [(40, 1.5, 5, 0.0), (40, 1.78, 5, 0.0), (40, 2.2, 3, 0.0), (40, 1.2, 5, 0.0), (60, 2, 3, 0.05)]
    assert not off_llg(points, spins=20_000)


@pytest.mark.long
def test_against_llg_over_a_grid() -> None:
    grid = product((25, 40, 60, 90), (1.2, 1.5, 2.0, 2.5), (1.5, 3.0, 5.0), (0.0, 0.08))
    points = [point for point in grid if float(fokker_planck_wer(*point[1:3], point[0], point[3])) > 1e-2]
    assert len(points) > 60
    assert not off_llg(points, spins=20_000)
