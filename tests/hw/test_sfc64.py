"""The random generator in hardware, number for number against NumPy's."""

from typing import Any

import numpy as np

from spinbnn.hw.sfc64 import SeededSfc64, Sfc64
from tests.hw.simulation import simulate


def numpy_state(generator: np.random.SFC64) -> int:
    """Return a, b, c and the counter as the 256 bits of the hardware's state."""
    words = generator.state["state"]["state"]
    return sum(int(word) << (64 * index) for index, word in enumerate(words))


async def load(ctx: Any, block: Sfc64, state: int) -> None:
    for half in range(8):
        ctx.set(block.load_enable, 1 << half)
        ctx.set(block.load_data, (state >> (32 * half)) & 0xFFFFFFFF)
        await ctx.tick()
    ctx.set(block.load_enable, 0)


def test_words_and_state_equal_numpy() -> None:
    block = Sfc64()

    async def bench(ctx: Any) -> None:
        for seed in (1, 2**63 + 12345):
            generator = np.random.SFC64(seed)
            await load(ctx, block, numpy_state(generator))
            assert ctx.get(block.state) == numpy_state(generator)
            ctx.set(block.advance, 1)
            for expected in generator.random_raw(2000):
                assert ctx.get(block.word) == int(expected)
                await ctx.tick()
            ctx.set(block.advance, 0)
            assert ctx.get(block.state) == numpy_state(generator)

    simulate(block, bench)


def test_nothing_is_drawn_without_advance() -> None:
    block = Sfc64()

    async def bench(ctx: Any) -> None:
        generator = np.random.SFC64(7)
        await load(ctx, block, numpy_state(generator))
        await ctx.tick().repeat(5)
        assert ctx.get(block.word) == int(generator.random_raw())

    simulate(block, bench)


def test_the_counter_and_the_sums_wrap() -> None:
    block = Sfc64()
    generator = np.random.SFC64(0)
    state = generator.state
    state["state"]["state"] = np.full(4, 2**64 - 1, dtype=np.uint64)
    generator.state = state

    async def bench(ctx: Any) -> None:
        await load(ctx, block, 2**256 - 1)
        ctx.set(block.advance, 1)
        for expected in generator.random_raw(100):
            assert ctx.get(block.word) == int(expected)
            await ctx.tick()

    simulate(block, bench)


def test_half_words_load_one_by_one() -> None:
    block = Sfc64()

    async def bench(ctx: Any) -> None:
        await load(ctx, block, 0)
        expected = 0
        for half in (5, 0, 7, 2, 1, 6, 3, 4):
            ctx.set(block.load_enable, 1 << half)
            ctx.set(block.load_data, 0x1000_0001 * (half + 1))
            await ctx.tick()
            expected |= (0x1000_0001 * (half + 1)) << (32 * half)
            assert ctx.get(block.state) == expected

    simulate(block, bench)


def test_a_seeded_sequence_equals_numpy() -> None:
    block = SeededSfc64()

    async def bench(ctx: Any) -> None:
        for seed, stream in ((2**64 - 3, 2**40 + 5), (1, 2**63)):
            generator = np.random.SFC64(0)
            state = generator.state
            state["state"]["state"] = np.array([seed, stream, 0x9E3779B97F4A7C15, 1], dtype=np.uint64)
            generator.state = state
            ctx.set(block.seed, seed)
            ctx.set(block.stream, stream)
            ctx.set(block.load, 1)
            ctx.set(block.advance, 1)  # loading takes no word
            await ctx.tick()
            ctx.set(block.load, 0)
            ctx.set(block.seed, 77)
            for expected in generator.random_raw(100):
                assert ctx.get(block.word) == int(expected)
                await ctx.tick()
            ctx.set(block.advance, 0)
            await ctx.tick().repeat(3)
            assert ctx.get(block.word) == int(generator.random_raw())

    simulate(block, bench)
