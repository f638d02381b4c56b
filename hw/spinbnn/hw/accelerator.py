"""The top: banks, lanes, engine, programming controller and registers, wired together."""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from spinbnn.golden.errors import GeometryError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.hw.activation_counters import LANE_COUNTERS
from spinbnn.hw.activation_writer import ActivationWriter
from spinbnn.hw.axi import AxiLite, AxiStream
from spinbnn.hw.bank import Bank, integer_ports, mismatch_words
from spinbnn.hw.cell_code import is_coded
from spinbnn.hw.counters import COUNTER_BITS, read_kinds, row_group
from spinbnn.hw.descriptor import DESCRIPTOR_WORDS, FLIP_BIT
from spinbnn.hw.drain import Drain
from spinbnn.hw.engine import Engine
from spinbnn.hw.lane import Lane
from spinbnn.hw.library import Library, used
from spinbnn.hw.loader import ImageLoader
from spinbnn.hw.program_stream import BEAT_BITS
from spinbnn.hw.programmer import Programmer, has_passes
from spinbnn.hw.registers import RegisterBlock
from spinbnn.hw.results import ResultUnit
from spinbnn.hw.unfolder import UnfoldingLoader

IDENTIFICATION = 0x5350494E  # "SPIN"
INTERFACE_VERSION = 3
TABLE_DESCRIPTORS, TABLE_THRESHOLDS, TABLE_LOGITS, TABLE_MISMATCH, TABLE_STEPS = range(5)


WINDOW_REGISTERS = {
    "row": ("WINDOW_ROW", "value"),
    "height": ("WINDOW_ROWS", "height"),
    "segment": ("WINDOW_SEGMENT", "value"),
    "window_rows": ("WINDOW_ROWS", "window_rows"),
    "start_x": ("WINDOW_START_X", "value"),
    "start_y": ("WINDOW_START_Y", "value"),
    "start": ("WINDOW_START", "value"),
    "step_x": ("WINDOW_STEP_X", "value"),
    "step_y": ("WINDOW_STEP_Y", "value"),
    "step_row": ("WINDOW_STEP_ROW", "value"),
    "positions_x": ("WINDOW_POSITIONS", "x"),
    "positions_y": ("WINDOW_POSITIONS", "y"),
    "paired": ("WINDOW_FORMAT", "paired"),
    "pad_ones": ("WINDOW_FORMAT", "pad_ones"),
}
"""The register and field of each field of `WindowLayout`."""


class Accelerator(wiring.Component):
    """The whole machine.

    Parameters
    ----------
    geometry : Geometry
        Machine size.
    injector : bool
        Whether write errors are injected.

    Raises
    ------
    GeometryError
        If an option of the memory needs the injector and there is none.

    Members
    -------
    s_axi : In(AxiLite)
        Registers.
    s_axis_program, s_axis_image : In(AxiStream)
        Rows to program; images.
    m_axis_result : Out(AxiStream)
        Logits and class of every image.
    irq : Out(1)
        A run has finished.
    """

    def __init__(self, geometry: Geometry, *, injector: bool = True) -> None:
        if geometry.memory.draws and not injector:
            used(self)
            raise GeometryError(
                f"memory option {geometry.memory.draws[0]} needs the error injector: "
                "build the machine with the injector, or without the option"
            )
        self._geometry = geometry
        self._injector = injector
        super().__init__(
            {
                "s_axi": In(AxiLite(address_bits=12)),
                "s_axis_program": In(AxiStream(BEAT_BITS)),
                "s_axis_image": In(AxiStream(geometry.stream_bits)),
                "m_axis_result": Out(AxiStream(32)),
                "irq": Out(1),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        registers = library.add(m, "registers", RegisterBlock(g, injector=self._injector))
        programmer = library.add(m, "programmer", Programmer(g, injector=self._injector))
        loader = self._loader(m, library, registers)
        engine = library.add(m, "engine", Engine(g))
        drain = library.add(m, "drain", Drain(g))
        results = library.add(m, "results", ResultUnit(g))
        lanes = [Lane(g) for _ in range(g.lanes)]
        banks = [Bank(g) for _ in range(g.banks)]
        for index, lane in enumerate(lanes):
            library.add(m, f"lane_{index}", lane)
        for index, bank in enumerate(banks):
            library.add(m, f"bank_{index}", bank)
        connect(m, flipped(self.s_axi), registers.bus)
        connect(m, flipped(self.s_axis_program), programmer.stream)
        connect(m, flipped(self.s_axis_image), loader.stream)
        connect(m, results.stream, flipped(self.m_axis_result))

        writer = self._activation_writer(m, library, registers, engine, drain, lanes)
        running = self._control(m, registers, programmer, loader, engine, results, writer)
        self._identify(m, registers)
        self._connect_programmer(m, registers, programmer, running, engine, writer)
        self._connect_tables(m, registers, engine, results, banks)
        self._connect_loader(m, registers, loader, engine, lanes)
        m.d.comb += loader.running.eq(running)
        self._connect_lanes(m, engine, drain, lanes, banks)
        self._connect_banks(m, engine, programmer, running, lanes, banks)
        m.d.comb += [
            drain.capture.eq(engine.capture),
            drain.group.eq(engine.group),
            engine.write_pointer.eq(drain.write_pointer),
            engine.write_tag.eq(drain.write_tag),
            engine.writing_done.eq(drain.writing_done),
            results.capture.eq(engine.capture),
            results.group.eq(engine.group),
            results.sums.eq(Cat(bank.sums for bank in banks)),
            results.claim.eq(engine.results_claim),
            engine.results_free.eq(results.free),
        ]
        return m

    def _loader(self, m: Module, library: Library, registers: RegisterBlock) -> ImageLoader | UnfoldingLoader:
        g = self._geometry
        if not g.image_elements:
            return library.add(m, "loader", ImageLoader(g))
        loader = library.add(m, "loader", UnfoldingLoader(g))
        for name, (register, field) in WINDOW_REGISTERS.items():
            m.d.comb += loader.windows[name].eq(getattr(registers, f"{register}_{field}"))
        return loader

    def _control(
        self,
        m: Module,
        registers: RegisterBlock,
        programmer: Programmer,
        loader: ImageLoader | UnfoldingLoader,
        engine: Engine,
        results: ResultUnit,
        writer: ActivationWriter | None,
    ) -> Signal:
        """Start and finish runs, count their clocks, keep the status; return whether a run is going on."""
        running = Signal()
        waiting = Signal()
        start = Signal()
        done = Signal()
        program_error = Signal()
        image_error = Signal()
        accepted = registers.CONTROL_start & ~running & registers.IMAGES_value.any()
        may_start = waiting & programmer.quiet & ~running
        if writer:
            m.d.comb += writer.load.eq(accepted & ~waiting)
            may_start = may_start & writer.ready
        m.d.comb += start.eq(may_start)
        with m.If(registers.CONTROL_clear_done):
            m.d.sync += [done.eq(0), program_error.eq(0), image_error.eq(0)]
        with m.If(programmer.address_error):
            m.d.sync += program_error.eq(1)
        with m.If(loader.frame_error):
            m.d.sync += image_error.eq(1)
        with m.If(accepted):
            m.d.sync += waiting.eq(1)
        with m.If(start):
            m.d.sync += [waiting.eq(0), running.eq(1), done.eq(0)]
        with m.If(results.finished):
            m.d.sync += [running.eq(0), done.eq(1)]
        m.d.comb += [
            registers.STATUS_busy.eq(running | waiting),
            registers.STATUS_programming.eq(~programmer.quiet),
            registers.STATUS_done.eq(done),
            registers.STATUS_program_error.eq(program_error),
            registers.STATUS_image_error.eq(image_error),
            registers.STATUS_counter_ready.eq(programmer.counters_ready),
            self.irq.eq(done),
        ]
        for unit in (loader, engine, results):
            m.d.comb += [unit.start.eq(start), unit.images.eq(registers.IMAGES_value)]
        counted = {
            "RUN_CLOCKS": running,
            "BEAT_CLOCKS": engine.issue,
            "PROGRAM_CLOCKS": programmer.counting,
        }
        for name, condition in counted.items():
            count = Signal(64, name=name.lower())
            with m.If(registers.CONTROL_clear_counters):
                m.d.sync += count.eq(0)
            with m.Elif(condition):
                m.d.sync += count.eq(count + 1)
            m.d.comb += [
                getattr(registers, f"{name}_LO_value").eq(count[:32]),
                getattr(registers, f"{name}_HI_value").eq(count[32:]),
            ]
        return running

    def _identify(self, m: Module, registers: RegisterBlock) -> None:
        g = self._geometry
        m.d.comb += [
            registers.ID_value.eq(IDENTIFICATION),
            registers.VERSION_value.eq(INTERFACE_VERSION),
            registers.GEOMETRY_0_banks.eq(g.banks),
            registers.GEOMETRY_0_word_bits.eq(g.word_bits),
            registers.GEOMETRY_1_last_row.eq(g.rows - 1),
            registers.GEOMETRY_1_lanes.eq(g.lanes),
        ]

    def _activation_writer(
        self,
        m: Module,
        library: Library,
        registers: RegisterBlock,
        engine: Engine,
        drain: Drain,
        lanes: list[Lane],
    ) -> ActivationWriter | None:
        """Return what writes activations into MRAM, connected to all but the start of a run, or None."""
        g = self._geometry
        if not g.memory.activation_generators:
            return None
        writer = library.add(m, "activation_writer", ActivationWriter(g))
        m.d.comb += [
            writer.seed.eq(Cat(registers.ACTIVATION_SEED_LO_value, registers.ACTIVATION_SEED_HI_value)),
            writer.pulse_clocks.eq(registers.ACTIVATION_PULSE_CLOCKS_value),
            writer.p_01.eq(registers.ACTIVATION_P_01_value),
            writer.p_10.eq(registers.ACTIVATION_P_10_value),
            writer.word_energy.eq(registers.ACTIVATION_WORD_ENERGY_value),
            writer.clear.eq(registers.CONTROL_clear_counters),
            writer.select.eq(registers.COUNTER_SELECT_strobe),
            writer.select_lane.eq(registers.COUNTER_SELECT_bank),
            writer.select_counter.eq(registers.COUNTER_SELECT_counter),
            writer.writing.eq(drain.writing),
            drain.hold.eq(writer.hold),
            engine.write_wait_clocks.eq(writer.wait_clocks),
            writer.intended.eq(Cat(lane.intended for lane in lanes)),
            writer.written.eq(Cat(lane.activation_write_enable for lane in lanes)),
        ]
        for index, lane in enumerate(lanes):
            m.d.comb += lane.flips.eq(writer.flips.word_select(index, g.word_bits))
        return writer

    def _connect_programmer(
        self,
        m: Module,
        registers: RegisterBlock,
        programmer: Programmer,
        running: Signal,
        engine: Engine,
        writer: ActivationWriter | None,
    ) -> None:
        fields = {
            "p_fail_01": "P_FAIL_01_value",
            "p_fail_10": "P_FAIL_10_value",
            "energy_01": "ENERGY_01_value",
            "energy_10": "ENERGY_10_value",
            "energy_redundant": "ENERGY_REDUNDANT_value",
            "clocks": "PULSE_clocks",
            "max_retries": "PULSE_max_retries",
            "redundant": "PULSE_redundant",
            "blind": "PULSE_blind",
        }
        memory = self._geometry.memory
        if memory.variability:
            fields |= {
                f"p_fail_{way}_class_{number}": f"P_FAIL_{way}_CLASS_{number - 1}_value"
                for way in ("01", "10")
                for number in range(1, CLASSES)
            }
        if memory.self_terminated:
            fields |= {
                "energy_01_failed": "ENERGY_01_FAILED_value",
                "energy_10_failed": "ENERGY_10_FAILED_value",
            }
        with m.Switch(programmer.point_index):
            for index in range(4):
                with m.Case(index):
                    for name, register in fields.items():
                        value = getattr(registers, f"POINT_{index}_{register}")
                        m.d.comb += getattr(programmer.point, name).eq(value)
        for word in range(8):
            m.d.comb += [
                getattr(registers, f"ROW_DATA_{word}_value").eq(programmer.row_data.word_select(word, 32)),
                programmer.data_load_enable[word].eq(getattr(registers, f"ROW_DATA_{word}_strobe")),
            ]
        counter: Value = programmer.counters_value
        if writer:
            of_lane = registers.COUNTER_SELECT_counter >= min(LANE_COUNTERS)
            counter = Mux(of_lane, writer.value, counter)
        m.d.comb += [
            programmer.hold.eq(running),
            programmer.command_program.eq(registers.ROW_COMMAND_program),
            programmer.command_read.eq(registers.ROW_COMMAND_read),
            programmer.command_point.eq(registers.ROW_COMMAND_point),
            programmer.command_bank.eq(registers.ROW_BANK_value),
            programmer.command_row.eq(registers.ROW_INDEX_value),
            programmer.data_load.eq(registers.write_data),
            programmer.read_row_energy.eq(registers.READ_ROW_ENERGY_value),
            programmer.counters_clear.eq(registers.CONTROL_clear_counters),
            programmer.counters_engine_read.eq(engine.row_enable),
            programmer.counters_select.eq(registers.COUNTER_SELECT_strobe),
            programmer.counters_select_bank.eq(registers.COUNTER_SELECT_bank),
            programmer.counters_select_counter.eq(registers.COUNTER_SELECT_counter),
            registers.COUNTER_LO_value.eq(counter[:32]),
            registers.COUNTER_HI_value.eq(counter[32:]),
        ]
        if self._injector:
            self._connect_random_state(m, registers, programmer)
        if memory.variability:
            self._connect_classes(m, registers, programmer)
        if has_passes(self._geometry):
            self._connect_passes(m, registers, programmer)
        if memory.read_groups:
            m.d.comb += programmer.counters_engine_group.eq(row_group(self._geometry, engine.row))

    def _connect_classes(self, m: Module, registers: RegisterBlock, programmer: Programmer) -> None:
        m.d.comb += [
            programmer.chip_seed.eq(Cat(registers.CHIP_SEED_LO_value, registers.CHIP_SEED_HI_value)),
            programmer.class_stuck.eq(registers.CLASS_STUCK_value),
        ]
        for number in range(1, CLASSES):
            share = getattr(registers, f"CLASS_SHARE_{number - 1}_value")
            m.d.comb += getattr(programmer, f"share_{number}").eq(share)

    def _connect_passes(self, m: Module, registers: RegisterBlock, programmer: Programmer) -> None:
        m.d.comb += [
            programmer.pass_last_row.eq(registers.PASS_LAST_ROW_value),
            programmer.pass_point.eq(registers.PASS_COMMAND_point),
        ]
        if self._geometry.memory.ageing:
            m.d.comb += programmer.pass_age.eq(registers.PASS_COMMAND_age)
        if self._geometry.memory.scrub:
            m.d.comb += programmer.pass_scrub.eq(registers.PASS_COMMAND_scrub)

    def _connect_random_state(self, m: Module, registers: RegisterBlock, programmer: Programmer) -> None:
        m.d.comb += programmer.rng_load.eq(registers.write_data)
        for word in range(8):
            m.d.comb += [
                getattr(registers, f"RNG_STATE_{word}_value").eq(programmer.rng_state.word_select(word, 32)),
                programmer.rng_load_enable[word].eq(getattr(registers, f"RNG_STATE_{word}_strobe")),
            ]

    def _connect_tables(
        self, m: Module, registers: RegisterBlock, engine: Engine, results: ResultUnit, banks: list[Bank]
    ) -> None:
        """Write the tables through the address that steps by itself."""
        column = Signal(12)
        row = Signal(16)
        table = registers.TABLE_ADDRESS_table
        write = registers.TABLE_DATA_strobe
        word = registers.write_data
        with m.If(registers.TABLE_ADDRESS_strobe):
            m.d.sync += [
                column.eq(registers.TABLE_ADDRESS_column),
                row.eq(registers.TABLE_ADDRESS_row),
            ]
        with m.Elif(write):
            m.d.sync += column.eq(column + 1)
            of_banks = table == TABLE_THRESHOLDS
            if self._geometry.memory.differential:
                of_banks = of_banks | (table == TABLE_MISMATCH)
            last_bank = of_banks & (column == self._geometry.banks - 1)
            bias = (table == TABLE_LOGITS) & (column == 1)
            last_word = (table == TABLE_DESCRIPTORS) & (column == DESCRIPTOR_WORDS - 1)
            with m.If(last_bank | bias | last_word):
                m.d.sync += [column.eq(0), row.eq(row + 1)]
        write_logit = write & (table == TABLE_LOGITS)
        m.d.comb += [
            engine.last_layer.eq(registers.LAYERS_value - 1),
            engine.descriptor_write_enable.eq(write & (table == TABLE_DESCRIPTORS)),
            engine.descriptor_write_layer.eq(row),
            engine.descriptor_write_word.eq(column),
            engine.descriptor_write_data.eq(word),
            engine.step_write_enable.eq(write & (table == TABLE_STEPS)),
            engine.step_write_address.eq(column),
            engine.step_write_data.eq(word),
            results.last_output.eq(registers.OUTPUTS_value - 1),
            results.scale_write_enable.eq(write_logit & ~column[0]),
            results.bias_write_enable.eq(write_logit & column[0]),
            results.parameter_write_address.eq(row),
            results.parameter_write_data.eq(word),
        ]
        threshold = Cat(word[: self._geometry.accumulator_bits], word[FLIP_BIT])
        for index, bank in enumerate(banks):
            m.d.comb += [
                bank.threshold_write_enable.eq(write & (table == TABLE_THRESHOLDS) & (column == index)),
                bank.threshold_write_row.eq(row),
                bank.threshold_write_data.eq(threshold),
            ]
            if self._geometry.memory.differential:
                written = write & (table == TABLE_MISMATCH) & (column == index)
                enables = [written & (row == number) for number in range(mismatch_words(self._geometry))]
                m.d.comb += [bank.mismatch_write_enable.eq(Cat(enables)), bank.mismatch_write_data.eq(word)]

    def _connect_loader(
        self,
        m: Module,
        registers: RegisterBlock,
        loader: ImageLoader | UnfoldingLoader,
        engine: Engine,
        lanes: list[Lane],
    ) -> None:
        m.d.comb += [
            loader.last_element.eq(registers.IMAGE_ELEMENTS_value - 1),
            loader.last_plane.eq(registers.IMAGE_PLANES_value - 1),
            loader.consumed.eq(engine.input_consumed),
            engine.input_full.eq(loader.full),
            engine.input_half.eq(loader.read_half),
        ]
        for index, lane in enumerate(lanes):
            m.d.comb += [
                lane.input_write_enable.eq(loader.write_enable[index]),
                lane.input_write_address.eq(loader.write_address),
                lane.input_write_data.eq(loader.write_data),
            ]

    def _connect_lanes(
        self, m: Module, engine: Engine, drain: Drain, lanes: list[Lane], banks: list[Bank]
    ) -> None:
        bits = self._geometry.activation_bits
        for index, lane in enumerate(lanes):
            m.d.comb += [
                lane.read_enable.eq(engine.read_enable),
                lane.read_input.eq(engine.read_input),
                lane.read_address.eq(engine.read_address),
                lane.from_input.eq(engine.from_input),
                lane.is_unsigned.eq(engine.is_unsigned),
                lane.paired.eq(engine.paired),
                lane.outside.eq(engine.outside),
                lane.pad_ones.eq(engine.pad_ones),
                lane.pad_masked.eq(engine.pad_masked),
                lane.tail_mask.eq(engine.tail_mask),
                lane.bits.eq(Cat(bank.bits.word_select(index, bits) for bank in banks)),
                lane.pack.eq(drain.pack),
                lane.present.eq(drain.present[index]),
            ]

    def _connect_banks(
        self,
        m: Module,
        engine: Engine,
        programmer: Programmer,
        running: Signal,
        lanes: list[Lane],
        banks: list[Bank],
    ) -> None:
        operands = Cat(lane.operand for lane in lanes)
        masks = Cat(lane.mask for lane in lanes)
        mask_counts = Cat(lane.mask_count for lane in lanes)
        array_row = Signal.like(engine.row)
        m.d.comb += array_row.eq(Mux(running, engine.row, programmer.array_row))
        for index, bank in enumerate(banks):
            chosen = programmer.array_enable & (programmer.array_bank == index)
            m.d.comb += [
                bank.array_enable.eq(Mux(running, engine.row_enable, chosen)),
                bank.array_write.eq(programmer.array_write),
                bank.array_row.eq(array_row),
                bank.array_write_data.eq(programmer.array_write_data),
                bank.operands.eq(operands),
                bank.masks.eq(masks),
                bank.mask_counts.eq(mask_counts),
                bank.control.eq(engine.control),
                bank.threshold_read_enable.eq(engine.threshold_read_enable),
                bank.threshold_read_row.eq(engine.threshold_read_row),
            ]
            m.d.comb += [
                getattr(bank, name).eq(getattr(engine, name)) for name in integer_ports(self._geometry)
            ]
        rows = Cat(bank.array_read_data for bank in banks)
        m.d.comb += programmer.array_read_data.eq(
            rows.word_select(programmer.array_bank, self._geometry.row_cells)
        )
        if is_coded(self._geometry):
            self._connect_decoded_reads(m, engine, programmer, banks)

    def _connect_decoded_reads(
        self, m: Module, engine: Engine, programmer: Programmer, banks: list[Bank]
    ) -> None:
        """Give the controller what its bank reads, and the counts of the engine's reads."""
        for name in ("read_data", "read_flags"):
            of_banks = [Value.cast(getattr(bank, name)) for bank in banks]
            chosen = Cat(of_banks).word_select(programmer.array_bank, len(of_banks[0]))
            m.d.comb += Value.cast(getattr(programmer, name)).eq(chosen)
        for kind in read_kinds(self._geometry):
            counts = Cat(getattr(bank, f"{kind}_reads") for bank in banks)
            chosen = counts.word_select(programmer.counters_select_bank, COUNTER_BITS)
            m.d.comb += getattr(programmer, f"counters_engine_{kind}_reads").eq(chosen)
        for bank in banks:
            m.d.comb += [bank.counted.eq(engine.row_enable), bank.clear.eq(programmer.counters_clear)]
