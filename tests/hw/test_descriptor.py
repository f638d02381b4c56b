"""What the machine is loaded with, against words worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.encoding import pack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Dense, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.placement import ProgramPacket, place
from spinbnn.hw import program_stream
from spinbnn.hw.descriptor import descriptor_words, logit_words, threshold_words

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


def test_descriptors() -> None:
    """Rows: 8 groups of 3 words, then 3 of 2, then 1 of 1. Activations: 2 words at 0, 1 word at 2."""
    net = network()
    words = descriptor_words(net, place(net, GEOMETRY))
    assert words.dtype == np.uint32
    assert [[f"{word:08x}" for word in layer] for layer in words] == [
        # flags and planes, groups|words, row base, tail bits|threshold base, destination|source, last group
        ["00000805", "00080003", "00000000", "00020000", "00000000", "00000002", "00000000", "00000000"],
        ["00000100", "00030002", "00000018", "000d0008", "00020000", "00000002", "00000000", "00000000"],
        ["00000102", "00010001", "0000001e", "000c0000", "00000002", "00000003", "00000000", "00000000"],
    ]


def test_descriptor_of_signed_inputs() -> None:
    net = network(input_bits=1, input_signed=True)
    assert descriptor_words(net, place(net, GEOMETRY))[0, 0] == 0x104


def test_descriptor_of_unsigned_bits() -> None:
    net = network(input_bits=1)
    assert descriptor_words(net, place(net, GEOMETRY))[0, 0] == 0x105


def test_descriptor_of_a_single_layer() -> None:
    """It reads the input and writes logits at once."""
    single = Network("one", network().layers[2:], 3, False, {})
    assert descriptor_words(single, place(single, GEOMETRY)).tolist() == [
        [0x307, 0x0001_0001, 0, 12 << 16, 0, 3, 0, 0]
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
