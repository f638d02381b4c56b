"""The error injector: which cells of a row a program pulse fails to switch."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.library import Library
from spinbnn.hw.sfc64 import Sfc64

SLICE_BITS = 64
PROBABILITY_BITS = 32


class ErrorInjector(wiring.Component):
    """Draws one Bernoulli bit a cell by binary expansion, 64 random bits a clock.

    For each bit of the probability, least significant first, and for each 64-bit slice of the row one random
    word ``r`` is drawn, and ``fail = p_bit ? fail | r : fail & r``. After 32 of them ``fail`` is 1 with
    probability p exactly.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `word_bits`.

    Members
    -------
    target : In(word_bits)
        The row to be written: it tells each cell's direction.
    p_fail_01, p_fail_10 : In(32)
        Failure probabilities in units of 2**-32.
    clear : In(1)
        Begins a pulse: no cell fails yet.
    draw : In(1)
        Draws in this clock; after ``32 * slices`` such clocks `done` comes with the last.
    done : Out(1)
        This is the last draw.
    fail : Out(word_bits)
        Cells that would fail if they were to switch.
    load_enable, load_data, state
        The random generator's state; see `Sfc64`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._slices = geometry.slices
        super().__init__(
            {
                "target": In(geometry.word_bits),
                "p_fail_01": In(PROBABILITY_BITS),
                "p_fail_10": In(PROBABILITY_BITS),
                "clear": In(1),
                "draw": In(1),
                "done": Out(1),
                "fail": Out(geometry.word_bits),
                "load_enable": In(8),
                "load_data": In(32),
                "state": Out(256),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        generator = library.add(m, "generator", Sfc64())
        m.d.comb += [
            generator.advance.eq(self.draw),
            generator.load_enable.eq(self.load_enable),
            generator.load_data.eq(self.load_data),
            self.state.eq(generator.state),
        ]
        fail = Signal(self._slices * SLICE_BITS)
        to_one = Signal.like(fail)
        plane = Signal(range(PROBABILITY_BITS))
        part = Signal(range(self._slices))
        m.d.comb += [to_one.eq(self.target), self.fail.eq(fail)]

        p_01, p_10 = self.p_fail_01.bit_select(plane, 1), self.p_fail_10.bit_select(plane, 1)
        towards_one = to_one.word_select(part, SLICE_BITS)
        before = fail.word_select(part, SLICE_BITS)
        p_bits = Signal(SLICE_BITS)
        after = Signal(SLICE_BITS)
        m.d.comb += [
            p_bits.eq(
                (towards_one & p_01.replicate(SLICE_BITS)) | (~towards_one & p_10.replicate(SLICE_BITS))
            ),
            after.eq((p_bits & (before | generator.word)) | (~p_bits & before & generator.word)),
        ]
        last_part = part == self._slices - 1
        m.d.comb += self.done.eq(last_part & (plane == PROBABILITY_BITS - 1))
        with m.If(self.draw):
            m.d.sync += [
                fail.word_select(part, SLICE_BITS).eq(after),
                part.eq(Mux(last_part, 0, part + 1)),
                plane.eq(plane + last_part),
            ]
        with m.If(self.clear):
            m.d.sync += [fail.eq(0), part.eq(0), plane.eq(0)]
        return m
