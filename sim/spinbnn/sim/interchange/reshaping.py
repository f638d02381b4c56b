"""Bringing a layer's integers into the form that golden has: ReLU, pooling and addition before the head."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from spinbnn.golden.layers import Pool
from spinbnn.sim.interchange.problems import Refused
from spinbnn.sim.interchange.signals import Signal, Stage, check_current, check_fresh, map_index, prefixed
from spinbnn.sim.interchange.steps import Clip, Linear, Staircase, Steps, add_linear, direction, is_linear

_ONE, _ZERO = Fraction(1), Fraction(0)


def pooled_integers(signal: Signal) -> Signal:
    """Return a signal whose pending pooling is done on the layer's integers.

    The largest of numbers that descend with the integers is at their smallest: such channels are negated.

    Raises
    ------
    Refused
        If they cannot be pooled.
    """
    if signal.pool is None:
        return signal
    stage = check_fresh(signal)
    if stage.pool is not None or stage.residual is not None:
        raise Refused(
            f"the sums of {stage.what} are pooled behind another pooling or an addition",
            "one pooling a layer, before the addition",
        )
    before = signal.steps[: signal.pool_at]
    descending = np.array([direction(before, channel) < 0 for channel in range(stage.channels)])
    steps = _negated(stage, signal, descending)
    stage.pool = replace(signal.pool, kind="max")
    stage.version += 1
    return replace(signal, steps=steps, pool=None, pool_at=0, version=stage.version)


def _negated(stage: Stage, signal: Signal, channels: np.ndarray) -> Steps:
    """Negate channels of a layer; return the signal's steps from the new sums on."""
    if not channels.any():
        return signal.steps
    stage.negate(channels)
    return prefixed(signal, [-_ONE if negative else _ONE for negative in channels.tolist()])


def linear_form(signal: Signal) -> Signal:
    """Return a signal with nothing but linear steps behind its layer's integers, a ReLU moved into the layer.

    Raises
    ------
    Refused
        If there is no such form.
    """
    if any(isinstance(step, Staircase) for step in signal.steps):
        raise Refused("it is behind a quantiser", "it between a layer's sums and the quantiser")
    if signal.pool is None and is_linear(signal.steps):
        check_current(signal)
        return signal
    rectified = _check_relu(signal)
    signal = pooled_integers(signal)
    if not rectified:
        return signal
    stage = check_fresh(signal)
    place = _clip_place(signal.steps)
    descending = np.array([direction(signal.steps[:place], channel) < 0 for channel in range(stage.channels)])
    steps = _negated(stage, signal, descending)
    stage.relu = True
    stage.version += 1
    place = _clip_place(steps)
    return replace(signal, steps=(*steps[:place], *steps[place + 1 :]), version=stage.version)


def _clip_place(steps: Steps) -> int:
    return next(number for number, step in enumerate(steps) if isinstance(step, Clip))


def _check_relu(signal: Signal) -> bool:
    """Return whether a ReLU is to be moved into the layer; see, before anything is changed, that it can be.

    Raises
    ------
    Refused
        If it cannot.
    """
    if is_linear(signal.steps):
        return False
    stage = check_fresh(signal)
    place = _clip_place(signal.steps)
    clip, before, behind = signal.steps[place], signal.steps[:place], signal.steps[place + 1 :]
    homogeneous = all(isinstance(step, Linear) and step.homogeneous for step in before)
    assert isinstance(clip, Clip)
    if (
        not clip.is_relu
        or not homogeneous
        or not is_linear(behind)
        or stage.relu
        or stage.residual is not None
    ):
        raise Refused(
            f"a ReLU or Clip between the sums of {stage.what} and this is not directly behind the sums",
            "a ReLU directly behind the convolution or matrix product, before bias and batch normalisation",
        )
    # Largest integers turned round would be smallest ones.
    pooled = before if signal.pool is None else before[signal.pool_at :]
    turned = any(direction(pooled, channel) < 0 for channel in range(stage.channels))
    if turned and (signal.pool is not None or stage.pool is not None):
        raise Refused(
            f"the ReLU behind the pooled sums of {stage.what} has a negative factor before it",
            "the ReLU before the pooling, or a positive factor",
        )
    return True


def summed_windows(signal: Signal, size: tuple[int, int], stride: tuple[int, int]) -> Signal:
    """Return the averages over windows of a signal.

    Raises
    ------
    Refused
        If the layer's sums cannot be pooled.
    """
    signal = linear_form(signal)
    stage = check_fresh(signal)
    if stage.window is None or stage.pool is not None or stage.residual is not None:
        raise Refused(
            f"the sums of {stage.what} are averaged behind another pooling or an addition",
            "one pooling of a convolution's sums, before the addition",
        )
    stage.pool = Pool("sum", size, stride)
    stage.version += 1
    steps = prefixed(signal, [Fraction(1, size[0] * size[1])] * stage.channels)
    return replace(signal, steps=steps, index=_pooled_index(signal, size, stride), version=stage.version)


def largest_of_windows(signal: Signal, size: tuple[int, int], stride: tuple[int, int]) -> Signal:
    """Return the largest of windows of a signal, pooled when it is known what follows.

    Raises
    ------
    Refused
        If there is a pooling already.
    """
    if signal.pool is not None or (isinstance(signal.source, Stage) and signal.source.pool is not None):
        raise Refused(f"the sums of {signal.source.what} are pooled already", "one pooling a layer")
    pool = Pool("max", size, stride)
    return replace(signal, pool=pool, pool_at=len(signal.steps), index=_pooled_index(signal, size, stride))


def _pooled_index(signal: Signal, size: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    channels, height, width = signal.shape
    return map_index((height - size[0]) // stride[0] + 1, (width - size[1]) // stride[1] + 1, channels)


def added(one: Signal, other: Signal, later: Stage) -> Signal:
    """Return the sum of the signals of two layers, of which `later` is `other`'s.

    Raises
    ------
    Refused
        If their integers cannot be added.
    """
    one, other = linear_form(one), linear_form(other)
    stage = check_fresh(other)
    earlier = one.source
    assert isinstance(earlier, Stage)
    if stage.residual is not None:
        raise Refused(f"the sums of {stage.what} have an addition already", "one addition a layer")
    if not np.array_equal(one.index, other.index):
        raise Refused(
            "its two inputs are in different orders or shapes", "two maps of the same shape and order"
        )
    (a, b), (c, d) = _scale_and_bias(one, earlier.channels), _scale_and_bias(other, stage.channels)
    opposite = np.array([p == -q and q != 0 for p, q in zip(a, c, strict=True)])
    if any(abs(p) != abs(q) for p, q in zip(a, c, strict=True)):
        channel = next(number for number, (p, q) in enumerate(zip(a, c, strict=True)) if abs(p) != abs(q))
        raise Refused(
            f"the sums of {earlier.what} and {stage.what} have different factors, "
            f"{float(a[channel])!r} and {float(c[channel])!r} in channel {channel}",
            "equal factors, so that the integers can be added",
        )
    if opposite.any():
        if stage.relu or stage.pool is not None:
            raise Refused(
                f"it subtracts the pooled or rectified sums of {stage.what}",
                "an addition, or no pooling and ReLU",
            )
        stage.negate(opposite)
    stage.residual, stage.residual_version = earlier, earlier.version
    stage.version += 1
    bias = [p + q for p, q in zip(b, d, strict=True)]
    trail = (*other.trail, f"addition of {earlier.what}")
    return replace(other, steps=add_linear((), a, bias), version=stage.version, trail=trail)


def _scale_and_bias(signal: Signal, channels: int) -> tuple[list[Fraction], list[Fraction]]:
    """Return scale and bias of each channel of a signal with rational linear steps."""
    steps: Steps = (Linear([_ONE], [_ZERO]),)
    for step in signal.steps:
        if not isinstance(step, Linear):
            raise Refused(
                "one of its inputs is batch-normalised, so that no integers are added",
                "an addition before batch normalisation",
            )
        steps = add_linear(steps, step.scale, step.bias)
    joined = steps[0]
    assert isinstance(joined, Linear)
    pairs = [
        (joined.scale[channel % len(joined.scale)], joined.bias[channel % len(joined.bias)])
        for channel in range(channels)
    ]
    return [each[0] for each in pairs], [each[1] for each in pairs]
