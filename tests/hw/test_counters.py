"""The per-bank counters: updates, the engine's reads, selection and clearing."""

import random
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import COUNTERS, counter_indices
from spinbnn.hw.counters import COUNTER_OPTIONS, BankCounters, Counter
from tests.hw.simulation import simulate

ENERGIES = {
    "energy_01": 0xFFFF_FFFF,
    "energy_10": 70_001,
    "energy_redundant": 3,
    "read_row_energy": 0x8000_0001,
}
UPDATE_CLOCKS = 13


def test_counters_have_the_indices_of_golden() -> None:
    options = MemoryOptions(
        self_terminated=True,
        secded=True,
        differential=True,
        ageing=True,
        scrub=True,
        read_groups=16,
        activation_generators=1,
    )
    ours = {counter.name.lower(): int(counter) for counter in Counter}
    group_reads = {f"group_reads_{g}": ours["group_reads"] + g for g in range(16)}
    del ours["group_reads"]
    assert ours | group_reads == counter_indices(Geometry(memory=options))
    assert set(COUNTERS) == {counter.name.lower() for counter in set(Counter) - set(COUNTER_OPTIONS)}


class Driver:
    """Row operations, engine reads and selections, with the sums that should come of them."""

    def __init__(self, ctx: Any, block: BankCounters, geometry: Geometry, rng: random.Random) -> None:
        self.ctx, self.block, self.rng = ctx, block, rng
        self.most = geometry.word_bits * 16
        self.expected = [dict.fromkeys(COUNTERS, 0) for _ in range(geometry.banks)]
        for name, value in ENERGIES.items():
            ctx.set(getattr(block, name), value)

    async def row(self, bank: int) -> None:
        """Account for a row operation of random events."""
        ctx, block = self.ctx, self.block
        events = {"row_programs": 1, "pulses": self.rng.randint(0, 16), "retries": self.rng.randint(0, 15)}
        events["row_reads"] = self.rng.randint(1, 16)
        for name in ("bits_01", "bits_10", "redundant_pulses", "failed_bits"):
            events[name] = self.rng.choice((0, self.most, self.rng.randint(0, self.most)))
        for name, value in events.items():
            ctx.set(block.events[name], value)
            self.expected[bank][name] += value
        self.expected[bank]["program_energy_aj"] += sum(
            events[name] * ENERGIES[energy]
            for name, energy in (
                ("bits_01", "energy_01"),
                ("bits_10", "energy_10"),
                ("redundant_pulses", "energy_redundant"),
            )
        )
        self.expected[bank]["read_energy_aj"] += events["row_reads"] * ENERGIES["read_row_energy"]
        ctx.set(block.bank, bank)
        ctx.set(block.update, 1)
        for clock in range(UPDATE_CLOCKS):
            assert ctx.get(block.updated) == (clock == UPDATE_CLOCKS - 1)
            await ctx.tick()
        ctx.set(block.update, 0)

    async def engine_reads(self, count: int) -> None:
        for _ in range(count):
            self.ctx.set(self.block.engine_read, 1)
            await self.ctx.tick()
            self.ctx.set(self.block.engine_read, 0)
            await self.ctx.tick()
        for bank in self.expected:
            bank["row_reads"] += count
            bank["read_energy_aj"] += count * ENERGIES["read_row_energy"]

    async def check(self) -> None:
        for bank, counters in enumerate(self.expected):
            for index, (name, value) in enumerate(counters.items()):
                assert await self.selected(bank, index) == value % 2**64, (bank, name)

    async def selected(self, bank: int, counter: int) -> int:
        ctx, block = self.ctx, self.block
        ctx.set(block.select_bank, bank)
        ctx.set(block.select_counter, counter)
        ctx.set(block.select, 1)
        await ctx.tick()
        ctx.set(block.select, 0)
        assert not ctx.get(block.ready)
        for _ in range(4):
            await ctx.tick()
        assert ctx.get(block.ready)
        return int(ctx.get(block.value))


async def cleared(ctx: Any, block: BankCounters, banks: int) -> None:
    for _ in range(16 * banks):
        assert ctx.get(block.clearing)
        await ctx.tick()
    assert not ctx.get(block.clearing)


@pytest.mark.parametrize(("banks", "word_bits"), [(1, 8), (5, 24), (4, 104)])
def test_counters_add_up(banks: int, word_bits: int) -> None:
    geometry = Geometry(banks, word_bits)
    block = BankCounters(geometry)

    async def bench(ctx: Any) -> None:
        await cleared(ctx, block, banks)  # after reset
        driver = Driver(ctx, block, geometry, random.Random(word_bits))
        for round_number in range(6):
            await driver.row(banks - 1)  # twice the same bank, one update right after the other
            await driver.row(banks - 1)
            await driver.row(driver.rng.randrange(banks))
            await driver.engine_reads(round_number)
        await driver.check()

    simulate(block, bench)


def test_clearing_forgets_rows_and_engine_reads() -> None:
    geometry = Geometry(3, 8)
    block = BankCounters(geometry)

    async def bench(ctx: Any) -> None:
        await cleared(ctx, block, 3)
        driver = Driver(ctx, block, geometry, random.Random(1))
        for bank in range(3):
            await driver.row(bank)
        await driver.engine_reads(5)
        ctx.set(block.clear, 1)
        await ctx.tick()
        ctx.set(block.clear, 0)
        await cleared(ctx, block, 3)
        driver.expected = [dict.fromkeys(COUNTERS, 0) for _ in range(3)]
        await driver.check()
        await driver.row(2)
        await driver.check()

    simulate(block, bench)


def test_a_selection_waits_for_an_update() -> None:
    block = BankCounters(Geometry(2, 8))

    async def bench(ctx: Any) -> None:
        await cleared(ctx, block, 2)
        ctx.set(block.bank, 1)
        ctx.set(block.events.failed_bits, 6)
        ctx.set(block.select_bank, 1)
        ctx.set(block.select_counter, Counter.FAILED_BITS)
        ctx.set(block.update, 1)
        for clock in range(UPDATE_CLOCKS):
            ctx.set(block.select, clock == 4)
            await ctx.tick()
            assert not ctx.get(block.ready)
        ctx.set(block.update, 0)
        for _ in range(4):
            await ctx.tick()
        assert ctx.get(block.ready)
        assert ctx.get(block.value) == 6

    simulate(block, bench)


def test_counters_have_64_bits() -> None:
    """The energy of reads passes 2^32 and 2^33 with carries in between."""
    geometry = Geometry(1, 256)
    block = BankCounters(geometry)

    async def bench(ctx: Any) -> None:
        await cleared(ctx, block, 1)
        driver = Driver(ctx, block, geometry, random.Random(3))
        await driver.engine_reads(7)
        await driver.row(0)
        assert driver.expected[0]["read_energy_aj"] > 2**33
        await driver.check()

    simulate(block, bench)
