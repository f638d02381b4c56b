"""Hand-made ONNX graphs, and what onnxruntime makes of them with QONNX's quantisers spelled out."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from spinbnn.golden.network import Network, forward
from spinbnn.sim.interchange.graph import to_graph
from spinbnn.sim.interchange.importer import Imported, import_graph
from spinbnn.sim.interchange.inputs import InputForm, network_pixels

UNIT = InputForm()
QONNX = "qonnx.custom_op.general"


@dataclass
class Builder:
    """A graph in the making; each node is named after its operation and number."""

    input_shape: tuple[int, ...]
    element: int = TensorProto.FLOAT
    opset: int = 17
    form: InputForm = UNIT
    batch: Any = "n"
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def add(
        self, operation: str, *inputs: Any, domain: str = "", name: str | None = None, **attributes: Any
    ) -> str:
        """Add a node; arrays and numbers among its inputs become constants."""
        name = f"{operation}{len(self.nodes)}" if name is None else name
        names = [each if isinstance(each, str) else self.constant(each) for each in inputs]
        output = f"out{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(operation, names, [output], name=name, domain=domain, **attributes)
        )
        return output

    def constant(self, value: Any) -> str:
        array = np.asarray(value)
        if array.dtype.kind in "fi" and not isinstance(value, np.ndarray):
            array = array.astype(np.float32)
        name = f"constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def bipolar(self, value: Any, scale: Any = 1.0, domain: str = QONNX) -> str:
        return self.add("BipolarQuant", value, scale, domain=domain)

    def quant(
        self,
        value: Any,
        bits: int,
        scale: Any = 1.0,
        zero: float = 0.0,
        domain: str = QONNX,
        **attributes: Any,
    ) -> str:
        attributes = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"} | attributes
        return self.add("Quant", value, scale, zero, float(bits), domain=domain, **attributes)

    def batch_norm(self, value: str, rng: np.random.Generator, channels: int) -> str:
        """Add a batch normalisation whose statistics are nearly those of random images."""
        sums = runtime(self.model(value), self.samples())
        axes = tuple(axis for axis in range(sums.ndim) if axis != 1)
        variance = sums.var(axis=axes) + np.float32(1e-3)
        mean = sums.mean(axis=axes) + (0.4 * rng.normal(size=channels) * np.sqrt(variance)).astype(np.float32)
        gamma, beta = (rng.normal(0, width, channels).astype(np.float32) for width in (1, 0.2))
        return self.add("BatchNormalization", value, gamma, beta, mean, variance, epsilon=1e-4)

    def samples(self) -> np.ndarray:
        rng = np.random.default_rng(8)
        pixels = rng.integers(0, 256, (60, *self.input_shape), np.uint8)
        if self.element == TensorProto.UINT8:
            return pixels
        if self.form.bipolar:
            return (pixels & 1) * np.float32(2) - 1
        return (pixels * float(self.form.scale) + float(self.form.offset)).astype(np.float32)

    def model(self, output: str | None = None) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "hand-made",
            [helper.make_tensor_value_info("x", self.element, [self.batch, *self.input_shape])],
            [helper.make_tensor_value_info(output or self.nodes[-1].output[0], TensorProto.FLOAT, None)],
            self.constants,
        )
        domains = sorted({node.domain for node in self.nodes} - {""})
        opsets = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(each, 1) for each in domains)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def imported(model: onnx.ModelProto, **options: Any) -> Imported:
    """Return the import of a model."""
    options = {"input_form": None, "sign_of_zero": "refuse", "name": "made"} | options
    return import_graph(to_graph(model, "model"), "model", **options)


def standard(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose quantisers are spelled out in standard operations."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    nodes: list[Any] = []
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}

    def add(operation: str, *inputs: Any, **attributes: Any) -> str:
        names = []
        for each in inputs:
            if not isinstance(each, str):
                name = f"spelled{len(model.graph.initializer)}"
                model.graph.initializer.append(numpy_helper.from_array(np.asarray(each, np.float32), name))
                each = name
            names.append(each)
        output = f"spelled_out{len(nodes)}"
        nodes.append(helper.make_node(operation, names, [output], **attributes))
        return output

    for node in model.graph.node:
        attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if node.op_type == "BipolarQuant":
            value, scale = node.input
            result = add("Where", add("GreaterOrEqual", value, 0.0), scale, add("Neg", scale))
        elif node.op_type == "Quant":
            value, scale, zero, bits = node.input
            count, signed = int(constants[bits]), attributes["signed"]
            low = -(2 ** (count - 1)) + attributes["narrow"] if signed else 0
            high = 2 ** (count - 1) - 1 if signed else 2**count - 1 - attributes["narrow"]
            rounding = {b"CEIL": "Ceil", b"FLOOR": "Floor"}.get(attributes["rounding_mode"], "Round")
            scaled = add("Add", add("Div", value, scale), zero)
            clipped = add("Min", add("Max", scaled, float(low)), float(high))
            result = add("Mul", add("Sub", add(rounding, clipped), zero), scale)
        elif node.op_type == "MultiThreshold":
            value, thresholds = node.input
            layout = attributes.get("data_layout", b"").decode()
            total: str | None = None
            for column in constants[thresholds].T:
                shape = (-1, 1, 1) if layout == "NCHW" else (-1,)
                reached = add(
                    "Cast", add("GreaterOrEqual", value, column.reshape(shape)), to=TensorProto.FLOAT
                )
                total = reached if total is None else add("Add", total, reached)
            assert total is not None
            scaled = add("Mul", total, attributes.get("out_scale", 1.0))
            result = add("Add", scaled, attributes.get("out_bias", 0.0))
        else:
            nodes.append(node)
            continue
        nodes.append(helper.make_node("Identity", [result], list(node.output)))
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def runtime(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    """Return onnxruntime's output, in batches that the model takes."""
    session = onnxruntime.InferenceSession(
        standard(model).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    size = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value or len(x)
    parts = [session.run(None, {"x": x[first : first + size]})[0] for first in range(0, len(x), size)]
    return np.concatenate(parts)


def model_logits(network: Network, pixels: np.ndarray) -> np.ndarray:
    """Return golden's logits in the model's units."""
    scale, offset = (float(Fraction(network.metadata[name])) for name in ("logit_scale", "logit_offset"))
    return forward(network, pixels) * scale + offset


def assert_equal_to_runtime(
    model: onnx.ModelProto, *, images: int = 64, seed: int = 5, form: InputForm | None = None, **options: Any
) -> Imported:
    """Import a model and compare it with onnxruntime on random images; return the import."""
    result = imported(model, input_form=form, **options)
    network, rng = result.network, np.random.default_rng(seed)
    shape = [each.dim_value for each in model.graph.input[0].type.tensor_type.shape.dim][1:]
    pixels = rng.integers(0, 256, (images, *shape), np.uint8)
    form = form or InputForm()
    if form.bipolar:
        pixels = pixels & 1
        x = 2 * pixels.astype(np.float32) - 1
    elif model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8:
        x = pixels
    else:
        # Evaluated in float64, then rounded once.
        x = (pixels * float(form.scale) + float(form.offset)).astype(np.float32)
    flat = pixels.transpose(0, 2, 3, 1) if pixels.ndim == 4 else pixels
    flat = flat.reshape(images, -1)
    have = model_logits(network, flat if form.bipolar else network_pixels(network, flat))
    want = runtime(model, x).reshape(images, -1)
    size = np.abs(want).max()
    allowed = network.metadata["logit_error"] + 1e-5 * size
    np.testing.assert_allclose(have, want, rtol=0, atol=allowed)
    assert len(np.unique(want, axis=0)) > images // 4, "the images do not tell networks apart"
    return result
