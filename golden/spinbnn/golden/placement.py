"""Where weights, thresholds and activations lie in a machine, and in what order rows are programmed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words, join_rows, pack, split_rows, unpack, words_for
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Dense, Threshold
from spinbnn.golden.network import Network

_MOST_INPUTS = 2**16 - 1


@dataclass(frozen=True)
class LayerPlacement:
    """Where one layer lies; the content of its descriptor.

    Parameters
    ----------
    row_base : int
        First row of the layer, the same in every bank.
    words : int
        Words of an input vector, ``ceil(K/W)``; rows of a neuron.
    groups : int
        Neuron groups, ``ceil(N/B)``.
    planes : int
        Bit-planes of an input.
    threshold_base : int
        First threshold row; 0 in the last layer, which has none.
    source_base : int
        First activation word read; 0 in layer 0, which reads the input buffer.
    destination_base : int
        First activation word written; 0 in the last layer, which writes none.
    last_group_neurons : int
        Neurons of the last group, 1 to B.
    tail_bits : int
        Valid bits of the last word, 1 to W.
    """

    row_base: int
    words: int
    groups: int
    planes: int
    threshold_base: int
    source_base: int
    destination_base: int
    last_group_neurons: int
    tail_bits: int

    @property
    def rows(self) -> int:
        """Rows the layer takes in a bank."""
        return self.groups * self.words


@dataclass(frozen=True)
class Placement:
    """Where a network lies in a machine.

    Parameters
    ----------
    layers : tuple of LayerPlacement
    geometry : Geometry
        The machine it was made for.
    """

    layers: tuple[LayerPlacement, ...]
    geometry: Geometry


@dataclass(frozen=True)
class ProgramPacket:
    """One packet of the program stream: consecutive rows, in each of them consecutive banks, banks fastest.

    Row i of `rows` goes to bank ``bank + i % bank_count``, row ``row + i // bank_count``.

    Parameters
    ----------
    layer : int
        Number of the layer these are weights of.
    row : int
        First row.
    bank : int
        First bank.
    bank_count : int
        Banks of a row.
    rows : uint64 [n, L]
        Target words.
    """

    layer: int
    row: int
    bank: int
    bank_count: int
    rows: Words

    def __post_init__(self) -> None:
        if self.bank_count < 1 or self.bank < 0 or self.row < 0:
            raise CapacityError(
                f"a program packet must start at a bank and row from 0 on and have at least one bank, "
                f"not bank {self.bank}, row {self.row}, bank_count {self.bank_count}"
            )
        if self.rows.dtype != np.uint64 or self.rows.ndim != 2 or not len(self.rows):
            raise CapacityError(
                "a program packet must hold uint64 rows of shape (n, L), n from 1 on, "
                f"not {self.rows.dtype} of shape {self.rows.shape}"
            )

    def addresses(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the bank, int [n], and the row, int [n], of each of `rows`; no address comes twice."""
        row, bank = np.divmod(np.arange(len(self.rows)), self.bank_count)
        return self.bank + bank, self.row + row


def place(network: Network, geometry: Geometry) -> Placement:
    """Place a network in a machine.

    Raises
    ------
    CapacityError
        If it does not fit; the text names the layer, the need, the capacity and the option to change.
    """
    if len(network.layers) > geometry.layers:
        raise CapacityError(
            f"network '{network.name}' needs {len(network.layers)} layers, the geometry has "
            f"{geometry.layers}: raise layers to at least {len(network.layers)}"
        )
    row_base = threshold_base = 0
    placements = []
    bases = _activation_bases(network, geometry)
    for index, layer in enumerate(network.layers):
        words, groups = words_for(layer.inputs, geometry.word_bits), words_for(layer.outputs, geometry.banks)
        last = index == len(network.layers) - 1
        placements.append(
            LayerPlacement(
                row_base=row_base,
                words=words,
                groups=groups,
                planes=network.bits_into(index),
                threshold_base=0 if last else threshold_base,
                source_base=bases[index - 1] if index else 0,
                destination_base=0 if last else bases[index],
                last_group_neurons=layer.outputs - (groups - 1) * geometry.banks,
                tail_bits=layer.inputs - (words - 1) * geometry.word_bits,
            )
        )
        row_base += groups * words
        threshold_base += 0 if last else groups
    placement = Placement(tuple(placements), geometry)
    _check_capacity(network, placement)
    return placement


def _activation_bases(network: Network, geometry: Geometry) -> list[int]:
    """Return where each hidden layer writes: even-numbered at 0, odd-numbered behind the largest of those."""
    sizes = [words_for(layer.outputs, geometry.word_bits) for layer in network.layers[:-1]]
    behind = max(sizes[::2], default=0)
    return [behind if index % 2 else 0 for index in range(len(sizes))]


def _check_capacity(network: Network, placement: Placement) -> None:
    geometry = placement.geometry
    rows = threshold_rows = activation_words = 0
    last_placed = placement.layers[-1]
    all_rows = last_placed.row_base + last_placed.rows
    all_thresholds = sum(placed.groups for placed in placement.layers[:-1])
    all_activations = max(
        (
            placed.destination_base + words_for(layer.outputs, geometry.word_bits)
            for layer, placed in zip(network.layers[:-1], placement.layers, strict=False)
        ),
        default=0,
    )
    first = placement.layers[0]
    if network.inputs > _MOST_INPUTS:
        raise CapacityError(
            f"network '{network.name}' has {network.inputs} inputs, a machine counts them "
            f"in 16 bits: give it at most {_MOST_INPUTS}"
        )
    _check(network.layers[0], geometry, "input_words", first.words * first.planes, "a half")
    _check(network.layers[-1], geometry, "outputs", network.outputs, "an image")
    for index, (layer, placed) in enumerate(zip(network.layers, placement.layers, strict=True)):
        _check_accumulator(layer, geometry, network.bits_into(index))
        rows = placed.row_base + placed.rows
        _check(layer, geometry, "rows", rows, "a bank", all_rows)
        if isinstance(layer.head, Threshold):
            threshold_rows = placed.threshold_base + placed.groups
            _check(layer, geometry, "threshold_rows", threshold_rows, "in all", all_thresholds)
            activation_words = placed.destination_base + words_for(layer.outputs, geometry.word_bits)
            _check(layer, geometry, "activation_words", activation_words, "a lane", all_activations)


def _check(
    layer: Dense, geometry: Geometry, field: str, need: int, unit: str, cure: int | None = None
) -> None:
    """Raise if a layer needs more than `field` of the geometry; `cure` is what the whole network needs."""
    have = getattr(geometry, field)
    if need > have:
        raise CapacityError(
            f"layer '{layer.name}' needs {field} up to {need}, the geometry has {have} {unit}: "
            f"raise {field} to at least {cure or need}"
        )


def _check_accumulator(layer: Dense, geometry: Geometry, input_bits: int) -> None:
    """See that the accumulator, which starts at minus the threshold, holds every partial sum."""
    reach = layer.largest_sum(input_bits)
    if isinstance(layer.head, Threshold):
        reach += int(np.abs(layer.head.values.astype(np.int64)).max())
    need = reach.bit_length() + 1
    if need > geometry.accumulator_bits:
        raise CapacityError(
            f"layer '{layer.name}' needs accumulator_bits {need} for sums up to {reach}, "
            f"the geometry has {geometry.accumulator_bits}: raise accumulator_bits to at least {need}"
        )


def program_rows(network: Network, placement: Placement, geometry: Geometry) -> list[ProgramPacket]:
    """Return the packets that program a network, in programming order.

    Of each layer first the full groups, then, if there is one, the last, partial group.

    Raises
    ------
    CapacityError
        If the placement was made for another geometry.
    """
    if placement.geometry != geometry:
        raise CapacityError("the placement must be made for the geometry that is programmed, not for another")
    packets = []
    for index, (layer, placed) in enumerate(zip(network.layers, placement.layers, strict=True)):
        rows = split_rows(unpack(layer.weights, layer.inputs), geometry.word_bits)
        full = layer.outputs // geometry.banks
        if full:
            groups = rows[: full * geometry.banks].reshape(
                full, geometry.banks, placed.words, geometry.slices
            )
            ordered = groups.swapaxes(1, 2).reshape(-1, geometry.slices)
            packets.append(ProgramPacket(index, placed.row_base, 0, geometry.banks, ordered))
        rest = rows[full * geometry.banks :]
        if len(rest):
            ordered = rest.swapaxes(0, 1).reshape(-1, geometry.slices)
            packets.append(ProgramPacket(index, placed.row_base + full * placed.words, 0, len(rest), ordered))
    return packets


def stored_network(network: Network, placement: Placement, cells: Words) -> Network:
    """Return the network with the weights that the array holds.

    Parameters
    ----------
    network : Network
        The intended one: its heads, names and metadata are kept.
    placement : Placement
    cells : uint64 [banks, rows, L]

    Raises
    ------
    CapacityError
        If the shape of `cells` is not that of the placement's geometry.
    """
    geometry = placement.geometry
    expected = (geometry.banks, geometry.rows, geometry.slices)
    if cells.shape != expected:
        raise CapacityError(f"cells must have shape {expected}, not {cells.shape}")
    layers = []
    for layer, placed in zip(network.layers, placement.layers, strict=True):
        rows = cells[:, placed.row_base : placed.row_base + placed.rows]
        neurons = rows.reshape(geometry.banks, placed.groups, placed.words, geometry.slices).swapaxes(0, 1)
        neurons = neurons.reshape(-1, placed.words, geometry.slices)[: layer.outputs]
        weights = pack(join_rows(neurons, geometry.word_bits, layer.inputs))
        layers.append(Dense(layer.name, weights, layer.inputs, layer.head))
    return Network(network.name, tuple(layers), network.input_bits, network.input_signed, network.metadata)
