"""Pixels as streams of bits, and networks that take them in another form, exactly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Bits, unpack
from spinbnn.golden.errors import DataError, NetworkError
from spinbnn.golden.layers import Dense, Threshold
from spinbnn.golden.network import Network

WHITE = 255
"""The largest pixel, of which all bits of a stream are 1."""


def stream_bits(pixels: NDArray[np.uint8], rng: np.random.Generator) -> Bits:
    """Return the next bit of each pixel's stream: 1 with a probability of exactly pixel / 255.

    Parameters
    ----------
    pixels : uint8 [...]
    rng : numpy.random.Generator

    Returns
    -------
    uint8 [...]
    """
    return (rng.integers(0, WHITE, pixels.shape, dtype=np.uint8) < pixels).astype(np.uint8)


def counting_network(network: Network, length: int) -> Network:
    """Return the network that takes how many bits of each stream were 1, instead of the bits.

    Its first layer has the mean sum over the bits of the streams, and the same thresholds on it.

    Parameters
    ----------
    network : Network
        Of images of +1 and -1.
    length : int
        Bits of a stream, 1 to 255.

    Raises
    ------
    DataError
        If the length is not in its range.
    NetworkError
        If the network is of another kind.
    """
    if not 1 <= length <= WHITE:
        raise DataError(f"a stream that is counted must have 1 to {WHITE} bits, not {length}")
    first, head, sums = _first_layer(network, signed=True)
    # The bits b of a stream are 2 b - 1: their sum, 2 * counted - length * weights, must reach length * T.
    values = _halved_up(length * (head.values.astype(np.int64) + sums))
    return _with_inputs(network, first, values, head.flip, signed=False)


def black_or_white_network(network: Network) -> Network:
    """Return the network that takes +1 for a pixel of 255, and -1 for one of 0, of which all images consist.

    Parameters
    ----------
    network : Network
        Of images of 8 bits.

    Raises
    ------
    NetworkError
        If the network is of another kind.
    """
    first, head, sums = _first_layer(network, signed=False)
    values = -((WHITE * sums - 2 * head.values.astype(np.int64)) // WHITE)
    return _with_inputs(network, first, values, head.flip, signed=True)


def _first_layer(network: Network, *, signed: bool) -> tuple[Dense, Threshold, NDArray[np.int64]]:
    """Return the first layer, its head and the sum of each neuron's weights, int64 [N]."""
    first = network.layers[0]
    bits = 1 if signed else 8
    if (
        not isinstance(first, Dense)
        or not isinstance(first.head, Threshold)
        or len(first.weight_shifts) > 1
        or first.relu
        or (network.input_bits, network.input_signed) != (bits, signed)
    ):
        form = "of +1 and -1" if signed else "of 8 bits"
        raise NetworkError(
            f"network '{network.name}' must take images {form}, and its first layer must be fully connected "
            "with weights and activations of +1 and -1"
        )
    ones = unpack(first.weights, first.inputs).sum(axis=-1, dtype=np.int64)
    return first, first.head, 2 * ones - first.inputs


def _halved_up(values: NDArray[np.int64]) -> NDArray[np.int64]:
    return -(-values // 2)


def _with_inputs(
    network: Network, first: Dense, values: NDArray[np.int64], flip: NDArray[np.bool_], *, signed: bool
) -> Network:
    head = Threshold(values.astype(np.int32), flip)
    return replace(
        network,
        layers=(replace(first, head=head), *network.layers[1:]),
        input_bits=1 if signed else 8,
        input_signed=signed,
    )
