"""What is not supported is refused at once: all nodes in one message, with what would be accepted."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from spinbnn.golden.errors import DataError
from spinbnn.golden.network import Network
from spinbnn.sim.interchange.importer import import_network
from spinbnn.sim.interchange.inputs import INPUT_FORMS, InputForm, network_pixels
from spinbnn.sim.interchange.problems import ModelError

from .graphs import Builder, imported

BIPOLAR = INPUT_FORMS["bipolar"]
QUANTISERS = (
    "BipolarQuant, Quant of 1 to 4 bits, MultiThreshold of up to 15 thresholds, or Sign between layers"
)
WEIGHTS = (
    "weights behind BipolarQuant, Quant of up to 8 bits or Sign, or weights that are +1 and -1 or integers "
    "within 128, times one scale a neuron"
)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def refusal(graph: Builder, **options) -> str:
    with pytest.raises(ModelError) as error:
        imported(graph.model(), **options)
    return str(error.value)


def dense(graph: Builder, value: str = "x", inputs: int = 4, neurons: int = 4) -> str:
    return graph.add("MatMul", value, ones(inputs, neurons))


def conv(graph: Builder, value: str = "x", channels: int = 2, **attributes) -> str:
    return graph.add("Conv", value, ones(2, channels, 3, 3), **attributes)


def act(graph: Builder, value: str) -> str:
    return graph.bipolar(graph.add("Add", value, 0.5))


def test_all_nodes_are_listed_at_once():
    graph = Builder((2, 9, 9))
    value = act(graph, conv(graph, dilations=[2, 2]))
    value = act(graph, graph.add("Tanh", conv(graph, value), name="squash"))
    value = graph.add("MaxPool", value, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    value = graph.add("Trunc", value, domain="qonnx.custom_op.general")
    graph.add("Sigmoid", dense(graph, graph.add("Flatten", value), 2))
    assert refusal(graph) == (
        "model: cannot be imported, 5 nodes are not supported: "
        "[1] node 'Conv0' (Conv): dilations are 2, 2, accepted: dilations of 1; "
        "[2] node 'squash' (Tanh): operation Tanh is not supported, accepted: the operations listed in "
        "docs/import.md; "
        "[3] node 'MaxPool7' (MaxPool): it pads the map, accepted: pooling without padding; "
        "[4] node 'Trunc8' (Trunc): operation Trunc of domain qonnx.custom_op.general is not supported, "
        "accepted: "
        "the operations listed in docs/import.md; "
        "[5] node 'Sigmoid11' (Sigmoid): operation Sigmoid is not supported, accepted: the operations "
        "listed in "
        "docs/import.md"
    )


def two_layers(graph: Builder, between) -> Builder:
    dense(graph, between(graph, dense(graph)))
    return graph


def one_conv(**attributes) -> Builder:
    graph = Builder((2, 9, 9))
    conv(graph, **attributes)
    return graph


def maps(behind) -> Builder:
    graph = Builder((2, 9, 9), form=BIPOLAR)
    behind(graph, conv(graph))
    return graph


REFUSED = {
    "groups": (
        one_conv(group=2),
        "node 'Conv0' (Conv): it works on a tensor of 2 x 9 x 9 an image, accepted: "
        "4 channels, height and width",
    ),
    "latent floats": (
        two_layers(
            Builder((4,)),
            lambda g, v: act(
                g, g.add("MatMul", act(g, v), np.random.default_rng(1).random((4, 4), np.float32))
            ),
        ),
        "node 'MatMul3' (MatMul): its weights are floats that are no small integers times a scale, "
        f"accepted: {WEIGHTS}",
    ),
    "two scales in a neuron": (
        two_layers(
            Builder((4,)),
            lambda g, v: act(
                g,
                g.add(
                    "MatMul",
                    act(g, v),
                    g.bipolar(ones(4, 4), np.arange(1, 5, dtype=np.float32).reshape(4, 1)),
                ),
            ),
        ),
        "node 'MatMul4' (MatMul): its weights have several scales in one neuron, accepted: one scale for "
        "all, "
        "or one a neuron",
    ),
    "no quantiser": (
        two_layers(Builder((4,)), lambda g, v: g.add("Relu", v)),
        f"node 'MatMul2' (MatMul): no quantiser lies between it and 'MatMul0', accepted: {QUANTISERS}",
    ),
    "too many levels": (
        two_layers(Builder((4,)), lambda g, v: g.quant(v, 5)),
        f"node 'MatMul2' (MatMul): the quantiser has 32 levels, accepted: {QUANTISERS}",
    ),
    "Quant of many bits": (
        two_layers(Builder((4,)), lambda g, v: g.quant(v, 16)),
        "node 'Quant1' (Quant): it has 16 bits, accepted: 1 to 8 bits",
    ),
    "rounding": (
        two_layers(Builder((4,)), lambda g, v: g.quant(v, 2, rounding_mode="HALF_UP")),
        "node 'Quant1' (Quant): its rounding_mode is HALF_UP, accepted: ROUND or HALF_EVEN or CEIL or FLOOR",
    ),
    "scale of 0": (
        two_layers(Builder((4,)), lambda g, v: g.bipolar(v, 0.0)),
        "node 'BipolarQuant1' (BipolarQuant): its scale is 0, accepted: a scale above 0",
    ),
    "scales of channels": (
        two_layers(Builder((4,)), lambda g, v: g.bipolar(v, np.arange(1, 5, dtype=np.float32))),
        "node 'MatMul2' (MatMul): activations of 'MatMul0' have other levels in channel 1 than in channel 0, "
        "accepted: one scale for all channels of an activation",
    ),
    "uneven levels": (
        two_layers(Builder((4,)), lambda g, v: g.add("Clip", g.quant(v, 3), np.float32(-2.5), "")),
        "node 'MatMul3' (MatMul): the quantiser's levels are not evenly spaced (-2.5, -2, -1, 0, 1, 2), "
        f"accepted: {QUANTISERS}",
    ),
    "Sign of 0": (
        two_layers(Builder((4,)), lambda g, v: g.add("Sign", v)),
        "node 'MatMul2' (MatMul): Sign 'Sign1' gives 0 for the sum 0 in neuron 0 and in 3 other neurons, "
        "accepted: BipolarQuant, whose sign of 0 is +1, or --sign-of-zero plus, which takes Sign's as +1",
    ),
    "batch norm twice": (
        two_layers(
            Builder((4,)),
            lambda g, v: g.add(
                "BatchNormalization", g.add("BatchNormalization", v, *[ones(4)] * 4), *[ones(4)] * 4
            ),
        ),
        "node 'BatchNormalization2' (BatchNormalization): it follows another batch normalisation, "
        "accepted: one before each quantiser: multiply them out",
    ),
    "variance": (
        two_layers(Builder((4,)), lambda g, v: g.add("BatchNormalization", v, *[ones(4)] * 3, -ones(4))),
        "node 'BatchNormalization1' (BatchNormalization): variance + epsilon is not above 0, "
        "accepted: a variance of 0 or more",
    ),
    "division by 0": (
        two_layers(Builder((4,)), lambda g, v: g.add("Div", v, 0.0)),
        "node 'Div1' (Div): it divides by 0, accepted: a divisor that is not 0",
    ),
    "not a number": (
        two_layers(Builder((4,)), lambda g, v: g.add("Mul", v, float("nan"))),
        "node 'Mul1' (Mul): its factor is not finite, accepted: a finite factor",
    ),
    "product of signals": (
        two_layers(Builder((4,)), lambda g, v: g.add("Mul", v, v)),
        "node 'Mul1' (Mul): its factor depends on the images, accepted: a constant factor",
    ),
    "constants within a channel": (
        maps(lambda g, v: g.add("Add", v, np.arange(49, dtype=np.float32).reshape(7, 7))),
        "node 'Add1' (Add): its addend differs within a channel of 'Conv0', accepted: one addend a channel",
    ),
    "a shape that grows": (
        two_layers(Builder((4,)), lambda g, v: g.add("Add", v, ones(3, 4))),
        "node 'Add1' (Add): its addend changes the tensor's shape (3 x 4 for 4), "
        "accepted: one addend a channel",
    ),
    "pooling beyond the edge": (
        maps(lambda g, v: g.add("MaxPool", v, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)),
        "node 'MaxPool1' (MaxPool): ceil_mode makes windows that reach over the edge, accepted: ceil_mode 0",
    ),
    "large window": (
        maps(lambda g, v: g.add("MaxPool", v, kernel_shape=[8, 2])),
        "node 'MaxPool1' (MaxPool): its window of 8 is larger than the map's 7, accepted: a smaller window",
    ),
    "pooling twice": (
        maps(lambda g, v: g.add("MaxPool", g.add("MaxPool", v, kernel_shape=[2, 2]), kernel_shape=[2, 2])),
        "node 'MaxPool2' (MaxPool): the sums of 'Conv0' are pooled already, accepted: one pooling a layer",
    ),
    "average of activations": (
        maps(lambda g, v: g.add("GlobalAveragePool", act(g, v))),
        "node 'GlobalAveragePool3' (GlobalAveragePool): it is behind a quantiser, "
        "accepted: it between a layer's sums and the quantiser",
    ),
    "average of a biased ReLU": (
        maps(lambda g, v: g.add("GlobalAveragePool", g.add("Relu", g.add("Add", v, 0.5)))),
        "node 'GlobalAveragePool3' (GlobalAveragePool): a ReLU or Clip between the sums of 'Conv0' and "
        "this is not "
        "directly behind the sums, accepted: a ReLU directly behind the convolution or matrix product, "
        "before bias "
        "and batch normalisation",
    ),
    "padding with something": (
        maps(
            lambda g, v: conv(g, g.add("Pad", act(g, v), np.array([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(0.5)))
        ),
        "node 'Conv4' (Conv): padding with 0.5 of inputs that are 1 * integer + 0 has no integer, "
        "accepted: padding with 0, or with one of the two values of a bipolar input",
    ),
    "padding of channels": (
        maps(lambda g, v: conv(g, g.add("Pad", act(g, v), np.array([0, 1, 0, 0, 0, 0, 0, 0])), 3)),
        "node 'Conv4' (Conv): a Pad node adds channels to its map, accepted: padding of height and width",
    ),
    "padding of images": (
        maps(lambda g, v: conv(g, g.add("Pad", act(g, v), np.array([1, 0, 0, 0, 0, 0, 0, 0])))),
        "node 'Pad3' (Pad): it adds images or takes elements away, accepted: padding of a map's height "
        "and width",
    ),
    "padding for no convolution": (
        maps(lambda g, v: g.add("Relu", g.add("Pad", v, np.array([0, 0, 1, 1, 0, 0, 1, 1])))),
        "node 'Relu2' (Relu): a Pad node lies before it, accepted: Pad directly before a convolution",
    ),
    "transposed batch": (
        two_layers(Builder((4,)), lambda g, v: g.add("Transpose", v)),
        "node 'Transpose1' (Transpose): its perm [1, 0] moves the number of images, accepted: a perm that "
        "begins with 0",
    ),
    "joined batch": (
        two_layers(Builder((4,)), lambda g, v: g.add("Reshape", v, np.array([2, 2]))),
        "node 'Reshape1' (Reshape): it joins the images or moves their number (2 x 2), "
        "accepted: the number of images left in front",
    ),
    "wrong shape": (
        two_layers(Builder((4,)), lambda g, v: g.add("Reshape", v, np.array([1, 5]))),
        "node 'Reshape1' (Reshape): its shape [1, 5] does not fit 1 x 4, accepted: a shape of as many "
        "elements",
    ),
    "map into a product": (
        maps(lambda g, v: dense(g, act(g, v), 2)),
        "node 'MatMul3' (MatMul): it works on a tensor of 2 x 7 x 7 an image, accepted: 2 numbers an image: "
        "flatten before it",
    ),
    "rearranged map": (
        maps(lambda g, v: conv(g, g.add("Transpose", act(g, v), perm=[0, 1, 3, 2]))),
        "node 'Conv4' (Conv): it reads the elements of 'Conv0' rearranged to 2 x 7 x 7, "
        "accepted: the map as the layer before gives it",
    ),
    "two readers": (
        two_layers(Builder((4,)), lambda g, v: act(g, g.add("Add", *[dense(g, a) for a in [act(g, v)] * 2]))),
        "node 'MatMul4' (MatMul): 'MatMul0' is read by 'MatMul3' already, accepted: layers in a row, "
        "where each "
        "reads what the one before gives; a shortcut may add sums",
    ),
    "unequal factors": (
        two_layers(
            Builder((4,), form=BIPOLAR),
            lambda g, v: act(g, g.add("Add", g.add("Mul", dense(g, act(g, v)), 0.1), v)),
        ),
        "node 'Add5' (Add): the sums of 'MatMul0' and 'MatMul3' have different factors, 1.0 and "
        "0.10000000149011612 in channel 0, accepted: equal factors, so that the integers can be added",
    ),
    "residual of the input": (
        two_layers(Builder((4,), form=BIPOLAR), lambda g, v: g.add("Add", v, "x")),
        "node 'Add1' (Add): it adds the input to a layer's sums, accepted: the sums of two layers",
    ),
    "transA": (
        two_layers(Builder((4,)), lambda g, v: g.add("Gemm", v, ones(4, 4), transA=1)),
        "node 'Gemm1' (Gemm): transA is 1, accepted: transA 0",
    ),
    "softmax within": (
        two_layers(Builder((4,)), lambda g, v: g.add("Softmax", v)),
        "node 'Softmax1' (Softmax): it is not the last operation, accepted: Softmax of the logits, at the "
        "end",
    ),
    "cast to integers": (
        two_layers(Builder((4,)), lambda g, v: g.add("Cast", v, to=TensorProto.INT32)),
        "node 'Cast1' (Cast): it casts to another type than float or double, accepted: a cast to float or "
        "double",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name):
    graph, text = REFUSED[name]
    problem = refusal(graph, input_form=BIPOLAR)
    assert problem == f"model: cannot be imported, 1 node is not supported: [1] {text}"


def test_the_output_must_be_logits():
    graph = Builder((4,))
    act(graph, dense(graph))
    assert refusal(graph, input_form=BIPOLAR) == (
        "model: cannot be imported, 1 node is not supported: [1] node 'BipolarQuant2' (BipolarQuant): it "
        "is behind "
        "a quantiser, accepted: it between a layer's sums and the quantiser"
    )


def test_zero_padding_of_inputs_with_an_offset():
    graph = Builder((2, 9, 9))
    conv(graph, graph.add("Sub", graph.add("Mul", "x", 2.0), 1.0), pads=[1, 1, 1, 1])
    assert refusal(graph) == (
        "model: cannot be imported, 1 node is not supported: [1] node 'Conv2' (Conv): zero padding of "
        "inputs that "
        "are 0.00784314 * integer - 1 has no integer, accepted: no padding, or inputs that are a multiple "
        "of their "
        "integers (a quantiser without offset)"
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda model: model.graph.input[0].type.tensor_type.shape.dim[1].Clear(),
            "model: input 'x' must have a fixed size behind the number of images, not ? x ?: export the "
            "model with "
            "fixed sizes",
        ),
        (
            lambda model: model.graph.input.append(
                onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
            ),
            "model: must have one input, the images, not 2 (x, y)",
        ),
        (
            lambda model: model.graph.output.append(
                onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
            ),
            "model: must have one output, the logits, not 2 (out0, y)",
        ),
        (
            lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", TensorProto.INT64),
            "model: input 'x' must be float, double or uint8, not INT64",
        ),
    ],
)
def test_models_of_another_shape(change, text):
    from spinbnn.sim.interchange.graph import to_graph

    graph = Builder((4,))
    dense(graph)
    model = graph.model()
    change(model)
    with pytest.raises(ModelError) as error:
        to_graph(model, "model")
    assert str(error.value) == text


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x08\x07"])
def test_files_that_are_no_models(tmp_path: Path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        import_network(path)
    assert str(error.value).startswith(f"{path}: is no whole ONNX model (")
    assert str(error.value).endswith("), expected a .onnx file")


def test_files_that_are_not_there(tmp_path: Path):
    with pytest.raises(ModelError) as error:
        import_network(tmp_path / "none.onnx")
    assert str(error.value) == (
        f"{tmp_path}/none.onnx: cannot be read (No such file or directory), expected an ONNX model"
    )


def test_options():
    graph = Builder((4,))
    dense(graph)
    with pytest.raises(ModelError) as error:
        imported(graph.model(), sign_of_zero="minus")
    assert str(error.value) == "--sign-of-zero must be refuse or plus, not 'minus'"
    for text in ("unity", "1/255", "0,1", "1/0,1", "a,b", "1,2,3"):
        with pytest.raises(ModelError) as error:
            InputForm.parse(text)
        assert str(error.value) == (
            "--input must be unit, raw, symmetric, bipolar, or SCALE,OFFSET such as 1/255,-1/2 with a "
            "scale that is "
            f"not 0, not '{text}'"
        )
    assert InputForm.parse("2/255,-1") == INPUT_FORMS["symmetric"]


def test_pixels_must_be_bytes():
    graph = Builder((4,))
    dense(graph)
    network: Network = imported(graph.model()).network
    with pytest.raises(DataError) as error:
        network_pixels(network, np.zeros((1, 4)))
    assert str(error.value) == "pixels must be uint8, not float64"
