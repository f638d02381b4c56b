"""The programming controller with options of the memory against a model: cells, counters, draws, clocks."""

import random
from dataclasses import replace
from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Module
from amaranth.lib.memory import Memory

from spinbnn.golden.chip import Chip
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import EVERYTHING, MemoryOptions
from spinbnn.golden.mram import counter_indices
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import ProgramPacket
from spinbnn.golden.reference import Sfc64
from spinbnn.hw import program_stream
from spinbnn.hw.cell_code import decode, is_coded
from spinbnn.hw.library import used
from spinbnn.hw.programmer import Programmer, class_probabilities
from tests.hw.memory_model import MemoryModel, to_bits, to_int
from tests.hw.simulation import simulate
from tests.hw.test_programmer import EXACT, READ_ROW_ENERGY, Machine, random_rows

ALL = replace(EVERYTHING, activation_generators=0)
OPTIONS = {
    "none": MemoryOptions(),
    "variability": MemoryOptions(variability=True),
    "self_terminated": MemoryOptions(self_terminated=True),
    "secded": MemoryOptions(secded=True),
    "differential": MemoryOptions(differential=True),
    "ageing": MemoryOptions(ageing=True),
    "scrub": MemoryOptions(scrub=True),
    "read_groups": MemoryOptions(read_groups=2),
    "scrub, secded": MemoryOptions(scrub=True, secded=True),
    "variability, ageing": MemoryOptions(variability=True, ageing=True),
    "all": ALL,
}
POINTS = {
    "exact": EXACT,
    "errors": replace(EXACT, p_fail_01=2**30, p_fail_10=2**28, max_retries=1),
    "many errors": replace(EXACT, p_fail_01=2**31, p_fail_10=3 << 30, max_retries=4, pulse_clocks=1),
    "blind": replace(EXACT, p_fail_01=2**29, max_retries=2, blind=True),
    "redundant": replace(EXACT, p_fail_10=2**31, pulse_redundant=True),
}
CHIP = Chip(2**63 + 12345, (2**14, 2**15, 2**16 - 1), (False, False, True, False))


class OptionMachine(Machine):
    """A programming controller with an array that decodes its rows, and the model beside it."""

    def __init__(self, geometry: Geometry, chip: Chip = CHIP, seed: int = 7) -> None:
        super().__init__(geometry, seed=seed)
        rng = random.Random(seed)
        mismatch = [to_bits(rng.getrandbits(geometry.code_bits), geometry.code_bits) for _ in range(256)]
        self.mismatch = mismatch[: geometry.banks]
        self.model = MemoryModel(geometry, self.reference.rng, READ_ROW_ENERGY, chip, self.mismatch)
        self.row_bits = (geometry.rows - 1).bit_length()

    def module(self) -> Module:
        m = Module()
        b, g = self.block, self.geometry
        m.submodules.programmer = b
        m.submodules.array = self.array = Memory(shape=g.row_cells, depth=g.banks << self.row_bits, init=[])
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
        if is_coded(g):
            amplifiers = Array(to_int(bits) for bits in self.mismatch)[b.array_bank]
            word, flags = decode(m, g, read.data, amplifiers)
            m.d.comb += [b.read_data.eq(word), b.read_flags.eq(flags)]
        return m

    async def set_up(self, ctx: Any, point: OperatingPoint) -> None:
        b, memory, chip = self.block, self.geometry.memory, self.model.chip
        self.set_point(ctx, point)
        if memory.variability:
            ctx.set(b.chip_seed, chip.seed)
            ctx.set(b.class_stuck, to_int([int(stuck) for stuck in chip.stuck]))
            for number, share in enumerate(chip.class_shares, start=1):
                ctx.set(getattr(b, f"share_{number}"), share)
        await super().set_up(ctx, point)

    def set_point(self, ctx: Any, point: OperatingPoint) -> None:
        b, memory = self.block, self.geometry.memory
        ctx.set(b.point.p_fail_01, point.p_fail_01)
        ctx.set(b.point.p_fail_10, point.p_fail_10)
        ctx.set(b.point.blind, point.blind)
        if memory.variability:
            for number, (p_01, p_10) in enumerate(point.by_class[1:], start=1):
                ctx.set(b.point[f"p_fail_01_class_{number}"], p_01)
                ctx.set(b.point[f"p_fail_10_class_{number}"], p_10)
        if memory.self_terminated:
            ctx.set(b.point.energy_01_failed, point.failed_energies_aj[0])
            ctx.set(b.point.energy_10_failed, point.failed_energies_aj[1])

    async def program_rows(self, ctx: Any, rows: int, point: OperatingPoint, seed: int) -> None:
        """Stream rows of random bits into all banks."""
        banks = self.geometry.banks
        targets, words = random_rows(random.Random(seed), self.geometry, banks * rows)
        await self.send(ctx, ProgramPacket(0, 0, 0, banks, words))
        for index, target in enumerate(targets):
            self.model.program(index % banks, index // banks, target, point)
        await self.until_quiet(ctx)

    async def read_all(self, ctx: Any) -> None:
        for bank, row in self.model.cells:
            await self.command(ctx, "read", bank, row)
            assert ctx.get(self.block.row_data) == self.model.read(bank, row), (bank, row)

    async def one_pass(self, ctx: Any, kind: str, first: int, last: int) -> None:
        b = self.block
        ctx.set(b.command_row, first)
        ctx.set(b.pass_last_row, last)
        ctx.set(b.pass_point, 3)
        ctx.set(getattr(b, f"pass_{kind}"), 1)
        await self.tick(ctx)
        ctx.set(getattr(b, f"pass_{kind}"), 0)
        await self.until_quiet(ctx)

    def flip(self, ctx: Any, bank: int, row: int, *cells: int) -> None:
        """Flip cells behind the controller's back."""
        for cell in cells:
            self.model.cells[bank, row][cell] ^= 1
        ctx.set(self.array.data[bank << self.row_bits | row], to_int(self.model.cells[bank, row]))

    async def check(self, ctx: Any) -> None:
        b = self.block
        assert self.counted == self.model.clocks
        for (bank, row), cells in self.model.cells.items():
            assert ctx.get(self.array.data[bank << self.row_bits | row]) == to_int(cells), (bank, row)
        for bank, counters in enumerate(self.model.counters):
            for name, index in counter_indices(self.geometry).items():
                ctx.set(b.counters_select_bank, bank)
                ctx.set(b.counters_select_counter, index)
                ctx.set(b.counters_select, 1)
                await self.tick(ctx)
                ctx.set(b.counters_select, 0)
                while not ctx.get(b.counters_ready):
                    await self.tick(ctx)
                assert ctx.get(b.counters_value) == counters[name], (bank, name)
        state = sum(word << 64 * index for index, word in enumerate(self.model.rng.state))
        assert ctx.get(b.rng_state) == state


def drive(machine: OptionMachine, test: Any) -> None:
    simulate(machine.module(), test)


def for_options(point: OperatingPoint, memory: MemoryOptions) -> OperatingPoint:
    """Give a point the fields that the memory's options add."""
    if memory.variability:
        point = replace(point, class_p_fail_01=(1, 2**31, 0), class_p_fail_10=(2**30, 0, 2**32 - 1))
    if memory.self_terminated:
        point = replace(point, energy_01_failed_aj=2**32 - 1, energy_10_failed_aj=11)
    return point


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("memory", OPTIONS.values(), ids=OPTIONS)
def test_rows_are_programmed_read_aged_and_scrubbed(memory: MemoryOptions, point: OperatingPoint) -> None:
    """Cells, counters, random stream and clocks; each option alone, and together."""
    geometry = Geometry(2, 24, rows=5, memory=memory)
    machine = OptionMachine(geometry)
    plan = for_options(point, memory)
    ageing = for_options(replace(EXACT, p_fail_01=2**28, p_fail_10=2**27), memory)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, plan)
        await machine.program_rows(ctx, 4, plan, seed=1)
        if memory.ageing:
            machine.set_point(ctx, ageing)
            await machine.one_pass(ctx, "age", 1, 4)
            machine.model.age(1, 4, ageing)
        machine.set_point(ctx, plan)
        rng = random.Random(2)
        for number, (bank, row) in enumerate(machine.model.cells):  # none, one, two or three wrong cells
            machine.flip(ctx, bank, row, *rng.sample(range(geometry.row_cells), number % 4))
        await machine.read_all(ctx)
        if memory.scrub:
            await machine.one_pass(ctx, "scrub", 0, 2)
            assert ctx.get(machine.block.point_index) == 3
            machine.model.scrub(0, 2, plan)
            await machine.one_pass(ctx, "scrub", 4, 4)
            machine.model.scrub(4, 4, plan)
        await machine.read_all(ctx)
        await machine.program_rows(ctx, 5, plan, seed=3)
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


def test_the_options_are_at_work_in_what_is_compared() -> None:
    """The comparison above would say little if nothing were corrected, tied, aged or stuck."""
    machine = OptionMachine(Geometry(3, 24, rows=7, memory=ALL))
    point = for_options(replace(POINTS["errors"], pulse_redundant=True), ALL)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, point)
        await machine.program_rows(ctx, 4, point, seed=1)
        await machine.program_rows(ctx, 4, point, seed=2)
        await machine.read_all(ctx)
        await machine.one_pass(ctx, "age", 0, 6)
        machine.model.age(0, 6, point)
        await machine.one_pass(ctx, "scrub", 0, 6)
        machine.model.scrub(0, 6, point)
        for bank in range(3):
            machine.flip(ctx, bank, 0, 5)
        await machine.read_all(ctx)
        await machine.check(ctx)
        totals = {
            name: sum(bank[name] for bank in machine.model.counters)
            for name in counter_indices(machine.geometry)
        }
        assert all(totals.values()), totals

    drive(machine, test)


@pytest.mark.parametrize("memory", [MemoryOptions(variability=True, ageing=True), ALL], ids=["aged", "all"])
def test_rows_of_several_slices(memory: MemoryOptions) -> None:
    geometry = Geometry(2, 104, rows=2, memory=memory)
    assert geometry.cell_slices == (4 if memory is ALL else 2)
    machine = OptionMachine(geometry)
    point = for_options(POINTS["errors"], memory)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, point)
        await machine.program_rows(ctx, 2, point, seed=1)
        await machine.one_pass(ctx, "age", 0, 1)
        machine.model.age(0, 1, point)
        await machine.read_all(ctx)
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize("stuck", [(True, False, False, False), (False, True, True, True)])
def test_stuck_cells_never_switch_and_never_age(stuck: tuple[bool, bool, bool, bool]) -> None:
    """Pulses draw although no probability says so, and what is not stuck switches."""
    geometry = Geometry(2, 24, rows=2, memory=MemoryOptions(variability=True, ageing=True))
    machine = OptionMachine(geometry, replace(CHIP, class_shares=(2**15, 0, 2**14), stuck=stuck))
    point = replace(EXACT, max_retries=1)

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, point)
        await machine.program_rows(ctx, 2, point, seed=1)
        certain = replace(point, p_fail_01=2**32 - 1, p_fail_10=2**32 - 1)
        machine.set_point(ctx, certain)
        await machine.one_pass(ctx, "age", 0, 1)
        machine.model.age(0, 1, certain)
        await machine.check(ctx)
        classes = machine.model.classes(1, 1)
        held = [cell for cell, number in enumerate(classes) if stuck[number]]
        assert 0 < len(held) < 24
        assert not any(machine.model.cells[1, 1][cell] for cell in held)

    drive(machine, test)


def test_a_chip_s_classes_depend_on_seed_bank_and_row() -> None:
    geometry = Geometry(2, 24, rows=2, memory=ALL)
    seen = set()
    for seed in (1, 2**40, 2**64 - 1):
        model = MemoryModel(geometry, Sfc64([0] * 4), 0, replace(CHIP, seed=seed), [])
        seen |= {tuple(model.classes(bank, row)) for bank, row in model.cells}
    assert len(seen) == 12


def test_an_exact_point_of_a_chip_without_stuck_cells_draws_nothing() -> None:
    geometry = Geometry(2, 24, rows=2, memory=ALL)
    machine = OptionMachine(geometry, replace(CHIP, stuck=(False,) * 4))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        before = machine.model.rng.state
        await machine.program_rows(ctx, 2, EXACT, seed=1)
        await machine.one_pass(ctx, "age", 0, 1)
        machine.model.age(0, 1, EXACT)
        await machine.one_pass(ctx, "scrub", 0, 1)
        machine.model.scrub(0, 1, EXACT)
        await machine.check(ctx)
        assert machine.model.rng.state == before
        assert machine.model.clocks == 4 * (2 + 2 + 23) + 4 * (2 + 23) + 4 * (3 + 23)

    drive(machine, test)


@pytest.mark.parametrize("kind", ["age", "scrub"])
@pytest.mark.parametrize(("first", "last"), [(0, 6), (7, 7), (2, 1), (0, 2**32 - 1), (2**31, 2**31 + 1)])
def test_a_pass_outside_the_array_is_an_error_and_does_nothing(kind: str, first: int, last: int) -> None:
    machine = OptionMachine(Geometry(2, 8, rows=6, memory=ALL))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        await machine.one_pass(ctx, kind, first, last)
        assert machine.errors == 1
        assert ctx.get(machine.block.quiet)
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize("kind", ["age", "scrub"])
def test_a_pass_takes_nothing_else_until_it_has_ended(kind: str) -> None:
    """Neither rows by command, nor the stream, nor another pass."""
    machine = OptionMachine(Geometry(2, 8, rows=6, memory=ALL))
    point = for_options(POINTS["errors"], ALL)

    async def test(ctx: Any) -> None:
        b = machine.block
        await machine.set_up(ctx, point)
        await machine.program_rows(ctx, 6, point, seed=1)
        ctx.set(b.command_row, 1)
        ctx.set(b.pass_last_row, 2)
        ctx.set(b.stream.tdata, program_stream.header(0, 0, 2, 0))
        ctx.set(b.stream.tvalid, 1)
        ctx.set(getattr(b, f"pass_{kind}"), 1)
        assert not ctx.get(b.stream.tready)
        assert not ctx.get(b.quiet)
        await machine.tick(ctx)
        ctx.set(b.pass_age, 1)  # ignored, as are the others
        ctx.set(b.pass_scrub, 1)
        ctx.set(b.command_program, 1)
        ctx.set(b.command_read, 1)
        for _ in range(4 * 60):
            assert not ctx.get(b.quiet)
            assert not ctx.get(b.stream.tready)
            await machine.tick(ctx)
        for name in ("pass_age", "pass_scrub", "command_program", "command_read"):
            ctx.set(getattr(b, name), 0)
        while not ctx.get(b.stream.tready):
            assert not ctx.get(b.quiet)
            await machine.tick(ctx)
        ctx.set(b.stream.tvalid, 0)
        getattr(machine.model, kind)(1, 2, point)
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize("kind", ["age", "scrub"])
def test_a_pass_is_ignored_during_a_run_and_within_a_packet(kind: str) -> None:
    machine = OptionMachine(Geometry(2, 8, rows=6, memory=ALL))

    async def test(ctx: Any) -> None:
        b = machine.block
        await machine.set_up(ctx, EXACT)
        ctx.set(b.hold, 1)
        await machine.one_pass(ctx, kind, 0, 1)
        ctx.set(b.hold, 0)
        await machine.beat(ctx, program_stream.header(3, 0, 1, 0), last=False)
        ctx.set(getattr(b, f"pass_{kind}"), 1)
        await machine.tick(ctx)
        ctx.set(getattr(b, f"pass_{kind}"), 0)
        await machine.beat(ctx, 0x5A, last=True)
        machine.model.program(0, 3, 0x5A, EXACT)
        await machine.until_quiet(ctx)
        assert machine.errors == 0
        await machine.check(ctx)

    drive(machine, test)


def test_the_engine_s_reads_are_added() -> None:
    machine = OptionMachine(Geometry(2, 8, rows=7, memory=ALL))

    async def test(ctx: Any) -> None:
        b, model = machine.block, machine.model
        await machine.set_up(ctx, EXACT)
        await machine.program_rows(ctx, 7, EXACT, seed=4)
        machine.flip(ctx, 0, 2, 3)
        await machine.read_all(ctx)
        for row in (0, 1, 6, 6, 5, 2):
            ctx.set(b.counters_engine_group, row // 2)
            ctx.set(b.counters_engine_read, 1)
            await machine.tick(ctx)
            ctx.set(b.counters_engine_read, 0)
            await machine.tick(ctx)
            for bank in range(2):
                model.count_reads(bank, row, 1)
        for kind, count in (("corrected", 2**40 + 1), ("uncorrectable", 17), ("tied", 5)):
            ctx.set(getattr(b, f"counters_engine_{kind}_reads"), count)
            for bank in range(2):
                model.counters[bank][f"{kind}_reads"] += count
        assert [bank["group_reads_3"] for bank in model.counters] == [4, 4]
        await machine.check(ctx)

    drive(machine, test)


@pytest.mark.parametrize(
    ("rows", "groups", "busy"),
    [(2, 16, [0, 1]), (5, 2, [0, 0, 0, 0, 1]), (9, 8, [0, 0, 1, 1, 2, 2, 3, 3, 4])],
)
def test_row_groups(rows: int, groups: int, busy: list[int]) -> None:
    machine = OptionMachine(Geometry(1, 8, rows=rows, memory=MemoryOptions(read_groups=groups)))

    async def test(ctx: Any) -> None:
        await machine.set_up(ctx, EXACT)
        await machine.read_all(ctx)
        await machine.check(ctx)
        counted = {f"group_reads_{group}": busy.count(group) for group in range(groups)}
        assert counted.items() <= machine.model.counters[0].items()

    drive(machine, test)


def test_counters_clear_in_a_clock_an_entry() -> None:
    for memory, entries in (
        (MemoryOptions(secded=True), 16),
        (MemoryOptions(differential=True), 32),
        (MemoryOptions(read_groups=2), 64),
        (ALL, 64),
    ):
        machine = OptionMachine(Geometry(3, 8, rows=2, memory=memory))

        async def test(ctx: Any, machine: OptionMachine = machine, entries: int = entries) -> None:
            clocks = 0
            while not ctx.get(machine.block.quiet):
                clocks += 1
                await machine.tick(ctx)
            assert clocks == 3 * entries

        drive(machine, test)


def test_a_machine_without_options_has_none_of_their_ports() -> None:
    plain = used(Programmer(Geometry(2, 8, rows=2)))
    full = used(Programmer(Geometry(2, 8, rows=2, memory=ALL)))
    names = ("pass_age", "pass_scrub", "pass_last_row", "chip_seed", "class_stuck", "read_data", "read_flags")
    for name in (*names, "counters_engine_group", "counters_engine_tied_reads"):
        assert hasattr(full, name)
        assert not hasattr(plain, name)
    added = set(full.point.shape().members) - set(plain.point.shape().members)
    assert added == {*class_probabilities(), "energy_01_failed", "energy_10_failed"}
