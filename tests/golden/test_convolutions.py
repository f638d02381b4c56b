"""Convolutions, pooling, residuals and several bits: every layer's integers, fast path against reference."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray

from spinbnn.golden import network as fast
from spinbnn.golden import reference
from spinbnn.golden.encoding import pack
from spinbnn.golden.layers import Affine, Conv, Dense, Layer, MultiThreshold, Pool, Threshold, largest_sum
from spinbnn.golden.network import Network, forward, random_network, trace
from tests.networks import EVERYTHING, Limits, Recipe, build, random_images, random_recipe, recipes

RANDOM = settings(
    deadline=None, derandomize=True, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)


def images_of(network: Network, count: int) -> NDArray[np.uint8]:
    """Return random images, and those of the smallest and of the largest elements."""
    x = random_images(network, count, np.random.default_rng(1))
    largest = 2**network.input_bits - 1
    return np.concatenate([x, np.zeros_like(x[:1]), np.full_like(x[:1], largest)])


def assert_equals_reference(network: Network, images: int = 2) -> None:
    x = images_of(network, images)
    traced = trace(network, x)
    for number, image in enumerate(x):
        for layer, have, want in zip(
            network.layers, traced, reference.trace(network, image.tolist()), strict=True
        ):
            where = f"network {network.name}, image {number}, layer {layer.name}"
            assert have.sums[number].tolist() == want.sums, f"{where}: sums"
            codes = None if have.bits is None else have.bits[number].tolist()
            assert codes == want.codes, f"{where}: activations"
    assert forward(network, x)[0].tolist() == reference.forward(network, x[0].tolist())


def bits(seed: int, *shape: int) -> NDArray[np.uint64]:
    return pack(np.random.default_rng(seed).integers(0, 2, shape, dtype=np.uint8))


def affine(neurons: int) -> Affine:
    return Affine(np.arange(1, neurons + 1), np.arange(neurons))


def ending(*layers: Layer, input_bits: int = 1, input_signed: bool = True) -> Network:
    """Return a network of some layers and a dense one behind them."""
    inputs = layers[-1].outputs
    end = Dense("end", bits(9, 2, inputs), inputs, affine(2))
    return Network("case", (*layers, end), input_bits, input_signed, {})


def convolution(name: str = "conv", **changes: Any) -> Conv:
    """Return a convolution of 5 x 6 pixels of 3 channels to 4 channels, changed as given."""
    fields: dict[str, Any] = {"input_shape": (5, 6, 3), "kernel": (3, 2), "neurons": 4, **changes}
    neurons, kernel = fields.pop("neurons"), fields["kernel"]
    planes = len(fields.get("weight_shifts", (0,)))
    length = kernel[0] * kernel[1] * fields["input_shape"][2]
    shape = (neurons, length) if planes == 1 else (planes, neurons, length)
    threshold = Threshold(np.arange(-2, neurons - 2), np.arange(neurons) % 2 == 1)
    return Conv(name, fields.pop("weights", bits(3, *shape)), head=fields.pop("head", threshold), **fields)


UNSIGNED_3 = MultiThreshold(np.array([[-4] * 4, [-1] * 4, [-1] * 4, [5] * 4]), np.arange(4) < 2, 3, 0)
SIGNED_3 = MultiThreshold(np.array([[-4] * 4, [-1] * 4, [0] * 4, [5] * 4]), np.arange(4) < 2, 3, -3)
LOWEST_4 = MultiThreshold(np.array([[0] * 4]), np.arange(4) < 2, 4, -8)

CASES: dict[str, Network] = {
    "plain": ending(convolution()),
    "one by one": ending(convolution(kernel=(1, 1))),
    "one by one, padded": ending(convolution(kernel=(1, 1), padding=(1, 2, 3, 4), pad_value=-1)),
    "padding of nothing": ending(convolution(padding=(1, 2, 2, 0))),
    "padding of +1": ending(convolution(padding=(0, 1, 2, 0), pad_value=1)),
    "padding of -1": ending(convolution(padding=(2, 0, 0, 1), pad_value=-1)),
    "windows wholly in padding": ending(convolution(padding=(4, 3, 5, 3), stride=(2, 2))),
    "kernel larger than the map": ending(convolution(input_shape=(1, 2, 3), padding=(1, 1, 1, 1))),
    "stride beyond the kernel": ending(convolution(kernel=(1, 2), stride=(3, 4))),
    "stride that leaves pixels over": ending(convolution(kernel=(2, 3), stride=(2, 2))),
    "padding that no window reaches": ending(convolution(padding=(0, 0, 1, 1), stride=(4, 5))),
    "64 channels": ending(convolution(input_shape=(3, 3, 64), kernel=(2, 2))),
    "65 channels": ending(convolution(input_shape=(3, 3, 65), kernel=(2, 2), padding=(1, 1, 1, 1))),
    "one channel": ending(convolution(input_shape=(4, 4, 1), neurons=1)),
    "8 bits": ending(convolution(padding=(1, 1, 1, 1)), input_bits=8, input_signed=False),
    "1 unsigned bit": ending(convolution(padding=(1, 1, 1, 1)), input_bits=1, input_signed=False),
    "9 planes of weights": ending(
        convolution(weight_shifts=(0, 0, 1, 2, 3, 4, 5, 6, 7), padding=(1, 0, 0, 1)),
        input_bits=8,
        input_signed=False,
    ),
    "planes of weights, padded": ending(convolution(weight_shifts=(0, 2), padding=(1, 0, 0, 1))),
    "one plane of place value 8": ending(convolution(weight_shifts=(3,), padding=(1, 1, 1, 1))),
    "dense, planes of weights": Network(
        "case", (Dense("last", bits(4, 3, 2, 70), 70, affine(2), (1, 1, 4)),), 3, False, {}
    ),
    "relu": ending(convolution(relu=True)),
    "max": ending(convolution(pool=Pool("max", (2, 2), (2, 2)))),
    "max, overlapping": ending(convolution(pool=Pool("max", (2, 3), (1, 1)))),
    "max of all below 0": ending(
        convolution(weights=np.zeros((4, 1), np.uint64), pool=Pool("max", (3, 1), (1, 2))),
        input_bits=2, input_signed=False,
    ),
    "max, pixels between windows": ending(convolution(pool=Pool("max", (1, 1), (2, 3)))),
    "relu, sum": ending(convolution(relu=True, pool=Pool("sum", (2, 2), (1, 2)))),
    "sum of the whole map": ending(convolution(pool=Pool("sum", (3, 5), (9, 9)))),
    "or": ending(convolution(pool=Pool("or", (2, 2), (2, 2)))),
    "or, overlapping": ending(convolution(pool=Pool("or", (3, 3), (1, 2)))),
    "or of signed activations": ending(convolution(head=SIGNED_3, pool=Pool("or", (2, 1), (1, 1)))),
    "3 unsigned bits": ending(convolution(head=UNSIGNED_3), convolution("b", input_shape=(3, 5, 4))),
    "3 signed bits": ending(
        convolution(head=SIGNED_3), convolution("b", input_shape=(3, 5, 4), padding=(1, 1, 1, 1))
    ),
    "-8 in 4 bits": ending(convolution(head=LOWEST_4), convolution("b", input_shape=(3, 5, 4))),
    "residual of the layer before": ending(
        convolution(),
        convolution("b", input_shape=(3, 5, 4), padding=(2, 0, 0, 1), residual="conv"),
    ),
    "residual of a pooled layer, chained": ending(
        convolution(pool=Pool("max", (2, 2), (1, 1))),
        convolution("b", input_shape=(2, 4, 4), kernel=(1, 1), relu=True, residual="conv"),
        convolution("c", input_shape=(2, 4, 4), kernel=(1, 1), residual="b"),
    ),
    "residual behind relu and pooling": ending(
        convolution(kernel=(1, 1), pool=Pool("sum", (2, 2), (2, 2))),
        convolution("b", input_shape=(2, 3, 4), kernel=(1, 1), padding=(1, 2, 1, 1), relu=True,
                    pool=Pool("max", (2, 2), (2, 2)), residual="conv"),
    ),
    "residual before pooling by or": ending(
        convolution(pool=Pool("or", (1, 1), (1, 1))),
        convolution("b", input_shape=(3, 5, 4), kernel=(1, 1), pool=Pool("or", (2, 2), (1, 1)),
                    residual="conv"),
    ),
    "residual of a dense layer in a convolution, and back": ending(
        Dense("dense", bits(1, 4, 33), 33, UNSIGNED_3),
        convolution("b", input_shape=(1, 1, 4), kernel=(1, 1), residual="dense"),
        Dense("c", bits(2, 4, 4), 4, SIGNED_3, residual="b", relu=True),
    ),
    "last layer over the whole map": Network(
        "case", (convolution(kernel=(5, 6), head=affine(4), relu=True),), 1, True, {}
    ),
    "last layer pooled over the whole map": Network(
        "case", (convolution(head=affine(4), pool=Pool("sum", (3, 5), (1, 1))),), 4, False, {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_corner_cases_equal_the_reference(name: str) -> None:
    assert_equals_reference(CASES[name], 3)


@settings(RANDOM, max_examples=60)
@given(recipe=recipes())
def test_random_networks_equal_the_reference(recipe: Recipe) -> None:
    assert_equals_reference(build(recipe), 1)


@pytest.mark.long
@settings(RANDOM, max_examples=1500)
@given(recipe=recipes(Limits(size=11, channels=20, layers=6)))
def test_many_random_networks_equal_the_reference(recipe: Recipe) -> None:
    assert_equals_reference(build(recipe))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300))
def test_networks_of_seeds_equal_the_reference(seed: int) -> None:
    assert_equals_reference(build(random_recipe(seed, Limits(size=11, channels=70, layers=5))))


def test_fully_connected_networks_equal_the_reference() -> None:
    assert_equals_reference(random_network([70, 9, 5, 3], input_bits=4, seed=1))


def test_a_convolution_by_hand() -> None:
    """Sums, ReLU, pooling, residual and threshold of numbers that fit on paper."""
    ones = pack(np.array([[1, 1]]))
    differences = pack(np.array([[1, 0]]))
    first = Conv("first", ones, (2, 3, 1), (1, 2), Threshold(np.array([3]), np.array([True])))
    head = MultiThreshold(np.array([[-1], [6]]), np.array([False]), 2, -1)
    second = Conv("second", differences, (2, 2, 1), (1, 2), head, padding=(0, 1, 0, 0), relu=True,
                  residual="first")  # fmt: skip
    last = Dense("last", pack(np.array([[1, 1, 0, 1]])), 4, Affine(np.array([2]), np.array([-1])))
    network = Network("by hand", (first, second, last), 3, False, {})
    traced = trace(network, np.array([[1, 0, 2, 3, 4, 5]], dtype=np.uint8))
    # Rows 1 0 2 and 3 4 5; the activation is +1 where the sum of two neighbours is below 3.
    assert traced[0].sums.tolist() == [[1, 2, 7, 9]]
    assert traced[0].bits is not None
    assert traced[0].bits.tolist() == [[1, 1, 0, 0]]
    # Differences of +1 +1 and -1 -1 behind a column of nothing: -1 0 and 1 0; ReLU: 0 0 and 1 0.
    assert traced[1].sums.tolist() == [[1, 2, 8, 9]]
    assert traced[1].bits is not None
    assert traced[1].bits.tolist() == [[0, 0, 1, 1]]
    assert traced[2].sums.tolist() == [[0]]
    assert forward(network, np.array([[1, 0, 2, 3, 4, 5]], dtype=np.uint8)).tolist() == [[-1]]


def test_forward_in_blocks_of_unfolded_images(monkeypatch: pytest.MonkeyPatch) -> None:
    network = CASES["residual of the layer before"]
    x = images_of(network, 9)
    whole = forward(network, x)
    monkeypatch.setattr(fast, "_BLOCK_BYTES", 2 * 3 * 5 * 24)  # two images
    assert np.array_equal(forward(network, x), whole)


def test_no_images() -> None:
    for network in CASES.values():
        x = np.zeros((0, network.inputs), dtype=np.uint8)
        assert [len(layer.sums) for layer in trace(network, x)] == [0] * len(network.layers)


FEATURES = ("asymmetric", "stride", "1x1", "or", "max", "sum", "overlapping", "relu", "residual", "planes",
            "unsigned", "signed", "dense after convolution", "convolution at the end",
            "padding of 0", "padding of 1", "padding of -1", "8 bits")  # fmt: skip


def features(network: Network) -> set[str]:
    """Return what a network has of `FEATURES`."""
    found = set()
    for index, layer in enumerate(network.layers):
        reads = network.format_into(index)
        has = {
            "relu": layer.relu,
            "residual": layer.residual is not None,
            "planes": len(layer.weight_shifts) > 1,
            "unsigned": index > 0 and reads.kind == "unsigned",
            "signed": reads.kind == "signed",
            "8 bits": reads.bits == 8,
        }
        if isinstance(layer, Conv):
            top, left, bottom, right = layer.padding
            has |= {
                "1x1": layer.kernel == (1, 1),
                "stride": layer.stride != (1, 1),
                "asymmetric": (top, left) != (bottom, right),
                f"padding of {layer.pad_value}": any(layer.padding),
                "convolution at the end": index == len(network.layers) - 1,
            }
            if layer.pool is not None:
                has[layer.pool.kind] = True
                has["overlapping"] = any(
                    size > stride and pixels > 1
                    for size, stride, pixels in zip(
                        layer.pool.size, layer.pool.stride, layer.output_shape, strict=False
                    )
                )
        found |= {name for name, there in has.items() if there}
    if any(isinstance(one, Conv) and isinstance(other, Dense) for one, other in pairwise(network.layers)):
        found.add("dense after convolution")
    return found


def test_random_networks_have_everything() -> None:
    counts = Counter[str]()
    for seed in range(200):
        counts.update(features(build(random_recipe(seed))))
    assert set(counts) == set(FEATURES)
    assert min(counts.values()) >= 8, counts


@pytest.mark.parametrize(
    ("limits", "missing"),
    [
        (Limits(pads=()), {"padding of 0", "padding of 1", "padding of -1", "asymmetric"}),
        (Limits(pads=(-1,)), {"padding of 0", "padding of 1"}),
        (Limits(pools=False), {"or", "max", "sum", "overlapping"}),
        (Limits(integer_pools=False), {"max", "sum"}),
        (Limits(relu=False), {"relu"}),
        (Limits(residuals=False), {"residual"}),
        (Limits(activation_bits=1), {"unsigned", "signed"}),
        (Limits(weight_planes=1), {"planes"}),
        (Limits(input_bits=7), {"8 bits"}),
        (Limits(stride=1), {"stride"}),
    ],
)
def test_random_networks_keep_within_limits(limits: Limits, missing: set[str]) -> None:
    found: set[str] = set()
    for seed in range(150):
        found |= features(build(random_recipe(seed, limits)))
    assert found == set(FEATURES) - missing


def test_sums_of_random_networks_fit_accumulators() -> None:
    limits = Limits(accumulator_bits=18)
    reached = 0
    for seed in range(150):
        network = build(random_recipe(seed, limits))
        reaches: dict[str | None, int] = {None: 0}
        for index, layer in enumerate(network.layers):
            sums = largest_sum(layer, network.format_into(index).largest)
            reaches[layer.name] = sums + reaches[layer.residual]
        reached = max(reached, *reaches.values())
    assert 2**16 < reached < 2**17


def test_random_networks_without_hidden_dense_layers() -> None:
    for seed in range(100):
        hidden = build(random_recipe(seed, Limits(dense=False))).layers[:-1]
        assert all(isinstance(layer, Conv) for layer in hidden)


def test_activations_of_random_networks_are_mixed() -> None:
    shares = []
    for seed in range(100):
        network = build(random_recipe(seed))
        for layer, traced in zip(network.layers, trace(network, images_of(network, 20)), strict=True):
            if traced.bits is not None:
                neurons = traced.bits.reshape(-1, layer.neurons)
                shares.append(float(np.mean(neurons.min(axis=0) < neurons.max(axis=0))))
    assert np.mean(shares) > 0.8


def test_a_seed_gives_one_network() -> None:
    assert build(random_recipe(5)) == build(random_recipe(5, EVERYTHING))
    assert random_recipe(5) != random_recipe(6)
    assert build(random_recipe(5)) != build(replace(random_recipe(5), seed=6))
