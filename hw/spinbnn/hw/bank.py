"""One bank: its MRAM cells, its thresholds, and the arithmetic of its neuron for every lane."""

from typing import Any

from amaranth.hdl import Cat, ClockSignal, Const, Elaboratable, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cell_code import ReadFlags, decode, is_coded
from spinbnn.hw.cells import Ram
from spinbnn.hw.counters import COUNTER_BITS, read_kinds
from spinbnn.hw.integer_head import HeadControl, IntegerHead
from spinbnn.hw.library import Library
from spinbnn.hw.xnor_popcount import DatapathControl, XnorPopcount, largest_count

MISMATCH_BITS = 32  # a word of the table


def mismatch_words(geometry: Geometry) -> int:
    """Return the words of a bank's mismatch table; none without differential cells."""
    return -(-geometry.code_bits // MISMATCH_BITS) if geometry.memory.differential else 0


def residual_row_bits(geometry: Geometry) -> int:
    """Return the address bits of the integers that a bank keeps."""
    return ceil_log2(max(2, geometry.residual_rows))


def integer_ports(geometry: Geometry) -> dict[str, Any]:
    """Return shape by name of the ports through which the engine works the integer heads of every bank."""
    shapes: dict[str, Any] = {}
    if geometry.integer_head:
        shapes = {
            "head": HeadControl,
            "flip_read_enable": 1,
            "flip_read_row": ceil_log2(geometry.threshold_rows),
        }
    if geometry.residual_rows:
        row = residual_row_bits(geometry)
        shapes |= {
            "residual_read_enable": 1,
            "residual_read_row": row,
            "residual_write_enable": 1,
            "residual_write_row": row,
        }
    return shapes


class Bank(wiring.Component):
    """MRAM bank with the neurons that its rows feed, one a lane.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    array_enable, array_write, array_row, array_write_data, array_read_data
        The MRAM port, cells; a read row appears in the next clock and holds.
    read_data : Out(word_bits), read_flags : Out(ReadFlags)
        What the cells of `array_read_data` read as; only where they are not the data themselves.
    counted : In(1)
        The row that is read in this clock counts in the following.
    clear : In(1)
        Sets those counts to 0.
    corrected_reads, uncorrectable_reads, tied_reads : Out(64)
        Counted rows that read so; each only with its option.
    mismatch_write_enable, mismatch_write_data
        For each 32-bit word of the sense amplifiers' mismatch: writes it; only with differential cells.
    operands, masks : In(lanes * word_bits)
        Activations and valid bits of every lane, in the clock of `array_read_data`.
    mask_counts
        Weighted counts of the masks of the clock before.
    control : In(DatapathControl)
        Pipeline control, the same for all banks.
    threshold_read_enable, threshold_read_row
        Fetches the neuron's threshold, in the clock before `accumulate_first`.
    threshold_write_enable, threshold_write_row, threshold_write_data
        Writes a threshold: the accumulator's start value, and above it the flip.
    bits : Out(lanes * activation_bits)
        Activation of every lane once the accumulators are complete, or in the last step of the integer heads.
    sums : Out(lanes * accumulator_bits)
        The accumulators, or the integers that the integer heads hold.
    head : In(HeadControl)
        Control of the integer heads; this and the following only in machines that have them.
    flip_read_enable, flip_read_row
        Fetches the neuron's flip as `threshold_read_enable` does its threshold in machines without.
    residual_read_enable, residual_read_row
        Fetches the integers that are added, in the clock before `head.hold`.
    residual_write_enable, residual_write_row
        Keeps the integers of the clock of `head.hold`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        threshold_row = ceil_log2(g.threshold_rows)
        super().__init__(
            {
                "array_enable": In(1),
                "array_write": In(1),
                "array_row": In(ceil_log2(g.rows)),
                "array_write_data": In(g.row_cells),
                "array_read_data": Out(g.row_cells),
                "operands": In(g.lanes * g.word_bits),
                "masks": In(g.lanes * g.word_bits),
                "mask_counts": In(g.lanes * largest_count(g).bit_length()),
                "control": In(DatapathControl),
                "threshold_read_enable": In(1),
                "threshold_read_row": In(threshold_row),
                "threshold_write_enable": In(1),
                "threshold_write_row": In(threshold_row),
                "threshold_write_data": In(g.accumulator_bits + 1),
                "bits": Out(g.lanes * g.activation_bits),
                "sums": Out(g.lanes * g.accumulator_bits),
            }
            | self._coded_members()
            | {name: In(shape) for name, shape in integer_ports(g).items()}
        )

    def _coded_members(self) -> dict[str, Any]:
        g = self._geometry
        members: dict[str, Any] = {}
        if is_coded(g):
            members = {
                "read_data": Out(g.word_bits),
                "read_flags": Out(ReadFlags(g)),
                "counted": In(1),
                "clear": In(1),
            }
        members |= {f"{kind}_reads": Out(COUNTER_BITS) for kind in read_kinds(g)}
        if words := mismatch_words(g):
            members |= {
                "mismatch_write_enable": In(words),
                "mismatch_write_data": In(min(MISMATCH_BITS, g.code_bits)),
            }
        return members

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        m.submodules.array = Instance(
            "spinbnn_mram_array",
            p_WORD_BITS=g.row_cells,
            p_ROWS=g.rows,
            p_ROW_ADDRESS_BITS=len(self.array_row),
            i_clk=ClockSignal(),
            i_enable=self.array_enable,
            i_write=self.array_write,
            i_row=self.array_row,
            i_write_data=self.array_write_data,
            o_read_data=self.array_read_data,
        )
        row = self._read(m) if is_coded(g) else self.array_read_data
        thresholds = Ram(m, "thresholds", g.accumulator_bits + 1, g.threshold_rows)
        m.d.comb += [
            thresholds.read_enable.eq(self.threshold_read_enable),
            thresholds.read_address.eq(self.threshold_read_row),
            thresholds.write_enable.eq(self.threshold_write_enable),
            thresholds.write_address.eq(self.threshold_write_row),
            thresholds.write_data.eq(self.threshold_write_data),
        ]
        start = thresholds.read_data[: g.accumulator_bits].as_signed()
        flip_of_group: Value = thresholds.read_data[g.accumulator_bits]
        if g.integer_head:
            flip_of_group = self._flips(m)
        # The next group may fetch its threshold while this group's last word is added: keep this one's flip.
        flip = Signal()
        with m.If(self.control.accumulate_enable & self.control.accumulate_first):
            m.d.sync += flip.eq(flip_of_group)

        neurons = []
        for lane in range(g.lanes):
            neuron = library.add(m, f"neuron_{lane}", XnorPopcount(g))
            m.d.comb += [
                neuron.row.eq(row),
                neuron.operand.eq(self.operands.word_select(lane, g.word_bits)),
                neuron.mask.eq(self.masks.word_select(lane, g.word_bits)),
                neuron.mask_count.eq(self.mask_counts.word_select(lane, len(neuron.mask_count))),
                neuron.control.eq(self.control),
                neuron.start.eq(start),
            ]
            neurons.append(neuron)
        if g.integer_head:
            self._elaborate_integer_heads(m, library, neurons, flip, start)
        else:
            m.d.comb += [
                self.bits[lane].eq(self._pooled(m, lane, ~neuron.accumulator[-1], flip))
                for lane, neuron in enumerate(neurons)
            ]
            m.d.comb += self.sums.eq(Cat(neuron.accumulator for neuron in neurons))
        return m

    def _flips(self, m: Module) -> Value:
        """Keep the flips apart from the thresholds, which the heads read at other times."""
        g = self._geometry
        flips = Ram(m, "flips", 1, g.threshold_rows)
        m.d.comb += [
            flips.read_enable.eq(self.flip_read_enable),
            flips.read_address.eq(self.flip_read_row),
            flips.write_enable.eq(self.threshold_write_enable),
            flips.write_address.eq(self.threshold_write_row),
            flips.write_data.eq(self.threshold_write_data[g.accumulator_bits]),
        ]
        return flips.read_data

    def _elaborate_integer_heads(
        self, m: Module, library: Library, neurons: list[XnorPopcount], flip: Signal, start: Value
    ) -> None:
        g = self._geometry
        heads = [library.add(m, f"head_{lane}", IntegerHead(g)) for lane in range(g.lanes)]
        residuals: Value = Const(0, g.lanes * g.accumulator_bits)
        if g.residual_rows:
            memory = Ram(m, "residuals", g.lanes * g.accumulator_bits, max(2, g.residual_rows))
            m.d.comb += [
                memory.read_enable.eq(self.residual_read_enable),
                memory.read_address.eq(self.residual_read_row),
                memory.write_enable.eq(self.residual_write_enable),
                memory.write_address.eq(self.residual_write_row),
                memory.write_data.eq(Cat(head.result for head in heads)),
            ]
            residuals = memory.read_data
        for lane, (neuron, head) in enumerate(zip(neurons, heads, strict=True)):
            m.d.comb += [
                head.control.eq(self.head),
                head.sum.eq(neuron.accumulator),
                head.flip.eq(flip),
                head.residual.eq(residuals.word_select(lane, g.accumulator_bits).as_signed()),
                head.start.eq(start),
            ]
        m.d.comb += [
            self.bits.eq(Cat(head.code for head in heads)),
            self.sums.eq(Cat(head.held for head in heads)),
        ]

    def _pooled(self, m: Module, lane: int, reached: Value, flip: Signal) -> Value:
        """Return the activation of a pooling window, whose sums come one after the other.

        The largest of several sums reaches the threshold if one of them does, and the flip is of what comes
        of them. The largest of several activations is 1 if one of them is, and the flip is of each.
        """
        control = self.control
        before = Signal(name=f"pooled_{lane}")
        pooled = Signal(name=f"pooled_now_{lane}")
        m.d.comb += pooled.eq(reached ^ (flip & control.pool_flipped) | (before & ~control.pool_first))
        with m.If(control.pool_enable):
            m.d.sync += before.eq(pooled)
        return pooled ^ (flip & ~control.pool_flipped)

    def _read(self, m: Module) -> Value:
        """Decode the row that was read, and count what became of it if the engine read it."""
        g = self._geometry
        word, flags = decode(m, g, self.array_read_data, self._mismatch(m))
        counted = Signal()
        m.d.sync += counted.eq(self.counted)
        for kind in read_kinds(g):
            count = getattr(self, f"{kind}_reads")
            with m.If(counted & flags[kind]):
                m.d.sync += count.eq(count + 1)
            with m.If(self.clear):
                m.d.sync += count.eq(0)
        m.d.comb += [self.read_data.eq(word), self.read_flags.eq(flags)]
        return word

    def _mismatch(self, m: Module) -> Value:
        """Keep what the sense amplifiers read of two equal cells."""
        g = self._geometry
        if not g.memory.differential:
            return Const(0, g.code_bits)
        mismatch = Signal(g.code_bits, reset_less=True)  # like the other tables
        for index in range(mismatch_words(g)):
            with m.If(self.mismatch_write_enable[index]):
                part = mismatch[MISMATCH_BITS * index : MISMATCH_BITS * (index + 1)]
                m.d.sync += part.eq(self.mismatch_write_data)
        return mismatch
