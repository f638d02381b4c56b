"""What the machine is loaded with, against words worked out by hand."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import ProgramPacket, place
from spinbnn.hw import program_stream
from spinbnn.hw.descriptor import descriptor_words, logit_words, step_words, threshold_words

GEOMETRY = Geometry(5, 24, rows=256, accumulator_bits=20)


def weights(outputs: int, inputs: int) -> np.ndarray:
    return pack(np.ones((outputs, inputs), dtype=np.uint8))


def network(input_bits: int = 8, input_signed: bool = False) -> Network:
    """Return 50-37-12-3: three layers that divide nothing on 5 banks of 24 bits."""
    first = Threshold(np.arange(37, dtype=np.int32) - 2, np.arange(37) % 2 == 1)
    second = Threshold(np.full(12, -(2**17), dtype=np.int32), np.zeros(12, dtype=bool))
    last = Affine(np.array([-1, 2**15 - 1, -(2**15)], np.int32), np.array([7, -8, 2**30], np.int32))
    layers = (
        Dense("a", weights(37, 50), 50, first),
        Dense("b", weights(12, 37), 37, second),
        Dense("c", weights(3, 12), 12, last),
    )
    return Network("hand", layers, input_bits, input_signed, {})


# Of a layer whose map has one pixel: kernel, window and positions of 1, no padding.
ONE_PIXEL = ["00010001", "00010001", "00010001", "00010001", "00000000", "00000000"]


def test_descriptors() -> None:
    """Rows: 8 groups of 3 words, then 3 of 2, then 1 of 1. Activations: 2 words at 0, 1 word at 2."""
    net = network()
    words = descriptor_words(net, place(net, GEOMETRY))
    assert words.dtype == np.uint32
    assert words.shape == (3, 32)
    text = [[f"{word:08x}" for word in layer] for layer in words]
    assert [layer[:6] for layer in text] == [
        # flags and planes, groups|words, row base, tail bits|threshold base, destination|source,
        # bits, thresholds and neurons of the last group
        ["00001825", "00080003", "00000000", "00020000", "00000000", "01010002"],
        ["00081120", "00030002", "00000018", "000d0008", "00020000", "01010002"],
        ["00081122", "00010001", "0000001e", "000c0000", "00000002", "01010003"],
    ]
    assert [layer[6:12] for layer in text] == [ONE_PIXEL] * 3
    # Of the loops only that of groups goes round: back by the words that were read.
    assert [signed(layer[16], 32) for layer in words] == [-2 * 8, -1, 0]
    assert not words[:, 26:].any()


def test_descriptor_of_signed_inputs() -> None:
    net = network(input_bits=1, input_signed=True)
    assert descriptor_words(net, place(net, GEOMETRY))[0, 0] == 0x1124


def test_descriptor_of_unsigned_bits() -> None:
    net = network(input_bits=1)
    assert descriptor_words(net, place(net, GEOMETRY))[0, 0] == 0x1125


def test_descriptor_of_a_single_layer() -> None:
    """It reads the input and writes logits at once."""
    single = Network("one", network().layers[2:], 3, False, {})
    words = descriptor_words(single, place(single, GEOMETRY))
    assert words[:, :6].tolist() == [[0x1327, 0x0001_0001, 0, 12 << 16, 0, 0x0101_0003]]


def head(neurons: int) -> Threshold:
    return Threshold(np.zeros(neurons, np.int32), np.zeros(neurons, np.bool_))


def conv(
    name: str, neurons: int, shape: tuple[int, int, int], kernel: tuple[int, int], **fields: Any
) -> Conv:
    ones = weights(neurons, kernel[0] * kernel[1] * shape[2])
    return Conv(**{
        "name": name, "weights": ones, "input_shape": shape, "kernel": kernel, "head": head(neurons), **fields
    })  # fmt: skip


def with_logits(*layers: Layer, bits: int = 1) -> Network:
    """Return a network of some layers, and of 3 logits behind them."""
    inputs = layers[-1].outputs
    last = Dense("logits", weights(3, inputs), inputs, Affine(*np.ones((2, 3), np.int32)))
    return Network("by hand", (*layers, last), bits, bits == 1, {})


CONV_GEOMETRY = replace(
    GEOMETRY, image_elements=192, input_words=512, weight_planes=3, integer_pools=True, residual_rows=64
)
LEVELS = ("kernel_x", "kernel_y", "window_x", "window_y", "group", "position_x", "position_y")


def test_descriptors_of_convolutions() -> None:
    """An image of 4 x 6 pixels; then 4 x 3 sums of 2 x 3 taps, pooled in pairs, one above the other."""
    net = with_logits(
        conv("a", 3, (4, 6, 2), (1, 1)),
        conv(
            "b", 7, (4, 6, 3), (2, 3), stride=(1, 2), padding=(1, 1, 0, 1), pad_value=1,
            pool=Pool("or", (2, 1), (2, 1)),
        ),
        bits=3,
    )  # fmt: skip
    first, second, last = descriptor_words(net, place(net, CONV_GEOMETRY))
    # Paired: 2 words hold the planes of 3 bits. The loader has made of each window a pixel of one word.
    assert first[:6].tolist() == [0x122D, 0x0001_0001, 0, 24 << 16, 0, 0x0101_0003]
    assert first[6:10].tolist() == [0x0001_0001, 0x0001_0001, 0x0004_0006, 0x0004_0006]
    # Bits are or-ed, padding is +1; 2 groups of 6 taps; 24 words of activations lie before its own 6.
    assert second[:6].tolist() == [0x0002_11D0, 0x0002_0001, 1, 3 << 16 | 1, 24 << 16, 0x0101_0002]
    assert second[6:10].tolist() == [0x0002_0003, 0x0002_0001, 0x0002_0003, 0x0004_0006]
    assert halves(second[10]) == (-1, -1)
    assert signed(second[11], 32) == -7
    walk = {level: (signed(second[12 + n], 32), *halves(second[19 + n])) for n, level in enumerate(LEVELS)}
    assert walk == {  # words, pixels across, pixels down; from the last tap of what is inside
        "kernel_x": (1, 1, 0),
        "kernel_y": (6 - 2, -2, 1),
        "window_x": (-6, 2 - 2, -1),
        "window_y": (-2, -2, 1 - 1),
        "group": (-12 - 2, -2, -2),
        "position_x": (-12, 2 - 2, -2),
        "position_y": (-6, -6, 2 - 2),
    }
    # Its kernel is the whole map.
    assert last[6:10].tolist() == [0x0002_0003, 0x0001_0001, 0x0001_0001, 0x0002_0003]


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, 0x20),
        ({"padding": (1, 1, 1, 1)}, 0x20),
        ({"padding": (1, 1, 1, 1), "pad_value": 1}, 0x10),
        ({"padding": (1, 1, 1, 1), "pad_value": -1}, 0x00),
        ({"pool": Pool("max", (2, 2), (1, 1))}, 0x60),
        ({"pool": Pool("or", (2, 2), (1, 1))}, 0xE0),
        ({"pool": Pool("sum", (2, 2), (1, 1))}, 0x0200_0020),
        ({"pool": Pool("sum", (2, 2), (1, 1)), "relu": True}, 0x0300_0060),
        ({"relu": True}, 0x20),  # thresholds stand for it
        ({"residual": "a"}, 0x0400_0020),
    ],
)
def test_flags(fields: dict[str, Any], flags: int) -> None:
    """Flags of the second of two convolutions; the first keeps its integers where the second adds them."""
    net = with_logits(conv("a", 3, (3, 3, 2), (1, 1)), conv("b", 3, (3, 3, 3), (1, 1), **fields))
    words = descriptor_words(net, place(net, CONV_GEOMETRY))
    assert words[1, 0] & 0xFF00_00F0 == flags
    assert words[0, 0] & 0xFF00_00F0 == (0x0800_0020 if "residual" in fields else 0x20)


def test_descriptors_of_residuals() -> None:
    """Integers of 9 pixels and 2 groups, then those of the second layer behind them."""
    layers = [conv(name, 7, (3, 3, 7 if name != "a" else 2), (1, 1)) for name in "abc"]
    layers[1] = replace(layers[1], residual="a")
    layers[2] = replace(layers[2], residual="b")
    net = with_logits(*layers)
    words = descriptor_words(net, place(net, CONV_GEOMETRY))
    assert words[:, 26:28].tolist() == [[0, 0], [0, 18], [18, 0], [0, 0]]
    assert [word >> 26 & 3 for word in words[:, 0].tolist()] == [0b10, 0b11, 0b01, 0]


def test_descriptors_and_thresholds_of_several_bits() -> None:
    """The thresholds of a group follow one another; -2 is the smallest activation."""
    geometry = replace(CONV_GEOMETRY, activation_bits=2)
    values = np.arange(21, dtype=np.int32).reshape(3, 7)
    several = MultiThreshold(values, np.arange(7) == 6, bits=2, low=-2)
    net = with_logits(
        conv("a", 7, (3, 3, 2), (1, 1), head=several), conv("b", 2, (3, 3, 7), (2, 2), head=head(2))
    )
    words = descriptor_words(net, place(net, geometry))
    assert words[:, 5].tolist() == [0x02E3_0002, 0x0101_0002, 0x0101_0003]
    assert words[:, 3].tolist() == [2 << 16, 7 << 16 | 6, 2 << 16]
    assert words[1, 0] == 0x0001_1221  # not +1 and -1; 2 planes, whose steps lie behind that of the first
    thresholds = threshold_words(net, place(net, geometry), geometry)
    assert thresholds.shape == (6 + 1, 5)
    starts = [[-(word & 0xFFFFF) % 2**20 for word in row] for row in thresholds.tolist()]
    assert starts[0:3] == [list(range(5)), list(range(7, 12)), list(range(14, 19))]
    assert [row[:2] for row in starts[3:6]] == [[5, 6], [12, 13], [19, 20]]
    assert [row[1] >> 31 for row in thresholds.tolist()] == [0, 0, 0, 1, 1, 1, 0]


WALKS: dict[str, Layer] = {
    "plain": conv("b", 7, (4, 6, 3), (2, 3)),
    "stride": conv("b", 11, (5, 6, 3), (2, 2), stride=(2, 3)),
    "padding": conv("b", 7, (4, 3, 3), (3, 3), padding=(2, 1, 0, 2)),
    "pooling": conv("b", 6, (6, 6, 3), (2, 2), pool=Pool("max", (2, 3), (1, 2))),
    "everything": conv(
        "b", 13, (7, 5, 50), (3, 2), stride=(1, 2), padding=(1, 2, 1, 1), pool=Pool("or", (3, 1), (2, 2))
    ),
    "dense": Dense("b", weights(7, 4 * 3 * 30), 4 * 3 * 30, head(7)),
}


@pytest.mark.parametrize("name", WALKS)
def test_a_descriptor_walks_through_its_map(name: str) -> None:
    """Follow the loops and their steps as the engine does: pixels and words must be the convolution's."""
    layer = WALKS[name]
    shape = layer.input_shape if isinstance(layer, Conv) else (4, 3, 30)
    net = with_logits(conv("a", shape[2], (*shape[:2], 1), (1, 1)), layer)
    geometry = replace(CONV_GEOMETRY, activation_words=512)
    words = descriptor_words(net, place(net, geometry))[1]
    taps = list(walked(words))
    assert taps == list(taps_of(layer, shape, groups=-(-layer.neurons // 5), words=-(-shape[2] // 24)))
    assert max(address for *_, address in taps if address is not None) < shape[0] * shape[1] * 3


def walked(words: np.ndarray) -> Iterator[tuple[int, int, int | None]]:
    """Yield column and row of each word's pixel, and its address if it is in the map: from a descriptor."""
    counts = [words[1] & 0xFFFF, *(part for word in words[6:9] for part in halves(word))]
    counts = [
        *counts[:5],
        words[1] >> 16,
        *counts[5:],
    ]  # word, kernel, window, group, positions; inside first
    steps = [(int(words[0] >> 8 & 0xF), 0, 0)]
    steps += [(signed(words[12 + level], 32), *halves(words[19 + level])) for level in range(7)]
    index = [0] * 8
    x, y = halves(words[10])
    address = signed(words[11], 32)
    while True:
        width, height = halves(words[9])
        yield x, y, address if 0 <= x < width and 0 <= y < height else None
        loop = next((level for level in range(8) if index[level] < counts[level] - 1), None)
        if loop is None:
            return
        index[loop] += 1
        index[:loop] = [0] * loop
        address, x, y = (now + by for now, by in zip((address, x, y), steps[loop], strict=True))


def taps_of(
    layer: Layer, shape: tuple[int, int, int], groups: int, words: int
) -> Iterator[tuple[int, int, int | None]]:
    """Yield the same by the definition of a convolution."""
    height, width, _ = shape
    kernel, stride, padding, window, apart = shape[:2], (1, 1), (0, 0), (1, 1), (1, 1)
    if isinstance(layer, Conv):
        kernel, stride, padding = layer.kernel, layer.stride, layer.padding[:2]
        if layer.pool is not None:
            window, apart = layer.pool.size, layer.pool.stride
    for out_y, out_x in np.ndindex(layer.output_shape[:2]):
        for _ in range(groups):
            for window_y, window_x in np.ndindex(window):
                for tap_y, tap_x in np.ndindex(kernel):
                    y = (out_y * apart[0] + window_y) * stride[0] - padding[0] + tap_y
                    x = (out_x * apart[1] + window_x) * stride[1] - padding[1] + tap_x
                    inside = 0 <= x < width and 0 <= y < height
                    for word in range(words):
                        yield x, y, (y * width + x) * words + word if inside else None


def signed(word: int, bits: int) -> int:
    """Return the lowest bits of a word as two's complement."""
    value = int(word) & ((1 << bits) - 1)
    return value - (value >> (bits - 1) << bits)


def halves(word: int) -> tuple[int, int]:
    return signed(word, 16), signed(int(word) >> 16, 16)


def step(
    plane: int, weight_plane: int, shift: int, *, read: int = 1, negative: int = 0, ends: int = 0
) -> int:
    """Return a step's word; `ends`: bit 0 the first of its layer, bit 1 the last."""
    return plane | weight_plane << 4 | shift << 8 | negative << 10 | read << 11 | ends << 12


def test_steps() -> None:
    """Planes of inputs meet planes of weights by falling place value; the same steps are shared."""
    two = np.stack([weights(7, 18), weights(7, 18)])
    net = with_logits(
        conv("a", 7, (3, 3, 2), (3, 3), weights=two, weight_shifts=(0, 1)),
        conv("b", 7, (1, 1, 7), (1, 1)),
        bits=3,
    )
    placement = place(net, replace(CONV_GEOMETRY, word_bits=32))
    words = step_words(placement)
    assert words.dtype == np.uint32
    assert words.tolist() == [
        # Planes 4, 2 and 1 of inputs are numbers 0, 1 and 2; weights of 2 are plane 1.
        [step(0, 1, 0, ends=0b01)],  # 8
        [step(0, 0, 1)],  # 4
        [step(1, 1, 0)],  # 4
        [step(1, 0, 1)],  # 2
        [step(2, 1, 0)],  # 2
        [step(2, 0, 1, ends=0b10)],  # 1
        [step(0, 0, 0, ends=0b11)],
    ]
    assert [word >> 16 & 0xFF for word in descriptor_words(net, placement)[:, 0].tolist()] == [0, 6, 6]


GEOMETRY_OF_PAIRS = replace(CONV_GEOMETRY, word_bits=16)


def test_steps_of_planes_in_pairs() -> None:
    """The upper half of a word counts double: from pair to pair the sum is multiplied by 4."""
    net = with_logits(conv("a", 7, (3, 3, 2), (2, 2)), bits=5)
    assert step_words(place(net, GEOMETRY_OF_PAIRS)).tolist() == [
        [step(0, 0, 0, ends=0b01)],
        [step(1, 0, 2, read=0)],
        [step(2, 0, 2, read=0, ends=0b10)],
        [step(0, 0, 0, ends=0b11)],
    ]


def test_steps_of_signed_activations() -> None:
    """The highest plane of two's complement is subtracted."""
    several = MultiThreshold(np.zeros((2, 7), np.int32), np.zeros(7, np.bool_), bits=2, low=-1)
    net = with_logits(conv("a", 7, (3, 3, 2), (1, 1), head=several))
    words = step_words(place(net, replace(CONV_GEOMETRY, activation_bits=2)))
    assert words.tolist() == [
        [step(0, 0, 0, ends=0b11)],
        [step(0, 0, 0, negative=1, ends=0b01)],
        [step(1, 0, 1, read=0, ends=0b10)],
    ]


def test_thresholds() -> None:
    net = network()
    words = threshold_words(net, place(net, GEOMETRY), GEOMETRY)
    assert words.dtype == np.uint32
    assert words.shape == (8 + 3, 5)
    # Neurons 0 to 4: thresholds -2 to 2, so start values 2 to -2; the odd ones are flipped.
    assert [f"{word:08x}" for word in words[0]] == [
        "00000002",
        "80000001",
        "00000000",
        "800fffff",
        "000ffffe",
    ]
    # Neurons 35 and 36, then none.
    assert words[7].tolist() == [2**20 - 33 | 1 << 31, 2**20 - 34, 0, 0, 0]
    assert words[8].tolist() == [2**17] * 5  # 2**17 at -2**17: a positive start
    assert words[10].tolist() == [2**17] * 2 + [0] * 3


def test_a_network_without_hidden_layers_has_no_thresholds() -> None:
    single = Network("one", network().layers[2:], 8, False, {})
    assert threshold_words(single, place(single, GEOMETRY), GEOMETRY).shape == (0, 5)


def test_logits() -> None:
    assert logit_words(network()).tolist() == [
        [0xFFFFFFFF, 7],
        [0x00007FFF, 0xFFFFFFF8],
        [0xFFFF8000, 0x40000000],
    ]


@pytest.mark.parametrize(
    ("fields", "beat"),
    [
        ((0, 0, 1, 0), 0x0000_1000_0000_0000),
        ((0x12345678, 0x9A, 0xBC, 3), 0x030B_C09A_1234_5678),
        ((2**32 - 1, 2**12 - 1, 2**12 - 1, 3), 0x03FF_FFFF_FFFF_FFFF),
    ],
)
def test_header_beat(fields: tuple[int, int, int, int], beat: int) -> None:
    row, bank, bank_count, point = fields
    assert program_stream.header(row, bank, bank_count, point) == beat


def test_beats_of_a_packet() -> None:
    """Rows of two slices, low bits first."""
    rows = np.array([[1, 2], [3, 4], [5, 2**36 - 1]], dtype=np.uint64)
    packet = ProgramPacket(layer=0, row=9, bank=2, bank_count=3, rows=rows)
    beats = program_stream.beats(packet, point=1)
    assert beats.dtype == np.uint64
    assert beats.tolist() == [0x0100_3002_0000_0009, 1, 2, 3, 4, 5, 2**36 - 1]
    other = program_stream.beats(replace(packet, row=10), point=1)
    assert (beats != other).tolist() == [True] + [False] * 6
