"""The arithmetic of a neuron, beat by beat, with bubbles in the pipeline."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.network import Format
from spinbnn.golden.steps import layer_steps
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
    shift: int = 1
    negative: bool = False
    paired: bool = False


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


def steps(rng: random.Random, geometry: Geometry, words: int) -> list[Beat]:
    """Return the beats of a neuron of any steps that the machine has: each with its row, shift and sign."""
    width = geometry.word_bits
    paired = geometry.image_elements > 0 and width > 1 and rng.random() < 0.5
    from_zero, start = rng.random() < 0.5, rng.randint(-1000, 1000)
    total = 0 if from_zero else start
    beats: list[Beat] = []
    for word in range(words):
        count = rng.randint(1, 5)
        word_sum = 0
        for number in range(count):
            row, operand, mask = (rng.getrandbits(width) for _ in range(3))
            shift = rng.choice([0] * (geometry.weight_planes > 1) + [1] + [2] * (geometry.image_elements > 0))
            negative = geometry.activation_bits > 1 and rng.random() < 0.3
            term = 0
            for k in range(width):
                place_value = 2 if paired and k >= width // 2 else 1
                if mask >> k & 1:
                    term += place_value if (row ^ operand) >> k & 1 == 0 else -place_value
            word_sum = (word_sum << shift if number else 0) + (-term if negative else term)
            done = total + word_sum if number == count - 1 and word == words - 1 else None
            beats += bubbles(rng, width)
            ends = (number == 0, number == count - 1, word == 0)
            beats.append(
                Beat(True, row, operand, mask, *ends, from_zero, start, done, shift, negative, paired)
            )
        total += word_sum
    return beats


def run(geometry: Geometry, beats: list[Beat]) -> None:
    """Send beats through a neuron, one a clock; each that has a result is checked for it."""
    block = XnorPopcount(geometry)
    half = geometry.word_bits // 2

    def count(beat: Beat) -> int:
        return beat.mask.bit_count() + (beat.mask >> half).bit_count() * beat.paired

    async def bench(ctx: Any) -> None:
        idle = Beat(False, 0, 0, 0)
        before = [idle, idle, idle]  # the beats of the clocks before, the latest first
        checked = 0
        for beat in [*beats, idle, idle, idle]:
            counted, summed, through = before
            if through.result is not None:
                assert ctx.get(block.accumulator) == through.result
                checked += 1
            ctx.set(block.row, beat.row)
            ctx.set(block.operand, beat.operand)
            ctx.set(block.mask, beat.mask)
            ctx.set(block.control.paired, beat.paired)
            ctx.set(block.mask_count, count(counted))
            ctx.set(block.control.sum_enable, counted.valid)
            ctx.set(block.control.sum_first, counted.first_plane)
            ctx.set(block.control.sum_shift, counted.shift)
            ctx.set(block.control.sum_negative, counted.negative)
            ctx.set(block.control.accumulate_enable, summed.valid and summed.last_plane)
            ctx.set(block.control.accumulate_first, summed.first_word)
            ctx.set(block.control.accumulate_from_zero, summed.from_zero)
            ctx.set(block.start, summed.start)
            await ctx.tick()
            before = [beat, counted, summed]
        assert checked == sum(beat.result is not None for beat in beats) > 0

    simulate(block, bench)


@pytest.mark.parametrize(("width", "planes"), [(8, 1), (24, 8), (64, 3), (100, 1), (128, 8)])
def test_accumulators_equal_the_sums(width: int, planes: int) -> None:
    rng = random.Random(width)
    beats = []
    for _ in range(12):
        beats += group(rng, width, rng.randint(1, 5), planes, unsigned=planes > 1 or rng.random() < 0.5)
    run(Geometry(banks=1, word_bits=width, stream_bits=32), beats)


@pytest.mark.parametrize("width", [1, 7, 24, 100])
@pytest.mark.parametrize(
    "options",
    [
        {"weight_planes": 2},
        {"image_elements": 9},
        {"activation_bits": 2},
        {"weight_planes": 9, "image_elements": 9, "activation_bits": 4},
    ],
    ids=str,
)
def test_steps_of_any_kind(width: int, options: dict[str, int]) -> None:
    geometry = Geometry(banks=1, word_bits=width, stream_bits=8, accumulator_bits=31, **options)  # type: ignore[arg-type]
    rng = random.Random(width)
    run(geometry, [beat for _ in range(30) for beat in steps(rng, geometry, rng.randint(1, 4))])


@pytest.mark.parametrize("shifts", [(0,), (0, 0, 1, 2, 3, 4, 5, 6, 7)])
@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("weight", [0, 1])
def test_largest_sums_of_planes_fit(shifts: tuple[int, ...], paired: bool, weight: int) -> None:
    """All inputs are 255, all weights of one sign: every plane of the one meets every plane of the other."""
    geometry = Geometry(1, 256, accumulator_bits=31, weight_planes=len(shifts), image_elements=9)
    full = 2**256 - 1
    planned = layer_steps(Format(8, "unsigned"), shifts, paired=paired)
    sign = 1 if weight else -1
    total = sign * (128 if paired else 256) * 255 * sum(2**shift for shift in shifts)
    beats = [
        Beat(
            *(True, full * weight, full, full),
            first_plane=step is planned[0],
            last_plane=step is planned[-1],
            first_word=True,
            from_zero=True,
            result=total if step is planned[-1] else None,
            shift=step.shift,
            paired=paired,
        )
        for step in planned
    ]
    run(geometry, beats)


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
            ctx.set(block.control.sum_shift, 1)
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
