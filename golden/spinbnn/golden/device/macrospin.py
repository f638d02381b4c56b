"""How often a write pulse fails to switch a perpendicular magnetic tunnel junction (macrospin model).

The free layer is one spin with uniaxial anisotropy under a spin torque along its axis. With x the cosine of
its angle to the axis (1 where it starts), the density of x obeys the Fokker-Planck equation

    dp/dt = -d/dx { (1 - x**2) [ (x - i + h) p - dp/dx / (2 delta) ] }

with i = V / Vc0 the voltage over the critical voltage, t the time over the characteristic time
tau_d = (1 + alpha**2) / (alpha gamma mu0 Hk), delta the thermal stability and h = Hstray / Hk the stray
field, positive where it holds the state that is left. Before the pulse the spin is in equilibrium in its
well. Every function here takes and gives these reduced numbers; every *write error rate* (WER) is the
probability, per attempted switch, that x > 0 after the pulse.

Two solutions:

- `fokker_planck_wer` expands p in Legendre polynomials, in which the equation's operator A has five
  diagonals, and applies exp(A t).
- `closed_form_wer` follows small angles exactly and takes the rest of the way as a deterministic trajectory.

Sources: W. F. Brown, Phys. Rev. 130, 1677 (1963); W. H. Butler et al., IEEE Trans. Magn. 48, 4684 (2012);
P. Tzoufras, AIP Advances 8, 056002 (2018).
"""

from collections.abc import Callable
from functools import lru_cache
from math import ceil, frexp, log10, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinbnn.golden.errors import PulseError

Array = NDArray[np.float64]

DELTA_RANGE = (10.0, 150.0)
CURRENT_RANGE = (0.0, 20.0)
TIME_RANGE = (0.0, 1e4)
STRAY_FIELD_RANGE = (-0.5, 0.5)
WER_RANGE = (1e-10, 0.9)
"""Error rates that `voltage_for_wer` and `duration_for_wer` take."""
CLOSED_FORM_LEAST_CURRENT = 1.2
"""The least i - h of the closed form."""


def fokker_planck_wer(i: float, t: ArrayLike, delta: float, h: float = 0.0) -> Array:
    """Return the write error rate by the Fokker-Planck equation.

    Parameters
    ----------
    i : float
        Voltage over critical voltage, 0 to 20.
    t : float array
        Pulse lengths over the characteristic time, 0 to 10,000; all of them take little more than one.
    delta : float
        Thermal stability, 10 to 150.
    h : float
        Stray field over anisotropy field, -0.5 to 0.5; positive where it holds the state that is left.

    Returns
    -------
    float64, of the shape of `t`
        Within 1e-11, and within a relative error of 1e-3 from 1e-8 on.

    Raises
    ------
    PulseError
        If an argument lies outside its bounds.
    """
    check_reduced(i, t, delta, h)
    times = np.asarray(t, dtype=np.float64)
    return _propagator(float(i), float(delta), float(h)).wer(times.reshape(-1)).reshape(times.shape)


def closed_form_wer(i: ArrayLike, t: ArrayLike, delta: ArrayLike, h: float = 0.0) -> Array:
    """Return the write error rate in closed form, ``1 - exp(-theta**2 / <theta**2>)``.

    With a = i - h, the mean square of small angles after the pulse and the angle that reaches the equator are

        <theta**2> = (i / (1 + h) * exp(2 (a - 1) t) - 1) / (delta (a - 1))
        theta**2 = 2 * 2**((a - 1) / (a + 1)) * ((a - 1) / a)**(2 / (a + 1))

    Against `fokker_planck_wer` for a from 1.2 to 6, t to 10, delta from 40 to 100 and rates from 1e-9 on, it
    is at most 0.22 decades off (a = 1.35, t = 10); from a = 2 on and for t to 5, at most 0.05. Longer pulses
    (0.46 at t = 15) and lower barriers (0.39 at delta = 20, t = 10) are worse; below a = 1.2 it fails.

    The usual form with theta**2 = pi**2 / 4 (Butler et al.) is 0.5 % off in the voltage for 1e-6 at t = 5,
    but 2 to 5 points of a per cent in the drops from there to 1e-2 and 0.1 (delta = 40), 0.43 decades at
    a = 1.35, and more at longer pulses.

    Parameters
    ----------
    i, t, delta, h
        As in `fokker_planck_wer`; the first three are broadcast against each other.

    Returns
    -------
    float64, of the shape of `i`, `t` and `delta` together

    Raises
    ------
    PulseError
        If an argument lies outside its bounds, or i - h is below 1.2.
    """
    check_reduced(i, t, delta, h)
    current, times, barrier = (np.asarray(value, dtype=np.float64) for value in (i, t, delta))
    a = current - h
    if np.any(a < CLOSED_FORM_LEAST_CURRENT):
        raise PulseError(
            f"V / Vc0 less the stray field must be at least {CLOSED_FORM_LEAST_CURRENT:g} "
            f"for the closed form, not {a.min():.3g}"
        )
    reach = 2 * 2 ** ((a - 1) / (a + 1)) * ((a - 1) / a) ** (2 / (a + 1))
    # Divided by the growth, so that nothing overflows where the rate is 0.
    shrink = np.exp(-2 * (a - 1) * times)
    mean_square = (current / (1 + h) - shrink) / (barrier * (a - 1))
    wer: Array = -np.expm1(-reach * shrink / mean_square)
    return wer


WerFunction = Callable[[float, ArrayLike, float, float], Array]
METHODS: dict[str, WerFunction] = {"fokker-planck": fokker_planck_wer, "closed-form": closed_form_wer}
"""The solutions by name."""


def wer_function(method: str) -> WerFunction:
    """Return the solution of a name.

    Raises
    ------
    PulseError
        If there is none.
    """
    if method not in METHODS:
        raise PulseError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    return METHODS[method]


def voltage_for_wer(
    wer: float, t: float, delta: float, h: float = 0.0, method: str = "fokker-planck"
) -> float:
    """Return the voltage over critical voltage that gives a write error rate, within a relative 1e-4.

    Parameters
    ----------
    wer : float
        1e-10 to 0.9.
    t, delta, h, method
        As in `fokker_planck_wer` and `METHODS`.

    Raises
    ------
    PulseError
        If an argument lies outside its bounds, or no voltage in the method's region gives that rate.
    """
    solution = wer_function(method)
    check_wer(wer)
    check_reduced(1.0, t, delta, h)
    low = CLOSED_FORM_LEAST_CURRENT + h if method == "closed-form" else CURRENT_RANGE[0]
    what = f"write error rate must be reached by a V / Vc0 from {low:g} to {CURRENT_RANGE[1]:g} in t = {t:g}"
    return _inverse(lambda i: float(solution(i, t, delta, h)), wer, low, CURRENT_RANGE[1], what)


def duration_for_wer(
    wer: float, i: float, delta: float, h: float = 0.0, method: str = "fokker-planck"
) -> float:
    """Return the pulse length over characteristic time that gives a write error rate, within a relative 1e-4.

    Parameters and errors are as those of `voltage_for_wer`.
    """
    solution = wer_function(method)
    check_wer(wer)
    check_reduced(i, 1.0, delta, h)
    low, high = TIME_RANGE
    what = f"write error rate must be reached in a t to {high:g} at V / Vc0 = {i:g}"
    return _inverse(lambda t: float(solution(i, t, delta, h)), wer, low, high, what)


def check_wer(wer: float) -> None:
    """Refuse an error rate outside `WER_RANGE`."""
    _check("write error rate", wer, WER_RANGE)


def check_reduced(i: ArrayLike, t: ArrayLike, delta: ArrayLike, h: float) -> None:
    """Refuse reduced numbers outside the region of the model."""
    _check("V / Vc0", i, CURRENT_RANGE)
    _check("pulse length / tau_d", t, TIME_RANGE)
    _check("delta", delta, DELTA_RANGE)
    _check("stray_field_ratio", h, STRAY_FIELD_RANGE)


def _check(name: str, value: ArrayLike, bounds: tuple[float, float]) -> None:
    low, high = bounds
    values = np.asarray(value, dtype=np.float64)
    wrong = ~((values >= low) & (values <= high))  # also what is not a number
    if wrong.any():
        raise PulseError(f"{name} must be from {low:g} to {high:g}, not {values[wrong].flat[0]:g}")


def _inverse(function: Callable[[float], float], wer: float, low: float, high: float, what: str) -> float:
    """Return where a falling function takes the value `wer`.

    Newton's secants in the logarithms, kept between the nearest points known on both sides (Illinois).
    """

    def above(x: float) -> float:
        return log10(max(function(x), 1e-13) / wer)

    # Start where rates of interest are, and widen by doubling: far outside the function is noise, or costly.
    left, right = (max(low, 1.0), min(high, 2.0)) if low < 2.0 else (low, high)
    at_left, at_right = above(left), above(right)
    while at_right > 0 and right < high:
        left, at_left = right, at_right
        right = min(2 * right, high)
        at_right = above(right)
    while at_left < 0 and left > low:
        right, at_right = left, at_left
        left = left / 2 if left > max(low, 1e-3) else low
        at_left = above(left)
    if at_left < 0 or at_right > 0:
        raise PulseError(f"{what}, not {wer:g}")
    while right - left > 1e-6 * right:
        middle = (left * at_right - right * at_left) / (at_right - at_left)
        # A step of at least a fifth of the tolerance, so that both ends move.
        middle = min(max(middle, left + 2e-7 * right), right - 2e-7 * right)
        at_middle = above(middle)
        if at_middle > 0:
            left, at_left, at_right = middle, at_middle, at_right / 2
        else:
            right, at_right, at_left = middle, at_middle, at_left / 2
    return (left + right) / 2


class _Propagator(NamedTuple):
    """exp(A t) for one current, barrier and stray field.

    Fields are the diagonals of A [5, n]; the least step ``2**-steps``; exp(A 2**-steps), exp(A 2 2**-steps),
    ... as far as they were needed; the coefficients of the density before the pulse [n]; the integrals of the
    polynomials over the hemisphere that is left [n].
    """

    diagonals: Array
    steps: int
    powers: list[Array]
    start: Array
    hemisphere: Array

    def wer(self, t: Array) -> Array:
        """Return the probability of still being in the first hemisphere, float64 [m] of times [m]."""
        whole = np.floor(t * 2.0**self.steps).astype(np.int64)
        rest = t - whole * 2.0**-self.steps
        density = _exponential(self.diagonals, np.repeat(self.start[:, np.newaxis], len(t), axis=1), rest)
        # Of a few times it is cheaper to apply the last power often than to square it further.
        bits = max(int(whole.max(initial=0)).bit_length() - (5 if len(t) <= 4 else 0), 1)
        for bit in range(bits):
            if bit == len(self.powers):
                self.powers.append(self.powers[-1] @ self.powers[-1])
            left = whole >> bit
            if bit < bits - 1:
                left &= 1
            for count in range(int(left.max(initial=0))):
                chosen = left > count
                density[:, chosen] = self.powers[bit] @ density[:, chosen]
        probability: Array = np.clip(self.hemisphere @ density, 0.0, 1.0)
        return probability


@lru_cache(maxsize=4)  # sweeps over time ask again and again; some 10 MB each
def _propagator(i: float, delta: float, h: float) -> _Propagator:
    # A density exp(-2 delta (1 + a) (1 - x)) has Legendre coefficients that fall below 1e-13 here; checked
    # against twice the number, and against finite volumes.
    count = max(60, ceil(sqrt(120 * delta * (1 + abs(i - h)))))
    operator = _operator(i - h, delta, count)
    diagonals = np.zeros((5, count))  # number k holds the elements [n, n + k - 2], by n
    for k in range(5):
        rows = np.arange(max(0, 2 - k), min(count, count + 2 - k))
        diagonals[k, rows] = operator[rows, rows + k - 2]
    # The 1-norm of the least step's exponent is at most 1.
    steps = frexp(float(np.abs(operator).sum(axis=0).max()))[1]
    first = _exponential(diagonals, np.eye(count), np.full(count, 2.0**-steps))
    nodes, weights, polynomials = _hemisphere(-(-count // 100) * 100)
    polynomials = polynomials[:count]
    well = weights * np.exp(delta * (nodes**2 - 1 + 2 * h * (nodes - 1)))
    return _Propagator(diagonals, steps, [first], polynomials @ well / well.sum(), polynomials @ weights)


def _exponential(diagonals: Array, vectors: Array, t: Array) -> Array:
    """Return exp(A t) of each column, [n, m], for times [m] with a norm of A t of at most 1, by Taylor."""
    term, total = vectors, vectors.copy()
    for order in range(1, 19):
        product = diagonals[2][:, np.newaxis] * term
        for k in (1, 2):
            product[k:] += diagonals[2 - k, k:, np.newaxis] * term[:-k]
            product[:-k] += diagonals[2 + k, :-k, np.newaxis] * term[k:]
        term = product * (t / order)
        total += term
    return total


def _operator(a: float, delta: float, count: int) -> Array:
    """Return the Fokker-Planck operator on the coefficients of normalised Legendre polynomials, [n, n].

    By parts, with (1 - x**2) P_n' = n (n + 1) / (2 n + 1) (P_{n-1} - P_{n+1}).
    """
    n = np.arange(count + 2)  # two more than asked for: the product of two matrices reaches beyond the last
    norm = np.sqrt(n + 0.5)
    times_x = np.zeros((count + 2, count + 2))
    times_x[n[:-1], n[1:]] = times_x[n[1:], n[:-1]] = n[1:] / np.sqrt(4.0 * n[1:] ** 2 - 1)
    slope = n * (n + 1) / (2 * n + 1) * norm
    by_parts = np.zeros_like(times_x)
    by_parts[n[1:], n[:-1]] = slope[1:] / norm[:-1]
    by_parts[n[:-1], n[1:]] = -slope[:-1] / norm[1:]
    drift = by_parts @ (times_x - a * np.eye(count + 2))
    operator: Array = drift - np.diag(n * (n + 1) / (2 * delta))
    return operator[:count, :count]


@lru_cache
def _hemisphere(count: int) -> tuple[Array, Array, Array]:
    """Return nodes and weights [2 n] of Gauss's quadrature from 0 to 1, and Legendre polynomials there.

    The n normalised polynomials' values are [n, 2 n].
    """
    nodes, weights = np.polynomial.legendre.leggauss(2 * count)
    nodes, weights = (nodes + 1) / 2, weights / 2
    values = np.empty((count, len(nodes)))
    values[0], values[1] = 1.0, nodes
    for n in range(1, count - 1):
        values[n + 1] = ((2 * n + 1) * nodes * values[n] - n * values[n - 1]) / (n + 1)
    values *= np.sqrt(np.arange(count) + 0.5)[:, np.newaxis]
    return nodes, weights, values
