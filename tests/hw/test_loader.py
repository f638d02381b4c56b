"""The image loader: bit-planes of images of odd sizes, halves of the buffer, and the clocks it takes."""

import random
from dataclasses import dataclass
from typing import Any

import pytest

from spinbnn.golden.geometry import Geometry
from spinbnn.hw.loader import ImageLoader
from tests.hw.simulation import simulate


@dataclass(frozen=True)
class Shape:
    """A machine and the images it is given."""

    word_bits: int
    stream_bits: int
    lanes: int
    elements: int
    planes: int

    def geometry(self) -> Geometry:
        return Geometry(2, self.word_bits, lanes=self.lanes, stream_bits=self.stream_bits, input_words=64)


SHAPES = [
    Shape(word_bits=24, stream_bits=64, lanes=1, elements=50, planes=8),
    Shape(word_bits=24, stream_bits=64, lanes=1, elements=48, planes=8),  # words and beats are full
    Shape(word_bits=8, stream_bits=64, lanes=1, elements=17, planes=1),  # a word a beat
    Shape(word_bits=8, stream_bits=16, lanes=3, elements=9, planes=3),
    Shape(word_bits=100, stream_bits=32, lanes=2, elements=101, planes=5),
    Shape(word_bits=5, stream_bits=8, lanes=2, elements=1, planes=8),  # less than a word
    Shape(word_bits=1, stream_bits=8, lanes=1, elements=3, planes=2),
]


def beats(image: list[int], stream_elements: int, rng: random.Random) -> list[tuple[int, bool]]:
    """Return data and tlast of every beat of an image; unused bytes of the last hold anything."""
    padding = [rng.randrange(256) for _ in range(-len(image) % stream_elements)]
    padded = image + padding
    data = [
        int.from_bytes(bytes(padded[at : at + stream_elements]), "little")
        for at in range(0, len(padded), stream_elements)
    ]
    return [(word, at == len(data) - 1) for at, word in enumerate(data)]


def plane_words(image: list[int], shape: Shape, unused: list[int]) -> list[int]:
    """Return the words written for an image: word by word, most significant plane first.

    `unused` are the bytes that follow the image in its last beat: they reach the buffer, where nothing reads
    them.
    """
    words = []
    held = image + unused
    for start in range(0, len(image), shape.word_bits):
        part = held[start : start + shape.word_bits]
        for plane in reversed(range(shape.planes)):
            words.append(sum((value >> plane & 1) << k for k, value in enumerate(part)))
    return words


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("stalls", [False, True], ids=["full speed", "stalls"])
def test_planes_reach_the_buffer(shape: Shape, stalls: bool) -> None:
    geometry = shape.geometry()
    block = ImageLoader(geometry)
    rng = random.Random(shape.elements)
    images_of_runs = (2 * shape.lanes + 1, 1, 3 * shape.lanes)
    batches_seen = 0  # complete in the buffer
    batches_read = 0

    async def loading(ctx: Any) -> None:
        nonlocal batches_seen
        ctx.set(block.last_element, shape.elements - 1)
        ctx.set(block.last_plane, shape.planes - 1)
        for images in images_of_runs:
            ctx.set(block.images, images)
            ctx.set(block.start, 1)
            await ctx.tick()
            ctx.set(block.start, 0)
            ctx.set(block.running, 1)
            for index in range(images):
                lane = index % shape.lanes
                await one_image(ctx, lane)
                if lane == shape.lanes - 1 or index == images - 1:
                    batches_seen += 1
            for _ in range(5):
                ctx.set(block.stream.tvalid, 1)
                assert not ctx.get(block.stream.tready)  # there is no image to come
                await ctx.tick()
            ctx.set(block.stream.tvalid, 0)
            while batches_read < batches_seen:
                await ctx.tick()
            ctx.set(block.running, 0)

    async def one_image(ctx: Any, lane: int) -> None:
        half = batches_seen % 2
        image = [rng.randrange(256) for _ in range(shape.elements)]
        sent = beats(image, geometry.stream_elements, rng)
        last = sent[-1][0].to_bytes(geometry.stream_elements, "little")
        unused = list(last[(shape.elements - 1) % geometry.stream_elements + 1 :])
        expected = plane_words(image, shape, unused)
        elements, written = 0, 0
        for data, is_last in sent:
            while stalls and rng.random() < 0.3:
                assert not ctx.get(block.write_enable)
                await ctx.tick()
            ctx.set(block.stream.tdata, data)
            ctx.set(block.stream.tlast, is_last)
            ctx.set(block.stream.tvalid, 1)
            while not ctx.get(block.stream.tready):
                assert batches_seen - batches_read == 2  # only a full buffer stops it here
                await ctx.tick()
            assert not ctx.get(block.frame_error)
            await ctx.tick()
            elements += geometry.stream_elements
            if elements % shape.word_bits == 0 or is_last:
                for _ in range(shape.planes):  # while it writes it takes nothing
                    assert not ctx.get(block.stream.tready)
                    assert ctx.get(block.write_enable) == 1 << lane
                    assert ctx.get(block.write_address) == half * geometry.input_words + written
                    assert ctx.get(block.write_data) == expected[written]
                    written += 1
                    await ctx.tick()
            assert not ctx.get(block.write_enable)
            ctx.set(block.stream.tvalid, 0)
        assert written == len(expected)

    async def reading(ctx: Any) -> None:
        nonlocal batches_read
        total = sum(-(-images // shape.lanes) for images in images_of_runs)
        delays = random.Random(99)
        while batches_read < total:
            await ctx.tick()
            assert ctx.get(block.read_half) == batches_read % 2
            assert ctx.get(block.full) == (
                batches_seen > batches_read
            )  # from the clock after the last write on
            if ctx.get(block.full) and (not stalls or delays.random() < 0.05):
                ctx.set(block.consumed, 1)
                await ctx.tick()
                ctx.set(block.consumed, 0)
                batches_read += 1

    simulate(block, loading, reading)


@pytest.mark.parametrize(("last", "error"), [((0, 0, 1), 0), ((0, 0, 0), 1), ((1, 0, 1), 1), ((0, 1, 0), 2)])
def test_a_misplaced_tlast_is_reported(last: tuple[int, int, int], error: int) -> None:
    block = ImageLoader(Geometry(2, 24, stream_bits=64))

    async def bench(ctx: Any) -> None:
        ctx.set(block.images, 1)
        ctx.set(block.last_element, 19)
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
