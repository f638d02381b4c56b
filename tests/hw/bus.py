"""A manager for AXI4-Lite in Amaranth's simulator."""

from typing import Any

PATIENCE = 20  # clocks until an answer must be there


class Bus:
    """A manager that keeps to the protocol, one transaction at a time."""

    def __init__(self, ctx: Any, bus: Any) -> None:
        self.ctx = ctx
        self.bus = bus

    async def until(self, signal: Any) -> None:
        for _ in range(PATIENCE):
            if self.ctx.get(signal):
                return
            await self.ctx.tick()
        raise AssertionError("the register block does not answer")

    async def accept_write(self, address: int, word: int, strobe: int = 0xF) -> None:
        """Send address and data; return in the clock in which the write takes effect."""
        self.ctx.set(self.bus.awaddr, address)
        self.ctx.set(self.bus.wdata, word)
        self.ctx.set(self.bus.wstrb, strobe)
        self.ctx.set(self.bus.awvalid, 1)
        self.ctx.set(self.bus.wvalid, 1)
        await self.until(self.bus.awready)
        assert self.ctx.get(self.bus.wready)
        await self.ctx.tick()
        self.ctx.set(self.bus.awvalid, 0)
        self.ctx.set(self.bus.wvalid, 0)

    async def response(self) -> int:
        self.ctx.set(self.bus.bready, 1)
        await self.until(self.bus.bvalid)
        response = self.ctx.get(self.bus.bresp)
        await self.ctx.tick()
        self.ctx.set(self.bus.bready, 0)
        assert not self.ctx.get(self.bus.bvalid)
        return int(response)

    async def write(self, address: int, word: int, strobe: int = 0xF) -> int:
        await self.accept_write(address, word, strobe)
        return await self.response()

    async def read(self, address: int) -> tuple[int, int]:
        self.ctx.set(self.bus.araddr, address)
        self.ctx.set(self.bus.arvalid, 1)
        await self.until(self.bus.arready)
        await self.ctx.tick()
        self.ctx.set(self.bus.arvalid, 0)
        self.ctx.set(self.bus.rready, 1)
        await self.until(self.bus.rvalid)
        answer = self.ctx.get(self.bus.rdata), self.ctx.get(self.bus.rresp)
        await self.ctx.tick()
        self.ctx.set(self.bus.rready, 0)
        assert not self.ctx.get(self.bus.rvalid)
        return answer
