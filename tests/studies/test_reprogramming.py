"""Members of an ensemble: what the array holds after each way of writing it again."""

from dataclasses import replace

import numpy as np
import pytest

from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.geometry import Geometry
from spinbnn.golden.layers import MultiThreshold, Threshold
from spinbnn.golden.monte_carlo import flip_errors, written_network
from spinbnn.golden.mram import MramArray
from spinbnn.golden.network import random_network, trace
from spinbnn.golden.operating_point import operating_point
from spinbnn.golden.placement import place, program_rows
from spinbnn.sim.studies.one_sided_errors import matched_both_ways
from spinbnn.sim.studies.reprogramming import (
    WAYS,
    Reprogrammed,
    complement,
    image_reading_aj,
    stored_error_rates,
    wrong_bits,
)

GEOMETRY = Geometry(8, 16, rows=512, stream_bits=16, threshold_rows=64)
NETWORK = random_network((100, 60, 10), seed=3)  # 100 inputs leave bits of the last word unused
BITS = 100 * 60 + 60 * 10
FAILURE = 0.2
ENERGY = 1000


def sampled(way, seed=1, failure=FAILURE):
    point = operating_point(failure, energy_01_aj=ENERGY, energy_10_aj=ENERGY)
    return Reprogrammed(NETWORK, GEOMETRY, way, point, seed)


def ones(network):
    return sum(int(unpack(layer.weights, layer.inputs).sum()) for layer in network.layers)


def test_complement_changes_every_weight_and_no_unused_bit():
    assert wrong_bits(NETWORK, complement(NETWORK)) == BITS
    assert complement(complement(NETWORK)).layers == NETWORK.layers


@pytest.mark.parametrize("way", WAYS)
def test_shares_of_wrong_bits_are_those_predicted(way):
    source = sampled(way)
    for _ in range(6):  # until the network that is written over itself is right
        source.member()
    members = [source.member() for _ in range(20)]
    error_01, error_10 = stored_error_rates(way, FAILURE)
    set_bits = ones(NETWORK)
    expected = 20 * (error_10 * set_bits + error_01 * (BITS - set_bits))
    assert sum(each.wrong_bits for each in members) == pytest.approx(expected, abs=5 * expected**0.5)


def test_a_network_written_over_itself_loses_its_errors():
    source = sampled("overwrite")
    wrong = [source.member().wrong_bits for _ in range(8)]
    expected = ones(NETWORK) * FAILURE
    assert wrong[0] == pytest.approx(expected, abs=5 * expected**0.5)
    assert wrong[1] == pytest.approx(expected * FAILURE, abs=5 * (expected * FAILURE) ** 0.5)
    assert wrong[-1] == 0
    assert source.member().network.layers == NETWORK.layers


def test_members_are_independent_draws():
    source = sampled("complement")
    first, second = source.member(), source.member()
    both = sum(
        int(np.bitwise_count((a.weights ^ n.weights) & (b.weights ^ n.weights)).sum())
        for a, b, n in zip(first.network.layers, second.network.layers, NETWORK.layers, strict=True)
    )
    expected = FAILURE * first.wrong_bits
    assert both == pytest.approx(expected, abs=5 * expected**0.5)


def test_erasing_leaves_errors_of_one_sign():
    member = sampled("erase").member()
    assert member.wrong_bits > 0
    for got, intended in zip(member.network.layers, NETWORK.layers, strict=True):
        assert not (got.weights & ~intended.weights).any()


def test_energy_is_that_of_the_pulsed_bits_and_of_the_rows_read():
    source = sampled("erase", failure=0.0)
    reading = source.array.read_row_energy_aj
    rows = sum(len(packet.rows) for packet in program_rows(NETWORK, place(NETWORK, GEOMETRY), GEOMETRY))
    member = source.member()
    assert member.energy_aj == 2 * ones(NETWORK) * ENERGY + 2 * rows * reading
    assert member.wrong_bits == 0
    source = sampled("complement", failure=0.0)
    assert source.member().energy_aj == 2 * BITS * ENERGY + 2 * rows * reading


def test_a_member_from_blank_is_that_of_monte_carlo_in_distribution():
    """From a blank array: as many errors as `written_network` draws, within the intervals of both."""
    point = operating_point(FAILURE)
    packets = program_rows(NETWORK, place(NETWORK, GEOMETRY), GEOMETRY)
    exact, drawn = [], []
    for seed in range(20):
        array = MramArray(GEOMETRY, seed)
        for packet in packets:
            array.program(packet, point)
        exact.append(int(array.counters["failed_bits"].sum()))
        drawn.append(wrong_bits(NETWORK, written_network(NETWORK, point, np.random.default_rng(seed))))
    spread = (2 * 20 * ones(NETWORK) * FAILURE * (1 - FAILURE)) ** 0.5
    assert abs(sum(exact) - sum(drawn)) < 4 * spread
    # Erased first, with pulses that do not fail, it is the same, bit for bit, from the same stream.
    erased, blank = MramArray(GEOMETRY, 0), MramArray(GEOMETRY, 0)
    for packet in packets:
        erased.program(packet, operating_point(0.0))
    for packet in packets:
        erased.program(replace(packet, rows=np.zeros_like(packet.rows)), operating_point(0.0))
    assert not erased.cells.any()
    before = erased.counters["program_energy_aj"].copy()
    for packet in packets:
        erased.program(packet, point)
        blank.program(packet, point)
    assert np.array_equal(erased.cells, blank.cells)
    assert np.array_equal(erased.counters["program_energy_aj"] - before, blank.counters["program_energy_aj"])


def test_reading_for_an_image_takes_each_row_once():
    rows = sum(layer.rows for layer in place(NETWORK, GEOMETRY).layers)
    assert image_reading_aj(NETWORK, GEOMETRY) == rows * GEOMETRY.banks * GEOMETRY.row_cells * 700_000


@pytest.mark.parametrize(("error_01", "error_10"), [(0.1, 0.1), (0.0, 0.2)])
def test_matched_thresholds_stand_where_the_mean_sums_are(error_01, error_10):
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (50, 100), dtype=np.uint8)
    matched = matched_both_ways(NETWORK, error_01, error_10, images)
    head, intended = matched.layers[0].head, NETWORK.layers[0].head
    assert isinstance(head, Threshold)
    assert isinstance(intended, Threshold)
    sums = np.zeros((50, 60))
    for seed in range(400):
        weights = flip_errors(NETWORK.layers[0].weights, 100, error_01, error_10, np.random.default_rng(seed))
        layer = replace(NETWORK.layers[0], weights=weights)
        sums += trace(replace(NETWORK, layers=(layer, *NETWORK.layers[1:])), images)[0].sums
    margin = sums.mean(axis=0) / 400 - head.values
    expected = (1 - error_01 - error_10) * (trace(NETWORK, images)[0].sums.mean(axis=0) - intended.values)
    wrong = (error_01 + error_10) / 2
    noise = 2 * (wrong * (1 - wrong) * (images.astype(float) ** 2).sum(axis=1).mean() / 400) ** 0.5
    assert np.abs(margin - expected).max() < 5 * noise + 2


def test_matched_thresholds_without_errors_are_the_same():
    images = np.zeros((2, 100), dtype=np.uint8)
    assert matched_both_ways(NETWORK, 0.0, 0.0, images).layers == NETWORK.layers


def test_matched_thresholds_refuse_other_networks():
    head = MultiThreshold(np.zeros((3, 60), dtype=np.int32), np.zeros(60, dtype=bool), 2, 0)
    other = replace(NETWORK, layers=(replace(NETWORK.layers[0], head=head), NETWORK.layers[1]))
    with pytest.raises(NetworkError, match="shifted thresholds need activations"):
        matched_both_ways(other, 0.0, 0.1, np.zeros((2, 100), dtype=np.uint8))
