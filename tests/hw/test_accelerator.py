"""The whole machine in Amaranth's simulator: what only the top decides, and tables at their ends."""

from typing import Any

import pytest

from spinbnn.golden.errors import GeometryError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.hw.accelerator import IDENTIFICATION, INTERFACE_VERSION, Accelerator
from spinbnn.hw.registers import REGISTERS
from tests.hw.bus import Bus
from tests.hw.simulation import simulate

PATIENCE = 20_000
DESCRIPTORS, LOGITS = 0, 2


class Host:
    """Software and streams of a machine."""

    def __init__(self, ctx: Any, machine: Accelerator) -> None:
        self.ctx, self.machine, self.bus = ctx, machine, Bus(ctx, machine.s_axi)

    async def write(self, name: str, word: int = 0, **fields: int) -> None:
        register = REGISTERS[name]
        word |= sum(register[field].place(value) for field, value in fields.items())
        assert await self.bus.write(register.offset, word) == 0

    async def read(self, name: str) -> int:
        word, response = await self.bus.read(REGISTERS[name].offset)
        assert response == 0
        return word

    async def status(self, field: str) -> int:
        return REGISTERS.STATUS[field].extract(await self.read("STATUS"))

    async def table(self, table: int, words: list[int], column: int = 0, row: int = 0) -> None:
        await self.write("TABLE_ADDRESS", table=table, column=column, row=row)
        for word in words:
            await self.write("TABLE_DATA", word)

    async def image(self, beats: int) -> None:
        stream = self.machine.s_axis_image
        for beat in range(beats):
            self.ctx.set(stream.tvalid, 1)
            self.ctx.set(stream.tlast, beat == beats - 1)
            for _ in range(PATIENCE):
                if self.ctx.get(stream.tready):
                    break
                await self.ctx.tick()
            await self.ctx.tick()
        self.ctx.set(stream.tvalid, 0)

    async def results(self) -> list[int]:
        """Return the logits of an image and its class."""
        stream, words, last = self.machine.m_axis_result, [], False
        self.ctx.set(stream.tready, 1)
        for _ in range(PATIENCE):
            if self.ctx.get(stream.tvalid):
                words.append(self.ctx.get(stream.tdata))
                last = bool(self.ctx.get(stream.tlast))
            await self.ctx.tick()
            if last:
                break
        self.ctx.set(stream.tready, 0)
        assert last
        return words


def drive(machine: Accelerator, test: Any) -> None:
    async def bench(ctx: Any) -> None:
        await test(Host(ctx, machine))

    simulate(machine, bench)


def test_the_machine_says_what_it_is() -> None:
    async def test(host: Host) -> None:
        assert await host.read("ID") == IDENTIFICATION == int.from_bytes(b"SPIN")
        assert await host.read("VERSION") == INTERFACE_VERSION
        assert await host.read("GEOMETRY_0") == 3 | 24 << 16
        assert await host.read("GEOMETRY_1") == 199 | 2 << 24

    drive(Accelerator(Geometry(3, 24, rows=200, lanes=2, outputs=4)), test)


@pytest.mark.parametrize("option", [{"variability": True}, {"ageing": True}, {"activation_generators": 8}])
def test_options_that_draw_need_the_injector(option: dict[str, Any]) -> None:
    geometry = Geometry(1, 8, rows=2, outputs=2, memory=MemoryOptions.from_dict(option))
    (name,) = option
    message = (
        f"memory option {name} needs the error injector: build the machine with the injector, "
        "or without the option"
    )
    with pytest.raises(GeometryError, match=f"^{message}$"):
        Accelerator(geometry, injector=False)


def test_logits_beyond_the_columns() -> None:
    """The table of the logits is reached to its end: 2100 outputs, of which the last wins.

    The array holds zeros, weights of -1, and the inputs are 0, which is -1 too: each sum is 8.
    """
    outputs = 2100
    machine = Accelerator(Geometry(1, 8, rows=4096, outputs=outputs, stream_bits=64))

    async def test(host: Host) -> None:
        await host.table(DESCRIPTORS, [0b110 | 1 << 8, 1 | outputs << 16, 0, 8 << 16, 0, 1])
        minus_one = 2**32 - 1
        await host.table(LOGITS, [1, 5, minus_one, 9, 3, 0], row=outputs - 3)
        for name, value in {"LAYERS": 1, "IMAGES": 1, "IMAGE_ELEMENTS": 8, "OUTPUTS": outputs}.items():
            await host.write(name, value=value)
        await host.write("CONTROL", start=1)
        await host.image(1)
        assert await host.results() == [0] * (outputs - 3) + [13, 1, 24, outputs - 1]

    drive(machine, test)


def test_run_flags() -> None:
    """A start of no images does nothing; `done` and the interrupt last until they are cleared."""
    machine = Accelerator(Geometry(1, 8, rows=2, outputs=2))

    async def test(host: Host) -> None:
        await host.write("CONTROL", start=1)
        assert not await host.status("busy")
        await host.table(DESCRIPTORS, [0b110 | 1 << 8, 1 | 2 << 16, 0, 8 << 16, 0, 1])
        await host.table(LOGITS, [1, 0, 1, 0])
        for name, value in {"LAYERS": 1, "IMAGES": 1, "IMAGE_ELEMENTS": 8, "OUTPUTS": 2}.items():
            await host.write(name, value=value)
        await host.write("CONTROL", start=1)
        assert await host.status("busy")
        await host.image(1)
        assert await host.status("busy")
        assert not host.ctx.get(machine.irq)
        assert await host.results() == [8, 8, 0]
        assert not await host.status("busy")
        assert await host.status("done")
        assert host.ctx.get(machine.irq)
        await host.write("CONTROL", clear_done=1)
        assert not await host.status("done")
        assert not host.ctx.get(machine.irq)
        assert await host.read("BEAT_CLOCKS_LO") == 2
        assert await host.read("RUN_CLOCKS_LO") > 10
        await host.write("CONTROL", clear_counters=1)
        assert await host.read("BEAT_CLOCKS_LO") == await host.read("RUN_CLOCKS_LO") == 0

    drive(machine, test)


def test_error_flags() -> None:
    """A misplaced tlast and a row outside the array are reported until they are cleared."""
    machine = Accelerator(Geometry(2, 8, rows=2, outputs=2))

    async def test(host: Host) -> None:
        for _ in range(PATIENCE):
            if not await host.status("programming"):
                break
        await host.write("ROW_BANK", value=2)
        await host.write("ROW_COMMAND", read=1)
        assert await host.read("STATUS") == REGISTERS.STATUS["program_error"].place(1)
        for name, value in {"LAYERS": 1, "IMAGES": 1, "IMAGE_ELEMENTS": 9, "OUTPUTS": 2}.items():
            await host.write(name, value=value)
        await host.write("CONTROL", start=1)
        await host.image(1)
        assert await host.status("image_error")
        assert await host.status("program_error")
        await host.write("CONTROL", clear_done=1)
        assert not await host.status("image_error")
        assert not await host.status("program_error")

    drive(machine, test)
