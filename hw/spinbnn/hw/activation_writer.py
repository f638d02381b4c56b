"""The activation writer: how long a word of all lanes takes into MRAM, what goes wrong, what it costs."""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.activation_counters import ActivationCounters
from spinbnn.hw.activation_injector import ActivationInjector, word_draws
from spinbnn.hw.injector import PROBABILITY_BITS
from spinbnn.hw.library import Library
from spinbnn.hw.sfc64 import WARM_UP_DRAWS

PULSE_BITS = 16


class ActivationWriter(wiring.Component):
    """Holds the drain back while words are written, and flips bits of what is stored.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    seed : In(64), load : In(1), ready : Out(1)
        Seeds all generators; ready once they have thrown away their first draws.
    pulse_clocks : In(16)
        Length of a write pulse; 0 acts as 1.
    p_01, p_10 : In(32)
        See `ActivationInjector`.
    writing : In(1), hold : Out(1)
        The drain has a word for the lanes; it is not written in this clock yet.
    wait_clocks : Out(16)
        Clocks for which each word is held.
    intended : In(lanes * word_bits), flips : Out(lanes * word_bits)
        The lanes' words, and the bits of them that are stored wrong.
    written : In(lanes)
        Lanes that store their word at the end of this clock.
    word_energy, clear, select, select_lane, select_counter, value
        See `ActivationCounters`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        self._counters = ActivationCounters(g)
        passed_on = ("word_energy", "clear", "select", "select_lane", "select_counter", "value")
        super().__init__(
            {
                "seed": In(64),
                "load": In(1),
                "ready": Out(1),
                "pulse_clocks": In(PULSE_BITS),
                "p_01": In(PROBABILITY_BITS),
                "p_10": In(PROBABILITY_BITS),
                "writing": In(1),
                "hold": Out(1),
                "wait_clocks": Out(PULSE_BITS),
                "intended": In(g.lanes * g.word_bits),
                "flips": Out(g.lanes * g.word_bits),
                "written": In(g.lanes),
            }
            | {name: self._counters.signature.members[name] for name in passed_on}
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        draws = word_draws(self._geometry)
        clock = Signal(PULSE_BITS)  # of the word, from 0 on
        warm_up = Signal(range(WARM_UP_DRAWS + 1))  # draws that are left to throw away
        draw = Signal()
        m.d.comb += [
            self.ready.eq(warm_up == 0),
            self.wait_clocks.eq(Mux(self.pulse_clocks > draws, self.pulse_clocks, draws) - 1),
            self.hold.eq(self.writing & (clock != self.wait_clocks)),
            draw.eq(~self.ready | (self.writing & (clock < draws))),
        ]
        with m.If(self.writing):
            m.d.sync += clock.eq(Mux(self.hold, clock + 1, 0))
        with m.If(self.load):
            m.d.sync += warm_up.eq(WARM_UP_DRAWS)
        with m.Elif(~self.ready):
            m.d.sync += warm_up.eq(warm_up - 1)
        self._inject(m, library, draw, clock)
        self._count(m, library)
        return m

    def _inject(self, m: Module, library: Library, draw: Signal, clock: Signal) -> None:
        g = self._geometry
        flips = []
        for lane in range(g.lanes):
            injector = library.add(m, f"lane_{lane}", ActivationInjector(g))
            m.d.comb += [
                injector.first_generator.eq(lane * g.slices * g.memory.activation_generators),
                injector.seed.eq(self.seed),
                injector.load.eq(self.load),
                injector.draw.eq(draw),
                injector.step.eq(clock),
                injector.p_01.eq(self.p_01),
                injector.p_10.eq(self.p_10),
                injector.intended.eq(self.intended.word_select(lane, g.word_bits)),
            ]
            flips.append(injector.flips)
        m.d.comb += self.flips.eq(Cat(flips))

    def _count(self, m: Module, library: Library) -> None:
        counters = library.add(m, "counters", self._counters)
        m.d.comb += [
            counters.written.eq(self.written),
            counters.flips.eq(self.flips),
            counters.word_energy.eq(self.word_energy),
            counters.clear.eq(self.clear),
            counters.select.eq(self.select),
            counters.select_lane.eq(self.select_lane),
            counters.select_counter.eq(self.select_counter),
            self.value.eq(counters.value),
        ]
