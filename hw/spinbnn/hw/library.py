"""The library of Verilog modules that a design is made of: each block once, however often it is used.

Amaranth writes one module an instance (64 banks would be 64 copies). Here a block is converted by itself, and
its parent instantiates it by name. The library travels through Amaranth's `platform` argument.
"""

import re
from collections.abc import Iterator
from typing import TypeVar

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Instance, Module, ResetSignal, Value
from amaranth.hdl._ir import PortDirection
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member

TOP = "spinbnn"

Block = TypeVar("Block", bound=wiring.Component)


def ports(block: wiring.Component) -> Iterator[tuple[str, Member, Value]]:
    """Verilog name, member and value of every port but clock and reset, in the order of the signature.

    Ports of no bits, such as the bank number of a machine of one bank, are left out: Verilog has none.
    """
    for path, member, value in block.signature.flatten(block):
        value = Value.cast(value)
        if len(value):
            yield "_".join(map(str, path)), member, value


def used(block: Block) -> Block:
    """Tell Amaranth, which warns of blocks that it never elaborates, not to warn of `block`; return it."""
    block._MustUse__used = True
    return block


def module_name(block: wiring.Component) -> str:
    """Name of the Verilog module of `block`: its class name, as `spinbnn_snake_case`."""
    return f"{TOP}_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(block).__name__).lower()


class Library:
    """Blocks met so far, and how to write them.

    All blocks of a class in one design must have been made with the same parameters.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, wiring.Component] = {}

    def add(self, m: Module, name: str, block: Block) -> Block:
        """Instantiate `block` in `m` as submodule `name`; return it for its ports to be connected."""
        self._blocks.setdefault(module_name(block), block)
        used(block)
        connections = {
            f"{'i' if member.flow == In else 'o'}_{port}": value for port, member, value in ports(block)
        }
        m.submodules[name] = Instance(
            module_name(block), i_clk=ClockSignal(), i_rst=ResetSignal(), **connections
        )
        return block

    def convert(self, top: wiring.Component) -> dict[str, str]:
        """RTLIL text of `top` and of all blocks in it, by module name, the top first."""
        self._blocks = {TOP: top}
        texts: dict[str, str] = {}
        while waiting := [name for name in self._blocks if name not in texts]:
            name = waiting[0]
            block = self._blocks[name]
            directed = {
                port: (value, PortDirection.Input if member.flow == In else PortDirection.Output)
                for port, member, value in ports(block)
            }
            texts[name] = rtlil.convert(block, name=name, ports=directed, platform=self, emit_src=False)
        return texts
