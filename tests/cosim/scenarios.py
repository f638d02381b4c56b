"""What happens around runs: resets in mid-flight, single rows, errors on the interfaces, counters, backdoor.

cocotb tests for `test_scenarios.py`, which runs them on both simulators.
"""

import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge, Timer

from spinbnn.golden.encoding import Words, split_rows
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import Network, random_network, trace
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.golden.placement import ProgramPacket, place, program_rows, stored_network
from spinbnn.hw import program_stream
from spinbnn.hw.accelerator import INTERFACE_VERSION
from spinbnn.hw.registers import REGISTERS
from spinbnn.sim import schedule
from spinbnn.sim.spec import StallProfile
from spinbnn.sim.stalls import stream_pauses
from spinbnn.sim.testbench.axi_lite import OKAY, SLVERR
from spinbnn.sim.testbench.machine import Machine
from spinbnn.sim.testbench.observation import RunObservation
from spinbnn.sim.testbench.scoreboard import Scoreboard
from spinbnn.sim.testbench.wrapper import CLOCK_NS

GEOMETRY = Geometry.from_dict(json.loads(os.environ["SPINBNN_TEST_GEOMETRY"]))
NETWORK = random_network((100, 37, 10), 3, seed=21)
OTHER_NETWORK = random_network((50, 12, 17, 4), 1, input_signed=True, seed=22)
POINT = operating_point(0.2, max_retries=1, pulse_clocks=3)
SURE = operating_point(0.0, pulse_clocks=3)  # draws nothing, so it is quick
SEED = 2**64 + 2**33 + 5


scenario = cocotb.test(timeout_time=5, timeout_unit="ms")


Images = np.ndarray[Any, np.dtype[np.uint8]]


def images_of(network: Network, count: int, seed: int = 0) -> Images:
    """Return random images for a network."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**network.input_bits, (count, network.inputs), dtype=np.uint8)


class Lab:
    """A machine and golden side by side: each step is done by both."""

    def __init__(self, dut: Any, stalls: StallProfile | None = None) -> None:
        self.dut = dut
        self.machine = Machine(dut, GEOMETRY, stalls or StallProfile())
        self.stalls = stalls
        self.golden = MramArray(GEOMETRY, SEED, 7000)
        self.program_clocks = self.run_clocks = self.beat_clocks = 0

    async def begin(self) -> None:
        """Reset, with an empty array and counters of 0."""
        await self.machine.reset()
        await self.machine.array.load(self.golden.cells)
        await self.configure()

    async def configure(self) -> None:
        """Write what a reset has cleared; golden's counters start anew too."""
        await self.machine.clear_counters()
        await self.machine.write("READ_ROW_ENERGY", self.golden.read_row_energy_aj)
        await self.machine.set_random_state(self.golden.rng_state)
        await self.machine.monitor.take()
        for counts in self.golden.counters.values():
            counts[:] = 0
        self.program_clocks = self.run_clocks = self.beat_clocks = 0

    def program_golden(self, packets: list[ProgramPacket], point: OperatingPoint) -> None:
        """Program golden, and add up the clocks that the machine should take."""
        for packet in packets:
            log = self.golden.program(packet, point)
            self.program_clocks += schedule.predict_program_clocks(log, point, GEOMETRY)

    async def program(self, network: Network, point: OperatingPoint = POINT, index: int = 1) -> None:
        """Program a network."""
        packets = program_rows(network, place(network, GEOMETRY), GEOMETRY)
        self.program_golden(packets, point)
        await self.machine.set_point(index, point)
        await self.machine.program(packets, index)

    async def run(self, network: Network, count: int, *, load: bool = True) -> None:
        """Run images and compare everything."""
        machine, placement = self.machine, place(network, GEOMETRY)
        images = images_of(network, count, seed=count)
        if load:
            await machine.load_network(network, placement)
        await self.stream(network, images)
        self.check_run(network, images, await machine.monitor.take())
        await self.check_counts()

    async def stream(self, network: Network, images: Images) -> None:
        """Run images on what is loaded."""
        await self.machine.run(images, self.pauses(network, len(images)), 200_000)

    def pauses(self, network: Network, images: int) -> schedule.StreamPauses:
        """Return the pauses of a run's streams."""
        return stream_pauses(self.stalls, network, place(network, GEOMETRY), images)

    def check_run(self, network: Network, images: Images, seen: RunObservation) -> None:
        """Compare what a run gave; golden and the prediction count it."""
        placement = place(network, GEOMETRY)
        traces = trace(stored_network(network, placement, self.golden.cells), images)
        head = network.layers[-1].head
        assert isinstance(head, Affine)
        board = Scoreboard(network, placement)
        hidden = [split_rows(layer.bits, GEOMETRY.word_bits) for layer in traces if layer.bits is not None]
        board.activations(seen.activations, hidden)
        board.results(seen.results, head.logits(traces[-1].sums))
        predicted = schedule.predict_run_clocks(
            network, placement, len(images), pauses=self.pauses(network, len(images))
        )
        board.timing(seen, predicted, int(seen.results.clocks[-1]) - predicted.total)
        assert board.first_difference is None, board.first_difference
        self.golden.count_inference(placement, -(-len(images) // GEOMETRY.lanes))
        self.run_clocks += predicted.total
        self.beat_clocks += predicted.beats

    async def check_counts(self) -> None:
        """Compare cells, counters, random state and clocks."""
        machine = self.machine
        board = Scoreboard(NETWORK, place(NETWORK, GEOMETRY))
        board.cells(await machine.array.dump(), self.golden.cells)
        board.counters(await machine.counters(), self.golden.counters)
        board.random_state(await machine.random_state(), self.golden.rng_state)
        board.clocks("PROGRAM_CLOCKS", await machine.read_clocks("PROGRAM_CLOCKS"), self.program_clocks)
        board.clocks("BEAT_CLOCKS", await machine.read_clocks("BEAT_CLOCKS"), self.beat_clocks)
        board.clocks("RUN_CLOCKS", await machine.read_clocks("RUN_CLOCKS"), self.run_clocks)
        assert board.first_difference is None, board.first_difference


def row_packet(row: int, bank: int, bank_count: int, rows: Words) -> ProgramPacket:
    """Return a packet that belongs to no layer."""
    return ProgramPacket(0, row, bank, bank_count, rows)


def random_rows(count: int, seed: int) -> Words:
    """Return random rows of 72 bits, uint64 [count, 2]."""
    rows = np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)
    rows[:, 1] &= np.uint64(0xFF)
    return rows


# ------------------------------------------------------------------------------------------------------------
# Runs


@scenario
async def runs_follow_each_other_without_reset(dut: Any) -> None:
    """Other images, another network over the old one, the first again."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(NETWORK)
    await lab.run(NETWORK, 3)
    await lab.run(NETWORK, 1, load=False)
    await lab.program(OTHER_NETWORK, replace(POINT, pulse_redundant=True), index=3)
    await lab.run(OTHER_NETWORK, 6)
    await lab.program(NETWORK, operating_point(0.0), index=0)
    await lab.run(NETWORK, 4)


@scenario
async def start_waits_for_programming(dut: Any) -> None:
    """A run started while rows are programmed waits for the last of them."""
    lab = Lab(dut)
    await lab.begin()
    machine, placement = lab.machine, place(NETWORK, GEOMETRY)
    images = images_of(NETWORK, 3)
    packets = program_rows(NETWORK, placement, GEOMETRY)
    lab.program_golden(packets, POINT)
    await machine.set_point(2, POINT)
    await machine.load_network(NETWORK, placement)
    programming = cocotb.start_soon(machine.program(packets[:1], 2))
    await Timer(300 * CLOCK_NS, "ns")
    assert await machine.status("programming") == 1
    assert await machine.status("busy") == 0
    running = cocotb.start_soon(lab.stream(NETWORK, images))
    await Timer(100 * CLOCK_NS, "ns")
    assert await machine.status("busy") == 1
    # The packet is open: the machine may not start. The other packets come only after the run.
    assert (await machine.monitor.take()).activations[0].clocks.size == 0
    await programming
    await running
    # The other layer was not there yet; golden's cells of that moment have only the first packet.
    cells = lab.golden.cells.copy()
    lab.golden.cells[:] = await machine.array.dump()
    lab.check_run(NETWORK, images, await machine.monitor.take())
    lab.golden.cells[:] = cells
    await machine.program(packets[1:], 2)
    await lab.check_counts()
    await lab.run(NETWORK, 2)


@scenario
async def program_stream_waits_for_a_run(dut: Any) -> None:
    """Rows offered during a run are programmed after it."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(NETWORK, SURE)
    machine = lab.machine
    await machine.load_network(NETWORK, place(NETWORK, GEOMETRY))
    images = images_of(NETWORK, 4)
    running = cocotb.start_soon(lab.stream(NETWORK, images))
    while not await machine.status("busy"):
        pass
    packets = [row_packet(3, 0, 5, random_rows(10, 3))]
    programming = cocotb.start_soon(machine.program(packets, 1))
    await running
    before = int(machine.program_player.beats.value)
    lab.check_run(NETWORK, images, await machine.monitor.take())
    await programming
    assert int(machine.program_player.beats.value) - before <= 21
    lab.program_golden(packets, SURE)
    await lab.check_counts()


@scenario
async def irq_and_done(dut: Any) -> None:
    """They tell that a run has finished, until clear_done or the next start."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(OTHER_NETWORK, SURE)
    assert not dut.irq.value
    await lab.run(OTHER_NETWORK, 2)
    assert dut.irq.value
    assert await lab.machine.status("done") == 1
    await lab.run(OTHER_NETWORK, 1, load=False)
    assert dut.irq.value
    await lab.machine.write("CONTROL", clear_done=1)
    assert await lab.machine.status("done") == 0
    assert not dut.irq.value


@scenario
async def start_of_no_images_does_nothing(dut: Any) -> None:
    """IMAGES of 0 is no run."""
    lab = Lab(dut)
    await lab.begin()
    await lab.machine.start_run(0)
    assert await lab.machine.status("busy") == 0
    await lab.program(OTHER_NETWORK, SURE)
    await lab.run(OTHER_NETWORK, 2)


@scenario
async def unused_bytes_of_the_last_beat_are_ignored(dut: Any) -> None:
    """100 elements fill 12.5 beats; whatever the other bytes hold, the results are the same."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(NETWORK, SURE)
    machine = lab.machine
    clean = machine.image_beats

    def dirty(images: Images) -> tuple[Images, Images]:
        data, last = clean(images)
        data[last == 1, 4:] = 0xFF
        return data, last

    machine.image_beats = dirty  # type: ignore[method-assign]
    await lab.run(NETWORK, 3)


# ------------------------------------------------------------------------------------------------------------
# Resets


async def reset_and_run_again(lab: Lab, point: OperatingPoint) -> None:
    """Reset in mid-flight: the cells stay, but for a row that was being written; all else starts anew."""
    machine = lab.machine
    before = await machine.array.dump()
    await machine.reset()
    after = await machine.array.dump()
    assert np.any(before != after, axis=2).sum() <= 1
    await machine.wait_idle()  # counters are cleared
    assert await machine.read("STATUS") & ~REGISTERS.STATUS["counter_ready"].place(1) == 0
    lab.golden.cells[:] = after
    await lab.configure()
    await lab.program(NETWORK, point)
    await lab.run(NETWORK, 3)


@scenario
@cocotb.parametrize(clocks=[1, 3, 33, 40, 77, 1000])
async def reset_while_programming(dut: Any, clocks: int) -> None:
    """So many clocks after the first beat."""
    lab = Lab(dut, StallProfile(seed=clocks, program_idle=0.2))
    await lab.begin()
    await lab.program(OTHER_NETWORK)
    packets = program_rows(NETWORK, place(NETWORK, GEOMETRY), GEOMETRY)
    programming = cocotb.start_soon(lab.machine.program(packets, 1))
    await lab.machine.program_player.beats.value_change
    await Timer(clocks * CLOCK_NS, "ns")
    programming.cancel()
    await reset_and_run_again(lab, POINT)


async def run_until(lab: Lab, moment: Callable[[], Awaitable[Any]], clocks: int) -> None:
    """Start a run and break it off so many clocks after a moment."""
    await lab.begin()
    await lab.program(NETWORK, SURE)
    await lab.machine.load_network(NETWORK, place(NETWORK, GEOMETRY))
    running = cocotb.start_soon(lab.stream(NETWORK, images_of(NETWORK, 6)))
    await moment()
    await Timer(clocks * CLOCK_NS, "ns")
    assert not running.done()
    running.cancel()
    await reset_and_run_again(lab, SURE)


@scenario
@cocotb.parametrize(clocks=[1, 7, 20])
async def reset_while_loading(dut: Any, clocks: int) -> None:
    """So many clocks after the first beat of the first image."""
    lab = Lab(dut)
    await run_until(lab, lambda: lab.machine.image_player.beats.value_change, clocks)


@scenario
@cocotb.parametrize(clocks=[60, 63, 71, 90, 110])
async def reset_while_computing(dut: Any, clocks: int) -> None:
    """So many clocks after the first beat of the first image; a batch is loaded after 36."""
    lab = Lab(dut)
    await run_until(lab, lambda: lab.machine.image_player.beats.value_change, clocks)


@scenario
@cocotb.parametrize(clocks=[1, 2, 3, 10, 21, 22])
async def reset_while_sending_results(dut: Any, clocks: int) -> None:
    """So many clocks after the first result."""
    lab = Lab(dut)
    await run_until(lab, lambda: lab.machine.result_recorder.beats.value_change, clocks)


@scenario
@cocotb.parametrize(seed=[1, 2, 3])
async def reset_in_stalls(dut: Any, seed: int) -> None:
    """At a random moment, with every stream stalling."""
    lab = Lab(dut, StallProfile(seed, image_idle=0.3, program_idle=0.3, result_pause=0.5, axi_idle=0.3))
    clocks = random.Random(seed).randrange(1, 150)
    await run_until(lab, lambda: RisingEdge(dut.s_axis_image_tready), clocks)


# ------------------------------------------------------------------------------------------------------------
# Rows and the array


@scenario
async def single_rows(dut: Any) -> None:
    """Rows programmed and read one by one through the registers, each with another point of the table."""
    lab = Lab(dut)
    await lab.begin()
    machine, golden = lab.machine, lab.golden
    points = [
        operating_point(0.0),
        operating_point(0.3, max_retries=2),
        operating_point(write_error_rate_01=0.5, pulse_redundant=True),
        operating_point(write_error_rate_10=0.5, pulse_clocks=20),
    ]
    for index, point in enumerate(points):
        await machine.set_point(index, point)
    for number, word in enumerate(random_rows(24, 8)):
        bank, row, index = number % 5, (number * 7) % 32, number % 4
        lab.program_golden([row_packet(row, bank, 1, word[np.newaxis])], points[index])
        await machine.program_row(bank, row, word, index)
        np.testing.assert_array_equal(await machine.read_row(bank, row), golden.read_row(bank, row))
        lab.program_clocks += 15
    for index in range(5, 8):
        assert await machine.read(f"ROW_DATA_{index}") == 0
    await lab.check_counts()


@scenario
async def backdoor_equals_front_door(dut: Any) -> None:
    """What one writes the other reads, and the array is the same whichever way it came."""
    lab = Lab(dut)
    await lab.begin()
    machine = lab.machine
    await lab.program(NETWORK)
    front = await machine.array.dump()
    np.testing.assert_array_equal(front, lab.golden.cells)
    await lab.run(NETWORK, 3)

    await machine.array.load(np.zeros_like(front))
    await machine.array.load(front)
    np.testing.assert_array_equal(await machine.array.dump(), front)
    await lab.run(NETWORK, 3, load=False)

    cells = random_rows(5 * 32, 9).reshape(5, 32, 2)
    await machine.array.load(cells)
    lab.golden.cells[:] = cells
    for bank, row in ((0, 0), (4, 31), (2, 17)):
        np.testing.assert_array_equal(await machine.read_row(bank, row), lab.golden.read_row(bank, row))
        lab.program_clocks += 15
    await lab.check_counts()


@scenario
async def packets_of_all_shapes(dut: Any) -> None:
    """Some banks of a row, one bank, and an end in the middle of a row of banks."""
    lab = Lab(dut)
    await lab.begin()
    await lab.machine.set_point(0, POINT)
    shapes = [(0, 1, 3, 9), (31, 4, 1, 1), (7, 0, 5, 7), (10, 2, 1, 6), (20, 3, 2, 1)]
    packets = [
        row_packet(row, bank, bank_count, random_rows(count, row)) for row, bank, bank_count, count in shapes
    ]
    lab.program_golden(packets, POINT)
    await lab.machine.program(packets, 0)
    await lab.check_counts()


@scenario
async def rows_outside_the_array_are_dropped(dut: Any) -> None:
    """And set program_error; rows inside, before and after, are programmed."""
    lab = Lab(dut)
    await lab.begin()
    machine = lab.machine
    await machine.set_point(0, POINT)
    rows = random_rows(6, 1)
    inside = [row_packet(31, 0, 2, rows[:2]), row_packet(5, 0, 1, rows[4:5])]
    await machine.program(inside[:1], 0)
    assert await machine.status("program_error") == 0
    await machine.program([row_packet(32, 0, 2, rows[2:4])], 0)
    assert await machine.status("program_error") == 1
    await machine.write("CONTROL", clear_done=1)
    assert await machine.status("program_error") == 0
    await machine.program([row_packet(0, 5, 1, rows[5:6])], 0)  # a bank too many
    assert await machine.status("program_error") == 1
    await machine.write("CONTROL", clear_done=1)
    await machine.program(inside[1:], 0)
    assert await machine.status("program_error") == 0
    await machine.program_row(5, 0, rows[0], 0)
    assert await machine.status("program_error") == 1
    await machine.write("CONTROL", clear_done=1)
    await machine.program_row(0, 2**31, rows[0], 0)
    assert await machine.status("program_error") == 1
    lab.program_golden(inside, POINT)
    await lab.check_counts()


@scenario
async def packet_cut_short(dut: Any) -> None:
    """A row that lacks beats is not programmed and sets program_error; the next packet is whole."""
    lab = Lab(dut)
    await lab.begin()
    machine = lab.machine
    await machine.set_point(0, POINT)
    rows = random_rows(4, 2)
    first, second = row_packet(1, 0, 5, rows[:2]), row_packet(9, 1, 2, rows[2:])
    beats = program_stream.beats(first, 0)[:4].astype("<u8")
    await machine.send_program(beats.view(np.uint8).reshape(4, 8), np.array([0, 0, 0, 1], dtype=np.uint8))
    await machine.wait_idle()
    assert await machine.status("program_error") == 1
    await machine.program([second], 0)
    lab.program_golden([row_packet(1, 0, 5, rows[:1]), second], POINT)
    await lab.check_counts()


def _beats_instead(beats: tuple[Images, Images], images: Images) -> tuple[Images, Images]:
    """Stand in for `Machine.image_beats`: return prepared beats, whatever the images."""
    del images
    return beats


@scenario
async def misplaced_tlast_of_images(dut: Any) -> None:
    """Sets image_error, and harms nothing: the loader counts elements."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(NETWORK, SURE)
    machine = lab.machine
    await lab.run(NETWORK, 2)
    assert await machine.status("image_error") == 0
    clean = machine.image_beats
    for wrong in (0, 12):  # one too early, one missing
        beats, last = clean(images_of(NETWORK, 3, seed=3))
        last[wrong::13] ^= 1
        machine.image_beats = partial(_beats_instead, (beats, last))  # type: ignore[method-assign]
        await lab.run(NETWORK, 3, load=False)
        assert await machine.status("image_error") == 1
        await machine.write("CONTROL", clear_done=1)
        assert await machine.status("image_error") == 0
    machine.image_beats = clean  # type: ignore[method-assign]
    await lab.run(NETWORK, 2, load=False)
    assert await machine.status("image_error") == 0


# ------------------------------------------------------------------------------------------------------------
# Registers


@scenario
async def clear_counters(dut: Any) -> None:
    """All of them, and the numbers of clocks; they count on from there."""
    lab = Lab(dut)
    await lab.begin()
    await lab.program(NETWORK)
    await lab.run(NETWORK, 2)
    await lab.machine.clear_counters()
    for counts in lab.golden.counters.values():
        counts[:] = 0
    lab.program_clocks = lab.run_clocks = lab.beat_clocks = 0
    await lab.check_counts()
    await lab.program(OTHER_NETWORK)
    await lab.run(OTHER_NETWORK, 1)


@scenario
async def identification(dut: Any) -> None:
    """The machine says what it is."""
    machine = Lab(dut).machine
    await machine.reset()
    assert (await machine.read("ID")).to_bytes(4, "big") == b"SPIN"
    assert await machine.read("VERSION") == INTERFACE_VERSION
    assert await machine.read("GEOMETRY_0") == GEOMETRY.banks | GEOMETRY.word_bits << 16
    assert await machine.read("GEOMETRY_1") == GEOMETRY.rows - 1 | GEOMETRY.lanes << 24


@scenario
async def bus_errors(dut: Any) -> None:
    """Unmapped addresses, read-only registers and partial writes answer SLVERR and change nothing."""
    machine = Lab(dut, StallProfile(seed=3, axi_idle=0.5)).machine
    await machine.reset()
    axi = machine.axi
    images, ident = REGISTERS.IMAGES.offset, REGISTERS.ID.offset
    await axi.write(images, 0x12345678)
    mapped = {register.offset: register for register in REGISTERS.built(GEOMETRY)}
    for address in range(0, 0x240, 4):
        register = mapped.get(address)
        data, response = await axi.read_response(address)
        assert response == (SLVERR if register is None else OKAY), hex(address)
        assert data == 0 or (register is not None and register.readable), hex(address)
        if register is None or not register.writable:
            assert await axi.write_response(address, 0xFFFFFFFF) == SLVERR, hex(address)
    assert await axi.write_response(0xFFC, 1) == SLVERR
    assert (await axi.read_response(0xFFC))[1] == SLVERR
    for strobe in (0b0000, 0b0001, 0b0111, 0b1110):
        assert await axi.write_response(images, 0xFFFFFFFF, strobe) == SLVERR
    assert await axi.read(images) == 0x12345678
    assert await axi.read(ident) == 0x5350494E


@scenario
async def stored_registers(dut: Any) -> None:
    """Every stored field holds what is written, apart from all others, and is cleared by reset."""
    machine = Lab(dut).machine
    await machine.reset()
    rng = random.Random(5)
    stored = [each for each in REGISTERS.built(GEOMETRY) if any(field.stored for field in each.fields)]
    expected = {}
    for register in stored:
        word = rng.getrandbits(32)
        await machine.axi.write(register.offset, word)
        expected[register.name] = sum(
            field.place(field.extract(word)) for field in register.fields if field.stored
        )
        await machine.wait_idle()
    for register in stored:
        assert await machine.axi.read(register.offset) == expected[register.name], register.name
    await machine.reset()
    for register in stored:
        reset = sum(field.place(field.reset) for field in register.fields if field.stored)
        assert await machine.axi.read(register.offset) == reset, register.name


@scenario
async def random_state_can_be_read_and_set(dut: Any) -> None:
    """Word for word."""
    lab = Lab(dut)
    await lab.begin()
    assert await lab.machine.random_state() == lab.golden.rng_state
    state = tuple(random.Random(6).getrandbits(64) for _ in range(4))
    await lab.machine.set_random_state(state)
    assert await lab.machine.random_state() == state
    lab.golden.rng_state = state
    await lab.program(NETWORK)
    await lab.check_counts()
