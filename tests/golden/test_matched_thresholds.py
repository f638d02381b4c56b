"""Thresholds that match an error rate."""

from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from spinbnn.golden.encoding import pack, unpack
from spinbnn.golden.errors import NetworkError, OperatingPointError
from spinbnn.golden.layers import Affine, Dense, MultiThreshold, Threshold
from spinbnn.golden.matched_thresholds import matched_thresholds, threshold_error_rate
from spinbnn.golden.monte_carlo import flip_errors
from spinbnn.golden.network import Network, classify, forward, random_network
from spinbnn.golden.network_file import load_network, save_network
from spinbnn.sim.assets import SHIPPED_NETWORKS
from spinbnn.sim.datasets import bundled_images_for

ONES = pack(np.ones((5, 20), np.uint8))


def small(values: list[int], bias: int = 1001, residual: bool = False) -> Network:
    """Return 20 inputs of +1 and -1, five neurons with these thresholds, and two logits."""
    flip = np.arange(5) % 2 == 1
    layers: list[Dense] = [Dense("first", ONES, 20, Threshold(np.array(values), flip))]
    if residual:
        same = pack(np.ones((5, 5), np.uint8))
        layers.append(Dense("second", same, 5, Threshold(np.array(values), flip), residual="first"))
    last = Affine(np.array([7, -7]), np.array([bias, -bias]))
    layers.append(Dense("last", pack(np.ones((2, 5), np.uint8)), 5, last))
    return Network("small", tuple(layers), 1, True, {"made": "here"})


def thresholds(network: Network, layer: int = 0) -> list[int]:
    head = network.layers[layer].head
    assert isinstance(head, Threshold)
    values: list[int] = head.values.tolist()
    return values


def test_thresholds_are_scaled_exactly_and_rounded_up():
    network = small([-20, -9, 1, 10, 21])
    matched = matched_thresholds(network, 0.1)
    head = matched.layers[0].head
    assert isinstance(head, Threshold)
    assert head.values.tolist() == [-20, -7, 1, 8, 21]  # the first always fires, the last never
    assert head.flip.tolist() == [False, True, False, True, False]
    logits = matched.layers[1].head
    assert isinstance(logits, Affine)
    assert (logits.scale.tolist(), logits.bias.tolist()) == ([7, -7], [801, -801])  # of 800.8
    assert np.array_equal(matched.layers[0].weights, network.layers[0].weights)
    assert matched.metadata == {"made": "here", "thresholds_match_error_rate": 0.1}


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.04, 0.3, 0.4999])
def test_thresholds_of_any_rate_are_those_of_decimal_fractions(rate):
    network = random_network((50, 400, 3), 8)
    ratio = 1 - 2 * Fraction(str(rate))
    found = thresholds(matched_thresholds(network, rate))
    assert found == [ceil(ratio * value) for value in thresholds(network)]


def test_thresholds_stay_within_reach_when_errors_are_taken_back():
    trained = replace(small([-19, -3, 3, 15, 20]), metadata={"recipe": {"weight_error_10": 0.4}})
    assert threshold_error_rate(trained) == 0.2
    matched = matched_thresholds(trained, 0.0)
    assert thresholds(matched) == [-20, -5, 5, 21, 21]  # of -31.7, -5, 5, 25, 33.3
    both = {"recipe": {"weight_error_01": 0.1, "weight_error_10": 0.3}}
    assert matched_thresholds(replace(trained, metadata=both), 0.0).layers == matched.layers
    assert matched_thresholds(trained, 0.2).layers == trained.layers


def test_a_network_is_matched_again_from_where_it_is(tmp_path):
    network = small([-20, -10, 0, 10, 21], bias=1000)
    once = matched_thresholds(network, 0.1)
    save_network(once, tmp_path / "once.npz")
    twice = matched_thresholds(load_network(tmp_path / "once.npz"), 0.0)
    assert threshold_error_rate(network) == 0
    assert threshold_error_rate(once) == 0.1
    assert twice.layers == network.layers


def test_activations_of_several_bits_keep_their_order():
    head = MultiThreshold(
        np.array([[-20, -19, 0], [-4, 0, 19], [5, 3, 21]]), np.array([False, True, False]), 2, 0
    )
    last = Dense("last", pack(np.ones((2, 3), np.uint8)), 3, Affine(np.array([1, 1]), np.array([0, 0])))
    network = Network("m", (Dense("first", ONES[:3], 20, head), last), 1, True, {})
    found = matched_thresholds(network, 0.25).layers[0].head
    assert isinstance(found, MultiThreshold)
    assert found.values.tolist() == [[-20, -9, 0], [-2, 0, 10], [3, 2, 21]]
    assert (found.flip.tolist(), found.bits, found.low) == (head.flip.tolist(), 2, 0)


def test_a_residual_widens_the_reach():
    values = thresholds(matched_thresholds(small([-25, -26, 25, 26, 0], residual=True), 0.1), layer=1)
    assert values == [-25, -26, 20, 26, 0]  # 5 of its own, 20 of the first: -25 to 25 are reached


def test_the_mean_of_a_sum_with_errors_passes_where_the_sum_does():
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, 301, dtype=np.uint8)
    pixels = random.integers(0, 256, 301) * bits  # so that the sum lies far from 0
    words = pack(bits)
    sums = [
        int((2 * unpack(flip_errors(words, 301, 0.1, 0.1, random), 301).astype(int) - 1) @ pixels)
        for _ in range(4000)
    ]
    intended = int((2 * bits.astype(int) - 1) @ pixels)
    deviation = np.std(sums) / len(sums) ** 0.5
    assert abs(np.mean(sums) - 0.8 * intended) < 4 * deviation
    assert abs(0.2 * intended) > 8 * deviation  # without the factor the mean would lie far off


def test_a_trained_network_bears_more_errors_with_matched_thresholds():
    network = load_network(SHIPPED_NETWORKS["mnist_1024"])
    data, _ = bundled_images_for(network)

    def right(of: Network, rate: float) -> int:
        """Return how many of 4 times 500 images are right."""
        found = 0
        for seed in range(4):
            random = np.random.default_rng(seed)
            layers = tuple(
                replace(layer, weights=flip_errors(layer.weights, layer.sum_length, rate, rate, random))
                for layer in of.layers
            )
            logits = forward(replace(of, layers=layers), data.pixels)
            found += int((classify(logits) == data.labels).sum())
        return found

    assert right(matched_thresholds(network, 0.04), 0.04) >= right(network, 0.04) + 8
    assert right(matched_thresholds(network, 0.1), 0.1) >= right(network, 0.1) + 160
    assert right(matched_thresholds(network, 0.2), 0) <= right(network, 0) - 40  # errors that are not there


@pytest.mark.parametrize("rate", [-0.01, 0.5, float("nan")])
def test_impossible_rates(rate):
    with pytest.raises(OperatingPointError) as caught:
        matched_thresholds(small([0, 0, 0, 0, 0]), rate)
    assert str(caught.value) == (
        f"an error rate that thresholds match must be from 0 to below 0.5, not {rate!r}"
    )


def test_a_bias_that_would_leave_32_bits_is_refused():
    trained = replace(small([0] * 5, bias=2**31 - 100), metadata={"recipe": {"weight_error_10": 0.4}})
    with pytest.raises(NetworkError, match="logit bias must be"):
        matched_thresholds(trained, 0.0)
