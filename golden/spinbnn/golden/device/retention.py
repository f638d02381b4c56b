"""How long an idle cell keeps its bit: thermal escape over the energy barrier.

The magnetisation leaves its well at the Néel-Arrhenius rate with Brown's prefactor for a uniaxial particle,

    k(h) = sqrt(Δ / π) · (1 + h)(1 − h²) · exp(−Δ (1 + h)²) / τD,

and may come back. A stray field h = Hstray / Hk deepens one well and lowers the other. With the rates k out
of the state written and k' out of the other, a cell is found in the wrong state after a time T with

    P = k / (k + k') · (1 − exp(−(k + k') T)),  which is ½ (1 − exp(−2 k T)) without a stray field.

Every rate here is per stored bit.

Sources: W. F. Brown, Phys. Rev. 130, 1677 (1963) for the prefactor at high barriers. The barrier at other
temperatures, Δ(T) = Δ(300 K) · 300 K / T, is assumed: it keeps the barrier's energy, although magnetisation
and anisotropy fall with temperature, so hot cells lose their bits sooner than it says.
"""

from math import exp, expm1, pi, sqrt

from spinbnn.golden.device.checks import check_above, check_below, check_from
from spinbnn.golden.errors import TechnologyError

REFERENCE_TEMPERATURE_K = 300.0
"""The temperature at which a thermal stability is given."""

SECONDS_PER_YEAR = 365.25 * 24 * 3600.0


def thermal_stability_at(temperature_k: float, delta_300k: float) -> float:
    """Return the thermal stability Δ at a temperature, if the barrier keeps its energy (assumed)."""
    check_above("temperature_k", temperature_k, 0)
    check_above("delta_300k", delta_300k, 0)
    return delta_300k * REFERENCE_TEMPERATURE_K / temperature_k


def escape_rate_hz(delta: float, tau_d_ns: float, h: float = 0.0) -> float:
    """Return how often a cell leaves its state, a second.

    Parameters
    ----------
    delta : float
        Thermal stability, barrier energy / kT; good from about 5 on.
    tau_d_ns : float
        Characteristic time of the magnetisation, ns.
    h : float
        Stray field / anisotropy field, above −1 and below 1; positive where it holds the cell in its state.

    Raises
    ------
    TechnologyError
        If a number lies outside its bounds.
    """
    check_above("delta", delta, 0)
    check_above("tau_d_ns", tau_d_ns, 0)
    if not -1 < h < 1:
        raise TechnologyError(f"h must be above -1 and below 1, not {h}")
    return sqrt(delta / pi) * (1 + h) * (1 - h * h) * exp(-delta * (1 + h) ** 2) / (tau_d_ns * 1e-9)


def retention_error_rate(time_s: float, delta: float, tau_d_ns: float, h: float = 0.0) -> float:
    """Return the probability that a stored bit is wrong after a time without access.

    Parameters
    ----------
    time_s : float
        Time, s.
    delta, tau_d_ns, h : float
        As in `escape_rate_hz`; `h` is that of the state written.
    """
    check_from("time_s", time_s, 0)
    leave, back = escape_rate_hz(delta, tau_d_ns, h), escape_rate_hz(delta, tau_d_ns, -h)
    both = leave + back
    return -leave / both * expm1(-both * time_s) if both else 0.0


def single_escape_probability(time_s: float, delta: float, attempt_time_ns: float = 1.0) -> float:
    """Return 1 − exp(−T e^−Δ / τ0): the rule of thumb, with a fixed attempt time and without a way back.

    The literature's one-year figure of 6e-6 is what this gives at Δ = 50; at Δ = 40, beside which it stands
    there, it gives 0.125.
    """
    check_from("time_s", time_s, 0)
    check_above("delta", delta, 0)
    check_above("attempt_time_ns", attempt_time_ns, 0)
    return -expm1(-time_s / (attempt_time_ns * 1e-9) * exp(-delta))


def thermal_stability_for(error_rate: float, time_s: float, tau_d_ns: float) -> float:
    """Return the least Δ at which a bit is wrong after a time with at most this probability (no stray field).

    Raises
    ------
    TechnologyError
        If the error rate is not above 0 and below ½, or if any Δ from 5 to 200 does better or none does.
    """
    check_above("error_rate", error_rate, 0)
    check_below("error_rate", error_rate, 0.5)
    low, high = 5.0, 200.0
    if not (
        retention_error_rate(time_s, high, tau_d_ns)
        < error_rate
        < retention_error_rate(time_s, low, tau_d_ns)
    ):
        raise TechnologyError(
            f"error_rate must be one that a thermal stability from 5 to 200 gives after {time_s:g} s, "
            f"not {error_rate}"
        )
    while high - low > 1e-6:
        middle = (low + high) / 2
        if retention_error_rate(time_s, middle, tau_d_ns) > error_rate:
            low = middle
        else:
            high = middle
    return high
