"""The error injector: which cells of a row a program pulse fails to switch."""

from typing import Any

from amaranth.hdl import Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.hw.library import Library
from spinbnn.hw.sfc64 import Sfc64

SLICE_BITS = 64
PROBABILITY_BITS = 32


def combine(p_bits: Value, before: Value, word: Value) -> Value:
    """Return the cells' bits after one more random word, with this bit of each cell's probability."""
    return (p_bits & (before | word)) | (~p_bits & before & word)


class ErrorInjector(wiring.Component):
    """Draws one Bernoulli bit a cell by binary expansion, 64 random bits a clock.

    For each bit of the probability, least significant first, and for each 64-bit slice of the row one random
    word ``r`` is drawn, and ``fail = p_bit ? fail | r : fail & r``. After 32 of them ``fail`` is 1 with
    probability p exactly.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `row_cells`, `memory`.

    Members
    -------
    target : In(row_cells)
        The cells to be written: it tells each cell's direction.
    p_fail_01, p_fail_10 : In(32)
        Failure probabilities in units of 2**-32.
    p_fail_01_class_k, p_fail_10_class_k : In(32), class_k : In(row_cells)
        With variability, for the classes k from 1 to 3: those of its cells, and which these are.
    class_stuck : In(4), stuck : Out(row_cells)
        With variability: classes that never switch, and their cells.
    clear : In(1)
        Begins a pulse: no cell fails yet.
    draw : In(1)
        Draws in this clock; after ``32 * cell_slices`` such clocks `done` comes with the last.
    done : Out(1)
        This is the last draw.
    fail : Out(row_cells)
        Cells that would fail if they were to switch, and are not stuck.
    load_enable, load_data, state
        The random generator's state; see `Sfc64`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = geometry
        self._slices = geometry.cell_slices
        super().__init__(
            {
                "target": In(geometry.row_cells),
                "p_fail_01": In(PROBABILITY_BITS),
                "p_fail_10": In(PROBABILITY_BITS),
                "clear": In(1),
                "draw": In(1),
                "done": Out(1),
                "fail": Out(geometry.row_cells),
                "load_enable": In(8),
                "load_data": In(32),
                "state": Out(256),
            }
            | (self._class_members() if geometry.memory.variability else {})
        )

    def _class_members(self) -> dict[str, Any]:
        cells = self._geometry.row_cells
        members: dict[str, Any] = {"class_stuck": In(CLASSES), "stuck": Out(cells)}
        for number in range(1, CLASSES):
            members |= {
                f"p_fail_01_class_{number}": In(PROBABILITY_BITS),
                f"p_fail_10_class_{number}": In(PROBABILITY_BITS),
                f"class_{number}": In(cells),
            }
        return members

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        generator = library.add(m, "generator", Sfc64())
        m.d.comb += [
            generator.advance.eq(self.draw),
            generator.load_enable.eq(self.load_enable),
            generator.load_data.eq(self.load_data),
            self.state.eq(generator.state),
        ]
        fail = Signal(self._slices * SLICE_BITS)
        to_one = Signal.like(fail)
        plane = Signal(range(PROBABILITY_BITS))
        part = Signal(range(self._slices))
        m.d.comb += [to_one.eq(self.target), self.fail.eq(fail)]

        p_01, p_10 = self.p_fail_01.bit_select(plane, 1), self.p_fail_10.bit_select(plane, 1)
        towards_one = to_one.word_select(part, SLICE_BITS)
        before = fail.word_select(part, SLICE_BITS)
        p_bits = Signal(SLICE_BITS)
        after = Signal(SLICE_BITS)
        p_slice = _by_direction(towards_one, p_01, p_10)
        if self._geometry.memory.variability:
            p_slice = self._by_class(m, p_slice, towards_one, plane, part)
        m.d.comb += [p_bits.eq(p_slice), after.eq(combine(p_bits, before, generator.word))]
        last_part = part == self._slices - 1
        m.d.comb += self.done.eq(last_part & (plane == PROBABILITY_BITS - 1))
        with m.If(self.draw):
            m.d.sync += [
                fail.word_select(part, SLICE_BITS).eq(after),
                part.eq(Mux(last_part, 0, part + 1)),
                plane.eq(plane + last_part),
            ]
        with m.If(self.clear):
            m.d.sync += [fail.eq(0), part.eq(0), plane.eq(0)]
        return m

    def _by_class(
        self, m: Module, p_class_0: Value, towards_one: Value, plane: Signal, part: Signal
    ) -> Value:
        """Choose each cell's bit of the probabilities by its class; find the stuck cells."""
        p_slice: Value = p_class_0
        classes = [getattr(self, f"class_{number}") for number in range(1, CLASSES)]
        stuck = ~(classes[0] | classes[1] | classes[2]) & self.class_stuck[0].replicate(len(self.stuck))
        for number, cells in enumerate(classes, start=1):
            padded = Signal(self._slices * SLICE_BITS, name=f"cells_of_class_{number}")
            m.d.comb += padded.eq(cells)
            p_01 = getattr(self, f"p_fail_01_class_{number}").bit_select(plane, 1)
            p_10 = getattr(self, f"p_fail_10_class_{number}").bit_select(plane, 1)
            chosen = padded.word_select(part, SLICE_BITS)
            p_slice = (p_slice & ~chosen) | (_by_direction(towards_one, p_01, p_10) & chosen)
            stuck = stuck | (cells & self.class_stuck[number].replicate(len(cells)))
        m.d.comb += self.stuck.eq(stuck)
        return p_slice


def _by_direction(towards_one: Value, p_01: Value, p_10: Value) -> Value:
    return (towards_one & p_01.replicate(SLICE_BITS)) | (~towards_one & p_10.replicate(SLICE_BITS))
