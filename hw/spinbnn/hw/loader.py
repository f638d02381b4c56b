"""The image loader: a stream of elements, turned into bit-planes in the lanes' input buffers."""

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.axi import AxiStream
from spinbnn.hw.library import Library
from spinbnn.hw.xnor_popcount import MAX_PLANES


def loader_ports(geometry: Geometry) -> dict[str, Any]:
    """Return the ports of a loader; see `ImageLoader`."""
    g = geometry
    return {
        "stream": In(AxiStream(g.stream_bits)),
        "start": In(1),
        "running": In(1),
        "images": In(32),
        "last_element": In(24),
        "last_plane": In(range(MAX_PLANES)),
        "consumed": In(1),
        "full": Out(1),
        "read_half": Out(1),
        "write_enable": Out(g.lanes),
        "write_address": Out(ceil_log2(2 * g.input_words)),
        "write_data": Out(g.word_bits),
        "frame_error": Out(1),
    }


class ImageLoader(wiring.Component):
    """Collects elements until a word of every plane is complete, then writes the planes, one a clock.

    The input buffer has two halves: one is loaded while the engine reads the other.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    stream : In(AxiStream)
        Images, one byte an element.
    start : In(1)
        A run of `images` images begins in the next clock.
    running : In(1)
        A run is going on.
    images, last_element, last_plane
        Images of the run; elements of an image and planes of an element, each less one.
    consumed : In(1)
        The engine has read the half that it reads; it turns to the other.
    full : Out(1)
        The half that the engine reads (or waits for) holds a batch.
    read_half : Out(1)
        Which half that is.
    write_enable : Out(lanes)
        Writes `write_data` at `write_address` into the lanes' input buffers.
    write_address, write_data : Out
        See `write_enable`.
    frame_error : Out(1)
        ``tlast`` was missing on an image's last beat, or came on another.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__(loader_ports(g))

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        beats_per_word = g.word_bits // g.stream_elements
        shift = ceil_log2(g.stream_elements)

        half = Signal()
        half_full = Signal(2)
        images_left = Signal(32)
        lane = Signal(range(g.lanes))
        beat = Signal(range(beats_per_word))
        beat_of_image = Signal(24)
        address = Signal(range(g.input_words))
        plane = Signal(range(MAX_PLANES))
        writing = Signal()
        image_complete = Signal()

        last_beat = Signal()
        take = Signal()
        m.d.comb += [
            self.full.eq(half_full.bit_select(self.read_half, 1)),
            self.stream.tready.eq(
                self.running & images_left.any() & ~half_full.bit_select(half, 1) & ~writing
            ),
            take.eq(self.stream.tvalid & self.stream.tready),
            last_beat.eq(beat_of_image == (self.last_element >> shift)),
            self.frame_error.eq(take & (self.stream.tlast != last_beat)),
        ]

        planes = self._collect(m, take, beat)
        with m.If(take):
            m.d.sync += [
                beat.eq(beat + 1),
                beat_of_image.eq(Mux(last_beat, 0, beat_of_image + 1)),
                image_complete.eq(last_beat),
            ]
            with m.If(last_beat | (beat == beats_per_word - 1)):
                m.d.sync += [beat.eq(0), writing.eq(1), plane.eq(self.last_plane)]

        m.d.comb += [
            self.write_data.eq(Cat(*planes).word_select(plane, g.word_bits)),
            self.write_address.eq(Mux(half, address + g.input_words, address)),
            self.write_enable.eq(Mux(writing, 1 << lane, 0)),
        ]
        batch_complete = Signal()
        m.d.comb += batch_complete.eq((lane == g.lanes - 1) | (images_left == 1))
        with m.If(writing):
            m.d.sync += [plane.eq(plane - 1), address.eq(address + 1)]
            with m.If(plane == 0):
                m.d.sync += writing.eq(0)
                with m.If(image_complete):
                    m.d.sync += [
                        address.eq(0),
                        images_left.eq(images_left - 1),
                        lane.eq(Mux(batch_complete, 0, lane + 1)),
                    ]
                    with m.If(batch_complete):
                        m.d.sync += [half.eq(~half), half_full.bit_select(half, 1).eq(1)]
        with m.If(self.consumed):
            m.d.sync += [self.read_half.eq(~self.read_half), half_full.bit_select(self.read_half, 1).eq(0)]
        with m.If(self.start):
            m.d.sync += images_left.eq(self.images)
        return m

    def _collect(self, m: Module, take: Signal, beat: Signal) -> list[Signal]:
        """Word registers of the planes: each beat fills its part and the first clears the rest."""
        g = self._geometry
        planes = [Signal(g.word_bits, name=f"plane_{p}") for p in range(MAX_PLANES)]
        for p, word in enumerate(planes):
            bits = Cat(self.stream.tdata[8 * e + p] for e in range(g.stream_elements))
            for index in range(g.word_bits // g.stream_elements):
                part = word.word_select(index, g.stream_elements)
                with m.If(take & (beat == index)):
                    m.d.sync += part.eq(bits)
                if index:
                    with m.If(take & (beat == 0)):
                        m.d.sync += part.eq(0)
        return planes
