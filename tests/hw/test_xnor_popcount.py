"""The arithmetic of a neuron, beat by beat, with bubbles in the pipeline."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.xnor_popcount import XnorPopcount
from tests.hw.simulation import simulate


@dataclass(frozen=True)
class Beat:
    """What reaches the datapath in one clock; not `valid` ones are bubbles."""

    valid: bool
    row: int
    operand: int
    mask: int
    first_plane: bool = False
    last_plane: bool = False
    first_word: bool = False
    from_zero: bool = False
    start: int = 0
    result: int | None = None  # of the accumulator, once this beat is through


def bubbles(rng: random.Random, width: int) -> list[Beat]:
    return [Beat(False, *(rng.getrandbits(width) for _ in range(3))) for _ in range(rng.randrange(3))]


def group(rng: random.Random, width: int, words: int, planes: int, unsigned: bool) -> list[Beat]:
    """Return the beats of a neuron with `words` words of inputs, and in the last what it sums up to."""
    tail = rng.randint(1, width)
    from_zero = rng.random() < 0.5
    start = rng.randint(-1000, 1000)
    total = 0 if from_zero else start
    beats: list[Beat] = []
    for word in range(words):
        valid_bits = tail if word == words - 1 else width
        row = rng.getrandbits(width)
        for plane in reversed(range(planes)):
            operand = rng.getrandbits(width) & ((1 << valid_bits) - 1)
            for k in range(valid_bits):
                weight = 1 if row >> k & 1 else -1
                bit = operand >> k & 1
                total += weight * bit << plane if unsigned else weight * (2 * bit - 1)
            mask = operand if unsigned else (1 << valid_bits) - 1
            first, last = plane == planes - 1, plane == 0
            done = total if last and word == words - 1 else None
            beats += bubbles(rng, width)
            beats.append(Beat(True, row, operand, mask, first, last, word == 0, from_zero, start, done))
    return beats


@pytest.mark.parametrize(("width", "planes"), [(8, 1), (24, 8), (64, 3), (100, 1), (128, 8)])
def test_accumulators_equal_the_sums(width: int, planes: int) -> None:
    block = XnorPopcount(Geometry(banks=1, word_bits=width, stream_bits=32))
    rng = random.Random(width)
    beats = []
    for _ in range(12):
        beats += group(rng, width, rng.randint(1, 5), planes, unsigned=planes > 1 or rng.random() < 0.5)
    beats += [Beat(False, 0, 0, 0)] * 3

    async def bench(ctx: Any) -> None:
        idle = Beat(False, 0, 0, 0)
        before = [idle, idle, idle]  # the beats of the clocks before, the latest first
        for beat in beats:
            counted, summed, through = before
            if through.result is not None:
                assert ctx.get(block.accumulator) == through.result
            ctx.set(block.row, beat.row)
            ctx.set(block.operand, beat.operand)
            ctx.set(block.mask, beat.mask)
            ctx.set(block.mask_count, counted.mask.bit_count())
            ctx.set(block.control.sum_enable, counted.valid)
            ctx.set(block.control.sum_first, counted.first_plane)
            ctx.set(block.control.accumulate_enable, summed.valid and summed.last_plane)
            ctx.set(block.control.accumulate_first, summed.first_word)
            ctx.set(block.control.accumulate_from_zero, summed.from_zero)
            ctx.set(block.start, summed.start)
            await ctx.tick()
            before = [beat, counted, summed]

    simulate(block, bench)


def test_largest_sums_fit() -> None:
    """All weights +1 and all inputs 255, the largest word sum there is, and its negative."""
    width = 256
    block = XnorPopcount(Geometry(banks=1, word_bits=width, accumulator_bits=31))
    full = 2**width - 1

    async def word(ctx: Any, row: int) -> int:
        ctx.set(block.row, row)
        ctx.set(block.operand, full)
        ctx.set(block.mask, full)
        ctx.set(block.mask_count, width)
        await ctx.tick()
        ctx.set(block.control.sum_enable, 1)
        for plane in range(8):
            ctx.set(block.control.sum_first, plane == 0)
            await ctx.tick()
        ctx.set(block.control.sum_enable, 0)
        ctx.set(block.control.accumulate_enable, 1)
        ctx.set(block.control.accumulate_first, 1)
        ctx.set(block.control.accumulate_from_zero, 1)
        await ctx.tick()
        ctx.set(block.control.accumulate_enable, 0)
        return int(ctx.get(block.accumulator))

    async def bench(ctx: Any) -> None:
        assert await word(ctx, full) == 256 * 255
        assert await word(ctx, 0) == -256 * 255

    simulate(block, bench)
