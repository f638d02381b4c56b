"""Streams of bits, and the networks that take them in another form."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.errors import DataError, NetworkError
from spinbnn.golden.layers import Threshold
from spinbnn.golden.network import forward, random_network, trace
from spinbnn.sim.studies.stochastic_streams import (
    WHITE,
    black_or_white_network,
    counting_network,
    stream_bits,
)

BITS = random_network((37, 20, 16, 5), input_bits=1, input_signed=True, seed=2)
GREY = random_network((37, 20, 16, 5), input_bits=8, seed=2)


def test_a_stream_has_the_mean_of_its_pixel_and_its_ends_are_certain():
    pixels = np.repeat(np.array([0, 1, 64, 200, 254, 255], dtype=np.uint8)[:, None], 100_000, axis=1)
    means = stream_bits(pixels, np.random.default_rng(1)).mean(axis=1)
    assert means[0] == 0
    assert means[-1] == 1
    assert means == pytest.approx([0, 1 / 255, 64 / 255, 200 / 255, 254 / 255, 1], abs=0.006)
    assert means[1] > 0
    assert means[4] < 1


@pytest.mark.parametrize("length", [1, 2, 3, 128, 255])
def test_counting_is_the_mean_over_the_presentations(length):
    rng = np.random.default_rng(length)
    streams = rng.integers(0, 2, (length, 30, 37), dtype=np.uint8)
    sums = sum(trace(BITS, bits)[0].sums.astype(np.int64) for bits in streams)
    head = BITS.layers[0].head
    assert isinstance(head, Threshold)
    expected = (sums >= length * head.values.astype(np.int64)) ^ head.flip
    counting = counting_network(BITS, length)
    got = trace(counting, streams.sum(axis=0, dtype=np.uint8))[0].bits
    assert np.array_equal(got, expected)
    if length == 1:
        assert np.array_equal(forward(counting, streams[0]), forward(BITS, streams[0]))


def test_black_or_white_images_give_the_same_as_bits():
    bits = np.random.default_rng(1).integers(0, 2, (500, 37), dtype=np.uint8)
    assert np.array_equal(forward(black_or_white_network(GREY), bits), forward(GREY, bits * np.uint8(WHITE)))


def test_other_networks_and_lengths_are_refused():
    for length in (0, 256):
        with pytest.raises(DataError, match=f"1 to 255 bits, not {length}"):
            counting_network(BITS, length)
    with pytest.raises(NetworkError, match=r"must take images of \+1 and -1"):
        counting_network(GREY, 2)
    with pytest.raises(NetworkError, match="must take images of 8 bits"):
        black_or_white_network(BITS)
    relu = replace(GREY, layers=(replace(GREY.layers[0], relu=True), *GREY.layers[1:]))
    with pytest.raises(NetworkError, match="first layer must be fully connected"):
        black_or_white_network(relu)
