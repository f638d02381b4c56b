"""The network on integers: layers in a row, what each computes, logits. Nothing here is floating point."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden import kernels
from spinbnn.golden.encoding import Bits, pack
from spinbnn.golden.errors import DataError, NetworkError
from spinbnn.golden.layer_outputs import layer_outputs
from spinbnn.golden.layers import (
    Affine,
    Conv,
    Dense,
    Ints,
    Layer,
    MultiThreshold,
    Shape,
    Threshold,
    integer_shape,
    largest_sum,
    operations,
)

# 2 * popcount is formed before the subtraction, so a sum may take half of int32.
LARGEST_SUM = 2**30 - 1
# Elements of unfolded maps, bytes, that `forward` holds at a time.
_BLOCK_BYTES = 2**27
# Images whose sums `forward` holds at a time.
_BLOCK_IMAGES = 1024


class Format(NamedTuple):
    """How a layer's inputs are coded: in `bits` bits, of a kind that is "bipolar", "unsigned" or "signed"."""

    bits: int
    kind: str

    @property
    def largest(self) -> int:
        """The largest absolute value."""
        if self.kind == "signed":
            return 1 << (self.bits - 1)
        return (1 << self.bits) - 1


@dataclass(frozen=True)
class Network:
    """Layers in a row, every one but the last with a threshold, the last with an affine head.

    Parameters
    ----------
    name : str
    layers : tuple of Dense and Conv
    input_bits : int
        Bits of an input element, 1 to 8.
    input_signed : bool
        Inputs are +1 and -1, given as 1 and 0; `input_bits` must then be 1. Otherwise inputs are unsigned.
    metadata : dict
        Anything that JSON holds: where the network comes from, what it was trained on.

    Raises
    ------
    NetworkError
        If layers do not fit each other, a value is out of range, or a sum or logit could overflow.
    """

    name: str
    layers: tuple[Layer, ...]
    input_bits: int
    input_signed: bool
    metadata: dict[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name or not self.name.isprintable():
            raise NetworkError(f"a network's name must be printable text, not {self.name!r}")
        if not isinstance(self.input_signed, bool):
            raise NetworkError(f"input_signed must be true or false, not {self.input_signed!r}")
        if not isinstance(self.input_bits, int) or isinstance(self.input_bits, bool):
            raise NetworkError(f"input_bits must be an integer, not {self.input_bits!r}")
        if not 1 <= self.input_bits <= 8:
            raise NetworkError(f"input_bits must be 1 to 8, not {self.input_bits}")
        if self.input_signed and self.input_bits != 1:
            raise NetworkError(f"input_bits must be 1 for signed inputs, not {self.input_bits}")
        object.__setattr__(self, "metadata", _json_copy(self.metadata))
        self._check_layers()

    def _check_layers(self) -> None:
        if not isinstance(self.layers, tuple) or not all(isinstance(layer, Layer) for layer in self.layers):
            raise NetworkError(f"layers must be a tuple of Dense and Conv, not {type(self.layers).__name__}")
        if not self.layers:
            raise NetworkError("a network must have at least one layer, not none")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise NetworkError(f"layer names must differ, not {', '.join(names)}")
        for before, layer in pairwise(self.layers):
            _check_joint(before, layer)
        largest: dict[str, int] = {}
        for index, layer in enumerate(self.layers):
            self._check_head(index)
            if isinstance(layer, Conv) and layer.pad_value and self.format_into(index).kind != "bipolar":
                raise NetworkError(
                    f"layer '{layer.name}': pad_value must be 0 for inputs that are not +1 and -1, "
                    f"not {layer.pad_value}"
                )
            largest[layer.name] = self._largest_integer(index, largest)
        self._check_logits(largest[self.layers[-1].name])

    def _check_head(self, index: int) -> None:
        layer, last = self.layers[index], index == len(self.layers) - 1
        if isinstance(layer.head, Affine) != last:
            expected = "Affine" if last else "Threshold or MultiThreshold"
            raise NetworkError(
                f"layer '{layer.name}': head must be {expected} in layer {index} of "
                f"{len(self.layers)}, not {type(layer.head).__name__}"
            )
        if last and layer.output_shape[:2] != (1, 1):
            height, width, _ = layer.output_shape
            raise NetworkError(
                f"layer '{layer.name}': the last layer must have one output pixel, not {height} x {width}"
            )
        if last and layer.pool is not None and layer.pool.kind == "or":
            raise NetworkError(f"layer '{layer.name}': the last layer has no activations to pool by or")

    def _largest_integer(self, index: int, before: dict[str, int]) -> int:
        """Return the largest integer that a layer's head can meet; `before` has those of earlier layers."""
        layer = self.layers[index]
        largest = largest_sum(layer, self.format_into(index).largest)
        if layer.residual is not None:
            if layer.residual not in before:
                raise NetworkError(
                    f"layer '{layer.name}': residual must be the name of an earlier layer, "
                    f"not {layer.residual!r}"
                )
            source = next(each for each in self.layers if each.name == layer.residual)
            if integer_shape(source) != integer_shape(layer):
                raise NetworkError(
                    f"layer '{layer.name}': residual must have the shape {integer_shape(layer)}, "
                    f"not {integer_shape(source)} of '{source.name}'"
                )
            largest += before[layer.residual]
        if largest > LARGEST_SUM:
            raise NetworkError(
                f"layer '{layer.name}': sums must stay within {LARGEST_SUM}, not reach {largest}"
            )
        return largest

    def _check_logits(self, largest: int) -> None:
        """See that no logit can overflow int32."""
        layer = self.layers[-1]
        head = layer.head
        assert isinstance(head, Affine)
        scale, bias = np.abs(head.scale.astype(np.int64)), np.abs(head.bias.astype(np.int64))
        reach = int((scale * largest + bias).max())
        if reach > 2**31 - 1:
            raise NetworkError(
                f"layer '{layer.name}': scale * sum + bias must stay within {2**31 - 1}, not reach {reach}"
            )

    @property
    def input_shape(self) -> Shape:
        """Height, width and channels of an image; 1, 1 and its elements before a fully connected layer."""
        first = self.layers[0]
        return first.input_shape if isinstance(first, Conv) else (1, 1, first.inputs)

    @property
    def inputs(self) -> int:
        """Elements of an image."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Logits of an image."""
        return self.layers[-1].outputs

    def format_into(self, layer: int) -> Format:
        """Return how the inputs of layer number `layer` are coded."""
        if layer == 0:
            return Format(self.input_bits, "bipolar" if self.input_signed else "unsigned")
        head = self.layers[layer - 1].head
        if isinstance(head, MultiThreshold):
            return Format(head.bits, "signed" if head.low < 0 else "unsigned")
        return Format(1, "bipolar")


def _check_joint(before: Layer, layer: Layer) -> None:
    """See that a layer reads what the one before gives."""
    if layer.inputs != before.outputs:
        raise NetworkError(
            f"layer '{layer.name}': inputs must be the {before.outputs} outputs of "
            f"'{before.name}', not {layer.inputs}"
        )
    if isinstance(layer, Conv) and layer.input_shape != before.output_shape:
        raise NetworkError(
            f"layer '{layer.name}': input_shape must be {before.output_shape}, the output of "
            f"'{before.name}', not {layer.input_shape}"
        )


def _json_copy(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of metadata, having seen that JSON keeps every bit of it."""
    try:
        copy = json.loads(json.dumps(metadata, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        copy = None
    if not isinstance(copy, dict) or copy != metadata:
        raise NetworkError(
            "metadata must be a dict of what JSON holds (text keys, lists, finite numbers), not other types"
        )
    return copy


Store = Callable[[int, Bits], Bits]


@dataclass(frozen=True)
class LayerTrace:
    """What one layer computed.

    Parameters
    ----------
    sums : int32 [n, elements]
        The integers that its head met: behind ReLU, pooling of integers and the residual; a map is flattened.
    bits : uint8 [n, outputs] or None
        The codes of the activations as the next layer reads them; None in the last layer.
    """

    sums: Ints
    bits: Bits | None


def check_images(network: Network, x: NDArray[np.uint8]) -> None:
    """See that images suit a network.

    Raises
    ------
    DataError
        If the type, shape or range of `x`, uint8 [n, K], is wrong.
    """
    if x.dtype != np.uint8 or x.ndim != 2 or x.shape[1] != network.inputs:
        raise DataError(
            f"images must be uint8 of shape (n, {network.inputs}) for network '{network.name}', "
            f"not {x.dtype} of shape {x.shape}"
        )
    largest = 2**network.input_bits - 1
    if x.size and int(x.max()) > largest:
        raise DataError(f"pixels must be at most {largest} for network '{network.name}', not {x.max()}")


Run = Callable[..., tuple[Ints | None, Bits | None]]


def _runs(network: Network, images: int) -> list[Run]:
    """Return what computes each layer: compiled kernels where they are worth it, otherwise NumPy."""
    formats = [network.format_into(index) for index in range(len(network.layers))]
    each = list(zip(network.layers, formats, strict=True))
    if kernels.chosen(images * sum(operations(layer, form.bits) for layer, form in each)):
        return [kernels.Kernel(layer, *form) for layer, form in each]
    return [partial(layer_outputs, layer, *form) for layer, form in each]


def _walk(
    network: Network, runs: list[Run], x: NDArray[np.uint8], store: Store | None = None, *, keep_sums: bool
) -> Iterator[tuple[Ints | None, Bits | None]]:
    """Yield, layer after layer, the integers, int32 [n, pixels, N], and the codes, uint8 [n, outputs].

    Without `keep_sums` the integers of a layer may be None; not those of the last.
    """
    integers: dict[str, Ints] = {}
    kept = {layer.residual for layer in network.layers}
    for index, (layer, run) in enumerate(zip(network.layers, runs, strict=True)):
        residual = None if layer.residual is None else integers[layer.residual]
        needed = keep_sums or layer.name in kept or layer is network.layers[-1]
        sums, bits = run(x, residual, keep_sums=needed)
        if layer.name in kept:
            assert sums is not None
            integers[layer.name] = sums
        if bits is not None and store is not None:
            bits = store(index, bits)
        yield sums, bits
        if bits is not None:
            x = bits


def trace(network: Network, x: NDArray[np.uint8], store: Store | None = None) -> list[LayerTrace]:
    """Return what every layer computed.

    Parameters
    ----------
    network : Network
    x : uint8 [n, K]
    store : callable, optional
        Given a layer's index and its activations, uint8 [n, N], returns what the next layer reads of them; by
        default they themselves.

    Returns
    -------
    list of LayerTrace
        One a layer.

    Raises
    ------
    DataError
        If the type, shape or range of `x` does not suit the network.
    """
    check_images(network, x)
    traces = []
    for sums, bits in _walk(network, _runs(network, len(x)), x, store, keep_sums=True):
        assert sums is not None
        traces.append(LayerTrace(sums.reshape(len(x), sums.shape[1] * sums.shape[2]), bits))
    return traces


def forward(network: Network, x: NDArray[np.uint8]) -> Ints:
    """Return the logits.

    Parameters
    ----------
    network : Network
    x : uint8 [n, K]

    Returns
    -------
    int32 [n, classes]

    Raises
    ------
    DataError
        If the type, shape or range of `x` does not suit the network.
    """
    check_images(network, x)
    head = network.layers[-1].head
    assert isinstance(head, Affine)
    logits = np.empty((len(x), network.outputs), dtype=np.int32)
    unfolded = max(_unfolded_bytes(layer) for layer in network.layers)
    images = max(1, min(_BLOCK_IMAGES, _BLOCK_BYTES // unfolded))
    runs = _runs(network, len(x))
    for first in range(0, len(x), images):
        block = slice(first, first + images)
        *_, (sums, _) = _walk(network, runs, x[block], keep_sums=False)
        assert sums is not None
        logits[block] = head.logits(sums[:, 0])
    return logits


def _unfolded_bytes(layer: Layer) -> int:
    """Return the size of the windows of an image, a byte an element."""
    positions = layer.sum_shape[0] * layer.sum_shape[1] if isinstance(layer, Conv) else 1
    return positions * layer.sum_length


def classify(logits: Ints) -> NDArray[np.int64]:
    """Return the class, int64 [n], of logits, int32 [n, classes]: the first of the largest."""
    classes: NDArray[np.int64] = np.argmax(logits, axis=-1).astype(np.int64, copy=False)
    return classes


def random_network(
    sizes: Sequence[int], input_bits: int = 8, input_signed: bool = False, seed: int = 0
) -> Network:
    """Return a network of random weights, the same for the same arguments.

    Thresholds lie where sums of random inputs fall, so that activations are neither all 0 nor all 1.

    Parameters
    ----------
    sizes : sequence of int
        Elements of an image, then neurons of each layer.
    input_bits, input_signed
        As in `Network`.
    seed : int
    """
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    for index, (inputs, outputs) in enumerate(pairwise(sizes)):
        weights = pack(rng.integers(0, 2, (outputs, inputs), dtype=np.uint8))
        head: Threshold | Affine
        if index < len(sizes) - 2:
            spread = isqrt(inputs) * (2**input_bits - 1 if index == 0 else 1)
            values = rng.integers(-spread, spread, outputs, dtype=np.int32, endpoint=True)
            head = Threshold(values, rng.integers(0, 2, outputs) == 1)
        else:
            scale = rng.integers(-100, 100, outputs, dtype=np.int32, endpoint=True)
            head = Affine(scale, rng.integers(-1000, 1000, outputs, dtype=np.int32, endpoint=True))
        layers.append(Dense(f"layer{index}", weights, inputs, head))
    name = "random-" + "-".join(str(size) for size in sizes)
    return Network(name, tuple(layers), input_bits, input_signed, {"seed": seed})
