"""The engine: walks the layers' descriptors and issues one beat a clock to all banks and lanes."""

from typing import Any

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.activation_writer import PULSE_BITS
from spinbnn.hw.cells import Ram
from spinbnn.hw.descriptor import DESCRIPTOR_WORDS, USED_WORDS, DescriptorLayout
from spinbnn.hw.lane import chunk_bits, operand_address_bits
from spinbnn.hw.library import Library
from spinbnn.hw.loops import LoopNest
from spinbnn.hw.xnor_popcount import DatapathControl


def is_ragged(geometry: Geometry) -> bool:
    """Whether a group's bits can straddle words, so that a layer may end with a rest to write."""
    return bool(geometry.banks % geometry.word_bits and geometry.word_bits % geometry.banks)


def group_words(geometry: Geometry) -> int:
    """Words of activations that a group's drain writes at most: V in `docs/architecture.md`."""
    banks, width = geometry.banks, geometry.word_bits
    return (width - 1 + banks) // width + is_ragged(geometry)


class GroupInfo(data.StructLayout):
    """What becomes of a finished neuron group."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(
            {
                "logits": 1,  # sums go to the results, not bits to the activations
                "first": 1,  # of the layer
                "last": 1,  # of the layer
                "neurons": range(geometry.banks + 1),
                "images": range(geometry.lanes + 1),
                "destination": ceil_log2(geometry.activation_words),
                "tag": 1,  # alternates from one writing layer to the next
            }
        )


class BeatInfo(data.StructLayout):
    """A beat on its way down the pipeline."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(
            {
                "valid": 1,
                "first_plane": 1,
                "last_plane": 1,
                "first_word": 1,
                "group_end": 1,
                "threshold_row": ceil_log2(geometry.threshold_rows),
                "group": GroupInfo(geometry),
            }
        )


class Engine(wiring.Component):
    """Issues beats: neuron group, word, plane, layer after layer, batch after batch.

    The timing is that of `docs/architecture.md`, section Timing. A beat is issued in clock t; rows and
    operands are there in t+1, counts in t+2, word sums in t+3, accumulators in t+4, when a finished group is
    captured.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    start : In(1)
        A run begins in the next clock.
    images, last_layer : In
        Images of the run; layers less one.
    descriptor_write_enable, descriptor_write_address, descriptor_write_data
        Writes a 32-bit word of the descriptor memory.
    input_full, input_half, input_consumed
        The loader's batch: ready to read, in which half, and read to its end.
    row_enable, row : Out
        Reads a row in every bank.
    read_enable, read_input, read_address : Out
        Reads an operand in every lane.
    from_input, is_unsigned, tail_mask : Out
        About the beat of the clock before, for the lanes.
    control : Out(DatapathControl)
        For the banks.
    threshold_read_enable, threshold_read_row : Out
        For the banks.
    capture : Out(1), group : Out(GroupInfo)
        A group is complete in this clock.
    write_pointer, write_tag, writing_done
        From the drain: where the next word goes, for which layer, and that a layer's last word is written.
    results_free : In(1)
        The results of the batch before are all accepted.
    results_claim : Out(1)
        A batch's first group of logits is on its way.
    issue : Out(1)
        A beat is issued.
    write_wait_clocks : In(16)
        Clocks for which the drain holds each word. Only where activations are stored in MRAM.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        address = operand_address_bits(g)
        slow_writes = {"write_wait_clocks": In(PULSE_BITS)}
        super().__init__(
            {
                "start": In(1),
                "images": In(32),
                "last_layer": In(8),
                "descriptor_write_enable": In(1),
                "descriptor_write_address": In(ceil_log2(g.layers * DESCRIPTOR_WORDS)),
                "descriptor_write_data": In(32),
                "input_full": In(1),
                "input_half": In(1),
                "input_consumed": Out(1),
                "row_enable": Out(1),
                "row": Out(ceil_log2(g.rows)),
                "read_enable": Out(1),
                "read_input": Out(1),
                "read_address": Out(address),
                "from_input": Out(1),
                "is_unsigned": Out(1),
                "tail_mask": Out(g.word_bits),
                "control": Out(DatapathControl),
                "threshold_read_enable": Out(1),
                "threshold_read_row": Out(ceil_log2(g.threshold_rows)),
                "capture": Out(1),
                "group": Out(GroupInfo(g)),
                "write_pointer": In(ceil_log2(g.activation_words)),
                "write_tag": In(1),
                "writing_done": In(1),
                "results_free": In(1),
                "results_claim": Out(1),
                "issue": Out(1),
            }
            | (slow_writes if g.memory.activation_generators else {})
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        layer = Signal(DescriptorLayout)
        active = Signal()
        row = Signal.like(self.row)
        threshold_row = Signal.like(self.threshold_read_row)
        offset = Signal.like(self.read_address)  # of the operand, from the start of its vector
        tail_mask = Signal(g.word_bits)
        tag = Signal()
        images_left = Signal(32)
        next_index = Signal(range(g.layers))
        next_valid = Signal()
        following = self._descriptor_memory(m, next_index)

        loops = library.add(m, "loops", LoopNest({"group": 16, "word": 16, "plane": 3}))
        group_end = Signal()
        layer_end = Signal()
        batch_end = Signal()
        m.d.comb += [
            loops.group_last_index.eq(layer.groups - 1),
            loops.word_last_index.eq(layer.words - 1),
            loops.plane_last_index.eq(layer.planes - 1),
            loops.advance.eq(self.issue),
            group_end.eq(loops.word_last & loops.plane_last),
            layer_end.eq(self.issue & group_end & loops.group_last),
            batch_end.eq(layer_end & layer.output_logits),
        ]

        self._operand(m, layer, offset)
        batch_images = Signal(range(g.lanes + 1))
        m.d.comb += batch_images.eq(Mux(images_left < g.lanes, images_left, g.lanes))
        group = self._group(m, layer, loops, batch_images, tag)
        stalled = self._stalls(m, layer, loops, group_end, group, tag, layer_end, next_valid)
        m.d.comb += [
            self.issue.eq(active & ~stalled),
            self.row_enable.eq(self.issue & loops.plane_first),
            self.row.eq(row),
            self.read_enable.eq(self.issue),
            self.read_input.eq(layer.source_input),
            self.input_consumed.eq(layer_end & layer.source_input),
            self.results_claim.eq(self.issue & group_end & layer.output_logits & loops.group_first),
        ]

        m.d.sync += next_valid.eq(1)
        with m.If(self.issue):
            m.d.sync += [offset.eq(Mux(group_end, 0, offset + 1)), row.eq(row + loops.plane_last)]
            m.d.sync += threshold_row.eq(threshold_row + group_end)
        with m.If(layer_end & ~layer.output_logits):
            m.d.sync += tag.eq(~tag)
        with m.If(batch_end):
            m.d.sync += images_left.eq(images_left - batch_images)
        with m.If(self.start):
            m.d.sync += images_left.eq(self.images)
        with m.If(self.start | layer_end):
            m.d.sync += [
                layer.eq(following),
                row.eq(following.row_base),
                threshold_row.eq(following.threshold_base),
                tail_mask.eq((1 << following.tail_bits[: g.word_bits.bit_length()]) - 1),
                next_index.eq(Mux(next_index == self.last_layer, 0, next_index + 1)),
                next_valid.eq(0),
                active.eq(1),
            ]
        with m.If(batch_end & (images_left == batch_images)):
            m.d.sync += [active.eq(0), next_index.eq(0)]

        last_word = loops.word_last
        m.d.sync += [
            self.from_input.eq(layer.source_input),
            self.is_unsigned.eq(layer.input_unsigned),
            self.tail_mask.eq(Mux(last_word, tail_mask, ~0)),
        ]
        beat = Signal(BeatInfo(g))
        m.d.comb += [
            beat.valid.eq(self.issue),
            beat.first_plane.eq(loops.plane_first),
            beat.last_plane.eq(loops.plane_last),
            beat.first_word.eq(loops.word_first),
            beat.group_end.eq(group_end),
            beat.threshold_row.eq(threshold_row),
            beat.group.eq(group),
        ]
        self._pipeline(m, beat)
        return m

    def _descriptor_memory(self, m: Module, index: Signal) -> Any:
        """Words of the descriptor at `index`, one clock later."""
        g = self._geometry
        words = []
        address = self.descriptor_write_address
        for word in range(USED_WORDS):
            memory = Ram(m, f"descriptors_{word}", 32, g.layers)
            m.d.comb += [
                memory.read_enable.eq(1),
                memory.read_address.eq(index),
                memory.write_enable.eq(
                    self.descriptor_write_enable & (address[: ceil_log2(DESCRIPTOR_WORDS)] == word)
                ),
                memory.write_address.eq(address[ceil_log2(DESCRIPTOR_WORDS) :]),
                memory.write_data.eq(self.descriptor_write_data),
            ]
            words.append(memory.read_data)
        following = Signal(DescriptorLayout)
        m.d.comb += following.eq(Cat(*words))
        return following

    def _operand(self, m: Module, layer: Any, offset: Signal) -> None:
        base = Signal.like(self.read_address)
        half = Mux(self.input_half, self._geometry.input_words, 0)
        m.d.comb += [
            base.eq(Mux(layer.source_input, half, layer.source_base)),
            self.read_address.eq(base + offset),
        ]

    def _group(self, m: Module, layer: Any, loops: LoopNest, images: Signal, tag: Signal) -> Any:
        group = Signal(GroupInfo(self._geometry))
        m.d.comb += [
            group.logits.eq(layer.output_logits),
            group.first.eq(loops.group_first),
            group.last.eq(loops.group_last),
            group.neurons.eq(Mux(loops.group_last, layer.last_group_neurons, self._geometry.banks)),
            group.images.eq(images),
            group.destination.eq(layer.destination_base),
            group.tag.eq(tag),
        ]
        return group

    def _stalls(
        self,
        m: Module,
        layer: Any,
        loops: LoopNest,
        group_end: Signal,
        group: Any,
        tag: Signal,
        layer_end: Signal,
        next_valid: Signal,
    ) -> Signal:
        """Whether the beat has to wait; one condition for each kind of stall of the Timing section."""
        source_draining = Signal()  # the layer before still writes what this layer reads
        with m.If(self.writing_done):
            m.d.sync += source_draining.eq(0)
        with m.If(layer_end):
            m.d.sync += source_draining.eq(~layer.output_logits)
        written = (self.write_tag != tag) & (self.read_address < self.write_pointer)

        timer = Signal(range(self._longest_drain() + 2))
        with m.If(self.issue & group_end):
            m.d.sync += timer.eq(self._drain_clocks(group) - 1)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        stalls = {
            "input": layer.source_input & ~self.input_full,
            "operand": ~layer.source_input & source_draining & ~written,
            "drain": group_end & (timer != 0),
            "result": group_end & layer.output_logits & loops.group_first & ~self.results_free,
            "descriptor": group_end & loops.group_last & ~next_valid,
        }
        stalled = Signal()
        for name, condition in stalls.items():
            signal = Signal(name=f"stall_{name}")
            m.d.comb += signal.eq(condition)
        m.d.comb += stalled.eq(Cat(*stalls.values()).any())
        return stalled

    def _longest_drain(self) -> int:
        g = self._geometry
        waits = (2**PULSE_BITS - 1) * group_words(g) if g.memory.activation_generators else 0
        return g.banks * g.lanes + waits

    def _drain_clocks(self, group: Any) -> Any:
        g = self._geometry
        size = chunk_bits(g)
        chunks = sum((group.neurons > start for start in range(0, g.banks, size)), Const(0))
        flush = group.last & is_ragged(g)
        bits = chunks + flush
        if g.memory.activation_generators:
            bits = bits + self.write_wait_clocks * group_words(g)
        return Mux(group.logits, group.neurons * group.images, bits)

    def _pipeline(self, m: Module, beat: Any) -> None:
        stages = [beat]
        for number in range(1, 5):
            stage = Signal(BeatInfo(self._geometry), name=f"stage_{number}")
            m.d.sync += stage.eq(stages[-1])
            stages.append(stage)
        m.d.comb += [
            self.control.sum_enable.eq(stages[2].valid),
            self.control.sum_first.eq(stages[2].first_plane),
            self.threshold_read_enable.eq(stages[2].valid & stages[2].first_word & stages[2].last_plane),
            self.threshold_read_row.eq(stages[2].threshold_row),
            self.control.accumulate_enable.eq(stages[3].valid & stages[3].last_plane),
            self.control.accumulate_first.eq(stages[3].first_word),
            self.control.accumulate_from_zero.eq(stages[3].group.logits),
            self.capture.eq(stages[4].valid & stages[4].group_end),
            self.group.eq(stages[4].group),
        ]
