"""A junction under a pulse: rates by direction, the two kinds of rate, and energies by state and time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.device.macrospin import fokker_planck_wer
from spinbnn.golden.device.mtj import (
    Direction,
    Pulse,
    State,
    bit_error_rate,
    direction_of_write,
    failed_energy,
    redundant_energy,
    resistance_ohm,
    switched_energy,
    write_duration_ns,
    write_error_rate,
    write_error_rate_for_ber,
    write_pulse,
    write_voltage_v,
)
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.errors import PulseError


def mtj(name: str = "tzoufras2019", **values: object) -> MtjTechnology:
    technology = load_technology(name)
    assert isinstance(technology, MtjTechnology)
    return technology.with_values(**values)


PAPER = mtj()


def test_resistances() -> None:
    assert resistance_ohm(PAPER, State.P, 0.7) == 8940
    assert resistance_ohm(PAPER, State.AP, 0.0) == pytest.approx(8940 * 2.5)
    assert resistance_ohm(PAPER, State.AP, 0.5) == pytest.approx(8940 * 1.75)


def test_which_bit_is_which_state() -> None:
    assert direction_of_write(PAPER, 1) is Direction.AP_TO_P
    assert direction_of_write(PAPER, 0) is Direction.P_TO_AP
    assert direction_of_write(mtj(one_state="AP"), 1) is Direction.P_TO_AP
    assert direction_of_write(mtj(one_state="AP"), 0) is Direction.AP_TO_P
    for direction in Direction:
        assert direction.value == f"{direction.start}-to-{direction.end}".lower()


@pytest.mark.parametrize(("wer", "voltage_v"), [(1e-6, 0.835), (1e-3, 0.610), (1e-2, 0.529)])
def test_voltages_of_ten_nanoseconds(wer: float, voltage_v: float) -> None:
    found = write_voltage_v(PAPER, wer, 10, Direction.P_TO_AP)
    assert found == pytest.approx(voltage_v, abs=0.0006)
    assert write_error_rate(PAPER, Pulse(found, 10), Direction.P_TO_AP) == pytest.approx(wer, rel=1e-3)
    assert write_duration_ns(PAPER, wer, found, Direction.P_TO_AP) == pytest.approx(10, rel=1e-3)


def test_directions_have_their_own_voltage_and_the_field_helps_one() -> None:
    technology = mtj(vc0_ap_to_p_v=0.25, stray_field_ratio=0.05)
    pulse = Pulse(0.6, 10)
    to_ap, to_p = (write_error_rate(technology, pulse, direction) for direction in Direction)
    assert to_ap == pytest.approx(float(fokker_planck_wer(0.6 / 0.30, 5, 40, 0.05)))
    assert to_p == pytest.approx(float(fokker_planck_wer(0.6 / 0.25, 5, 40, -0.05)))


def test_heat_helps_to_write() -> None:
    pulse = Pulse(0.6, 10)
    hot = write_error_rate(mtj(temperature_k=400.0), pulse, Direction.P_TO_AP)
    assert hot == pytest.approx(float(fokker_planck_wer(2.0, 5, 30)))
    assert hot < write_error_rate(PAPER, pulse, Direction.P_TO_AP)


def test_closed_form_is_near() -> None:
    pulse = Pulse(0.6, 10)
    exact = write_error_rate(PAPER, pulse, Direction.P_TO_AP)
    closed = write_error_rate(PAPER, pulse, Direction.P_TO_AP, "closed-form")
    assert exact != closed
    assert abs(np.log10(closed / exact)) < 0.05


@pytest.mark.parametrize(
    ("name", "least", "most"), [("st_mram_28nm", 1e-6, 9e-6), ("st_mram_22nm", 1e-12, 1e-6)]
)
def test_the_mean_cell_of_a_macro_is_better_than_its_array(name: str, least: float, most: float) -> None:
    technology = mtj(name)
    for direction in Direction:
        assert least < write_error_rate(technology, write_pulse(technology), direction) < most


def test_rates_per_switch_and_per_bit() -> None:
    assert bit_error_rate(1e-3) == 5e-4
    assert bit_error_rate(1e-3, toggle_rate=0.1) == pytest.approx(1e-4)
    assert write_error_rate_for_ber(5e-4) == 1e-3
    assert write_error_rate_for_ber(bit_error_rate(0.03, 0.2), 0.2) == pytest.approx(0.03)


def test_energies_of_a_fixed_pulse() -> None:
    r_p, r_ap = 8940, 8940 * (1 + 1.5 / (1 + 1.44))
    pulse = Pulse(0.6, 10)
    through_p, through_ap = 0.36 * 10e9 / r_p, 0.36 * 10e9 / r_ap
    for direction, start, end in (
        (Direction.P_TO_AP, through_p, through_ap),
        (Direction.AP_TO_P, through_ap, through_p),
    ):
        assert failed_energy(PAPER, pulse, direction).junction_aj == pytest.approx(start)
        assert redundant_energy(PAPER, pulse, direction).junction_aj == pytest.approx(end)
        switched = switched_energy(PAPER, pulse, direction)
        assert switched.junction_aj == pytest.approx((through_p + through_ap) / 2)
        series = (through_p * 3900 / r_p + through_ap * 3900 / r_ap) / 2
        assert switched.macro_aj == pytest.approx(switched.junction_aj + series + 1.1e6)


def test_junction_energy_against_error_rate() -> None:
    """Ratios to a rate of 1e-6 of V**2 t / R at a constant R: 0.68, 0.53, 0.40, 0.28 (computed before)."""
    volts = [write_voltage_v(PAPER, wer, 10, Direction.P_TO_AP) for wer in (1e-6, 1e-4, 1e-3, 1e-2, 0.1)]
    failed = [failed_energy(PAPER, Pulse(volt, 10), Direction.P_TO_AP).junction_aj for volt in volts]
    assert [energy / failed[0] for energy in failed] == pytest.approx([1, 0.68, 0.53, 0.40, 0.28], abs=0.006)


def test_the_published_energy_of_a_macro() -> None:
    technology = mtj("st_mram_28nm")
    energy = switched_energy(technology, write_pulse(technology), Direction.P_TO_AP)
    assert energy.macro_aj == pytest.approx(4.5e6, rel=1e-3)
    assert 3 < energy.macro_aj / energy.junction_aj < 7
    fast = mtj("st_mram_65nm_fast")
    energy = switched_energy(fast, write_pulse(fast), Direction.P_TO_AP)
    assert energy.macro_aj == pytest.approx(0.6e6, rel=1e-3)


def switching_times(current: float, tau: float, samples: int) -> tuple[np.ndarray, float]:
    """Return times of switching drawn from the error rates of shorter pulses, and the share that switches."""
    grid = np.linspace(0, tau, 4001)
    switched = 1 - fokker_planck_wer(current, grid, 40)
    levels = switched[-1] * (np.arange(samples) + 0.5) / samples
    return np.interp(levels, np.maximum.accumulate(switched), grid), float(switched[-1])


@pytest.mark.parametrize(("voltage_v", "delay_ns"), [(0.835, 1.0), (0.5, 0.0), (0.45, 3.0), (0.5, 50.0)])
@pytest.mark.parametrize("direction", Direction)
def test_self_terminated_energy_is_the_mean_over_switching_times(
    voltage_v: float, delay_ns: float, direction: Direction
) -> None:
    technology = mtj(self_terminated=True, termination_delay_ns=delay_ns)
    times, _ = switching_times(voltage_v / 0.30, 5.0, 20_000)
    before = 2.0 * times
    after = np.minimum(10 - before, delay_ns)
    r_start, r_end = (resistance_ohm(technology, s, voltage_v) for s in (direction.start, direction.end))
    mean_aj = 1e9 * voltage_v**2 * float(np.mean(before / r_start + after / r_end))
    energy = switched_energy(technology, Pulse(voltage_v, 10), direction)
    assert energy.junction_aj == pytest.approx(mean_aj, rel=1e-3)


def test_self_termination_saves_most_where_pulses_are_strong() -> None:
    def saved(voltage_v: float) -> float:
        pulse = Pulse(voltage_v, 10)
        fixed = switched_energy(PAPER, pulse, Direction.AP_TO_P).junction_aj
        return 1 - switched_energy(mtj(self_terminated=True), pulse, Direction.AP_TO_P).junction_aj / fixed

    assert 0.3 < saved(0.45) < saved(0.6) < saved(0.835) < 0.75


def test_self_terminated_pulses_that_find_nothing_to_do_or_never_succeed() -> None:
    technology = mtj(self_terminated=True)
    pulse = Pulse(0.6, 10)
    for direction in Direction:
        short = redundant_energy(technology, pulse, direction).junction_aj
        assert short == pytest.approx(redundant_energy(PAPER, pulse, direction).junction_aj / 10)
        assert failed_energy(technology, pulse, direction) == failed_energy(PAPER, pulse, direction)
        weak = Pulse(0.01, 10)
        assert switched_energy(technology, weak, direction) == failed_energy(PAPER, weak, direction)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(voltage_v=st.floats(0.3, 1.0), duration_ns=st.floats(1, 40), more=st.floats(1.02, 1.15))
def test_more_voltage_fails_less_and_costs_more(voltage_v: float, duration_ns: float, more: float) -> None:
    weak, strong = Pulse(voltage_v, duration_ns), Pulse(voltage_v * more, duration_ns)
    for direction in Direction:
        assert write_error_rate(PAPER, strong, direction) <= write_error_rate(PAPER, weak, direction) + 2e-11
        energies = [switched_energy(PAPER, pulse, direction) for pulse in (weak, strong)]
        assert energies[0].junction_aj < energies[1].junction_aj < energies[1].macro_aj


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((0.0, 10), "voltage_v must be a number above 0 V, not 0.0"),
        (("1", 10), "voltage_v must be a number above 0 V, not '1'"),
        ((0.5, -1), "duration_ns must be a number above 0 ns, not -1"),
        ((0.5, float("inf")), "duration_ns must be a number above 0 ns, not inf"),
        ((0.5, True), "duration_ns must be a number above 0 ns, not True"),
    ],
)
def test_impossible_pulses(arguments: tuple[float, float], text: str) -> None:
    with pytest.raises(PulseError) as error:
        Pulse(*arguments)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("pulse", "text"),
    [
        (Pulse(1.2, 10), "pulse voltage must be below the breakdown voltage, 1.2 V, not 1.2 V"),
        (Pulse(0.5, 30_000), "pulse length / tau_d must be from 0 to 10000, not 15000"),
    ],
)
def test_pulses_beyond_the_technology(pulse: Pulse, text: str) -> None:
    with pytest.raises(PulseError) as error:
        write_error_rate(PAPER, pulse, Direction.P_TO_AP)
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: bit_error_rate(1.5), "write error rate must be a probability from 0 to 1, not 1.5"),
        (lambda: bit_error_rate(0.1, -0.5), "toggle_rate must be a probability from 0 to 1, not -0.5"),
        (lambda: write_error_rate_for_ber(-1), "bit error rate must be a probability from 0 to 1, not -1"),
        (lambda: write_error_rate_for_ber(0.1, 2), "toggle_rate must be a probability from 0 to 1, not 2"),
        (lambda: write_error_rate_for_ber(0.1, 0), "toggle_rate must be above 0, not 0"),
        (
            lambda: write_error_rate_for_ber(0.3, 0.2),
            "toggle_rate must be at least the bit error rate, 0.3, not 0.2",
        ),
    ],
)
def test_rates_that_are_none(call: object, text: str) -> None:
    with pytest.raises(PulseError) as error:
        call()  # type: ignore[operator]
    assert str(error.value) == text
