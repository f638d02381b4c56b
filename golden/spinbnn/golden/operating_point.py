"""Operating points: how rows are programmed, as the hardware's registers hold it."""

from dataclasses import dataclass
from types import MappingProxyType

from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.memory_options import CLASSES, MemoryOptions
from spinbnn.golden.technology import PULSE_CLOCKS, write_bit_energy_aj

PROBABILITY_BITS = 32
UINT32_MAX = 2**32 - 1
_BOUNDS = MappingProxyType(
    {
        "p_fail_01": (0, UINT32_MAX),
        "p_fail_10": (0, UINT32_MAX),
        "energy_01_aj": (0, UINT32_MAX),
        "energy_10_aj": (0, UINT32_MAX),
        "energy_redundant_aj": (0, UINT32_MAX),
        "pulse_clocks": (1, 65535),
        "max_retries": (0, 15),
    }
)


def check_integer(name: str, value: int, low: int, high: int) -> None:
    """Raise an `OperatingPointError` unless a value is an integer in its range."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise OperatingPointError(f"{name} must be an integer from {low} to {high}, not {value!r}")


@dataclass(frozen=True)
class OperatingPoint:
    """How rows are programmed, as the hardware's registers hold it; `operating_point` takes probabilities.

    Parameters
    ----------
    p_fail_01, p_fail_10 : int
        Probability that a pulse from 0 to 1, or from 1 to 0, fails, in units of 2**-32 (0 to 2**32 - 1).
    energy_01_aj, energy_10_aj, energy_redundant_aj : int
        Energy of a pulse on one bit that goes from 0 to 1, from 1 to 0, or holds its target already, in
        attojoules (0 to 2**32 - 1).
    pulse_clocks : int
        Length of a pulse in clocks (1 to 65535).
    max_retries : int
        How often failed bits are pulsed again (0 to 15); 0 does not read back.
    pulse_redundant : bool
        Pulse bits that hold their target already, too.
    blind : bool
        Do not read the row first; the first pulse then pulses all bits.
    class_p_fail_01, class_p_fail_10 : tuple of 3 int, optional
        The failure probabilities of cells of classes 1 to 3 in a memory with variability; by default those of
        class 0, `p_fail_01` and `p_fail_10`.
    energy_01_failed_aj, energy_10_failed_aj : int, optional
        Energy of a pulse on one bit that fails to switch, in a memory with self-terminated writing; by
        default that of one that switches.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """

    p_fail_01: int
    p_fail_10: int
    energy_01_aj: int
    energy_10_aj: int
    energy_redundant_aj: int
    pulse_clocks: int
    max_retries: int
    pulse_redundant: bool
    blind: bool = False
    class_p_fail_01: tuple[int, int, int] | None = None
    class_p_fail_10: tuple[int, int, int] | None = None
    energy_01_failed_aj: int | None = None
    energy_10_failed_aj: int | None = None

    def __post_init__(self) -> None:
        for name, bounds in _BOUNDS.items():
            check_integer(name, getattr(self, name), *bounds)
        for name in ("pulse_redundant", "blind"):
            if not isinstance(getattr(self, name), bool):
                raise OperatingPointError(f"{name} must be true or false, not {getattr(self, name)!r}")
        for name in ("class_p_fail_01", "class_p_fail_10"):
            by_class = getattr(self, name)
            if by_class is None:
                continue
            if len(by_class) != CLASSES - 1:
                raise OperatingPointError(f"{name} must be of classes 1 to 3, not of {len(by_class)} classes")
            for number, value in enumerate(by_class, start=1):
                check_integer(f"{name} of class {number}", value, 0, UINT32_MAX)
        for name in ("energy_01_failed_aj", "energy_10_failed_aj"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 0, UINT32_MAX)

    @property
    def by_class(self) -> tuple[tuple[int, int], ...]:
        """``(p_fail_01, p_fail_10)`` of the cells of each of the four classes."""
        weak_01 = self.class_p_fail_01 or (self.p_fail_01,) * (CLASSES - 1)
        weak_10 = self.class_p_fail_10 or (self.p_fail_10,) * (CLASSES - 1)
        return ((self.p_fail_01, self.p_fail_10), *zip(weak_01, weak_10, strict=True))

    @property
    def failed_energies_aj(self) -> tuple[int, int]:
        """Energies of a failed bit pulse from 0 to 1 and from 1 to 0, in attojoules."""
        energy_01, energy_10 = self.energy_01_failed_aj, self.energy_10_failed_aj
        return (
            self.energy_01_aj if energy_01 is None else energy_01,
            self.energy_10_aj if energy_10 is None else energy_10,
        )

    def check_fits(self, memory: MemoryOptions) -> None:
        """See that a memory has what the point makes use of.

        Raises
        ------
        OperatingPointError
            If it has not.
        """
        wanted = {
            "class_p_fail_01": "variability",
            "class_p_fail_10": "variability",
            "energy_01_failed_aj": "self_terminated",
            "energy_10_failed_aj": "self_terminated",
        }
        for name, option in wanted.items():
            if getattr(self, name) is not None and not getattr(memory, option):
                raise OperatingPointError(f"{name} must be left out for a memory without the option {option}")

    def draws(self, memory: MemoryOptions, chip: Chip) -> bool:
        """Return whether a pulse draws from the random stream: if it can fail."""
        if memory.variability:
            return any(chip.stuck) or any(p for both in self.by_class for p in both)
        return self.p_fail_01 > 0 or self.p_fail_10 > 0


def probability_fraction(name: str, probability: float) -> int:
    """Return a probability in units of 2**-32; the largest is 2**32 - 1.

    Raises
    ------
    OperatingPointError
        If it is no probability; `name` says whose.
    """
    is_number = isinstance(probability, int | float) and not isinstance(probability, bool)
    if not is_number or not 0 <= probability <= 1:
        raise OperatingPointError(f"{name} must be a probability from 0 to 1, not {probability!r}")
    return min(round(probability * (1 << PROBABILITY_BITS)), UINT32_MAX)


def operating_point(
    write_error_rate: float = 0.0,
    *,
    write_error_rate_01: float | None = None,
    write_error_rate_10: float | None = None,
    energy_01_aj: int | None = None,
    energy_10_aj: int | None = None,
    energy_redundant_aj: int | None = None,
    pulse_clocks: int = PULSE_CLOCKS,
    max_retries: int = 0,
    pulse_redundant: bool = False,
    blind: bool = False,
) -> OperatingPoint:
    """Return the operating point of a write error rate.

    Parameters
    ----------
    write_error_rate : float
        Probability that a bit that must change does not, rounded to a multiple of 2**-32.
    write_error_rate_01, write_error_rate_10 : float, optional
        The same of one direction, where it differs.
    energy_01_aj, energy_10_aj : int, optional
        Energy of a one-bit pulse in attojoules; by default that of the direction's rate (`technology`).
    energy_redundant_aj : int, optional
        By default the larger of the two (assumed).
    pulse_clocks, max_retries, pulse_redundant, blind
        As in `OperatingPoint`.

    Raises
    ------
    OperatingPointError
        If a value is impossible.
    """
    rate_01 = write_error_rate if write_error_rate_01 is None else write_error_rate_01
    rate_10 = write_error_rate if write_error_rate_10 is None else write_error_rate_10
    probability_fraction("write_error_rate", write_error_rate)
    p_fail_01 = probability_fraction("write_error_rate_01", rate_01)
    p_fail_10 = probability_fraction("write_error_rate_10", rate_10)
    if energy_01_aj is None:
        energy_01_aj = write_bit_energy_aj(rate_01)
    if energy_10_aj is None:
        energy_10_aj = write_bit_energy_aj(rate_10)
    if energy_redundant_aj is None:
        energy_redundant_aj = max(energy_01_aj, energy_10_aj)
    return OperatingPoint(
        p_fail_01=p_fail_01,
        p_fail_10=p_fail_10,
        energy_01_aj=energy_01_aj,
        energy_10_aj=energy_10_aj,
        energy_redundant_aj=energy_redundant_aj,
        pulse_clocks=pulse_clocks,
        max_retries=max_retries,
        pulse_redundant=pulse_redundant,
        blind=blind,
    )


POINTS = MappingProxyType(
    {
        "ideal": operating_point(0.0),
        "1e-6": operating_point(1e-6),
        "1e-4": operating_point(1e-4),
        "1e-3": operating_point(1e-3),
        "1e-2": operating_point(1e-2),
        "1e-1": operating_point(1e-1),
    }
)
"""Operating points by their write error rate, both ways; "ideal" never fails and costs as much as 1e-6."""
