"""The programming controller against the per-bit reference: cells, counters, random draws and clocks."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module
from amaranth.lib.memory import Memory

from spinbnn.golden.chip import TYPICAL
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import ProgramPacket
from spinbnn.golden.reference_memory import ReferenceMemory
from spinbnn.hw import program_stream
from spinbnn.hw.programmer import Programmer
from tests.hw.memory_model import to_bits, to_int
from tests.hw.simulation import simulate
from tests.hw.test_sfc64 import numpy_state

READ_ROW_ENERGY = 12_345
EXACT = OperatingPoint(0, 0, 1000, 300, 7, 2, 0, False)
POINTS = {
    "exact": EXACT,
    "exact, verified": replace(EXACT, max_retries=3),
    "redundant": replace(EXACT, pulse_redundant=True, pulse_clocks=1),
    "errors": replace(EXACT, p_fail_01=2**30, p_fail_10=2**28),
    "errors, verified": replace(EXACT, p_fail_01=2**31, p_fail_10=3 << 30, max_retries=15),
    "errors, redundant, verified": replace(
        EXACT, p_fail_01=2**32 - 1, p_fail_10=1, max_retries=2, pulse_redundant=True, pulse_clocks=5
    ),
}


class Machine:
    """A programming controller with an array, driven by packets and commands, and the reference beside it."""

    def __init__(self, geometry: Geometry, *, injector: bool = True, seed: int = 2**63 + 5) -> None:
        self.geometry = geometry
        self.block = Programmer(geometry, injector=injector)
        self.generator = np.random.SFC64(seed)
        state = [int(word) for word in self.generator.state["state"]["state"]]
        self.reference = ReferenceMemory(geometry, state, READ_ROW_ENERGY, TYPICAL)
        self.clocks = 0
        self.counted = 0
        self.errors = 0
        self.injector = injector

    def module(self) -> Module:
        """Return the controller with one memory for the cells of all banks."""
        m = Module()
        b, g = self.block, self.geometry
        m.submodules.programmer = b
        row_bits = (g.rows - 1).bit_length()
        depth = g.banks << row_bits
        m.submodules.array = self.array = Memory(shape=g.word_bits, depth=depth, init=[])
        write, read = self.array.write_port(), self.array.read_port()
        address = Cat(b.array_row, b.array_bank)
        m.d.comb += [
            read.en.eq(b.array_enable & ~b.array_write),
            read.addr.eq(address),
            write.en.eq(b.array_enable & b.array_write),
            write.addr.eq(address),
            write.data.eq(b.array_write_data),
            b.array_read_data.eq(read.data),
        ]
        return m

    async def tick(self, ctx: Any) -> None:
        self.counted += ctx.get(self.block.counting)
        self.errors += ctx.get(self.block.address_error)
        await ctx.tick()

    async def until_quiet(self, ctx: Any) -> None:
        while not ctx.get(self.block.quiet):
            await self.tick(ctx)

    async def set_up(self, ctx: Any, point: OperatingPoint) -> None:
        b = self.block
        ctx.set(b.read_row_energy, READ_ROW_ENERGY)
        ctx.set(b.point.p_fail_01, point.p_fail_01)
        ctx.set(b.point.p_fail_10, point.p_fail_10)
        ctx.set(b.point.energy_01, point.energy_01_aj)
        ctx.set(b.point.energy_10, point.energy_10_aj)
        ctx.set(b.point.energy_redundant, point.energy_redundant_aj)
        ctx.set(b.point.clocks, point.pulse_clocks)
        ctx.set(b.point.max_retries, point.max_retries)
        ctx.set(b.point.redundant, point.pulse_redundant)
        if self.injector:
            for half in range(8):
                ctx.set(b.rng_load, numpy_state(self.generator) >> 32 * half & 0xFFFFFFFF)
                ctx.set(b.rng_load_enable, 1 << half)
                await self.tick(ctx)
            ctx.set(b.rng_load_enable, 0)
        await self.until_quiet(ctx)

    async def beat(self, ctx: Any, word: int, last: bool) -> None:
        b = self.block
        ctx.set(b.stream.tdata, int(word))
        ctx.set(b.stream.tlast, last)
        ctx.set(b.stream.tvalid, 1)
        while not ctx.get(b.stream.tready):
            await self.tick(ctx)
        await self.tick(ctx)
        ctx.set(b.stream.tvalid, 0)

    async def send(self, ctx: Any, packet: ProgramPacket, point: int = 0) -> None:
        words = program_stream.beats(packet, point)
        for index, word in enumerate(words):
            await self.beat(ctx, word, index == len(words) - 1)

    async def command(self, ctx: Any, kind: str, bank: int, row: int, point: int = 0) -> None:
        b = self.block
        ctx.set(b.command_bank, bank)
        ctx.set(b.command_row, row)
        ctx.set(b.command_point, point)
        ctx.set(getattr(b, f"command_{kind}"), 1)
        await self.tick(ctx)
        ctx.set(getattr(b, f"command_{kind}"), 0)
        await self.until_quiet(ctx)

    async def load_row_data(self, ctx: Any, row: int) -> None:
        for word in range(8):
            ctx.set(self.block.data_load, row >> 32 * word & 0xFFFFFFFF)
            ctx.set(self.block.data_load_enable, 1 << word)
            await self.tick(ctx)
        ctx.set(self.block.data_load_enable, 0)

    def program(self, bank: int, row: int, target: int, point: OperatingPoint) -> None:
        """Do to the reference what the controller should do."""
        counters = self.reference.counters[bank]
        pulses, reads = -counters["pulses"], -counters["row_reads"]
        self.reference.program(bank, row, to_bits(target, self.geometry.word_bits), point)
        pulses += counters["pulses"]
        reads += counters["row_reads"]
        draws = 32 * self.geometry.slices if point.p_fail_01 or point.p_fail_10 else 0
        self.clocks += 2 * reads + pulses * (draws + point.pulse_clocks) + 13

    def cells(self, bank: int, row: int) -> int:
        """Return what the reference says the cells hold."""
        return to_int(self.reference.cells[bank, row])

    async def check(self, ctx: Any) -> None:
        b, g = self.block, self.geometry
        assert self.counted == self.clocks
        row_bits = (g.rows - 1).bit_length()
        for bank, row in np.ndindex(g.banks, g.rows):
            assert ctx.get(self.array.data[bank << row_bits | row]) == self.cells(bank, row), (bank, row)
        for bank, counters in enumerate(self.reference.counters):
            for index, name in enumerate(COUNTERS):
                ctx.set(b.counters_select_bank, bank)
                ctx.set(b.counters_select_counter, index)
                ctx.set(b.counters_select, 1)
                await self.tick(ctx)
                ctx.set(b.counters_select, 0)
                while not ctx.get(b.counters_ready):
                    await self.tick(ctx)
                assert ctx.get(b.counters_value) == counters[name], (bank, name)
        if self.injector:
            state = sum(word << 64 * index for index, word in enumerate(self.reference.rng.state))
            assert ctx.get(b.rng_state) == state


def random_rows(rng: random.Random, geometry: Geometry, count: int) -> tuple[list[int], Any]:
    """Return rows as integers and as the words of a packet."""
    rows = [rng.getrandbits(geometry.word_bits) for _ in range(count)]
    words = [[row >> 64 * part & (2**64 - 1) for part in range(geometry.slices)] for row in rows]
    return rows, np.array(words, dtype=np.uint64)


def drive(machine: Machine, test: Callable[[Any], Any]) -> None:
    simulate(machine.module(), test)


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("word_bits", [24, 104])
def test_rows_are_programmed_as_the_reference_does(word_bits: int, point: OperatingPoint) -> None:
    machine = Machine(Geometry(5, word_bits, rows=4))
    rng = random.Random(word_bits)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, point)
        for bank, bank_count, row, rows in ((0, 5, 1, 1), (3, 1, 0, 2), (1, 2, 3, 1), (0, 2, 1, 1)):
            targets, words = random_rows(rng, machine.geometry, bank_count * rows)
            await machine.send(ctx, ProgramPacket(0, row, bank, bank_count, words))
            for index, target in enumerate(targets):
                machine.program(bank + index % bank_count, row + index // bank_count, target, point)
        await machine.until_quiet(ctx)
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


def test_without_injector_probabilities_have_no_effect() -> None:
    machine = Machine(Geometry(2, 24, rows=2), injector=False)

    async def test(ctx: Any) -> None:
        assert not hasattr(machine.block, "rng_state")
        await machine.set_up(ctx, POINTS["errors, verified"])
        targets, words = random_rows(random.Random(1), machine.geometry, 4)
        await machine.send(ctx, ProgramPacket(0, 0, 0, 2, words))
        for index, target in enumerate(targets):
            exact = replace(POINTS["errors, verified"], p_fail_01=0, p_fail_10=0)
            machine.program(index % 2, index // 2, target, exact)
        await machine.until_quiet(ctx)
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize("word_bits", [24, 104, 256])
def test_single_rows_by_command(word_bits: int) -> None:
    machine = Machine(Geometry(3, word_bits, rows=4))
    rng = random.Random(7)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, POINTS["errors"])
        for bank, row in ((2, 3), (0, 1), (2, 3)):
            target = rng.getrandbits(word_bits)
            await machine.load_row_data(ctx, target)
            assert ctx.get(machine.block.row_data) == target
            await machine.command(ctx, "program", bank, row, point=2)
            assert ctx.get(machine.block.point_index) == 2
            machine.program(bank, row, target, POINTS["errors"])
            await machine.load_row_data(ctx, 0)
            await machine.command(ctx, "read", bank, row)
            assert ctx.get(machine.block.row_data) == to_int(machine.reference.read(bank, row))
            machine.clocks += 15
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


def test_a_packet_chooses_its_operating_point() -> None:
    machine = Machine(Geometry(2, 8, rows=2))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        for point in (3, 0, 1, 2):
            targets, words = random_rows(random.Random(point), machine.geometry, 1)
            await machine.send(ctx, ProgramPacket(0, 0, 0, 1, words), point)
            assert ctx.get(machine.block.point_index) == point
            machine.program(0, 0, targets[0], EXACT)
            await machine.until_quiet(ctx)
        await machine.check(ctx)

    drive(machine, test)


def test_exact_rows_after_rows_with_errors() -> None:
    """No failure of an earlier pulse is left over where nothing is drawn."""
    machine = Machine(Geometry(1, 64, rows=2))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, POINTS["errors"])
        for point in (POINTS["errors"], EXACT):
            ctx.set(machine.block.point.p_fail_01, point.p_fail_01)
            ctx.set(machine.block.point.p_fail_10, point.p_fail_10)
            targets, words = random_rows(random.Random(point.p_fail_01), machine.geometry, 2)
            await machine.send(ctx, ProgramPacket(0, 0, 0, 1, words))
            for row, target in enumerate(targets):
                machine.program(0, row, target, point)
            await machine.until_quiet(ctx)
        assert [machine.cells(0, row) for row in range(2)] == targets
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize(("bank", "row"), [(3, 0), (0, 6), (4095, 2), (1, 2**31)])
def test_rows_outside_the_array_are_dropped(bank: int, row: int) -> None:
    machine = Machine(Geometry(3, 8, rows=6))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        words = np.full((1, 1), 255, dtype=np.uint64)
        await machine.send(ctx, ProgramPacket(0, row, bank, 1, words))
        await machine.until_quiet(ctx)
        assert machine.errors == 1
        for kind in ("program", "read"):
            await machine.command(ctx, kind, bank, row)
        assert machine.errors == 3
        await machine.check(ctx)

    drive(machine, test)


def test_only_the_rows_of_a_packet_that_lie_outside_are_dropped() -> None:
    machine = Machine(Geometry(3, 8, rows=6))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        targets, words = random_rows(random.Random(2), machine.geometry, 4)
        await machine.send(ctx, ProgramPacket(0, 5, 1, 2, words))
        for index, target in enumerate(targets[:2]):
            machine.program(1 + index, 5, target, EXACT)
        await machine.until_quiet(ctx)
        assert machine.errors == 2
        await machine.check(ctx)

    drive(machine, test)


def test_a_packet_that_ends_within_a_row_is_an_error_and_the_next_is_whole() -> None:
    machine = Machine(Geometry(2, 104, rows=2))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        await machine.beat(ctx, program_stream.header(0, 0, 2, 0), last=False)
        await machine.beat(ctx, 0x1234, last=True)
        assert machine.errors == 1
        await machine.until_quiet(ctx)
        targets, words = random_rows(random.Random(3), machine.geometry, 2)
        await machine.send(ctx, ProgramPacket(0, 1, 0, 2, words))
        for bank, target in enumerate(targets):
            machine.program(bank, 1, target, EXACT)
        await machine.until_quiet(ctx)
        assert machine.errors == 1
        await machine.check(ctx)

    drive(machine, test)


def test_a_header_alone_is_a_packet_without_rows() -> None:
    machine = Machine(Geometry(2, 8, rows=2))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        await machine.beat(ctx, program_stream.header(0, 0, 2, 0), last=True)
        assert ctx.get(machine.block.quiet)
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


def test_nothing_is_taken_during_a_run_or_while_counters_clear() -> None:
    machine = Machine(Geometry(2, 8, rows=2))

    async def test(ctx: Any) -> None:
        b = machine.block
        ctx.set(b.stream.tvalid, 1)
        for _ in range(16 * 2):  # the clearing after reset
            assert not ctx.get(b.quiet)
            assert not ctx.get(b.stream.tready)
            await machine.tick(ctx)
        assert ctx.get(b.quiet)
        assert ctx.get(b.stream.tready)
        ctx.set(b.hold, 1)
        assert not ctx.get(b.stream.tready)
        ctx.set(b.command_program, 1)
        for _ in range(5):
            assert not ctx.get(b.counting)
            await machine.tick(ctx)
        ctx.set(b.command_program, 0)
        ctx.set(b.hold, 0)
        assert ctx.get(b.stream.tready)

    drive(machine, test)
