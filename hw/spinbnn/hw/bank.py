"""One bank: its MRAM cells, its thresholds, and the arithmetic of its neuron for every lane."""

from amaranth.hdl import Cat, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import Ram
from spinbnn.hw.library import Library
from spinbnn.hw.xnor_popcount import DatapathControl, XnorPopcount


class Bank(wiring.Component):
    """MRAM bank with the neurons that its rows feed, one a lane.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    array_enable, array_write, array_row, array_write_data, array_read_data
        The MRAM port; a read row appears in the next clock and holds.
    operands, masks : In(lanes * word_bits)
        Activations and valid bits of every lane, in the clock of `array_read_data`.
    mask_counts
        Population counts of the masks of the clock before.
    control : In(DatapathControl)
        Pipeline control, the same for all banks.
    threshold_read_enable, threshold_read_row
        Fetches the neuron's threshold, in the clock before `accumulate_first`.
    threshold_write_enable, threshold_write_row, threshold_write_data
        Writes a threshold: the accumulator's start value, and above it the flip.
    bits : Out(lanes)
        Binary activation of every lane once the accumulators are complete.
    sums : Out(lanes * accumulator_bits)
        The accumulators.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        threshold_row = ceil_log2(g.threshold_rows)
        super().__init__(
            {
                "array_enable": In(1),
                "array_write": In(1),
                "array_row": In(ceil_log2(g.rows)),
                "array_write_data": In(g.word_bits),
                "array_read_data": Out(g.word_bits),
                "operands": In(g.lanes * g.word_bits),
                "masks": In(g.lanes * g.word_bits),
                "mask_counts": In(g.lanes * (g.word_bits).bit_length()),
                "control": In(DatapathControl),
                "threshold_read_enable": In(1),
                "threshold_read_row": In(threshold_row),
                "threshold_write_enable": In(1),
                "threshold_write_row": In(threshold_row),
                "threshold_write_data": In(g.accumulator_bits + 1),
                "bits": Out(g.lanes),
                "sums": Out(g.lanes * g.accumulator_bits),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        m.submodules.array = Instance(
            "spinbnn_mram_array",
            p_WORD_BITS=g.word_bits,
            p_ROWS=g.rows,
            p_ROW_ADDRESS_BITS=len(self.array_row),
            i_clk=ClockSignal(),
            i_enable=self.array_enable,
            i_write=self.array_write,
            i_row=self.array_row,
            i_write_data=self.array_write_data,
            o_read_data=self.array_read_data,
        )
        thresholds = Ram(m, "thresholds", g.accumulator_bits + 1, g.threshold_rows)
        m.d.comb += [
            thresholds.read_enable.eq(self.threshold_read_enable),
            thresholds.read_address.eq(self.threshold_read_row),
            thresholds.write_enable.eq(self.threshold_write_enable),
            thresholds.write_address.eq(self.threshold_write_row),
            thresholds.write_data.eq(self.threshold_write_data),
        ]
        start = thresholds.read_data[: g.accumulator_bits].as_signed()
        # The next group may fetch its threshold while this group's last word is added: keep this one's flip.
        flip = Signal()
        with m.If(self.control.accumulate_enable & self.control.accumulate_first):
            m.d.sync += flip.eq(thresholds.read_data[g.accumulator_bits])

        sums = []
        for lane in range(g.lanes):
            neuron = library.add(m, f"neuron_{lane}", XnorPopcount(g))
            m.d.comb += [
                neuron.row.eq(self.array_read_data),
                neuron.operand.eq(self.operands.word_select(lane, g.word_bits)),
                neuron.mask.eq(self.masks.word_select(lane, g.word_bits)),
                neuron.mask_count.eq(self.mask_counts.word_select(lane, len(neuron.mask_count))),
                neuron.control.eq(self.control),
                neuron.start.eq(start),
                self.bits[lane].eq(~neuron.accumulator[-1] ^ flip),
            ]
            sums.append(neuron.accumulator)
        m.d.comb += self.sums.eq(Cat(*sums))
        return m
