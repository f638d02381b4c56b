"""The files between Python and the wrapper: beats and pauses of the streams, logs, and the array's cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.encoding import SLICE_BITS, Words
from spinbnn.golden.geometry import Geometry
from spinbnn.sim.testbench.wrapper import bank_file

Bytes = NDArray[np.uint8]

_UNKNOWN = 0xFF
_DIGITS = np.full(256, _UNKNOWN, dtype=np.uint8)
for _value, _digit in enumerate(b"0123456789abcdef"):
    _DIGITS[_digit] = _value
for _value, _digit in enumerate(b"ABCDEF", start=10):
    _DIGITS[_digit] = _value
_SLICE_DIGITS = SLICE_BITS // 4


class UnknownBitsError(Exception):
    """A memory or signal holds bits that are neither 0 nor 1."""


def write_beats(path: Path, data: Bytes, last: Bytes, pauses: NDArray[np.int64]) -> None:
    """Write the beats of a stream as the wrapper reads them.

    Parameters
    ----------
    path : Path
    data : uint8 [n, bytes]
        Low byte first.
    last : uint8 [n]
        0 or 1.
    pauses : int64 [n]
        Clocks before each beat.
    """
    layout = np.dtype([("pause", ">u4"), ("last", "u1"), ("data", "u1", (data.shape[1],))])
    records = np.empty(len(data), dtype=layout)
    records["pause"], records["last"], records["data"] = pauses, last, data[:, ::-1]
    records.tofile(path)


def write_pauses(path: Path, pauses: NDArray[np.int64]) -> None:
    """Write the pauses behind the beats of a stream, int64 [n]."""
    pauses.astype(">u4").tofile(path)


def hex_digits(bits: int) -> int:
    """Return the digits that a simulator prints of a number of `bits` bits."""
    return -(-bits // 4)


class Log:
    """A log of the wrapper's: lines of hexadecimal numbers of fixed widths.

    Parameters
    ----------
    path : Path
    bits : sequence of int
        Bits of each number of a line.
    """

    def __init__(self, path: Path, bits: Sequence[int]) -> None:
        self._path = path
        self._digits = [hex_digits(each) for each in bits]
        self._position = 0

    def take(self) -> list[Words]:
        """Return the numbers of the lines since the last call, uint64 [n, L] for each column.

        Raises
        ------
        UnknownBitsError
            If a digit is x or z.
        """
        with self._path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        width = sum(self._digits) + len(self._digits)
        lines = np.frombuffer(text, dtype=np.uint8, count=len(text) // width * width).reshape(-1, width)
        self._position += lines.size
        columns, first = [], 0
        for digits in self._digits:
            columns.append(_numbers(lines[:, first : first + digits]))
            first += digits + 1
        return columns


def _numbers(text: Bytes) -> Words:
    """Return numbers, uint64 [n, L], of the digits, uint8 [n, digits], of their text."""
    values = _DIGITS[text]
    if np.any(values == _UNKNOWN):
        line = int(np.argmax((values == _UNKNOWN).any(axis=1)))
        raise UnknownBitsError(f"word {line} is {bytes(text[line]).decode(errors='replace')}")
    missing = -text.shape[1] % _SLICE_DIGITS
    padded = np.pad(values, ((0, 0), (missing, 0)))
    octets = np.ascontiguousarray(padded[:, 0::2] << 4 | padded[:, 1::2])
    big_endian = octets.view(">u8")[:, ::-1]
    return big_endian.astype(np.uint64)


def words_to_hex(words: Words) -> list[str]:
    """Return words, uint64 [n, L], as hexadecimal numbers, most significant digit first."""
    big_endian = words[:, ::-1].astype(">u8")
    return [row.tobytes().hex() for row in big_endian]


def hex_to_words(numbers: list[str], slices: int) -> Words:
    """Return hexadecimal numbers as words, uint64 [n, L].

    Raises
    ------
    UnknownBitsError
        If a digit is x or z.
    """
    digits = slices * _SLICE_DIGITS
    text = "".join(number.zfill(digits) for number in numbers).encode()
    return _numbers(np.frombuffer(text, dtype=np.uint8).reshape(-1, digits))


def write_cells(directory: Path, geometry: Geometry, cells: Words) -> None:
    """Write all cells, uint64 [banks, rows, Lc], for the wrapper to load."""
    digits = hex_digits(geometry.row_cells)
    for bank, rows in enumerate(cells):
        numbers = [number[-digits:] for number in words_to_hex(rows)]
        (directory / bank_file(bank)).write_text("\n".join(numbers) + "\n")


def read_cells(directory: Path, geometry: Geometry) -> Words:
    """Return all cells, uint64 [banks, rows, Lc], as the wrapper dumped them.

    Raises
    ------
    UnknownBitsError
        If a bit is neither 0 nor 1.
    """
    cells = np.empty((geometry.banks, geometry.rows, geometry.cell_slices), dtype=np.uint64)
    for bank in range(geometry.banks):
        lines = (directory / bank_file(bank)).read_text().split("\n")
        numbers = [line for line in lines if line and not line.startswith("//")]
        try:
            cells[bank] = hex_to_words(numbers, geometry.cell_slices)
        except UnknownBitsError as error:
            raise UnknownBitsError(f"bank {bank}: {error}") from None
    return cells


def remove_cells(directory: Path, geometry: Geometry) -> None:
    """Remove the files of the cells."""
    for bank in range(geometry.banks):
        (directory / bank_file(bank)).unlink()
