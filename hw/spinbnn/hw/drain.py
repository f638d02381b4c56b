"""The drain: tells the lanes how to pack the bits of finished groups into activation words."""

from amaranth.hdl import Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.engine import GroupInfo, is_ragged
from spinbnn.hw.lane import PackControl, chunk_bits
from spinbnn.hw.library import Library


class Drain(wiring.Component):
    """Sequences the packing of a group's bits: a chunk a clock, from the clock after its capture.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    capture : In(1), group : In(GroupInfo)
        A group is complete in this clock; groups of logits are not the drain's.
    pack : Out(PackControl)
        For the lanes.
    present : Out(lanes)
        Lanes that hold an image of the group being packed.
    write_pointer, write_tag : Out
        Address of the next word to be written, and the tag of the layer it belongs to.
    writing_done : Out(1)
        The layer's last word is stored at the end of this clock.
    writing : Out(1), hold : In(1)
        There is a word to be written; it waits while held. Only where activations are stored in MRAM.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        slow_writes = {"writing": Out(1), "hold": In(1)}
        super().__init__(
            {
                "capture": In(1),
                "group": In(GroupInfo(g)),
                "pack": Out(PackControl(g)),
                "present": Out(g.lanes),
                "write_pointer": Out(ceil_log2(g.activation_words)),
                "write_tag": Out(1, init=1),  # as if the layer before the first had written
                "writing_done": Out(1),
            }
            | (slow_writes if g.memory.activation_generators else {})
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        size, ragged = chunk_bits(g), is_ragged(g)
        remaining = Signal(range(g.banks + 1))
        last_of_pixel = Signal()
        last_group = Signal()
        flushing = Signal()
        fill = Signal(range(g.word_bits))
        total = Signal(range(g.word_bits + size))
        final_chunk = Signal()
        pack = self.pack
        in_last_chunk = remaining <= size if g.banks > size else Const(1)
        packing = remaining.any() | flushing
        writing = Mux(flushing, fill.any(), remaining.any() & (pack.cross | (last_of_pixel & final_chunk)))
        done = last_group & (flushing if ragged else final_chunk)
        rest_is_next = last_of_pixel & final_chunk & int(ragged)
        last_plane: Value = Const(1)
        if g.activation_bits > 1:
            last_plane = self._planes(m, packing)
            done, rest_is_next = done & last_plane, Mux(last_plane, rest_is_next, flushing)
        if g.memory.activation_generators:
            m.d.comb += self.writing.eq(writing)
            packing, writing, done = (condition & ~self.hold for condition in (packing, writing, done))
            rest_is_next = Mux(self.hold, flushing, rest_is_next)
        m.d.comb += [
            pack.capture.eq(self.capture & ~self.group.logits),
            pack.chunk.eq(packing),
            pack.valid_bits.eq(Mux(in_last_chunk, remaining[: len(pack.valid_bits)], size)),
            pack.fill.eq(fill),
            total.eq(fill + pack.valid_bits),
            final_chunk.eq(remaining.any() & in_last_chunk),
            pack.cross.eq(total >= g.word_bits),
            pack.write.eq(writing),
            pack.address.eq(self.write_pointer),
            self.writing_done.eq(done),
        ]
        with m.If(pack.chunk & last_plane):
            m.d.sync += [
                remaining.eq(Mux(final_chunk | flushing, 0, remaining - size)),
                fill.eq(Mux(pack.cross, total - g.word_bits, Mux(pack.write, 0, total))),
            ]
        m.d.sync += flushing.eq(rest_is_next)
        with m.If(pack.write):
            m.d.sync += self.write_pointer.eq(self.write_pointer + 1)
        with m.If(pack.capture):
            m.d.sync += [remaining.eq(self.group.neurons), last_group.eq(self.group.last)]
            m.d.sync += last_of_pixel.eq(self.group.last_of_pixel)
            m.d.sync += self.present.eq((1 << self.group.images) - 1)
            with m.If(self.group.first):
                m.d.sync += [self.write_pointer.eq(self.group.destination), self.write_tag.eq(self.group.tag)]
        return m

    def _planes(self, m: Module, packing: Value) -> Value:
        """Go through the planes of a chunk, the highest first; return whether this clock's is the last."""
        pack = self.pack
        bits = Signal.like(self.group.bits)
        m.d.comb += pack.last_plane.eq(pack.plane == 0)
        following = Signal.like(pack.plane)
        m.d.comb += [following.eq(Mux(pack.last_plane, bits - 1, pack.plane - 1))]
        plane = Signal.like(pack.plane)
        m.d.comb += pack.plane.eq(plane)
        with m.If(packing):
            m.d.sync += plane.eq(following)
        with m.If(pack.capture):
            m.d.sync += [bits.eq(self.group.bits), plane.eq(self.group.bits - 1)]
        return pack.last_plane
