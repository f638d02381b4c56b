"""The AXI4-Lite manager."""

from __future__ import annotations

from typing import Any

import cocotb

from spinbnn.sim.testbench.streams import Pauses, Sink, Source

OKAY, SLVERR = 0b00, 0b10


class BusError(Exception):
    """The machine answered a register access with an error."""


class AxiLite:
    """Reads and writes registers, one access at a time; each channel pauses by itself.

    Parameters
    ----------
    dut
        The wrapper.
    idle : float
        Probability a clock that a channel holds back its valid or ready.
    seed : int
        Of the pauses.
    """

    def __init__(self, dut: Any, idle: float, seed: int) -> None:
        def pauses(channel: str) -> Pauses:
            return Pauses(idle, f"axi {channel} {seed}")

        self._aw = Source(dut, "s_axi_aw", ["addr"], pauses("aw"))
        self._w = Source(dut, "s_axi_w", ["data", "strb"], pauses("w"))
        self._b = Sink(dut, "s_axi_b", ["resp"], pauses("b"))
        self._ar = Source(dut, "s_axi_ar", ["addr"], pauses("ar"))
        self._r = Sink(dut, "s_axi_r", ["data", "resp"], pauses("r"))

    def start(self) -> None:
        """Take responses from now on."""
        self._b.start()
        self._r.start()

    def stop(self) -> None:
        """Offer and take nothing."""
        for source in (self._aw, self._w, self._ar):
            source.stop()
        self._b.stop()
        self._r.stop()

    async def write_response(self, address: int, data: int, strobe: int = 0b1111) -> int:
        """Write a word and return the response, whatever it is."""
        data_sent = cocotb.start_soon(self._w.send([(data, strobe)]))
        await self._aw.send([(address,)])
        await data_sent
        return (await self._b.receive())[0]

    async def read_response(self, address: int) -> tuple[int, int]:
        """Read a word and return it and the response, whatever it is."""
        await self._ar.send([(address,)])
        data, response = await self._r.receive()
        return data, response

    async def write(self, address: int, data: int) -> None:
        """Write a word.

        Raises
        ------
        BusError
            If the response is not OKAY.
        """
        response = await self.write_response(address, data)
        if response != OKAY:
            raise BusError(f"write of 0x{data:08x} to 0x{address:03x} answered {response}, not OKAY (0)")

    async def read(self, address: int) -> int:
        """Read a word.

        Raises
        ------
        BusError
            If the response is not OKAY.
        """
        data, response = await self.read_response(address)
        if response != OKAY:
            raise BusError(f"read of 0x{address:03x} answered {response}, not OKAY (0)")
        return data
