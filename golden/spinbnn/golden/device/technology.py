"""Memory technologies as files: the magnetic tunnel junction's numbers, the presets, and the loader.

A technology is a TOML file: ``kind``, ``name``, ``description``, some plain switches, and for each number a
table ``{ value, unit, status, source }`` (`quantities.STATUSES`). The presets are such files; a user copies
one, edits it and gives its path instead of a name.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType

from spinbnn.golden.device.quantities import Technology, choice, quantity, technology_from_table
from spinbnn.golden.device.rram import RramTechnology
from spinbnn.golden.errors import TechnologyError

DELTA_TEMPERATURE_K = 300.0
"""The temperature at which a technology's `delta` is stated."""


@dataclass(frozen=True, kw_only=True)
class MtjTechnology(Technology):
    """A perpendicular magnetic tunnel junction with its access transistor, in a memory macro.

    Voltages of pulses are those across the junction. Every spread is a relative standard deviation from cell
    to cell.

    Parameters
    ----------
    delta : float
        Thermal stability: energy barrier over kT, at 300 K.
    temperature_k : float
        Temperature of operation.
    tau_d_ns : float
        Characteristic time of switching, ``(1 + alpha**2) / (alpha gamma mu0 Hk)``.
    vc0_p_to_ap_v, vc0_ap_to_p_v : float
        Critical voltage from parallel to antiparallel and back.
    stray_field_ratio : float
        Stray field over anisotropy field; a positive one holds the parallel state.
    r_p_ohm : float
        Resistance of the parallel state.
    tmr : float
        Tunnel magnetoresistance at no voltage, ``(R_AP - R_P) / R_P``.
    tmr_half_voltage_v : float
        Voltage at which half of it is left.
    breakdown_v : float
        Voltage at which a junction lasts `endurance_cycles_at_breakdown` pulses.
    endurance_gamma_per_v : float
        Voltage acceleration of breakdown: the cycles are multiplied by e a step of ``1 / gamma`` down.
    endurance_cycles_at_breakdown : float
    weibull_beta : float
        Weibull shape of the cycles to breakdown.
    sigma_diameter, sigma_delta, sigma_vc0, sigma_resistance : float
        Spreads of the diameter; of `delta` and resistance beside what the diameter does to them; and of the
        critical voltage.
    write_voltage_v, write_ns : float
        The technology's own write pulse.
    read_voltage_v, read_ns : float
        Voltage across the junction and length of a read.
    read_disturbs : str
        The state that the read current may flip: "P" or "AP", by the polarity of reading.
    read_bit_energy_aj : float
        Energy of reading a bit from the macro.
    sense_offset_a : float
        Standard deviation of the sense amplifier's offset, as a current.
    transistor_ohm : float
        Resistance in series with the junction.
    periphery_energy_aj : float
        Energy of the macro around a pulsed bit, beside junction and series resistance.
    clock_mhz : float
        Clock of the controller, which counts the length of a pulse.
    termination_delay_ns : float
        Time from a bit's switching to the end of its pulse, where pulses are self-terminated.
    self_terminated : bool
        Whether a pulse on a bit ends when it has switched.
    one_state : str
        The state that stores a 1: "P" or "AP". With "P", writing 0 to 1 switches AP to P.
    """

    delta: float = quantity("1", 20, 100)
    temperature_k: float = quantity("K", 200, 450)
    tau_d_ns: float = quantity("ns", 0.01, 100)
    vc0_p_to_ap_v: float = quantity("V", 0.01, 3)
    vc0_ap_to_p_v: float = quantity("V", 0.01, 3)
    stray_field_ratio: float = quantity("1", -0.5, 0.5)
    r_p_ohm: float = quantity("ohm", 100, 1e6)
    tmr: float = quantity("1", 0.05, 10)
    tmr_half_voltage_v: float = quantity("V", 0.05, 10)
    breakdown_v: float = quantity("V", 0.1, 5)
    endurance_gamma_per_v: float = quantity("1/V", 1, 1000)
    endurance_cycles_at_breakdown: float = quantity("1", 1e-3, 1e9)
    weibull_beta: float = quantity("1", 0.1, 20)
    sigma_diameter: float = quantity("1", 0, 0.1)
    sigma_delta: float = quantity("1", 0, 0.15)
    sigma_vc0: float = quantity("1", 0, 0.15)
    sigma_resistance: float = quantity("1", 0, 0.15)
    write_voltage_v: float = quantity("V", 0.01, 5)
    write_ns: float = quantity("ns", 0.01, 10000)
    read_voltage_v: float = quantity("V", 0.001, 2)
    read_ns: float = quantity("ns", 0.01, 10000)
    read_bit_energy_aj: float = quantity("aJ", 0, 1e9)
    sense_offset_a: float = quantity("A", 0, 1e-3)
    transistor_ohm: float = quantity("ohm", 0, 1e6)
    periphery_energy_aj: float = quantity("aJ", 0, 1e9)
    clock_mhz: float = quantity("MHz", 0.1, 10000)
    termination_delay_ns: float = quantity("ns", 0, 100)
    self_terminated: bool = choice(False, True)
    one_state: str = choice("P", "AP")
    read_disturbs: str = choice("P", "AP")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.write_voltage_v < self.breakdown_v:
            limit = f"breakdown_v, {self.breakdown_v:g} V"
            raise TechnologyError(f"write_voltage_v must be below {limit}, not {self.write_voltage_v:g}")

    @property
    def operating_delta(self) -> float:
        """Thermal stability at the temperature of operation, ``delta * 300 K / temperature`` (assumed)."""
        return self.delta * DELTA_TEMPERATURE_K / self.temperature_k


KINDS: MappingProxyType[str, type[MtjTechnology] | type[RramTechnology]] = MappingProxyType(
    {"mtj": MtjTechnology, "rram": RramTechnology}
)
"""What a file of each ``kind`` describes."""


def _presets() -> Traversable:
    return files("spinbnn.golden.device").joinpath("presets")


def preset_names() -> tuple[str, ...]:
    """Return the names of the presets, sorted."""
    names = (file.name for file in _presets().iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def technology_text(source: str | Path) -> str:
    """Return the text of a technology's file, which a user may copy and edit; see `load_technology`."""
    file: Traversable = Path(source)
    if str(source) in preset_names():
        file = _presets().joinpath(f"{source}.toml")
    elif not file.is_file():
        presets = ", ".join(preset_names())
        raise TechnologyError(
            f"technology must be a preset ({presets}) or the path of a TOML file, not {str(source)!r}"
        )
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TechnologyError(f"{source}: technology must be a TOML file, not {_one_line(error)}") from error


def load_technology(source: str | Path) -> MtjTechnology | RramTechnology:
    """Read a technology.

    Parameters
    ----------
    source : str or Path
        The name of a preset (`preset_names`) or the path of a TOML file.

    Raises
    ------
    TechnologyError
        If there is none of that name, or something in it is wrong; the text names file and entry.
    """
    try:
        table = tomllib.loads(technology_text(source))
    except tomllib.TOMLDecodeError as error:
        raise TechnologyError(f"{source}: technology must be a TOML file, not {_one_line(error)}") from error
    kind = table.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise TechnologyError(f"{source}: kind must be one of {', '.join(map(repr, KINDS))}, not {kind!r}")
    try:
        return technology_from_table(KINDS[kind], table)
    except TechnologyError as error:
        raise TechnologyError(f"{source}: {error}") from None


def _one_line(error: Exception) -> str:
    return f"one that gives {' '.join(str(error).split())!r}"
