"""The machine as software sees it: reset, tables, programming, runs and counters, through AXI."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, SimTimeoutError, Timer, with_timeout
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import ActivationPoint
from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import Words
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import LANE_COUNTERS, Counts, counter_indices
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement, ProgramPacket
from spinbnn.hw import program_stream
from spinbnn.hw.accelerator import (
    TABLE_DESCRIPTORS,
    TABLE_LOGITS,
    TABLE_MISMATCH,
    TABLE_STEPS,
    TABLE_THRESHOLDS,
    WINDOW_REGISTERS,
)
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words
from spinbnn.hw.registers import REGISTERS, Register
from spinbnn.hw.unfolder import window_fields
from spinbnn.sim.spec import StallProfile
from spinbnn.sim.testbench.axi_lite import AxiLite
from spinbnn.sim.testbench.backdoor import ActivationMonitor, ArrayBackdoor
from spinbnn.sim.testbench.streams import Beat, Pauses, Sink, Source
from spinbnn.sim.testbench.wrapper import CLOCK_NS

T = TypeVar("T")
Done = Callable[[int], None]

_POLLS = 20_000
_REPORT_BEATS = 256
_PASS_POLL_CLOCKS = 500


class HangError(Exception):
    """The machine did not do in time what it should."""


@dataclass
class ResultBeats:
    """Beats (data, last) of the result stream, and the clocks in which they were accepted."""

    beats: list[Beat] = field(default_factory=list)
    clocks: list[int] = field(default_factory=list)


class Machine:
    """Drives the machine in the wrapper.

    Parameters
    ----------
    dut
        The wrapper.
    geometry : Geometry
    stalls : StallProfile

    Attributes
    ----------
    axi : AxiLite
    array : ArrayBackdoor
    activations : ActivationMonitor
    """

    def __init__(self, dut: Any, geometry: Geometry, stalls: StallProfile) -> None:
        self._dut = dut
        self.geometry = geometry
        seed = stalls.seed
        self.axi = AxiLite(dut, stalls.axi_idle, seed)
        payload = ["data", "last"]
        self.program_source = Source(
            dut, "s_axis_program_t", payload, Pauses(stalls.program_idle, f"program {seed}")
        )
        self.image_source = Source(dut, "s_axis_image_t", payload, Pauses(stalls.image_idle, f"image {seed}"))
        self.result_sink = Sink(
            dut, "m_axis_result_t", payload, Pauses(stalls.result_pause, f"result {seed}")
        )
        self.array = ArrayBackdoor(dut, geometry)
        self.activations = ActivationMonitor(dut, geometry)

    @property
    def clock(self) -> int:
        """Clock edges so far."""
        return int(self._dut.clock.value)

    async def reset(self, clocks: int = 2) -> None:
        """Hold the machine in reset for some clocks; then nothing is driven, and all responses are taken."""
        self.axi.stop()
        for source in (self.program_source, self.image_source):
            source.stop()
        self.result_sink.stop()
        await FallingEdge(self._dut.clk)
        self._dut.rst.value = 1
        for _ in range(clocks):
            await FallingEdge(self._dut.clk)
        self._dut.rst.value = 0
        self.axi.start()
        self.result_sink.start()

    async def write(self, name: str, value: int = 0, **fields: int) -> None:
        """Write a register: a whole `value`, or named fields and 0 elsewhere."""
        register = REGISTERS[name]
        word = value | sum(register[field].place(part) for field, part in fields.items())
        await self.axi.write(register.offset, word)

    async def read(self, name: str) -> int:
        """Return a register's word."""
        return await self.axi.read(REGISTERS[name].offset)

    async def status(self, flag: str) -> int:
        """Return a flag of STATUS."""
        return REGISTERS.STATUS[flag].extract(await self.read("STATUS"))

    async def read_clocks(self, name: str) -> int:
        """Return one of RUN_CLOCKS, BEAT_CLOCKS and PROGRAM_CLOCKS."""
        return await self.read(f"{name}_LO") | await self.read(f"{name}_HI") << 32

    async def wait_idle(self) -> None:
        """Wait until nothing is programmed any more.

        Raises
        ------
        HangError
            If that does not come.
        """
        await self.wait_for("programming", 0)

    async def wait_for(self, flag: str, value: int) -> None:
        """Wait until a flag of STATUS has a value.

        Raises
        ------
        HangError
            If that does not come.
        """
        for _ in range(_POLLS):
            if await self.status(flag) == value:
                return
        raise HangError(f"STATUS.{flag} is not {value} after {_POLLS} reads, clock {self.clock}")

    async def within(self, clocks: int, awaited: Coroutine[Any, Any, T], what: str) -> T:
        """Return what `awaited` gives, if it does in time.

        Raises
        ------
        HangError
            If it takes more than `clocks`.
        """
        task = cocotb.start_soon(awaited)
        try:
            return await with_timeout(task, clocks * CLOCK_NS, "ns")
        except SimTimeoutError:
            task.cancel()
            raise HangError(f"{what} is not finished after {clocks} clocks, clock {self.clock}") from None

    async def set_point(self, index: int, point: OperatingPoint) -> None:
        """Write an operating point into the table."""
        prefix = f"POINT_{index}_"
        await self.write(f"{prefix}P_FAIL_01", point.p_fail_01)
        await self.write(f"{prefix}P_FAIL_10", point.p_fail_10)
        await self.write(f"{prefix}ENERGY_01", point.energy_01_aj)
        await self.write(f"{prefix}ENERGY_10", point.energy_10_aj)
        await self.write(f"{prefix}ENERGY_REDUNDANT", point.energy_redundant_aj)
        await self.write(
            f"{prefix}PULSE",
            clocks=point.pulse_clocks,
            max_retries=point.max_retries,
            redundant=int(point.pulse_redundant),
            blind=int(point.blind),
        )
        if self.geometry.memory.variability:
            for number, (p_01, p_10) in enumerate(point.by_class[1:]):
                await self.write(f"{prefix}P_FAIL_01_CLASS_{number}", p_01)
                await self.write(f"{prefix}P_FAIL_10_CLASS_{number}", p_10)
        if self.geometry.memory.self_terminated:
            failed_01_aj, failed_10_aj = point.failed_energies_aj
            await self.write(f"{prefix}ENERGY_01_FAILED", failed_01_aj)
            await self.write(f"{prefix}ENERGY_10_FAILED", failed_10_aj)

    async def set_chip(self, chip: Chip) -> None:
        """Write what is fixed when a chip is made, as far as the memory has it."""
        if self.geometry.memory.variability:
            await self.write("CHIP_SEED_LO", chip.seed & 0xFFFFFFFF)
            await self.write("CHIP_SEED_HI", chip.seed >> 32)
            for number, share in enumerate(chip.class_shares):
                await self.write(f"CLASS_SHARE_{number}", share)
            await self.write("CLASS_STUCK", sum(stuck << k for k, stuck in enumerate(chip.stuck)))
        if self.geometry.memory.differential:
            halves = chip.sense_mismatch(self.geometry).astype("<u8").view("<u4")
            words = halves[:, : -(-self.geometry.code_bits // 32)]
            await self._write_table(TABLE_MISMATCH, words.T)

    async def set_activation_point(self, point: ActivationPoint) -> None:
        """Write how activations are stored."""
        await self.write("ACTIVATION_P_01", point.p_01)
        await self.write("ACTIVATION_P_10", point.p_10)
        await self.write("ACTIVATION_PULSE_CLOCKS", point.pulse_clocks)
        await self.write("ACTIVATION_WORD_ENERGY", point.word_energy_aj)
        await self.write("ACTIVATION_SEED_LO", point.seed & 0xFFFFFFFF)
        await self.write("ACTIVATION_SEED_HI", point.seed >> 32)

    async def go_over_rows(self, command: str, first_row: int, last_row: int, point_index: int) -> None:
        """Do a pass, "age" or "scrub", over rows of all banks, and wait until it is done."""
        await self.write("ROW_INDEX", first_row)
        await self.write("PASS_LAST_ROW", last_row)
        await self.write("PASS_COMMAND", **{command: 1, "point": point_index})
        await self._interval_until_idle()

    async def _interval_until_idle(self) -> None:
        """Wait until nothing is programmed, asking rarely, as it takes long."""
        while await self.status("programming"):
            await Timer(_PASS_POLL_CLOCKS * CLOCK_NS, "ns")

    async def set_random_state(self, state: Sequence[int]) -> None:
        """Load the random stream's four 64-bit words."""
        for index, word in enumerate(state):
            await self.write(f"RNG_STATE_{2 * index}", word & 0xFFFFFFFF)
            await self.write(f"RNG_STATE_{2 * index + 1}", word >> 32)

    async def random_state(self) -> tuple[int, ...]:
        """Return the random stream's four 64-bit words."""
        halves = [await self.read(f"RNG_STATE_{index}") for index in range(8)]
        return tuple(halves[2 * index] | halves[2 * index + 1] << 32 for index in range(4))

    async def load_network(self, network: Network, placement: Placement) -> None:
        """Write descriptors, thresholds and logit words, and the numbers that describe the images."""
        await self._write_table(TABLE_DESCRIPTORS, descriptor_words(network, placement))
        await self._write_table(TABLE_STEPS, step_words(placement))
        await self._write_table(TABLE_THRESHOLDS, threshold_words(network, placement, self.geometry))
        await self._write_table(TABLE_LOGITS, logit_words(network))
        await self.write("LAYERS", len(network.layers))
        await self.write("IMAGE_ELEMENTS", network.inputs)
        await self.write("IMAGE_PLANES", network.input_bits)
        await self.write("OUTPUTS", network.outputs)
        if self.geometry.image_elements:
            await self._set_windows(window_fields(network, placement))

    async def _set_windows(self, fields: dict[str, int]) -> None:
        """Write how a first layer's windows are unfolded."""
        words: dict[str, int] = {}
        for name, value in fields.items():
            register, field = WINDOW_REGISTERS[name]
            part = REGISTERS[register][field]
            words[register] = words.get(register, 0) | part.place(value & ((1 << part.width) - 1))
        for register, word in words.items():
            await self.write(register, word)

    async def _write_table(self, table: int, words: NDArray[np.uint32]) -> None:
        await self.write("TABLE_ADDRESS", table=table)
        for word in words.reshape(-1).tolist():
            await self.write("TABLE_DATA", word)

    async def program(
        self, packets: Sequence[ProgramPacket], point_index: int, done: Done | None = None
    ) -> None:
        """Stream packets of rows and wait until they are programmed; `done` hears how many rows are."""
        before = 0
        for packet in packets:
            await self.program_source.send(self._program_beats(packet, point_index, before, done))
            before += len(packet.rows)
        await self.wait_idle()

    def _program_beats(
        self, packet: ProgramPacket, point_index: int, before: int, done: Done | None
    ) -> Iterator[Beat]:
        beats = program_stream.beats(packet, point_index).tolist()
        for index, beat in enumerate(beats):
            if done is not None and index % _REPORT_BEATS == 1:
                done(before + (index - 1) // self.geometry.slices)
            yield beat, int(index == len(beats) - 1)

    async def program_row(self, bank: int, row: int, word: Words, point_index: int) -> None:
        """Program a single row, uint64 [L], through the registers."""
        await self._select_row(bank, row)
        halves = word.astype("<u8").view("<u4").tolist()
        for index in range(-(-self.geometry.word_bits // 32)):
            await self.write(f"ROW_DATA_{index}", halves[index])
        await self.write("ROW_COMMAND", program=1, point=point_index)
        await self.wait_idle()

    async def read_row(self, bank: int, row: int) -> Words:
        """Return a single row, uint64 [L], read through the registers."""
        await self._select_row(bank, row)
        await self.write("ROW_COMMAND", read=1)
        await self.wait_idle()
        halves = [await self.read(f"ROW_DATA_{index}") for index in range(2 * self.geometry.slices)]
        words: Words = np.array(halves, dtype="<u4").view("<u8").astype(np.uint64)
        return words

    async def _select_row(self, bank: int, row: int) -> None:
        await self.write("ROW_BANK", bank)
        await self.write("ROW_INDEX", row)

    def image_beats(self, images: NDArray[np.uint8]) -> Iterator[Beat]:
        """Yield the beats of images, uint8 [n, K]."""
        elements = self.geometry.stream_elements
        beats = -(-images.shape[1] // elements)
        padded = np.zeros(beats * elements, dtype=np.uint8)
        for image in images:
            padded[: len(image)] = image
            raw = padded.tobytes()
            for index in range(beats):
                value = int.from_bytes(raw[index * elements : (index + 1) * elements], "little")
                yield value, int(index == beats - 1)

    async def start_run(self, images: int) -> None:
        """Start a run; its images and results are the streams'."""
        await self.write("IMAGES", images)
        await self.write("CONTROL", start=1)

    async def run(
        self, network: Network, images: NDArray[np.uint8], clocks: int, done: Done | None = None
    ) -> ResultBeats:
        """Run images and return the result beats once the machine is idle.

        `done` hears how many images are finished.

        Raises
        ------
        HangError
            If it takes more than `clocks`.
        """
        # The first beat waits at the machine before the run starts.
        source = cocotb.start_soon(self.image_source.send(self.image_beats(images)))
        results = ResultBeats()

        def note(beat: Beat) -> None:
            results.beats.append(beat)
            results.clocks.append(int(self._dut.m_axis_result_t_last_clock.value))
            if done is not None and beat[1]:
                done(len(results.beats) // (network.outputs + 1))

        self.result_sink.on_beat = note
        try:
            await self.start_run(len(images))
            await self.within(clocks, self._interrupt(), f"run of {len(images)} images")
            await self.wait_for("busy", 0)
        finally:
            source.cancel()
            self.image_source.stop()
            self.result_sink.on_beat = None
        return results

    async def _interrupt(self) -> None:
        if not self._dut.irq.value:
            await self._dut.irq.value_change

    async def clear_counters(self) -> None:
        """Set all counters to 0."""
        await self.write("CONTROL", clear_counters=1)
        await self.wait_idle()

    async def counters(self) -> dict[str, Counts]:
        """Return every counter by name: uint64 [banks], or [lanes] if it is a lane's."""
        counts: dict[str, Counts] = {}
        select, low, high = REGISTERS.COUNTER_SELECT, REGISTERS.COUNTER_LO, REGISTERS.COUNTER_HI
        for name, index in counter_indices(self.geometry).items():
            places = self.geometry.lanes if name in LANE_COUNTERS else self.geometry.banks
            counts[name] = np.zeros(places, dtype=np.uint64)
            for place in range(places):
                await self.axi.write(select.offset, _fields(select, counter=index, bank=place))
                await self.wait_for("counter_ready", 1)
                counts[name][place] = await self.axi.read(low.offset) | await self.axi.read(high.offset) << 32
        return counts


def _fields(register: Register, **fields: int) -> int:
    return sum(register[name].place(value) for name, value in fields.items())
