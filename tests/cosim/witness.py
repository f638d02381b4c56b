"""A whole run through the drivers of cocotbext-axi, which know nothing of ours: the witness of the protocols.

cocotb test for `test_witness.py`. Programming, tables, images, results and counters all go over the buses,
with pauses at random on every channel.
"""

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import COUNTERS, MramArray
from spinbnn.golden.network import classify, forward, random_network
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows, stored_network
from spinbnn.hw import program_stream
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.registers import REGISTERS
from spinbnn.sim.testbench.backdoor import ArrayBackdoor
from spinbnn.sim.testbench.wrapper import CLOCK_NS

GEOMETRY = Geometry.from_dict(json.loads(os.environ["SPINBNN_TEST_GEOMETRY"]))
NETWORK = random_network((41, 23, 10), 3, seed=31)
POINT = operating_point(write_error_rate_01=0.05, write_error_rate_10=0.2, max_retries=1)
SEED = 2**65 + 77
READ_ROW_ENERGY_AJ = 7001
IMAGES = 2 * GEOMETRY.lanes + 1
POINT_INDEX = 2
TABLES = {"descriptors": 0, "thresholds": 1, "logits": 2, "steps": 4}


def pauses(seed: int) -> Iterator[bool]:
    """Pause in a third of the clocks."""
    chance = random.Random(seed)
    while True:
        yield chance.random() < 1 / 3


class Bench:
    """The machine's four interfaces, each with a driver of cocotbext-axi."""

    def __init__(self, dut: Any) -> None:
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.program = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_program"), dut.clk, dut.rst)
        self.images = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_image"), dut.clk, dut.rst)
        self.results = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis_result"), dut.clk, dut.rst)
        writes, reads = self.registers.write_if, self.registers.read_if
        channels = (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel)
        for seed, channel in enumerate((*channels, self.program, self.images, self.results)):
            channel.set_pause_generator(pauses(seed))

    async def write(self, name: str, value: int) -> None:
        await self.registers.write_dword(REGISTERS[name].offset, value)

    async def read(self, name: str) -> int:
        return int(await self.registers.read_dword(REGISTERS[name].offset))

    async def write_table(self, table: str, words: np.ndarray) -> None:
        await self.write("TABLE_ADDRESS", REGISTERS.TABLE_ADDRESS["table"].place(TABLES[table]))
        for word in words.ravel().tolist():
            await self.write("TABLE_DATA", word)

    async def read_counter(self, bank: int, index: int) -> int:
        select = REGISTERS.COUNTER_SELECT
        await self.write("COUNTER_SELECT", select["bank"].place(bank) | select["counter"].place(index))
        while not REGISTERS.STATUS["counter_ready"].extract(await self.read("STATUS")):
            pass
        return await self.read("COUNTER_LO") | await self.read("COUNTER_HI") << 32

    async def idle(self, field: str) -> None:
        """Wait until a field of STATUS is 0."""
        while REGISTERS.STATUS[field].extract(await self.read("STATUS")):
            pass


async def configure(bench: Bench, golden: MramArray) -> None:
    """Write registers and tables."""
    placement = place(NETWORK, GEOMETRY)
    values = {
        "IMAGES": IMAGES,
        "LAYERS": len(NETWORK.layers),
        "IMAGE_ELEMENTS": NETWORK.inputs,
        "IMAGE_PLANES": NETWORK.input_bits,
        "OUTPUTS": NETWORK.outputs,
        "READ_ROW_ENERGY": golden.read_row_energy_aj,
    }
    pulse = REGISTERS[f"POINT_{POINT_INDEX}_PULSE"]
    values |= {
        f"POINT_{POINT_INDEX}_P_FAIL_01": POINT.p_fail_01,
        f"POINT_{POINT_INDEX}_P_FAIL_10": POINT.p_fail_10,
        f"POINT_{POINT_INDEX}_ENERGY_01": POINT.energy_01_aj,
        f"POINT_{POINT_INDEX}_ENERGY_10": POINT.energy_10_aj,
        f"POINT_{POINT_INDEX}_ENERGY_REDUNDANT": POINT.energy_redundant_aj,
        pulse.name: pulse["clocks"].place(POINT.pulse_clocks) | pulse["max_retries"].place(POINT.max_retries),
    }
    for index, word in enumerate(golden.rng_state):
        values |= {f"RNG_STATE_{2 * index}": word & 0xFFFFFFFF, f"RNG_STATE_{2 * index + 1}": word >> 32}
    for name, value in values.items():
        await bench.write(name, value)
    await bench.write_table("descriptors", descriptor_words(NETWORK, placement))
    await bench.write_table("steps", step_words(placement))
    await bench.write_table("thresholds", threshold_words(NETWORK, placement, GEOMETRY))
    await bench.write_table("logits", logit_words(NETWORK))


@cocotb.test(timeout_time=20, timeout_unit="ms")
async def run_through_independent_drivers(dut: Any) -> None:
    # At an edge of its own clock Verilator wakes Python after the registers have changed; at one of Python's
    # clock, before.
    dut.stop_clock.value = 1
    cocotb.start_soon(Clock(dut.clk, CLOCK_NS, "ns").start())
    bench = Bench(dut)
    dut.rst.value = 1
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    golden = MramArray(GEOMETRY, SEED, READ_ROW_ENERGY_AJ)
    placement = place(NETWORK, GEOMETRY)
    backdoor = ArrayBackdoor(dut, GEOMETRY)
    await backdoor.load(golden.cells)
    await bench.idle("programming")  # counters clear themselves after a reset
    await configure(bench, golden)

    packets = program_rows(NETWORK, placement, GEOMETRY)
    for packet in packets:
        golden.program(packet, POINT)
        beats = program_stream.beats(packet, POINT_INDEX).astype("<u8").tobytes()
        await bench.program.send(AxiStreamFrame(beats))
    await bench.program.wait()
    await bench.idle("programming")
    assert np.array_equal(await backdoor.dump(), golden.cells)

    rng = np.random.default_rng(1)
    images = rng.integers(0, 2**NETWORK.input_bits, (IMAGES, NETWORK.inputs), dtype=np.uint8)
    await bench.write("CONTROL", REGISTERS.CONTROL["start"].place(1))
    beat_bytes = GEOMETRY.stream_elements
    for image in images:
        padded = image.tobytes() + bytes(-len(image) % beat_bytes)
        await bench.images.send(AxiStreamFrame(padded))
    logits = forward(stored_network(NETWORK, placement, golden.cells), images)
    for image, (expected, label) in enumerate(zip(logits, classify(logits), strict=True)):
        frame = await bench.results.recv()
        received = np.frombuffer(bytes(frame.tdata), dtype="<i4")
        assert received.tolist() == [*expected.tolist(), int(label)], f"image {image}"
    if not dut.irq.value:
        await RisingEdge(dut.irq)

    golden.count_inference(placement, -(-IMAGES // GEOMETRY.lanes))
    for index, name in enumerate(COUNTERS):
        for bank in range(GEOMETRY.banks):
            assert await bench.read_counter(bank, index) == golden.counters[name][bank], (
                f"{name} of bank {bank}"
            )
    status = await bench.read("STATUS")
    assert status == REGISTERS.STATUS["done"].place(1) | REGISTERS.STATUS["counter_ready"].place(1)
