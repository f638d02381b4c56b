"""How a network is written, layer by layer: pulses, retries, rows left out, and thresholds that fit.

Blank cells hold 0, so a failed write leaves a -1 that should be +1, and what is not written at all is -1. A
neuron then has another sum in the mean, by an amount that its inputs say; its threshold is moved to match.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import pack, unpack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Conv, Head, Threshold, largest_sum
from spinbnn.golden.monte_carlo import flipped_network
from spinbnn.golden.network import Network, trace
from spinbnn.golden.operating_point import PROBABILITY_BITS, UINT32_MAX, OperatingPoint
from spinbnn.golden.placement import Placement
from spinbnn.golden.point_map import PointRange, layer_range
from spinbnn.golden.technology import READ_BIT_ENERGY_AJ
from spinbnn.sim.studies.programming import LADDER_V, TECHNOLOGY, pulse_point

BLOCK = 64
"""Neurons of a group and inputs of a word, on a machine of 64 banks x 64 bits."""

IMAGE = -1
"""Stands for a layer, where a block is one of the image."""

UNWRITTEN = OperatingPoint(
    UINT32_MAX, UINT32_MAX, 0, 0, 0, pulse_clocks=1, max_retries=0, pulse_redundant=False
)
"""Stands for rows that are not programmed: its pulses take nothing, and fail but for one in 2**32."""

_STRONGEST = 1e-3
"""Write error rate from which on pulses are tried: stronger ones lose no accuracy that could be seen."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Option:
    """A way to write rows.

    Attributes
    ----------
    voltage_v : float
        Of the pulse.
    retries : int
    residual : float
        Probability that a bit that must change does not, after all retries.
    bit_energy_aj : float
        Expectation for a bit that must change: its pulses, and its share of the reads that verify a row.
    """

    voltage_v: float
    retries: int
    residual: float
    bit_energy_aj: float

    @property
    def point(self) -> OperatingPoint:
        """Return the operating point."""
        return pulse_point(TECHNOLOGY, self.voltage_v, self.retries)

    def __str__(self) -> str:
        again = f" and {self.retries} retries" if self.retries else ""
        return f"{self.voltage_v:.3f} V{again}"


@lru_cache(maxsize=4)
def ways_to_write(retries: tuple[int, ...]) -> tuple[Option, ...]:
    """Return the ways to write with so many retries that none beats in both errors and energy, best first.

    Parameters
    ----------
    retries : tuple of int
        Allowed numbers of retries.
    """
    every = [
        _option(voltage_v, count)
        for rate, voltage_v in LADDER_V.items()
        if rate >= _STRONGEST
        for count in retries
    ]
    every.sort(key=lambda option: (option.bit_energy_aj, option.residual))
    front: list[Option] = []
    for option in every:
        if not front or option.residual < front[-1].residual:
            front.append(option)
    return tuple(reversed(front))


def _option(voltage_v: float, retries: int) -> Option:
    point = pulse_point(TECHNOLOGY, voltage_v, retries)
    wer = point.p_fail_01 / 2**PROBABILITY_BITS
    changed = BLOCK // 2  # bits of a row, half of them +1
    pulses = sum(wer**attempt for attempt in range(retries + 1))
    reads = sum(1 - (1 - wer**attempt) ** changed for attempt in range(retries))
    energy = point.energy_01_aj * pulses + reads * BLOCK * READ_BIT_ENERGY_AJ / changed
    return Option(voltage_v, retries, wer ** (retries + 1), energy)


@dataclass(frozen=True)
class Assignment:
    """How each row of a network is written.

    Attributes
    ----------
    options : tuple of Option
        Of each layer.
    silent : frozenset of (int, int)
        Layer and number of groups of 64 neurons that are done without: neither their rows nor the words that
        read them are written, and a threshold that no sum reaches keeps them at -1.
    unread : frozenset of int
        Words of 64 image elements whose weights are not written.
    """

    options: tuple[Option, ...]
    silent: frozenset[tuple[int, int]] = frozenset()
    unread: frozenset[int] = frozenset()

    def without(self, layer: int, number: int) -> Assignment:
        """Return the assignment without one more block: of a layer's neurons, or of the `IMAGE`."""
        if layer == IMAGE:
            return replace(self, unread=self.unread | {number})
        return replace(self, silent=self.silent | {(layer, number)})

    @property
    def points(self) -> int:
        """Entries of the machine's table that it needs."""
        return len(set(self.options)) + bool(self.silent or self.unread)

    def __str__(self) -> str:
        layers = ", ".join(f"layer {index} {option}" for index, option in enumerate(self.options))
        left = [f"neurons {BLOCK * group} on of layer {layer}" for layer, group in sorted(self.silent)]
        left += [f"inputs {BLOCK * word} on" for word in sorted(self.unread)]
        return f"{layers}; without {', '.join(left)}" if left else layers


@dataclass(frozen=True)
class _Moments:
    """What a layer's sums and inputs are over images, where some of its inputs are not written.

    Attributes
    ----------
    sums : float64 [n, N]
        Of all inputs, as intended.
    written : float64 [n, N]
        Of the inputs whose weights are written.
    inputs, unwritten_inputs : float64 [n, 1]
        Sum of the inputs whose weights are written, and of those whose are not.
    """

    sums: Floats
    written: Floats
    inputs: Floats
    unwritten_inputs: Floats

    def regression(self, failing: float) -> tuple[Floats, Floats]:
        """Return slope and offset, float64 [N], of the sums with errors over the intended ones.

        With errors a +1 is -1 with the probability `failing`: the mean over draws is regressed, over images.
        """
        mean_sum = self.sums.mean(axis=0)
        variance = (self.sums**2).mean(axis=0) - mean_sum**2
        covariance, mean = (
            (1 - failing) * of_written - failing * of_inputs - of_unwritten
            for of_written, of_inputs, of_unwritten in (
                [(self.sums * part).mean(axis=0) - mean_sum * part.mean(axis=0) for part in self._parts],
                [part.mean(axis=0) for part in self._parts],
            )
        )
        slope = np.ones_like(variance)
        np.divide(covariance, variance, out=slope, where=variance > 0)
        return slope, mean - slope * mean_sum

    @property
    def _parts(self) -> tuple[Floats, Floats, Floats]:
        return self.written, self.inputs, self.unwritten_inputs


class Subject:
    """A fully connected network, and what images tell of its sums.

    Parameters
    ----------
    network : Network
    images : uint8 [n, inputs]
        Thresholds are matched on them.

    Raises
    ------
    NetworkError
        If a layer is no fully connected one of weights of ±1.
    """

    def __init__(self, network: Network, images: NDArray[np.uint8]) -> None:
        for layer in network.layers:
            if isinstance(layer, Conv) or layer.weights.ndim != 2 or layer.residual is not None:
                raise NetworkError(
                    f"layer '{layer.name}' must be fully connected, of weights of ±1 and without a residual"
                )
        traces = trace(network, images)
        self.network = network
        # All are integers, far below 2**53 also multiplied and added up: exact, whatever adds them.
        self._sums = [traced.sums.astype(np.float64) for traced in traces]
        hidden = [2 * traced.bits.astype(np.float64) - 1 for traced in traces if traced.bits is not None]
        self._inputs: list[Floats] = [images.astype(np.float64), *hidden]
        self._ones = [unpack(layer.weights, layer.sum_length) for layer in network.layers]
        self._moments: dict[tuple[int, bytes], _Moments] = {}

    def blocks(self) -> list[tuple[int, int]]:
        """Return what can be done without, as `Assignment.without` takes it."""
        words = [(IMAGE, word) for word in range(-(-self.network.inputs // BLOCK))]
        groups = [
            (index, group)
            for index, layer in enumerate(self.network.layers[:-1])
            for group in range(-(-layer.neurons // BLOCK))
        ]
        return [*words, *groups]

    def failed_shares(self, stored: Network) -> list[float]:
        """Return which share of each layer's +1 a stored network holds as -1."""
        shares = []
        for ones, layer in zip(self._ones, stored.layers, strict=True):
            held = unpack(layer.weights, layer.sum_length)
            shares.append(float(np.count_nonzero(ones & ~held & 1) / np.count_nonzero(ones)))
        return shares

    def energy_aj(self, assignment: Assignment) -> float:
        """Return what writing a blank array takes, in expectation."""
        return sum(
            int(np.count_nonzero(self._ones[index] & self._written(index, assignment))) * option.bit_energy_aj
            for index, option in enumerate(assignment.options)
        )

    def matched(self, assignment: Assignment) -> Network:
        """Return the network with thresholds that fit what will be stored."""
        layers = []
        for index, (layer, option) in enumerate(zip(self.network.layers, assignment.options, strict=True)):
            head = _moved(layer.head, *self._of_layer(index, assignment).regression(option.residual))
            if isinstance(head, Threshold):
                reach = largest_sum(layer, self.network.format_into(index).largest)
                values, flip = np.clip(head.values, -reach, reach + 1), head.flip.copy()
                for of_layer, group in assignment.silent:
                    if of_layer == index:
                        values[_block(group)], flip[_block(group)] = reach + 1, False
                head = Threshold(values, flip)
            layers.append(replace(layer, head=head))
        return replace(self.network, layers=tuple(layers))

    def draw(self, matched: Network, assignment: Assignment, rng: np.random.Generator) -> Network:
        """Return a matched network as an array may hold it."""
        flipped = flipped_network(matched, [(0.0, option.residual) for option in assignment.options], rng)
        if not (assignment.silent or assignment.unread):
            return flipped
        layers = [
            replace(layer, weights=layer.weights & pack(self._written(index, assignment)))
            for index, layer in enumerate(flipped.layers)
        ]
        return replace(flipped, layers=tuple(layers))

    def ranges(self, placement: Placement, assignment: Assignment) -> list[PointRange]:
        """Return the rows that are written otherwise than those of layer 0; see `UNWRITTEN`.

        Parameters
        ----------
        placement : Placement
            On 64 banks of 64 bits.
        assignment : Assignment
        """
        found = [
            layer_range(placement, index, option.point) for index, option in enumerate(assignment.options)
        ]
        for index, placed in enumerate(placement.layers):
            words = [group for of_layer, group in assignment.silent if of_layer == index - 1]
            if index == 0:
                words += assignment.unread
            firsts = [placed.row_base + placed.neuron_rows * group for group in range(placed.groups)]
            rows = sorted(first + word for first in firsts for word in words)
            found += [PointRange(UNWRITTEN, row, row) for row in rows]
            for of_layer, group in sorted(assignment.silent):
                if of_layer == index:
                    first = firsts[group]
                    found.append(PointRange(UNWRITTEN, first, first + placed.neuron_rows - 1))
        return found

    def _written(self, layer: int, assignment: Assignment) -> NDArray[np.uint8]:
        """Return which bits of a layer are written, uint8 [N, K] of 0 and 1."""
        mask = np.ones_like(self._ones[layer])
        mask[:, ~self._written_inputs(layer, assignment)] = 0
        for of_layer, group in assignment.silent:
            if of_layer == layer:
                mask[_block(group)] = 0
        return mask

    def _written_inputs(self, layer: int, assignment: Assignment) -> NDArray[np.bool_]:
        """Return which inputs of a layer have weights that are written, bool [K]."""
        written = np.ones(self._ones[layer].shape[1], dtype=np.bool_)
        blocks = [group for of_layer, group in assignment.silent if of_layer == layer - 1]
        for block in [*blocks, *(assignment.unread if layer == 0 else ())]:
            written[_block(block)] = False
        return written

    def _of_layer(self, layer: int, assignment: Assignment) -> _Moments:
        written = self._written_inputs(layer, assignment)
        key = layer, written.tobytes()
        if key not in self._moments:
            inputs = self._inputs[layer]
            if layer:  # the activations of silent neurons
                inputs = np.where(written, inputs, -1.0)
            weights = np.where(written, 2.0 * self._ones[layer] - 1, 0.0)
            self._moments[key] = _Moments(
                self._sums[layer],
                inputs @ weights.T,
                inputs[:, written].sum(axis=1, keepdims=True),
                inputs[:, ~written].sum(axis=1, keepdims=True),
            )
        return self._moments[key]


def _block(number: int) -> slice:
    return slice(BLOCK * number, BLOCK * (number + 1))


def _moved(head: Head, slope: Floats, offset: Floats) -> Head:
    """Return a head that makes of ``slope * sum + offset`` what `head` makes of the sum."""
    if isinstance(head, Affine):
        # One slope for all classes: logits are compared with each other, and their scales stay.
        bias = head.bias * slope.mean() - head.scale * offset
        return Affine(head.scale, np.rint(bias).astype(np.int64))
    assert isinstance(head, Threshold)
    # What is above an integer by rounding alone must not become the next one.
    return Threshold(np.ceil(slope * head.values + offset - 1e-6).astype(np.int64), head.flip)
