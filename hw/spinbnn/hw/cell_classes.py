"""The class of each cell of a row: a fixed function of chip, bank, row and cell."""

from amaranth.hdl import Cat, Const, Elaboratable, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import CLASSES
from spinbnn.hw.injector import SLICE_BITS, combine
from spinbnn.hw.library import Library
from spinbnn.hw.sfc64 import WARM_UP_DRAWS, SeededSfc64

SHARE_BITS = 16
ROW_BITS = 32  # of the generator's stream number, below the bank


class CellClasses(wiring.Component):
    """Finds the classes of a row's cells in ``13 + 48 * cell_slices`` clocks.

    For each of the classes 1 to 3 it draws a Bernoulli bit a cell, as `ErrorInjector` does; a cell is of the
    first class whose bit is 1, else of class 0.

    Parameters
    ----------
    geometry : Geometry
        Machine size: `banks`, `rows`, `row_cells`.

    Members
    -------
    chip_seed : In(64)
        Which chip.
    share_1, share_2, share_3 : In(16)
        Probability of each class, if the cell is of no lower one but 0, in units of 2**-16.
    bank, row : In
        Which row; still while it is searched.
    find : In(1)
        Held until `done`.
    done : Out(1)
        This is the search's last clock.
    class_1, class_2, class_3 : Out(row_cells)
        Cells of each class, from the next clock to the next search.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__(
            {"chip_seed": In(64)}
            | {f"share_{number}": In(SHARE_BITS) for number in range(1, CLASSES)}
            | {
                "bank": In(range(g.banks)),
                "row": In(ceil_log2(g.rows)),
                "find": In(1),
                "done": Out(1),
            }
            | {f"class_{number}": Out(g.row_cells) for number in range(1, CLASSES)}
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        slices = self._geometry.cell_slices
        generator = library.add(m, "generator", SeededSfc64())
        step = Signal(range(WARM_UP_DRAWS + 2))  # seed, throw away, and then stay at the draws
        number = Signal(range(CLASSES), init=1)
        plane = Signal(range(SHARE_BITS))
        part = Signal(range(slices))
        seeding = step == 0
        drawing = step == WARM_UP_DRAWS + 1
        m.d.comb += [
            generator.seed.eq(self.chip_seed),
            generator.stream.eq(self.row),
            generator.stream[ROW_BITS:].eq(self.bank),
            generator.load.eq(self.find & seeding),
            generator.advance.eq(self.find & ~seeding),
        ]

        chosen = [self._slices(f"chosen_{k}") for k in range(1, CLASSES)]
        last_part = part == slices - 1
        last_plane = plane == SHARE_BITS - 1
        for k, bits in enumerate(chosen, start=1):
            share_bit = getattr(self, f"share_{k}").bit_select(plane, 1)
            for index, before in enumerate(bits):
                p_bits = share_bit.replicate(len(before))
                with m.If(self.find & drawing & (number == k) & (part == index)):
                    m.d.sync += before.eq(combine(p_bits, before, generator.word[: len(before)]))
        m.d.comb += self.done.eq(drawing & last_part & last_plane & (number == CLASSES - 1))
        with m.If(self.find & drawing):
            m.d.sync += [
                part.eq(Mux(last_part, 0, part + 1)),
                plane.eq(plane + last_part),
                number.eq(number + (last_part & last_plane)),
            ]
        with m.Elif(self.find):
            m.d.sync += step.eq(step + 1)
        with m.If(self.find & seeding):
            m.d.sync += [Cat(*bits).eq(0) for bits in chosen]
        with m.If(self.find & self.done):
            m.d.sync += [step.eq(0), number.eq(1)]

        lower: Value = Const(0, self._geometry.row_cells)
        for k, bits in enumerate(chosen, start=1):
            m.d.comb += getattr(self, f"class_{k}").eq(Cat(*bits) & ~lower)
            lower = lower | Cat(*bits)
        return m

    def _slices(self, name: str) -> list[Signal]:
        """Make a bit for each cell, a signal for each slice."""
        cells = self._geometry.row_cells
        starts = range(0, cells, SLICE_BITS)
        return [Signal(min(SLICE_BITS, cells - s), name=f"{name}_slice_{s // SLICE_BITS}") for s in starts]
