"""The presets, and networks made from a shape."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spinbnn.golden.architectures import (
    ARCHITECTURES,
    Architecture,
    ConvShape,
    DenseShape,
    build,
    build_random,
    perceptron,
)
from spinbnn.golden.encoding import unpack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network, forward, trace

# Of each preset: weights, and the maps behind its layers.
EXPECTED: dict[str, tuple[int, str]] = {
    "mlp-1024": (784 * 1024 + 1024 * 1024 + 1024 * 10, "1x1x1024 1x1x1024 1x1x10"),
    "sfc": (784 * 256 + 2 * 256 * 256 + 256 * 10, "1x1x256 1x1x256 1x1x256 1x1x10"),
    "lfc": (784 * 1024 + 2 * 1024 * 1024 + 1024 * 10, "1x1x1024 1x1x1024 1x1x1024 1x1x10"),
    "tfc": (784 * 64 + 2 * 64 * 64 + 64 * 10, "1x1x64 1x1x64 1x1x64 1x1x10"),
    "digits": (64 * 256 + 256 * 256 + 256 * 10, "1x1x256 1x1x256 1x1x10"),
    "lenet4": (25 * 20 + 500 * 50 + 800 * 500 + 500 * 10, "12x12x20 4x4x50 1x1x500 1x1x10"),
    "bnn-cifar10": (
        14_022_016,
        "32x32x128 16x16x128 16x16x256 8x8x256 8x8x512 4x4x512 1x1x1024 1x1x1024 1x1x10",
    ),
    "cnv": (1_542_848, "30x30x64 14x14x64 12x12x128 5x5x128 3x3x256 1x1x256 1x1x512 1x1x512 1x1x10"),
    "cnv-w1a2": (1_542_848, "30x30x64 14x14x64 12x12x128 5x5x128 3x3x256 1x1x256 1x1x512 1x1x512 1x1x10"),
    "nin": (
        75 * 192 + 192 * 160 + 160 * 96 + 2400 * 192 + 3 * 192 * 192 + 1728 * 192 + 192 * 10,
        "32x32x192 32x32x160 16x16x96 16x16x192 16x16x192 8x8x192 8x8x192 8x8x192 1x1x10",
    ),
    "xnor-alexnet": (
        62_367_776,
        "27x27x96 13x13x256 13x13x384 13x13x384 6x6x256 1x1x4096 1x1x4096 1x1x1000",
    ),
}


def message(call, *arguments: object) -> str:
    with pytest.raises(NetworkError) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


def images(network: Network, count: int, seed: int = 0) -> np.ndarray:
    shape = count, network.inputs
    return np.random.default_rng(seed).integers(0, 2**network.input_bits, shape, dtype=np.uint8)


def test_every_preset_is_expected():
    assert list(ARCHITECTURES) == list(EXPECTED)
    assert all(ARCHITECTURES[name].name == name for name in ARCHITECTURES)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_presets_have_the_published_sizes(name):
    architecture = ARCHITECTURES[name]
    maps = " ".join("x".join(map(str, plan.output_shape)) for plan in architecture.plan())
    assert (architecture.weight_count, maps) == EXPECTED[name]
    assert architecture.classes == (1000 if name == "xnor-alexnet" else 10)
    assert architecture.source


@pytest.mark.parametrize("name", EXPECTED)
def test_the_documentation_has_the_preset_and_its_weights(name):
    page = Path(__file__).parents[2] / "docs" / "networks.md"
    table, _, _ = page.read_text().partition("## What differs")
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith(f"| `{name}` ")]
    assert [row[2] for row in rows] == [f"{EXPECTED[name][0]:,}"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "xnor-alexnet"])
def test_random_networks_have_the_shape_and_every_activation(name):
    architecture = ARCHITECTURES[name]
    network = build_random(architecture, 3)
    for plan, layer in zip(architecture.plan(), network.layers, strict=True):
        assert (layer.name, layer.output_shape, layer.sum_length) == (
            plan.name,
            plan.output_shape,
            plan.sum_length,
        )
        assert isinstance(layer, Conv) == isinstance(plan.shape, ConvShape)
        assert (layer.relu, layer.pool) == (plan.shape.relu, plan.shape.pool)
        assert len(layer.weight_shifts) == plan.shape.weight_bits
    x = images(network, 4)
    for plan, step in zip(architecture.plan(), trace(network, x), strict=True):
        if step.bits is None:
            continue
        codes = step.bits.reshape(-1, plan.shape.neurons)
        frequency = np.array([np.bincount(of_neuron, minlength=4) for of_neuron in codes.T]) / len(codes)
        # Signs are 0 and 1; activations -1, 0, 1 are codes 3, 0, 1.
        expected = [0, 1] if plan.shape.activation_bits == 1 else [0, 1, 3]
        assert np.flatnonzero(frequency.sum(axis=0)).tolist() == expected
        assert frequency.mean(axis=0)[expected].min() > 0.15
        assert frequency.max(axis=1).mean() < 0.87  # and most neurons are not always the same
    assert len(np.unique(forward(network, x), axis=0)) == 4


@pytest.mark.long
def test_a_random_alexnet_has_the_shape():
    network = build_random(ARCHITECTURES["xnor-alexnet"])
    assert network.input_shape == (224, 224, 3)
    assert network.outputs == 1000
    first, last = network.layers[0], network.layers[-1]
    assert len(first.weight_shifts) == len(last.weight_shifts) == 8
    assert isinstance(network.layers[-2].head, Threshold)


def test_the_seed_decides():
    tfc = ARCHITECTURES["tfc"]
    assert build_random(tfc, 1) == build_random(tfc, 1)
    one, other = build_random(tfc, 1), build_random(tfc, 2)
    assert (one.layers[0].weights != other.layers[0].weights).any()
    assert one.metadata == {"seed": 1}
    assert one.name == "random-tfc"


SMALL = Architecture(
    "small",
    "here",
    (5, 4, 2),
    3,
    False,
    (
        ConvShape(
            6,
            3,
            padding=(1, 0, 0, 1),
            pool=Pool("max", (2, 2), (1, 1)),
            weight_bits=3,
            activation_bits=2,
            activation_signed=False,
        ),
        DenseShape(4, relu=True, activation_bits=3),
        DenseShape(3, weight_bits=2),
    ),
)


def test_integer_weights_become_planes_of_their_value():
    network = build_random(SMALL, 4)
    for plan, layer in zip(SMALL.plan(), network.layers, strict=True):
        bits = plan.shape.weight_bits
        signs = (
            unpack(layer.weights.reshape(bits, plan.shape.neurons, -1), plan.sum_length).astype(int) * 2 - 1
        )
        values = (signs * (1 << np.arange(bits))[:, np.newaxis, np.newaxis]).sum(axis=0)
        assert set(values.ravel()) == set(range(1 - 2**bits, 2**bits, 2))


def test_build_takes_weights_as_they_are():
    rng = np.random.default_rng(5)
    weights = [
        2 * rng.integers(0, 2**plan.shape.weight_bits, (plan.shape.neurons, plan.sum_length))
        - (2**plan.shape.weight_bits - 1)
        for plan in SMALL.plan()
    ]
    heads = [layer.head for layer in build_random(SMALL).layers]
    network = build(SMALL, weights, heads, "mine", {"by": "me"})
    assert (network.name, network.metadata) == ("mine", {"by": "me"})
    x = images(network, 20)
    maps = np.pad(x.reshape(20, 5, 4, 2).astype(int), ((0, 0), (1, 0), (0, 1), (0, 0)))
    sums = np.zeros((20, 4, 3, 6), int)
    for row in range(4):
        for column in range(3):
            window = maps[:, row : row + 3, column : column + 3].reshape(20, -1)
            sums[:, row, column] = window @ weights[0].T
    pooled = np.max([sums[:, i : i + 3, j : j + 2] for i in (0, 1) for j in (0, 1)], axis=0)
    steps = trace(network, x)
    np.testing.assert_array_equal(steps[0].sums, pooled.reshape(20, -1))
    head = heads[0]
    assert isinstance(head, MultiThreshold)
    assert (head.bits, head.low, len(head.values)) == (2, 0, 3)
    activations = head.activations(pooled).reshape(20, -1)
    second = np.maximum(activations @ weights[1].T, 0)
    np.testing.assert_array_equal(steps[1].sums, second)
    assert isinstance(heads[1], MultiThreshold)
    third = heads[1].activations(second) @ weights[2].T
    assert isinstance(heads[2], Affine)
    np.testing.assert_array_equal(forward(network, x), heads[2].logits(third))


@pytest.mark.parametrize("reached", [0, 1, 2])
def test_reach_is_what_extreme_weights_and_inputs_give(reached):
    plan = SMALL.plan()[reached]
    assert plan.reach == (18 * 7 * 7, 36 * 1 * 3, 4 * 3 * 3)[reached]
    summed = replace(
        SMALL, layers=(replace(SMALL.layers[0], pool=Pool("sum", (2, 2), (1, 1))), *SMALL.layers[1:])
    )
    assert summed.plan()[0].reach == 4 * 18 * 7 * 7


def test_a_perceptron_is_of_dense_layers():
    architecture = perceptron("p", "here", (7, 5, 3), 2, False)
    network = build_random(architecture)
    assert all(isinstance(layer, Dense) for layer in network.layers)
    assert [(layer.inputs, layer.outputs) for layer in network.layers] == [(7, 5), (5, 3)]
    assert (network.input_bits, network.input_signed) == (2, False)
    assert architecture.weight_bit_count == architecture.weight_count == 7 * 5 + 5 * 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layers": ()}, "architecture 'small': layers must be at least one, not none"),
        (
            {"input_bits": 9},
            "architecture 'small': input_bits must be an integer from 1 to 8, not 9",
        ),
        (
            {"input_shape": (0, 4, 2)},
            "architecture 'small': a size of input_shape must be an integer from 1 to 65535, not 0",
        ),
        (
            {"layers": (DenseShape(0),)},
            "architecture 'small', layer 'dense0': neurons must be an integer from 1 to 1048576, not 0",
        ),
        (
            {"layers": (DenseShape(3, weight_bits=9),)},
            "architecture 'small', layer 'dense0': weight_bits must be an integer from 1 to 8, not 9",
        ),
        (
            {"layers": (DenseShape(3, activation_bits=5), DenseShape(3))},
            "architecture 'small', layer 'dense0': activation_bits must be an integer from 1 to 4, not 5",
        ),
        (
            {"layers": (ConvShape(3, 6),)},
            "architecture 'small', layer 'conv0': kernel and pooling must fit in the padded map of 5 x 4, "
            "not be larger",
        ),
        (
            {"layers": (ConvShape(3, 3, pool=Pool("or", (1, 3), (1, 1))),)},
            "architecture 'small', layer 'conv0': kernel and pooling must fit in the padded map of 5 x 4, "
            "not be larger",
        ),
        (
            {"layers": (ConvShape(3, 3),)},
            "architecture 'small': the last layer must have one output position, not 3 x 2",
        ),
    ],
)
def test_impossible_architectures(change, problem):
    assert message(lambda: replace(SMALL, **change)) == problem


def test_impossible_weights():
    architecture = perceptron("p", "here", (3, 2), 1, True)
    head = Affine(np.array([1, 1]), np.array([0, 0]))

    def made(weights: np.ndarray) -> Network:
        return build(architecture, [weights], [head])

    assert message(made, np.ones((2, 4), np.int8)) == (
        "layer 'dense0': weights must be signed integers of shape (2, 3), not int8 of shape (2, 4)"
    )
    assert message(made, np.ones((2, 3))) == (
        "layer 'dense0': weights must be signed integers of shape (2, 3), not float64 of shape (2, 3)"
    )
    for wrong in (0, 3, -3):
        weights = np.full((2, 3), 1)
        weights[1, 2] = wrong
        assert message(made, weights) == "layer 'dense0': weights must be odd integers from -1 to 1"
