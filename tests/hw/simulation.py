"""Single blocks in Amaranth's own simulator, which knows no Verilog: here are its cells in Amaranth."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Fragment, Module
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.sim import Simulator

PERIOD = 1e-6


class FlatLibrary:
    """Stands in for `spinbnn.hw.library.Library`: blocks become plain submodules."""

    def add(self, m: Module, name: str, block: wiring.Component) -> wiring.Component:
        m.submodules[name] = block
        return block


def _popcount(m: Module, connections: dict[str, Any]) -> None:
    bits = connections["i_bits"]
    parts = [sum(bits[low : low + 16]) for low in range(0, len(bits), 16)]  # a single sum would nest too deep
    m.d.comb += connections["o_count"].eq(sum(parts))


def _ram(m: Module, connections: dict[str, Any]) -> None:
    m.submodules.memory = memory = Memory(shape=connections["p_WIDTH"], depth=connections["p_DEPTH"], init=[])
    read, write = memory.read_port(), memory.write_port()
    m.d.comb += [
        read.en.eq(connections["i_read_enable"]),
        read.addr.eq(connections["i_read_address"]),
        connections["o_read_data"].eq(read.data),
        write.en.eq(connections["i_write_enable"]),
        write.addr.eq(connections["i_write_address"]),
        write.data.eq(connections["i_write_data"]),
    ]


def _mram_array(m: Module, connections: dict[str, Any]) -> None:
    m.submodules.cells = cells = Memory(
        shape=connections["p_WORD_BITS"], depth=connections["p_ROWS"], init=[]
    )
    read, write = cells.read_port(), cells.write_port()
    m.d.comb += [
        read.en.eq(connections["i_enable"] & ~connections["i_write"]),
        read.addr.eq(connections["i_row"]),
        connections["o_read_data"].eq(read.data),
        write.en.eq(connections["i_enable"] & connections["i_write"]),
        write.addr.eq(connections["i_row"]),
        write.data.eq(connections["i_write_data"]),
    ]


_CELLS = {"spinbnn_popcount": _popcount, "spinbnn_ram": _ram, "spinbnn_mram_array": _mram_array}


def _cell(kind: str, **connections: Any) -> Module:
    m = Module()
    _CELLS[kind](m, connections)
    return m


def simulate(block: wiring.Component, *testbenches: Callable[..., Any]) -> None:
    """Run coroutines beside a block until they have all ended."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("cells", "bank"):
            patch.setattr(f"spinbnn.hw.{module}.Instance", _cell)
        simulator = Simulator(Fragment.get(block, FlatLibrary()))
    simulator.add_clock(PERIOD)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    simulator.run()
