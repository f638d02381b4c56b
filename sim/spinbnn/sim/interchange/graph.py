"""ONNX models as plain nodes and arrays; the one place, with the exporter, that knows the onnx package."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator

from spinbnn.sim.interchange.problems import ModelError, Refused

QUANTISER_DOMAINS = ("onnx.brevitas", "qonnx.custom_op.general", "finn.custom_op.general")
_STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """An operation.

    Parameters
    ----------
    name : str
        Its own, or that of its first output where it has none.
    operation : str
    domain : str
        Empty for ONNX's own operations.
    inputs, outputs : tuple of str
        Empty names for inputs that are left out.
    attributes : mapping
        Numbers, strings, lists of numbers and arrays.
    proto : onnx.NodeProto
    """

    name: str
    operation: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any

    @property
    def is_standard(self) -> bool:
        """Whether it is one of ONNX's own operations."""
        return self.domain in _STANDARD_DOMAINS

    @property
    def is_quantiser(self) -> bool:
        """Whether it is of a domain of QONNX."""
        return self.domain in QUANTISER_DOMAINS


@dataclass(frozen=True)
class Graph:
    """A model with one input and one output.

    Parameters
    ----------
    name : str
    producer : str
    nodes : tuple of Node
        In an order in which they can be computed, those alone that the output depends on.
    constants : mapping of str to array
    input_name : str
    input_shape : tuple of int
        The first is the number of images, 1 where the model leaves it open.
    input_is_integer : bool
        The model takes integers from 0 to 255.
    output_name : str
    opsets : mapping of str to int
    """

    name: str
    producer: str
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    input_name: str
    input_shape: tuple[int, ...]
    input_is_integer: bool
    output_name: str
    opsets: Mapping[str, int]

    def compute(self, node: Node, inputs: list[NDArray[Any] | None]) -> list[NDArray[Any]]:
        """Return what one of ONNX's own operations makes of constants, in its own arithmetic.

        Raises
        ------
        Refused
            If it cannot be computed.
        """
        named = {name: array for name, array in zip(node.inputs, inputs, strict=True) if array is not None}
        infos = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None) for name in named]
        results = [
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UNDEFINED, None)
            for name in node.outputs
        ]
        graph = onnx.helper.make_graph([node.proto], "constants", infos, results)
        opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in self.opsets.items()]
        try:
            computed = ReferenceEvaluator(onnx.helper.make_model(graph, opset_imports=opsets)).run(
                None, named
            )
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise Refused(f"its constant inputs cannot be computed ({reason})", "a valid operation") from None
        return [np.asarray(each) for each in computed]


def read_graph(path: Path) -> Graph:
    """Read a model.

    Raises
    ------
    ModelError
        If the file cannot be read, is no ONNX model, or has not one input of known size and one output.
    """
    try:
        model = onnx.load(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected an ONNX model") from None
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{path}: is no whole ONNX model ({reason}), expected a .onnx file") from None
    if not model.graph.node:
        raise ModelError(f"{path}: is no whole ONNX model (it has no nodes), expected a .onnx file")
    return to_graph(model, str(path))


def to_graph(model: onnx.ModelProto, where: str) -> Graph:
    """Return a model in plain form.

    Raises
    ------
    ModelError
        If it has not one input of known size and one output.
    """
    graph = model.graph
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    inputs = [each for each in graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise ModelError(f"{where}: must have one input, the images, not {len(inputs)} ({names})")
    if len(graph.output) != 1:
        names = ", ".join(each.name for each in graph.output)
        raise ModelError(f"{where}: must have one output, the logits, not {len(graph.output)} ({names})")
    source = inputs[0].type.tensor_type
    dims = [each.dim_value if each.HasField("dim_value") else 0 for each in source.shape.dim]
    if len(dims) < 2 or any(each < 1 for each in dims[1:]):
        shown = " x ".join(str(each or "?") for each in dims) or "no shape"
        raise ModelError(
            f"{where}: input '{inputs[0].name}' must have a fixed size behind the number of images, "
            f"not {shown}: export the model with fixed sizes"
        )
    integer = source.elem_type == onnx.TensorProto.UINT8
    if not integer and source.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE):
        kind = onnx.TensorProto.DataType.Name(source.elem_type)
        raise ModelError(f"{where}: input '{inputs[0].name}' must be float, double or uint8, not {kind}")
    nodes = _needed([_plain(each) for each in graph.node], graph.output[0].name)
    return Graph(
        name=graph.name,
        producer=" ".join(f"{model.producer_name} {model.producer_version}".split()),
        nodes=tuple(nodes),
        constants=constants,
        input_name=inputs[0].name,
        input_shape=(max(1, dims[0]), *dims[1:]),
        input_is_integer=integer,
        output_name=graph.output[0].name,
        opsets={each.domain: each.version for each in model.opset_import},
    )


def _plain(proto: onnx.NodeProto) -> Node:
    attributes = {each.name: _attribute(each) for each in proto.attribute}
    named = proto.name or next(iter(proto.output), "")
    return Node(
        named, proto.op_type, proto.domain, tuple(proto.input), tuple(proto.output), attributes, proto
    )


def _attribute(proto: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(proto)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value)
    return value


def _needed(nodes: list[Node], output: str) -> list[Node]:
    """Return the nodes that an output depends on; a valid model has them in order."""
    wanted = {output}
    needed = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            needed.append(node)
            wanted.update(node.inputs)
    return needed[::-1]
