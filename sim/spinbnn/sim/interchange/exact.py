"""Exact real numbers: fractions, and fractions with the square root that batch normalisation brings."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROOT_BITS = 256


@dataclass(frozen=True, slots=True)
class Real:
    """The number ``rational + root * sqrt(square)``.

    Parameters
    ----------
    rational, root : Fraction
    square : Fraction
        Not negative.
    """

    rational: Fraction
    root: Fraction = Fraction(0)
    square: Fraction = Fraction(0)

    def linear(self, scale: Fraction, bias: Fraction) -> "Real":
        """Return ``scale * self + bias``."""
        return Real(scale * self.rational + bias, scale * self.root, self.square)

    def sign(self) -> int:
        """Return -1, 0 or 1."""
        # The two terms compare as their squares do.
        total = self.rational * abs(self.rational) + self.root * abs(self.root) * self.square
        return (total > 0) - (total < 0)

    def minus(self, other: Fraction) -> "Real":
        """Return ``self - other``."""
        return Real(self.rational - other, self.root, self.square)

    @property
    def is_rational(self) -> bool:
        """Whether no root is left."""
        return self.root == 0

    def nearly(self) -> Fraction:
        """Return the number itself if it is rational, else a fraction within 2**-200 of it."""
        if self.is_rational:
            return self.rational
        # sqrt(n/d) = sqrt(n*d)/d
        numerator, denominator = self.square.numerator, self.square.denominator
        root = Fraction(isqrt(numerator * denominator << 2 * _ROOT_BITS), denominator << _ROOT_BITS)
        return self.rational + self.root * root


def fractions(values: NDArray[Any]) -> list[Fraction]:
    """Return the elements of an array as they are, without rounding."""
    return [Fraction(value) for value in np.asarray(values).ravel().tolist()]


def common_factor(values: Iterable[Fraction]) -> Fraction:
    """Return the largest fraction of which all values are whole multiples; 0 if all are 0."""
    numerator, denominator = 0, 1
    for value in values:
        numerator = gcd(numerator * value.denominator, value.numerator * denominator)
        denominator *= value.denominator
        shared = gcd(numerator, denominator) or 1
        numerator, denominator = numerator // shared, denominator // shared
    return Fraction(numerator, denominator)
