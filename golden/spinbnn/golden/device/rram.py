"""HfO2 resistive memory: the bit errors that weaker programming leaves, in cells of one and of two devices.

Of a binarized network's weights in HfO2 RRAM the literature gives two end points: an error rate of 1e-4
does not matter, and after training with errors one of 4e-2 does not either, which lets the programming
energy fall by a factor of 30. What lies between is **assumed** here: the logarithms of the two resistances
are normal with equal spread, the threshold lies half way, and the margin z between mean and threshold, in
units of the spread, grows with the logarithm of the energy E from the one end point to the other,

    P_1T1R = Q(z),  z = z_low + (z_high − z_low) · ln(E / E_low) / ln(E_high / E_low),

with Q(x) the upper tail of the normal distribution. Nothing is said outside the end points.

A cell of two devices (2T2R) holds the bit and its complement, and the sense amplifier compares them. With p
the error rate of a device against a threshold, the pair is wrong when both devices are wrong, or when one
is (a tie) and the comparison resolves it wrong, with probability q:

    P_pair = p² + 2 p (1 − p) q.

Devices with two sharp resistances, as magnetic junctions are, leave a tie to the amplifier's mismatch: q =
½, and P_pair = p. Two devices then help against read errors, but not against failed writes. Devices whose
resistances spread continuously, as here, differ also in a tie: the difference of two has twice the margin
and √2 times the spread, so

    P_2T2R = Q(√2 z),

which is 7e-8 for p = 1e-4, where q = ½ would leave 1e-4 and error correction (SECDED over 72 bits) about
7e-7.

All rates here are per stored bit (BER), and every one between the end points is assumed.
"""

from dataclasses import dataclass
from math import ceil, exp, log, sqrt
from statistics import NormalDist

from spinbnn.golden.device.checks import check_probability
from spinbnn.golden.device.quantities import Technology, choice, quantity
from spinbnn.golden.device.read import upper_tail
from spinbnn.golden.errors import TechnologyError
from spinbnn.golden.operating_point import OperatingPoint, operating_point

CELLS = ("1T1R", "2T2R")
"""The cells: one device against a reference, or two complementary devices against each other."""


@dataclass(frozen=True, kw_only=True)
class RramTechnology(Technology):
    """A resistive memory device, known by two points of energy and error rate.

    Parameters
    ----------
    cell : str
        "1T1R" or "2T2R".
    program_energy_aj : float
        Energy of programming one device at the strong end point.
    energy_ratio : float
        That energy by the weak end point's.
    strong_bit_error_rate, weak_bit_error_rate : float
        Error rates of one device at the two end points.
    program_ns : float
        Length of a programming pulse.
    read_bit_energy_aj : float
        Energy of reading a bit.
    clock_mhz : float
        Clock of the controller, which counts the length of a pulse.
    """

    cell: str = choice(*CELLS)
    program_energy_aj: float = quantity("aJ", 1e3, 1e10)
    energy_ratio: float = quantity("1", 1.001, 1e6)
    strong_bit_error_rate: float = quantity("1", 1e-12, 0.49)
    weak_bit_error_rate: float = quantity("1", 1e-12, 0.49)
    program_ns: float = quantity("ns", 0.1, 1e6)
    read_bit_energy_aj: float = quantity("aJ", 0, 1e9)
    clock_mhz: float = quantity("MHz", 0.1, 10000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strong_bit_error_rate < self.weak_bit_error_rate:
            limit = f"weak_bit_error_rate, {self.weak_bit_error_rate:g}"
            raise TechnologyError(
                f"strong_bit_error_rate must be below {limit}, not {self.strong_bit_error_rate:g}"
            )

    @property
    def weakest_energy_aj(self) -> float:
        """Energy of programming one device at the weak end point, attojoules."""
        return self.program_energy_aj / self.energy_ratio

    @property
    def devices(self) -> int:
        """Devices of a cell."""
        return 2 if self.cell == "2T2R" else 1


def device_error_rate(technology: RramTechnology, energy_aj: float) -> float:
    """Return the error rate of one device against a threshold, per stored bit (assumed between end points).

    Parameters
    ----------
    technology : RramTechnology
    energy_aj : float
        Energy of programming the device, between the end points' energies, aJ.

    Raises
    ------
    TechnologyError
        If the energy lies outside the end points.
    """
    low, high = technology.weakest_energy_aj, technology.program_energy_aj
    if not low * (1 - 1e-9) <= energy_aj <= high * (1 + 1e-9):
        raise TechnologyError(
            f"energy_aj must be from {low:.6g} to {high:.6g}, the end points known of {technology.name}, "
            f"not {energy_aj:g}"
        )
    weak, strong = _margin(technology.weak_bit_error_rate), _margin(technology.strong_bit_error_rate)
    share = log(energy_aj / low) / log(high / low)
    return upper_tail(weak + (strong - weak) * share)


def bit_error_rate(technology: RramTechnology, energy_aj: float) -> float:
    """Return the error rate of the technology's cell, per stored bit; see `device_error_rate`."""
    rate = device_error_rate(technology, energy_aj)
    return compared_error_rate(rate) if technology.cell == "2T2R" else rate


def energy_for(technology: RramTechnology, error_rate: float) -> float:
    """Return the energy of programming one device at which the technology's cell has this error rate, aJ.

    Raises
    ------
    TechnologyError
        If the error rate lies outside those of the end points.
    """
    weakest, strongest = (
        bit_error_rate(technology, energy)
        for energy in (technology.weakest_energy_aj, technology.program_energy_aj)
    )
    if not strongest * (1 - 1e-9) <= error_rate <= weakest * (1 + 1e-9):
        raise TechnologyError(
            f"error_rate must be from {strongest:.4g} to {weakest:.4g}, the end points known of "
            f"{technology.name}, not {error_rate:g}"
        )
    margin = _margin(error_rate) / (sqrt(2) if technology.cell == "2T2R" else 1)
    weak, strong = _margin(technology.weak_bit_error_rate), _margin(technology.strong_bit_error_rate)
    return technology.weakest_energy_aj * exp(
        (margin - weak) / (strong - weak) * log(technology.energy_ratio)
    )


def operating_point_from_energy(
    technology: RramTechnology, energy_aj: float, *, max_retries: int = 0, pulse_redundant: bool = False
) -> OperatingPoint:
    """Return the operating point of an array of the technology's cells, programmed with an energy a device.

    A bit that is programmed is wrong with the cell's bit error rate, in both directions; every device of the
    cell is programmed, and a redundant pulse costs as much as another (assumed).

    Parameters
    ----------
    technology : RramTechnology
    energy_aj : float
        As in `device_error_rate`.
    max_retries, pulse_redundant
        As in `OperatingPoint`.

    Raises
    ------
    TechnologyError
        If the energy lies outside the end points.
    OperatingPointError
        If a value is impossible for the hardware.
    """
    bit_energy_aj = round(technology.devices * energy_aj)
    return operating_point(
        bit_error_rate(technology, energy_aj),
        energy_01_aj=bit_energy_aj,
        energy_10_aj=bit_energy_aj,
        pulse_clocks=ceil(technology.program_ns * technology.clock_mhz / 1000 * (1 - 1e-12)),
        max_retries=max_retries,
        pulse_redundant=pulse_redundant,
    )


def pair_error_rate(rate: float, tie_error_rate: float = 0.5) -> float:
    """Return the error rate of two complementary devices, each wrong with `rate`.

    Parameters
    ----------
    rate : float
        Probability that a device is on the wrong side of a threshold, per stored bit.
    tie_error_rate : float
        Probability that the sense amplifier resolves a tie wrong; ½ where only its mismatch decides.
    """
    check_probability("rate", rate)
    check_probability("tie_error_rate", tie_error_rate)
    return rate * rate + 2 * rate * (1 - rate) * tie_error_rate


def compared_error_rate(rate: float) -> float:
    """Return Q(√2 z) for a device's error rate Q(z): two devices of spread resistance, compared (assumed)."""
    check_probability("rate", rate)
    return rate if rate in (0, 1) else upper_tail(sqrt(2) * _margin(rate))


def _margin(rate: float) -> float:
    return -NormalDist().inv_cdf(rate)
