"""Nested loop counters, the skeleton of the engine's schedule."""

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.hw.library import Library


class LoopNest(wiring.Component):
    """Counters of nested loops; the innermost steps with `advance`, the others when all inside them wrap.

    Parameters
    ----------
    widths : dict of str to int
        Name and index width in bits of every loop, outermost first.

    Members
    -------
    advance : In(1)
        Takes one step at the end of the clock.
    <name>_last_index : In(width)
        Last index of the loop: its count less one.
    <name>_first, <name>_last : Out(1)
        The loop is at its first or last index.
    """

    def __init__(self, widths: dict[str, int]) -> None:
        self._widths = widths
        members: dict[str, In | Out] = {"advance": In(1)}
        for name, width in widths.items():
            members[f"{name}_last_index"] = In(width)
            members[f"{name}_first"] = Out(1)
            members[f"{name}_last"] = Out(1)
        super().__init__(members)

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        carry = self.advance
        for name, width in reversed(self._widths.items()):
            index = Signal(width, name=f"{name}_index")
            last = getattr(self, f"{name}_last")
            m.d.comb += [
                last.eq(index == getattr(self, f"{name}_last_index")),
                getattr(self, f"{name}_first").eq(index == 0),
            ]
            with m.If(carry):
                m.d.sync += index.eq(index + 1)
                with m.If(last):
                    m.d.sync += index.eq(0)
            carry = carry & last
        return m
