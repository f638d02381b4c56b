"""The unfolding loader against im2col in plain Python: every word of every window, and every clock."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import place
from spinbnn.hw.unfolder import UnfoldingLoader, window_fields
from spinbnn.sim.schedule import image_beats, image_write_clocks
from tests.hw.simulation import simulate
from tests.hw.test_loader import beats

INPUT_WORDS = 600


@dataclass(frozen=True)
class Shape:
    """A machine, the images it is given, and the windows of its first layer."""

    word_bits: int
    stream_bits: int
    image: tuple[int, int, int]
    kernel: tuple[int, int] | None = None  # none: fully connected
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    pad_value: int = 0
    bits: int = 8
    lanes: int = 1

    @property
    def signed(self) -> bool:
        """Padding with +1 and -1 is of images of +1 and -1."""
        return self.pad_value != 0

    @property
    def elements(self) -> int:
        height, width, channels = self.image
        return height * width * channels

    def geometry(self) -> Geometry:
        return Geometry(
            *(1, self.word_bits),
            rows=2**16,
            lanes=self.lanes,
            stream_bits=self.stream_bits,
            input_words=INPUT_WORDS,
            activation_words=512,
            image_elements=self.elements,
        )

    def network(self) -> Network:
        head = Threshold(np.zeros(1, np.int32), np.zeros(1, np.bool_))
        if self.kernel is None:
            first: Layer = Dense("first", weights(self.elements), self.elements, head)
        else:
            length = self.kernel[0] * self.kernel[1] * self.image[2]
            first = Conv(
                "first", weights(length), self.image, self.kernel, head,
                self.stride, self.padding, self.pad_value,
            )  # fmt: skip
        last = Affine(np.ones(1, np.int32), np.zeros(1, np.int32))
        layers = (first, Dense("last", weights(first.outputs), first.outputs, last))
        return Network("unfolded", layers, self.bits, self.signed, {})

    def windows(self, image: list[int]) -> list[list[int]]:
        """Return the elements of each window: im2col."""
        if self.kernel is None:
            return [image]
        height, width, channels = self.image
        top, left, bottom, right = self.padding
        outside = 1 if self.pad_value == 1 else 0

        def element(y: int, x: int, channel: int) -> int:
            if 0 <= y < height and 0 <= x < width:
                return image[(y * width + x) * channels + channel]
            return outside

        return [
            [
                element(y + kernel_y, x + kernel_x, channel)
                for kernel_y in range(self.kernel[0])
                for kernel_x in range(self.kernel[1])
                for channel in range(channels)
            ]
            for y in range(-top, height + bottom - self.kernel[0] + 1, self.stride[0])
            for x in range(-left, width + right - self.kernel[1] + 1, self.stride[1])
        ]

    @property
    def segment(self) -> int:
        """Elements of a row of a window."""
        return self.elements if self.kernel is None else self.kernel[1] * self.image[2]

    def is_paired(self, window: list[int]) -> bool:
        """Two planes of a window share a word where they fit."""
        return self.kernel is not None and self.bits > 1 and 2 * len(window) <= self.word_bits

    def chunks_of_words(self, length: int) -> list[int]:
        """Return how many chunks each word of a window takes: they end with words, and with its rows."""
        chunks: list[int] = []
        before = (-1, -1)
        for position in range(length):
            word, row = position // self.word_bits, position // self.segment
            if word == len(chunks):
                chunks.append(0)
            if (word, row) != before:  # a chunk begins, and after it one every few elements
                before, start = (word, row), position
            chunks[-1] += (position - start) % (self.stream_bits // 8) == 0
        return chunks

    def plane_words(self, window: list[int]) -> list[list[int]]:
        """Return what is written of each word of a window: its planes, the most significant first."""

        def plane(elements: list[int], number: int) -> int:
            return sum((value >> number & 1) << place for place, value in enumerate(elements))

        if self.is_paired(window):
            half = self.word_bits // 2
            pairs = range((self.bits - 1) // 2, -1, -1)
            return [[plane(window, 2 * pair) | plane(window, 2 * pair + 1) << half for pair in pairs]]
        return [
            [plane(window[start : start + self.word_bits], number) for number in reversed(range(self.bits))]
            for start in range(0, len(window), self.word_bits)
        ]

    def unfolded(self, image: list[int]) -> Iterator[int | None]:
        """Yield what is written in each clock of an image's unfolding: a word, or nothing."""
        for window in self.windows(image):
            chunks = self.chunks_of_words(len(window))
            for count, words in zip(chunks, self.plane_words(window), strict=True):
                yield from [None] * (count + 1)
                yield from words


def weights(length: int) -> Any:
    return pack(np.ones((1, length), dtype=np.uint8))


SHAPES = {
    "a kernel's rows across words": Shape(24, 64, (5, 7, 3), (3, 3)),
    "paired": Shape(64, 32, (6, 5, 3), (3, 3), padding=(1, 1, 1, 1)),
    "paired, odd planes": Shape(64, 64, (4, 6, 3), (3, 3), (1, 2), (0, 1, 2, 0), bits=5),
    "paired, halves are full": Shape(32, 64, (5, 5, 1), (4, 4), bits=2),
    "not paired by one": Shape(32, 64, (2, 19, 1), (1, 17), bits=2),
    "stride, lanes": Shape(16, 16, (5, 4, 2), (2, 3), (2, 3), (0, 2, 1, 1), bits=3, lanes=3),
    "padding of ones": Shape(8, 64, (7, 6, 1), (3, 2), (1, 1), (1, 0, 2, 1), 1, 1),
    "padding of ones, channels": Shape(24, 32, (3, 3, 5), (3, 2), (2, 1), (2, 1, 1, 1), 1, 1, lanes=2),
    "padding of minus ones": Shape(8, 16, (3, 4, 3), (2, 2), (1, 1), (1, 1, 1, 1), -1, 1),
    "an element a beat": Shape(5, 8, (3, 4, 2), (2, 2), (1, 2), (1, 0, 0, 1), bits=4, lanes=2),
    "a bit a word": Shape(1, 8, (2, 3, 1), (2, 2), bits=2),
    "fully connected": Shape(24, 64, (1, 1, 50), bits=3),
    "fully connected, whole beats": Shape(24, 64, (1, 1, 48), bits=1, lanes=2),
    "one by one": Shape(24, 64, (4, 3, 5), (1, 1), bits=4),
    "one by one, strides": Shape(8, 32, (5, 4, 9), (1, 1), (3, 2), bits=2),
    "beats of many rows": Shape(128, 512, (6, 5, 3), (5, 5), bits=2),
    "rows of two words": Shape(100, 32, (2, 45, 3), (1, 41), (1, 2), bits=8),
    "windows as wide as the image": Shape(12, 32, (4, 3, 2), (2, 3), bits=6),
    "windows of padding": Shape(16, 64, (2, 2, 3), (2, 2), (1, 1), (2, 3, 2, 2), bits=3),
    "one element": Shape(8, 64, (1, 1, 1), (1, 1), bits=8),
}


class Bench:
    """A loader, what its surroundings do at random, and in each clock what it should do itself."""

    def __init__(self, ctx: Any, block: UnfoldingLoader, shape: Shape, *, stalls: bool, seed: int) -> None:
        self.ctx, self.block, self.shape = ctx, block, shape
        self.stalls = stalls
        self.random = random.Random(seed)
        self.clock = 0
        self.batches = 0  # complete in the buffer
        self.consumed = 0
        self.errors = 0

    def chance(self, probability: float) -> bool:
        return self.stalls and self.random.random() < probability

    async def tick(self, *, ready: bool, write: tuple[int, int, int] | None = None) -> None:
        """Check all outputs in a clock, and perhaps read a batch in it; `write`: lane, address and word."""
        ctx, block = self.ctx, self.block
        waiting = self.batches > self.consumed
        consumes = waiting and (not self.stalls or self.chance(0.04))
        ctx.set(block.consumed, consumes)
        assert ctx.get(block.stream.tready) == ready
        assert ctx.get(block.full) == waiting
        assert ctx.get(block.read_half) == self.consumed % 2
        assert not ctx.get(block.frame_error)
        if write is None:
            assert not ctx.get(block.write_enable)
        else:
            lane, address, word = write
            assert ctx.get(block.write_enable) == 1 << lane
            assert ctx.get(block.write_address) == self.batches % 2 * INPUT_WORDS + address
            assert ctx.get(block.write_data) == word
        await ctx.tick()
        self.clock += 1
        self.consumed += consumes

    async def run(self, images: int) -> None:
        ctx, block, lanes = self.ctx, self.block, self.shape.lanes
        ctx.set(block.images, images)
        ctx.set(block.start, 1)
        await self.tick(ready=False)
        ctx.set(block.start, 0)
        ctx.set(block.running, 1)
        for index in range(images):
            image = [self.random.randrange(2**self.shape.bits) for _ in range(self.shape.elements)]
            await self.receive(image)
            while self.batches - self.consumed == 2:  # both halves are full
                await self.tick(ready=False)
            address = 0
            for word in self.shape.unfolded(image):
                await self.tick(ready=False, write=None if word is None else (index % lanes, address, word))
                address += word is not None
            self.batches += index % lanes == lanes - 1 or index == images - 1
        ctx.set(block.stream.tvalid, 1)
        for _ in range(5):  # there is no image to come
            await self.tick(ready=False)
        ctx.set(block.stream.tvalid, 0)
        while self.consumed < self.batches:
            await self.tick(ready=False)
        ctx.set(block.running, 0)

    async def receive(self, image: list[int]) -> None:
        """Send an image's beats; between them the next waits."""
        ctx, stream = self.ctx, self.block.stream
        for data, last in beats(image, self.shape.stream_bits // 8, self.random):
            ctx.set(stream.tvalid, 0)
            while self.chance(0.3):
                await self.tick(ready=True)
            ctx.set(stream.tvalid, 1)
            ctx.set(stream.tdata, data)
            ctx.set(stream.tlast, last)
            await self.tick(ready=True)
        if self.chance(0.5):
            ctx.set(stream.tvalid, 0)


def set_up(ctx: Any, block: UnfoldingLoader, shape: Shape) -> None:
    network = shape.network()
    ctx.set(block.last_element, shape.elements - 1)
    ctx.set(block.last_plane, shape.bits - 1)
    fields = window_fields(network, place(network, shape.geometry()))
    for name, value in fields.items():
        ctx.set(getattr(block.windows, name), value)


@pytest.mark.parametrize("stalls", [False, True], ids=["full speed", "stalls"])
@pytest.mark.parametrize("name", SHAPES)
def test_windows_reach_the_buffer(name: str, stalls: bool) -> None:
    shape = SHAPES[name]
    block = UnfoldingLoader(shape.geometry())

    async def bench(ctx: Any) -> None:
        set_up(ctx, block, shape)
        loading = Bench(ctx, block, shape, stalls=stalls, seed=shape.elements)
        for images in (2 * shape.lanes + 1, 1):
            await loading.run(images)

    simulate(block, bench)


@pytest.mark.parametrize("name", SHAPES)
def test_the_schedule_counts_the_same_clocks(name: str) -> None:
    shape = SHAPES[name]
    network = shape.network()
    placement = place(network, shape.geometry())
    image = [0] * shape.elements
    assert image_beats(network, placement) == len(beats(image, shape.stream_bits // 8, random.Random(1)))
    assert image_write_clocks(network, placement) == sum(1 for _ in shape.unfolded(image))


def test_the_shapes_are_what_they_are_named_for() -> None:
    def paired(name: str) -> bool:
        return SHAPES[name].is_paired(SHAPES[name].windows([0] * SHAPES[name].elements)[0])

    names = {name for name in SHAPES if paired(name)}
    paired_ones = {"paired", "paired, odd planes", "paired, halves are full", "one by one"}
    assert paired_ones <= names
    assert "not paired by one" not in names
    # 9 elements a row of the kernel and 24 bits: 8 + 1, 8 + 1 and 6; then 3.
    assert SHAPES["a kernel's rows across words"].chunks_of_words(27) == [5, 1]
    assert SHAPES["beats of many rows"].chunks_of_words(75) == [5]


@pytest.mark.parametrize(("last", "error"), [((0, 0, 1), 0), ((0, 0, 0), 1), ((1, 0, 1), 1), ((0, 1, 0), 2)])
def test_a_misplaced_tlast_is_reported(last: tuple[int, int, int], error: int) -> None:
    shape = replace(SHAPES["fully connected"], image=(1, 1, 19))
    block = UnfoldingLoader(shape.geometry())

    async def bench(ctx: Any) -> None:
        set_up(ctx, block, shape)
        ctx.set(block.images, 1)
        ctx.set(block.start, 1)
        await ctx.tick()
        ctx.set(block.start, 0)
        ctx.set(block.running, 1)
        ctx.set(block.stream.tvalid, 1)
        errors = 0
        for tlast in last:
            ctx.set(block.stream.tlast, tlast)
            errors += ctx.get(block.frame_error)
            await ctx.tick()
        assert errors == error

    simulate(block, bench)
