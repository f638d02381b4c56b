"""What the spread from cell to cell does to the write error rate of an array, and classes for its cells.

A cell is its diameter d, thermal stability, critical voltage and resistance, each a normal deviate z of its
own around the technology's value, cut at six standard deviations:

    d = 1 + s_diameter z1                       (over the mean)
    delta = delta_0 d**2 (1 + s_delta z2)       the barrier goes with the area
    Vc0 = Vc0_0 (1 + s_vc0 z3)                  both directions together
    R = R_0 / d**2 (1 + s_resistance z4)

The critical current goes with the barrier, hence with the area, and the resistance against it, so that the
diameter leaves the critical voltage alone; `sigma_vc0` is all of that voltage's spread (assumed). A cell
keeps its values for life: a weak cell is weak at every attempt.

Means over an array are quadratures, not samples: they are the same at every run. Error rates are per
attempted switch (WER).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev, hermite_e, legendre
from numpy.typing import ArrayLike, NDArray

from spinbnn.golden.device.macrospin import (
    CLOSED_FORM_LEAST_CURRENT,
    CURRENT_RANGE,
    DELTA_RANGE,
    closed_form_wer,
    wer_function,
)
from spinbnn.golden.device.mtj import Direction, Pulse, direction_of_write, reduced_pulse
from spinbnn.golden.device.technology import MtjTechnology
from spinbnn.golden.errors import PulseError

Array = NDArray[np.float64]
CellRates = Callable[[Array], Array]

LARGEST_DEVIATION = 6.0
"""Where the deviates of `diameter`, `delta` and `vc0` are cut, in standard deviations."""

_CURRENT_NODES, _DELTA_NODES = 20, 5
_LEAST_WER = 1e-10  # below, the closed form's slope serves


class ClassRates(NamedTuple):
    """Write error rates of a pulse, per attempted switch, of each class: from 0 to 1 and from 1 to 0."""

    wer_01: tuple[float, ...]
    wer_10: tuple[float, ...]


@dataclass(frozen=True)
class VariabilityClasses:
    """A population of cells divided into classes.

    Parameters
    ----------
    fractions : tuple of float
        Of the cells, by class, strongest first; they add up to 1.
    stuck : tuple of bool
        Whether the cells of a class never switch.
    rates : tuple of ClassRates
        By pulse. Each rate is the mean over the cells of the class, so ``sum(fraction * rate)`` is the mean
        over all cells.
    """

    fractions: tuple[float, ...]
    stuck: tuple[bool, ...]
    rates: tuple[ClassRates, ...]


def array_write_error_rate(
    technology: MtjTechnology, pulse: Pulse, direction: Direction, method: str = "fokker-planck"
) -> float:
    """Return the mean write error rate, per attempted switch, of an array's cells.

    Raises
    ------
    PulseError
        If the pulse is impossible for the technology or lies outside the method's region for some cells.
    """
    rates = _cell_rates(technology, pulse, direction, method)
    deviates, weights, _ = _population(_weakness([rates]))
    return float(weights @ rates(deviates))


def write_error_rate_quantiles(
    technology: MtjTechnology,
    pulse: Pulse,
    direction: Direction,
    shares: ArrayLike,
    method: str = "fokker-planck",
) -> Array:
    """Return the write error rates, per attempted switch, that these shares of the cells do not exceed.

    Parameters
    ----------
    technology, pulse, direction, method
        As in `mtj.write_error_rate`.
    shares : float array
        From 0 to 1; 0.5 asks for the median cell.

    Raises
    ------
    PulseError
        If a share is impossible, or the pulse, as in `array_write_error_rate`.
    """
    wanted = np.asarray(shares, dtype=np.float64)
    outside = ~((wanted >= 0) & (wanted <= 1))
    if outside.any():
        raise PulseError(f"share of the cells must be from 0 to 1, not {wanted[outside].flat[0]:g}")
    rates = _cell_rates(technology, pulse, direction, method)
    deviates, weights, _ = _population(_weakness([rates]))
    wer = rates(deviates)
    order = np.argsort(wer)
    below = np.cumsum(weights[order]) - weights[order] / 2
    return np.exp(np.interp(wanted, below, np.log(wer[order])))


def variability_classes(
    technology: MtjTechnology,
    pulses: Sequence[Pulse],
    classes: int = 4,
    stuck_fraction: float = 0.0,
    method: str = "fokker-planck",
) -> VariabilityClasses:
    """Divide the cells of an array into classes by how hard they are to switch.

    The cells are ordered along the direction, in the space of their deviates, in which the logarithm of the
    error rate rises fastest (the mean over pulses and both directions, at the mean cell) and cut at its mean,
    at one standard deviation, at two, and so on: four classes hold 50, 34.1, 13.6 and 2.3 % of the cells.

    Parameters
    ----------
    technology : MtjTechnology
    pulses : sequence of Pulse
        One or more; a class is the same cells at each of them.
    classes : int
        1 to 4, the class of stuck cells included.
    stuck_fraction : float
        Of all cells, 0 to below 1; if it is not 0, the last class holds them, and nothing else.
    method : str
        As in `mtj.write_error_rate`.

    Raises
    ------
    PulseError
        If a number is impossible, or a pulse, as in `array_write_error_rate`.
    """
    spread_classes = _check_classes(pulses, classes, stuck_fraction)
    rates = [
        [_cell_rates(technology, pulse, direction_of_write(technology, bit), method) for bit in (1, 0)]
        for pulse in pulses
    ]
    weakness = _weakness([rate for of_pulse in rates for rate in of_pulse])
    deviates, weights, along = _population(weakness)
    number = np.clip(np.ceil(along).astype(int), 0, spread_classes - 1)
    shares = np.bincount(number, weights, spread_classes)

    def means(rate: CellRates) -> tuple[float, ...]:
        by_class = np.bincount(number, weights * rate(deviates), spread_classes) / shares
        return (*(float(wer) for wer in by_class), *((1.0,) if stuck_fraction else ()))

    fractions = tuple(float(share) * (1 - stuck_fraction) for share in shares)
    return VariabilityClasses(
        fractions=(*fractions, *((stuck_fraction,) if stuck_fraction else ())),
        stuck=(*(False,) * spread_classes, *((True,) if stuck_fraction else ())),
        rates=tuple(ClassRates(means(to_1), means(to_0)) for to_1, to_0 in rates),
    )


def mean_conductance_ratio(technology: MtjTechnology) -> float:
    """Return the mean conductance of an array's junctions over that of the mean cell, to second order.

    The mean energy of a junction's pulse is as many times that of the mean cell.
    """
    return (1 + technology.sigma_diameter**2) * (1 + technology.sigma_resistance**2)


def _check_classes(pulses: Sequence[Pulse], classes: int, stuck_fraction: float) -> int:
    """Return the number of classes that are left for cells that switch."""
    if not pulses:
        raise PulseError("pulses must be at least one, not none")
    least = 2 if stuck_fraction else 1
    if not isinstance(classes, int) or isinstance(classes, bool) or not least <= classes <= 4:
        raise PulseError(f"classes must be an integer from {least} to 4, not {classes!r}")
    if not 0 <= stuck_fraction < 1:
        raise PulseError(f"stuck_fraction must be from 0 to below 1, not {stuck_fraction:g}")
    return classes - 1 if stuck_fraction else classes


def _cell_rates(technology: MtjTechnology, pulse: Pulse, direction: Direction, method: str) -> CellRates:
    """Return the function from deviates (diameter, delta, vc0) [n, 3] to write error rates [n]."""
    i, t, delta, h = reduced_pulse(technology, pulse, direction)
    sigmas = technology.sigma_diameter, technology.sigma_delta, technology.sigma_vc0

    def cells(deviates: Array) -> tuple[Array, Array]:
        diameter, barrier, vc0 = (1 + sigma * z for sigma, z in zip(sigmas, deviates.T, strict=True))
        return (
            np.minimum(i / vc0, CURRENT_RANGE[1]),
            np.clip(delta * diameter**2 * barrier, *DELTA_RANGE),
        )

    extremes = np.stack([np.full(3, -LARGEST_DEVIATION), np.full(3, LARGEST_DEVIATION)])
    currents, deltas = cells(extremes)
    if method == "closed-form":
        closed_form_wer(currents.min(), t, delta, h)  # names the weakest cell, if it is too weak
        return lambda deviates: closed_form_wer(cells(deviates)[0], t, cells(deviates)[1], h)
    surface = _surface(
        method,
        t,
        h,
        (float(currents.min()), float(currents.max())),
        (float(deltas.min()), float(deltas.max())),
    )
    return lambda deviates: surface(*cells(deviates))


@lru_cache(maxsize=64)
def _surface(
    method: str, t: float, h: float, currents: tuple[float, float], deltas: tuple[float, float]
) -> Callable[[Array, Array], Array]:
    """Return the error rate as a function of current and delta between bounds, by Chebyshev interpolation.

    Interpolated is the logarithm, from the least current to where the rate is too small to matter; from there
    on it follows the closed form.
    """
    solution = wer_function(method)
    highest = max(_current_of_least_wer(t, deltas[1], h), currents[0])
    current_axis = _Axis.make(currents[0], min(currents[1], highest), _CURRENT_NODES)
    delta_axis = _Axis.make(np.log(deltas[0]), np.log(deltas[1]), _DELTA_NODES)
    values = np.array(
        [[float(solution(i, t, float(np.exp(d)), h)) for d in delta_axis.nodes] for i in current_axis.nodes]
    )
    coefficients = current_axis.fit(delta_axis.fit(np.log(np.maximum(values, 1e-13)).T).T)

    def rate(current: Array, delta: Array) -> Array:
        inside = np.minimum(current, current_axis.high)
        x, y = current_axis.reduced(inside), delta_axis.reduced(np.log(delta))
        wer = np.minimum(np.exp(chebyshev.chebval2d(x, y, coefficients)), 1.0)
        beyond = current > current_axis.high
        if beyond.any():
            there = closed_form_wer(current_axis.high, t, delta[beyond], h)
            here = closed_form_wer(current[beyond], t, delta[beyond], h)
            wer[beyond] *= np.divide(here, there, out=np.zeros_like(there), where=there > 0)
        return wer

    return rate


def _current_of_least_wer(t: float, delta: float, h: float) -> float:
    low, high = CLOSED_FORM_LEAST_CURRENT + h, CURRENT_RANGE[1]
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (
            (middle, high) if float(closed_form_wer(middle, t, delta, h)) > _LEAST_WER else (low, middle)
        )
    return high


class _Axis(NamedTuple):
    """An interval with the Chebyshev nodes for interpolation on it."""

    low: float
    high: float
    nodes: Array

    @classmethod
    def make(cls, low: float, high: float, count: int) -> "_Axis":
        points = chebyshev.chebpts1(count if high - low > 1e-9 * abs(high) else 1)
        return cls(low, high, (low + high) / 2 + (high - low) / 2 * points)

    def reduced(self, x: Array) -> Array:
        """Return x from -1 to 1."""
        if len(self.nodes) == 1:
            return np.zeros_like(x)
        reduced: Array = np.clip(2 * (x - self.low) / (self.high - self.low) - 1, -1, 1)
        return reduced

    def fit(self, values: Array) -> Array:
        """Return the coefficients [n, m] of columns of values at the nodes [n, m]."""
        matrix = chebyshev.chebvander(self.reduced(self.nodes), len(self.nodes) - 1)
        return np.asarray(np.linalg.solve(matrix, values), dtype=np.float64)


def _weakness(rates: Sequence[CellRates]) -> Array:
    """Return the unit vector [3] along which the mean logarithm of some error rates rises fastest."""
    steps = np.eye(3) / 2
    least = 1e-300
    rise = np.sum(
        [np.log(np.maximum(rate(steps), least) / np.maximum(rate(-steps), least)) for rate in rates], axis=0
    )
    length = sqrt(float(np.sum(rise**2)))
    # Where nothing spreads, any vector will do.
    weakness: Array = rise / length if length > 0 else np.array([0.0, 0.0, 1.0])
    return weakness


def _population(weakness: Array) -> tuple[Array, Array, Array]:
    """Return cells that stand for all: deviates [n, 3], weights [n] and deviate along a unit vector [n].

    Along the vector, Gauss's quadrature within each standard deviation, so that cuts at whole ones divide the
    population exactly; across it, Gauss-Hermite quadrature.
    """
    nodes, weights = legendre.leggauss(6)
    starts = np.arange(-LARGEST_DEVIATION, LARGEST_DEVIATION)
    along = (starts[:, np.newaxis] + (nodes + 1) / 2).reshape(-1)
    along_weights = np.tile(weights, len(starts)) * np.exp(-(along**2) / 2)
    across, across_weights = hermite_e.hermegauss(7)
    # Orthogonal, with the vector as first column, up to its sign.
    basis = np.linalg.qr(np.column_stack([weakness, np.eye(3)]))[0]
    basis[:, 0] = weakness
    first, second, third = (part.reshape(-1) for part in np.meshgrid(along, across, across, indexing="ij"))
    weight = np.einsum("i,j,k->ijk", along_weights, across_weights, across_weights).reshape(-1)
    deviates = np.stack([first, second, third], axis=1) @ basis.T
    return np.clip(deviates, -LARGEST_DEVIATION, LARGEST_DEVIATION), weight / weight.sum(), first
