"""From images of bytes to what the first layer reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import DataError
from spinbnn.golden.network import Network
from spinbnn.sim.interchange.exact import common_factor
from spinbnn.sim.interchange.problems import ModelError, Refused
from spinbnn.sim.interchange.signals import Coding, ImageSource
from spinbnn.sim.interchange.steps import Linear, Staircase, Steps, evaluate, is_linear

_ONE, _ZERO = Fraction(1), Fraction(0)
_BYTE = range(256)


@dataclass(frozen=True)
class InputForm:
    """What the model is given for an image: ``scale * pixel + offset`` of pixels from 0 to 255, or +1 and -1.

    Parameters
    ----------
    scale, offset : Fraction
    bipolar : bool
        The elements are +1 and -1, and there is no pixel.
    """

    scale: Fraction = Fraction(1, 255)
    offset: Fraction = _ZERO
    bipolar: bool = False

    @classmethod
    def parse(cls, text: str) -> "InputForm":
        """Return the form that a text names: unit, raw, symmetric, bipolar, or "SCALE,OFFSET".

        Raises
        ------
        ModelError
            If it names none.
        """
        if text in INPUT_FORMS:
            return INPUT_FORMS[text]
        try:
            scale, offset = map(Fraction, text.split(","))
        except (ValueError, ZeroDivisionError):
            scale, offset = _ZERO, _ZERO
        if not scale:
            names = ", ".join(INPUT_FORMS)
            raise ModelError(
                f"--input must be {names}, or SCALE,OFFSET such as 1/255,-1/2 with a scale that is not 0, "
                f"not '{text}'"
            )
        return cls(scale, offset)

    @property
    def steps(self) -> Steps:
        """What makes the model's input of a pixel."""
        return () if self.bipolar else (Linear([self.scale], [self.offset]),)


INPUT_FORMS = {
    "unit": InputForm(),
    "raw": InputForm(_ONE),
    "symmetric": InputForm(Fraction(2, 255), Fraction(-1)),
    "bipolar": InputForm(bipolar=True),
}
"""What models are given: pixels from 0 to 1 (as of PyTorch's ToTensor), 0 to 255, -1 to 1; or +1 and -1."""


def code_images(source: ImageSource, steps: Steps, form: InputForm) -> Coding:
    """Return how the first layer's inputs are coded; put what pixels become into the source's metadata.

    Raises
    ------
    Refused
        If golden has no such inputs.
    """
    if not any(isinstance(step, Staircase) for step in steps):
        return _linear_coding(steps, form)
    domain: Sequence[int] = (-1, 1) if form.bipolar else _BYTE
    reals = [evaluate(steps, 0, Fraction(integer)) for integer in domain]
    if not all(real.is_rational for real in reals):
        raise Refused("batch normalisation lies behind the input's quantiser", "none there")
    values = [real.rational for real in reals]
    levels = sorted(set(values))
    if len(levels) == 1:
        raise Refused(
            "the input's quantiser gives the same for every pixel", "a quantiser whose levels are met"
        )
    if form.bipolar:
        half = (values[1] - values[0]) / 2
        return Coding(1, "bipolar", half, values[0] + half)
    if len(levels) == 2:
        return _two_level_coding(source, values)
    return _table_coding(source, values, levels)


def _linear_coding(steps: Steps, form: InputForm) -> Coding:
    if not is_linear(steps):
        raise Refused(
            "the input passes a ReLU or Clip but no quantiser", "Mul, Add, Sub and Div, or a quantiser"
        )
    offset, at_one = evaluate(steps, 0, _ZERO), evaluate(steps, 0, _ONE)
    if not (offset.is_rational and at_one.is_rational):
        raise Refused("batch normalisation of the input has no quantiser behind it", "Mul, Add, Sub and Div")
    scale = at_one.rational - offset.rational
    if not scale:
        raise Refused("the input is multiplied by 0", "another factor")
    return Coding(1 if form.bipolar else 8, "bipolar" if form.bipolar else "unsigned", scale, offset.rational)


def _two_level_coding(source: ImageSource, values: list[Fraction]) -> Coding:
    first, last = values[0], values[-1]
    threshold = next(pixel for pixel, value in enumerate(values) if value != first)
    source.metadata["input_threshold"] = threshold
    if first == -last:
        return Coding(1, "bipolar", last, _ZERO)
    return Coding(1, "unsigned", last - first, first)


def _table_coding(source: ImageSource, values: list[Fraction], levels: list[Fraction]) -> Coding:
    spacing = common_factor(b - a for a, b in pairwise(levels))
    lowest = levels[0]
    from_zero = (lowest / spacing).denominator == 1 and lowest >= 0 and levels[-1] / spacing <= _BYTE[-1]
    offset = _ZERO if from_zero else lowest
    codes = [(value - offset) / spacing for value in values]
    if max(codes) > _BYTE[-1]:
        raise Refused(f"the input's quantiser has levels up to {max(codes)} apart", "up to 256 levels")
    table = [int(code) for code in codes]
    if table != list(_BYTE):
        source.metadata["input_table"] = table
    return Coding(max(table).bit_length(), "unsigned", spacing, offset)


def imported_with_inputs(network: Network) -> bool:
    """Return whether a network's metadata says what becomes of a pixel."""
    return not {"input_threshold", "input_table"}.isdisjoint(network.metadata)


def network_pixels(network: Network, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images as an imported network reads them.

    Parameters
    ----------
    network : Network
        Its metadata may say, as "input_threshold", from which pixel on an input is 1, or, as "input_table",
        what each pixel becomes.
    pixels : uint8 [n, K]
        From 0 to 255, in the network's order: maps channels last.

    Returns
    -------
    uint8 [n, K]

    Raises
    ------
    DataError
        If the type is wrong.
    """
    if pixels.dtype != np.uint8:
        raise DataError(f"pixels must be uint8, not {pixels.dtype}")
    if "input_threshold" in network.metadata:
        threshold: int = network.metadata["input_threshold"]
        return (pixels >= threshold).astype(np.uint8)
    if "input_table" in network.metadata:
        table = np.array(network.metadata["input_table"], np.uint8)
        return table[pixels]
    return pixels
