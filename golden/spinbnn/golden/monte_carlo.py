"""Errors for Monte Carlo studies: their cost grows with the number of errors, not with that of the cells.

The gaps between errors of a constant probability are geometric, so only the errors are drawn. They follow the
distribution of the hardware's errors (`mram`), but not its random stream: a run of the hardware is compared
with `MramArray`, and many networks with errors are drawn here.
"""

from collections.abc import Sequence
from copy import copy
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Words
from spinbnn.golden.errors import NetworkError, OperatingPointError
from spinbnn.golden.layers import Conv, Layer
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import PROBABILITY_BITS, OperatingPoint

Positions = NDArray[np.int64]
_Frozen = TypeVar("_Frozen", Network, Layer)


def error_positions(rng: np.random.Generator, probability: float, cells: int) -> Positions:
    """Return which of a row of cells err, ascending, int64 [errors], each with one probability.

    Raises
    ------
    OperatingPointError
        If it is no probability.
    """
    _check_probability(probability)
    if not probability or not cells:
        return np.empty(0, dtype=np.int64)
    drawn: list[Positions] = []
    last = -1
    while last < cells:
        expected = probability * (cells - last)
        # As many gaps as there are errors but for 4 standard deviations: a second draw is rare.
        gaps = rng.geometric(probability, int(expected + 4 * expected**0.5) + 8)
        # A gap that leads behind the cells may be huge: it is cut, so that no position overflows.
        drawn.append(last + np.cumsum(np.minimum(gaps, cells + 1)))
        last = int(drawn[-1][-1])
    positions = np.concatenate(drawn) if len(drawn) > 1 else drawn[0]
    return positions[: positions.searchsorted(cells)]


def flip_errors(words: Words, length: int, p_01: float, p_10: float, rng: np.random.Generator) -> Words:
    """Return stored bits of which some have flipped.

    Parameters
    ----------
    words : uint64 [..., ceil(length/64)]
        Packed as `encoding.pack` does.
    length : int
        Bits of a row of words; the bits beyond stay as they are.
    p_01, p_10 : float
        Probability that a 0 becomes 1, and a 1 becomes 0.
    rng : numpy.random.Generator

    Returns
    -------
    uint64 [..., ceil(length/64)]

    Raises
    ------
    OperatingPointError
        If `p_01` or `p_10` is no probability.
    """
    flipped = words.copy()
    index, bit = _erring(words.reshape(-1), words.shape[-1], length, (p_01, p_10), rng)
    np.bitwise_xor.at(flipped.reshape(-1), index, bit)
    return flipped


def write_errors(
    target: Words,
    old: Words | None,
    length: int,
    p_fail_01: float,
    p_fail_10: float,
    rng: np.random.Generator,
) -> Words:
    """Return what cells hold behind a write: `target`, but `old` where a cell that must change has failed.

    Parameters
    ----------
    target : uint64 [..., ceil(length/64)]
    old : uint64, shape of `target`, or None for cells that all hold 0
    length : int
        Bits of a row of words.
    p_fail_01, p_fail_10 : float
        Probability that a cell fails to go from 0 to 1, and from 1 to 0.
    rng : numpy.random.Generator

    Returns
    -------
    uint64, shape of `target`

    Raises
    ------
    OperatingPointError
        If `p_fail_01` or `p_fail_10` is no probability.
    """
    stored = target.copy()
    flat = stored.reshape(-1)
    if old is None:  # only cells that hold 0 now can change
        index, bit = _erring(flat, target.shape[-1], length, (0.0, p_fail_01), rng)
    else:
        index, bit = _erring(old.reshape(-1), target.shape[-1], length, (p_fail_01, p_fail_10), rng)
        bit = bit & (flat ^ old.reshape(-1))[index]
    np.bitwise_xor.at(flat, index, bit)
    return stored


def written_network(
    network: Network, point: OperatingPoint, rng: np.random.Generator, old: Network | None = None
) -> Network:
    """Return a network whose weights were written with errors.

    Parameters
    ----------
    network : Network
        The intended one.
    point : OperatingPoint
        Its failure probabilities and retries: a bit stays wrong if all its pulses fail.
    rng : numpy.random.Generator
    old : Network, optional
        Of the same shapes: what the cells hold before; by default all of them hold 0.

    Raises
    ------
    OperatingPointError
        If the point has classes of cells, which belong to a chip.
    NetworkError
        If the networks' layers differ in shape.
    """
    if point.class_p_fail_01 is not None or point.class_p_fail_10 is not None:
        raise OperatingPointError("a point must have no classes of cells for Monte Carlo: they are a chip's")
    if old is not None and _shapes(old) != _shapes(network):
        raise NetworkError(f"the weights written over must have the shapes of network '{network.name}'")
    pulses = 1 + point.max_retries
    rates = (
        (point.p_fail_01 / 2**PROBABILITY_BITS) ** pulses,
        (point.p_fail_10 / 2**PROBABILITY_BITS) ** pulses,
    )
    before = (None,) * len(network.layers) if old is None else old.layers
    layers = (_written(layer, held, rates, rng) for layer, held in zip(network.layers, before, strict=True))
    return _with(network, layers=tuple(layers))


def flipped_network(
    network: Network, rates: Sequence[tuple[float, float]], rng: np.random.Generator
) -> Network:
    """Return a network of whose stored weights some have flipped.

    Parameters
    ----------
    network : Network
    rates : sequence of (float, float)
        Of each layer: the probability that a stored 0 becomes 1, and a 1 becomes 0.
    rng : numpy.random.Generator

    Raises
    ------
    OperatingPointError
        If a rate is no probability, or there is not one for each layer.
    """
    if len(rates) != len(network.layers):
        raise OperatingPointError(
            f"error rates must be one for each of {len(network.layers)} layers, not {len(rates)}"
        )
    layers = (_flipped(layer, both, rng) for layer, both in zip(network.layers, rates, strict=True))
    return _with(network, layers=tuple(layers))


def _flipped(layer: Layer, rates: tuple[float, float], rng: np.random.Generator) -> Layer:
    weights = flip_errors(layer.weights, layer.sum_length, *rates, rng)
    if not isinstance(layer, Conv) or layer.odd_plane_weights is None:
        return _with(layer, weights=weights)
    odd = flip_errors(layer.odd_plane_weights, layer.sum_length, *rates, rng)
    return _with(layer, weights=weights, odd_plane_weights=odd)


def _shapes(network: Network) -> list[tuple[int, ...]]:
    return [layer.weights.shape for layer in network.layers]


def _written(layer: Layer, old: Layer | None, rates: tuple[float, float], rng: np.random.Generator) -> Layer:
    length = layer.sum_length
    weights = write_errors(layer.weights, None if old is None else old.weights, length, *rates, rng)
    if not isinstance(layer, Conv) or layer.odd_plane_weights is None:
        return _with(layer, weights=weights)
    before = old.odd_plane_weights if isinstance(old, Conv) else None
    odd = write_errors(layer.odd_plane_weights, before, length, *rates, rng)
    return _with(layer, weights=weights, odd_plane_weights=odd)


def _with(value: _Frozen, **fields: object) -> _Frozen:
    """Return a copy with other weights. Nothing is checked anew: bits of weights make nothing invalid."""
    changed = copy(value)
    for name, field in fields.items():
        if isinstance(field, np.ndarray):
            field.setflags(write=False)
        object.__setattr__(changed, name, field)
    return changed


def _erring(
    held: Words, width: int, length: int, rates: tuple[float, float], rng: np.random.Generator
) -> tuple[Positions, Words]:
    """Return the word, int64 [errors], and the bit in it, uint64 [errors], of each cell that errs.

    `held`, uint64 [rows * width], says which of the two rates is a cell's: that of 0 or that of 1.
    """
    for rate in rates:
        _check_probability(rate)
    highest = max(rates)
    row, cell = np.divmod(error_positions(rng, highest, len(held) // width * length), length)
    index = row * width + cell // SLICE_BITS
    bit = np.uint64(1) << (cell % SLICE_BITS).astype(np.uint64)
    if rates[0] != rates[1]:  # thin out what was drawn at the higher rate
        of_cell = np.where(held[index] & bit, rates[1], rates[0])
        kept = rng.random(len(index)) * highest < of_cell
        index, bit = index[kept], bit[kept]
    return index, bit


def _check_probability(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise OperatingPointError(f"an error rate must be a probability from 0 to 1, not {probability!r}")
