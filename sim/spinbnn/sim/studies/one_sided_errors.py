"""Thresholds for weights whose errors go one way more often than the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Dense, Layer, Threshold
from spinbnn.golden.matched_thresholds import matched_thresholds
from spinbnn.golden.network import Network, trace


def matched_both_ways(
    network: Network, error_01: float, error_10: float, images: NDArray[np.uint8]
) -> Network:
    """Return a network with thresholds for memory with an error rate for each direction.

    A weight is ``(1 - a - b) * weight + a - b`` in the mean, with a for `error_01` and b for `error_10`. For
    the factor see `matched_thresholds`; beside it, ``a - b`` times the sum of the inputs is added to a sum.
    That depends on the image: thresholds are shifted by its mean over the images.

    Parameters
    ----------
    network : Network
        Where the rates differ, one of fully connected layers without ReLU and residuals, and of thresholds of
        one step.
    error_01, error_10 : float
        Probability that a stored 0 (-1) reads as 1 (+1), and a 1 as 0.
    images : uint8 [n, inputs]
        Some that the network is made for; no labels are needed.

    Raises
    ------
    NetworkError
        If the network is of another kind.
    OperatingPointError
        If the mean of the rates is not from 0 to below 0.5.
    """
    matched = matched_thresholds(network, (error_01 + error_10) / 2)
    if error_01 == error_10:
        return matched
    traces = trace(network, images)
    layers = []
    for index, layer in enumerate(matched.layers):
        codes = images if index == 0 else traces[index - 1].bits
        assert codes is not None
        inputs = float(codes.sum(axis=1, dtype=np.int64).mean())
        if network.format_into(index).kind == "bipolar":
            inputs = 2 * inputs - layer.inputs
        layers.append(_shifted(layer, round((error_01 - error_10) * inputs)))
    return replace(matched, layers=tuple(layers))


def _shifted(layer: Layer, shift: int) -> Layer:
    """Return a layer for sums to which something was added."""
    head = layer.head
    if not isinstance(layer, Dense) or len(layer.weight_shifts) > 1 or layer.residual or layer.relu:
        raise NetworkError(f"layer '{layer.name}': shifted thresholds need plain fully connected layers")
    if isinstance(head, Threshold):
        return replace(layer, head=Threshold(head.values + shift, head.flip))
    if isinstance(head, Affine):
        return replace(layer, head=Affine(head.scale, head.bias - shift * head.scale))
    raise NetworkError(f"layer '{layer.name}': shifted thresholds need activations of +1 and -1")
