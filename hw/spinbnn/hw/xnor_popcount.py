"""The arithmetic of one bank for one image: masked XNOR, population count, accumulation."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import popcount
from spinbnn.hw.library import Library

MAX_PLANES = 8


class DatapathControl(data.Struct):
    """What the engine tells every bank and lane about the beat at each pipeline stage.

    A beat is issued in clock t; `sum_*` belong to clock t+2, `accumulate_*` to t+3.
    """

    sum_enable: 1
    sum_first: 1
    accumulate_enable: 1
    accumulate_first: 1
    accumulate_from_zero: 1


class XnorPopcount(wiring.Component):
    """Masked XNOR-popcount with bit-plane weighting and accumulation.

    A plane of a word contributes ``2 * popcount(~(row ^ operand) & mask) - popcount(mask)``. Planes come most
    significant first and are folded by doubling, so no shifter is needed; the finished word sum is added to
    the accumulator. Latency from `row` and `operand` to `accumulator` is 3 clocks.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `word_bits`, `accumulator_bits`.

    Members
    -------
    row, operand, mask : In(word_bits)
        Weights, activations and valid bits of this clock's plane.
    mask_count : In
        Population count of the mask of the clock before.
    control : In(DatapathControl)
        Which registers take part in this clock.
    start : In(signed(accumulator_bits))
        Value the accumulator starts from, unless `accumulate_from_zero`.
    accumulator : Out(signed(accumulator_bits))
        The sum so far.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._word_bits = geometry.word_bits
        accumulator = signed(geometry.accumulator_bits)
        super().__init__(
            {
                "row": In(geometry.word_bits),
                "operand": In(geometry.word_bits),
                "mask": In(geometry.word_bits),
                "mask_count": In(range(geometry.word_bits + 1)),
                "control": In(DatapathControl),
                "start": In(accumulator),
                "accumulator": Out(accumulator),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        match = Signal(self._word_bits)
        m.d.comb += match.eq(~(self.row ^ self.operand) & self.mask)
        match_count = popcount(m, "popcount", match)
        count = Signal.like(match_count)
        m.d.sync += count.eq(match_count)

        largest = self._word_bits * ((1 << MAX_PLANES) - 1)
        word_sum = Signal(range(-largest, largest + 1))
        term = Signal(range(-self._word_bits, self._word_bits + 1))
        m.d.comb += term.eq((count << 1) - self.mask_count)
        with m.If(self.control.sum_enable):
            m.d.sync += word_sum.eq(Mux(self.control.sum_first, 0, word_sum << 1) + term)

        previous = Signal.like(self.accumulator)
        with m.If(~self.control.accumulate_first):
            m.d.comb += previous.eq(self.accumulator)
        with m.Elif(~self.control.accumulate_from_zero):
            m.d.comb += previous.eq(self.start)
        with m.If(self.control.accumulate_enable):
            m.d.sync += self.accumulator.eq(previous + word_sum)
        return m
