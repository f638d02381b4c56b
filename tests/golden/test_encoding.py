"""Bits, words, rows and planes."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.encoding import bit_planes, join_rows, pack, slices_for, split_rows, unpack, words_for
from spinbnn.golden.errors import DataError

PROPERTY = settings(deadline=None, derandomize=True)
BITS = st.lists(st.integers(0, 1), min_size=1, max_size=300)


def test_element_k_is_bit_k_mod_64_of_word_k_div_64() -> None:
    bits = np.zeros(130, dtype=np.uint8)
    bits[[0, 65, 129]] = 1
    assert pack(bits).tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("k", "word_bits", "words"), [(1, 64, 1), (64, 64, 1), (65, 64, 2), (48, 24, 2), (49, 24, 3)]
)
def test_words_for_rounds_up(k: int, word_bits: int, words: int) -> None:
    assert words_for(k, word_bits) == words


@pytest.mark.parametrize(("word_bits", "slices"), [(1, 1), (64, 1), (65, 2), (128, 2), (129, 3), (256, 4)])
def test_slices_for_rounds_up(word_bits: int, slices: int) -> None:
    assert slices_for(word_bits) == slices


@PROPERTY
@given(BITS)
def test_packed_word_is_the_binary_number_of_its_bits(bits: list[int]) -> None:
    words = pack(np.array(bits, dtype=np.uint8))
    number = sum(int(word) << 64 * index for index, word in enumerate(words))
    assert number == sum(bit << k for k, bit in enumerate(bits))
    assert words.dtype == np.uint64
    assert len(words) == words_for(len(bits), 64)
    assert unpack(words, len(bits)).tolist() == bits


@PROPERTY
@given(BITS, st.integers(1, 256))
def test_row_k_div_w_holds_element_k_in_bit_k_mod_w(bits: list[int], word_bits: int) -> None:
    rows = split_rows(np.array(bits, dtype=np.uint8), word_bits)
    assert rows.shape == (words_for(len(bits), word_bits), slices_for(word_bits))
    for index, row in enumerate(rows):
        number = sum(int(part) << 64 * position for position, part in enumerate(row))
        expected = bits[index * word_bits : (index + 1) * word_bits]
        assert number == sum(bit << k for k, bit in enumerate(expected))
    assert join_rows(rows, word_bits, len(bits)).tolist() == bits


def test_leading_axes_are_kept() -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 4, 70), dtype=np.uint8)
    assert pack(bits).shape == (3, 4, 2)
    assert split_rows(bits, 24).shape == (3, 4, 3, 1)
    assert np.array_equal(join_rows(split_rows(bits, 24), 24, 70), bits)
    assert np.array_equal(pack(bits)[2, 3], pack(bits[2, 3]))


def test_plane_0_is_the_least_significant() -> None:
    assert bit_planes(np.array([1, 6], dtype=np.uint8), 3).tolist() == [[1, 0], [0, 1], [0, 1]]


def test_planes_weighted_by_powers_of_two_are_the_elements() -> None:
    x = np.arange(256, dtype=np.uint8).reshape(2, 128)
    planes = bit_planes(x, 8)
    assert planes.shape == (2, 8, 128)
    assert np.array_equal((planes * (2 ** np.arange(8))[:, np.newaxis]).sum(axis=1), x)


@pytest.mark.parametrize(("bits", "shown"), [([0, 2], "0..2"), ([-1, 1], "-1..1")])
def test_pack_rejects_what_is_no_bit(bits: list[int], shown: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(f'bits must be 0 or 1, not {shown}')}$"):
        pack(np.array(bits))


def test_bit_planes_rejects_what_does_not_fit() -> None:
    with pytest.raises(DataError, match=r"^elements of 3 bits must be at most 7, not 8$"):
        bit_planes(np.array([7, 8], dtype=np.uint8), 3)
