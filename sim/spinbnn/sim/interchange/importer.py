"""From an ONNX graph to a network: read its nodes in order, fold them, say what was done or is wrong."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from spinbnn.golden.layers import Conv, Dense, Layer, MultiThreshold, Pool, Threshold
from spinbnn.golden.network import Network
from spinbnn.golden.weights import weight_planes
from spinbnn.sim.interchange.graph import Graph, Node, read_graph
from spinbnn.sim.interchange.heads import Logits, logit_head
from spinbnn.sim.interchange.inputs import InputForm
from spinbnn.sim.interchange.operators import (
    QUANTISERS,
    STANDARD,
    Context,
    Inputs,
    Poisoned,
    Unknown,
    Value,
    compute_constants,
)
from spinbnn.sim.interchange.problems import ModelError, Problem, Refused, model_error
from spinbnn.sim.interchange.reshaping import linear_form
from spinbnn.sim.interchange.signals import Constant, ImageSource, Signal, Stage

SIGNS_OF_ZERO = ("refuse", "plus")


@dataclass(frozen=True)
class FoldedLayer:
    """What became of the nodes of one layer.

    Parameters
    ----------
    layer : str
    operation : str
        Conv, MatMul or Gemm.
    folded : tuple of str
        The operations behind it, in order.
    into : str
        What they were folded into.
    """

    layer: str
    operation: str
    folded: tuple[str, ...]
    into: str


@dataclass(frozen=True)
class Imported:
    """A network from a model.

    Parameters
    ----------
    network : Network
    layers : tuple of FoldedLayer
    notes : tuple of str
        What a reader should know: how pixels are coded, what logits mean, what was left out.
    """

    network: Network
    layers: tuple[FoldedLayer, ...]
    notes: tuple[str, ...]


def import_network(
    path: Path, *, input_form: InputForm | None = None, sign_of_zero: str = "refuse", name: str | None = None
) -> Imported:
    """Return the integer network that decides as a QONNX or ONNX model does.

    Parameters
    ----------
    path : Path
    input_form : InputForm, optional
        What the model is given for an image. Without it pixels are 0 to 1, or bytes if the model takes bytes.
    sign_of_zero : {"refuse", "plus"}
        ONNX's Sign of 0 is 0: refuse a Sign that can meet it, or take it as +1.
    name : str, optional
        The network's. Without it that of the file.

    Raises
    ------
    ModelError
        If the file is no model, or some of its nodes are not supported: the text lists all of them.
    NetworkError
        If the layers make no network that golden takes.
    """
    return import_graph(
        read_graph(path), str(path), input_form=input_form, sign_of_zero=sign_of_zero, name=name or path.stem
    )


def import_graph(
    graph: Graph, where: str, *, input_form: InputForm | None, sign_of_zero: str, name: str
) -> Imported:
    """Return the network of a graph; `where` names the model in messages. See `import_network`."""
    if sign_of_zero not in SIGNS_OF_ZERO:
        raise ModelError(f"--sign-of-zero must be {' or '.join(SIGNS_OF_ZERO)}, not '{sign_of_zero}'")
    form = input_form or InputForm(
        scale=InputForm().scale ** 0 if graph.input_is_integer else InputForm().scale
    )
    context = Context(graph, form, sign_of_zero == "plus")
    images = ImageSource(graph.input_shape[1:])
    start = Signal(images, np.arange(int(np.prod(images.shape))).reshape(images.shape), form.steps)
    values: dict[str, Value] = {graph.input_name: start}
    values |= {name: Constant(array) for name, array in graph.constants.items()}
    problems: list[Problem] = []
    readers = Counter(name for node in graph.nodes for name in set(node.inputs))
    for node in graph.nodes:
        try:
            results = _compute(context, node, [values[each] if each else None for each in node.inputs])
        except Poisoned:
            results = []
        except Refused as refused:
            problems.append(Problem(node.name, node.operation, refused.why, refused.accepted))
            results = []
        for number, output in enumerate(node.outputs):
            result = results[number] if number < len(results) else Unknown()
            values[output] = _shared(result) if readers[output] > 1 else result
    if problems:
        raise model_error(where, problems)
    last = graph.nodes[-1]
    try:
        logits = _finish(context, values[graph.output_name])
    except Refused as refused:
        raise model_error(
            where, [Problem(last.name, last.operation, refused.why, refused.accepted)]
        ) from None
    return _assemble(context, images, values[graph.output_name], logits, name)


def _shared(value: Value) -> Value:
    """Return what several nodes read: pooled and rectified integers, if they can be had, for an addition."""
    if not isinstance(value, Signal) or not isinstance(value.source, Stage):
        return value
    try:
        return linear_form(value)
    except Refused:
        return value


def _compute(context: Context, node: Node, inputs: Inputs) -> list[Value]:
    operation = STANDARD.get(node.operation) if node.is_standard else None
    if node.is_quantiser:
        operation = QUANTISERS.get(node.operation)
    all_constant = all(value is None or isinstance(value, Constant) for value in inputs)
    if node.is_standard and all_constant:
        return compute_constants(context, node, inputs)
    if operation is None:
        domain = f" of domain {node.domain}" if node.domain else ""
        raise Refused(
            f"operation {node.operation}{domain} is not supported", "the operations listed in docs/import.md"
        )
    return operation(context, node, inputs)


def _finish(context: Context, output: Value) -> tuple[Stage, Signal, Logits]:
    """Close the last layer.

    Raises
    ------
    Refused
        If what comes out is no logits.
    """
    if not isinstance(output, Signal) or isinstance(output.source, ImageSource):
        raise Refused(
            "the output does not come from a layer", "a convolution or matrix product before the output"
        )
    stage = output.source
    signal = linear_form(output)
    if signal.index.ravel().tolist() != list(range(stage.channels)):
        shape = " x ".join(map(str, signal.shape))
        raise Refused(
            f"the output has {shape} elements an image", "one logit for each neuron of the last layer"
        )
    for other in context.stages:
        if other is not stage and other.reader is None:
            raise Refused(f"the sums of layer {other.what} are added but read by no layer", "layers in a row")
        if other.residual is not None and other.residual.version != other.residual_version:
            raise Refused(
                f"the sums of layer {other.residual.what} are changed behind their addition to {other.what}",
                "an addition of the sums as the layer's quantiser reads them",
            )
    logits = logit_head(stage, signal.steps)
    stage.head, stage.folded = logits.head, signal.trail
    return stage, signal, logits


def _assemble(
    context: Context, images: ImageSource, output: Value, logits: tuple[Stage, Signal, Logits], name: str
) -> Imported:
    assert images.coding is not None
    assert isinstance(output, Signal)
    meaning = logits[2]
    metadata: dict[str, Any] = {
        "source": f"ONNX, {context.graph.producer}".rstrip(", "),
        **images.metadata,
        "logit_scale": str(meaning.scale),
        "logit_offset": str(meaning.offset),
        "logit_exact": meaning.error == 0,
        "logit_error": meaning.error,
    }
    network = Network(
        name=name,
        layers=tuple(_layer(stage) for stage in context.stages),
        input_bits=images.coding.bits,
        input_signed=images.coding.kind == "bipolar",
        metadata=metadata,
    )
    folded = [
        FoldedLayer(stage.name, stage.operation, stage.folded, _shown_head(layer))
        for stage, layer in zip(context.stages, network.layers, strict=True)
    ]
    notes = _notes(images, context.form, meaning, metadata)
    if output.tail is not None:
        notes.append(f"{output.tail} behind the logits is left out: it does not change which is largest")
    if context.sign_of_zero_is_plus:
        notes.append("Sign of 0 is taken as +1, where ONNX has 0")
    return Imported(network, tuple(folded), tuple(notes))


def _layer(stage: Stage) -> Layer:
    assert stage.head is not None
    planes = weight_planes(stage.weights)
    residual = None if stage.residual is None else stage.residual.name
    if stage.window is None:
        return Dense(
            stage.name,
            planes.weights,
            stage.weights.shape[1],
            stage.head,
            weight_shifts=planes.shifts,
            relu=stage.relu,
            residual=residual,
        )
    window = stage.window
    return Conv(
        stage.name,
        planes.weights,
        window.input_shape,
        window.kernel,
        stage.head,
        stride=window.stride,
        padding=window.padding,
        pad_value=window.pad_value,
        pool=stage.pool,
        weight_shifts=planes.shifts,
        relu=stage.relu,
        residual=residual,
    )


def _shown_head(layer: Layer) -> str:
    head = layer.head
    if isinstance(head, Threshold):
        shown = f"{len(head)} thresholds, {int(head.flip.sum())} flipped"
    elif isinstance(head, MultiThreshold):
        largest = head.low + len(head.values)
        shown = f"{len(head)} x {len(head.values)} thresholds, activations {head.low} to {largest}"
    else:
        shown = f"{len(head)} logits"
    if len(layer.weight_shifts) > 1:
        shown += f"; weights of {len(layer.weight_shifts)} planes"
    if layer.relu:
        shown += "; ReLU on sums"
    if isinstance(layer.pool, Pool):
        shown += f"; pool {layer.pool.kind} {layer.pool.size[0]} x {layer.pool.size[1]}"
    if layer.residual is not None:
        shown += f"; adds the sums of {layer.residual}"
    return shown


def _notes(images: ImageSource, form: InputForm, logits: Logits, metadata: dict[str, Any]) -> list[str]:
    assert images.coding is not None
    folded = f", with {', '.join(images.folded)} folded" if images.folded else ""
    if form.bipolar:
        notes = [f"inputs are +1 and -1{folded}"]
    elif "input_threshold" in metadata:
        notes = [f"inputs are 1 where a pixel is at least {metadata['input_threshold']}{folded}"]
    elif "input_table" in metadata:
        most = max(metadata["input_table"])
        notes = [f"inputs are 0 to {most}, from pixels by the table in the metadata{folded}"]
    else:
        notes = [f"inputs are pixels from 0 to 255{folded}"]
    if len(images.shape) == 3 and images.shape[0] > 1:
        notes.append("images are given channels last: element (y * width + x) * channels + c")
    offset = f" + {_number(logits.offset)}" if logits.offset else ""
    exact = "exactly" if not logits.error else f"within {logits.error:.3g}"
    notes.append(f"the model's logits are {_number(logits.scale)} * logits{offset}, {exact}")
    return notes


def _number(value: Fraction) -> str:
    """Return a fraction, or where that is long the nearest float."""
    text = str(value)
    return text if len(text) <= 20 else repr(float(value))
