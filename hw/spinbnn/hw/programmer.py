"""The programming controller: writes rows pulse by pulse, verifies them, and accounts for both."""

from typing import Any

from amaranth.hdl import Elaboratable, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.axi import AxiStream
from spinbnn.hw.cells import popcount
from spinbnn.hw.counters import BankCounters, RowEvents
from spinbnn.hw.injector import ErrorInjector
from spinbnn.hw.library import Library
from spinbnn.hw.program_stream import BEAT_BITS, HeaderLayout


class PointLayout(data.Struct):
    """An operating point, as the registers hold it."""

    p_fail_01: 32
    p_fail_10: 32
    energy_01: 32
    energy_10: 32
    energy_redundant: 32
    clocks: 16
    max_retries: 4
    redundant: 1
    blind: 1


class Programmer(wiring.Component):
    """Programs rows from the program stream or from registers, one at a time.

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
        The MRAM port.
    address_error : Out(1)
        A row outside the array was dropped, or a packet ended in the middle of a row.
    counters_clear, counters_engine_read, counters_select, counters_select_bank, counters_select_counter
        See `BankCounters`.
    counters_ready, counters_value
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
                "point": In(PointLayout),
                "read_row_energy": In(32),
                "array_enable": Out(1),
                "array_write": Out(1),
                "array_bank": Out(bank),
                "array_row": Out(row),
                "array_write_data": Out(g.word_bits),
                "array_read_data": In(g.word_bits),
                "address_error": Out(1),
                "counters_clear": In(1),
                "counters_engine_read": In(1),
                "counters_select": In(1),
                "counters_select_bank": In(bank),
                "counters_select_counter": In(4),
                "counters_ready": Out(1),
                "counters_value": Out(64),
            }
            | (random_state if injector else {})
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g, point = self._geometry, self.point
        target = Signal(g.word_bits)  # the row register: what is to be written, or what a command has read
        events = Signal(RowEvents(g))
        bank = Signal.like(self.array_bank)
        row = Signal.like(self.array_row)
        idle = Signal()
        start = Signal()
        start_read = Signal()
        draw = Signal()
        clear_failures = Signal()
        draw_done = Signal()
        read_only = Signal()
        first_pulse = Signal()
        all_bits = Signal()
        clocks_left = Signal(16)
        stored, pulsed, redundant, wrong, written = (
            Signal(g.word_bits, name=name) for name in ("stored", "pulsed", "redundant", "wrong", "written")
        )

        fail = self._injection(m, library, target, draw, clear_failures, draw_done)
        counters = self._counters(m, library, bank, events, popcount(m, "popcount_failed", stored ^ target))
        packet_open = self._row_sources(m, idle, counters.clearing, target, bank, row, start, start_read)
        m.d.comb += [
            self.row_data.eq(target),
            self.array_bank.eq(bank),
            self.array_row.eq(row),
            self.array_write_data.eq(written),
            self.quiet.eq(idle & ~packet_open & ~counters.clearing),
            self.counting.eq(~idle),
            all_bits.eq(point.redundant | point.blind),
            wrong.eq(self.array_read_data ^ target),
            written.eq(stored ^ (pulsed & ~fail)),
        ]
        bits_01 = popcount(m, "popcount_01", pulsed & target)
        bits_10 = popcount(m, "popcount_10", pulsed & ~target)
        bits_redundant = popcount(m, "popcount_redundant", redundant)

        with m.FSM(name="program") as fsm:
            with m.State("IDLE"):
                m.d.sync += [events.eq(0), first_pulse.eq(1), read_only.eq(start_read)]
                with m.If(start | start_read):
                    m.next = "READ"
            with m.State("READ"):
                m.d.comb += self.array_enable.eq(1)
                unread = first_pulse & point.blind & ~read_only
                m.d.sync += events.row_reads.eq(events.row_reads + ~unread)
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.comb += clear_failures.eq(1)
                m.d.sync += [
                    stored.eq(self.array_read_data),
                    pulsed.eq(wrong),
                    redundant.eq(Mux(first_pulse & all_bits, ~wrong, 0)),
                    clocks_left.eq(Mux(point.clocks == 0, 0, point.clocks - 1)),
                    events.row_programs.eq(~read_only),
                ]
                with m.If(read_only):
                    m.d.sync += target.eq(self.array_read_data)
                    m.next = "ACCOUNT"
                with m.Elif(wrong.any() | (first_pulse & all_bits)):
                    m.d.sync += [first_pulse.eq(0), events.retries.eq(events.retries + ~first_pulse)]
                    m.next = "PULSE"
                    if self._injector:
                        with m.If((point.p_fail_01 | point.p_fail_10).any()):
                            m.next = "DRAW"
                with m.Else():
                    m.next = "ACCOUNT"
            if self._injector:
                with m.State("DRAW"):
                    m.d.comb += draw.eq(1)
                    with m.If(draw_done):
                        m.next = "PULSE"
            with m.State("PULSE"):
                m.d.sync += clocks_left.eq(clocks_left - 1)
                with m.If(clocks_left == 0):
                    m.d.comb += [self.array_enable.eq(1), self.array_write.eq(1)]
                    m.d.sync += [
                        stored.eq(written),
                        events.pulses.eq(events.pulses + 1),
                        events.bits_01.eq(events.bits_01 + bits_01),
                        events.bits_10.eq(events.bits_10 + bits_10),
                        events.redundant_pulses.eq(events.redundant_pulses + bits_redundant),
                    ]
                    with m.If(events.retries == point.max_retries):
                        m.next = "ACCOUNT"
                    with m.Else():
                        m.next = "READ"  # verify
            with m.State("ACCOUNT"):
                m.d.comb += counters.update.eq(1)
                with m.If(counters.updated):
                    m.next = "IDLE"
        m.d.comb += idle.eq(fsm.ongoing("IDLE"))
        return m

    def _injection(
        self, m: Module, library: Library, target: Signal, draw: Signal, clear: Signal, done: Signal
    ) -> Signal:
        """Cells that this pulse fails to switch."""
        fail = Signal(self._geometry.word_bits)
        if self._injector:
            injector = library.add(m, "injector", ErrorInjector(self._geometry))
            m.d.comb += [
                injector.target.eq(target),
                injector.p_fail_01.eq(self.point.p_fail_01),
                injector.p_fail_10.eq(self.point.p_fail_10),
                injector.draw.eq(draw),
                injector.clear.eq(clear),
                done.eq(injector.done),
                injector.load_enable.eq(self.rng_load_enable),
                injector.load_data.eq(self.rng_load),
                self.rng_state.eq(injector.state),
                fail.eq(injector.fail),
            ]
        return fail

    def _counters(
        self, m: Module, library: Library, bank: Signal, events: Any, failed_bits: Signal
    ) -> BankCounters:
        counters = library.add(m, "counters", BankCounters(self._geometry))
        m.d.comb += [
            counters.clear.eq(self.counters_clear),
            counters.bank.eq(bank),
            counters.events.eq(events),
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
        return counters

    def _row_sources(
        self,
        m: Module,
        idle: Signal,
        clearing: Signal,
        target: Signal,
        bank: Signal,
        row: Signal,
        start: Signal,
        start_read: Signal,
    ) -> Signal:
        """Take the next row from registers or stream while idle; return whether a packet is open."""
        g, stream = self._geometry, self.stream
        packet_open = Signal()
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
                m.d.sync += target[32 * word : 32 * (word + 1)].eq(self.data_load)
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
                target.word_select(beat, BEAT_BITS).eq(stream.tdata),
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
            self.address_error.eq((wanted & ~in_range) | (take & stream.tlast & packet_open & ~row_complete)),
        ]
        with m.If(wanted):
            m.d.sync += [bank.eq(wanted_bank), row.eq(wanted_row)]
        with m.If(command & idle):
            m.d.sync += self.point_index.eq(self.command_point)
        return packet_open
