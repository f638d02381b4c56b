"""What layers, heads and pooling must be, and what they compute of a few numbers."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spinbnn.golden.encoding import pack
from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import (
    Affine,
    Conv,
    Dense,
    MultiThreshold,
    Pool,
    Threshold,
    integer_shape,
    largest_sum,
)
from spinbnn.golden.network import LARGEST_SUM, Format, Network

BIT = Threshold(np.zeros(4, dtype=np.int32), np.zeros(4, dtype=np.bool_))
NO_FLIPS = np.zeros(4, dtype=np.bool_)
LOGITS = Affine(np.ones(2, dtype=np.int32), np.zeros(2, dtype=np.int32))


def ones(*shape: int) -> Any:
    return pack(np.ones(shape, dtype=np.uint8))


def thresholds(*values: int, bits: int = 2, low: int = 0) -> MultiThreshold:
    return MultiThreshold(np.repeat(np.array(values)[:, np.newaxis], 4, axis=1), NO_FLIPS, bits, low)


def conv(**changes: Any) -> Conv:
    fields = {"name": "conv", "weights": ones(4, 18), "input_shape": (5, 7, 3), "kernel": (2, 3), "head": BIT}
    return Conv(**{**fields, **changes})


def test_multi_threshold_counts_thresholds() -> None:
    values = np.array([[-2, 0], [-2, 0], [3, 0]])
    flip = np.array([False, True])
    sums = np.array([[-3, -1], [-2, 0], [2, 0], [3, 1]], dtype=np.int32)
    unsigned = MultiThreshold(values, flip, 2, 0)
    assert unsigned.activations(sums).tolist() == [[0, 3], [2, 0], [2, 0], [3, 0]]
    signed = MultiThreshold(values, flip, 3, -2)
    assert signed.activations(sums).tolist() == [[-2, 1], [0, -2], [0, -2], [1, -2]]
    assert signed.codes(sums).tolist() == [[6, 1], [0, 6], [0, 6], [1, 6]]
    assert signed.codes(sums).dtype == np.uint8
    assert len(signed) == 2


@pytest.mark.parametrize(
    ("bits", "low", "most"), [(1, 0, 1), (2, 0, 3), (4, 0, 15), (2, -2, 3), (3, -1, 4), (4, -8, 15)]
)
def test_as_many_thresholds_as_bits_hold(bits: int, low: int, most: int) -> None:
    assert len(thresholds(*range(most), bits=bits, low=low).values) == most
    text = f"give at most {most} thresholds"
    with pytest.raises(NetworkError, match=text):
        thresholds(*range(most + 1), bits=bits, low=low)


def test_shapes_of_a_convolution() -> None:
    layer = conv(stride=(2, 1), padding=(1, 0, 2, 3))
    assert (layer.neurons, layer.inputs, layer.sum_length) == (4, 105, 18)
    assert layer.sum_shape == (4, 8)
    assert (layer.output_shape, layer.outputs) == ((4, 8, 4), 128)
    pooled = replace(layer, pool=Pool("max", (2, 3), (2, 2)))
    assert (pooled.output_shape, pooled.outputs, pooled.sum_shape) == ((2, 3, 4), 24, (4, 8))
    assert integer_shape(pooled) == (2, 3, 4)
    assert integer_shape(replace(pooled, pool=Pool("or", (2, 3), (2, 2)))) == (4, 8, 4)
    dense = Dense("dense", ones(4, 9), 9, BIT)
    assert (dense.output_shape, dense.outputs, dense.sum_length) == ((1, 1, 4), 4, 9)


def test_largest_sums() -> None:
    assert largest_sum(conv(), 255) == 18 * 255
    assert largest_sum(conv(pool=Pool("max", (2, 2), (1, 1))), 1) == 18
    assert largest_sum(conv(pool=Pool("or", (2, 2), (1, 1))), 1) == 18
    planes = conv(pool=Pool("sum", (2, 3), (1, 1)), weights=ones(3, 4, 18), weight_shifts=(0, 0, 2))
    assert largest_sum(planes, 3) == 18 * 6 * 6 * 3
    assert largest_sum(Dense("dense", ones(2, 4, 9), 9, BIT, (1, 3)), 1) == 90


def test_layers_are_equal_only_if_all_is() -> None:
    layer, flat = conv(), Dense("conv", ones(4, 18), 18, BIT)
    assert conv() == layer
    assert layer != flat
    square = {"input_shape": (7, 5, 3), "kernel": (3, 2), "stride": (1, 2), "padding": (0, 1, 0, 0)}
    others: dict[str, Any] = {
        **square, "name": "b", "weights": layer.weights ^ np.uint64(1), "head": thresholds(0), "pad_value": 1,
        "pool": Pool("max", (1, 1), (1, 1)), "weight_shifts": (1,), "relu": True, "residual": "a",
        "odd_plane_weights": layer.weights,
    }  # fmt: skip
    for name, value in others.items():
        assert replace(layer, **{name: value}) != layer, name
    for name in ("name", "weights", "head", "weight_shifts", "relu", "residual"):
        assert replace(flat, **{name: others[name]}) != flat, name
    assert Dense("conv", ones(4, 18), 18, BIT) == flat
    head = thresholds(0, 1)
    assert head == thresholds(0, 1)
    others_of_head = (
        thresholds(0, 2), thresholds(0, 1, bits=3), thresholds(0, 1, low=-1), BIT,
        MultiThreshold(head.values, ~NO_FLIPS, 2, 0),
    )  # fmt: skip
    assert all(head != other for other in others_of_head)


def test_thresholds_of_several_bits_are_copied_and_read_only() -> None:
    values = np.array([[1], [2]])
    head = MultiThreshold(values, np.array([False]), 2, 0)
    values[0] = 7
    assert head.values.tolist() == [[1], [2]]
    for array in (head.values, head.flip, conv().weights):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: thresholds(0, bits=0), "bits of an activation must be an integer from 1 to 4, not 0"),
        (lambda: thresholds(0, bits=5), "bits of an activation must be an integer from 1 to 4, not 5"),
        (lambda: thresholds(0, bits=True), "bits of an activation must be an integer from 1 to 4, not True"),
        (lambda: thresholds(0, low=1), "the smallest activation must be an integer from -2 to 0, not 1"),
        (lambda: thresholds(0, low=-3), "the smallest activation must be an integer from -2 to 0, not -3"),
        (
            lambda: thresholds(0, bits=1, low=-1),
            "the smallest activation must be an integer from 0 to 0, not -1",
        ),
        (
            lambda: MultiThreshold(np.zeros(4, dtype=int), NO_FLIPS, 2, 0),
            "thresholds must be integers of shape (T, N), not int64 of shape (4,)",
        ),
        (
            lambda: MultiThreshold(np.zeros((0, 4), dtype=int), NO_FLIPS, 2, 0),
            "thresholds must be integers of shape (T, N), not int64 of shape (0, 4)",
        ),
        (
            lambda: MultiThreshold(np.zeros((1, 4)), NO_FLIPS, 2, 0),
            "thresholds must be integers of shape (T, N), not float64 of shape (1, 4)",
        ),
        (
            lambda: thresholds(2**31),
            "threshold values must be -2147483648 to 2147483647, not 2147483648..2147483648",
        ),
        (lambda: thresholds(1, 0), "thresholds of a neuron must ascend, not descend"),
        (lambda: thresholds(2**31 - 1, -(2**31)), "thresholds of a neuron must ascend, not descend"),
        (
            lambda: thresholds(0, 1, 2, 3),
            "activations must be at most 3 in 2 bits, not 4: give at most 3 thresholds",
        ),
        (
            lambda: thresholds(0, 1, 2, low=-1),
            "activations must be at most 1 in 2 bits, not 2: give at most 2 thresholds",
        ),
        (
            lambda: MultiThreshold(np.zeros((1, 4), dtype=int), NO_FLIPS[:3], 2, 0),
            "threshold flip must be bool of shape (4,), not bool of shape (3,)",
        ),
        (lambda: Pool("mean", (1, 1), (1, 1)), "pooling must be max, sum or or, not 'mean'"),
        (lambda: Pool("max", (2,), (1, 1)), "size of pooling must be 2 integers, not (2,)"),
        (
            lambda: Pool("max", (2, 2), (1, 0)),
            "stride of pooling must be an integer from 1 to 65535, not 0",
        ),
        (
            lambda: conv(input_shape=(5, 7)),
            "layer 'conv': input_shape must be 3 integers, not (5, 7)",
        ),
        (lambda: conv(kernel=[2, 3]), "layer 'conv': kernel must be 2 integers, not [2, 3]"),
        (lambda: conv(kernel=(2, 256)), "layer 'conv': kernel must be an integer from 1 to 255, not 256"),
        (lambda: conv(stride=(0, 1)), "layer 'conv': stride must be an integer from 1 to 255, not 0"),
        (lambda: conv(padding=(1, 1)), "layer 'conv': padding must be 4 integers, not (1, 1)"),
        (
            lambda: conv(padding=(1, 1, -1, 0)),
            "layer 'conv': padding must be an integer from 0 to 255, not -1",
        ),
        (lambda: conv(pad_value=2), "layer 'conv': pad_value must be an integer from -1 to 1, not 2"),
        (lambda: conv(pool="max"), "layer 'conv': pool must be a Pool or None, not str"),
        (
            lambda: conv(kernel=(3, 3), input_shape=(1, 7, 3), padding=(0, 0, 1, 0)),
            "layer 'conv': kernel must fit in the padded map of 2 x 7, not be 3 x 3",
        ),
        (
            lambda: conv(pool=Pool("max", (5, 1), (1, 1))),
            "layer 'conv': pooling must fit in the map of 4 x 5, not be 5 x 1",
        ),
        (
            lambda: conv(weight_shifts=()),
            "layer 'conv': weight_shifts must be 1 to 9 integers, not ()",
        ),
        (
            lambda: conv(weight_shifts=[0]),
            "layer 'conv': weight_shifts must be 1 to 9 integers, not [0]",
        ),
        (
            lambda: conv(weight_shifts=(8,)),
            "layer 'conv': a weight shift must be an integer from 0 to 7, not 8",
        ),
        (
            lambda: conv(weight_shifts=(1, 0)),
            "layer 'conv': weight_shifts must ascend, not be (1, 0)",
        ),
        (
            lambda: conv(weight_shifts=(0, 1)),
            "layer 'conv': weights must be uint64 of shape (2, N, 1) for 18 inputs, "
            "not uint64 of shape (4, 1)",
        ),
        (
            lambda: conv(weights=ones(1, 4, 18)),
            "layer 'conv': weights must be uint64 of shape (N, 1) for 18 inputs, "
            "not uint64 of shape (1, 4, 1)",
        ),
        (
            lambda: conv(weights=ones(4, 19)),
            "layer 'conv': weights must be 0 beyond input 17, not 1",
        ),
        (
            lambda: Dense("a", np.array([[[1]] * 4, [[3]] * 4], np.uint64), 1, BIT, (0, 1)),
            "layer 'a': weights must be 0 beyond input 0, not 1",
        ),
        (lambda: conv(head=LOGITS), "layer 'conv': head must have 4 elements, not 2"),
        (lambda: conv(relu=1), "layer 'conv': relu must be true or false, not 1"),
        (
            lambda: conv(residual=2),
            "layer 'conv': residual must be the name of a layer or None, not 2",
        ),
    ],
)
def test_what_layers_must_be(build: Callable[[], Any], text: str) -> None:
    with pytest.raises(NetworkError, match=f"^{re.escape(text)}$"):
        build()


def ending(*layers: Any, bits: int = 1, signed: bool = True) -> Network:
    inputs = layers[-1].outputs
    return Network("n", (*layers, Dense("last", ones(2, inputs), inputs, LOGITS)), bits, signed, {})


def last(**changes: Any) -> Network:
    fields: dict[str, Any] = {"name": "last", "weights": ones(2, 18), "input_shape": (2, 3, 3)}
    fields |= {"kernel": (2, 3), "head": LOGITS}
    return Network("n", (Conv(**{**fields, **changes}),), 1, True, {})


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (
            lambda: ending(conv(), conv(name="b", weights=ones(4, 24), input_shape=(5, 4, 4))),
            "layer 'b': input_shape must be (4, 5, 4), the output of 'conv', not (5, 4, 4)",
        ),
        (
            lambda: ending(conv(), conv(name="b", weights=ones(4, 24), input_shape=(4, 4, 4))),
            "layer 'b': inputs must be the 80 outputs of 'conv', not 64",
        ),
        (
            lambda: ending(Dense("a", ones(4, 9), 9, BIT), conv(input_shape=(2, 2, 1), weights=ones(4, 6),
                                                               padding=(0, 1, 0, 0))),
            "layer 'conv': input_shape must be (1, 1, 4), the output of 'a', not (2, 2, 1)",
        ),
        (
            lambda: ending(conv(pad_value=1), bits=2, signed=False),
            "layer 'conv': pad_value must be 0 for inputs that are not +1 and -1, not 1",
        ),
        (
            lambda: ending(conv(head=thresholds(0, bits=1)),
                           conv(name="b", weights=ones(4, 24), input_shape=(4, 5, 4), pad_value=-1)),
            "layer 'b': pad_value must be 0 for inputs that are not +1 and -1, not -1",
        ),
        (
            lambda: ending(conv(residual="conv")),
            "layer 'conv': residual must be the name of an earlier layer, not 'conv'",
        ),
        (
            lambda: ending(conv(residual="last")),
            "layer 'conv': residual must be the name of an earlier layer, not 'last'",
        ),
        (
            lambda: ending(conv(), conv(name="b", weights=ones(4, 24), input_shape=(4, 5, 4),
                                        residual="conv")),
            "layer 'b': residual must have the shape (3, 3, 4), not (4, 5, 4) of 'conv'",
        ),
        (
            lambda: last(stride=(1, 1), padding=(1, 0, 0, 0)),
            "layer 'last': the last layer must have one output pixel, not 2 x 1",
        ),
        (
            lambda: last(pool=Pool("or", (1, 1), (1, 1))),
            "layer 'last': the last layer has no activations to pool by or",
        ),
        (
            lambda: last(head=thresholds(0), weights=ones(4, 18)),
            "layer 'last': head must be Affine in layer 0 of 1, not MultiThreshold",
        ),
        (
            lambda: ending(conv(input_shape=(2000, 2000, 200), kernel=(255, 255), weights=ones(4, 13005000),
                                stride=(255, 255), weight_shifts=(7,))),
            "layer 'conv': sums must stay within 1073741823, not reach 1664640000",
        ),
    ],
)  # fmt: skip
def test_what_networks_of_convolutions_must_be(build: Callable[[], Any], text: str) -> None:
    with pytest.raises(NetworkError, match=f"^{re.escape(text)}$"):
        build()


def chain(*places: int, scale: int = 1) -> Network:
    """Return a dense layer of sums up to 255 * 4210752, and layers of 2 inputs that add the one before."""
    inputs, head = 4210752, Threshold(np.zeros(2, dtype=int), np.zeros(2, dtype=np.bool_))
    layers = [Dense("d0", np.zeros((2, inputs // 64), dtype=np.uint64), inputs, head)]
    for index, shift in enumerate(places):
        layers.append(Dense(f"d{index + 1}", ones(2, 2), 2, head, (shift,), residual=f"d{index}"))
    logits = Affine(np.array([scale, 0]), np.array([0, 0]))
    return Network("n", (*layers[:-1], replace(layers[-1], head=logits)), 8, False, {})


def test_residuals_count_towards_the_largest_sum() -> None:
    assert LARGEST_SUM - 63 == 255 * 4210752
    assert len(chain(4, 3, 2).layers) == 4
    text = f"layer 'd2': sums must stay within {LARGEST_SUM}, not reach {LARGEST_SUM + 1}"
    with pytest.raises(NetworkError, match=f"^{text}$"):
        chain(4, 4, 0)


def test_residuals_count_towards_logits() -> None:
    assert len(chain(4, 3, scale=2).layers) == 3
    text = f"layer 'd2': scale * sum + bias must stay within {2**31 - 1}, not reach {3 * (LARGEST_SUM - 15)}"
    with pytest.raises(NetworkError, match=f"^{re.escape(text)}$"):
        chain(4, 3, scale=3)


def test_formats_between_layers() -> None:
    heads = (BIT, thresholds(0, bits=1), thresholds(0, bits=4), thresholds(0, bits=3, low=-1))
    layers = [Dense("0", ones(4, 9), 9, heads[0])]
    layers += [Dense(str(index), ones(4, 4), 4, head) for index, head in enumerate(heads[1:], 1)]
    network = ending(*layers, bits=5, signed=False)
    assert [network.format_into(index) for index in range(5)] == [
        Format(5, "unsigned"),
        Format(1, "bipolar"),
        Format(1, "unsigned"),
        Format(4, "unsigned"),
        Format(3, "signed"),
    ]
    assert [network.format_into(index).largest for index in range(5)] == [31, 1, 1, 15, 4]
    assert ending(*layers).format_into(0) == Format(1, "bipolar")
    assert network.input_shape == (1, 1, 9)
    assert ending(conv()).input_shape == (5, 7, 3)
    assert ending(conv()).inputs == 105
