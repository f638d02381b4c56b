"""Predicts clocks from the Timing section of ``docs/architecture.md`` alone, never from the hardware.

The schedule is followed from event to event (a group of neurons, a batch of images), not from clock to clock.
Clock 1 is the first clock of a run.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.chip import TYPICAL, Chip
from spinbnn.golden.encoding import words_for
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Conv
from spinbnn.golden.mram import ProgramLog
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement
from spinbnn.sim.engine_schedule import RANDOM_WORDS, STALLS, BatchClocks, EngineSchedule

READ_CLOCKS = 2
SCRUB_READ_CLOCKS = 3
ACCOUNT_CLOCKS = 13
RESULT_DELAY = 4
LOGIT_CLOCKS = 2
_BATCHES_TO_STEADY = 4


def image_beats(network: Network, placement: Placement) -> int:
    """Return the beats of an image."""
    return words_for(network.inputs, placement.geometry.stream_elements)


@dataclass(frozen=True)
class StreamPauses:
    """How the outside holds back the streams of a run.

    Parameters
    ----------
    images : int64 [n]
        For each image beat, for how many clocks behind the acceptance of the beat before it is not offered.
        The first beat is offered before the run begins, whatever its number here.
    results : int64 [m]
        For each result beat, for how many clocks behind its acceptance no other is taken.
    """

    images: NDArray[np.int64]
    results: NDArray[np.int64]

    @classmethod
    def none(cls, network: Network, placement: Placement, images: int) -> StreamPauses:
        """Return the pauses of streams that never wait."""
        return cls(
            np.zeros(images * image_beats(network, placement), dtype=np.int64),
            np.zeros(images * (network.outputs + 1), dtype=np.int64),
        )


@dataclass(frozen=True)
class RunClocks:
    """The schedule of a run.

    Parameters
    ----------
    total : int
        What RUN_CLOCKS reads.
    beats : int
        What BEAT_CLOCKS reads.
    images : int64 [images, beats]
        Clock in which each beat of an image is accepted.
    results : int64 [images, outputs + 1]
        Clock in which each logit, and behind them the class, is accepted.
    starts : int64 [batches]
        Clock before the first in which a beat of the batch can be issued.
    batches : tuple of BatchClocks
        Of each batch, relative to `starts`.
    """

    total: int
    beats: int
    images: NDArray[np.int64]
    results: NDArray[np.int64]
    starts: NDArray[np.int64]
    batches: tuple[BatchClocks, ...]

    @property
    def image_done(self) -> NDArray[np.int64]:
        """Clock in which each image's class is accepted, int64 [images]."""
        return self.results[:, -1]

    def layer_clocks(self) -> NDArray[np.int64]:
        """Return the clocks of the first and the last beat of every layer, int64 [batches, layers, 2]."""
        relative = [[(layer.first, layer.last) for layer in batch.layers] for batch in self.batches]
        return np.array(relative, dtype=np.int64) + self.starts[:, np.newaxis, np.newaxis]

    def stalls(self) -> NDArray[np.int64]:
        """Return the clocks in which layers wait for a beat, by cause: int64 [batches, layers, STALLS].

        Those of all layers and the beats add up to the clock of the last beat.
        """
        relative = [[list(layer.stalls.values()) for layer in batch.layers] for batch in self.batches]
        stalls = np.array(relative, dtype=np.int64)
        ended = self.starts + np.array([batch.end for batch in self.batches])
        stalls[:, 0, STALLS.index("input")] = self.starts - np.concatenate([[0], ended[:-1]])
        return stalls

    def written(self, layer: int) -> NDArray[np.int64]:
        """Return the clocks in which a hidden layer's words are written, int64 [batches, words]."""
        known = {id(batch): batch.written(layer) for batch in self.batches}
        relative = np.stack([known[id(batch)] for batch in self.batches])
        return relative + self.starts[:, np.newaxis]


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


def steady_clocks_per_image(image_done: NDArray[np.int64], lanes: int) -> float | None:
    """Return the clocks an image takes once the machine is busy.

    From the clocks in which images were done: measured between the last image of the first batch and the last
    image of the last full batch; None with fewer than two full batches.
    """
    full = len(image_done) // lanes
    if full < 2:
        return None
    return int(image_done[full * lanes - 1] - image_done[lanes - 1]) / ((full - 1) * lanes)


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
    network: Network,
    placement: Placement,
    images: int,
    activation_pulse_clocks: int = 1,
    pauses: StreamPauses | None = None,
) -> RunClocks:
    """Return the schedule of a run.

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
    pauses : StreamPauses, optional
        How the outside holds back the streams; by default it never does.
    """
    pauses = pauses or StreamPauses.none(network, placement, images)
    return _Run(network, placement, EngineSchedule(placement, activation_pulse_clocks), pauses).follow(images)


def image_write_clocks(network: Network, placement: Placement) -> int:
    """Return the clocks from an image's last beat, or from a free half on, to the loader's last write."""
    geometry, placed = placement.geometry, placement.layers[0]
    if not geometry.image_elements:
        return network.input_bits
    layer = network.layers[0]
    rows = layer.kernel[0] if isinstance(layer, Conv) else 1
    segment = layer.sum_length // rows
    chunks = words = fill = 0
    for row in range(rows):
        left = segment
        while left:
            taken = min(left, geometry.stream_elements, geometry.word_bits - fill)
            left, fill, chunks = left - taken, fill + taken, chunks + 1
            if fill == geometry.word_bits or (not left and row == rows - 1):
                words, fill = words + 1, 0
    windows = placed.source[0] * placed.source[1]
    return windows * (chunks + words * (1 + placed.planes))


class _Run:
    """Follows a run from batch to batch.

    What a batch does depends only on the clocks below, relative to one another. Where nothing holds back the
    streams they come again after a few batches, and with them all that follows, so far as batches are full.

    Attributes
    ----------
    offered : int
        Clock from which on the next image's first beat is offered.
    loaded : int
        Clock of the loader's last write.
    released : list of int
        Clock of the last read of each half of the input buffer.
    issued, drain : int
        Clock of the engine's last beat, and the length of the drain that began with it.
    accepted : int
        Clock in which the last result was accepted.
    """

    def __init__(
        self, network: Network, placement: Placement, engine: EngineSchedule, pauses: StreamPauses
    ) -> None:
        self._network = network
        self._placement = placement
        self._engine = engine
        self._pauses = pauses
        self._steady = not (pauses.images.any() or pauses.results.any())
        self._write_clocks = image_write_clocks(network, placement)
        self._unfolds = bool(placement.geometry.image_elements)
        self._image_offsets = self._offsets_of_image_beats()
        self._last_result = np.cumsum(self._steps_of_results())
        self._images_first: list[int] = []
        self._results_first: list[int] = []
        self._starts: list[int] = []
        self._batches: list[BatchClocks] = []
        self.offered = 1
        self.loaded = 0
        self.released = [0, 0]
        self.issued = self.drain = self.accepted = 0

    def follow(self, images: int) -> RunClocks:
        lanes = self._placement.geometry.lanes
        full, every = images // lanes, -(-images // lanes)
        known: dict[tuple[int, ...], tuple[int, int]] = {}
        while (batch := len(self._batches)) < every:
            first = batch * lanes
            self._follow_batch(batch, first, min(lanes, images - first))
            batch += 1
            if self._steady and batch < full:
                now = self._state(batch % 2)
                if now in known:
                    self._repeat(*known[now], full)
                    known.clear()
                known[now] = len(self._batches), self.issued
        return self._clocks(images)

    def _state(self, half: int) -> tuple[int, ...]:
        """Return what decides on all that follows; `half` is the next that is filled."""
        clocks = (self.offered, self.loaded, self.released[half], self.released[1 - half], self.accepted)
        return (self.drain, *(clock - self.issued for clock in clocks))

    def _follow_batch(self, batch: int, first: int, count: int) -> None:
        """Load and compute a batch, of `count` images from the number `first` on, and give its results."""
        for image in range(first, first + count):
            self._images_first.append(self._load_image(image, batch % 2, image == first))
        start = max(self.issued, self.loaded)
        clocks = self._engine.batch(count, start - self.issued, self.drain, self.accepted - start)
        self._starts.append(start)
        self._batches.append(clocks)
        self.released[batch % 2] = start + clocks.layers[0].last
        self.issued, self.drain = start + clocks.end, clocks.drain
        per_image = self._network.outputs + 1
        begin, end = first * per_image, (first + count) * per_image - 1
        offered = start + clocks.last_logit + RESULT_DELAY
        held = self.accepted + int(self._pauses.results[begin - 1]) + 1 if begin else 0
        self._results_first.append(max(offered, held))
        self.accepted = self._results_first[-1] + int(self._last_result[end] - self._last_result[begin])

    def _repeat(self, first: int, issued: int, full: int) -> None:
        """Do again what was done since `first` batches were, as long as batches are full.

        `issued` was the clock of the last beat then.
        """
        lanes = self._placement.geometry.lanes
        period, shift = len(self._batches) - first, self.issued - issued
        times = (full - len(self._batches)) // period
        for clocks, each in ((self._images_first, lanes), (self._results_first, 1), (self._starts, 1)):
            repeated = np.array(clocks[first * each :]) + shift * np.arange(1, times + 1)[:, np.newaxis]
            clocks.extend(repeated.reshape(-1).tolist())
        self._batches.extend(self._batches[first:] * times)
        passed = shift * times
        self.offered += passed
        self.loaded += passed
        self.released = [clock + passed for clock in self.released]
        if times * period % 2:
            self.released.reverse()
        self.issued += passed
        self.accepted += passed

    def _clocks(self, images: int) -> RunClocks:
        per_image = self._network.outputs + 1
        per_batch = self._placement.geometry.lanes * per_image
        of_batch = np.arange(images * per_image) // per_batch
        results = np.array(self._results_first)[of_batch] + self._last_result
        results -= self._last_result[of_batch * per_batch]
        return RunClocks(
            total=self.accepted,
            beats=len(self._batches) * loop_clocks(self._placement),
            images=np.array(self._images_first)[:, np.newaxis] + self._image_offsets,
            results=results.reshape(images, per_image),
            starts=np.array(self._starts),
            batches=tuple(self._batches),
        )

    def _load_image(self, image: int, half: int, first_of_batch: bool) -> int:
        """Take an image and write its words; return the clock in which its first beat is accepted."""
        first = max(self.offered, self.loaded + 1)
        if first_of_batch and not self._unfolds:
            first = max(first, self.released[half] + 1)
        last = first + int(self._image_offsets[image, -1])
        self.loaded = max(last, self.released[half]) + self._write_clocks
        if image + 1 < len(self._image_offsets):
            self.offered = last + 1 + int(self._pauses.images[(image + 1) * self._image_offsets.shape[1]])
        return first

    def _offsets_of_image_beats(self) -> NDArray[np.int64]:
        """Return the clocks from an image's first beat to each of its beats, int64 [images, beats]."""
        network, geometry = self._network, self._placement.geometry
        beats = image_beats(network, self._placement)
        pauses = self._pauses.images.reshape(-1, beats)
        steps = 1 + (pauses[:1] if self._steady else pauses)
        if not self._unfolds:
            beats_per_word = geometry.word_bits // geometry.stream_elements
            behind_word = np.arange(beats) % beats_per_word == 0
            busy = np.where(behind_word, 1 + network.input_bits, 1)
            steps = np.maximum(steps, busy)
        steps[:, 0] = 0
        return np.broadcast_to(np.cumsum(steps, axis=1), pauses.shape)

    def _steps_of_results(self) -> NDArray[np.int64]:
        """Return the clocks from the result beat before to each, where both are of one batch: int64 [n]."""
        per_image = self._network.outputs + 1
        offered = np.full(per_image, LOGIT_CLOCKS, dtype=np.int64)
        offered[-1] = 1  # the class
        steps = np.tile(offered, len(self._pauses.results) // per_image)
        steps[1:] = np.maximum(steps[1:], 1 + self._pauses.results[:-1])
        return steps
