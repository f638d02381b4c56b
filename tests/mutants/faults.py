"""One-line faults in the hardware's source, as an engineer might make them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """A fault: in a file of the hardware, one text instead of another.

    Parameters
    ----------
    name : str
        Short and unique.
    file : str
        Path below the package ``spinbnn.hw``.
    old, new : str
        `old` occurs exactly once in the file, within a line.
    what : str
        What the fault is.
    seen : str
        The stage of the kill suite that sees it, which then comes first: a matter of time only.
    """

    name: str
    file: str
    old: str
    new: str
    what: str
    seen: str = "5x24"


_DATAPATH = (
    Fault(
        "popcount-bit",
        "cells/popcount.sv",
        "$countones(bits)",
        "$countones(bits[WIDTH-1:1])",
        "the population count drops bit 0",
    ),
    Fault(
        "xnor-as-xor",
        "xnor_popcount.py",
        "~(self.row ^ self.operand) & self.mask",
        "(self.row ^ self.operand) & self.mask",
        "the polarity of a weight bit is swapped",
    ),
    Fault(
        "planes-not-doubled",
        "xnor_popcount.py",
        "word_sum << 1) + term",
        "word_sum) + term",
        "all bit-planes weigh the same",
    ),
    Fault(
        "start-ignored",
        "xnor_popcount.py",
        "previous.eq(self.start)",
        "previous.eq(0)",
        "the threshold is left out",
    ),
    Fault(
        "logits-from-threshold",
        "xnor_popcount.py",
        "m.Elif(~self.control.accumulate_from_zero)",
        "m.Else()",
        "logits start from an old threshold too",
    ),
    Fault(
        "sign-inverted",
        "bank.py",
        "~neuron.accumulator[-1] ^ flip",
        "neuron.accumulator[-1] ^ flip",
        "an activation's polarity is swapped",
    ),
    Fault(
        "flip-of-next-group",
        "bank.py",
        "~neuron.accumulator[-1] ^ flip",
        "~neuron.accumulator[-1] ^ thresholds.read_data[g.accumulator_bits]",
        "the flip is taken from the group that comes next",
        "4x8x3",
    ),
    Fault(
        "tail-mask-ignored",
        "lane.py",
        "self.tail_mask & Mux(self.is_unsigned, self.operand, ~0)",
        "Mux(self.is_unsigned, self.operand, ~0)",
        "bits beyond the last input count",
    ),
    Fault(
        "planes-signed",
        "lane.py",
        "self.tail_mask & Mux(self.is_unsigned, self.operand, ~0)",
        "self.tail_mask",
        "bit-planes of pixels are taken for +1 and -1",
    ),
)

_LAYERS = (
    Fault(
        "packer-rest-lost",
        "lane.py",
        "rest.eq(merged[g.word_bits :])",
        "rest.eq(0)",
        "a word that overflows loses what is over",
    ),
    Fault(
        "packer-tail",
        "lane.py",
        "chunk.eq(held[:size] & valid)",
        "chunk.eq(held[:size])",
        "bits of neurons that do not exist are written",
    ),
    Fault(
        "absent-lane-writes",
        "lane.py",
        "pack.write & self.present",
        "pack.write",
        "a lane without an image writes activations",
        "4x8x3",
    ),
    Fault(
        "word-full-late",
        "drain.py",
        "pack.cross.eq(total >= g.word_bits)",
        "pack.cross.eq(total > g.word_bits)",
        "a word that is just full is not written",
        "4x8x3",
    ),
    Fault(
        "row-off-by-one",
        "engine.py",
        "row.eq(following.row_base)",
        "row.eq(following.row_base + 1)",
        "a layer begins one row too far",
    ),
    Fault(
        "offset-not-reset",
        "engine.py",
        "offset.eq(Mux(group_end, 0, offset + 1))",
        "offset.eq(offset + 1)",
        "each group reads on where the group before ended",
    ),
    Fault(
        "threshold-row-stuck",
        "engine.py",
        "threshold_row.eq(threshold_row + group_end)",
        "threshold_row.eq(threshold_row)",
        "all groups of a layer have the thresholds of the first",
    ),
    Fault(
        "last-group-full",
        "engine.py",
        "Mux(loops.group_last, layer.last_group_neurons, self._geometry.banks)",
        "self._geometry.banks",
        "a layer's last group has a neuron in every bank",
    ),
    Fault(
        "last-batch-full",
        "engine.py",
        "Mux(images_left < g.lanes, images_left, g.lanes)",
        "g.lanes",
        "the last, partial batch is taken for a full one",
        "4x8x3",
    ),
    Fault(
        "stall-input",
        "engine.py",
        '"input": layer.source_input & ~self.input_full',
        '"input": Const(0)',
        "the engine does not wait for its images",
    ),
    Fault(
        "stall-operand",
        "engine.py",
        '"operand": ~layer.source_input & source_draining & ~written',
        '"operand": Const(0)',
        "a layer does not wait for the words of the layer before",
    ),
    Fault(
        "stall-drain",
        "engine.py",
        '"drain": group_end & (timer != 0)',
        '"drain": Const(0)',
        "a group does not wait until the group before has drained",
    ),
    Fault(
        "stall-result",
        "engine.py",
        "loops.group_first & ~self.results_free",
        "0",
        "a batch overwrites logits that are not sent yet",
    ),
    Fault(
        "stall-descriptor",
        "engine.py",
        '"descriptor": group_end & loops.group_last & ~next_valid',
        '"descriptor": Const(0)',
        "a layer of one beat takes a descriptor that is not there yet",
    ),
    Fault(
        "drain-too-long",
        "engine.py",
        "timer.eq(self._drain_clocks(group) - 1)",
        "timer.eq(self._drain_clocks(group))",
        "each group waits a clock longer than it must",
    ),
)

_STREAMS = (
    Fault(
        "planes-reversed",
        "loader.py",
        "word_select(plane, g.word_bits)",
        "word_select((self.last_plane - plane)[:3], g.word_bits)",
        "bit-planes are stored least significant first",
    ),
    Fault(
        "input-half-stuck",
        "loader.py",
        "half.eq(~half)",
        "half.eq(half)",
        "the loader does not turn to the other half of the input buffer",
    ),
    Fault(
        "ready-while-writing",
        "loader.py",
        "~half_full.bit_select(half, 1) & ~writing",
        "~half_full.bit_select(half, 1)",
        "the loader takes beats while it writes planes",
    ),
    Fault(
        "ready-late",
        "accelerator.py",
        "m.d.comb += loader.running.eq(running)",
        "m.d.sync += loader.running.eq(running)",
        "the image stream is ready a clock late",
    ),
    Fault(
        "argmax-last",
        "results.py",
        "(value > best_value)",
        "(value >= best_value)",
        "of equal logits the last is the class",
        "blocks",
    ),
    Fault(
        "scale-unsigned",
        "results.py",
        "scales.read_data.as_signed()",
        "scales.read_data",
        "negative scales are taken for positive",
    ),
    Fault(
        "result-last-early",
        "results.py",
        "[stream.tvalid.eq(1), stream.tdata.eq(value)]",
        "[stream.tvalid.eq(1), stream.tdata.eq(value), stream.tlast.eq(last_output)]",
        "tlast comes a beat early",
    ),
    Fault(
        "lane-address",
        "results.py",
        "lane_address.eq(lane_address + g.outputs)",
        "lane_address.eq(lane_address)",
        "all lanes store their logits in the same place",
        "4x8x3",
    ),
    Fault(
        "last-beat",
        "loader.py",
        "(self.last_element >> shift)",
        "((self.last_element + 1) >> shift)",
        "an image that fills its last beat is expected to have another",
    ),
    Fault(
        "loader-survives-reset",
        "loader.py",
        "beat_of_image = Signal(16)",
        "beat_of_image = Signal(16, reset_less=True)",
        "the loader remembers an image that a reset broke off",
        "scenarios",
    ),
)

_PROGRAMMING = (
    Fault(
        "direction-swapped",
        "injector.py",
        "p_01, p_10 = self",
        "p_10, p_01 = self",
        "a cell fails with the probability of the other direction",
    ),
    Fault(
        "random-word-twice",
        "injector.py",
        "generator.advance.eq(self.draw)",
        "generator.advance.eq(self.draw & ~self.done)",
        "a pulse's last random word is drawn again by the next",
    ),
    Fault(
        "one-plane-less",
        "injector.py",
        "plane == PROBABILITY_BITS - 1",
        "plane == PROBABILITY_BITS - 2",
        "the probability's most significant bit is not drawn",
    ),
    Fault(
        "second-slice",
        "injector.py",
        "last_part = part == self._slices - 1",
        "last_part = part == 0",
        "only the first 64 cells of a row can fail",
        "3x100",
    ),
    Fault(
        "sfc64-rotate",
        "sfc64.py",
        "c.rotate_left(24)",
        "c.rotate_left(25)",
        "the random stream is another",
    ),
    Fault(
        "errors-ignored",
        "programmer.py",
        "switched = op.pulsed & ~fail",
        "switched = op.pulsed",
        "every pulse succeeds",
    ),
    Fault(
        "one-retry-more",
        "programmer.py",
        "op.events.retries == point.max_retries",
        "op.events.retries == point.max_retries + 1",
        "a failing row is pulsed once too often",
    ),
    Fault(
        "verify-skipped",
        "programmer.py",
        'm.next = "READ"  # verify',
        'm.next = "ACCOUNT"',
        "a row is never verified",
    ),
    Fault(
        "redundant-again",
        "programmer.py",
        "Mux(op.first_pulse & all_bits, ~op.wrong, 0)",
        "Mux(all_bits, ~op.wrong, 0)",
        "redundant bits are pulsed with every retry",
    ),
    Fault(
        "pulse-longer",
        "programmer.py",
        "Mux(point.clocks == 0, 0, point.clocks - 1)",
        "point.clocks",
        "a pulse is a clock too long",
    ),
    Fault(
        "point-zero",
        "programmer.py",
        "self.point_index.eq(arriving.point)",
        "self.point_index.eq(0)",
        "the stream always programs with the first operating point",
    ),
    Fault(
        "bank-wrap",
        "programmer.py",
        "last_bank.eq(arriving.bank + arriving.bank_count - 1)",
        "last_bank.eq(arriving.bank + arriving.bank_count)",
        "a packet goes on one bank too far",
    ),
    Fault(
        "next-row",
        "programmer.py",
        "header.row.eq(header.row + 1)",
        "header.row.eq(header.row + 2)",
        "a packet leaves out every second row",
    ),
    Fault(
        "cut-packet",
        "programmer.py",
        "with m.If(take & stream.tlast):",
        "with m.If(row_complete):",
        "a packet that ends within a row spoils the next",
        "scenarios",
    ),
    Fault(
        "last-row-plus-one",
        "programmer.py",
        "(wanted_row < g.rows)",
        "(wanted_row <= g.rows)",
        "the row behind the last is programmed",
        "scenarios",
    ),
    Fault(
        "command-point",
        "programmer.py",
        "self.point_index.eq(self.command_point)",
        "self.point_index.eq(0)",
        "single rows are always programmed with the first operating point",
        "scenarios",
    ),
)

_COUNTERS = (
    Fault(
        "energy-direction",
        "programmer.py",
        "counters.energy_01.eq(self.point.energy_01)",
        "counters.energy_01.eq(self.point.energy_10)",
        "0 to 1 pulses are charged the energy of the other direction",
    ),
    Fault(
        "bits-direction",
        "programmer.py",
        '"popcount_01", op.pulsed & cells)',
        '"popcount_01", op.pulsed & ~cells)',
        "pulses of one direction are counted as the other",
    ),
    Fault(
        "energy-redundant",
        "counters.py",
        "e.redundant_pulses, self.energy_redundant)",
        "e.redundant_pulses, self.energy_10)",
        "redundant pulses are charged as if they switched",
    ),
    Fault(
        "increment-narrow",
        "counters.py",
        "increment = Signal(len(count) + 32)",
        "increment = Signal(32)",
        "an energy of 2**32 attojoules or more is truncated",
    ),
    Fault(
        "counter-high-half",
        "accelerator.py",
        "registers.COUNTER_HI_value.eq(counter[32:])",
        "registers.COUNTER_HI_value.eq(0)",
        "the high half of a counter is lost",
    ),
    Fault(
        "bank-truncated",
        "counters.py",
        "memory.write_address.eq(Cat(fetched_entry, self.bank[:bank_bits]))",
        "memory.write_address.eq(Cat(fetched_entry, self.bank[: bank_bits - 1]))",
        "the last bank counts in the counters of another",
    ),
    Fault(
        "bank-not-cleared",
        "counters.py",
        "sweep == banks * words - 1",
        "sweep == (banks - 1) * words - 1",
        "clearing misses the last bank",
    ),
    Fault(
        "engine-reads",
        "counters.py",
        "total.eq(stored + reads)",
        "total.eq(stored)",
        "the reads of inference are not counted",
    ),
    Fault(
        "read-a-plane",
        "engine.py",
        "self.row_enable.eq(self.issue & loops.plane_first)",
        "self.row_enable.eq(self.issue)",
        "a row is read, and charged, once for every plane",
    ),
    Fault(
        "run-clocks",
        "accelerator.py",
        '"RUN_CLOCKS": running,',
        '"RUN_CLOCKS": running & ~results.finished,',
        "the last clock of a run is not counted",
    ),
    Fault(
        "engine-energy-not-cleared",
        "counters.py",
        "m.d.sync += [reads.eq(0), energy.eq(0)]",
        "m.d.sync += reads.eq(0)",
        "clearing misses the read energy of inference",
        "scenarios",
    ),
)

_CONTROL = (
    Fault(
        "start-lost",
        "accelerator.py",
        "registers.CONTROL_start & ~running",
        "registers.CONTROL_start & programmer.quiet & ~running",
        "a start while rows are programmed is lost",
        "scenarios",
    ),
    Fault(
        "start-too-early",
        "accelerator.py",
        "may_start = waiting & programmer.quiet & ~running",
        "may_start = waiting & ~running",
        "a run does not wait for programming to end",
        "scenarios",
    ),
    Fault(
        "program-during-run",
        "accelerator.py",
        "programmer.hold.eq(running)",
        "programmer.hold.eq(0)",
        "rows are programmed during a run",
        "scenarios",
    ),
    Fault(
        "done-kept",
        "accelerator.py",
        "[waiting.eq(0), running.eq(1), done.eq(0)]",
        "[waiting.eq(0), running.eq(1)]",
        "done and irq stay 1 when the next run starts",
        "scenarios",
    ),
    Fault(
        "image-error-never",
        "accelerator.py",
        "image_error.eq(1)",
        "image_error.eq(0)",
        "image_error is never set",
        "scenarios",
    ),
    Fault(
        "program-error-never",
        "accelerator.py",
        "program_error.eq(1)",
        "program_error.eq(0)",
        "program_error is never set",
        "scenarios",
    ),
    Fault(
        "write-okay",
        "registers.py",
        "Mux(known, OKAY, SLVERR)",
        "OKAY",
        "writes never answer SLVERR",
        "scenarios",
    ),
    Fault(
        "read-okay",
        "registers.py",
        "bus.rresp.eq(SLVERR)",
        "bus.rresp.eq(OKAY)",
        "reads never answer SLVERR",
        "scenarios",
    ),
    Fault(
        "strobe-ignored",
        "registers.py",
        "known.eq(bus.wstrb.all())",
        "known.eq(1)",
        "a partial write writes the whole word",
        "scenarios",
    ),
    Fault(
        "write-overtakes",
        "registers.py",
        "accept.eq(bus.awvalid & bus.wvalid & (~bus.bvalid | bus.bready))",
        "accept.eq(bus.awvalid & bus.wvalid)",
        "a write is taken while the last response waits",
        "blocks",
    ),
    Fault(
        "read-overtakes",
        "registers.py",
        "bus.arready.eq(~bus.rvalid | bus.rready)",
        "bus.arready.eq(1)",
        "a read is taken while the last answer waits",
        "blocks",
    ),
    Fault(
        "clocks-not-cleared",
        "accelerator.py",
        "m.d.sync += count.eq(0)",
        "m.d.sync += count.eq(count)",
        "clearing misses RUN_CLOCKS, BEAT_CLOCKS and PROGRAM_CLOCKS",
        "scenarios",
    ),
)

FAULTS = (*_DATAPATH, *_LAYERS, *_STREAMS, *_PROGRAMMING, *_COUNTERS, *_CONTROL)
