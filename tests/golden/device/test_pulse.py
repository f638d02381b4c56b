"""Operating points of pulses: what the hardware's registers are to hold."""

import pytest

from spinbnn.golden.device.mtj import (
    Direction,
    Pulse,
    failed_energy,
    redundant_energy,
    switched_energy,
    write_pulse,
)
from spinbnn.golden.device.pulse import operating_point_from_pulse, pulse_clocks
from spinbnn.golden.device.technology import MtjTechnology, load_technology, preset_names
from spinbnn.golden.device.variability import ClassRates, array_write_error_rate, variability_classes
from spinbnn.golden.errors import OperatingPointError, PulseError


def mtj(name: str = "tzoufras2019", **values: object) -> MtjTechnology:
    technology = load_technology(name)
    assert isinstance(technology, MtjTechnology)
    return technology.with_values(**values)


UNEVEN = mtj(vc0_ap_to_p_v=0.27, self_terminated=True)
PULSE = Pulse(0.5, 10)
TO_1, TO_0 = Direction.AP_TO_P, Direction.P_TO_AP  # a 1 is stored as P


def test_every_field_of_a_point() -> None:
    point = operating_point_from_pulse(UNEVEN, PULSE, max_retries=3, pulse_redundant=True, blind=True)
    wer_01, wer_10 = (array_write_error_rate(UNEVEN, PULSE, direction) for direction in (TO_1, TO_0))
    assert point.p_fail_01 == round(wer_01 * 2**32)
    assert point.p_fail_10 == round(wer_10 * 2**32)
    assert 0 < point.p_fail_01 < point.p_fail_10
    for found, wer, direction in ((point.energy_01_aj, wer_01, TO_1), (point.energy_10_aj, wer_10, TO_0)):
        switched = switched_energy(UNEVEN, PULSE, direction).macro_aj
        failed = failed_energy(UNEVEN, PULSE, direction).macro_aj
        assert found == round((1 - wer) * switched + wer * failed)
    redundant = [redundant_energy(UNEVEN, PULSE, direction).macro_aj for direction in (TO_1, TO_0)]
    assert point.energy_redundant_aj == round(sum(redundant) / 2)
    assert point.pulse_clocks == 1
    assert (point.max_retries, point.pulse_redundant, point.blind) == (3, True, True)
    assert point.class_p_fail_01 is point.class_p_fail_10 is None
    assert point.energy_01_failed_aj is point.energy_10_failed_aj is None


def test_the_other_state_stores_the_one() -> None:
    one_is_ap = UNEVEN.with_values(one_state="AP")
    point, other = (operating_point_from_pulse(technology, PULSE) for technology in (UNEVEN, one_is_ap))
    assert (point.p_fail_01, point.energy_01_aj) == (other.p_fail_10, other.energy_10_aj)
    assert (point.p_fail_10, point.energy_10_aj) == (other.p_fail_01, other.energy_01_aj)


def test_failed_bits_apart() -> None:
    point = operating_point_from_pulse(UNEVEN, PULSE, separate_failed_energies=True)
    assert point.energy_01_aj == round(switched_energy(UNEVEN, PULSE, TO_1).macro_aj)
    assert point.energy_10_aj == round(switched_energy(UNEVEN, PULSE, TO_0).macro_aj)
    assert point.energy_01_failed_aj == round(failed_energy(UNEVEN, PULSE, TO_1).macro_aj)
    assert point.energy_10_failed_aj == round(failed_energy(UNEVEN, PULSE, TO_0).macro_aj)


def test_classes_of_cells() -> None:
    classes = variability_classes(UNEVEN, [PULSE], stuck_fraction=0.01)
    point = operating_point_from_pulse(UNEVEN, PULSE, class_rates=classes.rates[0])
    for (found_01, found_10), wer_01, wer_10 in zip(point.by_class[:3], *classes.rates[0], strict=False):
        assert (found_01, found_10) == (round(wer_01 * 2**32), round(wer_10 * 2**32))
    assert point.by_class[3] == (2**32 - 1, 2**32 - 1)
    # Energies of the mean cell do not know the classes.
    assert point.energy_01_aj == operating_point_from_pulse(UNEVEN, PULSE).energy_01_aj


def test_closed_form() -> None:
    point = operating_point_from_pulse(UNEVEN, Pulse(0.7, 10), method="closed-form")
    exact = operating_point_from_pulse(UNEVEN, Pulse(0.7, 10))
    assert point.p_fail_10 == pytest.approx(exact.p_fail_10, rel=0.12)
    assert point != exact


@pytest.mark.parametrize(
    ("duration_ns", "clock_mhz", "clocks"),
    [(20, 100, 2), (20.1, 100, 3), (0.1, 100, 1), (3.3, 1000 / 1.1, 3), (30, 100 / 3, 1), (200, 250, 50)],
)
def test_clocks_are_rounded_up(duration_ns: float, clock_mhz: float, clocks: int) -> None:
    assert pulse_clocks(mtj(clock_mhz=clock_mhz), Pulse(0.5, duration_ns)) == clocks


@pytest.mark.parametrize("name", preset_names())
def test_presets_give_points(name: str) -> None:
    technology = load_technology(name)
    if not isinstance(technology, MtjTechnology):
        return
    point = operating_point_from_pulse(technology, write_pulse(technology))
    assert 1e-7 < point.p_fail_01 / 2**32 < 1e-5
    assert point.energy_01_aj > 100_000


def test_what_hardware_cannot_hold() -> None:
    with pytest.raises(OperatingPointError) as error:
        operating_point_from_pulse(mtj(clock_mhz=10_000.0), Pulse(0.5, 10_000))
    assert str(error.value) == "pulse_clocks must be an integer from 1 to 65535, not 100000"
    with pytest.raises(PulseError) as wrong:
        operating_point_from_pulse(UNEVEN, PULSE, class_rates=ClassRates((0.1, 0.2), (0.1, 0.2, 0.3, 0.4)))
    assert str(wrong.value) == "class_rates must be of 4 classes, not of 2 and 4"
    with pytest.raises(PulseError) as broken:
        operating_point_from_pulse(UNEVEN, Pulse(1.5, 10))
    assert str(broken.value) == "pulse voltage must be below the breakdown voltage, 1.2 V, not 1.5 V"
