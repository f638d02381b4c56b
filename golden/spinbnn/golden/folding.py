"""Folding batch normalisation and sign into an integer threshold, exactly."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Threshold

Floats = NDArray[np.floating]


def fold_batch_norm(
    gamma: Floats, beta: Floats, mean: Floats, variance: Floats, epsilon: float, low: int, high: int
) -> Threshold:
    """Return the threshold equal to ``gamma * (sum - mean) / sqrt(variance + epsilon) + beta >= 0``.

    Equal for every integer sum from `low` to `high`, in exact arithmetic on the floats as given: no rounding
    moves a tie, and a tie is +1.

    Parameters
    ----------
    gamma, beta, mean, variance : float32 or float64 [N]
        Any signs of gamma and beta, zero included.
    epsilon : float
    low, high : int
        Smallest and largest reachable sum.

    Returns
    -------
    Threshold
        With values from `low` (always 1 before the flip) to ``high + 1`` (never).

    Raises
    ------
    NetworkError
        If shapes differ, a number is not finite, variance plus epsilon is not positive or the range is empty.
    """
    parameters = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    for name, values in parameters.items():
        if values.ndim != 1 or values.shape != gamma.shape or values.dtype.kind != "f":
            raise NetworkError(
                f"batch norm {name} must be floats of shape {gamma.shape}, "
                f"not {values.dtype} of shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise NetworkError(f"batch norm {name} must be finite, not {values[~np.isfinite(values)][0]}")
    if not np.isfinite(epsilon):
        raise NetworkError(f"batch norm epsilon must be finite, not {epsilon}")
    if not -(2**31) <= low <= high < 2**31 - 1:
        raise NetworkError(f"sums must range from low to high within int32, not from {low} to {high}")

    values = np.empty(len(gamma), dtype=np.int64)
    flip = np.empty(len(gamma), dtype=np.bool_)
    for channel in range(len(gamma)):
        square = _exact(variance[channel]) + _exact(epsilon)
        if square <= 0:
            raise NetworkError(f"batch norm variance + epsilon must be positive, not {float(square)}")
        values[channel], flip[channel] = _fold(
            _exact(gamma[channel]), _exact(beta[channel]), _exact(mean[channel]), square, low, high
        )
    return Threshold(values.astype(np.int32), flip)


def _exact(value: float | np.floating) -> Fraction:
    return Fraction(float(value))


def _fold(
    gamma: Fraction, beta: Fraction, mean: Fraction, square: Fraction, low: int, high: int
) -> tuple[int, bool]:
    """Return value and flip of one channel; `square` is its variance plus epsilon."""

    def is_one(x: int) -> bool:
        # Times the positive root of `square`: a + b * root >= 0, which signs and squares decide exactly.
        a, b = gamma * (x - mean), beta
        return a * abs(a) + b * abs(b) * square >= 0

    if gamma >= 0:
        return _first(is_one, low, high), False
    return _first(lambda x: not is_one(x), low, high), True


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the first integer of `low` to `high` for which a monotone predicate holds, else ``high + 1``."""
    while low <= high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle - 1
        else:
            low = middle + 1
    return low
