"""AXI interface signatures, with AMBA's signal names."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class AxiLite(wiring.Signature):
    """AXI4-Lite with 32-bit data, seen from the manager.

    ``awprot`` and ``arprot`` are left out: nothing depends on them.

    Parameters
    ----------
    address_bits : int
        Width of the addresses.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "awaddr": Out(address_bits),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(32),
                "wstrb": Out(4),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_bits),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(32),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiStream(wiring.Signature):
    """AXI4-Stream with ``tlast``, seen from the transmitter.

    Parameters
    ----------
    data_bits : int
        Width of ``tdata``.
    """

    def __init__(self, data_bits: int) -> None:
        super().__init__({"tdata": Out(data_bits), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})
