"""The machine as software sees it: reset, tables, programming, runs and counters, through AXI."""

from __future__ import annotations

import time
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, First, SimTimeoutError, Timer, with_timeout
from numpy.typing import NDArray

from spinbnn.golden.activation_memory import ActivationPoint
from spinbnn.golden.chip import Chip
from spinbnn.golden.encoding import Words
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.mram import Counts
from spinbnn.golden.network import Network
from spinbnn.golden.operating_point import OperatingPoint
from spinbnn.golden.placement import Placement, ProgramPacket
from spinbnn.hw.registers import REGISTERS
from spinbnn.sim.schedule import StreamPauses
from spinbnn.sim.spec import StallProfile
from spinbnn.sim.stalls import pause_lengths
from spinbnn.sim.testbench import accesses
from spinbnn.sim.testbench.accesses import Write, blank_counters
from spinbnn.sim.testbench.axi_lite import AxiLite
from spinbnn.sim.testbench.backdoor import ArrayBackdoor, RunMonitor
from spinbnn.sim.testbench.files import Bytes
from spinbnn.sim.testbench.players import Done, Player, Recorder
from spinbnn.sim.testbench.wrapper import CLOCK_NS, IMAGE, PROGRAM, RESULT

T = TypeVar("T")

_POLLS = 20_000
_PASS_POLL_CLOCKS = 500
_REPORT_CLOCKS = 50_000


class HangError(Exception):
    """The machine did not do in time what it should."""


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
    program_player, image_player : Player
    result_recorder : Recorder
    array : ArrayBackdoor
    monitor : RunMonitor
    run_seconds : float
        What the last run took of the processor, from its start to its interrupt.
    """

    def __init__(self, dut: Any, geometry: Geometry, stalls: StallProfile) -> None:
        self._dut = dut
        self.geometry = geometry
        self._stalls = stalls
        self.axi = AxiLite(dut, stalls.axi_idle, stalls.seed)
        self.program_player = Player(dut, PROGRAM)
        self.image_player = Player(dut, IMAGE)
        self.result_recorder = Recorder(dut, RESULT)
        self.array = ArrayBackdoor(dut, geometry)
        self.monitor = RunMonitor(dut, geometry)
        self.run_seconds = 0.0

    @property
    def clock(self) -> int:
        """Clock edges so far."""
        return int(self._dut.clock.value)

    async def reset(self, clocks: int = 2) -> None:
        """Hold the machine in reset for some clocks; then nothing is driven, and all responses are taken."""
        self.axi.stop()
        for player in (self.program_player, self.image_player):
            player.stop()
        self.result_recorder.stop()
        await FallingEdge(self._dut.clk)
        self._dut.rst.value = 1
        for _ in range(clocks):
            await FallingEdge(self._dut.clk)
        self._dut.rst.value = 0
        self.axi.start()
        self.result_recorder.start()

    async def write(self, name: str, value: int = 0, **fields: int) -> None:
        """Write a register: a whole `value`, or named fields and 0 elsewhere."""
        await self.axi.write(*accesses.write(name, value, **fields))

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

    async def write_all(self, writes: Iterable[Write]) -> None:
        """Write registers, one after the other."""
        for address, word in writes:
            await self.axi.write(address, word)

    async def set_point(self, index: int, point: OperatingPoint) -> None:
        """Write an operating point into the table."""
        await self.write_all(accesses.point_writes(self.geometry.memory, index, point))

    async def set_chip(self, chip: Chip) -> None:
        """Write what is fixed when a chip is made, as far as the memory has it."""
        await self.write_all(accesses.chip_writes(self.geometry, chip))

    async def set_activation_point(self, point: ActivationPoint) -> None:
        """Write how activations are stored."""
        await self.write_all(accesses.activation_point_writes(point))

    async def go_over_rows(self, command: str, first_row: int, last_row: int, point_index: int) -> None:
        """Do a pass, "age" or "scrub", over rows of all banks, and wait until it is done."""
        await self.write_all(accesses.pass_writes(command, first_row, last_row, point_index))
        await self._interval_until_idle()

    async def _interval_until_idle(self) -> None:
        """Wait until nothing is programmed, asking rarely, as it takes long."""
        while await self.status("programming"):
            await Timer(_PASS_POLL_CLOCKS * CLOCK_NS, "ns")

    async def set_random_state(self, state: Sequence[int]) -> None:
        """Load the random stream's four 64-bit words."""
        await self.write_all(accesses.random_state_writes(state))

    async def random_state(self) -> tuple[int, ...]:
        """Return the random stream's four 64-bit words."""
        halves = [await self.read(f"RNG_STATE_{index}") for index in range(8)]
        return tuple(halves[2 * index] | halves[2 * index + 1] << 32 for index in range(4))

    async def load_network(self, network: Network, placement: Placement) -> None:
        """Write descriptors, thresholds and logit words, and the numbers that describe the images."""
        await self.write_all(accesses.network_writes(network, placement))

    async def program(
        self, packets: Sequence[ProgramPacket], point_index: int, done: Done | None = None
    ) -> None:
        """Stream packets of rows and wait until they are programmed; `done` hears how many rows are."""
        await self.send_program(*accesses.program_beats(packets, point_index), done)
        await self.wait_idle()

    async def send_program(self, data: Bytes, last: Bytes, done: Done | None = None) -> None:
        """Send beats of the program stream, uint8 [n, 8]; `done` hears how many rows were taken."""

        def report(beats: int) -> None:
            if done is not None:
                done(accesses.rows_taken(last, beats, self.geometry.slices))

        pauses = pause_lengths(self._stalls.program_idle, self._stalls.seed, "program", len(data))
        await self.program_player.send(data, last, pauses, report)

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

    def image_beats(self, images: NDArray[np.uint8]) -> tuple[Bytes, Bytes]:
        """Return the beats of images, uint8 [n, K]: uint8 [m, bytes] and whether each is an image's last."""
        return accesses.image_beats(images, self.geometry)

    async def start_run(self, images: int) -> None:
        """Start a run; its images and results are the streams'."""
        await self.write("IMAGES", images)
        await self.write("CONTROL", start=1)

    async def run(
        self, images: NDArray[np.uint8], pauses: StreamPauses, clocks: int, done: Done | None = None
    ) -> None:
        """Run images; returns once the machine is idle. The monitor has what was seen.

        `done` hears how many results were given.

        Raises
        ------
        HangError
            If it takes more than `clocks`.
        """
        self.result_recorder.start(pauses.results)
        before_images = pauses.images.copy()
        before_images[0] = 0  # the first beat waits at the machine before the run starts
        # Nobody waits for its end: to watch a signal costs time in every clock.
        self.image_player.begin(*self.image_beats(images), before_images)
        try:
            await self.start_run(len(images))
            started = time.process_time()
            await self.within(clocks, self._interrupt(done), f"run of {len(images)} images")
            self.run_seconds = time.process_time() - started
            await self.wait_for("busy", 0)
        finally:
            self.image_player.stop()

    async def _interrupt(self, done: Done | None) -> None:
        before = int(self.result_recorder.beats.value)
        while not self._dut.irq.value:
            await First(self._dut.irq.value_change, Timer(_REPORT_CLOCKS * CLOCK_NS, "ns"))
            if done is not None:
                done(int(self.result_recorder.beats.value) - before)

    async def clear_counters(self) -> None:
        """Set all counters to 0."""
        await self.write("CONTROL", clear_counters=1)
        await self.wait_idle()

    async def counters(self) -> dict[str, Counts]:
        """Return every counter by name: uint64 [banks], or [lanes] if it is a lane's."""
        counts = blank_counters(self.geometry)
        for name, place, select in accesses.counter_selections(self.geometry):
            await self.write_all([select])
            await self.wait_for("counter_ready", 1)
            counts[name][place] = await self.read("COUNTER_LO") | await self.read("COUNTER_HI") << 32
        return counts
