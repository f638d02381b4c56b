"""Monte Carlo of the stochastic Landau-Lifshitz-Gilbert equation: the witness.

Free layers as single spins in three dimensions, integrated by Heun's method (Stratonovich), with thermal
noise from the fluctuation-dissipation theorem. It shares nothing with the package but the meaning of i, t,
delta and h.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def unswitched(
    current: Array,
    time: Array,
    delta: float,
    *,
    seed: int,
    h: float = 0.0,
    alpha: float = 0.2,
    step: float = 0.05,
) -> NDArray[np.bool_]:
    """Return which spins are in the hemisphere they started in at the end of their pulse.

    In units of the precession's time, s = gamma mu0 Hk t / (1 + alpha**2), which is t / tau_d / alpha,

        dm/ds = -m x (H + alpha m x (H - i z)),  H = (m_z + h) z + noise.

    Parameters
    ----------
    current, time : float64 [n]
        Of each spin: V / Vc0, and the pulse's length over tau_d.
    delta, h : float
        Thermal stability and stray field over anisotropy field.
    seed : int
    alpha : float
        Damping; the result does not depend on it.
    step : float
        Of s. Heun's method lets the angle of precession grow relatively by ``step**3 / 8`` a unit of s: the
        rates here come out 10 % too low at 0.2, 1 to 2 % at 0.1, and less than 0.3 % at 0.05.
    """
    rng = np.random.default_rng(seed)
    spins = len(current)
    # Equilibrium in the well, by the inverse of its distribution.
    grid = np.linspace(0.0, 1.0, 20001)
    distribution = np.cumsum(np.exp(delta * (grid**2 - 1 + 2 * h * (grid - 1))))
    distribution = (distribution - distribution[0]) / (distribution[-1] - distribution[0])
    along = np.interp(rng.random(spins), distribution, grid)
    angle = 2 * np.pi * rng.random(spins)
    across = np.sqrt(1 - along**2)
    m = np.stack([across * np.cos(angle), across * np.sin(angle), along])

    steps = int(np.ceil(time.max() / alpha / step))
    ends = np.round(time / alpha / (time.max() / alpha / steps)).astype(int)
    step = time.max() / alpha / steps
    deviation = np.sqrt(alpha / (delta * (1 + alpha**2)) / step)
    result = np.zeros(spins, dtype=bool)
    for number in range(1, steps + 1):
        noise = deviation * rng.standard_normal((3, spins))
        slope = _slope(m, noise, current, h, alpha)
        predicted = m + step * slope
        m += step / 2 * (slope + _slope(predicted, noise, current, h, alpha))
        m /= np.sqrt((m * m).sum(axis=0))
        over = ends == number
        if over.any():
            result[over] = m[2, over] > 0
    return result


def _slope(m: Array, noise: Array, current: Array, h: float, alpha: float) -> Array:
    field = noise.copy()
    field[2] += m[2] + h
    driven = field.copy()
    driven[2] -= current
    field += alpha * _cross(m, driven)
    return _cross(field, m)


def _cross(a: Array, b: Array) -> Array:
    result = np.empty_like(a)
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[y], b[z], out=result[x])
        result[x] -= a[z] * b[y]
    return result
