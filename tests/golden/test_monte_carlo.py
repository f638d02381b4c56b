"""Errors drawn by skipping from one to the next: exact at the ends, binomial between them."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.encoding import pack, unpack
from spinbnn.golden.errors import NetworkError, OperatingPointError
from spinbnn.golden.layers import Conv, Threshold
from spinbnn.golden.monte_carlo import (
    error_positions,
    flip_errors,
    flipped_network,
    write_errors,
    written_network,
)
from spinbnn.golden.network import Network, random_network
from spinbnn.golden.operating_point import UINT32_MAX, operating_point
from tests.golden.test_write_errors import binomial_interval

CELLS = 1000 * 2003


def within(count: int, cells: int, probability: float, confidence: float = 0.999) -> bool:
    low, high = binomial_interval(cells, probability, confidence)
    return low <= count <= high


def generator() -> np.random.Generator:
    return np.random.default_rng(21)


@pytest.mark.parametrize("cells", [0, 1, 2, 1000])
def test_no_errors_at_0_and_all_at_1(cells: int) -> None:
    assert error_positions(generator(), 0.0, cells).tolist() == []
    assert error_positions(generator(), 1.0, cells).tolist() == list(range(cells))


@pytest.mark.parametrize("probability", [1e-300, 5e-324, 1e-18])
def test_gaps_that_no_integer_holds(probability: float) -> None:
    assert error_positions(generator(), probability, 2**40).tolist() == []


@pytest.mark.parametrize("probability", [1e-5, 1e-4, 1e-3, 0.02, 0.3, 0.7, 0.999])
def test_positions_are_binomial_and_spread_evenly(probability: float) -> None:
    positions = error_positions(generator(), probability, CELLS)
    assert np.all(np.diff(positions) > 0)
    assert positions[0] >= 0
    assert positions[-1] < CELLS
    assert within(len(positions), CELLS, probability)
    for part in np.bincount(positions * 10 // CELLS, minlength=10):
        assert within(int(part), CELLS // 10, probability, 1 - 1e-5)


def test_each_cell_of_a_few_errs_equally_often() -> None:
    rng = generator()
    hits = np.zeros(7, dtype=int)
    for _ in range(20_000):
        hits[error_positions(rng, 0.2, 7)] += 1
    assert all(within(int(count), 20_000, 0.2, 1 - 1e-4) for count in hits)


def test_pairs_of_neighbours_are_independent() -> None:
    positions = error_positions(generator(), 0.1, CELLS)
    assert within(int((np.diff(positions) == 1).sum()), CELLS - 1, 0.01)


LENGTH, ROWS = 2003, 1000


@pytest.mark.parametrize(("p_01", "p_10"), [(1e-3, 1e-3), (1e-2, 1e-4), (0.0, 0.05), (0.4, 0.0), (1.0, 0.3)])
def test_flips_of_each_direction_are_binomial(p_01: float, p_10: float) -> None:
    rng = generator()
    bits = rng.integers(0, 2, (ROWS, LENGTH), dtype=np.uint8)
    words = pack(bits)
    flipped = flip_errors(words, LENGTH, p_01, p_10, rng)
    assert np.array_equal(words, pack(bits)), "what was given is left alone"
    after = unpack(flipped, LENGTH)
    assert np.array_equal(pack(after), flipped), "unused bits stay 0"
    for held, rate in ((0, p_01), (1, p_10)):
        cells = bits == held
        count = int((after != bits)[cells].sum())
        assert count == cells.sum() * rate if rate in (0, 1) else within(count, int(cells.sum()), rate)


@pytest.mark.parametrize(("p_01", "p_10"), [(1e-3, 1e-3), (1e-2, 1e-4), (0.0, 0.05), (0.3, 0.0), (1.0, 0.3)])
@pytest.mark.parametrize("blank", [True, False])
def test_only_bits_that_must_change_fail(p_01: float, p_10: float, blank: bool) -> None:
    rng = generator()
    target = rng.integers(0, 2, (ROWS, LENGTH), dtype=np.uint8)
    old = np.zeros_like(target) if blank else rng.integers(0, 2, target.shape, dtype=np.uint8)
    before = pack(target)
    stored = write_errors(before, None if blank else pack(old), LENGTH, p_01, p_10, rng)
    assert np.array_equal(before, pack(target)), "what was given is left alone"
    after = unpack(stored, LENGTH)
    assert np.array_equal(after[target == old], target[target == old])
    for held, rate in ((0, p_01), (1, p_10)):
        cells = (old == held) & (target != held)
        count = int((after != target)[cells].sum())
        assert count == cells.sum() * rate if rate in (0, 1) else within(count, int(cells.sum()), rate)


def wrong_bits(network: Network, intended: Network) -> int:
    pairs = zip(network.layers, intended.layers, strict=True)
    return sum(int(np.bitwise_count(one.weights ^ other.weights).sum()) for one, other in pairs)


def test_a_network_on_a_blank_array_loses_ones() -> None:
    network = random_network([1000, 1001, 70, 10], seed=1)
    written = written_network(network, operating_point(0.03), generator())
    ones = sum(int(np.bitwise_count(layer.weights).sum()) for layer in network.layers)
    assert within(wrong_bits(written, network), ones, 0.03)
    for layer, intended in zip(written.layers, network.layers, strict=True):
        assert not np.any(layer.weights & ~intended.weights)
        assert layer.head == intended.head
    assert written.metadata == network.metadata


def test_retries_leave_what_fails_every_time() -> None:
    network = random_network([1000, 1001, 10], seed=1)
    point = operating_point(0.1, max_retries=2)
    ones = sum(int(np.bitwise_count(layer.weights).sum()) for layer in network.layers)
    assert within(wrong_bits(written_network(network, point, generator()), network), ones, 0.1**3)


def test_a_network_written_over_another() -> None:
    network, old = (random_network([1000, 1001, 10], seed=seed) for seed in (1, 2))
    assert written_network(network, operating_point(0.0), generator(), old) == network
    # The largest probability of a point is 1 - 2**-32: the old one stays.
    never = replace(operating_point(0.0), p_fail_01=UINT32_MAX, p_fail_10=UINT32_MAX)
    kept = written_network(network, never, generator(), old)
    for layer, before in zip(kept.layers, old.layers, strict=True):
        assert np.array_equal(layer.weights, before.weights)
    changes = wrong_bits(old, network)
    half = written_network(network, operating_point(0.5), generator(), old)
    assert within(wrong_bits(half, network), changes, 0.5)


def test_weights_of_odd_planes_have_errors_of_their_own() -> None:
    weights = pack(np.ones((64, 27), dtype=np.uint8))
    head = Threshold(np.zeros(64, int), np.zeros(64, bool))
    layer = Conv("conv", weights, (8, 8, 3), (3, 3), head, odd_plane_weights=weights)
    end = random_network([6 * 6 * 64, 3]).layers[0]
    network = Network("twice", (layer, end), 8, False, {})
    (first, _) = written_network(network, operating_point(0.5), generator()).layers
    assert isinstance(first, Conv)
    assert first.odd_plane_weights is not None
    assert within(int(np.bitwise_count(first.weights ^ first.odd_plane_weights).sum()), 64 * 27, 0.5)


def test_what_cannot_be_drawn() -> None:
    network = random_network([70, 10])
    for rates in ((-0.1, 0.0), (0.0, 1.5), (float("nan"), 0.0)):
        with pytest.raises(OperatingPointError, match="an error rate must be a probability from 0 to 1"):
            flip_errors(network.layers[0].weights, 70, *rates, generator())
    classes = replace(operating_point(0.1), class_p_fail_01=(1, 2, 3))
    with pytest.raises(OperatingPointError, match="classes"):
        written_network(network, classes, generator())
    with pytest.raises(NetworkError, match="must have the shapes of network 'random-70-10'"):
        written_network(network, operating_point(0.1), generator(), random_network([71, 9]))


def test_each_layer_of_a_network_flips_at_its_own_rate() -> None:
    network = random_network((2003, 1000, 500), seed=4)
    flipped = flipped_network(network, ((0.01, 0.01), (0.0, 0.0)), generator())
    cells = 1000 * 2003
    wrong = int(np.bitwise_count(flipped.layers[0].weights ^ network.layers[0].weights).sum())
    assert within(wrong, cells, 0.01)
    assert np.array_equal(flipped.layers[1].weights, network.layers[1].weights)
    everything = flipped_network(network, ((1.0, 1.0), (1.0, 0.0)), generator())
    bits = unpack(network.layers[0].weights, 2003)
    assert np.array_equal(unpack(everything.layers[0].weights, 2003), 1 - bits)
    assert unpack(everything.layers[1].weights, 1000).all(), "only a 0 becomes 1"
    with pytest.raises(OperatingPointError, match="one for each of 2 layers, not 1"):
        flipped_network(network, ((0.1, 0.1),), generator())
