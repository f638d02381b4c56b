"""Curves of a memory technology, for the HTML report and for the documents' figures."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from spinbnn.golden.device.endurance import cycles_to_breakdown_power_law, power_law_exponent
from spinbnn.golden.device.macrospin import CLOSED_FORM_LEAST_CURRENT, fokker_planck_wer
from spinbnn.golden.device.mtj import (
    Direction,
    Pulse,
    State,
    reduced_pulse,
    switched_energy,
    write_error_rate,
)
from spinbnn.golden.device.reliability import lifetime_cycles, read_disturb, retention_ber
from spinbnn.golden.device.retention import SECONDS_PER_YEAR, retention_error_rate
from spinbnn.golden.device.rram import RramTechnology, compared_error_rate, device_error_rate, pair_error_rate
from spinbnn.golden.device.technology import MtjTechnology
from spinbnn.golden.device.variability import array_write_error_rate
from spinbnn.sim.line_chart import Axis, Curve, Limit, Point, line_chart

_WAY = Direction.P_TO_AP
_ATTOJOULES_A_PICOJOULE = 1e6


def error_rate_against_voltage(technology: MtjTechnology, pulse: Pulse, *, file: bool = False) -> Markup:
    """Return the WER against voltage for three pulse lengths, and the array's mean for the middle one."""
    vc0, end = technology.vc0_p_to_ap_v, technology.breakdown_v
    voltages = _values(0.6 * vc0, min(4 * vc0, 0.999 * end), 41)
    durations = [factor * pulse.duration_ns for factor in (2.0, 1.0, 0.5)]
    rates = [_error_rates(technology, voltage, durations) for voltage in voltages]
    curves = [
        Curve(
            f"{duration:g} ns",
            [(voltage, rate[index]) for voltage, rate in zip(voltages, rates, strict=True)],
        )
        for index, duration in enumerate(durations)
    ]
    # A mean takes a hundred solutions: fewer points, and none where nothing is to be seen.
    seen = [voltage for voltage, rate in zip(voltages, rates, strict=True) if rate[1] > 1e-9]
    mean = [
        (voltage, array_write_error_rate(technology, Pulse(voltage, pulse.duration_ns), _WAY))
        for voltage in seen[:: max(1, len(seen) // 8)]
    ]
    curves.append(Curve(f"mean of the array, {pulse.duration_ns:g} ns", mean, dashed=True, colour=1))
    return line_chart(
        curves,
        title="Write error rate against voltage",
        x=Axis("write voltage, V (P → AP)", voltages[0], voltages[-1]),
        y=_probability("WER, per attempted switch"),
        limits=[Limit("Vc0", vc0), Limit("this pulse", pulse.voltage_v), Limit("breakdown", end)],
        file=file,
    )


def error_rate_against_time(technology: MtjTechnology, pulse: Pulse, *, file: bool = False) -> Markup:
    """Return the WER against pulse length at the pulse's voltage and at weaker ones."""
    longest = 2.5 * pulse.duration_ns
    durations = _values(longest / 50, longest, 50)
    curves = []
    for factor in (1.0, 0.8, 0.6):
        voltage = factor * pulse.voltage_v
        rates = _error_rates(technology, voltage, durations)
        curves.append(Curve(f"{voltage:.3f} V", list(zip(durations, rates, strict=True))))
    return line_chart(
        curves,
        title="Write error rate against pulse length",
        x=Axis("pulse length, ns (P → AP)", 0, longest),
        y=_probability("WER, per attempted switch"),
        limits=[Limit("this pulse", pulse.duration_ns)],
        file=file,
    )


def closed_form_and_fokker_planck(technology: MtjTechnology, pulse: Pulse, *, file: bool = False) -> Markup:
    """Return the WER of both solutions of the macrospin model against voltage."""
    vc0, low, high = technology.vc0_p_to_ap_v, 0.8, 3.4
    curves = []
    for name, method, least in (
        ("Fokker-Planck", "fokker-planck", low),
        ("closed form", "closed-form", CLOSED_FORM_LEAST_CURRENT),
    ):
        points = [
            (ratio, write_error_rate(technology, Pulse(ratio * vc0, pulse.duration_ns), _WAY, method))
            for ratio in _values(least, high, 40)
        ]
        curves.append(Curve(name, points, dashed=method == "closed-form"))
    return line_chart(
        curves,
        title="Closed form and Fokker-Planck equation",
        x=Axis(f"V / Vc0, {pulse.duration_ns:g} ns", low, high),
        y=_probability("WER, per attempted switch"),
        file=file,
    )


def energy_against_error_rate(technology: MtjTechnology, pulse: Pulse, *, file: bool = False) -> Markup:
    """Return the energy of a bit against the WER, of macro and junction, weakened by voltage or by time."""
    voltages = _values(technology.vc0_p_to_ap_v, min(4 * pulse.voltage_v, 0.999 * technology.breakdown_v), 30)
    durations = _values(pulse.duration_ns / 20, 2 * pulse.duration_ns, 40)
    by_voltage = [
        (_error_rates(technology, voltage, [pulse.duration_ns])[0], Pulse(voltage, pulse.duration_ns))
        for voltage in voltages
    ]
    by_time = [
        (rate, Pulse(pulse.voltage_v, duration))
        for rate, duration in zip(
            _error_rates(technology, pulse.voltage_v, durations), durations, strict=True
        )
    ]
    curves = []
    for name, pulses, colour in (("lower voltage", by_voltage, 0), ("shorter pulse", by_time, 1)):
        energies = [
            (rate, switched_energy(technology, weakened, _WAY))
            for rate, weakened in pulses
            if 5e-7 < rate < 0.2
        ]
        macro = [(rate, energy.macro_aj / _ATTOJOULES_A_PICOJOULE) for rate, energy in energies]
        junction = [(rate, energy.junction_aj / _ATTOJOULES_A_PICOJOULE) for rate, energy in energies]
        curves.append(Curve(f"macro, {name}", macro, colour=colour))
        curves.append(Curve(f"junction, {name}", junction, dashed=True, colour=colour))
    largest = max((energy for curve in curves for _, energy in curve.points), default=1.0)
    return line_chart(
        curves,
        title="Energy against write error rate",
        x=Axis("WER, per attempted switch (P → AP)", 1e-6, 1e-1, log=True),
        y=Axis("energy of a bit that switches, pJ", 0, 1.1 * largest),
        file=file,
    )


def endurance_against_voltage(technology: MtjTechnology, pulse: Pulse, *, file: bool = False) -> Markup:
    """Return the write cycles until cells break against the write voltage, by both laws."""
    voltages = _values(0.45 * pulse.voltage_v, technology.breakdown_v, 40)
    exponent, at_breakdown = power_law_exponent(), technology.endurance_cycles_at_breakdown
    power_law = [
        (v, cycles_to_breakdown_power_law(v, technology.breakdown_v, exponent, at_breakdown))
        for v in voltages
    ]
    return line_chart(
        [
            Curve("63 % of the cells", [(v, lifetime_cycles(technology, v, 0.632)) for v in voltages]),
            Curve("one cell in a million", [(v, lifetime_cycles(technology, v, 1e-6)) for v in voltages]),
            Curve("63 %, power law", power_law, dashed=True, colour=4),
        ],
        title="Endurance against write voltage",
        x=Axis("write voltage, V", voltages[0], voltages[-1]),
        y=Axis("write cycles until broken", 1, 1e24, log=True),
        limits=[Limit("this pulse", pulse.voltage_v), Limit("breakdown", technology.breakdown_v)],
        file=file,
    )


def retention_against_time(technology: MtjTechnology, *, file: bool = False) -> Markup:
    """Return the share of forgotten bits against time at three temperatures."""
    times = [float(time) for time in np.logspace(0, 9.5, 60)]
    curves = [
        Curve(
            f"{kelvin - 273.15:.0f} °C",
            [(time, retention_ber(technology, State.AP, time, kelvin)) for time in times],
        )
        for kelvin in (300.0, 358.0, 398.0)
    ]
    return line_chart(
        curves,
        title="Retention",
        x=Axis("time without access, s", 1, times[-1], log=True),
        y=_probability("BER, per stored bit (AP)"),
        limits=[Limit("1 day", 86400), Limit("1 year", SECONDS_PER_YEAR)],
        file=file,
    )


def retention_against_stability(tau_d_ns: float = 2.0, *, file: bool = False) -> Markup:
    """Return the share of bits forgotten in some times against thermal stability."""
    stabilities = _values(25, 75, 60)
    curves = [
        Curve(name, [(delta, retention_error_rate(time, delta, tau_d_ns)) for delta in stabilities])
        for name, time in (
            ("1 hour", 3600.0),
            ("1 year", SECONDS_PER_YEAR),
            ("10 years", 10 * SECONDS_PER_YEAR),
        )
    ]
    return line_chart(
        [*curves, Curve("published for Δ = 40, 1 year", [(40.0, 6e-6)], dots=True)],
        title="Retention against thermal stability",
        x=Axis("thermal stability Δ at the temperature of storage", 25, 75),
        y=Axis("BER, per stored bit", 1e-12, 1, log=True),
        file=file,
    )


def disturb_against_voltage(technology: MtjTechnology, *, file: bool = False) -> Markup:
    """Return how probably a read flips a cell against the read voltage, for barriers around its own."""
    leaves_p = technology.read_disturbs == "P"
    vc0 = technology.vc0_p_to_ap_v if leaves_p else technology.vc0_ap_to_p_v
    voltages = _values(0, vc0 / 2, 40)
    curves = []
    for delta in (technology.delta - 10, technology.delta, technology.delta + 10):
        if not 20 <= delta <= 100:  # what a technology may have
            continue
        changed = technology.with_values(delta=delta)
        curves.append(Curve(f"Δ = {changed.delta:g}", [(v, read_disturb(changed, v)) for v in voltages]))
    return line_chart(
        curves,
        title="Read disturb against read voltage",
        x=Axis(f"read voltage, V (a cell that holds {technology.read_disturbs})", 0, vc0 / 2),
        y=Axis("probability that a read flips the cell", 1e-18, 1e-2, log=True),
        limits=[Limit("this read", technology.read_voltage_v)],
        file=file,
    )


def rram_error_rate_against_energy(technology: RramTechnology, *, file: bool = False) -> Markup:
    """Return the BER of cells of one and two devices against programming energy, and the published points."""
    low, high = technology.weakest_energy_aj, technology.program_energy_aj
    energies = [float(energy) for energy in np.geomspace(low, high, 40)]
    device = [device_error_rate(technology, energy) for energy in energies]

    def picojoules(rates: Sequence[float]) -> list[Point]:
        return [(e / _ATTOJOULES_A_PICOJOULE, rate) for e, rate in zip(energies, rates, strict=True)]

    ends = [
        (high / _ATTOJOULES_A_PICOJOULE, technology.strong_bit_error_rate),
        (low / _ATTOJOULES_A_PICOJOULE, technology.weak_bit_error_rate),
    ]
    return line_chart(
        [
            Curve("1T1R (assumed)", picojoules(device)),
            Curve("2T2R, compared (assumed)", picojoules([compared_error_rate(rate) for rate in device])),
            Curve(
                "both devices wrong, ties never",
                picojoules([pair_error_rate(rate, 0.0) for rate in device]),
                dashed=True,
                colour=4,
            ),
            Curve("end points (published)", ends, dots=True, colour=0),
        ],
        title="RRAM bit error rate against programming energy",
        x=Axis(
            "programming energy of a device, pJ",
            picojoules(device)[0][0] * 0.9,
            picojoules(device)[-1][0] * 1.1,
            log=True,
        ),
        y=_probability("BER, per stored bit"),
        file=file,
    )


def charts(technology: MtjTechnology | RramTechnology, pulse: Pulse | None) -> dict[str, tuple[Markup, ...]]:
    """Return the charts of a technology by the key of the table that they belong to."""
    if isinstance(technology, RramTechnology) or pulse is None:
        assert isinstance(technology, RramTechnology)
        return {"energies": (rram_error_rate_against_energy(technology),)}
    return {
        "against_voltage_and_time": (
            error_rate_against_voltage(technology, pulse),
            error_rate_against_time(technology, pulse),
        ),
        "voltages": (energy_against_error_rate(technology, pulse),),
        "endurance": (endurance_against_voltage(technology, pulse),),
        "retention": (retention_against_time(technology),),
        "reading": (disturb_against_voltage(technology),),
    }


def _probability(title: str) -> Axis:
    return Axis(title, 1e-9, 1, log=True)


def _values(low: float, high: float, count: int) -> list[float]:
    return [float(value) for value in np.linspace(low, high, count)]


def _error_rates(technology: MtjTechnology, voltage_v: float, durations_ns: Sequence[float]) -> list[float]:
    """Return the WER of pulses of one voltage, which costs little more than one."""
    current, _, delta, stray_field = reduced_pulse(technology, Pulse(voltage_v, 1.0), _WAY)
    times = np.asarray(durations_ns) / technology.tau_d_ns
    return [float(rate) for rate in fokker_planck_wer(current, times, delta, stray_field)]
