"""How parts of a network are written: thresholds that fit, rows left out, energies, and the search."""

from typing import Any

import numpy as np
import pytest

from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Threshold
from spinbnn.golden.network import Network, forward, random_network, trace
from spinbnn.golden.network_file import load_network
from spinbnn.golden.placement import place
from spinbnn.golden.technology import READ_BIT_ENERGY_AJ
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.datasets import Dataset
from spinbnn.sim.studies import assignment
from spinbnn.sim.studies.assignment import IMAGE, Assignment, Option, Subject, ways_to_write
from spinbnn.sim.studies.assignment_search import Found, Search, cheapest
from spinbnn.sim.studies.programming import LADDER_V, TECHNOLOGY, machine_for, program, pulse_point

NETWORK = random_network((130, 128, 70, 10), seed=6)
IMAGES = np.random.default_rng(2).integers(0, 256, (200, 130), dtype=np.uint8)
STRONG = Option(LADDER_V[1e-6], 0, 0.0, 5.0)
WEAK = Option(LADDER_V[0.2], 0, 0.2, 2.0)
ALL_STRONG, ALL_WEAK = Assignment((STRONG,) * 3), Assignment((WEAK,) * 3)


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(NETWORK, IMAGES)


def first_activations(network: Network) -> Any:
    return trace(network, IMAGES)[0].bits


def thresholds(network: Network) -> list[Any]:
    return [layer.head.values for layer in network.layers if isinstance(layer.head, Threshold)]


def test_without_errors_thresholds_stay(subject: Subject) -> None:
    matched = subject.matched(ALL_STRONG)
    for is_, was in zip(thresholds(matched), thresholds(NETWORK), strict=True):
        assert np.array_equal(is_, was)
    logits = forward(NETWORK, IMAGES)
    assert np.array_equal(forward(matched, IMAGES), logits)


def test_matched_neurons_fire_as_often_as_without_errors(subject: Subject) -> None:
    first = Assignment((WEAK, STRONG, STRONG))
    rng = np.random.default_rng(3)
    should = first_activations(NETWORK).mean(axis=0)
    away = {}
    for name, network in (("matched", subject.matched(first)), ("as they were", NETWORK)):
        fires = [first_activations(subject.draw(network, first, rng)).mean(axis=0) for _ in range(20)]
        away[name] = float(np.abs(np.mean(fires, axis=0) - should).mean())
    assert away["matched"] < away["as they were"] / 4


def test_the_regression_is_of_the_mean_of_drawn_sums(subject: Subject) -> None:
    """A threshold lies where the mean sum with errors is when the intended one is at its threshold."""
    weak = Assignment((WEAK, STRONG, STRONG)).without(IMAGE, 1)
    rng = np.random.default_rng(4)
    drawn = np.mean([trace(subject.draw(NETWORK, weak, rng), IMAGES)[0].sums for _ in range(150)], axis=0)
    intended = trace(NETWORK, IMAGES)[0].sums
    for neuron in range(0, 128, 16):
        slope, offset = np.polyfit(intended[:, neuron], drawn[:, neuron], 1)
        expected = slope * thresholds(NETWORK)[0][neuron] + offset
        spread = drawn[:, neuron].std()
        assert abs(thresholds(subject.matched(weak))[0][neuron] - expected) < 0.2 * spread


def test_what_is_left_out_takes_no_energy_and_stays_blank(subject: Subject) -> None:
    less = ALL_STRONG.without(0, 1).without(IMAGE, 2)
    stored = subject.draw(subject.matched(less), less, np.random.default_rng(0))
    ones = [unpack(layer.weights, layer.sum_length) for layer in NETWORK.layers]
    ones[0][64:128], ones[1][:, 64:128], ones[0][:, 128:] = 0, 0, 0
    for layer, should in zip(stored.layers, ones, strict=True):
        assert np.array_equal(unpack(layer.weights, layer.sum_length), should)
    assert subject.energy_aj(less) == 5.0 * sum(int(each.sum()) for each in ones)
    activations = first_activations(stored)
    assert not activations[:, 64:128].any()
    assert activations[:, :64].any()


def test_the_array_holds_what_was_drawn_and_takes_the_energy_expected(subject: Subject) -> None:
    strongest = Option(LADDER_V[1e-3], 0, 1e-3, pulse_point(TECHNOLOGY, LADDER_V[1e-3]).energy_01_aj)
    options = (strongest, strongest, Option(LADDER_V[0.2], 0, 0.2, 0.0))
    less = Assignment(options).without(0, 0).without(IMAGE, 0)
    assert less.points == 3
    matched = subject.matched(less)
    geometry = machine_for(matched)
    ranges = subject.ranges(place(matched, geometry), less)
    written = program(matched, geometry, options[0].point, seed=1, ranges=ranges)
    should = subject.draw(
        matched, Assignment((STRONG,) * 3, less.silent, less.unread), np.random.default_rng(0)
    )
    wrong = [
        int(np.bitwise_count(is_.weights ^ was.weights).sum())
        for is_, was in zip(written.network.layers, should.layers, strict=True)
    ]
    assert wrong[0] + wrong[1] < 30, "a thousandth of 8,000 bits"
    assert 20 < wrong[2] < 120, "a fifth of half of 700 bits"
    expected = subject.energy_aj(
        Assignment(
            (*options[:2], Option(options[2].voltage_v, 0, 0.2, options[2].point.energy_01_aj)),
            less.silent,
            less.unread,
        )
    )
    assert written.energy_aj == expected


def test_shares_that_failed_are_counted_by_layer(subject: Subject) -> None:
    stored = subject.draw(NETWORK, ALL_WEAK, np.random.default_rng(5))
    assert subject.failed_shares(stored) == pytest.approx([0.2] * 3, abs=0.06)
    assert subject.failed_shares(NETWORK) == [0.0] * 3


def test_ways_to_write_rise_in_errors_and_fall_in_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assignment, "LADDER_V", {rate: LADDER_V[rate] for rate in (1e-4, 1e-3, 0.2)})
    ways = ways_to_write.__wrapped__((0, 1))
    assert [(way.voltage_v, way.retries) for way in ways] == [
        (LADDER_V[1e-3], 1),
        (LADDER_V[1e-3], 0),
        (LADDER_V[0.2], 0),  # with a retry it is dearer than the stronger pulse, and leaves more wrong
    ]
    assert [way.residual for way in ways] == pytest.approx([1e-6, 1e-3, 0.2], rel=0.03)
    energies = [way.bit_energy_aj for way in ways]
    assert energies == sorted(energies, reverse=True)
    # A retry reads back the row, 32 of whose 64 cells had to change, and pulses what failed again.
    pulse = ways[1].bit_energy_aj
    assert energies[0] == pytest.approx(pulse * 1.001 + 2 * READ_BIT_ENERGY_AJ, rel=1e-4)


def test_only_fully_connected_networks_are_taken() -> None:
    lenet4 = load_network(SHIPPED_NETWORKS["lenet4"])
    with pytest.raises(NetworkError, match="layer 'conv0' must be fully connected"):
        Subject(lenet4, np.zeros((1, lenet4.inputs), dtype=np.uint8))


WAYS = (STRONG, Option(LADDER_V[0.1], 0, 0.1, 3.0), Option(LADDER_V[0.5], 0, 0.5, 1.0))


@pytest.mark.parametrize(("layers", "rows"), [(False, False), (True, False), (True, True)])
def test_a_search_keeps_the_limit_and_finds_no_more_than_the_best_single_pulse(
    subject: Subject, layers: bool, rows: bool
) -> None:
    labels = np.argmax(trace(NETWORK, IMAGES)[-1].sums, axis=1).astype(np.uint8)
    images = Dataset(IMAGES.reshape(200, 10, 13), labels)
    search = Search(subject, images, seed=1, draws=1)
    limits = (0.05, 0.4)
    single = search.uniform(WAYS, limits)
    found = search.by_step(WAYS, limits, layers=layers, rows=rows)
    for limit, best, least in zip(limits, found, single, strict=True):
        assert best is not None
        assert least is not None
        assert best.loss <= limit
        assert best.energy_aj <= least.energy_aj
        assert search.found(best.assignment) == best, "the same errors each time"
    strict, loose = found
    assert strict is not None
    assert loose is not None
    assert loose.energy_aj < strict.energy_aj
    assert bool(loose.assignment.silent or loose.assignment.unread) == rows
    assert search.found(ALL_STRONG).loss == 0


def test_the_cheapest_within_a_limit() -> None:
    tried = [Found(ALL_STRONG, 9.0, 0.0), Found(ALL_WEAK, 3.0, 0.02), Found(ALL_WEAK, 4.0, 0.01)]
    assert cheapest(tried, 0.01) is tried[2]
    assert cheapest(tried, 0.05) is tried[1]
    assert cheapest(tried, -1.0) is None
