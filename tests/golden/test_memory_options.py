"""The memory's mechanisms against the per-cell reference, alone and together."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import CapacityError, OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.mram import MramArray, counter_indices
from spinbnn.golden.operating_point import OperatingPoint, operating_point
from spinbnn.golden.placement import ProgramPacket
from tests.golden.test_mram import FRACTIONS, POINT, Witness, random_rows

PROPERTY = settings(deadline=None, derandomize=True, max_examples=60)
MEMORY = st.builds(
    MemoryOptions,
    variability=st.booleans(),
    self_terminated=st.booleans(),
    secded=st.booleans(),
    differential=st.booleans(),
    ageing=st.just(True),
    scrub=st.just(True),
    read_groups=st.sampled_from([0, 2, 4, 8, 16]),
)
CHIP = st.builds(
    Chip,
    seed=st.integers(0, 2**64 - 1),
    class_shares=st.tuples(*[st.integers(0, 2**16 - 1)] * 3),
    stuck=st.tuples(*[st.sampled_from([False, False, True])] * 4),
)
CLASS_FRACTIONS = st.none() | st.tuples(FRACTIONS, FRACTIONS, FRACTIONS)
ENERGY = st.none() | st.integers(0, 2**32 - 1)
STEPS = st.lists(st.sampled_from(["program", "age", "scrub", "read"]), min_size=2, max_size=6)


def fitted(point: OperatingPoint, memory: MemoryOptions) -> OperatingPoint:
    """Return the point without what the memory has not."""
    if not memory.variability:
        point = replace(point, class_p_fail_01=None, class_p_fail_10=None)
    if not memory.self_terminated:
        point = replace(point, energy_01_failed_aj=None, energy_10_failed_aj=None)
    return point


@PROPERTY
@given(
    memory=MEMORY,
    chip=CHIP,
    word_bits=st.sampled_from([1, 8, 24, 57, 64, 65, 100]),
    rows=st.sampled_from([6, 8, 9]),
    steps=STEPS,
    point=POINT,
    weak_01=CLASS_FRACTIONS,
    weak_10=CLASS_FRACTIONS,
    failed_aj=st.tuples(ENERGY, ENERGY),
    seed=st.integers(0, 2**32),
)
def test_mechanisms_together_equal_the_reference(
    memory: MemoryOptions,
    chip: Chip,
    word_bits: int,
    rows: int,
    steps: list[str],
    point: OperatingPoint,
    weak_01: tuple[int, int, int] | None,
    weak_10: tuple[int, int, int] | None,
    failed_aj: tuple[int | None, int | None],
    seed: int,
) -> None:
    point = replace(
        point,
        class_p_fail_01=weak_01,
        class_p_fail_10=weak_10,
        energy_01_failed_aj=failed_aj[0],
        energy_10_failed_aj=failed_aj[1],
    )
    point = fitted(point, memory)
    geometry = Geometry(3, word_bits, rows=rows, stream_bits=8, memory=memory)
    array = MramArray(geometry, seed, chip=chip)
    rng = np.random.default_rng(seed)
    array.cells[:] = random_rows(rng, array.cells.shape[:2], geometry.row_cells)
    witness = Witness(array)
    for step in steps:
        first = int(rng.integers(0, rows - 3))
        if step == "program":
            packet = ProgramPacket(0, first, 1, 2, random_rows(rng, (6,), word_bits))
            witness.program(packet, point)
        elif step == "read":
            witness.read(int(rng.integers(0, 3)), first)
        elif step == "age":
            witness.age(first, first + 2, point)
        else:
            witness.scrub(first, first + 2, point)
    witness.compare()


def plain_array(word_bits: int = 64, **options: Any) -> MramArray:
    return MramArray(Geometry(2, word_bits, rows=16, stream_bits=8, memory=MemoryOptions(**options)), seed=3)


@pytest.mark.parametrize("word_bits", [1, 8, 24, 64, 200])
def test_one_wrong_cell_is_corrected_wherever_it_is(word_bits: int) -> None:
    array = plain_array(word_bits, secded=True)
    rows = random_rows(np.random.default_rng(1), (1,), word_bits)
    array.program(ProgramPacket(0, 2, 1, 1, rows), operating_point())
    for cell in range(array.geometry.row_cells):
        array.cells[1, 2, cell // 64] ^= np.uint64(1 << cell % 64)
        assert np.array_equal(array.read_row(1, 2), rows[0]), cell
        array.cells[1, 2, cell // 64] ^= np.uint64(1 << cell % 64)
    assert array.counters["corrected_reads"].tolist() == [0, array.geometry.row_cells]
    assert not array.counters["uncorrectable_reads"].any()


@pytest.mark.parametrize("word_bits", [1, 8, 24])
def test_two_wrong_cells_are_detected_wherever_they_are(word_bits: int) -> None:
    array = plain_array(word_bits, secded=True)
    rows = random_rows(np.random.default_rng(1), (1,), word_bits)
    array.program(ProgramPacket(0, 2, 1, 1, rows), operating_point())
    cells = array.geometry.row_cells
    for one in range(cells):
        for other in range(one):
            array.cells[1, 2, 0] ^= np.uint64(1 << one | 1 << other)
            array.read_row(1, 2)
            array.cells[1, 2, 0] ^= np.uint64(1 << one | 1 << other)
    assert array.counters["uncorrectable_reads"].tolist() == [0, cells * (cells - 1) // 2]
    assert not array.counters["corrected_reads"].any()


def test_a_scrub_repairs_what_can_be_and_leaves_what_cannot() -> None:
    array = plain_array(secded=True, scrub=True)
    rows = random_rows(np.random.default_rng(1), (4,), 64)
    array.program(ProgramPacket(0, 0, 0, 1, rows), operating_point())
    right = array.cells.copy()
    array.cells[0, 0, 0] ^= np.uint64(1 << 7)
    array.cells[0, 1, 1] ^= np.uint64(1 << 3)  # a check bit
    array.cells[0, 2, 0] ^= np.uint64(0b101)
    wrong = array.cells[0, 2].copy()
    array.scrub(0, 3, operating_point())
    assert np.array_equal(array.cells[0, [0, 1, 3]], right[0, [0, 1, 3]])
    assert np.array_equal(array.cells[0, 2], wrong)
    assert array.counters["scrubbed_rows"].tolist() == [2, 0]
    assert array.counters["corrected_reads"].tolist() == [2, 0]
    assert array.counters["uncorrectable_reads"].tolist() == [1, 0]


def test_differential_cells_bear_one_wrong_cell_if_the_amplifier_leans_to_the_right_side() -> None:
    array = plain_array(differential=True)
    rows = random_rows(np.random.default_rng(1), (1,), 64)
    array.program(ProgramPacket(0, 0, 0, 1, rows), operating_point())
    mismatch = array.chip.sense_mismatch(array.geometry)[0, 0]
    array.cells[0, 0, 0] ^= np.uint64(2**64 - 1)  # every pair is a tie
    assert array.read_row(0, 0)[0] == mismatch
    assert array.counters["tied_reads"].tolist() == [1, 0]


def test_the_mismatch_of_a_bank_lies_in_order_whatever_its_slices() -> None:
    """Its words are what software writes into the table, half by half."""
    geometry = Geometry(3, 72, rows=2, memory=MemoryOptions(differential=True))
    mismatch = Chip(5).sense_mismatch(geometry)
    halves = mismatch.view("<u4")
    assert mismatch.shape == (3, 2)
    assert halves.shape == (3, 4)
    for bank, half in ((0, 0), (1, 1), (2, 2)):
        assert halves[bank, half] == int(mismatch[bank, half // 2]) >> 32 * (half % 2) & 0xFFFFFFFF


def test_a_stuck_cell_keeps_its_value_whatever_is_done() -> None:
    array = MramArray(
        Geometry(2, 64, rows=16, memory=MemoryOptions(variability=True, ageing=True)),
        seed=3,
        chip=Chip(9, (20000, 0, 0), (False, True, False, False)),
    )
    banks, rows = np.repeat([0, 1], 16), np.tile(np.arange(16), 2)
    stuck = array.chip.class_masks(array.geometry, banks, rows)[1].reshape(2, 16, 1)
    assert 0.2 < np.bitwise_count(stuck).sum() / 2048 < 0.4
    everything = np.full((32, 1), 2**64 - 1, dtype=np.uint64)
    array.program(ProgramPacket(0, 0, 0, 2, everything), operating_point(max_retries=3))
    assert np.array_equal(array.cells, ~stuck)
    array.age(0, 15, operating_point(1.0))
    assert not (array.cells & stuck).any()
    assert np.bitwise_count(array.cells).sum() < 4  # all others flipped back, but for 2**-32


@pytest.mark.parametrize(
    ("memory", "own"),
    [
        ({}, []),
        ({"self_terminated": True}, [10, 11]),
        ({"ageing": True, "scrub": True}, [12, 13]),
        ({"secded": True, "differential": True}, [14, 15, 16]),
        ({"read_groups": 4}, [32, 33, 34, 35]),
        ({"activation_generators": 2}, [48, 49, 50]),
        ({"variability": True}, []),
    ],
)
def test_counters_of_a_machine(memory: dict[str, Any], own: list[int]) -> None:
    indices = list(counter_indices(Geometry(memory=MemoryOptions(**memory))).values())
    assert indices == [*range(10), *own]


@pytest.mark.parametrize(
    ("rows", "groups", "of_last"), [(16, 4, 3), (9, 2, 1), (9, 4, 2), (100, 16, 12), (2, 16, 1), (512, 8, 7)]
)
def test_read_group_of_the_last_row(rows: int, groups: int, of_last: int) -> None:
    array = MramArray(Geometry(1, rows=rows, memory=MemoryOptions(read_groups=groups)), seed=1)
    array.read_row(0, 0)
    array.read_row(0, rows - 1)
    counts = {name: int(count[0]) for name, count in array.counters.items() if name.startswith("group")}
    assert counts == {f"group_reads_{group}": int(group in (0, of_last)) for group in range(groups)}


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"seed": -1}, "chip seed must be an integer from 0 to 2**64 - 1, not -1"),
        (
            {"class_shares": (1, 2, 65536)},
            "class_shares must be three integers from 0 to 65535, not (1, 2, 65536)",
        ),
        ({"class_shares": (1, 2)}, "class_shares must be three integers from 0 to 65535, not (1, 2)"),
        ({"stuck": (True,)}, "stuck must be true or false for 4 classes, not (True,)"),
    ],
)
def test_bad_chips(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        Chip(**fields)


def test_fractions_become_conditional_shares() -> None:
    chip = Chip.from_fractions(1, (0.5, 0.25, 0.125, 0.125))
    assert chip.class_shares == (16384, 10923, 13107)
    assert Chip.from_fractions(1, (0.0, 0.0, 0.0, 1.0)).class_shares == (0, 0, 65535)
    text = "fractions must be four that add up to 1, not (0.5, 0.5, 0.5, 0.5)"
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        Chip.from_fractions(1, (0.5, 0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"class_p_fail_01": (1, 2, 3)},
            "class_p_fail_01 must be left out for a memory without the option variability",
        ),
        (
            {"energy_10_failed_aj": 3},
            "energy_10_failed_aj must be left out for a memory without the option self_terminated",
        ),
    ],
)
def test_a_point_must_fit_the_memory(fields: dict[str, Any], text: str) -> None:
    array = plain_array()
    point = replace(operating_point(), **fields)
    packet = ProgramPacket(0, 0, 0, 1, np.zeros((1, 1), dtype=np.uint64))
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        array.program(packet, point)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"class_p_fail_01": (1, 2)}, "class_p_fail_01 must be of classes 1 to 3, not of 2 classes"),
        (
            {"class_p_fail_10": (1, 2, -1)},
            "class_p_fail_10 of class 3 must be an integer from 0 to 4294967295, not -1",
        ),
        (
            {"energy_01_failed_aj": 2**32},
            "energy_01_failed_aj must be an integer from 0 to 4294967295, not 4294967296",
        ),
        ({"blind": 1}, "blind must be true or false, not 1"),
    ],
)
def test_bad_points(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        replace(operating_point(), **fields)


@pytest.mark.parametrize(("first", "last"), [(3, 2), (-1, 2), (0, 16)])
def test_passes_stay_inside(first: int, last: int) -> None:
    array = plain_array(ageing=True, scrub=True)
    for name, of in (("age", array.age), ("scrub", array.scrub)):
        text = f"{name} must go over rows within 0 to 15, not {first} to {last}"
        with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
            of(first, last, operating_point())
