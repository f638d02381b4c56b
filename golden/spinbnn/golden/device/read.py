"""What reading does wrong: it may flip a cell (disturb), or take one state for the other (read error).

**Read disturb.** The read current is a weak write current in one direction, so it destabilises one of the
two states only. It lowers that state's barrier to Δ (1 − i)², with i = V / Vc0 as for writing (less the stray
field h that holds the state), and a read of length t flips the cell with

    P = 1 − exp(−k t),  k = sqrt(Δ / π) · (1 − i)(1 − i²) · exp(−Δ (1 − i)²) / τD.

This is the escape rate of a high barrier; it agrees with the Fokker-Planck equation within 11 % for i ≤ 0.5
and means nothing once Δ (1 − i)² is only a few. P is per read of a cell in the state that can be disturbed.

**Read error.** A sense amplifier compares currents. Gaussian spreads are assumed: the cell's current spreads
by the fraction s of itself, the amplifier's offset has the standard deviation I_off. Against a reference half
way between the two states' mean currents, and against a complementary second cell,

    P_single = Q[ ½ (I_P − I_AP) / sqrt((s I)² + I_off²) ],  I the current of the stored state,
    P_pair   = Q[ (I_P − I_AP) / sqrt((s I_P)² + (s I_AP)² + I_off²) ],

with Q(x) the upper tail of the normal distribution. Both are per bit read. The stored bit is not changed.
"""

from math import erfc, exp, expm1, hypot, log1p, pi, sqrt

from spinbnn.golden.device.checks import check_above, check_from
from spinbnn.golden.errors import TechnologyError


def upper_tail(x: float) -> float:
    """Return Q(x): how probable it is that a standard normal number exceeds x."""
    return 0.5 * erfc(x / sqrt(2))


def read_disturb_rate(current_ratio: float, duration_ns: float, delta: float, tau_d_ns: float) -> float:
    """Return the probability that one read flips a cell whose state the read current destabilises.

    Parameters
    ----------
    current_ratio : float
        Read voltage / critical voltage of that switching direction, below 1; with a stray field, less the h
        that holds the state, which may make it negative.
    duration_ns : float
        Length of a read, ns.
    delta : float
        Thermal stability.
    tau_d_ns : float
        Characteristic time of the magnetisation, ns.

    Raises
    ------
    TechnologyError
        If a number lies outside its bounds; from a ratio of 1 on, reading is writing.
    """
    if not -1 < current_ratio < 1:
        raise TechnologyError(
            f"current_ratio must be above -1 and below 1, where a read does not write, not {current_ratio}"
        )
    check_from("duration_ns", duration_ns, 0)
    check_above("delta", delta, 0)
    check_above("tau_d_ns", tau_d_ns, 0)
    left = 1 - current_ratio
    rate = sqrt(delta / pi) * left * (1 - current_ratio**2) * exp(-delta * left**2) / tau_d_ns
    return -expm1(-rate * duration_ns)


def accumulated_disturb(rate_per_read: float, reads: float) -> float:
    """Return the probability that a cell is flipped after so many reads, without a way back.

    A read current in one direction pushes a flipped cell further into the state it flipped to.
    """
    check_from("reads", reads, 0)
    if not 0 <= rate_per_read < 1:
        raise TechnologyError(f"rate_per_read must be a probability from 0 to below 1, not {rate_per_read}")
    return -expm1(reads * log1p(-rate_per_read))


def read_error_rate(stored_ua: float, other_ua: float, spread: float, offset_ua: float = 0.0) -> float:
    """Return the probability that a single cell is read wrong, against a reference half way.

    Parameters
    ----------
    stored_ua : float
        Mean read current of the state that is stored, µA.
    other_ua : float
        That of the other state, µA.
    spread : float
        Standard deviation of the current from cell to cell, as a fraction of the current.
    offset_ua : float
        Standard deviation of the sense amplifier's offset, µA.

    Raises
    ------
    TechnologyError
        If a number lies outside its bounds.
    """
    return _error_rate(abs(stored_ua - other_ua) / 2, (stored_ua,), other_ua, spread, offset_ua)


def differential_read_error_rate(
    stored_ua: float, other_ua: float, spread: float, offset_ua: float = 0.0
) -> float:
    """Return the probability that two complementary cells are read wrong; see `read_error_rate`."""
    return _error_rate(abs(stored_ua - other_ua), (stored_ua, other_ua), other_ua, spread, offset_ua)


def _error_rate(
    margin_ua: float, spreading_ua: tuple[float, ...], other_ua: float, spread: float, offset_ua: float
) -> float:
    check_above("stored_ua", spreading_ua[0], 0)
    check_above("other_ua", other_ua, 0)
    check_from("spread", spread, 0)
    check_from("offset_ua", offset_ua, 0)
    noise_ua = hypot(*(spread * current for current in spreading_ua), offset_ua)
    if not noise_ua:
        return 0.0 if margin_ua else 0.5
    return upper_tail(margin_ua / noise_ua)
