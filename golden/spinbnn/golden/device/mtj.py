"""A magnetic tunnel junction under a write pulse: resistances, error rates by direction, and energies.

Two kinds of error rate, never one for the other:

- *write error rate* (WER): per attempted switch, of bits that must change;
- *bit error rate* (BER): per stored bit. A failed write keeps the old value, so it is the WER times the share
  of bits that had to change.

Two kinds of energy, never one for the other:

- of the *junction*, ``V**2 t / R``;
- of the *macro*, ``V**2 t / R * (1 + R_transistor / R)`` and the periphery: several times as much.

The voltage across the junction is held while its resistance changes (assumed). A bit that switches in a fixed
pulse does so half way (assumed). A self-terminated pulse ends `termination_delay_ns` after the bit switched;
its energy is the expectation over the switching time, whose distribution is the write error rate as a
function of the pulse's length.
"""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

import numpy as np

from spinbnn.golden.device.macrospin import duration_for_wer, voltage_for_wer, wer_function
from spinbnn.golden.device.technology import MtjTechnology
from spinbnn.golden.errors import PulseError

_ATTOJOULES = 1e9  # of a V**2 ns / ohm


class State(StrEnum):
    """Magnetisation of the free layer against the reference layer's; P has the lower resistance."""

    P = "P"
    AP = "AP"


class Direction(StrEnum):
    """Way in which a pulse switches."""

    P_TO_AP = "p-to-ap"
    AP_TO_P = "ap-to-p"

    @property
    def start(self) -> State:
        """The state that is left."""
        return State.P if self is Direction.P_TO_AP else State.AP

    @property
    def end(self) -> State:
        """The state that is reached."""
        return State.AP if self is Direction.P_TO_AP else State.P


@dataclass(frozen=True)
class Pulse:
    """A write pulse.

    Parameters
    ----------
    voltage_v : float
        Amplitude across the junction, positive in both directions.
    duration_ns : float

    Raises
    ------
    PulseError
        If one is not a number above 0.
    """

    voltage_v: float
    duration_ns: float

    def __post_init__(self) -> None:
        for name, unit in (("voltage_v", "V"), ("duration_ns", "ns")):
            value = getattr(self, name)
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
            if not is_number or value <= 0:
                raise PulseError(f"{name} must be a number above 0 {unit}, not {value!r}")


@dataclass(frozen=True)
class PulseEnergy:
    """Energy of a pulse on one bit, in attojoules: of its junction, and of the macro with the junction."""

    junction_aj: float
    macro_aj: float


def write_pulse(technology: MtjTechnology) -> Pulse:
    """Return the technology's own write pulse."""
    return Pulse(technology.write_voltage_v, technology.write_ns)


def direction_of_write(technology: MtjTechnology, bit: int) -> Direction:
    """Return the way in which writing a 0 or a 1 over its opposite switches the junction."""
    to_p = (technology.one_state == "P") == bool(bit)
    return Direction.AP_TO_P if to_p else Direction.P_TO_AP


def resistance_ohm(technology: MtjTechnology, state: State, voltage_v: float) -> float:
    """Return a state's resistance at a voltage.

    That of P is constant; ``R_AP = R_P (1 + TMR / (1 + (V / V_half)**2))`` (assumed).
    """
    if state is State.P:
        return technology.r_p_ohm
    tmr = technology.tmr / (1 + (voltage_v / technology.tmr_half_voltage_v) ** 2)
    return technology.r_p_ohm * (1 + tmr)


def reduced_pulse(
    technology: MtjTechnology, pulse: Pulse, direction: Direction
) -> tuple[float, float, float, float]:
    """Return a pulse as the macrospin model takes it: V / Vc0, t / tau_d, thermal stability, stray field.

    Raises
    ------
    PulseError
        If the voltage reaches the breakdown voltage.
    """
    if not pulse.voltage_v < technology.breakdown_v:
        limit = f"the breakdown voltage, {technology.breakdown_v:g} V"
        raise PulseError(f"pulse voltage must be below {limit}, not {pulse.voltage_v:g} V")
    vc0_v, stray_field = _switching(technology, direction)
    reduced_time = pulse.duration_ns / technology.tau_d_ns
    return pulse.voltage_v / vc0_v, reduced_time, technology.operating_delta, stray_field


def write_error_rate(
    technology: MtjTechnology, pulse: Pulse, direction: Direction, method: str = "fokker-planck"
) -> float:
    """Return the probability, per attempted switch, that a pulse fails.

    Parameters
    ----------
    technology, pulse, direction
    method : str
        "fokker-planck" or "closed-form" (`macrospin.METHODS`).

    Raises
    ------
    PulseError
        If the pulse is impossible for the technology or lies outside the method's region.
    """
    return float(wer_function(method)(*reduced_pulse(technology, pulse, direction)))


def write_voltage_v(
    technology: MtjTechnology,
    wer: float,
    duration_ns: float,
    direction: Direction,
    method: str = "fokker-planck",
) -> float:
    """Return the voltage at which a pulse of a length has a write error rate; it may lie above breakdown.

    Raises
    ------
    PulseError
        If there is none, or an argument lies outside the method's region.
    """
    vc0_v, stray_field = _switching(technology, direction)
    time = Pulse(1.0, duration_ns).duration_ns / technology.tau_d_ns
    return vc0_v * voltage_for_wer(wer, time, technology.operating_delta, stray_field, method)


def write_duration_ns(
    technology: MtjTechnology,
    wer: float,
    voltage_v: float,
    direction: Direction,
    method: str = "fokker-planck",
) -> float:
    """Return the length at which a pulse of a voltage has a write error rate.

    Raises
    ------
    PulseError
        If there is none, or an argument lies outside the method's region.
    """
    current, _, delta, stray_field = reduced_pulse(technology, Pulse(voltage_v, 1.0), direction)
    return technology.tau_d_ns * duration_for_wer(wer, current, delta, stray_field, method)


def bit_error_rate(wer: float, toggle_rate: float = 0.5) -> float:
    """Return the error rate per stored bit of a write error rate.

    Parameters
    ----------
    wer : float
        Per attempted switch.
    toggle_rate : float
        Share of the written bits that must change; one half for random data over random data.

    Raises
    ------
    PulseError
        If one is not a probability.
    """
    _check_probability("write error rate", wer)
    _check_probability("toggle_rate", toggle_rate)
    return wer * toggle_rate


def write_error_rate_for_ber(ber: float, toggle_rate: float = 0.5) -> float:
    """Return the write error rate, per attempted switch, that gives an error rate per stored bit.

    Raises
    ------
    PulseError
        If one is not a probability, or the bit error rate is above the toggle rate.
    """
    _check_probability("bit error rate", ber)
    _check_probability("toggle_rate", toggle_rate)
    if toggle_rate == 0 or ber > toggle_rate:
        above = "above 0" if toggle_rate == 0 else f"at least the bit error rate, {ber:g}"
        raise PulseError(f"toggle_rate must be {above}, not {toggle_rate:g}")
    return ber / toggle_rate


def switched_energy(
    technology: MtjTechnology, pulse: Pulse, direction: Direction, method: str = "fokker-planck"
) -> PulseEnergy:
    """Return the energy of a pulse on a bit that switches, of a self-terminated one its expectation.

    Raises
    ------
    PulseError
        If the pulse is impossible for the technology or lies outside the method's region.
    """
    if technology.self_terminated:
        before_ns, after_ns = _self_terminated_ns(technology, pulse, direction, method)
    else:
        before_ns = after_ns = pulse.duration_ns / 2
    parts = ((direction.start, before_ns), (direction.end, after_ns))
    return _energy(technology, pulse.voltage_v, parts)


def failed_energy(technology: MtjTechnology, pulse: Pulse, direction: Direction) -> PulseEnergy:
    """Return the energy of a pulse on a bit that should switch and does not: all of it in the first state."""
    return _energy(technology, pulse.voltage_v, ((direction.start, pulse.duration_ns),))


def redundant_energy(technology: MtjTechnology, pulse: Pulse, direction: Direction) -> PulseEnergy:
    """Return the energy of a pulse on a bit that is in the direction's end state already.

    A self-terminated one ends after the termination delay.
    """
    duration_ns = pulse.duration_ns
    if technology.self_terminated:
        duration_ns = min(duration_ns, technology.termination_delay_ns)
    return _energy(technology, pulse.voltage_v, ((direction.end, duration_ns),))


def _switching(technology: MtjTechnology, direction: Direction) -> tuple[float, float]:
    """Return critical voltage and stray field of a direction; the field holds P, so it helps from AP."""
    if direction is Direction.P_TO_AP:
        return technology.vc0_p_to_ap_v, technology.stray_field_ratio
    return technology.vc0_ap_to_p_v, -technology.stray_field_ratio


def _energy(
    technology: MtjTechnology, voltage_v: float, parts: tuple[tuple[State, float], ...]
) -> PulseEnergy:
    """Return the energy of a voltage over some states, each with its time in nanoseconds."""
    junction_aj, series_aj = 0.0, 0.0
    for state, time_ns in parts:
        resistance = resistance_ohm(technology, state, voltage_v)
        part_aj = _ATTOJOULES * voltage_v**2 * time_ns / resistance
        junction_aj += part_aj
        series_aj += part_aj * technology.transistor_ohm / resistance
    return PulseEnergy(junction_aj, junction_aj + series_aj + technology.periphery_energy_aj)


def _self_terminated_ns(
    technology: MtjTechnology, pulse: Pulse, direction: Direction, method: str
) -> tuple[float, float]:
    """Return the mean times before and after switching, of bits that switch within the pulse.

    With S(t) the write error rate of a pulse cut at t, taken as the share of bits that have not switched by
    then, and F = 1 - S, the time before has the mean ``(integral of S over the pulse - tau S(tau)) / F(tau)``
    and the time after, at most the delay d, ``(integral of F over the last d) / F(tau)``.
    """
    i, tau, delta, h = reduced_pulse(technology, pulse, direction)
    delay = min(technology.termination_delay_ns / technology.tau_d_ns, tau)
    nodes, weights = np.polynomial.legendre.leggauss(48)
    nodes, weights = (nodes + 1) / 2, weights / 2
    times = np.concatenate([tau * nodes, tau - delay * nodes, [tau]])
    survival = wer_function(method)(i, times, delta, h)
    of_pulse, of_delay, at_end = survival[: len(nodes)], survival[len(nodes) : -1], float(survival[-1])
    switched = 1 - at_end
    if switched < 1e-9:  # no bit switches: of those that do not, the pulse is the time before
        return pulse.duration_ns, 0.0
    before = tau * float(weights @ (of_pulse - at_end)) / switched
    after = delay * float(weights @ (1 - of_delay)) / switched
    return before * technology.tau_d_ns, after * technology.tau_d_ns


def _check_probability(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise PulseError(f"{name} must be a probability from 0 to 1, not {value:g}")
