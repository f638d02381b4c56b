"""From a write pulse to the operating point of the array: failure probabilities, energies, clocks.

Energies are the macro's (`mtj.PulseEnergy.macro_aj`), rounded to attojoules; the failure probabilities are
write error rates, per attempted switch, rounded to multiples of 2**-32.
"""

from math import ceil

from spinbnn.golden.device.mtj import (
    Pulse,
    direction_of_write,
    failed_energy,
    redundant_energy,
    switched_energy,
)
from spinbnn.golden.device.technology import MtjTechnology
from spinbnn.golden.device.variability import ClassRates, array_write_error_rate
from spinbnn.golden.errors import PulseError
from spinbnn.golden.memory_options import CLASSES
from spinbnn.golden.operating_point import OperatingPoint, probability_fraction


def pulse_clocks(technology: MtjTechnology, pulse: Pulse) -> int:
    """Return the clocks of the technology's controller that a pulse takes, rounded up."""
    clocks = pulse.duration_ns * technology.clock_mhz / 1000
    return ceil(clocks * (1 - 1e-12))  # 20 ns at 100 MHz are two clocks, whatever the last bit says


def operating_point_from_pulse(
    technology: MtjTechnology,
    pulse: Pulse,
    *,
    class_rates: ClassRates | None = None,
    separate_failed_energies: bool = False,
    max_retries: int = 0,
    pulse_redundant: bool = False,
    blind: bool = False,
    method: str = "fokker-planck",
) -> OperatingPoint:
    """Return the operating point of a pulse.

    Parameters
    ----------
    technology : MtjTechnology
    pulse : Pulse
    class_rates : ClassRates, optional
        Of the pulse and four classes (`variability.variability_classes`), for a memory with variability. By
        default every cell fails with the mean probability of the array's cells.
    separate_failed_energies : bool
        Give the energy of failed bits apart, for a memory with self-terminated writing. By default the energy
        of a bit is the expectation over success and failure.
    max_retries, pulse_redundant, blind
        As in `OperatingPoint`.
    method : str
        As in `mtj.write_error_rate`.

    Returns
    -------
    OperatingPoint
        A redundant bit's energy is the mean of its two states (assumed: as many of each). Energies are those
        of the mean cell.

    Raises
    ------
    PulseError
        If the pulse is impossible for the technology or lies outside the method's region, or the classes are
        not four.
    OperatingPointError
        If a value is impossible for the hardware: a pulse of more than 65,535 clocks, an energy of 2**32 aJ.
    """
    if class_rates is not None and {len(rates) for rates in class_rates} != {CLASSES}:
        found = " and ".join(str(len(rates)) for rates in class_rates)
        raise PulseError(f"class_rates must be of {CLASSES} classes, not of {found}")
    wer, switched_aj, failed_aj, redundant_aj = {}, {}, {}, {}
    for bit in (1, 0):
        direction = direction_of_write(technology, bit)
        wer[bit] = array_write_error_rate(technology, pulse, direction, method)
        switched_aj[bit] = switched_energy(technology, pulse, direction, method).macro_aj
        failed_aj[bit] = failed_energy(technology, pulse, direction).macro_aj
        redundant_aj[bit] = redundant_energy(technology, pulse, direction).macro_aj
        if not separate_failed_energies:
            switched_aj[bit] += wer[bit] * (failed_aj[bit] - switched_aj[bit])

    weak_01 = weak_10 = None
    if class_rates is not None:
        wer = {1: class_rates.wer_01[0], 0: class_rates.wer_10[0]}
        weak_01, weak_10 = _weak_classes(class_rates.wer_01), _weak_classes(class_rates.wer_10)
    return OperatingPoint(
        p_fail_01=probability_fraction("WER", wer[1]),
        p_fail_10=probability_fraction("WER", wer[0]),
        energy_01_aj=round(switched_aj[1]),
        energy_10_aj=round(switched_aj[0]),
        energy_redundant_aj=round((redundant_aj[1] + redundant_aj[0]) / 2),
        pulse_clocks=pulse_clocks(technology, pulse),
        max_retries=max_retries,
        pulse_redundant=pulse_redundant,
        blind=blind,
        class_p_fail_01=weak_01,
        class_p_fail_10=weak_10,
        energy_01_failed_aj=round(failed_aj[1]) if separate_failed_energies else None,
        energy_10_failed_aj=round(failed_aj[0]) if separate_failed_energies else None,
    )


def _weak_classes(rates: tuple[float, ...]) -> tuple[int, int, int]:
    first, second, third = (probability_fraction("WER", rate) for rate in rates[1:])
    return first, second, third
