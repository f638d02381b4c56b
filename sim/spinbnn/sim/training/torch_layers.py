"""Layers in PyTorch: the integers that golden computes, their normalisation, activations with a gradient."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spinbnn.golden.architectures import (
    Architecture,
    ConvShape,
    DenseShape,
    LayerPlan,
    LayerShape,
    activation_range,
)
from spinbnn.golden.errors import SpinbnnError
from spinbnn.sim.training.model import EPSILON, TrainedLayer, activation_levels

# Of the largest map: of larger ones each layer's is new memory, which the system clears first.
_ELEMENTS_AT_A_TIME = 2**21
_EXACT_IN_FLOAT32 = 2**24  # integers up to here are, and so are sums of them in any order
_MOMENTUM = 0.1  # weight of the newest batch in the running mean and variance of batch normalisation


def import_torch() -> Any:
    """Return PyTorch, which is not among the package's own requirements.

    Raises
    ------
    SpinbnnError
        If it is missing.
    """
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        raise SpinbnnError('training needs PyTorch: pip install "spinbnn[train]"') from error


@dataclass
class TorchLayer:
    """The tensors of a layer.

    `weight` is latent while training, and integers afterwards: [N, K] of a fully connected layer, whose K
    elements are channels last, and [N, C, kernel, kernel] of a convolution.
    """

    weight: Any
    gamma: Any
    beta: Any
    mean: Any
    variance: Any


def weight_shape(plan: LayerPlan) -> tuple[int, ...]:
    """Return the shape of a layer's weights in PyTorch."""
    if isinstance(plan.shape, ConvShape):
        return plan.shape.neurons, plan.input_shape[2], plan.shape.kernel, plan.shape.kernel
    return plan.shape.neurons, plan.sum_length


def to_trained(plan: LayerPlan, layer: TorchLayer) -> TrainedLayer:
    """Return a layer with latent weights as what it became."""
    weight = quantised(layer.weight.detach(), plan.shape.weight_bits)
    if weight.dim() == 4:
        weight = weight.permute(0, 2, 3, 1).flatten(1)
    vectors = (getattr(layer, name).detach().numpy().copy() for name in ("gamma", "beta", "mean", "variance"))
    return TrainedLayer(weight.numpy().astype(np.int16), *vectors)


def from_trained(torch: Any, plan: LayerPlan, layer: TrainedLayer) -> TorchLayer:
    """Return what a layer became, in float64."""
    weight = torch.from_numpy(layer.weights).double()
    if isinstance(plan.shape, ConvShape):
        neurons, channels, height, width = weight_shape(plan)
        weight = weight.reshape(neurons, height, width, channels).permute(0, 3, 1, 2).contiguous()
    vectors = (layer.gamma, layer.beta, layer.mean, layer.variance)
    return TorchLayer(weight, *(torch.from_numpy(vector).double() for vector in vectors))


def inputs(torch: Any, architecture: Architecture, pixels: NDArray[np.uint8], dtype: Any) -> Any:
    """Return pixels, uint8 [n, elements] as the network reads them, as the first layer takes them."""
    x = torch.tensor(pixels).to(dtype)
    if architecture.input_signed:
        x = x.mul_(2).sub_(1)
    if isinstance(architecture.layers[0], ConvShape):
        x = x.unflatten(1, architecture.input_shape).permute(0, 3, 1, 2)
    return x


def logits(
    torch: Any,
    architecture: Architecture,
    layers: Sequence[TorchLayer],
    weights: Sequence[Any],
    x: Any,
    training: bool,
    disturb: Callable[[Any], None] | None = None,
) -> Any:
    """Return the normalised integers of the last layer.

    `weights` are the layers' integers; those of `layers` are not used. All is computed in the type of `x`,
    but for mean and variance, which have their own. In training, the mean and variance of the batch
    normalise, and move those of the layers. `disturb` may change the activations that the next layer reads,
    in place: gradients pass as if it had not.
    """
    for plan, layer, weight in zip(architecture.plan(), layers, weights, strict=True):
        x = torch.nn.functional.batch_norm(
            _integers(torch, plan, weight, x),
            layer.mean,
            layer.variance,
            layer.gamma,
            layer.beta,
            training,
            _MOMENTUM,
            EPSILON,
        )
        if layer is not layers[-1]:
            x = _activations(torch, plan.shape, x)
            if disturb is not None:
                x = x.movedim(1, -1).contiguous()  # errors are drawn in the order of memory
                disturb(x.detach())
                x = x.movedim(-1, 1)
    return x.flatten(1)


def classes(
    torch: Any,
    architecture: Architecture,
    layers: Sequence[TorchLayer],
    pixels: NDArray[np.uint8],
    dtype: Any,
) -> NDArray[np.int64]:
    """Return the classes of images by layers with integer weights.

    Parameters
    ----------
    pixels : uint8 [n, elements]
        As the network reads them.
    """
    weights = [layer.weight for layer in layers]
    images = max(1, _ELEMENTS_AT_A_TIME // max(math.prod(plan.input_shape) for plan in architecture.plan()))
    found = []
    with torch.no_grad():
        for first in range(0, len(pixels), images):
            x = inputs(torch, architecture, pixels[first : first + images], dtype)
            found.append(logits(torch, architecture, layers, weights, x, False).argmax(1))
    result: NDArray[np.int64] = torch.cat(found).numpy()
    return result


def _integers(torch: Any, plan: LayerPlan, weight: Any, x: Any) -> Any:
    """Return what golden gives to a layer's head, in the type of `x`."""
    functional, shape, dtype = torch.nn.functional, plan.shape, x.dtype
    if dtype == torch.float64 and plan.reach <= _EXACT_IN_FLOAT32:
        x = x.float()  # as exact, and Network-in-Network takes three fifths of the time
    weight = weight.to(x.dtype)
    if isinstance(shape, DenseShape):
        x = x.permute(0, 2, 3, 1).flatten(1) if x.dim() == 4 else x
        sums = x @ weight.T
    else:
        top, left, bottom, right = shape.padding
        if any(shape.padding):
            x = functional.pad(x, (left, right, top, bottom))
        # A step of Network-in-Network takes three quarters of the time that it takes with maps side by side.
        weight = weight.contiguous(memory_format=torch.channels_last)
        sums = functional.conv2d(x, weight, stride=shape.stride)
    if shape.relu:
        sums = functional.relu(sums)
    if shape.pool is not None and shape.pool.kind == "max":
        sums = functional.max_pool2d(sums, shape.pool.size, shape.pool.stride)
    if shape.pool is not None and shape.pool.kind == "sum":
        sums = functional.avg_pool2d(sums, shape.pool.size, shape.pool.stride, divisor_override=1)
    return sums.to(dtype)


def _activations(torch: Any, shape: LayerShape, x: Any) -> Any:
    """Return the activations of normalised integers, with the slope of the ramp that they are steps of."""
    low, high = activation_range(shape)
    ramp = torch.nn.functional.hardtanh(x, low / high, 1.0)
    if shape.activation_bits == 1 and shape.activation_signed:
        steps = sign(x.detach())
    else:
        ramp = ramp * high
        steps = sum((x.detach() >= level).to(x.dtype) for level in activation_levels(shape)) + low
    ramp.detach().copy_(steps)  # the slope stays: what it is computed from is the ramp's input
    if shape.pool is not None and shape.pool.kind == "or":
        return torch.nn.functional.max_pool2d(ramp, shape.pool.size, shape.pool.stride)
    return ramp


def quantised(latent: Any, weight_bits: int) -> Any:
    """Return the integers that latent weights of -1 to 1 stand for: signs, or the nearest odd integers."""
    if weight_bits == 1:
        return sign(latent)
    largest = 2**weight_bits - 1
    return ((latent + 1) * (largest / 2)).round().mul_(2).sub_(largest)


def sign(x: Any) -> Any:
    """Return +1 where x is at least 0, and -1 elsewhere (torch's own sign of 0 is 0)."""
    return (x >= 0).to(x.dtype).mul_(2).sub_(1)
