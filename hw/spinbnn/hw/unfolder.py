"""The unfolding loader: of each window of an image it makes the words of bit-planes that layer 0 reads."""

from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In
from amaranth.utils import ceil_log2

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Dense
from spinbnn.golden.network import Network
from spinbnn.golden.placement import Placement
from spinbnn.hw.cells import Ram
from spinbnn.hw.library import Library
from spinbnn.hw.loader import loader_ports
from spinbnn.hw.xnor_popcount import MAX_PLANES

ELEMENT_BITS = 25  # signed numbers of elements
PIXEL_BITS = 17  # signed numbers of rows


class WindowLayout(data.Struct):
    """The windows of a first layer; numbers of elements unless they are of rows or positions.

    A row of the image has `row` elements, there are `height` rows. A window has `window_rows` rows of
    `segment` elements. The first begins at `start`, in row `start_y` and element `start_x` of it, which are
    negative in padding; the next to the right `step_x` further, the next below `step_y` rows or `step_row`
    elements.
    """

    row: 24
    height: 16
    segment: 24
    window_rows: 16
    start_x: signed(ELEMENT_BITS)
    start_y: signed(PIXEL_BITS)
    start: signed(ELEMENT_BITS)
    step_x: 24
    step_y: 16
    step_row: 24
    positions_x: 16
    positions_y: 16
    paired: 1
    pad_ones: 1


def window_fields(network: Network, placement: Placement) -> dict[str, int]:
    """Return the fields of the `WindowLayout` of a network's first layer."""
    layer, placed = network.layers[0], placement.layers[0]
    height, width, channels = network.input_shape
    row = width * channels
    kernel, stride, padding = (1, width), (1, 1), (0, 0)
    pad_ones = False
    if not isinstance(layer, Dense):
        kernel, stride, padding, pad_ones = (
            layer.kernel,
            layer.stride,
            layer.padding[:2],
            layer.pad_value == 1,
        )
    start_x, start_y = -padding[1] * channels, -padding[0]
    return {
        "row": row,
        "height": height,
        "segment": kernel[1] * channels,
        "window_rows": kernel[0],
        "start_x": start_x,
        "start_y": start_y,
        "start": start_y * row + start_x,
        "step_x": stride[1] * channels,
        "step_y": stride[0],
        "step_row": stride[0] * row,
        "positions_x": placed.source[1],
        "positions_y": placed.source[0],
        "paired": int(placed.paired),
        "pad_ones": int(pad_ones),
    }


class UnfoldingLoader(wiring.Component):
    """Keeps an image, then goes through its windows and writes the words of their planes.

    A window's rows are fetched in chunks of as many elements as a beat of the stream has, wherever they
    begin: the image lies in two memories, of even and odd beats. Chunks are joined until a word, or the
    window, is complete; then its planes are written, one a clock, two in a word where they are paired.

    Parameters
    ----------
    geometry : Geometry
        Machine size.

    Members
    -------
    windows : In(WindowLayout)
        What is unfolded.
    stream, start, running, images, last_element, last_plane, consumed, full, read_half
        As in `loader.ImageLoader`.
    write_enable, write_address, write_data, frame_error
        As in `loader.ImageLoader`.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._geometry = g = geometry
        super().__init__({"windows": In(WindowLayout)} | loader_ports(g))

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        g = self._geometry
        half = Signal()
        half_full = Signal(2)
        lane = Signal(range(g.lanes))
        images_left = Signal(32)
        unfolding = Signal()
        joined = Signal()  # the last chunk of a word is being joined to it
        writing = Signal()
        fetch = Signal()
        image_end = Signal()  # the word that is joined or written is the image's last
        m.d.comb += [
            self.full.eq(half_full.bit_select(self.read_half, 1)),
            fetch.eq(unfolding & ~joined & ~writing & ~half_full.bit_select(half, 1)),
        ]
        memories = [
            Ram(m, name, g.stream_bits, max(2, -(-g.image_elements // (2 * g.stream_elements))))
            for name in ("even_beats", "odd_beats")
        ]
        received = self._receive(m, memories, self.running & images_left.any() & ~unfolding)
        with m.If(received):
            m.d.sync += unfolding.eq(1)

        take, fill, word_end, valid, rotation = self._walk(m, memories, fetch, received, image_end)
        m.d.sync += joined.eq(fetch & word_end)
        planes = self._join(m, memories, fetch, fill, take, valid, rotation)

        plane = Signal(range(MAX_PLANES))
        address = Signal(range(g.input_words))
        with m.If(joined):
            m.d.sync += [
                writing.eq(1),
                plane.eq(Mux(self.windows.paired, self.last_plane & ~1, self.last_plane)),
            ]
        batch_complete = Signal()
        step = Mux(self.windows.paired, 2, 1)
        m.d.comb += [
            batch_complete.eq((lane == g.lanes - 1) | (images_left == 1)),
            self.write_data.eq(self._plane_word(planes, plane)),
            self.write_address.eq(Mux(half, address + g.input_words, address)),
            self.write_enable.eq(Mux(writing, 1 << lane, 0)),
        ]
        with m.If(writing):
            m.d.sync += [plane.eq(plane - step), address.eq(address + 1)]
            with m.If(plane == 0):
                m.d.sync += writing.eq(0)
                with m.If(image_end):
                    m.d.sync += [
                        unfolding.eq(0),
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

    def _receive(self, m: Module, memories: list[Ram], may_take: Signal) -> Signal:
        """Store an image's beats; return whether its last is taken in this clock."""
        g = self._geometry
        beat = Signal(24)
        take = Signal()
        last_beat = Signal()
        m.d.comb += [
            self.stream.tready.eq(may_take),
            take.eq(self.stream.tvalid & self.stream.tready),
            last_beat.eq(beat == (self.last_element >> ceil_log2(g.stream_elements))),
            self.frame_error.eq(take & (self.stream.tlast != last_beat)),
        ]
        with m.If(take):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
        for odd, memory in enumerate(memories):
            m.d.comb += [
                memory.write_enable.eq(take & (beat[0] == odd)),
                memory.write_address.eq(beat[1:]),
                memory.write_data.eq(self.stream.tdata),
            ]
        received = Signal()
        m.d.comb += received.eq(take & last_beat)
        return received

    def _walk(
        self,
        m: Module,
        memories: list[Ram],
        fetch: Signal,
        received: Signal,
        image_end: Signal,
    ) -> tuple[Signal, Signal, Signal, Signal, Signal]:
        """Go through the windows' rows, chunk by chunk.

        Return the elements of this clock's chunk and the place of the first of them in the word, whether they
        complete the word, and, one clock later, which lie in the image, and how far to rotate what is read.
        """
        g, w = self._geometry, self.windows
        size, shift = g.stream_elements, ceil_log2(g.stream_elements)
        window_x = Signal(signed(ELEMENT_BITS))  # of the window's first element, in its row
        window_y = Signal(signed(PIXEL_BITS))
        window = Signal(signed(ELEMENT_BITS))  # the same, in the image
        row_start = Signal(signed(ELEMENT_BITS))  # of the row of windows
        x = Signal(signed(ELEMENT_BITS))
        y = Signal(signed(PIXEL_BITS))
        element = Signal(signed(ELEMENT_BITS))
        row_element = Signal(signed(ELEMENT_BITS))  # first of the window's row
        left = Signal(24)  # of the segment
        rows_left = Signal(16)
        across = Signal(16)
        down = Signal(16)
        fill = Signal(range(g.word_bits))
        take = Signal(range(size + 1))
        room = Signal(range(g.word_bits + 1))
        segment_end = Signal()
        last_row = Signal()
        word_end = Signal()
        m.d.comb += [
            room.eq(g.word_bits - fill),
            take.eq(_smallest(m, [left, room], size)),
            segment_end.eq(left == take),
            last_row.eq(rows_left == 1),
            word_end.eq((room == take) | (segment_end & last_row)),
        ]
        with m.If(received):
            m.d.sync += [
                window_x.eq(w.start_x),
                window_y.eq(w.start_y),
                window.eq(w.start),
                row_start.eq(w.start),
                x.eq(w.start_x),
                y.eq(w.start_y),
                element.eq(w.start),
                row_element.eq(w.start),
                left.eq(w.segment),
                rows_left.eq(w.window_rows),
                across.eq(w.positions_x),
                down.eq(w.positions_y),
            ]
        with m.If(fetch):
            m.d.sync += [
                fill.eq(Mux(word_end, 0, fill + take)),
                x.eq(x + take),
                element.eq(element + take),
                left.eq(left - take),
                image_end.eq(segment_end & last_row & (across == 1) & (down == 1)),
            ]
            with m.If(segment_end):
                m.d.sync += [
                    left.eq(w.segment),
                    x.eq(window_x),
                    y.eq(y + 1),
                    element.eq(row_element + w.row),
                    row_element.eq(row_element + w.row),
                    rows_left.eq(rows_left - 1),
                ]
                with m.If(last_row):
                    next_x = Signal.like(window_x)
                    next_y = Signal.like(window_y)
                    next_window = Signal.like(window)
                    m.d.comb += [next_x.eq(window_x + w.step_x), next_y.eq(window_y)]
                    m.d.comb += next_window.eq(window + w.step_x)
                    m.d.sync += across.eq(across - 1)
                    with m.If(across == 1):
                        m.d.comb += [next_x.eq(w.start_x), next_y.eq(window_y + w.step_y)]
                        m.d.comb += next_window.eq(row_start + w.step_row)
                        m.d.sync += [
                            across.eq(w.positions_x),
                            down.eq(down - 1),
                            row_start.eq(row_start + w.step_row),
                        ]
                    m.d.sync += [
                        window_x.eq(next_x),
                        window_y.eq(next_y),
                        window.eq(next_window),
                        x.eq(next_x),
                        y.eq(next_y),
                        element.eq(next_window),
                        row_element.eq(next_window),
                        rows_left.eq(w.window_rows),
                    ]

        beat = Signal(ELEMENT_BITS)
        m.d.comb += beat.eq(element >> shift)
        even, odd = memories
        m.d.comb += [
            even.read_enable.eq(fetch),
            odd.read_enable.eq(fetch),
            even.read_address.eq((beat + 1) >> 1),
            odd.read_address.eq(beat >> 1),
        ]
        valid = Signal(size)
        rotation = Signal(range(2 * size))
        row_inside = Signal()
        m.d.comb += row_inside.eq((y >= 0) & (y < w.height))
        inside = [row_inside & (x + number >= 0) & (x + number < w.row) for number in range(size)]
        m.d.sync += [valid.eq(Cat(inside)), rotation.eq(Cat(element[:shift], beat[0]))]
        return take, fill, word_end, valid, rotation

    def _join(
        self,
        m: Module,
        memories: list[Ram],
        fetch: Signal,
        fill: Signal,
        take: Signal,
        valid: Signal,
        rotation: Signal,
    ) -> list[Signal]:
        """Put what was fetched in the clock before into the words of the planes; return these."""
        g = self._geometry
        size = g.stream_elements
        fetched = Signal()
        place = Signal.like(fill)
        count = Signal.like(take)
        m.d.sync += [fetched.eq(fetch), place.eq(fill), count.eq(take)]
        both = Cat(memory.read_data for memory in memories)
        turned = Signal(g.stream_bits)
        m.d.comb += turned.eq(Cat(both, both).bit_select(rotation << 3, g.stream_bits))
        used = Signal(size)
        m.d.comb += used.eq((1 << count) - 1)
        planes = []
        for number in range(MAX_PLANES):
            plane = Signal(g.word_bits, name=f"plane_{number}")
            bits = Signal(size, name=f"bits_{number}")
            of_stream = Cat(turned[8 * element + number] for element in range(size))
            padding = self.windows.pad_ones & (number == 0)
            m.d.comb += bits.eq(((of_stream & valid) | (padding.replicate(size) & ~valid)) & used)
            with m.If(fetched):
                base = Mux(place == 0, 0, plane)
                m.d.sync += plane.eq(base | (bits << place))
            planes.append(plane)
        return planes

    def _plane_word(self, planes: list[Signal], plane: Signal) -> Signal:
        """Return the word that is written: a plane, or two in its halves."""
        g = self._geometry
        half = g.word_bits // 2
        single = Cat(*planes).word_select(plane, g.word_bits)
        if not half:
            return single
        pairs = Cat(Cat(low[:half], high[:half]) for low, high in zip(planes[::2], planes[1::2], strict=True))
        return Mux(self.windows.paired, pairs.word_select(plane >> 1, 2 * half), single)


def _smallest(m: Module, values: list[Signal], bound: int) -> Signal:
    """Return the smallest of some values and a constant bound."""
    smallest = Signal(range(bound + 1))
    m.d.comb += smallest.eq(bound)
    for number, value in enumerate(values):
        narrowed = Signal(range(bound + 1), name=f"narrowed_{number}")
        m.d.comb += narrowed.eq(Mux(value < smallest, value, smallest))
        smallest = narrowed
    return smallest
