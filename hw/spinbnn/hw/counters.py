"""The per-bank counters: one memory, updated after every row operation."""

from enum import IntEnum
from types import MappingProxyType
from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.cells import Ram
from spinbnn.hw.library import Library

COUNTER_BITS = 64
READ_KINDS = ("corrected", "uncorrectable", "tied")


class Counter(IntEnum):
    """Index of a counter within its bank."""

    ROW_PROGRAMS = 0
    PULSES = 1
    BITS_01 = 2
    BITS_10 = 3
    REDUNDANT_PULSES = 4
    FAILED_BITS = 5
    RETRIES = 6
    ROW_READS = 7
    PROGRAM_ENERGY_AJ = 8
    READ_ENERGY_AJ = 9
    FAILED_PULSES_01 = 10
    FAILED_PULSES_10 = 11
    AGED_BITS = 12
    SCRUBBED_ROWS = 13
    CORRECTED_READS = 14
    UNCORRECTABLE_READS = 15
    TIED_READS = 16
    GROUP_READS = 32  # of group 0, those of the others follow
    ACTIVATION_WORDS = 48  # this and the following are of a lane, not of a bank
    ACTIVATION_FLIPS = 49
    ACTIVATION_ENERGY_AJ = 50


COUNTER_OPTIONS = MappingProxyType(
    {
        Counter.FAILED_PULSES_01: "self_terminated",
        Counter.FAILED_PULSES_10: "self_terminated",
        Counter.AGED_BITS: "ageing",
        Counter.SCRUBBED_ROWS: "scrub",
        Counter.CORRECTED_READS: "secded",
        Counter.UNCORRECTABLE_READS: "secded",
        Counter.TIED_READS: "differential",
        Counter.GROUP_READS: "read_groups",
        Counter.ACTIVATION_WORDS: "activation_generators",
        Counter.ACTIVATION_FLIPS: "activation_generators",
        Counter.ACTIVATION_ENERGY_AJ: "activation_generators",
    }
)
"""The memory option that a counter belongs to; all machines have those that are not here."""


def entries(geometry: Geometry) -> int:
    """Return the words that a bank has in the counters' memory, some unused."""
    if geometry.memory.read_groups:
        return 64
    return 32 if geometry.memory.differential else 16


def read_kinds(geometry: Geometry) -> tuple[str, ...]:
    """Return what reads can be besides plain that a machine counts: of `READ_KINDS`."""
    options = geometry.memory
    built = (options.secded, options.secded, options.differential)
    return tuple(kind for kind, is_built in zip(READ_KINDS, built, strict=True) if is_built)


def row_group_bits(geometry: Geometry) -> int:
    """Return the bits of a read group's number."""
    return min(ceil_log2(geometry.memory.read_groups), ceil_log2(geometry.rows))


def row_group(geometry: Geometry, row: Signal) -> Value:
    """Return the read group of a row: the upper bits of its number."""
    return row[-row_group_bits(geometry) :]


class RowEvents(data.StructLayout):
    """What one row operation did."""

    def __init__(self, geometry: Geometry) -> None:
        bits = range(geometry.row_cells * 16 + 1)  # the first pulse and 15 retries
        memory = geometry.memory
        optional: dict[str, Any] = {}
        if memory.self_terminated:
            optional |= {"failed_pulses_01": bits, "failed_pulses_10": bits}
        if memory.ageing:
            optional["aged_bits"] = range(geometry.row_cells + 1)
        if memory.scrub:
            optional["scrubbed_rows"] = 1
        optional |= {f"{kind}_reads": 1 for kind in read_kinds(geometry)}
        super().__init__(
            {
                "row_programs": 1,
                "pulses": 5,
                "bits_01": bits,
                "bits_10": bits,
                "redundant_pulses": bits,
                "failed_bits": bits,
                "retries": 4,
                "row_reads": 5,
            }
            | optional
        )


class BankCounters(wiring.Component):
    """Counters of all banks in one memory, with the engine's reads added on the way out.

    An update takes 13 clocks, and more with options of the memory: in each but the last a counter is fetched
    and its increment multiplied out, in the next it is written. Increments of one counter never follow each
    other directly, so none is lost.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `banks`, `rows`, `row_cells`, `memory`.

    Members
    -------
    clear : In(1), clearing : Out(1)
        Sets all counters to 0, which takes ``entries(geometry) * banks`` clocks; also done after reset.
    update : In(1)
        Held during an update. `events`, `bank` and the energies stay still meanwhile.
    updated : Out(1)
        This is the update's last clock.
    bank : In
        Bank of the row operation.
    events : In(RowEvents)
        What it did.
    energy_01, energy_10, energy_redundant, read_row_energy : In(32)
        Energies of a bit pulse and of a row read, attojoules.
    energy_01_failed, energy_10_failed : In(32)
        Energies of a bit pulse that fails; with self-terminated pulses.
    group, engine_group
        Read group of the row operation's row, and of that which the engine reads; with row groups.
    engine_read : In(1)
        The engine reads a row in every bank.
    engine_corrected_reads, engine_uncorrectable_reads, engine_tied_reads : In(64)
        How many of the engine's reads of `select_bank` were so; each with its option.
    select : In(1), select_bank, select_counter
        Fetches a counter to `value`.
    ready : Out(1), value : Out(64)
        The selected counter, once `ready`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        bank = range(geometry.banks)
        memory = geometry.memory
        optional = {f"engine_{kind}_reads": In(COUNTER_BITS) for kind in read_kinds(geometry)}
        if memory.self_terminated:
            optional |= {"energy_01_failed": In(32), "energy_10_failed": In(32)}
        if memory.read_groups:
            group_bits = row_group_bits(geometry)
            optional |= {"group": In(group_bits), "engine_group": In(group_bits)}
        super().__init__(
            {
                "clear": In(1),
                "clearing": Out(1, init=1),
                "update": In(1),
                "updated": Out(1),
                "bank": In(bank),
                "events": In(RowEvents(geometry)),
                "energy_01": In(32),
                "energy_10": In(32),
                "energy_redundant": In(32),
                "read_row_energy": In(32),
                "engine_read": In(1),
                "select": In(1),
                "select_bank": In(bank),
                "select_counter": In(ceil_log2(entries(geometry))),
                "ready": Out(1),
                "value": Out(COUNTER_BITS),
            }
            | optional
        )

    def _increments(self) -> list[tuple[Value | int, Value, Value | int]]:
        """Return counter, count and factor of every step of an update."""
        e = self.events
        switched_01, switched_10 = e.bits_01, e.bits_10
        if self._geometry.memory.self_terminated:
            switched_01, switched_10 = e.bits_01 - e.failed_pulses_01, e.bits_10 - e.failed_pulses_10
        steps = [
            (Counter.PROGRAM_ENERGY_AJ, switched_01, self.energy_01),
            (Counter.ROW_PROGRAMS, e.row_programs, 1),
            (Counter.PROGRAM_ENERGY_AJ, switched_10, self.energy_10),
            (Counter.PULSES, e.pulses, 1),
            (Counter.PROGRAM_ENERGY_AJ, e.redundant_pulses, self.energy_redundant),
            (Counter.BITS_01, e.bits_01, 1),
            (Counter.BITS_10, e.bits_10, 1),
            (Counter.REDUNDANT_PULSES, e.redundant_pulses, 1),
            (Counter.FAILED_BITS, e.failed_bits, 1),
            (Counter.RETRIES, e.retries, 1),
            (Counter.ROW_READS, e.row_reads, 1),
            (Counter.READ_ENERGY_AJ, e.row_reads, self.read_row_energy),
        ]
        return steps + self._option_increments()

    def _option_increments(self) -> list[tuple[Value | int, Value, Value | int]]:
        e, memory = self.events, self._geometry.memory
        steps: list[tuple[Value | int, Value, Value | int]] = []
        if memory.self_terminated:
            steps += [
                (Counter.PROGRAM_ENERGY_AJ, e.failed_pulses_01, self.energy_01_failed),
                (Counter.FAILED_PULSES_01, e.failed_pulses_01, 1),
                (Counter.PROGRAM_ENERGY_AJ, e.failed_pulses_10, self.energy_10_failed),
                (Counter.FAILED_PULSES_10, e.failed_pulses_10, 1),
            ]
        if memory.ageing:
            steps.append((Counter.AGED_BITS, e.aged_bits, 1))
        if memory.scrub:
            steps.append((Counter.SCRUBBED_ROWS, e.scrubbed_rows, 1))
        steps += [(_counter_of(kind), e[f"{kind}_reads"], 1) for kind in read_kinds(self._geometry)]
        if memory.read_groups:
            steps.append((Counter.GROUP_READS | self.group, e.row_reads, 1))
        return steps

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        banks, words = self._geometry.banks, entries(self._geometry)
        memory = Ram(m, "memory", COUNTER_BITS, banks * words)
        bank_bits = ceil_log2(banks)

        steps = self._increments()
        step = Signal(range(len(steps) + 1))
        entry = Signal(range(words))
        count = Signal(range(self._geometry.row_cells * 16 + 1))
        factor = Signal(32)
        with m.Switch(step):
            for number, (counter, counted, each) in enumerate(steps):
                with m.Case(number):
                    m.d.comb += [entry.eq(counter), count.eq(counted), factor.eq(each)]

        fetched_entry = Signal.like(entry)
        increment = Signal(len(count) + 32)
        fetched = Signal()
        m.d.comb += self.updated.eq(step == len(steps))
        m.d.sync += fetched.eq(0)
        with m.If(self.update):
            m.d.sync += [
                step.eq(Mux(self.updated, 0, step + 1)),
                fetched.eq(~self.updated),
                fetched_entry.eq(entry),
                increment.eq(count * factor),
            ]

        sweep = Signal(range(banks * words))
        with m.If(self.clearing):
            m.d.sync += sweep.eq(sweep + 1)
            with m.If(sweep == banks * words - 1):
                m.d.sync += [sweep.eq(0), self.clearing.eq(0)]
        with m.If(self.clear):
            m.d.sync += self.clearing.eq(1)

        total = self._with_engine(m, memory.read_data)
        pending = Signal()
        answer = Signal()
        selected = Cat(self.select_counter, self.select_bank[:bank_bits])
        m.d.comb += memory.read_enable.eq(1)
        with m.If(self.update):
            m.d.comb += memory.read_address.eq(Cat(entry, self.bank[:bank_bits]))
        with m.Else():
            m.d.comb += memory.read_address.eq(selected)
        with m.If(self.clearing):
            m.d.comb += [memory.write_enable.eq(1), memory.write_address.eq(sweep)]
        with m.Else():
            m.d.comb += [
                memory.write_enable.eq(fetched),
                memory.write_address.eq(Cat(fetched_entry, self.bank[:bank_bits])),
                memory.write_data.eq(memory.read_data + increment),
            ]

        m.d.sync += answer.eq(pending & ~self.update & ~self.clearing)
        with m.If(answer & pending):
            m.d.sync += [pending.eq(0), self.ready.eq(1), self.value.eq(total)]
        with m.If(self.select):
            m.d.sync += [pending.eq(1), answer.eq(0), self.ready.eq(0)]
        return m

    def _with_engine(self, m: Module, stored: Signal) -> Signal:
        """Counter value with the reads of the engine, which are the same in every bank."""
        reads = Signal(COUNTER_BITS)
        energy = Signal(COUNTER_BITS)
        with m.If(self.engine_read):
            m.d.sync += [reads.eq(reads + 1), energy.eq(energy + self.read_row_energy)]
        with m.If(self.clear):
            m.d.sync += [reads.eq(0), energy.eq(0)]
        total = Signal(COUNTER_BITS)
        optional = self._engine_counts(m)
        with m.Switch(self.select_counter):
            with m.Case(Counter.ROW_READS):
                m.d.comb += total.eq(stored + reads)
            with m.Case(Counter.READ_ENERGY_AJ):
                m.d.comb += total.eq(stored + energy)
            for counter, counted in optional:
                with m.Case(counter):
                    m.d.comb += total.eq(stored + counted)
            with m.Default():
                m.d.comb += total.eq(stored)
        return total

    def _engine_counts(self, m: Module) -> list[tuple[int, Value]]:
        """Return the counters of options that count the engine's reads too, and how many these are."""
        kinds = read_kinds(self._geometry)
        counts: list[tuple[int, Value]] = [
            (_counter_of(kind), getattr(self, f"engine_{kind}_reads")) for kind in kinds
        ]
        for group in range(self._geometry.memory.read_groups):
            reads = Signal(COUNTER_BITS, name=f"reads_of_group_{group}")
            with m.If(self.engine_read & (self.engine_group == group)):
                m.d.sync += reads.eq(reads + 1)
            with m.If(self.clear):
                m.d.sync += reads.eq(0)
            counts.append((Counter.GROUP_READS + group, reads))
        return counts


def _counter_of(kind: str) -> Counter:
    return Counter[f"{kind.upper()}_READS"]
