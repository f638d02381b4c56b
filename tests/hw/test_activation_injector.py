"""Activations in MRAM: drain, lanes and writer together against a slow model, by the bit and the clock."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import random_network
from spinbnn.golden.placement import place
from spinbnn.hw.activation_counters import LANE_COUNTERS
from spinbnn.hw.activation_injector import ActivationInjector
from spinbnn.hw.activation_writer import ActivationWriter
from spinbnn.hw.descriptor import descriptor_words, step_words
from spinbnn.hw.drain import Drain
from spinbnn.hw.engine import Engine
from spinbnn.hw.lane import Lane
from tests.hw.simulation import simulate

ALL_ONES = 2**32 - 1
WORD_ENERGY = 0xFEDC_BA98  # of which two do not fit 32 bits


def sfc64(a: int, b: int, c: int, counter: int) -> Iterator[int]:
    """Draw from a generator, step by step as its definition says."""
    mask = 2**64 - 1
    while True:
        drawn = (a + b + counter) & mask
        a = b ^ (b >> 11)
        b = (c + (c << 3)) & mask
        c = (((c << 24) | (c >> 40)) + drawn) & mask
        counter = (counter + 1) & mask
        yield drawn


class Errors:
    """The generators of a machine and what they make of words, a bit at a time."""

    def __init__(self, geometry: Geometry, seed: int, p_01: int, p_10: int) -> None:
        self.geometry, self.p_01, self.p_10 = geometry, p_01, p_10
        self.count = geometry.memory.activation_generators
        self.slices = -(-geometry.word_bits // 64)
        numbers = range(geometry.lanes * self.slices * self.count)
        self.generators = [sfc64(seed, number, 0x9E3779B97F4A7C15, 1) for number in numbers]
        for generator in self.generators:
            for _ in range(12):
                next(generator)

    def next_flips(self, words: list[int]) -> list[int]:
        """Return which bits of the lanes' next words are stored wrong."""
        flips = []
        for lane, word in enumerate(words):
            planes = [[0] * 32 for _ in range(self.slices)]
            for part in range(self.slices):
                for draw in range(32 // self.count):
                    for number in range(self.count):
                        generator = self.generators[(lane * self.slices + part) * self.count + number]
                        planes[part][draw * self.count + number] = next(generator)
            flips.append(sum(self._bit(planes[k // 64], k % 64, word >> k & 1) << k for k in self._bits()))
        return flips

    def _bits(self) -> range:
        return range(self.geometry.word_bits)

    def _bit(self, planes: list[int], position: int, intended: int) -> int:
        p = self.p_10 if intended else self.p_01
        fail = 0
        for plane in range(32):
            r = planes[plane] >> position & 1
            fail = fail | r if p >> plane & 1 else fail & r
        return fail


@dataclass(frozen=True)
class Write:
    """A word of one lane, stored at the end of a clock."""

    clock: int
    lane: int
    address: int
    word: int


class Machine:
    """Drain, lanes and writer, and what should come of the groups they are given."""

    def __init__(self, geometry: Geometry, pulse_clocks: int) -> None:
        self.geometry = g = geometry
        self.drain = Drain(g)
        self.lanes = [Lane(g) for _ in range(g.lanes)]
        self.writer = ActivationWriter(g)
        self.write_clocks = max(pulse_clocks, 32 // g.memory.activation_generators)
        self.ragged = g.banks % g.word_bits != 0 and g.word_bits % g.banks != 0
        self.expected: list[Write] = []
        self.done_clocks: list[int] = []
        self.counters = [[0, 0, 0] for _ in range(g.lanes)]
        self.address = 0
        self.bits: list[list[int]] = []

    def module(self) -> Module:
        m = Module()
        m.submodules.drain = drain = self.drain
        m.submodules.writer = writer = self.writer
        for index, lane in enumerate(self.lanes):
            m.submodules[f"lane_{index}"] = lane
            m.d.comb += [
                lane.pack.eq(drain.pack),
                lane.present.eq(drain.present[index]),
                lane.flips.eq(writer.flips.word_select(index, self.geometry.word_bits)),
            ]
        m.d.comb += [
            writer.writing.eq(drain.writing),
            drain.hold.eq(writer.hold),
            writer.intended.eq(Cat(lane.intended for lane in self.lanes)),
            writer.written.eq(Cat(lane.activation_write_enable for lane in self.lanes)),
        ]
        return m

    def capture(
        self, clock: int, bits: list[list[int]], errors: Errors, *, images: int, first: bool, last: bool
    ) -> int:
        """Note what a group captured in `clock` makes the lanes write; return the last clock of its drain."""
        size, width = min(self.geometry.banks, self.geometry.word_bits), self.geometry.word_bits
        if first:
            self.bits = [[] for _ in bits]
        neurons = len(bits[0])
        for start in range(0, neurons, size):
            clock += 1
            for waiting, arriving in zip(self.bits, bits, strict=True):
                waiting += arriving[start : start + size]
            if len(self.bits[0]) >= width or (last and start + size >= neurons):
                clock += self.write_clocks - 1
                self.write(clock, errors, images)
        if last and self.ragged:
            clock += 1
            if self.bits[0]:
                clock += self.write_clocks - 1
                self.write(clock, errors, images)
        if last:
            self.done_clocks.append(clock)
        return clock

    def write(self, clock: int, errors: Errors, images: int) -> None:
        width = self.geometry.word_bits
        words = [sum(bit << k for k, bit in enumerate(waiting[:width])) for waiting in self.bits]
        flips = errors.next_flips(words)
        for lane in range(images):
            self.expected.append(Write(clock, lane, self.address, words[lane] ^ flips[lane]))
            for index, amount in enumerate((1, flips[lane].bit_count(), WORD_ENERGY)):
                self.counters[lane][index] += amount
        for waiting in self.bits:
            del waiting[:width]
        self.address += 1


def machine_of(
    banks: int, word_bits: int, lanes: int, generators: int, pulse_clocks: int, injected: Any
) -> None:
    """Drain layers of random bits through two runs, each with a seed of its own."""
    memory = MemoryOptions(activation_generators=generators)
    geometry = Geometry(
        banks, word_bits, lanes=lanes, stream_bits=8, activation_words=64, outputs=2, memory=memory
    )
    machine = Machine(geometry, max(1, pulse_clocks))
    drain, writer = machine.drain, machine.writer
    rng = random.Random(banks * 1000 + word_bits + generators)
    seen: list[Write] = []
    done: list[int] = []
    clock = 0

    async def step(ctx: Any) -> None:
        nonlocal clock
        for index, lane in enumerate(machine.lanes):
            if ctx.get(lane.activation_write_enable):
                address, word = lane.activation_write_address, lane.activation_write_data
                seen.append(Write(clock, index, ctx.get(address), ctx.get(word)))
        if ctx.get(drain.writing_done):
            done.append(clock)
        await ctx.tick()
        clock += 1

    async def begin_run(ctx: Any, seed: int) -> None:
        ctx.set(writer.seed, seed)
        ctx.set(writer.load, 1)
        await step(ctx)
        ctx.set(writer.load, 0)
        ctx.set(writer.seed, rng.getrandbits(64))
        for _ in range(12):
            assert not ctx.get(writer.ready)
            await step(ctx)
        assert ctx.get(writer.ready)

    async def layer(ctx: Any, errors: Errors, tag: int) -> None:
        images, destination = rng.randint(1, lanes), rng.randrange(30)
        neurons = rng.randint(1, 3 * max(banks, word_bits))
        machine.address = destination
        for first_neuron in range(0, neurons, banks):
            count = min(banks, neurons - first_neuron)
            # Banks without a neuron hold anything; lanes without an image too, and they draw all the same.
            shown = [rng.getrandbits(banks) for _ in range(lanes)]
            for lane, word in zip(machine.lanes, shown, strict=True):
                ctx.set(lane.bits, word)
            group = {
                "logits": 0,
                "first": first_neuron == 0,
                "last_of_pixel": first_neuron + count == neurons,
                "last": first_neuron + count == neurons,
                "neurons": count,
                "images": images,
                "destination": destination,
                "tag": tag,
            }
            for name, value in group.items():
                ctx.set(drain.group[name], value)
            ctx.set(drain.capture, 1)
            end = machine.capture(
                clock,
                [[word >> bit & 1 for bit in range(count)] for word in shown],
                errors,
                images=images,
                first=first_neuron == 0,
                last=first_neuron + count == neurons,
            )
            await step(ctx)
            ctx.set(drain.capture, 0)
            for lane in machine.lanes:
                ctx.set(lane.bits, rng.getrandbits(banks))
            while clock < end + rng.choice((0, 0, 3)):  # the next may be captured in the drain's last clock
                await step(ctx)

    async def counter(ctx: Any, lane: int, index: int) -> int:
        ctx.set(writer.select, 1)
        ctx.set(writer.select_lane, lane)
        ctx.set(writer.select_counter, index)
        await step(ctx)
        ctx.set(writer.select, 0)
        ctx.set(writer.select_lane, 0)
        return int(ctx.get(writer.value))

    async def bench(ctx: Any) -> None:
        ctx.set(writer.pulse_clocks, pulse_clocks)
        ctx.set(writer.word_energy, WORD_ENERGY)
        for p_01, p_10 in injected:
            ctx.set(writer.p_01, p_01)
            ctx.set(writer.p_10, p_10)
            seed = rng.getrandbits(64)
            await begin_run(ctx, seed)
            errors = Errors(geometry, seed, p_01, p_10)
            for number in range(4):
                await layer(ctx, errors, number % 2)
            for _ in range(3):
                await step(ctx)
        counted = [[await counter(ctx, lane, index) for index in LANE_COUNTERS] for lane in range(lanes)]
        assert counted == machine.counters
        ctx.set(writer.clear, 1)
        await step(ctx)
        ctx.set(writer.clear, 0)
        for lane in range(lanes):
            assert [await counter(ctx, lane, index) for index in LANE_COUNTERS] == [0, 0, 0]

    simulate(machine.module(), bench)
    assert seen == machine.expected
    assert done == machine.done_clocks


RATES = [(0x9999_9999, 0x4000_0001), (1 << 31, 0x2345_6789)]

# Banks and word bits (equal, one dividing the other, neither; up to two slices), lanes, generators, pulses.
MACHINES = [
    (8, 8, 1, 32, 1),
    (4, 16, 2, 4, 0),
    (16, 4, 2, 4, 11),
    (5, 24, 3, 32, 3),
    (7, 3, 1, 1, 5),
    (24, 5, 2, 8, 4),
    (16, 100, 2, 4, 2),
    (100, 70, 1, 1, 40),
    (9, 128, 2, 16, 1),
    (1, 1, 1, 2, 17),
]


@pytest.mark.parametrize(("banks", "word_bits", "lanes", "generators", "pulse_clocks"), MACHINES)
def test_words_are_stored_with_the_drawn_errors_in_exact_clocks(
    banks: int, word_bits: int, lanes: int, generators: int, pulse_clocks: int
) -> None:
    machine_of(banks, word_bits, lanes, generators, pulse_clocks, RATES)


@pytest.mark.parametrize("rates", [(0, 0), (ALL_ONES, 0), (0, ALL_ONES), (ALL_ONES, ALL_ONES)])
def test_probabilities_at_their_ends(rates: tuple[int, int]) -> None:
    machine_of(6, 12, 2, 16, 1, [rates])


def test_no_failure_outlives_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """With random words of ones, planes of p that are 0 keep what was there: nothing, when a word begins."""

    class Ones(wiring.Component):
        seed: In(64)
        stream: In(64)
        load: In(1)
        advance: In(1)
        word: Out(64, init=2**64 - 1)

        def elaborate(self, library: Any) -> Module:
            return Module()

    monkeypatch.setattr("spinbnn.hw.activation_injector.SeededSfc64", Ones)
    memory = MemoryOptions(activation_generators=4)
    block = ActivationInjector(Geometry(1, 8, stream_bits=8, memory=memory))

    async def bench(ctx: Any) -> None:
        ctx.set(block.draw, 1)
        for p_01, flips in ((ALL_ONES, 0xFF), (0, 0), (1 << 31, 0xFF), (0, 0)):
            ctx.set(block.p_01, p_01)
            for step in range(8):
                ctx.set(block.step, step)
                if step < 7:
                    await ctx.tick()
            assert ctx.get(block.flips) == flips
            await ctx.tick()

    simulate(block, bench)


def test_the_longest_pulse() -> None:
    writer = ActivationWriter(
        Geometry(1, 1, stream_bits=8, outputs=2, memory=MemoryOptions(activation_generators=1))
    )

    async def bench(ctx: Any) -> None:
        ctx.set(writer.pulse_clocks, 65535)
        ctx.set(writer.writing, 1)
        assert ctx.get(writer.wait_clocks) == 65534
        await ctx.tick().repeat(65533)
        assert ctx.get(writer.hold)
        await ctx.tick()
        assert not ctx.get(writer.hold)
        await ctx.tick()
        assert ctx.get(writer.hold)

    simulate(writer, bench)


@pytest.mark.long
def test_a_layer_waits_for_the_longest_pulses() -> None:
    """Two words a group at 65535 clocks: the drain's length does not fit 16 bits."""
    memory = MemoryOptions(activation_generators=32)
    geometry = Geometry(2, 1, rows=8, layers=2, stream_bits=8, outputs=2, memory=memory)
    network = random_network(
        (1, 4, 2), input_bits=1, input_signed=True
    )  # the first layer: 1 word, 2 groups of 2
    placement = place(network, geometry)
    engine = Engine(geometry)

    async def write_tables(ctx: Any) -> None:
        for word, value in enumerate(descriptor_words(network, placement)[0].tolist()):
            ctx.set(engine.descriptor_write_enable, 1)
            ctx.set(engine.descriptor_write_word, word)
            ctx.set(engine.descriptor_write_data, value)
            await ctx.tick()
        ctx.set(engine.descriptor_write_enable, 0)
        for address, value in enumerate(step_words(placement)[:, 0].tolist()):
            ctx.set(engine.step_write_enable, 1)
            ctx.set(engine.step_write_address, address)
            ctx.set(engine.step_write_data, value)
            await ctx.tick()
        ctx.set(engine.step_write_enable, 0)

    async def bench(ctx: Any) -> None:
        ctx.set(engine.write_wait_clocks, 65534)
        await write_tables(ctx)
        ctx.set(engine.images, 1)
        ctx.set(engine.last_layer, 1)
        ctx.set(engine.input_full, 1)
        ctx.set(engine.start, 1)
        await ctx.tick()
        ctx.set(engine.start, 0)
        while not ctx.get(engine.issue):
            await ctx.tick()
        await ctx.tick()
        waited = 0
        while not ctx.get(engine.issue):
            await ctx.tick()
            waited += 1
        assert waited == 2 * 65535 - 1  # a group's two words of the drain are held for so many clocks

    simulate(engine, bench)
