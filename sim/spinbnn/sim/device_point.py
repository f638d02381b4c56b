"""A run's operating point from a memory technology and a write pulse, and what a report says of it."""

from dataclasses import dataclass
from typing import Any

from spinbnn.golden.device.mtj import Pulse, State, direction_of_write, write_error_rate, write_pulse
from spinbnn.golden.device.pulse import operating_point_from_pulse
from spinbnn.golden.device.reliability import array_retention_ber
from spinbnn.golden.device.technology import MtjTechnology, load_technology
from spinbnn.golden.device.variability import ClassRates, array_write_error_rate
from spinbnn.golden.errors import TechnologyError
from spinbnn.golden.operating_point import OperatingPoint


@dataclass(frozen=True)
class DevicePoint:
    """A write pulse on a technology's cells.

    Parameters
    ----------
    technology : MtjTechnology
    pulse : Pulse
    """

    technology: MtjTechnology
    pulse: Pulse

    @classmethod
    def load(cls, source: str, voltage_v: float | None, duration_ns: float | None) -> "DevicePoint":
        """Return the pulse on a preset, or on the technology of a file; what is None is the technology's own.

        Raises
        ------
        TechnologyError
            If there is no such technology, or it is no magnetic junction.
        PulseError
            If the pulse is impossible.
        """
        technology = load_technology(source)
        if not isinstance(technology, MtjTechnology):
            raise TechnologyError(
                f"technology must be a magnetic junction, with write pulses, not {technology.name}"
            )
        own = write_pulse(technology)
        pulse = Pulse(
            own.voltage_v if voltage_v is None else voltage_v,
            own.duration_ns if duration_ns is None else duration_ns,
        )
        return cls(technology, pulse)

    def operating_point(
        self,
        *,
        max_retries: int,
        pulse_redundant: bool,
        blind: bool,
        class_rates: ClassRates | None = None,
        separate_failed_energies: bool = False,
    ) -> OperatingPoint:
        """Return the operating point, at the macro's energies; see `operating_point_from_pulse`."""
        return operating_point_from_pulse(
            self.technology,
            self.pulse,
            class_rates=class_rates,
            separate_failed_energies=separate_failed_energies,
            max_retries=max_retries,
            pulse_redundant=pulse_redundant,
            blind=blind,
        )

    def retention(self, years: float) -> tuple[float, float]:
        """Return the probability that a stored 0, and a stored 1, flips; means over the array."""
        seconds = years * _SECONDS_A_YEAR
        one = State(self.technology.one_state)
        zero = State.AP if one is State.P else State.P
        return (
            array_retention_ber(self.technology, zero, seconds),
            array_retention_ber(self.technology, one, seconds),
        )

    @property
    def read_bit_energy_aj(self) -> int:
        """Energy of reading a bit, attojoules."""
        return round(self.technology.read_bit_energy_aj)

    @property
    def title(self) -> str:
        """Technology, voltage, time and WER of both directions, in a line."""
        rates = ", ".join(f"{rate:.3g} {_NAMES[bit]}" for bit, rate in self._rates().items())
        pulse = f"{self.pulse.voltage_v:g} V, {self.pulse.duration_ns:g} ns"
        return f"{self.technology.name} at {pulse}; WER of the array {rates}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; rates are per attempted switch."""
        array = self._rates()
        cell = {
            bit: write_error_rate(self.technology, self.pulse, direction_of_write(self.technology, bit))
            for bit in _NAMES
        }
        return {
            "technology": self.technology.name,
            "voltage_v": self.pulse.voltage_v,
            "pulse_ns": self.pulse.duration_ns,
            "array_wer_01": array[1],
            "array_wer_10": array[0],
            "cell_wer_01": cell[1],
            "cell_wer_10": cell[0],
        }

    def _rates(self) -> dict[int, float]:
        """Return the mean WER of the array by the bit that is written."""
        return {
            bit: array_write_error_rate(self.technology, self.pulse, direction_of_write(self.technology, bit))
            for bit in _NAMES
        }


_SECONDS_A_YEAR = 365.25 * 24 * 3600
_NAMES = {1: "from 0 to 1", 0: "from 1 to 0"}
