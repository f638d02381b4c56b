"""Predicts clocks from the Timing section of ``docs/architecture.md`` alone, never from the hardware.

The schedule is followed from event to event (a group of neurons, a batch of images), not from clock to clock.
Clock 1 is the first clock of a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.encoding import words_for
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Conv
from spinbnn.golden.mram import ProgramLog
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import LayerPlacement, Placement

READ_CLOCKS = 2
SCRUB_READ_CLOCKS = 3
ACCOUNT_CLOCKS = 13
RANDOM_WORDS = 32
DRAIN_DELAY = 5
RESULT_DELAY = 4
_SHORTEST_LAYER = 2
_BATCHES_TO_STEADY = 4


@dataclass(frozen=True)
class RunClocks:
    """The schedule of a run.

    Parameters
    ----------
    total : int
        What RUN_CLOCKS reads.
    beats : int
        What BEAT_CLOCKS reads.
    image_done : tuple of int
        Clock in which each image's class is accepted.
    """

    total: int
    beats: int
    image_done: tuple[int, ...]


def loop_clocks(placement: Placement) -> int:
    """Return the sum of the loops: beats of a batch of images."""
    return sum(placed.beats for placed in placement.layers)


def binary_operations(network: Network) -> int:
    """Return the binary multiply-accumulates of an image, each bit-plane of inputs and weights counted.

    Sums that are formed again for overlapping windows of pooling count once.
    """
    total = 0
    for index, layer in enumerate(network.layers):
        sums = layer.sum_shape[0] * layer.sum_shape[1] if isinstance(layer, Conv) else 1
        planes = network.format_into(index).bits * len(layer.weight_shifts)
        total += sums * layer.sum_length * layer.neurons * planes
    return total


def steady_clocks_per_image(image_done: Sequence[int], lanes: int) -> float | None:
    """Return the clocks an image takes once the machine is busy.

    From the clocks in which images were done: measured between the last image of the first batch and the last
    image of the last full batch; None with fewer than two full batches.
    """
    full = len(image_done) // lanes
    if full < 2:
        return None
    return (image_done[full * lanes - 1] - image_done[lanes - 1]) / ((full - 1) * lanes)


def predict_steady_clocks(network: Network, placement: Placement) -> float:
    """Return the clocks that an image takes once the machine is busy, whose streams never wait."""
    lanes = placement.geometry.lanes
    done = predict_run_clocks(network, placement, _BATCHES_TO_STEADY * lanes).image_done
    steady = steady_clocks_per_image(done, lanes)
    assert steady is not None
    return steady


def predict_utilisation(network: Network, placement: Placement) -> float:
    """Return the binary operations of an image by those that the array can do in its steady clocks."""
    geometry = placement.geometry
    array = geometry.banks * geometry.word_bits * geometry.lanes
    return binary_operations(network) / (predict_steady_clocks(network, placement) * array)


def predict_program_clocks(
    log: ProgramLog, point: OperatingPoint, geometry: Geometry, chip: Chip = TYPICAL
) -> int:
    """Return the clocks that programming takes the controller.

    Parameters
    ----------
    log : ProgramLog
        What golden did with each row.
    point : OperatingPoint
    geometry : Geometry
    chip : Chip, optional
        By default one without stuck cells.
    """
    rows = len(log.pulses) * (READ_CLOCKS + account_clocks(geometry))
    return rows + _pulse_clocks(log, point, geometry, chip)


def predict_scrub_clocks(
    log: ProgramLog, point: OperatingPoint, geometry: Geometry, chip: Chip = TYPICAL
) -> int:
    """Return the clocks that a scrub takes the controller; parameters as of `predict_program_clocks`."""
    rows = len(log.pulses) * (SCRUB_READ_CLOCKS + account_clocks(geometry))
    return rows + _pulse_clocks(log, point, geometry, chip)


def predict_age_clocks(rows: int, point: OperatingPoint, geometry: Geometry, chip: Chip = TYPICAL) -> int:
    """Return the clocks that ageing takes the controller.

    Parameters
    ----------
    rows : int
        Rows of each bank that are aged.
    point : OperatingPoint
    geometry : Geometry
    chip : Chip, optional
        By default one without stuck cells.
    """
    flips = 0
    if point.draws(geometry.memory, chip):
        flips = _class_clocks(geometry) + RANDOM_WORDS * geometry.cell_slices + 1
    return rows * geometry.banks * (READ_CLOCKS + flips + account_clocks(geometry))


def account_clocks(geometry: Geometry) -> int:
    """Return the clocks in which the counters take in what was done with a row."""
    memory = geometry.memory
    return (
        ACCOUNT_CLOCKS
        + 4 * memory.self_terminated
        + memory.ageing
        + memory.scrub
        + 2 * memory.secded
        + memory.differential
        + (memory.read_groups > 0)
    )


def _class_clocks(geometry: Geometry) -> int:
    """Return the clocks that finding the classes of a row's cells takes."""
    return 13 + 48 * geometry.cell_slices if geometry.memory.variability else 0


def _pulse_clocks(log: ProgramLog, point: OperatingPoint, geometry: Geometry, chip: Chip) -> int:
    """Return the clocks of pulses, of what is drawn for them, and of the reads that verify them."""
    clocks = int(log.pulses.sum()) * point.pulse_clocks + int(log.verify_reads.sum()) * READ_CLOCKS
    if point.draws(geometry.memory, chip):
        clocks += int(log.pulses.sum()) * RANDOM_WORDS * geometry.cell_slices
        clocks += int(np.count_nonzero(log.pulses)) * _class_clocks(geometry)
    return clocks


def predict_run_clocks(
    network: Network, placement: Placement, images: int, activation_pulse_clocks: int = 1
) -> RunClocks:
    """Return the schedule of a run whose streams never wait for the outside.

    Parameters
    ----------
    network : Network
    placement : Placement
        Of the network.
    images : int
        At least 1.
    activation_pulse_clocks : int
        Length of the pulse that stores a word of activations (1 to 65535); only matters where activations are
        stored in MRAM.
    """
    return _Schedule(network, placement, activation_pulse_clocks).run(images)


@dataclass(frozen=True)
class LoadClocks:
    """What an image takes the loader.

    Parameters
    ----------
    received : int
        Clocks in which beats are taken before a half of the input buffer must be free.
    written : int
        Clocks after that.
    """

    received: int
    written: int


def image_load_clocks(network: Network, placement: Placement) -> LoadClocks:
    """Return the clocks in which the loader takes an image and writes its words."""
    geometry, placed = placement.geometry, placement.layers[0]
    elements = geometry.stream_elements
    if not geometry.image_elements:  # beats, and behind those of a word its planes
        full, rest = divmod(network.inputs, geometry.word_bits)
        beats = full * (geometry.word_bits // elements) + words_for(rest, elements)
        return LoadClocks(0, beats + (full + (rest > 0)) * network.input_bits)
    layer = network.layers[0]
    rows = layer.kernel[0] if isinstance(layer, Conv) else 1
    segment = layer.sum_length // rows
    chunks = words = fill = 0
    for row in range(rows):
        left = segment
        while left:
            taken = min(left, elements, geometry.word_bits - fill)
            left, fill, chunks = left - taken, fill + taken, chunks + 1
            if fill == geometry.word_bits or (not left and row == rows - 1):
                words, fill = words + 1, 0
    windows = placed.source[0] * placed.source[1]
    return LoadClocks(words_for(network.inputs, elements), windows * (chunks + words * (1 + placed.planes)))


class _Schedule:
    """Follows the engine from group to group; all state is of the group before.

    Attributes
    ----------
    issued : int
        Clock of the last beat.
    group_end, drain : int
        Clock of the last beat of the group before, and the length of its drain.
    written : list of int
        Clock in which each word of the layer before was written.
    accepted : int
        Clock in which the last result of the batch before was accepted.
    """

    def __init__(self, network: Network, placement: Placement, activation_pulse_clocks: int) -> None:
        self._network = network
        self._placement = placement
        self._geometry = placement.geometry
        generators = self._geometry.memory.activation_generators
        self._write_clocks = max(activation_pulse_clocks, RANDOM_WORDS // generators) if generators else 1
        self.issued = 0
        self.group_end = 0
        self.drain = 0
        self.written: list[int] = []
        self.accepted = 0

    def run(self, images: int) -> RunClocks:
        lanes = self._geometry.lanes
        load = image_load_clocks(self._network, self._placement)
        done: list[int] = []
        loaded = 0  # clock of the loader's last write
        released = [0, 0]  # clock of the last read of each half
        for batch in range(-(-images // lanes)):
            count = min(lanes, images - batch * lanes)
            for _ in range(count):
                loaded = max(loaded + load.received, released[batch % 2]) + load.written
            self._layer(0, loaded + 1, count)
            released[batch % 2] = self.issued
            for index in range(1, len(self._placement.layers)):
                self._layer(index, 0, count)
            done += self._results(count)
        batches = -(-images // lanes)
        return RunClocks(self.accepted, batches * loop_clocks(self._placement), tuple(done))

    def _layer(self, index: int, earliest: int, images: int) -> None:
        """Issue a layer, which may not begin before the clock `earliest`."""
        placed = self._placement.layers[index]
        logits = index == len(self._placement.layers) - 1
        first_clock = self.issued + 1
        self.issued = max(self.issued, earliest - 1)
        source_complete = max(self.written) if index else 0
        beats = placed.beats // (placed.pixels * placed.groups)
        written: list[int] = []
        for pixel in range(placed.pixels):
            for group in range(placed.groups):
                last_of_layer = pixel == placed.pixels - 1 and group == placed.groups - 1
                if self.issued < source_complete:
                    end = self._follow_operands(placed, pixel)
                else:
                    end = self.issued + beats
                if logits and group == 0:
                    end = max(end, self.accepted + 1)
                end = max(end, self.group_end + self.drain)
                if last_of_layer:
                    end = max(end, first_clock + _SHORTEST_LAYER - 1)
                self.issued = self.group_end = end
                neurons = self._geometry.banks
                if group == placed.groups - 1:
                    neurons = placed.last_group_neurons
                if logits:
                    self.drain = neurons * images
                else:
                    self._drain(placed, group, neurons, written)
                if self._geometry.integer_head:
                    self.drain += placed.thresholds - 1
        self.written = written

    def _follow_operands(self, placed: LayerPlacement, pixel: int) -> int:
        """Return when the last beat of a group can be issued, going by its operands one after the other."""
        clock = self.issued
        for address in operand_addresses(placed, pixel):
            ready = self.written[address] + 1 if address is not None else 0
            clock = max(clock + 1, ready)
        return clock

    def _drain(self, placed: LayerPlacement, group: int, neurons: int, written: list[int]) -> None:
        """Note when the words are written that a group completes, and how long its drain is."""
        banks, width = self._geometry.banks, self._geometry.word_bits
        chunk = min(banks, width)
        chunks = -(-neurons // chunk)
        last_group = group == placed.groups - 1
        bits = placed.activation_bits
        before = group * banks  # neurons of the pixel
        rest = (before + neurons) % width if last_group else 0
        clock = self.group_end + self._drain_delay(placed) - 1
        takes_rest = False
        for number in range(chunks):
            packed = before + min(number * chunk, neurons), before + min((number + 1) * chunk, neurons)
            completes = packed[0] // width < packed[1] // width
            takes_rest = rest > 0 and number == chunks - 1 and not completes
            for _ in range(bits):
                clock += self._write_clocks if completes or takes_rest else 1
                if completes or takes_rest:
                    written.append(clock)
        if rest and not takes_rest:  # a rest behind a word that the last chunk completed
            written += [clock + self._write_clocks * (plane + 1) for plane in range(bits)]
        divides = width % banks == 0 or banks % width == 0
        most_words = (width - 1 + banks) // width + (0 if divides else 1)
        flush = int(last_group and not divides)
        self.drain = bits * (chunks + flush) + (self._write_clocks - 1) * most_words

    def _drain_delay(self, placed: LayerPlacement) -> int:
        """Return the clocks from a group's last beat to the first chunk of its activations, or logit."""
        return DRAIN_DELAY + (1 + placed.thresholds if self._geometry.integer_head else 0)

    def _results(self, images: int) -> list[int]:
        """Send a batch's results; return the clock in which each image's class is accepted."""
        outputs = self._network.outputs
        last_group = self._placement.layers[-1].last_group_neurons
        last_taken = self.group_end + self._drain_delay(self._placement.layers[-1]) + last_group * images - 1
        first_class = last_taken + RESULT_DELAY + 2 * (outputs - 1) + 1
        done = [first_class + image * (2 * outputs + 1) for image in range(images)]
        self.accepted = done[-1]
        return done


def operand_addresses(placed: LayerPlacement, pixel: int) -> Iterator[int | None]:
    """Yield the address of the operand of each beat of a group, from the map's start; None in padding.

    Parameters
    ----------
    placed : LayerPlacement
    pixel : int
        Number of the output pixel.
    """
    height, width = placed.source
    pixel_y, pixel_x = divmod(pixel, placed.positions[1])
    for window_y, window_x in np.ndindex(placed.window):
        for kernel_y, kernel_x in np.ndindex(placed.kernel):
            sum_y = pixel_y * placed.window_stride[0] + window_y
            sum_x = pixel_x * placed.window_stride[1] + window_x
            y = sum_y * placed.stride[0] + kernel_y + placed.origin[0]
            x = sum_x * placed.stride[1] + kernel_x + placed.origin[1]
            inside = 0 <= y < height and 0 <= x < width
            for word in range(placed.words):
                for step in placed.steps:
                    of_word = (y * width + x) * placed.words + word
                    yield of_word * placed.planes + step.plane if inside else None
