"""Weights as integers and a scale for each neuron."""

from fractions import Fraction

import numpy as np

from spinbnn.golden.weights import LARGEST_ODD_WEIGHT, LARGEST_WEIGHT
from spinbnn.sim.interchange.exact import common_factor
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.signals import Constant, Integers

_ACCEPTED = (
    "weights behind BipolarQuant, Quant of up to 8 bits or Sign, or weights that are +1 and -1 or "
    f"integers within {LARGEST_WEIGHT}, times one scale a neuron"
)


def integer_weights(constant: Constant, neuron_axis: int) -> tuple[Integers, list[Fraction]]:
    """Return weights as integers, [N, ...], and the scale of each neuron.

    Raises
    ------
    Refused
        If they are no integers times a scale, or too large.
    """
    array = np.moveaxis(constant.array, neuron_axis, 0)
    if not np.isfinite(array).all():
        raise Refused("a weight is not finite", _ACCEPTED)
    if constant.levels is not None:
        integers = np.moveaxis(constant.levels.integers, neuron_axis, 0)
        scales = np.moveaxis(constant.levels.scale, neuron_axis, 0).reshape(len(integers), -1)
        if np.any(scales != scales[:, :1]):
            raise Refused(
                "its weights have several scales in one neuron", "one scale for all, or one a neuron"
            )
        scale = [Fraction(each) for each in scales[:, 0].tolist()]
    else:
        pairs = [_row(row) for row in array.reshape(len(array), -1)]
        integers = np.array([row for row, _ in pairs], np.int64).reshape(array.shape)
        scale = [each for _, each in pairs]
    shared = int(np.gcd.reduce(integers, axis=None)) or 1
    integers = integers // shared
    largest, odd = int(np.abs(integers).max()), bool(np.all(integers % 2))
    if largest > (LARGEST_ODD_WEIGHT if odd else LARGEST_WEIGHT):
        raise Refused(f"its integer weights reach {largest}", _ACCEPTED)
    return integers, [each * shared for each in scale]


def _row(row: np.ndarray) -> tuple[Integers, Fraction]:
    """Return one neuron's weights as integers and their scale."""
    magnitudes = np.unique(np.abs(row))
    if len(magnitudes) > LARGEST_WEIGHT + 1:
        raise Refused("its weights are floats that no quantiser has made few", _ACCEPTED)
    scale = common_factor(Fraction(each) for each in magnitudes.tolist())
    if not scale:
        return np.zeros(len(row), np.int64), Fraction(1)
    integers = {each: int(Fraction(each) / scale) for each in magnitudes.tolist()}
    if max(integers.values()) > LARGEST_ODD_WEIGHT:
        raise Refused("its weights are floats that are no small integers times a scale", _ACCEPTED)
    return np.array([integers[abs(each)] * (1 if each > 0 else -1) for each in row.tolist()], np.int64), scale
