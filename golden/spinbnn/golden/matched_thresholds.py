"""Thresholds that fit the error rate of the weights they meet.

Of stored weights of which a share p is wrong, the sum over the inputs is 1 - 2p times the intended one in the
mean: a wrong weight takes away what it should have added, twice. A threshold on the intended sum is then too
far from 0, and the more inputs a sum has, the more neurons give the wrong activation for that alone. The
threshold ``ceil((1 - 2p) T)`` on the sum with errors stands where T stands on the intended one. A network
that was trained with a share q of its weights wrong has thresholds on sums that are 1 - 2q times the intended
ones, so that the factor is ``(1 - 2p) / (1 - 2q)``.

What this is exact for: the mean of a sum, whatever its inputs, of weights of one or several planes, and with
what follows from it linearly: sums over pooling windows, residuals, the bias beside the scale of a logit. Not
exact are ReLU and the maximum of a pooling window, whose mean with errors is not a multiple of that without,
and error rates that differ by direction: with p_01 of the stored -1 and p_10 of the stored +1 wrong, a sum is
multiplied by ``1 - p_01 - p_10`` and shifted by ``(p_01 - p_10)`` times the sum of the inputs, which depends
on the image. Their mean, ``(p_01 + p_10) / 2``, gives the factor; the shift stays.
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.layers import Affine, Head, MultiThreshold, Threshold, largest_sum
from spinbnn.golden.network import Network

_MATCHED = "thresholds_match_error_rate"


def matched_thresholds(network: Network, error_rate: float) -> Network:
    """Return a network with the same weights and thresholds for memory with an error rate.

    Neurons whose activation no sum changes stay as they are. The biases of logits are rounded to integers.

    Parameters
    ----------
    network : Network
        Its thresholds fit `threshold_error_rate` now.
    error_rate : float
        Share of the stored bits that are wrong (BER), from 0 to below 0.5; the mean of both directions. It
        is taken as its shortest decimal text says it: 0.04 is 1/25.

    Returns
    -------
    Network
        With the error rate in its metadata.

    Raises
    ------
    OperatingPointError
        If the error rate is not in its range.
    NetworkError
        If a bias would leave 32 bits.
    """
    if not 0 <= error_rate < 0.5:
        raise OperatingPointError(
            f"an error rate that thresholds match must be from 0 to below 0.5, not {error_rate!r}"
        )
    ratio = _shrinkage(error_rate) / _shrinkage(threshold_error_rate(network))
    reach: dict[str, int] = {}
    layers = []
    for index, layer in enumerate(network.layers):
        reach[layer.name] = largest_sum(layer, network.format_into(index).largest)
        if layer.residual is not None:
            reach[layer.name] += reach[layer.residual]
        layers.append(replace(layer, head=_matched(layer.head, ratio, reach[layer.name])))
    metadata = network.metadata | {_MATCHED: float(error_rate)}
    return replace(network, layers=tuple(layers), metadata=metadata)


def threshold_error_rate(network: Network) -> float:
    """Return the error rate that a network's thresholds fit: of its training, or as `matched_thresholds` set.

    By its metadata; where that has none it is 0.
    """
    if _MATCHED in network.metadata:
        return float(network.metadata[_MATCHED])
    recipe = network.metadata.get("recipe")
    if not isinstance(recipe, Mapping):
        return 0.0
    both = sum(Fraction(str(recipe.get(name, 0))) for name in ("weight_error_01", "weight_error_10"))
    return float(both / 2)


def _shrinkage(error_rate: float) -> Fraction:
    """Return what a sum with errors is, in the mean, as a multiple of the intended one."""
    return 1 - 2 * Fraction(str(float(error_rate)))


def _matched(head: Head, ratio: Fraction, reach: int) -> Head:
    if isinstance(head, Affine):
        bias = [floor(int(value) * ratio + Fraction(1, 2)) for value in head.bias]
        return Affine(head.scale, np.array(bias))
    values = _scaled(head.values, ratio, reach)
    if isinstance(head, Threshold):
        return Threshold(values, head.flip)
    return MultiThreshold(values, head.flip, head.bits, head.low)


def _scaled(values: NDArray[np.int32], ratio: Fraction, reach: int) -> NDArray[Any]:
    """Return thresholds times a ratio, rounded up; those that all sums reach, or none, as they are."""
    flat = [
        int(value) if not -reach < value <= reach else max(-reach, min(reach + 1, ceil(int(value) * ratio)))
        for value in values.ravel()
    ]
    return np.array(flat).reshape(values.shape)
