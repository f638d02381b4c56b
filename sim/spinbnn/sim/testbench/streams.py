"""Event-driven AXI drivers: Python wakes once an accepted beat, never while a channel waits.

The wrapper counts accepted beats; its count changes just after the clock edge, when the machine's registers
have their new values, so what a driver then drives is seen at the next edge. Pauses end in mid-clock.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import cocotb
from cocotb.task import Task
from cocotb.triggers import Timer

from spinbnn.sim.testbench.wrapper import CLOCK_NS

Beat = tuple[int, ...]


class Pauses:
    """Lengths of pauses in clocks, when in each clock the pause goes on with a probability.

    Parameters
    ----------
    probability : float
        0 for no pauses; below 1.
    seed : str
        Names the sequence.
    """

    def __init__(self, probability: float, seed: str) -> None:
        if not 0 <= probability < 1:
            raise ValueError(f"a pause's probability must be from 0 to below 1, not {probability}")
        self._probability = probability
        self._random = random.Random(seed)

    def next(self) -> int:
        """Return the length of the next pause."""
        if not self._probability:
            return 0
        return int(math.log(1.0 - self._random.random()) / math.log(self._probability))


async def pause(clocks: int) -> None:
    """Wait that many clocks, just after a clock edge; ends in the middle of a clock, before its edge."""
    await Timer(clocks * CLOCK_NS - CLOCK_NS // 2, "ns")


class _Channel:
    """A group of wrapper signals with one valid and one ready."""

    def __init__(self, dut: Any, prefix: str, pauses: Pauses) -> None:
        self.valid = getattr(dut, f"{prefix}valid")
        self.ready = getattr(dut, f"{prefix}ready")
        self.beats = getattr(dut, f"{prefix}_beats")
        self.pauses = pauses


class Source(_Channel):
    """Sends beats on a channel.

    Parameters
    ----------
    dut
        The wrapper.
    prefix : str
        Of the channel's signals.
    payload : sequence of str
        Names of the payload signals, in the order of a beat's values.
    pauses : Pauses
        Before every beat.
    """

    def __init__(self, dut: Any, prefix: str, payload: Sequence[str], pauses: Pauses) -> None:
        super().__init__(dut, prefix, pauses)
        self._payload = [getattr(dut, prefix + name) for name in payload]
        self._driven: list[int | None] = [None] * len(payload)

    async def send(self, beats: Iterable[Beat]) -> None:
        """Send beats; returns when the last is accepted."""
        accepted = self.beats.value_change
        offered = False
        for beat in beats:
            clocks = self.pauses.next()
            if clocks:
                self.valid.value = 0
                offered = False
                await pause(clocks)
            for index, value in enumerate(beat):
                if value != self._driven[index]:  # a write through the simulator's interface costs more
                    self._payload[index].value = self._driven[index] = value
            if not offered:
                self.valid.value = 1
                offered = True
            await accepted
        self.valid.value = 0

    def stop(self) -> None:
        """Offer no beat."""
        self.valid.value = 0


class Sink(_Channel):
    """Takes the beats of a channel, of which there is one for each that is asked for.

    It watches the channel only while a beat is asked for: a watched signal costs time in every clock.

    Parameters
    ----------
    dut
        The wrapper.
    prefix : str
        Of the channel's signals.
    payload : sequence of str
        Names of the payload signals, in the order of a beat's values.
    pauses : Pauses
        After every beat.
    """

    def __init__(self, dut: Any, prefix: str, payload: Sequence[str], pauses: Pauses) -> None:
        super().__init__(dut, prefix, pauses)
        self._payload = [getattr(dut, f"{prefix}_last_{name}") for name in payload]
        self._taken = 0
        self._pause: Task[None] | None = None

    def start(self) -> None:
        """Take beats from now on."""
        self.stop()
        self._taken = int(self.beats.value)
        self.ready.value = 1

    def stop(self) -> None:
        """Take no more beats, and forget those not asked for."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self.ready.value = 0

    async def receive(self) -> Beat:
        """Return the next beat."""
        while int(self.beats.value) == self._taken:
            await self.beats.value_change
        self._taken += 1
        clocks = self.pauses.next()
        if clocks:
            self.ready.value = 0
            self._pause = cocotb.start_soon(self._end_pause(clocks))
        return tuple(int(signal.value) for signal in self._payload)

    async def _end_pause(self, clocks: int) -> None:
        await pause(clocks)
        self.ready.value = 1
