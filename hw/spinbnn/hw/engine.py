"""The engine: walks the layers' descriptors and issues one beat a clock to all banks and lanes."""

from typing import Any

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import MAX_ACTIVATION_BITS
from spinbnn.hw.activation_writer import PULSE_BITS
from spinbnn.hw.bank import integer_ports, residual_row_bits
from spinbnn.hw.cells import Ram
from spinbnn.hw.descriptor import (
    DESCRIPTOR_WORDS,
    LEVELS,
    STEP_BITS,
    USED_WORDS,
    DescriptorLayout,
    StepLayout,
)
from spinbnn.hw.lane import chunk_bits, operand_address_bits
from spinbnn.hw.library import Library
from spinbnn.hw.loops import LoopNest
from spinbnn.hw.xnor_popcount import DatapathControl

PIXEL_BITS = 17  # signed coordinates of pixels

LOOP_COUNTS = {
    "position_y": "positions_y",
    "position_x": "positions_x",
    "group": "groups",
    "window_y": "window_y",
    "window_x": "window_x",
    "kernel_y": "kernel_y",
    "kernel_x": "kernel_x",
    "word": "words",
}
"""The loops, outermost first, and the descriptor's field that has the count of each."""

LOOPS = dict.fromkeys(LOOP_COUNTS, 16)


def is_ragged(geometry: Geometry) -> bool:
    """Whether a group's bits can straddle words, so that a pixel may end with a rest to write."""
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
                "last_of_pixel": 1,  # of an output pixel, whose words are complete with it
                "last": 1,  # of the layer
                "neurons": range(geometry.banks + 1),
                "images": range(geometry.lanes + 1),
                "destination": ceil_log2(geometry.activation_words),
                "tag": 1,  # alternates from one writing layer to the next
            }
            | ({"bits": range(geometry.activation_bits + 1)} if geometry.activation_bits > 1 else {})
        )


class BeatInfo(data.StructLayout):
    """A beat on its way down the pipeline."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(
            {
                "valid": 1,
                "paired": 1,
                "first_step": 1,
                "last_step": 1,
                "shift": 2,
                "negative": 1,
                "first_word": 1,  # of what is accumulated
                "sum_end": 1,
                "pool_first": 1,
                "pool_flipped": 1,
                "group_end": 1,
                "threshold_row": ceil_log2(geometry.threshold_rows),
                "group": GroupInfo(geometry),
            }
            | (self._integer_fields(geometry) if geometry.integer_head else {})
        )

    @staticmethod
    def _integer_fields(geometry: Geometry) -> dict[str, Any]:
        row = residual_row_bits(geometry)
        return {
            "relu": 1,
            "pool_sums": 1,
            "low": MAX_ACTIVATION_BITS,
            "last_threshold": MAX_ACTIVATION_BITS,
            "residual_add": 1,
            "residual_keep": 1,
            "residual_read_row": row,
            "residual_write_row": row,
        }


class Engine(wiring.Component):
    """Issues beats, layer after layer, batch after batch.

    The loops of a layer, from the outermost on: rows and columns of output pixels, neuron groups, rows and
    columns of a pooling window, rows and columns of a kernel, words of a tap, steps of a word.

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
    descriptor_write_enable, descriptor_write_layer, descriptor_write_word, descriptor_write_data
        Writes a 32-bit word of the descriptor memory.
    step_write_enable, step_write_address, step_write_data
        Writes a step.
    input_full, input_half, input_consumed
        The loader's batch: ready to read, in which half, and read to its end.
    row_enable, row : Out
        Reads a row in every bank.
    read_enable, read_input, read_address : Out
        Reads an operand in every lane.
    from_input, is_unsigned, paired, outside, pad_ones, pad_masked, tail_mask : Out
        About the beat of the clock before, for the lanes.
    control : Out(DatapathControl)
        For the banks.
    threshold_read_enable, threshold_read_row : Out
        For the banks.
    head, flip_read_enable, flip_read_row : Out
        For the banks; only where they have integer heads.
    residual_read_enable, residual_read_row, residual_write_enable, residual_write_row : Out
        For the banks; only where they keep integers.
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
                "descriptor_write_layer": In(ceil_log2(g.layers)),
                "descriptor_write_word": In(ceil_log2(DESCRIPTOR_WORDS)),
                "descriptor_write_data": In(32),
                "step_write_enable": In(1),
                "step_write_address": In(ceil_log2(g.steps)),
                "step_write_data": In(STEP_BITS),
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
                "paired": Out(1),
                "outside": Out(1),
                "pad_ones": Out(1),
                "pad_masked": Out(1),
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
            | {name: Out(shape) for name, shape in integer_ports(g).items()}
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        layer = Signal(DescriptorLayout)
        active = Signal()
        tail_mask = Signal(g.word_bits)
        tag = Signal()
        images_left = Signal(32)
        next_index = Signal(range(g.layers))
        next_valid = Signal()
        layer_end = Signal()
        layer_begin = Signal()  # the layer that follows begins in the next clock
        m.d.comb += layer_begin.eq(self.start | layer_end)
        following = self._descriptor_memory(m, next_index)
        step = self._step_memory(m, following, layer_begin)

        loops = library.add(m, "loops", LoopNest(LOOPS))
        for loop, field in LOOP_COUNTS.items():
            m.d.comb += getattr(loops, f"{loop}_last_index").eq(layer[field] - 1)
        tap_end = Signal()  # the last step of a word
        sum_end = Signal()
        group_end = Signal()
        last_pixel = Signal()
        batch_end = Signal()
        m.d.comb += [
            tap_end.eq(self.issue & step.last),
            loops.advance.eq(tap_end),
            sum_end.eq(step.last & loops.word_last & loops.kernel_x_last & loops.kernel_y_last),
            group_end.eq(sum_end & loops.window_x_last & loops.window_y_last),
            last_pixel.eq(loops.position_x_last & loops.position_y_last),
            layer_end.eq(self.issue & group_end & loops.group_last & last_pixel),
            batch_end.eq(layer_end & layer.output_logits),
        ]

        outside = self._walk(m, layer, following, step, loops, layer_begin, tap_end)
        row, threshold_row = self._rows(m, layer, following, step, loops, layer_begin, tap_end, group_end)
        batch_images = Signal(range(g.lanes + 1))
        m.d.comb += batch_images.eq(Mux(images_left < g.lanes, images_left, g.lanes))
        group = self._group(m, layer, loops, batch_images, tag, last_pixel)
        stalled = self._stalls(m, layer, loops, group_end, group, tag, layer_end, next_valid, outside)
        m.d.comb += [
            self.issue.eq(active & ~stalled),
            self.row_enable.eq(self.issue & step.read_row),
            self.row.eq(row),
            self.read_enable.eq(self.issue),
            self.read_input.eq(layer.source_input),
            self.input_consumed.eq(layer_end & layer.source_input),
            self.results_claim.eq(self.issue & group_end & layer.output_logits & loops.group_first),
        ]

        m.d.sync += next_valid.eq(1)
        with m.If(layer_end & ~layer.output_logits):
            m.d.sync += tag.eq(~tag)
        with m.If(batch_end):
            m.d.sync += images_left.eq(images_left - batch_images)
        with m.If(self.start):
            m.d.sync += images_left.eq(self.images)
        with m.If(layer_begin):
            m.d.sync += [
                layer.eq(following),
                tail_mask.eq((1 << following.tail_bits[: g.word_bits.bit_length()]) - 1),
                next_index.eq(Mux(next_index == self.last_layer, 0, next_index + 1)),
                next_valid.eq(0),
                active.eq(1),
            ]
        with m.If(batch_end & (images_left == batch_images)):
            m.d.sync += [active.eq(0), next_index.eq(0)]

        m.d.sync += [
            self.from_input.eq(layer.source_input),
            self.is_unsigned.eq(layer.input_unsigned),
            self.paired.eq(layer.paired),
            self.outside.eq(outside),
            self.pad_ones.eq(layer.pad_ones),
            self.pad_masked.eq(layer.pad_masked),
            self.tail_mask.eq(Mux(loops.word_last, tail_mask, ~0)),
        ]
        tap_first = loops.word_first & loops.kernel_x_first & loops.kernel_y_first
        window_first = loops.window_x_first & loops.window_y_first
        # Registers at once: as fields of one combinational structure these would look like a loop.
        beat = Signal(BeatInfo(g), name="stage_1")
        m.d.sync += [
            beat.valid.eq(self.issue),
            beat.paired.eq(layer.paired),
            beat.first_step.eq(step.first),
            beat.last_step.eq(step.last),
            beat.shift.eq(step.shift),
            beat.negative.eq(step.negative),
            beat.first_word.eq(tap_first & (window_first | layer.pool_each)),
            beat.sum_end.eq(sum_end),
            beat.pool_first.eq(window_first | ~layer.pool_each),
            beat.pool_flipped.eq(layer.pool_flipped),
            beat.group_end.eq(group_end),
            beat.threshold_row.eq(threshold_row),
            beat.group.eq(group),
        ]
        if g.integer_head:
            self._describe_head(m, layer, beat, layer_begin, group_end)
        self._pipeline(m, beat)
        return m

    def _descriptor_memory(self, m: Module, index: Signal) -> Any:
        """Words of the descriptor at `index`, one clock later."""
        words = []
        for word in range(USED_WORDS):
            memory = Ram(m, f"descriptors_{word}", 32, self._geometry.layers)
            m.d.comb += [
                memory.read_enable.eq(1),
                memory.read_address.eq(index),
                memory.write_enable.eq(self.descriptor_write_enable & (self.descriptor_write_word == word)),
                memory.write_address.eq(self.descriptor_write_layer),
                memory.write_data.eq(self.descriptor_write_data),
            ]
            words.append(memory.read_data)
        following = Signal(DescriptorLayout)
        m.d.comb += following.eq(Cat(*words))
        return following

    def _step_memory(self, m: Module, following: Any, layer_begin: Signal) -> Any:
        """Fetch the step of the beat that waits while the one before is issued."""
        memory = Ram(m, "steps", STEP_BITS, self._geometry.steps)
        base = Signal.like(memory.read_address)
        address = Signal.like(memory.read_address)  # of the step that is there
        step = Signal(StepLayout)
        m.d.comb += [
            step.eq(memory.read_data),
            memory.read_enable.eq(1),
            memory.read_address.eq(address),
            memory.write_enable.eq(self.step_write_enable),
            memory.write_address.eq(self.step_write_address),
            memory.write_data.eq(self.step_write_data),
        ]
        with m.If(layer_begin):
            m.d.comb += memory.read_address.eq(following.step_base)
            m.d.sync += base.eq(following.step_base)
        with m.Elif(self.issue):
            m.d.comb += memory.read_address.eq(Mux(step.last, base, address + 1))
        m.d.sync += address.eq(memory.read_address)
        return step

    def _walk(
        self,
        m: Module,
        layer: Any,
        following: Any,
        step: Any,
        loops: LoopNest,
        layer_begin: Signal,
        tap_end: Signal,
    ) -> Signal:
        """Follow the operands through their map; return whether the one that waits lies in padding."""
        offset = Signal(signed(len(self.read_address) + 1))  # of the word, from the start of its map
        x = Signal(signed(PIXEL_BITS))
        y = Signal(signed(PIXEL_BITS))
        outside = Signal()
        base = Mux(layer.source_input, Mux(self.input_half, self._geometry.input_words, 0), layer.source_base)
        # As unsigned numbers negative ones are large.
        m.d.comb += [
            self.read_address.eq(base + step.plane + offset),
            outside.eq((x.as_unsigned() >= layer.source_width) | (y.as_unsigned() >= layer.source_height)),
        ]
        with m.If(layer_begin):
            m.d.sync += [
                offset.eq(following.start_address),
                x.eq(following.start_x),
                y.eq(following.start_y),
            ]
        with m.Elif(tap_end):
            with m.If(~loops.word_last):
                m.d.sync += offset.eq(offset + layer.planes)
            stepping = loops.word_last
            for level, loop in zip(LEVELS, reversed(list(LOOPS)[:-1]), strict=True):
                last = getattr(loops, f"{loop}_last")
                with m.If(stepping & ~last):
                    m.d.sync += [
                        offset.eq(offset + layer[f"address_{level}"]),
                        x.eq(x + layer[f"x_{level}"]),
                        y.eq(y + layer[f"y_{level}"]),
                    ]
                stepping = stepping & last
        return outside

    def _rows(
        self,
        m: Module,
        layer: Any,
        following: Any,
        step: Any,
        loops: LoopNest,
        layer_begin: Signal,
        tap_end: Signal,
        group_end: Signal,
    ) -> tuple[Value, Signal]:
        """Return the row of weights and the row of thresholds that belong to the beat that waits."""
        g = self._geometry
        row = Signal.like(self.row)  # of the word's first plane
        group_row = Signal.like(self.row)
        threshold_row = Signal.like(self.threshold_read_row)
        next_row = Signal.like(self.row)
        thresholds = layer.thresholds if g.integer_head else 1
        m.d.comb += next_row.eq(row + (layer.weight_planes if g.weight_planes > 1 else 1))
        with m.If(layer_begin):
            m.d.sync += [
                row.eq(following.row_base),
                group_row.eq(following.row_base),
                threshold_row.eq(following.threshold_base),
            ]
        with m.Elif(tap_end):
            sum_end = loops.word_last & loops.kernel_x_last & loops.kernel_y_last
            with m.If(~sum_end):
                m.d.sync += row.eq(next_row)
            with m.Elif(~group_end):  # the next sum of the pooling window
                m.d.sync += row.eq(group_row)
            with m.Elif(~loops.group_last):
                m.d.sync += [
                    row.eq(next_row),
                    group_row.eq(next_row),
                    threshold_row.eq(threshold_row + thresholds),
                ]
            with m.Else():
                m.d.sync += [
                    row.eq(layer.row_base),
                    group_row.eq(layer.row_base),
                    threshold_row.eq(layer.threshold_base),
                ]
        return (row + step.weight_plane if g.weight_planes > 1 else row), threshold_row

    def _group(
        self, m: Module, layer: Any, loops: LoopNest, images: Signal, tag: Signal, last_pixel: Signal
    ) -> Any:
        group = Signal(GroupInfo(self._geometry), name="beat_group")
        m.d.comb += [
            group.logits.eq(layer.output_logits),
            group.first.eq(loops.group_first & loops.position_x_first & loops.position_y_first),
            group.last_of_pixel.eq(loops.group_last),
            group.last.eq(loops.group_last & last_pixel),
            group.neurons.eq(Mux(loops.group_last, layer.last_group_neurons, self._geometry.banks)),
            group.images.eq(images),
            group.destination.eq(layer.destination_base),
            group.tag.eq(tag),
        ]
        if self._geometry.activation_bits > 1:
            m.d.comb += group.bits.eq(layer.bits)
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
        outside: Signal,
    ) -> Signal:
        """Whether the beat has to wait; one condition for each kind of stall of the Timing section."""
        source_draining = Signal()  # the layer before still writes what this layer reads
        # A layer may end before the layer before it is written: that one's end is then not the source's.
        with m.If(self.writing_done & (self.write_tag != tag)):
            m.d.sync += source_draining.eq(0)
        with m.If(layer_end):
            m.d.sync += source_draining.eq(~layer.output_logits)
        written = (self.write_tag != tag) & (self.read_address < self.write_pointer)

        timer = Signal(range(self._longest_drain() + 2))
        with m.If(self.issue & group_end):
            m.d.sync += timer.eq(self._drain_clocks(group, layer.thresholds) - 1)
        with m.Elif(timer != 0):
            m.d.sync += timer.eq(timer - 1)

        stalls = {
            "input": layer.source_input & ~self.input_full,
            "operand": ~layer.source_input & source_draining & ~written & ~outside,
            "drain": group_end & (timer != 0),
            "result": group_end & layer.output_logits & loops.group_first & ~self.results_free,
            "descriptor": group_end & group.last & ~next_valid,
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
        thresholds = 2**MAX_ACTIVATION_BITS * g.integer_head
        return g.banks * max(g.lanes, g.activation_bits) + g.activation_bits + waits + thresholds

    def _drain_clocks(self, group: Any, thresholds: Value) -> Any:
        g = self._geometry
        size = chunk_bits(g)
        chunks = sum((group.neurons > start for start in range(0, g.banks, size)), Const(0))
        flush = group.last_of_pixel & is_ragged(g)
        clocks = chunks + flush
        if g.activation_bits > 1:
            clocks = clocks * group.bits
        if g.memory.activation_generators:
            clocks = clocks + self.write_wait_clocks * group_words(g)
        clocks = Mux(group.logits, group.neurons * group.images, clocks)
        return clocks + thresholds - 1 if g.integer_head else clocks

    def _describe_head(
        self, m: Module, layer: Any, beat: Any, layer_begin: Signal, group_end: Signal
    ) -> None:
        """Add to a beat what the integer heads need to know."""
        index = Signal(len(beat.residual_read_row))  # of the group, among those of the layer
        with m.If(layer_begin):
            m.d.sync += index.eq(0)
        with m.Elif(self.issue & group_end):
            m.d.sync += index.eq(index + 1)
        m.d.sync += [
            beat.relu.eq(layer.relu),
            beat.pool_sums.eq(layer.pool_sums),
            beat.low.eq(layer.low),
            beat.last_threshold.eq(layer.thresholds - 1),
            beat.residual_add.eq(layer.residual_add),
            beat.residual_keep.eq(layer.residual_keep),
            beat.residual_read_row.eq(layer.residual_source + index),
            beat.residual_write_row.eq(layer.residual_destination + index),
        ]

    def _pipeline(self, m: Module, beat: Any) -> None:
        stages = {1: beat}
        for number in range(2, 5):
            stages[number] = Signal(BeatInfo(self._geometry), name=f"stage_{number}")
            m.d.sync += stages[number].eq(stages[number - 1])
        first_word = stages[2].valid & stages[2].first_word & stages[2].last_step
        m.d.comb += [
            self.control.paired.eq(stages[1].paired),
            self.control.sum_enable.eq(stages[2].valid),
            self.control.sum_first.eq(stages[2].first_step),
            self.control.sum_shift.eq(stages[2].shift),
            self.control.sum_negative.eq(stages[2].negative),
            self.control.accumulate_enable.eq(stages[3].valid & stages[3].last_step),
            self.control.accumulate_first.eq(stages[3].first_word),
        ]
        if self._geometry.integer_head:
            m.d.comb += [
                self.control.accumulate_from_zero.eq(1),
                self.flip_read_enable.eq(first_word),
                self.flip_read_row.eq(stages[2].threshold_row),
            ]
            self._head_pipeline(m, stages[4])
            return
        m.d.comb += [
            self.threshold_read_enable.eq(first_word),
            self.threshold_read_row.eq(stages[2].threshold_row),
            self.control.accumulate_from_zero.eq(stages[3].group.logits),
            self.control.pool_enable.eq(stages[4].valid & stages[4].sum_end),
            self.control.pool_first.eq(stages[4].pool_first),
            self.control.pool_flipped.eq(stages[4].pool_flipped),
            self.capture.eq(stages[4].valid & stages[4].group_end),
            self.group.eq(stages[4].group),
        ]

    def _head_pipeline(self, m: Module, complete: Any) -> None:
        """Lead the sums of the beat whose accumulators are complete through the integer heads."""
        g, head = self._geometry, self.head
        held = Signal(BeatInfo(g))
        stepped = Signal(BeatInfo(g))
        threshold = Signal(MAX_ACTIVATION_BITS)
        threshold_row = Signal.like(self.threshold_read_row)
        hold = Signal()
        m.d.sync += held.eq(complete)
        m.d.comb += [
            head.relu.eq(complete.relu),
            head.pool_enable.eq(complete.valid & complete.sum_end),
            head.pool_first.eq(complete.pool_first),
            head.pool_flipped.eq(complete.pool_flipped),
            head.pool_sums.eq(complete.pool_sums),
            hold.eq(held.valid & held.group_end),
            head.hold.eq(hold),
            head.residual_add.eq(held.residual_add),
            head.step_first.eq(threshold == 0),
            head.low.eq(stepped.low),
            self.threshold_read_enable.eq(hold | head.step),
            self.threshold_read_row.eq(Mux(hold, held.threshold_row, threshold_row)),
            self.capture.eq(head.step & (threshold == stepped.last_threshold)),
            self.group.eq(stepped.group),
        ]
        stepping = Signal()
        m.d.comb += head.step.eq(stepping)
        with m.If(stepping):
            m.d.sync += [threshold.eq(threshold + 1), threshold_row.eq(threshold_row + 1)]
            with m.If(self.capture):
                m.d.sync += stepping.eq(0)
        with m.If(hold):
            m.d.sync += [
                stepping.eq(1),
                stepped.eq(held),
                threshold.eq(0),
                threshold_row.eq(held.threshold_row + 1),
            ]
        if g.residual_rows:
            m.d.comb += [
                self.residual_read_enable.eq(complete.valid & complete.group_end),
                self.residual_read_row.eq(complete.residual_read_row),
                self.residual_write_enable.eq(hold & held.residual_keep),
                self.residual_write_row.eq(held.residual_write_row),
            ]
