"""Retention, reading and lifetime of a technology's cells: the plain formulas with its numbers.

Rates are per stored bit, but read disturb is per read of a cell in the state that reading may flip.
"""

from math import exp, hypot, log
from typing import NamedTuple

from spinbnn.golden.device.checks import check_above, check_below
from spinbnn.golden.device.endurance import cycles_to_breakdown, cycles_until
from spinbnn.golden.device.mtj import State, resistance_ohm
from spinbnn.golden.device.read import differential_read_error_rate, read_disturb_rate, read_error_rate
from spinbnn.golden.device.retention import retention_error_rate, thermal_stability_at
from spinbnn.golden.device.technology import MtjTechnology

_MICRO = 1e6
_TOLERANCE_V = 1e-7
_DEVIATE_STEP, _DEVIATE_STEPS = 0.3, 20  # standard deviations; to six, as in `variability`


class ReadErrors(NamedTuple):
    """Error rates of reading a bit: stored as P, stored as AP, and in two complementary cells."""

    single_p: float
    single_ap: float
    differential: float


def holding_field(technology: MtjTechnology, state: State) -> float:
    """Return the stray field by the anisotropy field that holds a state, negative where it frees it."""
    return technology.stray_field_ratio * (1 if state is State.P else -1)


def retention_ber(
    technology: MtjTechnology, state: State, time_s: float, temperature_k: float | None = None
) -> float:
    """Return the probability that a bit stored in a state is wrong after a time, without variability.

    Parameters
    ----------
    technology : MtjTechnology
    state : State
    time_s : float
        Time without access, s.
    temperature_k : float, optional
        By default the technology's temperature of operation.

    Raises
    ------
    TechnologyError
        If time or temperature is impossible.
    """
    return _retention(technology, state, technology.delta, time_s, temperature_k)


def array_retention_ber(
    technology: MtjTechnology, state: State, time_s: float, temperature_k: float | None = None
) -> float:
    """Return the mean of `retention_ber` over the cells of an array.

    The barrier spreads with the area of the cell and by itself, as in `variability`. Cells with low barriers
    forget first, so the mean is that of few: far above the nominal cell's as long as the latter is small.
    """
    deviates = [step * _DEVIATE_STEP for step in range(-_DEVIATE_STEPS, _DEVIATE_STEPS + 1)]
    weights = [exp(-(z**2) / 2) for z in deviates]
    total = 0.0
    for of_area, area_weight in zip(deviates, weights, strict=True):
        area = (1 + technology.sigma_diameter * of_area) ** 2
        for of_barrier, weight in zip(deviates, weights, strict=True):
            barrier = area * (1 + technology.sigma_delta * of_barrier)
            rate = _retention(technology, state, barrier * technology.delta, time_s, temperature_k)
            total += area_weight * weight * rate
    return total / sum(weights) ** 2


def _retention(
    technology: MtjTechnology, state: State, delta: float, time_s: float, temperature_k: float | None
) -> float:
    temperature = technology.temperature_k if temperature_k is None else temperature_k
    hot = thermal_stability_at(temperature, delta)
    return retention_error_rate(time_s, hot, technology.tau_d_ns, holding_field(technology, state))


def read_disturb(technology: MtjTechnology, voltage_v: float | None = None) -> float:
    """Return the probability that one read flips a cell in the state `read_disturbs`.

    Parameters
    ----------
    technology : MtjTechnology
    voltage_v : float, optional
        Across the junction; by default the technology's read voltage.

    Raises
    ------
    TechnologyError
        If the voltage is so high that reading is writing.
    """
    voltage = technology.read_voltage_v if voltage_v is None else voltage_v
    ratio = voltage / _read_vc0_v(technology) - holding_field(technology, State(technology.read_disturbs))
    return read_disturb_rate(ratio, technology.read_ns, technology.operating_delta, technology.tau_d_ns)


def highest_read_voltage_v(technology: MtjTechnology, rate: float) -> float:
    """Return the highest voltage at which a read flips a cell with at most this probability, 0 if none does.

    Searched up to half the critical voltage, where the model of read disturb ends.

    Raises
    ------
    TechnologyError
        If the rate is no probability between 0 and 1.
    """
    check_above("rate", rate, 0)
    check_below("rate", rate, 1)
    low, high = 0.0, _read_vc0_v(technology) / 2
    if read_disturb(technology, high) <= rate:
        return high
    if read_disturb(technology, low) > rate:
        return 0.0
    while high - low > _TOLERANCE_V:
        middle = (low + high) / 2
        if read_disturb(technology, middle) <= rate:
            low = middle
        else:
            high = middle
    return low


def read_currents_ua(technology: MtjTechnology) -> tuple[float, float]:
    """Return the mean read currents of P and AP at the technology's read voltage, µA."""
    voltage = technology.read_voltage_v
    p, ap = (_MICRO * voltage / resistance_ohm(technology, state, voltage) for state in State)
    return p, ap


def current_spread(technology: MtjTechnology) -> float:
    """Return the relative spread of the read current: of resistance, and of the diameter through the area."""
    return hypot(technology.sigma_resistance, 2 * technology.sigma_diameter)


def read_errors(technology: MtjTechnology) -> ReadErrors:
    """Return how often a bit is read wrong, with the technology's spread and sense amplifier."""
    p, ap = read_currents_ua(technology)
    noise = (current_spread(technology), _MICRO * technology.sense_offset_a)
    return ReadErrors(
        read_error_rate(p, ap, *noise),
        read_error_rate(ap, p, *noise),
        differential_read_error_rate(p, ap, *noise),
    )


def lifetime_cycles(technology: MtjTechnology, voltage_v: float, broken: float) -> float:
    """Return the write pulses after which this share of the cells is broken.

    Parameters
    ----------
    technology : MtjTechnology
    voltage_v : float
        Amplitude of the pulses, V.
    broken : float
        Above 0 and below 1.

    Raises
    ------
    TechnologyError
        If voltage or share is impossible.
    """
    return cycles_until(broken, _cycles(technology, voltage_v), technology.weibull_beta)


def highest_write_voltage_v(technology: MtjTechnology, cycles: float, broken: float) -> float:
    """Return the highest voltage at which so many write pulses break at most this share of the cells.

    Raises
    ------
    TechnologyError
        If a number is not above 0, or the share not below 1.
    """
    check_above("cycles", cycles, 0)
    at_breakdown = lifetime_cycles(technology, technology.breakdown_v, broken)
    return technology.breakdown_v - log(cycles / at_breakdown) / technology.endurance_gamma_per_v


def _cycles(technology: MtjTechnology, voltage_v: float) -> float:
    return cycles_to_breakdown(
        voltage_v,
        technology.breakdown_v,
        technology.endurance_gamma_per_v,
        technology.endurance_cycles_at_breakdown,
    )


def _read_vc0_v(technology: MtjTechnology) -> float:
    leaves_p = technology.read_disturbs == "P"
    return technology.vc0_p_to_ap_v if leaves_p else technology.vc0_ap_to_p_v
