"""Layers from plain arrays, against sums formed with NumPy in the framework's own order."""

import numpy as np
import pytest

from spinbnn.golden.build import conv, dense
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Head, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, forward, trace
from spinbnn.golden.weights import spread_groups


def affine(neurons: int, scale: int = 1) -> Affine:
    return Affine(np.full(neurons, scale, np.int32), np.arange(neurons, dtype=np.int32))


def threshold(neurons: int, value: int = 0) -> Threshold:
    return Threshold(np.full(neurons, value, np.int32), np.arange(neurons) % 2 == 1)


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.choice([-1, 1], shape)


def test_a_dense_layer_keeps_the_order_of_its_inputs():
    rng = np.random.default_rng(1)
    weights = signs(rng, (5, 70))
    x = rng.integers(0, 256, (4, 70), np.uint8)
    network = Network("n", (dense("d", weights, affine(5)),), 8, False, {})
    np.testing.assert_array_equal(forward(network, x), x.astype(int) @ weights.T + np.arange(5))


def test_integer_weights_give_the_logits_of_the_integers():
    rng = np.random.default_rng(2)
    weights = rng.integers(-128, 128, (3, 40))
    x = rng.integers(0, 256, (4, 40), np.uint8)
    network = Network("n", (dense("d", weights, affine(3, 4)),), 8, False, {})
    np.testing.assert_array_equal(forward(network, x), 4 * (x.astype(int) @ weights.T) + np.arange(3))


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("even", [False, True])
def test_heads_are_in_units_of_the_integers_sums(even, multi):
    rng = np.random.default_rng(3)
    weights = rng.integers(-3, 4, (6, 40))
    weights = weights if even else 2 * weights + 1
    x = rng.integers(0, 4, (50, 40), np.uint8)
    sums = x.astype(int) @ weights.T
    if multi:
        values = np.array([[-9] * 6, [0] * 6, [7] * 6], np.int32)
        head: Head = MultiThreshold(values, np.arange(6) % 2 == 1, 2, 0)
        counts = (sums[:, np.newaxis] >= values).sum(axis=1)
        expected = np.where(np.arange(6) % 2, 3 - counts, counts)
    else:
        head = threshold(6, -5)
        expected = (sums >= -5) ^ (np.arange(6) % 2 == 1)
    network = Network(
        "n", (dense("a", weights, head), dense("b", np.ones((1, 6), int), affine(1))), 2, False, {}
    )
    np.testing.assert_array_equal(trace(network, x)[0].bits, expected)


@pytest.mark.parametrize("order", ["channels_first", "channels_last"])
def test_a_convolution_and_the_flattening_behind_it_follow_the_framework(order):
    rng = np.random.default_rng(4)
    kernels, last = signs(rng, (4, 3, 2, 3)), signs(rng, (2, 4 * 3 * 2))
    image = rng.integers(0, 256, (3, 5, 7))  # c, y, x
    maps = np.zeros((4, 3, 2), int)
    for n, y, x in np.ndindex(maps.shape):
        window = np.pad(image, ((0, 0), (1, 0), (0, 0)))[:, 2 * y : 2 * y + 2, 3 * x : 3 * x + 3]
        maps[n, y, x] = (window * kernels[n]).sum()
    bits = np.where((maps >= 10) ^ (np.arange(4) % 2 == 1)[:, np.newaxis, np.newaxis], 1, -1)
    first = order == "channels_first"
    flat = bits.ravel() if first else bits.transpose(1, 2, 0).ravel()
    network = Network(
        "n",
        (
            conv(
                "c",
                kernels if first else kernels.transpose(2, 3, 1, 0),
                threshold(4, 10),
                input_size=(5, 7),
                stride=(2, 3),
                padding=(1, 0, 0, 0),
                order=order,
            ),
            dense("d", last, affine(2), flatten=(3, 2, 4), order=order),
        ),
        8,
        False,
        {},
    )
    pixels = image.transpose(1, 2, 0).reshape(1, -1).astype(np.uint8)
    np.testing.assert_array_equal(forward(network, pixels)[0], last @ flat + np.arange(2))


def test_a_convolution_takes_pool_relu_and_pad_value():
    layer = conv(
        "c",
        np.ones((2, 1, 3, 3), int),
        threshold(2),
        input_size=(4, 4),
        padding=(1, 1, 1, 1),
        pad_value=-1,
        pool=Pool("max", (2, 2), (2, 2)),
        relu=True,
        residual="b",
    )
    assert (layer.pad_value, layer.relu, layer.residual) == (-1, True, "b")
    assert layer.output_shape == (2, 2, 2)


ones = np.ones((2, 4), int)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: dense("d", ones * 1.0, affine(2)),
            "layer 'd': weights must be integers in 2 dimensions, not float64 of shape (2, 4)",
        ),
        (
            lambda: dense("d", ones, affine(2), order="nchw"),
            "layer 'd': order must be channels_first or channels_last, not 'nchw'",
        ),
        (
            lambda: dense("d", ones, affine(2), flatten=(1, 2, 3)),
            "layer 'd': weights must have 6 inputs for a map of 1 x 2 x 3, not 4",
        ),
        (
            lambda: dense("d", 0 * ones, affine(2, 3)),
            "layer 'd': logit scales must be even for weights of which some are even, whose sums are "
            "doubled, not 3",
        ),
        (
            lambda: dense("d", 0 * ones, threshold(2), residual="c"),
            "layer 'd': weights must all be odd with a residual, which is added to undoubled sums",
        ),
        (
            lambda: dense("d", 0 * ones, threshold(2, 2**30)),
            "layer 'd': threshold values must be -1073741824 to 1073741823 for weights of which some are "
            "even, not 1073741824..1073741824",
        ),
        (
            lambda: conv("c", ones, affine(2), input_size=(4, 4)),
            "layer 'c': weights must be integers in 4 dimensions, not int64 of shape (2, 4)",
        ),
        (
            lambda: conv("c", ones.reshape(2, 1, 2, 2), affine(2), input_size=(4, 4), order="oihw"),
            "layer 'c': order must be channels_first or channels_last, not 'oihw'",
        ),
    ],
)
def test_what_makes_no_layer_is_refused(build, text):
    with pytest.raises(NetworkError) as error:
        build()
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("order", "groups"), [("channels_first", 2), ("channels_last", 2), ("channels_first", 4)]
)
def test_a_group_reads_its_own_channels_only(order: str, groups: int) -> None:
    rng = np.random.default_rng(41)
    weights = 2 * rng.integers(0, 2, (8, 4 // groups, 3, 2)) - 1
    given = weights if order == "channels_first" else weights.transpose(2, 3, 1, 0)
    head = Affine(np.full(8, 2, np.int32), np.arange(8, dtype=np.int32))
    layer = conv("grouped", given, head, input_size=(3, 2), groups=groups, order=order)
    network = Network("grouped", (layer,), 4, False, {})
    images = rng.integers(0, 16, (5, 3, 2, 4), dtype=np.uint8)
    expected = np.empty((5, 8), dtype=np.int64)
    for neuron in range(8):
        first = neuron // (8 // groups) * (4 // groups)
        window = images[..., first : first + 4 // groups].transpose(0, 3, 1, 2).astype(np.int64)
        expected[:, neuron] = 2 * (window * weights[neuron]).sum(axis=(1, 2, 3)) + neuron
    assert np.array_equal(forward(network, images.reshape(5, -1)), expected)


def test_groups_must_divide_the_neurons() -> None:
    with pytest.raises(NetworkError, match=r"^groups must divide the 8 neurons, not be 3$"):
        spread_groups(np.ones((8, 1, 1, 1), np.int64), 3)
