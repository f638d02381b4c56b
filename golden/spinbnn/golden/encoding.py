"""How numbers become bits: the one definition that golden, hardware and simulation share.

Bit 1 is +1 and bit 0 is -1; ``sign(0)`` is +1. Element k of a vector is bit ``k % W`` of word ``k // W``;
unused bits of the last word are 0. In Python a word is a run of 64-bit *slices*, low bits first.
"""

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import DataError

Words = NDArray[np.uint64]
Bits = NDArray[np.uint8]

SLICE_BITS = 64


def words_for(k: int, word_bits: int) -> int:
    """Return the number of words of `word_bits` bits that hold `k` elements."""
    return -(-k // word_bits)


def slices_for(word_bits: int) -> int:
    """Return the number of 64-bit slices of a word of `word_bits` bits."""
    return words_for(word_bits, SLICE_BITS)


def pack(bits: NDArray[np.integer] | NDArray[np.bool_]) -> Words:
    """Pack bits into 64-bit words, element k in bit ``k % 64`` of word ``k // 64``.

    Parameters
    ----------
    bits : integer or bool [..., K]
        Each 0 or 1.

    Returns
    -------
    uint64 [..., ceil(K/64)]

    Raises
    ------
    DataError
        If an element is neither 0 nor 1.
    """
    negative = bits.dtype.kind == "i" and bits.size and bits.min() < 0
    if negative or (bits.size and bits.max() > 1):
        raise DataError(f"bits must be 0 or 1, not {bits.min()}..{bits.max()}")
    octets = np.packbits(bits.astype(np.uint8, copy=False), axis=-1, bitorder="little")
    missing = -octets.shape[-1] % 8
    if missing:
        octets = np.pad(octets, [(0, 0)] * (octets.ndim - 1) + [(0, missing)])
    return np.ascontiguousarray(octets).view("<u8").astype(np.uint64, copy=False)


def unpack(words: Words, k: int) -> Bits:
    """Unpack the first `k` bits; the inverse of `pack`.

    Parameters
    ----------
    words : uint64 [..., at least ceil(k/64)]
    k : int

    Returns
    -------
    uint8 [..., k]
        Each 0 or 1.
    """
    octets = np.ascontiguousarray(words.astype("<u8", copy=False)).view(np.uint8)
    return np.unpackbits(octets, axis=-1, count=k, bitorder="little")


def split_rows(bits: NDArray[np.integer] | NDArray[np.bool_], word_bits: int) -> Words:
    """Split vectors into words as they lie in memory rows.

    Parameters
    ----------
    bits : integer or bool [..., K]
        Each 0 or 1.
    word_bits : int
        W.

    Returns
    -------
    uint64 [..., ceil(K/W), ceil(W/64)]

    Raises
    ------
    DataError
        If an element is neither 0 nor 1.
    """
    words = words_for(bits.shape[-1], word_bits)
    missing = words * word_bits - bits.shape[-1]
    padded = np.pad(bits, [(0, 0)] * (bits.ndim - 1) + [(0, missing)])
    return pack(padded.reshape(*bits.shape[:-1], words, word_bits))


def join_rows(rows: Words, word_bits: int, k: int) -> Bits:
    """Join words into vectors of `k` bits; the inverse of `split_rows`.

    Parameters
    ----------
    rows : uint64 [..., ceil(k/W), ceil(W/64)]
    word_bits : int
        W.
    k : int

    Returns
    -------
    uint8 [..., k]
    """
    bits = unpack(rows, word_bits)
    return bits.reshape(*rows.shape[:-2], rows.shape[-2] * word_bits)[..., :k]


def bit_planes(x: NDArray[np.uint8], planes: int) -> Bits:
    """Split unsigned elements into bit-planes, plane 0 the least significant.

    Parameters
    ----------
    x : uint8 [..., K]
        Each below ``2**planes``.
    planes : int
        1 to 8.

    Returns
    -------
    uint8 [..., planes, K]

    Raises
    ------
    DataError
        If an element does not fit in `planes` bits.
    """
    if x.size and int(x.max()) >> planes:
        raise DataError(f"elements of {planes} bits must be at most {2**planes - 1}, not {x.max()}")
    shifts = np.arange(planes, dtype=np.uint8)[:, np.newaxis]
    return (x[..., np.newaxis, :] >> shifts) & np.uint8(1)
