"""A bank that decodes its rows: what its neuron sees, and what it counts of the engine's reads."""

import random
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.hw.bank import Bank, mismatch_words
from spinbnn.hw.library import used
from tests.hw.memory_model import CellCode, to_bits, to_int
from tests.hw.simulation import simulate

KINDS = ("corrected", "uncorrectable", "tied")
ROWS = 8


class Driver:
    """A bank whose cells are written through its port, and the model of its code."""

    def __init__(self, ctx: Any, bank: Bank, geometry: Geometry) -> None:
        self.ctx, self.bank, self.geometry = ctx, bank, geometry
        self.code = CellCode(geometry)
        self.mismatch = 0

    async def write_mismatch(self, mismatch: int) -> None:
        for word in range(mismatch_words(self.geometry)):
            self.ctx.set(self.bank.mismatch_write_data, mismatch >> 32 * word & 0xFFFFFFFF)
            self.ctx.set(self.bank.mismatch_write_enable, 1 << word)
            await self.ctx.tick()
            self.ctx.set(self.bank.mismatch_write_enable, 0)
        self.mismatch = mismatch

    async def write(self, row: int, cells: int) -> None:
        ctx, bank = self.ctx, self.bank
        ctx.set(bank.array_row, row)
        ctx.set(bank.array_write_data, cells)
        ctx.set(bank.array_write, 1)
        ctx.set(bank.array_enable, 1)
        await ctx.tick()
        ctx.set(bank.array_write, 0)
        ctx.set(bank.array_enable, 0)

    async def read(self, row: int, *, counted: bool) -> int:
        """Read a row; return the word sum of a neuron whose operand and mask are all ones."""
        ctx, bank, width = self.ctx, self.bank, self.geometry.word_bits
        ctx.set(bank.array_row, row)
        ctx.set(bank.array_enable, 1)
        ctx.set(bank.counted, counted)
        ctx.set(bank.mask_counts, width)
        await ctx.tick()
        ctx.set(bank.array_enable, 0)
        ctx.set(bank.counted, 0)
        ctx.set(bank.operands, (1 << width) - 1)
        ctx.set(bank.masks, (1 << width) - 1)
        await ctx.tick()
        ctx.set(bank.control.sum_enable, 1)
        ctx.set(bank.control.sum_first, 1)
        await ctx.tick()
        ctx.set(bank.control.sum_enable, 0)
        ctx.set(bank.control.accumulate_enable, 1)
        ctx.set(bank.control.accumulate_first, 1)
        ctx.set(bank.control.accumulate_from_zero, 1)
        await ctx.tick()
        ctx.set(bank.control.accumulate_enable, 0)
        return int(ctx.get(bank.sums))

    def counts(self) -> dict[str, int]:
        names = [f"{kind}_reads" for kind in KINDS]
        return {name: self.ctx.get(getattr(self.bank, name)) for name in names if hasattr(self.bank, name)}


@pytest.mark.parametrize(
    "memory",
    [
        MemoryOptions(secded=True),
        MemoryOptions(differential=True),
        MemoryOptions(secded=True, differential=True),
    ],
    ids=["secded", "differential", "both"],
)
@pytest.mark.parametrize("width", [24, 40])
def test_the_neuron_sees_decoded_rows_and_engine_reads_count(width: int, memory: MemoryOptions) -> None:
    geometry = Geometry(1, width, rows=ROWS, threshold_rows=2, memory=memory)
    bank = Bank(geometry)
    rng = random.Random(width)

    async def bench(ctx: Any) -> None:
        driver = Driver(ctx, bank, geometry)
        await driver.write_mismatch(rng.getrandbits(geometry.code_bits))
        expected = driver.counts()
        assert set(expected.values()) == {0}
        for row in range(ROWS):  # none, one, two or three wrong cells
            cells = to_int(driver.code.encode(to_bits(rng.getrandbits(width), width)))
            for cell in rng.sample(range(geometry.row_cells), row % 4):
                cells ^= 1 << cell
            await driver.write(row, cells)
            mismatch = to_bits(driver.mismatch, geometry.code_bits)
            read = driver.code.read(to_bits(cells, geometry.row_cells), mismatch)
            for counted in (True, False):
                total = 2 * sum(read.data) - width
                assert await driver.read(row, counted=counted) == total % 2**geometry.accumulator_bits
                assert ctx.get(bank.read_data) == to_int(read.data)
                assert ctx.get(bank.array_read_data) == cells
            for kind in KINDS:
                if getattr(read, kind):
                    expected[f"{kind}_reads"] += 1
            assert driver.counts() == expected
        assert all(expected.values())
        ctx.set(bank.clear, 1)
        await ctx.tick()
        ctx.set(bank.clear, 0)
        assert set(driver.counts().values()) == {0}

    simulate(bank, bench)


def test_a_plain_bank_has_none_of_it() -> None:
    bank = used(Bank(Geometry(1, 24, rows=ROWS)))
    for name in ("read_data", "read_flags", "counted", "clear", "mismatch_write_data", "tied_reads"):
        assert not hasattr(bank, name)
