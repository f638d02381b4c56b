"""SFC64, the generator of all random numbers."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.hw.library import Library

SEED_CONSTANT = 0x9E3779B97F4A7C15
WARM_UP_DRAWS = 12


def _step(a: Signal, b: Signal, c: Signal, counter: Signal, word: Value) -> list[Any]:
    """Return the assignments that go to the state after `word` was taken."""
    return [
        a.eq(b ^ (b >> 11)),
        b.eq(c + (c << 3)),
        c.eq(c.rotate_left(24) + word),
        counter.eq(counter + 1),
    ]


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
            m.d.sync += _step(a, b, c, counter, self.word)
        for half in range(8):
            with m.If(self.load_enable[half]):
                m.d.sync += state.word_select(half, 32).eq(self.load_data)
        return m


class SeededSfc64(wiring.Component):
    """SFC64 that starts from a seed and a stream number, all at once.

    The state becomes (seed, stream, 0x9E3779B97F4A7C15, 1); whoever seeds throws away `WARM_UP_DRAWS` words.

    Members
    -------
    seed, stream : In(64)
        Which sequence.
    load : In(1)
        Begins the sequence at the end of the clock.
    advance : In(1)
        Takes the word.
    word : Out(64)
        The next random word; combinational.
    """

    seed: In(64)
    stream: In(64)
    load: In(1)
    advance: In(1)
    word: Out(64)

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        a, b, c, counter = (Signal(64, name=name) for name in ("a", "b", "c", "counter"))
        m.d.comb += self.word.eq(a + b + counter)
        with m.If(self.load):
            m.d.sync += [a.eq(self.seed), b.eq(self.stream), c.eq(SEED_CONSTANT), counter.eq(1)]
        with m.Elif(self.advance):
            m.d.sync += _step(a, b, c, counter, self.word)
        return m
