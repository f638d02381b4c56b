"""Where weights, thresholds and activations lie in a machine, and in what order rows are programmed."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Bits, Words, bit_planes, join_rows, pack, split_rows, unpack, words_for
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import (
    Affine,
    Conv,
    Dense,
    Layer,
    MultiThreshold,
    Threshold,
    integer_shape,
    largest_sum,
)
from spinbnn.golden.network import Format, Network
from spinbnn.golden.steps import Step, layer_steps

_MOST_INPUTS = 2**24 - 1
_UNIT = (1, 1)
Pair = tuple[int, int]
"""Down and across."""


@dataclass(frozen=True)
class LayerPlacement:
    """Where one layer lies and how it is walked through; the content of its descriptor.

    A sum is formed of the words of the taps of its kernel. A layer's output pixels are done in rows, for each
    the groups of neurons, for each group the sums of the pooling window.

    Parameters
    ----------
    row_base : int
        First row of the layer, the same in every bank.
    words : int
        Words of a tap: of an input pixel, or of a whole window that the loader has unfolded.
    groups : int
        Neuron groups, ``ceil(N/B)``.
    planes : int
        Words of memory that hold the planes of a word of inputs.
    threshold_base : int
        First threshold row; 0 in the last layer, which has none.
    source_base : int
        First activation word read; 0 in layer 0, which reads the input buffer.
    destination_base : int
        First activation word written; 0 in the last layer, which writes none.
    last_group_neurons : int
        Neurons of the last group, 1 to B.
    tail_bits : int
        Valid bits of the last word of a tap, 1 to W; W where planes are paired, 0 beyond their inputs.
    steps : tuple of Step
        What is done with each word.
    paired : bool
        Words of inputs hold two planes: the lower half an even one, the upper half the next.
    weight_planes : int
        Rows of a word.
    kernel, stride, origin : (int, int)
        Taps of the kernel, how far apart sums are, and the input pixel of the first tap (negative: padding).
    window, window_stride, positions : (int, int)
        Sums of a pooling window, how far apart windows are, and output pixels.
    source : (int, int)
        Height and width of the map that is read.
    thresholds : int
        Threshold rows of a neuron.
    activation_bits : int
        Bits of an activation.
    relu : bool
        Negative sums become 0; False where the thresholds stand for it.
    residual_source, residual_destination : int or None
        First residual row of the integers that are added, and of where this layer's are kept.
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
    steps: tuple[Step, ...] = (Step(),)
    paired: bool = False
    weight_planes: int = 1
    kernel: Pair = _UNIT
    stride: Pair = _UNIT
    origin: Pair = (0, 0)
    window: Pair = _UNIT
    window_stride: Pair = _UNIT
    positions: Pair = _UNIT
    source: Pair = _UNIT
    thresholds: int = 1
    activation_bits: int = 1
    relu: bool = False
    residual_source: int | None = None
    residual_destination: int | None = None

    @property
    def neuron_words(self) -> int:
        """Words of a sum."""
        return self.kernel[0] * self.kernel[1] * self.words

    @property
    def neuron_rows(self) -> int:
        """Rows of a neuron."""
        return self.neuron_words * self.weight_planes

    @property
    def rows(self) -> int:
        """Rows the layer takes in a bank."""
        return self.groups * self.neuron_rows

    @property
    def pixels(self) -> int:
        """Pixels of the output."""
        return self.positions[0] * self.positions[1]

    @property
    def sums(self) -> int:
        """Sums of each neuron, over all windows."""
        return self.pixels * self.window[0] * self.window[1]

    @property
    def beats(self) -> int:
        """Clocks of the layer's loops, in which a word of inputs meets a row of every bank."""
        return self.sums * self.groups * self.neuron_words * len(self.steps)

    def reads_of_planes(self) -> list[int]:
        """Return how often a word reads the row of each of its planes of weights."""
        return [
            sum(step.read_row for step in self.steps if step.weight_plane == plane)
            for plane in range(self.weight_planes)
        ]


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

    def step_tables(self) -> tuple[list[Step], list[int]]:
        """Return the steps of all layers, the same steps once, and where those of each layer begin."""
        table: list[Step] = []
        starts: dict[tuple[Step, ...], int] = {}
        for placed in self.layers:
            if placed.steps not in starts:
                starts[placed.steps] = len(table)
                table += placed.steps
        return table, [starts[placed.steps] for placed in self.layers]


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
    residuals = _residual_bases(network, geometry)
    for index, layer in enumerate(network.layers):
        _check_features(network, index, geometry)
        groups = words_for(layer.neurons, geometry.banks)
        last = index == len(network.layers) - 1
        placed = LayerPlacement(
            row_base=row_base,
            words=1,
            groups=groups,
            planes=1,
            threshold_base=0 if last else threshold_base,
            source_base=bases[index - 1] if index else 0,
            destination_base=0 if last else bases[index],
            last_group_neurons=layer.neurons - (groups - 1) * geometry.banks,
            tail_bits=1,
            thresholds=len(layer.head.values) if isinstance(layer.head, MultiThreshold) else 1,
            activation_bits=activation_bits(layer),
            relu=layer.relu and not _relu_folds(network, layer),
            residual_source=None if layer.residual is None else residuals[layer.residual],
            residual_destination=residuals.get(layer.name),
        )
        placed = _with_walk(placed, network, index, geometry)
        if not all(_reads(placed, axis) for axis in range(2)):
            raise CapacityError(f"layer '{layer.name}' must read at least one pixel, not padding alone")
        placements.append(placed)
        row_base += placed.rows
        threshold_base += 0 if last else groups * placed.thresholds
    placement = Placement(tuple(placements), geometry)
    _check_capacity(network, placement)
    return placement


def _with_walk(placed: LayerPlacement, network: Network, index: int, geometry: Geometry) -> LayerPlacement:
    """Return a layer's placement with what it reads, and in what order."""
    layer, inputs = network.layers[index], network.format_into(index)
    if isinstance(layer, Conv):
        pool = layer.pool
        placed = replace(placed, positions=layer.output_shape[:2])
        if pool is not None:
            placed = replace(placed, window=pool.size, window_stride=pool.stride)
    if index == 0:
        return _with_unfolded_windows(placed, layer, inputs, geometry)
    height, width, channels = network.layers[index - 1].output_shape
    words = words_for(channels, geometry.word_bits)
    placed = replace(
        placed,
        words=words,
        planes=inputs.bits,
        tail_bits=channels - (words - 1) * geometry.word_bits,
        steps=layer_steps(inputs, layer.weight_shifts),
        weight_planes=len(layer.weight_shifts),
        source=(height, width),
        kernel=(height, width),
    )
    if isinstance(layer, Conv):
        top, left, _, _ = layer.padding
        placed = replace(placed, kernel=layer.kernel, stride=layer.stride, origin=(-top, -left))
    return placed


def _reads(placed: LayerPlacement, axis: int) -> bool:
    """Return whether any tap of a layer lies within its source, down (axis 0) or across (axis 1)."""
    origin, stride, window_stride = placed.origin[axis], placed.stride[axis], placed.window_stride[axis]
    return any(
        0 <= (position * window_stride + window) * stride + tap + origin < placed.source[axis]
        for position in range(placed.positions[axis])
        for window in range(placed.window[axis])
        for tap in range(placed.kernel[axis])
    )


def _with_unfolded_windows(
    placed: LayerPlacement, layer: Layer, inputs: Format, geometry: Geometry
) -> LayerPlacement:
    """Return the placement of layer 0: the loader has made of each window of the image words of their own."""
    k = layer.sum_length
    paired = isinstance(layer, Conv) and inputs.bits > 1 and 2 * k <= geometry.word_bits
    words = words_for(k, geometry.word_bits)
    return replace(
        placed,
        words=words,
        planes=words_for(inputs.bits, 2) if paired else inputs.bits,
        tail_bits=geometry.word_bits if paired else k - (words - 1) * geometry.word_bits,
        steps=layer_steps(inputs, layer.weight_shifts, paired=paired),
        paired=paired,
        weight_planes=len(layer.weight_shifts),
        source=layer.sum_shape if isinstance(layer, Conv) else _UNIT,
    )


def pixel_words(channels: int, geometry: Geometry) -> int:
    """Return the words of a pixel's channels, one plane."""
    return words_for(channels, geometry.word_bits)


def output_words(layer: Layer, geometry: Geometry) -> int:
    """Return the words of memory that a layer's activations take."""
    height, width, channels = layer.output_shape
    return height * width * pixel_words(channels, geometry) * activation_bits(layer)


def activation_bits(layer: Layer) -> int:
    """Return the bits of an activation of a layer."""
    return layer.head.bits if isinstance(layer.head, MultiThreshold) else 1


def split_map(codes: Bits, layer: Layer, word_bits: int) -> Words:
    """Return the words of a layer's activations as they lie in memory.

    Parameters
    ----------
    codes : uint8 [n, outputs]
    layer : Dense or Conv
        That computed them.
    word_bits : int
        W.

    Returns
    -------
    uint64 [n, words, L]
        Pixel by pixel; of each word of a pixel its planes, the most significant first.
    """
    bits = activation_bits(layer)
    maps = codes.reshape(len(codes), -1, layer.neurons)
    rows = split_rows(bit_planes(maps, bits)[..., ::-1, :], word_bits)  # n, pixels, planes, words, L
    return np.ascontiguousarray(rows.swapaxes(2, 3)).reshape(len(codes), -1, rows.shape[-1])


def join_map(words: Words, layer: Layer, word_bits: int) -> Bits:
    """Return the codes, uint8 [n, outputs], of a layer's activations; the inverse of `split_map`."""
    bits = activation_bits(layer)
    of_pixel = words_for(layer.neurons, word_bits)
    rows = words.reshape(len(words), -1, of_pixel, bits, words.shape[-1]).swapaxes(2, 3)
    planes = join_rows(rows, word_bits, layer.neurons)  # n, pixels, planes, channels
    weights = (1 << np.arange(bits - 1, -1, -1, dtype=np.uint8))[:, np.newaxis]
    codes: Bits = (planes * weights).sum(axis=2, dtype=np.uint8)
    return codes.reshape(len(words), -1)


def _activation_bases(network: Network, geometry: Geometry) -> list[int]:
    """Return where each hidden layer writes: even-numbered at 0, odd-numbered behind the largest of those."""
    sizes = [output_words(layer, geometry) for layer in network.layers[:-1]]
    behind = max(sizes[::2], default=0)
    return [behind if index % 2 else 0 for index in range(len(sizes))]


def _residual_bases(network: Network, geometry: Geometry) -> dict[str, int]:
    """Return from which residual row on the integers of each layer lie that another adds, by its name."""
    bases: dict[str, int] = {}
    base = 0
    for layer in network.layers:
        if layer.name in {reader.residual for reader in network.layers}:
            bases[layer.name] = base
            height, width, _ = integer_shape(layer)
            base += height * width * words_for(layer.neurons, geometry.banks)
    if base > geometry.residual_rows:
        raise CapacityError(
            f"network '{network.name}' needs residual_rows {base}, "
            f"the geometry has {geometry.residual_rows}: raise residual_rows to at least {base}"
        )
    return bases


def _check_features(network: Network, index: int, geometry: Geometry) -> None:
    """See that the machine can do what a layer asks for."""
    layer = network.layers[index]
    where = f"layer '{layer.name}'"
    if activation_bits(layer) > geometry.activation_bits:
        raise CapacityError(
            f"{where} needs activation_bits {activation_bits(layer)}, the geometry has "
            f"{geometry.activation_bits}: raise activation_bits to at least {activation_bits(layer)}"
        )
    if _needs_integers(network, layer) and not geometry.integer_head:
        raise CapacityError(
            f"{where} pools or rectifies integers that thresholds cannot stand for: "
            "build the geometry with integer_pools"
        )
    if isinstance(layer, Conv) and layer.pool is not None:
        if layer.pool.kind == "or" and layer.name in {reader.residual for reader in network.layers}:
            raise CapacityError(f"{where} pools its activations, machines then do not keep its integers")
        if layer.pool.kind == "or" and layer.residual is not None:
            raise CapacityError(f"{where} pools its activations, machines then add no residual before")
    if index == 0 and isinstance(layer, Conv):
        if layer.inputs > geometry.image_elements:
            raise CapacityError(
                f"{where} needs image_elements {layer.inputs}, the geometry has {geometry.image_elements}: "
                f"raise image_elements to at least {layer.inputs}"
            )
        if network.input_signed and layer.pad_value == 0 and any(layer.padding):
            raise CapacityError(
                f"{where} pads an image of +1 and -1 with 0, machines pad it with +1 or -1: choose one"
            )
    if index == 0 and isinstance(layer, Dense) and 0 < geometry.image_elements < layer.inputs:
        raise CapacityError(
            f"{where} needs image_elements {layer.inputs}, the geometry has {geometry.image_elements}: "
            f"raise image_elements to at least {layer.inputs}, or set it to 0"
        )
    shifts = layer.weight_shifts
    if len(shifts) > geometry.weight_planes:
        raise CapacityError(
            f"{where} needs weight_planes {len(shifts)}, the geometry has {geometry.weight_planes}: "
            f"raise weight_planes to at least {len(shifts)}"
        )
    if shifts[0] or any(high - low > 1 for low, high in pairwise(shifts)):
        raise CapacityError(f"{where} must have weight_shifts from 0 on without gaps, not {shifts}")


def _relu_folds(network: Network, layer: Layer) -> bool:
    """Return whether thresholds can stand for a ReLU: not where its integers are added up, kept or sent."""
    summed = layer.pool is not None and layer.pool.kind == "sum"
    kept = layer.name in {reader.residual for reader in network.layers}
    return not (isinstance(layer.head, Affine) or summed or kept or layer.residual is not None)


def needs_integer_pools(network: Network) -> bool:
    """Return whether a network has a ReLU, or pools by max, where thresholds cannot stand for it."""
    return any(_needs_integers(network, layer) for layer in network.layers)


def _needs_integers(network: Network, layer: Layer) -> bool:
    """Return whether a layer needs the integers that its neurons rectify or pool, not only bits."""
    pooled = layer.pool is not None and layer.pool.kind == "max" and not isinstance(layer.head, Threshold)
    return pooled or (layer.relu and not _relu_folds(network, layer))


def machine_thresholds(layer: Layer, placed: LayerPlacement, inputs: Format) -> NDArray[np.int64]:
    """Return the thresholds of a layer's sums, int64 [T, N], ReLU folded in where the machine has none.

    ``max(0, s) >= T`` is ``s >= T`` for T above 0, and always true otherwise.
    """
    assert not isinstance(layer.head, Affine)
    values = layer.head.values.reshape(-1, layer.neurons).astype(np.int64)
    if layer.relu and not placed.relu:
        return np.where(values > 0, values, -largest_sum(layer, inputs.largest))
    return values


def _check_capacity(network: Network, placement: Placement) -> None:
    geometry = placement.geometry
    rows = threshold_rows = activation_words = 0
    last_placed = placement.layers[-1]
    all_rows = last_placed.row_base + last_placed.rows
    all_thresholds = sum(placed.groups * placed.thresholds for placed in placement.layers[:-1])
    all_activations = max(
        (
            placed.destination_base + output_words(layer, geometry)
            for layer, placed in zip(network.layers[:-1], placement.layers, strict=False)
        ),
        default=0,
    )
    first = placement.layers[0]
    reaches = accumulator_reaches(network, placement)
    if network.inputs > _MOST_INPUTS:
        raise CapacityError(
            f"network '{network.name}' has {network.inputs} inputs, a machine counts them "
            f"in 24 bits: give it at most {_MOST_INPUTS}"
        )
    unfolded = first.words * first.planes * first.source[0] * first.source[1]
    _check(network.layers[0], geometry, "input_words", unfolded, "a half")
    _check(network.layers[-1], geometry, "outputs", network.outputs, "an image")
    for layer, placed in zip(network.layers, placement.layers, strict=True):
        _check_accumulator(layer, geometry, reaches[layer.name])
        rows = placed.row_base + placed.rows
        _check(layer, geometry, "rows", rows, "a bank", all_rows)
        if not isinstance(layer.head, Affine):
            threshold_rows = placed.threshold_base + placed.groups * placed.thresholds
            _check(layer, geometry, "threshold_rows", threshold_rows, "in all", all_thresholds)
            activation_words = placed.destination_base + output_words(layer, geometry)
            _check(layer, geometry, "activation_words", activation_words, "a lane", all_activations)
    table, _ = placement.step_tables()
    _check(network.layers[-1], geometry, "steps", len(table), "in all")


def _check(
    layer: Layer, geometry: Geometry, field: str, need: int, unit: str, cure: int | None = None
) -> None:
    """Raise if a layer needs more than `field` of the geometry; `cure` is what the whole network needs."""
    have = getattr(geometry, field)
    if need > have:
        raise CapacityError(
            f"layer '{layer.name}' needs {field} up to {need}, the geometry has {have} {unit}: "
            f"raise {field} to at least {cure or need}"
        )


def accumulator_reaches(network: Network, placement: Placement) -> dict[str, int]:
    """Return the largest absolute partial sum of each layer, or difference to a threshold, by its name."""
    reaches: dict[str, int] = {}
    differences = {}
    for index, (layer, placed) in enumerate(zip(network.layers, placement.layers, strict=True)):
        inputs = network.format_into(index)
        reach = largest_sum(layer, inputs.largest)
        if layer.residual is not None:
            reach += reaches[layer.residual]
        reaches[layer.name] = reach
        if not isinstance(layer.head, Affine):
            reach += int(np.abs(machine_thresholds(layer, placed, inputs)).max())
        differences[layer.name] = reach
    return differences


def _check_accumulator(layer: Layer, geometry: Geometry, reach: int) -> None:
    need = signed_bits(reach)
    if need > geometry.accumulator_bits:
        raise CapacityError(
            f"layer '{layer.name}' needs accumulator_bits {need} for sums up to {reach}, "
            f"the geometry has {geometry.accumulator_bits}: raise accumulator_bits to at least {need}"
        )


def signed_bits(reach: int) -> int:
    """Return the bits of a signed number of at most this absolute value."""
    return reach.bit_length() + 1


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
        rows = _neuron_rows(layer, placed, geometry)
        full = layer.neurons // geometry.banks
        if full:
            groups = rows[: full * geometry.banks].reshape(
                full, geometry.banks, placed.neuron_rows, geometry.slices
            )
            ordered = groups.swapaxes(1, 2).reshape(-1, geometry.slices)
            packets.append(ProgramPacket(index, placed.row_base, 0, geometry.banks, ordered))
        rest = rows[full * geometry.banks :]
        if len(rest):
            ordered = rest.swapaxes(0, 1).reshape(-1, geometry.slices)
            first_row = placed.row_base + full * placed.neuron_rows
            packets.append(ProgramPacket(index, first_row, 0, len(rest), ordered))
    return packets


def _neuron_rows(layer: Layer, placed: LayerPlacement, geometry: Geometry) -> Words:
    """Return the rows of each neuron, uint64 [N, neuron_rows, L]: tap by tap, of each word its planes."""
    taps = placed.kernel[0] * placed.kernel[1]
    weights = layer.weights.reshape(-1, *layer.weights.shape[-2:])
    bits = unpack(weights, layer.sum_length).reshape(len(weights), layer.neurons, taps, -1)
    if placed.paired:
        half = np.zeros((*bits.shape[:-1], geometry.word_bits // 2), dtype=np.uint8)
        half[..., : bits.shape[-1]] = bits
        bits = np.concatenate([half, half], axis=-1)
    rows = split_rows(bits, geometry.word_bits)  # planes, N, taps, words, L
    return np.moveaxis(rows, 0, 3).reshape(layer.neurons, placed.neuron_rows, geometry.slices)


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
    layers = tuple(
        _stored_layer(layer, placed, cells[:, placed.row_base : placed.row_base + placed.rows], geometry)
        for layer, placed in zip(network.layers, placement.layers, strict=True)
    )
    return replace(network, layers=layers)


def _stored_layer(layer: Layer, placed: LayerPlacement, rows: Words, geometry: Geometry) -> Layer:
    """Return a layer with the weights of its rows, uint64 [banks, rows of the layer, L]."""
    banks, slices = geometry.banks, geometry.slices
    neurons = rows.reshape(banks, placed.groups, placed.neuron_rows, slices).swapaxes(0, 1)
    neurons = neurons.reshape(-1, placed.neuron_rows, slices)[: layer.neurons]
    taps = placed.kernel[0] * placed.kernel[1]
    of_planes = np.moveaxis(
        neurons.reshape(layer.neurons, taps, placed.words, placed.weight_planes, slices), 3, 0
    )
    if placed.paired:
        assert isinstance(layer, Conv)  # the loader pairs planes of windows
        half = geometry.word_bits // 2
        copies = join_rows(of_planes, geometry.word_bits, 2 * half).reshape(-1, layer.neurons, 2, half)
        even, odd = (_packed(copies[:, :, copy, : layer.sum_length], layer) for copy in range(2))
        return replace(layer, weights=even, odd_plane_weights=odd)
    of_tap = layer.sum_length // taps
    bits = join_rows(of_planes, geometry.word_bits, of_tap).reshape(-1, layer.neurons, layer.sum_length)
    return replace(layer, weights=_packed(bits, layer))


def _packed(bits: Bits, layer: Layer) -> Words:
    """Return bits, uint8 [planes, N, K], packed in the shape of a layer's weights."""
    return pack(bits).reshape(layer.weights.shape)
