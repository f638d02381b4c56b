"""Nested loop counters against Python's nested loops."""

import random
from itertools import product
from typing import Any

import pytest

from spinbnn.hw.loops import LoopNest
from tests.hw.simulation import simulate

NAMES = ("group", "word", "plane")


@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 1, 1), (1, 4, 1), (1, 1, 8), (3, 2, 4), (5, 3, 1)])
def test_loops_step_innermost_first(counts: tuple[int, int, int]) -> None:
    block = LoopNest({"group": 16, "word": 16, "plane": 3})
    idle = random.Random(1)

    async def bench(ctx: Any) -> None:
        for name, count in zip(NAMES, counts, strict=True):
            ctx.set(getattr(block, f"{name}_last_index"), count - 1)
        for _ in range(2):  # the second time round the loops have wrapped by themselves
            for indices in product(*map(range, counts)):
                for _ in range(idle.randrange(3)):
                    ctx.set(block.advance, 0)
                    await ctx.tick()
                for name, index, count in zip(NAMES, indices, counts, strict=True):
                    assert ctx.get(getattr(block, f"{name}_first")) == (index == 0)
                    assert ctx.get(getattr(block, f"{name}_last")) == (index == count - 1)
                ctx.set(block.advance, 1)
                await ctx.tick()

    simulate(block, bench)


def test_loops_may_be_of_one_level() -> None:
    block = LoopNest({"row": 4})

    async def bench(ctx: Any) -> None:
        ctx.set(block.row_last_index, 15)
        ctx.set(block.advance, 1)
        for step in range(33):
            assert ctx.get(block.row_first) == (step % 16 == 0)
            assert ctx.get(block.row_last) == (step % 16 == 15)
            await ctx.tick()

    simulate(block, bench)
