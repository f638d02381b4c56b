"""The arithmetic of one bank for one image: masked XNOR, population count, accumulation."""

from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import popcount
from spinbnn.hw.library import Library

MAX_PLANES = 8


class DatapathControl(data.Struct):
    """What the engine tells every bank and lane about the beat at each pipeline stage.

    A beat is issued in clock t; `paired` belongs to clock t+1, `sum_*` to t+2, `accumulate_*` to t+3,
    `pool_*` to t+4.
    """

    paired: 1
    sum_enable: 1
    sum_first: 1
    sum_shift: 2
    sum_negative: 1
    accumulate_enable: 1
    accumulate_first: 1
    accumulate_from_zero: 1
    pool_enable: 1
    pool_first: 1
    pool_flipped: 1


class XnorPopcount(wiring.Component):
    """Masked XNOR-popcount with bit-plane weighting and accumulation.

    A step of a word contributes ``2 * popcount(~(row ^ operand) & mask) - popcount(mask)``. Steps come by
    falling place value and are folded by doubling, so no wide shifter is needed; the finished word sum is
    added to the accumulator. In a paired word the upper half counts double: it holds the next higher plane.
    Latency from `row` and `operand` to `accumulator` is 3 clocks.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `word_bits`, `accumulator_bits`.

    Members
    -------
    row, operand, mask : In(word_bits)
        Weights, activations and valid bits of this clock's plane.
    mask_count : In
        Weighted count of the mask of the clock before.
    control : In(DatapathControl)
        Which registers take part in this clock.
    start : In(signed(accumulator_bits))
        Value the accumulator starts from, unless `accumulate_from_zero`.
    accumulator : Out(signed(accumulator_bits))
        The sum so far.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        accumulator = signed(geometry.accumulator_bits)
        super().__init__(
            {
                "row": In(geometry.word_bits),
                "operand": In(geometry.word_bits),
                "mask": In(geometry.word_bits),
                "mask_count": In(range(largest_count(geometry) + 1)),
                "control": In(DatapathControl),
                "start": In(accumulator),
                "accumulator": Out(accumulator),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        match = Signal(g.word_bits)
        m.d.comb += match.eq(~(self.row ^ self.operand) & self.mask)
        match_count = weighted_count(m, g, "match", match, self.control.paired)
        count = Signal.like(match_count)
        m.d.sync += count.eq(match_count)

        largest = largest_count(g) * ((1 << MAX_PLANES) - 1) * ((1 << g.weight_planes) - 1)
        word_sum = Signal(range(-largest, largest + 1))
        term = Signal(range(-largest_count(g), largest_count(g) + 1))
        m.d.comb += term.eq((count << 1) - self.mask_count)
        with m.If(self.control.sum_enable):
            m.d.sync += word_sum.eq(
                Mux(self.control.sum_first, 0, self._doubled(word_sum)) + self._signed(term)
            )

        previous = Signal.like(self.accumulator)
        with m.If(~self.control.accumulate_first):
            m.d.comb += previous.eq(self.accumulator)
        with m.Elif(~self.control.accumulate_from_zero):
            m.d.comb += previous.eq(self.start)
        with m.If(self.control.accumulate_enable):
            m.d.sync += self.accumulator.eq(previous + word_sum)
        return m

    def _signed(self, term: Signal) -> Value:
        """Return the term, negated if the step asks: only activations of several bits have such planes."""
        if self._geometry.activation_bits == 1:
            return term
        return Mux(self.control.sum_negative, -term, term)

    def _doubled(self, word_sum: Signal) -> Value:
        """Return the sum shifted as the step asks; a machine has only shifts that its networks can need."""
        shift, shifted = self.control.sum_shift, word_sum << 1
        if self._geometry.weight_planes > 1:
            shifted = Mux(shift == 0, word_sum, shifted)
        if self._geometry.image_elements:
            shifted = Mux(shift == 2, word_sum << 2, shifted)
        return shifted


def largest_count(geometry: Geometry) -> int:
    """Return the largest weighted count of a word: its upper half counts double where planes are paired."""
    return geometry.word_bits + (geometry.word_bits // 2 if geometry.image_elements else 0)


def weighted_count(m: Module, geometry: Geometry, name: str, bits: Signal, paired: Value) -> Value:
    """Add population counts of a word; return their sum, the upper half doubled if `paired`."""
    half = geometry.word_bits // 2
    if not geometry.image_elements or not half:
        return popcount(m, f"{name}_popcount", bits)
    lower = popcount(m, f"{name}_lower_popcount", bits[:half])
    upper = popcount(m, f"{name}_upper_popcount", bits[half:])
    count = Signal(range(largest_count(geometry) + 1), name=f"{name}_weighted_count")
    m.d.comb += count.eq(lower + Mux(paired, upper << 1, upper))
    return count
