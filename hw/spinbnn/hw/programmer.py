"""The programming controller: writes rows pulse by pulse, verifies them, and accounts for both."""

from typing import Any

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.hw.axi import AxiStream
from spinbnn.hw.cell_classes import SHARE_BITS, CellClasses
from spinbnn.hw.cell_code import ReadFlags, encode, is_coded
from spinbnn.hw.cells import popcount
from spinbnn.hw.counters import (
    COUNTER_BITS,
    BankCounters,
    RowEvents,
    entries,
    read_kinds,
    row_group,
    row_group_bits,
)
from spinbnn.hw.injector import ErrorInjector
from spinbnn.hw.library import Library
from spinbnn.hw.program_stream import BEAT_BITS, HeaderLayout


class PointLayout(data.StructLayout):
    """An operating point, as the registers hold it."""

    def __init__(self, geometry: Geometry) -> None:
        members = {
            "p_fail_01": 32,
            "p_fail_10": 32,
            "energy_01": 32,
            "energy_10": 32,
            "energy_redundant": 32,
            "clocks": 16,
            "max_retries": 4,
            "redundant": 1,
            "blind": 1,
        }
        if geometry.memory.variability:
            members |= dict.fromkeys(class_probabilities(), 32)
        if geometry.memory.self_terminated:
            members |= {"energy_01_failed": 32, "energy_10_failed": 32}
        super().__init__(members)


def class_probabilities() -> list[str]:
    """Return the names of the failure probabilities of the classes other than 0."""
    return [f"p_fail_{way}_class_{number}" for way in ("01", "10") for number in range(1, CLASSES)]


def has_passes(geometry: Geometry) -> bool:
    """Return whether the controller goes through rows by itself."""
    return geometry.memory.ageing or geometry.memory.scrub


class _Operation:
    """The row that is under way, and what is done with it."""

    def __init__(self, m: Module, geometry: Geometry) -> None:
        memory, bits, cells = geometry.memory, geometry.word_bits, geometry.row_cells
        self.bank = Signal(range(geometry.banks), name="bank")
        self.row = Signal(ceil_log2(geometry.rows), name="row")
        self.events = Signal(RowEvents(geometry), name="events")
        self.read_only = Signal(name="read_only")
        self.ageing: Value = Signal(name="ageing") if memory.ageing else Const(0, 1)
        self.scrubbing: Value = Signal(name="scrubbing") if memory.scrub else Const(0, 1)
        self.in_pass = self.ageing | self.scrubbing
        self.first_pulse = Signal(name="first_pulse")
        self.clocks_left = Signal(16, name="clocks_left")
        self.target = Signal(bits, name="target")  # the row register: to be written, or what was read
        self.target_cells = encode(m, geometry, self.target)
        self.stored = Signal(cells, name="stored")
        self.pulsed = Signal(cells, name="pulsed")
        self.redundant = Signal(cells, name="redundant")
        self.wrong = Signal(cells, name="wrong")
        self.written = Signal(cells, name="written")

    @property
    def unreadable(self) -> Value:
        """A scrub leaves this row alone."""
        if "uncorrectable_reads" not in self.events.shape().members:
            return Const(0, 1)
        return self.scrubbing & self.events.uncorrectable_reads


class _Draws:
    """What the state machine asks of the random generators, and hears from them."""

    def __init__(self) -> None:
        self.clear = Signal(name="clear_failures")
        self.draw = Signal(name="draw")
        self.done = Signal(name="draw_done")
        self.find = Signal(name="find_classes")
        self.found = Signal(name="classes_found")


class Programmer(wiring.Component):
    """Programs rows from the program stream or from registers, one at a time; ages and scrubs them in passes.

    The steps, the counters and the random draws of a row are those of `docs/architecture.md`, section MRAM;
    the clocks they take are in its section Timing.

    Parameters
    ----------
    geometry : Geometry
        Machine size.
    injector : bool
        Whether pulses can fail by drawn errors. Without it the failure probabilities have no effect.

    Members
    -------
    stream : In(AxiStream(64))
        The program stream.
    hold : In(1)
        A run is going on: take nothing.
    quiet : Out(1)
        No row and no packet is under way.
    counting : Out(1)
        A row is under way: the clocks that PROGRAM_CLOCKS counts.
    command_program, command_read, command_bank, command_row, command_point
        A single row by registers.
    data_load_enable, data_load, row_data
        The row register: 32-bit words that registers write; its value.
    point_index : Out, point : In(PointLayout)
        Operating point in use, looked up outside.
    read_row_energy : In(32)
        Energy of a row read, attojoules.
    rng_load_enable, rng_load, rng_state
        The random generator's state; only with the injector.
    array_enable, array_write, array_bank, array_row, array_write_data, array_read_data
        The MRAM port, cells.
    read_data : In(word_bits), read_flags : In(ReadFlags)
        What `array_read_data` reads as; where cells are not the data themselves.
    pass_age, pass_scrub, pass_last_row, pass_point
        A pass by registers, from `command_row` on; with `ageing` or `scrub`.
    chip_seed, share_1, share_2, share_3, class_stuck
        See `CellClasses` and `ErrorInjector`; with variability.
    address_error : Out(1)
        A row or a pass outside the array was dropped, or a packet ended in the middle of a row.
    counters_clear, counters_engine_read, counters_select, counters_select_bank, counters_select_counter
        See `BankCounters`.
    counters_ready, counters_value
        See `BankCounters`.
    counters_engine_group, counters_engine_corrected_reads, ..._uncorrectable_reads, ..._tied_reads
        See `BankCounters`.
    """

    def __init__(self, geometry: Geometry, *, injector: bool = True) -> None:
        self._geometry = g = geometry
        self._injector = injector
        bank, row = range(g.banks), ceil_log2(g.rows)
        random_state = {"rng_load_enable": In(8), "rng_load": In(32), "rng_state": Out(256)}
        super().__init__(
            {
                "stream": In(AxiStream(BEAT_BITS)),
                "hold": In(1),
                "quiet": Out(1),
                "counting": Out(1),
                "command_program": In(1),
                "command_read": In(1),
                "command_bank": In(12),
                "command_row": In(32),
                "command_point": In(2),
                "data_load_enable": In(8),
                "data_load": In(32),
                "row_data": Out(256),
                "point_index": Out(2),
                "point": In(PointLayout(g)),
                "read_row_energy": In(32),
                "array_enable": Out(1),
                "array_write": Out(1),
                "array_bank": Out(bank),
                "array_row": Out(row),
                "array_write_data": Out(g.row_cells),
                "array_read_data": In(g.row_cells),
                "address_error": Out(1),
                "counters_clear": In(1),
                "counters_engine_read": In(1),
                "counters_select": In(1),
                "counters_select_bank": In(bank),
                "counters_select_counter": In(ceil_log2(entries(g))),
                "counters_ready": Out(1),
                "counters_value": Out(64),
            }
            | (random_state if injector else {})
            | self._option_members()
        )

    def _option_members(self) -> dict[str, Any]:
        g, memory = self._geometry, self._geometry.memory
        members: dict[str, Any] = {
            f"counters_engine_{kind}_reads": In(COUNTER_BITS) for kind in read_kinds(g)
        }
        if is_coded(g):
            members |= {"read_data": In(g.word_bits), "read_flags": In(ReadFlags(g))}
        if memory.read_groups:
            members["counters_engine_group"] = In(row_group_bits(g))
        if memory.ageing:
            members["pass_age"] = In(1)
        if memory.scrub:
            members["pass_scrub"] = In(1)
        if has_passes(g):
            members |= {"pass_last_row": In(32), "pass_point": In(2)}
        if memory.variability:
            members |= {"chip_seed": In(64), "class_stuck": In(CLASSES)}
            members |= {f"share_{number}": In(SHARE_BITS) for number in range(1, CLASSES)}
        return members

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g, point = self._geometry, self.point
        op = _Operation(m, g)
        draws = _Draws()
        idle = Signal()
        start = Signal()
        start_read = Signal()
        packet_open = Signal()

        fail, flips = self._injection(m, library, op, draws)
        counters = self._counters(m, library, op)
        quiet = idle & ~packet_open & ~counters.clearing
        free, outside = self._passes(m, op, idle, quiet, counters.updated)
        self._row_sources(m, op, free, counters.clearing, packet_open, outside, start, start_read)
        switched = op.pulsed & ~fail
        if g.memory.ageing:
            switched = Mux(op.ageing, flips, switched)
        m.d.comb += [
            self.row_data.eq(op.target),
            self.array_bank.eq(op.bank),
            self.array_row.eq(op.row),
            self.array_write_data.eq(op.written),
            self.quiet.eq(free & ~packet_open & ~counters.clearing),
            self.counting.eq(~idle),
            op.wrong.eq(self.array_read_data ^ op.target_cells),
            op.written.eq(op.stored ^ switched),
        ]

        with m.FSM(name="program") as fsm:
            with m.State("IDLE"):
                m.d.sync += [op.events.eq(0), op.first_pulse.eq(1), op.read_only.eq(start_read)]
                with m.If(start | start_read | op.in_pass):
                    m.next = "READ"
            self._read_states(m, op)
            with m.State("COMPARE"):
                m.d.comb += draws.clear.eq(1)
                self._compare(m, op)
            self._draw_states(m, op, draws, flips)
            with m.State("PULSE"):
                m.d.sync += op.clocks_left.eq(op.clocks_left - 1)
                with m.If(op.clocks_left == 0):
                    m.d.comb += [self.array_enable.eq(1), self.array_write.eq(1)]
                    m.d.sync += op.stored.eq(op.written)
                    self._count_pulse(m, op, fail)
                    with m.If(op.events.retries == point.max_retries):
                        m.next = "ACCOUNT"
                    with m.Else():
                        m.next = "READ"  # verify
            with m.State("ACCOUNT"):
                m.d.comb += counters.update.eq(1)
                with m.If(counters.updated):
                    m.next = "IDLE"
        m.d.comb += idle.eq(fsm.ongoing("IDLE"))
        return m

    def _read_states(self, m: Module, op: _Operation) -> None:
        """READ, and in a scrub TARGET: what was read becomes the target."""
        unread = (op.first_pulse & self.point.blind & ~op.read_only & ~op.scrubbing) | op.ageing
        with m.State("READ"):
            m.d.comb += self.array_enable.eq(1)
            m.d.sync += op.events.row_reads.eq(op.events.row_reads + ~unread)
            m.next = "COMPARE"
            if self._geometry.memory.scrub:
                with m.If(op.scrubbing & op.first_pulse):
                    m.next = "TARGET"
        if self._geometry.memory.scrub:
            with m.State("TARGET"):
                self._take_read_data(m, op)
                m.next = "COMPARE"

    def _take_read_data(self, m: Module, op: _Operation) -> None:
        """Take a row that was read to the row register, and note what became of it."""
        if not is_coded(self._geometry):
            m.d.sync += op.target.eq(self.array_read_data)
            return
        m.d.sync += op.target.eq(self.read_data)
        for kind in read_kinds(self._geometry):
            m.d.sync += op.events[f"{kind}_reads"].eq(self.read_flags[kind])

    def _compare(self, m: Module, op: _Operation) -> None:
        """Decide which bits to pulse."""
        memory, point = self._geometry.memory, self.point
        all_bits = (point.redundant | point.blind) & ~op.scrubbing
        m.d.sync += [
            op.stored.eq(self.array_read_data),
            op.pulsed.eq(op.wrong),
            op.redundant.eq(Mux(op.first_pulse & all_bits, ~op.wrong, 0)),
            op.clocks_left.eq(Mux(point.clocks == 0, 0, point.clocks - 1)),
            op.events.row_programs.eq(~(op.read_only | op.in_pass)),
        ]
        with m.If(op.read_only):
            self._take_read_data(m, op)
            m.next = "ACCOUNT"
        if memory.ageing:
            with m.Elif(op.ageing):
                m.next = "ACCOUNT"
                self._draw_if_needed(m, op)
        if memory.scrub and memory.secded:
            with m.Elif(op.unreadable):
                m.next = "ACCOUNT"
        with m.Elif(op.wrong.any() | (op.first_pulse & all_bits)):
            m.d.sync += [
                op.first_pulse.eq(0),
                op.events.retries.eq(op.events.retries + ~op.first_pulse),
            ]
            if memory.scrub:
                m.d.sync += op.events.scrubbed_rows.eq(op.scrubbing)
            m.next = "PULSE"
            self._draw_if_needed(m, op)
        with m.Else():
            m.next = "ACCOUNT"

    def _draw_states(self, m: Module, op: _Operation, draws: _Draws, flips: Value) -> None:
        """CLASSES, DRAW, and after it AGE instead of a pulse."""
        memory = self._geometry.memory
        if memory.variability:
            with m.State("CLASSES"):
                m.d.comb += draws.find.eq(1)
                with m.If(draws.found):
                    m.next = "DRAW"
        if self._injector:
            with m.State("DRAW"):
                m.d.comb += draws.draw.eq(1)
                with m.If(draws.done):
                    m.next = "PULSE"
                    if memory.ageing:
                        with m.If(op.ageing):
                            m.next = "AGE"
        if memory.ageing:
            with m.State("AGE"):
                m.d.comb += [self.array_enable.eq(1), self.array_write.eq(1)]
                m.d.sync += op.events.aged_bits.eq(popcount(m, "popcount_aged", flips))
                m.next = "ACCOUNT"

    def _count_pulse(self, m: Module, op: _Operation, fail: Value) -> None:
        events, cells = op.events, op.target_cells
        bits_01 = popcount(m, "popcount_01", op.pulsed & cells)
        bits_10 = popcount(m, "popcount_10", op.pulsed & ~cells)
        bits_redundant = popcount(m, "popcount_redundant", op.redundant)
        m.d.sync += [
            events.pulses.eq(events.pulses + 1),
            events.bits_01.eq(events.bits_01 + bits_01),
            events.bits_10.eq(events.bits_10 + bits_10),
            events.redundant_pulses.eq(events.redundant_pulses + bits_redundant),
        ]
        if self._geometry.memory.self_terminated:
            failed_01 = popcount(m, "popcount_failed_01", op.pulsed & fail & cells)
            failed_10 = popcount(m, "popcount_failed_10", op.pulsed & fail & ~cells)
            m.d.sync += [
                events.failed_pulses_01.eq(events.failed_pulses_01 + failed_01),
                events.failed_pulses_10.eq(events.failed_pulses_10 + failed_10),
            ]

    def _draw_if_needed(self, m: Module, op: _Operation) -> None:
        """Draw before the next state where the point can fail; before a row's first draw find its classes."""
        if not self._injector:
            return
        probabilities = self.point.p_fail_01 | self.point.p_fail_10
        if not self._geometry.memory.variability:
            with m.If(probabilities.any()):
                m.next = "DRAW"
            return
        for name in class_probabilities():
            probabilities = probabilities | self.point[name]
        with m.If(probabilities.any() | self.class_stuck.any()):
            m.next = "DRAW"
            with m.If(op.first_pulse):
                m.next = "CLASSES"

    def _injection(self, m: Module, library: Library, op: _Operation, draws: _Draws) -> tuple[Value, Value]:
        """Return the cells that this pulse fails to switch, and those that ageing flips."""
        fail = Signal(self._geometry.row_cells, name="fail")
        if not self._injector:
            return fail, fail
        injector = library.add(m, "injector", ErrorInjector(self._geometry))
        towards = op.target_cells
        if self._geometry.memory.ageing:
            towards = Mux(op.ageing, ~op.stored, towards)
        m.d.comb += [
            injector.target.eq(towards),
            injector.p_fail_01.eq(self.point.p_fail_01),
            injector.p_fail_10.eq(self.point.p_fail_10),
            injector.draw.eq(draws.draw),
            injector.clear.eq(draws.clear),
            draws.done.eq(injector.done),
            injector.load_enable.eq(self.rng_load_enable),
            injector.load_data.eq(self.rng_load),
            self.rng_state.eq(injector.state),
        ]
        if not self._geometry.memory.variability:
            m.d.comb += fail.eq(injector.fail)
            return fail, fail
        self._connect_classes(m, library, injector, op, draws)
        m.d.comb += fail.eq(injector.fail | injector.stuck)
        return fail, injector.fail & ~injector.stuck

    def _connect_classes(
        self, m: Module, library: Library, injector: ErrorInjector, op: _Operation, draws: _Draws
    ) -> None:
        classes = library.add(m, "classes", CellClasses(self._geometry))
        m.d.comb += [
            classes.chip_seed.eq(self.chip_seed),
            classes.bank.eq(op.bank),
            classes.row.eq(op.row),
            classes.find.eq(draws.find),
            draws.found.eq(classes.done),
            injector.class_stuck.eq(self.class_stuck),
        ]
        for number in range(1, CLASSES):
            share, of_class = f"share_{number}", f"class_{number}"
            m.d.comb += [
                getattr(classes, share).eq(getattr(self, share)),
                getattr(injector, of_class).eq(getattr(classes, of_class)),
            ]
        for name in class_probabilities():
            m.d.comb += getattr(injector, name).eq(self.point[name])

    def _counters(self, m: Module, library: Library, op: _Operation) -> BankCounters:
        memory = self._geometry.memory
        failed_bits: Value = popcount(m, "popcount_failed", op.stored ^ op.target_cells)
        if memory.ageing or is_coded(self._geometry):  # cells need not hold what is no target
            failed_bits = Mux(op.read_only | op.ageing | op.unreadable, 0, failed_bits)
        counters = library.add(m, "counters", BankCounters(self._geometry))
        m.d.comb += [
            counters.clear.eq(self.counters_clear),
            counters.bank.eq(op.bank),
            counters.events.eq(op.events),
            counters.events.failed_bits.eq(failed_bits),
            counters.energy_01.eq(self.point.energy_01),
            counters.energy_10.eq(self.point.energy_10),
            counters.energy_redundant.eq(self.point.energy_redundant),
            counters.read_row_energy.eq(self.read_row_energy),
            counters.engine_read.eq(self.counters_engine_read),
            counters.select.eq(self.counters_select),
            counters.select_bank.eq(self.counters_select_bank),
            counters.select_counter.eq(self.counters_select_counter),
            self.counters_ready.eq(counters.ready),
            self.counters_value.eq(counters.value),
        ]
        if memory.self_terminated:
            m.d.comb += [
                counters.energy_01_failed.eq(self.point.energy_01_failed),
                counters.energy_10_failed.eq(self.point.energy_10_failed),
            ]
        if memory.read_groups:
            m.d.comb += [
                counters.group.eq(row_group(self._geometry, op.row)),
                counters.engine_group.eq(self.counters_engine_group),
            ]
        for kind in read_kinds(self._geometry):
            engine_reads = getattr(self, f"counters_engine_{kind}_reads")
            m.d.comb += getattr(counters, f"engine_{kind}_reads").eq(engine_reads)
        return counters

    def _passes(
        self, m: Module, op: _Operation, idle: Signal, quiet: Value, row_done: Signal
    ) -> tuple[Value, Value]:
        """Go through the rows of a pass.

        Returns
        -------
        free, outside : Value
            The controller is idle, and no pass is asked for or under way; one is asked for that goes outside
            the array.
        """
        g = self._geometry
        if not has_passes(g):
            return idle, Const(0, 1)
        last_row = Signal.like(op.row)
        asked = Signal(name="pass_asked")
        inside = Signal(name="pass_inside")
        free = Signal(name="free")
        flags = []
        if g.memory.ageing:
            flags.append((op.ageing, self.pass_age))
        if g.memory.scrub:
            flags.append((op.scrubbing, self.pass_scrub))
        m.d.comb += [
            asked.eq(Cat(wanted for _, wanted in flags).any()),
            inside.eq((self.command_row <= self.pass_last_row) & (self.pass_last_row < g.rows)),
            free.eq(idle & ~asked & ~op.in_pass),
        ]
        accepted = asked & quiet & ~op.in_pass & ~self.hold
        with m.If(accepted & inside):
            m.d.sync += [op.bank.eq(0), op.row.eq(self.command_row), last_row.eq(self.pass_last_row)]
            m.d.sync += [self.point_index.eq(self.pass_point), *(flag.eq(wanted) for flag, wanted in flags)]
        with m.If(op.in_pass & row_done):
            m.d.sync += op.bank.eq(op.bank + 1)
            with m.If(op.bank == g.banks - 1):
                m.d.sync += [op.bank.eq(0), op.row.eq(op.row + 1)]
                with m.If(op.row == last_row):
                    m.d.sync += [flag.eq(0) for flag, _ in flags]
        return free, accepted & ~inside

    def _row_sources(
        self,
        m: Module,
        op: _Operation,
        idle: Value,
        clearing: Signal,
        packet_open: Signal,
        pass_error: Value,
        start: Signal,
        start_read: Signal,
    ) -> None:
        """Take the next row from registers or stream while idle."""
        g, stream = self._geometry, self.stream
        header = Signal(HeaderLayout)  # where the packet's next row goes
        first_bank = Signal(12)
        last_bank = Signal(12)
        beat = Signal(range(g.slices))
        command = Signal()
        take = Signal()
        row_complete = Signal()
        in_range = Signal()
        arriving = HeaderLayout(stream.tdata)

        m.d.comb += [
            command.eq(self.command_program | self.command_read),
            stream.tready.eq(idle & ~self.hold & ~command & ~clearing),  # or its counts would be lost
            take.eq(stream.tvalid & stream.tready),
            row_complete.eq(take & packet_open & (beat == g.slices - 1)),
        ]
        for word in range(8):
            with m.If(self.data_load_enable[word]):
                m.d.sync += op.target[32 * word : 32 * (word + 1)].eq(self.data_load)
        with m.If(take & ~packet_open):
            m.d.sync += [
                header.eq(arriving),
                first_bank.eq(arriving.bank),
                last_bank.eq(arriving.bank + arriving.bank_count - 1),
                self.point_index.eq(arriving.point),
                packet_open.eq(~stream.tlast),
            ]
        with m.Elif(take):
            m.d.sync += [
                op.target.word_select(beat, BEAT_BITS).eq(stream.tdata),
                beat.eq(beat + 1),
                packet_open.eq(~stream.tlast),
            ]
        with m.If(row_complete):
            m.d.sync += [beat.eq(0), header.bank.eq(header.bank + 1)]
            with m.If(header.bank == last_bank):
                m.d.sync += [header.bank.eq(first_bank), header.row.eq(header.row + 1)]
        with m.If(take & stream.tlast):
            m.d.sync += beat.eq(0)

        wanted_bank = Mux(command, self.command_bank, header.bank)
        wanted_row = Mux(command, self.command_row, header.row)
        wanted = Signal()
        m.d.comb += [
            wanted.eq((command & idle & ~self.hold) | row_complete),
            in_range.eq((wanted_bank < g.banks) & (wanted_row < g.rows)),
            start.eq(wanted & in_range & ~self.command_read),
            start_read.eq(wanted & in_range & self.command_read),
            self.address_error.eq(
                (wanted & ~in_range) | (take & stream.tlast & packet_open & ~row_complete) | pass_error
            ),
        ]
        with m.If(wanted):
            m.d.sync += [op.bank.eq(wanted_bank), op.row.eq(wanted_row)]
        with m.If(command & idle):
            m.d.sync += self.point_index.eq(self.command_point)
