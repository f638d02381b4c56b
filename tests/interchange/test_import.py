"""Every form of graph that is accepted, against onnxruntime."""

from decimal import Decimal, getcontext
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from spinbnn.golden.layers import Affine, Conv, Dense, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import trace
from spinbnn.sim.interchange.importer import import_network
from spinbnn.sim.interchange.inputs import INPUT_FORMS, InputForm, network_pixels

from .graphs import Builder, assert_equal_to_runtime, imported

BIPOLAR = INPUT_FORMS["bipolar"]
RAW = INPUT_FORMS["raw"]


def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def latent(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Return weights as training leaves them, an exact 0 among them."""
    weights = random.uniform(-1, 1, shape).astype(np.float32)
    weights.ravel()[0] = 0
    return weights


def ended(graph: Builder, value: str, inputs: int, random: np.random.Generator, classes: int = 6):
    """Return the model with a last layer behind a value."""
    graph.add("MatMul", value, graph.bipolar(latent(random, inputs, classes)))
    return graph.model()


def mlp(
    random: np.random.Generator, graph: Builder | None = None, x: str = "x", hidden: int = 24
) -> tuple[Builder, str]:
    graph = graph or Builder((40,), form=BIPOLAR)
    sums = graph.add("MatMul", x, graph.bipolar(latent(random, 40, hidden)))
    return graph, sums


# Domains, layouts and scales of weights


@pytest.mark.parametrize("domain", ["onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general"])
def test_quantisers_of_all_domains(domain):
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    sums = graph.add("MatMul", "x", graph.bipolar(latent(random, 40, 24), domain=domain))
    act = graph.quant(graph.batch_norm(sums, random, 24), 2, 0.5, domain=domain)
    result = assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)
    assert isinstance(result.network.layers[0].head, MultiThreshold)


@pytest.mark.parametrize("form", ["transposed", "gemm 1", "gemm 0", "gemm scaled", "matmul"])
def test_layouts_of_matrix_products(form):
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    if form == "transposed":
        weights = graph.bipolar(latent(random, 24, 40))
        sums = graph.add("MatMul", "x", graph.add("Transpose", weights, perm=[1, 0]))
    elif form == "matmul":
        sums = graph.add("MatMul", "x", graph.bipolar(latent(random, 40, 24)))
    else:
        transposed = form == "gemm 1"
        weights = graph.bipolar(latent(random, 24, 40) if transposed else latent(random, 40, 24))
        bias = random.normal(0, 3, 24).astype(np.float32)
        factors = {"alpha": -0.5, "beta": 2.0} if form == "gemm scaled" else {}
        sums = graph.add("Gemm", "x", weights, bias, transB=int(transposed), **factors)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)


@pytest.mark.parametrize("shape", [(), (24, 1)], ids=["per tensor", "per channel"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_weight_scales_and_bits(shape, bits):
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    scale = np.array(random.uniform(0.01, 0.3, shape), np.float32)
    values = latent(random, 24, 40) * np.float32(0.3 * 2 ** (bits - 1))
    weights = graph.bipolar(values, scale) if bits == 1 else graph.quant(values, bits, scale)
    sums = graph.add("Gemm", "x", weights, transB=1)
    act = graph.bipolar(graph.batch_norm(sums, random, 24), 0.7)
    result = assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)
    planes = {1: 1, 2: 3, 4: 5, 8: 9}[bits]
    assert len(result.network.layers[0].weight_shifts) == planes


def test_weights_that_are_constant_already():
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    signs = random.choice([-0.125, 0.125], (40, 24)).astype(np.float32)
    sums = graph.add("MatMul", "x", signs)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    ternary = random.choice([-0.3, 0.0, 0.3], (24, 6)).astype(np.float32)
    graph.add("MatMul", act, ternary)
    result = assert_equal_to_runtime(graph.model(), form=BIPOLAR)
    assert [layer.weight_shifts for layer in result.network.layers] == [(0,), (0, 0)]


def test_a_factor_that_all_weights_share():
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    weights = graph.quant(random.choice([-2.0, 2.0], (40, 24)).astype(np.float32), 4, 0.5)
    sums = graph.add("Add", graph.add("MatMul", "x", weights), 5.0)
    act = graph.bipolar(sums)
    result = assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)
    assert result.network.layers[0].weight_shifts == (0,)


def test_weights_behind_sign_and_a_factor():
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    weights = graph.add("Mul", graph.add("Sign", latent(random, 40, 24)), np.float32(0.2))
    sums = graph.add("MatMul", "x", weights)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    result = assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)
    assert result.network.layers[0].weight_shifts == (0, 0)  # the sign of a weight of 0 is 0


# What lies between sums and quantiser


def unfolded_norm(graph: Builder, value: str, random: np.random.Generator) -> str:
    mean, bias = (random.normal(0, 2, 24).astype(np.float32) for _ in range(2))
    gamma = random.normal(0, 1, 24).astype(np.float32)
    variance = random.uniform(1, 9, 24).astype(np.float32)
    root = graph.add("Sqrt", graph.add("Add", variance, np.float32(1e-4)))
    value = graph.add("Div", graph.add("Sub", value, mean), root)
    return graph.add("Add", graph.add("Mul", gamma, value), bias)


CHAINS = {
    "unfolded batch norm": unfolded_norm,
    "batch norm, Mul, Add": lambda g, v, r: g.add(
        "Add", g.add("Mul", g.batch_norm(v, r, 24), r.normal(0, 1, 24).astype(np.float32)), 0.25
    ),
    "constant first": lambda g, v, r: g.add("Sub", r.normal(0, 2, 24).astype(np.float32), g.add("Neg", v)),
    "relu": lambda g, v, r: g.batch_norm(g.add("Relu", g.add("Add", v, 0.5)), r, 24),
    "relu of the negative": lambda g, v, r: g.batch_norm(g.add("Relu", g.add("Mul", v, -0.5)), r, 24),
    "clip": lambda g, v, r: g.add("Clip", g.batch_norm(v, r, 24), np.float32(-1), np.float32(1)),
    "clip above": lambda g, v, r: g.batch_norm(g.add("Clip", v, "", np.float32(2)), r, 24),
    "identity": lambda g, v, r: g.add("Dropout", g.add("Identity", g.add("Add", v, 0.5))),
    "no batch norm": lambda g, v, r: v,
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("quantiser", ["bipolar", "unsigned", "signed"])
def test_chains_before_a_quantiser(name, quantiser):
    random = rng()
    graph, sums = mlp(random)
    value = CHAINS[name](graph, sums, random)
    if quantiser == "bipolar":
        act = graph.bipolar(value, 0.5)
    else:
        act = graph.quant(value, 2, 0.8, signed=int(quantiser == "signed"))
    assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)


def test_a_batch_norm_that_ignores_its_input():
    random = rng()
    graph, sums = mlp(random)
    gamma = np.zeros(24, np.float32)
    gamma[5:] = 1
    norm = graph.add("BatchNormalization", sums, gamma, np.float32(0.5) - gamma, 0 * gamma, 1 + 0 * gamma)
    result = assert_equal_to_runtime(ended(graph, graph.bipolar(norm), 24, random), form=BIPOLAR)
    head = result.network.layers[0].head
    assert isinstance(head, Threshold)
    assert not head.flip.any()


QUANTISERS = {
    "sign of odd sums": lambda g, v: g.add("Sign", v),
    "sign never 0": lambda g, v: g.add("Sign", g.add("Add", g.add("Sign", g.add("Mul", v, 2.0)), 0.1)),
    "where >=": lambda g, v: g.add("Where", g.add("GreaterOrEqual", v, 3.0), 1.0, -1.0),
    "where >": lambda g, v: g.add("Where", g.add("Greater", v, 3.0), 1.0, -1.0),
    "where <": lambda g, v: g.add("Where", g.add("Less", v, 3.0), 1.0, -1.0),
    "where <=": lambda g, v: g.add("Where", g.add("LessOrEqual", v, 3.0), 0.5, -0.5),
    "quant 1 unsigned": lambda g, v: g.quant(v, 1, 2.0, signed=0),
    "quant 4 unsigned": lambda g, v: g.quant(v, 4, 0.7, signed=0),
    "quant 4 signed": lambda g, v: g.quant(v, 4, 0.7),
    "quant 4 narrow": lambda g, v: g.quant(v, 4, 2.0, narrow=1),
    "quant ties to even": lambda g, v: g.quant(v, 3, 2.0),
    "quant ceil": lambda g, v: g.quant(v, 3, 2.0, rounding_mode="CEIL"),
    "quant floor": lambda g, v: g.quant(v, 3, 2.0, rounding_mode="FLOOR"),
    "quant with zero point": lambda g, v: g.quant(v, 3, 2.0, zero=3.0, signed=0),
    "quant behind relu": lambda g, v: g.quant(g.add("Relu", v), 3, 2.0),
    "relu behind quant": lambda g, v: g.add("Relu", g.quant(v, 3, 2.0)),
    "quant twice": lambda g, v: g.quant(g.quant(v, 4, 1.0), 2, 3.0),
    "scaled behind quant": lambda g, v: g.add("Mul", g.add("Add", g.quant(v, 3, 2.0), 1.0), -0.5),
    "multi-threshold": lambda g, v: g.add(
        "MultiThreshold", v, np.array([[-3, 1, 1, 5]], np.float32), domain="finn.custom_op.general"
    ),
    "multi-threshold per channel": lambda g, v: g.add(
        "MultiThreshold",
        v,
        np.random.default_rng(1).integers(-9, 9, (24, 7)).astype(np.float32),
        domain="qonnx.custom_op.general",
        out_bias=-4.0,
    ),
    "multi-threshold bipolar": lambda g, v: g.add(
        "MultiThreshold",
        v,
        np.ones((24, 1), np.float32),
        domain="onnx.brevitas",
        out_scale=2.0,
        out_bias=-1.0,
    ),
}


@pytest.mark.parametrize("name", QUANTISERS)
def test_quantisers_of_activations(name):
    random, graph = rng(), Builder((41,), form=BIPOLAR)
    sums = graph.add("MatMul", "x", graph.bipolar(latent(random, 41, 24)))
    act = QUANTISERS[name](graph, sums)
    assert_equal_to_runtime(ended(graph, act, 24, random), form=BIPOLAR)


def test_sign_of_zero_may_be_taken_as_plus():
    graph, sums = mlp(rng())
    model = ended(graph, graph.add("Sign", sums), 24, rng())
    result = imported(model, input_form=BIPOLAR, sign_of_zero="plus")
    head = result.network.layers[0].head
    assert isinstance(head, Threshold)
    assert "Sign of 0 is taken as +1, where ONNX has 0" in result.notes
    # The largest sum that is below 0 is -2: thresholds of -1 and 0 decide alike.
    assert set(head.values.tolist()) <= {-1, 0}


# The decision is exact for every integer


def test_decisions_are_those_of_exact_arithmetic_for_every_reachable_sum():
    """All weights +1: image k of k ones gives the sum 2k - K in every neuron."""
    getcontext().prec = 60
    K, N, random = 31, 200, rng()
    gamma = random.choice([-2.0, -0.5, 0.5, 1.0, 3.0], N).astype(np.float32)
    mean = random.integers(-31, 31, N).astype(np.float32)
    beta = np.where(np.arange(N) % 2, random.normal(0, 2, N), 0).astype(
        np.float32
    )  # half of them tie at the mean
    variance = random.uniform(0.1, 40, N).astype(np.float32)
    graph = Builder((K,))
    sums = graph.add("MatMul", "x", np.ones((K, N), np.float32))
    norm = graph.add("BatchNormalization", sums, gamma, beta, mean, variance, epsilon=1e-3)
    network = imported(ended(graph, graph.bipolar(norm), N, random), input_form=BIPOLAR).network
    images = np.tril(np.ones((K + 1, K), np.uint8), -1)
    traced = trace(network, images)[0]
    assert traced.bits is not None
    epsilon = Decimal(float(np.float32(1e-3)))
    ties = 0
    for image in range(K + 1):
        total = 2 * image - K
        for n in range(N):
            root = (Decimal(float(variance[n])) + epsilon).sqrt()
            value = Decimal(float(gamma[n])) * (total - Decimal(float(mean[n]))) / root + Decimal(
                float(beta[n])
            )
            ties += value == 0
            assert traced.bits[image, n] == (value >= 0), (total, n)
    assert ties > 20


def test_ties_of_quant_round_to_even():
    graph = Builder((8,))
    sums = graph.add("MatMul", "x", np.ones((8, 1), np.float32))
    model = ended(graph, graph.quant(sums, 4, 4.0), 1, rng(), 1)
    network = imported(model, input_form=BIPOLAR).network
    images = np.tril(np.ones((9, 8), np.uint8), -1)
    codes = trace(network, images)[0].bits
    assert codes is not None
    signed = (codes[:, 0].astype(int) + 8) % 16 - 8
    expected = np.clip(np.round(np.arange(-8, 9, 2) / 4), -8, 7)
    np.testing.assert_array_equal(signed, expected)


# Inputs


@pytest.mark.parametrize(
    "form", [*INPUT_FORMS.values(), InputForm(Fraction("0.02"), Fraction("-0.7"))], ids=[*INPUT_FORMS, "own"]
)
def test_forms_of_inputs_without_a_quantiser(form):
    random, graph = rng(), Builder((40,), form=form)
    scaled = graph.add("Sub", graph.add("Mul", "x", 2.0), 1.0)
    sums = graph.add("MatMul", scaled, graph.bipolar(latent(random, 40, 24)))
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    result = assert_equal_to_runtime(ended(graph, act, 24, random), form=form)
    assert (result.network.input_bits, result.network.input_signed) == (
        (1, True) if form.bipolar else (8, False)
    )


def test_bytes_as_inputs():
    random, graph = rng(), Builder((40,), element=TensorProto.UINT8)
    graph, sums = mlp(random, graph, graph.add("Cast", "x", to=TensorProto.FLOAT))
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    assert_equal_to_runtime(ended(graph, act, 24, random))


@pytest.mark.parametrize(
    ("quantise", "bits", "signed", "key"),
    [
        (lambda g, x: g.bipolar(g.add("Sub", g.add("Mul", x, 2.0), 1.0)), 1, True, "input_threshold"),
        (lambda g, x: g.bipolar(g.add("Sub", 0.3, x)), 1, True, "input_threshold"),
        (lambda g, x: g.quant(x, 1, 1.0, signed=0), 1, False, "input_threshold"),
        (lambda g, x: g.quant(g.add("Sub", g.add("Mul", x, 2.0), 1.0), 8, 1 / 128), 8, False, "input_table"),
        (lambda g, x: g.quant(x, 8, 1 / 255, signed=0), 8, False, None),
        (lambda g, x: g.quant(g.add("Sub", x, 0.5), 2, 0.3), 2, False, "input_table"),
        (lambda g, x: g.add("Sign", g.add("Sub", x, 0.5)), 1, True, "input_threshold"),
    ],
    ids=["bipolar", "descending", "unsigned 1", "CNV", "bytes", "signed 2", "sign"],
)
def test_quantisers_of_inputs(quantise, bits, signed, key):
    random, graph = rng(), Builder((40,))
    sums = graph.add("MatMul", quantise(graph, "x"), graph.bipolar(latent(random, 40, 24)))
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    network = assert_equal_to_runtime(ended(graph, act, 24, random)).network
    assert (network.input_bits, network.input_signed) == (bits, signed)
    assert {"input_threshold", "input_table"} & set(network.metadata) == ({key} if key else set())


def test_the_threshold_of_pixels_lies_where_the_model_has_it():
    graph = Builder((4,))
    x = graph.bipolar(graph.add("Sub", "x", np.float32(0.5)))
    graph.add("MatMul", x, np.ones((4, 1), np.float32))
    network = imported(graph.model()).network
    assert network.metadata["input_threshold"] == 128
    pixels = np.array([[0, 127, 128, 255]], np.uint8)
    np.testing.assert_array_equal(network_pixels(network, pixels), [[0, 0, 1, 1]])


# Convolutions, pooling, layout


def cnn(random: np.random.Generator, size=(9, 8), **conv) -> tuple[Builder, str]:
    graph = Builder((3, *size))
    weights = graph.bipolar(latent(random, 8, 3, 3, 3), 0.25)
    return graph, graph.add("Conv", "x", weights, **conv)


def flat_end(graph: Builder, value: str, inputs: int, random: np.random.Generator):
    return ended(graph, graph.add("Flatten", value), inputs, random)


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({}, (7, 6)),
        ({"strides": [2, 3]}, (4, 2)),
        ({"pads": [1, 0, 2, 1]}, (10, 7)),
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (5, 4)),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (5, 4)),
        ({"auto_pad": "VALID", "kernel_shape": [3, 3]}, (7, 6)),
    ],
)
def test_convolutions_and_channel_major_flattening(attributes, shape):
    random = rng()
    graph, sums = cnn(random, **attributes)
    act = graph.bipolar(graph.batch_norm(sums, random, 8))
    result = assert_equal_to_runtime(flat_end(graph, act, 8 * shape[0] * shape[1], random))
    layer = result.network.layers[0]
    assert isinstance(layer, Conv)
    assert layer.output_shape == (*shape, 8)


@pytest.mark.parametrize(("channels", "neurons", "groups"), [(6, 8, 2), (5, 5, 5), (4, 12, 4)])
def test_groups_and_depthwise_convolutions(channels, neurons, groups):
    """Weights of 0 stand for the channels of the other groups, in two planes."""
    random, graph = rng(), Builder((channels, 9, 8))
    weights = graph.bipolar(latent(random, neurons, channels // groups, 3, 3))
    sums = graph.add("Conv", "x", weights, group=groups, pads=[1, 1, 0, 0])
    act = graph.bipolar(graph.batch_norm(sums, random, neurons))  # float32 sums of 0 may come out below
    result = assert_equal_to_runtime(flat_end(graph, act, neurons * 56, random))
    assert result.network.layers[0].weight_shifts == (0, 0)


def test_a_convolution_with_bias():
    random, graph = rng(), Builder((3, 9, 8))
    bias = random.normal(0, 1, 8).astype(np.float32)
    sums = graph.add("Conv", "x", graph.bipolar(latent(random, 8, 3, 3, 3)), bias)
    assert_equal_to_runtime(flat_end(graph, graph.bipolar(sums), 8 * 42, random))


@pytest.mark.parametrize("value", [0.0, 0.5, -0.5])
def test_padding_of_bipolar_maps(value):
    random = rng()
    graph, sums = cnn(random)
    act = graph.bipolar(graph.batch_norm(sums, random, 8), 0.5)
    padded = graph.add("Pad", act, np.array([0, 0, 1, 0, 0, 0, 1, 2]), np.float32(value))
    second = graph.add("Conv", padded, graph.bipolar(latent(random, 5, 8, 3, 3)))
    act = graph.bipolar(graph.batch_norm(second, random, 5))
    result = assert_equal_to_runtime(flat_end(graph, act, 5 * 7 * 6, random))
    layer = result.network.layers[1]
    assert isinstance(layer, Conv)
    assert (layer.padding, layer.pad_value) == ((1, 0, 1, 2), 2 * value)


def test_padding_of_maps_channels_last():
    random = rng()
    graph, sums = cnn(random)
    act = graph.add("Transpose", graph.bipolar(graph.batch_norm(sums, random, 8)), perm=[0, 2, 3, 1])
    padded = graph.add("Pad", act, np.array([0, 1, 0, 0, 0, 1, 2, 0]), np.float32(1))
    second = graph.add(
        "Conv", graph.add("Transpose", padded, perm=[0, 3, 1, 2]), graph.bipolar(latent(random, 5, 8, 3, 3))
    )
    act = graph.bipolar(graph.batch_norm(second, random, 5))
    result = assert_equal_to_runtime(flat_end(graph, act, 5 * 7 * 6, random))
    layer = result.network.layers[1]
    assert isinstance(layer, Conv)
    assert (layer.padding, layer.pad_value) == ((1, 0, 1, 2), 1)


POOLS = {
    "max behind the quantiser": (
        "or",
        lambda g, v, r: g.add(
            "MaxPool", g.bipolar(g.batch_norm(v, r, 8)), kernel_shape=[2, 2], strides=[2, 2]
        ),
    ),
    "max before batch norm": (
        "max",
        lambda g, v, r: g.bipolar(
            g.batch_norm(g.add("MaxPool", v, kernel_shape=[3, 2], strides=[1, 2]), r, 8)
        ),
    ),
    "max behind batch norm": (
        "or",
        lambda g, v, r: g.bipolar(
            g.add("MaxPool", g.batch_norm(v, r, 8), kernel_shape=[2, 2], strides=[2, 2])
        ),
    ),
    "max between batch norm and its opposite": (
        "max",
        lambda g, v, r: g.bipolar(
            g.add("Mul", g.add("MaxPool", g.batch_norm(v, r, 8), kernel_shape=[2, 2]), -1.0)
        ),
    ),
    "max of several bits": (
        "or",
        lambda g, v, r: g.add(
            "MaxPool", g.quant(g.batch_norm(v, r, 8), 3, 0.3), kernel_shape=[2, 2], strides=[2, 2]
        ),
    ),
    "global max": (
        "max",
        lambda g, v, r: g.bipolar(g.batch_norm(g.add("GlobalMaxPool", g.add("Sub", v, 2.0)), r, 8)),
    ),
    "average": (
        "sum",
        lambda g, v, r: g.bipolar(
            g.batch_norm(g.add("AveragePool", v, kernel_shape=[2, 3], strides=[2, 1]), r, 8)
        ),
    ),
    "average of batch norm": (
        "sum",
        lambda g, v, r: g.bipolar(
            g.add("AveragePool", g.batch_norm(v, r, 8), kernel_shape=[2, 2], strides=[1, 1])
        ),
    ),
    "average of relu": (
        "sum",
        lambda g, v, r: g.bipolar(
            g.batch_norm(g.add("AveragePool", g.add("Relu", v), kernel_shape=[2, 2], strides=[2, 2]), r, 8)
        ),
    ),
    "average of relu of the opposite": (
        "sum",
        lambda g, v, r: g.bipolar(
            g.batch_norm(
                g.add("AveragePool", g.add("Relu", g.add("Neg", v)), kernel_shape=[2, 2], strides=[2, 2]),
                r,
                8,
            )
        ),
    ),
    "global average": (
        "sum",
        lambda g, v, r: g.quant(g.batch_norm(g.add("GlobalAveragePool", v), r, 8), 4, 0.3),
    ),
    "mean of height and width": (
        "sum",
        lambda g, v, r: g.quant(g.batch_norm(g.add("ReduceMean", v, axes=[2, 3], keepdims=0), r, 8), 4, 0.3),
    ),
}


@pytest.mark.parametrize("name", POOLS)
def test_pooling(name):
    kind, chain = POOLS[name]
    random = rng()
    graph, sums = cnn(random, (12, 10))
    act = graph.add("Flatten", chain(graph, sums, random))
    probe = imported_size(graph, act)
    result = assert_equal_to_runtime(ended(graph, act, probe, random))
    layer = result.network.layers[0]
    assert isinstance(layer.pool, Pool)
    assert layer.pool.kind == kind
    assert layer.relu == ("relu" in name)


def imported_size(graph: Builder, value: str) -> int:
    """Return the length of a flattened value by ONNX's own shape inference of the part without quantisers."""
    from .graphs import standard

    model = onnx.shape_inference.infer_shapes(standard(graph.model(value)))
    shapes = {each.name: each for each in (*model.graph.value_info, *model.graph.output)}
    return shapes[value].type.tensor_type.shape.dim[1].dim_value


RESHAPES = {
    "Flatten": lambda g, v: g.add("Flatten", v),
    "Reshape -1": lambda g, v: g.add("Reshape", v, np.array([-1, 8 * 42])),
    "Reshape 0": lambda g, v: g.add("Reshape", v, np.array([0, -1])),
    "shape arithmetic": lambda g, v: g.add(
        "Reshape",
        v,
        g.add(
            "Concat",
            g.add("Unsqueeze", g.add("Gather", g.add("Shape", v), np.array(0), axis=0), np.array([0])),
            np.array([-1]),
            axis=0,
        ),
    ),
    "channels last": lambda g, v: g.add("Flatten", g.add("Transpose", v, perm=[0, 2, 3, 1])),
    "Unsqueeze, Squeeze": lambda g, v: g.add(
        "Flatten", g.add("Squeeze", g.add("Unsqueeze", v, np.array([1])), np.array([1]))
    ),
}


@pytest.mark.parametrize("name", RESHAPES)
@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_flattening(name, batch):
    random = rng()
    graph, sums = cnn(random)
    graph.batch = batch
    act = RESHAPES[name](graph, graph.bipolar(graph.batch_norm(sums, random, 8)))
    assert_equal_to_runtime(ended(graph, act, 8 * 42, random))


def test_a_flattened_image_of_several_channels():
    random, graph = rng(), Builder((3, 5, 4))
    sums = graph.add("MatMul", graph.add("Flatten", "x"), graph.bipolar(latent(random, 60, 24)))
    assert_equal_to_runtime(ended(graph, graph.bipolar(graph.batch_norm(sums, random, 24)), 24, random))


def test_images_channels_last():
    random, graph = rng(), Builder((9, 8, 3))
    x = graph.add("Transpose", "x", perm=[0, 3, 1, 2])
    sums = graph.add("Conv", x, graph.bipolar(latent(random, 8, 3, 3, 3)))
    act = graph.add("Transpose", graph.bipolar(graph.batch_norm(sums, random, 8)), perm=[0, 2, 3, 1])
    model = flat_end(graph, act, 8 * 42, random)
    network = imported(model).network
    pixels = random.integers(0, 256, (20, 9, 8, 3), np.uint8)
    from .graphs import model_logits, runtime

    want = runtime(model, (pixels / 255).astype(np.float32))
    np.testing.assert_allclose(model_logits(network, pixels.reshape(20, -1)), want, atol=1e-3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_residual_addition_of_sums(sign):
    random = rng()
    graph = Builder((3, 9, 8), form=RAW)
    first = graph.add("Conv", "x", graph.bipolar(latent(random, 4, 3, 3, 3)), pads=[1, 1, 1, 1])
    act = graph.bipolar(graph.add("Sub", first, 0.5), 1.0)
    second = graph.add(
        "Conv", act, graph.bipolar(latent(random, 4, 4, 3, 3), sign if sign > 0 else 1.0), pads=[1, 1, 1, 1]
    )
    total = graph.add("Add" if sign > 0 else "Sub", first, graph.add("Add", second, 0.25))
    act = graph.bipolar(graph.batch_norm(total, random, 4))
    result = assert_equal_to_runtime(flat_end(graph, act, 4 * 72, random), form=RAW)
    assert [layer.residual for layer in result.network.layers] == [None, result.network.layers[0].name, None]


def test_a_residual_behind_relu_and_pooling():
    random = rng()
    graph = Builder((3, 9, 8), form=RAW)
    first = graph.add("Conv", "x", graph.bipolar(latent(random, 4, 3, 3, 3)))
    first = graph.add("MaxPool", graph.add("Relu", first), kernel_shape=[2, 2], strides=[1, 1])
    act = graph.bipolar(graph.add("Sub", first, 0.5), 1.0)
    second = graph.add(
        "Relu", graph.add("Conv", act, graph.bipolar(latent(random, 4, 4, 3, 3)), pads=[1] * 4)
    )
    act = graph.bipolar(graph.batch_norm(graph.add("Add", second, first), random, 4))
    result = assert_equal_to_runtime(flat_end(graph, act, 4 * 30, random), form=RAW)
    assert [layer.relu for layer in result.network.layers] == [True, True, False]


# Logits


LOGITS = {
    "sums": (True, lambda g, v, r: v),
    "one scale": (True, lambda g, v, r: g.add("Mul", v, 0.1)),
    "tensor norm": (
        True,
        lambda g, v, r: g.add("Add", g.add("Mul", g.add("Div", g.add("Sub", v, 3.3), 7.7), 1.3), 0.2),
    ),
    "small fractions": (
        True,
        lambda g, v, r: g.add(
            "Add",
            g.add("Mul", v, np.array([1, 2, 3, -1, 0, 0.5], np.float32)),
            np.arange(6, dtype=np.float32) / 8,
        ),
    ),
    "bias of floats": (False, lambda g, v, r: g.add("Add", v, r.normal(0, 3, 6).astype(np.float32))),
    "batch norm": (False, lambda g, v, r: g.batch_norm(v, r, 6)),
    "relu": (True, lambda g, v, r: g.add("Mul", g.add("Relu", v), 0.5)),
    "softmax": (True, lambda g, v, r: v),
}


@pytest.mark.parametrize("name", LOGITS)
def test_logits(name):
    exact, chain = LOGITS[name]
    random = rng()
    graph, sums = mlp(random)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    last = graph.add("MatMul", act, graph.bipolar(latent(random, 24, 6)))
    chain(graph, last, random)
    result = assert_equal_to_runtime(graph.model(), form=BIPOLAR)
    assert isinstance(result.network.layers[-1].head, Affine)
    assert result.network.metadata["logit_exact"] == exact
    assert (result.network.metadata["logit_error"] == 0) == exact
    assert result.network.metadata["logit_error"] < 5e-3


@pytest.mark.parametrize("tail", ["Softmax", "LogSoftmax", "ArgMax"])
def test_what_does_not_change_the_class_is_left_out(tail):
    random = rng()
    graph, sums = mlp(random)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    model = ended(graph, act, 24, random)
    plain = imported(model, input_form=BIPOLAR)
    graph.add(tail, graph.nodes[-1].output[0], axis=1)
    result = imported(graph.model(), input_form=BIPOLAR)
    assert result.network == plain.network
    assert f"{tail} behind the logits is left out: it does not change which is largest" in result.notes


def test_a_global_average_as_the_last_layer():
    random = rng()
    graph, sums = cnn(random)
    act = graph.bipolar(graph.batch_norm(sums, random, 8))
    last = graph.add("Relu", graph.add("Conv", act, graph.bipolar(latent(random, 6, 8, 1, 1))))
    graph.add("Flatten", graph.add("GlobalAveragePool", last))
    result = assert_equal_to_runtime(graph.model())
    assert result.network.layers[-1].relu


# Names and files


def test_layers_are_named_after_their_nodes_and_never_alike():
    random, graph = rng(), Builder((40,), form=BIPOLAR)
    sums = graph.add("MatMul", "x", graph.bipolar(latent(random, 40, 24)), name="fc")
    act = graph.bipolar(sums)
    sums = graph.add("MatMul", act, graph.bipolar(latent(random, 24, 24)), name="fc")
    graph.add("MatMul", graph.bipolar(sums), graph.bipolar(latent(random, 24, 6)), name="")
    names = [layer.name for layer in imported(graph.model(), input_form=BIPOLAR).network.layers]
    assert names == ["fc", "fc_2", graph.nodes[-1].output[0]]


def test_branches_that_the_output_does_not_need_are_left_alone():
    random = rng()
    graph, sums = mlp(random)
    graph.add("Tan", sums)
    assert_equal_to_runtime(ended(graph, graph.bipolar(sums), 24, random), form=BIPOLAR)


def test_a_file_gives_the_network_its_name(tmp_path: Path):
    random = rng()
    graph, sums = mlp(random)
    onnx.save(ended(graph, graph.bipolar(sums), 24, random), tmp_path / "mine.onnx")
    network = import_network(tmp_path / "mine.onnx").network
    assert network.name == "mine"
    assert all(isinstance(layer, Dense) for layer in network.layers)
    assert import_network(tmp_path / "mine.onnx", name="other").network.name == "other"


def test_a_report_of_what_was_folded():
    random = rng()
    graph, sums = mlp(random)
    act = graph.bipolar(graph.batch_norm(sums, random, 24))
    result = imported(ended(graph, act, 24, random), input_form=RAW)
    assert [(layer.operation, layer.folded) for layer in result.layers] == [
        ("MatMul", ("BatchNormalization", "BipolarQuant")),
        ("MatMul", ()),
    ]
    flipped = int(result.network.layers[0].head.flip.sum())  # type: ignore[union-attr]
    assert result.layers[0].into == f"24 thresholds, {flipped} flipped"
    assert result.notes == ("inputs are pixels from 0 to 255", "the model's logits are 1 * logits, exactly")


def test_attributes_of_older_opsets():
    random = rng()
    graph, sums = mlp(random, Builder((40,), opset=9, form=BIPOLAR))
    value = graph.add("Unsqueeze", graph.add("Clip", sums, min=-3.0, max=4.0), axes=[2])
    act = graph.bipolar(graph.add("Squeeze", value, axes=[2]))
    result = imported(ended(graph, act, 24, random), input_form=BIPOLAR)
    assert result.layers[0].folded == ("Clip", "BipolarQuant")
    assert helper.get_attribute_value(graph.nodes[2].attribute[0]) == 4.0
