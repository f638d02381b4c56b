"""Activations stored with errors, against the per-bit reference."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden.activation_memory import ActivationMemory, ActivationPoint
from spinbnn.golden.encoding import split_rows
from spinbnn.golden.errors import OperatingPointError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import Affine
from spinbnn.golden.memory_options import MemoryOptions
from spinbnn.golden.network import forward, random_network, trace
from spinbnn.golden.placement import Placement, place
from spinbnn.golden.reference_memory import stored_activations

PROPERTY = settings(deadline=None, derandomize=True, max_examples=25)


def placement_of(sizes: list[int], word_bits: int = 24, lanes: int = 1, generators: int = 4) -> Placement:
    memory = MemoryOptions(activation_generators=generators)
    geometry = Geometry(
        5, word_bits, rows=4096, lanes=lanes, threshold_rows=256, stream_bits=8, memory=memory
    )
    return place(random_network(sizes, seed=4), geometry)


def as_integers(words: np.ndarray) -> list[int]:
    """Return words, uint64 [n, L], as integers of W bits."""
    return [sum(int(part) << 64 * index for index, part in enumerate(word)) for word in words]


@PROPERTY
@given(
    word_bits=st.sampled_from([8, 24, 64, 72, 100]),
    lanes=st.integers(1, 3),
    generators=st.sampled_from([1, 2, 4, 8, 16, 32]),
    p=st.tuples(*[st.sampled_from([0, 2**28, 2**31, 2**32 - 1])] * 2),
    seed=st.integers(0, 2**64 - 1),
    images=st.integers(1, 4),
)
def test_stored_words_equal_the_reference(
    word_bits: int, lanes: int, generators: int, p: tuple[int, int], seed: int, images: int
) -> None:
    placement = placement_of([12, 30, 101, 4], word_bits, lanes, generators)
    point = ActivationPoint(*p, word_energy_aj=7, seed=seed)
    memory = ActivationMemory(placement, point, images)
    rng = np.random.default_rng(seed)
    meant, words = [], [reader.words for reader in placement.layers[1:]]
    for layer, neurons in enumerate((30, 101)):
        bits = rng.integers(0, 2, (images, neurons), dtype=np.uint8)
        meant.append(split_rows(bits, word_bits))
        read = memory.store(layer, bits)
        assert np.array_equal(read, memory_bits(memory.words[layer], word_bits)[:, :neurons])
    flips = [0] * lanes
    for image in range(images):
        batch, lane = divmod(image, lanes)
        wanted = [word for layer in meant for word in as_integers(layer[image])]
        stored = stored_activations(wanted, word_bits, lane, batch * sum(words), generators, seed, p)
        assert [word for layer in (0, 1) for word in as_integers(memory.words[layer][image])] == stored
        flips[lane] += sum((a ^ b).bit_count() for a, b in zip(wanted, stored, strict=True))
    of_lane = [len(range(lane, images, lanes)) * sum(words) for lane in range(lanes)]
    assert memory.counters["activation_words"].tolist() == of_lane
    assert memory.counters["activation_energy_aj"].tolist() == [7 * count for count in of_lane]
    assert memory.counters["activation_flips"].tolist() == flips


def memory_bits(words: np.ndarray, word_bits: int) -> np.ndarray:
    """Return stored words, uint64 [n, words, L], as bits [n, words * W]."""
    rows = [[integer >> k & 1 for integer in as_integers(image) for k in range(word_bits)] for image in words]
    return np.array(rows, dtype=np.uint8)


def test_the_next_layer_reads_what_was_stored() -> None:
    network = random_network([12, 30, 101, 4], seed=4)
    x = np.random.default_rng(1).integers(0, 256, (6, 12), dtype=np.uint8)
    placement = placement_of([12, 30, 101, 4])
    exact = ActivationMemory(placement, ActivationPoint(), 6)
    faulty = ActivationMemory(placement, ActivationPoint(2**30, 2**30), 6)
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    assert np.array_equal(head.logits(trace(network, x, exact.store)[-1].sums), forward(network, x))
    traces = trace(network, x, faulty.store)
    bits = traces[0].bits
    assert bits is not None
    assert np.array_equal(split_rows(bits, 24)[..., 0, 0] & 0xFFF, faulty.words[0][..., 0, 0] & 0xFFF)
    assert not np.array_equal(head.logits(traces[-1].sums), forward(network, x))


def test_flips_have_their_rate() -> None:
    """One million bits meant to be 0 and 1; the bounds are 99.9 % intervals of the binomial (3.29 sigma)."""
    placement = placement_of([12, 1000, 4], word_bits=64)
    for p in (0.001, 0.08):
        point = ActivationPoint(p_01=round(p * 2**32), p_10=round(p * 2**32), seed=5)
        memory = ActivationMemory(placement, point, 1000)
        memory.store(0, np.zeros((1000, 1000), dtype=np.uint8))
        bits = int(memory.counters["activation_words"][0]) * 64
        flips = int(memory.counters["activation_flips"][0])
        assert bits >= 10**6
        assert abs(flips - bits * p) < 3.29 * (bits * p * (1 - p)) ** 0.5


def test_the_memory_must_have_generators() -> None:
    placement = place(random_network([12, 30, 4]), Geometry(5, 24, rows=256))
    text = "an activation point must go with a memory that has activation_generators"
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        ActivationMemory(placement, ActivationPoint(), 1)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"p_01": -1}, "activation p_01 must be an integer from 0 to 4294967295, not -1"),
        ({"p_10": 2**32}, "activation p_10 must be an integer from 0 to 4294967295, not 4294967296"),
        ({"pulse_clocks": 0}, "activation pulse_clocks must be an integer from 1 to 65535, not 0"),
        ({"seed": -1}, "activation seed must be an integer from 0 to 18446744073709551615, not -1"),
    ],
)
def test_bad_activation_points(fields: dict[str, int], text: str) -> None:
    with pytest.raises(OperatingPointError, match=f"^{re.escape(text)}$"):
        ActivationPoint(**fields)
