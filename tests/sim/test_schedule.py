"""The predicted clocks against a model that does, clock by clock, what the Timing section says."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import CapacityError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import MramArray, ProgramLog
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.golden.placement import Placement, place, program_rows
from spinbnn.sim.schedule import (
    binary_operations,
    image_load_clocks,
    loop_clocks,
    predict_age_clocks,
    predict_program_clocks,
    predict_run_clocks,
    predict_scrub_clocks,
    steady_clocks_per_image,
)


@dataclass(frozen=True)
class Beat:
    """One beat of the engine, and what may hold it back."""

    batch: int
    layer: int
    group: int
    word: int
    last_of_group: bool
    last_of_layer: bool


class ClockByClock:
    """The machine of the Timing section, a clock at a time, in the plainest way."""

    def __init__(self, network: Network, placement: Placement, images: int, pulse_clocks: int) -> None:
        self.network, self.placement, self.geometry = network, placement, placement.geometry
        self.write_clocks = 1
        if self.geometry.memory.activation_generators:
            self.write_clocks = max(pulse_clocks, 32 // self.geometry.memory.activation_generators)
        lanes = self.geometry.lanes
        self.batches = [min(lanes, images - first) for first in range(0, images, lanes)]
        self.last_layer = len(placement.layers) - 1
        self.clock = 0
        self.issued = 0
        self.image_done: list[int] = []

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
        """Do one thing a clock: wait for the half, take a beat, or write a plane."""
        width, elements = self.geometry.word_bits, self.geometry.stream_elements
        for batch, count in enumerate(self.batches):
            while self.clock < self.free_from[batch % 2]:
                yield
            for _ in range(count):
                left = self.network.inputs
                while left:
                    in_word = min(width, left)
                    left -= in_word
                    while in_word > 0:
                        in_word -= elements
                        yield
                    for _ in range(self.network.input_bits):
                        yield_clock = self.clock
                        yield
            self.full[batch] = yield_clock + 1

    def beats(self) -> Iterator[Beat]:
        for batch in range(len(self.batches)):
            for layer, placed in enumerate(self.placement.layers):
                for group in range(placed.groups):
                    for word in range(placed.words):
                        for plane in range(placed.planes):
                            end = word == placed.words - 1 and plane == placed.planes - 1
                            yield Beat(batch, layer, group, word, end, end and group == placed.groups - 1)

    def engine(self) -> Iterator[None]:
        """Issue a beat in a clock, or stall."""
        group_end, drain_length, layer_clocks = -1000, 0, 1
        for beat in self.beats():
            while self.stalls(beat, group_end + drain_length, layer_clocks):
                layer_clocks += 1
                yield
            self.issued += 1
            layer_clocks = 1 if beat.last_of_layer else layer_clocks + 1
            if beat.last_of_group:
                group_end = self.clock
                neurons = (
                    self.placement.layers[beat.layer].last_group_neurons
                    if beat.last_of_layer
                    else self.geometry.banks
                )
                if beat.layer == self.last_layer:
                    drain_length = neurons * self.batches[beat.batch]
                    self.drains.append(self.drain_logits(beat, drain_length))
                else:
                    ragged = bool(
                        self.geometry.banks % self.geometry.word_bits
                        and self.geometry.word_bits % self.geometry.banks
                    )
                    chunks = -(-neurons // min(self.geometry.banks, self.geometry.word_bits))
                    drain_length = chunks + (beat.last_of_layer and ragged)
                    drain_length += (self.write_clocks - 1) * self.words_of_a_group()
                    self.drains.append(self.drain_bits(beat, neurons))
            if beat.last_of_layer and beat.layer == 0:
                self.free_from[beat.batch % 2] = self.clock + 1
            yield

    def words_of_a_group(self) -> int:
        banks, width = self.geometry.banks, self.geometry.word_bits
        if banks % width == 0:
            return banks // width
        if width % banks == 0:
            return 1
        return (width - 1 + banks) // width + 1

    def stalls(self, beat: Beat, drained: int, layer_clocks: int) -> bool:
        clock = self.clock
        if beat.layer == 0 and not self.full.get(beat.batch, 10**9) <= clock:
            return True
        if beat.layer and not self.words_written.get((beat.batch, beat.layer - 1, beat.word), clock) < clock:
            return True
        if beat.last_of_group and clock < drained:
            return True
        claims = beat.layer == self.last_layer and beat.group == 0 and beat.last_of_group
        if claims and not self.accepted.get(beat.batch - 1, clock) < clock:
            return True
        return beat.last_of_layer and layer_clocks < 2

    def drain_bits(self, beat: Beat, neurons: int) -> Iterator[None]:
        width = self.geometry.word_bits
        first = beat.group * self.geometry.banks
        for _ in range(5):  # clocks t to t + 4
            yield
        for bit in range(0, neurons, min(self.geometry.banks, width)):
            before = first + bit
            after = first + min(neurons, bit + min(self.geometry.banks, width))
            complete = after // width > before // width
            rest = beat.last_of_layer and after == first + neurons and after % width > 0
            if complete:
                yield from self.write(beat, before // width)
            if complete and rest:
                yield  # the rest goes in the clock after
            if rest:
                yield from self.write(beat, after // width)
            yield

    def write(self, beat: Beat, word: int) -> Iterator[None]:
        """Write a word in the last of the clocks that it takes."""
        for _ in range(self.write_clocks - 1):
            yield
        self.words_written[beat.batch, beat.layer, word] = self.clock

    def drain_logits(self, beat: Beat, length: int) -> Iterator[None]:
        for _ in range(5 + length - 1):
            yield
        if not beat.last_of_layer:
            return
        for _ in range(4):  # to the first offer
            yield
        for image in range(self.batches[beat.batch]):
            for logit in range(self.network.outputs):
                if logit:
                    yield
                    yield
            yield
            self.image_done.append(self.clock)
            if image < self.batches[beat.batch] - 1:
                yield
                yield
        self.accepted[beat.batch] = self.clock
        yield


def clock_by_clock(
    network: Network, placement: Placement, images: int, pulse_clocks: int = 1
) -> tuple[int, int, tuple[int, ...]]:
    model = ClockByClock(network, placement, images, pulse_clocks)
    model.run()
    return model.accepted[len(model.batches) - 1], model.issued, tuple(model.image_done)


def check(network: Network, geometry: Geometry, images: int, pulse_clocks: int = 1) -> None:
    placement = place(network, geometry)
    predicted = predict_run_clocks(network, placement, images, pulse_clocks)
    expected = clock_by_clock(network, placement, images, pulse_clocks)
    assert (predicted.total, predicted.beats, predicted.image_done) == expected


@pytest.mark.parametrize("preset", ["5x24", "4x8x3", "8x16x3", "3x100"])
@pytest.mark.parametrize("images", [1, 2, 7])
def test_schedule_equals_the_clock_by_clock_model(preset: str, images: int) -> None:
    check(random_network((50, 37, 10), 3), Geometry.from_preset(preset), images)


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
    try:
        check(random_network(sizes, input_bits), geometry, images, pulse_clocks)
    except CapacityError:
        assume(False)


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
    assert image_load_clocks(network, geometry) == 64 + 2 * 8
    predicted = predict_run_clocks(network, place(network, geometry), 9)
    done = predicted.image_done
    assert np.diff(done).tolist() == [80] * 8
    check(network, geometry, 9)


def test_loop_sum_and_operations_by_hand() -> None:
    network = random_network((784, 1024, 1024, 10), 8)
    placement = place(network, Geometry())
    assert loop_clocks(placement) == 16 * 13 * 8 + 16 * 16 + 1 * 16
    assert binary_operations(network) == 784 * 1024 * 8 + 1024 * 1024 + 1024 * 10


def test_steady_clocks_leave_out_the_first_batch_and_the_partial_one() -> None:
    assert steady_clocks_per_image([100, 150, 200, 250], lanes=1) == 50
    assert steady_clocks_per_image([100, 110, 200, 210, 300, 310, 333], lanes=2) == 50
    assert steady_clocks_per_image([100], lanes=1) is None
    assert steady_clocks_per_image([100, 110, 150], lanes=2) is None


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
