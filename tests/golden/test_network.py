"""Sums, thresholds, logits, and what a network must be."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinbnn.golden import reference
from spinbnn.golden.encoding import pack
from spinbnn.golden.errors import DataError, NetworkError
from spinbnn.golden.layers import Affine, Dense, Threshold, largest_sum
from spinbnn.golden.network import LARGEST_SUM, Network, classify, forward, random_network, trace
from spinbnn.golden.sums import dense_sums

PROPERTY = settings(deadline=None, derandomize=True, max_examples=50)


def random_images(network: Network, count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**network.input_bits, (count, network.inputs), dtype=np.uint8)


def sums_by_multiplication(weights: np.ndarray, x: np.ndarray, signed: bool) -> np.ndarray:
    """Return the sums of weight bits [N, K] and elements [n, K], multiplied out."""
    elements = 2 * x.astype(np.int64) - 1 if signed else x.astype(np.int64)
    return elements @ (2 * weights.astype(np.int64) - 1).T


@PROPERTY
@given(
    inputs=st.integers(1, 200),
    neurons=st.integers(1, 40),
    images=st.integers(1, 5),
    input_bits=st.integers(0, 8),
    seed=st.integers(0, 2**32),
)
def test_sums_equal_multiplication(
    inputs: int, neurons: int, images: int, input_bits: int, seed: int
) -> None:
    signed, planes = input_bits == 0, max(input_bits, 1)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 2, (neurons, inputs), dtype=np.uint8)
    x = rng.integers(0, 2**planes, (images, inputs), dtype=np.uint8)
    sums = dense_sums(pack(weights), x, planes, signed)
    assert sums.dtype == np.int32
    assert np.array_equal(sums, sums_by_multiplication(weights, x, signed))


def test_sums_over_several_blocks_of_images() -> None:
    rng = np.random.default_rng(3)
    weights = rng.integers(0, 2, (300, 70), dtype=np.uint8)
    x = rng.integers(0, 8, (2501, 70), dtype=np.uint8)
    assert np.array_equal(dense_sums(pack(weights), x, 3, False), sums_by_multiplication(weights, x, False))


@pytest.mark.parametrize("inputs", [1, 63, 64, 65, 784, 70000])
@pytest.mark.parametrize(("signed", "bits", "largest"), [(True, 1, 1), (False, 1, 1), (False, 8, 255)])
def test_largest_sums_are_reached_and_exact(inputs: int, signed: bool, bits: int, largest: int) -> None:
    weights = pack(np.array([[1] * inputs, [0] * inputs]))
    x = np.full((1, inputs), 2**bits - 1, dtype=np.uint8)
    assert dense_sums(weights, x, bits, signed).tolist() == [[largest * inputs, -largest * inputs]]
    layer = Dense("a", weights, inputs, Affine(np.array([1, 1]), np.array([0, 0])))
    assert largest_sum(layer, largest) == largest * inputs


@PROPERTY
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    inputs=st.integers(1, 150),
    input_bits=st.integers(0, 8),
    seed=st.integers(0, 2**32),
)
def test_forward_equals_the_reference(sizes: list[int], inputs: int, input_bits: int, seed: int) -> None:
    network = random_network([inputs, *sizes], max(input_bits, 1), input_bits == 0, seed)
    x = random_images(network, 3, seed)
    assert forward(network, x).tolist() == [reference.forward(network, image) for image in x]


def test_forward_over_several_blocks_of_images() -> None:
    network = random_network([20, 30, 5], seed=4)
    x = random_images(network, 2100)
    logits = forward(network, x)
    assert logits.dtype == np.int32
    for first in (0, 1023, 1024, 2099):
        assert logits[first].tolist() == reference.forward(network, x[first])


def test_forward_of_no_images() -> None:
    network, none = random_network([20, 30, 5]), np.zeros((0, 20), dtype=np.uint8)
    assert forward(network, none).shape == (0, 5)
    assert [layer.sums.shape for layer in trace(network, none)] == [(0, 30), (0, 5)]


def test_trace_shows_every_layer() -> None:
    network = random_network([33, 21, 12, 4], seed=5)
    x = random_images(network, 50)
    layers = trace(network, x)
    assert [layer.sums.shape for layer in layers] == [(50, 21), (50, 12), (50, 4)]
    for layer, traced, following in zip(network.layers, layers, layers[1:], strict=False):
        assert isinstance(layer.head, Threshold)
        assert traced.bits is not None
        assert np.array_equal(traced.bits, (traced.sums >= layer.head.values) != layer.head.flip)
        assert 0.1 < traced.bits.mean() < 0.9
        assert following.sums.dtype == np.int32
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    assert layers[-1].bits is None
    assert np.array_equal(forward(network, x), head.scale * layers[-1].sums + head.bias)


def test_sign_of_zero_is_one() -> None:
    threshold = Threshold(np.array([0, 0]), np.array([False, True]))
    assert threshold.bits(np.array([[0, 0], [-1, -1], [1, 1]], dtype=np.int32)).tolist() == [
        [1, 0],
        [0, 1],
        [1, 0],
    ]


def test_class_is_the_first_largest_logit() -> None:
    classes = classify(np.array([[1, 5, 5], [-3, -3, -4], [0, 0, 1]], dtype=np.int32))
    assert classes.tolist() == [1, 0, 2]
    assert classes.dtype == np.int64


def test_random_network_depends_on_its_arguments_alone() -> None:
    assert random_network([9, 8, 7], seed=1) == random_network([9, 8, 7], seed=1)
    assert random_network([9, 8, 7], seed=1) != random_network([9, 8, 7], seed=2)


def test_networks_are_equal_only_if_all_is() -> None:
    one = random_network([9, 8, 7])
    hidden, last = one.layers
    assert isinstance(hidden.head, Threshold)
    assert isinstance(last.head, Affine)
    others = [
        Dense(hidden.name, hidden.weights ^ np.uint64(1), 9, hidden.head),
        Dense("other", hidden.weights, 9, hidden.head),
        Dense(hidden.name, hidden.weights, 9, Threshold(hidden.head.values + 1, hidden.head.flip)),
        Dense(hidden.name, hidden.weights, 9, Threshold(hidden.head.values, ~hidden.head.flip)),
    ]
    for other in others:
        assert Network(one.name, (other, last), 8, False, one.metadata) != one
    for head in (Affine(last.head.scale + 1, last.head.bias), Affine(last.head.scale, last.head.bias + 1)):
        assert (
            Network(one.name, (hidden, Dense(last.name, last.weights, 8, head)), 8, False, one.metadata)
            != one
        )
    assert Network(one.name, one.layers, 7, False, one.metadata) != one
    assert Network(one.name, one.layers, 8, False, {}) != one
    assert Network(one.name, (hidden, last), 8, False, one.metadata) == one


def test_arrays_are_copied_and_read_only() -> None:
    values = np.array([1, 2])
    head = Threshold(values, np.array([False, True]))
    values[0] = 7
    assert head.values.tolist() == [1, 2]
    for array in (head.values, head.flip, random_network([9, 8]).layers[0].weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


WEIGHTS = pack(np.ones((2, 3), dtype=np.uint8))
HEAD = Affine(np.array([1, 1]), np.array([0, 0]))
HIDDEN = Dense("hidden", WEIGHTS, 3, Threshold(np.array([0, 0]), np.array([False, False])))
LAST = Dense("last", pack(np.ones((2, 2), dtype=np.uint8)), 2, HEAD)


def affine(scale: int, bias: int) -> Affine:
    return Affine(np.array([1, scale]), np.array([0, bias]))


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: Threshold(np.array([0.5]), np.array([True])),
            "threshold values must be a vector of integers, not float64 of shape (1,)",
        ),
        (
            lambda: Threshold(np.array([[1]]), np.array([True])),
            "threshold values must be a vector of integers, not int64 of shape (1, 1)",
        ),
        (
            lambda: Threshold(np.array([2**31]), np.array([True])),
            "threshold values must be -2147483648 to 2147483647, not 2147483648..2147483648",
        ),
        (
            lambda: Threshold(np.array([0]), np.array([1])),
            "threshold flip must be bool of shape (1,), not int64 of shape (1,)",
        ),
        (
            lambda: Threshold(np.array([0]), np.array([True, False])),
            "threshold flip must be bool of shape (1,), not bool of shape (2,)",
        ),
        (
            lambda: Affine(np.array([0, 32768]), np.array([0, 0])),
            "logit scale must be -32768 to 32767, not 0..32768",
        ),
        (
            lambda: Affine(np.array([0, -32769]), np.array([0, 0])),
            "logit scale must be -32768 to 32767, not -32769..0",
        ),
        (
            lambda: Affine(np.array([0, 1]), np.array([0])),
            "logit bias must have 2 elements as scale has, not 1",
        ),
        (lambda: Dense("", WEIGHTS, 3, HEAD), "a layer's name must be printable text, not ''"),
        (lambda: Dense("a\nb", WEIGHTS, 3, HEAD), "a layer's name must be printable text, not 'a\\nb'"),
        (lambda: Dense("a", WEIGHTS, 0, HEAD), "layer 'a': inputs must be a positive integer, not 0"),
        (
            lambda: Dense("a", WEIGHTS, 3, np.array([1])),  # type: ignore[arg-type]
            "layer 'a': head must be a Threshold, a MultiThreshold or an Affine, not ndarray",
        ),
        (
            lambda: Dense("a", WEIGHTS, 65, HEAD),
            "layer 'a': weights must be uint64 of shape (N, 2) for 65 inputs, not uint64 of shape (2, 1)",
        ),
        (
            lambda: Dense("a", WEIGHTS.astype(np.int64), 3, HEAD),
            "layer 'a': weights must be uint64 of shape (N, 1) for 3 inputs, not int64 of shape (2, 1)",
        ),
        (
            lambda: Dense("a", WEIGHTS[:0], 3, HEAD),
            "layer 'a': weights must be uint64 of shape (N, 1) for 3 inputs, not uint64 of shape (0, 1)",
        ),
        (lambda: Dense("a", WEIGHTS, 2, HEAD), "layer 'a': weights must be 0 beyond input 1, not 1"),
        (lambda: Dense("a", WEIGHTS[:1], 3, HEAD), "layer 'a': head must have 1 elements, not 2"),
        (lambda: Network("", (LAST,), 1, True, {}), "a network's name must be printable text, not ''"),
        (lambda: Network("n", (LAST,), 0, False, {}), "input_bits must be 1 to 8, not 0"),
        (lambda: Network("n", (LAST,), 9, False, {}), "input_bits must be 1 to 8, not 9"),
        (lambda: Network("n", (LAST,), 8.0, False, {}), "input_bits must be an integer, not 8.0"),
        (lambda: Network("n", (LAST,), 2, True, {}), "input_bits must be 1 for signed inputs, not 2"),
        (lambda: Network("n", (LAST,), 1, 1, {}), "input_signed must be true or false, not 1"),
        (lambda: Network("n", [LAST], 1, True, {}), "layers must be a tuple of Dense and Conv, not list"),
        (lambda: Network("n", (), 1, True, {}), "a network must have at least one layer, not none"),
        (lambda: Network("n", (HIDDEN, HIDDEN), 1, True, {}), "layer names must differ, not hidden, hidden"),
        (
            lambda: Network("n", (HIDDEN, Dense("last", WEIGHTS, 3, HEAD)), 1, True, {}),
            "layer 'last': inputs must be the 2 outputs of 'hidden', not 3",
        ),
        (
            lambda: Network("n", (HIDDEN,), 1, True, {}),
            "layer 'hidden': head must be Affine in layer 0 of 1, not Threshold",
        ),
        (
            lambda: Network("n", (Dense("a", WEIGHTS, 3, HEAD), LAST), 1, True, {}),
            "layer 'a': head must be Threshold or MultiThreshold in layer 0 of 2, not Affine",
        ),
        (
            lambda: Network("n", (LAST,), 1, True, {"rate": float("nan")}),
            "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types",
        ),
        (
            lambda: Network("n", (LAST,), 1, True, {"x": (1, 2)}),
            "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types",
        ),
        (
            lambda: Network("n", (LAST,), 1, True, [1]),
            "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types",
        ),
        (
            lambda: Network("n", (Dense("a", WEIGHTS, 3, affine(-32768, 2**31 - 1)),), 1, True, {}),
            "layer 'a': scale * sum + bias must stay within 2147483647, not reach 2147581951",
        ),
        (
            lambda: Network("n", (Dense("a", WEIGHTS, 3, affine(-1, -(2**31) + 3)),), 1, False, {}),
            "layer 'a': scale * sum + bias must stay within 2147483647, not reach 2147483648",
        ),
    ],
)
def test_what_a_network_must_be(build: Callable[[], Any], text: str) -> None:
    with pytest.raises(NetworkError, match=f"^{re.escape(text)}$"):
        build()


def test_largest_logit_is_allowed() -> None:
    network = Network("n", (Dense("a", WEIGHTS, 3, affine(-1, -(2**31) + 4)),), 1, True, {})
    assert forward(network, np.ones((1, 3), dtype=np.uint8)).tolist() == [[3, -(2**31) + 1]]


def test_sums_beyond_the_limit_are_rejected() -> None:
    inputs = LARGEST_SUM // 255
    head = Affine(np.array([1]), np.array([0]))

    def network(inputs: int) -> Network:
        return Network(
            "n", (Dense("a", np.zeros((1, -(-inputs // 64)), dtype=np.uint64), inputs, head),), 8, False, {}
        )

    assert network(inputs).inputs == inputs
    text = f"layer 'a': sums must stay within {LARGEST_SUM}, not reach {(inputs + 1) * 255}"
    with pytest.raises(NetworkError, match=f"^{text}$"):
        network(inputs + 1)


@pytest.mark.parametrize("run", [forward, trace])
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (
            np.zeros((2, 8), dtype=np.uint8),
            "images must be uint8 of shape (n, 9) for network 'random-9-8-7', not uint8 of shape (2, 8)",
        ),
        (
            np.zeros(9, dtype=np.uint8),
            "images must be uint8 of shape (n, 9) for network 'random-9-8-7', not uint8 of shape (9,)",
        ),
        (
            np.zeros((2, 9)),
            "images must be uint8 of shape (n, 9) for network 'random-9-8-7', not float64 of shape (2, 9)",
        ),
        (np.full((2, 9), 16, dtype=np.uint8), "pixels must be at most 15 for network 'random-9-8-7', not 16"),
    ],
)
def test_images_must_suit_the_network(run: Callable[..., Any], x: np.ndarray, text: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(text)}$"):
        run(random_network([9, 8, 7], input_bits=4), x)
