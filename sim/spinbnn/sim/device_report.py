"""What a memory technology does, as tables: for a terminal, as JSON, and as one self-contained HTML page.

The tables are made once, of cells that hold a number and the text that shows it, so that no two outputs
differ.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log10
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from rich.console import Group, JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from spinbnn.golden.device.endurance import cycles_to_breakdown_power_law, power_law_exponent
from spinbnn.golden.device.macrospin import duration_for_wer, voltage_for_wer
from spinbnn.golden.device.mtj import (
    Direction,
    Pulse,
    State,
    bit_error_rate,
    failed_energy,
    resistance_ohm,
    switched_energy,
    write_duration_ns,
    write_error_rate,
    write_pulse,
    write_voltage_v,
)
from spinbnn.golden.device.read import accumulated_disturb
from spinbnn.golden.device.reliability import (
    array_retention_ber,
    highest_read_voltage_v,
    highest_write_voltage_v,
    lifetime_cycles,
    read_currents_ua,
    read_disturb,
    read_errors,
    retention_ber,
)
from spinbnn.golden.device.retention import SECONDS_PER_YEAR, thermal_stability_for
from spinbnn.golden.device.rram import RramTechnology, compared_error_rate, device_error_rate
from spinbnn.golden.device.technology import MtjTechnology, load_technology, preset_names
from spinbnn.golden.device.variability import array_write_error_rate
from spinbnn.golden.errors import PulseError, TechnologyError
from spinbnn.sim import show

SCHEMA_VERSION = 1
"""Version of the JSON document's layout."""

ERROR_RATES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
"""The write error rates of the tables."""

TABLE_ONE_TIME = 5.0
"""Length of the pulses of the paper's Table I, in characteristic times."""

TABLE_ONE_VOLTAGE_TOLERANCE = 0.01
TABLE_ONE_DROP_TOLERANCE = 0.02
"""How near we must be to the paper: voltage relatively, drops in full scale (2 percentage points)."""

# Tzoufras, Gajek and Walker, "Magnetoresistive RAM for error resilient XNOR-Nets" (2019), Table I.
_PAPER_VOLTAGE = 2.78
_PAPER_VOLTAGE_DROPS = ((1e-2, -0.36), (1e-1, -0.46))
_PAPER_TIME_DROPS = ((1e-2, -0.32), (1e-1, -0.50))
_SHORTENED_AT = 0.8  # of the voltage for 1e-6

_TEMPERATURES_K = (300.0, 358.0, 398.0)
_TIMES_S = (("1 day", 86400.0), ("1 year", SECONDS_PER_YEAR), ("10 years", 10 * SECONDS_PER_YEAR))
_READS = 1e6
_DISTURB_LIMIT = 1e-12
_BROKEN_LIMIT = 1e-6
_MEAN_BROKEN = 1 - exp(-1)  # 63 %, where Weibull's distribution has its scale
_CYCLES_WANTED = 1e12
_CURVE_RATIOS = tuple(0.4 + 0.2 * step for step in range(19))
_SEEN_RATES = (1e-10, 0.99)  # of which a row of the curve has at least one
_RRAM_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0)


_ALIKE = "both"
_UNSHOWN = ("source", "key")  # columns that a terminal has no room for


class Cell(NamedTuple):
    """A value as JSON has it, and as people read it."""

    value: str | float | bool | None
    shown: str


@dataclass(frozen=True)
class Section:
    """A table.

    Attributes
    ----------
    key : str
        Its name in the JSON document.
    title : str
    status : str
        Where its numbers come from: "computed", "published", "assumed", …
    columns : tuple of (key, heading)
    rows : tuple of tuples of Cell
    remark : str
        What one must know to read it, or empty.
    """

    key: str
    title: str
    status: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    remark: str = ""

    def same(self, index: int) -> bool:
        """Return whether a column says only that both directions are alike."""
        return all(row[index].value == _ALIKE for row in self.rows)

    def words(self, index: int) -> bool:
        """Return whether a column holds words, which stand to the left."""
        return all(isinstance(row[index].value, str) for row in self.rows)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the rows as plain JSON types."""
        keys = [key for key, _ in self.columns]
        return [dict(zip(keys, (cell.value for cell in row), strict=True)) for row in self.rows]


@dataclass(frozen=True)
class DeviceReport:
    """A technology under a pulse, ready to be shown.

    Parameters
    ----------
    technology : MtjTechnology or RramTechnology
    sections : tuple of Section
    pulse : Pulse or None
        None for a resistive memory, whose literature here knows only energies.
    """

    technology: MtjTechnology | RramTechnology
    sections: tuple[Section, ...]
    pulse: Pulse | None = None

    @property
    def title(self) -> str:
        """Name and pulse."""
        if self.pulse is None:
            return self.technology.name
        pulse = f"{_volts(self.pulse.voltage_v).shown}, {self.pulse.duration_ns:g} ns"
        return f"{self.technology.name}, write pulse {pulse}"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON types."""
        return {
            "schema_version": SCHEMA_VERSION,
            "spinbnn_version": importlib.metadata.version("spinbnn"),
            "technology": self.technology.name,
            "description": self.technology.description,
            "pulse": None
            if self.pulse is None
            else {"voltage_v": self.pulse.voltage_v, "duration_ns": self.pulse.duration_ns},
            **{section.key: section.to_list() for section in self.sections},
        }


def device_report(technology: MtjTechnology | RramTechnology, pulse: Pulse | None = None) -> DeviceReport:
    """Return all tables of a technology.

    Parameters
    ----------
    technology : MtjTechnology or RramTechnology
    pulse : Pulse, optional
        By default the technology's own write pulse; none for a resistive memory.

    Raises
    ------
    TechnologyError
        If a pulse is given to a resistive memory.
    PulseError
        If the pulse is impossible for the technology.
    """
    if isinstance(technology, RramTechnology):
        if pulse is not None:
            raise TechnologyError(
                f"pulse must be left out for {technology.name}, a resistive memory: "
                "its error rate is known by energy only"
            )
        return DeviceReport(technology, (_rram_energies(technology), _numbers(technology)))
    pulse = pulse or write_pulse(technology)
    sections = (
        _at_the_pulse(technology, pulse),
        _against_voltage_and_time(technology, pulse),
        _voltages(technology, pulse),
        _durations(technology, pulse),
        _window(technology, pulse),
        _endurance(technology, pulse),
        _retention(technology),
        _reading(technology),
        _numbers(technology),
    )
    return DeviceReport(technology, sections, pulse)


def table_one(technology: MtjTechnology | RramTechnology) -> Section:
    """Return the five values of the paper's Table I beside those of a technology's thermal stability.

    Raises
    ------
    TechnologyError
        If the technology is no magnetic junction.
    """
    if not isinstance(technology, MtjTechnology):
        raise TechnologyError(f"technology must be a magnetic junction for Table I, not {technology.name}")
    delta = technology.operating_delta
    voltage = voltage_for_wer(1e-6, TABLE_ONE_TIME, delta)
    rows = [_table_one_voltage(voltage)]
    for wer, paper in _PAPER_VOLTAGE_DROPS:
        ours = voltage_for_wer(wer, TABLE_ONE_TIME, delta) / voltage - 1
        rows.append(_table_one_drop(f"voltage for {_rate(wer).shown}", paper, ours))
    for wer, paper in _PAPER_TIME_DROPS:
        ours = duration_for_wer(wer, _SHORTENED_AT * voltage, delta) / TABLE_ONE_TIME - 1
        name = f"time for {_rate(wer).shown}, at {_SHORTENED_AT:g} V(1e-6)"
        rows.append(_table_one_drop(name, paper, ours))
    return Section(
        "table_one",
        f"Table I of Tzoufras 2019 and the Fokker-Planck equation, Δ = {delta:g}",
        "published; computed",
        (
            ("quantity", ""),
            ("paper", "paper"),
            ("ours", "ours"),
            ("difference", "difference"),
            ("allowed", "allowed"),
            ("within", "within"),
        ),
        tuple(rows),
        f"Pulses of {TABLE_ONE_TIME:g} τD from thermal equilibrium, no stray field. V(1e-6) gives a WER of"
        " 1e-6; the other rows are changes from that voltage, and from that pulse at 0.8 of it.",
    )


def _table_one_voltage(ours: float) -> tuple[Cell, ...]:
    difference = ours / _PAPER_VOLTAGE - 1
    return (
        _text("V(1e-6) / Vc0"),
        Cell(_PAPER_VOLTAGE, f"{_PAPER_VOLTAGE:.2f}"),
        Cell(ours, f"{ours:.3f}"),
        Cell(difference, f"{difference:+.1%}"),
        Cell(TABLE_ONE_VOLTAGE_TOLERANCE, f"{TABLE_ONE_VOLTAGE_TOLERANCE:.0%}"),
        _yes(abs(difference) <= TABLE_ONE_VOLTAGE_TOLERANCE),
    )


def _table_one_drop(name: str, paper: float, ours: float) -> tuple[Cell, ...]:
    difference = ours - paper
    return (
        _text(name),
        Cell(paper, f"{paper:.0%}"),
        Cell(ours, f"{ours:.1%}"),
        Cell(difference, f"{100 * difference:+.1f} points"),
        Cell(TABLE_ONE_DROP_TOLERANCE, f"{100 * TABLE_ONE_DROP_TOLERANCE:g} points"),
        _yes(abs(difference) <= TABLE_ONE_DROP_TOLERANCE),
    )


def presets() -> Section:
    """Return the presets there are."""
    rows = []
    for name in preset_names():
        technology = load_technology(name)
        kind = "ST-MRAM" if isinstance(technology, MtjTechnology) else "RRAM"
        rows.append((_text(name), _text(kind), _text(technology.description)))
    return Section(
        "presets",
        "Presets",
        "published, computed and assumed numbers",
        (("name", "name"), ("kind", "kind"), ("description", "description")),
        tuple(rows),
    )


# Magnetic junctions


def _directions(technology: MtjTechnology) -> dict[str, Direction]:
    """Return the directions of switching that differ, by name."""
    symmetric = technology.vc0_p_to_ap_v == technology.vc0_ap_to_p_v and not technology.stray_field_ratio
    if symmetric:
        return {_ALIKE: Direction.P_TO_AP}
    return {_name(direction): direction for direction in Direction}


def _name(direction: Direction) -> str:
    return f"{direction.start} → {direction.end}"


def _at_the_pulse(technology: MtjTechnology, pulse: Pulse) -> Section:
    rows = []
    for direction in Direction:
        wer = write_error_rate(technology, pulse, direction)
        mean = array_write_error_rate(technology, pulse, direction)
        switched = switched_energy(technology, pulse, direction)
        failed = failed_energy(technology, pulse, direction)
        rows.append(
            (
                _text(_name(direction)),
                _rate(wer),
                _rate(mean),
                _rate(bit_error_rate(mean)),
                _energy(switched.junction_aj),
                _energy(switched.macro_aj),
                _energy(failed.macro_aj),
            )
        )
    terminated = "ends when the bit has switched" if technology.self_terminated else "is fixed"
    return Section(
        "at_the_pulse",
        f"At the write pulse, {_volts(pulse.voltage_v).shown} and {pulse.duration_ns:g} ns",
        "computed",
        (
            ("direction", ""),
            ("wer", "WER"),
            ("array_wer", "array WER"),
            ("array_ber", "array BER"),
            ("junction_energy_aj", "junction"),
            ("macro_energy_aj", "macro"),
            ("failed_macro_energy_aj", "macro, failed"),
        ),
        tuple(rows),
        "WER: per attempted switch, of the nominal cell; array WER: its mean over the spread of the "
        "cells; array BER: per stored bit, when half of the bits must change. Energy of a bit that "
        f"switches; the pulse {terminated}.",
    )


def _against_voltage_and_time(technology: MtjTechnology, pulse: Pulse) -> Section:
    durations = [pulse.duration_ns * factor for factor in (0.5, 1.0, 2.0)]
    rows = []
    for name, direction in _directions(technology).items():
        vc0 = _vc0_v(technology, direction)
        for ratio in _CURVE_RATIOS:
            if ratio * vc0 >= technology.breakdown_v:
                break
            rates = [
                write_error_rate(technology, Pulse(ratio * vc0, duration), direction)
                for duration in durations
            ]
            if max(rates) < _SEEN_RATES[0] or min(rates) > _SEEN_RATES[1]:
                continue
            rows.append(
                (
                    _text(name),
                    Cell(round(ratio, 3), f"{ratio:.1f}"),
                    _volts(ratio * vc0),
                    *map(_floored, rates),
                    _text(_bar(rates[1])),
                )
            )
    return Section(
        "against_voltage_and_time",
        "WER against voltage and time, as the paper's Figure 5",
        "computed",
        (
            ("direction", ""),
            ("voltage_ratio", "V / Vc0"),
            ("voltage_v", "voltage"),
            *((f"wer_{duration:g}_ns", f"{duration:g} ns") for duration in durations),
            ("bar", f"{pulse.duration_ns:g} ns, 2 marks a decade"),
        ),
        tuple(rows),
    )


def _voltages(technology: MtjTechnology, pulse: Pulse) -> Section:
    rows = []
    for name, direction in _directions(technology).items():
        first: Pulse | None = None
        for wer in ERROR_RATES:
            voltage = _reached(_voltage_v, technology, wer, pulse.duration_ns, direction)
            if voltage is None or voltage >= technology.breakdown_v:
                rows.append((_text(name), _rate(wer), _volts(voltage), *[_none("above breakdown")] * 5))
                continue
            weaker = Pulse(voltage, pulse.duration_ns)
            first = first or weaker
            energy = switched_energy(technology, weaker, direction)
            strongest = switched_energy(technology, first, direction)
            rows.append(
                (
                    _text(name),
                    _rate(wer),
                    _volts(voltage),
                    _change(voltage / first.voltage_v - 1),
                    _rate(array_write_error_rate(technology, weaker, direction)),
                    _energy(energy.junction_aj),
                    _energy(energy.macro_aj),
                    _change(energy.macro_aj / strongest.macro_aj - 1),
                )
            )
    return Section(
        "voltages",
        f"Weaker pulses: voltage and energy for a WER, {pulse.duration_ns:g} ns",
        "computed",
        (
            ("direction", ""),
            ("wer", "WER"),
            ("voltage_v", "voltage"),
            ("voltage_change", "change"),
            ("array_wer", "array WER"),
            ("junction_energy_aj", "junction"),
            ("macro_energy_aj", "macro"),
            ("macro_energy_change", "change"),
        ),
        tuple(rows),
        "The voltage is that of the nominal cell; at it the array's mean is worse, because weak cells "
        "count more.",
    )


def _durations(technology: MtjTechnology, pulse: Pulse) -> Section:
    rows = []
    for name, direction in _directions(technology).items():
        for wer in ERROR_RATES:
            duration = _reached(write_duration_ns, technology, wer, pulse.voltage_v, direction)
            if duration is None:
                rows.append((_text(name), _rate(wer), *[_none("-")] * 4))
                continue
            shorter = Pulse(pulse.voltage_v, duration)
            energy = switched_energy(technology, shorter, direction)
            rows.append(
                (
                    _text(name),
                    _rate(wer),
                    Cell(duration, f"{duration:.3g} ns"),
                    _change(duration / pulse.duration_ns - 1),
                    _energy(energy.junction_aj),
                    _energy(energy.macro_aj),
                )
            )
    return Section(
        "durations",
        f"Shorter pulses: time and energy for a WER, {_volts(pulse.voltage_v).shown}",
        "computed",
        (
            ("direction", ""),
            ("wer", "WER"),
            ("duration_ns", "time"),
            ("duration_change", "change"),
            ("junction_energy_aj", "junction"),
            ("macro_energy_aj", "macro"),
        ),
        tuple(rows),
    )


def _window(technology: MtjTechnology, pulse: Pulse) -> Section:
    disturb = _rate(read_disturb(technology)).shown
    at_breakdown = _short(technology.endurance_cycles_at_breakdown)
    own = pulse == write_pulse(technology)
    breakdown = f"cycles: {at_breakdown}, 63 % of the cells broken"
    limits = [
        _preset_limit(technology, "read_voltage_v", "read", f"a read flips a cell with {disturb}"),
        _preset_limit(technology, "vc0_p_to_ap_v", "critical, P → AP", "Vc0"),
        _preset_limit(technology, "vc0_ap_to_p_v", "critical, AP → P", "Vc0"),
        _preset_limit(technology, "breakdown_v", "breakdown", breakdown),
        (
            "this write pulse",
            pulse.voltage_v,
            _status(technology, "write_voltage_v") if own else "given",
            f"{pulse.duration_ns:g} ns",
        ),
        (
            f"read, at most {_short(_DISTURB_LIMIT)}",
            highest_read_voltage_v(technology, _DISTURB_LIMIT),
            "computed",
            f"a read flips a cell that holds {technology.read_disturbs}",
        ),
        (
            f"write, {_short(_CYCLES_WANTED)} cycles",
            highest_write_voltage_v(technology, _CYCLES_WANTED, _BROKEN_LIMIT),
            "computed",
            f"{_short(_BROKEN_LIMIT)} of the cells broken",
        ),
    ]
    for wer in (1e-2, 1e-3, 1e-6):
        worst = [
            _reached(_voltage_v, technology, wer, pulse.duration_ns, way)
            for way in _directions(technology).values()
        ]
        if None not in worst:
            voltage = max(voltage for voltage in worst if voltage is not None)
            meaning = f"{pulse.duration_ns:g} ns, the worse direction"
            limits.append((f"write, WER {_rate(wer).shown}", voltage, "computed", meaning))
    limits.sort(key=lambda limit: limit[1])
    return Section(
        "window",
        "The window between reading, writing and breakdown",
        "computed; preset numbers",
        (("name", ""), ("voltage_v", "voltage"), ("status", "status"), ("meaning", "")),
        tuple(
            (_text(name), _volts(volts), _text(status), _text(said)) for name, volts, status, said in limits
        ),
    )


def _preset_limit(
    technology: MtjTechnology, field: str, name: str, meaning: str
) -> tuple[str, float, str, str]:
    return name, getattr(technology, field), _status(technology, field), meaning


def _status(technology: MtjTechnology | RramTechnology, field: str) -> str:
    """Return where a number of the technology is from; one that was never in a file does not say."""
    return technology.sources[field].status if field in technology.sources else "not said"


def _endurance(technology: MtjTechnology, pulse: Pulse) -> Section:
    exponent = power_law_exponent()
    at_breakdown = technology.endurance_cycles_at_breakdown
    rows = []
    for factor in (1.0, 0.9, 0.8, 0.7, 0.6):
        voltage = factor * pulse.voltage_v
        power_law = cycles_to_breakdown_power_law(voltage, technology.breakdown_v, exponent, at_breakdown)
        rows.append(
            (
                _volts(voltage),
                _change(factor - 1),
                _cycles(lifetime_cycles(technology, voltage, _MEAN_BROKEN)),
                _cycles(lifetime_cycles(technology, voltage, _BROKEN_LIMIT)),
                _cycles(power_law),
            )
        )
    return Section(
        "endurance",
        "Endurance: write cycles until cells break",
        "computed from an assumed law",
        (
            ("voltage_v", "voltage"),
            ("voltage_change", "change"),
            ("cycles", "63 % broken"),
            ("cycles_first", f"{_short(_BROKEN_LIMIT)} broken"),
            ("cycles_power_law", "63 %, power law"),
        ),
        tuple(rows),
        "E-model, and Weibull's spread of lifetimes. The power law fits the same published rule (20 % "
        "less voltage, up to 1e6 times the cycles): what both say away from tested voltages is "
        "extrapolated.",
    )


def _retention(technology: MtjTechnology) -> Section:
    states = list(State) if technology.stray_field_ratio else [State.P]
    rows = []
    for name, time_s in _TIMES_S:
        for cells, ber in (("mean cell", retention_ber), ("array", array_retention_ber)):
            row = [_text(name), _text(cells)]
            for state in states:
                row += [_rate(ber(technology, state, time_s, kelvin)) for kelvin in _TEMPERATURES_K]
            rows.append(tuple(row))
    needed = thermal_stability_for(1e-6, 10 * SECONDS_PER_YEAR, technology.tau_d_ns)
    return Section(
        "retention",
        f"Retention: BER, without access, Δ = {technology.delta:g} at 300 K",
        "computed",
        (
            ("time", ""),
            ("cells", ""),
            *(
                (
                    f"ber_{state.lower()}_{kelvin:g}_k",
                    f"{kelvin - 273.15:.0f} °C" + (f", {state}" if len(states) > 1 else ""),
                )
                for state in states
                for kelvin in _TEMPERATURES_K
            ),
        ),
        tuple(rows),
        "Per stored bit; ½ is a bit forgotten. The array's mean is that of its cells with low barriers. Δ "
        "falls as 1 / T (assumed). A mean cell with a BER of 1e-6 after ten years needs "
        f"Δ = {needed:.1f} at the temperature of storage.",
    )


def _reading(technology: MtjTechnology) -> Section:
    p_ua, ap_ua = read_currents_ua(technology)
    disturb, errors = read_disturb(technology), read_errors(technology)
    kohm = [resistance_ohm(technology, state, technology.read_voltage_v) / 1e3 for state in State]
    rows = (
        ("resistance_p_kohm", "resistance, P", Cell(kohm[0], f"{kohm[0]:.2f} kΩ")),
        ("resistance_ap_kohm", "resistance, AP", Cell(kohm[1], f"{kohm[1]:.2f} kΩ")),
        ("current_p_ua", "current, P", Cell(p_ua, f"{p_ua:.2f} µA")),
        ("current_ap_ua", "current, AP", Cell(ap_ua, f"{ap_ua:.2f} µA")),
        ("read_error_p", "read error, one cell, P", _rate(errors.single_p)),
        ("read_error_ap", "read error, one cell, AP", _rate(errors.single_ap)),
        ("read_error_differential", "read error, two complementary cells", _rate(errors.differential)),
        ("disturb", f"disturb a read, {technology.read_disturbs} only", _rate(disturb)),
        (
            "disturb_of_reads",
            f"disturb after {_short(_READS)} reads, {technology.read_disturbs} only",
            _rate(accumulated_disturb(disturb, _READS)),
        ),
    )
    energy = (
        _text("energy_aj"),
        _text("energy of a bit read, macro"),
        _energy(technology.read_bit_energy_aj),
        _text(_status(technology, "read_bit_energy_aj")),
    )
    computed = [(_text(key), _text(name), value, _text("computed")) for key, name, value in rows]
    return Section(
        "reading",
        f"Reading at {_volts(technology.read_voltage_v).shown} for {technology.read_ns:g} ns",
        "computed; a preset number",
        (("key", ""), ("quantity", ""), ("value", ""), ("status", "")),
        (*computed, energy),
        "Read errors are per bit read, and leave the bit alone; disturb flips it.",
    )


def _vc0_v(technology: MtjTechnology, direction: Direction) -> float:
    return technology.vc0_p_to_ap_v if direction is Direction.P_TO_AP else technology.vc0_ap_to_p_v


# Two tables need the same voltages, and a search takes a good part of a second.
@lru_cache(maxsize=64)
def _voltage_v(technology: MtjTechnology, wer: float, duration_ns: float, direction: Direction) -> float:
    return write_voltage_v(technology, wer, duration_ns, direction)


def _reached(
    solve: Callable[[MtjTechnology, float, float, Direction], float],
    technology: MtjTechnology,
    wer: float,
    other: float,
    direction: Direction,
) -> float | None:
    """Return the voltage or time that gives a WER, or None where there is none."""
    try:
        return solve(technology, wer, other, direction)
    except PulseError:
        return None


# Resistive memory


def _rram_energies(technology: RramTechnology) -> Section:
    rows = []
    steps = sorted(
        {*(step for step in _RRAM_STEPS if step < technology.energy_ratio), technology.energy_ratio}
    )
    for step in steps:
        energy = technology.program_energy_aj / step
        rate = device_error_rate(technology, energy)
        end = step in (1.0, technology.energy_ratio)
        rows.append(
            (
                _energy(energy),
                Cell(step, f"{step:g}"),
                _rate(rate),
                _rate(compared_error_rate(rate)),
                _energy(2 * energy),
                _text(_status(technology, "weak_bit_error_rate") if end else "assumed"),
            )
        )
    return Section(
        "energies",
        "BER against programming energy",
        "end points published, curve assumed",
        (
            ("device_energy_aj", "a device"),
            ("energy_divisor", "energy ÷"),
            ("ber_1t1r", "BER, 1T1R"),
            ("ber_2t2r", "BER, 2T2R"),
            ("energy_2t2r_aj", "2T2R, both"),
            ("status_1t1r", "1T1R BER"),
        ),
        tuple(rows),
        "Per stored bit. 1T1R: one device against a reference; 2T2R: two complementary devices against "
        "each other, for log-normal resistances of equal spread (assumed). Published are the two error "
        "rates and the ratio of energies; that they belong together is assumed.",
    )


# Every technology


def _numbers(technology: MtjTechnology | RramTechnology) -> Section:
    rows = []
    for name, source in technology.sources.items():
        value = getattr(technology, name)
        unit = "" if source.unit == "1" else source.unit
        rows.append(
            (
                _text(name),
                Cell(value, _short(value, 6)),
                _text(unit),
                _text(source.status),
                _text(source.source),
            )
        )
    return Section(
        "numbers",
        "Numbers of the technology",
        "as each says",
        (("name", "name"), ("value", "value"), ("unit", "unit"), ("status", "status"), ("source", "source")),
        tuple(rows),
    )


# Cells


def _text(value: str) -> Cell:
    return Cell(value, value)


def _none(shown: str) -> Cell:
    return Cell(None, shown)


def _yes(value: bool) -> Cell:
    return Cell(value, "yes" if value else "NO")


def _short(value: float, digits: int = 3) -> str:
    """Return a number with few digits, and its power of ten as 1e-6 or 1e12."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def _rate(value: float) -> Cell:
    if value == 0 or value >= 0.01:
        return Cell(value, f"{value:.3g}")
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return Cell(value, f"{float(mantissa):g}e{int(exponent)}")


def _floored(value: float) -> Cell:
    # The Fokker-Planck solution is good to 1e-11.
    return Cell(value, "< 1e-10") if value < 1e-10 else _rate(value)


def _volts(value: float | None) -> Cell:
    return _none("-") if value is None else Cell(value, f"{value:.3f} V")


def _energy(value: float) -> Cell:
    return Cell(value, show.energy(value))


def _change(value: float) -> Cell:
    return Cell(value, "" if abs(value) < 5e-4 else f"{value:+.1%}")


def _cycles(value: float) -> Cell:
    return Cell(value, _short(value, 2) if value >= 1 else "none")


def _bar(rate: float) -> str:
    return "█" * max(0, round(20 + 2 * log10(rate))) if rate > 0 else ""


# Output


def to_text(sections: Sequence[Section], title: str = "") -> RenderableType:
    """Return tables for a terminal; what is too long for it folds."""
    parts: list[RenderableType] = [Text(title, style="bold"), Text("")] if title else []
    for section in sections:
        parts += [*_section_text(section), Text("")]
    return Group(*parts[:-1])


def _section_text(section: Section) -> Iterator[RenderableType]:
    yield Text.assemble(show.heading(section.title), (f" ({section.status})", "dim"))
    columns = [
        index
        for index, (key, _) in enumerate(section.columns)
        if key not in _UNSHOWN and not section.same(index)
    ]
    table = Table.grid(padding=(0, 2))
    for index in columns:
        # The last column may fold; numbers never do.
        justify: JustifyMethod = "left" if section.words(index) else "right"
        table.add_column(justify=justify, no_wrap=index != columns[-1])
    first, *rest = (section.columns[index][1] for index in columns)
    if first or any(rest):
        table.add_row(f"  {first}", *rest, style="dim")
    for row in section.rows:
        first, *rest = (row[index].shown for index in columns)
        table.add_row(f"  {first}", *rest)
    yield table
    if section.remark:
        yield Text(section.remark, style="dim")


def to_json(document: dict[str, Any]) -> str:
    """Return a document as JSON text."""
    return json.dumps(document, indent=2) + "\n"


def to_html(report: DeviceReport, charts: Mapping[str, Sequence[Markup]], command: str) -> str:
    """Return the report as one HTML page that needs no other file.

    Parameters
    ----------
    report : DeviceReport
    charts : mapping of str to Markup
        SVG by the key of the section that it belongs to.
    command : str
        The command that makes the page again.
    """
    environment = Environment(
        loader=PackageLoader("spinbnn.sim"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    page = environment.get_template("device.html")
    return page.render(
        report=report, charts=charts, command=command, version=importlib.metadata.version("spinbnn")
    )
