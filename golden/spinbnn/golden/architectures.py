"""Shapes of networks, without weights: the presets of the literature, and networks made from a shape.

Images are raw pixels, which no mean is subtracted from. What else in a preset differs from where it was
published is in its `Architecture.source`; ``docs/networks.md`` has all of them as a table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, exp, pi, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.errors import NetworkError
from spinbnn.golden.layers import (
    MAX_ACTIVATION_BITS,
    Affine,
    Conv,
    Dense,
    Head,
    Layer,
    MultiThreshold,
    Pool,
    Shape,
    Threshold,
    check_integer,
)
from spinbnn.golden.network import Network
from spinbnn.golden.weights import weight_planes

Weights = NDArray[np.integer]

_LARGEST_LOGIT = 2**31 - 1


@dataclass(frozen=True)
class DenseShape:
    """A fully connected layer.

    Parameters
    ----------
    neurons : int
    relu : bool
        Negative sums become 0.
    weight_bits : int
        1: weights are +1 and -1; b: the odd integers from ``1 - 2**b`` to ``2**b - 1``, up to 8 bits.
    activation_bits : int
        1 to 4. Of the last layer, which has logits, it means nothing.
    activation_signed : bool
        If set, activations of 1 bit are +1 and -1, and those of b bits are ``1 - 2**(b - 1)`` to
        ``2**(b - 1) - 1``; otherwise they are 0 to ``2**b - 1``.
    """

    neurons: int
    relu: bool = False
    weight_bits: int = 1
    activation_bits: int = 1
    activation_signed: bool = True

    @property
    def pool(self) -> None:
        """There is no map to pool."""
        return None


@dataclass(frozen=True)
class ConvShape:
    """A convolution with a square kernel.

    Parameters
    ----------
    neurons : int
        Channels of the output.
    kernel : int
        Height and width.
    stride : int
        Down and across.
    padding : (int, int, int, int)
        Pixels of zeros at the top, left, bottom and right.
    pool : Pool, optional
    relu, weight_bits, activation_bits, activation_signed
        As in `DenseShape`.
    """

    neurons: int
    kernel: int
    stride: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    pool: Pool | None = None
    relu: bool = False
    weight_bits: int = 1
    activation_bits: int = 1
    activation_signed: bool = True


LayerShape = DenseShape | ConvShape


@dataclass(frozen=True)
class LayerPlan:
    """A layer of an architecture, with all that follows from the layers before it.

    Attributes
    ----------
    name : str
    shape : DenseShape or ConvShape
    input_shape : (int, int, int)
        Height, width and channels of the map that it reads; a fully connected layer's is flattened.
    output_shape : (int, int, int)
        Of the map that it writes.
    sum_length : int
        K, inputs that a sum is formed of.
    inputs_are_signs : bool
        Inputs are +1 and -1.
    lowest_input, highest_input : int
    """

    name: str
    shape: LayerShape
    input_shape: Shape
    output_shape: Shape
    sum_length: int
    inputs_are_signs: bool
    lowest_input: int
    highest_input: int

    @property
    def weight_count(self) -> int:
        """How many weights there are."""
        return self.shape.neurons * self.sum_length

    @property
    def reach(self) -> int:
        """The largest absolute integer that the head can meet, whatever the weights."""
        pool = self.shape.pool
        window = pool.size[0] * pool.size[1] if pool is not None and pool.kind == "sum" else 1
        largest_weight = (1 << self.shape.weight_bits) - 1
        return self.sum_length * largest_weight * max(-self.lowest_input, self.highest_input) * window


@dataclass(frozen=True)
class Architecture:
    """The shape of a network.

    Parameters
    ----------
    name : str
    source : str
        Where it is published, and what differs from there.
    input_shape : (int, int, int)
        Height, width and channels of an image.
    input_bits : int
        Bits of an element, 1 to 8.
    input_signed : bool
        Elements are +1 and -1.
    layers : tuple of DenseShape and ConvShape

    Raises
    ------
    NetworkError
        If a number is impossible or a layer does not fit the map before it.
    """

    name: str
    source: str
    input_shape: Shape
    input_bits: int
    input_signed: bool
    layers: tuple[LayerShape, ...]

    def __post_init__(self) -> None:
        if not self.layers:
            raise NetworkError(f"architecture '{self.name}': layers must be at least one, not none")
        for size in self.input_shape:
            check_integer(f"architecture '{self.name}': a size of input_shape", size, 1, 65535)
        check_integer(f"architecture '{self.name}': input_bits", self.input_bits, 1, 8)
        self.plan()

    @property
    def classes(self) -> int:
        """Neurons of the last layer."""
        return self.layers[-1].neurons

    @property
    def weight_count(self) -> int:
        """Weights of all layers."""
        return sum(layer.weight_count for layer in self.plan())

    @property
    def weight_bit_count(self) -> int:
        """Bits that hold all weights."""
        return sum(layer.weight_count * layer.shape.weight_bits for layer in self.plan())

    def plan(self) -> tuple[LayerPlan, ...]:
        """Return the layers, each with the maps that it reads and writes."""
        plans: list[LayerPlan] = []
        map_shape = self.input_shape
        signs = self.input_signed
        low, high = (-1, 1) if signs else (0, 2**self.input_bits - 1)
        for index, shape in enumerate(self.layers):
            name = f"{'conv' if isinstance(shape, ConvShape) else 'dense'}{index}"
            self._check(name, shape)
            height, width, channels = map_shape
            if isinstance(shape, ConvShape):
                after, length = self._convolved(name, shape, map_shape), shape.kernel**2 * channels
            else:
                after, length = (1, 1, shape.neurons), height * width * channels
            plans.append(LayerPlan(name, shape, map_shape, after, length, signs, low, high))
            map_shape = after
            signs = shape.activation_bits == 1 and shape.activation_signed
            low, high = activation_range(shape)
        if map_shape[:2] != (1, 1):
            raise NetworkError(
                f"architecture '{self.name}': the last layer must have one output position, "
                f"not {map_shape[0]} x {map_shape[1]}"
            )
        return tuple(plans)

    def _check(self, name: str, shape: LayerShape) -> None:
        where = f"architecture '{self.name}', layer '{name}':"
        check_integer(f"{where} neurons", shape.neurons, 1, 2**20)
        check_integer(f"{where} weight_bits", shape.weight_bits, 1, 8)
        check_integer(f"{where} activation_bits", shape.activation_bits, 1, MAX_ACTIVATION_BITS)
        if isinstance(shape, ConvShape):
            check_integer(f"{where} kernel", shape.kernel, 1, 255)
            check_integer(f"{where} stride", shape.stride, 1, 255)
            for pixels in shape.padding:
                check_integer(f"{where} padding", pixels, 0, 255)

    def _convolved(self, name: str, shape: ConvShape, before: Shape) -> Shape:
        """Return the output map of a convolution, pooled."""
        top, left, bottom, right = shape.padding
        padded = before[0] + top + bottom, before[1] + left + right
        sums = [(size - shape.kernel) // shape.stride + 1 for size in padded]
        after = list(sums)
        if shape.pool is not None:
            windows = zip(sums, shape.pool.size, shape.pool.stride, strict=True)
            after = [(size - window) // stride + 1 for size, window, stride in windows]
        if min(sums) < 1 or min(after) < 1:
            raise NetworkError(
                f"architecture '{self.name}', layer '{name}': kernel and pooling must fit in the padded map "
                f"of {padded[0]} x {padded[1]}, not be larger"
            )
        return after[0], after[1], shape.neurons


def activation_range(shape: LayerShape) -> tuple[int, int]:
    """Return the smallest and the largest activation of a hidden layer."""
    if shape.activation_signed:
        largest = max(1, 2 ** (shape.activation_bits - 1) - 1)
        return -largest, largest
    return 0, 2**shape.activation_bits - 1


def build(
    architecture: Architecture,
    weights: Sequence[Weights],
    heads: Sequence[Head],
    name: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> Network:
    """Return a network of this shape.

    Parameters
    ----------
    architecture : Architecture
    weights : sequence of integer [N, K]
        One a layer, each +1 or -1, or odd with more `weight_bits`. Input k of a convolution is
        ``(ky * kernel + kx) * C + c``.
    heads : sequence of Threshold, MultiThreshold or Affine
        One a layer.
    name : str, optional
        The architecture's by default.
    metadata : dict, optional

    Raises
    ------
    NetworkError
        If a shape or value is wrong.
    """
    parts = zip(architecture.plan(), weights, heads, strict=True)
    layers = tuple(_build_layer(plan, integers, head) for plan, integers, head in parts)
    return Network(
        name or architecture.name, layers, architecture.input_bits, architecture.input_signed, metadata or {}
    )


def _build_layer(plan: LayerPlan, weights: Weights, head: Head) -> Layer:
    shape = plan.shape
    expected = shape.neurons, plan.sum_length
    if weights.dtype.kind != "i" or weights.shape != expected:
        raise NetworkError(
            f"layer '{plan.name}': weights must be signed integers of shape {expected}, "
            f"not {weights.dtype} of shape {weights.shape}"
        )
    largest = 2**shape.weight_bits - 1
    if not (-largest <= int(weights.min()) and int(weights.max()) <= largest and (weights & 1).all()):
        raise NetworkError(f"layer '{plan.name}': weights must be odd integers from {-largest} to {largest}")
    packed, shifts, _ = weight_planes(weights)
    if isinstance(shape, DenseShape):
        return Dense(plan.name, packed, plan.sum_length, head, weight_shifts=shifts, relu=shape.relu)
    return Conv(
        plan.name,
        packed,
        plan.input_shape,
        (shape.kernel, shape.kernel),
        head,
        stride=(shape.stride, shape.stride),
        padding=shape.padding,
        pool=shape.pool,
        weight_shifts=shifts,
        relu=shape.relu,
    )


def build_random(architecture: Architecture, seed: int = 0) -> Network:
    """Return a network of this shape with random weights, the same for the same arguments.

    Thresholds lie where the integers of random inputs fall, so that each activation occurs about as often.

    Parameters
    ----------
    architecture : Architecture
    seed : int
    """
    rng = np.random.default_rng(seed)
    plans = architecture.plan()
    weights: list[Weights] = []
    heads: list[Head] = []
    for index, plan in enumerate(plans):
        size = plan.shape.neurons, plan.sum_length
        codes = rng.integers(0, 2**plan.shape.weight_bits, size, dtype=np.uint8)
        weights.append(2 * codes.astype(np.int16) - np.int16(2**plan.shape.weight_bits - 1))
        is_last = index == len(plans) - 1
        heads.append(_random_affine(plan, rng) if is_last else _random_thresholds(plan, weights[-1], rng))
    return build(architecture, weights, heads, f"random-{architecture.name}", {"seed": seed})


def _random_affine(plan: LayerPlan, rng: np.random.Generator) -> Affine:
    largest_bias = 1000
    largest_scale = max(1, min(100, (_LARGEST_LOGIT - largest_bias) // plan.reach))
    neurons = plan.shape.neurons
    scale = rng.integers(-largest_scale, largest_scale, neurons, dtype=np.int32, endpoint=True)
    return Affine(scale, rng.integers(-largest_bias, largest_bias, neurons, dtype=np.int32, endpoint=True))


def _random_thresholds(plan: LayerPlan, weights: Weights, rng: np.random.Generator) -> Head:
    shape = plan.shape
    centre, deviation = _integers_met(plan, weights)
    flip = rng.integers(0, 2, shape.neurons) == 1
    low, high = activation_range(shape)
    count = 1 if shape.activation_bits == 1 else high - low
    middles = np.array([NormalDist().inv_cdf((step + 1) / (count + 1)) for step in range(count)])
    places = middles[:, np.newaxis] + rng.uniform(-1, 1, shape.neurons) / count
    if shape.pool is not None and shape.pool.kind == "or":
        places += np.where(flip, -1, 1) * _largest_of(shape.pool)
    values = np.rint(centre + deviation * places).astype(np.int32)
    if shape.relu:  # behind it no integer is below 0, so that a threshold of 0 or less tells nothing
        values = np.maximum(values, 1)
    if shape.activation_bits == 1 and shape.activation_signed:
        return Threshold(values[0], flip)
    return MultiThreshold(values, flip, shape.activation_bits, low)


def _integers_met(plan: LayerPlan, weights: Weights) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centre and deviation, float64 [N], of what the heads meet when inputs are uniformly random."""
    levels = plan.highest_input - plan.lowest_input + 1
    mean = (plan.highest_input + plan.lowest_input) / 2
    deviation = 1.0 if plan.inputs_are_signs else sqrt((levels**2 - 1) / 12)
    whole = weights.astype(np.float64)
    centres = mean * whole.sum(axis=1)
    deviations = deviation * np.sqrt((whole**2).sum(axis=1))
    if plan.shape.relu:
        positive = [_rectified(*pair) for pair in zip(centres, deviations, strict=True)]
        centres, deviations = (np.array(column) for column in zip(*positive, strict=True))
    pool = plan.shape.pool
    if pool is not None and pool.kind == "sum":
        window = pool.size[0] * pool.size[1]
        return centres * window, deviations * sqrt(window)
    if pool is not None and pool.kind == "max":
        return centres + deviations * _largest_of(pool), deviations
    return centres, deviations


def _largest_of(pool: Pool) -> float:
    """Return the mean of the largest of a window's normal numbers, by G. Blom's approximation."""
    window = pool.size[0] * pool.size[1]
    return NormalDist().inv_cdf((window - 0.375) / (window + 0.25))


def _rectified(centre: float, deviation: float) -> tuple[float, float]:
    """Return mean and deviation of the positive part of a normal number."""
    z = centre / deviation
    above = (1 + erf(z / sqrt(2))) / 2
    density = exp(-z * z / 2) / sqrt(2 * pi)
    mean = centre * above + deviation * density
    square = (centre**2 + deviation**2) * above + centre * deviation * density
    return mean, sqrt(max(square - mean**2, deviation**2 / 100))


def perceptron(
    name: str, source: str, sizes: Sequence[int], input_bits: int, input_signed: bool
) -> Architecture:
    """Return a network of fully connected layers: elements of an image, then neurons of each layer."""
    layers = tuple(DenseShape(neurons) for neurons in sizes[1:])
    return Architecture(name, source, (1, 1, sizes[0]), input_bits, input_signed, layers)


_SAME_3 = (1, 1, 1, 1)  # padding that keeps the size of a map under a 3x3 kernel
_SAME_5 = (2, 2, 2, 2)  # and under a 5x5 kernel
# Pooling of 3x3 windows 2 apart with padding 1, as PyTorch does it on an even map. Windows here are whole, so
# the 1x1 convolution before it makes the zeros; they change no maximum and no sum of what a ReLU left.
_FOR_POOL = (1, 1, 0, 0)
_MAX_2 = Pool("max", (2, 2), (2, 2))
_MAX_3 = Pool("max", (3, 3), (2, 2))
_OR_2 = Pool("or", (2, 2), (2, 2))

_FINN = "Y. Umuroglu et al., FINN, arXiv:1612.07119"
_BREVITAS = "bnn_pynq in github.com/Xilinx/brevitas"
_XNOR_PYTORCH = "github.com/jiecaoyu/XNOR-Net-PyTorch"


def _cnv(name: str, source: str, activation_bits: int) -> Architecture:
    """Return FINN's convolutional network."""
    conv = [
        ConvShape(neurons, 3, pool=pool, activation_bits=activation_bits)
        for neurons, pool in ((64, None), (64, _OR_2), (128, None), (128, _OR_2), (256, None), (256, None))
    ]
    dense = [DenseShape(512, activation_bits=activation_bits) for _ in range(2)]
    return Architecture(name, source, (32, 32, 3), 8, False, (*conv, *dense, DenseShape(10)))


_PRESETS = (
    perceptron(
        "mlp-1024",
        "T. Hirtzlin et al., arXiv:1908.04085: the fully connected network for MNIST",
        (784, 1024, 1024, 10),
        8,
        False,
    ),
    perceptron("sfc", f"{_FINN}: SFC", (784, 256, 256, 256, 10), 1, True),
    perceptron("lfc", f"{_FINN}: LFC", (784, 1024, 1024, 1024, 10), 1, True),
    perceptron("tfc", f"{_BREVITAS}: TFC", (784, 64, 64, 64, 10), 1, True),
    perceptron("digits", "made for scikit-learn's digits of 8 x 8 pixels", (64, 256, 256, 10), 5, False),
    Architecture(
        "lenet4",
        "M. Tzoufras, M. Gajek, A. Walker, arXiv:1905.10927: LeNet-4; sizes are those of the "
        f"network of four layers for MNIST in {_XNOR_PYTORCH}; weights of the first and last layer and the "
        "inputs of the last are real there, signs here",
        (28, 28, 1),
        8,
        False,
        (
            ConvShape(20, 5, pool=_MAX_2),
            ConvShape(50, 5, pool=_MAX_2, relu=True),
            DenseShape(500, relu=True),
            DenseShape(10),
        ),
    ),
    Architecture(
        "bnn-cifar10",
        "M. Courbariaux et al., Binarized Neural Networks, arXiv:1602.02830: the network for CIFAR-10",
        (32, 32, 3),
        8,
        False,
        (
            ConvShape(128, 3, padding=_SAME_3),
            ConvShape(128, 3, padding=_SAME_3, pool=_MAX_2),
            ConvShape(256, 3, padding=_SAME_3),
            ConvShape(256, 3, padding=_SAME_3, pool=_MAX_2),
            ConvShape(512, 3, padding=_SAME_3),
            ConvShape(512, 3, padding=_SAME_3, pool=_MAX_2),
            DenseShape(1024),
            DenseShape(1024),
            DenseShape(10),
        ),
    ),
    _cnv("cnv", f"{_FINN}: CNV", 1),
    _cnv("cnv-w1a2", f"{_BREVITAS}: CNV with activations of 2 bits, which are -1, 0 and 1", 2),
    Architecture(
        "nin",
        f"{_XNOR_PYTORCH}: Network-in-Network for CIFAR-10; weights of the first and last layer are real "
        "there, of 8 bits here; the last layer's inputs are real there, signs here",
        (32, 32, 3),
        8,
        False,
        (
            ConvShape(192, 5, padding=_SAME_5, weight_bits=8),
            ConvShape(160, 1, relu=True),
            ConvShape(96, 1, padding=_FOR_POOL, pool=_MAX_3, relu=True),
            ConvShape(192, 5, padding=_SAME_5, relu=True),
            ConvShape(192, 1, relu=True),
            ConvShape(192, 1, padding=_FOR_POOL, pool=Pool("sum", (3, 3), (2, 2)), relu=True),
            ConvShape(192, 3, padding=_SAME_3, relu=True),
            ConvShape(192, 1, relu=True),
            ConvShape(10, 1, pool=Pool("sum", (8, 8), (1, 1)), relu=True, weight_bits=8),
        ),
    ),
    Architecture(
        "xnor-alexnet",
        "M. Rastegari et al., XNOR-Net, arXiv:1603.05279: AlexNet, with the sizes it has in "
        f"{_XNOR_PYTORCH}; images are 227 x 227 there, 224 x 224 with padding 2 here; weights of the first "
        "and last layer are real there, of 8 bits here; the last layer's inputs are real there, signs here",
        (224, 224, 3),
        8,
        False,
        (
            ConvShape(96, 11, stride=4, padding=_SAME_5, pool=_MAX_3, weight_bits=8),
            ConvShape(256, 5, padding=_SAME_5, pool=_MAX_3, relu=True),
            ConvShape(384, 3, padding=_SAME_3, relu=True),
            ConvShape(384, 3, padding=_SAME_3, relu=True),
            ConvShape(256, 3, padding=_SAME_3, pool=_MAX_3, relu=True),
            DenseShape(4096, relu=True),
            DenseShape(4096, relu=True),
            DenseShape(1000, weight_bits=8),
        ),
    ),
)

ARCHITECTURES = {architecture.name: architecture for architecture in _PRESETS}
"""The presets by name."""
