"""The predicted clocks against a model that does, clock by clock, what the Timing section says."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import Words, pack
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import MramArray, ProgramLog
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.golden.placement import place, program_rows
from spinbnn.sim import schedule
from spinbnn.sim.engine_schedule import STALLS, LayerClocks
from spinbnn.sim.schedule import (
    StreamPauses,
    binary_operations,
    image_beats,
    image_write_clocks,
    loop_clocks,
    predict_age_clocks,
    predict_program_clocks,
    predict_run_clocks,
    predict_scrub_clocks,
    steady_clocks_per_image,
)
from tests.networks import Limits, Recipe, build, recipes


@dataclass(frozen=True)
class Beat:
    """One beat of the engine, and what may hold it back.

    `operand` is the number of a word of those that the layer before writes: None in layer 0, and in padding.
    """

    batch: int
    layer: int
    pixel: int
    group: int
    operand: int | None
    last_of_group: bool
    last_of_pixel: bool
    last_of_layer: bool


NEVER = 10**9


class ClockByClock:
    """The machine of the Timing section, a clock at a time, in the plainest way."""

    def __init__(
        self, network: Network, geometry: Geometry, images: int, pulse_clocks: int, pauses: StreamPauses
    ) -> None:
        self.network, self.geometry = network, geometry
        self.image_pauses, self.result_pauses = pauses.images.tolist(), pauses.results.tolist()
        self.write_clocks = 1
        if self.geometry.memory.activation_generators:
            self.write_clocks = max(pulse_clocks, 32 // self.geometry.memory.activation_generators)
        lanes = self.geometry.lanes
        self.batches = [min(lanes, images - first) for first in range(0, images, lanes)]
        self.last_layer = len(network.layers) - 1
        self.clock = 0
        self.issued = 0
        self.image_beats: list[int] = []  # the clock of each that was accepted
        self.results: list[int] = []
        self.layers = np.zeros((len(self.batches), len(network.layers), 2), dtype=np.int64)
        self.stalled = np.zeros((len(self.batches), len(network.layers), len(STALLS)), dtype=np.int64)
        # By batch and layer: the clock of each beat, each clock without one and its cause, drains of groups.
        self.beat_clocks: dict[tuple[int, int], list[int]] = defaultdict(list)
        self.waits: dict[tuple[int, int], list[tuple[int, str]]] = defaultdict(list)
        self.drain_lengths: dict[tuple[int, int], list[int]] = defaultdict(list)

    def run(self) -> None:
        loader, engine = self.loader(), self.engine()
        # Each half: the batch it holds, and from which clock on.
        self.full: dict[int, int] = {}
        self.free_from = {0: 1, 1: 1}
        self.words_written: dict[tuple[int, int, int], int] = {}  # (batch, layer, word): clock
        self.drains: list[Iterator[None]] = []
        self.accepted: dict[int, int] = {-1: 0}  # batch: clock of its last result
        while len(self.accepted) <= len(self.batches):
            self.clock += 1
            next(loader, None)
            next(engine, None)
            for drain in list(self.drains):
                if next(drain, "end") == "end":
                    self.drains.remove(drain)
            assert self.clock < 1_000_000

    def loader(self) -> Iterator[None]:
        """Do one thing a clock: wait for the half, take a beat, join a chunk, or write a plane."""
        load = self.unfold_image if self.geometry.image_elements else self.load_image
        for batch, count in enumerate(self.batches):
            for _ in range(count):
                yield from load(batch % 2)
            self.full[batch] = self.clock  # the last write was in the clock before
            self.free_from[batch % 2] = NEVER

    def wait_for_half(self, half: int) -> Iterator[None]:
        while self.clock < self.free_from[half]:
            yield

    def load_image(self, half: int) -> Iterator[None]:
        """Take beats; behind those of a word write its planes."""
        width, elements = self.geometry.word_bits, self.geometry.stream_elements
        yield from self.wait_for_half(half)
        left = self.network.inputs
        while left:
            in_word = min(width, left)
            left -= in_word
            while in_word > 0:
                in_word -= elements
                yield from self.take_beat()
            for _ in range(self.network.input_bits):
                yield

    def take_beat(self) -> Iterator[None]:
        """Take a beat of the image stream, which may not offer it yet."""
        if self.image_beats:
            offered = self.image_beats[-1] + 1 + self.image_pauses[len(self.image_beats)]
            while self.clock < offered:
                yield
        self.image_beats.append(self.clock)
        yield

    def give_result(self, offered: int) -> Iterator[None]:
        """Give a beat of the result stream, once it is offered and taken."""
        if self.results:
            taken = self.results[-1] + 1 + self.result_pauses[len(self.results) - 1]
            offered = max(offered, taken)
        while self.clock < offered:
            yield
        self.results.append(self.clock)

    def unfold_image(self, half: int) -> Iterator[None]:
        """Take an image's beats; then, once the half is free, go through its windows."""
        width, elements = self.geometry.word_bits, self.geometry.stream_elements
        for _ in range(0, self.network.inputs, elements):
            yield from self.take_beat()
        yield from self.wait_for_half(half)
        layer, bits = self.network.layers[0], self.network.input_bits
        length = layer.sum_length
        windows, row, planes = 1, length, bits
        if isinstance(layer, Conv):
            windows = layer.sum_shape[0] * layer.sum_shape[1]
            row = layer.kernel[1] * layer.input_shape[2]
            if bits > 1 and 2 * length <= width:
                planes = (bits + 1) // 2  # two planes in a word
        for _ in range(windows):
            for start in range(0, length, width):
                end = min(start + width, length)
                while start < end:  # a chunk, to the end of a row or of the word at most
                    start += min(elements, end - start, row - start % row)
                    yield
                yield
                for _ in range(planes):
                    yield

    def beats(self) -> Iterator[Beat]:
        for batch in range(len(self.batches)):
            for index, layer in enumerate(self.network.layers):
                groups = -(-layer.neurons // self.geometry.banks)
                pixels = list(np.ndindex(layer.output_shape[:2]))
                for pixel, (y, x) in enumerate(pixels):
                    for group in range(groups):
                        operands = list(self.operands(index, y, x))
                        for number, operand in enumerate(operands):
                            of_group = number == len(operands) - 1
                            of_pixel = of_group and group == groups - 1
                            of_layer = of_pixel and pixel == len(pixels) - 1
                            yield Beat(batch, index, pixel, group, operand, of_group, of_pixel, of_layer)

    def operands(self, index: int, y: int, x: int) -> Iterator[int | None]:
        """Yield what each beat of a group reads: pooling window, kernel, words, steps."""
        layer, inputs = self.network.layers[index], self.network.format_into(index)
        window, window_stride = (1, 1), (1, 1)
        if isinstance(layer, Conv) and layer.pool is not None:
            window, window_stride = layer.pool.size, layer.pool.stride
        for window_y, window_x in np.ndindex(window):
            sum_y, sum_x = y * window_stride[0] + window_y, x * window_stride[1] + window_x
            for pixel in self.tap_pixels(index, sum_y, sum_x):
                for word in range(self.words_of_tap(index)):
                    for plane in self.planes_of_steps(index, inputs.bits):
                        if index == 0 or pixel is None:
                            yield None
                        else:
                            yield (pixel * self.words_of_tap(index) + word) * inputs.bits + plane

    def tap_pixels(self, index: int, sum_y: int, sum_x: int) -> Iterator[int | None]:
        """Yield the pixels under a kernel, None for padding; layer 0 reads a whole window at once."""
        layer = self.network.layers[index]
        if index == 0:
            yield 0
        elif isinstance(layer, Conv):
            height, width, _ = layer.input_shape
            for tap_y, tap_x in np.ndindex(layer.kernel):
                y = sum_y * layer.stride[0] + tap_y - layer.padding[0]
                x = sum_x * layer.stride[1] + tap_x - layer.padding[1]
                yield y * width + x if 0 <= y < height and 0 <= x < width else None
        else:
            height, width, _ = self.network.layers[index - 1].output_shape
            yield from range(height * width)

    def words_of_tap(self, index: int) -> int:
        bits = self.network.layers[index - 1].neurons if index else self.network.layers[0].sum_length
        return -(-bits // self.geometry.word_bits)

    def planes_of_steps(self, index: int, bits: int) -> list[int]:
        """Return which plane of a word each of its steps reads: all meet all planes of weights."""
        layer = self.network.layers[index]
        if index == 0 and isinstance(layer, Conv) and bits > 1:
            bits = (bits + 1) // 2 if 2 * layer.sum_length <= self.geometry.word_bits else bits
        if index == 0:
            return [0] * (bits * len(layer.weight_shifts))
        pairs = [(plane, shift) for plane in range(bits) for shift in layer.weight_shifts]
        pairs.sort(key=lambda pair: pair[1] + (bits - 1 - pair[0]), reverse=True)
        return [plane for plane, _ in pairs]

    def engine(self) -> Iterator[None]:
        """Issue a beat in a clock, or stall."""
        group_end, drain_length, layer_clocks = -1000, 0, 1
        for beat in self.beats():
            clocks = self.layers[beat.batch, beat.layer]
            while (cause := self.stall(beat, group_end + drain_length, layer_clocks)) is not None:
                self.stalled[beat.batch, beat.layer, STALLS.index(cause)] += 1
                self.waits[beat.batch, beat.layer].append((self.clock, cause))
                layer_clocks += 1
                yield
            self.issued += 1
            self.beat_clocks[beat.batch, beat.layer].append(self.clock)
            clocks[:] = clocks[0] or self.clock, self.clock
            layer_clocks = 1 if beat.last_of_layer else layer_clocks + 1
            if beat.last_of_group:
                group_end = self.clock
                neurons = self.geometry.banks
                if beat.last_of_pixel:
                    neurons = self.network.layers[beat.layer].neurons - beat.group * neurons
                if beat.layer == self.last_layer:
                    drain_length = neurons * self.batches[beat.batch]
                    self.drains.append(self.drain_logits(beat, drain_length))
                else:
                    ragged = bool(
                        self.geometry.banks % self.geometry.word_bits
                        and self.geometry.word_bits % self.geometry.banks
                    )
                    chunks = -(-neurons // min(self.geometry.banks, self.geometry.word_bits))
                    drain_length = (chunks + (beat.last_of_pixel and ragged)) * self.activation_bits(
                        beat.layer
                    )
                    drain_length += (self.write_clocks - 1) * self.words_of_a_group()
                    self.drains.append(self.drain_bits(beat, neurons))
                if self.geometry.integer_head:
                    drain_length += self.thresholds(beat.layer) - 1
                self.drain_lengths[beat.batch, beat.layer].append(drain_length)
            if beat.last_of_layer and beat.layer == 0:
                self.free_from[beat.batch % 2] = self.clock + 1
            yield

    def activation_bits(self, layer: int) -> int:
        head = self.network.layers[layer].head
        return head.bits if isinstance(head, MultiThreshold) else 1

    def words_of_a_group(self) -> int:
        banks, width = self.geometry.banks, self.geometry.word_bits
        if banks % width == 0:
            return banks // width
        if width % banks == 0:
            return 1
        return (width - 1 + banks) // width + 1

    def stall(self, beat: Beat, drained: int, layer_clocks: int) -> str | None:
        """Return what holds a beat back, the first of the causes."""
        clock = self.clock
        if beat.layer == 0 and not self.full.get(beat.batch, NEVER) <= clock:
            return "input"
        if beat.operand is not None:
            word = beat.batch, beat.layer - 1, beat.operand
            if not self.words_written.get(word, NEVER) < clock:
                return "operand"
        if beat.last_of_group and clock < drained:
            return "drain"
        claims = beat.layer == self.last_layer and beat.group == 0 and beat.last_of_group
        if claims and not self.accepted.get(beat.batch - 1, clock) < clock:
            return "result"
        return "descriptor" if beat.last_of_layer and layer_clocks < 2 else None

    def drain_delay(self, layer: int) -> int:
        """Return the clocks from a group's last beat to its first chunk; each threshold takes one."""
        return 5 + (1 + self.thresholds(layer) if self.geometry.integer_head else 0)

    def thresholds(self, layer: int) -> int:
        head = self.network.layers[layer].head
        return len(head.values) if isinstance(head, MultiThreshold) else 1

    def drain_bits(self, beat: Beat, neurons: int) -> Iterator[None]:
        """Take chunks; a word is complete with the chunk that fills it, or the pixel's last."""
        width, bits = self.geometry.word_bits, self.activation_bits(beat.layer)
        first = beat.group * self.geometry.banks
        behind = beat.pixel * -(-self.network.layers[beat.layer].neurons // width)  # words of pixels before
        for _ in range(self.drain_delay(beat.layer)):
            yield
        for bit in range(0, neurons, min(self.geometry.banks, width)):
            before = first + bit
            after = first + min(neurons, bit + min(self.geometry.banks, width))
            complete = after // width > before // width
            rest = beat.last_of_pixel and after == first + neurons and after % width > 0
            for plane in range(bits):
                if complete or rest:
                    word = before // width if complete else after // width
                    yield from self.write(beat, (behind + word) * bits + plane)
                yield
            for plane in range(bits if complete and rest else 0):  # the rest goes in the clocks after
                yield from self.write(beat, (behind + after // width) * bits + plane)
                yield

    def write(self, beat: Beat, word: int) -> Iterator[None]:
        """Write a word in the last of the clocks that it takes."""
        for _ in range(self.write_clocks - 1):
            yield
        self.words_written[beat.batch, beat.layer, word] = self.clock

    def drain_logits(self, beat: Beat, length: int) -> Iterator[None]:
        for _ in range(self.drain_delay(beat.layer) + length - 1):
            yield
        if not beat.last_of_layer:
            return
        for _ in range(4):  # to the first offer
            yield
        for image in range(self.batches[beat.batch]):
            for logit in range(self.network.outputs):
                first = image == logit == 0
                yield from self.give_result(self.clock if first else self.results[-1] + 2)
            yield from self.give_result(self.clock + 1)
        self.accepted[beat.batch] = self.clock
        yield


def clock_by_clock(
    network: Network,
    geometry: Geometry,
    images: int,
    pulse_clocks: int = 1,
    pauses: StreamPauses | None = None,
) -> ClockByClock:
    pauses = pauses or StreamPauses.none(network, place(network, geometry), images)
    model = ClockByClock(network, geometry, images, pulse_clocks, pauses)
    model.run()
    return model


def check(
    network: Network,
    geometry: Geometry,
    images: int,
    pulse_clocks: int = 1,
    pauses: StreamPauses | None = None,
) -> None:
    placement = place(network, geometry)
    predicted = predict_run_clocks(network, placement, images, pulse_clocks, pauses)
    expected = clock_by_clock(network, geometry, images, pulse_clocks, pauses)
    assert predicted.images.reshape(-1).tolist() == expected.image_beats
    assert predicted.results.reshape(-1).tolist() == expected.results
    assert (predicted.total, predicted.beats) == (expected.results[-1], expected.issued)
    assert predicted.layer_clocks().tolist() == expected.layers.tolist()
    assert predicted.stalls().tolist() == expected.stalled.tolist()
    for batch, start in enumerate(predicted.starts):
        for number, clocks in enumerate(predicted.batches[batch].layers):
            check_waits(clocks, int(start), expected, (batch, number))
    for layer in range(len(network.layers) - 1):
        written = predicted.written(layer)
        for (batch, of_layer, word), clock in expected.words_written.items():
            assert of_layer != layer or written[batch, word] == clock
        of_this = sum(1 for _, of_layer, _ in expected.words_written if of_layer == layer)
        assert written.size == of_this


def check_waits(clocks: LayerClocks, start: int, expected: ClockByClock, key: tuple[int, int]) -> None:
    beats = expected.beat_clocks[key]
    assert (start + clocks.issued(np.arange(len(beats)))).tolist() == beats
    waits = [
        (start + int(first) + clock, wait.cause)
        for first, wait in zip(clocks.waiting(), clocks.waits, strict=True)
        for clock in range(wait.clocks)
    ]
    assert waits == [wait for wait in expected.waits[key] if wait[1] != "input"]
    lengths = expected.drain_lengths[key]
    assert clocks.drains * (len(lengths) // len(clocks.drains)) == lengths


def random_pauses(network: Network, geometry: Geometry, images: int, seed: int) -> StreamPauses:
    """Return pauses of both streams, some of them long; those of seed 0 are none."""
    pauses = StreamPauses.none(network, place(network, geometry), images)
    rng = np.random.default_rng(seed)
    for lengths in (pauses.images, pauses.results) if seed else ():
        probability, longest = rng.choice((0, 0.1, 0.8)), rng.choice((3, 40, 400))
        lengths[:] = (rng.random(lengths.shape) < probability) * rng.integers(1, longest, lengths.shape)
    return pauses


def check_if_it_fits(network: Network, geometry: Geometry, images: int, pulse_clocks: int, seed: int) -> None:
    try:
        pauses = random_pauses(network, geometry, images, seed)
    except CapacityError:
        assume(False)
    check(network, geometry, images, pulse_clocks, pauses)


def check_repeats(network: Network, geometry: Geometry, images: int, pulse_clocks: int = 1) -> None:
    """What is repeated must be as if each batch were followed."""
    placement = place(network, geometry)
    pauses = StreamPauses.none(network, placement, images)
    repeated = predict_run_clocks(network, placement, images, pulse_clocks, pauses)
    pauses.images[0] = 1  # means nothing, but of such runs nothing is repeated
    followed = predict_run_clocks(network, placement, images, pulse_clocks, pauses)
    assert (repeated.total, repeated.beats) == (followed.total, followed.beats)
    assert repeated.batches == followed.batches
    for name in ("images", "results", "starts"):
        assert np.array_equal(getattr(repeated, name), getattr(followed, name))


SEEDS = st.integers(0, 100)


@pytest.mark.parametrize("preset", ["5x24", "4x8x3", "8x16x3", "3x100"])
@pytest.mark.parametrize("images", [1, 2, 7])
@pytest.mark.parametrize("seed", range(4))
def test_schedule_equals_the_clock_by_clock_model(preset: str, images: int, seed: int) -> None:
    network, geometry = random_network((50, 37, 10), 3), Geometry.from_preset(preset)
    check(network, geometry, images, pauses=random_pauses(network, geometry, images, seed))


@pytest.mark.parametrize("preset", ["5x24", "4x8x3", "8x16x3", "3x100"])
@pytest.mark.parametrize("images", [25, 50, 51])
def test_repeated_batches_equal_the_clock_by_clock_model(preset: str, images: int) -> None:
    check(random_network((50, 37, 10), 3), Geometry.from_preset(preset), images)


@settings(max_examples=300, deadline=None)
@given(
    banks=st.integers(1, 20),
    word_bits=st.integers(1, 20),
    lanes=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 45), min_size=2, max_size=5),
    input_bits=st.integers(1, 4),
    images=st.integers(1, 150),
    pulse_clocks=st.integers(1, 60),
    generators=st.sampled_from((0, 8)),
)
def test_repeated_batches_of_any_machine_and_network(
    banks: int,
    word_bits: int,
    lanes: int,
    sizes: list[int],
    input_bits: int,
    images: int,
    pulse_clocks: int,
    generators: int,
) -> None:
    geometry = Geometry(
        banks,
        word_bits,
        rows=2**16,
        lanes=lanes,
        stream_bits=8,
        threshold_rows=512,
        input_words=512,
        activation_words=512,
        memory=MemoryOptions(activation_generators=generators),
    )
    network = random_network(sizes, input_bits)
    try:
        place(network, geometry)
    except CapacityError:
        assume(False)
    check_repeats(network, geometry, images, pulse_clocks)


def test_repeated_batches_of_convolutions() -> None:
    network = with_logits(replace(CONVOLUTIONS["plain"], input_shape=(6, 5, 3)), bits=8)
    for geometry in CONV_MACHINES.values():
        check_repeats(network, replace(geometry, input_words=1024), 40)


def test_long_runs_are_repeated_after_few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    follow_batch = schedule._Run._follow_batch
    followed: list[int] = []

    def counted(run: schedule._Run, batch: int, first: int, count: int) -> None:
        followed.append(batch)
        follow_batch(run, batch, first, count)

    monkeypatch.setattr(schedule._Run, "_follow_batch", counted)
    for lanes in (1, 2):
        followed.clear()
        network = random_network((784, 1024, 1024, 10), 8)
        predict_run_clocks(network, place(network, Geometry(lanes=lanes)), 10_001)
        assert len(followed) < 10
        assert sum(followed) > 0


@settings(max_examples=150, deadline=None)
@given(
    banks=st.integers(1, 20),
    word_bits=st.integers(1, 20),
    lanes=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 45), min_size=2, max_size=5),
    input_bits=st.integers(1, 4),
    images=st.integers(1, 8),
    generators=st.sampled_from((0, 0, 1, 2, 4, 8, 16, 32)),
    pulse_clocks=st.integers(1, 60),
    seed=SEEDS,
)
def test_schedule_of_any_machine_and_network(
    banks: int,
    word_bits: int,
    lanes: int,
    sizes: list[int],
    input_bits: int,
    images: int,
    generators: int,
    pulse_clocks: int,
    seed: int,
) -> None:
    geometry = Geometry(
        banks,
        word_bits,
        rows=2**16,
        lanes=lanes,
        stream_bits=8,
        threshold_rows=512,
        input_words=512,
        activation_words=512,
        memory=MemoryOptions(activation_generators=generators),
    )
    check_if_it_fits(random_network(sizes, input_bits), geometry, images, pulse_clocks, seed)


BINARY = Limits(
    layers=4, size=7, channels=9, kernel=3, relu=False, residuals=False, activation_bits=1, weight_planes=3,
    accumulator_bits=20,
)  # fmt: skip
INTEGER = replace(BINARY, relu=True, residuals=True, activation_bits=4)
SIZES = st.fixed_dictionaries(
    {
        "banks": st.integers(1, 12),
        "elements": st.sampled_from((1, 2, 4, 8)),
        "beats_of_word": st.integers(1, 12),
        "lanes": st.integers(1, 3),
    }
)


def machine(banks: int, elements: int, beats_of_word: int, lanes: int, **more: Any) -> Geometry:
    return Geometry(
        banks,
        beats_of_word * elements,
        rows=2**20,
        lanes=lanes,
        stream_bits=8 * elements,
        accumulator_bits=24,
        threshold_rows=2**12,
        input_words=2**16,
        activation_words=2**14,
        image_elements=2**10,
        steps=256,
        weight_planes=3,
        **more,
    )


@settings(max_examples=150, deadline=None)
@given(
    recipe=recipes(BINARY),
    generators=st.sampled_from((0, 0, 0, 4, 32)),
    pulse_clocks=st.integers(1, 40),
    images=st.integers(1, 6),
    sizes=SIZES,
    seed=SEEDS,
)
def test_schedule_of_any_convolutional_network(
    recipe: Recipe, generators: int, pulse_clocks: int, images: int, sizes: dict[str, int], seed: int
) -> None:
    geometry = machine(**sizes, memory=MemoryOptions(activation_generators=generators))
    check_if_it_fits(build(recipe), geometry, images, pulse_clocks, seed)


@settings(max_examples=150, deadline=None)
@given(
    recipe=recipes(INTEGER),
    images=st.integers(1, 6),
    sizes=SIZES,
    seed=SEEDS,
)
def test_schedule_of_any_network_with_integer_heads(
    recipe: Recipe, images: int, sizes: dict[str, int], seed: int
) -> None:
    geometry = machine(**sizes, activation_bits=4, residual_rows=2**12)
    check_if_it_fits(build(recipe), geometry, images, 1, seed)


def one_bit_heads(neurons: int) -> Threshold:
    return Threshold(np.zeros(neurons, np.int32), np.zeros(neurons, np.bool_))


def ones(*shape: int) -> Words:
    return pack(np.ones(shape, dtype=np.uint8))


def with_logits(*layers: Layer, bits: int = 1) -> Network:
    """Return a network of some layers, and of two logits behind them."""
    last = Dense(
        "logits", ones(2, layers[-1].outputs), layers[-1].outputs, Affine(*np.ones((2, 2), np.int32))
    )
    return Network("by hand", (*layers, last), bits, bits == 1, {})


UNIT = (1, 1)
CONVOLUTIONS = {
    "plain": Conv("a", ones(5, 27), (6, 5, 3), (3, 3), one_bit_heads(5)),
    "padding": Conv("a", ones(5, 27), (6, 5, 3), (3, 3), one_bit_heads(5), (1, 1), (1, 2, 1, 1), 1),
    "stride": Conv("a", ones(5, 18), (6, 5, 3), (3, 2), one_bit_heads(5), (2, 3)),
    "one by one": Conv("a", ones(13, 3), (6, 5, 3), (1, 1), one_bit_heads(13)),
    "pooling": Conv("a", ones(5, 12), (6, 5, 3), (2, 2), one_bit_heads(5), pool=Pool("or", (2, 2), (2, 2))),
    "overlaps": Conv("a", ones(9, 12), (6, 5, 3), (2, 2), one_bit_heads(9), pool=Pool("sum", (3, 2), UNIT)),
}  # fmt: skip
CONV_MACHINES = {
    "5x24": Geometry(5, 24, image_elements=90),
    "3x8x2": Geometry(3, 8, lanes=2, stream_bits=32, image_elements=90),
    "16x4": Geometry(16, 4, stream_bits=16, image_elements=90),
}


@pytest.mark.parametrize("machine", CONV_MACHINES)
@pytest.mark.parametrize("second", CONVOLUTIONS)
@pytest.mark.parametrize("first", ["plain", "overlaps"])
def test_schedule_of_two_convolutions(first: str, second: str, machine: str) -> None:
    """The second reads what the first writes; each pair has its own order of operands."""
    before = replace(CONVOLUTIONS["one by one"], weights=ones(3, 3), head=one_bit_heads(3))
    if first == "overlaps":
        before = replace(before, input_shape=(7, 6, 3), pool=Pool("sum", (2, 2), (1, 1)))
    geometry = replace(CONV_MACHINES[machine], image_elements=126, input_words=512, activation_words=256)
    for bits in (1, 3):
        check(with_logits(before, replace(CONVOLUTIONS[second], name="b"), bits=bits), geometry, 3)


@pytest.mark.parametrize("shape", [(1, 6, 3), (6, 1, 3), (3, 2, 3)])
@pytest.mark.parametrize("apart", [1, 2, 4, 5])
@pytest.mark.parametrize("kind", ["stride", "pooling"])
def test_which_operands_are_waited_for(kind: str, apart: int, shape: tuple[int, int, int]) -> None:
    """Only the last words of so small a map are waited for, wherever the second layer reads them."""
    height, width, _ = shape
    before = replace(CONVOLUTIONS["one by one"], input_shape=shape, weights=ones(3, 3), head=one_bit_heads(3))
    apart_by = (min(apart, height), min(apart, width))
    second = replace(before, name="b")
    if kind == "stride":
        second = replace(second, stride=apart_by)
    else:
        second = replace(second, pool=Pool("or", (min(2, height), min(2, width)), apart_by))
    for generators in (0, 32):
        geometry = replace(CONV_MACHINES["5x24"], memory=MemoryOptions(activation_generators=generators))
        check(with_logits(before, second), geometry, 2, pulse_clocks=60)


def test_unfolding_by_hand() -> None:
    """A window of 27 elements: 9 a row, so 2 beats of 8; words of 24 end after 5 chunks, and 1."""
    network = with_logits(replace(CONVOLUTIONS["plain"], input_shape=(6, 5, 3)), bits=8)
    machine = Geometry(5, 24, image_elements=90, input_words=512)
    windows = 4 * 3
    placement = place(network, machine)
    beats, written = 90 // 8 + 1, windows * (5 + 1 + 8 + 1 + 1 + 8)
    assert image_beats(network, placement) == beats
    assert image_write_clocks(network, placement) == written
    # Planes in pairs, of which a word of 64 has room: 6 chunks, and 4 words.
    wide = replace(machine, word_bits=64)
    assert image_write_clocks(network, place(network, wide)) == windows * (6 + 1 + 4)
    # Loading takes longer than all else: images follow one another at its pace, beats and all.
    done = predict_run_clocks(network, placement, 5).image_done
    assert np.diff(done).tolist() == [beats + written] * 4
    check(network, machine, 5)


def test_an_image_is_received_while_both_halves_are_full() -> None:
    """The engine is slow: of the time that it takes, an image's beats take none."""
    layer = CONVOLUTIONS["one by one"]
    network = with_logits(replace(layer, weights=ones(64, 3), head=one_bit_heads(64)), bits=8)
    machine = Geometry(
        1, 24, rows=1024, threshold_rows=128, activation_words=512, image_elements=90, stream_bits=8
    )
    placement = place(network, machine)
    assert image_beats(network, placement) == 90
    assert image_write_clocks(network, placement) < 30 * 64 * 4
    done = predict_run_clocks(network, placement, 6).image_done
    assert np.diff(done)[-1] == loop_clocks(placement)
    check(network, machine, 6)


def test_operations_of_convolutions_by_hand() -> None:
    """Real multiply-accumulates, planes counted: what is summed again for overlapping windows is not."""
    first = replace(CONVOLUTIONS["plain"], input_shape=(6, 5, 3))
    overlapping = Pool("max", (2, 2), (1, 1))
    second = Conv(
        "b", ones(2, 7, 20), (4, 3, 5), (2, 2), one_bit_heads(7), weight_shifts=(0, 1), pool=overlapping
    )
    network = with_logits(first, second, bits=8)
    assert binary_operations(network) == 12 * 27 * 5 * 8 + 6 * 20 * 7 * 2 + 14 * 2


def test_loops_of_convolutions_by_hand() -> None:
    second = Conv("b", ones(2, 7, 20), (4, 3, 5), (2, 2), one_bit_heads(7), weight_shifts=(0, 1))
    second = replace(second, pool=Pool("max", (2, 2), (1, 1)))
    network = with_logits(CONVOLUTIONS["plain"], second, bits=8)
    machine = Geometry(5, 24, image_elements=90, weight_planes=2, input_words=512)
    # 12 windows of 2 words and 8 planes; 2 pixels, 2 groups, 4 sums, 4 taps, 2 planes of weights; 2 pixels
    assert loop_clocks(place(network, machine)) == 12 * 2 * 8 + 2 * 2 * 4 * 4 * 2 + 2
    paired = replace(machine, word_bits=64)
    assert loop_clocks(place(network, paired)) == 12 * 4 + 2 * 2 * 4 * 4 * 2 + 2


def test_the_loader_waits_for_the_half_that_the_engine_reads() -> None:
    # Loading takes as long as computing: a half released a clock later would be seen in the last image.
    check(random_network((44, 7), 1), Geometry(5, 1, rows=128, stream_bits=8), 3)


def test_slow_results_hold_the_next_batch() -> None:
    # One small layer and many outputs: 31 results leave in 61 clocks, and 31 groups take 31.
    geometry = Geometry(1, 8, rows=64, stream_bits=64)
    network = random_network((8, 31), 1)
    predicted = predict_run_clocks(network, place(network, geometry), 5)
    assert predicted.total > 5 * 2 * 31
    check(network, geometry, 5)


def test_slow_loading_holds_the_engine() -> None:
    geometry = Geometry(32, 32, rows=16, stream_bits=8)
    network = random_network((64, 5), 8)
    placement = place(network, geometry)
    assert image_beats(network, placement) == 64
    assert image_write_clocks(network, placement) == 8
    done = predict_run_clocks(network, placement, 9).image_done
    assert np.diff(done).tolist() == [80] * 8
    check(network, geometry, 9)


def test_loop_sum_and_operations_by_hand() -> None:
    network = random_network((784, 1024, 1024, 10), 8)
    placement = place(network, Geometry())
    assert loop_clocks(placement) == 16 * 13 * 8 + 16 * 16 + 1 * 16
    assert binary_operations(network) == 784 * 1024 * 8 + 1024 * 1024 + 1024 * 10


def test_steady_clocks_leave_out_the_first_batch_and_the_partial_one() -> None:
    assert steady_clocks_per_image(np.array([100, 150, 200, 250]), lanes=1) == 50
    assert steady_clocks_per_image(np.array([100, 110, 200, 210, 300, 310, 333]), lanes=2) == 50
    assert steady_clocks_per_image(np.array([100]), lanes=1) is None
    assert steady_clocks_per_image(np.array([100, 110, 150]), lanes=2) is None


def test_the_default_machine_keeps_within_two_percent_of_the_loops() -> None:
    network = random_network((784, 1024, 1024, 10), 8)
    placement = place(network, Geometry())
    predicted = predict_run_clocks(network, placement, 10)
    steady = steady_clocks_per_image(predicted.image_done, 1)
    assert steady is not None
    assert steady <= 1.02 * loop_clocks(placement)


MEMORIES = (
    MemoryOptions(),
    MemoryOptions(variability=True),
    MemoryOptions(self_terminated=True),
    MemoryOptions(secded=True, read_groups=4),
    MemoryOptions(differential=True, ageing=True),
    MemoryOptions(True, True, True, True, True, True, 16, 32),
)


def rows_by_hand(
    log: ProgramLog, read: int, point: OperatingPoint, geometry: Geometry, draws: bool
) -> Iterator[int]:
    """Clocks of each row that is programmed or scrubbed, as the Timing section adds them up."""
    memory = geometry.memory
    cells = geometry.word_bits
    if memory.secded:
        cells += {24: 5, 104: 7}[cells] + 1
    if memory.differential:
        cells *= 2
    slices = -(-cells // 64)
    account = 13
    account += 4 if memory.self_terminated else 0
    account += 1 if memory.ageing else 0
    account += 1 if memory.scrub else 0
    account += 2 if memory.secded else 0
    account += 1 if memory.differential else 0
    account += 1 if memory.read_groups else 0
    for pulses in log.pulses.tolist():
        clocks = read
        if pulses and draws and memory.variability:
            clocks += 13 + 48 * slices
        for pulse in range(pulses):
            clocks += (32 * slices if draws else 0) + point.pulse_clocks
            clocks += 2 if pulse < point.max_retries else 0
        yield clocks + account


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("word_bits", [24, 104])
@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_program_clocks_row_by_row(word_bits: int, retries: int, rate: float, memory: MemoryOptions) -> None:
    geometry = replace(Geometry.from_preset("5x24"), word_bits=word_bits, memory=memory)
    network = random_network((30, 17, 5), 2)
    point = operating_point(rate, max_retries=retries, pulse_clocks=7)
    array = MramArray(geometry, seed=9)
    for packet in program_rows(network, place(network, geometry), geometry):
        log = array.program(packet, point)
        expected = sum(rows_by_hand(log, 2, point, geometry, rate > 0))
        assert predict_program_clocks(log, point, geometry) == expected
    assert np.all(array.counters["pulses"] > 0)


def test_stuck_cells_draw_though_the_point_never_fails() -> None:
    geometry = replace(Geometry.from_preset("5x24"), memory=MemoryOptions(variability=True))
    chip = Chip(stuck=(False, False, False, True))
    point = operating_point(0.0, pulse_clocks=7)
    network = random_network((30, 17, 5), 2)
    packet = program_rows(network, place(network, geometry), geometry)[0]
    log = MramArray(geometry, seed=9, chip=chip).program(packet, point)
    drawing, plain = (sum(rows_by_hand(log, 2, point, geometry, draws)) for draws in (True, False))
    assert drawing > plain
    assert predict_program_clocks(log, point, geometry, chip) == drawing
    assert predict_program_clocks(log, point, geometry) == plain


@pytest.mark.parametrize("memory", MEMORIES[1:])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_scrub_clocks_row_by_row(rate: float, memory: MemoryOptions) -> None:
    geometry = replace(Geometry.from_preset("5x24"), memory=memory)
    point = operating_point(rate, max_retries=2, pulse_clocks=5)
    # A row left alone, one of a pulse, one of all pulses.
    log = ProgramLog(pulses=np.array([0, 1, 3]), verify_reads=np.array([0, 1, 2]))
    assert predict_scrub_clocks(log, point, geometry) == sum(
        rows_by_hand(log, 3, point, geometry, draws=rate > 0)
    )


def test_age_clocks_by_hand() -> None:
    point, never = operating_point(0.3), operating_point(0.0)
    geometry = replace(Geometry.from_preset("5x24"), memory=MemoryOptions(ageing=True))
    assert predict_age_clocks(7, point, geometry) == 7 * 5 * (2 + 32 + 1 + 14)
    assert predict_age_clocks(7, never, geometry) == 7 * 5 * (2 + 14)
    # 24 + 5 + 1 code bits, 60 cells; then 104 + 7 + 1, 224 cells
    every = replace(geometry, memory=MEMORIES[-1])
    assert predict_age_clocks(2, point, every) == 2 * 5 * (2 + 13 + 48 + 32 + 1 + 23)
    wide = replace(every, word_bits=104)
    assert predict_age_clocks(2, point, wide) == 2 * 5 * (2 + 13 + 48 * 4 + 32 * 4 + 1 + 23)
    assert predict_age_clocks(2, never, wide) == 2 * 5 * (2 + 23)


def test_slow_activation_writes_hold_the_next_layer() -> None:
    # 8 words, written one after the other by a group: the next group and layer wait for all of them.
    geometry = Geometry(64, 8, rows=256, activation_words=64, stream_bits=64)
    slow = replace(geometry, memory=MemoryOptions(activation_generators=4))
    network = random_network((8, 128, 3), 1)
    placement = place(network, geometry)
    plain = predict_run_clocks(network, placement, 1).total
    assert predict_run_clocks(network, placement, 1, 1000).total == plain
    totals = [
        predict_run_clocks(network, place(network, slow), 1, clocks).total for clocks in (1, 8, 9, 1000)
    ]
    assert totals[0] == totals[1]
    assert totals[2] - totals[1] == 16
    assert totals[3] - totals[2] == 16 * (1000 - 9)
    check(network, slow, 3, 1000)
