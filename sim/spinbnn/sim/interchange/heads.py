"""From what lies behind a layer's sums to golden's heads: thresholds, and logits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from spinbnn.golden.layers import MAX_ACTIVATION_BITS, Affine, Head, MultiThreshold, Threshold
from spinbnn.sim.interchange.exact import Real, common_factor
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.signals import Coding, Stage
from spinbnn.sim.interchange.steps import Staircase, Steps, direction, evaluate

_QUANTISERS = (
    "BipolarQuant, Quant of 1 to 4 bits, MultiThreshold of up to 15 thresholds, or Sign between layers"
)
_LARGEST_LOGIT = 2**31 - 1
_LARGEST_SCALE = 2**15 - 1
_ZERO = Fraction(0)


def coding_of(levels: Sequence[Fraction]) -> tuple[Coding, int]:
    """Return how activations of given levels are coded, and the integer of the smallest.

    Parameters
    ----------
    levels : sequence of Fraction
        Ascending.

    Raises
    ------
    Refused
        If golden has no such activations.
    """
    spacing = common_factor(b - a for a, b in pairwise(levels))
    if len(levels) < 2:
        raise Refused("the quantiser has one level only", _QUANTISERS)
    if any(b - a != spacing for a, b in pairwise(levels)):
        shown = ", ".join(f"{float(level):g}" for level in levels[:6])
        raise Refused(f"the quantiser's levels are not evenly spaced ({shown})", _QUANTISERS)
    largest = len(levels) - 1
    if largest >= 2**MAX_ACTIVATION_BITS:
        raise Refused(f"the quantiser has {len(levels)} levels", _QUANTISERS)
    if levels[0] == -levels[-1] and largest == 1:
        return Coding(1, "bipolar", levels[1], _ZERO), 0
    low = levels[0] / spacing
    if low.denominator == 1 and low < 0:
        bits = max(2, (-low.numerator - 1).bit_length() + 1, (low.numerator + largest).bit_length() + 1)
        if bits <= MAX_ACTIVATION_BITS:
            return Coding(bits, "signed", spacing, _ZERO), low.numerator
    return Coding(largest.bit_length(), "unsigned", spacing, levels[0]), 0


def activation_head(stage: Stage, steps: Steps) -> tuple[Head, Coding]:
    """Return a layer's thresholds and how its activations are coded.

    Raises
    ------
    Refused
        If there is no quantiser, or golden has no such activations.
    """
    places = [number for number, step in enumerate(steps) if isinstance(step, Staircase)]
    if not places:
        raise Refused(f"no quantiser lies between it and {stage.what}", _QUANTISERS)
    stairs, before, behind = steps[places[-1]], steps[: places[-1]], steps[places[-1] + 1 :]
    assert isinstance(stairs, Staircase)
    levels = _common_levels(stage, stairs, behind)
    counts = _Counts(stage, stairs, before)
    if stairs.zero_of_sign and len(levels) == 3:
        counts.refuse_zeros()
        levels = [levels[0], levels[2]]
    coding, low = coding_of(levels)
    columns, flips = [], []
    for channel in range(stage.channels):
        ranks = _ranks(levels, stairs, behind, channel)
        ascends = direction(steps, channel) >= 0
        columns.append(counts.thresholds(channel, ranks, len(levels) - 1, ascends))
        flips.append(not ascends)
    values, flip = np.array(columns, np.int64).T.astype(np.int32), np.array(flips)
    if coding.kind == "bipolar":
        return Threshold(values[0], flip), coding
    return MultiThreshold(values, flip, coding.bits, low), coding


def _levels_behind(stairs: Staircase, behind: Steps, channel: int) -> list[Fraction]:
    """Return what the steps behind a quantiser make of its levels."""
    reals = [evaluate(behind, channel, level) for level in stairs.levels_of(channel)]
    if not all(real.is_rational for real in reals):
        raise Refused(
            f"batch normalisation lies between quantiser '{stairs.node}' and this",
            "batch normalisation before the quantiser",
        )
    return [real.rational for real in reals]


def _common_levels(stage: Stage, stairs: Staircase, behind: Steps) -> list[Fraction]:
    """Return the levels of activations, ascending, equal in all channels."""
    alike = max([len(stairs.levels), *(step.width for step in behind)]) == 1
    sets = [
        sorted(set(_levels_behind(stairs, behind, channel)))
        for channel in range(1 if alike else stage.channels)
    ]
    for channel, levels in enumerate(sets):
        if levels != sets[0]:
            raise Refused(
                f"activations of {stage.what} have other levels in channel {channel} than in channel 0",
                "one scale for all channels of an activation",
            )
    return sets[0]


def _ranks(levels: list[Fraction], stairs: Staircase, behind: Steps, channel: int) -> list[int]:
    """Return for each number of reached thresholds the number of the level."""
    values = _levels_behind(stairs, behind, channel)
    # The level of Sign for 0 is never met where it is not among the levels.
    return [levels.index(value) if value in levels else 0 for value in values]


@dataclass(frozen=True)
class _Counts:
    """How many of a quantiser's thresholds each integer of a layer reaches."""

    stage: Stage
    stairs: Staircase
    before: Steps

    def count(self, channel: int, integer: int) -> int:
        real = evaluate(self.before, channel, Fraction(integer))
        return self.stairs.count(channel, real)

    def first(self, holds: Callable[[int], bool]) -> int:
        """Return the first integer for which a monotone predicate holds."""
        low, high = self.stage.low, self.stage.reach
        while low <= high:
            middle = (low + high) // 2
            if holds(middle):
                high = middle - 1
            else:
                low = middle + 1
        return low

    def thresholds(self, channel: int, ranks: list[int], largest: int, ascends: bool) -> list[int]:
        """Return the integers at which a channel's activation changes, ascending."""
        known: dict[int, int] = {}

        def rank(integer: int) -> int:
            if integer not in known:
                known[integer] = ranks[self.count(channel, integer)]
            return known[integer]

        if ascends:
            return [self.first(lambda x, t=t: rank(x) > t) for t in range(largest)]  # type: ignore[misc]
        return [self.first(lambda x, t=t: rank(x) < largest - t) for t in range(largest)]  # type: ignore[misc]

    def refuse_zeros(self) -> None:
        """See that no integer makes the input of a Sign exactly 0."""
        parity, met = self.stage.parity, []
        for channel in range(self.stage.channels):
            if direction(self.before, channel) >= 0:
                begin = self.first(lambda x, c=channel: self.count(c, x) >= 1)  # type: ignore[misc]
                end = self.first(lambda x, c=channel: self.count(c, x) >= 2)  # type: ignore[misc]
            else:
                begin = self.first(lambda x, c=channel: self.count(c, x) < 2)  # type: ignore[misc]
                end = self.first(lambda x, c=channel: self.count(c, x) < 1)  # type: ignore[misc]
            zeros = [x for x in range(begin, min(end, begin + 2)) if parity is None or x % 2 == parity]
            if zeros:
                met.append((channel, zeros[0]))
        if met:
            channel, integer = met[0]
            others = f" and in {len(met) - 1} other neurons" if len(met) > 1 else ""
            raise Refused(
                f"Sign '{self.stairs.node}' gives 0 for the sum {integer} in neuron {channel}{others}",
                "BipolarQuant, whose sign of 0 is +1, or --sign-of-zero plus, which takes Sign's as +1",
            )


@dataclass(frozen=True)
class Logits:
    """The head of the last layer, and what its integers mean.

    Parameters
    ----------
    head : Affine
    scale, offset : Fraction
        The model's logit is ``scale * integer + offset``.
    error : float
        The most that it differs from that, in the model's units; 0 if it is exact.
    """

    head: Affine
    scale: Fraction
    offset: Fraction
    error: float


def logit_head(stage: Stage, steps: Steps) -> Logits:
    """Return the head of the last layer, exact where a common scale makes it so, else rounded."""
    at_zero = [evaluate(steps, channel, _ZERO) for channel in range(stage.channels)]
    at_one = [evaluate(steps, channel, Fraction(1)) for channel in range(stage.channels)]
    slopes = [
        Real(one.rational - zero.rational, one.root - zero.root, one.square)
        for zero, one in zip(at_zero, at_one, strict=True)
    ]
    slope, bias = [each.nearly() for each in slopes], [each.nearly() for each in at_zero]
    reach = stage.reach
    if all(each.is_rational for each in (*slopes, *at_zero)):
        for offset in (_ZERO, bias[0]):
            differences = [each - offset for each in bias]
            factor = common_factor([*slope, *differences])
            if factor and _fits(slope, differences, factor, reach):
                return Logits(_affine(slope, differences, factor), factor, offset, 0.0)
    # A float is short to write down, and its own rounding is part of the error.
    factor = Fraction(float(_rounding_factor(slope, bias, reach)))
    head = _affine(slope, bias, factor)
    error = max(
        abs(slope[n] - factor * int(head.scale[n])) * reach + abs(bias[n] - factor * int(head.bias[n]))
        for n in range(len(slope))
    )
    return Logits(head, factor, _ZERO, float(error))


def _fits(slope: list[Fraction], bias: list[Fraction], factor: Fraction, reach: int) -> bool:
    scales = [abs(each) / factor for each in slope]
    logits = [a * reach + abs(b) / factor for a, b in zip(scales, bias, strict=True)]
    return max(scales) <= _LARGEST_SCALE and max(logits) <= _LARGEST_LOGIT


def _rounding_factor(slope: list[Fraction], bias: list[Fraction], reach: int) -> Fraction:
    """Return the finest unit in which scales and logits fit."""
    steepest = max(abs(each) for each in slope)
    largest = max(steepest * reach + abs(each) for each in bias)
    if not largest:
        return Fraction(1)
    # Rounding adds at most half a unit to a scale, so half a sum to a logit, and half a unit to a bias.
    room = _LARGEST_LOGIT - reach - 1
    units = min(_LARGEST_SCALE, int(room * steepest / largest))
    return steepest / units if units else largest / room


def _affine(slope: list[Fraction], bias: list[Fraction], factor: Fraction) -> Affine:
    scale = [round(each / factor) for each in slope]
    return Affine(np.array(scale, np.int32), np.array([round(each / factor) for each in bias], np.int32))
