"""The register block on its bus: every register's access, errors, pulses, strobes and back-pressure."""

from collections.abc import Callable
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import EVERYTHING, MemoryOptions
from spinbnn.hw.registers import OKAY, REGISTERS, SLVERR, Register, RegisterBlock
from tests.hw.bus import Bus
from tests.hw.simulation import simulate

ALL = Geometry(
    image_elements=100,
    memory=EVERYTHING,
)
PLAIN = Geometry()
UNKNOWN = (0x048, 0x05C, 0x138, 0x1FC, 0x22C, 0xFFC)
OF_OPTIONS = (0x0C0, 0x0D4, 0x0DC, 0x118, 0x1F4, 0x200, 0x228)  # and unknown to a machine without them


def drive(test: Callable[..., Any], geometry: Geometry = ALL, *, injector: bool = True) -> None:
    """Run a test with a block and a manager on its bus."""
    block = RegisterBlock(geometry, injector=injector)

    async def bench(ctx: Any) -> None:
        await test(ctx, block, Bus(ctx, block.bus))

    simulate(block, bench)


def stored_mask(register: Register) -> int:
    return sum(f.place((1 << f.width) - 1) for f in register.fields if f.stored)


def fields(kind: Callable[[Any], bool]) -> list[tuple[Register, Any]]:
    return [(register, field) for register in REGISTERS for field in register.fields if kind(field)]


STORED = [register for register in REGISTERS if stored_mask(register)]
PROVIDED = fields(lambda f: f.readable and not f.stored and not f.pulse)
PULSES = fields(lambda f: f.pulse)
STROBED = [register for register in REGISTERS if register.strobe]


def test_there_are_registers_of_every_kind() -> None:
    assert len(STORED) > 30
    assert len(PROVIDED) > 20
    commands = ["start", "clear_done", "clear_counters", "program", "read", "age", "scrub"]
    assert [f.name for _, f in PULSES] == commands
    assert {"TABLE_DATA", "ROW_DATA_0", "RNG_STATE_7", "COUNTER_SELECT"} <= {r.name for r in STROBED}


def test_reset_values() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        for register in REGISTERS:
            reset = sum(f.place(f.reset) for f in register.fields if f.stored)
            assert await bus.read(register.offset) == (reset, OKAY), register.name

    drive(test)


@pytest.mark.parametrize("pattern", [0xFFFFFFFF, 0xA5C3_0F96])
def test_stored_fields_keep_what_is_written(pattern: int) -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        for index, register in enumerate(STORED):
            word = (pattern * (2 * index + 1)) & 0xFFFFFFFF
            await bus.accept_write(register.offset, word)
            for f in register.fields:  # the hardware sees the new value in the clock of pulse and strobe
                if f.stored:
                    assert ctx.get(getattr(block, f"{register.name}_{f.name}")) == f.extract(word)
            assert await bus.response() == OKAY
        for index, register in enumerate(STORED):
            word = (pattern * (2 * index + 1)) & 0xFFFFFFFF
            assert await bus.read(register.offset) == (word & stored_mask(register), OKAY), register.name

    drive(test)


def test_software_reads_what_the_hardware_provides() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        for index, (register, f) in enumerate(PROVIDED):
            ctx.set(getattr(block, f"{register.name}_{f.name}"), (0x9E3779B1 * (index + 1)) % (1 << f.width))
        for register in {register.name: register for register, _ in PROVIDED}.values():
            word = 0
            for index, (other, f) in enumerate(PROVIDED):
                if other is register:
                    word |= f.place((0x9E3779B1 * (index + 1)) % (1 << f.width))
            assert await bus.read(register.offset) == (word, OKAY), register.name

    drive(test)


def test_writing_a_register_that_can_only_be_read_is_an_error() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        read_only = [register for register in REGISTERS if not register.writable]
        assert len(read_only) > 10
        for register in read_only:
            assert await bus.write(register.offset, 0xFFFFFFFF) == SLVERR, register.name

    drive(test)


def test_reading_what_can_only_be_written_gives_zero() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        for name in ("CONTROL", "TABLE_DATA"):
            assert await bus.write(REGISTERS[name].offset, 0) == OKAY
            assert await bus.read(REGISTERS[name].offset) == (0, OKAY)

    drive(test)


@pytest.mark.parametrize(
    ("address", "geometry"),
    [*((address, ALL) for address in UNKNOWN), *((address, PLAIN) for address in UNKNOWN + OF_OPTIONS)],
)
def test_an_address_without_register_is_an_error(address: int, geometry: Geometry) -> None:
    assert (address in {register.offset for register in REGISTERS}) == (address in OF_OPTIONS)

    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        assert await bus.read(REGISTERS.IMAGE_PLANES.offset) == (1, OKAY)
        assert await bus.read(address) == (0, SLVERR)
        assert await bus.write(address, 1) == SLVERR
        assert await bus.read(REGISTERS.IMAGE_PLANES.offset) == (1, OKAY)
        assert await bus.write(REGISTERS.IMAGE_PLANES.offset, 2) == OKAY

    drive(test, geometry)


def test_without_injector_there_is_no_random_state() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        assert await bus.write(REGISTERS.RNG_STATE_3.offset, 5) == SLVERR
        assert await bus.read(REGISTERS.RNG_STATE_3.offset) == (0, SLVERR)
        assert not hasattr(block, "RNG_STATE_3_value")

    drive(test, PLAIN, injector=False)


def test_a_field_of_an_option_reads_zero_without_it() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        await bus.accept_write(REGISTERS.PASS_COMMAND.offset, 0x303)
        assert ctx.get(block.PASS_COMMAND_scrub)
        assert not hasattr(block, "PASS_COMMAND_age")
        assert await bus.response() == OKAY
        assert await bus.read(REGISTERS.PASS_COMMAND.offset) == (0x300, OKAY)

    drive(test, Geometry(memory=MemoryOptions(scrub=True)))


@pytest.mark.parametrize("strobe", [0b0000, 0b0001, 0b0111, 0b1110])
def test_a_write_of_part_of_a_word_is_an_error_and_does_nothing(strobe: int) -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        await bus.write(REGISTERS.IMAGES.offset, 77)
        assert await bus.write(REGISTERS.IMAGES.offset, 0xFFFFFFFF, strobe) == SLVERR
        assert await bus.read(REGISTERS.IMAGES.offset) == (77, OKAY)
        await bus.accept_write(REGISTERS.CONTROL.offset, 1, strobe)
        assert not ctx.get(block.CONTROL_start)
        assert await bus.response() == SLVERR
        await bus.accept_write(REGISTERS.TABLE_DATA.offset, 1, strobe)
        assert not ctx.get(block.TABLE_DATA_strobe)
        assert ctx.get(block.write_data) == 77
        assert await bus.response() == SLVERR

    drive(test)


def test_pulses_and_strobes_last_one_clock_and_come_alone() -> None:
    """Each write moves just the signals of its own register, in the clock after it was accepted."""

    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        events = {f"{r.name}_{f.name}": r.name for r, f in PULSES}
        events |= {f"{r.name}_strobe": r.name for r in STROBED}
        for number, register in enumerate(r for r in REGISTERS if r.writable):
            word = 0xFFFF_FF00 + number * 0x101 | 0b111  # the commands' bits are all 1
            await bus.accept_write(register.offset, word & 0xFFFFFFFF)
            active = {name for name in events if ctx.get(getattr(block, name))}
            assert active == {name for name, owner in events.items() if owner == register.name}
            assert ctx.get(block.write_data) == word & 0xFFFFFFFF
            await ctx.tick()
            assert not any(ctx.get(getattr(block, name)) for name in events)
            assert await bus.response() == OKAY

    drive(test)


def test_a_pulse_bit_of_zero_does_nothing() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        await bus.accept_write(REGISTERS.CONTROL.offset, 0b100)
        assert ctx.get(block.CONTROL_clear_counters)
        assert not ctx.get(block.CONTROL_start)
        assert not ctx.get(block.CONTROL_clear_done)

    drive(test)


def test_a_write_waits_for_address_and_data_in_either_order() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        for early, late in (("awvalid", "wvalid"), ("wvalid", "awvalid")):
            ctx.set(block.bus.awaddr, REGISTERS.IMAGES.offset)
            ctx.set(block.bus.wdata, 5)
            ctx.set(block.bus.wstrb, 0xF)
            ctx.set(getattr(block.bus, early), 1)
            for _ in range(3):
                assert not ctx.get(block.bus.awready)
                assert not ctx.get(block.bus.wready)
                await ctx.tick()
            ctx.set(getattr(block.bus, late), 1)
            assert ctx.get(block.bus.awready)
            assert ctx.get(block.bus.wready)
            await ctx.tick()
            ctx.set(block.bus.awvalid, 0)
            ctx.set(block.bus.wvalid, 0)
            assert await bus.response() == OKAY

    drive(test)


def test_a_response_that_is_not_taken_holds_back_the_next_write() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        await bus.accept_write(0xFFC, 0)  # an error, to tell the two responses apart
        ctx.set(block.bus.awaddr, REGISTERS.IMAGES.offset)
        ctx.set(block.bus.wdata, 9)
        ctx.set(block.bus.awvalid, 1)
        ctx.set(block.bus.wvalid, 1)
        for _ in range(4):
            assert ctx.get(block.bus.bvalid)
            assert ctx.get(block.bus.bresp) == SLVERR
            assert not ctx.get(block.bus.awready)
            await ctx.tick()
        ctx.set(block.bus.bready, 1)
        assert ctx.get(block.bus.awready)  # response and next write in one clock
        await ctx.tick()
        ctx.set(block.bus.awvalid, 0)
        ctx.set(block.bus.wvalid, 0)
        assert ctx.get(block.bus.bvalid)
        assert ctx.get(block.bus.bresp) == OKAY
        assert ctx.get(block.IMAGES_value) == 9
        await ctx.tick()
        assert not ctx.get(block.bus.bvalid)

    drive(test)


def test_read_data_hold_until_they_are_taken() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        ctx.set(block.ID_value, 0x1234)
        ctx.set(block.bus.araddr, REGISTERS.ID.offset)
        ctx.set(block.bus.arvalid, 1)
        await ctx.tick()
        ctx.set(block.ID_value, 0x9999)
        ctx.set(block.bus.araddr, 0xFFC)
        for _ in range(4):
            assert ctx.get(block.bus.rvalid)
            assert (ctx.get(block.bus.rdata), ctx.get(block.bus.rresp)) == (0x1234, OKAY)
            assert not ctx.get(block.bus.arready)
            await ctx.tick()
        ctx.set(block.bus.rready, 1)
        assert ctx.get(block.bus.arready)
        await ctx.tick()
        ctx.set(block.bus.arvalid, 0)
        assert (ctx.get(block.bus.rdata), ctx.get(block.bus.rresp)) == (0, SLVERR)
        await ctx.tick()
        assert not ctx.get(block.bus.rvalid)

    drive(test)


def test_reads_and_writes_go_on_side_by_side() -> None:
    async def test(ctx: Any, block: RegisterBlock, bus: Bus) -> None:
        ctx.set(block.bus.bready, 1)
        ctx.set(block.bus.rready, 1)
        ctx.set(block.bus.wstrb, 0xF)
        ctx.set(block.bus.awaddr, REGISTERS.IMAGES.offset)
        ctx.set(block.bus.araddr, REGISTERS.IMAGES.offset)
        for channel in ("awvalid", "wvalid", "arvalid"):
            ctx.set(getattr(block.bus, channel), 1)
        for number in range(1, 9):  # one of each a clock; a read gives what was written before
            ctx.set(block.bus.wdata, number)
            await ctx.tick()
            assert ctx.get(block.bus.bvalid)
            assert ctx.get(block.bus.rdata) == number - 1

    drive(test)
