"""What lies between a layer's integers and the next layer: monotone functions of a number, one a channel."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from spinbnn.sim.interchange.exact import Real

Numbers = Sequence[Fraction]
"""One for each channel, or one for all."""


def of_channel(numbers: Sequence[Fraction], channel: int) -> Fraction:
    """Return the number that belongs to a channel."""
    return numbers[channel] if len(numbers) > 1 else numbers[0]


def _sign(value: Fraction) -> int:
    return (value > 0) - (value < 0)


class Step(ABC):
    """A monotone function of a real number in each channel."""

    @abstractmethod
    def apply(self, channel: int, value: Real) -> Real:
        """Return the function's value."""

    @abstractmethod
    def direction(self, channel: int) -> int:
        """Return 1 where the function ascends, -1 where it descends, 0 where it is constant."""

    @property
    def width(self) -> int:
        """Channels that differ; 1 if all are alike."""
        return 1


@dataclass(frozen=True)
class Linear(Step):
    """``scale * value + bias``."""

    scale: Numbers
    bias: Numbers

    def apply(self, channel: int, value: Real) -> Real:
        """Return the function's value."""
        return value.linear(of_channel(self.scale, channel), of_channel(self.bias, channel))

    def direction(self, channel: int) -> int:
        """Return the sign of the scale."""
        return _sign(of_channel(self.scale, channel))

    @property
    def width(self) -> int:
        """Channels that differ; 1 if all are alike."""
        return max(len(self.scale), len(self.bias))

    @property
    def homogeneous(self) -> bool:
        """Whether nothing is added, and no channel is lost."""
        return not any(self.bias) and all(self.scale)


@dataclass(frozen=True)
class Normalise(Step):
    """Batch normalisation: ``gamma * (value - mean) / sqrt(square) + beta``, `square` above 0."""

    gamma: Numbers
    beta: Numbers
    mean: Numbers
    square: Numbers

    def apply(self, channel: int, value: Real) -> Real:
        """Return the function's value of a rational number."""
        assert value.is_rational
        square = of_channel(self.square, channel)
        difference = value.rational - of_channel(self.mean, channel)
        root = of_channel(self.gamma, channel) * difference / square
        return Real(of_channel(self.beta, channel), root, square)

    def direction(self, channel: int) -> int:
        """Return the sign of gamma."""
        return _sign(of_channel(self.gamma, channel))

    @property
    def width(self) -> int:
        """Channels that differ; 1 if all are alike."""
        return max(len(each) for each in (self.gamma, self.beta, self.mean, self.square))


@dataclass(frozen=True)
class Clip(Step):
    """The nearest value from `low` to `high`; None leaves a side open."""

    low: Fraction | None
    high: Fraction | None

    def apply(self, channel: int, value: Real) -> Real:
        """Return the function's value."""
        if self.low is not None and value.minus(self.low).sign() < 0:
            return Real(self.low)
        if self.high is not None and value.minus(self.high).sign() > 0:
            return Real(self.high)
        return value

    def direction(self, channel: int) -> int:
        """Return 1."""
        return 1

    @property
    def is_relu(self) -> bool:
        """Whether it is ``max(0, value)``."""
        return self.low == 0 and self.high is None


@dataclass(frozen=True)
class Staircase(Step):
    """A quantiser: ``levels[number of thresholds reached]``.

    Parameters
    ----------
    node : str
        The node's name, for messages.
    thresholds : sequence of numbers, one sequence a channel or one for all
        Ascending.
    inclusive : sequence of bool
        For each threshold whether a value that equals it reaches it.
    levels : sequence of numbers, one sequence a channel or one for all
        One more than thresholds, ascending or descending.
    zero_of_sign : bool
        Levels are those of ONNX's Sign, of which the middle one is for exactly 0.
    """

    node: str
    thresholds: Sequence[Sequence[Fraction]]
    inclusive: Sequence[bool]
    levels: Sequence[Sequence[Fraction]]
    zero_of_sign: bool = field(default=False)

    def apply(self, channel: int, value: Real) -> Real:
        """Return the function's value."""
        return Real(self.levels_of(channel)[self.count(channel, value)])

    def count(self, channel: int, value: Real) -> int:
        """Return the number of thresholds that a value reaches."""
        thresholds = self.thresholds[channel] if len(self.thresholds) > 1 else self.thresholds[0]
        low, high = 0, len(thresholds)
        while low < high:
            middle = (low + high) // 2
            above = value.minus(thresholds[middle]).sign()
            if above > 0 or (above == 0 and self.inclusive[middle]):
                low = middle + 1
            else:
                high = middle
        return low

    def levels_of(self, channel: int) -> Sequence[Fraction]:
        """Return the levels of a channel."""
        return self.levels[channel] if len(self.levels) > 1 else self.levels[0]

    def direction(self, channel: int) -> int:
        """Return which way the levels go."""
        levels = self.levels_of(channel)
        return _sign(levels[-1] - levels[0])

    @property
    def width(self) -> int:
        """Channels that differ; 1 if all are alike."""
        return max(len(self.thresholds), len(self.levels))


Steps = tuple[Step, ...]


def evaluate(steps: Steps, channel: int, value: Fraction) -> Real:
    """Return what steps make of a number."""
    real = Real(value)
    for step in steps:
        real = step.apply(channel, real)
    return real


def direction(steps: Steps, channel: int) -> int:
    """Return 1, -1 or 0 as all steps together ascend, descend or lose the value."""
    product = 1
    for step in steps:
        product *= step.direction(channel)
    return product


def is_linear(steps: Steps) -> bool:
    """Whether averaging before the steps is the same as averaging behind them."""
    return all(isinstance(step, Linear | Normalise) for step in steps)


def has_root(steps: Steps) -> bool:
    """Whether the value of steps may be irrational."""
    for step in reversed(steps):
        if isinstance(step, Staircase):
            return False
        if isinstance(step, Normalise):
            return True
    return False


def add_linear(steps: Steps, scale: Numbers, bias: Numbers) -> Steps:
    """Return steps with ``scale * value + bias`` behind them, joined with a linear step that is last."""
    if steps and isinstance(steps[-1], Linear):
        last = steps[-1]
        width = max(last.width, len(scale), len(bias))
        joined = [
            (
                of_channel(scale, channel) * of_channel(last.scale, channel),
                of_channel(scale, channel) * of_channel(last.bias, channel) + of_channel(bias, channel),
            )
            for channel in range(width)
        ]
        return (*steps[:-1], Linear([each[0] for each in joined], [each[1] for each in joined]))
    return (*steps, Linear(scale, bias))
