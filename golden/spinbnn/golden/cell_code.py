"""How a row is held in its cells: check bits, complementary cells, and what reading makes of them.

The code is an extended Hamming code: the columns of the data bits are the numbers that are no power of two,
those of the check bits the powers of two, and one more bit makes the whole word's parity even.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import Words, pack, slices_for, unpack
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import check_bits

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Reading:
    """What reading rows gave.

    Parameters
    ----------
    data : uint64 [..., L]
        The bits, corrected where they could be.
    corrected, uncorrectable, tied : bool [...]
        Rows with one wrong code bit, with more than can be corrected, and with at least one tie.
    """

    data: Words
    corrected: Flags
    uncorrectable: Flags
    tied: Flags


def code_columns(word_bits: int) -> list[int]:
    """Return the column of each data bit: the numbers from 3 on that are no power of two."""
    columns = (number for number in range(3, 2 ** (check_bits(word_bits) + 1)) if number & (number - 1))
    return [next(columns) for _ in range(word_bits)]


class CellCode:
    """Encoder and decoder of a geometry's rows.

    Parameters
    ----------
    geometry : Geometry
    """

    def __init__(self, geometry: Geometry) -> None:
        self._memory = geometry.memory
        self._word_bits = geometry.word_bits
        self._code_bits = geometry.code_bits
        self._check_bits = check_bits(geometry.word_bits)
        columns = np.array(code_columns(geometry.word_bits))
        checked = [(columns >> bit & 1).astype(np.uint8) for bit in range(self._check_bits)]
        self._checked = pack(np.array(checked))  # [r, L]: the data bits that each check bit covers
        self._column_bit = np.full(2**self._check_bits, -1)
        self._column_bit[columns] = np.arange(geometry.word_bits)

    def encode(self, data: Words) -> Words:
        """Return the cells, uint64 [..., Lc], that hold rows of bits, uint64 [..., L]."""
        if not (self._memory.secded or self._memory.differential):
            return data
        bits = unpack(data, self._word_bits)
        if self._memory.secded:
            bits = np.concatenate([bits, self._checks(data)], axis=-1)
            bits = np.concatenate([bits, _parity(bits)], axis=-1)
        if self._memory.differential:
            bits = np.concatenate([bits, 1 - bits], axis=-1)
        return pack(bits)

    def read(self, cells: Words, mismatch: Words) -> Reading:
        """Return what a read gives of cells, uint64 [..., Lc].

        Parameters
        ----------
        cells : uint64 [..., Lc]
        mismatch : uint64 [..., slices of the code bits]
            What the sense amplifiers make of two equal cells.
        """
        nothing = np.zeros(cells.shape[:-1], dtype=np.bool_)
        code, tied = cells, nothing
        if self._memory.differential:
            code, tied = self._sense(cells, mismatch)
        if not self._memory.secded:
            return Reading(code, nothing, nothing, tied)
        return self._correct(unpack(code, self._code_bits), tied)

    def _sense(self, cells: Words, mismatch: Words) -> tuple[Words, Flags]:
        pairs = unpack(cells, 2 * self._code_bits)
        true, complement = pairs[..., : self._code_bits], pairs[..., self._code_bits :]
        ties = true == complement
        bits = np.where(ties, unpack(mismatch, self._code_bits), true)
        return pack(bits), ties.any(axis=-1)

    def _correct(self, code: NDArray[np.uint8], tied: Flags) -> Reading:
        """Correct code words, uint8 [..., n] of 0 and 1."""
        data = pack(code[..., : self._word_bits])
        stored_checks = code[..., self._word_bits : self._word_bits + self._check_bits]
        weights = 1 << np.arange(self._check_bits)
        syndrome = ((self._checks(data) ^ stored_checks) * weights).sum(axis=-1)
        odd = _parity(code)[..., 0] == 1
        bit = self._column_bit[syndrome]
        in_checks = (syndrome & (syndrome - 1)) == 0
        corrected = odd & ((bit >= 0) | in_checks)
        uncorrectable = np.where(odd, ~corrected, syndrome != 0)
        inverted = (np.arange(self._word_bits) == bit[..., None]) & corrected[..., None]
        return Reading(data ^ pack(inverted.astype(np.uint8)), corrected, uncorrectable, tied)

    def _checks(self, data: Words) -> NDArray[np.uint8]:
        """Return the check bits, uint8 [..., r], of rows, uint64 [..., L]."""
        ones = np.bitwise_count(data[..., None, :] & self._checked).sum(axis=-1, dtype=np.uint64)
        checks: NDArray[np.uint8] = (ones & np.uint64(1)).astype(np.uint8)
        return checks


def _parity(bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the parity of bits, uint8 [..., n], as uint8 [..., 1]."""
    parity: NDArray[np.uint8] = np.bitwise_xor.reduce(bits, axis=-1, keepdims=True)
    return parity


def mismatch_slices(geometry: Geometry) -> int:
    """Return the 64-bit slices of a bank's sense amplifiers, one amplifier a code bit."""
    return slices_for(geometry.code_bits)
