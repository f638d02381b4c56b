"""Cells of a row: every single error, every double error, ties, and words with more errors."""

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.hw.cell_code import ReadFlags, decode, encode, is_coded
from spinbnn.hw.counters import read_kinds
from spinbnn.hw.library import Library
from tests.hw.memory_model import CellCode, Read, to_bits, to_int
from tests.hw.simulation import simulate


class Codec(wiring.Component):
    """Encoder and decoder side by side."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "word": In(geometry.word_bits),
                "encoded": Out(geometry.row_cells),
                "cells": In(geometry.row_cells),
                "mismatch": In(geometry.code_bits),
                "read": Out(geometry.word_bits),
                "flags": Out(ReadFlags(geometry)),
            }
        )

    def elaborate(self, library: Library) -> Elaboratable:
        m = Module()
        word, flags = decode(m, self.geometry, self.cells, self.mismatch)
        m.d.comb += [
            self.encoded.eq(encode(m, self.geometry, self.word)),
            self.read.eq(word),
            self.flags.eq(flags),
        ]
        m.d.sync += Signal().eq(1)  # the simulator wants a clock
        return m


def geometry_of(word_bits: int, **options: bool) -> Geometry:
    return Geometry(1, word_bits, stream_bits=8, memory=MemoryOptions(**options))


class Bench:
    """A codec under test and the model beside it."""

    def __init__(self, ctx: Any, codec: Codec) -> None:
        self.ctx, self.codec = ctx, codec
        self.code = CellCode(codec.geometry)
        self.width, self.cells = codec.geometry.word_bits, codec.geometry.row_cells

    def encode(self, word: int) -> int:
        self.ctx.set(self.codec.word, word)
        return int(self.ctx.get(self.codec.encoded))

    def read(self, cells: int, mismatch: int = 0) -> Read:
        """Return what is read, which is what the model reads."""
        ctx, codec = self.ctx, self.codec
        ctx.set(codec.cells, cells)
        ctx.set(codec.mismatch, mismatch)
        flags = {kind: bool(ctx.get(codec.flags[kind])) for kind in read_kinds(codec.geometry)}
        read = Read(to_bits(ctx.get(codec.read), self.width), **flags)
        expected = self.code.read(to_bits(cells, self.cells), to_bits(mismatch, self.code.code_bits))
        assert read == expected, (f"{cells:x}", f"{mismatch:x}")
        return read


def drive(geometry: Geometry, test: Callable[[Bench], None]) -> None:
    codec = Codec(geometry)

    async def bench(ctx: Any) -> None:
        test(Bench(ctx, codec))

    simulate(codec, bench)


def words(width: int, count: int) -> list[int]:
    rng = random.Random(width)
    return [0, 2**width - 1, *(rng.getrandbits(width) for _ in range(count))]


OPTIONS = {
    "secded": {"secded": True},
    "differential": {"differential": True},
    "both": {"secded": True, "differential": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("width", [1, 4, 24, 64, 100])
def test_encoding_is_the_model_s_and_reads_back(width: int, options: dict[str, bool]) -> None:
    def test(bench: Bench) -> None:
        for word in words(width, 20):
            word &= 2**width - 1
            cells = bench.encode(word)
            assert cells == to_int(bench.code.encode(to_bits(word, width)))
            assert bench.read(cells) == Read(to_bits(word, width))

    drive(geometry_of(width, **options), test)


@pytest.mark.parametrize(("width", "code_bits"), [(1, 4), (4, 8), (11, 16), (24, 30), (64, 72), (256, 266)])
def test_a_code_word_has_the_known_length(width: int, code_bits: int) -> None:
    """Extended Hamming codes: (8, 4), (16, 11), (72, 64) and their shortened forms."""
    assert geometry_of(width, secded=True).code_bits == code_bits
    assert geometry_of(width, secded=True, differential=True).row_cells == 2 * code_bits
    assert not is_coded(geometry_of(width))


@pytest.mark.parametrize("width", [1, 8, 24, 64])
def test_every_single_error_is_corrected(width: int) -> None:
    def test(bench: Bench) -> None:
        for word in words(width, 3):
            cells = bench.encode(word)
            for position in range(bench.cells):
                read = bench.read(cells ^ 1 << position)
                assert read == Read(to_bits(word, width), corrected=True), position

    drive(geometry_of(width, secded=True), test)


@pytest.mark.parametrize(("width", "count"), [(1, 0), (8, 6), (24, 1), (64, 0)])
def test_every_double_error_is_detected_and_data_stay_as_read(width: int, count: int) -> None:
    def test(bench: Bench) -> None:
        for word in words(width, count):
            cells = bench.encode(word)
            for pair in itertools.combinations(range(bench.cells), 2):
                wrong = cells ^ sum(1 << position for position in pair)
                read = bench.read(wrong)
                assert read == Read(to_bits(wrong, width), uncorrectable=True), pair

    drive(geometry_of(width, secded=True), test)


@pytest.mark.parametrize("width", [8, 24, 64])
def test_three_errors_and_more_do_what_the_model_does(width: int) -> None:
    """Some look like one error, some point to no bit: both happen."""
    rng = random.Random(width)

    def test(bench: Bench) -> None:
        seen = set()
        for _ in range(400):
            cells = bench.encode(rng.getrandbits(width))
            for position in rng.sample(range(bench.cells), rng.randint(3, 6)):
                cells ^= 1 << position
            read = bench.read(cells)
            seen.add((read.corrected, read.uncorrectable))
        assert {(True, False), (False, True)} <= seen

    drive(geometry_of(width, secded=True), test)


@pytest.mark.parametrize("width", [4, 24])
def test_a_tie_reads_as_the_sense_amplifier_s_mismatch(width: int) -> None:
    def test(bench: Bench) -> None:
        for word in words(width, 2):
            cells = bench.encode(word)
            for position in range(bench.cells):  # either cell of the pair takes its neighbour's value
                for mismatch in (0, 2**width - 1, 1 << position % width):
                    read = bench.read(cells ^ 1 << position, mismatch)
                    expected = to_bits(word, width)
                    expected[position % width] = mismatch >> position % width & 1
                    assert read == Read(expected, tied=True)
            for k in range(width):  # both cells wrong: no tie, and the other bit
                read = bench.read(cells ^ (1 << k | 1 << width + k), 2**width - 1)
                assert read == Read(to_bits(word ^ 1 << k, width))

    drive(geometry_of(width, differential=True), test)


@pytest.mark.parametrize("width", [8, 24, 64])
def test_check_bits_correct_one_tie_that_reads_wrong(width: int) -> None:
    rng = random.Random(width)

    def test(bench: Bench) -> None:
        word = rng.getrandbits(width)
        cells = bench.encode(word)
        code_bits = bench.code.code_bits
        for position in range(2 * code_bits):
            wrong = ~cells >> position % code_bits & 1
            for mismatch in (wrong, 1 - wrong):
                read = bench.read(cells ^ 1 << position, mismatch << position % code_bits)
                assert read == Read(to_bits(word, width), corrected=mismatch == wrong, tied=True)
        for _ in range(200):
            flips = sum(1 << p for p in rng.sample(range(2 * code_bits), rng.randint(2, 5)))
            bench.read(cells ^ flips, rng.getrandbits(code_bits))

    drive(geometry_of(width, secded=True, differential=True), test)
