"""How many write pulses the tunnel barrier bears.

The barrier wears with every pulse, faster at a higher voltage. The literature gives one rule for these
arrays: 20 % less write voltage, up to a million times more cycles. The *E-model* puts it into a curve,

    N = N_bd exp(γ (Vbd − V)),  γ = ln(gain) / (drop · V_reference),

with N_bd cycles at the breakdown voltage Vbd (1 here: one pulse is enough). For 0.834 V, which is 2.78 Vc0
at Vc0 = 0.30 V, the rule gives γ = 82.8 / V. The *power law* N = N_bd (Vbd / V)^n through the same rule has
n = 61.9. The literature is split between the two forms, and away from the voltages that were tested they
differ by decades, so a lifetime from either is an extrapolation. Neither knows the pulse's length.

Cells do not wear out together: the share of cells broken after n cycles is Weibull's 1 − exp(−(n / N)^β),
with N the cycles at which 63 % are broken. β = 1.2 is assumed.
"""

from math import exp, expm1, log, log1p

from spinbnn.golden.device.checks import check_above, check_below, check_from
from spinbnn.golden.errors import TechnologyError

RULE_VOLTAGE_DROP = 0.2
"""Share of the write voltage that the published rule takes away."""

RULE_GAIN = 1e6
"""Up to so many times the cycles, says the published rule, for `RULE_VOLTAGE_DROP`."""

WEIBULL_SHAPE = 1.2
"""Weibull's β of the cycles to breakdown (assumed)."""

_LARGEST_EXPONENT = 600.0  # exp() of 709 overflows, and something is multiplied


def gamma_per_v(
    reference_voltage_v: float, drop: float = RULE_VOLTAGE_DROP, gain: float = RULE_GAIN
) -> float:
    """Return the E-model's γ, 1/V, that multiplies the cycles by `gain` when a voltage falls by `drop`."""
    check_above("reference_voltage_v", reference_voltage_v, 0)
    _check_rule(drop, gain)
    return log(gain) / (drop * reference_voltage_v)


def power_law_exponent(drop: float = RULE_VOLTAGE_DROP, gain: float = RULE_GAIN) -> float:
    """Return the power law's n that multiplies the cycles by `gain` when any voltage falls by `drop`."""
    _check_rule(drop, gain)
    return -log(gain) / log1p(-drop)


def cycles_to_breakdown(
    voltage_v: float, breakdown_voltage_v: float, gamma_per_v: float, cycles_at_breakdown: float = 1.0
) -> float:
    """Return the write cycles that 37 % of the cells survive, by the E-model.

    Parameters
    ----------
    voltage_v : float
        Amplitude of the write pulse, V.
    breakdown_voltage_v : float
        Voltage, V, at which a cell bears `cycles_at_breakdown`.
    gamma_per_v : float
        γ, 1/V.
    cycles_at_breakdown : float
        N_bd.

    Raises
    ------
    TechnologyError
        If a number lies outside its bounds.
    """
    check_from("voltage_v", voltage_v, 0)
    check_above("breakdown_voltage_v", breakdown_voltage_v, 0)
    check_above("gamma_per_v", gamma_per_v, 0)
    check_above("cycles_at_breakdown", cycles_at_breakdown, 0)
    return cycles_at_breakdown * _exp(gamma_per_v * (breakdown_voltage_v - voltage_v))


def cycles_to_breakdown_power_law(
    voltage_v: float, breakdown_voltage_v: float, exponent: float, cycles_at_breakdown: float = 1.0
) -> float:
    """Return the write cycles that 37 % of the cells survive, by the power law; see `cycles_to_breakdown`."""
    check_above("voltage_v", voltage_v, 0)
    check_above("breakdown_voltage_v", breakdown_voltage_v, 0)
    check_above("exponent", exponent, 0)
    check_above("cycles_at_breakdown", cycles_at_breakdown, 0)
    return cycles_at_breakdown * _exp(exponent * log(breakdown_voltage_v / voltage_v))


def broken_share(cycles: float, cycles_to_breakdown: float, shape: float = WEIBULL_SHAPE) -> float:
    """Return the share of cells broken after so many cycles, by Weibull's distribution."""
    check_from("cycles", cycles, 0)
    check_above("cycles_to_breakdown", cycles_to_breakdown, 0)
    check_above("shape", shape, 0)
    return -expm1(-((cycles / cycles_to_breakdown) ** shape))


def cycles_until(share: float, cycles_to_breakdown: float, shape: float = WEIBULL_SHAPE) -> float:
    """Return the cycles after which this share of the cells is broken, by Weibull's distribution."""
    check_above("share", share, 0)
    check_below("share", share, 1)
    check_above("cycles_to_breakdown", cycles_to_breakdown, 0)
    check_above("shape", shape, 0)
    return cycles_to_breakdown * float((-log1p(-share)) ** (1 / shape))


def _exp(exponent: float) -> float:
    return exp(min(exponent, _LARGEST_EXPONENT))


def _check_rule(drop: float, gain: float) -> None:
    if not 0 < drop < 1:
        raise TechnologyError(f"drop must be above 0 and below 1, not {drop}")
    check_above("gain", gain, 1)
