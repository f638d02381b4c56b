"""The whole machine in Amaranth's simulator: what only the top decides, and tables at their ends."""

import random
from dataclasses import replace
from typing import Any

import pytest

from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import GeometryError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import EVERYTHING, MemoryOptions
from spinbnn.golden.mram import counter_indices
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.reference import Sfc64
from spinbnn.hw.accelerator import IDENTIFICATION, INTERFACE_VERSION, Accelerator
from spinbnn.hw.registers import REGISTERS
from tests.hw.bus import Bus
from tests.hw.memory_model import MemoryModel, to_bits
from tests.hw.simulation import simulate

PATIENCE = 20_000
DESCRIPTORS, LOGITS, MISMATCH, STEPS = 0, 2, 3, 4


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

    async def single_layer(self, groups: int, tail_bits: int, last_group: int = 1) -> None:
        """Write a fully connected layer of one word, from inputs of +1 and -1 to logits."""
        one, pair = 1, 1 | 1 << 16
        first = [0b110 | one << 8 | one << 12, 1 | groups << 16, 0, tail_bits << 16, 0]
        neurons = last_group | one << 16 | one << 24
        await self.table(DESCRIPTORS, [*first, neurons, pair, pair, pair, pair, *[0] * 22])
        await self.table(STEPS, [0b111 << 11])  # a row is read; the first step and the last

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
        await host.single_layer(outputs, tail_bits=8)
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
        await host.single_layer(2, tail_bits=8)
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


OPTIONS = replace(EVERYTHING, read_groups=2, activation_generators=0)
POINT = OperatingPoint(
    *(2**29, 2**30, 1000, 300, 7, 3, 1, False),
    class_p_fail_01=(2**31, 1, 2**20),
    class_p_fail_10=(0, 2**29, 2**31),
    energy_01_failed_aj=2**31 + 5,
    energy_10_failed_aj=77,
)
BLIND = replace(POINT, blind=True, p_fail_01=0, max_retries=2)
AGEING = replace(POINT, p_fail_01=2**27, p_fail_10=2**27, class_p_fail_01=(2**28,) * 3)
CHIP = Chip(0x0123_4567_89AB_CDEF, (2**14, 2**15, 5), (False, True, False, False))


async def write_point(host: Host, index: int, point: OperatingPoint) -> None:
    words = {
        "P_FAIL_01": point.p_fail_01,
        "P_FAIL_10": point.p_fail_10,
        "ENERGY_01": point.energy_01_aj,
        "ENERGY_10": point.energy_10_aj,
        "ENERGY_REDUNDANT": point.energy_redundant_aj,
        "ENERGY_01_FAILED": point.failed_energies_aj[0],
        "ENERGY_10_FAILED": point.failed_energies_aj[1],
    }
    for number, (p_01, p_10) in enumerate(point.by_class[1:]):
        words |= {f"P_FAIL_01_CLASS_{number}": p_01, f"P_FAIL_10_CLASS_{number}": p_10}
    for name, word in words.items():
        await host.write(f"POINT_{index}_{name}", word)
    pulse = {"clocks": point.pulse_clocks, "max_retries": point.max_retries, "blind": int(point.blind)}
    await host.write(f"POINT_{index}_PULSE", **pulse)


def test_the_memory_s_options_through_registers_and_a_run() -> None:
    """Classes, failed pulses, passes, coded reads, mismatch and counters against the per-cell model."""
    geometry = Geometry(2, 32, rows=2, outputs=3, memory=OPTIONS)
    machine = Accelerator(geometry)
    rng = random.Random(3)
    code_bits = geometry.code_bits
    mismatch = [rng.getrandbits(code_bits) for _ in range(2)]
    stream = Sfc64([rng.getrandbits(64) for _ in range(4)])
    state = sum(word << 64 * index for index, word in enumerate(stream.state))
    model = MemoryModel(geometry, stream, 12345, CHIP, [to_bits(bits, code_bits) for bits in mismatch])

    async def set_up(host: Host) -> None:
        await until_idle(host)
        words = {f"RNG_STATE_{index}": state >> 32 * index & 0xFFFFFFFF for index in range(8)}
        words |= {f"CLASS_SHARE_{index}": share for index, share in enumerate(CHIP.class_shares)}
        words |= {"CHIP_SEED_LO": CHIP.seed & 0xFFFFFFFF, "CHIP_SEED_HI": CHIP.seed >> 32}
        words |= {"CLASS_STUCK": 0b0010, "READ_ROW_ENERGY": 12345}
        for name, word in words.items():
            await host.write(name, word)
        for index, point in enumerate((POINT, BLIND, AGEING)):
            await write_point(host, index, point)
        halves = [bits >> 32 * word & 0xFFFFFFFF for word in range(2) for bits in mismatch]
        await host.table(MISMATCH, halves)

    async def until_idle(host: Host) -> None:
        while await host.status("programming"):
            pass

    async def row(host: Host, bank: int, row: int, **command: int) -> None:
        await host.write("ROW_BANK", bank)
        await host.write("ROW_INDEX", row)
        await host.write("ROW_COMMAND", **command)
        await until_idle(host)

    async def program(host: Host, index: int, point: OperatingPoint) -> None:
        for bank, number in model.cells:
            target = rng.getrandbits(32)
            await host.write("ROW_DATA_0", target)
            await row(host, bank, number, program=1, point=index)
            model.program(bank, number, target, point)

    async def one_pass(host: Host, first: int, last: int, **command: int) -> None:
        await host.write("ROW_INDEX", first)
        await host.write("PASS_LAST_ROW", last)
        await host.write("PASS_COMMAND", **command)
        assert await host.status("programming") or last == 2
        await until_idle(host)

    async def run(host: Host) -> list[int]:
        await host.single_layer(2, tail_bits=32)
        await host.table(LOGITS, [1, 0, 1, 0, 1, 0])
        for name, value in {"LAYERS": 1, "IMAGES": 1, "IMAGE_ELEMENTS": 32, "OUTPUTS": 3}.items():
            await host.write(name, value=value)
        await host.write("CONTROL", start=1)
        await host.image(4)
        return await host.results()

    async def test(host: Host) -> None:
        await set_up(host)
        await program(host, 0, POINT)
        await program(host, 1, BLIND)
        await one_pass(host, 0, 1, age=1, point=2)
        model.age(0, 1, AGEING)
        for bank, number in model.cells:
            await row(host, bank, number, read=1)
            assert await host.read("ROW_DATA_0") == model.read(bank, number)
        await one_pass(host, 1, 1, scrub=1, point=0)
        model.scrub(1, 1, POINT)
        assert not await host.status("program_error")
        await one_pass(host, 1, 2, scrub=1, point=0)
        assert await host.status("program_error")
        assert await host.read("PROGRAM_CLOCKS_LO") == model.clocks

        reads = [model.counted_read(bank, number) for number in range(2) for bank in range(2)]
        logits = [32 - 2 * sum(read.data) for read in reads[:3]]  # the image is all zeros, which are -1
        words = await run(host)
        assert [word - (word >> 31 << 32) for word in words[:3]] == logits
        for bank, counters in enumerate(model.counters):
            for name, index in counter_indices(geometry).items():
                await host.write("COUNTER_SELECT", counter=index, bank=bank)
                while not await host.status("counter_ready"):
                    pass
                value = await host.read("COUNTER_LO") | await host.read("COUNTER_HI") << 32
                assert value == counters[name], (bank, name)
        assert sum(model.counters[bank]["tied_reads"] for bank in range(2)) > 0

    drive(machine, test)
