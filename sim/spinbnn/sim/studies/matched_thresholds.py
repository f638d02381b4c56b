"""Thresholds moved to where weights that are stored with errors put the sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Dense, Layer, Threshold
from spinbnn.golden.network import Network, trace


def matched_thresholds(
    network: Network, error_01: float, error_10: float, images: NDArray[np.uint8]
) -> Network:
    """Return a network whose heads suit weights that are read with errors.

    With a for `error_01` and b for `error_10`, a weight is ``(1 - a - b) * weight + a - b`` in the mean: sums
    shrink, and errors of one sign also add ``a - b`` times the sum of the inputs, for which its mean over the
    images stands. Logits stay smaller, all of them by the same factor.

    Parameters
    ----------
    network : Network
        Of fully connected layers with weights of one plane and activations of +1 and -1.
    error_01, error_10 : float
        Probability that a stored 0 (-1) reads as 1 (+1), and a 1 as 0.
    images : uint8 [n, inputs]
        Some that the network is made for; no labels are needed.

    Raises
    ------
    NetworkError
        If the network is of another kind.
    """
    shrink, drift = 1 - error_01 - error_10, error_01 - error_10
    traces = trace(network, images)
    codes = [images, *(traced.bits for traced in traces[:-1])]
    layers = []
    for index, (layer, code) in enumerate(zip(network.layers, codes, strict=True)):
        assert code is not None
        mean_input = float(code.sum(axis=1, dtype=np.int64).mean())
        if network.format_into(index).kind == "bipolar":
            mean_input = 2 * mean_input - layer.inputs
        layers.append(_matched(layer, shrink, drift * mean_input))
    return replace(network, layers=tuple(layers))


def _matched(layer: Layer, shrink: float, shift: float) -> Layer:
    """Return a layer for sums that are ``shrink * sum + shift`` in the mean."""
    head = layer.head
    if not isinstance(layer, Dense) or len(layer.weight_shifts) > 1 or layer.residual or layer.relu:
        raise NetworkError(f"layer '{layer.name}': matched thresholds need plain fully connected layers")
    if isinstance(head, Threshold):
        return replace(layer, head=replace(head, values=_integers(np.ceil(shrink * head.values + shift))))
    if isinstance(head, Affine):
        return replace(
            layer, head=replace(head, bias=_integers(np.rint(shrink * head.bias - shift * head.scale)))
        )
    raise NetworkError(f"layer '{layer.name}': matched thresholds need activations of +1 and -1")


def _integers(values: NDArray[np.float64]) -> NDArray[np.int32]:
    return values.astype(np.int32)
