"""The counters of activations in MRAM: words, wrong bits and energy of each lane."""

from amaranth.hdl import Array, Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import popcount
from spinbnn.hw.counters import COUNTER_BITS, Counter
from spinbnn.hw.library import Library

LANE_COUNTERS = (Counter.ACTIVATION_WORDS, Counter.ACTIVATION_FLIPS, Counter.ACTIVATION_ENERGY_AJ)
"""The counters that a lane has, which is selected in the place of a bank."""


class ActivationCounters(wiring.Component):
    """Registers, because every lane may write a word in every clock.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `lanes`, `word_bits`.

    Members
    -------
    clear : In(1)
        Sets all counters to 0.
    written : In(lanes)
        Lanes that store a word at the end of this clock; it is counted in the next.
    flips : In(lanes * word_bits)
        Its wrong bits.
    word_energy : In(32)
        Energy of storing a word, attojoules.
    select : In(1), select_lane, select_counter
        Fetches a counter to `value`.
    value : Out(64)
        The selected counter, from the clock after `select` on.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__(
            {
                "clear": In(1),
                "written": In(g.lanes),
                "flips": In(g.lanes * g.word_bits),
                "word_energy": In(32),
                "select": In(1),
                "select_lane": In(range(g.lanes)),
                "select_counter": In(range(max(LANE_COUNTERS) + 1)),
                "value": Out(COUNTER_BITS),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        lanes = range(self._geometry.lanes)
        counters = {counter: self._lane_counters(counter.name.lower()) for counter in LANE_COUNTERS}
        # Counting a clock later keeps the population count out of the path from the generators to the memory.
        written = Signal.like(self.written)
        flips = Signal.like(self.flips)
        m.d.sync += [written.eq(self.written), flips.eq(self.flips)]
        for lane in lanes:
            wrong = popcount(m, f"popcount_{lane}", flips.word_select(lane, self._geometry.word_bits))
            amounts = {
                Counter.ACTIVATION_WORDS: 1,
                Counter.ACTIVATION_FLIPS: wrong,
                Counter.ACTIVATION_ENERGY_AJ: self.word_energy,
            }
            with m.If(written[lane]):
                for counter, amount in amounts.items():
                    m.d.sync += counters[counter][lane].eq(counters[counter][lane] + amount)
        with m.If(self.clear):
            m.d.sync += [counters[counter][lane].eq(0) for counter in LANE_COUNTERS for lane in lanes]
        with m.If(self.select):
            with m.Switch(self.select_counter):
                for counter in LANE_COUNTERS:
                    with m.Case(counter):
                        m.d.sync += self.value.eq(Array(counters[counter])[self.select_lane])
        return m

    def _lane_counters(self, name: str) -> list[Signal]:
        return [Signal(COUNTER_BITS, name=f"{name}_{lane}") for lane in range(self._geometry.lanes)]
