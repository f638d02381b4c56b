"""A finite-volume solution of the Fokker-Planck equation: a second witness.

Cells of equal angle, fluxes fitted exponentially between them (Scharfetter-Gummel), so that the equation's
matrix has no negative entry off its diagonal and exp(A t) is computed without cancellation: rates far below
rounding errors keep their relative accuracy. It shares nothing with the package but the meaning of i, t,
delta and h.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def finite_volume_wer(i: float, t: float, delta: float, h: float = 0.0, cells: int = 300) -> float:
    """Return the write error rate; that of 300 cells is 0.7 % off at most for delta to 60."""
    faces = np.cos(np.linspace(0, np.pi, cells + 1))
    centres = np.cos(np.pi * (np.arange(cells) + 0.5) / cells)
    volumes = faces[:-1] - faces[1:]
    inner = faces[1:-1]
    potential = delta * (centres**2 - 2 * (i - h) * centres)
    conductance = (1 - inner**2) / (2 * delta) / (centres[:-1] - centres[1:])
    step = potential[:-1] - potential[1:]
    down, up = conductance * _bernoulli(step), conductance * _bernoulli(-step)
    matrix = np.diag(down / volumes[:-1], -1) + np.diag(up / volumes[1:], 1)
    matrix -= np.diag(matrix.sum(axis=0))

    start = np.where(centres > 0, volumes * np.exp(delta * (centres**2 - 1 + 2 * h * (centres - 1))), 0.0)
    halvings = int(np.ceil(np.log2(t * -matrix.min())))
    # exp(M) = exp(M + 1) / e with M + 1 nonnegative: every term of the series is.
    shifted = matrix * t * 2.0**-halvings + np.eye(cells)
    term = power = np.eye(cells)
    for order in range(1, 20):
        term = term @ shifted / order
        power = power + term
    power /= np.e
    for _ in range(halvings):
        power = power @ power
    return float((power @ start)[centres > 0].sum() / start.sum())


def _bernoulli(z: Array) -> Array:
    small = np.abs(z) < 1e-8
    return np.where(small, 1 - z / 2, z / np.expm1(np.where(small, 1.0, z)))
