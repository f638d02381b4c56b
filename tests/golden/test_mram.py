"""The array against the per-bit reference: cells, counters, energy and the random stream."""

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden import reference
from spinbnn.golden.chip import Chip
from spinbnn.golden.errors import CapacityError, DataError, OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.memory_options import PLAIN, MemoryOptions
from spinbnn.golden.mram import COUNTERS, MramArray, bank_counters
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import POINTS, OperatingPoint, operating_point
from spinbnn.golden.placement import ProgramPacket, place
from spinbnn.golden.reference_memory import ReferenceMemory, bernoulli

PROPERTY = settings(deadline=None, derandomize=True, max_examples=80)
FRACTIONS = st.sampled_from([0, 1, 2**20, 2**30, 2**31, 3 * 2**30, 2**32 - 1]) | st.integers(0, 2**32 - 1)
POINT = st.builds(
    OperatingPoint,
    p_fail_01=FRACTIONS,
    p_fail_10=FRACTIONS,
    energy_01_aj=st.integers(0, 2**32 - 1),
    energy_10_aj=st.integers(0, 2**32 - 1),
    energy_redundant_aj=st.integers(0, 2**32 - 1),
    pulse_clocks=st.integers(1, 65535),
    max_retries=st.integers(0, 4) | st.just(15),
    pulse_redundant=st.booleans(),
    blind=st.booleans(),
)


def random_rows(rng: np.random.Generator, shape: tuple[int, ...], word_bits: int) -> np.ndarray:
    """Return rows of random bits, uint64 [*shape, L]."""
    octets = rng.integers(0, 256, (*shape, -(-word_bits // 64) * 8), dtype=np.uint8)
    rows = octets.view("<u8").astype(np.uint64)
    rows[..., -1] &= np.uint64(2 ** (word_bits - (rows.shape[-1] - 1) * 64) - 1)
    return rows


def bits_of(row: np.ndarray, count: int) -> list[int]:
    return [int(row[k // 64]) >> k % 64 & 1 for k in range(count)]


class Witness:
    """An array and the slow reference of it, to which the same is done.

    Parameters
    ----------
    array : MramArray
        Its cells may have been written to; nothing was done with it yet.
    """

    def __init__(self, array: MramArray) -> None:
        self.array = array
        self.reference = ReferenceMemory(
            array.geometry, array.rng_state, array.read_row_energy_aj, array.chip
        )
        for bank, row in np.ndindex(*array.cells.shape[:2]):
            self.reference.cells[bank, row] = bits_of(array.cells[bank, row], array.geometry.row_cells)

    def program(self, packet: ProgramPacket, point: OperatingPoint) -> None:
        pulses, verify_reads = [], []
        for index, target in enumerate(packet.rows):
            bank, row = packet.bank + index % packet.bank_count, packet.row + index // packet.bank_count
            counters = self.reference.counters[bank]
            before = dict(counters)
            self.reference.program(bank, row, bits_of(target, self.array.geometry.word_bits), point)
            pulses.append(counters["pulses"] - before.get("pulses", 0))
            reads = counters["row_reads"] - before.get("row_reads", 0)
            verify_reads.append(reads - (not point.blind))
        log = self.array.program(packet, point)
        assert log.pulses.tolist() == pulses
        assert log.verify_reads.tolist() == verify_reads

    def age(self, first_row: int, last_row: int, point: OperatingPoint) -> None:
        self.array.age(first_row, last_row, point)
        self.reference.age(first_row, last_row, point)

    def scrub(self, first_row: int, last_row: int, point: OperatingPoint) -> None:
        self.array.scrub(first_row, last_row, point)
        self.reference.scrub(first_row, last_row, point)

    def read(self, bank: int, row: int) -> None:
        word = self.array.read_row(bank, row)
        assert bits_of(word, self.array.geometry.word_bits) == self.reference.read(bank, row)

    def compare(self) -> None:
        """Compare all there is."""
        for (bank, row), cells in self.reference.cells.items():
            assert bits_of(self.array.cells[bank, row], len(cells)) == cells, (bank, row)
        for name, counts in self.array.counters.items():
            assert counts.tolist() == [bank[name] for bank in self.reference.counters], name
        assert sorted(self.array.counters) == sorted(bank_counters(self.array.geometry))
        assert {name for bank in self.reference.counters for name in bank} <= set(self.array.counters)
        assert self.array.rng_state == self.reference.rng.state


def assert_program_equals_the_reference(
    array: MramArray, packet: ProgramPacket, point: OperatingPoint
) -> None:
    """Program a packet both ways, and compare all there is."""
    witness = Witness(array)
    before = {name: counts.copy() for name, counts in array.counters.items()}
    for counts in array.counters.values():
        counts[:] = 0
    witness.program(packet, point)
    witness.compare()
    for name, counts in array.counters.items():
        counts += before[name]


@PROPERTY
@given(
    word_bits=st.sampled_from([1, 8, 24, 63, 64, 65, 100, 128, 256]),
    banks=st.integers(1, 4),
    bank=st.integers(0, 3),
    bank_count=st.integers(1, 4),
    row=st.integers(0, 5),
    count=st.integers(1, 12),
    points=st.lists(POINT, min_size=1, max_size=3),
    seed=st.integers(0, 2**32),
)
def test_programming_equals_the_reference(
    word_bits: int,
    banks: int,
    bank: int,
    bank_count: int,
    row: int,
    count: int,
    points: list[OperatingPoint],
    seed: int,
) -> None:
    bank %= banks
    bank_count = min(bank_count, banks - bank)
    array = MramArray(Geometry(banks, word_bits, rows=18, stream_bits=8), seed)
    rng = np.random.default_rng(seed)
    array.cells[:] = random_rows(rng, array.cells.shape[:2], word_bits)
    for point in points:
        rows = random_rows(rng, (count,), word_bits)
        rows[rng.random(count) < 0.2] = array.cells[bank, row]  # some that do not change
        packet = ProgramPacket(0, row, bank, bank_count, rows)
        assert_program_equals_the_reference(array, packet, point)


@pytest.mark.parametrize("max_retries", [0, 2])
def test_random_words_of_several_blocks(max_retries: int) -> None:
    array = MramArray(Geometry(2, 8, rows=4500, stream_bits=8), seed=5)
    packet = ProgramPacket(0, 3, 0, 2, random_rows(np.random.default_rng(5), (4300,), 8))
    assert_program_equals_the_reference(array, packet, operating_point(0.3, max_retries=max_retries))


def test_a_failed_bit_keeps_its_value_and_failures_have_a_direction() -> None:
    array = MramArray(Geometry(1, 64, rows=64), seed=1)
    rows = random_rows(np.random.default_rng(1), (2, 64), 64)
    always_01 = operating_point(write_error_rate_01=1.0)  # but for 2**-32
    array.program(ProgramPacket(0, 0, 0, 1, rows[0]), always_01)
    assert not array.cells.any()
    array.cells[0] = rows[0]
    array.program(ProgramPacket(0, 0, 0, 1, rows[1]), always_01)
    assert np.array_equal(array.cells[0], rows[0] & rows[1])
    array.cells[0] = rows[0]
    array.program(ProgramPacket(0, 0, 0, 1, rows[1]), operating_point(write_error_rate_10=1.0))
    assert np.array_equal(array.cells[0], rows[0] | rows[1])


def test_counts_and_energies_of_one_row_by_hand() -> None:
    point = OperatingPoint(0, 0, 1000, 100, 1, 2, 0, True)
    array = MramArray(Geometry(3, 8, rows=4), seed=0, read_row_energy_aj=7)
    array.cells[1, 2, 0] = 0b0000_1111
    log = array.program(ProgramPacket(0, 2, 1, 1, np.array([[0b0111_0011]], dtype=np.uint64)), point)
    counts = {name: counter.tolist() for name, counter in array.counters.items()}
    assert counts == {
        "row_programs": [0, 1, 0],
        "pulses": [0, 1, 0],
        "bits_01": [0, 3, 0],
        "bits_10": [0, 2, 0],
        "redundant_pulses": [0, 3, 0],
        "failed_bits": [0, 0, 0],
        "retries": [0, 0, 0],
        "row_reads": [0, 1, 0],
        "program_energy_aj": [0, 3203, 0],
        "read_energy_aj": [0, 7, 0],
    }
    assert (log.pulses.tolist(), log.verify_reads.tolist()) == ([1], [0])
    assert list(counts) == list(COUNTERS)


def test_retries_are_used_up() -> None:
    point = operating_point(1.0, max_retries=3, energy_01_aj=10, energy_10_aj=10)
    array = MramArray(Geometry(1, 64, rows=2), seed=1, read_row_energy_aj=1)
    log = array.program(ProgramPacket(0, 0, 0, 1, np.array([[3], [0]], dtype=np.uint64)), point)
    assert log.pulses.tolist() == [4, 0]
    assert log.verify_reads.tolist() == [3, 0]
    counts = {name: int(counter[0]) for name, counter in array.counters.items()}
    assert counts == {
        "row_programs": 2,
        "pulses": 4,
        "bits_01": 8,
        "bits_10": 0,
        "redundant_pulses": 0,
        "failed_bits": 2,
        "retries": 3,
        "row_reads": 5,
        "program_energy_aj": 80,
        "read_energy_aj": 5,
    }


@pytest.mark.parametrize("max_retries", [0, 3])
def test_what_cannot_fail_draws_nothing(max_retries: int) -> None:
    array = MramArray(Geometry(2, 64, rows=8), seed=3)
    state = array.rng_state
    rows = random_rows(np.random.default_rng(3), (16,), 64)
    array.program(ProgramPacket(0, 0, 0, 2, rows), operating_point(0.0, max_retries=max_retries))
    assert np.array_equal(array.cells.swapaxes(0, 1).reshape(-1, 1), rows)
    array.program(ProgramPacket(0, 0, 0, 2, rows), operating_point(0.5, max_retries=max_retries))
    assert array.rng_state == state, "rows that hold their target are not pulsed"
    array.program(ProgramPacket(0, 0, 0, 2, rows), operating_point(0.5, pulse_redundant=True))
    assert array.rng_state[3] == state[3] + 16 * 32
    assert np.array_equal(array.cells.swapaxes(0, 1).reshape(-1, 1), rows), "a redundant pulse cannot fail"


def test_reference_stream_is_numpys() -> None:
    for seed in (0, 1, 2**40):
        generator = np.random.SFC64(seed)
        ours = reference.Sfc64(generator.state["state"]["state"])
        assert [ours.next() for _ in range(1000)] == generator.random_raw(1000).tolist()


def test_stream_state_can_be_set() -> None:
    array = MramArray(Geometry(1, 64, rows=8), seed=3)
    state = array.rng_state
    packet = ProgramPacket(0, 0, 0, 1, random_rows(np.random.default_rng(3), (8,), 64))
    array.program(packet, operating_point(0.4))
    first = array.cells.copy()
    assert array.rng_state != state
    array.rng_state, array.cells[:] = state, 0
    array.program(packet, operating_point(0.4))
    assert np.array_equal(array.cells, first)
    assert state == tuple(np.random.SFC64(3).state["state"]["state"].tolist())


@pytest.mark.parametrize("fraction", [0, 1, 2, 2**31 - 1, 2**31, 4294967, 2**32 - 1])
def test_a_cell_fails_with_exactly_its_probability(fraction: int) -> None:
    """It fails where a uniform 32-bit number, the cell's inverted random bits, is below the fraction."""
    words = np.random.SFC64(8).random_raw(32 * 2).reshape(32, 2)
    uniform = [
        sum((1 - (int(words[plane, cell // 64]) >> cell % 64 & 1)) << plane for plane in range(32))
        for cell in range(100)
    ]
    rng = reference.Sfc64(np.random.SFC64(8).state["state"]["state"])
    expected = [number < fraction for number in uniform]
    assert list(map(bool, bernoulli(rng.next, [fraction] * 100, 32))) == expected
    array = MramArray(Geometry(1, 100, rows=2, stream_bits=32), seed=8)
    target = np.array([[2**64 - 1, 2**36 - 1]], dtype=np.uint64)
    array.program(ProgramPacket(0, 0, 0, 1, target), OperatingPoint(fraction, 1, 0, 0, 0, 1, 0, False))
    assert bits_of(array.cells[0, 0], 100) == [not failed for failed in expected]


def test_reading_a_row_is_counted() -> None:
    array = MramArray(Geometry(2, 100, rows=8, stream_bits=32), seed=0)
    array.cells[1, 5] = [3, 4]
    word = array.read_row(1, 5)
    assert word.tolist() == [3, 4]
    word[0] = 0
    assert array.cells[1, 5].tolist() == [3, 4], "what is read is a copy"
    assert array.counters["row_reads"].tolist() == [0, 1]
    assert array.counters["read_energy_aj"].tolist() == [0, 100 * 700_000]


def test_inference_reads_each_group_and_word_in_every_bank() -> None:
    geometry = Geometry.from_preset("8x16x3")
    network = random_network([50, 37, 10], input_bits=3)
    array = MramArray(geometry, seed=0, read_row_energy_aj=11)
    array.count_inference(place(network, geometry), batches=4)
    reads = 4 * (5 * 4 + 2 * 3)  # (groups * words) of each layer; 3 planes and 3 lanes share a read
    assert array.counters["row_reads"].tolist() == [reads] * 8
    assert array.counters["read_energy_aj"].tolist() == [11 * reads] * 8
    assert sum(int(counter.sum()) for counter in array.counters.values()) == 8 * 12 * reads
    text = r"^the placement must be made for the geometry of the array, not for another$"
    with pytest.raises(CapacityError, match=text):
        array.count_inference(place(network, Geometry()), batches=4)


def test_inference_of_a_convolution_reads_a_row_for_each_sum() -> None:
    """Planes of pixels share a read; planes of weights have rows of their own, and windows read anew."""
    head = Threshold(np.zeros(7, np.int32), np.zeros(7, np.bool_))
    weights = np.zeros((7, 1), dtype=np.uint64)
    first = Conv("a", weights, (4, 3, 2), (2, 2), head, pool=Pool("or", (2, 2), (1, 1)))
    second = Conv("b", np.stack([weights] * 3), (2, 1, 7), (2, 1), head, weight_shifts=(0, 0, 1))
    last = Dense("c", weights[:2], 7, Affine(*np.ones((2, 2), np.int32)))
    geometry = Geometry(
        5, 24, rows=64, image_elements=24, weight_planes=3, memory=MemoryOptions(read_groups=16)
    )
    for bits, planes_of_first in ((1, 1), (5, 5)):
        layers = first, second, last
        network = Network("reads", layers, bits, bits == 1, {})
        array = MramArray(geometry, seed=0, read_row_energy_aj=11)
        placement = place(network, geometry)
        assert placement.layers[0].planes == (planes_of_first + 1) // 2
        array.count_inference(placement, batches=3)
        # 2 x 1 pixels of 4 sums in 2 groups; 2 taps of 3 planes in 2 groups; one word.
        reads = 3 * (2 * 4 * 2 + 2 * 3 * 2 + 1)
        assert array.counters["row_reads"].tolist() == [reads] * 5
        assert array.counters["read_energy_aj"].tolist() == [11 * reads] * 5
        # Groups of 4 rows: 2 of the first layer and 2 of the second, and so on.
        assert array.counters["group_reads_0"].tolist() == [3 * (2 * 4 * 2 + 2)] * 5
        assert array.counters["group_reads_3"].tolist() == [3 * (2 + 1)] * 5


def test_inference_reads_rows_of_planes_as_often_as_steps_say() -> None:
    """Activations of 2 bits meet 2 planes of weights: each row is read twice, with the other's in between."""
    flip = np.zeros(3, np.bool_)
    weights = np.zeros((3, 1), dtype=np.uint64)
    several = MultiThreshold(np.zeros((3, 3), np.int32), flip, 2, 0)
    first = Dense("a", weights, 5, several)
    last = Dense("b", np.stack([weights] * 2), 3, Affine(*np.ones((2, 3), np.int32)), weight_shifts=(0, 1))
    network = Network("planes", (first, last), 1, True, {})
    geometry = Geometry(3, 24, rows=8, weight_planes=2, activation_bits=2)
    array = MramArray(geometry, seed=0)
    array.count_inference(place(network, geometry), batches=1)
    assert array.counters["row_reads"].tolist() == [1 + 2 * 2] * 3


ARRAY_GEOMETRY = Geometry(4, 24, rows=8)


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (
            ProgramPacket(0, 0, 3, 2, np.zeros((2, 1), dtype=np.uint64)),
            "program packet must stay within banks 0 to 3, not reach bank 4",
        ),
        (
            ProgramPacket(0, 7, 0, 4, np.zeros((5, 1), dtype=np.uint64)),
            "program packet must stay within rows 0 to 7, not reach row 8",
        ),
        (
            ProgramPacket(0, 0, 0, 4, np.array([[0], [2**24]], dtype=np.uint64)),
            "program packet must hold rows of 24 bits, not of another width",
        ),
        (
            ProgramPacket(0, 0, 0, 4, np.zeros((5, 2), dtype=np.uint64)),
            "program packet must hold rows of 24 bits, not of another width",
        ),
    ],
)
def test_packets_must_stay_inside_the_array(packet: ProgramPacket, text: str) -> None:
    array = MramArray(ARRAY_GEOMETRY, seed=0)
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        array.program(packet, POINTS["1e-3"])
    assert not array.cells.any()
    assert not any(counter.any() for counter in array.counters.values())


@pytest.mark.parametrize(
    ("bank", "row", "text"),
    [
        (4, 0, "read must stay within banks 0 to 3, not reach bank 4"),
        (-1, 0, "read must stay within banks 0 to 3, not reach bank -1"),
        (0, 8, "read must stay within rows 0 to 7, not reach row 8"),
        (0, -1, "read must stay within rows 0 to 7, not reach row -1"),
    ],
)
def test_reads_must_stay_inside_the_array(bank: int, row: int, text: str) -> None:
    with pytest.raises(CapacityError, match=f"^{re.escape(text)}$"):
        MramArray(ARRAY_GEOMETRY, seed=0).read_row(bank, row)


@pytest.mark.parametrize("energy", [-1, 2**32, 0.7, True])
def test_read_energy_must_fit_its_register(energy: Any) -> None:
    text = f"read_row_energy_aj must be an integer from 0 to 4294967295, not {energy!r}"
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        MramArray(ARRAY_GEOMETRY, 0, energy)


@pytest.mark.parametrize("seed", [-1, 0.5, None, True])
def test_seed_must_be_a_natural_number(seed: Any) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(f'seed must be an integer from 0 on, not {seed!r}')}$"):
        MramArray(ARRAY_GEOMETRY, seed)


@pytest.mark.parametrize("words", [(1, 2, 3), (1, 2, 3, 2**64), (1, 2, 3, -1)])
def test_stream_state_must_be_four_words(words: tuple[int, ...]) -> None:
    array = MramArray(ARRAY_GEOMETRY, seed=0)
    with pytest.raises(
        DataError, match=f"^{re.escape(f'rng_state must be four 64-bit words, not {words!r}')}$"
    ):
        array.rng_state = words


@pytest.mark.parametrize(
    ("rate", "fraction"),
    [
        (0.0, 0),
        (0, 0),
        (2.0**-33, 0),
        (2.0**-32, 1),
        (1e-3, 4294967),
        (0.5, 2**31),
        (1.0, 2**32 - 1),
        (1, 2**32 - 1),
    ],
)
def test_rates_become_fractions(rate: float, fraction: int) -> None:
    point = operating_point(rate)
    assert (point.p_fail_01, point.p_fail_10) == (fraction, fraction)
    assert point.draws(PLAIN, Chip()) is (fraction > 0)
    assert operating_point(0.25, write_error_rate_01=rate).p_fail_01 == fraction
    assert operating_point(0.25, write_error_rate_01=rate).p_fail_10 == 2**30
    assert operating_point(0.25, write_error_rate_10=rate).p_fail_10 == fraction
    assert operating_point(0.25, write_error_rate_10=rate).p_fail_01 == 2**30


def test_overrides_of_an_operating_point() -> None:
    point = operating_point(
        1e-3,
        energy_01_aj=1,
        energy_10_aj=2,
        energy_redundant_aj=3,
        pulse_clocks=9,
        max_retries=4,
        pulse_redundant=True,
    )
    assert point == OperatingPoint(4294967, 4294967, 1, 2, 3, 9, 4, True)
    assert operating_point(energy_01_aj=1, energy_10_aj=2).energy_redundant_aj == 2
    assert operating_point(energy_01_aj=2, energy_10_aj=1).energy_redundant_aj == 2


@pytest.mark.parametrize(
    ("name", "rate", "energy"),
    [
        ("ideal", 0.0, 4_500_000),
        ("1e-6", 1e-6, 4_500_000),
        ("1e-4", 1e-4, 3_060_000),
        ("1e-3", 1e-3, 2_385_000),
        ("1e-2", 1e-2, 1_800_000),
        ("1e-1", 1e-1, 1_260_000),
    ],
)
def test_presets(name: str, rate: float, energy: int) -> None:
    fraction = round(rate * 2**32)
    assert POINTS[name] == OperatingPoint(fraction, fraction, energy, energy, energy, 2, 0, False)
    assert list(POINTS) == ["ideal", "1e-6", "1e-4", "1e-3", "1e-2", "1e-1"]


@pytest.mark.parametrize("rate", [-1e-9, 1.0000001, float("nan"), float("inf"), "0.1", None, True])
@pytest.mark.parametrize("name", ["write_error_rate", "write_error_rate_01", "write_error_rate_10"])
def test_rates_must_be_probabilities(name: str, rate: Any) -> None:
    if rate is None and name != "write_error_rate":
        assert operating_point(0.25, **{name: rate}) == operating_point(0.25)
        return
    text = f"{name} must be a probability from 0 to 1, not {rate!r}"
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        operating_point(**{name: rate})


FIELDS = {
    "p_fail_01": (0, 2**32 - 1),
    "p_fail_10": (0, 2**32 - 1),
    "energy_01_aj": (0, 2**32 - 1),
    "energy_10_aj": (0, 2**32 - 1),
    "energy_redundant_aj": (0, 2**32 - 1),
    "pulse_clocks": (1, 65535),
    "max_retries": (0, 15),
}


@pytest.mark.parametrize("name", list(FIELDS))
def test_fields_must_fit_their_registers(name: str) -> None:
    low, high = FIELDS[name]

    def build(value: Any) -> Callable[[], OperatingPoint]:
        fields = {**dict.fromkeys(FIELDS, 1), "pulse_redundant": False, name: value}
        return lambda: OperatingPoint(**fields)  # type: ignore[arg-type]

    assert getattr(build(low)(), name) == low
    assert getattr(build(high)(), name) == high
    for value in (low - 1, high + 1, 0.5, "1", None, True):
        text = f"{name} must be an integer from {low} to {high}, not {value!r}"
        with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
            build(value)()


def test_redundancy_must_be_a_truth_value() -> None:
    with pytest.raises(OperatingPointError, match=r"^pulse_redundant must be true or false, not 1$"):
        OperatingPoint(0, 0, 0, 0, 0, 1, 0, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("max_retries", [0, 3])
def test_programming_takes_memory_in_proportion_to_the_array(max_retries: int) -> None:
    def peak_bytes(rows: int) -> int:
        array = MramArray(Geometry(8, 64, rows=rows, memory=MemoryOptions(variability=True)), seed=1)
        packet = ProgramPacket(0, 0, 0, 8, random_rows(np.random.default_rng(1), (8 * rows,), 64))
        tracemalloc.start()
        array.program(packet, operating_point(1e-3, max_retries=max_retries))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    small, large = peak_bytes(1024), peak_bytes(4096)
    assert large < 4.2 * small
    assert large < 60 * 8 * 4096 * 8  # some tens of times the cells: classes, directions, counts
