"""SFC64, the random stream of the error injector."""

from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.hw.library import Library


class Sfc64(wiring.Component):
    """Small Fast Chaotic generator, 64 bits a clock, number for number as ``numpy.random.SFC64``.

    Source: C. Doty-Humphrey, PractRand; the constants 11, 3, 24 and the counter step 1 are those of NumPy.

    Members
    -------
    state : Out(256)
        a, b, c and the counter, 64 bits each, as NumPy orders its state.
    word : Out(64)
        The next random word; combinational.
    advance : In(1)
        Takes the word.
    load_enable : In(8)
        Bit i: half-word i of the state becomes `load_data` at the end of the clock.
    load_data : In(32)
        See `load_enable`.
    """

    state: Out(256)
    word: Out(64)
    advance: In(1)
    load_enable: In(8)
    load_data: In(32)

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        a, b, c, counter = (Signal(64, name=name) for name in ("a", "b", "c", "counter"))
        state = Cat(a, b, c, counter)
        m.d.comb += [self.state.eq(state), self.word.eq(a + b + counter)]
        with m.If(self.advance):
            m.d.sync += [
                a.eq(b ^ (b >> 11)),
                b.eq(c + (c << 3)),
                c.eq(c.rotate_left(24) + self.word),
                counter.eq(counter + 1),
            ]
        for half in range(8):
            with m.If(self.load_enable[half]):
                m.d.sync += state.word_select(half, 32).eq(self.load_data)
        return m
