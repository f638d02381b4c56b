"""The error injector against the formula: 32 planes of random words, least significant bit of p first."""

from typing import Any

import numpy as np
import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.injector import ErrorInjector
from tests.hw.simulation import simulate
from tests.hw.test_sfc64 import load, numpy_state

CERTAIN = 2**32 - 1
PROBABILITIES = [(0, CERTAIN), (2**31, 2**30), (0x89ABCDEF, 0x12345678), (1, 2**31 + 1)]


def failures(draws: list[int], target: int, p_01: int, p_10: int, width: int) -> int:
    """Return the cells that fail, one plane and one cell at a time."""
    slices = (width + 63) // 64
    fail = 0
    for cell in range(width):
        p = p_01 if target >> cell & 1 else p_10
        bit = 0
        for plane in range(32):
            random_bit = draws[plane * slices + cell // 64] >> (cell % 64) & 1
            bit = bit | random_bit if p >> plane & 1 else bit & random_bit
        fail |= bit << cell
    return fail


@pytest.mark.parametrize("width", [24, 64, 104, 128])
def test_failures_equal_the_formula(width: int) -> None:
    block = ErrorInjector(Geometry(banks=1, word_bits=width))
    generator = np.random.SFC64(2**40 + 3)
    targets = np.random.default_rng(width)
    slices = (width + 63) // 64

    async def pulse(ctx: Any, p_01: int, p_10: int) -> None:
        target = int.from_bytes(targets.bytes(width // 8), "little")
        ctx.set(block.target, target)
        ctx.set(block.p_fail_01, p_01)
        ctx.set(block.p_fail_10, p_10)
        ctx.set(block.clear, 1)
        await ctx.tick()
        ctx.set(block.clear, 0)
        assert ctx.get(block.fail) == 0  # a pulse that draws nothing fails nowhere
        ctx.set(block.draw, 1)
        for draw in range(32 * slices):
            assert ctx.get(block.done) == (draw == 32 * slices - 1)
            await ctx.tick()
        ctx.set(block.draw, 0)
        draws = [int(word) for word in generator.random_raw(32 * slices)]
        assert ctx.get(block.fail) == failures(draws, target, p_01, p_10, width)
        await ctx.tick().repeat(3)  # between pulses nothing is drawn
        assert ctx.get(block.state) == numpy_state(generator)

    async def bench(ctx: Any) -> None:
        await load(ctx, block, numpy_state(generator))
        for p_01, p_10 in PROBABILITIES:
            await pulse(ctx, p_01, p_10)

    simulate(block, bench)


def test_a_probability_of_zero_never_fails_and_the_largest_all_but_always() -> None:
    block = ErrorInjector(Geometry(banks=1, word_bits=64))

    async def bench(ctx: Any) -> None:
        await load(ctx, block, numpy_state(np.random.SFC64(5)))
        ctx.set(block.target, 0x00FF_00FF_00FF_00FF)
        ctx.set(block.p_fail_01, CERTAIN)
        ctx.set(block.p_fail_10, 0)
        for _ in range(20):
            ctx.set(block.clear, 1)
            await ctx.tick()
            ctx.set(block.clear, 0)
            ctx.set(block.draw, 1)
            await ctx.tick().repeat(32)
            ctx.set(block.draw, 0)
            assert ctx.get(block.fail) == 0x00FF_00FF_00FF_00FF

    simulate(block, bench)
