"""From a network to ONNX's own operations, exact in every runtime that computes them as they are defined."""

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from spinbnn.golden.encoding import unpack
from spinbnn.golden.layers import Affine, Conv, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network
from spinbnn.sim.interchange.problems import ModelError

OPSET = 17
_IR_VERSION = 8
# Sums are formed in float32, exact to this size, and kept in float64.
_EXACT = 2**24


def export_network(network: Network, path: Path) -> None:
    """Write a network as an ONNX model, whole or not at all.

    Its input "images", uint8 [n, K], is what `spinbnn.golden.network.forward` takes; its output "logits",
    int32 [n, classes], what that returns.

    Raises
    ------
    ModelError
        If the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(to_model(network).SerializeToString())
        part.replace(path)
    except OSError as error:
        raise ModelError(
            f"{path}: cannot be written ({error.strerror}), expected a path in a writable folder"
        ) from None
    finally:
        with contextlib.suppress(OSError):  # it is there only where writing or renaming failed
            part.unlink()


def to_model(network: Network) -> onnx.ModelProto:
    """Return a network as an ONNX model; see `export_network`."""
    writer = _Writer()
    value = writer.node("Cast", "images", to=TensorProto.FLOAT)
    if network.input_signed:
        value = writer.node("Sub", writer.node("Mul", value, writer.float(2)), writer.float(1))
    integers: dict[str, str] = {}
    for index, layer in enumerate(network.layers):
        writer.layer = layer.name
        largest = network.format_into(index).largest
        value, sums = _layer(writer, layer, value, largest, integers)
        integers[layer.name] = sums
    writer.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", network.inputs])],
        [helper.make_tensor_value_info("logits", TensorProto.INT32, ["n", network.outputs])],
        writer.constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION, producer_name="spinbnn"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


class _Writer:
    """Nodes and constants with names of their own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.layer = "input"

    def node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Add a node; return the name of its output."""
        name = f"{self.layer}/{len(self.nodes)}_{operation}"
        self.nodes.append(helper.make_node(operation, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, array: NDArray[Any]) -> str:
        """Add a constant; return its name."""
        name = f"{self.layer}/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def float(self, value: int) -> str:
        """Add a float32 of no dimensions; return its name."""
        return self.constant(np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """Add a vector of int64; return its name."""
        return self.constant(np.array(values, np.int64))


def _layer(
    writer: _Writer, layer: Layer, value: str, largest: int, integers: dict[str, str]
) -> tuple[str, str]:
    """Add a layer that reads activations, float32 [n, elements] channels last.

    Returns its own activations (or the logits) and, for residuals, its integers: float64 [n, N, Ho, Wo].
    """
    sums = _sums(writer, layer, value, largest)
    if layer.relu:
        sums = writer.node("Relu", sums)
    pool = layer.pool if isinstance(layer, Conv) else None
    if isinstance(pool, Pool) and pool.kind == "max":
        sums = writer.node("MaxPool", sums, kernel_shape=pool.size, strides=pool.stride)
    if isinstance(pool, Pool) and pool.kind == "sum":
        assert isinstance(layer, Conv)
        sums = _window_sums(writer, sums, pool, layer.sum_shape)
    if layer.residual is not None:
        sums = writer.node("Add", sums, integers[layer.residual])
    head = layer.head
    if isinstance(head, Affine):
        flat = writer.node("Flatten", sums)
        scaled = writer.node("Mul", flat, writer.constant(head.scale.astype(np.float64)))
        biased = writer.node("Add", scaled, writer.constant(head.bias.astype(np.float64)))
        return writer.node("Cast", biased, to=TensorProto.INT32), sums
    activations = _thresholds(writer, head, sums)
    if isinstance(pool, Pool) and pool.kind == "or":
        activations = writer.node("MaxPool", activations, kernel_shape=pool.size, strides=pool.stride)
    last = writer.node("Transpose", activations, perm=[0, 2, 3, 1])
    return writer.node("Flatten", last), sums


def _sums(writer: _Writer, layer: Layer, value: str, largest: int) -> str:
    """Add the sums of a layer, float64 [n, N, H, W], of activations, float32 [n, elements]."""
    signs = _signs(layer)
    if isinstance(layer, Conv):
        height, width, channels = layer.input_shape
        kernel, stride, padding = layer.kernel, layer.stride, layer.padding
    else:
        height, width, channels = 1, 1, layer.inputs
        kernel, stride, padding = (1, 1), (1, 1), (0, 0, 0, 0)
    maps = writer.node("Reshape", value, writer.integers(-1, height, width, channels))
    maps = writer.node("Transpose", maps, perm=[0, 3, 1, 2])
    if isinstance(layer, Conv) and layer.pad_value:
        top, left, bottom, right = padding
        pads = writer.integers(0, 0, top, left, 0, 0, bottom, right)
        maps = writer.node("Pad", maps, pads, writer.float(layer.pad_value))
        padding = (0, 0, 0, 0)
    total: str | None = None
    for weights in _exact_parts(signs, layer.weight_shifts, largest, kernel[0] * kernel[1]):
        first, part = weights
        read = maps
        if part.shape[1] < channels:
            bounds = writer.integers(first), writer.integers(first + part.shape[1])
            read = writer.node("Slice", maps, *bounds, writer.integers(1))
        sums = writer.node(
            "Conv",
            read,
            writer.constant(part.astype(np.float32)),
            kernel_shape=kernel,
            strides=stride,
            pads=padding,
        )
        exact = writer.node("Cast", sums, to=TensorProto.DOUBLE)
        total = exact if total is None else writer.node("Add", total, exact)
    assert total is not None
    return total


def _signs(layer: Layer) -> NDArray[np.int64]:
    """Return the planes, +1 and -1, [Q, N, C, kh, kw]."""
    planes = layer.weights.reshape(len(layer.weight_shifts), layer.neurons, -1)
    bits = unpack(planes, layer.sum_length).astype(np.int64)
    if isinstance(layer, Conv):
        shape = (*layer.kernel, layer.input_shape[2])
    else:
        shape = (1, 1, layer.inputs)
    signs: NDArray[np.int64] = 2 * bits.reshape(*bits.shape[:2], *shape) - 1
    return signs.transpose(0, 1, 4, 2, 3)


def _exact_parts(
    signs: NDArray[np.int64], shifts: tuple[int, ...], largest: int, area: int
) -> list[tuple[int, NDArray[np.int64]]]:
    """Return first channel and weights, [N, C, kh, kw], of parts whose sums float32 holds exactly."""
    places = [1 << shift for shift in shifts]
    channels = signs.shape[2]
    if channels * area * largest * sum(places) < _EXACT:
        return [(0, sum(place * plane for place, plane in zip(places, signs, strict=True)))]
    parts = []
    for place, plane in zip(places, signs, strict=True):
        run = max(1, (_EXACT - 1) // (area * largest * place))
        parts += [(first, place * plane[:, first : first + run]) for first in range(0, channels, run)]
    return parts


def _window_sums(writer: _Writer, sums: str, pool: Pool, shape: tuple[int, int]) -> str:
    """Add the sums over windows: of whole maps at once, else of shifted copies."""
    if pool.size == shape:
        return writer.node("ReduceSum", sums, writer.integers(2, 3), keepdims=1)
    outputs = [
        (length - extent) // step + 1
        for length, extent, step in zip(shape, pool.size, pool.stride, strict=True)
    ]
    axes, strides = writer.integers(2, 3), writer.integers(*pool.stride)
    total: str | None = None
    for y, x in np.ndindex(*pool.size):
        ends = (y + (outputs[0] - 1) * pool.stride[0] + 1, x + (outputs[1] - 1) * pool.stride[1] + 1)
        part = writer.node("Slice", sums, writer.integers(y, x), writer.integers(*ends), axes, strides)
        total = part if total is None else writer.node("Add", total, part)
    assert total is not None
    return total


def _thresholds(writer: _Writer, head: Threshold | MultiThreshold, sums: str) -> str:
    """Add activations, float32, of integers, float64."""
    if isinstance(head, Threshold):
        low, rows, step = -1, head.values[np.newaxis], 2
    else:
        low, rows, step = head.low, head.values, 1
    total: str | None = None
    for values in rows:
        reached = writer.node("GreaterOrEqual", sums, writer.constant(_column(values.astype(np.float64))))
        count = writer.node("Cast", reached, to=TensorProto.FLOAT)
        total = count if total is None else writer.node("Add", total, count)
    assert total is not None
    # Where the head flips, the count falls from its largest.
    scale = np.where(head.flip, -step, step).astype(np.float32)
    bias = np.where(head.flip, low + step * len(rows), low).astype(np.float32)
    scaled = writer.node("Mul", total, writer.constant(_column(scale)))
    return writer.node("Add", scaled, writer.constant(_column(bias)))


def _column(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(-1, 1, 1)
