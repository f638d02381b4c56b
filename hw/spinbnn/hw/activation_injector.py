"""The activation injector: which bits of a lane's activation words are stored wrong."""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.injector import PROBABILITY_BITS, SLICE_BITS
from spinbnn.hw.library import Library
from spinbnn.hw.sfc64 import SeededSfc64


def word_draws(geometry: Geometry) -> int:
    """Draws of each generator for a word: the clocks in which a word's errors are drawn."""
    return PROBABILITY_BITS // geometry.memory.activation_generators


class ActivationInjector(wiring.Component):
    """Draws one Bernoulli bit a bit of a word by binary expansion, a plane a clock and generator.

    The planes are combined as in `spinbnn.hw.injector.ErrorInjector`; the last of them in the clock in which
    they are drawn, so that a word can be written in the clock of its last draw.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `word_bits`, `memory.activation_generators`.

    Members
    -------
    first_generator : In
        Number of the lane's first generator; a constant.
    seed : In(64), load : In(1)
        Seeds the generators at the end of the clock.
    draw : In(1)
        Each generator draws in this clock.
    step : In
        Which of the word's draws this is; 0 begins a word.
    p_01, p_10 : In(32)
        Probabilities that a bit meant to be 0 is stored as 1, and one meant to be 1 as 0, units of 2**-32.
    intended : In(word_bits)
        The word to be stored; still while it is drawn for.
    flips : Out(word_bits)
        Bits that are stored wrong: from the clock of the last draw to the next word's first.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        generators = g.lanes * g.slices * g.memory.activation_generators
        super().__init__(
            {
                "first_generator": In(range(generators)),
                "seed": In(64),
                "load": In(1),
                "draw": In(1),
                "step": In(ceil_log2(word_draws(g))),
                "p_01": In(PROBABILITY_BITS),
                "p_10": In(PROBABILITY_BITS),
                "intended": In(g.word_bits),
                "flips": Out(g.word_bits),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        fail = Signal(g.word_bits)  # after the draws before this one
        after = Signal(g.word_bits)
        m.d.comb += [
            after.eq(Cat(self._slice(m, library, fail, index) for index in range(g.slices))),
            self.flips.eq(Mux(self.draw, after, fail)),
        ]
        with m.If(self.draw):
            m.d.sync += fail.eq(after)
        return m

    def _slice(self, m: Module, library: Library, fail: Signal, index: int) -> Value:
        """Failures of a slice after this clock's draws."""
        generators = self._geometry.memory.activation_generators
        intended = self.intended[SLICE_BITS * index : SLICE_BITS * (index + 1)]
        first = self.step == 0 if len(self.step) else Const(1)
        failing = Mux(first, 0, fail[SLICE_BITS * index : SLICE_BITS * (index + 1)])
        for number in range(generators):
            generator = library.add(m, f"generator_{index}_{number}", SeededSfc64())
            m.d.comb += [
                generator.seed.eq(self.seed),
                generator.stream.eq(self.first_generator + index * generators + number),
                generator.load.eq(self.load),
                generator.advance.eq(self.draw),
            ]
            drawn = generator.word[: len(intended)]
            p_01, p_10 = (
                p.word_select(self.step, generators)[number].replicate(len(intended))
                for p in (self.p_01, self.p_10)
            )
            p = (~intended & p_01) | (intended & p_10)
            combined = Signal(len(intended), name=f"fail_{index}_{number}")
            m.d.comb += combined.eq((p & (failing | drawn)) | (failing & drawn))
            failing = combined
        return failing
