"""QONNX's quantisers: on constants as its executor computes them, on signals as staircases."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.sim.interchange.exact import fractions
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.signals import Constant, Levels
from spinbnn.sim.interchange.steps import Staircase

_HALF = Fraction(1, 2)
_MAX_BITS = 8
_ROUNDINGS = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR")


class QuantParameters:
    """Range and rounding of a Quant node.

    Parameters
    ----------
    attributes : mapping
    bits : array of one element

    Raises
    ------
    Refused
        If they are not supported.
    """

    def __init__(self, attributes: Mapping[str, Any], bits: NDArray[Any]) -> None:
        if bits.size != 1 or float(bits.ravel()[0]) not in range(1, _MAX_BITS + 1):
            shown = float(bits.ravel()[0]) if bits.size == 1 else "several"
            raise Refused(
                f"it has {shown:g} bits" if bits.size == 1 else "it has several bit widths",
                f"1 to {_MAX_BITS} bits",
            )
        count = int(bits.ravel()[0])
        signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 1))
        self.rounding = str(attributes.get("rounding_mode", "ROUND")).upper()
        if self.rounding not in _ROUNDINGS:
            raise Refused(f"its rounding_mode is {self.rounding}", " or ".join(_ROUNDINGS))
        # QONNX's executor takes one signed bit as +1 and -1.
        self.bipolar = signed and count == 1
        if signed:
            self.low, self.high = -(2 ** (count - 1)) + narrow, 2 ** (count - 1) - 1
        else:
            self.low, self.high = 0, 2**count - 1 - narrow

    def round(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the integers that scaled values are quantised to."""
        if self.bipolar:
            return np.where(values >= 0, 1, -1).astype(values.dtype)
        function: Any = {"CEIL": np.ceil, "FLOOR": np.floor}.get(self.rounding, np.round)
        rounded: NDArray[Any] = function(np.clip(values, self.low, self.high))
        return rounded

    def thresholds(self) -> tuple[list[Fraction], list[bool], list[int]]:
        """Return where the integer steps up, whether a tie does, and the integers."""
        if self.bipolar:
            return [Fraction(0)], [True], [-1, 1]
        upper = range(self.low + 1, self.high + 1)
        levels = list(range(self.low, self.high + 1))
        if self.rounding == "CEIL":
            return [Fraction(level - 1) for level in upper], [False] * len(upper), levels
        if self.rounding == "FLOOR":
            return [Fraction(level) for level in upper], [True] * len(upper), levels
        return [level - _HALF for level in upper], [level % 2 == 0 for level in upper], levels


def quantised_constant(constants: list[Constant], parameters: QuantParameters | None) -> Constant:
    """Return a constant quantised by BipolarQuant (`parameters` None) or Quant.

    Raises
    ------
    Refused
        If a scale is not finite and above 0.
    """
    value, scale = constants[0].array, _scale(constants[1].array)
    if parameters is None:
        integers = np.where(value >= 0, 1, -1)
    else:
        zero = constants[2].array
        integers = parameters.round(value / scale + zero) - zero
        if not np.array_equal(integers, np.round(integers)):
            raise Refused("its zero point is no integer", "an integer zero point, best 0")
    scale = np.broadcast_to(scale, integers.shape)
    return Constant((integers * scale).astype(value.dtype), Levels(integers.astype(np.int64), scale))


def _scale(scale: NDArray[Any]) -> NDArray[Any]:
    if not (np.isfinite(scale).all() and np.all(scale > 0)):
        raise Refused(f"its scale is {float(scale.ravel()[np.argmin(scale)]):g}", "a finite scale above 0")
    return scale


def bipolar_staircase(node: str, scale: list[Fraction]) -> Staircase:
    """Return BipolarQuant: a tie at 0 is +1."""
    return Staircase(node, [[Fraction(0)]], [True], [[-each, each] for each in scale])


def quant_staircase(
    node: str, scale: list[Fraction], zero: list[Fraction], parameters: QuantParameters
) -> Staircase:
    """Return Quant: round to even, or as its rounding mode says."""
    thresholds, inclusive, levels = parameters.thresholds()
    width = max(len(scale), len(zero))
    pairs = [(scale[n % len(scale)], zero[n % len(zero)]) for n in range(width)]
    return Staircase(
        node,
        [[(threshold - z) * s for threshold in thresholds] for s, z in pairs],
        inclusive,
        [[(level - z) * s for level in levels] for s, z in pairs],
    )


def multi_threshold_staircase(
    node: str, thresholds: NDArray[Any], out_scale: float, out_bias: float
) -> Staircase:
    """Return MultiThreshold: a value that equals a threshold reaches it."""
    columns = [sorted(fractions(row)) for row in thresholds]
    scale, bias = Fraction(out_scale), Fraction(out_bias)
    levels = [scale * count + bias for count in range(thresholds.shape[1] + 1)]
    return Staircase(node, columns, [True] * thresholds.shape[1], [levels])
