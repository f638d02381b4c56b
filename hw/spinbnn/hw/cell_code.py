"""How a row is held in its cells: check bits and complementary cells, and what reading makes of them.

The code is that of `docs/architecture.md`, section Memory options: a Hamming code with a parity bit over all.
Without the options `secded` and `differential` the cells are the data.
"""

from itertools import islice
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import check_bits
from spinbnn.hw.counters import read_kinds


class ReadFlags(data.StructLayout):
    """What became of a row that was read: a bit for each of the machine's `read_kinds`."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(dict.fromkeys(read_kinds(geometry), 1))


def is_coded(geometry: Geometry) -> bool:
    """Return whether cells are more than the data."""
    return geometry.row_cells != geometry.word_bits


def _columns(word_bits: int) -> list[int]:
    """Return each data bit's column, which is the syndrome of an error in it."""
    numbers = (number for number in range(2 ** check_bits(word_bits)) if number.bit_count() > 1)
    return list(islice(numbers, word_bits))


def _checks(word: Value) -> Value:
    """Return the check bits of data."""
    columns = _columns(len(word))
    covered = (
        [bit for bit, column in zip(word, columns, strict=True) if column >> check & 1]
        for check in range(check_bits(len(word)))
    )
    return Cat(Cat(bits).xor() for bits in covered)


def encode(m: Module, geometry: Geometry, word: Value) -> Value:
    """Add to `m` what finds the cells that hold a row's data.

    Parameters
    ----------
    m : Module
        Module that gets the logic.
    geometry : Geometry
        Machine size: `word_bits`, `memory`.
    word : Value
        W bits.

    Returns
    -------
    Value
        `row_cells` bits; combinational.
    """
    code = word
    if geometry.memory.secded:
        checks = Signal(check_bits(len(word)), name="target_checks")
        m.d.comb += checks.eq(_checks(word))
        checked = Cat(word, checks)
        code = Cat(checked, checked.xor())
    return Cat(code, ~code) if geometry.memory.differential else code


def decode(m: Module, geometry: Geometry, cells: Value, mismatch: Value) -> tuple[Value, Value]:
    """Add to `m` what reads a row.

    Parameters
    ----------
    m : Module
        Module that gets the logic.
    geometry : Geometry
        Machine size: `word_bits`, `memory`.
    cells : Value
        The row's cells.
    mismatch : Value
        What each sense amplifier reads of two equal cells; only used if cells are differential.

    Returns
    -------
    word : Value
        The data, corrected if they could be; combinational.
    flags : Value
        A `ReadFlags`.
    """
    word = Signal(geometry.word_bits, name="read_word")
    flags = Signal(ReadFlags(geometry), name="read_flags")
    code = Signal(geometry.code_bits, name="read_code")
    if geometry.memory.differential:
        true, complement = cells[: geometry.code_bits], cells[geometry.code_bits :]
        ties = Signal(geometry.code_bits, name="read_ties")
        m.d.comb += [
            ties.eq(~(true ^ complement)),
            code.eq((true & ~ties) | (mismatch & ties)),
            flags.tied.eq(ties.any()),
        ]
    else:
        m.d.comb += code.eq(cells)
    if geometry.memory.secded:
        _correct(m, geometry, code, word, flags)
    else:
        m.d.comb += word.eq(code)
    return word, flags


def _correct(m: Module, geometry: Geometry, code: Value, word: Value, flags: Any) -> None:
    """Invert the data bit that the syndrome points to; tell what was found."""
    width = geometry.word_bits
    read = code[:width]
    syndrome = Signal(check_bits(width), name="read_syndrome")
    odd = Signal(name="read_odd")
    pointed = Signal(width, name="read_pointed")
    in_checks = Signal(name="read_in_checks")
    m.d.comb += [
        syndrome.eq(_checks(read) ^ code[width : width + len(syndrome)]),
        odd.eq(code.xor()),
        pointed.eq(Cat(syndrome == column for column in _columns(width))),
        in_checks.eq((syndrome & (syndrome - 1)[: len(syndrome)]) == 0),  # or in the parity, or nowhere
        word.eq(read ^ Mux(odd, pointed, 0)),
        flags.corrected.eq(odd & (in_checks | pointed.any())),
        flags.uncorrectable.eq(Mux(odd, ~(in_checks | pointed.any()), syndrome.any())),
    ]
