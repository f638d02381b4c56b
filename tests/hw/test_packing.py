"""Drain and lanes together: the bits of neuron groups, packed into activation words, clock by clock."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from amaranth.hdl import Module

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.drain import Drain
from spinbnn.hw.lane import Lane
from tests.hw.simulation import simulate

# Banks and word bits: equal, one dividing the other, and neither (with and without a common divisor).
SIZES = [
    (8, 8),
    (4, 16),
    (16, 4),
    (12, 8),
    (8, 12),
    (5, 24),
    (24, 5),
    (3, 7),
    (7, 3),
    (9, 6),
    (1, 8),
    (8, 1),
    (1, 1),
]


@dataclass(frozen=True)
class Write:
    """A word of one lane, stored at the end of a clock."""

    clock: int
    lane: int
    address: int
    word: int


class Machine:
    """A drain with its lanes, and what should come of the groups it is given."""

    def __init__(self, banks: int, word_bits: int, lanes: int) -> None:
        self.geometry = g = Geometry(banks, word_bits, lanes=lanes, stream_bits=8, activation_words=128)
        self.drain = Drain(g)
        self.lanes = [Lane(g) for _ in range(lanes)]
        self.ragged = banks % word_bits != 0 and word_bits % banks != 0
        self.expected: list[Write] = []
        self.done_clocks: list[int] = []
        self._bits: list[list[int]] = []
        self._address = 0

    def module(self) -> Module:
        m = Module()
        m.submodules.drain = self.drain
        for index, lane in enumerate(self.lanes):
            m.submodules[f"lane_{index}"] = lane
            m.d.comb += [lane.pack.eq(self.drain.pack), lane.present.eq(self.drain.present[index])]
        return m

    def chunks(self, neurons: int) -> int:
        return -(-neurons // min(self.geometry.banks, self.geometry.word_bits))

    def capture(self, clock: int, bits: list[list[int]], *, first: bool, last: bool, destination: int) -> int:
        """Note what a group captured in `clock` makes the lanes write; return its drain length in clocks."""
        size, width = min(self.geometry.banks, self.geometry.word_bits), self.geometry.word_bits
        if first:
            self._bits = [[] for _ in bits]
            self._address = destination
        chunks = self.chunks(len(bits[0]))
        for chunk in range(chunks):
            for waiting, new in zip(self._bits, bits, strict=True):
                waiting += new[size * chunk : size * (chunk + 1)]
            ends_layer = last and chunk == chunks - 1
            if len(self._bits[0]) >= width or ends_layer:  # one word a clock at most
                self._write(clock + 1 + chunk)
        if last and self.ragged and self._bits[0]:
            self._write(clock + 1 + chunks)
        flush = last and self.ragged
        if last:
            self.done_clocks.append(clock + chunks + flush)
        return chunks + flush

    def _write(self, clock: int) -> None:
        width = self.geometry.word_bits
        for lane, waiting in enumerate(self._bits):
            word = sum(bit << k for k, bit in enumerate(waiting[:width]))
            self.expected.append(Write(clock, lane, self._address, word))
            del waiting[:width]
        self._address += 1


@pytest.mark.parametrize(("banks", "word_bits"), SIZES)
def test_groups_are_packed_without_gaps(banks: int, word_bits: int) -> None:
    machine = Machine(banks, word_bits, lanes=2)
    rng = random.Random(banks * 1000 + word_bits)
    drain, lanes = machine.drain, machine.lanes
    seen: list[Write] = []
    done: list[int] = []
    clock = 0

    async def step(ctx: Any) -> None:
        nonlocal clock
        for index, lane in enumerate(lanes):
            if ctx.get(lane.activation_write_enable):
                address, word = lane.activation_write_address, lane.activation_write_data
                seen.append(Write(clock, index, ctx.get(address), ctx.get(word)))
        if ctx.get(drain.writing_done):
            done.append(clock)
        await ctx.tick()
        clock += 1

    async def layer(ctx: Any, neurons: int, images: int, destination: int, tag: int) -> None:
        groups = -(-neurons // banks)
        for number in range(groups):
            count = min(banks, neurons - number * banks)
            bits = [[rng.randrange(2) for _ in range(count)] for _ in range(images)]
            for index, lane in enumerate(
                lanes
            ):  # banks without a neuron, and lanes without an image, hold anything
                shown = bits[index] if index < images else []
                shown = shown + [rng.randrange(2) for _ in range(banks - len(shown))]
                ctx.set(lane.bits, sum(bit << b for b, bit in enumerate(shown)))
            first, last = number == 0, number == groups - 1
            for name, value in {
                "logits": 0,
                "first": first,
                "last_of_pixel": last,
                "last": last,
                "neurons": count,
                "images": images,
                "destination": destination,
                "tag": tag,
            }.items():
                ctx.set(drain.group[name], value)
            ctx.set(drain.capture, 1)
            length = machine.capture(clock, bits, first=first, last=last, destination=destination)
            await step(ctx)
            ctx.set(drain.capture, 0)
            assert ctx.get(drain.write_tag) == tag
            if first:
                assert ctx.get(drain.write_pointer) == destination
            for lane in lanes:
                ctx.set(lane.bits, rng.getrandbits(banks))
            for _ in range(length - 1 + rng.choice((0, 0, 3))):
                await step(ctx)

    async def bench(ctx: Any) -> None:
        for number in range(14):
            neurons = rng.randint(1, 5 * max(banks, word_bits))
            await layer(ctx, neurons, rng.randint(1, 2), rng.randrange(40), number % 2)
        for _ in range(3):
            await step(ctx)

    simulate(machine.module(), bench)
    assert seen == machine.expected
    assert done == machine.done_clocks


def test_groups_of_logits_are_not_packed() -> None:
    machine = Machine(4, 8, lanes=1)
    drain = machine.drain

    async def bench(ctx: Any) -> None:
        ctx.set(drain.group.logits, 1)
        ctx.set(drain.group.neurons, 4)
        ctx.set(drain.group.last, 1)
        ctx.set(drain.group.images, 1)
        ctx.set(drain.capture, 1)
        for _ in range(4):
            assert not ctx.get(drain.pack.write)
            assert not ctx.get(drain.writing_done)
            await ctx.tick()

    simulate(machine.module(), bench)
